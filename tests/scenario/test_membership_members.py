#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Members: from the application to the end, who sees what, the card, and imports that survive a kill."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import csv_of, id_number, person  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import list_members, make_members, operation_done  # noqa: E402

CSV = {"Content-Type": "text/csv"}
VILLAGE = "430102001001"


def sign_in(s, who, sessions={}):
    """Signs in once a file: signing in is rationed."""
    if who not in sessions:
        sessions[who] = s.login(who)
    return sessions[who]


def apply(s, token, number, organization=VILLAGE, **fields):
    body = {k: v for k, v in {**person(number, organization), **fields}.items() if v is not None}
    return s.call("POST", "/v1/members", body, token=token)


def act(s, token, member, verb):
    return s.call("POST", f"/v1/members/{member}:{verb}", token=token)


def audit(s, subject):
    return s.cli("audit", "--json", "--set", f"subject={subject}").stdout


@story("a person applies through an app, is approved by staff, and goes through the states of the table only")
def states(s):
    clerk = sign_in(s, "clerk")
    m = apply(s, s.api_key, 1000, joinDate=None).ok()
    expect("the state", m["state"], "APPLIED")
    expect("no number yet", m.get("number", ""), "")
    act(s, s.api_key, m["id"], "approve").refused(403, "permission-denied")
    act(s, clerk, m["id"], "suspend").refused(409, "member-state")
    m = act(s, clerk, m["id"], "approve").ok()
    expect("the state", m["state"], "ACTIVE")
    assert len(m["number"]) == 16 and m["joinDate"], m
    number = m["number"]
    expect("suspended", act(s, clerk, m["id"], "suspend").ok()["state"], "SUSPENDED")
    expect("resumed", act(s, clerk, m["id"], "resume").ok()["state"], "ACTIVE")
    act(s, clerk, m["id"], "approve").refused(409, "member-state")
    ended = act(s, clerk, m["id"], "end").ok()
    expect("ended, with its number", (ended["state"], ended["number"]), ("ENDED", number))
    expect("deceased", act(s, clerk, m["id"], "markDeceased").ok()["state"], "DECEASED")
    for verb in ("approve", "suspend", "resume", "end", "markDeceased"):
        act(s, clerk, m["id"], verb).refused(409, "member-state")


@story("an ID number is in use once, and free again after the membership ended")
def duplicates(s):
    clerk = sign_in(s, "clerk")
    first = apply(s, clerk, 1100).ok()
    apply(s, clerk, 1100, organization="430102002001").refused(409, "member-exists")
    act(s, clerk, first["id"], "end").ok()
    apply(s, clerk, 1100).ok()


@story("of many applications with one ID number at once, one is taken")
def applications_at_once(s):
    clerk = sign_in(s, "clerk")
    auth = {"Authorization": "Bearer " + clerk}
    answers = s.load([("POST", "/v1/members", person(1150, VILLAGE), auth) for _ in range(20)], connections=20)
    expect("the outcomes", sorted(a.status for a in answers), [200] + [409] * 19)


@story("bad particulars are refused, each in its own way")
def bad_particulars(s):
    clerk = sign_in(s, "clerk")
    wrong = id_number(1200)
    wrong = wrong[:17] + ("0" if wrong[17] != "0" else "1")
    apply(s, clerk, 1200, idNumber=wrong).refused(422, "id-number-invalid")
    apply(s, clerk, 1200, phone="12345").refused(422, "phone-invalid")
    apply(s, clerk, 1200, name="\u3000").refused(400, "invalid-argument")
    apply(s, clerk, 1200, joinDate="2026-02-30").refused(400, "invalid-argument")
    apply(s, clerk, 1200, organization="999999").refused(404, "organization-unknown")
    apply(s, clerk, 1200, organization="430103").refused(404, "not-found")
    kept = apply(s, clerk, 1200, name="阿卜杜拉·买买提𠮷", phone="+86 138-0000-1200").ok()
    expect("the name", kept["name"], "阿卜杜拉·买买提𠮷")
    expect("the phone, masked", kept["phoneMasked"], "138****1200")


