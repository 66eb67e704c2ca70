#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Recipients: entered, corrected, found, opened for a purpose, erased; and what the care service knows of membership."""
import json
import os
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.callers import PASSWORD  # noqa: E402
from support.people import id_number, person  # noqa: E402
from support.stack import CARE, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.traces import files_with, stores  # noqa: E402

COUNTY, VILLAGE, NEXT_VILLAGE = "430102", "430102001001", "430102001002"
WHY = {"purpose": "上门慰问核对"}
LEFT_OF_ERASED = {"id", "organization", "state", "household", "createTime", "updateTime", "eraseTime", "etag"}


def sign_in(s, who, sessions={}):
    """Signs in once a file: signing in is rationed."""
    if who not in sessions:
        sessions[who] = s.login(who)
    return sessions[who]


def account(s, role, organization):
    """A new account's id and session."""
    login = "care-" + uuid.uuid4().hex[:12]
    body = {"login": login, "organization": organization, "grants": [{"role": role, "organization": organization}]}
    made = s.call("POST", "/v1/accounts", {"account": body, "password": PASSWORD}, token=sign_in(s, "admin")).ok()
    return made["id"], s.call("POST", "/v1/sessions", {"login": login, "password": PASSWORD}).ok()["token"]


def luhn(digits):
    total = sum(sum(divmod(int(c) * (2 - i % 2), 10)) for i, c in enumerate(reversed(digits)))
    return digits + str(-total % 10)


def bank_account(number):
    return luhn("622202%012d" % number)


def particulars(number, organization=VILLAGE, **fields):
    p = person(number, organization)
    return {"organization": organization, "name": p["name"], "idNumber": p["idNumber"], "phone": p["phone"],
            "bankAccount": bank_account(number), **fields}


def enter(s, number, organization=VILLAGE, token=None, **fields):
    return s.call("POST", "/v1/recipients", particulars(number, organization, **fields), token=token or sign_in(s, "clerk"))


def reveal(s, recipient, token=None, why=WHY):
    return s.call("POST", f"/v1/recipients/{recipient}:reveal", why, token=token or sign_in(s, "clerk"))


def audit(s, subject):
    return json.loads(s.cli("audit", "care", "--json", "--set", f"subject={subject}").stdout)["entries"]


def listed(s, organization, token=None, size=1000, household=""):
    """All pages."""
    found, page = [], ""
    while True:
        answer = s.call("GET", f"/v1/recipients?organization={organization}&pageSize={size}&household={household}&pageToken={page}",
                        token=token or sign_in(s, "admin")).ok()
        found += answer.get("recipients", [])
        page = answer.get("nextPageToken", "")
        if not page:
            return found


@story("a person is entered and shown masked; what is sealed is opened for a purpose, which stands in the audit")
def entered(s):
    clerk = sign_in(s, "clerk")
    r = enter(s, 100, name="　李小龙 ", phone="+86 138-0000-0100", bankAccount="6222 02" + bank_account(100)[6:10] + "-" + bank_account(100)[10:],
              special=True).ok()
    expect("as entered", (r["name"], r["organization"], r["state"], r["member"]), ("李小龙", VILLAGE, "ACTIVE", ""))
    expect("masked", (r["idNumberMasked"], r["phoneMasked"], r["bankAccountMasked"]),
           ("4" + "*" * 16 + id_number(100)[17], "138****0100", "6222***********" + bank_account(100)[-4:]))
    assert "special" not in r and r["household"], r
    expect("as read", s.call("GET", f"/v1/recipients/{r['id']}", token=clerk).ok(), r)
    reveal(s, r["id"], why={}).refused(400, "invalid-argument")
    expect("opened", reveal(s, r["id"]).ok(), {"recipient": r["id"], "name": "李小龙", "idNumber": id_number(100), "phone": "13800000100",
                                               "bankAccount": bank_account(100), "special": True})
    plain = enter(s, 101, phone=None, bankAccount=None).ok()
    expect("nothing to mask", (plain.get("phoneMasked", ""), plain.get("bankAccountMasked", "")), ("", ""))
    opened = reveal(s, plain["id"]).ok()
    expect("opened", [opened.get(k) or None for k in ("phone", "bankAccount", "special")], [None] * 3)
    rows = [(e["method"].rsplit(".", 1)[1], e.get("purpose", "")) for e in audit(s, r["id"])]
    expect("the audit", sorted(rows), [("CreateRecipient", ""), ("RevealRecipient", WHY["purpose"])])


