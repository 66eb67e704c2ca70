/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to Redis on the loop: connecting, the greeting, bytes out at the turn's end, replies in, and
 * connecting again. hiredis is used as the parser that it is; its asynchronous contexts, which know no
 * time-outs and free themselves on errors, are not.
 */
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/cache/cache_internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        PAUSE_MIN_US = 10 * 1000, /* half of a pause is random */
        PAUSE_MAX_UNIX_US = 250 * 1000,
        PAUSE_MAX_TCP_US = 1000 * 1000,
        READ_SIZE = 64 * 1024,
        READS_PER_TURN = 16,
};

enum connection_state {
        CONNECTION_PAUSING,    /* no socket; the timer will make one */
        CONNECTION_CONNECTING, /* until the socket is writable; the timer limits it */
        CONNECTION_GREETING,   /* AUTH and PING are sent; the timer limits it */
        CONNECTION_UP,
};

struct connection {
        struct loop *loop;
        struct address address;      /* none while the sentinels have not said where the primary is */
        struct sentinels *sentinels; /* or NULL: the address is given */
        char *user, *password;
        int64_t timeout_us;
        const struct connection_ops *ops;
        void *arg;
        enum connection_state state;
        int fd;
        struct loop_fd *watch;
        struct loop_timer *timer;
        struct loop_turn turn;
        int64_t pause_us; /* the next one */
        int greetings;    /* replies to the greeting that are still to come; the last is PING's, before it ROLE's */
        struct buf out;
        size_t out_sent;
        struct reply_reader *reader;
        bool reading; /* on_reply is under way */
        int broken;   /* what to give up with when it is over */
};

/* --- out ------------------------------------------------------------------------------------------------ */

/* "$12\r\n": by hand, as printf costs more than the rest of a command. */
static void add_count(struct buf *out, char kind, size_t n)
{
        char text[24], *p = text + sizeof(text);
        *--p = '\n';
        *--p = '\r';
        do
                *--p = (char)('0' + n % 10);
        while (n /= 10);
        *--p = kind;
        buf_add(out, p, (size_t)(text + sizeof(text) - p));
}

void command_head(struct buf *out, size_t n_words)
{
        add_count(out, '*', n_words);
}

void command_word(struct buf *out, struct str word)
{
        add_count(out, '$', word.n);
        buf_add_str(out, word);
        buf_add(out, "\r\n", 2);
}

static void connection_lost(struct connection *connection, int error);

static void connection_write(struct connection *connection)
{
        while (connection->out_sent < connection->out.n) {
                ssize_t n = send(connection->fd, connection->out.p + connection->out_sent,
                                 connection->out.n - connection->out_sent, MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0) {
                        connection_lost(connection, -errno);
                        return;
                }
                connection->out_sent += (size_t)n;
        }
        bool all = connection->out_sent == connection->out.n;
        if (all)
                connection->out.n = connection->out_sent = 0;
        loop_fd_want(connection->watch, all ? LOOP_READ : LOOP_READ | LOOP_WRITE);
}

static void on_turn_end(void *arg)
{
        struct connection *connection = arg;
        if (connection->state >= CONNECTION_GREETING)
                connection_write(connection);
}

void connection_send(struct connection *connection, const struct str *words, size_t n)
{
        command_head(&connection->out, n);
        for (size_t i = 0; i < n; i++)
                command_word(&connection->out, words[i]);
        loop_at_turn_end(connection->loop, &connection->turn);
}

void connection_send_encoded(struct connection *connection, struct str bytes)
{
        buf_add_str(&connection->out, bytes);
        loop_at_turn_end(connection->loop, &connection->turn);
}

/* --- in ------------------------------------------------------------------------------------------------- */

