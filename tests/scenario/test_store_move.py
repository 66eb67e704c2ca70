#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""nuanxin store move: a service goes from SQLite to PostgreSQL while it serves, and nobody notices but for a short pause."""
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.load import Load, check_ledger  # noqa: E402
from support.moving import Gaps, Move, instance, log_has  # noqa: E402
from support.people import person  # noqa: E402
from support.postgres import Postgres  # noqa: E402
from support.scene import scene  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members  # noqa: E402

KILLS = int(os.environ.get("NX_MOVE_KILLS", "4"))


def sums(answer):
    return {t["name"]: (t["rows"], t["sum"]) for t in json.loads(answer)["tables"]}


def mark(s, service):
    return s.rows(service, "SELECT state FROM store_use") if s.rows(service, "SELECT 1 FROM sqlite_master WHERE name = 'store_use'") else []


def tracking(s, service):
    return s.rows(service, "SELECT name FROM sqlite_master WHERE name LIKE 'store\\_change%' ESCAPE '\\'")


@story("under load a service moves with two instances: no request fails, nothing is lost or doubled, writes pause for less than 2 s")
def under_load():
    with Postgres() as pg, scene(n_members=500, n_activities=80, instances={"activity": 2}, engine="sqlite") as (s, admin, campaign, pairs):
        url, key, (activity, member) = pg.url("activity"), str(uuid.uuid4()), pairs.pop()
        once = lambda: s.call("POST", f"/v1/activities/{activity}/checkins", {"online": member}, token=s.api_key, headers={"Idempotency-Key": key})
        first = once()
        expect("the first answer", first.status, 200)
        with Load(s, s.api_key, pairs, workers=3, retry=False) as load, Gaps(load) as gaps:
            load.wait_for(200)
            move = Move(s, "activity", url)
            move.wait_for("waiting for instances")
            assert not load.exhausted
            load.wait_for(50)
            with instance(s, "activity-1", "activity-9", url):
                status, out = move.end()
                assert status == 0, move.said()
                load.wait_for(200)
                load.stop()
                answer = json.loads(out)
                print(f"# paused for {answer['pauseMs']} ms as the command says, {gaps.longest * 1000:.0f} ms at most without an answer; "
                      f"{answer['rows']} rows in {answer['seconds']:.1f} s, {answer['changes']} changes meanwhile")
                expect("requests that ended badly", load.failed, [])
                assert answer["pauseMs"] < 2000 and gaps.longest < 2, (answer["pauseMs"], gaps.longest)
                again = once()
                expect("the same answer, byte by byte", (again.status, again.body), (first.status, first.body))
                expect("other use of the key", s.call("POST", f"/v1/activities/{activity}/checkins", {"online": pairs[0][1]}, token=s.api_key,
                                                      headers={"Idempotency-Key": key}).status, 422)
                ledger = load.acknowledged + [(activity, member, first.json["id"], False)]
                check_ledger(s, admin, ledger, campaign)
                for name in ("activity-1", "activity-2"):
                    wait_until(f"{name} leaves its store", lambda: log_has(s, name, "this store is out of use"), 5)
                    with open(os.path.join(s.var, "log", name + ".log")) as f:
                        r = s.cli("ready", re.findall(r"admin=(\S+)", f.read())[-1], check=False)
                    assert r.returncode == 1 and "its data was moved to postgresql://nuanxin@" in r.stderr + r.stdout, r
                expect("the source", s.rows("activity", "SELECT state, other FROM store_use"), [("moved", pg_address(url))])
                expect("the target's note", pg.sql("SELECT to_regclass('store_use') IS NULL", "activity"), "t")
                expect("references that were not checked", pg.sql("SELECT count(*) FROM pg_constraint WHERE NOT convalidated", "activity"), "0")
                seqs = pg.sql("SELECT count(*), max(seq) - min(seq) + 1 FROM rpc_outbox", "activity").split("|")
                expect("gaps in the outbox", int(seqs[1]) - int(seqs[0]), 0)
                assert int(pg.sql("SELECT count(*) FROM rpc_audit", "activity")) >= len(ledger)


def pg_address(url):
    """As it is noted: without the password."""
    head, rest = url.split("://", 1)
    who, where = rest.split("@", 1)
    return f"{head}://{who.split(':')[0]}@{where}"


