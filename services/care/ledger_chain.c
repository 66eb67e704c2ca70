/* SPDX-License-Identifier: Apache-2.0
 *
 * See ledger_chain.h. A transfer's event brings the leaf of its row, as it was written; what is rare, or is chained late, is read
 * from the store again.
 */
#include "ledger_chain.h"

#include "common/base/log.h"
#include "handle.h"
#include "state.h"

#include <inttypes.h>
#include <stdio.h>

#define AT_ONCE  1000 /* of what is chained late */
#define AGAIN_US (5 * CLOCK_SECOND_US)
#define SAY_US   CLOCK_MINUTE_US
#define WHILE_US (7 * CLOCK_SECOND_US / 10)

static const struct metric_family chained_family = {
        "nuanxin_ledger_chained", "Rows of the ledger's chain, as this instance has added to it.", METRIC_GAUGE};
static const struct metric_family unwritten_family = {
        "nuanxin_ledger_unsigned_total", "Times that checkpoints of the ledger could not be written.", METRIC_COUNTER};
static const struct metric_family signed_family = {
        "nuanxin_ledger_signed", "Newest row of the ledger's chain that this instance has signed a checkpoint of.", METRIC_GAUGE};

int ledger_note(struct rpc_call *call, enum ledger_thing thing, const char *id, const char *organization)
{
        LedgerTermsRecorded event = NUANXIN__CARE__V1__LEDGER_TERMS_RECORDED__INIT;
        event.thing = (int32_t)thing;
        event.id = (char *)id;
        return rpc_emit(call, &care_v1_ledger_terms_recorded_msg, &event, id, organization);
}

/* --- leaves ------------------------------------------------------------------------------------------------------------ */

static int pack(struct rpc_call *call, int thing, const char *id, struct str *ret)
{
        struct store_conn *db = rpc_db(call);
        struct arena *arena = rpc_arena(call);
        struct ledger_row row;
        struct ledger_account account;
        struct ledger_fund fund;
        struct ledger_consent consent;
        int r = -EINVAL;
        if (thing == LEDGER_THING_TRANSFER && (r = ledger_row_load(db, arena, id, &row)) == 0)
                *ret = ledger_row_pack(arena, &row);
        if (thing == LEDGER_THING_ACCOUNT && (r = ledger_account_load(db, arena, id, &account)) == 0)
                *ret = ledger_account_pack(arena, &account);
        if (thing == LEDGER_THING_FUND && (r = fund_load(db, arena, id, &fund)) == 0)
                *ret = ledger_fund_pack(arena, &fund);
        if (thing == LEDGER_THING_CONSENT && (r = fund_consent_load(db, arena, id, &consent)) == 0)
                *ret = ledger_consent_pack(arena, &consent);
        return r;
}

struct chaining {
        struct rpc_call *call;
        struct ledger_end end;
        struct store_value *values;
        size_t n;
};

static void add(struct chaining *c, int thing, const char *id, const unsigned char leaf[CHAIN_SIZE])
{
        unsigned char *sums = arena_alloc(rpc_arena(c->call), 2 * CHAIN_SIZE);
        chain_next(c->end.head, leaf);
        memcpy(sums, leaf, CHAIN_SIZE);
        memcpy(sums + CHAIN_SIZE, c->end.head, CHAIN_SIZE);
        struct store_value *v = c->values + LEDGER_CHAIN_COLUMNS * c->n++;
        v[0] = I64(++c->end.seq);
        v[1] = I64(thing);
        v[2] = TEXTZ(id);
        v[3] = BYTES(sums, CHAIN_SIZE);
        v[4] = BYTES(sums + CHAIN_SIZE, CHAIN_SIZE);
}

static int add_stored(struct chaining *c, int thing, const char *id)
{
        unsigned char leaf[CHAIN_SIZE];
        struct str packed;
        int r = pack(c->call, thing, id, &packed);
        if (r == CARE_E_ABSENT) {
                log_error("a row of the ledger is gone before it was chained", "thing=%d id=%s", thing, id);
                return 0;
        }
        if (r != 0)
                return r;
        chain_what(leaf, (struct str){0}, packed);
        add(c, thing, id, leaf);
        return 0;
}

/* After a restore the chain goes on in another epoch. */
static int begin(struct rpc_call *call, struct chaining *ret, size_t room)
{
        char epoch[sizeof(ret->end.epoch)];
        *ret = (struct chaining){.call = call, .values = ARENA_ARRAY(rpc_arena(call), struct store_value, LEDGER_CHAIN_COLUMNS * room)};
        int r = ledger_end_load(rpc_db(call), &ret->end);
        if (r == 0)
                r = ledger_epoch_load(rpc_db(call), epoch);
        if (r != 0 || strcmp(epoch, ret->end.epoch) == 0)
                return r;
        snprintf(ret->end.epoch, sizeof(ret->end.epoch), "%s", epoch);
        ret->end.begun = ret->end.seq;
        return 0;
}

/* One row of due work for all that is chained in a while. */
static int ask_checkpoint(struct rpc_call *call)
{
        int64_t number = rpc_now(call) / WHILE_US;
        char key[24];
        snprintf(key, sizeof(key), "%" PRId64, number);
        return rpc_due_add(call, DUE_LEDGER_CHECKPOINT, key, (number + 1) * WHILE_US, (struct str){0});
}

