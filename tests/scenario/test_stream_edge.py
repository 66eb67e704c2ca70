#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The edge, where agencies fetch events over ZeroMQ: who gets in, what is refused and by which name, what nobody can make it hold,
and the complete subscribers of deploy/subscribers, which lose nothing and double nothing whoever is killed."""
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import npm  # noqa: E402
from support.agencies import Agency, call, taken_in  # noqa: E402
from support.oracle import Profile, contract  # noqa: E402
from support.people import person  # noqa: E402
from support.stack import ROOT, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_members, rfc3339  # noqa: E402

MIB = 1 << 20
MOST_KB = 128 * 1024  # more than it needs, less than what is thrown at it
PROBLEM = "urn:nuanxin:problem:"
context = zmq.Context.instance()


class Guest:
    """A stock socket of an agency's."""

    def __init__(self, s, pair, kind=zmq.DEALER, server=True, **options):
        self.s, self.req = s, kind == zmq.REQ
        self.socket = context.socket(kind)
        self.socket.linger, self.socket.sndtimeo = 0, 5000
        if pair:
            self.socket.curve_serverkey = (s.edge_key if server is True else server).encode()
            self.socket.curve_publickey, self.socket.curve_secretkey = (k.encode() for k in pair)
        for name, value in options.items():
            setattr(self.socket, name, value)
        self.monitor = self.socket.get_monitor_socket()
        self.socket.connect(s.edge_endpoint)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.disable_monitor()
        self.socket.close(0)

    def send(self, *frames):
        self.socket.send_multipart(frames)

    def answer(self, seconds=20):
        assert self.socket.poll(seconds * 1000), "no answer"
        word, body = self.socket.recv_multipart()[-2:]
        return word.decode(), body

    def ask(self, packed=False, **fetch):
        """(word, answer) of one fetch."""
        if packed:
            self.send(b"FETCH", contract().message("nuanxin.stream.v1.Fetch", fetch).SerializeToString())
            word, body = self.answer()
            return word, contract().answer(word.encode(), body)
        self.send(b"FETCH", json.dumps(fetch).encode())
        word, body = self.answer(fetch.get("wait", 0) + 20)
        return word, json.loads(body)

    def batch(self, **fetch):
        word, answer = self.ask(**fetch)
        assert word == "BATCH", answer
        return answer

    def refused(self, type, status, **fetch):
        word, answer = self.ask(**fetch)
        expect("the answer", (word, answer.get("type"), answer.get("status")), ("REFUSED", PROBLEM + type, status))
        assert answer["title"] and answer["detail"], answer
        return answer

    def happening(self, event, seconds=10):
        """Waits until the socket's monitor tells of it."""
        deadline = time.monotonic() + seconds
        while self.monitor.poll(max(0, deadline - time.monotonic()) * 1000):
            if recv_monitor_message(self.monitor)["event"] == event:
                return
        raise AssertionError(f"waited in vain for {event!r}")


