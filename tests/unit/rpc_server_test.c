/* SPDX-License-Identifier: Apache-2.0
 *
 * The serving half over a real store: the one transaction, stored answers, refusals, audit, outbox, waiting reads, due
 * work, consumers, drain.
 */
#include "tests/support/rpc_world.h"

#include "common/rpc/lane.h"
#include "nuanxin/type/role.pb-c.h"

#define PROBLEM(got) ((int)(got)->reply.problem)
#define P(name)      NUANXIN__PROBLEM__PROBLEM_##name
#define THINGS       "SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) FROM thing"
#define EVENTS       "SELECT COUNT(*) FROM rpc_outbox"
#define AUDITED      "SELECT COUNT(*) FROM rpc_audit"
#define ANSWERS      "SELECT COUNT(*) FROM rpc_answer"

static struct world *begin(void)
{
        struct world *w = world_new();
        world_write(w);
        return w;
}

static void test_write_leaves_all(void)
{
        struct world *w = begin();
        struct got *got = ASK(w, .method = PUT);
        CHECK_INT(PROBLEM(got), 0);
        CHECK_INT(world_position(w, got), 1);
        CHECK(!got->reply.replayed && got->reply.commit_us > 0);
        CHECK_INT(world_number(w, THINGS), 1);
        CHECK_INT(world_number(w, EVENTS), 1);
        CHECK_INT(world_number(w, ANSWERS), 1);
        CHECK_INT(world_number(w, "SELECT COUNT(*) FROM rpc_audit WHERE principal = 'account:anna' AND method = "
                                  "'test.Put' AND outcome = 'ok' AND subject = 'a' AND "
                                  "trace = '0af7651916cd43dd8448eb211c80319c'"),
                  1);
        CHECK_INT(world_position(w, ASK(w, .method = GET)), 1);
        world_done(w);
}

static void test_replay(void)
{
        struct world *w = begin();
        struct got *first = ASK(w, .method = PUT, .idempotency = "k", .client_key = true);
        struct got *again = ASK(w, .method = PUT, .idempotency = "k", .client_key = true);
        CHECK(again->reply.replayed);
        CHECK(str_eq(first->payload, again->payload));
        CHECK_INT(w->runs, 1);
        world_restart(w);
        struct got *later = ASK(w, .method = PUT, .idempotency = "k", .attempt = 2);
        CHECK(later->reply.replayed);
        CHECK(str_eq(first->payload, later->payload));
        CHECK_INT(world_number(w, THINGS), 1);
        CHECK_INT(world_number(w, EVENTS), 1);

        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .topic = "b", .idempotency = "k", .client_key = true)),
                  P(IDEMPOTENCY_MISMATCH));
        struct got *other = ASK(w, .method = PUT, .idempotency = "k", .client_key = true,
                                .who = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__ACCOUNT, "berta"));
        CHECK(!other->reply.replayed && PROBLEM(other) == 0); /* somebody else's key */
        world_done(w);
}

/* A first attempt that arrives after its own retry: nobody looked for an answer, and the handler ran. */
static void test_late_first_attempt(void)
{
        struct world *w = begin();
        struct got *retry = ASK(w, .method = PUT, .idempotency = "g", .attempt = 1);
        struct got *late = ASK(w, .method = PUT, .idempotency = "g");
        CHECK(w->runs > 1);
        CHECK(late->reply.replayed && str_eq(retry->payload, late->payload));
        struct got *refused = ASK(w, .method = PUT, .idempotency = "h", .key = "refuse", .attempt = 1);
        late = ASK(w, .method = PUT, .idempotency = "h", .key = "refuse");
        CHECK(late->reply.replayed && str_eq(refused->payload, late->payload));
        CHECK_INT(world_number(w, THINGS), 1);
        CHECK_INT(world_number(w, EVENTS), 1);
        CHECK_INT(world_number(w, AUDITED), 2);
        world_done(w);
}

