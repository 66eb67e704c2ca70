#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds of calendar_fuzz: the calendars that are shipped, each with a number of days before it."""
import glob
import os
import sys

for path in glob.glob("services/care/calendar/*.json"):
    with open(path, "rb") as f:
        text = f.read()
    for n in (0, 7, 30):
        with open(os.path.join(sys.argv[1], f"{os.path.basename(path)[:-5]}-{n}"), "wb") as f:
            f.write(bytes([n]) + text)
