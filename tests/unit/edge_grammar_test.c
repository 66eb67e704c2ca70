/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar between agencies and the edge: what is read, what is refused and how, in both forms.
 */
// uses: services/edge/grammar.c
#include "services/edge/grammar.h"

#include "common/json/transcode.h"
#include "tests/support/check.h"

static struct arena *arena;
static struct grammar_fetch fetch;
static struct grammar_refusal refusal;

#define READ(...) read_parts((const struct str[]){__VA_ARGS__}, sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str))

static int read_parts(const struct str *parts, size_t n)
{
        arena_reset(arena);
        refusal = (struct grammar_refusal){0};
        return grammar_read(arena, parts, n, &fetch, &refusal);
}

static struct str packed_fetch(void)
{
        static uint8_t bytes[256];
        Fetch f = NUANXIN__STREAM__V1__FETCH__INIT;
        char *types[] = {(char *)"nuanxin.activity.v1.*"};
        f.cursor = (char *)"1f2e3d4c:42";
        f.max = 7;
        f.wait = 30;
        f.n_types = 1;
        f.types = types;
        f.id = (char *)"a";
        return str_bytes(bytes, nuanxin__stream__v1__fetch__pack(&f, bytes));
}

static void check_fields(bool json, bool delimited)
{
        CHECK_INT(fetch.form.json, json);
        CHECK_INT(fetch.form.delimited, delimited);
        CHECK_TEXT(fetch.fetch->cursor, "1f2e3d4c:42");
        CHECK_INT(fetch.fetch->max, 7);
        CHECK_INT(fetch.fetch->wait, 30);
        CHECK_INT(fetch.fetch->n_types, 1);
        CHECK_TEXT(fetch.fetch->id, "a");
        CHECK(!fetch.snapshot);
}

static void fetches_are_read_in_both_forms_from_both_kinds_of_socket(void)
{
        static const struct str json =
                STR("{\"cursor\":\"1f2e3d4c:42\",\"max\":7,\"wait\":30,\"types\":[\"nuanxin.activity.v1.*\"],\"id\":\"a\"}");
        CHECK_INT(READ(STR("FETCH"), json), 0);
        check_fields(true, false);
        CHECK_INT(READ(STR(""), STR("FETCH"), json), 0);
        check_fields(true, true);
        CHECK_INT(READ(STR("FETCH"), packed_fetch()), 0);
        check_fields(false, false);
        CHECK_INT(READ(STR(""), STR("FETCH"), packed_fetch()), 0);
        check_fields(false, true);
        CHECK_INT(READ(STR("FETCH"), STR("")), 0); /* every field at its default */
        CHECK_TEXT(fetch.fetch->cursor, "");
        CHECK_INT(READ(STR("FETCH"), STR("{}")), 0);
}

static void a_cursor_may_lead_into_the_snapshot(void)
{
        CHECK_INT(READ(STR("FETCH"), STR("{\"cursor\":\"snapshot\"}")), 0);
        CHECK(fetch.snapshot);
        CHECK_TEXT(fetch.page, "");
        CHECK_INT(READ(STR("FETCH"), STR("{\"cursor\":\"snapshot:abc:d\"}")), 0);
        CHECK(fetch.snapshot);
        CHECK_TEXT(fetch.page, "abc:d");
        CHECK_TEXT(grammar_page_cursor(arena, "abc:d"), "snapshot:abc:d");
        CHECK_INT(READ(STR("FETCH"), STR("{\"cursor\":\"snapshots\"}")), 0); /* the stream says what it thinks of that */
        CHECK(!fetch.snapshot);
}

static void what_is_no_fetch_is_refused_by_name(void)
{
        static char large[GRAMMAR_FETCH_MAX + 1];
        memset(large, ' ', sizeof(large));
        large[0] = '{';
        CHECK_INT(read_parts(NULL, 0), -EBADMSG);
        CHECK_INT(refusal.problem, NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST);
        CHECK_INT(READ(STR("")), -EBADMSG);
        CHECK_INT(READ(STR("FETCH")), -EBADMSG);
        CHECK_INT(READ(STR("fetch"), STR("{}")), -EBADMSG);
        CHECK_INT(READ(STR("FETCH"), STR("{}"), STR("{}")), -EBADMSG);
        CHECK_INT(READ(STR(""), STR(""), STR("FETCH"), STR("{}")), -EBADMSG);
        CHECK_INT(READ(STR("FETCH"), STR("{\"max\":")), -EBADMSG);
        CHECK_INT(refusal.problem, NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST);
        CHECK(fetch.form.json);
        CHECK_INT(READ(STR("FETCH"), STR("\x0a\x05" "ab")), -EBADMSG);
        CHECK_INT(refusal.problem, NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST);
        CHECK(!fetch.form.json);
        CHECK_INT(READ(STR("FETCH"), str_bytes(large, sizeof(large))), -EBADMSG);
        CHECK_INT(refusal.problem, NUANXIN__PROBLEM__PROBLEM_FETCH_TOO_LARGE);
        CHECK_TEXT(refusal.args[0], "65536");
}

