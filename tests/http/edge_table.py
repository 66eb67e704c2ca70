# SPDX-License-Identifier: Apache-2.0
"""Hostile and odd requests, each with the answers it must get: framing and smuggling (RFC 9112), limits, targets,
versions, pipelining. An expected status is a number, or GET or POST: what a plain request of that method to the same
path gets, so that the table holds for any server whose handlers answer quickly; HANDLED: anything that is not a refusal
of the parser. `end` says what the connection does after the last answer."""
from collections import namedtuple

GET, POST, HANDLED = "get", "post", "handled"
OPEN, CLOSED = "open", "closed"

# half_close: the client ends its side after sending. head: answers have no body.
Case = namedtuple("Case", "name raw answers end half_close head")

PATH = b"/edge-case"
PROBLEMS = {400: "malformed-request", 408: "request-timeout", 413: "payload-too-large", 414: "uri-too-long",
            417: "expectation-failed", 431: "header-too-large", 501: "not-implemented",
            505: "http-version-not-supported"}
HEADER_BYTES, HEADER_FIELDS, TARGET_BYTES, BODY_BYTES, PIPELINED = 16 * 1024, 100, 8 * 1024, 1024 * 1024, 16

CASES = []


def add(name, raw, answers, end=None, half_close=False, head=False):
    """answers: one or a list. A refusal is the last answer and closes the connection; others leave it open."""
    answers = answers if isinstance(answers, list) else [answers]
    if end is None:
        end = CLOSED if not answers or answers[-1] in PROBLEMS else OPEN
    CASES.append(Case(name, raw, answers, end, half_close, head))


def get(fields=b"", target=PATH, version=b"HTTP/1.1", host=b"Host: x\r\n", method=b"GET"):
    return method + b" " + target + b" " + version + b"\r\n" + host + fields + b"\r\n"


def post(fields=b"", body=b"", method=b"POST"):
    return get(b"Content-Type: application/json\r\n" + fields, method=method) + body


def sized(body, value=None):
    return post(b"Content-Length: " + (value if value is not None else b"%d" % len(body)) + b"\r\n", body)


def chunked(body, coding=b"Transfer-Encoding: chunked\r\n"):
    return post(coding, body)


NEXT = get()
DONE = b"0\r\n\r\n"

