/* SPDX-License-Identifier: Apache-2.0
 *
 * The cache against a real redis-server that the test starts, freezes, kills and starts again; and against a
 * listener that talks nonsense.
 */
#include "common/base/clock.h"
#include "common/cache/cache.h"
#include "tests/support/check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct scene {
        struct loop *loop;
        struct cache *cache;
        struct cache_subscription *subscription;
        struct loop_timer *deadline;
        bool late;
        pid_t redis;
        char folder[32], path[64], address[80];
        const char *password;
        int ups, downs, replies, errors, alive, lost, messages;
        int error;
        enum cache_kind kind;
        char text[64], message[128];
        int64_t integer, lost_at_us;
        size_t items, length;
        bool disorder, resend;
};

static void on_deadline(void *arg)
{
        struct scene *s = arg;
        s->late = true;
        loop_stop(s->loop);
}

/* Runs the loop until the condition holds, 10 s at most. */
#define WAIT(s, condition)                                                                                   \
        do {                                                                                                 \
                (s)->late = false;                                                                           \
                loop_timer_set((s)->deadline, 10 * CLOCK_SECOND_US);                                         \
                while (!(condition) && !(s)->late)                                                           \
                        loop_run((s)->loop);                                                                 \
                loop_timer_clear((s)->deadline);                                                             \
                CHECK(condition);                                                                            \
        } while (0)

static void on_state(void *arg, bool up)
{
        struct scene *s = arg;
        *(up ? &s->ups : &s->downs) += 1;
        loop_stop(s->loop);
}

static void on_reply(void *arg, int error, const struct cache_reply *reply)
{
        struct scene *s = arg;
        s->error = error;
        CHECK((error == 0) == (reply != NULL));
        if (error) {
                s->errors++;
        } else {
                s->replies++;
                s->kind = reply->kind;
                s->integer = reply->integer;
                s->items = reply->n_items;
                s->length = reply->text.n;
                snprintf(s->text, sizeof(s->text), "%.*s", (int)reply->text.n,
                         reply->text.p ? reply->text.p : "");
        }
        loop_stop(s->loop);
        if (s->resend && error)
                CACHE_COMMAND(s->cache, on_reply, s, STR("PING"));
}

static void redis_start(struct scene *s)
{
        s->redis = fork();
        if (s->redis == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                int null = open("/dev/null", O_WRONLY);
                dup2(null, 1);
                dup2(null, 2);
                execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", s->path, "--save", "",
                       "--dir", s->folder, "--requirepass", s->password ? s->password : "", NULL);
                _exit(127);
        }
}

static void redis_kill(struct scene *s)
{
        kill(s->redis, SIGKILL);
        waitpid(s->redis, NULL, 0);
        s->redis = 0;
}

static void scene_init(struct scene *s)
{
        *s = (struct scene){.folder = "/tmp/cache_test.XXXXXX"};
        CHECK(mkdtemp(s->folder));
        snprintf(s->path, sizeof(s->path), "%s/redis.sock", s->folder);
        snprintf(s->address, sizeof(s->address), "unix:%s", s->path);
        s->loop = loop_new();
        s->deadline = loop_timer_new(s->loop, on_deadline, s);
}

static void scene_connect(struct scene *s, int64_t timeout_us, size_t max_in_flight)
{
        const struct cache_auth auth = {.password = (char *)s->password};
        struct cache_options options = {.address = s->address,
                                        .auth = &auth,
                                        .timeout_us = timeout_us,
                                        .max_in_flight = max_in_flight};
        CHECK_INT(cache_new(s->loop, &options, &s->cache), 0);
        cache_on_state(s->cache, on_state, s);
}

static void scene_start(struct scene *s)
{
        scene_init(s);
        redis_start(s);
        scene_connect(s, 0, 0);
        WAIT(s, s->ups == 1);
}

