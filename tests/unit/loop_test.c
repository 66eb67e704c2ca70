/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop: order within and between turns, time, posting from threads, the admin port.
 */
#include "common/base/clock.h"
#include "common/loop/loop.h"
#include "tests/support/check.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

struct scene {
        struct loop *loop;
        struct loop_turn hook, other_hook;
        struct loop_timer *timer;
        struct loop_fd *watch;
        char story[64];
        int n;
        int64_t at_us;
};

static void tell(struct scene *scene, char what)
{
        scene->story[scene->n++] = what;
}

static void stop(void *arg)
{
        loop_stop(((struct scene *)arg)->loop);
}

static void on_hook(void *arg)
{
        tell(arg, 'h');
}

static void on_other_hook(void *arg)
{
        tell(arg, 'o');
}

static void on_chained_hook(void *arg)
{
        struct scene *scene = arg;
        tell(scene, 'c');
        loop_at_turn_end(scene->loop, &scene->other_hook);
}

static void on_work(void *arg)
{
        struct scene *scene = arg;
        tell(scene, 'w');
        loop_at_turn_end(scene->loop, &scene->hook);
        loop_at_turn_end(scene->loop, &scene->hook);
}

static void turn_end_comes_once_after_all_work(void)
{
        struct scene scene = {.loop = loop_new()};
        scene.hook = (struct loop_turn){.fn = on_hook, .arg = &scene};
        loop_post(scene.loop, on_work, &scene);
        loop_post(scene.loop, on_work, &scene);
        loop_post(scene.loop, stop, &scene);
        loop_run(scene.loop);
        CHECK_TEXT(scene.story, "wwh");
        loop_free(scene.loop);
}

static void a_hook_may_queue_another_and_be_cancelled(void)
{
        struct scene scene = {.loop = loop_new()};
        struct loop_turn cancelled = {.fn = on_hook, .arg = &scene};
        scene.hook = (struct loop_turn){.fn = on_chained_hook, .arg = &scene};
        scene.other_hook = (struct loop_turn){.fn = on_other_hook, .arg = &scene};
        loop_at_turn_end(scene.loop, &scene.hook);
        loop_at_turn_end(scene.loop, &cancelled);
        loop_turn_cancel(scene.loop, &cancelled);
        loop_turn_cancel(scene.loop, &cancelled);
        loop_stop(scene.loop); /* a stop before the run is not lost, and what was prepared still runs */
        loop_run(scene.loop);
        CHECK_TEXT(scene.story, "co");
        loop_free(scene.loop);
}

static void on_due(void *arg)
{
        struct scene *scene = arg;
        scene->at_us = loop_now_us(scene->loop);
        stop(arg);
}

static void timers_are_never_early(void)
{
        struct scene scene = {.loop = loop_new()};
        scene.timer = loop_timer_new(scene.loop, on_due, &scene);
        for (int i = 0; i < 20; i++) {
                int64_t start = loop_now_us(scene.loop);
                loop_timer_set(scene.timer, 1000 + i * 300);
                loop_run(scene.loop);
                CHECK(scene.at_us - start >= 1000 + i * 300);
        }
        loop_timer_free(scene.timer);
        loop_free(scene.loop);
}

static void never(void *arg)
{
        tell(arg, '!');
}

static void a_cleared_timer_is_silent_and_a_new_time_replaces_the_old(void)
{
        struct scene scene = {.loop = loop_new()};
        struct loop_timer *cleared = loop_timer_new(scene.loop, never, &scene);
        scene.timer = loop_timer_new(scene.loop, on_due, &scene);
        loop_timer_set(cleared, 0);
        loop_timer_clear(cleared);
        int64_t start = loop_now_us(scene.loop);
        loop_timer_set(scene.timer, CLOCK_HOUR_US);
        loop_timer_set(scene.timer, 2000);
        loop_run(scene.loop);
        CHECK(scene.at_us - start < CLOCK_MINUTE_US);
        CHECK_INT(scene.n, 0);
        loop_timer_free(cleared);
        loop_timer_free(scene.timer);
        loop_free(scene.loop);
}

static void on_time_in_turn(void *arg)
{
        struct scene *scene = arg;
        int64_t first = loop_now_us(scene->loop);
        while (clock_monotonic_us() < first + 2000)
                ;
        CHECK_INT(loop_now_us(scene->loop), first);
        stop(arg);
}

static void time_stands_still_within_a_turn(void)
{
        struct scene scene = {.loop = loop_new()};
        loop_post(scene.loop, on_time_in_turn, &scene);
        loop_run(scene.loop);
        loop_free(scene.loop);
}

