/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may see what of an event: pure functions, no I/O, no clock but what is passed in. What none of the lists allows is
 * not seen, and what this build does not know is not shown to anybody.
 */
#pragma once

#include "common/contract/message.h"
#include "contract/stream_v1.h"

/* A list of texts. */
struct view_list {
        const char *const *items;
        size_t n;
};
bool view_list_has(struct view_list list, const char *item);

/* An agency, as far as it decides. */
struct view_profile {
        bool everything; /* no agency: the operator. The lists below are not asked */
        struct view_list purposes, statutory, types, organizations, withheld;
        bool top; /* one of its organisations is the top of the tree */
        Nuanxin__Privacy privacy;
        bool suspended;
        int64_t agreement_expire_us;
};

/* May it see anything at all, now? */
enum view_standing { VIEW_STANDS, VIEW_SUSPENDED, VIEW_EXPIRED };
enum view_standing view_standing(const struct view_profile *profile, int64_t now_us);

/* --- an event, whole ------------------------------------------------------------------------------------------------ */

/* All that decides. */
struct view_facts {
        bool known;          /* this build knows the type, and it is an event for others */
        bool allowed;        /* the type is in the agency's list */
        bool in_scope;       /* it counts at one of the agency's organisations or below */
        bool about_person;
        bool erased;         /* that person has been erased */
        bool consented;      /* that person consents, now, to one of the agency's purposes */
        bool statutory;      /* the agency has a purpose for which nobody is asked */
        bool notice;         /* it tells to delete what is held of the person */
        bool names_purpose;  /* it is itself about a person's consent to a purpose, */
        bool holds_purpose;  /* which is one of the agency's */
};
bool view_shows(const struct view_facts *facts);

/* Is the type an event that others may be told of? */
bool view_is_public(const struct contract_message *type);
/* A consent, given or withdrawn, names the purpose that it is for in its field of that name. */
bool view_names_purpose(const struct contract_message *type);
/* "nuanxin.activity.v1.CheckinRecorded", or "nuanxin.activity.v1.*". */
bool view_pattern_has(struct str pattern, const char *type);
/* Is there a public event that the pattern means? */
bool view_pattern_is_known(struct str pattern);
bool view_list_allows(struct view_list patterns, const char *type);
/* places: the paths of organisations at which it counts, "/43/4301/", one a line; empty: at none. */
bool view_in_scope(const struct view_profile *profile, struct str places);
/* Is purpose one of the agency's, whichever kind? */
bool view_holds(const struct view_profile *profile, const char *purpose);

/* Which types it may see, by their index in contract_messages: a bit mask in the arena. */
struct view_types {
        const uint64_t *bits;
};
struct view_types view_types_of(struct arena *arena, struct view_list patterns);
static inline bool view_types_have(struct view_types types, unsigned index)
{
        return types.bits[index / 64] >> (index % 64) & 1;
}
unsigned view_type_index(const struct contract_message *type);

/* --- its fields ----------------------------------------------------------------------------------------------------- */

/* May the field (its index in type->fields) be shown under this class and these withheld fields ("type.field")? What is
 * inside a message is asked again, field by field. */
bool view_shows_field(Nuanxin__Privacy most, struct view_list withheld, const struct contract_message *type, unsigned field);
/* Is there a field of that name in any public event, at any depth? */
bool view_field_is_known(struct str name);
