/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process's life stands on: who writes and who takes over, what the manager is told, how the operator waits.
 */
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/loop/loop.h"
#include "common/rpc/client.h"
#include "common/service/operator.h"
#include "common/service/service.h"
#include "common/service/takeover.h"
#include "tests/support/store_world.h"

#include "nuanxin/membership/v1/organization.pb-c.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* --- who writes ------------------------------------------------------------------------------------------------------ */

static const struct store_migration migrations[] = {
        {"test/001", "CREATE TABLE thing (id @text PRIMARY KEY) @strict;"},
        {0},
};

struct stage {
        struct loop *loop;
        struct loop_timer *tick;
};

/* One process's part: a store of its own on the same file. */
struct contender {
        struct store *store;
        struct takeover *takeover;
        struct store_writer *writer;
        unsigned n_schema;
};

static void on_tick(void *arg)
{
        struct stage *s = arg;
        loop_stop(s->loop);
        loop_timer_set(s->tick, 2000);
}

#define WAIT(s, condition)                                                                                                \
        do {                                                                                                              \
                int64_t late_ = clock_monotonic_us() + 30 * CLOCK_SECOND_US;                                              \
                while (!(condition) && clock_monotonic_us() < late_)                                                      \
                        loop_run((s)->loop);                                                                              \
                CHECK(condition);                                                                                         \
        } while (0)

static void stage_init(struct stage *s)
{
        s->loop = loop_new();
        s->tick = loop_timer_new(s->loop, on_tick, s);
        loop_timer_set(s->tick, 0);
        world_folder();
}

static void stage_done(struct stage *s)
{
        loop_timer_free(s->tick);
        loop_free(s->loop);
        world_remove_folder();
}

static void on_writer(void *arg, struct store_writer *writer, const char *epoch)
{
        struct contender *c = arg;
        CHECK_INT((int)strlen(epoch), ID_TEXT_SIZE - 1);
        c->writer = writer;
}

static void on_schema(void *arg)
{
        struct contender *c = arg;
        c->n_schema++;
}

static int contend_as(struct stage *s, struct contender *c, const char *name, const struct store_migration *build)
{
        const char *error = NULL;
        *c = (struct contender){0};
        CHECK_INT(store_open(world_url, NULL, &c->store, &error), 0);
        static const struct clock clock;
        const struct takeover_options options = {.clock = &clock,
                                                 .loop = s->loop, .store = c->store, .instance = name, .migrations = build,
                                                 .on_writer = on_writer, .on_schema = on_schema, .arg = c};
        return takeover_new(&options, &c->takeover);
}

static void contend(struct stage *s, struct contender *c, const char *name)
{
        CHECK_INT(contend_as(s, c, name, migrations), 0);
}

static void leave(struct contender *c)
{
        takeover_free(c->takeover);
        store_writer_release(c->writer);
        store_close(c->store);
        *c = (struct contender){0};
}

static void the_first_writes_at_once_and_the_next_takes_over(void)
{
        struct stage s;
        struct contender one, two, three;
        stage_init(&s);
        contend(&s, &one, "one");
        CHECK(one.writer);
        contend(&s, &two, "two");
        contend(&s, &three, "three");
        CHECK(!two.writer);
        WAIT(&s, two.n_schema == 1 && three.n_schema == 1); /* they serve reads meanwhile */
        leave(&one);
        WAIT(&s, two.writer || three.writer);
        struct contender *next = two.writer ? &two : &three, *last = two.writer ? &three : &two;
        CHECK_INT(store_writer_epoch(next->writer), 2);
        leave(next);
        WAIT(&s, last->writer);
        CHECK_INT(store_writer_epoch(last->writer), 3);
        leave(last);
        stage_done(&s);
}

static void a_standby_may_leave_at_any_moment(void)
{
        struct stage s;
        struct contender one, two;
        stage_init(&s);
        contend(&s, &one, "one");
        for (unsigned i = 0; i < 20; i++) {
                contend(&s, &two, "two");
                int64_t started = clock_monotonic_us();
                if (i % 2) { /* as it takes over: whatever it has by then is given back */
                        leave(&one);
                        leave(&two);
                        contend(&s, &one, "one");
                        CHECK(one.writer);
                } else {
                        leave(&two);
                }
                CHECK(clock_monotonic_us() - started < 5 * CLOCK_SECOND_US);
        }
        leave(&one);
        stage_done(&s);
}

