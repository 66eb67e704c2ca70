#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Programmes as versioned documents: drafted, checked, activated, tried; what is shipped; the official calendars."""
import concurrent.futures
import copy
import glob
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import person  # noqa: E402
from support.reported import HOSPITAL_CARE, LOAN_INTEREST  # noqa: E402
from support.stack import CARE, ROOT, Stack  # noqa: E402
from support.story import expect, main, story  # noqa: E402
from support.world import make_members  # noqa: E402

COUNTY, OTHER_COUNTY = "430102", "430103"
FILES = {os.path.basename(p)[:-5]: p for p in glob.glob(os.path.join(ROOT, "services/care/programmes/*.json"))}
FACTS = {"person.special": "true", "policy.active": "true", "hospital_level": "2", "public_hospital": "true", "admitted": "2026-04-01",
         "discharged": "2026-04-13", "days": "12"}


def sign_in(s, who, sessions={}):
    """Signs in once a file: signing in is rationed."""
    if who not in sessions:
        sessions[who] = s.login(who)
    return sessions[who]


def account(s, role, organization, made={}):
    if (role, organization) not in made:
        login, password = f"programme-{role[5:].lower()}-{organization}", "a-long-password-1"
        body = {"login": login, "organization": organization, "grants": [{"role": role, "organization": organization}]}
        s.call("POST", "/v1/accounts", {"account": body, "password": password}, token=sign_in(s, "admin")).ok()
        made[role, organization] = s.call("POST", "/v1/sessions", {"login": login, "password": password}).ok()["token"]
    return made[role, organization]


def shipped(name):
    with open(FILES[name]) as f:
        return json.load(f)


def versions(programme):
    return f"/v1/programmes/{programme}/versions"


def evaluate(s, token, programme, facts, version=0):
    body = {"version": version, "facts": [{"name": k, "value": v} for k, v in facts.items()]}
    return s.call("POST", f"/v1/programmes/{programme}:evaluate", body, token=token)


@story("every programme that is shipped is there from the first start, and holds")
def all_shipped(s):
    clerk = sign_in(s, "clerk")
    listed = {p["id"]: p for p in s.call("GET", "/v1/programmes?pageSize=1000", token=clerk).ok()["programmes"]}
    expect("programmes", sorted(set(FILES) - set(listed)), [])
    for name in FILES:
        p = listed[name]
        expect(name, (p["version"], p["current"], bool(p["activateTime"])), (1, True, True))
        for key, value in shipped(name).items():
            if isinstance(value, (str, bool, int)):
                expect(f"{name}: {key}", p["document"][key], value)
            else:
                expect(f"{name}: {key}", len(p["document"][key]), len(value))
    pages, token = [], ""
    while True:
        page = s.call("GET", f"/v1/programmes?pageSize=5&pageToken={token}", token=clerk).ok()
        pages += [p["id"] for p in page["programmes"]]
        token = page["nextPageToken"]
        if not token:
            break
    expect("page by page", pages, sorted(listed))
    for year in (2024, 2025, 2026):
        with open(os.path.join(ROOT, f"services/care/calendar/{year}.json")) as f:
            expect(str(year), s.call("GET", f"/v1/workCalendars/{year}", token=clerk).ok(), json.load(f))
    s.call("GET", "/v1/workCalendars/2031", token=clerk).refused(404, "not-found")


