/* SPDX-License-Identifier: Apache-2.0
 *
 * The serving side: a ROUTER, the peers that spoke on it, and what each is to get at the turn's end.
 *
 * libzmq 4.3 tells a ROUTER nothing of leaving peers (ZMQ_ROUTER_NOTIFY is a draft). A peer is forgotten when
 * a send says that it is gone, and at the latest when its descriptor speaks with another routing id: so we
 * keep no more of them than the process had descriptors.
 */
#include "common/bus/bus_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PEER_BUCKETS = 256, SERVER_LINGER_MS = 1000 };

struct peer {
        struct peer *next; /* in its bucket */
        struct bus_peer id;
        int fd;
        unsigned let_in; /* by the keys of which generation */
        char key[CURVE_KEY_SIZE]; /* then, and its role in id */
        bool dirty;
        struct peer *next_dirty;
        struct outbox outbox;
};

struct bus_server {
        struct bus *bus;
        struct loop *loop;
        void *socket;
        char *ipc_path; /* the socket's file, ours to remove; or NULL */
        char *endpoint;
        bool secured;
        struct monitor *monitor; /* when secured: of callers without CURVE, the ZAP handler hears nothing */
        struct loop_fd *watch;
        struct loop_turn turn;
        bus_request_fn on_request;
        void *arg;
        struct peer *peers[PEER_BUCKETS];
        struct peer *dirty; /* have something to send at the turn's end */
        struct inbox inbox;
};

/* --- peers ---------------------------------------------------------------------------------------------- */

static struct peer **peer_find(struct bus_server *server, const struct bus_peer *id)
{
        struct peer **at = &server->peers[str_hash(str_bytes(id->id, id->n)) % PEER_BUCKETS];
        while (*at && !str_eq(str_bytes((*at)->id.id, (*at)->id.n), str_bytes(id->id, id->n)))
                at = &(*at)->next;
        return at;
}

static void peer_drop_outbox(struct bus_server *server, struct peer *peer, size_t from)
{
        atomic_fetch_add_explicit(&server->bus->dropped, (int64_t)(peer->outbox.n - from) / 2,
                                  memory_order_relaxed);
        outbox_drop(&peer->outbox, from);
}

static void peer_forget(struct bus_server *server, struct peer **at)
{
        struct peer *peer = *at;
        *at = peer->next;
        for (struct peer **d = &server->dirty; peer->dirty && *d; d = &(*d)->next_dirty)
                if (*d == peer) {
                        *d = peer->next_dirty;
                        break;
                }
        peer_drop_outbox(server, peer, 0);
        outbox_done(&peer->outbox);
        free(peer);
}

static void peer_forget_fd(struct bus_server *server, int fd)
{
        for (size_t i = 0; i < PEER_BUCKETS; i++)
                for (struct peer **at = &server->peers[i]; *at;)
                        if ((*at)->fd == fd)
                                peer_forget(server, at);
                        else
                                at = &(*at)->next;
}

static struct peer *peer_note(struct bus_server *server, const struct bus_peer *id, int fd)
{
        struct peer *known = *peer_find(server, id);
        if (known)
                return known;
        peer_forget_fd(server, fd);
        struct peer *peer = mem_zalloc(sizeof(*peer));
        peer->id = *id;
        peer->fd = fd;
        *peer_find(server, id) = peer;
        return peer;
}

/* Is it still among those whom we let in, and as which role? Asked anew when the keys have changed, or when another caller
 * has taken the routing id of one that left. */
static bool peer_is_welcome(struct bus_server *server, struct peer *peer)
{
        if (!server->secured)
                return true;
        unsigned generation = security_generation(server->bus->security) + 1;
        const char *key = zmq_msg_gets(&server->inbox.frames[0], "User-Id");
        if (key && peer->let_in == generation && strcmp(key, peer->key) == 0)
                return true;
        if (!key || !security_lets_in(server->bus->security, str_of(key), peer->id.role)) {
                security_notice(server->bus->security, "a connected caller gets nothing more: its CURVE key was taken out",
                                key ? key : "(none)");
                return false;
        }
        peer->let_in = generation;
        snprintf(peer->key, sizeof(peer->key), "%s", key);
        return true;
}

/* --- in ------------------------------------------------------------------------------------------------- */

static void on_readable(void *arg, int events)
{
        struct bus_server *server = arg;
        (void)events;
        for (int taken = 0; taken < BUS_TURN_MESSAGES_MAX; taken++) {
                int r = inbox_receive(&server->inbox, server->socket, true);
                /* libzmq looked at its mailbox once more before it said so: the edge is armed. */
                if (r == -EAGAIN)
                        return;
                if (r == -EBADMSG) {
                        atomic_fetch_add_explicit(&server->bus->malformed, 1, memory_order_relaxed);
                        continue;
                }
                struct bus_peer from = server->inbox.from;
                struct peer *peer = peer_note(server, &from, server->inbox.source_fd);
                if (!peer_is_welcome(server, peer)) {
                        peer_forget(server, peer_find(server, &from));
                        inbox_clear(&server->inbox);
                        continue;
                }
                from = peer->id;
                for (size_t i = 0; i < server->inbox.n; i += 2) {
                        struct bus_frame payload = inbox_take_payload(&server->inbox, i);
                        server->on_request(server->arg, &from, inbox_envelope(&server->inbox, i), &payload);
                        bus_frame_close(&payload);
                }
                inbox_clear(&server->inbox);
        }
        loop_fd_activate(server->watch, LOOP_READ);
}

