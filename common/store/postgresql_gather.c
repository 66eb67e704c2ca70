/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries of many requests in one round trip: those that are put down, and their answers, found again by the text and the
 * arguments. One query that several ask is sent once; one that several ask with other arguments goes as one statement for
 * them all, where it is of that kind (postgresql_merge.c).
 */
#include "common/store/postgresql.h"

#include <endian.h>
#include <stdlib.h>

#define GATHERED_MAX 64

struct gathered {
        struct postgresql_answer answer;
        const char *sql;
        size_t n_args;
        size_t args_at, args_n; /* in gather.args */
        struct joint *joint;    /* whose answer this is a part of; or NULL */
};

/* One statement that was sent for several. */
struct joint {
        struct postgresql_answer answer;
        size_t n;
        int *rows; /* of all its parts */
        struct gathered *parts[];
};

struct gather {
        bool on;
        bool singly; /* a joint one has failed in this transaction: which part of it, only each by itself can tell */
        size_t n, held, n_joints;
        struct buf args; /* of all, one after the other */
        struct gathered list[GATHERED_MAX]; /* from `held` on they have not been sent */
        struct joint *joints[GATHERED_MAX];
};

static bool is_pending(const struct postgresql_answer *answer)
{
        return !answer->result && !answer->error;
}

/* --- arguments, put down -------------------------------------------------------------------------------------- */

/* What tells one call of a statement from another. */
static void write_args(struct buf *out, const struct store_value *args, size_t n_args)
{
        for (size_t i = 0; i < n_args; i++) {
                const struct store_value *v = &args[i];
                int64_t number = v->type == STORE_I64 ? v->i : v->type == STORE_NULL ? 0 : (int64_t)v->s.n;
                buf_add(out, &v->type, sizeof(v->type));
                buf_add(out, &number, sizeof(number));
                if (v->type == STORE_TEXT || v->type == STORE_BYTES)
                        buf_add(out, v->s.p, v->s.n);
        }
}

static void read_args(const struct gather *g, const struct gathered *e, struct store_value *ret_args)
{
        const char *p = g->args.p + e->args_at;
        for (size_t i = 0; i < e->n_args; i++) {
                struct store_value *v = &ret_args[i];
                *v = (struct store_value){0};
                memcpy(&v->type, p, sizeof(v->type));
                memcpy(&v->i, p + sizeof(v->type), sizeof(v->i));
                p += sizeof(v->type) + sizeof(v->i);
                if (v->type != STORE_TEXT && v->type != STORE_BYTES)
                        continue;
                v->s = str_bytes(p, (size_t)v->i);
                p += v->i;
        }
}

/* --- sending -------------------------------------------------------------------------------------------------- */

/* Those that ask the same as the first of the held, in its joint. */
static struct joint *joint_of(struct gather *g, struct gathered *first)
{
        struct joint *j = mem_zalloc(sizeof(*j) + GATHERED_MAX * sizeof(j->parts[0]));
        for (struct gathered *e = first; e < g->list + g->n; e++)
                if (e->sql == first->sql && !e->joint)
                        j->parts[j->n++] = e;
        return j;
}

static int send_joint(struct postgresql_conn *c, struct postgresql_rows *rows, struct joint *j)
{
        struct gather *g = c->gather;
        size_t n_args = rows->base.n_args;
        int r = 0;
        struct store_value *args = mem_zalloc(j->n * n_args * sizeof(*args) + 1);
        for (size_t i = 0; i < j->n; i++)
                read_args(g, j->parts[i], args + i * n_args);
        const struct pending pending = {.kind = PENDING_QUERY, .answer = &j->answer};
        if (j->n > 1 && !g->singly && postgresql_merge(c, rows, args, j->n, pending, &r)) {
                for (size_t i = 0; i < j->n; i++)
                        j->parts[i]->joint = j;
                g->joints[g->n_joints++] = j;
        } else {
                r = postgresql_send_query(c, rows, args, &j->parts[0]->answer);
                free(j);
        }
        free(args);
        return r;
}

