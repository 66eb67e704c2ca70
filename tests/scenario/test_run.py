#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a newcomer does: make run on a terminal, the curl lines as printed, Ctrl-C, again; the README's commands as they
stand there; and everything that can be wrong before a start, each one clear line."""
import contextlib
import json
import os
import pty
import re
import select
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.stack import BIN, CARE, ROOT, Stack, free_port  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402

RUNNER = os.path.join(BIN, "nuanxin-runner")


class Terminal:
    """A command in a terminal of its own, so that Ctrl-C is what it is for a person."""

    def __init__(self, *command):
        self.text, self.status = "", None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execvp(command[0], command)

    def read_until(self, pattern, seconds):
        """Until the pattern stands in the text, or the command ends; then `status` is its exit status, or -signal."""
        deadline = time.monotonic() + seconds
        while self.status is None and not (pattern and re.search(pattern, self.text, re.M)):
            assert time.monotonic() < deadline, f"waited {seconds} s for {pattern or 'the end'}:\n{self.text}"
            if not select.select([self.fd], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # the terminal is closed: everything in it has ended
                data = b""
            if not data:
                os.close(self.fd)
                self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            self.text += data.decode(errors="replace").replace("\r\n", "\n")
        return self.text

    def press_ctrl_c(self):
        os.write(self.fd, b"\x03")


@contextlib.contextmanager
def folder():
    path = tempfile.mkdtemp(prefix="nxr", dir="/tmp")
    try:
        yield path
    finally:
        shutil.rmtree(path)


def processes_of(var):
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    return [line for line in found.splitlines() if var + "/" in line]


def make_run(var, port):
    return Terminal("make", "run", f"HTTP=127.0.0.1:{port}", f"EDGE=127.0.0.1:{free_port()}", f"VAR={var}")


def stop(terminal, var):
    terminal.press_ctrl_c()
    text = terminal.read_until(None, 30)
    assert f"stopped; the data stay in {var}" in text, text
    expect("what still runs", processes_of(var), [])


def try_curl_lines(text):
    lines = re.findall(r"^ +(curl .*)$", text, re.M)
    expect("curl lines", len(lines), 4)
    answers = [subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=20).stdout for line in lines]
    assert answers[0].endswith("}\n") and json.loads(answers[0])["token"], answers[0]
    expect("cities", len(json.loads(answers[1])["organizations"]), 14)
    assert json.loads(answers[2])["campaign"], answers[2]
    expect("what the agency sees", [e["type"].rsplit(".", 1)[1] for e in json.loads(answers[3])["events"]], ["OrganizationChanged"] * 3)


@story("make run, the four curl lines, Ctrl-C, and again: the data are kept")
def newcomer():
    with folder() as at:
        var, port = os.path.join(at, "var"), free_port()
        first = make_run(var, port)
        text = first.read_until(r"^ready ", 120)
        assert re.search(r"^imported 31691 organisations", text, re.M), text
        expect("the last line", text.rstrip().splitlines()[-1], f"ready http://127.0.0.1:{port}")
        try_curl_lines(text)
        credentials = os.path.join(var, "credentials.json")
        expect("mode of the credentials", oct(os.stat(credentials).st_mode & 0o777), "0o600")
        with open(credentials) as f:
            kept = json.load(f)
        for key in ("admin", "clerk"):
            assert kept[key]["login"] and kept[key]["password"], kept
        stop(first, var)

        again = make_run(var, port)
        text = again.read_until(r"^ready ", 60)
        assert "imported" not in text and kept["admin"]["password"] in text, text
        try_curl_lines(text)
        stop(again, var)


@story("Ctrl-C in the middle of the first start leaves nothing behind, and the next start goes on")
def early_stop():
    with folder() as at:
        var, port = os.path.join(at, "var"), free_port()
        for seen in ("membership.db", "credentials.json"):
            t = make_run(var, port)
            wait_until(f"{seen} or the end", lambda: any(seen in n for _, _, files in os.walk(var) for n in files) or t.status, 60)
            t.press_ctrl_c()
            t.read_until(None, 30)
            expect("what still runs", processes_of(var), [])
        last = make_run(var, port)
        try_curl_lines(last.read_until(r"^ready ", 60))
        stop(last, var)


@story("two stacks side by side do not know of each other")
def two_stacks():
    with Stack() as one, Stack() as two:
        one.call("GET", "/v1/organizations/43", token=one.api_key).ok()
        one.call("GET", "/v1/organizations/43", token=two.api_key).refused(401)
        two.call("GET", "/v1/organizations/43", token=two.api_key).ok()


@contextlib.contextmanager
def above_a_free_port():
    """Somebody listens where the edge would if nothing else is said: 1000 ports above that of HTTP."""
    with socket.socket() as there:
        for port in iter(free_port, None):
            try:
                there.bind(("127.0.0.1", port + 1000))
                break
            except OSError:
                continue
        there.listen()
        yield port


def refusal(wanted, *options, **how):
    r = subprocess.run([RUNNER, *options], capture_output=True, text=True, timeout=60, cwd=ROOT, **how)
    lines = r.stderr.strip().splitlines()
    assert r.returncode == 1 and len(lines) == 1 and re.search(wanted, lines[0]) and not r.stdout, \
        f"{options}: {r.returncode}, not 1 with one line /{wanted}/:\n{r.stdout}{r.stderr}"


@story("a second runner in the same folder, or at a port in use, says so and what to do; the first goes on")
def taken():
    with Stack() as s, folder() as at:
        refusal(r"a stack already runs in .*pid \d+ at http://" + s.address + r".*make run VAR=", "--var", s.var)
        refusal(r"can't listen at .*Address already in use; .*make run HTTP=", "--var", at + "/v", "--http", s.address)
        with above_a_free_port() as port:
            refusal(rf"can't listen at 127.0.0.1:{port + 1000}: Address already in use; .*make run EDGE=", "--var", at + "/v",
                    "--http", f"127.0.0.1:{port}")
        s.call("GET", "/v1/organizations/43", token=s.api_key).ok()


@story("what is wrong before a start is one line that says what to do")
def refusals():
    with folder() as at:
        free = f"127.0.0.1:{free_port()}"
        var = ["--var", os.path.join(at, "v"), "--http", free]
        refusal("is no address and port; give e.g. HTTP=127.0.0.1:8080", "--var", at + "/v", "--http", "127.0.0.1:99999")
        refusal("is no address and port", "--var", at + "/v", "--http", "8080")
        refusal("no such address", "--var", at + "/v", "--http", "192.0.2.1:8080")
        refusal("give membership=N, activity=N, care=N, stream=N, gateway=N or edge=N", *var, "--instances", "actvity=2")
        refusal("say SERVICE where its name goes", *var, "--store", "postgresql:///nuanxin")
        refusal("No such file or directory; make the folder above it", "--var", at + "/none/v")
        long = os.path.join(at, "x" * 80)
        refusal("too long a path for unix sockets", "--var", long, "--http", free)
        assert not os.path.exists(long), "the folder that is no good is left behind"
        with open(at + "/file", "w"):
            pass
        refusal("Not a directory; choose another with VAR=", "--var", at + "/file")
        os.makedirs(at + "/bare")
        refusal("redis does not start: can't run redis-server: No such file", *var, env={**os.environ, "PATH": at + "/bare"})
        os.makedirs(at + "/w/store")
        with open(at + "/w/store/membership.db", "w"):
            pass
        refusal("no keyring, but .* put its backup back", "--var", at + "/w", "--http", free)
        os.makedirs(at + "/d/store")
        with open(at + "/d/store/activity.db", "w") as f:
            f.write("this is no database" * 1000)
        refusal("activity-1 does not start: .*not a database", "--var", at + "/d", "--http", free)
        expect("what still runs", processes_of(at), [])


@story("a folder of somebody else is refused")
def not_mine():
    if os.getuid() != 0:
        return  # only root can become somebody else here
    with folder() as at:
        os.chmod(at, 0o755)
        os.mkdir(at + "/v", 0o700)
        nobody = ["setpriv", "--reuid=65534", "--clear-groups", RUNNER, "--http", f"127.0.0.1:{free_port()}", "--var"]
        for var in (at + "/v", at + "/new"):
            r = subprocess.run([*nobody, var], capture_output=True, text=True, timeout=20)
            assert r.returncode and "Permission denied; you may not write there" in r.stderr, r.stderr


@story("a full disk is refused before anything is written")
def full_disk():
    with folder() as at:
        command = f"mount -t tmpfs -o size=50m none {at} && exec {RUNNER} --var {at}/v --http 127.0.0.1:{free_port()}"
        r = subprocess.run(["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, timeout=20)
        if "mount" in r.stderr or "unshare" in r.stderr:
            print("# no mount to be had here: " + r.stderr.strip())
            return
        assert r.returncode == 1 and re.fullmatch(r"the disk of .* is full: \d+ MiB are free, \d+ are needed; free some.*\n", r.stderr), r.stderr


# --- the README ------------------------------------------------------------------------------------------------------

def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def code_blocks(path):
    return re.findall(r"^```sh\n(.*?)^```$", read(path), re.M | re.S)


@story("the README's five minutes work by copy and paste")
def five_minutes():
    block = next(b for b in code_blocks("README.md") if "API_KEY=" in b)
    with Stack() as s:
        script = "set -e\n" + re.sub(r"\bvar/(?=credentials|agency|events)", s.var + "/", block).replace("127.0.0.1:8080", s.address).replace(
            "127.0.0.1:9080", s.edge).replace("timeout 3 ", "timeout 8 ")
        r = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=100, cwd=ROOT,
                           env={**os.environ, "VAR": s.var, "HTTP": s.address, "MEMBERS": "300", "NUANXIN_VAR": s.var, "MAKEFLAGS": ""})
        assert r.returncode == 0, script + r.stdout + r.stderr
        answers = [json.loads(line) for line in r.stdout.splitlines() if line.startswith("{")]
        expect("answers", len(answers), 6)
        expect("an organisation", answers[0]["name"], "芙蓉区")
        expect("what stands below", [o["parent"] for o in answers[1]["organizations"]], ["430102"] * 5)
        expect("the new member", answers[2]["state"], "APPLIED")
        expect("what is wrong", (answers[3]["title"], answers[3]["violations"][0]["pointer"]), ("请求有误", "/name"))
        expect("what the agency sees", [e["type"].rsplit(".", 1)[1] for e in answers[5]["events"]], ["OrganizationChanged"] * 3)
        # All 31,694 of them come in a second, where nothing else runs.
        assert int(re.search(r"^(\d+) events$", r.stdout, re.M).group(1)) >= 500, "the subscriber has got no events:\n" + r.stdout
        for wanted in ("proved:", "membership-1", "文艺路街道", "ApplyMember"):
            assert wanted in r.stdout, f"no {wanted} in:\n{r.stdout}"


def where_the_ledger_is(s):
    return "--store " + shlex.quote(s.store_url("care")) if s.engine == "postgresql" else ""


def what_the_command_shows(s):
    case = lambda **where: json.loads(s.cli("case", "list", "430102", "--json", *(f"--set={k}={v}" for k, v in where.items())).stdout)["cases"][0]["id"]
    show = lambda *words: s.cli(*words).stdout
    paid, care = case(state="DONE"), case(programme="nuanxin-care")
    assert re.search(r"^paid +200000$", show("case", "show", paid), re.M), show("case", "show", paid)
    expect("its steps", re.findall(r"^(\d) +(\w*) +(open|confirm|approve|paid) ", show("case", "steps", paid), re.M),
           [("1", "", "open"), ("2", "village", "confirm"), ("3", "township", "approve"), ("4", "payment", "paid")])
    doctor = {"role": "family-doctor", "name": "周医生", "phone": "13800138009"}
    s.call("POST", f"/v1/cases/{care}:setContact", {"contact": doctor}, token=s.login("village")).ok()
    assert re.search(r"^contacts\nrole +name +phone +since\nfamily-doctor +周医生 +13800138009 ", show("case", "show", care), re.M), show("case", "show", care)
    for words, wanted in ((("recipient", "list", "430102"), "王秀兰"), (("payment", "list", "430102"), "PAID"), (("programme", "list"), "生育关怀补助"),
                          (("programme", "figures", "maternity-support", "430102", str(time.localtime().tm_year)), "\n430102001")):
        assert wanted in show(*words), (words, show(*words))


@story("a newcomer takes a case from its opening to its payment and traces each fen, by copy and paste from the README")
def five_minutes_of_care():
    block = next(b for b in code_blocks("README.md") if "session()" in b)
    with Stack(instances=CARE, samples=True) as s:
        script = re.sub(r"(?<=[ >@])var/(?=credentials|orders|answers)", s.var + "/", block).replace("127.0.0.1:8080", s.address).replace(
            "build/bin/", s.bin + "/")
        script = script.replace("ledger verify", f"ledger verify {where_the_ledger_is(s)}")
        r = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, timeout=100, cwd=ROOT, env={**os.environ, "NUANXIN_VAR": s.var})
        assert r.returncode == 0, script + r.stdout + r.stderr
        answers = [json.loads(line) for line in r.stdout.splitlines() if line.startswith("{")]
        expect("who opened it may not decide", answers[0]["type"].rsplit(":", 1)[1], "level-required")
        expect("the township confirms, and grants", [(a["stage"], a["granted"], a["reserved"]) for a in answers[1:]],
               [("township", "0", "0"), ("payment", "200000", "200000")])
        for wanted in (",刘晓燕,6222020009012345717,2000.00,", "done: 1 rows, 1 new or changed",
                       "43 source → 43 maternity → 4301 maternity → 430102 maternity → 430102 spent on maternity-support",
                       "1 decisions done again, 0 differ", "every balance is what its transfers come to"):
            assert wanted in r.stdout, f"no {wanted} in:\n{r.stdout}"
        waiting = re.findall(r"^\S{36}  STAGE +(\S+) +village ", r.stdout, re.M)
        expect("what waits in the village", sorted(waiting), ["education-aid", "hospital-care", "maternity-support", "nuanxin-care"])
        what_the_command_shows(s)


@story("where the credentials are lost they are made anew, and of the people and the money to try care with nothing is made twice")
def samples_once():
    tables = ("recipient", "care_case", "fund", "ledger_account", "ledger_transfer")
    with Stack(instances=CARE, samples=True) as s:
        count = lambda: {t: s.rows("care", f"SELECT COUNT(*) FROM {t}")[0][0] for t in tables}
        made, s.keep = count(), True
        expect("people, cases, funds", (made["recipient"], made["care_case"], made["fund"]), (4, 5, 2))
        s.stop()
        os.unlink(os.path.join(s.var, "credentials.json"))
        s.start()
        s.keep = False
        expect("what is there", count(), made)
        s.login("treasurer")


@story("the README's commands for agencies work beside the agency of the first run, and keep the secret key to its owner")
def commands_for_agencies():
    block = next(b for b in code_blocks("README.md") if "nuanxin agency add" in b)
    with Stack() as s, folder() as at:
        r = subprocess.run(["bash", "-ec", block], capture_output=True, text=True, timeout=60, cwd=at,
                           env={**os.environ, "PATH": BIN + ":" + os.environ["PATH"], "NUANXIN_VAR": s.var})
        assert r.returncode == 0, block + r.stdout + r.stderr
        assert "nxa_" in r.stdout and "whsec_" in r.stdout, r.stdout
        expect("the mode of the secret key's file", os.stat(at + "/pingan.key").st_mode & 0o777, 0o600)


@story("the README's commands for care work beside the programmes of the first run")
def commands_for_care():
    block = next(b for b in code_blocks("README.md") if "nuanxin programme put" in b)
    with Stack(instances=CARE) as s:
        script = block.replace("ledger verify", f"ledger verify {where_the_ledger_is(s)}")
        r = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, timeout=60, cwd=ROOT,
                           env={**os.environ, "PATH": BIN + ":" + os.environ["PATH"], "NUANXIN_VAR": s.var})
        assert r.returncode == 0, block + r.stdout + r.stderr
        for wanted in ("hospital-care 1  holds", "2026  国务院办公厅", "treasurer@43", "0 decisions done again", "as they were entered"):
            assert wanted in r.stdout, f"no {wanted} in:\n{r.stdout}"


@story("what the README names is there: files, programs, make's goals, the runner's options")
def readme_names():
    goals = subprocess.run(["make", "-s", "help"], capture_output=True, text=True, cwd=ROOT).stdout
    options = subprocess.run([RUNNER, "--help"], capture_output=True, text=True).stdout
    for path in ("README.md", "deploy/README.zh-CN.md"):
        text = read(path)
        for name in set(re.findall(r"`((?:proto|common|services|deploy|tests)/[\w./-]*)`", text)):
            assert os.path.exists(os.path.join(ROOT, name)), f"{path} names {name}"
        for goal in set(re.findall(r"`make ([a-z]+)|^make ([a-z]+)", text)):
            goal = goal[0] or goal[1]
            assert re.search(rf"^{goal} ", goals, re.M), f"{path} names make {goal}"
        for program, option in re.findall(r"build/bin/(nuanxin[a-z-]*)(?: (--[a-z-]+))?", text):
            assert os.path.exists(os.path.join(ROOT, "build", "bin", program)), f"{path} names {program}"
            assert not option or program != "nuanxin-runner" or option in options, f"{path} names {option}"


@story("both READMEs have the same commands")
def two_readmes():
    strip = lambda block: [re.sub(r"\s+#.*$|^#.*$", "", line) for line in block.splitlines()]
    ours, theirs = ([strip(b) for b in code_blocks(p)] for p in ("README.md", "deploy/README.zh-CN.md"))
    expect("the Chinese README's commands", theirs, ours)
    count = lambda path: [len(re.findall(mark, read(path), re.M)) for mark in (r"^## ", r"^- \*\*", r"^\| ")]
    expect("its sections, points and tables' rows", count("deploy/README.zh-CN.md"), count("README.md"))


if __name__ == "__main__":
    main()
