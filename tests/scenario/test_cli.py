#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The operator's command on a running stack: whole lists, imports with a report, accounts whose sessions end at once,
who read what, keys that rotate; JSON from everything, and a helpful line for wrong use."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.people import csv_of, id_number, person  # noqa: E402
from support.stack import BIN, Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

VILLAGE = "430102001001"


def ask(s, *arguments, **how):
    """A command's answer as JSON."""
    return json.loads(s.cli("--json", *arguments, **how).stdout)


def wrong(s, status, wanted, *arguments, stdin=None):
    r = s.cli(*arguments, check=False, stdin=stdin)
    assert r.returncode == status and wanted in r.stderr and len(r.stderr.splitlines()) <= 12, \
        f"nuanxin {' '.join(arguments)}: {r.returncode}, not {status} with {wanted!r}:\n{r.stdout}{r.stderr}"


@story("status shows every instance, which one writes, and its lanes")
def status(s):
    instances = {i["instance"]: i for i in ask(s, "status")}
    expect("instances", sorted(instances), ["activity-1", "activity-2", "care-1", "care-2", "membership-1", "membership-2", "stream-1", "stream-2"])
    for service in ("activity", "care", "membership", "stream"):
        writers = [n for n, i in instances.items() if i["service"] == service and i.get("mayWrite")]
        expect(f"writers of {service}", len(writers), 2 if s.engine == "postgresql" else 1)
        assert {"read", "write", "slow"} <= {lane["name"] for lane in instances[writers[0]]["lanes"]}, instances[writers[0]]
    text = s.cli("status").stdout
    assert ("standby" in text) == (s.engine == "sqlite") and "COMMIT P50" in text, text


@story("organisations: shown, found, as a whole tree, imported all or none, moved")
def organizations(s):
    expect("name", ask(s, "org", "show", "430102")["name"], "芙蓉区")
    expect("cities", len(ask(s, "org", "list", "43")["organizations"]), 14)
    assert "430102 " in s.cli("org", "find", "芙蓉区").stdout
    tree = s.cli("org", "tree", "430102").stdout.splitlines()
    expect("the tree's first lines", tree[:3], ["430102 芙蓉区", "  430102001 文艺路街道", "    430102001001 识字里社区居委会"])
    whole = ask(s, "org", "tree", "4301")["organizations"]
    assert len(whole) > 1000 and len({o["code"] for o in whole}) == len(whole), len(whole)
    good, bad = "code,parent_code,level,name\n430102001900,430102001,village,新设社区\n", "430102001901,430102999,village,无上级\n"
    r = s.cli("org", "import", "-", stdin=good + bad, check=False)
    assert r.returncode == 1 and "nothing was taken: 2 rows" in r.stdout and "parent-unknown" in r.stdout, r.stdout
    wrong(s, 1, "organization-unknown", "org", "show", "430102001900")
    expect("only checked", ask(s, "org", "import", "-", "--set", "validateOnly=true", stdin=good)["rowsAccepted"], 1)
    wrong(s, 1, "organization-unknown", "org", "show", "430102001900")
    expect("imported", ask(s, "org", "import", "-", stdin=good)["rowsAccepted"], 1)
    expect("imported again", ask(s, "org", "import", "-", stdin=good)["rowsUnchanged"], 1)
    expect("moved", ask(s, "org", "move", "430102001900", "430102002")["path"], "/43/4301/430102/430102002/430102001900/")
    wrong(s, 1, "organization-cycle", "org", "move", "430102", "430102001")
    wait_until("the villages are counted", lambda: ask(s, "org", "counts", "430102002").get("villages") == len(ask(s, "org", "list", "430102002")["organizations"]))


