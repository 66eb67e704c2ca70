#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds for stream_fuzz: an event of each type, for each choice of the first byte."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.oracle import contract  # noqa: E402

ID = "01920000-0000-7000-8000-000000000001"
EVENTS = [
    ("nuanxin.activity.v1.CampaignCreated", {"campaign": ID, "organization": "43", "value": {"id": ID, "title": "暖心", "startTime": "2026-05-29T00:00:00Z"}}),
    ("nuanxin.activity.v1.ActivityUpdated", {"activity": ID, "organization": "4301", "value": {"id": ID, "place": "广场", "capacity": 20, "state": "OPEN"}}),
    ("nuanxin.activity.v1.CheckinAmended", {"checkin": ID, "member": ID, "way": "ONLINE", "occurredTime": "2026-05-29T08:00:00Z"}),
    ("nuanxin.membership.v1.OrganizationChanged", {"code": "430102", "path": "/43/4301/430102/", "name": "芙蓉区", "kind": "COUNTY"}),
    ("nuanxin.membership.v1.MemberErased", {"member": ID, "organization": "430102"}),
    ("nuanxin.membership.v1.ConsentGiven", {"member": ID, "purpose": "care", "version": "1"}),
]
for i, (name, value) in enumerate(EVENTS):
    packed = contract().message(name, value).SerializeToString()
    for choice in range(4):
        with open(os.path.join(sys.argv[1], f"{i}-{choice}"), "wb") as f:
            f.write(bytes([i << 2 | choice]) + packed)