/* --- out ------------------------------------------------------------------------------------------------ */

/* False: the peer is gone. */
static bool peer_flush(struct bus_server *server, struct peer *peer)
{
        size_t at = 0;
        int r = 0;
        while (r == 0 && at < peer->outbox.n)
                r = outbox_send(&peer->outbox, &at, server->socket, &peer->id);
        peer_drop_outbox(server, peer, at);
        return r != -EHOSTUNREACH;
}

static void on_turn_end(void *arg)
{
        struct bus_server *server = arg;
        struct peer *peer;
        while ((peer = server->dirty)) {
                server->dirty = peer->next_dirty;
                peer->dirty = false;
                if (!peer_flush(server, peer))
                        peer_forget(server, peer_find(server, &peer->id));
        }
        /* Sending may have taken the signal of what came in meanwhile. */
        if (socket_events(server->socket) & ZMQ_POLLIN)
                loop_fd_activate(server->watch, LOOP_READ);
}

static int peer_queue(struct bus_server *server, struct peer *peer, struct str envelope, struct str payload)
{
        int r = outbox_add(&peer->outbox, envelope, payload);
        if (r < 0 || peer->dirty)
                return r;
        peer->dirty = true;
        peer->next_dirty = server->dirty;
        server->dirty = peer;
        loop_at_turn_end(server->loop, &server->turn);
        return 0;
}

int bus_server_send(struct bus_server *server, const struct bus_peer *to, struct str envelope,
                    struct str payload)
{
        struct peer *peer = *peer_find(server, to);
        return peer ? peer_queue(server, peer, envelope, payload) : -EHOSTUNREACH;
}

void bus_server_broadcast(struct bus_server *server, struct str envelope, struct str payload)
{
        for (size_t i = 0; i < PEER_BUCKETS; i++)
                for (struct peer *peer = server->peers[i]; peer; peer = peer->next)
                        if (peer_queue(server, peer, envelope, payload) < 0)
                                atomic_fetch_add_explicit(&server->bus->dropped, 1, memory_order_relaxed);
}

/* --- life ----------------------------------------------------------------------------------------------- */

/* libzmq unlinks whatever stands at an ipc path before it binds: good for what a dead process left, but a
 * living one would lose its callers to us. */
static int path_check_unused(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path) + 1);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        bool alive = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN;
        close(fd);
        return alive ? -EADDRINUSE : 0;
}

static void on_nothing(void *arg)
{
        (void)arg;
}

static void on_refused(void *arg, int error)
{
        struct bus_server *server = arg;
        if (error == -EKEYREJECTED)
                security_notice(server->bus->security, "a caller was refused: it does not speak CURVE, or not with our key",
                                server->endpoint);
}

static const struct monitor_ops server_monitor_ops = {on_nothing, on_nothing, on_refused};

static int server_bind(struct bus_server *server, const char *endpoint, char ret_endpoint[128])
{
        const char *path = str_starts(str_of(endpoint), STR("ipc://")) ? endpoint + strlen("ipc://") : NULL;
        int r = path ? path_check_unused(path) : 0;
        if (r == 0)
                r = socket_new(server->bus, ZMQ_ROUTER, endpoint, NULL, 0, &server->socket);
        if (r == 0 && server->secured)
                r = monitor_new(server->bus, server->loop, server->socket, &server_monitor_ops, server, &server->monitor);
        if (r < 0)
                return r;
        if (zmq_bind(server->socket, endpoint) < 0)
                return -zmq_errno();
        if (path)
                server->ipc_path = mem_strdup(path);
        size_t size = 128;
        return zmq_getsockopt(server->socket, ZMQ_LAST_ENDPOINT, ret_endpoint, &size) < 0 ? -zmq_errno() : 0;
}

int bus_server_new(struct bus *bus, struct loop *loop, const char *endpoint, bus_request_fn on_request,
                   void *arg, struct bus_server **ret_server, char ret_endpoint[128])
{
        int r = endpoint_check(bus, endpoint, true);
        if (r < 0)
                return r;
        struct bus_server *server = mem_zalloc(sizeof(*server));
        server->bus = bus;
        server->loop = loop;
        server->on_request = on_request;
        server->arg = arg;
        server->endpoint = mem_strdup(endpoint);
        server->secured = endpoint_is_secured(bus, endpoint);
        server->turn = (struct loop_turn){.fn = on_turn_end, .arg = server};
        r = server_bind(server, endpoint, ret_endpoint);
        if (r < 0) {
                bus_server_free(server);
                return r;
        }
        server->watch = loop_fd_new(loop, socket_fd(server->socket), on_readable, server);
        loop_fd_want(server->watch, LOOP_READ);
        loop_fd_activate(server->watch, LOOP_READ);
        *ret_server = server;
        return 0;
}

struct bus_server *bus_server_free(struct bus_server *server)
{
        if (!server)
                return NULL;
        if (server->watch)
                on_turn_end(server);
        loop_turn_cancel(server->loop, &server->turn);
        loop_fd_free(server->watch);
        for (size_t i = 0; i < PEER_BUCKETS; i++)
                while (server->peers[i])
                        peer_forget(server, &server->peers[i]);
        if (server->ipc_path)
                unlink(server->ipc_path);
        monitor_free(server->monitor);
        if (server->socket) {
                int linger = SERVER_LINGER_MS;
                zmq_setsockopt(server->socket, ZMQ_LINGER, &linger, sizeof(linger));
                zmq_close(server->socket);
        }
        free(server->ipc_path);
        free(server->endpoint);
        free(server);
        return NULL;
}
