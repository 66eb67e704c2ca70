/* SPDX-License-Identifier: Apache-2.0
 *
 * The calling side: a DEALER to one instance.
 *
 * A socket serves one connection. When that is lost, what it had brought is read, then the socket is closed
 * with all that waited in it, and after a pause a new one connects: nothing meant for one process ever
 * reaches the next. So libzmq must not reconnect by itself (its interval is set to a day): without
 * ZMQ_IMMEDIATE it would send the waiting requests to whoever comes; with it, it ends the pipe with the
 * answers in it that nobody has read yet; and after a protocol error, such as a frame beyond maxmsgsize, it
 * never reconnects. (libzmq 4.3.4, session_base_t::reconnect and engine_error.) What had left before the loss
 * may still be executed by a peer that lives: a repeated request is told by its idempotency key.
 */
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/bus/bus_internal.h"

#include <limits.h>
#include <stdlib.h>

enum {
        /* Half of a pause is random. Asking for a file again costs nobody else anything. */
        PAUSE_MIN_IPC_US = 10 * 1000,
        PAUSE_MAX_IPC_US = 250 * 1000,
        PAUSE_MIN_TCP_US = 100 * 1000,
        PAUSE_MAX_TCP_US = 2 * 1000 * 1000,
        BLOCKED_PAIRS_MAX = 1024, /* that wait while the socket takes no more */
};

enum link_state {
        LINK_PAUSING,    /* no socket; the timer will make one */
        LINK_CONNECTING, /* or shaking hands */
        LINK_UP,         /* may send */
};

struct bus_link {
        struct bus *bus;
        struct loop *loop;
        const char *service;
        char *endpoint;
        unsigned attempt; /* which of the service's keys is tried */
        const struct bus_link_ops *ops;
        void *arg;
        enum link_state state;
        void *socket;
        struct monitor *monitor;
        struct loop_fd *watch;
        struct loop_timer *timer;
        struct loop_turn turn;
        int64_t pause_us, pause_min_us, pause_max_us; /* the next one, and its bounds */
        bool blocked; /* the socket took no more: its descriptor tells when it does again */
        bool in_callback, freed;
        struct outbox outbox;
        struct inbox inbox;
};

static void on_connected(void *arg);
static void on_lost(void *arg);
static void on_refused(void *arg, int error);
static const struct monitor_ops link_monitor_ops = {on_connected, on_lost, on_refused};

static void link_destroy(struct bus_link *link);

/* The last thing to do in an event: the callback may free the link. */
static void link_tell(struct bus_link *link, void (*fn)(void *arg))
{
        link->in_callback = true;
        fn(link->arg);
        link->in_callback = false;
        if (link->freed)
                link_destroy(link);
}

/* --- in and out ----------------------------------------------------------------------------------------- */

enum taken { TAKEN_ALL, TAKEN_SOME, TAKEN_FREED };

/* Takes up to `max` messages and hands on their pairs, until a callback frees the link. */
static enum taken link_receive(struct bus_link *link, int max)
{
        for (int n = 0; n < max; n++) {
                int r = inbox_receive(&link->inbox, link->socket, false);
                /* libzmq looked at its mailbox once more before it said so: the edge is armed. */
                if (r == -EAGAIN)
                        return TAKEN_ALL;
                if (r == -EBADMSG) {
                        atomic_fetch_add_explicit(&link->bus->malformed, 1, memory_order_relaxed);
                        continue;
                }
                link->in_callback = true;
                for (size_t i = 0; i < link->inbox.n && !link->freed; i += 2)
                        link->ops->on_pair(link->arg, inbox_envelope(&link->inbox, i),
                                           inbox_envelope(&link->inbox, i + 1));
                link->in_callback = false;
                inbox_clear(&link->inbox);
                if (link->freed) {
                        link_destroy(link);
                        return TAKEN_FREED;
                }
        }
        return TAKEN_SOME;
}

static void link_flush(struct bus_link *link)
{
        size_t at = 0;
        int r = 0;
        while (r == 0 && at < link->outbox.n)
                r = outbox_send(&link->outbox, &at, link->socket, NULL);
        link->blocked = r < 0;
        outbox_sent(&link->outbox, at);
}

static void on_readable(void *arg, int events)
{
        struct bus_link *link = arg;
        (void)events;
        if (link->blocked)
                loop_at_turn_end(link->loop, &link->turn);
        if (link_receive(link, BUS_TURN_MESSAGES_MAX) == TAKEN_SOME)
                loop_fd_activate(link->watch, LOOP_READ);
}

static void on_turn_end(void *arg)
{
        struct bus_link *link = arg;
        if (link->state != LINK_UP)
                return;
        link_flush(link);
        /* Sending may have taken the signal of what came in meanwhile, or of room for more. */
        int events = socket_events(link->socket);
        if ((events & ZMQ_POLLIN) || (link->blocked && (events & ZMQ_POLLOUT)))
                loop_fd_activate(link->watch, LOOP_READ);
}

