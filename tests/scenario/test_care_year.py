#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One year of one county, 2026, by those who work in its villages, townships, in the county, the city and the province, and an
insurer: every programme that is shipped, to its end. At last all is counted again from the rows, and every decision done again."""
import contextlib
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.agencies import Agency, taken_in  # noqa: E402
from support.care import CITY, COUNTY, NEXT_VILLAGE, TOWN, VILLAGE  # noqa: E402
from support.county import (CSV, PROGRAMMES, PROVINCE, account, answered, ask, at, balance, batch_of, begin, ended, enter, facts,  # noqa: E402
                            fund, move, notice_of, notice_over, now, object_to, orders_of, papers, pay, payment_of, programmes_in_force,
                            shipped, staff, until, wait_stage)
from support.ledger import check_books, recount, rows_of  # noqa: E402
from support.oracle import Profile  # noqa: E402
from support.people import person  # noqa: E402
from support.stack import CARE, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_members  # noqa: E402

YUAN = 100
PURPOSES = ["hospital-care", "loan-interest", "three-combinations", "happiness-project", "housing", "maternity", "insurance", "childcare",
            "education-aid", "home-care"]


@contextlib.contextmanager
def scene():
    s = Stack(instances=CARE, clock=True, gateway_options=["--rate-scale=10000"])
    begin(s, "2026-01-05")
    with s:
        staff(s)
        s.cases = {}
        yield s


# --- winter ----------------------------------------------------------------------------------------------------------------


@story("January: seventeen programmes hold, the calendar is known, and the year's money goes from the province down to the county")
def money_comes(s):
    programmes_in_force(s)
    expect("all that is shipped", sorted(p["id"] for p in s.clerk.all("/v1/programmes", "programmes") if p["current"]), PROGRAMMES)
    s.grant = fund(s.treasury, "GRANT", "2026年省级计生专项资金")
    source, s.at = account(s.treasury, s.grant, "SOURCE"), {}
    for purpose in PURPOSES:
        for place in (PROVINCE, CITY, COUNTY):
            s.at[purpose, place] = account(s.treasury, s.grant, "BUDGET", purpose, place)
        # 57.5 million yuan in all, of which 51.66 million are passed on
        move(s.treasury, (source, s.at[purpose, PROVINCE], 575_000_000), (s.at[purpose, PROVINCE], s.at[purpose, CITY], 516_600_000)).ok()
        down = 4_000 * YUAN if purpose == "education-aid" else 1_000_000 * YUAN
        move(s.city_cashier, (s.at[purpose, CITY], s.at[purpose, COUNTY], down)).ok()
    expect("left at the province", sum(balance(s.treasury, s.at[p, PROVINCE]) for p in PURPOSES), 5_750_000_000 - 5_166_000_000)
    move(s.cashier, (s.at["housing", CITY], s.at["housing", COUNTY], 1)).refused(422, "account-unknown")
    move(s.city_cashier, (s.at["housing", CITY], s.at["housing", COUNTY], 1), (s.at["housing", CITY], s.at["housing", COUNTY], 900_000_000)).refused(
        422, "budget-overdrawn")
    expect("none of the two", balance(s.city_cashier, s.at["housing", CITY]), 416_600_000)


@story("January: those whom the programmes are for are entered, and insured by a list, ¥150 each")
def persons_are_entered(s):
    made = make_members(s, s.login("admin"), [person(90001, VILLAGE), person(90002, VILLAGE)], VILLAGE)
    s.members = [m["id"] for m in made]
    wait_until("care knows the members", lambda: s.rows("care", f"SELECT 1 FROM member WHERE id = '{s.members[-1]}'"))
    s.li = enter(s, "李秀英", special=True, member=s.members[0])
    s.wang = enter(s, "王大山", special=True)
    s.zhao, s.qian = enter(s, "赵春梅", special=True), enter(s, "钱有福", special=True)
    s.sun, s.zhou, s.wu = enter(s, "孙建国"), enter(s, "周志强"), enter(s, "吴桂兰")
    s.zheng = enter(s, "郑小妹")
    s.zheng_man = enter(s, "郭青松", household=s.zheng["household"])
    s.feng, s.chen, s.chu, s.wei = enter(s, "冯玉珍"), enter(s, "陈国栋", special=True), enter(s, "褚红"), enter(s, "卫东")
    group = {"organization": CITY, "title": "2026 计生家庭意外伤害保险", "insurer": "某财产保险公司", "startDate": "2026-01-01",
             "endDate": "2026-12-31", "premium": "15000", "purpose": "insurance"}
    s.group = s.city_cashier.post("/v1/policyGroups", group).ok()
    insured = [s.li, s.wang, s.zhao, s.qian, s.chen]
    text = "身份证号,姓名\r\n" + "".join(f"{p['idNumber']},{p['name']}\r\n" for p in insured)
    for accepted in (len(insured), 0):
        begun = s.cashier.post(f"/v1/policyGroups/{s.group['id']}:import?organization={COUNTY}", text.encode(), CSV).ok()
        expect("insured", ended(s.cashier, begun).get("rowsAccepted", 0), accepted)
    spent = account(s.city_cashier, s.grant, "SPENT", "insurance", CITY, "insurance-claim")
    s.premium = move(s.city_cashier, (s.at["insurance", CITY], spent, len(insured) * 150 * YUAN)).ok()["transfers"][0]


@story("January: an insurer reads what happens to those who agreed to it, and to nobody else")
def insurer(s):
    s.insurer = Agency(s, Profile("claims-insurer", purposes=["accident-insurance"], privacy="personal", organizations=[COUNTY],
                                  types=["nuanxin.care.v1." + t for t in ("CaseOpened", "CaseMoved", "BenefitPaid")]))
    s.call("POST", f"/v1/members/{s.members[0]}/consents", {"purpose": "accident-insurance", "version": "2026-01"}, token=s.login("admin")).ok()


def read_by_insurer(s):
    """All that it may see from the beginning: [(type, data)]."""
    taken_in(s)
    cursor, events = "", []
    while True:
        answer = s.call("GET", f"/v1/events?maxEvents=500&cursor={cursor}", token=s.insurer.api_key).ok()
        events += [(e["type"].rsplit(".", 1)[1], e["data"]) for e in answer["events"]]
        cursor = answer["cursor"]
        if answer["through"] == answer["latest"]:
            return events


@story("February: 暖心行动: two contacts, a doctor and a hospital for each family; a list of visits at the spring festival; an illness is seen")
def care_campaign(s):
    until(s, "2026-02-02")
    c = ask(s, "nuanxin-care", s.li, facts=facts(ground="bereaved", alone="true"), documents=papers("certificate")).ok()
    s.cases["care"] = c
    s.village.act(c, "confirm").ok()
    s.town.act(c, "approve").refused(422, "contact-missing")

    def name(role, **who):
        return s.clerk.post(f"/v1/cases/{c['id']}:setContact", {"contact": {"role": role, **who}})

    name("township-contact", account=s.visitor.id).refused(422, "contact-level")
    for role, who in (("township-contact", s.town_visitor), ("village-contact", s.visitor)):
        wait_until("care knows the account", lambda role=role, who=who: name(role, account=who.id).status == 200)
    name("family-doctor", name="王医生", phone="13900000001").ok()
    name("green-channel", name="县人民医院").ok()
    expect("helped", s.town.act(c, "approve").ok()["stage"], "helped")
    text = "身份证号,姓名,日期\n" + "".join(f"{p['idNumber']},{p['name']},2026-02-13\n" for p in (s.li, s.wang, s.qian))
    begun = s.clerk.post(f"/v1/visits:import?organization={VILLAGE}&occasion=spring-festival", text.encode(), CSV).ok()
    expect("planned", ended(s.clerk, begun)["rowsAccepted"], 3)
    until(s, "2026-02-13")
    met = {"caseId": c["id"], "way": "HOME", "outcome": "MET", "device": "phone-1", "nonce": "n1", "occurredTime": now(s).isoformat(),
           "note": "精神尚好"}
    for repeated in (False, True):
        taken = s.visitor.post("/v1/visits:batchRecord", {"visits": [met]}).ok()["results"][0]
        expect("once", (taken.get("refusal", ""), taken.get("repeated", False)), ("", repeated))
    form = {"form": "monthly", "values": facts(spirits="low", illness="serious", income_lost="false", comforted="true", volunteer="true", insured="true")}
    expect("seen", s.clerk.post(f"/v1/cases/{c['id']}/assessments", form).ok()["found"], ["illness"])
    task = s.town.tasks(c, "MONITOR")[0]
    s.town.post(f"/v1/tasks/{task['id']}:complete", {"note": "已联系绿色通道"}).ok()
    s.admin.post(f"/v1/accounts/{s.visitor.id}:disable").ok()
    wait_until("the village's contact is gone: a task", lambda: [t["stage"] for t in s.clerk.tasks(c, "CONTACT")] == ["village-contact"])
    wait_until("another is named", lambda: name("village-contact", account=s.clerk.id).status == 200)
    expect("and done", s.county.tasks(c, "CONTACT"), [])
    s.clerk.act(c, "to-self-help", facts=facts(self_help="参加合唱队")).ok()
    expect("helps others", s.clerk.act(c, "to-helping-others", facts=facts(helps_with="visits")).ok()["stage"], "helping-others")


def stay(days, admitted, **more):
    return facts(**{"hospital": "县人民医院", "hospital_level": 2, "public_hospital": "true", "admitted": admitted, "discharged": admitted, "days": days,
                    **more})


def hospital(s, who, days, admitted, **more):
    """Up to the county's table."""
    c = ask(s, "hospital-care", who, facts=stay(days, admitted, **more), documents=papers("discharge-summary", "invoice")).ok()
    s.village.act(c, "confirm").ok()
    s.town.act(c, "confirm").ok()
    return c


