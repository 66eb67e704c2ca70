#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same on PostgreSQL under Patroni, as deploy/HOSTS.md sets it up: two servers, synchronous mode, etcd on three hosts. Nobody
promotes by hand: the primary is killed, frozen, cut off and moved, and Patroni finds another.

Part of `make hosts`; needs Debian's patroni, etcd-server and etcd-client, and is skipped without them.
"""
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.hosts import enter_namespaces  # noqa: E402
from support.hosts_scene import Scene, only_503_until, urls_of  # noqa: E402
from support.load import check_ledger  # noqa: E402
from support.postgres import BIN, PASSWORD, ROLE, as_owner, own, processes, send  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

import signal  # noqa: E402

FAILOVER_S = 30  # Patroni's ttl here is 10 s: until then the lock of a lost primary holds

CONFIG = """scope: nuanxin
name: {name}
restapi: {{listen: '{address}:8008', connect_address: '{address}:8008'}}
etcd3: {{hosts: '{etcd}'}}
bootstrap:
  dcs:
    ttl: 10
    loop_wait: 2
    retry_timeout: 3
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters: {{max_connections: 120, wal_log_hints: 'on', wal_keep_size: '256MB'}}
  initdb: [{{encoding: UTF8}}, {{locale: C.UTF-8}}]
postgresql:
  listen: '{address}:5432'
  connect_address: '{address}:5432'
  data_dir: '{data}'
  bin_dir: '{bin}'
  authentication:
    superuser: {{username: admin, password: admin-secret}}
    replication: {{username: replicator, password: replicator-secret}}
    rewind: {{username: rewinder, password: rewinder-secret}}
  parameters: {{unix_socket_directories: '{folder}'}}
  pg_hba: ['local all all trust', 'host replication replicator samenet scram-sha-256', 'host all all samenet scram-sha-256']
  basebackup: [checkpoint: fast]