int bus_link_send(struct bus_link *link, struct str envelope, struct str payload)
{
        if (link->state != LINK_UP)
                return -ENOTCONN;
        if (link->blocked && link->outbox.n >= 2 * BLOCKED_PAIRS_MAX)
                return -EAGAIN;
        int r = outbox_add(&link->outbox, envelope, payload);
        if (r == 0)
                loop_at_turn_end(link->loop, &link->turn);
        return r;
}

/* --- connecting ----------------------------------------------------------------------------------------- */

static void link_close(struct bus_link *link)
{
        link->monitor = monitor_free(link->monitor);
        link->watch = loop_fd_free(link->watch);
        if (link->socket)
                zmq_close(link->socket);
        link->socket = NULL;
        link->blocked = false;
        outbox_drop(&link->outbox, 0);
}

static int link_open(struct bus_link *link)
{
        int r = endpoint_check(link->bus, link->endpoint, false);
        if (r == 0)
                r = socket_new(link->bus, ZMQ_DEALER, link->endpoint, link->service, link->attempt, &link->socket);
        if (r == 0)
                r = monitor_new(link->bus, link->loop, link->socket, &link_monitor_ops, link, &link->monitor);
        if (r == 0 && zmq_connect(link->socket, link->endpoint) < 0)
                r = -zmq_errno();
        if (r < 0) {
                link_close(link);
                return r;
        }
        link->watch = loop_fd_new(link->loop, socket_fd(link->socket), on_readable, link);
        loop_fd_want(link->watch, LOOP_READ);
        loop_fd_activate(link->watch, LOOP_READ);
        link->state = LINK_CONNECTING;
        return 0;
}

/* Partly random, so that the callers of a restarted instance do not come all at once. */
static void link_pause(struct bus_link *link)
{
        uint32_t random;
        id_random(&random, sizeof(random));
        int64_t half = link->pause_us / 2;
        link->state = LINK_PAUSING;
        loop_timer_set(link->timer, half + (int64_t)random % half);
        link->pause_us = link->pause_us * 2 > link->pause_max_us ? link->pause_max_us : link->pause_us * 2;
}

static void on_pause_over(void *arg)
{
        struct bus_link *link = arg;
        if (link_open(link) < 0)
                link_pause(link);
}

static void on_connected(void *arg)
{
        struct bus_link *link = arg;
        link->state = LINK_UP;
        link->pause_us = link->pause_min_us;
        link_tell(link, link->ops->on_up);
}

static void on_lost(void *arg)
{
        struct bus_link *link = arg;
        bool was_up = link->state == LINK_UP;
        if (was_up && link_receive(link, INT_MAX) == TAKEN_FREED)
                return;
        link_close(link);
        link_pause(link);
        if (was_up)
                link_tell(link, link->ops->on_down);
}

/* The next attempt is made with the service's next key. libzmq would leave a socket that was refused as it is. */
static void on_refused(void *arg, int error)
{
        struct bus_link *link = arg;
        if (link->state != LINK_CONNECTING)
                return;
        link->attempt++;
        link_close(link);
        link_pause(link);
        /* Each key has had its turn, and a peer that ended in the middle of a handshake is none that lies. */
        bool tell = error == -EACCES || link->attempt % CURVE_KEYS_EACH == 0;
        if (!tell || !link->ops->on_refused || !endpoint_is_secured(link->bus, link->endpoint))
                return;
        link->in_callback = true;
        link->ops->on_refused(link->arg, error);
        link->in_callback = false;
        if (link->freed)
                link_destroy(link);
}

int bus_link_new(struct bus *bus, struct loop *loop, const char *service, const char *endpoint,
                 const struct bus_link_ops *ops, void *arg, struct bus_link **ret_link)
{
        struct bus_link *link = mem_zalloc(sizeof(*link));
        link->bus = bus;
        link->loop = loop;
        link->service = service;
        link->endpoint = mem_strdup(endpoint);
        link->ops = ops;
        link->arg = arg;
        bool ipc = str_starts(str_of(endpoint), STR("ipc://"));
        link->pause_us = link->pause_min_us = ipc ? PAUSE_MIN_IPC_US : PAUSE_MIN_TCP_US;
        link->pause_max_us = ipc ? PAUSE_MAX_IPC_US : PAUSE_MAX_TCP_US;
        link->turn = (struct loop_turn){.fn = on_turn_end, .arg = link};
        link->timer = loop_timer_new(loop, on_pause_over, link);
        int r = link_open(link);
        if (r < 0) {
                link_destroy(link);
                return r;
        }
        *ret_link = link;
        return 0;
}

static void link_destroy(struct bus_link *link)
{
        link_close(link);
        loop_turn_cancel(link->loop, &link->turn);
        loop_timer_free(link->timer);
        outbox_done(&link->outbox);
        free(link->endpoint);
        free(link);
}

struct bus_link *bus_link_free(struct bus_link *link)
{
        if (!link)
                return NULL;
        if (link->in_callback)
                link->freed = true; /* by whoever called back, when that returns */
        else
                link_destroy(link);
        return NULL;
}

bool bus_link_is_up(const struct bus_link *link)
{
        return link->state == LINK_UP;
}
