# SPDX-License-Identifier: Apache-2.0
"""A stack's processes as a bench sees them: who they are, what each thread has used, what they hold."""
import os
import re
import sqlite3
import urllib.request

from support import postgres

SERVICES = ("membership", "activity", "care", "stream")


def read(path):
    with open(path) as f:
        return f.read()


def children(s):
    """name → pid of what the runner started: gateway-1, membership-1, redis …"""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[1]) != s.process.pid:
                continue
            words = re.split("[\0 ]", read(f"/proc/{pid}/cmdline"))
        except OSError:
            continue  # it has ended meanwhile
        if "--instance" in words:
            found[words[words.index("--instance") + 1]] = int(pid)
        elif words[0].startswith("redis-server"):
            found["redis"] = int(pid)
    return found


def services(s):
    """Those that this stack runs."""
    return [service for service in SERVICES if s.instances.get(service, 1)]


def server(s):
    """The stack's own PostgreSQL, or None."""
    return s.database


def postgres_part(pid):
    words = read(f"/proc/{pid}/cmdline").replace("\0", " ")
    m = re.match(r"postgres: (walwriter|checkpointer|background writer|autovacuum|walsender|" + postgres.ROLE + ")", words)
    return {postgres.ROLE: "backends", "walwriter": "WAL writer"}.get(m.group(1), m.group(1)) if m else "others"


def everybody(s):
    """(part, pid) of each process: part is gateway, edge, membership, activity, care, stream, redis or "postgresql …"."""
    found = [(name.rsplit("-", 1)[0], pid) for name, pid in children(s).items()]
    for pid in postgres.processes(server(s).data) if server(s) else []:
        try:
            found.append(("postgresql " + postgres_part(pid), pid))
        except OSError:
            pass
    return found


def thread_name(part, comm):
    """loop: the thread that serves the bus and the timers; bus: ZeroMQ's own."""
    if part in SERVICES or part in ("gateway", "edge"):
        name = "bus" if comm.startswith("ZMQbg") else "loop" if comm.startswith("nuanxin") else comm
        return f"{part} {name}"
    return part


class Usage:
    """What every thread has used until now; the difference of two is what happened between."""

    def __init__(self, s):
        self.cpu_us, self.written, self.threads = {}, {}, {}
        for part, pid in everybody(s):
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    at = f"/proc/{pid}/task/{task}/"
                    name = thread_name(part, read(at + "comm").strip())
                    self.cpu_us[name, task] = int(read(at + "schedstat").split()[0]) / 1000
                self.written[part, pid] = int(re.search(r"^write_bytes: (\d+)", read(f"/proc/{pid}/io"), re.M).group(1))
            except OSError:
                continue  # it has ended meanwhile

    def since(self, before):
        """(CPU microseconds by part and thread, bytes sent to the disk by part, threads by part)."""
        cpu, written, threads = {}, {}, {}
        for (name, task), us in self.cpu_us.items():
            used = us - before.cpu_us.get((name, task), 0)
            cpu[name] = cpu.get(name, 0) + used
            threads.setdefault(name, []).append(used)
        # A gateway's first thread only looks after the others.
        threads = {name: sum(not name.endswith(" loop") or u > max(used) / 10 for u in used) for name, used in threads.items()}
        for (part, pid), n in self.written.items():
            written[part] = written.get(part, 0) + n - before.written.get((part, pid), 0)
        return cpu, written, threads


def metrics(s, name):
    """What an instance's /metrics says: the sample's whole text before its value → its value."""
    port = re.findall(r" admin(?:_port)?=(?:127\.0\.0\.1:)?(\d+)", read(f"{s.var}/log/{name}.log"))[-1]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {key: float(value) for key, value in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}


def total(values, name, **labels):
    """The sum of a metric's samples that have these labels."""
    wanted = [f'{k}="{v}"' for k, v in labels.items()]
    return sum(v for k, v in values.items() if k.split("{")[0] == name and all(w in k for w in wanted))


def redis_info(s):
    """INFO, as a dictionary of texts."""
    import socket
    with socket.socket(socket.AF_UNIX) as c:
        c.settimeout(5)
        c.connect(s.redis.socket if s.redis else os.path.join(s.var, "redis.sock"))
        c.sendall(b"INFO\r\n")
        f = c.makefile("rb")
        body = f.read(int(f.readline()[1:]))
    return dict(line.split(":", 1) for line in body.decode().splitlines() if ":" in line)


# --- what the stores hold ------------------------------------------------------------------------------------------


def tables(s, service):
    """table → (rows, bytes with its indexes) of a service's store."""
    if server(s):
        names = server(s).sql("SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND "
                              "relnamespace = 'public'::regnamespace", service).splitlines()
        sizes = {name: int(size) for name, size in (row.split("|") for row in names)}
        return {t: (int(server(s).sql(f"SELECT count(*) FROM {t}", service)), size) for t, size in sizes.items()}
    db = sqlite3.connect(f"file:{s.store_file(service)}?mode=ro", uri=True)
    try:
        sizes = {}
        for table, size in db.execute("SELECT m.tbl_name, sum(d.pgsize) FROM dbstat d JOIN sqlite_master m USING (name) GROUP BY 1"):
            sizes[table] = size
        return {t: (db.execute(f"SELECT count(*) FROM {t}").fetchone()[0], size) for t, size in sizes.items()}
    finally:
        db.close()


def connections(s):
    """service → connections that one instance has to PostgreSQL."""
    if not server(s):
        return {}
    rows = server(s).rows(f"SELECT datname, count(*) AS n FROM pg_stat_activity WHERE usename = '{postgres.ROLE}' GROUP BY 1", "postgres")
    return {service: n // max(1, s.instances.get(service, 1)) for service, n in rows if service in services(s)}


def wal(s):
    """(bytes of WAL written, times it was synced, commits) since the start. SQLite: commits, each of which syncs."""
    if server(s):
        row = server(s).sql("SELECT w.wal_bytes, w.wal_sync, sum(d.xact_commit) FROM pg_stat_wal w, pg_stat_database d GROUP BY 1, 2")
        return tuple(float(x) for x in row.split("|"))
    commits = sum(total(metrics(s, name), "nuanxin_commit_seconds_count") for name in children(s) if name.rsplit("-", 1)[0] in SERVICES)
    return None, commits, commits
