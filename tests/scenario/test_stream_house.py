#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The stream as one of the house's services: it comes and goes, is scaled and restarted, and those who read events miss none and
get none twice; without it everything else goes on."""
import contextlib
import os
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.agencies import Agency, call, log_head, taken_in  # noqa: E402
from support.oracle import Profile  # noqa: E402
from support.people import person  # noqa: E402
from support.reading import Reader, fetch, key_of, village  # noqa: E402
from support.stack import ROOT, Stack, free_port  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_members  # noqa: E402

COUNTY = "430102"


def scale(s, *operands):
    s.cli("scale", *operands)


def readyz(s, name):
    port = [w.split("=")[1] for w in s.log_of(name).split() if w.startswith("admin_port=")][-1]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


@story("the stream comes and goes, alone or several, and is restarted: whoever reads misses nothing, and gets nothing twice")
def comes_and_goes():
    with Stack(gateway_options=["--rate-scale=100"]) as s:
        token = s.login("admin")
        with Reader(s) as reader:
            reader.goes_on(token)
            scale(s, "stream=3", "edge=2")
            reader.goes_on(token)
            for name in ("stream-1", "stream-2"):
                s.cli("restart", name)
                reader.goes_on(token)
            scale(s, "stream=1", "edge=1")
            reader.goes_on(token)
        reader.check()


@story("while the stream is away only its own routes are, gateways start without it, and nothing that happens is missed")
def away():
    with Stack(gateway_options=["--rate-scale=100"]) as s:
        token = s.login("admin")
        made = [village(s, token)]
        cursor = ""
        while True:  # up to it
            batch = fetch(s, cursor, wait=5).ok()
            cursor = batch["cursor"]
            if any(e["subject"] == made[0] for e in batch.get("events", [])):
                break
        scale(s, "stream=0")
        fetch(s, cursor).refused(503, "unavailable")
        s.call("GET", f"/v1/organizations/{COUNTY}", token=s.api_key).ok()
        s.cli("restart", "gateway-1")
        later = [village(s, token) for _ in range(30)]
        status, said = wait_until("the gateway is ready", lambda: (lambda r: r if r[0] == 200 else None)(readyz(s, "gateway-1")), 30, 0.1)
        assert "stream down" in said and "membership up" in said, said
        scale(s, "stream=1")
        subjects = []
        while len(subjects) < len(later):
            batch = fetch(s, cursor, wait=5).ok()
            cursor = batch["cursor"]
            subjects += [e["subject"] for e in batch.get("events", [])]
        expect("what happened meanwhile, in order", subjects, later)
        wait_until("the gateway says so", lambda: "stream up" in readyz(s, "gateway-1")[1])


@story("the agency of the first run is there after every start; where the stream or what it knew is gone, it is made anew")
def agency_of_the_first_run():
    with Stack() as s:
        first = s.credentials["agency"]
        fetch(s, "").ok()
        s.restart()
        now = s.credentials["agency"]
        expect("its keys", {k: now[k] for k in ("id", "key", "secret", "public", "edgeKey")}, {k: first[k] for k in ("id", "key", "secret", "public", "edgeKey")})
        expect("where the edge is now", now["edge"], s.edge_endpoint)
        fetch(s, "").ok()
        keep, s.keep = s.keep, True
        s.stop()
        s.keep = keep
        # As after an upgrade from a version without the stream.
        path = os.path.join(s.var, "credentials.json")
        with open(path) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(text.split(',\n  "agency"')[0] + "\n}\n")
        s.start()
        other = s.credentials["agency"]
        assert other["key"] != first["key"] and s.credentials["apiKey"], s.credentials
        fetch(s, "").ok()
        expect("the mode of the file", os.stat(path).st_mode & 0o777, 0o600)
        if s.engine != "sqlite":
            return
        s.keep = True
        s.stop()
        s.keep = keep
        for end in ("", "-wal", "-shm", ".lock"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(s.store_file("stream") + end)
        s.start()
        assert s.credentials["agency"]["key"] != other["key"]
        fetch(s, "").ok()


@story("on the socket that is the edge's nobody may do more than the edge: not even who is root")
def socket_of_the_edge():
    with Stack() as s:
        folder = os.path.join(s.var, "edge")
        expect("what stands there", sorted(f for f in os.listdir(folder) if f.endswith(".sock")), ["stream-1.sock"])
        expect("its mode", os.stat(folder).st_mode & 0o777, 0o700)
        for method, request in (("GetLog", "{}"), ("ListAgencies", "{}"), ("FetchEvents", "{}"), ("SuspendAgency", '{"agency":"insurer"}')):
            r = s.cli("--bus", folder, "call", method, request, check=False)
            assert r.returncode == 1 and "permission-denied" in r.stderr, (method, r)
        assert s.metric("stream-1", "nuanxin_rpc_out_of_role_total") >= 4
        expect("who calls as usual", s.cli("call", "GetLog").returncode, 0)
        fetch(s, "").ok()


class CompleteReceiver:
    """deploy/subscribers/webhook.py, and what it holds."""

    def __init__(self, s, origin):
        self.port, self.secrets, self.kept = free_port(), os.path.join(s.folder, "hook.secrets"), os.path.join(s.folder, "hook.db")
        self.command = [os.path.join(ROOT, "deploy", "subscribers", "webhook.py"), str(self.port), origin, self.secrets, self.kept]
        self.process = self.log = None
        with open(os.open(self.secrets, os.O_WRONLY | os.O_CREAT, 0o600), "w"):
            pass

    def __enter__(self):
        self.log = open(self.secrets + ".log", "a")
        self.start()
        return self

    def __exit__(self, *_):
        self.crash()
        self.log.close()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)
        wait_until("it listens", lambda: self.ask("GET") == 501)

    def crash(self):
        self.process.kill()
        self.process.wait()

    def ask(self, method, body=None, **headers):
        """The status of an answer; None: nobody gives one."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/", body, {k.replace("_", "-"): v for k, v in headers.items()}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as e:
            return e.code
        except OSError:
            return None

    def of(self, member):
        """The types of the events about that member that it holds, in the order in which they came."""
        with sqlite3.connect(f"file:{self.kept}?mode=ro", uri=True) as db:
            found = db.execute("SELECT type FROM event WHERE subject = ?1 OR instr(data, ?1) ORDER BY rowid", (member,))
            return [type.rsplit(".", 1)[1] for (type,) in found]


