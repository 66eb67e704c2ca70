/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin port: a table of pages served by evhttp, on loopback only. Not for anything hostile: the public edge is
 * common/http.
 */
#include "common/loop/loop_internal.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <stdlib.h>

struct loop_admin {
        struct evhttp *http;
        const struct loop_admin_page *pages;
        void *arg;
};

static void answer(struct evhttp_request *request, int status, const char *content_type, const struct buf *body)
{
        evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", content_type);
        struct evbuffer *out = evhttp_request_get_output_buffer(request);
        evbuffer_add(out, body->p, body->n);
        evhttp_send_reply(request, status, NULL, out);
}

static void on_request(struct evhttp_request *request, void *arg)
{
        struct loop_admin *admin = arg;
        const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
        struct buf body = {0};
        for (const struct loop_admin_page *page = admin->pages; page->path; page++)
                if (path && strcmp(path, page->path) == 0) {
                        int status = page->serve(admin->arg, &body);
                        answer(request, status, page->content_type, &body);
                        buf_done(&body);
                        return;
                }
        for (const struct loop_admin_page *page = admin->pages; page->path; page++)
                buf_printf(&body, "%s\n", page->path);
        answer(request, HTTP_NOTFOUND, "text/plain; charset=utf-8", &body);
        buf_done(&body);
}

static bool is_loopback(const struct sockaddr_storage *address)
{
        if (address->ss_family == AF_INET)
                return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
        return address->ss_family == AF_INET6 &&
               IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static int port_of(evutil_socket_t fd)
{
        struct sockaddr_storage bound;
        socklen_t size = sizeof(bound);
        if (getsockname(fd, (struct sockaddr *)&bound, &size) < 0)
                return -errno;
        return ntohs(bound.ss_family == AF_INET ? ((struct sockaddr_in *)&bound)->sin_port
                                                : ((struct sockaddr_in6 *)&bound)->sin6_port);
}

int loop_admin_new(struct loop *loop, const char *address, const struct loop_admin_page *pages, void *arg,
                   struct loop_admin **ret_admin, int *ret_port)
{
        struct sockaddr_storage wanted = {0};
        int size = sizeof(wanted);
        if (evutil_parse_sockaddr_port(address, (struct sockaddr *)&wanted, &size) < 0)
                return -EINVAL;
        if (!is_loopback(&wanted))
                return -EACCES;
        char host[INET6_ADDRSTRLEN];
        bool v4 = wanted.ss_family == AF_INET;
        evutil_inet_ntop(wanted.ss_family,
                         v4 ? (void *)&((struct sockaddr_in *)&wanted)->sin_addr
                            : (void *)&((struct sockaddr_in6 *)&wanted)->sin6_addr,
                         host, sizeof(host));
        uint16_t port = ntohs(v4 ? ((struct sockaddr_in *)&wanted)->sin_port
                                 : ((struct sockaddr_in6 *)&wanted)->sin6_port);

        struct evhttp *http = evhttp_new(loop_base(loop));
        if (!http)
                abort();
        evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
        evhttp_set_max_headers_size(http, 8192);
        evhttp_set_max_body_size(http, 0);
        evhttp_set_timeout(http, 30);
        errno = 0;
        struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, host, port);
        int taken = bound ? port_of(evhttp_bound_socket_get_fd(bound)) : errno ? -errno : -EADDRNOTAVAIL;
        if (taken < 0) {
                evhttp_free(http);
                return taken;
        }
        struct loop_admin *admin = mem_zalloc(sizeof(*admin));
        *admin = (struct loop_admin){.http = http, .pages = pages, .arg = arg};
        evhttp_set_gencb(http, on_request, admin);
        *ret_admin = admin;
        *ret_port = taken;
        return 0;
}

struct loop_admin *loop_admin_free(struct loop_admin *admin)
{
        if (admin)
                evhttp_free(admin->http);
        free(admin);
        return NULL;
}
