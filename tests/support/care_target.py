# SPDX-License-Identifier: Apache-2.0
"""One of everything of care in a county, and for every method of care a request at it: the part of care in support/callers.py."""
import itertools
import uuid

from .care import Office
from .ledger import known
from .people import person
from .story import wait_until
from .world import rfc3339

CSV = {"Content-Type": "text/csv"}
PURPOSE = {"purpose": "核对情况"}
PROOF = {"kind": "proof", "uri": "https://files.example.org/访问控制-密件", "sha256": "a" * 64}
# What is sealed, and must be in no answer but a revealing one.
SECRETS = ("诊断-访问控制", "提示-访问控制", "走访记录-访问控制", "评估-访问控制", "异议-访问控制", PROOF["uri"])
_number = itertools.count(810000)


def action(code, to, by="OFFICER", **more):
    return {"code": code, "title": code, "titleZh": "操作", "to": to, "by": by, **more}


def stage(code, kind, *actions, **more):
    return {"code": code, "title": code, "titleZh": "环节", "kind": kind, "actions": list(actions), **more}


def document(county):
    text = lambda name, **more: {"name": name, "type": "TEXT", "title": name, "titleZh": "说明", **more}
    return {
        "title": "Aid", "titleZh": "帮扶", "organization": county, "severalOpen": True, "purpose": "aid",
        "fields": [{"name": "days", "type": "INTEGER", "title": "Days", "titleZh": "天数", "required": True, "least": "1", "most": "366"}, text("illness")],
        "documents": [{"kind": "proof", "title": "Proof", "titleZh": "证明"}],
        "terms": [{"perUnit": {"fact": "days", "amount": "10000"}}],
        "stages": [stage("county", "REVIEW", action("approve", "payment", effects=["DECIDE", "PAY"]), action("notify", "notice"),
                         action("refuse", "refused", reason=True), level="COUNTY", days=10),
                   stage("notice", "NOTICE", action("over", "helped"), level="COUNTY", days=60),
                   stage("payment", "PAYMENT", action("paid", "done")),
                   stage("helped", "CARE", action("end", "ended", "OWNER", reason=True), level="COUNTY")],
        "contacts": [{"role": "doctor", "title": "Doctor", "titleZh": "家庭医生"}],
        "assessments": [{"code": "monthly", "title": "Monthly", "titleZh": "月度", "fields": [text("found")], "monitors": []}]}


def luhn(digits):
    total = sum(sum(divmod(int(c) * (2 - i % 2), 10)) for i, c in enumerate(reversed(digits)))
    return digits + str(-total % 10)