@story("a version is drafted, activated, and from then on the current one; what it came to before stays as it was")
def life(s):
    admin, clerk = sign_in(s, "admin"), sign_in(s, "clerk")
    document = shipped("hospital-care")
    first = s.call("POST", versions("life"), document, token=admin).ok()
    expect("a draft", (first["version"], first["current"], first.get("activateTime")), (1, False, None))
    s.call("GET", "/v1/programmes/life", token=admin).refused(404, "not-found")
    s.call("GET", "/v1/programmes/life?version=1", token=clerk).refused(404, "not-found")
    s.call("GET", "/v1/programmes/life?version=1", token=admin).ok()
    evaluate(s, clerk, "life", FACTS, 1).refused(404, "not-found")
    expect("tried as a draft", evaluate(s, admin, "life", FACTS, 1).ok()["amount"], "120000")

    held = s.call("POST", "/v1/programmes/life:activate", {"version": 1}, token=admin).ok()
    expect("activated", (held["version"], held["current"], bool(held["activateTime"])), (1, True, True))
    events = s.rows("care", "SELECT COUNT(*) FROM rpc_outbox WHERE type = 'nuanxin.care.v1.ProgrammeActivated'")[0][0]
    expect("again is nothing new", s.call("POST", "/v1/programmes/life:activate", {"version": 1}, token=admin).ok()["activateTime"], held["activateTime"])

    document["terms"][0]["perUnit"]["amount"] = 15000
    second = s.call("POST", versions("life"), document, token=admin).ok()
    expect("another draft", (second["version"], second["current"]), (2, False))
    expect("not in force yet", evaluate(s, clerk, "life", FACTS).ok()["amount"], "120000")
    s.call("POST", "/v1/programmes/life:activate", {"version": 2}, token=admin).ok()
    expect("in force", evaluate(s, clerk, "life", FACTS).ok()["amount"], "180000")
    expect("the first as it was", evaluate(s, clerk, "life", FACTS, 1).ok()["amount"], "120000")
    expect("who reads it sees which holds", [s.call("GET", f"/v1/programmes/life?version={v}", token=clerk).ok()["current"] for v in (1, 2)], [False, True])
    told = s.rows("care", "SELECT COUNT(*) FROM rpc_outbox WHERE type = 'nuanxin.care.v1.ProgrammeActivated'")[0][0]
    expect("told once more", told, events + 1)
    s.call("POST", "/v1/programmes/life:activate", {"version": 3}, token=admin).refused(422, "programme-version-unknown")
    s.call("POST", "/v1/programmes/life:activate", {}, token=admin).refused(400, "invalid-argument")
    s.call("POST", "/v1/programmes/nowhere:activate", {"version": 1}, token=admin).refused(404, "not-found")


@story("a new version may move a cap's bound, but not let what was used of it be forgotten")
def caps_stay(s):
    admin = sign_in(s, "admin")
    document = shipped("hospital-care")
    s.call("POST", versions("caps"), document, token=admin).ok()
    document["caps"][0]["most"] = 60
    s.call("POST", versions("caps"), document, token=admin).ok()
    document["caps"][0]["yearStart"] = "01-01"
    answer = s.call("POST", versions("caps"), document, token=admin).refused(422, "programme-invalid")
    expect("place", [(v["pointer"], v["rule"]) for v in answer["violations"]], [("/caps/0/code", "immutable")])
    document["caps"][0]["code"] = "days-a-calendar-year"
    expect("another", s.call("POST", versions("caps"), document, token=admin).ok()["version"], 3)


@story("the same document again makes no new version, whoever sends it, how often, and at the same time")
def same_again(s):
    admin = sign_in(s, "admin")
    a, b = shipped("education-aid"), shipped("education-aid")
    b["terms"][0]["fixed"]["amount"] = 250000
    expect("first", s.call("POST", versions("again"), a, token=admin).ok()["version"], 1)
    expect("again", s.call("POST", versions("again"), a, token=admin).ok()["version"], 1)
    expect("another", s.call("POST", versions("again"), b, token=admin).ok()["version"], 2)
    expect("the first, after another", s.call("POST", versions("again"), dict(reversed(list(a.items()))), token=admin).ok()["version"], 1)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        documents = [copy.deepcopy(a) for _ in range(24)]
        for i, d in enumerate(documents):
            d["reserveDays"] = 100 + i % 3
        made = list(pool.map(lambda d: (d["reserveDays"], s.call("POST", versions("again"), d, token=admin).ok()["version"]), documents))
    expect("three more, each once", sorted({v for _, v in made}), [3, 4, 5])
    expect("one number a document", len(set(made)), 3)


