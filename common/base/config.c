/* SPDX-License-Identifier: Apache-2.0
 *
 * Option tables: parsing and --help.
 */
#include "common/base/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct config_option *find_option(const struct config_option *const tables[], size_t n_tables,
                                               struct str name)
{
        for (size_t t = 0; t < n_tables; t++)
                for (const struct config_option *o = tables[t]; o && o->name; o++)
                        if (str_is(name, o->name))
                                return o;
        return NULL;
}

/* where: "--flag" or "NUANXIN_FLAG", for the error. */
static int set_option(const struct config_option *o, const char *value, const char *where)
{
        switch (o->kind) {
        case CONFIG_TEXT:
                *(const char **)o->target = value;
                return 0;
        case CONFIG_FLAG:
                *(bool *)o->target = strcmp(value, "0") != 0 && *value;
                return 0;
        case CONFIG_INT: {
                int64_t v;
                if (str_to_i64(str_of(value), o->min, o->max, &v) < 0) {
                        fprintf(stderr, "%s=%s: give a whole number from %" PRId64 " to %" PRId64 "\n", where, value,
                                o->min, o->max);
                        return -EINVAL;
                }
                *(int64_t *)o->target = v;
                return 0;
        }
        case CONFIG_LIST: {
                struct config_list *list = o->target;
                if (list->n == CONFIG_LIST_MAX) {
                        fprintf(stderr, "%s: at most %d of these\n", where, CONFIG_LIST_MAX);
                        return -EINVAL;
                }
                list->items[list->n++] = value;
                return 0;
        }
        }
        return -EINVAL;
}

static int from_environment(const struct config_option *o)
{
        char name[80] = "NUANXIN_";
        size_t n = strlen(name);
        for (const char *p = o->name; *p && n + 1 < sizeof(name); p++)
                name[n++] = *p == '-' ? '_' : (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
        name[n] = '\0';
        const char *value = getenv(name);
        if (!value || !*value)
                return 0;
        if (o->kind != CONFIG_LIST)
                return set_option(o, value, name);
        struct str rest = str_of(value);
        while (rest.n) {
                struct str item = str_cut(&rest, ',');
                char *copy = mem_zalloc(item.n + 1); /* lives as long as the process, like argv */
                memcpy(copy, item.p, item.n);
                int r = set_option(o, copy, name);
                if (r < 0) {
                        free(copy);
                        return r;
                }
        }
        return 0;
}

static void print_help(const char *usage, const char *about, const struct config_option *const tables[],
                       size_t n_tables)
{
        printf("usage: %s\n\n%s\n\noptions (each also as NUANXIN_NAME in the environment):\n", usage, about);
        for (size_t t = 0; t < n_tables; t++)
                for (const struct config_option *o = tables[t]; o && o->name; o++) {
                        char left[64];
                        snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "",
                                 o->value ? o->value : "");
                        printf("  %-28s %s\n", left, o->help);
                }
        printf("  %-28s %s\n", "--help", "this text");
}

int config_parse(const char *usage, const char *about, const struct config_option *const tables[], size_t n_tables,
                 int argc, char **argv, struct config_list *operands)
{
        for (size_t t = 0; t < n_tables; t++)
                for (const struct config_option *o = tables[t]; o && o->name; o++) {
                        int r = from_environment(o);
                        if (r < 0)
                                return r;
                }
        for (int i = 1; i < argc; i++) {
                char *arg = argv[i];
                if (strncmp(arg, "--", 2) != 0 || !arg[2]) {
                        if (!operands || operands->n == CONFIG_LIST_MAX) {
                                fprintf(stderr, "unexpected argument '%s'; see --help\n", arg);
                                return -EINVAL;
                        }
                        operands->items[operands->n++] = arg;
                        continue;
                }
                if (strcmp(arg, "--help") == 0) {
                        print_help(usage, about, tables, n_tables);
                        return CONFIG_E_HELP;
                }
                struct str rest = str_of(arg + 2);
                struct str name = str_cut(&rest, '=');
                bool inline_value = arg[2 + name.n] == '=';
                const struct config_option *o = find_option(tables, n_tables, name);
                if (!o) {
                        fprintf(stderr, "unknown option '--%.*s'; see --help\n", (int)name.n, name.p);
                        return -EINVAL;
                }
                const char *value = "1";
                if (inline_value) {
                        value = arg + 2 + name.n + 1;
                } else if (o->kind != CONFIG_FLAG) {
                        if (++i >= argc) {
                                fprintf(stderr, "--%s needs a value: --%s %s\n", o->name, o->name, o->value);
                                return -EINVAL;
                        }
                        value = argv[i];
                }
                char where[80];
                snprintf(where, sizeof(where), "--%s", o->name);
                int r = set_option(o, value, where);
                if (r < 0)
                        return r;
        }
        return 0;
}