static void test_in_flight(void)
{
        struct world *w = begin();
        size_t first = world_send(w, &(struct question){.method = PUT, .idempotency = "k", .client_key = true});
        size_t second = world_send(w, &(struct question){.method = PUT, .idempotency = "k", .client_key = true});
        size_t retry = world_send(
                w, &(struct question){.method = PUT, .idempotency = "k", .client_key = true, .attempt = 1});
        world_wait(w);
        CHECK_INT(PROBLEM(&w->got[first]), 0);
        CHECK_INT(PROBLEM(&w->got[second]), P(IDEMPOTENCY_IN_FLIGHT));
        CHECK(w->got[retry].reply.replayed);
        CHECK(str_eq(w->got[first].payload, w->got[retry].payload));
        CHECK_INT(world_number(w, THINGS), 1);
        world_done(w);
}

static void test_told_in_time(void)
{
        struct world *w = begin();
        int64_t since_us = clock_monotonic_us();
        CHECK_INT(sem_init(&w->released, 0, 0), 0);
        struct got *got = ASK(w, .method = PUT, .key = "stuck", .idempotency = "k", .client_key = true, .time_left_ms = 2000);
        CHECK_INT(PROBLEM(got), P(UNAVAILABLE));
        CHECK(got->reply.retry_after_ms > 0);
        CHECK(clock_monotonic_us() - since_us < 2 * CLOCK_SECOND_US);
        size_t again = world_send(w, &(struct question){.method = PUT, .key = "stuck", .idempotency = "k", .client_key = true, .attempt = 1});
        sem_post(&w->released);
        world_wait(w);
        CHECK_INT(PROBLEM(&w->got[again]), 0);
        CHECK(w->got[again].reply.replayed);
        CHECK_INT(world_number(w, THINGS), 1);
        world_done(w);
}

static void test_refusals(void)
{
        struct world *w = begin();
        struct got *got = ASK(w, .method = PUT, .key = "refuse", .idempotency = "r", .client_key = true);
        CHECK_INT(PROBLEM(got), P(PRECONDITION_FAILED));
        CHECK_INT(world_number(w, THINGS), 0);
        CHECK_INT(world_number(w, EVENTS), 0);
        CHECK_INT(world_number(w, "SELECT COUNT(*) FROM rpc_audit WHERE outcome = 'precondition-failed'"), 1);
        struct got *again = ASK(w, .method = PUT, .key = "refuse", .idempotency = "r", .client_key = true);
        CHECK(again->reply.replayed && str_eq(got->payload, again->payload));

        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .key = "kept")), P(PRECONDITION_FAILED));
        CHECK_INT(world_number(w, THINGS), 1);
        CHECK_INT(world_number(w, EVENTS), 1);

        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .key = "fail")), P(INTERNAL));
        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .topic = "")), P(INVALID_ARGUMENT));
        CHECK_INT(world_number(w, THINGS), 1);
        CHECK_INT(world_number(w, "SELECT MAX(seq) FROM rpc_outbox"), 1);
        CHECK_INT(PROBLEM(ASK(w, .method = PUT)), 0);
        CHECK_INT(world_number(w, "SELECT MAX(seq) FROM rpc_outbox"), 2); /* no gap */
        world_done(w);
}

static void test_access(void)
{
        struct world *w = begin();
        Who *nobody = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__ANONYMOUS, "");
        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .who = nobody)), P(UNAUTHENTICATED));
        CHECK_INT(PROBLEM(ASK(w, .method = OPEN, .who = nobody)), 0);
        Who *other = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__ACCOUNT, "zoe");
        other->grants[0]->organization = (char *)"44";
        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .who = other)), P(NOT_FOUND));
        other = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__ACCOUNT, "zoe");
        other->grants[0]->role = NUANXIN__TYPE__ROLE__ROLE_VOLUNTEER;
        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .who = other)), P(PERMISSION_DENIED));
        Who *through = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__ACCOUNT, "zoe");
        through->client = (char *)"app"; /* whose backend reaches nothing */
        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .who = through)), P(NOT_FOUND));
        Grant backend = NUANXIN__INTERNAL__V1__GRANT__INIT, *backends[] = {&backend};
        backend.role = NUANXIN__TYPE__ROLE__ROLE_APP_BACKEND;
        backend.organization = (char *)"4301";
        through->client_grants = backends;
        through->n_client_grants = 1;
        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .who = through)), P(PERMISSION_DENIED));
        CHECK_INT(PROBLEM(ASK(w, .method = GET, .who = through)), 0); /* what both may */
        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .key = "forget")), P(INTERNAL)); /* fails closed */
        Who *agency = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__AGENCY, "insurer"); /* grants would give it nothing */
        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .who = agency)), P(PERMISSION_DENIED));
        CHECK_INT(PROBLEM(ASK(w, .method = AWAIT, .who = agency)), P(PERMISSION_DENIED)); /* "signedIn" */
        Who *operator = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__OPERATOR, "root");
        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .who = operator)), 0);
        CHECK_INT(world_number(w, THINGS), 2);
        world_done(w);
}

