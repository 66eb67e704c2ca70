#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL 15 in a temporary folder, on a unix socket only, for one test; it ends with the test, however that ends.

    with Postgres() as db:
        url = db.url("membership")     # a database that belongs to a role which may nothing else; so for each service
        db.sql("SELECT count(*) FROM member", "membership")
        db.crash(); db.start()

    tests/support/postgres.py --run CMD ARG…    runs CMD with NX_POSTGRES=postgresql://… of an empty database

As root it runs as the user `postgres` (initdb refuses root), else as whoever runs it. It syncs for real. Its databases
compare texts by a language's rules and not by bytes, as a careless operator's may: what needs bytes must say so.
Whoever runs many tests sets NX_POSTGRES_TEMPLATE to an empty folder: what initdb makes is kept there and copied.
"""
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

BIN = "/usr/lib/postgresql/15/bin/"
ROLE, PASSWORD = "nuanxin", "p@ss:word/1"
SETTINGS = {
    "listen_addresses": "''", "max_connections": "120", "shared_buffers": "32MB", "max_wal_senders": "8", "log_line_prefix": "'%m [%p] %a '",
    "log_min_duration_statement": "1000", "logging_collector": "off", "jit": "off", "wal_log_hints": "on",
    "dynamic_shared_memory_type": "mmap",  # in its own folder: a server that is killed leaves nothing in /dev/shm
}


def as_owner(command):
    """The command as the user to whom the data belongs."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--", *command]


def own(path):
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")


def copy(source, target):
    # -a keeps the owner; what initdb made was shut down and synced, and its copy is synced with the first checkpoint.
    subprocess.run(["cp", "-a", "--reflink=auto", source, target], check=True)