@story("March: hospital care: sent back and put right, refused with reasons; of three payments one comes back and one is unknown at first")
def hospital_care(s):
    until(s, "2026-03-20")
    c = ask(s, "hospital-care", s.li, facts=stay(60, "2026-03-02"), documents=papers("invoice")).ok()
    s.cases["li-60"] = c
    s.village.act(c, "confirm").ok()
    s.village.act(c, "confirm").refused(403, "level-required")
    expect("sent back", s.town.act(c, "return", reason="缺出院小结").ok()["state"], "RETURNED")
    expect("put right", s.clerk.act(c, "resubmit", documents=papers("discharge-summary")).ok()["stage"], "village")
    s.village.act(c, "confirm").ok()
    s.town.act(c, "confirm").ok()
    expect("decided", s.county.act(c, "approve").ok()["granted"], str(6_000 * YUAN))
    refused = s.cases["wang-refused"] = hospital(s, s.wang, 9, "2026-03-05", public_hospital="false", hospital_level=1)
    no = s.county.act(refused, "approve").refused(422, "not-eligible")
    expect("why", sorted(v["rule"] for v in no["violations"]), ["hospital-level", "public-hospital"])
    s.county.act(refused, "refuse").refused(422, "reason-missing")
    expect("refused", s.county.act(refused, "refuse", reason="非公立二级以上医院").ok()["state"], "REFUSED")
    back, late = hospital(s, s.zhao, 20, "2026-03-03"), hospital(s, s.qian, 10, "2026-03-04")
    s.cases.update({"zhao-20": back, "qian-10": late})
    for case in (back, late):
        s.county.act(case, "approve").ok()
    batch = batch_of(s.cashier, "hospital-care")
    orders = {o["name"]: o for o in orders_of(s.cashier, batch)}
    said = answered(s.cashier, batch, (orders["李秀英"], "成功", ""), (orders["赵春梅"], "失败", "账户已销户"), (orders["钱有福"], "未知", ""))
    expect("the batch", (said["paid"], said["returned"], said["unknown"]), (1, 1, 1))
    expect("a task", [t["kind"] for t in s.county.tasks(back)], ["PAYMENT"])
    payment = payment_of(s.cashier, back)
    s.clerk.call("PATCH", f"/v1/recipients/{s.zhao['id']}", {"bankAccount": "6222020000009990018"}).refused(422, "bank-account-checksum")
    s.clerk.call("PATCH", f"/v1/recipients/{s.zhao['id']}", {"bankAccount": s.wei["account"]}).ok()
    s.cashier.post(f"/v1/payments/{payment['id']}:settle").ok()
    pay(s.cashier, "hospital-care")
    answered(s.cashier, batch, (orders["钱有福"], "成功", ""))
    for case in (c, back, late):
        expect("done", s.county.case(case)["state"], "DONE")
    check_books(s)


