/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bank's answer says of a payment, and which figures are too few to be said. Pure: no store, no clock.
 */
#pragma once

#include "common/base/str.h"
#include "nuanxin/care/v1/payment.pb-c.h"

/* The contract's values under names that fit on a line. */
enum {
        PAYMENT_READY = NUANXIN__CARE__V1__PAYMENT__STATE__READY,
        PAYMENT_BATCHED = NUANXIN__CARE__V1__PAYMENT__STATE__BATCHED,
        PAYMENT_PAID = NUANXIN__CARE__V1__PAYMENT__STATE__PAID,
        PAYMENT_RETURNED = NUANXIN__CARE__V1__PAYMENT__STATE__RETURNED,
        PAYMENT_UNKNOWN = NUANXIN__CARE__V1__PAYMENT__STATE__UNKNOWN,
        PAYMENT_VOID = NUANXIN__CARE__V1__PAYMENT__STATE__VOID,
};
enum {
        BATCH_MADE = NUANXIN__CARE__V1__PAYMENT_BATCH__STATE__MADE,
        BATCH_EXPORTED = NUANXIN__CARE__V1__PAYMENT_BATCH__STATE__EXPORTED,
        BATCH_RECONCILED = NUANXIN__CARE__V1__PAYMENT_BATCH__STATE__RECONCILED,
};

/* --- amounts ------------------------------------------------------------------------------------------------------------ */

#define YUAN_SIZE 24 /* of any amount, and the NUL */
/* Fen as yuan with two places, "1200.00"; not negative. */
void yuan_text(int64_t fen, char out[YUAN_SIZE]);
/* "1200.00", "1200", "1,200.5", "¥1200.00": at most two places, groups of three. -EINVAL: it is none; -ERANGE: too much. */
int yuan_parse(struct str text, int64_t *ret_fen) MUST_USE;

/* --- the bank's answer ---------------------------------------------------------------------------------------------------- */

/* paid, returned, unknown; 成功, 失败, 未知: a payment's state; 0 for anything else. */
int bank_status_parse(struct str text);

/* What may be kept of the bank's reason: at most 100 characters, and none of the numbers by which persons are known. */
#define BANK_REASON_SIZE 401
void bank_reason_clean(struct str text, char out[BANK_REASON_SIZE]);

enum bank_verdict {
        BANK_TAKEN,             /* the payment is in *ret_state now */
        BANK_UNCHANGED,         /* that was said before */
        BANK_PAYMENT_UNKNOWN,   /* no payment of the batch has this number */
        BANK_AMOUNT_INVALID,    /* no amount */
        BANK_AMOUNT_DIFFERS,    /* not the payment's */
        BANK_STATUS_INVALID,    /* none of the six */
        BANK_ANSWERED_OTHERWISE /* it was paid or returned before, and the bank said so */
};
struct bank_answer {
        struct str amount, status; /* as they stand in the file, trimmed */
};
/* known: the batch has the payment; then its amount and its state in the batch. */
enum bank_verdict bank_answer_judge(const struct bank_answer *answer, bool known, int64_t amount, int state, int *ret_state);

/* --- figures -------------------------------------------------------------------------------------------------------------- */

#define FIGURE_LEAST 5 /* what is less is not said; none at all may be */

/* Of n cells (what an organisation has itself, and each part below it) whose sum is told too, unless total_hidden: which must
 * not be said, so that no cell of less than FIGURE_LEAST can be worked out. Each that is hidden could then be as many as
 * FIGURE_LEAST, as far as the rest tells. total_hidden: the sum is not told, since it could be worked out what others are; then
 * something is hidden here that it is not the sum of what is told.
 * false: the sum itself must not be said. */
bool figures_hide(const int64_t *cells, size_t n, bool total_hidden, bool *hidden);
