#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cases: from enrolment through village, notice, township and county to what is put up for payment; and whatever stands in the way."""
import contextlib
import copy
import datetime
import json
import os
import sys
import threading
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.callers import PASSWORD  # noqa: E402
from support.care import know_the_days  # noqa: E402
from support.ledger import Books, check_books  # noqa: E402
from support.people import person  # noqa: E402
from support.stack import CARE, ROOT, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_members  # noqa: E402

CITY, COUNTY, TOWN, VILLAGE, NEXT_VILLAGE = "4301", "430102", "430102001", "430102001001", "430102001002"
DAY = 86400
CHINA = datetime.timezone(datetime.timedelta(hours=8))
SUMMARY = [{"kind": k, "uri": "https://files.example.org/" + k, "sha256": "0" * 64} for k in ("discharge-summary", "invoice")]
LOAN_PAPERS = [{"kind": k, "uri": "https://files.example.org/" + k, "sha256": "1" * 64} for k in ("loan-contract", "interest-receipt")]


def shipped(name):
    with open(os.path.join(ROOT, "services/care/programmes", name + ".json")) as f:
        return json.load(f)


class Office:
    """An office's own key, of one role at one organisation."""

    def __init__(self, s, role, organization, name=""):
        self.s, self.organization = s, organization
        made = json.loads(s.cli("client", "create", f"{role} {organization} {name or uuid.uuid4().hex[:6]}", f"{role}@{organization}", "--json").stdout)
        self.token, self.id = made["apiKey"], made.get("id") or made["client"]["id"]

    def post(self, path, body=None, **headers):
        return self.s.call("POST", path, body or {}, token=self.token, headers=headers)

    def get(self, path):
        return self.s.call("GET", path, token=self.token)

    def act(self, case, action, **fields):
        return self.post(f"/v1/cases/{case['id']}:act", {"action": action, **fields})

    def case(self, case):
        return self.get(f"/v1/cases/{case['id']}").ok()

    def tasks(self, overdue=False, organization=None):
        return self.get(f"/v1/tasks?organization={organization or self.organization}&pageSize=1000&overdue={str(overdue).lower()}").ok().get("tasks", [])

    def tasks_of(self, case, **query):
        return [t for t in self.tasks(**query) if t["caseId"] == case["id"]]


def luhn(digits):
    total = sum(sum(divmod(int(c) * (2 - i % 2), 10)) for i, c in enumerate(reversed(digits)))
    return digits + str(-total % 10)


_numbers = iter(range(5000, 100000))


def enter(s, organization=VILLAGE, **fields):
    number = next(_numbers)
    p = person(number, organization)
    body = {"organization": organization, "name": p["name"], "idNumber": p["idNumber"], "bankAccount": luhn("622202%012d" % number), **fields}
    return s.clerk.post("/v1/recipients", body).ok()


def facts(**values):
    return [{"name": k, "value": str(v)} for k, v in values.items()]


def stay(days=10, admitted="2026-04-01", **more):
    return facts(**{"hospital": "省人民医院", "hospital_level": 3, "public_hospital": "true", "admitted": admitted, "discharged": admitted,
                    "days": days, **more})


def loan(principal=5000000, rate=600, began="2026-01-10", days=365):
    return facts(lender="农村商业银行", use="planting", principal=principal, rate=rate, began=began, days=days)


def open_case(s, programme, recipient, **fields):
    body = {"programme": programme, "organization": VILLAGE, **fields}
    if recipient:
        body["recipient"] = recipient["id"]
    return s.clerk.post("/v1/cases", body)


def claim(s, recipient, days=10, programme="hc", **fields):
    return open_case(s, programme, recipient, facts=stay(days, **fields), documents=SUMMARY).ok()


def to_county(s, case):
    s.village.act(case, "confirm").ok()
    s.town.act(case, "confirm").ok()
    return case


def publish(s, programme, document):
    admin = s.login("admin")
    version = s.call("POST", f"/v1/programmes/{programme}/versions", document, token=admin).ok()["version"]
    return s.call("POST", f"/v1/programmes/{programme}:activate", {"version": version}, token=admin).ok()


