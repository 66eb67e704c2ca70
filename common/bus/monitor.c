/* SPDX-License-Identifier: Apache-2.0
 *
 * A socket's monitor: the PAIR on which libzmq tells of its connections, as two plain events. A process that
 * dies is heard of at once, for the kernel closes its sockets; a silent one after the heartbeat's time-out.
 */
#include "common/bus/bus_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* RETRIED: it could not connect and (as far as libzmq goes) would try again. */
enum {
        REFUSED_EVENTS = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                         ZMQ_EVENT_HANDSHAKE_FAILED_AUTH,
        WATCHED_EVENTS = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED |
                         REFUSED_EVENTS,
};

struct monitor {
        void *watched;
        void *pair;
        struct loop_fd *watch;
        const struct monitor_ops *ops;
        void *arg;
};

int monitor_pair_open(struct bus *bus, void *socket, int events, void **ret_pair)
{
        char name[64];
        snprintf(name, sizeof(name), "inproc://monitor-%" PRIu64, atomic_fetch_add(&bus->monitors, 1));
        if (zmq_socket_monitor(socket, name, events) < 0)
                return -zmq_errno();
        void *pair = zmq_socket(bus->context, ZMQ_PAIR);
        if (!pair || zmq_connect(pair, name) < 0) {
                int r = -zmq_errno();
                if (pair)
                        zmq_close(pair);
                zmq_socket_monitor(socket, NULL, 0);
                return r;
        }
        *ret_pair = pair;
        return 0;
}

void monitor_pair_close(void *pair, void *socket)
{
        int linger = 0;
        zmq_socket_monitor(socket, NULL, 0);
        zmq_setsockopt(pair, ZMQ_LINGER, &linger, sizeof(linger));
        zmq_close(pair);
}

/* An event is two frames: its number (16 bit) and value (32 bit), then the address. */
uint16_t monitor_pair_receive(void *pair, int32_t *ret_value)
{
        uint8_t event[6] = {0};
        char address[256];
        int n;
        do
                n = zmq_recv(pair, event, sizeof(event), ZMQ_DONTWAIT);
        while (n < 0 && zmq_errno() == EINTR);
        if (n < (int)sizeof(event))
                return 0;
        if (zmq_recv(pair, address, sizeof(address), ZMQ_DONTWAIT) < 0)
                return 0;
        uint16_t number;
        memcpy(&number, event, sizeof(number));
        memcpy(ret_value, event + sizeof(number), sizeof(*ret_value));
        return number;
}

static void on_readable(void *arg, int events)
{
        struct monitor *monitor = arg;
        int32_t ignored;
        (void)events;
        uint16_t event = monitor_pair_receive(monitor->pair, &ignored);
        if (!event)
                return;
        /* One event a turn, as what it leads to may end this monitor. */
        loop_fd_activate(monitor->watch, LOOP_READ);
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
                monitor->ops->on_connected(monitor->arg);
        else if (event & REFUSED_EVENTS)
                monitor->ops->on_refused(monitor->arg,
                                         event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ? -EACCES : -EKEYREJECTED);
        else
                monitor->ops->on_lost(monitor->arg);
}

int monitor_new(struct bus *bus, struct loop *loop, void *socket, const struct monitor_ops *ops, void *arg,
                struct monitor **ret_monitor)
{
        void *pair;
        int r = monitor_pair_open(bus, socket, WATCHED_EVENTS, &pair);
        if (r < 0)
                return r;
        struct monitor *monitor = mem_zalloc(sizeof(*monitor));
        monitor->watched = socket;
        monitor->pair = pair;
        monitor->ops = ops;
        monitor->arg = arg;
        monitor->watch = loop_fd_new(loop, socket_fd(pair), on_readable, monitor);
        loop_fd_want(monitor->watch, LOOP_READ);
        loop_fd_activate(monitor->watch, LOOP_READ);
        *ret_monitor = monitor;
        return 0;
}

struct monitor *monitor_free(struct monitor *monitor)
{
        if (!monitor)
                return NULL;
        loop_fd_free(monitor->watch);
        monitor_pair_close(monitor->pair, monitor->watched);
        free(monitor);
        return NULL;
}
