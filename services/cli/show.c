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

struct table {
        size_t n_columns, n_rows;
        int widths[MAX_COLUMNS];
        char **cells; /* row by row; the headings first */
};

/* Columns of a terminal: two for East Asian wide characters (Unicode Standard Annex 11), none for combining ones. */
static int text_width(const char *z)
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
                }
                putchar('\n');
        }
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

/* A field as a person reads it: JSON without the quotes of a plain string. */
static char *field_text(struct cli *cli, const struct contract_message *type, const void *message, const char *name)
{
        const struct contract_field *field = message_field(type, str_of(name));
        struct buf json = {0};

        if (field)
                (void)transcode_field_to_json(&json, type, (unsigned)(field - type->fields), message);
        struct str text = buf_str(&json);
        if (text.n >= 2 && text.p[0] == '"')
                text = (struct str){text.p + 1, text.n - 2};
        char *copy = arena_strndup(cli->arena, text.p, text.n);
        buf_done(&json);
        return copy;
}

static void show_rows(struct cli *cli, const struct contract_message *type, void *const *rows, size_t n, const char *columns)
{
        const char *names[MAX_COLUMNS], *cells[MAX_COLUMNS];
        size_t n_names = 0;
        struct str rest = str_of(columns);

        while (rest.n && n_names < MAX_COLUMNS)
                names[n_names++] = arena_str(cli->arena, str_cut(&rest, ' ')).p;
        _cleanup_(table_freep) struct table *t = table_new(names, n_names);
        for (size_t r = 0; r < n; r++) {
                for (size_t c = 0; c < n_names; c++)
                        cells[c] = field_text(cli, type, rows[r], names[c]);
                table_row(t, cells);
        }
        table_print(t);
}

void show_message(struct cli *cli, const struct contract_message *type, const void *message, const char *columns)
{
        if (cli->json) {
                struct buf out = {0};
                transcode_to_json(&out, type, message);
                printf("%s\n", buf_z(&out));
                buf_done(&out);
                return;
        }
        for (unsigned i = 0; i < type->n_fields && columns; i++) {
                const ProtobufCFieldDescriptor *pb = &type->pb->fields[i];
                if (pb->label == PROTOBUF_C_LABEL_REPEATED && type->fields[i].message) {
                        size_t n = *(const size_t *)((const char *)message + pb->quantifier_offset);
                        show_rows(cli, type->fields[i].message, *(void *const *const *)((const char *)message + pb->offset), n, columns);
                        return;
                }
        }
        for (unsigned i = 0; i < type->n_fields; i++) {
                if (type->fields[i].internal)
                        continue;
                const char *text = field_text(cli, type, message, type->fields[i].name);
                if (*text)
                        printf("%-18s %s\n", type->fields[i].json_name, text);
        }
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
        int64_t left = total > done && rate > 0 ? (int64_t)((double)(total - done) / rate) : 0;
        fprintf(stderr, "\r%s: %" PRId64 " of %" PRId64 " (%d %%), %.0f/s, %" PRId64 " s left\033[K", p->what, done, total,
                total ? (int)(100 * done / total) : 100, rate, left);
}

void progress_end(struct progress *p)
{
        if (p->shown_us)
                fprintf(stderr, "\r\033[K");
}
