#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The two named contacts of a family (双岗联系人): each comes with the right of their own level, and when one has it no more there is
no moment without a task to name another."""
import contextlib
import os
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.callers import PASSWORD  # noqa: E402
from support.care import COUNTY, NEXT_VILLAGE, TOWN, VILLAGE, Office, enter, facts, publish, shipped  # noqa: E402
from support.ledger import Books  # noqa: E402
from support.stack import CARE, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import rfc3339  # noqa: E402

PAPERS = [{"kind": "certificate", "uri": "https://files.example.org/c", "sha256": "2" * 64}]
CONTACTS = {"township-contact": TOWN, "village-contact": VILLAGE}
# Of each role that is a contact of some level, is it named, or is a task open to name one? (programme "nx" has both)
UNCOVERED = ("SELECT c.id, r.role FROM care_case c JOIN (SELECT 'township-contact' AS role UNION SELECT 'village-contact') r ON 1 = 1 "
             "WHERE c.stage = 'helped' AND c.closed_us = 0 "
             "AND NOT EXISTS (SELECT 1 FROM care_contact k WHERE k.case_id = c.id AND k.role = r.role AND k.account <> '') "
             "AND NOT EXISTS (SELECT 1 FROM care_task t WHERE t.case_id = c.id AND t.kind = 3 AND t.stage = r.role AND t.done_us = 0)")


class Visitor:
    """A person with an account and a session."""

    def __init__(self, s, organization, role="STAFF"):
        self.s, self.login, self.organization = s, "contact-" + uuid.uuid4().hex[:12], organization
        body = {"login": self.login, "organization": organization, "grants": self.grants(role)}
        self.id = s.call("POST", "/v1/accounts", {"account": body, "password": PASSWORD}, token=s.login("admin")).ok()["id"]
        self.sign_in()

    def grants(self, role, organization=None):
        return [{"role": "ROLE_" + role, "organization": organization or self.organization}]

    def sign_in(self):
        self.token = self.s.call("POST", "/v1/sessions", {"login": self.login, "password": PASSWORD}).ok()["token"]

    def granted(self, *grants):
        self.s.call("POST", f"/v1/accounts/{self.id}:setGrants", {"grants": list(grants)}, token=self.s.login("admin")).ok()

    def visits(self, case):
        one = {"caseId": case["id"], "way": "HOME", "outcome": "MET", "device": self.id, "nonce": uuid.uuid4().hex[:8], "occurredTime": rfc3339(-60)}
        return self.s.call("POST", "/v1/visits:batchRecord", {"visits": [one]}, token=self.token)

    def came(self, case):
        result = self.visits(case).ok()["results"][0]
        return result.get("refusal", "") or result["visit"]["by"]


@contextlib.contextmanager
def scene():
    with Stack(instances=CARE, gateway_options=["--rate-scale=1000"]) as s:
        Books(s).fund(title="开账")  # once it is there, care knows the organisations
        s.clerk, s.village, s.town = Office(s, "staff", VILLAGE), Office(s, "approver", VILLAGE), Office(s, "approver", TOWN)
        s.county = Office(s, "approver", COUNTY)
        campaign = shipped("nuanxin-care")
        publish(s, "nx", {**campaign, "contacts": [c for c in campaign["contacts"] if c["role"] in CONTACTS]})
        yield s


def name(s, case, role, visitor):
    return s.clerk.post(f"/v1/cases/{case['id']}:setContact", {"contact": {"role": role, "account": visitor.id}})


def helped(s):
    """A case cared for, and its contacts."""
    r = enter(s, s.clerk, special=True)
    c = s.clerk.post("/v1/cases", {"programme": "nx", "organization": VILLAGE, "recipient": r["id"], "documents": PAPERS,
                                   "facts": facts(ground="bereaved", alone="true")}).ok()
    s.village.post(f"/v1/cases/{c['id']}:act", {"action": "confirm"}).ok()
    who = {role: Visitor(s, organization) for role, organization in CONTACTS.items()}
    for role, visitor in who.items():
        s.town.post(f"/v1/cases/{c['id']}:act", {"action": "approve"}).refused(422, "contact-missing")
        wait_until("care knows the account", lambda: name(s, c, role, visitor).status == 200)
    return s.town.post(f"/v1/cases/{c['id']}:act", {"action": "approve"}).ok(), who


def to_name(s, case):
    return sorted((t["stage"], t["organization"]) for t in s.county.tasks("CONTACT") if t["caseId"] == case["id"])


@story("each contact records a visit with their own level's right; who is neither contact nor entitled there finds no case")
def both(s):
    c, who = helped(s)
    for role, visitor in who.items():
        expect(role, visitor.came(c), visitor.id)
    assert Visitor(s, NEXT_VILLAGE).came(c).endswith("not-found")
    expect("seen", len(s.clerk.get(f"/v1/visits?caseId={c['id']}").ok()["visits"]), 3)  # and the next one, planned


@story("a contact's right is taken, moved elsewhere, or the account is closed: no visit any more, and a task to name another at that level")
def lost(s):
    def viewer(v):
        v.granted(*v.grants("VIEWER"))

    def elsewhere(v):
        v.granted(*v.grants("STAFF", NEXT_VILLAGE))

    def closed(v):
        s.call("POST", f"/v1/accounts/{v.id}:disable", token=s.login("admin")).ok()

    for take in (viewer, elsewhere, closed):
        c, who = helped(s)
        gone = who["village-contact"]
        take(gone)
        watched = []
        wait_until("a task to name another", lambda: watched.extend(s.rows("care", UNCOVERED)) or to_name(s, c) == [("village-contact", VILLAGE)])
        expect("never neither named nor asked for", watched + s.rows("care", UNCOVERED), [])
        expect("who is left", [x["role"] for x in s.clerk.get(f"/v1/cases/{c['id']}").ok()["contacts"]], ["township-contact"])
        if take is closed:
            assert gone.visits(c).status == 401
        else:
            gone.sign_in()
            r = gone.visits(c)
            assert r.status == 403 or gone.came(c).endswith("not-found"), r.body
            name(s, c, "village-contact", gone).refused(422, "contact-level")
        expect("the other still comes", who["township-contact"].came(c), who["township-contact"].id)
        another = Visitor(s, VILLAGE)
        wait_until("care knows the account", lambda: name(s, c, "village-contact", another).status == 200)
        expect("named", to_name(s, c), [])


@story("one account is contact in many cases: all of them are to name another")
def many(s):
    cases, one = [], None
    for _ in range(8):
        c, who = helped(s)
        one = one or who["township-contact"]
        name(s, c, "township-contact", one).ok()
        cases.append(c)
    one.granted(*one.grants("STAFF", NEXT_VILLAGE))
    watched = []
    wait_until("all to be named", lambda: watched.extend(s.rows("care", UNCOVERED)) or all(to_name(s, c) == [("township-contact", TOWN)] for c in cases))
    expect("never neither named nor asked for", watched + s.rows("care", UNCOVERED), [])


if __name__ == "__main__":
    main(scene())
