# SPDX-License-Identifier: Apache-2.0
"""Every kind of caller, and for every method of the API a request at a target: what the stories of access go through.

A target is a county with one of everything in it. A caller holds permissions at one organisation (`at`), or nothing any
more (`dead`).
"""
import itertools
import json
import os
import re

from . import care_target
from .people import id_number, person
from .stack import ROOT
from .story import wait_until
from .world import make_activity, make_members, operation_done, rfc3339

PASSWORD = "correct horse battery"
_number = itertools.count(800000)


def role_permissions():
    """What each role may do, as the contract says: {"ROLE_STAFF": {"member.read", ...}}."""
    with open(os.path.join(ROOT, "proto", "nuanxin", "type", "role.proto")) as f:
        found = re.findall(r"(ROLE_\w+) = \d+ \[\(nuanxin\.role\) = \{\s*permissions: (\[[^\]]*\]|\"\*\")", f.read())
    return {role: set(re.findall(r'"([^"]+)"', permissions)) for role, permissions in found}


class Caller:
    def __init__(self, name, token, kind="account", role="ROLE_ADMINISTRATOR", at="43", dead=False, ceiling=None):
        """ceiling: the organisation beyond which the app backend between does not reach."""
        self.name, self.token, self.kind, self.at, self.dead = name, token, kind, ceiling or at, dead
        self.permissions = set() if role is None else role_permissions()[role]

    def holds(self, permission):
        return "*" in self.permissions or permission in self.permissions

    def reaches(self, target):
        return target.county.startswith(self.at) and bool(self.permissions)


class Target:
    """One of everything in a county; `people` are whose particulars nobody may see."""

    def __init__(self, s, admin, county):
        def made(path, body):
            return s.call("POST", path, body, token=admin).ok()

        below = s.call("GET", f"/v1/organizations?ancestor={county}&pageSize=4", token=admin).ok()["organizations"]
        self.county, self.township, self.village, self.next_village = (o["code"] for o in below)  # the first ones, top down
        self.people = [person(next(_number), self.village) for _ in range(2)]
        members = make_members(s, admin, self.people, self.village)
        self.member, self.registered = members[0]["id"], members[1]["id"]
        self.campaign = made("/v1/campaigns", {"organization": county, "title": "县级活动", "startTime": rfc3339(-60),
                                               "endTime": rfc3339(86400)})["id"]
        made(f"/v1/campaigns/{self.campaign}:open", {})
        self.activity = make_activity(s, admin, organization=county, campaign=self.campaign, capacity=10)["id"]
        self.draft = make_activity(s, admin, organization=county, campaign=self.campaign, open_it=False)["id"]
        self.registration = made(f"/v1/activities/{self.activity}/registrations", {"member": self.registered})["id"]
        self.account = made("/v1/accounts", self.new_account())["id"]
        self.client = made("/v1/clients", self.new_client())["client"]["id"]
        r = s.call("POST", f"/v1/members:import?organization={county}", "organization,name,id_number\n,,\n".encode(), token=admin,
                   headers={"Content-Type": "text/csv"}).ok()
        self.operation = operation_done(s, r, admin)["id"]
        visitor = made("/v1/accounts", self.new_account("ROLE_STAFF"))["id"]
        approver = made("/v1/accounts", self.new_account("ROLE_APPROVER"))["login"]
        self.care = care_target.CareTarget(s, admin, county, self.township, self.village, visitor, sign_in(s, approver))

    def new_account(self, role="ROLE_VIEWER"):
        login = f"made-{next(_number)}"
        return {"account": {"login": login, "displayName": "某人", "organization": self.county,
                            "grants": [{"role": role, "organization": self.county}]}, "password": PASSWORD}

    def new_client(self):
        return {"name": "应用", "organization": self.county, "grants": [{"role": "ROLE_APP_BACKEND", "organization": self.county}]}

    def new_person(self):
        return person(next(_number), self.village)

    def state(self, s, admin):
        """All of it, as the administrator sees it: it stays so while others only try."""
        paths = [f"/v1/members/{self.member}", f"/v1/campaigns/{self.campaign}", f"/v1/activities/{self.activity}",
                 f"/v1/activities/{self.draft}", f"/v1/activities/{self.activity}/registrations",
                 f"/v1/activities/{self.activity}/checkins", f"/v1/activities/{self.activity}/checkins?refused=true",
                 f"/v1/accounts?organization={self.county}", f"/v1/clients?organization={self.county}",
                 f"/v1/members?organization={self.county}", f"/v1/organizations?ancestor={self.county}&pageSize=1000",
                 f"/v1/membership/operations/{self.operation}", f"/v1/members/{self.member}/consents", *self.care.state()]
        return {path: s.call("GET", path, token=admin).ok() for path in paths}


