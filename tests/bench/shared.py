# SPDX-License-Identifier: Apache-2.0
"""What is measured of the stores on PostgreSQL: reads beside SQLite; check-ins beside their own statements, driven straight
by pgbench; two instances beside one.
"""
import json
import os
import re
import subprocess

from bench import parts, processes
from bench.parts import figure, interleaved
from support import postgres
from support.story import wait_until
from support.world import make_activity

DIRECT, MEMBERS, ACTIVITIES = "activity_direct", 50000, 10  # pgbench's own copy, and whom it checks in where
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def part_pg_read():
    print("GET one member by 10,000 sessions on PostgreSQL, against the same on SQLite", flush=True)
    with parts.stack("sqlite") as a, parts.stack("postgresql") as b:
        sqlite, shared = (parts.World(s).reads(name) for s, name in ((a, "reads-sqlite"), (b, "reads-postgresql")))
        for s, reads in ((a, sqlite), (b, shared)):
            parts.wrk(s.port, reads, 2)  # warm
        theirs, ours = interleaved(lambda: parts.wrk(a.port, sqlite), lambda: parts.wrk(b.port, shared))
    figure("pg_read_vs_sqlite", ours / theirs, 0.4, 0.8, note=f"{ours:.0f}/s against {theirs:.0f}/s")


# --- check-ins, and what PostgreSQL itself makes of their statements ------------------------------------------------------


def logged(s, action):
    """What the server logs of the activity service while action() happens: [(process, text, [parameters])]."""
    path = os.path.join(s.database.folder, "log")
    s.database.sql("ALTER SYSTEM SET log_statement = 'all'")
    s.database.sql("ALTER SYSTEM SET log_line_prefix = '%p %d %a: '")
    s.database.sql("SELECT pg_reload_conf()")
    at = os.path.getsize(path)
    # Each process of the server takes the settings when it next waits for a statement.
    wait_until("the server logs the service's statements", lambda: len(re.findall(r" activity nuanxin: LOG:  execute", tail(path, at))) > 50, 30)
    at = os.path.getsize(path)
    action()
    s.database.sql("ALTER SYSTEM RESET log_statement")
    s.database.sql("SELECT pg_reload_conf()")
    found = []
    for line in tail(path, at).splitlines():
        m = re.match(r"(\d+) activity nuanxin: (?:LOG:  execute \S+: (.*)|DETAIL:  parameters: (.*))$", line)
        if m and m.group(2):
            found.append((m.group(1), m.group(2), []))
        elif m:
            mine = next(x for x in reversed(found) if x[0] == m.group(1))
            mine[2].extend(v.replace("''", "'") for v in re.findall(r"\$\d+ = '((?:[^']|'')*)'", m.group(3)))
    return found


def tail(path, at):
    with open(path) as f:
        f.seek(at)
        return f.read()


def transaction(statements, word):
    """The statements, from its BEGIN to its COMMIT, of the one transaction in which `word` stands."""
    who = next(p for p, text, _ in statements if word in text)
    mine, open_ = [], []
    for p, text, values in statements:
        if p != who:
            continue
        open_ = [] if text.startswith("BEGIN") else open_
        open_.append((text, values))
        if text == "COMMIT" and any(word in t for t, _ in open_):
            mine = open_
    assert mine, "the log holds no whole transaction with " + word
    return mine


def expression(kind, variable):
    """An id that pgbench can count up, made where it is used."""
    return f"('01a20000-0000-7000-{kind}-' || lpad(to_hex(:{variable}::bigint), 12, '0'))"


