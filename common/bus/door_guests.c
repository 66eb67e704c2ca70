/* SPDX-License-Identifier: Apache-2.0
 *
 * The connections of a door, as the kernel knows them. libzmq's monitor tells of each by its descriptor, of which we keep a
 * duplicate: a number may belong to another connection by the time that we hear of it, a duplicate never does.
 */
#include "common/base/clock.h"
#include "common/bus/door_internal.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_US (CLOCK_SECOND_US / 10)

enum {
        LOOKED_AT = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED,
        STATE_ESTABLISHED = 1, /* TCP_ESTABLISHED, in the kernel's words */
        CROWDS = 1024,
        QUIET_MS = 10 * 1000,  /* who sends nothing for so long is ended by the heartbeat, not for what it sent */
};

TAILQ_HEAD(guest_list, guest);

struct guests {
        void *socket, *monitor;
        struct loop_fd *watch;
        struct loop_timer *timer;
        const struct bus_door_limits *limits;
        const struct guests_ops *ops;
        void *arg;
        int port;
        bool closed;
        struct guest_list list;
        struct guest **by_fd;
        size_t n_fds;
        uint32_t generation;
        struct bus_door_figures figures;
        unsigned crowds[CROWDS]; /* unspoken ones of each */
};

const char *const bus_door_cut_names[BUS_DOOR_CUTS] = {
        [BUS_DOOR_CUT_HANDSHAKE] = "handshake", [BUS_DOOR_CUT_PROTOCOL] = "protocol",     [BUS_DOOR_CUT_SILENT] = "silent",
        [BUS_DOOR_CUT_CROWD] = "crowd",         [BUS_DOOR_CUT_UNFINISHED] = "unfinished", [BUS_DOOR_CUT_STALLED] = "stalled",
        [BUS_DOOR_CUT_FULL] = "full",           [BUS_DOOR_CUT_ASKED] = "asked",
};

/* --- what TCP says ----------------------------------------------------------------------------------------- */

static bool look(const struct guest *guest, struct tcp_info *ret_info)
{
        socklen_t size = sizeof(*ret_info);
        memset(ret_info, 0, sizeof(*ret_info));
        return getsockopt(guest->tcp, IPPROTO_TCP, TCP_INFO, ret_info, &size) == 0;
}

void guest_took(struct guest *guest)
{
        struct tcp_info info;
        if (look(guest, &info))
                guest->read_mark = info.tcpi_bytes_received;
}

/* Headers and heartbeats count as acknowledged too, so that all may be taken for arrived a few bytes too early. */
static void settle(struct guest *guest, const struct tcp_info *info, int64_t now_us)
{
        uint64_t acked = info->tcpi_bytes_acked - guest->acked_mark;
        if (acked != guest->acked)
                guest->moved_us = now_us;
        guest->acked = acked;
}

static uint64_t bytes_unsent(const struct guest *guest)
{
        return guest->sent > guest->acked ? guest->sent - guest->acked : 0;
}

uint64_t guests_unsent(struct guests *guests, struct guest *guest)
{
        struct tcp_info info;
        if (bytes_unsent(guest) && look(guest, &info)) {
                guests->figures.unsent_bytes -= bytes_unsent(guest);
                settle(guest, &info, clock_monotonic_us());
                guests->figures.unsent_bytes += bytes_unsent(guest);
        }
        return bytes_unsent(guest);
}

void guests_sending(struct guests *guests, struct guest *guest)
{
        struct tcp_info info;
        if (guests_unsent(guests, guest) || !look(guest, &info))
                return;
        guest->acked_mark = info.tcpi_bytes_acked;
        guest->sent = guest->acked = 0;
        guest->moved_us = clock_monotonic_us();
}

void guests_sent(struct guests *guests, struct guest *guest, size_t bytes)
{
        guests->figures.unsent_bytes -= bytes_unsent(guest);
        guest->sent += bytes;
        guests->figures.unsent_bytes += bytes_unsent(guest);
}

/* --- coming and going -------------------------------------------------------------------------------------- */

static struct guest *by_fd(const struct guests *guests, int fd)
{
        return fd >= 0 && (size_t)fd < guests->n_fds ? guests->by_fd[fd] : NULL;
}

struct guest *guests_by_id(const struct guests *guests, uint64_t id)
{
        struct guest *guest = by_fd(guests, (int)(uint32_t)id);
        return guest && guest->id == id ? guest : NULL;
}

/* Is it a connection to our port? Fills in whose. */
/* Those of one address, or of one IPv6 network of 64 bits, are one crowd: an index of `crowds`. Two may share it. */
static unsigned crowd_of(const struct sockaddr_storage *peer)
{
        const struct sockaddr_in *four = (const void *)peer;
        const struct sockaddr_in6 *six = (const void *)peer;
        if (peer->ss_family == AF_INET)
                return str_hash(str_bytes(&four->sin_addr, 4)) % CROWDS;
        const unsigned char *bytes = six->sin6_addr.s6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&six->sin6_addr);
        return str_hash(str_bytes(mapped ? bytes + 12 : bytes, mapped ? 4 : 8)) % CROWDS;
}

