#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds of programme_fuzz: the programmes that are shipped, whole and with fewer stages, and facts that fit some of them."""
import glob
import json
import os
import sys

FACTS = ("person.special=true\npolicy.active=true\nperson.age=61\nhospital_level=2\npublic_hospital=true\nadmitted=2028-02-29\ndays=12\ndays-a-year=80\n"
         "principal=5000000\nrate=435\nthree-times=2\ncost=800000\nneeded=2000000\nin-all=2900000\nworks=repair\nhome=grade-c\nschool=college\n"
         "progress=passed\nplaces=60\nfiled=true\nfee=1\nchild=third\ncare=fully\nhours=3\nhours-a-month=15\n")
folder = sys.argv[1]
for path in glob.glob("services/care/programmes/*.json"):
    with open(path, encoding="utf-8") as f:
        document = json.load(f)
    for name, text in (("whole", json.dumps(document)), ("short", json.dumps({**document, "stages": document["stages"][:1]}))):
        with open(os.path.join(folder, os.path.basename(path)[:-5] + "-" + name), "w", encoding="utf-8") as f:
            f.write(text + "\0" + FACTS)
