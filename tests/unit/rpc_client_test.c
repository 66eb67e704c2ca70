/* SPDX-License-Identifier: Apache-2.0
 *
 * The calling half against instances that do as the test says.
 */
#include "tests/support/rpc_stage.h"

/* --- choosing ------------------------------------------------------------------------------------------------------------ */

static void reads_go_to_all_and_writes_to_the_writer(void)
{
        struct stage *s = stage_of(3);
        for (unsigned i = 0; i < 60; i++)
                ask(s, i, &READ);
        WAIT(s, s->fakes[0].requests + s->fakes[1].requests + s->fakes[2].requests == 60);
        for (unsigned i = 0; i < 3; i++)
                CHECK(s->fakes[i].requests >= 5);
        unsigned before = s->fakes[0].requests;
        for (unsigned i = 60; i < 80; i++)
                ask(s, i, &WRITE);
        WAIT(s, s->asked[79].ended);
        CHECK_INT(s->fakes[0].requests, before + 20);
        stage_done(s);
}

static void the_less_burdened_of_two_is_chosen(void)
{
        struct stage *s = stage_of(2);
        s->fakes[0].manner = HOLDS;
        for (unsigned i = 0; i < 100; i++)
                ask(s, i, &READ);
        WAIT(s, s->fakes[0].requests + s->fakes[1].requests == 100);
        CHECK_INT(s->fakes[0].requests, 50); /* of none a latency is known: only what is outstanding counts */
        for (unsigned i = 100; i < 150; i++) {
                ask(s, i, &READ);
                WAIT(s, s->asked[i].ended);
        }
        /* Fifty are waiting there. A slow moment of the other's may still send one or two; chance would send half. */
        CHECK(s->fakes[0].requests <= 53);
        stage_done(s);
}

static void a_draining_instance_gets_nothing_new_but_answers_what_it_has(void)
{
        struct stage *s = stage_of(2);
        s->fakes[0].manner = HOLDS;
        struct asked *held = ask(s, 0, &WRITE);
        WAIT(s, s->fakes[0].requests == 1);
        s->fakes[0].draining = true;
        fake_greet(&s->fakes[0], NULL);
        WAIT(s, instance_named(s, "fake-0").draining);
        for (unsigned i = 1; i < 20; i++)
                ask(s, i, &READ);
        WAIT(s, s->fakes[1].requests == 19);
        CHECK_INT(s->fakes[0].requests, 1);
        fake_reply(&s->fakes[0]);
        WAIT(s, held->ended);
        CHECK_INT(held->result.error, 0);
        CHECK_INT(held->result.attempts, 1);
        stage_done(s);
}

static void an_instance_asked_by_name_answers_for_itself(void)
{
        struct stage *s = stage_of(2);
        s->fakes[1].draining = true;
        s->fakes[1].manner = NOT_WRITER; /* as a draining one says; nobody else can answer, so it is the answer */
        fake_greet(&s->fakes[1], NULL);
        WAIT(s, instance_named(s, "fake-1").draining);
        struct asked *a = ask_with(s, 0, &(struct rpc_request){.method = &READ, .instance = "fake-1"});
        WAIT(s, a->ended);
        CHECK_INT(a->result.error, 0);
        CHECK_INT(a->result.problem, NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE);
        CHECK_INT(s->fakes[1].requests, 1);
        stage_done(s);
}

static void long_polls_say_nothing_of_latency(void)
{
        struct stage *s = stage_of(1);
        s->fakes[0].manner = HOLDS;
        int64_t started = clock_monotonic_us();
        struct asked *a = ask_with(s, 0, &(struct rpc_request){.method = &READ, .long_poll = true});
        WAIT(s, s->fakes[0].requests == 1 && clock_monotonic_us() > started + 50000);
        fake_reply(&s->fakes[0]);
        WAIT(s, a->ended);
        CHECK_INT(instance_named(s, "fake-0").latency_us, 0);
        s->fakes[0].manner = ANSWERS;
        ask_and_wait(s, &READ);
        CHECK(instance_named(s, "fake-0").latency_us > 0);
        stage_done(s);
}

/* --- failures ------------------------------------------------------------------------------------------------------------- */