@story("members: a file with bad rows is checked, then taken by row with a report")
def members(s):
    people = [person(i, VILLAGE) for i in range(3)]
    people[1]["idNumber"] = "110105194912310021"
    people[2]["organization"] = "999"
    with tempfile.NamedTemporaryFile(suffix=".csv") as f:
        f.write(csv_of(people))
        f.flush()
        checked = s.cli("--json", "member", "import", f.name, "430102", "--set", "validateOnly=true", check=False)
        expect("status", checked.returncode, 1)
        report = json.loads(checked.stdout)
        expect("rows refused", (report["rowsAccepted"], report["rowsRefused"]), (1, 2))
        expect("nobody yet", ask(s, "member", "list", VILLAGE).get("members", []), [])
        text = s.cli("member", "import", f.name, "430102", check=False).stdout
        assert "done: 3 rows, 1 new or changed, 0 already there, 2 refused" in text, text
        assert "id-number-invalid" in text and "organization-unknown" in text, text
        again = s.cli("member", "import", f.name, "430102", check=False).stdout
        assert "0 new or changed, 1 already there, 2 refused" in again, again
    member = ask(s, "member", "list", VILLAGE)["members"][0]
    shown = s.cli("member", "show", member["id"]).stdout
    assert people[0]["name"] in shown and people[0]["idNumber"] not in shown, shown
    wrong(s, 1, "/organization", "member", "import", "/dev/null", "x" * 40)
    wrong(s, 1, "can't read /nowhere.csv: No such file", "member", "import", "/nowhere.csv", "430102")


@story("an account: made, signed in, its sessions ended at once by the operator, its rights and password changed, disabled")
def accounts(s):
    made = s.cli("account", "create", "zhang", "staff@430102", "张三").stdout
    password = next(line.split()[1] for line in made.splitlines() if line.startswith("password"))
    sign_in = lambda p: s.call("POST", "/v1/sessions", {"login": "zhang", "password": p})
    works = lambda t: s.call("GET", "/v1/organizations/430102", token=t).status == 200
    token = sign_in(password).ok()["token"]
    assert works(token)
    s.cli("session", "revoke", "zhang")
    wait_until("the session has ended", lambda: not works(token), 1)
    token = sign_in(password).ok()["token"]
    granted = ask(s, "account", "grant", "zhang", "viewer@430102", "staff@430103")["grants"]
    expect("grants", sorted((g["role"], g["organization"]) for g in granted), [("ROLE_STAFF", "430103"), ("ROLE_VIEWER", "430102")])
    wait_until("sessions with the old rights have ended", lambda: not works(token), 1)
    s.cli("account", "password", "zhang", "another-horse-battery")
    sign_in(password).refused(401, "bad-credentials")
    token = sign_in("another-horse-battery").ok()["token"]
    assert ask(s, "account", "disable", "zhang")["disabled"]
    wait_until("a disabled account has no session", lambda: not works(token), 1)
    sign_in("another-horse-battery").refused(403, "account-disabled")
    assert "staff@430103 viewer@430102" in s.cli("account", "list", "430102").stdout
    wrong(s, 1, "login-taken", "account", "create", "zhang", "staff@430102")
    wrong(s, 1, "password-weak", "account", "create", "wang", "staff@430102", "--set", "password=x")
    wrong(s, 1, "nobody has the login wang", "session", "revoke", "wang")
    wrong(s, 2, "give a role at an organisation", "account", "create", "wang", "boss@430102")


@story("a client: its key works, is replaced, and is disabled")
def clients(s):
    made = ask(s, "client", "create", "测试后端", "app_backend@4301")
    works = lambda key: s.call("GET", "/v1/organizations/4301", token=key).status == 200
    assert works(made["apiKey"])
    rotated = ask(s, "client", "rotate", made["client"]["id"])["apiKey"]
    assert works(rotated)
    wait_until("the old key has ended", lambda: not works(made["apiKey"]), 6)
    s.cli("client", "disable", made["client"]["id"])
    wait_until("the disabled key has ended", lambda: not works(rotated), 6)
    assert any(c.get("disabled") for c in ask(s, "client", "list", "4301")["clients"])


@story("audit tells who did what, and who revealed sensitive data for which purpose")
def audit(s):
    admin = s.login("admin")
    member = ask(s, "member", "list", VILLAGE)["members"][0]["id"]
    s.call("POST", f"/v1/members/{member}:reveal", {"purpose": "核对身份"}, token=admin).ok()
    reads = ask(s, "audit", "--set", "readsOnly=true")["entries"]
    expect("the reading", [(e["method"].rsplit(".", 1)[1], e["subject"], e["purpose"]) for e in reads], [("RevealMember", member, "核对身份")])
    assert reads[0]["principal"].startswith("account:"), reads
    by_operator = ask(s, "audit", "--set", "principal=" + next(
        e["principal"] for e in ask(s, "audit", "--set", "limit=200")["entries"] if e["principal"].startswith("operator:")))["entries"]
    assert {"CreateClient", "RevokeAccountSessions"} <= {e["method"].rsplit(".", 1)[1] for e in by_operator}, by_operator
    page = s.cli("audit", "--set", "limit=1")
    assert len(page.stdout.splitlines()) == 2 and "older: --set before=" in page.stderr, page
    assert "CreateCampaign" in s.cli("audit", "activity").stdout


