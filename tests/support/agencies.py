# SPDX-License-Identifier: Apache-2.0
"""Agencies and their subscribers, for stories of the event streams.

    a = Agency(s, Profile("insurer", purposes=["accident-insurance"], organizations=["4301"]))
    with Subscriber(a, "zeromq", s.folder) as it:
        it.crash(); it.start()
        it.wait_for(seq)
        it.received()
"""
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time

from .stack import ROOT, free_port
from .story import wait_until
from .world import rfc3339

TRANSPORTS = ("zeromq", "http", "sse", "webhook")


def call(s, method, check=True, **fields):
    """A method of the operator's, its request's fields by their names in JSON."""
    r = s.cli("call", method, json.dumps(fields, ensure_ascii=False), "--json", check=check)
    return json.loads(r.stdout) if r.returncode == 0 else r


class Agency:
    """Registered under an agreement, with keys for every transport made when they are first asked for."""

    def __init__(self, s, profile, expires=86400 * 365):
        self.s, self.profile, self.id, self._curve, self._api = s, profile, profile.id, None, None
        p = profile
        call(s, "CreateAgency", agency={
            "id": p.id, "name": "测试机构 " + p.id, "purposes": p.purposes, "statutoryPurposes": p.statutory, "types": p.types,
            "organizations": p.organizations, "privacy": p.privacy, "withheldFields": p.withheld, "agreement": "测试协议 " + p.id,
            "agreementExpireTime": rfc3339(expires)})

    @property
    def curve(self):
        """(public, secret) of a pair that is registered."""
        if not self._curve:
            import zmq
            public, secret = (k.decode() for k in zmq.curve_keypair())
            call(self.s, "CreateAgencyKey", agency=self.id, publicKey=public)
            self._curve = public, secret
        return self._curve

    @property
    def api_key(self):
        if not self._api:
            self._api = call(self.s, "CreateAgencyKey", agency=self.id)["apiKey"]
        return self._api

    def endpoint(self, address, types=(), **fields):
        """(endpoint, secret) of a webhook to us: address is a port, or "port/path"."""
        made = call(self.s, "CreateEndpoint", endpoint={"agency": self.id, "url": f"http://127.0.0.1:{address}", "types": list(types)}, **fields)
        return made["endpoint"], made["secret"]


