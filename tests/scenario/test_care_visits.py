#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Visits: what devices recorded offline, in any order and twice; what falls due, and is overdue; assessments and what they find."""
import contextlib
import datetime
import itertools
import json
import os
import sys
import tempfile
import threading
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.care import COUNTY, DAY, NEXT_VILLAGE, TOWN, VILLAGE, Office, enter, facts, publish, shipped  # noqa: E402
from support.ledger import Books  # noqa: E402
from support.stack import CARE, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

PAPERS = [{"kind": "certificate", "uri": "https://files.example.org/c", "sha256": "2" * 64}]
CHINA = datetime.timezone(datetime.timedelta(hours=8))
NOTE = "老人近日腿疼，想念外孙"


def at(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def after(start, days):
    return (start + datetime.timedelta(days=days)).isoformat()


@contextlib.contextmanager
def scene():
    with Stack(instances=CARE, clock=True, gateway_options=["--rate-scale=1000"]) as s:
        Books(s).fund(title="开账")  # once it is there, care knows the organisations
        s.clerk, s.village, s.town = Office(s, "staff", VILLAGE), Office(s, "approver", VILLAGE), Office(s, "approver", TOWN)
        s.county, s.next = Office(s, "approver", COUNTY), Office(s, "staff", NEXT_VILLAGE)
        campaign = shipped("nuanxin-care")
        publish(s, "nx", {**campaign, "contacts": [c for c in campaign["contacts"] if c["role"] == "family-doctor"]})
        yield s


def helped(s):
    r = enter(s, s.clerk, special=True)
    body = {"programme": "nx", "organization": VILLAGE, "recipient": r["id"], "documents": PAPERS, "facts": facts(ground="bereaved", alone="true")}
    c = s.clerk.post("/v1/cases", body).ok()
    s.clerk.post(f"/v1/cases/{c['id']}:setContact", {"contact": {"role": "family-doctor", "name": "王医生"}}).ok()
    s.village.post(f"/v1/cases/{c['id']}:act", {"action": "confirm"}).ok()
    return s.town.post(f"/v1/cases/{c['id']}:act", {"action": "approve"}).ok()


def record(s, *visits, office=None):
    return (office or s.clerk).post("/v1/visits:batchRecord", {"visits": list(visits)}).ok()["results"]


def visit(case, start, day, outcome="MET", device="d1", nonce=None, **fields):
    return {"caseId": case["id"], "way": "HOME", "outcome": outcome, "device": device, "nonce": nonce or uuid.uuid4().hex[:8],
            "occurredTime": after(start, day), **fields}


def due(s, case, office=None):
    return [at(t["dueTime"]) for t in (office or s.county).tasks("VISIT") if t["caseId"] == case["id"]]


def listed(s, case):
    return [(v["outcome"], v.get("occurredTime") or v["dueTime"], v["device"], v["nonce"])
            for v in s.clerk.get(f"/v1/visits?caseId={case['id']}").ok()["visits"]]


@story("two devices upload what they recorded offline, in any order and with repeats: the same visits stand, and the same is due next")
def orders(s):
    ends = set()
    for order in list(itertools.permutations(range(4)))[::5]:
        c = helped(s)
        start = at(c["stageTime"])
        expect("due", due(s, c), [start + datetime.timedelta(days=30)])
        s.advance(10 * DAY)
        made = [visit(c, start, 1, nonce="1"), visit(c, start, 3, "ABSENT", "d2", "1"), visit(c, start, 5, "DECLINED", "d2", "2"),
                visit(c, start, 9, nonce="2", note=NOTE)]
        first = record(s, *[made[i] for i in order[:2]])
        expect("taken", [(x.get("repeated", False), x.get("refusal", "")) for x in first], [(False, ""), (False, "")])
        again = record(s, *[made[i] for i in order])
        expect("two are new", [x.get("repeated", False) for x in again], [True, True, False, False])
        expect("the same visits", [x["visit"]["id"] for x in again[:2]], [x["visit"]["id"] for x in first])
        record(s, *made)
        expect("due next", due(s, c), [start + datetime.timedelta(days=39)])
        ends.add(tuple((o, (at(t) - start).days, d, n) for o, t, d, n in listed(s, c) if o != "OUTCOME_UNSPECIFIED"))
        expect("rows", s.rows("care", f"SELECT COUNT(*) FROM care_visit WHERE case_id = '{c['id']}' AND outcome > 0")[0][0], 4)
        assert NOTE not in str(s.clerk.get(f"/v1/visits?caseId={c['id']}").ok())
        opened = s.county.post(f"/v1/cases/{c['id']}:reveal", {"purpose": "复核"}).ok()
        expect("its notes", [v["note"] for v in opened["visits"] if v.get("note")], [NOTE])
    expect("one end", ends, {(("MET", 9, "d1", "2"), ("DECLINED", 5, "d2", "2"), ("ABSENT", 3, "d2", "1"), ("MET", 1, "d1", "1"))})


@story("devices that upload for one case at the same time, each everything and more than once: each visit stands once, one is due next")
def at_once(s):
    c = helped(s)
    start = at(c["stageTime"])
    s.advance(12 * DAY)
    made = [visit(c, start, day, device=f"d{day % 3}", nonce=str(day)) for day in range(1, 11)]
    barrier, taken = threading.Barrier(4), []

    def upload(k):
        barrier.wait()
        for i in range(len(made)):
            answer = s.clerk.post("/v1/visits:batchRecord", {"visits": [made[(i * 3 + k) % len(made)]]})
            taken.append(answer.ok()["results"][0])

    threads = [threading.Thread(target=upload, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    expect("all answered", len(taken), 40)
    expect("new once each", sum(not x.get("repeated", False) for x in taken), 10)
    expect("each is one", len({x["visit"]["id"] for x in taken}), 10)
    expect("due next", due(s, c), [start + datetime.timedelta(days=40)])


@story("each visit is taken or refused by itself: too old, in the future, out of reach, after the end")
def refusals(s):
    c = helped(s)
    start = at(c["stageTime"])
    s.advance(40 * DAY)
    visits = [visit(c, start, 39), visit(c, start, 1), visit(c, start, 41), visit({"id": str(uuid.uuid4())}, start, 39),
              visit(c, start, 39, "OUTCOME_UNSPECIFIED"), {**visit(c, start, 39), "nonce": ""}]
    got = [x.get("refusal", "").rsplit(":", 1)[-1] for x in record(s, *visits)]
    expect("by itself", got, ["", "visit-too-old", "visit-in-future", "not-found", "invalid-argument", "invalid-argument"])
    expect("not there for the next village", record(s, visit(c, start, 39), office=s.next)[0]["refusal"].rsplit(":", 1)[-1], "not-found")
    s.next.get(f"/v1/visits?caseId={c['id']}").refused(404, "not-found")
    s.town.post(f"/v1/cases/{c['id']}:act", {"action": "leave", "reason": "迁出"}).ok()
    expect("nothing is due any more", due(s, c), [])
    s.advance(DAY)
    late = record(s, visit(c, start, 39.5), visit(c, start, 40.9))
    expect("what was before the end is taken", [x.get("refusal", "").rsplit(":", 1)[-1] for x in late], ["", "case-closed"])
    s.clerk.post("/v1/visits", {"caseId": c["id"], "dueTime": after(start, 50)}).refused(422, "case-closed")


@story("a visit planned for the festival is done by one of that occasion; planned twice it is one; overdue it goes up a level")
def planned(s):
    r = enter(s, s.clerk)
    start = at(s.clerk.get(f"/v1/cases/{helped(s)['id']}").ok()["stageTime"])
    body = {"recipient": r["id"], "occasion": "spring-festival", "dueTime": after(start, 20)}
    first = s.clerk.post("/v1/visits", body).ok()
    expect("once", s.clerk.post("/v1/visits", body).ok()["id"], first["id"])
    s.clerk.post("/v1/visits", {**body, "dueTime": after(start, -2)}).refused(400, "invalid-argument")

    def open_tasks(**query):
        return [(t["stage"], t["organization"]) for t in s.county.tasks("VISIT", **query) if t["stage"] == "spring-festival"]

    expect("on the list", open_tasks(), [("spring-festival", VILLAGE)])
    expect("not overdue", open_tasks(overdue=True), [])
    s.advance(21 * DAY)
    wait_until("overdue, a level up", lambda: open_tasks(overdue=True) == [("spring-festival", TOWN)], 20)
    one = {"recipient": r["id"], "way": "HOME", "device": "d1", "occurredTime": after(start, 20.5)}
    record(s, {**one, "outcome": "ABSENT", "nonce": "1"}, {**one, "outcome": "MET", "nonce": "2", "occasion": "mid-autumn"})
    expect("still to be done", open_tasks(), [("spring-festival", TOWN)])
    record(s, {**one, "outcome": "MET", "nonce": "3", "occasion": "spring-festival"})
    expect("done", open_tasks(), [])
    seen = s.clerk.get(f"/v1/visits?recipient={r['id']}").ok()["visits"]
    expect("listed", sorted(v["outcome"] for v in seen), ["ABSENT", "MET", "MET"])


@story("a spring-festival list, by the command: each person on it is visited by whoever comes first; the same list again makes no doubles")
def by_list(s):
    people = [enter(s, s.clerk) for _ in range(3)]
    start = at(s.county.get(f"/v1/cases/{helped(s)['id']}").ok()["stageTime"])
    day = (start + datetime.timedelta(days=12)).astimezone(CHINA).date()
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as f:
        f.write("\n".join(["身份证号,姓名,日期", *(f"{r['idNumber']},{r['name']},{day}" for r in people), ""]))
        f.flush()
        for counts in ((3, 0), (0, 3)):
            said = json.loads(s.cli("visit", "import", f.name, VILLAGE, "spring-festival", "--json").stdout)
            expect("taken", (said["state"], int(said.get("rowsAccepted", 0)), int(said.get("rowsUnchanged", 0))), ("SUCCEEDED", *counts))
            s.advance(DAY)

    def to_visit():
        return [sum(v["outcome"] == "OUTCOME_UNSPECIFIED" for v in s.clerk.get(f"/v1/visits?recipient={r['id']}").ok()["visits"])
                for r in people]

    expect("planned", to_visit(), [1, 1, 1])
    s.advance(10 * DAY)
    one = {"way": "HOME", "occurredTime": after(start, 9), "occasion": "spring-festival"}
    record(s, {**one, "recipient": people[0]["id"], "outcome": "MET", "device": "d1", "nonce": "1"},
           {**one, "recipient": people[1]["id"], "outcome": "ABSENT", "device": "d1", "nonce": "2"})
    record(s, {**one, "recipient": people[0]["id"], "outcome": "ABSENT", "device": "d2", "nonce": "1"})
    expect("who was met is done", to_visit(), [0, 1, 1])


@story("an assessment opens a task for each thing that it finds, once while that is open; its values are sealed")
def assessments(s):
    c = helped(s)
    path = f"/v1/cases/{c['id']}/assessments"
    values = {"spirits": "calm", "illness": "serious", "income_lost": "true", "comforted": "true", "volunteer": "true", "insured": "true"}

    def found():
        return sorted(t["stage"] for t in s.county.tasks("MONITOR") if t["caseId"] == c["id"])

    s.clerk.post(path, {"form": "yearly", "values": []}).refused(422, "form-unknown")
    s.clerk.post(path, {"form": "monthly", "values": facts(**{**values, "spirits": "glad"})}).refused(422, "fact-invalid")
    s.clerk.post(path, {"form": "monthly", "values": facts(spirits="calm")}).refused(422, "fact-invalid")
    a = s.clerk.post(path, {"form": "monthly", "values": facts(**values)}).ok()
    expect("found", sorted(a["found"]), ["illness", "loss-of-income"])
    assert not a.get("values"), a
    expect("tasks", found(), ["illness", "loss-of-income"])
    again = s.clerk.post(path, {"form": "monthly", "values": facts(**{**values, "spirits": "distressed"})}).ok()
    expect("only what is new", again["found"], ["distress"])
    [task] = [t for t in s.county.tasks("MONITOR") if t["caseId"] == c["id"] and t["stage"] == "illness"]
    s.clerk.post(f"/v1/tasks/{task['id']}:complete", {"note": "已送医"}).ok()
    expect("looked after", found(), ["distress", "loss-of-income"])
    expect("found again", s.clerk.post(path, {"form": "monthly", "values": facts(**values)}).ok()["found"], ["illness"])
    opened = s.county.post(f"/v1/cases/{c['id']}:reveal", {"purpose": "复核"}).ok()["assessments"]
    expect("all three", [{f["name"]: f["value"] for f in x["values"]}["spirits"] for x in opened], ["calm", "distressed", "calm"])
    assert not any(b"distressed" in bytes(row[0]) for row in s.rows("care", "SELECT sealed FROM care_assessment"))
    s.next.post(path, {"form": "monthly", "values": facts(**values)}).refused(404, "not-found")


@story("a case that another village takes brings its visits along: they are on that one's worklist, and the first may record none any more")
def handed_over(s):
    c = helped(s)
    start = at(c["stageTime"])
    s.clerk.post("/v1/visits", {"caseId": c["id"], "occasion": "mid-autumn", "dueTime": after(start, 7)}).ok()
    s.clerk.post(f"/v1/cases/{c['id']}:transfer", {"organization": NEXT_VILLAGE, "reason": "搬迁"}).ok()
    s.next.post(f"/v1/cases/{c['id']}:answerTransfer", {"accepted": True}).ok()
    wanted = [start + datetime.timedelta(days=7), start + datetime.timedelta(days=30)]
    expect("due", (due(s, c), due(s, c, s.next), due(s, c, s.clerk)), (wanted, wanted, []))
    s.advance(DAY)
    expect("the first", record(s, visit(c, start, 1))[0]["refusal"].rsplit(":", 1)[-1], "not-found")
    assert not record(s, visit(c, start, 1), office=s.next)[0].get("refusal")
    expect("due then", due(s, c, s.next), [start + datetime.timedelta(days=31)])


@story("of an erased person nothing is noted any more, and no note can be read")
def erased(s):
    c = helped(s)
    start, person = at(c["stageTime"]), {"recipient": c["recipient"]}
    s.advance(DAY)
    record(s, visit(c, start, 1, note=NOTE))
    s.town.post(f"/v1/cases/{c['id']}:act", {"action": "leave", "reason": "迁出"}).ok()
    s.call("POST", f"/v1/recipients/{c['recipient']}:erase", {"purpose": "本人要求"}, token=s.login("admin")).ok()
    one = {**person, "way": "HOME", "outcome": "MET", "occurredTime": after(start, 1), "device": "d1", "nonce": "1", "note": NOTE}
    expect("refused", record(s, one)[0]["refusal"].rsplit(":", 1)[-1], "recipient-erased")
    s.clerk.post("/v1/visits", {**person, "dueTime": after(start, 9)}).refused(410, "recipient-erased")
    opened = s.county.post(f"/v1/cases/{c['id']}:reveal", {"purpose": "复核"}).ok()
    expect("what is left", [(v["outcome"], v.get("note", "")) for v in opened["visits"]], [("MET", "")])


main(scene())
