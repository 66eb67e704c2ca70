/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers for people: tables, key and value lists, progress. With --json a program gets the same as JSON.
 */
#include "common/base/clock.h"
#include "services/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- tables ----------------------------------------------------------------------------------------------------------- */

#define MAX_COLUMNS 16
#define UNSPECIFIED "_UNSPECIFIED" /* the end of an enum value's name that says nothing */

struct table {
        size_t n_columns, n_rows; /* rows that wait to be printed */
        int widths[MAX_COLUMNS];
        char **cells; /* row by row; the headings first */
};

/* Two for East Asian wide characters (Unicode Standard Annex 11), none for combining ones. */
int text_width(const char *z)
{
        int width = 0;
        for (const unsigned char *p = (const unsigned char *)z; *p;) {
                uint32_t c = *p;
                int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
                c &= more == 3 ? 0x07 : more == 2 ? 0x0F : more == 1 ? 0x1F : 0x7F;
                for (p++; more && *p; more--, p++)
                        c = c << 6 | (*p & 0x3F);
                bool combining = c >= 0x0300 && c <= 0x036F;
                bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
                            (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE4F) || (c >= 0xFF00 && c <= 0xFF60) ||
                            (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x20000 && c <= 0x3FFFD);
                width += combining ? 0 : wide ? 2 : 1;
        }
        return width;
}

struct table *table_new(const char *const *headings, size_t n)
{
        struct table *t = mem_zalloc(sizeof(*t));
        t->n_columns = n < MAX_COLUMNS ? n : MAX_COLUMNS;
        table_row(t, headings);
        return t;
}

void table_row(struct table *t, const char *const *cells)
{
        t->cells = mem_realloc(t->cells, (t->n_rows + 1) * t->n_columns * sizeof(*t->cells));
        for (size_t c = 0; c < t->n_columns; c++) {
                char *copy = mem_strdup(cells[c]);
                int width = text_width(copy);
                t->cells[t->n_rows * t->n_columns + c] = copy;
                if (width > t->widths[c])
                        t->widths[c] = width;
        }
        t->n_rows++;
}

void table_print(struct table *t)
{
        for (size_t r = 0; r < t->n_rows; r++) {
                for (size_t c = 0; c < t->n_columns; c++) {
                        const char *cell = t->cells[r * t->n_columns + c];
                        int pad = c + 1 < t->n_columns ? t->widths[c] - text_width(cell) + 2 : 0;
                        printf("%s%*s", cell, pad, "");
                        free(t->cells[r * t->n_columns + c]);
                }
                putchar('\n');
        }
        t->n_rows = 0;
}

struct table *table_free(struct table *t)
{
        if (t) {
                for (size_t i = 0; i < t->n_rows * t->n_columns; i++)
                        free(t->cells[i]);
                free(t->cells);
                free(t);
        }
        return NULL;
}

/* --- messages ---------------------------------------------------------------------------------------------------------- */

static const ProtobufCFieldDescriptor *descriptor_of(const struct contract_message *type, const struct contract_field *field)
{
        return &type->pb->fields[field - type->fields];
}

void *cli_field(const struct contract_message *type, const void *message, const char *name)
{
        const struct contract_field *field = message_field(type, str_of(name));
        return field ? (char *)message + descriptor_of(type, field)->offset : NULL;
}

static bool is_list(const struct contract_message *type, const struct contract_field *field)
{
        return descriptor_of(type, field)->label == PROTOBUF_C_LABEL_REPEATED && field->message && !field->is_map;
}

static void *const *list_of(const struct contract_message *type, const struct contract_field *field, const void *message, size_t *ret_n)
{
        const ProtobufCFieldDescriptor *pb = descriptor_of(type, field);
        *ret_n = *(const size_t *)((const char *)message + pb->quantifier_offset);
        return *(void *const *const *)((const char *)message + pb->offset);
}

