# SPDX-License-Identifier: Apache-2.0
"""What a request costs, by part: steady loads one at a time, and the CPU time of each thread of each process divided by
the requests; what was sent to the disk; commits and syncs. Each load runs twice: as fast as it is answered, then at
half of that rate, where batches are smaller and a request is dearer. Capacity is planned with the latter.

What follows a request later (counts, projections, numbering) is its cost too: a measure ends when all has followed.
"""
import json
import os
import random
import time

from bench import care, parts, processes, streams
from support.agencies import Agency, taken_in
from support.oracle import Profile
from support.people import person
from support.story import wait_until
from support.world import make_activity

ENGINES = os.environ.get("BENCH_ENGINES", "sqlite,postgresql").split(",")
costs = []  # a row a load and pace
growth = []  # bytes a row of each table, by engine
ACCOUNTS = 40  # that sign in with a password: each may do so 20 times at once
IMPORTED = 20000
EVENTS = 500  # that an agency fetches at once


def followed(s):
    every = [c for i in json.loads(s.cli("status", "--json").stdout) for c in i.get("consumers", [])]
    if s.database and any(s.rows(service, "SELECT 1 FROM rpc_arrival LIMIT 1") for service in processes.services(s)):
        return False  # events that have no number yet
    return every and all(int(c.get("position", 0)) >= int(c.get("head", 0)) for c in every)


def settle(s):
    wait_until("the consumers have caught up", lambda: followed(s), 300, 0.2)


def commits_wait(s):
    """Seconds that write lanes have waited for their commits, by service."""
    waits = {}
    for name in processes.children(s):
        service = name.rsplit("-", 1)[0]
        if service in processes.SERVICES:
            waits[service] = waits.get(service, 0) + processes.total(processes.metrics(s, name), "nuanxin_commit_seconds_sum")
    return waits


class Idle:
    """What each part uses in a second without any request, and how much is committed: a leader keeps its lease."""

    def __init__(self, s, seconds=4):
        before, wal, over = processes.Usage(s), processes.wal(s), time.monotonic() + seconds
        wait_until("some idle seconds have passed", lambda: time.monotonic() > over, seconds + 5, 0.1)
        self.us = {part: us / seconds for part, us in processes.Usage(s).since(before)[0].items()}
        self.wal = [None if a is None else (b - a) / seconds for a, b in zip(wal, processes.wal(s))]


def measure(s, load, unloaded):
    """load() → {"rate", "done", …}. What it cost, a request, beyond what each part uses anyway."""
    settle(s)
    began = time.monotonic()
    wal, wait, before = processes.wal(s), commits_wait(s), processes.Usage(s)
    result = load()
    settle(s)
    cpu, written, threads = processes.Usage(s).since(before)
    wal = [None if a is None else b - a for a, b in zip(wal, processes.wal(s))]
    wait = {k: v - wait.get(k, 0) for k, v in commits_wait(s).items()}
    n = result["done"]
    assert n, "the machine was too busy for a single request"
    took = time.monotonic() - began
    wal = [None if a is None else max(0.0, a - b * took) for a, b in zip(wal, unloaded.wal)]
    cpu = {part: t - unloaded.us.get(part, 0) * took for part, t in cpu.items()}
    us = {part: t / n for part, t in sorted(cpu.items(), key=lambda kv: -kv[1]) if t / n > 0.005}
    row = {"rate": result["rate"], "requests": n, "us": us, "total_us": sum(us.values()),
           "written_bytes": {k: v / n for k, v in written.items() if v}, "commits": wal[2] / n, "syncs": wal[1] / n,
           "answer_bytes": result.get("bytes", 0) / n, "p50_us": result.get("p50"), "p99_us": result.get("p99")}
    if wal[0] is not None:
        row["wal_bytes"] = wal[0] / n
    row["first"], row["first_per_s"] = saturates(us, threads, wait, result["rate"], n, bool(processes.server(s)))
    return row


