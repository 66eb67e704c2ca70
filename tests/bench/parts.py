# SPDX-License-Identifier: Apache-2.0
"""What make bench measures, a function a part."""
import contextlib
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import time

from bench import processes
from support import postgres, stack as stack_module
from support.people import csv_of, person
from support.stack import ROOT, Stack, free_port
from support.story import wait_until
from support.world import make_activity, make_members, operation_done

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))
GROWTH = int(os.environ.get("BENCH_GROWTH_MEMBERS", "3200000"))
SESSIONS = int(os.environ.get("BENCH_SESSIONS", "10000"))
BACKENDS = 8  # app backends that opened the sessions: each has a rate limit of its own, beside its sessions'
REVOCATION_BOUND_S = 5.0
# PostgreSQL of all that is measured on it; what is not here is Debian's: fsync, full_page_writes and synchronous_commit are on.
POSTGRES = {"shared_buffers": "256MB", "max_wal_size": "2GB", "min_wal_size": "512MB", "log_min_duration_statement": "-1"}
OUT = os.path.join(ROOT, "build", "bench")
figures = []


def figure(name, value, must=None, aim=None, smaller=False, note=""):
    ok = must is None or (value <= must if smaller else value >= must)
    figures.append({"name": name, "value": round(value, 4), "must": must, "aim": aim, "ok": ok, "note": note})
    print(f"  {name} {value:.3f}{f' (must {must}, aim {aim})' if must is not None else ''}  {note}", flush=True)


# --- tools ------------------------------------------------------------------------------------------------------


