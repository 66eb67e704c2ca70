# SPDX-License-Identifier: Apache-2.0
"""What is measured of the event streams: how fast an event comes to an agency, into the log, and out to many; server-sent events
beside nginx's nchan; and what the stream costs the check-ins.
"""
import contextlib
import http.client
import json
import os
import random
import re
import statistics
import struct
import subprocess
import tempfile
import time

from bench import parts
from bench.parts import OUT, ROUNDS, SECONDS, figure, interleaved, pss_mib
from bench.processes import everybody
from support.agencies import Agency, cursor, log_head, taken_in
from support.oracle import Profile
from support.people import person
from support.stack import ROOT, free_port
from support.story import wait_until
from support.world import make_activity, make_members, rfc3339

READERS = int(os.environ.get("BENCH_READERS", "1000"))
FANOUT = int(os.environ.get("BENCH_FANOUT_MEMBERS", "16000"))
AGENCIES, PURPOSE = 16, "accident-insurance"
CITIES = [f"43{i:02d}" for i in (*range(1, 14), 31)]
NCHAN = "/usr/lib/nginx/modules/ngx_nchan_module.so"
OPTIONS = {"gateway_options": ["--rate-scale=1000"]}


def built(name, libraries=None):
    """A driver in C; one that needs a library that only the bench has is compiled here."""
    path = os.path.join(ROOT, "build/tests/bench", name)
    if libraries is None:
        subprocess.run(["make", "-s", f"build/tests/bench/{name}"], check=True)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        subprocess.run(["gcc", "-std=gnu17", "-O2", "-D_GNU_SOURCE", "-o", path, os.path.join(ROOT, f"tests/bench/{name}.c"), *libraries], check=True)
    return path


def said(command, stdin=""):
    r = subprocess.run(command, input=stdin, capture_output=True, text=True, errors="replace", timeout=600)
    assert r.returncode == 0, f"{' '.join(command)}: {r.stderr[-1000:]}"
    return json.loads(r.stdout.splitlines()[-1])


def cursor_now(s):
    return cursor(s, log_head(s))


# --- from a commit to an agency ---------------------------------------------------------------------------------------------


def part_visible():
    print("1,000 check-ins a second, each from its commit to a waiting ZeroMQ agency, over one fsync and two bare ZeroMQ hops", flush=True)
    floor, reader = built("stream_floor"), built("stream_agencies")
    with parts.stack("sqlite", **OPTIONS) as s, tempfile.TemporaryDirectory(prefix="nxb", dir="/tmp") as folder:
        world = parts.World(s)
        agency = Agency(s, Profile("waiting", types=["nuanxin.activity.v1.*"], statutory=["oversight"]))
        keys = " ".join(agency.curve) + "\n"
        files = iter([parts.write_requests(f"visible{n}", parts.checkin_rows(world, 1)) for n in range(ROUNDS + 1)])

        def ours():
            with tempfile.TemporaryFile("w+") as out:
                p = subprocess.Popen([reader, "wait", s.edge_endpoint, s.edge_key, cursor_now(s), str(SECONDS + 1)], stdin=subprocess.PIPE,
                                     stdout=out, text=True)
                p.stdin.write(keys)
                p.stdin.close()
                before = histogram(s, "activity-1", "nuanxin_rpc_seconds", '.CreateCheckin"')
                parts.wrk(s.port, next(files), SECONDS, "once", rate=1000)
                commits.append(median_us(histogram(s, "activity-1", "nuanxin_rpc_seconds", '.CreateCheckin"'), before))
                assert p.wait(60) == 0
                out.seek(0)
                found = json.loads(out.read())
            assert found["events"] > 900 * SECONDS, found
            return {"rate": found["p50_us"]}

        commits = []
        ours()  # warm
        base, our = interleaved(lambda: {"rate": said([floor, folder, "1000", str(SECONDS)])["p50_us"]}, ours)
        commit = statistics.median(commits)
    # The event's own time is when its request came: until its commit, after which it is answered, it is not the stream's.
    figure("event_visible_vs_floor", (our - commit) / base, 10, 2.5, smaller=True,
           note=f"p50 {our:.0f} us since the request came, {commit:.0f} of them until its commit, against {base:.0f} us")


