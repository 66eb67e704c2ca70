#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every method by every kind of caller: nothing is reached, changed, listed or left behind that should not be."""
import base64
import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.callers import (CSV, ELSEWHERE, FOR_AGENCIES, FOR_MEMBERS, HIDDEN, PASSWORD, SOMEWHERE, Target,  # noqa: E402
                             make_callers, requests, sign_in)
from support.care_target import AT_THE_TOP, FOR_ALL, OF_ONES_OWN, REVEALING, SECRETS  # noqa: E402
from support.stack import CARE, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.traces import stores  # noqa: E402

HERE, THERE = "430102", "430103"  # two counties of one city


class World(Stack):
    """Two counties with one of everything, and all callers in the first."""

    def start(self):
        super().start()
        self.admin = self.login("admin")
        self.here, self.there = Target(self, self.admin, HERE), Target(self, self.admin, THERE)
        self.callers = make_callers(self, self.admin, self.here)
        document = self.call("GET", "/openapi.json").json
        self.permissions = {o["operationId"]: o["x-nuanxin-permission"] for p in document["paths"].values()
                            for o in p.values() if "operationId" in o}


def ask(s, request, token):
    method, path, body, headers = (*request, None, None)[:4]
    return s.call(method, path, body, token=token, headers=headers)


def expected(caller, operation, permission, target):
    """The statuses that are right; None: whatever an admitted request leads to."""
    if operation in FOR_ALL:
        return None
    if caller.dead:
        return {401}
    reaches = caller.reaches(target)
    if operation in FOR_AGENCIES or caller.kind == "agency":
        return {403}
    if operation in SOMEWHERE:
        return None if caller.holds(permission) else {403}
    if operation in AT_THE_TOP:
        return {403}
    if operation in OF_ONES_OWN and caller.kind == "member":
        return {404}
    if operation in HIDDEN:
        return None if reaches and caller.holds(HIDDEN[operation]) else {404}
    if not reaches:
        return {404} if caller.permissions and caller.kind != "member" else {403, 404}
    if operation == "Membership_ExchangeSession" and caller.kind != "client":
        return {403} if caller.kind == "account" else {403, 404}
    if caller.kind == "client" and caller.holds(FOR_MEMBERS.get(operation, permission)):
        return None
    # Of persons a member reaches only the one it is, and learns nothing of others.
    return None if caller.holds(permission) else {403, 404} if caller.kind == "member" else {403}


def check_body(caller, target, operation, r):
    """No answer but a revealing one holds what is SENSITIVE; names are for who keeps members there."""
    text = r.body.decode()
    if operation in ("Membership_RevealMember", "Membership_ExportMemberData") and r.status == 200:
        return
    if operation in REVEALING and r.status == 200:
        assert caller.reaches(target), f"{caller.name}: {operation}"
        return
    for secret in (*SECRETS, *(target.care.person[k] for k in ("idNumber", "phone", "bankAccount"))):
        assert secret not in text, f"{caller.name}: {operation} shows {secret}"
    if not (caller.reaches(target) and caller.holds("recipient.reveal")):
        assert target.care.person["name"] not in text, f"{caller.name}: {operation} shows a name"
    for p in target.people:
        for secret in (p["idNumber"], p["phone"]):
            assert secret not in text, f"{caller.name}: {operation} shows {secret}"
        if not (caller.reaches(target) and caller.holds("member.write")):
            assert p["name"] not in text, f"{caller.name}: {operation} shows a name"


def try_all(s, target, callers):
    wrong = []
    for caller in callers:
        for operation, request in requests(target).items():
            if caller.kind == "agency" and operation in FOR_AGENCIES:
                continue  # test_stream_http.py
            wanted = expected(caller, operation, s.permissions[operation], target)
            r = ask(s, request, caller.token)
            check_body(caller, target, operation, r)
            right = r.status in wanted if wanted else r.status not in (400, 401, 403, 404) and r.status < 500
            if not right:
                wrong.append(f"{caller.name}: {operation} at {target.county}: {r.status} {r.body[:120]}, not {wanted or 'admitted'}")
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(wrong)


