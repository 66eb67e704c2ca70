/* SPDX-License-Identifier: Apache-2.0
 *
 * The door's socket: messages in and out. Who may come in is door_keys.c's, what a connection may cost door_guests.c's.
 */
#include "common/base/clock.h"
#include "common/bus/door_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum {
        LINGER_MS = 1000,
        RECEIVE_HIGH_WATER = 8, /* whole messages of a connection that wait for us: beyond that it is not read from */
        HEARTBEAT_MS = 5000,
        HEARTBEAT_TIMEOUT_MS = 15000,
};

const struct bus_door_limits bus_door_limits = {
        .frame_max = 1 << 20,
        .unfinished_max = 1 << 20,
        .unsent_max = 64 << 20,
        .unspoken_max = 512,
        .unspoken_us = 30 * CLOCK_SECOND_US,
        .stalled_us = 30 * CLOCK_SECOND_US,
};

struct bus_door {
        struct loop *loop;
        void *socket;
        char endpoint[128]; /* as bound */
        struct bus_door_limits limits;
        struct door_keys *keys;
        struct guests *guests;
        struct loop_fd *watch;
        struct loop_turn turn;
        const struct bus_door_ops *ops;
        void *arg;
};

/* --- in ------------------------------------------------------------------------------------------------------ */

struct letter {
        struct routing routing;
        zmq_msg_t parts[BUS_DOOR_PARTS_MAX];
        size_t n;
        int fd;
        char key[CURVE_KEY_SIZE];
};

static int part_receive(zmq_msg_t *part, void *socket)
{
        int r;
        zmq_msg_init(part);
        do
                r = zmq_msg_recv(part, socket, ZMQ_DONTWAIT);
        while (r < 0 && zmq_errno() == EINTR);
        if (r < 0)
                zmq_msg_close(part);
        return r < 0 ? -EAGAIN : 0;
}

static void letter_clear(struct letter *letter)
{
        while (letter->n)
                zmq_msg_close(&letter->parts[--letter->n]);
}

static void take_sender(struct letter *letter, zmq_msg_t *part)
{
        const char *key = zmq_msg_gets(part, "User-Id");
        letter->fd = zmq_msg_get(part, ZMQ_SRCFD);
        snprintf(letter->key, sizeof(letter->key), "%s", key ? key : "");
}

/* One whole message: all its parts are there as soon as the first is. What has more of them than are wanted has none.
 * -EAGAIN: nothing is there. */
static int letter_receive(struct letter *letter, void *socket)
{
        zmq_msg_t part;
        bool more, fits = true;
        letter->n = 0;
        letter->fd = -1;
        int r = part_receive(&part, socket);
        if (r < 0)
                return r;
        size_t n = zmq_msg_size(&part);
        letter->routing.n = (uint8_t)(n < DOOR_ROUTING_MAX ? n : DOOR_ROUTING_MAX);
        memcpy(letter->routing.id, zmq_msg_data(&part), letter->routing.n);
        more = zmq_msg_more(&part);
        zmq_msg_close(&part);
        while (more && part_receive(&part, socket) == 0) {
                more = zmq_msg_more(&part);
                if (letter->fd < 0)
                        take_sender(letter, &part);
                fits = fits && letter->n < BUS_DOOR_PARTS_MAX;
                if (fits)
                        letter->parts[letter->n++] = part; /* moves by assignment, as zmq_msg_move does */
                else
                        zmq_msg_close(&part);
        }
        if (!fits)
                letter_clear(letter);
        return 0;
}

static void letter_deliver(struct bus_door *door, struct letter *letter)
{
        struct str parts[BUS_DOOR_PARTS_MAX];
        struct guest *guest = guests_said(door->guests, letter->fd, &letter->routing, letter->key);
        if (!guest)
                return;
        guest_took(guest);
        for (size_t i = 0; i < letter->n; i++)
                parts[i] = str_bytes(zmq_msg_data(&letter->parts[i]), zmq_msg_size(&letter->parts[i]));
        bool given = letter->routing.n == DOOR_ROUTING_GIVEN && letter->routing.id[0] == 0;
        const char *name = door_keys_name(door->keys, letter->key);
        door->ops->on_message(door->arg, guest->id, !given ? NULL : name ? name : "", parts, letter->n);
}

