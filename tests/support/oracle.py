# SPDX-License-Identifier: Apache-2.0
"""What an agency may see, worked out once more: from the contract's descriptors and the words of the design, by other code
than the service's. Stories compare every event that a subscriber received with what this says.

    o = Oracle(Log.of(s))
    o.visible(profile)              # [(seq, its CloudEvent as canonical text)]: all that it may see now, in order
"""
import datetime
import functools
import os

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from .stack import ROOT
from .subscriber import canonical

PUBLIC, PERSONAL, SENSITIVE = range(3)
CLASSES = {"": PUBLIC, "public": PUBLIC, "personal": PERSONAL}
TOP = "43"


class Contract:
    """The messages and rules of proto/, as protoc describes them."""

    def __init__(self, path):
        with open(path, "rb") as f:
            packed = f.read()
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(packed).file:
            pool.Add(file)
        self.pool, self.factory = pool, message_factory.MessageFactory(pool)
        self.classes, self.events, self.privacy, self.internal = {}, {}, {}, set()
        files = self.type("google.protobuf.FileDescriptorSet")
        event, rule = (pool.FindExtensionByName("nuanxin." + n) for n in ("event", "rule"))
        self.type(event.message_type.full_name), self.type(rule.message_type.full_name)
        for extension in (event, rule):
            self.type(extension.containing_type.full_name).RegisterExtension(extension)
        for file in files.FromString(packed).file:
            for m in file.message_type:
                self.read(file.package, m, event, rule)

    def read(self, package, message, event, rule):
        name = f"{package}.{message.name}"
        if message.options.HasExtension(event):
            self.events[name] = message.options.Extensions[event]
        for field in message.field:
            said = field.options.Extensions[rule]
            self.privacy[f"{name}.{field.name}"] = said.privacy
            if said.internal:
                self.internal.add(f"{name}.{field.name}")
        for nested in message.nested_type:
            self.read(name, nested, event, rule)

    def type(self, name):
        if name not in self.classes:
            self.classes[name] = self.factory.GetPrototype(self.pool.FindMessageTypeByName(name))
        return self.classes[name]

    def message(self, name, value):
        return json_format.ParseDict(value, self.type(name)(), descriptor_pool=self.pool)

    def as_json(self, message):
        return json_format.MessageToDict(message, descriptor_pool=self.pool)

    def allowed_types(self, patterns):
        """Of an agency: what its agreement names; and who may see events about persons is told what to delete."""
        named = {t for t in self.event_types() if names_type(patterns, t)}
        notices = {t for t in self.event_types() if self.events[t].notice}
        return named | notices if any(self.events[t].person for t in named) else named

    def is_erasure(self, type):
        """Does it say that a person was erased? A notice of a part, such as a consent, does not."""
        return type in self.events and self.events[type].notice and not self.events[type].part

    def event_types(self):
        """All that can stand in the log."""
        return sorted(name for name, e in self.events.items() if not e.internal)

    def answer(self, word, body):
        """A Batch or a Refused that came packed, in the form of its JSON."""
        name = "nuanxin.stream.v1." + {b"BATCH": "Batch", b"REFUSED": "Refused"}[word]
        message = self.type(name).FromString(body)
        answer = self.as_json(message)
        if word == b"BATCH":
            answer = {"through": 0, "latest": 0, "from": 0, **answer, "events": [self.event_of(e) for e in message.events.events]}
        return answer

    def event_of(self, e):
        """A CloudEvent in protobuf, in the form of its JSON."""
        out = {"specversion": e.spec_version, "id": e.id, "source": e.source, "type": e.type}
        for name, value in e.attributes.items():
            kind = value.WhichOneof("attr")
            out[name] = value.ce_timestamp.ToJsonString() if kind == "ce_timestamp" else getattr(value, kind)
        assert e.WhichOneof("data") == "proto_data" and e.proto_data.type_url == "type.googleapis.com/" + e.type, e
        assert out["datacontenttype"] == "application/protobuf", e
        out["datacontenttype"] = "application/json"  # what the same event has as JSON
        out["data"] = self.as_json(self.type(e.type).FromString(e.proto_data.value))
        return out


@functools.cache
def contract():
    return Contract(os.path.join(ROOT, "build", "gen", "contract.binpb"))


class Profile:
    """An agency's agreement, as `support/agencies.py` registers it."""

    def __init__(self, id, types=("nuanxin.*",), organizations=(TOP,), purposes=(), statutory=(), privacy="personal", withheld=()):
        self.id, self.types, self.organizations = id, list(types), list(organizations)
        self.purposes, self.statutory, self.privacy, self.withheld = list(purposes), list(statutory), privacy, list(withheld)

    def __repr__(self):
        return f"<{self.id}: {self.types} at {self.organizations} for {self.purposes + self.statutory}, {self.privacy}, without {self.withheld}>"


def names_type(patterns, type):
    return any(type == p or p.endswith(".*") and type.startswith(p[:-1]) for p in patterns)


