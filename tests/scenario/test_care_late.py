#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who follows care late, or after it was restored, is told its present state, and ends where those end who heard everything."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support.agencies import taken_in  # noqa: E402
from support.care import COUNTY, TOWN, VILLAGE, Office, enter, facts, publish, shipped  # noqa: E402
from support.ledger import Books  # noqa: E402
from support.oracle import Log, contract  # noqa: E402
from support.stack import CARE, Stack  # noqa: E402
from support.story import expect, main, story  # noqa: E402
from support.world import rfc3339  # noqa: E402

PAPERS = [{"kind": "certificate", "uri": "https://files.example.org/c", "sha256": "2" * 64}]
WHY = {"purpose": "本人书面申请"}
TRIMMED = "DELETE FROM rpc_outbox WHERE seq < (SELECT MAX(seq) FROM rpc_outbox)"


def fold(s):
    """What somebody knows of care who has read the log from its beginning, by words of the contract alone."""
    known = {}

    def on(name, data):
        if name == "ProgrammeActivated":
            known["programme", data.programme] = (data.version, data.organization)
        elif name == "RecipientErased":
            known["erased", data.recipient] = data.organization
        elif name == "CaseOpened":
            known["case", data.case_id] = (data.programme, data.version, data.organization, data.person)
        elif name == "CaseMoved":
            assert ("case", data.case_id) in known, "a case moved that nobody has opened"
            known["stands", data.case_id] = (data.state, data.stage, data.action, data.organization, data.person)
        elif name == "BenefitDecided":
            known["decision", data.decision] = (data.case_id, data.version, data.amount, data.unit, data.person)
        elif name == "BenefitPaid":
            known["paid", data.case_id] = (data.amount, data.unit, data.person)
        elif name == "ContactChanged":
            known["contact", data.case_id, data.role] = (data.account, data.person)
        elif name == "TaskChanged":
            known["task", data.task] = (data.kind, data.case_id, data.organization, data.person, data.assignee, data.escalations,
                                        data.due_time.seconds, data.done_time.seconds)
        elif name == "VisitRecorded":
            known["visit", data.visit] = (data.case_id, data.organization, data.person, data.way, data.outcome, data.occurred_time.seconds)
        elif name == "TransferRecorded":
            known["transfer", data.transfer] = (data.organization, data.fund, data.purpose, data.kind, data.debit, data.credit, data.amount, data.of)
        else:
            assert name == "SourceRestarted", name

    for e in Log.of(s).events:
        if e.source == "care" or e.type.endswith("SourceRestarted"):
            on(e.type.rsplit(".", 1)[1], contract().type(e.type).FromString(e.data))
    return known


def action(code, to, **more):
    return {"code": code, "title": code, "titleZh": "操作", "to": to, "by": "OFFICER", **more}


GIFT = {"title": "Gift", "titleZh": "慰问品", "organization": "43", "severalOpen": True, "purpose": "gift", "unit": "box",
        "terms": [{"fixed": {"amount": 2}}],
        "stages": [{"code": "county", "title": "county", "titleZh": "县级", "kind": "REVIEW", "level": "COUNTY", "days": 10,
                    "actions": [action("approve", "giving", effects=["DECIDE"]), action("refuse", "refused", reason=True)]},
                   {"code": "giving", "title": "giving", "titleZh": "发放", "kind": "SERVICE", "level": "VILLAGE", "days": 10,
                    "actions": [action("given", "done", by="OWNER", effects=["DELIVER"])]}]}


