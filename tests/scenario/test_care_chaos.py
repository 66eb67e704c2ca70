#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The promise of care's money under chaos: 200 clients at once open cases, decide them against caps and budgets, reserve, post,
void and reverse, send payments to a bank and load its answers, while processes are killed -9 at random. No account is ever below
zero, no cap is passed, nothing is paid twice, debits equal credits, the chain is whole; and what was answered is there, once.

NX_LONG=1: some minutes. NX_CLIENTS, NX_STEPS (of each client, at least) and NX_SEED set what they say.
"""
import collections
import contextlib
import csv
import io
import os
import random
import signal
import sys
import threading
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.care import COUNTY, VILLAGE, Office, enter, facts, publish  # noqa: E402
from support.ledger import PENDING, POST, SOURCE, VOID, Books, check_books, signed, verify  # noqa: E402
from support.people import bank_account  # noqa: E402
from support.stack import ENGINE, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

LONG = os.environ.get("NX_LONG") == "1"
CLIENTS = int(os.environ.get("NX_CLIENTS", "200"))
STEPS = int(os.environ.get("NX_STEPS", {"sqlite": (120, 1500), "postgresql": (30, 300)}[ENGINE][LONG]))
SEED = int(os.environ.get("NX_SEED", random.randrange(1 << 30)))
KILLS = 60 if LONG else 12  # of care at least
PERSONS = max(40, CLIENTS * STEPS // 60)
A_DAY, DAYS_A_YEAR, HOUSEHOLD_TIMES, BY_HAND_MOST = 100, 30, 5, 2500  # fen, days, grants, fen
BUDGET = PERSONS * 1000  # of each of three funds: more is asked for than there is
CHAIN = CLIENTS * STEPS * 10


def stage(code, kind, *actions):
    return {"code": code, "title": code, "titleZh": "环节", "kind": kind, **({"level": "COUNTY"} if kind != "PAYMENT" else {}), "actions": list(actions)}


def action(code, to, *effects):
    return {"code": code, "title": code, "titleZh": "操作", "to": to, "by": "OFFICER", "effects": list(effects)}


def programme(caps, *stages, **more):
    return {"title": "Aid", "titleZh": "帮扶", "organization": "43", "purpose": "aid", "caps": caps, "stages": list(stages),
            "fields": [{"name": "days", "type": "INTEGER", "title": "Days", "titleZh": "天数", "required": True, "least": 1, "most": 30}],
            "terms": [{"perUnit": {"fact": "days", "amount": A_DAY}}], **more}


# Paid through the bank: so many days a year for each person, so many grants for each household.
PAID = programme(
    [{"code": "days", "measure": "UNITS", "fact": "days", "period": "YEAR", "most": DAYS_A_YEAR, "beyond": "CUT"},
     {"code": "times", "measure": "TIMES", "period": "EVER", "most": HOUSEHOLD_TIMES, "household": True}],
    stage("county", "REVIEW", action("approve", "payment", "DECIDE", "PAY"), action("refuse", "refused")),
    stage("payment", "PAYMENT", action("paid", "done")), severalOpen=True)
# Handed over: reserved first, then given or given back; one open case a person.
BY_HAND = programme(
    [{"code": "amount", "measure": "AMOUNT", "period": "EVER", "most": BY_HAND_MOST, "beyond": "CUT"}],
    stage("county", "REVIEW", action("approve", "hand", "DECIDE"), action("refuse", "refused")),
    stage("hand", "SERVICE", action("deliver", "done", "DELIVER"), action("release", "ended", "RELEASE")))


# --- what the clients know together ----------------------------------------------------------------------------------------


class Bank:
    """Pays what it is told to, keeps its own book, and answers the same to the same order for ever."""

    def __init__(self):
        self.lock, self.said, self.paid, self.twice = threading.Lock(), {}, {}, []

    def answers(self, batch, orders, rng):
        """The rows of an answer file; some orders are not in it yet."""
        with self.lock:
            for o in orders:
                known = self.said.get((batch, o["number"]))
                if not known or known[1] == "unknown":
                    status = rng.choices(("paid", "returned", "unknown", ""), (60, 15, 15, 10))[0] if rng else "paid"
                    self.said[batch, o["number"]] = o["amount"], status or "unknown"
                    if status == "paid":
                        if o["number"] in self.paid:
                            self.twice.append((o["number"], self.paid[o["number"]][0], batch))
                        self.paid[o["number"]] = batch, o["amount"]
            return self.file(batch, {o["number"] for o in orders})

    def file(self, batch, numbers):
        rows = [(n, *self.said[batch, n]) for n in sorted(numbers)]
        return "number,amount,status,reason\n" + "".join(f"{n},{amount},{status},\n" for n, amount, status in rows)


class World:
    def __init__(self, s):
        self.s, self.bank, self.failed, self.lock = s, Bank(), [], threading.Lock()
        self.counts, self.done = collections.Counter(), []  # what was answered how often; (what, body asked, answer) of each that was done
        self.cases, self.transfers, self.batches = [], [], {}  # batches: id → the orders that its file had
        self.books = Books(s)
        self.accounts = self.chain()
        self.clerks = [Office(s, "staff", COUNTY) for _ in range(3)]
        self.approvers = [Office(s, "approver", COUNTY) for _ in range(4)]
        self.treasurers = [Office(s, "treasurer", COUNTY) for _ in range(3)]
        publish(s, "aid", PAID)
        publish(s, "by-hand", BY_HAND)
        for kind in ("GRANT", "GRANT", "DONATION"):
            fund = self.books.fund(kind)
            self.books.move(self.books.account(fund, "SOURCE"), self.books.account(fund, purpose="aid", organization=COUNTY), BUDGET)
        self.persons = []
        for i in range(PERSONS):
            home = {"household": self.persons[-1]["household"]} if i % 2 else {}  # two by two
            self.persons.append(enter(s, self.clerks[0], VILLAGE, bankAccount=bank_account(i), **home))

    def chain(self):
        b = self.books
        fund = b.fund()
        made = [b.account(fund, "SOURCE")] + [b.account(fund, organization=o) for o in ("43", "4301", COUNTY)]
        b.move(made[0], made[1], CHAIN)
        return [a["id"] for a in made[1:]] + [b.account(fund, "SPENT", organization=COUNTY)["id"]]


class Client(threading.Thread):
    """One who takes a number of steps, chosen by lot, each until it is answered."""

    def __init__(self, world, n, start):
        super().__init__(daemon=True)
        self.w, self.s, self.rng, self.start_together = world, world.s, random.Random(f"{SEED} {n}"), start

    def run(self):
        steps = [self.opens, self.approves, self.finishes, self.withdraws, self.moves, self.settles, self.pays, self.answers_again, self.settles_payment]
        weights = [24, 30, 10, 4, 8, 8, 6, 4, 6]
        try:
            self.start_together.wait()
            taken = 0
            while taken < STEPS or self.w.killer.kills["care"] < KILLS and not self.w.killer.failed:  # on a quick machine there are more steps
                self.rng.choices(steps, weights)[0]()
                taken += 1
        except Exception as e:
            self.w.failed.append(f"{type(e).__name__}: {e}"[:2000])

    # --- asking --------------------------------------------------------------------------------------------

    def until_answered(self, method, path, body, headers, token):
        """As the API asks of its users: the same request with the same key while it is told to come again."""
        deadline = time.monotonic() + 90
        while True:
            try:
                r = self.s.call(method, path, body, token=token, headers=headers)
            except OSError:
                r = None
            if r and r.status not in (502, 503, 504) and not (r.status == 409 and r.problem == "idempotency-in-flight"):
                return r
            self.w.counts["asked again"] += 1
            assert time.monotonic() < deadline, f"{method} {path}: {r and r.body}"
            time.sleep(self.rng.uniform(0.02, 0.1))

    def ask(self, what, office, path, body=None, refusals=(), headers=None):
        """The answer, None if it is a refusal that may be. What is asked again later has the same answer."""
        headers = {"Idempotency-Key": str(uuid.uuid4()), **(headers or {})}
        r = self.until_answered("POST", path, body, headers, office.token)
        if self.rng.random() < 0.15:
            again = self.until_answered("POST", path, body, headers, office.token)
            same = (again.status, again.json) == (r.status, r.json) if r.status == 200 else (again.status, again.problem) == (r.status, r.problem)
            assert same, f"{what} was answered {r.status} {r.body}, and then {again.status} {again.body}"
            self.w.counts["same answer"] += 1
        with self.w.lock:
            self.w.counts[what if r.status == 200 else f"{what}: {r.problem}"] += 1
            if r.status == 200:
                self.w.done.append((what, path, r.json))
        assert r.status == 200 or r.problem in refusals, f"{what} {body}: {r.status} {r.body}"
        return r.json if r.status == 200 else None

    def read(self, office, path, headers=None):
        r = self.until_answered("GET", path, None, headers, office.token)
        assert r.status == 200, f"{path}: {r.status} {r.body}"
        return r

    # --- cases -----------------------------------------------------------------------------------------------

    def opens(self):
        programme, person = self.rng.choice(("aid", "aid", "by-hand")), self.rng.choice(self.w.persons)
        body = {"programme": programme, "organization": VILLAGE, "recipient": person["id"], "facts": facts(days=self.rng.randint(1, 20))}
        made = self.ask("open", self.rng.choice(self.w.clerks), "/v1/cases", body, {"case-exists"})
        if made:
            self.w.cases.append((made["id"], programme))

    def act(self, action, offices, refusals, programme=None):
        known = [c for c in self.w.cases[-40:] if programme in (None, c[1])]
        if known:
            self.ask(action, self.rng.choice(offices), f"/v1/cases/{self.rng.choice(known)[0]}:act", {"action": action}, {"action-unknown", "case-closed", *refusals})

    def approves(self):
        self.act("approve", self.w.approvers, {"cap-reached", "budget-overdrawn"})

    def finishes(self):
        self.act(self.rng.choice(("deliver", "deliver", "release")), self.w.approvers, {}, "by-hand")

    def withdraws(self):
        self.act("withdraw", self.w.clerks, {})

    # --- the ledger --------------------------------------------------------------------------------------------

    def enters(self, what, refusals, *transfers):
        made = self.ask(what, self.w.books, "/v1/transfers", {"transfers": list(transfers)}, refusals)
        if made:
            self.w.transfers += [t["id"] for t in made["transfers"]]

    def moves(self):
        down = list(zip(self.w.accounts, self.w.accounts[1:]))
        pairs = [*down, (self.w.accounts[1], self.w.accounts[0])]
        one = lambda: (lambda pair: {"kind": self.rng.choice(("TRANSFER", "PENDING", "PENDING")), "debit": pair[0], "credit": pair[1],
                                     "amount": str(self.rng.randint(1, 3000))})(self.rng.choice(pairs))
        self.enters("move", {"budget-overdrawn"}, *(one() for _ in range(self.rng.choice((1, 1, 3)))))

    def settles(self):
        if self.w.transfers:
            of, kind = self.rng.choice(self.w.transfers[-40:]), self.rng.choice(("POST", "POST", "VOID", "REVERSAL"))
            self.enters("settle", {"transfer-settled", "transfer-unknown", "budget-overdrawn"}, {"kind": kind, "of": of, "reason": "试算"})

    # --- payments ----------------------------------------------------------------------------------------------

    def pays(self):
        office = self.rng.choice(self.w.treasurers)
        batch = self.ask("batch", office, "/v1/paymentBatches", {"organization": COUNTY}, {"nothing-to-pay"})
        if batch:
            self.w.batches[batch["id"]] = self.orders(office, batch["id"])
            self.loads(office, batch["id"])

    def orders(self, office, batch):
        r = self.read(office, f"/v1/paymentBatches/{batch}/orders?pageSize=1000&purpose=payout", {"Accept": "text/csv"})
        return list(csv.DictReader(io.StringIO(r.body.decode())))

    def loads(self, office, batch, lots=True):
        """The bank's answer; it may come when another has said all of it already."""
        text = self.w.bank.answers(batch, self.w.batches[batch], self.rng if lots else None)
        begun = self.ask("load", office, f"/v1/paymentBatches/{batch}:import", text.encode(), {"payment-file-mismatch"}, {"Content-Type": "text/csv"})
        if begun:
            def ended():
                o = self.read(office, f"/v1/careOperations/{begun['id']}").json
                return o if o["state"] in ("SUCCEEDED", "FAILED") else None

            done = wait_until("the answers have been taken", ended, 120, 0.1)
            late = [e for e in done.get("errors", []) if e["code"] == "answered-otherwise" and text.split("\n")[e["row"] - 1].endswith(",unknown,")]
            rows = sum(int(done.get(n, 0)) for n in ("rowsAccepted", "rowsUnchanged")) + len(late)  # a later file was quicker
            expect("taken", (done["state"], rows), ("SUCCEEDED", text.count("\n") - 1))

    def answers_again(self):
        batches = list(self.w.batches)
        if batches:
            self.loads(self.rng.choice(self.w.treasurers), self.rng.choice(batches[-10:]))

    def settles_payment(self):
        office = self.rng.choice(self.w.treasurers)
        back = self.read(office, f"/v1/payments?organization={COUNTY}&state=RETURNED&pageSize=20").json.get("payments", [])
        if back:
            body = {"giveUp": True} if self.rng.random() < 0.4 else {}
            self.ask("settle payment", office, f"/v1/payments/{self.rng.choice(back)['id']}:settle", body, {"payment-state"})


