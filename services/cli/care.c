/* SPDX-License-Identifier: Apache-2.0
 *
 * recipient, case, task, payment: what the care service has, to read; and the bank's answers, which are a file. Whoever changes
 * anything else does so by the API, under their own name.
 */
#include "services/cli/cli.h"
#include "nuanxin/care/v1/payment.pb-c.h"

static int run_payment_import(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        static const struct cli_import import = {"ImportBankAnswers", "GetCareOperation", "ListCareOperationErrors"};
        Nuanxin__Care__V1__ImportBankAnswersRequest *q = cli_request(cli, import.method);
        (void)command, (void)n;
        if (q)
                q->batch = (char *)operands[1];
        return cli_import(cli, &import, operands[0], q);
}

const struct command commands_care[] = {
        {"recipient list", "ORGANIZATION", "persons in hardship who live there or below, masked", "ListRecipients", {"organization"},
         "id name idNumberMasked organization state", NULL},
        {"recipient show", "RECIPIENT", "one person, masked", "GetRecipient", {"recipient"}, NULL, NULL},
        {"recipient reveal", "RECIPIENT PURPOSE", "one person's numbers in full; the audit keeps who looked and why", "RevealRecipient",
         {"recipient", "purpose"}, NULL, NULL},
        {"case list", "ORGANIZATION", "cases there and below; --set programme=, state=OPEN", "ListCases", {"organization"},
         "id number organization state stage granted paid", NULL},
        {"case show", "CASE", "one case, without what is sealed", "GetCase", {"case_id"}, NULL, NULL},
        {"case steps", "CASE", "what was done, in order", "ListSteps", {"case_id"}, NULL, NULL},
        {"case visits", "CASE", "visits of a case, planned and made", "ListVisits", {"case_id"}, "id occasion dueTime way outcome occurredTime by", NULL},
        {"case reveal", "CASE PURPOSE", "one case with all that is sealed in it; the audit keeps who looked and why", "RevealCase",
         {"case_id", "purpose"}, NULL, NULL},
        {"task list", "ORGANIZATION", "what waits there and below, the earliest due first; --set overdue=true", "ListTasks", {"organization"},
         "id kind programme stage organization caseId dueTime escalations", NULL},
        {"payment list", "ORGANIZATION", "what is paid there and below, in fen; --set state=READY", "ListPayments", {"organization"},
         "number programme organization amount state caseId bankReason", NULL},
        {"payment import", "CSV BATCH", "what the bank answered (number,amount,status,reason: paid, returned, unknown), with a report", NULL, {0}, NULL,
         run_payment_import},
        {0},
};
