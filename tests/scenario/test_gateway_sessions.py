#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sessions, API keys and rates through the gateway: how they begin and end, and what happens while Redis is gone."""
import glob
import hashlib
import os
import shutil
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import person  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_members  # noqa: E402

VILLAGE = "430102001001"
BOUND = 5.0  # seconds in which a revoked session ends, at worst
MINUTE, HOUR = 60, 3600


def new_account(s, login, organization="43", role="ROLE_STAFF"):
    admin = s.login("admin")
    account = s.call("POST", "/v1/accounts", {"account": {"login": login, "organization": organization, "grants": [
        {"role": role, "organization": organization}]}, "password": "correct horse battery"}, token=admin).ok()
    return admin, account["id"]


def open_session(s, login):
    return s.call("POST", "/v1/sessions", {"login": login, "password": "correct horse battery"}).ok()["token"]


def works(s, token):
    r = s.call("GET", "/v1/organizations/43", token=token)
    assert r.status in (200, 401), r.body
    return r.status == 200


def ends(s, token, what):
    """Polls all the time, so that the gateway's copy stays warm; returns how long it took."""
    started = time.monotonic()
    while works(s, token):
        assert time.monotonic() - started < BOUND, f"{what}: the session still works after {BOUND} s"
        time.sleep(0.002)  # within the rate
    return time.monotonic() - started


@story("signing out ends the session, on every thread at once")
def sign_out(s):
    _, _ = new_account(s, "sign-out")
    token, other = open_session(s, "sign-out"), open_session(s, "sign-out")
    reads = [("GET", "/v1/organizations/43", None, {"Authorization": "Bearer " + token})] * 40
    expect("before", {r.status for r in s.load(reads, 8)}, {200})
    s.call("DELETE", "/v1/sessions/current", token=token).ok()
    wait_until("every thread knows", lambda: {r.status for r in s.load(reads, 8)} == {401}, BOUND)
    assert works(s, other)


@story("revoking, new rights, a new password and disabling end all sessions of an account")
def revoked(s):
    admin, account = new_account(s, "revoked")
    changes = [(":revokeSessions", {}), (":setGrants", {"grants": [{"role": "ROLE_VIEWER", "organization": "43"}]}),
               (":setPassword", {"password": "correct horse battery"}), (":disable", {})]
    for verb, body in changes:
        tokens = [open_session(s, "revoked") for _ in range(2)]
        assert all(works(s, t) for t in tokens)
        s.call("POST", f"/v1/accounts/{account}{verb}", body, token=admin).ok()
        took = max(ends(s, t, verb) for t in tokens)
        print(f"# {verb}: {took * 1000:.0f} ms")
    s.call("POST", "/v1/sessions", {"login": "revoked", "password": "correct horse battery"}).refused(403, "account-disabled")


@story("a member's session ends with the membership, and with its app backend")
def member_session(s):
    admin = s.login("admin")
    member = make_members(s, admin, [person(70001, VILLAGE)], VILLAGE)[0]["id"]
    own = f"/v1/members/{member}"
    made = s.call("POST", "/v1/clients", {"name": "小程序", "organization": "43", "grants": [
        {"role": "ROLE_APP_BACKEND", "organization": "43"}]}, token=admin).ok()
    client, key = made["client"]["id"], made["apiKey"]
    exchange = lambda: s.call("POST", "/v1/sessions:exchange", {"member": member}, token=key).ok()["token"]
    gone = lambda token: s.call("GET", own, token=token).status == 401
    token = exchange()
    s.call("GET", own, token=token).ok()
    s.call("POST", own + ":suspend", token=admin).ok()
    wait_until("the suspended member's session has ended", lambda: gone(token), BOUND)
    s.call("POST", own + ":resume", token=admin).ok()
    token = exchange()
    s.call("GET", own, token=token).ok()
    rotated = s.call("POST", f"/v1/clients/{client}:rotateKey", token=admin).ok()["apiKey"]
    wait_until("the old key has ended", lambda: not works(s, key), BOUND)
    wait_until("and the sessions that it opened", lambda: gone(token), BOUND)
    s.call("GET", own, token=rotated).ok()
    s.call("POST", f"/v1/clients/{client}:disable", token=admin).ok()
    wait_until("the disabled client's key has ended", lambda: not works(s, rotated), BOUND)


@story("credentials that are none are refused, and say how to send one")
def no_credentials(s):
    for value in ("Bearer", "Bearer ", "Bearer a b", "Basic YTpi", "Bearer " + "x" * 200, "Bearer nxk_nobody", "nxk_x", "Bearer \u00fc"):
        r = s.call("GET", "/v1/organizations/43", headers={"Authorization": value.encode().decode("latin-1")})
        r.refused(401, "unauthenticated")
        assert "invalid_token" in r.headers["WWW-Authenticate"]
    r = s.call("GET", "/v1/organizations/43")
    r.refused(401, "unauthenticated")
    expect("challenge", r.headers["WWW-Authenticate"], 'Bearer realm="nuanxin"')


