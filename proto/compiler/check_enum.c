/* SPDX-License-Identifier: Apache-2.0
 *
 * Roles grant what exists; every problem says what it is.
 */
#include "check.h"

#define PERMISSIONS_MAX 128 /* bits of a role's mask */

static struct str noun_of(const char *permission)
{
        struct str rest = str_of(permission);
        return str_cut(&rest, '.');
}

static bool noun_exists(const struct model *m, struct str noun)
{
        for (size_t i = 0; i < m->n_methods; i++)
                if (strchr(m->methods[i].rule->permission, '.') && str_eq(noun_of(m->methods[i].rule->permission), noun))
                        return true;
        return false;
}

/* A method's permission; "<noun>.self", which handlers ask of a member's own session; "<noun>.*"; "*". */
static bool permission_exists(const struct model *m, const char *permission)
{
        if (strcmp(permission, "*") == 0)
                return true;
        struct str rest = str_of(permission), noun = str_cut(&rest, '.');
        if (str_is(rest, "*") || str_is(rest, "self"))
                return noun_exists(m, noun);
        for (size_t i = 0; i < m->n_methods; i++)
                if (strcmp(m->methods[i].rule->permission, permission) == 0)
                        return true;
        return false;
}

static void check_problem(const struct enum_value *v, struct refusals *r)
{
        if (v->number == 0)
                return;
        if (!v->problem) {
                refuse(r, v->place, "%s: no (nuanxin.problem) rule", v->name);
                return;
        }
        if (v->problem->status < 400 || v->problem->status > 599)
                refuse(r, v->place, "%s: status %u is no error", v->name, v->problem->status);
        if (!v->problem->title[0] || !v->problem->title_zh[0] || !v->problem->detail[0] || !v->problem->detail_zh[0])
                refuse(r, v->place, "%s: title and detail are needed, in English and Chinese", v->name);
}

/* With two names for one number a value could not be written back as it was read. */
static void check_alias(const struct enumeration *e, size_t index, struct refusals *r)
{
        for (size_t i = 0; i < index; i++)
                if (e->values[i].number == e->values[index].number)
                        refuse(r, e->values[index].place, "%s: has the number of %s", e->values[index].name,
                               e->values[i].name);
}

void check_enums(const struct model *m, struct refusals *r)
{
        for (size_t i = 0; i < m->n_enums; i++) {
                const struct enumeration *e = m->enums[i];
                bool problems = strcmp(e->name, "nuanxin.Problem") == 0;
                for (size_t v = 0; v < e->n_values; v++) {
                        const struct enum_value *value = &e->values[v];
                        if (package_is_ours(e->place.file->package))
                                check_alias(e, v, r);
                        if (problems)
                                check_problem(value, r);
                        for (size_t p = 0; value->role && p < value->role->n_permissions; p++)
                                if (!permission_exists(m, value->role->permissions[p]))
                                        refuse(r, value->place, "%s: unknown permission \"%s\": no method asks for it",
                                               value->name, value->role->permissions[p]);
                        if (value->role && m->n_permissions > PERMISSIONS_MAX)
                                refuse(r, value->place, "%s: more than %d permissions", value->name, PERMISSIONS_MAX);
                }
        }
}