static void scene_done(struct scene *s)
{
        cache_free(s->cache);
        cache_subscription_free(s->subscription);
        if (s->redis)
                redis_kill(s);
        loop_timer_free(s->deadline);
        loop_free(s->loop);
        char command[80];
        snprintf(command, sizeof(command), "rm -rf %s", s->folder);
        CHECK_INT(system(command), 0);
}

/* --- commands ------------------------------------------------------------------------------------------- */

static void every_kind_of_reply_arrives(void)
{
        struct scene s;
        scene_start(&s);
        CHECK(cache_is_up(s.cache));
        CACHE_COMMAND(s.cache, on_reply, &s, STR("GET"), STR("none"));
        WAIT(&s, s.replies == 1);
        CHECK_INT(s.kind, CACHE_NIL);
        CACHE_COMMAND(s.cache, NULL, NULL, STR("SET"), STR("k\0\r\n"), STR("v\0\r\n"));
        CACHE_COMMAND(s.cache, on_reply, &s, STR("GET"), STR("k\0\r\n"));
        WAIT(&s, s.replies == 2);
        CHECK_INT(s.kind, CACHE_TEXT);
        CHECK_INT(s.length, 4);
        CACHE_COMMAND(s.cache, on_reply, &s, STR("INCRBY"), STR("n"), STR("-9223372036854775807"));
        WAIT(&s, s.replies == 3);
        CHECK_INT(s.kind, CACHE_INT);
        CHECK_INT(s.integer, -INT64_MAX);
        CACHE_COMMAND(s.cache, on_reply, &s, STR("LPUSH"), STR("n"), STR("x"));
        WAIT(&s, s.replies == 4);
        CHECK_INT(s.kind, CACHE_ERROR);
        CHECK(strncmp(s.text, "WRONGTYPE", 9) == 0);
        CACHE_COMMAND(s.cache, on_reply, &s, STR("LRANGE"), STR("none"), STR("0"), STR("-1"));
        WAIT(&s, s.replies == 5);
        CHECK_INT(s.kind, CACHE_ARRAY);
        CHECK_INT(s.items, 0);
        scene_done(&s);
}

static void on_nested(void *arg, int error, const struct cache_reply *reply)
{
        struct scene *s = arg;
        CHECK(error == 0 && reply->kind == CACHE_ARRAY && reply->n_items == 4);
        CHECK_INT(reply->items[0].integer, 1);
        CHECK(str_is(reply->items[1].text, "two"));
        CHECK_INT(reply->items[2].kind, CACHE_ARRAY);
        CHECK_INT(reply->items[2].n_items, 2);
        CHECK_INT(reply->items[2].items[0].kind, CACHE_NIL);
        CHECK(str_is(reply->items[2].items[1].text, "four"));
        CHECK_INT(reply->items[3].kind, CACHE_INT);
        s->replies++;
        loop_stop(s->loop);
}

static void scripts_run_and_survive_that_redis_forgets_them(void)
{
        struct scene s;
        struct cache_script nested = {.text = "return {1, KEYS[1], {false, ARGV[1]}, 5}"};
        scene_start(&s);
        for (int i = 1; i <= 3; i++) {
                cache_eval(s.cache, &nested, &STR("two"), 1, &STR("four"), 1, on_nested, &s);
                WAIT(&s, s.replies == i);
        }
        CHECK_INT(strlen(nested.sha1_), 40);
        CACHE_COMMAND(s.cache, NULL, NULL, STR("SCRIPT"), STR("FLUSH"));
        for (int i = 0; i < 10; i++)
                cache_eval(s.cache, &nested, &STR("two"), 1, &STR("four"), 1, on_nested, &s);
        WAIT(&s, s.replies == 13);
        scene_done(&s);
}

struct numbered {
        struct scene *scene;
        int number;
};

static void on_numbered(void *arg, int error, const struct cache_reply *reply)
{
        struct numbered *n = arg;
        n->scene->disorder |= error || reply->integer != n->number || n->scene->replies != n->number - 1;
        n->scene->replies++;
        loop_stop(n->scene->loop);
}