def script(statements, activity, member, again):
    """The statements as a pgbench script: the member, the activity and what is new in each check-in (what does not stand in
    the other one's, `again`) are counted up, all other values are as they were."""
    seen = {u for _, values in again for v in values for u in UUID.findall(v)}

    def value(v):
        ids = [] if v.startswith("\\x") else UUID.findall(v)
        if not ids:
            return "'" + v.replace("'", "''") + "'"
        by = {activity: expression("9000", "activity"), member: expression("8000", "member")}.get(ids[0])
        if not by and ids[0] not in seen:
            by = expression("a000", "x")
        return f"'{v}'" if not by else by if v == ids[0] else f"('{v[:-36]}' || {by})"

    lines = [f"\\set n :n + 1\n\\set x :first + :n * :clients + :client_id\n\\set member :x % {MEMBERS}\n\\set activity :x / {MEMBERS}"]
    for text, values in statements:
        lines.append(re.sub(r"\$(\d+)", lambda m: value(values[int(m.group(1)) - 1]), text) + ";")
    return "\n".join(lines) + "\n"


def copy_rows(s, table, kind, n, pattern):
    """n more rows like the one with the id `pattern`, with ids that expression() makes."""
    columns = [c for c in s.columns("activity", table) if c != "id"]
    s.database.sql(f"INSERT INTO {table} (id, {', '.join(columns)}) SELECT '01a20000-0000-7000-{kind}-' || lpad(to_hex(g), 12, '0'), "
                   f"{', '.join(columns)} FROM {table}, generate_series(0, {n - 1}) AS g WHERE id = '{pattern}'", DIRECT)


def direct_copy(s, activity, member):
    """A copy of the activity service's database, with people whom pgbench can count."""
    at = ["-h", s.database.socket, "-p", str(s.database.port), "-U", "admin"]
    s.database.sql(f"CREATE DATABASE {DIRECT} OWNER {postgres.ROLE}")
    dump = subprocess.run([postgres.BIN + "pg_dump", *at, "activity"], capture_output=True, check=True).stdout
    subprocess.run([postgres.BIN + "psql", "-Xq", "-v", "ON_ERROR_STOP=1", *at, "-d", DIRECT], input=dump, stdout=subprocess.DEVNULL, check=True)
    copy_rows(s, "member", "8000", MEMBERS, member)
    copy_rows(s, "activity", "9000", ACTIVITIES, activity)
    s.database.sql("VACUUM ANALYZE", DIRECT)


class Direct:
    """pgbench with as many connections as the service writes through, with their settings; a round after the other."""

    def __init__(self, s, path, connections):
        self.s, self.path, self.connections, self.first = s, path, connections, 0

    def round(self, seconds=parts.SECONDS):
        settings = "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan -c jit=off -c lock_timeout=500"
        r = subprocess.run([postgres.BIN + "pgbench", "-n", "-M", "prepared", "-c", str(self.connections), "-j1", "-T", str(seconds), "-f", self.path,
                            "-D", f"first={self.first}", "-D", "n=0", "-D", f"clients={self.connections}", "--max-tries=100",
                            "-h", self.s.database.socket, "-p", str(self.s.database.port), "-U", "admin", DIRECT],
                           capture_output=True, text=True, env={**os.environ, "PGOPTIONS": settings})
        tps = re.search(r"^tps = ([\d.]+) \(without", r.stdout, re.M)
        done = re.search(r"number of transactions actually processed: (\d+)", r.stdout)
        assert r.returncode == 0 and tps and done and int(done.group(1)), r.stdout + r.stderr
        self.first += int(done.group(1)) + 20 * 100 * self.connections  # a client may have been ahead of the others
        assert self.first < MEMBERS * ACTIVITIES, "pgbench needs more pairs of members and activities"
        return {"rate": float(tps.group(1))}


def write_connections(s, service):
    pid = processes.children(s)[service + "-1"]
    return sum(processes.read(f"/proc/{pid}/task/{t}/comm").strip() == "write" for t in os.listdir(f"/proc/{pid}/task"))


