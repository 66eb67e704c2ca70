#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs edge_table.py against a server: tests/http/edge_cases.py 127.0.0.1:8080 [name part]. Every case is sent at once,
and once more in small pieces; the answers must be exactly those of the table, in order, and the connection must stay
open (a plain GET then gets its plain answer: nothing was left over) or close. Prints TAP."""
import json
import random
import socket
import sys

from edge_table import CASES, CLOSED, GET, HANDLED, OPEN, PATH, POST, PROBLEMS, get, sized

DEADLINE = 20  # seconds: only a failing case waits so long


class Client:
    """A raw connection that reads answers."""

    def __init__(self, address, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, raw, pieces=None):
        """A server that refuses early may close before all was taken: that is no error here."""
        try:
            for piece in pieces or [raw]:
                self.socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def half_close(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def more(self):
        got = self.socket.recv(65536)
        if not got:
            raise EOFError("the connection ended within an answer: %r" % self.rest[:200])
        self.rest += got

    def take(self, n):
        while len(self.rest) < n:
            self.more()
        taken = bytes(self.rest[:n])
        del self.rest[:n]
        return taken

    def take_line(self):
        while b"\r\n" not in self.rest:
            self.more()
        line = self.take(self.rest.index(b"\r\n"))
        self.take(2)
        return line

    def answer(self, head=False):
        """(status, fields, body) of the next final answer; 100 Continue is skipped."""
        while True:
            version, status = self.take_line().split(b" ", 2)[:2]
            if version != b"HTTP/1.1":
                raise ValueError("not an answer: %r" % version)
            status, fields = int(status), {}
            while line := self.take_line():
                name, value = line.split(b":", 1)
                fields[name.decode().lower()] = value.strip().decode()
            if status != 100:
                break
        body = b""
        if head or status in (204, 304):
            pass
        elif fields.get("transfer-encoding") == "chunked":
            chunks = []
            while size := int(self.take_line(), 16):
                chunks.append(self.take(size))
                self.take(2)
            self.take(2)
            body = b"".join(chunks)
        else:
            body = self.take(int(fields["content-length"]))
        return status, fields, body

    def ended(self):
        """Whether the server ends the connection with nothing more said."""
        try:
            return not self.rest and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def baseline(address):
    plain = {}
    for name, raw in ((GET, get()), (POST, sized(b'{"a":1}'))):
        with Client(address) as client:
            client.send(raw)
            plain[name] = client.answer()[0]
    return plain


def judge_answer(expected, plain, status, fields, body):
    if expected == HANDLED:
        return None if status not in (400, 505) else "refused: %d" % status
    want = plain.get(expected, expected)
    if status != want:
        return "status %d, not %d" % (status, want)
    if expected in PROBLEMS:
        if fields.get("connection") != "close":
            return "%d without Connection: close" % status
        if fields.get("content-type", "").startswith("application/problem+json"):
            kind = json.loads(body)["type"]
            if kind != "urn:nuanxin:problem:" + PROBLEMS[expected]:
                return "problem %s, not %s" % (kind, PROBLEMS[expected])
        else:
            return "%d is no problem document" % status
    return None


def in_pieces(raw, seed):
    if len(raw) <= 400:
        return [raw[i:i + 1] for i in range(len(raw))]
    dice = random.Random(seed)
    cuts = sorted({0, len(raw), *(dice.randrange(len(raw)) for _ in range(40))})
    return [raw[a:b] for a, b in zip(cuts, cuts[1:])]


def run(address, case, plain, pieces=None):
    """None, or what was wrong."""
    with Client(address) as client:
        try:
            client.send(case.raw, pieces)
            if case.half_close:
                client.half_close()
            for i, expected in enumerate(case.answers):
                wrong = judge_answer(expected, plain, *client.answer(case.head))
                if wrong:
                    return "answer %d: %s" % (i + 1, wrong)
            if case.end == CLOSED:
                return None if client.ended() else "more was said, or the connection stayed open: %r" % client.rest[:100]
            client.send(get())
            return judge_answer(GET, plain, *client.answer())
        except (EOFError, OSError, ValueError, KeyError) as error:
            return "%s: %s" % (type(error).__name__, error)


def run_table(address, wanted=""):
    """TAP lines; the number of failures."""
    plain, number, failures = baseline(address), 0, 0
    for case in CASES:
        if wanted not in case.name:
            continue
        for how, pieces in (("", None), (", in pieces", in_pieces(case.raw, case.name))):
            number += 1
            wrong = run(address, case, plain, pieces)
            failures += bool(wrong)
            print("%s %d - %s%s" % ("not ok" if wrong else "ok", number, case.name.replace("#", "%23"), how))
            if wrong:
                print("# " + wrong)
    return number, failures


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    number, failures = run_table((host.strip("[]"), int(port)), sys.argv[2] if len(sys.argv) > 2 else "")
    print("1..%d" % number)
    print("# %d cases, %d failures" % (len(CASES), failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