# --- what goes wrong ---------------------------------------------------------------------------------------------------------


class Killer(threading.Thread):
    """kill -9, mostly of care, now and then of what stands beside it, until it is stopped."""

    def __init__(self, s):
        super().__init__(daemon=True)
        self.s, self.rng, self.kills, self.failed, self.stopping = s, random.Random(SEED), collections.Counter(), [], threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join(60)

    def run(self):
        try:
            while not self.stopping.wait(self.rng.uniform(0.05, 1.0 if LONG else 0.3)):
                name = self.rng.choices(("care-1", "care-2", "membership-1", "gateway-1", "redis"), (40, 40, 7, 7, 6))[0]
                pid = wait_until(f"{name} runs", lambda: self.s.pid(name), 30)
                os.kill(pid, signal.SIGKILL)
                self.kills[name.rsplit("-", 1)[0]] += 1
                wait_until(f"{name} runs again", lambda: self.s.pid(name) not in (None, pid), 30)
        except Exception as e:
            self.failed.append(repr(e))


# --- what must be so afterwards ------------------------------------------------------------------------------------------------


def check_answered(s, w):
    """What was answered as done is there, once; and nothing else is."""
    done = collections.defaultdict(list)
    for what, path, answer in w.done:
        done[what].append((path, answer))
    ids = lambda sql: sorted(i for (i,) in s.rows("care", sql))
    expect("cases", ids("SELECT id FROM care_case"), sorted(a["id"] for _, a in done["open"]))
    expect("batches", ids("SELECT id FROM care_payment_batch"), sorted(a["id"] for _, a in done["batch"]))
    chain = ", ".join(f"'{a}'" for a in w.accounts)
    grant = ids(f"SELECT id FROM ledger_transfer WHERE credit = '{w.accounts[0]}' AND debit NOT IN ({chain}) AND kind = 1")
    expect("the grant", len(grant), 1)
    expect("transfers", ids(f"SELECT id FROM ledger_transfer WHERE debit IN ({chain}) OR credit IN ({chain})"),
           sorted([t["id"] for what in ("move", "settle") for _, a in done[what] for t in a["transfers"]] + grant))
    approved = {path.split("/")[3].split(":")[0]: int(a["granted"]) for path, a in done["approve"]}
    expect("approved once each", len(approved), len(done["approve"]))
    expect("decisions", {c: int(n) for c, n in s.rows("care", "SELECT case_id, amount FROM care_decision")}, approved)
    acts = sum(len(done[a]) for a in ("approve", "deliver", "release", "withdraw"))
    expect("steps", s.rows("care", "SELECT COUNT(*) FROM care_step WHERE action IN ('approve', 'deliver', 'release', 'withdraw')")[0][0], acts)
    methods = {"OpenCase": "open", "CreatePaymentBatch": "batch", "SettlePayment": "settle payment"}
    audited = lambda: collections.Counter(m.rsplit("/", 1)[-1].rsplit(".", 1)[-1] for (m,) in s.rows("care", "SELECT method FROM rpc_audit WHERE outcome = 'ok'"))
    wanted = {**{m: len(done[what]) for m, what in methods.items()}, "ActOnCase": acts}
    wait_until(f"the audit has {wanted}", lambda: {m: audited()[m] for m in wanted} == wanted)


