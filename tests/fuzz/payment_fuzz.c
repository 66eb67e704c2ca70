/* SPDX-License-Identifier: Apache-2.0
 *
 * Any text as a bank's answer: an amount that is read is written back as the same, a reason keeps no long number and stays
 * within its bounds, and a verdict follows from the state alone.
 */
// uses: services/care/rules_payment.c
#include "services/care/rules_payment.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_amount(struct str text)
{
        char written[YUAN_SIZE];
        int64_t fen, again;
        if (yuan_parse(text, &fen) != 0)
                return;
        if (fen < 0)
                abort();
        yuan_text(fen, written);
        if (yuan_parse(str_of(written), &again) != 0 || again != fen)
                abort();
}

static void try_reason(struct str text)
{
        char kept[BANK_REASON_SIZE];
        size_t digits = 0;
        bank_reason_clean(text, kept);
        if (str_is_utf8(text) && (!str_is_utf8(str_of(kept)) || str_code_points(str_of(kept)) > 100))
                abort();
        for (const char *c = kept; *c; c++) {
                digits = *c >= '0' && *c <= '9' ? digits + 1 : 0;
                if (digits > 7)
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str rest = str_bytes(data, size);
        struct str amount = str_cut(&rest, ','), status = str_cut(&rest, ',');
        const struct bank_answer answer = {.amount = amount, .status = status};
        try_amount(amount);
        try_amount(rest);
        try_reason(rest);
        for (int state = PAYMENT_READY; state <= PAYMENT_VOID; state++) {
                int now = -1;
                enum bank_verdict verdict = bank_answer_judge(&answer, true, 1200, state, &now);
                bool open = state == PAYMENT_BATCHED || state == PAYMENT_UNKNOWN;
                if ((verdict == BANK_TAKEN) != (now != -1) || (verdict == BANK_TAKEN && !open))
                        abort();
        }
        return 0;
}