def saturates(us, threads, wait, rate, n, shared_store):
    """The part that ends first when nothing else does, with cores enough, and the rate at which it does: as many seconds
    a second as it has threads. A write lane is also taken while it waits for the disk. Beside PostgreSQL that waiting is
    the connections', which come by number; there the CPU counts."""
    ends = {}
    for part, cost in us.items():
        if part.startswith("postgresql"):
            continue  # a process a connection: the host's cores are its limit
        if part.endswith(" write") and not shared_store:
            cost = min(cost + wait.get(part.split()[0], 0) * 1e6 / n, 1e6 / rate)
        ends[part] = threads[part] * 1e6 / cost
    first = min(ends, key=ends.get)
    return first, ends[first]


# --- the loads ------------------------------------------------------------------------------------------------------


class Loads:
    """Names of requests' files to fire; what must be new in each run is made for each."""

    def __init__(self, world):
        self.world, self.number, self.codes, self.purse = world, 0, parts.villages(), care.Purse(world.s, care.BUDGETS)
        rng = random.Random(43)
        admin = world.admin
        self.accounts = []
        for i in range(ACCOUNTS):
            account = {"login": f"bench{i}", "organization": "430102", "grants": [{"role": "ROLE_STAFF", "organization": "430102"}]}
            world.s.call("POST", "/v1/accounts", {"account": account, "password": "correct-horse-battery"}, token=admin).ok()
            self.accounts.append(account["login"])
        self.parents = sorted({c[:n] for c in self.codes for n in (6, 9)})
        rng.shuffle(self.parents)

    def file(self, name, rows):
        self.number += 1
        return parts.write_requests(f"cost-{name}-{self.number}", rows)

    def keys(self, i):
        return self.world.keys[i % len(self.world.keys)]

    def activities(self, at_once):
        """As many open activities as the run can use up by `at_once` members a second each."""
        n = 1 + at_once * parts.SECONDS // len(self.world.members)
        return [make_activity(self.world.s, self.world.admin, mode="ONLINE")["id"] for _ in range(n)]

    def members(self):
        return zip(self.world.members, self.world.tokens)

    def member_read(self):
        return self.world.reads(), "random", 64

    def organization_page(self):
        rows = [("GET", f"/v1/organizations?parent={p}&pageSize=50", self.keys(i), "") for i, p in enumerate(self.parents[:2000])]
        return self.file("page", rows), "random", 64

    def counts_read(self):
        rows = [("GET", f"/v1/campaigns/{self.world.s.campaign}/counts?organization={p}", self.keys(i), "")
                for i, p in enumerate(self.parents[:2000])]
        return self.file("counts", rows), "random", 64

    def checkin(self):
        rows = [("POST", f"/v1/activities/{a}/checkins", t, '{"online":"%s"}' % m["id"]) for a in self.activities(60000) for m, t in self.members()]
        return self.file("checkin", rows), "once", 64

    def registration(self):
        rows = [("POST", f"/v1/activities/{a}/registrations", t, '{"member":"%s"}' % m["id"])
                for a in self.activities(60000) for m, t in self.members()]
        return self.file("registration", rows), "once", 64

    def exchange(self):
        rows = [("POST", "/v1/sessions:exchange", self.keys(i), '{"member":"%s"}' % m["id"]) for i, m in enumerate(self.world.members)]
        return self.file("exchange", rows), "random", 64

    def login(self):
        """From many addresses behind a proxy: few may come from one."""
        rows = [("POST", "/v1/sessions", "", '{"login":"%s","password":"correct-horse-battery"}' % who,
                 f"Forwarded: for=10.0.{i // 250}.{i % 250}") for i, who in enumerate(self.accounts * 20)]
        self.accounts = self.accounts[len(self.accounts) // 2:]  # the next run's have not been used up
        return self.file("login", rows[:len(rows) // 2]), "once", 4

    def transfer(self):
        """By turns money is reserved for somebody and paid."""
        return self.purse.requests("cost-transfer", parts.SECONDS), "once", 64


LOADS = ("member_read", "organization_page", "counts_read", "checkin", "registration", "exchange", "login", "transfer")


def agencies_read(s):
    """Four agencies, each under terms of its own, read the log from its beginning over ZeroMQ, over and over."""
    reader, head = streams.built("stream_agencies"), taken_in(s, 300)
    types = ["nuanxin.membership.v1.*", "nuanxin.activity.v1.*"]
    agencies = [Agency(s, Profile(f"reader-{i}", types=types, statutory=["oversight"], organizations=["43"], privacy="personal" if i % 2 else "",
                                  withheld=["nuanxin.activity.v1.CheckinRecorded.way"] if i > 1 else [])) for i in range(4)]
    keys = "".join(" ".join(a.curve) + "\n" for a in agencies)

    def load():
        began, n = time.monotonic(), 0
        while time.monotonic() < began + parts.SECONDS:
            n += sum(streams.said([reader, "catchup", s.edge_endpoint, s.edge_key, "json", str(EVENTS), str(head)], keys)["each"])
        return {"rate": n / EVENTS / (time.monotonic() - began), "done": n / EVENTS}

    return load


def part_cost():
    for engine in ENGINES:
        measure_all(engine)


def measure_all(engine):
    """Every load on this engine, and bytes a row of each table that has enough of them."""
    print(f"cost of a request by part, {engine}", flush=True)

    def note(name, pace, row):
        costs.append({"load": name, "engine": engine, "pace": pace, **row})
        show(costs[-1])

    with parts.stack(engine, instances={"care": 1}, gateway_options=["--trusted-proxy=127.0.0.1/32"]) as s:
        world = parts.World(s)
        loads = Loads(world)
        settle(s)
        unloaded = Idle(s)
        # Before the others: PostgreSQL would be vacuuming behind them meanwhile.
        note("member_import_row", "most", measure(s, lambda: parts.import_members(s, world.admin, 10**6, IMPORTED, loads.codes, grouped=True), unloaded))
        for name in LOADS:
            rate = None
            for pace in ("most", "half"):
                path, order, connections = getattr(loads, name)()
                if pace == "most":
                    parts.wrk(s.port, world.reads(), 1)  # what idle time let cool
                row = measure(s, lambda: parts.wrk(s.port, path, parts.SECONDS * (3 if name == "login" else 1), order, connections, rate), unloaded)
                rate = row["rate"] / 2
                note(name, pace, row)
        note("agency_fetch", "most", measure(s, agencies_read(s), unloaded))
        sizes = {f"{service}.{t}": {"rows": n, "bytes": size / n} for service in processes.services(s)
                 for t, (n, size) in processes.tables(s, service).items() if n >= 1000}
        redis, connections = processes.redis_info(s), processes.connections(s)
    keys = int(redis["db0"].split(",")[0].split("=")[1])
    growth.append({"engine": engine, "tables": sizes, "redis_bytes_a_session": int(redis["used_memory"]) / keys, "sessions": keys,
                   "connections": connections, "idle_us_a_second": unloaded.us})


def show(row):
    by = ", ".join(f"{k} {v:.1f}" for k, v in row["us"].items() if v > row["total_us"] / 100)
    print(f"  {row['engine']} {row['load']} ({row['pace']}, {row['rate']:.0f}/s): {row['total_us']:.1f} us = {by}", flush=True)
    wal = f", {row['wal_bytes']:.0f} of WAL" if "wal_bytes" in row else ""
    print(f"      {sum(row['written_bytes'].values()):.0f} bytes to disk{wal}, {row['commits']:.3f} commits, {row['syncs']:.3f} syncs; "
          f"first to saturate: {row['first']}, at {row['first_per_s']:.0f}/s", flush=True)