def part_pg_checkin():
    print("check-ins on PostgreSQL, durable, through the gateway, against their statements straight from pgbench", flush=True)
    with parts.stack("postgresql") as s:
        world = parts.World(s)
        activity, pairs = make_activity(s, world.admin, mode="ONLINE")["id"], list(zip(world.members, world.tokens))

        def check_in(i):
            body = {"online": pairs[i][0]["id"]}
            s.call("POST", f"/v1/activities/{activity}/checkins", body, token=pairs[i][1]).ok()

        check_in(0)  # statements have been prepared
        one, again = (transaction(logged(s, lambda n=n: check_in(n)), "INSERT INTO attendance") for n in (1, 2))
        assert [t for t, _ in one] == [t for t, _ in again], "two check-ins issue different statements"
        path = os.path.join(parts.OUT, "checkin.pgbench")
        with open(path, "w") as f:
            f.write(script(one, activity, pairs[1][0]["id"], again))
        direct_copy(s, activity, pairs[1][0]["id"])
        direct = Direct(s, path, write_connections(s, "activity"))
        direct.round(2)  # warm
        per_round = 1 + 10000 * parts.SECONDS // len(pairs)
        files = iter([parts.write_requests(f"pg-checkins{n}", parts.checkin_rows(world, per_round)) for n in range(parts.ROUNDS + 1)])
        parts.wrk(s.port, next(files), 2, "once")  # warm
        theirs, ours = interleaved(direct.round, lambda: parts.wrk(s.port, next(files), parts.SECONDS, "once"))
        kept = int(s.database.sql("SELECT count(*) FROM attendance WHERE activity LIKE '01a20000-0000-7000-9000-%'", DIRECT))
    assert kept > theirs * parts.SECONDS, f"pgbench has checked in {kept}: its script does something else"
    figure("pg_checkin_vs_pgbench_like", ours / theirs, 0.5, 1,
           note=f"{ours:.0f}/s against {theirs:.0f}/s of {len(one)} statements over {direct.connections} connections; build/bench/checkin.pgbench")


# --- two instances --------------------------------------------------------------------------------------------------------


def pin(s, names):
    """Each instance on a core of its own."""
    for core, name in zip(sorted(os.sched_getaffinity(0)), names):
        pid = processes.children(s)[name]
        for task in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(task), {core})


class SignIns:
    """Passwords are hashed in a service's slow lane, one thread an instance, 50 ms each: so there the service is what ends
    first, on two cores too. Each person signs in 20 times at most, from addresses behind a proxy, a few times each."""

    def __init__(self, s, people=100):
        self.s, self.next, self.people = s, 0, people
        admin = s.login("admin")
        for i in range(people):
            account = {"login": f"bench{i}", "organization": "430102", "grants": [{"role": "ROLE_STAFF", "organization": "430102"}]}
            s.call("POST", "/v1/accounts", {"account": account, "password": "correct-horse-battery"}, token=admin).ok()

    def round(self, name):
        rows = []
        for _ in range(60 * parts.SECONDS):
            i, self.next = self.next, self.next + 1
            body = json.dumps({"login": f"bench{i % self.people}", "password": "correct-horse-battery"})
            rows.append(("POST", "/v1/sessions", "", body, f"Forwarded: for=10.{i // 62500 % 250}.{i // 250 % 250}.{i % 250}"))
        path = parts.write_requests(name, rows)
        result = parts.wrk(self.s.port, path, parts.SECONDS, "once", connections=4)
        self.next += result["done"] - len(rows) + 4
        return result


def part_instances():
    print("two pinned instances of membership against one, on PostgreSQL, at what one instance does with one thread: sign-ins", flush=True)
    options = {"gateway_options": ["--trusted-proxy=127.0.0.1/32"]}
    with parts.stack("postgresql", **options) as a, parts.stack("postgresql", instances={"membership": 2}, **options) as b:
        pin(a, ["membership-1"])
        pin(b, ["membership-1", "membership-2"])
        one, two = SignIns(a), SignIns(b)
        theirs, ours = interleaved(lambda: one.round("signins-one"), lambda: two.round("signins-two"))
    figure("two_instances_vs_one", ours / theirs, note=f"{ours:.1f}/s against {theirs:.1f}/s sign-ins, each instance pinned to a core")