static void test_at(void)
{
        struct world *w = begin();
        CHECK_INT(PROBLEM(ASK(w, .method = AT, .topic = "430102")), 0);
        CHECK_INT(PROBLEM(ASK(w, .method = AT, .topic = "4401")), P(NOT_FOUND)); /* out of scope */
        CHECK_INT(PROBLEM(ASK(w, .method = AT, .topic = "9")), P(NOT_FOUND));    /* unknown */
        world_done(w);
}

static void test_members(void)
{
        struct world *w = begin();
        Who *member = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__MEMBER, "m1");
        member->member = (char *)"m1";
        CHECK_INT(PROBLEM(ASK(w, .method = GET, .topic = "m1", .key = "own", .who = member)), 0);
        CHECK_INT(PROBLEM(ASK(w, .method = GET, .topic = "m2", .key = "own", .who = member)), P(NOT_FOUND));
        CHECK_INT(PROBLEM(ASK(w, .method = GET, .topic = "m1", .who = member)), P(PERMISSION_DENIED));
        Who *staff = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__ACCOUNT, "anna");
        CHECK_INT(PROBLEM(ASK(w, .method = GET, .topic = "m1", .key = "own", .who = staff)), 0);
        world_done(w);
}

static void test_scopes(void)
{
        struct world *w = begin();
        Grant client[2] = {NUANXIN__INTERNAL__V1__GRANT__INIT, NUANXIN__INTERNAL__V1__GRANT__INIT};
        Grant *clients[] = {&client[0], &client[1]};
        Who *who = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__ACCOUNT, "anna");
        CHECK_TEXT(world_told(w, ASK(w, .method = GET, .key = "scope", .who = who))->next_key, "43");
        who->client = (char *)"app";
        who->client_grants = clients;
        who->n_client_grants = 2;
        client[0].role = client[1].role = NUANXIN__TYPE__ROLE__ROLE_APP_BACKEND;
        client[0].organization = (char *)"4301";
        client[1].organization = (char *)"44";
        CHECK_TEXT(world_told(w, ASK(w, .method = GET, .key = "scope", .who = who))->next_key, "4301");
        Who *operator = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__OPERATOR, "root");
        CHECK_TEXT(world_told(w, ASK(w, .method = GET, .key = "scope", .who = operator))->next_key, "*");
        world_done(w);
}

static void test_huge_answer(void)
{
        struct world *w = begin();
        CHECK_INT(PROBLEM(ASK(w, .method = GET, .key = "huge")), P(INTERNAL));
        world_done(w);
}

static void test_pages(void)
{
        struct world *w = begin();
        Told *first = world_told(w, ASK(w, .method = GET, .topic = "page"));
        CHECK_INT(first->position, 0);
        CHECK_INT(world_position(w, ASK(w, .method = GET, .topic = "page", .key = first->next_key)), 4);
        struct got *other = ASK(w, .method = GET, .topic = "page", .key = first->epoch); /* another filter's */
        CHECK_INT(PROBLEM(other), P(PAGE_TOKEN_INVALID));
        CHECK_INT(PROBLEM(ASK(w, .method = GET, .topic = "page", .key = "AAAA")), P(PAGE_TOKEN_INVALID));
        CHECK_INT(rpc_page_size(0), 50);
        CHECK_INT(rpc_page_size(5000), 1000);
        world_done(w);
}

