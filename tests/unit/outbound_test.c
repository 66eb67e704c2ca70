/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to strangers: where names lead, and what servers do that are slow, wrong or hostile.
 */
#include "common/outbound/outbound.h"

#include "common/base/clock.h"
#include "tests/support/check.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

/* --- a server that does as it is told ------------------------------------------------------------------------------------ */

struct server {
        int listener, port, held; /* held: a connection that is kept without an answer */
        const char *_Atomic answer; /* NULL: none; "∞": a body without an end */
        pthread_t thread;
        atomic_int connections, requests;
        char last[65536];
        size_t n_last;
        atomic_bool ends;
};

static bool read_request(struct server *s, int fd)
{
        s->n_last = 0;
        for (;;) {
                ssize_t n = read(fd, s->last + s->n_last, sizeof(s->last) - 1 - s->n_last);
                if (n <= 0)
                        return false;
                s->n_last += (size_t)n;
                s->last[s->n_last] = '\0';
                const char *body = strstr(s->last, "\r\n\r\n"), *length = strstr(s->last, "Content-Length: ");
                size_t wanted = length && body && length < body ? strtoul(length + 16, NULL, 10) : 0;
                if (body && s->n_last >= (size_t)(body + 4 - s->last) + wanted)
                        return true;
        }
}

static void pour(struct server *s, int fd)
{
        static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk[] = "400\r\n";
        char block[1026];
        memset(block, 'x', 1024);
        memcpy(block + 1024, "\r\n", 2);
        ssize_t n = write(fd, head, sizeof(head) - 1);
        while (n > 0 && !atomic_load(&s->ends))
                n = write(fd, chunk, sizeof(chunk) - 1) > 0 ? write(fd, block, sizeof(block)) : -1;
}

static void *serve(void *arg)
{
        struct server *s = arg;
        while (!atomic_load(&s->ends)) {
                int fd = accept(s->listener, NULL, NULL);
                if (fd < 0)
                        continue;
                atomic_fetch_add(&s->connections, 1);
                bool came = read_request(s, fd);
                atomic_fetch_add(&s->requests, came);
                if (came && !s->answer) {
                        s->held = fd;
                        continue;
                }
                if (came && strcmp(s->answer, "∞") == 0)
                        pour(s, fd);
                else if (came && write(fd, s->answer, strlen(s->answer)) < 0)
                        printf("# the client has gone\n");
                close(fd);
        }
        return NULL;
}

static void server_start(struct server *s, const char *answer)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof(address);
        *s = (struct server){.answer = answer, .held = -1};
        s->listener = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_INT(bind(s->listener, (struct sockaddr *)&address, sizeof(address)), 0);
        CHECK_INT(listen(s->listener, 16), 0);
        CHECK_INT(getsockname(s->listener, (struct sockaddr *)&address, &n), 0);
        s->port = ntohs(address.sin_port);
        CHECK_INT(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
        atomic_store(&s->ends, true);
        shutdown(s->listener, SHUT_RDWR);
        close(s->listener);
        pthread_join(s->thread, NULL);
        if (s->held >= 0)
                close(s->held);
}

/* --- what names stand for: the library asks here ---------------------------------------------------------------------------- */

