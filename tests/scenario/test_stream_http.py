#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Agencies read events over HTTP: polls that wait, server-sent events, the way back from a cursor that is gone; and what
happens to them when a reader is slow, a key is revoked, a gateway or the stream service dies."""
import concurrent.futures
import json
import os
import resource
import selectors
import signal
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.event_stream import Ended, EventStream  # noqa: E402
from support.people import person  # noqa: E402
from support.stack import SEVERAL, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members, rfc3339  # noqa: E402

ORIGIN = "https://app.example.org"
ACTIVITIES = "nuanxin.activity.v1.*"
MANY = 1000  # readers
READER_KIB = 64  # what one may cost
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def operate(s, method, check=True, **request):
    r = s.cli("call", method, json.dumps(request, ensure_ascii=False), check=check)
    return json.loads(r.stdout) if r.returncode == 0 else r


def new_key(s, agency):
    made = operate(s, "CreateAgencyKey", agency=agency)
    return made["key"]["id"], made["apiKey"]


def new_agency(s, name, types=(ACTIVITIES,), **fields):
    """An agency that sees what happens in the province; its API key and that key's id."""
    operate(s, "CreateAgency", agency={"id": name, "name": "测试机构", "types": list(types), "organizations": ["43"],
                                       "statutoryPurposes": ["inspection"], "privacy": "personal", "agreement": "协议〔2026〕1号",
                                       "agreementExpireTime": rfc3339(86400), **fields})
    key_id, key = new_key(s, name)
    return key, key_id


def poll(s, key, cursor="", wait=0, path="/v1/events", **query):
    query = urllib.parse.urlencode({"cursor": cursor, "wait": wait, **query}, doseq=True)
    return s.call("GET", f"{path}?{query}", token=key)


def happen(s, n=1):
    """So many activities are created: one event each. Their ids."""
    return [make_activity(s, s.admin, open_it=False)["id"] for _ in range(n)]


def grow(s, activity, n, size=4000):
    """So many events of three bytes a character."""
    for i in range(n):
        s.call("PATCH", f"/v1/activities/{activity}", {"description": f"{i} " + "长" * (size - 8)}, token=s.admin).ok()


def newest(s, key, **query):
    """The cursor after all that has happened."""
    cursor = ""
    while True:
        page = poll(s, key, cursor, maxEvents=1000, **query).ok()
        cursor = page["cursor"]
        if int(page["through"]) >= int(page["latest"]):
            return cursor


def created(events):
    return [e["subject"] for e in events if e["type"].endswith(".ActivityCreated")]


def until_created(stream, ids):
    """Reads on until all of these have come; the events."""
    events = []
    while not set(ids) <= set(created(events)):
        events.append(stream.event())
    return events


@story("events are polled from the oldest on, in order, and each answer says where to go on")
def polls(s):
    key = s.key
    ids = happen(s, 5)
    seen, cursor = [], ""
    wait_until("the log has them", lambda: set(ids) <= set(created(everything(s, key))))
    while True:
        page = poll(s, key, cursor, maxEvents=2).ok()
        assert len(page["events"]) <= 2 and int(page["from"]) <= int(page["through"]), page
        seen += page["events"]
        cursor = page["cursor"]
        if int(page["through"]) >= int(page["latest"]):
            break
    expect("as in one", [e["sequence"] for e in seen], [e["sequence"] for e in everything(s, key)])
    numbers = [int(e["sequence"]) for e in seen]
    expect("in order", numbers, sorted(set(numbers)))
    expect("envelope", {(e["specversion"], e["type"].startswith("nuanxin.activity.v1."), e["datacontenttype"]) for e in seen},
           {("1.0", True, "application/json")})
    expect("nothing new", poll(s, key, cursor).ok()["events"], [])
    expect("of a type", {e["type"] for e in everything(s, key, types=["nuanxin.activity.v1.ActivityCreated"])},
           {"nuanxin.activity.v1.ActivityCreated"})


def everything(s, key, **query):
    events, cursor = [], ""
    while True:
        page = poll(s, key, cursor, maxEvents=1000, **query).ok()
        events, cursor = events + page["events"], page["cursor"]
        if int(page["through"]) >= int(page["latest"]):
            return events