@story("bad particulars are refused, each in its own way, and leave nobody behind")
def bad(s):
    before = len(listed(s, VILLAGE))
    wrong = lambda text: text[:-1] + ("0" if text[-1] != "0" else "1")
    for fields, status, problem in (
            ({"idNumber": wrong(id_number(200))}, 422, "id-number-invalid"), ({"phone": "12345"}, 422, "phone-invalid"),
            ({"bankAccount": wrong(bank_account(200))}, 422, "bank-account-checksum"), ({"bankAccount": "62220212"}, 400, "invalid-argument"),
            ({"name": "　"}, 400, "invalid-argument"), ({"name": None}, 400, "invalid-argument"),
            ({"organization": "999999"}, 404, "organization-unknown"), ({"organization": "430103"}, 404, "not-found"),
            ({"household": str(uuid.uuid4())}, 422, "recipient-unknown"), ({"member": str(uuid.uuid4())}, 422, "member-unknown")):
        answer = enter(s, 200, **fields).refused(status, problem)
        field = next(iter(fields))
        if status == 422:
            expect("the field", [v["pointer"] for v in answer["violations"]], ["/" + field])
    expect("nobody more", len(listed(s, VILLAGE)), before)
    s.call("POST", "/v1/organizations", {"code": "430102001997", "parent": "430102001", "kind": "VILLAGE", "name": "旧村",
                                         "validFrom": "2020-01-01T00:00:00Z", "validTo": "2024-01-01T00:00:00Z"}, token=sign_in(s, "admin")).ok()
    wait_until("care knows the village", lambda: enter(s, 200, "430102001997").status != 404)
    enter(s, 200, "430102001997").refused(409, "organization-not-valid")


@story("a person is entered once, also by many at once, and again only when erased")
def once(s):
    clerk = sign_in(s, "clerk")
    auth = {"Authorization": "Bearer " + clerk}
    answers = s.load([("POST", "/v1/recipients", {k: v for k, v in particulars(300).items()}, auth) for _ in range(20)], connections=20)
    expect("the outcomes", sorted(a.status for a in answers), [200] + [409] * 19)
    enter(s, 300, NEXT_VILLAGE).refused(409, "recipient-exists")
    (r,) = [a.json for a in answers if a.status == 200]
    s.call("PATCH", f"/v1/recipients/{r['id']}", {"state": "LEFT"}, token=clerk).ok()
    enter(s, 300).refused(409, "recipient-exists")  # who comes back is not another person
    s.call("POST", f"/v1/recipients/{r['id']}:erase", WHY, token=sign_in(s, "admin")).ok()
    assert enter(s, 300).ok()["id"] != r["id"]


