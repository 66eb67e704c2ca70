#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Payments: put up by cases, sent to the bank once, answered by it; what everybody may read of them; figures without small cells."""
import contextlib
import csv
import io
import json
import os
import random
import sys
import threading
import uuid
from urllib.parse import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.callers import PASSWORD  # noqa: E402
from support.ledger import Books, check_books, finds, forged, signed, store_of, verify  # noqa: E402
from support.people import bank_account, person  # noqa: E402
from support.stack import CARE, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.traces import files_with  # noqa: E402

COUNTY, OTHER_COUNTY, TOWN, VILLAGE, NEXT_VILLAGE = "430102", "430103", "430102001", "430102001001", "430102001002"
CSV = {"Content-Type": "text/csv"}
WHY = "七月发放"
YUAN = 100


def stage(code, kind, *actions):
    named = {"REVIEW": {"level": "COUNTY", "days": 10}, "PAYMENT": {}}[kind]
    return {"code": code, "title": code, "titleZh": "环节", "kind": kind, **named, "actions": list(actions)}


def action(code, to, **more):
    return {"code": code, "title": code, "titleZh": "操作", "to": to, "by": "OFFICER", **more}


def programme(purpose):
    """So many days at 100 yuan, approved by the county, paid."""
    return {"title": "Aid", "titleZh": "帮扶", "organization": "43", "severalOpen": True, "purpose": purpose,
            "fields": [{"name": "days", "type": "INTEGER", "title": "Days", "titleZh": "天数", "required": True, "least": 1, "most": 366}],
            "terms": [{"perUnit": {"fact": "days", "amount": 10000}}],
            "stages": [stage("county", "REVIEW", action("approve", "payment", effects=["DECIDE", "PAY"]), action("refuse", "refused", reason=True)),
                       stage("payment", "PAYMENT", action("paid", "done"))]}


class Office:
    """An office's own key, of one role at one organisation."""

    def __init__(self, s, organization, role):
        made = json.loads(s.cli("client", "create", f"office {uuid.uuid4().hex[:8]}", f"{role}@{organization}", "--json").stdout)
        self.s, self.token = s, made["apiKey"]

    def post(self, path, body, **more):
        return self.s.call("POST", path, body, token=self.token, **more)

    def get(self, path, **more):
        return self.s.call("GET", path, token=self.token, **more)

    def payments(self, state="", organization=COUNTY):
        found, page = [], ""
        while True:
            r = self.get(f"/v1/payments?organization={organization}&pageSize=7&pageToken={page}" + (f"&state={state}" if state else "")).ok()
            found += r.get("payments", [])
            page = r.get("nextPageToken", "")
            if not page:
                return found

    def payment_of(self, case):
        return next(p for p in self.payments() if p["caseId"] == case["id"])

    def batch(self, programme="", organization=COUNTY):
        return self.post("/v1/paymentBatches", {"organization": organization, "programme": programme})

    def read_batch(self, batch):
        return self.get(f"/v1/paymentBatches/{batch['id']}").ok()

    def bank_file(self, batch, why=WHY):
        r = self.get(f"/v1/paymentBatches/{batch['id']}/orders?pageSize=3&purpose={quote(why)}", headers={"Accept": "text/csv"})
        assert r.status == 200, r.body
        return list(csv.DictReader(io.StringIO(r.body.decode())))

    def answer(self, batch, text, query=""):
        """The bank's answer, once it was taken."""
        return self.taken(self.begin(batch, text, query).ok())

    def begin(self, batch, text, query=""):
        return self.post(f"/v1/paymentBatches/{batch['id']}:import{query}", text.encode(), headers=CSV)

    def taken(self, begun):
        def ended():
            o = self.get(f"/v1/careOperations/{begun['id']}").ok()
            return o if o["state"] in ("SUCCEEDED", "FAILED") else None

        return wait_until("the answer has been taken", ended)


class Person(Office):
    """Somebody with an account, and several roles."""

    def __init__(self, s, organization, *roles):
        login = "payments-" + uuid.uuid4().hex[:12]
        body = {"login": login, "organization": organization,
                "grants": [{"role": "ROLE_" + role.upper(), "organization": organization} for role in roles]}
        s.call("POST", "/v1/accounts", {"account": body, "password": PASSWORD}, token=s.login("admin")).ok()
        self.s, self.token = s, s.call("POST", "/v1/sessions", {"login": login, "password": PASSWORD}).ok()["token"]


_numbers = iter(range(20000, 90000))


def enter(s, organization=VILLAGE, **fields):
    number = next(_numbers)
    p = person(number, organization)
    body = {"organization": organization, "name": p["name"], "idNumber": p["idNumber"], "bankAccount": bank_account(number), **fields}
    return {**s.clerk.post("/v1/recipients", body).ok(), "account": body["bankAccount"]}


