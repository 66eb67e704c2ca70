#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Care, by those who want more of it than is theirs."""
import contextlib
import os
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.callers import PASSWORD  # noqa: E402
from support.care import COUNTY, NEXT_VILLAGE, TOWN, VILLAGE, Office, enter, facts, publish, shipped  # noqa: E402
from support.ledger import Books, check_books  # noqa: E402
from support.people import bank_account, person  # noqa: E402
from support.stack import CARE, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_members  # noqa: E402


@contextlib.contextmanager
def scene():
    with Stack(instances=CARE, clock=True, gateway_options=["--rate-scale=1000"]) as s:
        s.books = Books(s)
        s.books.fund(title="开账")  # once it is there, care knows the organisations
        s.clerk = Office(s, "staff", VILLAGE)
        yield s


@story("a member's own session reads the own case and acts on it as its recipient: whose it is, who sees it and who looks after it, the office says")
def own_session(s):
    member = make_members(s, s.login("admin"), [person(6100, VILLAGE)], VILLAGE)[0]
    r = wait_until("care knows the member", lambda: (lambda a: a.json if a.status == 200 else None)(s.clerk.post(
        "/v1/recipients", {"organization": VILLAGE, "name": "李小龙", "idNumber": person(6101, VILLAGE)["idNumber"], "member": member["id"]})))
    publish(s, "care", shipped("nuanxin-care"))
    new = {"programme": "care", "organization": VILLAGE, "facts": facts(ground="bereaved", alone="true")}
    own = s.clerk.post("/v1/cases", {**new, "recipient": r["id"]}).ok()
    other = s.clerk.post("/v1/cases", {**new, "recipient": enter(s, s.clerk)["id"]}).ok()
    doctor = {"contact": {"role": "family-doctor", "name": "王医生", "phone": "13900000001"}}
    s.clerk.post(f"/v1/cases/{own['id']}:setContact", doctor).ok()
    before = s.clerk.get(f"/v1/cases/{own['id']}").ok()
    token = s.call("POST", "/v1/sessions:exchange", {"member": member["id"]}, token=s.api_key).ok()["token"]

    def tries(method, path, body=None):
        return s.call(method, path, body, token=token)

    expect("reads it", tries("GET", f"/v1/cases/{own['id']}").ok()["id"], own["id"])
    expect("and its steps", len(tries("GET", f"/v1/cases/{own['id']}/steps").ok()["steps"]), 1)
    grant = {"account": str(uuid.uuid4()), "reason": "亲戚", "hours": 720}
    for what, body in ((":setContact", {"contact": {"role": "family-doctor", "name": "别人"}}), (":endContact", {"role": "family-doctor"}),
                       (":transfer", {"organization": NEXT_VILLAGE, "reason": "搬家"}), (":grantAccess", grant),
                       (":endAccess", {"account": grant["account"]}), (":reveal", {"purpose": "看看"}), ("/assessments", {"form": "yearly"})):
        tries("POST", f"/v1/cases/{own['id']}{what}", body).refused(403, "permission-denied")
        assert tries("POST", f"/v1/cases/{other['id']}{what}", body).status in (403, 404), what
    expect("nothing came of it", s.clerk.get(f"/v1/cases/{own['id']}").ok(), before)
    tries("POST", f"/v1/cases/{own['id']}:act", {"action": "confirm"}).refused(403, "level-required")
    tries("POST", f"/v1/cases/{other['id']}:act", {"action": "withdraw"}).refused(404, "not-found")
    expect("but withdraws", tries("POST", f"/v1/cases/{own['id']}:act", {"action": "withdraw"}).ok()["state"], "WITHDRAWN")


@story("who hands a case over keeps no way into it: those whom the office before let in are let in no more")
def back_door(s):
    programme = publish(s, "care-of", shipped("nuanxin-care"))["id"]
    case = s.clerk.post("/v1/cases", {"programme": programme, "organization": VILLAGE, "recipient": enter(s, s.clerk)["id"],
                                      "facts": facts(ground="bereaved", alone="true")}).ok()
    body = {"login": "friend-" + uuid.uuid4().hex[:12], "organization": VILLAGE, "grants": [{"role": "ROLE_STAFF", "organization": VILLAGE}]}
    friend = s.call("POST", "/v1/accounts", {"account": body, "password": PASSWORD}, token=s.login("admin")).ok()
    token = s.call("POST", "/v1/sessions", {"login": friend["login"], "password": PASSWORD}).ok()["token"]
    grant = {"account": friend["id"], "reason": "留个后门", "hours": 720}
    wait_until("care knows the account", lambda: s.clerk.post(f"/v1/cases/{case['id']}:grantAccess", grant).status == 200)
    s.clerk.post(f"/v1/cases/{case['id']}:transfer", {"organization": NEXT_VILLAGE, "reason": "搬家"}).ok()
    reveal = lambda: s.call("POST", f"/v1/cases/{case['id']}:reveal", {"purpose": "看看"}, token=token)
    expect("until it is taken", reveal().ok()["value"]["id"], case["id"])
    next_village = Office(s, "staff", NEXT_VILLAGE)
    next_village.post(f"/v1/cases/{case['id']}:answerTransfer", {"accepted": True}).ok()
    reveal().refused(404, "not-found")
    next_village.post(f"/v1/cases/{case['id']}:grantAccess", {**grant, "reason": "交接"}).ok()
    expect("by whose it is now", reveal().ok()["value"]["id"], case["id"])


@story("funds that are used up, however many, do not hide the one that has money")
def used_up(s):
    for n in range(65):
        s.books.account(s.books.fund(title=f"往年资金{n}"), purpose="hospital-care", organization=COUNTY)
    fund = s.books.fund(title="今年资金")
    source, budget = s.books.account(fund, "SOURCE"), s.books.account(fund, purpose="hospital-care", organization=COUNTY)
    s.books.move(source, budget, 100_000)
    hospital = shipped("hospital-care")
    publish(s, "hc", {**hospital, "purpose": "hospital-care", "conditions": [], "documents": []})
    r = enter(s, s.clerk, special=True, bankAccount=bank_account(6200))
    case = s.clerk.post("/v1/cases", {"programme": "hc", "organization": VILLAGE, "recipient": r["id"],
                                      "facts": facts(hospital="省人民医院", hospital_level=3, public_hospital="true", admitted="2026-04-01",
                                                                                     discharged="2026-04-11", days=10)}).ok()
    for where, action in ((VILLAGE, "confirm"), (TOWN, "confirm"), (COUNTY, "approve")):
        case = Office(s, "approver", where).post(f"/v1/cases/{case['id']}:act", {"action": action}).ok()
    expect("granted", case["granted"], "100000")
    expect("set aside", s.books.balance(budget)[3:], (100_000, 0))
    check_books(s)


main(scene())