@story("what is known is corrected by whoever has seen the last state: each field by itself, sealed ones too")
def corrected(s):
    clerk = sign_in(s, "clerk")
    r = enter(s, 400, special=True).ok()
    url = f"/v1/recipients/{r['id']}"

    def patch(body, mask="", **headers):
        return s.call("PATCH", url + (f"?updateMask={mask}" if mask else ""), body, token=clerk, headers=headers)

    expect("the name", patch({"name": "改正"}).ok()["name"], "改正")
    patch({"name": "再改"}, **{"If-Match": f'"{r["etag"]}"'}).refused(412, "precondition-failed")
    expect("the phone", patch({"phone": "13900000400"}).ok()["phoneMasked"], "139****0400")
    expect("no account", patch({"bankAccount": ""}).ok().get("bankAccountMasked", ""), "")
    patch({"bankAccount": bank_account(400)[:-1] + "x"}).refused(400)
    expect("opened", {k: reveal(s, r["id"]).ok().get(k) for k in ("phone", "bankAccount", "special", "idNumber")},
           {"phone": "13900000400", "bankAccount": "", "special": True, "idNumber": id_number(400)})
    patch({"special": False}).ok()
    assert not reveal(s, r["id"]).ok().get("special")
    patch({"special": True, "bankAccount": bank_account(401)}, mask="bankAccount").ok()
    opened = reveal(s, r["id"]).ok()
    expect("only what the mask names", (opened["bankAccount"], opened.get("special", False)), (bank_account(401), False))
    patch({"state": "STATE_UNSPECIFIED"}, mask="state").refused(400, "invalid-argument")
    for state in ("LEFT", "ACTIVE", "DECEASED"):
        expect("the state", patch({"state": state}).ok()["state"], state)
    moved = patch({"organization": NEXT_VILLAGE}).ok()
    expect("moved", (moved["organization"], r["id"] in [x["id"] for x in listed(s, NEXT_VILLAGE)], r["id"] in [x["id"] for x in listed(s, VILLAGE)]),
           (NEXT_VILLAGE, True, False))
    patch({"organization": "430103"}).refused(404, "not-found")
    patch({"organization": "nowhere"}).refused(404, "organization-unknown")
    expect("nothing changed", s.call("GET", url, token=clerk).ok(), moved)
    s.call("PATCH", f"/v1/recipients/{uuid.uuid4()}", {"name": "无"}, token=clerk).refused(404, "not-found")


@story("a household is those who have the same: it is joined, left, and listed, within one's scope")
def households(s):
    clerk, admin = sign_in(s, "clerk"), sign_in(s, "admin")
    first = enter(s, 500).ok()
    second = enter(s, 501, NEXT_VILLAGE, household=first["household"]).ok()
    alone = enter(s, 502).ok()
    expect("together", second["household"], first["household"])
    assert alone["household"] != first["household"]
    s.call("PATCH", f"/v1/recipients/{alone['id']}", {"household": first["household"]}, token=clerk).ok()
    expect("the household", [r["id"] for r in listed(s, COUNTY, household=first["household"], size=1)], [first["id"], alone["id"], second["id"]])
    expect("of a village", [r["id"] for r in listed(s, NEXT_VILLAGE, household=first["household"])], [second["id"]])
    left = s.call("PATCH", f"/v1/recipients/{second['id']}", {"household": ""}, token=clerk).ok()
    assert left["household"] not in ("", first["household"]), left
    expect("who is left", {r["id"] for r in listed(s, COUNTY, household=first["household"])}, {first["id"], alone["id"]})
    away = enter(s, 503, "430103002001", token=admin).ok()
    s.call("PATCH", f"/v1/recipients/{second['id']}", {"household": away["household"]}, token=clerk).refused(422, "recipient-unknown")
    s.call("PATCH", f"/v1/recipients/{second['id']}", {"household": away["household"]}, token=admin).ok()
    expect("neighbours alone", [r["id"] for r in listed(s, COUNTY, household=away["household"], token=clerk)], [second["id"]])


@story("lists show a subtree in pages that join without a gap, and follow an organisation that moves")
def lists(s):
    admin, clerk = sign_in(s, "admin"), sign_in(s, "clerk")
    made = {enter(s, 600 + i, (VILLAGE, NEXT_VILLAGE, "430102002001")[i % 3]).ok()["id"] for i in range(30)}
    whole = [r["id"] for r in listed(s, COUNTY)]
    assert made <= set(whole) and len(whole) == len(set(whole)), whole
    expect("in pages", [r["id"] for r in listed(s, COUNTY, size=7)], whole)
    expect("below", {r["organization"] for r in listed(s, "430102001")}, {VILLAGE, NEXT_VILLAGE})
    expect("elsewhere", [r["id"] for r in listed(s, "430211")], [])
    page = s.call("GET", f"/v1/recipients?organization={COUNTY}&pageSize=1", token=clerk).ok()["nextPageToken"]
    s.call("GET", f"/v1/recipients?organization={VILLAGE}&pageToken={page}", token=clerk).refused(400, "page-token-invalid")
    s.call("GET", "/v1/recipients?organization=430103", token=clerk).refused(404, "not-found")
    s.call("GET", "/v1/recipients", token=clerk).refused(400, "invalid-argument")

    s.call("POST", "/v1/organizations", {"code": "430102001990", "parent": "430102001", "kind": "VILLAGE", "name": "将迁村"}, token=admin).ok()
    wait_until("care knows the village", lambda: enter(s, 640, "430102001990").status in (200, 409))
    before = [r["id"] for r in listed(s, "430102001990")]
    s.call("POST", "/v1/organizations/430102001990:move", {"parent": "430103002"}, token=admin).ok()
    wait_until("the list follows", lambda: before[0] in [r["id"] for r in listed(s, "430103002")])
    assert before[0] not in [r["id"] for r in listed(s, COUNTY)]
    s.call("GET", f"/v1/recipients/{before[0]}", token=clerk).refused(404, "not-found")
    reveal(s, before[0]).refused(404, "not-found")


