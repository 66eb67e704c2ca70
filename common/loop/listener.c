/* SPDX-License-Identifier: Apache-2.0
 *
 * The listener: a socket of its own per thread on a shared port, and a stream for each connection it
 * accepts.
 */
#include "common/loop/stream_internal.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/loop/loop_internal.h"

#include <event2/listener.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENER_BACKLOG = 1024, LISTENER_PAUSE_US = 100 * 1000 };

struct stream_listener {
        struct loop *loop;
        struct evconnlistener *events;
        struct stream_tls *tls;
        stream_accept_fn on_accept;
        void *arg;
        struct loop_timer *resume; /* set: out of descriptors, waiting a moment */
        struct loop_turn turn;
        bool exhausted, paused;
        bool lent, taken; /* a socket that others accept from too: one connection a turn */
        struct stream_list finishing;
};

static void close_fd(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

/* "192.0.2.1", "2001:db8::1"; a mapped IPv4 address as IPv4. */
static const char *peer_text(const struct sockaddr *address, char text[INET6_ADDRSTRLEN])
{
        if (address->sa_family == AF_INET)
                return inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text,
                                 INET6_ADDRSTRLEN);
        const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(six))
                return inet_ntop(AF_INET, &six->s6_addr[12], text, INET6_ADDRSTRLEN);
        return inet_ntop(AF_INET6, six, text, INET6_ADDRSTRLEN);
}

static void listener_update(struct stream_listener *l)
{
        if (!l->events)
                return;
        if (l->paused || l->exhausted || l->taken)
                evconnlistener_disable(l->events);
        else
                evconnlistener_enable(l->events);
}

static void on_turn_end(void *arg)
{
        struct stream_listener *l = arg;
        l->taken = false;
        listener_update(l);
}

static void on_connection(struct evconnlistener *events, evutil_socket_t fd, struct sockaddr *address,
                          int length, void *arg)
{
        struct stream_listener *l = arg;
        char text[INET6_ADDRSTRLEN];
        struct ssl_st *ssl = NULL;
        (void)events;
        (void)length;
        if (l->lent) {
                l->taken = true; /* the next one is for whoever wakes first */
                listener_update(l);
                loop_at_turn_end(l->loop, &l->turn);
        }
        if (l->tls && !(ssl = stream_tls_session(l->tls))) {
                close(fd);
                return;
        }
        l->on_accept(l->arg, stream_new(l->loop, fd, ssl, &l->finishing), peer_text(address, text));
}

static void on_resume(void *arg)
{
        struct stream_listener *l = arg;
        l->exhausted = false;
        listener_update(l);
}

/* accept failed. Out of descriptors or memory the connection stays in the backlog, and asking again at
 * once would turn in circles. */
static void on_accept_error(struct evconnlistener *events, void *arg)
{
        struct stream_listener *l = arg;
        (void)events;
        log_warn("cannot accept connections; pausing", "error=\"%s\"", strerror(errno));
        l->exhausted = true;
        listener_update(l);
        loop_timer_set(l->resume, LISTENER_PAUSE_US);
}

static int listener_socket(const char *address, bool shared, int *ret_fd, int *ret_port)
{
        struct sockaddr_storage at = {0};
        int length;
        int r = loop_address_parse(address, &at, &length);
        if (r < 0)
                return r;
        _cleanup_(close_fd) int fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int one = 1;
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
            (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0) ||
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) <
                0 || /* accepted sockets inherit it */
            bind(fd, (struct sockaddr *)&at, (socklen_t)length) < 0)
                return -errno;
        int port = loop_address_port(fd);
        if (port < 0)
                return port;
        *ret_port = port;
        *ret_fd = fd;
        fd = -1;
        return 0;
}

/* "fd:3": the descriptor, or -1. */
static int lent_fd(const char *address)
{
        int64_t fd;
        struct str rest = str_of(address);
        return str_is(str_cut(&rest, ':'), "fd") && str_to_i64(rest, 3, INT32_MAX, &fd) == 0 ? (int)fd : -1;
}

/* A descriptor of our own for what whoever started this process listens on. */
static int lent_socket(int lent, int *ret_fd, int *ret_port)
{
        int port = loop_address_port(lent), one = 1;
        if (port < 0)
                return port;
        int flags = fcntl(lent, F_GETFL), fd = fcntl(lent, F_DUPFD_CLOEXEC, 3);
        if (flags < 0 || fd < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        *ret_fd = fd;
        *ret_port = port;
        return 0;
}

int stream_address_free(const char *address)
{
        _cleanup_(close_fd) int fd = -1;
        int port;
        if (lent_fd(address) >= 0)
                return 0;
        return listener_socket(address, false, &fd, &port);
}

int stream_listen(struct loop *loop, const char *address, struct stream_tls *tls, stream_accept_fn on_accept,
                  void *arg, struct stream_listener **ret_listener, int *ret_port)
{
        int fd, port, lent = lent_fd(address);
        int r = lent >= 0 ? lent_socket(lent, &fd, &port) : listener_socket(address, true, &fd, &port);
        if (r < 0)
                return r;
        signal(SIGPIPE,
               SIG_IGN); /* writing to a peer that has gone is an error of that stream, not of the process */
        struct stream_listener *l = mem_zalloc(sizeof(*l));
        l->loop = loop;
        l->tls = tls;
        l->on_accept = on_accept;
        l->arg = arg;
        l->lent = lent >= 0;
        l->turn = (struct loop_turn){.fn = on_turn_end, .arg = l};
        l->events = evconnlistener_new(loop_base(loop), on_connection, l,
                                       LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, LISTENER_BACKLOG, fd);
        if (!l->events) {
                r = errno ? -errno : -EIO;
                close(fd);
                free(l);
                return r;
        }
        evconnlistener_set_error_cb(l->events, on_accept_error);
        l->resume = loop_timer_new(loop, on_resume, l);
        *ret_listener = l;
        *ret_port = port;
        return 0;
}

struct stream_listener *stream_listener_free(struct stream_listener *l)
{
        if (!l)
                return NULL;
        while (l->finishing.first)
                stream_free(l->finishing.first);
        loop_turn_cancel(l->loop, &l->turn);
        loop_timer_free(l->resume);
        if (l->events)
                evconnlistener_free(l->events);
        free(l);
        return NULL;
}

void stream_listener_close(struct stream_listener *l)
{
        struct sockaddr_storage address;
        socklen_t length = sizeof(address);
        struct evconnlistener *events = TAKE(l->events);
        int fd;
        if (!events)
                return;
        while (!l->lent && (fd = accept4(evconnlistener_get_fd(events), (struct sockaddr *)&address, &length,
                                         SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                on_connection(NULL, fd, (struct sockaddr *)&address, (int)length, l);
                length = sizeof(address);
        }
        evconnlistener_free(events);
}

void stream_listener_pause(struct stream_listener *l, bool paused)
{
        if (l->paused == paused)
                return;
        l->paused = paused;
        listener_update(l);
}

size_t stream_listener_finishing(const struct stream_listener *l)
{
        return l->finishing.n;
}
