# SPDX-License-Identifier: Apache-2.0
"""Several hosts under a steady load: what stories of faults there share. Every try that did not succeed is kept with its moment."""
import json
import os
import threading
import time
import urllib.parse

import zmq

from .hosts import EDGE_PORT, Hosts
from .load import Load
from .people import person
from .postgres import PASSWORD, ROLE, Postgres
from .story import expect, wait_until
from .world import make_activity, make_members, rfc3339

ALL = bool(os.environ.get("NX_HOSTS_ALL"))
PACE_S = 0.1     # between the check-ins of each of the workers
SETTLE_S = 3.0   # after a failover ended: what is asked later than that is answered


class Steady(Load):
    """Check-ins and reads at a steady pace. Each try that did not succeed is kept with its moment."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.tries = []

    def _check_in(self, activity, member):
        super()._check_in(activity, member)
        self._stop.wait(PACE_S)

    def _attempt(self, method, path, body=None, headers=None):
        deadline = time.monotonic() + 60
        while True:
            began = time.monotonic()
            try:
                r = self.stack.call(method, path, body, token=self.token, headers=headers)
                status, text = r.status, r.body[:300]
            except OSError as e:
                r, status, text = None, 0, repr(e)
            if status not in (0, 503) or time.monotonic() > deadline:
                return r, status, text
            self.tries.append((began, time.monotonic(), status, r.headers.get("Retry-After") if r else None, f"{method} {path} {text}"))
            time.sleep(0.1)

    def since(self, moment):
        return [t for t in self.tries if t[1] >= moment]


class Agency:
    """Another agency, on a connection to every edge, which fetches all the time: what it got, in the order in which it got it. A
    fetch without an answer is sent once more, on connections of its own."""

    def __init__(self, s):
        self.s, self.cursor, self.sequences, self.again = s, "", [], 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _connect(self, context):
        socket, pair = context.socket(zmq.DEALER), self.s.credentials["agency"]
        socket.linger, socket.immediate, socket.rcvtimeo, socket.sndtimeo = 0, True, 4000, 4000
        socket.curve_secretkey, socket.curve_publickey, socket.curve_serverkey = (
            pair[k].encode() for k in ("secret", "public", "edgeKey"))
        for i in range(1, self.s.n_edges + 1):
            socket.connect(f"tcp://{self.s.host(f'edge-{i}').address}:{EDGE_PORT}")
        return socket

    def _run(self):
        with zmq.Context() as context:
            socket = self._connect(context)
            while not self._end.is_set():
                try:
                    socket.send_multipart([b"FETCH", json.dumps({"cursor": self.cursor, "max": 1000, "wait": 1}).encode()])
                    kind, answer = socket.recv_multipart()
                except zmq.Again:
                    socket.close()
                    socket = self._connect(context)
                    kind = None
                if kind == b"BATCH":
                    batch = json.loads(answer)
                    self.sequences += [int(e["sequence"]) for e in batch.get("events", [])]
                    self.cursor = batch["cursor"]
                else:
                    self.again += 1
                    self._end.wait(0.2)
            socket.close()

    def stop(self):
        self._end.set()
        self._thread.join()

    def has_all(self, what):
        """Everything that has happened until now and that it may see: all that is about nobody."""
        wanted = [int(n) for n in self.s.databases.primary.sql("SELECT seq FROM log WHERE person IS NULL ORDER BY seq", "stream").split()]
        wait_until(f"the agency has all after: {what}", lambda: len(self.sequences) >= len(wanted), 60, 0.1)
        expect("what the agency got, " + what, self.sequences[:len(wanted)] == wanted, True)


def urls_of(s, hosts):
    """What services are given for --store: both servers, whichever is the primary; the password stands in a file."""
    path = os.path.join(s.folder, "pgpass")
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
        f.write("".join(f"{h.address}:5432:*:{ROLE}:{escaped}\n" for h in hosts))
    servers = ",".join(f"{h.address}:5432" for h in hosts)
    return {n: f"postgresql://{ROLE}@{servers}/{n}?target_session_attrs=read-write&passfile={urllib.parse.quote(path)}"
            for n in ("membership", "activity", "care", "stream")}


class Databases:
    """PostgreSQL twice: every commit waits for the standby. Who is what, and what an operator (or Patroni) does about it."""

    def __init__(self, s):
        self.s, self.hosts = s, [s.add_host(f"postgres-{i}", 40 + i) for i in (1, 2)]
        self.primary = self._new(self.hosts[0])
        self.standby = None
        self.follow()
        self.urls = urls_of(s, self.hosts)

    def __getitem__(self, service):
        return self.urls[service]

    def _new(self, host, **options):
        db = Postgres(listen=host.address, prefix=host.prefix, **options)
        db.host = host
        return db

    def other(self):
        return next(h for h in self.hosts if h is not self.primary.host)

    def follow(self):
        """A fresh standby on the other host; from then on commits wait for it."""
        conninfo = f"host={self.primary.host.address} port=5432 user=admin application_name=standby keepalives_idle=2"
        self.standby = self._new(self.other(), primary=self.primary, settings={"primary_conninfo": f"'{conninfo}'", "wal_receiver_timeout": "'5s'"})
        wait_until("the standby streams", lambda: self.primary.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1", 30)
        self.primary.synchronous("standby")
        wait_until("commits wait for it", lambda: "sync" in self.primary.sql("SELECT sync_state FROM pg_stat_replication"), 30)

    def fail_over(self):
        """Makes sure that the old primary is dead, then makes a primary of the standby."""
        old = self.primary
        old.close()
        self.standby.promote()
        self.primary, self.standby = self.standby, None
        self.primary.sql("ALTER SYSTEM RESET primary_conninfo; ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()"
                         .replace("; ", ";\n"))
        return time.monotonic()

    def rebuild(self):
        self.other().mend() if self.s.namespaces else None
        self.follow()

    def close(self):
        for db in (self.standby, self.primary):
            if db:
                db.close()


class Scene(Hosts):
    def start(self):
        super().start()
        self.admin = self.login("admin")
        self.in_campaign = self.call("POST", "/v1/campaigns", {"organization": "43", "title": "多机演练", "startTime": rfc3339(-86400),
                                                               "endTime": rfc3339(86400 * 3)}, token=self.admin).ok()["id"]
        self.call("POST", f"/v1/campaigns/{self.in_campaign}:open", token=self.admin).ok()
        villages = ["430102001001", "430103002001", "430202001001", "430302001001"]
        members = make_members(self, self.admin, [person(i, villages[i % 4]) for i in range(300)])
        activities = [make_activity(self, self.admin, mode="ONLINE", campaign=self.in_campaign) for _ in range(150 if ALL else 30)]
        pairs = [(a["id"], m["id"]) for a in activities for m in members]
        self.steady = Steady(self, self.api_key, pairs)
        self.agency = Agency(self)
        self.steady.__enter__()
        self.steady.wait_for(50)

    def stop(self):
        if hasattr(self, "steady"):
            self.steady.stop()
            self.agency.stop()
        try:
            super().stop()
        finally:
            if hasattr(self.databases, "close"):
                self.databases.close()


def nothing_failed(s, what, since):
    """Not one request, not even one that a client would have repeated."""
    s.steady.wait_for(60)
    bad = s.steady.since(since)
    assert not bad, f"{what}: {len(bad)} tries failed, such as {bad[0][2:]} {bad[0][1] - since:.2f} s after"
    expect("requests that ended badly", s.steady.failed, [])
    print(f"# {what}: no failed try", flush=True)


def only_503_until(s, what, since, ended, broken_too=False):
    s.steady.wait_for(60)
    bad = s.steady.since(since)
    for began, at, status, retry, text in bad:
        assert status == 503 and retry or broken_too and status == 0, f"{what}: {status} Retry-After={retry} {text}"
        assert began < ended + SETTLE_S, f"{what}: {status} asked {began - ended:.2f} s after the failover ended: {text}"
    expect("requests that ended badly", s.steady.failed, [])
    print(f"# {what}: failover after {ended - since:.2f} s; {len(bad)} tries were 503 with Retry-After"
          f"{' or broken connections' if broken_too else ''}, the last {max((b[1] - since for b in bad), default=0):.2f} s after the fault",
          flush=True)
