/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin port: a table of pages served by evhttp, on loopback only. Not for anything hostile: the public
 * edge is common/http.
 */
#include "common/loop/loop_internal.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

struct loop_admin {
        struct evhttp *http;
        const struct loop_admin_page *pages;
        void *arg;
};

static void answer(struct evhttp_request *request, int status, const char *content_type,
                   const struct buf *body)
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

int loop_admin_new(struct loop *loop, const char *address, bool open, const struct loop_admin_page *pages, void *arg,
                   struct loop_admin **ret_admin, int *ret_port)
{
        struct sockaddr_storage wanted;
        int size;
        int r = loop_address_parse(address, &wanted, &size);
        if (r < 0)
                return r;
        if (!open && !is_loopback(&wanted))
                return -EACCES;
        struct evhttp *http = evhttp_new(loop_base(loop));
        if (!http)
                abort();
        evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
        evhttp_set_max_headers_size(http, 8192);
        evhttp_set_max_body_size(http, 0);
        evhttp_set_timeout(http, 30);
        struct evconnlistener *listener = evconnlistener_new_bind(
            loop_base(loop), NULL, NULL, LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE,
            16, (struct sockaddr *)&wanted, size);
        int port = listener ? loop_address_port(evconnlistener_get_fd(listener)) : -errno;
        if (port < 0) {
                evhttp_free(http);
                return port;
        }
        if (!evhttp_bind_listener(http, listener))
                abort();
        struct loop_admin *admin = mem_zalloc(sizeof(*admin));
        *admin = (struct loop_admin){.http = http, .pages = pages, .arg = arg};
        evhttp_set_gencb(http, on_request, admin);
        *ret_admin = admin;
        *ret_port = port;
        return 0;
}

struct loop_admin *loop_admin_free(struct loop_admin *admin)
{
        if (admin)
                evhttp_free(admin->http);
        free(admin);
        return NULL;
}
