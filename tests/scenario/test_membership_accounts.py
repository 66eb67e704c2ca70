#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Accounts, their rights and sessions; app backends and their keys."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import person  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_members  # noqa: E402

PASSWORD = "correct horse battery"


def sign_in(s, who, sessions={}):
    """Signs in once a file: signing in is rationed."""
    if who not in sessions:
        sessions[who] = s.login(who)
    return sessions[who]


def create(s, login, role="ROLE_STAFF", organization="430102", password=PASSWORD, token=None):
    account = {"login": login, "displayName": "测试", "organization": organization,
               "grants": [{"role": role, "organization": organization}]}
    return s.call("POST", "/v1/accounts", {"account": account, "password": password}, token=token or sign_in(s, "admin"))


def session(s, login, password=PASSWORD):
    return s.call("POST", "/v1/sessions", {"login": login, "password": password})


def status(s, token, path="/v1/organizations/430102"):
    return s.call("GET", path, token=token).status


@story("an account is made once, in whatever case it is written, with a strong password")
def making(s):
    made = create(s, "Zhang.San").ok()
    expect("its login", made["login"], "zhang.san")
    create(s, "ZHANG.san").refused(409, "login-taken")
    create(s, "weak", password="short").refused(422, "password-weak")
    create(s, "weak", password="weak-weak-weak").refused(422, "password-weak")
    create(s, "nowhere", organization="999999").refused(404, "organization-unknown")
    got = session(s, "ZHANG.SAN").ok()
    expect("who it is", got["account"]["id"], made["id"])
    assert got["token"] and got["expireTime"] and "principal" not in got, got
    expect("it works", status(s, got["token"]), 200)
    expect("shown", s.call("GET", f"/v1/accounts/{made['id']}", token=sign_in(s, "admin")).ok()["grants"], made["grants"])
    listed = s.call("GET", "/v1/accounts?organization=4301&pageSize=1", token=sign_in(s, "admin")).ok()
    assert len(listed["accounts"]) == 1 and listed["nextPageToken"], listed


@story("rights are given only by whoever has them there")
def giving(s):
    create(s, "county-admin", role="ROLE_ADMINISTRATOR").ok()
    token = session(s, "county-admin").ok()["token"]
    create(s, "inside", token=token).ok()
    create(s, "outside", organization="430103", token=token).refused(404, "not-found")
    account = {"login": "sideways", "organization": "430102", "grants": [{"role": "ROLE_STAFF", "organization": "430103"}]}
    s.call("POST", "/v1/accounts", {"account": account, "password": PASSWORD}, token=token).refused(403, "permission-denied")
    create(s, "by-staff", token=sign_in(s, "clerk")).refused(403, "permission-denied")


@story("a county's administrator cannot take over an account or key that reaches further than the county")
def no_takeover(s):
    create(s, "narrow-admin", role="ROLE_ADMINISTRATOR").ok()
    narrow = session(s, "narrow-admin").ok()["token"]
    wide = {"organization": "430102", "grants": [{"role": "ROLE_ADMINISTRATOR", "organization": "43"}]}
    account = s.call("POST", "/v1/accounts", {"account": {**wide, "login": "wide"}, "password": PASSWORD}, token=sign_in(s, "admin")).ok()
    url = f"/v1/accounts/{account['id']}"
    s.call("GET", url, token=narrow).ok()
    s.call("POST", url + ":setPassword", {"password": "taken over by me"}, token=narrow).refused(403, "permission-denied")
    s.call("POST", url + ":setGrants", {"grants": []}, token=narrow).refused(403, "permission-denied")
    s.call("POST", url + ":disable", token=narrow).refused(403, "permission-denied")
    client = s.call("POST", "/v1/clients", {**wide, "name": "宽"}, token=sign_in(s, "admin")).ok()["client"]["id"]
    s.call("POST", f"/v1/clients/{client}:rotateKey", token=narrow).refused(403, "permission-denied")


@story("a change of rights ends the account's sessions")
def changing(s):
    made = create(s, "li.si").ok()
    url = f"/v1/accounts/{made['id']}"
    token = session(s, "li.si").ok()["token"]
    expect("staff", status(s, token), 200)
    grants = {"grants": [{"role": "ROLE_VIEWER", "organization": "430102"}]}
    s.call("POST", url + ":setGrants", grants, token=sign_in(s, "admin"), headers={"If-Match": '"77"'}).refused(412)
    s.call("POST", url + ":setGrants", grants, token=sign_in(s, "admin")).ok()
    wait_until("the session is over", lambda: status(s, token) == 401)
    token = session(s, "li.si").ok()["token"]
    s.call("GET", "/v1/members?organization=430102", token=token).refused(403, "permission-denied")
    s.call("POST", url + ":revokeSessions", token=sign_in(s, "admin")).ok()
    wait_until("the session is over", lambda: status(s, token) == 401)


