#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Our events, read by what others use: webhook signatures by npm's standardwebhooks, CloudEvents by npm's cloudevents,
server-sent events by npm's eventsource."""
import http.server
import json
import os
import queue
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import npm  # noqa: E402
from support.agencies import Agency, call, cursor, taken_in  # noqa: E402
from support.oracle import Log, Oracle, Profile  # noqa: E402
from support.people import person  # noqa: E402
from support.stack import ROOT, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.subscriber import canonical  # noqa: E402
from support.world import make_members  # noqa: E402

MISSING = npm.missing()
VILLAGE = "430102001001"


class Receiver:
    """Keeps what is delivered to it, with its header."""

    def __init__(self):
        me, self.got = self, []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_OPTIONS(self):
                self.send_response_only(200)
                self.send_header("WebHook-Allowed-Origin", self.headers["WebHook-Request-Origin"])
                self.send_header("WebHook-Allowed-Rate", "*")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                me.got.append({"headers": {k.lower(): v for k, v in self.headers.items()}, "body": body})
                self.send_response_only(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for(self, n):
        wait_until(f"{n} deliveries have come", lambda: len(self.got) >= n, 30)
        return self.got


def people(s, first, n):
    return make_members(s, s.admin, [person(first + i, VILLAGE) for i in range(n)], VILLAGE)


@story("npm standardwebhooks takes our signatures, both while one secret takes the other's place, and none of what was changed", missing=MISSING)
def signatures(s):
    agency, receiver = Agency(s, Profile("signed", types=["nuanxin.membership.v1.MemberStateChanged"], statutory=["oversight"])), Receiver()
    endpoint, secret = agency.endpoint(receiver.port)
    people(s, 60000, 2)
    old = [dict(d) for d in receiver.wait_for(2)]
    rotated = call(s, "RotateEndpointSecret", endpoint=endpoint["id"])
    people(s, 60010, 2)
    new = [dict(d) for d in receiver.wait_for(4)[2:]]
    key, new_key = endpoint["publicKey"], rotated["endpoint"]["publicKey"]
    cases = [(d, secret, key, True) for d in old + new] + [(d, rotated["secret"], new_key, True) for d in new]
    cases += [(d, rotated["secret"], new_key, False) for d in old]
    for d in old:
        cases.append(({**d, "body": d["body"].replace(VILLAGE, "430102001002")}, secret, key, False))
        for name, value in (("webhook-id", "x"), ("webhook-timestamp", str(int(d["headers"]["webhook-timestamp"]) + 1))):
            cases.append(({**d, "headers": {**d["headers"], name: value}}, secret, key, False))
    results = json.loads(npm.run("tests/npm/verify.js", stdin=json.dumps([{**d, "secret": x, "publicKey": k} for d, x, k, _ in cases])))
    for (d, _, _, good), result in zip(cases, results):
        expect(f"{d['headers']}", {k: v == "good" for k, v in result.items()}, {"hmac": good, "ed25519": good})
    expect("ids of deliveries", len({d["headers"]["webhook-id"] for d in old + new}), 4)


@story("npm cloudevents reads every event strictly, of a delivery and of a batch, and reads in it what is there", missing=MISSING)
def cloudevents(s):
    agency, receiver = Agency(s, Profile("parsed", statutory=["oversight"], organizations=["4301"])), Receiver()
    people(s, 61000, 3)
    taken_in(s)
    wanted = [json.loads(text) for _, text in Oracle(Log.of(s)).visible(agency.profile)][-100:]
    agency.endpoint(receiver.port, types=["nuanxin.membership.v1.MemberStateChanged"], cursor=cursor(s, 0))
    hooked = receiver.wait_for(3)
    batch, at = [], cursor(s, int(wanted[0]["sequence"]) - 1)
    while len(batch) < len(wanted):
        answer = s.call("GET", f"/v1/events?maxEvents=1000&cursor={at}", token=agency.api_key).ok()
        batch, at = batch + answer["events"], answer["cursor"]
    assert all(d["headers"]["content-type"].startswith("application/cloudevents+json") for d in hooked), hooked[0]
    read = json.loads(npm.run("tests/npm/parse.js", stdin=json.dumps({"messages": hooked, "events": batch})))
    errors = [r for r in read if "error" in r]
    expect("events that it cannot read", errors[:3], [])
    expect("deliveries", [rough(e) for e in read[:len(hooked)]], [rough(json.loads(d["body"])) for d in hooked])
    expect("the batch", [rough(e) for e in read[len(hooked):]], [rough(e) for e in wanted])


def rough(event):
    """With its time to the millisecond: more npm's cloudevents does not keep."""
    whole, _, fraction = event["time"].rstrip("Z").partition(".")
    return canonical({**event, "time": f"{whole}.{(fraction + '000')[:3]}"})


@story("npm eventsource reads on over the gateway's end, from the id that it had: every event once, in order", missing=MISSING)
def eventsource(s):
    agency = Agency(s, Profile("listening", types=["nuanxin.membership.v1.*"], statutory=["oversight"], organizations=[VILLAGE]))
    p = subprocess.Popen(["node", os.path.join(ROOT, "tests/npm/listen.js"), f"http://{s.address}/v1/events:stream", agency.api_key],
                         stdout=subprocess.PIPE, text=True, env=npm.environment())
    said = queue.Queue()
    threading.Thread(target=lambda: [said.put(json.loads(line)) for line in p.stdout], daemon=True).start()
    try:
        got = []

        def until(n):
            while len(got) < n:
                m = said.get(timeout=30)
                if "event" in m:
                    got.append(m)
        people(s, 62000, 5)
        until(5)
        pid = s.kill("gateway-1")
        wait_until("the gateway runs again", lambda: s.pid("gateway-1") not in (None, pid), 20)
        people(s, 62010, 5)
        taken_in(s)
        wanted = [text for _, text in Oracle(Log.of(s)).visible(agency.profile)]
        until(len(wanted))
        expect("events", [canonical(m["event"]) for m in got], wanted)
        assert all(m["id"] for m in got), got
    finally:
        p.kill()
        p.wait()


class Signed(Stack):
    def start(self):
        super().start()
        self.admin = self.login("admin")


if __name__ == "__main__":
    main(Signed(gateway_options=["--rate-scale=100"], stream_options=["--webhook-allow-loopback"]) if not MISSING else None)