def check_events(s):
    """Each that was decided and paid was told once."""
    def told(kind):
        return collections.Counter(c for (c,) in s.rows("care", f"SELECT subject FROM rpc_outbox WHERE type = 'nuanxin.care.v1.{kind}'"))

    counted = lambda sql: collections.Counter(c for (c,) in s.rows("care", sql))
    for kind, sql in (("CaseOpened", "SELECT id FROM care_case"), ("BenefitDecided", "SELECT case_id FROM care_decision"),
                      ("BenefitPaid", "SELECT case_id FROM care_decision WHERE state = 2")):
        wanted = counted(sql)
        wait_until(f"{len(wanted)} times {kind} is told", lambda: told(kind) == wanted)
        expect(f"{kind} once each", set(wanted.values()), {1})


def check_every_moment(s):
    """After each single transfer: no account is below zero, and its totals are those before and this one."""
    kinds = {a: int(k) for a, k in s.rows("care", "SELECT id, kind FROM ledger_account")}
    totals = ("credits_posted", "credits_pending", "debits_posted", "debits_pending")
    columns = ", ".join(f"{side}_{t}" for side in ("debit", "credit") for t in ("number", *totals))
    rows = {r[0]: r for r in s.rows("care", f"SELECT id, kind, amount, of_id, debit, credit, {columns} FROM ledger_transfer")}
    of_account = collections.defaultdict(dict)
    for id, kind, amount, of, debit, credit, *sides in rows.values():
        for account, is_debit, (number, *after) in ((debit, True, sides[:5]), (credit, False, sides[5:])):
            assert int(number) not in of_account[account], f"account {account} has two rows {number}"
            of_account[account][int(number)] = id, is_debit, tuple(map(int, after))
    for account, entries in of_account.items():
        now = [0, 0, 0, 0]
        expect(f"numbers of {account}", sorted(entries), list(range(1, len(entries) + 1)))
        for number in range(1, len(entries) + 1):
            id, is_debit, after = entries[number]
            kind, amount, of = int(rows[id][1]), int(rows[id][2]), rows[id][3]
            posted, pending = (2, 3) if is_debit else (0, 1)
            if kind == PENDING:
                now[pending] += amount
            elif kind in (POST, VOID):
                now[pending] -= int(rows[of][2])
            if kind not in (PENDING, VOID):
                now[posted] += amount
            expect(f"account {account} after {id}", after, tuple(now))
            assert kinds[account] == SOURCE or now[0] - now[2] - now[3] >= 0, f"account {account} is below zero after {id}: {now}"
            assert min(now) >= 0, f"account {account} after {id}: {now}"
    return len(rows)