def opened(s, recipient, days=2, programme="aid", organization=VILLAGE):
    body = {"programme": programme, "organization": organization, "recipient": recipient["id"], "facts": [{"name": "days", "value": str(days)}]}
    return s.clerk.post("/v1/cases", body).ok()


def granted(s, recipient, days=2, by=None, **more):
    """A case, approved: its payment is READY."""
    case = opened(s, recipient, days, **more)
    (by or s.county).post(f"/v1/cases/{case['id']}:act", {"action": "approve"}).ok()
    return case


def case_of(s, case):
    return s.county.get(f"/v1/cases/{case['id']}").ok()


def publish(s, name, purpose, amount, **more):
    admin = s.login("admin")
    version = s.call("POST", f"/v1/programmes/{name}/versions", {**programme(purpose), **more}, token=admin).ok()["version"]
    s.call("POST", f"/v1/programmes/{name}:activate", {"version": version}, token=admin).ok()
    fund = s.books.fund(title=purpose)
    source, budget = s.books.account(fund, "SOURCE"), s.books.account(fund, purpose=purpose, organization=COUNTY)
    s.books.move(source, budget, amount)
    return fund, budget


@contextlib.contextmanager
def scene():
    with Stack(instances=CARE, clock=True, gateway_options=["--rate-scale=1000"]) as s:
        s.books = Books(s)
        s.books.fund(title="开账")  # once it is there, care knows the organisations
        s.clerk, s.county, s.treasurer = Office(s, COUNTY, "staff"), Office(s, COUNTY, "approver"), Office(s, COUNTY, "treasurer")
        s.fund, s.budget = publish(s, "aid", "aid", 10_000_000 * YUAN)
        yield s


def rows(*answers):
    return "number,amount,status,reason\n" + "".join(f"{a['number']},{a['amount']},{status},{reason}\n" for a, status, reason in answers)


def payment_tasks(s, cases):
    tasks = s.county.get(f"/v1/tasks?organization={COUNTY}&pageSize=1000").ok().get("tasks", [])
    return sorted(t["caseId"] for t in tasks if t["kind"] == "PAYMENT" and t["caseId"] in {c["id"] for c in cases})


def events(s, kind, case):
    return int(s.rows("care", f"SELECT COUNT(*) FROM rpc_outbox WHERE type = 'nuanxin.care.v1.{kind}' AND subject = '{case['id']}'")[0][0])


# --- there and back ----------------------------------------------------------------------------------------------------


@story("what is ready goes into one batch, to the bank with its account opened for a purpose, and comes back paid")
def paid(s):
    people = [enter(s) for _ in range(5)]
    before = s.books.balance(s.budget)
    cases = [granted(s, r, n + 1) for n, r in enumerate(people)]
    ready = s.treasurer.payments("READY")
    expect("ready", sorted((p["caseId"], p["amount"]) for p in ready), sorted((c["id"], str((n + 1) * 100 * YUAN)) for n, c in enumerate(cases)))
    batch = s.treasurer.batch("aid").ok()
    expect("the batch", (batch["state"], batch["payments"], batch["amount"]), ("MADE", 5, str(1500 * YUAN)))
    s.treasurer.batch().refused(422, "nothing-to-pay")
    s.treasurer.post(f"/v1/paymentBatches/{batch['id']}:import", rows().encode(), headers=CSV).refused(422, "payment-file-mismatch")
    s.treasurer.get(f"/v1/paymentBatches/{batch['id']}/orders").refused(400, "invalid-argument")
    s.county.get(f"/v1/paymentBatches/{batch['id']}/orders?purpose={quote(WHY)}").refused(403)
    file = s.treasurer.bank_file(batch)
    expect("columns", list(file[0]), ["number", "name", "account", "amount", "remark"])
    expect("the bank file", sorted((o["name"], o["account"], o["amount"]) for o in file),
           sorted((r["name"], r["account"], f"{(n + 1) * 100}.00") for n, r in enumerate(people)))
    expect("exported", s.treasurer.read_batch(batch)["state"], "EXPORTED")
    audit = json.loads(s.cli("audit", "care", "--json", "--set", f"subject={batch['id']}").stdout)["entries"]
    assert any(e["method"].endswith("ListBankOrders") and e.get("purpose") == WHY for e in audit), audit
    done = s.treasurer.answer(batch, rows(*((o, "成功", "") for o in file)))
    expect("taken", (done["rowsAccepted"], done["rowsRefused"]), (5, 0))
    batch = s.treasurer.read_batch(batch)
    expect("reconciled", (batch["state"], batch["paid"]), ("RECONCILED", 5))
    expect("paid", [(case_of(s, c)["state"], case_of(s, c)["paid"]) for c in cases], [("DONE", str((n + 1) * 100 * YUAN)) for n in range(5)])
    p = s.county.post(f"/v1/cases/{cases[0]['id']}:act", {"action": "reopen"}).refused(422, "case-paid")
    assert "aid" in p["detail"], p
    after = s.books.balance(s.budget)
    expect("spent", (after[2] - before[2], after[3]), (1500 * YUAN, before[3]))
    expect("told", [events(s, "BenefitPaid", c) for c in cases], [1] * 5)
    s.treasurer.post(f"/v1/paymentBatches/{batch['id']}:import", rows((file[0], "失败", "")).encode(), headers=CSV).refused(422, "payment-file-mismatch")
    expect("accounts in clear", files_with(s, {r["account"]: r["account"].encode() for r in people}), [])
    check_books(s)


