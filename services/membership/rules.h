/* SPDX-License-Identifier: Apache-2.0
 *
 * What membership decides by itself: pure functions, no I/O, no clock.
 */
#pragma once

#include "common/base/arena.h"
#include "common/people/people.h"
#include "contract/membership_v1.h"

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
