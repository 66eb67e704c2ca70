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

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.hosts import enter_namespaces  # noqa: E402
from support.hosts_scene import ALL, SETTLE_S, Databases, Scene, nothing_failed, only_503_until  # noqa: E402
from support.load import check_ledger  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

FAULT_S = 4.0    # how long what is frozen, cut off or slow stays so


def only_all(title):
    """A story of the long run."""
    return story(title) if ALL else lambda function: function


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


@story("an instance of the stream is killed, and an edge: no request fails, and an agency misses nothing")
def stream_killed(s):
    service_killed(s, "stream-1")
    kill_and_start(s, "edge-1")
    s.agency.has_all("an instance of the stream and an edge were killed")


@only_all("every instance in turn: killed, frozen, cut off, slowed down, restarted; no request fails")
def every_instance(s):
    for name in ("membership-1", "membership-2", "activity-1", "activity-2", "stream-1", "stream-2"):
        for fault in (service_killed, service_frozen, service_cut, service_slow, service_restarted):
            fault(s, name)
            s.agency.has_all(f"{name}: {fault.__name__}")


@only_all("every edge in turn: killed, frozen, cut off, slowed down, restarted; an agency misses nothing")
def every_edge(s):
    for name in ("edge-1", "edge-2"):
        for what, fault in FAULTS.items():
            since = time.monotonic()
            fault(s, name)
            nothing_failed(s, f"{name} {what}", since)
            s.agency.has_all(f"{name} was {what}")


# --- a gateway -------------------------------------------------------------------------------------------------------

def gateway_fault(s, name, fault, what):
    """Whoever talked to it sees a broken connection, or a 503 if it was the gateway that lost sight of all services, and goes to
    the other one with the same key."""
    since = time.monotonic()
    fault(s, name)
    s.wait_for_gateway(int(name[-1]))
    ended = time.monotonic()
    s.steady.wait_for(60)
    tries = s.steady.since(since)
    bad = [t for t in tries if t[0] > ended + SETTLE_S or not (t[2] == 0 or t[2] == 503 and t[3])]
    assert not bad, f"{name} {what}: {bad[:3]}"
    expect("requests that ended badly", s.steady.failed, [])
    broken = sum(t[2] == 0 for t in tries)
    print(f"# {name} {what}: {broken} broken connections, {len(tries) - broken} times 503; repeated, all succeeded", flush=True)


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
    print(f"# {len(s.agency.sequences)} events read by an agency; {s.agency.again} fetches were repeated", flush=True)
    s.agency.has_all("all of it")


if __name__ == "__main__":
    if not enter_namespaces():
        print("1..0 # SKIP this machine does not let us make networks: root, unshare(2), veth and bridge are needed", flush=True)
        print("ok 1 - skipped: several hosts need network namespaces, which this machine does not allow", flush=True)
        sys.exit(0)
    with contextlib.suppress(BrokenPipeError):
        main(Scene(namespaces=True, instances={"membership": 2, "activity": 2, "stream": 2}, edges=2, databases=Databases, gateway_options=["--rate-scale=100"]))
