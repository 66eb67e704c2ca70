#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Splits: an instance that some reach and others do not, and stores of which two may believe that they write. Nothing that
was acknowledged is lost or doubled, and there are never two writers."""
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.load import Load, check_ledger  # noqa: E402
from support.scene import scene, status  # noqa: E402
from support.split import Extra, Proxy  # noqa: E402
from support.stack import ENGINE  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

IS_READY = 'msg="ready"'
MOUNTED = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


def may_unshare(*kinds):
    return subprocess.run(["unshare", *kinds, "true"], capture_output=True).returncode == 0


def served(s, name):
    """Requests that an instance has answered."""
    return s.metric(name, "nuanxin_rpc_replies_total")


def is_listed(s, name):
    redis = os.path.join(s.var, "redis.sock")
    return bool(subprocess.run(["redis-cli", "-s", redis, "GET", f"instance:{name.rsplit('-', 1)[0]}:{name}"], capture_output=True).stdout.strip())


def writers(s, service="membership"):
    return [i["instance"] for i in status(s) if i["service"] == service and i.get("mayWrite")]


@contextlib.contextmanager
def one_more():
    """The scene, under load, with an instance membership-9 whose ways to Redis and from its callers are proxies."""
    with scene(n_members=2000, n_activities=60) as (s, admin, campaign, pairs):
        hidden = os.path.join(s.folder, "hidden")
        os.mkdir(hidden, 0o700)
        redis = Proxy(os.path.join(s.folder, "redis-9.sock"), os.path.join(s.var, "redis.sock"))
        bus = Proxy(os.path.join(s.folder, "bus-9.sock"), os.path.join(hidden, "membership-9.sock"))
        with Extra(s, "membership-1", "membership-9", redis="unix:" + redis.path, bus=hidden, advertise="ipc://" + bus.path) as extra:
            wait_until("it is ready", lambda: extra.said(IS_READY), 20)
            wait_until("it is listed", lambda: is_listed(s, "membership-9"), 10)
            yield s, admin, campaign, pairs, redis, bus
        redis.close()
        bus.close()


def goes_on(s, name):
    before = served(s, name)
    wait_until(f"{name} is asked", lambda: served(s, name) > before, 15)  # its way is longer: it is tried now and then


@story("an instance that Redis has lost and the gateway has not goes on serving; no request fails")
def cut_off_from_redis():
    with one_more() as (s, admin, campaign, pairs, redis, bus):
        with Load(s, s.api_key, pairs, retry=False) as load:
            goes_on(s, "membership-9")
            redis.fall_silent()
            wait_until("the registry has forgotten it", lambda: not is_listed(s, "membership-9"), 10)
            for _ in range(3):  # rounds of the gateway's look at the registry
                goes_on(s, "membership-9")
                load.wait_for(100)
                time.sleep(1)
            redis.speak()
            wait_until("it is listed again", lambda: is_listed(s, "membership-9"), 15)
            goes_on(s, "membership-9")
            load.stop()
            expect("failed requests", load.failed, [])
            check_ledger(s, admin, load.acknowledged, campaign)


@story("an instance that the gateway has lost and Redis has not gets nothing until it is reached again; no request fails")
def cut_off_from_the_gateway():
    with one_more() as (s, admin, campaign, pairs, redis, bus):
        with Load(s, s.api_key, pairs, retry=False) as load:
            goes_on(s, "membership-9")
            bus.fall_silent()
            load.wait_for(200)
            time.sleep(8)  # beyond the socket's heartbeats
            assert is_listed(s, "membership-9")
            before = served(s, "membership-9")
            load.wait_for(200)
            expect("it is asked nothing", served(s, "membership-9") - before, 0)
            bus.speak()
            goes_on(s, "membership-9")
            load.stop()
            expect("failed requests", load.failed, [])
            check_ledger(s, admin, load.acknowledged, campaign)


@story("an instance with an empty store of its own gets no request, also while the others are away: nobody is told what is not so")
def strayed():
    with scene(n_members=10, n_activities=1) as (s, admin, campaign, pairs):
        other = os.path.join(s.folder, "other")
        os.mkdir(other)
        with Extra(s, "membership-1", "membership-9", store=f"sqlite:{other}/membership.db") as extra:
            wait_until("it is ready", lambda: extra.said(IS_READY), 20)
            wait_until("the gateway says so", lambda: "has a store of its own, younger" in s.log_of("gateway-1"), 10)
            for n in range(20):
                s.call("GET", "/v1/organizations/43", token=admin).ok()
            before = s.kill("membership-1")
            write(s, admin, 1).ok()
            wait_until("it is back", lambda: s.pid("membership-1") not in (None, before), 10)
            expect("requests that it got", served(s, "membership-9"), 0)


def write(s, admin, n):
    return s.call("POST", "/v1/organizations", {"code": f"43010200198{n}", "parent": "430102001", "kind": "VILLAGE", "name": f"村{n}"}, token=admin)


@story("a writer that the gateway has lost still is the writer: who writes waits, then 503, reads go on, and it comes back")
def writer_cut_off():
    with one_more() as (s, admin, campaign, pairs, redis, bus):
        before = s.kill("membership-1")
        wait_until("it is back", lambda: s.pid("membership-1") not in (None, before), 10)
        wait_until("the other one writes", lambda: extra_writes(s), 10)
        write(s, admin, 1).ok()
        bus.fall_silent()
        started = time.monotonic()
        answer = write(s, admin, 2)  # it was sent: nobody can tell what became of it
        answer.refused(504, "deadline-exceeded")
        answer = write(s, admin, 2)
        answer.refused(503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1 and time.monotonic() - started < 22
        for _ in range(20):
            s.call("GET", "/v1/organizations/43", token=admin).ok()
        expect("the other stands by", s.log_of("membership-1").count("this instance writes now"), 1)
        bus.speak()
        wait_until("it is written", lambda: write(s, admin, 2).status in (200, 409), 20)
        write(s, admin, 3).ok()


def extra_writes(s):
    with open(os.path.join(s.var, "log", "membership-9.log")) as f:
        return "this instance writes now" in f.read()


@story("a lock file that is taken away under load: the writer ends at once, the next begins after it, no request fails")
def lock_file_removed():
    with scene(n_members=400, n_activities=30, instances={"activity": 2}) as (s, admin, campaign, pairs):
        ended, two = threading.Event(), []

        def watch():
            while not ended.is_set():
                if len(writers(s, "activity")) > 1:
                    two.append(time.monotonic())

        watcher = threading.Thread(target=watch)
        watcher.start()
        with Load(s, s.api_key, pairs, retry=False) as load:
            load.wait_for(200)
            for replaced in (False, True, False):
                epochs = s.log_of("activity-1").count("writes now") + s.log_of("activity-2").count("writes now")
                lock = os.path.join(s.var, "store", "activity.db.lock")
                os.unlink(lock)
                if replaced:
                    with open(lock, "w") as f:
                        f.write("1 1 nobody\n")
                wait_until("another took over", lambda: s.log_of("activity-1").count("writes now") + s.log_of("activity-2").count("writes now") > epochs, 20)
                load.wait_for(300)
                wait_until("both run", lambda: s.pid("activity-1") and s.pid("activity-2"), 20)
            load.stop()
            ended.set()
            watcher.join()
            expect("failed requests", load.failed, [])
            expect("two who say that they write", two, [])
            check_ledger(s, admin, load.acknowledged, campaign)


@story("the same folder under another name, as containers see it: the second stands by, and takes over when the first has gone")
def folder_of_two_names():
    with scene(n_members=10, n_activities=1) as (s, admin, campaign, pairs):
        other = os.path.join(s.folder, "other")
        os.mkdir(other)
        wrapper = ["unshare", "-m", "sh", "-c", MOUNTED, "sh", os.path.join(s.var, "store"), other]
        with Extra(s, "membership-1", "membership-9", wrapper, store=f"sqlite:{other}/membership.db") as extra:
            wait_until("it stands by", lambda: extra.said("standing by") and extra.said(IS_READY), 20)
            expect("writers", writers(s), ["membership-1"])
            write(s, admin, 1).ok()
            before = s.kill("membership-1")
            wait_until("it writes", lambda: extra.said("this instance writes now"), 10)
            wait_until("the first is back", lambda: s.pid("membership-1") not in (None, before), 10)
            wait_until("one writes", lambda: writers(s) == ["membership-9"], 10)
            write(s, admin, 2).ok()


@story("the file alone mounted elsewhere, or under a second name: its log would be another one, so the store is refused")
def file_of_two_names():
    with scene(n_members=10, n_activities=1) as (s, admin, campaign, pairs):
        other = os.path.join(s.folder, "other")
        os.mkdir(other)
        store = os.path.join(s.var, "store", "membership.db")
        open(os.path.join(other, "membership.db"), "w").close()
        wrapper = ["unshare", "-m", "sh", "-c", MOUNTED, "sh", store, os.path.join(other, "membership.db")]
        with Extra(s, "membership-1", "membership-8", wrapper, store=f"sqlite:{other}/membership.db") as extra:
            expect("status", extra.process.wait(20), 1)
            assert extra.said("is a mount of its own, so its log would stand elsewhere: mount its folder")
        os.link(store, os.path.join(other, "linked.db"))
        with Extra(s, "membership-1", "membership-9", store=f"sqlite:{other}/linked.db") as extra:
            expect("status", extra.process.wait(20), 1)
            assert extra.said("has another name (a hard link)")
        os.unlink(os.path.join(other, "linked.db"))
        write(s, admin, 1).ok()
        expect("writers", writers(s), ["membership-1"])


@story("a writer that stands still in another container: its number there means nobody here, so nobody is ended, and it goes on")
def writer_in_a_container():
    with scene(n_members=10, n_activities=1) as (s, admin, campaign, pairs):
        wrapper = ["unshare", "-p", "-f", "--mount-proc", "sh", "-c", '"$@" & wait', "sh"]
        with Extra(s, "membership-1", "membership-9", wrapper) as extra:
            wait_until("it stands by", lambda: extra.said(IS_READY), 20)
            before = s.kill("membership-1")
            wait_until("it writes", lambda: extra.said("this instance writes now"), 10)
            wait_until("the first is back", lambda: s.pid("membership-1") not in (None, before), 10)
            write(s, admin, 1).ok()
            os.killpg(extra.process.pid, signal.SIGSTOP)
            wait_until("that is said", lambda: "the writer stands still, in another container" in s.log_of("membership-1"), 20)
            s.call("GET", "/v1/organizations/43", token=admin).ok()
            os.killpg(extra.process.pid, signal.SIGCONT)
            wait_until("it is written", lambda: write(s, admin, 2).status in (200, 409), 20)
            expect("writers", writers(s), ["membership-9"])
            assert "ending it" not in s.log_of("membership-1")


ON_FILES = (writer_cut_off, lock_file_removed, folder_of_two_names, file_of_two_names, writer_in_a_container)

if __name__ == "__main__":
    from support import story as stories

    def leave_out(functions, why):
        stories._stories[:] = [item for item in stories._stories if item[1] not in functions]
        print(f"# {', '.join(f.__name__ for f in functions)}: left out, {why}", flush=True)

    if ENGINE != "sqlite":
        leave_out(ON_FILES, "there every instance writes")
    elif not may_unshare("-m"):
        leave_out((folder_of_two_names, file_of_two_names), "this machine allows no mount namespaces")
    if ENGINE == "sqlite" and not may_unshare("-p", "-f", "--mount-proc"):
        leave_out((writer_in_a_container,), "this machine allows no PID namespaces")
    main()
