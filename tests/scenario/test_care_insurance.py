#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Insurance: persons insured by a list, as it comes; its report; the same list again; killed in the middle; the figures."""
import json
import os
import sys
import tempfile
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.callers import PASSWORD  # noqa: E402
from support.people import id_number, person  # noqa: E402
from support.stack import CARE, ROOT, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.traces import files_with  # noqa: E402

CITY, COUNTY, VILLAGE, NEXT_VILLAGE, ELSEWHERE = "4301", "430102", "430102001001", "430102001002", "430103"
CSV = {"Content-Type": "text/csv"}
PREMIUM = 15000


def sign_in(s, who, sessions={}):
    """Signs in once a file: signing in is rationed. who: a seeded login, or (role, organisation) of an account of its own."""
    if who in sessions:
        return sessions[who]
    login = who
    if isinstance(who, tuple):
        login = "insurance-" + uuid.uuid4().hex[:12]
        body = {"login": login, "organization": who[1], "grants": [{"role": who[0], "organization": who[1]}]}
        s.call("POST", "/v1/accounts", {"account": body, "password": PASSWORD}, token=sign_in(s, "admin")).ok()
        sessions[who] = s.call("POST", "/v1/sessions", {"login": login, "password": PASSWORD}).ok()["token"]
    else:
        sessions[who] = s.login(who)
    return sessions[who]


def treasurer(s, organization=CITY):
    return sign_in(s, ("ROLE_TREASURER", organization))


def new_group(s, organization=CITY, token=None, **fields):
    body = {"organization": organization, "title": "2026 计生家庭意外伤害保险", "insurer": "人保财险", "startDate": "2026-01-01",
            "endDate": "2026-12-31", "premium": str(PREMIUM), "purpose": "insurance", **fields}
    return s.call("POST", "/v1/policyGroups", body, token=token or treasurer(s, organization))


def listed(rows, titles="id_number,name", encoding="utf-8"):
    return "".join(line + "\r\n" for line in [titles, *(",".join(r) for r in rows)]).encode(encoding)


def rows_of(numbers, *more):
    return [(id_number(n), person(n, VILLAGE)["name"], *more) for n in numbers]


def send(s, group, content, organization=COUNTY, token=None, query=""):
    return s.call("POST", f"/v1/policyGroups/{group}:import?organization={organization}{query}", content, token=token or treasurer(s), headers=CSV)


def ended(s, started, token=None, seconds=60):
    def look():
        r = s.call("GET", f"/v1/careOperations/{started['id']}", token=token or treasurer(s))
        return r.json if r.status == 200 and r.json["state"] in ("SUCCEEDED", "FAILED") else None

    return wait_until("the import has ended", look, seconds)


def take(s, group, content, **how):
    return ended(s, send(s, group, content, **how).ok(), how.get("token"))


def counts(done):
    return tuple(done.get(k, 0) for k in ("rowsAccepted", "rowsUnchanged", "rowsRefused"))


def report(done):
    return [(e["row"], e["column"], e["code"]) for e in done.get("errors", [])]


def figures(s, group, token=None):
    f = s.call("GET", f"/v1/policyGroups/{group}/figures", token=token or treasurer(s)).ok()
    return {k: int(f.get(k, 0)) for k in ("insured", "premiums", "claims", "payouts", "lossRatioBasisPoints")}


def recipients(s, organization):
    found, page = {}, ""
    while True:
        answer = s.call("GET", f"/v1/recipients?organization={organization}&pageSize=1000&pageToken={page}", token=sign_in(s, "admin")).ok()
        for r in answer.get("recipients", []):
            assert r["id"] not in found, r
            found[r["id"]] = r
        page = answer.get("nextPageToken", "")
        if not page:
            return found


