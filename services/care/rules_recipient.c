/* SPDX-License-Identifier: Apache-2.0
 *
 * Pure decisions about recipients.
 */
#include "rules_recipient.h"

int particulars_age(const struct particulars *p, const char *date)
{
        char born[DATE_SIZE];
        id_number_born(p->id_number, born);
        return date_years(born, date);
}

int recipient_state_erased(int state)
{
        return state == RECIPIENT_DECEASED ? RECIPIENT_DECEASED : RECIPIENT_LEFT;
}

bool holds_until(const char *until_date, const char *today)
{
        return !until_date[0] || strcmp(today, until_date) <= 0;
}
