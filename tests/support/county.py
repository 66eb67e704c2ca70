# SPDX-License-Identifier: Apache-2.0
"""The offices of one county, and of the city and the province above it, as people with accounts; what they do in a year of care."""
import csv
import datetime
import glob
import io
import itertools
import json
import os
import time
import uuid
from urllib.parse import quote

from .callers import PASSWORD
from .care import CITY, COUNTY, NEXT_VILLAGE, TOWN, VILLAGE
from .people import id_number
from .stack import ROOT
from .story import expect, wait_until

PROVINCE = "43"
CHINA = datetime.timezone(datetime.timedelta(hours=8))
CSV = {"Content-Type": "text/csv"}
PROGRAMMES = sorted(os.path.basename(f)[:-5] for f in glob.glob(os.path.join(ROOT, "services/care/programmes/*.json")))


def luhn(digits):
    total = sum(sum(divmod(int(c) * (2 - i % 2), 10)) for i, c in enumerate(reversed(digits)))
    return digits + str(-total % 10)


_numbers = itertools.count(1)


def facts(**values):
    return [{"name": k, "value": str(v)} for k, v in values.items()]


def papers(*kinds):
    return [{"kind": k, "uri": "https://files.example.org/" + k, "sha256": "0" * 64} for k in kinds]


class Somebody:
    """A person with an account and its roles, who signs in when there is need: a year is longer than a session."""

    def __init__(self, s, organization, *roles):
        self.s, self.organization, self.token, self.login = s, organization, None, "year-" + uuid.uuid4().hex[:12]
        body = {"login": self.login, "organization": organization,
                "grants": [{"role": "ROLE_" + role, "organization": organization} for role in roles]}
        self.id = s.call("POST", "/v1/accounts", {"account": body, "password": PASSWORD}, token=s.login("admin")).ok()["id"]

    def sign_in(self):
        return self.s.call("POST", "/v1/sessions", {"login": self.login, "password": PASSWORD}).ok()["token"]

    def call(self, method, path, body=None, headers=None):
        for again in (True, False):
            self.token = self.token or self.sign_in()
            r = self.s.call(method, path, body, token=self.token, headers=headers)
            if r.status != 401 or not again:
                return r
            self.token = None

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body=None, headers=None):
        return self.call("POST", path, {} if body is None else body, headers)

    def act(self, case, action, **fields):
        return self.post(f"/v1/cases/{case['id']}:act", {"action": action, **fields})

    def case(self, case):
        return self.get(f"/v1/cases/{case['id']}").ok()

    def tasks(self, case=None, kind=None):
        found = self.get(f"/v1/tasks?organization={self.organization}&pageSize=1000").ok().get("tasks", [])
        return [t for t in found if (not case or t["caseId"] == case["id"]) and (not kind or t["kind"] == kind)]

    def all(self, path, items):
        """Every page of a list."""
        found, page = [], ""
        while True:
            r = self.get(path + ("&" if "?" in path else "?") + f"pageSize=20&pageToken={page}").ok()
            found += r.get(items, [])
            page = r.get("nextPageToken", "")
            if not page:
                return found


class Admin(Somebody):
    """The province's, who was there before."""

    def __init__(self, s):
        self.s, self.organization, self.token = s, PROVINCE, None

    def sign_in(self):
        return self.s.login("admin")


# --- time ------------------------------------------------------------------------------------------------------------------


def now(s):
    return datetime.datetime.fromtimestamp(time.time() + s.offset / 1e6, CHINA)


