# SPDX-License-Identifier: Apache-2.0
"""The ledger through the gateway, and a recount of it by hand: from its rows alone, by nothing of the service's own."""
import contextlib
import json

from .story import expect, wait_until


class Books:
    """One treasurer's way to the ledger."""

    def __init__(self, s, organization="43", role="treasurer"):
        self.s = s
        self.token = json.loads(s.cli("client", "create", f"books {role} {organization}", f"{role}@{organization}", "--json").stdout)["apiKey"]

    def post(self, path, body):
        return self.s.call("POST", path, body, token=self.token)

    def get(self, path):
        return self.s.call("GET", path, token=self.token)

    def fund(self, kind="GRANT", organization="43", **fields):
        body = {"kind": kind, "title": fields.pop("title", "财政专项资金"), "organization": organization, **fields}
        # care learns of organisations by following membership's events
        return wait_until("care knows the organisation", lambda: known(self.post("/v1/funds", body)), 30)

    def account(self, fund, kind="BUDGET", purpose="hospital-care", organization="43", **fields):
        body = {"kind": kind, "fund": fund["id"], "organization": organization, **fields}
        if kind != "SOURCE":
            body["purpose"] = purpose
        if kind == "SPENT":
            body.setdefault("programme", "hospital-care-subsidy")
        return self.post("/v1/ledgerAccounts", body).ok()

    def transfers(self, *transfers):
        return self.post("/v1/transfers", {"transfers": list(transfers)})

    def move(self, debit, credit, amount, kind="TRANSFER", **fields):
        return self.transfers({"kind": kind, "debit": debit["id"], "credit": credit["id"], "amount": str(amount), **fields}).ok()["transfers"][0]

    def settle(self, kind, of, **fields):
        return self.transfers({"kind": kind, "of": of["id"], **fields})

    def balance(self, account, time=None):
        a = self.get(f"/v1/ledgerAccounts/{account['id']}" + (f"?time={time}" if time else "")).ok()
        return tuple(int(a.get(f, 0)) for f in ("creditsPosted", "creditsPending", "debitsPosted", "debitsPending", "available"))

    def trace(self, transfer, forward=False):
        return self.get(f"/v1/transfers/{transfer['id']}:trace" + ("?forward=true" if forward else "")).ok()

    def list(self, path, items):
        found, page = [], ""
        while True:
            r = self.get(path + ("&" if "?" in path else "?") + f"pageSize=100&pageToken={page}").ok()
            found += r.get(items, [])
            page = r.get("nextPageToken", "")
            if not page:
                return found

    def listed(self, account):
        return self.list(f"/v1/ledgerAccounts/{account['id']}/transfers", "transfers")


def known(response):
    assert response.status in (200, 404, 422), (response.status, response.body)
    return response.json if response.status == 200 else None


# --- by hand -----------------------------------------------------------------------------------------------------------

COLUMNS = "id, kind, debit, credit, amount, of_id, created_us, debit_number, credit_number"
TRANSFER, PENDING, POST, VOID, REVERSAL = 1, 2, 3, 4, 5
SOURCE, BUDGET, SPENT = 1, 2, 3


def rows_of(s):
    """All transfers, in an order in which each comes after those before it in both its accounts."""
    rows = [dict(zip(COLUMNS.split(", "), r)) for r in s.rows("care", f"SELECT {COLUMNS} FROM ledger_transfer ORDER BY created_us, id")]
    done, ready, left = {}, [], rows
    while left:
        rest = []
        for r in left:
            sides = [(r["debit"], r["debit_number"]), (r["credit"], r["credit_number"])]
            if all(done.get(account, 0) == number - 1 for account, number in sides):
                done.update(sides)
                ready.append(r)
            else:
                rest.append(r)
        assert len(rest) < len(left), f"{len(rest)} transfers have no place in the order of their accounts"
        left = rest
    return ready


def recount(rows, until_us=None):
    """Each account's (credits posted, credits pending, debits posted, debits pending), worked out anew."""
    totals, by_id = {}, {r["id"]: r for r in rows}
    for r in rows:
        if until_us is not None and r["created_us"] > until_us:
            continue
        debit, credit = totals.setdefault(r["debit"], [0, 0, 0, 0]), totals.setdefault(r["credit"], [0, 0, 0, 0])
        if r["kind"] in (POST, VOID):
            debit[3] -= by_id[r["of_id"]]["amount"]
            credit[1] -= by_id[r["of_id"]]["amount"]
        if r["kind"] in (TRANSFER, POST, REVERSAL):
            debit[2] += r["amount"]
            credit[0] += r["amount"]
        if r["kind"] == PENDING:
            debit[3] += r["amount"]
            credit[1] += r["amount"]
    return {account: tuple(t) for account, t in totals.items()}


