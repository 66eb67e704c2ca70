#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Organisations: reading and searching the tree, changing and moving it, importing it, counting along it."""
import os
import sys
from urllib.parse import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import person  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import make_members  # noqa: E402

CSV = {"Content-Type": "text/csv"}


def sign_in(s, who, sessions={}):
    """Signs in once a file: signing in is rationed."""
    if who not in sessions:
        sessions[who] = s.login(who)
    return sessions[who]


def import_file(s, token, body, query=""):
    return s.call("POST", "/v1/organizations:import" + query, body, token=token, headers=CSV).ok()


def get(s, token, code):
    return s.call("GET", f"/v1/organizations/{code}", token=token).ok()


def listed(s, token, query):
    """All pages, and that no page is longer than asked."""
    page, all_codes = "", []
    while True:
        answer = s.call("GET", f"/v1/organizations?{query}&pageToken={quote(page)}", token=token).ok()
        all_codes += [o["code"] for o in answer.get("organizations", [])]
        page = answer.get("nextPageToken", "")
        if not page:
            return all_codes


def counts(s, token, code):
    return s.call("GET", f"/v1/organizations/{code}/counts", token=token).ok()


@story("the tree is read by parent, subtree, level, name and code, page by page")
def reading(s):
    admin = sign_in(s, "admin")
    expect("cities of the province", len(listed(s, admin, "parent=43&pageSize=5")), 14)
    subtree = listed(s, admin, "ancestor=430102&pageSize=100")
    expect("the subtree begins with itself", subtree[0], "430102")
    assert all(code.startswith("430102") for code in subtree) and len(subtree) == len(set(subtree)), subtree
    townships = listed(s, admin, "ancestor=430102&kind=TOWNSHIP")
    assert townships and all(len(code) == 9 for code in townships), townships
    by_name = listed(s, admin, "q=" + quote("芙蓉区"))
    assert "430102" in by_name, by_name
    assert "430102001" in listed(s, admin, "q=430102001"), "by the beginning of the code"
    expect("a per cent sign stands for itself", listed(s, admin, "q=" + quote("%")), [])
    expect("the path", get(s, admin, "430102001001")["path"], "/43/4301/430102/430102001/430102001001/")


@story("whoever has one county lists and sees that county alone")
def scope(s):
    clerk = sign_in(s, "clerk")
    codes = listed(s, clerk, "pageSize=1000")
    assert codes[0] == "430102" and all(code.startswith("430102") for code in codes), codes[:5]
    s.call("GET", "/v1/organizations/4301", token=clerk).refused(404, "not-found")
    s.call("GET", "/v1/organizations/999999", token=clerk).refused(404, "organization-unknown")
    s.call("PATCH", "/v1/organizations/430102?updateMask=name", {"name": "x"}, token=clerk).refused(403, "permission-denied")


@story("an organisation is made below a higher one, once, and changed by whoever has seen its last state")
def changing(s):
    admin = sign_in(s, "admin")
    new = {"code": "430102999", "parent": "430102", "kind": "TOWNSHIP", "name": "测试·镇𠮷"}
    made = s.call("POST", "/v1/organizations", new, token=admin).ok()
    expect("its name", made["name"], new["name"])
    expect("its path", made["path"], "/43/4301/430102/430102999/")
    s.call("POST", "/v1/organizations", new, token=admin).refused(409, "organization-exists")
    s.call("POST", "/v1/organizations", {**new, "code": "430102998", "parent": "430102999"}, token=admin).refused(
        422, "organization-level")
    s.call("POST", "/v1/organizations", {**new, "code": "430102998", "parent": "4399"}, token=admin).refused(
        404, "organization-unknown")
    s.call("POST", "/v1/organizations", {**new, "code": "44", "parent": "", "kind": "PROVINCE"}, token=admin).refused(404)
    url = "/v1/organizations/430102999?updateMask=name,validTo"
    change = {"name": "新名", "validTo": "2030-01-01T00:00:00Z"}
    old = {"If-Match": '"%s"' % made["etag"]}
    changed = s.call("PATCH", url, change, token=admin, headers=old).ok()
    expect("the new name", changed["name"], "新名")
    expect("the end of its validity", changed["validTo"], "2030-01-01T00:00:00Z")
    s.call("PATCH", url, change, token=admin, headers=old).refused(412, "precondition-failed")
    s.call("PATCH", "/v1/organizations/430102999?updateMask=parent", change, token=admin).refused(400, "invalid-argument")


