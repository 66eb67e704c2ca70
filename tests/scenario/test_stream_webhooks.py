#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Webhooks against receivers that answer, stall, refuse, redirect, are gone, or lie; on a clock that the story moves."""
import contextlib
import datetime
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.agencies import Agency, call, log_head, taken_in  # noqa: E402
from support.oracle import Profile  # noqa: E402
from support.people import person  # noqa: E402
from support.receiver import Receiver, Reply, agree  # noqa: E402
from support.stack import ENGINE, Stack, free_port  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members, rfc3339  # noqa: E402

ORIGIN = "nuanxin.example.gov.cn"
SCHEDULE = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
STEPS = iter(range(1, 1000))


class World(Stack):
    """An agency that sees all of activity's events, whomever they are about, and what happens on demand."""

    def __init__(self, **options):
        super().__init__(clock=True, instances={"stream": 2}, gateway_options=["--rate-scale=100"], **options)
        self.options["stream"] = ["--webhook-allow-loopback", "--webhook-origin=" + ORIGIN, "--webhook-authorities=" + self.certificate("trusted")]

    def certificate(self, name, address="127.0.0.1"):
        """A self-signed one, with its key behind it."""
        path = os.path.join(self.folder, name + ".pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=" + name,
                        "-addext", "subjectAltName=IP:" + address, "-keyout", path, "-out", path + ".only"], check=True, capture_output=True)
        with open(path + ".only") as only, open(path, "a") as f:
            f.write(only.read())
        return path + ".only"

    def start(self):
        super().start()
        if not hasattr(self, "agency"):
            self.agency = self.new_agency()
            taken_in(self)

    def new_agency(self, **profile):
        profile = {"types": ["nuanxin.activity.v1.*"], "organizations": ["43"], "statutory": ["oversight"], "privacy": "personal", **profile}
        return Agency(self, Profile(f"agency-{next(STEPS)}", **profile), expires=86400 * 3650)

    def token(self):
        """Sessions end where a story moves the clock."""
        return self.login("admin")

    def happen(self, n=1, **fields):
        """n campaigns are created; the sequences of their events."""
        token, before = self.token(), log_head(self)
        for i in range(n):
            self.call("POST", "/v1/campaigns", {"organization": "43", "title": f"第 {i} 个", "startTime": rfc3339(86400 * 400),
                                                "endTime": rfc3339(86400 * 500), **fields}, token=token).ok()
        head = taken_in(self)
        # An activity of another story may end meanwhile, if the clock was moved.
        made = [seq for seq, event in self.rows("stream", f"SELECT seq, event FROM log WHERE seq > {before} AND seq <= {head} ORDER BY seq")
                if b"CampaignCreated" in bytes(event)]
        assert len(made) == n, f"{len(made)} events, not {n}"
        return made

    def add(self, receiver, agency=None, url=None, types=(), cursor=""):
        made = call(self, "CreateEndpoint", endpoint={"agency": (agency or self.agency).id, "url": url or receiver.url, "types": list(types)},
                    cursor=cursor)
        return made["endpoint"]["id"], made

    def endpoint(self, id):
        return call(self, "GetEndpoint", endpoint=id)

    def state(self, id):
        return self.endpoint(id)["state"]

    def log(self, id, **fields):
        """Its deliveries, oldest first."""
        return call(self, "ListDeliveries", endpoint=id, pageSize=1000, **fields).get("deliveries", [])[::-1]

    def settled(self, id, n, seconds=20):
        """Until the delivery log has n attempts."""
        wait_until(f"{n} attempts are written down", lambda: len(self.log(id)) >= n, seconds)
        return self.log(id)

    def agreed(self, id, seconds=20):
        wait_until("the endpoint has agreed", lambda: "allowTime" in self.endpoint(id), seconds)

    @contextlib.contextmanager
    def hook(self, reply=None, **fields):
        """A receiver that has agreed, and its endpoint; gone afterwards."""
        with Receiver(reply) as r:
            id, made = self.add(r, **fields)
            self.agreed(id)
            r.secret, r.public = made["secret"], made["endpoint"]["publicKey"]
            yield r, id
            call(self, "DeleteEndpoint", endpoint=id)