@story("a document that does not hold together is refused with each place")
def refused(s):
    admin = sign_in(s, "admin")
    document = shipped("loan-interest")
    document["conditions"][0]["fact"] = "principle"
    document["stages"][0]["actions"][0]["to"] = "nowhere"
    document["caps"][0]["most"] = 0
    del document["stages"][3]["actions"][0]["effects"]
    answer = s.call("POST", versions("broken"), document, token=admin).refused(422, "programme-invalid")
    places = {v["pointer"]: v["rule"] for v in answer["violations"]}
    for place, rule in {"/conditions/0/fact": "unknown", "/caps/0/most": "required", "/stages/0/actions/0/to": "unknown", "/stages/1": "unreachable",
                        "/terms": "required"}.items():
        expect(place, places.get(place), rule)
    assert "/conditions/0/fact" in answer["detail"], answer["detail"]
    chinese = s.call("POST", versions("broken"), document, token=admin, headers={"Accept-Language": "zh"}).refused(422, "programme-invalid")
    assert any("没有" in v["detail"] for v in chinese["violations"]), chinese
    s.call("GET", "/v1/programmes/broken?version=1", token=admin).refused(404, "not-found")
    document = shipped("loan-interest")
    document["language"] = "zh"
    s.call("POST", versions("broken"), document, token=admin).refused(400, "invalid-argument")
    document = shipped("loan-interest")
    document["organization"] = "99"
    s.call("POST", versions("broken"), document, token=admin).refused(404, "organization-unknown")


@story("facts that do not fit are refused by name, and what they come to is said with all that fails")
def facts(s):
    clerk = sign_in(s, "clerk")
    answer = evaluate(s, clerk, "hospital-care", {**FACTS, "days": "twelve", "weeks": "2", "admitted": "2026-02-29"}).refused(422, "fact-invalid")
    expect("rules", sorted(v["rule"] for v in answer["violations"]), ["type", "type", "unknown"])
    assert "twelve" not in json.dumps(answer), "a value that was given is in the answer"
    good = evaluate(s, clerk, "hospital-care", FACTS).ok()
    expect("granted", (good["eligible"], good["amount"], good["uses"][0]["cap"], good["uses"][0]["period"], good["uses"][0]["used"]),
           (True, "120000", "days-a-year", "2026-03-01", "12"))
    cut = evaluate(s, clerk, "hospital-care", {**FACTS, "days": "120"}).ok()
    expect("cut", (cut["eligible"], cut["amount"], cut["uses"][0]["used"]), (True, "900000", "90"))
    none = evaluate(s, clerk, "hospital-care", {**FACTS, "hospital_level": "1", "person.special": "false"}).ok()
    expect("not granted", (none["eligible"], none["failed"], none["amount"]), (False, ["special-family", "hospital-level"], "0"))
    loan = evaluate(s, clerk, "loan-interest", {"principal": "5000000", "rate": "435", "days": "365", "began": "2026-01-05"}).ok()
    expect("interest", (loan["eligible"], loan["amount"]), (True, "217500"))


@story("what the shipped programmes come to is what associations reported")
def reported(s):
    clerk = sign_in(s, "clerk")
    each = {days: int(evaluate(s, clerk, "hospital-care", {**FACTS, "days": str(days)}).ok()["amount"]) for days in HOSPITAL_CARE["days"]}
    expect("recipients", sum(HOSPITAL_CARE["days"].values()), HOSPITAL_CARE["recipients"])
    expect("hospital care", sum(n * each[days] for days, n in HOSPITAL_CARE["days"].items()), HOSPITAL_CARE["paid"])
    rate = LOAN_INTEREST["subsidy"] * 10000 // LOAN_INTEREST["loans"]
    facts = {"principal": "5000000", "days": "365", "began": "2026-01-05"}
    low, high = (int(evaluate(s, clerk, "loan-interest", {**facts, "rate": str(r)}).ok()["amount"]) for r in (rate, rate + 1))
    loans = LOAN_INTEREST["loans"] // 5_000_000
    assert low * loans <= LOAN_INTEREST["subsidy"] <= high * loans, (low, high)


