#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""nuanxin backup and restore: one moment of a store in use, on both engines; what is damaged is refused."""
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.load import Load  # noqa: E402
from support.moving import log_has  # noqa: E402
from support.people import person  # noqa: E402
from support.postgres import Postgres  # noqa: E402
from support.scene import scene  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members  # noqa: E402


def backup(s, store, name):
    path = os.path.join(s.folder, name)
    return path, json.loads(s.cli("backup", store, path, "--json").stdout)


def restore(s, path, store):
    return json.loads(s.cli("restore", path, store, "--json").stdout)


def tables(answer):
    return {t["name"]: (t["rows"], t["sum"]) for t in answer["tables"]}


def refused(s, *arguments, words=()):
    r = s.cli(*arguments, check=False)
    expect(f"nuanxin {' '.join(arguments)}: status", r.returncode, 1)
    for word in words:
        assert word in r.stderr, r.stderr


@story("a backup under load is one moment: sealed, closed to others, read back; it becomes a store of either engine, equal row by row")
def drill():
    with Postgres() as pg, scene(n_members=300, n_activities=60, engine="sqlite") as (s, _, _, pairs):
        with Load(s, s.api_key, pairs, workers=3, retry=False) as load:
            load.wait_for(100)
            path, made = backup(s, "sqlite:" + s.store_file("activity"), "b1")
            load.wait_for(50)
            load.stop()
            expect("requests that ended badly", load.failed, [])
        expect("the file's mode", os.stat(path).st_mode & 0o777, 0o600)
        expect("what lies beside it", [f for f in os.listdir(s.folder) if ".part" in f], [])
        with open(path, "rb") as f:
            content = f.read()
        for secret in (b"attendance", b"rpc_outbox", pairs[0][1].encode()):
            assert secret not in content, secret
        rows = {name: n for name, (n, _) in tables(made).items()}
        expect("an answer and an audit row for each write, as of one moment", rows["rpc_answer"], rows["rpc_audit"])
        expect("verified", tables(json.loads(s.cli("backup", "verify", path, "--json").stdout)), tables(made))
        expect("shown", tables(json.loads(s.cli("backup", "show", path, "--json").stdout)), tables(made))
        expect("in SQLite", tables(restore(s, path, f"sqlite:{s.folder}/r1.db")), tables(made))
        answer = restore(s, path, pg.url("activity"))
        expect("in PostgreSQL", tables(answer), tables(made))
        assert answer["epoch"] != made["epoch"], "the history goes on as if nothing had been lost"
        expect("its outbox's epoch", pg.sql("SELECT epoch FROM rpc_epoch", "activity"), answer["epoch"])
        second, again = backup(s, pg.url("activity"), "b2")
        skip = ("rpc_epoch", "rpc_reader")
        expect("rows, from PostgreSQL", {n: r for n, (r, _) in tables(again).items() if r and n not in skip},
               {n: r for n, (r, _) in tables(made).items() if r and n not in skip})
        expect("back in SQLite", {n: v for n, v in tables(restore(s, second, f"sqlite:{s.folder}/r2.db")).items() if v[0]},
               {n: v for n, v in tables(again).items() if v[0]})
        with contextlib.closing(sqlite3.connect(f"{s.folder}/r2.db")) as a, contextlib.closing(sqlite3.connect(f"{s.folder}/r1.db")) as b:
            sql = "SELECT activity, member, id, occurred_us FROM attendance ORDER BY activity, member"
            expect("attendances after both ways", a.execute(sql).fetchall(), b.execute(sql).fetchall())
            expect("is the file sound", a.execute("PRAGMA integrity_check").fetchall(), [("ok",)])