CSV = care_target.CSV


def requests(t, caller_member=""):
    """operationId → (method, path, body, headers) at the target."""
    member, activity, account = f"/v1/members/{t.member}", f"/v1/activities/{t.activity}", f"/v1/accounts/{t.account}"
    registration = f"{activity}/registrations/{t.registration}"
    organization = f"/v1/organizations/{t.county}"
    purpose = {"purpose": "核对身份"}
    new_activity = {"campaign": t.campaign, "organization": t.county, "title": "活动", "category": "HEALTH", "mode": "ON_SITE",
                    "place": "村部", "startTime": rfc3339(60), "endTime": rfc3339(3600)}
    rows = f"code,parent_code,level,name\n{t.village}99,{t.township},village,新村\n".encode()
    return {
        "Membership_GetOrganization": ("GET", organization),
        "Membership_ListOrganizations": ("GET", f"/v1/organizations?ancestor={t.county}"),
        "Membership_CreateOrganization": ("POST", "/v1/organizations", {"code": f"{t.village}{next(_number)}", "parent": t.township,
                                                                        "kind": "VILLAGE", "name": "新村"}),
        "Membership_UpdateOrganization": ("PATCH", organization, {"name": "改名"}),
        "Membership_MoveOrganization": ("POST", f"/v1/organizations/{t.village}:move", {"parent": t.township}),
        "Membership_GetOrganizationCounts": ("GET", organization + "/counts"),
        "Membership_ImportOrganizations": ("POST", "/v1/organizations:import?validateOnly=true", rows, CSV),
        "Membership_ApplyMember": ("POST", "/v1/members", {k: v for k, v in t.new_person().items() if k != "joinDate"}),
        "Membership_GetMember": ("GET", member),
        "Membership_UpdateMember": ("PATCH", member, {"phone": "13900000000"}),
        "Membership_ListMembers": ("GET", f"/v1/members?organization={t.county}"),
        "Membership_RevealMember": ("POST", member + ":reveal", purpose),
        "Membership_ExportMemberData": ("POST", member + ":exportData", purpose),
        "Membership_GiveConsent": ("POST", member + "/consents", {"purpose": "hospital-care", "version": "1"}),
        "Membership_ListConsents": ("GET", member + "/consents"),
        "Membership_WithdrawConsent": ("POST", member + "/consents:withdraw", {}),
        "Membership_FindMembers": ("POST", "/v1/members:find", {"idNumber": t.people[0]["idNumber"], **purpose}),
        "Membership_GetMemberCard": ("GET", member + "/card"),
        "Membership_ImportMembers": ("POST", f"/v1/members:import?organization={t.county}&validateOnly=true",
                                     b"organization,name,id_number\n", CSV),
        "Membership_GetOperation": ("GET", f"/v1/membership/operations/{t.operation}"),
        "Membership_ListOperationErrors": ("GET", f"/v1/membership/operations/{t.operation}/errors"),
        "Membership_CreateAccount": ("POST", "/v1/accounts", t.new_account()),
        "Membership_GetAccount": ("GET", account),
        "Membership_ListAccounts": ("GET", f"/v1/accounts?organization={t.county}"),
        "Membership_SetAccountGrants": ("POST", account + ":setGrants", {"grants": [{"role": "ROLE_VIEWER", "organization": t.county}]}),
        "Membership_SetAccountPassword": ("POST", account + ":setPassword", {"password": "another horse"}),
        "Membership_RevokeAccountSessions": ("POST", account + ":revokeSessions", {}),
        "Membership_ExchangeSession": ("POST", "/v1/sessions:exchange", {"member": t.member}),
        "Membership_CreateClient": ("POST", "/v1/clients", t.new_client()),
        "Membership_ListClients": ("GET", f"/v1/clients?organization={t.county}"),
        "Membership_RotateClientKey": ("POST", f"/v1/clients/{t.client}:rotateKey", {}),
        "Activities_CreateCampaign": ("POST", "/v1/campaigns", {"organization": t.county, "title": "新活动", "startTime": rfc3339(0),
                                                                "endTime": rfc3339(60)}),
        "Activities_GetCampaign": ("GET", f"/v1/campaigns/{t.campaign}"),
        "Activities_ListCampaigns": ("GET", f"/v1/campaigns?organization={t.county}"),
        "Activities_UpdateCampaign": ("PATCH", f"/v1/campaigns/{t.campaign}", {"title": "改名"}),
        "Activities_GetCampaignCounts": ("GET", f"/v1/campaigns/{t.campaign}/counts?organization={t.county}"),
        "Activities_CreateActivity": ("POST", "/v1/activities", new_activity),
        "Activities_GetActivity": ("GET", activity),
        "Activities_ListActivities": ("GET", f"/v1/activities?organization={t.county}"),
        "Activities_UpdateActivity": ("PATCH", activity, {"title": "改名"}),
        "Activities_CreateRegistration": ("POST", activity + "/registrations", {"member": t.member}),
        "Activities_GetRegistration": ("GET", registration),
        "Activities_ListRegistrations": ("GET", activity + "/registrations"),
        "Activities_ListMemberRegistrations": ("GET", f"/v1/members/{t.registered}/registrations"),
        "Activities_CreateCheckin": ("POST", activity + "/checkins", {"online": t.member}),
        "Activities_BatchCreateCheckins": ("POST", activity + "/checkins:batchCreate", {"scans": [{"member": t.member}]}),
        "Activities_ListCheckins": ("GET", activity + "/checkins"),
        "Stream_FetchEvents": ("GET", "/v1/events"),
        "Stream_StreamEvents": ("GET", "/v1/events:stream"),
        "Stream_FetchSnapshot": ("GET", "/v1/events:snapshot"),
        **t.care.requests(),
        # What ends things comes last: whoever may, does.
        "Activities_CancelRegistration": ("POST", registration + ":cancel", {}),
        "Activities_CloseActivity": ("POST", activity + ":close", {}),
        "Activities_OpenActivity": ("POST", activity + ":open", {}),
        "Activities_CancelActivity": ("POST", activity + ":cancel", {"reason": "暴雨"}),
        "Activities_CloseCampaign": ("POST", f"/v1/campaigns/{t.campaign}:close", {}),
        "Activities_OpenCampaign": ("POST", f"/v1/campaigns/{t.campaign}:open", {}),
        "Membership_ApproveMember": ("POST", member + ":approve", {}),
        "Membership_SuspendMember": ("POST", member + ":suspend", {}),
        "Membership_ResumeMember": ("POST", member + ":resume", {}),
        "Membership_EndMember": ("POST", member + ":end", {}),
        "Membership_MarkMemberDeceased": ("POST", member + ":markDeceased", {}),
        "Membership_EraseMember": ("POST", member + ":erase", purpose),
        "Membership_DisableAccount": ("POST", account + ":disable", {}),
        "Membership_EnableAccount": ("POST", account + ":enable", {}),
        "Membership_DisableClient": ("POST", f"/v1/clients/{t.client}:disable", {}),
        "Membership_EnableClient": ("POST", f"/v1/clients/{t.client}:enable", {}),
    }


