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
from support.benefit import by_hand  # noqa: E402
from support.care import CITY, COUNTY, NEXT_VILLAGE, TOWN, VILLAGE  # noqa: E402
from support.county import (CSV, PROGRAMMES, PROVINCE, account, answered, ask, at, balance, batch_of, begin, ended, enter, facts,  # noqa: E402
                            fund, move, notice_of, notice_over, now, object_to, orders_of, papers, pay, payment_of, programmes_in_force,
                            shipped, staff, wait_stage)
from support.county import until as come  # noqa: E402
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
    s.read, s.seen = "", []
    s.call("POST", f"/v1/members/{s.members[0]}/consents", {"purpose": "accident-insurance", "version": "2026-01"}, token=s.login("admin")).ok()


def read_by_insurer(s):
    """What came since it read the last time, to what it has kept: (type, data)."""
    taken_in(s)
    while True:
        answer = s.call("GET", f"/v1/events?maxEvents=500&cursor={s.read}", token=s.insurer.api_key).ok()
        s.seen += [(e["type"].rsplit(".", 1)[1], e["data"]) for e in answer["events"]]
        s.read = answer["cursor"]
        if answer["through"] == answer["latest"]:
            return s.seen


def until(s, date):
    read_by_insurer(s)  # as it does each day
    come(s, date)


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


@story("March: the hospital had been entered wrongly: what was refused is opened again, put right, and paid")
def opened_again(s):
    c = s.cases["wang-refused"]
    s.town.act(c, "reopen").refused(403, "level-required")
    expect("open", s.county.act(c, "reopen", reason="医院等级登记有误").ok()["stage"], "village")
    s.village.act(c, "return", reason="请更正医院信息").ok()
    s.clerk.act(c, "resubmit", facts=facts(hospital_level=2, public_hospital="true")).ok()
    s.village.act(c, "confirm").ok()
    s.town.act(c, "confirm").ok()
    expect("granted", s.county.act(c, "approve").ok()["granted"], str(900 * YUAN))
    pay(s.cashier, "hospital-care")
    expect("done", s.county.case(c)["state"], "DONE")


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


# --- summer ----------------------------------------------------------------------------------------------------------------


@story("July: a day in hospital is worth ¥120 from now on; what runs stays at ¥100; the year's ninety days are counted across both")
def rule_change(s):
    until(s, "2026-06-25")
    running = hospital(s, s.li, 40, "2026-06-10")
    until(s, "2026-07-01")
    document = shipped("hospital-care")
    document["terms"][0]["perUnit"]["amount"] = 12000
    for _ in range(2):
        expect("a second version", s.admin.post("/v1/programmes/hospital-care/versions", document).ok()["version"], 2)
    s.admin.post("/v1/programmes/hospital-care:activate", {"version": 2}).ok()
    s.july = now(s)
    more, fresh = hospital(s, s.li, 3, "2026-07-03"), [hospital(s, who, days, "2026-07-02") for who, days in ((s.zhao, 5), (s.wang, 4), (s.chen, 2))]
    expect("versions", [s.county.case(c)["version"] for c in (running, more, *fresh)], [1, 2, 2, 2, 2])
    expect("thirty days are left", s.county.act(running, "approve").ok()["granted"], str(3_000 * YUAN))
    no = s.county.act(more, "approve").refused(422, "cap-reached")
    for word in ("days-a-year", "hospital-care", "2", "90"):
        assert word in no["detail"], no
    s.county.act(more, "refuse", reason="本年度90天已满").ok()
    expect("by the new rule", [s.county.act(c, "approve").ok()["granted"] for c in fresh], ["60000", "48000", "24000"])
    pay(s.cashier, "hospital-care")
    s.cases.update({"li-30": running, "li-none": more, "zhao-5": fresh[0], "wang-4": fresh[1], "chen-2": fresh[2]})


