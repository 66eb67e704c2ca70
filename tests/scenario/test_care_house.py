#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Care as one of the house's services: it comes and goes, is scaled, restarted and killed, backed up, restored and moved; whom it
has and every fen stay as they were, and nothing is done twice. Without it everything else goes on."""
import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.ledger import Books, check_books  # noqa: E402
from support.moving import Move, instance, log_has  # noqa: E402
from support.people import id_number, person  # noqa: E402
from support.postgres import Postgres  # noqa: E402
from support.stack import CARE, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

VILLAGE = "430102001001"
RATE = ["--rate-scale=100"]


class Scene:
    """A clerk who enters people, and a treasurer whose fund pays them."""

    def __init__(self, s):
        self.s, self.people, self.books = s, {}, Books(s)
        self.clerk = s.login("clerk")
        fund = self.books.fund()
        self.source, self.province, self.spent = (self.books.account(fund, kind) for kind in ("SOURCE", "BUDGET", "SPENT"))
        self.books.move(self.source, self.province, 1_000_000)
        self.moved = 0

    def enter(self, number, **headers):
        p = person(number, VILLAGE)
        body = {"organization": VILLAGE, "name": p["name"], "idNumber": p["idNumber"], "phone": p["phone"]}
        answer = wait_until("care knows the village", lambda: (lambda r: None if r.status == 404 else r)(
            self.s.call("POST", "/v1/recipients", body, token=self.clerk, headers=headers)), 30)
        self.people[answer.ok()["id"]] = number
        return answer.json["id"]

    def pay(self, amount=100):
        reserved = self.books.move(self.province, self.spent, amount, "PENDING")
        self.books.settle("POST", reserved).ok()
        self.moved += amount

    def goes_on(self):
        self.enter(1000 + len(self.people))
        self.pay()

    def check(self, store=None, *options):
        """Everybody is there and can be opened; the books are in order, as they were signed, and say what was paid."""
        for recipient, number in self.people.items():
            opened = self.s.call("POST", f"/v1/recipients/{recipient}:reveal", {"purpose": "上门慰问核对"}, token=self.clerk).ok()
            expect("the number", opened["idNumber"], id_number(number))
        check_books(self.s)
        where = store or ("sqlite:" + self.s.store_file("care") if self.s.engine == "sqlite" else self.s.store_url("care"))
        self.state()
        self.s.cli("ledger", "verify", "--store", where, *options)
        expect("what was spent", self.books.balance(self.spent), (self.moved, 0, 0, 0, self.moved))

    def state(self):
        """What the service says of the ledger's chain, once all rows are in it."""
        rows = sum(self.s.rows("care", f"SELECT COUNT(*) FROM {t}")[0][0] for t in ("ledger_transfer", "ledger_account", "fund"))
        return wait_until("the chain has every row", lambda: (lambda l: l if int(l.get("rows", 0)) == rows else None)(
            json.loads(self.s.cli("call", "GetLedgerState", "{}", "--json").stdout)), 30)


def readyz(s, name):
    port = [w.split("=")[1] for w in s.log_of(name).split() if w.startswith("admin_port=")][-1]
    c = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    try:
        c.request("GET", "/readyz")
        r = c.getresponse()
        return r.status, r.read().decode()
    finally:
        c.close()


class Payers:
    """Clerks and treasurers at work: each payment once, whatever happens to the service meanwhile."""

    def __init__(self, scene, workers=4):
        self.scene, self.failed, self.done = scene, [], 0
        self._end, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]

    def _work(self):
        c = self.scene
        body = {"transfers": [{"kind": "TRANSFER", "debit": c.province["id"], "credit": c.spent["id"], "amount": "1"}]}
        while not self._end.is_set():
            key = {"Idempotency-Key": str(uuid.uuid4())}
            r = c.s.call("POST", "/v1/transfers", body, token=c.books.token, headers=key, retry_503=True)
            with self._lock:
                if r.status == 200:
                    self.done += 1
                else:
                    self.failed.append((r.status, r.body))

    def goes_on(self, n=20):
        at = self.done
        wait_until("payments go on", lambda: self.done >= at + n or self.failed, 30)
        expect("payments that failed", self.failed, [])

    def __enter__(self):
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, kind, *_):
        self._end.set()
        for t in self._threads:
            t.join()
        self.scene.moved += self.done
        if not kind:
            expect("payments that failed", self.failed, [])


