#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make soak: the stack at half of its maximum for MINUTES, and whether it stays as it was: memory, descriptors, threads,
latencies, Redis, the write-ahead log and the lag of what follows. Ends non-zero if something is not flat.

    tests/bench/soak.py 30                   reads, pages, check-ins, registrations, sign-ins and sign-outs, all at once
    tests/bench/soak.py 30 postgresql        on PostgreSQL
    tests/bench/soak.py --detach 30          in the background, telling build/soak.log; ends with a line `soak: flat` or not
    tests/bench/soak.py --judge              what build/soak.jsonl says up to now, also of a soak that goes on

First the maximum of the mixed load is measured for some seconds. A soak of ten minutes or more warms up for eleven at half of
it, since only from the tenth on the gateway's stored answers are swept, and measures the maximum anew. Then each interval is a line of build/soak.jsonl; the
curves stand in build/soak.svg, drawn anew every few intervals. Flat: the slope over the last two thirds (the median of
the slopes between all pairs, so that a hiccup counts little), times their length, stays within the bounds of JUDGED.
"""
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)
sys.path.insert(0, os.path.join(ROOT, "tests"))
from bench import curves, parts, processes  # noqa: E402
from support.world import make_activity  # noqa: E402

LOG, LINES, PICTURE = "build/soak.log", "build/soak.jsonl", "build/soak.svg"
MIX = {"read": 60, "page": 20, "checkin": 12, "registration": 5, "session": 3}  # parts of 100
ORDERS = {"read": "random", "page": "random", "checkin": "once", "registration": "once", "session": "random"}
CONNECTIONS = {"read": 24, "page": 8, "checkin": 16, "registration": 8, "session": 4, "login": 2}
WARM_MINUTES = 11
LOGINS = 1.0  # by password, and as many sign-outs: what one address may do, and a twentieth of a core
# What is judged: for its name's beginning, how much it may drift, as a part of its median and as an amount, whichever is more.
JUDGED = {
    "MiB of ": (0.05, 4.0), "descriptors of ": (0.02, 3.0), "threads of ": (0.0, 0.5), "processes of ": (0.1, 3.0), "p50 ms of ": (0.25, 0.3),
    "p99 ms of ": (0.5, 3.0), "Redis MiB": (0.05, 2.0), "WAL MiB": (0.25, 16.0), "events behind": (0.5, 2000.0),
}


# --- the load ---------------------------------------------------------------------------------------------------------


class Mix:
    """The mixed load: what is fired in each interval, never the same check-in or registration twice."""

    def __init__(self, world):
        self.world = world
        self.fresh = {"checkin": self.pairs(), "registration": self.pairs()}
        villages = parts.villages()
        parents = random.Random(5).sample(sorted({v[:9] for v in villages}), 2000)
        self.fixed = {
            "read": world.reads(),
            "page": parts.write_requests("soak-page", [
                ("GET", f"/v1/organizations?parent={p}&pageSize=50" if i % 2 else f"/v1/campaigns/{world.s.campaign}/counts?organization={p}",
                 world.keys[i % len(world.keys)], "") for i, p in enumerate(parents)]),
            "session": parts.write_requests("soak-session", [
                ("POST", "/v1/sessions:exchange", world.keys[i % len(world.keys)], '{"member":"%s"}' % m["id"])
                for i, m in enumerate(world.members)]),
            "login": parts.write_requests("soak-login", [
                ("POST", "/v1/sessions", "", json.dumps({"login": f"soak{i}", "password": "correct-horse-battery"}),
                 f"Forwarded: for=10.1.{i}.1") for i in range(20)]),
        }
        for i in range(20):
            account = {"login": f"soak{i}", "organization": "430102", "grants": [{"role": "ROLE_STAFF", "organization": "430102"}]}
            world.s.call("POST", "/v1/accounts", {"account": account, "password": "correct-horse-battery"}, token=world.admin).ok()

    def pairs(self):
        """(activity, member, token) without end."""
        while True:
            activity = make_activity(self.world.s, self.world.admin, mode="ONLINE")["id"]
            for m, t in zip(self.world.members, self.world.tokens):
                yield activity, m["id"], t

    def rows(self, kind, n):
        what, field = ("checkins", "online") if kind == "checkin" else ("registrations", "member")
        for _ in range(n):
            activity, member, token = next(self.fresh[kind])
            yield "POST", f"/v1/activities/{activity}/{what}", token, '{"%s":"%s"}' % (field, member)

    def file(self, kind, n):
        return self.fixed.get(kind) or parts.write_requests("soak-" + kind, self.rows(kind, n))

    def maximum(self, seconds):
        """Requests a second of the mix (but for sign-ins with a password) as fast as they are answered."""
        rng, at_most = random.Random(6), 20000 * seconds
        lines = {}
        for kind, share in MIX.items():
            with open(self.file(kind, at_most * share // 100)) as f:
                lines[kind] = f.read().splitlines()
        mixed = [rng.choice(lines[k]) if ORDERS[k] == "random" else lines[k].pop()
                 for k in rng.choices(list(MIX), [0.98 * share for share in MIX.values()], k=at_most) if lines[k]]
        path = parts.write_requests("soak-mixed", (line.split("\t") for line in mixed))
        return parts.wrk(self.world.s.port, path, seconds, "once")["rate"]

    def fire(self, rate, seconds):
        """Starts each kind's wrk: [(kind, process)]."""
        started = []
        for kind in (*MIX, "login"):
            its = 2 * LOGINS if kind == "login" else rate * MIX[kind] / 100
            script = "sessions" if kind in ("session", "login") else "requests"
            command = ["wrk", "-t1", f"-c{CONNECTIONS[kind]}", f"-d{seconds}s", "-s", f"tests/bench/{script}.lua", f"http://127.0.0.1:{self.world.s.port}/"]
            env = {**os.environ, "REQUESTS": self.file(kind, int(its * seconds * 1.05) + 1), "ORDER": ORDERS.get(kind, "once"), "RATE": f"{its:.3f}"}
            started.append((kind, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)))
        return started


