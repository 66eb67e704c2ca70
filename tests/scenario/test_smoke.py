#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The main path once, from signing in to a count at the province. Also run on the sanitizer build."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import csv_of, person  # noqa: E402
from support.reading import fetch_at_edge, key_of  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_activity, make_members  # noqa: E402


@story("the organisations of the first run are there, by code, by name, and as a subtree")
def organizations(s):
    city = s.call("GET", "/v1/organizations/4301", token=s.api_key).ok()
    expect("the city's name", city["name"], "长沙市")
    found = s.call("GET", "/v1/organizations?q=%E8%8A%99%E8%93%89%E5%8C%BA", token=s.api_key).ok()
    assert any(o["code"] == "430102" for o in found["organizations"]), found
    children = s.call("GET", "/v1/organizations?parent=43&pageSize=100", token=s.api_key).ok()
    expect("cities", len(children["organizations"]), 14)


@story("a person signs in, is who they are, and signs out")
def sessions(s):
    token = s.login("clerk")
    s.call("GET", "/v1/organizations/430102", token=token).ok()
    s.call("DELETE", "/v1/sessions/current", token=token).ok()
    s.call("GET", "/v1/organizations/430102", token=token).refused(401, "unauthenticated")


@story("a wrong password and an unknown login are refused alike")
def wrong_password(s):
    answers = [s.call("POST", "/v1/sessions", {"login": login, "password": "not the password"})
               for login in ("clerk", "nobody-here")]
    texts = [{k: v for k, v in a.refused(401, "bad-credentials").items() if k != "traceId"} for a in answers]
    expect("the two answers", texts[0], texts[1])


@story("what lies outside one's organisation reads as not there")
def scope(s):
    token = s.login("village")
    s.call("GET", "/v1/members?organization=430103", token=token).refused(404, "not-found")


@story("members are imported, an activity is opened, they check in, and every level counts them")
def check_in(s):
    admin = s.login("admin")
    villages = ["430102001001", "430103002001", "430202001001"]
    members = make_members(s, admin, [person(i, villages[i % 3]) for i in range(30)])
    activity = make_activity(s, admin, organization="43", mode="BOTH")
    for i, m in enumerate(members):
        scan = {"online": m["id"]} if i % 2 else {"card": s.call("GET", f"/v1/members/{m['id']}/card", token=s.api_key).ok()["token"]}
        answer = s.call("POST", f"/v1/activities/{activity['id']}/checkins", scan, token=s.api_key).ok()
        assert not answer.get("refusal"), answer
    counts = lambda o: s.call("GET", f"/v1/campaigns/{s.campaign}/counts?organization={o}", token=s.api_key).ok()["total"]["attended"]
    wait_until("the province counts 30", lambda: counts("43") == 30, 5)
    expect("长沙", counts("4301"), 20)
    expect("a village", counts("430102001001"), 10)


@story("checking in again is no error and counts once")
def again(s):
    admin = s.login("admin")
    member = make_members(s, admin, [person(100, "430102001001")])[0]
    activity = make_activity(s, admin, organization="430102", mode="ONLINE")
    answers = [s.call("POST", f"/v1/activities/{activity['id']}/checkins", {"online": member["id"]}, token=s.api_key).ok()
               for _ in range(3)]
    expect("repeated", [bool(a.get("repeated")) for a in answers], [False, True, True])
    wait_until("one attended", lambda: s.call("GET", f"/v1/activities/{activity['id']}", token=s.api_key).ok()["counts"]["attended"] == 1, 5)


@story("another agency reads what happened, by HTTP and by ZeroMQ: of people only those who consent to its purpose")
def agency(s):
    admin, types = s.login("admin"), "nuanxin.activity.v1.CheckinRecorded"
    members = make_members(s, admin, [person(i, "430102001001") for i in (200, 201)])
    s.call("POST", f"/v1/members/{members[0]['id']}/consents", {"purpose": "accident-insurance", "version": "2026-01"}, token=admin).ok()
    activity = make_activity(s, admin, organization="430102", mode="ONLINE")
    for m in reversed(members):
        s.call("POST", f"/v1/activities/{activity['id']}/checkins", {"online": m["id"]}, token=s.api_key).ok()
    insurer = s.credentials["agency"]
    ways = {"HTTP": lambda at: s.call("GET", f"/v1/events?cursor={at}&types={types}&wait=1", token=key_of(s)).ok(),
            "ZeroMQ": lambda at: fetch_at_edge(s.edge_endpoint, s.edge_key, insurer["public"], insurer["secret"], cursor=at, types=[types], wait=1)[1]}
    for way, fetch in ways.items():
        cursor, seen = "", []

        def reads():
            nonlocal cursor
            batch = fetch(cursor)
            cursor = batch["cursor"]
            seen.extend(e["data"]["member"] for e in batch.get("events", []))
            return seen

        wait_until(f"the check-in is read by {way}", reads, 20)
        expect("of whom", seen, [members[0]["id"]])
    s.cli("stream", "verify", *(["--store", s.store_url("stream")] if s.database else []))


@story("bad input is answered with a pointer for each violation, in the reader's language")
def bad_input(s):
    admin = s.login("admin")
    answer = s.call("POST", "/v1/activities", {"campaign": "x", "title": "", "nope": 1}, token=admin,
                    headers={"Accept-Language": "zh-CN"}).refused(400)
    pointers = {v["pointer"] for v in answer["violations"]}
    assert "/nope" in pointers, answer
    assert any("一" <= c <= "鿿" for c in answer["title"]), answer


@story("the operator's command sees the instances, and who did what")
def operator(s):
    status = s.cli("status").stdout
    for name in ("membership-1", "activity-1", "stream-1"):
        assert name in status, status
    assert "CreateAccount" in s.cli("audit").stdout


if __name__ == "__main__":
    main(Stack())
