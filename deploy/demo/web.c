/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl's easy interface, with patience.
 */
#include "deploy/demo/web.h"
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/json/transcode.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PATIENCE_US (60 * CLOCK_SECOND_US)
#define MOST_BYTES  (256u << 20)

struct web {
        CURL *curl;
        char address[128], authorization[256];
        struct buf body;
        long retry_after;
        char problem[80];
};

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
        struct web *w = arg;
        if (w->body.n + size * n > MOST_BYTES)
                return 0;
        buf_add(&w->body, p, size * n);
        return size * n;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
        struct web *w = arg;
        struct str value = {p, size * n};
        struct str name = str_cut(&value, ':');
        int64_t seconds;
        while (value.n && (value.p[value.n - 1] == '\r' || value.p[value.n - 1] == '\n'))
                value.n--;
        if (str_case_eq(name, STR("retry-after")) && str_to_i64(str_trim(value), 0, 3600, &seconds) == 0)
                w->retry_after = (long)seconds;
        return size * n;
}

struct web *web_new(const char *address, const char *bearer)
{
        struct web *w = mem_zalloc(sizeof(*w));
        w->curl = curl_easy_init();
        if (!w->curl)
                abort();
        snprintf(w->address, sizeof(w->address), "%s", address);
        if (bearer)
                snprintf(w->authorization, sizeof(w->authorization), "Authorization: Bearer %s", bearer);
        curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(w->curl, CURLOPT_WRITEDATA, w);
        curl_easy_setopt(w->curl, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(w->curl, CURLOPT_HEADERDATA, w);
        curl_easy_setopt(w->curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(w->curl, CURLOPT_TIMEOUT, 60L);
        curl_easy_setopt(w->curl, CURLOPT_NOPROXY, "*");
        return w;
}

struct web *web_free(struct web *w)
{
        if (w) {
                curl_easy_cleanup(w->curl);
                buf_done(&w->body);
                free(w);
        }
        return NULL;
}

static void read_problem(struct web *w)
{
        static const char mark[] = "urn:nuanxin:problem:";
        const char *at = w->body.n ? memmem(w->body.p, w->body.n, mark, sizeof(mark) - 1) : NULL;
        w->problem[0] = '\0';
        if (!at)
                return;
        struct str rest = {at + sizeof(mark) - 1, w->body.n - (size_t)(at - w->body.p) - (sizeof(mark) - 1)};
        struct str name = str_cut(&rest, '"');
        snprintf(w->problem, sizeof(w->problem), "%.*s", (int)name.n, name.p);
}

static struct curl_slist *headers_of(const struct web *w, bool has_body, const char *content_type, const char *accept)
{
        char line[300], key[ID_TEXT_SIZE];
        struct clock clock = {0};
        struct curl_slist *headers = NULL;

        if (w->authorization[0])
                headers = curl_slist_append(headers, w->authorization);
        if (has_body) {
                id_new(key, clock_now_us(&clock));
                snprintf(line, sizeof(line), "Content-Type: %s", content_type ? content_type : "application/json");
                headers = curl_slist_append(headers, line);
                snprintf(line, sizeof(line), "Idempotency-Key: %s", key);
                headers = curl_slist_append(headers, line);
        }
        if (accept) {
                snprintf(line, sizeof(line), "Accept: %s", accept);
                headers = curl_slist_append(headers, line);
        }
        return curl_slist_append(headers, "Expect:");
}

int web_call(struct web *w, const char *method, const char *path, const struct str *body, const char *content_type,
             const char *accept, struct web_answer *ret)
{
        char url[1024];
        struct curl_slist *headers = headers_of(w, body != NULL, content_type, accept);
        int64_t give_up = clock_monotonic_us() + PATIENCE_US;
        CURLcode code;
        long status = 0;

        snprintf(url, sizeof(url), "http://%s%s", w->address, path);
        curl_easy_setopt(w->curl, CURLOPT_URL, url);
        curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(w->curl, CURLOPT_CUSTOMREQUEST, method);
        curl_easy_setopt(w->curl, CURLOPT_NOBODY, 0L);
        curl_easy_setopt(w->curl, body ? CURLOPT_POST : CURLOPT_HTTPGET, 1L);
        if (body) {
                curl_easy_setopt(w->curl, CURLOPT_POSTFIELDS, body->p);
                curl_easy_setopt(w->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->n);
        }
        for (;;) {
                w->body.n = 0;
                w->retry_after = 1;
                code = curl_easy_perform(w->curl);
                curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
                bool again = code != CURLE_OK || status == 429 || status == 503;
                if (!again || clock_monotonic_us() > give_up)
                        break;
                nanosleep(&(struct timespec){.tv_sec = code == CURLE_OK ? w->retry_after : 0, .tv_nsec = 50 * 1000 * 1000}, NULL);
        }
        curl_slist_free_all(headers);
        if (code != CURLE_OK) {
                fprintf(stderr, "%s http://%s%s: %s\n", method, w->address, path, curl_easy_strerror(code));
                return -EIO;
        }
        read_problem(w);
        *ret = (struct web_answer){(int)status, buf_str(&w->body), w->problem};
        return 0;
}

int web_message(struct web *w, const char *method, const char *path, const struct str *body, struct arena *arena,
                const struct contract_message *type, void *ret_message)
{
        struct web_answer answer;
        struct violations violations = {0};

        int r = web_call(w, method, path, body, NULL, NULL, &answer);
        if (r < 0)
                return r;
        if (answer.status / 100 != 2) {
                fprintf(stderr, "%s %s: %d %.*s\n", method, path, answer.status, (int)answer.body.n, answer.body.p);
                return -EBADMSG;
        }
        if (transcode_from_json(arena, type, answer.body, &violations, ret_message)) {
                fprintf(stderr, "%s %s: the answer is not a %s\n", method, path, type->name);
                return -EBADMSG;
        }
        return 0;
}
