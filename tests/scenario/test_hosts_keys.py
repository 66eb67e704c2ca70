#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who may call whom between hosts: by configured keys, whatever Redis says. Real processes on addresses of their own."""
import contextlib
import glob
import os
import shutil
import socket
import subprocess
import sys

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.hosts import REDIS_PASSWORD, Hosts  # noqa: E402
from support.stack import BIN  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

REFUSED = "a caller was refused: its CURVE key is not among callers"


def one(s, token=None):
    return s.call("GET", "/v1/organizations/43", token=token or s.api_key)


@story("services and gateways on several addresses work together, and the operator reaches them with a key")
def together(s):
    expect("the province", one(s).ok()["code"], "43")
    token = s.login("clerk")
    expect("the county", s.call("GET", "/v1/organizations/430102", token=token).ok()["code"], "430102")
    status = s.cli("status").stdout
    assert "membership-1" in status and "activity-1" in status, status


@story("tcp:// beyond this host without keys is refused with a line that says what to do")
def no_keys(s):
    for words in (["--bus", "tcp://0.0.0.0:*", "--advertise", "tcp://10.0.0.2:*"],
                  ["--bus", os.path.join(s.var, "bus"), "--peer", "activity=tcp://192.0.2.1:7002"]):
        r = subprocess.run([os.path.join(BIN, "nuanxin-membership"), "--instance", "other", "--store", f"sqlite:{s.folder}/other.db", "--keys",
                            os.path.join(s.var, "keys"), *words], capture_output=True, text=True, timeout=20)
        assert r.returncode and "nuanxin keys curve make" in r.stderr, r.stderr
    r = subprocess.run([os.path.join(BIN, "nuanxin-membership"), "--instance", "other", "--store", f"sqlite:{s.folder}/other.db", "--keys",
                        os.path.join(s.var, "keys"), "--curve", os.path.join(s.var, "curve"), "--bus", "tcp://0.0.0.0:*"],
                       capture_output=True, text=True, timeout=20)
    assert r.returncode and "--advertise" in r.stderr, r.stderr


def raw(s, role=None, secret=None, server=None):
    """A socket to membership as somebody who has these keys."""
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.linger = 0
    if secret:
        dealer.curve_secretkey, dealer.curve_publickey = secret, zmq.curve_public(secret)
        dealer.curve_serverkey = server
    dealer.connect(f"tcp://{s.host('membership-1').address}:7001")
    dealer.send_multipart([b"\x12\x00", b""])
    return context, dealer


def public_of(s, role):
    with open(os.path.join(s.var, "curve", role, "self.key"), "rb") as f:
        return zmq.curve_public(f.read().strip())


@story("a caller without a key, or with a strange one, gets nothing, and that is said once")
def strangers(s):
    membership = s.part("membership-1")
    before = membership.log().count("bus_malformed")
    _, secret = zmq.curve_keypair()
    sockets = [raw(s), raw(s, secret=secret, server=public_of(s, "membership")), raw(s, secret=secret, server=public_of(s, "membership"))]
    wait_until("the strange key is refused", lambda: membership.said(REFUSED))
    wait_until("the caller without one is refused", lambda: membership.said("does not speak CURVE"))
    for context, dealer in sockets:
        expect("an answer", dealer.poll(700), 0)
        context.destroy(linger=0)
    expect("said", membership.log().count(REFUSED), 1)
    expect("said", membership.log().count("does not speak CURVE"), 1)
    expect("malformed", membership.log().count("bus_malformed"), before)
    one(s).ok()


@story("a role that was not let in is refused, even with a good key, and works once it is")
def not_let_in(s):
    curve, activity = os.path.join(s.var, "curve"), os.path.join(s.folder, "hosts", "activity-1", "curve", "activity")
    s.cli("keys", "curve", "deny", "operator", "activity")
    os.unlink(os.path.join(activity, "callers", "operator.pub"))
    wait_until("activity has read its keys", lambda: s.part("activity-1").said("the CURVE keys were read again"))
    r = s.cli("call", "nuanxin.activity.v1.Activities.ListCampaigns", '{"organization":"43"}', check=False)
    assert r.returncode, r.stdout
    s.cli("keys", "curve", "allow", "operator", "activity")
    s.copy_of("curve", "activity-1", "activity")
    wait_until("activity has read its keys", lambda: s.part("activity-1").said("the CURVE keys were read again", 2))
    s.cli("call", "nuanxin.activity.v1.Activities.ListCampaigns", '{"organization":"43"}')
    assert os.path.exists(os.path.join(curve, "activity", "callers", "operator.pub"))


@story("a key that is taken out counts at once, for connections that stand too; the gateway goes on when it is back")
def taken_out(s):
    path = os.path.join(s.folder, "hosts", "membership-1", "curve", "membership", "callers", "gateway.pub")
    shutil.move(path, path + ".away")
    wait_until("the gateway's requests get nothing", lambda: s.part("membership-1").said("its CURVE key was taken out"), 10)
    r = s.call("GET", "/v1/organizations/43", token=s.api_key)
    assert r.status in (503, 504), r.status
    expect("said", s.part("membership-1").log().count("its CURVE key was taken out"), 1)
    shutil.move(path + ".away", path)
    wait_until("it serves again", lambda: one(s).status == 200, 20)