def seconds_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def wait_left(s, id):
    """Seconds from its last attempt to the next, as it says."""
    e, last = s.endpoint(id), s.log(id)[-1]
    return seconds_of(e["nextAttemptTime"]) - seconds_of(last["time"])


# --- as it should be ------------------------------------------------------------------------------------------------------


@story("an endpoint is asked first, then sent what happens, in order, signed by its secret and its pair")
def signed_in_order(s):
    with Receiver() as r:
        id, made = s.add(r)
        endpoint, secret = made["endpoint"], made["secret"]
        assert secret.startswith("whsec_") and endpoint["publicKey"].startswith("whpk_"), made
        s.agreed(id)
        (asked,) = r.handshakes()
        expect("who asks", asked.headers["WebHook-Request-Origin"], ORIGIN)
        assert int(asked.headers["WebHook-Request-Rate"]) > 0, asked.headers
        expect("sent before anything happened", r.posts(), [])

        wanted = s.happen(30)
        posts = r.wait(30)
        expect("sequences", [p.seq for p in posts], wanted)
        expect("the most at once", r.most, 1)
        for p in posts:
            assert p.signed_by(secret), p.headers["webhook-signature"]
            expect("its id", p.headers["webhook-id"], p.event["id"])
            expect("its type", p.event["type"], "nuanxin.activity.v1.CampaignCreated")
            expect("its form", p.headers["Content-Type"], "application/cloudevents+json; charset=utf-8")
            assert p.headers["User-Agent"].startswith("nuanxin-stream/"), p.headers["User-Agent"]
            assert "deadletters" not in p.event
        assert posts[0].signed_by(endpoint["publicKey"]), "the ed25519 signature does not fit"
        posts[1].body = posts[1].body.replace("第".encode(), "弟".encode())
        assert not posts[1].signed_by(secret) and not posts[1].signed_by(endpoint["publicKey"]), "a changed body has a good signature"
        wait_until("nothing is left", lambda: s.endpoint(id).get("cursor", "").endswith(f":{wanted[-1]}"))
        log = s.settled(id, 31)
        expect("the log", [(d.get("seq", "0"), d["status"], d["attempt"]) for d in log], [("0", 200, 1)] + [(str(q), 204, 1) for q in wanted])
        call(s, "DeleteEndpoint", endpoint=id)


@story("an endpoint begins where it was told to, and gets only the types that it asked for")
def from_a_cursor(s):
    before = s.happen(3)
    cursor = f"{call(s, 'GetLog')['epoch'][-8:]}:{before[0]}"
    with s.hook(cursor=cursor) as (r, _):
        expect("from the cursor on", [p.seq for p in r.wait(2)], before[1:])
    with s.hook(cursor=cursor, types=["nuanxin.activity.v1.CampaignOpened"]) as (r, id):
        (seq,) = s.happen()
        expect("nothing of other types", r.posts(), [])
        wait_until("it has looked at all", lambda: s.metric_of(id, "nuanxin_webhook_behind") == 0)
        expect("still nothing", r.posts(), [])
    for problem, fields, cursor in (("cursor-unknown", {}, "nonsense"), ("cursor-gone", {}, "00000000:1"),
                                    ("event-type-unknown", {"types": ["nuanxin.activity.v1.Nothing"]}, ""), ("not-found", {"agency": "nobody"}, "")):
        endpoint = {"agency": s.agency.id, "url": "https://example.org/", **fields}
        refused = call(s, "CreateEndpoint", check=False, endpoint=endpoint, cursor=cursor)
        assert refused.returncode == 1 and problem in refused.stderr, (problem, refused)


@story("addresses inside are refused when an endpoint is made")
def inside(s):
    for url in ("http://10.0.0.1/", "https://169.254.169.254/latest/meta-data", "https://[fd00:ec2::254]/", "https://[::ffff:127.0.0.1]/",
                "https://me:word@example.org/", "ftp://example.org/", "https://192.168.1.1:8443/x"):
        refused = call(s, "CreateEndpoint", check=False, endpoint={"agency": s.agency.id, "url": url})
        assert refused.returncode == 1 and ("endpoint-address-refused" in refused.stderr or "/endpoint/url" in refused.stderr), (url, refused)
    urls = [e["url"] for e in call(s, "ListEndpoints").get("endpoints", [])]
    expect("made", [u for u in urls if "127.0.0.1" not in u], [])