def budget(s, purpose, amount, county=COUNTY):
    """Money for a purpose, from the province to the county."""
    fund = s.books.fund(title=purpose)
    source, account = s.books.account(fund, "SOURCE"), s.books.account(fund, purpose=purpose, organization=county)
    s.books.move(source, account, amount)
    return account


@contextlib.contextmanager
def scene():
    with Stack(instances=CARE, clock=True, gateway_options=["--rate-scale=1000"]) as s:
        s.books = Books(s)
        s.books.fund(title="开账")  # once it is there, care knows the organisations
        s.clerk, s.village, s.town = Office(s, "staff", VILLAGE), Office(s, "approver", VILLAGE), Office(s, "approver", TOWN)
        s.county, s.other = Office(s, "approver", COUNTY), Office(s, "approver", "430103")
        hospital = shipped("hospital-care")
        hospital["conditions"] = [c for c in hospital["conditions"] if c["code"] != "insured"]
        publish(s, "hc", {**hospital, "purpose": "hospital-care"})
        publish(s, "li", shipped("loan-interest"))
        know_the_days(s)
        s.hospital_budget = budget(s, "hospital-care", 100_000_000)
        s.loan_budget = budget(s, "loan-interest", 10_000_000)
        yield s


def steps(s, case, office=None):
    return [(x["stage"], x["action"]) for x in (office or s.county).get(f"/v1/cases/{case['id']}/steps").ok()["steps"]]


# --- the subsidies -----------------------------------------------------------------------------------------------------


@story("a stay of 12 days goes from the village to the county, is decided by rule, reserved, and put up for payment, at once")
def hospital(s):
    r = enter(s, special=True)
    before = s.books.balance(s.hospital_budget)
    c = claim(s, r, 12)
    expect("opened", (c["state"], c["stage"], c["version"], c["organization"], c["unit"]), ("OPEN", "village", 1, VILLAGE, "CNY"))
    assert c["number"].startswith("H-2026-"), c["number"]
    assert "facts" not in c or not c["facts"], c
    expect("on the village's list", [t["stage"] for t in s.village.tasks_of(c)], ["village"])
    expect("and the county's", [(t["kind"], t["organization"]) for t in s.county.tasks_of(c)], [("STAGE", VILLAGE)])
    expect("confirmed", s.village.act(c, "confirm").ok()["stage"], "township")
    expect("not the village's any more", s.village.tasks_of(c), [])
    expect("but the town's", [t["organization"] for t in s.town.tasks_of(c)], [TOWN])
    s.town.act(c, "confirm").ok()
    done = s.county.act(c, "approve").ok()
    expect("decided", (done["stage"], done["granted"], done["reserved"]), ("payment", "120000", "120000"))
    after = s.books.balance(s.hospital_budget)
    expect("set aside", (after[3] - before[3], before[4] - after[4]), (120000, 120000))
    expect("put up", s.rows("care", f"SELECT state, amount FROM care_payment WHERE case_id = '{c['id']}'"), [(1, 120000)])
    approvers = s.rows("care", f"SELECT approvers FROM care_payment WHERE case_id = '{c['id']}'")[0][0].split()
    expect("approved by", set(approvers), {s.village.id, s.town.id, s.county.id})
    expect("nothing left to do", s.county.tasks_of(c), [])
    expect("steps", steps(s, c), [("", "open"), ("village", "confirm"), ("township", "confirm"), ("county", "approve")])
    opened = s.county.post(f"/v1/cases/{c['id']}:reveal", {"purpose": "复核"}).ok()
    expect("its facts", {f["name"]: f["value"] for f in opened["value"]["facts"]}["days"], "12")
    expect("its decision", [(d["version"], d["outcome"]["amount"]) for d in opened["decisions"]], [(1, "120000")])
    s.county.act(c, "paid").refused(422, "action-unknown")
    s.clerk.act(c, "withdraw").ok()  # nothing is with the bank yet
    expect("given back", s.books.balance(s.hospital_budget)[4], before[4])
    expect("and the days", s.rows("care", f"SELECT used FROM care_cap_use WHERE holder = '{r['id']}'"), [(0,)])


