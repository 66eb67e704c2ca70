#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One subscriber of an agency's, as a process that a story can kill -9, stop and slow down: see support/subscribers.py.

    subscriber.py '{"transport": "http", "store": "/tmp/x.db", ...}'

Its effect is a row for each event, kept in one transaction with the cursor: so a crash loses nothing and doubles nothing. Only
a webhook may bring an event twice, and then both are kept. It says `ready` when it listens or has asked for the first time.

transport  zeromq: endpoint, server (the edge's public key), public, secret; http, sse: address, key; webhook: port, secrets, public
types, max, wait of each fetch; pace: seconds that each batch takes; keep: events whole, else their digests; protobuf: zeromq only
raw        a file for every byte that arrives (of ZeroMQ the frames, which are decrypted)
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import socket
import sqlite3
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

SCHEMA = """
CREATE TABLE IF NOT EXISTS received (n INTEGER PRIMARY KEY, seq INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, event TEXT NOT NULL,
                                     batch INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS batch (n INTEGER PRIMARY KEY, asked TEXT NOT NULL, cursor TEXT NOT NULL, first INTEGER, through INTEGER, latest INTEGER,
                                  head TEXT, signature TEXT);
CREATE TABLE IF NOT EXISTS refused (n INTEGER PRIMARY KEY, status INTEGER NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT NOT NULL);
INSERT OR IGNORE INTO position VALUES (1, '');
"""


class Over(Exception):
    """The connection is: another one is made."""


class Refused(Exception):
    def __init__(self, status, type, body, wait=0.1):
        super().__init__(f"{status} {type}")
        self.status, self.type, self.body, self.wait = status, type, body, wait


def dropped(value):
    """Without what has its default value, which the JSON mapping may give or leave out."""
    if isinstance(value, dict):
        kept = {k: dropped(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v not in ("", 0, "0", False, None) and v != [] and v != {} and not (
            isinstance(v, str) and v.endswith("_UNSPECIFIED"))}
    return [dropped(v) for v in value] if isinstance(value, list) else value


def canonical(event):
    """A CloudEvent as text, such that equal events are equal texts."""
    if "data" in event:
        event = {**event, "data": dropped(event["data"])}
    return json.dumps(event, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest(text):
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


class Subscriber:
    def __init__(self, o):
        self.o, self.pace, self.keep = o, o.get("pace", 0), o.get("keep", False)
        self.db = sqlite3.connect(o["store"], isolation_level=None, check_same_thread=False)
        self.db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;" + SCHEMA)
        self.raw = open(o["raw"], "ab", buffering=0) if o.get("raw") else None
        self.cursor = self.db.execute("SELECT cursor FROM position").fetchone()[0]
        self.said = False

    def ready(self):
        if not self.said:
            self.said = True
            print("ready", flush=True)

    def took(self, data):
        if self.raw and data:
            self.raw.write(data)
        return data

    def keep_batch(self, cursor, events, first=None, through=None, latest=None, head=None, signature=None):
        texts = [canonical(e) for e in events]
        self.db.execute("BEGIN IMMEDIATE")
        n = self.db.execute("INSERT INTO batch (asked, cursor, first, through, latest, head, signature) VALUES (?, ?, ?, ?, ?, ?, ?)",
                            (self.cursor, cursor, first, through, latest, head, signature)).lastrowid
        self.db.executemany("INSERT INTO received (seq, id, type, event, batch) VALUES (?, ?, ?, ?, ?)",
                            [(int(e["sequence"]), e["id"], e["type"], t if self.keep else digest(t), n) for e, t in zip(events, texts)])
        self.db.execute("UPDATE position SET cursor = ?", (cursor,))
        self.db.execute("COMMIT")
        self.cursor = cursor
        if self.pace:
            time.sleep(self.pace)  # a slow one

    def refuse(self, r):
        self.db.execute("INSERT INTO refused (status, type, body) VALUES (?, ?, ?)", (r.status, r.type, r.body))

    def run(self):
        while True:
            try:
                self.connect()
                while True:
                    self.step()
                    self.ready()
            except Refused as r:
                self.refuse(r)
                self.ready()
                time.sleep(r.wait)
            except (Over, OSError):
                time.sleep(0.05)  # a pace for whoever is away


# --- ZeroMQ -----------------------------------------------------------------------------------------------------------


class ZeroMQ(Subscriber):
    socket = context = None

    def connect(self):
        import zmq
        self.zmq = zmq
        self.context = self.context or zmq.Context()
        if self.socket:
            self.socket.close(0)
        self.socket = s = self.context.socket(zmq.DEALER)
        s.curve_serverkey, s.curve_publickey, s.curve_secretkey = (self.o[k].encode() for k in ("server", "public", "secret"))
        s.linger, s.reconnect_ivl, s.reconnect_ivl_max, s.heartbeat_ivl, s.heartbeat_timeout = 0, 20, 200, 1000, 3000
        s.connect(self.o["endpoint"])

    def step(self):
        fetch = {"cursor": self.cursor, "max": self.o.get("max", 500), "wait": self.o.get("wait", 5), "types": self.o.get("types", []),
                 "id": os.urandom(4).hex()}
        self.socket.send_multipart([b"FETCH", self.pack(fetch)])
        while True:
            # Whoever answers may have died: then it is asked again, from the same cursor.
            if not self.socket.poll(1000 * (fetch["wait"] + self.o.get("patience", 3))):
                raise Over()
            word, body = [self.took(f) for f in self.socket.recv_multipart()][-2:]
            answer = self.unpack(word, body)
            if answer.get("id", "") in ("", fetch["id"]):
                break
        if word == b"REFUSED":
            raise Refused(answer.get("status", 0), answer.get("type", ""), json.dumps(answer), answer.get("retryAfterMs", 100) / 1000)
        b64 = answer.get
        self.keep_batch(answer["cursor"], answer["events"], int(answer.get("from", 0)), int(answer["through"]), int(answer["latest"]),
                        b64("head"), b64("signature"))

    def pack(self, fetch):
        if not self.o.get("protobuf"):
            return json.dumps(fetch).encode()
        from support.oracle import contract
        return contract().message("nuanxin.stream.v1.Fetch", fetch).SerializeToString()

    def unpack(self, word, body):
        if not self.o.get("protobuf"):
            return json.loads(body)
        from support.oracle import contract
        return contract().answer(word, body)


# --- HTTP -------------------------------------------------------------------------------------------------------------


class Http(Subscriber):
    """Over its own socket, so that the bytes are seen as they come."""
    socket = None

    def connect(self):
        if self.socket:
            self.socket.close()
        host, port = self.o["address"].rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 5)
        self.socket.settimeout(self.o.get("wait", 5) + self.o.get("patience", 15))
        if self.o.get("receive_buffer"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.o["receive_buffer"])
        self.buffer = b""

    def more(self):
        data = self.took(self.socket.recv(65536))
        if not data:
            raise Over()
        self.buffer += data

    def cut(self, n):
        while len(self.buffer) < n:
            self.more()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def line(self, end=b"\r\n"):
        while end not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(end, 1)
        return line

    def ask(self, path, query, **headers):
        """Status and header fields of the answer."""
        target = path + "?" + urllib.parse.urlencode([(k, v) for k, v in query if v not in ("", None)])
        lines = [f"GET {target} HTTP/1.1", f"Host: {self.o['address']}", f"Authorization: Bearer {self.o['key']}"]
        lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        status, fields = int(self.line().split()[1]), {}
        while line := self.line():
            name, value = line.decode().split(":", 1)
            fields[name.lower()] = value.strip()
        return status, fields

    def chunk(self):
        """The next piece of a chunked body; empty: its end."""
        n = int(self.line().split(b";")[0], 16)
        return self.cut(n + 2)[:-2]

    def body(self, fields):
        if fields.get("transfer-encoding") == "chunked":
            return b"".join(iter(self.chunk, b""))
        return self.cut(int(fields["content-length"]))

    def refused(self, status, fields):
        body = self.body(fields)
        try:
            type = json.loads(body)["type"]
        except ValueError:
            type = ""
        return Refused(status, type, body.decode(errors="replace"), min(float(fields.get("retry-after", 0.1)), 1))

    def types(self):
        return [("types", t) for t in self.o.get("types", [])]

    def step(self):
        status, fields = self.ask("/v1/events", [("cursor", self.cursor), ("maxEvents", self.o.get("max", 500)), ("wait", self.o.get("wait", 5)),
                                                 *self.types()])
        if status != 200:
            raise self.refused(status, fields)
        a = json.loads(self.body(fields))
        self.keep_batch(a["cursor"], a["events"], int(a.get("from", 0)), int(a["through"]), int(a["latest"]), a.get("head"), a.get("signature"))
        if fields.get("connection", "").lower() == "close":
            raise Over()


class Sse(Http):
    def step(self):
        headers = {"Last_Event_ID": self.cursor} if self.cursor else {}
        status, fields = self.ask("/v1/events:stream", [("maxEvents", self.o.get("max")), *self.types()], Accept="text/event-stream", **headers)
        if status != 200:
            raise self.refused(status, fields)
        assert fields["content-type"].startswith("text/event-stream"), fields
        self.ready()
        self.socket.settimeout(self.o.get("patience", 40))  # a heartbeat comes each 15 s
        chunked, text = fields.get("transfer-encoding") == "chunked", b""
        while True:
            if chunked:
                piece = self.chunk()
                if not piece:
                    raise Over()
            else:
                if not self.buffer:
                    self.more()
                piece, self.buffer = self.buffer, b""
            text = self.messages(text + piece)

    def messages(self, text):
        """Keeps the whole ones; returns the rest. `id` is remembered from message to message, as a browser does."""
        whole, end, rest = text.rpartition(b"\n\n")
        if not end:
            return text
        cursor, events = self.cursor, []
        for message in whole.decode().split("\n\n"):
            data = []
            for line in message.split("\n"):
                name, _, value = line.partition(":")
                value = value[1:] if value.startswith(" ") else value
                if name == "id":
                    cursor = value
                elif name == "data":
                    data.append(value)
            if data:
                found = json.loads("\n".join(data))
                events += found if isinstance(found, list) else [found]
        if events or cursor != self.cursor:
            self.keep_batch(cursor, events)
        return rest


# --- webhooks ---------------------------------------------------------------------------------------------------------


class Webhook(Subscriber):
    """A receiver: what is not signed as it should be is refused, and noted."""

    def run(self):
        me = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                self.rfile = Tap(self.rfile, me.took) if me.raw else self.rfile

            def answer(self, status, **fields):
                self.send_response_only(status)
                for name, value in {**fields, "Content_Length": 0}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()

            def do_OPTIONS(self):
                self.answer(200, WebHook_Allowed_Origin=self.headers.get("WebHook-Request-Origin", ""), WebHook_Allowed_Rate="*", Allow="POST")

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(me.delivered(self.headers, body))

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address = daemon_threads = True

            def handle_error(self, *_):
                pass  # whoever sends may be killed at any time

        import threading
        self.lock = threading.Lock()
        server = Server(("127.0.0.1", self.o["port"]), Handler)
        self.ready()
        server.serve_forever()

    def delivered(self, headers, body):
        with self.lock:
            if not self.signed(headers, body):
                self.refuse(Refused(401, "signature", str(dict(headers))))
                return 401
            event = json.loads(body)
            assert headers["webhook-id"], dict(headers)
            if self.o.get("status", 204) >= 300:
                return self.o["status"]
            self.keep_batch(headers["webhook-id"], [event])
            return self.o.get("status", 204)

    def signed(self, headers, body):
        """Standard Webhooks: HMAC-SHA256 over "id.timestamp.body" by one of the secrets that we know."""
        stamp = headers.get("webhook-timestamp", "0")
        if abs(time.time() + self.o.get("clock_ahead", 0) - int(stamp)) > self.o.get("tolerance", 300):
            return False
        content = f"{headers.get('webhook-id')}.{stamp}.".encode() + body
        good = {"v1," + base64.b64encode(hmac.new(base64.b64decode(s.removeprefix("whsec_")), content, hashlib.sha256).digest()).decode()
                for s in self.o["secrets"]}
        return bool(good & set(headers.get("webhook-signature", "").split()))


class Tap:
    """A file that shows what is read from it."""

    def __init__(self, file, took):
        self.file, self.took = file, took

    def read(self, *n):
        return self.took(self.file.read(*n))

    def readline(self, *n):
        return self.took(self.file.readline(*n))

    def __getattr__(self, name):
        return getattr(self.file, name)


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    {"zeromq": ZeroMQ, "http": Http, "sse": Sse, "webhook": Webhook}[options["transport"]](options).run()
