/* SPDX-License-Identifier: Apache-2.0
 *
 * status and audit: what every service tells the operator.
 */
#include "common/base/clock.h"
#include "common/rpc/client.h"
#include "services/cli/cli.h"
#include "nuanxin/internal/v1/peer.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_INSTANCES 64

typedef Nuanxin__Internal__V1__Status Status;

static char *milliseconds(struct cli *cli, int64_t us)
{
        return arena_printf(cli->arena, "%.2f ms", (double)us / 1000);
}

/* The newest position, and how many events wait for theirs. */
static char *outbox(struct cli *cli, const Status *s)
{
        return s->arrivals ? arena_printf(cli->arena, "%" PRId64 " (+%" PRId64 ")", s->outbox_head, s->arrivals)
                           : arena_printf(cli->arena, "%" PRId64, s->outbox_head);
}

/* One that did not tell of itself, and why. */
struct silent {
        const char *instance, *state;
};

static void show_instances(struct cli *cli, Status *const *all, size_t n, const struct silent *silent, size_t n_silent)
{
        static const char *const headings[] = {"INSTANCE", "WRITES", "LEADS", "STATE", "UP", "COMMITS", "RETRIES",
                                               "COMMIT P50", "P99", "OUTBOX"};
        struct clock clock = {0};
        _cleanup_(table_freep) struct table *t = table_new(headings, ARRAY_LEN(headings));
        for (size_t i = 0; i < n; i++) {
                const Status *s = all[i];
                int64_t up = (clock_now_us(&clock) - s->started_us) / CLOCK_SECOND_US;
                table_row(t, (const char *[]){s->instance, s->may_write ? "yes" : "standby", s->leads ? "yes" : "no",
                                              s->draining ? "draining" : "ready", arena_printf(cli->arena, "%" PRId64 "s", up),
                                              arena_printf(cli->arena, "%" PRId64, s->commits),
                                              arena_printf(cli->arena, "%" PRId64, s->write_retries),
                                              milliseconds(cli, s->commit_p50_us), milliseconds(cli, s->commit_p99_us),
                                              outbox(cli, s)});
        }
        for (size_t i = 0; i < n_silent; i++)
                table_row(t, (const char *[]){silent[i].instance, "-", "-", silent[i].state, "", "", "", "", "", ""});
        table_print(t);
}

static void show_lanes(struct cli *cli, Status *const *all, size_t n)
{
        static const char *const headings[] = {"INSTANCE", "LANE", "THREADS", "WAITING", "DONE", "SHED", "WAIT P50", "P99"};
        _cleanup_(table_freep) struct table *t = table_new(headings, ARRAY_LEN(headings));
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < all[i]->n_lanes; k++) {
                        const Nuanxin__Internal__V1__LaneStatus *l = all[i]->lanes[k];
                        table_row(t, (const char *[]){all[i]->instance, l->name, arena_printf(cli->arena, "%u", l->threads),
                                                      arena_printf(cli->arena, "%u", l->queued), arena_printf(cli->arena, "%" PRId64, l->done),
                                                      arena_printf(cli->arena, "%" PRId64, l->shed), milliseconds(cli, l->queue_p50_us),
                                                      milliseconds(cli, l->queue_p99_us)});
                }
        putchar('\n');
        table_print(t);
}

static void show_methods(struct cli *cli, Status *const *all, size_t n)
{
        static const char *const headings[] = {"INSTANCE", "METHOD", "CALLS", "ERRORS", "P50", "P99"};
        _cleanup_(table_freep) struct table *t = table_new(headings, ARRAY_LEN(headings));
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < all[i]->n_methods; k++) {
                        const Nuanxin__Internal__V1__MethodStatus *m = all[i]->methods[k];
                        if (!m->calls)
                                continue;
                        table_row(t, (const char *[]){all[i]->instance, cli_short_name(m->method), arena_printf(cli->arena, "%" PRId64, m->calls),
                                                      arena_printf(cli->arena, "%" PRId64, m->errors), milliseconds(cli, m->p50_us),
                                                      milliseconds(cli, m->p99_us)});
                }
        putchar('\n');
        table_print(t);
}

static void show_consumers(struct cli *cli, Status *const *all, size_t n)
{
        static const char *const headings[] = {"INSTANCE", "FOLLOWS", "AS", "POSITION", "BEHIND"};
        _cleanup_(table_freep) struct table *t = table_new(headings, ARRAY_LEN(headings));
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < all[i]->n_consumers; k++) {
                        const Nuanxin__Internal__V1__ConsumerStatus *c = all[i]->consumers[k];
                        int64_t behind = c->head > c->position ? c->head - c->position : 0;
                        table_row(t, (const char *[]){all[i]->instance, c->source, c->name, arena_printf(cli->arena, "%" PRId64, c->position),
                                                      arena_printf(cli->arena, "%" PRId64, behind)});
                }
        putchar('\n');
        table_print(t);
}

