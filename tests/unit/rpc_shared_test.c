/* SPDX-License-Identifier: Apache-2.0
 *
 * Several instances of a service on one PostgreSQL (NX_POSTGRES): each effect once, invariants, the outbox without gaps and
 * in each thing's order, and the leader's lease when its holder ends, is killed, or stands still.
 */
#include "tests/support/rpc_world.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define PROBLEM(got) ((int)(got)->reply.problem)
#define P(name)      NUANXIN__PROBLEM__PROBLEM_##name
#define THINGS       "SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) FROM thing"
#define EVENTS       "SELECT COUNT(*) FROM rpc_outbox"
#define HEAD         "SELECT COALESCE(MAX(seq), 0) FROM rpc_outbox"
#define SEEN         "SELECT COUNT(*) FROM seen"
#define TERM         "SELECT term FROM rpc_lease"
/* Pairs of events of one thing that stand the wrong way round. */
#define TANGLED                                                                                              \
        "SELECT COUNT(*) FROM rpc_outbox a JOIN rpc_outbox b ON a.subject = b.subject AND a.seq < b.seq "    \
        "WHERE CAST(a.organization AS BIGINT) >= CAST(b.organization AS BIGINT)"

/* --- two instances in one process --------------------------------------------------------------------------------- */

struct pair {
        struct loop *loop;
        struct world *a, *b;
};

static struct pair pair_new(void)
{
        struct pair p = {.loop = loop_new()};
        p.a = world_make(p.loop, &world_service);
        world_write(p.a);
        p.b = world_beside(p.a, p.loop, "two");
        world_write(p.b);
        return p;
}

static void pair_done(struct pair *p)
{
        if (p->b)
                world_done(p->b);
        world_done(p->a);
        loop_free(p->loop);
}

static void settled(struct world *w, int64_t events)
{
        CHECK_INT(world_number(w, EVENTS), events);
        CHECK_INT(world_number(w, HEAD), events); /* no gap */
}

static void test_one_effect(void)
{
        struct pair p = pair_new();
        char keys[100][16];
        for (int i = 0; i < 100; i++) {
                snprintf(keys[i], sizeof(keys[i]), "same-%d", i);
                const struct question q = {.method = PUT, .idempotency = keys[i], .client_key = i % 2, .attempt = i % 3};
                world_send(p.a, &q);
                world_send(p.b, &q);
        }
        world_wait(p.a);
        world_wait(p.b);
        for (int i = 0; i < 100; i++) {
                CHECK_INT(PROBLEM(&p.a->got[i]), 0);
                CHECK(str_eq(p.a->got[i].payload, p.b->got[i].payload));
        }
        CHECK_INT(world_number(p.a, THINGS), 100);
        CHECK_INT(world_number(p.a, "SELECT COUNT(*) FROM rpc_audit"), 100);
        settled(p.a, 100);
        pair_done(&p);
}

static void test_capacity(void)
{
        struct pair p = pair_new();
        int seated = 0;
        for (int i = 0; i < 150; i++) {
                world_send(p.a, &(struct question){.method = PUT, .key = "seat"});
                world_send(p.b, &(struct question){.method = PUT, .key = "seat"});
        }
        world_wait(p.a);
        world_wait(p.b);
        for (int i = 0; i < 150; i++) {
                CHECK(PROBLEM(&p.a->got[i]) == 0 || PROBLEM(&p.a->got[i]) == (int)P(PRECONDITION_FAILED));
                CHECK(PROBLEM(&p.b->got[i]) == 0 || PROBLEM(&p.b->got[i]) == (int)P(PRECONDITION_FAILED));
                seated += (PROBLEM(&p.a->got[i]) == 0) + (PROBLEM(&p.b->got[i]) == 0);
        }
        CHECK_INT(world_number(p.a, "SELECT n FROM thing"), WORLD_SEATS);
        CHECK_INT(seated, WORLD_SEATS);
        pair_done(&p);
}