@story("staff see names; apps see masks; numbers are revealed for a purpose only, and that is written down")
def privacy(s):
    clerk = sign_in(s, "clerk")
    m = apply(s, clerk, 1300, name="李小龙").ok()
    url = f"/v1/members/{m['id']}"
    expect("what staff see", s.call("GET", url, token=clerk).ok()["name"], "李小龙")
    seen = s.call("GET", url, token=s.api_key).ok()
    assert "小龙" not in seen["name"] and seen["name"].startswith("李"), seen
    text = s.call("GET", url, token=clerk).body.decode()
    assert id_number(1300) not in text and person(1300, "")["phone"] not in text, text
    s.call("POST", url + ":reveal", {}, token=clerk).refused(400, "invalid-argument")
    s.call("POST", url + ":reveal", {"purpose": "核对"}, token=s.api_key).refused(403, "permission-denied")
    revealed = s.call("POST", url + ":reveal", {"purpose": "上门慰问核对"}, token=clerk).ok()
    expect("the ID number", revealed["idNumber"], id_number(1300))
    expect("the phone", revealed["phone"], person(1300, "")["phone"])
    rows = audit(s, m["id"])
    assert "上门慰问核对" in rows and id_number(1300) not in rows, rows


@story("nothing of a person's numbers stands in the store or the logs in plain text")
def at_rest(s):
    clerk = sign_in(s, "clerk")
    m = apply(s, clerk, 1400).ok()
    s.call("POST", "/v1/members:import?organization=430102", csv_of([person(1401, VILLAGE)]), token=clerk, headers=CSV).ok()
    wait_until("it is imported", lambda: found(s, clerk, idNumber=id_number(1401)))
    secrets = [t.encode() for n in (1400, 1401) for t in (id_number(n), person(n, "")["phone"])]
    for folder, _, names in os.walk(s.var):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    content = f.read()
                assert not any(secret in content for secret in secrets), f"{path} has a number of {m['id']} in plain text"


def found(s, token, purpose="核对", **by):
    return s.call("POST", "/v1/members:find", {"purpose": purpose, **by}, token=token).ok().get("members", [])


@story("members are found by ID number or phone, within one's scope, for a purpose")
def finding(s):
    clerk = sign_in(s, "clerk")
    m = apply(s, clerk, 1500).ok()
    expect("by ID number", [x["id"] for x in found(s, s.api_key, idNumber=id_number(1500))], [m["id"]])
    family = apply(s, clerk, 1501, phone=person(1500, "")["phone"]).ok()
    expect("by a family's phone", {x["id"] for x in found(s, clerk, phone="+86" + person(1500, "")["phone"])}, {m["id"], family["id"]})
    expect("nobody", found(s, clerk, idNumber=id_number(1599)), [])
    away = apply(s, sign_in(s, "admin"), 1502, organization="430211").ok()
    expect("out of scope", found(s, clerk, idNumber=id_number(1502)), [])
    s.call("GET", f"/v1/members/{away['id']}", token=clerk).refused(404, "not-found")
    s.call("POST", "/v1/members:find", {"idNumber": id_number(1500)}, token=clerk).refused(400)
    s.call("POST", "/v1/members:find", {"purpose": "核对"}, token=clerk).refused(400)


