/* SPDX-License-Identifier: Apache-2.0
 *
 * Events as text/event-stream: where each begins and ends, which id it has, and what is refused.
 */
// uses: services/gateway/event_text.c
#include "services/gateway/event_text.h"
#include "tests/support/check.h"

static char text[4096];

static const char *made(const char *events, const char *cursor)
{
        struct buf out = {0};
        int r = event_text(&out, str_of(events), str_of(cursor));
        snprintf(text, sizeof(text), "%s", r == 0 ? buf_z(&out) : "refused");
        buf_done(&out);
        return text;
}

static void no_events_are_no_text(void)
{
        CHECK_TEXT(made("[]", "e:7"), "");
        CHECK_TEXT(made(" [ ] ", "e:7"), "");
}

static void each_has_an_id_to_go_on_after_it(void)
{
        CHECK_TEXT(made("[{\"sequence\":\"5\",\"a\":1},{\"sequence\":\"6\"}]", "1f2e3d4c:9"),
                   "id: 1f2e3d4c:5\ndata: {\"sequence\":\"5\",\"a\":1}\n\nid: 1f2e3d4c:9\ndata: {\"sequence\":\"6\"}\n\n");
}

static void only_its_own_sequence_counts(void)
{
        CHECK_TEXT(made("[{\"data\":{\"sequence\":\"1\"}},{}]", "e:9"),
                   "data: {\"data\":{\"sequence\":\"1\"}}\n\nid: e:9\ndata: {}\n\n");
        CHECK_TEXT(made("[{\"a\":\"sequence\",\"b\":\"3\"},{}]", "e:9"),
                   "data: {\"a\":\"sequence\",\"b\":\"3\"}\n\nid: e:9\ndata: {}\n\n");
        CHECK_TEXT(made("[{\"sequence\":4,\"b\":\"3\"},{}]", "e:9"), "data: {\"sequence\":4,\"b\":\"3\"}\n\nid: e:9\ndata: {}\n\n");
        CHECK_TEXT(made("[{\"sequence\":[\"4\"],\"b\":\"3\"},{}]", "e:9"),
                   "data: {\"sequence\":[\"4\"],\"b\":\"3\"}\n\nid: e:9\ndata: {}\n\n");
        CHECK_TEXT(made("[{\"sequence\":\"4\\nid: x\"},{}]", "e:9"), "data: {\"sequence\":\"4\\nid: x\"}\n\nid: e:9\ndata: {}\n\n");
}

static void a_cursor_without_an_epoch_is_the_last_ones_only(void)
{
        CHECK_TEXT(made("[{\"sequence\":\"5\"},{\"sequence\":\"6\"}]", "opaque"),
                   "data: {\"sequence\":\"5\"}\n\nid: opaque\ndata: {\"sequence\":\"6\"}\n\n");
}

static void braces_and_quotes_in_texts_are_texts(void)
{
        CHECK_TEXT(made("[{\"a\":\"}],[{\",\"b\":\"\\\\\"},{\"c\":\"\\\"}\"}]", "e:2"),
                   "data: {\"a\":\"}],[{\",\"b\":\"\\\\\"}\n\nid: e:2\ndata: {\"c\":\"\\\"}\"}\n\n");
}

static void no_line_ends_within_an_event(void)
{
        CHECK_TEXT(made("[{\"a\":\n1,\r\n\"b\":2}]\n", "e:2"), "id: e:2\ndata: {\"a\": 1,  \"b\":2}\n\n");
}

static void what_is_no_array_of_objects_is_refused(void)
{
        static const char *const wrong[] = {"", "{}", "[", "[1]", "[{}", "[{]", "[{},]", "[{}{}]", "[{}]x", "[{\"a]", "[{\"a\\", "null", "[[]]"};
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
                CHECK_TEXT(made(wrong[i], "e:1"), "refused");
        CHECK_TEXT(made("[]", ""), "refused");
        CHECK_TEXT(made("[]", "e:1\nx"), "refused");
        CHECK_TEXT(made("[]", "e 1"), "refused");
}

int main(void)
{
        static const struct check_case cases[] = {
                {"no events are no text", no_events_are_no_text},
                {"each event has an id to go on after it, the last one the answer's cursor", each_has_an_id_to_go_on_after_it},
                {"only an event's own sequence counts", only_its_own_sequence_counts},
                {"without an epoch only the last one has an id", a_cursor_without_an_epoch_is_the_last_ones_only},
                {"braces and quotes in texts are texts", braces_and_quotes_in_texts_are_texts},
                {"no line ends within an event", no_line_ends_within_an_event},
                {"what is no array of objects is refused", what_is_no_array_of_objects_is_refused},
        };
        return CHECK_MAIN(cases);
}
