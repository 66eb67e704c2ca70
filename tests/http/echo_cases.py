#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""common/http alone, through tests/http/echo_server: the whole edge table, then what needs a handler of its own or short
limits: slow clients, streamed bodies, order, 100 Continue, TLS, drain. Usage: echo_cases.py ECHO_SERVER [name part]. Prints TAP."""
import signal
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import warnings

from edge_cases import Client, run_table
from edge_table import get, post, sized

SHORT = ["--header-ms", "300", "--body-ms", "300", "--keep-alive-ms", "300", "--write-ms", "300"]


class Server:
    def __init__(self, *options):
        self.process = subprocess.Popen([sys.argv[1], *options], stdout=subprocess.PIPE, text=True)
        self.address = ("127.0.0.1", int(self.process.stdout.readline().split()[1]))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process.stdout.close()
        if kind is None:
            check(status == 0, "the server ended with %d" % status)  # also what a sanitizer found

    def client(self):
        return Client(self.address)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def statuses(client, n):
    return [client.answer()[0] for _ in range(n)]


def elapsed(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start


# --- slow clients ----------------------------------------------------------------------------------------------------

def drip(client, pieces, every):
    """Sends piece by piece until the server has something to say."""
    for piece in pieces:
        client.send(piece)
        client.socket.settimeout(every)
        try:
            client.more()
            return
        except TimeoutError:
            pass
        finally:
            client.socket.settimeout(10)


def slow_header():
    with Server(*SHORT) as server, server.client() as client:
        took = elapsed(lambda: drip(client, [b"GET / HTTP/1.1\r\nHost: x\r\n"] + [b"X-A: b\r\n"] * 1000, 0.02))
        check(client.answer()[0] == 408 and client.ended(), "a dripped header is answered with 408")
        check(0.25 < took < 2, "cut after %.2f s" % took)


def slow_header_after_a_request():
    with Server(*SHORT, "--keep-alive-ms", "20000") as server, server.client() as client:
        client.send(get())
        check(statuses(client, 1) == [200], "the first is answered")
        drip(client, [b"G"] * 1 + [b"E", b"T", b" ", b"/"] + [b"a"] * 1000, 0.02)
        check(client.answer()[0] == 408 and client.ended(), "a dripped second header is answered with 408")


def silent_client():
    with Server(*SHORT) as server, server.client() as client:
        took = elapsed(lambda: check(client.ended(), "a client that says nothing is closed without a word"))
        check(0.25 < took < 2, "closed after %.2f s" % took)


def idle_client():
    with Server(*SHORT, "--keep-alive-ms", "600") as server, server.client() as client:
        client.send(get())
        statuses(client, 1)
        took = elapsed(lambda: check(client.ended(), "an idle client is closed without a word"))
        check(0.5 < took < 2, "closed after %.2f s" % took)


def empty_lines_are_no_request():
    with Server(*SHORT) as server, server.client() as client:
        start = time.monotonic()
        while time.monotonic() - start < 5:
            client.send(b"\r\n")
            client.socket.settimeout(0.02)
            try:
                check(client.socket.recv(1) == b"", "no answer to empty lines")
                return
            except TimeoutError:
                pass
            except ConnectionResetError:
                return
        check(False, "empty lines kept the connection")


def slow_body():
    with Server(*SHORT) as server, server.client() as client:
        drip(client, [post(b"Content-Length: 1000\r\n")] + [b"a"] * 1000, 0.02)
        check(client.answer()[0] == 408 and client.ended(), "a dripped body is answered with 408")


def slow_chunks():
    with Server(*SHORT) as server, server.client() as client:
        drip(client, [post(b"Transfer-Encoding: chunked\r\n")] + [b"1\r\na\r\n"] * 1000, 0.02)
        check(client.answer()[0] == 408 and client.ended(), "dripped chunks are answered with 408")


def many_unfinished_bodies():
    with Server("--gathered-bytes", "1000000") as server:
        hoarders, refused = [], []
        while not refused:
            check(len(hoarders) < 100, "no room for so many large bodies")
            hoarders.append(server.client())
            hoarders[-1].send(post(b"Content-Length: 300000\r\n") + b"a" * 250000)
            refused = [h for h in hoarders if h.socket in select.select([h.socket for h in hoarders], [], [], 0.02)[0]]
        check(refused[0].answer()[0] == 503 and refused[0].ended(), "who finds no room is told so")
        with server.client() as client:
            client.send(post(b"Content-Length: 10000\r\n") + b"a" * 5000)
            time.sleep(0.05)
            client.send(b"a" * 5000)
            check(client.answer()[0] == 200, "a small one is taken")
        for client in hoarders:
            client.socket.close()

        def taken():
            with server.client() as client:
                client.send(post(b"Content-Length: 300000\r\n") + b"a" * 250000)
                time.sleep(0.02)
                client.send(b"a" * 50000)
                return client.answer()[0] == 200

        deadline = time.monotonic() + 5
        while not taken():
            check(time.monotonic() < deadline, "room again once they are gone")


def slow_streamed_body():
    with Server(*SHORT) as server, server.client() as client:
        drip(client, [get(b"Content-Length: 1000\r\n", b"/upload", method=b"POST")] + [b"a"] * 1000, 0.02)
        check(client.answer()[0] == 408 and client.ended(), "a dripped upload is answered with 408")


def steady_body():
    with Server(*SHORT) as server, server.client() as client:
        client.send(post(b"Content-Length: 60000\r\n"))
        for _ in range(60):  # 1000 bytes each 20 ms: slow, but faster than 1 KiB/s
            client.send(b"a" * 1000)
            time.sleep(0.02)
        check(statuses(client, 1) == [200], "a slow but steady body is taken")


def slow_reader():
    with Server(*SHORT) as server:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(server.address)
        client.sendall(get(target=b"/stream?n=100000"))  # 100 MB
        time.sleep(1.5)  # it reads nothing for longer than the limit: this is the test
        client.settimeout(10)
        try:
            got = 0
            while piece := client.recv(1 << 20):
                got += len(piece)
        except ConnectionResetError:
            pass
        check(got < 50e6, "a client that reads nothing is cut (it still got %d)" % got)
        with server.client() as other:
            other.send(get())
            check(statuses(other, 1) == [200], "others are served")


# --- what handlers do ------------------------------------------------------------------------------------------------

def answers_in_order():
    with Server() as server, server.client() as client:
        client.send(get(target=b"/later") + get() + get(target=b"/stream?n=2") + sized(b"abc") + get(target=b"/later"))
        bodies = [client.answer()[2] for _ in range(5)]
        check(bodies[0] == b'{"later":true}' and b"members" in bodies[1] and bodies[2] == bytes(2000) and
              bodies[3] == b"abc" and bodies[4] == b'{"later":true}', "answers come in the order of their requests")


def pipelining_waits():
    with Server() as server, server.client() as client:
        client.send(get(target=b"/later") * 40 + get())
        check([client.answer()[0] for _ in range(41)] == [200] * 41, "past the bound requests wait, and are answered")


def holding(other):
    """How many requests the handler has and keeps, as another connection is told."""
    other.send(get(target=b"/holding"))
    return int(other.answer()[2])


def holding_some(other):
    deadline = time.monotonic() + 10
    while (n := holding(other)) == 0 and time.monotonic() < deadline:
        pass
    return n


def pipelining_is_bounded():
    with Server() as server, server.client() as client, server.client() as other:
        client.send(get(target=b"/hold") * 40)
        deadline = time.monotonic() + 10
        while holding(other) < 16 and time.monotonic() < deadline:
            pass
        check([holding(other) for _ in range(20)] == [16] * 20, "16 are handed over, no more")
        answered = 0
        while answered < 40 and time.monotonic() < deadline:
            other.send(get(target=b"/release"))
            other.answer()
            client.socket.settimeout(0.05)
            try:
                while answered < 40:
                    check(client.answer()[2] == b'{"held":true}', "an answer")
                    answered += 1
            except TimeoutError:
                pass
        check(answered == 40, "%d answers" % answered)


def memory(server):
    """MiB. Nothing can be said of a sanitizer's, which keeps what was freed."""
    if "/asan/" in sys.argv[1]:
        return 0
    with open("/proc/%d/statm" % server.process.pid) as f:
        return int(f.read().split()[1]) * 4096 / (1 << 20)