@story("consumers go on where they were: after membership has moved, and after their own service has")
def consumers():
    with Postgres() as pg, Stack(gateway_options=["--rate-scale=100"], engine="sqlite") as s:
        admin = s.login("admin")
        village = "430102001001"
        make_members(s, admin, [person(i, village) for i in range(50)])
        a = make_activity(s, admin, mode="ONLINE")

        def takes_part(number):
            m = make_members(s, admin, [person(number, village)])[0]
            check_in = lambda: s.call("POST", f"/v1/activities/{a['id']}/checkins", {"online": m["id"]}, token=s.api_key)
            wait_until("activity knows the member", lambda: not check_in().ok().get("refusal"), 10)

        epoch = s.rows("membership", "SELECT epoch FROM rpc_epoch")[0][0]
        with instance(s, "membership-1", "membership-9", new_home(s, pg, "membership")):
            moved(s, pg, "membership")
            takes_part(100)
            expect("the epoch", pg.sql("SELECT epoch FROM rpc_epoch", "membership"), epoch)
            session = s.login("admin")
            s.call("DELETE", "/v1/sessions/current", token=session).ok()
            wait_until("the session has ended everywhere", lambda: s.call("GET", "/v1/organizations/43", token=session).status == 401, 10)
            with instance(s, "activity-1", "activity-9", new_home(s, pg, "activity")):
                moved(s, pg, "activity")
                takes_part(101)
                for name in ("activity-1", "activity-9", "membership-9", "gateway-1"):
                    assert not log_has(s, name, "starts over"), name


def new_home(s, pg, service):
    """The move begins, so that an instance finds its database being filled and waits."""
    url = pg.url(service)
    s.moving = Move(s, service, url)
    s.moving.wait_for("copying")
    return url


def moved(s, pg, service):
    status, _ = s.moving.end()
    assert status == 0, s.moving.said()
    wait_until(f"{service} writes there", lambda: log_has(s, service + "-9", "this instance writes"), 5)