static bool is_ours(const struct guests *guests, int fd, char ret_address[64], unsigned *ret_crowd)
{
        struct sockaddr_storage self, peer;
        socklen_t self_size = sizeof(self), peer_size = sizeof(peer);
        char host[INET6_ADDRSTRLEN] = "";
        if (getsockname(fd, (struct sockaddr *)&self, &self_size) < 0 || getpeername(fd, (struct sockaddr *)&peer, &peer_size) < 0 ||
            (self.ss_family != AF_INET && self.ss_family != AF_INET6))
                return false;
        const struct sockaddr_in *self4 = (const void *)&self, *peer4 = (const void *)&peer;
        const struct sockaddr_in6 *self6 = (const void *)&self, *peer6 = (const void *)&peer;
        bool six = self.ss_family == AF_INET6;
        if (ntohs(six ? self6->sin6_port : self4->sin_port) != guests->port)
                return false;
        inet_ntop(self.ss_family, six ? (const void *)&peer6->sin6_addr : (const void *)&peer4->sin_addr, host, sizeof(host));
        snprintf(ret_address, 64, six ? "[%s]:%d" : "%s:%d", host, ntohs(six ? peer6->sin6_port : peer4->sin_port));
        *ret_crowd = crowd_of(&peer);
        return true;
}

