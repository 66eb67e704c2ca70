# SPDX-License-Identifier: Apache-2.0
"""The agency that the first run makes, as stories of the house use it: it reads all the time, and what it read is looked at."""
import json
import threading

import zmq

from .story import expect, wait_until

numbers = iter(range(10000))


def key_of(s):
    return s.credentials["agency"]["key"]


def village(s, token):
    """Makes an organisation; its code."""
    code = f"430102001{900 + next(numbers):05}"
    s.call("POST", "/v1/organizations", {"code": code, "parent": "430102001", "kind": "VILLAGE", "name": "新村" + code}, token=token).ok()
    return code


def fetch(s, cursor, key=None, wait=0):
    return s.call("GET", f"/v1/events?cursor={cursor}&maxEvents=1000&wait={wait}", token=key or key_of(s))


def fetch_at_edge(endpoint, edge_key, public, secret, seconds=10, **fields):
    """One fetch over ZeroMQ, on a connection of its own: (kind, answer); None: nobody answered, or it was not let in."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger, socket.rcvtimeo = 0, int(seconds * 1000)
        socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = (
            k if isinstance(k, bytes) else k.encode() for k in (public, secret, edge_key))
        socket.connect(endpoint)
        socket.send_multipart([b"FETCH", json.dumps(fields).encode()])
        try:
            kind, answer = socket.recv_multipart()
        except zmq.Again:
            return None
        return kind.decode(), json.loads(answer)


class Reader:
    """Polls without end, from the oldest event on; keeps each event's sequence and subject. A request that fails is kept, and not
    repeated: the next one has the same cursor."""

    def __init__(self, s):
        self.s, self.cursor, self.events, self.failed, self.ended = s, "", [], [], threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.ended.is_set():
            try:
                answer = fetch(self.s, self.cursor, wait=1)
                if answer.status != 200:
                    raise AssertionError(f"{answer.status} {answer.body[:300]!r}")
                batch = answer.json
            except (AssertionError, OSError) as e:
                self.failed.append(repr(e))
                self.ended.wait(0.1)
                continue
            self.events += [(int(e["sequence"]), e["subject"]) for e in batch.get("events", [])]
            self.cursor = batch["cursor"]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def has(self, subject):
        return any(s == subject for _, s in self.events)

    def goes_on(self, token):
        """Until an event that happens now has come."""
        code = village(self.s, token)
        wait_until(f"{code} is read", lambda: self.has(code) or self.failed, 30)
        expect("failed fetches", self.failed[:3], [])

    def check(self):
        sequences = [n for n, _ in self.events]
        assert sequences == sorted(set(sequences)), "not in order, or one came twice"
