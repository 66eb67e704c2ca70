/* SPDX-License-Identifier: Apache-2.0
 *
 * What an attempt to deliver means for its endpoint: the schedule on a clock that is passed in, the order of events, redrives,
 * dead letters, the handshake.
 */
// uses: services/stream/webhook_rules.c
#include "services/stream/webhook.h"

#include "tests/support/check.h"

#include <inttypes.h>

#define ORIGIN "nuanxin.example.gov.cn"
#define NOW    INT64_C(1795000000000000)

static struct arena *arena;
static const char *said;

static struct endpoint endpoint_at(int64_t position)
{
        return (struct endpoint){.id = "e", .agency = "a", .url = "u", .types = "", .reason = "", .dead = "",
                                 .state = WEBHOOK_ACTIVE, .position = position, .allowed_us = NOW - 1};
}

static struct attempt answered(int64_t seq, unsigned status)
{
        return (struct attempt){.kind = WEBHOOK_DELIVERY, .seq = seq, .event = "x", .status = status, .error = "",
                                .retry_after_us = -1, .allowed_origin = "", .allowed_rate = ""};
}

static enum webhook_outcome after(struct endpoint *e, struct attempt a, int64_t now_us)
{
        return webhook_after(e, &a, ORIGIN, now_us, 0, arena, &said);
}

/* --- the schedule ------------------------------------------------------------------------------------------------- */

static const int64_t schedule_s[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};

static void retries_come_as_promised(void)
{
        for (int64_t made = 1; made <= 9; made++) {
                int64_t wait = schedule_s[made - 1] * CLOCK_SECOND_US;
                CHECK_INT(webhook_retry_us(made, 0), wait);
                CHECK_INT(webhook_retry_us(made, UINT32_MAX), wait + wait / 10);
                CHECK(webhook_retry_us(made, UINT32_MAX / 2) > wait + wait / 21);
                CHECK(webhook_retry_us(made, UINT32_MAX / 2) < wait + wait / 19);
        }
        CHECK_INT(webhook_retry_us(10, 0), -1);
        CHECK_INT(webhook_retry_us(0, 0), -1);
        CHECK_INT(webhook_retry_us(INT64_MAX, 7), -1);
}

static void who_never_answers_is_paused_after_ten_attempts(void)
{
        struct endpoint e = endpoint_at(41);
        struct attempt a = answered(42, 0);
        int64_t now = NOW;
        a.error = "timed out";
        for (int made = 1; made <= 9; made++) {
                CHECK_INT(after(&e, a, now), WEBHOOK_RETRY);
                CHECK_INT(e.state, WEBHOOK_ACTIVE);
                CHECK_INT(e.attempts, made);
                CHECK_INT(e.hand, 42);
                CHECK_INT(e.next_us - now, schedule_s[made - 1] * CLOCK_SECOND_US);
                now = e.next_us;
        }
        CHECK_INT(after(&e, a, now), WEBHOOK_ENDED);
        CHECK_INT(e.state, WEBHOOK_PAUSED);
        CHECK_TEXT(e.reason, "retries ended: timed out");
        CHECK_INT(e.position, 41);
        CHECK_INT(now - NOW, (5 + 300 + 1800 + 7200 + 18000 + 36000 + 50400 + 72000 + 86400) * CLOCK_SECOND_US);

        webhook_resume(&e);
        CHECK_INT(e.state, WEBHOOK_ACTIVE);
        CHECK_INT(e.attempts, 0);
        CHECK_INT(e.next_us, 0);
        CHECK_INT(e.position, 41);
        CHECK_INT(e.allowed_us, 0);
        CHECK_TEXT(e.reason, "");
}

static void a_success_ends_the_retries(void)
{
        struct endpoint e = endpoint_at(41);
        after(&e, answered(42, 500), NOW);
        after(&e, answered(42, 500), NOW);
        CHECK_TEXT(said, "it refused");
        for (unsigned status = 200; status < 300; status++) {
                struct endpoint copy = e;
                CHECK_INT(after(&copy, answered(42, status), NOW), WEBHOOK_DONE);
                CHECK_INT(copy.position, 42);
                CHECK_INT(copy.attempts, 0);
                CHECK_INT(copy.next_us, 0);
                CHECK_TEXT(said, "");
        }
}

static void what_is_no_success_is_a_retry(void)
{
        for (unsigned status = 300; status < 600; status++) {
                struct endpoint e = endpoint_at(41);
                if (status == 410)
                        continue;
                CHECK_INT(after(&e, answered(42, status), NOW), WEBHOOK_RETRY);
                CHECK_INT(e.position, 41);
                CHECK_INT(e.next_us, NOW + 5 * CLOCK_SECOND_US);
                CHECK_TEXT(said, status < 400 ? "it redirects, which is not followed" : "it refused");
        }
}