@story("July to September: home care month by month, each once; hours of help, ordered, done, confirmed and rated by the person herself")
def at_home(s):
    c = ask(s, "home-care-subsidy", s.qian, facts=facts(care="partly"), documents=papers("assessment")).ok()
    s.village.act(c, "confirm").ok()
    s.town.act(c, "confirm").ok()
    s.county.act(c, "approve").refused(422, "fact-invalid")
    expect("a month", s.county.act(c, "approve", facts=facts(month="2026-07-01")).ok()["granted"], str(200 * YUAN))
    pay(s.cashier, "home-care-subsidy")
    until(s, "2026-08-03")
    s.town.act(c, "next-month", facts=facts(month="2026-07-31")).refused(422, "cap-reached")
    expect("the next", s.town.act(c, "next-month", facts=facts(month="2026-08-01")).ok()["granted"], str(400 * YUAN))
    pay(s.cashier, "home-care-subsidy")
    expect("no more", s.town.act(c, "no-more", reason="已入住养老机构").ok()["state"], "DONE")
    hours = fund(s.treasury, "DONATION", "居家服务捐赠", unit="service-hour", purposes=["home-services"], donor="某家政公司")
    s.hours = account(s.treasury, hours, "BUDGET", "home-services", COUNTY)
    move(s.treasury, (account(s.treasury, hours, "SOURCE"), s.hours, 500)).ok()
    order = lambda n: ask(s, "service-order", s.li, facts=facts(service="bathing", wanted="2026-08-12", hours=n)).ok()
    done, changed, third = order(8), order(8), order(1)
    provider = facts(provider="暖心家政")
    for case in (done, changed):
        s.town.act(case, "accept", facts=provider).ok()
    s.town.act(third, "accept", facts=provider).refused(422, "cap-reached")
    s.clerk.act(changed, "cancel", reason="改期").ok()
    expect("room again", s.town.act(third, "accept", facts=provider).ok()["stage"], "accepted")
    token = s.call("POST", "/v1/sessions:exchange", {"member": s.members[0]}, token=s.api_key).ok()["token"]
    herself = lambda case, action, **more: s.call("POST", f"/v1/cases/{case['id']}:act", {"action": action, **more}, token=token)
    s.clerk.act(done, "serve").ok()
    herself(done, "not-done", reason="未按时到达").ok()
    s.clerk.act(done, "serve").ok()
    expect("given", herself(done, "confirm").ok()["paid"], "8")
    expect("rated", herself(done, "rate", rating=5).ok()["rating"], 5)
    s.cases.update({"home-care": c, "order": done, "order-cancelled": changed, "order-open": third})


def aid(s, who, school):
    return ask(s, "education-aid", who, documents=papers("admission"), facts=facts(ground="low-income", school=school, school_name="长沙某校")).ok()


@story("September: education aid: the state's money first, then a donation that is for nothing else, unless the donor agrees")
def education(s):
    until(s, "2026-09-03")
    s.gift = fund(s.treasury, "DONATION", "金秋助学专项捐赠", donor="某企业", purposes=["education-aid"])
    given, at_county = account(s.treasury, s.gift, "SOURCE"), account(s.treasury, s.gift, "BUDGET", "education-aid", COUNTY)
    s.given = move(s.treasury, (given, at_county, 20_000 * YUAN)).ok()["transfers"][0]
    other = {"kind": "BUDGET", "fund": s.gift["id"], "purpose": "home-care", "organization": COUNTY}
    s.treasury.post("/v1/ledgerAccounts", other).refused(422, "purpose-restricted")
    s.treasury.post(f"/v1/funds/{s.gift['id']}:recordConsent", {"purpose": "home-care", "reference": "捐赠人来函〔2026〕7号"}).ok()
    move(s.cashier, (at_county, s.treasury.post("/v1/ledgerAccounts", other).ok(), 1_000 * YUAN)).ok()
    made = {"chu-university": aid(s, s.chu, "university"), "wei-school": aid(s, s.wei, "high-school"), "zhou-college": aid(s, s.zhou, "college")}
    for case in made.values():
        s.village.act(case, "confirm").ok()
    notice_over(s, notice_of(s, s.zhou), s.county, *made.values())
    year = lambda progress: facts(school_year="2026-09-01", progress=progress)
    s.county.act(made["zhou-college"], "approve", facts=year("failed")).refused(422, "not-eligible")
    s.county.act(made["zhou-college"], "refuse", reason="上学年不合格").ok()
    expect("granted", [s.county.act(made[c], "approve", facts=year("first-year")).ok()["granted"] for c in ("chu-university", "wei-school")],
           ["500000", "200000"])
    expect("the grant first, the rest of the gift", (balance(s.cashier, s.at["education-aid", COUNTY]), balance(s.cashier, at_county)),
           (0, (20_000 - 1_000 - 3_000) * YUAN))
    pay(s.cashier, "education-aid")
    s.county.act(made["chu-university"], "renew", facts=year("passed")).refused(422, "cap-reached")
    expect("graduated", s.county.act(made["wei-school"], "graduated").ok()["state"], "DONE")
    s.cases.update(made)


