#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Check-ins: every way in, every reason for a refusal, once however often, and one end whatever the order."""
import base64
import contextlib
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import person  # noqa: E402
from support.stack import SEVERAL, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members, rfc3339  # noqa: E402

VILLAGES = ["430102001001", "430103002001", "430211001001"]


@contextlib.contextmanager
def scene():
    with Stack(clock=True, instances=SEVERAL, gateway_options=["--rate-scale=1000"]) as s:
        admin = s.login("admin")
        s.members = make_members(s, admin, [person(i, VILLAGES[i % 3]) for i in range(60)])
        s.cards = [s.call("GET", f"/v1/members/{m['id']}/card", token=s.api_key).ok()["token"] for m in s.members]
        probe = make_activity(s, admin)
        wait_until("activity knows the last member", lambda: scan(s, probe, member=s.members[-1]["id"]).status == 200, 10)
        yield s


def scan(s, activity, token=None, **fields):
    return s.call("POST", f"/v1/activities/{activity['id']}/checkins", fields, token=token or s.api_key)


def stored(s, activity, token, refused=False):
    r = s.call("GET", f"/v1/activities/{activity['id']}/checkins?pageSize=1000&refused={str(refused).lower()}", token=token).ok()
    return r.get("checkins", [])


def attended(s, activity):
    c = s.call("GET", f"/v1/activities/{activity['id']}", token=s.api_key).ok()["counts"]
    return int(c.get("onSite", 0)), int(c.get("online", 0))


@story("by card, by code, by staff and online: each way counts where the member belongs")
def ways(s):
    admin = s.login("admin")
    a = make_activity(s, admin)
    r = s.call("POST", f"/v1/activities/{a['id']}/registrations", {"member": s.members[1]["id"]}, token=s.api_key).ok()
    session = s.call("POST", "/v1/sessions:exchange", {"member": s.members[3]["id"]}, token=s.api_key).ok()["token"]
    answers = [scan(s, a, card=s.cards[0]).ok(), scan(s, a, code=r["code"].lower().replace("-", " ")).ok(),
               scan(s, a, token=admin, member=s.members[2]["id"]).ok(), scan(s, a, token=session, online="").ok()]
    expect("ways", [x["way"] for x in answers], ["CARD", "CODE", "STAFF", "ONLINE"])
    expect("members", [x["member"] for x in answers], [m["id"] for m in s.members[:4]])
    expect("organisations", [x["organization"] for x in answers], [m["organization"] for m in s.members[:4]])
    wait_until("the counts have followed", lambda: attended(s, a) == (3, 1), 5)
    got = s.call("GET", f"/v1/activities/{a['id']}/registrations/{r['id']}", token=admin).ok()
    expect("the registration says so", got.get("attended"), True)


@story("a member session checks itself in online, nobody else, and not on site")
def member_session(s):
    a = make_activity(s, s.login("admin"))
    session = s.call("POST", "/v1/sessions:exchange", {"member": s.members[4]["id"]}, token=s.api_key).ok()["token"]
    scan(s, a, token=session, online=s.members[5]["id"]).refused(404, "not-found")
    scan(s, a, token=session, member=s.members[4]["id"]).refused(403, "permission-denied")
    scan(s, a, token=session, online=s.members[4]["id"]).ok()


@story("who may not check in at an activity learns nothing of it")
def scope(s):
    admin, clerk = s.login("admin"), s.login("clerk")
    a = make_activity(s, admin, organization="430103")
    scan(s, a, token=clerk, card=s.cards[0]).refused(404, "not-found")
    s.call("GET", f"/v1/activities/{a['id']}/checkins", token=clerk).refused(404, "not-found")
    batch = f"/v1/activities/{a['id']}/checkins:batchCreate"
    s.call("POST", batch, {"scans": [{"card": s.cards[0]}]}, token=clerk).refused(404, "not-found")
    expect("nothing was kept", stored(s, a, admin) + stored(s, a, admin, refused=True), [])