static struct {
        const char *_Atomic addresses[4]; /* of every name */
        atomic_bool hangs;                /* names that begin with "slow" */
        sem_t hung;
} dns;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
        struct addrinfo **last = ret;
        const char *addresses[ARRAY_LEN(dns.addresses)];
        (void)hints;
        *ret = NULL;
        for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
                addresses[i] = dns.addresses[i];
        if (dns.hangs && strncmp(node, "slow", 4) == 0) {
                struct timespec until;
                clock_gettime(CLOCK_REALTIME, &until);
                until.tv_sec += 5; /* so that a test that waits for it fails, and ends */
                while (sem_timedwait(&dns.hung, &until) < 0 && errno == EINTR)
                        ;
        }
        for (size_t i = 0; i < ARRAY_LEN(addresses) && addresses[i]; i++) {
                struct sockaddr_storage storage = {0};
                struct sockaddr_in *in = (struct sockaddr_in *)&storage;
                struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&storage;
                bool v4 = inet_pton(AF_INET, addresses[i], &in->sin_addr) == 1;
                if (!v4 && inet_pton(AF_INET6, addresses[i], &in6->sin6_addr) != 1)
                        abort();
                storage.ss_family = v4 ? AF_INET : AF_INET6;
                in->sin_port = htons((uint16_t)(service ? atoi(service) : 0)); /* at the same place in both */
                struct addrinfo *a = calloc(1, sizeof(*a) + sizeof(storage)); /* as freeaddrinfo has it */
                a->ai_family = storage.ss_family;
                a->ai_socktype = SOCK_STREAM;
                a->ai_protocol = IPPROTO_TCP;
                a->ai_addrlen = v4 ? sizeof(*in) : sizeof(*in6);
                a->ai_addr = (struct sockaddr *)(a + 1);
                memcpy(a->ai_addr, &storage, sizeof(storage));
                *last = a;
                last = &a->ai_next;
        }
        return *ret ? 0 : EAI_NONAME;
}

/* --- asking -------------------------------------------------------------------------------------------------------------------- */

struct asked {
        struct loop *loop;
        struct outbound_result result;
        unsigned ended;
        atomic_int *left;
};

struct scene {
        struct loop *loop;
        struct outbound *outbound;
        atomic_int left;
        struct loop_timer *late;
};

static void on_late(void *arg)
{
        CHECK(!"ended in time");
        loop_stop(arg);
}

static void scene_start(struct scene *s, bool allow_loopback)
{
        *s = (struct scene){.loop = loop_new()};
        const struct outbound_options options = {.loop = s->loop, .allow_loopback = allow_loopback, .agent = "test/1"};
        CHECK_INT(outbound_new(&options, &s->outbound), 0);
        s->late = loop_timer_new(s->loop, on_late, s->loop);
}

static void scene_end(struct scene *s)
{
        outbound_free(s->outbound);
        loop_timer_free(s->late);
        loop_free(s->loop);
}

static void on_done(void *arg, const struct outbound_result *result)
{
        struct asked *a = arg;
        a->result = *result;
        a->ended++;
        if (atomic_fetch_sub(a->left, 1) == 1)
                loop_stop(a->loop);
}

static struct outbound_call *ask(struct scene *s, struct asked *a, const char *url, int64_t timeout_us)
{
        static const char *const fields[] = {"Content-Type: text/plain", "webhook-id: 17", NULL};
        const struct outbound_request request = {.method = "POST", .url = url, .fields = fields, .body = STR("{\"a\":1}"),
                                                 .timeout_us = timeout_us, .wanted = {"Retry-After", "X-Long", "X-Twice"}};
        *a = (struct asked){.loop = s->loop, .left = &s->left};
        atomic_fetch_add(&s->left, 1);
        return outbound_send(s->outbound, &request, on_done, a);
}

static void wait_for_all(struct scene *s)
{
        loop_timer_set(s->late, 20 * CLOCK_SECOND_US);
        while (atomic_load(&s->left) > 0 && !check_failed)
                loop_run(s->loop);
        loop_timer_clear(s->late);
}

static char *url_of(const struct server *server, const char *host)
{
        static char urls[8][80];
        static unsigned n;
        char *url = urls[n++ % 8];
        snprintf(url, 80, "http://%s:%d/hook?x=1", host, server->port);
        return url;
}

