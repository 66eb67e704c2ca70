/* SPDX-License-Identifier: Apache-2.0
 *
 * How our sockets are made: which endpoints are allowed, and the options that every socket has.
 */
#include "common/bus/bus_internal.h"

#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder that only its owner enters: ours, or (to connect) anybody's for root. A caller may start before
 * the folder is there. */
static int folder_check(const char *path, bool bind)
{
        _cleanup_(mem_freep) char *copy = mem_strdup(path);
        struct stat st;
        if (lstat(dirname(copy), &st) < 0)
                return errno == ENOENT && !bind ? 0 : -errno;
        if (!S_ISDIR(st.st_mode))
                return -ENOTDIR;
        bool ours = st.st_uid == geteuid() || (!bind && geteuid() == 0);
        return ours && (st.st_mode & 077) == 0 ? 0 : -EACCES;
}

static bool is_tcp(const char *endpoint)
{
        return str_starts(str_of(endpoint), STR("tcp://"));
}

static bool is_tcp_loopback(const char *endpoint)
{
        struct str e = str_of(endpoint);
        return str_starts(e, STR("tcp://127.")) || str_starts(e, STR("tcp://[::1]:"));
}

int endpoint_check(const struct bus *bus, const char *endpoint, bool bind)
{
        if (str_starts(str_of(endpoint), STR("ipc://"))) {
                const char *path = endpoint + strlen("ipc://");
                if (!*path || *path == '@' ||
                    *path == '*') /* abstract names and wildcards have no folder of ours */
                        return -EINVAL;
                return folder_check(path, bind);
        }
        if (!is_tcp(endpoint))
                return -EINVAL;
        return is_tcp_loopback(endpoint) || bus->security ? 0 : -EACCES;
}

bool endpoint_is_secured(const struct bus *bus, const char *endpoint)
{
        return bus->security && is_tcp(endpoint);
}

static int set_int(void *socket, int option, int value)
{
        return zmq_setsockopt(socket, option, &value, sizeof(value)) < 0 ? -zmq_errno() : 0;
}

/* The options are numbers and names that libzmq 4.3 has without DRAFT: none can be refused but by a bug. */
static int set_common(void *socket)
{
        static const struct {
                int option, value;
        } options[] = {
            {ZMQ_LINGER, 0},
            {ZMQ_SNDHWM, 1000},
            {ZMQ_RCVHWM, 1000},
            {ZMQ_HANDSHAKE_IVL, 5000},
            {ZMQ_HEARTBEAT_IVL, 2000},
            {ZMQ_HEARTBEAT_TIMEOUT, 6000},
            {ZMQ_HEARTBEAT_TTL, 6000},
            {ZMQ_CONNECT_TIMEOUT, 5000},
            {ZMQ_RECONNECT_IVL, 24 * 3600 * 1000}, /* never: the link does, with a new socket */
            {ZMQ_BACKLOG, 1024},
        };
        for (size_t i = 0; i < ARRAY_LEN(options); i++) {
                int r = set_int(socket, options[i].option, options[i].value);
                if (r < 0)
                        return r;
        }
        int64_t max = BUS_BYTES_MAX;
        return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max, sizeof(max)) < 0 ? -zmq_errno() : 0;
}

int socket_new(struct bus *bus, int type, const char *endpoint, const char *service, unsigned attempt,
               void **ret_socket)
{
        void *socket = zmq_socket(bus->context, type);
        if (!socket)
                return -zmq_errno();
        int r = set_common(socket);
        if (r == 0 && strchr(endpoint, '[')) /* not always: it makes tcp://127.0.0.1 a [::ffff:127.0.0.1] */
                r = set_int(socket, ZMQ_IPV6, 1);
        if (r == 0 && type == ZMQ_ROUTER)
                r = set_int(socket, ZMQ_ROUTER_MANDATORY, 1);
        if (r == 0 && endpoint_is_secured(bus, endpoint))
                r = security_apply(bus->security, socket, service, attempt);
        if (r < 0) {
                zmq_close(socket);
                return r;
        }
        *ret_socket = socket;
        return 0;
}

int socket_fd(void *socket)
{
        int fd = -1;
        size_t size = sizeof(fd);
        zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
        return fd;
}

int socket_events(void *socket)
{
        int events = 0, r;
        size_t size = sizeof(events);
        do
                r = zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size);
        while (r < 0 && zmq_errno() == EINTR);
        return r < 0 ? 0 : events;
}