static void test_secrets(void)
{
        struct world *w = begin();
        CHECK_INT(PROBLEM(ASK(w, .method = SECRET, .idempotency = "s", .client_key = true)), 0);
        CHECK_INT(PROBLEM(ASK(w, .method = SECRET, .idempotency = "s", .client_key = true)), P(ANSWER_NOT_KEPT));
        CHECK_INT(PROBLEM(ASK(w, .method = SECRET, .idempotency = "s", .attempt = 1)), P(ANSWER_NOT_KEPT));
        CHECK_INT(world_number(w, THINGS), 1);
        CHECK_INT(world_number(w, "SELECT COUNT(*) FROM rpc_answer WHERE payload IS NULL"), 1);
        CHECK_INT(PROBLEM(ASK(w, .method = OPEN, .idempotency = "o", .client_key = true)), 0);
        CHECK_INT(PROBLEM(ASK(w, .method = OPEN, .idempotency = "o", .client_key = true)), 0);
        CHECK_INT(world_number(w, THINGS), 3);
        CHECK_INT(world_number(w, ANSWERS), 1);
        world_contract[SECRET].path = "/v1/secrets"; /* a GET: it is asked again where the first answer was lost with its instance */
        CHECK_INT(PROBLEM(ASK(w, .method = SECRET, .idempotency = "g")), 0);
        CHECK_INT(PROBLEM(ASK(w, .method = SECRET, .idempotency = "g", .attempt = 1)), 0);
        world_contract[SECRET].path = NULL;
        CHECK_INT(world_number(w, ANSWERS), 1);
        world_done(w);
}

static void test_slow(void)
{
        struct world *w = begin();
        struct got *got = ASK(w, .method = SLOW, .idempotency = "s", .client_key = true);
        CHECK_INT(PROBLEM(got), 0);
        CHECK_INT(world_number(w, "SELECT n FROM thing WHERE name = 'slowly a'"), 1);
        CHECK(ASK(w, .method = SLOW, .idempotency = "s", .client_key = true)->reply.replayed);
        CHECK_INT(PROBLEM(ASK(w, .method = SLOW, .key = "refuse")), P(PRECONDITION_FAILED));
        CHECK_INT(world_number(w, "SELECT COUNT(*) FROM rpc_audit WHERE method = 'test.Slow'"), 2);
        world_done(w);
}

static void test_lost_batch(void)
{
        struct world *w = begin();
        size_t at[3];
        w->failures_left = 1; /* the batch is lost once, and runs again one by one */
        at[0] = world_send(w, &(struct question){.method = PUT});
        at[1] = world_send(w, &(struct question){.method = PUT, .key = "nospace"});
        at[2] = world_send(w, &(struct question){.method = PUT});
        world_wait(w);
        for (int i = 0; i < 3; i++)
                CHECK_INT(PROBLEM(&w->got[at[i]]), 0);
        w->failures_left = 2; /* the second time too: that one alone is told so */
        at[0] = world_send(w, &(struct question){.method = PUT});
        at[1] = world_send(w, &(struct question){.method = PUT, .key = "nospace"});
        at[2] = world_send(w, &(struct question){.method = PUT});
        world_wait(w);
        CHECK_INT(PROBLEM(&w->got[at[0]]), 0);
        CHECK_INT(PROBLEM(&w->got[at[1]]), P(UNAVAILABLE));
        CHECK(w->got[at[1]].reply.retry_after_ms > 0);
        CHECK_INT(PROBLEM(&w->got[at[2]]), 0);
        CHECK_INT(world_number(w, THINGS), 5);
        CHECK_INT(world_number(w, "SELECT MAX(seq) FROM rpc_outbox"), 5);
        CHECK_INT(world_number(w, EVENTS), 5);
        world_done(w);
}

