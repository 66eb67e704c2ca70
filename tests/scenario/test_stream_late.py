#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A log that begins late, or whose sources were restored: it has the present state, so whoever reads it from there ends where
those end who read everything."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.agencies import taken_in  # noqa: E402
from support.oracle import Log, contract  # noqa: E402
from support.people import person  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members, rfc3339  # noqa: E402

COUNTY, VILLAGE = "430102", "430102001001"
WHY = {"purpose": "本人书面申请"}
NOTICES = ("MemberErased", "ConsentWithdrawn")


def fold(s):
    """What somebody knows who has read the log from its beginning, by words of the contract alone."""
    known = {}

    def on(e, name, data):
        if name == "OrganizationChanged":
            known["organization", data.code] = (data.parent, data.path, data.name)
        elif name == "MemberStateChanged":
            known["member", data.member] = data.state
        elif name == "MemberErased":
            known["erased", data.member] = True
        elif name in ("ConsentGiven", "ConsentWithdrawn"):
            known["consent", data.member, data.purpose] = getattr(data, "version", "") or "withdrawn"
        elif name.startswith("Campaign"):
            known["campaign", data.campaign] = state_after(known.get(("campaign", data.campaign)), name[len("Campaign"):], data)
        elif name.startswith("Activity"):
            known["activity", data.activity] = state_after(known.get(("activity", data.activity)), name[len("Activity"):], data)
        elif name.startswith("Registration"):
            state = {"RegistrationPromoted": 1, "RegistrationCancelled": 3}.get(name) or data.state
            known["registration", data.registration] = (data.activity, data.campaign, data.member, data.organization, state)
        elif name.startswith("Checkin"):
            known["checkin", data.checkin] = (data.activity, data.campaign, data.member, data.organization, data.way, data.occurred_time.seconds)
        else:
            assert name == "SourceRestarted", name

    for e in Log.of(s).events:
        on(e, e.type.rsplit(".", 1)[1], contract().type(e.type).FromString(e.data))
    return known


STATES = {"Opened": "OPEN", "Closed": "CLOSED", "Cancelled": "CANCELLED", "Ended": "ENDED"}


def state_after(before, verb, data):
    if verb in STATES:
        assert before, f"{verb}, but nobody knows of what"
        return (*before[:-1], STATES[verb])
    v = data.value
    return (v.title, v.description, v.organization, v.start_time.seconds, v.end_time.seconds, before[-1] if before else "DRAFT")


def everything_happens(s, admin):
    """All states that there are, and a person who is erased. Returns the erased member's id."""
    post = lambda path, body=None: s.call("POST", path, body, token=admin).ok()
    for states in (["open"], ["open", "close"], []):
        c = post("/v1/campaigns", {"organization": COUNTY, "title": f"活动季{len(states)}", "startTime": rfc3339(-60), "endTime": rfc3339(86400)})["id"]
        for state in states:
            post(f"/v1/campaigns/{c}:{state}")
        s.call("PATCH", f"/v1/campaigns/{c}", {"description": "改过的说明" * 200}, token=admin).ok()
    make = lambda **more: make_activity(s, admin, organization=COUNTY, **more)["id"]
    closed, cancelled, ended, one = make(), make(), make(end=1), make(capacity=1)
    make(open_it=False)
    post(f"/v1/activities/{closed}:close")
    post(f"/v1/activities/{cancelled}:cancel", {"reason": "暴雨"})
    wait_until("it has ended", lambda: s.call("GET", f"/v1/activities/{ended}", token=admin).ok()["state"] == "ENDED", 10)
    people = [m["id"] for m in make_members(s, admin, [person(60000 + i, VILLAGE) for i in range(5)], VILLAGE)]
    # One has a place, gives it up to the next, others wait; the last one is erased.
    registered = [post(f"/v1/activities/{one}/registrations", {"member": m})["id"] for m in people]
    post(f"/v1/activities/{one}/registrations/{registered[0]}:cancel")
    for m in people[1:]:
        post(f"/v1/activities/{one}/checkins", {"online": m, "device": "平板", "nonce": m})
    post(f"/v1/activities/{one}/checkins", {"member": people[1], "device": "平板", "nonce": "amends", "occurredTime": rfc3339(-1800)})
    for m, purpose, version in ((people[0], "a", "1"), (people[0], "a", "2"), (people[1], "a", "1"), (people[1], "b", "1"), (people[4], "a", "1")):
        post(f"/v1/members/{m}/consents", {"purpose": purpose, "version": version})
    post(f"/v1/members/{people[1]}/consents:withdraw", {"purpose": "b"})
    post(f"/v1/members/{people[2]}:suspend")
    post(f"/v1/organizations/{VILLAGE}:move", {"parent": "430103002"})
    post(f"/v1/members/{people[4]}:erase", WHY)
    return people[4]


def without(known, erased):
    """Of who was erased the log that was there has forgotten what another may never have heard; but of both it is known that they
    were."""
    kept = {k: v for k, v in known.items() if k[0] == "erased" or erased not in (*k, *(v if isinstance(v, tuple) else ()))}
    expect("erased", [k for k in kept if k[0] == "erased"], [("erased", erased)])
    return kept


def differences(a, b):
    return {k: (a.get(k), b.get(k)) for k in a.keys() | b.keys() if a.get(k) != b.get(k)}


def again(s, *changes):
    """Stops, changes stores, starts, waits for the log to have all."""
    keep, s.keep = s.keep, True
    s.stop()
    for service, *statements in changes:
        s.execute(service, *statements)
    s.keep = keep
    s.start()
    taken_in(s)


TRIMMED = "DELETE FROM rpc_outbox WHERE seq < (SELECT MAX(seq) FROM rpc_outbox)"


@story("a log that begins after its sources have forgotten ends with what one has that was there all the time; so after a restore")
def late(s):
    admin = s.login("admin")
    erased = everything_happens(s, admin)
    taken_in(s)
    from_the_beginning = without(fold(s), erased)
    kinds = {k[0] for k in from_the_beginning}
    expect("kinds", kinds, {"organization", "member", "erased", "consent", "campaign", "activity", "registration", "checkin"})

    # The stream is new; its sources keep no more than their last event.
    tables = [t for t in s.tables("stream") if t.startswith("log") or t in ("organization", "rpc_cursor", "rpc_epoch", "rpc_due")]
    again(s, ("membership", TRIMMED), ("activity", TRIMMED), ("stream", *(f"DELETE FROM {t}" for t in tables)))
    expect("what the late one knows", differences(without(fold(s), erased), from_the_beginning), {})
    told = [e.type.rsplit(".", 1)[1] for e in Log.of(s).events]
    expect("each source said that it begins anew", told.count("SourceRestarted"), 2)
    first = {name: told.index(name) for name in ("OrganizationChanged", "MemberStateChanged", "ConsentGiven", "MemberErased")}
    expect("membership's order", sorted(first, key=first.get), ["OrganizationChanged", "MemberStateChanged", "ConsentGiven", "MemberErased"])

    # Both sources come back from a backup: who has read on so far ends there once more.
    head = len(told)
    again(s, ("membership", "DELETE FROM rpc_epoch", TRIMMED), ("activity", "DELETE FROM rpc_epoch", TRIMMED))
    expect("after the restore", differences(without(fold(s), erased), from_the_beginning), {})
    assert len(Log.of(s).events) > head, "the present state came once more"


if __name__ == "__main__":
    main(Stack())