static int send_held(struct postgresql_conn *c)
{
        struct gather *g = c->gather;
        int r = 0;
        for (; r == 0 && g->held < g->n; g->held++) {
                struct gathered *e = &g->list[g->held];
                struct postgresql_rows *rows;
                if (e->joint)
                        continue;
                r = postgresql_enter(c);
                if (r == 0)
                        r = postgresql_find(c, e->sql, e->n_args, &rows);
                if (r == 0)
                        r = send_joint(c, rows, joint_of(g, e));
        }
        return r;
}

/* --- answers -------------------------------------------------------------------------------------------------- */

static size_t part_of(const struct joint *j, int row)
{
        uint64_t number;
        memcpy(&number, PQgetvalue(j->answer.result, row, 0), sizeof(number));
        return (size_t)be64toh(number) - 1;
}

/* To each part its rows, in their order. What failed as a whole is asked again, each part by itself. */
static void divide(struct gather *g, struct joint *j)
{
        int at = 0;
        if (!j->answer.result) {
                g->singly = true;
                for (size_t i = 0; i < j->n; i++)
                        j->parts[i]->answer.error = j->answer.error == STORE_E_UNAVAILABLE ? STORE_E_UNAVAILABLE : STORE_E_GATHERED;
                return;
        }
        for (int row = 0; row < j->answer.n_rows; row++)
                j->parts[part_of(j, row)]->answer.n_rows++;
        j->rows = mem_zalloc((size_t)(j->answer.n_rows + 1) * sizeof(*j->rows));
        for (size_t i = 0; i < j->n; i++) {
                struct postgresql_answer *answer = &j->parts[i]->answer;
                answer->result = j->answer.result;
                answer->rows = j->rows + at;
                at += answer->n_rows;
                answer->n_rows = 0;
        }
        for (int row = 0; row < j->answer.n_rows; row++) {
                struct postgresql_answer *answer = &j->parts[part_of(j, row)]->answer;
                j->rows[answer->rows - j->rows + answer->n_rows++] = row;
        }
}

int postgresql_gather(struct store_conn *conn, bool on)
{
        struct postgresql_conn *c = postgresql_of(conn);
        struct gather *g = c->gather;
        if (!g)
                g = c->gather = mem_zalloc(sizeof(*g));
        g->on = on;
        size_t joints = g->n_joints;
        int r = send_held(c);
        if (r == 0 && postgresql_unsynced(c))
                r = postgresql_collect(c);
        for (; joints < g->n_joints; joints++)
                divide(g, g->joints[joints]);
        /* What one of them failed with is told to who asks for it. */
        return r == STORE_E_UNAVAILABLE ? STORE_E_UNAVAILABLE : 0;
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
                                              size_t n_args, bool *ret_wait)
{
        struct gather *g = c->gather;
        if (!g || c->base.writer || c->transaction == TRANSACTION_NONE || c->failed || (!g->on && !g->n))
                return NULL;
        size_t at = g->args.n;
        write_args(&g->args, args, n_args);
        struct gathered *e = find(g, sql, at);
        if (e || !g->on || g->n == GATHERED_MAX) {
                g->args.n = at;
                *ret_wait = e && is_pending(&e->answer);
                return e ? &e->answer : NULL;
        }
        e = &g->list[g->n++];
        *e = (struct gathered){.sql = sql, .n_args = n_args, .args_at = at, .args_n = g->args.n - at};
        *ret_wait = true;
        return &e->answer;
}

/* --- the end -------------------------------------------------------------------------------------------------- */

static void drop_answer(struct postgresql_conn *c, struct postgresql_answer *answer)
{
        if (is_pending(answer))
                postgresql_forget_answer(c, answer);
        PQclear(answer->result);
}

void postgresql_gather_reset(struct postgresql_conn *c)
{
        struct gather *g = c->gather;
        if (!g)
                return;
        for (size_t i = 0; i < g->n; i++)
                if (!g->list[i].joint)
                        drop_answer(c, &g->list[i].answer);
        for (size_t i = 0; i < g->n_joints; i++) {
                drop_answer(c, &g->joints[i]->answer);
                free(g->joints[i]->rows);
                free(g->joints[i]);
        }
        g->args.n = g->n = g->held = g->n_joints = 0;
        g->on = g->singly = false;
}

void postgresql_gather_free(struct postgresql_conn *c)
{
        postgresql_gather_reset(c);
        if (c->gather)
                buf_done(&c->gather->args);
        free(c->gather);
}
