/* SPDX-License-Identifier: Apache-2.0
 *
 * Small readers and writers around a request: a field by name, percent-decoding, what the client accepts,
 * gzip.
 */
#include "common/http/http.h"

#include <stdlib.h>
#include <zlib.h>

struct str http_field_value(const struct http_request *request, const char *name)
{
        struct str wanted = str_of(name);
        for (size_t i = 0; i < request->n_fields; i++)
                if (str_case_eq(request->fields[i].name, wanted))
                        return request->fields[i].value;
        return (struct str){NULL, 0};
}

int http_decode(struct arena *arena, struct str text, bool form, struct str *ret)
{
        char *out = arena_alloc(arena, text.n + 1);
        size_t n = 0;
        for (size_t i = 0; i < text.n; i++) {
                char c = text.p[i];
                if (c == '%') {
                        if (text.n - i < 3 || hex_decode(&c, 1, (struct str){text.p + i + 1, 2}) < 0)
                                return -EINVAL;
                        i += 2;
                } else if (c == '+' && form) {
                        c = ' ';
                }
                if (c == '\0')
                        return -EINVAL;
                out[n++] = c;
        }
        out[n] = '\0';
        if (!str_is_utf8(str_bytes(out, n)))
                return -EINVAL;
        *ret = str_bytes(out, n);
        return 0;
}

/* --- Accept and Accept-Encoding (RFC 9110, 12.4.2 and 12.5) --------------------------------------------- */

/* A weight in thousandths; what is malformed counts as 1. */
static int weight_of(struct str parameters)
{
        while (parameters.n > 0) {
                struct str value = str_trim(str_cut(&parameters, ';'));
                struct str name = str_trim(str_cut(&value, '='));
                if (!str_case_eq(name, STR("q")))
                        continue;
                value = str_trim(value);
                if (value.n == 0 || value.p[0] != '0')
                        return 1000;
                int weight = 0, place = 100;
                for (size_t i = 2; i < value.n && i < 5 && value.p[i] >= '0' && value.p[i] <= '9';
                     i++, place /= 10)
                        weight += (value.p[i] - '0') * place;
                return weight;
        }
        return 1000;
}

bool http_accepts_gzip(struct str accept_encoding)
{
        int gzip = -1, any = 0;
        while (accept_encoding.n > 0) {
                struct str parameters = str_cut(&accept_encoding, ',');
                struct str coding = str_trim(str_cut(&parameters, ';'));
                if (str_case_eq(coding, STR("gzip")) || str_case_eq(coding, STR("x-gzip")))
                        gzip = weight_of(parameters);
                else if (str_is(coding, "*"))
                        any = weight_of(parameters);
        }
        return (gzip >= 0 ? gzip : any) > 0;
}

/* 3: this type, 2: its main type with any subtype, 1: anything, 0: another. */
static int range_matches(struct str range, struct str type, struct str main_type)
{
        if (str_is(range, "*/*"))
                return 1;
        struct str of = {range.p, range.n >= 2 ? range.n - 2 : 0};
        if (range.n > 2 && memcmp(range.p + range.n - 2, "/*", 2) == 0)
                return str_case_eq(of, main_type) ? 2 : 0;
        return str_case_eq(range, type) ? 3 : 0;
}

bool http_accepts(struct str accept, const char *media_type)
{
        struct str type = str_of(media_type), rest = type, main_type = str_cut(&rest, '/');
        int best = 0, weight = 0;
        if (accept.n == 0)
                return true; /* no preference */
        while (accept.n > 0) {
                struct str parameters = str_cut(&accept, ',');
                int match = range_matches(str_trim(str_cut(&parameters, ';')), type, main_type);
                if (match > best) {
                        best = match;
                        weight = weight_of(parameters);
                }
        }
        return weight > 0;
}

/* --- gzip ----------------------------------------------------------------------------------------------- */

void http_gzip(struct buf *out, struct str in, int level)
{
        z_stream z = {0};
        if (deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
                abort();
        buf_reserve(out, deflateBound(&z, in.n));
        z.next_in = (Bytef *)in.p;
        z.avail_in = (uInt)in.n;
        z.next_out = (Bytef *)out->p + out->n;
        z.avail_out = (uInt)(out->cap - out->n);
        if (deflate(&z, Z_FINISH) != Z_STREAM_END)
                abort();
        out->n += z.total_out;
        deflateEnd(&z);
}