def check_caps(s, w):
    """In the order of their commits: what a person, or a household, holds of the programmes never passes a cap."""
    household = {p["id"]: p["household"] for p in w.persons}
    case_of = {t: c for t, c in s.rows("care", "SELECT id, case_id FROM ledger_transfer WHERE case_id <> ''")}
    cases = {c: (p, r) for c, p, r in s.rows("care", "SELECT id, programme, recipient FROM care_case")}
    rows = {r[0]: r for r in s.rows("care", "SELECT id, kind, amount, of_id FROM ledger_transfer WHERE case_id <> ''")}
    held, times, most = collections.Counter(), collections.defaultdict(collections.Counter), collections.Counter()
    for (id,) in s.rows("care", "SELECT id FROM ledger_chain WHERE thing = 1 ORDER BY seq"):
        if id not in rows or int(rows[id][1]) not in (PENDING, VOID):
            continue
        programme, person = cases[case_of[id]]
        amount = int(rows[id][2]) * (1 if int(rows[id][1]) == PENDING else -1)
        held[programme, person] += amount
        cap = DAYS_A_YEAR * A_DAY if programme == "aid" else BY_HAND_MOST
        assert held[programme, person] <= cap, f"{person} has {held[programme, person]} of {programme} after {id}"
        most[programme] = max(most[programme], held[programme, person])
        if programme == "aid":
            of = times[household[person]]
            of[case_of[id]] += amount
            assert sum(n > 0 for n in of.values()) <= HOUSEHOLD_TIMES, f"household of {person}: {of} after {id}"
    expect("caps that were reached", {p for p, n in most.items() if n == (DAYS_A_YEAR * A_DAY if p == "aid" else BY_HAND_MOST)}, {"aid", "by-hand"})


