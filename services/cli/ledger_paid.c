/* SPDX-License-Identifier: Apache-2.0
 *
 * ledger verify: whether what was decided, put up for payment, paid and told to everybody is what the ledger has of it.
 */
#include "nuanxin/care/v1/payment.pb-c.h"
#include "services/cli/ledger.h"

#include <inttypes.h>
#include <string.h>

/* The states of care_decision, as the care service's schema has them. */
enum { NOTHING, RESERVED, GIVEN, GIVEN_BACK, PUT_UP };
enum {
        READY = NUANXIN__CARE__V1__PAYMENT__STATE__READY,
        PAID = NUANXIN__CARE__V1__PAYMENT__STATE__PAID,
        VOID = NUANXIN__CARE__V1__PAYMENT__STATE__VOID,
};

struct decision {
        const char *id, *case_id, *pending;
        int64_t amount;
        int state;
        const char *payment, *paid_of; /* its number, and what that says is set aside; "": there is none */
        int64_t payment_amount;
        int payment_state;
};

/* --- what was set aside for a decision ------------------------------------------------------------------------------------ */

struct part {
        const char *case_id;
        int64_t amount, posted;
        int settled; /* the kind of what settles it; 0: nothing does */
};

/* -ENODATA: nothing was set aside under this id. */
static int read_part(struct store_conn *db, struct arena *arena, struct str id, struct part *ret)
{
        static const char sql[] = "SELECT t.case_id, t.amount, COALESCE(s.kind, 0), COALESCE(s.amount, 0) FROM ledger_transfer t "
                                  "LEFT JOIN ledger_transfer s ON s.of_id = t.id WHERE t.id = $1 AND t.kind = 2 LIMIT 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXT(id));
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r == 0 ? -ENODATA : r;
        *ret = (struct part){store_text_dup(rows, 0, arena), store_i64(rows, 1), store_i64(rows, 3), (int)store_i64(rows, 2)};
        return 0;
}

/* What has become of that which is set aside for a decision in this state; -1: nothing can be. */
static int settled_by(int state)
{
        switch (state) {
        case RESERVED:
        case PUT_UP:
                return 0;
        case GIVEN:
                return LEDGER_POST;
        case GIVEN_BACK:
                return LEDGER_VOID;
        default:
                return -1;
        }
}

static const char *settlement_name(int kind)
{
        return kind == LEDGER_POST ? "posted" : kind == LEDGER_VOID ? "voided" : "set aside";
}

static void check_part(struct ledger_check *check, const struct decision *d, struct str id, const struct part *part)
{
        int should = settled_by(d->state);
        int n = (int)id.n;
        if (strcmp(part->case_id, d->case_id) != 0)
                ledger_check_tell(check, "decision %s: transfer %.*s was not set aside for its case", d->id, n, id.p);
        if (part->settled != should)
                ledger_check_tell(check, "decision %s%s%s: transfer %.*s should be %s, and is %s", d->id, d->payment[0] ? ", payment " : "",
                                  d->payment, n, id.p, settlement_name(should), settlement_name(part->settled));
        else if (should == LEDGER_POST && part->posted != part->amount)
                ledger_check_tell(check, "decision %s%s%s: transfer %.*s was posted in part", d->id, d->payment[0] ? ", payment " : "",
                                  d->payment, n, id.p);
}

static int check_parts(struct store_conn *db, struct arena *arena, struct ledger_check *check, const struct decision *d)
{
        struct str rest = str_of(d->pending);
        int64_t sum = 0;
        int r = 0;
        while (r == 0 && rest.n) {
                struct str id = str_cut(&rest, '\n');
                struct part part;
                r = read_part(db, arena, id, &part);
                if (r == 0) {
                        check_part(check, d, id, &part);
                        sum += part.amount;
                } else if (r == -ENODATA) {
                        ledger_check_tell(check, "decision %s: transfer %.*s is not there", d->id, (int)id.n, id.p);
                        r = 0;
                }
        }
        if (r == 0 && sum != d->amount)
                ledger_check_tell(check, "decision %s gives %" PRId64 ", and %" PRId64 " was set aside for it", d->id, d->amount, sum);
        return r;
}

