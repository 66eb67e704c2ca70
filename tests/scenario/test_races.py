#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many at once on one thing: exactly one wins, places are never sold twice, and counts equal a recount."""
import collections
import os
import random
import sys
import threading
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import csv_of, person  # noqa: E402
from support.stack import SEVERAL, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members, operation_done, rfc3339  # noqa: E402

VILLAGE, TOWNSHIPS, COUNTIES = "430102001001", ("430102001", "430102002", "430103002"), ("430102", "430103", "430104")
SEED = int(os.environ.get("NX_SEED", random.randrange(1 << 30)))


def at_once(s, requests, connections=50):
    print(f"# seed {SEED}") if not hasattr(s, "told") else None
    s.told = True
    return s.load([(method, path, body, {"Authorization": "Bearer " + s.admin, **(headers[0] if headers else {})})
                   for method, path, body, *headers in requests], connections)


def outcomes(answers):
    return collections.Counter(r.status if r.status < 400 else r.problem for r in answers)


def application(number):
    return {k: v for k, v in person(number, VILLAGE).items() if k != "joinDate"}


@story("of fifty who do the same thing at the same time one does it, and the others are told so")
def one_wins(s):
    member = s.call("POST", "/v1/members", application(1), token=s.admin).ok()["id"]
    expect("approving", outcomes(at_once(s, [("POST", f"/v1/members/{member}:approve", {})] * 50)), {200: 1, "member-state": 49})
    expect("applying", outcomes(at_once(s, [("POST", "/v1/members", application(2))] * 50)), {200: 1, "member-exists": 49})
    account = {"account": {"login": "racer", "organization": VILLAGE, "grants": [{"role": "ROLE_STAFF", "organization": VILLAGE}]},
               "password": "correct horse battery"}
    made = at_once(s, [("POST", "/v1/accounts", account)] * 10)
    expect("a login", outcomes(made), {200: 1, "login-taken": 9})
    url = next(f"/v1/accounts/{r.json['id']}" for r in made if r.status == 200)
    grants = [("POST", url + ":setGrants", {"grants": [{"role": role, "organization": VILLAGE}]}, {"If-Match": '"1"'})
              for role in ("ROLE_STAFF", "ROLE_VIEWER") * 25]
    expect("new grants of the same state", outcomes(at_once(s, grants)), {200: 1, "precondition-failed": 49})


@story("fifty requests with one key have one effect and one answer")
def one_key(s):
    answers = at_once(s, [("POST", "/v1/members", application(3), {"Idempotency-Key": str(uuid.uuid4())})] * 50)
    good = {r.body for r in answers if r.status == 200}
    expect("answers", len(good), 1)
    assert set(outcomes(answers)) <= {200, "idempotency-in-flight"}, outcomes(answers)


def registrations(s, activity):
    listed = s.call("GET", f"/v1/activities/{activity}/registrations?pageSize=1000", token=s.admin).ok()["registrations"]
    by = lambda state: [r for r in listed if r["state"] == state]
    return by("REGISTERED"), by("WAITING")


def check_places(s, activity):
    capacity = s.call("GET", f"/v1/activities/{activity}", token=s.admin).ok()["capacity"]
    placed, waiting = registrations(s, activity)
    assert len(placed) <= capacity, f"{len(placed)} have {capacity} places"
    assert not waiting or len(placed) == capacity, f"{len(waiting)} wait beside {capacity - len(placed)} free places"
    if waiting:
        assert max(int(r["position"]) for r in placed) < min(int(r["position"]) for r in waiting), "somebody was overtaken"

    def counted():
        counts = s.call("GET", f"/v1/activities/{activity}", token=s.admin).ok()["counts"]
        return int(counts.get("registered", 0)) == len(placed) and int(counts.get("waiting", 0)) == len(waiting)

    wait_until("the counts are those of a recount", counted, 5)


@story("two hundred register and cancel at random for one place, then for more: never too many, in order, and counted")
def places(s):
    chance = random.Random(SEED)
    activity = make_activity(s, s.admin, organization="43", capacity=1)["id"]
    url, known = f"/v1/activities/{activity}", {}
    for turn in range(10):
        requests = []
        for m in s.members:
            if m in known and chance.random() < 0.5:
                requests.append(("POST", f"{url}/registrations/{known[m]}:cancel", {}))
            else:
                requests.append(("POST", url + "/registrations", {"member": m}))
        requests += [("PATCH", url, {"capacity": chance.randrange(1, 30)}) for _ in range(10 if turn > 4 else 0)]
        chance.shuffle(requests)
        answers = at_once(s, requests)
        assert set(outcomes(answers)) <= {200, "already-registered", "activity-capacity-taken"}, outcomes(answers)
        known.update({r.json["member"]: r.json["id"] for r in answers if r.status == 200 and "member" in r.json})
        check_places(s, activity)