static const struct store_migration newer[] = {
        {"test/001", "CREATE TABLE thing (id @text PRIMARY KEY) @strict;"},
        {"test/002", "ALTER TABLE thing ADD COLUMN nick @text;"},
        {0},
};
static const struct store_migration newest[] = {
        {"test/001", "CREATE TABLE thing (id @text PRIMARY KEY) @strict;"},
        {"test/002", "ALTER TABLE thing ADD COLUMN nick @text;"},
        {"test/003.contract", "ALTER TABLE thing DROP COLUMN nick;"},
        {0},
};

static void a_newer_standby_serves_nothing_before_its_migrations_have_run(void)
{
        struct stage s;
        struct contender one, two, three;
        stage_init(&s);
        contend(&s, &one, "one");
        CHECK_INT(contend_as(&s, &two, "two", newer), 0);
        contend(&s, &three, "three");
        WAIT(&s, three.n_schema == 1);
        int64_t until = clock_monotonic_us() + CLOCK_SECOND_US / 4; /* several looks */
        while (clock_monotonic_us() < until)
                loop_run(s.loop);
        CHECK_INT(two.n_schema, 0);
        leave(&three);
        leave(&one);
        WAIT(&s, two.writer); /* which runs them */
        contend(&s, &one, "one"); /* an older build beside it, or after it, goes on */
        WAIT(&s, one.n_schema == 1);
        leave(&two);
        WAIT(&s, one.writer);
        leave(&one);
        stage_done(&s);
}

static void run_contractions(struct store_writer *writer)
{
        struct store_conn *db = store_writer_conn(writer);
        const char *error = NULL;
        bool ran = false;
        CHECK_INT(store_begin(db), 0);
        CHECK(store_contract(db, &newest[2], &ran, &error) == 0 && ran);
        CHECK_INT(store_commit(db), 0);
}

static void an_older_build_refuses_a_store_that_was_contracted(void)
{
        struct stage s;
        struct contender one, two;
        stage_init(&s);
        contend(&s, &one, "one");
        leave(&one);
        CHECK_INT(contend_as(&s, &two, "two", newest), 0);
        CHECK(two.writer);
        contend(&s, &one, "one"); /* it has not run by itself */
        WAIT(&s, one.n_schema == 1);
        leave(&one);
        run_contractions(two.writer);
        leave(&two);
        CHECK(contend_as(&s, &one, "one", newer) < 0);
        CHECK(!one.writer);
        store_close(one.store);
        CHECK_INT(contend_as(&s, &two, "two", newest), 0);
        CHECK(two.writer);
        leave(&two);
        stage_done(&s);
}

/* In a child: writes, and then stands still for ever. */
static void freeze_as_writer(int ready)
{
        struct store *store = NULL;
        struct store_writer *writer = NULL;
        const char *error = NULL;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (store_open(world_url, NULL, &store, &error) != 0 ||
            store_writer_acquire(store, "frozen", false, &writer, &error) != 0 ||
            store_migrate(store_writer_conn(writer), migrations, 1, &error) != 0)
                _exit(1);
        if (write(ready, "w", 1) != 1)
                _exit(1);
        for (;;)
                pause();
}

static void a_frozen_writer_is_ended_by_its_standby(void)
{
        struct stage s;
        struct contender two;
        int ready[2], status = 0;
        char word;
        stage_init(&s);
        CHECK_INT(pipe2(ready, O_CLOEXEC), 0);
        pid_t frozen = fork();
        if (frozen == 0)
                freeze_as_writer(ready[1]);
        CHECK_INT(read(ready[0], &word, 1), 1);
        contend(&s, &two, "two");
        CHECK(!two.writer);
        WAIT(&s, two.writer);
        CHECK_INT(waitpid(frozen, &status, 0), frozen);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        close(ready[0]);
        close(ready[1]);
        leave(&two);
        stage_done(&s);
}

/* --- the manager -------------------------------------------------------------------------------------------------------- */