@story("a group policy is concluded for a year, and is there for who keeps insurance where it stands")
def concluded(s):
    g = new_group(s).ok()
    expect("as concluded", (g["organization"], g["startDate"], g["endDate"], g["premium"], g["purpose"]),
           (CITY, "2026-01-01", "2026-12-31", str(PREMIUM), "insurance"))
    expect("as read", s.call("GET", f"/v1/policyGroups/{g['id']}", token=treasurer(s)).ok(), g)
    more = [new_group(s, COUNTY, token=treasurer(s)).ok()["id"] for _ in range(2)]
    pages, token = [], ""
    while not pages or token:
        page = s.call("GET", f"/v1/policyGroups?organization={CITY}&pageSize=2&pageToken={token}", token=treasurer(s)).ok()
        pages += [x["id"] for x in page["groups"]]
        token = page.get("nextPageToken", "")
    expect("listed", sorted(pages), sorted([g["id"], *more]))
    expect("a county's", sorted(x["id"] for x in s.call("GET", f"/v1/policyGroups?organization={COUNTY}", token=treasurer(s, COUNTY)).ok()["groups"]),
           sorted(more))
    s.call("GET", f"/v1/policyGroups?organization={CITY}", token=treasurer(s, COUNTY)).refused(404, "not-found")
    expect("nobody yet", figures(s, g["id"]), {"insured": 0, "premiums": 0, "claims": 0, "payouts": 0, "lossRatioBasisPoints": 0})
    for url in (f"/v1/policyGroups/{g['id']}", f"/v1/policyGroups/{g['id']}/figures", f"/v1/policyGroups/{uuid.uuid4()}"):
        s.call("GET", url, token=treasurer(s, ELSEWHERE)).refused(404, "not-found")
    s.call("GET", f"/v1/policyGroups/{g['id']}", token=sign_in(s, ("ROLE_APPROVER", CITY))).refused(403, "permission-denied")
    for fields, problem in (({"startDate": "2026-02-30"}, "/startDate"), ({"endDate": "2025-12-31"}, "/endDate")):
        answer = new_group(s, **fields).refused(400, "invalid-argument")
        expect("the field", [v["pointer"] for v in answer["violations"]], [problem])
    new_group(s, ELSEWHERE, token=treasurer(s, COUNTY)).refused(404, "not-found")


@story("a list insures persons: who was not there is entered; bad rows are told by row; the same list again makes no doubles")
def by_list(s):
    group, clerk = new_group(s).ok()["id"], sign_in(s, "clerk")
    known = s.call("POST", "/v1/recipients", {"organization": VILLAGE, "name": "李小龙", "idNumber": id_number(100)}, token=clerk).ok()
    gone = s.call("POST", "/v1/recipients", {"organization": VILLAGE, "name": "赵四", "idNumber": id_number(101)}, token=clerk).ok()
    s.call("PATCH", f"/v1/recipients/{gone['id']}?updateMask=state", {"state": "DECEASED"}, token=clerk, headers={"If-Match": f'"{gone["etag"]}"'}).ok()
    far = s.call("POST", "/v1/recipients", {"organization": ELSEWHERE, "name": "钱五", "idNumber": id_number(102)}, token=sign_in(s, "admin")).ok()
    good = [*rows_of(range(200, 1500), VILLAGE), (id_number(100), " 李小龙　", ""), *rows_of([1500], "")]
    wrong = id_number(1600)[:-1] + ("0" if id_number(1600)[-1] != "0" else "1")
    bad = [(wrong, "王五", ""), (id_number(1601), "", ""), (id_number(100), "李大龙", ""), (id_number(101), "赵四", ""), (id_number(102), "钱五", ""),
           (id_number(1602), "孙六", "999999"), (id_number(1603), "周七", ELSEWHERE)]
    content = listed(good + bad, "id_number,name,organization")
    said = [(1304, "id_number", "id-number-invalid"), (1305, "name", "name-invalid"), (1306, "name", "name-differs"),
            (1307, "id_number", "recipient-not-active"), (1308, "id_number", "out-of-scope"), (1309, "organization", "organization-unknown"),
            (1310, "organization", "out-of-scope")]
    checked = take(s, group, content, query="&validateOnly=true")
    expect("checked", (counts(checked), report(checked), figures(s, group)["insured"]), ((1302, 0, 7), said, 0))
    for accepted in (1302, 0):
        done = take(s, group, content)
        expect("taken", (done["state"], counts(done), report(done)), ("SUCCEEDED", (accepted, 1302 - accepted, 7), said))
        expect("premiums once", figures(s, group), {"insured": 1302, "premiums": 1302 * PREMIUM, "claims": 0, "payouts": 0, "lossRatioBasisPoints": 0})
    errors = s.call("GET", f"/v1/careOperations/{done['id']}/errors?pageSize=4", token=treasurer(s)).ok()
    errors["errors"] += s.call("GET", f"/v1/careOperations/{done['id']}/errors?pageSize=4&pageToken={errors['nextPageToken']}",
                               token=treasurer(s)).ok()["errors"]
    expect("all that was refused", report(errors), said)
    secrets = {n: id_number(n).encode() for n in (100, 200, 1500, 1601)}
    expect("in clear in any file", files_with(s, secrets), [])
    places = [r["organization"] for r in recipients(s, COUNTY).values()]
    expect("where they live", (places.count(VILLAGE), places.count(COUNTY)), (1302, 1))
    policies = s.call("GET", f"/v1/recipients/{known['id']}/policies", token=clerk).ok()["policies"]
    expect("insured", [(p["group"], p["recipient"], p["startDate"], p["endDate"]) for p in policies],
           [(group, known["id"], "2026-01-01", "2026-12-31")])
    for other in (gone, far):
        expect("not insured", s.call("GET", f"/v1/recipients/{other['id']}/policies", token=sign_in(s, "admin")).ok().get("policies", []), [])
    later = new_group(s, startDate="2027-01-01", endDate="2027-12-31").ok()["id"]
    expect("the next year", counts(take(s, later, listed(rows_of([1500])))), (1, 0, 0))
    expect("of this year nothing changes", figures(s, group)["insured"], 1302)


