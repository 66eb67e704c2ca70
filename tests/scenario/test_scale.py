#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An operator adds and takes away instances of a running stack: nobody who calls notices."""
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import person  # noqa: E402
from support.stack import BIN, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

VILLAGE = "430102001001"


def scale(s, *operands, status=0):
    r = subprocess.run([os.path.join(BIN, "nuanxin"), "--var", s.var if hasattr(s, "var") else s, "scale", *operands],
                       capture_output=True, text=True, timeout=90)
    expect(f"status of scale {operands}: {r.stdout}{r.stderr}", r.returncode, status)
    return r.stdout if status == 0 else r.stderr


def numbers(s):
    return {row["name"]: (row["instances"], row["ready"]) for row in json.loads(scale(s, "--json"))["scale"]}


def running(s, name):
    return [n for n in range(1, 9) if s.pid(f"{name}-{n}")]


class Callers:
    """Reads and writes, each on a connection of its own, until the end; what was not a success is kept."""

    people = 9000

    def __init__(self, s):
        self.first = Callers.people
        Callers.people += 10000
        self.s, self.ended, self.done, self.failed = s, False, {"read": 0, "write": 0}, []
        self.token = s.login("clerk")
        self.threads = [threading.Thread(target=self.run, args=(kind,)) for kind in self.done]

    def one(self, kind, n):
        connection = http.client.HTTPConnection("127.0.0.1", self.s.port, timeout=30)
        headers = {"Authorization": "Bearer " + self.token, "Connection": "close", "Content-Type": "application/json"}
        if kind == "read":
            connection.request("GET", "/v1/organizations/430102", headers=headers)
        else:
            connection.request("POST", "/v1/members", json.dumps(person(self.first + n, VILLAGE)), headers)
        r = connection.getresponse()
        body = r.read()
        connection.close()
        if r.status >= 300:
            raise AssertionError(f"{r.status} {body[:200]!r}")

    def run(self, kind):
        n = 0
        while not self.ended:
            try:
                self.one(kind, n)
                self.done[kind] += 1
            except Exception as e:
                self.failed.append(f"{kind} {n}: {e!r}")
            n += 1
            time.sleep(0.01)  # steady, and no more than the rates allow

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        for t in self.threads:
            t.join()

    def goes_on(self):
        """Until some more calls were answered."""
        before = dict(self.done)
        wait_until("calls are answered", lambda: self.failed or all(self.done[k] >= before[k] + 5 for k in before))
        expect("failed calls", self.failed[:5], [])


@story("instances of every kind come and go under steady calls, and none of the calls fails")
def up_and_down(s):
    once = {"membership": (1, 1), "activity": (1, 1), "care": (0, 0), "stream": (1, 1), "gateway": (1, 1), "edge": (1, 1)}
    expect("at first", numbers(s), once)
    with Callers(s) as callers:
        scale(s, "membership=3")
        expect("membership", (numbers(s)["membership"], running(s, "membership")), ((3, 3), [1, 2, 3]))
        callers.goes_on()
        scale(s, "gateway=3", "activity=2", "care=2", "stream=2", "edge=2")
        expect("all", numbers(s), {"membership": (3, 3), "activity": (2, 2), "care": (2, 2), "stream": (2, 2), "gateway": (3, 3), "edge": (2, 2)})
        callers.goes_on()
        scale(s, "gateway=1")
        expect("gateways", running(s, "gateway"), [1])
        callers.goes_on()
        scale(s, "care=0", "stream=0", "edge=0")
        expect("none of what others can do without", [running(s, name) for name in ("care", "stream", "edge")], [[], [], []])
        callers.goes_on()
        scale(s, "membership=1", "activity=1", "stream=1", "edge=1")
        expect("at last", numbers(s), once)
        expect("what runs", (running(s, "membership"), running(s, "activity")), ([1], [1]))
        callers.goes_on()
    s.call("GET", "/v1/organizations/43", token=s.api_key).ok()


@story("a gateway answers nobody before it knows Redis and the services: those who come early wait")
def early(s):
    token, answers = s.login("clerk"), []
    redis, old = s.kill("redis", signal.SIGSTOP), s.kill("gateway-1")
    try:
        wait_until("another gateway is started", lambda: s.pid("gateway-1") not in (None, old))
        caller = threading.Thread(target=lambda: answers.append(s.call("GET", "/v1/organizations/430102", token=token).status))
        caller.start()
        until = time.monotonic() + 1
        while time.monotonic() < until:
            expect("answers without Redis", answers, [])
            time.sleep(0.01)
    finally:
        os.kill(redis, signal.SIGCONT)
    caller.join(30)
    expect("answers", answers, [200])


@story("the instance that writes leaves too: the one that stays takes over, and no call fails")
def writer_leaves(s):
    scale(s, "membership=2", "activity=1", "gateway=1")
    s.kill("membership-1")
    wait_until("the first is back", lambda: numbers(s)["membership"] == (2, 2))
    status = lambda: {i["instance"]: i.get("mayWrite", False) for i in json.loads(subprocess.run(
        [os.path.join(BIN, "nuanxin"), "--var", s.var, "--json", "status"], capture_output=True, text=True).stdout)}
    wait_until("the second writes", lambda: status().get("membership-2"))
    with Callers(s) as callers:
        callers.goes_on()
        scale(s, "membership=1")
        callers.goes_on()
    assert status()["membership-1"]