static void five_failures_in_a_row_eject_and_at_most_half(void)
{
        struct stage *s = stage_of(2);
        s->fakes[0].manner = s->fakes[1].manner = FAILS;
        for (unsigned i = 0; i < 60; i++)
                ask_and_wait(s, &READ);
        CHECK(instance_named(s, "fake-0").ejected != instance_named(s, "fake-1").ejected);
        unsigned out = instance_named(s, "fake-0").ejected ? 0 : 1, before = s->fakes[out].requests;
        CHECK(before >= 5);
        s->fakes[0].manner = s->fakes[1].manner = ANSWERS;
        for (unsigned i = 0; i < 10; i++)
                ask_and_wait(s, &READ);
        CHECK_INT(s->fakes[out].requests, before);
        const char *name = s->fakes[out].name;
        WAIT(s, !instance_named(s, name).ejected); /* its time is over: it is tried again */
        for (unsigned i = 0; i < 50; i++)
                ask(s, i, &READ);
        WAIT(s, s->fakes[out].requests > before);
        stage_done(s);
}

static void a_lone_instance_is_never_ejected(void)
{
        struct stage *s = stage_of(1);
        s->fakes[0].manner = FAILS;
        for (unsigned i = 0; i < 20; i++)
                ask_and_wait(s, &READ);
        CHECK(!instance_named(s, "fake-0").ejected);
        CHECK_INT(s->fakes[0].requests, 20); /* an error inside is not repeated */
        stage_done(s);
}

static void unavailable_is_retried_elsewhere_within_a_budget(void)
{
        struct stage *s = stage_of(2);
        s->fakes[0].manner = s->fakes[1].manner = UNAVAILABLE;
        enum { CALLS = 1000 };
        for (unsigned i = 0; i < CALLS; i++)
                ask(s, i, &READ);
        bool all = false;
        while (!all) {
                unsigned ended = 0;
                for (unsigned i = 0; i < CALLS; i++)
                        ended += s->asked[i].ended;
                all = ended == CALLS;
                if (!all)
                        loop_timer_set(s->tick, 2000), loop_run(s->loop);
        }
        unsigned sent = s->fakes[0].requests + s->fakes[1].requests;
        /* 20 % of 1000 and the 10 saved up: but they came in one burst, which finds only what was saved up. */
        CHECK(sent > CALLS && sent <= CALLS + CALLS / 5 + 10);
        for (unsigned i = 0; i < CALLS; i++) {
                CHECK(s->asked[i].result.attempts <= 3);
                CHECK_INT(s->asked[i].result.problem, NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE);
        }
        s->fakes[1].manner = ANSWERS;
        for (unsigned i = 0; i < 50; i++)
                ask_and_wait(s, &READ);
        ask_and_wait(s, &READ);
        CHECK_INT(s->asked[0].result.problem, NUANXIN__PROBLEM__PROBLEM_NONE);
        stage_done(s);
}

static void a_lost_connection_moves_what_was_in_flight_with_its_key(void)
{
        struct stage *s = stage_of(2);
        s->fakes[0].manner = HOLDS;
        s->fakes[1].may_write = true;
        fake_greet(&s->fakes[1], NULL);
        WAIT(s, instance_named(s, "fake-1").may_write);
        for (unsigned i = 0; i < 200; i++)
                ask(s, i, &WRITE);
        WAIT(s, s->fakes[0].requests == 100 && s->fakes[1].requests == 100);
        char key[80];
        strcpy(key, s->fakes[0].last_key);
        CHECK(key[0]);
        s->fakes[1].last_attempt = 0;
        fake_die(&s->fakes[0]);
        WAIT(s, s->fakes[1].requests == 200); /* more than the budget allows */
        CHECK_INT(s->fakes[1].last_attempt, 1);
        CHECK_TEXT(s->fakes[1].last_key, key);
        for (unsigned i = 0; i < 200; i++) {
                WAIT(s, s->asked[i].ended);
                CHECK_INT(s->asked[i].result.error, 0);
        }
        stage_done(s);
}

