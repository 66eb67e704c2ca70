# SPDX-License-Identifier: Apache-2.0
"""The stack on several hosts: each process on an address of its own, keys copied as documented, Redis behind Sentinel.

    with Hosts() as s:                     # addresses of the loopback network: no rights needed
        s.part("activity-1").kill()

    enter_namespaces()                     # as root: this program runs again in a network of its own, where
    with Hosts(namespaces=True) as s:      # each host is a network namespace behind one bridge, which can be cut off
        s.host("activity-1").cut()

Instances of the services, the gateways, the edges, Redis and its sentinels (sentinels=0: one Redis by its address). The stores are SQLite files that hosts of this
one machine share, or with database=… what urls it gives.
"""
import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from .stack import BIN, ROOT, Response, Stack, free_port
from .story import wait_until

SERVICES = {"membership": 7001, "activity": 7002, "stream": 7003, "care": 7004}
CHECKPOINTS = {"stream": "checkpoints", "care": "ledger"}
EDGE_PORT = 9080
REDIS_PASSWORD, SENTINEL_PASSWORD = "redis p@ss", "sentinel-p@ss"


def enter_namespaces():
    """Runs this program again where its networks, mounts and processes are its own, and end with it. False: not possible here."""
    if os.environ.get("NX_IN_NAMESPACES"):
        child = os.fork() if os.getpid() == 1 else 0
        while child: # the first process of its kind: it takes in the orphans
            pid, status = os.wait()
            if pid == child:
                os._exit(os.waitstatus_to_exitcode(status) & 255)
        os.makedirs("/run/netns", exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run/netns"], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return True
    inside = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--propagation", "private", "--kill-child", "--"]
    probe = ("set -e; mkdir -p /run/netns; mount -t tmpfs none /run/netns; ip netns add probe; ip link add nxb type bridge; "
             "ip link add nxv type veth peer name nxw netns probe; ip link set nxv master nxb")
    if os.geteuid() != 0 or subprocess.run([*inside, "sh", "-c", probe], capture_output=True).returncode:
        return False
    r = subprocess.run([*inside, sys.executable, *sys.argv], env={**os.environ, "NX_IN_NAMESPACES": "1"})
    sys.exit(r.returncode)


class Host:
    """An address; with namespaces also a network of its own behind the bridge."""

    def __init__(self, name, address, namespaces):
        self.name, self.address, self.prefix, self.delay = name, address, [], None
        if not namespaces:
            return
        self.prefix = ["nsenter", f"--net=/run/netns/{name}", "--"]
        for command in (f"netns add {name}", f"link add {name} type veth peer name eth0 netns {name}", f"link set {name} master bridge up",
                        f"-n {name} addr add {address}/24 dev eth0", f"-n {name} link set eth0 up", f"-n {name} link set lo up"):
            ip(command)

    def cut(self):
        """Off the network: nothing in, nothing out, and nobody is told."""
        ip(f"link set {self.name} nomaster")

    def mend(self):
        ip(f"link set {self.name} master bridge")

    def slow(self, seconds):
        """Every frame to and from it takes so much longer."""
        self.delay = Delay(self, seconds)

    def fast(self):
        self.delay.close()
        self.delay = None
        self.mend()


def ip(arguments):
    r = subprocess.run(["ip", *arguments.split()], capture_output=True, text=True)
    assert r.returncode == 0, f"ip {arguments}: {r.stderr}"


class Delay:
    """Takes a host's cable out of the bridge and carries its frames by hand, each after a while (the kernel may have no netem)."""

    def __init__(self, host, seconds):
        self.host, self.seconds = host, seconds
        near, far = "d" + host.name[:12], "e" + host.name[:12]
        ip(f"link set {host.name} nomaster")
        ip(f"link add {near} type veth peer name {far}")
        self.near = near
        for name in (near, far):
            checksums_by_hand(name)
        checksums_by_hand(host.name)
        checksums_by_hand("eth0", host.prefix)
        for name in (near, far, host.name):
            ip(f"link set {name} up promisc on")
        self.ends = [raw_socket(host.name), raw_socket(near)]
        ip(f"link set {far} master bridge")
        self.closing = False
        self.threads = [threading.Thread(target=self._carry, args=(a, b), daemon=True)
                        for a, b in (self.ends, reversed(self.ends))]
        for t in self.threads:
            t.start()

    def _carry(self, source, target):
        waiting = []
        while not self.closing:
            pause = max(waiting[0][0] - time.monotonic(), 0) if waiting else 0.2
            source.settimeout(pause or 0.000001)
            with contextlib.suppress(OSError):
                frame, address = source.recvfrom(70000)
                if address[2] != socket.PACKET_OUTGOING:
                    waiting.append((time.monotonic() + self.seconds, frame))
            while waiting and waiting[0][0] <= time.monotonic():
                with contextlib.suppress(OSError):
                    target.send(waiting.pop(0)[1])

    def close(self):
        self.closing = True
        for t in self.threads:
            t.join()
        for s in self.ends:
            s.close()
        ip(f"link del {self.near}")


def raw_socket(interface):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind((interface, 0))
    return s


def checksums_by_hand(interface, prefix=()):
    """So that frames are whole when they leave it: no checksums left to a card, no segments beyond what a cable carries."""
    if prefix:
        subprocess.run([*prefix, sys.executable, "-c", f"import sys; sys.path.insert(0, {os.path.join(ROOT, 'tests')!r})\n"
                        f"from support.hosts import checksums_by_hand; checksums_by_hand({interface!r})"], check=True)
        return
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for command in (0x17, 0x15, 0x1F, 0x24, 0x2C):  # ETHTOOL_STXCSUM, SRXCSUM, STSO, SGSO, SGRO in turn
        value = ctypes.create_string_buffer(struct.pack("II", command, 0))
        request = struct.pack("16sP", interface.encode(), ctypes.addressof(value))
        with contextlib.suppress(OSError):
            fcntl.ioctl(s, 0x8946, request)
    s.close()


class Part:
    """A process on a host, and its log."""

    def __init__(self, hosts, name, host, words, env=None):
        self.name, self.host, self.words = name, host, words
        self.log_path = os.path.join(hosts.var, "log", name + ".log")
        self.env = {**os.environ, **hosts.env, **(env or {})}
        self.process = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*self.host.prefix, *self.words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        return self

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)
        self.process.wait()

    def freeze(self):
        self.send(signal.SIGSTOP)

    def thaw(self):
        self.send(signal.SIGCONT)

    def stop(self, seconds=30):
        if self.alive:
            self.send(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode if self.process else None

    def log(self):
        with contextlib.suppress(OSError), open(self.log_path, errors="replace") as f:
            return f.read()
        return ""

    def said(self, text, times=1):
        return self.log().count(text) >= times


class Hosts(Stack):
    def __init__(self, namespaces=False, instances=None, gateways=2, redis_nodes=2, seed=True, gateway_options=(), service_options=(),
                 databases=None, down_after_ms=1000, sentinels=3, env=None, edges=1):
        super().__init__(seed=seed, gateway_options=gateway_options, env=env, engine="sqlite")
        self.namespaces = namespaces
        self.counts = {"membership": 1, "activity": 1, "care": 0, "stream": 1, **(instances or {})}
        self.edge_key = None
        self.n_edges, self.n_gateways, self.n_redis, self.databases, self.down_after_ms = edges, gateways, redis_nodes, databases, down_after_ms
        self.service_options, self.n_sentinels = list(service_options), sentinels
        self.var = os.path.join(self.folder, "v")
        self.hosts, self.parts, self.resting = {}, {}, {}
        pid = os.getpid()
        self.net = "10.77.0" if namespaces else f"127.{100 + pid % 100}.{pid // 100 % 250}"
        self.address = None

    # --- life ---------------------------------------------------------------------------------------------
    def start(self):
        for name in ("bus", "store", "log", "redis", "checkpoints", "ledger", "edge"):
            os.makedirs(os.path.join(self.var, name), mode=0o700)
        if self.namespaces:
            ip("link add bridge address 02:00:00:00:00:01 type bridge")  # else it takes a new one with a cable
            ip(f"addr add {self.net}.1/24 dev bridge")
            ip("link set bridge up")
        self.cli("keys", "create")
        self.cli("keys", "curve", "make")
        if self.n_edges:
            self.edge_key = json.loads(self.cli("keys", "edge", "--json").stdout)["publicKey"]
        self._start_redis()
        if callable(self.databases):
            self.databases = self.databases(self)
        number = 20
        for service, n in self.counts.items():
            for i in range(1, n + 1):
                number += 1
                self.add_service(service, i, self.add_host(f"{service}-{i}", number)).start()
        for i in range(1, self.n_gateways + 1):
            self.add_gateway(i, self.add_host(f"gateway-{i}", 10 + i)).start()
        for i in range(1, self.n_edges + 1):
            self.add_edge(i, self.add_host(f"edge-{i}", 5 + i)).start()
        self.addresses = [f"{self.host(f'gateway-{i}').address}:8080" for i in range(1, self.n_gateways + 1)]
        self.address = self.addresses[0]
        wait_until("every service is ready", lambda: all(self.parts[f"{s}-{i}"].said('msg="ready"') for s, n in self.counts.items()
                                                         for i in range(1, n + 1)), 60)
        for i in range(1, self.n_gateways + 1):
            self.wait_for_gateway(i)
        if self.seed:
            self.run_seed()

    def run_seed(self):
        subprocess.run([os.path.join(BIN, "nuanxin-seed"), "--var", self.var, "--data", os.path.join(ROOT, "deploy/data/hunan-divisions.csv"),
                        "--redis", self.redis_address, "--redis-auth", self.redis_auth, "--curve", os.path.join(self.var, "curve"),
                        *(["--edge", f"{self.host('edge-1').address}:{EDGE_PORT}"] if self.n_edges else [])],
                       check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(self.var, "credentials.json")) as f:
            self.credentials = json.load(f)
        self.api_key, self.campaign = self.credentials["apiKey"], self.credentials["campaign"]

    def add_host(self, name, number):
        self.hosts[name] = Host(name, f"{self.net}.{number}", self.namespaces)
        return self.hosts[name]

    def add_part(self, name, host, words, env=None):
        self.parts[name] = Part(self, name, host, words, env)
        return self.parts[name]

    def host(self, name):
        return self.hosts[name]

    def part(self, name):
        return self.parts[name]

    def copy_of(self, what, name, inside=""):
        """A host's own copy of a folder, as an operator makes it."""
        target = os.path.join(self.folder, "hosts", name, what, inside)
        shutil.copytree(os.path.join(self.var, what, inside), target, dirs_exist_ok=True)
        os.chmod(os.path.join(self.folder, "hosts", name, what), 0o700)
        return os.path.join(self.folder, "hosts", name, what)

    def add_service(self, service, i, host):
        name, port = f"{service}-{i}", SERVICES[service]
        store = self.databases[service] if self.databases else f"sqlite:{self.var}/store/{service}.db"
        return self.add_part(name, host, [
            os.path.join(BIN, "nuanxin-" + service), "--instance", name, "--bus", f"tcp://{host.address}:{port}",
            "--advertise", f"tcp://{host.address}:{port}", "--curve", self.copy_of("curve", name, service), "--keys", self.copy_of("keys", name),
            "--redis", self.redis_address, "--redis-auth", self.redis_auth, "--store", store,
            *(["--checkpoints", os.path.join(self.var, CHECKPOINTS[service])] if service in CHECKPOINTS else []), *self.service_options])

    def add_edge(self, i, host):
        name = f"edge-{i}"
        peers = [f"--peer=stream=tcp://{self.host(f'stream-{n}').address}:{SERVICES['stream']}" for n in range(1, self.counts["stream"] + 1)]
        return self.add_part(name, host, [
            os.path.join(BIN, "nuanxin-edge"), "--instance", name, "--listen", f"tcp://{host.address}:{EDGE_PORT}", "--curve",
            self.copy_of("curve", name, "edge"), "--key", os.path.join(self.var, "edge", "edge.key"), *peers])

    def add_gateway(self, i, host):
        name = f"gateway-{i}"
        return self.add_part(name, host, [
            os.path.join(BIN, "nuanxin-gateway"), "--instance", name, "--http", f"{host.address}:8080", "--curve",
            self.copy_of("curve", name, "gateway"), "--redis", self.redis_address, "--redis-auth", self.redis_auth,
            "--gateways", str(self.n_gateways), *(f"--without={s}" for s, n in self.counts.items() if not n), *self.options["gateway"]])

    def wait_for_gateway(self, i):
        address = self.addresses[i - 1]

        def answers():
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(address, timeout=2)
                connection.request("GET", "/v1/organizations/43", headers={"Authorization": "Bearer none"})
                return connection.getresponse().status == 401
            return False

        wait_until(f"gateway-{i} serves", answers, 60)

    def stop(self):
        for part in reversed(list(self.parts.values())):
            if part.alive:
                part.thaw()
                part.send(signal.SIGTERM)
        for part in self.parts.values():
            part.stop(10)
        findings = self.findings()
        if os.environ.get("NX_KEEP"):
            print(f"# kept: {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        assert not findings, "a sanitizer found:\n" + findings

    def pid(self, name):
        return self.parts[name].process.pid

    # --- Redis --------------------------------------------------------------------------------------------
    def _start_redis(self):
        self.redis_auth = os.path.join(self.var, "redis-auth")
        with open(os.open(self.redis_auth, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write(f"password {REDIS_PASSWORD}\nsentinel-password {SENTINEL_PASSWORD}\n")
        self.redis_hosts = [self.add_host(f"redis-{i}", 50 + i) for i in range(1, self.n_redis + 1)]
        for i, host in enumerate(self.redis_hosts, 1):
            folder = os.path.join(self.var, "redis", str(i))
            os.makedirs(folder)
            # A file that Redis may write: a sentinel tells it whom to follow, and it must know that after a restart.
            path = os.path.join(folder, "redis.conf")
            with open(path, "w") as f:
                f.write(f"bind {host.address}\nport 6379\ndir {folder}\nappendonly yes\nsave \"\"\nrequirepass \"{REDIS_PASSWORD}\"\n"
                        f"masterauth \"{REDIS_PASSWORD}\"\nrepl-diskless-sync-delay 0\nreplica-announce-ip {host.address}\n"
                        + (f"replicaof {self.redis_hosts[0].address} 6379\n" if i > 1 else ""))
            self.add_part(f"redis-{i}", host, ["redis-server", path]).start()
        sentinels = []
        for i in range(1, self.n_sentinels + 1):
            host = self.redis_hosts[i - 1] if i <= self.n_redis else self.add_host(f"sentinel-{i}", 50 + i)
            path = os.path.join(self.var, "redis", f"sentinel-{i}.conf")
            with open(path, "w") as f:
                f.write(f"port 26379\nbind {host.address}\ndir {self.var}/redis\nrequirepass {SENTINEL_PASSWORD}\n"
                        f"sentinel announce-ip {host.address}\n"
                        f"sentinel sentinel-pass {SENTINEL_PASSWORD}\n"
                        f"sentinel monitor nuanxin {self.redis_hosts[0].address} 6379 2\n"
                        f"sentinel auth-pass nuanxin \"{REDIS_PASSWORD}\"\n"
                        f"sentinel down-after-milliseconds nuanxin {self.down_after_ms}\nsentinel failover-timeout nuanxin 3000\n")
            self.add_part(f"sentinel-{i}", host, ["redis-server", path, "--sentinel"]).start()
            sentinels.append(host)
        self.sentinel_hosts = sentinels
        if not sentinels:
            self.redis_address = f"{self.redis_hosts[0].address}:6379"
            return
        self.redis_address = "sentinel://" + ",".join(h.address for h in sentinels) + "/nuanxin"
        wait_until("Redis and its sentinels know one another", self.redis_is_whole, 30, 0.1)

    def redis_cli(self, host, *words, port=6379, password=REDIS_PASSWORD):
        r = subprocess.run([*host.prefix, "redis-cli", "-h", host.address, "-p", str(port), "--no-auth-warning", *words],
                           capture_output=True, text=True, timeout=10, env={**os.environ, "REDISCLI_AUTH": password})
        return r.stdout.strip()

    def sentinel_info(self, host):
        words = self.redis_cli(host, "SENTINEL", "MASTER", "nuanxin", port=26379, password=SENTINEL_PASSWORD).splitlines()
        return dict(zip(words[::2], words[1::2]))

    def redis_is_whole(self):
        """Every sentinel knows the others and a replica that is in step."""
        for host in self.sentinel_hosts:
            info = self.sentinel_info(host)
            if info.get("num-other-sentinels") != "2" or int(info.get("num-slaves", "0")) < self.n_redis - 1 or info.get("flags") != "master":
                return False
        return self.n_redis == 1 or "master_link_status:up" in "".join(
            self.redis_cli(h, "INFO", "replication") for h in self.redis_hosts)

    def redis_primary(self):
        """The part that is the primary, by the word of most sentinels."""
        for host in self.sentinel_hosts:
            with contextlib.suppress(subprocess.TimeoutExpired):
                ip_address = self.sentinel_info(host).get("ip")
                for h in self.redis_hosts:
                    if h.address == ip_address:
                        return h.name
        return None

    # --- talking ------------------------------------------------------------------------------------------
    def _send(self, method, path, body, headers, timeout=15):
        """As a balancer before the gateways: each in turn, but one that failed rests for 2 s. The failure is the caller's to see."""
        state = self._local
        if not hasattr(state, "connections"):
            state.turn, state.connections = threading.get_ident(), {}
        while True:
            good = [a for a in self.addresses if self.resting.get(a, 0) < time.monotonic()] or self.addresses
            state.turn += 1
            address = good[state.turn % len(good)]
            connection = state.connections.pop(address, None)
            kept = connection is not None
            connection = connection or http.client.HTTPConnection(address, timeout=timeout)
            try:
                connection.request(method, path, body, headers)
                r = connection.getresponse()
                response = Response(r.status, r.headers, r.read())
                state.connections[address] = connection
                return response
            except (OSError, http.client.HTTPException) as e:
                connection.close()
                idle_closed = isinstance(e, (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError))
                if not (kept and idle_closed):
                    self.resting[address] = time.monotonic() + 2
                    raise e if isinstance(e, OSError) else OSError(repr(e)) from e

    def cli(self, *arguments, check=True, stdin=None):
        if arguments[0] != "keys":
            arguments = (*arguments, "--redis", self.redis_address, "--redis-auth", self.redis_auth)
        return super().cli(*arguments, check=check, stdin=stdin)
