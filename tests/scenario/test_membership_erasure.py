#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a person may ask for: a copy of everything that is held about them, and that nothing of it is left."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import id_number, person  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.traces import files_with  # noqa: E402
from support.world import list_members, make_activity, make_members  # noqa: E402

VILLAGE = "430102001001"
WHY = {"purpose": "本人书面申请"}


def sign_in(s, who, sessions={}):
    """Signs in once a file: signing in is rationed."""
    if who not in sessions:
        sessions[who] = s.login(who)
    return sessions[who]


def make(s, number, **fields):
    """A member, approved by staff."""
    clerk = sign_in(s, "clerk")
    m = s.call("POST", "/v1/members", {**person(number, VILLAGE), **fields}, token=clerk).ok()
    return s.call("POST", f"/v1/members/{m['id']}:approve", token=clerk).ok()


def own_session(s, member):
    return s.call("POST", "/v1/sessions:exchange", {"member": member}, token=s.api_key).ok()["token"]


@story("who is erased leaves no trace in any file but the id, and every count stays right")
def erasing(s):
    admin, clerk = sign_in(s, "admin"), sign_in(s, "clerk")
    # Neighbours before and after, so that the rows stand in the middle of things.
    make_members(s, admin, [person(40000 + i, VILLAGE) for i in range(200)], VILLAGE)
    m = make(s, 40500, name="欧阳·抹去𠮷", phone="13987654321", joinDate="2019-03-07")
    make_members(s, admin, [person(40600 + i, VILLAGE) for i in range(200)], VILLAGE)
    url, own = f"/v1/members/{m['id']}", own_session(s, m["id"])
    s.call("PATCH", url, {"phone": "13912345678", "name": "欧阳·抹去𠮷𠮷"}, token=clerk).ok()

    activity = f"/v1/activities/{make_activity(s, admin, '430102', registrationRequired=True)['id']}"
    registered = s.call("POST", activity + "/registrations", {"member": m["id"]}, token=own).ok()
    scan = {"code": registered["code"], "device": "机器-40500-甲", "nonce": "随机-40500-乙"}
    expect("checked in", s.call("POST", activity + "/checkins", scan, token=clerk).ok().get("refusal", ""), "")
    other = f"/v1/activities/{make_activity(s, admin, '430102', registrationRequired=True)['id']}"
    refused = s.call("POST", other + "/checkins", {"member": m["id"], "device": "机器-40500-丙", "nonce": "x"}, token=clerk)
    expect("not registered there", refused.status, 422)
    count = lambda: s.call("GET", f"/v1/organizations/{VILLAGE}/counts", token=admin).ok()
    wait_until("counted", lambda: count()["membersActive"] >= 401)
    before = count()

    (secret,) = s.rows("membership", f"SELECT wrapped_key, id_number, phone, id_number_index, phone_index FROM member_secret WHERE member = '{m['id']}'")
    ((code,),) = s.rows("activity", f"SELECT code FROM registration WHERE member = '{m['id']}'")
    secrets = {"name": "欧阳·抹去𠮷".encode(), "phone": b"13912345678", "old phone": b"13987654321", "masked phone": b"139****5678",
               "ID number": id_number(40500).encode(), "join date": b"2019-03-07", "card number": m["number"].encode(),
               "code": code.encode(), "device": "机器-40500".encode(), "nonce": "随机-40500".encode(),
               **dict(zip(("wrapped key", "sealed ID number", "sealed phone", "index of the ID number", "index of the phone"), secret))}
    assert {what for _, what in files_with(s, secrets)} >= {"name", "wrapped key", "code", "device"}, "the test looks for the right things"

    s.call("POST", url + ":erase", {}, token=admin).refused(400, "invalid-argument")
    s.call("POST", url + ":erase", WHY, token=clerk).refused(403, "permission-denied")
    s.call("POST", url + ":erase", WHY, token=own).refused(403, "permission-denied")
    s.call("POST", url + ":erase", WHY, token=admin, headers={"If-Match": '"1"'}).refused(412, "precondition-failed")
    erased = s.call("POST", url + ":erase", WHY, token=admin).ok()
    expect("what is left", sorted(k for k, v in erased.items() if v), sorted(("id", "organization", "state", "createTime", "updateTime", "eraseTime", "etag")))
    expect("where", (erased["id"], erased["organization"], erased["state"]), (m["id"], VILLAGE, "ENDED"))
    wait_until("the session is over", lambda: s.call("GET", url, token=own).status == 401)
    wait_until("nothing is left in any file", lambda: not files_with(s, secrets), 30, 0.5)

    expect("still there", s.call("GET", url, token=clerk).ok(), erased)
    assert m["id"] in {x["id"] for x in list_members(s, clerk, VILLAGE)}
    expect("one active less, one ended more",
           wait_until("the counts follow", lambda: (lambda c: c["membersActive"] < before["membersActive"] and c)(count())),
           {**before, "membersActive": before["membersActive"] - 1, "membersEnded": before.get("membersEnded", 0) + 1})
    kept = s.call("GET", f"{activity}/registrations/{registered['id']}", token=clerk).ok()
    expect("the registration", (kept["member"], kept["state"], kept["attended"], kept.get("code", "")), (m["id"], "REGISTERED", True, ""))
    attended = s.call("GET", activity + "/checkins", token=clerk).ok()["checkins"]
    expect("the attendance", [(c["member"], c["way"], c.get("device", "")) for c in attended], [(m["id"], "CODE", "")])
    log = s.cli("audit", "--json", "--set", f"subject={m['id']}").stdout
    assert "EraseMember" in log and WHY["purpose"] in log, log


