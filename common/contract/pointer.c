/* SPDX-License-Identifier: Apache-2.0
 *
 * RFC 6901: a step is escaped, ~ as ~0 and / as ~1.
 */
#include "common/contract/pointer.h"

static void step_write(struct buf *out, const struct pointer *p)
{
        if (!p)
                return;
        step_write(out, p->up);
        buf_add_char(out, '/');
        if (!p->key.p) {
                buf_printf(out, "%zu", p->index);
                return;
        }
        for (size_t i = 0; i < p->key.n; i++) {
                if (p->key.p[i] == '~')
                        buf_add_z(out, "~0");
                else if (p->key.p[i] == '/')
                        buf_add_z(out, "~1");
                else
                        buf_add_char(out, p->key.p[i]);
        }
}

const char *pointer_text(struct arena *arena, const struct pointer *pointer)
{
        struct buf text = {0};
        step_write(&text, pointer);
        const char *z = arena_strndup(arena, text.p ? text.p : "", text.n);
        buf_done(&text);
        return z;
}
