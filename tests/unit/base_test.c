/* SPDX-License-Identifier: Apache-2.0
 *
 * The base: slices, UTF-8, numbers, buffers, hex, arenas, ids, times.
 */
#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/id.h"
#include "tests/support/check.h"

#include <unistd.h>

static void test_slices(void)
{
        struct str s = STR("a,b,,c"), rest = s;
        CHECK(str_is(str_cut(&rest, ','), "a"));
        CHECK(str_is(str_cut(&rest, ','), "b"));
        CHECK(str_is(str_cut(&rest, ','), ""));
        CHECK(str_is(str_cut(&rest, ','), "c"));
        CHECK_INT(rest.n, 0);
        CHECK(str_is(str_cut(&rest, ','), "")); /* at the end it stays there */
        CHECK(str_eq((struct str){0}, STR("")));
        CHECK(!str_eq(STR("a"), STR("b")) && !str_eq(STR("a"), STR("ab")));
        CHECK(str_case_eq(STR("Content-Length"), STR("cONTENT-lENGTH")));
        CHECK(!str_case_eq(STR("["), STR("{"))); /* only letters have cases */
        CHECK(str_starts(s, STR("a,")) && str_starts(s, STR("")) && !str_starts(STR("a"), s));
        CHECK(str_is(str_trim(STR(" \t x y\t ")), "x y"));
        CHECK(str_is(str_trim(STR(" \t ")), ""));
        CHECK(str_of(NULL).n == 0);
}

static void test_numbers(void)
{
        static const struct {
                const char *text;
                int result;
                int64_t value;
        } table[] = {
                {"0", 0, 0},
                {"007", 0, 7},
                {"-12", 0, -12},
                {"9223372036854775807", 0, INT64_MAX},
                {"-9223372036854775808", 0, INT64_MIN},
                {"9223372036854775808", -ERANGE, 0},
                {"-9223372036854775809", -ERANGE, 0},
                {"99999999999999999999999", -ERANGE, 0},
                {"", -EINVAL, 0},
                {"-", -EINVAL, 0},
                {"+1", -EINVAL, 0},
                {" 1", -EINVAL, 0},
                {"1 ", -EINVAL, 0},
                {"1.0", -EINVAL, 0},
                {"0x10", -EINVAL, 0},
                {"--1", -EINVAL, 0},
                {"１", -EINVAL, 0},
        };
        for (size_t i = 0; i < ARRAY_LEN(table); i++) {
                int64_t v = 42;
                int r = str_to_i64(str_of(table[i].text), INT64_MIN, INT64_MAX, &v);
                if (r != table[i].result || v != (r == 0 ? table[i].value : 42)) {
                        printf("# '%s'\n", table[i].text);
                        CHECK_INT(r, table[i].result);
                        CHECK_INT(v, table[i].value);
                }
        }
        int64_t v;
        CHECK_INT(str_to_i64(STR("10"), 1, 10, &v), 0);
        CHECK_INT(str_to_i64(STR("11"), 1, 10, &v), -ERANGE);
        CHECK_INT(str_to_i64(STR("0"), 1, 10, &v), -ERANGE);
}

/* Unicode's definition itself: what every code point encodes to, and nothing else, is well-formed. */
static size_t encode(uint32_t c, unsigned char out[4])
{
        if (c < 0x80) {
                out[0] = (unsigned char)c;
                return 1;
        }
        if (c < 0x800) {
                out[0] = (unsigned char)(0xC0 | c >> 6);
                out[1] = (unsigned char)(0x80 | (c & 63));
                return 2;
        }
        if (c < 0x10000) {
                out[0] = (unsigned char)(0xE0 | c >> 12);
                out[1] = (unsigned char)(0x80 | (c >> 6 & 63));
                out[2] = (unsigned char)(0x80 | (c & 63));
                return 3;
        }
        out[0] = (unsigned char)(0xF0 | c >> 18);
        out[1] = (unsigned char)(0x80 | (c >> 12 & 63));
        out[2] = (unsigned char)(0x80 | (c >> 6 & 63));
        out[3] = (unsigned char)(0x80 | (c & 63));
        return 4;
}

static bool is_scalar(uint32_t c)
{
        return c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF);
}

static void test_utf8_of_every_code_point(void)
{
        unsigned char b[4];
        int wrong = 0;
        for (uint32_t c = 0; c < 0x200000; c++) {
                size_t n = encode(c, b);
                wrong += str_is_utf8(str_bytes(b, n)) != is_scalar(c);
                for (size_t cut = 1; cut < n; cut++)
                        wrong += str_is_utf8(str_bytes(b, cut)) || str_is_utf8(str_bytes(b + cut, n - cut));
        }
        CHECK_INT(wrong, 0);
}

