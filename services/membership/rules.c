/* SPDX-License-Identifier: Apache-2.0
 *
 * Pure decisions of membership: what a valid code and password is, and which state follows which.
 */
#include "services/membership/rules.h"

#include <ctype.h>
#include <stdio.h>

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
        snprintf(out, MEMBER_NUMBER_SIZE, "%09llu%06llu", (unsigned long long)(100000000 + seconds),
                 (unsigned long long)random);
        out[15] = luhn_digit(str_bytes(out, 15));
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
