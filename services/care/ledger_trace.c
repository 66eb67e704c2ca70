/* SPDX-License-Identifier: Apache-2.0
 *
 * Tracing. The fen that left an account as its ath to bth came in as its ath to bth: what is posted on either side is an interval
 * of all that ever came in, or went out. So a part of a transfer is an interval of its amount, and goes on to the transfers whose
 * intervals cover it, on the other side of the account that it leaves. What left a SPENT account came back: it goes on, or
 * came, by the transfer that was reversed.
 */
#include "ledger.h"

#define SLICE 256 /* rows read at once */

struct step {
        const struct step *next; /* towards where the trace began */
        const struct ledger_row *row;
        size_t depth;
};

struct tracing {
        struct store_conn *db;
        struct arena *arena;
        struct trace *out;
        bool forward;
        struct ledger_account *accounts;
        size_t n_accounts, room;
};

/* --- reading ----------------------------------------------------------------------------------------------------------- */

static int find_account(struct tracing *t, const char *id, const struct ledger_account **ret)
{
        for (size_t i = 0; i < t->n_accounts; i++)
                if (strcmp(t->accounts[i].id, id) == 0) {
                        *ret = &t->accounts[i];
                        return 0;
                }
        if (t->n_accounts == t->room) {
                size_t room = t->room ? 2 * t->room : 16;
                struct ledger_account *more = ARENA_ARRAY(t->arena, struct ledger_account, room);
                if (t->n_accounts)
                        memcpy(more, t->accounts, t->n_accounts * sizeof(*more));
                t->accounts = more;
                t->room = room;
        }
        int r = ledger_account_load(t->db, t->arena, id, &t->accounts[t->n_accounts]);
        if (r == 0)
                *ret = &t->accounts[t->n_accounts++];
        return r == CARE_E_ABSENT ? -EUCLEAN : r;
}

static int read_slice(struct tracing *t, const char *account, enum ledger_side_of side, int64_t from, struct ledger_row **ret,
                      size_t *ret_n)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        *ret = ARENA_ARRAY(t->arena, struct ledger_row, SLICE);
        *ret_n = 0;
        int r = ledger_side_query(t->db, account, side, from, SLICE, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                ledger_row_read(rows, t->arena, &(*ret)[(*ret_n)++]);
                r = 0;
        }
        return r;
}

/* --- parts ------------------------------------------------------------------------------------------------------------- */

static void end_part(struct tracing *t, int64_t amount, const struct step *last)
{
        struct traced_part *part = &t->out->parts[t->out->n++];
        *part = (struct traced_part){.amount = amount, .n = last->depth};
        part->way = ARENA_ARRAY(t->arena, const struct ledger_row *, last->depth);
        /* Backwards the last step is the source's; forwards it is the end. */
        size_t i = t->forward ? last->depth : 0;
        for (const struct step *s = last; s; s = s->next)
                part->way[t->forward ? --i : i++] = s->row;
}

static bool is_full(struct tracing *t)
{
        t->out->more = t->out->more || t->out->n == TRACE_PARTS;
        return t->out->n == TRACE_PARTS;
}

/* Where the row's amount begins on this side of its account. */
static int64_t begins(const struct ledger_row *row, enum ledger_side_of side)
{
        return (side == LEDGER_DEBITS ? row->debit_side.after.debits_posted : row->credit_side.after.credits_posted) - row->amount;
}

static int follow(struct tracing *t, const struct step *step, int64_t from, int64_t to);

static int follow_to(struct tracing *t, const struct step *step, const struct ledger_row *row, int64_t from, int64_t to)
{
        const struct step next = {.next = step, .row = row, .depth = step->depth + 1};
        return follow(t, &next, from, to);
}

/* The rows on the other side of the account whose intervals cover (from, to], those of its `side`. *ret_to: so far they do. */
static int follow_rows(struct tracing *t, const struct step *step, const struct ledger_account *account, enum ledger_side_of side,
                       int64_t from, int64_t to, int64_t *ret_to)
{
        int64_t number;
        size_t n = SLICE;
        int r = ledger_find_posted(t->db, account, side, from, &number);
        while (r == 0 && n == SLICE && from < to && !is_full(t)) {
                struct ledger_row *rows;
                r = read_slice(t, account->id, side, number, &rows, &n);
                for (size_t i = 0; r == 0 && i < n && from < to && !is_full(t); i++) {
                        int64_t begin = begins(&rows[i], side), end = begin + rows[i].amount < to ? begin + rows[i].amount : to;
                        r = follow_to(t, step, &rows[i], from - begin, end - begin);
                        from = end;
                        number = 1 + (side == LEDGER_DEBITS ? rows[i].debit_side.number : rows[i].credit_side.number);
                }
        }
        *ret_to = from;
        return r;
}

/* From a SPENT account: forwards by what reversed the row, backwards by what the row reversed. */
static int follow_reversal(struct tracing *t, const struct step *step, int64_t from, int64_t to)
{
        struct ledger_row *row = ARENA_NEW(t->arena, struct ledger_row);
        int r = t->forward ? ledger_settlement_load(t->db, t->arena, step->row->id, row)
                           : ledger_row_load(t->db, t->arena, step->row->of, row);
        if (r == CARE_E_ABSENT) {
                end_part(t, to - from, step);
                return 0;
        }
        return r == 0 ? follow_to(t, step, row, from, to) : r;
}

/* This part of the step's row: (from, to] of its amount. */
static int follow(struct tracing *t, const struct step *step, int64_t from, int64_t to)
{
        enum ledger_side_of near = t->forward ? LEDGER_CREDITS : LEDGER_DEBITS, far = t->forward ? LEDGER_DEBITS : LEDGER_CREDITS;
        const struct ledger_account *account;
        if (is_full(t))
                return 0;
        int r = find_account(t, t->forward ? step->row->credit : step->row->debit, &account);
        if (r != 0)
                return r;
        if (account->kind == LEDGER_SOURCE || step->depth == TRACE_WAY) {
                t->out->more = t->out->more || account->kind != LEDGER_SOURCE;
                end_part(t, to - from, step);
                return 0;
        }
        if (account->kind == LEDGER_SPENT)
                return follow_reversal(t, step, from, to);
        int64_t begin = begins(step->row, near), end;
        r = follow_rows(t, step, account, far, begin + from, begin + to, &end);
        if (r == 0 && end < begin + to && !is_full(t))
                end_part(t, begin + to - end, step); /* it is still there */
        return r;
}

int ledger_trace(struct store_conn *db, struct arena *arena, const struct ledger_row *row, bool forward, struct trace *ret)
{
        struct tracing t = {.db = db, .arena = arena, .out = ret, .forward = forward};
        struct ledger_row *settled = ARENA_NEW(arena, struct ledger_row);
        *ret = (struct trace){.parts = ARENA_ARRAY(arena, struct traced_part, TRACE_PARTS)};
        if (row->kind == LEDGER_PENDING) { /* what became of it */
                int r = ledger_settlement_load(db, arena, row->id, settled);
                if (r != 0)
                        return r == CARE_E_ABSENT ? 0 : r;
                row = settled;
        }
        if (!ledger_is_posted(row->kind))
                return 0;
        const struct step first = {.row = row, .depth = 1};
        return follow(&t, &first, 0, row->amount);
}