def read_all(client, n):
    return [client.answer()[2] for _ in range(n)]


def answers_that_nobody_takes_are_not_asked_for():
    with Server() as server, server.client() as client, server.client() as other:
        before = memory(server)
        client.send(get(target=b"/long?n=50000") * 1000)
        for _ in range(200):
            other.send(get())
            check(other.answer()[0] == 200, "others are served")
        check(memory(server) - before < 16, "%.0f MiB more" % (memory(server) - before))
        check(read_all(client, 1000) == [letters(50000)] * 1000, "who takes them gets them all")


def what_all_do_not_take_is_bounded():
    with Server("--unsent-bytes", "20000000") as server, server.client() as other, server.client() as small:
        small.send(get(target=b"/hold") + get(target=b"/long?n=1000"))  # has to wait: little is kept for it
        before, clients = memory(server), []
        for i in range(60):  # of each the kernel takes as much as it likes, but no more than net.ipv4.tcp_wmem has: 4 MiB
            clients.append(Client(server.address, receive_buffer=4096))
            clients[-1].send(get(target=b"/long?n=6000000") + get(b"Connection: close\r\n" if i % 2 else b"", b"/long?n=6000000"))
            other.send(get())
            check(other.answer()[0] == 200, "others are served")
        check(memory(server) - before < 200, "%.0f MiB more" % (memory(server) - before))  # the allocator keeps some
        whole = 0
        for client in clients:
            try:
                whole += read_all(client, 2) == [letters(6000000)] * 2
            except (EOFError, OSError):
                pass
        check(0 < whole < 60, "%d of them got theirs" % whole)
        other.send(get(target=b"/release"))
        check(other.answer()[0] == 200 and small.answer()[2] == b'{"held":true}' and small.answer()[2] == letters(1000), "and who needs little")


