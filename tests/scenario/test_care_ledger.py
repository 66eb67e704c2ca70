#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The ledger: what it enters and refuses, what it says of any time, where every fen came from and went, and what its verification finds."""
import contextlib
import datetime
import json
import os
import random
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.ledger import Books, Fen, check_books, finds, forged, recount, rows_of, signed, store_of, traced, verify  # noqa: E402
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


@story("whoever gave has a receipt: of what came in, in capital figures, with its place in the chain; void once it was taken back")
def receipts(s):
    b, reader, other = s.books, Books(s, "43", "approver"), Books(s, "4302")
    fund = b.fund("DONATION", title="爱心企业捐款", donor="某企业", purposes=["education"])
    source, budget = b.account(fund, "SOURCE"), b.account(fund, purpose="education")
    came = b.move(source, budget, 1000005)
    asked = b.move(source, budget, 300, "PENDING")
    posted = b.settle("POST", asked).ok()["transfers"][0]
    receipt = lambda transfer, who=b: who.get(f"/v1/transfers/{transfer['id']}/receipt")
    got = receipt(came, reader).ok()
    expect("the receipt", [got[k] for k in ("transfer", "fund", "title", "donor", "purposes", "organization", "amount", "amountInWords", "receiveTime")],
           [came["id"], fund["id"], "爱心企业捐款", "某企业", ["education"], "43", "1000005", "壹万元零伍分", came["createTime"]])
    assert got["organizationName"] and not got.get("reversal"), got
    chained = {bytes(leaf).hex() for (leaf,) in wait_until("it is chained", lambda: s.rows("care", f"SELECT leaf FROM ledger_chain WHERE id = '{came['id']}'"))}
    expect("its place in the chain", {got["leaf"]}, chained)
    expect("of what was promised, once it came", receipt(posted).ok()["amountInWords"], "叁元整")
    back = b.settle("REVERSAL", came, reason="捐赠撤回").ok()["transfers"][0]
    expect("void", receipt(came).ok()["reversal"], back["id"])
    goods = b.fund("DONATION", title="轮椅", unit="wheelchair")
    wheelchairs = b.move(b.account(goods, "SOURCE"), b.account(goods, purpose="aid"), 3)
    expect("of goods", (receipt(wheelchairs).ok()["amount"], receipt(wheelchairs).ok()["unit"], receipt(wheelchairs).ok()["amountInWords"]), ("3", "wheelchair", ""))
    sent = b.move(budget, b.account(fund, purpose="education", organization="4301"), 1)
    for none in (asked, back, sent):
        receipt(none).refused(422, "nothing-received")
    receipt(came, other).refused(404, "not-found")
    b.get("/v1/transfers/0197b0a0-0000-7000-8000-000000000001/receipt").refused(404, "not-found")


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


# --- any time ----------------------------------------------------------------------------------------------------------


@story("each account is shown as it stood at any time")
def at_any_time(s):
    b = s.books
    _, *accounts = chain_of(b, 100_000)
    source, province, city, county, spent = accounts
    rng, pending = random.Random(7), []
    for _ in range(120):
        s.advance(rng.choice((0, 0, 1, 60)))
        kind = rng.choice(("TRANSFER", "PENDING", "POST", "VOID", "REVERSAL"))
        if kind in ("TRANSFER", "PENDING"):
            debit, credit = rng.choice(((source, province), (province, city), (city, county), (county, spent), (city, province)))
            r = b.transfers({"kind": kind, "debit": debit["id"], "credit": credit["id"], "amount": str(rng.randint(1, 9000))})
        else:
            r = b.settle(kind, rng.choice(pending), reason="试算") if pending else None
        if r is not None and r.status == 200:
            pending.append(r.json["transfers"][0])
    rows, ours = rows_of(s), {a["id"] for a in accounts}
    times = sorted({r["created_us"] for r in rows if r["debit"] in ours})
    assert len(times) > 40, times
    for t in [times[0] - 1, *rng.sample(times, 25), *(t - 1 for t in rng.sample(times, 10)), times[-1], times[-1] + 10**9]:
        counted = recount(rows, t)
        for account in accounts:
            c = counted.get(account["id"], (0, 0, 0, 0))
            expect(f"account {account['id']} at {t}", b.balance(account, rfc3339(t)), (*c, c[0] - c[2] - c[3]))
    check_books(s)


