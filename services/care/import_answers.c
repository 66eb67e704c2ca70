/* SPDX-License-Identifier: Apache-2.0
 *
 * The import of a bank's answers, row by row: each says of one payment of the batch that the import is about whether it was paid.
 * What was taken once is found answered, so the same file again changes nothing.
 */
#include "import.h"

#include "handle.h"
#include "handle_payment.h"
#include "payment.h"

int import_answers_prepare(struct import_step *step)
{
        (void)step;
        return 0;
}

static int fault_of(enum bank_verdict verdict, size_t *ret_column)
{
        static const struct {
                int fault;
                size_t column;
        } of[] = {
                [BANK_PAYMENT_UNKNOWN] = {CARE_FAULT_PAYMENT_UNKNOWN, ANSWER_NUMBER},
                [BANK_AMOUNT_INVALID] = {CARE_FAULT_AMOUNT_INVALID, ANSWER_AMOUNT},
                [BANK_AMOUNT_DIFFERS] = {CARE_FAULT_AMOUNT_DIFFERS, ANSWER_AMOUNT},
                [BANK_STATUS_INVALID] = {CARE_FAULT_STATUS_INVALID, ANSWER_STATUS},
                [BANK_ANSWERED_OTHERWISE] = {CARE_FAULT_ANSWERED_OTHERWISE, ANSWER_STATUS},
        };
        *ret_column = of[verdict].column;
        return of[verdict].fault;
}

/* In a file that is only checked: what taking it would find among the rows before. */
static int check_before(struct import_step *s, const struct csv_row *row, const struct payment_line *line, int state)
{
        enum import_seen seen;
        int r = import_check_before(s, str_of(line->number), arena_printf(rpc_arena(s->call), "%d", state), &seen);
        if (r == 0 && seen == SEEN_OTHERWISE)
                return import_refuse_row(s, row, CARE_FAULT_ANSWERED_OTHERWISE, ANSWER_STATUS);
        if (r == 0)
                *(seen == SEEN_ALIKE ? &s->import->unchanged : &s->import->accepted) += 1;
        return r;
}

/* Whoever began it: the rows are taken later, by nobody. */
static const char *actor_of(const struct import *import)
{
        const char *colon = strchr(import->owner, ':');
        return colon ? colon + 1 : import->owner;
}

static int take(struct import_step *s, const struct csv_row *row, const struct payment_line *line, int state)
{
        char *reason = arena_zalloc(rpc_arena(s->call), BANK_REASON_SIZE);
        bool covered = true;
        int r = state == PAYMENT_PAID ? payment_is_covered(s->call, line->payment, &covered) : 0;
        if (r == 0 && !covered)
                return import_refuse_row(s, row, CARE_FAULT_NOT_RESERVED, ANSWER_NUMBER);
        if (r != 0 || s->import->validate_only)
                return r == 0 ? check_before(s, row, line, state) : r;
        if (state == PAYMENT_RETURNED)
                bank_reason_clean(import_field(row, &s->header, ANSWER_REASON), reason);
        r = payment_answer(s->call, s->import->about, line, state, reason, actor_of(s->import));
        s->import->accepted += r == 0;
        return r;
}

int import_answers_take(struct import_step *s, const struct csv_row *row)
{
        const struct bank_answer answer = {
                .amount = import_field(row, &s->header, ANSWER_AMOUNT),
                .status = import_field(row, &s->header, ANSWER_STATUS),
        };
        struct str number = import_field(row, &s->header, ANSWER_NUMBER);
        struct payment_line line = {0};
        int state = 0;
        size_t column = ANSWER_N_COLUMNS;
        int r = payment_line_load(rpc_db(s->call), rpc_arena(s->call), s->import->about,
                                  arena_strndup(rpc_arena(s->call), number.p, number.n), &line);
        if (r != 0 && r != CARE_E_ABSENT)
                return r;
        enum bank_verdict verdict = bank_answer_judge(&answer, r == 0, line.amount, line.state, &state);
        if (verdict == BANK_TAKEN)
                return take(s, row, &line, state);
        if (verdict != BANK_UNCHANGED)
                return import_refuse_row(s, row, fault_of(verdict, &column), column);
        s->import->unchanged++;
        return 0;
}

/* A file is begun for a batch that the bank has and has not answered wholly; once begun it is taken to its end. */
int handle_import_bank_answers(struct rpc_call *call, const ImportBankAnswersRequest *request,
                               Nuanxin__Membership__V1__Operation *response)
{
        struct payment_batch batch;
        struct import begun;
        int r = find_batch(call, request->batch, &batch);
        if (r != 0)
                return r;
        r = import_get(rpc_db(call), rpc_arena(call), request->upload, &begun);
        if (r == -ENOENT && batch.state != BATCH_EXPORTED)
                return rpc_refuse(call, PROBLEM(PAYMENT_FILE_MISMATCH), batch.id);
        if (r != 0 && r != -ENOENT)
                return r;
        return import_upload(call, &care_imports,
                             &(const struct import_chunk){
                                     .kind = &care_imports.kinds[CARE_IMPORT_ANSWERS],
                                     .upload = request->upload,
                                     .organization = batch.organization,
                                     .about = batch.id,
                                     .offset = request->offset,
                                     .data = str_bytes(request->data.data, request->data.len),
                                     .last = request->last,
                                     .validate_only = request->validate_only,
                             },
                             response);
}