static void another_event_begins_its_own_retries(void)
{
        struct endpoint e = endpoint_at(41);
        for (int i = 0; i < 9; i++)
                after(&e, answered(42, 500), NOW);
        CHECK_INT(e.attempts, 9);
        CHECK_INT(after(&e, answered(43, 500), NOW), WEBHOOK_RETRY); /* 42 may not be seen any more */
        CHECK_INT(e.attempts, 1);
        CHECK_INT(e.hand, 43);
}

static void retry_after_is_kept_to_within_bounds(void)
{
        static const struct {
                unsigned status;
                int64_t asked_s, waits_s;
        } cases[] = {
                {429, 120, 120}, {503, 120, 120}, {429, 1, 5},       {503, 0, 5},  {500, 120, 5},
                {400, 120, 5},   {301, 120, 5},   {429, 900000, 86400}, {503, -1, 5},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                struct endpoint e = endpoint_at(1);
                struct attempt a = answered(2, cases[i].status);
                a.retry_after_us = cases[i].asked_s < 0 ? -1 : cases[i].asked_s * CLOCK_SECOND_US;
                CHECK_INT(after(&e, a, NOW), WEBHOOK_RETRY);
                CHECK_INT(e.next_us - NOW, cases[i].waits_s * CLOCK_SECOND_US);
        }
}

static void gone_disables(void)
{
        struct endpoint e = endpoint_at(41);
        CHECK_INT(after(&e, answered(42, 410), NOW), WEBHOOK_GONE);
        CHECK_INT(e.state, WEBHOOK_DISABLED);
        CHECK_TEXT(e.reason, "it answered 410 Gone");
        CHECK_INT(e.position, 41);

        struct endpoint paused = endpoint_at(41); /* while it was under way */
        webhook_pause(&paused, "by the operator");
        CHECK_INT(after(&paused, answered(42, 410), NOW), WEBHOOK_GONE);
        CHECK_INT(paused.state, WEBHOOK_DISABLED);
        CHECK_INT(after(&paused, answered(42, 410), NOW), WEBHOOK_RETRY); /* nothing new */
        CHECK_INT(paused.state, WEBHOOK_DISABLED);
}

static void states_move_only_as_drawn(void)
{
        static const int allowed[][2] = {{WEBHOOK_ACTIVE, WEBHOOK_PAUSED},   {WEBHOOK_ACTIVE, WEBHOOK_DISABLED},
                                         {WEBHOOK_PAUSED, WEBHOOK_ACTIVE},   {WEBHOOK_PAUSED, WEBHOOK_DISABLED},
                                         {WEBHOOK_DISABLED, WEBHOOK_ACTIVE}};
        for (int from = -1; from <= 5; from++)
                for (int to = -1; to <= 5; to++) {
                        bool want = false;
                        for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
                                want |= allowed[i][0] == from && allowed[i][1] == to;
                        CHECK_INT(webhook_may_become(from, to), want);
                }
}

/* --- what happens meanwhile ------------------------------------------------------------------------------------------ */

static void a_delivery_counts_though_it_was_paused_meanwhile(void)
{
        struct endpoint e = endpoint_at(41);
        webhook_pause(&e, "by the operator");
        CHECK_INT(after(&e, answered(42, 200), NOW), WEBHOOK_DONE);
        CHECK_INT(e.position, 42);
        CHECK_INT(e.state, WEBHOOK_PAUSED);
        CHECK_INT(after(&e, answered(43, 500), NOW), WEBHOOK_RETRY);
        CHECK_INT(e.attempts, 0);
        CHECK_INT(e.next_us, 0);
        CHECK_INT(e.state, WEBHOOK_PAUSED);
}

static void what_another_instance_has_done_is_not_done_again(void)
{
        struct endpoint e = endpoint_at(50);
        struct attempt handshake = {.kind = WEBHOOK_HANDSHAKE, .status = 500, .error = "", .retry_after_us = -1};
        CHECK_INT(after(&e, answered(42, 200), NOW), WEBHOOK_PASSED);
        CHECK_INT(after(&e, answered(50, 410), NOW), WEBHOOK_PASSED);
        CHECK_INT(webhook_after(&e, &handshake, ORIGIN, NOW, 0, arena, &said), WEBHOOK_PASSED);
        CHECK_INT(e.position, 50);
        CHECK_INT(e.attempts, 0);
        CHECK_INT(e.state, WEBHOOK_ACTIVE);
        CHECK(e.allowed_us);
}

/* --- redrives --------------------------------------------------------------------------------------------------------------- */