# --- where it came from and went ---------------------------------------------------------------------------------------


@story("every fen is traced from its grant to whom it reached, and back, as by hand")
def tracing(s):
    b, rng = s.books, random.Random(1160)
    fund, source, province, city, county, spent = chain_of(b, 0)
    other = b.account(fund, purpose="loan", organization="4301")
    lent = b.account(fund, "SPENT", purpose="loan", organization="4301", programme="loan-subsidy")
    ways = [(source, province), (province, city), (province, other), (city, county), (county, spent), (county, city), (other, lent), (city, spent)]
    done = []
    for _ in range(140):
        debit, credit = rng.choice(ways)
        kind = rng.choice(("TRANSFER", "TRANSFER", "PENDING", "POST", "REVERSAL"))
        if kind in ("TRANSFER", "PENDING"):
            r = b.transfers({"kind": kind, "debit": debit["id"], "credit": credit["id"], "amount": str(rng.randint(1, 90))})
        else:
            r = b.settle(kind, rng.choice(done), reason="冲正") if done else None
        if r is not None and r.status == 200:
            done.append(r.json["transfers"][0])
    fen, seen = Fen(s, fund), set()
    posted = [t for t in done if t["kind"] in ("TRANSFER", "POST", "REVERSAL")]
    for t in posted:
        for forward, wanted in ((False, fen.came(t["id"])), (True, fen.went(t["id"]))):
            if max(len(way) for _, way in wanted) > 16:
                continue
            answer = b.trace(t, forward)
            expect("the trace of " + t["id"], traced(answer), wanted)
            expect("its fund", answer["fund"]["id"], fund["id"])
            expect("all of it", sum(int(p["amount"]) for p in answer["parts"]), int(t["amount"]))
            seen.add((forward, len(wanted) > 1))
    expect("each way in one part and in several", len(seen), 4)
    assert any(t["kind"] == "REVERSAL" for t in posted)
    waiting = next(t for t in done if t["kind"] == "PENDING" and not any(o.get("of") == t["id"] for o in done))
    expect("what is only set aside has gone nowhere", b.trace(waiting).get("parts", []), [])
    settled = next(t for t in done if t["kind"] == "PENDING" and any(o.get("of") == t["id"] and o["kind"] == "POST" for o in done))
    post = next(o for o in done if o.get("of") == settled["id"])
    expect("what was posted is traced by its reservation, too", traced(b.trace(settled)), traced(b.trace(post)))
    said = s.cli("ledger", "trace", post["id"]).stdout
    assert fund["title"] in said and "43 source → 43 hospital-care" in said and "CNY" in said, said


# --- many at once ------------------------------------------------------------------------------------------------------


def at_once(s, b, requests, connections=50):
    """(idempotency key, body) of each, by so many clients; those who are told to come again do."""
    answers, left = [], list(requests)
    while left:
        got = s.load([("POST", "/v1/transfers", body, {"Authorization": "Bearer " + b.token, "Idempotency-Key": key}) for key, body in left],
                     connections)
        answers += [a for a in got if a.status not in (0, 503)]
        left = [r for r, a in zip(left, got) if a.status in (0, 503)]
    return answers


@story("50 clients at one account: it is spent to the last fen, and never below zero")
def hot(s):
    b = s.books
    _, _, province, city, county, spent = chain_of(b, 3000)
    rng = random.Random(51)

    def rush(requests):
        return at_once(s, b, requests)

    def take(i, kind, credit):
        return f"hot-{kind}-{i:04d}-{province['id']}", {"transfers": [
            {"kind": kind, "debit": province["id"], "credit": credit["id"], "amount": str(rng.randint(1, 40))}]}

    first = rush(take(i, rng.choice(("TRANSFER", "PENDING")), rng.choice((city, county))) for i in range(400))
    expect("answers", {a.status for a in first}, {200, 422})
    expect("refusals", {a.problem for a in first if a.status == 422}, {"budget-overdrawn"})
    made = [a.json["transfers"][0] for a in first if a.status == 200]
    expect("what is left", b.balance(province)[4], 3000 - sum(int(t["amount"]) for t in made))
    pending = [t for t in made if t["kind"] == "PENDING"]
    settled = rush((f"hot-{kind}-{t['id']}", {"transfers": [{"kind": kind, "of": t["id"]}]}) for t in pending for kind in ("POST", "VOID"))
    expect("each is settled once", (sum(a.status == 200 for a in settled), sum(a.status == 422 for a in settled)), (len(pending), len(pending)))
    expect("nothing is set aside any more", (b.balance(province)[3], b.balance(city)[1], b.balance(county)[1]), (0, 0, 0))
    rush(take(i, "TRANSFER", spent if i < 0 else city) for i in range(1000, 1400))
    rush((f"last-{i}-{province['id']}", {"transfers": [{"kind": "TRANSFER", "debit": province["id"], "credit": city["id"], "amount": "1"}]}) for i in range(60))
    expect("spent to the last fen", b.balance(province)[4], 0)
    check_books(s)