@story(f"the command is killed -9 {KILLS} times at any moment: the service goes on, and the next run begins anew or finishes")
def killed():
    rng = random.Random(529)
    with Postgres() as pg, scene(n_members=500, n_activities=60, engine="sqlite") as (s, admin, campaign, pairs):
        url, done = pg.url("activity"), False
        with Load(s, s.api_key, pairs, workers=2, retry=False) as load:
            for _ in range(KILLS // 2):
                load.wait_for(20)
                move = Move(s, "activity", url)
                time.sleep(rng.random() * 2)  # any moment
                assert move.kill() < 0, move.said()
            move = Move(s, "activity", url)
            move.wait_for("copying")
            with instance(s, "activity-1", "activity-9", url):
                wait_until("the instance waits", lambda: log_has(s, "activity-9", "the database is being filled"), 10)
                move.kill()
                for _ in range(KILLS):
                    load.wait_for(20)
                    move = Move(s, "activity", url)
                    move.wait_for("all is copied and equal")
                    time.sleep(1.9 + rng.random() * 0.3)  # any moment around the switch: instances must have waited for 2 s
                    status = move.kill()
                    done = status == 0 or mark(s, "activity") == [("moved",)]
                    if done:
                        break
                move = Move(s, "activity", url)
                status, _ = move.end()
                assert status == 0 or (done and "was moved already" in move.said()), move.said()
                load.wait_for(100)
                load.stop()
                expect("requests that ended badly", load.failed, [])
                check_ledger(s, admin, load.acknowledged, campaign)
                expect("the source", mark(s, "activity"), [("moved",)])


@story("a command that stands still is not waited for: the writer goes on as before, and the command finds that it has ended")
def stands_still():
    with Postgres() as pg, Stack(clock=True, engine="sqlite") as s:
        admin = s.login("admin")
        move = Move(s, "activity", pg.url("activity"))
        move.wait_for("waiting for instances")
        expect("the source", mark(s, "activity"), [("followed",)])
        move.process.send_signal(signal.SIGSTOP)
        try:
            s.advance(61)
            wait_until("the writer gave up", lambda: log_has(s, "activity-1", "nobody went on with moving the store"), 10)
            wait_until("nothing is left of it", lambda: not mark(s, "activity") and not tracking(s, "activity"), 5)
            make_activity(s, s.login("admin"), open_it=False)
        finally:
            move.process.send_signal(signal.SIGCONT)
        status, _ = move.end()
        expect("the command", status, 1)
        assert admin


@story("what can't be moved is refused with the way out; what a broken move left is not used")
def refusals():
    with Postgres() as pg, Stack(engine="sqlite") as s:
        def refused(*words, source=None, target=None):
            r = s.cli("store", "move", source or "sqlite:" + s.store_file("activity"), target or pg.url("activity"), check=False)
            expect("status", r.returncode, 1)
            for word in words:
                assert word in r.stderr, r.stderr
            return r

        refused("there is no store", source="sqlite:/nowhere/x.db")
        refused("backup and restore", target=f"sqlite:{s.folder}/x.db")
        assert not os.path.exists(f"{s.folder}/x.db"), "a target that can't be one was made"
        refused("backup and restore", source=pg.url("membership"), target="sqlite:" + s.store_file("membership"))
        membership = pg.url("membership")
        pg.sql("CREATE TABLE mine (id int)", "membership")
        refused("is not empty", "createdb", target=membership)
        expect("the other's table", pg.sql("SELECT count(*) FROM mine", "membership"), "0")
        move = Move(s, "activity", pg.url("activity"))
        move.wait_for("waiting for instances")
        refused("another command is filling")
        move.kill()
        with instance(s, "activity-1", "activity-9", pg.url("activity")):
            wait_until("the instance says so", lambda: log_has(s, "activity-9", "the database is being filled"), 10)
            assert not log_has(s, "activity-9", "this instance writes")
        expect("secrets on standard error", "p%40ss" in move.said() or "p@ss" in move.said(), False)


@story("a store whose service does not run moves too; the service then refuses the old one and says where the data is")
def offline():
    with Postgres() as pg, Stack(engine="sqlite") as s:
        make_activity(s, s.login("admin"))
        keep, s.keep = s.keep, True
        s.stop()
        s.keep = keep
        status, out = Move(s, "activity", pg.url("activity")).end()
        expect("status", status, 0)
        rows = {name: rows for name, (rows, _) in sums(out).items()}
        expect("activities", (rows["activity"], pg.sql("SELECT count(*) FROM activity", "activity")), (1, "1"))
        move = Move(s, "activity", pg.url("activity"))
        expect("once more", move.end()[0], 1)
        assert "was moved already" in move.said(), move.said()
        # As it is when the command is ended just behind the point of no return: the next run only finishes.
        (copying,) = s.rows("activity", "SELECT copying FROM store_use")[0]
        pg.sql("CREATE TABLE store_use (id bigint PRIMARY KEY, state text, copying text, until_us bigint, other text); "
               "ALTER TABLE store_use OWNER TO nuanxin; "
               f"INSERT INTO store_use VALUES (1, 'filled', '{copying}', 0, 'sqlite:activity.db')", "activity")
        status, out = Move(s, "activity", pg.url("activity")).end()
        expect("finishing", (status, json.loads(out)["finishedOnly"]), (0, True))
        expect("the target's note", pg.sql("SELECT to_regclass('store_use') IS NULL", "activity"), "t")
        log = os.path.join(s.folder, "old.log")
        with open(log, "w") as f:
            old = subprocess.Popen([os.path.join(s.bin, "nuanxin-activity"), "--store", "sqlite:" + s.store_file("activity"), "--keys",
                                    os.path.join(s.var, "keys"), "--bus", os.path.join(s.folder, "v", "bus"), "--redis", "unix:/nowhere"],
                                   stdout=f, stderr=f)
        try:
            wait_until("it says where the data is", lambda: "its data was moved to postgresql://" in open(log).read(), 10)
            expect("it stays, for its manager not to start it again and again", old.poll(), None)
        finally:
            old.terminate()
            expect("its end", old.wait(20), 0)
        r = s.cli("backup", "sqlite:" + s.store_file("activity"), os.path.join(s.folder, "b"), check=False)
        assert r.returncode == 1 and "was moved to" in r.stderr, r.stderr


if __name__ == "__main__":
    main()