@story("who may: writers at the programme's organisation; everybody who works with programmes reads")
def rights(s):
    admin, clerk = sign_in(s, "admin"), sign_in(s, "clerk")
    county, other = (account(s, "ROLE_ADMINISTRATOR", c) for c in (COUNTY, OTHER_COUNTY))
    document = shipped("maternity-support")
    s.call("POST", versions("rights"), document, token=county).refused(404)
    document["organization"] = COUNTY
    s.call("POST", versions("rights"), document, token=clerk).refused(403, "permission-denied")
    s.call("POST", versions("rights"), document, token=other).refused(404)
    s.call("POST", versions("rights"), document, token=county).ok()
    s.call("POST", "/v1/programmes/rights:activate", {"version": 1}, token=other).refused(404)
    s.call("POST", "/v1/programmes/rights:activate", {"version": 1}, token=clerk).refused(403, "permission-denied")
    s.call("POST", "/v1/programmes/rights:activate", {"version": 1}, token=county).ok()
    s.call("GET", "/v1/programmes/rights", token=other).ok()
    s.call("GET", "/v1/programmes/rights").refused(401, "unauthenticated")
    answer = s.call("POST", versions("hospital-care"), document, token=county).refused(422, "programme-invalid")
    expect("of another organisation", answer["violations"][0]["pointer"], "/organization")
    s.call("POST", versions("rights"), {**document, "organization": "43"}, token=admin).refused(422, "programme-invalid")


@story("a member reads in the app which programmes there are, and what a programme comes to, but no draft")
def in_the_app(s):
    member = make_members(s, sign_in(s, "admin"), [person(70101, COUNTY + "001001")], COUNTY + "001001")[0]["id"]
    session = s.call("POST", "/v1/sessions:exchange", {"member": member}, token=s.api_key).ok()["token"]
    assert "maternity-support" in [p["id"] for p in s.call("GET", "/v1/programmes?pageSize=1000", token=session).ok()["programmes"]]
    document = s.call("GET", "/v1/programmes/maternity-support", token=session).ok()["document"]
    expect("in the member's language", document["titleZh"], "生育关怀补助")
    expect("tried", evaluate(s, session, "maternity-support", {"child": "second", "born": "2026-05-01"}).ok()["amount"], "200000")
    s.call("POST", versions("maternity-support"), {**shipped("maternity-support"), "reserveDays": 31}, token=sign_in(s, "admin")).ok()
    s.call("GET", "/v1/programmes/maternity-support?version=2", token=session).refused(404, "not-found")
    s.call("POST", "/v1/programmes/maternity-support:activate", {"version": 2}, token=session).refused(403, "permission-denied")


@story("a calendar is for all: set at the top, checked by the week, replaced as a whole")
def calendars(s):
    admin, county, clerk = sign_in(s, "admin"), account(s, "ROLE_ADMINISTRATOR", COUNTY), sign_in(s, "clerk")
    new = {"year": 2030, "source": "试行", "closed": ["2030-01-01", "2030-10-01"], "open": ["2030-09-28"]}
    path = "/v1/workCalendars/2030"
    for token in (county, clerk):
        s.call("PUT", path, new, token=token).refused(403, "permission-denied")
    expect("set", s.call("PUT", path, new, token=admin).ok(), new)
    for pointer, wrong in (("/closed/1", {"closed": ["2030-01-01", "2030-01-05"]}), ("/open/0", {"open": ["2030-09-27"]}),
                           ("/closed/0", {"closed": ["2031-01-01"]}), ("/closed/0", {"closed": ["1 January"]})):
        answer = s.call("PUT", path, {**new, **wrong}, token=admin).refused(400, "invalid-argument")
        expect("place", answer["violations"][0]["pointer"], pointer)
    expect("as it was", s.call("GET", path, token=clerk).ok(), new)
    shorter = {**new, "open": [], "closed": ["2030-01-01"]}
    s.call("PUT", path, shorter, token=admin).ok()
    expect("replaced", s.call("GET", path, token=clerk).ok(), shorter)


