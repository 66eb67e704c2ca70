/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers of persons: of the ID card, the phone, the bank card.
 */
#include "common/people/people.h"

#include <stdio.h>

static bool all_digits(struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] < '0' || s.p[i] > '9')
                        return false;
        return s.n > 0;
}

char id_number_check_character(const char *digits17)
{
        static const int weights[17] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
        int sum = 0;
        for (int i = 0; i < 17; i++)
                sum += (digits17[i] - '0') * weights[i];
        return "10X98765432"[sum % 11];
}

int id_number_parse(struct str text, const char *today, char ret_number[ID_NUMBER_SIZE])
{
        char number[ID_NUMBER_SIZE], born[DATE_SIZE];
        struct str s = str_trim(text);
        if (s.n != 18 || !all_digits(str_bytes(s.p, 17)) || s.p[0] == '0')
                return -EINVAL;
        memcpy(number, s.p, 18);
        number[18] = 0;
        if (number[17] == 'x')
                number[17] = 'X';
        id_number_born(number, born);
        if (date_parse(str_of(born), born) != 0 || strcmp(born, today) > 0)
                return -EINVAL;
        if (number[17] != id_number_check_character(number))
                return -EINVAL;
        memcpy(ret_number, number, ID_NUMBER_SIZE);
        return 0;
}

void id_number_born(const char *number, char out[DATE_SIZE])
{
        snprintf(out, DATE_SIZE, "%.4s-%.2s-%.2s", number + 6, number + 10, number + 12);
}

void id_number_mask(const char *number, char out[ID_NUMBER_SIZE])
{
        memset(out, '*', ID_NUMBER_SIZE - 1);
        out[0] = number[0];
        out[ID_NUMBER_SIZE - 2] = number[ID_NUMBER_SIZE - 2];
        out[ID_NUMBER_SIZE - 1] = 0;
}

int phone_parse(struct str text, char ret_phone[PHONE_SIZE])
{
        static const char *const prefixes[] = {"+86", "0086", "86"};
        char compact[24];
        struct str s = {compact, 0};
        for (size_t i = 0; i < text.n; i++) {
                if (text.p[i] == ' ' || text.p[i] == '-')
                        continue;
                if (s.n == sizeof(compact))
                        return -EINVAL;
                compact[s.n++] = text.p[i];
        }
        for (size_t i = 0; i < ARRAY_LEN(prefixes) && s.n > PHONE_SIZE - 1; i++)
                if (str_starts(s, str_of(prefixes[i])))
                        s = str_bytes(s.p + strlen(prefixes[i]), s.n - strlen(prefixes[i]));
        if (s.n != PHONE_SIZE - 1 || !all_digits(s) || s.p[0] != '1' || s.p[1] < '3')
                return -EINVAL;
        memcpy(ret_phone, s.p, s.n);
        ret_phone[s.n] = 0;
        return 0;
}

void phone_mask(const char *phone, char out[PHONE_SIZE])
{
        snprintf(out, PHONE_SIZE, "%.3s****%.4s", phone, phone + 7);
}

/* --- bank accounts ---------------------------------------------------------------------------------------- */

#define SHORTEST_ACCOUNT 15

/* From the right every second digit doubled, beginning with the one before the check digit. */
char luhn_digit(struct str digits)
{
        int sum = 0;
        for (size_t i = 0; i < digits.n; i++) {
                int d = digits.p[digits.n - 1 - i] - '0';
                if (i % 2 == 0)
                        d = d * 2 > 9 ? d * 2 - 9 : d * 2;
                sum += d;
        }
        return (char)('0' + (10 - sum % 10) % 10);
}

int bank_account_parse(struct str text, char ret_account[BANK_ACCOUNT_SIZE])
{
        char compact[BANK_ACCOUNT_SIZE];
        struct str s = {compact, 0};
        for (size_t i = 0; i < text.n; i++) {
                if (text.p[i] == ' ' || text.p[i] == '-')
                        continue;
                if (s.n == sizeof(compact) - 1)
                        return -EINVAL;
                compact[s.n++] = text.p[i];
        }
        if (s.n < SHORTEST_ACCOUNT || !all_digits(s))
                return -EINVAL;
        compact[s.n] = 0;
        if (compact[s.n - 1] != luhn_digit(str_bytes(compact, s.n - 1)))
                return -EBADMSG;
        memcpy(ret_account, compact, s.n + 1);
        return 0;
}

void bank_account_mask(const char *account, char out[BANK_ACCOUNT_SIZE])
{
        size_t n = strlen(account);
        memcpy(out, account, n + 1);
        memset(out + 4, '*', n - 8);
}