def run(command):
    # In / since the folder of whoever tests may be closed to the other user.
    r = subprocess.run(as_owner(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/",
                       env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert r.returncode == 0, f"{command[0]}: {r.stdout}"
    return r.stdout


def initdb(data, wal_segment_mib=1):
    run([BIN + "initdb", "-D", data, "-U", "admin", "-E", "UTF8", "--locale=C.UTF-8", "--locale-provider=icu",
         "--icu-locale=und", f"--wal-segsize={wal_segment_mib}", "--auth=trust", "--no-instructions"])
    with open(os.path.join(data, "pg_hba.conf"), "w") as f:
        f.write("local all,replication admin trust\nlocal replication all trust\nlocal all all scram-sha-256\n"
                "host replication all 127.0.0.1/8 trust\nhost replication all samenet trust\nhost all all all scram-sha-256\n")
    with open(os.path.join(data, "postgresql.conf"), "a") as f:
        f.write("".join(f"{k} = {v}\n" for k, v in SETTINGS.items()))


def template():
    """What initdb made, with the role in it: in NX_POSTGRES_TEMPLATE once for many tests; None: nobody keeps it."""
    folder = os.environ.get("NX_POSTGRES_TEMPLATE")
    if not folder:
        return None
    own(folder)
    with open(os.path.join(folder, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        data = os.path.join(folder, "data")
        if not os.path.exists(data):
            with Postgres(from_template=False) as db:
                db.stop()
                copy(db.data, data + ".new")
            os.rename(data + ".new", data)
        return data


def processes(data):
    """The server's: all that stand in its folder."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.readlink(f"/proc/{entry}/cwd").split(" (deleted)")[0] == data:
                found.append(int(entry))
        except OSError:
            pass
    return found


def send(data, signal_number):
    for pid in processes(data):
        try:
            os.kill(pid, signal_number)
        except ProcessLookupError:
            pass


class Postgres:
    """listen: also on this TCP address (with port); prefix: a command that runs it elsewhere; settings: more of postgresql.conf."""

    def __init__(self, listen=None, port=5432, settings=None, from_template=True, primary=None, wal_segment_mib=1, prefix=()):
        self.folder = tempfile.mkdtemp(prefix="nxpg", dir="/tmp")
        self.data, self.socket = os.path.join(self.folder, "data"), os.path.join(self.folder, "s")
        self.port, self.process, self.watcher, self.prefix = port, None, None, list(prefix)
        os.mkdir(self.socket)
        own(self.folder)
        own(self.socket)
        try:
            self._watch()
            if primary:
                run([BIN + "pg_basebackup", "-D", self.data, "-h", primary.socket, "-p", str(primary.port), "-U", "admin", "-R",
                     "-X", "stream", "-c", "fast", "--no-sync"])
            elif from_template and wal_segment_mib == 1 and template():
                copy(template(), self.data)
            else:
                initdb(self.data, wal_segment_mib)
            with open(os.path.join(self.data, "postgresql.auto.conf" if primary else "postgresql.conf"), "a") as f:
                f.write("".join(f"{k} = {v}\n" for k, v in (settings or {}).items()))
                if listen:
                    f.write(f"listen_addresses = '{listen}'\n")
            self.start()
            if not primary and not self.sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{ROLE}'"):
                self.sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
                for name in ("membership", "activity", "care", "stream"):
                    self.database(name)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _watch(self):
        """A process that ends the server and removes the folder when this one is gone."""
        self.watcher = subprocess.Popen([sys.executable, "-I", os.path.abspath(__file__), "--watch", self.folder], stdin=subprocess.PIPE,
                                        start_new_session=True, cwd="/")

    # --- life -------------------------------------------------------------------------------------------------
    def start(self):
        log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            self.prefix + as_owner([BIN + "postgres", "-D", self.data, "-k", self.socket, "-p", str(self.port)]), cwd="/",
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with open(os.path.join(self.data, "postmaster.pid")) as f:
                    lines = f.read().splitlines()
                if len(lines) > 7 and int(lines[0]) == self.process.pid and lines[7].strip() in ("ready", "standby"):
                    return
            except OSError:
                pass
            time.sleep(0.005)
        raise AssertionError("PostgreSQL does not start:\n" + self.log())

    def stop(self):
        """Orderly, cutting connections off."""
        self._end(signal.SIGINT)

    def restart(self):
        self.stop()
        self.start()

    def crash(self):
        """As if its machine had lost power, but for what stands in the kernel's cache."""
        self.process.send_signal(signal.SIGSTOP)  # so that it starts nobody meanwhile
        send(self.data, signal.SIGKILL)
        self.process.wait()
        deadline = time.monotonic() + 10
        while processes(self.data) and time.monotonic() < deadline:
            time.sleep(0.002)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        send(self.data, signal.SIGSTOP)

    def thaw(self):
        send(self.data, signal.SIGCONT)

    def promote(self):
        self.sql("SELECT pg_promote(true, 60)")

    def _end(self, signal_number):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal_number)
            self.process.wait(60)

    def close(self):
        if self.process and self.process.poll() is None:
            self.crash()
        if self.watcher:
            self.watcher.stdin.close()
            self.watcher.wait()
            self.watcher = None

    def log(self, last=60):
        try:
            with open(os.path.join(self.folder, "log"), errors="replace") as f:
                return "".join(f.readlines()[-last:])
        except OSError:
            return ""

    # --- use --------------------------------------------------------------------------------------------------
    def sql(self, text, database="postgres", check=True):
        """Runs it as the superuser; rows as lines, columns with | between."""
        r = subprocess.run([BIN + "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.socket, "-p", str(self.port), "-U", "admin",
                            "-d", database, "-f", "-"], input=text, capture_output=True, text=True, cwd="/")
        assert not check or r.returncode == 0, r.stderr
        return r.stdout.strip()

    def database(self, name):
        """Makes it if there is none."""
        if not self.sql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
            self.sql(f"CREATE DATABASE {name} OWNER {ROLE}")
            self.sql("REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT ALL ON SCHEMA public TO " + ROLE, name)

    def rows(self, query, database):
        """A list of tuples; bytes as bytes."""
        def value(v):
            return bytes.fromhex(v[2:]) if isinstance(v, str) and v.startswith("\\x") else v

        lines = self.sql(f"SELECT row_to_json(r) FROM ({query}) AS r", database).splitlines()
        return [tuple(value(v) for v in json.loads(line).values()) for line in lines]

    def url(self, database, *others, passfile=None, options=""):
        """others: more servers of which one is the primary. passfile: in place of the password."""
        servers = (self, *others)
        password = "" if passfile else ":" + urllib.parse.quote(PASSWORD, safe="")
        text = f"postgresql://{ROLE}{password}@/{database}?host="
        text += ",".join(urllib.parse.quote(s.socket, safe="") for s in servers)
        if any(s.port != 5432 for s in servers):
            text += "&port=" + ",".join(str(s.port) for s in servers)
        if passfile:
            text += "&passfile=" + urllib.parse.quote(passfile, safe="/")
        return text + options

    def standby(self, **options):
        """A second server that follows this one; synchronous() makes commits wait for it."""
        return Postgres(primary=self, **options)

    def synchronous(self, names="*"):
        self.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.sql("SELECT pg_reload_conf()")


def watch(folder):
    sys.stdin.read()
    data = os.path.join(folder, "data")
    for _ in range(100):
        send(data, signal.SIGKILL)
        if not processes(data):
            break
        time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)


def main():
    if sys.argv[1:2] == ["--watch"]:
        watch(sys.argv[2])
    elif sys.argv[1:2] == ["--run"] and len(sys.argv) > 2:
        with Postgres() as db:
            db.database("test")
            status = subprocess.run(sys.argv[2:], env={**os.environ, "NX_POSTGRES": db.url("test")}).returncode
        sys.exit(status if status >= 0 else 128 - status)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
