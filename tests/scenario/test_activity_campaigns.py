#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Campaigns and activities: their states, who may change them and who sees them, lists, updates."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, rfc3339  # noqa: E402

COUNTY, OTHER_COUNTY = "430102", "430103"


def make_campaign(s, token, organization="43", **fields):
    return s.call("POST", "/v1/campaigns", {"organization": organization, "title": "会员活动日", "startTime": rfc3339(-86400),
                                            "endTime": rfc3339(86400 * 30), **fields}, token=token).ok()


@story("a campaign goes from draft to open to closed and back, and nowhere else")
def campaign_states(s):
    admin = s.login("admin")
    c = make_campaign(s, admin)
    path = f"/v1/campaigns/{c['id']}"
    expect("state", c["state"], "DRAFT")
    s.call("POST", path + ":close", token=admin).refused(409, "campaign-state")
    expect("state", s.call("POST", path + ":open", token=admin).ok()["state"], "OPEN")
    s.call("POST", path + ":open", token=admin).refused(409, "campaign-state")
    expect("state", s.call("POST", path + ":close", token=admin).ok()["state"], "CLOSED")
    expect("state", s.call("POST", path + ":open", token=admin).ok()["state"], "OPEN")


@story("a draft is seen by who may change it, and by nobody else")
def drafts(s):
    admin, clerk = s.login("admin"), s.login("clerk")
    c = make_campaign(s, admin)
    for token in (clerk, s.api_key):
        s.call("GET", f"/v1/campaigns/{c['id']}", token=token).refused(404, "not-found")
        listed = s.call("GET", "/v1/campaigns?pageSize=1000", token=token).ok().get("campaigns", [])
        assert c["id"] not in [x["id"] for x in listed]
    listed = s.call("GET", "/v1/campaigns?pageSize=1000&state=DRAFT", token=admin).ok()["campaigns"]
    assert c["id"] in [x["id"] for x in listed]
    a = make_activity(s, clerk, organization=COUNTY, open_it=False)
    s.call("GET", f"/v1/activities/{a['id']}", token=clerk).ok()
    s.call("GET", f"/v1/activities/{a['id']}", token=s.api_key).refused(404, "not-found")


@story("staff make activities in their own organisation's subtree, within a campaign from above")
def scopes(s):
    admin, clerk = s.login("admin"), s.login("clerk")
    a = make_activity(s, clerk, organization=COUNTY)
    b = make_activity(s, admin, organization=OTHER_COUNTY)
    body = {"campaign": s.campaign, "organization": OTHER_COUNTY, "title": "x", "category": "CARE", "mode": "ON_SITE", "place": "p",
            "startTime": rfc3339(0), "endTime": rfc3339(60)}
    s.call("POST", "/v1/activities", body, token=clerk).refused(404, "not-found")
    s.call("POST", "/v1/activities", {**body, "organization": "99"}, token=clerk).refused(404, "organization-unknown")
    s.call("POST", f"/v1/activities/{b['id']}:close", token=clerk).refused(404, "not-found")
    s.call("PATCH", f"/v1/activities/{b['id']}?updateMask=title", {"title": "y"}, token=clerk).refused(404, "not-found")
    s.call("POST", f"/v1/activities/{a['id']}:close", token=s.api_key).refused(403, "permission-denied")
    s.call("GET", f"/v1/activities/{b['id']}", token=clerk).ok()
    own = make_campaign(s, admin, organization=OTHER_COUNTY)
    s.call("POST", "/v1/activities", {**body, "organization": COUNTY, "campaign": own["id"]}, token=clerk).refused(422, "campaign-unknown")


@story("an activity opens only in an open campaign, and never again once cancelled")
def activity_states(s):
    admin = s.login("admin")
    c = make_campaign(s, admin)
    a = make_activity(s, admin, campaign=c["id"], open_it=False)
    path = f"/v1/activities/{a['id']}"
    s.call("POST", path + ":open", token=admin).refused(409, "campaign-closed")
    s.call("POST", f"/v1/campaigns/{c['id']}:open", token=admin).ok()
    s.call("POST", path + ":close", token=admin).refused(409, "activity-state")
    for verb, state in (("open", "OPEN"), ("close", "CLOSED"), ("open", "OPEN")):
        expect("state", s.call("POST", f"{path}:{verb}", token=admin).ok()["state"], state)
    s.call("POST", path + ":cancel", token=admin).refused(400, "invalid-argument")
    expect("state", s.call("POST", path + ":cancel", {"reason": "暴雨"}, token=admin).ok()["state"], "CANCELLED")
    s.call("POST", path + ":open", token=admin).refused(409, "activity-state")
    s.call("PATCH", path + "?updateMask=title", {"title": "x"}, token=admin).refused(409, "activity-state")


@story("fields that depend on one another are refused with a pointer each")
def violations(s):
    admin = s.login("admin")
    body = {"campaign": s.campaign, "organization": "43", "title": "x", "category": "CARE", "mode": "BOTH",
            "startTime": rfc3339(100), "endTime": rfc3339(50), "registrationStartTime": rfc3339(60), "registrationEndTime": rfc3339(10)}
    answer = s.call("POST", "/v1/activities", body, token=admin).refused(400, "invalid-argument")
    expect("pointers", sorted(v["pointer"] for v in answer["violations"]),
           ["/endTime", "/link", "/place", "/registrationEndTime", "/registrationStartTime"])