def mend(path, end):
    with contextlib.suppress(FileNotFoundError):
        os.rename(path + end, path + end + ".lost")


def stopped(s, change):
    """change() while nothing runs; then all runs again on the same data."""
    keep, s.keep = s.keep, True
    s.stop()
    s.keep = keep
    change()
    s.start()


@story("care is scaled up and down and restarted under payments: none fails, none is done twice, nobody is lost")
def scaled():
    with Stack(instances=CARE, gateway_options=RATE) as s:
        scene = Scene(s)
        scene.goes_on()
        with Payers(scene) as payers:
            payers.goes_on()
            for numbers in ("care=3", "care=2"):
                s.cli("scale", numbers)
                payers.goes_on()
            for name in ("care-1", "care-2"):
                s.cli("restart", name)
                payers.goes_on()
            s.cli("scale", "care=1")
            payers.goes_on()
        scene.goes_on()
        scene.check()


@story("the only instance is killed, again and again: payments wait for the next, and every fen is where it was")
def killed():
    with Stack(instances={"care": 1}, gateway_options=RATE) as s:
        scene = Scene(s)
        scene.enter(1)
        with Payers(scene) as payers:
            for _ in range(4):
                payers.goes_on(30)
                before = s.kill("care-1")
                wait_until("it is back", lambda: s.pid("care-1") not in (None, before), 20)
            payers.goes_on(30)
        scene.goes_on()
        scene.check()
        scene.state()


@story("of two instances the one that writes is killed: the other takes over, and payments go on")
def two():
    with Stack(instances={"care": 2}, gateway_options=RATE) as s:
        scene = Scene(s)
        instances = lambda: {i["instance"]: i for i in json.loads(s.cli("status", "--json").stdout) if i["service"] == "care"}
        expect("who writes", len([i for i in instances().values() if i.get("mayWrite")]), 2 if s.engine == "postgresql" else 1)
        with Payers(scene) as payers:
            for _ in range(3):
                payers.goes_on()
                writer = next(n for n, i in instances().items() if i.get("mayWrite"))
                before = s.kill(writer)
                payers.goes_on()
                wait_until("both are there", lambda: s.pid(writer) not in (None, before) and len(instances()) == 2, 30, 0.1)
        scene.goes_on()
        scene.check()


@story("where care is left out no gateway waits for it; when it comes it is served")
def left_out():
    with Stack(instances={"care": 0}, gateway_options=RATE) as s:
        expect("at once", (lambda status, said: (status, sorted(said.split("\n"))))(*readyz(s, "gateway-1")),
               (200, ["", "activity up", "care down", "membership up", "stream up"]))
        s.cli("scale", "care=1")
        scene = Scene(s)
        scene.goes_on()
        wait_until("the gateway says so", lambda: "care up" in readyz(s, "gateway-1")[1])
        s.cli("scale", "care=0")
        s.cli("restart", "gateway-1")
        expect("at once, again", readyz(s, "gateway-1")[0], 200)
    r = subprocess.run([os.path.join(s.bin, "nuanxin-gateway"), "--without=cares", "--http=127.0.0.1:0"], capture_output=True, text=True, timeout=20)
    assert r.returncode == 1 and "--without: give a service's name" in r.stderr, r


