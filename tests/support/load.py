# SPDX-License-Identifier: Apache-2.0
"""A steady load that keeps a ledger of what was acknowledged, while a story breaks things around it."""
import threading
import time
import uuid


class Load:
    """Workers check members in, each (activity, member) once, with its own Idempotency-Key; reads go on beside it.

    A request is repeated with the same key while it is answered 503 or its connection dies (`retry`), as the API asks
    of its users. `failed` holds every other answer; with retry=False also 503 and broken connections.
    """

    def __init__(self, stack, token, pairs, workers=8, retry=True):
        self.stack, self.token, self.pairs, self.retry = stack, token, list(pairs), retry
        self.acknowledged, self.failed, self.reads = [], [], 0
        self.times, self.again = [], {}  # when each was acknowledged; how often which answer was asked again (0: a broken connection)
        self._lock, self._next, self._stop = threading.Lock(), 0, threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]

    def __enter__(self):
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for t in self._threads:
            t.join(120)

    def wait_for(self, n, seconds=60):
        """Until n more check-ins were acknowledged."""
        wanted, deadline = len(self.acknowledged) + n, time.monotonic() + seconds
        while len(self.acknowledged) < wanted and self._next < len(self.pairs):
            assert time.monotonic() < deadline, f"{len(self.acknowledged)} of {wanted} acknowledged; failed: {self.failed[:5]}"
            time.sleep(0.01)

    def pause(self, since):
        """The longest time without an acknowledgement since then, in seconds."""
        times = [since] + [t for t in self.times if t > since]
        return max(b - a for a, b in zip(times, times[1:] + [time.monotonic()]))

    @property
    def exhausted(self):
        return self._next >= len(self.pairs)

    def _work(self):
        while not self._stop.is_set():
            with self._lock:
                if self._next >= len(self.pairs):
                    return
                activity, member = self.pairs[self._next]
                self._next += 1
            self._check_in(activity, member)
            self._read(member)

    def _attempt(self, method, path, body=None, headers=None):
        deadline = time.monotonic() + 60
        while True:
            try:
                r = self.stack.call(method, path, body, token=self.token, headers=headers)
                status, text = r.status, r.body[:300]
            except OSError as e:
                r, status, text = None, 0, repr(e)
            if status == 503 and not r.headers.get("Retry-After"):
                return r, status, "503 without Retry-After"
            if status not in (0, 503) or not self.retry or time.monotonic() > deadline:
                return r, status, text
            with self._lock:
                self.again[status] = self.again.get(status, 0) + 1
            time.sleep(0.05)

    def _check_in(self, activity, member):
        key = str(uuid.uuid4())
        r, status, text = self._attempt("POST", f"/v1/activities/{activity}/checkins", {"online": member}, {"Idempotency-Key": key})
        with self._lock:
            if status == 200 and not r.json.get("refusal"):
                self.times.append(time.monotonic())
                self.acknowledged.append((activity, member, r.json["id"], bool(r.json.get("repeated"))))
            else:
                self.failed.append((status, text))

    def _read(self, member):
        _, status, text = self._attempt("GET", f"/v1/members/{member}")
        with self._lock:
            self.reads += 1
            if status != 200:
                self.failed.append((status, text))


def check_ledger(stack, token, acknowledged, campaign, organization="43"):
    """Every acknowledged check-in is there, none is doubled, and the live count is their number."""
    by_activity = {}
    for activity, member, checkin, repeated in acknowledged:
        assert not repeated, f"{member} was answered as checked in before: a doubled effect"
        by_activity.setdefault(activity, {})[member] = checkin
    import json

    for activity, members in by_activity.items():
        r = stack.call("GET", f"/v1/activities/{activity}/checkins?pageSize=1000", token=token, headers={"Accept": "application/x-ndjson"},
                       retry_503=True)
        assert r.status == 200, r.body
        stored = [json.loads(line) for line in r.body.splitlines()]
        seen = [c["member"] for c in stored]
        assert len(seen) == len(set(seen)), "an attendance is doubled"
        missing = set(members) - set(seen)
        assert not missing, f"{len(missing)} acknowledged check-ins are lost"
    total = len(acknowledged)
    from .story import wait_until

    def count():
        r = stack.call("GET", f"/v1/campaigns/{campaign}/counts?organization={organization}", token=token, retry_503=True)
        return int(r.ok()["total"].get("attended", 0))

    wait_until(f"the live count is {total}", lambda: count() == total, 10)
