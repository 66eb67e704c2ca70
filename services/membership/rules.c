/* SPDX-License-Identifier: Apache-2.0
 *
 * Pure decisions of membership: what a valid number, name, date, password is, and which state follows which.
 */
#include "services/membership/rules.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

static bool all_digits(struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] < '0' || s.p[i] > '9')
                        return false;
        return s.n > 0;
}

/* --- dates ---------------------------------------------------------------------------------------------- */

static bool day_exists(int year, int month, int day)
{
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        if (year < 1900 || year > 2199 || month < 1 || month > 12 || day < 1)
                return false;
        return day <= days[month - 1] + (month == 2 && leap);
}

static int number_in(struct str s)
{
        int v = 0;
        if (!all_digits(s) || s.n > 4)
                return -1;
        for (size_t i = 0; i < s.n; i++)
                v = v * 10 + (s.p[i] - '0');
        return v;
}

int date_parse(struct str text, char ret_date[DATE_SIZE])
{
        struct str s = str_trim(text);
        char separator = memchr(s.p ? s.p : "", '/', s.n) ? '/' : '-';
        struct str y = str_cut(&s, separator), m = str_cut(&s, separator);
        int year = number_in(y), month = number_in(m), day = number_in(s);
        if (y.n != 4 || m.n > 2 || s.n > 2 || !day_exists(year, month, day))
                return -EINVAL;
        snprintf(ret_date, DATE_SIZE, "%04u-%02u-%02u", (unsigned)year % 10000, (unsigned)month % 100,
                 (unsigned)day % 100);
        return 0;
}

void date_of(int64_t us, char out[DATE_SIZE])
{
        time_t seconds = (time_t)(us / 1000000 + 8 * 3600);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        snprintf(out, DATE_SIZE, "%04u-%02u-%02u", (unsigned)(tm.tm_year + 1900) % 10000,
                 (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100);
}

/* --- numbers of persons --------------------------------------------------------------------------------- */

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
        snprintf(born, sizeof(born), "%.4s-%.2s-%.2s", number + 6, number + 10, number + 12);
        if (date_parse(str_of(born), born) != 0 || strcmp(born, today) > 0)
                return -EINVAL;
        if (number[17] != id_number_check_character(number))
                return -EINVAL;
        memcpy(ret_number, number, ID_NUMBER_SIZE);
        return 0;
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

/* --- names ---------------------------------------------------------------------------------------------- */

#define WIDE_SPACE STR("\xe3\x80\x80") /* U+3000 */

static bool ends_with(struct str s, struct str end)
{
        return s.n >= end.n && str_eq(str_bytes(s.p + s.n - end.n, end.n), end);
}

static struct str trim_spaces(struct str s)
{
        size_t before;
        do {
                before = s.n;
                s = str_trim(s);
                if (str_starts(s, WIDE_SPACE))
                        s = str_bytes(s.p + 3, s.n - 3);
                if (ends_with(s, WIDE_SPACE))
                        s.n -= 3;
        } while (s.n != before);
        return s;
}

/* What shows nothing, breaks the line or turns the text around: U+200B, 200E, 200F, 2028-202E, 2060, 2066-2069, FEFF. The
 * joiners 200C and 200D belong to the writing of some languages. */
static bool is_unseen(struct str s)
{
        const unsigned char *c = (const unsigned char *)s.p;
        if (s.n < 3)
                return false;
        if (c[0] == 0xe2 && c[1] == 0x80)
                return c[2] == 0x8b || c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae);
        if (c[0] == 0xe2 && c[1] == 0x81)
                return c[2] == 0xa0 || (c[2] >= 0xa6 && c[2] <= 0xa9);
        return c[0] == 0xef && c[1] == 0xbb && c[2] == 0xbf;
}

int name_parse(struct str text, struct str *ret_name)
{
        struct str s = trim_spaces(text);
        if (s.n == 0 || !str_is_utf8(s) || str_code_points(s) > NAME_MAX_CHARACTERS)
                return -EINVAL;
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];
                /* C0, DEL, and C1 (which are C2 80 to C2 9F). */
                if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0) ||
                    is_unseen((struct str){s.p + i, s.n - i}))
                        return -EINVAL;
        }
        *ret_name = s;
        return 0;
}

/* --- members -------------------------------------------------------------------------------------------- */

#define STATE(name) NUANXIN__MEMBERSHIP__V1__MEMBER__STATE__##name
#define N_STATES    6