@story("each does what the role says where it holds: others are refused, and out of scope there is nothing")
def who_may(s):
    r = enter(s, 700).ok()
    url = f"/v1/recipients/{r['id']}"
    flag = s.call("POST", url + "/flags", {"text": "有犬"}, token=sign_in(s, "clerk")).ok()["id"]
    asks = {"recipient.read": [("GET", url, None), ("GET", f"/v1/recipients?organization={VILLAGE}", None)],
            "recipient.write": [("PATCH", url, {"name": "改名"}), ("POST", url + "/flags", {"text": "轮椅"}), ("POST", "/v1/recipients", particulars(700)),
                                ("POST", f"{url}/flags/{flag}:lift", {})],
            "recipient.reveal": [("POST", url + ":reveal", WHY), ("POST", url + "/flags:reveal", WHY)],
            "recipient.erase": [("POST", url + ":erase", {})]}
    may = {"ROLE_STAFF": {"recipient.read", "recipient.write", "recipient.reveal"}, "ROLE_APPROVER": {"recipient.read", "recipient.reveal"},
           "ROLE_TREASURER": set(), "ROLE_VOLUNTEER": set(), "ROLE_VIEWER": set(), "ROLE_ADMINISTRATOR": set(asks)}
    for role, permissions in may.items():
        here, away = account(s, role, COUNTY)[1], account(s, role, "430103")[1]
        for permission, requests in asks.items():
            for method, path, body in requests:
                got = s.call(method, path, body, token=here)
                if permission in permissions:
                    assert got.status not in (401, 403, 404) or ":lift" in path, f"{role} {method} {path}: {got.status} {got.body}"
                else:
                    got.refused(403 if path != url + ":erase" else got.status, None)
                    assert got.status in (400, 403), f"{role} {method} {path}: {got.status}"
                    expect(f"{role} {method} {path}", got.problem, "permission-denied" if got.status == 403 else "invalid-argument")
                assert s.call(method, path, body, token=away).status in (400, 404), f"{role} away {method} {path}"
    for token in (s.api_key, account(s, "ROLE_APP_BACKEND", COUNTY)[1]):
        s.call("GET", url, token=token).refused(403, "permission-denied")
        reveal(s, r["id"], token=token).refused(403, "permission-denied")
    s.call("POST", url + ":erase", WHY, token=sign_in(s, "clerk")).refused(403, "permission-denied")
    s.call("GET", url).refused(401)