@story("September: a grant to two nurseries, decided by the province: what is objected to one is upheld, and it is not paid")
def nurseries(s):
    wanted = {"facts": facts(name="示范托育园", account="6222020000000000000", filed="true", places=25, fee=180000), "documents": papers("filing", "fire-safety")}
    first, second = (ask(s, "childcare-grant", None, clerk, place, **wanted).ok() for clerk, place in ((s.clerk, VILLAGE), (s.clerk2, NEXT_VILLAGE)))
    before, notices = balance(s.treasury, s.at["childcare", PROVINCE]), []
    for case in (first, second):
        s.county.act(case, "confirm").ok()
        s.city.act(case, "confirm").ok()
        expect("¥10,000 a place", s.province.act(case, "approve").ok()["granted"], "25000000")
        notices.append(max(s.call("GET", f"/v1/notices?organization={PROVINCE}").ok()["notices"], key=lambda n: n["id"]))
    expect("set aside", balance(s.treasury, s.at["childcare", PROVINCE]), before - 50_000_000)
    o = object_to(s, notices[0], "消防未验收")
    s.province.post(f"/v1/objections/{o['id']}:settle", {"upheld": True, "reason": "属实"}).ok()
    expect("refused", s.county.case(first)["state"], "REFUSED")
    expect("and given back", balance(s.treasury, s.at["childcare", PROVINCE]), before - 25_000_000)
    notice_over(s, notices[1], s.county, second)
    paid = pay(s.treasury, "childcare-grant")
    expect("one alone", (paid["payments"], paid["amount"]), (1, "25000000"))
    expect("done", s.county.case(second)["state"], "DONE")
    s.cases.update({"nursery-refused": first, "nursery": second})


# --- autumn ----------------------------------------------------------------------------------------------------------------


@story("October: other agencies are asked, and accept, decline, or it falls through; what the 12320 line heard is answered until it satisfies")
def referrals(s):
    until(s, "2026-10-12")
    refer = lambda p, who, **f: ask(s, p, who, consent=True, facts=facts(**f)).ok()
    made = {"referral-housing": refer("referral-housing", s.wang, wanted="public-rental", people=2),
            "referral-nursing-home": refer("referral-nursing-home", s.qian, care="partly"),
            "referral-jobs": refer("referral-jobs", s.wu, wanted="training"),
            "referral-refit": refer("referral-refit", s.chen, refit="alarm", owns="false")}
    for case in made.values():
        s.village.act(case, "confirm").ok()
    s.county.act(made["referral-refit"], "ask").refused(422, "not-eligible")
    s.county.act(made["referral-refit"], "return", reason="请补产权人同意").ok()
    s.clerk.act(made["referral-refit"], "resubmit", facts=facts(owns="true")).ok()
    s.village.act(made["referral-refit"], "confirm").ok()
    for case in made.values():
        expect("asked", s.county.act(case, "ask").ok()["stage"], "asked")
    expect("declined", s.county.act(made.pop("referral-jobs"), "declined", reason="名额已满").ok()["state"], "REFUSED")
    for case in made.values():
        s.county.act(case, "accepted", facts=facts(answer="已受理")).ok()
    expect("fell through", s.county.act(made["referral-nursing-home"], "fell-through", reason="无床位").ok()["state"], "ENDED")
    for p in ("referral-housing", "referral-refit"):
        expect("done", s.county.act(made[p], "finished").ok()["state"], "DONE")
    letter = ask(s, "requests", None, facts=facts(way="hotline", matter="complaint", text="补贴迟迟未到")).ok()
    s.county.act(letter, "assign").ok()
    for answer in ("已催办", "已发放"):
        s.town.act(letter, "answer", facts=facts(answer=answer)).ok()
        if answer == "已催办":
            s.clerk.act(letter, "not-satisfied", reason="仍未到账").ok()
    expect("rated", s.clerk.act(letter, "rate", rating=4).ok()["state"], "DONE")
    other = ask(s, "requests", None, facts=facts(way="letter", matter="advice", text="路灯坏了")).ok()
    expect("not ours", s.county.act(other, "not-ours", reason="转镇政府").ok()["state"], "REFUSED")