static void fields_beyond_their_rules_are_violations(void)
{
        static const struct str wrong[] = {
                STR("{\"max\":1001}"), STR("{\"max\":-1}"), STR("{\"wait\":31}"), STR("{\"language\":\"fr\"}"), STR("{\"cursors\":\"\"}"),
                STR("{\"max\":1,\"max\":2}"), STR("{\"types\":[null]}"), STR("{\"max\":\"x\"}"),
        };
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
                CHECK_INT(READ(STR("FETCH"), wrong[i]), -EBADMSG);
                CHECK_INT(refusal.problem, NUANXIN__PROBLEM__PROBLEM_INVALID_ARGUMENT);
                CHECK(refusal.n_violations > 0);
        }
}

static const char *refused(struct buf *out)
{
        out->n = 0;
        grammar_write_refusal(out, &fetch, &refusal);
        return buf_z(out);
}

static void refusals_name_the_problem_in_the_language_and_form_of_the_fetch(void)
{
        struct buf out = {0};
        ProtobufCMessage *message = NULL;
        CHECK_INT(READ(STR("FETCH"), STR("{\"max\":1001,\"id\":\"x\"}")), -EBADMSG);
        CHECK(strstr(refused(&out), "{\"id\":\"x\",\"type\":\"urn:nuanxin:problem:invalid-argument\",\"title\":\"Invalid request\""));
        CHECK(strstr(refused(&out), " /max: "));
        CHECK(strstr(refused(&out), "\"status\":400"));
        CHECK_INT(READ(STR("FETCH"), STR("{\"max\":1001,\"language\":\"zh\"}")), -EBADMSG);
        CHECK(strstr(refused(&out), "请求有误"));
        CHECK_INT(READ(STR("FETCH"), packed_fetch()), 0);
        refusal = (struct grammar_refusal){.problem = NUANXIN__PROBLEM__PROBLEM_TOO_MANY_FETCHES, .args = {"8"}, .retry_after_ms = 1000};
        refused(&out);
        CHECK_INT(message_unpack(arena, &stream_v1_refused_msg, out.p, out.n, &message), 0);
        const Refused *said = (const Refused *)message;
        CHECK_TEXT(said->id, "a");
        CHECK_TEXT(said->type, "urn:nuanxin:problem:too-many-fetches");
        CHECK(strstr(said->detail, ": 8 may be in flight"));
        CHECK_INT(said->status, 429);
        CHECK_INT(said->retry_after_ms, 1000);
        buf_done(&out);
}

static Batch some_batch(void)
{
        static uint8_t head[] = {1, 2, 3};
        Batch batch = NUANXIN__STREAM__V1__BATCH__INIT;
        batch.id = (char *)"a";
        batch.cursor = (char *)"1f2e3d4c:44";
        batch.from = 42;
        batch.through = 44;
        batch.head = (ProtobufCBinaryData){.len = sizeof(head), .data = head};
        batch.latest = 50;
        return batch;
}

static void batches_carry_the_streams_events_as_they_are(void)
{
        Batch batch = some_batch();
        struct buf out = {0};
        grammar_write_batch(&out, (struct grammar_form){.json = true}, &batch, STR("[{\"id\":\"1\"}]"));
        CHECK_TEXT(buf_z(&out), "{\"id\":\"a\",\"cursor\":\"1f2e3d4c:44\",\"from\":\"42\",\"through\":\"44\",\"head\":\"AQID\","
                                "\"signature\":\"\",\"latest\":\"50\",\"events\":[{\"id\":\"1\"}]}");
        out.n = 0;
        grammar_write_batch(&out, (struct grammar_form){.json = true}, &batch, STR(""));
        CHECK(strstr(buf_z(&out), "\"events\":[]}"));
        buf_done(&out);
}

