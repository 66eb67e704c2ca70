# SPDX-License-Identifier: Apache-2.0
"""A county's worklist: its overdue tasks, a page of 50 among a million, over a read by id."""
import os
import random
import time

from bench.care_claims import behind, insert, new_id
from bench.parts import figure, interleaved, stack, villages, wrk, write_requests
from support.care import Office
from support.ledger import Books
from support.people import person

TASKS = int(os.environ.get("BENCH_CARE_TASKS", "1000000"))
RECIPIENTS = 1000
PAGE = 50
DAY_US = 86400 * 10**6
STAGES = (("county", 3), ("township", 4), ("village", 5))
LENGTHS = (2, 4, 6, 9, 12)  # of the codes from the province down


class Tasks:
    """Open ones of all the province, half of them overdue, at villages, townships and counties."""

    def __init__(self, n):
        rng, now, codes = random.Random(1000000), int(time.time() * 1e6), villages()
        self.rows = []
        for i in range(n):
            village, (stage, level) = rng.choice(codes), STAGES[i % len(STAGES)]
            places = [village[:length] for length in LENGTHS[:level]]
            self.rows.append((new_id(rng), new_id(rng), stage, places, now + rng.randint(-60, 60) * DAY_US + rng.randrange(DAY_US)))
        self.counties = sorted({places[2] for _, _, _, places, _ in self.rows})

    def tasks(self):
        for task, case, stage, places, due in self.rows:
            yield {"id": task, "kind": 1, "case_id": case, "programme": "hospital-care", "stage": stage, "organization": places[-1],
                   "place_path": "/" + "/".join(places) + "/", "person": case, "assignee": "", "escalations": 0, "created_us": due - 10 * DAY_US,
                   "due_us": due, "done_us": 0, "note": None}

    def places(self):
        """In the order in which they lie, which is the quickest to insert."""
        for place, due, i in sorted((place, row[4], i) for i, row in enumerate(self.rows) for place in row[3]):
            task, case, stage, places, _ = self.rows[i]
            yield {"place": place, "due_us": due, "task": task, "kind": 1, "case_id": case, "programme": "hospital-care", "stage": stage,
                   "organization": places[-1], "assignee": "", "escalations": 0, "created_us": due - 10 * DAY_US}


def make_tasks(s):
    began, tasks = time.monotonic(), Tasks(TASKS)
    with behind(s, "care") as db:
        insert(db, "care_task", tasks.tasks())
        insert(db, "care_task_place", tasks.places())
    print(f"    {TASKS:,} tasks, {time.monotonic() - began:.0f} s", flush=True)
    return tasks.counties


def part_worklist():
    print(f"worklist: a county's overdue tasks, a page of {PAGE} among {TASKS:,}, against a read by id, measured in turn", flush=True)
    with stack(instances={"care": 1, "activity": 1}, gateway_options=["--rate-scale=1000"]) as s:
        Books(s).fund()  # once it is there, care knows the organisations
        office, codes = Office(s, "staff", "43"), villages()
        made = s.load([("POST", "/v1/recipients", {k: p[k] for k in ("organization", "name", "idNumber")}, {"Authorization": "Bearer " + office.token})
                       for p in (person(i, codes[i]) for i in range(RECIPIENTS))], 16)
        counties = make_tasks(s)
        pages = [f"/v1/tasks?organization={county}&overdue=true&pageSize={PAGE}" for county in counties]
        for page in (s.call("GET", pages[0], token=office.token).ok(), s.call("GET", pages[-1], token=office.token).ok()):
            assert len(page["tasks"]) == PAGE and page["nextPageToken"], page
        reads = write_requests("care-reads", [("GET", "/v1/recipients/" + a.ok()["id"], office.token, "") for a in made])
        lists = write_requests("worklists", [("GET", page, office.token, "") for page in pages])
        latency = lambda requests: {"rate": wrk(s.port, requests, 2, connections=4)["p50"]}
        read, page = interleaved(lambda: latency(reads), lambda: latency(lists))
    figure("worklist_vs_read", page / read, 5, 2, smaller=True, note=f"{page} us against {read} us")


PARTS = {"worklist": part_worklist}