static void what_ends_its_instances_is_given_up(void)
{
        struct stage *s = stage_of(1);
        struct asked *a = ask(s, 0, &WRITE);
        s->fakes[0].manner = HOLDS;
        unsigned deaths = 0;
        for (; deaths < 10 && !a->ended; deaths++) {
                WAIT(s, s->fakes[0].requests == 1 || a->ended);
                if (a->ended)
                        break;
                fake_die(&s->fakes[0]);
                WAIT(s, n_up(s) == 0);
                fake_start(s, 0, true)->manner = HOLDS;
        }
        CHECK_INT(deaths, 4);
        CHECK_INT(a->result.error, -ETIMEDOUT);
        stage_done(s);
}

static void not_writer_moves_a_write_and_nobody_is_asked_in_circles(void)
{
        struct stage *s = stage_of(2);
        s->fakes[0].manner = NOT_WRITER;
        struct asked *a = ask(s, 0, &WRITE);
        WAIT(s, s->fakes[0].requests == 1 && !instance_named(s, "fake-0").may_write);
        CHECK(!a->ended);
        s->fakes[1].may_write = true;
        fake_greet(&s->fakes[1], NULL);
        WAIT(s, a->ended);
        CHECK_INT(a->result.error, 0);
        CHECK_INT(s->fakes[0].requests, 1);
        CHECK_INT(s->fakes[1].requests, 1);
        stage_done(s);
}

static void a_frozen_instance_loses_its_requests_to_another_and_its_late_answer_is_welcome(void)
{
        struct stage *s = stage_of(2);
        s->fakes[0].manner = s->fakes[1].manner = FROZEN;
        s->fakes[0].greetings = 0;
        for (unsigned i = 0; i < 40; i++)
                ask(s, i, &READ);
        WAIT(s, s->fakes[0].requests == 20 && s->fakes[1].requests == 20);
        s->fakes[1].manner = HOLDS;
        int64_t started = clock_monotonic_us();
        WAIT(s, instance_named(s, "fake-0").ejected); /* silent */
        CHECK(clock_monotonic_us() - started < 6 * CLOCK_SECOND_US); /* before the heartbeats would say so */
        CHECK_INT(s->fakes[0].greetings, 1);
        WAIT(s, s->fakes[1].requests == 40);
        CHECK_INT(instance_named(s, "fake-0").outstanding, 0);
        CHECK_INT(instance_named(s, "fake-1").outstanding, 40);
        s->fakes[0].manner = ANSWERS; /* it wakes up */
        fake_reply(&s->fakes[0]);
        WAIT(s, instance_named(s, "fake-1").outstanding == 39);
        CHECK(!instance_named(s, "fake-0").ejected);
        fake_reply(&s->fakes[1]); /* the second answer to some request, or the first: never both */
        ask_and_wait(s, &READ);
        for (unsigned i = 0; i < 40; i++)
                CHECK(s->asked[i].ended <= 1);
        stage_done(s);
}

static void a_lone_frozen_instance_counts_as_down_until_it_wakes(void)
{
        struct stage *s = stage_of(1);
        s->fakes[0].manner = FROZEN;
        struct asked *read = ask(s, 0, &READ), *write = ask(s, 1, &WRITE);
        WAIT(s, instance_named(s, "fake-0").ejected);
        CHECK_INT(s->fakes[0].requests, 2);
        WAIT(s, read->ended);
        CHECK_INT(read->result.error, -EHOSTUNREACH);
        CHECK(!write->ended && !rpc_client_has(s->client, SERVICE, false));
        s->fakes[0].manner = HOLDS;
        fake_reply(&s->fakes[0]); /* to the write, the last it saw */
        WAIT(s, write->ended);
        CHECK_INT(write->result.error, 0);
        CHECK(rpc_client_has(s->client, SERVICE, true));
        CHECK_INT(s->fakes[0].requests, 2);
        stage_done(s);
}

static void a_slow_instance_that_lives_keeps_its_requests(void)
{
        struct stage *s = stage_of(2);
        s->fakes[0].manner = s->fakes[1].manner = HOLDS;
        s->fakes[0].greetings = s->fakes[1].greetings = 0;
        ask(s, 0, &READ);
        WAIT(s, s->fakes[0].greetings + s->fakes[1].greetings >= 2); /* asked for signs of life, and gave them */
        CHECK_INT(s->fakes[0].requests + s->fakes[1].requests, 1);
        CHECK(!instance_named(s, "fake-0").ejected && !instance_named(s, "fake-1").ejected);
        stage_done(s);
}