@story("a poll waits for news, and no longer than it said")
def waits(s):
    cursor = newest(s, s.key)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        waiting = pool.submit(poll, s, s.key, cursor, 25)
        wait_until("it waits", lambda: s.metric("gateway-1", "nuanxin_gateway_requests_in_flight") >= 1)
        ids = happen(s)
        page = waiting.result().ok()
        assert time.monotonic() - started < 20, "it was not told"
        expect("the news", created(page["events"]), ids)
        started = time.monotonic()
        page = poll(s, s.key, newest(s, s.key), 1).ok()
        expect("no news", page["events"], [])
        assert 0.8 < time.monotonic() - started < 8, time.monotonic() - started


@story("a stream brings each event with the cursor to go on after it")
def streams(s):
    start = newest(s, s.key)
    ids = happen(s, 4)
    with EventStream(s, s.key, last=start) as stream:
        expect("kind", (stream.headers["content-type"], stream.headers["cache-control"]), ("text/event-stream", "no-store"))
        events, cursors = [], []
        while not set(ids) <= set(created(events)):
            events.append(stream.event())
            cursors.append(stream.last_id)
        assert stream.retry and stream.retry <= 3000, stream.retry
        expect("in order", created(events), ids)
        more = happen(s)
        expect("as it happens", created(until_created(stream, more)), more)
    for i, cursor in enumerate(cursors):
        with EventStream(s, s.key, last=cursor, cursor="wrong") as again:  # an EventSource asks for the same address
            expect("after " + cursor, created(until_created(again, ids[i + 1:] + more)), ids[i + 1:] + more)
        with EventStream(s, s.key, cursor=cursor) as again:
            expect("by the query", created(until_created(again, ids[i + 1:] + more)), ids[i + 1:] + more)
    with EventStream(s, s.key, last=start, version="1.0") as old:
        assert not old.chunked
        expect("to an old client", created(until_created(old, ids)), ids)
    with EventStream(s, s.key, last=start, types=["nuanxin.activity.v1.ActivityCreated"], maxEvents=1) as some:
        expect("some types", created(until_created(some, ids)), ids)


@story("what is no stream's is refused before it begins, with a status")
def refused(s):
    ask = lambda key=s.key, **more: EventStream(s, key, **more).answer()
    ask(key=None).refused(401, "unauthenticated")
    ask(key="nxa_" + "x" * 43).refused(401, "agency-key-revoked")
    for other in (s.api_key, s.admin):
        ask(key=other).refused(403, "permission-denied")
        poll(s, other).refused(403, "permission-denied")
    ask(headers={"Accept": "application/json"}).refused(406, "not-acceptable")
    expect("any kind", ask(headers={"Accept": "*/*"}).status, 200)
    expect("any kind", ask(headers={"Accept": None}).status, 200)
    ask(last="nonsense").refused(400, "cursor-unknown")
    ask(last="x" * 65).refused(400, "cursor-unknown")
    ask(cursor="nonsense").refused(400, "cursor-unknown")
    ask(types=["nuanxin.activity.v1.Nothing"]).refused(400, "event-type-unknown")
    ask(types=["*"]).refused(400, "invalid-argument")
    poll(s, s.key, wait=31).refused(400, "invalid-argument")
    head = ask(method="HEAD")
    expect("HEAD", (head.status, head.headers["content-type"]), (200, "text/event-stream"))
    ask(method="HEAD", last="nonsense")
    s.call("POST", "/v1/events:stream", token=s.key).refused(405, "method-not-allowed")
    # And what is not an agency's.
    for method, path in (("GET", "/v1/organizations/43"), ("GET", "/v1/activities"), ("GET", "/v1/members?organization=43"),
                         ("GET", "/v1/membership/operations/01976a5e-7c00-7000-8000-0123456789ab")):
        s.call(method, path, token=s.key).refused(403, "permission-denied")