def what_waits_for_its_turn_counts():
    with Server("--unsent-bytes", "20000000") as server, server.client() as teller:
        clients, held = [], 0
        for _ in range(40):
            clients.append(server.client())
            clients[-1].send(get(target=b"/hold") + get(target=b"/long?n=1000000"))
            before, deadline = held, time.monotonic() + 10
            while (held := holding(teller)) == before and time.monotonic() < deadline:
                pass
        teller.send(get(target=b"/release"))
        check(teller.answer()[0] == 200, "released")
        whole = 0
        for client in clients:
            try:
                whole += client.answer()[2] == b'{"held":true}' and client.answer()[2] == letters(1000000)
            except (EOFError, OSError):
                pass
        check(5 <= whole <= 20, "%d of 40 got theirs" % whole)


def what_is_lent_to_many_counts_once():
    with Server("--unsent-bytes", "20000000") as server, server.client() as teller:
        readers = [followed(server) for _ in range(60)]
        for _ in range(6):
            asked(teller, b"/say?n=1000000")
        check(asked(teller, b"/following") == 60 and asked(teller, b"/unsent") > 20000000, "nobody is cut")
        while asked(teller, b"/unsent") and asked(teller, b"/following"):
            asked(teller, b"/say?n=1000000")
        check(asked(teller, b"/following") < 60, "but not without end")
        del readers


def nothing_after_close_is_handed_over():
    with Server() as server, server.client() as client, server.client() as other:
        client.send(get(b"Connection: close\r\n", b"/hold") + get(target=b"/hold") * 3)
        check(holding_some(other) == 1 and holding(other) == 1, "only the one that closes")
        other.send(get(target=b"/release"))
        other.answer()
        check(client.answer()[2] == b'{"held":true}' and client.ended(), "it is answered, then the end")


def gone_while_held():
    with Server() as server, server.client() as other:
        with server.client() as client:
            client.send(get(target=b"/hold") * 3)
            check(holding_some(other) > 0, "held")
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close is a reset
        deadline = time.monotonic() + 10
        while (n := holding(other)) and time.monotonic() < deadline:
            pass
        check(n == 0, "the handler is told that they are gone")


def half_close_while_waiting():
    with Server() as server, server.client() as client:
        client.send(get(target=b"/later") * 20)
        client.half_close()
        check(statuses(client, 20) == [200] * 20 and client.ended(), "all are answered after a half close")


def gone_while_waiting():
    with Server() as server:
        for _ in range(50):
            with server.client() as client:
                client.send(get(target=b"/later") * 3)
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close is a reset
        with server.client() as client:
            client.send(get(target=b"/later"))
            check(statuses(client, 1) == [200], "clients that reset do no harm")


