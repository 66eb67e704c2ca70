/* SPDX-License-Identifier: Apache-2.0
 *
 * The proto3 JSON mapping both ways, and what is wrong with a text, with the pointer to it.
 */
#include "common/json/transcode.h"

#include "contract/test_v1.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "tests/support/check.h"

static struct arena *arena;

static const char *text_of(struct buf *text)
{
        const char *z = arena_strndup(arena, text->p ? text->p : "", text->n);
        buf_done(text);
        return z;
}

/* How much of what stands at p is a member of an empty message of the type. */
static size_t unset_member(const struct contract_message *type, const char *p)
{
        struct buf blank = {0};
        size_t n = 0;
        transcode_to_json(&blank, type, message_new(arena, type));
        for (struct str rest = {blank.p + 1, blank.n - 2}; rest.n && !n;) {
                struct str member = str_cut(&rest, ',');
                if (strncmp(p, member.p, member.n) == 0 && strchr(",}", p[member.n]))
                        n = member.n;
        }
        buf_done(&blank);
        return n;
}

/* Adds the message as JSON without the members that say what an empty message says: they would make no test clearer. */
static void write_set(struct buf *out, const struct contract_message *type, const void *message)
{
        struct buf whole = {0};
        transcode_to_json(&whole, type, message);
        for (const char *p = buf_z(&whole); *p;) {
                size_t n = out->n && strchr("{,", out->p[out->n - 1]) ? unset_member(type, p) : 0;
                if (!n && out->n && strchr("{,", out->p[out->n - 1]))
                        n = unset_member(&test_v1_leaf_msg, p);
                if (n) {
                        p += n + (p[n] == ',');
                        continue;
                }
                if (*p == '}' && out->p[out->n - 1] == ',')
                        out->n--;
                buf_add_char(out, *p++);
        }
        buf_done(&whole);
}

/* What the text becomes when it is read and written again; or "pointer rule; …" of what is wrong with it. */
static const char *reads(const struct contract_message *type, struct str json)
{
        struct violations v = {0};
        struct buf out = {0};
        ProtobufCMessage *m = NULL;
        int r = transcode_from_json(arena, type, json, &v, &m);
        if (r == TRANSCODE_E_SYNTAX)
                buf_add_z(&out, "SYNTAX ");
        for (size_t i = 0; i < v.n; i++)
                buf_printf(&out, "%s%s %s", i ? "; " : "", v.items[i].pointer, v.items[i].rule);
        if (r == 0)
                write_set(&out, type, m);
        return text_of(&out);
}

struct example {
        const char *json, *want; /* want NULL: comes back as it is */
};

static void check_examples(const struct example *examples, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const char *want = examples[i].want ? examples[i].want : examples[i].json;
                CHECK_TEXT(reads(&test_v1_everything_msg, str_of(examples[i].json)), want);
        }
}
#define CHECK_EXAMPLES(examples) check_examples(examples, ARRAY_LEN(examples))

static void numbers(void)
{
        static const struct example examples[] = {
                {"{\"anInt32\":-2147483648,\"anInt64\":\"-9223372036854775808\",\"anUint32\":4294967295,"
                 "\"anUint64\":\"18446744073709551615\"}", NULL},
                {"{\"aSint32\":-1,\"aSint64\":\"-1\",\"aFixed32\":1,\"aFixed64\":\"1\",\"aSfixed32\":-1,\"aSfixed64\":\"-1\"}", NULL},
                {"{\"anInt32\":\"12\",\"anInt64\":12}", "{\"anInt32\":12,\"anInt64\":\"12\"}"},
                {"{\"anInt32\":1e2}", "{\"anInt32\":100}"},
                {"{\"anInt32\":1.0}", "{\"anInt32\":1}"},
                {"{\"anInt32\":0}", "{}"},
                {"{\"anInt32\":1.5}", "/anInt32 type"},
                {"{\"anInt32\":2147483648}", "/anInt32 type"},
                {"{\"anInt32\":-2147483649}", "/anInt32 type"},
                {"{\"anInt32\":true}", "/anInt32 type"},
                {"{\"anInt32\":\"\"}", "/anInt32 type"},
                {"{\"anInt32\":\" 1\"}", "/anInt32 type"},
                {"{\"anInt32\":\"+1\"}", "/anInt32 type"},
                {"{\"anInt32\":\"01\"}", "/anInt32 type"},
                {"{\"anInt32\":\"0x1\"}", "/anInt32 type"},
                {"{\"anUint32\":-1}", "/anUint32 type"},
                {"{\"anUint64\":\"18446744073709551616\"}", "/anUint64 type"},
                {"{\"anInt64\":9223372036854775808}", "/anInt64 range"},
                {"{\"leaf\":{\"name\":\"x\",\"size\":99999999999999999999}}", "/leaf/size range"},
                {"{\"aDouble\":1e999}", "/aDouble range"},
        };
        CHECK_EXAMPLES(examples);
}