def histogram(s, name, metric, label):
    """upper bound → samples up to it, of an instance's histogram."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", admin_port(s, name), timeout=10)) as c:
        c.request("GET", "/metrics")
        text = c.getresponse().read().decode()
    found = re.findall(rf'^{metric}_bucket\{{([^}}]*)le="([\d.e+-]+)"[^}}]*\}} (\d+)$', text, re.M)
    return {float(le): int(n) for labels, le, n in found if label in labels}


def median_us(now, before):
    """Of what came between."""
    grown = {le: n - before.get(le, 0) for le, n in sorted(now.items())}
    half, below, at = max(grown.values()) / 2, 0, 0.0
    for le, n in grown.items():
        if n >= half:
            return 1e6 * (at + (le - at) * (half - below) / max(1, n - below))
        below, at = n, le
    raise AssertionError("nothing came")


def admin_port(s, name):
    return int(re.findall(r"ready.*? admin(?:=127\.0\.0\.1:|_port=)(\d+)", s.log_of(name))[-1])


# --- into the log -------------------------------------------------------------------------------------------------------------


def part_log_in():
    rows = 60000
    print(f"{rows:,} events that wait in an outbox, taken into the log, durable, over the same rows straight into SQLite", flush=True)
    with parts.stack("sqlite", **OPTIONS) as s:
        admin, codes = s.login("admin"), parts.villages()
        starts = iter(range(0, 10**7, rows))
        taken_in(s)

        def ours():
            before = s.rows("stream", "SELECT MAX(seq) FROM log")[0][0]
            s.cli("scale", "stream=0")
            parts.import_members(s, admin, next(starts), rows, codes, grouped=True)
            s.cli("scale", "stream=1")
            taken_in(s, 120)
            (n, began, ended), = s.rows("stream", f"SELECT COUNT(*), MIN(taken_us), MAX(taken_us) FROM log WHERE seq > {before}")
            first = s.rows("stream", f"SELECT COUNT(*) FROM log WHERE seq > {before} AND taken_us = {began}")[0][0]
            assert n >= rows, f"{n} of {rows} events"
            return {"rate": (n - first) * 1e6 / (ended - began)}

        top, our = interleaved(lambda: parts.ceiling("log", 1000), ours)
    figure("log_in_vs_store", our / top, 0.4, 0.8, note=f"{our:.0f}/s against {top:.0f}/s")


# --- out to many --------------------------------------------------------------------------------------------------------------


def consent_all(s, admin, members):
    headers = {"Authorization": "Bearer " + admin}
    answers = s.load([("POST", f"/v1/members/{m['id']}/consents", {"purpose": PURPOSE, "version": "2026-01"}, headers) for m in members], 64)
    bad = [a for a in answers if a.status != 200]
    assert not bad, bad[0].body


def check_in_all(s, admin, members, times):
    for _ in range(times):
        activity = make_activity(s, admin, mode="ONLINE")["id"]
        for i in range(0, len(members), 500):
            scans = [{"online": m["id"], "device": "d", "nonce": m["id"], "occurredTime": rfc3339(-60)} for m in members[i:i + 500]]
            s.call("POST", f"/v1/activities/{activity}/checkins:batchCreate", {"scans": scans}, token=admin).ok()


def fanout_profiles():
    """Every filter is on, and no two agreements are the same."""
    for i in range(AGENCIES):
        yield Profile(f"fanout-{i}", types=["nuanxin.membership.v1.*", "nuanxin.activity.v1.*"], organizations=CITIES, purposes=[PURPOSE, f"own-{i}"],
                      withheld=["nuanxin.activity.v1.CheckinRecorded.way"])


def payloads(s, agency, path):
    """What the agency receives over HTTP, an event after its length; returns how many there are and their bytes."""
    at, n, size = "", 0, 0
    with open(path, "wb") as f:
        while True:
            answer = s.call("GET", f"/v1/events?maxEvents=1000&cursor={at}", token=agency.api_key).ok()
            for e in answer["events"]:
                data = json.dumps(e, ensure_ascii=False, separators=(",", ":")).encode()
                f.write(struct.pack("=I", len(data)) + data)
                n, size = n + 1, size + len(data)
            at = answer["cursor"]
            if int(answer["through"]) >= int(answer["latest"]):
                return n, size


@contextlib.contextmanager
def nats_server():
    with tempfile.TemporaryDirectory(prefix="nxb", dir="/tmp") as folder:
        port = free_port()
        p = subprocess.Popen(["nats-server", "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until("nats-server answers", lambda: parts.connects(port), 10)
            yield f"nats://127.0.0.1:{port}"
        finally:
            p.terminate()
            p.wait()


def part_fanout():
    print(f"{AGENCIES} ZeroMQ agencies that catch up from the start, against {AGENCIES} pull consumers of nats-server's JetStream", flush=True)
    reader, nats = built("stream_agencies"), built("nats_agencies", ["-lnats", "-lpthread"])
    with parts.stack("sqlite", **OPTIONS) as s, nats_server() as url:
        admin, rng, codes = s.login("admin"), random.Random(4), parts.villages()
        members = make_members(s, admin, [person(i, rng.choice(codes)) for i in range(FANOUT)])
        consent_all(s, admin, [m for i, m in enumerate(members) if i % 4])
        check_in_all(s, admin, members, 5)
        head = taken_in(s, 300)
        agencies = [Agency(s, p) for p in fanout_profiles()]
        keys = "".join(" ".join(a.curve) + "\n" for a in agencies)
        path = os.path.join(OUT, "fanout.events")
        n, size = payloads(s, agencies[0], path)
        published = said([nats, "publish", url, path])
        assert published["events"] == n, published
        names = iter(range(1000))

        def ours(format):
            found = said([reader, "catchup", s.edge_endpoint, s.edge_key, format, "500", str(head)], keys)
            assert set(found["each"]) == {n}, f"{found['each']}, not {n} each"
            return {"rate": found["per_s"]}

        def theirs():
            found = said([nats, "catchup", url, f"round{next(names)}", str(AGENCIES), "500", str(n)])
            assert found["events"] == n * AGENCIES and found["bytes"] == size * AGENCIES, found
            return {"rate": found["per_s"]}

        theirs()
        base, our, packed = interleaved(theirs, lambda: ours("json"), lambda: ours("protobuf"))
    figure("fanout_vs_jetstream", our / base, 1, 3,
           note=f"{our:.0f}/s (packed: {packed:.0f}/s) against {base:.0f}/s; {n} of {head} events to each, {size / n:.0f} bytes")


# --- server-sent events ---------------------------------------------------------------------------------------------------------


NCHAN_CONF = """# The yardstick for server-sent events: Debian's nginx with its module nchan, which keeps what is published in memory.
load_module {module};
worker_processes {workers};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.err;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /pub {{ nchan_publisher; nchan_channel_id events; nchan_message_buffer_length 10000; nchan_message_timeout 1h; }}
        location = /sub {{ nchan_subscriber eventsource; nchan_channel_id events; nchan_subscriber_first_message newest; }}
    }}
}}
"""


@contextlib.contextmanager
def nchan(workers):
    with tempfile.TemporaryDirectory(prefix="nxb", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        port = free_port()
        with open(folder + "/nginx.conf", "w") as f:
            f.write(NCHAN_CONF.format(module=NCHAN, folder=folder, port=port, workers=workers))
        p = subprocess.Popen(["nginx", "-c", folder + "/nginx.conf", "-p", folder], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            wait_until("nginx answers", lambda: parts.connects(port) or p.poll() is not None, 10)
            assert p.poll() is None, p.stderr.read().decode()
            yield port
        finally:
            p.terminate()
            p.wait()


class Readers:
    """build/tests/bench/sse_readers, from when all are open."""

    def __init__(self, port, path, seconds, keys=()):
        self.p = subprocess.Popen([built("sse_readers"), str(port), path, str(READERS), str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        self.p.stdin.write("".join(f"Bearer {k}\n" for k in keys))
        self.p.stdin.close()
        line = self.p.stdout.readline()
        assert line == "open\n", line + self.p.stderr.read()

    def end(self):
        out = self.p.stdout.read()
        assert self.p.wait() == 0, self.p.stderr.read()
        found = json.loads(out)
        assert found["least"] >= 50 * SECONDS * 0.9, found
        return {"rate": found["p99_us"]}


def publish(port, event, seconds):
    """50 a second, each with the time just before it was sent."""
    c = http.client.HTTPConnection("127.0.0.1", port)
    began = time.monotonic()
    for i in range(50 * seconds):
        time.sleep(max(0.0, began + i / 50 - time.monotonic()))  # the pace
        now = time.time()
        event["time"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1e6) % 1000000:06d}Z"
        c.request("POST", "/pub", json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode())
        c.getresponse().read()


def first_event(s, key, type):
    page = {"cursor": "", "events": []}
    while not page["events"]:  # a fetch looks at so many rows at most
        page = s.call("GET", f"/v1/events?maxEvents=1&types={type}&cursor={page['cursor']}", token=key).ok()
    return page["events"][0]


def held_kib(s):
    return 1024 * sum(pss_mib(pid) for _, pid in everybody(s))


def part_sse():
    print(f"{READERS:,} open readers of server-sent events at 50 events/s, p99 from the commit, against nginx's nchan", flush=True)
    with parts.stack("sqlite", **OPTIONS) as s, contextlib.ExitStack() as stack:
        world = parts.World(s)
        agencies = [Agency(s, Profile(f"reading-{i}", types=["nuanxin.activity.v1.*"], statutory=["oversight"])) for i in range(10)]
        files = iter([parts.write_requests(f"sse{n}", parts.checkin_rows(world, 1)) for n in range(ROUNDS + 1)])
        ports = [stack.enter_context(nchan(workers)) for workers in (1, 2)]
        held = []

        def ours():
            before = held_kib(s)
            readers = Readers(s.port, f"/v1/events:stream?cursor={cursor_now(s)}", SECONDS + 1, [a.api_key for a in agencies])
            held.append((held_kib(s) - before) / READERS)
            parts.wrk(s.port, next(files), SECONDS, "once", rate=50, connections=4)
            return readers.end()

        def theirs(port):
            readers = Readers(port, "/sub", SECONDS + 1)
            publish(port, event, SECONDS)
            return readers.end()

        ours()  # warm
        event = first_event(s, agencies[0].api_key, "nuanxin.activity.v1.CheckinRecorded")
        one, two, our = interleaved(lambda: theirs(ports[0]), lambda: theirs(ports[1]), ours)
    base = min(one, two)
    figure("sse_delay_vs_nchan", our / base, 2, 0.7, smaller=True,
           note=f"p99 {our / 1000:.1f} ms against {base / 1000:.1f} ms (its workers: one {one / 1000:.1f} ms, two {two / 1000:.1f} ms)")
    figure("sse_reader_kib", statistics.median(held), 64, 16, smaller=True, note=f"all processes together, {READERS} readers of {len(agencies)} agencies")


# --- what it costs the others ----------------------------------------------------------------------------------------------------


def part_with_stream():
    print("check-ins with the stream running, over those without", flush=True)
    reader = built("stream_agencies")
    with parts.stack("sqlite") as s, parts.stack("sqlite", instances={"stream": 0, "edge": 0}) as bare:
        worlds = [parts.World(x) for x in (s, bare)]
        agency = Agency(s, Profile("waiting", types=["nuanxin.activity.v1.*"], statutory=["oversight"]))

        def check_in(world):
            return parts.wrk(world.s.port, parts.write_requests("with", parts.checkin_rows(world, parts.most_rows(SECONDS))), SECONDS, "once")

        def alone():
            return check_in(worlds[1])

        def streamed():
            result = check_in(worlds[0])
            taken_in(s, 60)
            return result

        def read():
            p = subprocess.Popen([reader, "wait", s.edge_endpoint, s.edge_key, cursor_now(s), str(SECONDS)], stdin=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL, text=True)
            p.stdin.write(" ".join(agency.curve) + "\n")
            p.stdin.close()
            result = streamed()
            assert p.wait(60) == 0
            return result

        streamed(), alone()  # warm
        base, our, with_agency = interleaved(alone, streamed, read)
    figure("checkin_with_stream", our / base, 0.8, 0.95, note=f"{our:.0f}/s against {base:.0f}/s; with a waiting agency {with_agency:.0f}/s")
