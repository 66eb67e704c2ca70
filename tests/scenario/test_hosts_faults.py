#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Several hosts, each a network of its own: gateways, services, PostgreSQL and its synchronous standby, Redis and its
sentinels. Under a steady load each part is killed, frozen, cut off, slowed down and restarted in turn, and the primaries move.

Acknowledged check-ins: none lost, none doubled. Failed requests: none for a lost instance of a service; for a lost store or
Redis only until its failover ended, all as 503 with Retry-After.

make test runs a part of the stories, `make hosts` all of them.
"""
import contextlib
import os
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.hosts import Hosts, enter_namespaces  # noqa: E402
from support.load import Load, check_ledger  # noqa: E402
from support.people import person  # noqa: E402
from support.postgres import PASSWORD, ROLE, Postgres  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members, rfc3339  # noqa: E402

ALL = bool(os.environ.get("NX_HOSTS_ALL"))
PACE_S = 0.1     # between the check-ins of each of the workers
SETTLE_S = 3.0   # after a failover ended: what waited has been answered by then
FAULT_S = 4.0    # how long what is frozen, cut off or slow stays so


class Steady(Load):
    """Check-ins and reads at a steady pace. Each try that did not succeed is kept with its moment."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.tries = []

    def _check_in(self, activity, member):
        super()._check_in(activity, member)
        self._stop.wait(PACE_S)

    def _attempt(self, method, path, body=None, headers=None):
        deadline = time.monotonic() + 60
        while True:
            began = time.monotonic()
            try:
                r = self.stack.call(method, path, body, token=self.token, headers=headers)
                status, text = r.status, r.body[:300]
            except OSError as e:
                r, status, text = None, 0, repr(e)
            if status not in (0, 503) or time.monotonic() > deadline:
                return r, status, text
            self.tries.append((began, time.monotonic(), status, r.headers.get("Retry-After") if r else None, f"{method} {path} {text}"))
            time.sleep(0.1)

    def since(self, moment):
        return [t for t in self.tries if t[1] >= moment]


