# SPDX-License-Identifier: Apache-2.0
"""Claims decided by rule, over reservations and postings: the county's approval of a hospital-care claim, among 100,000 persons with history.

What an approval does in one transaction: the facts are opened and checked, what was used of the person's 90 days a year is looked up and
added to, the amount is reserved in the county's budget and put up for payment, the stage's task is closed, the decision is kept with its
facts, and events say so. The reviews before it, by village and township, are left out of the programme.
"""
import contextlib
import datetime
import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time

from bench.care import Purse
from bench.parts import SECONDS, figure, followed, interleaved, stack, villages, wrk, wrk_result, write_requests
from support.care import Office, facts, publish, shipped
from support.care_target import luhn
from support.ledger import Books
from support.people import person
from support.story import wait_until

PERSONS = int(os.environ.get("BENCH_CARE_PERSONS", "100000"))
COUNTIES = 100
PROGRAMME = "hospital-care-claims"
CLAIMS_BEFORE = 2     # of each person
USED_MOST = 60        # days of the year that those took; what a person claims here stays within the 90
A_SECOND = 8000       # claims opened beforehand: more than can be decided
APPROVERS = 8         # each has a rate limit of its own
DAY_US = 86400 * 10**6
SUMMARY = [{"kind": kind, "uri": f"https://archive.example.org/{kind}", "sha256": "0" * 64}
           for kind in ("discharge-summary", "invoice")]