@story("a list in GB18030 with Chinese titles; one that only checks finds what stands twice in it, as taking it does")
def as_it_comes(s):
    group = new_group(s).ok()["id"]
    rows = [(id_number(2000), "欧阳·𠮷"), *rows_of(range(2001, 3200)), (id_number(2001), "另一人"), rows_of([2002])[0]]
    content = listed(rows, "身份证号,姓名", "gb18030")
    checked = take(s, group, content, query="&validateOnly=true", organization=NEXT_VILLAGE)
    expect("checked", (counts(checked), report(checked)), ((1200, 1, 1), [(1202, "name", "person-twice")]))
    expect("nobody", (figures(s, group)["insured"], recipients(s, NEXT_VILLAGE)), (0, {}))
    done = take(s, group, content, organization=NEXT_VILLAGE)
    expect("taken", (counts(done), report(done)), ((1200, 1, 1), [(1202, "name", "name-differs")]))
    assert "欧阳·𠮷" in [r["name"] for r in recipients(s, NEXT_VILLAGE).values()]
    expect("the same in another encoding", counts(take(s, group, listed(rows), organization=NEXT_VILLAGE)), (0, 1201, 1))
    expect("premiums once", figures(s, group)["premiums"], 1200 * PREMIUM)
    expect("a file without its columns", report(take(s, group, "姓名\n王五\n".encode())), [(1, "id_number", "column-missing")])
    expect("a file of nothing", report(take(s, group, b"\n")), [(1, "", "empty")])


@story("lists go into the groups of one's own association and those above it, and are followed by who may send them")
def whose(s):
    city, county = new_group(s).ok()["id"], new_group(s, COUNTY, token=treasurer(s, COUNTY)).ok()["id"]
    mine = treasurer(s, COUNTY)
    started = send(s, city, listed(rows_of([4000])), token=mine).ok()
    expect("a county's list into its city's group", counts(ended(s, started, mine)), (1, 0, 0))
    send(s, county, listed(rows_of([4001])), organization=ELSEWHERE).refused(404, "not-found")
    send(s, county, listed(rows_of([4001])), organization=CITY).refused(404, "not-found")
    send(s, city, listed(rows_of([4001])), organization=ELSEWHERE, token=mine).refused(404, "not-found")
    send(s, str(uuid.uuid4()), listed(rows_of([4001]))).refused(404, "not-found")
    send(s, city, listed(rows_of([4001])), token=sign_in(s, "clerk")).refused(403, "permission-denied")
    for who, status in ((treasurer(s), 200), (treasurer(s, ELSEWHERE), 404), (sign_in(s, "clerk"), 404)):
        for url in (f"/v1/careOperations/{started['id']}", f"/v1/careOperations/{started['id']}/errors"):
            expect("who follows it", s.call("GET", url, token=who).status, status)
    expect("insured", (figures(s, city)["insured"], figures(s, county)["insured"]), (1, 0))