static void connection_greet(struct connection *connection)
{
        connection->state = CONNECTION_GREETING;
        connection->greetings = 1;
        if (connection->password) {
                struct str words[3] = {STR("AUTH")};
                size_t n = 1;
                if (connection->user)
                        words[n++] = str_of(connection->user);
                words[n++] = str_of(connection->password);
                connection->greetings++;
                connection_send(connection, words, n);
        }
        if (connection->sentinels) {
                connection->greetings++;
                connection_send(connection, (struct str[]){STR("ROLE")}, 1);
        }
        connection_send(connection, (struct str[]){STR("PING")}, 1);
        loop_timer_set(connection->timer, connection->timeout_us);
}

static void on_greeted(struct connection *connection, const struct cache_reply *reply)
{
        bool is_role = connection->sentinels && connection->greetings == 2;
        if (is_role && reply->kind == CACHE_ARRAY && reply->n_items && str_is(reply->items[0].text, "master")) {
                connection->greetings--;
                return;
        }
        if (is_role || reply->kind != CACHE_TEXT) { /* a replica, a wrong password, or Redis still loads its data */
                connection->broken = is_role ? -EROFS : -EACCES;
                return;
        }
        if (--connection->greetings > 0)
                return;
        connection->state = CONNECTION_UP;
        connection->pause_us = PAUSE_MIN_US;
        loop_timer_clear(connection->timer);
        connection->ops->on_up(connection->arg);
}

static void take_replies(struct connection *connection)
{
        const struct cache_reply *reply;
        connection->reading = true;
        while (!connection->broken) {
                int r = reply_next(connection->reader, &reply);
                if (r < 0)
                        connection->broken = r;
                if (r <= 0)
                        break;
                if (connection->state == CONNECTION_UP)
                        connection->ops->on_reply(connection->arg, reply);
                else
                        on_greeted(connection, reply);
        }
        connection->reading = false;
}

static void connection_read(struct connection *connection)
{
        char bytes[READ_SIZE];
        for (int i = 0; i < READS_PER_TURN; i++) {
                ssize_t n = recv(connection->fd, bytes, sizeof(bytes), 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        connection_lost(connection, n < 0 ? -errno : -ECONNRESET);
                        return;
                }
                reply_feed(connection->reader, str_bytes(bytes, (size_t)n));
                take_replies(connection);
                if (connection->broken) {
                        connection_lost(connection, connection->broken);
                        return;
                }
                if ((size_t)n < sizeof(bytes))
                        return;
        }
}

/* --- coming and going ----------------------------------------------------------------------------------- */

static void connection_close(struct connection *connection)
{
        connection->watch = loop_fd_free(connection->watch);
        if (connection->fd >= 0)
                close(connection->fd);
        connection->fd = -1;
        connection->broken = 0;
        connection->out.n = connection->out_sent = 0;
        connection->reader = reply_reader_free(connection->reader);
}

static void connection_pause(struct connection *connection)
{
        uint32_t random;
        id_random(&random, sizeof(random));
        int64_t half = connection->pause_us / 2;
        connection->state = CONNECTION_PAUSING;
        loop_timer_set(connection->timer, half + (int64_t)random % half);
        int64_t max_us = connection->address.storage.ss_family == AF_UNIX ? PAUSE_MAX_UNIX_US : PAUSE_MAX_TCP_US;
        connection->pause_us = connection->pause_us * 2 > max_us ? max_us : connection->pause_us * 2;
}

static void connection_lost(struct connection *connection, int error)
{
        bool was_up = connection->state == CONNECTION_UP;
        connection_close(connection);
        connection_pause(connection);
        if (connection->sentinels)
                sentinels_doubt(connection->sentinels);
        if (was_up)
                connection->ops->on_lost(connection->arg, error);
}

void connection_drop(struct connection *connection, int error)
{
        if (connection->reading)
                connection->broken = error;
        else
                connection_lost(connection, error);
}