def uploads():
    with Server() as server, server.client() as client:
        client.send(get(b"Content-Length: 5000000\r\n", b"/upload", method=b"POST"))
        client.send(bytes(5000000) + get())
        check(client.answer()[2] == b"5000000" and client.answer()[0] == 200, "a large upload by length, then a GET")
        client.send(get(b"Transfer-Encoding: chunked\r\n", b"/upload", method=b"POST"))
        client.send((b"1000\r\n" + bytes(4096) + b"\r\n") * 500 + b"0\r\n\r\n" + get())
        check(client.answer()[2] == b"2048000" and client.answer()[0] == 200, "a large upload in chunks, then a GET")
        client.send(get(b"Content-Length: 0\r\n", b"/upload", method=b"POST"))
        check(client.answer()[2] == b"0", "an empty upload")


def upload_cut():
    with Server() as server:
        for _ in range(20):
            with server.client() as client:
                client.send(get(b"Content-Length: 5000000\r\n", b"/upload", method=b"POST") + bytes(10000))
        with server.client() as client:
            client.send(get())
            check(statuses(client, 1) == [200], "cut uploads do no harm")


def early_answer():
    with Server() as server, server.client() as client:
        client.send(get(b"Content-Length: 200000\r\n", b"/early", method=b"POST"))
        client.send(bytes(100000))
        status, fields, body = client.answer()
        check(status == 200 and fields["connection"] == "close" and body == b'{"early":true}',
              "an answer before the body's end closes")
        client.send(bytes(100000))
        client.half_close()
        check(client.ended(), "and the connection ends")


def streams():
    with Server() as server, server.client() as client:
        client.send(get(target=b"/stream?n=20000") + get())
        status, fields, body = client.answer()
        check(len(body) == 20000000 and fields["transfer-encoding"] == "chunked", "20 MB in chunks")
        check(client.answer()[0] == 200, "and the next")
        client.send(get(target=b"/stream?n=3", method=b"HEAD") + get())
        check(client.answer(head=True)[0] == 200 and client.answer()[0] == 200, "HEAD of a streamed answer has no body")
        client.send(get(target=b"/stream?n=3", version=b"HTTP/1.0"))
        check(client.take_line().endswith(b"200 OK"), "a 1.0 client gets it")
        while client.take_line():
            pass
        check(client.take(3000) == bytes(3000) and client.ended(), "to the end of the connection, without chunks")


def asked(client, target):
    client.send(get(target=target))
    return int(client.answer()[2])


def chunk(client):
    bytes_ = client.take(int(client.take_line(), 16))
    client.take(2)
    return bytes_


