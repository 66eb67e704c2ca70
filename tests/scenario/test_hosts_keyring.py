#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Copies of the keyring on two hosts: a new master key in two steps, what happens in the wrong order, and a lost copy."""
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.hosts import Hosts  # noqa: E402
from support.people import id_number, person  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

LACKS = "this host's keyring lacks the master key that sealed this: copy the newest keyring here"
VILLAGE = "430102001001"


def new_member(s, token, number):
    p = person(number, VILLAGE)
    return s.call("POST", "/v1/members", {k: p[k] for k in ("organization", "name", "idNumber", "phone")}, token=token).ok()["id"]


def reveal(s, token, member):
    return s.call("POST", f"/v1/members/{member}:reveal", {"purpose": "上门慰问核对"}, token=token)


def writer(s):
    return wait_until("one writes", lambda: next((n for n in ("membership-1", "membership-2") if s.part(n).alive
                                                  and s.part(n).log().rpartition('msg="ended"')[2].count("writes now")), None))


def restart(s, name):
    s.part(name).stop()
    s.part(name).start()
    ready = s.part(name).log().count('msg="ready"')
    wait_until(f"{name} is ready", lambda: s.part(name).log().count('msg="ready"') >= max(ready, 1))


def hand_over(s):
    """The one that writes stops and comes back: the other one writes."""
    old = writer(s)
    restart(s, old)
    wait_until("the other one writes", lambda: writer(s) != old)
    return writer(s)


@story("in the right order nothing is ever sealed that a host cannot open, and nothing fails meanwhile")
def in_order(s):
    clerk = s.login("clerk")
    members = [new_member(s, clerk, 1)]
    for step in ("prepare", "activate"):
        s.cli("keys", step)
        for name in ("membership-1", "membership-2"):
            s.copy_of("keys", name)
            restart(s, name)
            members.append(new_member(s, clerk, len(members) + 1))
            for number, member in enumerate(members, 1):
                expect("the number", reveal(s, clerk, member).ok()["idNumber"], id_number(number))
    for name in ("membership-1", "membership-2"):
        assert LACKS not in s.part(name).log()


@story("in the wrong order the host that lacks the key says so and answers 503, until it has its copy")
def wrong_order(s):
    clerk = s.login("clerk")
    first = writer(s)
    s.cli("keys", "rotate")
    s.copy_of("keys", first)
    other = hand_over(s)
    hand_over(s)
    member = new_member(s, clerk, 101)  # sealed by the new key, on the host that has it
    hand_over(s)
    expect("who writes", writer(s), other)
    r = reveal(s, clerk, member)
    expect("without the key", r.status, 503)
    assert r.headers.get("Retry-After"), r.headers
    assert s.part(other).said(LACKS), s.part(other).log()[-2000:]
    s.copy_of("keys", other)
    restart(s, other)
    expect("with it", reveal(s, clerk, member).ok()["idNumber"], id_number(101))


@story("a host whose copy is lost or damaged does not start, says how to mend it, and starts with the backup")
def lost(s):
    backup = os.path.join(s.folder, "backup")
    s.cli("keys", "backup", backup)
    name = writer(s)
    folder = os.path.join(s.folder, "hosts", name, "keys")
    s.part(name).stop()
    shutil.move(folder, folder + ".away")
    s.part(name).start()
    wait_until("it has ended", lambda: not s.part(name).alive)
    assert s.part(name).said("put its backup back"), s.part(name).log()[-1000:]
    shutil.copytree(backup, folder)
    with open(os.path.join(folder, "keyring"), "r+") as f:
        f.seek(40)
        f.write("x")
    s.part(name).start()
    wait_until("it has ended", lambda: not s.part(name).alive)
    assert s.part(name).said("is damaged: restore it from its backup"), s.part(name).log()[-1000:]
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    os.chmod(folder, 0o700)
    restart(s, name)
    clerk = s.login("clerk")
    expect("sealed by it", reveal(s, clerk, new_member(s, clerk, 201)).ok()["idNumber"], id_number(201))


main(Hosts(redis_nodes=1, gateways=1, sentinels=0, instances={"membership": 2}))
