/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may see what of an event. See view.h.
 */
#include "view.h"

bool view_list_has(struct view_list list, const char *item)
{
        for (size_t i = 0; i < list.n; i++)
                if (strcmp(list.items[i], item) == 0)
                        return true;
        return false;
}

enum view_standing view_standing(const struct view_profile *profile, int64_t now_us)
{
        if (profile->everything)
                return VIEW_STANDS;
        if (profile->suspended)
                return VIEW_SUSPENDED;
        return now_us < profile->agreement_expire_us ? VIEW_STANDS : VIEW_EXPIRED;
}

/* --- an event, whole ------------------------------------------------------------------------------------------------ */

bool view_shows(const struct view_facts *f)
{
        if (!f->known || !f->allowed || !f->in_scope)
                return false;
        if (f->names_purpose && !f->holds_purpose)
                return false; /* what a person agrees to with others is no business of this one */
        if (!f->about_person)
                return true;
        if (f->erased) /* only that notice is left, and it says all */
                return f->notice && !f->names_purpose;
        return f->notice || f->statutory || f->consented;
}

bool view_is_public(const struct contract_message *type)
{
        return type->topic && !type->event_internal;
}

static const ProtobufCFieldDescriptor *field_of(const struct contract_message *type, const char *name)
{
        const struct contract_field *field = message_field(type, str_of(name));
        return field ? &type->pb->fields[field - type->fields] : NULL;
}

bool view_names_purpose(const struct contract_message *type)
{
        const ProtobufCFieldDescriptor *pb = type->person ? field_of(type, "purpose") : NULL;
        return pb && pb->type == PROTOBUF_C_TYPE_STRING && pb->label != PROTOBUF_C_LABEL_REPEATED;
}

bool view_pattern_has(struct str pattern, const char *type)
{
        bool all_below = pattern.n >= 2 && memcmp(pattern.p + pattern.n - 2, ".*", 2) == 0;
        if (!all_below)
                return str_is(pattern, type);
        return str_starts(str_of(type), (struct str){pattern.p, pattern.n - 1});
}

bool view_pattern_is_known(struct str pattern)
{
        for (unsigned i = 0; i < contract_n_messages; i++)
                if (view_is_public(contract_messages[i]) && view_pattern_has(pattern, contract_messages[i]->name))
                        return true;
        return false;
}

bool view_list_allows(struct view_list patterns, const char *type)
{
        for (size_t i = 0; i < patterns.n; i++)
                if (view_pattern_has(str_of(patterns.items[i]), type))
                        return true;
        return false;
}

static bool is_code(const char *code, const char *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (code[i] != p[i])
                        return false;
        return !code[n];
}

/* p: n bytes between slashes. */
static bool is_one_of(struct view_list codes, const char *p, size_t n)
{
        for (size_t i = 0; n && i < codes.n; i++)
                if (is_code(codes.items[i], p, n))
                        return true;
        return false;
}

bool view_in_scope(const struct view_profile *profile, struct str places)
{
        if (profile->everything)
                return true;
        if (!places.n)
                return profile->top;
        for (size_t at = 0, i = 0; i <= places.n; i++) {
                if (i < places.n && places.p[i] != '/' && places.p[i] != '\n')
                        continue;
                if (is_one_of(profile->organizations, places.p + at, i - at))
                        return true;
                at = i + 1;
        }
        return false;
}

bool view_holds(const struct view_profile *profile, const char *purpose)
{
        return profile->everything || view_list_has(profile->purposes, purpose) || view_list_has(profile->statutory, purpose);
}

unsigned view_type_index(const struct contract_message *type)
{
        unsigned low = 0, high = contract_n_messages;
        while (low < high) {
                unsigned middle = (low + high) / 2;
                if (strcmp(contract_messages[middle]->name, type->name) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

struct view_types view_types_of(struct arena *arena, struct view_list patterns)
{
        uint64_t *bits = ARENA_ARRAY(arena, uint64_t, contract_n_messages / 64 + 1);
        for (unsigned i = 0; i < contract_n_messages; i++)
                if (view_is_public(contract_messages[i]) && view_list_allows(patterns, contract_messages[i]->name))
                        bits[i / 64] |= UINT64_C(1) << (i % 64);
        return (struct view_types){bits};
}

/* --- its fields ----------------------------------------------------------------------------------------------------- */

/* "type.field" */
static bool is_named(struct str name, const struct contract_message *type, const struct contract_field *field)
{
        struct str prefix = str_of(type->name);
        return str_starts(name, prefix) && name.n > prefix.n && name.p[prefix.n] == '.' &&
               str_is((struct str){name.p + prefix.n + 1, name.n - prefix.n - 1}, field->name);
}

bool view_shows_field(Nuanxin__Privacy most, struct view_list withheld, const struct contract_message *type, unsigned field)
{
        const struct contract_field *f = &type->fields[field];
        Nuanxin__Privacy class = f->privacy;
        if (type->person && strcmp(type->person, f->name) == 0 && class < NUANXIN__PRIVACY__PERSONAL)
                class = NUANXIN__PRIVACY__PERSONAL;
        if (f->internal || class >= NUANXIN__PRIVACY__SENSITIVE || class > most)
                return false;
        for (size_t i = 0; i < withheld.n; i++)
                if (is_named(str_of(withheld.items[i]), type, f))
                        return false;
        return true;
}

static bool has_field(const struct contract_message *type, struct str name, int depth)
{
        for (unsigned i = 0; depth < MESSAGE_MAX_DEPTH && i < type->n_fields; i++)
                if (is_named(name, type, &type->fields[i]) ||
                    (type->fields[i].message && has_field(type->fields[i].message, name, depth + 1)))
                        return true;
        return false;
}

bool view_field_is_known(struct str name)
{
        for (unsigned i = 0; i < contract_n_messages; i++)
                if (view_is_public(contract_messages[i]) && has_field(contract_messages[i], name, 0))
                        return true;
        return false;
}
