/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of payments, of the batches in which they go to the bank, and of what is told of them. Functions run inside the
 * caller's transaction; texts that they hand out live in the given arena. Results: 0; CARE_E_ABSENT where said; STORE_E_RETRY
 * and negative errors are for the caller's caller.
 */
#pragma once

#include "rules_payment.h"
#include "store.h"

/* --- payments ---------------------------------------------------------------------------------------------------------- */

struct payment {
        const char *id, *number, *case_id, *decision, *programme;
        const char *recipient, *payee; /* the other is "" */
        const char *organization, *path;
        int64_t amount;
        const char *pending, *approvers; /* one a line */
        int state;                       /* PAYMENT_… */
        const char *batch, *bank_account_masked, *bank_reason;
        int64_t created_us, paid_us;
};
/* CARE_E_ABSENT: its number is taken. */
int payment_insert(struct store_conn *db, const struct payment *payment) MUST_USE;
int payment_load(struct store_conn *db, struct arena *arena, const char *id, struct payment *ret) MUST_USE;
/* From one state to another, with its batch, masked account, reason and time as they are in `payment`. STORE_E_RETRY: it is in
 * another state, or batch, than that. */
int payment_move(struct store_conn *db, const struct payment *payment, int from, const char *from_batch) MUST_USE;
int payment_set_account(struct store_conn *db, const char *id, const char *masked) MUST_USE;

/* The person is erased: of their accounts nothing is left. */
int payments_forget(struct store_conn *db, const char *recipient) MUST_USE;

struct payment_filter {
        struct str path;
        int state; /* 0: any */
        const char *after_path, *after_id;
};
/* payment_read after each store_next. */
int payments_query(struct store_conn *db, struct arena *arena, const struct payment_filter *filter, int64_t limit,
                   struct store_rows **ret_rows) MUST_USE;
int payments_of_case_query(struct store_conn *db, const char *case_id, int64_t limit, struct store_rows **ret_rows) MUST_USE;
void payment_read(const struct store_rows *rows, struct arena *arena, struct payment *ret);

/* --- batches ----------------------------------------------------------------------------------------------------------- */

struct payment_batch {
        const char *id, *organization, *path, *programme;
        int state; /* BATCH_… */
        int64_t payments, amount, unanswered, created_us;
        const char *made_by;
        int64_t paid, returned, unknown; /* payment_batch_count fills them */
};
/* Takes what is READY, the oldest first, at most `most`, into the batch, whose payments and amount are filled; with 0 of them
 * nothing was done. *ret_own: made_by has approved one of them. */
int payment_batch_gather(struct store_conn *db, struct payment_batch *batch, int64_t most, bool *ret_own) MUST_USE;
int payment_batch_load(struct store_conn *db, struct arena *arena, const char *id, struct payment_batch *ret) MUST_USE;
int payment_batch_count(struct store_conn *db, struct payment_batch *batch) MUST_USE;
/* The bank file was handed out. No effect once it was. */
int payment_batch_export(struct store_conn *db, const char *id) MUST_USE;

struct payment_line {
        const char *number, *payment;
        int64_t amount;
        int state;
};
int payment_line_load(struct store_conn *db, struct arena *arena, const char *batch, const char *number, struct payment_line *ret) MUST_USE;
/* What the bank says of it; with the last one the batch is RECONCILED. STORE_E_RETRY: the line is not in the state that it says. */
int payment_line_answer(struct store_conn *db, const char *batch, const struct payment_line *line, int state) MUST_USE;
/* Those of which the bank has said nothing, after that number. payment_line_read after each store_next. */
int payment_lines_query(struct store_conn *db, const char *batch, const char *after, int64_t limit, struct store_rows **ret_rows) MUST_USE;
void payment_line_read(const struct store_rows *rows, struct arena *arena, struct payment_line *ret);

/* --- disclosures --------------------------------------------------------------------------------------------------------- */

struct disclosure {
        const char *fund, *pending, *programme, *organization, *recipient, *payee;
        int64_t amount;
        const char *unit, *day;
        const char *name; /* read only: of the recipient now; "": erased, or too few were given to */
};
int disclosure_insert(struct store_conn *db, const struct disclosure *d) MUST_USE;
/* Of a fund, after that pending transfer; those that were reversed are left out. disclosure_read after each store_next. */
int disclosures_query(struct store_conn *db, const char *fund, const char *after, int64_t limit, struct store_rows **ret_rows) MUST_USE;
void disclosure_read(const struct store_rows *rows, struct arena *arena, struct disclosure *ret);
