# SPDX-License-Identifier: Apache-2.0
"""Where a load runs: a stack with a campaign of its own, and what stories of faults ask of it."""
import contextlib
import json
import random
import time

from .people import person
from .stack import Stack
from .story import wait_until
from .world import make_activity, make_members, rfc3339


@contextlib.contextmanager
def scene(n_members=400, n_activities=20, kind=Stack, **stack):
    """A stack with a campaign of its own; yields it, the administrator's token, the campaign and all (activity, member) pairs."""
    with kind(gateway_options=["--rate-scale=100"], **stack) as s:
        admin = s.login("admin")
        campaign = s.call("POST", "/v1/campaigns", {"organization": "43", "title": "故障演练", "startTime": rfc3339(-86400),
                                                     "endTime": rfc3339(86400 * 3)}, token=admin).ok()["id"]
        s.call("POST", f"/v1/campaigns/{campaign}:open", token=admin).ok()
        villages = ["430102001001", "430103002001", "430202001001", "430302001001"]
        members = make_members(s, admin, [person(i, villages[i % 4]) for i in range(n_members)])
        activities = [make_activity(s, admin, mode="ONLINE", campaign=campaign) for _ in range(n_activities)]
        pairs = [(a["id"], m["id"]) for a in activities for m in members]
        random.Random(5).shuffle(pairs)
        yield s, admin, campaign, pairs


def admin_again(s):
    return wait_until("one can sign in", lambda: login_or_none(s), 20)


def login_or_none(s):
    with contextlib.suppress(AssertionError, OSError):
        return s.login("admin")
    return None


def timed(fn):
    started = time.monotonic()
    fn()
    return time.monotonic() - started


def status(s):
    return json.loads(s.cli("status", "--json", check=False).stdout)