def connects(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def nginx():
    with tempfile.TemporaryDirectory(prefix="nxb", dir="/tmp") as folder:
        port = free_port()
        with open(os.path.join(ROOT, "tests/bench/nginx.conf")) as f:
            conf = f.read().replace("FOLDER", folder).replace("PORT", str(port))
        with open(folder + "/nginx.conf", "w") as f:
            f.write(conf)
        process = subprocess.Popen(["nginx", "-c", folder + "/nginx.conf", "-p", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until("nginx answers", lambda: connects(port), 10)
            yield port
        finally:
            process.terminate()
            process.wait()


class BenchStack(Stack):
    """On PostgreSQL: with a server as an operator would set it on a small machine."""

    def make_database(self):
        return postgres.Postgres(settings=POSTGRES, wal_segment_mib=16)


def stack(engine="sqlite", **options):
    return BenchStack(engine=engine, **options)


def wrk(port, requests, seconds=SECONDS, order="random", connections=64, rate=None):
    """rate: requests a second, evenly spaced; else as fast as they are answered."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", "tests/bench/requests.lua", f"http://127.0.0.1:{port}/"]
    r = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "REQUESTS": requests, "ORDER": order, "RATE": f"{rate:.3f}" if rate else ""})
    result = wrk_result(r.stdout + r.stderr)
    assert not result["wrong"], f"{result['wrong']} answers were refused or connections failed"
    if order == "once":
        with open(requests) as f:
            assert result["done"] < sum(1 for _ in f), f"all of {result['done']} requests were sent before the time was over"
    return result


def wrk_result(output):
    m = re.search(r"RESULT requests=(\d+) us=(\d+) status=(\d+) sockets=(\d+) p50=(\d+) p99=(\d+) bytes=(\d+)", output)
    assert m, output
    n, us, status, sockets, p50, p99, size = map(int, m.groups())
    return {"rate": n / (us / 1e6), "p50": p50, "p99": p99, "done": n, "bytes": size, "wrong": status + sockets}


def write_requests(name, rows):
    path = os.path.join(OUT, name)
    with open(path, "w") as f:
        f.writelines("\t".join(row) + "\n" for row in rows)
    return path


def interleaved(*measures):
    """Each measure in turn, ROUNDS times; the medians of their rates."""
    rates = [[] for _ in measures]
    for _ in range(ROUNDS):
        for i, measure in enumerate(measures):
            rates[i].append(measure()["rate"])
    return [statistics.median(r) for r in rates]


def ceiling(kind, *group):
    """Rows per second straight into SQLite by one thread: tests/bench/store_ceiling.c."""
    with tempfile.TemporaryDirectory(prefix="nxb", dir="/tmp") as folder:  # the same disk as the stacks'
        r = subprocess.run(["build/tests/bench/store_ceiling", kind, str(SECONDS), folder, *map(str, group)], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    return {"rate": json.loads(r.stdout.splitlines()[-1])["per_s"]}


def villages():
    with open(os.path.join(ROOT, "deploy/data/hunan-divisions.csv")) as f:
        return [line.split(",")[0] for line in f if ",village," in line]


# --- under load ---------------------------------------------------------------------------------------------------


class World:
    """A stack with 10,000 members and a session for each."""

    def __init__(self, s):
        self.s, self.admin = s, s.login("admin")
        rng, codes = random.Random(529), villages()
        self.members = make_members(s, self.admin, [person(i, rng.choice(codes)) for i in range(SESSIONS)])
        keys = self.keys = [json.loads(s.cli("client", "create", f"bench {i}", "app_backend@43", "--json").stdout)["apiKey"] for i in range(BACKENDS)]
        answers = s.load([("POST", "/v1/sessions:exchange", {"member": m["id"]}, {"Authorization": "Bearer " + keys[i % BACKENDS]})
                          for i, m in enumerate(self.members)], 64)
        self.tokens = [a.ok()["token"] for a in answers]

    def reads(self, name="reads"):
        return write_requests(name, [("GET", f"/v1/members/{m['id']}", t, "") for m, t in zip(self.members, self.tokens)])


def part_read(world):
    print("read: GET one member by 10,000 sessions, limits enforced, against nginx", flush=True)
    one, reads = write_requests("nginx", [("GET", "/", "", "")]), world.reads()
    with nginx() as port:
        wrk(world.s.port, reads, 3)  # warm
        theirs, ours = interleaved(lambda: wrk(port, one), lambda: wrk(world.s.port, reads))
    figure("read_vs_nginx", ours / theirs, 0.22, 0.5, note=f"{ours:.0f}/s against {theirs:.0f}/s")
    revocation(world)


def revocation(world):
    """Under load, a suspended member's session must be dead within its bound."""
    s, victim, token = world.s, world.members[0], world.tokens[0]
    others = write_requests("others", [("GET", f"/v1/members/{m['id']}", t, "") for m, t in zip(world.members[1:], world.tokens[1:])])
    load = subprocess.Popen(["wrk", "-t1", "-c32", "-d9s", "-s", "tests/bench/requests.lua", f"http://127.0.0.1:{s.port}/"],
                            stdout=subprocess.DEVNULL, env={**os.environ, "REQUESTS": others, "ORDER": "random"})
    try:
        path, last_alive = f"/v1/members/{victim['id']}", 0.0
        s.call("GET", path, token=token).ok()
        s.call("POST", path + ":suspend", token=world.admin).ok()
        began = time.monotonic()
        while time.monotonic() - began < REVOCATION_BOUND_S + 1:
            if s.call("GET", path, token=token).status == 200:
                last_alive = time.monotonic() - began
            time.sleep(0.025)  # a pace within the session's own rate
        assert last_alive < REVOCATION_BOUND_S, f"a revoked session lived for {last_alive:.2f} s"
        figure("revocation_s", last_alive, REVOCATION_BOUND_S, None, smaller=True, note="last answer to a revoked session, under load")
    finally:
        load.wait()


def checkin_rows(world, activities):
    rows = []
    for _ in range(activities):
        activity = make_activity(world.s, world.admin, mode="ONLINE")["id"]
        rows += [("POST", f"/v1/activities/{activity}/checkins", t, '{"online":"%s"}' % m["id"])
                 for m, t in zip(world.members[1:], world.tokens[1:])]
    return rows


def most_rows(seconds):
    """Activities that all check in at: more check-ins than can be done."""
    return 1 + 60000 * seconds // SESSIONS


def part_checkin(world):
    print("check-in: durable, through the gateway, against the same rows straight into SQLite", flush=True)
    def check_in(seconds=SECONDS):
        return wrk(world.s.port, write_requests("checkins", checkin_rows(world, most_rows(seconds))), seconds, "once")

    check_in(1)  # warm
    top, ours = interleaved(lambda: ceiling("checkin"), check_in)
    figure("store_ceiling_per_s", top, note="check-ins/s straight into SQLite: one thread, group commit, FULL")
    figure("checkin_vs_store", ours / top, 0.35, 0.6, note=f"{ours:.0f}/s")


def h2load_p99(arguments):
    log = os.path.join(OUT, "h2load.log")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(log)
    r = subprocess.run(["h2load", "--h1", "-t1", "-c20", "--rps=100", f"-D{SECONDS}", "--log-file=" + log, *arguments], capture_output=True, text=True)
    times = []
    with open(log) as f:
        for line in f:
            _, status, us = line.split("\t")[:3]
            assert status == "200", f"status {status}"
            times.append(int(us))
    assert len(times) > 1000, r.stdout + r.stderr
    return {"rate": sorted(times)[int(len(times) * 0.99)]}


def part_p99(world):
    print("p99 at a fixed 2,000/s, open loop, against nginx", flush=True)
    uris = os.path.join(OUT, "uris")
    with open(uris, "w") as f:
        f.writelines(f"http://127.0.0.1:{world.s.port}/v1/members/{m['id']}\n" for m in world.members[1:2001])
    with nginx() as port:
        theirs, ours = interleaved(lambda: h2load_p99([f"http://127.0.0.1:{port}/"]),
                                   lambda: h2load_p99(["-H", "Authorization: Bearer " + world.s.api_key, "-i", uris]))
    figure("read_p99_vs_nginx", ours / theirs, None, 2, smaller=True, note=f"{ours / 1000:.2f} ms against {theirs / 1000:.2f} ms")


# --- alone ----------------------------------------------------------------------------------------------------------


def pss_mib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1)) / 1024


def part_idle():
    print("memory: all processes of the stack, idle for 10 s after make demo", flush=True)
    with Stack() as s:
        subprocess.run([os.path.join(stack_module.BIN, "nuanxin-demo"), "--var", s.var], check=True, stdout=subprocess.DEVNULL)
        over = time.monotonic() + 10
        wait_until("10 s have passed", lambda: time.monotonic() > over, 20, 0.5)
        parts = {name: pss_mib(pid) for name, pid in sorted(processes.children(s).items())}
    figure("stack_idle_mib", sum(parts.values()), 60, 30, smaller=True, note=", ".join(f"{k} {v:.1f}" for k, v in parts.items()))


def redis_start():
    """Start of redis-server alone to its first PONG, polled each millisecond."""
    with tempfile.TemporaryDirectory(prefix="nxb", dir="/tmp") as folder:
        path, began = folder + "/r.sock", time.monotonic()
        p = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--dir", folder, "--save", ""], stdout=subprocess.DEVNULL)
        try:
            while True:
                with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as c:
                    c.connect(path)
                    c.sendall(b"PING\r\n")
                    if c.recv(7) == b"+PONG\r\n":
                        return time.monotonic() - began
                time.sleep(0.001)
        finally:
            p.terminate()
            p.wait()


def stack_start(s):
    """Start of the runner to its `ready` line, with the data there."""
    began = time.monotonic()
    p = subprocess.Popen([os.path.join(stack_module.BIN, "nuanxin-runner"), "--http", s.address, "--edge", s.edge, "--var", s.var],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    took = next((time.monotonic() - began for line in p.stdout if line.startswith("ready ")), None)
    p.send_signal(signal.SIGTERM)
    p.stdout.read()
    p.wait()
    assert took, "the stack does not start"
    return took


def part_ready():
    print("start: everything ready, against redis-server alone", flush=True)
    s = Stack()
    s.keep = True
    with s:
        pass
    ours, redis = [], []
    for _ in range(12):
        redis.append(redis_start())
        ours.append(stack_start(s))
    ours, redis = statistics.median(ours[1:]), statistics.median(redis[1:])  # the first warms
    figure("ready_vs_redis", ours / redis, 20, 5, smaller=True, note=f"{ours * 1000:.0f} ms against {redis * 1000:.1f} ms")


def import_organizations(s, token, rows=31691):
    """A new city and its counties: from the first byte sent to the durable end."""
    top = f"T{random.SystemRandom().getrandbits(40):010x}"
    lines = [f"{top},43,city,市"] + [f"{top}{i:06d},{top},county,组织{i}" for i in range(rows - 1)]
    csv, began = ("code,parent_code,level,name\n" + "\n".join(lines) + "\n").encode(), time.monotonic()
    r = s.call("POST", "/v1/organizations:import", csv, token=token, headers={"Content-Type": "text/csv"}).ok()
    done = operation_done(s, r, token)
    assert done["state"] == "SUCCEEDED" and done["rowsAccepted"] == rows, str(done)[:600]
    return {"rate": rows / (time.monotonic() - began)}


def import_members(s, token, first, rows, codes, grouped=False):
    """grouped: village by village, as associations send them; else at random over the province."""
    rng = random.Random(first)
    people = [person(first + i, rng.choice(codes)) for i in range(rows)]
    if grouped:
        people.sort(key=lambda p: p["organization"])
    csv = csv_of(people)
    began = time.monotonic()
    r = s.call("POST", "/v1/members:import?organization=43", csv, token=token, headers={"Content-Type": "text/csv"}).ok()
    done = operation_done(s, r, token, seconds=600)
    assert done["state"] == "SUCCEEDED" and done["rowsAccepted"] == rows, str(done)[:600]
    return {"rate": rows / (time.monotonic() - began), "done": rows}


def part_import():
    print("imports through the gateway, durable, against the same rows straight into SQLite", flush=True)
    with Stack() as s:
        admin, codes = s.login("admin"), villages()
        top, ours = interleaved(lambda: ceiling("organization"), lambda: import_organizations(s, admin))
        figure("org_import_vs_store", ours / top, 0.25, 0.7, note=f"{ours:.0f}/s against {top:.0f}/s")
        starts = iter(range(0, 10**7, 20000))
        top, ours = interleaved(lambda: ceiling("member"), lambda: import_members(s, admin, next(starts), 20000, codes))
        figure("member_import_vs_store", ours / top, 0.25, 0.7, note=f"{ours:.0f}/s against {top:.0f}/s")


def followed(s):
    """Counts and projections follow an import: reads are measured when they have caught up."""
    every = [c for i in json.loads(s.cli("status", "--json").stdout) for c in i.get("consumers", [])]
    return every and all(int(c.get("position", 0)) >= int(c.get("head", 0)) for c in every)


def reads_among(s, codes, name):
    """Requests for members of twenty townships, in no order."""
    wait_until("the consumers have caught up", lambda: followed(s), 300, 0.5)
    sample = []
    for code in random.Random(1).sample(sorted({c[:6] for c in codes}), 20):
        r = s.call("GET", f"/v1/members?organization={code}&pageSize=1000", token=s.api_key).ok()
        sample += [m["id"] for m in r.get("members", [])]
    random.Random(2).shuffle(sample)
    return write_requests(name, [("GET", f"/v1/members/{m}", s.api_key, "") for m in sample])


def grow(s, codes, to):
    admin, done, began = s.login("admin"), 0, time.monotonic()
    while done < to:
        n = min(200000, to - done)
        import_members(s, admin, done, n, codes, grouped=True)
        done += n
        took = time.monotonic() - began
        print(f"    {done:,} members, {done / took:.0f}/s, {(to - done) * took / done:.0f} s left", flush=True)


def part_growth():
    print(f"growth: read latency with {GROWTH:,} members over that with 32,000, measured in turn", flush=True)
    # One app backend asks as fast as it is answered: its limit is out of the way here.
    with Stack(gateway_options=["--rate-scale=100"]) as few, Stack(gateway_options=["--rate-scale=100"]) as many:
        codes, paths = villages(), []
        for s, members in ((few, 32000), (many, GROWTH)):
            grow(s, codes, members)
            paths.append((s.port, reads_among(s, codes, f"growth-{members}")))
        latency = lambda port, reads: {"rate": wrk(port, reads, 2, connections=4)["p50"]}
        small, large = interleaved(*[lambda p=p: latency(*p) for p in paths])
    figure("read_growth", large / small, 1.5, 1.1, smaller=True, note=f"{large} us against {small} us")


def count_instructions(name, reads):
    """Runs the stack with one process under callgrind, reads `reads` members, and takes the process's total."""
    real_bin = stack_module.BIN
    with tempfile.TemporaryDirectory(prefix="nxb", dir="/tmp") as folder:
        out = os.path.join(folder, "callgrind.out")
        for entry in os.listdir(real_bin):
            # The runner looks for its programs beside itself, so it must stand there as a file of its own.
            if entry == "nuanxin-runner":
                subprocess.run(["cp", os.path.join(real_bin, entry), folder], check=True)
            elif entry != "nuanxin-" + name:
                os.symlink(os.path.join(real_bin, entry), os.path.join(folder, entry))
        with open(os.path.join(folder, "nuanxin-" + name), "w") as f:
            f.write(f'#!/bin/sh\nexec valgrind -q --tool=callgrind --callgrind-out-file={out} {real_bin}/nuanxin-{name} "$@"\n')
        os.chmod(os.path.join(folder, "nuanxin-" + name), 0o755)
        stack_module.BIN = folder
        try:
            with Stack(gateway_options=["--threads=1"]) as s:
                member = make_members(s, s.login("admin"), [person(1, "430102001001")])[0]
                for _ in range(reads):
                    s.call("GET", f"/v1/members/{member['id']}", token=s.api_key).ok()
        finally:
            stack_module.BIN = real_bin
        with open(out) as f:
            return int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M).group(1))


def part_instructions():
    print("instructions of one read, by callgrind: the difference of two runs", flush=True)
    for name in ("gateway", "membership"):
        few, many = (count_instructions(name, n) for n in (1000, 4000))
        figure("instructions_per_read_" + name, (many - few) / 3000)
