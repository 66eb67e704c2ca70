#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the contract compiler refuses, one bad file a refusal, with the exact line it prints; and what the lock
file lets by, refuses and remembers. TAP. Needs build/bin/contract-compiler and protoc."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
COMPILER = BUILD / "bin" / "contract-compiler"
FILE = "proto/nuanxin/test/v1/test.proto"

HEAD = """syntax = "proto3";
package nuanxin.test.v1;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "nuanxin/options.proto";
message GetThingRequest { string thing = 1 [(nuanxin.rule) = {required: true, uuid: true}]; }
message Thing { string id = 1 [(nuanxin.rule) = {uuid: true}]; }
"""
RULE = 'option (nuanxin.method) = {permission: "thing.read", rate: RATE_READ, lane: READ};'
GET = 'option (google.api.http) = {get: "/v1/things/{thing}"};'


def service(*rpcs):
    """A service with one rpc a line, after HEAD: the first is on line 9."""
    return HEAD + "service Things {\n" + "\n".join(rpcs) + "\n}\n"


def rpc(options, name="GetThing", request="GetThingRequest", response="Thing"):
    return f"rpc {name}({request}) returns ({response}) {{ {options} }}"


def method(rule, http=GET):
    return service(rpc(f"{http} option (nuanxin.method) = {{{rule}}};"))


def message(fields):
    return HEAD + f"message Bad {{\n{fields}\n}}\n"


def event(rule):
    """An event with more to its rule; it stands on line 8."""
    return HEAD + ('message ThingMade {\nstring id = 1 [(nuanxin.rule) = {uuid: true}];\n'
                   f'option (nuanxin.event) = {{topic: "thing", subject: "id", {rule}}};\n'
                   "repeated string everybody = 2 [(nuanxin.rule) = {max_items: 2, uuid: true}];\nint32 number = 3;\n}\n")


def stream(verb, rule):
    """A method that streams events; it stands on line 14."""
    watch = rpc(f'option (google.api.http) = {{{verb}: "/v1/things:watch"}};' + RULE.replace("};", ", event_stream: true};"),
                "WatchThings", "Watch", "Watched")
    return HEAD + ("message Watch {\nstring cursor = 1 [(nuanxin.rule) = {max_length: 9}]; int32 wait = 2;\n}\n"
                   "message Watched { string cursor = 1 [(nuanxin.rule) = {max_length: 9}];\n"
                   f"bytes events = 2 [(nuanxin.rule) = {{{rule}}}]; }}\nservice Things {{\n{watch}\n}}\n")


GOOD = service(rpc(GET + RULE))