@story("the same check-in sent 50 times at once counts once")
def fifty(s):
    admin = s.login("admin")
    a = make_activity(s, admin)
    auth = {"Authorization": "Bearer " + s.api_key}
    body = {"card": s.cards[0], "device": "d", "nonce": "n", "occurredTime": rfc3339(-5)}
    answers = [r.ok() for r in s.load([("POST", f"/v1/activities/{a['id']}/checkins", body, auth)] * 50, connections=50)]
    expect("ids", len({x["id"] for x in answers}), 1)
    expect("first ones", sum(not x.get("repeated") for x in answers), 1)
    expect("kept", len(stored(s, a, admin)), 1)
    wait_until("one is counted", lambda: attended(s, a) == (1, 0), 5)


def forged(token):
    head, payload, signature = token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)))
    raw[0] ^= 1
    return ".".join([head, payload, base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")])


@story("the card of a suspended member counts for what it was shown at before, whatever arrives first")
def suspended(s):
    admin = s.login("admin")
    a, probe = make_activity(s, admin), make_activity(s, admin)
    m, card = s.members[6], s.cards[6]
    code = s.call("POST", f"/v1/activities/{a['id']}/registrations", {"member": m["id"]}, token=s.api_key).ok()["code"]
    s.call("POST", f"/v1/members/{m['id']}:suspend", token=admin).ok()
    wait_until("activity knows", lambda: scan(s, probe, card=card).status == 422, 10)
    for shown in ({"card": card}, {"code": code}, {"member": m["id"]}, {"online": m["id"]}):
        scan(s, a, **shown).refused(422, "checkin-member-not-active")
    before = scan(s, a, card=card, device="gate", nonce="n", occurredTime=rfc3339(-600)).ok()
    expect("the scan from before", (before["member"], before.get("repeated", False)), (m["id"], False))
    s.call("POST", f"/v1/members/{m['id']}:resume", token=admin).ok()
    wait_until("it is a member's card again", lambda: scan(s, probe, card=card).status == 200, 10)


@story("a refused scan gives its reason and is kept, once")
def refusals(s):
    admin = s.login("admin")
    a = make_activity(s, admin, mode="ON_SITE")
    strict = make_activity(s, admin, registrationRequired=True)
    soon = make_activity(s, admin, start=3 * 3600)
    draft = make_activity(s, admin, open_it=False)
    r = s.call("POST", f"/v1/activities/{strict['id']}/registrations", {"member": s.members[0]["id"]}, token=s.api_key).ok()
    wrong_code = r["code"][:-1] + ("0" if r["code"][-1] != "0" else "1")
    cases = [
        (a, {"card": forged(s.cards[0])}, "checkin-card-forged"), (a, {"card": "NX1.x.y"}, "checkin-card-forged"),
        (a, {"code": wrong_code}, "checkin-code-invalid"), (a, {"code": r["code"]}, "checkin-code-unknown"),
        (a, {"member": "00000000-0000-7000-8000-000000000000"}, "checkin-member-unknown"),
        (a, {"online": s.members[0]["id"]}, "checkin-wrong-mode"),
        (a, {"card": s.cards[0], "occurredTime": rfc3339(-25 * 3600)}, "checkin-too-old"),
        (a, {"card": s.cards[0], "occurredTime": rfc3339(3600)}, "checkin-in-future"),
        (a, {"card": s.cards[0], "occurredTime": rfc3339(-4 * 3600)}, "checkin-outside-window"),
        (soon, {"card": s.cards[0]}, "checkin-outside-window"), (draft, {"card": s.cards[0]}, "checkin-activity-closed"),
        (strict, {"card": s.cards[1]}, "checkin-not-registered"),
    ]
    for i, (activity, body, reason) in enumerate(cases):
        for _ in range(2):
            scan(s, activity, **{"device": "gate", "nonce": str(i), "occurredTime": rfc3339(-1), **body}).refused(422, reason)
    scan(s, a).refused(400, "invalid-argument")
    for activity in (a, strict, soon, draft):
        kept = [x["refusal"].rsplit(":", 1)[1] for x in stored(s, activity, admin, refused=True)]
        want = [reason for x, _, reason in cases if x is activity]
        # The second sending is a second later at most: then it is another scan.
        expect("kept reasons", sorted(set(kept)), sorted(set(want)))
        expect("attendances", stored(s, activity, admin), [])
    scan(s, strict, code=r["code"]).ok()


@story("what happened before a closing still arrives after it, and what happened after is refused")
def closed(s):
    admin = s.login("admin")
    a = make_activity(s, admin)
    before = rfc3339(s.offset / 1e6 - 60)
    s.call("POST", f"/v1/activities/{a['id']}:close", token=admin).ok()
    scan(s, a, card=s.cards[0], occurredTime=before).ok()
    scan(s, a, card=s.cards[1], occurredTime=rfc3339(s.offset / 1e6 + 2)).refused(422, "checkin-activity-closed")


def upload(s, activity, scans, order, chunk):
    refused = 0
    for i in range(0, len(order), chunk):
        body = {"scans": [scans[k] for k in order[i:i + chunk]]}
        answer = s.call("POST", f"/v1/activities/{activity['id']}/checkins:batchCreate", body, token=s.api_key).ok()
        expect("one answer for each scan", len(answer["checkins"]), len(body["scans"]))
        refused += int(answer.get("refused", 0))
    return refused


def state(s, activity, admin):
    fields = ("member", "organization", "way", "device", "nonce", "occurredTime", "refusal")
    rows = lambda refused: sorted(tuple(x.get(f, "") for f in fields) for x in stored(s, activity, admin, refused))
    return rows(False), rows(True)


@story("offline uploads in 20 random orders, each with repetitions, end in one state")
def offline(s):
    admin, rng, states = s.login("admin"), random.Random(529), []
    start = {"start": s.offset / 1e6 - 6 * 3600, "end": s.offset / 1e6 + 3600}
    times = [rfc3339(s.offset / 1e6 - x) for x in (60, 600, 600, 5000, 9 * 3600, 26 * 3600)]
    for _ in range(20):
        a = make_activity(s, admin, **start)
        if not states:
            scans = []
            for i in range(150):
                k = rng.randrange(20)
                who = rng.choice([{"card": s.cards[k]}, {"member": s.members[k]["id"]}, {"online": s.members[k]["id"]},
                                  {"card": forged(s.cards[k])}])
                scans.append({**who, "device": f"gate-{i % 3}", "nonce": str(i // 3), "occurredTime": rng.choice(times)})
        order = [*range(len(scans)), *rng.sample(range(len(scans)), 30)]
        rng.shuffle(order)
        upload(s, a, scans, order, rng.choice([1, 7, 50, 500]))
        online = [x["way"] == "ONLINE" for x in stored(s, a, admin)]
        wait_until("the counts have followed", lambda: attended(s, a) == (online.count(False), online.count(True)), 5)
        states.append(state(s, a, admin))
    for other in states[1:]:
        for what, got, wanted in zip(("attendances", "refused scans"), other, states[0]):
            expect(what + " in one order but not in another", set(got) ^ set(wanted), set())
            expect("number of " + what, len(got), len(wanted))
    assert len(states[0][0]) > 10 and len(states[0][1]) > 50, (len(states[0][0]), len(states[0][1]))


@story("counts at every level equal a recount")
def tree(s):
    admin = s.login("admin")
    c = s.call("POST", "/v1/campaigns", {"organization": "43", "title": "计数", "startTime": rfc3339(0), "endTime": rfc3339(60)}, token=admin).ok()
    s.call("POST", f"/v1/campaigns/{c['id']}:open", token=admin).ok()
    activities = [make_activity(s, admin, campaign=c["id"], start=s.offset / 1e6 - 60, end=s.offset / 1e6 + 3600) for _ in range(4)]
    rng, made = random.Random(1), []
    for i, m in enumerate(s.members):
        for a in rng.sample(activities, rng.randrange(1, 5)):
            scan(s, a, **({"online": m["id"]} if i % 3 == 0 else {"member": m["id"]})).ok()
            made.append((m["organization"], i % 3 == 0))

    def count(organization):
        return s.call("GET", f"/v1/campaigns/{c['id']}/counts?organization={organization}&pageSize=1000", token=s.api_key).ok()

    wait_until("the province counts all", lambda: int(count("43")["total"].get("attended", 0)) == len(made), 5)
    for organization in ("43", "4301", "4302", "430102", "430103", "430102001", "430102001001", "430211001001", "4303"):
        got = count(organization)
        below = [online for o, online in made if o.startswith(organization)]
        total = got["total"]
        expect(organization, (int(total.get("onSite", 0)), int(total.get("online", 0))), (below.count(False), below.count(True)))
        children = got.get("children", [])
        if children:
            expect(f"children of {organization}", sum(int(x.get("attended", 0)) for x in children), len(below))
    expect("cities", len(count("43")["children"]), 14)
    paged, token = [], ""
    while True:
        page = s.call("GET", f"/v1/campaigns/{c['id']}/counts?organization=43&pageSize=5&pageToken={token}", token=s.api_key).ok()
        paged += [x["organization"] for x in page["children"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    expect("pages", paged, [x["organization"] for x in count("43")["children"]])


@story("an organisation that moves takes its counts along, and who may see its activities changes with it")
def move(s):
    admin = s.login("admin")
    c = s.call("POST", "/v1/campaigns", {"organization": "43", "title": "划转", "startTime": rfc3339(0), "endTime": rfc3339(60)}, token=admin).ok()
    s.call("POST", f"/v1/campaigns/{c['id']}:open", token=admin).ok()
    a = make_activity(s, admin, campaign=c["id"], organization="430102", start=s.offset / 1e6 - 60, end=s.offset / 1e6 + 3600)
    for m in s.members[:30]:
        scan(s, a, member=m["id"]).ok()
    moving = sum(m["organization"].startswith("430102") for m in s.members[:30])

    def count(organization):
        r = s.call("GET", f"/v1/campaigns/{c['id']}/counts?organization={organization}", token=s.api_key).ok()
        return int(r["total"].get("attended", 0))

    wait_until("all are counted", lambda: count("43") == 30, 5)
    before = {x: count(x) for x in ("43", "4301", "4302", "430102", "430102001001")}
    s.call("POST", "/v1/organizations/430102:move", {"parent": "4302"}, token=admin).ok()
    listed = lambda city: [x["id"] for x in s.call("GET", f"/v1/activities?campaign={c['id']}&organization={city}", token=s.api_key).ok().get("activities", [])]
    wait_until("the activity is the other city's", lambda: listed("4302") == [a["id"]] and listed("4301") == [], 5)
    expect("counts", {x: count(x) for x in before}, {**before, "4301": before["4301"] - moving, "4302": before["4302"] + moving})
    s.call("POST", "/v1/organizations/430102:move", {"parent": "4301"}, token=admin).ok()
    wait_until("all is as it was", lambda: {x: count(x) for x in before} == before, 5)


@story("a device may be offline for a day, not longer; a card that was good when scanned is good")
def day(s):
    admin = s.login("admin")
    a = make_activity(s, admin, start=s.offset / 1e6, end=s.offset / 1e6 + 1800)
    happened = rfc3339(s.offset / 1e6 + 60)
    card = s.call("GET", f"/v1/members/{s.members[0]['id']}/card", token=s.api_key).ok()
    late = s.call("GET", f"/v1/members/{s.members[1]['id']}/card", token=s.api_key).ok()
    s.advance(23 * 3600 + 1800)
    token = s.login("admin")
    wait_until("it has ended", lambda: s.call("GET", f"/v1/activities/{a['id']}", token=token).ok()["state"] == "ENDED", 5)
    scan(s, a, card=card["token"], occurredTime=happened).ok()
    s.advance(3600)
    scan(s, a, card=late["token"], occurredTime=happened).refused(422, "checkin-too-old")


@story("an expired card is refused")
def expired(s):
    s.advance(400 * 86400)
    a = make_activity(s, s.login("admin"), start=s.offset / 1e6 - 60, end=s.offset / 1e6 + 3600)
    scan(s, a, card=s.cards[0]).refused(422, "checkin-card-expired")


if __name__ == "__main__":
    main(scene())
