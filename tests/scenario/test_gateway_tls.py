#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""TLS on the public port: a certificate and key by flags, taken anew on SIGHUP, without losing a connection."""
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.event_stream import EventStream  # noqa: E402
from support.stack import Stack  # noqa: E402
from support.story import expect, main, story, wait_until  # noqa: E402
from support.world import rfc3339  # noqa: E402


def make_certificate(folder, name):
    """A new self-signed pair in place of the old: CN says which one it is."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    f"/CN={name}", "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem"], check=True, capture_output=True)


@contextlib.contextmanager
def stack():
    with tempfile.TemporaryDirectory(prefix="nxtls", dir="/tmp") as folder:
        make_certificate(folder, "first")
        with Stack(gateway_options=[f"--tls-certificate={folder}/cert.pem", f"--tls-key={folder}/key.pem"]) as s:
            s.certificates = folder
            yield s


def wrapped(plain, least=ssl.TLSVersion.TLSv1_2, most=ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version, context.maximum_version = least, most
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context.wrap_socket(plain)


def connect(s, *versions):
    return wrapped(socket.create_connection(("127.0.0.1", s.port), 10), *versions)


def certificate_name(connection):
    der = connection.getpeercert(binary_form=True)
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"], input=der, capture_output=True, check=True).stdout.decode()
    return text.split("CN =")[1].strip()


def get(connection, path="/v1/organizations/43", token=None):
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{authorization}\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        assert piece, "closed before the answer"
        head += piece
    header, body = head.split(b"\r\n\r\n", 1)
    length = next(int(line.split(b":")[1]) for line in header.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65536)
    return int(header.split(b" ")[1])


@story("requests are answered over TLS 1.2 and 1.3, as http/1.1, several on one connection")
def answered(s):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with connect(s, version, version) as c:
            expect("the protocol chosen", c.selected_alpn_protocol(), "http/1.1")
            expect("two answers", [get(c, token=s.api_key), get(c, token=s.api_key)], [200, 200])


@story("older TLS and plain HTTP on that port get no answer")
def refused(s):
    with contextlib.suppress(ssl.SSLError, OSError):
        connect(s, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
        raise AssertionError("TLS 1.1 was taken")
    with socket.create_connection(("127.0.0.1", s.port), 10) as c:
        c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            answer = c.recv(100)
        assert not answer.startswith(b"HTTP/"), answer


@story("events are streamed over TLS: all that there are, and then each as it happens")
def streamed(s):
    operate = lambda method, body: json.loads(s.cli("call", method, json.dumps(body)).stdout)
    operate("CreateAgency", {"agency": {"id": "over-tls", "name": "机构", "types": ["nuanxin.*"], "organizations": ["43"], "agreement": "协议",
                                        "agreementExpireTime": rfc3339(86400), "statutoryPurposes": ["inspection"]}})
    key = operate("CreateAgencyKey", {"agency": "over-tls"})["apiKey"]
    with EventStream(s, key, wrap=wrapped) as stream:
        latest = int(operate("GetLog", {})["latest"])
        assert latest > 1000, latest
        numbers = [int(e["sequence"]) for e in stream.until_quiet(latest)]
        expect("in order", numbers, sorted(set(numbers)))
        assert len(numbers) > latest * 0.9, f"{len(numbers)} of {latest}"
        for i in range(3):
            made = operate("CreateCampaign", {"campaign": {"organization": "43", "title": f"活动{i}", "startTime": rfc3339(0), "endTime": rfc3339(60)}})
            while (event := stream.event())["subject"] != made["id"]:
                pass
            expect("as it happens", event["type"], "nuanxin.activity.v1.CampaignCreated")


@story("SIGHUP takes a new certificate for new connections, and old ones go on")
def reloaded(s):
    with connect(s) as old:
        expect("the first certificate", certificate_name(old), "first")
        make_certificate(s.certificates, "second")
        s.kill("gateway-1", signal.SIGHUP)

        def served():
            with connect(s) as c:
                return certificate_name(c)

        wait_until("the second certificate is served", lambda: served() == "second", 5)
        expect("the old connection", get(old, token=s.api_key), 200)


@story("a damaged certificate is left aside: the one in use stays, and the log says so")
def damaged(s):
    with connect(s) as c:
        before = certificate_name(c)
    with open(s.certificates + "/cert.pem", "w") as f:
        f.write("this is no certificate\n")
    s.kill("gateway-1", signal.SIGHUP)
    wait_until("the log says so", lambda: "certificate" in s.logs() and "level=error" in s.logs(), 5)
    with connect(s) as c:
        expect("the certificate", certificate_name(c), before)
        expect("the answer", get(c, token=s.api_key), 200)


if __name__ == "__main__":
    main(stack())
