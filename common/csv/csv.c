/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows' state machine runs over raw bytes: neither UTF-8 nor GB18030 uses the bytes of a comma, a quote
 * or a line's end inside a longer character, so fields are cut first and converted after.
 */
#include "common/csv/csv.h"

#include <iconv.h>
#include <stdlib.h>

enum state {
        FIELD_START,  /* nothing of this field yet */
        PLAIN,        /* in a field without quotes */
        QUOTED,       /* inside quotes */
        QUOTE_IN_END, /* after a quote inside quotes: the end, or the first of two */
        SKIPPING,     /* the row has a fault: on to the line's end */
};

struct csv {
        enum csv_encoding encoding;
        iconv_t converter; /* CSV_GB18030 only */
        csv_row_fn on_row;
        void *arg;

        enum state state;
        enum csv_fault fault;
        int64_t row;    /* number of the row before the one in hand */
        int64_t offset; /* of the next byte in the file */
        bool started;   /* a byte of the row in hand was seen */

        struct buf raw;              /* the row's fields one after the other */
        size_t ends[CSV_MAX_FIELDS]; /* of each field in raw */
        size_t n;                    /* fields that have ended */
        struct buf text;             /* converted fields */
        struct str fields[CSV_MAX_FIELDS];
};

struct csv *csv_new(enum csv_encoding encoding, int64_t row, int64_t offset, csv_row_fn on_row, void *arg)
{
        struct csv *csv = mem_zalloc(sizeof(*csv));
        csv->encoding = encoding;
        csv->converter = encoding == CSV_GB18030 ? iconv_open("UTF-8", "GB18030") : (iconv_t)-1;
        csv->row = row;
        csv->offset = offset;
        csv->on_row = on_row;
        csv->arg = arg;
        return csv;
}

struct csv *csv_free(struct csv *csv)
{
        if (!csv)
                return NULL;
        if (csv->converter != (iconv_t)-1)
                iconv_close(csv->converter);
        buf_done(&csv->raw);
        buf_done(&csv->text);
        free(csv);
        return NULL;
}

static bool is_mark(struct str s)
{
        return str_eq(s, STR("\xef\xbb\xbf")) || str_eq(s, STR("\x84\x31\x95\x33"));
}

static bool at_file_start(const struct csv *csv)
{
        return csv->row == 0 && csv->n == 0;
}

static struct str without_mark(struct str s)
{
        for (size_t n = 3; n <= 4 && n <= s.n; n++)
                if (is_mark(str_bytes(s.p, n)))
                        return str_bytes(s.p + n, s.n - n);
        return s;
}

/* Appends the field to csv->text as UTF-8. */
static bool convert_field(struct csv *csv, struct str raw)
{
        char *in = (char *)raw.p;
        size_t in_left = raw.n;
        /* The longest case: one byte of ASCII stays one; two of GB18030 become three. */
        buf_reserve(&csv->text, raw.n * 2 + 4);
        char *out = csv->text.p + csv->text.n;
        size_t out_left = raw.n * 2 + 4;
        iconv(csv->converter, NULL, NULL, NULL, NULL);
        if (iconv(csv->converter, &in, &in_left, &out, &out_left) == (size_t)-1)
                return false;
        csv->text.n = (size_t)(out - csv->text.p);
        return true;
}

static bool decode_fields(struct csv *csv)
{
        size_t text_ends[CSV_MAX_FIELDS];
        bool utf8 = csv->encoding == CSV_UTF8;
        struct buf *from = utf8 ? &csv->raw : &csv->text;
        buf_reserve(from, 1); /* fields may all be empty: a slice of nothing still points somewhere */
        buf_reserve(&csv->raw, 1);
        csv->text.n = 0;
        for (size_t i = 0, start = 0; i < csv->n; start = csv->ends[i++]) {
                struct str raw = str_bytes(csv->raw.p + start, csv->ends[i] - start);
                if (raw.n > 0 && memchr(raw.p, 0, raw.n))
                        return false;
                if (utf8 ? !str_is_utf8(raw) : !convert_field(csv, raw))
                        return false;
                text_ends[i] = utf8 ? csv->ends[i] : csv->text.n;
        }
        for (size_t i = 0, start = 0; i < csv->n; start = text_ends[i++])
                csv->fields[i] = str_bytes(from->p + start, text_ends[i] - start);
        if (csv->row == 1 && csv->n > 0)
                csv->fields[0] = without_mark(csv->fields[0]);
        return true;
}