@story("October: one moves to the next village, and what runs is handed over; one leaves for good, and what was set aside goes back")
def leavers(s):
    project = ask(s, "three-combinations", s.feng, facts=facts(ground="low-income", project="养鸡", cost=6_000 * YUAN), documents=papers("plan")).ok()
    s.village.act(project, "confirm").ok()
    notice_over(s, notice_of(s, s.feng), s.county, project)
    s.town.act(project, "confirm").ok()
    before = balance(s.cashier, s.at["three-combinations", COUNTY])
    expect("reserved", s.county.act(project, "approve").ok()["reserved"], "300000")
    jobs = ask(s, "referral-jobs", s.feng, consent=True, facts=facts(wanted="placement")).ok()
    s.clerk.call("PATCH", f"/v1/recipients/{s.feng['id']}", {"state": "LEFT"}).ok()
    for case in (project, jobs):
        wait_stage(s.county, case, "ENDED")
    expect("given back", balance(s.cashier, s.at["three-combinations", COUNTY]), before)
    expect("no tasks are left", s.county.tasks(project) + s.county.tasks(jobs), [])
    moving = s.cases["housing-again"]
    s.clerk.post(f"/v1/cases/{moving['id']}:transfer", {"organization": NEXT_VILLAGE, "reason": "已搬家"}).ok()
    taken = s.clerk2.post(f"/v1/cases/{moving['id']}:answerTransfer", {"accepted": True}).ok()
    expect("handed over", taken["organization"], NEXT_VILLAGE)
    s.clerk.call("PATCH", f"/v1/recipients/{s.chen['id']}", {"organization": NEXT_VILLAGE}).refused(404)
    s.town_visitor.call("PATCH", f"/v1/recipients/{s.chen['id']}", {"organization": NEXT_VILLAGE}).ok()
    expect("withdrawn there", s.clerk2.act(moving, "withdraw").ok()["state"], "WITHDRAWN")
    s.cases.update({"feng-project": project, "feng-jobs": jobs})


@story("November: 李秀英 dies: what is open ends, what the bank has already is paid, and nothing is granted any more")
def death(s):
    until(s, "2026-11-16")
    home = ask(s, "home-care-subsidy", s.li, facts=facts(care="fully"), documents=papers("assessment")).ok()
    s.village.act(home, "confirm").ok()
    s.town.act(home, "confirm").ok()
    s.county.act(home, "approve", facts=facts(month="2026-10-01")).ok()
    batch = batch_of(s.cashier, "home-care-subsidy")
    orders = orders_of(s.cashier, batch)
    ask(s, "referral-nursing-home", s.li, consent=True, facts=facts(care="fully")).ok()
    expect("not served in thirty days: given up", s.county.case(s.cases["order-open"])["state"], "ENDED")
    held = balance(s.cashier, s.hours)
    order = ask(s, "service-order", s.li, facts=facts(service="meals", wanted="2026-11-20", hours=2)).ok()
    expect("set aside", s.town.act(order, "accept", facts=facts(provider="暖心家政")).ok()["reserved"], "2")
    s.clerk.call("PATCH", f"/v1/recipients/{s.li['id']}", {"state": "DECEASED"}).ok()
    wait_stage(s.county, s.cases["care"], "ENDED")
    wait_stage(s.county, order, "ENDED")
    expect("the hours are free again", balance(s.cashier, s.hours), held)
    ask(s, "requests", s.li, facts=facts(way="visit", matter="help", text="求助")).refused(422, "recipient-not-active")
    answered(s.cashier, batch, *((o, "paid", "") for o in orders))
    expect("paid, and at its end", [s.county.case(home)[k] for k in ("paid", "state")], ["40000", "ENDED"])
    expect("nothing is to be done for her", [t for t in s.county.tasks() if t["caseId"] in (home["id"], s.cases["care"]["id"])], [])
    s.cases["home-care-last"] = home


@story("December: what was paid twice is reversed, by a transfer the other way; who repaid is done; the next year's calendar is known")
def reversal(s):
    until(s, "2026-12-21")
    wrong = next(t for t in transfers(s) if t["kind"] == "POST" and t["caseId"] == s.cases["zhao-5"]["id"])
    row = {"kind": "REVERSAL", "of": wrong["id"]}
    s.cashier.post("/v1/transfers", {"transfers": [row]}).refused(400)
    s.reversed = s.cashier.post("/v1/transfers", {"transfers": [{**row, "reason": "重复发放，已退回"}]}).ok()["transfers"][0]
    s.cashier.post("/v1/transfers", {"transfers": [{**row, "reason": "再次"}]}).refused(422, "transfer-settled")
    s.county.act(s.cases["happiness-project"], "repaid", facts=facts(repaid=1_000_000)).ok()
    expect("done", s.county.case(s.cases["happiness-project"])["state"], "DONE")
    calendar = {"year": 2027, "closed": ["2027-01-01"], "open": [], "source": "县里的年末安排"}
    s.admin.call("PUT", "/v1/workCalendars/2027", calendar).ok()
    until(s, "2026-12-28")
    last = aid(s, s.sun, "college")
    s.village.act(last, "confirm").ok()
    expect("over the new year", at(notice_of(s, s.sun)["endTime"]).strftime("%Y-%m-%d"), "2027-01-06")
    s.cases["on-notice"] = last