static void on_readable(void *arg, int events)
{
        struct bus_door *door = arg;
        struct letter letter;
        (void)events;
        for (int taken = 0; taken < BUS_TURN_MESSAGES_MAX; taken++) {
                if (letter_receive(&letter, door->socket) < 0)
                        return; /* libzmq looked at its mailbox once more before it said so: the edge is armed */
                letter_deliver(door, &letter);
                letter_clear(&letter);
        }
        loop_fd_activate(door->watch, LOOP_READ);
}

/* --- out ----------------------------------------------------------------------------------------------------- */

static void on_turn_end(void *arg)
{
        struct bus_door *door = arg;
        /* Sending may have taken the signal of what came in meanwhile. */
        if (socket_events(door->socket) & ZMQ_POLLIN)
                loop_fd_activate(door->watch, LOOP_READ);
}

static void buffer_free(void *data, void *hint)
{
        (void)hint;
        free(data);
}

static void part_copy(zmq_msg_t *part, struct str bytes)
{
        if (zmq_msg_init_size(part, bytes.n) < 0)
                abort();
        if (bytes.n)
                memcpy(zmq_msg_data(part), bytes.p, bytes.n);
}

static void part_take(zmq_msg_t *part, struct buf *buffer)
{
        if (!buffer->p)
                zmq_msg_init(part);
        else if (zmq_msg_init_data(part, buffer->p, buffer->n, buffer_free, NULL) < 0)
                abort();
        *buffer = (struct buf){0};
}

/* Takes the part. libzmq takes or refuses a message with its address: should the connection go in the middle, it swallows
 * the rest, which it must be given so that the next message starts clean. */