static void ask_once(struct server *server, const char *answer, const char *host, bool allow_loopback, struct asked *a)
{
        struct scene s;
        server_start(server, answer);
        scene_start(&s, allow_loopback);
        ask(&s, a, url_of(server, host), 5 * CLOCK_SECOND_US);
        wait_for_all(&s);
        scene_end(&s);
        server_stop(server);
        CHECK_INT(a->ended, 1);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

static void a_request_arrives_as_it_was_given(void)
{
        struct server server;
        struct asked a;
        char x_long[400], answer[800];
        memset(x_long, 'x', sizeof(x_long) - 1);
        x_long[sizeof(x_long) - 1] = '\0';
        snprintf(answer, sizeof(answer), "HTTP/1.1 503 No\r\nretry-AFTER:  7 \r\nX-Long: %s\r\nX-Twice: one\r\nX-Twice: two\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", x_long);
        ask_once(&server, answer, "127.0.0.1", true, &a);
        CHECK_INT(a.result.status, 503);
        CHECK_TEXT(a.result.error, "");
        CHECK_TEXT(a.result.fields[0], "7");
        CHECK_TEXT(a.result.fields[1], "");
        CHECK_TEXT(a.result.fields[2], "two");
        CHECK_TEXT(a.result.fields[3], "");
        CHECK(strncmp(server.last, "POST /hook?x=1 HTTP/1.1\r\n", 25) == 0);
        CHECK(strstr(server.last, "\r\nwebhook-id: 17\r\n"));
        CHECK(strstr(server.last, "\r\nContent-Type: text/plain\r\n"));
        CHECK(strstr(server.last, "\r\nUser-Agent: test/1\r\n"));
        CHECK(strstr(server.last, "\r\nContent-Length: 7\r\n"));
        CHECK(strstr(server.last, "\r\n\r\n{\"a\":1}"));
        CHECK(!strstr(server.last, "Expect"));
        CHECK(!strstr(server.last, "Accept"));
}

static void interim_answers_are_not_the_answer(void)
{
        struct server server;
        struct asked a;
        ask_once(&server, "HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n" OK, "127.0.0.1", true, &a);
        CHECK_INT(a.result.status, 200);
        CHECK_TEXT(a.result.fields[0], "");
}

static void names_that_lead_inside_are_refused_before_any_connection(void)
{
        static const char *const inside[] = {"127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "::",
                                             "192.168.1.1", "fd00::1", "fe80::1", "64:ff9b::127.0.0.1", "100.64.0.1"};
        for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
                struct server server;
                struct scene s;
                struct asked a;
                char url[80];
                dns.addresses[0] = inside[i];
                server_start(&server, OK);
                scene_start(&s, false);
                snprintf(url, sizeof(url), "https://hook.example:%d/", server.port);
                ask(&s, &a, url, 5 * CLOCK_SECOND_US);
                wait_for_all(&s);
                scene_end(&s);
                server_stop(&server);
                CHECK_INT(a.result.status, 0);
                CHECK_TEXT(a.result.error, "the address is not one that may be sent to");
                CHECK_INT(server.connections, 0);
        }
        dns.addresses[0] = NULL;
}

static void the_flag_lets_through_loopback_alone(void)
{
        static const char *const elsewhere[] = {"10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "0.0.0.0"};
        struct server server;
        struct asked a;
        for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
                dns.addresses[0] = elsewhere[i];
                ask_once(&server, OK, "hook.example", true, &a);
                CHECK_TEXT(a.result.error, "the address is not one that may be sent to");
                CHECK_INT(server.connections, 0);
        }
        dns.addresses[0] = "8.8.8.8"; /* public, but plain http */
        ask_once(&server, OK, "hook.example", true, &a);
        CHECK_TEXT(a.result.error, "the address is not one that may be sent to");
        dns.addresses[0] = "10.0.0.1"; /* each address by itself: the second may be */
        dns.addresses[1] = "127.0.0.1";
        ask_once(&server, OK, "hook.example", true, &a);
        CHECK_INT(a.result.status, 200);
        dns.addresses[0] = dns.addresses[1] = NULL;
}

static void a_name_that_changes_its_mind_is_checked_again(void)
{
        struct server server;
        struct scene s;
        struct asked a;
        server_start(&server, OK);
        scene_start(&s, true);
        dns.addresses[0] = "127.0.0.1";
        ask(&s, &a, url_of(&server, "first.example"), 5 * CLOCK_SECOND_US);
        wait_for_all(&s);
        CHECK_INT(a.result.status, 200);
        dns.addresses[0] = "10.0.0.1";
        ask(&s, &a, url_of(&server, "second.example"), 5 * CLOCK_SECOND_US);
        wait_for_all(&s);
        CHECK_INT(a.result.status, 0);
        CHECK_INT(server.connections, 1);
        scene_end(&s);
        server_stop(&server);
        dns.addresses[0] = NULL;
}