static void floats(void)
{
        static const struct example examples[] = {
                {"{\"aDouble\":0.1,\"aFloat\":0.1}", NULL},
                {"{\"aDouble\":1.7976931348623157e+308,\"aFloat\":3.4028235e+38}", NULL},
                {"{\"aDouble\":5e-324}", "{\"aDouble\":4.94065645841247e-324}"},
                {"{\"aDouble\":\"NaN\",\"aFloat\":\"-Infinity\"}", NULL},
                {"{\"aDouble\":\"1.5\"}", "{\"aDouble\":1.5}"},
                {"{\"aDouble\":3}", NULL},
                {"{\"aFloat\":1e39}", "/aFloat type"},
                {"{\"aDouble\":\"nan\"}", "/aDouble type"},
                {"{\"aDouble\":\"0x10\"}", "/aDouble type"},
                {"{\"aDouble\":\"\"}", "/aDouble type"},
        };
        CHECK_EXAMPLES(examples);
}

static void texts(void)
{
        static const struct example examples[] = {
                {"{\"aString\":\"暖心 𠮷 \\\"\\\\\\n\"}", NULL},
                {"{\"aString\":\"\\u0001\\u007f\"}", NULL},
                {"{\"aString\":\"\\ud842\\udfb7\"}", "{\"aString\":\"𠮷\"}"},
                {"{\"a_string\":\"both spellings\"}", "{\"aString\":\"both spellings\"}"},
                {"{\"aString\":\"a\\u0000b\"}", "/aString utf8"},
                {"{\"aString\":1}", "/aString type"},
                {"{\"aString\":null}", "{}"},
                {"{\"someBytes\":\"AAECAw==\"}", NULL},
                {"{\"someBytes\":\"-_8\"}", "{\"someBytes\":\"+/8=\"}"},
                {"{\"someBytes\":\"AA\"}", "{\"someBytes\":\"AA==\"}"},
                {"{\"someBytes\":\"AA=\"}", "/someBytes type"},
                {"{\"someBytes\":\"A\"}", "/someBytes type"},
                {"{\"someBytes\":\"A A=\"}", "/someBytes type"},
                {"{\"someBytes\":\"A===\"}", "/someBytes type"},
        };
        CHECK_EXAMPLES(examples);
}

static void enums_and_bools(void)
{
        static const struct example examples[] = {
                {"{\"aBool\":true,\"colour\":\"RED\"}", NULL},
                {"{\"colour\":-2}", "{\"colour\":\"BLUE\"}"},
                {"{\"colour\":\"COLOUR_UNSPECIFIED\",\"aBool\":false}", "{}"},
                {"{\"colour\":\"red\"}", "/colour in"},
                {"{\"colour\":7}", "/colour in"},
                {"{\"colours\":[\"RED\",\"GREEN\"]}", "/colours/1 in"},
                {"{\"aBool\":\"true\"}", "/aBool type"},
                {"{\"aBool\":1}", "/aBool type"},
        };
        CHECK_EXAMPLES(examples);
}