static void a_redrive_comes_first_and_then_all_goes_on(void)
{
        struct endpoint e = endpoint_at(100);
        int64_t from, through;
        e.redrive_next = 10;
        e.redrive_through = 12;
        for (int64_t seq = 10; seq <= 12; seq++) {
                struct attempt a = answered(seq, 200);
                a.redriven = true;
                webhook_next(&e, &from, &through);
                CHECK_INT(from, seq - 1);
                CHECK_INT(through, 12);
                CHECK_INT(after(&e, a, NOW), WEBHOOK_DONE);
                CHECK_INT(e.position, 100);
        }
        CHECK_INT(e.redrive_next, 0);
        CHECK_INT(e.redrive_through, 0);
        webhook_next(&e, &from, &through);
        CHECK_INT(from, 100);
        CHECK_INT(through, 0);
}

static void a_redrive_fails_like_a_delivery(void)
{
        struct endpoint e = endpoint_at(100);
        struct attempt a = answered(10, 500);
        a.redriven = true;
        e.redrive_next = 10;
        e.redrive_through = 12;
        for (int i = 0; i < 9; i++)
                CHECK_INT(after(&e, a, NOW), WEBHOOK_RETRY);
        CHECK_INT(after(&e, a, NOW), WEBHOOK_ENDED);
        CHECK_INT(e.redrive_next, 10);
        CHECK_INT(e.state, WEBHOOK_PAUSED);
}

static void a_redrive_passes_what_is_not_there(void)
{
        struct endpoint e = endpoint_at(100);
        e.redrive_next = 10;
        e.redrive_through = 20;
        webhook_pass(&e, true, 14);
        CHECK_INT(e.redrive_next, 15);
        webhook_pass(&e, true, 20);
        CHECK_INT(e.redrive_next, 0);
        webhook_pass(&e, false, 120);
        CHECK_INT(e.position, 120);
}

static void what_was_under_way_counts_when_a_redrive_begins(void)
{
        struct endpoint e = endpoint_at(100);
        e.redrive_next = 10;
        e.redrive_through = 20;
        CHECK_INT(after(&e, answered(101, 200), NOW), WEBHOOK_DONE);
        CHECK_INT(e.position, 101);
        CHECK_INT(e.redrive_next, 10);
        struct attempt late = answered(9, 200); /* of a redrive that has ended */
        late.redriven = true;
        CHECK_INT(after(&e, late, NOW), WEBHOOK_PASSED);
        CHECK_INT(e.redrive_next, 10);
}

/* --- dead letters -------------------------------------------------------------------------------------------------------- */

static void the_next_delivery_tells_of_dead_letters(void)
{
        struct endpoint e = endpoint_at(0);
        struct attempt dead = {.kind = WEBHOOK_DEAD, .seq = 1, .event = "x", .error = "too large", .retry_after_us = -1};
        CHECK_INT(after(&e, dead, NOW), WEBHOOK_DONE);
        CHECK_TEXT(said, "too large");
        CHECK_INT(e.position, 1);
        CHECK_TEXT(e.dead, "1");
        dead.seq = 3;
        after(&e, dead, NOW);
        CHECK_TEXT(e.dead, "1 3");
        CHECK_TEXT(webhook_body(arena, STR("{\"id\":\"a\"}"), e.dead).p, "{\"deadletters\":\"1 3\",\"id\":\"a\"}");
        CHECK_INT(after(&e, answered(4, 500), NOW), WEBHOOK_RETRY);
        CHECK_TEXT(e.dead, "1 3");
        CHECK_INT(after(&e, answered(4, 200), NOW), WEBHOOK_DONE);
        CHECK_TEXT(e.dead, "");
        CHECK_TEXT(webhook_body(arena, STR("{\"id\":\"a\"}"), e.dead).p, "{\"id\":\"a\"}");
}

static void only_the_newest_dead_letters_are_named(void)
{
        struct endpoint e = endpoint_at(0);
        struct attempt dead = {.kind = WEBHOOK_DEAD, .event = "x", .error = "too large", .retry_after_us = -1};
        for (int64_t i = 0; i < 40; i++) {
                dead.seq = INT64_MAX - 40 + i;
                after(&e, dead, NOW);
        }
        char newest[32];
        snprintf(newest, sizeof(newest), " %" PRId64, INT64_MAX - 1);
        CHECK(strcmp(e.dead + strlen(e.dead) - strlen(newest), newest) == 0);
        CHECK_INT(strlen(e.dead), WEBHOOK_DEAD_NAMED * 20 - 1);
        struct str event = {arena_zalloc(arena, WEBHOOK_EVENT_MOST), WEBHOOK_EVENT_MOST};
        memset((char *)event.p, 'x', event.n);
        CHECK(webhook_body(arena, event, e.dead).n <= WEBHOOK_BODY_MOST);
}