static void on_greedy_fd(void *arg, int events)
{
        struct scene *scene = arg;
        (void)events;
        tell(scene, 'f');
        loop_at_turn_end(scene->loop, &scene->hook);
        if (scene->n < 8)
                loop_fd_activate(scene->watch, LOOP_READ);
        else
                stop(scene);
}

static void an_activated_descriptor_waits_for_the_next_turn(void)
{
        struct scene scene = {.loop = loop_new()};
        scene.hook = (struct loop_turn){.fn = on_hook, .arg = &scene};
        scene.watch = loop_fd_new(scene.loop, -1, on_greedy_fd, &scene);
        loop_fd_activate(scene.watch, LOOP_READ);
        loop_run(scene.loop);
        CHECK_TEXT(scene.story, "fhfhfhfhfh");
        loop_fd_free(scene.watch);
        loop_free(scene.loop);
}

static void on_pipe(void *arg, int events)
{
        struct scene *scene = arg;
        tell(scene, events & LOOP_READ ? 'r' : '-');
        tell(scene, events & LOOP_WRITE ? 'w' : '-');
        loop_fd_want(scene->watch, scene->n == 2 ? LOOP_READ : 0);
        if (scene->n == 4)
                stop(scene);
}

static void descriptors_tell_what_they_are_ready_for(void)
{
        struct scene scene = {.loop = loop_new()};
        int pair[2];
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        CHECK_INT(write(pair[1], "x", 1), 1);
        scene.watch = loop_fd_new(scene.loop, pair[0], on_pipe, &scene);
        loop_fd_want(scene.watch, LOOP_READ | LOOP_WRITE);
        loop_run(scene.loop);
        CHECK_TEXT(scene.story, "rwr-");
        loop_fd_free(scene.watch);
        loop_free(scene.loop);
        close(pair[0]);
        close(pair[1]);
}

static void signals_arrive_on_the_loop(void)
{
        struct scene scene = {.loop = loop_new()};
        struct loop_signal *watch = loop_signal_new(scene.loop, SIGUSR1, stop, &scene);
        raise(SIGUSR1);
        loop_run(scene.loop);
        loop_signal_free(watch);
        loop_free(scene.loop);
}

enum { POSTERS = 4, POSTS = 20000 };

struct poster;
struct post {
        struct poster *poster;
        int number;
};
struct poster {
        struct loop *loop;
        struct post posts[POSTS];
        int seen; /* the loop's thread only */
        int *left;
        bool disorder;
};

static void on_post(void *arg)
{
        struct post *post = arg;
        struct poster *poster = post->poster;
        poster->disorder |= poster->seen++ != post->number;
        if (--*poster->left == 0)
                loop_stop(poster->loop);
}

static void *run_poster(void *arg)
{
        struct poster *poster = arg;
        for (int i = 0; i < POSTS; i++) {
                poster->posts[i] = (struct post){poster, i};
                loop_post(poster->loop, on_post, &poster->posts[i]);
        }
        return NULL;
}

static void posts_of_many_threads_arrive_all_and_in_order(void)
{
        struct loop *loop = loop_new();
        struct poster *posters = calloc(POSTERS, sizeof(*posters));
        pthread_t threads[POSTERS];
        int left = POSTERS * POSTS;
        for (int i = 0; i < POSTERS; i++) {
                posters[i].loop = loop;
                posters[i].left = &left;
                pthread_create(&threads[i], NULL, run_poster, &posters[i]);
        }
        loop_run(loop);
        for (int i = 0; i < POSTERS; i++) {
                pthread_join(threads[i], NULL);
                CHECK_INT(posters[i].seen, POSTS);
                CHECK(!posters[i].disorder);
        }
        loop_free(loop);
        free(posters);
}

static int serve_live(void *arg, struct buf *body)
{
        (void)arg;
        buf_add_z(body, "alive\n");
        return 200;
}

static int serve_not_ready(void *arg, struct buf *body)
{
        (void)arg;
        buf_add_z(body, "waiting\n");
        return 503;
}

static const struct loop_admin_page pages[] = {
    {"/livez", "text/plain", serve_live},
    {"/readyz", "text/plain", serve_not_ready},
    {NULL, NULL, NULL},
};

struct asking {
        struct loop *loop;
        int port;
        char live[512], not_ready[512], unknown[512];
};

