#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The ledger: what it enters and refuses, what it says of any time, where every fen came from and went, and what its verification finds."""
import contextlib
import datetime
import json
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.ledger import Books, Fen, check_books, recount, rows_of, traced  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

YUAN = 100


@contextlib.contextmanager
def scene():
    with Stack(instances={"care": 1}, clock=True, gateway_options=["--rate-scale=1000"]) as s:
        s.books = Books(s)
        s.books.fund(title="开账")  # once it is there, care knows the organisations
        yield s


def chain_of(b, amount, title="财政专项资金"):
    """A fund with its source, budgets of province, city and county, and what the county has spent."""
    fund = b.fund(title=title)
    accounts = [b.account(fund, "SOURCE")] + [b.account(fund, organization=o) for o in ("43", "4301", "430102")]
    accounts.append(b.account(fund, "SPENT", organization="430102"))
    if amount:
        b.move(accounts[0], accounts[1], amount)
    return fund, *accounts


def rfc3339(us):
    return datetime.datetime.fromtimestamp(us / 1e6, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# --- the budget chain --------------------------------------------------------------------------------------------------


@story("57.50 million yuan come to the province, 51.66 million go on to a city, a county and its people; all the rest stays where it is")
def budget_chain(s):
    b = s.books
    fund, source, province, city, county, spent = chain_of(b, 57_500_000 * YUAN)
    b.move(province, city, 51_660_000 * YUAN)
    b.move(city, county, 51_660_000 * YUAN)
    reserved = b.move(county, spent, 51_000_000 * YUAN, "PENDING")
    b.settle("POST", reserved).ok()
    expect("source", b.balance(source), (0, 0, 5_750_000_000, 0, -5_750_000_000))
    expect("province", b.balance(province), (5_750_000_000, 0, 5_166_000_000, 0, 584_000_000))
    expect("city", b.balance(city)[4], 0)
    expect("county", b.balance(county), (5_166_000_000, 0, 5_100_000_000, 0, 66_000_000))
    expect("spent", b.balance(spent), (5_100_000_000, 0, 0, 0, 5_100_000_000))
    listed = b.list("/v1/ledgerAccounts?organization=4301&fund=" + fund["id"], "accounts")
    expect("accounts at the city and below", [a["id"] for a in listed], [a["id"] for a in sorted((city, county, spent), key=path_and_id)])
    expect("the county's transfers, newest first", [t["kind"] for t in b.listed(county)], ["POST", "PENDING", "TRANSFER"])
    p = b.transfers({"kind": "TRANSFER", "debit": province["id"], "credit": city["id"], "amount": "584000001"}).refused(422, "budget-overdrawn")
    assert "5840000.00 CNY" in p["detail"] and "5840000.01 CNY" in p["detail"] and "43" in p["detail"], p
    check_books(s)


def path_and_id(account):
    return len(account["organization"]), account["id"]


# --- two phases --------------------------------------------------------------------------------------------------------


@story("what is reserved cannot be spent twice; a part that is posted frees the rest, what is voided all of it")
def two_phases(s):
    b = s.books
    _, _, province, city, _, _ = chain_of(b, 1000)
    first = b.move(province, city, 600, "PENDING")
    expect("set aside", b.balance(province), (1000, 0, 0, 600, 400))
    expect("on its way", b.balance(city), (0, 600, 0, 0, 0))
    b.transfers({"kind": "PENDING", "debit": province["id"], "credit": city["id"], "amount": "401"}).refused(422, "budget-overdrawn")
    second = b.move(province, city, 400, "PENDING")
    b.settle("POST", first, amount="601").refused(422, "budget-overdrawn")
    posted = b.settle("POST", first, amount="250").ok()["transfers"][0]
    expect("posted", posted["amount"], "250")
    expect("after a part", b.balance(province), (1000, 0, 250, 400, 350))
    b.settle("VOID", second).ok()
    expect("after all", b.balance(province), (1000, 0, 250, 0, 750))
    for kind in ("POST", "VOID"):
        for settled in (first, second):
            b.settle(kind, settled).refused(422, "transfer-settled")
    b.settle("VOID", posted).refused(422, "transfer-unknown")
    b.settle("POST", {"id": "0197b0a0-0000-7000-8000-000000000001"}).refused(422, "transfer-unknown")


@story("what nobody posts in time is void by itself, and what was posted stays")
def expiry(s):
    b = s.books
    _, _, province, city, _, _ = chain_of(b, 1000)
    soon, later = rfc3339((now(s) + 3600) * 1e6), rfc3339((now(s) + 7200) * 1e6)
    kept = b.move(province, city, 100, "PENDING", expireTime=soon)
    lost = b.move(province, city, 200, "PENDING", expireTime=soon)
    waits = b.move(province, city, 300, "PENDING", expireTime=later)
    b.settle("POST", kept).ok()
    s.advance(3601)
    wait_until("the first is void", lambda: b.balance(province) == (1000, 0, 100, 300, 600), 20)
    void = b.listed(city)[0]
    expect("void", (void["kind"], void["of"], void.get("by", ""), void["amount"]), ("VOID", lost["id"], "", "200"))
    b.settle("POST", lost).refused(422, "transfer-settled")
    s.advance(3601)
    wait_until("the second is void", lambda: b.balance(province) == (1000, 0, 100, 0, 900), 20)
    expect("of what", b.listed(city)[0]["of"], waits["id"])
    expired = b.transfers({"kind": "PENDING", "debit": province["id"], "credit": city["id"], "amount": "1", "expireTime": soon}).refused(400)
    expect("where", expired["violations"][0]["pointer"], "/transfers/0/expireTime")
    check_books(s)


def now(s):
    return datetime.datetime.now(datetime.timezone.utc).timestamp() + s.offset / 1e6


# --- all or none -------------------------------------------------------------------------------------------------------


@story("linked transfers stand or fall together, each upon those before it")
def linked(s):
    b = s.books
    _, _, province, city, county, spent = chain_of(b, 1000)

    def move(debit, credit, amount, kind="TRANSFER"):
        return {"kind": kind, "debit": debit["id"], "credit": credit["id"], "amount": str(amount)}

    p = b.transfers(move(province, city, 900), move(city, county, 800), move(county, spent, 801)).refused(422, "budget-overdrawn")
    expect("nothing of it stays", [b.balance(a)[4] for a in (province, city, county, spent)], [1000, 0, 0, 0])
    assert "8.00" in p["detail"], p
    done = b.transfers(move(province, city, 900), move(city, county, 800), move(county, spent, 700, "PENDING"),
                       {"kind": "POST", "of": "#2", "amount": "650"}, {"kind": "REVERSAL", "of": "#3", "reason": "重复发放"}).ok()["transfers"]
    expect("of", [t.get("of", "") for t in done], ["", "", "", done[2]["id"], done[3]["id"]])
    expect("all of it", [b.balance(a)[4] for a in (province, city, county, spent)], [100, 100, 800, 0])
    b.transfers(move(province, city, 1), {"kind": "POST", "of": "#1"}).refused(422, "transfer-unknown")  # not before it
    b.transfers(move(province, city, 1, "PENDING"), {"kind": "VOID", "of": "#0"}, {"kind": "POST", "of": "#0"}).refused(422, "transfer-settled")
    b.transfers().refused(400)
    b.transfers(*[move(province, city, 1)] * 101).refused(400)
    expect("and still", b.balance(province)[4], 100)
    check_books(s)


@story("the same request again moves nothing again")
def repeated(s):
    b = s.books
    _, _, province, city, _, _ = chain_of(b, 1000)
    body = {"transfers": [{"kind": "TRANSFER", "debit": province["id"], "credit": city["id"], "amount": "10"}]}
    answers = [s.call("POST", "/v1/transfers", body, token=b.token, headers={"Idempotency-Key": "5e9d2f0c-1111-4222-8333-444455556666"}).ok() for _ in range(3)]
    expect("answers", len({json.dumps(a, sort_keys=True) for a in answers}), 1)
    expect("balance", b.balance(province)[4], 990)


# --- purposes ----------------------------------------------------------------------------------------------------------


@story("a donation for schooling pays for a hospital only once the donor has agreed, and only out of accounts of that purpose")
def restricted(s):
    b = s.books
    fund = b.fund("DONATION", title="金秋助学捐款", donor="一位企业家", purposes=["education"])
    source, school = b.account(fund, "SOURCE"), b.account(fund, purpose="education")
    b.move(source, school, 500 * YUAN)
    hospital = {"kind": "BUDGET", "fund": fund["id"], "organization": "43", "purpose": "hospital-care"}
    p = b.post("/v1/ledgerAccounts", hospital).refused(422, "purpose-restricted")
    assert "education" in p["detail"] and "hospital-care" in p["detail"], p
    spent = b.account(fund, "SPENT", purpose="education", programme="autumn-schooling")
    b.post("/v1/ledgerAccounts", {**hospital, "kind": "SPENT", "programme": "hospital-care-subsidy"}).refused(422, "purpose-restricted")

    agreed = b.post(f"/v1/funds/{fund['id']}:recordConsent", {"purpose": "hospital-care", "reference": "捐赠人来函 2026-3"}).ok()
    expect("on record", [(c["purpose"], c["reference"]) for c in agreed["consents"]], [("hospital-care", "捐赠人来函 2026-3")])
    expect("once", len(b.post(f"/v1/funds/{fund['id']}:recordConsent", {"purpose": "hospital-care", "reference": "again"}).ok()["consents"]), 1)
    beds = b.account(fund, purpose="hospital-care")
    cared = b.account(fund, "SPENT", purpose="hospital-care")
    b.post("/v1/ledgerAccounts", {**hospital, "purpose": "loan"}).refused(422, "purpose-restricted")
    b.transfers({"kind": "TRANSFER", "debit": school["id"], "credit": cared["id"], "amount": "1"}).refused(422, "accounts-do-not-fit")
    b.transfers({"kind": "TRANSFER", "debit": beds["id"], "credit": spent["id"], "amount": "1"}).refused(422, "accounts-do-not-fit")
    b.move(school, beds, 100 * YUAN)
    b.move(beds, cared, 100 * YUAN)
    b.move(school, spent, 400 * YUAN)
    other = b.fund(title="另一笔资金")
    there = b.account(other, purpose="education")
    b.transfers({"kind": "TRANSFER", "debit": school["id"], "credit": there["id"], "amount": "1"}).refused(422, "accounts-do-not-fit")
    check_books(s)


@story("goods are counted apart from money, in units of their own")
def goods(s):
    b = s.books
    fund = b.fund("DONATION", title="过冬棉被", unit="quilt", purposes=["comfort"])
    source, store = b.account(fund, "SOURCE"), b.account(fund, purpose="comfort")
    given = b.account(fund, "SPENT", purpose="comfort", programme="comfort")
    expect("units", {a["unit"] for a in (source, store, given)}, {"quilt"})
    b.move(source, store, 120)
    b.move(store, given, 118)
    p = b.transfers({"kind": "TRANSFER", "debit": store["id"], "credit": given["id"], "amount": "3"}).refused(422, "budget-overdrawn")
    assert "2 quilt" in p["detail"] and "3 quilt" in p["detail"], p


# --- correcting --------------------------------------------------------------------------------------------------------


@story("a correction is a transfer the other way, with a reason, once; nothing is changed or deleted")
def reversal(s):
    b = s.books
    _, source, province, city, county, spent = chain_of(b, 1000)
    sent = b.move(province, city, 400)
    b.settle("REVERSAL", sent).refused(400)  # no reason
    back = b.settle("REVERSAL", sent, reason="拨付错误").ok()["transfers"][0]
    expect("the other way", (back["debit"], back["credit"], back["amount"], back["reason"]), (city["id"], province["id"], "400", "拨付错误"))
    b.settle("REVERSAL", sent, reason="再次").refused(422, "transfer-settled")
    b.settle("REVERSAL", back, reason="反悔").refused(422, "transfer-unknown")
    again = b.move(province, city, 400)
    b.move(city, county, 300)
    b.settle("REVERSAL", again, reason="已下拨").refused(422, "budget-overdrawn")  # 300 of it went on
    paid = b.move(county, spent, 200)
    b.transfers({"kind": "TRANSFER", "debit": spent["id"], "credit": county["id"], "amount": "200"}).refused(422, "accounts-do-not-fit")
    b.settle("REVERSAL", paid, reason="账户已注销").ok()
    expect("county", b.balance(county), (500, 0, 200, 0, 300))
    expect("spent", b.balance(spent), (200, 0, 200, 0, 0))
    received = b.listed(source)[-1]
    b.settle("REVERSAL", received, reason="退回").refused(422, "budget-overdrawn")
    check_books(s)


# --- who may -----------------------------------------------------------------------------------------------------------


@story("a county's treasurer spends the county's money and no other; who only reads the ledger moves nothing")
def who_may(s):
    b, county_books, city_books = s.books, Books(s, "430102"), Books(s, "4301")
    reader, other = Books(s, "430102", "approver"), Books(s, "4302")
    fund, source, province, city, county, spent = chain_of(b, 1000)
    b.move(province, city, 500)
    city_books.move(city, county, 300)
    county_books.move(county, spent, 100)
    county_books.move(county, city, 50)  # back up
    for books, debit, credit in ((county_books, city, county), (city_books, province, city), (other, county, spent)):
        books.transfers({"kind": "TRANSFER", "debit": debit["id"], "credit": credit["id"], "amount": "1"}).refused(422, "account-unknown")
    pending = b.move(province, city, 10, "PENDING")
    county_books.settle("POST", pending).refused(422, "transfer-unknown")
    reader.transfers({"kind": "TRANSFER", "debit": county["id"], "credit": spent["id"], "amount": "1"}).refused(403)
    reader.get(f"/v1/ledgerAccounts/{county['id']}").ok()
    reader.get(f"/v1/ledgerAccounts/{city['id']}").refused(404)
    other.get(f"/v1/ledgerAccounts/{county['id']}").refused(404)
    other.get(f"/v1/ledgerAccounts/{county['id']}/transfers").refused(404)
    expect("a fund is read where it is spent", reader.get(f"/v1/funds/{fund['id']}").ok()["title"], fund["title"])
    other.get(f"/v1/funds/{fund['id']}").refused(404)
    county_books.post(f"/v1/funds/{fund['id']}:recordConsent", {"purpose": "loan", "reference": "x"}).refused(404)
    county_books.post("/v1/ledgerAccounts", {"kind": "BUDGET", "fund": fund["id"], "organization": "4301", "purpose": "loan"}).refused(404)
    b.post("/v1/ledgerAccounts", {"kind": "BUDGET", "fund": "0197b0a0-0000-7000-8000-000000000001", "organization": "43", "purpose": "x"}).refused(422, "fund-unknown")
    b.transfers({"kind": "TRANSFER", "debit": "0197b0a0-0000-7000-8000-000000000001", "credit": city["id"], "amount": "1"}).refused(422, "account-unknown")
    same = b.account(fund, organization="430102")
    expect("an account is opened once", same["id"], county["id"])


if __name__ == "__main__":
    main(scene())
