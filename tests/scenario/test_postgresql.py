#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The stores on PostgreSQL, two instances of each service, and the database goes away under load, in every way.

What was acknowledged is there, once. A failure is a 503 that says when to try again, and lasts no longer than the database
was gone and a few seconds.
"""
import os
import sys
import threading
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
os.environ["NX_STORE"] = "postgresql"
from support.load import Load, check_ledger  # noqa: E402
from support.people import person  # noqa: E402
from support.postgres import Postgres  # noqa: E402
from support.scene import admin_again, scene, status, timed  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members  # noqa: E402

PAIR = {"membership": 2, "activity": 2, "stream": 2}


def under_load(break_it, times=1, kind=Stack, longest=8.0):
    """break_it(s) takes the database away and brings it back; returns when it was back."""
    with scene(n_members=300, n_activities=20, kind=kind, instances=PAIR) as (s, _, campaign, pairs):
        with Load(s, s.api_key, pairs) as load:
            load.wait_for(200)
            for _ in range(times):
                back = break_it(s)
                load.wait_for(150)
                print(f"# the first answer {next(t for t in load.times if t > back) - back:.2f} s after the database was back", flush=True)
                longest_pause = load.pause(back)
                assert longest_pause < longest, f"{longest_pause:.1f} s without a check-in after the database was back"
            load.stop()
            print(f"# {len(load.acknowledged)} acknowledged, asked again after {load.again}", flush=True)
            expect("requests that ended badly", load.failed, [])
            expect("connections that broke", load.again.get(0, 0), 0)
            check_ledger(s, admin_again(s), load.acknowledged, campaign)


@story("both instances of a service write")
def both_write():
    with Stack(instances=PAIR) as s:
        expect("who may write", sorted(i["instance"] for i in status(s) if i.get("mayWrite")),
               ["activity-1", "activity-2", "membership-1", "membership-2", "stream-1", "stream-2"])


@story("the database killed -9 five times under load: what was acknowledged is there, once")
def killed():
    def kill(s):
        s.database.crash()
        s.database.start()
        return time.monotonic()

    under_load(kill, times=5)


@story("the database restarted in order, under load")
def restarted():
    def restart(s):
        s.database.restart()
        return time.monotonic()

    under_load(restart, times=2)


@story("the database frozen for ten seconds: 503 within the deadline, nobody hangs, and on it goes")
def frozen():
    def freeze(s):
        s.database.freeze()
        began = time.monotonic()
        waits = []

        def ask():
            answers = []
            seconds = timed(lambda: answers.append(s.call("GET", f"/v1/campaigns/{s.campaign}", token=s.api_key)))
            waits.append((seconds, answers[0].status, answers[0].headers.get("Retry-After", "")))

        asking = [threading.Thread(target=ask) for _ in range(4)]
        for t in asking:
            t.start()
        for t in asking:
            t.join()
        print(f"# {waits}", flush=True)
        assert len(waits) == 4 and all(status == 503 and after for _, status, after in waits), waits
        assert max(waits)[0] < 9, f"an answer took {max(waits)[0]:.1f} s"
        while time.monotonic() < began + 10:
            time.sleep(0.1)  # the freeze itself
        s.database.thaw()
        return time.monotonic()

    under_load(freeze)


class Standby(Stack):
    """Two servers, of which the second has all that the first has acknowledged."""

    gone = standby = None

    def make_database(self):
        primary = Postgres()
        self.standby = primary.standby()
        primary.synchronous()
        return primary

    def store_url(self, service):
        return self.database.url(service, self.standby, passfile=self.passfile())

    def stop(self):
        super().stop()
        for server in (self.standby, self.gone):
            if server:
                server.close()


@story("the primary is lost and its synchronous standby promoted, under load: nothing that was acknowledged is lost")
def failover():
    def fail(s):
        s.database.crash()
        s.standby.promote()
        back = time.monotonic()
        s.gone, s.database = s.database, s.standby
        return back

    under_load(fail, kind=Standby)


@story("a commit that is cancelled while it waits for the lost standby is not given as done, by no instance")
def not_on_the_standby():
    with scene(n_members=100, n_activities=3, kind=Standby, instances=PAIR) as (s, _, campaign, pairs):
        (activity, member), answers = pairs.pop(), []
        with Load(s, s.api_key, pairs) as load:  # so that every lane is connected
            load.wait_for(len(pairs))

        def ask():
            return s.call("POST", f"/v1/activities/{activity}/checkins", {"online": member}, s.api_key, {"Idempotency-Key": "the-one-key-of-all"})

        def cancelled():
            return s.database.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE wait_event = 'SyncRep'"
                                  " AND relation = 'attendance'::regclass AND mode = 'RowExclusiveLock'", "activity")

        s.standby.freeze()
        asking = [threading.Thread(target=lambda: answers.append(ask().status)) for _ in range(6)]
        asking[0].start()
        wait_until("its commit waits for the standby, and is cancelled", cancelled, 10, 0.01)
        expect("on the primary alone", s.rows("activity", f"SELECT count(*) FROM attendance WHERE activity = '{activity}' AND member = '{member}'"), [(1,)])
        for t in asking[1:]:  # by lanes whose connections know of nothing
            t.start()
        for t in asking:
            t.join()
        expect("answers while it is not durable", set(answers) - {503, 409}, set())  # 409: the first is still under way
        s.database.crash()
        s.standby.thaw()
        s.standby.promote()
        s.gone, s.database = s.database, s.standby
        r = wait_until("it is done", lambda: (lambda r: r if r.status == 200 else None)(ask()), 30)
        check_ledger(s, admin_again(s), [*load.acknowledged, (activity, member, r.json["id"], False)], campaign)


@story("a service whose database is not there yet waits for it, and says so")
def late_database():
    with Stack(instances=PAIR) as s:
        keep, s.keep = s.keep, True
        s.stop()
        s.keep = keep
        s.database.stop()
        starting = threading.Thread(target=s.start)
        starting.start()
        wait_until("the log says that the database is awaited", lambda: "database" in s.logs() or "store" in s.logs(), 20)
        assert starting.is_alive()
        s.database.start()
        starting.join(60)
        s.call("GET", f"/v1/campaigns/{s.campaign}", token=s.api_key, retry_503=True).ok()


@story("while the database is away, status names each instance and says what it lacks; its log is one readable line")
def away():
    with Stack(instances=PAIR) as s:
        s.database.stop()
        r = wait_until("status says so", lambda: (lambda r: r if r.stdout.count("no store") == 6 else None)(s.cli("status", check=False)), 20)
        expect("status of the command", r.returncode, 1)
        for name in (f"{service}-{i}" for service in PAIR for i in (1, 2)):
            assert f"{name} can't read its store" in r.stderr, r.stderr
        wait_until("all logs say why", lambda: s.logs().count("the database is not reached") >= 6, 20)
        for line in s.logs().splitlines():
            if "the database is not reached" in line:
                assert line.count('"') == 4 and "\t" not in line and not line.endswith('why=""'), line
        s.database.start()
        wait_until("all is well", lambda: s.cli("status", check=False).returncode == 0, 20)


@story("counts that are made anew while check-ins go on count each once")
def counted_anew():
    with scene(n_members=400, n_activities=30, instances=PAIR) as (s, _, campaign, pairs):
        with Load(s, s.api_key, pairs) as load:
            for _ in range(3):
                load.wait_for(200)
                s.database.sql("UPDATE rpc_cursor SET epoch = 'another' WHERE name = 'activity.counts'", "activity")
                leader = s.rows("activity", "SELECT holder FROM rpc_lease")[0][0].split("/")[0]
                s.kill(leader)  # whoever leads next finds a cursor of another history
                load.wait_for(200)
                wait_until("the counts are made anew", lambda: s.rows(
                    "activity", "SELECT epoch FROM rpc_cursor WHERE name = 'activity.counts'") != [("another",)], 20)
            load.stop()
            expect("requests that ended badly", load.failed, [])
            check_ledger(s, admin_again(s), load.acknowledged, campaign)


def at_once(s, requests):
    """The answers; a 503 is repeated with its key, as clients do."""
    answers, pending = {}, dict(enumerate(requests))
    while pending:
        for i, r in zip(pending, s.load(list(pending.values()), connections=50)):
            assert r.status in (200, 503), (r.status, r.body)
            if r.status == 200:
                answers[i] = r
        pending = {i: q for i, q in pending.items() if i not in answers}
    return list(answers.values())


@story("fifty equal check-ins at once through two instances: one is recorded, the others are told of it")
def equal_checkins():
    with Stack(instances=PAIR, gateway_options=["--rate-scale=1000"]) as s:
        admin = s.login("admin")
        (member,) = make_members(s, admin, [person(1, "430102001001")])
        for turn in range(10):
            a = make_activity(s, admin, mode="ONLINE")["id"]
            answers = at_once(s, [("POST", f"/v1/activities/{a}/checkins", {"online": member["id"], "device": f"d{i}"},
                                   {"Authorization": "Bearer " + s.api_key, "Idempotency-Key": str(uuid.uuid4())}) for i in range(50)])
            expect("recorded", sum(not r.json.get("repeated") for r in answers), 1)
            expect("ids", len({r.json["id"] for r in answers}), 1)
            listed = s.call("GET", f"/v1/activities/{a}/checkins", token=admin).ok()["checkins"]
            expect("listed", len(listed), 1)


if __name__ == "__main__":
    main()