@story("every row that does not fit is refused with its code, the rest is taken, and the same file again changes nothing")
def answers(s):
    cases = [granted(s, enter(s), 1) for _ in range(4)]
    batch = s.treasurer.batch("aid").ok()
    file = s.treasurer.bank_file(batch)
    a, b, c, d = file
    text = rows((a, "paid", ""), (b, "unknown", ""), (c, "returned", "无此户 6222021234567890123"), ({**d, "amount": "100.01"}, "paid", ""),
                ({**d, "amount": "many"}, "paid", ""), (d, "maybe", ""), ({**d, "number": "P1"}, "paid", ""), (a, "returned", ""))
    checked = s.treasurer.answer(batch, text, "?validateOnly=true")
    expect("checked", (checked["rowsAccepted"], checked["rowsRefused"]), (3, 5))
    expect("nothing was taken", (s.treasurer.read_batch(batch)["paid"], s.treasurer.read_batch(batch)["unknown"]), (0, 0))
    done = s.treasurer.answer(batch, text)
    expect("taken", (done["rowsAccepted"], done["rowsUnchanged"], done["rowsRefused"]), (3, 0, 5))
    expect("refused", [(e["row"], e["code"]) for e in done["errors"]],
           [(5, "amount-differs"), (6, "amount-invalid"), (7, "status-invalid"), (8, "payment-unknown"), (9, "answered-otherwise")])
    again = s.treasurer.answer(batch, text)
    expect("again", (again["rowsAccepted"], again["rowsUnchanged"], again["rowsRefused"]), (0, 3, 5))
    held = s.treasurer.read_batch(batch)
    expect("the batch", [held.get(k, 0) for k in ("state", "paid", "returned", "unknown")], ["EXPORTED", 1, 1, 1])
    states = {p["number"]: p for p in s.treasurer.payments() if p["batch"] == batch["id"]}
    expect("states", [states[o["number"]]["state"] for o in file], ["PAID", "UNKNOWN", "RETURNED", "BATCHED"])
    expect("the reason", states[c["number"]]["bankReason"], "无此户 *")
    expect("what the bank has answered is not sent once more", [o["number"] for o in s.treasurer.bank_file(batch)], [d["number"]])
    rest, begun = rows((b, "paid", ""), (d, "成功", "")), []
    threads = [threading.Thread(target=lambda: begun.append(s.treasurer.begin(batch, rest))) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(begun) == 3 and all(r.status in (200, 422) for r in begun), [r.status for r in begun]  # 422: the first had all
    ends = [s.treasurer.taken(r.json) for r in begun if r.status == 200]
    assert sum(o["rowsAccepted"] for o in ends) == 2 and not any(o["rowsRefused"] for o in ends), ends
    expect("all is answered", s.treasurer.read_batch(batch)["state"], "RECONCILED")
    expect("told once", sorted(events(s, "BenefitPaid", x) for x in cases), [0, 1, 1, 1])
    check_books(s)


@story("a payment that came back stays reserved, makes a task, goes out once more to the account that the person has now, or is given up")
def returned(s):
    people = [enter(s), enter(s)]
    cases = [granted(s, r, 3) for r in people]
    before = s.books.balance(s.budget)
    batch = s.treasurer.batch("aid").ok()
    file = s.treasurer.bank_file(batch)
    s.treasurer.answer(batch, rows(*((o, "失败", "账户已销户") for o in file)))
    expect("still reserved", s.books.balance(s.budget), before)
    expect("told", [events(s, "PaymentReturned", c) for c in cases], [1, 1])
    expect("a task each", payment_tasks(s, cases), sorted(c["id"] for c in cases))
    expect("nothing is ready", s.treasurer.payments("READY"), [])
    one, two = (s.treasurer.payment_of(c) for c in cases)
    new = bank_account(next(_numbers))
    s.call("PATCH", f"/v1/recipients/{people[0]['id']}", {"bankAccount": new}, token=s.clerk.token).ok()
    settled = s.treasurer.post(f"/v1/payments/{one['id']}:settle", {}).ok()
    expect("ready again", settled["state"], "READY")
    s.treasurer.post(f"/v1/payments/{one['id']}:settle", {}).refused(422, "payment-state")
    expect("given up", s.treasurer.post(f"/v1/payments/{two['id']}:settle", {"giveUp": True}).ok()["state"], "VOID")
    expect("given back", s.books.balance(s.budget)[4], before[4] + 300 * YUAN)
    expect("the case ends", case_of(s, cases[1])["state"], "ENDED")
    expect("no task is left", payment_tasks(s, cases), [])
    again = s.treasurer.batch("aid").ok()
    file = s.treasurer.bank_file(again)
    expect("to the new account", [(o["number"], o["account"]) for o in file], [(one["number"], new)])
    s.treasurer.answer(again, rows((file[0], "paid", "")))
    expect("paid", case_of(s, cases[0])["state"], "DONE")
    expect("the first batch says what it said", s.treasurer.read_batch(batch)["returned"], 2)
    check_books(s)


@story("who approved a payment does not make its batch; who is elsewhere sees nothing of it")
def own(s):
    both = Person(s, COUNTY, "approver", "treasurer")
    case = granted(s, enter(s), 1, by=both)
    both.batch("aid").refused(403, "own-case")
    expect("nothing was taken", s.treasurer.payment_of(case)["state"], "READY")
    other = Office(s, OTHER_COUNTY, "treasurer")
    other.get(f"/v1/payments?organization={COUNTY}").refused(404)
    other.batch().refused(404)
    batch = s.treasurer.batch("aid").ok()
    for refused in (other.get(f"/v1/paymentBatches/{batch['id']}"), other.get(f"/v1/paymentBatches/{batch['id']}/orders?purpose={quote(WHY)}"),
                    other.post(f"/v1/paymentBatches/{batch['id']}:import", rows().encode(), headers=CSV),
                    other.post(f"/v1/payments/{s.treasurer.payment_of(case)['id']}:settle", {})):
        refused.refused(404)


@story("what is set aside for a case is neither posted nor voided by hand: its payment would not know; what was paid can be reversed")
def by_hand(s):
    case = granted(s, enter(s), 1)
    pending, = s.rows("care", f"SELECT pending FROM care_payment WHERE case_id = '{case['id']}'")[0]
    for kind in ("POST", "VOID"):
        p = s.books.settle(kind, {"id": pending.strip()}).refused(422, "transfer-of-case")
        assert case["id"] in p["detail"], p
    s.books.settle("POST", {"id": pending.strip()}, amount="1").refused(422, "transfer-of-case")
    batch = s.treasurer.batch("aid").ok()
    s.treasurer.answer(batch, rows(*((o, "paid", "") for o in s.treasurer.bank_file(batch))))
    expect("paid", case_of(s, case)["state"], "DONE")
    s.books.settle("POST", {"id": pending.strip()}).refused(422, "transfer-of-case")
    post, = s.rows("care", f"SELECT id FROM ledger_transfer WHERE of_id = '{pending.strip()}'")[0]
    s.books.settle("REVERSAL", {"id": post}, reason="重复发放").ok()
    expect("faults", verify(s)["findings"], [])
    check_books(s)


@story("a person who has no account any more is not paid: the payment comes back by itself")
def no_account(s):
    people = [enter(s), enter(s), enter(s)]
    cases = [granted(s, r, 1) for r in people]
    batch = s.treasurer.batch("aid").ok()
    s.call("PATCH", f"/v1/recipients/{people[0]['id']}?updateMask=bankAccount", {"bankAccount": ""}, token=s.clerk.token).ok()
    file = s.treasurer.bank_file(batch)
    expect("the others", {o["name"] for o in file} <= {r["name"] for r in people[1:]} and len(file), 2)
    expect("came back", s.treasurer.payment_of(cases[0])["state"], "RETURNED")
    s.treasurer.post(f"/v1/payments/{s.treasurer.payment_of(cases[0])['id']}:settle", {}).refused(422, "bank-account-missing")


@story("a case about an organisation pays that one: the bank file has its name")
def about_organization(s):
    publish(s, "project", "project", 100_000 * YUAN, forOrganization=True)
    case = s.clerk.post("/v1/cases", {"programme": "project", "organization": VILLAGE, "facts": [{"name": "days", "value": "3"}]}).ok()
    s.county.post(f"/v1/cases/{case['id']}:act", {"action": "approve"}).ok()
    batch = s.treasurer.batch("project").ok()
    file = s.treasurer.bank_file(batch)
    name = s.call("GET", f"/v1/organizations/{VILLAGE}", token=s.login("admin")).ok()["name"]
    expect("to the village", [(o["name"], o["account"], o["amount"]) for o in file], [(name, "", "300.00")])
    s.treasurer.answer(batch, rows((file[0], "paid", "")))
    expect("paid", case_of(s, case)["state"], "DONE")


@story("many who make batches at once send each payment once")
def rush(s):
    cases = [granted(s, enter(s), 1) for _ in range(12)]
    offices = [Office(s, COUNTY, "treasurer") for _ in range(6)]
    made = [None] * len(offices)

    def go(i):
        made[i] = offices[i].batch("aid")

    threads = [threading.Thread(target=go, args=(i,)) for i in range(len(offices))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    batches = [m.json for m in made if m.status == 200]
    assert batches and all(m.status in (200, 422) for m in made), [m.status for m in made]
    sent = [o["number"] for b in batches for o in s.treasurer.bank_file(b)]
    expect("each once", (len(sent), len(set(sent))), (sum(b["payments"] for b in batches), len(sent)))
    assert {s.treasurer.payment_of(c)["number"] for c in cases} <= set(sent)


@story("killed again and again while batches are made and answers are taken, the service sends and pays each payment once")
def killed(s):
    rng, kills, cases = random.Random(7), [], []

    def kill():
        if s.pid("care-1"):
            kills.append(s.kill("care-1"))

    def settled(ask):
        """The answer, once there is a service to give it."""
        answers = []

        def asked():
            answers.append(ask())
            return answers[-1].status not in (502, 503, 504)

        wait_until("it answers again", asked, 30)
        return answers[-1]

    for _ in range(4):
        cases += [granted(s, enter(s), 1) for _ in range(20)]
        killer = threading.Timer(rng.random() / 50, kill)
        killer.start()
        settled(lambda: s.treasurer.batch("aid"))  # asked again it finds nothing more, if it was made
        killer.join()
        settled(lambda: s.treasurer.get(f"/v1/payments?organization={COUNTY}"))
        batch = {"id": s.treasurer.payment_of(cases[-1])["batch"]}
        file = s.treasurer.bank_file(batch)
        begun = settled(lambda: s.treasurer.begin(batch, rows(*((o, "paid", "") for o in file)))).ok()
        kill()
        ended = lambda: settled(lambda: s.treasurer.get(f"/v1/careOperations/{begun['id']}")).ok()["state"] != "RUNNING"
        wait_until("the answer has been taken", ended, 30)
        expect("all of it", s.treasurer.read_batch(batch)["state"], "RECONCILED")
    assert len(set(kills)) > 3, kills
    expect("paid", {case_of(s, c)["paid"] for c in cases}, {str(100 * YUAN)})
    expect("told once", [events(s, "BenefitPaid", c) for c in cases], [1] * len(cases))
    lines = s.rows("care", "SELECT payment FROM care_payment_line l JOIN care_payment p ON p.id = l.payment "
                           f"WHERE p.case_id IN ({', '.join(repr(c['id']) for c in cases)})")
    expect("in one batch each", (len(lines), len(set(lines))), (len(cases), len(cases)))
    check_books(s)


# --- for everybody -----------------------------------------------------------------------------------------------------


@story("what was paid from a fund is for everybody to read: masked names, and none where fewer than five were paid")
def disclosed(s):
    fund, _ = publish(s, "open", "open", 100_000 * YUAN)
    people = [enter(s) for _ in range(5)]
    for r in people[:4]:
        granted(s, r, 1, programme="open")
    batch = s.treasurer.batch("open").ok()
    s.treasurer.answer(batch, rows(*((o, "paid", "") for o in s.treasurer.bank_file(batch))))
    listed = s.call("GET", f"/v1/funds/{fund['id']}/disclosures").ok()["disclosures"]
    expect("without names", [(d.get("nameMasked", ""), d["amount"], d["organization"], d["programme"]) for d in listed],
           [("", str(100 * YUAN), COUNTY, "open")] * 4)
    granted(s, people[4], 2, programme="open")
    batch = s.treasurer.batch("open").ok()
    s.treasurer.answer(batch, rows(*((o, "paid", "") for o in s.treasurer.bank_file(batch))))
    listed = s.call("GET", f"/v1/funds/{fund['id']}/disclosures").ok()["disclosures"]
    expect("masked", sorted(d["nameMasked"] for d in listed), sorted(r["name"][0] + "＊" * (len(r["name"]) - 1) for r in people))
    pages, token = [], ""
    while True:
        page = s.call("GET", f"/v1/funds/{fund['id']}/disclosures?pageSize=2&pageToken={token}").ok()
        pages += page["disclosures"]
        token = page.get("nextPageToken", "")
        if not token:
            break
    expect("page by page", pages, listed)
    s.call("POST", f"/v1/recipients/{people[0]['id']}:erase", {"purpose": "本人要求"}, token=s.login("admin")).ok()
    left = s.call("GET", f"/v1/funds/{fund['id']}/disclosures").ok()["disclosures"]
    expect("one is erased", sorted(d.get("nameMasked", "") for d in left).count(""), 1)
    traces = {"account": people[0]["account"].encode(), "masked": people[0]["bankAccountMasked"].encode()}
    wait_until("nothing is left of their account", lambda: not files_with(s, traces), 30, 0.5)
    accounts = s.books.list(f"/v1/ledgerAccounts?organization={COUNTY}&fund={fund['id']}", "accounts")
    spent = next(a for a in accounts if a["kind"] == "SPENT")
    last = next(t for t in s.books.listed(spent) if t["kind"] == "POST")
    s.books.settle("REVERSAL", last, reason="重复发放").ok()
    expect("what was reversed is not there", len(s.call("GET", f"/v1/funds/{fund['id']}/disclosures").ok()["disclosures"]), 4)
    s.call("GET", f"/v1/funds/{uuid.uuid4()}/disclosures").refused(404)


@story("figures stand at each level without what is too few, and without what would give it away; after a restore they are the same")
def figures(s):
    publish(s, "figured", "figured", 100_000 * YUAN)
    cases = [opened(s, enter(s), 1, "figured") for _ in range(7)]
    few = [opened(s, enter(s, NEXT_VILLAGE), 1, "figured", NEXT_VILLAGE) for _ in range(3)]
    for c in cases:
        s.county.post(f"/v1/cases/{c['id']}:act", {"action": "approve"}).ok()
    for c in few[:2]:
        s.county.post(f"/v1/cases/{c['id']}:act", {"action": "refuse", "reason": "不符合"}).ok()
    batch = s.treasurer.batch("figured").ok()
    s.treasurer.answer(batch, rows(*((o, "paid", "") for o in s.treasurer.bank_file(batch))))
    year, admin = cases[0]["createTime"][:4], s.login("admin")

    def read(organization):
        f = s.call("GET", f"/v1/programmes/figured/figures?organization={organization}&year={year}", token=admin).ok()
        return f, {p["organization"]: p for p in f.get("below", [])}

    def said(f):
        return [int(f[k]) for k in ("opened", "granted", "refused", "amount")], f.get("suppressed", [])

    wait_until("all is counted", lambda: int(read(COUNTY)[0]["amount"]) == 700 * YUAN)
    for place in ("43", "4301", COUNTY, TOWN):
        expect(place, said(read(place)[0]), ([10, 7, 0, 700 * YUAN], ["refused"]))
    town, villages = read(TOWN)
    expect("seven and three: neither is said, since the sum is", [said(villages[v]) for v in (VILLAGE, NEXT_VILLAGE)],
           [([0, 7, 0, 700 * YUAN], ["opened"]), ([0, 0, 0, 0], ["opened", "refused"])])
    for v in (VILLAGE, NEXT_VILLAGE):
        expect("nor further below", said(read(v)[0]), said(villages[v]))
    viewer = Office(s, "43", "viewer")
    viewed = lambda: viewer.get(f"/v1/programmes/figured/figures?organization=43&year={year}").ok()
    steps = viewed()
    expect("in steps, to who may not read cases", said(steps), ([10, 5, 0, 0], ["refused", "amount"]))
    granted(s, enter(s), 1, programme="figured")
    wait_until("one more is counted", lambda: said(read("43")[0])[0][:2] == [11, 8])
    expect("today less yesterday is nobody", viewed(), steps)
    before = read("43"), read(COUNTY), read(TOWN)

    keep, s.keep = s.keep, True
    s.stop()
    s.execute("care", "DELETE FROM rpc_epoch", "UPDATE care_figure SET opened = 77", "DELETE FROM care_figure_case")
    s.keep = keep
    s.start()
    wait_until("after a restore all is counted anew", lambda: (read("43"), read(COUNTY), read(TOWN)) == before, 20)
    expect("another year", said(s.call("GET", f"/v1/programmes/figured/figures?organization=43&year=2031", token=admin).ok()), ([0] * 4, []))
    s.call("GET", f"/v1/programmes/figured/figures?organization={OTHER_COUNTY}&year={year}", token=s.treasurer.token).refused(404)


# --- what the verification finds ---------------------------------------------------------------------------------------


def other(s, table, column, value, where):
    """A row with something else in it, and how it was."""
    old, = s.rows("care", f"SELECT {column} FROM {table} WHERE {where}")[0]
    quoted = lambda x: str(x) if isinstance(x, int) else "'" + x.replace("'", "''") + "'"
    changed = where.replace(f"{column} = {quoted(old)}", f"{column} = {quoted(value)}")
    return f"UPDATE {table} SET {column} = {quoted(value)} WHERE {where}", f"UPDATE {table} SET {column} = {quoted(old)} WHERE {changed}"


def again(s, table, where, **changed):
    """A copy of a row, and without it."""
    names = s.columns("care", table)
    values = ", ".join(changed.get(n, n) for n in names)
    return (f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} WHERE {where}",
            f"DELETE FROM {table} WHERE {next(iter(changed))} = {next(iter(changed.values()))}")


def without(s, table, where):
    names = ", ".join(s.columns("care", table))
    return ((f"CREATE TABLE kept AS SELECT {names} FROM {table} WHERE {where}", "DROP TABLE kept"),
            (f"DELETE FROM {table} WHERE {where}", f"INSERT INTO {table} ({names}) SELECT {names} FROM kept"))


@story("the verification names each payment, case and cap that is not what was decided, set aside and posted, and nothing else")
def verification(s):
    caps = [{"code": "days-a-year", "measure": "UNITS", "fact": "days", "period": "YEAR", "yearStart": "01-01", "most": 30, "beyond": "CUT"}]
    publish(s, "capped", "capped", 100_000 * YUAN, caps=caps)
    people = [enter(s) for _ in range(4)]
    cases = [granted(s, r, 3, programme="capped") for r in people[:3]]
    batch = s.treasurer.batch("capped").ok()
    file = {o["number"]: o for o in s.treasurer.bank_file(batch)}
    paid, up, void = (s.treasurer.payment_of(c) for c in cases)
    s.treasurer.answer(batch, rows((file[paid["number"]], "paid", ""), (file[up["number"]], "returned", ""), (file[void["number"]], "returned", "")))
    s.treasurer.post(f"/v1/payments/{void['id']}:settle", {"giveUp": True}).ok()
    ready = s.treasurer.payment_of(granted(s, people[3], 4, programme="capped"))
    signed(s)
    found = verify(s)
    expect("sound", (found["findings"], found["decisions"]), ([], s.rows("care", "SELECT COUNT(*) FROM care_decision")[0][0]))
    assert "what was decided and paid is in it" in s.cli("ledger", "verify", *store_of(s)).stdout
    of = lambda p: f"id = '{p['id']}'"
    decision = {p["id"]: s.rows("care", f"SELECT decision FROM care_payment WHERE {of(p)}")[0][0] for p in (paid, up, void, ready)}
    decided = lambda p: f"id = '{decision[p['id']]}'"
    pending = {p["id"]: s.rows("care", f"SELECT pending FROM care_payment WHERE {of(p)}")[0][0].strip() for p in (paid, up, void, ready)}
    set_aside = lambda p: f"id = '{pending[p['id']]}'"
    settled = lambda p: f"of_id = '{pending[p['id']]}'"
    holder, case = people[0]["id"], f"id = '{cases[0]['id']}'"
    post = {"id": "'forged'", "debit_number": "debit_number + 1000", "credit_number": "credit_number + 1000"}
    unique = ("DROP INDEX ledger_transfer_of", "CREATE UNIQUE INDEX ledger_transfer_of ON ledger_transfer (of_id) WHERE of_id IS NOT NULL")
    uses, = s.rows("care", f"SELECT uses FROM care_decision WHERE {decided(paid)}")[0]
    cap = f"days-a-year of capped for {holder} from "
    for what, words, *changes in (
        ("paid, and said to be ready", (paid["number"] + " is READY", paid["number"] + " is not what its batches say"), other(s, "care_payment", "state", 1, of(paid))),
        ("ready, and said to be paid", (ready["number"] + " is PAID",), other(s, "care_payment", "state", 3, of(ready))),
        ("returned, and said to be void", (up["number"] + " is VOID",), other(s, "care_payment", "state", 6, of(up))),
        ("another amount", (f"payment {paid['number']} is not of what decision {decision[paid['id']]}",), other(s, "care_payment", "amount", 1, of(paid))),
        ("of other money", (f"payment {ready['number']} is not of what",), other(s, "care_payment", "pending", pending[up["id"]] + "\n", of(ready))),
        ("two payments of one decision", (decision[paid["id"]] + " is paid by more than one",), again(s, "care_payment", of(paid), id="'forged'", number="'P1'")),
        ("a payment of no decision", (f"payment {ready['number']} is of no decision", decision[ready["id"]]), other(s, "care_payment", "decision", "gone", of(ready))),
        ("posted before it was paid", (f"payment {ready['number']}: transfer {pending[ready['id']]} should be set aside, and is posted",),
         again(s, "ledger_transfer", settled(paid), **post, of_id=f"'{pending[ready['id']]}'")),
        ("posted after it was given up", (f"{pending[void['id']]} should be voided, and is posted",), other(s, "ledger_transfer", "kind", 3, settled(void))),
        ("posted in part", (f"payment {paid['number']}: transfer {pending[paid['id']]} was posted in part",), other(s, "ledger_transfer", "amount", 1, settled(paid))),
        ("posted twice", (f"transfer {pending[paid['id']]} was settled more than once",), unique, again(s, "ledger_transfer", settled(paid), **post)),
        ("set aside for another case", (f"transfer {pending[ready['id']]} was not set aside for its case",), other(s, "ledger_transfer", "case_id", cases[0]["id"], set_aside(ready))),
        ("set aside for a case by nobody", ("transfer forged was set aside for a case",), again(s, "ledger_transfer", set_aside(ready), **post)),
        ("gone", (f"decision {decision[ready['id']]}: transfer {pending[ready['id']]} is not there",), *without(s, "ledger_transfer", set_aside(ready))),
        ("a returned line said to be paid", (f"payment {up['number']} is not what its batches say",), other(s, "care_payment_line", "state", 3, f"number = '{up['number']}'")),
        ("one more unanswered", (f"batch {batch['id']}",), other(s, "care_payment_batch", "unanswered", 1, of(batch))),
        ("another amount of the batch", (f"batch {batch['id']}",), other(s, "care_payment_batch", "amount", 1, of(batch))),
        ("more decided", (decision[paid["id"]] + " gives 30001, and 30000",), other(s, "care_decision", "amount", 30001, decided(paid))),
        ("given, and said to be given back", (decision[paid["id"]] + " is given back, and its payment",), other(s, "care_decision", "state", 3, decided(paid))),
        ("a state that there is not", (decision[paid["id"]] + " is in a state",), other(s, "care_decision", "state", 9, decided(paid))),
        ("a decision of another case", (f"payment {paid['number']} is of no decision",), other(s, "care_decision", "case_id", cases[1]["id"], decided(paid))),
        ("a decision of no case", (decision[paid["id"]] + " is of no case",), other(s, "care_decision", "case_id", "gone", decided(paid))),
        *((f"another {column} of the case", (f"case {cases[0]['id']}",), other(s, "care_case", column, 77, case)) for column in ("granted", "reserved", "paid")),
        ("less used of a cap", ("cap " + cap,), other(s, "care_cap_use", "used", 2, f"holder = '{holder}'")),
        ("more used of a cap than there is", (f"cap days-a-year of capped for {holder}: 31 is used, and 30 is the most",),
         other(s, "care_cap_use", "used", 31, f"holder = '{holder}'"), other(s, "care_decision", "uses", uses.replace(" 3\n", " 31\n"), decided(paid))),
        ("the cap of somebody else", ("cap " + cap,), other(s, "care_cap_use", "holder", "nobody", f"holder = '{holder}'")),
        ("a cap that was forgotten", ("cap " + cap,), *without(s, "care_cap_use", f"holder = '{holder}'")),
        ("uses that were forgotten", ("cap " + cap,), other(s, "care_decision", "uses", "", decided(paid))),
        ("uses that are none", ("cap " + cap, "cap  of capped for nonsense"), other(s, "care_decision", "uses", "nonsense", decided(paid))),
        ("another amount for everybody to read", (pending[paid["id"]] + " set aside was given, and is not told",), other(s, "care_disclosure", "amount", 1, f"pending = '{pending[paid['id']]}'")),
        ("nothing for everybody to read", (pending[paid["id"]] + " set aside was given, and is not told",), *without(s, "care_disclosure", f"pending = '{pending[paid['id']]}'")),
        ("told, and not given", ("forged set aside is told",), again(s, "care_disclosure", f"pending = '{pending[paid['id']]}'", pending="'forged'")),
    ):
        with forged(s, *changes) as found:
            finds(what, found, *words)
    expect("all is as it was", verify(s)["findings"], [])


if __name__ == "__main__":
    main(scene())
