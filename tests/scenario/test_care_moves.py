#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An organisation stands elsewhere in the tree: its cases, what is to be done in them and who may do it follow."""
import contextlib
import os
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.callers import PASSWORD  # noqa: E402
from support.care import COUNTY, DAY, TOWN, VILLAGE, Office, enter, facts, publish, shipped  # noqa: E402
from support.ledger import Books  # noqa: E402
from support.stack import CARE, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

OTHER_COUNTY = "430103"
PAPERS = [{"kind": "certificate", "uri": "https://files.example.org/c", "sha256": "2" * 64}]
MANY = 110  # more tasks than follow in one transaction


@contextlib.contextmanager
def scene():
    with Stack(instances=CARE, clock=True, gateway_options=["--rate-scale=1000"]) as s:
        Books(s).fund(title="开账")  # once it is there, care knows the organisations
        s.clerk, s.village, s.town = Office(s, "staff", VILLAGE), Office(s, "approver", VILLAGE), Office(s, "approver", TOWN)
        s.county, s.other, s.city = Office(s, "approver", COUNTY), Office(s, "approver", OTHER_COUNTY), Office(s, "approver", "4301")
        campaign = shipped("nuanxin-care")
        stages = [{**x, "workingDays": False} for x in campaign["stages"]]
        publish(s, "nx", {**campaign, "stages": stages, "contacts": [c for c in campaign["contacts"] if c["role"] == "township-contact"]})
        yield s


def opened(s):
    r = enter(s, s.clerk, special=True)
    return s.clerk.post("/v1/cases", {"programme": "nx", "organization": VILLAGE, "recipient": r["id"], "documents": PAPERS,
                                      "facts": facts(ground="bereaved", alone="true")}).ok()


def account(s, organization):
    body = {"login": "moves-" + uuid.uuid4().hex[:12], "organization": organization,
            "grants": [{"role": "ROLE_STAFF", "organization": organization}]}
    return s.call("POST", "/v1/accounts", {"account": body, "password": PASSWORD}, token=s.login("admin")).ok()["id"]


def listed(office):
    """{the case: on whose list its stage's task is}, page by page."""
    found, page = {}, ""
    while True:
        r = office.get(f"/v1/tasks?organization={office.organization}&pageSize=40&pageToken={page}").ok()
        found.update({t["caseId"]: t["organization"] for t in r.get("tasks", []) if t["kind"] == "STAGE"})
        page = r.get("nextPageToken", "")
        if not page:
            return found


def of_case(office, case, kind):
    return [(t["stage"], t["organization"]) for t in office.tasks(kind) if t["caseId"] == case["id"]]


def move(s, organization, parent):
    s.call("POST", f"/v1/organizations/{organization}:move", {"parent": parent}, token=s.login("admin")).ok()


def same_lists(s):
    """Every open task stands on the lists of those above it, and on no other's."""
    wanted = {(code, task) for task, path in s.rows("care", "SELECT id, place_path FROM care_task WHERE done_us = 0") for code in path.strip("/").split("/")}
    expect("lists", set(s.rows("care", "SELECT place, task FROM care_task_place")), wanted)


@story("a township goes to another county: its villages' tasks leave the old county's list and stand on the new one's")
def township(s):
    cases = {opened(s)["id"] for _ in range(MANY)}
    s.advance(10 * DAY)  # due in five days, it goes up at once and three days later
    wait_until("gone up to the county", lambda: set(listed(s.county).values()) == {COUNTY})
    late = opened(s)["id"]
    done = opened(s)
    s.village.post(f"/v1/cases/{done['id']}:act", {"action": "confirm"}).ok()  # a task that is done, and one of the township's
    everything = cases | {late, done["id"]}
    move(s, TOWN, OTHER_COUNTY)
    wait_until("on the other county's list", lambda: set(listed(s.other)) == everything)
    expect("none on the old one's", listed(s.county), {})
    expect("all on the city's", set(listed(s.city)), everything)
    now = listed(s.other)
    expect("what went up is the new county's", {now[c] for c in cases}, {OTHER_COUNTY})
    expect("the rest is whose it was", (now[late], now[done["id"]]), (VILLAGE, TOWN))
    same_lists(s)
    s.county.get(f"/v1/cases/{late}").refused(404, "not-found")
    expect("its case", s.other.get(f"/v1/cases/{late}").ok()["organization"], VILLAGE)
    # What comes next goes by the new tree; and all of it comes back.
    s.village.post(f"/v1/cases/{late}:act", {"action": "confirm"}).ok()
    expect("the next stage", listed(s.other)[late], TOWN)
    move(s, TOWN, COUNTY)
    wait_until("back", lambda: set(listed(s.county)) == everything)
    expect("none is left there", listed(s.other), {})
    same_lists(s)


@story("a village goes to another township: a contact of the old one may not come any more, and a task to name another opens at the new one")
def village(s):
    c = opened(s)
    contact = account(s, TOWN)
    name = lambda who: s.clerk.post(f"/v1/cases/{c['id']}:setContact", {"contact": {"role": "township-contact", "account": who}})
    wait_until("care knows the account", lambda: name(contact).status == 200)
    s.village.post(f"/v1/cases/{c['id']}:act", {"action": "confirm"}).ok()
    s.town.post(f"/v1/cases/{c['id']}:act", {"action": "approve"}).ok()
    move(s, VILLAGE, "430102002")
    new_town = Office(s, "approver", "430102002")
    wait_until("a task at the new township", lambda: of_case(new_town, c, "CONTACT") == [("township-contact", "430102002")])
    expect("whom it has", s.clerk.get(f"/v1/cases/{c['id']}").ok().get("contacts", []), [])
    expect("nothing at the old one", of_case(s.town, c, "CONTACT") + of_case(s.town, c, "VISIT"), [])
    name(contact).refused(422, "contact-level")
    another = account(s, "430102002")
    wait_until("care knows the account", lambda: name(another).status == 200)
    expect("done", of_case(new_town, c, "CONTACT"), [])
    same_lists(s)
    move(s, VILLAGE, TOWN)
    wait_until("back", lambda: of_case(s.town, c, "CONTACT"))


@story("a case handed over takes what is to be done in it along: its missing contact is for the other to name")
def handed_over(s):
    c = opened(s)
    contact = account(s, TOWN)
    name = lambda who: s.clerk.post(f"/v1/cases/{c['id']}:setContact", {"contact": {"role": "township-contact", "account": who}})
    wait_until("care knows the account", lambda: name(contact).status == 200)
    s.village.post(f"/v1/cases/{c['id']}:act", {"action": "confirm"}).ok()
    s.town.post(f"/v1/cases/{c['id']}:act", {"action": "approve"}).ok()
    there = Office(s, "staff", "430103002001")
    s.clerk.post(f"/v1/cases/{c['id']}:transfer", {"organization": "430103002001", "reason": "已搬家"}).ok()
    there.post(f"/v1/cases/{c['id']}:answerTransfer", {"accepted": True}).ok()
    expect("its contact", there.get(f"/v1/cases/{c['id']}").ok().get("contacts", []), [])
    expect("to be named", of_case(s.other, c, "CONTACT"), [("township-contact", "430103002")])
    expect("to be visited", of_case(there, c, "VISIT"), [("", "430103002001")])
    expect("nothing is left", of_case(s.county, c, "CONTACT") + of_case(s.county, c, "VISIT"), [])
    same_lists(s)


if __name__ == "__main__":
    main(scene())