static void well_known_types(void)
{
        static const struct example examples[] = {
                {"{\"time\":\"2026-05-29T08:00:00Z\"}", NULL},
                {"{\"time\":\"0001-01-01T00:00:00Z\"}", NULL},
                {"{\"time\":\"9999-12-31T23:59:59.999999999Z\"}", NULL},
                {"{\"time\":\"2026-05-29T16:00:00.5+08:00\"}", "{\"time\":\"2026-05-29T08:00:00.500Z\"}"},
                {"{\"time\":\"2024-02-29T23:59:59.000001-00:30\"}", "{\"time\":\"2024-03-01T00:29:59.000001Z\"}"},
                {"{\"time\":\"1970-01-01T00:00:00Z\"}", NULL},
                {"{\"time\":\"1969-12-31T23:59:59Z\"}", NULL},
                {"{\"time\":\"2025-02-29T00:00:00Z\"}", "/time type"},
                {"{\"time\":\"2026-05-29\"}", "/time type"},
                {"{\"time\":\"2026-05-29t08:00:00z\"}", "/time type"},
                {"{\"time\":\"2026-05-29T24:00:00Z\"}", "/time type"},
                {"{\"time\":\"2026-05-29T08:00:00\"}", "/time type"},
                {"{\"time\":\"2026-05-29T08:00:00.Z\"}", "/time type"},
                {"{\"time\":\"0000-12-31T23:59:59Z\"}", "/time type"},
                {"{\"time\":\"0001-01-01T00:00:00+00:01\"}", "/time type"},
                {"{\"time\":17}", "/time type"},
                {"{\"duration\":\"1.500s\"}", NULL},
                {"{\"duration\":\"-0.000000001s\"}", NULL},
                {"{\"duration\":\"315576000000s\"}", NULL},
                {"{\"duration\":\"315576000001s\"}", "/duration type"},
                {"{\"duration\":\"1\"}", "/duration type"},
                {"{\"duration\":\".5s\"}", "/duration type"},
                {"{\"mask\":\"aString,leaf.size\"}", NULL},
                {"{\"mask\":\"\"}", NULL},
                {"{\"mask\":\"a_string\"}", "/mask type"},
                {"{\"mask\":\"a,\"}", "/mask type"},
                {"{\"empty\":{}}", NULL},
                {"{\"empty\":{\"a\":1}}", "/empty/a unknownField"},
        };
        CHECK_EXAMPLES(examples);
}

static void lists_and_maps(void)
{
        static const struct example examples[] = {
                {"{\"int32s\":[1,2],\"strings\":[\"\",\"a\"],\"leaves\":[{},{\"name\":\"x\"}]}", NULL},
                {"{\"int32s\":[]}", "{}"},
                {"{\"int32s\":null}", "{}"},
                {"{\"int32s\":1}", "/int32s type"},
                {"{\"strings\":[\"a\",null]}", "/strings/1 null"},
                {"{\"leaves\":[{\"size\":\"x\"},[]]}", "/leaves/0/size type; /leaves/1 type"},
                {"{\"numbers\":{\"a\":1,\"\":2},\"texts\":{\"-1\":\"x\"},\"byBool\":{\"true\":{\"size\":1},\"false\":{}}}", NULL},
                {"{\"coloursByNumber\":{\"9223372036854775807\":\"RED\"}}", NULL},
                {"{\"numbers\":[]}", "/numbers type"},
                {"{\"numbers\":{\"a\":null}}", "/numbers/a null"},
                {"{\"texts\":{\"x\":\"y\"}}", "/texts/x type"},
                {"{\"byBool\":{\"yes\":{}}}", "/byBool/yes type"},
                {"{\"byBool\":{\"true\":{\"nothing\":1}}}", "/byBool/true/nothing unknownField"},
        };
        CHECK_EXAMPLES(examples);
}

static void oneofs(void)
{
        static const struct example examples[] = {
                {"{\"choiceNumber\":0}", NULL},
                {"{\"choiceText\":\"\"}", NULL},
                {"{\"choiceLeaf\":{}}", NULL},
                {"{\"choiceBool\":false}", NULL},
                {"{\"choiceColour\":\"COLOUR_UNSPECIFIED\"}", NULL},
                {"{\"choiceBytes\":\"\"}", NULL},
                {"{\"choiceNumber\":null,\"choiceText\":\"a\"}", "{\"choiceText\":\"a\"}"},
                {"{\"choiceNumber\":1,\"choiceText\":\"a\"}", "/choiceText oneof"},
        };
        CHECK_EXAMPLES(examples);
}

static void keys(void)
{
        static const struct example examples[] = {
                {"{\"nothing\":1}", "/nothing unknownField"},
                {"{\"a/b~c\":1}", "/a~1b~0c unknownField"},
                {"{\"\":1}", "/ unknownField"},
                {"{\"leaf\":{\"nothing\":1,\"size\":\"x\"}}", "/leaf/nothing unknownField; /leaf/size type"},
                {"{\"anInt32\":1,\"anInt32\":2}", "/anInt32 duplicateKey"},
                {"{\"anInt32\":1,\"an_int32\":1}", "/an_int32 duplicateKey"},
                {"{\"leaves\":[{},{\"size\":1,\"name\":\"\\\"]}\",\"size\":2}]}", "/leaves/1/size duplicateKey"},
                {"{\"numbers\":{\"a\":1,\"\\u0061\":2}}", "/numbers/a duplicateKey"},
        };
        CHECK_EXAMPLES(examples);
}

