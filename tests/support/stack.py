# SPDX-License-Identifier: Apache-2.0
"""The real stack, started by the local runner in a temporary folder on a free port, and ways to talk to it.

    with Stack(instances={"membership": 2}) as s:
        s.call("GET", "/v1/organizations/43", token=s.api_key).ok()
        s.kill("membership-1")

Its stores are SQLite files, or with engine="postgresql" (or NX_STORE=postgresql in the environment) databases of a private
server: s.database.
"""
import asyncio
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from . import postgres
from .story import wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENGINE = os.environ.get("NX_STORE", "sqlite")
BIN = os.environ.get("NUANXIN_BIN", os.path.join(ROOT, "build", "bin"))


# On PostgreSQL stories of a rush go through two instances, which both write.
SEVERAL = {"membership": 2, "activity": 2, "stream": 2} if ENGINE == "postgresql" else {}
# The stories of care begin with this; the others do without that service.
CARE = {"care": 2 if ENGINE == "postgresql" else 1}


def free_ports(n):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def free_port():
    return free_ports(1)[0]


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def problem(self):
        """The problem's name: "activity-full"."""
        return self.json["type"].rsplit(":", 1)[1]

    def ok(self):
        assert 200 <= self.status < 300, f"{self.status}: {self.body[:2000]!r}"
        return self.json if self.body else None

    def refused(self, status, problem=None):
        assert self.status == status, f"{self.status}, not {status}: {self.body[:2000]!r}"
        if problem:
            assert self.problem == problem, f"{self.problem}, not {problem}"
        return self.json


class Redis:
    """A redis-server of the test's own, for stories that take it away."""

    def __init__(self, folder):
        self.folder, self.socket, self.process = folder, os.path.join(folder, "redis.sock"), None

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.folder, "--appendonly", "yes",
             "--save", "", "--maxmemory-policy", "noeviction"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(self.socket)
                    s.sendall(b"PING\r\n")
                    if s.recv(7) == b"+PONG\r\n":
                        return
            except OSError:
                pass
            time.sleep(0.005)
        raise AssertionError("redis-server does not start")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


