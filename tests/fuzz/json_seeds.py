#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds for json_fuzz: for each message of the contract one JSON text with every field that the OpenAPI document
shows, the same as URL values, and an empty one as bytes. Usage: json_seeds.py FOLDER"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
made = next(f for f in (ROOT / "build/fuzz/gen/contract", ROOT / "build/gen/contract") if (f / "openapi.json").exists())
names = re.findall(r'^        \.name = "(\S+)",\n        \.pb = ', (made / "contract.c").read_text(), re.M)
schemas = json.loads((made / "openapi.json").read_text())["components"]["schemas"]
TEXTS = {"uuid": "01976a5e-7c00-7000-8000-0123456789ab", "date-time": "2026-05-29T08:00:00.5+08:00", "int64": "-1",
         "uint64": "1"}


def example(schema, depth=0):
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rsplit("/", 1)[1]], depth + 1) if depth < 5 else {}
    if "enum" in schema:
        return schema["enum"][-1]
    kind = schema.get("type")
    if kind == "object":
        if isinstance(schema.get("additionalProperties"), dict):
            return {"key": example(schema["additionalProperties"], depth)}
        return {key: example(value, depth) for key, value in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema["items"], depth)] * 2
    return {"integer": 7, "number": 1.5, "boolean": True}.get(kind, TEXTS.get(schema.get("format"), "暖心"))


folder = pathlib.Path(sys.argv[1])
for index, name in enumerate(names):
    head = index.to_bytes(2, "big")
    schema = schemas.get(name.removeprefix("nuanxin."))
    value = example(schema) if schema else {}
    (folder / f"{name}.json").write_bytes(head + b"\0" + json.dumps(value, ensure_ascii=index % 2 == 0).encode())
    (folder / f"{name}.bytes").write_bytes(head + b"\1")
    flat = "&".join(f"{k}={v}" for k, v in value.items() if not isinstance(v, (dict, list)))
    (folder / f"{name}.url").write_bytes(head + b"\2" + flat.encode())
