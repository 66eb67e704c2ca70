#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Redis behind Sentinel: its primary is killed, frozen and moved under load. Who was known goes on; who was not waits for the
end of the failover; who was revoked stays so."""
import contextlib
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.hosts import REDIS_PASSWORD, Hosts  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

FAILOVER_S = 15   # at most, with these settings; mostly 1 to 2
SCALE = 5
REVOKED_S = 5     # a copy of a session is believed no longer


class Watch:
    """Reads by known sessions and sign-ins, all the time; what was answered, with its moment."""

    def __init__(self, s, tokens, who):
        self.s, self.tokens, self.who, self.stopping, self.known, self.fresh = s, tokens, who, threading.Event(), [], []
        self.threads = [threading.Thread(target=self._known, args=(t,), daemon=True) for t in tokens]
        self.threads.append(threading.Thread(target=self._fresh, daemon=True))

    def __enter__(self):
        for t in self.threads:
            t.start()
        wait_until("the load runs", lambda: len(self.known) > 20, 20)
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for t in self.threads:
            t.join(30)

    def _known(self, token):
        while not self.stopping.is_set():
            r = self.s.call("GET", "/v1/organizations/430102", token=token)
            self.known.append((time.monotonic(), r.status))
            time.sleep(0.02)

    def _fresh(self):
        person = self.s.credentials[self.who]
        while not self.stopping.is_set():
            r = self.s.call("POST", "/v1/sessions", {"login": person["login"], "password": person["password"]})
            self.fresh.append((time.monotonic(), r.status, r.headers.get("Retry-After")))
            time.sleep(0.2)

    def wait_for_sign_in(self, since):
        wait_until("one can sign in again", lambda: any(t > since and status < 300 for t, status, _ in self.fresh), FAILOVER_S)


def check(what, watch, since):
    """Known sessions never failed; fresh ones only before the first that was served again, and as 503 with Retry-After."""
    bad = [(round(t - since, 2), status) for t, status in watch.known if status != 200]
    assert not bad, f"{what}: known sessions failed: {bad[:10]}"
    refused = [(t, status, retry) for t, status, retry in watch.fresh if status >= 300]
    for t, status, retry in refused:
        assert status == 503 and retry, f"{what}: {status}, Retry-After {retry}"
    again = min(t for t, status, _ in watch.fresh if status < 300 and t > since + 0.3)
    last = max((t for t, *_ in refused), default=since)
    print(f"# {what}: {len(watch.known)} reads of known sessions, none failed; sign-ins were refused for {last - since:.2f} s "
          f"({len(refused)} of {len(watch.fresh)})", flush=True)
    assert last - since < FAILOVER_S, f"refused for {last - since:.1f} s"
    return again


def moved(s, old):
    return wait_until("another is the primary", lambda: (p := s.redis_primary()) and p != old and p, FAILOVER_S)


def whole(s):
    wait_until("Redis is whole again", s.redis_is_whole, 60, 0.2)


def rejoin(s, old):
    """What Sentinel does by itself within 10 to 20 s (the first story waits for it), at once."""
    s.part(old).start()
    primary = s.host(s.redis_primary()).address
    wait_until("it follows the other", lambda: s.redis_cli(s.host(old), "REPLICAOF", primary, "6379").startswith("OK"))
    whole(s)


@story("a primary that is killed is followed to the other: known sessions go on, sign-ins wait for the end of the failover")
def killed(s):
    tokens = [s.login("admin") for _ in range(4)]
    with Watch(s, tokens, "village") as w:
        old = s.redis_primary()
        since = time.monotonic()
        s.part(old).kill()
        moved(s, old)
        w.wait_for_sign_in(time.monotonic())
    check("killed", w, since)
    s.part(old).start()
    whole(s)


@story("a primary that freezes is left in a moment, and when it wakes up nobody goes back to it")
def frozen(s):
    tokens = [s.login("admin") for _ in range(4)]
    with Watch(s, tokens, "clerk") as w:
        old = s.redis_primary()
        since = time.monotonic()
        s.part(old).freeze()
        moved(s, old)
        w.wait_for_sign_in(time.monotonic())
        s.part(old).thaw()
        thawed = time.monotonic()
        wait_until("it is a replica", lambda: "role:slave" in s.redis_cli(s.host(old), "INFO", "replication"), 30, 0.1)
        w.wait_for_sign_in(time.monotonic())
    check("frozen", w, since)
    late = [status for t, status, _ in w.fresh if t > thawed + 1 and status >= 300]
    assert not late, f"sign-ins failed after it woke up: {late}"
    whole(s)


@story("the operator moves the primary")
def switched(s):
    tokens = [s.login("admin") for _ in range(2)]
    with Watch(s, tokens, "admin") as w:
        old = s.redis_primary()
        since = time.monotonic()
        s.redis_cli(s.sentinel_hosts[0], "SENTINEL", "FAILOVER", "nuanxin", port=26379, password="sentinel-p@ss")
        moved(s, old)
        w.wait_for_sign_in(time.monotonic())
    check("moved", w, since)
    whole(s)


@story("who was revoked or signed out just before the primary fell, and was not replicated, stays out")
def revoked(s):
    s.cli("account", "create", "shortlived", "staff@430102")
    s.cli("account", "password", "shortlived", "a password of theirs")
    sign_in = lambda: s.call("POST", "/v1/sessions", {"login": "shortlived", "password": "a password of theirs"}).ok()["token"]
    by_operator, by_oneself, bystander = sign_in(), s.login("clerk"), s.login("clerk")
    for token in (by_operator, by_oneself, bystander):
        s.call("GET", "/v1/organizations/430102", token=token).ok()
    old = s.redis_primary()
    replica = next(h for h in s.redis_hosts if h.name != old)
    # The replica hears no more of what the primary takes: as if it had died before it could send it.
    s.redis_cli(replica, "CONFIG", "SET", "masterauth", "wrong")
    s.redis_cli(s.host(old), "CLIENT", "KILL", "TYPE", "replica")
    wait_until("the replica is behind", lambda: "master_link_status:down" in s.redis_cli(replica, "INFO", "replication"))
    s.cli("session", "revoke", "shortlived")
    s.call("DELETE", "/v1/sessions/current", token=by_oneself).ok()
    wait_until("the revocation counts", lambda: s.call("GET", "/v1/organizations/430102", token=by_operator).status == 401, REVOKED_S)
    s.call("GET", "/v1/organizations/430102", token=by_oneself).refused(401)
    s.part(old).kill()
    revoked_at, accepted = time.monotonic(), []
    moved_at = None
    while moved_at is None or time.monotonic() < moved_at + 2 * REVOKED_S:
        for name, token in (("revoked", by_operator), ("signed out", by_oneself)):
            status = s.call("GET", "/v1/organizations/430102", token=token).status
            if status == 200:
                accepted.append((name, time.monotonic()))
        if moved_at is None and s.redis_primary() not in (None, old):
            moved_at = time.monotonic()
        assert time.monotonic() < revoked_at + 2 * FAILOVER_S, "no failover"
        time.sleep(0.01)
    late = [(name, round(t - moved_at, 2)) for name, t in accepted if t > moved_at + REVOKED_S]
    print(f"# accepted after all: {len(accepted)} times, the last {max((t - revoked_at for _, t in accepted), default=0):.2f} s after the fall")
    assert not late, f"accepted beyond the bound: {late[:10]}"
    expect("the bystander", s.call("GET", "/v1/organizations/430102", token=bystander).status, 200)
    s.redis_cli(replica, "CONFIG", "SET", "masterauth", REDIS_PASSWORD)
    s.redis_cli(replica, "CONFIG", "REWRITE")  # its sentinels have written the other one down
    rejoin(s, old)


@story("rates go on being counted while the primary is gone and after it has moved")
def rates(s):
    token = s.login("clerk")
    burst, each_second = 200 * SCALE, 50 * SCALE
    before = count(s, token, 3)
    old = s.redis_primary()
    s.part(old).kill()
    during = count(s, token, 3)
    moved(s, old)
    rejoin(s, old)
    after = count(s, token, 3)
    print(f"# answered, refused in 3 s each: {before} before, {during} during, {after} after")
    # Rates are not replicated: alone, and again behind the new primary, a caller has its burst anew.
    for what, (served, refused), bursts in (("before", before, 1), ("during", during, 2), ("after", after, 1)):
        assert served and refused, f"{what}: {served} answered, {refused} refused"
        assert served <= bursts * burst + 4 * each_second, f"{what}: {served} answered in 3 s"


def count(s, token, seconds):
    """What one caller gets who asks as fast as it can from several threads."""
    statuses, until = [], time.monotonic() + seconds

    def ask():
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                statuses.append(s.call("GET", "/v1/organizations/430102", token=token).status)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return statuses.count(200), statuses.count(429)


main(Hosts(down_after_ms=500, gateway_options=[f"--rate-scale={SCALE}"]))