static int by_name(const void *a, const void *b)
{
        const struct rpc_instance *x = a, *y = b;
        int r = strcmp(x->service, y->service);
        return r ? r : strcmp(x->instance, y->instance);
}

/* Its status, or what is known without. */
static int ask_status(struct cli *cli, const struct rpc_instance *i, Status **ret, struct silent *ret_silent)
{
        struct operator_refusal refusal = {0};
        void *response, *request = message_new(cli->arena, operator_method("GetStatus")->input);
        const struct operator_target target = {.service = i->service, .instance = i->instance};
        const char *name = i->instance[0] ? i->instance : i->service;
        int r = i->up ? operator_call(cli->op, operator_method("GetStatus"), &target, cli->arena, request, &response, &refusal) : 0;
        if (i->up && r == 0) {
                *ret = response;
                return 0;
        }
        *ret_silent = (struct silent){name, r == OPERATOR_E_REFUSED ? "no store" : "silent"};
        if (r == OPERATOR_E_REFUSED && strstr(refusal.type, "unavailable"))
                fprintf(stderr, "%s can't read its store: its log and its /readyz say why\n", name);
        else if (r == OPERATOR_E_REFUSED)
                fprintf(stderr, "%s: %s %s\n", name, refusal.title, refusal.detail);
        else
                fprintf(stderr, "%s does not answer at %s%s\n", name, i->endpoint,
                        cli->curve || strncmp(i->endpoint, "tcp:", 4) != 0 ? "" : "; if it wants CURVE keys, give --curve FOLDER, with the operator's in it");
        return 1;
}

static int run_status(struct cli *cli, const struct command *command, const char *const *operands, size_t n_operands)
{
        struct rpc_instance found[MAX_INSTANCES];
        Status *all[MAX_INSTANCES];
        struct silent silent[MAX_INSTANCES];
        size_t n = 0, n_silent = 0, n_found;
        (void)command, (void)operands, (void)n_operands;

        int r = cli_open(cli);
        if (r)
                return r;
        n_found = operator_instances(cli->op, found, MAX_INSTANCES);
        for (size_t i = 0; i < n_found; i++) { /* they are lent until the next call */
                found[i].service = arena_strdup(cli->arena, found[i].service);
                found[i].instance = arena_strdup(cli->arena, found[i].instance);
                found[i].endpoint = arena_strdup(cli->arena, found[i].endpoint);
        }
        qsort(found, n_found, sizeof(*found), by_name);
        for (size_t i = 0; i < n_found; i++) {
                if (ask_status(cli, &found[i], &all[n], &silent[n_silent]) == 0)
                        n++;
                else
                        r = 1, n_silent++;
        }
        if (!n_found) {
                fprintf(stderr, "no instance is known in %s: is the stack running (make run), and is --var its folder?\n", cli->bus);
                return 1;
        }
        if (cli->json) {
                printf("[");
                for (size_t i = 0; i < n; i++) {
                        printf(i ? ",\n" : "");
                        show_json(operator_method("GetStatus")->output, all[i]);
                }
                printf("]\n");
                return r;
        }
        show_instances(cli, all, n, silent, n_silent);
        show_lanes(cli, all, n);
        show_methods(cli, all, n);
        show_consumers(cli, all, n);
        return r;
}

static int run_audit(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        static const char *const headings[] = {"WHEN", "WHO", "METHOD", "ABOUT", "AT", "OUTCOME", "PURPOSE"};
        void *response, *request = cli_request(cli, "ListAudit");
        const struct operator_target target = {.service = n ? operands[0] : "membership"};
        (void)command;

        int r = request ? cli_call(cli, "ListAudit", &target, request, &response) : 2;
        if (r)
                return r;
        if (cli->json) {
                show_message(cli, operator_method("ListAudit")->output, response);
                return 0;
        }
        const Nuanxin__Internal__V1__ListAuditResponse *list = response;
        _cleanup_(table_freep) struct table *t = table_new(headings, ARRAY_LEN(headings));
        for (size_t i = 0; i < list->n_entries; i++) {
                const Nuanxin__Internal__V1__AuditEntry *e = list->entries[i];
                char when[40];
                clock_format_rfc3339(when, e->time_us / CLOCK_SECOND_US * CLOCK_SECOND_US);
                table_row(t, (const char *[]){when, e->principal, cli_short_name(e->method), e->subject, e->organization,
                                              e->outcome, e->purpose});
        }
        table_print(t);
        if (list->next_before)
                fprintf(stderr, "older: --set before=%" PRId64 "\n", list->next_before);
        return 0;
}

const struct command commands_peer[] = {
        {"status", "", "instances, lanes, queues, latency, who follows whom", NULL, {0}, NULL, run_status},
        {"audit", "[SERVICE]", "who did what, newest first (of membership); --set principal=, subject=, readsOnly=true, limit=, before=", NULL, {0}, NULL, run_audit},
        {0},
};