static void packed_batches_hold_the_streams_packed_events(void)
{
        Batch batch = some_batch();
        Io__Cloudevents__V1__CloudEvent event, *events[] = {&event, &event};
        Io__Cloudevents__V1__CloudEventBatch all = IO__CLOUDEVENTS__V1__CLOUD_EVENT_BATCH__INIT;
        ProtobufCMessage *message = NULL;
        struct buf packed = {0}, out = {0};
        char id[200];
        memset(id, 'i', sizeof(id) - 1);
        id[sizeof(id) - 1] = 0;
        io__cloudevents__v1__cloud_event__init(&event);
        event.id = id;
        all.n_events = 2;
        all.events = events;
        message_pack_buf(&packed, &all);
        grammar_write_batch(&out, (struct grammar_form){0}, &batch, buf_str(&packed));
        arena_reset(arena);
        CHECK_INT(message_unpack(arena, &stream_v1_batch_msg, out.p, out.n, &message), 0);
        const Batch *read = (const Batch *)message;
        CHECK_TEXT(read->cursor, "1f2e3d4c:44");
        CHECK_INT(read->latest, 50);
        CHECK_INT(read->events->n_events, 2);
        CHECK_TEXT(read->events->events[1]->id, id);
        buf_done(&packed);
        buf_done(&out);
}

static void an_answer_is_taken_apart_without_copying_its_events(void)
{
        FetchEventsResponse answer = NUANXIN__STREAM__V1__FETCH_EVENTS_RESPONSE__INIT;
        struct buf packed = {0}, rest = {0};
        struct str events;
        ProtobufCMessage *message = NULL;
        char body[70000];
        memset(body, 'e', sizeof(body));
        answer.cursor = (char *)"1f2e3d4c:44";
        answer.through = 44;
        answer.latest = INT64_MAX;
        answer.events = (ProtobufCBinaryData){.len = sizeof(body), .data = (uint8_t *)body};
        message_pack_buf(&packed, &answer);
        CHECK_INT(grammar_cut_events(buf_str(&packed), 6, &rest, &events), 0);
        CHECK(str_eq(events, str_bytes(body, sizeof(body))));
        CHECK(events.p > packed.p && events.p < packed.p + packed.n);
        arena_reset(arena);
        CHECK_INT(message_unpack(arena, &stream_v1_fetch_events_response_msg, rest.p, rest.n, &message), 0);
        const FetchEventsResponse *read = (const FetchEventsResponse *)message;
        CHECK_TEXT(read->cursor, "1f2e3d4c:44");
        CHECK_INT(read->through, 44);
        CHECK(read->latest == INT64_MAX);
        CHECK_INT(read->events.len, 0);
        for (size_t n = packed.n - 11; n > packed.n - 40000; n -= 777) /* cut anywhere within its events */
                CHECK_INT(grammar_cut_events(str_bytes(packed.p, n), 6, &rest, &events), -EBADMSG);
        CHECK_INT(grammar_cut_events((struct str){0}, 6, &rest, &events), 0);
        CHECK_INT(events.n, 0);
        buf_done(&packed);
        buf_done(&rest);
}

static void answers_begin_as_the_fetch_did(void)
{
        struct str head[2];
        CHECK_INT(grammar_head((struct grammar_form){0}, GRAMMAR_BATCH, head), 1);
        CHECK(str_is(head[0], "BATCH"));
        CHECK_INT(grammar_head((struct grammar_form){.delimited = true}, GRAMMAR_REFUSED, head), 2);
        CHECK_INT(head[0].n, 0);
        CHECK(str_is(head[1], "REFUSED"));
}

int main(void)
{
        static const struct check_case cases[] = {
                {"fetches are read in both forms, from both kinds of socket", fetches_are_read_in_both_forms_from_both_kinds_of_socket},
                {"a cursor may lead into the snapshot", a_cursor_may_lead_into_the_snapshot},
                {"what is no fetch is refused by name", what_is_no_fetch_is_refused_by_name},
                {"fields beyond their rules are violations", fields_beyond_their_rules_are_violations},
                {"refusals name the problem, in the language and form of the fetch",
                 refusals_name_the_problem_in_the_language_and_form_of_the_fetch},
                {"batches carry the stream's events as they are", batches_carry_the_streams_events_as_they_are},
                {"packed batches hold the stream's packed events", packed_batches_hold_the_streams_packed_events},
                {"an answer is taken apart without copying its events", an_answer_is_taken_apart_without_copying_its_events},
                {"answers begin as the fetch did", answers_begin_as_the_fetch_did},
        };
        arena = arena_new(4096);
        int r = CHECK_MAIN(cases);
        arena_free(arena);
        return r;
}