def pour(s, name, rows, sql):
    """Sends them all, as fast as they are answered: until the store's count says that all is there."""
    def there():
        return s.rows("care", sql)[0][0] - before >= len(rows) or load.poll() is not None

    # wrk asks for the first one once more, to look at it.
    environment, before = {**os.environ, "REQUESTS": write_requests(name, rows[:1] + rows), "ORDER": "once"}, s.rows("care", sql)[0][0]
    load = subprocess.Popen(["wrk", "-t1", "-c64", "-d1200s", "-s", "tests/bench/requests.lua", f"http://127.0.0.1:{s.port}/"], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        wait_until(f"all {name} are there", there, 1200, 0.2)
    finally:
        load.send_signal(signal.SIGINT)
        output = load.communicate()[0]
    # The last one is sent again on connections that have nothing else to do: so it may be refused.
    assert wrk_result(output)["wrong"] <= 64, output


@contextlib.contextmanager
def behind(s, service):
    """A service's store, opened while all is stopped."""
    keep, s.keep = s.keep, True
    s.stop()
    with contextlib.closing(sqlite3.connect(s.store_file(service))) as db:
        yield db
        db.commit()
    s.keep, s._local = keep, threading.local()
    s.start()


def new_id(rng):
    n = rng.getrandbits(128)
    return f"0197{n >> 112:04x}-{n >> 96 & 0xffff:04x}-7{n >> 84 & 0xfff:03x}-8{n >> 72 & 0xfff:03x}-{n & 0xffffffffffff:012x}"


def insert(db, table, rows):
    """rows: dicts with the same keys."""
    first = next(rows)
    sql = f"INSERT INTO {table} ({', '.join(first)}) VALUES ({', '.join('?' * len(first))})"
    db.execute(sql, tuple(first.values()))
    db.executemany(sql, (tuple(r.values()) for r in rows))


class History:
    """What stands in the store of persons' earlier claims."""

    def __init__(self, programme, persons, now, period):
        self.programme, self.persons, self.now, self.period, self.rng = programme, persons, now, period, random.Random(90)
        self.claims = [(new_id(self.rng), p, self.rng.randint(1, USED_MOST // CLAIMS_BEFORE), self.rng.randint(30, 200)) for p in persons
                       for _ in range(CLAIMS_BEFORE)]

    def cases(self):
        for i, (case, (person_id, organization, path), days, ago) in enumerate(self.claims):
            at = self.now - ago * DAY_US
            yield {"id": case, "number": f"HC-2026-H{i:09}", "programme": self.programme, "version": 1, "recipient": person_id, "subject": person_id,
                   "organization": organization, "path": path, "state": 3, "stage": "", "stage_us": at, "due_us": 0, "task": "", "opened_by": "clerk",
                   "single": 0, "consent": 0, "unit": "CNY", "granted": days * 10000, "reserved": 0, "paid": days * 10000, "reserve_us": 0,
                   "decided_level": 3, "deciders": "county approver\n", "steps": 2, "rating": 0, "transfer_to": "", "previous": "",
                   "created_us": at - DAY_US, "closed_us": at, "revision": 4}

    def steps(self):
        for case, _, _, ago in self.claims:
            for n, action in enumerate(("open", "approve"), 1):
                yield {"case_id": case, "n": n, "stage": "county", "action": action, "actor": "approver", "officer": n - 1, "reason": None,
                       "time_us": self.now - ago * DAY_US}

    def decisions(self):
        for case, (person_id, _, _), days, ago in self.claims:
            yield {"id": new_id(self.rng), "case_id": case, "programme": self.programme, "version": 1, "recipient": person_id, "actor": "approver",
                   "amount": days * 10000, "state": 2, "pending": new_id(self.rng) + "\n", "uses": f"{person_id} days-a-year {self.period} {days}\n",
                   "day": (self.now - ago * DAY_US) // DAY_US, "sealed": self.rng.randbytes(400), "time_us": self.now - ago * DAY_US}

    def uses(self):
        used = {}
        for _, (person_id, _, _), days, _ in self.claims:
            used[person_id] = used.get(person_id, 0) + days
        for person_id, days in used.items():
            yield {"programme": self.programme, "holder": person_id, "cap": "days-a-year", "period": self.period, "used": days}

    def policies(self, group):
        for person_id, _, _ in self.persons:
            yield {"id": new_id(self.rng), "policy_group": group, "recipient": person_id, "created_us": self.now}


def county_only(document):
    """The shipped programme, but that a claim comes to the county at once."""
    return {**document, "stages": [stage for stage in document["stages"] if stage["code"] in ("county", "payment")]}


class Claims:
    def __init__(self, s):
        self.s, self.rng, self.began = s, random.Random(529), time.monotonic()
        codes = villages()
        counties = self.rng.sample(sorted({c[:6] for c in codes}), COUNTIES)
        self.villages = [c for c in codes if c[:6] in set(counties)]
        self.today = datetime.date.today()
        Books(s).fund()  # once it is there, care knows the organisations
        publish(s, PROGRAMME, county_only(shipped("hospital-care")))
        self.fund_counties(counties)
        self.clerk = Office(s, "staff", "43")
        self.approvers = [Office(s, "approver", "43") for _ in range(APPROVERS)]
        self.persons = self.make_persons()
        self.make_history()
        self.next = 0

    def tell(self, what):
        print(f"    {what}, {time.monotonic() - self.began:.0f} s", flush=True)

    def fund_counties(self, counties):
        books = Books(self.s)
        fund = books.fund()
        source = books.account(fund, "SOURCE")
        for county in counties:
            books.move(source, books.account(fund, purpose="hospital-care", organization=county), 10**13)

    def make_persons(self):
        rows = []
        for i in range(PERSONS):
            p = person(i, self.rng.choice(self.villages))
            body = '{"organization":"%s","name":"%s","idNumber":"%s","bankAccount":"%s","special":true}'
            rows.append(("POST", "/v1/recipients", self.clerk.token, body % (p["organization"], p["name"], p["idNumber"], luhn("622202%012d" % i))))
        pour(self.s, "persons", rows, "SELECT COUNT(*) FROM recipient")
        persons = self.s.rows("care", "SELECT id, organization, path FROM recipient")
        assert len(persons) == PERSONS, f"{len(persons)} of {PERSONS} persons are there"
        self.rng.shuffle(persons)  # claims come from anybody
        self.tell(f"{PERSONS:,} persons")
        return persons

    def make_history(self):
        began = self.today - datetime.timedelta(days=300)
        period = f"{self.today.year - ((self.admitted().month, self.admitted().day) < (3, 1))}-03-01"
        now = int(time.time() * 1e6)
        history, group = History(PROGRAMME, self.persons, now, period), new_id(self.rng)
        with behind(self.s, "care") as db:
            insert(db, "policy_group", iter([{"id": group, "organization": "43", "path": "/43/", "title": "团体保险", "insurer": "保险公司",
                                              "start_date": str(began), "end_date": str(began + datetime.timedelta(days=364)), "premium": 15000,
                                              "purpose": "insurance", "created_us": now}]))
            for table, rows in (("policy", history.policies(group)), ("care_case", history.cases()), ("care_step", history.steps()),
                                ("care_decision", history.decisions()), ("care_cap_use", history.uses())):
                insert(db, table, rows)
        self.tell(f"{len(history.claims):,} earlier claims")

    def admitted(self):
        return self.today - datetime.timedelta(days=10)

    def waiting(self):
        """Claims that wait for the county, the oldest first, as on its worklist: one of a person at most."""
        return dict(self.s.rows("care", "SELECT recipient, id FROM care_case WHERE closed_us = 0 AND stage = 'county' AND state = 1 ORDER BY id"))

    def open(self, n):
        """Claims of the next n persons, in no order of where they live."""
        rows = []
        for _ in range(n):
            person_id, organization, _ = self.persons[self.next % PERSONS]
            self.next += 1
            stay = facts(hospital="省人民医院", hospital_level=3, public_hospital="true", admitted=self.admitted(), discharged=self.today,
                         days=self.rng.randint(1, 9))
            body = {"programme": PROGRAMME, "organization": organization, "recipient": person_id, "facts": stay, "documents": SUMMARY}
            rows.append(("POST", "/v1/cases", self.clerk.token, json.dumps(body, ensure_ascii=False)))
        if rows:
            pour(self.s, "openings", rows, "SELECT COUNT(*) FROM care_case")

    def decide(self, seconds=SECONDS):
        self.open(max(0, A_SECOND * seconds - len(self.waiting())))
        cases = list(self.waiting().values())
        rows = [("POST", f"/v1/cases/{case}:act", self.approvers[i % APPROVERS].token, '{"action":"approve"}') for i, case in enumerate(cases)]
        wait_until("the consumers have caught up with the openings", lambda: followed(self.s), 300, 0.1)
        result = wrk(self.s.port, write_requests("claims", rows), seconds, "once")
        self.tell(f"{result['rate']:.0f} claims/s decided")
        return result


def part_claims():
    print(f"claims: decided by rule, their cap across earlier claims, {PERSONS:,} persons with history, over reservations and postings", flush=True)
    with stack(instances={"care": 1, "activity": 1}, gateway_options=["--rate-scale=1000"]) as s:
        claims = Claims(s)
        purse = Purse(s, COUNTIES)
        purse.spend(1)
        claims.decide(1)  # warm
        ledger, ours = interleaved(purse.spend, claims.decide)
        assert s.rows("care", "SELECT COUNT(*) FROM care_cap_use")[0][0] == PERSONS, "claims were counted in another year than the earlier ones"
    figure("claims_vs_ledger", ours / ledger, 0.4, 0.8, note=f"{ours:.0f}/s against {ledger:.0f}/s")


PARTS = {"claims": part_claims}
