#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The stream as one of the house's services: it comes and goes, is scaled and restarted, and those who read events miss none and
get none twice; without it everything else goes on."""
import contextlib
import os
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.reading import Reader, fetch, key_of, village  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

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


if __name__ == "__main__":
    main()
