#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Registrations: strict capacity under a rush, the waiting list, who may register whom, and when."""
import contextlib
import os
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import person  # noqa: E402
from support.stack import SEVERAL, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members, rfc3339  # noqa: E402

VILLAGES = ["430102001001", "430103002001", "430211001001"]
RUSH = int(os.environ.get("NX_RUSH", "10000"))


@contextlib.contextmanager
def scene():
    with Stack(instances=SEVERAL, gateway_options=["--rate-scale=1000"]) as s:
        s.members = make_members(s, s.login("admin"), [person(i, VILLAGES[i % 3]) for i in range(RUSH)])
        a = make_activity(s, s.login("admin"))
        wait_until("activity knows the last member", lambda: register(s, a, s.members[-1]).status == 200, 30)
        yield s


def register(s, activity, member, token=None):
    return s.call("POST", f"/v1/activities/{activity['id']}/registrations", {"member": member["id"]}, token=token or s.api_key)


def cancel(s, activity, registration, token=None):
    path = f"/v1/activities/{activity['id']}/registrations/{registration['id']}:cancel"
    return s.call("POST", path, token=token or s.api_key)


def counts(s, activity):
    c = s.call("GET", f"/v1/activities/{activity['id']}", token=s.api_key).ok()["counts"]
    return int(c.get("registered", 0)), int(c.get("waiting", 0))


def registrations(s, activity, token, query=""):
    found, page = [], ""
    while True:
        r = s.call("GET", f"/v1/activities/{activity['id']}/registrations?pageSize=1000&pageToken={page}{query}", token=token).ok()
        found += r.get("registrations", [])
        page = r.get("nextPageToken", "")
        if not page:
            return found