# --- one interval -------------------------------------------------------------------------------------------------------


def held(pid):
    """(KiB of memory, descriptors, threads) of a process."""
    pss = next(int(line.split()[1]) for line in processes.read(f"/proc/{pid}/smaps_rollup").splitlines() if line.startswith("Pss:"))
    return pss, len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))


def held_yet(pid):
    """None if it has ended: the server's helpers come and go."""
    try:
        return held(pid)
    except OSError:
        return None


def folder_mib(path):
    """Of files that come and go."""
    total = 0
    for e in os.scandir(path):
        with contextlib.suppress(FileNotFoundError):
            total += e.stat().st_size if e.is_file() else 0
    return total / 2**20


def behind(s):
    """Events that those who follow have still to apply, the most of any; and on PostgreSQL those that have no number yet."""
    every = [c for i in json.loads(s.cli("status", "--json").stdout) for c in i.get("consumers", [])]
    arrived = [s.rows(service, "SELECT COUNT(*) FROM rpc_arrival")[0][0] for service in processes.services(s)] if s.database else []
    return max([int(c.get("head", 0)) - int(c.get("position", 0)) for c in every] + arrived)


def sample(s):
    """name → value of all that is looked at."""
    values = {}
    for name, pid in processes.children(s).items():
        pss, descriptors, threads = held(pid)
        values.update({f"MiB of {name}": pss / 1024, f"descriptors of {name}": descriptors, f"threads of {name}": threads})
    values["Redis MiB"] = int(processes.redis_info(s)["used_memory"]) / 2**20
    values["events behind"] = behind(s)
    if s.database:
        found = list(filter(None, map(held_yet, processes.postgres.processes(s.database.data))))
        values["MiB of postgresql"] = sum(pss for pss, _, _ in found) / 1024
        values["processes of postgresql"] = len(found)
        values["WAL MiB"] = folder_mib(os.path.join(s.database.data, "pg_wal"))
        values["store MiB"] = int(s.database.sql("SELECT sum(pg_database_size(oid)) FROM pg_database")) / 2**20
    else:
        files = [e for e in os.scandir(os.path.join(s.var, "store")) if e.is_file()]
        values["WAL MiB"] = sum(e.stat().st_size for e in files if e.name.endswith("-wal")) / 2**20
        values["store MiB"] = sum(e.stat().st_size for e in files if e.name.endswith(".db")) / 2**20
    return values