def transfers(s):
    """Each that the county's treasurer can see, once."""
    found = {}
    for a in s.cashier.all(f"/v1/ledgerAccounts?organization={COUNTY}", "accounts"):
        found.update({t["id"]: t for t in s.cashier.all(f"/v1/ledgerAccounts/{a['id']}/transfers", "transfers")})
    return list(found.values())


# --- at the end ------------------------------------------------------------------------------------------------------------

RESERVED, GIVEN, RETURNED, PUT_UP = 1, 2, 3, 4  # what became of a decision
DAY_US = 86_400_000_000


def cases_of(s):
    return s.county.all(f"/v1/cases?organization={COUNTY}", "cases")


@story("the end: each account's balance is what its transfers come to, now and in mid-year; the books are in order, and so is their chain")
def accounts_again(s):
    check_books(s)
    rows = rows_of(s)
    july = int(s.july.timestamp() * 1e6)
    for time, counted in (("", recount(rows)), ("?time=" + s.july.isoformat().replace("+", "%2B"), recount(rows, july))):
        for a in s.treasury.all(f"/v1/ledgerAccounts?organization={PROVINCE}", "accounts"):
            if time and int(s.rows("care", f"SELECT created_us FROM ledger_account WHERE id = '{a['id']}'")[0][0]) > july:
                continue
            told = s.treasury.get(f"/v1/ledgerAccounts/{a['id']}{time}").ok()
            totals = tuple(int(told[k]) for k in ("creditsPosted", "creditsPending", "debitsPosted", "debitsPending"))
            expect(f"account {a['id']} {time}", totals, counted.get(a["id"], (0, 0, 0, 0)))
            assert a["kind"] == "SOURCE" or int(told["available"]) == totals[0] - totals[2] - totals[3] >= 0, told
    store = ("--store", s.store_url("care")) if s.engine == "postgresql" else ()
    said = json.loads(s.cli("ledger", "verify", "--json", *store).stdout)
    expect("findings", (said["findings"], said["transfers"]), ([], len(rows)))


@story("the end: what each case was granted, has reserved and was paid is what was decided, and what the ledger and the payments have of it")
def cases_again(s):
    decisions = {}
    for case_id, amount, state in s.rows("care", "SELECT case_id, amount, state FROM care_decision"):
        decisions.setdefault(case_id, []).append((amount, state))
    by_id = {r[0]: r for r in s.rows("care", "SELECT id, kind, amount, of_id, case_id FROM ledger_transfer")}
    settled = {r[3]: r for r in by_id.values() if r[1] in (3, 4)}
    ledger = {}
    for id_, kind, amount, _, case_id in by_id.values():
        if kind == 2 and case_id:
            was = ledger.setdefault(case_id, [0, 0])
            end = settled.get(id_)
            was[0] += 0 if end else amount
            was[1] += end[2] if end and end[1] == 3 else 0
    cases = cases_of(s)
    expect("all of them", sorted(c["id"] for c in cases), sorted(r[0] for r in s.rows("care", "SELECT id FROM care_case")))
    without = {"nuanxin-care", "referral-nursing-home", "referral-jobs"}  # by a death, for want of a bed, and declined
    expect("to their end", {c["programme"] for c in cases if c["state"] == "DONE"}, set(PROGRAMMES) - without)
    expect("and these", without - {c["programme"] for c in cases if c["state"] in ("ENDED", "REFUSED")}, set())
    for c in cases:
        d = decisions.get(c["id"], [])
        counted = [sum(a for a, state in d if state in which) for which in ((RESERVED, GIVEN, PUT_UP), (RESERVED, PUT_UP), (GIVEN,))]
        expect(f"case {c['number']}", [int(c[k]) for k in ("granted", "reserved", "paid")], counted)
        expect(f"case {c['number']} in the ledger", ledger.get(c["id"], [0, 0]), counted[1:])
    paid = s.rows("care", "SELECT case_id, SUM(amount) FROM care_payment WHERE state = 3 GROUP BY case_id")
    expect("by payments", {i: int(n) for i, n in paid}, {c["id"]: int(c["paid"]) for c in cases if int(c["paid"]) and c["unit"] == "CNY"})
    for treasurer in (s.cashier, s.treasury):
        told = treasurer.all(f"/v1/payments?organization={treasurer.organization}", "payments")
        known = [r for r in s.rows("care", "SELECT id, path FROM care_payment") if f"/{treasurer.organization}/" in r[1]]
        expect("payments", sorted(p["id"] for p in told), sorted(r[0] for r in known))
    for batch, n, amount in s.rows("care", "SELECT batch, COUNT(*), SUM(amount) FROM care_payment_line GROUP BY batch"):
        b = s.treasury.get(f"/v1/paymentBatches/{batch}").ok()
        states = [r[0] for r in s.rows("care", f"SELECT state FROM care_payment_line WHERE batch = '{batch}'")]
        expect("batch", [b["payments"], int(b["amount"]), b["paid"], b["returned"], b["unknown"], b["state"]],
               [n, int(amount), states.count(3), states.count(4), 0, "RECONCILED"])


