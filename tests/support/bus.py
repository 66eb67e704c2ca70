# SPDX-License-Identifier: Apache-2.0
"""One instance of a service, asked over the bus as a peer would: whoever the principal says it is.

    bus = Bus(s, "stream-1")
    answer = bus.call("nuanxin.stream.v1.Stream.FetchEvents", {"agency": "insurer"}, OPERATOR)
    bus.refused("cursor-gone", …)
"""
import os
import time

import zmq

from .oracle import contract

OPERATOR = {"kind": "OPERATOR", "id": "test"}
SERVICE = {"kind": "SERVICE", "id": "test"}


def agency(id, key):
    """Who has shown that key."""
    return {"kind": "AGENCY", "id": id, "session": key}


def method_id(name):
    h = 0xCBF29CE484222325  # FNV-1a
    for c in name.encode():
        h = (h ^ c) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


class Refused(Exception):
    def __init__(self, problem, args, violations):
        super().__init__(f"{problem} {args} {violations}")
        self.problem, self.args_, self.violations = problem, args, violations


class Bus:
    """One thread's. A call is put off while the instance is not there yet; who is not the writer is not asked again."""

    context = zmq.Context.instance()

    def __init__(self, s, instance):
        self.path = os.path.join(s.var, "bus", instance + ".sock")
        self.envelope = contract().type("nuanxin.internal.v1.Envelope")
        self.n, self.socket = 0, None

    def connect(self):
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect("ipc://" + self.path)
        self.shapes = {}
        hello = self.envelope(id=1)
        hello.hello.SetInParent()
        reply, _ = self.exchange(hello, b"", 10)
        for row in reply.hello.accepts:
            if row.input_hash:
                self.shapes.setdefault(row.method, row.input_hash)

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def exchange(self, envelope, payload, seconds):
        self.socket.send_multipart([envelope.SerializeToString(), payload])
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not self.socket.poll(left * 1000):
                raise TimeoutError(f"{self.path} does not answer")
            frames = self.socket.recv_multipart()
            for head, body in zip(frames[::2], frames[1::2]):  # a message may hold several pairs
                came = self.envelope.FromString(head)
                if came.id == envelope.id or (envelope.HasField("hello") and came.HasField("hello")):
                    return came, body

    def call(self, method, request, principal, seconds=10, key=None):
        """The answer as a message; Refused if it is none."""
        if not self.socket:
            self.connect()
        self.n += 1
        name, short = method.rsplit(".", 1)
        file = contract().pool.FindServiceByName(name).methods_by_name[short]
        e = self.envelope(id=1000 + self.n)
        r = e.request
        r.method = method_id(method)
        r.input_hash = self.shapes[r.method]
        r.time_left_ms = int(seconds * 1000)
        r.idempotency_key = key or ""
        for field, value in principal.items():
            setattr(r.principal, field, r.principal.Kind.Value(value) if field == "kind" else value)
        try:
            reply, body = self.exchange(e, contract().message(file.input_type.full_name, request).SerializeToString(), seconds + 5)
        except TimeoutError:
            self.close()
            raise
        assert not reply.reply.not_writer, f"{self.path} may not write"
        if reply.reply.problem:
            refusal = contract().type("nuanxin.internal.v1.Refusal").FromString(body)
            problem = refusal.DESCRIPTOR.fields_by_name["problem"].enum_type.values_by_number[reply.reply.problem].name
            raise Refused(problem.removeprefix("PROBLEM_").lower().replace("_", "-"), list(refusal.args), [v.pointer for v in refusal.violations])
        return contract().type(file.output_type.full_name).FromString(body)

    def refused(self, problem, *arguments, **options):
        """Its arguments, if it is refused so."""
        try:
            answer = self.call(*arguments, **options)
        except Refused as e:
            assert e.problem == problem, f"{e}, not {problem}"
            return e.args_
        raise AssertionError(f"not refused as {problem}: {answer}")