/* Rows: the state before. What is not here cannot be done. */
static const Member__State transitions[N_STATES][MEMBER_N_ACTIONS] = {
        [STATE(APPLIED)] = {[MEMBER_APPROVE] = STATE(ACTIVE),
                        [MEMBER_END] = STATE(ENDED),
                        [MEMBER_MARK_DECEASED] = STATE(DECEASED)},
        [STATE(ACTIVE)] = {[MEMBER_SUSPEND] = STATE(SUSPENDED),
                       [MEMBER_END] = STATE(ENDED),
                       [MEMBER_MARK_DECEASED] = STATE(DECEASED)},
        [STATE(SUSPENDED)] = {[MEMBER_RESUME] = STATE(ACTIVE),
                          [MEMBER_END] = STATE(ENDED),
                          [MEMBER_MARK_DECEASED] = STATE(DECEASED)},
        [STATE(ENDED)] = {[MEMBER_MARK_DECEASED] = STATE(DECEASED)},
};

Member__State member_after(Member__State state, enum member_action action)
{
        return (unsigned)state < N_STATES ? transitions[state][action] : STATE(STATE_UNSPECIFIED);
}

bool member_is_live(Member__State state)
{
        return state == STATE(APPLIED) || state == STATE(ACTIVE) || state == STATE(SUSPENDED);
}

const char *member_state_name(Member__State state)
{
        static const char *const names[N_STATES] = {"STATE_UNSPECIFIED", "APPLIED", "ACTIVE",
                                                    "SUSPENDED",         "ENDED",   "DECEASED"};
        return (unsigned)state < N_STATES ? names[state] : names[0];
}

#define NUMBER_EPOCH_S 1577836800 /* 2020 */

void member_number(int64_t now_us, const char *id, char out[MEMBER_NUMBER_SIZE])
{
        uint64_t seconds = (uint64_t)(now_us / 1000000 - NUMBER_EPOCH_S) % 900000000,
                 random = str_hash(str_of(id)) % 1000000;
        int sum = 0;
        snprintf(out, MEMBER_NUMBER_SIZE, "%09llu%06llu", (unsigned long long)(100000000 + seconds),
                 (unsigned long long)random);
        /* Luhn: from the right every second digit doubled, beginning with the one before the check digit. */
        for (int i = 14; i >= 0; i--) {
                int d = out[i] - '0';
                if ((14 - i) % 2 == 0)
                        d = d * 2 > 9 ? d * 2 - 9 : d * 2;
                sum += d;
        }
        out[15] = (char)('0' + (10 - sum % 10) % 10);
        out[16] = 0;
}

/* --- organisations -------------------------------------------------------------------------------------- */

bool organization_kind_fits(Organization__Kind parent, Organization__Kind child)
{
        return child > parent;
}

Organization__Kind organization_kind_parse(struct str text)
{
        static const struct {
                const char *english, *chinese;
        } names[] = {
                {"province", "省"}, {"city", "市"}, {"county", "县"}, {"township", "乡"}, {"village", "村"}};
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                if (str_case_eq(text, str_of(names[i].english)) || str_is(text, names[i].chinese))
                        return (Organization__Kind)(i + 1);
        return NUANXIN__MEMBERSHIP__V1__ORGANIZATION__KIND__KIND_UNSPECIFIED;
}

bool organization_code_valid(struct str code)
{
        for (size_t i = 0; i < code.n; i++)
                if (!isalnum((unsigned char)code.p[i]) && code.p[i] != '-')
                        return false;
        return code.n >= 2 && code.n <= 32;
}

bool is_valid_at(int64_t from_us, int64_t to_us, int64_t now_us)
{
        return (!from_us || from_us <= now_us) && (!to_us || now_us < to_us);
}

bool path_is_within(struct str path, struct str ancestor)
{
        return str_starts(path, ancestor);
}

static char *with_last(struct arena *arena, struct str path, char last)
{
        char *text = arena_strndup(arena, path.p, path.n);
        if (path.n)
                text[path.n - 1] = last;
        return text;
}

char *path_end(struct arena *arena, struct str path)
{
        return with_last(arena, path, '/' + 1);
}

char *path_before(struct arena *arena, struct str path)
{
        return with_last(arena, path, '/' - 1);
}

/* --- accounts ------------------------------------------------------------------------------------------- */

static bool all_alike(struct str s)
{
        for (size_t i = 1; i < s.n; i++)
                if (s.p[i] != s.p[0])
                        return false;
        return true;
}

bool password_is_weak(struct str password, struct str login)
{
        if (str_code_points(password) < PASSWORD_MIN_CHARACTERS || all_alike(password))
                return true;
        for (size_t i = 0; login.n >= 3 && i + login.n <= password.n; i++)
                if (str_case_eq(str_bytes(password.p + i, login.n), login))
                        return true;
        return false;
}

char *login_normalize(struct arena *arena, const char *login)
{
        char *lower = arena_strdup(arena, login);
        for (char *c = lower; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        return lower;
}