@story("the operator puts files, lists, shows what can be put again, and activates")
def command(s):
    path = os.path.join(s.folder, "visits-of-doctors.json")
    document = shipped("service-order")
    with open(path, "w") as f:
        json.dump({**document, "titleZh": "医生上门"}, f)
    put = s.cli("programme", "put", path, FILES["hospital-care"], "--json")
    made = json.loads(put.stdout)
    expect("made and found", [(p["id"], p["version"], p["current"]) for p in made], [("visits-of-doctors", 1, False), ("hospital-care", 1, True)])
    assert "visits-of-doctors 1  holds  医生上门" in s.cli("programme", "activate", "visits-of-doctors", "1").stdout
    assert "医生上门" in s.cli("programme", "list").stdout
    with open(path, "w") as f:
        f.write(s.cli("programme", "show", "visits-of-doctors").stdout)
    assert "visits-of-doctors 1  holds" in s.cli("programme", "put", path).stdout
    assert "visits-of-doctors 2  draft" in s.cli("programme", "put", path, "--set", "document.visitDays=0", "--set", "document.reserveDays=9").stdout
    with open(path, "w") as f:
        json.dump({**document, "purpose": ""}, f)
    bad = s.cli("programme", "put", path, check=False)
    assert bad.returncode == 1 and "/purpose" in bad.stderr, bad.stderr
    with open(path, "w") as f:
        json.dump({**document, "stagess": []}, f)
    bad = s.cli("programme", "put", path, check=False)
    assert bad.returncode == 1 and "/stagess" in bad.stderr, bad.stderr
    expect("no id", s.cli("programme", "put", "/dev/null", check=False).returncode, 2)
    with open(os.path.join(s.folder, "2029.json"), "w") as f:
        json.dump({"year": 2029, "source": "试行", "closed": ["2029-01-01"]}, f)
    s.cli("calendar", "put", os.path.join(s.folder, "2029.json"))
    assert "2029-01-01" in s.cli("calendar", "show", "2029").stdout


@story("a start later adds nothing, and leaves what was changed meanwhile")
def later_start(s):
    admin = sign_in(s, "admin")
    changed = shipped("three-combinations")
    changed["terms"][0]["share"]["most"] = 600000
    s.call("POST", versions("three-combinations"), changed, token=admin).ok()
    s.call("POST", "/v1/programmes/three-combinations:activate", {"version": 2}, token=admin).ok()
    calendar = s.call("GET", "/v1/workCalendars/2026", token=admin).ok()
    s.call("PUT", "/v1/workCalendars/2026", {**calendar, "source": "修订"}, token=admin).ok()
    before = s.rows("care", "SELECT programme, version, activated_us FROM programme_version ORDER BY programme, version")
    keep, s.keep = s.keep, True
    s.stop()
    s.keep = keep
    s.start()
    expect("versions", s.rows("care", "SELECT programme, version, activated_us FROM programme_version ORDER BY programme, version"), before)
    clerk = s.login("clerk")
    expect("the current one", s.call("GET", "/v1/programmes/three-combinations", token=clerk).ok()["version"], 2)
    expect("the calendar", s.call("GET", "/v1/workCalendars/2026", token=clerk).ok()["source"], "修订")


if __name__ == "__main__":
    main(Stack(instances=CARE, gateway_options=["--rate-scale=100"]))
