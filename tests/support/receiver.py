# SPDX-License-Identifier: Apache-2.0
"""A receiver of webhooks in the test's own process, which answers, stalls, refuses, redirects or lies as the story says.

    with Receiver() as r:
        r.reply = lambda request: Reply(503, {"Retry-After": "60"})
        r.wait(3)                        # requests in all
        [json.loads(q.body) for q in r.posts()]
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import ssl
import subprocess
import tempfile
import threading

from .story import wait_until


class Reply:
    def __init__(self, status=204, headers=None, body=b"", raw=None, stall=False):
        """raw: these bytes instead of an answer; stall: none, until the receiver ends or `release`s."""
        self.status, self.headers, self.body, self.raw, self.stall = status, headers or {}, body, raw, stall


def agree(request, **more):
    """What the handshake wants to hear."""
    return Reply(200, {"WebHook-Allowed-Origin": request.headers["WebHook-Request-Origin"], **more})


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body

    @property
    def event(self):
        return json.loads(self.body)

    @property
    def seq(self):
        return int(self.event["sequence"])

    @property
    def content(self):
        """What is signed."""
        return f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body

    def signatures(self, version):
        return [s.split(",", 1)[1] for s in self.headers["webhook-signature"].split() if s.startswith(version + ",")]

    def signed_by(self, secret):
        """Has it a signature by this secret ("whsec_…") or this pair's public half ("whpk_…")?"""
        kind, text = secret.split("_", 1)
        key = base64.b64decode(text)
        if kind == "whsec":
            return base64.b64encode(hmac.new(key, self.content, hashlib.sha256).digest()).decode() in self.signatures("v1")
        return any(ed25519_fits(key, self.content, base64.b64decode(s)) for s in self.signatures("v1a"))


def ed25519_fits(public, text, signature):
    """By OpenSSL's own command."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"key": bytes.fromhex("302a300506032b6570032100") + public, "text": text, "signature": signature}
        for name, content in files.items():
            with open(os.path.join(folder, name), "wb") as f:
                f.write(content)
        return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key", "-rawin", "-in", "text",
                               "-sigfile", "signature"], cwd=folder, capture_output=True).returncode == 0


class Receiver:
    def __init__(self, reply=None, certificate=None):
        """certificate: a file with it and its key: https."""
        me = self
        self.reply = reply or (lambda request: Reply())
        self.handshake = agree
        self.requests, self.now, self.most = [], 0, 0  # now, most: POSTs under way at once
        self.lock, self.released = threading.Lock(), threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def take(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = Request(self.command, self.path, self.headers, body)
                with me.lock:
                    me.now += self.command == "POST"
                    me.most = max(me.most, me.now)
                reply = me.handshake(request) if self.command == "OPTIONS" else me.reply(request)
                with me.lock:
                    me.requests.append(request)
                try:
                    self.give(reply)
                finally:
                    with me.lock:
                        me.now -= self.command == "POST"

            def give(self, reply):
                if reply.stall:
                    me.released.wait()
                    self.close_connection = True
                    return
                if reply.raw is not None:
                    self.wfile.write(reply.raw)
                    self.close_connection = True
                    return
                self.send_response_only(reply.status)
                for name, value in {**reply.headers, "Content-Length": len(reply.body)}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_OPTIONS = take

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_):
                pass  # the other end has gone

        self.server = Server(("0.0.0.0" if certificate else "127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.port}/hook"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def posts(self):
        with self.lock:
            return [r for r in self.requests if r.method == "POST"]

    def handshakes(self):
        with self.lock:
            return [r for r in self.requests if r.method == "OPTIONS"]

    def wait(self, n, seconds=20):
        """Until n POSTs have come; returns them all."""
        wait_until(f"{n} deliveries have come ({len(self.posts())} so far)", lambda: len(self.posts()) >= n, seconds)
        return self.posts()

    def wait_for(self, seq, seconds=20):
        """Until one of that sequence has come."""
        wait_until(f"{seq} has come", lambda: any(r.seq == seq for r in self.posts()), seconds)
        return self.posts()