static void no_json(void)
{
        static const char *const texts_[] = {"", "{", "{\"a\":}", "[}", "{\"anInt32\":01}", "{'a':1}", "{\"a\":1,}", "nul",
                                             "{} {}", "{\"aString\":\"\\ud800\"}", "{\"aString\":\"\xc3\x28\"}"};
        for (size_t i = 0; i < ARRAY_LEN(texts_); i++) {
                const char *got = reads(&test_v1_everything_msg, str_of(texts_[i]));
                if (strncmp(got, "SYNTAX ", 7) != 0)
                        printf("# %s: %s\n", texts_[i], got);
                CHECK(strncmp(got, "SYNTAX ", 7) == 0);
        }
        CHECK_TEXT(reads(&test_v1_everything_msg, STR("[]")), " type");
        CHECK_TEXT(reads(&test_v1_everything_msg, STR("1")), " type");
        CHECK_TEXT(reads(&test_v1_everything_msg, STR("null")), " type");
}

static void nesting_and_size(void)
{
        struct buf json = {0};
        for (int depth = 31; depth <= 33; depth++) {
                json.n = 0;
                buf_add_z(&json, "{\"nothing\":");
                for (int i = 1; i < depth; i++)
                        buf_add_char(&json, '[');
                for (int i = 1; i < depth; i++)
                        buf_add_char(&json, ']');
                buf_add_char(&json, '}');
                CHECK_TEXT(reads(&test_v1_everything_msg, buf_str(&json)), depth <= 32 ? "/nothing unknownField" : "SYNTAX  syntax");
        }
        json.n = 0;
        buf_add_z(&json, "{\"nothing\":[");
        for (int i = 0; i < 70000; i++)
                buf_add_z(&json, i ? ",{}" : "{}");
        buf_add_z(&json, "]}");
        CHECK_TEXT(reads(&test_v1_everything_msg, buf_str(&json)), "SYNTAX  syntax");
        buf_done(&json);
}

static void written_whole(void)
{
        Ruled *m = message_new(arena, &test_v1_ruled_msg);
        struct buf out = {0};
        m->inside = arena_strdup(arena, "never leaves");
        transcode_to_json(&out, &test_v1_ruled_msg, m);
        CHECK_TEXT(text_of(&out), "{\"needed\":\"\",\"between\":\"\",\"ranged\":0,\"wide\":\"0\",\"matched\":\"\","
                                  "\"listed\":\"\",\"id\":\"\",\"uniqueTexts\":[],\"uniqueNumbers\":[],\"data\":\"\","
                                  "\"made\":\"\",\"inners\":[],\"labels\":{},\"colour\":\"COLOUR_UNSPECIFIED\"}");
        CHECK_TEXT(reads(&test_v1_ruled_msg, STR("{\"inside\":\"x\"}")), "/inside unknownField");
        out = (struct buf){0};
        m->colour = 99;
        write_set(&out, &test_v1_ruled_msg, m);
        CHECK_TEXT(text_of(&out), "{\"colour\":99}");
}

/* "path=value" set one after the other. */
static const char *sets(const struct contract_message *type, const char *const *pairs)
{
        struct violations v = {0};
        struct buf out = {0};
        void *m = message_new(arena, type);
        for (; *pairs; pairs++) {
                struct str value = str_of(*pairs), path = str_cut(&value, '=');
                if (transcode_set_text(arena, type, m, path, value, &v) != (v.n ? TRANSCODE_E_VIOLATIONS : 0))
                        buf_add_z(&out, "(result) ");
        }
        for (size_t i = 0; i < v.n; i++)
                buf_printf(&out, "%s %s", v.items[i].pointer, v.items[i].rule);
        if (v.n == 0)
                write_set(&out, type, m);
        return text_of(&out);
}
#define SETS(...) sets(&test_v1_everything_msg, (const char *const[]){__VA_ARGS__, NULL})

