#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the requests of the edge table as seeds for http_fuzz: http_seeds.py FOLDER. Long ones are left out: what they
test are limits, and http_fuzz has small ones."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../http"))
from edge_table import CASES

for number, case in enumerate(CASES):
    if len(case.raw) <= 4096:
        with open("%s/edge-%03d" % (sys.argv[1], number), "wb") as file:
            file.write(case.raw)