# name, the file, line, what it says
REFUSALS = [
    ("a message that contains itself", message("Bad again = 1;"), 9,
     "Bad.again: recursive message: Bad contains itself"),
    ("messages that contain each other",
     HEAD + "message A {\nB b = 1;\n}\nmessage B {\nrepeated A a = 1 [(nuanxin.rule) = {max_items: 3}];\n}\n", 9,
     "A.b: recursive message: A contains itself"),
    ("a string without bound", message("string name = 1;"), 9,
     "Bad.name: unbounded string: give it max_length, in or uuid"),
    ("bytes without bound", message("bytes data = 1;"), 9, "Bad.data: unbounded bytes: give it max_length"),
    ("a list without bound", message("repeated int32 numbers = 1;"), 9,
     "Bad.numbers: unbounded list: give it max_items"),
    ("a map without bound", message("map<string, int32> m = 1 [(nuanxin.rule) = {max_length: 9}];"), 9,
     "Bad.m: unbounded list: give it max_items"),
    ("a pattern that does not compile",
     message('string a = 1 [(nuanxin.rule) = {max_length: 9, pattern: "[0-9](a"}];'), 9,
     'Bad.a: invalid pattern "[0-9](a": Unmatched ( or \\('),
    ("a pattern that is not ASCII", message('string a = 1 [(nuanxin.rule) = {max_length: 9, pattern: "[省市]"}];'), 9,
     "Bad.a: pattern must be plain ASCII: it is matched byte by byte"),
    ("proto3 optional", message("optional int32 a = 1;"), 9,
     "Bad.a: proto3 optional: use a FieldMask, or a message for what may be absent"),
    ("a range on a string", message("string a = 1 [(nuanxin.rule) = {max_length: 9, range: {min: 1, max: 2}}];"), 9,
     "Bad.a: range is a rule of integers"),
    ("a pattern on a number", message('int32 a = 1 [(nuanxin.rule) = {pattern: "a"}];'), 9,
     "Bad.a: pattern is a rule of strings"),
    ("a min_length above the max_length", message("string a = 1 [(nuanxin.rule) = {min_length: 9, max_length: 2}];"),
     9, "Bad.a: min_length is above max_length"),
    ("an empty range", message("int32 a = 1 [(nuanxin.rule) = {range: {min: 3, max: 2}}];"), 9,
     "Bad.a: range has its min above its max"),
    ("max_items on one value", message("int32 a = 1 [(nuanxin.rule) = {max_items: 2}];"), 9,
     "Bad.a: max_items is a rule of repeated fields"),
    ("a SENSITIVE field in an event",
     HEAD + 'message ThingMade {\noption (nuanxin.event) = {topic: "thing", subject: "id"};\n'
     "string id = 1 [(nuanxin.rule) = {uuid: true}];\n"
     "string number = 2 [(nuanxin.rule) = {max_length: 18, privacy: SENSITIVE}];\n}\n", 11,
     "event ThingMade: field number is SENSITIVE"),
    ("a SENSITIVE field below an event",
     HEAD + "message Inner { string number = 1 [(nuanxin.rule) = {max_length: 18, privacy: SENSITIVE}]; }\n"
     "message ThingMade {\n"
     'option (nuanxin.event) = {topic: "thing", subject: "id"};\n'
     "string id = 1 [(nuanxin.rule) = {uuid: true}];\nInner inner = 2;\n}\n", 12,
     "event ThingMade: field inner.number is SENSITIVE"),
    ("an event whose subject is no field",
     HEAD + 'message ThingMade {\noption (nuanxin.event) = {topic: "thing", subject: "nobody"};\n}\n', 8,
     'ThingMade: event subject "nobody" is no string field of it'),
    ("an event about a person who is no field", event('person: "nobody"'), 8,
     'ThingMade: event person "nobody" is no string field of it'),
    ("an event about several persons", event('person: "everybody"'), 8,
     'ThingMade: event person "everybody" is no string field of it'),
    ("an event about a person who is no text", event('person: "number"'), 8,
     'ThingMade: event person "number" is no string field of it'),
    ("a notice about nobody", event("notice: true"), 8, "ThingMade: a notice without person"),
    ("a notice of the machinery", event('person: "id", notice: true, internal: true'), 8,
     "ThingMade: a notice that is internal reaches nobody"),
    ("a PERSONAL field in an event about nobody",
     HEAD + "message Inner { string name = 1 [(nuanxin.rule) = {max_length: 9, privacy: PERSONAL}]; }\n"
     'message ThingMade {\noption (nuanxin.event) = {topic: "thing", subject: "id"};\n'
     "string id = 1 [(nuanxin.rule) = {uuid: true}];\nInner inner = 2;\n}\n", 12,
     "event ThingMade: field inner.name is PERSONAL, but it says of nobody whom it is about"),
    ("raw_json that is no bytes", message("string a = 1 [(nuanxin.rule) = {max_length: 9, raw_json: true}];"), 9,
     "Bad.a: raw_json is a rule of bytes"),
    ("a method without any rule", service(rpc(GET)), 9,
     "method GetThing: no permission, rate class and lane: give it (nuanxin.method)"),
    ("a method without permission", method("rate: RATE_READ, lane: READ"), 9, "method GetThing: no permission"),
    ("a method without rate class", method('permission: "thing.read", lane: READ'), 9,
     "method GetThing: no rate class"),
    ("a method without lane", method('permission: "thing.read", rate: RATE_READ'), 9, "method GetThing: no lane"),
    ("a permission of no form", method('permission: "Read things", rate: RATE_READ, lane: READ'), 9,
     'method GetThing: permission "Read things" is no noun.verb, public, signedIn, service or operator'),
    ("service over HTTP", method('permission: "service", rate: RATE_READ, lane: READ'), 9,
     'method GetThing: permission "service" cannot be reached over HTTP'),
    ("operator over HTTP", method('permission: "operator", rate: RATE_READ, lane: READ'), 9,
     'method GetThing: permission "operator" cannot be reached over HTTP'),
    ("RATE_NONE over HTTP", method('permission: "thing.read", rate: RATE_NONE, lane: READ'), 9,
     "method GetThing: RATE_NONE is for methods inside, not over HTTP"),
    ("public without HTTP", method('permission: "public", rate: RATE_READ, lane: READ', ""), 9,
     'method GetThing: permission "public" without an HTTP rule: nobody could call it'),
    ("an `at` that is no field", method('permission: "thing.read", at: "thing.home", rate: RATE_READ, lane: READ'), 9,
     'method GetThing: at: "thing.home" is no string field of nuanxin.test.v1.GetThingRequest'),
    ("a path variable that is no field", service(rpc('option (google.api.http) = {get: "/v1/things/{other}/{thing}"};' + RULE)),
     9, "method GetThing: path variable {other} is no plain field of nuanxin.test.v1.GetThingRequest"),
    ("a path with a wildcard", service(rpc('option (google.api.http) = {get: "/v1/{thing=things/*}"};' + RULE)), 9,
     'method GetThing: path "/v1/{thing=things/*}" is none that the gateway serves: /v1/things/{thing}:verb'),
    ("a body that is no field",
     service(rpc('option (google.api.http) = {post: "/v1/things/{thing}", body: "nothing"};' + RULE)), 9,
     'method GetThing: body "nothing" is no message field of nuanxin.test.v1.GetThingRequest'),
    ("a GET with a body", service(rpc('option (google.api.http) = {get: "/v1/things/{thing}", body: "*"};' + RULE)), 9,
     "method GetThing: GET has no body"),
    ("two methods with one route",
     service(rpc(GET + RULE), rpc('option (google.api.http) = {get: "/v1/things/{id}"};' + RULE, "ReadThing", "Thing")),
     10, "method ReadThing: GET /v1/things/{id} is also the route of nuanxin.test.v1.Things.GetThing"),
    ("a message as query parameter",
     HEAD + "message Ask {\nThing like = 1;\n}\nservice Things {\n"
     + rpc('option (google.api.http) = {get: "/v1/things"};' + RULE, request="Ask") + "\n}\n", 12,
     "method GetThing: field like is in neither path nor body, and no query parameter"),
    ("an upload without its fields",
     method('permission: "thing.read", rate: RATE_BULK, lane: WRITE, upload: true'), 9,
     "method GetThing: upload needs the field upload in nuanxin.test.v1.GetThingRequest"),
    ("an export that is no list", method('permission: "thing.read", rate: RATE_READ, lane: READ, export: true'), 9,
     "method GetThing: export needs the field page_token in nuanxin.test.v1.GetThingRequest"),
    ("an event stream without its fields",
     method('permission: "thing.read", rate: RATE_READ, lane: READ, event_stream: true'), 9,
     "method GetThing: event_stream needs the field cursor in nuanxin.test.v1.GetThingRequest"),
    ("an event stream of other bytes", stream("get", "max_length: 9"), 14,
     "method WatchThings: event_stream needs raw_json of the field events in nuanxin.test.v1.Watched"),
    ("an event stream by POST", stream("post", "max_length: 9, raw_json: true"), 14,
     "method WatchThings: event_stream is for GET"),
    ("a session without principal",
     method('permission: "thing.read", rate: RATE_READ, lane: READ, session: SESSION_OPEN'), 9,
     "method GetThing: SESSION_OPEN needs the field principal in nuanxin.test.v1.Thing"),
    ("a stream", HEAD + "service Things {\nrpc GetThing(GetThingRequest) returns (stream Thing) { " + GET + RULE + " }\n}\n",
     9, "method GetThing: streams are refused"),
    ("two names for one number", HEAD + "enum E {\noption allow_alias = true;\nZERO = 0;\nNIL = 0;\n}\n", 11,
     "NIL: has the number of ZERO"),
    ("messages nested too deep", HEAD + "message M0 { int32 a = 1; }\n"
     + "".join(f"message M{i} {{ M{i - 1} m = 1; }}\n" for i in range(1, 33)), 40,
     "M32: nested deeper than 32: nobody could read it"),
    ("a role with a permission that nobody asks for",
     GOOD + 'enum Role {\nNOBODY = 0;\nBOSS = 1 [(nuanxin.role) = {permissions: ["thing.read", "thing.eat"]}];\n}\n', 13,
     'BOSS: unknown permission "thing.eat": no method asks for it'),
    ("a role with all of a noun that there is not",
     GOOD + 'enum Role {\nNOBODY = 0;\nBOSS = 1 [(nuanxin.role) = {permissions: ["cake.*"]}];\n}\n', 13,
     'BOSS: unknown permission "cake.*": no method asks for it'),
]

