#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every SQL text of the services fits both engines, and finds its rows through an index on PostgreSQL too.

The texts are read from the sources. On each engine every one is prepared over the schema that the service has; on PostgreSQL
with the types that the store gives its parameters, and planned as the write lane plans it. A text that goes through a
whole table is either here in WHOLE, or wrong.
"""
import glob
import json
import os
import re
import sqlite3
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)
os.chdir(ROOT)
from tests.support import postgres  # noqa: E402

# What goes through all of a table, since it is about all of it. A text that begins so:
WHOLE = (
    "DELETE FROM campaign_count", "DELETE FROM activity_count", "DELETE FROM member", "DELETE FROM consent", "DELETE FROM account", "DELETE FROM count_",
    "DELETE FROM standing WHERE purpose <>",  # its source begins anew
    "INSERT INTO campaign_count (campaign, organization, on_site, online) WITH RECURSIVE",  # rebuilds
    "INSERT INTO activity_count (activity, registered, waiting, on_site, online) SELECT",
    "INSERT INTO count_", "DELETE FROM rpc_reader WHERE seen_us", "SELECT MIN(position) FROM rpc_reader",  # a row a consumer
    "SELECT COUNT(*) FROM rpc_arrival",  # what has no position yet
    "SELECT present.thing, present.id FROM (",  # what the ledger's chain lacks
    "DELETE FROM care_figure", "SELECT 1 AS what, id AS case_id, programme",  # counted anew, from all cases
)
LITERAL = r'"(?:[^"\\\n]|\\.)*"'


def texts(path, flags):
    """The SQL texts of a source file, whole, as the compiler sees them."""
    code = subprocess.run(["gcc", "-std=gnu17", "-E", "-P", *flags, path], capture_output=True, text=True, check=True).stdout
    found = []
    for run in re.finditer(rf"{LITERAL}(?:\s*{LITERAL})*", code):
        parts = re.findall(LITERAL, run.group(0))
        if re.match(r'"(SELECT|INSERT|UPDATE|DELETE|WITH) ', parts[0]):
            found.append("".join(json.loads(p) for p in parts))
    return list(dict.fromkeys(found))


def schema(files, engine):
    types = {"postgresql": {"int": "BIGINT", "bytes": "BYTEA", "text": 'TEXT COLLATE "C"', "strict": "", "clustered": ""},
             "sqlite": {"int": "INTEGER", "bytes": "BLOB", "text": "TEXT", "strict": "STRICT", "clustered": "STRICT, WITHOUT ROWID"}}
    text = ""
    for file in files:
        with open(file, encoding="utf-8") as f:
            for line in f:
                if line.startswith("@"):
                    mark, line = line.split(None, 1)
                    if mark != "@" + engine:
                        continue
                text += re.sub(r"@(\w+)", lambda m: types[engine][m.group(1)], line.split("--")[0]) + "\n"
    return text



def parameters(text):
    return max([0, *(int(n) for n in re.findall(r"\$(\d+)", text))])


class Engine:
    """One session in which every text is prepared, and what the database says of it."""

    def __init__(self, db, name):
        self.db, self.name = db, name

    def blocks(self, commands):
        """The output of each, one after the other in one session; errors among it."""
        script = "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;\n"
        script += "".join(f"\\echo @@@\n{c}\n" for c in commands)
        r = subprocess.run([postgres.BIN + "psql", "-XAtq", self.db.url(self.name), "-f", "-"], input=script, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return [b.strip() for b in r.stdout.split("@@@\n")[1:]]


def walk(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from walk(child)


def faults(engine, statements):
    inferred = engine.blocks(f"PREPARE s{i} AS {s};\nSELECT parameter_types FROM pg_prepared_statements WHERE name = 's{i}';"
                             for i, s in enumerate(statements))
    types = []
    for text, said in zip(statements, inferred):
        if not said.startswith("{"):
            yield text, said
            types.append(None)
            continue
        # I64 is bigint, TEXT text, BYTES bytea: what PostgreSQL would have taken another way must do with that.
        names = [t for t in said.strip("{}").split(",") if t]
        types.append(["bigint" if t in ("integer", "smallint", "boolean") else t for t in names])
        if any(t not in ("bigint", "text", "bytea") for t in types[-1]):
            yield text, f"a parameter is of a type that the store has not: {said}"
    typed = [(s, t) for s, t in zip(statements, types) if t is not None]
    plans = engine.blocks(
        f"PREPARE s{i}{'(' + ','.join(t) + ')' if t else ''} AS {s};\n"
        f"EXPLAIN (FORMAT JSON) EXECUTE s{i}{'(' + ','.join(['NULL'] * len(t)) + ')' if t else ''};" for i, (s, t) in enumerate(typed))
    for (text, _), said in zip(typed, plans):
        if not said.startswith("["):
            yield text, said
            continue
        for node in walk(json.loads(said)[0]["Plan"]):
            whole = node["Node Type"] == "Seq Scan" or (node["Node Type"].startswith("Index") and "Index Cond" not in node)
            ordered = re.search(r"\bLIMIT|\b(MIN|MAX)\(", text)  # reads the first of an index, and stops
            if whole and not (ordered and node["Node Type"] != "Seq Scan") and not text.startswith(WHOLE):
                yield text, f"goes through all of {node['Relation Name'] if 'Relation Name' in node else node['Index Name']}: {node}"
    described = engine.blocks(f"{s} \\gdesc" for s in statements)
    for text, said in zip(statements, described):
        for line in said.splitlines():
            if "|" in line and line.split("|")[1] not in ("bigint", "integer", "smallint", "boolean", "text", "bytea", "void"):
                yield text, f"a column is of a type that the store does not read: {line}"


def on_sqlite(statements, files):
    db = sqlite3.connect(":memory:")
    db.executescript(schema(files, "sqlite"))
    for text in statements:
        try:
            db.execute("EXPLAIN " + text, {str(i + 1): None for i in range(parameters(text))})
        except sqlite3.Error as e:
            yield text, str(e)


def main():
    flags = subprocess.run(["make", "-s", "print-cppflags"], capture_output=True, text=True).stdout.split()
    statements = lambda folder: [(f, t) for f in sorted(glob.glob(folder + "/*.c")) for t in texts(f, flags)]
    shared = statements("common/rpc")
    number = failures = 0
    with postgres.Postgres() as db:
        for folder in sorted(glob.glob("services/*/schema")):
            service = folder.split("/")[1]
            files = sorted(glob.glob("common/rpc/schema/*.sql")) + sorted(glob.glob(folder + "/*.sql"))
            own = statements("services/" + service)
            with open(f"services/{service}/main.c", encoding="utf-8") as main_c:
                if "IMPORTS_MIGRATIONS" in main_c.read():
                    files += sorted(glob.glob("common/imports/schema/*.sql"))
                    own += statements("common/imports")
            name = "sql_" + service
            db.database(name)
            db.sql("SET ROLE " + postgres.ROLE + ";" + schema(files, "postgresql"), name)
            where = {t: f for f, t in shared + own}
            everywhere = [t for t in where if "pg_" not in t and "rpc_arrival" not in t and "rpc_lease" not in t]
            for engine, found in (("postgresql", list(faults(Engine(db, name), list(where)))),
                                  ("sqlite", list(on_sqlite(everywhere, files)))):
                for text, fault in found:
                    print(f"# {where[text]}: {fault}\n#     {text}")
                number += 1
                failures += bool(found)
                print(f"{'not ok' if found else 'ok'} {number} - {len(where)} statements of {service} on {engine}")
    sys.exit(1 if failures else 0)


main()