@story("while care is away only its own routes are, and it learns afterwards what happened meanwhile")
def away():
    with Stack(instances={"care": 1}, gateway_options=RATE) as s:
        scene, admin = Scene(s), s.login("admin")
        s.cli("scale", "care=0")
        s.call("GET", f"/v1/recipients?organization={VILLAGE}", token=scene.clerk).refused(503, "unavailable")
        s.call("GET", f"/v1/organizations/{VILLAGE}", token=scene.clerk).ok()
        s.call("POST", "/v1/organizations", {"code": "430102001999", "parent": "430102001", "kind": "VILLAGE", "name": "新村"}, token=admin).ok()
        s.cli("scale", "care=1")
        p = person(7, "430102001999")
        body = {"organization": "430102001999", "name": p["name"], "idNumber": p["idNumber"]}
        wait_until("care knows the new village", lambda: s.call("POST", "/v1/recipients", body, token=scene.clerk).status == 200, 30, 0.1)
        scene.goes_on()
        scene.check()


@story("restored from its backup care is what it was then: people can be opened, the books and their chain are whole and go on")
def restored():
    with Stack(instances=CARE, gateway_options=RATE) as s:
        scene = Scene(s)
        for number in (1, 2, 3):
            scene.enter(number)
            scene.pay()
        before = scene.state()
        path = os.path.join(s.folder, "care-backup")
        store = "sqlite:" + s.store_file("care") if s.engine == "sqlite" else s.store_url("care")
        s.cli("backup", store, path)
        with open(path, "rb") as f:
            content = f.read()
        for secret in (id_number(1), "recipient", "ledger"):
            assert secret.encode() not in content, secret
        lost = scene.enter(4)
        scene.pay()
        r = s.cli("restore", path, store, check=False)
        assert r.returncode == 1 and ("stop it first" if s.engine == "sqlite" else "is not empty") in r.stderr, r.stderr

        def restore():
            if s.engine == "sqlite":
                for end in ("", "-wal", "-shm", ".lock"):
                    mend(s.store_file("care"), end)
            else:
                s.database.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION nuanxin", "care")
            s.cli("restore", path, store)

        stopped(s, restore)
        scene.clerk = s.login("clerk")
        expect("what came later", s.call("GET", f"/v1/recipients/{lost}", token=scene.clerk).status, 404)
        del scene.people[lost]
        scene.moved -= 100
        told = s.cli("ledger", "verify", "--store", store, check=False)
        assert told.returncode == 1 and "were taken away by a restore" in told.stdout and "give --restored" in told.stdout, told.stdout
        scene.check(None, "--restored")
        expect("the chain", {k: scene.state().get(k) for k in ("rows", "head")}, {k: before.get(k) for k in ("rows", "head")})
        scene.goes_on()
        scene.check(None, "--restored")
        assert int(scene.state()["rows"]) > int(before["rows"])


@story("moved to PostgreSQL under payments: writes pause for less than two seconds, none fails, and every fen is there")
def moved():
    with Postgres() as pg, Stack(engine="sqlite", instances={"care": 1}, gateway_options=RATE) as s, contextlib.ExitStack() as stack:
        scene, target = Scene(s), pg.url("care")
        scene.goes_on()
        before = scene.state()
        with Payers(scene) as payers:
            payers.goes_on()
            move = Move(s, "care", target)
            move.wait_for("waiting for instances")
            stack.enter_context(instance(s, "care-1", "care-9", target))
            status, answer = move.end()
            expect("status: " + move.said(), status, 0)
            assert json.loads(answer)["pauseMs"] < 2000, answer
            payers.goes_on()
            scene.goes_on()
        assert log_has(s, "care-9", "this instance writes")
        s.rows = lambda service, sql: pg.rows(sql, service)
        scene.check(target)
        expect("people", s.rows("care", "SELECT COUNT(*) FROM recipient"), [(len(scene.people),)])
        assert int(scene.state()["rows"]) > int(before["rows"])


if __name__ == "__main__":
    main()
