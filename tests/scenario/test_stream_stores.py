#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The stream's store as a whole: restored from a backup its log begins a new epoch; moved to PostgreSQL it goes on as it was."""
import contextlib
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.moving import Move, instance, log_has  # noqa: E402
from support.postgres import Postgres  # noqa: E402
from support.reading import Reader, fetch, key_of, village  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402


def restart_with(s, change):
    keep, s.keep = s.keep, True
    s.stop()
    s.keep = keep
    change()
    s._local = threading.local()
    s.start()


@story("restored from its backup the log begins a new epoch: cursors of the old one are 410, with the way to a snapshot and on")
def restored():
    with Stack(engine="sqlite", gateway_options=["--rate-scale=100"]) as s:
        token = s.login("admin")
        first = village(s, token)
        with Reader(s) as reader:
            reader.goes_on(token)
        stores = {name: os.path.join(s.folder, "backup-" + name) for name in ("membership", "activity", "stream")}
        for name, path in stores.items():
            s.cli("backup", "sqlite:" + s.store_file(name), path)
        lost = village(s, token)
        with Reader(s) as reader:
            wait_until("it is read", lambda: reader.has(lost), 30)
        before = reader.cursor

        def restore():
            for name, path in stores.items():
                for end in ("", "-wal", "-shm", ".lock"):
                    with contextlib.suppress(FileNotFoundError):
                        os.rename(s.store_file(name) + end, s.store_file(name) + end + ".lost")
                s.cli("restore", path, "sqlite:" + s.store_file(name))

        restart_with(s, restore)
        token = s.login("admin")
        gone = fetch(s, before)
        gone.refused(410, "cursor-gone")
        page, subjects = "", set()
        while True:
            snapshot = s.call("GET", f"/v1/events:snapshot?maxEvents=1000&pageToken={page}", token=key_of(s)).ok()
            subjects |= {e["subject"] for e in snapshot.get("events", [])}
            page = snapshot.get("nextPageToken", "")
            if not page:
                break
        cursor = snapshot["cursor"]
        assert cursor.split(":")[0] != before.split(":")[0], (cursor, before)
        after = village(s, token)
        while after not in subjects:
            batch = fetch(s, cursor, wait=5).ok()
            cursor = batch["cursor"]
            subjects |= {e["subject"] for e in batch.get("events", [])}
        assert first in subjects and lost not in subjects, "the present state is not what was restored"


@story("moved to PostgreSQL while others read: the same epoch and cursors, nothing missed and nothing twice")
def moved():
    with Postgres() as pg, Stack(engine="sqlite", gateway_options=["--rate-scale=100"]) as s:
        token, target = s.login("admin"), pg.url("stream")
        with Reader(s) as reader:
            reader.goes_on(token)
            epoch = reader.cursor.split(":")[0]
            move = Move(s, "stream", target)
            move.wait_for("waiting for instances")
            with instance(s, "stream-1", "stream-9", target):
                status, answer = move.end()
                expect("status: " + move.said(), status, 0)
                reader.goes_on(token)
                assert json.loads(answer)["pauseMs"] < 2000, answer
                reader.goes_on(token)
        reader.check()
        expect("the epoch", reader.cursor.split(":")[0], epoch)
        assert log_has(s, "stream-9", "this instance writes")


if __name__ == "__main__":
    main()