@story("while the service is killed again and again nothing is lost, nothing is done twice, and the chain misses nothing")
def killed(s):
    b = s.books
    _, _, province, city, county, spent = chain_of(b, 100_000)
    rng, kills = random.Random(9), []

    def kill():
        if s.pid("care-1"):
            kills.append(s.kill("care-1"))

    requests = []
    for i in range(2500):
        debit, credit = rng.choice(((province, city), (city, county), (county, spent)))
        reserve = {"kind": "PENDING", "debit": debit["id"], "credit": credit["id"], "amount": str(rng.randint(1, 300))}
        settle = {"kind": rng.choice(("POST", "VOID")), "of": "#0"}
        requests.append((f"kill-{i}-{province['id']}", {"transfers": [reserve, settle] if i % 2 else [reserve]}))
    answers = []
    for i in range(0, len(requests), 500):  # in the midst of each 500
        killer = threading.Timer(0.05, kill)
        killer.start()
        answers += at_once(s, b, requests[i:i + 500])
        killer.join()
    expect("answers", {a.status for a in answers} - {422}, {200})
    assert len(set(kills)) > 2, kills
    made = [t["id"] for a in answers if a.status == 200 for t in a.json["transfers"]]
    check_books(s)
    ours = {r["id"] for r in rows_of(s) if province["id"] in (r["debit"], r["credit"]) or city["id"] in (r["debit"], r["credit"])
            or county["id"] in (r["debit"], r["credit"])}
    expect("what was answered is there, and the grant", (len(made), len(ours)), (len(set(made)), len(made) + 1))
    assert ours > set(made), set(made) - ours
    signed(s)
    expect("faults", verify(s)["findings"], [])


# --- what the verification finds ---------------------------------------------------------------------------------------