class Impostor:
    """Stands at an address with keys of its own, and notes whether anybody tells it anything."""

    def __init__(self, s, address, curve):
        self.context = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.router.linger = 0
        if curve:
            self.router.curve_publickey, self.router.curve_secretkey = zmq.curve_keypair()
            self.router.curve_server = True
        self.router.bind(f"tcp://{address}:*")
        self.endpoint = self.router.last_endpoint.decode().rstrip("\0")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.destroy(linger=0)


@story("an impostor that Redis names as a service is told nothing by anybody")
def impostor(s):
    redis = s.redis_hosts[0]
    with contextlib.ExitStack() as stack:
        impostors = [stack.enter_context(Impostor(s, f"{s.net}.99", curve)) for curve in (True, False)]
        for i, imp in enumerate(impostors):
            s.redis_cli(redis, "SADD", "instances", f"membership:impostor-{i}")
            s.redis_cli(redis, "SET", f"instance:membership:impostor-{i}", f"endpoint={imp.endpoint} admin= may_write=1 draining=0", "PX", "60000")
        # Activity under membership's name: a good key, but not that service's.
        s.redis_cli(redis, "SADD", "instances", "membership:crossed")
        s.redis_cli(redis, "SET", "instance:membership:crossed", f"endpoint=tcp://{s.host('activity-1').address}:7002 admin= may_write=1 draining=0",
                    "PX", "60000")
        for imp in impostors:
            wait_until("the gateway has tried it", lambda e=imp.endpoint: any(
                "has not proved to be the service" in line and e in line for line in s.part("gateway-1").log().splitlines()), 20)
        for _ in range(300):
            one(s).ok()
        for imp in impostors:
            expect("what it heard", imp.router.poll(300), 0)
        lines = [line for line in s.part("gateway-1").log().splitlines() if "has not proved" in line]
        expect("lines", len(lines), 3)
    for name in ("impostor-0", "impostor-1", "crossed"):
        s.redis_cli(redis, "DEL", f"instance:membership:{name}")


@story("a role's key is rotated without one failed request: both count until the old one is retired")
def rotation(s):
    def copy_to_all(*changed):
        read = {}
        for name, part in s.parts.items():
            if name.split("-")[0] in ("membership", "activity", "care", "gateway"):
                read[name] = part.log().count("the CURVE keys were read again")
                s.copy_of("curve", name, name.split("-")[0])
        for name in changed:
            wait_until(f"{name} has read them", lambda: s.part(name).said("the CURVE keys were read again", read[name] + 1))

    def served():
        for _ in range(50):
            one(s).ok()

    old = public_of(s, "membership")
    s.cli("keys", "curve", "rotate", "membership")
    copy_to_all("gateway-1", "activity-1", "care-1")
    served()
    s.cli("keys", "curve", "switch", "membership")
    copy_to_all()
    assert public_of(s, "membership") != old
    s.part("membership-1").stop()
    s.part("membership-1").start()
    served()
    s.cli("keys", "curve", "retire", "membership")
    copy_to_all("gateway-1", "activity-1", "care-1")
    with open(os.path.join(s.folder, "hosts", "gateway-1", "curve", "gateway", "services", "membership.pub"), "rb") as f:
        expect("keys of membership", f.read().split(), [public_of(s, "membership")])
    served()



@story("a service that is new, and a door: their keys are made beside those that are there, and every folder that changed is named")
def new_role(s):
    at = os.path.join(s.folder, "other-curve")
    make = lambda: s.cli("--curve", at, "keys", "curve", "make").stdout
    make()
    kept = public_in(at, "membership")
    for role in ("care", "stream", "edge"):
        shutil.rmtree(os.path.join(at, role))
        for path in glob.glob(os.path.join(at, "*", "*", role + ".pub")):
            os.unlink(path)
    said = make()
    assert said.startswith(f"{at}: 3 roles made, 4 were there\n"), said
    expect("what is to be copied", sorted(os.path.basename(line.split()[1]) for line in said.splitlines()[1:]),
           ["activity", "care", "edge", "gateway", "membership", "operator", "stream"])
    expect("membership's key", public_in(at, "membership"), kept)
    names = lambda role, which: sorted(f[:-4] for f in os.listdir(os.path.join(at, role, which)))
    expect("whom the stream lets in", names("stream", "callers"), ["edge", "gateway", "operator"])
    expect("whom the edge calls", (names("edge", "callers"), names("edge", "services")), ([], ["stream"]))
    expect("whom the stream follows", names("stream", "services"), ["activity", "care", "membership"])
    expect("whom care lets in, and calls", (names("care", "callers"), names("care", "services")), (["gateway", "operator", "stream"], ["membership"]))
    assert "stream" in names("membership", "callers") and "stream" not in names("membership", "services")
    expect("again", make(), f"{at}: 0 roles made, 7 were there\n")


def public_in(folder, role):
    with open(os.path.join(folder, role, "self.key"), "rb") as f:
        return zmq.curve_public(f.read().strip())


@story("in all of this nobody of ours asked for more than its role may")
def within_roles(s):
    for name in ("membership-1", "activity-1", "care-1", "stream-1"):
        assert not s.part(name).said("role may not ask"), name


main(Hosts(instances={"care": 1}, redis_nodes=1, gateways=1, sentinels=0))
