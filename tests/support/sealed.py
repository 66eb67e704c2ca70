# SPDX-License-Identifier: Apache-2.0
"""What was said to a service, field by field of its contract: so that a story may look for every SENSITIVE value wherever none may
stand, and knows which fields were never given one.

    s = Listener(Stack(...), "nuanxin.care.v1.Care")     # s.call as before; each answer that is no revealing one is looked through
"""
import json
import os
import re
import urllib.parse

from .oracle import SENSITIVE, contract
from .stack import ROOT

SHORT = 6  # bytes: what is shorter is found anywhere,
WORD = re.compile("[a-z0-9-]*[a-z][a-z0-9-]*")  # and so is one of a programme's choices


class Method:
    def __init__(self, m, http, privacy_of):
        rule = m.options.Extensions[http]
        self.name, self.verb = m.name, rule.WhichOneof("pattern")
        self.body = rule.body
        template = re.escape(getattr(rule, self.verb)).replace(r"\{", "{").replace(r"\}", "}")
        self.path = re.compile(re.sub(r"\{[^}]*\}", "[^/:?]+", template) + r"(\?.*)?$")
        self.takes, self.gives = (contract().type(t.lstrip(".")).DESCRIPTOR for t in (m.input_type, m.output_type))
        self.sensitive = sensitive_within(self.takes, privacy_of, set())
        self.needs_purpose = "purpose" in self.takes.fields_by_name


def sensitive_within(message, privacy_of, seen):
    """Full names of the SENSITIVE fields that it can hold, at any depth."""
    if message.full_name in seen:
        return set()
    seen.add(message.full_name)
    found = {f.full_name for f in message.fields if privacy_of.get(f.full_name) == SENSITIVE}
    for f in message.fields:
        if f.message_type:
            found |= sensitive_within(f.message_type, privacy_of, seen)
    return found


def methods_of(service):
    """Those that have a route."""
    c = contract()
    http = c.pool.FindExtensionByName("google.api.http")
    c.type(http.message_type.full_name), c.type(http.containing_type.full_name).RegisterExtension(http)
    with open(os.path.join(ROOT, "build", "gen", "contract.binpb"), "rb") as f:
        files = c.type("google.protobuf.FileDescriptorSet").FromString(f.read())
    package, name = service.rsplit(".", 1)
    return [Method(m, http, c.privacy) for file in files.file if file.package == package for s in file.service if s.name == name
            for m in s.method if m.options.HasExtension(http)]


def values_in(message, value):
    """(field, text) of each text in a message's JSON."""
    if not isinstance(value, dict):
        return
    for field in message.fields:
        found = value.get(field.json_name, value.get(field.name))
        for v in found if isinstance(found, list) else [found]:
            if field.message_type:
                yield from values_in(field.message_type, v)
            elif isinstance(v, (str, int)) and v != "":
                yield field.full_name, v


def cells_of(data):
    """What of a file tells of somebody: names, and long numbers."""
    for line in data.decode().splitlines()[1:]:
        yield from (c for c in line.split(",") if len(c) > 3 and (not c.isascii() or re.fullmatch(r"[0-9X]{15,19}", c)))


def forms(text):
    """As it might be written: in JSON, in an address, in another encoding."""
    return {text.encode(), json.dumps(text)[1:-1].encode(), urllib.parse.quote(text).encode(), text.encode("gb18030", "ignore"), text.encode("utf-16-le")}


class Listener:
    """A stack whose requests are listened to. given: field → the texts in it; called: method → statuses."""

    def __init__(self, stack, service, revealing, names):
        """names: the PERSONAL field that a name in a file is as good as."""
        self.__dict__.update(stack=stack, names=names, methods=methods_of(service), revealing=revealing, given={}, called={}, refused=[])

    def __getattr__(self, name):
        return getattr(self.stack, name)

    def method_of(self, verb, path):
        return next((m for m in self.methods if m.verb == verb.lower() and m.path.match(path)), None)

    def call(self, verb, path, body=None, token=None, headers=None, **more):
        m = self.method_of(verb, path)
        if m:
            self.listen(m, path, body)
        r = self.stack.call(verb, path, body, token=token, headers=headers, **more)
        if m:
            self.called.setdefault(m.name, []).append(r.status)
        if r.status >= 400:
            self.refused.append((m.name if m else path, r.body))
        if m and m.name in self.revealing and r.status == 200:
            if r.headers["Content-Type"].startswith("application/json"):
                self.note(m.gives, r.json)
        else:
            text = r.body.decode(errors="replace")
            for field, secret in self.texts(SENSITIVE):
                assert secret not in text, f"{verb} {path} answers {field} in clear: {text[:400]}"
        return r

    def listen(self, m, path, body):
        if isinstance(body, bytes):
            if m.body == "data":
                for cell in cells_of(body):
                    numbered = re.search(r"\d{10}", cell)
                    self.add(m.takes.fields_by_name["data"].full_name if numbered else self.names, cell)
        elif body is not None and m.body == "*":
            self.note(m.takes, body)
        elif body is not None and m.body:
            self.note(m.takes.fields_by_name[m.body].message_type, body)

    def note(self, message, value):
        for field, v in values_in(message, value):
            self.add(field, v)

    def add(self, field, value):
        self.given.setdefault(field, set()).add(value)

    def texts(self, privacy):
        """(field, text) of all that can be looked for."""
        of = contract().privacy
        return [(f, v) for f, values in list(self.given.items()) if of.get(f) == privacy for v in list(values)
                if isinstance(v, str) and len(v.encode()) >= SHORT and not WORD.fullmatch(v)]

    def secrets(self, privacy):
        """What files_with looks for: {(field, text, form): bytes}."""
        return {(f, v, i): form for f, v in self.texts(privacy) for i, form in enumerate(sorted(forms(v))) if len(form) >= SHORT}
