#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The systemd units: what systemd itself says about them; and, where this machine lets one boot in namespaces of its own,
Nuanxin installed and run by it: sandboxed, restarted, drained, its watchdog, its credentials."""
import contextlib
import glob
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.boot import boot  # noqa: E402
from support.stack import BIN, ROOT, free_port  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

UNITS = sorted(glob.glob(os.path.join(ROOT, "deploy", "systemd", "nuanxin*.*")))
PROCESSES = ("membership", "activity", "care", "stream", "gateway", "edge")
INSIDE = sys.argv[1:2] == ["--inside"]


def run(*command, status=0, **how):
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, **how)
    expect(f"status of {command}: {r.stdout}", r.returncode, status)
    return r.stdout


def settings(name):
    """[(key, value)] of a unit file."""
    with open(os.path.join(ROOT, "deploy", "systemd", name)) as f:
        return re.findall(r"^([A-Z]\w*)=(.*)$", f.read(), re.M)


# --- what systemd says of the files -------------------------------------------------------------------------------------

@contextlib.contextmanager
def installed(prefix):
    with tempfile.TemporaryDirectory(dir="/tmp") as at:
        run("make", "-s", "install", f"DESTDIR={at}", f"PREFIX={prefix}", cwd=ROOT)
        yield at, at + prefix


def verified():
    with installed("/usr") as (at, prefix):
        for program in ("nuanxin", *("nuanxin-" + p for p in PROCESSES)):
            assert os.access(f"{prefix}/bin/{program}", os.X_OK), program
        names = [os.path.basename(u) for u in glob.glob(prefix + "/lib/systemd/system/*")]
        expect("units", len(names), 9)
        for name in names:  # the programs are below DESTDIR, not at their place
            path = f"{prefix}/lib/systemd/system/{name}"
            with open(path) as f:
                text = f.read()
            assert "/usr/local" not in text, f"{name} speaks of another prefix"
            with open(path, "w") as f:
                f.write(text.replace("=/usr/bin/", f"={prefix}/bin/"))
        units = [f"{prefix}/lib/systemd/system/{n.replace('@.', '@2.')}" for n in names]
        expect("what systemd has to say", run("systemd-analyze", "verify", "--man=no", *units), "")
        for name in PROCESSES:
            said = run("systemd-analyze", "security", "--offline=true", f"{prefix}/lib/systemd/system/nuanxin-{name}@.service")
            exposure = float(re.search(r"exposure level.*: ([\d.]+)", said).group(1))
            assert exposure <= 1.7, said


def drain_fits():
    for name in PROCESSES:
        of = dict(settings(f"nuanxin-{name}@.service"))
        about = run(os.path.join(BIN, f"nuanxin-{name}"), "--help")
        longest = re.search(r"SIGTERM drains.*at most (\d+) s", about)
        assert int(of["TimeoutStopSec"]) > int(longest.group(1) if longest else 20), name
        expect("type", (of["Type"], of["NotifyAccess"], of["Restart"]), ("notify", "main", "on-failure"))


class Manager:
    """What systemd is to a process: $NOTIFY_SOCKET, the datagrams, $WATCHDOG_USEC."""

    def __init__(self, at):
        self.path, self.got = os.path.join(at, "notify"), []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(15)

    def until(self, wanted):
        while True:
            self.got.append((time.monotonic(), self.socket.recv(4096).decode()))
            if self.got[-1][1] == wanted:
                return self.got[-1][0]


def speaks():
    """READY, WATCHDOG at half its time, none while frozen, STOPPING, and the end, of each real program."""
    for name in PROCESSES:
        with tempfile.TemporaryDirectory(dir="/tmp") as at:
            os.chmod(at, 0o700)
            manager = Manager(at)
            run(os.path.join(BIN, "nuanxin"), "keys", "create", "--keys", at + "/keys")
            own = {"gateway": ["--http", f"127.0.0.1:{free_port()}"], "edge": ["--listen", f"tcp://127.0.0.1:{free_port()}"]}.get(
                name, ["--store", f"sqlite:{at}/a.db", "--keys", at + "/keys"])
            own += {"care": ["--checkpoints", at], "stream": ["--checkpoints", at], "edge": ["--key", at + "/edge.key"]}.get(name, [])
            own += ["--redis", f"unix:{at}/none"] if name != "edge" else []
            p = subprocess.Popen([os.path.join(BIN, f"nuanxin-{name}"), "--bus", at, *own],
                                 env={**os.environ, "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"},
                                 stderr=subprocess.DEVNULL)
            manager.until("READY=1")
            manager.until("WATCHDOG=1")
            first = manager.until("WATCHDOG=1")
            second = manager.until("WATCHDOG=1")
            assert 0.1 < second - first < 0.4, f"{name} speaks each {second - first:.2f} s"
            p.send_signal(signal.SIGSTOP)
            manager.socket.settimeout(0.6)
            with contextlib.suppress(TimeoutError):
                manager.until("WATCHDOG=1")  # one may have been on its way
                manager.until("WATCHDOG=1")
                raise AssertionError(f"{name} speaks while it is frozen")
            manager.socket.settimeout(15)
            p.send_signal(signal.SIGCONT)
            manager.until("WATCHDOG=1")
            p.send_signal(signal.SIGTERM)
            manager.until("STOPPING=1")
            expect(f"{name}'s exit status", p.wait(30), 0)


def booted():
    prepare = f"""
        make -s -C {ROOT} install DESTDIR="$R" PREFIX=/usr >/dev/null
        mkdir -p "$R"/etc/systemd/system/nuanxin-gateway@.service.d
        printf '[Service]\\nWatchdogSec=2\\n' >"$R"/etc/systemd/system/nuanxin-gateway@.service.d/soon.conf
    """
    text, why_not = boot(prepare, [sys.executable, os.path.abspath(__file__), "--inside"])
    if why_not:
        print("# the units were not run: " + why_not.replace("\n", "\n# "))
        return
    print("# " + text.strip().replace("\n", "\n# "))
    assert re.search(r"^1\.\.\d", text, re.M) and not re.search(r"^not ok", text, re.M), "not all held"


if not INSIDE:
    story("make install puts them in place; systemd-analyze verifies each and finds little exposed")(verified)
    story("stopping waits for longer than a drain takes")(drain_fits)
    story("every program speaks sd_notify's protocol, and its watchdog says the truth")(speaks)
    story("booted: systemd runs all of it")(booted)


# --- inside: systemd is process 1 ------------------------------------------------------------------------------------------

def show(unit, *names):
    out = dict(line.split("=", 1) for line in run("systemctl", "show", unit, *(f"-p{n}" for n in names)).splitlines())
    return out[names[0]] if len(names) == 1 else [out[n] for n in names]


def pid_of(unit):
    return int(show(unit, "MainPID"))


def log_of(unit):
    return run("journalctl", "--no-pager", "-n", "30", "-u", unit) if os.path.exists("/run/systemd/journal/socket") else ""


def active(*units):
    for unit in units:
        try:
            wait_until(f"{unit} is active", lambda: show(unit, "ActiveState") == "active", 30)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{run('systemctl', '--no-pager', 'status', unit, status=3)}{log_of(unit)}")


def ready(*ports):
    for port in ports:
        wait_until(f"{port} is ready", lambda: subprocess.run(["nuanxin", "ready", f"127.0.0.1:{port}"],
                                                              capture_output=True).returncode == 0, 30)


def get(path, connection=None):
    c = connection or http.client.HTTPConnection("127.0.0.1", 8080, timeout=30)
    c.request("GET", path, headers={"Connection": "close"})
    r = c.getresponse()
    r.read()
    return r.status


def operator(*words):
    said = run("nuanxin", "--bus", "/run/nuanxin", "--json", *words)
    assert said[:1] in "[{", said
    return json.loads(said)


def starts():
    run("systemctl", "start", "redis-server")
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        words = next(b for b in re.findall(r"^```sh\n(.*?)^```$", f.read(), re.M | re.S) if "systemctl" in b)
    for line in words.replace("sudo ", "").splitlines()[1:-1]:  # all but `make install` and `status`
        run("sh", "-c", line)
    run("systemctl", "enable", "--now", "nuanxin-gateway@2")
    active("nuanxin-gateway@1", "nuanxin-gateway@2", "nuanxin-membership@1", "nuanxin-membership@2", "nuanxin-activity@1", "nuanxin-care@1",
           "nuanxin-stream@1", "nuanxin-edge@1")
    ready(7001, 7002, 7101, 7102, 7201, 7301, 7401, 7501)
    expect("a page", get("/openapi.json"), 200)


def works():
    organization = {"organization": {"code": "43", "name": "湖南省", "kind": "PROVINCE"}}
    operator("call", "CreateOrganization", json.dumps(organization, ensure_ascii=False))
    expect("what was stored", operator("call", "GetOrganization", '{"organization":"43"}')["name"], "湖南省")
    instances = {i["instance"]: i.get("mayWrite", False) for i in operator("status")}
    expect("instances", sorted(instances), ["activity-1", "care-1", "membership-1", "membership-2", "stream-1"])
    expect("who write", sum(instances[i] for i in ("membership-1", "membership-2")), 1)
    assert os.path.exists("/var/lib/nuanxin/membership/membership.db")


def status_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(re.findall(r"^(\w+):\s*(.*)$", f.read(), re.M))


def sandboxed():
    import pwd
    user = str(pwd.getpwnam("nuanxin").pw_uid)
    for name in PROCESSES:
        unit = f"nuanxin-{name}@1"
        pid = pid_of(unit)
        s = status_of(pid)
        expect(unit, (s["Uid"].split(), s["CapBnd"], s["NoNewPrivs"], s["Seccomp"]), ([user] * 4, "0" * 16, "1", "2"))
        # As that process would: its namespaces, its user.
        seen = lambda what: subprocess.run(["nsenter", "-t", str(pid), "-m", "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
                                            "sh", "-c", what], capture_output=True, text=True)
        assert seen("touch /etc/x /usr/x /var/x").returncode, unit + " writes where it must not"
        assert seen("cat /etc/nuanxin/keys/keyring").returncode, unit + " reads root's keyring"
        for folder, whose in (("nuanxin", name != "edge"), ("nuanxin-edge", name in ("stream", "edge"))):
            expect(f"{unit} writes to {folder}, the sockets' folder", seen(f"touch /run/{folder}/x && rm /run/{folder}/x").returncode == 0, whose)
        for other in ("membership", "activity", "care", "stream"):
            expect(f"{unit} sees {other}'s store", seen(f"ls /var/lib/nuanxin/{other}").returncode == 0, other == name)
        for folder, whose in (("checkpoints", "stream"), ("ledger", "care")):
            expect(f"{unit} sees {whose}'s checkpoints", seen(f"ls /var/lib/nuanxin/{folder}").returncode == 0, name == whose)
        credentials = seen(f"cat /run/credentials/{unit}.service/keyring").returncode
        expect(unit + " has a keyring", credentials == 0, name not in ("gateway", "edge"))
    mode = os.stat("/run/nuanxin")
    expect("the sockets' folder", (oct(mode.st_mode & 0o777), str(mode.st_uid)), ("0o700", user))


def rolling():
    failed, done, ended = [], 0, False

    def call():
        nonlocal done
        while not ended:
            try:
                assert get("/openapi.json") == 200
                done += 1
            except Exception as e:
                failed.append(repr(e))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    for n in (1, 2):
        before, at = pid_of(f"nuanxin-gateway@{n}"), done
        run("systemctl", "restart", f"nuanxin-gateway@{n}")
        assert pid_of(f"nuanxin-gateway@{n}") != before
        wait_until("calls go on", lambda: failed or done > at + 20)
    at = done  # now for a moment nobody accepts: the socket holds who comes
    run("systemctl", "restart", "nuanxin-gateway@1", "nuanxin-gateway@2")
    wait_until("calls go on", lambda: failed or done > at + 20)
    ended = True
    thread.join()
    expect("failed calls", failed, [])


def mends():
    for unit, harm in (("nuanxin-membership@1", signal.SIGKILL), ("nuanxin-gateway@2", signal.SIGSTOP)):
        before = pid_of(unit)
        os.kill(before, harm)
        wait_until(f"{unit} runs again", lambda: show(unit, "ActiveState", "NRestarts") == ["active", "1"] and pid_of(unit) not in (0, before), 20)
    ready(7001, 7002, 7101, 7102)
    expect("what was stored", operator("call", "GetOrganization", '{"organization":"43"}')["name"], "湖南省")


def wrong_option():
    with open("/etc/nuanxin/activity@2.env", "w") as f:
        f.write("NUANXIN_READ_THREADS=many\n")
    run("systemctl", "start", "nuanxin-activity@2", status=1)
    expect("a wrong option", show("nuanxin-activity@2", "ActiveState", "ExecMainStatus", "NRestarts"), ["failed", "2", "0"])
    os.unlink("/etc/nuanxin/activity@2.env")
    run("systemctl", "reset-failed", "nuanxin-activity@2")
    run("systemctl", "start", "nuanxin-activity@2")
    ready(7202)


def on_postgresql():
    """A cluster of Debian's own; membership by its user's name over a socket, activity by a password over TCP."""
    as_postgres = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--")
    if not os.path.exists("/etc/postgresql/15/main"):
        run("pg_createcluster", "15", "main")
    run("systemctl", "start", "postgresql@15-main")
    run(*as_postgres, "psql", "-c", "CREATE ROLE nuanxin LOGIN PASSWORD 'a secret'", cwd="/")
    for name in ("membership", "activity", "care", "stream"):
        run(*as_postgres, "createdb", "-O", "nuanxin", "-T", "template0", "--locale=C", f"nuanxin_{name}", cwd="/")
    port = re.search(r"^\s*port\s*=\s*(\d+)", open("/etc/postgresql/15/main/postgresql.conf").read(), re.M).group(1)
    for path, text, mode in (("membership.env", f"NUANXIN_STORE=postgresql:///nuanxin_membership?host=/var/run/postgresql&port={port}\n", 0o644),
                             ("activity.env", f"NUANXIN_STORE=postgresql://nuanxin@127.0.0.1:{port}/nuanxin_activity\n", 0o644),
                             ("care.env", f"NUANXIN_STORE=postgresql://nuanxin@127.0.0.1:{port}/nuanxin_care\n", 0o644),
                             ("stream.env", f"NUANXIN_STORE=postgresql://nuanxin@127.0.0.1:{port}/nuanxin_stream\n", 0o644),
                             ("pgpass", "127.0.0.1:*:*:nuanxin:a secret\n", 0o600)):
        with open("/etc/nuanxin/" + path, "w") as f:
            f.write(text)
        os.chmod("/etc/nuanxin/" + path, mode)
    run("systemctl", "stop", "nuanxin-activity@2")  # on the old store it would keep the callers
    run("systemctl", "restart", "nuanxin-membership@1", "nuanxin-membership@2", "nuanxin-activity@1", "nuanxin-care@1", "nuanxin-stream@1")
    ready(7101, 7102, 7201, 7301, 7501)
    operator("call", "CreateOrganization", '{"organization": {"code": "43", "name": "湖南省", "kind": "PROVINCE"}}')
    expect("who write", sorted(i["instance"] for i in operator("status") if i.get("mayWrite") and "membership" in i["instance"]),
           ["membership-1", "membership-2"])
    rows = run(*as_postgres, "psql", "-Atc", "SELECT count(*) FROM organization", "nuanxin_membership", cwd="/")
    expect("rows", rows.strip(), "1")


def between_hosts():
    """As on one of several hosts: tcp:// with CURVE, each process seeing its own role's keys."""
    run("nuanxin", "--curve", "/etc/nuanxin/curve", "keys", "curve", "make")
    run("chown", "-R", "nuanxin:nuanxin", "/etc/nuanxin/curve")
    for name, settings in (("gateway", ""), ("edge", "NUANXIN_PEER=stream=tcp://127.0.0.2:7311\n"), ("stream@1", "NUANXIN_BUS=tcp://127.0.0.2:7311\n"), ("membership@1", "NUANXIN_BUS=tcp://127.0.0.2:7111\n"), ("membership@2", "NUANXIN_BUS=tcp://127.0.0.2:7112\n"),
                           ("activity@1", "NUANXIN_BUS=tcp://127.0.0.2:7211\n"), ("care@1", "NUANXIN_BUS=tcp://127.0.0.2:7511\n")):
        with open(f"/etc/nuanxin/{name}.env", "a") as f:
            f.write(settings + "NUANXIN_CURVE=/etc/nuanxin/curve\n")
    run("systemctl", "restart", "nuanxin-membership@1", "nuanxin-membership@2", "nuanxin-activity@1", "nuanxin-care@1", "nuanxin-stream@1",
        "nuanxin-gateway@1", "nuanxin-gateway@2", "nuanxin-edge@1")
    ready(7101, 7102, 7201, 7301, 7001, 7002, 7401, 7501)
    far = json.loads(run("nuanxin", "--redis", "127.0.0.1:6379", "--bus", "/tmp", "--curve", "/etc/nuanxin/curve", "--json", "status"))
    expect("instances", sorted(i["instance"] for i in far), ["activity-1", "care-1", "membership-1", "membership-2", "stream-1"])
    for name in PROCESSES:
        seen = run("nsenter", "-t", str(pid_of(f"nuanxin-{name}@1")), "-m", "ls", "/etc/nuanxin/curve")
        expect(f"the keys that {name} sees", seen.split(), [name])


def stops():
    began = time.monotonic()
    run("systemctl", "stop", "nuanxin.target")
    assert time.monotonic() - began < 20
    for unit in [f"nuanxin-{name}@1" for name in PROCESSES] + ["nuanxin-membership@2"]:
        wait_until(f"{unit} has ended", lambda: show(unit, "ActiveState") == "inactive", 30)
        expect(unit, show(unit, "Result", "ExecMainStatus"), ["success", "0"])
    assert os.path.isdir("/run/nuanxin")


if INSIDE:
    sys.argv[1:] = []
    story("all start, are ready and serve")(starts)
    story("they store, and two of membership share a store")(works)
    story("each is sandboxed: no capability, its own folders, no keyring but its credential")(sandboxed)
    story("gateways restart one after the other, and together, and no call fails")(rolling)
    story("one that dies or stands still is started again")(mends)
    story("a wrong option fails at once, and is not tried again")(wrong_option)
    story("on PostgreSQL all write: by the user's name over a socket, by a password that is a credential over TCP")(on_postgresql)
    story("as on one of several hosts: tcp:// with CURVE, and no other role's keys")(between_hosts)
    story("all stop in order")(stops)

if __name__ == "__main__":
    main()
