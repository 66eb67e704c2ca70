#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Versions meet: a fleet of two builds, an upgrade under load and back, a build that broke its word, a store that shrinks."""
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import variant  # noqa: E402
from support.load import Load, check_ledger  # noqa: E402
from support.reading import Reader  # noqa: E402
from support.scene import scene, status  # noqa: E402
from support.split import Extra  # noqa: E402
from support.stack import BIN, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

VERSIONS = {"old": BIN}
REFUSED = "gets none of the requests that it and this build understand differently"
COUNTY = "430102"


class Fleet(Stack):
    """A stack of the old version whose parts can be started anew as of another; begin: those that begin as another."""

    def __init__(self, begin=(), **options):
        super().__init__(**options)
        self.programs = variant.Bin(os.path.join(self.folder, "bin"), VERSIONS)
        self.bin = self.programs.folder
        for program, version in begin:
            self.programs.use(version, program)

    def build_of(self, name):
        pid = self.pid(name)
        return os.readlink(f"/proc/{pid}/exe") if pid else ""

    def renew(self, version, *names):
        """Each instance ends by SIGTERM and comes back as of this version; the next is not touched before it is ready."""
        for name in names:
            program = "nuanxin-" + name.rsplit("-", 1)[0]
            self.programs.use(version, program)
            before = self.kill(name, signal.SIGTERM)
            wait_until(f"{name} is back", lambda: self.pid(name) not in (None, before), 20)
            wait_until("all are ready", self.all_ready, 20)
            assert self.build_of(name).startswith(VERSIONS[version]), self.build_of(name)

    def all_ready(self):
        said = json.loads(self.cli("scale", "--json").stdout)["scale"]
        return all(row["ready"] == row["instances"] for row in said)

    def in_order(self, service):
        """The standby first: so the writer's place is taken by one that was renewed already."""
        return [i["instance"] for i in sorted(status(self), key=lambda i: i.get("mayWrite", False)) if i["service"] == service]


def get(s, path, token=None):
    return s.call("GET", path, token=token or s.api_key)


def village(s, admin, code):
    return s.call("POST", "/v1/organizations", {"code": code, "parent": "430102001", "kind": "VILLAGE", "name": "新村" + code}, token=admin)


def activity_knows(s, admin, code):
    body = {"campaign": s.campaign, "organization": code, "title": "新村活动", "category": "HEALTH", "mode": "ONLINE", "link": "https://a.example.org",
            "startTime": "2030-01-01T00:00:00Z", "endTime": "2030-01-02T00:00:00Z"}
    return wait_until("activity knows the new village", lambda: s.call("POST", "/v1/activities", body, token=admin).status == 200, 10)


@story("an older gateway and an older consumer beside a newer membership: everything goes on, what is unknown is counted")
def newer_service():
    with Fleet() as s:
        admin = s.login("admin")
        s.renew("new", "membership-1")
        village(s, admin, "430102001901").ok()
        get(s, "/v1/organizations/430102001901").ok()
        get(s, f"/v1/organizations/{COUNTY}/counts").ok()
        expect("a method that the gateway does not know", get(s, "/v1/organizations/430102001901/motto").status, 404)
        activity_knows(s, admin, "430102001901")
        assert s.metric("activity-1", "nuanxin_consumer_unknown_total", "activity.membership") >= 1
        expect("lines about it", s.log_of("activity-1").count("events of unknown types are passed over"), 1)
        assert REFUSED not in s.log_of("gateway-1") + s.log_of("activity-1")


@story("a newer gateway before an older service: what both understand goes on, the rest is 503, and one line names both builds")
def newer_gateway():
    with Fleet() as s:
        old = status(s)[0]["build"]
        s.renew("new", "gateway-1")
        get(s, "/v1/organizations?parent=43").ok()
        get(s, f"/v1/organizations/{COUNTY}/counts").ok()  # its answer has a field more: it is empty
        for path in (f"/v1/organizations/{COUNTY}", f"/v1/organizations/{COUNTY}/motto"):
            for _ in range(2):
                get(s, path).refused(503, "unavailable")
        lines = [l for l in s.log_of("gateway-1").splitlines() if REFUSED in l]
        expect("lines", len(lines), 1)
        assert "instance=membership-1" in lines[0] and "GetOrganization" in lines[0] and f"build={old} our_build=90.0+" in lines[0], lines
        s.renew("new", "membership-1")
        wait_until("it is served", lambda: get(s, f"/v1/organizations/{COUNTY}").status == 200, 10)
        expect("motto", get(s, f"/v1/organizations/{COUNTY}/motto").status, 200)


@story("two versions of one service: each request goes where it is understood")
def two_versions():
    with Fleet(instances={"membership": 2, "gateway": 2}) as s:
        admin = s.login("admin")
        writer = s.in_order("membership")[1]
        older = next(n for n in ("membership-1", "membership-2") if n != writer)
        s.renew("new", writer)
        if s.engine == "sqlite":  # it comes back as a standby, newer than who writes now: it waits for its turn
            expect("who can be asked", [i["instance"] for i in status(s) if i["service"] == "membership"], [older])
            assert "the writer's build is older" in s.log_of(writer)
            get(s, f"/v1/organizations/{COUNTY}").ok()
            s.renew("old", older)
        wait_until("the newer one writes", lambda: any(i["instance"] == writer and i.get("mayWrite") for i in status(s)), 10)
        s.renew("new", "gateway-1", "gateway-2")
        for i in range(20):  # both serve what both understand, the newer one alone the rest
            get(s, f"/v1/organizations/{COUNTY}").ok()
            get(s, f"/v1/organizations/{COUNTY}/motto").ok()
            get(s, "/v1/organizations?parent=43").ok()
            village(s, admin, f"4301020019{i:02}").ok()
        made = [f"4301020019{i:02}" for i in range(20)]
        mottos = [get(s, f"/v1/organizations/{code}/motto").ok()["motto"] for code in made]
        # What the older one made, where both write, has none.
        assert all(m == "新村" + code or (s.engine == "postgresql" and not m) for code, m in zip(made, mottos)) and any(mottos), mottos