LOCKED = service(rpc(GET + RULE)) + """enum Colour {
COLOUR_UNSPECIFIED = 0;
RED = 1;
}
message Box {
string name = 1 [(nuanxin.rule) = {max_length: 9}];
int32 size = 2;
oneof content {
Thing thing = 3;
int32 sand = 4;
}
}
message ThingMade {
option (nuanxin.event) = {topic: "thing", subject: "id"};
string id = 1 [(nuanxin.rule) = {uuid: true}];
}
message ThingSeen {
option (nuanxin.event) = {topic: "thing", subject: "id", person: "viewer"};
string id = 1 [(nuanxin.rule) = {uuid: true}];
string viewer = 2 [(nuanxin.rule) = {uuid: true}];
bool required = 3;
}
"""

# name, what to replace by what, the refusal (where and what); None: let by. {n} is a line of the lock file.
CHANGES = [
    ("a removed field", "int32 size = 2;\n", "",
     "LOCK:{field nuanxin.test.v1.Box 2}: breaking change: field nuanxin.test.v1.Box 2 was removed (singular int32 size size)"),
    ("a field of another type", "int32 size", "int64 size",
     FILE + ':17: breaking change: field nuanxin.test.v1.Box 2 was "singular int32 size size"'
     ' (LOCK:{field nuanxin.test.v1.Box 2}), is "singular int64 size size"'),
    ("a renamed field", "int32 size", "int32 width",
     FILE + ':17: breaking change: field nuanxin.test.v1.Box 2 was "singular int32 size size"'
     ' (LOCK:{field nuanxin.test.v1.Box 2}), is "singular int32 width width"'),
    ("a field of another label", "int32 size = 2;", "repeated int32 size = 2 [(nuanxin.rule) = {max_items: 3}];",
     FILE + ':17: breaking change: field nuanxin.test.v1.Box 2 was "singular int32 size size"'
     ' (LOCK:{field nuanxin.test.v1.Box 2}), is "repeated int32 size size"'),
    ("a field of another JSON name", "int32 size = 2;", 'int32 size = 2 [json_name = "width"];',
     FILE + ':17: breaking change: field nuanxin.test.v1.Box 2 was "singular int32 size size"'
     ' (LOCK:{field nuanxin.test.v1.Box 2}), is "singular int32 size width"'),
    ("a field that left its oneof", "int32 sand = 4;\n}\n", "}\nint32 sand = 4;\n",
     FILE + ':21: breaking change: field nuanxin.test.v1.Box 4 was "singular int32 sand sand oneof=content"'
     ' (LOCK:{field nuanxin.test.v1.Box 4}), is "singular int32 sand sand"'),
    ("a field that is required now", "int32 size = 2;", "int32 size = 2 [(nuanxin.rule) = {required: true}];",
     FILE + ":17: breaking change: field nuanxin.test.v1.Box 2 is required now (LOCK:{field nuanxin.test.v1.Box 2})"),
    ("a new field that is required in a request", "string thing = 1 [(nuanxin.rule) = {required: true, uuid: true}];",
     "string thing = 1 [(nuanxin.rule) = {required: true, uuid: true}]; "
     "int32 more = 2 [(nuanxin.rule) = {required: true}];",
     FILE + ":6: breaking change: new field nuanxin.test.v1.GetThingRequest 2 is required: older callers do not send it"),
    ("a renamed enum value", "RED", "BLUE",
     FILE + ':13: breaking change: value nuanxin.test.v1.Colour 1 was "RED" (LOCK:{value nuanxin.test.v1.Colour 1}), is "BLUE"'),
    ("a removed enum value", "RED = 1;\n", "",
     "LOCK:{value nuanxin.test.v1.Colour 1}: breaking change: value nuanxin.test.v1.Colour 1 was removed (RED)"),
    ("a moved route", "/v1/things/{thing}", "/v1/thing/{thing}",
     FILE + ':9: breaking change: method nuanxin.test.v1.Things.GetThing was "nuanxin.test.v1.GetThingRequest '
     'nuanxin.test.v1.Thing GET /v1/things/{thing}" (LOCK:{method nuanxin.test.v1.Things.GetThing}), is '
     '"nuanxin.test.v1.GetThingRequest nuanxin.test.v1.Thing GET /v1/thing/{thing}"'),
    ("an event of another topic", 'topic: "thing"', 'topic: "box"',
     FILE + ':23: breaking change: event nuanxin.test.v1.ThingMade was "thing id"'
     ' (LOCK:{event nuanxin.test.v1.ThingMade}), is "box id"'),
    ("an event about nobody any more", ', person: "viewer"', "",
     "LOCK:{person nuanxin.test.v1.ThingSeen}: breaking change: person nuanxin.test.v1.ThingSeen was removed (viewer)"),
    ("an event about somebody else", 'person: "viewer"', 'person: "id"',
     FILE + ':27: breaking change: person nuanxin.test.v1.ThingSeen was "viewer"'
     ' (LOCK:{person nuanxin.test.v1.ThingSeen}), is "id"'),
    ("a new field", "int32 size = 2;", "int32 size = 2; int32 depth = 9;", None),
    ("a new enum value", "RED = 1;", "RED = 1; GREEN = 2;", None),
    ("a new method", "}\nenum", rpc('option (google.api.http) = {get: "/v1/other/{thing}"};' + RULE, "GetOther") + "\n}\nenum",
     None),
    ("a wider bound", "max_length: 9", "max_length: 90", None),
    ("a new version beside the old", "enum Colour", "message BoxV2 { int32 size = 1; }\nenum Colour", None),
]