@story("the verification finds what was altered, deleted, swapped or forged, wherever it is, and nothing else")
def verification(s):
    b = s.books
    _, source, province, city, county, spent = chain_of(b, 100_000)
    moved = [b.move(province, city, 100 + i) for i in range(12)]
    pending = [b.move(city, county, 10 + i, "PENDING") for i in range(4)]
    b.settle("POST", pending[0]).ok()
    b.settle("VOID", pending[1]).ok()
    restricted_fund = b.fund("DONATION", title="助学", purposes=["education"])
    b.account(restricted_fund, purpose="education")
    state = signed(s)
    expect("sound", (verify(s)["faults"], verify(s)["rows"]), (0, int(state["rows"])))
    assert "as they were entered and signed" in s.cli("ledger", "verify", *store_of(s)).stdout

    t, u = moved[3]["id"], moved[7]["id"]
    columns = ", ".join(c for c in s.columns("care", "ledger_transfer"))
    for column in ("amount", "created_us", "actor", "reason", "credit_credits_posted"):
        value, = s.rows("care", f"SELECT {column} FROM ledger_transfer WHERE id = '{t}'")[0]
        new, old = (f"{int(value) + 1}", f"{value}") if column not in ("actor", "reason") else ("'nobody'", f"'{value}'")
        with forged(s, (f"UPDATE ledger_transfer SET {column} = {new} WHERE id = '{t}'",
                        f"UPDATE ledger_transfer SET {column} = {old} WHERE id = '{t}'")) as found:
            finds(f"another {column}", found, "was altered", t)
    keep = (f"CREATE TABLE kept AS SELECT {columns} FROM ledger_transfer WHERE id = '{t}'", "DROP TABLE kept")
    with forged(s, keep, (f"DELETE FROM ledger_transfer WHERE id = '{t}'", f"INSERT INTO ledger_transfer ({columns}) SELECT {columns} FROM kept")) as found:
        finds("a deleted transfer", found, t + ", which is gone", "is missing")
    swap = tuple(f"UPDATE ledger_transfer SET id = '{new}' WHERE id = '{old}'" for new, old in (("x", t), (t, u), (u, "x")))
    with forged(s, *((sql, "SELECT 1") for sql in swap[:2]), (swap[2], swap)) as found:
        finds("two swapped transfers", found, t, u)
    with forged(s, (f"UPDATE ledger_account SET credits_posted = credits_posted + 5000 WHERE id = '{county['id']}'",
                    f"UPDATE ledger_account SET credits_posted = credits_posted - 5000 WHERE id = '{county['id']}'")) as found:
        finds("a forged balance", found, county["id"], "its transfers come to", "debits and credits are not equal")
        assert not any(city["id"] in f for f in found["findings"]), found
    with forged(s, (f"UPDATE ledger_account SET purpose = 'loan' WHERE id = '{spent['id']}'",
                    f"UPDATE ledger_account SET purpose = 'hospital-care' WHERE id = '{spent['id']}'")) as found:
        finds("an account for something else", found, spent["id"])
    line = "chr(10)" if s.engine == "postgresql" else "char(10)"
    with forged(s, (f"UPDATE fund SET purposes = 'loan' || {line} WHERE id = '{restricted_fund['id']}'",
                    f"UPDATE fund SET purposes = 'education' || {line} WHERE id = '{restricted_fund['id']}'")) as found:
        finds("a fund for something else", found, restricted_fund["id"], "does not allow")
    chained = [tuple(r) for r in s.rows("care", "SELECT seq, id FROM ledger_chain WHERE thing = 1 ORDER BY seq DESC LIMIT 2")]
    with forged(s, (f"UPDATE ledger_chain SET id = '{chained[1][1]}' WHERE seq = {chained[0][0]}",
                    f"UPDATE ledger_chain SET id = '{chained[0][1]}' WHERE seq = {chained[0][0]}")) as found:
        finds("a row chained twice", found, "more than once", "not in its chain")
    added = columns.replace("of_id", "NULL").replace("debit_number", "debit_number + 1000").replace("credit_number", "credit_number + 1000")
    with forged(s, (f"INSERT INTO ledger_transfer ({columns}) SELECT 'forged'{added[2:]} FROM ledger_transfer WHERE id = '{t}'",
                    "DELETE FROM ledger_transfer WHERE id = 'forged'")) as found:
        finds("a transfer that nobody entered", found, "transfer forged stands in the ledger, and not in its chain", "are missing")
    expect("all is as it was", verify(s)["faults"], 0)


@story("a chain that was made anew from its rows does not fit what was signed; nor does one that was cut off")
def made_anew(s):
    b = s.books
    _, _, province, city, _, _ = chain_of(b, 1000)
    b.move(province, city, 10)
    signed(s)
    last = int(s.rows("care", "SELECT MAX(seq) FROM ledger_chain")[0][0])
    s.execute("care", f"CREATE TABLE cut AS SELECT * FROM ledger_chain WHERE seq > {last - 3}", f"DELETE FROM ledger_chain WHERE seq > {last - 3}")
    found = "\n".join(verify(s)["findings"])
    assert "missing" in found and "not in its chain" in found, found
    s.execute("care", "INSERT INTO ledger_chain SELECT * FROM cut", "DROP TABLE cut")
    other = s.cli("ledger", "verify", "--json", "--key", "00" * 32, *store_of(s), check=False)
    assert json.loads(other.stdout)["faults"] and "was signed by this key" in other.stdout, other.stdout
    expect("and as it was", verify(s)["faults"], 0)


@story("the operator sees accounts, a balance at a time, and how far the chain goes")
def operator(s):
    b = s.books
    fund, source, province, city, _, _ = chain_of(b, 750)
    before = b.listed(province)[0]["createTime"]
    s.advance(10)
    b.move(province, city, 50)
    assert province["id"] in s.cli("ledger", "accounts", "43", "--set", "fund=" + fund["id"]).stdout
    expect("now", int(json.loads(s.cli("ledger", "balance", province["id"], "--json").stdout)["available"]), 700)
    expect("then", int(json.loads(s.cli("ledger", "balance", province["id"], before, "--json").stdout)["available"]), 750)
    state = signed(s)
    expect("the key", state["publicKey"], json.loads(s.cli("keys", "show", "--json").stdout)["ledger"])


if __name__ == "__main__":
    main(scene())