@story("a moved organisation takes its subtree and its counts along")
def moving(s):
    admin = sign_in(s, "admin")
    for row in (("430103901", "430103", "TOWNSHIP"), ("430103901001", "430103901", "VILLAGE")):
        s.call("POST", "/v1/organizations", dict(zip(("code", "parent", "kind"), row), name="移动" + row[0]), token=admin).ok()
    make_members(s, admin, [person(900000 + i, "430103901001") for i in range(7)], "430103901")
    wait_until("the village counts 7", lambda: counts(s, admin, "430103901001").get("membersActive") == 7)
    before = {code: counts(s, admin, code) for code in ("43", "4301", "4302", "430103", "430211")}
    moved = s.call("POST", "/v1/organizations/430103901:move", {"parent": "430211"}, token=admin).ok()
    expect("the new path", moved["path"], "/43/4302/430211/430103901/")
    expect("the village's path", get(s, admin, "430103901001")["path"], "/43/4302/430211/430103901/430103901001/")
    wait_until("the new county counts them",
               lambda: counts(s, admin, "430211").get("membersActive", 0) == before["430211"].get("membersActive", 0) + 7)
    after = {code: counts(s, admin, code) for code in before}
    for code, sign in (("4301", -1), ("430103", -1), ("4302", 1), ("430211", 1), ("43", 0)):
        for field, n in (("membersActive", 7), ("townships", 1), ("villages", 1)):
            expect(f"{field} at {code}", after[code].get(field, 0), before[code].get(field, 0) + sign * n)
    s.call("POST", "/v1/organizations/4302:move", {"parent": "430103901001"}, token=admin).refused(422, "organization-cycle")
    s.call("POST", "/v1/organizations/430103901:move", {"parent": "430102001001"}, token=admin).refused(422, "organization-level")
    s.call("POST", "/v1/organizations/430103901:move", {"parent": "nowhere"}, token=admin).refused(404, "organization-unknown")


@story("the first run's import is counted at the province")
def counting(s):
    admin = sign_in(s, "admin")
    wait_until("the province counts its villages", lambda: counts(s, admin, "43").get("villages", 0) > 29000)
    county = counts(s, admin, "430104")
    expect("townships of a county", county["townships"], len(listed(s, admin, "ancestor=430104&kind=TOWNSHIP&pageSize=1000")))
    expect("villages of a county", county["villages"], len(listed(s, admin, "ancestor=430104&kind=VILLAGE&pageSize=1000")))


@story("a file is taken all or not at all, and the report names row and column")
def all_or_none(s):
    admin = sign_in(s, "admin")
    body = ("code,parent_code,level,name\n430104901,430104,township,甲\n430104902,430104,planet,乙\n430104903,nope,township,丙\n"
            "430104904,430104901,city,丁\n4301 04,430104,township,戊\n430104905,430104,township,\n4302,43,city,株洲市\n"
            "430104901,430104,township,他\n")
    done = import_file(s, admin, body.encode())
    expect("the state", done["state"], "FAILED")
    got = {(e["row"], e["column"], e["code"]) for e in done["errors"]}
    expect("the report", got, {(3, "level", "level-invalid"), (4, "parent_code", "parent-unknown"), (5, "parent_code", "level-mismatch"),
                               (6, "code", "code-invalid"), (7, "name", "name-invalid"), (9, "code", "duplicate")})
    s.call("GET", "/v1/organizations/430104901", token=admin).refused(404)
    pages = s.call("GET", f"/v1/membership/operations/{done['id']}/errors?pageSize=4", token=admin).ok()
    expect("a page of the report", len(pages["errors"]), 4)
    rest = s.call("GET", f"/v1/membership/operations/{done['id']}/errors?pageSize=4&pageToken={quote(pages['nextPageToken'])}",
                  token=admin).ok()
    expect("the rest of it", [e["row"] for e in rest["errors"]], [7, 9])
    s.call("GET", f"/v1/membership/operations/{done['id']}", token=sign_in(s, "clerk")).refused(404)


