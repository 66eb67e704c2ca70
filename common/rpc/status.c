/* SPDX-License-Identifier: Apache-2.0
 *
 * What an instance tells the operator: what it is doing, and who did what.
 */
#include "common/rpc/peer.h"

#include "common/rpc/follower.h"
#include "common/rpc/leader.h"
#include "common/rpc/write_lane.h"

#define AUDIT_SCAN 200000 /* rows that one call looks at: it shares the read lane */

typedef Nuanxin__Internal__V1__LaneStatus LaneStatus;
typedef Nuanxin__Internal__V1__MethodStatus MethodStatus;
typedef Nuanxin__Internal__V1__AuditEntry AuditEntry;

/* --- status ----------------------------------------------------------------------------------------------------- */

static LaneStatus *lane_status(struct rpc_call *call, const struct lane *lane)
{
        LaneStatus *status = arena_alloc(call->arena, sizeof(*status));
        nuanxin__internal__v1__lane_status__init(status);
        status->name = (char *)lane->name;
        status->threads = lane->n_threads;
        status->queued = (uint32_t)lane_depth(lane);
        status->done = metric_get(lane->done_total);
        status->shed = metric_get(lane->shed_total);
        status->queue_p50_us = metric_quantile(lane->wait, 0.5);
        status->queue_p99_us = metric_quantile(lane->wait, 0.99);
        return status;
}

static MethodStatus *method_status(struct rpc_call *call, const struct served *s)
{
        MethodStatus *status = arena_alloc(call->arena, sizeof(*status));
        nuanxin__internal__v1__method_status__init(status);
        status->method = (char *)s->contract->name;
        status->calls = metric_get(s->ok) + metric_get(s->refused) + metric_get(s->failed);
        status->errors = metric_get(s->failed);
        status->p50_us = metric_quantile(s->duration, 0.5);
        status->p99_us = metric_quantile(s->duration, 0.99);
        return status;
}

int handle_get_status(struct rpc_call *call, const Nuanxin__Internal__V1__GetStatusRequest *request,
                      Nuanxin__Internal__V1__Status *status)
{
        struct rpc_server *server = call->server;
        const struct lane *lanes[] = {&server->read, &server->slow, &server->write};
        (void)request;
        status->service = (char *)server->service->name;
        status->instance = (char *)server->options.instance;
        status->may_write = rpc_server_is_writer(server);
        status->leads = rpc_server_leads(server);
        status->draining = server_is_draining(server);
        status->contract = (char *)contract_hash;
        status->build = (char *)contract_build;
        status->started_us = server->started_us;
        status->lanes = ARENA_ARRAY(call->arena, LaneStatus *, ARRAY_LEN(lanes));
        for (size_t i = 0; i < ARRAY_LEN(lanes); i++)
                status->lanes[status->n_lanes++] = lane_status(call, lanes[i]);
        status->methods = ARENA_ARRAY(call->arena, MethodStatus *, server->n_served);
        for (size_t i = 0; i < server->n_served; i++)
                status->methods[status->n_methods++] = method_status(call, &server->served[i]);
        followers_status(server, call->arena, status);
        status->outbox_head = atomic_load(&server->outbox_head);
        status->commits = (int64_t)atomic_load(&server->commit->count);
        status->commit_p50_us = metric_quantile(server->commit, 0.5);
        status->commit_p99_us = metric_quantile(server->commit, 0.99);
        return contractions_tell(call, status);
}

/* --- audit ------------------------------------------------------------------------------------------------------ */

static AuditEntry *audit_entry(struct rpc_call *call, const struct store_rows *row)
{
        AuditEntry *entry = arena_alloc(call->arena, sizeof(*entry));
        nuanxin__internal__v1__audit_entry__init(entry);
        entry->seq = store_i64(row, 0);
        entry->time_us = store_i64(row, 1);
        char **texts[] = {&entry->principal, &entry->client,  &entry->method, &entry->subject,
                          &entry->organization, &entry->outcome, &entry->purpose, &entry->trace};
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
                *texts[i] = store_text_dup(row, (int)i + 2, call->arena);
        return entry;
}

static int audit_newest(struct rpc_call *call, int64_t *ret_seq)
{
        static const char sql[] = "SELECT COALESCE(MAX(seq), 0) FROM rpc_audit";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(call->db, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        *ret_seq = store_i64(rows, 0);
        return 0;
}

/* There is no index beside the sequence, so that a write pays for none: a call looks at so many rows and says where the
 * next one goes on. */
int handle_list_audit(struct rpc_call *call, const Nuanxin__Internal__V1__ListAuditRequest *request,
                      Nuanxin__Internal__V1__ListAuditResponse *response)
{
        static const char sql[] =
                "SELECT seq, time_us, principal, client, method, subject, organization, outcome, purpose, trace "
                "FROM rpc_audit WHERE seq < $1 AND seq >= $2 AND ($3 = '' OR principal = $3 OR principal LIKE '%:' || $3)"
                " AND ($4 = '' OR subject = $4) AND ($5 = 0 OR purpose <> '') ORDER BY seq DESC LIMIT $6";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int64_t limit = rpc_page_size((int32_t)request->limit), before = request->before, newest = 0;
        int r = audit_newest(call, &newest);
        if (r == 0 && (before <= 0 || before > newest))
                before = newest + 1;
        int64_t from = before > AUDIT_SCAN ? before - AUDIT_SCAN : 1;
        if (r == 0)
                r = store_query(call->db, sql, &rows, I64(before), I64(from), TEXTZ(request->principal),
                                TEXTZ(request->subject), I64(request->reads_only), I64(limit));
        response->entries = ARENA_ARRAY(call->arena, AuditEntry *, (size_t)limit);
        response->next_before = from > 1 ? from : 0;
        while (r == 0 && (r = store_next(rows)) == 1) {
                response->entries[response->n_entries++] = audit_entry(call, rows);
                r = 0;
        }
        if ((int64_t)response->n_entries == limit)
                response->next_before = response->entries[limit - 1]->seq;
        return r;
}