@story("a stack begins again from its backups: what came after is gone, consumers begin with a snapshot, and counts are right")
def disaster():
    with Stack(gateway_options=["--rate-scale=100"], engine="sqlite") as s:
        admin = s.login("admin")
        members = make_members(s, admin, [person(i, "430102001001") for i in range(30)])
        a = make_activity(s, admin, mode="ONLINE")
        check_in = lambda m: s.call("POST", f"/v1/activities/{a['id']}/checkins", {"online": m["id"]}, token=s.api_key)
        for m in members[:5]:
            assert not check_in(m).ok().get("refusal")
        files = {service: backup(s, "sqlite:" + s.store_file(service), service)[0] for service in ("membership", "activity")}
        for m in members[5:9]:
            assert not check_in(m).ok().get("refusal")
        for service, path in files.items():
            refused(s, "restore", path, "sqlite:" + s.store_file(service), words=["a service uses", "stop it first"])
        keep, s.keep = s.keep, True
        s.stop()
        s.keep = keep
        for service, path in files.items():
            store = s.store_file(service)
            before = os.stat(store).st_mtime_ns, open(store, "rb").read()
            backup(s, "sqlite:" + store, service + "-stopped")
            expect("a backup changes nothing", (os.stat(store).st_mtime_ns, open(store, "rb").read()), before)
            refused(s, "restore", path, "sqlite:" + store, words=["is not empty", "give an empty one"])
            for end in ("", "-wal", "-shm", ".lock"):
                if os.path.exists(store + end):
                    os.rename(store + end, store + end + ".lost")
            restore(s, path, "sqlite:" + store)
        s.start()
        counted = lambda: s.call("GET", f"/v1/activities/{a['id']}", token=s.api_key).ok()["counts"].get("attended", 0)
        wait_until("five are counted", lambda: counted() == 5, 10)
        again = wait_until("activity knows the members again", lambda: (lambda r: r.json if r.status == 200 else None)(check_in(members[5])), 20)
        assert not again.get("repeated"), "a check-in from after the backup is still there"
        wait_until("and counts", lambda: counted() == 6, 10)
        assert log_has(s, "activity-1", "a consumer starts over")


