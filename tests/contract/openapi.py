#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks build/gen/contract/openapi.json as OpenAPI 3.1: its structure, every reference, every example against its
schema; and that the page of /docs loads nothing. TAP."""

import html.parser
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from support.document import Document, nodes, tap  # noqa: E402

MADE = ROOT / os.environ.get("BUILD", "build") / "gen" / "contract"


DOCUMENT = Document(MADE / "openapi.json")
resolve, fits = DOCUMENT.resolve, DOCUMENT.fits
VERBS = {"get", "put", "post", "patch", "delete"}
KEYWORDS = {"$ref", "type", "format", "description", "properties", "required", "additionalProperties", "items", "enum",
            "minLength", "maxLength", "pattern", "minimum", "maximum", "minItems", "maxItems", "minProperties",
            "maxProperties", "uniqueItems", "contentEncoding", "readOnly", "x-nuanxin-privacy", "x-nuanxin-minimum",
            "x-nuanxin-maximum"}


def operations():
    for path, item in DOCUMENT["paths"].items():
        for verb, operation in item.items():
            yield path, verb, operation


def schemas(at):
    """Every schema object below one."""
    yield at
    for key in ("items", "additionalProperties"):
        if isinstance(at.get(key), dict):
            yield from schemas(at[key])
    for value in at.get("properties", {}).values():
        yield from schemas(value)


def all_schemas():
    for schema in DOCUMENT["components"]["schemas"].values():
        yield from schemas(schema)
    for _, node in nodes(DOCUMENT["paths"]):
        if isinstance(node, dict) and isinstance(node.get("schema"), dict):
            yield from schemas(node["schema"])


def check_head():
    assert DOCUMENT["openapi"] == "3.1.0"
    assert set(DOCUMENT) == {"openapi", "info", "servers", "tags", "paths", "components"}
    assert DOCUMENT["info"]["title"] and DOCUMENT["info"]["version"]
    assert re.fullmatch("[0-9a-f]{64}", DOCUMENT["info"]["x-nuanxin-contract"])


def check_component_names():
    for kind, things in DOCUMENT["components"].items():
        for name in things:
            assert re.fullmatch(r"[A-Za-z0-9._-]+", name), f"{kind}/{name}"


def check_operations():
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids)) > 40, "operation ids"
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for path, verb, operation in operations():
        assert verb in VERBS and set(operation["tags"]) <= tags and operation["summary"], path
        assert ("requestBody" in operation) <= (verb in {"post", "put", "patch"}), path
        assert operation["x-nuanxin-permission"], path
        assert operation["security"] == ([] if operation["x-nuanxin-permission"] == "public" else [{"bearer": []}]), path


def check_parameters():
    for path, verb, operation in operations():
        parameters = [resolve(p["$ref"]) if "$ref" in p else p for p in operation["parameters"]]
        keys = [(p["in"], p["name"]) for p in parameters]
        assert len(keys) == len(set(keys)), (path, keys)
        in_path = {p["name"] for p in parameters if p["in"] == "path"}
        assert in_path == set(re.findall(r"\{([^}]*)\}", path)), (path, in_path)
        assert all(p["required"] for p in parameters if p["in"] == "path"), path
        assert (("header", "Idempotency-Key") in keys) == (verb != "get"), path


def check_responses():
    for path, verb, operation in operations():
        responses = operation["responses"]
        assert {"200", "400", "429", "500", "503", "504", "default"} <= set(responses), (path, set(responses))
        assert "401" in responses or operation["x-nuanxin-permission"] == "public", path
        for status, response in responses.items():
            response = resolve(response["$ref"]) if "$ref" in response else response
            assert response["description"] and ("content" in response) == (status != "304"), (path, status)
            if status in ("429", "503"):
                assert "Retry-After" in response["headers"], (path, status)
            if status.isdigit() and int(status) >= 400:
                for example in response["content"]["application/problem+json"]["examples"].values():
                    value = resolve(example["$ref"])["value"]
                    assert value["status"] == int(status), (path, status, value)


def check_schemas():
    for schema in all_schemas():
        assert set(schema) <= KEYWORDS, set(schema) - KEYWORDS
        assert "$ref" in schema or schema["type"] in {"object", "array", "string", "integer", "number", "boolean"}, schema
        assert set(schema.get("required", [])) <= set(schema.get("properties", {})), schema
        assert schema.get("minimum", 0) <= schema.get("maximum", 1 << 64), schema
        if "pattern" in schema:
            re.compile(schema["pattern"])


def check_examples():
    seen = 0
    for path, verb, operation in operations():
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content:
            fits(content["example"], content["schema"], f"{verb} {path}")
            seen += 1
        for kind, answer in operation["responses"]["200"]["content"].items():
            assert "example" in answer or kind in ("text/csv", "application/x-ndjson"), f"{verb} {path} answers {kind}"
            if "example" in answer:
                fits(answer["example"], answer["schema"], f"{verb} {path} answers {kind}")
    for name, example in DOCUMENT["components"]["examples"].items():
        fits(example["value"], DOCUMENT["components"]["schemas"]["Problem"], name)
    assert seen > 15, seen


def check_events():
    """Where events come, they are CloudEvents; where they come without end, it is a stream of them, and nothing else."""
    fetched = DOCUMENT["paths"]["/v1/events"]["get"]["responses"]["200"]["content"]["application/json"]
    events = resolve(fetched["schema"]["$ref"])["properties"]["events"]
    assert events["type"] == "array" and events["items"] == {"$ref": "#/components/schemas/CloudEvent"}, events
    assert fetched["example"]["events"][0]["specversion"] == "1.0", fetched["example"]
    stream = DOCUMENT["paths"]["/v1/events:stream"]["get"]
    assert set(stream["responses"]["200"]["content"]) == {"text/event-stream"}, stream["responses"]["200"]
    assert {"$ref": "#/components/parameters/LastEventId"} in stream["parameters"], stream["parameters"]
    for path, verb, operation in operations():
        if path != "/v1/events:stream":
            assert "text/event-stream" not in operation["responses"]["200"]["content"], path


def check_nothing_internal():
    for trail, node in nodes(DOCUMENT):
        assert not (isinstance(node, str) and node.startswith("#/components/schemas/internal.")), trail
    assert not any(name.startswith("internal.") for name in DOCUMENT["components"]["schemas"])


class Page(html.parser.HTMLParser):
    VOID = {"meta", "link", "br", "input", "dt", "dd", "tr", "td", "th", "li"}

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.loads, self.open, self.text = [], [], [], [], ""

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if tag == "a" else []
        self.loads += [value for name, value in attrs.items() if name in ("src", "srcset", "action")]
        self.loads += [attrs["href"]] if tag == "link" and not attrs["href"].startswith("data:") else []
        self.loads += [tag] if tag in ("script", "iframe", "object") else []
        self.open += [tag] if tag not in self.VOID else []

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        self.text += data


def check_page():
    source = (MADE / "docs.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(source)
    assert not page.open, page.open
    assert not page.loads and "url(" not in source and "@import" not in source, page.loads
    assert len(page.ids) == len(set(page.ids)), [i for i in page.ids if page.ids.count(i) > 1]
    for link in page.links:
        assert link in ("/openapi.json", "/asyncapi.json") or link[0] == "#" and link[1:] in page.ids, f"{link} leads nowhere"
    for path, _, operation in operations():
        assert path in page.text and operation["summary"] in page.text, path


CHECKS = [("the head", check_head), ("every reference leads somewhere", DOCUMENT.check_references),
          ("components are named as they may be", check_component_names), ("operations", check_operations),
          ("parameters", check_parameters), ("responses and their problems", check_responses),
          ("schemas", check_schemas), ("examples fit their schemas", check_examples),
          ("events are CloudEvents, a stream of them is one", check_events),
          ("nothing internal is shown", check_nothing_internal),
          ("the page is whole, its links lead somewhere, it loads nothing", check_page)]
sys.exit(tap(CHECKS))