static void no_redirect_is_followed(void)
{
        struct server target, server;
        struct asked a;
        char answer[200];
        server_start(&target, OK);
        for (int status = 301; status <= 308; status++) {
                snprintf(answer, sizeof(answer), "HTTP/1.1 %d Go\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                         status, target.port);
                ask_once(&server, answer, "127.0.0.1", true, &a);
                CHECK_INT(a.result.status, status);
        }
        server_stop(&target);
        CHECK_INT(target.connections, 0);
}

static void no_proxy_of_the_environment_is_asked(void)
{
        struct server proxy, server;
        struct asked a;
        char address[64];
        server_start(&proxy, OK);
        snprintf(address, sizeof(address), "http://127.0.0.1:%d", proxy.port);
        static const char *const names[] = {"http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"};
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                setenv(names[i], address, 1);
        ask_once(&server, OK, "127.0.0.1", true, &a);
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                unsetenv(names[i]);
        server_stop(&proxy);
        CHECK_INT(a.result.status, 200);
        CHECK_INT(server.requests, 1);
        CHECK_INT(proxy.connections, 0);
}

static void who_stalls_delays_nobody_else(void)
{
        struct server stalls, answers;
        struct scene s;
        struct asked slow[20], quick;
        server_start(&stalls, NULL);
        server_start(&answers, OK);
        scene_start(&s, true);
        for (size_t i = 0; i < ARRAY_LEN(slow); i++)
                ask(&s, &slow[i], url_of(&stalls, "127.0.0.1"), 2 * CLOCK_SECOND_US);
        ask(&s, &quick, url_of(&answers, "127.0.0.1"), 20 * CLOCK_SECOND_US);
        wait_for_all(&s);
        CHECK_INT(quick.result.status, 200);
        CHECK(quick.result.took_us < CLOCK_SECOND_US);
        for (size_t i = 0; i < ARRAY_LEN(slow); i++) {
                CHECK_INT(slow[i].result.status, 0);
                CHECK_TEXT(slow[i].result.error, "timed out");
                CHECK(slow[i].result.took_us >= 2 * CLOCK_SECOND_US - 50000);
        }
        scene_end(&s);
        server_stop(&stalls);
        server_stop(&answers);
}

static void a_look_up_that_hangs_delays_nobody_else(void)
{
        struct server server;
        struct scene s;
        struct asked slow[3], quick[2];
        server_start(&server, OK);
        scene_start(&s, true);
        dns.hangs = true;
        dns.addresses[0] = "127.0.0.1";
        for (size_t i = 0; i < ARRAY_LEN(slow); i++)
                ask(&s, &slow[i], url_of(&server, "slow.example"), CLOCK_SECOND_US / 2);
        ask(&s, &quick[0], url_of(&server, "quick.example"), 20 * CLOCK_SECOND_US);
        wait_for_all(&s);
        ask(&s, &quick[1], url_of(&server, "quick2.example"), 20 * CLOCK_SECOND_US); /* after they were given up */
        wait_for_all(&s);
        for (size_t i = 0; i < ARRAY_LEN(slow); i++)
                CHECK_TEXT(slow[i].result.error, "timed out");
        for (size_t i = 0; i < ARRAY_LEN(quick); i++) {
                CHECK_INT(quick[i].result.status, 200);
                CHECK(quick[i].result.took_us < CLOCK_SECOND_US / 2);
        }
        int64_t began = clock_monotonic_us();
        scene_end(&s);
        CHECK(clock_monotonic_us() - began < 2 * CLOCK_SECOND_US); /* nor the end */
        for (size_t i = 0; i < ARRAY_LEN(slow); i++)
                sem_post(&dns.hung);
        dns.hangs = false;
        dns.addresses[0] = NULL;
        server_stop(&server);
}

static void answers_that_are_wrong(void)
{
        static const struct {
                const char *answer;
                unsigned status;
                const char *error;
        } answers[] = {
                {"nonsense\r\n\r\n", 0, "that was no answer of HTTP"},
                {"", 0, "the connection was lost"},
                {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", 200, "the answer was cut off"},
                {"HTTP/1.1 99 Odd\r\n\r\n", 0, NULL},
                {"∞", 200, "the answer is too long"},
        };
        for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
                struct server server;
                struct asked a;
                ask_once(&server, answers[i].answer, "127.0.0.1", true, &a);
                printf("# %zu: %u %s\n", i, a.result.status, a.result.error);
                CHECK_INT(a.result.status, answers[i].status);
                CHECK(a.result.error[0]);
                if (answers[i].error)
                        CHECK_TEXT(a.result.error, answers[i].error);
        }
}

static void a_head_without_an_end_is_cut(void)
{
        struct server server;
        struct asked a;
        struct buf answer = {0};
        buf_add_z(&answer, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 2000; i++)
                buf_printf(&answer, "X-Field-%d: %060d\r\n", i, i);
        buf_add_z(&answer, "Content-Length: 0\r\n\r\n");
        ask_once(&server, buf_z(&answer), "127.0.0.1", true, &a);
        CHECK_TEXT(a.result.error, "the answer is too long");
        buf_done(&answer);
}

static void nobody_listens(void)
{
        struct server server;
        struct scene s;
        struct asked a;
        server_start(&server, OK);
        char *url = url_of(&server, "127.0.0.1");
        server_stop(&server);
        scene_start(&s, true);
        ask(&s, &a, url, 5 * CLOCK_SECOND_US);
        wait_for_all(&s);
        CHECK_INT(a.result.status, 0);
        CHECK_TEXT(a.result.error, "no connection");
        scene_end(&s);
}

static void what_is_cancelled_is_not_told(void)
{
        struct server server;
        struct scene s;
        struct asked a, b;
        server_start(&server, NULL);
        scene_start(&s, true);
        struct outbound_call *call = ask(&s, &a, url_of(&server, "127.0.0.1"), 20 * CLOCK_SECOND_US);
        while (!atomic_load(&server.requests))
                poll(NULL, 0, 1);
        outbound_cancel(call);
        atomic_fetch_sub(&s.left, 1);
        server.answer = OK;
        ask(&s, &b, url_of(&server, "127.0.0.1"), 20 * CLOCK_SECOND_US);
        wait_for_all(&s);
        CHECK_INT(b.result.status, 200);
        CHECK_INT(a.ended, 0);
        scene_end(&s);
        server_stop(&server);
}

static void the_end_waits_for_nobody(void)
{
        struct server server;
        struct scene s;
        struct asked a[4];
        server_start(&server, NULL);
        scene_start(&s, true);
        for (size_t i = 0; i < ARRAY_LEN(a); i++)
                ask(&s, &a[i], url_of(&server, "127.0.0.1"), 20 * CLOCK_SECOND_US);
        int64_t began = clock_monotonic_us();
        scene_end(&s);
        CHECK(clock_monotonic_us() - began < 5 * CLOCK_SECOND_US);
        for (size_t i = 0; i < ARRAY_LEN(a); i++)
                CHECK_INT(a[i].ended, 0);
        server_stop(&server);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"a request arrives as it was given", a_request_arrives_as_it_was_given},
                {"interim answers are not the answer", interim_answers_are_not_the_answer},
                {"names that lead inside are refused before any connection", names_that_lead_inside_are_refused_before_any_connection},
                {"the flag lets loopback through, and nothing else", the_flag_lets_through_loopback_alone},
                {"a name that changes its mind is checked again", a_name_that_changes_its_mind_is_checked_again},
                {"no redirect is followed", no_redirect_is_followed},
                {"no proxy of the environment is asked", no_proxy_of_the_environment_is_asked},
                {"who stalls delays nobody else", who_stalls_delays_nobody_else},
                {"a look-up that hangs delays nobody else", a_look_up_that_hangs_delays_nobody_else},
                {"wrong answers have their names", answers_that_are_wrong},
                {"a head without an end is cut", a_head_without_an_end_is_cut},
                {"that nobody listens is told", nobody_listens},
                {"what is cancelled is not told", what_is_cancelled_is_not_told},
                {"the end waits for nobody", the_end_waits_for_nobody},
        };
        signal(SIGPIPE, SIG_IGN);
        sem_init(&dns.hung, 0, 0);
        return CHECK_MAIN(cases);
}