/* --- its payment ---------------------------------------------------------------------------------------------------------- */

static bool payment_fits(const struct decision *d)
{
        switch (d->state) {
        case GIVEN: /* or it was handed over */
                return !d->payment[0] || d->payment_state == PAID;
        case GIVEN_BACK:
                return !d->payment[0] || d->payment_state == VOID;
        case PUT_UP:
                return d->payment[0] && d->payment_state >= READY && d->payment_state != PAID && d->payment_state != VOID;
        default:
                return !d->payment[0];
        }
}

static void check_payment(struct ledger_check *check, const struct decision *d)
{
        static const char *const states[] = {"", "READY", "BATCHED", "PAID", "RETURNED", "UNKNOWN", "VOID"};
        static const char *const decided[] = {"nothing", "reserved", "given", "given back", "put up for payment"};
        if (d->state < NOTHING || d->state > PUT_UP) {
                ledger_check_tell(check, "decision %s is in a state that there is not", d->id);
                return;
        }
        if (!payment_fits(d)) {
                bool known = d->payment_state >= READY && d->payment_state <= VOID;
                ledger_check_tell(check, "decision %s is %s, and its payment %s is %s", d->id, decided[d->state], d->payment,
                                  !d->payment[0] ? "not there" : known ? states[d->payment_state] : "in a state that there is not");
        }
        if (d->payment[0] && (d->payment_amount != d->amount || strcmp(d->paid_of, d->pending) != 0))
                ledger_check_tell(check, "payment %s is not of what decision %s set aside", d->payment, d->id);
}

/* --- page by page --------------------------------------------------------------------------------------------------------- */

static int read_decisions(struct store_conn *db, struct arena *arena, const char *after, struct decision *out, size_t room, size_t *ret_n)
{
        static const char sql[] =
                "SELECT d.id, d.case_id, d.pending, d.amount, d.state, p.number, p.pending, p.amount, p.state FROM care_decision d "
                "LEFT JOIN care_payment p ON p.case_id = d.case_id AND p.decision = d.id WHERE d.id > $1 ORDER BY d.id LIMIT $2";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(after), I64((int64_t)room));
        *ret_n = 0;
        while (r == 0 && (r = store_next(rows)) == 1) {
                out[(*ret_n)++] = (struct decision){
                        .id = store_text_dup(rows, 0, arena),
                        .case_id = store_text_dup(rows, 1, arena),
                        .pending = store_text_dup(rows, 2, arena),
                        .amount = store_i64(rows, 3),
                        .state = (int)store_i64(rows, 4),
                        .payment = store_text_dup(rows, 5, arena),
                        .paid_of = store_text_dup(rows, 6, arena),
                        .payment_amount = store_i64(rows, 7),
                        .payment_state = (int)store_i64(rows, 8),
                };
                r = 0;
        }
        return r;
}

int ledger_check_decisions(struct store_conn *db, struct arena *arena, struct ledger_check *check, const char **after, size_t room,
                           size_t *ret_n)
{
        struct decision *decisions = ARENA_ARRAY(arena, struct decision, room);
        int r = read_decisions(db, arena, *after, decisions, room, ret_n);
        for (size_t i = 0; r == 0 && i < *ret_n; i++) {
                check_payment(check, &decisions[i]);
                r = check_parts(db, arena, check, &decisions[i]);
                *after = decisions[i].id;
        }
        return r;
}

/* --- of the whole --------------------------------------------------------------------------------------------------------- */

/* What is set aside for a case is one decision's. */
static const char not_decided[] =
        "SELECT t.id FROM ledger_transfer t WHERE t.kind = 2 AND t.case_id <> '' AND (SELECT COUNT(*) FROM care_decision d "
        "WHERE d.case_id = t.case_id AND d.pending LIKE '%' || t.id || '%') <> 1";