@story("every method of the API has its line in the table")
def complete(s):
    expect("methods without a request here", set(s.permissions) - set(requests(s.here)) - ELSEWHERE, set())
    expect("requests without a method", set(requests(s.here)) - set(s.permissions), set())


@story("in another county nobody reaches anything, and nothing there changes")
def another_county(s):
    before = s.there.state(s, s.admin)
    try_all(s, s.there, s.callers)
    after = s.there.state(s, s.admin)
    for path in before:
        expect(path, after[path], before[path])


@story("whose rights are over reaches nothing, and changes nothing, in the own county either")
def over(s):
    before = s.here.state(s, s.admin)
    try_all(s, s.here, [c for c in s.callers if c.dead])
    expect("the county", s.here.state(s, s.admin), before)


@story("what a path names is what is changed, whatever the body and the query say")
def paths_and_bodies(s):
    here, there = s.here, s.there
    boss = next(c for c in s.callers if c.name == "administrator").token
    before = there.state(s, s.admin)
    tries = [("PATCH", f"/v1/organizations/{HERE}", {"code": THERE, "name": "改名"}),
             ("PATCH", f"/v1/organizations/{HERE}?organization.code={THERE}", {"name": "改名"}),
             ("PATCH", f"/v1/organizations/{HERE}", {"parent": THERE, "path": f"/43/4301/{THERE}/"}),
             ("POST", f"/v1/organizations/{here.village}:move", {"organization": there.village, "parent": here.township}),
             ("POST", f"/v1/organizations/{here.village}:move", {"parent": there.township}),
             ("POST", f"/v1/organizations/{HERE}:move", {"parent": "43"}),
             ("POST", f"/v1/members/{here.member}:suspend", {"member": there.member}),
             ("POST", f"/v1/members/{here.member}:resume?member={there.member}", {}),
             ("PATCH", f"/v1/activities/{here.activity}", {"organization": THERE}),
             ("POST", f"/v1/activities/{here.activity}/registrations/{there.registration}:cancel", {}),
             ("POST", "/v1/activities", {"campaign": there.campaign, "organization": HERE, "title": "x", "category": "CARE",
                                         "mode": "ON_SITE", "place": "x", "startTime": "2026-05-29T08:00:00Z", "endTime": "2026-05-29T09:00:00Z"}),
             ("POST", f"/v1/accounts/{here.account}:setGrants", {"account": there.account, "grants": []}),
             ("POST", f"/v1/members:import?organization={HERE}&organization={THERE}", b"organization,name,id_number\n", CSV),
             ("POST", "/v1/organizations:import", f"code,parent_code,level,name\n{THERE}999,{THERE},township,x\n".encode(), CSV),
             ("POST", "/v1/organizations:import", f"code,parent_code,level,name\n{THERE},4301,county,改名\n".encode(), CSV),
             ("POST", "/v1/organizations:import", "code,parent_code,level,name\n99,,province,新省\n".encode(), CSV)]
    for request in tries:
        r = ask(s, request, boss)
        assert r.status < 500, (request, r.body)
        if r.status == 200 and request[1].endswith(":import"):
            expect(str(request), r.json["state"], "FAILED")
    after = there.state(s, s.admin)
    for path in before:
        expect(path, after[path], before[path])
    s.call("GET", "/v1/organizations/99", token=s.admin).refused(404)
    expect("where the county stands", s.call("GET", f"/v1/organizations/{HERE}", token=s.admin).ok()["path"], f"/43/4301/{HERE}/")