static void pipelined_commands_are_answered_in_order(void)
{
        enum { N = 4000 };
        static struct numbered numbered[N];
        struct scene s;
        scene_start(&s);
        for (int i = 0; i < N; i++) {
                numbered[i] = (struct numbered){&s, i + 1};
                CACHE_COMMAND(s.cache, on_numbered, &numbered[i], STR("INCR"), STR("n"));
        }
        WAIT(&s, s.replies == N);
        CHECK(!s.disorder);
        scene_done(&s);
}

static void large_values_go_through(void)
{
        enum { SIZE = 20 * 1024 * 1024 };
        struct scene s;
        char *big = calloc(1, SIZE);
        scene_init(&s);
        redis_start(&s);
        scene_connect(&s, 10 * CLOCK_SECOND_US, 0);
        WAIT(&s, s.ups == 1);
        CACHE_COMMAND(s.cache, on_reply, &s, STR("SET"), STR("big"), str_bytes(big, SIZE));
        CACHE_COMMAND(s.cache, on_reply, &s, STR("GET"), STR("big"));
        WAIT(&s, s.replies == 2);
        CHECK_INT(s.length, SIZE);
        free(big);
        scene_done(&s);
}

static void too_many_in_flight_are_refused_later_not_at_once(void)
{
        struct scene s;
        scene_init(&s);
        redis_start(&s);
        scene_connect(&s, 0, 10);
        WAIT(&s, s.ups == 1);
        for (int i = 0; i < 15; i++)
                CACHE_COMMAND(s.cache, on_reply, &s, STR("PING"));
        CHECK_INT(s.errors, 0);
        WAIT(&s, s.replies + s.errors == 15);
        CHECK_INT(s.replies, 10);
        scene_done(&s);
}

static void the_end_answers_what_is_in_flight(void)
{
        struct scene s;
        scene_start(&s);
        s.resend = true;
        CACHE_COMMAND(s.cache, on_reply, &s, STR("PING"));
        s.cache = cache_free(s.cache);
        CHECK_INT(s.errors, 1);
        CHECK_INT(s.error, -ECANCELED);
        scene_done(&s);
}

/* --- failures ------------------------------------------------------------------------------------------- */

static void a_frozen_redis_times_out_and_comes_back(void)
{
        struct scene s;
        scene_init(&s);
        redis_start(&s);
        scene_connect(&s, 200 * 1000, 0);
        WAIT(&s, s.ups == 1);
        CACHE_COMMAND(s.cache, NULL, NULL, STR("SET"), STR("k"), STR("kept"));
        CACHE_COMMAND(s.cache, on_reply, &s, STR("PING"));
        WAIT(&s, s.replies == 1);
        kill(s.redis, SIGSTOP);
        int64_t start_us = clock_monotonic_us();
        for (int i = 0; i < 5; i++)
                CACHE_COMMAND(s.cache, on_reply, &s, STR("GET"), STR("k"));
        WAIT(&s, s.errors == 5);
        CHECK_INT(s.error, -ETIMEDOUT);
        int64_t took_us = clock_monotonic_us() - start_us;
        CHECK(took_us >= 200 * 1000 && took_us < 400 * 1000);
        CHECK_INT(s.downs, 1);
        CACHE_COMMAND(s.cache, on_reply, &s, STR("GET"), STR("k"));
        CHECK_INT(s.errors, 5);
        WAIT(&s, s.errors == 6);
        CHECK_INT(s.error, -ENOTCONN);
        kill(s.redis, SIGCONT);
        WAIT(&s, s.ups == 2);
        CACHE_COMMAND(s.cache, on_reply, &s, STR("GET"), STR("k"));
        WAIT(&s, s.replies == 2);
        CHECK_TEXT(s.text, "kept");
        scene_done(&s);
}