def letters(n):
    return (b"abcdefghijklmnopqrstuvwxyz" * (n // 26 + 1))[:n]


def followed(server, fields=b"", version=b"HTTP/1.1"):
    """A client whose endless answer has begun."""
    client = server.client()
    client.send(get(fields, b"/follow", version))
    while client.take_line():
        pass
    check((client.take(5) if version == b"HTTP/1.0" else chunk(client)) == b"hello", "it has begun")
    return client


def shared_pieces():
    with Server() as server, server.client() as teller:
        first, second, old, behind = followed(server), followed(server), followed(server, version=b"HTTP/1.0"), server.client()
        behind.send(get(target=b"/hold") + get(target=b"/follow"))
        while asked(teller, b"/unsent") == 0:  # its beginning waits for the answer before it
            pass
        for n in (10, 2047, 2048, 100000, 3):
            asked(teller, b"/say?n=%d" % n)
            for client in (first, second):
                check(chunk(client) == letters(n), "all get the same %d bytes" % n)
            check(old.take(n) == letters(n), "as they are, without chunks")
        teller.send(get(target=b"/release"))
        teller.answer()
        check(behind.answer()[2] == b'{"held":true}', "the one before")
        while behind.take_line():
            pass
        check([chunk(behind) for _ in range(6)] == [b"hello"] + [letters(n) for n in (10, 2047, 2048, 100000, 3)], "then all in order")
        asked(teller, b"/end")
        for client in (first, second, behind):
            check(client.take(5) == b"0\r\n\r\n", "a whole answer")
            client.send(get())
            check(client.answer()[0] == 200, "after which the connection serves on")
        check(old.ended(), "or ends")


def shared_pieces_outlive_a_reader():
    with Server() as server, server.client() as teller:
        for end in (b"/abort", b"gone", b"/end"):
            deaf, reader = followed(server), followed(server)
            while asked(teller, b"/unsent") < 1000000:  # the kernel takes some
                asked(teller, b"/say?n=100000")
                check(chunk(reader) == letters(100000), "a reader is not held up")
            if end == b"gone":
                deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close is a reset
                deaf.socket.close()
            else:
                asked(teller, end)
            if end == b"/abort":
                check(asked(teller, b"/unsent") == 0, "what was not sent is dropped")
                for client in (deaf, reader):
                    try:
                        while client.socket.recv(1 << 20):
                            pass
                        check(False, "the end looks whole")
                    except ConnectionResetError:
                        pass
            if end == b"/end":
                got = bytearray(deaf.rest)
                while not got.endswith(b"0\r\n\r\n"):
                    piece = deaf.socket.recv(1 << 20)
                    check(piece, "cut before the end")
                    got += piece
        while asked(teller, b"/unsent"):
            pass


def a_reader_that_closes_its_side_has_gone():
    with Server() as server, server.client() as teller:
        for fields, version in ((b"", b"HTTP/1.1"), (b"Connection: close\r\n", b"HTTP/1.1"), (b"", b"HTTP/1.0")):
            with followed(server, fields, version) as client:
                check(asked(teller, b"/following") == 1, "it follows")
                client.half_close()
                deadline = time.monotonic() + 10
                while (n := asked(teller, b"/following")) and time.monotonic() < deadline:
                    pass
                check(n == 0, "the handler is told that it has gone")


def continue_is_sent():
    with Server() as server, server.client() as client:
        client.send(post(b"Expect: 100-continue\r\nContent-Length: 3\r\n"))
        check(client.take_line() == b"HTTP/1.1 100 Continue" and client.take_line() == b"", "100 Continue")
        client.send(b"abc")
        check(client.answer()[2] == b"abc", "then the answer")
        client.send(get(target=b"/later") + post(b"Expect: 100-continue\r\nContent-Length: 3\r\n"))
        check(client.take_line() == b"HTTP/1.1 200 OK", "the first's answer comes before the second's 100")
        client.rest[:0] = b"HTTP/1.1 200 OK\r\n"
        check(client.answer()[2] == b'{"later":true}', "whole")
        check(client.take_line() == b"HTTP/1.1 100 Continue" and client.take_line() == b"", "then 100 Continue")
        client.send(b"abc")
        check(client.answer()[2] == b"abc", "then the second")


def no_continue_for_a_refusal():
    with Server() as server, server.client() as client:
        client.send(post(b"Expect: 100-continue\r\nContent-Length: 99999999\r\n"))
        check(client.take_line() == b"HTTP/1.1 413 Content Too Large", "413 without 100 Continue")
        with server.client() as other:
            other.send(get(b"Expect: 100-continue\r\nContent-Length: 9\r\n", b"/early", method=b"POST"))
            check(other.take_line() == b"HTTP/1.1 200 OK", "an early answer instead of 100 Continue")


# --- the server ------------------------------------------------------------------------------------------------------

def connections_are_bounded():
    with Server("--max-connections", "4") as server:
        clients = [server.client() for _ in range(8)]  # the kernel's backlog takes what the server does not
        for client in clients[:4]:
            client.send(get())
            check(statuses(client, 1) == [200], "the first four are served")
        clients[4].send(get())
        clients[4].socket.settimeout(0.2)
        try:
            clients[4].more()
            check(False, "the fifth is served too")
        except TimeoutError:
            pass
        clients[4].socket.settimeout(10)
        clients[0].socket.close()
        check(statuses(clients[4], 1) == [200], "the fifth is served when one has left")
        for client in clients:
            client.socket.close()


def out_of_descriptors():
    import resource
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
    process = subprocess.Popen([sys.argv[1]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit)
    address = ("127.0.0.1", int(process.stdout.readline().split()[1]))
    clients = [Client(address) for _ in range(40)]
    warned = process.stderr.readline()
    check("cannot accept" in warned, "the log tells")
    time.sleep(0.5)
    with open("/proc/%d/stat" % process.pid) as stat:
        ticks = sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13]))
    check(ticks < 20, "it does not turn in circles (%d ticks of CPU)" % ticks)
    for client in clients[:30]:
        client.socket.close()
    clients[39].send(get())
    check(statuses(clients[39], 1) == [200], "and serves when descriptors are free again")
    for client in clients[30:]:
        client.socket.close()
    process.terminate()
    check(process.wait(10) == 0, "and ends")
    process.stdout.close()
    process.stderr.close()


