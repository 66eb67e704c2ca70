#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds for gateway_fuzz: header values, and a request to every path of the contract. Usage: gateway_seeds.py FOLDER"""
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
made = next(f for f in (ROOT / "build/fuzz/gen/contract", ROOT / "build/gen/contract") if (f / "openapi.json").exists())
VALUES = {0: ['"a", W/"b"', "*"], 1: ['for="[2001:db8::1]:80";proto=https, for=10.0.0.2', "10.0.0.0/8"], 2: ["zh-CN,zh;q=0.9,en;q=0.8"],
          5: ['1f2e3d4c:9\n[{"sequence":"5","data":{"a":"}"}},{"sequence":"6"}]']}
seeds = [bytes([kind]) + v.encode() for kind, values in VALUES.items() for v in values]
for path, methods in json.loads((made / "openapi.json").read_text())["paths"].items():
    path = re.sub("{[^}]*}", "01976a5e-7c00-7000-8000-0123456789ab", path)
    parameters = [p["name"] for m in methods.values() if isinstance(m, dict) for p in m.get("parameters", []) if p.get("in") == "query"]
    seeds += [b"\3" + path.encode(), b"\4" + f"{path}\n{'&'.join(p + '=1' for p in parameters)}\n{{}}".encode()]
for i, seed in enumerate(seeds):
    (pathlib.Path(sys.argv[1]) / str(i)).write_bytes(seed)
