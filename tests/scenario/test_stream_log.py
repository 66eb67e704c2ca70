#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The log: every event of every source, once, in one order, without gaps, whoever is killed; signed, and proved by
`nuanxin stream verify`; cut by retention and emptied by erasure without breaking the chain; anew after a restore."""
import contextlib
import hashlib
import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.agencies import taken_in  # noqa: E402
from support.exact import Outboxes, check_log  # noqa: E402
from support.oracle import contract  # noqa: E402
from support.people import person  # noqa: E402
from support.stack import SEVERAL, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members  # noqa: E402

VILLAGE = "430102001001"


@contextlib.contextmanager
def scene():
    with Stack(instances=SEVERAL, gateway_options=["--rate-scale=100"], clock=True) as s:
        s.admin = s.login("admin")
        s.members = [m["id"] for m in make_members(s, s.admin, [person(i, VILLAGE) for i in range(300)])]
        yield s


def stored(s, after=0):
    """{seq: StoredEvent}, None where it was erased."""
    kind = contract().type("nuanxin.stream.v1.StoredEvent")
    rows = s.rows("stream", f"SELECT seq, event FROM log WHERE seq > {after} ORDER BY seq")
    return {seq: None if event is None else kind.FromString(event) for seq, event in rows}


def log(s):
    return json.loads(s.cli("call", "GetLog").stdout)


def store(s):
    return "sqlite:" + s.store_file("stream") if s.engine == "sqlite" else s.store_url("stream")


def verify(s, *options, check=True):
    r = s.cli("stream", "verify", "--store", store(s), "--json", *options, check=check)
    return json.loads(r.stdout) if r.stdout else r


def signed(s):
    """All checkpoints, as they were written."""
    lines = []
    for name in os.listdir(os.path.join(s.var, "checkpoints")):
        with open(os.path.join(s.var, "checkpoints", name)) as f:
            lines += [json.loads(line) for line in f]
    return lines


def check_in(s, activity, members):
    for m in members:
        s.call("POST", f"/v1/activities/{activity['id']}/checkins", {"member": m}, token=s.api_key, retry_503=True).ok()


def all_signed(s):
    latest = taken_in(s)
    wait_until("all of it is signed", lambda: int(log(s)["checkpoint"]) == latest, 15)
    return latest


@contextlib.contextmanager
def stopped(s):
    """Everything stands still: its stores may be changed behind its back."""
    keep, s.keep = s.keep, True
    s.stop()
    s.keep = keep
    yield
    s._local = threading.local()
    s.start()


def cursor(s, seq):
    return f"{log(s)['cursor'].split(':')[0]}:{seq}"


def refused(s, cursor):
    r = s.cli("call", "FetchEvents", json.dumps({"cursor": cursor}), check=False)
    expect("status", r.returncode, 1)
    return r.stderr.rsplit("(urn:nuanxin:problem:", 1)[1].split(")")[0]


# --- taking in ------------------------------------------------------------------------------------------------------------


@story("the log is every outbox in its order, once, without gaps, each event at its organisation's path; and the chain proves it")
def order(s):
    activity = make_activity(s, s.admin)
    check_in(s, activity, s.members[:50])
    latest = all_signed(s)
    events = check_log(s, Outboxes(s)).events
    expect("events", len(events), latest)
    assert any(e.source == "activity" and e.person for e in events)
    for e in events:
        kind = contract().events[e.type]
        assert not kind.internal, f"{e.type} is internal"
        if e.organization:
            assert e.path.endswith(f"/{e.organization}/"), f"{e.type} of {e.organization} is at {e.path!r}"
        if kind.person:
            expect(f"whom event {e.seq} is about", e.person, getattr(contract().type(e.type).FromString(e.data), kind.person))
    proof = verify(s)
    expect("checked", (proof["events"], proof["through"], proof["faults"]), (latest, latest, 0))
    assert proof["checkpoints"] >= latest // 1000, proof


@story("while events come the chain is signed a second or a thousand events apart, and the key is the one that is shown")
def signing(s):
    activity = make_activity(s, s.admin)
    before = {(c["epoch"], int(c.get("seq", 0))) for c in signed(s)}
    ends, n = time.monotonic() + 4, 0
    while time.monotonic() < ends:
        n += 1
        s.call("PATCH", f"/v1/activities/{activity['id']}?updateMask=title", {"title": f"签到 {n}"}, token=s.admin).ok()
    all_signed(s)
    points = sorted({(int(c.get("seq", 0)), c["time"]) for c in signed(s)})
    new = [c for c in signed(s) if (c["epoch"], int(c.get("seq", 0))) not in before]
    assert len(new) >= 3, f"{len(new)} in four seconds"
    for (a, _), (b, _) in zip(points, points[1:]):
        assert b - a <= 1000, f"nothing was signed between {a} and {b}"
    taken = dict(s.rows("stream", "SELECT seq, taken_us FROM log"))
    for c in new:
        seconds = stamp(c["time"]) - taken[int(c["seq"])] / 1e6
        assert seconds < 1.5, f"{c['seq']} was signed {seconds:.2f} s after it came"
    key = json.loads(s.cli("keys", "show", "--json").stdout)["log"]
    expect("checked by the key alone", verify(s, "--key", key, "--keys", "/nowhere")["faults"], 0)
    wrong = s.cli("stream", "verify", "--store", store(s), "--key", "00" * 32, check=False)
    expect("checked by another", wrong.returncode, 1)
    said = wrong.stdout.splitlines()
    assert len(said) == 2 and said[0].startswith("none of the ") and said[0].endswith(" checkpoints was signed by this key"), wrong.stdout


def stamp(text):
    import datetime
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@story("whoever is killed -9 while events come, nothing is missing, nothing comes twice, and the order holds")
def killed(s):
    activity, rng, ends = make_activity(s, s.admin), random.Random(4), threading.Event()

    def rush(part):
        while not ends.is_set():
            r = s.call("POST", f"/v1/activities/{activity['id']}/registrations", {"member": s.members[rng.randrange(300)]}, token=s.api_key,
                       retry_503=True)
            assert r.status in (200, 409, 503), r.body

    threads = [threading.Thread(target=rush, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    instances = [f"{part}-{n + 1}" for part in ("stream", "membership", "activity") for n in range(SEVERAL.get(part, 1))]
    try:
        for i in range(9):
            name = instances[i % len(instances)] if i % 2 else "stream-1"
            wait_until(f"{name} runs", lambda: s.pid(name), 10)
            s.kill(name)
            at = log_latest(s)
            check_in(s, activity, s.members[i * 10:i * 10 + 10])
            wait_until("the log goes on", lambda: log_latest(s) > at, 20)
    finally:
        ends.set()
        for t in threads:
            t.join()
    latest = all_signed(s)
    expect("events", len(check_log(s, Outboxes(s)).events), latest)
    expect("faults", verify(s)["faults"], 0)


def log_latest(s):
    return s.rows("stream", "SELECT COALESCE(MAX(seq), 0) FROM log")[0][0]


@story("what happened while the stream was away is taken in when it comes back; an activity never before its organisation")
def away(s):
    with contextlib.ExitStack() as hold:
        for n in range(SEVERAL.get("stream", 1)):
            pid = wait_until("the stream runs", lambda: s.pid(f"stream-{n + 1}"), 10)
            os.kill(pid, signal.SIGSTOP)
            hold.callback(os.kill, pid, signal.SIGKILL)
        before = log_latest(s)
        for i in range(20):
            code = f"4301020019{i:02d}"
            s.call("POST", "/v1/organizations", {"code": code, "parent": "430102001", "name": f"新村{i}", "kind": "VILLAGE"}, token=s.admin).ok()
            wait_until("activity knows it", lambda: s.call("POST", "/v1/activities", {
                "campaign": s.campaign, "organization": code, "title": "新村活动", "category": "HEALTH", "mode": "ON_SITE", "place": "新村",
                "startTime": "2026-12-01T00:00:00Z", "endTime": "2026-12-02T00:00:00Z"}, token=s.admin).status == 200, 10)
    latest = taken_in(s)
    new = [e for e in stored(s, before).values() if e.organization.startswith("4301020019")]
    expect("activities", sum(e.type.endswith("ActivityCreated") for e in new), 20)
    for e in new:
        assert e.path.endswith(f"/430102001/{e.organization}/"), f"{e.type} at {e.path!r}"
    assert latest > before


@story("tail prints the log from any cursor on, a line an event; lag says how it stands")
def tail(s):
    latest = taken_in(s)
    lines = s.cli("stream", "tail", cursor(s, latest - 30), "--set", "wait=0").stdout.splitlines()
    expect("lines", [int(json.loads(line)["sequence"]) for line in lines], list(range(latest - 29, latest + 1)))
    hidden = "\x9b31m\u202eabc\u2028\ufeff\U000e0041"
    s.call("PATCH", "/v1/activities/" + make_activity(s, s.admin)["id"], {"title": "题" + hidden}, token=s.admin).ok()
    taken_in(s)
    told = s.cli("stream", "tail", cursor(s, latest), "--set", "wait=0", "--set", "types=nuanxin.activity.v1.ActivityUpdated").stdout
    expect("what a terminal would obey", [c for c in told if c in hidden and ord(c) > 0x7F], [])
    expect("and says the same", json.loads(told.splitlines()[-1])["data"]["value"]["title"], "题" + hidden)
    latest = taken_in(s)
    newest = s.cli("stream", "tail", "--set", "wait=0").stdout
    expect("of what comes from now on", newest, "")
    whole = s.cli("stream", "tail", "oldest", "--set", "wait=0", "--set", "types=nuanxin.membership.v1.MemberStateChanged").stdout.splitlines()
    assert len(whole) >= 300 and all(json.loads(line)["type"].endswith("MemberStateChanged") for line in whole), len(whole)
    said = s.cli("stream", "lag").stdout
    assert f"events 1 to {latest}," in said, said
    expect("an unknown cursor", refused(s, cursor(s, latest + 100000)), "cursor-unknown")


@story("a folder that takes no checkpoints holds up nothing; what was not signed is signed when it does")
def unsigned(s):
    folder = os.path.join(s.var, "checkpoints")
    kept = all_signed(s)
    os.rename(folder, folder + ".away")
    open(folder, "w").close()
    try:
        check_in(s, make_activity(s, s.admin), s.members[:10])
        latest = taken_in(s)
        wait_until("it is counted", lambda: sum(s.metric(f"stream-{n + 1}", "nuanxin_log_unsigned_total")
                                                for n in range(SEVERAL.get("stream", 1))) > 0, 10)
        expect("signed", int(log(s)["checkpoint"]), kept)
        figures = [(s.metric(f"stream-{n + 1}", "nuanxin_log_latest"), s.metric(f"stream-{n + 1}", "nuanxin_log_signed"))
                   for n in range(SEVERAL.get("stream", 1))]
        assert any(came == latest and done < latest for came, done in figures), figures
    finally:
        os.unlink(folder)
        os.rename(folder + ".away", folder)
    wait_until("it is signed", lambda: int(log(s)["checkpoint"]) == latest, 20)
    expect("faults", verify(s)["faults"], 0)


# --- proof ----------------------------------------------------------------------------------------------------------------

def literal(s, value):
    return f"X'{value.hex()}'" if s.engine == "sqlite" else f"'\\x{value.hex()}'::bytea"


@story("verify names one altered byte, one deleted row, two rows that changed places, and an end that was cut off")
def tampering(s):
    latest = all_signed(s)
    (a, event), = s.rows("stream", f"SELECT seq, event FROM log WHERE seq = {latest // 2}")
    b = latest // 3
    columns = "person, event, salt, leaf, head"
    both = {seq: values for seq, *values in s.rows("stream", f"SELECT seq, {columns} FROM log WHERE seq IN ({a}, {b})")}

    def put(seq, values):
        texts = ["NULL" if v is None else str(v) if isinstance(v, int) else literal(s, v) for v in values]
        return f"UPDATE log SET {', '.join(f'{c} = {t}' for c, t in zip(columns.split(', '), texts))} WHERE seq = {seq}"

    def found():
        return verify(s, check=False)["findings"]

    with stopped(s):
        expect("before", found(), [])
        changed = bytearray(event)
        changed[len(changed) // 2] ^= 1
        s.execute("stream", f"UPDATE log SET event = {literal(s, bytes(changed))} WHERE seq = {a}")
        expect("one byte", found(), [f"event {a} was altered"])
        s.execute("stream", put(a, both[b]), put(b, both[a]))
        expect("two rows", found(), [f"row {b} holds event {a}: rows were put in another order",
                                     f"row {a} holds event {b}: rows were put in another order"])
        s.execute("stream", put(a, both[a]), put(b, both[b]))
        expect("put back", found(), [])
        kept = s.rows("stream", f"SELECT * FROM log WHERE seq = {b}")[0]
        s.execute("stream", f"DELETE FROM log WHERE seq = {b}")
        expect("one row", found(), [f"event {b} is missing"])
        texts = ["NULL" if v is None else str(v) if isinstance(v, int) else literal(s, v) for v in kept]
        s.execute("stream", f"INSERT INTO log VALUES ({', '.join(texts)})")
        expect("put back", found(), [])
        last = s.rows("stream", f"SELECT * FROM log WHERE seq = {latest}")[0]
        end = s.rows("stream", "SELECT head FROM log_end")[0][0]
        before = s.rows("stream", f"SELECT head FROM log WHERE seq = {latest - 1}")[0][0]
        s.execute("stream", f"DELETE FROM log WHERE seq = {latest}", f"UPDATE log_end SET seq = {latest - 1}, head = {literal(s, before)}")
        expect("the end", found(), [f"the log ends at event {latest - 1}, but was signed up to {latest}: those behind it are missing"])
        texts = ["NULL" if v is None else str(v) if isinstance(v, int) else literal(s, v) for v in last]
        s.execute("stream", f"INSERT INTO log VALUES ({', '.join(texts)})", f"UPDATE log_end SET seq = {latest}, head = {literal(s, end)}")
        expect("put back", found(), [])


# --- erasure --------------------------------------------------------------------------------------------------------------


@story("who is erased is gone from the log and its files, but for the notice; the chain holds")
def erasure(s):
    activity = make_activity(s, s.admin)
    gone, stays = s.members[200], s.members[201]
    check_in(s, activity, [gone, stays])
    taken_in(s)
    about = [seq for seq, e in stored(s).items() if e and e.person == gone]
    assert len(about) >= 2, about
    s.call("POST", f"/v1/members/{gone}:erase", {"purpose": "本人申请"}, token=s.admin).ok()
    latest = taken_in(s)
    wait_until("it is erased", lambda: not s.rows("stream", f"SELECT 1 FROM log WHERE seq IN ({about[0]}, {about[-1]}) AND event IS NOT NULL"), 10)
    events = stored(s)
    notice = [seq for seq, e in events.items() if e and e.type.endswith("MemberErased") and e.person == gone]
    expect("notices", len(notice), 1)
    for seq in about:
        assert events[seq] is None, f"event {seq} is still there"
    by = s.rows("stream", f"SELECT DISTINCT erased_by FROM log WHERE seq IN ({', '.join(map(str, about))})")
    expect("because of", by, [(notice[0],)])
    assert any(e and e.person == stays for e in events.values())
    all_signed(s)
    proof = verify(s)
    expect("faults", proof["faults"], 0)
    assert proof["erased"] >= len(about) and proof["through"] >= latest, proof


@story("verify names what was emptied by another's notice, a time that was changed, a restore that is claimed, and a folder that holds nothing")
def rewriting(s):
    gone = s.members[203]
    check_in(s, make_activity(s, s.admin), [gone, s.members[204]])
    s.call("POST", f"/v1/members/{gone}:erase", {"purpose": "本人申请"}, token=s.admin).ok()
    taken_in(s)
    wait_until("it is erased", lambda: not any(e and e.person == gone and not e.type.endswith("MemberErased") for e in stored(s).values()), 10)
    latest = all_signed(s)
    events = stored(s)
    notice = max(seq for seq, e in events.items() if e and e.type.endswith("MemberErased") and e.person == gone)
    other = max(seq for seq, e in events.items() if e and e.person == s.members[204] and seq < notice)
    nobody = max(seq for seq, e in events.items() if e and not e.person and seq < notice)
    columns = "person, taken_us, event, salt, leaf, head, erased_by"

    def rows(what):
        return s.rows("stream", f"SELECT seq, {columns} FROM log WHERE {what} ORDER BY seq")

    def put(seq, **values):
        texts = {c: "NULL" if v is None else str(v) if isinstance(v, int) else literal(s, v) for c, v in values.items()}
        return f"UPDATE log SET {', '.join(f'{c} = {t}' for c, t in texts.items())} WHERE seq = {seq}"

    def put_back(kept):
        s.execute("stream", *[put(seq, **dict(zip(columns.split(", "), values))) for seq, *values in kept])

    def found(*options):
        return verify(s, *options, check=False)["findings"]

    def digest(*parts):
        return hashlib.sha256(b"".join(parts)).digest()

    def rechained(head, changed):  # as who can write the store would: every leaf and head anew
        kind, statements = contract().type("nuanxin.stream.v1.StoredEvent"), []
        for seq, _, _, event, salt, leaf, _, _ in rows(f"seq >= {changed[0]}"):
            if seq == changed[0]:
                event = changed[1]
                e = kind.FromString(event)
                leaf = digest(digest(e.person.encode(), seq.to_bytes(8, "big")), digest(salt, event))
            head = digest(head, leaf)
            statements.append(put(seq, event=event, leaf=leaf, head=head))
        return [*statements, f"UPDATE log_end SET head = {literal(s, head)}"]

    with stopped(s):
        expect("before", found(), [])
        for seq in (other, nobody):
            kept = rows(f"seq = {seq}")
            what = digest(kept[0][4], kept[0][3])
            s.execute("stream", put(seq, person=None, event=None, salt=what, erased_by=notice))
            expect("emptied", found(), [f"event {seq} was emptied because of the notice {notice}, which is about somebody else"])
            put_back(kept)
        kept = rows(f"seq = {other}")
        s.execute("stream", put(other, taken_us=0))
        expect("an older time", found(), [f"event {other} stands as taken in at another time than it was"])
        put_back(kept)
        expect("put back", found(), [])
        empty = os.path.join(s.folder, "no-checkpoints")
        os.makedirs(empty)
        first = s.rows("stream", "SELECT taken_us FROM log ORDER BY seq LIMIT 1")[0][0]
        wait_until("the log is no longer new", lambda: abs(time.time() * 1e6 - first) > 6e6, 15)
        expect("an empty folder", found("--checkpoints", empty), [f"events 1 to {latest}: no checkpoint in {empty} was signed of any of them"])

        # An event altered, everything after it chained anew, and a restore to the row before it claimed.
        kept, end = rows(f"seq >= {nobody}"), s.rows("stream", "SELECT head, epoch, begun FROM log_end")[0]
        epoch, = s.rows("stream", "SELECT epoch FROM rpc_epoch")[0]
        e = contract().type("nuanxin.stream.v1.StoredEvent").FromString(kept[0][3])
        e.path += "99/"
        head = s.rows("stream", f"SELECT head FROM log WHERE seq = {nobody - 1}")[0][0]
        s.execute("stream", *rechained(head, (nobody, e.SerializeToString())))
        rewritten = found()
        assert len(rewritten) == 1 and "another head was signed here" in rewritten[0], rewritten
        young = "ffffffff-ffff-7fff-bfff-ffffffffffff"
        s.execute("stream", f"UPDATE rpc_epoch SET epoch = '{young}'", f"UPDATE log_end SET epoch = '{young}', begun = {nobody - 1}")
        void = [int(c["seq"]) for c in signed(s) if c["epoch"] == epoch and int(c.get("seq", 0)) >= nobody]
        expect("a restore that is claimed", found(), [taken_back(epoch, void, nobody - 1)])
        expect("how many", verify(s, check=False)["voidCheckpoints"], len(void))
        put_back(kept)
        s.execute("stream", f"UPDATE rpc_epoch SET epoch = '{epoch}'",
                  f"UPDATE log_end SET head = {literal(s, end[0])}, epoch = '{end[1]}', begun = {end[2]}")
        expect("put back", found(), [])
    s.admin = s.login("admin")


@story("who is told of after the erasure is erased again, an hour later; the chain holds")
def late(s):
    activity = make_activity(s, s.admin)
    gone = s.members[202]
    check_in(s, activity, [gone])
    taken_in(s)
    told = next(e for e in reversed(stored(s).values()) if e and e.person == gone)
    s.call("POST", f"/v1/members/{gone}:erase", {"purpose": "本人申请"}, token=s.admin).ok()
    at = taken_in(s)
    with stopped(s):  # as the activity service would tell of a check-in before it learns of the erasure
        data = f"X'{told.data.hex()}'" if s.engine == "sqlite" else f"'\\x{told.data.hex()}'::bytea"
        s.execute("activity", "INSERT INTO rpc_outbox (seq, id, type, subject, organization, time_us, data) SELECT MAX(seq) + 1, "
                  f"'01900000-0000-7000-8000-000000000002', '{told.type}', '{told.subject}', '{told.organization}', {now_us(s)}, {data} FROM rpc_outbox")
    s.admin = s.login("admin")
    late = wait_until("it is told of", lambda: [q for q, e in stored(s, at).items() if e and e.person == gone])
    wait_until("it waits for the hour", lambda: s.rows("stream", f"SELECT 1 FROM rpc_due WHERE kind = 'log.erase' AND key = '{gone}' AND at_us > {now_us(s)}"))
    s.advance(3601)
    wait_until("it is erased", lambda: all(stored(s, at).get(q, 1) is None for q in late))
    notices = [e for e in stored(s, at).values() if e and e.type.endswith("MemberErased")]
    expect("told again", [(e.source, e.subject, e.person) for e in notices], [("membership", gone, gone)])
    all_signed(s)
    expect("faults", verify(s)["faults"], 0)


# --- too much -------------------------------------------------------------------------------------------------------------


@story("a log that grows too large gives up its oldest, while it is read and proved; all that it told stays as the state")
def too_large(_):
    with Stack(instances=SEVERAL, stream_options=["--keep-mib=1"], gateway_options=["--rate-scale=100"]) as s:
        organizations = s.rows("membership", "SELECT COUNT(*) FROM organization")[0][0]
        proofs, ends = [], threading.Event()

        def prove():
            while not ends.is_set():
                proofs.append(verify(s, check=False))

        prover = threading.Thread(target=prove)
        prover.start()
        try:
            wait_until("all organisations are in it", lambda: int(log(s)["latest"]) >= organizations, 60)
            wait_until("it is small", lambda: int(log(s)["bytes"]) <= 1 << 20, 60)
        finally:
            ends.set()
            prover.join()
        faults = [p for p in proofs if not isinstance(p, dict) or p["faults"]]
        assert proofs and not faults, faults[:3]
        now = log(s)
        assert int(now["oldest"]) > 20000 and int(now["bytes"]) > 500000, now
        kept = {e.subject for e in stored(s).values() if e and e.type.endswith("OrganizationChanged")}
        kept |= {code for (code,) in s.rows("stream", "SELECT subject FROM log_state WHERE type LIKE '%OrganizationChanged'")}
        expect("organisations", len(kept), organizations)
        all_signed(s)
        expect("faults", verify(s)["faults"], 0)


# --- restores -------------------------------------------------------------------------------------------------------------


@story("a source that was restored tells its present state once more, behind a notice that it began anew")
def source_restored(s):
    before = taken_in(s)
    with stopped(s):
        s.execute("membership", "DELETE FROM rpc_epoch", "DELETE FROM rpc_outbox WHERE seq < (SELECT MAX(seq) FROM rpc_outbox)")
    wait_until("the gateway ends all sessions", lambda: "all sessions end" in s.log_of("gateway-1"))
    s.admin = s.login("admin")

    def again():
        new = [e for e in stored(s, before).values() if e]
        return new if sum(e.type.endswith("MemberStateChanged") for e in new) >= 290 else None

    new = wait_until("the members come once more", again, 60)
    restarts = [e for e in new if e.type == "nuanxin.stream.v1.SourceRestarted"]
    expect("restarts", [(e.source, e.subject) for e in restarts if e.subject == "membership"], [("stream", "membership")])
    first = min(e.seq for e in new if e.type.endswith("OrganizationChanged"))
    assert restarts[0].seq < first
    wait_until("it is at its end", lambda: s.rows("stream", "SELECT 1 FROM rpc_cursor WHERE name = 'stream.membership' AND topic = -1 AND epoch <> ''"), 60)
    codes = {e.subject for e in stored(s, before).values() if e and e.type.endswith("OrganizationChanged")}
    expect("organisations", len(codes), s.rows("membership", "SELECT COUNT(*) FROM organization")[0][0])
    all_signed(s)
    expect("faults", verify(s)["faults"], 0)


@story("a stream that was restored goes on in a new epoch: older cursors are gone, what was lost is taken in again, the proof holds")
def restored(s):
    taken_in(s)
    backup = os.path.join(s.folder, "backup")
    s.cli("backup", store(s), backup)
    at = log_latest(s)
    check_in(s, make_activity(s, s.admin), s.members[40:60])
    latest = all_signed(s)
    lost = {e.id for e in stored(s, at).values()}
    old = log(s)
    assert len(lost) == latest - at >= 20, lost
    with stopped(s):
        wipe(s)
        s.cli("restore", backup, store(s))
    wait_until("what was lost is taken in again", lambda: log_latest(s) >= latest, 30)
    new = log(s)
    assert new["epoch"] != old["epoch"]
    ids = [e.id for e in stored(s, at).values() if e]
    expect("taken in again", (lost - set(ids), len(ids) - len(set(ids))), (set(), 0))
    all_signed(s)
    void = [int(c["seq"]) for c in signed(s) if c["epoch"] == old["epoch"] and int(c.get("seq", 0)) > at]
    assert void, "nothing was signed of what was lost"
    claimed = verify(s, check=False)  # whether it was restored, only who did it can know
    expect("without --restored", (claimed["findings"], claimed["voidCheckpoints"]), ([taken_back(old["epoch"], void, at)], len(void)))
    proof = verify(s, "--restored")
    expect("with it", (proof["faults"], proof["voidCheckpoints"]), (0, len(void)))
    said = s.cli("stream", "verify", "--store", store(s), "--restored").stdout
    assert f"{len(void)} checkpoints of older epochs are void" in said, said
    expect("a cursor of before", refused(s, old["cursor"]), "cursor-gone")
    expect("the same place now", s.cli("call", "FetchEvents", json.dumps({"cursor": cursor(s, at)})).returncode, 0)
    begins = [int(c.get("seq", 0)) for c in signed(s) if c["kind"] == "BEGIN" and c["epoch"] == new["epoch"]]
    assert begins and begins[0] <= at, begins


def taken_back(epoch, void, at):
    return (f"{len(void)} checkpoints of epoch {epoch}, from event {min(void)} to {max(void)}, were taken away by a restore to "
            f"event {at}: give --restored if you restored a backup then")


def wipe(s):
    if s.engine == "postgresql":
        s.database.sql("DROP OWNED BY nuanxin; GRANT ALL ON SCHEMA public TO nuanxin", "stream")
        return
    for suffix in ("", "-wal", "-shm", ".lock"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(s.store_file("stream") + suffix)


# --- newer sources --------------------------------------------------------------------------------------------------------


@story("an event of a type that is not known yet holds its source up for an hour; then it stands in the log, about nobody")
def unknown(s):
    taken_in(s)
    data = "X'0a03616263'" if s.engine == "sqlite" else "'\\x0a03616263'::bytea"
    with stopped(s):
        at = log_latest(s)
        s.execute("activity", "INSERT INTO rpc_outbox (seq, id, type, subject, organization, time_us, data) SELECT MAX(seq) + 1, "
                  f"'01900000-0000-7000-8000-000000000001', 'nuanxin.activity.v1.ThingGuessed', 'abc', '430102', {now_us(s)}, {data} FROM rpc_outbox")
    s.admin = s.login("admin")
    activity = make_activity(s, s.admin)
    wait_until("the log says what it waits for", lambda: "waits for this service's upgrade" in logs(s), 20)
    s.call("PATCH", "/v1/organizations/430102?updateMask=name", {"name": "芙蓉"}, token=s.admin).ok()
    wait_until("membership's are taken in meanwhile", lambda: log_latest(s) == at + 1, 10)
    s.advance(3601)
    wait_until("it is taken in", lambda: any(e.type.endswith("ActivityOpened") for e in stored(s, at).values()), 30)
    new = list(stored(s, at + 1).values())
    expect("in their order", [e.type.rsplit(".", 1)[1] for e in new], ["ThingGuessed", "ActivityCreated", "ActivityOpened"])
    assert new[0].subject == "abc" and not new[0].person and new[1].subject == activity["id"], new
    all_signed(s)
    expect("faults", verify(s, "--restored")["faults"], 0)


def now_us(s):
    return int(time.time() * 1e6) + s.offset


def logs(s):
    return "".join(s.log_of(f"stream-{n + 1}") for n in range(SEVERAL.get("stream", 1)))


# --- retention ------------------------------------------------------------------------------------------------------------


@story("what is too old is cut at a signed checkpoint; the newest event of each subject stays as the state; the rest is proved")
def retention(s):
    activity = make_activity(s, s.admin)
    check_in(s, activity, s.members[:20])
    latest = all_signed(s)
    everything = {seq: e for seq, e in stored(s).items() if e}
    s.advance(31 * 86400)
    s.admin = s.login("admin")
    s.call("PATCH", "/v1/organizations/430102?updateMask=name", {"name": "芙蓉区"}, token=s.admin).ok()
    wait_until("it is cut", lambda: int(log(s)["oldest"]) == latest + 1, 60)
    taken_in(s)
    oldest, rows = s.rows("stream", "SELECT MIN(seq), COUNT(*) FROM log")[0]
    expect("the oldest", (oldest, oldest + rows - 1), (latest + 1, log_latest(s)))
    newest = {}
    for e in everything.values():
        kind = contract().events.get(e.type)
        part = getattr(contract().type(e.type).FromString(e.data), kind.part) if kind and kind.part else ""
        newest[e.type, e.subject + ("/" + part if part else "")] = e.seq
    state = {(t, subject): seq for t, subject, seq in s.rows("stream", "SELECT type, subject, seq FROM log_state")}
    assert state == newest, f"the state: {len(state)}, not {len(newest)}: {sorted(set(state.items()) ^ set(newest.items()))[:5]}"
    all_signed(s)
    proof = verify(s)
    expect("from", (proof["from"], proof["faults"]), (latest + 1, 0))
    cuts = [int(c["seq"]) for c in signed(s) if c["kind"] == "CUT"]
    assert latest in cuts, cuts
    # Without its checkpoints nobody could tell a cut from a theft.
    hidden = os.path.join(s.folder, "none")
    os.makedirs(hidden)
    theft = verify(s, "--checkpoints", hidden, check=False)
    expect("without them", theft["findings"], [f"what stood up to event {latest} is gone, and no cut was signed there",
                                               f"events {latest + 1} to {theft['through']}: no checkpoint in {hidden} was signed of any of them"])
    expect("a cursor of before", refused(s, cursor(s, latest - 1)), "cursor-gone")
    shown, page = [], {}
    while not page or page.get("nextPageToken"):
        page = json.loads(s.cli("call", "FetchSnapshot", json.dumps({"maxEvents": 1000, "pageToken": page.get("nextPageToken", "")})).stdout)
        shown += [(e["type"], int(e["sequence"])) for e in page["events"]]
    wanted = sorted(((t, seq) for (t, _), seq in newest.items() if t in contract().events), key=lambda x: x[1])
    assert shown == wanted, f"the snapshot: {len(shown)} of {len(wanted)}, other: {sorted(set(shown) ^ set(wanted))[:5]}"
    expect("where it goes on", page["cursor"], cursor(s, latest))
    bytes_kept = int(log(s)["bytes"])
    real = s.rows("stream", "SELECT COALESCE(SUM(COALESCE(LENGTH(event), 0) + 160), 0) FROM log")[0][0]
    expect("bytes", bytes_kept, real)


if __name__ == "__main__":
    main(scene())