static int part_send(void *socket, zmq_msg_t *part, bool more)
{
        int r;
        do
                r = zmq_msg_send(part, socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
        while (r < 0 && zmq_errno() == EINTR);
        if (r >= 0)
                return 0;
        r = -zmq_errno();
        zmq_msg_close(part);
        return r;
}

int bus_door_send(struct bus_door *door, uint64_t connection, const struct str *parts, size_t n, struct buf *last)
{
        struct guest *guest = guests_by_id(door->guests, connection);
        zmq_msg_t part, end;
        size_t bytes = last->n;
        part_take(&end, last);
        int r = -EHOSTUNREACH;
        if (guest && !guest->cut) {
                guests_sending(door->guests, guest);
                part_copy(&part, str_bytes(guest->routing.id, guest->routing.n));
                r = part_send(door->socket, &part, true);
                loop_at_turn_end(door->loop, &door->turn);
        }
        if (r < 0) {
                zmq_msg_close(&end);
                return r;
        }
        for (size_t i = 0; i < n; i++) {
                bytes += parts[i].n;
                part_copy(&part, parts[i]);
                (void)!part_send(door->socket, &part, true);
        }
        (void)!part_send(door->socket, &end, false);
        guests_sent(door->guests, guest, bytes);
        return 0;
}

uint64_t bus_door_unsent(struct bus_door *door, uint64_t connection)
{
        struct guest *guest = guests_by_id(door->guests, connection);
        return guest ? guests_unsent(door->guests, guest) : 0;
}

void bus_door_cut(struct bus_door *door, uint64_t connection)
{
        struct guest *guest = guests_by_id(door->guests, connection);
        if (guest)
                guests_cut(door->guests, guest, BUS_DOOR_CUT_ASKED);
}

struct bus_door_figures bus_door_figures(const struct bus_door *door)
{
        return guests_figures(door->guests);
}

/* --- what its parts tell -------------------------------------------------------------------------------------- */

static void on_gone(void *arg, const struct guest *guest)
{
        struct bus_door *door = arg;
        door->ops->on_gone(door->arg, guest->id);
}

static void on_cut(void *arg, enum bus_door_cut why, const char *address)
{
        struct bus_door *door = arg;
        door->ops->on_cut(door->arg, why, address);
}

static void on_stranger(void *arg, const char *address, const char *key)
{
        struct bus_door *door = arg;
        door->ops->on_stranger(door->arg, address, key);
}

void bus_door_let_in(struct bus_door *door, const struct bus_door_key *keys, size_t n)
{
        door_keys_set(door->keys, keys, n);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static int set_options(struct bus_door *door, const char *secret)
{
        const struct {
                int option, value;
        } numbers[] = {
                {ZMQ_CURVE_SERVER, 1},
                {ZMQ_RCVHWM, RECEIVE_HIGH_WATER},
                {ZMQ_SNDHWM, DOOR_UNSENT_MAX},
                {ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS},
                {ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS},
                {ZMQ_HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS},
        };
        int64_t frame_max = (int64_t)door->limits.frame_max;
        int r = zmq_setsockopt(door->socket, ZMQ_CURVE_SECRETKEY, secret, CURVE_KEY_SIZE) |
                zmq_setsockopt(door->socket, ZMQ_ZAP_DOMAIN, "nuanxin", strlen("nuanxin")) |
                zmq_setsockopt(door->socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof(frame_max));
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
                r |= zmq_setsockopt(door->socket, numbers[i].option, &numbers[i].value, sizeof(numbers[i].value));
        return r ? -EINVAL : 0;
}

/* A lent socket is accepted from by others too, so accepting must not block. */
static int use_socket(struct bus_door *door, int fd)
{
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        return zmq_setsockopt(door->socket, ZMQ_USE_FD, &fd, sizeof(fd)) < 0 ? -zmq_errno() : 0;
}

static int door_open(struct bus_door *door, struct bus *bus, const struct bus_door_options *options)
{
        static const struct door_keys_ops keys_ops = {on_stranger};
        static const struct guests_ops guests_ops = {on_gone, on_cut};
        size_t size = sizeof(door->endpoint);
        int r = door_keys_new(bus, door->loop, &keys_ops, door, &door->keys);
        if (r == 0)
                r = socket_new(bus, ZMQ_ROUTER, options->endpoint, NULL, 0, &door->socket);
        if (r == 0)
                r = set_options(door, options->secret);
        if (r == 0 && options->listen_fd >= 0)
                r = use_socket(door, options->listen_fd);
        if (r == 0)
                r = guests_new(bus, door->loop, door->socket, &door->limits, &guests_ops, door, &door->guests);
        if (r == 0 && (zmq_bind(door->socket, options->endpoint) < 0 ||
                       zmq_getsockopt(door->socket, ZMQ_LAST_ENDPOINT, door->endpoint, &size) < 0))
                r = -zmq_errno();
        return r;
}

int bus_door_new(struct bus *bus, struct loop *loop, const struct bus_door_options *options, const struct bus_door_ops *ops,
                 void *arg, struct bus_door **ret_door, char ret_endpoint[128])
{
        if (!str_starts(str_of(options->endpoint), STR("tcp://")) || !curve_key_is_valid(str_of(options->secret)))
                return -EINVAL;
        struct bus_door *door = mem_zalloc(sizeof(*door));
        *door = (struct bus_door){.loop = loop, .limits = options->limits, .ops = ops, .arg = arg};
        door->turn = (struct loop_turn){.fn = on_turn_end, .arg = door};
        int r = door_open(door, bus, options);
        if (r < 0) {
                bus_door_free(door);
                return r;
        }
        guests_bound(door->guests, atoi(strrchr(door->endpoint, ':') + 1));
        door->watch = loop_fd_new(loop, socket_fd(door->socket), on_readable, door);
        loop_fd_want(door->watch, LOOP_READ);
        loop_fd_activate(door->watch, LOOP_READ);
        snprintf(ret_endpoint, 128, "%s", door->endpoint);
        *ret_door = door;
        return 0;
}

/* Not by zmq_unbind: the connections that it has accepted end with a listener. */
void bus_door_close(struct bus_door *door)
{
        guests_close(door->guests);
}

struct bus_door *bus_door_free(struct bus_door *door)
{
        int linger = LINGER_MS;
        if (!door)
                return NULL;
        loop_turn_cancel(door->loop, &door->turn);
        loop_fd_free(door->watch);
        guests_free(door->guests);
        if (door->socket) {
                zmq_setsockopt(door->socket, ZMQ_LINGER, &linger, sizeof(linger));
                zmq_close(door->socket);
        }
        door_keys_free(door->keys);
        free(door);
        return NULL;
}
