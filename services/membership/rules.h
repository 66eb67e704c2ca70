/* SPDX-License-Identifier: Apache-2.0
 *
 * What membership decides by itself: pure functions, no I/O, no clock.
 */
#pragma once

#include "common/base/arena.h"
#include "contract/membership_v1.h"

/* --- numbers of persons --------------------------------------------------------------------------------- */

#define ID_NUMBER_SIZE 19 /* 18 characters and the NUL */
/* 身份证号 after GB 11643-1999: 17 digits (region, date of birth, sequence) and the check character; a small x is
 * made large, spaces at the ends are dropped. today: "YYYY-MM-DD"; nobody is born later. -EINVAL. */
int id_number_parse(struct str text, const char *today, char ret_number[ID_NUMBER_SIZE]) MUST_USE;
char id_number_check_character(const char *digits17);
void id_number_mask(const char *number, char out[ID_NUMBER_SIZE]); /* "4****************X" */

#define PHONE_SIZE 12 /* 11 digits and the NUL */
/* A mobile number of the mainland: spaces, hyphens and a leading +86, 0086 or 86 are dropped. -EINVAL. */
int phone_parse(struct str text, char ret_phone[PHONE_SIZE]) MUST_USE;
void phone_mask(const char *phone, char out[PHONE_SIZE]); /* "138****5678" */

/* --- names and dates ------------------------------------------------------------------------------------ */

#define NAME_MAX_CHARACTERS 50
/* A name without the spaces around it (also U+3000); not empty, no control characters, not too long. Rare
 * characters and the dots of minority names are kept as they are. -EINVAL. */
int name_parse(struct str text, struct str *ret_name) MUST_USE;

#define DATE_SIZE 11 /* "YYYY-MM-DD" and the NUL */
/* Also "YYYY/M/D" as spreadsheets write it. Years 1900 to 2199. -EINVAL. */
int date_parse(struct str text, char ret_date[DATE_SIZE]) MUST_USE;
/* The day in China (UTC+8). */
void date_of(int64_t us, char out[DATE_SIZE]);

/* --- members -------------------------------------------------------------------------------------------- */

enum member_action {
        MEMBER_APPROVE,
        MEMBER_SUSPEND,
        MEMBER_RESUME,
        MEMBER_END,
        MEMBER_MARK_DECEASED,
        MEMBER_N_ACTIONS
};
/* The state after it, or STATE_UNSPECIFIED: not possible from there. */
Member__State member_after(Member__State state, enum member_action action);
bool member_is_live(Member__State state);           /* neither ended nor deceased: the ID number is taken */
const char *member_state_name(Member__State state); /* as in JSON */

#define MEMBER_NUMBER_SIZE 17
/* The number on the card: nine digits that grow with time (so that new ones stand side by side in the
 * index), six from a fresh id, and a Luhn check digit. Another may have it already. */
void member_number(int64_t now_us, const char *id, char out[MEMBER_NUMBER_SIZE]);

/* --- organisations -------------------------------------------------------------------------------------- */

bool organization_kind_fits(Organization__Kind parent,
                            Organization__Kind child); /* parent unspecified: a top */
Organization__Kind
organization_kind_parse(struct str text); /* "county", "COUNTY", "县"; unspecified: none of them */
bool organization_code_valid(struct str code);
/* Is what is valid from one time (0: ever since) until before another (0: for ever) valid now? */
bool is_valid_at(int64_t from_us, int64_t to_us, int64_t now_us);
/* Is `path` the ancestor's path or below it? Both are "/43/4301/". */
bool path_is_within(struct str path, struct str ancestor);
/* The least text that is greater than all that begin with path: '/' at the end becomes '0'. */
char *path_end(struct arena *arena, struct str path);
/* A text just before it: '/' at the end becomes '.'. */
char *path_before(struct arena *arena, struct str path);

/* --- accounts ------------------------------------------------------------------------------------------- */

#define PASSWORD_MIN_CHARACTERS 10
bool password_is_weak(struct str password, struct str login);
char *login_normalize(struct arena *arena, const char *login); /* lower case (ASCII) */
