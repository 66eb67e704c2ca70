/* SPDX-License-Identifier: Apache-2.0
 *
 * A Hello against our own tables, once a greeting, so that choosing an instance is a look-up of one number.
 */
#include "common/rpc/compat.h"

#include "common/base/arena.h"

#include <stdlib.h>

typedef Nuanxin__Internal__V1__Hello Hello;
typedef Nuanxin__Internal__V1__Accepts Accepts;

static int compare_ids(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
        return x < y ? -1 : x > y;
}

static bool was_ours(const struct contract_method *m, uint64_t output_hash)
{
        for (unsigned i = 0; i < contract_n_past_outputs; i++)
                if (contract_past_outputs[i].method == m->id && contract_past_outputs[i].hash == output_hash)
                        return true;
        return false;
}

static bool can_be_asked(const Hello *hello, const struct contract_method *m)
{
        bool takes_ours = false, gives_ours = false, tells_outputs = false;
        for (size_t i = 0; i < hello->n_accepts; i++) {
                const Accepts *row = hello->accepts[i];
                if (row->method != m->id)
                        continue;
                takes_ours |= row->input_hash == m->input_hash;
                tells_outputs |= row->output_hash != 0;
                gives_ours |= row->output_hash == m->output_hash ||
                              (row->input_hash && row->output_hash && was_ours(m, row->output_hash));
        }
        return takes_ours && (gives_ours || !tells_outputs);
}

void compat_read(struct compat *c, const Hello *hello)
{
        c->everything = !hello->n_accepts;
        c->n = 0;
        c->methods = mem_realloc(c->methods, (hello->n_accepts + 1) * sizeof(*c->methods));
        for (size_t i = 0; i < hello->n_accepts; i++) {
                const struct contract_method *m = contract_method_by_id(hello->accepts[i]->method);
                if (m && hello->accepts[i]->input_hash == m->input_hash && can_be_asked(hello, m))
                        c->methods[c->n++] = m->id;
        }
        qsort(c->methods, c->n, sizeof(*c->methods), compare_ids);
}

bool compat_has(const struct compat *c, uint64_t method)
{
        return c->everything || (c->n && bsearch(&method, c->methods, c->n, sizeof(method), compare_ids));
}

void compat_done(struct compat *c)
{
        free(c->methods);
        *c = (struct compat){0};
}