@story("people change their own password with the present one; it ends their sessions")
def passwords(s):
    made = create(s, "wang.wu").ok()
    url = f"/v1/accounts/{made['id']}:setPassword"
    token = session(s, "wang.wu").ok()["token"]
    s.call("POST", url, {"password": "another long one"}, token=token).refused(401, "bad-credentials")
    s.call("POST", url, {"password": "wang.wu", "currentPassword": PASSWORD}, token=token).refused(422, "password-weak")
    s.call("POST", url, {"password": "another long one", "currentPassword": PASSWORD}, token=token).ok()
    wait_until("the session is over", lambda: status(s, token) == 401)
    session(s, "wang.wu").refused(401, "bad-credentials")
    session(s, "wang.wu", "another long one").ok()
    s.call("POST", url, {"password": "set by somebody"}, token=sign_in(s, "clerk")).refused(404, "not-found")
    s.call("POST", url, {"password": "set by the admin"}, token=sign_in(s, "admin")).ok()
    session(s, "wang.wu", "set by the admin").ok()


@story("a disabled account signs in no more, and says so only to whoever knows the password")
def disabling(s):
    made = create(s, "zhao.liu").ok()
    token = session(s, "zhao.liu").ok()["token"]
    s.call("POST", f"/v1/accounts/{made['id']}:disable", token=sign_in(s, "admin")).ok()
    wait_until("the session is over", lambda: status(s, token) == 401)
    session(s, "zhao.liu").refused(403, "account-disabled")
    session(s, "zhao.liu", "not this one").refused(401, "bad-credentials")


@story("an account that is enabled again signs in with what it had; its old sessions stay over")
def enabling(s):
    made = create(s, "sun.qi").ok()
    url = f"/v1/accounts/{made['id']}"
    token = session(s, "sun.qi").ok()["token"]
    generation = s.call("POST", url + ":enable", token=sign_in(s, "admin")).ok()["generation"]
    expect("nothing to enable, nothing changed", (generation, status(s, token)), (made["generation"], 200))
    assert s.call("POST", url + ":disable", token=sign_in(s, "admin")).ok()["disabled"]
    wait_until("the session is over", lambda: status(s, token) == 401)
    s.call("POST", url + ":enable", token=sign_in(s, "clerk")).refused(403, "permission-denied")
    s.cli("account", "enable", made["id"])
    expect("the old session", status(s, token), 401)
    expect("a new one", status(s, session(s, "sun.qi").ok()["token"]), 200)


@story("no answer shows a password or its hash")
def secrets(s):
    made = create(s, "secret.keeper")
    text = made.body + s.call("GET", "/v1/accounts?organization=43&pageSize=1000", token=sign_in(s, "admin")).body
    assert b"argon2" not in text and PASSWORD.encode() not in text, text


@story("a client's key is shown once, replaced at once, and ends with the client and the sessions it opened")
def clients(s):
    admin = sign_in(s, "admin")
    member = make_members(s, admin, [person(5000, "430102001001")], "430102001001")[0]["id"]
    body = {"name": "测试应用", "organization": "4301", "grants": [{"role": "ROLE_APP_BACKEND", "organization": "4301"}]}
    made = s.call("POST", "/v1/clients", body, token=admin).ok()
    key, url = made["apiKey"], f"/v1/clients/{made['client']['id']}"
    assert key.startswith("nxk_"), key
    expect("it works", status(s, key), 200)
    expect("not beyond its city", status(s, key, "/v1/organizations/4302"), 404)
    assert key.encode() not in s.call("GET", "/v1/clients?organization=43", token=admin).body
    rotated = s.call("POST", url + ":rotateKey", token=admin).ok()["apiKey"]
    wait_until("the old key is over", lambda: status(s, key) == 401)
    expect("the new one works", status(s, rotated), 200)
    own = s.call("POST", "/v1/sessions:exchange", {"member": member}, token=rotated).ok()["token"]
    expect("the member's session", status(s, own, f"/v1/members/{member}"), 200)
    expect("within the client's city only", status(s, own, "/v1/organizations/4302"), 404)
    s.call("POST", url + ":disable", token=admin).ok()
    wait_until("the key is over", lambda: status(s, rotated) == 401)
    wait_until("the member's session is over", lambda: status(s, own, f"/v1/members/{member}") == 401)
    s.call("POST", url + ":rotateKey", token=admin).refused(409, "client-disabled")
    s.call("POST", url + ":enable", token=admin).ok()
    wait_until("the key holds again", lambda: status(s, rotated) == 200)
    expect("the session that it had opened", status(s, own, f"/v1/members/{member}"), 401)


@story("nobody reaches what is between processes only")
def inside(s):
    admin = sign_in(s, "admin")
    for path in ("/v1/clients:authenticate", "/nuanxin.membership.v1.Membership/AuthenticateClient"):
        s.call("POST", path, {"keyHash": "0" * 64}, token=admin).refused(404)


if __name__ == "__main__":
    main(Stack())