static bool is_same(int a, int b)
{
        struct stat x, y;
        return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void count_unspoken(struct guests *guests, const struct guest *guest, int n)
{
        guests->figures.unspoken += (size_t)n;
        guests->crowds[guest->crowd] += (unsigned)n;
}

static void guest_forget(struct guests *guests, struct guest *guest)
{
        if (guest->spoke)
                guests->ops->on_gone(guests->arg, guest);
        TAILQ_REMOVE(&guests->list, guest, all);
        guests->figures.connections--;
        if (!guest->spoke)
                count_unspoken(guests, guest, -1);
        guests->figures.unsent_bytes -= bytes_unsent(guest);
        guests->by_fd[guest->fd] = NULL;
        close(guest->tcp);
        free(guest);
}

void guests_cut(struct guests *guests, struct guest *guest, enum bus_door_cut why)
{
        if (guest->cut)
                return;
        guest->cut = true; /* libzmq hears of it as of a peer that left, and then tells us */
        shutdown(guest->tcp, SHUT_RDWR);
        guests->ops->on_cut(guests->arg, why, guest->address);
}

/* The oldest of the largest crowd goes: one that comes from somewhere else, and needs a moment for its handshake, stays. */
static void keep_the_crowd_small(struct guests *guests)
{
        struct guest *guest, *oldest = NULL;
        if (guests->figures.unspoken <= guests->limits->unspoken_max)
                return;
        TAILQ_FOREACH(guest, &guests->list, all)
                if (!guest->spoke && !guest->cut && (!oldest || guests->crowds[guest->crowd] > guests->crowds[oldest->crowd]))
                        oldest = guest;
        if (oldest)
                guests_cut(guests, oldest, BUS_DOOR_CUT_CROWD);
}

static struct guest *guest_welcome(struct guests *guests, int fd)
{
        char address[64];
        unsigned crowd;
        struct guest *known = by_fd(guests, fd);
        if (known && is_same(known->tcp, fd))
                return known;
        if (known)
                guest_forget(guests, known); /* its end is told in a moment, when the number is another's already */
        if (fd < 0 || !is_ours(guests, fd, address, &crowd))
                return NULL;
        int tcp = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (tcp < 0)
                return NULL;
        struct guest *guest = mem_zalloc(sizeof(*guest));
        snprintf(guest->address, sizeof(guest->address), "%s", address);
        guest->fd = fd;
        guest->crowd = crowd;
        guest->tcp = tcp;
        guest->since_us = clock_monotonic_us();
        guest->id = (uint64_t)++guests->generation << 32 | (uint32_t)fd;
        if ((size_t)fd >= guests->n_fds) {
                size_t n = ((size_t)fd + 1) * 2;
                guests->by_fd = mem_realloc(guests->by_fd, n * sizeof(*guests->by_fd));
                memset(guests->by_fd + guests->n_fds, 0, (n - guests->n_fds) * sizeof(*guests->by_fd));
                guests->n_fds = n;
        }
        guests->by_fd[fd] = guest;
        TAILQ_INSERT_TAIL(&guests->list, guest, all);
        if (!guests->figures.connections++)
                loop_timer_set(guests->timer, LOOK_US);
        count_unspoken(guests, guest, 1);
        if (guests->closed) {
                guest->cut = true;
                shutdown(tcp, SHUT_RDWR);
        }
        keep_the_crowd_small(guests);
        return guest;
}

/* Who came and went without a word has failed at the handshake, if it was more than a look at the port. Who has spoken was
 * ended by libzmq, for what it sent, if nobody else had closed it. */
static void say_why(struct guests *guests, const struct guest *guest)
{
        struct tcp_info info;
        if (guest->cut || !look(guest, &info))
                return;
        if (!guest->spoke && info.tcpi_bytes_received)
                guests->ops->on_cut(guests->arg, BUS_DOOR_CUT_HANDSHAKE, guest->address);
        else if (guest->spoke && info.tcpi_state == STATE_ESTABLISHED && info.tcpi_last_data_recv < QUIET_MS)
                guests->ops->on_cut(guests->arg, BUS_DOOR_CUT_PROTOCOL, guest->address);
}

static void listen_to_monitor(struct guests *guests)
{
        int32_t fd;
        uint16_t event;
        while ((event = monitor_pair_receive(guests->monitor, &fd))) {
                struct guest *guest = by_fd(guests, fd);
                if (event == ZMQ_EVENT_ACCEPTED) {
                        guest_welcome(guests, fd);
                } else if (guest) {
                        say_why(guests, guest);
                        guest_forget(guests, guest);
                }
        }
}

static void on_monitor(void *arg, int events)
{
        (void)events;
        listen_to_monitor(arg);
}

struct guest *guests_said(struct guests *guests, int fd, const struct routing *routing, const char *key)
{
        listen_to_monitor(guests);
        /* With several I/O threads its word may come before its acceptance is told. */
        struct guest *guest = by_fd(guests, fd) ? by_fd(guests, fd) : guest_welcome(guests, fd);
        if (!guest || guest->cut)
                return NULL;
        if (!guest->spoke)
                count_unspoken(guests, guest, -1);
        guest->spoke = true;
        guest->routing = *routing;
        snprintf(guest->key, sizeof(guest->key), "%s", key);
        return guest;
}

/* --- looking after them ------------------------------------------------------------------------------------- */

static void guest_look(struct guests *guests, struct guest *guest, int64_t now_us)
{
        const struct bus_door_limits *limits = guests->limits;
        struct tcp_info info;
        if (guest->cut || !look(guest, &info))
                return;
        settle(guest, &info, now_us);
        if (!guest->spoke && now_us - guest->since_us > limits->unspoken_us)
                guests_cut(guests, guest, BUS_DOOR_CUT_SILENT);
        else if (info.tcpi_bytes_received - guest->read_mark > limits->unfinished_max)
                guests_cut(guests, guest, BUS_DOOR_CUT_UNFINISHED);
        else if (bytes_unsent(guest) && now_us - guest->moved_us > limits->stalled_us)
                guests_cut(guests, guest, BUS_DOOR_CUT_STALLED);
}

static void on_timer(void *arg)
{
        struct guests *guests = arg;
        struct guest *guest, *most = NULL;
        int64_t now_us = clock_monotonic_us();
        uint64_t unsent = 0;
        listen_to_monitor(guests);
        TAILQ_FOREACH(guest, &guests->list, all) {
                guest_look(guests, guest, now_us);
                unsent += bytes_unsent(guest);
                if (!guest->cut && (!most || bytes_unsent(guest) > bytes_unsent(most)))
                        most = guest;
        }
        guests->figures.unsent_bytes = unsent;
        if (most && unsent > guests->limits->unsent_max)
                guests_cut(guests, most, BUS_DOOR_CUT_FULL);
        if (guests->figures.connections)
                loop_timer_set(guests->timer, LOOK_US);
}

struct bus_door_figures guests_figures(const struct guests *guests)
{
        return guests->figures;
}

/* --- life ---------------------------------------------------------------------------------------------------- */

void guests_close(struct guests *guests)
{
        guests->closed = true;
}

void guests_bound(struct guests *guests, int port)
{
        guests->port = port;
}

int guests_new(struct bus *bus, struct loop *loop, void *socket, const struct bus_door_limits *limits,
               const struct guests_ops *ops, void *arg, struct guests **ret_guests)
{
        void *monitor;
        int r = monitor_pair_open(bus, socket, LOOKED_AT, &monitor);
        if (r < 0)
                return r;
        struct guests *guests = mem_zalloc(sizeof(*guests));
        *guests = (struct guests){.socket = socket, .monitor = monitor, .limits = limits, .ops = ops, .arg = arg};
        TAILQ_INIT(&guests->list);
        guests->timer = loop_timer_new(loop, on_timer, guests);
        guests->watch = loop_fd_new(loop, socket_fd(monitor), on_monitor, guests);
        loop_fd_want(guests->watch, LOOP_READ);
        loop_fd_activate(guests->watch, LOOP_READ);
        *ret_guests = guests;
        return 0;
}

struct guests *guests_free(struct guests *guests)
{
        struct guest *guest;
        if (!guests)
                return NULL;
        loop_fd_free(guests->watch);
        loop_timer_free(guests->timer);
        monitor_pair_close(guests->monitor, guests->socket);
        while ((guest = TAILQ_FIRST(&guests->list))) {
                if (guest->spoke)
                        count_unspoken(guests, guest, 1);
                guest->spoke = false; /* nobody is to hear of it now */
                guest_forget(guests, guest);
        }
        free(guests->by_fd);
        free(guests);
        return NULL;
}