def drains():
    with Server() as server:
        idle, busy, fresh, silent = server.client(), server.client(), server.client(), server.client()
        idle.send(get())
        statuses(idle, 1)
        busy.send(get(target=b"/stream?n=3000"))
        busy.take(1000)
        server.process.send_signal(signal.SIGTERM)
        while True:
            try:
                server.client()
            except (ConnectionRefusedError, ConnectionResetError):  # the latter: it came in the very moment
                break
        for late in (fresh, idle):
            late.send(get())
            status, headers, _ = late.answer()
            check(status == 200 and headers.get("connection") == "close", f"a last request is answered: {status} {headers}")
            check(late.ended(), "and its connection ends")
        check(elapsed(silent.ended) < 3, "one that asks nothing ends soon")
        busy.rest.clear()
        total = 0
        while piece := busy.socket.recv(65536):
            total += len(piece)
        check(total > 2900000, "a busy one gets its whole answer")
        check(server.process.wait(10) == 0, "the process ends")


def tls():
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = folder + "/cert.pem", folder + "/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost"],
                       check=True, capture_output=True)
        with Server("--certificate", certificate, "--key", key, *SHORT) as server:
            context = ssl.create_default_context(cafile=certificate)
            context.check_hostname = False
            context.set_alpn_protocols(["h2", "http/1.1"])
            client = server.client()
            client.socket = context.wrap_socket(client.socket)
            check(client.socket.version() in ("TLSv1.2", "TLSv1.3"), client.socket.version())
            check(client.socket.selected_alpn_protocol() == "http/1.1", "ALPN")
            client.send(get() * 20 + sized(b"abc") + get(target=b"/stream?n=1000"))
            check(statuses(client, 20) == [200] * 20 and client.answer()[2] == b"abc", "answers over TLS")
            check(len(client.answer()[2]) == 1000000, "a long one")
            client.send(get(b"Content-Length: 300000\r\n", b"/upload", method=b"POST") + bytes(300000))
            check(client.answer()[2] == b"300000", "an upload")
            client.send(get(b"Connection: close\r\n"))
            check(client.answer()[0] == 200 and client.ended(), "a clean end")
            client.socket.close()
            with server.client() as plain:
                plain.send(get())
                check(plain.ended(), "plain HTTP on the TLS port gets no answer")
            with server.client() as silent:
                check(silent.ended(), "a client that never shakes hands is closed")
            warnings.simplefilter("ignore", DeprecationWarning)  # the old version is the point
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
            try:
                with server.client() as client:
                    old.wrap_socket(client.socket)
                check(False, "TLS 1.1 was taken")
            except ssl.SSLError:
                pass


def address_taken():
    with Server() as server:
        port = server.address[1]
        with Server("--listen", "127.0.0.1:%d" % port) as second:
            check(second.address[1] == port, "two listeners may share a port (SO_REUSEPORT)")


CASES = [slow_header, slow_header_after_a_request, silent_client, idle_client, empty_lines_are_no_request, slow_body,
         slow_chunks, many_unfinished_bodies,
         slow_streamed_body, steady_body, slow_reader, answers_in_order, pipelining_waits, pipelining_is_bounded,
         answers_that_nobody_takes_are_not_asked_for, what_all_do_not_take_is_bounded, what_waits_for_its_turn_counts,
         what_is_lent_to_many_counts_once,
         nothing_after_close_is_handed_over, gone_while_held,
         half_close_while_waiting, gone_while_waiting, uploads, upload_cut, early_answer, streams, shared_pieces, shared_pieces_outlive_a_reader,
         a_reader_that_closes_its_side_has_gone, continue_is_sent,
         no_continue_for_a_refusal, connections_are_bounded, out_of_descriptors, drains, tls, address_taken]


def main():
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    with Server() as server:
        number, failures = run_table(server.address, wanted)
    for case in CASES:
        name = case.__name__.replace("_", " ")
        if wanted not in name:
            continue
        number += 1
        try:
            case()
            print("ok %d - %s" % (number, name), flush=True)
        except (AssertionError, EOFError, OSError, ValueError, subprocess.SubprocessError) as error:
            failures += 1
            print("not ok %d - %s\n# %s: %s" % (number, name, type(error).__name__, error), flush=True)
    print("1..%d" % number)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
