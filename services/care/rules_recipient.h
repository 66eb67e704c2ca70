/* SPDX-License-Identifier: Apache-2.0
 *
 * What is decided about recipients: pure, no store, no clock. Which number or name is one is common/people's.
 */
#pragma once

#include "common/people/people.h"
#include "nuanxin/care/v1/recipient.pb-c.h"

enum {
        RECIPIENT_ACTIVE = NUANXIN__CARE__V1__RECIPIENT__STATE__ACTIVE,
        RECIPIENT_LEFT = NUANXIN__CARE__V1__RECIPIENT__STATE__LEFT,
        RECIPIENT_DECEASED = NUANXIN__CARE__V1__RECIPIENT__STATE__DECEASED,
};

/* What is sealed about a recipient, opened. Texts that are not known are "". */
struct particulars {
        const char *id_number, *phone, *bank_account;
        bool special; /* of a special family (计划生育特殊家庭) */
};
/* Whole years on that day ("YYYY-MM-DD"), after the ID number. */
int particulars_age(const struct particulars *p, const char *date);

/* The state that is left when the particulars are erased: who is there no more is not helped any more. */
int recipient_state_erased(int state);

/* Does what holds until a day ("": no end is known) hold on that day? */
bool holds_until(const char *until_date, const char *today);
