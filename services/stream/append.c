/* SPDX-License-Identifier: Apache-2.0
 *
 * See append.h.
 */
#include "services/stream/append.h"

#include "common/rpc/server.h"
#include "services/stream/checkpoint.h"
#include "services/stream/keep.h"
#include "services/stream/store.h"

#include <stdio.h>

static const struct metric_family latest_family = {
        "nuanxin_log_latest", "Newest sequence of the log, as this instance took it in.", METRIC_GAUGE};

static struct str pack(struct rpc_call *call, const struct log_new *e, int64_t seq)
{
        StoredEvent stored = NUANXIN__STREAM__V1__STORED_EVENT__INIT;
        stored.seq = seq;
        stored.source = (char *)e->source;
        stored.id = (char *)e->id;
        stored.type = (char *)e->type;
        stored.subject = (char *)e->subject;
        stored.person = (char *)e->person;
        stored.organization = (char *)e->organization;
        stored.path = (char *)e->path;
        stored.time_us = e->time_us;
        stored.taken_us = rpc_now(call);
        stored.data = (ProtobufCBinaryData){.len = e->data.n, .data = (uint8_t *)(uintptr_t)e->data.p};
        return message_pack(rpc_arena(call), &stored);
}

/* The values of one row, and the chain's head with it. */
static void chain_row(struct rpc_call *call, const struct log_new *e, struct log_end *end, unsigned char *salt,
                      struct store_value v[LOG_COLUMNS])
{
        unsigned char *leaf = arena_alloc(rpc_arena(call), 2 * CHAIN_SIZE), *head = leaf + CHAIN_SIZE, what[CHAIN_SIZE];
        bool is_notice = contract_is_erasure(contract_message_by_name(str_of(e->type)));
        struct str event = pack(call, e, ++end->seq), person = str_of(e->person);
        chain_what(what, str_bytes(salt, CHAIN_SALT_SIZE), event);
        chain_leaf(leaf, is_notice ? (struct str){0} : person, end->seq, what);
        chain_next(end->head, leaf);
        memcpy(head, end->head, CHAIN_SIZE);
        end->bytes += log_event_bytes(event.n);
        v[0] = I64(end->seq);
        v[1] = person.n ? I64(log_person_hash(person)) : SQLNULL();
        v[2] = I64(rpc_now(call));
        v[3] = BYTES(event.p, event.n);
        v[4] = BYTES(salt, CHAIN_SALT_SIZE);
        v[5] = BYTES(leaf, CHAIN_SIZE);
        v[6] = BYTES(head, CHAIN_SIZE);
}

/* After a restore the log goes on in another epoch. */
static int enter_epoch(struct rpc_call *call, struct log_end *end)
{
        char epoch[sizeof(end->epoch)];
        int r = log_epoch_load(rpc_db(call), epoch);
        if (r != 0 || strcmp(epoch, end->epoch) == 0)
                return r;
        snprintf(end->epoch, sizeof(end->epoch), "%s", epoch);
        end->begun = end->seq;
        return keep_start(call);
}

int log_append(struct rpc_call *call, const struct log_new *events, size_t n, int64_t *ret_first)
{
        struct log_end end;
        *ret_first = 0;
        if (!n)
                return 0;
        int r = log_end_load(rpc_db(call), &end);
        if (r == 0)
                r = enter_epoch(call, &end);
        if (r != 0)
                return r;
        *ret_first = end.seq + 1;
        int64_t bytes_before = end.bytes;
        struct store_value *values = ARENA_ARRAY(rpc_arena(call), struct store_value, n * LOG_COLUMNS);
        unsigned char *salts = arena_alloc(rpc_arena(call), n * CHAIN_SALT_SIZE);
        id_random(salts, n * CHAIN_SALT_SIZE);
        for (size_t i = 0; i < n; i++)
                chain_row(call, &events[i], &end, salts + i * CHAIN_SALT_SIZE, values + i * LOG_COLUMNS);
        r = log_insert(rpc_db(call), values, n);
        if (r == 0)
                r = log_end_save(rpc_db(call), &end);
        if (r == 0)
                r = checkpoint_ask(call);
        if (r == 0)
                r = keep_ask(call, bytes_before, end.bytes);
        metric_set(metric_new(rpc_metrics(call), &latest_family, "%s", ""), end.seq);
        return r == 0 ? rpc_news(call, end.seq) : r;
}