static int give_row(struct csv *csv)
{
        csv->row++;
        bool empty = csv->fault == CSV_OK && csv->n == 1 && csv->ends[0] == 0;
        if (csv->fault == CSV_OK && !empty && !decode_fields(csv))
                csv->fault = CSV_ENCODING;
        struct csv_row row = {
            .number = csv->row,
            .end = csv->offset,
            .fault = csv->fault,
            .fields = csv->fields,
            .n = csv->fault == CSV_OK ? csv->n : 0,
        };
        csv->state = FIELD_START;
        csv->fault = CSV_OK;
        csv->raw.n = 0;
        csv->n = 0;
        csv->started = false;
        return empty ? 0 : csv->on_row(csv->arg, &row);
}

static void set_fault(struct csv *csv, enum csv_fault fault)
{
        csv->fault = fault;
        csv->state = SKIPPING;
}

static void end_field(struct csv *csv)
{
        if (csv->n == CSV_MAX_FIELDS) {
                set_fault(csv, CSV_TOO_MANY_FIELDS);
                return;
        }
        csv->ends[csv->n++] = csv->raw.n;
        csv->state = FIELD_START;
}

/* A carriage return counts as part of the line's end only right before it. */
static int end_line(struct csv *csv)
{
        size_t start = csv->n ? csv->ends[csv->n - 1] : 0;
        if (csv->state == PLAIN && csv->raw.n > start && csv->raw.p[csv->raw.n - 1] == '\r')
                csv->raw.n--;
        if (csv->state != SKIPPING)
                end_field(csv);
        return give_row(csv);
}

static void take_byte(struct csv *csv, char c)
{
        if (csv->raw.n >= CSV_MAX_ROW) {
                set_fault(csv, CSV_TOO_LONG);
                return;
        }
        buf_add_char(&csv->raw, c);
}

static int step(struct csv *csv, char c)
{
        switch (csv->state) {
        case FIELD_START:
        case PLAIN:
                if (c == '\n')
                        return end_line(csv);
                if (c == ',') {
                        end_field(csv);
                } else if (c != '"') {
                        csv->state = PLAIN;
                        take_byte(csv, c);
                } else if (csv->state == FIELD_START) {
                        csv->state = QUOTED;
                } else if (at_file_start(csv) && is_mark(buf_str(&csv->raw))) {
                        csv->raw.n = 0;
                        csv->state = QUOTED;
                } else {
                        set_fault(csv, CSV_QUOTE);
                }
                return 0;
        case QUOTED:
                if (c == '"')
                        csv->state = QUOTE_IN_END;
                else
                        take_byte(csv, c);
                return 0;
        case QUOTE_IN_END:
                if (c == '\n')
                        return end_line(csv);
                if (c == ',') {
                        end_field(csv);
                } else if (c == '"') {
                        csv->state = QUOTED;
                        take_byte(csv, c);
                } else if (c != '\r') {
                        set_fault(csv, CSV_QUOTE);
                }
                return 0;
        case SKIPPING:
                return c == '\n' ? give_row(csv) : 0;
        }
        return 0;
}

int csv_push(struct csv *csv, struct str piece)
{
        for (size_t i = 0; i < piece.n; i++) {
                csv->offset++;
                csv->started = true;
                int r = step(csv, piece.p[i]);
                if (r != 0)
                        return r;
        }
        return 0;
}

int csv_end(struct csv *csv)
{
        if (!csv->started)
                return 0;
        if (csv->state == QUOTED)
                set_fault(csv, CSV_QUOTE);
        return end_line(csv);
}

/* The state: how many continuation bytes must follow, and within which bounds the next one must be. */
#define UTF8_BAD              UINT32_MAX
#define UTF8_NEED(n, low, up) ((uint32_t)(n) | (uint32_t)(low) << 8 | (uint32_t)(up) << 16)

static uint32_t utf8_lead(unsigned char c)
{
        if (c < 0x80)
                return 0;
        if (c >= 0xc2 && c <= 0xdf)
                return UTF8_NEED(1, 0x80, 0xbf);
        if (c >= 0xe0 && c <= 0xef)
                return UTF8_NEED(2, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf);
        if (c >= 0xf0 && c <= 0xf4)
                return UTF8_NEED(3, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf);
        return UTF8_BAD;
}

uint32_t csv_utf8_scan(uint32_t state, struct str piece)
{
        for (size_t i = 0; i < piece.n && state != UTF8_BAD; i++) {
                unsigned char c = (unsigned char)piece.p[i];
                if (state == 0)
                        state = utf8_lead(c);
                else if (c < ((state >> 8) & 0xff) || c > (state >> 16))
                        state = UTF8_BAD;
                else
                        state = (state & 0xff) == 1 ? 0 : UTF8_NEED((state & 0xff) - 1, 0x80, 0xbf);
        }
        return state;
}