# --- ordinary, in odd clothes ---------------------------------------------------------------------------------------
add("a plain GET", get(), GET)
add("a plain POST with a length", sized(b'{"a":1}'), POST)
add("a plain POST in one chunk", chunked(b"7\r\n" b'{"a":1}' b"\r\n" + DONE), POST)
add("HEAD has no body", get(method=b"HEAD"), GET, head=True)
add("an empty line before the request", b"\r\n" + get(), GET)
add("several empty lines before the request", b"\r\n\r\n\r\n" + get(), GET)
add("an empty line between pipelined requests", get() + b"\r\n" + get(), [GET, GET])
add("field names in any case", get(host=b"hOsT: x\r\n"), GET)
add("no blank after the colon", get(host=b"Host:x\r\n"), GET)
add("blanks and tabs around a value", get(host=b"Host: \t x \t \r\n"), GET)
add("an empty value", get(b"X-Empty:\r\n"), GET)
add("a value of UTF-8 bytes", get("X-Name: 王秀兰\r\n".encode()), GET)
add("a value of high bytes that are no UTF-8", get(b"X-Name: \xff\xfe\x80\r\n"), GET)
add("all characters that a name may have", get(b"!#$%&'*+-.^_`|~09azAZ: v\r\n"), GET)
add("the same field twice", get(b"Accept: a/b\r\nAccept: c/d\r\n"), GET)
add("a cookie of many parts", get(b"Cookie: " + b"; ".join(b"a%d=b" % i for i in range(200)) + b"\r\n"), GET)
add("Content-Length: 0", sized(b""), POST)
add("Content-Length with leading zeros", sized(b"{}", b"0002"), POST)
add("Content-Length with blanks around", sized(b"{}", b" \t 2  "), POST)
add("Content-Length with a tab behind", sized(b"{}", b"2\t"), 400)
add("a GET with Content-Length: 0", get(b"Content-Length: 0\r\n"), GET)
add("an Upgrade is ignored", get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"), GET)
add("a WebSocket upgrade is ignored",
    get(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"), GET)
add("an Upgrade on a POST with a body",
    post(b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n", b"{}") + NEXT, [POST, GET])
add("an Upgrade on a chunked POST",
    post(b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n", b"2\r\n{}\r\n" + DONE) + NEXT, [POST, GET])

# --- connection ------------------------------------------------------------------------------------------------------
add("Connection: close", get(b"Connection: close\r\n"), GET, CLOSED)
add("Connection: CLOSE", get(b"Connection: CLOSE\r\n"), GET, CLOSED)
add("Connection: a list with close", get(b"Connection: foo, close ,bar\r\n"), GET, CLOSED)
add("Connection: close in a second field", get(b"Connection: keep-alive\r\nConnection: close\r\n"), GET, CLOSED)
add("Connection: keep-alive in 1.1", get(b"Connection: keep-alive\r\n"), GET)
add("Connection: something else", get(b"Connection: closed\r\n"), GET)
add("HTTP/1.0 closes", get(version=b"HTTP/1.0"), GET, CLOSED)
add("HTTP/1.0 with keep-alive stays", get(b"Connection: keep-alive\r\n", version=b"HTTP/1.0"), GET)
add("HTTP/1.0 without Host", get(version=b"HTTP/1.0", host=b""), GET, CLOSED)
add("what follows Connection: close is not answered", get(b"Connection: close\r\n") + NEXT, GET, CLOSED)
add("what follows HTTP/1.0 is not answered", get(version=b"HTTP/1.0") + NEXT, GET, CLOSED)
add("close with a body", post(b"Connection: close\r\nContent-Length: 2\r\n", b"{}"), POST, CLOSED)
add("close with a chunked body", post(b"Connection: close\r\nTransfer-Encoding: chunked\r\n", b"2\r\n{}\r\n" + DONE), POST,
    CLOSED)

# --- Host ------------------------------------------------------------------------------------------------------------
add("Host missing", get(host=b""), 400)
add("Host twice, equal", get(host=b"Host: x\r\nHost: x\r\n"), 400)
add("Host twice, different", get(host=b"Host: x\r\nHost: y\r\n"), 400)
add("Host twice in HTTP/1.0", get(host=b"Host: x\r\nHost: y\r\n", version=b"HTTP/1.0"), 400)
add("Host empty", get(host=b"Host:\r\n"), 400)
add("Host with a blank inside", get(host=b"Host: a b\r\n"), 400)
add("Host with a list", get(host=b"Host: a, b\r\n"), 400)
add("Host with a path", get(host=b"Host: x/y\r\n"), 400)
add("Host with user information", get(host=b"Host: u@x\r\n"), 400)
add("Host with a port", get(host=b"Host: x:8080\r\n"), GET)
add("Host with an empty port", get(host=b"Host: x:\r\n"), GET)
add("Host with a port that is no number", get(host=b"Host: x:80a\r\n"), 400)
add("Host with a port too large", get(host=b"Host: x:65536\r\n"), 400)
add("Host with only a port", get(host=b"Host: :80\r\n"), 400)
add("Host an IPv6 address", get(host=b"Host: [2001:db8::1]:80\r\n"), GET)
add("Host an open bracket", get(host=b"Host: [2001:db8::1\r\n"), 400)
add("Host with high bytes", get(host="Host: 暖心.cn\r\n".encode()), 400)
add("Host with a bad percent", get(host=b"Host: a%zz\r\n"), 400)

# --- the request line ------------------------------------------------------------------------------------------------
add("two blanks before the target", get().replace(b"GET ", b"GET  "), 400)
add("two blanks before the version", get().replace(b" HTTP", b"  HTTP"), 400)
add("a tab for a blank", get().replace(b"GET ", b"GET\t"), 400)
add("a blank after the version", get().replace(b"HTTP/1.1", b"HTTP/1.1 "), 400)
add("a blank before the method", b" " + get(), 400)
add("no target", b"GET HTTP/1.1\r\nHost: x\r\n\r\n", 505)
add("only a method", b"GET\r\n\r\n", 400)
add("only a method and a blank", b"GET \r\n\r\n", 400)
add("an unknown method", get(method=b"FROB"), 501)
add("a method in small letters", get(method=b"get"), 501)
add("a known method with a tail", get(method=b"GETX"), 501)
add("a method with a colon", get(method=b"GE:T"), 400)
add("a method too long", get(method=b"A" * 5000), 501)
add("a method too long without an end", b"A" * 50, 501)
add("CONNECT", get(target=b"x:80", method=b"CONNECT"), 501)
add("CONNECT with a path", get(method=b"CONNECT"), 501)
add("an RTSP method", get(method=b"PLAY"), 501)
add("the RTSP protocol", get(version=b"RTSP/1.0"), 400)
add("the ICE protocol", get(version=b"ICE/1.0", method=b"SOURCE"), 400)
add("TRACE is for the handlers", get(method=b"TRACE"), HANDLED)
add("PROPFIND is for the handlers", get(method=b"PROPFIND"), HANDLED)
add("HTTP/0.9", b"GET /\r\n", 505)
add("HTTP/0.9 with fields", b"GET /\r\nHost: x\r\n\r\n", 505)
add("HTTP/1.2", get(version=b"HTTP/1.2"), 505)
add("HTTP/2.0", get(version=b"HTTP/2.0"), 505)
add("HTTP/3.0", get(version=b"HTTP/3.0"), 505)
add("HTTP/0.9 spelt out", get(version=b"HTTP/0.9"), 505)
add("HTTP/1.10", get(version=b"HTTP/1.10"), 400)
add("HTTP/11", get(version=b"HTTP/11"), 400)
add("HTTP/1.", get(version=b"HTTP/1."), 400)
add("HTTP/01.1", get(version=b"HTTP/01.1"), 400)
add("http/1.1", get(version=b"http/1.1"), 400)
add("HTTP/1,1", get(version=b"HTTP/1,1"), 400)
add("HTTPS/1.1", get(version=b"HTTPS/1.1"), 400)
add("the HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)
add("a TLS hello on the plain port", bytes.fromhex("160301020001000001fc0303") + bytes(100), 400)
add("an SSH greeting", b"SSH-2.0-OpenSSH_9.2\r\n", 400)
add("a NUL first", b"\0" + get(), 400)
add("a NUL in the method", get(method=b"G\0T"), 400)

# --- targets ---------------------------------------------------------------------------------------------------------
add("absolute-form", get(target=b"http://x" + PATH), GET)
add("absolute-form with another authority wins over Host", get(target=b"http://y:81" + PATH), GET)
add("absolute-form of https", get(target=b"https://x" + PATH), GET)
add("absolute-form with the scheme in capitals", get(target=b"HTTP://x" + PATH), GET)
add("absolute-form without Host", get(target=b"http://x" + PATH, host=b""), 400)
add("absolute-form without a path", get(target=b"http://x"), HANDLED)
add("absolute-form without a path, with a query", get(target=b"http://x?a=b"), HANDLED)
add("absolute-form without an authority", get(target=b"http:///edge-case"), 400)
add("absolute-form with user information", get(target=b"http://u:p@x" + PATH), 400)
add("absolute-form with a bad port", get(target=b"http://x:99999" + PATH), 400)
add("absolute-form of another scheme", get(target=b"ftp://x" + PATH), 400)
add("a relative target", get(target=b"edge-case"), 400)
add("authority-form without CONNECT", get(target=b"x:80"), 400)
add("asterisk-form with OPTIONS", get(target=b"*", method=b"OPTIONS"), HANDLED)
add("asterisk-form with GET", get(target=b"*"), 400)
add("asterisk-form with more", get(target=b"*x", method=b"OPTIONS"), 400)
add("a fragment", get(target=PATH + b"#top"), 400)
add("a fragment in the query", get(target=PATH + b"?a#top"), 400)
add("a NUL in the target", get(target=PATH + b"\0"), 400)
add("a control byte in the target", get(target=PATH + b"\x01"), 400)
add("DEL in the target", get(target=PATH + b"\x7f"), 400)
add("a tab in the target", get(target=PATH + b"\ta"), 400)
add("UTF-8 bytes in the target", get(target="/edge-case?name=暖心".encode()), 400)
add("a lone high byte in the target", get(target=PATH + b"\xff"), 400)
add("a blank in the target", get(target=PATH + b" a"), 400)
add("a query", get(target=PATH + b"?a=b&c=%E6%9A%96"), GET)
add("an empty query", get(target=PATH + b"?"), GET)
add("question marks in the query", get(target=PATH + b"?a?b"), GET)
add("a target at the limit", get(target=PATH + b"?" + b"a" * (TARGET_BYTES - len(PATH) - 1)), GET)
add("a target beyond the limit", get(target=PATH + b"?" + b"a" * (TARGET_BYTES - len(PATH))), 414)
add("a target far beyond the limit", get(target=b"/" + b"a" * 100000), 414)
add("a target without an end", b"GET /" + b"a" * TARGET_BYTES, 414)

# --- fields ----------------------------------------------------------------------------------------------------------
add("a blank before the colon", get(b"X-A : b\r\n"), 400)
add("a tab before the colon", get(b"X-A\t: b\r\n"), 400)
add("a blank before Host's colon", get(host=b"Host : x\r\n"), 400)
add("a blank in a name", get(b"X A: b\r\n"), 400)
add("an empty name", get(b": b\r\n"), 400)
add("only a colon", get(b":\r\n"), 400)
add("a line without a colon", get(b"X-A\r\n"), 400)
add("a folded line", get(b"X-A: b\r\n c\r\n"), 400)
add("a folded line with a tab", get(b"X-A: b\r\n\tc\r\n"), 400)
add("a folded line of blanks", get(b"X-A: b\r\n \r\n"), 400)
add("a blank before the first field", get(host=b" Host: x\r\n"), 400)
add("a folded Content-Length", post(b"Content-Length:\r\n 2\r\n", b"{}"), 400)
add("a folded Transfer-Encoding", post(b"Transfer-Encoding:\r\n chunked\r\n", DONE), 400)
add("a NUL in a name", get(b"X\0A: b\r\n"), 400)
add("a NUL in a value", get(b"X-A: b\0c\r\n"), 400)
add("a control byte in a value", get(b"X-A: b\x01c\r\n"), 400)
add("DEL in a value", get(b"X-A: b\x7fc\r\n"), 400)
add("a high byte in a name", get(b"X-\xe9: b\r\n"), 400)
add("a bracket in a name", get(b"X-[a]: b\r\n"), 400)
add("bare LF ends the request line", get().replace(b"1.1\r\n", b"1.1\n"), 400)
add("bare LF ends a field", get(b"X-A: b\n"), 400)
add("bare LF ends the header", get()[:-2] + b"\n", 400)
add("only bare LFs", get().replace(b"\r\n", b"\n"), 400)
add("a bare CR ends a field", get(b"X-A: b\rX-B: c\r\n"), 400)
add("a bare CR in a name", get(b"X-\rA: b\r\n"), 400)
add("CR CR LF", get(b"X-A: b\r\r\n"), 400)
add("LF CR", get(b"X-A: b\n\r\n"), 400)
add("a bare LF before the request", b"\n" + get(), 400)
add("a bare CR before the request", b"\r" + get(), 400)
add("100 fields", get(b"".join(b"X-%d: v\r\n" % i for i in range(HEADER_FIELDS - 1))), GET)
add("101 fields", get(b"".join(b"X-%d: v\r\n" % i for i in range(HEADER_FIELDS))), 431)
add("10000 fields", get(b"a:\r\n" * 10000), 431)
add("a header at the limit", get(b"X-A: " + b"a" * (HEADER_BYTES - len(get(b"X-A: \r\n"))) + b"\r\n"), GET)
add("a header beyond the limit", get(b"X-A: " + b"a" * (HEADER_BYTES - len(get(b"X-A: \r\n")) + 1) + b"\r\n"), 431)
add("a field without an end", get()[:-2] + b"X-A: " + b"a" * HEADER_BYTES, 431)
add("a name without an end", get()[:-2] + b"a" * HEADER_BYTES, 431)

# --- Content-Length --------------------------------------------------------------------------------------------------
for value in (b"+3", b"-3", b"3,3", b"3, 3", b"3,4", b"0x3", b"3.0", b"3;", b"3 3", b"", b"three", b"\x0b3", b"3\x0c",
              b"1e1", b'"3"', b"18446744073709551616", b"99999999999999999999999", b"9223372036854775808",
              "３".encode()):
    add("Content-Length: " + repr(value)[2:-1], sized(b"{ }", value), 400)
add("Content-Length twice, equal", post(b"Content-Length: 2\r\nContent-Length: 2\r\n", b"{}"), 400)
add("Content-Length twice, different", post(b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{} "), 400)
add("Content-Length with a blank before the colon", post(b"Content-Length : 2\r\n", b"{}"), 400)
add("Content_Length is another field", post(b"Content_Length: 9\r\nContent-Length: 2\r\n", b"{}"), POST)
add("a body at the limit", sized(b" " * BODY_BYTES), POST)
add("a body beyond the limit", sized(b" " * (BODY_BYTES + 1)), 413)
add("a body announced beyond the limit", sized(b"", b"%d" % (BODY_BYTES + 1)), 413)
add("a body announced far beyond the limit", sized(b"", b"9223372036854775807"), 413)
add("a body shorter than announced, then the end", sized(b"{", b"2"), [], half_close=True)
add("a body longer than announced", sized(b"{}{}", b"2"), [POST, 400])

# --- Transfer-Encoding -----------------------------------------------------------------------------------------------
TE = b"Transfer-Encoding: "
for value in (b"xchunked", b"chunkedx", b"identity", b"chunked, identity", b"chunked, chunked", b"chunked,", b",chunked", b"",
              b"gzip", b"chunked;q=1", b"\x0bchunked", b"chunked\x0b", b'"chunked"', b"chunked gzip", b"chunk ed"):
    add("Transfer-Encoding: " + repr(value)[2:-1], chunked(DONE, TE + value + b"\r\n"), 400)
add("Transfer-Encoding: gzip, chunked", chunked(DONE, TE + b"gzip, chunked\r\n"), 501)
add("Transfer-Encoding: identity, chunked", chunked(DONE, TE + b"identity, chunked\r\n"), 501)
add("Transfer-Encoding: Chunked", chunked(DONE, TE + b"Chunked\r\n"), POST)
add("Transfer-Encoding: blanks around chunked", chunked(DONE, TE + b" \t chunked  \r\n"), POST)
add("Transfer-Encoding: chunked with a tab behind", chunked(DONE, TE + b"chunked\t\r\n"), 400)
add("Transfer-Encoding twice", chunked(DONE, TE + b"chunked\r\n" + TE + b"chunked\r\n"), 400)
add("Transfer-Encoding twice, identity first", chunked(DONE, TE + b"identity\r\n" + TE + b"chunked\r\n"), 400)
add("Transfer-Encoding twice, the second hidden", chunked(DONE, TE + b"chunked\r\n" + TE + b"x\r\n"), 400)
add("Transfer-Encoding with a blank before the colon", chunked(DONE, b"Transfer-Encoding : chunked\r\n"), 400)
add("Transfer-Encoding after a bare LF", chunked(DONE, b"X: y\nTransfer-Encoding: chunked\r\n"), 400)
add("Transfer-Encoding after a bare CR", chunked(DONE, b"X: y\rTransfer-Encoding: chunked\r\n"), 400)
add("Transfer-Encoding in HTTP/1.0",
    get(b"Connection: keep-alive\r\n" + TE + b"chunked\r\n", version=b"HTTP/1.0", method=b"POST") + DONE, 400)
add("Transfer_Encoding is another field", post(b"Transfer_Encoding: chunked\r\nContent-Length: 2\r\n", b"{}"), POST)
add("CL.TE", post(b"Content-Length: 6\r\n" + TE + b"chunked\r\n", DONE + b"G"), 400)
add("TE.CL", post(TE + b"chunked\r\nContent-Length: 4\r\n", b"5c\r\nGPOST / HTTP/1.1\r\n" + DONE), 400)
add("CL.TE with Content-Length: 0", post(b"Content-Length: 0\r\n" + TE + b"chunked\r\n", DONE), 400)
add("CL.TE, the coding obscured", post(b"Content-Length: 5\r\n" + TE + b"xchunked\r\n", DONE), 400)
add("CL.TE with a tab", post(b"Content-Length: 5\r\nTransfer-Encoding:\tchunked\r\n", DONE), 400)
add("CL.TE in HTTP/1.0", get(b"Content-Length: 5\r\n" + TE + b"chunked\r\n", version=b"HTTP/1.0", method=b"POST") + DONE, 400)

# --- chunks ----------------------------------------------------------------------------------------------------------
add("several chunks", chunked(b"1\r\n{\r\n1\r\n}\r\n" + DONE) + NEXT, [POST, GET])
add("a chunk size in capital hex", chunked(b"A\r\n" + b" " * 10 + b"\r\n" + DONE) + NEXT, [POST, GET])
add("a chunk size with leading zeros", chunked(b"0002\r\n{}\r\n" + DONE) + NEXT, [POST, GET])
add("a last chunk of many zeros", chunked(b"2\r\n{}\r\n00000\r\n\r\n") + NEXT, [POST, GET])
add("a chunk extension", chunked(b"2;a=b\r\n{}\r\n" + DONE) + NEXT, [POST, GET])
add("a chunk extension without a value", chunked(b"2;a\r\n{}\r\n" + DONE) + NEXT, [POST, GET])
add("a quoted chunk extension", chunked(b'2;a="b c"\r\n{}\r\n' + DONE) + NEXT, [POST, GET])
add("a quoted chunk extension with a line end", chunked(b'2;a="b\r\nc"\r\n{}\r\n' + DONE), 400)
add("a chunk extension too long", chunked(b"2;a=" + b"b" * 1000 + b"\r\n{}\r\n" + DONE), 400)
add("a last chunk's extension too long", chunked(b"0;a=" + b"b" * 1000 + b"\r\n\r\n"), 400)
add("a chunk extension without an end", chunked(b"2;" + b"b" * 100000), 400)
add("a chunk extension with bare LF", chunked(b"2;a\n{}\r\n" + DONE), 400)
add("a chunk extension with a bare CR", chunked(b"2;a\rb\r\n{}\r\n" + DONE), 400)
add("a chunk extension with a NUL", chunked(b"2;a=\0\r\n{}\r\n" + DONE), 400)
for size in (b"", b" 2", b"2 ", b"+2", b"-2", b"0x2", b"g", b"2.0", b"2,", b"\t2", b"ffffffffffffffff1",
             b"10000000000000000", b"2\0", b";a=b"):
    add("chunk size " + repr(size)[2:-1], chunked(size + b"\r\n{}\r\n" + DONE), 400)
add("chunk size ffffffffffffffff", chunked(b"ffffffffffffffff\r\n{}\r\n"), 413)
add("chunk size 7fffffffffffffff", chunked(b"7fffffffffffffff\r\n{}\r\n"), 413)
add("a chunk at the limit", chunked(b"%x\r\n" % BODY_BYTES + b" " * BODY_BYTES + b"\r\n" + DONE), POST)
add("a chunk announced beyond the limit", chunked(b"%x\r\n" % (BODY_BYTES + 1)), 413)
add("chunks beyond the limit together", chunked((b"80000\r\n" + b" " * 0x80000 + b"\r\n") * 2 + b"1\r\n"), 413)
add("bare LF after a chunk size", chunked(b"2\n{}\r\n" + DONE), 400)
add("bare CR after a chunk size", chunked(b"2\r{}\r\n" + DONE), 400)
add("bare LF after a chunk", chunked(b"2\r\n{}\n" + DONE), 400)
add("nothing after a chunk", chunked(b"2\r\n{}" + DONE), 400)
add("a chunk longer than its size", chunked(b"2\r\n{ }\r\n" + DONE), 400)
add("bare LF ends the chunks", chunked(b"2\r\n{}\r\n0\r\n\n"), 400)
add("a last chunk with bare LFs", chunked(b"2\r\n{}\r\n0\n\n"), 400)
add("trailers are dropped", chunked(b"2\r\n{}\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n") + NEXT, [POST, GET])
add("Content-Length in the trailers changes nothing", chunked(b"2\r\n{}\r\n0\r\nX-A: 5\r\n\r\n") + NEXT, [POST, GET])
add("a folded trailer", chunked(b"2\r\n{}\r\n0\r\nX-A: b\r\n c\r\n\r\n"), 400)
add("a trailer without a name", chunked(b"2\r\n{}\r\n0\r\n: b\r\n\r\n"), 400)
add("a trailer without a colon", chunked(b"2\r\n{}\r\n0\r\nX-A\r\n\r\n"), 400)
add("a trailer with bare LF", chunked(b"2\r\n{}\r\n0\r\nX-A: b\n\r\n"), 400)
add("trailers too large", chunked(b"2\r\n{}\r\n0\r\nX-A: " + b"b" * (HEADER_BYTES + 400)), 431)
add("chunks cut short", chunked(b"2\r\n{"), [], half_close=True)

# --- Expect ----------------------------------------------------------------------------------------------------------
add("Expect: 100-continue with the body there", post(b"Expect: 100-continue\r\nContent-Length: 2\r\n", b"{}") + NEXT,
    [POST, GET])
add("Expect: 100-Continue without a body", get(b"Expect: 100-Continue\r\n"), GET)
add("Expect: another", get(b"Expect: 200-ok\r\n"), 417)
add("Expect: another with a body", post(b"Expect: x\r\nContent-Length: 2\r\n", b"{}"), 417)
add("Expect: another is ignored in HTTP/1.0", get(b"Expect: x\r\n", version=b"HTTP/1.0"), GET, CLOSED)
add("Expect with a body too large", post(b"Expect: 100-continue\r\nContent-Length: %d\r\n" % (BODY_BYTES + 1)), 413)

# --- pipelining, ends, what follows ----------------------------------------------------------------------------------
add("two pipelined", get() * 2, [GET] * 2)
add("16 pipelined", get() * PIPELINED, [GET] * PIPELINED)
add("17 pipelined", get() * (PIPELINED + 1), [GET] * (PIPELINED + 1))
add("100 pipelined", get() * 100, [GET] * 100)
add("mixed methods pipelined", get() + sized(b"{}") + chunked(b"2\r\n{}\r\n" + DONE) + get(), [GET, POST, POST, GET])
add("a refusal after good requests", get() * 3 + b"GET / HTTP/9.9\r\n\r\n", [GET, GET, GET, 505])
add("nothing after a refusal is answered", get(host=b"") + NEXT, 400)
add("half close after a request", get(), GET, CLOSED, half_close=True)
add("half close after a POST", sized(b"{}"), POST, CLOSED, half_close=True)
add("half close after three requests", get() * 3, [GET] * 3, CLOSED, half_close=True)
add("half close after part of a header", get()[:-5], [], half_close=True)
add("half close after a request and part of another", get() + get()[:-5], GET, CLOSED, half_close=True)
add("half close at once", b"", [], half_close=True)
add("half close after an empty line", b"\r\n", [], half_close=True)
add("half close after part of a request line", b"GE", [], half_close=True)
