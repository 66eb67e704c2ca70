/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries of many requests in one round trip: those that are put down, and their answers, found again by the text and the
 * arguments. One query that several ask is sent once.
 */
#include "common/store/postgresql.h"

#include <stdlib.h>

#define GATHERED_MAX 64

struct gathered {
        struct postgresql_answer answer;
        const char *sql;
        size_t args_at, args_n; /* in gather.args */
};

struct gather {
        bool on;
        size_t n;
        struct buf args; /* of all, one after the other; only of use while they are compared */
        struct gathered list[GATHERED_MAX];
};

static bool is_pending(const struct postgresql_answer *answer)
{
        return !answer->result && !answer->error;
}

int postgresql_gather(struct store_conn *conn, bool on)
{
        struct postgresql_conn *c = postgresql_of(conn);
        if (!c->gather)
                c->gather = mem_zalloc(sizeof(*c->gather));
        c->gather->on = on;
        if (!postgresql_unsynced(c))
                return 0;
        /* What one of them failed with is told to who asks for it. */
        return postgresql_collect(c) == STORE_E_UNAVAILABLE ? STORE_E_UNAVAILABLE : 0;
}

void postgresql_gather_reset(struct postgresql_conn *c)
{
        if (!c->gather)
                return;
        for (size_t i = 0; i < c->gather->n; i++) {
                struct postgresql_answer *answer = &c->gather->list[i].answer;
                if (is_pending(answer))
                        postgresql_forget_answer(c, answer);
                PQclear(answer->result);
        }
        c->gather->args.n = c->gather->n = 0;
        c->gather->on = false;
}

void postgresql_gather_free(struct postgresql_conn *c)
{
        postgresql_gather_reset(c);
        if (c->gather)
                buf_done(&c->gather->args);
        free(c->gather);
}

/* What tells one call of a statement from another. */
static void write_args(struct buf *out, const struct store_value *args, size_t n_args)
{
        for (size_t i = 0; i < n_args; i++) {
                const struct store_value *v = &args[i];
                uint64_t number = v->type == STORE_I64 ? (uint64_t)v->i : v->type == STORE_NULL ? 0 : v->s.n;
                buf_add(out, &v->type, sizeof(v->type));
                buf_add(out, &number, sizeof(number));
                if (v->type == STORE_TEXT || v->type == STORE_BYTES)
                        buf_add(out, v->s.p, v->s.n);
        }
}

static struct gathered *find(struct gather *g, const char *sql, size_t args_at)
{
        size_t n = g->args.n - args_at;
        for (size_t i = 0; i < g->n; i++) {
                struct gathered *e = &g->list[i];
                if (e->sql == sql && e->args_n == n && e->answer.error != STORE_E_GATHERED &&
                    (!n || memcmp(g->args.p + e->args_at, g->args.p + args_at, n) == 0))
                        return e;
        }
        return NULL;
}

struct postgresql_answer *postgresql_gathered(struct postgresql_conn *c, const char *sql, const struct store_value *args,
                                              size_t n_args, bool *ret_wait, bool *ret_send)
{
        struct gather *g = c->gather;
        if (!g || c->base.writer || c->transaction == TRANSACTION_NONE || c->failed || (!g->on && !g->n))
                return NULL;
        size_t at = g->args.n;
        write_args(&g->args, args, n_args);
        struct gathered *e = find(g, sql, at);
        if (e || !g->on || g->n == GATHERED_MAX) {
                g->args.n = at;
                *ret_send = !e;
                *ret_wait = e && g->on && is_pending(&e->answer);
                return e ? &e->answer : NULL;
        }
        e = &g->list[g->n++];
        *e = (struct gathered){.sql = sql, .args_at = at, .args_n = g->args.n - at};
        *ret_wait = *ret_send = true;
        return &e->answer;
}
