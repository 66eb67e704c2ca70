# SPDX-License-Identifier: Apache-2.0
"""Builds of other versions of this tree, for stories in which versions meet: a copy under build/variants/ with a few lines
changed, compiled from what this tree's build already has.

    newer()     expands: fields, a method, an event and a column that this tree does not have, and a contraction
    breaking()  the newer one, with a request that its predecessors do not understand any more
"""
import fcntl
import hashlib
import os
import shutil
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PARTS = ["Makefile", "proto", "common", "services", "deploy"]
PROGRAMS = ["nuanxin", "nuanxin-runner", "nuanxin-seed", "nuanxin-gateway", "nuanxin-edge", "nuanxin-membership", "nuanxin-activity",
            "nuanxin-care", "nuanxin-stream"]
ORGANIZATION = "proto/nuanxin/membership/v1/organization.proto"
HANDLERS = "services/membership/handle_organization.c"

MOTTO_HANDLER = '''
int handle_get_motto(struct rpc_call *call, const GetMottoRequest *request, Motto *response);
int handle_get_motto(struct rpc_call *call, const GetMottoRequest *request, Motto *response)
{
        static const char sql[] = "SELECT motto FROM organization WHERE code = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct organization o;
        int r = find_organization(call, request->organization, &o);
        if (r == 0)
                r = rpc_require(call, str_of(o.path));
        if (r == 0)
                r = store_query(rpc_db(call), sql, &rows, TEXTZ(request->organization));
        if (r == 0 && (r = store_next(rows)) == 1)
                response->motto = store_text_dup(rows, 0, rpc_arena(call));
        return r == 1 ? 0 : r;
}
'''
EMIT_MOTTO = '''
        MottoChanged motto = NUANXIN__MEMBERSHIP__V1__MOTTO_CHANGED__INIT;
        static const char sql[] = "UPDATE organization SET motto = name WHERE code = $1";
        fill_event(call, o, &event);
        motto.code = o->code;
        motto.motto = event.motto = o->name;
        int r = store_exec(rpc_db(call), sql, NULL, TEXTZ(o->code));
        if (r == 0)
                r = rpc_emit(call, &membership_v1_motto_changed_msg, &motto, o->code, o->code);
        if (r != 0)
                return r;
'''
# (file, what stands there, what stands there instead)
NEWER = [
    (ORGANIZATION, "message GetOrganizationRequest {\n",
     "message GetOrganizationRequest {\n  bool whole = 2;\n"),
    (ORGANIZATION, "message GetOrganizationRequest {\n",
     "message GetMottoRequest {\n  string organization = 1 [(nuanxin.rule) = {required: true, max_length: 32}];\n}\n\n"
     "message Motto {\n  string motto = 1 [(nuanxin.rule) = {max_length: 100, example: \"暖心\"}];\n}\n\n"
     "message GetOrganizationRequest {\n"),
    (ORGANIZATION, "message OrganizationCounts {\n", "message OrganizationCounts {\n  int32 mottos = 90;\n"),
    ("proto/nuanxin/membership/v1/membership.proto", "  rpc GetOrganization(",
     "  rpc GetMotto(GetMottoRequest) returns (Motto) {\n"
     "    option (google.api.http) = {get: \"/v1/organizations/{organization}/motto\"};\n"
     "    option (nuanxin.method) = {permission: \"organization.read\", rate: RATE_READ, lane: READ};\n  }\n"
     "  rpc GetOrganization("),
    ("proto/nuanxin/membership/v1/events.proto", "  google.protobuf.Timestamp valid_to = 7;\n}\n",
     "  google.protobuf.Timestamp valid_to = 7;\n  string motto = 8 [(nuanxin.rule) = {max_length: 100}];\n}\n\n"
     "message MottoChanged {\n  option (nuanxin.event) = {topic: \"organization\", subject: \"code\"};\n"
     "  string code = 1 [(nuanxin.rule) = {required: true, max_length: 32}];\n"
     "  string motto = 2 [(nuanxin.rule) = {max_length: 100}];\n}\n"),
    ("services/membership/main.c", "static const struct store_migration migrations[] = {\n",
     "STORE_SCHEMA(membership_schema_090, \"services/membership/schema/090_motto.sql\");\n"
     "STORE_SCHEMA(membership_schema_091, \"services/membership/schema/091_motto.contract.sql\");\n"
     "static const struct store_migration migrations[] = {\n"
     "        {\"membership/090_motto\", membership_schema_090},\n"
     "        {\"membership/091_motto.contract\", membership_schema_091},\n"),
    ("services/membership/main.c", "static const struct rpc_method methods[] = {\n",
     "int handle_get_motto(struct rpc_call *call, const Nuanxin__Membership__V1__GetMottoRequest *request,\n"
     "                     Nuanxin__Membership__V1__Motto *response);\n"
     "static const struct rpc_method methods[] = {\n        MEMBERSHIP_V1_GET_MOTTO(handle_get_motto),\n"),
    (HANDLERS, "int emit_organization(", "typedef Nuanxin__Membership__V1__MottoChanged MottoChanged;\n"
     "typedef Nuanxin__Membership__V1__GetMottoRequest GetMottoRequest;\ntypedef Nuanxin__Membership__V1__Motto Motto;\n"
     + MOTTO_HANDLER + "\nint emit_organization("),
    (HANDLERS, "        OrganizationChanged event;\n        fill_event(call, o, &event);\n",
     "        OrganizationChanged event;" + EMIT_MOTTO),
    ("services/membership/schema/090_motto.sql", None,
     "-- SPDX-License-Identifier: Apache-2.0\nALTER TABLE organization ADD COLUMN motto @text NOT NULL DEFAULT '';\n"
     "CREATE INDEX organization_by_motto ON organization (motto);\n"),
    ("services/membership/schema/091_motto.contract.sql", None,
     "-- SPDX-License-Identifier: Apache-2.0\nDROP INDEX organization_by_motto;\n"),
]
LIST_REQUEST = "nuanxin.membership.v1.ListOrganizationsRequest"
BREAKING = NEWER + [(ORGANIZATION, "  bool valid_only = 7;", "  bool valid_only = 17;")]


