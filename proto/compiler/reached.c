/* SPDX-License-Identifier: Apache-2.0
 *
 * What messages hold.
 */
#include "reached.h"

#include "common/base/err.h"

#include <stdlib.h>

/* Names are compared by address: the model has each once. */
bool reached_has(const struct reached *r, const char *name)
{
        for (size_t i = 0; i < r->n; i++)
                if (r->names[i] == name)
                        return true;
        return false;
}

/* Was it not there yet? */
static bool reached_add(struct reached *r, const char *name)
{
        if (reached_has(r, name))
                return false;
        if (r->n == r->room) {
                r->room = r->room ? 2 * r->room : 256;
                r->names = mem_realloc(r->names, r->room * sizeof(r->names[0]));
        }
        r->names[r->n++] = name;
        return true;
}

void reach_message(struct reached *r, const struct message *x)
{
        if (message_is_wkt(x) || !reached_add(r, x->name))
                return;
        if (r->on_message && !x->map_entry)
                r->on_message(r->arg, x);
        for (size_t i = 0; i < x->n_fields; i++)
                reach_field(r, &x->fields[i]);
}

void reach_field(struct reached *r, const struct field *f)
{
        if (f->rule->internal)
                return;
        if (f->message)
                reach_message(r, f->message);
        if (f->enumeration && reached_add(r, f->enumeration->name) && r->on_enum)
                r->on_enum(r->arg, f->enumeration);
}

void reached_done(struct reached *r)
{
        free(r->names);
}
