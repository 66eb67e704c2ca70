#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Consents: for which purposes a member agreed that others learn what happens to them; given, replaced, withdrawn, erased."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import person  # noqa: E402
from support.stack import SEVERAL, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.traces import stores  # noqa: E402

VILLAGE = "430102001001"
WHY = {"purpose": "本人书面申请"}


def sign_in(s, who, sessions={}):
    """Signs in once a file: signing in is rationed."""
    if who not in sessions:
        sessions[who] = s.login(who)
    return sessions[who]


def make(s, number, organization=VILLAGE):
    """The path of a member, approved by staff, and the token of a session of their own."""
    admin = sign_in(s, "admin")
    m = s.call("POST", "/v1/members", person(number, organization), token=admin).ok()
    s.call("POST", f"/v1/members/{m['id']}:approve", token=admin).ok()
    own = s.call("POST", "/v1/sessions:exchange", {"member": m["id"]}, token=s.api_key).ok()["token"]
    return f"/v1/members/{m['id']}", own


def give(s, url, token, purpose="accident-insurance", version="2026-01", **headers):
    return s.call("POST", url + "/consents", {"purpose": purpose, "version": version}, token=token, headers=headers)


def withdraw(s, url, token, **body):
    return s.call("POST", url + "/consents:withdraw", body, token=token)


def listed(s, url, token):
    return s.call("GET", url + "/consents", token=token).ok()["consents"]


def short(consents):
    """(purpose, version, holds)"""
    return [(c["purpose"], c["version"], "withdrawTime" not in c) for c in consents]


def told(s, url):
    """The consent events about a member: (type, data)."""
    sql = f"SELECT type, data FROM rpc_outbox WHERE subject = '{url.rsplit('/', 1)[1]}' AND type LIKE '%Consent%' ORDER BY seq"
    return [(type_.rsplit(".", 1)[1], bytes(data)) for type_, data in s.rows("membership", sql)]


def told_types(s, url, n):
    """Once there are so many: on PostgreSQL an event is numbered a moment after its commit."""
    wait_until(f"{n} events are told", lambda: len(told(s, url)) >= n)
    return [type_ for type_, _ in told(s, url)]


@story("a member consents, again without effect; another version takes the place of the first; each is told, once")
def giving(s):
    url, own = make(s, 50000)
    expect("none yet", listed(s, url, own), [])
    first = give(s, url, own).ok()
    expect("what is kept", (url.endswith(first["member"]), first["purpose"], first["version"], "withdrawTime" in first),
           (True, "accident-insurance", "2026-01", False))
    expect("the same again", give(s, url, own).ok(), first)
    give(s, url, own, purpose="hospital-care").ok()
    second = give(s, url, own, version="2026-02").ok()
    expect("the list", short(listed(s, url, own)),
           [("accident-insurance", "2026-01", False), ("accident-insurance", "2026-02", True), ("hospital-care", "2026-01", True)])
    replaced = listed(s, url, own)[0]
    expect("when it gave way", (replaced["giveTime"], replaced["withdrawTime"]), (first["giveTime"], second["giveTime"]))
    expect("what was told", told_types(s, url, 3), ["ConsentGiven"] * 3)
    member, organization = url.rsplit("/", 1)[1].encode(), VILLAGE.encode()
    for (_, data), (purpose, version) in zip(told(s, url), (("accident-insurance", "2026-01"), ("hospital-care", "2026-01"),
                                                            ("accident-insurance", "2026-02"))):
        assert all(part in data for part in (member, organization, purpose.encode(), version.encode())), data
    copy = s.call("POST", url + ":exportData", token=own).ok()
    expect("the copy of all that is held", copy["consents"], listed(s, url, own))


@story("a consent is withdrawn in one call, or all are; what does not hold cannot be withdrawn; it can be given again")
def withdrawing(s):
    url, own = make(s, 50100)
    for purpose in ("a", "b", "c"):
        give(s, url, own, purpose=purpose).ok()
    expect("one", short(withdraw(s, url, own, purpose="b").ok()["consents"]), [("b", "2026-01", False)])
    withdraw(s, url, own, purpose="b").refused(422, "consent-unknown")
    withdraw(s, url, own, purpose="never-given").refused(422, "consent-unknown")
    expect("all that hold", short(withdraw(s, url, own).ok()["consents"]), [("a", "2026-01", False), ("c", "2026-01", False)])
    expect("none holds", withdraw(s, url, own).ok()["consents"], [])
    give(s, url, own, purpose="b").ok()
    expect("the list", short(listed(s, url, own)), [("a", "2026-01", False), ("b", "2026-01", False), ("b", "2026-01", True), ("c", "2026-01", False)])
    expect("what was told", told_types(s, url, 7), ["ConsentGiven"] * 3 + ["ConsentWithdrawn"] * 3 + ["ConsentGiven"])
    assert b"c" in told(s, url)[5][1] and b"2026-01" not in told(s, url)[5][1], told(s, url)[5]


