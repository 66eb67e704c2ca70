#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds for edge_fuzz: fetches as agencies send them, in both forms, and messages that are none. Usage: edge_seeds.py FOLDER"""
import json
import pathlib
import sys


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def text(field, value):
    return bytes([field << 3 | 2]) + varint(len(value.encode())) + value.encode()


def number(field, value):
    return bytes([field << 3]) + varint(value)


def message(*parts):
    return b"".join(len(p).to_bytes(2, "little") + p for p in parts)


full = {"cursor": "1f2e3d4c:42", "max": 500, "wait": 30, "types": ["nuanxin.activity.v1.*", "nuanxin.membership.v1.MemberErased"], "id": "一",
        "language": "zh"}
packed = text(1, full["cursor"]) + number(2, 500) + number(3, 30) + b"".join(text(4, t) for t in full["types"]) + text(5, "一") + text(6, "zh")
whole = json.dumps(full).encode()
seeds = {
    "json": message(b"FETCH", whole), "json_req": message(b"", b"FETCH", whole), "json_least": message(b"FETCH", b"{}"),
    "packed": message(b"FETCH", packed), "packed_req": message(b"", b"FETCH", packed), "packed_least": message(b"FETCH", b""),
    "snapshot": message(b"FETCH", b'{"cursor":"snapshot"}'), "page": message(b"FETCH", text(1, "snapshot:abc")),
    "beyond": message(b"FETCH", b'{"max":1001,"wait":-1,"language":"fr","types":["' + b"x" * 201 + b'"]}'),
    "unknown_key": message(b"FETCH", b'{"cursors":""}'), "twice": message(b"FETCH", b'{"max":1,"max":2}'), "cut": message(b"FETCH", whole[:-9]),
    "no_utf8": message(b"FETCH", text(1, "x").replace(b"x", b"\xff")), "nothing": b"", "empty": message(b""), "word": message(b"FETCH"),
    "other_word": message(b"GIVE", b"{}"), "many": message(b"FETCH", b"{}", b"{}"), "large": message(b"FETCH", b"{" + b" " * 65534),
    "deep": message(b"FETCH", b'{"types":' + b"[" * 100 + b"]" * 100 + b"}"),
}
for name, data in seeds.items():
    pathlib.Path(sys.argv[1], name).write_bytes(data)