# --- spring ----------------------------------------------------------------------------------------------------------------


def loan(principal, began, rate=480):
    return {"facts": facts(lender="农村商业银行", use="planting", principal=principal * YUAN, rate=rate, began=began, days=365),
            "documents": papers("loan-contract", "interest-receipt")}


@story("April: loans: seven working days of notice; one objection is dismissed and costs its days, one is upheld; too large a loan is refused")
def loans(s):
    until(s, "2026-04-01")
    good, wrong = ask(s, "loan-interest", s.sun, **loan(50_000, "2026-01-10", 600)).ok(), ask(s, "loan-interest", s.zhou, **loan(30_000, "2026-02-01")).ok()
    large = ask(s, "loan-interest", s.wu, **loan(80_000, "2026-02-01")).ok()
    ask(s, "loan-interest", s.sun, **loan(10_000, "2026-03-01")).refused(409, "case-exists")
    expect("by the village", s.village.act(large, "refuse", reason="超过五万元").ok()["state"], "REFUSED")
    for case in (good, wrong):
        expect("on notice", s.village.act(case, "confirm").ok()["stage"], "notice")
    notice, other = notice_of(s, s.sun), notice_of(s, s.zhou)
    # from Thursday the 2nd on, without Qingming (the 4th to the 6th): the seventh working day is Monday the 13th
    expect("until", at(notice["endTime"]).strftime("%m-%d %H:%M"), "04-14 00:00")
    s.village.act(good, "over").refused(422, "notice-running")
    dismissed, upheld = object_to(s, notice, "未见其种植"), object_to(s, other, "贷款另作他用")
    until(s, "2026-04-15")
    s.village.act(good, "over").refused(422, "objection-open")
    s.village.post(f"/v1/objections/{upheld['id']}:settle", {"upheld": True, "reason": "经查属实"}).ok()
    s.village.post(f"/v1/objections/{dismissed['id']}:settle", {"upheld": False, "reason": "现场核实无误"}).ok()
    expect("refused", s.county.case(wrong)["state"], "REFUSED")
    later = notice_of(s, s.sun)
    assert at(later["endTime"]) > now(s), later
    notice_over(s, later, s.county, good)
    s.town.act(good, "confirm").ok()
    expect("5 % of it, not 6", s.county.act(good, "approve").ok()["granted"], str(2_500 * YUAN))
    pay(s.cashier, "loan-interest")
    expect("done", s.county.case(good)["state"], "DONE")
    s.cases.update({"sun-loan": good, "zhou-loan": wrong, "wu-loan": large})


