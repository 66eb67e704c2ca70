#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds of chain_fuzz: lines of checkpoints as the stream service writes them, and as a machine that stops leaves them."""
import base64
import os
import sys

folder = sys.argv[1]
for n, kind in enumerate(("HEAD", "CUT", "BEGIN")):
    head, signature = (base64.b64encode(bytes(range(n, n + size))).decode() for size in (32, 64))
    line = (f'{{"kind":"{kind}","epoch":"01a202d0-7c9f-7b02-8aa5-714e57834d6d","seq":"{n * 1000}","head":"{head}",'
            f'"time":"2026-11-22T10:32:28.420862Z","signature":"{signature}"}}')
    for name, text in (("whole", line), ("half", line[:len(line) // 2])):
        with open(os.path.join(folder, f"{kind}-{name}"), "w") as f:
            f.write(text)