@story("an erased person is not read, changed, found or brought back; the same person may join again")
def erased_for_good(s):
    admin, clerk = sign_in(s, "admin"), sign_in(s, "clerk")
    m = make(s, 41000)
    url = f"/v1/members/{m['id']}"
    s.cli("member", "erase", m["id"], "本人申请")
    for verb, body in (("approve", {}), ("suspend", {}), ("resume", {}), ("end", {}), ("markDeceased", {}), ("reveal", WHY), ("exportData", WHY), ("erase", WHY)):
        s.call("POST", f"{url}:{verb}", body, token=admin).refused(410, "member-erased")
    s.call("PATCH", url, {"phone": "13900001111"}, token=admin).refused(410, "member-erased")
    s.call("GET", url + "/card", token=admin).refused(409, "member-not-active")
    s.call("POST", "/v1/sessions:exchange", {"member": m["id"]}, token=s.api_key).refused(409, "member-not-active")
    for by in ({"idNumber": id_number(41000)}, {"phone": person(41000, "")["phone"]}):
        expect("found", s.call("POST", "/v1/members:find", {**by, **WHY}, token=clerk).ok().get("members", []), [])
    again = make(s, 41000)
    assert again["id"] != m["id"], again


@story("whose application waits, who has ended or died can be erased too; the state stays what it was, or becomes ended")
def states(s):
    clerk = sign_in(s, "clerk")
    for number, verb, state in ((42000, None, "ENDED"), (42001, "suspend", "ENDED"), (42002, "end", "ENDED"), (42003, "markDeceased", "DECEASED")):
        m = make(s, number)
        if verb:
            s.call("POST", f"/v1/members/{m['id']}:{verb}", token=clerk).ok()
        expect(str(verb), s.call("POST", f"/v1/members/{m['id']}:erase", WHY, token=sign_in(s, "admin")).ok()["state"], state)
    applied = s.call("POST", "/v1/members", person(42004, VILLAGE), token=clerk).ok()
    expect("applied", s.call("POST", f"/v1/members/{applied['id']}:erase", WHY, token=sign_in(s, "admin")).ok()["state"], "ENDED")


