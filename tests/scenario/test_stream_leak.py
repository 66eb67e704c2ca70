#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an agency may not see appears in no byte that it receives: agencies with each scope, class and ground, with each type
and with fields withheld, against a log that has every type, over every transport and format. What each may see is worked out
once more by support/oracle.py.
"""
import http.server
import itertools
import os
import re
import sys
import threading
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import subscriber  # noqa: E402
from support.agencies import Agency, cursor, log_head, taken_in  # noqa: E402
from support.care_target import care_happens, care_has_erased  # noqa: E402
from support.exact import Outboxes  # noqa: E402
from support.oracle import Log, Oracle, Profile, contract  # noqa: E402
from support.people import person  # noqa: E402
from support.stack import Stack, free_port  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members, rfc3339  # noqa: E402

HERE, THERE = "430102001001", "430202001001"  # villages of two cities
PURPOSE, OTHER = "accident-insurance", "welfare"
FROM_THE_FUTURE = "来自新版本的字段-43f1"
SCOPES = {"province": ["43"], "city": ["4301"], "county": ["430102"], "village": [HERE], "others": ["4302", "430103"], "nowhere": []}
GROUNDS = {"none": {}, "consent": {"purposes": [PURPOSE]}, "other": {"purposes": [OTHER]}, "statutory": {"statutory": ["oversight"]}}
CLASSES = ("", "public", "personal")
WITHHELD = ["nuanxin.activity.v1.CheckinRecorded.way", "nuanxin.activity.v1.CheckinRecorded.checkin", "nuanxin.activity.v1.Campaign.title",
            "nuanxin.activity.v1.ActivityCreated.value", "nuanxin.membership.v1.OrganizationChanged.name"]


def profiles():
    for (scope, organizations), privacy, (ground, why) in itertools.product(SCOPES.items(), CLASSES, GROUNDS.items()):
        yield Profile(f"{scope}-{privacy or 'unsaid'}-{ground}", organizations=organizations, privacy=privacy, **why)
    for i, type in enumerate(contract().event_types()):
        yield Profile(f"only-{i}", types=[type], statutory=["oversight"])
    yield Profile("no-types", types=[], statutory=["oversight"])
    yield Profile("prefix", types=["nuanxin.activity.v1.*"], statutory=["oversight"])
    yield Profile("withheld", statutory=["oversight"], withheld=WITHHELD)


# --- a log with everything in it -------------------------------------------------------------------------------------------


class World(Stack):
    def __init__(self):
        super().__init__(instances={"care": 1}, gateway_options=["--rate-scale=1000"], stream_options=["--webhook-allow-loopback"])

    def start(self):
        super().start()
        if not hasattr(self, "admin"):
            self.admin = self.login("admin")
            self.seeded = taken_in(self)
            self.everything_happens()

    def post(self, path, body=None):
        return self.call("POST", path, body, token=self.admin).ok()

    def everything_happens(self):
        for village, other in ((HERE, "430103001001"), (THERE, "430302001001")):
            self.organizations(village)
            self.people(village, self.activities(village[:6]))
        self.post("/v1/organizations", {"code": HERE + "77", "parent": HERE[:9], "kind": "VILLAGE", "name": "新村-" + HERE})
        taken_in(self)
        self.from_another_build()
        taken_in(self)
        self.boxes = Outboxes(self)
        self.source_begins_anew()
        seen = {e.type for e in Log.of(self).events}
        expect("types that are not in the log", sorted(set(contract().event_types()) - seen), [])

    def organizations(self, village):
        self.call("PATCH", f"/v1/organizations/{village}", {"name": "改名-" + village}, token=self.admin).ok()

    def activities(self, county):
        """The open activity with one place; around it, all that can happen to campaigns and activities."""
        campaign = self.post("/v1/campaigns", {"organization": county, "title": "活动季-" + county, "startTime": rfc3339(-60), "endTime": rfc3339(86400)})["id"]
        self.post(f"/v1/campaigns/{campaign}:open")
        self.call("PATCH", f"/v1/campaigns/{campaign}", {"title": "改后的活动季-" + county}, token=self.admin).ok()
        make = lambda **more: make_activity(self, self.admin, organization=county, campaign=campaign, title=f"义诊-{county}-{uuid.uuid4().hex[:6]}", **more)["id"]
        cancelled, closed, ended, one = make(), make(), make(end=1), make(capacity=1)
        self.call("PATCH", f"/v1/activities/{one}", {"place": "广场-" + county}, token=self.admin).ok()
        self.post(f"/v1/activities/{cancelled}:cancel", {"reason": "暴雨-" + county})
        self.post(f"/v1/activities/{closed}:close")
        wait_until("it has ended", lambda: self.call("GET", f"/v1/activities/{ended}", token=self.admin).ok()["state"] == "ENDED", 10)
        later = self.post("/v1/campaigns", {"organization": county, "title": "关闭的-" + county, "startTime": rfc3339(-60), "endTime": rfc3339(86400)})["id"]
        self.post(f"/v1/campaigns/{later}:open")
        self.post(f"/v1/campaigns/{later}:close")
        return one

    def people(self, village, activity):
        """One with each consent there is: none, one purpose, the other, both, withdrawn, and one who is erased."""
        number = 52000 if village == HERE else 53000
        made = [m["id"] for m in make_members(self, self.admin, [person(number + i, village) for i in range(6)], village)]
        given = ([], [PURPOSE], [OTHER], [PURPOSE, OTHER], [PURPOSE], [PURPOSE])
        registered = []
        for m, purposes in zip(made, given):
            for p in purposes:
                self.post(f"/v1/members/{m}/consents", {"purpose": p, "version": "2026-01"})
            registered.append(self.post(f"/v1/activities/{activity}/registrations", {"member": m})["id"])
            checkins = f"/v1/activities/{activity}/checkins"
            self.post(checkins, {"online": m, "device": "平板-" + m, "nonce": "1"})
            # An upload that shows that it was earlier.
            self.post(checkins, {"member": m, "device": "平板-" + m, "nonce": "2", "occurredTime": rfc3339(-1800)})
            self.post(f"/v1/members/{m}:suspend")
            self.post(f"/v1/members/{m}:resume")
        for r in registered[:-1]:  # the first has the place, each next one gets it from the one before
            self.post(f"/v1/activities/{activity}/registrations/{r}:cancel")
        recipients = care_happens(self, self.admin, village, made)
        self.post(f"/v1/members/{made[4]}/consents:withdraw", {"purpose": PURPOSE})
        self.post(f"/v1/members/{made[5]}:erase", {"purpose": "本人书面申请"})
        care_has_erased(self, recipients[5])

    def stopped(self, *statements):
        keep, self.keep = self.keep, True
        self.stop()
        self.execute(*statements)
        self.keep = keep
        super().start()

    def from_another_build(self):
        """A newer activity service: an event with a field, and one of a type, that this build does not know."""
        ((seq, type, subject, organization, time_us, data),) = self.rows(
            "activity", "SELECT seq, type, subject, organization, time_us, data FROM rpc_outbox WHERE type LIKE '%CampaignOpened' ORDER BY seq DESC LIMIT 1")
        head = self.rows("activity", "SELECT MAX(seq) FROM rpc_outbox")[0][0]
        unknown = FROM_THE_FUTURE.encode()
        longer = data + b"\xfa\x3f" + bytes([len(unknown)]) + unknown  # field 1023
        blob = "'\\x%s'::bytea" if self.engine == "postgresql" else "x'%s'"
        then = time_us - 2 * 3600 * 1000000  # a type that is unknown is waited for, for an hour
        row = "INSERT INTO rpc_outbox (seq, id, type, subject, organization, time_us, data) VALUES (%d, '%s', '%s', '%s', '%s', %d, " + blob + ")"
        self.stopped("activity", *(row % (head + 1 + i, uuid.uuid4(), t, subject, organization, then, longer.hex())
                                   for i, t in enumerate((type, "nuanxin.activity.v1.SomethingNew"))))

    def source_begins_anew(self):
        """As after a restore: the stream says so, and takes the present state in once more."""
        head = log_head(self)
        self.stopped("activity", "DELETE FROM rpc_epoch", "DELETE FROM rpc_outbox WHERE seq < (SELECT MAX(seq) FROM rpc_outbox)")
        wait_until("the log goes on", lambda: log_head(self) > head, 30)
        taken_in(self)


# --- who receives -----------------------------------------------------------------------------------------------------------


class Done(Exception):
    pass


class Kept:
    """In the place of a subscriber's files: what came, and every byte of it."""

    def __init__(self, o, cursor, until):
        super().__init__({"store": ":memory:", "keep": True, "wait": 0, **o})
        self.cursor, self.bytes, self.until, self.said = cursor, bytearray(), until, True

    def took(self, data):
        self.bytes += data or b""
        return data

    def keep_batch(self, cursor, events, first=None, through=None, *rest):
        super().keep_batch(cursor, events, first, through, *rest)
        if self.until(self, through):
            raise Done()

    def events(self):
        return self.db.execute("SELECT seq, event FROM received ORDER BY n").fetchall()

    def receive(self):
        over = time.monotonic() + 60
        while True:
            try:
                self.connect()
                while True:
                    self.step()
            except Done:
                return self
            except (subscriber.Over, OSError):
                if self.o["transport"] == "sse":
                    return self
                assert time.monotonic() < over, f"{self.o} has no answer"