class Log:
    """The rows of the log, out of the stream's store."""

    def __init__(self, events, told=None):
        """events: StoredEvent, in order; those that were erased are not there. told: person → paths at which there had been
        events about one who was erased."""
        self.events, self.told = events, told or {}

    @staticmethod
    def of(s, boxes=None):
        """boxes: Outboxes, which know what was erased."""
        stored = contract().type("nuanxin.stream.v1.StoredEvent")
        events = [stored.FromString(row[0]) for row in s.rows("stream", "SELECT event FROM log WHERE event IS NOT NULL ORDER BY seq")]
        return Log(events, boxes and boxes.told(s))

    @functools.cached_property
    def consents(self):
        """person → purposes that hold now."""
        held = {}
        for e in self.events:
            if e.type == "nuanxin.membership.v1.ConsentGiven":
                held.setdefault(e.person, set()).add(purpose_of(e))
            elif e.type == "nuanxin.membership.v1.ConsentWithdrawn":
                held.setdefault(e.person, set()).discard(purpose_of(e))
        return {person: purposes for person, purposes in held.items() if person not in self.erased}

    @functools.cached_property
    def erased(self):
        return {e.person for e in self.events if contract().is_erasure(e.type)}

    @functools.cached_property
    def places(self):
        """seq of a notice → paths at which the log had told of its person: whoever learnt of it there must be told."""
        found, seen = {}, {}
        for e in self.events:
            if e.person:
                seen.setdefault(e.person, set(self.told.get(e.person, ()) if e.person in self.erased else ())).add(e.path)
                if contract().events[e.type].notice:
                    found[e.seq] = set(seen[e.person])
        return found


def purpose_of(e):
    return contract().type(e.type).FromString(e.data).purpose


class Oracle:
    def __init__(self, log):
        self.log, self.contract, self.texts = log, contract(), {}

    def visible(self, profile, types=()):
        """Of `types` only, if there are any; notices come nevertheless."""
        allowed = self.contract.allowed_types(profile.types)
        asked = {t for t in allowed if not types or names_type(types, t) or self.contract.events[t].notice}
        return [(e.seq, self.text(profile, e)) for e in self.log.events if e.type in asked and self.may_see(profile, e)]

    def text(self, profile, e):
        """What is the same for agreements that hide the same is worked out once."""
        key = e.seq, CLASSES[profile.privacy], *sorted(profile.withheld)
        if key not in self.texts:
            self.texts[key] = canonical(self.event(profile, e))
        return self.texts[key]

    def may_see(self, profile, e):
        """But for its type."""
        rule = self.contract.events[e.type]
        paths = self.log.places[e.seq] if rule.notice else [e.path]
        at = {code for path in paths for code in path.split("/")} - {""}
        if TOP not in profile.organizations and not at & set(profile.organizations):
            return False  # with the top of the tree one sees what is nowhere, too
        if not e.person:  # of a type that is about persons it may be about anybody: nobody sees that
            return not rule.person
        consent = e.type.startswith("nuanxin.membership.v1.Consent")
        if consent and purpose_of(e) not in {*profile.purposes, *profile.statutory}:
            return False  # to what else a person agrees is no business of the agency's
        if e.person in self.log.erased:
            return rule.notice and not consent
        return bool(rule.notice or profile.statutory or self.log.consents.get(e.person, set()) & set(profile.purposes))

    def event(self, profile, e):
        data, rule = self.contract.type(e.type).FromString(e.data), self.contract.events[e.type]
        clearance = CLASSES[profile.privacy]
        whose = {e.type + "." + rule.person} if rule.person else set()  # a person's id is personal
        self.project(data, clearance, set(profile.withheld), whose)
        out = {"specversion": "1.0", "id": e.id, "source": "urn:nuanxin:" + e.source, "type": e.type,
               "time": rfc3339(e.time_us), "dataschema": "urn:nuanxin:schema:" + e.type, "sequence": f"{e.seq:019d}",
               "datacontenttype": "application/json", "data": self.contract.as_json(data)}
        hidden = e.type + "." + rule.subject in profile.withheld
        if e.subject == e.person:
            hidden = hidden or clearance < PERSONAL or bool(whose & set(profile.withheld))
        if e.subject and not hidden:
            out["subject"] = e.subject
        return out

    def project(self, message, clearance, withheld, personal):
        """Clears what may not be seen, at every depth."""
        message.DiscardUnknownFields()
        for field, value in message.ListFields():
            name = field.full_name
            privacy = max(self.contract.privacy.get(name, PUBLIC), PERSONAL if name in personal else PUBLIC)
            if privacy > clearance or privacy == SENSITIVE or name in withheld or name in self.contract.internal:
                message.ClearField(field.name)
            elif field.message_type:
                for m in value if field.label == field.LABEL_REPEATED else [value]:
                    self.project(m, clearance, withheld, personal)


def rfc3339(us):
    t = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=us)
    fraction = t.microsecond
    digits = "" if not fraction else f".{fraction // 1000:03d}" if fraction % 1000 == 0 else f".{fraction:06d}"
    return t.strftime("%Y-%m-%dT%H:%M:%S") + digits + "Z"