def check_books(s):
    """What stands in the accounts is what the transfers come to, nothing is below zero, and debits equal credits."""
    counted, credits, debits = recount(rows_of(s)), 0, 0
    for account, kind, *totals in s.rows("care", "SELECT id, kind, credits_posted, credits_pending, debits_posted, debits_pending FROM ledger_account"):
        totals = tuple(map(int, totals))
        assert totals == counted.get(account, (0, 0, 0, 0)), f"account {account} says {totals}, its transfers {counted.get(account)}"
        assert int(kind) == SOURCE or totals[0] - totals[2] - totals[3] >= 0, f"account {account} is below zero: {totals}"
        credits, debits = credits + totals[0], debits + totals[2]
    assert credits == debits, f"credits {credits}, debits {debits}"


class Fen:
    """Every fen of a fund followed by hand: each BUDGET account a queue of (first, last + 1) of numbered fen, each with the way it came."""

    def __init__(self, s, fund):
        self.kinds = {a: int(k) for a, k in s.rows("care", f"SELECT id, kind FROM ledger_account WHERE fund = '{fund['id']}'")}
        self.queues, self.moved, self.ways = {}, {}, {}  # moved: by transfer, its fen in order; ways: of each fen, transfer ids
        n = 0
        for r in rows_of(s):
            if r["kind"] not in (TRANSFER, POST, REVERSAL) or r["debit"] not in self.kinds:
                continue
            if self.kinds[r["debit"]] == SOURCE:
                fen = list(range(n, n + r["amount"]))
                n += r["amount"]
                self.ways.update((f, []) for f in fen)
            elif self.kinds[r["debit"]] == SPENT:
                fen = self.moved[r["of_id"]]
            else:
                fen = [self.queues[r["debit"]].pop(0) for _ in range(r["amount"])]
            self.moved[r["id"]] = fen
            for f in fen:
                self.ways[f].append(r["id"])
            if self.kinds[r["credit"]] == BUDGET:
                self.queues.setdefault(r["credit"], []).extend(fen)

    def came(self, transfer):
        return parts([self.ways[f][:self.ways[f].index(transfer) + 1] for f in self.moved[transfer]])

    def went(self, transfer):
        return parts([self.ways[f][self.ways[f].index(transfer):] for f in self.moved[transfer]])


def parts(ways):
    """Equal ways one after the other make one part."""
    found = []
    for way in ways:
        if found and found[-1][1] == way:
            found[-1][0] += 1
        else:
            found.append([1, way])
    return found


def traced(answer):
    """An answer of TraceTransfer in the same form."""
    found = []
    for part in answer.get("parts", []):
        amount, way = int(part["amount"]), [t["id"] for t in part["way"]]
        if found and found[-1][1] == way:
            found[-1][0] += amount
        else:
            found.append([amount, way])
    return found


# --- what `nuanxin ledger verify` finds --------------------------------------------------------------------------------------


def verify(s):
    r = s.cli("ledger", "verify", "--json", *store_of(s), check=False)
    assert r.stdout, r.stderr
    found = json.loads(r.stdout)
    expect("exit status", r.returncode, 1 if found["faults"] else 0)
    return found


def store_of(s):
    return ("--store", s.store_url("care")) if s.engine == "postgresql" else ()


def signed(s):
    """All that stands in the ledger is chained, and signed."""
    rows = sum(int(n) for (n,) in s.rows("care", "SELECT COUNT(*) FROM ledger_transfer UNION ALL SELECT COUNT(*) FROM ledger_account "
                                                 "UNION ALL SELECT COUNT(*) FROM fund UNION ALL SELECT COUNT(*) FROM fund_consent"))

    def done():
        state = json.loads(s.cli("ledger", "state", "--json").stdout)
        return state if int(state["rows"]) == int(state["checkpoint"]) == rows else None

    return wait_until("all is signed", done, 30)


@contextlib.contextmanager
def forged(s, *statements):
    """The store, changed behind the service's back; and as it was, afterwards."""
    undo = []
    for sql, back in statements:
        s.execute("care", sql)
        undo.append(back)
    try:
        yield verify(s)
    finally:
        for back in reversed(undo):
            s.execute("care", *(back if isinstance(back, tuple) else (back,)))


def finds(what, found, *words):
    assert found["faults"], what + " is not found"
    text = "\n".join(found["findings"])
    assert all(w in text for w in words), f"{what}: {text}"