static void test_order(void)
{
        struct pair p = pair_new();
        char names[5][4] = {"a", "b", "c", "d", "e"};
        for (int i = 0; i < 1000; i++) {
                world_send(i % 2 ? p.a : p.b, &(struct question){.method = PUT, .key = "step", .topic = names[i % 5]});
                if (i % 100 == 99) {
                        world_wait(p.a);
                        world_wait(p.b);
                }
        }
        int ok = 0;
        for (int i = 0; i < 500; i++)
                ok += (PROBLEM(&p.a->got[i]) == 0) + (PROBLEM(&p.b->got[i]) == 0);
        CHECK_INT(ok, 1000);
        settled(p.a, 1000);
        CHECK_INT(world_number(p.a, TANGLED), 0);
        CHECK(world_until(p.a, SEEN, 1000));
        pair_done(&p);
}

static void test_news_everywhere(void)
{
        struct pair p = pair_new();
        CHECK(world_until(p.a, "SELECT COUNT(*) FROM rpc_lease", 1));
        for (int i = 0; i < 4; i++) {
                char name[8];
                snprintf(name, sizeof(name), "n%d", i);
                struct world *waits = i % 2 ? p.a : p.b, *writes = i < 2 ? p.a : p.b;
                size_t waiting = world_send(waits, &(struct question){.method = AWAIT, .topic = name});
                int64_t before = clock_monotonic_us();
                world_send(writes, &(struct question){.method = PUT, .topic = name});
                world_wait(writes);
                world_wait(waits);
                CHECK_INT(world_position(waits, &waits->got[waiting]), 1);
                CHECK(clock_monotonic_us() - before < 2 * CLOCK_SECOND_US);
        }
        pair_done(&p);
}

/* What a service tells of beside its outbox, too. */
static void test_own_news_everywhere(void)
{
        struct pair p = pair_new();
        CHECK(world_until(p.a, "SELECT COUNT(*) FROM rpc_lease", 1));
        size_t there = world_send(p.b, &(struct question){.method = AWAIT, .topic = WORLD_TALE});
        size_t here = world_send(p.a, &(struct question){.method = AWAIT, .topic = WORLD_TALE});
        CHECK(world_until(p.b, "SELECT COUNT(*) FROM rpc_lease", 1));
        int64_t before = clock_monotonic_us();
        world_send(p.a, &(struct question){.method = PUT, .key = "tell"});
        world_wait(p.a);
        world_wait(p.b);
        CHECK_INT(world_position(p.a, &p.a->got[here]), 1);
        CHECK_INT(world_position(p.b, &p.b->got[there]), 1);
        CHECK(clock_monotonic_us() - before < 2 * CLOCK_SECOND_US);
        pair_done(&p);
}

/* Whoever leads. */
static void test_tick_everywhere(void)
{
        struct pair p = pair_new();
        CHECK(world_until(p.a, "SELECT COUNT(*) FROM rpc_lease", 1));
        for (int i = 1; i <= 2; i++) {
                struct world *notes = i == 1 ? p.a : p.b, *other = i == 1 ? p.b : p.a;
                other->noted = notes->noted = 10 * i; /* else they would write in turn */
                CHECK(world_until(notes, "SELECT n FROM thing WHERE name = 'noted'", 10 * i));
        }
        CHECK(world_until(p.a, "SELECT COUNT(*) FROM thing", 1));
        CHECK(p.a->ticks > 0 && p.b->ticks > 0);
        pair_done(&p);
}

