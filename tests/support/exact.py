# SPDX-License-Identifier: Apache-2.0
"""Is what a subscriber received exactly what it may see? Every event, in order, none missing, none twice but where the
transport says so, none that it may not see, each with just the fields that it may have.

Persons who withdraw a consent or are erased while events come make the answer depend on when a fetch was: of them an event
may come until the log has the withdrawal (the batch says how far the log was), and never afterwards.
"""
from .agencies import followed
from .oracle import Log, Oracle, contract
from .subscriber import digest


class Outboxes:
    """What the services emitted: the truth that the log is compared with. They are kept for an hour at least."""

    def __init__(self, s):
        self.events = {}  # id → (source, type, person)
        self.order = {}   # source → [id]
        self.codes = {}   # person → codes of the organisations at which there were events about them
        self.forgotten = 0  # of the erased: which stand there no more, but may have come into the log before
        for source in followed(s):
            self.order[source] = []
            for id, type, organization, data in s.rows(source, "SELECT id, type, organization, data FROM rpc_outbox ORDER BY seq"):
                rule = contract().events.get(type)  # none: of a newer build
                self.forgotten += type == "nuanxin.internal.v1.EventForgotten"
                if rule and rule.internal:
                    continue
                person = getattr(contract().type(type).FromString(data), rule.person) if rule and rule.person else ""
                self.events[id] = (source, type, person)
                self.order[source].append(id)
                if person:
                    self.codes.setdefault(person, set()).add(organization)

    def told(self, s):
        """person → the paths at which there were events about them."""
        paths = dict(s.rows("stream", "SELECT code, path FROM organization"))
        return {person: {paths.get(code, "") for code in codes} for person, codes in self.codes.items()}


def check_log(s, boxes):
    """From where its follower began, the log is each outbox in its order, once, without gaps, but for what was erased with a
    person. Returns it."""
    rows = s.rows("stream", "SELECT seq, event FROM log ORDER BY seq")
    seqs = [seq for seq, _ in rows]
    assert seqs == list(range(1, 1 + len(seqs))), "the log has gaps"
    stored = contract().type("nuanxin.stream.v1.StoredEvent")
    events = [stored.FromString(event) for _, event in rows if event is not None]
    for (seq, _), e in zip([r for r in rows if r[1] is not None], events):
        assert e.seq == seq, f"row {seq} holds event {e.seq}"
    erased = {e.person for e in events if contract().is_erasure(e.type)}
    gone = boxes.forgotten
    for source, order in boxes.order.items():
        taken = [e.id for e in events if e.source == source]
        assert len(taken) == len(set(taken)), f"{len(taken) - len(set(taken))} events of {source} are in the log twice"
        there = set(taken)
        first = next((i for i, id in enumerate(order) if id in there), len(order))  # before that, it was a snapshot's
        left = [id for id in order[first:] if boxes.events[id][2] not in erased or contract().is_erasure(boxes.events[id][1])]
        known = set(left)
        taken = [id for id in taken if id in known]
        assert taken == left, f"{source}: {difference(taken, left)}"
        gone += len(order[first:]) - len(left)
    nulls = len(rows) - len(events)
    assert nulls <= gone, f"{nulls} rows are erased, {gone} events were about the erased"
    return Log(events, boxes.told(s))


def difference(got, wanted):
    """One line on how two lists differ."""
    missing, more = set(wanted) - set(got), set(got) - set(wanted)
    if missing or more:
        return f"{len(missing)} of {len(wanted)} are missing ({sorted(missing)[:3]}), {len(more)} are too many ({sorted(more)[:3]})"
    if len(got) != len(wanted):
        return f"{len(got) - len(wanted)} came twice"
    at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), len(got))
    return f"out of order from number {at} on: {got[at:at + 3]}, not {wanted[at:at + 3]}"


class Exact:
    """What everybody should have, after `after`, when all has come to rest. Who withdraws or is erased after it does so once, and
    consents to one purpose only."""

    def __init__(self, log, boxes, after=0):
        self.oracle, self.boxes, self.after = Oracle(log), boxes, after
        self.by_seq = {e.seq: e for e in log.events}
        self.notices = {e.person: e for e in log.events if e.seq > after and contract().events[e.type].notice}

    def wanted(self, subscriber):
        """{seq: canonical text} of what must have come."""
        profile, until = subscriber.agency.profile, self.until(subscriber.agency.profile)
        visible = self.oracle.visible(profile, subscriber.options.get("types", ()))
        return {seq: text for seq, text in visible if seq > self.after and not self.fleeting(self.by_seq[seq], until)}

    def until(self, profile):
        """person → sequence of the notice from which on none of their events may come."""
        return {person: e.seq for person, e in self.notices.items() if contract().is_erasure(e.type) or not profile.statutory}

    @staticmethod
    def fleeting(e, until):
        return e.person in until and not contract().events[e.type].notice

    def check(self, subscriber):
        """Returns how many came twice."""
        name, wanted, got = subscriber.name, self.wanted(subscriber), subscriber.received()
        until = self.until(subscriber.agency.profile)
        seqs, twice = [], 0
        for seq, *_ in got:
            if seqs and seq == seqs[-1]:
                twice += 1  # the same again, at once: its acknowledgement was lost
            else:
                seqs.append(seq)
        assert not twice or subscriber.transport == "webhook", f"{name}: {twice} events came twice"
        assert seqs == sorted(set(seqs)), f"{name}: out of order, {difference(seqs, sorted(set(seqs)))}"
        latest = {n: at for n, _, _, _, _, at, _, _ in subscriber.batches()}
        kept = []
        for seq, id, type, event, batch in got:
            if seq in wanted:
                text = wanted[seq] if subscriber.options.get("keep") else digest(wanted[seq])
                assert event == text, f"{name}: event {seq} is {event}, not {wanted[seq]}"
                kept.append(seq)
                continue
            assert id in self.boxes.events, f"{name}: event {seq} {type} is of no outbox"
            _, its_type, person = self.boxes.events[id]
            assert its_type == type and person in until, f"{name}: it may not see event {seq} {type} {event}"
            if latest[batch] is not None:
                assert latest[batch] < until[person], (
                    f"{name}: event {seq} of {person} came in a batch of a log that was at {latest[batch]}; notice {until[person]}")
        expected = sorted(wanted)
        kept = sorted(set(kept)) if twice else kept
        assert kept == expected, f"{name}: {difference(kept, expected)}"
        return twice