@story("a page of a configured origin may open a stream")
def cors(s):
    r = s.call("OPTIONS", "/v1/events:stream", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "GET",
                                                       "Access-Control-Request-Headers": "authorization,last-event-id,cache-control"})
    expect("origin", r.headers["Access-Control-Allow-Origin"], ORIGIN)
    allowed = {h.strip().lower() for h in r.headers["Access-Control-Allow-Headers"].split(",")}
    assert {"authorization", "last-event-id", "cache-control"} <= allowed, allowed
    with EventStream(s, s.key, headers={"Origin": ORIGIN}) as stream:
        expect("origin", stream.headers["access-control-allow-origin"], ORIGIN)
        assert "origin" in stream.headers["vary"].lower()


@story("a cursor that is gone leads to the present state, and from there on")
def gone(s):
    epoch = newest(s, s.key).split(":")[0]
    other = f"{int(epoch, 16) ^ 1:08x}:1"
    types = ["nuanxin.activity.v1.ActivityCreated", "nuanxin.activity.v1.ActivityOpened"]
    for r in (poll(s, s.key, other, types=types), EventStream(s, s.key, last=other, types=types).answer()):
        problem = r.refused(410, "cursor-gone")
        expect("the way", problem["snapshot"], "/v1/events:snapshot?" + urllib.parse.urlencode({"types": types}, doseq=True))
        assert problem["snapshot"] in problem["detail"], problem
    token = ""
    while True:
        page = s.call("GET", problem["snapshot"] + f"&maxEvents=2&pageToken={token}", token=s.key).ok()
        assert len(page["events"]) <= 2 and {e["type"] for e in page["events"]} <= set(types), page
        token = page["nextPageToken"]
        if not token:
            break
    ids = happen(s)
    with EventStream(s, s.key, last=page["cursor"]) as stream:
        expect("from there on", created(until_created(stream, ids))[-1:], ids)


@story("readers of the same share one fetch, and each is sent all")
def shared(s):
    cursor = newest(s, s.key)
    fetches = lambda: s.metric("gateway-1", "nuanxin_gateway_stream_fetches_total")
    readers = [EventStream(s, s.key, last=cursor) for _ in range(40)]
    for r in readers:
        r.begun()
    before = fetches()
    for _ in range(3):
        ids = happen(s)
        for r in readers:
            expect("each", created([r.event()]), ids)
    assert fetches() - before <= 12, f"{fetches() - before} fetches for three events"
    other, _ = new_agency(s, "reads-else", types=["nuanxin.membership.v1.*"])
    with EventStream(s, other) as else_:
        ids = happen(s)
        for r in readers:
            expect("each", created([r.event()]), ids)
        assert not [e for e in drain_input(else_) if "activity" in e["type"]], "another agency is sent what is not for it"
    for r in readers:
        r.socket.close()
    wait_until("nobody is left", lambda: s.metric("gateway-1", "nuanxin_gateway_streams") <= 1)  # one waits for its heartbeat


def drain_input(stream):
    events = []
    while stream.has_input():
        try:
            events.append(stream.event(0.2))
        except TimeoutError:
            break
    return events


@story("a reader that does not read is cut, holds up nobody, and goes on where it was")
def slow(s):
    activity = happen(s)[0]
    cursor = newest(s, s.key)
    slow_ = EventStream(s, s.key, last=cursor, receive_buffer=4096).begun()
    ended = lambda: s.metric("gateway-1", "nuanxin_gateway_streams_ended_total", 'reason="slow"')
    cut = ended()
    with EventStream(s, s.key, last=cursor) as quick:
        sent = 500  # 6 MiB: more than the kernel takes for a connection
        grow(s, activity, sent)
        for _ in range(sent):
            quick.event()
        wait_until("it is cut", lambda: ended() > cut)
        whole, events = slow_.ended()
        assert not whole and len(events) < sent, (whole, len(events), sent)
        with EventStream(s, s.key, last=slow_.last_id) as again:
            while len(events) < sent:
                events.append(again.event())
    numbers = [int(e["sequence"]) for e in events]
    expect("none missing, none twice", (len(set(numbers)), numbers), (sent, sorted(numbers)))