class Databases:
    """PostgreSQL twice: every commit waits for the standby. Who is what, and what an operator (or Patroni) does about it."""

    def __init__(self, s):
        self.s, self.hosts = s, [s.add_host(f"postgres-{i}", 40 + i) for i in (1, 2)]
        self.primary = self._new(self.hosts[0])
        self.standby = None
        self.follow()
        names = ("membership", "activity")
        escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
        self.passfile = os.path.join(s.folder, "pgpass")
        with open(os.open(self.passfile, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write("".join(f"{h.address}:5432:*:{ROLE}:{escaped}\n" for h in self.hosts))
        servers = ",".join(f"{h.address}:5432" for h in self.hosts)
        self.urls = {n: f"postgresql://{ROLE}@{servers}/{n}?target_session_attrs=read-write&passfile={urllib.parse.quote(self.passfile)}"
                     for n in names}

    def __getitem__(self, service):
        return self.urls[service]

    def _new(self, host, **options):
        db = Postgres(listen=host.address, prefix=host.prefix, **options)
        db.host = host
        return db

    def other(self):
        return next(h for h in self.hosts if h is not self.primary.host)

    def follow(self):
        """A fresh standby on the other host; from then on commits wait for it."""
        conninfo = f"host={self.primary.host.address} port=5432 user=admin application_name=standby keepalives_idle=2"
        self.standby = self._new(self.other(), primary=self.primary, settings={"primary_conninfo": f"'{conninfo}'", "wal_receiver_timeout": "'5s'"})
        wait_until("the standby streams", lambda: self.primary.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1", 30)
        self.primary.synchronous("standby")
        wait_until("commits wait for it", lambda: "sync" in self.primary.sql("SELECT sync_state FROM pg_stat_replication"), 30)

    def fail_over(self):
        """Makes sure that the old primary is dead, then makes a primary of the standby."""
        old = self.primary
        old.close()
        self.standby.promote()
        self.primary, self.standby = self.standby, None
        self.primary.sql("ALTER SYSTEM RESET primary_conninfo; ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()"
                         .replace("; ", ";\n"))
        return time.monotonic()

    def rebuild(self):
        self.other().mend() if self.s.namespaces else None
        self.follow()

    def close(self):
        for db in (self.standby, self.primary):
            if db:
                db.close()


class Scene(Hosts):
    def start(self):
        super().start()
        self.admin = self.login("admin")
        self.in_campaign = self.call("POST", "/v1/campaigns", {"organization": "43", "title": "多机演练", "startTime": rfc3339(-86400),
                                                               "endTime": rfc3339(86400 * 3)}, token=self.admin).ok()["id"]
        self.call("POST", f"/v1/campaigns/{self.in_campaign}:open", token=self.admin).ok()
        villages = ["430102001001", "430103002001", "430202001001", "430302001001"]
        members = make_members(self, self.admin, [person(i, villages[i % 4]) for i in range(300)])
        activities = [make_activity(self, self.admin, mode="ONLINE", campaign=self.in_campaign) for _ in range(150 if ALL else 30)]
        pairs = [(a["id"], m["id"]) for a in activities for m in members]
        self.steady = Steady(self, self.api_key, pairs)
        self.steady.__enter__()
        self.steady.wait_for(50)

    def stop(self):
        if hasattr(self, "steady"):
            self.steady.stop()
        try:
            super().stop()
        finally:
            if isinstance(self.databases, Databases):
                self.databases.close()


def only_all(title):
    """A story of the long run."""
    return story(title) if ALL else lambda function: function


def nothing_failed(s, what, since):
    """Not one request, not even one that a client would have repeated."""
    s.steady.wait_for(60)
    bad = s.steady.since(since)
    assert not bad, f"{what}: {len(bad)} tries failed, such as {bad[0][2:]} {bad[0][1] - since:.2f} s after"
    expect("requests that ended badly", s.steady.failed, [])
    print(f"# {what}: no failed try", flush=True)


def only_503_until(s, what, since, ended, broken_too=False):
    s.steady.wait_for(60)
    bad = s.steady.since(since)
    for began, at, status, retry, text in bad:
        assert status == 503 and retry or broken_too and status == 0, f"{what}: {status} Retry-After={retry} {text}"
        assert began < ended + SETTLE_S, f"{what}: {status} asked {began - ended:.2f} s after the failover ended: {text}"
    expect("requests that ended badly", s.steady.failed, [])
    print(f"# {what}: failover after {ended - since:.2f} s; {len(bad)} tries were 503 with Retry-After"
          f"{' or broken connections' if broken_too else ''}, the last {max((b[1] - since for b in bad), default=0):.2f} s after the fault",
          flush=True)


def has_recovered(s, name):
    """Its log says ready once more than before."""
    part = s.part(name)
    before = part.log().count('msg="ready"')
    part.start()
    wait_until(f"{name} is ready again", lambda: part.said('msg="ready"', before + 1), 30)


# --- a service's instance --------------------------------------------------------------------------------------------

def service_killed(s, name):
    since = time.monotonic()
    s.part(name).kill()
    s.steady.wait_for(100)
    has_recovered(s, name)
    nothing_failed(s, f"{name} killed", since)


def service_restarted(s, name):
    since = time.monotonic()
    expect("exit status", s.part(name).stop(), 0)
    has_recovered(s, name)
    nothing_failed(s, f"{name} restarted", since)


def service_frozen(s, name):
    since = time.monotonic()
    s.part(name).freeze()
    time.sleep(FAULT_S)
    s.part(name).thaw()
    nothing_failed(s, f"{name} frozen", since)


def service_cut(s, name):
    since = time.monotonic()
    s.host(name).cut()
    time.sleep(FAULT_S)
    s.host(name).mend()
    nothing_failed(s, f"{name} cut off", since)


def service_slow(s, name):
    since = time.monotonic()
    s.host(name).slow(0.1)
    time.sleep(FAULT_S)
    s.host(name).fast()
    nothing_failed(s, f"{name} slowed down by 0.2 s a round trip", since)


@story("an instance of a service is killed: no request fails")
def killed(s):
    service_killed(s, "activity-1")


@story("an instance freezes: no request fails")
def frozen(s):
    service_frozen(s, "activity-2")


@story("an instance is cut off the network: no request fails")
def cut(s):
    service_cut(s, "membership-1")


@story("an instance's network is slow: no request fails")
def slow(s):
    service_slow(s, "membership-2")


@only_all("every instance in turn: killed, frozen, cut off, slowed down, restarted; no request fails")
def every_instance(s):
    for name in ("membership-1", "membership-2", "activity-1", "activity-2"):
        for fault in (service_killed, service_frozen, service_cut, service_slow, service_restarted):
            fault(s, name)


# --- a gateway -------------------------------------------------------------------------------------------------------

def gateway_fault(s, name, fault, what):
    """Whoever talked to it sees a broken connection, and goes to the other one with the same key."""
    since = time.monotonic()
    fault(s, name)
    s.wait_for_gateway(int(name[-1]))
    s.steady.wait_for(60)
    bad = [t for t in s.steady.since(since) if t[2] != 0]
    assert not bad, f"{name} {what}: {bad[:3]}"
    expect("requests that ended badly", s.steady.failed, [])
    print(f"# {name} {what}: {len(s.steady.since(since))} broken connections, no failed answer", flush=True)


def kill_and_start(s, name):
    s.part(name).kill()
    s.steady.wait_for(50)
    s.part(name).start()


def stop_and_start(s, name):
    s.part(name).stop()
    s.part(name).start()


def freeze_and_thaw(s, name):
    s.part(name).freeze()
    time.sleep(FAULT_S)
    s.part(name).thaw()


def cut_and_mend(s, name):
    s.host(name).cut()
    time.sleep(FAULT_S)
    s.host(name).mend()


def slow_and_fast(s, name):
    s.host(name).slow(0.1)
    time.sleep(FAULT_S)
    s.host(name).fast()


FAULTS = {"killed": kill_and_start, "frozen": freeze_and_thaw, "cut off": cut_and_mend, "slowed down": slow_and_fast,
          "restarted": stop_and_start}


@story("a gateway is killed: the other one serves, nothing is done twice")
def gateway_killed(s):
    gateway_fault(s, "gateway-1", kill_and_start, "killed")


@only_all("every gateway in turn: killed, frozen, cut off, slowed down, restarted")
def every_gateway(s):
    for name in ("gateway-1", "gateway-2"):
        for what, fault in FAULTS.items():
            gateway_fault(s, name, fault, what)


# --- Redis -----------------------------------------------------------------------------------------------------------

def redis_fault(s, fault, what, moves=True):
    old, since = s.redis_primary(), time.monotonic()
    done = threading.Thread(target=fault, args=(s, old))
    done.start()
    if moves:
        wait_until("another is the primary", lambda: s.redis_primary() not in (None, old), 30, 0.05)
    ended = time.monotonic()
    done.join()
    wait_until("Redis is whole again", s.redis_is_whole, 60, 0.2)
    only_503_until(s, f"Redis's primary {what}", since, ended)


def redis_gone_for(seconds):
    """Killed, and started again only after the failover."""
    def fault(s, name):
        s.part(name).kill()
        time.sleep(seconds)
        s.part(name).start()
    return fault


@story("Redis's primary is killed: requests fail only until its sentinels have made another, as 503 with Retry-After")
def redis_killed(s):
    redis_fault(s, redis_gone_for(8), "killed")


@only_all("Redis's primary is frozen, cut off, slowed down, restarted; a replica and a sentinel are killed")
def every_redis(s):
    global FAULT_S
    short, FAULT_S = FAULT_S, 10.0
    try:
        redis_fault(s, freeze_and_thaw, "frozen")
        redis_fault(s, cut_and_mend, "cut off")
    finally:
        FAULT_S = short
    redis_fault(s, slow_and_fast, "slowed down", moves=False)
    redis_fault(s, stop_and_start, "restarted", moves=False)
    replica = next(h.name for h in s.redis_hosts if h.name != s.redis_primary())
    for name in (replica, "sentinel-3"):
        since = time.monotonic()
        kill_and_start(s, name)
        nothing_failed(s, f"{name} killed", since)


# --- PostgreSQL ------------------------------------------------------------------------------------------------------

def postgres_fault(s, fault, what):
    d, since = s.databases, time.monotonic()
    fault(d)
    ended = d.fail_over()
    only_503_until(s, f"PostgreSQL's primary {what}", since, ended)
    d.rebuild()
    only_503_until(s, "a new standby", time.monotonic(), time.monotonic())


def orderly(d):
    """A switchover: the old one stops in order, so all it has is on the standby."""
    d.primary.stop()


@story("PostgreSQL's primary is killed and its standby promoted: requests fail only until then, as 503 with Retry-After")
def postgres_killed(s):
    postgres_fault(s, lambda d: d.primary.crash(), "killed")


@story("PostgreSQL's primary is cut off the network, and its standby promoted")
def postgres_cut(s):
    postgres_fault(s, lambda d: (d.primary.host.cut(), time.sleep(FAULT_S)), "cut off")


@only_all("PostgreSQL's primary is frozen, moved, slowed down; its standby is killed, frozen, cut off")
def every_postgres(s):
    d = s.databases
    postgres_fault(s, lambda d: (d.primary.freeze(), time.sleep(FAULT_S)), "frozen")
    postgres_fault(s, orderly, "moved")
    since = time.monotonic()
    d.primary.host.slow(0.02)
    time.sleep(FAULT_S)
    d.primary.host.fast()
    nothing_failed(s, "PostgreSQL's primary slowed down by 40 ms a round trip", since)
    # Without its standby no commit is durable in the sense of the word here: writes wait, until the operator lets it go.
    for what, fault in (("killed", lambda d: d.standby.crash()), ("frozen", lambda d: d.standby.freeze()),
                        ("cut off", lambda d: d.standby.host.cut())):
        since = time.monotonic()
        fault(d)
        time.sleep(FAULT_S)
        d.primary.synchronous("")
        ended = time.monotonic()
        only_503_until(s, f"PostgreSQL's standby {what}", since, ended)
        d.standby.close()
        d.rebuild()


@story("what was acknowledged is there, once, and the counts are right")
def ledger(s):
    s.steady.stop()
    print(f"# {len(s.steady.acknowledged)} check-ins acknowledged, {s.steady.reads} reads; {len(s.steady.tries)} tries were repeated", flush=True)
    expect("requests that ended badly", s.steady.failed, [])
    check_ledger(s, s.login("admin"), s.steady.acknowledged, s.in_campaign)


if __name__ == "__main__":
    if not enter_namespaces():
        print("1..0 # SKIP this machine does not let us make networks: root, unshare(2), veth and bridge are needed", flush=True)
        print("ok 1 - skipped: several hosts need network namespaces, which this machine does not allow", flush=True)
        sys.exit(0)
    with contextlib.suppress(BrokenPipeError):
        main(Scene(namespaces=True, instances={"membership": 2, "activity": 2}, databases=Databases, gateway_options=["--rate-scale=100"]))