@story("nobody gives more than they have, nor to themselves")
def granting(s):
    boss = next(c for c in s.callers if c.name == "administrator").token
    for organization, status in (("43", 403), ("4301", 403), (THERE, 403), ("*", 404), ("", 400), ("/43/", 404), ("4301021", 404)):
        grants = [{"role": "ROLE_ADMINISTRATOR", "organization": organization}]
        expect(f"a grant at {organization!r}", s.call("POST", f"/v1/accounts/{s.here.account}:setGrants", {"grants": grants}, token=boss).status, status)
        body = {"name": "x", "organization": HERE, "grants": grants}
        expect(f"a client's at {organization!r}", s.call("POST", "/v1/clients", body, token=boss).status, status)
    for role in (0, 7, 99, -1, "ROLE_ROOT", "ROLE_AGENCY", ""):  # an agency has its rights by its agreement
        grants = [{"role": role, "organization": HERE}]
        expect(f"role {role!r}", s.call("POST", f"/v1/accounts/{s.here.account}:setGrants", {"grants": grants}, token=boss).status, 400)
    staff = s.call("POST", "/v1/accounts", s.here.new_account("ROLE_STAFF"), token=boss).ok()
    own = sign_in(s, staff["login"])
    for verb, body in ((":setGrants", {"grants": [{"role": "ROLE_ADMINISTRATOR", "organization": HERE}]}), (":disable", {})):
        expect("one's own " + verb, s.call("POST", f"/v1/accounts/{staff['id']}{verb}", body, token=own).status, 403)


@story("lists end at the border: searched, exported, or continued from another's page")
def lists(s):
    for caller in (c for c in s.callers if not c.dead and c.kind != "member" and c.at == HERE and c.holds("organization.read")):
        codes, token = [], ""
        while True:
            page = s.call("GET", f"/v1/organizations?pageSize=40&pageToken={token}", token=caller.token).ok()
            codes += page["organizations"]
            token = page.get("nextPageToken", "")
            if not token:
                break
        assert codes and all(o["path"].startswith(f"/43/4301/{HERE}/") for o in codes), caller.name
        for accept in ("text/csv", "application/x-ndjson"):
            r = s.call("GET", "/v1/organizations", token=caller.token, headers={"Accept": accept})
            assert r.status == 200 and THERE.encode() not in r.body, (caller.name, accept)
        for q in (THERE, "雨花", "天心", "%", "_", "省"):
            found = s.call("GET", "/v1/organizations?q=" + "".join(f"%{b:02X}" for b in q.encode()), token=caller.token).ok()
            assert all(HERE in o["path"] for o in found.get("organizations", [])), (caller.name, q)
        wide = s.call("GET", "/v1/organizations?pageSize=2", token=s.admin).ok()["nextPageToken"]
        r = s.call("GET", f"/v1/organizations?pageSize=1000&pageToken={wide}", token=caller.token)
        assert r.status == 400 or all(HERE in o["path"] for o in r.json["organizations"]), caller.name
    staff = next(c for c in s.callers if c.name == "ROLE_STAFF")
    theirs = s.call("GET", f"/v1/members?organization={THERE}&pageSize=1", token=s.admin).ok()["nextPageToken"]
    own = s.call("GET", f"/v1/members?organization={HERE}&pageSize=1", token=staff.token).ok()["nextPageToken"]
    s.call("GET", f"/v1/members?organization={THERE}&pageToken={theirs}", token=staff.token).refused(404)
    s.call("GET", f"/v1/members?organization={HERE}&state=ACTIVE&pageToken={own}", token=staff.token).refused(400, "page-token-invalid")
    raw = bytearray(base64.urlsafe_b64decode(own + "=" * (-len(own) % 4)))
    raw[-1] ^= 1
    for token in (theirs, own[:-4], own + "AAAA", "A", "%00", "x" * 1025, base64.urlsafe_b64encode(raw).decode().rstrip("=")):
        s.call("GET", f"/v1/members?organization={HERE}&pageToken={token}", token=staff.token).refused(400)
    found = s.call("POST", "/v1/members:find", {"idNumber": s.there.people[0]["idNumber"], "purpose": "核对"}, token=staff.token).ok()
    expect("found there", found.get("members", []), [])


