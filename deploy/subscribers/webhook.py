#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A complete receiver of webhooks in Python: holds every event in SQLite, once, whatever crashes: it is there, durably, before the
200 is, and what is sent again is known by its webhook-id, and does nothing.
    webhook.py PORT ORIGIN SECRETS DATABASE
ORIGIN: who may ask, the association's --webhook-origin. SECRETS: a file that only you can read, empty until the association gives
you the secret (whsec_…), whose line it is; while it makes a new one both, a line each. What comes before is refused, and sent again.
This listens on 127.0.0.1: in front of it belongs a web server with TLS, which passes headers and body on as they are."""
import base64
import hmac
import http.server
import json
import os
import sqlite3
import sys
import time

NOTICES = ("nuanxin.membership.v1.MemberErased", "nuanxin.membership.v1.ConsentWithdrawn")
if len(sys.argv) != 5 or not os.path.exists(sys.argv[3]):
    sys.exit("usage: webhook.py PORT ORIGIN SECRETS DATABASE; the file SECRETS must be there, if empty")
port, origin, secrets, database = sys.argv[1:]
db = sqlite3.connect(database, isolation_level=None)
db.executescript("""PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
    CREATE TABLE IF NOT EXISTS event (sequence INTEGER, id TEXT PRIMARY KEY, type TEXT, subject TEXT, data TEXT)""")


class Receiver(http.server.BaseHTTPRequestHandler):
    timeout = 20

    def answer(self, status, *fields):
        self.send_response(status)
        for name, value in (*fields, ("Content-Length", "0")):
            self.send_header(name, value)
        self.end_headers()

    def do_OPTIONS(self):  # CloudEvents' handshake: before it nothing is sent
        mine = self.headers["WebHook-Request-Origin"] == origin
        self.answer(*([200, ("WebHook-Allowed-Origin", origin), ("WebHook-Allowed-Rate", "*")] if mine else [403]))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        id, at, given = (self.headers.get("webhook-" + name, "") for name in ("id", "timestamp", "signature"))
        text = f"{id}.{at}.".encode() + body  # v1a is ed25519 of the same: Ed25519PublicKey.verify(signature, text), key: whpk_…
        keys = [base64.b64decode(line.removeprefix("whsec_")) for line in open(secrets).read().split()]
        good = [b"v1," + base64.b64encode(hmac.digest(key, text, "sha256")) for key in keys]
        if not any(hmac.compare_digest(g, s) for g in good for s in given.encode().split()) or abs(time.time() - int(at)) > 300:
            return self.answer(401)
        e = json.loads(body)
        with db:  # one transaction
            db.execute("BEGIN IMMEDIATE")
            if not db.execute("SELECT 1 FROM event WHERE id = ?", (id,)).fetchone():
                if e["type"] in NOTICES:  # the 200 is the receipt for it: what is held of that person goes with it
                    db.execute("DELETE FROM event WHERE subject = ?1 OR instr(data, ?1)", (e.get("subject"),))
                db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?)", (e["sequence"], id, e["type"], e.get("subject"), json.dumps(e["data"])))
        self.answer(200)


http.server.HTTPServer(("127.0.0.1", int(port)), Receiver).serve_forever()
