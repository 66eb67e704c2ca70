#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every part is taken away under load. What was acknowledged is there, once; what could go on, went on."""
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.load import Load, check_ledger  # noqa: E402
from support.scene import admin_again, scene, status, timed  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity  # noqa: E402

KILLS = int(os.environ.get("NX_KILLS", "50"))


@story(f"{KILLS} kills -9 of any process at any moment lose nothing that was acknowledged, and double nothing")
def random_kills():
    with scene() as (s, admin, campaign, pairs):
        names = ["membership-1", "activity-1", "gateway-1", "redis"]
        rng = random.Random(29)
        with Load(s, s.api_key, pairs) as load:
            for _ in range(KILLS):
                load.wait_for(rng.randrange(10, 60))
                name = rng.choice(names)
                pid = wait_until(f"{name} runs", lambda: s.pid(name), 20)
                os.kill(pid, signal.SIGKILL)
                wait_until(f"{name} runs again", lambda: s.pid(name) not in (None, pid), 20)
            load.wait_for(100)
            load.stop()
            expect("requests that ended badly", load.failed, [])
            check_ledger(s, admin_again(s), load.acknowledged, campaign)


def lose_one(signal_number):
    with scene(n_members=300, n_activities=10, instances={"activity": 2, "membership": 2}) as (s, admin, campaign, pairs):
        with Load(s, s.api_key, pairs, retry=False) as load:
            load.wait_for(200)
            for name in ("activity-1", "membership-1", "activity-2"):
                s.kill(name, signal_number)
                load.wait_for(300)
                wait_until(f"{name} runs again", lambda: s.pid(name), 20)
            load.stop()
            expect("failed requests", load.failed, [])
            check_ledger(s, admin, load.acknowledged, campaign)


@story("with two instances of a service, kill -9 of one under load fails no request")
def kill_one():
    lose_one(signal.SIGKILL)


@story("with two instances of a service, SIGTERM of one under load fails no request")
def drain_one():
    lose_one(signal.SIGTERM)


@story("a frozen writer is ended, its standby takes over within its callers' deadline, and no request fails")
def frozen_writer():
    with scene(n_members=200, n_activities=10, instances={"activity": 2}) as (s, admin, campaign, pairs):
        with Load(s, s.api_key, pairs, retry=False) as load:
            load.wait_for(200)
            writer = next(i["instance"] for i in status(s) if i.get("mayWrite") and i["service"] == "activity")
            frozen = s.kill(writer, signal.SIGSTOP)
            wait_until("another process has taken its place", lambda: s.pid(writer) not in (None, frozen), 40)
            load.wait_for(200)
            load.stop()
            expect("failed requests", load.failed, [])
            check_ledger(s, admin, load.acknowledged, campaign)


@story("a frozen instance fails no request: the other answers what waited for it within seconds")
def frozen_reader():
    with scene(n_members=200, n_activities=10, instances={"membership": 2}) as (s, admin, campaign, pairs):
        with Load(s, s.api_key, pairs, retry=False) as load:
            load.wait_for(100)
            # On PostgreSQL both write.
            pid = s.kill(max((not i.get("mayWrite"), i["instance"]) for i in status(s) if i["service"] == "membership")[1], signal.SIGSTOP)
            slowest = max(timed(lambda: s.call("GET", "/v1/organizations/43", token=s.api_key).ok()) for _ in range(20))
            load.wait_for(300)
            os.kill(pid, signal.SIGCONT)
            load.wait_for(300)
            load.stop()
            expect("failed requests", load.failed, [])
            assert slowest < 5, f"{slowest:.1f} s"


@story("a service that stands still takes down its own routes only; what is written meanwhile waits, and within seconds it is ended and back")
def frozen_service():
    with Stack() as s:
        admin = s.login("admin")
        read = lambda: s.call("GET", f"/v1/campaigns/{s.campaign}", token=admin)
        read().ok()
        written = []
        write = threading.Thread(target=lambda: written.append(make_activity(s, admin, open_it=False)))
        pid = s.kill("activity-1", signal.SIGSTOP)
        started = time.monotonic()
        write.start()
        answer = read()  # it may come back while the read waits
        if answer.status != 200:
            answer.refused(503, "unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
        assert time.monotonic() - started < 7, f"{time.monotonic() - started:.1f} s"
        s.call("GET", "/v1/organizations/43", token=admin).ok()
        write.join()
        assert written and time.monotonic() - started < 10, f"{written} {time.monotonic() - started:.1f} s"
        wait_until("it is answered again", lambda: read().status == 200, 5)
        assert s.pid("activity-1") not in (None, pid)


@story("Redis gone for 10 s: known sessions go on, others get 503 with Retry-After, and all recovers by itself")
def redis_gone():
    with Stack(own_redis=True, gateway_options=["--rate-scale=100"]) as s:
        known = s.login("admin")
        unknown = s.login("clerk")
        s.call("GET", "/v1/organizations/43", token=known).ok()
        s.redis.kill()
        gone = time.monotonic()
        wait_until("nobody can sign in", lambda: s.call("POST", "/v1/sessions", {k: s.credentials["admin"][k] for k in ("login", "password")}).status == 503, 5)
        while time.monotonic() < gone + 10:
            s.call("GET", "/v1/organizations/43", token=known).ok()
            answer = s.call("GET", "/v1/organizations/43", token="x" * 43)
            answer.refused(503, "unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
            time.sleep(0.05)  # a pace, below the local rate limit
        s.redis.start()
        wait_until("sessions that only Redis knew work again", lambda: s.call("GET", "/v1/organizations/430102", token=unknown).status == 200, 10)
        s.login("admin")


if __name__ == "__main__":
    main()
