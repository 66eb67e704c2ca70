#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The gateway as an HTTP client sees it: negotiation, tags, CORS, repeated requests, uploads, exports, its end."""
import csv
import gzip
import http.client
import io
import json
import os
import re
import signal
import socket
import sys
import threading
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import csv_of, id_number, person  # noqa: E402
from support.stack import Stack, free_port  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import operation_done  # noqa: E402

ORIGIN = "https://app.example.org"
VILLAGE = "430102001001"
ADMIN = free_port()


@story("the contract and its page are served, cacheable and compressed")
def pages(s):
    for path, kind in (("/openapi.json", "application/json"), ("/asyncapi.json", "application/json"), ("/docs", "text/html"), ("/", "application/json")):
        r = s.call("GET", path)
        r.ok() if kind.endswith("json") else expect("status", r.status, 200)
        assert r.headers["Content-Type"].startswith(kind), r.headers["Content-Type"]
        tag = r.headers["ETag"]
        expect("seen", s.call("GET", path, headers={"If-None-Match": tag}).status, 304)
        assert "max-age" in r.headers["Cache-Control"] and "Accept-Encoding" in r.headers["Vary"]
        s.call("POST", path).refused(405, "method-not-allowed")
    packed = s.call("GET", "/openapi.json", headers={"Accept-Encoding": "gzip"})
    expect("coding", packed.headers["Content-Encoding"], "gzip")
    expect("the same document", json.loads(gzip.decompress(packed.body)), s.call("GET", "/openapi.json").json)
    expect("seen, compressed", s.call("GET", "/openapi.json", headers={"If-None-Match": packed.headers["ETag"]}).status, 304)


@story("every path of the contract is routed, and says what it allows")
def every_path(s):
    paths = {}
    for path, methods in s.call("GET", "/openapi.json").ok()["paths"].items():
        paths.setdefault(re.sub(r"{[^}]*}", "x", path), set()).update(set(methods) & {"get", "post", "put", "patch", "delete"})
    for path, methods in paths.items():
        r = s.call("OPTIONS", path)
        expect("OPTIONS " + path, r.status, 204)
        expect("Allow of " + path, {m.strip().lower() for m in r.headers["Allow"].split(",")} - {"options", "head"}, methods)
        for method in {"get", "post", "put", "patch", "delete"} - methods:
            s.call(method.upper(), path, None if method == "get" else {}).refused(405, "method-not-allowed")
    s.call("GET", "/v1/nothing").refused(404, "path-unknown")