static void url_values(void)
{
        CHECK_TEXT(SETS("anInt32=5", "a_string=x=y", "leaf.size=3", "colour=RED"),
                   "{\"anInt32\":5,\"aString\":\"x=y\",\"colour\":\"RED\",\"leaf\":{\"size\":3}}");
        CHECK_TEXT(SETS("int32s=1", "int32s=2", "strings=a", "colour=1", "aBool=true", "anInt64=-1"),
                   "{\"anInt64\":\"-1\",\"aBool\":true,\"colour\":\"RED\",\"int32s\":[1,2],\"strings\":[\"a\"]}");
        CHECK_TEXT(SETS("time=2026-05-29T08:00:00Z", "mask=aString", "choiceNumber=0", "aDouble=1.5"),
                   "{\"aDouble\":1.5,\"time\":\"2026-05-29T08:00:00Z\",\"mask\":\"aString\",\"choiceNumber\":0}");
        CHECK_TEXT(SETS("aString=x", "aString=x"), "{\"aString\":\"x\"}");
        CHECK_TEXT(SETS("aString=x", "aString=y"), "/aString duplicateKey");
        CHECK_TEXT(SETS("choiceNumber=1", "choiceText=a"), "/choiceText oneof");
        CHECK_TEXT(SETS("nothing=1"), "/nothing unknownField");
        CHECK_TEXT(SETS("leaf=1"), "/leaf type");
        CHECK_TEXT(SETS("leaf.nothing=1"), "/leaf.nothing unknownField");
        CHECK_TEXT(SETS("numbers.a=1"), "/numbers.a unknownField");
        CHECK_TEXT(SETS("anInt32=x"), "/anInt32 type");
        CHECK_TEXT(SETS("aString=\xff"), "/aString type");
        CHECK_TEXT(SETS("=1"), "/ unknownField");
}

static void url_lists_are_bounded(void)
{
        struct violations v = {0};
        void *m = message_new(arena, &test_v1_everything_msg);
        for (int i = 0; i < 100; i++)
                CHECK_INT(transcode_set_text(arena, &test_v1_everything_msg, m, STR("int32s"), STR("1"), &v), 0);
        CHECK_INT(transcode_set_text(arena, &test_v1_everything_msg, m, STR("int32s"), STR("1"), &v), TRANSCODE_E_VIOLATIONS);
        CHECK_TEXT(v.items[0].rule, "maxItems");
}

static void raw_json(void)
{
        static const char list[] = "[{\"a\":1},\"\u738b\"]", number[] = "12";
        ProtobufCBinaryData parts[] = {{sizeof(number) - 1, (uint8_t *)number}, {0, NULL}};
        Nuanxin__Test__V1__Page page = NUANXIN__TEST__V1__PAGE__INIT;
        struct buf out = {0};
        transcode_to_json(&out, &test_v1_page_msg, &page);
        CHECK_TEXT(text_of(&out), "{\"items\":null,\"parts\":[],\"next\":\"\"}");
        page.items = (ProtobufCBinaryData){sizeof(list) - 1, (uint8_t *)list};
        page.parts = parts;
        page.n_parts = ARRAY_LEN(parts);
        transcode_to_json(&out, &test_v1_page_msg, &page);
        CHECK_TEXT(text_of(&out), "{\"items\":[{\"a\":1},\"\u738b\"],\"parts\":[12,null],\"next\":\"\"}");
}

int main(void)
{
        static const struct check_case cases[] = {
                {"whole numbers: 32 bits as numbers, 64 as strings, both in", numbers},
                {"floats: text that reads back the same; NaN and infinities", floats},
                {"strings and bytes", texts},
                {"enums by name or number in, by name out", enums_and_bools},
                {"times, durations, masks, empty messages", well_known_types},
                {"lists and maps; no null in either", lists_and_maps},
                {"one member of a oneof, written even at its default", oneofs},
                {"unknown and repeated keys have a pointer", keys},
                {"what is no JSON is a syntax error", no_json},
                {"nesting beyond 32 and too many values are refused before parsing", nesting_and_size},
                {"every scalar and list is written, set or not; an internal field never", written_whole},
                {"bytes that are JSON are put in as they are; none are null", raw_json},
                {"values from a URL", url_values},
                {"lists from a URL keep their bound", url_lists_are_bounded},
        };
        arena = arena_new(65536);
        int r = CHECK_MAIN(cases);
        arena_free(arena);
        return r;
}