@story("flags: what must be known is said for a purpose, until its day or until it is lifted")
def flags(s):
    clerk = sign_in(s, "clerk")
    r, other = enter(s, 800).ok(), enter(s, 801).ok()
    url = f"/v1/recipients/{r['id']}"
    flag = s.call("POST", url + "/flags", {"text": "使用轮椅，请走侧门"}, token=clerk).ok()
    expect("without the text", flag.get("text", ""), "")
    dog = s.call("POST", url + "/flags", {"text": "院内有犬", "untilDate": "2099-12-31"}, token=clerk).ok()
    for until in ("2020-01-01", "2099-02-30"):
        s.call("POST", url + "/flags", {"text": "过期", "untilDate": until}, token=clerk).refused(400, "invalid-argument")
    s.call("POST", url + "/flags", {"text": ""}, token=clerk).refused(400, "invalid-argument")
    known = lambda: s.call("POST", url + "/flags:reveal", WHY, token=clerk).ok().get("flags", [])
    expect("known", [(f["id"], f["text"], f.get("untilDate", "")) for f in known()],
           [(flag["id"], "使用轮椅，请走侧门", ""), (dog["id"], "院内有犬", "2099-12-31")])
    s.call("POST", url + "/flags:reveal", {}, token=clerk).refused(400, "invalid-argument")
    s.call("POST", f"/v1/recipients/{other['id']}/flags/{flag['id']}:lift", token=clerk).refused(404, "not-found")
    expect("lifted", s.call("POST", f"{url}/flags/{flag['id']}:lift", token=clerk).ok()["id"], flag["id"])
    s.call("POST", f"{url}/flags/{flag['id']}:lift", token=clerk).refused(404, "not-found")
    expect("what is left", [f["text"] for f in known()], ["院内有犬"])
    assert ("ListFlags", WHY["purpose"]) in [(e["method"].rsplit(".", 1)[1], e.get("purpose", "")) for e in audit(s, r["id"])]
    s.advance(80 * 365 * 86400)
    try:
        token = s.login("clerk")  # the session was over long ago
        expect("over", s.call("POST", url + "/flags:reveal", WHY, token=token).ok().get("flags", []), [])
    finally:
        s.advance(-80 * 365 * 86400)


@story("a recipient has at most 100 flags that hold")
def many_flags(s):
    url, auth = f"/v1/recipients/{enter(s, 850).ok()['id']}", {"Authorization": "Bearer " + sign_in(s, "clerk")}
    answers = s.load([("POST", url + "/flags", {"text": f"提示 {i}"}, auth) for i in range(104)], connections=8)
    expect("the outcomes", sorted(a.status for a in answers), [200] * 100 + [400] * 4)


@story("nothing sensitive of a recipient stands in clear in a store, a log, Redis, an event or the audit")
def at_rest(s):
    clerk = sign_in(s, "clerk")
    r = enter(s, 900, special=True, name="欧阳留痕").ok()
    url = f"/v1/recipients/{r['id']}"
    s.call("POST", url + "/flags", {"text": "不外露的提示"}, token=clerk).ok()
    s.call("PATCH", url, {"phone": "13987650900", "bankAccount": bank_account(901)}, token=clerk).ok()
    reveal(s, r["id"]).ok()
    s.call("POST", url + "/flags:reveal", WHY, token=clerk).ok()
    enter(s, 900).refused(409, "recipient-exists")
    enter(s, 902, bankAccount=bank_account(902)[:-1] + str((int(bank_account(902)[-1]) + 1) % 10)).refused(422)
    sensitive = [id_number(900), person(900, "")["phone"], bank_account(900), "13987650900", bank_account(901), "不外露的提示", id_number(902),
                 bank_account(902)[:-1]]
    expect("in clear", files_with(s, {text: text.encode() for text in sensitive}), [])
    for (service, table), rows in stores(s).items():
        text = repr(rows).encode() + b"".join(v for row in rows for v in row if isinstance(v, bytes))
        for secret in sensitive + (["欧阳留痕"] if table.startswith("rpc_") else []):
            assert secret.encode() not in text and secret not in repr(rows), f"{service}: {table} has {secret}"
    (a,), (b,) = (s.rows("care", f"SELECT special FROM recipient_secret WHERE recipient = '{x}'") for x in (r["id"], enter(s, 903).ok()["id"]))
    expect("special or not has one length", len(a[0]), len(b[0]))
    expect("reveals in the audit", sum(e["method"].endswith("RevealRecipient") and e.get("purpose") == WHY["purpose"] for e in audit(s, r["id"])), 1)