static void a_dead_letter_in_a_redrive_was_told_before(void)
{
        struct endpoint e = endpoint_at(100);
        struct attempt dead = {.kind = WEBHOOK_DEAD, .seq = 10, .redriven = true, .event = "x", .error = "too large"};
        e.redrive_next = 10;
        e.redrive_through = 12;
        CHECK_INT(after(&e, dead, NOW), WEBHOOK_DONE);
        CHECK_INT(e.redrive_next, 11);
        CHECK_TEXT(e.dead, "");
}

/* --- the handshake -------------------------------------------------------------------------------------------------------------- */

static void the_handshake_is_by_its_fields(void)
{
        static const struct {
                unsigned status;
                const char *origin, *rate, *error;
                int64_t kept_rate;
        } cases[] = {
                {200, ORIGIN, "", "", 0},
                {204, "*", "*", "", 0},
                {200, "NUANXIN.example.GOV.cn", "120", "", 120},
                {200, "*", "60000", "", 0},
                {200, "*", "9223372036854775807", "", 0},
                {200, "", "", "it does not say WebHook-Allowed-Origin", 0},
                {200, "evil.example", "*", "its WebHook-Allowed-Origin is another", 0},
                {200, "nuanxin.example.gov.cn.evil.example", "*", "its WebHook-Allowed-Origin is another", 0},
                {200, "*", "0", "its WebHook-Allowed-Rate is no rate", 0},
                {200, "*", "-5", "its WebHook-Allowed-Rate is no rate", 0},
                {200, "*", "many", "its WebHook-Allowed-Rate is no rate", 0},
                {405, "", "", "it refused", 0},
                {403, "*", "*", "it refused", 0},
                {302, "*", "*", "it redirects, which is not followed", 0},
                {0, "", "", "timed out", 0},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                struct endpoint e = endpoint_at(41);
                struct attempt a = {.kind = WEBHOOK_HANDSHAKE, .event = "", .status = cases[i].status, .retry_after_us = -1,
                                    .error = cases[i].status ? "" : "timed out", .allowed_origin = cases[i].origin,
                                    .allowed_rate = cases[i].rate};
                e.allowed_us = 0;
                bool agrees = !cases[i].error[0];
                CHECK_INT(after(&e, a, NOW), agrees ? WEBHOOK_DONE : WEBHOOK_RETRY);
                CHECK_TEXT(said, cases[i].error);
                CHECK_INT(e.allowed_us, agrees ? NOW : 0);
                CHECK_INT(e.allowed_rate, cases[i].kept_rate);
                CHECK_INT(e.attempts, !agrees);
                CHECK_INT(e.position, 41);
        }
}

static void a_rate_is_a_pause_between_deliveries(void)
{
        struct endpoint e = endpoint_at(1);
        CHECK_INT(webhook_spacing_us(&e), 0);
        e.allowed_rate = 120;
        CHECK_INT(webhook_spacing_us(&e), CLOCK_SECOND_US / 2);
        e.allowed_rate = 1;
        CHECK_INT(webhook_spacing_us(&e), CLOCK_MINUTE_US);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"retries come as promised, and up to a tenth later", retries_come_as_promised},
                {"who never answers is paused after ten attempts, its position kept", who_never_answers_is_paused_after_ten_attempts},
                {"a success ends the retries", a_success_ends_the_retries},
                {"what is no success is a retry", what_is_no_success_is_a_retry},
                {"another event begins its own retries", another_event_begins_its_own_retries},
                {"Retry-After is kept to, within bounds", retry_after_is_kept_to_within_bounds},
                {"410 disables", gone_disables},
                {"states move only as drawn", states_move_only_as_drawn},
                {"a delivery counts though its endpoint was paused meanwhile", a_delivery_counts_though_it_was_paused_meanwhile},
                {"what another instance has done is not done again", what_another_instance_has_done_is_not_done_again},
                {"a redrive comes first, and then all goes on", a_redrive_comes_first_and_then_all_goes_on},
                {"a redrive fails like a delivery", a_redrive_fails_like_a_delivery},
                {"a redrive passes what is not there", a_redrive_passes_what_is_not_there},
                {"what was under way counts when a redrive begins", what_was_under_way_counts_when_a_redrive_begins},
                {"the next delivery tells of dead letters", the_next_delivery_tells_of_dead_letters},
                {"only the newest dead letters are named, and there is room for them", only_the_newest_dead_letters_are_named},
                {"a dead letter in a redrive was told before", a_dead_letter_in_a_redrive_was_told_before},
                {"the handshake is judged by its fields", the_handshake_is_by_its_fields},
                {"a rate is a pause between deliveries", a_rate_is_a_pause_between_deliveries},
        };
        arena = arena_new(1 << 16);
        int r = CHECK_MAIN(cases);
        arena_free(arena);
        return r;
}