@story("at most 90 days a year across all claims: what is left is granted, and then nothing; the next year counts anew")
def cap(s):
    r = enter(s, special=True)
    amounts = []
    for days, admitted in ((60, "2026-03-01"), (40, "2026-05-01"), (90, "2027-03-01")):
        amounts.append(s.county.act(to_county(s, claim(s, r, days, admitted=admitted)), "approve").ok()["granted"])
    expect("granted", amounts, ["600000", "300000", "900000"])
    p = s.county.act(to_county(s, claim(s, r, 1, admitted="2027-02-28")), "approve").refused(422, "cap-reached")
    for word in ("hc", "1", "days-a-year", "90"):
        assert word in p["detail"], p
    low = enter(s, special=False)
    p = s.county.act(to_county(s, claim(s, low, 1, hospital_level=1)), "approve").refused(422, "not-eligible")
    expect("all that is not fulfilled", sorted(v["rule"] for v in p["violations"]), ["hospital-level", "special-family"])


@story("two who approve at the cap at once: together they never grant more")
def cap_rush(s):
    for _ in range(4):
        r = enter(s, special=True)
        cases = [to_county(s, claim(s, r, 50)) for _ in range(4)]
        offices = [Office(s, "approver", COUNTY) for _ in cases] if not hasattr(s, "rush") else s.rush
        s.rush = offices
        answers = [None] * len(cases)

        def go(i):
            answers[i] = offices[i].act(cases[i], "approve")

        threads = [threading.Thread(target=go, args=(i,)) for i in range(len(cases))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        granted = sorted(int(a.json["granted"]) for a in answers if a.status == 200)
        expect("granted", granted, [400000, 500000])
        for a in answers:
            if a.status != 200:
                a.refused(422, "cap-reached")
        expect("days used", s.rows("care", f"SELECT used FROM care_cap_use WHERE holder = '{r['id']}'"), [(90,)])


@story("a loan of ¥50,000: the village confirms, it stands on notice for seven working days, then township and county decide")
def loan_interest(s):
    r = enter(s)
    c = open_case(s, "li", r, facts=loan(), documents=LOAN_PAPERS).ok()
    expect("noticed", s.village.act(c, "confirm").ok()["stage"], "notice")
    notice = notice_of(s, r)
    expect("masked", (notice["nameMasked"], notice["organization"], notice["titleZh"]), (r["name"][0] + "*", VILLAGE, "贷款贴息"))
    end, start = time_of(notice["endTime"]), time_of(notice["startTime"])
    assert end.astimezone(CHINA).strftime("%H:%M:%S") == "00:00:00" and (end - start).days >= 8, notice
    p = s.village.act(c, "over").refused(422, "notice-running")
    for word in ("notice", "li", "version 1"):
        assert word in p["detail"], p
    s.advance((end - start).total_seconds() + 60)
    wait_until("the notice ends", lambda: s.town.case(c)["stage"] == "township", 20)
    expect("taken down", [n for n in s.county.get(f"/v1/notices?organization={VILLAGE}").ok().get("notices", []) if n["id"] == notice["id"]], [])
    s.county.act(c, "confirm").ok()  # who decides at the county may at the township, too
    s.county.act(c, "approve").refused(403, "decided-before")
    second = Office(s, "approver", COUNTY)
    expect("5 % of it", second.act(c, "approve").ok()["granted"], "250000")
    again = open_case(s, "li", r, facts=loan(began="2026-02-01"), documents=LOAN_PAPERS)
    p = again.refused(409, "case-exists")
    assert "li, version 1" in p["detail"] and c["id"] in p["detail"], p
    s.clerk.act(c, "withdraw").ok()
    open_case(s, "li", r, facts=loan(began="2026-02-01"), documents=LOAN_PAPERS).ok()


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def notice_of(s, recipient):
    """The newest at the village: anybody may read it."""
    notices = s.call("GET", f"/v1/notices?organization={VILLAGE}&pageSize=1000").ok()["notices"]
    return max((n for n in notices if n["nameMasked"] == recipient["name"][0] + "*"), key=lambda n: n["id"])


@story("an objection stops the notice, and the case, until it is settled; upheld, the case is refused")
def objection(s):
    r, other = enter(s), enter(s)
    c = open_case(s, "li", r, facts=loan(), documents=LOAN_PAPERS).ok()
    s.village.act(c, "confirm").ok()
    notice = notice_of(s, r)
    o = s.call("POST", "/v1/objections", {"notice": notice["id"], "text": "并未用于种植", "contact": "13800000000"}).ok()
    assert "text" not in o or not o["text"], o
    expect("a task", [(t["kind"], t["stage"]) for t in s.village.tasks_of(c)], [("OBJECTION", o["id"])])
    p = s.village.act(c, "over").refused(422, "objection-open")
    assert o["id"] in p["detail"], p
    s.advance(20 * DAY)
    expect("stopped", s.village.case(c)["stage"], "notice")
    opened = s.county.post(f"/v1/cases/{c['id']}:reveal", {"purpose": "处理异议"}).ok()
    expect("what was said", [x["text"] for x in opened["objections"]], ["并未用于种植"])
    s.other.post(f"/v1/objections/{o['id']}:settle", {"upheld": False, "reason": "查无此事"}).refused(404, "not-found")
    s.village.post(f"/v1/objections/{o['id']}:settle", {"upheld": False, "reason": "查无此事"}).ok()
    s.village.post(f"/v1/objections/{o['id']}:settle", {"upheld": False, "reason": "查无此事"}).refused(409, "objection-settled")
    later = notice_of(s, r)
    assert time_of(later["endTime"]) > time_of(notice["endTime"]), (notice, later)
    s.village.act(c, "over").refused(422, "notice-running")
    expect("no task", s.village.tasks_of(c), [])
    c2 = open_case(s, "li", other, facts=loan(), documents=LOAN_PAPERS).ok()
    s.village.act(c2, "confirm").ok()
    n2 = notice_of(s, other)
    o2 = s.call("POST", "/v1/objections", {"notice": n2["id"], "text": "贷款不实"}).ok()
    s.village.post(f"/v1/objections/{o2['id']}:settle", {"upheld": True, "reason": "属实"}).ok()
    expect("refused", s.county.case(c2)["state"], "REFUSED")
    s.call("POST", "/v1/objections", {"notice": n2["id"], "text": "贷款不实"}).refused(422, "notice-over")


# --- who may, and what is missing -----------------------------------------------------------------------------------------


@story("nobody decides without the level, of a case of their own, without the papers, or twice; out of reach there is no case")
def who_may(s):
    r = enter(s, special=True)
    c = open_case(s, "hc", r, facts=stay()).ok()
    p = s.clerk.act(c, "confirm").refused(403, "level-required")
    for word in ("village", "hc", "1", "VILLAGE"):
        assert word in p["detail"], p
    s.other.act(c, "confirm").refused(404, "not-found")
    s.other.get(f"/v1/cases/{c['id']}").refused(404, "not-found")
    to_county(s, c)
    s.town.act(c, "approve").refused(403, "level-required")
    s.county.act(c, "pay-twice").refused(422, "action-unknown")
    s.county.act(c, "refuse").refused(422, "reason-missing")
    p = s.county.act(c, "approve").refused(422, "document-missing")
    assert "discharge-summary" in p["detail"], p
    expect("returned", s.county.act(c, "return", reason="缺出院小结").ok()["state"], "RETURNED")
    expect("to the village", [(t["stage"], t["organization"]) for t in s.clerk.tasks_of(c)], [("returned", VILLAGE)])
    s.county.act(c, "approve").refused(422, "action-unknown")
    again = s.clerk.act(c, "resubmit", documents=SUMMARY, facts=facts(days=11)).ok()
    expect("again from the first", (again["state"], again["stage"]), ("OPEN", "village"))
    to_county(s, c)
    expect("decided", s.county.act(c, "approve").ok()["granted"], "110000")
    own = Office(s, "administrator", COUNTY)
    mine = own.post("/v1/cases", {"programme": "hc", "organization": VILLAGE, "recipient": r["id"], "facts": stay(), "documents": SUMMARY}).ok()
    p = own.act(mine, "confirm").refused(403, "own-case")
    assert "hc 1: village" in p["detail"], p
    s.county.act(mine, "confirm", etag='"0"').refused(412, "precondition-failed")
    s.county.act(mine, "refuse", reason="重复申请").ok()
    s.county.act(mine, "confirm").refused(422, "case-closed")
    expect("reopened", s.county.act(mine, "reopen").ok()["state"], "OPEN")


@story("what does not fit its field, or is not asked for, is named; so is the programme that there is not")
def bad_input(s):
    r = enter(s, special=True)
    p = open_case(s, "hc", r, facts=stay(days=0)).refused(422, "fact-invalid")
    assert any("/facts" in v["field"] if "field" in v else "/facts" in json.dumps(v) for v in p["violations"]), p
    open_case(s, "hc", r, facts=stay() + facts(colour="red")).refused(422, "fact-invalid")
    open_case(s, "none", r).refused(422, "programme-unknown")
    open_case(s, "hc", {"id": str(uuid.uuid4())}, facts=stay()).refused(422, "recipient-unknown")
    no_account = enter(s, special=True, bankAccount="")
    s.county.act(to_county(s, claim(s, no_account)), "approve").refused(422, "bank-account-missing")
    poor = {**copy.deepcopy(shipped("hospital-care")), "purpose": "nothing-there", "conditions": []}
    publish(s, "poor", poor)
    p = s.county.act(to_county(s, claim(s, r, 2, programme="poor")), "approve").refused(422, "budget-overdrawn")
    for word in ("nothing-there", COUNTY, "200.00"):
        assert word in p["detail"], p
    consent = shipped("referral-housing")
    publish(s, "rh", consent)
    open_case(s, "rh", r, facts=[]).refused(422, "consent-missing")


# --- other programmes, as they are shipped ---------------------------------------------------------------------------------


@story("hours of help at home: ordered, accepted within the month's hours, done, confirmed by the person's own session, rated")
def service_order(s):
    member = make_members(s, s.login("admin"), [person(next(_numbers), VILLAGE)], VILLAGE)[0]
    r = wait_until("care knows the member", lambda: (lambda a: a.json if a.status == 200 else None)(s.clerk.post(
        "/v1/recipients", {"organization": VILLAGE, "name": "李小龙", "idNumber": person(next(_numbers), VILLAGE)["idNumber"],
                           "member": member["id"], "special": True})), 20)
    fund = s.books.fund("DONATION", title="居家服务", unit="service-hour")
    source, hours = s.books.account(fund, "SOURCE"), s.books.account(fund, purpose="home-services", organization=COUNTY)
    s.books.move(source, hours, 100)
    order = lambda n: open_case(s, "service-order", r, facts=facts(service="bathing", wanted="2026-11-30", hours=n)).ok()
    c, more = order(8), order(8)
    s.town.act(c, "accept").refused(422, "fact-invalid")
    provider = facts(provider="暖心家政")
    expect("accepted", (lambda a: (a["stage"], a["granted"], a["unit"]))(s.town.act(c, "accept", facts=provider).ok()), ("accepted", "8", "service-hour"))
    s.town.act(more, "accept", facts=provider).ok()
    s.town.act(order(1), "accept", facts=provider).refused(422, "cap-reached")
    expect("cancelled", s.clerk.act(more, "cancel", reason="改期").ok()["state"], "ENDED")
    s.town.act(order(1), "accept", facts=provider).ok()  # its hours are free again
    s.town.act(c, "serve").refused(403, "level-required")
    s.clerk.act(c, "serve").ok()
    s.town.act(c, "confirm").refused(403, "level-required")
    token = s.call("POST", "/v1/sessions:exchange", {"member": member["id"]}, token=s.api_key).ok()["token"]
    mine = s.call("GET", f"/v1/recipients/{r['id']}/cases", token=token).ok()["cases"]
    expect("the person's own", len(mine), 4)
    done = s.call("POST", f"/v1/cases/{c['id']}:act", {"action": "confirm"}, token=token).ok()
    expect("given", (done["stage"], done["reserved"], done["paid"]), ("confirmed", "0", "8"))
    expect("spent", s.books.balance(hours)[2:4], (8, 1))
    s.call("POST", f"/v1/cases/{c['id']}:act", {"action": "rate"}, token=token).refused(400, "invalid-argument")
    rated = s.call("POST", f"/v1/cases/{c['id']}:act", {"action": "rate", "rating": 5}, token=token).ok()
    expect("rated", (rated["state"], rated["rating"]), ("DONE", 5))
    s.call("POST", f"/v1/cases/{claim(s, enter(s))['id']}:act", {"action": "withdraw"}, token=token).refused(404, "not-found")


@story("a request that nobody signed is received, assigned, answered within its time, and rated; its text stays sealed")
def request(s):
    said = "村口的路灯坏了三个月"
    c = open_case(s, "requests", None, facts=facts(way="letter", matter="complaint", text=said)).ok()
    s.county.act(c, "assign").ok()
    expect("on the town's list", [t["stage"] for t in s.town.tasks_of(c)], ["assigned"])
    s.town.act(c, "answer", facts=facts(answer="已报修", text="改")).refused(422, "fact-invalid")
    s.town.act(c, "answer", facts=facts(answer="已报修")).ok()
    expect("once more", s.clerk.act(c, "not-satisfied", reason="仍未修好").ok()["stage"], "assigned")
    s.town.act(c, "answer", facts=facts(answer="已修好")).ok()
    expect("rated", s.clerk.act(c, "rate", rating=4).ok()["state"], "DONE")
    opened = s.county.post(f"/v1/cases/{c['id']}:reveal", {"purpose": "督办"}).ok()
    expect("all of it", {f["name"]: f["value"] for f in opened["value"]["facts"]}, {"way": "letter", "matter": "complaint", "text": said, "answer": "已修好"})
    expect("why", [x["reason"] for x in opened["steps"] if x.get("reason")], ["仍未修好"])
    assert said.encode() not in b"".join(bytes(row[0]) for row in s.rows("care", "SELECT sealed FROM care_case_sealed")), "in clear"


@story("a grant to an institution: decided by the province, on notice, and put up for payment by itself when that is over")
def institution(s):
    budget(s, "childcare", 1_000_000_000, county="43")
    city, province = Office(s, "approver", CITY), Office(s, "approver", "43")
    papers = [{"kind": k, "uri": "https://files.example.org/" + k, "sha256": "3" * 64} for k in ("filing", "fire-safety")]
    c = open_case(s, "childcare-grant", None, documents=papers,
                  facts=facts(name="示范托育园", account="6222020000000000000", filed="true", places=60, fee=180000)).ok()
    s.county.act(c, "confirm").ok()
    city.act(c, "confirm").ok()
    decided = province.act(c, "approve").ok()
    expect("noticed", (decided["stage"], decided["granted"]), ("notice", "60000000"))
    s.advance(15 * DAY)
    wait_until("put up", lambda: s.rows("care", f"SELECT state, amount FROM care_payment WHERE case_id = '{c['id']}'") == [(1, 60000000)], 20)
    expect("waits for it", province.case(c)["stage"], "payment")
    open_case(s, "childcare-grant", None, documents=papers,
              facts=facts(name="示范托育园", account="6222020000000000000", filed="true", places=60, fee=180000)).refused(409, "case-exists")


# --- contacts -------------------------------------------------------------------------------------------------------------


def account(s, role, organization):
    body = {"login": "case-" + uuid.uuid4().hex[:12], "organization": organization, "grants": [{"role": role, "organization": organization}]}
    return s.call("POST", "/v1/accounts", {"account": body, "password": PASSWORD}, token=s.login("admin")).ok()


@story("nobody is in the campaign without all contacts; when one loses the right to come, a task to name another opens at once")
def contacts(s):
    publish(s, "nx", shipped("nuanxin-care"))
    r = enter(s, special=True)
    town, village = account(s, "ROLE_STAFF", TOWN), account(s, "ROLE_STAFF", VILLAGE)
    c = open_case(s, "nx", r, facts=facts(ground="bereaved", alone="true"),
                  documents=[{"kind": "certificate", "uri": "https://files.example.org/c", "sha256": "2" * 64}]).ok()
    s.village.act(c, "confirm").ok()
    p = s.town.act(c, "approve").refused(422, "contact-missing")
    assert "township-contact" in p["detail"], p

    def name(role, **who):
        return s.clerk.post(f"/v1/cases/{c['id']}:setContact", {"contact": {"role": role, **who}})

    name("neighbour", name="张三").refused(422, "contact-role-unknown")
    name("village-contact", account=str(uuid.uuid4())).refused(422, "contact-level")
    name("township-contact", account=village["id"]).refused(422, "contact-level")
    wait_until("care knows the accounts", lambda: name("township-contact", account=town["id"]).status == 200, 20)
    wait_until("care knows the accounts", lambda: name("village-contact", account=village["id"]).status == 200, 20)
    name("family-doctor", name="王医生", phone="13900000001").ok()
    name("green-channel", name="县人民医院").ok()
    helped = s.town.act(c, "approve").ok()
    expect("helped", (helped["stage"], helped["granted"], len(helped["contacts"])), ("helped", "0", 4))
    s.call("POST", f"/v1/accounts/{village['id']}:disable", token=s.login("admin")).ok()
    wait_until("a task to name another", lambda: [t["stage"] for t in s.clerk.tasks_of(c) if t["kind"] == "CONTACT"] == ["village-contact"], 20)
    expect("without", sorted(x["role"] for x in s.clerk.case(c)["contacts"]), ["family-doctor", "green-channel", "township-contact"])
    s.clerk.post(f"/v1/cases/{c['id']}:endContact", {"role": "family-doctor"}).ok()
    expect("tasks", sorted(t["stage"] for t in s.county.tasks_of(c) if t["kind"] == "CONTACT"), ["family-doctor", "village-contact"])
    another = account(s, "ROLE_STAFF", VILLAGE)
    wait_until("care knows the account", lambda: name("village-contact", account=another["id"]).status == 200, 20)
    expect("done", [t["stage"] for t in s.county.tasks_of(c) if t["kind"] == "CONTACT"], ["family-doctor"])
    s.clerk.post(f"/v1/recipients/{r['id']}:erase", {"purpose": "本人要求"}).refused(403, "permission-denied")
    s.call("POST", f"/v1/recipients/{r['id']}:erase", {"purpose": "本人要求"}, token=s.login("admin")).refused(409, "case-open")


# --- worklists, handing over, who is gone --------------------------------------------------------------------------------------


@story("what is overdue goes up, level by level, and stands first on the county's list")
def overdue(s):
    r = enter(s, special=True)
    c = claim(s, r)
    mine = lambda: s.county.tasks_of(c, overdue=True)
    expect("in time", mine(), [])
    s.advance(16 * DAY)
    wait_until("overdue, and gone up", lambda: [t["escalations"] for t in mine()] not in ([], [0]), 20)
    wait_until("as far as it goes", lambda: mine()[0]["organization"] in (COUNTY, CITY, "43"), 20)
    due = [t["dueTime"] for t in s.county.tasks() if "dueTime" in t]
    expect("in order", due, sorted(due))
    task = mine()[0]
    s.county.post(f"/v1/tasks/{task['id']}:complete").refused(422, "task-not-by-hand")
    s.village.act(c, "confirm").ok()
    s.county.post(f"/v1/tasks/{task['id']}:assign", {"account": ""}).refused(409, "task-done")


@story("a case is offered to another organisation, which takes it or does not; an account is let in for hours, and the audit says so")
def handing_over(s):
    r = enter(s, special=True)
    c = claim(s, r)
    next_village = Office(s, "staff", NEXT_VILLAGE)
    next_village.post(f"/v1/cases/{c['id']}:answerTransfer", {"accepted": True}).refused(404, "not-found")
    s.clerk.post(f"/v1/cases/{c['id']}:answerTransfer", {"accepted": True}).refused(422, "transfer-not-asked")
    offered = s.clerk.post(f"/v1/cases/{c['id']}:transfer", {"organization": NEXT_VILLAGE, "reason": "已搬家"}).ok()
    expect("offered", offered["transferTo"], NEXT_VILLAGE)
    expect("asked", [t["kind"] for t in next_village.tasks_of(c)], ["TRANSFER"])
    next_village.post(f"/v1/cases/{c['id']}:answerTransfer", {"accepted": False}).refused(422, "reason-missing")
    taken = next_village.post(f"/v1/cases/{c['id']}:answerTransfer", {"accepted": True}).ok()
    expect("taken", (taken["organization"], taken.get("transferTo", "")), (NEXT_VILLAGE, ""))
    expect("and what is to be done", [(t["kind"], t["organization"]) for t in next_village.tasks_of(c)], [("STAGE", NEXT_VILLAGE)])
    s.clerk.get(f"/v1/cases/{c['id']}").refused(404, "not-found")
    looking = s.login("admin")
    far = account(s, "ROLE_STAFF", "430103")
    token = s.call("POST", "/v1/sessions", {"login": far["login"], "password": PASSWORD}).ok()["token"]
    reveal = lambda: s.call("POST", f"/v1/cases/{c['id']}:reveal", {"purpose": "会诊"}, token=token)
    reveal().refused(404, "not-found")
    grant = {"account": far["id"], "reason": "跨县会诊", "hours": 2}
    wait_until("care knows the account", lambda: s.call("POST", f"/v1/cases/{c['id']}:grantAccess", grant, token=looking).status == 200, 20)
    expect("opened", reveal().ok()["value"]["id"], c["id"])
    rows = json.loads(s.cli("audit", "care", "--json", "--set", f"subject={c['id']}").stdout)["entries"]
    loud = [e for e in rows if "TEMPORARY ACCESS" in e.get("purpose", "")]
    expect("told loudly", len(loud), 2)
    s.advance(3 * 3600)
    token = s.call("POST", "/v1/sessions", {"login": far["login"], "password": PASSWORD}).ok()["token"]
    reveal().refused(404, "not-found")


@story("who dies is granted nothing more: what is open ends, what is reserved goes back, what was put up is still paid")
def gone(s):
    r = enter(s, special=True)
    waiting, decided = to_county(s, claim(s, r, 5)), to_county(s, claim(s, r, 6))
    s.county.act(decided, "approve").ok()
    s.clerk.s.call("PATCH", f"/v1/recipients/{r['id']}", {"state": "DECEASED"}, token=s.clerk.token).ok()
    wait_until("ended", lambda: s.county.case(waiting)["state"] == "ENDED", 20)
    expect("still paid", (s.county.case(decided)["state"], s.county.case(decided)["stage"]), ("OPEN", "payment"))
    open_case(s, "hc", r, facts=stay()).refused(422, "recipient-not-active")
    expect("no tasks", s.county.tasks_of(waiting), [])


@story("what is reserved and not paid in time is given back, with the days that it used")
def runs_out(s):
    r = enter(s, special=True)
    c = to_county(s, claim(s, r, 7))
    before = s.books.balance(s.hospital_budget)
    s.county.act(c, "approve").ok()
    s.advance(61 * DAY)
    wait_until("ended", lambda: s.county.case(c)["state"] == "ENDED", 20)
    assert s.books.balance(s.hospital_budget)[4] >= before[4], (before, s.books.balance(s.hospital_budget))
    expect("days", s.rows("care", f"SELECT used FROM care_cap_use WHERE holder = '{r['id']}'"), [(0,)])
    expect("payments", s.rows("care", f"SELECT state FROM care_payment WHERE case_id = '{c['id']}'"), [(6,)])


@story("every decision done again comes to the same, and the books are in order")
def replay(s):
    seen, after = 0, ""
    while True:
        page = json.loads(s.cli("call", "ReplayDecisions", json.dumps({"after": after, "limit": 10}), "--json").stdout)
        seen += page.get("replayed", 0)
        expect("different", page.get("different", []), [])
        after = page.get("last", "")
        if not after:
            break
    expect("all of them", seen, s.rows("care", "SELECT COUNT(*) FROM care_decision")[0][0])
    assert seen > 5, seen
    check_books(s)
    for amount, case_id in s.rows("care", "SELECT reserved, id FROM care_case"):
        expect("reserved", amount, s.rows("care", "SELECT COALESCE(SUM(amount), 0) FROM care_decision WHERE state IN (1, 4) "
                                                  f"AND case_id = '{case_id}'")[0][0])


main(scene())
