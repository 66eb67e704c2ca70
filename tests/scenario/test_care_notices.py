#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Public notices: how many objections one may carry, and that none is put up whose end nobody can say."""
import contextlib
import datetime
import os
import sys
import threading
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.care import COUNTY, VILLAGE, Office, enter, facts, know_the_days, publish, shipped  # noqa: E402
from support.ledger import Books  # noqa: E402
from support.stack import CARE, Stack  # noqa: E402
from support.story import expect, main, story  # noqa: E402

PAPERS = [{"kind": k, "uri": "https://files.example.org/" + k, "sha256": "1" * 64} for k in ("loan-contract", "interest-receipt")]
LOAN = facts(lender="农村商业银行", use="planting", principal=5000000, rate=300, began="2026-01-10", days=365)
CHINA = datetime.timezone(datetime.timedelta(hours=8))
OPEN_MOST = 20


@contextlib.contextmanager
def scene():
    with Stack(instances=CARE, clock=True, gateway_options=["--rate-scale=1000"]) as s:
        Books(s).fund(title="开账")  # once it is there, care knows the organisations
        s.clerk, s.village, s.county = Office(s, "staff", VILLAGE), Office(s, "approver", VILLAGE), Office(s, "approver", COUNTY)
        publish(s, "li", shipped("loan-interest"))
        know_the_days(s)
        yield s


def opened(s):
    r = enter(s, s.clerk)
    return s.clerk.post("/v1/cases", {"programme": "li", "organization": VILLAGE, "recipient": r["id"], "facts": LOAN, "documents": PAPERS}).ok()


def confirm(s, case):
    return s.village.post(f"/v1/cases/{case['id']}:act", {"action": "confirm"})


def noticed(s):
    """(case, its notice)."""
    c = opened(s)
    confirm(s, c).ok()
    notices = s.call("GET", f"/v1/notices?organization={VILLAGE}&pageSize=1000").ok()["notices"]
    return c, max(notices, key=lambda n: n["id"])


def object_to(s, notice):
    return s.call("POST", "/v1/objections", {"notice": notice["id"], "text": "并未用于种植"})


@story("at most twenty objections to a notice are open; once one is settled there is room again")
def bounds(s):
    c, notice = noticed(s)
    raised = [object_to(s, notice).ok() for _ in range(OPEN_MOST)]
    p = object_to(s, notice).refused(409, "objections-full")
    assert str(OPEN_MOST) in p["detail"], p
    object_to(s, noticed(s)[1]).ok()  # it is counted by notice
    expect("one task for them all", len([t for t in s.village.tasks("OBJECTION") if t["caseId"] == c["id"]]), 1)
    s.village.post(f"/v1/objections/{raised[0]['id']}:settle", {"upheld": False, "reason": "查无此事"}).ok()
    object_to(s, notice).ok()
    object_to(s, notice).refused(409, "objections-full")


@story("an address from which many objections come at once is made to wait, as one is that calls any public method too often")
def rate(s):
    with Stack(instances=CARE) as strict:
        answers = [object_to(strict, {"id": str(uuid.uuid4())}) for _ in range(40)]
        heard, limited = [a for a in answers if a.status == 404], [a for a in answers if a.status == 429]
        assert len(heard) + len(limited) == 40 and 10 <= len(heard) <= 25, [a.status for a in answers]
        limited[-1].refused(429, "rate-limited")
        assert int(limited[-1].headers["Retry-After"]) >= 1, limited[-1].headers


@story("many object at once: no more are taken than a notice carries")
def rush(s):
    notice = noticed(s)[1]
    answers, lock = [], threading.Lock()

    def ask():
        for _ in range(6):
            r = object_to(s, notice)
            with lock:
                answers.append(r.status)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    expect("answers", (answers.count(200), answers.count(409)), (OPEN_MOST, 36 - OPEN_MOST))


@story("a notice that would end in a year whose working days nobody knows is not put up; the operator puts them in, and it is")
def calendar(s):
    c, waiting = opened(s), noticed(s)
    o = object_to(s, waiting[1]).ok()
    years = sorted(y for (y,) in s.rows("care", "SELECT year FROM work_calendar"))
    now = datetime.datetime.now(CHINA) + datetime.timedelta(microseconds=s.offset)
    s.advance((datetime.datetime(years[-1], 12, 28, 12, tzinfo=CHINA) - now).total_seconds())
    s.clerk, s.village = Office(s, "staff", VILLAGE), Office(s, "approver", VILLAGE)
    p = confirm(s, c).refused(422, "calendar-missing")
    for word in (str(years[-1] + 1), "li"):
        assert word in p["detail"], p
    expect("it waits where it was", s.clerk.get(f"/v1/cases/{c['id']}").ok()["stage"], "village")
    settle = lambda: s.village.post(f"/v1/objections/{o['id']}:settle", {"upheld": False, "reason": "查无此事"})
    settle().refused(422, "calendar-missing")
    year = years[-1] + 1
    said = s.cli("programme", "activate", "li", "1")
    assert str(years[-1] + 1) in said.stderr and "li 1  holds" in said.stdout, said
    # Days off that the law alone does not say: they show in the end.
    off = [d for d in (datetime.date(year, 1, 4 + i) for i in range(5)) if d.weekday() < 5]
    path = os.path.join(s.folder, f"{year}.json")
    with open(path, "w") as f:
        f.write('{"year": %d, "source": "国务院办公厅通知", "closed": [%s]}' % (year, ", ".join(f'"{d}"' for d in off)))
    s.cli("calendar", "put", path)
    expect("nothing is missing", s.cli("programme", "activate", "li", "1").stderr, "")
    confirm(s, c).ok()
    notice = max(s.call("GET", f"/v1/notices?organization={VILLAGE}&pageSize=1000").ok()["notices"], key=lambda n: n["id"])
    day, left = datetime.date(years[-1], 12, 28), 7
    while left:
        day += datetime.timedelta(days=1)
        left -= day.weekday() < 5 and day not in off and (day.month, day.day) != (1, 1) or (day.year == year and day.month == 1 and day.day == 1 and day.weekday() < 5)
    end = datetime.datetime.combine(day + datetime.timedelta(days=1), datetime.time(0), CHINA)
    expect("its end", datetime.datetime.fromisoformat(notice["endTime"].replace("Z", "+00:00")), end)
    settle().ok()


if __name__ == "__main__":
    main(scene())