@story("a slow reader that comes late is not cut as long as it takes something")
def late(s):
    activity = happen(s)[0]
    cursor = newest(s, s.key)
    grow(s, activity, 60)
    with EventStream(s, s.key, last=cursor, receive_buffer=4096) as reader:
        events = []
        while len(events) < 60:
            events.append(reader.event())
        expect("all", [e["data"]["value"]["description"].split()[0] for e in events], [str(i) for i in range(60)])


@story("a revoked key ends its streams with the next fetch, and opens none")
def revoked(s):
    key, key_id = new_agency(s, "revoked")
    next_id, next_key = new_key(s, "revoked")
    cursor = newest(s, key)
    with EventStream(s, key, last=cursor) as stream, EventStream(s, next_key, last=cursor) as other:
        operate(s, "RevokeAgencyKey", agency="revoked", key=key_id)
        ids = happen(s)
        expect("what it still gets", stream.ended(), (True, []))
        expect("its successor", created(until_created(other, ids)), ids)
    EventStream(s, key, last=cursor).answer().refused(401)
    poll(s, key).refused(401)
    s.call("GET", "/v1/activities", token=key).refused(401)  # no copy of it is believed
    poll(s, next_key).ok()


@story("a suspended agency's streams end, and open again when it is resumed")
def suspended(s):
    key, _ = new_agency(s, "suspended")
    cursor = newest(s, key)
    with EventStream(s, key, last=cursor) as stream:
        operate(s, "SuspendAgency", agency="suspended")
        ids = happen(s)
        expect("what it still gets", stream.ended(), (True, []))
    EventStream(s, key, last=cursor).answer().refused(403, "agency-suspended")
    poll(s, key, cursor).refused(403, "agency-suspended")
    operate(s, "ResumeAgency", agency="suspended")
    with EventStream(s, key, last=cursor) as stream:
        expect("nothing was lost", created(until_created(stream, ids)), ids)


@story("only a cursor that the agency shows acknowledges a deletion notice")
def receipts(s):
    key, _ = new_agency(s, "deleting", types=["nuanxin.membership.v1.*"])
    member = make_members(s, s.admin, [person(81001, "430102001001")], "430102001001")[0]["id"]

    def counts():
        rows = [r for r in operate(s, "GetLog")["subscribers"] if r["agency"] == "deleting"]
        return [(int(r["notices"]), int(r["receipts"])) for r in rows]

    with EventStream(s, key, last=newest(s, key)) as stream:
        s.call("POST", f"/v1/members/{member}:erase", {"purpose": "本人申请"}, token=s.admin).ok()
        while not stream.event()["type"].endswith(".MemberErased"):
            pass
        happen(s)
        came = wait_until("the stream's position moves past it", lambda: [
            r for r in operate(s, "GetLog")["subscribers"] if r["agency"] == "deleting" and r["transport"] == "sse"
            and int(r["position"]) >= int(stream.last_id.split(":")[1])])
        expect("sent, not acknowledged", (came[0]["notices"], came[0]["receipts"]), ("1", "0"))
    with EventStream(s, key, last=stream.last_id):
        wait_until("acknowledged", lambda: counts() and set(counts()) == {(1, 1)})


def reading(s, key, cursor):
    """Opens a stream as soon as that is possible."""
    def attempt():
        try:
            stream = EventStream(s, key, last=cursor)
            if stream.answer().status == 200:
                return stream
        except (OSError, Ended):
            pass
        return None

    return wait_until("a stream opens", attempt, 30)


@story("readers and polls wait while the stream service dies and comes again")
def service_killed(s):
    cursor = newest(s, s.key)
    with EventStream(s, s.key, last=cursor) as stream, concurrent.futures.ThreadPoolExecutor(1) as pool:
        for _ in range(3):
            waiting = pool.submit(poll, s, s.key, cursor, 20)
            wait_until("the poll waits", lambda: s.metric("gateway-1", "nuanxin_gateway_requests_in_flight") >= 1)
            wait_until("the runner has started it", lambda: s.pid("stream-1"), 30)
            s.kill("stream-1")
            ids = happen(s)
            expect("the stream", created(until_created(stream, ids)), ids)
            r = waiting.result()
            if r.status != 200:  # while there was no instance for longer than a read waits
                r.refused(503)
                r = poll(s, s.key, cursor, 20)
            expect("the poll", created(r.ok()["events"]), ids)
            cursor = stream.last_id