/* Who must be undone is, and nobody else: at first, when its batch has no savepoints, and then, when it has. */
static void test_undone_among_others(void)
{
        struct world *w = begin();
        for (int round = 1; round <= 2; round++) {
                size_t at[4];
                at[0] = world_send(w, &(struct question){.method = PUT});
                at[1] = world_send(w, &(struct question){.method = PUT, .key = "refuse"});
                at[2] = world_send(w, &(struct question){.method = PUT, .key = "fail"});
                at[3] = world_send(w, &(struct question){.method = PUT});
                world_wait(w);
                CHECK_INT(PROBLEM(&w->got[at[0]]), 0);
                CHECK_INT(PROBLEM(&w->got[at[1]]), P(PRECONDITION_FAILED));
                CHECK_INT(PROBLEM(&w->got[at[2]]), P(INTERNAL));
                CHECK_INT(PROBLEM(&w->got[at[3]]), 0);
                CHECK_INT(world_number(w, THINGS), 2 * round);
                CHECK_INT(world_number(w, EVENTS), 2 * round);
                CHECK_INT(world_number(w, "SELECT MAX(seq) FROM rpc_outbox"), 2 * round);
                CHECK_INT(world_number(w, AUDITED), 3 * round); /* what failed may be tried again: nothing is kept of it */
        }
        world_done(w);
}

static void test_not_here(void)
{
        struct world *w = world_new();
        CHECK(ASK(w, .method = PUT)->reply.not_writer);
        CHECK_INT(PROBLEM(ASK(w, .method = GET)), P(UNAVAILABLE)); /* no schema yet */
        world_write(w);
        CHECK_INT(PROBLEM(ASK(w, .method = 99)), P(UNAVAILABLE));
        world_done(w);
}

static void test_waits_for_news(void)
{
        struct world *w = begin();
        size_t waiting = world_send(w, &(struct question){.method = AWAIT, .topic = "news"});
        world_send(w, &(struct question){.method = PUT, .topic = "news"});
        world_wait(w);
        CHECK_INT(world_position(w, &w->got[waiting]), 1);
        /* Nothing comes: it answers what there is, before its deadline. */
        struct got *got = ASK(w, .method = AWAIT, .topic = "never", .time_left_ms = 2000);
        CHECK_INT(PROBLEM(got), 0);
        CHECK_INT(world_position(w, got), 0);
        /* Or when it has waited for as long as it wants to. */
        int64_t asked_us = clock_monotonic_us();
        got = ASK(w, .method = AWAIT, .topic = "never", .key = "soon", .time_left_ms = 60000);
        CHECK_INT(PROBLEM(got), 0);
        CHECK(clock_monotonic_us() - asked_us >= 200000 && clock_monotonic_us() - asked_us < 30000000);
        world_done(w);
}

/* What the service tells of beside its outbox wakes those who wait for that, and for nothing else. */
static void test_waits_for_own_news(void)
{
        struct world *w = begin();
        size_t waiting = world_send(w, &(struct question){.method = AWAIT, .topic = WORLD_TALE});
        CHECK(world_until_waits(w, 1));
        world_send(w, &(struct question){.method = PUT, .topic = "other"});
        CHECK(world_until(w, "SELECT n FROM thing WHERE name = 'other'", 1));
        world_send(w, &(struct question){.method = PUT, .topic = "other"});
        CHECK(world_until(w, "SELECT COUNT(*) FROM seen", 2)); /* the outbox was told of */
        CHECK_INT(w->runs, 3);
        world_send(w, &(struct question){.method = PUT, .key = "tell"});
        world_wait(w);
        CHECK_INT(world_position(w, &w->got[waiting]), 1);
        CHECK_INT(w->runs, 5);
        /* It knows past what it has waited. */
        CHECK_INT(w->waited_past, 0);
        waiting = world_send(w, &(struct question){.method = AWAIT, .topic = WORLD_TALE, .key = "second"});
        CHECK(world_until_waits(w, 2));
        world_send(w, &(struct question){.method = PUT, .key = "tell"});
        world_wait(w);
        CHECK_INT(world_position(w, &w->got[waiting]), 2);
        CHECK_INT(w->waited_past, 1);
        world_done(w);
}

/* What reads note is stored each second; without anything new nothing is written. */
static void test_tick(void)
{
        struct world *w = begin();
        w->noted = 7;
        CHECK(world_until(w, "SELECT n FROM thing WHERE name = 'noted'", 7));
        int ticks = w->ticks;
        w->noted = 8;
        CHECK(world_until(w, "SELECT n FROM thing WHERE name = 'noted'", 8));
        CHECK(w->ticks > ticks && w->ticks < ticks + 5);
        world_done(w);
}