class World(Stack):
    """Two edges on one socket; an agency that may see all about nobody in particular, and some events of that kind."""

    def __init__(self, **options):
        super().__init__(instances={"edge": 2}, clock=True, **options)

    def start(self):
        super().start()
        self.token = self.login()
        self.agency = Agency(self, Profile("oversight", statutory=["oversight"]))
        self.others = 0
        self.happen(3)
        with self.guest() as g:
            wait_until("the edge serves", lambda: g.ask(max=1)[0] == "BATCH", 60)

    def guest(self, pair=None, **options):
        return Guest(self, pair or self.agency.curve, **options)

    def another(self, **profile):
        self.others += 1
        return Agency(self, Profile(f"agency-{self.others}", **{"statutory": ["oversight"], **profile}))

    def happen(self, n=1):
        for _ in range(n):
            self.call("POST", "/v1/campaigns", {"organization": "43", "title": "宣传月", "startTime": rfc3339(0), "endTime": rfc3339(86400)},
                      token=self.token).ok()

    def all(self, pair=None, cursor="", **fetch):
        """Every event there is for an agency, batch after batch."""
        with self.guest(pair) as g:
            events = []
            while True:
                b = g.batch(cursor=cursor, max=1000, **fetch)
                events += b["events"]
                cursor = b["cursor"]
                if int(b["through"]) and int(b["through"]) == int(b["latest"]):
                    return cursor, events

    def edges(self):
        return [f"edge-{i}" for i in (1, 2) if self.pid(f"edge-{i}")]

    def count(self, metric, labels=""):
        return sum(self.metric(name, metric, labels) for name in self.edges())

    def refusals(self, type):
        return self.count("nuanxin_edge_refusals_total", f'type="{PROBLEM}{type}"')

    def resident_kb(self, name):
        with open(f"/proc/{self.pid(name)}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


# --- what is served ---------------------------------------------------------------------------------------------------------


@story("DEALER and REQ, JSON and packed: the same events, in order, once each")
def forms(s):
    taken_in(s)
    cursor, events = s.all()
    sequences = [int(e["sequence"]) for e in events]
    assert len(events) > 30000 and sequences == sorted(set(sequences)), f"{len(events)} events"
    assert all(e["specversion"] == "1.0" and e["type"].startswith("nuanxin.") and e["id"] for e in events)
    with s.guest() as dealer, s.guest(kind=zmq.REQ) as req:
        for g in (dealer, req):
            for packed in (False, True):
                b = g.batch(packed=packed, cursor="", max=5, id="一")
                expect("its id", b["id"], "一")
                expect("the first events", [e["id"] for e in b["events"]], [e["id"] for e in events[:5]])
                again = g.batch(packed=packed, cursor=b["cursor"], max=5)
                expect("the next", [e["id"] for e in again["events"]], [e["id"] for e in events[5:10]])


@story("only the types that are asked for, and a cursor that moves over the others")
def types(s):
    wanted = "nuanxin.activity.v1.CampaignCreated"
    before = s.all()[0]
    s.happen(2)
    taken_in(s)
    with s.guest() as g:
        b = g.batch(cursor=before, types=[wanted])
        expect("types", {e["type"] for e in b["events"]}, {wanted})
        b = g.batch(cursor="", types=["nuanxin.membership.v1.MemberErased"])
        assert int(b["through"]) > 0 and not b["events"], b


@story("a long poll is answered by news, and without any after its wait")
def waits(s):
    taken_in(s)
    cursor = s.all()[0]
    with s.guest() as g:
        began = time.monotonic()
        b = g.batch(cursor=cursor, wait=1)
        expect("nothing", (b["events"], b["cursor"]), ([], cursor))
        assert 0.9 < time.monotonic() - began < 5, time.monotonic() - began
        g.send(b"FETCH", json.dumps({"cursor": cursor, "wait": 30, "id": "news"}).encode())
        assert not g.socket.poll(1500), "answered before there was news"
        began = time.monotonic()
        s.happen()
        word, body = g.answer(10)
        b = json.loads(body)
        assert word == "BATCH" and b["id"] == "news" and b["events"], b
        assert time.monotonic() - began < 5, "its news came late"


# --- who gets in ------------------------------------------------------------------------------------------------------------


@story("who has no registered key, no CURVE or another server's key never gets past the handshake")
def strangers(s):
    pair = tuple(k.decode() for k in zmq.curve_keypair())
    fetches, before = s.count("nuanxin_edge_fetches_total"), s.count("nuanxin_edge_strangers_total")
    with s.guest(pair) as stranger:
        stranger.happening(zmq.Event.HANDSHAKE_FAILED_AUTH)
        assert not stranger.socket.poll(200)
    with Guest(s, None) as plain:
        plain.happening(zmq.Event.DISCONNECTED)
    with s.guest(server=pair[0]) as astray:
        astray.happening(zmq.Event.DISCONNECTED)
    wait_until("it is counted", lambda: s.count("nuanxin_edge_strangers_total") > before)
    wait_until("the others are", lambda: s.count("nuanxin_edge_cut_total", 'reason="handshake"') >= 2)
    expect("fetches", s.count("nuanxin_edge_fetches_total"), fetches)
    assert any("no agency's" in s.log_of(name) and pair[0] in s.log_of(name) for name in s.edges()), "the log does not say so"


@story("a key is let in at once when it is registered; two of an agency's are valid at a time; one revoked is refused at the next fetch")
def rotation(s):
    agency = s.another()
    first, second = (tuple(k.decode() for k in zmq.curve_keypair()) for _ in range(2))
    with s.guest(first) as g:
        g.happening(zmq.Event.HANDSHAKE_FAILED_AUTH)
    made = [call(s, "CreateAgencyKey", agency=agency.id, publicKey=first[0])["key"]["id"]]

    def lets_in(pair):
        with s.guest(pair) as g:
            g.send(b"FETCH", b'{"max":1}')
            return g.socket.poll(1000) and g.answer()[0] == "BATCH"

    wait_until("the key is let in", lambda: lets_in(first), 5)
    call(s, "CreateAgencyKey", agency=agency.id, publicKey=second[0])
    wait_until("the second is let in, too", lambda: lets_in(second), 5)
    with s.guest(first) as old, s.guest(second) as new:
        old.batch(max=1)
        call(s, "RevokeAgencyKey", agency=agency.id, key=made[0])
        old.refused("agency-key-revoked", 401, max=1)  # the very next
        new.batch(max=1)
        old.refused("agency-key-revoked", 401, max=1)
    with s.guest(first) as g:
        g.happening(zmq.Event.HANDSHAKE_FAILED_AUTH)


@story("a suspended agency and an expired agreement are refused at the next fetch, other agencies not")
def agreements(s):
    agency = s.another()
    with s.guest(agency.curve) as g, s.guest() as other:
        wait_until("the key is let in", lambda: g.batch(max=1))
        call(s, "SuspendAgency", agency=agency.id)
        g.refused("agency-suspended", 403, max=1)
        expect("in Chinese", g.refused("agency-suspended", 403, max=1, language="zh")["title"], "访问已暂停")
        call(s, "ResumeAgency", agency=agency.id)
        g.batch(max=1)
        call(s, "UpdateAgency", agency={"id": agency.id, "agreementExpireTime": rfc3339(3)}, updateMask="agreementExpireTime")
        g.batch(max=1)
        s.advance(10)
        g.refused("agreement-expired", 403, max=1)
        other.batch(max=1)
    assert s.refusals("agreement-expired") >= 1 and s.refusals("agency-suspended") >= 2


# --- what is wrong ------------------------------------------------------------------------------------------------------------


@story("cursors and types that are none, frames that are no fetch: each refused by its name, counted, and nothing else happens")
def refusals(s):
    names = ("event-type-unknown", "cursor-unknown", "cursor-gone", "malformed-request", "invalid-argument", "fetch-too-large")
    before = {n: s.refusals(n) for n in names}
    cursor = s.all()[0]
    epoch, sequence = cursor.split(":")
    with s.guest() as g, s.guest(kind=zmq.REQ) as req, s.guest() as other:
        other.send(b"FETCH", json.dumps({"cursor": cursor, "wait": 30, "id": "waits"}).encode())
        assert "nuanxin.none" in g.refused("event-type-unknown", 400, types=["nuanxin.none"])["detail"]
        for foreign in ("nonsense", "1:2:3", f"{epoch}:-1", f"{epoch}:{int(sequence) + 10**9}", "snapshots"):
            g.refused("cursor-unknown", 400, cursor=foreign)
        gone = g.refused("cursor-gone", 410, cursor="00000000:5")
        assert '"cursor":"snapshot"' in gone["detail"], gone
        for frames in ([b"GIVE", b"{}"], [b"FETCH"], [b"{}"], [b"FETCH", b"{}", b"{}"], [b"FETCH", b'{"max":'], [b"FETCH", b"\xff\xff"], [b""] * 3,
                       [b"x"] * 9, [b""] * 1000):
            g.send(*frames)
            word, body = g.answer()
            answer = json.loads(body) if body[:1] == b"{" else contract().answer(b"REFUSED", body)
            expect("the answer", (word, answer["type"]), ("REFUSED", PROBLEM + "malformed-request"))
        for wrong in ({"max": 1001}, {"wait": -1}, {"cursors": ""}, {"types": ["x" * 201]}, {"language": "fr"}):
            g.refused("invalid-argument", 400, **wrong)
        req.send(b"FETCH", b"{" + b" " * 65536)
        expect("too large", json.loads(req.answer()[1])["type"], PROBLEM + "fetch-too-large")
        g.batch(max=1)
        req.batch(max=1)
        s.happen()
        expect("the other's", json.loads(other.answer()[1])["id"], "waits")
    for name in names:
        assert s.refusals(name) > before[name], f"{name} is not counted"


@story("a frame beyond 1 MiB and a chosen routing id: told or cut, counted, and nobody else notices")
def beyond(s):
    cut = s.count("nuanxin_edge_cut_total", 'reason="protocol"')
    with s.guest() as other, s.guest() as g, s.guest(routing_id=b"health-commission") as chosen:
        other.batch(max=1)
        g.batch(max=1)
        g.send(b"FETCH", b"x" * (2 * MIB))
        g.happening(zmq.Event.DISCONNECTED)
        wait_until("it is counted", lambda: s.count("nuanxin_edge_cut_total", 'reason="protocol"') > cut)
        g.batch(max=1)  # its socket has connected again
        assert "ZMQ_ROUTING_ID" in chosen.refused("malformed-request", 400)["detail"]
        other.batch(max=1)


# --- credits and memory -------------------------------------------------------------------------------------------------------


@story("eight fetches of an agency are in flight, over all its connections; more are refused, and a connection beyond sixteen is cut")
def credits(s):
    agency = s.another()
    cursor = s.all(agency.curve)[0]
    s.kill("edge-2", signal.SIGSTOP)  # credits are each edge's own: all go to one
    with contextlib.ExitStack() as stack:
        stack.callback(s.kill, "edge-2", signal.SIGCONT)
        guests = [stack.enter_context(s.guest(agency.curve)) for _ in range(4)]
        for i in range(20):
            guests[i % 4].send(b"FETCH", json.dumps({"cursor": cursor, "wait": 20, "id": str(i)}).encode())
        answers = []

        def more():
            for g in guests:
                while g.socket.poll(0):
                    answers.append((g.answer()[0]))
            return len(answers)

        wait_until("twelve are answered", lambda: more() >= 12)
        expect("they are refused", set(answers), {"REFUSED"})
        s.happen()
        wait_until("the others are answered by news", lambda: more() == 20)
        expect("batches", answers.count("BATCH"), 8)
        guests[0].batch(max=1)  # and their credits are back
        for _ in range(13):
            stack.enter_context(s.guest(agency.curve)).send(b"FETCH", b'{"max":1}')
        wait_until("the one too many is cut", lambda: s.metric("edge-1", "nuanxin_edge_cut_total", 'reason="asked"') >= 1)


@story("readers that stop or never read: the edge stays small, and another agency is not slowed")
def stopping(s):
    agencies = [s.another() for _ in range(4)]
    small = {name: s.resident_kb(name) for name in s.edges()}
    with contextlib.ExitStack() as stack:
        stopped = [stack.enter_context(s.guest(a.curve, rcvhwm=1, rcvbuf=8192)) for a in agencies for _ in range(4)]
        reader = stack.enter_context(s.guest())
        quick = min(timed(lambda: reader.batch(max=1000)) for _ in range(5))
        deadline, sent, slowest = time.monotonic() + 5, 0, 0
        while time.monotonic() < deadline:
            for g in stopped:
                with contextlib.suppress(zmq.Again):
                    g.socket.send_multipart([b"FETCH", b'{"max":1000}'], flags=zmq.DONTWAIT)
                    sent += 1
            slowest = max(slowest, timed(lambda: reader.batch(max=1000)))
        largest = max(s.resident_kb(name) for name in s.edges())
        print(f"# {sent} fetches of readers that do not read: at most {largest} KiB, {small} before; another's batch of 1,000 took "
              f"{quick * 1000:.0f} ms before, {slowest * 1000:.0f} ms at worst")
        with open(f"/proc/{s.pid('edge-1')}/limits") as f:
            expect("its limit", [line.split()[3] for line in f if line.startswith("Max data size")], [str(256 * MIB)])
        assert sent > 1000 and largest < MOST_KB, f"{sent} fetches, {largest} KiB"
        assert slowest < 2, f"another's fetch took {slowest:.1f} s"
        assert s.refusals("too-many-fetches") > 0
        assert s.count("nuanxin_edge_unsent_bytes") > MIB, "they have read"
    wait_until("nothing waits for who has gone", lambda: s.count("nuanxin_edge_unsent_bytes") == 0)


def timed(what):
    began = time.monotonic()
    what()
    return time.monotonic() - began


@story("a crowd of connections that say nothing does not keep agencies out")
def crowd(s):
    import socket
    host, port = s.edge.split(":")
    silent = []
    for _ in range(1500):
        try:
            silent.append(socket.create_connection((host, int(port)), 2))
        except OSError:
            break
    with s.guest() as g:
        g.batch(max=1)
    for name in s.edges():
        wait_until("few are let wait", lambda: s.metric(name, "nuanxin_edge_connections_unspoken") <= 520)
    for c in silent:
        c.close()


# --- ends and failures ----------------------------------------------------------------------------------------------------------


@story("an edge that drains tells those who wait to come again at once; a killed one and a killed stream are only a pause")
def ends(s):
    cursor = s.all()[0]
    with s.guest() as g:
        g.send(b"FETCH", json.dumps({"cursor": cursor, "wait": 30}).encode())
        assert not g.socket.poll(300)
        began = time.monotonic()
        for name in s.edges():
            s.kill(name, signal.SIGTERM)
        word, body = g.answer(5)
        expect("told", (word, json.loads(body)["type"]), ("REFUSED", PROBLEM + "unavailable"))
        assert time.monotonic() - began < 2
        wait_until("both are back", lambda: len(s.edges()) == 2)
        g.happening(zmq.Event.HANDSHAKE_SUCCEEDED)
        g.happening(zmq.Event.HANDSHAKE_SUCCEEDED)
        g.batch(max=1)  # the same socket
        s.kill("stream-1")
        word, answer = g.ask(cursor=cursor, wait=5)
        assert word == "BATCH" or answer["status"] == 503 and answer["retryAfterMs"], answer
        wait_until("the stream is back", lambda: g.ask(max=1)[0] == "BATCH", 20)
        s.kill("edge-1")
        s.kill("edge-2")
        wait_until("the edges are back", lambda: len(s.edges()) == 2)

    def serves():
        with s.guest() as g:
            g.send(b"FETCH", b'{"max":1}')
            return g.socket.poll(2000) and g.answer()[0] == "BATCH"

    wait_until("they serve", serves, 20)


# --- the complete subscribers -------------------------------------------------------------------------------------------------------


class Complete:
    """A program of deploy/subscribers, and what it has kept."""

    def __init__(self, s, agency, program, types=()):
        self.s, self.program, self.process = s, program, None
        public, secret = agency.curve
        self.agency_key = public
        name = os.path.basename(program)
        self.key, self.kept, self.log = (os.path.join(s.folder, f"{agency.id}-{name}.{end}") for end in ("key", "kept", "log"))
        with open(os.open(self.key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write(public + "\n" + secret + "\n")
        self.command = [program, f"{s.edge_endpoint},{s.edge_endpoint}", s.edge_key, self.key, self.kept, *types]
        if program.endswith(".js"):
            self.command.insert(0, "node")

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=npm.environment())
        return self

    def resume_at(self, cursor):
        """As if it had come so far long ago."""
        if self.program.endswith(".js"):
            with open(self.kept, "w") as f:
                f.write(json.dumps({"cursor": cursor, "events": []}) + "\n")
            return
        with sqlite3.connect(self.kept) as db:
            db.executescript("CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT)")
            db.execute("INSERT INTO position VALUES (1, ?)", (cursor,))

    def crash(self):
        assert self.process.poll() is None, f"{self.program} has ended:\n" + open(self.log).read()[-2000:]
        self.process.kill()
        self.process.wait()

    def events(self):
        """(sequence, type, subject), as they were kept last; none before it has begun."""
        try:
            if self.program.endswith(".js"):
                with open(self.kept, "rb") as f:
                    lines = f.read().split(b"\n")[:-1]
                held = {}
                for e in [e for line in lines for e in json.loads(line)["events"]]:
                    held.pop(e["id"], None)
                    held[e["id"]] = int(e["sequence"]), e["type"], e.get("subject")
                return list(held.values())
            with sqlite3.connect(f"file:{self.kept}?mode=ro", uri=True) as db:
                return [(int(n), t, subject) for n, t, subject in db.execute("SELECT sequence, type, subject FROM event ORDER BY rowid")]
        except (OSError, sqlite3.OperationalError):
            return []

    def has(self, what, condition, seconds=120):
        """Waits until the condition holds of its events."""
        try:
            wait_until(f"{self.program} has {what}", lambda: condition(self.events()), seconds, 0.2)
        except AssertionError as e:
            raise AssertionError(f"{e}: it has {len(self.events())}, and said: {open(self.log).read()[-500:]}") from None

    def has_all(self, wanted):
        self.has(f"{len(wanted)} events", lambda events: len(events) >= len(wanted))
        got = [sequence for sequence, _, _ in self.events()]
        expect(f"events of {self.program}", len(got), len(wanted))
        assert got == wanted, f"{self.program}: {sum(a != b for a, b in zip(got, wanted))} are not those they should be"


def programs(s, *names, **profile):
    folder = os.path.join(ROOT, "deploy", "subscribers")
    return [Complete(s, s.another(**profile), os.path.join(folder, n) if n != "subscriber" else os.path.join(s.bin, "..", "subscribers", n)) for n in names]


def everything():
    return "subscriber", "subscriber.py", *([] if npm.missing() else ["subscriber.js"])


def complete(s, *names):
    """Each is killed -9 again and again while it catches up and while events come, and so are the edges and the stream."""
    chance = random.Random(4)
    runs = [run.start() for run in programs(s, *names)]
    for i in range(30):
        time.sleep(chance.uniform(0.1, 0.4))  # when it happens, not whether
        s.happen()
        victim = chance.choice(runs)
        victim.crash()
        victim.start()
        if i % 10 == 4:
            s.kill(chance.choice(s.edges() or ["edge-1"]))
        if i % 10 == 9:
            s.kill("stream-1")
            wait_until("the stream is back", lambda: s.pid("stream-1"))
    taken_in(s)
    wait_until("the edges are back", lambda: len(s.edges()) == 2)
    wanted = wait_until("all can be read", lambda: [int(e["sequence"]) for e in s.all()[1]])
    for run in runs:
        run.has_all(wanted)
        run.crash()


@story("the complete subscribers in C and Python lose nothing and double nothing under kill -9 of everything")
def subscribers(s):
    complete(s, "subscriber", "subscriber.py")


@story("the complete subscriber in Node, likewise", missing=npm.missing())
def subscriber_node(s):
    complete(s, "subscriber.js")


@story("who comes too late for the log gets the present state, page by page, and then the log: by hand, and by the subscribers themselves")
def late(_):
    with World(stream_options=["--keep-mib=1"]) as s:
        def oldest():
            """Where the log begins, once it has cut all that is too much."""
            taken_in(s)
            return wait_until("the log is small", lambda: (n := call(s, "GetLog")) and int(n["bytes"]) <= MIB and int(n["oldest"]), 60)

        began = oldest()
        epoch = s.all(cursor="snapshot")[0].split(":")[0]
        codes = {code for (code,) in s.rows("membership", "SELECT code FROM organization")}
        changed = "nuanxin.membership.v1.OrganizationChanged"

        def knows(events):
            return {subject for _, type, subject in events if type == changed} == codes

        with s.guest() as g:
            g.refused("cursor-gone", 410, cursor=f"{epoch}:1")
            g.refused("cursor-gone", 410, cursor="snapshot:nonsense")
            b = g.batch(packed=True, cursor="snapshot", max=1000, types=[changed])
            pages, events = 1, b["events"]
            make_members(s, s.token, [person(i, "430102") for i in range(3000)])
            assert oldest() > began + 1000, "the log has not cut anything meanwhile"
            while b["cursor"].startswith("snapshot"):
                b = g.batch(packed=True, cursor=b["cursor"], max=1000, types=[changed])
                pages, events = pages + 1, events + b["events"]
            assert pages > 20, f"{pages} pages"
            events += s.all(cursor=b["cursor"], types=[changed])[1]
            assert knows([(0, e["type"], e["subject"]) for e in events]), f"{len(events)} events"
        runs = programs(s, *everything())
        for run in runs:
            run.resume_at(f"{epoch}:1")
            run.start()
            for _ in range(3):
                run.has("a part", lambda events, n=len(run.events()): len(events) > n or knows(events))
                run.crash()
                run.start()
        s.happen()
        last = taken_in(s)
        for run in runs:
            run.has("all", lambda events: knows(events) and events[-1][0] >= last)
            run.crash()


@story("the complete subscribers delete what they hold of whom a notice names, with the cursor that is its receipt, and no more than that")
def deleting(s):
    members = [m["id"] for m in make_members(s, s.token, [person(7000 + i, "430102") for i in range(3)], "430102")]
    stays, withdraws, erased = members

    def consents(member, verb=""):
        s.call("POST", f"/v1/members/{member}/consents{verb}", {"purpose": "accident-insurance", **({} if verb else {"version": "2026-01"})},
               token=s.token).ok()

    for member in members:
        consents(member)
    taken_in(s)
    runs = [run.start() for run in programs(s, *everything(), statutory=[], purposes=["accident-insurance"])]
    for run in runs:
        run.has("something of each", lambda events: {subject for _, _, subject in events} >= set(members))
    consents(withdraws, ":withdraw")
    s.call("POST", f"/v1/members/{erased}:erase", {"purpose": "本人要求注销"}, token=s.token).ok()

    def of(member, events):
        return [type.rsplit(".", 1)[1] for _, type, subject in events if subject == member]

    for run in runs:
        run.has("the notices", lambda events: of(erased, events)[-1:] == ["MemberErased"] and of(withdraws, events)[-1:] == ["ConsentWithdrawn"])
        expect("what is held of them", (of(withdraws, run.events()), of(erased, run.events())), (["ConsentWithdrawn"], ["MemberErased"]))
        expect("of who stays", of(stays, run.events()), ["MemberStateChanged", "ConsentGiven"])
        run.crash()
        run.start()
    consents(withdraws)
    for run in runs:  # what was before does not come back
        run.has("the new consent", lambda events: of(withdraws, events)[-1:] == ["ConsentGiven"])
        expect("what is held then", of(withdraws, run.events()), ["ConsentWithdrawn", "ConsentGiven"])
        run.crash()


@story("what the complete subscribers are started with is wrong: one line that says so; and keys that nobody knows are named as a cause")
def wrong_start(s):
    for run in programs(s, *everything()):
        program = run.command[:run.command.index(run.program) + 1]
        empty = run.key + ".empty"
        with open(empty, "w"):
            pass
        for operands, wanted in (([], "usage: "), ([s.edge_endpoint, s.edge_key, run.key + ".not", run.kept], ".not"),
                                 ([s.edge_endpoint, s.edge_key, empty, run.kept], empty), ([s.edge_endpoint, "x", run.key, run.kept], "EDGE_PUBLIC_KEY")):
            r = subprocess.run([*program, *operands], capture_output=True, text=True, timeout=20, env=npm.environment())
            assert r.returncode and wanted in r.stderr and len(r.stderr.splitlines()) == 1, (program, operands, r)
        run.command[run.command.index(s.edge_key)] = run.agency_key
        run.start()
        wait_until("it names the keys", lambda: "EDGE_PUBLIC_KEY" in open(run.log).read(), 30, 0.2)
        run.crash()


@story("the complete subscribers have less than sixty lines each")
def short(s):
    for program in os.listdir(os.path.join(ROOT, "deploy", "subscribers")):
        with open(os.path.join(ROOT, "deploy", "subscribers", program), encoding="utf-8") as f:
            n = len(f.readlines())
        assert n < 60, f"{program} has {n} lines"


if __name__ == "__main__":
    main(World())
