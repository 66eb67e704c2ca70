/* SPDX-License-Identifier: Apache-2.0
 *
 * The decisions of rules.h.
 */
#include "rules.h"

#include <errno.h>

/* --- states ------------------------------------------------------------------------------------------------- */

static const bool campaign_transitions[CAMPAIGN_N_STATE][CAMPAIGN_N_STATE] = {
        [CAMPAIGN_DRAFT] = {[CAMPAIGN_OPEN] = true},
        [CAMPAIGN_OPEN] = {[CAMPAIGN_CLOSED] = true},
        [CAMPAIGN_CLOSED] = {[CAMPAIGN_OPEN] = true},
};

static const bool activity_transitions[ACTIVITY_N_STATE][ACTIVITY_N_STATE] = {
        [ACTIVITY_DRAFT] = {[ACTIVITY_OPEN] = true, [ACTIVITY_CANCELLED] = true},
        [ACTIVITY_OPEN] = {[ACTIVITY_CLOSED] = true, [ACTIVITY_CANCELLED] = true, [ACTIVITY_ENDED] = true},
        [ACTIVITY_CLOSED] = {[ACTIVITY_OPEN] = true, [ACTIVITY_CANCELLED] = true, [ACTIVITY_ENDED] = true},
};

bool campaign_may_become(int from, int to)
{
        return from >= 0 && from < CAMPAIGN_N_STATE && to >= 0 && to < CAMPAIGN_N_STATE &&
               campaign_transitions[from][to];
}

bool activity_may_become(int from, int to)
{
        return from >= 0 && from < ACTIVITY_N_STATE && to >= 0 && to < ACTIVITY_N_STATE &&
               activity_transitions[from][to];
}

const char *campaign_state_name(int state)
{
        static const char *const names[CAMPAIGN_N_STATE] = {
                [CAMPAIGN_DRAFT] = "DRAFT", [CAMPAIGN_OPEN] = "OPEN", [CAMPAIGN_CLOSED] = "CLOSED"};
        return state > 0 && state < CAMPAIGN_N_STATE ? names[state] : "UNKNOWN";
}

const char *activity_state_name(int state)
{
        static const char *const names[ACTIVITY_N_STATE] = {
                [ACTIVITY_DRAFT] = "DRAFT",         [ACTIVITY_OPEN] = "OPEN",   [ACTIVITY_CLOSED] = "CLOSED",
                [ACTIVITY_CANCELLED] = "CANCELLED", [ACTIVITY_ENDED] = "ENDED",
        };
        return state > 0 && state < ACTIVITY_N_STATE ? names[state] : "UNKNOWN";
}

/* --- registrations --------------------------------------------------------------------------------------------- */

Nuanxin__Problem registration_decide(const struct registration_facts *f)
{
        if (f->activity_state != ACTIVITY_OPEN)
                return NUANXIN__PROBLEM__PROBLEM_ACTIVITY_NOT_OPEN;
        if (f->campaign_state != CAMPAIGN_OPEN)
                return NUANXIN__PROBLEM__PROBLEM_CAMPAIGN_CLOSED;
        int64_t until = f->until_us && f->until_us < f->end_us ? f->until_us : f->end_us;
        if (f->now_us < f->from_us || f->now_us >= until)
                return NUANXIN__PROBLEM__PROBLEM_REGISTRATION_OUTSIDE_WINDOW;
        return NUANXIN__PROBLEM__PROBLEM_NONE;
}

static const char code_digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
#define CODE_LENGTH 8

/* Times x in GF(32) modulo x^5 + x^2 + 1: x generates the field, so its powers give each place a weight of its own. */
static unsigned gf32_times_x(unsigned a)
{
        a <<= 1;
        return a & 32 ? a ^ 37 : a;
}

void registration_code_make(char out[REGISTRATION_CODE_SIZE], uint64_t random)
{
        unsigned check = 0;
        for (int i = 0; i < CODE_LENGTH - 1; i++, random >>= 5) {
                unsigned digit = random & 31;
                out[i] = code_digits[digit];
                check = gf32_times_x(check ^ digit);
        }
        out[CODE_LENGTH - 1] = code_digits[check];
        out[CODE_LENGTH] = 0;
}