@story("the end: steps, visits, notices and tasks that the API tells are those that there are")
def work_again(s):
    steps = dict(s.rows("care", "SELECT case_id, COUNT(*) FROM care_step GROUP BY case_id"))
    for c in cases_of(s):
        told = s.county.get(f"/v1/cases/{c['id']}/steps").ok()["steps"]
        expect("steps of " + c["number"], [x["n"] for x in told], list(range(1, steps[c["id"]] + 1)))
        visits = s.rows("care", f"SELECT id FROM care_visit WHERE case_id = '{c['id']}' AND done = 0")
        expect("visits of " + c["number"], sorted(v["id"] for v in s.county.all(f"/v1/visits?caseId={c['id']}", "visits")), sorted(r[0] for r in visits))
    standing = s.call("GET", f"/v1/notices?organization={PROVINCE}&pageSize=1000").ok()["notices"]
    expect("on notice", sorted(n["id"] for n in standing), sorted(r[0] for r in s.rows("care", "SELECT id FROM care_notice WHERE stands = 1")))
    expect("the one that began in December", len(standing), 1)
    objections = s.rows("care", "SELECT COUNT(*), SUM(upheld) FROM care_objection WHERE settled_us > 0")
    expect("objections", [int(n) for n in objections[0]], [3, 2])
    open_tasks = [r[0] for r in s.rows("care", "SELECT id FROM care_task WHERE done_us = 0")]
    expect("tasks", sorted(t["id"] for t in s.admin.all(f"/v1/tasks?organization={PROVINCE}", "tasks")), sorted(open_tasks))


@story("the end: what was used of each cap is the sum of what the decisions that stand used, and within its bound")
def caps_again(s):
    used, households = {}, dict(s.rows("care", "SELECT id, household FROM recipient"))
    stands = {r[0] for r in s.rows("care", f"SELECT id FROM care_decision WHERE state <> {RETURNED}")}
    documents = {(p, v): s.admin.get(f"/v1/programmes/{p}?version={v}").ok()["document"]
                 for p, v in s.rows("care", "SELECT programme, version FROM programme_version")}
    for c in cases_of(s):
        for d in s.county.post(f"/v1/cases/{c['id']}:reveal", {"purpose": "年终核对"}).ok().get("decisions", []):
            document = documents[c["programme"], d["version"]]
            caps = {cap["code"]: cap for cap in document.get("caps", [])}
            for u in d["outcome"].get("uses", []) if d["id"] in stands else []:
                person = c.get("recipient") or c["organization"]
                holder = households[person] if caps[u["cap"]].get("household") else person
                key = c["programme"], holder, u["cap"], u.get("period", "")
                used[key] = used.get(key, 0) + int(u["used"])
                assert used[key] <= int(caps[u["cap"]]["most"]), (key, used[key])
                if c["programme"] == "hospital-care":
                    expect("days by the version's rate", int(d["outcome"]["amount"]), int(u["used"]) * {1: 10000, 2: 12000}[d["version"]])
    rows = s.rows("care", "SELECT programme, holder, cap, period, used FROM care_cap_use WHERE used > 0")
    expect("used", {tuple(r[:4]): r[4] for r in rows}, {k: n for k, n in used.items() if n})
    expect("all of 李秀英's days", used["hospital-care", s.li["id"], "days-a-year", "2026-03-01"], 90)


def counted_figures(s, organization):
    """By programme: cases opened, granted, refused, paid, and the yuan paid."""
    counted, places = {}, {}
    refused = {r[0] for r in s.rows("care", "SELECT DISTINCT case_id FROM care_step WHERE action IN ('refuse', 'declined', 'not-ours', 'objection-upheld')")}
    for id_, programme, path, paid, unit in s.rows("care", "SELECT id, programme, path, paid, unit FROM care_case"):
        if f"/{organization}/" in path:
            places[id_] = programme
            f = counted.setdefault(programme, [0, 0, 0, 0, 0])
            f[0], f[2], f[3], f[4] = f[0] + 1, f[2] + (id_ in refused), f[3] + (paid > 0), f[4] + (paid if unit == "CNY" else 0)
    for (case_id,) in s.rows("care", "SELECT DISTINCT case_id FROM care_decision"):
        if case_id in places:
            counted[places[case_id]][1] += 1
    return counted


