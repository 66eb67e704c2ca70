#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks build/gen/contract/asyncapi.json: that it has every event of the contract that is not of the machinery, with whom it
is about and what only some may see; every reference, every example against its schema; and, where npm's packages are, what
AsyncAPI's own parser says of it. TAP."""

import copy
import json
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from support import npm  # noqa: E402
from support.document import Document, nodes, tap  # noqa: E402

MADE = ROOT / os.environ.get("BUILD", "build") / "gen" / "contract"
DOCUMENT = Document(MADE / "asyncapi.json")
MESSAGES = DOCUMENT["components"]["messages"]
SCHEMAS = DOCUMENT["components"]["schemas"]


def events():
    """As the files say it: {full name: its rule as text}."""
    found = {}
    for path in sorted((ROOT / "proto" / "nuanxin").rglob("*.proto")):
        text = path.read_text(encoding="utf-8")
        package = re.search(r"^package ([\w.]+);", text, re.M)[1]
        for name, rule in re.findall(r"^message (\w+) {\n  option \(nuanxin\.event\) = {([^}]*)};", text, re.M):
            found[f"{package}.{name}"] = rule
    return found


def word(rule, key):
    found = re.search(rf'\b{key}: (?:"(\w+)"|(true))', rule)
    return found and (found[1] or True)


def camel(name):
    return re.sub(r"_(\w)", lambda m: m[1].upper(), name)


SHOWN = {name: rule for name, rule in events().items() if not word(rule, "internal")}


def data_schema(name):
    return DOCUMENT.resolve(MESSAGES[name]["payload"]["allOf"][1]["properties"]["data"]["$ref"])


def check_head():
    assert DOCUMENT["asyncapi"] == "3.0.0" and DOCUMENT["id"] == "urn:nuanxin:events"
    assert set(DOCUMENT) == {"asyncapi", "id", "info", "defaultContentType", "servers", "channels", "operations", "components"}
    assert re.fullmatch("[0-9a-f]{64}", DOCUMENT["info"]["x-nuanxin-contract"])
    assert "at least once, in one total order per log, without gaps, and acknowledged means fsynced" in DOCUMENT["info"]["description"]


def check_servers():
    servers = DOCUMENT["servers"]
    assert set(servers) == {"poll", "sse", "zeromq", "webhook"}, servers
    for name, server in servers.items():
        assert set(re.findall("{(.*?)}", server["host"])) == set(server["variables"]), name
    openapi = Document(MADE / "openapi.json")
    assert {servers[n]["pathname"] for n in ("poll", "sse")} == {"/v1/events", "/v1/events:stream"} <= set(openapi["paths"])


def check_every_event():
    assert len(SHOWN) > 15 and len(SHOWN) < len(events()), len(SHOWN)
    for what in ("channels", "operations"):
        assert set(DOCUMENT[what]) == set(SHOWN), set(DOCUMENT[what]) ^ set(SHOWN)
    assert set(MESSAGES) == set(SHOWN)
    for name, channel in DOCUMENT["channels"].items():
        [(key, message)] = channel["messages"].items()
        assert channel["address"] == name and DOCUMENT.resolve(message["$ref"]) is MESSAGES[name], name
        operation = DOCUMENT["operations"][name]
        assert operation["action"] == "send" and DOCUMENT.resolve(operation["channel"]["$ref"]) is channel, name
        assert operation["messages"] == [{"$ref": f"#/channels/{name}/messages/{key}"}], name


def check_marks():
    for name, rule in SHOWN.items():
        message = MESSAGES[name]
        assert message["x-nuanxin-subject"] == camel(word(rule, "subject")), name
        assert message.get("x-nuanxin-person") == (word(rule, "person") and camel(word(rule, "person"))), name
        assert message.get("x-nuanxin-notice") == word(rule, "notice"), name
        assert message["tags"] == [{"name": word(rule, "topic")}], name
        assert message["x-nuanxin-protobuf"] == "type.googleapis.com/" + name, name
        assert message["contentType"] == "application/cloudevents+json" and message["summary"], name


def check_privacy():
    """Whom an event is about is PERSONAL, wherever it stands; nothing is SENSITIVE; and no field must be there."""
    persons = 0
    for name, rule in SHOWN.items():
        person = word(rule, "person")
        if person:
            persons += 1
            assert data_schema(name)["properties"][camel(person)]["x-nuanxin-privacy"] == "PERSONAL", name
        subject = MESSAGES[name]["payload"]["allOf"][1]["properties"].get("subject", {})
        assert subject.get("x-nuanxin-privacy") == ("PERSONAL" if person and person == word(rule, "subject") else None), name
    assert persons > 5, persons
    for trail, node in nodes(DOCUMENT):
        assert node != "SENSITIVE", trail
    for name, schema in SCHEMAS.items():
        assert name == "CloudEvent" or "required" not in schema, name


def check_examples():
    for name, message in MESSAGES.items():
        [example] = message["examples"]
        DOCUMENT.fits(example["payload"], message["payload"], name)
        data = example["payload"]["data"]
        assert example["payload"]["subject"] == data[message["x-nuanxin-subject"]], name
        assert set(data) == set(data_schema(name)["properties"]), name


def check_nothing_internal():
    hidden = set(events()) - set(SHOWN)
    assert hidden
    for trail, node in nodes(DOCUMENT):
        for text in (trail, node):
            assert not (isinstance(text, str) and any(name in text for name in hidden)), trail
    assert not any(name.startswith("internal.") for name in SCHEMAS)


def parsed(document):
    return npm.run("tests/npm/asyncapi.js", stdin=json.dumps(document), timeout=120)


def check_parser():
    said = parsed(DOCUMENT)
    assert said == f"{len(SHOWN)} messages, nothing wrong\n", said


def check_parser_sees():
    """It does look: at references, and at what the specification asks for. (Not at examples: that is check_examples.)"""
    name = next(iter(SHOWN))
    for break_it in (lambda d: d["operations"][name].update(channel={"$ref": "#/channels/none"}),
                     lambda d: d["servers"]["poll"].pop("protocol")):
        broken = copy.deepcopy(dict(DOCUMENT))
        break_it(broken)
        said = parsed(broken)
        assert said and "nothing wrong" not in said, said


CHECKS = [("the head", check_head), ("every reference leads somewhere", DOCUMENT.check_references),
          ("the four transports", check_servers), ("every event that is told has its channel", check_every_event),
          ("subject, person, notice and topic are the contract's", check_marks),
          ("who it is about is personal; an agreement may leave out any field", check_privacy),
          ("examples fit their schemas", check_examples), ("nothing of the machinery is shown", check_nothing_internal)]
if npm.missing():
    print(f"# skipped: what AsyncAPI's own parser says: {npm.missing()}")
else:
    CHECKS += [("AsyncAPI's own parser finds nothing wrong", check_parser), ("and would find it", check_parser_sees)]
sys.exit(tap(CHECKS))
