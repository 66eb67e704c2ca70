/* SPDX-License-Identifier: Apache-2.0
 *
 * ledger: accounts, balances, traces, how far the chain goes; and the verification.
 */
#include "services/cli/ledger.h"

#include "contract/care_v1.h"

#include <inttypes.h>
#include <stdio.h>

#define NAMED_MOST 200

/* Accounts as a person knows them: "430102 maternity", "430102 spent on maternity-support". */
struct names {
        struct {
                const char *id, *name;
        } items[NAMED_MOST];
        size_t n;
};

static const char *account_name(struct cli *cli, struct names *names, const char *id)
{
        GetLedgerAccountRequest request = NUANXIN__CARE__V1__GET_LEDGER_ACCOUNT_REQUEST__INIT;
        void *response;
        for (size_t i = 0; i < names->n; i++)
                if (strcmp(names->items[i].id, id) == 0)
                        return names->items[i].name;
        request.account = (char *)id;
        if (names->n == NAMED_MOST || cli_call(cli, "GetLedgerAccount", NULL, &request, &response))
                return id;
        const LedgerAccount *a = response;
        const char *name = a->programme[0] ? arena_printf(cli->arena, "%s spent on %s", a->organization, a->programme)
                           : a->purpose[0] ? arena_printf(cli->arena, "%s %s", a->organization, a->purpose)
                                           : arena_printf(cli->arena, "%s source", a->organization);
        names->items[names->n].id = id;
        names->items[names->n++].name = name;
        return name;
}

/* A way as a line: the accounts that it goes through. */
static const char *way_text(struct cli *cli, struct names *names, const TracedPart *part)
{
        const char *text = part->n_way ? account_name(cli, names, part->way[0]->debit) : "";
        for (size_t i = 0; i < part->n_way; i++)
                text = arena_printf(cli->arena, "%s → %s%s", text, account_name(cli, names, part->way[i]->credit),
                                    (int)part->way[i]->kind == LEDGER_REVERSAL ? " (reversed)" : "");
        return text;
}

static const char *case_of(const TracedPart *part)
{
        return part->n_way ? part->way[part->n_way - 1]->case_id : "";
}

static int run_trace(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        static const char *const headings[] = {"amount", "way", "case"};
        struct names names = {.n = 0};
        TraceTransferRequest *request = cli_request(cli, "TraceTransfer");
        void *response;
        (void)command, (void)n;
        if (!request)
                return 2;
        request->transfer = (char *)operands[0];
        int r = cli_call(cli, "TraceTransfer", NULL, request, &response);
        if (r)
                return r;
        if (cli->json) {
                show_message(cli, operator_method("TraceTransfer")->output, response);
                return 0;
        }
        const TraceTransferResponse *trace = response;
        _cleanup_(table_freep) struct table *t = table_new(headings, ARRAY_LEN(headings));
        printf("fund %s (%s) of %s\n", trace->fund->title, trace->fund->id, trace->fund->organization);
        for (size_t i = 0; i < trace->n_parts; i++)
                table_row(t, (const char *[]){ledger_amount_text(cli->arena, trace->parts[i]->amount, trace->fund->unit),
                                              way_text(cli, &names, trace->parts[i]), case_of(trace->parts[i])});
        table_print(t);
        if (trace->more)
                printf("and more\n");
        return 0;
}

static int run_balance(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        GetLedgerAccountRequest *request = cli_request(cli, "GetLedgerAccount");
        void *response;
        (void)command;
        if (!request)
                return 2;
        request->account = (char *)operands[0];
        int r = n > 1 ? cli_set_field(cli, "GetLedgerAccount", request, STR("time"), str_of(operands[1])) : 0;
        if (r == 0)
                r = cli_call(cli, "GetLedgerAccount", NULL, request, &response);
        if (r)
                return r;
        show_message(cli, operator_method("GetLedgerAccount")->output, response);
        return 0;
}

static int run_transfers(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        ListTransfersRequest *request = cli_request(cli, "ListTransfers");
        (void)command, (void)n;
        if (!request)
                return 2;
        request->account = (char *)operands[0];
        return cli_list(cli, "ListTransfers", request, "id kind amount debit credit caseId createTime", NULL, NULL);
}

const struct command commands_ledger[] = {
        {"ledger accounts", "ORGANIZATION", "its accounts and those below it, in fen or units; --set fund=", "ListLedgerAccounts", {"organization"},
         "id kind organization purpose programme unit available", NULL},
        {"ledger balance", "ACCOUNT [TIME]", "an account, now or as it stood then", NULL, {0}, NULL, run_balance},
        {"ledger transfers", "ACCOUNT", "what went in and out of an account, the newest first", NULL, {0}, NULL, run_transfers},
        {"ledger trace", "TRANSFER", "where the amount of a transfer came from, fen by fen; --set forward=true: to which cases it went", NULL, {0}, NULL, run_trace},
        {"ledger state", "", "how far the ledger's chain goes, and what of it is signed", "GetLedgerState", {0}, NULL, NULL},
        {"ledger verify", "", "reads the ledger and says whether it is what was entered and signed, and all adds up", NULL, {0}, NULL, run_ledger_verify},
        {0},
};