class Subscriber:
    """A process of support/subscriber.py, and what it has kept. It stays what it is over crash() and start()."""

    def __init__(self, agency, transport, folder, name=None, start_at=None, **options):
        """start_at: the cursor with which it begins; options: see subscriber.py."""
        s = agency.s
        self.agency, self.s, self.transport, self.process = agency, s, transport, None
        self.name = name or f"{agency.id}-{transport}"
        self.store = os.path.join(folder, self.name + ".db")
        self.options = {"transport": transport, "store": self.store, **options}
        if transport == "zeromq":
            public, secret = agency.curve
            self.options.update(endpoint=s.edge_endpoint, server=s.edge_key, public=public, secret=secret)
        elif transport == "webhook":
            self.options["port"] = self.options.get("port") or free_port()
            self.start_at = start_at
        else:
            self.options.update(address=s.address, key=agency.api_key)
        self.endpoint = None
        if transport != "webhook" and start_at:
            with self.db(True) as db:
                db.executescript("CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT NOT NULL)")
                db.execute("INSERT INTO position VALUES (1, ?)", (start_at,))

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.end()

    def start(self):
        if self.transport == "webhook" and not self.endpoint:
            # It must answer before it is registered; and it learns its secret only then.
            self.options["secrets"] = []
            self.run()
            fields = {"cursor": self.start_at} if self.start_at else {}
            self.endpoint, secret = self.agency.endpoint(self.options["port"], self.options.get("types", ()), **fields)
            self.crash()
            self.options["secrets"] = [secret]
        self.run()
        return self

    def run(self):
        self.process = subprocess.Popen([os.path.join(ROOT, "tests", "support", "subscriber.py"), json.dumps(self.options)],
                                        stdout=subprocess.PIPE, text=True)
        process, said = self.process, threading.Event()
        threading.Thread(target=lambda: process.stdout.readline() and said.set(), daemon=True).start()
        self.said = said

    def ready(self, seconds=20):
        wait_until(f"{self.name} is ready", lambda: self.said.is_set() or self.process.poll() is not None, seconds)
        assert self.process.poll() is None, f"{self.name} has ended"
        return self

    def crash(self):
        self.process.kill()
        self.process.wait()

    def stand_still(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        if self.process and self.process.poll() is None:
            self.crash()

    # --- what it kept -------------------------------------------------------------------------------------------------

    def db(self, write=False):
        return sqlite3.connect(f"file:{self.store}?mode={'rwc' if write else 'ro'}", uri=True, timeout=30)

    def rows(self, sql):
        try:
            db = self.db()
            try:
                return db.execute(sql).fetchall()
            finally:
                db.close()
        except sqlite3.OperationalError:
            return []  # it has not yet begun

    def received(self):
        """(seq, id, type, event or digest, batch), as they came."""
        return self.rows("SELECT seq, id, type, event, batch FROM received ORDER BY n")

    def batches(self):
        """(n, asked with, cursor, from, through, latest, head, signature)."""
        return self.rows("SELECT n, asked, cursor, first, through, latest, head, signature FROM batch ORDER BY n")

    def refused(self):
        return self.rows("SELECT status, type, body FROM refused ORDER BY n")

    @property
    def position(self):
        """The sequence up to which it knows all that it may see; a webhook only knows what came."""
        if self.transport == "webhook":
            return (self.rows("SELECT MAX(seq) FROM received") or [(0,)])[0][0] or 0
        cursor = (self.rows("SELECT cursor FROM position") or [("",)])[0][0]
        return int(cursor.split(":")[1]) if cursor else 0

    def wait_for(self, seq, seconds=60):
        def there():
            assert self.process.poll() is None, f"{self.name} has ended"
            return self.position >= seq

        began = time.monotonic()
        try:
            wait_until(f"{self.name} has come to {seq}", there, seconds, 0.05)
        except AssertionError as e:
            raise AssertionError(f"{e}: it is at {self.position} after {time.monotonic() - began:.0f} s, refused {self.refused()[-3:]}") from None


def cursor(s, seq):
    """The cursor of what comes after seq."""
    return call(s, "FetchEvents", maxEvents=1)["cursor"].split(":")[0] + f":{seq}"


def log_head(s):
    """The newest sequence of the log; 0 while the stream does not answer."""
    r = s.cli("call", "GetLog", "--json", check=False)
    return int(json.loads(r.stdout).get("latest", 0)) if r.returncode == 0 else 0


def followed(s):
    """The services whose events the log has."""
    return ["membership", "activity", *(["care"] if s.instances.get("care") else [])]


def sources(s):
    """{service: the newest position of its outbox}."""
    return {name: s.rows(name, "SELECT COALESCE(MAX(seq), 0) FROM rpc_outbox")[0][0] for name in followed(s)}


def taken_in(s, seconds=60):
    """Waits until the log has all that the services have emitted; returns its newest sequence."""
    if s.engine == "postgresql":  # where events get their positions after their commit
        numbered = lambda: not any(s.rows(name, "SELECT 1 FROM rpc_arrival LIMIT 1") for name in followed(s))
        wait_until("all events have their positions", numbered, seconds, 0.05)
    wanted = sources(s)

    def there():
        cursors = dict(s.rows("stream", "SELECT name, position FROM rpc_cursor WHERE topic < 0"))  # behind its snapshot
        return all(any(source in name and at >= wanted[source] for name, at in cursors.items()) for source in wanted)

    wait_until("the log has taken in all", there, seconds, 0.05)
    return s.rows("stream", "SELECT COALESCE(MAX(seq), 0) FROM log")[0][0]