/* Well-formed only if decoding it and encoding the result gives the same bytes. */
static bool is_utf8_by_round_trip(const unsigned char *p, size_t n)
{
        while (n) {
                size_t length = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
                unsigned char again[4];
                if (!length || length > n)
                        return false;
                uint32_t c = length == 1 ? p[0] : p[0] & (0x7F >> length);
                for (size_t i = 1; i < length; i++) {
                        if (p[i] >> 6 != 2)
                                return false;
                        c = c << 6 | (p[i] & 63);
                }
                if (!is_scalar(c) || encode(c, again) != length || memcmp(again, p, length) != 0)
                        return false;
                p += length;
                n -= length;
        }
        return true;
}

static void test_utf8_of_all_leads(void)
{
        static const unsigned char tails[][2] = {{0x80, 0x80}, {0xBF, 0xBF}, {0x80, 0x7F}, {0xC0, 0x80},
                                                 {0x00, 0x00}, {'a', 'b'},   {0x9F, 0xBF}, {0xA0, 0x80}};
        int wrong = 0;
        for (int lead = 0; lead < 0x10000; lead++)
                for (size_t t = 0; t < ARRAY_LEN(tails); t++) {
                        unsigned char b[] = {(unsigned char)(lead >> 8), (unsigned char)lead, tails[t][0], tails[t][1]};
                        for (size_t n = 2; n <= 4; n++)
                                wrong += str_is_utf8(str_bytes(b, n)) != is_utf8_by_round_trip(b, n);
                }
        CHECK_INT(wrong, 0);
        CHECK(str_is_utf8((struct str){0}));
        CHECK_INT(str_code_points(STR("买买提·𠮷a")), 6);
}

static void test_controls(void)
{
        char text[20];
        for (size_t n = 0; n <= sizeof(text); n++)
                for (size_t at = 0; at < n; at++)
                        for (unsigned byte = 0; byte < 256; byte++) {
                                memset(text, 0xff, sizeof(text));
                                text[at] = (char)byte;
                                if (str_has_control(str_bytes(text, n)) != (byte < 0x20))
                                        CHECK(!"one byte among others");
                        }
        CHECK(!str_has_control((struct str){0}));
}

static void test_numbers_in_decimal(void)
{
        _cleanup_(buf_done) struct buf b = {0};
        const int64_t numbers[] = {0, 9, -10, INT64_MAX, INT64_MIN};
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
                buf_add_i64(&b, numbers[i]);
                buf_add_char(&b, ' ');
        }
        buf_add_u64(&b, UINT64_MAX);
        CHECK_TEXT(buf_z(&b), "0 9 -10 9223372036854775807 -9223372036854775808 18446744073709551615");
}

static void test_buffers(void)
{
        struct buf b = {0};
        CHECK_TEXT(buf_z(&b), "");
        for (int i = 0; i < 1000; i++)
                buf_printf(&b, "%d,", i);
        CHECK_INT(b.n, 3890);
        CHECK(str_starts(buf_str(&b), STR("0,1,2,")));
        b.n = 0;
        buf_add(&b, NULL, 0);
        buf_add_z(&b, "a");
        buf_add_char(&b, 'b');
        buf_add_str(&b, STR("c"));
        CHECK_TEXT(buf_z(&b), "abc");
        CHECK_INT(b.n, 3);
        buf_done(&b);
        CHECK(b.p == NULL && b.cap == 0);
}

static void test_hex(void)
{
        char hex[7];
        unsigned char bytes[3];
        hex_encode(hex, "\x00\x9f\xff", 3);
        CHECK_TEXT(hex, "009fff");
        CHECK_INT(hex_decode(bytes, 3, STR("009FfF")), 0);
        CHECK(memcmp(bytes, "\x00\x9f\xff", 3) == 0);
        CHECK_INT(hex_decode(bytes, 3, STR("009ff")), -EINVAL);
        CHECK_INT(hex_decode(bytes, 3, STR("009ff00")), -EINVAL);
        for (int c = 0; c < 256; c++) {
                char text[] = {'0', (char)c};
                bool digit = c < 128 && c && strchr("0123456789abcdefABCDEF", c);
                CHECK_INT(hex_decode(bytes, 1, (struct str){text, 2}), digit ? 0 : -EINVAL);
        }
}

static void test_arena(void)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(4096);
        char *first = arena_alloc(a, 1);
        for (int round = 0; round < 3; round++) {
                for (size_t size = 0; size < 20000; size += 777) {
                        unsigned char *p = arena_zalloc(a, size);
                        CHECK(((uintptr_t)p & 15) == 0);
                        for (size_t i = 0; i < size; i++)
                                if (p[i])
                                        CHECK(false);
                        memset(p, 0xAA, size);
                }
                CHECK(arena_used(a) > 200000);
                CHECK_TEXT(arena_printf(a, "%s-%d", "x", 7), "x-7");
                CHECK_TEXT(arena_strdup(a, "text"), "text");
                struct str copy = arena_str(a, (struct str){0});
                CHECK(copy.n == 0 && copy.p && !copy.p[0]);
                arena_reset(a);
                CHECK_INT(arena_used(a), 0);
                CHECK(arena_alloc(a, 1) == (void *)first); /* the first block is kept */
                arena_reset(a);
        }
}