@story("a killed gateway's readers go on at the next with their last event's id")
def gateway_killed(s):
    stream = EventStream(s, s.key, last=newest(s, s.key)).begun()
    got, wanted = [], []
    for _ in range(3):
        wanted += happen(s, 3)
        while len(got) < len(wanted) - 1:
            got += created([stream.event()])
        s.kill("gateway-1")
        whole, rest = stream.ended()
        assert not whole
        got += created(rest)
        stream = reading(s, s.key, stream.last_id)
    while len(got) < len(wanted):
        got += created([stream.event()])
    expect("each once", got, wanted)
    stream.socket.close()


@story("a gateway that ends lets streams end whole and answers polls, and clients go on elsewhere")
def drained(s):
    cursor = newest(s, s.key)
    stream = EventStream(s, s.key, last=cursor).begun()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(poll, s, s.key, cursor, 30)
        wait_until("the poll waits", lambda: s.metric("gateway-1", "nuanxin_gateway_requests_in_flight") >= 1)
        started = time.monotonic()
        s.kill("gateway-1", signal.SIGTERM)
        expect("the stream", stream.ended(), (True, []))
        expect("the poll", waiting.result().ok()["events"], [])
        assert time.monotonic() - started < 10, "it took its time"
    again = reading(s, s.key, cursor)
    ids = happen(s)
    expect("elsewhere", created(until_created(again, ids)), ids)
    again.socket.close()


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


@story(f"{MANY} readers cost little, all are told at once, and one agency has a bound")
def many(s):
    key, _ = new_agency(s, "many")
    cursor = newest(s, key)
    pid = s.pid("gateway-1")
    before = resident_kib(pid)
    readers = [EventStream(s, key, last=cursor) for _ in range(MANY)]
    for r in readers:
        r.begun()
    each = (resident_kib(pid) - before) / MANY
    print(f"# {each:.1f} KiB a reader")
    assert each <= READER_KIB, each
    ids = happen(s)
    with selectors.DefaultSelector() as selector:
        for r in readers:
            selector.register(r, selectors.EVENT_READ)
        got, deadline = 0, time.monotonic() + 30
        while got < MANY:
            assert time.monotonic() < deadline, f"{got} of {MANY} were told"
            for k, _ in selector.select(1):
                expect("each", created([k.fileobj.event()]), ids)
                selector.unregister(k.fileobj)
                got += 1
    room = [EventStream(s, key, last=cursor) for _ in range(1024 - MANY)]
    for r in room:
        r.begun()
    EventStream(s, key, last=cursor).answer().refused(429, "too-many-fetches")
    poll(s, key, cursor, 30, types=["nuanxin.activity.v1.ActivityEnded"]).refused(429, "too-many-fetches")
    poll(s, key, cursor).ok()
    with EventStream(s, s.key):
        pass
    for r in readers + room:
        r.socket.close()
    wait_until("nobody is left", lambda: s.metric("gateway-1", "nuanxin_gateway_streams") <= 1)
    each = (resident_kib(pid) - before) / MANY
    assert each <= READER_KIB, f"{each} KiB are kept for each that has gone"


@story("a stream on which nothing happens shows that it lives, and where it is")
def heartbeat(s):
    with EventStream(s, s.key, types=["nuanxin.activity.v1.ActivityEnded"]) as silent:
        first = silent.last_id
        happen(s)  # which is not for it
        started = time.monotonic()
        silent.socket.settimeout(20)
        while silent.comments == 0 and silent.last_id == first:
            silent.block()
        took = time.monotonic() - started
        assert took < 17, took
        now = newest(s, s.key)
        while silent.last_id != now:  # the cursor moves on over what is for others
            silent.block()


class Scene(Stack):
    def __enter__(self):
        super().__enter__()
        self.admin = self.login("admin")
        self.key, _ = new_agency(self, "commission")
        return self


main(Scene(instances=SEVERAL, gateway_options=["--cors-origin=" + ORIGIN, "--threads=1", "--rate-scale=100"]))