@story("staff give what was given on paper, within their scope; nobody else does, and the audit says who did")
def staff(s):
    clerk = sign_in(s, "clerk")
    url, own = make(s, 50200)
    away, other = make(s, 50201, "430211")
    give(s, url, clerk).ok()
    expect("the member sees it", short(listed(s, url, own)), [("accident-insurance", "2026-01", True)])
    expect("withdrawn on paper", len(withdraw(s, url, clerk).ok()["consents"]), 1)
    for act in (lambda u, t: give(s, u, t), lambda u, t: withdraw(s, u, t), lambda u, t: s.call("GET", u + "/consents", token=t)):
        act(away, clerk).refused(404, "not-found")   # out of scope
        act(url, other).refused(404, "not-found")    # another member
        act(url, None).refused(401)
        act("/v1/members/00000000-0000-7000-8000-000000000000", clerk).refused(404, "not-found")
    give(s, url, s.api_key).refused(403, "permission-denied")  # an app opens a session of the member's instead
    withdraw(s, url, s.api_key).refused(403, "permission-denied")
    log = s.cli("audit", "--json", "--set", f"subject={url.rsplit('/', 1)[1]}").stdout
    assert "GiveConsent" in log and "WithdrawConsent" in log and "accident-insurance" not in log, log


@story("what cannot be a consent is refused, each in its own way")
def bad_input(s):
    url, own = make(s, 50300)
    for body in ({}, {"purpose": "a"}, {"version": "1"}, {"purpose": "Ärzte", "version": "1"}, {"purpose": "A", "version": "1"},
                 {"purpose": "a" * 65, "version": "1"}, {"purpose": "a", "version": "v" * 65}, {"purpose": "a", "version": "1", "x": 1},
                 {"purpose": ["a"], "version": "1"}):
        s.call("POST", url + "/consents", body, token=own).refused(400)
    withdraw(s, url, own, purpose="a" * 65).refused(400)
    withdraw(s, url, own, nothing=1).refused(400)
    expect("nothing came of it", (listed(s, url, own), told(s, url)), ([], []))


@story("who is no member any more gives none, but withdraws what was given")
def ended(s):
    clerk = sign_in(s, "clerk")
    url, own = make(s, 50400)
    give(s, url, own).ok()
    s.call("POST", url + ":suspend", token=clerk).ok()
    give(s, url, clerk, purpose="b").ok()
    s.call("POST", url + ":end", token=clerk).ok()
    give(s, url, clerk, purpose="c").refused(409, "member-state")
    expect("they hold until they are withdrawn", [holds for _, _, holds in short(listed(s, url, clerk))], [True, True])
    expect("withdrawn", len(withdraw(s, url, clerk).ok()["consents"]), 2)


@story("a repeated request has one effect; of many at once exactly one version holds, and as many events are told as were given")
def races(s):
    url, own = make(s, 50500)
    first = give(s, url, own, **{"Idempotency-Key": "give-50500"}).ok()
    withdraw(s, url, own, purpose="accident-insurance").ok()
    expect("the first answer again", give(s, url, own, **{"Idempotency-Key": "give-50500"}).ok(), first)
    expect("withdrawn it stays", short(listed(s, url, own)), [("accident-insurance", "2026-01", False)])

    auth = {"Authorization": "Bearer " + sign_in(s, "admin")}
    asked = [("POST", url + "/consents", {"purpose": "hospital-care", "version": f"v{i % 5}"}, auth) for i in range(40)]
    asked += [("POST", url + "/consents:withdraw", {"purpose": "hospital-care"}, auth) for _ in range(20)]
    answers = s.load(asked[::2] + asked[1::2], connections=30)
    assert {r.status for r in answers} <= {200, 422}, {r.status for r in answers}
    of = [c for c in listed(s, url, own) if c["purpose"] == "hospital-care"]
    assert sum("withdrawTime" not in c for c in of) <= 1, of
    withdrawn = sum(r.status == 200 and "consents" in r.json for r in answers)
    types = told_types(s, url, 2 + len(of) + withdrawn)[2:]
    expect("what was told", (types.count("ConsentGiven"), types.count("ConsentWithdrawn")), (len(of), withdrawn))
    if "withdrawTime" not in of[-1]:
        expect("the last word", types[-1], "ConsentGiven")
    givings = s.rows("membership", f"SELECT giving FROM consent WHERE member = '{url.rsplit('/', 1)[1]}' AND purpose = 'hospital-care' ORDER BY giving")
    expect("counted through", [n for (n,) in givings], list(range(1, len(of) + 1)))


