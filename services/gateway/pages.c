/* SPDX-License-Identifier: Apache-2.0
 *
 * The fixed pages.
 */
#include "services/gateway/pages.h"

#include "services/gateway/etag.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGES 4

struct page {
        const char *path, *content_type;
        struct str plain;
        struct buf gzip;
        char tag[24], gzip_tag[24]; /* with their quotes */
};

struct pages {
        struct page items[PAGES];
};

static void page_make(struct page *p, const char *path, const char *content_type, struct str plain)
{
        p->path = path;
        p->content_type = content_type;
        p->plain = plain;
        http_gzip(&p->gzip, plain, 9);
        char hash[17];
        uint64_t h = str_hash(plain);
        hex_encode(hash, &h, sizeof(h));
        snprintf(p->tag, sizeof(p->tag), "\"%s\"", hash);
        snprintf(p->gzip_tag, sizeof(p->gzip_tag), "\"%s" ETAG_GZIP "\"", hash);
}

struct pages *pages_new(void)
{
        struct pages *p = mem_zalloc(sizeof(*p));
        page_make(&p->items[0], "/openapi.json", "application/json",
                  (struct str){contract_openapi_json, contract_openapi_json_size});
        page_make(&p->items[1], "/asyncapi.json", "application/json",
                  (struct str){contract_asyncapi_json, contract_asyncapi_json_size});
        page_make(&p->items[2], "/docs", "text/html; charset=utf-8",
                  (struct str){contract_docs_html, contract_docs_html_size});
        page_make(&p->items[3], "/", "application/json",
                  STR("{\"name\":\"Nuanxin\",\"openapi\":\"/openapi.json\",\"asyncapi\":\"/asyncapi.json\",\"docs\":\"/docs\"}"));
        return p;
}

struct pages *pages_free(struct pages *p)
{
        for (size_t i = 0; p && i < PAGES; i++)
                buf_done(&p->items[i].gzip);
        free(p);
        return NULL;
}

static void page_answer(const struct page *p, struct request *r)
{
        struct head h = {0};
        struct str accept = r->headers.values[HEADER_ACCEPT_ENCODING];
        struct str none_match = r->headers.values[HEADER_IF_NONE_MATCH];
        struct str value = {p->tag + 1, strlen(p->tag) - 2};
        struct etag_list list;
        bool gzip = p->gzip.n < p->plain.n && accept.p && http_accepts_gzip(accept);
        bool seen = none_match.p && etag_list_parse(none_match, &list) == 0 && etag_list_has(&list, value, true);

        head_add(&h, "ETag", str_of(gzip ? p->gzip_tag : p->tag));
        head_add(&h, "Cache-Control", STR("public, max-age=60"));
        head_add(&h, "Content-Security-Policy",
                 STR("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
                     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"));
        head_vary(&h, "Accept-Encoding");
        if (!seen) {
                head_add(&h, "Content-Type", str_of(p->content_type));
                if (gzip)
                        head_add(&h, "Content-Encoding", STR("gzip"));
        }
        head_common(&h, r);
        const struct http_answer answer = {.status = seen ? 304 : 200, .fields = h.fields, .n_fields = h.n,
                                           .body = seen   ? (struct str){NULL, 0}
                                                   : gzip ? buf_str(&p->gzip)
                                                          : p->plain,
                                           .body_static = !seen};
        struct http_request *http = r->http;
        request_done(r, (unsigned)answer.status);
        http_answer(http, &answer);
}

bool pages_answer(const struct pages *pages, struct request *r)
{
        for (size_t i = 0; i < PAGES; i++) {
                if (!str_is(r->http->path, pages->items[i].path))
                        continue;
                r->allow = "GET, HEAD, OPTIONS";
                if (r->http->method == HTTP_GET || r->http->method == HTTP_HEAD)
                        page_answer(&pages->items[i], r);
                else if (r->http->method == HTTP_OPTIONS)
                        answer_options(r);
                else
                        answer_refusal(r, NUANXIN__PROBLEM__PROBLEM_METHOD_NOT_ALLOWED, NULL);
                return true;
        }
        return false;
}
