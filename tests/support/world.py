# SPDX-License-Identifier: Apache-2.0
"""What most stories need first: members and an open activity, made through the gateway."""
import datetime
import json

from .people import csv_of
from .story import wait_until


def rfc3339(seconds_from_now):
    t = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds_from_now)
    return t.strftime("%Y-%m-%dT%H:%M:%SZ")


def operation_done(s, operation, token, seconds=60):
    def ended():
        o = s.call("GET", f"/v1/membership/operations/{operation['id']}", token=token).ok()
        return o if o["state"] in ("SUCCEEDED", "FAILED") else None

    return wait_until("the import has ended", ended, seconds)


def list_members(s, token, organization="43"):
    r = s.call("GET", f"/v1/members?organization={organization}&pageSize=1000", token=token, headers={"Accept": "application/x-ndjson"})
    assert r.status == 200, r.body
    return [json.loads(line) for line in r.body.splitlines()]


def make_members(s, token, people, organization="43"):
    """Imports them and returns the members as listed, in the order of `people` (found by their masked phone's end)."""
    before = {m["id"] for m in list_members(s, token, organization)}
    r = s.call("POST", f"/v1/members:import?organization={organization}", csv_of(people), token=token, headers={"Content-Type": "text/csv"}).ok()
    done = operation_done(s, r, token)
    assert done["state"] == "SUCCEEDED" and not done.get("rowsRefused"), str(done)[:600]
    made = [m for m in list_members(s, token, organization) if m["id"] not in before]
    assert len(made) == len(people), f"{len(made)} of {len(people)} members are listed"
    # activity learns of members by following membership's events, in their order: once it knows the last, it knows all.
    last = max(m["id"] for m in made)
    wait_until("activity knows the members", lambda: s.call("GET", f"/v1/members/{last}/registrations", token=s.api_key).status == 200, 30)
    return made


def make_activity(s, token, organization="43", mode="BOTH", campaign=None, start=-3600, end=86400, open_it=True, **fields):
    body = {"campaign": campaign or s.campaign, "organization": organization, "title": "签到测试", "category": "HEALTH", "mode": mode,
            "startTime": rfc3339(start), "endTime": rfc3339(end), **fields}
    if mode != "ONLINE":
        body.setdefault("place", "村综合服务中心")
    if mode != "ON_SITE":
        body.setdefault("link", "https://live.example.org/529")
    activity = s.call("POST", "/v1/activities", body, token=token).ok()
    if open_it:
        activity = s.call("POST", f"/v1/activities/{activity['id']}:open", token=token).ok()
    return activity
