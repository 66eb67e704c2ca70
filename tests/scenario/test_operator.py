#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A careless operator: what is lost or damaged under the stack is said in one line, or made anew; never half-way."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import id_number, person  # noqa: E402
from support.stack import BIN, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import list_members, make_members  # noqa: E402

VILLAGE = "430102001001"


def stopped(s):
    """Stops the stack and gives the folder of its data, to do harm in."""
    s.stop()
    return s.var


def starts_and_works(s):
    s.start()
    s.call("GET", "/v1/organizations/43", token=s.api_key).ok()
    s.call("GET", f"/v1/campaigns/{s.campaign}", token=s.api_key).ok()
    return s.login("admin")


def must_not_start(s, line):
    try:
        s.start()
    except AssertionError as e:
        said = str(e)
    else:
        said = "it starts"
    finally:
        s.stop()
    assert line in said, f"{line!r} is not in: {said[:600]}"


@story("a second stack in the same folder, or at the same port, does not start and says why")
def second(s):
    run = lambda http, var: subprocess.run([os.path.join(BIN, "nuanxin-runner"), "--http", http, "--var", var], capture_output=True,
                                           text=True, timeout=30)
    r = run("127.0.0.1:0", s.var)
    assert r.returncode and "already runs" in r.stdout + r.stderr, r
    with tempfile.TemporaryDirectory(dir="/tmp") as other:
        r = run(s.address, other)
        assert r.returncode and "choose another port" in r.stdout + r.stderr, r


@story("sealed data without its keyring, or with a damaged one, are left as they are")
def keys(s):
    make_members(s, s.login("admin"), [person(4200, VILLAGE)], VILLAGE)
    var = stopped(s)
    keyring, backup = os.path.join(var, "keys", "keyring"), os.path.join(s.folder, "keyring")
    shutil.copy(keyring, backup)
    os.chmod(keyring, 0o644)
    must_not_start(s, "for its owner only")
    os.truncate(keyring, os.path.getsize(keyring) - 8)
    os.chmod(keyring, 0o600)
    must_not_start(s, "damaged")
    os.unlink(keyring)
    if s.engine == "sqlite":  # elsewhere the runner cannot know what the store holds
        must_not_start(s, "put its backup back")
    shutil.copy(backup, keyring)
    os.chmod(keyring, 0o600)
    admin = starts_and_works(s)
    member = list_members(s, admin, VILLAGE)[0]["id"]
    revealed = s.call("POST", f"/v1/members/{member}:reveal", {"purpose": "核对"}, token=admin).ok()
    expect("what was sealed", revealed["idNumber"], id_number(4200))


@story("what is lost of the stores, of Redis or of the credentials is made anew, and what is printed works")
def lost(s):
    for harm in ("store/*", "store/membership.db*", "store/activity.db*", "redis", "credentials.json", "bus"):
        for path in glob.glob(os.path.join(stopped(s), harm)):
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        starts_and_works(s)


@story("an emptied Redis ends all sessions and nothing else")
def emptied(s):
    admin = s.login("admin")
    s.call("GET", "/v1/organizations/43", token=admin).ok()
    subprocess.run(["redis-cli", "-s", os.path.join(s.var, "redis.sock"), "flushall"], check=True, stdout=subprocess.DEVNULL)
    wait_until("the session is over", lambda: s.call("GET", "/v1/organizations/43", token=admin).status == 401)
    wait_until("the API key works", lambda: s.call("GET", "/v1/organizations/43", token=s.api_key).status == 200)
    s.login("admin")


class Kept(Stack):
    """Stays where it is while a story stops and starts it."""

    def __init__(self):
        super().__init__(var=tempfile.mkdtemp(prefix="nxt", dir="/tmp"))

    def start(self):
        self._local.connection = None
        super().start()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


if __name__ == "__main__":
    main(Kept())