static int listen_for_notices(const char *path)
{
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        size_t n = strlen(path);
        memcpy(at.sun_path, path, n);
        if (at.sun_path[0] == '@')
                at.sun_path[0] = '\0';
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CHECK_INT(bind(fd, (const struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)), 0);
        return fd;
}

static void the_manager_is_told_by_path_and_by_abstract_name(void)
{
        char text[32], path[128], abstract[64];
        world_folder();
        snprintf(path, sizeof(path), "%s/notify.sock", world_root);
        snprintf(abstract, sizeof(abstract), "@nuanxin-test-%d", (int)getpid());
        const char *const names[] = {path, abstract};
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                int fd = listen_for_notices(names[i]);
                setenv("NOTIFY_SOCKET", names[i], 1);
                service_notify("READY=1");
                struct pollfd wait = {.fd = fd, .events = POLLIN};
                CHECK_INT(poll(&wait, 1, 5000), 1);
                CHECK_INT(recv(fd, text, sizeof(text), 0), 7);
                CHECK(memcmp(text, "READY=1", 7) == 0);
                close(fd);
        }
        setenv("NOTIFY_SOCKET", "relative/path", 1); /* none of the two: nothing is sent, nothing breaks */
        service_notify("READY=1");
        unsetenv("NOTIFY_SOCKET");
        service_notify("READY=1");
        unlink(path);
        CHECK_INT(rmdir(world_root), 0);
}

/* --- the operator ------------------------------------------------------------------------------------------------------- */

static int ask(struct operator *op, struct arena *arena)
{
        Nuanxin__Membership__V1__GetOrganizationRequest request = NUANXIN__MEMBERSHIP__V1__GET_ORGANIZATION_REQUEST__INIT;
        struct operator_refusal refusal;
        void *response;
        request.organization = (char *)"43";
        return operator_call(op, operator_method("GetOrganization"), NULL, arena, &request, &response, &refusal);
}

static void the_operator_hears_soon_that_nothing_runs(void)
{
        struct operator *op = NULL;
        struct rpc_instance found[4];
        struct arena *arena = arena_new(4096);
        const char *error = NULL;
        char dead[128];
        int64_t started = clock_monotonic_us();
        world_folder();
        CHECK_INT(operator_open(&(struct operator_options){.bus = world_root}, &op, &error), 0);
        CHECK_INT(operator_instances(op, found, ARRAY_LEN(found)), 0);
        CHECK(clock_monotonic_us() - started < CLOCK_SECOND_US);
        CHECK_INT(ask(op, arena), -EHOSTUNREACH);
        operator_close(op);
        /* What a killed instance left there. */
        snprintf(dead, sizeof(dead), "%s/membership-1.sock", world_root);
        close(listen_for_notices(dead));
        CHECK_INT(operator_open(&(struct operator_options){.bus = world_root}, &op, &error), 0);
        CHECK_INT(operator_instances(op, found, ARRAY_LEN(found)), 1);
        CHECK(!found[0].up);
        CHECK_INT(ask(op, arena), -EHOSTUNREACH);
        CHECK(clock_monotonic_us() - started < 20 * CLOCK_SECOND_US);
        operator_close(op);
        CHECK(operator_method("GetOrganization") == operator_method("nuanxin.membership.v1.Membership.GetOrganization"));
        CHECK(!operator_method("NoSuchMethod"));
        arena_free(arena);
        unlink(dead);
        CHECK_INT(rmdir(world_root), 0);
}

static const struct check_case cases[] = {
        {"the first writes at once, the next takes over when it goes", the_first_writes_at_once_and_the_next_takes_over},
        {"a standby may leave at any moment", a_standby_may_leave_at_any_moment},
        {"a newer standby serves nothing before its migrations have run", a_newer_standby_serves_nothing_before_its_migrations_have_run},
        {"an older build refuses a store that was contracted", an_older_build_refuses_a_store_that_was_contracted},
        {"a frozen writer is ended by its standby", a_frozen_writer_is_ended_by_its_standby},
        {"the manager is told, by path and by abstract name", the_manager_is_told_by_path_and_by_abstract_name},
        {"the operator hears soon that nothing runs", the_operator_hears_soon_that_nothing_runs},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
