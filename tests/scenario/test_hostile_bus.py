#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A process that speaks nonsense on the bus: it is dropped, and nobody else notices."""
import os
import random
import socket
import sys
import time

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.stack import Stack  # noqa: E402
from support.story import main, story, wait_until  # noqa: E402

MIB = 1 << 20
MOST_KB = 200 * 1024  # more than a service needs, less than what is thrown at it
SERVICES = ("membership-1", "activity-1")


def endpoint(s, service):
    return os.path.join(s.var, "bus", service + ".sock")


def dealer(s, service, context=zmq.Context.instance()):
    d = context.socket(zmq.DEALER)
    d.linger, d.sndtimeo = 0, 2000
    d.connect("ipc://" + endpoint(s, service))
    return d


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


def unharmed(s):
    """The same processes, serving, and no larger than they should be."""
    for service, path in zip(SERVICES, ("/v1/organizations/43", "/v1/activities")):
        assert s.pid(service) == s.pids[service], f"{service} died"
        s.call("GET", path, token=s.api_key).ok()
        wait_until(f"{service} is small again", lambda: resident_kb(s.pids[service]) < MOST_KB)


@story("frames that are no messages: empty, odd, many, cut, random")
def garbage(s):
    chance = random.Random(1)
    for service in SERVICES:
        d = dealer(s, service)
        for _ in range(1000):
            d.send_multipart([chance.randbytes(chance.randrange(300)) for _ in range(chance.randrange(1, 9))])
        for n in (1, 2, 3, 127, 128, 129, 130, 1000):
            d.send_multipart([b""] * n)
        request = bytes.fromhex("09010000000000000012") + b"\x0b\x09" + b"x" * 8 + b"\x18\x10"
        for n in range(len(request)):
            d.send_multipart([request[:n], b""])
        nested = b""
        while len(nested) < 60000:  # a message within a message within a message
            nested = b"\x12" + bytes([len(nested) & 127 | 128, len(nested) >> 7 & 127 | 128, len(nested) >> 14]) + nested
        d.send_multipart([nested, nested])
        d.close()
    unharmed(s)


@story("messages too large, and messages that never end, take no memory")
def large(s):
    for service in SERVICES:
        for size in (4 * MIB, 4 * MIB + 1, 64 * MIB):
            d = dealer(s, service)
            d.send_multipart([b"\x09\x01", b"x" * size])
            d.close(500)
        d = dealer(s, service)
        try:
            for _ in range(300):
                d.send(b"y" * MIB, flags=zmq.SNDMORE)
        except zmq.Again:
            pass
        unharmed(s)
        d.close()


@story("a flood from those who never read their answers")
def flood(s):
    hello = b"\x09" + bytes(8) + b"\x22\x02\x0a\x00"
    unknown = b"\x12\x0b\x09" + b"x" * 8 + b"\x18\x10"
    for service in SERVICES:
        many, n, deadline = [dealer(s, service) for _ in range(50)], 0, time.monotonic() + 2
        for d in many:
            d.sndtimeo = 0
        while time.monotonic() < deadline:
            for d in many:
                try:
                    d.send_multipart([hello if n % 2 else b"\x09" + n.to_bytes(8, "little") + unknown, b""])
                    n += 1
                except zmq.Again:
                    pass
        unharmed(s)
        for d in many:
            d.close()
    unharmed(s)


@story("connections that say nothing, or something that is not ZeroMQ")
def strangers(s):
    for service in SERVICES:
        silent = []
        for i in range(200):
            c = socket.socket(socket.AF_UNIX)
            c.settimeout(1)
            try:
                c.connect(endpoint(s, service))
                c.send(b"GET / HTTP/1.1\r\n\r\n" if i % 2 else b"")
                silent.append(c)
            except OSError:
                break
        unharmed(s)
        for c in silent:
            c.close()


class Watched(Stack):
    def start(self):
        super().start()
        self.pids = {service: self.pid(service) for service in SERVICES}


if __name__ == "__main__":
    main(Watched())