@story("what can't be served or read is refused before anything else")
def negotiation(s):
    get = lambda **h: s.call("GET", "/v1/organizations/43", token=s.api_key, headers={k.replace("_", "-"): v for k, v in h.items()})
    get(Accept="image/png").refused(406, "not-acceptable")
    get(Accept="application/json;q=0, */*;q=0").refused(406, "not-acceptable")
    for accept in ("*/*", "application/*", "text/html, application/json;q=0.1"):
        get(Accept=accept).ok()
    post = lambda body, kind, **h: s.call("POST", "/v1/members", body, token=s.api_key, headers={"Content-Type": kind, **h})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk", "application/jsonx"):
        post(b"{}", kind).refused(415, "unsupported-media-type")
    post(b"{}", "application/json", **{"Content-Encoding": "gzip"}).refused(415, "unsupported-media-type")
    for kind in ("application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'):
        post(b"{}", kind).refused(400, "invalid-argument")
    post(b"{", "application/json").refused(400, "invalid-argument")
    s.call("GET", "/v1/organizations/43", b"{}", token=s.api_key, headers={"Content-Type": "application/json"}).refused(400, "malformed-request")
    get(Idempotency_Key="x", If_None_Match="nonsense").ok()


@story("each violation has its pointer, in body, path and query, in either language")
def violations(s):
    admin = s.login("admin")
    pointers = lambda r: sorted((v["pointer"], v["rule"]) for v in r.refused(400, "invalid-argument")["violations"])
    expect("query", pointers(s.call("GET", "/v1/members?foo=1&pageSize=x&organization=43&organization=44", token=admin)),
           [("/foo", "unknownField"), ("/organization", "duplicateKey"), ("/pageSize", "type")])
    expect("path", pointers(s.call("GET", "/v1/members/x", token=admin)), [("/member", "uuid")])
    assert ("/name", "unknownField") in pointers(s.call("POST", "/v1/members?name=x", {}, token=admin))
    expect("a body field", pointers(s.call("POST", "/v1/clients", {"name": "x" * 101}, token=admin)),
           [("/name", "maxLength"), ("/organization", "required")])
    s.call("GET", "/v1/members?organization=%ff", token=admin).refused(400, "malformed-request")
    zh = s.call("GET", "/v1/members/x", token=admin, headers={"Accept-Language": "en;q=0.1, zh-CN"})
    expect("language", zh.headers["Content-Language"], "zh-CN")
    assert "Accept-Language" in zh.headers["Vary"]
    assert re.search("[一-鿿]", zh.json["title"] + zh.json["violations"][0]["detail"]), zh.json


@story("an answer's tag saves reading it again, and guards a change")
def tags(s):
    admin = s.login("admin")
    path = "/v1/organizations/" + VILLAGE
    first = s.call("GET", path, token=admin)
    tag = first.headers["ETag"]
    expect("the tag", tag, '"' + first.ok()["etag"] + '"')
    for seen in (tag, f'"other", {tag}', f"W/{tag}", "*", tag[:-1] + '-gzip"'):
        r = s.call("GET", path, token=admin, headers={"If-None-Match": seen})
        expect("seen " + seen, (r.status, r.body, r.headers["ETag"]), (304, b"", tag))
    s.call("GET", path, token=admin, headers={"If-None-Match": '"other"'}).ok()
    s.call("GET", path, token=admin, headers={"If-Match": '"other"'}).refused(412, "precondition-failed")
    change = lambda match: s.call("PATCH", path + "?updateMask=name", {"name": first.json["name"]}, token=admin, headers={"If-Match": match})
    for match in ('"other"', "W/" + tag, '"' + "x" * 100 + '"'):
        change(match).refused(412, "precondition-failed")
    for match in ("other", tag + ', "b"', '"'):
        change(match).refused(400, "malformed-request")
    changed = change(tag)
    changed.ok()
    assert changed.headers["ETag"] != tag
    change(tag).refused(412, "precondition-failed")
    change("*").ok()
    s.call("POST", "/v1/clients", {"name": "x", "organization": "43"}, token=admin, headers={"If-Match": tag}).refused(412)


@story("large answers are compressed for those who say so")
def compression(s):
    path = "/v1/organizations?q=%E6%9D%91&pageSize=100"
    get = lambda accept: s.call("GET", path, token=s.api_key, headers={"Accept-Encoding": accept})
    plain, packed = get("identity"), get("br, gzip;q=0.5")
    assert len(plain.body) > 1400, plain.body
    expect("coding", packed.headers["Content-Encoding"], "gzip")
    expect("the same", json.loads(gzip.decompress(packed.body))["organizations"], plain.json["organizations"])
    for r in (plain, get("gzip;q=0"), get("")):
        assert "Content-Encoding" not in r.headers and "Accept-Encoding" in r.headers["Vary"], r.headers
    small = s.call("GET", "/v1/organizations/43", token=s.api_key, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in small.headers


@story("pages of a configured origin may call, others' may not")
def cors(s):
    r = s.call("OPTIONS", "/v1/members", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST",
                                                  "Access-Control-Request-Headers": "authorization"})
    expect("origin", r.headers["Access-Control-Allow-Origin"], ORIGIN)
    assert "POST" in r.headers["Access-Control-Allow-Methods"] and "Authorization" in r.headers["Access-Control-Allow-Headers"]
    r = s.call("GET", "/v1/organizations/43", token=s.api_key, headers={"Origin": ORIGIN})
    expect("origin", r.headers["Access-Control-Allow-Origin"], ORIGIN)
    assert "Origin" in r.headers["Vary"] and "ETag" in r.headers["Access-Control-Expose-Headers"]
    for origin in ("https://evil.example.org", "null", ORIGIN + ".evil.org", "http://app.example.org"):
        r = s.call("GET", "/v1/organizations/43", token=s.api_key, headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in r.headers and "Origin" in r.headers["Vary"]
        r = s.call("OPTIONS", "/v1/members", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
        assert "Access-Control-Allow-Origin" not in r.headers and "Access-Control-Allow-Methods" not in r.headers


@story("a trace goes on through the gateway, and every answer can be found again")
def traces(s):
    trace = "0af7651916cd43dd8448eb211c80319c"
    r = s.call("GET", "/v1/members/x", token=s.api_key, headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01", "X-Request-Id": "my-1"})
    expect("trace", r.json["traceId"], trace)
    expect("request id", r.headers["X-Request-Id"], "my-1")
    r = s.call("GET", "/v1/members/x", token=s.api_key, headers={"traceparent": "00-zz-b7ad6b7169203331-01", "X-Request-Id": "a b"})
    expect("a new trace", r.json["traceId"], r.headers["X-Request-Id"])
    timing = s.call("GET", "/v1/organizations/43", token=s.api_key).headers["Server-Timing"]
    expect("timing", re.sub(r"[0-9.]+", "N", timing), "gateway;dur=N, wire;dur=N, queue;dur=N, handler;dur=N, commit;dur=N")


@story("a request repeated with its key has the same answer, byte for byte, and one effect")
def repeated(s):
    admin = s.login("admin")
    send = lambda key, b: s.call("POST", "/v1/accounts", b, token=admin, headers={"Idempotency-Key": key})
    account = {"account": {"login": "replay-1", "organization": "43"}, "password": "correct horse battery"}
    first, second = send("k-1", account), send("k-1", account)
    first.ok()
    expect("the replay", second.body, first.body)
    send("k-1", {**account, "password": "another horse battery"}).refused(422, "idempotency-mismatch")
    send("k-2", account).refused(409, "login-taken")
    for bad in ("", "x" * 129, "a b", "ü".encode().decode("latin-1")):
        send(bad, account).refused(400, "malformed-request")


@story("an upload streams in chunks, and the same upload again changes nothing")
def upload(s):
    admin = s.login("admin")
    people = [person(5000 + i, VILLAGE) for i in range(8000)]
    body = csv_of(people)
    assert len(body) > 2 * 256 * 1024, len(body)
    send = lambda b, **h: s.call("POST", "/v1/members:import?organization=43", b, token=admin, headers={"Content-Type": "text/csv", **h})
    first = send(body, **{"Idempotency-Key": "upload-1"}).ok()
    done = operation_done(s, first, admin)
    expect("state", (done["state"], done["rowsAccepted"]), ("SUCCEEDED", len(people)))
    expect("bytes", int(done["bytesReceived"]), len(body))
    expect("the same upload", send(body, **{"Idempotency-Key": "upload-1"}).ok()["id"], first["id"])
    again = operation_done(s, send(body).ok(), admin)
    expect("unchanged", (again.get("rowsAccepted", 0), again["rowsUnchanged"]), (0, len(people)))
    s.call("POST", "/v1/members:import?organization=43", body, token=admin, headers={"Content-Type": "application/json"}).refused(415)
    s.call("POST", "/v1/members:import?organization=99", body, token=admin, headers={"Content-Type": "text/csv"}).refused(404)
    s.call("POST", "/v1/members:import?organization=43&offset=3", body, token=admin, headers={"Content-Type": "text/csv"}).refused(400)
    s.call("POST", "/v1/members:import?organization=43", body, headers={"Content-Type": "text/csv"}).refused(401)


@story("a list is exported whole, as CSV and as lines of JSON")
def export(s):
    admin = s.login("admin")
    pages, token = [], ""
    while True:
        page = s.call("GET", f"/v1/members?organization={VILLAGE}&pageSize=1000&pageToken={token}", token=admin).ok()
        pages += page.get("members", [])
        token = page.get("nextPageToken", "")
        if not token:
            break
    get = lambda kind: s.call("GET", f"/v1/members?organization={VILLAGE}", token=admin, headers={"Accept": kind})
    lines = [json.loads(line) for line in get("application/x-ndjson").body.splitlines()]
    expect("lines", lines, pages)
    rows = get("text/csv").body.decode().split("\r\n")
    expect("rows", (len(rows), rows[-1]), (len(pages) + 2, ""))
    header = rows[0].split(",")
    expect("ids", [r.split(",")[header.index("id")] for r in rows[1:-1]], [m["id"] for m in pages])
    expect("rate", get("text/csv").headers["RateLimit"].split(";")[0], '"bulk"')
    s.call("GET", "/v1/members?organization=99", token=admin, headers={"Accept": "text/csv"}).refused(404)
    s.call("GET", f"/v1/members?organization={VILLAGE}", token=admin, headers={"Accept": "text/xml"}).refused(406)


@story("a name that a spreadsheet would compute is exported as text")
def formulas(s):
    admin = s.login("admin")
    village = "430102001002"
    names = ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", '="a",b', "阿·依"]
    for i, name in enumerate(names):
        s.call("POST", "/v1/members", {"organization": village, "name": name, "idNumber": id_number(77000 + i)}, token=admin).ok()
    get = lambda kind: s.call("GET", f"/v1/members?organization={village}", token=admin, headers={"Accept": kind}).body.decode()
    rows = list(csv.DictReader(io.StringIO(get("text/csv"))))
    expect("in CSV", [r["name"] for r in rows], ["'" + n for n in names[:5]] + names[5:])
    expect("in JSON", [json.loads(line)["name"] for line in get("application/x-ndjson").splitlines()], names)


@story("the address behind a trusted proxy has a rate of its own")
def forwarded(s):
    def remaining(address):
        r = s.call("GET", "/v1/members/x", headers={"Forwarded": f"for={address}"})
        r.refused(401, "unauthenticated")
        return int(re.search("r=([0-9]+)", r.headers["RateLimit"]).group(1))

    spent = [remaining("203.0.113.1") for _ in range(20)]
    assert spent[-1] < spent[0] - 10, spent
    assert remaining("203.0.113.2") > spent[-1]
    assert remaining('"[2001:db8::1]:80"') > spent[-1]


def in_flight():
    with urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}/metrics") as r:
        lines = r.read().decode().splitlines()
    return sum(int(line.split()[-1]) for line in lines if line.startswith("nuanxin_gateway_requests_in_flight{"))


@story("SIGTERM lets what is in hand finish, and the gateway comes back")
def drain(s):
    answers = []
    person_ = s.credentials["clerk"]

    def slow():  # a password's hash takes a while
        connection = socket.create_connection(("127.0.0.1", s.port), 30)
        body = json.dumps({"login": person_["login"], "password": person_["password"]}).encode()
        head = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)
        data = b""
        while piece := connection.recv(65536):
            data += piece
        answers.append(data)

    threads = [threading.Thread(target=slow) for _ in range(4)]
    for t in threads:
        t.start()
    wait_until("four are in hand", lambda: in_flight() >= 4, 10)
    before = s.kill("gateway-1", signal.SIGTERM)
    for t in threads:
        t.join()
    expect("answers", [a.split(b"\r\n")[0] for a in answers], [b"HTTP/1.1 200 OK"] * 4)
    assert all(b"connection: close" in a.lower() for a in answers)

    def back():
        try:
            return s.pid("gateway-1") not in (None, before) and s.call("GET", "/").status == 200
        except (OSError, http.client.HTTPException):
            s._local.connection = None
            return False

    wait_until("the gateway is back", back, 20)


main(Stack(gateway_options=["--cors-origin=" + ORIGIN, "--trusted-proxy=127.0.0.0/8",
                            f"--admin=127.0.0.1:{ADMIN}"]))
