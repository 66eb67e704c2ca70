/* SPDX-License-Identifier: Apache-2.0
 *
 * Payments as cases use them, within the call's own transaction.
 */
#pragma once

#include "common/rpc/rpc.h"
#include "store_payment.h"

/* What is to be paid of a decision. */
struct payment_terms {
        const char *case_id, *decision, *programme;
        const char *recipient, *payee;   /* the person; or the organisation that the case is about: the other is "" */
        const char *organization, *path; /* that pays */
        int64_t amount;                  /* fen, at least 1: what the pending transfers come to */
        const char *const *pending;      /* transfers that set it aside */
        size_t n_pending;
        const char *const *approvers;    /* accounts that approved it at any stage */
        size_t n_approvers;
};
/* It is READY from now on. */
int payment_put_up(struct rpc_call *call, const struct payment_terms *terms, const char **ret_id) MUST_USE;

/* How many of a case's payments are on their way: neither PAID nor VOID; and of these, how many the bank may have. */
int payments_left(struct rpc_call *call, const char *case_id, int64_t *ret_left, int64_t *ret_with_bank) MUST_USE;
/* Gives up those that the bank has not (READY, RETURNED), and gives back what was set aside for them. */
int payments_withdraw(struct rpc_call *call, const char *case_id, const char *actor, const char *reason) MUST_USE;

/* Gives up one that the bank has not: VOID, and what was set aside for it is given back. */
int payment_give_up(struct rpc_call *call, struct payment *payment, const char *actor, const char *reason) MUST_USE;

/* What the bank, or the lack of an account, says of a payment in a batch, once bank_answer_judge has taken it. state: PAYMENT_PAID
 * (what was set aside is spent), RETURNED, UNKNOWN. reason: as bank_reason_clean gives it. */
int payment_answer(struct rpc_call *call, const char *batch, const struct payment_line *line, int state, const char *reason,
                   const char *actor) MUST_USE;
/* Is all still set aside that this payment is to be paid of? */
int payment_is_covered(struct rpc_call *call, const char *payment, bool *ret) MUST_USE;

/* A payment of the case that came back was settled: the task is done, if no other came back. */
int payment_task_done(struct rpc_call *call, const char *case_id) MUST_USE;

/* What was given stands in the public lists of its funds from now on; also goods, once they were delivered. */
int benefit_disclose(struct rpc_call *call, const char *programme, const char *recipient, const char *payee, const char *const *pending,
                     size_t n_pending) MUST_USE;