@story("April to June: a 三结合 project, a mother who works, a home made safe and one given up: on notice together, decided, paid when they are due")
def projects(s):
    projects = {
        "three-combinations": (s.wu, facts(ground="low-income", project="油茶种植", cost=8_000 * YUAN), papers("plan")),
        "happiness-project": (s.zheng, facts(ground="illness", project="养蜂", needed=12_000 * YUAN), papers("plan", "agreement")),
        "housing-project": (s.chen, facts(ground="special", home="grade-d", works="rebuild"), papers("survey", "photos-before")),
    }
    made = {p: ask(s, p, who, facts=f, documents=d).ok() for p, (who, f, d) in projects.items()}
    made["left"] = ask(s, "housing-project", s.feng, facts=facts(ground="low-income", home="grade-c", works="repair"), documents=papers("survey", "photos-before")).ok()
    for case in made.values():
        s.village.act(case, "confirm").ok()
    notice_over(s, notice_of(s, s.chen), s.county, *made.values())
    for p in ("three-combinations", "housing-project", "left"):
        s.town.act(made[p], "confirm").ok()
    s.village.act(made["happiness-project"], "approve").refused(403, "level-required")
    granted = {p: s.county.act(case, "approve").ok()["granted"] for p, case in made.items()}
    expect("half of it, ¥10,000 at most, a fixed sum", granted,
           {"three-combinations": "400000", "happiness-project": "1000000", "housing-project": "3000000", "left": "1000000"})
    held = balance(s.cashier, s.at["housing", COUNTY])
    expect("given up", s.county.act(made["left"], "given-up", reason="随子女搬迁").ok()["state"], "ENDED")
    expect("and given back", balance(s.cashier, s.at["housing", COUNTY]), held + 1_000_000)
    pay(s.cashier, "happiness-project")
    expect("she works", s.county.case(made["happiness-project"])["stage"], "rolling")
    until(s, "2026-06-08")
    for p in ("three-combinations", "housing-project"):
        s.county.act(made[p], "inspected", facts=facts(inspected="2026-06-05")).refused(403, "decided-before")
        s.inspector.act(made[p], "inspected", facts=facts(inspected="2026-06-05")).ok()
        pay(s.cashier, p)
        expect("done", s.county.case(made[p])["state"], "DONE")
    made["housing-again"] = ask(s, "housing-project", s.chen, facts=facts(ground="special", home="grade-d", works="repair"), documents=papers("survey", "photos-before")).ok()
    s.cases.update(made)