static void test_ids(void)
{
        char last[ID_TEXT_SIZE] = "", id[ID_TEXT_SIZE];
        int64_t now = 1780000000000123ll;
        for (int i = 0; i < 5000; i++) {
                now += 1; /* microseconds: ids of one millisecond are in order, too, as far as 12 bits tell */
                id_new(id, now);
                CHECK(id_is_uuid(str_of(id)));
                CHECK(id[14] == '7' && strchr("89ab", id[19]));
                if (i % 2 == 0) {
                        CHECK(strcmp(last, id) < 0);
                        memcpy(last, id, sizeof(id));
                }
        }
        id_new(id, 0x0123456789ABll * 1000);
        CHECK(strncmp(id, "01234567-89ab-7000-", 19) == 0);
        id_least(last, 0x0123456789ABll * 1000);
        CHECK(id_is_uuid(str_of(last)) && strcmp(last, id) <= 0);
        id_new(id, 0x0123456789ABll * 1000 - 1);
        CHECK(strcmp(last, id) > 0);
        CHECK(id_is_uuid(STR("00000000-0000-0000-0000-000000000000")));
        CHECK(!id_is_uuid(STR("0197B0A0-0000-7000-8000-000000000001"))); /* canonical is lower case */
        CHECK(!id_is_uuid(STR("0197b0a0-0000-7000-8000-00000000000")));
        CHECK(!id_is_uuid(STR("0197b0a0-0000-7000-8000-0000000000011")));
        CHECK(!id_is_uuid(STR("0197b0a0+0000-7000-8000-000000000001")));
        CHECK(!id_is_uuid(STR("0197b0a0-0000-7000-8000-00000000000g")));
        CHECK(!id_is_uuid((struct str){0}));
}