watchdog: {{mode: 'off'}}
"""


class Patroni:
    """Two servers that look after themselves."""

    def __init__(self, s):
        self.s, self.hosts, self.data = s, [s.add_host(f"postgres-{i}", 40 + i) for i in (1, 2)], {}
        self.etcd = ",".join(f"{h.address}:2379" for h in s.sentinel_hosts)
        self._start_etcd()
        self.configs = {h.name: self._configure(h) for h in self.hosts}
        for h in self.hosts:
            self.start(h.name)
        wait_until("there is a primary and a synchronous standby", self.is_whole, 60, 0.2)
        for statement in (f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'",
                          *(f"CREATE DATABASE {name} OWNER {ROLE}" for name in ("membership", "activity", "care", "stream"))):
            self.sql(statement)
        self.urls = urls_of(s, self.hosts)

    def __getitem__(self, service):
        return self.urls[service]

    def _start_etcd(self):
        hosts = self.s.sentinel_hosts
        cluster = ",".join(f"etcd-{i}=http://{h.address}:2380" for i, h in enumerate(hosts, 1))
        for i, h in enumerate(hosts, 1):
            self.s.add_part(f"etcd-{i}", h, [
                "etcd", "--name", f"etcd-{i}", "--data-dir", os.path.join(self.s.folder, f"etcd-{i}"), "--listen-client-urls", f"http://{h.address}:2379",
                "--advertise-client-urls", f"http://{h.address}:2379", "--listen-peer-urls", f"http://{h.address}:2380",
                "--initial-advertise-peer-urls", f"http://{h.address}:2380", "--initial-cluster", cluster, "--logger", "zap"]).start()

    def _configure(self, host):
        folder = f"{self.s.folder}-{host.name}"
        os.mkdir(folder, 0o755)
        own(folder)
        self.data[host.name] = os.path.join(folder, "data")
        path = os.path.join(folder, "patroni.yml")
        with open(path, "w") as f:
            f.write(CONFIG.format(name=host.name, address=host.address, etcd=self.etcd, data=self.data[host.name], bin=BIN.rstrip("/"), folder=folder))
        own(path)
        return path

    def start(self, name):
        if name not in self.s.parts:
            self.s.add_part(name, self.s.host(name), as_owner(["patroni", self.configs[name]]), env={"HOME": "/tmp", "PYTHONPATH": ""})
        self.s.part(name).start()

    def state(self, name, what):
        try:
            with urllib.request.urlopen(f"http://{self.s.host(name).address}:8008/{what}", timeout=1) as r:
                return json.loads(r.read())
        except (OSError, urllib.error.URLError, ValueError):
            return None

    def primary(self):
        return next((h.name for h in self.hosts if self.state(h.name, "primary")), None)

    def is_whole(self):
        return self.primary() and any(self.state(h.name, "sync") for h in self.hosts)

    def sql(self, text):
        r = subprocess.run([BIN + "psql", "-XAtq", "-h", self.s.host(self.primary()).address, "-U", "admin", "-d", "postgres", "-c", text],
                           capture_output=True, text=True, env={**os.environ, "PGPASSWORD": "admin-secret"})
        assert r.returncode == 0, r.stderr

    def signal(self, name, number):
        """To the server and to Patroni, as a machine stops or freezes as a whole."""
        if number != signal.SIGCONT:
            self.s.part(name).send(number)
        send(self.data[name], number)
        if number == signal.SIGCONT:
            self.s.part(name).send(number)

    def close(self):
        for h in self.hosts:
            for _ in range(50):
                send(self.data[h.name], signal.SIGKILL)
                if not processes(self.data[h.name]):
                    break
                time.sleep(0.02)
            shutil.rmtree(os.path.dirname(self.data[h.name]), ignore_errors=True)


def fault(s, what, break_it, mend_it):
    d = s.databases
    old, since = d.primary(), time.monotonic()
    break_it(d, old)
    new = wait_until("another is the primary", lambda: next((h.name for h in d.hosts if h.name != old and d.state(h.name, "primary")), None),
                     FAILOVER_S, 0.05)
    ended = time.monotonic()
    s.steady.wait_for(60)
    mend_it(d, old)
    wait_until(f"{old} follows {new}", d.is_whole, 90, 0.2)
    only_503_until(s, f"the primary {what}", since, ended)


@story("the primary's host is lost: Patroni promotes the standby, and takes the old one back as a standby")
def lost(s):
    fault(s, "lost", lambda d, n: d.signal(n, signal.SIGKILL), reset)


def reset(d, name):
    """What the watchdog of a host does that stood still for longer than the ttl. Without it a Patroni that wakes up in the middle
    of its round may take the lock back, and what was acknowledged meanwhile is lost: why HOSTS.md says `required`."""
    d.signal(name, signal.SIGKILL)
    d.s.part(name).process.wait()
    d.start(name)


@story("the primary's host freezes, is reset by its watchdog, and comes back as a standby")
def frozen(s):
    fault(s, "frozen", lambda d, n: d.signal(n, signal.SIGSTOP), reset)


@story("the primary's host is cut off, and comes back as a standby")
def cut(s):
    fault(s, "cut off", lambda d, n: s.host(n).cut(), lambda d, n: s.host(n).mend())


@story("the operator moves the primary")
def moved(s):
    def switch(d, name):
        other = next(h.name for h in d.hosts if h.name != name)
        r = subprocess.run(["patronictl", "-c", d.configs[name], "switchover", "nuanxin", "--master", name, "--candidate", other, "--force"],
                           capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stdout + r.stderr

    fault(s, "moved", switch, lambda d, n: None)


@story("what was acknowledged is there, once, and the counts are right")
def ledger(s):
    s.steady.stop()
    print(f"# {len(s.steady.acknowledged)} check-ins acknowledged, {s.steady.reads} reads; {len(s.steady.tries)} tries were repeated", flush=True)
    expect("requests that ended badly", s.steady.failed, [])
    check_ledger(s, s.login("admin"), s.steady.acknowledged, s.in_campaign)


missing = [c for c in ("patroni", "etcd", "patronictl") if not shutil.which(c)]
if missing:
    print(f"ok 1 - skipped: {' '.join(missing)} not installed (Debian: patroni, etcd-server, etcd-client)", flush=True)
elif not enter_namespaces():
    print("ok 1 - skipped: several hosts need network namespaces, which this machine does not allow", flush=True)
else:
    main(Scene(namespaces=True, instances={"membership": 2, "activity": 2}, databases=Patroni, gateway_options=["--rate-scale=100"]))
