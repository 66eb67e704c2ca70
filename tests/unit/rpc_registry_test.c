/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is there, through a real Redis: announced, read, emptied, full of nonsense.
 */
#include "tests/support/rpc_stage.h"

static void redis_start(struct stage *s)
{
        char path[64];
        snprintf(path, sizeof(path), "%s/redis.sock", s->folder);
        snprintf(s->redis_address, sizeof(s->redis_address), "unix:%s", path);
        s->redis = fork();
        if (s->redis == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                int null = open("/dev/null", O_WRONLY);
                dup2(null, 1);
                dup2(null, 2);
                execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", s->folder, NULL);
                _exit(127);
        }
        CHECK_INT(cache_new(s->loop, &(struct cache_options){.address = s->redis_address}, &s->cache), 0);
}

static struct rpc_announcer *announce(struct stage *s, const struct fake *f)
{
        struct rpc_announcer *a = NULL;
        const struct rpc_announcer_options options = {.loop = s->loop, .cache = s->cache, .service = SERVICE, .instance = f->name,
                                                      .endpoint = f->endpoint, .admin_address = "127.0.0.1:1"};
        CHECK_INT(rpc_announcer_new(&options, &a), 0);
        return a;
}

static void on_counted(void *arg, int error, const struct cache_reply *reply)
{
        *(int64_t *)arg = error ? -1 : reply->integer;
}

/* The answer to one command, once it is `wanted`. */
#define WAIT_REDIS(s, wanted, ...)                                                                                        \
        do {                                                                                                              \
                int64_t number_ = -1;                                                                                     \
                CACHE_COMMAND((s)->cache, on_counted, &number_, __VA_ARGS__);                                             \
                WAIT((s), number_ == (wanted) || (number_ >= 0 && (number_ = -1,                                          \
                     CACHE_COMMAND((s)->cache, on_counted, &number_, __VA_ARGS__), false)));                              \
        } while (0)

static void instances_come_and_go_by_the_registry(void)
{
        struct stage *s = stage_new();
        redis_start(s);
        client_start(s, NULL);
        struct fake *one = fake_start(s, 0, true), *two = fake_start(s, 1, false);
        struct rpc_announcer *first = announce(s, one), *second = announce(s, two);
        WAIT(s, n_up(s) == 2);
        second = rpc_announcer_free(second); /* it says goodbye, but its connection lives */
        WAIT_REDIS(s, 1, STR("SCARD"), STR("instances"));
        CHECK_INT(n_known(s), 2);
        fake_die(two);
        WAIT(s, n_known(s) == 1);
        second = announce(s, two);
        fake_start(s, 1, false);
        WAIT(s, n_up(s) == 2);
        rpc_announcer_free(first);
        rpc_announcer_free(second);
        stage_done(s);
}

static void an_emptied_redis_removes_nobody_and_is_filled_again(void)
{
        struct stage *s = stage_new();
        redis_start(s);
        client_start(s, NULL);
        struct fake *one = fake_start(s, 0, true);
        struct rpc_announcer *first = announce(s, one);
        WAIT(s, n_up(s) == 1);
        WAIT(s, cache_is_up(s->cache));
        CACHE_COMMAND(s->cache, NULL, NULL, STR("FLUSHALL"));
        WAIT_REDIS(s, 1, STR("SCARD"), STR("instances"));
        WAIT_REDIS(s, 1, STR("EXISTS"), STR("instance:" SERVICE ":fake-0"));
        CHECK_INT(n_up(s), 1);
        rpc_announcer_free(first);
        stage_done(s);
}

static void names_without_a_value_and_nonsense_leave_or_are_passed_over(void)
{
        struct stage *s = stage_new();
        char script[] = "for i = 1, 3000 do redis.call('SADD', 'instances', 'membership:gone-' .. i) end "
                        "redis.call('SADD', 'instances', 'nocolon', ':', 'membership:', 'membership:a:b', 'membership:odd') "
                        "for _, n in ipairs({'nocolon', ':', 'membership:', 'membership:a:b'}) do "
                        "redis.call('SET', 'instance:' .. n, 'endpoint=ipc:///nowhere') end "
                        "redis.call('SET', 'instance:membership:odd', 'endpoint=tcp://10.0.0.1:1') return 1";
        redis_start(s);
        WAIT(s, cache_is_up(s->cache));
        CACHE_COMMAND(s->cache, NULL, NULL, STR("EVAL"), str_of(script), STR("0"));
        struct rpc_announcer *first = announce(s, fake_start(s, 0, true));
        client_start(s, NULL);
        WAIT_REDIS(s, 6, STR("SCARD"), STR("instances"));
        WAIT(s, n_up(s) == 1);
        CHECK_INT(n_known(s), 1);
        rpc_announcer_free(first);
        stage_done(s);
}

static const struct check_case cases[] = {
        {"instances come and go by the registry and their connections", instances_come_and_go_by_the_registry},
        {"an emptied Redis removes nobody and is filled again", an_emptied_redis_removes_nobody_and_is_filled_again},
        {"thousands of dead names leave the registry, nonsense is passed over",
         names_without_a_value_and_nonsense_leave_or_are_passed_over},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
