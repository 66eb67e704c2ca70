# SPDX-License-Identifier: Apache-2.0
"""What is measured of the care service's money: transfers, durable, through the gateway, over the same rows straight into SQLite."""
import random

from bench.parts import SECONDS, ceiling, figure, interleaved, stack, write_requests, wrk
from support.ledger import Books

BUDGETS = 100
TREASURERS = 8        # each has a rate limit of its own
A_SECOND = 30000      # requests made beforehand: more than can be done
AT_ONCE = 100
YUAN = 100


class Purse:
    """Budgets of 100 counties' worth of money, each with what is spent of it, and those who spend it."""

    def __init__(self, s, budgets):
        self.s, self.rng = s, random.Random(51660000)
        self.books = [Books(s) for _ in range(TREASURERS)]
        b = self.books[0]
        fund = b.fund()
        source = b.account(fund, "SOURCE")
        self.pairs = []
        for i in range(budgets):
            purpose = f"care-{i}"
            budget, spent = b.account(fund, purpose=purpose), b.account(fund, "SPENT", purpose=purpose)
            b.move(source, budget, 10**13)
            self.pairs.append((budget["id"], spent["id"]))

    def reserve(self):
        debit, credit = self.rng.choice(self.pairs)
        return '{"kind":"PENDING","debit":"%s","credit":"%s","amount":"%d"}' % (debit, credit, 1200 * YUAN)

    def reserved(self, n):
        """Ids of n reservations, for others to post."""
        bodies = ['{"transfers":[%s]}' % ",".join(self.reserve() for _ in range(AT_ONCE)) for _ in range(n // AT_ONCE)]
        answers = self.s.load([("POST", "/v1/transfers", body.encode(), {"Authorization": "Bearer " + self.books[i % TREASURERS].token,
                                                                        "Content-Type": "application/json"}) for i, body in enumerate(bodies)], 16)
        return [t["id"] for a in answers for t in a.ok()["transfers"]]

    def requests(self, name, seconds):
        """By turns a reservation and a posting of what was reserved before."""
        n = A_SECOND * seconds // 2
        rows = []
        for i, pending in enumerate(self.reserved(n)):
            token = self.books[i % TREASURERS].token
            rows.append(("POST", "/v1/transfers", token, '{"transfers":[%s]}' % self.reserve()))
            rows.append(("POST", "/v1/transfers", token, '{"transfers":[{"kind":"POST","of":"%s"}]}' % pending))
        return write_requests(name, rows)

    def spend(self, seconds=SECONDS):
        return wrk(self.s.port, self.requests("transfers", seconds), seconds, "once")


def measure(name, kind, budgets, must, aim):
    with stack(instances={"care": 1, "activity": 1}) as s:
        purse = Purse(s, budgets)
        purse.spend(1)  # warm
        top, ours = interleaved(lambda: ceiling(kind), purse.spend)
    figure(name, ours / top, must, aim, note=f"{ours:.0f}/s against {top:.0f}/s")
    return ours


def part_ledger():
    print("ledger: reservations and postings, durable, through the gateway, against the same rows straight into SQLite", flush=True)
    measure("ledger_vs_store", "ledger", BUDGETS, 0.3, 0.6)


def part_ledger_hot():
    print("ledger: the same on one account", flush=True)
    measure("ledger_hot_vs_store", "ledger_hot", 1, 0.25, 0.55)


PARTS = {"ledger": part_ledger, "ledger_hot": part_ledger_hot}
