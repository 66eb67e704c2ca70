/* SPDX-License-Identifier: Apache-2.0
 *
 * The jobs of the webhook worker.
 */
#include "services/stream/webhook_look.h"

#include "services/stream/log.h"
#include "services/stream/webhook_fetch.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- what is next ---------------------------------------------------------------------------------------------------- */

static void ask(struct look *look, const struct endpoint *e)
{
        look->attempt = (struct attempt){.kind = WEBHOOK_HANDSHAKE, .event = ""};
        look->request.method = "OPTIONS";
        look->request.url = e->url;
        look->request.fields[0] = arena_printf(look->arena, "WebHook-Request-Origin: %s", look->origin);
        look->request.fields[1] = arena_printf(look->arena, "WebHook-Request-Rate: %d", WEBHOOK_RATE);
        look->result = LOOK_SEND;
}

static int sign(struct rpc_call *call, const struct endpoint *e, const char *id, int64_t timestamp_s, struct str body,
                struct buf *out)
{
        struct webhook_secret secrets[WEBHOOK_SECRETS];
        size_t n = 0;
        int r = secrets_load(rpc_db(call), rpc_arena(call), rpc_keyring(call), e->id, rpc_now(call), secrets, &n);
        if (r == 0 && n == 0)
                r = -ENOKEY;
        for (size_t i = 0; i < n && r == 0; i++) {
                webhook_sign_key(out, str_bytes(secrets[i].key, WEBHOOK_KEY_SIZE), id, timestamp_s, body);
                webhook_sign_seed(out, secrets[i].seed, id, timestamp_s, body);
                webhook_secret_wipe(&secrets[i]);
        }
        return r;
}

static int post(struct rpc_call *call, struct look *look, const struct endpoint *e, const struct fetched *event)
{
        struct buf signatures = {0};
        int64_t now_s = rpc_now(call) / CLOCK_SECOND_US;
        struct str body = webhook_body(look->arena, event->json, e->dead);
        int r = sign(call, e, event->id, now_s, body, &signatures);
        look->request.method = "POST";
        look->request.url = e->url;
        look->request.body = body;
        look->request.fields[0] = "Content-Type: application/cloudevents+json; charset=utf-8";
        look->request.fields[1] = arena_printf(look->arena, "webhook-id: %s", event->id);
        look->request.fields[2] = arena_printf(look->arena, "webhook-timestamp: %" PRId64, now_s);
        look->request.fields[3] = arena_printf(look->arena, "webhook-signature: %s", buf_z(&signatures));
        look->result = LOOK_SEND;
        buf_done(&signatures);
        return r;
}

static int take(struct rpc_call *call, struct look *look, const struct endpoint *e, const struct fetched *event)
{
        look->attempt.kind = WEBHOOK_DELIVERY;
        look->attempt.seq = event->seq;
        look->attempt.event = event->id;
        if (event->json.n <= WEBHOOK_EVENT_MOST)
                return post(call, look, e, event);
        look->attempt.kind = WEBHOOK_DEAD;
        look->attempt.error = arena_printf(look->arena, "%zu bytes, of %d that a delivery may have", event->json.n,
                                           WEBHOOK_EVENT_MOST);
        look->result = LOOK_DEAD;
        return 0;
}

static int find_event(struct rpc_call *call, struct look *look, const struct endpoint *e)
{
        struct fetched fetched = {0};
        int64_t after, through;
        webhook_next(e, &after, &through);
        look->attempt = (struct attempt){.redriven = through != 0, .event = ""};
        if (!through && look->revision == e->revision && look->position > after)
                after = look->position;
        int r = webhook_fetch(call, look->arena, e, after, through, &fetched);
        look->through = fetched.through;
        look->latest = fetched.latest;
        look->result = r == WEBHOOK_E_BARRED ? LOOK_BARRED : r == WEBHOOK_E_LOST ? LOOK_LOST : LOOK_NOTHING;
        if (r == WEBHOOK_E_BARRED || r == WEBHOOK_E_LOST)
                return 0;
        return r == 0 && fetched.seq ? take(call, look, e, &fetched) : r;
}

int look_run(struct rpc_call *call, struct look *look)
{
        struct endpoint e;
        arena_reset(look->arena);
        int r = endpoint_load(rpc_db(call), look->arena, look->id, &e);
        look->result = LOOK_GONE;
        if (r != 0)
                return r == WEBHOOK_E_ABSENT ? 0 : r;
        look->found_revision = e.revision;
        look->spacing_us = webhook_spacing_us(&e);
        look->at_us = e.next_us;
        memset(&look->request, 0, sizeof(look->request));
        if (e.state != WEBHOOK_ACTIVE)
                return 0;
        look->result = LOOK_LATER;
        if (rpc_now(call) < e.next_us)
                return 0;
        if (e.allowed_us)
                return find_event(call, look, &e);
        ask(look, &e);
        return 0;
}

/* --- what came of it ---------------------------------------------------------------------------------------------------- */