/* --- waiting and deadlines ------------------------------------------------------------------------------------------------- */

static void a_read_without_an_instance_ends_soon_and_a_write_waits(void)
{
        struct stage *s = stage_of(1);
        fake_die(&s->fakes[0]);
        WAIT(s, n_up(s) == 0);
        int64_t started = clock_monotonic_us();
        struct asked *write = ask(s, 0, &WRITE), *read = ask(s, 1, &READ);
        WAIT(s, read->ended);
        int64_t waited = clock_monotonic_us() - started;
        CHECK_INT(read->result.error, -EHOSTUNREACH);
        CHECK(waited > 19 * CLOCK_SECOND_US / 10 && waited < 5 * CLOCK_SECOND_US);
        CHECK(!write->ended);
        read = ask(s, 2, &READ);
        fake_start(s, 0, true);
        WAIT(s, write->ended && read->ended);
        CHECK_INT(write->result.error, 0);
        CHECK_INT(read->result.error, 0);
        CHECK_INT(write->result.attempts, 1);
        stage_done(s);
}

static void deadlines_end_calls_in_their_order(void)
{
        struct stage *s = stage_of(1);
        s->fakes[0].manner = HOLDS;
        struct asked *late = ask_with(s, 0, &(struct rpc_request){.method = &WRITE, .deadline_us = 300000});
        struct asked *soon = ask_with(s, 1, &(struct rpc_request){.method = &WRITE, .deadline_us = 50000});
        WAIT(s, soon->ended);
        CHECK(!late->ended);
        CHECK_INT(soon->result.error, -ETIMEDOUT); /* it was sent: the outcome is unknown */
        WAIT(s, late->ended);
        CHECK_INT(late->result.error, -ETIMEDOUT);
        fake_reply(&s->fakes[0]); /* too late: nobody listens */
        s->fakes[0].may_write = false;
        fake_greet(&s->fakes[0], NULL);
        WAIT(s, !instance_named(s, "fake-0").may_write);
        struct asked *none = ask_with(s, 2, &(struct rpc_request){.method = &WRITE, .deadline_us = 50000});
        WAIT(s, none->ended);
        CHECK_INT(none->result.error, -EHOSTUNREACH); /* nothing was sent */
        stage_done(s);
}

static void a_cancelled_call_is_not_heard_of_again(void)
{
        struct stage *s = stage_of(1);
        s->fakes[0].manner = HOLDS;
        struct asked *sent = ask(s, 0, &READ);
        WAIT(s, s->fakes[0].requests == 1);
        rpc_pending_cancel(sent->pending);
        struct asked *next = ask(s, 1, &READ); /* in the same slot */
        fake_reply(&s->fakes[0]);
        WAIT(s, s->fakes[0].requests == 2);
        CHECK(!sent->ended && !next->ended);
        fake_reply(&s->fakes[0]);
        WAIT(s, next->ended);
        CHECK_INT(sent->ended, 0);
        struct asked *open = ask(s, 2, &READ);
        s->client = rpc_client_free(s->client);
        CHECK_INT(open->ended, 1);
        CHECK_INT(open->result.error, -ECANCELED);
        stage_done(s);
}

static void what_waits_is_bounded(void)
{
        struct stage *s = stage_new();
        enum { MOST = 8192, MORE = 100 };
        struct asked *all = mem_zalloc((MOST + MORE) * sizeof(*all));
        client_start(s, NULL);
        for (unsigned i = 0; i < MOST + MORE; i++)
                rpc_client_call(s->client, &(struct rpc_request){.method = &WRITE}, on_done, &all[i]);
        WAIT(s, all[MOST + MORE - 1].ended);
        for (unsigned i = 0; i < MOST + MORE; i++) {
                CHECK_INT(all[i].ended, i >= MOST);
                CHECK(i < MOST || all[i].result.error == -EHOSTUNREACH);
        }
        stage_done(s);
        CHECK_INT(all[0].result.error, -ECANCELED);
        free(all);
}