def at(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(CHINA)


def begin(s, date):
    """Before the stack starts."""
    s.offset = int((datetime.datetime.fromisoformat(date + "T09:00:00+08:00").timestamp() - time.time()) * 1e6)


def until(s, date):
    """Half past nine in the morning of that day."""
    left = (datetime.datetime.fromisoformat(date + "T09:30:00+08:00") - now(s)).total_seconds()
    assert left > 0, f"it is {now(s)} already"
    s.advance(left)


# --- persons and cases -------------------------------------------------------------------------------------------------------


def enter(s, name, organization=VILLAGE, clerk=None, **fields):
    n = next(_numbers)
    body = {"organization": organization, "name": name, "idNumber": id_number(n * 7), "bankAccount": luhn("622202%012d" % n), **fields}
    made = (clerk or s.clerk).post("/v1/recipients", body).ok()
    return {**made, "name": name, "idNumber": body["idNumber"], "account": body["bankAccount"]}


def ask(s, programme, person, clerk=None, organization=VILLAGE, **fields):
    body = {"programme": programme, "organization": organization, **({"recipient": person["id"]} if person else {}), **fields}
    return (clerk or s.clerk).post("/v1/cases", body)


def notice_of(s, person, organization=VILLAGE):
    """The newest about a person, or an organisation's: for everybody to read."""
    notices = s.call("GET", f"/v1/notices?organization={organization}&pageSize=1000").ok().get("notices", [])
    return max((n for n in notices if not person or n["nameMasked"][0] == person["name"][0]), key=lambda n: n["id"])


def object_to(s, notice, text):
    return s.call("POST", "/v1/objections", {"notice": notice["id"], "text": text}).ok()


def wait_stage(who, case, *stages):
    return wait_until(f"the case is at {stages}", lambda: (lambda c: c if c["stage"] in stages or c["state"] in stages else None)(who.case(case)))


def notice_over(s, notice, who, *cases):
    """The day comes, and each goes on by itself."""
    s.advance((at(notice["endTime"]) - now(s)).total_seconds() + 60)
    for case in cases:
        wait_until("the notice is over", lambda case=case: who.case(case)["stage"] != "notice")


# --- the bank ----------------------------------------------------------------------------------------------------------------


def batch_of(treasurer, programme=""):
    return treasurer.post("/v1/paymentBatches", {"organization": treasurer.organization, "programme": programme}).ok()


def orders_of(treasurer, batch):
    r = treasurer.call("GET", f"/v1/paymentBatches/{batch['id']}/orders?purpose={quote('按月发放')}", headers={"Accept": "text/csv"})
    assert r.status == 200, r.body
    return list(csv.DictReader(io.StringIO(r.body.decode())))


def answered(treasurer, batch, *rows):
    """rows: (order, status, reason)."""
    text = "编号,金额,状态,原因\r\n" + "".join(f"{o['number']},{o['amount']},{status},{reason}\r\n" for o, status, reason in rows)
    begun = treasurer.post(f"/v1/paymentBatches/{batch['id']}:import", text.encode(), CSV).ok()
    done = ended(treasurer, begun)
    expect("rows that the bank's file has wrong", done.get("rowsRefused", 0), 0)
    return treasurer.get(f"/v1/paymentBatches/{batch['id']}").ok()


def ended(who, operation):
    def look():
        o = who.get(f"/v1/careOperations/{operation['id']}").ok()
        return o if o["state"] in ("SUCCEEDED", "FAILED") else None

    return wait_until("the list has been taken", look)


def pay(treasurer, programme=""):
    """All that is ready goes to the bank, which pays it."""
    batch = batch_of(treasurer, programme)
    done = answered(treasurer, batch, *((o, "成功", "") for o in orders_of(treasurer, batch)))
    expect("reconciled", (done["state"], done["paid"]), ("RECONCILED", done["payments"]))
    return done


def payment_of(treasurer, case):
    return next(p for p in treasurer.all(f"/v1/payments?organization={treasurer.organization}", "payments") if p["caseId"] == case["id"])


# --- what is there before the year begins ------------------------------------------------------------------------------------


def staff(s):
    """Who works there: each a person with an account of their own."""
    s.admin = Admin(s)
    s.clerk, s.clerk2 = Somebody(s, VILLAGE, "STAFF"), Somebody(s, NEXT_VILLAGE, "STAFF")
    s.village, s.village2, s.town = Somebody(s, VILLAGE, "APPROVER"), Somebody(s, NEXT_VILLAGE, "APPROVER"), Somebody(s, TOWN, "APPROVER")
    s.county, s.city, s.province = (Somebody(s, o, "APPROVER") for o in (COUNTY, CITY, PROVINCE))
    s.inspector = Somebody(s, COUNTY, "APPROVER")
    s.cashier, s.city_cashier, s.treasury = (Somebody(s, o, "TREASURER") for o in (COUNTY, CITY, PROVINCE))
    s.visitor, s.town_visitor = Somebody(s, VILLAGE, "STAFF"), Somebody(s, TOWN, "STAFF")


def account(who, fund, kind="BUDGET", purpose="", organization=PROVINCE, programme=""):
    body = {"kind": kind, "fund": fund["id"], "organization": organization}
    body.update({} if kind == "SOURCE" else {"purpose": purpose}, **({"programme": programme} if programme else {}))
    return who.post("/v1/ledgerAccounts", {k: v for k, v in body.items() if v}).ok()


def move(who, *transfers):
    """(debit, credit, amount), linked: all or none."""
    rows = [{"kind": "TRANSFER", "debit": d["id"], "credit": c["id"], "amount": str(n)} for d, c, n in transfers]
    return who.post("/v1/transfers", {"transfers": rows})


def fund(who, kind, title, **fields):
    body = {"kind": kind, "title": title, "organization": PROVINCE, **fields}
    # care learns of organisations by following membership's events
    return wait_until("care knows the province", lambda: (lambda r: r.json if r.status == 200 else None)(who.post("/v1/funds", body)))


def balance(who, account):
    return int(who.get(f"/v1/ledgerAccounts/{account['id']}").ok()["available"])


def programmes_in_force(s):
    files = [os.path.join(ROOT, "services/care/programmes", p + ".json") for p in PROGRAMMES]
    s.cli("calendar", "put", os.path.join(ROOT, "services/care/calendar/2026.json"))
    s.cli("programme", "put", *files)
    for p in PROGRAMMES:
        s.admin.post(f"/v1/programmes/{p}:activate", {"version": 1}).ok()


def shipped(programme):
    with open(os.path.join(ROOT, "services/care/programmes", programme + ".json")) as f:
        return json.load(f)
