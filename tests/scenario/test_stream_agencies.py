#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Agencies: registered, given keys, changed and stopped by the operator; what each may see, asked of every instance over the
bus; and that a withdrawn consent or an erasure hides a person everywhere at once, whatever was in memory."""
import base64
import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.agencies import call, log_head, taken_in  # noqa: E402
from support.bus import OPERATOR, SERVICE, Bus, Refused, agency  # noqa: E402
from support.exact import Outboxes  # noqa: E402
from support.oracle import Log, Oracle, Profile, contract  # noqa: E402
from support.people import person  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.subscriber import canonical  # noqa: E402
from support.world import make_activity, make_members, rfc3339  # noqa: E402

FETCH, SNAPSHOT = ("nuanxin.stream.v1.Stream." + m for m in ("FetchEvents", "FetchSnapshot"))
AUTHENTICATE, EDGE_KEYS, LOG = ("nuanxin.stream.v1.Stream." + m for m in ("AuthenticateAgency", "ListEdgeKeys", "GetLog"))
INSTANCES = ("stream-1", "stream-2")  # on SQLite the second only reads
VILLAGE, ELSEWHERE = "430102001001", "430202001001"
CARE, OTHER = "accident-insurance", "welfare"
WHY = {"purpose": "本人书面申请"}
CONSENTED = Profile("consented", purposes=[CARE])
STATUTORY = Profile("statutory", statutory=["oversight"])
OPEN = Profile("open", privacy="public", organizations=["4301"], purposes=[CARE])
PROFILES = (CONSENTED, STATUTORY, OPEN, Profile("other", purposes=[OTHER]),
            Profile("narrow", types=["nuanxin.activity.v1.CheckinRecorded"], statutory=["oversight"], organizations=["430102"],
                    withheld=["nuanxin.activity.v1.CheckinRecorded.way"]))


@contextlib.contextmanager
def scene():
    with Stack(instances={"stream": 2}, gateway_options=["--rate-scale=1000"], clock=True) as s:
        s.admin = s.login("admin")
        s.buses = {i: Bus(s, i) for i in INSTANCES}
        s.seeded = taken_in(s)  # what comes before is the tree of organisations
        s.seeded_cursor = fetch(s.buses["stream-1"], OPERATOR).cursor.split(":")[0] + f":{s.seeded}"
        s.members = [m["id"] for m in make_members(s, s.admin, [person(60000 + i, VILLAGE) for i in range(60)], VILLAGE)]
        s.activity = make_activity(s, s.admin, "430102")["id"]
        s.free = iter(s.members)
        s.keys = {}
        taken_in(s)
        for p in PROFILES:
            register(s, p)
        yield s


def register(s, profile, expires=86400 * 365):
    p = profile
    call(s, "CreateAgency", agency={
        "id": p.id, "name": "测试机构", "purposes": p.purposes, "statutoryPurposes": p.statutory, "types": p.types, "organizations": p.organizations,
        "privacy": p.privacy, "withheldFields": p.withheld, "agreement": "测试协议", "agreementExpireTime": rfc3339(expires)})
    made = call(s, "CreateAgencyKey", agency=p.id)
    s.keys[p.id] = made["key"]["id"], made["apiKey"]


def who(s, profile):
    return agency(profile.id, s.keys[profile.id][0])


def consent(s, member, purpose=CARE):
    s.call("POST", f"/v1/members/{member}/consents", {"purpose": purpose, "version": "2026-01"}, token=s.admin).ok()


def withdraw(s, member, purpose=CARE):
    s.call("POST", f"/v1/members/{member}/consents:withdraw", {"purpose": purpose}, token=s.admin).ok()


def check_in(s, member):
    s.call("POST", f"/v1/activities/{s.activity}/checkins", {"member": member}, token=s.api_key).ok()


def fetch(bus, principal, cursor="", **fields):
    return bus.call(FETCH, {"cursor": cursor, **fields}, principal, seconds=fields.get("wait", 0) + 10)


def fetch_all(s, instance, principal, cursor=None, **fields):
    """[(seq, event as canonical text)] up to the end, from after the seed unless a cursor says otherwise, and the last answer."""
    bus, cursor = s.buses[instance] if isinstance(instance, str) else instance, s.seeded_cursor if cursor is None else cursor
    events = []
    while True:
        batch = fetch(bus, principal, cursor, maxEvents=1000, **fields)
        for e in events_of(batch, fields.get("format", "JSON")):
            events.append((int(e["sequence"]), canonical(e)))
        if batch.through == batch.latest:
            return events, batch
        assert batch.through > getattr(batch, "from"), batch
        cursor = batch.cursor


def events_of(batch, format="JSON"):
    if format == "JSON":
        return json.loads(batch.events)
    packed = contract().type("io.cloudevents.v1.CloudEventBatch").FromString(batch.events)
    return [contract().event_of(e) for e in packed.events]


def about(events, member):
    return [json.loads(text)["type"].rsplit(".", 1)[1] for _, text in events if member in text]


# --- registering ------------------------------------------------------------------------------------------------------------


@story("the operator registers an agency, shows, changes, suspends and resumes it, and gives it keys, by the command alone")
def command(s):
    def nuanxin(*words, check=True):
        r = s.cli("agency", *words, check=check)
        return r.stdout + r.stderr

    said = nuanxin("add", "finance", "长沙市财政局", "长财函〔2026〕3号", "2027-12-31", "types=nuanxin.activity.v1.*", "orgs=4301,4302",
                   "purposes=subsidy", "privacy=personal", "withheld=nuanxin.activity.v1.CheckinRecorded.way")
    assert "nuanxin.membership.v1.MemberErased" in said, "who learns of persons is told when to delete"
    made = json.loads(s.cli("agency", "show", "finance", "--json").stdout)
    expect("its terms", {k: made[k] for k in ("name", "agreement", "agreementExpireTime", "organizations", "purposes", "privacy", "withheldFields", "suspended")},
           {"name": "长沙市财政局", "agreement": "长财函〔2026〕3号", "agreementExpireTime": "2027-12-31T15:59:59Z", "organizations": ["4301", "4302"],
            "purposes": ["subsidy"], "privacy": "personal", "withheldFields": ["nuanxin.activity.v1.CheckinRecorded.way"], "suspended": False})
    nuanxin("update", "finance", "orgs=43", "withheld=", "until=2028-06-30")
    made = json.loads(s.cli("agency", "show", "finance", "--json").stdout)
    expect("changed", (made["organizations"], made["withheldFields"], made["agreementExpireTime"], made["purposes"]),
           (["43"], [], "2028-06-30T15:59:59Z", ["subsidy"]))
    nuanxin("suspend", "finance")
    assert "true" in next(line for line in nuanxin("list").splitlines() if line.startswith("finance"))
    nuanxin("resume", "finance")
    made = json.loads(s.cli("agency", "key", "add", "finance", "--json").stdout)
    assert made["apiKey"].startswith("nxa_"), made
    assert made["apiKey"] not in nuanxin("show", "finance"), "it is shown once"
    s.call("GET", "/v1/events", token=made["apiKey"]).ok()
    nuanxin("key", "revoke", "finance", made["key"]["id"])
    assert made["key"]["id"] not in nuanxin("show", "finance")
    s.call("GET", "/v1/events", token=made["apiKey"]).refused(401)
    for words in (("add", "finance", "甲", "乙", "2027-12-31"), ("add", "x", "甲", "乙", "not a day"), ("show", "nobody"), ("update", "finance", "colour=red"),
                  ("update", "finance", "types=nuanxin.housing.v1.*"), ("key", "revoke", "finance", made["key"]["id"])):
        assert s.cli("agency", *words, check=False).returncode in (1, 2), words


@story("what cannot be right is refused by name: types, organisations, fields that do not exist; keys that are no keys, or used before")
def refusals(s):
    def problem(method, **fields):
        r = call(s, method, check=False, **fields)
        assert not isinstance(r, dict), r
        return r.stderr

    good = {"id": "new", "name": "新", "agreement": "协议", "agreementExpireTime": rfc3339(86400)}
    for bad, name in (({"types": ["nuanxin.housing.v1.*"]}, "event-type-unknown"),
                      ({"types": ["nuanxin.membership.v1.AccountRightsChanged"]}, "event-type-unknown"),
                      ({"organizations": ["999999"]}, "organization-unknown"),
                      ({"withheldFields": ["nuanxin.activity.v1.CheckinRecorded.wy"]}, "/agency/withheldFields/0"),
                      ({"privacy": "sensitive"}, "/agency/privacy"), ({"id": "Upper"}, "/agency/id"),
                      ({"id": "consented"}, "agency-exists")):
        said = problem("CreateAgency", agency={**good, **bad})
        assert name in said, f"{bad}: {said}"
    assert "not-found" in problem("GetAgency", agency="new")

    import zmq
    pairs = [zmq.curve_keypair()[0].decode() for _ in range(4)]
    register(s, Profile("keyed", types=["nuanxin.activity.v1.*"]))
    assert "agency-key-invalid" in problem("CreateAgencyKey", agency="keyed", publicKey="short")
    assert "agency-key-invalid" in problem("CreateAgencyKey", agency="keyed", publicKey="~" * 40)
    first = call(s, "CreateAgencyKey", agency="keyed", publicKey=pairs[0])["key"]["id"]
    call(s, "CreateAgencyKey", agency="keyed", publicKey=pairs[1])
    assert "agency-key-limit" in problem("CreateAgencyKey", agency="keyed", publicKey=pairs[2])
    call(s, "CreateAgencyKey", agency="keyed")  # of the other kind there is one
    assert "agency-key-limit" in problem("CreateAgencyKey", agency="keyed")
    call(s, "RevokeAgencyKey", agency="keyed", key=first)
    assert "agency-key-taken" in problem("CreateAgencyKey", agency="keyed", publicKey=pairs[0]), "a new pair in each rotation"
    call(s, "CreateAgencyKey", agency="keyed", publicKey=pairs[2])
    register(s, Profile("another", types=["nuanxin.activity.v1.*"]))
    assert "agency-key-taken" in problem("CreateAgencyKey", agency="another", publicKey=pairs[1]), "a pair of its own"
    assert "not-found" in problem("RevokeAgencyKey", agency="another", key=s.keys["keyed"][0])


# --- seeing ------------------------------------------------------------------------------------------------------------------


@story("each agency sees exactly what it may, of every instance, in both formats; the operator sees it as the agency does, and all of it")
def seeing(s):
    a, b, c, d = (next(s.free) for _ in range(4))
    for m in (a, b, c, d):
        consent(s, m)
        check_in(s, m)
    consent(s, b, OTHER)
    withdraw(s, c)
    s.call("POST", f"/v1/members/{d}:erase", WHY, token=s.admin).ok()
    taken_in(s)
    boxes = Outboxes(s)
    wait_until("the erased one is gone", lambda: s.rows("stream", "SELECT COUNT(*) FROM log WHERE erased_by <> 0")[0][0] > 0)
    log = Log.of(s, boxes)
    oracle = Oracle(log)
    for p in PROFILES:
        whole = oracle.visible(p)
        wanted = [(seq, text) for seq, text in whole if seq > s.seeded]
        assert wanted and len(whole) > len(wanted) or p.id == "narrow", p
        for bus in s.buses.values():
            for format in ("JSON", "PROTOBUF"):
                expect(f"what {p} sees", fetch_all(s, bus, who(s, p), format=format)[0], wanted)
            expect(f"what {p} sees, as the operator is shown it", fetch_all(s, bus, OPERATOR, agency=p.id)[0], wanted)
        expect(f"what {p} sees from the beginning", fetch_all(s, "stream-2", who(s, p), "")[0], whole)
        only = ["nuanxin.activity.v1.*"]
        expect(f"of what {p} asks for", fetch_all(s, "stream-1", who(s, p), "", types=only)[0], oracle.visible(p, only))
    everything, _ = fetch_all(s, "stream-2", OPERATOR, "")
    expect("all of it", [seq for seq, _ in everything], [e.seq for e in log.events if e.person not in log.erased or e.type.endswith("MemberErased")])
    tail = s.cli("stream", "tail", "oldest", "--set", "wait=0", "--set", "agency=narrow").stdout
    expect("in the operator's tail", [canonical(json.loads(line)) for line in tail.splitlines()], [t for _, t in oracle.visible(PROFILES[-1])])


@story("bounds and cursors: through moves on though nothing matched, batches join without gaps, each names its head, signed")
def cursors(s):
    bus, me = s.buses["stream-1"], who(s, STATUTORY)
    latest = taken_in(s)
    nothing = Profile("nothing", types=["nuanxin.activity.v1.CampaignClosed"])
    register(s, nothing)
    batches, cursor = [], ""
    while not batches or batches[-1].through < latest:
        batches.append(fetch(bus, who(s, nothing), cursor))
        cursor = batches[-1].cursor
        expect("its events", events_of(batches[-1]), [])
    assert 1 < len(batches) < 20, "each looks at some thousands"
    seen, cursor, through = [], "", 0
    while through < latest:
        batch = fetch(bus, me, cursor, maxEvents=777)
        expect("it begins where the last ended", getattr(batch, "from"), through)
        expect("its cursor", batch.cursor.split(":")[1], str(batch.through))
        seen += [int(e["sequence"]) for e in events_of(batch)]
        assert len(events_of(batch)) <= 777 and len(batch.events) <= 1 << 20
        cursor, through = batch.cursor, batch.through
    expect("in all", seen, [seq for seq, _ in fetch_all(s, bus, me, "")[0]])
    expect("by default", len(events_of(fetch(bus, me))), 100)
    expect("heads", [bytes(b.head).hex() for b in batches], [bytes(s_).hex() for b in batches for (s_,) in s.rows("stream", f"SELECT head FROM log WHERE seq = {b.through}")])
    public = base64.b64decode(json.loads(s.cli("call", "GetLog").stdout)["publicKey"])
    assert all(signed(s, public, b) for b in batches)
    batches[0].head = batches[1].head
    assert not signed(s, public, batches[0])

    epoch = cursor.split(":")[0]
    foreign = ("0" if epoch[0] != "0" else "1") + epoch[1:]
    for instance in s.buses.values():
        expect("where to go from another epoch", instance.refused("cursor-gone", FETCH, {"cursor": f"{foreign}:1"}, me), ["/v1/events:snapshot"])
        for bad in ("x", epoch, epoch + ":", f"{epoch}:-1", f"{epoch}:01x", f"{epoch}:1 ", epoch.upper() + "X:1", f"{epoch}:{latest + 1000000}", f"{epoch}:{10**30}"):
            instance.refused("cursor-unknown", FETCH, {"cursor": bad}, me)
        expect("which", instance.refused("event-type-unknown", FETCH, {"types": ["nuanxin.activity.v1.*", "nuanxin.nothing.*"]}, me), ["nuanxin.nothing.*"])


def signed(s, public, batch):
    """By openssl: what the signature covers is said in common/chain/chain.h."""
    der = bytes.fromhex("302a300506032b6570032100") + public
    parts = {"key.der": der, "text": f"nuanxin batch 1\n{batch.cursor}\n{bytes(batch.head).hex()}\n".encode(), "signature": batch.signature}
    for name, content in parts.items():
        with open(os.path.join(s.folder, name), "wb") as f:
            f.write(content)
    return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-rawin", "-in", "text", "-sigfile", "signature"],
                          cwd=s.folder, capture_output=True).returncode == 0


@story("nobody but agencies and the operator fetches; a key of another agency's, none, or one that is revoked opens nothing, from the next fetch on")
def keys(s):
    register(s, Profile("locked", statutory=["oversight"]))
    id, secret = s.keys["locked"]
    for bus in s.buses.values():
        fetch(bus, agency("locked", id))
        bus.refused("unauthenticated", FETCH, {}, agency("locked", s.keys["consented"][0]))
        bus.refused("unauthenticated", FETCH, {}, agency("locked", ""))
        bus.refused("unauthenticated", FETCH, {}, agency("nobody", id))
        bus.refused("unauthenticated", FETCH, {}, agency("", id))
        bus.refused("permission-denied", FETCH, {}, {"kind": "ACCOUNT", "id": "x"})
        bus.refused("permission-denied", FETCH, {}, SERVICE)
        bus.refused("not-found", FETCH, {"agency": "nobody"}, OPERATOR)
        bus.refused("permission-denied", LOG, {}, agency("locked", id))
    s.call("GET", "/v1/events", token=s.admin).refused(403)
    s.call("GET", "/v1/events", token=s.api_key).refused(403)

    import hashlib
    hash = hashlib.sha256(secret.encode()).hexdigest()
    for bus in s.buses.values():
        known = bus.call(AUTHENTICATE, {"keyHash": hash}, SERVICE)
        expect("whose it is", (known.id, known.session, known.kind), ("locked", id, known.Kind.Value("AGENCY")))
        bus.refused("unauthenticated", AUTHENTICATE, {"keyHash": "0" * 64}, SERVICE)
    second = call(s, "CreateAgencyKey", agency="locked")
    call(s, "RevokeAgencyKey", agency="locked", key=id)
    for bus in s.buses.values():
        bus.refused("unauthenticated", FETCH, {}, agency("locked", id))
        bus.refused("unauthenticated", AUTHENTICATE, {"keyHash": hash}, SERVICE)
        fetch(bus, agency("locked", second["key"]["id"]))


@story("suspended, expired, with fewer rights: from the next fetch on, of every instance; and back")
def changes(s):
    p = Profile("changing", statutory=["oversight"])
    register(s, p, expires=3600)
    me = who(s, p)

    def change(**fields):
        call(s, "UpdateAgency", agency={"id": "changing", **fields}, updateMask=",".join(fields))

    make_activity(s, s.admin, "4302")
    taken_in(s)
    whole = fetch_all(s, "stream-1", me)[0]
    assert whole == fetch_all(s, "stream-2", me)[0] and len(whole) > 60
    call(s, "SuspendAgency", agency="changing")
    for bus in s.buses.values():
        bus.refused("agency-suspended", FETCH, {}, me)
        bus.refused("agency-suspended", SNAPSHOT, {}, me)
    call(s, "ResumeAgency", agency="changing")
    change(organizations=["430102"])
    less = [fetch_all(s, bus, me)[0] for bus in s.buses.values()]
    assert less[0] == less[1] and 0 < len(less[0]) < len(whole)
    change(privacy="public", types=["nuanxin.activity.v1.*"])
    for bus in s.buses.values():
        events = fetch_all(s, bus, me)[0]
        assert events and not any(m in text for _, text in events for m in s.members), "a person's id is personal"
    change(privacy="personal", organizations=["43"], types=["nuanxin.*"])
    for bus in s.buses.values():
        expect("all again", fetch_all(s, bus, me)[0][:len(whole)], whole)
    s.advance(3601)
    try:
        for bus in s.buses.values():
            expect("which agreement", bus.refused("agreement-expired", FETCH, {}, me), ["测试协议"])
    finally:
        s.advance(-3601)


# --- persons -----------------------------------------------------------------------------------------------------------------


@story("a consent shows a person's events, those of before too; withdrawn, no fetch at any cursor of any instance shows them, but for the notice")
def withdrawal(s):
    m = next(s.free)
    me = who(s, CONSENTED)
    start = fetch_all(s, "stream-1", me)[1].cursor
    check_in(s, m)
    taken_in(s)
    for bus in s.buses.values():
        expect("without consent", about(fetch_all(s, bus, me)[0], m), [])
    told = lambda: s.rows("stream", "SELECT COUNT(*) FROM notice")[0][0]
    for round in range(3):
        before = told()
        consent(s, m)
        check = ["MemberStateChanged", "CheckinRecorded"] + ["ConsentGiven", "ConsentWithdrawn"] * round + ["ConsentGiven"]
        taken_in(s)
        for bus in s.buses.values():
            expect("with consent", sorted(set(about(fetch_all(s, bus, me)[0], m))), sorted(set(check)))
            expect("by a cursor", about(fetch_all(s, bus, me, start)[0], m)[0], "CheckinRecorded")
        withdraw(s, m)
        wait_until("the log has it", lambda: told() > before)
        for bus in s.buses.values():
            expect("after the withdrawal", set(about(fetch_all(s, bus, me)[0], m)), {"ConsentWithdrawn"})
            expect("by a cursor", set(about(fetch_all(s, bus, me, start)[0], m)), {"ConsentWithdrawn"})
            expect("to who has another purpose", about(fetch_all(s, bus, who(s, PROFILES[3]))[0], m), [])
            assert "CheckinRecorded" in about(fetch_all(s, bus, who(s, STATUTORY))[0], m)


@story("while events come and are fetched everywhere, a withdrawal holds from the moment that the log has it")
def race(s):
    """Readers fetch from the beginning and from just before, again and again. Each notes how far the log was, by an answer that it
    had before it asked; what it then gets must not show whose withdrawal was in the log up to there."""
    people = [next(s.free) for _ in range(8)]
    start = fetch_all(s, "stream-1", OPERATOR)[1]
    stop, failures, fetched = threading.Event(), [], [0]

    def reader(instance, seed):
        bus, chance = Bus(s, instance), random.Random(seed)
        try:
            while not stop.is_set():
                before = fetch(bus, OPERATOR, start.cursor, maxEvents=1).latest
                cursor = chance.choice([start.cursor, s.seeded_cursor])
                events, _ = fetch_all(s, bus, who(s, CONSENTED), cursor)
                fetched[0] += 1
                found.append((before, [(seq, json.loads(text)) for seq, text in events if any(p in text for p in people)]))
        except Exception as e:
            failures.append(e)
        finally:
            bus.close()

    found = []
    readers = [threading.Thread(target=reader, args=(i, n)) for n, i in enumerate(INSTANCES * 2)]
    for r in readers:
        r.start()
    chance = random.Random(7)
    given = set()
    for _ in range(120):
        p = chance.choice(people)
        if p in given:
            withdraw(s, p)
            given.discard(p)
        else:
            consent(s, p)
            given.add(p)
        s.call("POST", f"/v1/members/{p}:suspend", token=s.admin).ok()
        s.call("POST", f"/v1/members/{p}:resume", token=s.admin).ok()
    taken_in(s)
    stop.set()
    for r in readers:
        r.join()
    assert not failures, failures
    assert fetched[0] > 20, fetched
    changes_of = {p: [] for p in people}  # (seq, consents from then on)
    for e in Log.of(s).events:
        if e.person in changes_of and "Consent" in e.type:
            changes_of[e.person].append((e.seq, e.type.endswith("Given")))
    shown = 0
    for before, events in found:
        for seq, event in events:
            p = event["data"]["member"]
            if event["type"].endswith("ConsentWithdrawn"):
                continue
            shown += 1
            at_ask = [ok for at, ok in changes_of[p] if at <= before]
            later = [ok for at, ok in changes_of[p] if at > before]
            assert (at_ask and at_ask[-1]) or any(later), f"event {seq} of {p} was shown after the log had the withdrawal"
    assert shown > 20, shown


@story("who is erased is seen by nobody any more but for the notice, which comes wherever the log had told of them, though they moved away")
def erasure(s):
    m = next(s.free)
    consent(s, m)
    check_in(s, m)
    make = make_members(s, s.admin, [person(61000, ELSEWHERE)], ELSEWHERE)[0]["id"]
    taken_in(s)
    local, other = Profile("local", organizations=["430102"], statutory=["oversight"]), Profile("far", organizations=["4302"], statutory=["oversight"])
    register(s, local)
    register(s, other)
    for bus in s.buses.values():
        for p in (CONSENTED, STATUTORY, local):
            assert "CheckinRecorded" in about(fetch_all(s, bus, who(s, p))[0], m)
        expect("elsewhere", about(fetch_all(s, bus, who(s, other))[0], m), [])
        # One of another city took part here.
        assert "MemberStateChanged" not in about(fetch_all(s, bus, who(s, local))[0], make)
    s.call("POST", f"/v1/activities/{s.activity}/checkins", {"member": make}, token=s.api_key).ok()
    for gone in (m, make):
        s.call("POST", f"/v1/members/{gone}:erase", WHY, token=s.admin).ok()
        wait_until("the log has it", lambda: s.rows("stream", f"SELECT 1 FROM standing WHERE person = '{gone}' AND purpose = ''"))
        for bus in s.buses.values():
            for p in (CONSENTED, STATUTORY):
                expect("what is left", set(about(fetch_all(s, bus, who(s, p))[0], gone)), {"MemberErased"})
    for bus in s.buses.values():
        expect("where they lived", set(about(fetch_all(s, bus, who(s, local))[0], m)), {"MemberErased"})
        expect("where they had taken part", set(about(fetch_all(s, bus, who(s, other))[0], make)), {"MemberErased"})
        expect("elsewhere", about(fetch_all(s, bus, who(s, other))[0], m), [])


# --- waiting ------------------------------------------------------------------------------------------------------------------


@story("a fetch waits for what it may see, in every instance; what it may not see does not end its wait, nor is it looked at twice")
def waiting(s):
    register(s, Profile("campaigns", types=["nuanxin.activity.v1.CampaignOpened"]))
    latest = taken_in(s)
    cursor = fetch_all(s, "stream-1", OPERATOR)[1].cursor
    answers = {}

    def wait(instance):
        bus = Bus(s, instance)
        began = time.monotonic()
        answers[instance] = fetch(bus, agency("campaigns", s.keys["campaigns"][0]), cursor, wait=20), time.monotonic() - began
        bus.close()

    waiters = [threading.Thread(target=wait, args=(i,)) for i in INSTANCES]
    for w in waiters:
        w.start()
    for _ in range(5):
        make_activity(s, s.admin, open_it=False)
    taken_in(s)
    assert not answers, "they still wait"
    made = s.call("POST", "/v1/campaigns", {"organization": "43", "title": "等待", "startTime": rfc3339(-60), "endTime": rfc3339(3600)}, token=s.admin).ok()
    s.call("POST", f"/v1/campaigns/{made['id']}:open", token=s.admin).ok()
    for w in waiters:
        w.join()
    for batch, seconds in answers.values():
        expect("what came", [e["subject"] for e in events_of(batch)], [made["id"]])
        assert seconds < 15 and getattr(batch, "from") >= latest, (seconds, batch)
    began = time.monotonic()
    end = taken_in(s)
    batch = fetch(s.buses["stream-2"], agency("campaigns", s.keys["campaigns"][0]), answers["stream-1"][0].cursor, wait=1)
    assert 0.9 <= time.monotonic() - began < 5 and batch.through == end and not events_of(batch), batch


@story("the edge is told at once who may connect: a new key, a revoked one")
def edge_keys(s):
    import zmq
    public = zmq.curve_keypair()[0].decode()
    now = {i: b.call(EDGE_KEYS, {}, SERVICE) for i, b in s.buses.items()}
    answers = {}

    def wait(instance):
        bus = Bus(s, instance)
        answers[instance] = bus.call(EDGE_KEYS, {"knownRevision": now[instance].revision, "waitMs": 20000}, SERVICE, seconds=25)
        bus.close()

    for change in (lambda: call(s, "CreateAgencyKey", agency="open", publicKey=public)["key"]["id"], lambda: call(s, "RevokeAgencyKey", agency="open", key=made)):
        answers.clear()
        waiters = [threading.Thread(target=wait, args=(i,)) for i in INSTANCES]
        for w in waiters:
            w.start()
        made = change()
        for w in waiters:
            w.join(15)
        expect("told", set(answers), set(INSTANCES))
        for instance, told in answers.items():
            assert told.revision > now[instance].revision
            expect("there", public in [k.public_key for k in told.keys], isinstance(made, str))
        now = answers.copy()
    for bus in s.buses.values():
        bus.refused("permission-denied", EDGE_KEYS, {}, agency("open", s.keys["open"][0]))


# --- positions ---------------------------------------------------------------------------------------------------------------


def subscriber(s, id, transport):
    log = json.loads(s.cli("call", "GetLog").stdout)
    return next((x for x in log.get("subscribers", []) if (x["agency"], x["transport"]) == (id, transport)), None)


@story("how far each agency has come is kept by what it acknowledged, for each transport; so are its receipts for notices; whatever is killed")
def positions(s):
    p = Profile("reader", purposes=[CARE])
    register(s, p)
    for m in (next(s.free), next(s.free)):
        consent(s, m)
        withdraw(s, m)
    latest = taken_in(s)
    (notices,) = s.rows("stream", "SELECT COUNT(*) FROM notice WHERE type LIKE '%MemberErased' OR purpose = 'accident-insurance'")[0]
    assert notices > 1
    epoch = fetch(s.buses["stream-1"], OPERATOR).cursor.split(":")[0]
    (last,) = s.rows("stream", "SELECT MAX(seq) FROM notice WHERE type LIKE '%MemberErased' OR purpose = 'accident-insurance'")[0]
    fetch(s.buses["stream-1"], who(s, p))
    fetch(s.buses["stream-1"], who(s, p), f"{epoch}:{last - 1}", transport="zeromq")
    at = wait_until("its position is kept", lambda: subscriber(s, "reader", "zeromq"))
    expect("where it is", (int(at["position"]), int(at["behind"]), int(at["notices"]), int(at["receipts"])), (last - 1, latest - last + 1, notices, notices - 1))
    assert not subscriber(s, "reader", "http"), "it has acknowledged nothing there"
    fetch(s.buses["stream-1"], who(s, p), f"{epoch}:{last}")
    at = wait_until("and by the other transport", lambda: subscriber(s, "reader", "http"))
    expect("receipts", (int(at["position"]), int(at["receipts"])), (last, notices))
    expect("which", s.rows("stream", f"SELECT COUNT(*), MAX(notice) FROM receipt WHERE agency = 'reader'"), [(notices, last)])
    behind = lambda: [s.metric(i, "nuanxin_stream_subscriber_behind", 'agency="reader",transport="zeromq"') for i in INSTANCES]
    wait_until("the figure", lambda: latest - last + 1 in behind())
    fetch(s.buses["stream-2"], who(s, p), f"{epoch}:{latest}", transport="webhook")
    wait_until("it is kept wherever it fetches", lambda: subscriber(s, "reader", "webhook"))
    make_activity(s, s.admin)
    end = taken_in(s)
    wait_until("the figure grows though it does not come", lambda: end - last + 1 in behind())
    for instance in INSTANCES:
        s.kill(instance)
    for bus in s.buses.values():
        bus.close()
    wait_until("it is there again", lambda: log_head(s) >= end, 30)
    expect("after the end of all instances", int(subscriber(s, "reader", "http")["receipts"]), notices)
    assert "reader" in s.cli("stream", "lag").stdout


@story("what the log no longer keeps is found in the snapshot, page by page, by the same rules; and the log goes on where it ends")
def snapshot(s):
    consenting, withdrew, gone = (next(s.free) for _ in range(3))
    for m in (consenting, withdrew, gone):
        consent(s, m)
        check_in(s, m)
    withdraw(s, withdrew)
    s.call("POST", f"/v1/members/{gone}:erase", WHY, token=s.admin).ok()
    end = taken_in(s)
    wait_until("the erased one is gone", lambda: not s.rows("stream", f"SELECT 1 FROM rpc_due WHERE kind = 'log.erase' AND at_us < {int(time.time() * 1e6) + 60_000_000}"))
    cursor = fetch(s.buses["stream-1"], OPERATOR, s.seeded_cursor, maxEvents=1).cursor
    wait_until("all is signed", lambda: int(json.loads(s.cli("call", "GetLog").stdout)["checkpoint"]) == end, 15)
    boxes = Outboxes(s)
    s.advance(31 * 86400)
    s.admin = s.login("admin")
    wait_until("the log has let go of it", lambda: s.rows("stream", "SELECT COALESCE(MIN(seq), 1000000) FROM log")[0][0] > end, 60)
    stored = contract().type("nuanxin.stream.v1.StoredEvent")
    state = Log([stored.FromString(e) for (e,) in s.rows("stream", "SELECT event FROM log_state ORDER BY seq")], boxes.told(s))
    for instance in s.buses.values():
        expect("where to go", instance.refused("cursor-gone", FETCH, {"cursor": cursor}, who(s, CONSENTED)), ["/v1/events:snapshot"])
    for p, bus in ((CONSENTED, s.buses["stream-1"]), (OPEN, s.buses["stream-2"])):
        got, page, pages = [], None, 0
        while not page or page.next_page_token:
            token = page.next_page_token if page else ""
            page = bus.call(SNAPSHOT, {"pageToken": token, "maxEvents": 999 if not page else 700}, who(s, p))
            got += [(int(e["sequence"]), canonical(e)) for e in events_of(page)]
            pages += 1
        expect(f"the state that {p} sees", got, Oracle(state).visible(p))
        assert pages > 3 and about(got, consenting) or p is OPEN
        expect("of who withdrew", set(about(got, withdrew)), set() if p is OPEN else {"ConsentWithdrawn"})
        expect("of who was erased", set(about(got, gone)), set() if p is OPEN else {"MemberErased"})
        bus.refused("page-token-invalid", SNAPSHOT, {"pageToken": token}, who(s, STATUTORY))
        make_activity(s, s.admin, "430102", open_it=False)
        latest = taken_in(s)
        after, last = fetch_all(s, bus, who(s, p), page.cursor)
        assert after and last.through >= latest, "the log goes on from there"


if __name__ == "__main__":
    main(scene())
