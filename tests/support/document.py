# SPDX-License-Identifier: Apache-2.0
"""A document that the contract compiler made (OpenAPI, AsyncAPI): its references, and whether a value fits a schema of it."""
import json
import re


def no_repeats(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"repeated keys in {keys}"
    return dict(pairs)


def nodes(at, trail="#"):
    yield trail, at
    items = at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ()
    for key, value in items:
        yield from nodes(value, f"{trail}/{key}")


class Document(dict):
    """Of a file, or of what was read already."""

    def __init__(self, source):
        super().__init__(source if isinstance(source, dict)
                         else json.loads(source.read_text(encoding="utf-8"), object_pairs_hook=no_repeats))

    def resolve(self, ref):
        assert ref.startswith("#/"), ref
        at = self
        for part in ref[2:].split("/"):
            at = at[part.replace("~1", "/").replace("~0", "~")]
        return at

    def check_references(self):
        for trail, node in nodes(self):
            if isinstance(node, dict) and isinstance(node.get("$ref"), str):
                try:
                    self.resolve(node["$ref"])
                except KeyError:
                    raise AssertionError(f"{trail}: {node['$ref']} leads nowhere") from None

    def fits(self, value, schema, trail):
        """Asserts that the value is one of the schema, as far as our keywords go; and that it has nothing which the schema does
        not speak of."""
        if "$ref" in schema:
            return self.fits(value, self.resolve(schema["$ref"]), trail)
        for part in schema.get("allOf", ()):
            self.fits(value, part, trail)
        if "const" in schema:
            assert value == schema["const"], f"{trail}: {value!r} is not {schema['const']!r}"
        kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
        if "type" in schema:
            assert isinstance(value, kinds[schema["type"]]), f"{trail}: {value!r} is no {schema['type']}"
        if isinstance(value, dict):
            for key in schema.get("required", []):
                assert key in value, f"{trail}: {key} is missing"
            for key, item in value.items():
                known = schema.get("properties", {}).get(key, schema.get("additionalProperties", "type" not in schema))
                assert known is not False, f"{trail}: {key} is unknown"
                if known is not True:
                    self.fits(item, known, f"{trail}/{key}")
        elif isinstance(value, list):
            for i, item in enumerate(value):
                self.fits(item, schema["items"], f"{trail}/{i}")
        elif isinstance(value, str):
            assert len(value) >= schema.get("minLength", 0), f"{trail}: {value!r} is too short"
            assert len(value) <= schema.get("maxLength", 1 << 30), f"{trail}: {value!r} is too long"
            assert re.search(schema.get("pattern", ""), value), f"{trail}: {value!r} does not match {schema['pattern']}"
            assert value in schema.get("enum", [value]), f"{trail}: {value!r} is none of {schema['enum']}"
        elif not isinstance(value, bool):
            assert schema.get("minimum", value) <= value <= schema.get("maximum", value), f"{trail}: {value}"


def tap(checks):
    """Runs (name, function) pairs; returns the exit status."""
    failed = 0
    for number, (name, check) in enumerate(checks, 1):
        try:
            check()
            print(f"ok {number} - {name}")
        except AssertionError as wrong:
            failed += 1
            print(f"not ok {number} - {name}\n# {wrong}")
    print(f"1..{len(checks)}")
    return 1 if failed else 0
