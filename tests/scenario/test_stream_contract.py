#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What agencies receive is what asyncapi.json says: every type, with and without what an agreement leaves out."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.agencies import Agency, taken_in  # noqa: E402
from support.care_target import care_happens, care_has_erased  # noqa: E402
from support.document import Document  # noqa: E402
from support.oracle import Log, Profile, contract  # noqa: E402
from support.people import person  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members, rfc3339  # noqa: E402

COUNTY, VILLAGE = "430102", "430102001001"
GROUNDS = {"purposes": ["hospital-care", "accident-insurance"], "statutory": ["oversight"]}  # consents to others are no business of it


def everything_happens(s):
    """Each type of event once at least."""
    admin = s.login("admin")
    post = lambda path, body=None: s.call("POST", path, body, token=admin).ok()
    patch = lambda path, body: s.call("PATCH", path, body, token=admin).ok()
    patch(f"/v1/organizations/{VILLAGE}", {"name": "改名"})
    campaign = f"/v1/campaigns/{post('/v1/campaigns', {'organization': COUNTY, 'title': '活动季', 'startTime': rfc3339(-60), 'endTime': rfc3339(86400)})['id']}"
    post(campaign + ":open")
    patch(campaign, {"title": "改后的活动季"})
    make = lambda **more: f"/v1/activities/{make_activity(s, admin, organization=COUNTY, **more)['id']}"
    closed, cancelled, ended, one = make(), make(), make(end=1), make(capacity=1)
    patch(one, {"title": "改后的活动"})
    post(closed + ":close")
    post(cancelled + ":cancel", {"reason": "暴雨"})
    post(campaign + ":close")
    wait_until("it has ended", lambda: s.call("GET", ended, token=admin).ok()["state"] == "ENDED", 10)
    first, second, gone = (m["id"] for m in make_members(s, admin, [person(61000 + i, VILLAGE) for i in range(3)], VILLAGE))
    for m in (first, second):
        post(f"/v1/members/{m}/consents", {"purpose": "hospital-care", "version": "2026-01"})
        registered = post(one + "/registrations", {"member": m})["id"]
        post(one + "/checkins", {"online": m, "device": "平板", "nonce": m})
        post(one + "/checkins", {"member": m, "device": "平板", "nonce": "amends", "occurredTime": rfc3339(-1800)})
        if m == first:
            waits = registered
    post(f"{one}/registrations/{waits}:cancel")
    post(f"/v1/members/{second}/consents", {"purpose": "accident-insurance", "version": "2026-01"})
    post(f"/v1/members/{second}/consents:withdraw", {"purpose": "accident-insurance"})
    recipient, = care_happens(s, admin, VILLAGE, [gone])
    post(f"/v1/members/{gone}:erase", {"purpose": "本人书面申请"})
    care_has_erased(s, recipient)
    keep, s.keep = s.keep, True
    s.stop()
    s.execute("activity", "DELETE FROM rpc_epoch")
    s.keep = keep
    s.start()
    wait_until("the log tells that a source began anew", lambda: any(e.type.endswith("SourceRestarted") for e in Log.of(s).events), 30)
    taken_in(s)


def fetched(s, agency):
    """All that an agency is told."""
    events, cursor = [], ""
    while True:
        batch = s.call("GET", f"/v1/events?maxEvents=1000&cursor={cursor}", token=agency.api_key).ok()
        events, cursor = events + batch["events"], batch["cursor"]
        if batch["through"] == batch["latest"]:
            return events


def check(document, events):
    for e in events:
        message = document["components"]["messages"].get(e["type"])
        assert message, f"{e['type']} is not in the document"
        document.fits(e, message["payload"], f"{e['type']} {e['sequence']}")


@story("every type comes as its schema says, to who sees all, and to who sees only some of it")
def all_types(s):
    document = Document(s.call("GET", "/asyncapi.json").ok())
    everything_happens(s)
    types = set(document["channels"])
    expect("types that are not in the log", sorted(types - {e.type for e in Log.of(s).events}), [])
    for privacy in ("personal", "public"):
        agency = Agency(s, Profile("health-" + privacy, privacy=privacy, **GROUNDS))
        events = fetched(s, agency)
        expect("types that come", {e["type"] for e in events}, types)
        check(document, events)
        persons = [e for e in events if "x-nuanxin-person" in document["components"]["messages"][e["type"]]]
        shown = {document["components"]["messages"][e["type"]]["x-nuanxin-person"] in e["data"] for e in persons}
        expect("whom it is about is shown", shown, {privacy == "personal"})
    # Field after field is left out: nothing that comes breaks the document.
    fields = [f"{t}.{f.name}" for t in sorted(types) for f in contract().type(t).DESCRIPTOR.fields][:64]
    bare = fetched(s, Agency(s, Profile("bare", withheld=fields, **GROUNDS)))
    check(document, bare)
    assert any(not e["data"] for e in bare) and len(bare) > 20, "much was left out"


if __name__ == "__main__":
    main(Stack(instances={"care": 1}, gateway_options=["--rate-scale=100"]))