class CareTarget:
    def __init__(self, s, admin, county, township, village, account, approver, flags=60):
        """account: one that stays as it is; approver: a session that decides in the county."""
        self.county, self.township, self.village, self.visitor, self.programme = county, township, village, account, "aid-" + county
        call = lambda method, path, body=None, token=admin, **more: s.call(method, path, body, token=token, **more).ok()
        made = lambda path, body, **more: call("POST", path, body, **more)
        body = {"kind": "GRANT", "title": "专项", "organization": county}
        self.fund = wait_until("care knows the county", lambda: known(s.call("POST", "/v1/funds", body, token=admin)))["id"]
        call("PUT", "/v1/workCalendars/2026", {"source": "通知"})
        account = lambda kind, **more: made("/v1/ledgerAccounts", {"kind": kind, "fund": self.fund, "organization": county, **more})["id"]
        self.source, self.budget = account("SOURCE"), account("BUDGET", purpose="aid")
        self.transfer = made("/v1/transfers", {"transfers": [self.gift(100000000)]})["transfers"][0]["id"]
        version = made(f"/v1/programmes/{self.programme}/versions", document(county))["version"]
        made(f"/v1/programmes/{self.programme}:activate", {"version": version})
        p = self.person = self.new_person()
        self.recipient = made("/v1/recipients", p)["id"]
        flag = lambda: made(f"/v1/recipients/{self.recipient}/flags", {"text": SECRETS[1]})["id"]
        self.flags = iter([flag() for _ in range(flags)])  # whoever may lifts one
        open_case = lambda: made("/v1/cases", self.new_case())["id"]
        self.case, paid, noticed = open_case(), open_case(), open_case()
        made(f"/v1/cases/{self.case}/assessments", {"form": "monthly", "values": [{"name": "found", "value": SECRETS[3]}]})
        self.task = call("GET", f"/v1/tasks?organization={county}")["tasks"][0]["id"]
        made("/v1/visits:batchRecord", {"visits": [self.visit()]})
        made(f"/v1/cases/{paid}:act", {"action": "approve"}, token=approver)
        self.batch = made("/v1/paymentBatches", {"organization": county})["id"]
        self.payment = call("GET", f"/v1/payments?organization={county}")["payments"][0]["id"]
        made(f"/v1/cases/{noticed}:act", {"action": "notify"}, token=approver)
        self.notice = call("GET", f"/v1/notices?organization={county}")["notices"][0]["id"]
        self.objection = made("/v1/objections", {"notice": self.notice, "text": SECRETS[4]})["id"]
        self.group = made("/v1/policyGroups", self.new_group())["id"]
        self.operation = made(f"/v1/visits:import?organization={county}&occasion=spring-festival&validateOnly=true",
                              b"id_number,name,due_date\n", headers=CSV)["id"]

    def new_person(self):
        p = person(next(_number), self.village)
        return {**{k: p[k] for k in ("organization", "name", "idNumber", "phone")}, "bankAccount": luhn("622202%012d" % next(_number)), "special": True}

    def new_case(self):
        return {"programme": self.programme, "organization": self.village, "recipient": self.recipient, "documents": [PROOF],
                "facts": [{"name": "days", "value": "1"}, {"name": "illness", "value": SECRETS[0]}]}

    def new_group(self):
        return {"organization": self.county, "title": "意外险", "insurer": "保险公司", "startDate": "2026-01-01", "endDate": "2026-12-31",
                "premium": "15000", "purpose": "insurance"}

    def gift(self, amount=1):
        return {"kind": "TRANSFER", "debit": self.source, "credit": self.budget, "amount": str(amount)}

    def visit(self):
        return {"caseId": self.case, "way": "HOME", "outcome": "MET", "note": SECRETS[2], "device": "d", "nonce": str(next(_number)), "occurredTime": rfc3339(0)}

    def state(self):
        """Where it is to be seen."""
        return [f"/v1/recipients?organization={self.county}", f"/v1/cases?organization={self.county}", f"/v1/cases/{self.case}",
                f"/v1/cases/{self.case}/steps", f"/v1/tasks?organization={self.county}&pageSize=1000", f"/v1/visits?caseId={self.case}",
                f"/v1/programmes/{self.programme}", f"/v1/ledgerAccounts?organization={self.county}", f"/v1/funds/{self.fund}",
                f"/v1/ledgerAccounts/{self.budget}/transfers", f"/v1/payments?organization={self.county}", f"/v1/paymentBatches/{self.batch}",
                f"/v1/notices?organization={self.county}", f"/v1/policyGroups?organization={self.county}", f"/v1/recipients/{self.recipient}/policies",
                f"/v1/policyGroups/{self.group}/figures", "/v1/workCalendars/2026", f"/v1/careOperations/{self.operation}"]

    def requests(self):
        """operationId → (method, path, body, headers) at the target."""
        case, recipient, programme = f"/v1/cases/{self.case}", f"/v1/recipients/{self.recipient}", f"/v1/programmes/{self.programme}"
        county = self.county
        empty = b"id_number,name\n"
        return {
            "Care_CreateProgrammeVersion": ("POST", programme + "/versions", {**document(county), "title": "Another aid"}),
            "Care_ActivateProgrammeVersion": ("POST", programme + ":activate", {"version": 1}),
            "Care_GetProgramme": ("GET", programme),
            "Care_ListProgrammes": ("GET", "/v1/programmes"),
            "Care_EvaluateProgramme": ("POST", programme + ":evaluate", {"facts": [{"name": "days", "value": "2"}]}),
            "Care_SetWorkCalendar": ("PUT", "/v1/workCalendars/2026", {"source": "县里的"}),
            "Care_GetWorkCalendar": ("GET", "/v1/workCalendars/2026"),
            "Care_CreateRecipient": ("POST", "/v1/recipients", self.new_person()),
            "Care_GetRecipient": ("GET", recipient),
            "Care_ListRecipients": ("GET", f"/v1/recipients?organization={county}"),
            "Care_UpdateRecipient": ("PATCH", recipient, {"special": True}),
            "Care_RevealRecipient": ("POST", recipient + ":reveal", PURPOSE),
            "Care_AddFlag": ("POST", recipient + "/flags", {"text": SECRETS[1], "untilDate": "2099-01-01"}),
            "Care_LiftFlag": ("POST", f"{recipient}/flags/{next(self.flags)}:lift", {}),
            "Care_ListFlags": ("POST", recipient + "/flags:reveal", PURPOSE),
            "Care_OpenCase": ("POST", "/v1/cases", self.new_case()),
            "Care_GetCase": ("GET", case),
            "Care_ListCases": ("GET", f"/v1/cases?organization={county}"),
            "Care_ListRecipientCases": ("GET", recipient + "/cases"),
            "Care_ActOnCase": ("POST", case + ":act", {"action": "nothing-such"}),
            "Care_RevealCase": ("POST", case + ":reveal", PURPOSE),
            "Care_ListSteps": ("GET", case + "/steps"),
            "Care_SetContact": ("POST", case + ":setContact", {"contact": {"role": "doctor", "name": "王医生"}}),
            "Care_EndContact": ("POST", case + ":endContact", {"role": "doctor"}),
            "Care_TransferCase": ("POST", case + ":transfer", {"organization": self.township, "reason": "已搬家"}),
            "Care_AnswerTransfer": ("POST", case + ":answerTransfer", {"accepted": False, "reason": "不接收"}),
            "Care_GrantCaseAccess": ("POST", case + ":grantAccess", {"account": self.visitor, "reason": "会诊", "hours": 1}),
            "Care_EndCaseAccess": ("POST", case + ":endAccess", {"account": self.visitor}),
            "Care_RecordAssessment": ("POST", case + "/assessments", {"form": "monthly", "values": [{"name": "found", "value": SECRETS[3]}]}),
            "Care_ListNotices": ("GET", f"/v1/notices?organization={county}"),
            "Care_RaiseObjection": ("POST", "/v1/objections", {"notice": self.notice, "text": SECRETS[4]}),
            "Care_SettleObjection": ("POST", f"/v1/objections/{self.objection}:settle", {"reason": "查无此事"}),
            "Care_ListTasks": ("GET", f"/v1/tasks?organization={county}"),
            "Care_AssignTask": ("POST", f"/v1/tasks/{self.task}:assign", {}),
            "Care_CompleteTask": ("POST", f"/v1/tasks/{self.task}:complete", {"note": SECRETS[2]}),
            "Care_PlanVisit": ("POST", "/v1/visits", {"caseId": self.case, "occasion": "spring-festival", "dueTime": rfc3339(86400)}),
            "Care_BatchRecordVisits": ("POST", "/v1/visits:batchRecord", {"visits": [self.visit()]}),
            "Care_ListVisits": ("GET", f"/v1/visits?caseId={self.case}"),
            "Care_ImportVisits": ("POST", f"/v1/visits:import?organization={county}&occasion=spring-festival&validateOnly=true",
                                  b"id_number,name,due_date\n", CSV),
            "Care_CreatePolicyGroup": ("POST", "/v1/policyGroups", self.new_group()),
            "Care_GetPolicyGroup": ("GET", f"/v1/policyGroups/{self.group}"),
            "Care_ListPolicyGroups": ("GET", f"/v1/policyGroups?organization={county}"),
            "Care_GetPolicyFigures": ("GET", f"/v1/policyGroups/{self.group}/figures"),
            "Care_ImportPolicies": ("POST", f"/v1/policyGroups/{self.group}:import?organization={county}&validateOnly=true", empty, CSV),
            "Care_ListPolicies": ("GET", recipient + "/policies"),
            "Care_RecordPayout": ("POST", case + "/payouts", {"reference": "A-1", "amount": "1", "date": "2026-06-01"}),
            "Care_GetCareOperation": ("GET", f"/v1/careOperations/{self.operation}"),
            "Care_ListCareOperationErrors": ("GET", f"/v1/careOperations/{self.operation}/errors"),
            "Care_CreateFund": ("POST", "/v1/funds", {"kind": "GRANT", "title": "专项", "organization": county}),
            "Care_GetFund": ("GET", f"/v1/funds/{self.fund}"),
            "Care_RecordDonorConsent": ("POST", f"/v1/funds/{self.fund}:recordConsent", {"purpose": "education", "reference": "函"}),
            "Care_OpenLedgerAccount": ("POST", "/v1/ledgerAccounts", {"kind": "BUDGET", "fund": self.fund, "purpose": "jobs", "organization": county}),
            "Care_GetLedgerAccount": ("GET", f"/v1/ledgerAccounts/{self.budget}"),
            "Care_ListLedgerAccounts": ("GET", f"/v1/ledgerAccounts?organization={county}"),
            "Care_CreateTransfers": ("POST", "/v1/transfers", {"transfers": [self.gift()]}),
            "Care_ListTransfers": ("GET", f"/v1/ledgerAccounts/{self.budget}/transfers"),
            "Care_TraceTransfer": ("GET", f"/v1/transfers/{self.transfer}:trace"),
            "Care_GetReceipt": ("GET", f"/v1/transfers/{self.transfer}/receipt"),
            "Care_ListPayments": ("GET", f"/v1/payments?organization={county}"),
            "Care_CreatePaymentBatch": ("POST", "/v1/paymentBatches", {"organization": county}),
            "Care_GetPaymentBatch": ("GET", f"/v1/paymentBatches/{self.batch}"),
            "Care_ListBankOrders": ("GET", f"/v1/paymentBatches/{self.batch}/orders?purpose=%E5%8F%91%E6%94%BE"),
            "Care_ImportBankAnswers": ("POST", f"/v1/paymentBatches/{self.batch}:import?validateOnly=true", b"number,amount,status,reason\n", CSV),
            "Care_SettlePayment": ("POST", f"/v1/payments/{self.payment}:settle", {"giveUp": True}),
            "Care_ListDisclosures": ("GET", f"/v1/funds/{self.fund}/disclosures"),
            "Care_GetCareFigures": ("GET", f"{programme}/figures?organization={county}&year=2026"),
            # What ends things comes last.
            "Care_EraseRecipient": ("POST", recipient + ":erase", PURPOSE),
        }