class Stack:
    """own_redis: the story controls Redis (self.redis). clock: self.advance(seconds) moves every process's time."""

    def __init__(self, instances=None, own_redis=False, clock=False, seed=True, gateway_options=(), env=None, var=None, engine=None, bin=None,
                 stream_options=(), edge_options=(), samples=False):
        self.engine, self.database, self.bin = engine or ENGINE, None, bin or BIN
        self.instances, self.own_redis, self.seed = {"care": 0, **(instances or {})}, own_redis, seed
        self.options, self.env = {"gateway": gateway_options, "stream": stream_options, "edge": edge_options}, dict(env or {})
        self.folder = var or tempfile.mkdtemp(prefix="nxt", dir="/tmp")
        self.samples = samples  # people in hardship, made up, as `make run` has them
        self.keep = bool(var)
        self.clock_file = os.path.join(self.folder, "clock") if clock else None
        self.offset = 0
        self.redis = None
        self.process = None
        self._local = threading.local()
        self.strict = False  # a connection that ends without having said so is an error, even an idle one

    # --- life ---------------------------------------------------------------------------------------------
    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        if self.own_redis and not self.redis:
            os.makedirs(os.path.join(self.folder, "own-redis"), exist_ok=True)
            self.redis = Redis(os.path.join(self.folder, "own-redis"))
            self.redis.start()
        if self.engine == "postgresql" and not self.database:
            self.database = self.make_database()
        if self.clock_file:
            self.advance(0)
        self.port, edge_port = free_ports(2)
        self.address, self.edge = f"127.0.0.1:{self.port}", f"127.0.0.1:{edge_port}"
        self.var = os.path.join(self.folder, "v")
        command = [os.path.join(self.bin, "nuanxin-runner"), "--http", self.address, "--edge", self.edge, "--var", self.var, "--data",
                   os.path.join(ROOT, "deploy", "data", "hunan-divisions.csv")]
        if self.engine == "postgresql":
            command += ["--store", self.store_url("SERVICE")]
        for service, n in self.instances.items():
            command += ["--instances", f"{service}={n}"]
        if self.redis:
            command += ["--redis", "unix:" + self.redis.socket]
        if self.clock_file:
            command += ["--clock-file", self.clock_file]
        if not self.seed:
            command += ["--no-seed"]
        if self.samples:
            command += ["--samples"]
        for part, options in self.options.items():
            command += [f"--{part}-option={option}" for option in options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env={**os.environ, **self.env}, cwd=ROOT, start_new_session=True)
        self.output = []
        ready = threading.Event()

        def read():
            for line in self.process.stdout:
                self.output.append(line)
                if line.startswith("ready http://"):
                    ready.set()
            ready.set()

        threading.Thread(target=read, daemon=True).start()
        if not ready.wait(120) or self.process.poll() is not None or not any(l.startswith("ready ") for l in self.output):
            raise AssertionError("the stack does not start:\n" + "".join(self.output) + self.logs())
        self.edge_endpoint = "tcp://" + self.edge
        path = os.path.join(self.var, "edge", "edge.key")  # made by the first edge of the stack
        self.edge_key = json.loads(self.cli("keys", "edge", "--json").stdout)["publicKey"] if os.path.exists(path) else None
        if self.seed:
            with open(os.path.join(self.var, "credentials.json")) as f:
                self.credentials = json.load(f)
            self.api_key = self.credentials["apiKey"]
            self.campaign = self.credentials["campaign"]

    def stop(self):
        if self.process:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                try:
                    self.process.wait(40)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
            self.status = self.process.returncode
            self.process = None
        if self.redis:
            self.redis.stop()
            self.redis = None
        findings = self.findings()
        if not self.keep and self.database:
            self.database.close()
            self.database = None
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        assert not findings, "a sanitizer found:\n" + findings

    def make_database(self):
        """A story that wants more of its server than that overrides it."""
        return postgres.Postgres()

    def store_url(self, service):
        """Without the password, which the command line would show to everybody."""
        return self.database.url(service, passfile=self.passfile())

    def passfile(self):
        path = os.path.join(self.folder, "pgpass")
        if not os.path.exists(path):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
                f.write("*:*:*:%s:%s\n" % (postgres.ROLE, postgres.PASSWORD.replace("\\", "\\\\").replace(":", "\\:")))
        return path

    def restart(self):
        """Stops and starts on the same data."""
        keep, self.keep = self.keep, True
        self.stop()
        self.keep = keep
        self._local = threading.local()
        self.start()

    def logs(self, last=40):
        text = ""
        folder = os.path.join(self.folder, "v", "log")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), errors="replace") as f:
                text += f"--- {name}\n" + "".join(f.readlines()[-last:])
        return text

    def findings(self):
        """What sanitizers wrote into the logs: the runner starts a process that they ended again."""
        words = ("Sanitizer", "runtime error:")
        return "".join(line + "\n" for line in self.logs(10000).splitlines() if any(w in line for w in words))

    def pid(self, name):
        """The process of an instance: "membership-1", "gateway-1", "redis"."""
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open(f"/proc/{entry}/stat") as f:
                    if int(f.read().rsplit(")", 1)[1].split()[1]) != self.process.pid:
                        continue
                with open(f"/proc/{entry}/cmdline") as f:
                    words = f.read().split("\0")
            except (OSError, IndexError):
                continue
            if name == "redis" and words[0].startswith("redis-server"):
                return int(entry)
            if "--instance" in words and words[words.index("--instance") + 1] == name:
                return int(entry)
        return None

    def kill(self, name, signal_number=signal.SIGKILL):
        pid = self.pid(name)
        assert pid, f"{name} does not run"
        os.kill(pid, signal_number)
        return pid

    def advance(self, seconds):
        self.offset += int(seconds * 1e6)
        fd = os.open(self.clock_file, os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, self.offset.to_bytes(8, sys.byteorder, signed=True))
        os.close(fd)

    # --- the stores ---------------------------------------------------------------------------------------
    def rows(self, service, sql):
        """What a service's store answers: a list of tuples. On PostgreSQL an event has its number a moment after its commit: who
        asks for events is told of all that were committed before."""
        if self.engine == "postgresql":
            if "rpc_outbox" in sql and self.process:
                last = self.database.rows("SELECT COALESCE(MAX(n), 0) FROM rpc_arrival", service)[0][0]
                wait_until("events are numbered", lambda: not self.database.rows(f"SELECT 1 FROM rpc_arrival WHERE n <= {last} LIMIT 1", service))
            return self.database.rows(sql, service)
        with contextlib.closing(sqlite3.connect(f"file:{self.store_file(service)}?mode=ro", uri=True)) as db:
            return db.execute(sql).fetchall()

    def execute(self, service, *statements):
        """Changes a store behind the services' back: while they are stopped."""
        if self.engine == "postgresql":
            self.database.sql("BEGIN; " + "; ".join(statements) + "; COMMIT", service)
            return
        with contextlib.closing(sqlite3.connect(self.store_file(service))) as db:
            for sql in statements:
                db.execute(sql)
            db.commit()

    def store_file(self, service):
        return os.path.join(self.var, "store", service + ".db")

    def tables(self, service):
        if self.engine == "postgresql":
            found = self.rows(service, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        else:
            found = self.rows(service, "SELECT name FROM sqlite_master WHERE type = 'table'")
        return [name for (name,) in found]

    def columns(self, service, table):
        if self.engine == "postgresql":
            return [name for (name,) in self.rows(service, "SELECT attname FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped"
                                                           f" AND attrelid = '{table}'::regclass")]
        return [row[1] for row in self.rows(service, f"PRAGMA table_info({table})")]

    # --- talking ------------------------------------------------------------------------------------------
    def call(self, method, path, body=None, token=None, headers=None, retry_503=False):
        """One request on this thread's own connection. A dict becomes JSON; bytes go as they are."""
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = "Bearer " + token
        if isinstance(body, (dict, list)):
            body = json.dumps(body, ensure_ascii=False).encode()
            headers.setdefault("Content-Type", "application/json")
        elif body is None and method in ("POST", "PATCH", "PUT"):
            body = b"{}"
            headers.setdefault("Content-Type", "application/json")
        while True:
            response = self._send(method, path, body, headers)
            if not retry_503 or response.status != 503:
                return response
            time.sleep(min(float(response.headers.get("Retry-After", "1")), 1.0))

    def _send(self, method, path, body, headers):
        """Broken connections are an OSError for the caller, but for a kept-alive one that had been closed meanwhile."""
        while True:
            connection = getattr(self._local, "connection", None)
            kept = connection is not None
            if not kept:
                connection = self._local.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                connection.request(method, path, body, headers)
                r = connection.getresponse()
                return Response(r.status, r.headers, r.read())
            except (OSError, http.client.HTTPException) as e:
                connection.close()
                self._local.connection = None
                idle_closed = isinstance(e, (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError))
                if self.strict or not (kept and idle_closed):
                    raise e if isinstance(e, OSError) else OSError(repr(e)) from e

    def login(self, who="admin"):
        person = self.credentials[who]
        session = self.call("POST", "/v1/sessions", {"login": person["login"], "password": person["password"]}).ok()
        return session["token"]

    def metric(self, name, metric, labels=""):
        """A figure of an instance's, summed over what has these labels; its admin port stands in its log."""
        port = re.findall(r"ready.*? admin(?:=127\.0\.0\.1:|_port=)(\d+)", self.log_of(name))[-1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as r:
            lines = r.read().decode().splitlines()
        return sum(float(l.split()[-1]) for l in lines if l.split("{")[0].split(" ")[0] == metric and labels in l)

    def log_of(self, name):
        with open(os.path.join(self.var, "log", name + ".log"), errors="replace") as f:
            return f.read()

    def cli(self, *arguments, check=True, stdin=None):
        r = subprocess.run([os.path.join(self.bin, "nuanxin"), "--var", self.var, *arguments], capture_output=True, text=True,
                           input=stdin, timeout=120)
        assert not check or r.returncode == 0, f"nuanxin {' '.join(arguments)}: {r.returncode}\n{r.stdout}{r.stderr}"
        return r

    def load(self, requests, connections=64):
        """Sends (method, path, body, headers) tuples over many connections at once; the responses in their order."""
        return asyncio.run(self._load(requests, connections))

    async def _load(self, requests, connections):
        results = [None] * len(requests)
        queue = iter(range(len(requests)))

        async def worker():
            reader = writer = None
            for i in queue:
                method, path, body, headers = requests[i]
                if isinstance(body, (dict, list)):
                    body = json.dumps(body, ensure_ascii=False).encode()
                    headers = {"Content-Type": "application/json", **headers}
                body = body or b""
                head = f"{method} {path} HTTP/1.1\r\nHost: {self.address}\r\nContent-Length: {len(body)}\r\n"
                head += "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
                for attempt in range(200):
                    try:
                        if writer is None:
                            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                        writer.write(head.encode() + body)
                        results[i] = await read_response(reader)
                        if results[i].headers.get("connection", "").lower() == "close":
                            writer.close()
                            writer = None
                        break
                    except (OSError, asyncio.IncompleteReadError):
                        # The same request again: its Idempotency-Key makes that safe, or the story gave none and sees it.
                        if writer:
                            writer.close()
                        writer = None
                        if "Idempotency-Key" not in headers and attempt:
                            results[i] = Response(0, {}, b"")
                            break
                        await asyncio.sleep(0.05)
            if writer:
                writer.close()

        await asyncio.gather(*(worker() for _ in range(min(connections, len(requests)))))
        return results


async def read_response(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    headers = {}
    for line in head[1:]:
        if line:
            name, value = line.split(":", 1)
            headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            body += (await reader.readexactly(size + 2))[:-2]
            if not size:
                break
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Response(status, headers, body)