@story("an import goes on after kill -9 where it was, and ends complete: nobody insured twice, nobody entered twice")
def survives(s):
    group, n = new_group(s).ok()["id"], 12000
    rows = rows_of(range(10000, 10000 + n))
    started, state, kills = send(s, group, listed(rows), organization="430102002001").ok(), {}, 0

    def reached(count):
        r = s.call("GET", f"/v1/careOperations/{started['id']}", token=treasurer(s))
        state.update(r.json if r.status == 200 else {})
        return state.get("rowsDone", 0) >= count or state.get("state", "RUNNING") != "RUNNING"

    for part in range(3):
        wait_until("the import goes on", lambda: reached(part * n // 4 + 1), 60)
        if state["state"] == "RUNNING":
            for instance in range(CARE["care"]):
                s.kill(f"care-{instance + 1}")
            kills += 1
    assert kills, "the import ended before the first kill"
    expect("accepted and refused", counts(ended(s, started)), (n, 0, 0))
    expect("figures", figures(s, group), {"insured": n, "premiums": n * PREMIUM, "claims": 0, "payouts": 0, "lossRatioBasisPoints": 0})
    expect("persons", len(recipients(s, "430102002001")), n)
    expect("the same again", counts(take(s, group, listed(rows), organization="430102002001")), (0, n, 0))
    expect("persons", len(recipients(s, "430102002001")), n)


def published(s, programme, name):
    with open(os.path.join(ROOT, "services/care/programmes", name + ".json")) as f:
        version = s.call("POST", f"/v1/programmes/{programme}/versions", json.load(f), token=sign_in(s, "admin")).ok()["version"]
    s.call("POST", f"/v1/programmes/{programme}:activate", {"version": version}, token=sign_in(s, "admin")).ok()


def claim(s, recipient, occurred="2026-05-01"):
    """One that the county is to report to the insurer."""
    body = {"programme": "claims", "organization": VILLAGE, "recipient": recipient, "consent": True,
            "facts": [{"name": "kind", "value": "accident"}, {"name": "occurred", "value": occurred}],
            "documents": [{"kind": "proof", "uri": "https://files.example.org/proof", "sha256": "0" * 64}]}
    case = s.call("POST", "/v1/cases", body, token=sign_in(s, "clerk")).ok()["id"]
    act(s, case, "confirm", VILLAGE).ok()
    return case


def act(s, case, action, organization, **fields):
    return s.call("POST", f"/v1/cases/{case}:act", {"action": action, **fields}, token=sign_in(s, ("ROLE_APPROVER", organization)))


def report_to_insurer(s, case):
    return act(s, case, "report", COUNTY, facts=[{"name": "reference", "value": "PICC-1"}])


def pay(s, case, reference, amount, date="2026-06-01", token=None, **fields):
    return s.call("POST", f"/v1/cases/{case}/payouts", {"reference": reference, "amount": str(amount), "date": date, **fields},
                  token=token or treasurer(s, COUNTY))


@story("whoever was insured on the day may claim; what the insurer paid counts once, and may be more than was paid in: 108.8 %")
def paid(s):
    published(s, "claims", "insurance-claim")
    group = new_group(s, endDate="2099-12-31").ok()["id"]
    people = rows_of(range(30000, 31000), VILLAGE)
    expect("insured", counts(take(s, group, listed(people, "id_number,name,organization"))), (1000, 0, 0))
    names = {name for _, name, _ in people}
    insured = sorted(r["id"] for r in recipients(s, VILLAGE).values() if r["name"] in names)
    cases = [claim(s, r) for r in insured[:12]]
    for case in cases:
        expect("with the insurer", report_to_insurer(s, case).ok()["stage"], "insurer")
    for case in cases[1:]:
        told = pay(s, case, "A-1", 1360000).ok()
        expect("the same again", pay(s, case, "A-1", 1360000, policy=told["policy"]).ok(), told)
    for part, amount in (("A-1", 1000000), ("A-2", 360000)):
        pay(s, cases[0], part, amount).ok()
    city = {"insured": 1000, "premiums": 1000 * PREMIUM, "claims": 12, "payouts": 16320000, "lossRatioBasisPoints": 10880}
    expect("figures", figures(s, group), city)
    for changed in ({"amount": 1360001}, {"date": "2026-06-02"}, {"policy": str(uuid.uuid4())}):
        answer = pay(s, cases[1], "A-1", **{"amount": 1360000, **changed}).refused(409, "payout-differs")
        assert "A-1" in answer["detail"] and "1360000" in answer["detail"] and "2026-06-01" in answer["detail"], answer
    pay(s, cases[1], "A-3", 1, "2026-02-30").refused(400, "invalid-argument")
    pay(s, cases[1], "A-3", 1, token=treasurer(s, ELSEWHERE)).refused(404, "not-found")
    pay(s, cases[1], "A-3", 1, token=sign_in(s, "clerk")).refused(403, "permission-denied")
    pay(s, str(uuid.uuid4()), "A-3", 1).refused(404, "not-found")
    early = claim(s, insured[12], "2025-12-31")
    expect("not insured on that day", [v["rule"] for v in report_to_insurer(s, early).refused(422, "not-eligible")["violations"]], ["insured"])
    assert "2025-12-31" in pay(s, early, "B-1", 5).refused(422, "not-insured")["detail"]
    policies = {r: s.call("GET", f"/v1/recipients/{r}/policies", token=sign_in(s, "clerk")).ok()["policies"][0]["id"] for r in insured[11:13]}
    pay(s, early, "B-1", 5, policy=policies[insured[11]]).refused(422, "not-insured")
    expect("nothing of this counts", figures(s, group), city)
    expect("the policy that is named", pay(s, early, "B-1", 5, policy=policies[insured[12]]).ok()["policy"], policies[insured[12]])
    expect("settled", act(s, cases[0], "settled", COUNTY).ok()["state"], "DONE")
    r = s.call("GET", f"/v1/recipients/{insured[0]}", token=sign_in(s, "clerk")).ok()
    s.call("POST", f"/v1/recipients/{r['id']}:erase", {"purpose": "本人要求删除", "etag": r["etag"]}, token=sign_in(s, "admin")).ok()
    pay(s, cases[0], "A-3", 4).ok()
    expect("figures", figures(s, group), {**city, "claims": 13, "payouts": 16320009})


@story("the operator imports, and reads the figures")
def by_command(s):
    group = new_group(s).ok()["id"]
    with tempfile.NamedTemporaryFile(suffix=".csv") as f:
        f.write(listed([*rows_of(range(5000, 5010)), ("12", "王五")]))
        f.flush()
        said = s.cli("policy", "import", f.name, group, "430102003001", check=False)
    assert said.returncode == 1 and "11 rows, 10 new or changed, 0 already there, 1 refused" in said.stdout, said.stdout + said.stderr
    assert "id-number-invalid" in said.stdout, said.stdout
    assert group in s.cli("policy", "list", CITY).stdout
    shown = json.loads(s.cli("policy", "figures", group, "--json").stdout)
    expect("figures", (shown["insured"], shown["premiums"]), ("10", str(10 * PREMIUM)))
    expect("the group", json.loads(s.cli("policy", "show", group, "--json").stdout)["insurer"], "人保财险")


if __name__ == "__main__":
    main(Stack(instances=CARE, gateway_options=["--rate-scale=100"]))