@story("a damaged backup, another stack's keyring, and a file that is none are refused before anything is touched")
def damaged():
    with Stack(engine="sqlite") as s:
        path, _ = backup(s, "sqlite:" + s.store_file("membership"), "b")
        size, target = os.path.getsize(path), f"sqlite:{s.folder}/r.db"
        for name, at in (("magic", 3), ("key", 30), ("start", 110), ("length", 135), ("middle", size // 2), ("end", size - 1)):
            bad = os.path.join(s.folder, "bad-" + name)
            shutil.copy(path, bad)
            with open(bad, "r+b") as f:
                f.seek(at)
                byte = f.read(1)[0]
                f.seek(at)
                f.write(bytes([byte ^ 1]))
            refused(s, "backup", "verify", bad)
            refused(s, "restore", bad, target)
        for cut in (0, 10, 100, size // 2, size - 1):
            bad = os.path.join(s.folder, f"cut-{cut}")
            shutil.copy(path, bad)
            os.truncate(bad, cut)
            refused(s, "restore", bad, target)
        longer = os.path.join(s.folder, "longer")
        shutil.copy(path, longer)
        with open(longer, "ab") as f:
            f.write(b"x")
        refused(s, "restore", longer, target)
        assert not os.path.exists(f"{s.folder}/r.db"), "a damaged backup has begun a store"
        os.mkdir(f"{s.folder}/open", 0o755)
        refused(s, "keys", "create", "--keys", f"{s.folder}/open", words=["chmod go="])
        expect("what was made there", os.listdir(f"{s.folder}/open"), [])
        s.cli("keys", "create", "--keys", f"{s.folder}/other")
        refused(s, "restore", path, target, "--keys", f"{s.folder}/other", words=["--keys"])
        refused(s, "backup", "verify", path, "--keys", f"{s.folder}/none", words=["--keys"])
        refused(s, "backup", "sqlite:" + s.store_file("membership"), path + "3", "--keys", f"{s.folder}/other", words=["another keyring", "--keys"])
        assert not os.path.exists(path + "3"), "a backup that needs two keyrings was made"
        refused(s, "backup", "sqlite:" + s.store_file("membership"), path, words=["is there already"])
        refused(s, "backup", "sqlite:/nowhere/x.db", path + "2", words=["there is no store"])
        s.cli("keys", "rotate")
        s.cli("backup", "verify", path)  # older keys stay for what they sealed


@story("a service with another keyring than the store's does not start, on either engine, also as a standby; rotating changes nothing")
def another_keyring():
    with Postgres() as pg, Stack(engine="sqlite") as s:
        def start(store, keys):
            os.makedirs(f"{s.folder}/bus", mode=0o700, exist_ok=True)
            return subprocess.Popen([os.path.join(s.bin, "nuanxin-membership"), "--store", store, "--keys", keys, "--bus", f"{s.folder}/bus",
                                     "--instance", "membership-9", "--redis", f"unix:{s.var}/redis.sock"], stderr=subprocess.PIPE, text=True)

        path, _ = backup(s, "sqlite:" + s.store_file("membership"), "b")
        s.cli("keys", "create", "--keys", f"{s.folder}/other")
        for store in (f"sqlite:{s.folder}/r.db", pg.url("membership")):
            restore(s, path, store)
        for store in ("sqlite:" + s.store_file("membership"), f"sqlite:{s.folder}/r.db", pg.url("membership")):
            p = start(store, f"{s.folder}/other")
            _, said = p.communicate(timeout=20)
            assert p.returncode and "sealed with another keyring" in said and "--keys" in said, (store, p.returncode, said)
        s.cli("keys", "rotate")
        p = start(pg.url("membership"), f"{s.var}/keys")
        assert "this instance writes" in p.stderr.readline()
        p.terminate()
        p.communicate(timeout=30)


@story("a store that root restores belongs to whom its folder belongs to, and what a database refuses is said with the way out")
def operators():
    with Postgres() as pg, Stack(engine="sqlite") as s:
        path, _ = backup(s, "sqlite:" + s.store_file("membership"), "b")
        if os.geteuid() == 0:
            folder = os.path.join(s.folder, "service")
            os.mkdir(folder, 0o700)
            os.chown(folder, 65534, 65534)
            restore(s, path, f"sqlite:{folder}/m.db")
            expect("owners", {(f, os.stat(f"{folder}/{f}").st_uid) for f in os.listdir(folder)}, {(f, 65534) for f in os.listdir(folder)})
        missing = pg.url("membership").replace("/membership?", "/nowhere?")
        for arguments in (("restore", path, missing), ("backup", missing, path + "-2")):
            refused(s, *arguments, words=["'nowhere' does not exist", "createdb"])
        pg.sql("ALTER SCHEMA public OWNER TO admin; REVOKE ALL ON SCHEMA public FROM PUBLIC, nuanxin", "activity")
        refused(s, "restore", path, pg.url("activity"), words=["search_path", "CREATE SCHEMA"])
        pg.sql("GRANT USAGE ON SCHEMA public TO nuanxin", "activity")
        refused(s, "restore", path, pg.url("activity"), words=["permission denied", "owns the database"])
        refused(s, "restore", path, pg.url("membership", options="&options=-csearch_path%3Dnone"), words=["search_path", "CREATE SCHEMA"])
        plain = os.path.join(s.folder, "plain")
        with open(plain, "w") as f:
            f.write("no database" * 1000)
        refused(s, "backup", "sqlite:" + plain, path + "-2", words=["not a database"])


@story("a restore that is broken off leaves a store that no service uses; the same command makes it whole")
def broken_off():
    with Postgres() as pg, Stack(engine="sqlite") as s:
        path, made = backup(s, "sqlite:" + s.store_file("membership"), "b")
        for target in (f"sqlite:{s.folder}/r.db", pg.url("membership")):
            for pause in (0.15, 0.4, 0.7):
                p = subprocess.Popen([os.path.join(s.bin, "nuanxin"), "--var", s.var, "restore", path, target], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
                time.sleep(pause)  # any moment
                p.kill()
                if p.wait() == 0:
                    break
                if target.startswith("sqlite") and state(f"{s.folder}/r.db") == "filling":
                    log = os.path.join(s.folder, "refused.log")
                    with open(log, "w") as f:
                        status = subprocess.run([os.path.join(s.bin, "nuanxin-membership"), "--store", target, "--keys", f"{s.var}/keys", "--bus",
                                                 f"{s.folder}/v/bus", "--instance", "membership-9", "--redis", "unix:/nowhere"], stdout=f,
                                                stderr=f, timeout=30).returncode
                    assert status and "is being filled" in open(log).read(), open(log).read()
            if p.returncode:
                expect(target, tables(restore(s, path, target)), tables(made))


def state(path):
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute("SELECT state FROM store_use").fetchone()[0]
    return None


if __name__ == "__main__":
    main()
