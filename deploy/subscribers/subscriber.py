#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A complete subscriber in Python (Debian: python3-zmq): keeps every event in SQLite, once, whatever crashes in between. For
what an event does and the cursor that acknowledges it are one transaction, and after a crash the fetch begins where the last
one ended.

    subscriber.py ENDPOINT[,ENDPOINT…] EDGE_PUBLIC_KEY KEY_FILE DATABASE [TYPE …]

KEY_FILE: python3 -c 'import zmq; print(*(k.decode() for k in zmq.curve_keypair()), sep="\\n")' >agency.key
Its first line, the public key, is what the association registers.
"""
import json
import sqlite3
import sys
import time

import zmq

endpoints, edge_key, key_file, database, *types = sys.argv[1:]
public, secret = open(key_file, "rb").read().split()
db = sqlite3.connect(database, isolation_level=None)
db.executescript("""PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS event (sequence INTEGER, id TEXT, type TEXT, subject TEXT, data TEXT);
    CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT);
    INSERT OR IGNORE INTO position VALUES (1, '')""")
(cursor,) = db.execute("SELECT cursor FROM position").fetchone()
socket = None

while True:
    if not socket:
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = edge_key.encode(), public, secret
        socket.linger, socket.immediate, socket.sndtimeo, socket.rcvtimeo = 0, True, 5000, 15000
        for endpoint in endpoints.split(","):
            socket.connect(endpoint)
    try:
        socket.send_multipart([b"FETCH", json.dumps({"cursor": cursor, "max": 500, "wait": 10, "types": types}).encode()])
        kind, answer = socket.recv_multipart()
    except zmq.Again:  # no edge has answered: another connection, and the same fetch once more
        print("no edge answers: trying again", file=sys.stderr)
        socket = socket.close()
        continue
    answer = json.loads(answer)
    if kind == b"BATCH":
        db.execute("BEGIN IMMEDIATE")
        for e in answer["events"]:
            db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?)", (e["sequence"], e["id"], e["type"], e.get("subject"), json.dumps(e["data"])))
        cursor = answer["cursor"]
        db.execute("UPDATE position SET cursor = ?", (cursor,))
        db.execute("COMMIT")
    elif answer["type"] == "urn:nuanxin:problem:cursor-gone":
        cursor = "snapshot"  # away for too long: first the present state, then the log again
    elif answer["status"] in (429, 503):
        time.sleep(answer["retryAfterMs"] / 1000)
    else:
        sys.exit(answer["detail"])