/* As another schema of the same database would, or anybody who may connect to it. */
static void test_false_news(void)
{
        struct pair p = pair_new();
        CHECK(world_until(p.a, "SELECT COUNT(*) FROM rpc_lease", 1));
        size_t waiting = world_send(p.b, &(struct question){.method = AWAIT, .topic = "never", .time_left_ms = 1500});
        CHECK(world_until(p.b, "SELECT COUNT(*) FROM rpc_lease", 1));
        size_t tale = world_send(p.b, &(struct question){.method = AWAIT, .topic = WORLD_TALE, .time_left_ms = 1500});
        world_sql("SELECT pg_notify('nuanxin_test', '9000000000')");
        world_sql("SELECT pg_notify('nuanxin_test', '9000000000 news')");
        world_wait(p.b);
        CHECK_INT(world_position(p.b, &p.b->got[waiting]), 0);
        CHECK_INT(world_position(p.b, &p.b->got[tale]), 0);
        CHECK(p.b->runs < 10); /* they are not asked again and again */
        pair_done(&p);
}

static void on_drained(void *arg)
{
        struct world *w = arg;
        w->drained = true;
        loop_stop(w->loop);
}

/* Whoever leads, ends; the other goes on, at once. */
static void test_handed_over(void)
{
        struct pair p = pair_new();
        CHECK(world_until(p.a, "SELECT COUNT(*) FROM rpc_lease", 1));
        CHECK(rpc_server_leads(p.a->server) != rpc_server_leads(p.b->server) || world_until(p.a, TERM, 1));
        struct world *first = rpc_server_leads(p.a->server) ? p.a : p.b, *second = first == p.a ? p.b : p.a;
        CHECK(rpc_server_leads(first->server) && !rpc_server_leads(second->server));
        int64_t before = clock_monotonic_us(), term = world_number(second, TERM); /* a busy machine may have seen several */
        rpc_server_drain(first->server, on_drained, first);
        if (!first->drained)
                loop_run(first->loop);
        CHECK(world_until(second, TERM, term + 1));
        CHECK(clock_monotonic_us() - before < 2 * CLOCK_SECOND_US); /* not a lease's life */
        CHECK_INT(PROBLEM(ASK(second, .method = PUT)), 0);
        CHECK(world_until(second, SEEN, 1));
        pair_done(&p);
}

/* Its holder is gone, and lasts for an hour by a clock that was set back. */
static void test_clock_set_back(void)
{
        struct pair p = pair_new();
        char sql[200];
        CHECK(world_until(p.a, TERM, 1));
        snprintf(sql, sizeof(sql), "UPDATE %s.rpc_lease SET holder = 'gone', term = 7, "
                 "until_us = (EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) * 1000000)::BIGINT + 3600000000", p.a->schema);
        world_sql(sql);
        CHECK(world_until(p.a, TERM, 8));
        CHECK_INT(PROBLEM(ASK(p.b, .method = PUT)), 0);
        CHECK(world_until(p.a, SEEN, 1));
        pair_done(&p);
}

/* --- an instance in a process of its own ------------------------------------------------------------------------ */

#define WRITES 600 /* of each instance */
#define NAMES  7

/* Who has been answered what, for whoever outlives whom. */
struct ledger {
        _Atomic int acknowledged[2][WRITES]; /* 1: done */
        _Atomic int ready, failed;
        char schema[40];
        struct keyring *keyring; /* the same in both, from before the fork */
};

/* Keeps some writes under way; what is unavailable is asked again, with its key. */
struct load {
        struct world *w;
        struct ledger *ledger;
        int who, next, under_way, left;
        int of_id[WORLD_ANSWERS * 16];
        int attempts[WRITES];
};

static void load_send(struct load *l, int i)
{
        char key[32], name[8];
        snprintf(key, sizeof(key), "w-%d-%d", l->who, i);
        snprintf(name, sizeof(name), "t%d", i % NAMES);
        l->of_id[l->w->n_sent] = i;
        l->under_way++;
        world_send(l->w, &(struct question){.method = PUT, .key = "step", .topic = name, .idempotency = key,
                                            .attempt = (unsigned)l->attempts[i]++});
}

static void load_more(struct load *l)
{
        while (l->under_way < 24 && l->next < WRITES) {
                int i = l->next++;
                if (!l->ledger->acknowledged[l->who][i])
                        load_send(l, i);
        }
}

