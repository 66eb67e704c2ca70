#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An organisation outside its time of validity: it takes nothing new, and what it has stays readable and counted."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import csv_of, person  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import list_members, make_activity, make_members, operation_done, rfc3339  # noqa: E402

CSV = {"Content-Type": "text/csv"}
NOT_VALID = (409, "organization-not-valid")
DAY = 86400


def sign_in(s, who, sessions={}):
    """Signs in once a file: signing in is rationed."""
    if who not in sessions:
        sessions[who] = s.login(who)
    return sessions[who]


class County:
    """A county of its own with two villages, and ways to ask it for everything that an organisation can take."""

    def __init__(self, s, code):
        self.s, self.admin, self.code, self.village = s, sign_in(s, "admin"), code, code + "001001"
        for parent, below, kind in (("4301", code, "COUNTY"), (code, code + "001", "TOWNSHIP"), (code + "001", self.village, "VILLAGE")):
            self.post("/v1/organizations", {"code": below, "parent": parent, "kind": kind, "name": "期限" + below}).ok()
        wait_until("activity knows it", lambda: self.campaign().status == 200)

    def post(self, path, body=None):
        return self.s.call("POST", path, body, token=self.admin)

    def set_validity(self, code=None, **times):
        return self.s.call("PATCH", f"/v1/organizations/{code or self.code}?updateMask=validFrom,validTo", times, token=self.admin).ok()

    def campaign(self):
        return self.post("/v1/campaigns", {"organization": self.code, "title": "活动", "startTime": rfc3339(0), "endTime": rfc3339(DAY)})

    def activity(self, campaign):
        return self.post("/v1/activities", {"campaign": campaign, "organization": self.code, "title": "活动", "category": "HEALTH",
                                            "mode": "ON_SITE", "place": "村部", "startTime": rfc3339(60), "endTime": rfc3339(DAY)})

    def takes(self):
        """What each kind of new thing is answered."""
        unique = os.urandom(6).hex()
        grants = [{"role": "ROLE_VIEWER", "organization": self.code}]
        return {"child": self.post("/v1/organizations", {"code": self.code + unique[-4:], "parent": self.code, "kind": "TOWNSHIP", "name": "新镇"}),
                "account": self.post("/v1/accounts", {"account": {"login": "v" + unique, "organization": self.code, "grants": grants},
                                                      "password": "correct horse battery"}),
                "client": self.post("/v1/clients", {"name": "应用", "organization": self.code, "grants": grants}),
                "campaign": self.campaign()}


@story("before it begins and after it ends an organisation takes nothing new; in between it does")
def everything(s):
    county = County(s, "430191")
    for times in ({"validFrom": rfc3339(DAY)}, {"validTo": rfc3339(-1)}, {"validFrom": rfc3339(-DAY), "validTo": rfc3339(-1)}):
        county.set_validity(**times)
        wait_until("activity knows", lambda: county.campaign().status == 409)
        for what, answer in county.takes().items():
            expect(f"{what} with {times}", (answer.status, answer.problem), NOT_VALID)
    county.set_validity(validFrom=rfc3339(-DAY), validTo=rfc3339(DAY))
    wait_until("activity knows", lambda: county.campaign().status == 200)
    expect("what it takes", {what: answer.status for what, answer in county.takes().items()},
           {"child": 200, "account": 200, "client": 200, "campaign": 200})