@story("no event that was ever told of a person carries more than ids and facts; the last one says that they were erased")
def events(s):
    clerk = sign_in(s, "clerk")
    m = make(s, 43000, name="事件人")
    s.call("PATCH", f"/v1/members/{m['id']}", {"name": "事件人乙"}, token=clerk).ok()
    s.call("POST", f"/v1/members/{m['id']}:erase", WHY, token=sign_in(s, "admin")).ok()
    told = s.rows("membership", f"SELECT type, organization, data FROM rpc_outbox WHERE subject = '{m['id']}' ORDER BY seq")
    expect("what was told", [t.rsplit(".", 1)[1] for t, _, _ in told],
           ["MemberStateChanged", "MemberStateChanged", "MemberStateChanged", "MemberRightsChanged", "MemberErased"])
    known = m["id"].encode(), VILLAGE.encode()
    for type_, _, data in told:
        for part in known:
            data = data.replace(part, b"")
        assert len(data) <= 32, f"{type_} carries more than ids and numbers: {data!r}"


@story("staff give a copy of all that is held, for a purpose that the audit keeps; members get it with masked numbers; apps get none")
def export(s):
    admin, clerk = sign_in(s, "admin"), sign_in(s, "clerk")
    m = make(s, 44000, name="阿依古丽·𠮷")
    url, own = f"/v1/members/{m['id']}:exportData", own_session(s, m["id"])
    seen = s.call("POST", url, token=own).ok()
    expect("the member's own view", (seen["member"], seen.get("idNumber", ""), seen.get("phone", "")), (s.call("GET", url.split(":")[0], token=own).ok(), "", ""))
    data = s.call("POST", url, WHY, token=clerk).ok()
    expect("the numbers", (data["idNumber"], data["phone"]), (id_number(44000), person(44000, "")["phone"]))
    expect("the rest", data["member"], s.call("GET", f"/v1/members/{m['id']}", token=clerk).ok())
    expect("the name", data["member"]["name"], "阿依古丽·𠮷")
    assert data["organizationName"] and data["exportTime"], data
    # Whatever column there is for a person has its place in the copy, or is known to say nothing about them.
    columns = {c for table in ("member", "member_secret", "consent") for c in s.columns("membership", table)}
    told = {"id", "organization", "state", "name", "number", "id_number_masked", "phone_masked", "join_date", "created", "updated",
            "version", "erased", "id_number", "phone", "purpose", "given", "ended"}
    expect("columns not told", columns - told,
           {"generation", "member", "wrapped_key", "id_number_index", "phone_index", "live", "state_since", "giving"})
    s.call("POST", url, token=clerk).refused(400, "invalid-argument")
    s.call("POST", url, WHY, token=s.api_key).refused(403, "permission-denied")
    s.call("POST", url, WHY, token=own_session(s, make(s, 44001)["id"])).refused(404, "not-found")
    expect("by the operator", id_number(44000) in s.cli("member", "data", m["id"], "受理本人申请").stdout, True)
    log = s.cli("audit", "--json", "--set", f"subject={m['id']}").stdout
    assert log.count("ExportMemberData") >= 5 and WHY["purpose"] in log and id_number(44000) not in log, log


@story("a service that starts anew learns from a snapshot who was erased")
def late(s):
    admin = sign_in(s, "admin")
    m = make(s, 45000)
    activity = f"/v1/activities/{make_activity(s, admin, '430102')['id']}"
    wait_until("activity knows that the member was approved", lambda: s.rows("activity", f"SELECT 1 FROM member WHERE id = '{m['id']}' AND active = 1"))
    code = s.call("POST", activity + "/registrations", {"member": m["id"]}, token=admin).ok()["code"]
    s.call("POST", f"/v1/members/{m['id']}:erase", WHY, token=admin).ok()
    codes = lambda: [c for (c,) in s.rows("activity", f"SELECT code FROM registration WHERE member = '{m['id']}'")]
    wait_until("it is forgotten", lambda: code.replace("-", "") not in codes())
    keep, s.keep = s.keep, True
    s.stop()
    s.execute("activity", f"UPDATE registration SET code = 'KKKKKKKK' WHERE member = '{m['id']}'",  # as if an old backup had been restored
              "UPDATE rpc_cursor SET epoch = '', position = 0, topic = 0, key = '' WHERE name = 'activity.membership'")
    s.keep = keep
    s.start()
    wait_until("it is forgotten again", lambda: "KKKKKKKK" not in codes())


if __name__ == "__main__":
    main(Stack())