@story("a build that broke its word gets none of the requests that it would misread, and all others")
def broken_word():
    with Fleet() as s:
        s.renew("broken", "membership-1")
        get(s, f"/v1/organizations/{COUNTY}").ok()
        for _ in range(2):
            get(s, "/v1/organizations?parent=43").refused(503, "unavailable")
        lines = [l for l in s.log_of("gateway-1").splitlines() if REFUSED in l]
        expect("lines", len(lines), 1)
        assert "ListOrganizations" in lines[0] and "build=91.0+" in lines[0], lines


def load_through(change):
    """Steady load from before until after change(s, admin), and an agency that reads: no request may fail."""
    everything = {"membership": 2, "activity": 2, "care": 2, "stream": 2, "gateway": 2, "edge": 2}
    with scene(n_members=800, n_activities=60, kind=Fleet, instances=everything) as (s, admin, campaign, pairs):
        with Load(s, s.api_key, pairs, workers=6, retry=False) as load, Reader(s) as reader:
            load.wait_for(200)
            s.strict = True
            change(s, load)
            load.wait_for(200)
            load.stop()
            s.strict = False
            expect("failed requests", load.failed, [])
            reader.goes_on(admin)
            reader.check()
            check_ledger(s, admin, load.acknowledged, campaign)
            print(f"# {len(load.acknowledged)} check-ins and {load.reads} reads, none failed")


def all_parts(s):
    return [*s.in_order("stream"), *s.in_order("activity"), *s.in_order("care"), *s.in_order("membership"), "gateway-1", "gateway-2", "edge-1", "edge-2"]


@story("a rolling restart of everything under load: no request fails")
def rolling_restart():
    def change(s, load):
        for name in all_parts(s):
            s.renew("old", name)
            load.wait_for(50)
        before = s.kill("redis", signal.SIGTERM)
        wait_until("Redis is back", lambda: s.pid("redis") not in (None, before), 20)
        load.wait_for(500)

    load_through(change)


@story("a rolling upgrade with a migration in it, services before gateways, and the way back: no request fails")
def rolling_upgrade():
    def change(s, load):
        for version in ("new", "old"):
            parts = all_parts(s)
            for name in parts if version == "new" else reversed(parts):  # back in the other order
                s.renew(version, name)
                load.wait_for(50)
            builds = {i["build"][:4] for i in status(s)}
            expect("builds", builds, {"90.0"} if version == "new" else {status(s)[0]["build"][:4]})

    load_through(change)


@story("a store loses what older builds need only on the operator's word, not while one is there, and then it refuses them")
def contraction():
    with Fleet(instances={"membership": 2}, begin=[("nuanxin", "new")]) as s:
        standby, writer = s.in_order("membership")
        expect("at first", s.cli("store", "contract", "membership").stdout, "membership has nothing to take away\n")
        s.renew("new", standby, writer)
        s.renew("old", writer)
        r = s.cli("store", "contract", "membership", check=False)
        expect("status", r.returncode, 1)
        assert f"{writer} is of a build (" in r.stderr and "091_motto.contract takes away: upgrade it first" in r.stderr, r.stderr
        s.renew("new", writer)
        said = s.cli("store", "contract", "membership").stdout
        assert said.startswith("membership/091_motto.contract has run"), said
        expect("again", s.cli("store", "contract", "membership").stdout, "membership has nothing to take away\n")
        get(s, f"/v1/organizations/{COUNTY}").ok()
        assert any("ContractStore" in e["method"] for e in json.loads(s.cli("audit", "--json").stdout)["entries"])
        s.programs.use("old", "nuanxin-membership")
        s.kill(writer)
        wait_until("it refuses the store", lambda: "this build is too old for the store" in s.log_of(writer) or
                   "has taken away what this build needs" in s.log_of(writer), 10)
        get(s, f"/v1/organizations/{COUNTY}").ok()
        s.programs.use("new", "nuanxin-membership")


@story("an older instance that nobody knew of ends by itself when the store has shrunk under it")
def unknown_instance():
    with Fleet(begin=[("nuanxin", "new"), ("nuanxin-membership", "old")]) as s:
        s.renew("new", "membership-1")
        hidden = os.path.join(s.folder, "hidden")
        os.mkdir(hidden, 0o700)
        with Extra(s, "membership-1", "membership-9", program=os.path.join(VERSIONS["old"], "nuanxin-membership"), bus=hidden,
                   redis="unix:" + os.path.join(hidden, "nothing")) as extra:
            wait_until("it is ready", lambda: extra.said('msg="ready"'), 20)
            s.cli("store", "contract", "membership")
            wait_until("it has ended", lambda: extra.process.poll() is not None, 20)
            assert extra.said("this build is too old for the store") and extra.said("091_motto.contract has taken away")
        get(s, f"/v1/organizations/{COUNTY}").ok()


if __name__ == "__main__":
    VERSIONS |= {"new": variant.newer(), "broken": variant.breaking()}
    main()
