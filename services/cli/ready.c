/* SPDX-License-Identifier: Apache-2.0
 *
 * ready: asks a process's admin port whether it takes work, for probes that may run a program but no shell and no curl.
 */
#include "services/cli/cli.h"

#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S 3

static int connect_to(struct str host, const char *port, int *ret_fd)
{
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
        const struct timeval patience = {.tv_sec = PATIENCE_S};
        struct addrinfo *found = NULL;
        char name[64];

        if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
                host = (struct str){host.p + 1, host.n - 2};
        snprintf(name, sizeof(name), "%.*s", (int)host.n, host.p);
        if (getaddrinfo(name, port, &hints, &found) != 0)
                return -EINVAL;
        int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int r = fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
                                setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
                                connect(fd, found->ai_addr, found->ai_addrlen) < 0
                        ? -errno
                        : 0;
        freeaddrinfo(found);
        if (r < 0 && fd >= 0)
                close(fd);
        else if (r == 0)
                *ret_fd = fd;
        return r == -EINPROGRESS ? -ETIMEDOUT : r;
}

static int fetch(int fd, const char *path, struct buf *answer)
{
        char request[128];
        int length = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
        ssize_t n = send(fd, request, (size_t)length, MSG_NOSIGNAL);
        if (n != length)
                return n < 0 ? -errno : -EPIPE;
        do {
                buf_reserve(answer, 4096);
                n = recv(fd, answer->p + answer->n, 4096, 0);
                answer->n += n > 0 ? (size_t)n : 0;
        } while (n > 0 && answer->n < 65536);
        return n >= 0 ? 0 : errno == EAGAIN ? -ETIMEDOUT : -errno;
}

static int run_ready(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        _cleanup_(buf_done) struct buf answer = {0};
        const char *address = operands[0], *colon = strrchr(address, ':');
        int fd, r = -EINVAL;
        (void)cli, (void)command, (void)n;

        if (colon && (r = connect_to((struct str){address, (size_t)(colon - address)}, colon + 1, &fd)) == 0) {
                r = fetch(fd, "/readyz", &answer);
                close(fd);
        }
        if (r < 0) {
                fprintf(stderr, "%s: %s; give the process's --admin, such as 127.0.0.1:7001\n", address, strerror(-r));
                return 1;
        }
        struct str rest = buf_str(&answer), status = str_cut(&rest, '\n');
        const char *body = memmem(rest.p, rest.n, "\r\n\r\n", 4);
        bool ready = str_starts(status, STR("HTTP/1.")) && status.n > 12 && memcmp(status.p + 9, "200", 3) == 0;
        if (body)
                printf("%.*s", (int)(rest.p + rest.n - body - 4), body + 4);
        return ready ? 0 : 1;
}

const struct command commands_ready[] = {
        {"ready", "ADDRESS", "asks a process's --admin port whether it takes work: exit status 0 or 1, for probes", NULL, {0}, NULL, run_ready},
        {0},
};