static void test_due(void)
{
        struct world *w = begin();
        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .key = "due")), 0);
        CHECK_INT(world_number(w, "SELECT COUNT(*) FROM rpc_due"), 1);
        w->failures_left = 1;
        world_shift(w, 3601 * CLOCK_SECOND_US);
        CHECK(world_until(w, "SELECT attempts FROM rpc_due", 1)); /* undone, and put back */
        CHECK_INT(world_number(w, THINGS), 1);
        world_shift(w, 3611 * CLOCK_SECOND_US);
        CHECK(world_until(w, "SELECT n FROM thing WHERE name = 'due a'", 1));
        CHECK_INT(world_number(w, "SELECT COUNT(*) FROM rpc_due"), 0);
        world_done(w);
}

/* Work that the store refuses stands first, each time: what is behind it is done all the same. */
static void test_due_refused(void)
{
        struct world *w = begin();
        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .key = "due", .topic = "twice")), 0);
        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .key = "due", .topic = "z")), 0);
        world_shift(w, 3601 * CLOCK_SECOND_US);
        CHECK(world_until(w, "SELECT COUNT(*) FROM thing WHERE name = 'due z'", 1));
        CHECK(world_until(w, "SELECT attempts FROM rpc_due WHERE key = 'twice'", 1));
        CHECK_INT(world_number(w, "SELECT COUNT(*) FROM thing WHERE name = 'due twice'"), 0);
        CHECK_INT(world_number(w, "SELECT COUNT(*) FROM rpc_due"), 1);
        world_done(w);
}

static void test_own_consumer(void)
{
        struct world *w = begin();
        for (int i = 0; i < 700; i++) {
                world_send(w, &(struct question){.method = PUT});
                if (i % 50 == 49)
                        world_wait(w); /* where several write, one row for all of them is slow, and a long queue is shed */
        }
        CHECK(world_until(w, "SELECT COUNT(*) FROM seen", 700));
        world_restart(w);
        CHECK_INT(PROBLEM(ASK(w, .method = PUT)), 0);
        CHECK(world_until(w, "SELECT COUNT(*) FROM seen", 701));
        CHECK_INT(world_number(w, "SELECT position FROM rpc_cursor"), 701);
        world_done(w);
}

static void test_consumer_tries_again(void)
{
        struct world *w = begin();
        w->unfollowed_left = 2;
        for (int i = 0; i < 5; i++)
                world_send(w, &(struct question){.method = PUT});
        world_wait(w);
        CHECK(world_until(w, "SELECT COUNT(*) FROM seen", 5));
        CHECK_INT(w->unfollowed_left, 0);
        CHECK_INT(world_number(w, THINGS), 5); /* the requests beside it were not harmed */
        world_done(w);
}

/* A second instance on the same store, which only reads, hears of no commits and looks by itself. */
static void test_standby_waits_too(void)
{
        struct world *w = begin();
        struct rpc_server *writer = w->server;
        struct metric_registry *metrics = w->metrics;
        w->metrics = metric_registry_new();
        world_start(w);
        rpc_server_open_readers(w->server);
        struct rpc_server *standby = w->server;
        CHECK(ASK(w, .method = PUT)->reply.not_writer);
        size_t waiting = world_send(w, &(struct question){.method = AWAIT, .topic = "news"});
        w->server = writer;
        world_send(w, &(struct question){.method = PUT, .topic = "news"});
        world_wait(w);
        CHECK_INT(world_position(w, &w->got[waiting]), 1);
        rpc_server_free(standby);
        metric_registry_free(w->metrics);
        w->metrics = metrics;
        world_done(w);
}

static void on_drained(void *arg)
{
        struct world *w = arg;
        w->drained = true;
        loop_stop(w->loop);
}

static void test_drain(void)
{
        struct world *w = begin();
        size_t waiting = world_send(w, &(struct question){.method = AWAIT, .topic = "never"});
        size_t writing = world_send(w, &(struct question){.method = PUT});
        rpc_server_drain(w->server, on_drained, w);
        CHECK(ASK(w, .method = PUT)->reply.not_writer);
        if (!w->drained)
                loop_run(w->loop);
        CHECK(w->drained);
        CHECK_INT(PROBLEM(&w->got[writing]), 0);
        CHECK_INT(PROBLEM(&w->got[waiting]), 0);
        world_done(w);
}