static void load_on_reply(void *arg, const struct bus_peer *to, struct str envelope, struct str payload)
{
        struct load *l = arg;
        Nuanxin__Internal__V1__Envelope *e =
                nuanxin__internal__v1__envelope__unpack(NULL, envelope.n, (const uint8_t *)envelope.p);
        int i = l->of_id[e->id];
        Nuanxin__Problem problem = e->reply->problem;
        (void)to;
        (void)payload;
        nuanxin__internal__v1__envelope__free_unpacked(e, NULL);
        l->under_way--;
        if (problem == P(UNAVAILABLE)) {
                load_send(l, i);
                return;
        }
        if (problem != P(NONE))
                l->ledger->failed++;
        l->ledger->acknowledged[l->who][i] = 1;
        load_more(l);
        if (!l->under_way)
                loop_stop(l->w->loop);
}

static struct load *load_begin(struct world *w, struct ledger *ledger, int who)
{
        struct load *l = mem_zalloc(sizeof(*l));
        *l = (struct load){.w = w, .ledger = ledger, .who = who};
        w->reply = load_on_reply;
        w->reply_arg = l;
        return l;
}

/* The child: an instance that leads, and writes until it ends or is ended. */
static void be_an_instance(struct ledger *ledger)
{
        struct world *w = mem_zalloc(sizeof(*w));
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (!ledger->schema[0])
                usleep(2000);
        *w = (struct world){.beside = true, .instance = "child", .keyring = ledger->keyring};
        snprintf(w->schema, sizeof(w->schema), "%s", ledger->schema);
        struct load *l = load_begin(w, ledger, 1);
        world_fill(w, NULL, &world_service);
        world_write(w);
        while (!rpc_server_leads(w->server))
                usleep(2000);
        ledger->ready = 1;
        load_more(l);
        loop_run(w->loop);
        ledger->ready = 2;
        loop_run(w->loop); /* on: until it is killed */
}

struct scene {
        struct ledger *ledger;
        pid_t child;
        struct world *w;
        struct load *load;
};

/* The child is forked before this process has threads. It leads; this process does not. */
static struct scene scene_new(void)
{
        struct scene s = {.ledger = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)};
        char folder[] = "/tmp/nuanxin-keys-XXXXXX";
        world_must(mkdtemp(folder) ? 0 : -errno, "folder", NULL);
        s.ledger->keyring = world_keyring(folder);
        nftw(folder, world_unlink, 8, FTW_DEPTH | FTW_PHYS);
        s.child = fork();
        if (s.child == 0) {
                be_an_instance(s.ledger);
                _exit(0);
        }
        s.w = mem_zalloc(sizeof(*s.w));
        s.load = load_begin(s.w, s.ledger, 0);
        s.w->keyring = s.ledger->keyring;
        world_fill(s.w, NULL, &world_service);
        snprintf(s.ledger->schema, sizeof(s.ledger->schema), "%s", s.w->schema);
        while (!s.ledger->ready)
                usleep(2000);
        world_write(s.w);
        return s;
}

static void scene_done(struct scene *s)
{
        kill(s->child, SIGKILL);
        waitpid(s->child, NULL, 0);
        world_done(s->w);
        free(s->load);
        munmap(s->ledger, sizeof(*s->ledger));
}

static int count(const struct ledger *ledger, int who)
{
        int n = 0;
        for (int i = 0; i < WRITES; i++)
                n += ledger->acknowledged[who][i];
        return n;
}

/* What the other left undone, or did without our knowing, with the keys that it had. */
static void finish_for(struct scene *s, int who)
{
        s->load->who = who;
        s->load->next = 0;
        for (int i = 0; i < WRITES; i++)
                s->load->attempts[i] = 1;
        load_more(s->load);
        if (s->load->under_way)
                loop_run(s->w->loop);
}