static int settle_attempt(struct rpc_call *call, struct settle *s, struct endpoint *e)
{
        const struct attempt *a = &s->look->attempt;
        struct delivery d = {
                .id = ++e->deliveries,
                .seq = a->seq,
                .event = a->event,
                .attempt = (e->hand == a->seq ? e->attempts : 0) + 1,
                .time_us = a->began_us ? a->began_us : rpc_now(call),
                .status = a->status,
                .took_us = a->took_us,
                .dead = a->kind == WEBHOOK_DEAD,
        };
        s->outcome = webhook_after(e, a, s->look->origin, rpc_now(call), s->random, rpc_arena(call), &d.error);
        int r = endpoint_save(rpc_db(call), e);
        return r == 0 ? delivery_insert(rpc_db(call), e->id, &d) : r;
}

/* What was to be sent once more is not there: that ends. What was to be sent for the first time: people must decide. */
static int settle_lost(struct rpc_call *call, const struct look *look, struct endpoint *e)
{
        if (look->attempt.redriven)
                webhook_pass(e, true, e->redrive_through);
        else if (e->state == WEBHOOK_ACTIVE)
                webhook_pause(e, "the log no longer keeps what is next: its agency needs the snapshot");
        return endpoint_save(rpc_db(call), e);
}

int settle_run(struct rpc_call *call, struct settle *s)
{
        const struct look *look = s->look;
        bool passes = look->result == LOOK_NOTHING;
        struct endpoint e;
        if (passes && !look->attempt.redriven)
                return endpoint_pass(rpc_db(call), look->id, look->found_revision, look->through);
        int r = endpoint_load(rpc_db(call), rpc_arena(call), look->id, &e);
        if (r != 0)
                return r == WEBHOOK_E_ABSENT ? 0 : r;
        if (!passes && look->result != LOOK_LOST)
                return settle_attempt(call, s, &e);
        if (e.revision != look->found_revision)
                return 0; /* it is looked at again */
        if (!passes)
                return settle_lost(call, look, &e);
        webhook_pass(&e, true, look->through);
        return endpoint_save(rpc_db(call), &e);
}

/* --- all of them ---------------------------------------------------------------------------------------------------------- */

static int64_t remembered(const struct survey *s, const struct endpoint *e)
{
        size_t low = 0, high = s->n_known;
        while (low < high) {
                size_t mid = (low + high) / 2;
                int c = strcmp(s->known[mid].id, e->id);
                if (c == 0)
                        return s->known[mid].revision == e->revision && s->known[mid].position > e->position
                                       ? s->known[mid].position
                                       : e->position;
                if (c < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return e->position;
}

static int read_all(struct rpc_call *call, struct survey *s)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = endpoints_query(rpc_db(call), "", "", WEBHOOK_IN_ALL, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                struct endpoint e;
                endpoint_read(rows, s->arena, &e);
                s->items[s->n++] = (struct endpoint_standing){.id = e.id,
                                                     .agency = e.agency,
                                                     .state = e.state,
                                                     .revision = e.revision,
                                                     .position = remembered(s, &e),
                                                     .next_us = e.next_us};
                r = 0;
        }
        return r;
}

static int by_agency(const void *a, const void *b)
{
        return strcmp(((const struct agency_standing *)a)->agency, ((const struct agency_standing *)b)->agency);
}

/* One that is disabled is not waited for. */
static void gather_agencies(struct survey *s)
{
        size_t n = 0;
        s->n_agencies = 0;
        s->agencies = ARENA_ARRAY(s->arena, struct agency_standing, s->n + 1);
        for (size_t i = 0; i < s->n; i++)
                if (s->items[i].state != WEBHOOK_DISABLED)
                        s->agencies[n++] = (struct agency_standing){s->items[i].agency, s->items[i].position};
        qsort(s->agencies, n, sizeof(s->agencies[0]), by_agency);
        for (size_t i = 0; i < n; i++) {
                struct agency_standing *last = s->n_agencies ? &s->agencies[s->n_agencies - 1] : NULL;
                if (!last || by_agency(last, &s->agencies[i]) != 0)
                        s->agencies[s->n_agencies++] = s->agencies[i];
                else if (s->agencies[i].position < last->position)
                        last->position = s->agencies[i].position;
        }
}

int survey_run(struct rpc_call *call, struct survey *s)
{
        int64_t latest = 0;
        s->n = 0;
        s->items = ARENA_ARRAY(s->arena, struct endpoint_standing, WEBHOOK_IN_ALL);
        int r = log_latest(rpc_db(call), &latest);
        if (r == 0)
                r = read_all(call, s);
        for (size_t i = 0; i < s->n && r == 0; i++) {
                struct endpoint_standing *item = &s->items[i];
                item->behind = latest > item->position ? latest - item->position : 0;
                if (item->behind)
                        r = log_taken_after(rpc_db(call), item->position, &item->since_us);
        }
        gather_agencies(s);
        return r;
}