@story("name and phone are corrected by whoever has seen the last state; members correct their own phone")
def correcting(s):
    clerk = sign_in(s, "clerk")
    m = apply(s, clerk, 1600).ok()
    url = f"/v1/members/{m['id']}"
    changed = s.call("PATCH", url, {"name": "王改名", "phone": "13911112222"}, token=clerk, headers={"If-Match": f'"{m["etag"]}"'}).ok()
    expect("both", (changed["name"], changed["phoneMasked"]), ("王改名", "139****2222"))
    s.call("PATCH", url, {"name": "王"}, token=clerk, headers={"If-Match": f'"{m["etag"]}"'}).refused(412, "precondition-failed")
    expect("found by the new phone", [x["id"] for x in found(s, clerk, phone="13911112222")], [m["id"]])
    expect("not by the old", found(s, clerk, phone=person(1600, "")["phone"]), [])
    act(s, clerk, m["id"], "approve").ok()
    own = s.call("POST", "/v1/sessions:exchange", {"member": m["id"]}, token=s.api_key).ok()["token"]
    expect("their own", s.call("GET", url, token=own).ok()["name"], "王改名")
    s.call("PATCH", url, {"phone": "13911113333"}, token=own).ok()
    s.call("PATCH", url, {"name": "别名"}, token=own).refused(403, "permission-denied")
    act(s, own, m["id"], "end").refused(403, "permission-denied")
    other = apply(s, clerk, 1601).ok()
    s.call("GET", f"/v1/members/{other['id']}", token=own).refused(404, "not-found")


@story("an active member has a card; its sessions end with the membership")
def card_and_session(s):
    clerk = sign_in(s, "clerk")
    m = apply(s, clerk, 1700).ok()
    card = f"/v1/members/{m['id']}/card"
    s.call("GET", card, token=clerk).refused(409, "member-not-active")
    s.call("POST", "/v1/sessions:exchange", {"member": m["id"]}, token=s.api_key).refused(409, "member-not-active")
    number = act(s, clerk, m["id"], "approve").ok()["number"]
    got = s.call("GET", card, token=clerk).ok()
    assert got["token"].startswith("NX1.") and got["number"] == number, got
    s.call("POST", "/v1/sessions:exchange", {"member": m["id"]}, token=sign_in(s, "admin")).refused(403, "permission-denied")
    own = s.call("POST", "/v1/sessions:exchange", {"member": m["id"]}, token=s.api_key).ok()["token"]
    s.call("GET", card, token=own).ok()
    act(s, clerk, m["id"], "suspend").ok()
    wait_until("the member's session is over", lambda: s.call("GET", card, token=own).status == 401)


@story("lists run over a subtree, by state, page by page, without a gap or a double")
def listing(s):
    clerk = sign_in(s, "clerk")
    for i in range(5):
        apply(s, clerk, 1800 + i).ok()
    everybody = list_members(s, clerk, "430102")
    ids = [m["id"] for m in everybody]
    expect("no doubles", len(ids), len(set(ids)))
    for size in (1, 3, 1000):
        for state in ("", "APPLIED"):
            page, seen = "", []
            while True:
                query = f"organization=430102&pageSize={size}&pageToken={page}" + (f"&state={state}" if state else "")
                answer = s.call("GET", f"/v1/members?{query}", token=clerk).ok()
                seen += [m["id"] for m in answer.get("members", [])]
                page = answer.get("nextPageToken", "")
                if not page:
                    break
            expect(f"pages of {size}", sorted(seen), sorted(m["id"] for m in everybody if not state or m["state"] == state))
    s.call("GET", "/v1/members?organization=430103", token=clerk).refused(404, "not-found")


@story("an import takes row by row, reports the rest, and the same file again makes no doubles")
def importing(s):
    clerk = sign_in(s, "clerk")
    rows = [person(2000 + i, VILLAGE) for i in range(1200)]
    bad = [{**rows[0], "idNumber": "430102199001011234"}, {**person(2999, "430103")}, {**person(2998, VILLAGE), "phone": "1"},
           {**rows[1], "name": "另一人"}, {**person(2997, VILLAGE), "joinDate": "2026-13-01"}, {**person(2996, "4301020"), "name": "x"}]
    body = csv_of(rows + bad)
    for accepted in (1200, 0):
        started = s.call("POST", "/v1/members:import?organization=430102", body, token=clerk, headers=CSV).ok()
        done = operation_done(s, started, clerk)
        expect("accepted, unchanged, refused",
               (done.get("rowsAccepted", 0), done.get("rowsUnchanged", 0), done["rowsRefused"]), (accepted, 1200 - accepted, 6))
        expect("why", [e["code"] for e in done["errors"]],
               ["id-number-invalid", "out-of-scope", "phone-invalid", "member-exists", "date-invalid", "organization-unknown"])
        expect("where", [e["row"] for e in done["errors"]], list(range(1202, 1208)))
    wait_until("the count follows", lambda: s.call("GET", f"/v1/organizations/{VILLAGE}/counts", token=sign_in(s, "admin")).ok()["membersActive"] >= 1200)