def care_happens(s, admin, village, members=()):
    """Each type of event of care's, about each of the members, and about two who are none, one of whom is erased. Returns the
    recipients that the members are."""
    county, township = village[:6], village[:9]
    made = lambda path, body=None, **more: s.call("POST", path, body, token=admin, **more).ok()
    visitor = made("/v1/accounts", {"account": {"login": "visitor-" + county, "organization": county}, "password": uuid.uuid4().hex})["id"]
    approver = Office(s, "approver", county)
    there = CareTarget(s, admin, county, township, village, visitor, approver.token, flags=1)
    people, names = [], []
    for m in (*members, ""):
        if m:
            wait_until("care knows the member", lambda: s.rows("care", f"SELECT 1 FROM member WHERE id = '{m}'"))
        p = there.new_person()
        there.recipient = made("/v1/recipients", {**p, "member": m})["id"]
        there.case = made("/v1/cases", there.new_case())["id"]
        made(f"/v1/cases/{there.case}:setContact", {"contact": {"role": "doctor", "name": "王医生"}})
        made("/v1/visits:batchRecord", {"visits": [there.visit()]})
        approver.post(f"/v1/cases/{there.case}:act", {"action": "approve"}).ok()
        waiting = made("/v1/cases", there.new_case())["id"]
        made(f"/v1/cases/{waiting}:setContact", {"contact": {"role": "doctor", "name": "王医生"}})
        people.append(there.recipient)
        names.append(p["name"])
    batch = made("/v1/paymentBatches", {"organization": county})["id"]
    for b, returned in ((there.batch, ()), (batch, (names[0], names[-1]))):
        orders = s.call("GET", f"/v1/paymentBatches/{b}/orders?purpose=%E5%8F%91%E6%94%BE", token=admin).ok()["orders"]
        rows = "".join(f"{o['number']},{o['amount']},{'returned' if o['name'] in returned else 'paid'},\n" for o in orders)
        begun = made(f"/v1/paymentBatches/{b}:import", f"number,amount,status,reason\n{rows}".encode(), headers=CSV)["id"]
        wait_until("the bank's answer is taken", lambda: s.call("GET", f"/v1/careOperations/{begun}", token=admin).ok()["state"] == "SUCCEEDED")
    gone = made("/v1/recipients", there.new_person())["id"]
    made("/v1/visits", {"recipient": gone, "occasion": "mid-autumn", "dueTime": rfc3339(86400)})
    made(f"/v1/recipients/{gone}:erase", PURPOSE)
    return people[:-1]


