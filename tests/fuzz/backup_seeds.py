#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds for backup_fuzz: a small backup's records, in whole, in parts, and packed. Usage: backup_seeds.py FOLDER"""
import os
import struct
import sys
import zlib


def text(s):
    s = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<I", len(s)) + s


def number(n, kind="<q"):
    return struct.pack(kind, n)


HEAD = b"H" + text("membership") + text("sqlite") + text("01976a5e-7c00-7000-8000-0123456789ab") + number(31691) + number(1795320112000000) + bytes(range(16))
MIGRATION = b"M" + text("membership/001_core") + text("CREATE TABLE member (id @text NOT NULL PRIMARY KEY) @clustered;")
COLUMNS = [("data", 3), ("id", 2), ("n", 1)]
TABLE = b"T" + text("member") + bytes([len(COLUMNS)]) + b"".join(text(name) + bytes([kind]) for name, kind in COLUMNS) + bytes([2, 1, 2])
ROW = b"R" + b"\x03" + text(b"\x00\xff") + b"\x02" + text("暖心") + b"\x01" + number(-529)
NULLS = b"R" + b"\x00" + b"\x02" + text("") + b"\x01" + number(2**63 - 1)
END = b"E" + number(2) + bytes(16)
TOTAL = b"Z" + number(1) + number(2)
WHOLE = HEAD + MIGRATION + TABLE + ROW + NULLS + END + TOTAL

folder = sys.argv[1]
seeds = {"whole": b"\0" + WHOLE, "head": b"\0" + HEAD, "table": b"\0" + HEAD + TABLE + ROW, "empty": b"\0" + HEAD + b"Z" + number(0) + number(0),
         "packed": b"\1" + number(len(WHOLE), "<I") + zlib.compress(WHOLE)}
for name, seed in seeds.items():
    with open(os.path.join(folder, name), "wb") as f:
        f.write(seed)
