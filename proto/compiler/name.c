/* SPDX-License-Identifier: Apache-2.0
 *
 * C names. The first two functions follow protoc-c 1.4's c_helpers.cc, since its headers define what they name.
 */
#include "name.h"

#include <ctype.h>

const char *name_c_type(struct arena *arena, const char *full)
{
        char *out = arena_alloc(arena, 2 * strlen(full) + 1), *o = out;
        bool upper = true;
        for (const char *p = full; *p; p++) {
                if (*p == '.') {
                        *o++ = '_';
                        *o++ = '_';
                        upper = true;
                } else if (*p == '_') {
                        upper = true;
                } else {
                        *o++ = upper ? (char)toupper((unsigned char)*p) : *p;
                        upper = false;
                }
        }
        *o = 0;
        return out;
}

const char *name_c_lower(struct arena *arena, const char *full)
{
        char *out = arena_alloc(arena, 2 * strlen(full) + 1), *o = out;
        bool was_upper = true;
        for (const char *p = full; *p; p++) {
                if (*p == '.') {
                        *o++ = '_';
                        *o++ = '_';
                        was_upper = true;
                        continue;
                }
                bool upper = isupper((unsigned char)*p);
                if (upper && !was_upper)
                        *o++ = '_';
                *o++ = (char)tolower((unsigned char)*p);
                was_upper = upper;
        }
        *o = 0;
        return out;
}

const char *name_snake(struct arena *arena, const char *camel)
{
        return name_c_lower(arena, camel);
}

const char *name_upper(struct arena *arena, const char *text)
{
        char *out = arena_strdup(arena, text);
        for (char *p = out; *p; p++)
                *p = (char)toupper((unsigned char)*p);
        return out;
}

const char *name_package(struct arena *arena, const char *package)
{
        if (str_starts(str_of(package), STR("nuanxin.")))
                package += strlen("nuanxin.");
        char *out = arena_strdup(arena, package);
        for (char *p = out; *p; p++)
                if (*p == '.')
                        *p = '_';
        return out;
}

const char *name_in_package(struct arena *arena, const char *package, const char *full)
{
        return name_c_type(arena, full + strlen(package) + 1);
}

const char *name_message_constant(struct arena *arena, const char *package, const char *full)
{
        return arena_printf(arena, "%s_%s_msg", name_package(arena, package),
                            name_snake(arena, full + strlen(package) + 1));
}
