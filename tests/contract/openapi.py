#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks build/gen/contract/openapi.json as OpenAPI 3.1: its structure, every reference, every example against its
schema; and that the page of /docs loads nothing. TAP."""

import html.parser
import json
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MADE = ROOT / os.environ.get("BUILD", "build") / "gen" / "contract"


def no_repeats(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"repeated keys in {keys}"
    return dict(pairs)


DOCUMENT = json.loads((MADE / "openapi.json").read_text(encoding="utf-8"), object_pairs_hook=no_repeats)
VERBS = {"get", "put", "post", "patch", "delete"}
KEYWORDS = {"$ref", "type", "format", "description", "properties", "required", "additionalProperties", "items", "enum",
            "minLength", "maxLength", "pattern", "minimum", "maximum", "minItems", "maxItems", "minProperties",
            "maxProperties", "uniqueItems", "contentEncoding", "readOnly", "x-nuanxin-privacy", "x-nuanxin-minimum",
            "x-nuanxin-maximum"}


def resolve(ref):
    assert ref.startswith("#/"), ref
    at = DOCUMENT
    for part in ref[2:].split("/"):
        at = at[part.replace("~1", "/").replace("~0", "~")]
    return at


def operations():
    for path, item in DOCUMENT["paths"].items():
        for verb, operation in item.items():
            yield path, verb, operation


def nodes(at, trail="#"):
    yield trail, at
    items = at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ()
    for key, value in items:
        yield from nodes(value, f"{trail}/{key}")


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


def fits(value, schema, trail):
    """Asserts that the value is one of the schema, as far as our keywords go."""
    if "$ref" in schema:
        return fits(value, resolve(schema["$ref"]), trail)
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
    assert isinstance(value, kinds[schema["type"]]), f"{trail}: {value!r} is no {schema['type']}"
    if isinstance(value, dict):
        for key in schema.get("required", []):
            assert key in value, f"{trail}: {key} is missing"
        for key, item in value.items():
            known = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
            assert known, f"{trail}: {key} is unknown"
            fits(item, known, f"{trail}/{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            fits(item, schema["items"], f"{trail}/{i}")
    elif isinstance(value, str):
        assert len(value) >= schema.get("minLength", 0), f"{trail}: {value!r} is too short"
        assert len(value) <= schema.get("maxLength", 1 << 30), f"{trail}: {value!r} is too long"
        assert re.search(schema.get("pattern", ""), value), f"{trail}: {value!r} does not match {schema['pattern']}"
        assert value in schema.get("enum", [value]), f"{trail}: {value!r} is none of {schema['enum']}"
    elif not isinstance(value, bool):
        assert schema.get("minimum", value) <= value <= schema.get("maximum", value), f"{trail}: {value}"


def check_head():
    assert DOCUMENT["openapi"] == "3.1.0"
    assert set(DOCUMENT) == {"openapi", "info", "servers", "tags", "paths", "components"}
    assert DOCUMENT["info"]["title"] and DOCUMENT["info"]["version"]
    assert re.fullmatch("[0-9a-f]{64}", DOCUMENT["info"]["x-nuanxin-contract"])


def check_references():
    for trail, node in nodes(DOCUMENT):
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            try:
                resolve(node["$ref"])
            except KeyError:
                raise AssertionError(f"{trail}: {node['$ref']} leads nowhere") from None


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
        answer = operation["responses"]["200"]["content"]["application/json"]
        fits(answer["example"], answer["schema"], f"{verb} {path} answers")
    for name, example in DOCUMENT["components"]["examples"].items():
        fits(example["value"], DOCUMENT["components"]["schemas"]["Problem"], name)
    assert seen > 15, seen


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
        assert link == "/openapi.json" or link[0] == "#" and link[1:] in page.ids, f"{link} leads nowhere"
    for path, _, operation in operations():
        assert path in page.text and operation["summary"] in page.text, path


CHECKS = [("the head", check_head), ("every reference leads somewhere", check_references),
          ("components are named as they may be", check_component_names), ("operations", check_operations),
          ("parameters", check_parameters), ("responses and their problems", check_responses),
          ("schemas", check_schemas), ("examples fit their schemas", check_examples),
          ("nothing internal is shown", check_nothing_internal),
          ("the page is whole, its links lead somewhere, it loads nothing", check_page)]
failed = 0
for number, (name, check) in enumerate(CHECKS, 1):
    try:
        check()
        print(f"ok {number} - {name}")
    except AssertionError as wrong:
        failed += 1
        print(f"not ok {number} - {name}\n# {wrong}")
print(f"1..{len(CHECKS)}")
sys.exit(1 if failed else 0)