def check_payments(s, w):
    """What the bank paid is what we say was paid, each once; each approved case is paid at most once."""
    expect("paid twice by the bank", w.bank.twice, [])
    paid = {n: (b, a) for n, b, a in s.rows("care", "SELECT number, batch, amount FROM care_payment WHERE state = 3")}
    expect("paid", {n: (b, int(a)) for n, (b, a) in paid.items()}, {n: (b, round(float(a) * 100)) for n, (b, a) in w.bank.paid.items()})
    expect("payments of a case", s.rows("care", "SELECT case_id FROM care_payment WHERE state <> 6 GROUP BY case_id HAVING COUNT(*) > 1"), [])
    posted = dict(s.rows("care", "SELECT case_id, CAST(SUM(amount) AS BIGINT) FROM ledger_transfer WHERE kind = 3 AND case_id <> '' GROUP BY case_id"))
    given = dict(s.rows("care", "SELECT case_id, amount FROM care_decision WHERE state = 2"))
    expect("posted of each case", posted, given)
    by_bank = dict(s.rows("care", "SELECT case_id, amount FROM care_payment WHERE state = 3"))
    assert by_bank.items() <= given.items(), set(by_bank.items()) - set(given.items())
    expect("posts twice", s.rows("care", "SELECT of_id FROM ledger_transfer WHERE of_id IS NOT NULL GROUP BY of_id HAVING COUNT(*) > 1"), [])
    expect("batches that are open", s.rows("care", "SELECT id FROM care_payment_batch WHERE state <> 3"), [])