@story("a certificate must be trusted, and of that address")
def certificates(s):
    s.certificate("stranger")
    for name, error in (("trusted", ""), ("stranger", "the certificate is not trusted")):
        with Receiver(certificate=os.path.join(s.folder, name + ".pem")) as r:
            id, _ = s.add(r)
            expect(name, s.settled(id, 1)[0].get("error", ""), error)
            call(s, "DeleteEndpoint", endpoint=id)
    with Receiver(certificate=os.path.join(s.folder, "trusted.pem")) as r:
        id, _ = s.add(r, url=r.url.replace("127.0.0.1", "127.0.0.2"))
        expect("of another address", s.settled(id, 1)[0].get("error", ""), "the certificate is not trusted")
        call(s, "DeleteEndpoint", endpoint=id)


# --- the handshake ----------------------------------------------------------------------------------------------------------


@story("nothing is sent before an endpoint has agreed, whatever it answers instead")
def does_not_agree(s):
    lies = [Reply(405), Reply(200), Reply(200, {"WebHook-Allowed-Origin": "evil.example"}),
            Reply(302, {"Location": "http://127.0.0.1:1/", "WebHook-Allowed-Origin": "*"}), Reply(200, {"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "0"})]
    with Receiver() as r:
        r.handshake = lambda request: lies[len(r.requests) % len(lies)]
        id, _ = s.add(r)
        wanted = s.happen(2)
        for n, wait in enumerate(SCHEDULE[:4], 1):
            log = s.settled(id, n)
            expect("attempts", log[-1]["attempt"], n)
            assert wait <= wait_left(s, id) <= wait * 1.1 + 1, (n, wait_left(s, id))
            s.advance(wait * 1.1 + 1)
        log = s.settled(id, 5)
        expect("why not", [d["error"] for d in log],
               ["it refused", "it does not say WebHook-Allowed-Origin", "its WebHook-Allowed-Origin is another",
                "it redirects, which is not followed", "its WebHook-Allowed-Rate is no rate"])
        expect("sent so far", r.posts(), [])
        r.handshake = agree
        call(s, "ResumeEndpoint", endpoint=id)
        expect("sent when it agreed", [p.seq for p in r.wait(2)], wanted)
        call(s, "DeleteEndpoint", endpoint=id)


@story("an endpoint's rate is kept to")
def rate(s):
    with Receiver() as r:
        r.handshake = lambda request: agree(request, **{"WebHook-Allowed-Rate": "120"})
        stamps = []
        r.reply = lambda request: stamps.append(datetime.datetime.now().timestamp()) or Reply()
        id, _ = s.add(r)
        s.agreed(id)
        expect("the rate", s.endpoint(id)["allowedRate"], 120)
        s.happen(4)
        r.wait(4)
        gaps = [b - a for a, b in zip(stamps, stamps[1:])]
        assert all(g > 0.45 for g in gaps), gaps
        call(s, "DeleteEndpoint", endpoint=id)


# --- who refuses ------------------------------------------------------------------------------------------------------------


@story("retries come on schedule; when they end the endpoint is paused, and goes on where it stood when it is resumed")
def retries(s):
    with s.hook(lambda request: Reply(500)) as (r, id):
        wanted = s.happen(3)
        for n, wait in enumerate(SCHEDULE, 1):
            posts = r.wait(n)
            log = s.settled(id, n + 1)
            expect("attempts", log[-1]["attempt"], n)
            assert wait <= wait_left(s, id) <= wait * 1.1 + 1, (n, wait_left(s, id))
            s.advance(wait - 2)
            expect("not before its time", len(r.posts()), n)
            s.advance(wait * 0.1 + 3)
        posts = r.wait(10)
        wait_until("it is paused", lambda: s.state(id) == "PAUSED")
        e = s.endpoint(id)
        expect("why", e["reason"], "retries ended: it refused (500)")
        assert e["cursor"].endswith(f":{wanted[0] - 1}"), e["cursor"]
        expect("the same event each time", {(p.seq, p.headers["webhook-id"], p.body) for p in posts},
               {(wanted[0], posts[0].headers["webhook-id"], posts[0].body)})
        stamps = [int(p.headers["webhook-timestamp"]) for p in posts]
        assert stamps == sorted(set(stamps)), stamps
        assert all(p.signed_by(r.secret) for p in posts)
        s.advance(86400 * 3)
        wait_until("that it is behind is measured", lambda: s.metric_of(id, "nuanxin_webhook_behind_seconds") > 86400 * 2)
        expect("how many events", s.metric_of(id, "nuanxin_webhook_behind"), 3)
        expect("paused is paused", len(r.posts()), 10)

        r.reply = lambda request: Reply(200)
        handshakes = len(r.handshakes())
        s.cli("stream", "webhook", "resume", id)
        expect("goes on where it stood", [p.seq for p in r.wait(13)[10:]], wanted)
        expect("it was asked again", len(r.handshakes()), handshakes + 1)
        wait_until("it is behind no more", lambda: s.metric_of(id, "nuanxin_webhook_behind_seconds") == 0)


@story("410 ends it at once; resumed it goes on")
def gone(s):
    with s.hook(lambda request: Reply(410)) as (r, id):
        wanted = s.happen(2)
        wait_until("it is disabled", lambda: s.state(id) == "DISABLED")
        s.advance(86400)
        s.happen()
        expect("asked once", [p.seq for p in r.posts()], wanted[:1])
        r.reply = lambda request: Reply(204)
        call(s, "ResumeEndpoint", endpoint=id)
        expect("all came", [p.seq for p in r.wait(4)[1:3]], wanted)


@story("Retry-After is kept to")
def retry_after(s):
    with s.hook(lambda request: Reply(429, {"Retry-After": "7200"})) as (r, id):
        s.happen()
        s.settled(id, 2)
        assert 7200 <= wait_left(s, id) <= 7202, wait_left(s, id)
        r.reply = lambda request: Reply(503, {"Retry-After": "99999999"})
        s.advance(7203)
        s.settled(id, 3)
        assert 86400 <= wait_left(s, id) <= 86402, wait_left(s, id)
        r.reply = lambda request: Reply(503, {"Retry-After": "nonsense"})
        s.advance(86403)
        s.settled(id, 4)
        assert 1800 <= wait_left(s, id) <= 1981, wait_left(s, id)


@story("redirects are not followed, and what they point to is not asked")
def redirects(s):
    with Receiver() as target, s.hook() as (r, id):
        for n, status in enumerate((301, 302, 303, 307, 308), 1):
            r.reply = lambda request: Reply(status, {"Location": target.url})
            s.happen() if n == 1 else s.advance(SCHEDULE[n - 2] * 1.1 + 1)
            expect("status", s.settled(id, n + 1)[-1]["status"], status)
        expect("asked at the other address", target.requests, [])


@story("answers that lie or break off: what says 2xx counts, what says nothing is sent again")
def lies(s):
    replies = [b"nonsense\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort",
               b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n", b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000_000]
    with s.hook() as (r, id):
        r.reply = lambda request: Reply(raw=replies[min(len(r.posts()), len(replies) - 1)])
        wanted = s.happen(3)
        for n in (1, 2):
            s.settled(id, n + 1)
            s.advance(SCHEDULE[n - 1] * 1.1 + 1)
        expect("sent", [p.seq for p in r.wait(5)], wanted[:1] * 3 + wanted[1:])
        log = s.settled(id, 6)[1:]
        expect("status", [d.get("status", 0) for d in log], [0, 0, 200, 200, 200])
        expect("errors", [d.get("error", "") for d in log], ["that was no answer of HTTP", "the connection was lost", "", "", ""])


@story("who stalls is given up after 20 s, and delays nobody else")
def stalls(s):
    with s.hook(lambda request: Reply(stall=True)) as (stalling, slow), s.hook() as (r, id):
        wanted = s.happen(20)
        expect("the other", [p.seq for p in r.wait(20)], wanted)
        expect("one at a time", [p.seq for p in stalling.wait(1)], wanted[:1])
        log = s.settled(slow, 2, 40)
        expect("given up", (log[-1]["error"], 20000 <= log[-1]["tookMs"] < 22000), ("timed out", True))
        expect("one at a time still", len(stalling.posts()), 1)


@story("nobody listens: it is tried again")
def nobody(s):
    port = free_port()
    id, _ = s.add(None, url=f"http://127.0.0.1:{port}/")
    log = s.settled(id, 1)
    expect("error", log[0]["error"], "no connection")
    call(s, "DeleteEndpoint", endpoint=id)


# --- what cannot be sent, what is sent again ------------------------------------------------------------------------------------


@story("an event that is too large is a dead letter; the next delivery says so")
def dead_letters(s):
    with s.hook() as (r, id):
        first = s.happen()
        large = s.happen(2, description="\u0001" * 4000)
        last = s.happen(2)
        posts = r.wait(3)
        expect("sent", [p.seq for p in posts], first + last)
        expect("told", [p.event.get("deadletters") for p in posts], [None, " ".join(map(str, large)), None])
        assert all(p.signed_by(r.secret) for p in posts)
        dead = wait_until("they are in the log", lambda: s.log(id, deadOnly=True))
        expect("dead", [(int(d["seq"]), d["dead"]) for d in dead], [(q, True) for q in large])
        assert "bytes" in dead[0]["error"], dead
        expect("it goes on", s.state(id), "ACTIVE")
        shown = s.cli("stream", "webhook", "log", id, "--set", "deadOnly=true").stdout
        assert str(large[0]) in shown and str(last[0]) not in shown, shown


@story("a range is sent once more, before what is still to come")
def redrive(s):
    with s.hook() as (r, id):
        wanted = s.happen(8)
        r.wait(8)
        call(s, "PauseEndpoint", endpoint=id)
        later = s.happen(2)
        s.cli("stream", "redrive", id, str(wanted[2]), str(wanted[4]))
        refused = s.cli("stream", "redrive", id, str(wanted[2]), str(wanted[4]), check=False)
        assert refused.returncode == 1 and "endpoint-redrives" in refused.stderr, refused
        expect("nothing while it is paused", len(r.posts()), 8)
        call(s, "ResumeEndpoint", endpoint=id)
        posts = r.wait(13)
        expect("once more, then on", [p.seq for p in posts[8:]], wanted[2:5] + later)
        expect("by the same ids", [p.headers["webhook-id"] for p in posts[8:11]], [p.headers["webhook-id"] for p in posts[2:5]])
        wait_until("it is over", lambda: int(s.endpoint(id).get("redriveFrom", 0)) == 0)
        for a, b, problem in ((log_head(s) + 1, log_head(s) + 2, "/from: it has been sent"), (wanted[4], wanted[2], "/through: is before from")):
            refused = s.cli("stream", "redrive", id, str(a), str(b), check=False)
            assert refused.returncode == 1 and problem in refused.stderr, refused
        s.cli("stream", "redrive", id, str(wanted[7]), str(later[1] + 100))  # as far as it was to be sent before
        expect("to where it stands", [p.seq for p in r.wait(16)[13:]], [wanted[7]] + later)


# --- who may see it ------------------------------------------------------------------------------------------------------------


@story("a suspended agency is sent nothing until it is resumed, and none is after its agreement")
def suspended(s):
    agency = s.new_agency()
    with s.hook(agency=agency) as (r, id):
        call(s, "SuspendAgency", agency=agency.id)
        wanted = s.happen(2)
        wait_until("it waits", lambda: s.endpoint(id).get("reason") == "its agency is suspended")
        wait_until("that is measured", lambda: s.metric_of(id, "nuanxin_webhook_behind") >= 2)
        expect("sent", r.posts(), [])
        call(s, "ResumeAgency", agency=agency.id)
        expect("sent when it is resumed", [p.seq for p in r.wait(2)], wanted)
        call(s, "UpdateAgency", agency={"id": agency.id, "agreementExpireTime": rfc3339(s.offset / 1e6 - 60)}, updateMask="agreementExpireTime")
        s.happen()
        wait_until("it waits", lambda: s.endpoint(id).get("reason") == "the agreement has expired")
        expect("sent", len(r.posts()), 2)


@story("a consent that is withdrawn between two attempts stops the second; the notice comes in its place")
def withdrawn(s):
    token, purpose = s.token(), "accident-insurance"
    (m,) = make_members(s, token, [person(77001, "430102001001")], "430102001001")
    consent = f"/v1/members/{m['id']}/consents"
    s.call("POST", consent, {"purpose": purpose, "version": "1"}, token=token).ok()
    taken_in(s)
    agency = s.new_agency(types=["nuanxin.*"], statutory=[], purposes=[purpose])
    with s.hook(lambda request: Reply(500), agency=agency) as (r, id):
        activity = f"/v1/activities/{make_activity(s, token, '430102', start=s.offset / 1e6 + 3600, end=s.offset / 1e6 + 7200)['id']}"
        taken_in(s)
        wait_until("the activity came", lambda: r.posts())
        r.reply = lambda request: Reply(500 if m["id"].encode() in request.body and b"Registration" in request.body else 204)
        s.call("POST", activity + "/registrations", {"member": m["id"]}, token=token).ok()
        taken_in(s)
        s.advance(6)
        wait_until("the registration was tried", lambda: [p for p in r.posts() if p.event["type"].endswith("RegistrationCreated")])
        tried = s.settled(id, 2)
        s.call("POST", consent + ":withdraw", {"purpose": purpose}, token=token).ok()
        taken_in(s)
        s.advance(400)
        notice = wait_until("the notice came", lambda: [p for p in r.posts() if p.event["type"].endswith("ConsentWithdrawn")])
        expect("about the person", notice[0].event["data"]["member"], m["id"])
        expect("the registration was not tried again", len([p for p in r.posts() if p.event["type"].endswith("RegistrationCreated")]), 1)
        assert not tried[-1].get("dead")
        wait_until("its receipt is kept", lambda: receipts(s, agency.id) >= 1)


def receipts(s, agency):
    return sum(int(x.get("receipts", 0)) for x in call(s, "GetLog").get("subscribers", []) if x["agency"] == agency)


@story("while secrets rotate both sign; a day later only the new one does")
def rotation(s):
    with s.hook(types=["nuanxin.activity.v1.CampaignCreated"]) as (r, id):
        s.happen()
        made = call(s, "RotateEndpointSecret", endpoint=id)
        secret, public = made["secret"], made["endpoint"]["publicKey"]
        assert secret != r.secret and public != r.public
        s.happen()
        first, second = r.wait(2)
        expect("before", [first.signed_by(k) for k in (r.secret, r.public, secret, public)], [True, True, False, False])
        expect("meanwhile", [second.signed_by(k) for k in (r.secret, r.public, secret, public)], [True] * 4)
        s.advance(86400 + 60)
        s.happen()
        third = r.wait(3)[2]
        expect("after", [third.signed_by(k) for k in (r.secret, r.public, secret, public)], [False, False, True, True])
        for (sealed,) in s.rows("stream", "SELECT sealed FROM webhook_secret"):
            assert r.secret.encode() not in bytes(sealed) and secret.encode() not in bytes(sealed)


@story("what the log no longer keeps cannot be sent: the endpoint is paused, and goes on where the operator says")
def too_late(s):
    with s.hook() as (r, id):
        call(s, "PauseEndpoint", endpoint=id)
        (lost,) = s.happen()
        s.advance(86400 * 40)
        (kept,) = s.happen()  # and a checkpoint behind what is cut
        wait_until("the log begins later", lambda: int(call(s, "GetLog")["oldest"]) > lost, 30)
        call(s, "ResumeEndpoint", endpoint=id)
        wait_until("it is paused again", lambda: s.endpoint(id)["reason"] == "the log no longer keeps what is next: its agency needs the snapshot")
        expect("sent", r.posts(), [])
        call(s, "ResumeEndpoint", endpoint=id, cursor=f"{call(s, 'GetLog')['epoch'][-8:]}:{kept - 1}")
        expect("from there on", [p.seq for p in r.wait(1)], [kept])
        refused = s.cli("stream", "redrive", id, str(lost), str(kept), check=False)
        assert refused.returncode == 1 and f"/from: the log begins at {kept}" in refused.stderr, refused


# --- processes end -----------------------------------------------------------------------------------------------------------


def check_run(posts, wanted, doubles):
    """In order, each at least once; an event comes again only right after itself."""
    seqs = [p.seq for p in posts]
    expect("what came", sorted(set(seqs)), wanted)
    expect("in order", seqs, sorted(seqs))
    assert len(seqs) - len(wanted) <= doubles, f"{len(seqs) - len(wanted)} came twice"


@story("killed in the middle, the stream goes on where it was; whoever takes over does")
def killed(s):
    with s.hook() as (r, id):
        wanted, kills = [], 0
        for signal_number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            name = leader(s)
            n = len(r.posts())
            wanted += s.happen(60)
            r.wait(n + 5)
            ended = s.kill(name, signal_number)
            kills += signal_number == signal.SIGKILL
            wait_until("the rest has come", lambda: r.posts() and r.posts()[-1].seq == wanted[-1], 60)
            wait_until("another runs in its place", lambda: s.pid(name) not in (None, ended), 60)
        # On a shared store a leader that ends hands over while its last request is still under way.
        check_run(r.posts(), wanted, kills + (ENGINE == "postgresql"))


@story("an instance that ends waits for the delivery under way")
def ends_in_the_middle(s):
    with s.hook() as (r, id):
        import threading
        go = threading.Event()
        r.reply = lambda request: go.wait(20) and Reply()
        wanted = s.happen(2)
        wait_until("one is under way", lambda: r.now == 1)
        name = leader(s)
        s.kill(name, signal.SIGTERM)
        wait_until("it drains", lambda: "draining" in s.log_of(name)[-4000:])
        if ENGINE == "sqlite":  # else another instance has it by now
            go.set()
            r.wait(2)
            check_run(r.posts(), wanted, 0)
        go.set()
        wait_until("all came", lambda: {p.seq for p in r.posts()} >= set(wanted), 30)


def leader(s):
    """The instance that sends."""
    def find():
        for name in ("stream-1", "stream-2"):
            with contextlib.suppress(OSError, IndexError, AssertionError):
                if s.metric(name, "nuanxin_webhook_endpoints", 'state="active"') > 0:
                    return name
        return None

    return wait_until("one instance sends", find, 30)


@story("endpoints are listed, shown, and forgotten")
def by_hand(s):
    with Receiver() as r:
        out = s.cli("stream", "webhook", "add", s.agency.id, r.url, "--set", "endpoint.types=nuanxin.activity.v1.*").stdout
        assert "whsec_" in out and "whpk_" in out, out
        ((id, types),) = [(e["id"], e["types"]) for e in call(s, "ListEndpoints", agency=s.agency.id)["endpoints"] if e["url"] == r.url]
        expect("its types", types, ["nuanxin.activity.v1.*"])
        assert id in s.cli("stream", "webhook", "list").stdout
        assert r.url in s.cli("stream", "webhook", "show", id).stdout
        expect("paused", "PAUSED" in s.cli("stream", "webhook", "pause", id).stdout, True)
        s.happen()
        expect("nothing is sent", r.posts(), [])
        s.cli("stream", "webhook", "resume", id)
        r.wait(1)
        s.cli("stream", "webhook", "delete", id)
        assert "not-found" in s.cli("stream", "webhook", "show", id, check=False).stderr
        for table in ("webhook_endpoint", "webhook_secret", "webhook_delivery"):
            column = "id" if table == "webhook_endpoint" else "endpoint"
            expect(table, s.rows("stream", f"SELECT COUNT(*) FROM {table} WHERE {column} = '{id}'"), [(0,)])
        s.happen()
        expect("and nothing comes", len(r.posts()), 1)


def metric_of(s, id, name):
    """Summed over the instances: the one that leads shows it."""
    total = 0
    for instance in ("stream-1", "stream-2"):
        with contextlib.suppress(OSError, IndexError):
            total += s.metric(instance, name, f'endpoint="{id}"')
    return total


World.metric_of = metric_of

if __name__ == "__main__":
    main(World())