static int finish(struct chaining *c)
{
        if (!c->n)
                return 0;
        int r = ledger_chain_insert(rpc_db(c->call), c->values, c->n);
        if (r == 0)
                r = ledger_end_save(rpc_db(c->call), &c->end);
        if (r == 0)
                r = ask_checkpoint(c->call);
        metric_set(metric_new(rpc_metrics(c->call), &chained_family, "%s", ""), c->end.seq);
        return r;
}

/* --- the consumer ------------------------------------------------------------------------------------------------------ */

static int take(struct chaining *c, const struct rpc_event *e)
{
        ProtobufCMessage *message;
        if (e->contract != &care_v1_transfer_recorded_msg && e->contract != &care_v1_ledger_terms_recorded_msg)
                return 0;
        int r = message_unpack(rpc_arena(c->call), e->contract, e->data.p, e->data.n, &message);
        if (r != 0)
                return r;
        if (e->contract == &care_v1_ledger_terms_recorded_msg)
                return add_stored(c, ((const LedgerTermsRecorded *)message)->thing, e->subject);
        const TransferRecorded *transfer = (const TransferRecorded *)message;
        if (transfer->leaf.len != CHAIN_SIZE)
                return add_stored(c, LEDGER_THING_TRANSFER, e->subject);
        add(c, LEDGER_THING_TRANSFER, e->subject, transfer->leaf.data);
        return 0;
}

static bool is_ours(const struct rpc_event *e)
{
        return e->contract == &care_v1_transfer_recorded_msg || e->contract == &care_v1_ledger_terms_recorded_msg;
}

int ledger_chain_apply(struct rpc_call *call, const struct rpc_event *events, size_t n)
{
        struct chaining c;
        size_t ours = 0;
        for (size_t i = 0; i < n; i++)
                ours += is_ours(&events[i]);
        if (!ours)
                return 0;
        int r = begin(call, &c, ours);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = take(&c, &events[i]);
        return r == 0 ? finish(&c) : r;
}

/* What the events would have told is found in the store itself: all that is there and not in the chain. */
int ledger_chain_reset(struct rpc_call *call)
{
        struct chaining c;
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        store_take_time(rpc_db(call));
        int r = begin(call, &c, AT_ONCE);
        if (r == 0)
                r = ledger_unchained_query(rpc_db(call), &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                r = add_stored(&c, (int)store_i64(rows, 0), store_text_dup(rows, 1, rpc_arena(call)));
                if (r == 0 && c.n == AT_ONCE) {
                        r = ledger_chain_insert(rpc_db(call), c.values, c.n);
                        c.n = 0;
                }
        }
        if (r == 0 && !c.n)
                return c.end.seq ? ledger_end_save(rpc_db(call), &c.end) : 0;
        return r == 0 ? finish(&c) : r;
}

/* --- checkpoints ------------------------------------------------------------------------------------------------------- */

static int head_at(void *call, int64_t seq, unsigned char ret_head[CHAIN_SIZE])
{
        return ledger_head_at(rpc_db(call), seq, ret_head);
}

static int append(struct rpc_call *call, struct str lines)
{
        struct care_state *state = rpc_state(call);
        int r = lines.n ? checkpoints_append(state->options->checkpoints, lines) : 0;
        if (r == 0)
                return 0;
        metric_add(metric_new(rpc_metrics(call), &unwritten_family, "%s", ""), 1);
        pthread_mutex_lock(&state->lock);
        bool say = rpc_now(call) - state->unwritten_said_us > SAY_US;
        state->unwritten_said_us = say ? rpc_now(call) : state->unwritten_said_us;
        pthread_mutex_unlock(&state->lock);
        if (say)
                log_error("checkpoints cannot be written", "folder=\"%s\" error=\"%s\"", state->options->checkpoints, strerror(-r));
        return r;
}

/* The file is written before the transaction that remembers it ends: if that is undone, the same is signed once more, which does
 * no harm. What cannot be written now is tried again by a row of its own, so that they do not become many. */
int due_ledger_checkpoint(struct rpc_call *call, const char *key, struct str payload)
{
        struct ledger_end end;
        struct chain_mark mark;
        struct buf lines = {0};
        bool more = false;
        (void)key, (void)payload;
        int r = ledger_end_load(rpc_db(call), &end);
        if (r == 0)
                r = ledger_mark_load(rpc_db(call), &mark);
        if (r != 0 || !end.seq)
                return r;
        const struct chain_tail tail = {.epoch = end.epoch, .begun = end.begun, .seq = end.seq};
        const struct signing_key *signing = care_ledger_key(rpc_state(call), rpc_keyring(call));
        r = checkpoints_continue(&lines, &tail, &mark, signing, rpc_now(call), head_at, call, &more);
        bool written = r == 0 && append(call, buf_str(&lines)) == 0, any = lines.n;
        buf_done(&lines);
        if (r != 0)
                return r;
        if (!written)
                return rpc_due_add(call, DUE_LEDGER_CHECKPOINT, "again", rpc_now(call) + AGAIN_US, (struct str){0});
        metric_set(metric_new(rpc_metrics(call), &signed_family, "%s", ""), mark.checkpoint);
        r = any ? ledger_mark_save(rpc_db(call), &mark) : 0;
        return r == 0 && more ? rpc_due_add(call, DUE_LEDGER_CHECKPOINT, "", rpc_now(call), (struct str){0}) : r;
}