def everything_happens(s):
    """A case cared for, with contacts named and gone, and a visit; goods given, reserved, refused; a person who is erased."""
    books = Books(s)
    fund = books.fund(title="慰问品", unit="box")
    clerk, village, town, county = (Office(s, "staff", VILLAGE), Office(s, "approver", VILLAGE), Office(s, "approver", TOWN),
                                    Office(s, "approver", COUNTY))
    books.move(books.account(fund, "SOURCE"), books.account(fund, purpose="gift", organization=COUNTY), 100)
    campaign = shipped("nuanxin-care")
    publish(s, "nx", {**campaign, "contacts": [c for c in campaign["contacts"] if c["role"] == "family-doctor"]})
    publish(s, "gift", GIFT)
    publish(s, "gift", {**GIFT, "titleZh": "节日慰问品"})
    one, two, gone = (enter(s, clerk, special=True) for _ in range(3))

    def opened(programme, recipient, **more):
        return clerk.post("/v1/cases", {"programme": programme, "organization": VILLAGE, "recipient": recipient["id"], **more}).ok()["id"]

    cared = opened("nx", one, documents=PAPERS, facts=facts(ground="bereaved", alone="true"))
    clerk.post(f"/v1/cases/{cared}:setContact", {"contact": {"role": "family-doctor", "name": "王医生"}}).ok()
    village.post(f"/v1/cases/{cared}:act", {"action": "confirm"}).ok()
    town.post(f"/v1/cases/{cared}:act", {"action": "approve"}).ok()
    met = {"caseId": cared, "way": "HOME", "outcome": "MET", "device": "d", "nonce": "1", "occurredTime": rfc3339(-60)}
    expect("visited", clerk.post("/v1/visits:batchRecord", {"visits": [met]}).ok()["results"][0].get("refusal", ""), "")
    clerk.post(f"/v1/cases/{cared}:endContact", {"role": "family-doctor"}).ok()
    given, reserved, refused, lost = (opened("gift", r) for r in (one, two, two, gone))
    for case in (given, reserved, lost):
        county.post(f"/v1/cases/{case}:act", {"action": "approve"}).ok()
    clerk.post(f"/v1/cases/{given}:act", {"action": "given"}).ok()
    county.post(f"/v1/cases/{refused}:act", {"action": "refuse", "reason": "本年度已慰问"}).ok()
    clerk.post(f"/v1/cases/{lost}:act", {"action": "given"}).ok()
    s.call("POST", f"/v1/recipients/{gone['id']}:erase", WHY, token=s.login("admin")).ok()
    return {lost, gone["id"]}


def without(known, erased):
    """Of who was erased the log that was there has forgotten what another never hears; but of both it is known that they were."""
    cases = {k[1] for k, v in known.items() if k[0] == "case" and v[3] in erased} | erased
    return {k: v for k, v in known.items() if k[0] == "erased" or not cases & {*k, *(v if isinstance(v, tuple) else ())}}


def differences(a, b):
    return {k: (a.get(k), b.get(k)) for k in a.keys() | b.keys() if a.get(k) != b.get(k)}


def again(s, *changes):
    """Stops, changes stores, starts, waits for the log to have all."""
    keep, s.keep = s.keep, True
    s.stop()
    for service, *statements in changes:
        s.execute(service, *statements)
    s.keep = keep
    s.start()
    taken_in(s)


@story("a log that begins after care has forgotten ends with what one has that was there all the time; so after a restore of care")
def late(s):
    erased = everything_happens(s)
    taken_in(s)
    heard = without(fold(s), erased)
    expect("kinds", {k[0] for k in heard},
           {"programme", "erased", "case", "stands", "decision", "paid", "contact", "task", "visit", "transfer"})
    tables = [t for t in s.tables("stream") if t.startswith("log") or t in ("organization", "rpc_cursor", "rpc_epoch", "rpc_due")]
    again(s, ("care", TRIMMED), ("stream", *(f"DELETE FROM {t}" for t in tables)))
    told = [e for e in Log.of(s).events if e.source == "care"]
    assert not [e for e in told if any(x.encode() in e.data for x in erased) and not e.type.endswith("RecipientErased")], "of who was erased"
    expect("what the late one knows", differences(without(fold(s), erased), heard), {})
    expect("who was erased comes last", told[-1].type.rsplit(".", 1)[1], "RecipientErased")

    # It comes back from a backup: who has read on so far ends there once more.
    again(s, ("care", "DELETE FROM rpc_epoch", TRIMMED))
    expect("after the restore", differences(without(fold(s), erased), heard), {})
    assert len([e for e in Log.of(s).events if e.source == "care"]) > len(told), "the present state came once more"


if __name__ == "__main__":
    main(Stack(instances=CARE, gateway_options=["--rate-scale=1000"]))