ELSEWHERE = {"Membership_CreateSession", "Membership_DeleteSession"}  # public, and about the caller's own session: no target
# Whoever holds the permission anywhere gets an answer, in which what is out of scope does not appear.
SOMEWHERE = {"Membership_FindMembers", "Membership_ImportOrganizations", "Activities_GetCampaign", "Activities_ListCampaigns",
             "Activities_GetActivity", "Activities_ListActivities", *care_target.SOMEWHERE}
# Whoever it is, and whatever the role: agencies alone.
FOR_AGENCIES = {"Stream_FetchEvents", "Stream_StreamEvents", "Stream_FetchSnapshot"}
# An app backend acts for its members with these.
FOR_MEMBERS = {"Activities_CreateRegistration": "registration.self", "Activities_GetRegistration": "registration.self",
               "Activities_CancelRegistration": "registration.self", "Activities_ListMemberRegistrations": "registration.self",
               "Activities_CreateCheckin": "checkin.self"}
# "signedIn" methods that decide by another permission, and show nothing to whoever lacks it.
HIDDEN = {"Membership_GetOperation": "member.write", "Membership_ListOperationErrors": "member.write",
          "Membership_SetAccountPassword": "account.write", **care_target.HIDDEN}


def sign_in(s, login):
    return s.call("POST", "/v1/sessions", {"login": login, "password": PASSWORD}).ok()["token"]