@story("an update changes what its mask names, and only what is still as it was read")
def update(s):
    admin = s.login("admin")
    a = make_activity(s, admin, title="旧", description="keep")
    path = f"/v1/activities/{a['id']}?updateMask=title"
    b = s.call("PATCH", path, {"title": "新"}, token=admin, headers={"If-Match": f'"{a["etag"]}"'}).ok()
    expect("title and description", (b["title"], b["description"]), ("新", "keep"))
    s.call("PATCH", path, {"title": "迟"}, token=admin, headers={"If-Match": f'"{a["etag"]}"'}).refused(412, "precondition-failed")
    s.call("PATCH", f"/v1/activities/{a['id']}?updateMask=organization", {"organization": COUNTY}, token=admin).refused(400, "invalid-argument")
    s.call("PATCH", f"/v1/activities/{a['id']}?updateMask=title", {"title": ""}, token=admin).refused(400, "invalid-argument")
    c = s.call("PATCH", f"/v1/activities/{a['id']}", {"place": "礼堂"}, token=admin).ok()
    expect("without a mask what is given", (c["title"], c["place"], c["description"]), ("新", "礼堂", "keep"))
    d = s.call("PATCH", f"/v1/activities/{a['id']}?updateMask=description,place", {"place": "广场"}, token=admin).ok()
    expect("with a mask also what is not given", (d.get("description", ""), d["place"]), ("", "广场"))


@story("a list shows a subtree, page by page, each activity once")
def lists(s):
    admin = s.login("admin")
    c = make_campaign(s, admin)
    s.call("POST", f"/v1/campaigns/{c['id']}:open", token=admin).ok()
    organizations = ["43", "4301", COUNTY, COUNTY, OTHER_COUNTY, "4302"]
    made = [make_activity(s, admin, campaign=c["id"], organization=o)["id"] for o in organizations]

    def ids(query):
        found, token = [], ""
        while True:
            page = s.call("GET", f"/v1/activities?campaign={c['id']}&pageSize=2&{query}&pageToken={token}", token=s.api_key).ok()
            found += [a["id"] for a in page.get("activities", [])]
            token = page.get("nextPageToken", "")
            if not token:
                return found

    expect("all", sorted(ids("")), sorted(made))
    expect("a city's", sorted(ids("organization=4301")), sorted(made[1:5]))
    expect("a county's", ids(f"organization={COUNTY}"), made[2:4])
    expect("what a village's members are invited to", ids(f"audience={COUNTY}001001"), made[:4])
    expect("of these, the county's own", ids(f"audience={COUNTY}001001&organization={COUNTY}"), made[2:4])
    s.call("GET", "/v1/activities?audience=nowhere", token=s.api_key).refused(404, "organization-unknown")
    s.call("POST", f"/v1/activities/{made[2]}:close", token=admin).ok()
    expect("closed", ids("state=CLOSED"), [made[2]])
    first = s.call("GET", f"/v1/activities?campaign={c['id']}&pageSize=2", token=s.api_key).ok()
    s.call("GET", f"/v1/activities?pageSize=2&pageToken={first['nextPageToken']}", token=s.api_key).refused(400, "page-token-invalid")
    r = s.call("GET", f"/v1/activities?campaign={c['id']}", token=s.api_key, headers={"Accept": "application/x-ndjson"})
    expect("exported lines", len(r.body.splitlines()), len(made))


@story("a page of long texts ends early, and the pages together are the whole list")
def long_texts(s):
    admin = s.login("admin")
    text = "字" * 4000  # 12 kB: a thousand of them are more than the bus carries at once
    for kind, make in (("campaigns", lambda: make_campaign(s, admin, organization=OTHER_COUNTY, description=text)),
                       ("activities", lambda: make_activity(s, admin, organization=OTHER_COUNTY, description=text, open_it=False))):
        made, found, token = {make()["id"] for _ in range(350)}, [], ""
        while True:
            r = s.call("GET", f"/v1/{kind}?organization={OTHER_COUNTY}&pageSize=1000&pageToken={token}", token=admin).ok()
            found += [x["id"] for x in r[kind]]
            token = r.get("nextPageToken", "")
            if not token:
                break
            assert len(r[kind]) < 350, "a page of 4 MB"
        expect("each once", len(found), len(set(found)))
        assert made <= set(found), f"{len(made - set(found))} {kind} are missing"


@story("an activity ends by itself")
def ends(s):
    admin = s.login("admin")
    a = make_activity(s, admin, start=-60, end=3600)
    s.advance(3601)
    wait_until("it has ended", lambda: s.call("GET", f"/v1/activities/{a['id']}", token=s.api_key).ok()["state"] == "ENDED", 5)
    s.call("POST", f"/v1/activities/{a['id']}:open", token=admin).refused(409, "activity-state")


if __name__ == "__main__":
    main(Stack(clock=True, gateway_options=["--rate-scale=100"]))