static void check_all_once(struct scene *s)
{
        CHECK_INT(s->ledger->failed, 0);
        CHECK_INT(world_number(s->w, THINGS), 2 * WRITES);
        settled(s->w, 2 * WRITES);
        CHECK_INT(world_number(s->w, TANGLED), 0);
        CHECK(world_until(s->w, SEEN, 2 * WRITES));
}

struct later {
        struct scene *scene;
        struct loop_timer *timer;
        int signal_number;
        int after; /* so many writes of the child */
};

static void on_later(void *arg)
{
        struct later *l = arg;
        if (count(l->scene->ledger, 1) >= l->after)
                kill(l->scene->child, l->signal_number);
        else
                loop_timer_set(l->timer, 2000);
}

static void write_while(struct scene *s, int signal_number, int after)
{
        struct later later = {s, NULL, signal_number, after};
        later.timer = loop_timer_new(s->w->loop, on_later, &later);
        loop_timer_set(later.timer, 0);
        load_more(s->load);
        loop_run(s->w->loop);
        while (count(s->ledger, 1) < after)
                usleep(1000);
        kill(s->child, signal_number);
        loop_timer_free(later.timer);
}

static void test_killed_leader(void)
{
        struct scene s = scene_new();
        write_while(&s, SIGKILL, 100);
        waitpid(s.child, NULL, 0);
        finish_for(&s, 1);
        CHECK(world_until(s.w, TERM, 2));
        check_all_once(&s);
        scene_done(&s);
}

/* It wakes after its successor has begun, and finds that it leads no longer. */
static void test_frozen_leader(void)
{
        struct scene s = scene_new();
        write_while(&s, SIGSTOP, 100);
        CHECK(world_until(s.w, TERM, 2));
        CHECK(rpc_server_leads(s.w->server));
        kill(s.child, SIGCONT);
        while (s.ledger->ready < 2)
                usleep(2000);
        finish_for(&s, 1);
        check_all_once(&s);
        CHECK(rpc_server_leads(s.w->server));
        CHECK_INT(world_number(s.w, TERM), 2);
        scene_done(&s);
}

struct breaker {
        struct loop_timer *timer;
        int times;
};

/* Every connection of the database is cut, again and again; a commit may be under way on each. */
static void on_break(void *arg)
{
        struct breaker *b = arg;
        world_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = user");
        if (--b->times)
                loop_timer_set(b->timer, 150000);
}

static void test_cut_connections(void)
{
        struct scene s = scene_new();
        struct breaker b = {.times = 12};
        b.timer = loop_timer_new(s.w->loop, on_break, &b);
        loop_timer_set(b.timer, 20000);
        load_more(s.load);
        loop_run(s.w->loop);
        while (s.ledger->ready < 2)
                usleep(2000);
        loop_timer_free(b.timer);
        CHECK_INT(count(s.ledger, 0), WRITES);
        CHECK_INT(count(s.ledger, 1), WRITES);
        check_all_once(&s);
        scene_done(&s);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"what two instances are asked at once with one key has one effect and one answer", test_one_effect},
                {"a capacity is never exceeded, whoever counts", test_capacity},
                {"events have no gap, and stand in their thing's order", test_order},
                {"news wake reads on every instance", test_news_everywhere},
                {"a service's own news wake reads on every instance", test_own_news_everywhere},
                {"what reads noted is stored by every instance", test_tick_everywhere},
                {"news of what is not there wake nobody over and over", test_false_news},
                {"a leader that ends hands over at once", test_handed_over},
                {"a lease from before the database's clock was set back holds up nobody", test_clock_set_back},
                {"a killed leader's successor goes on without a gap", test_killed_leader},
                {"a frozen leader wakes as none", test_frozen_leader},
                {"cut connections lose nothing, double nothing, and fail nothing", test_cut_connections},
        };
        if (!world_postgres()) {
                printf("1..0 # SKIP no NX_POSTGRES\n");
                return 0;
        }
        return CHECK_MAIN(cases);
}
