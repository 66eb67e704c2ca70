/* SPDX-License-Identifier: Apache-2.0
 *
 * A byte stream on a bufferevent. A plain one writes its output to the socket by itself at the end of the
 * turn, and leaves to the bufferevent only what the socket did not take: a bufferevent alone first waits
 * until the socket is writable, which costs two epoll_ctl and another epoll_wait per answer. TLS writes
 * through its bufferevent.
 */
#include "common/loop/stream_internal.h"

#include "common/base/clock.h"
#include "common/loop/loop_internal.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/ssl.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
        STREAM_LINGER_US = 2 * CLOCK_SECOND_US, /* drop input after the answer for so long, */
        STREAM_LINGER_BYTES = 256 * 1024,       /* and at most so much */
        STREAM_STALL_US = 10 * CLOCK_SECOND_US, /* a finishing peer that takes nothing for so long is cut */
        STREAM_LITTLE_BYTES = 64 * 1024,
        STREAM_DEAF_MS = 60000,
};

enum stream_state {
        STREAM_OPEN,
        STREAM_FAILED,    /* on_closed(error) was told; only freeing is left */
        STREAM_FLUSHING,  /* stream_finish: what is queued is leaving */
        STREAM_LINGERING, /* all has left and the sending side is shut; waiting for the peer to close */
};

struct stream {
        struct loop *loop;
        struct bufferevent *bev;
        struct evbuffer *in, *out; /* the bufferevent's */
        const struct stream_ops *ops;
        void *arg;
        struct loop_turn turn;
        enum stream_state state;
        bool tls;
        bool input_ended; /* the peer shut its sending side */
        bool waiting;     /* plain: the bufferevent writes when the socket can take more */
        int64_t told_us;  /* the turn (its time) in which on_drained was last called */
        uint64_t queued;  /* bytes, ever */
        size_t lent;      /* bytes of what is queued that are counted elsewhere, until all has left */
        size_t kept;      /* that its owner will write */
        size_t counted;   /* in the loop's sum */
        bool owes;        /* something, maybe lent: in the loop's list */
        TAILQ_ENTRY(stream) owing;

        /* While finishing: */
        struct stream_list *finishing;
        struct stream *next, *previous;
        struct loop_timer *timer;
        uint64_t sent_before;
        size_t dropped;
};

/* --- what is not taken ------------------------------------------------------------------------------------ */

/* Streams write by themselves between two counts, so what is counted may be more than what there is. */
static void stream_count_as(struct stream *s, size_t bytes, bool owes)
{
        struct loop_unsent *all = loop_unsent(s->loop);
        if (owes && !s->owes)
                TAILQ_INSERT_TAIL(&all->streams, s, owing);
        else if (!owes && s->owes)
                TAILQ_REMOVE(&all->streams, s, owing);
        all->bytes += bytes - s->counted;
        s->counted = bytes;
        s->owes = owes;
}

static void stream_count(struct stream *s)
{
        struct loop_unsent *all = loop_unsent(s->loop);
        size_t queued = evbuffer_get_length(s->out);
        if (!queued)
                s->lent = 0;
        stream_count_as(s, (queued > s->lent ? queued - s->lent : 0) + s->kept, queued + s->kept > 0);
        if (all->most && all->bytes > all->most)
                loop_at_turn_end(s->loop, &all->turn);
}

static void stream_failed(struct stream *s, int error);

/* Whose memory is used most; of those who are lent it, who is the furthest behind. */
static struct stream *stream_slowest(const struct loop_unsent *all)
{
        struct stream *s, *slowest = NULL;
        TAILQ_FOREACH(s, &all->streams, owing)
                if (!slowest || s->counted + s->lent > slowest->counted + slowest->lent)
                        slowest = s;
        return slowest;
}

static void on_too_much(void *arg)
{
        struct loop_unsent *all = arg;
        struct stream *next;
        for (struct stream *s = TAILQ_FIRST(&all->streams); s; s = next) {
                next = TAILQ_NEXT(s, owing);
                stream_count(s);
        }
        if (all->bytes <= all->most)
                return;
        /* Well below it, so that it is not for each next one to cut another and to give memory back. */
        while (all->bytes > all->most - all->most / 4 && TAILQ_FIRST(&all->streams)) {
                struct stream *s = stream_slowest(all);
                evbuffer_unfreeze(s->out, 1);
                evbuffer_drain(s->out, evbuffer_get_length(s->out)); /* now: a bufferevent is freed later */
                evbuffer_freeze(s->out, 1);
                stream_count_as(s, 0, false);
                stream_failed(s, ENOBUFS);
        }
        mem_rest();
}

void stream_bound(struct loop *loop, size_t bytes)
{
        struct loop_unsent *all = loop_unsent(loop);
        all->most = bytes;
        all->turn = (struct loop_turn){.fn = on_too_much, .arg = all};
}

void stream_keep(struct stream *s, size_t bytes)
{
        s->kept += bytes;
        stream_count(s);
}

void stream_give_back(struct stream *s, size_t bytes)
{
        s->kept -= bytes;
        stream_count(s);
}

