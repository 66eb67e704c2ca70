/* SPDX-License-Identifier: Apache-2.0
 *
 * Any text as what is known of a person: what is read is read again as the same, is whole, and shows no more masked than it may.
 */
#include "common/people/people.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
        if (!holds)
                abort();
}

static size_t stars(const char *text)
{
        size_t n = 0;
        for (; *text; text++)
                n += *text == '*';
        return n;
}

static void try_date(struct str text)
{
        char date[DATE_SIZE], again[DATE_SIZE];
        if (date_parse(text, date) != 0)
                return;
        must(date_parse(str_of(date), again) == 0 && strcmp(date, again) == 0);
        must(date_years(date, date) == 0);
}

static void try_id_number(struct str text)
{
        char number[ID_NUMBER_SIZE], again[ID_NUMBER_SIZE], masked[ID_NUMBER_SIZE], born[DATE_SIZE], date[DATE_SIZE];
        if (id_number_parse(text, "2026-07-01", number) != 0)
                return;
        must(strlen(number) == 18 && id_number_check_character(number) == number[17]);
        must(id_number_parse(str_of(number), "2026-07-01", again) == 0 && strcmp(number, again) == 0);
        id_number_born(number, born);
        must(date_parse(str_of(born), date) == 0 && strcmp(born, date) == 0 && strcmp(born, "2026-07-01") <= 0);
        id_number_mask(number, masked);
        must(strlen(masked) == 18 && stars(masked) == 16);
}

static void try_phone(struct str text)
{
        char phone[PHONE_SIZE], again[PHONE_SIZE], masked[PHONE_SIZE];
        if (phone_parse(text, phone) != 0)
                return;
        must(strlen(phone) == 11 && phone_parse(str_of(phone), again) == 0 && strcmp(phone, again) == 0);
        phone_mask(phone, masked);
        must(strlen(masked) == 11 && stars(masked) == 4);
}

static void try_bank_account(struct str text)
{
        char account[BANK_ACCOUNT_SIZE], again[BANK_ACCOUNT_SIZE], masked[BANK_ACCOUNT_SIZE];
        if (bank_account_parse(text, account) != 0)
                return;
        size_t n = strlen(account);
        must(n >= 15 && n <= 19 && luhn_digit(str_bytes(account, n - 1)) == account[n - 1]);
        must(bank_account_parse(str_of(account), again) == 0 && strcmp(account, again) == 0);
        bank_account_mask(account, masked);
        must(strlen(masked) == n && stars(masked) == n - 8);
}

static void try_name(struct str text)
{
        struct str name, again;
        if (name_parse(text, &name) != 0)
                return;
        must(str_is_utf8(name) && name.n && str_code_points(name) <= NAME_MAX_CHARACTERS);
        must(name_parse(name, &again) == 0 && str_eq(name, again));
        for (size_t i = 0; i < name.n; i++)
                must((unsigned char)name.p[i] >= 0x20 && name.p[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = str_bytes(data, size);
        try_date(text);
        try_id_number(text);
        try_phone(text);
        try_bank_account(text);
        try_name(text);
        return 0;
}