def agency_key(s):
    """Of one whose agreement allows it everything that an agreement can."""
    call = lambda method, body: json.loads(s.cli("call", method, json.dumps(body)).stdout)
    call("CreateAgency", {"agency": {"id": "caller", "name": "机构", "types": ["nuanxin.*"], "organizations": ["43"], "privacy": "personal",
                                     "statutoryPurposes": ["oversight"], "agreement": "协议", "agreementExpireTime": rfc3339(86400)}})
    return call("CreateAgencyKey", {"agency": "caller"})["apiKey"]


def make_callers(s, admin, target):
    """All kinds at the target's county and below it; and those who are nobody (any more)."""

    def account(role, at, **more):
        body = {"login": f"caller-{next(_number)}", "organization": at, "grants": [{"role": role, "organization": at}] if role else []}
        made = s.call("POST", "/v1/accounts", {"account": body, "password": PASSWORD}, token=admin).ok()
        return made["id"], sign_in(s, body["login"])

    def client(at):
        body = {"name": "应用", "organization": at, "grants": [{"role": "ROLE_APP_BACKEND", "organization": at}]}
        made = s.call("POST", "/v1/clients", body, token=admin).ok()
        return made["client"]["id"], made["apiKey"]

    def exchange(key, member):
        return s.call("POST", "/v1/sessions:exchange", {"member": member}, token=key).ok()["token"]

    county, village, next_village = target.county, target.village, target.next_village
    self_, gone = (m["id"] for m in make_members(s, admin, [target.new_person() for _ in range(2)], village))
    callers = [Caller("administrator", account("ROLE_ADMINISTRATOR", county)[1], at=county)]
    for role in ("ROLE_STAFF", "ROLE_APPROVER", "ROLE_TREASURER", "ROLE_VOLUNTEER", "ROLE_VIEWER"):
        callers.append(Caller(role, account(role, county)[1], role=role, at=county))
    for role in ("ROLE_MEMBER", "ROLE_APP_BACKEND"):  # roles that are no account's: they must give a person nothing more
        callers.append(Caller(f"account as {role}", account(role, county)[1], role=role, at=county))
    callers.append(Caller("the next village's staff", account("ROLE_STAFF", next_village)[1], role="ROLE_STAFF", at=next_village))
    callers.append(Caller("account without grants", account(None, county)[1], role=None, at=county))
    callers.append(Caller("app backend", client(county)[1], kind="client", role="ROLE_APP_BACKEND", at=county))
    callers.append(Caller("agency", agency_key(s), kind="agency", role="ROLE_AGENCY"))
    s.self = self_
    callers.append(Caller("member", exchange(s.api_key, self_), kind="member", role="ROLE_MEMBER"))
    callers.append(Caller("member through the village's app", exchange(client(village)[1], self_), kind="member", role="ROLE_MEMBER",
                          ceiling=village))
    # Whose rights are over.
    disabled, disabled_token = account("ROLE_ADMINISTRATOR", county)
    revoked, revoked_token = account("ROLE_ADMINISTRATOR", county)
    disabled_client, disabled_key = client(county)
    through_it, suspended = exchange(disabled_key, self_), exchange(s.api_key, gone)
    signed_out = account("ROLE_ADMINISTRATOR", county)[1]
    s.call("POST", f"/v1/accounts/{disabled}:disable", token=admin).ok()
    s.call("POST", f"/v1/accounts/{revoked}:revokeSessions", token=admin).ok()
    s.call("POST", f"/v1/clients/{disabled_client}:disable", token=admin).ok()
    s.call("POST", f"/v1/members/{gone}:suspend", token=admin).ok()
    s.call("DELETE", "/v1/sessions/current", token=signed_out).ok()
    dead = {"disabled account": disabled_token, "revoked session": revoked_token, "disabled client": disabled_key,
            "session through it": through_it, "suspended member": suspended, "signed out": signed_out, "nobody": None,
            "garbage": "garbage", "garbage key": "nxk_garbage", "garbage agency's key": "nxa_garbage", "prefix of a token": disabled_token[:20]}
    for name, token in dead.items():
        wait_until(f"{name} is nobody", lambda: s.call("GET", "/v1/activities", token=token).status == 401)
        callers.append(Caller(name, token, dead=True))
    return callers