class Bench:
    """A scratch tree with one file, and the compiler run over it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.proto = self.folder / "nuanxin" / "test" / "v1" / "test.proto"
        self.proto.parent.mkdir(parents=True)
        self.lock = self.folder / "contract.lock"

    def run(self, text, *more):
        self.proto.write_text(text)
        binpb = self.folder / "contract.binpb"
        subprocess.run(["protoc", f"-I{self.folder}", f"-I{ROOT}/proto", "-I/usr/include", "--include_imports",
                        "--include_source_info", f"--descriptor_set_out={binpb}", "nuanxin/test/v1/test.proto"],
                       check=True, stderr=subprocess.DEVNULL)
        out = more or ("--out", str(self.folder / "out"))
        done = subprocess.run([COMPILER, "--descriptors", binpb, "--lock", self.lock, *out], capture_output=True,
                              text=True)
        return done.returncode, done.stderr.replace(str(self.lock), "LOCK")

    def lines(self):
        return {line.split(" = ")[0]: i + 1 for i, line in enumerate(self.lock.read_text().splitlines())}


count = failed = 0


def check(name, good, *notes):
    global count, failed
    count += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {count} - {name}")
    for note in notes if not good else ():
        print("#", *str(note).splitlines(), sep="\n# ")


def check_refusals(bench):
    code, said = bench.run(GOOD)
    check("a good contract is taken", code == 0, said)
    code, said = bench.run(stream("get", "max_length: 9, raw_json: true"))
    check("so is a stream of events", code == 0, said)
    for name, text, line, what in REFUSALS:
        code, said = bench.run(text)
        check(f"refused: {name}", code == 1 and f"{FILE}:{line}: {what}\n" in said, f"want {FILE}:{line}: {what}", said)


def check_problem(bench):
    problems = (ROOT / "proto/nuanxin/problem.proto").read_text()
    copy = bench.folder / "nuanxin" / "problem.proto"
    cut = problems.rindex("}")
    copy.write_text(problems[:cut] + "  PROBLEM_NEW = 9999;\n}\n")
    line = problems[:cut].count("\n") + 1
    code, said = bench.run(GOOD)
    want = f"proto/nuanxin/problem.proto:{line}: PROBLEM_NEW: no (nuanxin.problem) rule\n"
    check("refused: a problem without its rule", code == 1 and want in said, f"want {want}", said)
    copy.unlink()


def check_lock(bench):
    code, said = bench.run(LOCKED, "--update-lock")
    check("make lock writes the promises", code == 0 and "field nuanxin.test.v1.Box 2" in bench.lines(), said)
    code, said = bench.run(LOCKED)
    check("what is locked and unchanged says nothing", (code, said) == (0, ""), said)
    locked, lines = bench.lock.read_text(), bench.lines()
    for name, old, new, want in CHANGES:
        bench.lock.write_text(locked)
        code, said = bench.run(LOCKED.replace(old, new, 1))
        if want is None:
            additions = re.fullmatch(r"LOCK: \d+ additions are not locked yet: run `make lock`\n|", said)
            check(f"let by: {name}", code == 0 and additions, said)
        else:
            want = re.sub(r"LOCK:\{([^}]*)\}", lambda m: f"LOCK:{lines[m[1]]}", want)
            check(f"breaking: {name}", code == 1 and want + "\n" in said, f"want {want}", said)
            code, _ = bench.run(LOCKED.replace(old, new, 1), "--update-lock")
            check(f"make lock refuses it, too: {name}", code == 1 and bench.lock.read_text() == locked)


def check_history(bench):
    bench.lock.unlink(missing_ok=True)
    bench.run(LOCKED, "--update-lock")
    before = re.search(r"^message nuanxin.test.v1.GetThingRequest = (\w+)$", bench.lock.read_text(), re.M)[1]
    wider = LOCKED.replace("uuid: true}]; }", "uuid: true}]; int32 depth = 2; }", 1)
    code, said = bench.run(wider, "--update-lock")
    after = re.search(r"^message nuanxin.test.v1.GetThingRequest = (\w+) (\w+)$", bench.lock.read_text(), re.M)
    check("an added field keeps the old shape in the history", code == 0 and after and after[1] == before, said)
    text = bench.lock.read_text()
    bench.run(wider, "--update-lock")
    check("make lock again changes nothing", bench.lock.read_text() == text)
    bench.run(wider)
    tables = (bench.folder / "out" / "contract.c").read_text()
    accepted = tables[tables.index("contract_past_inputs[]"):tables.index("contract_n_past_inputs")]
    check("the old shape of a request is accepted", f"0x{before}ull" in accepted and after[2] not in accepted, accepted)
    bench.lock.write_text("nonsense\n")
    code, said = bench.run(LOCKED)
    check("a lock file that is none is refused", code == 1 and said == "LOCK:1: not a line of a lock file: nonsense\n", said)


with tempfile.TemporaryDirectory() as scratch:
    the_bench = Bench(scratch)
    check_refusals(the_bench)
    check_problem(the_bench)
    check_lock(the_bench)
    check_history(the_bench)
print(f"1..{count}")
sys.exit(1 if failed else 0)