@story("files in GB18030, with a mark, with quotes and CRLF, in any order of rows; again they change nothing")
def encodings(s):
    admin = sign_in(s, "admin")
    text = '代码,上级代码,级别,名称\r\n430105901001,430105901,village,"引号,村"\r\n430105901,430105,township,𠮷·镇\r\n'
    for body, accepted in ((text.encode("gb18030"), 2), (text.encode("gb18030"), 0), (b"\xef\xbb\xbf" + text.encode(), 0)):
        done = import_file(s, admin, body)
        expect("the state", done["state"], "SUCCEEDED")
        expect("rows accepted", done.get("rowsAccepted", 0), accepted)
        expect("rows done", done["rowsDone"], 2)
    expect("a rare name", get(s, admin, "430105901")["name"], "𠮷·镇")
    expect("a name with a comma", get(s, admin, "430105901001")["name"], "引号,村")
    renamed = import_file(s, admin, "code,parent_code,level,name\n430105901,430105,township,新镇\n".encode())
    expect("rows accepted", renamed["rowsAccepted"], 1)
    expect("the new name", get(s, admin, "430105901")["name"], "新镇")


@story("a file can be checked without taking it")
def validate_only(s):
    admin = sign_in(s, "admin")
    body = "code,parent_code,level,name\n430105902,430105,township,试镇\n".encode()
    done = import_file(s, admin, body, "?validateOnly=true")
    expect("what would be accepted", (done["state"], done["rowsAccepted"]), ("SUCCEEDED", 1))
    s.call("GET", "/v1/organizations/430105902", token=admin).refused(404)


@story("files that are no table are refused with a report")
def no_table(s):
    admin = sign_in(s, "admin")
    for body, code in ((b"\n\n", "empty"), (b"code,name\n1,2\n", "column-missing"), (b"\x00\x01\xff,\xfe\n", "encoding")):
        done = import_file(s, admin, body)
        expect(f"the report on {body!r}", (done["state"], done["errors"][0]["code"]), ("FAILED", code))


@story("the largest file, of lines with nothing on them, costs little memory")
def empty_lines(s):
    def most_memory():
        with open(f"/proc/{s.pid('membership-1')}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))

    before, header = most_memory(), b"code,parent_code,level,name\n"
    import_file(s, sign_in(s, "admin"), header + b"\n" * ((16 << 20) - len(header)))
    grown = most_memory() - before
    assert grown < 100000, f"{grown} kB more"


@story("chunks may come again, but none may be missing")
def chunks(s):
    import base64
    import json

    file = "code,parent_code,level,name\n430105903,430105,township,块镇\n".encode()

    def send(start, end, last=False):
        chunk = {"upload": "test-chunks", "offset": str(start), "data": base64.b64encode(file[start:end]).decode(), "last": last}
        return s.cli("call", "ImportOrganizations", json.dumps(chunk), "--json", check=False)

    expect("the first", json.loads(send(0, 10).stdout)["bytesReceived"], 10)
    expect("again", json.loads(send(0, 10).stdout)["bytesReceived"], 10)
    refused = send(20, 30)
    assert refused.returncode and "import-gap" in refused.stdout + refused.stderr, refused
    expect("the second", json.loads(send(10, 30).stdout)["bytesReceived"], 30)
    for _ in range(2):
        done = json.loads(send(30, len(file), last=True).stdout)
        expect("the end, also when it is asked for again", (done["state"], done["rowsAccepted"]), ("SUCCEEDED", 1))
    expect("taken", get(s, sign_in(s, "admin"), "430105903")["name"], "块镇")


@story("a county's administrator imports within the county only")
def import_scope(s):
    admin = sign_in(s, "admin")
    account = {"login": "county-import", "organization": "430111", "grants": [{"role": "ROLE_ADMINISTRATOR", "organization": "430111"}]}
    s.call("POST", "/v1/accounts", {"account": account, "password": "a long password"}, token=admin).ok()
    token = s.call("POST", "/v1/sessions", {"login": "county-import", "password": "a long password"}).ok()["token"]
    inside = "code,parent_code,level,name\n430111901,430111,township,内镇\n430111901001,430111901,village,内村\n"
    expect("inside", import_file(s, token, inside.encode())["state"], "SUCCEEDED")
    outside = import_file(s, token, "code,parent_code,level,name\n430112901,430112,township,外镇\n".encode())
    expect("outside", (outside["state"], outside["errors"][0]["code"]), ("FAILED", "out-of-scope"))


@story("the whole list is exported as a stream")
def export(s):
    admin = sign_in(s, "admin")
    r = s.call("GET", "/v1/organizations?ancestor=43", token=admin, headers={"Accept": "text/csv"})
    expect("the status", r.status, 200)
    expect("rows, the header among them", r.body.decode().count("\n") > 31000, True)


if __name__ == "__main__":
    main(Stack())