@story("an import in GB18030 with Chinese titles, checked only, takes nothing")
def import_checked_only(s):
    clerk = sign_in(s, "clerk")
    text = f"组织代码,姓名,身份证号\r\n{VILLAGE},欧阳·𠮷,{id_number(3900)}\r\n".encode("gb18030")
    started = s.call("POST", "/v1/members:import?organization=430102&validateOnly=true", text, token=clerk, headers=CSV).ok()
    expect("accepted", operation_done(s, started, clerk)["rowsAccepted"], 1)
    expect("nobody", found(s, clerk, idNumber=id_number(3900)), [])
    started = s.call("POST", "/v1/members:import?organization=430102", text, token=clerk, headers=CSV).ok()
    expect("accepted", operation_done(s, started, clerk)["rowsAccepted"], 1)
    expect("the name", found(s, clerk, idNumber=id_number(3900))[0]["name"], "欧阳·𠮷")


@story("a file that is only checked is told of doubles in itself and of members who are there, as taking it would")
def import_checked_for_doubles(s):
    clerk = sign_in(s, "clerk")
    there = apply(s, clerk, 3950).ok()
    new = [person(3951 + i, VILLAGE) for i in range(1100)]  # more than one step takes
    rows = new + [new[0], {**new[1], "name": "另一人"}, {**new[2], "organization": "430102002001"}, person(3950, VILLAGE),
                  {**person(3950, VILLAGE), "name": "另一人"}]
    checked, taken = (operation_done(s, s.call("POST", f"/v1/members:import?organization=430102{query}", csv_of(rows), token=clerk,
                                               headers=CSV).ok(), clerk) for query in ("&validateOnly=true", ""))
    for done in (checked, taken):
        expect("accepted, unchanged, refused", (done["rowsAccepted"], done["rowsUnchanged"], done["rowsRefused"]), (1100, 2, 3))
        expect("where", [e["row"] for e in done["errors"]], [1103, 1104, 1106])
    expect("why", [e["code"] for e in checked["errors"]], ["person-twice", "person-twice", "member-exists"])
    expect("there before", [m["id"] for m in found(s, clerk, idNumber=id_number(3950))], [there["id"]])


@story("an import goes on after kill -9 where it was, and ends complete, without a double")
def import_survives(s):
    clerk = sign_in(s, "clerk")
    n = 20000
    body = csv_of([person(10000 + i, "430102002001") for i in range(n)])
    started = s.call("POST", "/v1/members:import?organization=430102", body, token=clerk, headers=CSV).ok()
    url = f"/v1/membership/operations/{started['id']}"
    state = {}

    def reached(rows):
        r = s.call("GET", url, token=clerk)
        state.update(r.json if r.status == 200 else {})
        return state.get("rowsDone", 0) >= rows or state.get("state", "RUNNING") != "RUNNING"

    kills = 0
    for part in range(4):
        wait_until("the import goes on", lambda: reached(part * n // 5 + 1), 30)
        if state["state"] == "RUNNING":
            s.kill("membership-1")
            kills += 1
    assert kills, "the import ended before the first kill"
    ended = lambda: (lambda r: r.status == 200 and r.json["state"] == "SUCCEEDED" and r.json)(s.call("GET", url, token=clerk))
    done = wait_until("the import has ended", ended, 60)
    expect("accepted and refused", (done["rowsAccepted"], done.get("rowsRefused", 0)), (n, 0))
    expect("members there", len(list_members(s, clerk, "430102002001")), n)
    wait_until("the count follows",
               lambda: s.call("GET", "/v1/organizations/430102002001/counts", token=clerk).ok().get("membersActive") == n)


if __name__ == "__main__":
    main(Stack())