@story("who is erased leaves no trace in any file but id, place, household and state, and the key is gone")
def erased(s):
    admin, clerk = sign_in(s, "admin"), sign_in(s, "clerk")
    for i in range(20):
        enter(s, 1000 + i).ok()
    r = enter(s, 1050, name="司马·抹去𠮷", special=True).ok()
    for i in range(20):
        enter(s, 1060 + i).ok()
    url = f"/v1/recipients/{r['id']}"
    s.call("POST", url + "/flags", {"text": "随身带药"}, token=clerk).ok()
    (secret,) = s.rows("care", f"SELECT wrapped_key, id_number, phone, bank_account, special, id_number_index FROM recipient_secret WHERE recipient = '{r['id']}'")
    ((flag,),) = s.rows("care", f"SELECT sealed FROM recipient_flag WHERE recipient = '{r['id']}'")
    names = ("wrapped key", "sealed ID number", "sealed phone", "sealed account", "sealed special", "index")
    traces = {"name": "司马·抹去𠮷".encode(), "flag": flag, "masked account": r["bankAccountMasked"].encode(), **dict(zip(names, secret))}
    expect("the test looks for the right things", {what for _, what in files_with(s, traces)}, set(traces))
    s.call("POST", url + ":erase", {}, token=admin).refused(400, "invalid-argument")
    s.call("POST", url + ":erase", WHY, token=admin, headers={"If-Match": '"7"'}).refused(412, "precondition-failed")
    gone = s.call("POST", url + ":erase", WHY, token=admin).ok()
    expect("what is left", {k for k, v in gone.items() if v}, LEFT_OF_ERASED)
    expect("where", (gone["organization"], gone["household"], gone["state"]), (VILLAGE, r["household"], "LEFT"))
    wait_until("nothing is left in any file", lambda: not files_with(s, traces), 30, 0.5)
    expect("still there", s.call("GET", url, token=clerk).ok(), gone)
    for method, path, body in (("PATCH", url, {"name": "无"}), ("POST", url + ":reveal", WHY), ("POST", url + ":erase", WHY),
                               ("POST", url + "/flags", {"text": "无"}), ("POST", url + "/flags:reveal", WHY)):
        s.call(method, path, body, token=admin).refused(410, "recipient-erased")
    rows = s.rows("care", f"SELECT type, organization FROM rpc_outbox WHERE subject = '{r['id']}'")
    expect("told", rows, [("nuanxin.care.v1.RecipientErased", VILLAGE)])
    assert WHY["purpose"] in [e.get("purpose") for e in audit(s, r["id"]) if e["method"].endswith("EraseRecipient")]


def make_member(s, number, organization=VILLAGE):
    m = s.call("POST", "/v1/members", person(number, organization), token=sign_in(s, "clerk")).ok()
    wait_until("care knows the member", lambda: s.rows("care", f"SELECT state FROM member WHERE id = '{m['id']}'"))
    return m["id"]


@story("a recipient may be a member: one of them, of one's own; and the member's erasure is the recipient's")
def members(s):
    admin, clerk = sign_in(s, "admin"), sign_in(s, "clerk")
    member, other = make_member(s, 1100), make_member(s, 1101)
    r = enter(s, 1100, member=member).ok()
    expect("the member", r["member"], member)
    enter(s, 1102, member=member).refused(409, "recipient-exists")
    second = enter(s, 1102).ok()
    url = f"/v1/recipients/{second['id']}"
    s.call("PATCH", url, {"member": member}, token=clerk).refused(409, "recipient-exists")
    expect("linked later", s.call("PATCH", url, {"member": other}, token=clerk).ok()["member"], other)
    expect("and no more", s.call("PATCH", url, {"member": ""}, token=clerk).ok().get("member", ""), "")
    village = account(s, "ROLE_STAFF", NEXT_VILLAGE)[1]
    enter(s, 1103, NEXT_VILLAGE, token=village, member=other).refused(422, "member-unknown")

    s.call("POST", f"/v1/members/{member}:erase", WHY, token=admin).ok()
    gone = wait_until("the recipient is erased", lambda: (lambda x: x.get("eraseTime") and x)(s.call("GET", f"/v1/recipients/{r['id']}", token=clerk).ok()))
    expect("what is left", {k for k, v in gone.items() if v}, LEFT_OF_ERASED)
    reveal(s, r["id"], token=admin).refused(410, "recipient-erased")
    expect("the key", s.rows("care", f"SELECT count(*) FROM recipient_secret WHERE recipient = '{r['id']}'"), [(0,)])
    enter(s, 1104, member=member).refused(422, "member-unknown")