@story("a member is nobody else: not to read, not to change, not to register or check in")
def members(s):
    for member in (c for c in s.callers if c.kind == "member"):
        for path in (f"/v1/members/{s.here.member}", f"/v1/members/{s.here.member}/card", f"/v1/members/{s.here.member}/registrations"):
            s.call("GET", path, token=member.token).refused(404, "not-found")
        s.call("POST", f"/v1/activities/{s.here.activity}/registrations", {"member": s.here.member}, token=member.token).refused(404)
        for who in ({"online": s.here.member}, {"member": s.here.member}):
            assert s.call("POST", f"/v1/activities/{s.here.activity}/checkins", who, token=member.token).status in (403, 404)
        s.call("GET", f"/v1/activities/{s.here.draft}", token=member.token).refused(404)
        # An app's key opens a session for any of its members: that must not show what the key itself may not see.
        s.call("POST", f"/v1/members/{s.self}:reveal", {"purpose": "本人查看"}, token=member.token).refused(403, "permission-denied")
        own = s.call("GET", f"/v1/members/{s.self}", token=member.token).ok()
        assert "*" in own["idNumberMasked"] and "*" in own["phoneMasked"] and "*" not in own["name"], own


@story("in the own county each does what the roles say, and no more")
def own_county(s):
    try_all(s, s.here, [c for c in s.callers if not c.dead])


@story("nothing that passed by has left a trace in logs, Redis, the stores, events or the audit")
def traces(s):
    people = s.here.people + s.there.people + [s.here.care.person, s.there.care.person]
    sensitive = [v.encode() for p in people for v in (p["idNumber"], p["phone"], p.get("bankAccount")) if v] + [v.encode() for v in SECRETS]
    names = [p["name"].encode() for p in people]
    secrets = [PASSWORD.encode(), b"another horse", s.credentials["admin"]["password"].encode(), s.api_key.encode(), s.api_key[4:].encode()]
    secrets += [c.token.encode() for c in s.callers if c.token and len(c.token) > 15] + [s.admin.encode()]

    def absent(what, content, texts):
        for text in texts:
            assert text not in content, f"{what} holds {text!r}"

    def files(pattern):
        found = glob.glob(os.path.join(s.var, pattern), recursive=True)
        assert found, pattern
        return found

    for path in files("log/*.log"):
        with open(path, "rb") as f:
            absent(path, f.read(), sensitive + names + secrets)
    for path in (files("store/*.db*") if s.engine == "sqlite" else []) + files("redis/**/*.aof"):
        with open(path, "rb") as f:
            absent(path, f.read(), sensitive + secrets)
    for path in files("redis/**/*.aof"):
        with open(path, "rb") as f:
            absent(path, f.read(), names)
    tables = stores(s)
    assert all(tables[file, table] for file in ("membership", "activity", "care") for table in ("rpc_outbox", "rpc_audit", "rpc_answer"))
    for (file, table), rows in tables.items():
        if table.startswith("rpc_"):  # events, the audit, kept answers
            absent(f"{file}: {table}", repr(rows).encode() + b"".join(v for row in rows for v in row if isinstance(v, bytes)),
                   sensitive + names + secrets)


@story("what stands in Redis goes by itself: only a few names stay")
def redis_lives(s):
    def redis(*words):
        r = subprocess.run(["redis-cli", "-s", os.path.join(s.var, "redis.sock"), *words], capture_output=True, text=True, check=True)
        return r.stdout.split()

    stay = {"instances", "gateway:revocations", "session-since"}
    keys = redis("KEYS", "*")
    assert any(k.startswith("session:") for k in keys), keys
    lasting = [k for k in keys if k not in stay and redis("PTTL", k) == ["-1"]]
    expect("keys without an end", lasting, [])


if __name__ == "__main__":
    main(World(instances=CARE, gateway_options=["--rate-scale=1000"]))