static void test_traceparents(void)
{
        char one[ID_TRACEPARENT_SIZE], next[ID_TRACEPARENT_SIZE];
        id_new_traceparent(one);
        CHECK(id_is_traceparent(str_of(one)));
        id_next_traceparent(next, str_of(one));
        CHECK(id_is_traceparent(str_of(next)));
        CHECK(memcmp(one, next, 36) == 0 && memcmp(one + 36, next + 36, 16) != 0);
        CHECK(strcmp(one + 52, next + 52) == 0);
        CHECK(id_is_traceparent(STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")));
        CHECK(!id_is_traceparent(STR("00-00000000000000000000000000000000-b7ad6b7169203331-01")));
        CHECK(!id_is_traceparent(STR("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01")));
        CHECK(!id_is_traceparent(STR("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")));
        CHECK(!id_is_traceparent(STR("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")));
        CHECK(!id_is_traceparent(STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331")));
}

static void test_random_bytes_differ(void)
{
        unsigned char a[300], b[300], zero[16] = {0};
        for (size_t n = 16; n <= sizeof(a); n += 71) {
                id_random(a, n);
                id_random(b, n);
                CHECK(memcmp(a, b, n) != 0);
                CHECK(memcmp(a + n - 16, zero, 16) != 0);
        }
}

static void test_times(void)
{
        static const struct {
                const char *text; /* as read */
                int result;
                int64_t us;
                const char *canonical; /* as written, if it differs */
        } table[] = {
                {"1970-01-01T00:00:00Z", 0, 0, NULL},
                {"1970-01-01T00:00:00.000001Z", 0, 1, NULL},
                {"1969-12-31T23:59:59.999999Z", 0, -1, NULL},
                {"2026-05-29T01:02:03.5Z", 0, 1780016523500000, "2026-05-29T01:02:03.500Z"},
                {"2026-05-29T09:02:03+08:00", 0, 1780016523000000, "2026-05-29T01:02:03Z"},
                {"2026-05-28T20:32:03-04:30", 0, 1780016523000000, "2026-05-29T01:02:03Z"},
                {"2026-05-29t01:02:03z", 0, 1780016523000000, "2026-05-29T01:02:03Z"},
                {"2026-05-29T01:02:03.123456789Z", 0, 1780016523123456, "2026-05-29T01:02:03.123456Z"},
                {"2000-02-29T00:00:00Z", 0, 951782400000000, NULL},
                {"2024-02-29T00:00:00Z", 0, 1709164800000000, NULL},
                {"0001-01-01T00:00:00Z", 0, -62135596800000000, NULL},
                {"9999-12-31T23:59:59.999999Z", 0, 253402300799999999, NULL},
                {"0001-01-01T00:00:00+00:01", -ERANGE, 0, NULL},
                {"9999-12-31T23:59:59-00:01", -ERANGE, 0, NULL},
                {"0000-01-01T00:00:00Z", -ERANGE, 0, NULL},
                {"1900-02-29T00:00:00Z", -EINVAL, 0, NULL},
                {"2026-02-29T00:00:00Z", -EINVAL, 0, NULL},
                {"2026-13-01T00:00:00Z", -EINVAL, 0, NULL},
                {"2026-00-01T00:00:00Z", -EINVAL, 0, NULL},
                {"2026-04-31T00:00:00Z", -EINVAL, 0, NULL},
                {"2026-01-00T00:00:00Z", -EINVAL, 0, NULL},
                {"2026-01-01T24:00:00Z", -EINVAL, 0, NULL},
                {"2026-01-01T00:60:00Z", -EINVAL, 0, NULL},
                {"2026-06-30T23:59:60Z", -EINVAL, 0, NULL},
                {"2026-01-01T00:00:00", -EINVAL, 0, NULL},
                {"2026-01-01T00:00:00.Z", -EINVAL, 0, NULL},
                {"2026-01-01T00:00:00+24:00", -EINVAL, 0, NULL},
                {"2026-01-01T00:00:00+08", -EINVAL, 0, NULL},
                {"2026-01-01T00:00:00+0800", -EINVAL, 0, NULL},
                {"2026-01-01 00:00:00Z", -EINVAL, 0, NULL},
                {"2026-1-01T00:00:00Z", -EINVAL, 0, NULL},
                {"2026-01-01T00:00:00Z ", -EINVAL, 0, NULL},
                {"", -EINVAL, 0, NULL},
        };
        for (size_t i = 0; i < ARRAY_LEN(table); i++) {
                int64_t us = 42;
                char text[40];
                int r = clock_parse_rfc3339(str_of(table[i].text), &us);
                if (r != table[i].result)
                        printf("# '%s'\n", table[i].text);
                CHECK_INT(r, table[i].result);
                if (r == 0 && table[i].result == 0) {
                        CHECK_INT(us, table[i].us);
                        size_t n = clock_format_rfc3339(text, us);
                        CHECK_TEXT(text, table[i].canonical ? table[i].canonical : table[i].text);
                        CHECK_INT(n, strlen(text));
                }
        }
        int wrong = 0; /* on a wide walk, both ways */
        for (int64_t us = -62135596800000000; us < 253402300799000000; us += 86413579246813ll) {
                char text[40];
                int64_t again = 0;
                clock_format_rfc3339(text, us);
                wrong += clock_parse_rfc3339(str_of(text), &again) != 0 || again != us;
        }
        CHECK_INT(wrong, 0);
}

static void test_clock_offset(void)
{
        char path[] = "/tmp/nuanxin-clock-XXXXXX";
        int64_t offset = 3 * CLOCK_DAY_US;
        struct clock shifted, plain;
        int fd = mkstemp(path);
        CHECK_INT(clock_init(&plain, NULL), 0);
        CHECK_INT(clock_init(&shifted, path), -EINVAL); /* too short */
        CHECK_INT(pwrite(fd, &offset, sizeof(offset), 0), sizeof(offset));
        CHECK_INT(clock_init(&shifted, path), 0);
        int64_t ahead = clock_now_us(&shifted) - clock_now_us(&plain);
        CHECK(ahead > offset - CLOCK_SECOND_US && ahead <= offset);
        offset = -CLOCK_DAY_US; /* moved while processes run */
        CHECK_INT(pwrite(fd, &offset, sizeof(offset), 0), sizeof(offset));
        CHECK(clock_now_us(&shifted) < clock_now_us(&plain));
        close(fd);
        unlink(path);
        CHECK_INT(clock_init(&shifted, "/nowhere/clock"), -ENOENT);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"slices are cut, trimmed and compared", test_slices},
                {"numbers are read whole or not at all", test_numbers},
                {"UTF-8: every code point and every part of one", test_utf8_of_every_code_point},
                {"UTF-8: all two-byte beginnings", test_utf8_of_all_leads},
                {"a control byte is found wherever it stands", test_controls},
                {"numbers in decimal", test_numbers_in_decimal},
                {"buffers grow", test_buffers},
                {"hexadecimal goes both ways", test_hex},
                {"an arena aligns, grows, and forgets", test_arena},
                {"ids are UUIDv7 in the order of their making", test_ids},
                {"traceparents are valid and go on", test_traceparents},
                {"random bytes differ", test_random_bytes_differ},
                {"times go both ways, and bad ones are refused", test_times},
                {"tests can move the clock", test_clock_offset},
        };
        return CHECK_MAIN(cases);
}