static void on_ready(void *arg, int events)
{
        struct connection *connection = arg;
        if (connection->state == CONNECTION_CONNECTING) {
                int error = 0;
                socklen_t size = sizeof(error);
                getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
                if (error)
                        connection_lost(connection, -error);
                else
                        connection_greet(connection);
                return;
        }
        if (events & LOOP_WRITE) /* the rest of what did not fit; a failure shows up in reading too */
                loop_at_turn_end(connection->loop, &connection->turn);
        if (events & LOOP_READ)
                connection_read(connection);
}

static void connection_open(struct connection *connection)
{
        int family = connection->address.storage.ss_family, one = 1;
        if (!connection->address.size)
                return; /* on_primary will set the timer */
        connection->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connection->fd < 0) {
                connection_pause(connection);
                return;
        }
        if (family != AF_UNIX)
                setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        connection->reader = reply_reader_new();
        connection->watch = loop_fd_new(connection->loop, connection->fd, on_ready, connection);
        connection->state = CONNECTION_CONNECTING;
        if (connect(connection->fd, (struct sockaddr *)&connection->address.storage, connection->address.size) < 0 &&
            errno != EINPROGRESS) {
                connection_lost(connection, -errno);
                return;
        }
        loop_fd_want(connection->watch, LOOP_WRITE);
        loop_timer_set(connection->timer, connection->timeout_us);
}

static void on_timer(void *arg)
{
        struct connection *connection = arg;
        if (connection->state == CONNECTION_PAUSING)
                connection_open(connection);
        else
                connection_lost(connection, -ETIMEDOUT);
}

/* --- life ----------------------------------------------------------------------------------------------- */

/* The primary moved: what we are connected to is not it, whatever it thinks of itself. */
static void on_primary(void *arg, const struct address *primary)
{
        struct connection *connection = arg;
        connection->address = *primary;
        connection->pause_us = PAUSE_MIN_US;
        if (connection->state == CONNECTION_PAUSING)
                loop_timer_set(connection->timer, 0);
        else
                connection_drop(connection, -ECONNRESET);
}

int connection_new(struct loop *loop, const struct cache_options *options, const struct connection_ops *ops,
                   void *arg, struct connection **ret_connection)
{
        struct connection *connection = mem_zalloc(sizeof(*connection));
        connection->fd = -1;
        connection->loop = loop;
        if (options->auth && options->auth->password) {
                connection->user = options->auth->user ? mem_strdup(options->auth->user) : NULL;
                connection->password = mem_strdup(options->auth->password);
        }
        connection->timeout_us = options->timeout_us > 0 ? options->timeout_us : CLOCK_SECOND_US;
        connection->ops = ops;
        connection->arg = arg;
        connection->pause_us = PAUSE_MIN_US;
        connection->turn = (struct loop_turn){.fn = on_turn_end, .arg = connection};
        connection->timer = loop_timer_new(loop, on_timer, connection);
        connection->state = CONNECTION_PAUSING;
        struct str text = str_of(options->address), scheme = STR("sentinel://");
        static const struct sentinels_ops ops_of_sentinels = {on_primary};
        int r = !str_starts(text, scheme) ? address_of_text(text, &connection->address)
                                          : sentinels_new(loop, (struct str){text.p + scheme.n, text.n - scheme.n}, options,
                                                          &ops_of_sentinels, connection, &connection->sentinels);
        if (r < 0) {
                connection_free(connection);
                return r;
        }
        loop_timer_set(connection->timer, 0);
        *ret_connection = connection;
        return 0;
}

struct connection *connection_free(struct connection *connection)
{
        if (!connection)
                return NULL;
        sentinels_free(connection->sentinels);
        connection_close(connection);
        loop_turn_cancel(connection->loop, &connection->turn);
        loop_timer_free(connection->timer);
        buf_done(&connection->out);
        if (connection->password)
                explicit_bzero(connection->password, strlen(connection->password));
        free(connection->password);
        free(connection->user);
        free(connection);
        return NULL;
}

bool connection_is_up(const struct connection *connection)
{
        return connection->state == CONNECTION_UP;
}