@story(f"of {RUSH} who register at once for 100 places 100 have one, and the rest wait in the order of their coming")
def rush(s):
    admin = s.login("admin")
    a = make_activity(s, admin, capacity=100)
    path = f"/v1/activities/{a['id']}/registrations"
    pending = [(m, {"Authorization": "Bearer " + s.api_key, "Idempotency-Key": str(uuid.uuid4())}) for m in s.members]
    answers = {}
    while pending:  # clients repeat a 503, with the same key
        got = s.load([("POST", path, {"member": m["id"]}, h) for m, h in pending], connections=200)
        answers.update((m["id"], r.json) for (m, _), r in zip(pending, got) if r.status == 200)
        bad = [r for r in got if r.status not in (200, 503)]
        assert not bad, (bad[0].status, bad[0].body)
        pending = [p for p, r in zip(pending, got) if r.status == 503]
    placed = [r for r in answers.values() if r["state"] == "REGISTERED"]
    waiting = sorted((r for r in answers.values() if r["state"] == "WAITING"), key=lambda r: int(r["position"]))
    expect("with a place", len(placed), 100)
    expect("positions", sorted(int(r["position"]) for r in answers.values()), list(range(1, RUSH + 1)))
    expect("places went to those who came first", max(int(r["position"]) for r in placed), 100)
    expect("codes", len({r["code"] for r in answers.values()}), RUSH)
    expect("counts", counts(s, a), (100, RUSH - 100))

    cancel(s, a, placed[7]).ok()
    first = s.call("GET", f"{path}/{waiting[0]['id']}", token=admin).ok()
    expect("who waited first", first["state"], "REGISTERED")
    expect("who waited second", s.call("GET", f"{path}/{waiting[1]['id']}", token=admin).ok()["state"], "WAITING")
    expect("counts", counts(s, a), (100, RUSH - 101))

    cancel(s, a, waiting[1]).ok()
    s.call("PATCH", f"/v1/activities/{a['id']}?updateMask=capacity", {"capacity": RUSH // 5}, token=admin).ok()
    wait_until("more places promote who waits", lambda: counts(s, a) == (RUSH // 5, RUSH - RUSH // 5 - 2), 10)
    now = registrations(s, a, admin, "&state=REGISTERED")
    expect("in their order", sorted(int(r["position"]) for r in now)[-1], RUSH // 5 + 2)


@story("many who cancel and register at once never leave a place empty while somebody waits")
def churn(s):
    admin = s.login("admin")
    a = make_activity(s, admin, capacity=20)
    path = f"/v1/activities/{a['id']}/registrations"
    auth = {"Authorization": "Bearer " + s.api_key}
    rows = [r.ok() for r in s.load([("POST", path, {"member": m["id"]}, auth) for m in s.members[:100]])]
    mixed = []
    for i in range(60):
        mixed.append(("POST", f"{path}/{rows[i]['id']}:cancel", {}, auth))
        mixed.append(("POST", path, {"member": s.members[200 + i]["id"]}, auth))
    for r in s.load(mixed):
        r.ok()
    now = registrations(s, a, admin)
    by = lambda state: [r for r in now if r["state"] == state]
    expect("by state", [len(by(x)) for x in ("REGISTERED", "WAITING", "CANCELLED")], [20, 80, 60])
    assert max(int(r["position"]) for r in by("REGISTERED")) < min(int(r["position"]) for r in by("WAITING"))
    expect("counts", counts(s, a), (20, 80))


@story("a member registers once; who cancelled keeps id and code and queues anew")
def once(s):
    admin = s.login("admin")
    a = make_activity(s, admin, capacity=1)
    one = register(s, a, s.members[0]).ok()
    two = register(s, a, s.members[1]).ok()
    expect("states", (one["state"], two["state"]), ("REGISTERED", "WAITING"))
    register(s, a, s.members[0]).refused(409, "already-registered")
    register(s, a, s.members[1]).refused(409, "already-registered")
    expect("counts", counts(s, a), (1, 1))
    for _ in range(2):  # cancelling again changes nothing
        expect("state", cancel(s, a, one).ok()["state"], "CANCELLED")
    again = register(s, a, s.members[0]).ok()
    expect("again", (again["id"], again["code"], again["state"], again["position"]), (one["id"], one["code"], "WAITING", 3))


@story("a reader that asks If-None-Match sees every change of the counts; If-Match asks for the activity alone")
def tags(s):
    admin = s.login("admin")
    a = make_activity(s, admin, capacity=5)
    path = f"/v1/activities/{a['id']}"
    read = lambda tag: s.call("GET", path, token=s.api_key, headers={"If-None-Match": tag})
    tag = s.call("GET", path, token=s.api_key).headers["ETag"]
    expect("unchanged", read(tag).status, 304)
    register(s, a, s.members[0]).ok()
    expect("after a registration", read(tag).status, 200)
    change = {"title": "新"}
    s.call("PATCH", path, change, token=admin, headers={"If-Match": tag}).ok()
    s.call("PATCH", path, change, token=admin, headers={"If-Match": tag}).refused(412, "precondition-failed")


@story("without a waiting list a full activity refuses")
def full(s):
    a = make_activity(s, s.login("admin"), capacity=1, noWaitingList=True)
    register(s, a, s.members[0]).ok()
    register(s, a, s.members[1]).refused(409, "activity-full")
    expect("counts", counts(s, a), (1, 0))


@story("the capacity cannot fall below the places taken, nor a limit come or go once it is open")
def capacity(s):
    admin = s.login("admin")
    a = make_activity(s, admin, capacity=3)
    for m in s.members[:2]:
        register(s, a, m).ok()
    change = lambda n, x=a: s.call("PATCH", f"/v1/activities/{x['id']}?updateMask=capacity", {"capacity": n}, token=admin)
    change(1).refused(409, "activity-capacity-taken")
    expect("capacity", change(2).ok()["capacity"], 2)
    change(0).refused(400, "invalid-argument")
    unlimited = make_activity(s, admin)
    change(5, unlimited).refused(400, "invalid-argument")


@story("registrations are taken within their window, in an open activity of an open campaign")
def windows(s):
    admin = s.login("admin")
    early = make_activity(s, admin, registrationStartTime=rfc3339(3600))
    register(s, early, s.members[0]).refused(409, "registration-outside-window")
    late = make_activity(s, admin, registrationStartTime=rfc3339(-3600), registrationEndTime=rfc3339(-60))
    register(s, late, s.members[0]).refused(409, "registration-outside-window")
    draft = make_activity(s, admin, open_it=False)
    register(s, draft, s.members[0]).refused(409, "activity-not-open")
    c = s.call("POST", "/v1/campaigns", {"organization": "43", "title": "短", "startTime": rfc3339(0), "endTime": rfc3339(60)}, token=admin).ok()
    s.call("POST", f"/v1/campaigns/{c['id']}:open", token=admin).ok()
    a = make_activity(s, admin, campaign=c["id"])
    s.call("POST", f"/v1/campaigns/{c['id']}:close", token=admin).ok()
    register(s, a, s.members[0]).refused(409, "campaign-closed")


@story("a member registers and sees its own; staff see those of their organisation; nobody else")
def who_may(s):
    admin, clerk = s.login("admin"), s.login("clerk")
    mine = next(m for m in s.members if m["organization"].startswith("430102"))
    other = next(m for m in s.members if not m["organization"].startswith("430102"))
    a = make_activity(s, admin)
    session = s.call("POST", "/v1/sessions:exchange", {"member": mine["id"]}, token=s.api_key).ok()["token"]
    r = s.call("POST", f"/v1/activities/{a['id']}/registrations", {}, token=session).ok()
    expect("member", r["member"], mine["id"])
    path = f"/v1/activities/{a['id']}/registrations"
    register(s, a, other, session).refused(404, "not-found")
    theirs = register(s, a, other).ok()
    s.call("GET", f"{path}/{r['id']}", token=session).ok()
    s.call("GET", f"{path}/{theirs['id']}", token=session).refused(404, "not-found")
    s.call("GET", path, token=session).refused(403, "permission-denied")
    # The county's clerk: members of the county, wherever they take part; not others at an activity of the province.
    s.call("GET", f"{path}/{r['id']}", token=clerk).ok()
    s.call("GET", f"{path}/{theirs['id']}", token=clerk).refused(404, "not-found")
    cancel(s, a, theirs, session).refused(404, "not-found")
    listed = s.call("GET", f"/v1/members/{mine['id']}/registrations", token=session).ok()["registrations"]
    assert r["id"] in [x["id"] for x in listed]
    s.call("GET", f"/v1/members/{other['id']}/registrations", token=session).refused(404, "not-found")
    cancel(s, a, r, session).ok()


@story("a member that is not known, or not active, does not take part")
def not_active(s):
    admin = s.login("admin")
    a = make_activity(s, admin)
    register(s, a, {"id": "00000000-0000-7000-8000-000000000000"}, admin).refused(422, "member-unknown")
    m = s.members[5]
    s.call("POST", f"/v1/members/{m['id']}:suspend", token=admin).ok()
    wait_until("activity knows", lambda: register(s, make_activity(s, admin), m, admin).status == 409, 5)
    register(s, a, m, admin).refused(409, "member-not-taking-part")


if __name__ == "__main__":
    main(scene())