void put_role(struct buf *out, const char *before, const char *role)
{
        buf_add_z(out, before);
        for (const char *p = role + strlen("ROLE_"); *p; p++)
                buf_printf(out, "%c", *p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
}

/* staff@430102 viewer@430103: as `account create` takes them. */
static void put_grants(struct buf *out, const struct contract_message *type, void *const *grants, size_t n)
{
        const struct contract_field *role = message_field(type, STR("role"));
        for (size_t i = 0; i < n; i++) {
                int value = *(const int *)((const char *)grants[i] + descriptor_of(type, role)->offset);
                for (unsigned k = 0; k < contract_n_roles; k++)
                        if (contract_roles[k].value == value)
                                put_role(out, i ? " " : "", contract_roles[k].name);
                buf_printf(out, "@%s", *(char *const *)cli_field(type, grants[i], "organization"));
        }
}

/* Of accounts and clients; what else has a "role" has it as text. */
static bool is_grants(const struct contract_message *type, const struct contract_field *field)
{
        const struct contract_field *role = is_list(type, field) ? message_field(field->message, STR("role")) : NULL;
        return role && descriptor_of(field->message, role)->type == PROTOBUF_C_TYPE_ENUM;
}

/* A field as a person reads it: JSON without the quotes of a plain string. */
static char *field_text(struct cli *cli, const struct contract_message *type, const void *message, const char *name)
{
        const struct contract_field *field = message_field(type, str_of(name));
        struct buf json = {0};
        size_t n;

        if (field && is_grants(type, field)) {
                void *const *grants = list_of(type, field, message, &n);
                put_grants(&json, field->message, grants, n);
        } else if (field)
                (void)transcode_field_to_json(&json, type, (unsigned)(field - type->fields), message);
        struct str text = buf_str(&json);
        if (text.n >= 2 && text.p[0] == '"')
                text = (struct str){text.p + 1, text.n - 2};
        if (text.n > strlen(UNSPECIFIED) && memcmp(text.p + text.n - strlen(UNSPECIFIED), UNSPECIFIED, strlen(UNSPECIFIED)) == 0)
                text.n = 0;
        char *copy = arena_strndup(cli->arena, text.p, text.n);
        buf_done(&json);
        return copy;
}

/* A list within an answer: a table of those fields that any of them has. */
static void show_rows(struct cli *cli, const struct contract_message *type, const struct contract_field *field, const void *message)
{
        const struct contract_message *of = field->message;
        const char *names[MAX_COLUMNS], *headings[MAX_COLUMNS], *cells[MAX_COLUMNS];
        size_t n_rows, n = 0;
        void *const *rows = list_of(type, field, message, &n_rows);

        for (unsigned i = 0; i < of->n_fields && n < MAX_COLUMNS; i++) {
                bool any = false;
                for (size_t r = 0; r < n_rows && !any && !of->fields[i].internal; r++) {
                        const char *text = field_text(cli, of, rows[r], of->fields[i].name);
                        any = *text && strcmp(text, "[]") != 0;
                }
                if (any) {
                        names[n] = of->fields[i].name;
                        headings[n++] = of->fields[i].json_name;
                }
        }
        if (!n)
                return;
        printf("%s\n", field->json_name);
        _cleanup_(table_freep) struct table *t = table_new(headings, n);
        for (size_t r = 0; r < n_rows; r++) {
                for (size_t c = 0; c < n; c++)
                        cells[c] = field_text(cli, of, rows[r], names[c]);
                table_row(t, cells);
        }
        table_print(t);
}

static void show_fields(struct cli *cli, const struct contract_message *type, const void *message)
{
        for (unsigned i = 0; i < type->n_fields; i++) {
                const struct contract_field *field = &type->fields[i];
                const void *inner = *(void *const *)((const char *)message + type->pb->fields[i].offset);
                const char *text;
                if (field->internal)
                        continue;
                if (field->message && !field->message->wkt && type->pb->fields[i].label != PROTOBUF_C_LABEL_REPEATED) {
                        if (inner)
                                show_fields(cli, field->message, inner);
                } else if (is_list(type, field) && !field->message->wkt && !is_grants(type, field)) {
                        show_rows(cli, type, field, message);
                } else if (*(text = field_text(cli, type, message, field->name))) {
                        printf("%-18s %s\n", field->json_name, text);
                }
        }
}

void show_json(const struct contract_message *type, const void *message)
{
        struct buf out = {0};
        transcode_to_json(&out, type, message);
        printf("%s", buf_z(&out));
        buf_done(&out);
}

void show_message(struct cli *cli, const struct contract_message *type, const void *message)
{
        if (cli->json) {
                show_json(type, message);
                putchar('\n');
        } else {
                show_fields(cli, type, message);
        }
}

/* --- lists ------------------------------------------------------------------------------------------------------------- */

struct list {
        struct cli *cli;
        const struct contract_message *type;
        const struct contract_field *field; /* the rows of a page */
        const char *columns[MAX_COLUMNS];
        size_t n_columns;
        struct table *table;
        bool any;
};

static const struct contract_field *rows_of(const struct contract_message *type)
{
        for (unsigned i = 0; i < type->n_fields; i++)
                if (is_list(type, &type->fields[i]))
                        return &type->fields[i];
        return NULL;
}

struct list *list_new(struct cli *cli, const struct contract_method *method, const char *columns)
{
        struct list *l = mem_zalloc(sizeof(*l));
        struct str rest = str_of(columns);
        l->cli = cli;
        l->type = method->output;
        l->field = rows_of(method->output);
        while (rest.n && l->n_columns < MAX_COLUMNS)
                l->columns[l->n_columns++] = arena_str(cli->arena, str_cut(&rest, ' ')).p;
        if (!cli->json && l->n_columns)
                l->table = table_new(l->columns, l->n_columns);
        if (cli->json)
                printf("{\"%s\":[", l->field->json_name);
        return l;
}

void list_page(struct list *l, const void *page, void (*print_row)(void *arg, const void *row), void *arg)
{
        const char *cells[MAX_COLUMNS];
        size_t n;
        void *const *rows = list_of(l->type, l->field, page, &n);

        for (size_t r = 0; r < n; r++) {
                if (l->cli->json) {
                        printf("%s", l->any ? "," : "");
                        show_json(l->field->message, rows[r]);
                } else if (print_row) {
                        print_row(arg, rows[r]);
                } else {
                        for (size_t c = 0; c < l->n_columns; c++)
                                cells[c] = field_text(l->cli, l->field->message, rows[r], l->columns[c]);
                        table_row(l->table, cells);
                }
                l->any = true;
        }
        if (l->table)
                table_print(l->table);
}

struct list *list_end(struct list *l)
{
        if (l->cli->json)
                printf("]}\n");
        table_free(l->table);
        free(l);
        return NULL;
}

/* --- progress --------------------------------------------------------------------------------------------------------------- */

void progress_show(struct progress *p, int64_t done, int64_t total)
{
        int64_t now = clock_monotonic_us();
        if (!p->started_us)
                p->started_us = now;
        int64_t took = now - p->started_us;
        if (!isatty(STDERR_FILENO) || took < 2 * CLOCK_SECOND_US || now - p->shown_us < CLOCK_SECOND_US / 5 || done <= 0)
                return;
        p->shown_us = now;
        double rate = (double)done / ((double)took / 1e6);
        if (!total) { /* nobody knows how much there is */
                fprintf(stderr, "\r%s: %" PRId64 ", %.0f/s\033[K", p->what, done, rate);
                return;
        }
        int64_t left = total > done && rate > 0 ? (int64_t)((double)(total - done) / rate) : 0;
        fprintf(stderr, "\r%s: %" PRId64 " of %" PRId64 " (%d %%), %.0f/s, %" PRId64 " s left\033[K", p->what, done, total,
                (int)(100 * done / total), rate, left);
}

void progress_end(struct progress *p)
{
        if (p->shown_us)
                fprintf(stderr, "\r\033[K");
}