def sources(changes, forgotten):
    """What the copy consists of: path → bytes, and the time of what is unchanged."""
    files = {}
    for part in PARTS:
        top = os.path.join(ROOT, part)
        for folder, _, names in os.walk(top) if os.path.isdir(top) else [(ROOT, [], [part])]:
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as f:
                    files[os.path.relpath(path, ROOT)] = f.read()
    for path, old, new in changes:
        if old is None:
            files[path] = new.encode()
            continue
        text = files[path].decode()
        assert text.count(old) >= 1, f"{path} has no line {old!r} any more: mend tests/support/variant.py"
        files[path] = text.replace(old, new, 1).encode()
    lock = files["proto/contract.lock"].decode().splitlines(keepends=True)
    files["proto/contract.lock"] = "".join(l for l in lock if not any(f in l for f in forgotten)).encode()
    return files


def make(folder, *words):
    r = subprocess.run(["make", "-s", f"-j{os.environ.get('NX_JOBS', os.cpu_count() or 2)}", *words], cwd=folder,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={k: v for k, v in os.environ.items() if k != "MAKEFLAGS"})
    assert r.returncode == 0, f"make {' '.join(words)} in {folder}:\n{r.stdout[-4000:]}"


def build(name, release, changes, forgotten=()):
    """The folder of the variant's programs."""
    folder = os.path.join(ROOT, "build", "variants", name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        files = sources(changes, forgotten)
        mark = hashlib.sha256(repr((release, sorted(files.items()))).encode()).hexdigest()
        mark_file = os.path.join(folder, ".mark")
        if not (os.path.exists(mark_file) and open(mark_file).read() == mark):
            for entry in os.listdir(folder):
                if entry != ".lock":
                    path = os.path.join(folder, entry)
                    shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
            # Objects newer than their unchanged sources, so that only what the changes touch is compiled.
            for path, content in files.items():
                target, origin = os.path.join(folder, path), os.path.join(ROOT, path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as f:
                    f.write(content)
                if os.path.exists(origin) and open(origin, "rb").read() == content:
                    shutil.copystat(origin, target)
            for part in ("gen", "common", "services", "deploy", "proto", "llhttp", "bin"):
                shutil.copytree(os.path.join(ROOT, "build", part), os.path.join(folder, "build", part))
            make(folder, "lock")
            make(folder, f"RELEASE={release}", *[f"build/bin/{p}" for p in PROGRAMS])
            with open(mark_file, "w") as f:
                f.write(mark)
    return os.path.join(folder, "build", "bin")


def newer():
    return build("newer", "90.0", NEWER)


def breaking():
    # What the lock had promised is forgotten, as somebody would who edits it by hand.
    return build("breaking", "91.0", BREAKING, (f"field {LIST_REQUEST} 7 ", f"message {LIST_REQUEST} "))


class Bin:
    """A folder of programs that a runner starts: which version each is may be changed while it runs."""

    def __init__(self, folder, versions):
        self.folder, self.versions = folder, versions
        os.makedirs(folder, exist_ok=True)
        self.use("old", *PROGRAMS)
        os.unlink(os.path.join(folder, "nuanxin-runner"))
        shutil.copy(os.path.join(versions["old"], "nuanxin-runner"), folder)  # it looks for the others beside itself

    def use(self, version, *programs):
        """From the next start on."""
        for program in programs:
            new = os.path.join(self.folder, "." + program)
            os.symlink(os.path.join(self.versions[version], program), new)
            os.replace(new, os.path.join(self.folder, program))