def care_has_erased(s, recipient):
    """Waits until care has learnt of it, and has ended what was open."""
    wait_until("care has erased the member", lambda: s.rows("care", f"SELECT 1 FROM recipient WHERE id = '{recipient}' AND erased_us > 0"))
    wait_until("their cases end", lambda: not s.rows("care", f"SELECT 1 FROM care_case WHERE recipient = '{recipient}' AND closed_us = 0"))


# Whoever holds the permission anywhere gets an answer, in which what is out of scope does not appear.
SOMEWHERE = {"Care_GetProgramme", "Care_ListProgrammes", "Care_EvaluateProgramme", "Care_GetWorkCalendar", "Care_BatchRecordVisits",
             "Care_CreateTransfers"}
# For all organisations: whoever holds the permission below the top does not reach it.
AT_THE_TOP = {"Care_SetWorkCalendar"}
# Public: whoever it is, and nobody, too.
FOR_ALL = {"Care_ListNotices", "Care_RaiseObjection", "Care_ListDisclosures"}
# Of one's own cases alone, whatever the permission says.
OF_ONES_OWN = {"Care_ActOnCase"}
HIDDEN = {"Care_GetCareOperation": "visit.write", "Care_ListCareOperationErrors": "visit.write"}
# What shows what is sealed, to whoever may.
REVEALING = {"Care_RevealRecipient", "Care_RevealCase", "Care_ListFlags", "Care_ListBankOrders"}