void stream_lends(struct loop *loop, size_t bytes)
{
        loop_unsent(loop)->bytes += bytes;
}

void stream_lends_no_more(struct loop *loop, size_t bytes)
{
        loop_unsent(loop)->bytes -= bytes;
}

/* --- its states --------------------------------------------------------------------------------------------- */

static void stream_failed(struct stream *s, int error)
{
        if (s->state != STREAM_OPEN) {
                stream_free(s);
                return;
        }
        s->state = STREAM_FAILED;
        stream_count_as(s, 0, false);
        bufferevent_disable(s->bev, EV_READ | EV_WRITE);
        loop_turn_cancel(s->loop, &s->turn);
        s->ops->on_closed(s->arg, error ? error : ECONNRESET);
}

static void stream_linger(struct stream *s)
{
        if (s->input_ended || s->dropped > STREAM_LINGER_BYTES) {
                stream_free(s);
                return;
        }
        s->state = STREAM_LINGERING;
        if (s->tls)
                SSL_shutdown(bufferevent_openssl_get_ssl(s->bev));
        if (shutdown(bufferevent_getfd(s->bev), SHUT_WR) < 0) {
                stream_free(s);
                return;
        }
        loop_timer_set(s->timer, STREAM_LINGER_US);
}

static void stream_drained(struct stream *s)
{
        stream_count(s);
        if (s->state == STREAM_FLUSHING)
                stream_linger(s);
        else if (s->state == STREAM_OPEN && s->ops) {
                s->told_us = loop_now_us(s->loop);
                s->ops->on_drained(s->arg);
        }
}

static void stream_wait(struct stream *s)
{
        s->waiting = true;
        bufferevent_enable(s->bev, EV_WRITE);
}

static void on_turn_end(void *arg)
{
        struct stream *s = arg;
        if (s->waiting)
                return;
        if (evbuffer_get_length(s->out) > 0) {
                if (s->tls)
                        return;
                evbuffer_unfreeze(s->out, 1);
                int n = evbuffer_write(s->out, bufferevent_getfd(s->bev));
                int error = errno;
                evbuffer_freeze(s->out, 1);
                if (n < 0 && error != EAGAIN && error != EINTR) {
                        stream_failed(s, error);
                        return;
                }
                if (evbuffer_get_length(s->out) > 0) {
                        stream_wait(s);
                        return;
                }
        }
        stream_drained(s);
}

/* --- the bufferevent's callbacks ------------------------------------------------------------------------ */

static void on_readable(struct bufferevent *bev, void *arg)
{
        struct stream *s = arg;
        if (s->state == STREAM_OPEN) {
                s->ops->on_input(s->arg);
                return;
        }
        size_t n = evbuffer_get_length(s->in);
        evbuffer_drain(s->in, n);
        s->dropped += n;
        if (s->dropped <= STREAM_LINGER_BYTES)
                return;
        if (s->state == STREAM_LINGERING)
                stream_free(s);
        else
                bufferevent_disable(bev, EV_READ);
}

static void on_written(struct bufferevent *bev, void *arg)
{
        struct stream *s = arg;
        if (s->waiting) {
                s->waiting = false;
                bufferevent_disable(bev, EV_WRITE);
        }
        stream_drained(s);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
        struct stream *s = arg;
        int error = errno;
        if (what & BEV_EVENT_CONNECTED)
                return; /* the TLS handshake is done */
        if (!(what & BEV_EVENT_EOF)) {
                stream_failed(s, s->tls && bufferevent_get_openssl_error(bev) ? EPROTO : error);
                return;
        }
        if (s->input_ended)
                return;
        s->input_ended = true;
        if (s->state == STREAM_LINGERING)
                stream_free(s);
        else if (s->state == STREAM_OPEN)
                s->ops->on_closed(s->arg, 0);
}

/* --- life ----------------------------------------------------------------------------------------------- */

struct stream *stream_new(struct loop *loop, int fd, struct ssl_st *ssl, struct stream_list *finishing)
{
        struct stream *s = mem_zalloc(sizeof(*s));
        s->loop = loop;
        s->tls = ssl;
        s->finishing = finishing;
        s->turn = (struct loop_turn){.fn = on_turn_end, .arg = s};
        if (ssl) {
                s->bev = bufferevent_openssl_socket_new(loop_base(loop), fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                                        BEV_OPT_CLOSE_ON_FREE);
        } else {
                s->bev = bufferevent_socket_new(loop_base(loop), fd, BEV_OPT_CLOSE_ON_FREE);
        }
        if (!s->bev)
                abort();
        if (ssl)
                bufferevent_openssl_set_allow_dirty_shutdown(s->bev, 1);
        else
                bufferevent_disable(s->bev, EV_WRITE);
        s->in = bufferevent_get_input(s->bev);
        s->out = bufferevent_get_output(s->bev);
        return s;
}

void stream_start(struct stream *s, const struct stream_ops *ops, void *arg)
{
        s->ops = ops;
        s->arg = arg;
        bufferevent_setcb(s->bev, on_readable, on_written, on_event, s);
        bufferevent_enable(s->bev, EV_READ);
}

