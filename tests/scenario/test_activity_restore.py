#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A restore from a backup begins new histories: what activity derives from events comes back, from snapshots and rows."""
import contextlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import person  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members  # noqa: E402


@contextlib.contextmanager
def scene():
    with Stack(gateway_options=["--rate-scale=100"]) as s:
        yield s


def counts(s, organization):
    return int(s.call("GET", f"/v1/campaigns/{s.campaign}/counts?organization={organization}", token=s.api_key).ok()["total"].get("attended", 0))


@story("after a restore activity knows all organisations and members again, and counts what there is")
def restore(s):
    admin = s.login("admin")
    members = make_members(s, admin, [person(i, "430102001001") for i in range(1200)])
    a = make_activity(s, admin)
    check_in = lambda m: s.call("POST", f"/v1/activities/{a['id']}/checkins", {"member": m["id"]}, token=s.api_key)
    wait_until("activity knows the last member", lambda: check_in(members[-1]).status == 200, 10)
    for m in members[:9]:
        check_in(m).ok()
    wait_until("they are counted", lambda: counts(s, "43") == 10, 5)

    keep, s.keep = s.keep, True
    s.stop()
    s.execute("membership", "DELETE FROM rpc_epoch", "DELETE FROM rpc_outbox WHERE seq < (SELECT MAX(seq) FROM rpc_outbox)")
    s.execute("activity", "DELETE FROM rpc_epoch", "DELETE FROM member WHERE id <> 'x'", "DELETE FROM organization WHERE path LIKE '/43/4302/%'",
           "UPDATE campaign_count SET on_site = 7", "DELETE FROM activity_count")
    s.keep = keep
    s.start()

    wait_until("members and organisations are known again", lambda: check_in(members[500]).status == 200 and check_in(members[-1]).status == 200, 20)
    wait_until("the village counts right", lambda: counts(s, "430102001001") == 11, 5)
    expect("the province", counts(s, "43"), 11)
    expect("a county whose row was lost", counts(s, "430211"), 0)
    counted = s.call("GET", f"/v1/activities/{a['id']}", token=s.api_key).ok()["counts"]
    expect("the activity", counted["attended"], 11)


if __name__ == "__main__":
    main(scene())