@story("the complete receiver of webhooks agrees, takes only what is signed, holds it once over kill -9, and deletes what notices name")
def receiver_of_webhooks():
    origin, purpose = "nuanxin.example.gov.cn", {"purpose": "accident-insurance"}
    with Stack(gateway_options=["--rate-scale=100"], stream_options=["--webhook-allow-loopback", "--webhook-origin=" + origin]) as s, \
            CompleteReceiver(s, origin) as r:
        token = s.login("admin")
        expect("who else asks", r.ask("OPTIONS", WebHook_Request_Origin="evil.example"), 403)
        agency = Agency(s, Profile("hooked", types=["nuanxin.membership.v1.*"], purposes=[purpose["purpose"]]))
        endpoint, secret = agency.endpoint(r.port)
        id, first = endpoint["id"], log_head(s)
        wait_until("it has agreed", lambda: "allowTime" in call(s, "GetEndpoint", endpoint=id))
        with open(r.secrets, "w") as f:
            f.write(secret + "\n")

        def consent(member, verb=""):
            s.call("POST", f"/v1/members/{member}/consents{verb}", {**purpose, **({} if verb else {"version": "2026-01"})}, token=token).ok()

        stays, leaves = [m["id"] for m in make_members(s, token, [person(8000 + i, COUNTY) for i in range(2)], COUNTY)]
        for member in (stays, leaves):
            consent(member)
            wait_until("it holds the consent", lambda: "ConsentGiven" in r.of(member), 30)
        for fields in ({}, {"webhook_id": "x", "webhook_timestamp": "1", "webhook_signature": "v1,AAAA v1a,x"}):
            expect("what is not signed", r.ask("POST", b"{}", **fields), 401)
        r.crash()
        consent(leaves, ":withdraw")
        consent(stays, ":withdraw")
        consent(stays)
        taken_in(s)
        wait_until("a delivery has failed", lambda: call(s, "GetEndpoint", endpoint=id).get("attempts"))
        r.start()
        call(s, "ResumeEndpoint", endpoint=id)
        wait_until("what was before the notice is gone", lambda: r.of(stays) == ["ConsentWithdrawn", "ConsentGiven"], 30)
        expect("of who left", r.of(leaves), ["ConsentWithdrawn"])
        before = len(call(s, "ListDeliveries", endpoint=id)["deliveries"])
        call(s, "RotateEndpointSecret", endpoint=id)  # for a day both sign
        call(s, "RedriveEndpoint", endpoint=id, **{"from": first + 1, "through": log_head(s)})
        wait_until("all is sent once more", lambda: len(call(s, "ListDeliveries", endpoint=id)["deliveries"]) >= before + 3 and
                   not int(call(s, "GetEndpoint", endpoint=id).get("redriveThrough", 0)))
        # What the consent of now allows: also what was before it.
        expect("of who stays", r.of(stays), ["ConsentWithdrawn", "ConsentGiven", "MemberStateChanged", "ConsentGiven"])
        expect("of who left, then", r.of(leaves), ["ConsentWithdrawn"])


if __name__ == "__main__":
    main()