def check_funds(s):
    rows = s.rows("care", "SELECT fund, SUM(credits_posted) AS a, SUM(debits_posted) AS b, SUM(credits_pending) AS c, SUM(debits_pending) AS d "
                          "FROM ledger_account GROUP BY fund")
    assert len(rows) >= 4, rows
    for fund, credits, debits, coming, set_aside in rows:
        expect(f"debits and credits of fund {fund}", (credits, coming), (debits, set_aside))
    check_books(s)


# --- the story -----------------------------------------------------------------------------------------------------------------


@story(f"{CLIENTS} clients, {STEPS} steps each at least, kill -9 at random: nothing below zero, no cap passed, nothing paid twice, all in the chain")
def chaos(w):
    s = w.s
    print(f"# seed {SEED}", flush=True)
    together = threading.Barrier(CLIENTS + 1)
    clients = [Client(w, n, together) for n in range(CLIENTS)]
    for c in clients:
        c.start()
    with Killer(s) as w.killer:
        began = time.monotonic()
        together.wait()
        for c in clients:
            c.join(1800)
        seconds = time.monotonic() - began
    expect("what went wrong on our side", (w.failed[:5], len(w.failed), w.killer.failed), ([], 0, []))
    assert not any(c.is_alive() for c in clients), "a client has not ended"
    settle(w)
    done = sum(n for what, n in w.counts.items() if what not in ("asked again", "same answer"))
    print(f"# {done} answered in {seconds:.0f} s, {sum(w.killer.kills.values())} kills: {dict(w.killer.kills)}", flush=True)
    print(f"# {dict(sorted(w.counts.items()))}", flush=True)
    assert w.killer.kills["care"] >= KILLS, w.killer.kills
    check_answered(s, w)
    check_events(s)
    print(f"# {check_every_moment(s)} transfers", flush=True)
    check_funds(s)
    check_payments(s, w)
    state = signed(s)
    check_caps(s, w)
    found = verify(s)
    expect("faults", (found["findings"], found["rows"]), ([], int(state["rows"])))


def settle(w):
    """The bank says the rest."""
    last = Client(w, "last", None)
    for batch in [b for (b,) in w.s.rows("care", "SELECT id FROM care_payment_batch WHERE state <> 3")]:
        last.loads(last.rng.choice(w.treasurers), batch, lots=False)


@contextlib.contextmanager
def scene():
    with Stack(instances={"care": 2}, gateway_options=["--rate-scale=100000"]) as s:
        w = World(s)
        w.var = s.var  # for what is said where it fails
        yield w


if __name__ == "__main__":
    main(scene())