static const char settled_twice[] = "SELECT of_id FROM ledger_transfer WHERE of_id IS NOT NULL GROUP BY of_id HAVING COUNT(*) > 1";
static const char cases_decided[] =
        "SELECT c.id FROM care_case c LEFT JOIN (SELECT case_id, SUM(CASE WHEN state <> 3 THEN amount ELSE 0 END) AS granted, "
        "SUM(CASE WHEN state IN (1, 4) THEN amount ELSE 0 END) AS reserved, SUM(CASE WHEN state = 2 THEN amount ELSE 0 END) AS paid "
        "FROM care_decision GROUP BY case_id) AS d ON d.case_id = c.id WHERE COALESCE(d.granted, 0) <> c.granted "
        "OR COALESCE(d.reserved, 0) <> c.reserved OR COALESCE(d.paid, 0) <> c.paid";
static const char of_no_case[] = "SELECT d.id FROM care_decision d WHERE NOT EXISTS (SELECT 1 FROM care_case c WHERE c.id = d.case_id)";
static const char paid_twice[] = "SELECT decision FROM care_payment GROUP BY decision HAVING COUNT(*) > 1";
static const char of_no_decision[] = "SELECT p.number FROM care_payment p LEFT JOIN care_decision d ON d.id = p.decision "
                                     "WHERE d.id IS NULL OR d.case_id <> p.case_id";
/* Paid is what one batch says was paid; each batch says the same amount. */
static const char answered[] =
        "SELECT p.number FROM care_payment p LEFT JOIN (SELECT payment, SUM(CASE WHEN state = 3 THEN 1 ELSE 0 END) AS paid, "
        "MIN(amount) AS least, MAX(amount) AS most FROM care_payment_line GROUP BY payment) AS l ON l.payment = p.id "
        "WHERE COALESCE(l.paid, 0) <> CASE WHEN p.state = 3 THEN 1 ELSE 0 END OR COALESCE(l.least, p.amount) <> p.amount OR COALESCE(l.most, p.amount) <> p.amount";
static const char batches[] =
        "SELECT b.id FROM care_payment_batch b LEFT JOIN (SELECT batch, COUNT(*) AS n, SUM(amount) AS amount, "
        "SUM(CASE WHEN state IN (3, 4) THEN 0 ELSE 1 END) AS unanswered FROM care_payment_line GROUP BY batch) AS l ON l.batch = b.id "
        "WHERE COALESCE(l.n, 0) <> b.payments OR COALESCE(l.amount, 0) <> b.amount OR COALESCE(l.unanswered, 0) <> b.unanswered "
        "OR CASE WHEN b.state = 3 THEN 1 ELSE 0 END <> CASE WHEN b.unanswered = 0 THEN 1 ELSE 0 END";
static const char not_disclosed[] =
        "SELECT t.of_id FROM ledger_transfer t JOIN ledger_account a ON a.id = t.debit LEFT JOIN care_disclosure x ON x.fund = a.fund "
        "AND x.pending = t.of_id WHERE t.kind = 3 AND t.case_id <> '' AND (x.amount IS NULL OR x.amount <> t.amount)";
static const char disclosed_only[] =
        "SELECT x.pending FROM care_disclosure x LEFT JOIN ledger_transfer t ON t.of_id = x.pending AND t.kind = 3 WHERE t.id IS NULL";

const struct ledger_rule ledger_rules[] = {
        {not_decided, "transfer %s was set aside for a case, and is not of one decision"},
        {settled_twice, "transfer %s was settled more than once"},
        {cases_decided, "case %s: what it says was granted, reserved and paid is not what was decided"},
        {of_no_case, "decision %s is of no case"},
        {paid_twice, "decision %s is paid by more than one payment"},
        {of_no_decision, "payment %s is of no decision"},
        {answered, "payment %s is not what its batches say of it"},
        {batches, "batch %s: its payments, their amount or how many are not answered are not what its lines come to"},
        {not_disclosed, "what transfer %s set aside was given, and is not told to everybody, or another amount is"},
        {disclosed_only, "what transfer %s set aside is told to everybody, and was not given"},
        {NULL, NULL},
};