@story("reads are limited by session, with the wait told, and not beyond the burst and the rate")
def reads_limited(s):
    new_account(s, "fast-reader")
    token = open_session(s, "fast-reader")
    policy = s.call("GET", "/v1/organizations/43", token=token).headers["RateLimit-Policy"]
    expect("policy", policy, '"read";q=200;w=4')
    started = time.monotonic()
    answers = s.load([("GET", "/v1/organizations/43", None, {"Authorization": "Bearer " + token})] * 600, 16)
    took = time.monotonic() - started
    good, limited = [a for a in answers if a.status == 200], [a for a in answers if a.status == 429]
    expect("answers", len(good) + len(limited), 600)
    assert 150 <= len(good) <= 200 + 50 * took + 1, (len(good), took)
    for a in limited:
        a.refused(429, "rate-limited")
        assert 1 <= int(a.headers["retry-after"]) <= 4 and ";r=0;" in a.headers["ratelimit"], a.headers
    wait_until("a token comes back", lambda: s.call("GET", "/v1/organizations/43", token=token).status == 200, 3)
    assert works(s, s.api_key)


@story("guessing a password slows down that account only, the right password too")
def guessing(s):
    new_account(s, "guessed")
    new_account(s, "not-guessed")
    guess = lambda: s.call("POST", "/v1/sessions", {"login": "Guessed", "password": "wrong wrong wrong"}).status
    first = [guess() for _ in range(24)]
    assert 18 <= first.count(401) <= 22 and set(first) == {401, 429}, first
    r = s.call("POST", "/v1/sessions", {"login": "guessed", "password": "correct horse battery"})
    r.refused(429, "rate-limited")
    assert 1 <= int(r.headers["Retry-After"]) <= 6
    open_session(s, "not-guessed")


@story("a session ends after 30 minutes without a call, and after 12 hours in any case")
def times(s):
    new_account(s, "patient")
    idle, used = open_session(s, "patient"), open_session(s, "patient")
    assert works(s, idle) and works(s, used)
    s.advance(29 * MINUTE)
    wait_until("the used one's copy was checked again", lambda: works(s, used) and s.idle_for(used) < MINUTE, 10)
    s.advance(2 * MINUTE)
    wait_until("the idle one has ended", lambda: not works(s, idle), 10)
    assert works(s, used)
    until = int(s.ask_redis("HGET", s.session_key(used), "until"))
    assert abs(until / 1e6 - s.now() - 12 * HOUR + 31 * MINUTE) < MINUTE, until
    s.ask_redis("HSET", s.session_key(used), "until", str(int((s.now() + 10 * MINUTE) * 1e6)))
    s.advance(11 * MINUTE)
    wait_until("the end of its time has ended the used one", lambda: not works(s, used), 10)


@story("while Redis is gone known sessions go on within a limit, others get 503, and it recovers by itself")
def redis_gone(s):
    admin, _ = new_account(s, "before-the-loss")
    known, unknown = open_session(s, "before-the-loss"), open_session(s, "before-the-loss")
    member = make_members(s, admin, [person(70002, VILLAGE)], VILLAGE)[0]["id"]
    reads = [("GET", "/v1/organizations/43", None, {"Authorization": "Bearer " + known})] * 20
    warm = lambda: {r.status for r in s.load(reads, 8)}
    expect("before", warm(), {200})
    reveal = lambda: s.call("POST", f"/v1/members/{member}:reveal", {"purpose": "核对身份"}, token=known)
    reveal().ok()
    s.redis.kill()
    r = s.call("GET", "/v1/organizations/43", token=unknown)
    r.refused(503, "unavailable")
    assert int(r.headers["Retry-After"]) >= 1
    expect("known", warm(), {200})
    reveal().refused(503, "unavailable")
    s.call("POST", "/v1/sessions", {"login": "before-the-loss", "password": "correct horse battery"}).refused(503, "unavailable")
    limited = s.load([("GET", "/v1/organizations/43", None, {"Authorization": "Bearer " + known})] * 600, 16)
    assert {a.status for a in limited} == {200, 429}, {a.status for a in limited}
    s.redis.start()
    wait_until("the unknown one works", lambda: s.call("GET", "/v1/organizations/43", token=unknown).status == 200, 10)
    wait_until("revealing works", lambda: reveal().status == 200, 10)
    open_session(s, "before-the-loss")


@story("a Redis that comes back with less than it had is told again whose rights are over")
def redis_forgot(s):
    admin, account = new_account(s, "revoked-for-good")
    token = open_session(s, "revoked-for-good")
    assert works(s, token)
    appended = os.path.join(s.redis.folder, "appendonlydir")
    wait_until("Redis has written it down", lambda: s.session_key(token) in s.redis_writes())
    shutil.copytree(appended, appended + ".before")
    s.call("POST", f"/v1/accounts/{account}:revokeSessions", token=admin).ok()
    ends(s, token, "revoking")
    s.redis.kill()
    shutil.rmtree(appended)
    os.rename(appended + ".before", appended)
    s.redis.start()
    status = lambda token: s.call("GET", "/v1/organizations/43", token=token).status
    wait_until("Redis serves again", lambda: status(admin) == 200, 10)
    wait_until("the revoked session is over again", lambda: status(token) == 401, 10)


class Story(Stack):
    def redis_writes(self):
        text = ""
        for path in glob.glob(os.path.join(self.redis.folder, "appendonlydir", "*.aof")):
            with open(path, errors="replace") as f:
                text += f.read()
        return text

    def now(self):
        return time.time() + self.offset / 1e6

    @staticmethod
    def session_key(token):
        return "session:" + hashlib.sha256(token.encode()).hexdigest()

    def ask_redis(self, *words):
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(self.redis.socket)
            c.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
            return c.recv(1000).split(b"\r\n")[-2]

    def idle_for(self, token):
        """Seconds, on the story's clock, since Redis was told that this session is used."""
        return self.now() - int(self.ask_redis("HGET", self.session_key(token), "seen")) / 1e6


main(Story(own_redis=True, clock=True))