static void a_killed_redis_is_noticed_and_its_successor_found(void)
{
        struct scene s;
        struct cache_script script = {.text = "return 'hello'"};
        scene_start(&s);
        cache_eval(s.cache, &script, NULL, 0, NULL, 0, on_reply, &s);
        WAIT(&s, s.replies == 1);
        kill(s.redis, SIGSTOP); /* so that it cannot answer first */
        CACHE_COMMAND(s.cache, on_reply, &s, STR("PING"));
        loop_timer_set(s.deadline, 0);
        loop_run(s.loop);
        redis_kill(&s);
        WAIT(&s, s.downs == 1);
        CHECK_INT(s.error, -ENOTCONN);
        CHECK(!cache_is_up(s.cache));
        redis_start(&s);
        WAIT(&s, s.ups == 2);
        cache_eval(s.cache, &script, NULL, 0, NULL, 0, on_reply, &s);
        WAIT(&s, s.replies == 2);
        CHECK_TEXT(s.text, "hello");
        scene_done(&s);
}

static void a_password_is_given_and_a_wrong_one_never_up(void)
{
        struct scene s;
        scene_init(&s);
        s.password = "right";
        redis_start(&s);
        scene_connect(&s, 0, 0);
        WAIT(&s, s.ups == 1);
        CACHE_COMMAND(s.cache, on_reply, &s, STR("PING"));
        WAIT(&s, s.replies == 1);
        CHECK_TEXT(s.text, "PONG");
        cache_free(s.cache);
        s.password = "wrong";
        scene_connect(&s, 0, 0);
        loop_timer_set(s.deadline, CLOCK_SECOND_US / 2);
        loop_run(s.loop);
        CHECK_INT(s.ups, 1);
        CHECK(!cache_is_up(s.cache));
        scene_done(&s);
}

/* A listener that answers whatever it is sent with the same bytes. */
static pid_t answer_always(int listener, const char *bytes)
{
        pid_t pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                signal(SIGPIPE, SIG_IGN);
                for (;;) {
                        char input[4096];
                        int fd = accept(listener, NULL, NULL);
                        while (read(fd, input, sizeof(input)) > 0)
                                if (write(fd, bytes, strlen(bytes)) < 0)
                                        break;
                        close(fd);
                }
        }
        return pid;
}

static void nonsense_ends_the_connection_not_the_process(void)
{
        static const char *const nonsense[] = {
                "+PONG\r\n?what\r\n",
                "+PONG\r\n*99999999999\r\n",
                "+PONG\r\n*2000000\r\n",
                "+PONG\r\n$99999999999999999999\r\n",
                "+PONG\r\n:x\r\n",
                "+PONG\r\n+1\r\n+2\r\n",
                "+PONG\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        };
        for (size_t i = 0; i < sizeof(nonsense) / sizeof(*nonsense); i++) {
                struct scene s;
                scene_init(&s);
                struct sockaddr_in address = {.sin_family = AF_INET};
                address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                socklen_t size = sizeof(address);
                int listener = socket(AF_INET, SOCK_STREAM, 0);
                CHECK_INT(bind(listener, (struct sockaddr *)&address, size), 0);
                CHECK_INT(listen(listener, 8), 0);
                CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &size), 0);
                snprintf(s.address, sizeof(s.address), "127.0.0.1:%d", ntohs(address.sin_port));
                s.redis = answer_always(listener, nonsense[i]);
                close(listener);
                scene_connect(&s, 0, 0);
                WAIT(&s, s.downs >= 1);
                scene_done(&s);
        }
}

static void addresses_that_are_none_are_refused(void)
{
        static const char *const addresses[] = {"",           "unix:", "redis",      ":6379",
                                                "127.0.0.1:", "[]:1",  "127.0.0.1:x"};
        struct loop *loop = loop_new();
        for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
                struct cache *cache;
                CHECK_INT(cache_new(loop, &(struct cache_options){.address = addresses[i]}, &cache), -EINVAL);
        }
        loop_free(loop);
}

/* --- subscriptions -------------------------------------------------------------------------------------- */

static void on_message(void *arg, struct str channel, struct str payload)
{
        struct scene *s = arg;
        s->messages++;
        snprintf(s->message, sizeof(s->message), "%.*s: %.*s", (int)channel.n, channel.p, (int)payload.n,
                 payload.p);
        loop_stop(s->loop);
}