struct stream *stream_free(struct stream *s)
{
        if (!s)
                return NULL;
        if (s->state == STREAM_FLUSHING || s->state == STREAM_LINGERING) {
                *(s->previous ? &s->previous->next : &s->finishing->first) = s->next;
                if (s->next)
                        s->next->previous = s->previous;
                s->finishing->n--;
        }
        stream_count_as(s, 0, false);
        loop_turn_cancel(s->loop, &s->turn);
        loop_timer_free(s->timer);
        bufferevent_setcb(s->bev, NULL, NULL, NULL, NULL);
        bufferevent_free(s->bev);
        free(s);
        return NULL;
}

static void on_finish_timer(void *arg)
{
        struct stream *s = arg;
        uint64_t sent = stream_sent(s);
        if (s->state == STREAM_LINGERING || sent == s->sent_before) {
                stream_free(s);
                return;
        }
        s->sent_before = sent;
        loop_timer_set(s->timer, STREAM_STALL_US);
}

void stream_finish(struct stream *s)
{
        if (s->state == STREAM_FAILED) {
                stream_free(s);
                return;
        }
        s->state = STREAM_FLUSHING;
        s->next = s->finishing->first;
        if (s->next)
                s->next->previous = s;
        s->finishing->first = s;
        s->finishing->n++;
        s->sent_before = stream_sent(s);
        s->timer = loop_timer_new(s->loop, on_finish_timer, s);
        loop_timer_set(s->timer, STREAM_STALL_US);
        evbuffer_drain(s->in, evbuffer_get_length(s->in));
        if (!s->input_ended)
                bufferevent_enable(s->bev, EV_READ);
        loop_at_turn_end(s->loop, &s->turn);
}

void stream_abort(struct stream *s)
{
        struct linger reset = {.l_onoff = 1};
        (void)setsockopt(bufferevent_getfd(s->bev), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        stream_free(s);
}

/* --- input and output ----------------------------------------------------------------------------------- */

struct str stream_peek(struct stream *s)
{
        size_t n = evbuffer_get_length(s->in);
        return n ? str_bytes(evbuffer_pullup(s->in, -1), n) : (struct str){NULL, 0};
}

void stream_consume(struct stream *s, size_t n)
{
        evbuffer_drain(s->in, n);
}

void stream_pause(struct stream *s, bool paused)
{
        if (paused)
                bufferevent_disable(s->bev, EV_READ);
        else if (!s->input_ended && s->state == STREAM_OPEN)
                bufferevent_enable(s->bev, EV_READ);
}

static void stream_written(struct stream *s, size_t n)
{
        s->queued += n;
        stream_count(s);
        /* Whoever writes on each on_drained to a fast reader would never let the turn end: from the
         * second time on it goes by the poll, with everybody else. */
        if (!s->tls && !s->waiting && s->told_us == loop_now_us(s->loop))
                stream_wait(s);
        else
                loop_at_turn_end(s->loop, &s->turn);
}

void stream_write(struct stream *s, struct str bytes)
{
        if (s->state == STREAM_FAILED)
                return;
        if (evbuffer_add(s->out, bytes.p, bytes.n) < 0)
                abort();
        stream_written(s, bytes.n);
}

void stream_write_static(struct stream *s, struct str bytes)
{
        if (s->state == STREAM_FAILED)
                return;
        if (evbuffer_add_reference(s->out, bytes.p, bytes.n, NULL, NULL) < 0)
                abort();
        stream_written(s, bytes.n);
}

static void free_bytes(const void *bytes, size_t n, void *arg)
{
        (void)bytes;
        (void)n;
        free(arg);
}

void stream_write_take(struct stream *s, char *malloced, size_t n)
{
        if (s->state == STREAM_FAILED) {
                free(malloced);
                return;
        }
        if (evbuffer_add_reference(s->out, malloced, n, free_bytes, malloced) < 0)
                abort();
        stream_written(s, n);
}

void stream_write_lent(struct stream *s, struct str bytes, void (*done)(const void *bytes, size_t n, void *arg), void *arg)
{
        if (s->state == STREAM_FAILED) {
                done(bytes.p, bytes.n, arg);
                return;
        }
        if (evbuffer_add_reference(s->out, bytes.p, bytes.n, done, arg) < 0)
                abort();
        s->lent += bytes.n;
        stream_written(s, bytes.n);
}

size_t stream_send(struct stream *s, struct str bytes)
{
        if (s->tls || s->waiting || s->state != STREAM_OPEN || evbuffer_get_length(s->out) > 0)
                return 0;
        ssize_t n = send(bufferevent_getfd(s->bev), bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n <= 0)
                return 0; /* an error shows when it is written */
        s->queued += (uint64_t)n;
        return (size_t)n;
}

void stream_keep_little(struct stream *s)
{
        int fd = bufferevent_getfd(s->bev), bytes = STREAM_LITTLE_BYTES;
        unsigned ms = STREAM_DEAF_MS;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

size_t stream_unsent(const struct stream *s)
{
        return evbuffer_get_length(s->out);
}

uint64_t stream_sent(const struct stream *s)
{
        return s->queued - evbuffer_get_length(s->out);
}