static void test_expired_answers_go(void)
{
        struct world *w = begin();
        for (int i = 0; i < 50; i++)
                world_send(w, &(struct question){.method = PUT, .client_key = i % 2});
        world_wait(w);
        CHECK_INT(world_number(w, ANSWERS), 50);
        world_shift(w, 11 * CLOCK_MINUTE_US);
        CHECK(world_until(w, ANSWERS, 25));
        CHECK_INT(world_number(w, AUDITED), 50);
        world_done(w);
}

/* In one sweep, however many others there are to look at. */
static void test_expired_front_goes(void)
{
        struct world *w = begin();
        CHECK_INT(PROBLEM(ASK(w, .method = PUT, .key = "many answers")), 0);
        CHECK_INT(world_number(w, ANSWERS), 5001);
        world_shift(w, 30 * CLOCK_MINUTE_US);
        CHECK_INT(PROBLEM(ASK(w, .method = PUT)), 0);
        int64_t left;
        while ((left = world_number(w, ANSWERS)) > 5000)
                usleep(1000);
        CHECK(left <= 2);
        world_done(w);
}

/* A queue that stands for a whole interval is overload; a burst that drains is not. */
static void test_shed(void)
{
        struct shed shed = {.target_us = 5, .interval_us = 100};
        int64_t now = 1000;
        CHECK(!shed_decide(&shed, now, 400)); /* one long wait says nothing */
        for (int i = 1; i < 10; i++)
                CHECK(!shed_decide(&shed, now + 10 * i, 400));
        CHECK(shed_decide(&shed, now + 100, 400)); /* all of them, for a whole interval */
        CHECK(!shed_decide(&shed, now + 101, 9));  /* within twice the target it is served */
        CHECK(shed_decide(&shed, now + 102, 11));
        CHECK(!shed_decide(&shed, now + 103, 5));  /* the queue was short once */
        CHECK(!shed_decide(&shed, now + 104, 11));
        CHECK(!shed_decide(&shed, now + 900, 400)); /* after a pause it begins anew */
}

int main(void)
{
        static const struct check_case cases[] = {
                {"a write leaves state, event, answer and audit together", test_write_leaves_all},
                {"a repeated write gets the first answer, byte for byte, also after a restart", test_replay},
                {"a first attempt that comes after its retry doubles nothing", test_late_first_attempt},
                {"while the first runs, a second is told so and a retry waits", test_in_flight},
                {"who asked is told to come again before the time is up, once, and the outcome is kept", test_told_in_time},
                {"a refusal undoes the writes and is kept itself", test_refusals},
                {"access is decided by grants, and fails closed", test_access},
                {"the organisation that a request names decides", test_at},
                {"a member's session reaches what is its own", test_members},
                {"through an app backend the scope is what both may", test_scopes},
                {"a page token works only where it comes from", test_pages},
                {"an answer that no message holds is a failure at once", test_huge_answer},
                {"secret answers are not kept, and not made twice", test_secrets},
                {"slow work is prepared outside the transaction", test_slow},
                {"a lost batch runs again one by one", test_lost_batch},
                {"who must be undone is, and nobody else of its batch", test_undone_among_others},
                {"who may not write says so", test_not_here},
                {"a read waits for news, or for its deadline", test_waits_for_news},
                {"due work runs on the service's clock, and comes back when it fails", test_due},
                {"due work that the store refuses comes back later, and keeps none behind it", test_due_refused},
                {"a consumer of the own outbox sees each event once", test_own_consumer},
                {"a consumer that fails tries again, and applies once", test_consumer_tries_again},
                {"a read that waits for the service's own news is woken by nothing else", test_waits_for_own_news},
                {"what reads noted is stored each second", test_tick},
                {"a read waits for news at a standby too", test_standby_waits_too},
                {"draining finishes what is in hand", test_drain},
                {"expired answers are swept", test_expired_answers_go},
                {"expired answers of the gateway's keys go first", test_expired_front_goes},
                {"only a standing queue is shed", test_shed},
        };
        return CHECK_MAIN(cases);
}