@story("the end: figures at each level are what a recount of the cases comes to, and say nothing of fewer than five")
def figures_again(s):
    for place in (PROVINCE, CITY, COUNTY, TOWN):
        counted = counted_figures(s, place)
        expect("programmes", sorted(counted), sorted(PROGRAMMES))

        def kept():
            rows = s.rows("care", f"SELECT programme, opened, granted, refused, paid, amount FROM care_figure WHERE organization = '{place}' AND year = 2026")
            return {r[0]: [int(n) for n in r[1:]] for r in rows}

        wait_until("all is counted", lambda: kept() == counted)
        for p, (opened, granted, refused, paid, amount) in counted.items():
            told = s.admin.get(f"/v1/programmes/{p}/figures?organization={place}&year=2026").ok()
            for name, n, cell in (("opened", opened, opened), ("granted", granted, granted), ("refused", refused, refused), ("amount", amount, paid)):
                hidden = name in told.get("suppressed", [])
                expect(f"{p} {name} at {place}", int(told[name]), 0 if hidden else n)
                assert hidden or not 0 < cell < 5, (p, name, told)
    expect("hospital care, in all", counted_figures(s, COUNTY)["hospital-care"], [9, 8, 2, 8, 14_220 * YUAN])
    told = s.city_cashier.get(f"/v1/policyGroups/{s.group['id']}/figures").ok()
    insured, payouts = s.rows("care", "SELECT COUNT(DISTINCT recipient) FROM policy"), s.rows("care", "SELECT COUNT(DISTINCT case_id), SUM(amount) FROM payout")
    expect("insurance", [int(told[k]) for k in ("insured", "premiums", "claims", "payouts")],
           [insured[0][0], insured[0][0] * 150 * YUAN, payouts[0][0], int(payouts[0][1])])


@story("the end: what everybody may read of each fund adds up to what was spent of it, and each of it comes from that fund")
def disclosed_again(s):
    spent, names = {}, {}
    for a in s.treasury.all(f"/v1/ledgerAccounts?organization={PROVINCE}", "accounts"):
        if a["kind"] == "SPENT":
            spent[a["fund"]] = spent.get(a["fund"], 0) + int(a["creditsPosted"]) - int(a["debitsPosted"])
    spent[s.grant["id"]] -= int(s.premium["amount"])
    for one, amount in spent.items():
        listed = s.call("GET", f"/v1/funds/{one}/disclosures?pageSize=1000").ok()["disclosures"]
        expect("in all", sum(int(d["amount"]) for d in listed), amount)
        for d in listed:
            names.setdefault((one, d["programme"], d["organization"]), []).append(d.get("nameMasked", ""))
    reached = {(f, p, o): set() for f, p, o in names}
    for f, p, o, who in s.rows("care", "SELECT fund, programme, organization, recipient FROM care_disclosure WHERE recipient <> ''"):
        reached.setdefault((f, p, o), set()).add(who)
    for key, told in names.items():
        masked = all("＊" in n for n in told)
        expect(f"names of {key}", masked or not any(told) or key[1] == "childcare-grant", True)
        if key[1] != "childcare-grant":
            expect(f"names of {len(reached[key])} of {key}", masked, len(reached[key]) >= 5)
    gone = s.reversed["of"]
    posts = [t for t in transfers(s) if t["kind"] == "POST" and t["id"] != gone]
    assert len(posts) > 15, posts
    funds = {}
    for t in posts:
        way = s.cashier.get(f"/v1/transfers/{t['id']}:trace").ok()
        expect("all of it", sum(int(p["amount"]) for p in way["parts"]), int(t["amount"]))
        funds[way["fund"]["id"]] = funds.get(way["fund"]["id"], 0) + int(t["amount"])
    expect("of the gift", funds[s.gift["id"]], 3_000 * YUAN)
    forward = s.treasury.get(f"/v1/transfers/{s.given['id']}:trace?forward=true").ok()["parts"]
    ends = [(p["way"][-1], int(p["amount"])) for p in forward]
    expect("whom the gift reached", sum(n for t, n in ends if t["kind"] == "POST"), 3_000 * YUAN)


@story("the end: the insurer has read what is about who agreed, and of nobody else")
def insurer_again(s):
    seen = read_by_insurer(s)
    mine = {r[0] for r in s.rows("care", f"SELECT id FROM care_case WHERE recipient = '{s.li['id']}'")}
    expect("cases", {d["caseId"] for _, d in seen}, mine)
    expect("opened", len([1 for t, _ in seen if t == "CaseOpened"]), len(mine))


# --- replay ----------------------------------------------------------------------------------------------------------------


