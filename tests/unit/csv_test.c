/* SPDX-License-Identifier: Apache-2.0
 *
 * CSV: what people send, cut anywhere, and what is wrong with a row.
 */
#include "common/csv/csv.h"
#include "tests/support/check.h"

/* Rows as text: fields joined by '|', rows by '/', faults as their number behind '!'. */
static int on_row(void *arg, const struct csv_row *row)
{
        struct buf *out = arg;
        if (out->n)
                buf_add_char(out, '/');
        if (row->fault)
                buf_printf(out, "!%d", row->fault);
        for (size_t i = 0; i < row->n; i++) {
                if (i)
                        buf_add_char(out, '|');
                buf_add_str(out, row->fields[i]);
        }
        return 0;
}

static const char *read_pieces(struct buf *out, enum csv_encoding encoding, struct str file, size_t piece)
{
        _cleanup_(csv_freep) struct csv *csv = csv_new(encoding, 0, 0, on_row, out);
        out->n = 0;
        for (size_t i = 0; i < file.n; i += piece)
                if (csv_push(csv, str_bytes(file.p + i, file.n - i < piece ? file.n - i : piece)) != 0)
                        return "stopped";
        if (csv_end(csv) != 0)
                return "stopped";
        return buf_z(out);
}

#define CHECK_FILE(encoding, literal, want)                                                                  \
        do {                                                                                                 \
                struct buf out_ = {0};                                                                       \
                for (size_t piece_ = 1; piece_ < 9; piece_++)                                                \
                        CHECK_TEXT(read_pieces(&out_, encoding, STR(literal), piece_), want);                \
                buf_done(&out_);                                                                             \
        } while (0)

static void test_plain(void)
{
        CHECK_FILE(CSV_UTF8, "a,b\r\n1,2\r\n", "a|b/1|2");
        CHECK_FILE(CSV_UTF8, "a,b\n1,2", "a|b/1|2");
        CHECK_FILE(CSV_UTF8, "a,\n,b\n", "a|/|b");
        CHECK_FILE(CSV_UTF8, "", "");
        CHECK_FILE(CSV_UTF8, "a\n\n\r\nb\n", "a/b");
        CHECK_FILE(CSV_UTF8, "a\rb,c\n", "a\rb|c");
}

static void test_quoted(void)
{
        CHECK_FILE(CSV_UTF8, "\"a,b\",\"c\"\"d\"\r\n\"x\ny\",\"\"\n", "a,b|c\"d/x\ny|");
        CHECK_FILE(CSV_UTF8, "\"a\"x,b\nc\n", "!3/c");
        CHECK_FILE(CSV_UTF8, "a\"b\nc\n", "!3/c");
        CHECK_FILE(CSV_UTF8, "a\n\"b\nc\n", "a/!3");
}

static void test_marks(void)
{
        CHECK_FILE(CSV_UTF8,
                   "\xef\xbb\xbf"
                   "a,b\n\xef\xbb\xbf"
                   "c\n",
                   "a|b/\xef\xbb\xbf"
                   "c");
        CHECK_FILE(CSV_UTF8, "\xef\xbb\xbf\"a\",b\n", "a|b");
        CHECK_FILE(CSV_GB18030,
                   "\x84\x31\x95\x33"
                   "a\n",
                   "a");
}

static void test_encodings(void)
{
        CHECK_FILE(CSV_GB18030, "\xba\xfe\xc4\xcf,1\n", "湖南|1");
        CHECK_FILE(CSV_GB18030, "\x95\x32\x82\x36\xa1\xa4\n", "𠀀·"); /* four bytes; the middle dot */
        CHECK_FILE(CSV_GB18030,
                   "\xba\n"
                   "a\n",
                   "!4/a");
        CHECK_FILE(CSV_UTF8, "𠮷·买买提\n", "𠮷·买买提");
        CHECK_FILE(CSV_UTF8, "\xba\xfe\nok\n", "!4/ok");
        CHECK_FILE(CSV_UTF8, "a\0b\nok\n", "!4/ok");
}

static void test_limits(void)
{
        struct buf file = {0}, out = {0};
        for (int i = 0; i < CSV_MAX_ROW + 1; i++)
                buf_add_char(&file, 'x');
        buf_add_z(&file, ",\"\nb\n");
        CHECK_TEXT(read_pieces(&out, CSV_UTF8, buf_str(&file), 1000), "!1/b");
        file.n = 0;
        for (int i = 0; i < CSV_MAX_FIELDS; i++)
                buf_add_char(&file, ',');
        buf_add_z(&file, "\nb\n");
        CHECK_TEXT(read_pieces(&out, CSV_UTF8, buf_str(&file), 7), "!2/b");
        buf_done(&file);
        buf_done(&out);
}

struct seen {
        int64_t number, end;
};

static int stop_at_second(void *arg, const struct csv_row *row)
{
        *(struct seen *)arg = (struct seen){row->number, row->end};
        return row->number == 2 ? 77 : 0;
}

static void test_resume(void)
{
        struct seen seen = {0};
        struct str file = STR("a\n\"b\nb\"\nc\nd\n");
        _cleanup_(csv_freep) struct csv *csv = csv_new(CSV_UTF8, 0, 0, stop_at_second, &seen);
        CHECK_INT(csv_push(csv, file), 77);
        CHECK_INT(seen.number, 2);
        CHECK_INT(seen.end, 8);
        struct buf out = {0};
        _cleanup_(csv_freep) struct csv *rest = csv_new(CSV_UTF8, seen.number, seen.end, on_row, &out);
        CHECK_INT(csv_push(rest, str_bytes(file.p + seen.end, file.n - (size_t)seen.end)), 0);
        CHECK_TEXT(buf_z(&out), "c/d");
        buf_done(&out);
}

/* The scan agrees with the whole-text check for every text cut anywhere. */
static void test_scan(void)
{
        static const char *const texts[] = {
            "", "abc", "湖南𠮷", "\xc1\xaa", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe6\xb9", "\xc2\xbd\xff"};
        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
                struct str text = str_of(texts[i]);
                for (size_t cut = 0; cut <= text.n; cut++) {
                        uint32_t state = csv_utf8_scan(0, str_bytes(text.p, cut));
                        state = csv_utf8_scan(state, str_bytes(text.p + cut, text.n - cut));
                        CHECK((state == 0) == str_is_utf8(text));
                }
        }
}

static const struct check_case cases[] = {
        {"rows end with CRLF, LF or the file", test_plain},
        {"quotes hold commas, quotes and line ends", test_quoted},
        {"a byte order mark is skipped once", test_marks},
        {"GB18030 and rare characters arrive as UTF-8", test_encodings},
        {"a row past the limits is a fault and the next is read", test_limits},
        {"reading goes on after any row", test_resume},
        {"the scan for UTF-8 sees through pieces", test_scan},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