static void ask(int port, const char *path, char answer[512])
{
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        size_t n = 0;
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
                dprintf(fd, "GET %s HTTP/1.0\r\nHost: x\r\n\r\n", path);
                for (ssize_t got; n < 511 && (got = read(fd, answer + n, 511 - n)) > 0;)
                        n += (size_t)got;
        }
        answer[n] = 0;
        close(fd);
}

static void *run_asking(void *arg)
{
        struct asking *a = arg;
        ask(a->port, "/livez", a->live);
        ask(a->port, "/readyz?verbose", a->not_ready);
        ask(a->port, "/", a->unknown);
        loop_stop(a->loop);
        return NULL;
}

static void the_admin_port_serves_its_pages_on_loopback_only(void)
{
        struct asking a = {.loop = loop_new()};
        struct loop_admin *admin = NULL, *second = NULL;
        int port;
        CHECK_INT(loop_admin_new(a.loop, "0.0.0.0:0", false, pages, NULL, &admin, &port), -EACCES);
        CHECK_INT(loop_admin_new(a.loop, "[::]:0", false, pages, NULL, &admin, &port), -EACCES);
        CHECK_INT(loop_admin_new(a.loop, "0.0.0.0:0", true, pages, NULL, &admin, &port), 0);
        loop_admin_free(admin);
        CHECK_INT(loop_admin_new(a.loop, "localhost", false, pages, NULL, &admin, &port), -EINVAL);
        CHECK_INT(loop_admin_new(a.loop, "127.0.0.1:0", false, pages, NULL, &admin, &a.port), 0);
        char same[32];
        snprintf(same, sizeof(same), "127.0.0.1:%d", a.port);
        CHECK_INT(loop_admin_new(a.loop, same, false, pages, NULL, &second, &port), -EADDRINUSE);
        pthread_t thread;
        pthread_create(&thread, NULL, run_asking, &a);
        loop_run(a.loop);
        pthread_join(thread, NULL);
        CHECK(strncmp(a.live, "HTTP/1.0 200", 12) == 0 && strstr(a.live, "\r\n\r\nalive\n"));
        CHECK(strncmp(a.not_ready, "HTTP/1.0 503", 12) == 0 && strstr(a.not_ready, "waiting"));
        CHECK(strncmp(a.unknown, "HTTP/1.0 404", 12) == 0 && strstr(a.unknown, "/livez\n/readyz\n"));
        loop_admin_free(admin);
        loop_free(a.loop);
}

/* --- posts that are taken back ---------------------------------------------------------------------------------- */

static void append(void *arg)
{
        struct buf *text = arg;
        buf_add_char(text, 'x');
}

struct canceller {
        struct loop *loop;
        struct buf *victim;
};

static void cancel_other(void *arg)
{
        struct canceller *c = arg;
        loop_post_cancel(c->loop, c->victim);
}

static void a_cancelled_post_is_silent_and_others_stay(void)
{
        struct loop *loop = loop_new();
        struct buf gone = {0}, stays = {0};
        struct canceller c = {loop, &gone};
        loop_post(loop, append, &gone);
        loop_post(loop, append, &stays);
        loop_post_cancel(loop, &gone);
        loop_post(loop, cancel_other, &c); /* from within a post, too */
        loop_post(loop, append, &gone);
        loop_post(loop, append, &stays);
        loop_post(loop, (loop_fn)loop_stop, loop);
        loop_run(loop);
        CHECK_INT(gone.n, 0);
        CHECK_INT(stays.n, 2);
        buf_done(&gone);
        buf_done(&stays);
        loop_free(loop);
}

int main(void)
{
        static const struct check_case cases[] = {
            {"a turn's end comes once, after all of its work", turn_end_comes_once_after_all_work},
            {"a hook may queue another; a cancelled one is silent",
             a_hook_may_queue_another_and_be_cancelled},
            {"a cancelled post is silent, others stay", a_cancelled_post_is_silent_and_others_stay},
            {"timers are never early", timers_are_never_early},
            {"a cleared timer is silent, a new time replaces the old",
             a_cleared_timer_is_silent_and_a_new_time_replaces_the_old},
            {"time stands still within a turn", time_stands_still_within_a_turn},
            {"an activated descriptor waits for the next turn",
             an_activated_descriptor_waits_for_the_next_turn},
            {"descriptors tell what they are ready for", descriptors_tell_what_they_are_ready_for},
            {"signals arrive on the loop", signals_arrive_on_the_loop},
            {"posts of many threads arrive all, and each thread's in order",
             posts_of_many_threads_arrive_all_and_in_order},
            {"the admin port serves its pages, on loopback only",
             the_admin_port_serves_its_pages_on_loopback_only},
        };
        return CHECK_MAIN(cases);
}