@story("a gateway that dies alone is not missed at the door: who comes meanwhile is answered by the next one")
def at_the_door(s):
    scale(s, "gateway=1")
    dead = s.kill("gateway-1")
    connection = http.client.HTTPConnection("127.0.0.1", s.port, timeout=30)
    connection.request("GET", "/v1/organizations/43", headers={"Authorization": "Bearer " + s.api_key})
    expect("status", connection.getresponse().status, 200)
    connection.close()
    assert s.pid("gateway-1") != dead


@story("without operands it says what there is; wrong ones change nothing and are one clear line")
def words(s):
    lines = [line.split() for line in scale(s).splitlines()]
    expect("the table", lines, [["NAME", "INSTANCES", "READY", "MOST"], *([name, n, n, "8"] for name, n in (("membership", "1"), ("activity", "1"), ("care", "0"), ("stream", "1"), ("gateway", "1"), ("edge", "1")))])
    for wrong, wanted in ((["membreship=2"], "membreship=2: give membership=N, activity=N, care=N, stream=N"), (["membership"], "from 1 to 8"),
                          (["membership=0"], "from 1 to 8"), (["membership=9"], "from 1 to 8"), (["membership=2x"], "from 1 to 8"),
                          (["membership=2", "redis=2"], "redis=2: give"), (["a b"], "give names and numbers")):
        line = scale(s, *wrong, status=1)
        assert wanted in line and line.count("\n") == 1, f"{wrong}: {line}"
    expect("unchanged", numbers(s)["membership"], (1, 1))
    with tempfile.TemporaryDirectory(dir="/tmp") as empty:
        line = scale(empty, status=1)
        assert f"no runner is in {empty}: start the stack with `make run`" in line, line
        line = scale(os.path.join(empty, "x" * 120), status=1)
        assert "too long" in line, line


@story("an instance that can't start: the operator hears why, it is tried again, and fewer may be wanted")
def does_not_start(s):
    scale(s, "membership=1")
    keyring = os.path.join(s.var, "keys", "keyring")
    os.chmod(keyring, 0o644)
    line = scale(s, "membership=2", status=1)
    assert "membership-2 does not start" in line and "for its owner only" in line, line
    expect("still serving", numbers(s)["membership"], (2, 1))
    os.chmod(keyring, 0o600)
    wait_until("it starts by itself", lambda: numbers(s)["membership"] == (2, 2), 20)
    os.chmod(keyring, 0o644)
    scale(s, "membership=3", status=1)
    scale(s, "membership=1")
    expect("what runs", running(s, "membership"), [1])
    os.chmod(keyring, 0o600)


@story("the runner's socket is the operator's alone, and nonsense on it ends that connection only")
def socket_of_its_own(s):
    path = os.path.join(s.var, "runner.sock")
    expect("mode", oct(stat.S_IMODE(os.stat(path).st_mode)), "0o600")
    for nonsense in (b"\n", b"x" * 1000, b"scale " + b"\xff" * 40 + b"\n", b"rule the world\n", b"scale  membership=2\n"):
        with socket.socket(socket.AF_UNIX) as c:
            c.settimeout(10)
            c.connect(path)
            c.sendall(nonsense)
            c.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while part := c.recv(4096):
                    answer += part
            except ConnectionResetError:
                pass
            assert answer == b"" or answer.startswith(b"refused "), answer
    many = [socket.socket(socket.AF_UNIX) for _ in range(8)]
    for c in many:
        c.connect(path)
    for c in many:
        c.close()
    wait_until("there is room again", lambda: subprocess.run([os.path.join(BIN, "nuanxin"), "--var", s.var, "scale"],
                                                             capture_output=True).returncode == 0)
    expect("unchanged", numbers(s)["membership"], (1, 1))


@story("all are restarted one after the other under steady calls, or those that are named, and none of the calls fails")
def restarted(s):
    order = ["stream", "activity", "care", "membership", "gateway", "edge"]
    scale(s, *(f"{n}=2" for n in order))
    names = [f"{n}-{i}" for n in order for i in (1, 2)]
    before = {n: s.pid(n) for n in names}
    with Callers(s) as callers:
        callers.goes_on()
        said = s.cli("restart").stdout.splitlines()
        expect("restarted", sorted(said), sorted(f"{n} is back" for n in names))
        expect("the order", [line.split("-")[0] for line in said[::2]], order)
        callers.goes_on()
    after = {n: s.pid(n) for n in names}
    assert all(after[n] not in (None, before[n]) for n in names), (before, after)
    expect("one", s.cli("restart", "gateway-2").stdout, "gateway-2 is back\n")
    r = s.cli("restart", "gateway-9", check=False)
    expect("status and line", (r.returncode, r.stderr), (1, "gateway-9: no such instance runs here\n"))


@story("a number that was asked for ends with the runner: the next start begins as its options say")
def next_start(s):
    scale(s, "activity=2")
    s.restart()
    expect("instances", numbers(s)["activity"], (1, 1))


if __name__ == "__main__":
    main(Stack(gateway_options=["--rate-scale=100"]))
