#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The promise of the event streams under chaos: at least once, in one total order per log, without gaps, and acknowledged means
fsynced. Two services emit events, every process is killed -9 at random, sixteen agencies read over the four transports, some
slowly, some standing still, some crashing: each ends with exactly the events that it may see, and every count is right.

NX_LONG=1: 200,000 events (some minutes); else 4,000. NX_EVENTS and NX_SEED set what they say.
"""
import collections
import os
import random
import signal
import sys
import threading
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.agencies import TRANSPORTS, Agency, Subscriber, call, cursor, log_head, taken_in  # noqa: E402
from support.exact import Exact, Outboxes, check_log  # noqa: E402
from support.oracle import Profile  # noqa: E402
from support.people import csv_of, person  # noqa: E402
from support.scene import admin_again  # noqa: E402
from support.stack import SEVERAL, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_members, rfc3339  # noqa: E402

LONG = os.environ.get("NX_LONG") == "1"
EVENTS = int(os.environ.get("NX_EVENTS", "200000" if LONG else "4000"))
RATE = 1500 if LONG else 400  # a second
SEED = int(os.environ.get("NX_SEED", random.randrange(1 << 30)))
VILLAGES = ["430102001001", "430103002001", "430202001001", "430302001001"]
PURPOSE = "accident-insurance"
BEHAVIOURS = ("steady", "slow", "standing", "crashing")
# What the four agencies of each transport may see.
SEES = {
    "steady": {"statutory": ["oversight"]},
    "slow": {"purposes": [PURPOSE], "organizations": ["4301"], "types": ["nuanxin.activity.v1.*", "nuanxin.membership.v1.*"]},
    "standing": {"statutory": ["statistics"], "privacy": "public", "withheld": ["nuanxin.activity.v1.CheckinRecorded.way"]},
    "crashing": {"purposes": [PURPOSE, "welfare"], "organizations": ["430102", "4302"], "types": ["nuanxin.activity.v1.CheckinRecorded",
                                                                                                 "nuanxin.membership.v1.*"]},
}
# A webhook brings one event at a time, each acknowledged and noted: in the long form of a village's only.
NARROW = {"organizations": ["430102001001"]} if LONG else {}


# --- what happens ---------------------------------------------------------------------------------------------------------


class World:
    """Makes the events: imports of members, check-ins one by one and in batches, consents given and withdrawn, erasures."""

    def __init__(self, s):
        self.s, self.rng, self.emitted, self.failed = s, random.Random(SEED), 0, []
        self.admin = s.login("admin")
        self.campaign = s.call("POST", "/v1/campaigns", {"organization": "43", "title": "事件流演练", "startTime": rfc3339(-86400),
                                                         "endTime": rfc3339(86400 * 3)}, token=self.admin).ok()["id"]
        s.call("POST", f"/v1/campaigns/{self.campaign}:open", token=self.admin).ok()
        self.members = [m["id"] for m in make_members(s, self.admin, [person(i, VILLAGES[i % 4]) for i in range(400)])]
        self.changed, self.lock, self.threads, self.attended = [], threading.Lock(), [], set()
        for m in self.members[::2]:
            self.consent(m, "give")

    def again(self, method, path, body=None, headers=None, refusal=None):
        """The same request until it is answered, as the API asks of its users; None if it is refused as may be."""
        headers = {"Idempotency-Key": str(uuid.uuid4()), **(headers or {})}
        deadline = time.monotonic() + 60
        while True:
            try:
                r = self.s.call(method, path, body, token=self.admin, headers=headers)
            except OSError:
                r = None
            if r and r.status == 401:
                self.admin = admin_again(self.s)  # Redis had not yet written the session down
                continue
            if r and r.status not in (503, 504) and not (r.status == 409 and r.problem == "idempotency-in-flight"):
                return None if r.status == 422 and r.problem == refusal else r.ok()
            assert time.monotonic() < deadline, f"{method} {path}: {r and r.body}"
            time.sleep(0.05)

    def consent(self, member, what):
        if what == "give":
            self.again("POST", f"/v1/members/{member}/consents", {"purpose": PURPOSE, "version": "2026-01"})
        else:
            self.again("POST", f"/v1/members/{member}/consents:withdraw", {"purpose": PURPOSE})

    def count(self, n):
        """And no faster than is meant: what goes wrong goes wrong meanwhile."""
        with self.lock:
            self.emitted += n
            ahead = self.began + self.emitted / RATE - time.monotonic()
        time.sleep(max(0.0, ahead))

    def imports(self, n, size):
        for first in range(1000, 1000 + n, size):
            rows = csv_of([person(i, VILLAGES[i % 4]) for i in range(first, min(first + size, 1000 + n))])
            operation = self.again("POST", "/v1/members:import?organization=43", rows, {"Content-Type": "text/csv"})

            def ended():
                o = self.again("GET", f"/v1/membership/operations/{operation['id']}")
                return o["state"] in ("SUCCEEDED", "FAILED") and o

            done = wait_until("the import has ended", ended, 120, 0.1)
            expect("rows accepted", done.get("rowsAccepted"), rows.count(b"\n") - 1)
            self.count(done["rowsAccepted"])

    def check_ins(self, n):
        """Singly and by the hundred in turn, each member once at each activity."""
        while n > 0:
            activity = self.again("POST", "/v1/activities", {
                "campaign": self.campaign, "organization": "43", "title": "签到", "category": "HEALTH", "mode": "ONLINE",
                "startTime": rfc3339(-3600), "endTime": rfc3339(86400), "link": "https://live.example.org/529"})["id"]
            self.again("POST", f"/v1/activities/{activity}:open")
            url, members = f"/v1/activities/{activity}/checkins", self.members[:n]
            made = []  # but for those who were erased meanwhile
            for m in members[:20]:
                made.append(self.again("POST", url, {"online": m}, refusal="checkin-member-not-active"))
            for i in range(20, len(members), 100):
                scans = [{"online": m, "device": "d", "nonce": m, "occurredTime": rfc3339(-60)} for m in members[i:i + 100]]
                made += self.again("POST", url + ":batchCreate", {"scans": scans})["checkins"]
            made = [c for c in made if c and not c.get("refusal")]
            assert len(made) > len(members) - 20, f"{len(made)} of {len(members)} could check in"
            self.attended |= {(activity, c["member"]) for c in made}
            self.count(len(members) + 2)
            n -= len(members)

    def changes(self, pace):
        """Some withdraw what they gave, some are erased; each does so once."""
        leaving = self.members[:80:2]
        for i, m in enumerate(leaving):
            pace((i + 1) / (len(leaving) + 1))
            if i % 4 == 3:
                self.again("POST", f"/v1/members/{m}:erase", {"purpose": "本人书面申请"})
            else:
                self.consent(m, "withdraw")
            self.changed.append(m)
            self.count(1)

    def pace(self, part):
        """Until that part of the events has been emitted."""
        wait_until(f"{part:.0%} of the events are there", lambda: self.failed or self.emitted >= part * EVENTS * 0.95, 3600, 0.1)

    def start(self):
        most, self.began = EVENTS - 40, time.monotonic()
        for work in (lambda: self.imports(most // 2, 5000 if LONG else 150), lambda: self.check_ins(most // 4),
                     lambda: self.check_ins(most // 4), lambda: self.changes(self.pace)):
            self.threads.append(threading.Thread(target=self.guarded, args=(work,), daemon=True))
            self.threads[-1].start()

    def guarded(self, work):
        try:
            work()
        except Exception as e:
            self.failed.append(repr(e))

    @property
    def busy(self):
        assert not self.failed, self.failed
        return any(t.is_alive() for t in self.threads)


# --- what goes wrong ------------------------------------------------------------------------------------------------------


class Chaos:
    """kill -9 of every process of the stack in random order, and what happens to subscribers, until it is stopped."""

    def __init__(self, s, subscribers, rng):
        self.s, self.subscribers, self.rng, self.kills, self.failed = s, subscribers, rng, collections.Counter(), []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.guarded, args=(f,), daemon=True) for f in (self.stack, self.readers)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for t in self.threads:
            t.join(60)

    def guarded(self, work):
        try:
            work()
        except Exception as e:
            self.failed.append(repr(e))

    def rest(self, least, most):
        """False when it is over."""
        return not self.stopping.wait(self.rng.uniform(least, most))  # a pace: how often something breaks

    def parts(self):
        names = ["gateway-1", "redis", "edge-1"]
        for service in ("membership", "activity", "stream"):
            names += [f"{service}-{i + 1}" for i in range(self.s.instances.get(service, 1))]
        return names

    def stack(self):
        names = []
        while self.rest(0.1, 3.0 if LONG else 0.8):
            if not names:
                names = self.parts()
                self.rng.shuffle(names)  # everyone has its turn
            name = names.pop()
            pid = wait_until(f"{name} runs", lambda: self.s.pid(name), 30)
            os.kill(pid, signal.SIGKILL)
            self.kills[name.rsplit("-", 1)[0]] += 1
            wait_until(f"{name} runs again", lambda: self.s.pid(name) not in (None, pid), 30)

    def readers(self):
        standing = [x for x in self.subscribers if "standing" in x.agency.id]
        crashing = [x for x in self.subscribers if "crashing" in x.agency.id]
        while self.rest(0.1, 1.0):
            if self.rng.random() < 0.5:
                x = self.rng.choice(crashing)
                x.crash()
                self.kills["subscriber"] += 1
                if x.transport != "webhook":  # whose sender would wait for minutes after its second failure
                    self.rest(0.1, 1.0)
                x.start()
            else:
                x = self.rng.choice(standing)
                x.stand_still()
                self.rest(0.1, 2.0)
                x.go_on()


# --- the story ------------------------------------------------------------------------------------------------------------


def agencies(s):
    for transport in TRANSPORTS:
        for behaviour in BEHAVIOURS:
            sees = {**SEES[behaviour], **(NARROW if transport == "webhook" else {})}
            yield transport, behaviour, Agency(s, Profile(f"{behaviour}-{transport}", **sees))


def subscribe(s, start_at):
    """Sixteen, the same number of each kind."""
    made = []
    for transport, behaviour, agency in agencies(s):
        options = {"pace": {"webhook": 0.002, "sse": 0.05}.get(transport, 0.1)} if behaviour == "slow" else {}
        options["max"] = 1000 if LONG else 200
        made.append(Subscriber(agency, transport, s.folder, start_at=start_at, **options))
    return made


def late_comers(s, exact, subscribers):
    """Who asks again from an old cursor gets nothing of those who have withdrawn meanwhile, though it was shown once."""
    for x in subscribers:
        if x.transport == "zeromq":
            with Subscriber(x.agency, "http", s.folder, start_at=cursor(s, exact.after), max=1000) as late:
                wanted = exact.wanted(late)
                late.wait_for(max(wanted))
                exact.check(late)
                expect("events of those who have withdrawn", [e for e in late.received() if e[0] not in wanted], [])


def check_counts(s, world):
    """The live counts at every level are a recount's."""
    paths = dict(s.rows("membership", "SELECT code, path FROM organization"))
    below = lambda code: {c for c, path in paths.items() if code in path.split("/")}
    active = collections.Counter(o for (o,) in s.rows("membership", "SELECT organization FROM member WHERE state = 2"))
    attended = collections.Counter(o for (o,) in s.rows(
        "activity", f"SELECT t.organization FROM attendance t JOIN activity a ON a.id = t.activity WHERE a.campaign = '{world.campaign}'"))
    expect("attendances", sum(attended.values()), len(world.attended))
    for code in ("43", "4301", "430102", "4302", *VILLAGES):
        wanted = sum(attended[c] for c in below(code))
        count = lambda: int(world.again("GET", f"/v1/campaigns/{world.campaign}/counts?organization={code}")["total"].get("attended", 0))
        wait_until(f"{wanted} attended at {code}", lambda: count() == wanted, 20)
    for code in ("430102", VILLAGES[0]):
        wanted = sum(active[c] for c in below(code))
        count = lambda: int(world.again("GET", f"/v1/organizations/{code}/counts").get("membersActive", 0))
        wait_until(f"{wanted} are active at {code}", lambda: count() == wanted, 20)