def interval(world, mix, rate, seconds):
    """One interval under load; what was seen in its middle and what its answers were."""
    started, before = mix.fire(rate, seconds), time.monotonic()
    time.sleep(seconds / 2)  # the pace of sampling
    values, done, wrong = sample(world.s), 0, 0
    for kind, process in started:
        output = process.communicate(timeout=seconds + 60)[0]
        result = parts.wrk_result(output)
        values.update({f"p50 ms of {kind}": result["p50"] / 1000, f"p99 ms of {kind}": result["p99"] / 1000})
        done, wrong = done + result["done"], wrong + result["wrong"]
    values["requests/s"] = done / (time.monotonic() - before)
    values["wrong answers"] = wrong
    return values


# --- the judgement --------------------------------------------------------------------------------------------------------


def drift(points):
    """How much a series moves over its last two thirds, by the median slope of all pairs; and its median there."""
    late = points[len(points) // 3:]
    slopes = [(v - u) / (n - m) for i, (m, u) in enumerate(late) for n, v in late[i + 1:]]
    middle = statistics.median(v for _, v in late)
    return (statistics.median(slopes) if slopes else 0.0) * (late[-1][0] - late[0][0]), middle


def judge(lines):
    """[(name, drift, median, allowed, flat)] of all that is judged, the worst first."""
    found = []
    for name in lines[-1]["values"]:
        bound = next((b for start, b in JUDGED.items() if name.startswith(start)), None)
        points = series(lines, name)
        if not bound or len(points) < 6:
            continue
        moved, middle = drift(points)
        allowed = max(bound[0] * middle, bound[1])
        # What shrinks or gets faster is no leak.
        found.append((name, moved, middle, allowed, moved <= allowed))
    return sorted(found, key=lambda x: -x[1] / x[3])


def series(lines, name):
    return [(x["minute"], x["values"][name]) for x in lines if name in x["values"]]


def draw(lines, heading, minutes):
    def of(start, label=""):
        return {name[len(start):] or label: series(lines, name) for name in lines[-1]["values"] if name.startswith(start)}

    memory = of("MiB of ")
    database = {"all its processes": memory.pop("postgresql")} if "postgresql" in memory else {}
    panels = [("requests a second", of("requests/s", "all")), ("latency p50, ms", of("p50 ms of ")), ("latency p99, ms", of("p99 ms of ")),
              ("memory (PSS), MiB", memory), ("memory of postgresql (PSS), MiB", database), ("open descriptors", of("descriptors of ")), ("threads; processes of postgresql", {**of("threads of "), **of("processes of ")}),
              ("Redis, memory used, MiB", of("Redis MiB", "used")), ("write-ahead logs, MiB", of("WAL MiB", "all")),
              ("events behind (outbox lag)", of("events behind", "most of any")), ("stores, MiB (they grow)", of("store MiB", "all"))]
    panels = [p for p in panels if p[1]]
    for panel in panels:
        if "login" in panel[1] and panel[0].startswith("latency"):
            panel[1].pop("login")  # a password's hash takes 50 ms by design: drawn beside the others they would be one line
    panels.append(("latency of signing in with a password, ms", {p: series(lines, f"{p} ms of login") for p in ("p50", "p99")}))
    with open(PICTURE + ".new", "w") as f:
        f.write(curves.picture(heading, panels, minutes))
    os.replace(PICTURE + ".new", PICTURE)


def conclude():
    """Judges and draws what the lines say; whether all is flat."""
    with open(LINES) as f:
        head, *lines = [json.loads(line) for line in f]
    if not lines:
        print("soak: nothing has been measured yet")
        return False
    wrong = sum(x["values"]["wrong answers"] for x in lines)
    requests = statistics.mean(x["values"]["requests/s"] for x in lines)
    heading = f"{lines[-1]['minute']:.1f} of {head['minutes']:g} minutes on {head['engine']}, {requests:,.0f} requests a second: half of {head['maximum']:,.0f}"
    draw(lines, heading, head["minutes"])
    print(heading)
    verdicts = judge(lines)
    for name, moved, middle, allowed, flat in verdicts:
        print(f"  {'ok  ' if flat else 'NOT '} {name:32} median {middle:12.2f}   drift {moved:+10.2f}   at most {allowed:+8.2f}")
    print(f"  {'ok  ' if not wrong else 'NOT '} wrong answers: {wrong}")
    flat = bool(verdicts) and all(v[4] for v in verdicts) and not wrong
    print(f"soak: {'flat' if flat else 'NOT flat' if verdicts else 'too short to judge'}; {PICTURE}", flush=True)
    return flat


# --- the run ----------------------------------------------------------------------------------------------------------------


def warm_up(world, mix, maximum, seconds):
    """As long as the store is younger than what it keeps, its load still grows. The maximum of the grown store."""
    began = time.monotonic()
    while (left := WARM_MINUTES * 60 - (time.monotonic() - began)) > 0:
        print(f"soak: warming up at {maximum / 2:.0f}/s, {left:.0f} s left", flush=True)
        interval(world, mix, maximum / 2, seconds)
    return mix.maximum(3 * parts.SECONDS)


def soak(minutes, engine):
    seconds = max(3, min(30, round(minutes)))
    with parts.stack(engine, gateway_options=["--trusted-proxy=127.0.0.1/32"]) as s, open(LINES, "w") as out:
        world = parts.World(s)
        mix = Mix(world)
        parts.wrk(s.port, world.reads(), 2)  # warm
        maximum = mix.maximum(parts.SECONDS)
        if minutes >= 10:
            maximum = warm_up(world, mix, maximum, seconds)
        out.write(json.dumps({"engine": engine, "minutes": minutes, "maximum": maximum, "interval": seconds, "mix": MIX}) + "\n")
        print(f"soak: the maximum of the mix is {maximum:.0f}/s; now half of it for {minutes:g} minutes, a line each {seconds} s", flush=True)
        began, n = time.monotonic(), 0
        while time.monotonic() - began < minutes * 60:
            minute = (time.monotonic() - began + seconds / 2) / 60
            values = interval(world, mix, maximum / 2, seconds)
            out.write(json.dumps({"minute": round(minute, 3), "values": {k: round(v, 4) for k, v in values.items()}}) + "\n")
            out.flush()
            print(f"{minute:6.1f} min {values['requests/s']:8.0f}/s  p99 of reads {values['p99 ms of read']:.2f} ms, of check-ins "
                  f"{values['p99 ms of checkin']:.2f} ms; {values['events behind']:.0f} events behind; {values['wrong answers']} wrong", flush=True)
            n += 1
            if n % 5 == 0:
                with open(LINES) as f:
                    draw([json.loads(line) for line in f][1:], f"{minute:.0f} of {minutes:g} minutes on {engine}", minutes)


def main():
    words = sys.argv[1:]
    detach, only_judge = (w in words and not words.remove(w) for w in ("--detach", "--judge"))
    if "--help" in words or len(words) > 2 or (words and not words[0].replace(".", "", 1).isdigit()):
        print(__doc__)
        sys.exit(0 if "--help" in words else 2)
    minutes, engine = float(words[0]) if words else 30.0, "postgresql" if words[1:] and words[1].startswith("postgresql") else "sqlite"
    os.makedirs(parts.OUT, exist_ok=True)
    if detach:
        with open(LOG, "w") as log:
            child = subprocess.Popen([sys.executable, os.path.abspath(__file__), *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True)
        print(f"soak: process {child.pid} goes on alone; read {LOG}, see {PICTURE}; tests/bench/soak.py --judge tells how it stands")
        return
    if not only_judge:
        soak(minutes, engine)
    sys.exit(0 if conclude() else 1)


main()