@story("an ended village takes no members, in no way; those that it has stay, are read, counted and can go")
def members(s):
    county = County(s, "430192")
    village, admin = county.village, county.admin
    old = make_members(s, admin, [person(30000 + i, village) for i in range(3)], village)
    applied = county.post("/v1/members", {k: v for k, v in person(30010, village).items()}).ok()
    county.set_validity(village, validTo=rfc3339(-1))
    county.post("/v1/members", person(30011, village)).refused(*NOT_VALID)
    county.post(f"/v1/members/{applied['id']}:approve").refused(*NOT_VALID)
    rows = [person(30000, village), person(30012, village), person(30013, county.code + "001")]
    started = s.call("POST", f"/v1/members:import?organization={county.code}", csv_of(rows), token=admin, headers=CSV).ok()
    done = operation_done(s, started, admin)
    expect("there already, refused, taken by another", (done["rowsUnchanged"], done["rowsRefused"], done["rowsAccepted"]), (1, 1, 1))
    expect("why", [(e["row"], e["code"], e["column"]) for e in done["errors"]], [(3, "organization-not-valid", "organization")])
    expect("still listed", len(list_members(s, admin, village)), 4)
    wait_until("still counted", lambda: s.call("GET", f"/v1/organizations/{village}/counts", token=admin).ok().get("membersActive") == 3)
    expect("corrected", s.call("PATCH", f"/v1/members/{old[0]['id']}", {"name": "王改"}, token=admin).ok()["name"], "王改")
    expect("suspended", county.post(f"/v1/members/{old[0]['id']}:suspend").ok()["state"], "SUSPENDED")
    expect("and back: that is nobody new", county.post(f"/v1/members/{old[0]['id']}:resume").ok()["state"], "ACTIVE")
    expect("turned down", county.post(f"/v1/members/{applied['id']}:end").ok()["state"], "ENDED")


@story("nothing is moved or imported below an organisation that has ended; what stands below it goes on and can leave it")
def tree(s):
    county, other = County(s, "430193"), County(s, "430184")
    county.set_validity(validTo=rfc3339(-1))
    county.post(f"/v1/organizations/{other.code}001:move", {"parent": county.code}).refused(*NOT_VALID)
    body = f"code,parent_code,level,name\n{county.code}777,{county.code},township,新镇\n{county.code}001,{county.code},township,改名\n"
    report = s.call("POST", "/v1/organizations:import", body.encode(), token=county.admin, headers=CSV).ok()
    expect("taken", (report["state"], report["rowsRefused"]), ("FAILED", 1))
    expect("why", report["errors"][0]["code"], "organization-not-valid")
    county.post("/v1/members", person(30020, county.village)).ok()
    moved = county.post(f"/v1/organizations/{county.code}001:move", {"parent": other.code}).ok()
    expect("the new parent", moved["parent"], other.code)


@story("drafts of an ended organisation are not opened, and what was closed is not opened again")
def opening(s):
    county = County(s, "430195")
    campaign = county.campaign().ok()["id"]
    county.post(f"/v1/campaigns/{campaign}:open").ok()
    draft, closed = (make_activity(s, county.admin, county.code, campaign=campaign, open_it=open_it)["id"] for open_it in (False, True))
    county.post(f"/v1/activities/{closed}:close").ok()
    county.set_validity(validTo=rfc3339(-1))
    wait_until("activity knows", lambda: county.campaign().status == 409)
    for activity in (draft, closed):
        county.post(f"/v1/activities/{activity}:open").refused(*NOT_VALID)
    county.activity(campaign).refused(*NOT_VALID)
    county.post(f"/v1/campaigns/{campaign}:close").ok()
    county.post(f"/v1/campaigns/{campaign}:open").refused(*NOT_VALID)
    expect("what was is still read", s.call("GET", f"/v1/activities/{closed}", token=county.admin).ok()["state"], "CLOSED")
    s.call("GET", f"/v1/campaigns/{campaign}/counts?organization={county.code}", token=county.admin).ok()


@story("the lists of organisations show all, or only those that are valid now")
def lists(s):
    county = County(s, "430196")
    county.set_validity(county.village, validTo=rfc3339(-1))

    def codes(query):
        return [o["code"] for o in s.call("GET", f"/v1/organizations?{query}", token=county.admin).ok().get("organizations", [])]

    everything = [county.code, county.code + "001", county.village]
    expect("all", codes(f"ancestor={county.code}"), everything)
    expect("valid below", codes(f"ancestor={county.code}&validOnly=true"), everything[:2])
    expect("valid children", codes(f"parent={county.code}001&validOnly=true"), [])
    expect("valid by code", codes(f"q={county.code}&validOnly=true"), everything[:2])
    county.set_validity(county.village, validFrom=rfc3339(-DAY))
    expect("valid again", codes(f"parent={county.code}001&validOnly=true"), everything[2:])


if __name__ == "__main__":
    main(Stack(gateway_options=["--rate-scale=100"]))
