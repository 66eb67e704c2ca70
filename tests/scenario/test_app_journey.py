#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the backend of a mini program does with Nuanxin, in the order in which its users meet it: an application, a
membership, a card, an activity with two places, a waiting list, check-ins in each way, counts, exports; and what it is
told when something is not right. Each story goes on where the one before ended."""
import csv
import io
import json
import os
import sys
import uuid
from urllib.parse import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import id_number  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import rfc3339  # noqa: E402

COUNTY, VILLAGE = "430102", "430102001001"
NAMES = ("阿依·古丽", "王小明", "李娜", "赵云")


class App(Stack):
    """The stack, and what the app's own database remembers: members, their sessions and registrations."""

    def app(self, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call(method, path, body, token=self.api_key, headers=headers)

    def me(self, i, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call(method, path, body, token=self.sessions[i], headers=headers)


def new_key():
    return str(uuid.uuid4())


def pointers(problem):
    return sorted(v["pointer"] for v in problem["violations"])


def rows(r):
    assert r.status == 200 and r.headers["Content-Type"].startswith("text/csv"), (r.status, r.headers)
    return list(csv.DictReader(io.StringIO(r.body.decode())))


# --- becoming a member --------------------------------------------------------------------------------------------------


@story("somebody finds the own village by its name, page by page")
def find_village(s):
    url = "/v1/organizations?kind=VILLAGE&pageSize=20&q=" + quote("社区")
    first = s.app("GET", url).ok()
    second = s.app("GET", url + "&pageToken=" + quote(first["nextPageToken"])).ok()
    codes = [o["code"] for page in (first, second) for o in page["organizations"]]
    expect("villages, each once", (len(codes), len(set(codes))), (40, 40))
    assert all("社区" in o["name"] for o in first["organizations"])
    s.app("GET", url.replace("VILLAGE", "TOWNSHIP") + "&pageToken=" + quote(first["nextPageToken"])).refused(400, "page-token-invalid")
    nothing = s.app("GET", "/v1/organizations?q=" + quote("没有这个地方")).ok()
    expect("nothing found", nothing, {"organizations": [], "nextPageToken": ""})


@story("the form is told all that is wrong with it at once, field by field, in the user's language")
def form(s):
    wrong = {"organisation": VILLAGE, "name": "王" * 101, "idNumber": 5, "joinDate": "29 May"}
    p = s.app("POST", "/v1/members", wrong, Accept_Language="zh-CN").refused(400, "invalid-argument")
    expect("fields", pointers(p), ["/idNumber", "/joinDate", "/name", "/organisation", "/organization"])
    expect("what to do", {v["pointer"]: v["detail"] for v in p["violations"]}["/organization"], "必填")
    good = {"organization": VILLAGE, "name": NAMES[0], "idNumber": id_number(1)}
    for field, value, problem in (("idNumber", "110105194912310021", "id-number-invalid"), ("phone", "12345", "phone-invalid")):
        p = s.app("POST", "/v1/members", {**good, field: value}).refused(422, problem)
        expect("the field", [(v["pointer"], v["rule"]) for v in p["violations"]], [("/" + field, problem)])
    p = s.app("POST", "/v1/members", b'{"organization": }', Content_Type="application/json").refused(400, "invalid-argument")
    expect("no JSON", (p["violations"][0]["rule"], pointers(p)), ("syntax", [""]))
    s.app("POST", "/v1/members", {**good, "organization": "999999"}).refused(404, "organization-unknown")


@story("four people apply; a repeated request changes nothing; staff approves")
def apply(s):
    s.members = []
    for i, name in enumerate(NAMES):
        body = {"organization": VILLAGE, "name": name, "idNumber": id_number(i + 1), "phone": f"1380013800{i}"}
        key = new_key()
        first = s.app("POST", "/v1/members", body, Idempotency_Key=key)
        again = s.app("POST", "/v1/members", body, Idempotency_Key=key)
        expect("the answer again", (again.status, again.body), (200, first.body))
        s.app("POST", "/v1/members", {**body, "name": "别人"}, Idempotency_Key=key).refused(422, "idempotency-mismatch")
        p = s.app("POST", "/v1/members", body, Idempotency_Key=new_key()).refused(409, "member-exists")
        expect("the field", pointers(p), ["/idNumber"])
        member = first.ok()
        expect("a new member", (member["state"], member["number"], member["joinDate"]), ("APPLIED", "", ""))
        s.members.append(member["id"])
    early = s.app("POST", "/v1/sessions:exchange", {"member": s.members[0]}, Accept_Language="zh").refused(409, "member-not-active")
    assert "APPLIED" in early["detail"], early
    s.app("POST", f"/v1/members/{s.members[0]}:approve").refused(403, "permission-denied")
    s.clerk = s.login("clerk")
    waiting = s.call("GET", f"/v1/members?organization={COUNTY}&state=APPLIED", token=s.clerk).ok()["members"]
    expect("who waits", sorted(m["id"] for m in waiting), sorted(s.members))
    for m in waiting:
        approved = s.call("POST", f"/v1/members/{m['id']}:approve", {"etag": m["etag"]}, token=s.clerk).ok()
        expect("the state", approved["state"], "ACTIVE")
    s.call("POST", f"/v1/members/{s.members[0]}:approve", token=s.clerk).refused(409, "member-state")


@story("the backend opens a session for each; a member sees the own membership and nobody else's")
def own_membership(s):
    s.sessions = [s.app("POST", "/v1/sessions:exchange", {"member": m}).ok()["token"] for m in s.members]
    me = s.me(0, "GET", f"/v1/members/{s.members[0]}").ok()
    expect("who I am", (me["name"], me["phoneMasked"], me["organization"]), (NAMES[0], "138****8000", VILLAGE))
    s.me(0, "GET", f"/v1/members/{s.members[1]}").refused(404, "not-found")
    masked = s.app("GET", f"/v1/members/{s.members[0]}").ok()["name"]
    assert masked[0] == NAMES[0][0] and NAMES[0] not in masked, masked
    s.call("GET", f"/v1/members/{s.members[0]}", token="nonsense").refused(401, "unauthenticated")
    r = s.call("GET", f"/v1/members/{s.members[0]}")
    r.refused(401, "unauthenticated")
    assert r.headers["WWW-Authenticate"].startswith("Bearer"), r.headers


@story("a member corrects the phone, and does not overwrite what changed meanwhile")
def correct(s):
    path = f"/v1/members/{s.members[0]}"
    read = s.me(0, "GET", path)
    tag = read.headers["ETag"]
    expect("not read again", s.me(0, "GET", path, If_None_Match=tag).status, 304)
    changed = s.me(0, "PATCH", path, {"phone": "13912345678"}, If_Match=tag).ok()
    expect("the phone", changed["phoneMasked"], "139****5678")
    s.me(0, "PATCH", path, {"phone": "13900000000"}, If_Match=tag).refused(412, "precondition-failed")
    p = s.me(0, "PATCH", path, {"phone": "139"}).refused(422, "phone-invalid")
    expect("the field", pointers(p), ["/phone"])
    p = s.me(0, "PATCH", path, {"state": "ACTIVE"}).refused(400, "invalid-argument")
    expect("what can't be changed", pointers(p), ["/state"])
    s.me(0, "PATCH", path, {"name": "新名"}).refused(403, "permission-denied")
    # wx.request knows no PATCH.
    cleared = s.me(0, "POST", path, {"phone": ""}, X_HTTP_Method_Override="PATCH").ok()
    expect("no phone", cleared["phoneMasked"], "")


# --- taking part --------------------------------------------------------------------------------------------------------


@story("staff offers an activity with two places, changes it, and hides nothing behind false, 0 or empty text")
def offer(s):
    body = {"campaign": s.campaign, "organization": COUNTY, "title": "社区义诊", "category": "HEALTH", "mode": "BOTH",
            "place": "文化广场", "link": "https://example.org/live", "startTime": rfc3339(-60), "endTime": rfc3339(7200),
            "capacity": 2, "noWaitingList": True, "description": "带上会员码"}
    call = lambda method, path, body: s.call(method, path, body, token=s.clerk)
    p = call("POST", "/v1/activities", {**body, "category": "PICNIC", "link": "http://example.org"}).refused(400, "invalid-argument")
    expect("fields", pointers(p), ["/category", "/link"])
    assert "HEALTH, CULTURE, " in p["violations"][0]["detail"], p
    p = call("POST", "/v1/activities", {**body, "endTime": rfc3339(-120)}).refused(400, "invalid-argument")
    expect("fields", pointers(p), ["/endTime"])
    p = call("POST", "/v1/activities", {**body, "campaign": str(uuid.UUID(int=1))}).refused(422, "campaign-unknown")
    expect("fields", pointers(p), ["/campaign"])
    made = call("POST", "/v1/activities", body).ok()
    expect("nobody yet", made["counts"], {"registered": 0, "waiting": 0, "attended": 0, "onSite": 0, "online": 0})
    s.activity = f"/v1/activities/{made['id']}"
    changed = call("PATCH", s.activity, {"noWaitingList": False, "description": None}).ok()
    expect("changed", (changed["noWaitingList"], changed["description"], changed["title"]), (False, "", "社区义诊"))
    call("PATCH", s.activity, {"capacity": 0}).ok()
    call("PATCH", s.activity, {"capacity": 2}).ok()
    s.me(0, "GET", s.activity).refused(404, "not-found")
    expect("open", call("POST", s.activity + ":open", {}).ok()["state"], "OPEN")


@story("a member sees what the own village is invited to")
def browse(s):
    listed = s.me(0, "GET", f"/v1/activities?state=OPEN&audience={VILLAGE}").ok()["activities"]
    assert s.activity.endswith(listed[0]["id"]) and len(listed) == 1, listed
    expect("elsewhere", s.me(0, "GET", "/v1/activities?state=OPEN&audience=430103").ok()["activities"], [])
    expect("run by the village itself", s.me(0, "GET", f"/v1/activities?organization={VILLAGE}").ok()["activities"], [])


@story("two get a place, two wait; one cancels, and who waited first is promoted")
def register(s):
    url = s.activity + "/registrations"
    unheard = "01990000-0000-7000-8000-000000000001"
    s.app("GET", f"/v1/members/{unheard}/registrations").refused(422, "member-unknown")
    s.app("POST", url, {"member": unheard}).refused(422, "member-unknown")
    wait_until("activity has heard of them all, and that they were approved", lambda: all(
        s.rows("activity", f"SELECT 1 FROM member WHERE id = '{m}' AND active = 1") for m in s.members))
    s.registrations = [s.me(i, "POST", url, {}, Idempotency_Key=new_key()).ok() for i in range(4)]
    expect("who has a place", [r["state"] for r in s.registrations], ["REGISTERED", "REGISTERED", "WAITING", "WAITING"])
    expect("the order of arrival", [r["position"] for r in s.registrations], [1, 2, 3, 4])
    s.me(0, "POST", url, {}).refused(409, "already-registered")
    s.me(0, "POST", url, {"member": s.members[1]}).refused(404, "not-found")
    cancelled = s.me(0, "POST", f"{url}/{s.registrations[0]['id']}:cancel").ok()
    expect("cancelled", cancelled["state"], "CANCELLED")
    expect("promoted", s.me(2, "GET", f"{url}/{s.registrations[2]['id']}").ok()["state"], "REGISTERED")
    expect("still waits", s.me(3, "GET", f"{url}/{s.registrations[3]['id']}").ok()["state"], "WAITING")
    mine = s.me(2, "GET", f"/v1/members/{s.members[2]}/registrations").ok()["registrations"]
    expect("my registrations", [(r["state"], r["attended"]) for r in mine], [("REGISTERED", False)])


@story("check-in: online by oneself, by card and by code at a volunteer's device; again is no error")
def check_in(s):
    url = s.activity + "/checkins"
    volunteer = {"account": {"login": "volunteer", "organization": COUNTY, "grants": [{"role": "ROLE_VOLUNTEER", "organization": COUNTY}]},
                 "password": "a-long-password"}
    p = s.call("POST", "/v1/accounts", {**volunteer, "password": "short"}, token=s.login("admin")).refused(422, "password-weak")
    expect("the field", pointers(p), ["/password"])
    s.call("POST", "/v1/accounts", volunteer, token=s.login("admin")).ok()
    s.device = s.call("POST", "/v1/sessions", {"login": "volunteer", "password": "a-long-password"}).ok()["token"]
    scan = lambda body, **headers: s.call("POST", url, body, token=s.device, headers=headers)

    online = s.me(1, "POST", url, {"online": ""}).ok()
    expect("online", (online["way"], online["member"], online["repeated"], online["refusal"]), ("ONLINE", s.members[1], False, ""))
    expect("again", s.me(1, "POST", url, {"online": ""}).ok()["repeated"], True)
    card = s.me(2, "GET", f"/v1/members/{s.members[2]}/card").ok()["token"]
    expect("by card", scan({"card": card, "device": "tablet", "nonce": "1"}).ok()["member"], s.members[2])
    code = s.registrations[3]["code"]
    expect("by code", scan({"code": code.lower().replace("-", " ")}).ok()["member"], s.members[3])

    wrong = code[:-1] + ("A" if code[-1] != "A" else "B")
    p = scan({"code": wrong}, **{"Accept-Language": "zh"}).refused(422)
    assert p["type"].endswith("checkin-code-invalid") and p["title"] == "报名码输入有误", p
    scan({"card": card[:-3] + "AAA"}).refused(422, "checkin-card-forged")
    expect("nobody said", pointers(scan({"device": "tablet"}).refused(400, "invalid-argument")), [""])
    s.me(1, "POST", url, {"card": card}).refused(403, "permission-denied")


@story("what a device gathered without a network arrives later, each scan judged by itself")
def offline(s):
    card = s.me(0, "GET", f"/v1/members/{s.members[0]}/card").ok()["token"]
    scans = [{"card": card, "device": "tablet", "nonce": "7", "occurredTime": rfc3339(-30)},
             {"code": "nonsense", "device": "tablet", "nonce": "8", "occurredTime": rfc3339(-20)},
             {"card": card, "device": "tablet", "nonce": "9", "occurredTime": rfc3339(-10)}]
    upload = lambda scans: s.call("POST", s.activity + "/checkins:batchCreate", {"scans": scans}, token=s.device)
    answer = upload(scans).ok()
    expect("sums", (answer["accepted"], answer["refused"]), (2, 1))
    expect("each", [(c["member"], c["refusal"].rsplit(":", 1)[-1], c["repeated"]) for c in answer["checkins"]],
           [(s.members[0], "", False), ("", "checkin-code-invalid", False), (s.members[0], "", True)])
    p = upload([{"card": 1}, {"code": "a", "occurredTime": "yesterday"}]).refused(400, "invalid-argument")
    expect("fields", pointers(p), ["/scans/0/card", "/scans/1/occurredTime"])


# --- looking back -------------------------------------------------------------------------------------------------------


@story("counts are live at every level; lists leave as CSV for the office")
def counts(s):
    read = lambda code: s.app("GET", f"/v1/campaigns/{s.campaign}/counts?organization={code}").ok()
    for code in ("43", "4301", COUNTY, "430102001", VILLAGE):
        wait_until(f"{code} counts four", lambda c=code: read(c)["total"]["attended"] == 4, 5)
    county = read(COUNTY)
    expect("ways", (county["total"]["onSite"], county["total"]["online"]), (3, 1))
    expect("a township without any", county["children"][1]["attended"], 0)
    export = lambda path: rows(s.call("GET", path, token=s.clerk, headers={"Accept": "text/csv"}))
    listed = export(s.activity + "/registrations")
    expect("registrations", [(r["state"], r["attended"]) for r in listed],
           [("CANCELLED", "true"), ("REGISTERED", "true"), ("REGISTERED", "true"), ("WAITING", "true")])
    expect("check-ins", sorted(r["way"] for r in export(s.activity + "/checkins")), ["CARD", "CARD", "CODE", "ONLINE"])
    expect("members", sorted(r["name"] for r in export(f"/v1/members?organization={VILLAGE}")), sorted(NAMES))
    [activity] = export(f"/v1/activities?organization={COUNTY}")
    expect("an activity's counts", (activity["counts.registered"], activity["counts.attended"]), ("2", "4"))


@story("who asks too often is told how long to wait; who calls something that is not there, what is")
def manners(s):
    for _ in range(2000):
        r = s.me(3, "GET", f"/v1/members/{s.members[3]}")
        if r.status != 200:
            break
    r.refused(429, "rate-limited")
    assert 1 <= int(r.headers["Retry-After"]) <= 60 and r.headers["RateLimit"].startswith('"read";r=0;t='), r.headers
    s.app("GET", "/v1/activitys").refused(404, "path-unknown")
    s.app("DELETE", s.activity).refused(405, "method-not-allowed")
    documents = json.loads(s.call("GET", "/openapi.json").body)
    assert "/v1/activities" in documents["paths"]


if __name__ == "__main__":
    main(App())
