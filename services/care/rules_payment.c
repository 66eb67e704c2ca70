/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of banks, row by row; figures, cell by cell.
 */
#include "rules_payment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* --- amounts ------------------------------------------------------------------------------------------------------------ */

#define YUAN_MOST INT64_C(90000000000000) /* more than any account counts, in yuan */

void yuan_text(int64_t fen, char out[YUAN_SIZE])
{
        snprintf(out, YUAN_SIZE, "%" PRId64 ".%02d", fen / 100, (int)(fen % 100));
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* Digits, in groups of three once there is a comma: the value, or what is wrong. */
static int whole_parse(struct str text, int64_t *ret)
{
        int64_t value = 0;
        size_t group = 0;
        bool grouped = false;
        for (size_t i = 0; i < text.n; i++) {
                char c = text.p[i];
                if (c == ',') {
                        if (group == 0 || group > 3 || (grouped && group != 3))
                                return -EINVAL;
                        grouped = true;
                        group = 0;
                        continue;
                }
                if (!is_digit(c))
                        return -EINVAL;
                group++;
                value = 10 * value + (c - '0');
                if (value > YUAN_MOST)
                        return -ERANGE;
        }
        if (group == 0 || (grouped && group != 3))
                return -EINVAL;
        *ret = value;
        return 0;
}

int yuan_parse(struct str text, int64_t *ret_fen)
{
        int64_t yuan, fen = 0;
        struct str rest = str_trim(text);
        if (str_starts(rest, STR("¥")))
                rest = str_bytes(rest.p + sizeof("¥") - 1, rest.n - (sizeof("¥") - 1));
        bool point = rest.n && memchr(rest.p, '.', rest.n);
        struct str whole = str_cut(&rest, '.');
        int r = whole_parse(whole, &yuan);
        if (r != 0)
                return r;
        if ((point && rest.n == 0) || rest.n > 2)
                return -EINVAL;
        for (size_t i = 0; i < 2; i++) {
                if (i < rest.n && !is_digit(rest.p[i]))
                        return -EINVAL;
                fen = 10 * fen + (i < rest.n ? rest.p[i] - '0' : 0);
        }
        *ret_fen = 100 * yuan + fen;
        return 0;
}

/* --- the bank's answer ---------------------------------------------------------------------------------------------------- */

int bank_status_parse(struct str text)
{
        static const struct {
                const char *name, *name_zh;
                int state;
        } known[] = {
                {"paid", "成功", PAYMENT_PAID},
                {"returned", "失败", PAYMENT_RETURNED},
                {"unknown", "未知", PAYMENT_UNKNOWN},
        };
        struct str status = str_trim(text);
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
                if (str_case_eq(status, str_of(known[i].name)) || str_is(status, known[i].name_zh))
                        return known[i].state;
        return 0;
}

#define REASON_CHARACTERS 100
#define NUMBER_DIGITS     7 /* more in a row are an account, a phone, an ID number */
#define SPREAD_DIGITS     10 /* and so are more with a space or hyphen here and there: a day and an hour have as many */

static size_t digits_at(struct str text, size_t i)
{
        size_t n = 0;
        while (i + n < text.n && is_digit(text.p[i + n]))
                n++;
        return n;
}

/* How far what stands there is a number that says too much; 0: it is none. */
static size_t number_at(struct str text, size_t i)
{
        size_t n = digits_at(text, i), digits = n, more;
        bool is_long = n > NUMBER_DIGITS;
        while (n && i + n < text.n && (text.p[i + n] == ' ' || text.p[i + n] == '-') && (more = digits_at(text, i + n + 1))) {
                n += 1 + more;
                digits += more;
        }
        return is_long || digits > SPREAD_DIGITS ? n : 0;
}

void bank_reason_clean(struct str text, char out[BANK_REASON_SIZE])
{
        struct str reason = str_trim(text);
        size_t at = 0, characters = 0;
        for (size_t i = 0; i < reason.n;) {
                size_t number = number_at(reason, i), digits = digits_at(reason, i), length = number ? number : digits ? digits : 1;
                while (!digits && i + length < reason.n && ((unsigned char)reason.p[i + length] & 0xc0) == 0x80)
                        length++;
                if (number) {
                        if (++characters > REASON_CHARACTERS || at + 1 >= BANK_REASON_SIZE)
                                break;
                        out[at++] = '*';
                } else {
                        characters += digits ? digits : 1;
                        if (characters > REASON_CHARACTERS || at + length >= BANK_REASON_SIZE)
                                break;
                        memcpy(out + at, reason.p + i, length);
                        at += length;
                }
                i += length;
        }
        out[at] = 0;
}

enum bank_verdict bank_answer_judge(const struct bank_answer *answer, bool known, int64_t amount, int state, int *ret_state)
{
        int64_t fen;
        int says = bank_status_parse(answer->status);
        if (!known)
                return BANK_PAYMENT_UNKNOWN;
        if (yuan_parse(answer->amount, &fen) != 0)
                return BANK_AMOUNT_INVALID;
        if (fen != amount)
                return BANK_AMOUNT_DIFFERS;
        if (!says)
                return BANK_STATUS_INVALID;
        if (says == state)
                return BANK_UNCHANGED;
        if (state != PAYMENT_BATCHED && state != PAYMENT_UNKNOWN)
                return BANK_ANSWERED_OTHERWISE;
        *ret_state = says;
        return BANK_TAKEN;
}

/* --- figures -------------------------------------------------------------------------------------------------------------- */

static bool is_few(int64_t cell)
{
        return cell > 0 && cell < FIGURE_LEAST;
}

/* The smallest cell that is told and not none: n if there is no such. */
static size_t smallest(const int64_t *cells, size_t n, const bool *hidden)
{
        size_t found = n;
        for (size_t i = 0; i < n; i++)
                if (!hidden[i] && cells[i] > 0 && (found == n || cells[i] < cells[found]))
                        found = i;
        return found;
}

bool figures_hide(const int64_t *cells, size_t n, bool total_hidden, bool *hidden)
{
        int64_t total = 0, sum = 0;
        size_t count = 0, next;
        for (size_t i = 0; i < n; i++) {
                total += cells[i];
                hidden[i] = is_few(cells[i]);
                sum += hidden[i] ? cells[i] : 0;
                count += hidden[i];
        }
        bool told = !total_hidden && !is_few(total);
        if (!told && total > 0 && count == 0)
                hidden[smallest(cells, n, hidden)] = true;
        if (!told || count == 0)
                return told;
        /* Each hidden one is at least 1: what is left of the sum is how many any of them may be. */
        while (count < 2 || sum - (int64_t)count + 1 < FIGURE_LEAST) {
                next = smallest(cells, n, hidden);
                if (next == n) {
                        memset(hidden, true, n * sizeof(*hidden)); /* now any of them may be none, too */
                        break;
                }
                hidden[next] = true;
                sum += cells[next];
                count++;
        }
        return true;
}
