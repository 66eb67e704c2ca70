# SPDX-License-Identifier: Apache-2.0
"""A container engine of our own, as far as the tests need one: the image's file system, each container in a network and mount
namespace of its own, as the image's user, on a read-only root, with volumes and secrets as Docker and Kubernetes give them.

    enter_namespaces()
    with Engine() as e:
        e.run("membership-1", "172.30.43.11", ["/usr/bin/nuanxin-membership"], {"NUANXIN_BUS": "/bus"}, {"/bus": e.volume("bus")})
"""
import os
import shlex
import shutil
import signal
import subprocess
import tempfile

from .hosts import Host, ip
from .stack import BIN, ROOT

USER = 10001
NET = "172.30.43"


class Container:
    def __init__(self, engine, name, address, command, environment, volumes, secrets):
        self.engine, self.name, self.command, self.environment = engine, name, command, environment
        self.host = engine.host(name, address)
        self.log_path = os.path.join(engine.folder, name + ".log")
        root = os.path.join(engine.folder, "roots", name)
        os.makedirs(root, exist_ok=True)
        lines = ["set -e", f"mount --bind {engine.image} {root}"]
        for at, source in volumes.items():
            lines.append(f"mount --bind {source} {root}{at}")
        if secrets is not None:
            lines += [f"mount -t tmpfs none {root}/run/nuanxin", f"cp -a {secrets}/. {root}/run/nuanxin/",
                      f"mount -o remount,ro {root}/run/nuanxin"]
        lines += [f"mount -o remount,bind,ro {root}",
                  f"exec unshare --root={root} --setuid={USER} --setgid={USER} -- {' '.join(map(shlex.quote, command))}"]
        self.script = "\n".join(lines)
        self.process = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*self.host.prefix, "unshare", "--mount", "sh", "-c", self.script], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=self.environment)
        return self

    def inside(self, *command):
        """Runs there, as a probe does: the same root, network and user."""
        return subprocess.run(["nsenter", "-t", str(self.process.pid), "--net", "--mount", "--root", "--setuid", str(USER), "--setgid",
                               str(USER), "--", *command], capture_output=True, text=True, timeout=30, env=self.environment)

    def stop(self, grace):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(grace)

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()


class Engine:
    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="nxc", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.image = os.path.join(self.folder, "image")
        subprocess.run([os.path.join(ROOT, "deploy/container/collect"), BIN, self.image], check=True)
        os.makedirs(self.image + "/run/nuanxin")
        self.containers, self.hosts, self.others = [], {}, []
        assert os.environ.get("NX_IN_NAMESPACES"), "not in the machine's own network"
        if subprocess.run(["ip", "link", "show", "bridge"], capture_output=True).returncode:
            ip("link add bridge address 02:00:00:00:00:01 type bridge")  # else it takes a new one with each cable: nobody finds it
            ip("link set bridge up")
            ip(f"addr add {NET}.1/24 dev bridge")
        return self

    def __exit__(self, *_):
        for c in self.containers:
            if c.process and c.process.poll() is None:
                c.process.kill()
                c.process.wait()
        for p in self.others:
            p.terminate()
            p.wait()
        for name in self.hosts:
            ip(f"netns del {name}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def host(self, name, address):
        """The cable's name has 15 characters at most."""
        if name not in self.hosts:
            self.hosts[name] = Host(name, address, True)
        return self.hosts[name]

    def names(self, **addresses):
        with open(os.path.join(self.image, "etc/hosts"), "w") as f:
            f.write("127.0.0.1 localhost\n" + "".join(f"{a} {n}\n" for n, a in addresses.items()))

    def volume(self, name):
        """As an engine makes a named one: with the owner and mode of the image's folder."""
        path = os.path.join(self.folder, "volume-" + name)
        if not os.path.exists(path):
            os.mkdir(path, 0o700)
            os.chown(path, USER, USER)
        return path

    def secrets(self, name, files, mode, group):
        """As a cluster makes a volume of {path: bytes}: links to links, root's, readable by the pod's group."""
        path = os.path.join(self.folder, "secrets-" + name)
        data = os.path.join(path, "..2026_11_22_00_00_00.1")
        os.makedirs(data)
        for file, content in files.items():
            target = os.path.join(data, file)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as f:
                f.write(content)
            os.chown(target, 0, group)
            os.chmod(target, mode)
        for folder, _, _ in os.walk(path):
            os.chown(folder, 0, group)
            os.chmod(folder, 0o2755)
        os.chmod(path, 0o3777)
        os.symlink(os.path.basename(data), os.path.join(path, "..data"))
        for top in {f.split("/")[0] for f in files}:
            os.symlink("..data/" + top, os.path.join(path, top))
        return path

    def run(self, name, address, command, environment, volumes=None, secrets=None):
        c = Container(self, name, address, command, {k: str(v) for k, v in environment.items()}, volumes or {}, secrets)
        self.containers.append(c)
        return c.start()

    def beside(self, name, address, command):
        """Something that is not ours, at an address of its own: Redis, nginx."""
        with open(os.path.join(self.folder, name + ".log"), "ab") as log:
            p = subprocess.Popen([*self.host(name, address).prefix, *command], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.others.append(p)
        return p