@story(f"{EVENTS} events from two services, every process killed -9, sixteen agencies: each has exactly what it may see")
def chaos():
    print(f"# seed {SEED}", flush=True)
    several = SEVERAL or LONG and {"membership": 2, "activity": 2, "stream": 2}  # on SQLite one writes, the other takes over
    with Stack(instances=several, gateway_options=["--rate-scale=1000"],
               stream_options=["--webhook-allow-loopback"]) as s:
        world = World(s)
        before = taken_in(s)
        subscribers = subscribe(s, cursor(s, before))
        try:
            for x in subscribers:
                x.start()
            for x in subscribers:
                x.ready()
            began = time.monotonic()
            world.start()
            with Chaos(s, subscribers, random.Random(SEED)) as trouble:
                wait_until("all is emitted", lambda: trouble.failed or not world.busy, 3600, 0.1)
            expect("what went wrong on our side", trouble.failed, [])
            rate = (log_head(s) - before) / (time.monotonic() - began)
            print(f"# {sum(trouble.kills.values())} kills: {dict(trouble.kills)}; {world.emitted} events, {rate:.0f}/s", flush=True)
            settle(s, world, subscribers, before)
        finally:
            for x in subscribers:
                x.end()


def settle(s, world, subscribers, before):
    head = taken_in(s, 120)
    assert head - before >= EVENTS * 0.9, f"{head - before} events"
    boxes = Outboxes(s)
    wait_until("what was about the erased is erased", lambda: not s.rows(
        "stream", "SELECT 1 FROM log l JOIN log n ON n.seq = l.erased_by WHERE l.event IS NOT NULL LIMIT 1"), 30)
    log = check_log(s, boxes)
    exact, twice = Exact(log, boxes, before), {}
    expect("notices", set(exact.notices), set(world.changed))
    for x in subscribers:
        wanted = exact.wanted(x)
        assert len(wanted) > 10, f"{x.name} may see {len(wanted)} events: that shows nothing"
        if x.transport == "webhook" and x.position < max(wanted):
            for what in ("PauseEndpoint", "ResumeEndpoint"):  # whose receiver was away twice would wait for minutes
                call(s, what, endpoint=x.endpoint["id"])
        x.wait_for(max(wanted), 600 if LONG else 90)
        twice[x.name] = exact.check(x)
    late_comers(s, exact, subscribers)
    print(f"# each of {len(subscribers)} is exact; twice came {({k: v for k, v in twice.items() if v})}", flush=True)
    check_counts(s, world)


if __name__ == "__main__":
    main()