static int code_digit(char c)
{
        if (c >= 'a' && c <= 'z')
                c = (char)(c - 'a' + 'A');
        if (c == 'O')
                c = '0';
        if (c == 'I' || c == 'L')
                c = '1';
        const char *at = c ? strchr(code_digits, c) : NULL;
        return at ? (int)(at - code_digits) : -EINVAL;
}

int registration_code_parse(struct str typed, char ret_code[REGISTRATION_CODE_SIZE])
{
        char code[REGISTRATION_CODE_SIZE] = "";
        unsigned check = 0, n = 0, last = 0;
        for (size_t i = 0; i < typed.n; i++) {
                if (typed.p[i] == ' ' || typed.p[i] == '-')
                        continue;
                int digit = code_digit(typed.p[i]);
                if (digit < 0 || n == CODE_LENGTH)
                        return -EINVAL;
                if (n < CODE_LENGTH - 1)
                        check = gf32_times_x(check ^ (unsigned)digit);
                last = (unsigned)digit;
                code[n++] = code_digits[digit];
        }
        if (n != CODE_LENGTH || last != check)
                return -EINVAL;
        memcpy(ret_code, code, sizeof(code));
        return 0;
}

/* --- check-ins ------------------------------------------------------------------------------------------------- */

static bool way_fits(int way, int mode)
{
        return mode == MODE_BOTH || (way == WAY_ONLINE) == (mode == MODE_ONLINE);
}

static bool had_place(const struct scan_facts *f)
{
        return f->registration == REGISTRATION_REGISTERED ||
               (f->registration == REGISTRATION_CANCELLED && f->registration_changed_us > f->occurred_us);
}

Nuanxin__Problem scan_decide(const struct scan_facts *f)
{
        if (f->identity != NUANXIN__PROBLEM__PROBLEM_NONE)
                return f->identity;
        if (f->inactive && f->occurred_us >= f->inactive_us)
                return NUANXIN__PROBLEM__PROBLEM_CHECKIN_MEMBER_NOT_ACTIVE;
        if (!f->organization_known)
                return NUANXIN__PROBLEM__PROBLEM_CHECKIN_ORGANIZATION_UNKNOWN;
        if (f->occurred_us > f->now_us + CHECKIN_CLOCK_SKEW_US)
                return NUANXIN__PROBLEM__PROBLEM_CHECKIN_IN_FUTURE;
        if (f->occurred_us < f->now_us - CHECKIN_OFFLINE_US)
                return NUANXIN__PROBLEM__PROBLEM_CHECKIN_TOO_OLD;
        if (f->activity_state == ACTIVITY_DRAFT || (f->closed_us && f->occurred_us >= f->closed_us))
                return NUANXIN__PROBLEM__PROBLEM_CHECKIN_ACTIVITY_CLOSED;
        if (f->campaign_state == CAMPAIGN_DRAFT ||
            (f->campaign_closed_us && f->occurred_us >= f->campaign_closed_us))
                return NUANXIN__PROBLEM__PROBLEM_CHECKIN_CAMPAIGN_CLOSED;
        if (f->occurred_us < f->start_us - CHECKIN_EARLY_US || f->occurred_us > f->end_us)
                return NUANXIN__PROBLEM__PROBLEM_CHECKIN_OUTSIDE_WINDOW;
        if (!way_fits(f->way, f->mode))
                return NUANXIN__PROBLEM__PROBLEM_CHECKIN_WRONG_MODE;
        if (f->registration_required && !had_place(f))
                return NUANXIN__PROBLEM__PROBLEM_CHECKIN_NOT_REGISTERED;
        return NUANXIN__PROBLEM__PROBLEM_NONE;
}

/* --- organisations --------------------------------------------------------------------------------------------- */

bool is_valid_at(int64_t from_us, int64_t to_us, int64_t now_us)
{
        return (!from_us || from_us <= now_us) && (!to_us || now_us < to_us);
}

bool path_is_within(struct str path, struct str ancestor_path)
{
        return ancestor_path.n > 0 && str_starts(path, ancestor_path);
}