@story("keys: backed up and read back, rotated; after a restart what was sealed before and after is read")
def keys(s):
    admin = s.login("admin")
    reveal = lambda m: s.call("POST", f"/v1/members/{m}:reveal", {"purpose": "核对身份"}, token=admin).ok()["idNumber"]
    before = ask(s, "member", "list", VILLAGE)["members"][0]["id"]
    number = reveal(before)
    copy = os.path.join(s.folder, "keys-copy")
    assert "A copy, read back" in s.cli("keys", "backup", copy).stdout
    wrong(s, 1, "give each backup a new folder", "keys", "backup", copy)
    wrong(s, 1, "has a keyring already", "keys", "create")
    log, ledger = (ask(s, "keys", "show")[chain] for chain in ("log", "ledger"))  # what checks the chains' signatures: it stays
    expect("rotated", ask(s, "keys", "rotate")["active"], 2)
    s.restart()
    admin = s.login("admin")
    expect("sealed with the first key", reveal(before), number)
    after = s.call("POST", "/v1/members", {"organization": VILLAGE, "name": "新会员", "idNumber": id_number(77), "phone": "13800138077"}, token=admin).ok()["id"]
    expect("sealed with the second", reveal(after), id_number(77))
    expect("the keyring", ask(s, "keys", "show"), {"folder": os.path.join(s.var, "keys"), "keys": 2, "active": 2, "newest": 2, "log": log, "ledger": ledger})
    shutil.rmtree(copy)


@story("call reaches every method; every command's --json is JSON")
def everything_json(s):
    expect("call", ask(s, "call", "GetOrganization", '{"organization":"43"}')["name"], "湖南省")
    expect("from standard input", ask(s, "call", "GetOrganization", "-", stdin='{"organization":"4301"}')["name"], "长沙市")
    names = [m["method"] for m in ask(s, "methods")]
    assert "nuanxin.membership.v1.Membership.GetMember" in names, names
    wrong(s, 1, "/organisation: ", "call", "GetOrganization", '{"organisation":"43"}')
    wrong(s, 1, "/organization: ", "call", "GetOrganization")
    wrong(s, 2, "`nuanxin methods` lists them", "call", "NoSuchMethod")


@story("wrong use is status 2 and a line that shows the right one; an answer that can't be written is no success")
def wrong_use(s):
    wrong(s, 2, "which command? see nuanxin --help")
    wrong(s, 2, "no command is called foo; see nuanxin --help", "foo")
    wrong(s, 2, "usage: nuanxin account create LOGIN", "account")
    wrong(s, 2, "usage: nuanxin org show CODE", "org", "show")
    wrong(s, 2, "usage: nuanxin org show CODE", "org", "show", "43", "44")
    wrong(s, 2, "--bogus", "org", "show", "43", "--bogus")
    wrong(s, 2, "nope=1: ", "org", "list", "43", "--set", "nope=1")
    wrong(s, 2, "pageSize=x: ", "org", "list", "43", "--set", "pageSize=x")
    page = s.cli("org", "list", "43", "--set", "pageSize=2")
    assert len(page.stdout.splitlines()) == 3 and "more: --set pageToken=" in page.stderr, page
    wrong(s, 1, "/member: ", "member", "show", "nope")
    wrong(s, 1, "is the stack running (make run)", "--var", "/nonexistent", "status")
    for arguments, shown, others in ((("scale",), "how many instances", "member import"), (("keys", "curve"), "keys curve retire ROLE", "keys backup"),
                                     (("store",), "store contract", "org move"), (("backup", "verify"), "usage: nuanxin backup verify FILE", "commands:")):
        text = s.cli(*arguments, "--help").stdout
        assert shown in text and others not in text, text
    wrong(s, 1, "is the stack running (make run)", "--var", "/nonexistent", "org", "show", "43")
    with open("/dev/full", "w") as full:
        r = subprocess.run([os.path.join(BIN, "nuanxin"), "--var", s.var, "status"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 1 and "No space left" in r.stderr, r


if __name__ == "__main__":
    main(Stack(instances={"membership": 2, "activity": 2, "care": 2, "stream": 2}))