@story("consents and what accounts may are known as membership has them")
def known(s):
    clerk, member = sign_in(s, "clerk"), make_member(s, 1200)
    consents = lambda: s.rows("care", f"SELECT purpose, version FROM consent WHERE member = '{member}' ORDER BY purpose")
    for purpose, version in (("hospital-care", "1"), ("jobs", "2"), ("jobs", "3")):
        s.call("POST", f"/v1/members/{member}/consents", {"purpose": purpose, "version": version}, token=clerk).ok()
    wait_until("both hold", lambda: consents() == [("hospital-care", "1"), ("jobs", "3")])
    s.call("POST", f"/v1/members/{member}/consents:withdraw", {"purpose": "jobs"}, token=clerk).ok()
    wait_until("one holds", lambda: consents() == [("hospital-care", "1")])
    s.call("POST", f"/v1/members/{member}:erase", WHY, token=sign_in(s, "admin")).ok()
    wait_until("none holds", lambda: not consents())

    who, _ = account(s, "ROLE_STAFF", VILLAGE)
    admin = sign_in(s, "admin")
    rights = lambda: (s.rows("care", f"SELECT generation, disabled FROM account WHERE id = '{who}'"),
                      s.rows("care", f"SELECT role, organization FROM account_right WHERE account = '{who}' ORDER BY role"))
    wait_until("a new one", lambda: rights() == ([(1, 0)], [(2, VILLAGE)]))
    s.call("POST", f"/v1/accounts/{who}:setGrants", {"grants": [{"role": "ROLE_VOLUNTEER", "organization": VILLAGE},
                                                                {"role": "ROLE_APPROVER", "organization": COUNTY}]}, token=admin).ok()
    wait_until("other grants", lambda: rights() == ([(2, 0)], [(3, VILLAGE), (8, COUNTY)]))
    s.call("POST", f"/v1/accounts/{who}:disable", token=admin).ok()
    wait_until("disabled", lambda: rights() == ([(3, 1)], [(3, VILLAGE), (8, COUNTY)]))
    s.call("POST", f"/v1/accounts/{who}:setGrants", {"grants": []}, token=admin).ok()
    wait_until("no rights", lambda: rights() == ([(4, 1)], []))


@story("whoever starts late learns from membership's state what is so now: also which accounts may what, and who is erased")
def late(s):
    admin, member, gone = sign_in(s, "admin"), make_member(s, 1300), make_member(s, 1301)
    s.call("POST", f"/v1/members/{member}/consents", {"purpose": "jobs", "version": "1"}, token=admin).ok()
    s.call("POST", f"/v1/members/{gone}:erase", WHY, token=admin).ok()
    who, _ = account(s, "ROLE_APPROVER", COUNTY)
    s.call("POST", f"/v1/accounts/{who}:disable", token=admin).ok()
    tables = ("organization", "member", "consent", "account", "account_right")
    has = lambda: {t: sorted(s.rows("care", f"SELECT * FROM {t}")) for t in tables}
    wait_until("care knows the last of it", lambda: (2, 1) in s.rows("care", f"SELECT generation, disabled FROM account WHERE id = '{who}'"))
    before = has()
    assert all(before.values())
    keep, s.keep = s.keep, True
    s.stop()
    s.execute("membership", "DELETE FROM rpc_epoch", "DELETE FROM rpc_outbox WHERE seq < (SELECT MAX(seq) FROM rpc_outbox)")
    s.execute("care", "DELETE FROM organization WHERE code LIKE '4302%'", "DELETE FROM account_right", "DELETE FROM consent",
              "UPDATE account SET generation = 99, disabled = 0", "UPDATE member SET erased = 0, state = 0")
    s.keep = keep
    s.start()
    wait_until("all is known again", lambda: has() == before, 30, 0.2)


if __name__ == "__main__":
    main(Stack(instances=CARE, clock=True, gateway_options=["--rate-scale=100"]))
