# SPDX-License-Identifier: Apache-2.0
"""Who does what in the stories of care: offices with their own keys, persons whom programmes are for, programmes put in force."""
import datetime
import itertools
import json
import os
import uuid

from support.people import person
from support.stack import ROOT

CITY, COUNTY, TOWN, VILLAGE, NEXT_VILLAGE = "4301", "430102", "430102001", "430102001001", "430102001002"
DAY = 86400


def shipped(name):
    with open(os.path.join(ROOT, "services/care/programmes", name + ".json")) as f:
        return json.load(f)


def publish(s, programme, document):
    admin = s.login("admin")
    version = s.call("POST", f"/v1/programmes/{programme}/versions", document, token=admin).ok()["version"]
    return s.call("POST", f"/v1/programmes/{programme}:activate", {"version": version}, token=admin).ok()


def know_the_days(s):
    """Some calendar stands here of each year that a story may reach: without one no public notice ends."""
    admin, this = s.login("admin"), (datetime.datetime.now() + datetime.timedelta(microseconds=s.offset)).year
    for year in range(this, this + 3):
        if s.call("GET", f"/v1/workCalendars/{year}", token=admin).status == 404:
            s.call("PUT", f"/v1/workCalendars/{year}", {"source": "测试"}, token=admin).ok()


class Office:
    """An office's own key, of one role at one organisation."""

    def __init__(self, s, role, organization):
        self.s, self.organization = s, organization
        name = f"{role} {organization} {uuid.uuid4().hex[:6]}"
        self.token = json.loads(s.cli("client", "create", name, f"{role}@{organization}", "--json").stdout)["apiKey"]

    def post(self, path, body=None, **headers):
        return self.s.call("POST", path, body or {}, token=self.token, headers=headers)

    def get(self, path):
        return self.s.call("GET", path, token=self.token)

    def tasks(self, kind, overdue=False):
        page = self.get(f"/v1/tasks?organization={self.organization}&pageSize=1000&overdue={str(overdue).lower()}").ok()
        return [t for t in page.get("tasks", []) if t["kind"] == kind]


_numbers = itertools.count(7000)


def enter(s, office, organization=VILLAGE, **fields):
    """A recipient, and what a list would say of them."""
    p = person(next(_numbers), organization)
    made = office.post("/v1/recipients", {"organization": organization, "name": p["name"], "idNumber": p["idNumber"], **fields}).ok()
    return {**made, "name": p["name"], "idNumber": p["idNumber"]}


def facts(**values):
    return [{"name": k, "value": str(v)} for k, v in values.items()]