class OverZeroMQ(Kept, subscriber.ZeroMQ):
    pass


class OverHttp(Kept, subscriber.Http):
    pass


class OverSse(Kept, subscriber.Sse):
    pass


class Receivers:
    """One web server for the webhooks of all agencies, each at a path of its own."""

    def __init__(self):
        self.bytes, self.events, me = {}, {}, self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_OPTIONS(self):
                self.took(b"")
                self.send_response_only(200)
                self.send_header("WebHook-Allowed-Origin", self.headers["WebHook-Request-Origin"])
                self.send_header("WebHook-Allowed-Rate", "*")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.took(body)
                me.events.setdefault(self.path.strip("/"), []).append(body)
                self.send_response_only(204)
                self.end_headers()

            def took(self, body):
                me.bytes.setdefault(self.path.strip("/"), bytearray()).extend(self.raw_requestline + bytes(self.headers) + body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 256

        self.port = free_port()
        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


# --- the comparison -----------------------------------------------------------------------------------------------------------


WORD = re.compile(rb"[0-9A-Za-z][0-9A-Za-z_.:+-]{3,}")


def words(message, into):
    """Every text in a stored event that says something."""
    for field, value in message.ListFields():
        for v in value if field.label == field.LABEL_REPEATED else [value]:
            if field.message_type and field.message_type.full_name != "google.protobuf.Timestamp":
                words(v, into)
            elif field.type == field.TYPE_STRING and len(v) > 3:
                into.add(v)
    return into


def secrets_of(log, seeded):
    """What stands in events: ids, codes, names, reasons. Of the organisations of the beginning some are enough."""
    found = set()
    for e in log.events[:seeded:100] + log.events[seeded:]:
        into = {e.id, e.subject, e.person, e.organization}
        if e.type in contract().events:
            words(contract().type(e.type).FromString(e.data), into)
        found |= {w for w in into if len(w) > 3}
    return found - {"membership", "activity", "stream"}  # the sources' names are in every event


def check_bytes(name, data, forbidden):
    """forbidden: texts. Those of letters are looked for as whole words, others anywhere, also as JSON might escape them."""
    here = set(WORD.findall(bytes(data)))
    for part in list(here):
        here.update(part.split(b":"))
    found = {w for w in forbidden if w.encode() in here}
    for w in forbidden:
        if not w.isascii() and (w.encode() in data or w.encode("unicode_escape") in data):
            found.add(w)
    where = [bytes(data)[max(0, at - 60):at + 60] for at in (bytes(data).find(w.encode()) for w in sorted(found)[:3])]
    assert not found, f"{name}: {len(found)} things that it may not see: {sorted(found)[:5]}: {where}"


@story("each agency receives exactly what it may see, over every transport, and nothing else stands in any byte")
def leak(s):
    everyone = [Agency(s, p) for p in profiles()]
    receivers = Receivers()
    log = Log.of(s, s.boxes)
    head, late = max(e.seq for e in log.events), cursor(s, s.seeded)
    oracle, secrets = Oracle(log), secrets_of(log, s.seeded)
    for a in everyone:
        whole = oracle.visible(a.profile)
        a.start = s.seeded if len(whole) > 20000 else 0  # the whole province's organisations would take long one by one
        a.wanted = [(seq, event) for seq, event in whole if seq > a.start]
        a.late = [(seq, event) for seq, event in whole if seq > s.seeded]
    assert len([a for a in everyone if a.wanted]) > 60 and not any(a.wanted for a in everyone if "nowhere" in a.id), "they tell nothing apart"
    for a in everyone:
        a.endpoint(f"{receivers.port}/{a.id}", cursor=late)
        last = a.late[-1][0] if a.late else None
        a.sse = OverSse({"transport": "sse", "address": s.address, "key": a.api_key}, late,
                                 lambda it, _, last=last: last is not None and it.events() and it.events()[-1][0] >= last)
        threading.Thread(target=a.sse.receive, daemon=True).start()
    for a in everyone:
        fetch_all(s, a, late if a.start else "", head)
    for a in everyone:
        wait_until(f"the webhook of {a.id} has all", lambda: len(receivers.events.get(a.id, [])) >= len(a.late), 120)
        wait_until(f"the reader of {a.id} has all", lambda: len(a.sse.events()) >= len(a.late), 30)
    for a in everyone:
        seen = set().union(*(set(texts(event)) for _, event in a.wanted), own_words(a.profile))
        known = "\n".join(seen)
        forbidden = {w for w in secrets - seen if w.isascii() or w not in known} | {FROM_THE_FUTURE, "SomethingNew"}
        for how, it in a.received:
            compare(a, how, it.events(), a.wanted)
            check_bytes(f"{a.id} over {how}", it.bytes, forbidden)
        compare(a, "sse", a.sse.events(), a.late)
        check_bytes(f"{a.id} over sse", a.sse.bytes, forbidden)
        hooked = [subscriber.json.loads(b) for b in receivers.events.get(a.id, [])]
        compare(a, "webhook", [(int(e["sequence"]), subscriber.canonical(e)) for e in hooked], a.late)
        check_bytes(f"{a.id} over webhook", receivers.bytes.get(a.id, b""), forbidden)


def fetch_all(s, a, start, head):
    """Over the transports that ask, up to the newest event."""
    over_http = {"transport": "http", "address": s.address, "key": a.api_key}
    over_zeromq = {"transport": "zeromq", "endpoint": s.edge_endpoint, "server": s.edge_key, "public": a.curve[0], "secret": a.curve[1]}
    a.received = [(how, kind(o, start, lambda it, through: through >= head).receive()) for how, kind, o in (
        ("http", OverHttp, over_http), ("zeromq", OverZeroMQ, over_zeromq), ("zeromq, packed", OverZeroMQ, {**over_zeromq, "protobuf": True}))]


def compare(agency, how, got, wanted):
    for (seq, event), (its_seq, its_event) in zip(got, wanted):
        assert (seq, event) == (its_seq, its_event), f"{agency.profile} over {how}: {event}\n  not {its_event}"
    expect(f"events of {agency.profile} over {how}", len(got), len(wanted))


def texts(event):
    """Every text in a canonical event."""
    def walk(value):
        for v in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from walk(v)
        if isinstance(value, str):
            yield value
            yield from (w.decode() for w in WORD.findall(value.encode()))  # the codes in a path
    return walk(subscriber.json.loads(event))


def own_words(profile):
    """What it knows anyway: its own agreement; and in whose tree it is."""
    return {*profile.organizations, *profile.purposes, *profile.statutory}


if __name__ == "__main__":
    main(World())
