#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is SENSITIVE in care stands nowhere in clear: people with unmistakable particulars go through every method that takes any, also
through requests that are refused; then every file, table, log, event, metric and answer is looked through. What reads it says why,
and the audit keeps that. And of who is erased, in the midst of it all, nothing is left but ids and money."""
import contextlib
import csv
import glob
import io
import json
import os
import re
import sys
import urllib.request
import uuid
from urllib.parse import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import care_target  # noqa: E402
from support.callers import PASSWORD  # noqa: E402
from support.care import COUNTY, NEXT_VILLAGE, TOWN, VILLAGE, Office, facts, publish, shipped  # noqa: E402
from support.ledger import Books, check_books  # noqa: E402
from support.oracle import PERSONAL, SENSITIVE, contract  # noqa: E402
from support.people import id_number, person  # noqa: E402
from support.sealed import Listener  # noqa: E402
from support.stack import CARE, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.traces import files_with, stores  # noqa: E402
from support.world import rfc3339  # noqa: E402

CSV = {"Content-Type": "text/csv"}
DAY = 86400
REVEALING = {"RevealRecipient", "RevealCase", "ListFlags", "ListBankOrders"}
# Fields whose values cannot be looked for: why.
NOT_LOOKED_FOR = {
    "CreateRecipientRequest.special": "yes or no: test_care_recipients.py compares its sealed lengths",
    "RecipientChanges.special": "likewise", "RevealedRecipient.special": "likewise",
}
# PERSONAL fields that hold no text of a request's or a revealing answer's.
NO_TEXT = {
    "Recipient.name": "an answer: masked below", "Recipient.id_number_masked": "masked", "Recipient.phone_masked": "masked",
    "Recipient.bank_account_masked": "masked", "Payment.bank_account_masked": "masked", "Payment.amount": "a number",
    "Case.granted": "a number: masked below", "Case.reserved": "likewise", "Case.paid": "likewise",
    "StoredFund.donor": "the ledger's own form of Fund.donor",
}
WHY = "核对𪚥用途"
_rare = map(chr, range(0x20800, 0x21000))  # of names that no computer of the eighties could write
_number = iter(range(71000, 72000))


def text(what):
    """One that is found nowhere else."""
    return f"{what}{next(_rare)}𠮷密"


def particulars():
    number = next(_number)
    p = person(number, VILLAGE)
    return {"organization": VILLAGE, "name": f"{next(_rare)}·欧阳𪚥", "idNumber": p["idNumber"], "phone": p["phone"],
            "bankAccount": care_target.luhn("622202%012d" % number), "special": True}


def document():
    d = care_target.document("43")
    named = lambda name, type: {"name": name, "type": type, "title": name, "titleZh": "说明"}
    d["fields"] += [named("status", "TEXT"), {**named("kind", "CHOICE"), "choices": [{"value": "one", "title": "One", "titleZh": "一"}]}]
    d["stages"][0]["actions"] += [care_target.action("return", "returned", reason=True), care_target.action("help", "helped")]
    form = d["assessments"][0]
    form["fields"].append(named("income", "INTEGER"))
    form["monitors"] = [{"code": "poor", "fact": "income", "operator": "AT_MOST", "values": ["100"], "title": "Poor", "titleZh": "贫困"}]
    return d


class Scene:
    def __init__(self, s):
        self.s, self.admin = s, s.login("admin")
        self.books = Books(s)
        fund = self.books.fund("DONATION", title="捐赠", donor=f"捐赠人{next(_rare)}𪚥", purposes=["aid"])
        self.fund = fund["id"]
        self.budget = self.books.account(fund, purpose="aid", organization=COUNTY)
        self.books.move(self.books.account(fund, "SOURCE"), self.budget, 100_000_000)
        publish(s, "aid", document())
        publish(s, "requests", shipped("requests"))
        self.clerk, self.county, self.second = Office(s, "staff", COUNTY), Office(s, "approver", COUNTY), Office(s, "approver", COUNTY)
        self.town, self.treasurer, self.next = Office(s, "approver", TOWN), Office(s, "treasurer", COUNTY), Office(s, "staff", NEXT_VILLAGE)

    def enter(self, **more):
        p = {**particulars(), **more}
        return {**p, **self.clerk.post("/v1/recipients", p).ok(), "full": p}

    def open_case(self, r, **more):
        body = {"programme": "aid", "organization": VILLAGE, "recipient": r["id"], "facts": self.illness(), "documents": [self.paper()], **more}
        return self.clerk.post("/v1/cases", body).ok()

    def illness(self):
        return facts(days=3, illness=text("诊断"), status=text("失独"))

    def paper(self):
        return {"kind": "proof", "uri": "https://files.example.org/" + quote(text("材料")) + "/" + uuid.uuid4().hex, "sha256": "a" * 64}

    def act(self, c, action, office=None, **fields):
        return (office or self.county).post(f"/v1/cases/{c['id']}:act", {"action": action, **fields})

    def case(self, c):
        return self.county.get(f"/v1/cases/{c['id']}").ok()

    def contact(self, c):
        named = {"role": "doctor", "name": f"王医生{next(_rare)}𪚥", "phone": "139%08d" % next(_number)}
        self.clerk.post(f"/v1/cases/{c['id']}:setContact", {"contact": named}).ok()
        return named

    def helped(self, r):
        """One that lasts: with a contact, an assessment that found something, visits and their notes."""
        c = self.open_case(r)
        self.contact(c)
        self.act(c, "help").ok()
        values = facts(found=text("评估"), income=20)
        expect("found", self.clerk.post(f"/v1/cases/{c['id']}/assessments", {"form": "monthly", "values": values}).ok()["found"], ["poor"])
        task = next(t for t in self.clerk.tasks("MONITOR") if t["caseId"] == c["id"])
        self.clerk.post(f"/v1/tasks/{task['id']}:complete", {"note": text("处理")}).ok()
        self.clerk.post("/v1/visits", {"caseId": c["id"], "occasion": "spring-festival", "dueTime": rfc3339(DAY), "note": text("计划")}).ok()
        visit = {"way": "HOME", "outcome": "MET", "device": "d", "occurredTime": rfc3339(0)}
        seen = [{**visit, "caseId": c["id"], "nonce": uuid.uuid4().hex, "note": text("走访")},
                {**visit, "recipient": r["id"], "nonce": uuid.uuid4().hex, "note": text("慰问")}]
        results = self.clerk.post("/v1/visits:batchRecord", {"visits": seen}).ok()["results"]
        expect("taken", [x.get("refusal", "") for x in results], ["", ""])
        return c

    def noticed(self, r):
        """On notice, with an objection."""
        c = self.open_case(r)
        self.act(c, "notify").ok()
        notices = self.s.call("GET", f"/v1/notices?organization={COUNTY}&pageSize=1000").ok()["notices"]
        notice = max((n for n in notices if n["nameMasked"] == r["full"]["name"][0] + "*"), key=lambda n: n["id"])
        said = {"notice": notice["id"], "text": text("异议"), "contact": text("邻居")}
        return c, notice, self.s.call("POST", "/v1/objections", said).ok()

    def approved(self, r):
        c = self.open_case(r)
        self.act(c, "approve", reason=text("理由")).ok()
        return c

    def batch(self):
        batch = self.treasurer.post("/v1/paymentBatches", {"organization": COUNTY}).ok()
        path = f"/v1/paymentBatches/{batch['id']}/orders"
        self.treasurer.get(path).refused(400)
        self.treasurer.get(f"{path}?purpose={quote(WHY)}").ok()
        r = self.s.call("GET", f"{path}?purpose={quote(WHY)}", token=self.treasurer.token, headers={"Accept": "text/csv"})
        return batch, list(csv.DictReader(io.StringIO(r.body.decode())))

    def upload(self, office, path, data, refused=None):
        begun = self.s.call("POST", path, data.encode(), token=office.token, headers=CSV).ok()
        look = lambda: (lambda o: o if o["state"] in ("SUCCEEDED", "FAILED") else None)(office.get(f"/v1/careOperations/{begun['id']}").ok())
        done = wait_until("the import has ended", look)
        office.get(f"/v1/careOperations/{begun['id']}/errors").ok()
        if refused is not None:
            expect("refused rows", done.get("rowsRefused", 0), refused)
        return done

    def answer(self, batch, orders, status, reason="户名不符"):
        rows = "number,amount,status,reason\n" + "".join(f"{o['number']},{o['amount']},{status},{reason} {o['account']}\n" for o in orders)
        return self.upload(self.treasurer, f"/v1/paymentBatches/{batch['id']}:import", rows)

    def where(self):
        return "sqlite:" + self.s.store_file("care") if self.s.engine == "sqlite" else self.s.store_url("care")


@contextlib.contextmanager
def world():
    with Stack(instances=CARE, clock=True, gateway_options=["--rate-scale=1000"]) as stack:
        s = Listener(stack, "nuanxin.care.v1.Care", REVEALING, "nuanxin.care.v1.CreateRecipientRequest.name")
        s.__dict__["scene"] = Scene(s)
        yield s


# --- everything is said --------------------------------------------------------------------------------------------------


@story("people with unmistakable particulars go through every method that takes any: taken, and refused")
def everything(s):
    w = s.scene
    s.__dict__["one"] = one = w.enter()
    url = f"/v1/recipients/{one['id']}"
    one["full"]["name"] = f"{next(_rare)}·欧阳𪚥"
    s.call("PATCH", url, {"name": one["full"]["name"], "phone": "13%09d" % next(_number), "special": False,
                          "bankAccount": care_target.luhn("622202%012d" % next(_number))}, token=w.clerk.token).ok()
    w.clerk.post(url + "/flags", {"text": text("轮椅")}).ok()
    w.clerk.post(url + "/flags:reveal", {"purpose": WHY}).ok()
    w.clerk.post(url + ":reveal", {"purpose": WHY}).ok()
    s.__dict__["cases"] = cases = {"helped": w.helped(one), "approved": w.approved(one), "refused": w.open_case(one), "returned": w.open_case(one)}
    w.act(cases["refused"], "refuse", reason=text("不符")).ok()
    w.act(cases["returned"], "return", reason=text("补正")).ok()
    w.act(cases["returned"], "resubmit", w.clerk, facts=w.illness(), documents=[w.paper()]).ok()
    cases["noticed"], _, objection = w.noticed(one)
    w.county.post(f"/v1/objections/{objection['id']}:settle", {"reason": text("查实")}).ok()
    moved = w.open_case(one)
    w.clerk.post(f"/v1/cases/{moved['id']}:transfer", {"organization": NEXT_VILLAGE, "reason": text("迁居")}).ok()
    w.next.post(f"/v1/cases/{moved['id']}:answerTransfer", {"reason": text("拒收")}).ok()
    for c in cases.values():
        w.county.post(f"/v1/cases/{c['id']}:reveal", {"purpose": WHY}).ok()
    asked = w.clerk.post("/v1/cases", {"programme": "requests", "organization": VILLAGE,
                                       "facts": facts(way="letter", matter="complaint", text=text("来信反映"))}).ok()
    cases["request"] = asked
    w.act(asked, "assign").ok()
    w.act(asked, "answer", w.town, facts=facts(answer=text("答复"))).ok()
    w.county.post("/v1/programmes/aid:evaluate", {"facts": facts(days=2, illness=text("试算"))}).ok()
    batch, orders = w.batch()
    w.answer(batch, orders, "returned")
    lists(s, one)


def lists(s, one):
    """Files, with rows that are refused."""
    w = s.scene
    group = w.treasurer.post("/v1/policyGroups", {"organization": COUNTY, "title": "意外险", "insurer": "保险公司", "startDate": "2026-01-01",
                                                   "endDate": "2099-12-31", "premium": "15000", "purpose": "insurance"}).ok()["id"]
    new, wrong = particulars(), particulars()
    bad = wrong["idNumber"][:-1] + ("0" if wrong["idNumber"][-1] != "0" else "1")
    path = f"/v1/policyGroups/{group}:import?organization={COUNTY}"
    w.upload(w.treasurer, path, f"id_number,name\n{new['idNumber']},{new['name']}\n{bad},{wrong['name']}\n{one['idNumber']},{text('另名')}\n", 2)
    day = rfc3339(60 * DAY)[:10]
    path = f"/v1/visits:import?organization={COUNTY}&occasion=spring-festival"
    w.upload(w.clerk, path, f"id_number,name,due_date\n{new['idNumber']},{new['name']},{day}\n{bad},{wrong['name']},{day}\n"
                            f"{wrong['idNumber']},{wrong['name']},{day}\n", 2)
    w.upload(w.clerk, path, "id_number,name\n" + f"{new['idNumber']},{text('少列')}\n")
    broken = s.call("POST", path, f"id_number,name,due_date\n\"{text('破损')},".encode(), token=w.clerk.token, headers=CSV)
    assert broken.status < 500, broken.body


@story("refused requests say what is wrong without saying what was said")
def refused(s):
    w, p = s.scene, particulars()
    wrong = lambda number: number[:-1] + ("0" if number[-1] != "0" else "1")
    post = w.clerk.post
    for changed in ({"idNumber": wrong(p["idNumber"])}, {"phone": "1200" + p["phone"][4:]}, {"bankAccount": wrong(p["bankAccount"])},
                    {"bankAccount": p["bankAccount"] + "12345"}, {"idNumber": p["idNumber"] + "99"}, {"idNumber": s.one["full"]["idNumber"]},
                    {"name": p["name"] * 20}, {"special": p["idNumber"]}, {"phone": [p["phone"]]}, {"bankAccount": {"x": p["bankAccount"]}}):
        r = post("/v1/recipients", {**p, **changed})
        assert r.status in (400, 409, 422), (changed, r.status)
    broken = json.dumps({**p, "x": text("多出")}, ensure_ascii=False)
    for body in (broken, broken[:-9], broken.replace('"phone":', '"phone"'), broken.replace('"special": true', f'"special": "{text("特扶")}"')):
        r = s.call("POST", "/v1/recipients", body.encode(), token=w.clerk.token, headers={"Content-Type": "application/json"})
        assert r.status == 400 and p["idNumber"] not in r.body.decode() and "𠮷" not in r.body.decode(), r.body
    one, c = f"/v1/recipients/{s.one['id']}", f"/v1/cases/{s.cases['helped']['id']}"
    s.call("PATCH", one, {"phone": "12" + p["phone"]}, token=w.clerk.token).refused(422)
    s.call("PATCH", one, {"bankAccount": wrong(p["bankAccount"])}, token=w.clerk.token).refused(422)
    post(one + "/flags", {"text": text("过期"), "untilDate": "2020-01-01"}).refused(400)
    post("/v1/cases", {"programme": "aid", "organization": VILLAGE, "recipient": s.one["id"], "facts": facts(days=text("天数"))}).refused(422)
    post("/v1/cases", {"programme": "aid", "organization": VILLAGE, "recipient": s.one["id"],
                       "facts": facts(days=1, kind=text("选项"), illness=text("过长") * 300)}).refused(422)
    post("/v1/cases", {"programme": "aid", "organization": VILLAGE, "recipient": s.one["id"],
                       "facts": facts(days=1, kind=text("选项")), "documents": [w.paper()]}).refused(422)
    post("/v1/cases", {"programme": "aid", "organization": VILLAGE, "recipient": s.one["id"], "facts": w.illness(),
                       "documents": [{**w.paper(), "uri": "file://" + quote(text("路径"))}]}).refused(400)
    w.act(s.cases["approved"], "nothing-such", reason=text("无此"), facts=w.illness(), documents=[w.paper()]).refused(422)
    w.act(s.cases["returned"], "approve", w.clerk, reason=text("越级"), facts=w.illness()).refused(403)
    post(c + "/assessments", {"form": "monthly", "values": facts(found="x", income=text("收入"))}).refused(422)
    post(c + "/assessments", {"form": "weekly", "values": facts(found=text("表单"))}).refused(422)
    post(c + ":transfer", {"organization": "999999", "reason": text("去向")}).refused(404)
    w.next.post(c + ":transfer", {"organization": TOWN, "reason": text("外人")}).refused(404)
    post(c + ":answerTransfer", {"accepted": False, "reason": text("未请")}).refused(422)
    s.call("POST", "/v1/objections", {"notice": str(uuid.uuid4()), "text": text("无公示"), "contact": text("路人")}).refused(404)
    w.county.post(f"/v1/objections/{uuid.uuid4()}:settle", {"reason": text("无异议")}).refused(404)
    post(f"/v1/tasks/{w.clerk.tasks('STAGE')[0]['id']}:complete", {"note": text("不可")}).refused(422)
    r = w.next.post("/v1/visits:batchRecord", {"visits": [{"caseId": s.cases["helped"]["id"], "way": "HOME", "outcome": "MET", "device": "d",
                                                          "nonce": "n", "note": text("越界"), "occurredTime": rfc3339(0)}]}).ok()
    assert r["results"][0]["refusal"], r
    post("/v1/visits:batchRecord", {"visits": [{"caseId": s.cases["helped"]["id"], "note": text("过长") * 500}]}).refused(400)
    post("/v1/visits", {"caseId": s.cases["helped"]["id"], "note": text("无日期")}).refused(400)
    w.county.post("/v1/programmes/aid:evaluate", {"facts": facts(days=text("试算"))}).refused(422)
    for path in (f"/v1/policyGroups/{uuid.uuid4()}:import?organization={COUNTY}", f"/v1/paymentBatches/{uuid.uuid4()}:import",
                 "/v1/visits:import?organization=999999&occasion=x"):
        office = w.clerk if "visits" in path else w.treasurer
        s.call("POST", path, f"id_number,name\n{p['idNumber']},{p['name']}\n".encode(), token=office.token, headers=CSV).refused(404)
    # What asks for a purpose is refused without one.
    for office, path in ((w.clerk, one + ":reveal"), (w.clerk, one + "/flags:reveal"), (w.county, c + ":reveal")):
        office.post(path, {}).refused(400)
    s.call("POST", one + ":erase", {}, token=w.admin).refused(400)


@story("every field that the contract calls SENSITIVE or PERSONAL had a value here, and every method that takes one was asked")
def complete(s):
    of = {name.split("v1.", 1)[1]: p for name, p in contract().privacy.items() if name.startswith("nuanxin.care.v1.")}
    events = {name.split("v1.", 1)[1] for name in contract().event_types() if name.startswith("nuanxin.care.")}
    given = {name.split("v1.", 1)[1] for name in s.given}
    expect("fields without a value", sorted(f for f, p in of.items() if p == SENSITIVE and f not in given and f not in NOT_LOOKED_FOR), [])
    # What agencies see of events is in test_stream_leak.py.
    expect("PERSONAL ones", sorted(f for f, p in of.items() if p == PERSONAL and f not in given and f not in NO_TEXT
                                   and f.split(".")[0] not in events), [])
    asked = {m.name for m in s.methods if m.sensitive or m.name in REVEALING}
    for what, is_so in (("taken", lambda r: 200 <= r < 300), ("refused", lambda r: 400 <= r < 500)):
        expect(f"never {what}", sorted(m for m in asked if not any(map(is_so, s.called.get(m, [])))), [])
    assert len(s.texts(SENSITIVE)) > 80, len(s.texts(SENSITIVE))


# --- and found nowhere ----------------------------------------------------------------------------------------------------


@story("no file of any process holds it, nor a table, log, event, metric, backup, or answer that was no revealing one")
def nowhere(s):
    w = s.scene
    follow = lambda: s.rows("stream", "SELECT COUNT(*) FROM log WHERE event IS NOT NULL")[0][0] > 50
    wait_until("the stream has taken events in", follow)
    w.books.get(f"/v1/funds/{w.fund}").ok()
    secrets = s.secrets(SENSITIVE)
    for service in ("care", "stream"):
        store = f"sqlite:{s.store_file(service)}" if s.engine == "sqlite" else s.store_url(service)
        s.cli("backup", store, os.path.join(s.var, f"{service}-backup"))
    expect("in clear", files_with(s, secrets), [])
    if s.engine == "postgresql":  # what the server keeps and logs, byte for byte
        expect("in the server's files", files_below(s.database.folder, {v for _, v in s.texts(SENSITIVE)}), [])
    # Names and the like stand in care's own tables of them, and nowhere else.
    names = s.secrets(PERSONAL)
    own = {("care", "recipient"), ("care", "care_contact"), ("care", "fund"), ("care", "care_notice")}
    there = repr(s.rows("care", "SELECT * FROM recipient"))
    assert s.one["full"]["name"] in there and s.one["full"]["name"] in {v for _, v, _ in names}, "the test looks for the right things"
    for at, rows in stores(s).items():
        content = b"\0".join(v if isinstance(v, bytes) else str(v).encode() for row in rows for v in row)
        expect(f"{at} has", [k for k, v in {**secrets, **({} if at in own else names)}.items() if v in content], [])
    logs, kept = (glob.glob(os.path.join(s.var, *p), recursive=True) for p in (("log", "*"), ("redis", "**", "*.aof")))
    assert len(logs) > 5 and kept, (logs, kept)
    for path in logs + kept:
        with open(path, "rb") as f:
            content = f.read()
        expect(path, [k for k, v in names.items() if v in content], [])
    for name, page in metrics(s):
        expect(f"metrics of {name}", [k for k, v in {**secrets, **names}.items() if v in page], [])
    assert len(s.refused) > 40, len(s.refused)
    for method, body in s.refused:
        expect(f"{method} refuses with", [k for k, v in {**secrets, **names}.items() if v in body], [])


def files_below(folder, texts):
    found, seen = [], 0
    for at, _, names in os.walk(folder):
        for path in (os.path.join(at, n) for n in names):
            with contextlib.suppress(OSError), open(path, "rb") as f:
                content = f.read()
                seen += len(content)
                found += [(path, t) for t in texts if t.encode() in content]
    assert seen > 1 << 20, seen
    return found


def metrics(s):
    """Of each process that has a page of them."""
    found = []
    for path in glob.glob(os.path.join(s.var, "log", "*.log")):
        with open(path, errors="replace") as f:
            ports = re.findall(r"ready.*? admin(?:=127\.0\.0\.1:|_port=)(\d+)", f.read())
        if ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{ports[-1]}/metrics", timeout=10) as r:
                found.append((os.path.basename(path), r.read()))
    assert {re.sub(r"-\d+\.log", "", n) for n, _ in found} >= {"gateway", "membership", "activity", "care", "stream"}, [n for n, _ in found]
    return found


@story("lists and exports of a role that may not reveal are masked; the public reads no name; each reading left its audit row")
def masked(s):
    w = s.scene
    names = {v for _, v in s.texts(PERSONAL)}
    for path in (f"/v1/cases?organization={COUNTY}", f"/v1/payments?organization={COUNTY}", f"/v1/ledgerAccounts?organization={COUNTY}",
                 f"/v1/ledgerAccounts/{w.budget['id']}/transfers", f"/v1/policyGroups?organization={COUNTY}", f"/v1/tasks?organization={COUNTY}"):
        for accept in ("application/json", "text/csv", "application/x-ndjson"):
            r = s.call("GET", path, token=w.treasurer.token, headers={"Accept": accept})  # which looks for what is SENSITIVE
            if r.status == 406:
                continue
            assert r.status == 200, (path, accept, r.status, r.body)
            expect(f"{path} as {accept}", [n for n in names if n in r.body.decode()], [])
    rows = lambda office: {c["id"]: c for c in office.get(f"/v1/cases?organization={COUNTY}&pageSize=1000").ok()["cases"]}
    granted = lambda office: rows(office)[s.cases["approved"]["id"]].get("granted", "0")
    expect("what was granted", (granted(w.county), granted(w.treasurer)), ("30000", "0"))
    contact = lambda office: office.get(f"/v1/cases/{s.cases['helped']['id']}").ok()["contacts"][0]
    assert contact(w.county)["name"] in names and contact(w.county)["phone"] in names, contact(w.county)
    assert not {contact(w.treasurer).get("name"), contact(w.treasurer).get("phone")} & names, contact(w.treasurer)
    for path in (f"/v1/notices?organization={COUNTY}", f"/v1/funds/{w.fund}/disclosures"):
        r = s.call("GET", path)
        expect(path, (r.status, [n for n in names if n in r.body.decode()]), (200, []))
    volunteer = Office(s, "volunteer", COUNTY)
    for path in (f"/v1/recipients/{s.one['id']}", f"/v1/recipients?organization={COUNTY}", f"/v1/cases?organization={COUNTY}"):
        volunteer.get(path).refused(403)
        w.treasurer.get(path) if "cases" in path else w.treasurer.get(path).refused(403)
    audit = json.loads(s.cli("audit", "care", "--json", "--set", "limit=1000").stdout)["entries"]
    rows = [(e["method"].rsplit(".", 1)[1], e.get("outcome", e.get("problem", ""))) for e in audit if e.get("purpose") == WHY]
    asking = {m.name for m in s.methods if m.needs_purpose}
    expect("methods that ask for a purpose", asking, REVEALING | {"EraseRecipient"})
    for method in REVEALING:
        done = sum(status == 200 for status in s.called[method])
        assert done and sum(m == method for m, _ in rows) >= done, f"{method}: {done} readings, {rows}"
    text = json.dumps(audit, ensure_ascii=False)
    expect("the audit says", [v for _, v in [*s.texts(SENSITIVE), *s.texts(PERSONAL)] if v in text], [])


# --- erased -----------------------------------------------------------------------------------------------------------------


def traces_of(s, r, *more):
    """What there is of a person besides the ids: {what: bytes}, and that it is there."""
    columns = ("wrapped_key", "id_number", "phone", "bank_account", "special", "id_number_index")
    (secret,) = s.rows("care", f"SELECT {', '.join(columns)} FROM recipient_secret WHERE recipient = '{r['id']}'")
    found = {**dict(zip(columns, map(bytes, secret))), "name": r["full"]["name"].encode(), "masked account": r["bankAccountMasked"].encode(),
             **{m: m.encode() for m in more}}
    for (sealed,) in s.rows("care", "SELECT o.sealed FROM care_objection o JOIN care_case c ON c.id = o.case_id "
                                    f"WHERE c.recipient = '{r['id']}'"):
        found[f"objection {len(found)}"] = bytes(sealed)
    expect("the test looks for the right things", {what for _, what in files_with(s, found)}, set(found))
    return found


def check_erased(s, r, cases):
    """Who may read all of a case finds nothing of the person in it."""
    w = s.scene
    for c in cases:
        left = w.county.post(f"/v1/cases/{c['id']}:reveal", {"purpose": WHY}).ok()
        expect("facts", (left["value"].get("facts", []), left["value"].get("documents", [])), ([], []))
        for kind, field in (("steps", "reason"), ("objections", "text"), ("objections", "contact"), ("visits", "note"), ("assessments", "values")):
            expect(f"{kind} {field}", [x[field] for x in left.get(kind, []) if x.get(field)], [])
        expect("decisions", [d["facts"] for d in left.get("decisions", []) if d.get("facts")], [])
        expect("contacts", [x["name"] for x in left["value"].get("contacts", []) if x.get("name")], [])
    for path in (":reveal", "/flags:reveal"):
        w.clerk.post(f"/v1/recipients/{r['id']}{path}", {"purpose": WHY}).refused(410, "recipient-erased")


@story("a recipient is erased once no case is open: nothing of the person is left in any file but ids and money")
def recipient(s):
    w = s.scene
    r = w.enter()
    w.clerk.post(f"/v1/recipients/{r['id']}/flags", {"text": text("拐杖")}).ok()
    paid, helped = w.approved(r), w.helped(r)
    doctor = w.contact(helped)
    noticed, _, objection = w.noticed(r)
    erase = lambda: s.call("POST", f"/v1/recipients/{r['id']}:erase", {"purpose": "本人书面申请"}, token=w.admin)
    batch, orders = w.batch()
    w.answer(batch, orders, "paid")
    expect("paid", w.case(paid)["state"], "DONE")
    erase().refused(409, "case-open")
    w.act(helped, "end", w.clerk, reason=text("迁出")).ok()
    erase().refused(409, "case-open")
    w.county.post(f"/v1/objections/{objection['id']}:settle", {"upheld": True, "reason": text("属实")}).ok()
    traces = traces_of(s, r, doctor["name"], doctor["phone"])
    erase().ok()
    wait_until("nothing is left in any file", lambda: not files_with(s, traces), 30, 0.5)
    check_erased(s, r, (paid, helped, noticed))
    expect("what was paid", w.case(paid)["paid"], "30000")
    expect("the notice names nobody", s.rows("care", f"SELECT name_masked FROM care_notice WHERE case_id = '{noticed['id']}'"), [("*",)])
    check_books(s)
    s.cli("ledger", "verify", "--store", w.where())


@story("a member who is a recipient is erased in the midst of it: what is open ends, what is reserved goes back, the bank's answer counts")
def member(s):
    w = s.scene
    m = s.call("POST", "/v1/members", {k: v for k, v in person(79000, VILLAGE).items() if k != "joinDate"}, token=w.admin).ok()["id"]
    wait_until("care knows the member", lambda: s.rows("care", f"SELECT state FROM member WHERE id = '{m}'"))
    r = w.enter(member=m)
    before = w.books.balance(w.budget)
    with_bank, late, back = w.approved(r), w.approved(r), w.approved(r)
    batch, orders = w.batch()
    number = lambda c: s.rows("care", f"SELECT number FROM care_payment WHERE case_id = '{c['id']}'")[0][0]
    w.answer(batch, [o for o in orders if o["number"] == number(back)], "returned")
    ready, waiting, helped = w.approved(r), w.open_case(r), w.helped(r)
    noticed = w.noticed(r)[0]
    doctor = s.rows("care", f"SELECT name, phone FROM care_contact WHERE case_id = '{helped['id']}'")[0]
    w.clerk.post(f"/v1/recipients/{r['id']}/flags", {"text": text("助听")}).ok()
    w.clerk.post("/v1/visits", {"recipient": r["id"], "occasion": "mid-autumn", "dueTime": rfc3339(DAY)}).ok()
    expect("reserved", w.books.balance(w.budget)[3] - before[3], 120000)
    traces = traces_of(s, r, *doctor)
    s.call("POST", f"/v1/members/{m}:erase", {"purpose": "本人书面申请"}, token=w.admin).ok()
    wait_until("what is open ends", lambda: all(w.case(c)["state"] == "ENDED" for c in (back, ready, waiting, helped, noticed)))
    wait_until("nothing is left in any file", lambda: not files_with(s, traces), 30, 0.5)
    check_erased(s, r, (with_bank, late, back, ready, waiting, helped, noticed))
    expect("reserved: what the bank has", w.books.balance(w.budget)[3] - before[3], 60000)
    tasks = [t for k in ("STAGE", "VISIT", "CONTACT", "MONITOR", "PAYMENT", "OBJECTION") for t in w.county.tasks(k)]
    mine = {c["id"] for c in (with_bank, back, ready, waiting, helped, noticed)}
    expect("tasks", [t for t in tasks if t["caseId"] in mine or (t["kind"] == "VISIT" and t["stage"] == "mid-autumn")], [])
    expect("on notice", [n for n in s.call("GET", f"/v1/notices?organization={COUNTY}&pageSize=1000").ok().get("notices", [])
                         if n["nameMasked"] == r["full"]["name"][0] + "*"], [])
    w.answer(batch, [o for o in orders if o["number"] == number(with_bank)], "paid")
    w.answer(batch, [o for o in orders if o["number"] == number(late)], "returned", "户名" + r["full"]["name"])
    wait_until("what came back is given back", lambda: w.case(late)["state"] == "ENDED")
    wait_until("nor does the bank's answer leave anything", lambda: not files_with(s, traces), 30, 0.5)
    expect("paid", (w.case(with_bank)["state"], w.case(with_bank)["paid"]), ("DONE", "30000"))
    after = w.books.balance(w.budget)
    expect("spent, and nothing reserved", (after[2] - before[2], after[3] - before[3]), (30000, 0))
    check_books(s)
    s.cli("ledger", "verify", "--store", w.where())


# --- let in for a time ---------------------------------------------------------------------------------------------------------


def account(s, role, organization):
    login = "privacy-" + uuid.uuid4().hex[:12]
    body = {"login": login, "organization": organization, "grants": [{"role": role, "organization": organization}]}
    made = s.call("POST", "/v1/accounts", {"account": body, "password": PASSWORD}, token=s.scene.admin).ok()
    return made["id"], lambda: s.call("POST", "/v1/sessions", {"login": login, "password": PASSWORD}).ok()["token"]


@story("who is let into a case reveals that case and nothing else, says why, and no more once the time is over or it was ended")
def let_in(s):
    w = s.scene
    r = w.enter()
    c, other = w.helped(r), w.open_case(r)
    (far, far_in), (viewer, viewer_in) = account(s, "ROLE_STAFF", "430103"), account(s, "ROLE_VIEWER", "430103")
    token = far_in()
    reveal = lambda c, token, why=WHY: s.call("POST", f"/v1/cases/{c['id']}:reveal", {"purpose": why}, token=token)
    grant = lambda account, hours=2: w.clerk.post(f"/v1/cases/{c['id']}:grantAccess", {"account": account, "reason": "跨县会诊", "hours": hours})
    reveal(c, token).refused(404, "not-found")
    wait_until("care knows the account", lambda: grant(far).status == 200)
    wait_until("care knows the account", lambda: grant(viewer).status == 200)
    for hours in (0, 721, -1):
        grant(far, hours).refused(400)
    s.call("POST", f"/v1/cases/{c['id']}:grantAccess", {"account": far, "reason": "自取", "hours": 2}, token=token).refused(404)
    w.next.post(f"/v1/cases/{c['id']}:grantAccess", {"account": far, "reason": "邻村", "hours": 2}).refused(404)
    seen = reveal(c, token).ok()
    assert seen["value"]["facts"] and [v for v in seen["visits"] if v.get("note")], seen
    expect("visits of this case alone", {v["caseId"] for v in seen["visits"]}, {c["id"]})
    expect("who may read it anyway sees the person's too", {v["caseId"] for v in reveal(c, w.county.token).ok()["visits"]}, {c["id"], ""})
    reveal(c, token, "").refused(400)
    reveal(c, viewer_in()).refused(403, "permission-denied")  # whose role reveals nothing anywhere
    reveal(other, token).refused(404, "not-found")
    body = {"action": "end", "reason": text("不可")}
    for verb, path, said in (("GET", f"/v1/cases/{c['id']}", None), ("GET", f"/v1/cases/{c['id']}/steps", None), ("POST", f"/v1/cases/{c['id']}:act", body),
                             ("GET", f"/v1/recipients/{r['id']}", None), ("POST", f"/v1/recipients/{r['id']}:reveal", {"purpose": WHY}),
                             ("GET", f"/v1/recipients/{r['id']}/cases", None), ("GET", f"/v1/visits?caseId={c['id']}", None),
                             ("POST", f"/v1/recipients/{r['id']}/flags:reveal", {"purpose": WHY}),
                             ("POST", f"/v1/cases/{c['id']}:endAccess", {"account": viewer})):
        s.call(verb, path, said, token=token).refused(404, "not-found")
    # Ended.
    w.clerk.post(f"/v1/cases/{c['id']}:endAccess", {"account": far}).ok()
    reveal(c, token).refused(404, "not-found")
    # Over: to the second.
    grant(far, 2).ok()
    s.advance(2 * 3600 - 120)
    token = far_in()
    reveal(c, token).ok()
    s.advance(240)
    reveal(c, token).refused(404, "not-found")
    # With the account's own rights.
    grant(far).ok()
    reveal(c, token).ok()
    s.call("POST", f"/v1/accounts/{far}:setGrants", {"grants": []}, token=s.login("admin")).ok()
    wait_until("nobody any more", lambda: reveal(c, token).status in (401, 403, 404))
    s.call("POST", f"/v1/accounts/{far}:disable", token=s.login("admin")).ok()
    wait_until("care knows", lambda: grant(far).status == 400)
    audit = json.loads(s.cli("audit", "care", "--json", "--set", f"subject={c['id']}").stdout)["entries"]
    loud = [(e["method"].rsplit(".", 1)[1], e["purpose"]) for e in audit if "TEMPORARY ACCESS" in e.get("purpose", "")]
    count = lambda method: sum(m == method for m, _ in loud)
    assert count("RevealCase") >= 3 and count("GrantCaseAccess") >= 4 and count("EndCaseAccess") == 1, loud
    assert any(WHY in p and "跨县会诊" in p for m, p in loud if m == "RevealCase"), loud


if __name__ == "__main__":
    main(world())