@story("check-ins in every way while the village and its township move about: each counts once, wherever they end up")
def moving(s):
    chance = random.Random(SEED)
    url = f"/v1/activities/{make_activity(s, s.admin, organization='43', mode='BOTH')['id']}/checkins"
    scans = [("POST", url, {chance.choice(("online", "member")): m, "device": f"d{i}", "nonce": m,
                            "occurredTime": rfc3339(-chance.randrange(1, 3000))}) for m in s.members for i in range(4)]
    moves = [("POST", f"/v1/organizations/{VILLAGE}:move", {"parent": chance.choice(TOWNSHIPS)}) for _ in range(30)]
    moves += [("POST", f"/v1/organizations/{TOWNSHIPS[0]}:move", {"parent": chance.choice(COUNTIES)}) for _ in range(30)]
    requests = scans + moves
    chance.shuffle(requests)
    expect("answers", outcomes(at_once(s, requests)), {200: len(requests)})
    path = s.call("GET", f"/v1/organizations/{VILLAGE}", token=s.admin).ok()["path"].strip("/").split("/")

    def attended(code):
        total = s.call("GET", f"/v1/campaigns/{s.campaign}/counts?organization={code}", token=s.admin).ok()["total"]
        return int(total.get("attended", 0))

    def members(code):
        return s.call("GET", f"/v1/organizations/{code}/counts", token=s.admin).ok().get("membersActive", 0)

    everyone = members(VILLAGE)
    for count, whole in ((attended, len(s.members)), (members, everyone)):
        wanted = {code: whole if code in path else 0 for code in ("43", "4301", *COUNTIES, *TOWNSHIPS, VILLAGE)}
        wait_until(f"{count.__name__} are {wanted}", lambda: {code: count(code) for code in wanted} == wanted, 10)


@story("one import sent twice at once and another of the same rows, with the service killed meanwhile: each row once")
def imports(s):
    rows = csv_of([person(100000 + i, VILLAGE) for i in range(5000)])
    before = s.call("GET", f"/v1/organizations/{VILLAGE}/counts", token=s.admin).ok()["membersActive"]
    operations, key = [], str(uuid.uuid4())

    def send(key):
        def sent():
            try:
                r = s.call("POST", "/v1/members:import?organization=43", rows, token=s.admin,
                           headers={"Content-Type": "text/csv", "Idempotency-Key": key})
            except OSError:
                return False
            assert r.status in (200, 409, 503), r.body
            return r.status == 200 and r.json

        operations.append(wait_until("the file is taken", sent, 60, every=0.2))

    senders = [threading.Thread(target=send, args=(k,)) for k in (key, key, str(uuid.uuid4()))]
    for t in senders:
        t.start()
    for _ in range(3):
        pid = s.kill("membership-1")
        wait_until("it runs again", lambda: s.pid("membership-1") not in (None, pid))
        wait_until("it serves", lambda: s.call("GET", f"/v1/organizations/{VILLAGE}", token=s.admin).status == 200)
    for t in senders:
        t.join()
    expect("operations", len({o["id"] for o in operations}), 2)
    done = [operation_done(s, o, s.admin) for o in operations]
    expect("rows", [d["rowsTotal"] for d in done], [5000] * 3)
    accepted = {d["id"]: int(d.get("rowsAccepted", 0)) for d in done}
    expect("rows that were new", sum(accepted.values()), 5000)
    wait_until("all are counted", lambda: s.call("GET", f"/v1/organizations/{VILLAGE}/counts", token=s.admin).ok()["membersActive"]
               == before + 5000)


class Crowd(Stack):
    def start(self):
        super().start()
        self.admin = self.login("admin")
        self.members = [m["id"] for m in make_members(self, self.admin, [person(1000 + i, VILLAGE) for i in range(200)], VILLAGE)]


if __name__ == "__main__":
    main(Crowd(instances=SEVERAL, gateway_options=["--rate-scale=1000"]))