def replay(s):
    r = s.cli("programme", "replay", "--json", check=False)
    answer = json.loads(r.stdout)
    expect("the exit status", r.returncode, 1 if answer["different"] else 0)
    return answer


@story("each decision worked out by hand, from the documents and the facts that it tells, comes to the same")
def worked_out(s):
    documents = {(p, v): s.admin.get(f"/v1/programmes/{p}?version={v}").ok()["document"]
                 for p, v in s.rows("care", "SELECT programme, version FROM programme_version")}
    decisions = [(d, c) for c in cases_of(s) for d in s.county.post(f"/v1/cases/{c['id']}:reveal", {"purpose": "年终复核"}).ok().get("decisions", [])]
    expect("all of them", len(decisions), s.rows("care", "SELECT COUNT(*) FROM care_decision")[0][0])
    stood, all_before, returned = {}, {}, {r[0] for r in s.rows("care", f"SELECT id FROM care_decision WHERE state = {RETURNED}")}
    households = dict(s.rows("care", "SELECT id, household FROM recipient"))
    for d, c in sorted(decisions, key=lambda x: x[0]["id"]):
        document, outcome = documents[c["programme"], d["version"]], d["outcome"]
        uses = {u["cap"]: u for u in outcome.get("uses", [])}
        got = int(outcome.get("amount", 0)), {k: (u.get("period", ""), int(u.get("used", 0))) for k, u in uses.items()}
        values, before = {f["name"]: f["value"] for f in d["facts"]}, {k: int(u.get("before", 0)) for k, u in uses.items()}
        expect(f"{c['programme']} {d['version']} with {values}", got, by_hand(document, values, before, at(d["time"]).strftime("%Y-%m-%d")))
        person = c.get("recipient") or c["organization"]
        for cap in document.get("caps", []):
            key = c["programme"], households[person] if cap.get("household") else person, cap["code"], got[1][cap["code"]][0]
            assert stood.get(key, 0) <= before[cap["code"]] <= all_before.get(key, 0), (key, before, stood.get(key), all_before.get(key))
            all_before[key] = all_before.get(key, 0) + got[1][cap["code"]][1]
            stood[key] = stood.get(key, 0) + (0 if d["id"] in returned else got[1][cap["code"]][1])


@story("every decision of the year, done again with its version and its facts, comes to the same; one that was altered is found")
def replayed(s):
    n = s.rows("care", "SELECT COUNT(*) FROM care_decision")[0][0]
    assert n > 20, n
    expect("as they are", replay(s), {"replayed": n, "erased": 0, "different": []})
    versions = s.rows("care", "SELECT version, COUNT(*) FROM care_decision WHERE programme = 'hospital-care' GROUP BY version ORDER BY version")
    expect("by both versions", [tuple(map(int, r)) for r in versions], [(1, 5), (2, 3)])
    one, other = (s.rows("care", f"SELECT id FROM care_decision WHERE case_id = '{s.cases[c]['id']}'")[0][0] for c in ("zhao-5", "wang-4"))
    for column, value in (("amount", "amount + 1"), ("version", "1"), ("programme", "'insurance-claim'"), ("day", "day + 1"),
                          ("time_us", "time_us + 1"), ("uses", "'' || REPLACE(uses, ' 5', ' 4')"), ("recipient", f"'{s.wang['id']}'"),
                          ("sealed", f"(SELECT x.sealed FROM care_decision x WHERE x.id = '{other}')")):
        s.execute("care", f"CREATE TABLE kept AS SELECT * FROM care_decision WHERE id = '{one}'",
                  f"UPDATE care_decision SET {column} = {value} WHERE id = '{one}'")
        found, told = replay(s)["different"], s.cli("programme", "replay", check=False)
        s.execute("care", f"UPDATE care_decision SET {column} = (SELECT {column} FROM kept) WHERE id = '{one}'", "DROP TABLE kept")
        expect("with another " + column, found, [one])
        expect("told", (told.returncode, told.stdout.splitlines()), (1, [f"decision {one} does not come to what it says",
                                                                         f"{n} decisions done again, 1 differ, 0 of erased persons left out"]))
    s.admin.post(f"/v1/recipients/{s.zhao['id']}:erase", {"purpose": "本人书面申请"}).ok()
    of_zhao = s.rows("care", f"SELECT COUNT(*) FROM care_decision WHERE recipient = '{s.zhao['id']}'")[0][0]
    expect("without an erased person's", replay(s), {"replayed": n - of_zhao, "erased": of_zhao, "different": []})
    assert f"{n - of_zhao} decisions done again, 0 differ, {of_zhao} of erased persons left out" in s.cli("programme", "replay").stdout


if __name__ == "__main__":
    main(scene())
