# SPDX-License-Identifier: Apache-2.0
"""An open GET of text/event-stream over a socket of its own, read as WHATWG HTML (9.2) says.

    with EventStream(s, key, types=["nuanxin.activity.v1.*"]) as stream:
        event = stream.event()          # the next CloudEvent; stream.last_id is the cursor to go on after it
    EventStream(s, key, last=stream.last_id)
"""
import json
import select
import socket
import time
import urllib.parse

from .stack import Response


class Ended(Exception):
    """The stream is over. whole: its last chunk came."""

    def __init__(self, whole):
        super().__init__("ended" if whole else "cut")
        self.whole = whole


class EventStream:
    def __init__(self, s, key, last=None, receive_buffer=None, method="GET", version="1.1", path="/v1/events:stream", headers=None,
                 wrap=None, **query):
        """wrap: makes the socket one of TLS."""
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", s.port))
        self.socket = wrap(self.socket) if wrap else self.socket
        self.rest, self.text, self.last_id, self.retry, self.comments = b"", b"", last, None, 0
        self.messages, self.method = [], method
        fields = {"Host": s.address, "Accept": "text/event-stream", **(headers or {})}
        if key:
            fields["Authorization"] = "Bearer " + key
        if last:
            fields["Last-Event-ID"] = last
        target = path + ("?" + urllib.parse.urlencode(query, doseq=True) if query else "")
        head = f"{method} {target} HTTP/{version}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items() if v is not None)
        self.socket.sendall(head.encode() + b"\r\n")

    def __enter__(self):
        return self.begun()

    def __exit__(self, *_):
        self.socket.close()

    def fileno(self):
        return self.socket.fileno()

    # --- its head -----------------------------------------------------------------------------------------
    def answer(self):
        """The head of the answer, with the body of one that is no stream."""
        self.socket.settimeout(30)
        head = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        self.status = int(head[0].split(" ")[1])
        self.headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in head[1:])}
        self.chunked = self.headers.get("transfer-encoding") == "chunked"
        body = b""
        if "content-length" in self.headers and self.method != "HEAD":
            while len(self.rest) < int(self.headers["content-length"]):
                self.more()
            body = self.rest
        return Response(self.status, self.headers, body)

    def begun(self):
        r = self.answer()
        assert r.status == 200, f"{r.status}: {r.body[:2000]!r}"
        return self

    # --- what it brings -----------------------------------------------------------------------------------
    def more(self):
        try:
            piece = self.socket.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        if not piece:
            raise Ended(False)
        self.rest += piece

    def until(self, end):
        while end not in self.rest:
            self.more()
        text, self.rest = self.rest.split(end, 1)
        return text

    def take_body(self):
        """Moves what has come of the body, at least a byte, to `text`."""
        if not self.chunked:
            if not self.rest:
                self.more()
            self.text, self.rest = self.text + self.rest, b""
            return
        n = int(self.until(b"\r\n"), 16)
        while len(self.rest) < n + 2:
            self.more()
        assert self.rest[n:n + 2] == b"\r\n", self.rest[n:n + 2]
        self.text, self.rest = self.text + self.rest[:n], self.rest[n + 2:]
        if n == 0:
            raise Ended(True)

    def block(self):
        """What stands up to the next empty line; of a message its data."""
        while b"\n\n" not in self.text:
            self.take_body()
        block, self.text = self.text.split(b"\n\n", 1)
        data = []
        for line in block.decode().split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "":
                self.comments += 1
            elif name == "id":
                self.last_id = value
            elif name == "retry":
                self.retry = int(value)
            elif name == "data":
                data.append(value)
            else:
                raise AssertionError(f"no field of ours: {line!r}")
        return "\n".join(data) if data else None

    def event(self, seconds=30):
        """The next event; Ended when there is none to come."""
        deadline = time.monotonic() + seconds
        while True:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self.block()
            if data is not None:
                return json.loads(data)

    def until_quiet(self, last):
        """All events up to the one with this sequence."""
        events = [self.event()]
        while int(events[-1]["sequence"]) < last:
            events.append(self.event())
        return events

    def ended(self, seconds=30):
        """Reads on to its end: (whether that was whole, the events that came before)."""
        events = []
        try:
            while True:
                events.append(self.event(seconds))
        except Ended as e:
            return e.whole, events

    def has_input(self):
        return bool(self.rest or b"\n\n" in self.text or select.select([self.socket], [], [], 0)[0])