@story("June: maternity support: a household's cap holds for whoever of it asks")
def maternity(s):
    ask_for = lambda who, child, born: ask(s, "maternity-support", who, facts=facts(ground="low-income", born=born, child=child),
                                           documents=papers("birth-certificate")).ok()
    first, again = ask_for(s.zheng, "third", "2026-05-20"), ask_for(s.zheng_man, "third", "2026-05-20")
    for case in (first, again):
        s.village.act(case, "confirm").ok()
    expect("granted", s.town.act(first, "approve").ok()["granted"], str(5_000 * YUAN))
    assert "once-a-year" in s.town.act(again, "approve").refused(422, "cap-reached")["detail"]
    s.town.act(again, "refuse", reason="同一家庭本年度已发放").ok()
    pay(s.cashier, "maternity-support")
    expect("done", s.county.case(first)["state"], "DONE")
    s.cases.update({"maternity": first, "maternity-again": again})


@story("June: claims: the insurer sees that of who agreed to it, asks for papers, pays; the other's it declines, and never saw")
def claims(s):
    made = {}
    for name, who, kind in (("agreed", s.li, "illness"), ("silent", s.wang, "accident")):
        c = made[name] = ask(s, "insurance-claim", who, consent=True, facts=facts(kind=kind, occurred="2026-03-02"), documents=papers("proof")).ok()
        s.village.act(c, "confirm").ok()
        s.county.act(c, "report", facts=facts(reference="PICC-" + name)).ok()
    early = ask(s, "insurance-claim", s.qian, consent=True, facts=facts(kind="illness", occurred="2025-12-31"), documents=papers("proof")).ok()
    ask(s, "insurance-claim", s.qian, facts=facts(kind="illness", occurred="2026-02-01"), documents=papers("proof")).refused(422, "consent-missing")
    s.village.act(early, "confirm").ok()
    s.county.act(early, "report", facts=facts(reference="PICC-3")).refused(422, "not-eligible")
    s.county.act(early, "refuse", reason="事故日不在保险期内").ok()
    seen = read_by_insurer(s)
    assert {d.get("person") for _, d in seen} == {s.members[0]}, seen
    reported = [d for t, d in seen if t == "CaseMoved" and d.get("stage") == "insurer"]
    expect("reported", [d["caseId"] for d in reported], [made["agreed"]["id"]])
    s.county.act(made["agreed"], "papers", reason="缺发票").ok()
    s.clerk.act(made["agreed"], "resubmit", documents=papers("invoice")).ok()
    s.village.act(made["agreed"], "confirm").ok()
    s.county.act(made["agreed"], "report", facts=facts(reference="PICC-agreed")).ok()
    payout = {"reference": "PAY-1", "amount": "81600", "date": "2026-06-20"}
    for _ in range(2):
        s.cashier.post(f"/v1/cases/{made['agreed']['id']}/payouts", payout).ok()
    s.cashier.post(f"/v1/cases/{made['agreed']['id']}/payouts", {**payout, "amount": "81601"}).refused(409, "payout-differs")
    s.cashier.post(f"/v1/cases/{early['id']}/payouts", payout).refused(422, "not-insured")
    expect("settled", s.county.act(made["agreed"], "settled").ok()["state"], "DONE")
    expect("declined", s.county.act(made["silent"], "declined", reason="既往伤情").ok()["state"], "REFUSED")
    figures = s.city_cashier.get(f"/v1/policyGroups/{s.group['id']}/figures").ok()
    expect("108.8 %", [int(figures[k]) for k in ("insured", "premiums", "claims", "payouts", "lossRatioBasisPoints")], [5, 75000, 1, 81600, 10880])
    s.cases.update(made, early=early)


if __name__ == "__main__":
    main(scene())