static void on_alive(void *arg, bool alive)
{
        struct scene *s = arg;
        *(alive ? &s->alive : &s->lost) += 1;
        if (!alive)
                s->lost_at_us = clock_monotonic_us();
        loop_stop(s->loop);
}

static void scene_subscribe(struct scene *s)
{
        static const char *const channels[] = {"revoked", "changed"};
        static const struct cache_subscription_ops ops = {on_message, on_alive};
        CHECK_INT(cache_subscribe(s->loop, &(struct cache_options){.address = s->address}, channels, 2, &ops,
                                  s, &s->subscription),
                  0);
        WAIT(s, s->alive == 1);
}

static void messages_of_the_channels_arrive(void)
{
        struct scene s;
        scene_start(&s);
        scene_subscribe(&s);
        CACHE_COMMAND(s.cache, NULL, NULL, STR("PUBLISH"), STR("other"), STR("0"));
        CACHE_COMMAND(s.cache, NULL, NULL, STR("PUBLISH"), STR("revoked"), STR("1"));
        WAIT(&s, s.messages == 1);
        CHECK_TEXT(s.message, "revoked: 1");
        CACHE_COMMAND(s.cache, NULL, NULL, STR("PUBLISH"), STR("changed"), STR(""));
        WAIT(&s, s.messages == 2);
        CHECK_TEXT(s.message, "changed: ");
        scene_done(&s);
}

static void a_quiet_subscription_stays_alive_and_a_frozen_one_is_lost_within_the_bound(void)
{
        struct scene s;
        scene_start(&s);
        scene_subscribe(&s);
        loop_timer_set(s.deadline, 2 * CLOCK_SECOND_US);
        loop_run(s.loop);
        CHECK_INT(s.lost, 0);
        kill(s.redis, SIGSTOP);
        int64_t frozen_us = clock_monotonic_us();
        WAIT(&s, s.lost == 1);
        printf("# lost %lld ms after the freeze\n", (long long)(s.lost_at_us - frozen_us) / 1000);
        CHECK(s.lost_at_us - frozen_us < 1700 * 1000);
        kill(s.redis, SIGCONT);
        WAIT(&s, s.alive == 2);
        redis_kill(&s);
        WAIT(&s, s.lost == 2);
        redis_start(&s);
        WAIT(&s, s.alive == 3 && s.ups >= 2);
        CACHE_COMMAND(s.cache, NULL, NULL, STR("PUBLISH"), STR("revoked"), STR("again"));
        WAIT(&s, s.messages == 1);
        scene_done(&s);
}

int main(void)
{
        static const struct check_case cases[] = {
            {"every kind of reply arrives", every_kind_of_reply_arrives},
            {"scripts run, and survive that Redis forgets them",
             scripts_run_and_survive_that_redis_forgets_them},
            {"pipelined commands are answered in order", pipelined_commands_are_answered_in_order},
            {"large values go through", large_values_go_through},
            {"too many in flight are refused, later and not at once",
             too_many_in_flight_are_refused_later_not_at_once},
            {"the end answers what is in flight", the_end_answers_what_is_in_flight},
            {"a frozen Redis times out and comes back", a_frozen_redis_times_out_and_comes_back},
            {"a killed Redis is noticed and its successor found",
             a_killed_redis_is_noticed_and_its_successor_found},
            {"a password is given, with a wrong one it is never up",
             a_password_is_given_and_a_wrong_one_never_up},
            {"nonsense ends the connection, not the process", nonsense_ends_the_connection_not_the_process},
            {"addresses that are none are refused", addresses_that_are_none_are_refused},
            {"messages of the channels arrive", messages_of_the_channels_arrive},
            {"a quiet subscription stays alive, a frozen one is lost within the bound",
             a_quiet_subscription_stays_alive_and_a_frozen_one_is_lost_within_the_bound},
        };
        return CHECK_MAIN(cases);
}
