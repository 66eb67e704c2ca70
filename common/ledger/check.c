/* SPDX-License-Identifier: Apache-2.0
 *
 * See check.h. A fault is told once, where it is: the rows behind it are held against what should stand there.
 */
#include "common/ledger/check.h"

#include <stdarg.h>
#include <stdio.h>

void ledger_check_tell(struct ledger_check *check, const char *format, ...)
{
        char text[400];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        check->findings++;
        check->found(check->arg, text);
}

void ledger_check_begin(struct ledger_check *check, const struct ledger_account *account)
{
        check->account = account;
        check->totals = (struct ledger_totals){0};
        check->number = check->time_us = 0;
        check->trusted = false;
        check->accounts++;
}

static bool totals_equal(const struct ledger_totals *a, const struct ledger_totals *b)
{
        return a->credits_posted == b->credits_posted && a->credits_pending == b->credits_pending && a->debits_posted == b->debits_posted &&
               a->debits_pending == b->debits_pending;
}

#define TOTALS_TEXT 128
static const char *totals_text(const struct ledger_totals *t, char out[TOTALS_TEXT])
{
        snprintf(out, TOTALS_TEXT, "%lld in, %lld coming, %lld out, %lld set aside", (long long)t->credits_posted,
                 (long long)t->credits_pending, (long long)t->debits_posted, (long long)t->debits_pending);
        return out;
}

/* --- a row by itself --------------------------------------------------------------------------------------------------- */

static void check_of(struct ledger_check *check, const struct ledger_entry *entry)
{
        const struct ledger_row *row = entry->row;
        struct ledger_row should = *row;
        const struct ledger_of of = {.row = entry->of};
        should.amount = row->kind == LEDGER_POST ? row->amount : 0;
        if (row->kind == LEDGER_TRANSFER || row->kind == LEDGER_PENDING) {
                if (row->of[0])
                        ledger_check_tell(check, "transfer %s: one of its kind is of no other", row->id);
                return;
        }
        if (ledger_derive(&should, &of) != LEDGER_FITS)
                ledger_check_tell(check, "transfer %s does not fit what it is of (%s)", row->id, row->of);
        else if (strcmp(should.debit, row->debit) != 0 || strcmp(should.credit, row->credit) != 0 || should.amount != row->amount)
                ledger_check_tell(check, "transfer %s has other accounts, or another amount, than what it is of (%s)", row->id, row->of);
}

static void check_fit(struct ledger_check *check, const struct ledger_entry *entry)
{
        const struct ledger_row *row = entry->row;
        if (row->kind < LEDGER_TRANSFER || row->kind > LEDGER_REVERSAL || row->amount < 1)
                ledger_check_tell(check, "transfer %s is of no kind, or of no amount", row->id);
        else if (!entry->other)
                ledger_check_tell(check, "transfer %s credits account %s, which is not there", row->id, row->credit);
        else if (!ledger_accounts_fit(row->kind, check->account, entry->other))
                ledger_check_tell(check, "transfer %s: its accounts do not fit", row->id);
        check_of(check, entry);
}

/* --- a row after those before it --------------------------------------------------------------------------------------- */

static void check_number(struct ledger_check *check, const struct ledger_row *row, int64_t number)
{
        const char *id = check->account->id;
        check->trusted = number != check->number + 1;
        if (number > check->number + 2)
                ledger_check_tell(check, "account %s: its transfers %lld to %lld are missing", id, (long long)check->number + 1, (long long)number - 1);
        else if (number == check->number + 2)
                ledger_check_tell(check, "account %s: its transfer %lld is missing", id, (long long)number - 1);
        else if (number <= check->number)
                ledger_check_tell(check, "account %s: transfer %s has the number of another", id, row->id);
        if (row->created_us < check->time_us)
                ledger_check_tell(check, "transfer %s is earlier than the one before it in account %s", row->id, id);
        check->number = number;
        check->time_us = row->created_us;
}

void ledger_check_entry(struct ledger_check *check, const struct ledger_entry *entry)
{
        const struct ledger_row *row = entry->row;
        bool debit = strcmp(row->debit, check->account->id) == 0;
        const struct ledger_side *side = debit ? &row->debit_side : &row->credit_side;
        char stands[TOTALS_TEXT], should[TOTALS_TEXT];
        check_number(check, row, side->number);
        if (debit) {
                check->rows++;
                check_fit(check, entry);
        }
        ledger_change(row, entry->of ? entry->of->amount : 0, debit, &check->totals);
        if (check->trusted)
                check->totals = side->after;
        else if (!totals_equal(&check->totals, &side->after))
                ledger_check_tell(check, "transfer %s leaves account %s with %s; it says %s", row->id, check->account->id,
                                  totals_text(&check->totals, should), totals_text(&side->after, stands));
        if (check->account->kind != LEDGER_SOURCE && ledger_available(&check->totals) < 0)
                ledger_check_tell(check, "transfer %s leaves account %s below zero", row->id, check->account->id);
}

void ledger_check_end(struct ledger_check *check)
{
        const struct ledger_account *a = check->account;
        char stands[TOTALS_TEXT], should[TOTALS_TEXT];
        if (a->version != check->number)
                ledger_check_tell(check, "account %s has %lld transfers, and says %lld", a->id, (long long)check->number, (long long)a->version);
        if (!totals_equal(&check->totals, &a->totals))
                ledger_check_tell(check, "account %s stands at %s; its transfers come to %s", a->id, totals_text(&a->totals, stands),
                                  totals_text(&check->totals, should));
}