@story("when its organisation moves, a member's consents move along: to whom they can be seen by, with what they are")
def moving(s):
    admin, clerk = sign_in(s, "admin"), sign_in(s, "clerk")
    s.call("POST", "/v1/organizations", {"code": "430102990", "parent": "430102", "kind": "TOWNSHIP", "name": "迁移镇"}, token=admin).ok()
    url, own = make(s, 50600, "430102990")
    give(s, url, clerk).ok()
    before = listed(s, url, clerk)
    s.call("POST", "/v1/organizations/430102990:move", {"parent": "430103"}, token=admin).ok()
    for act in (lambda t: give(s, url, t), lambda t: withdraw(s, url, t), lambda t: s.call("GET", url + "/consents", token=t)):
        act(clerk).refused(404, "not-found")
    expect("unchanged", (listed(s, url, own), listed(s, url, admin)), (before, before))
    withdraw(s, url, admin).ok()
    assert b"430102990" in told(s, url)[-1][1] and told_types(s, url, 2)[-1] == "ConsentWithdrawn"


def traces(s, texts):
    """Which file of the stack, of any process, still has one of these; on PostgreSQL also which table."""
    found = []
    for folder, _, names in os.walk(s.var):
        for path in (os.path.join(folder, name) for name in names):
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    content = f.read()
                found += [(path, text) for text in texts if text in content]
    for (service, table), rows in stores(s).items() if s.engine == "postgresql" else ():
        content = b"\0".join(bytes(v) if isinstance(v, (bytes, memoryview)) else str(v).encode() for row in rows for v in row)
        found += [(f"{service}: {table}", text) for text in texts if text in content]
    return found


@story("who is erased has consented to nothing: no row, no event, no byte of it is left, and none can be given")
def erasing(s):
    admin, clerk = sign_in(s, "admin"), sign_in(s, "clerk")
    url, own = make(s, 50700)
    beside, _ = make(s, 50701)
    member = url.rsplit("/", 1)[1]
    texts = [b"purpose-of-50700", b"another-of-50700", b"version-of-50700"]
    give(s, url, own, purpose="purpose-of-50700", version="version-of-50700").ok()
    give(s, url, own, purpose="another-of-50700").ok()
    withdraw(s, url, own, purpose="another-of-50700").ok()
    give(s, beside, clerk).ok()
    told_types(s, url, 3)
    assert {text for _, text in traces(s, texts)} == set(texts), "the test looks for the right things"
    events = len(s.rows("membership", "SELECT seq FROM rpc_outbox"))

    s.call("POST", url + ":erase", WHY, token=admin).ok()
    expect("rows", s.rows("membership", f"SELECT purpose FROM consent WHERE member = '{member}'"), [])
    expect("the list", listed(s, url, clerk), [])
    give(s, url, clerk).refused(410, "member-erased")
    withdraw(s, url, clerk, purpose="purpose-of-50700").refused(422, "consent-unknown")
    gone = lambda: not traces(s, texts)
    try:
        wait_until("nothing is left in any file", gone, 30, 0.5)
    except AssertionError as e:
        raise AssertionError(f"{e}: {traces(s, texts)}") from None
    expect("the neighbour's are there", short(listed(s, beside, clerk)), [("accident-insurance", "2026-01", True)])
    expect("and still told", [type_ for type_, _ in told(s, beside)], ["ConsentGiven"])
    seqs = [n for (n,) in s.rows("membership", "SELECT seq FROM rpc_outbox ORDER BY seq")]
    expect("no position is missing", seqs, list(range(seqs[0], seqs[0] + len(seqs))))
    assert len(seqs) >= events + 3, "membership ended, rights changed, erased"  # the withdrawn rights of an own session
    types = [t.rsplit(".", 1)[1] for (t,) in s.rows("membership", f"SELECT type FROM rpc_outbox WHERE subject = '{member}' ORDER BY seq")]
    expect("in their places", types.count("EventForgotten"), 3)
    expect("the last word", types[-1], "MemberErased")


if __name__ == "__main__":
    main(Stack(instances=SEVERAL))
