#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A complete subscriber in Python (Debian: python3-zmq): holds every event in SQLite, once, whatever crashes. For what an event does
and the cursor that acknowledges it are one transaction. It begins with the snapshot, which ends with the cursor of the log.

    subscriber.py ENDPOINT[,ENDPOINT…] EDGE_PUBLIC_KEY KEY_FILE DATABASE [TYPE …]
KEY_FILE: (umask 077; /usr/bin/python3 -c 'import zmq; print(*map(bytes.decode, zmq.curve_keypair()), sep="\\n")' >agency.key)
Its first line, the public key, is what the association registers."""
import json
import sqlite3
import sys
import time

import zmq
NOTICES = ("nuanxin.membership.v1.MemberErased", "nuanxin.membership.v1.ConsentWithdrawn")
if len(sys.argv) < 5:
    sys.exit("usage: subscriber.py ENDPOINT[,ENDPOINT…] EDGE_PUBLIC_KEY KEY_FILE DATABASE [TYPE …]")
endpoints, edge_key, key_file, database, *types = sys.argv[1:]
try:
    secret = open(key_file, "rb").read().split()[-1]
    public, _ = zmq.curve_public(secret), zmq.curve_public(edge_key.encode())  # both are keys
except (OSError, ValueError, IndexError, zmq.ZMQError) as e:
    sys.exit(f"no key in {key_file}, or EDGE_PUBLIC_KEY is none: {e}")
db = sqlite3.connect(database, isolation_level=None)
db.executescript("""PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
    CREATE TABLE IF NOT EXISTS event (sequence INTEGER, id TEXT PRIMARY KEY, type TEXT, subject TEXT, data TEXT);
    CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT);
    INSERT OR IGNORE INTO position VALUES (1, 'snapshot')""")
socket, (cursor,) = None, db.execute("SELECT cursor FROM position").fetchone()
while True:
    if not socket:
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = edge_key.encode(), public, secret
        socket.linger, socket.immediate, socket.sndtimeo, socket.rcvtimeo = 0, True, 5000, 15000
        [socket.connect(endpoint) for endpoint in endpoints.split(",")]
    try:
        socket.send_multipart([b"FETCH", json.dumps({"cursor": cursor, "max": 500, "wait": 10, "types": types}).encode()])
        kind, answer = socket.recv_multipart()
    except zmq.Again:  # another connection, and the same fetch once more
        print("no edge answers: trying again. Address right? EDGE_PUBLIC_KEY the edge's? Our public key registered?", file=sys.stderr)
        socket = socket.close()
        continue
    answer = json.loads(answer)
    if kind == b"BATCH":
        db.execute("BEGIN IMMEDIATE")  # a cursor past a notice is the receipt for it: what is held of that person goes with it
        for e in answer["events"]:
            if e["type"] in NOTICES:
                db.execute("DELETE FROM event WHERE subject = ?1 OR instr(data, ?1)", (e.get("subject"),))
            db.execute("INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?)",  # by its id: a snapshot may bring it again
                       (e["sequence"], e["id"], e["type"], e.get("subject"), json.dumps(e["data"])))
        cursor = answer["cursor"]
        db.execute("UPDATE position SET cursor = ?", (cursor,))
        db.execute("COMMIT")
    elif answer["type"] == "urn:nuanxin:problem:cursor-gone":
        cursor = "snapshot"  # away for too long: first the present state, then the log again
    elif answer["status"] in (429, 503):
        time.sleep(answer["retryAfterMs"] / 1000)
    else:
        sys.exit(answer["detail"])
