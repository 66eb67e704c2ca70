#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Visits at the holidays, planned by a list: of persons who are there, once a day and occasion, told by row where not."""
import datetime
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import id_number, person  # noqa: E402
from support.stack import CARE, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

COUNTY, VILLAGE, ELSEWHERE = "430102", "430102001001", "430103"
CSV = {"Content-Type": "text/csv"}
CHINA = datetime.timezone(datetime.timedelta(hours=8))


def day(ahead):
    return (datetime.datetime.now(CHINA) + datetime.timedelta(days=ahead)).strftime("%Y-%m-%d")


def sign_in(s, who, sessions={}):
    """Signs in once a file: signing in is rationed."""
    if who not in sessions:
        sessions[who] = s.login(who)
    return sessions[who]


def enter(s, number, organization=VILLAGE):
    body = {"organization": organization, "name": person(number, VILLAGE)["name"], "idNumber": id_number(number)}
    return s.call("POST", "/v1/recipients", body, token=sign_in(s, "admin")).ok()


def row(number, date, name=None):
    return ",".join((id_number(number), name or person(number, VILLAGE)["name"], date))


def send(s, rows, titles="id_number,name,due_date", encoding="utf-8", organization=COUNTY, query="", who="clerk"):
    content = "".join(line + "\n" for line in [titles, *rows]).encode(encoding)
    return s.call("POST", f"/v1/visits:import?organization={organization}&occasion=spring-festival{query}", content,
                  token=sign_in(s, who), headers=CSV)


def take(s, rows, **how):
    started = send(s, rows, **how).ok()

    def ended():
        r = s.call("GET", f"/v1/careOperations/{started['id']}", token=sign_in(s, "clerk")).ok()
        return r if r["state"] in ("SUCCEEDED", "FAILED") else None

    return wait_until("the import has ended", ended)


def counts(done):
    return tuple(done.get(k, 0) for k in ("rowsAccepted", "rowsUnchanged", "rowsRefused"))


def report(done):
    return [(e["row"], e["column"], e["code"]) for e in done.get("errors", [])]


def visits(s, recipient):
    return s.call("GET", f"/v1/visits?recipient={recipient['id']}", token=sign_in(s, "clerk")).ok().get("visits", [])


@story("a list plans visits for persons who are there; what cannot be is told by row; the same list again plans nothing twice")
def planned(s):
    people = [enter(s, 100 + i) for i in range(1100)]  # more than one step takes
    gone, far = enter(s, 2000), enter(s, 2001, ELSEWHERE)
    s.call("PATCH", f"/v1/recipients/{gone['id']}?updateMask=state", {"state": "LEFT"}, token=sign_in(s, "clerk"),
           headers={"If-Match": f'"{gone["etag"]}"'}).ok()
    first, second = day(60), day(75)
    rows = [row(100 + i, first) for i in range(1100)] + [row(100, second), row(101, first)]
    bad = [row(100, "2026-02-30"), row(102, first, "另一人"), row(2000, first), row(2001, first), row(2002, first), row(103, day(-3)),
           row(103, day(800)), "12,王五," + first]
    said = [(1104, "due_date", "date-invalid"), (1105, "name", "name-differs"), (1106, "id_number", "recipient-not-active"),
            (1107, "id_number", "recipient-unknown"), (1108, "id_number", "recipient-unknown"), (1109, "due_date", "due-date-out-of-range"),
            (1110, "due_date", "due-date-out-of-range"), (1111, "id_number", "id-number-invalid")]
    checked = take(s, rows + bad, query="&validateOnly=true")
    expect("checked", (counts(checked), report(checked), visits(s, people[0])), ((1101, 1, 8), said, []))
    for accepted in (1101, 0):
        done = take(s, rows + bad)
        expect("taken", (counts(done), report(done)), ((accepted, 1102 - accepted, 8), said))
    expect("the same in GB18030, with Chinese titles", counts(take(s, rows, titles="身份证号,姓名,日期", encoding="gb18030")), (0, 1102, 0))
    at = datetime.datetime.fromisoformat(first).replace(hour=23, minute=59, second=59, tzinfo=CHINA)
    shown = visits(s, people[1])
    expect("planned", [(v["occasion"], v["outcome"], datetime.datetime.fromisoformat(v["dueTime"].replace("Z", "+00:00"))) for v in shown],
           [("spring-festival", "OUTCOME_UNSPECIFIED", at)])
    expect("once a day", len(visits(s, people[0])), 2)
    sent = s.rows("care", "SELECT owner FROM import")[0][0].split(":")[1]
    expect("by whom", {v["by"] for v in shown}, {sent})
    tasks = s.call("GET", f"/v1/tasks?organization={VILLAGE}&pageSize=1000", token=sign_in(s, "clerk")).ok()["tasks"]
    expect("a full page of tasks", {t["kind"] for t in tasks}, {"VISIT"})
    expect("tasks", s.rows("care", "SELECT COUNT(*) FROM care_visit"), [(1101,)])


@story("only who keeps visits there plans them")
def whose(s):
    send(s, [row(100, day(60))], organization=ELSEWHERE).refused(404, "not-found")
    started = send(s, [row(100, day(61))], organization=ELSEWHERE, who="admin").ok()
    s.call("GET", f"/v1/careOperations/{started['id']}", token=sign_in(s, "clerk")).refused(404, "not-found")


if __name__ == "__main__":
    main(Stack(instances=CARE, gateway_options=["--rate-scale=100"]))