static void what_is_too_large_for_the_bus_ends_at_once(void)
{
        struct stage *s = stage_of(1);
        struct str payload = {mem_zalloc(5 << 20), 5 << 20};
        struct asked *a = ask_with(s, 0, &(struct rpc_request){.method = &READ, .payload = payload});
        WAIT(s, a->ended);
        CHECK_INT(a->result.error, -EMSGSIZE);
        CHECK_INT(s->fakes[0].requests, 0);
        free((char *)payload.p);
        stage_done(s);
}

static void another_build_is_not_asked(void)
{
        struct stage *s = stage_of(2);
        s->fakes[0].other_build = true;
        fake_greet(&s->fakes[0], NULL);
        s->fakes[0].draining = s->fakes[1].draining = false;
        ask_and_wait(s, &WRITE); /* the greeting came before its answer */
        unsigned before = s->fakes[0].requests;
        for (unsigned i = 0; i < 20; i++)
                ask(s, i, &READ);
        WAIT(s, s->fakes[1].requests == 20);
        CHECK_INT(s->fakes[0].requests, before);
        stage_done(s);
}

static void another_service_at_the_endpoint_is_not_used(void)
{
        struct stage *s = stage_new();
        char peer[160];
        struct fake *f = fake_start(s, 0, true);
        f->service = "activity";
        snprintf(peer, sizeof(peer), SERVICE "=%s", f->endpoint);
        client_start(s, (const char *const[]){peer, NULL});
        WAIT(s, f->greetings == 1);
        struct asked *a = ask(s, 0, &READ);
        WAIT(s, a->ended);
        CHECK_INT(a->result.error, -EHOSTUNREACH);
        CHECK_INT(f->requests, 0);
        stage_done(s);
}

static const struct check_case cases[] = {
        {"reads go to all instances, writes to the one that may write", reads_go_to_all_and_writes_to_the_writer},
        {"of two instances the less burdened is chosen", the_less_burdened_of_two_is_chosen},
        {"a draining instance gets nothing new and answers what it has",
         a_draining_instance_gets_nothing_new_but_answers_what_it_has},
        {"an instance asked by name answers for itself", an_instance_asked_by_name_answers_for_itself},
        {"long polls say nothing of an instance's latency", long_polls_say_nothing_of_latency},
        {"five failures in a row eject an instance, at most half of a fleet, for a while",
         five_failures_in_a_row_eject_and_at_most_half},
        {"a lone instance is never ejected", a_lone_instance_is_never_ejected},
        {"unavailable is retried elsewhere, within a budget", unavailable_is_retried_elsewhere_within_a_budget},
        {"a lost connection moves what was in flight, with its key, outside the budget",
         a_lost_connection_moves_what_was_in_flight_with_its_key},
        {"a request in whose time four instances died is given up", what_ends_its_instances_is_given_up},
        {"not_writer moves a write, and nobody is asked in circles", not_writer_moves_a_write_and_nobody_is_asked_in_circles},
        {"a frozen instance loses its requests to another; whoever answers first is heard",
         a_frozen_instance_loses_its_requests_to_another_and_its_late_answer_is_welcome},
        {"a lone frozen instance counts as down until it wakes", a_lone_frozen_instance_counts_as_down_until_it_wakes},
        {"a slow instance that lives keeps its requests", a_slow_instance_that_lives_keeps_its_requests},
        {"a read without an instance ends after 2 s, a write waits for one",
         a_read_without_an_instance_ends_soon_and_a_write_waits},
        {"deadlines end calls, and say whether anything was sent", deadlines_end_calls_in_their_order},
        {"a cancelled call is not heard of again, and the client's end ends all", a_cancelled_call_is_not_heard_of_again},
        {"what waits for an instance is bounded", what_waits_is_bounded},
        {"what is too large for the bus ends at once", what_is_too_large_for_the_bus_ends_at_once},
        {"an instance of another build is not asked", another_build_is_not_asked},
        {"another service at the endpoint is not used", another_service_at_the_endpoint_is_not_used},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
