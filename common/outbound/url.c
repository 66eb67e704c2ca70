/* SPDX-License-Identifier: Apache-2.0
 *
 * What a URL says of itself, before anybody is asked: as the library reads it that will send to it.
 */
#include "common/outbound/address.h"
#include "common/outbound/outbound.h"

#include "common/base/clock.h"

#include <curl/curl.h>
#include <stdlib.h>

#define RETRY_MOST_S 31536000 /* nobody waits for longer than a year */

static const char *host_refusal(struct str host, bool allow_loopback, bool plain)
{
        enum address_kind kind;
        struct str dotless = host;
        while (dotless.n && dotless.p[dotless.n - 1] == '.')
                dotless.n--;
        bool is_address = address_kind_of_text(host, &kind);
        size_t n = dotless.n, local = sizeof(".localhost") - 1;
        if (str_case_eq(dotless, STR("localhost")) ||
            (n > local && str_case_eq((struct str){dotless.p + n - local, local}, STR(".localhost"))))
                kind = ADDRESS_LOOPBACK;
        else if (!is_address)
                return n == 0 ? "it names no host" : NULL;
        if (kind == ADDRESS_LOOPBACK)
                return allow_loopback ? NULL : "it is this host itself";
        if (kind == ADDRESS_OTHER)
                return "it is no public address";
        return plain ? "it is not https" : NULL;
}

static const char *refusal(CURLU *u, bool allow_loopback)
{
        char *scheme = NULL, *host = NULL, *fragment = NULL;
        const char *why = "it is no URL";
        if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
                bool plain = strcmp(scheme, "http") == 0;
                if (strcmp(scheme, "https") != 0 && !(plain && allow_loopback))
                        why = "it is not https";
                else if (curl_url_get(u, CURLUPART_FRAGMENT, &fragment, 0) == CURLUE_OK)
                        why = "it has a fragment";
                else
                        why = host_refusal(str_of(host), allow_loopback, plain);
        }
        curl_free(scheme);
        curl_free(host);
        curl_free(fragment);
        return why;
}

const char *outbound_url_refusal(const char *url, bool allow_loopback)
{
        for (const char *p = url; *p; p++)
                if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
                        return "it has characters that a URL cannot have";
        CURLU *u = curl_url();
        if (!u)
                abort();
        CURLUcode r = curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER);
        const char *why = r == CURLUE_USER_NOT_ALLOWED ? "it names a user"
                          : r == CURLUE_UNSUPPORTED_SCHEME ? "it is not https"
                          : r != CURLUE_OK               ? "it is no URL"
                                                         : refusal(u, allow_loopback);
        curl_url_cleanup(u);
        return why;
}

int64_t outbound_retry_after_us(const char *value, int64_t now_us)
{
        int64_t seconds;
        int r = str_to_i64(str_of(value), 0, RETRY_MOST_S, &seconds);
        if (r == 0)
                return seconds * CLOCK_SECOND_US;
        if (r == -ERANGE)
                return value[0] == '-' ? -1 : RETRY_MOST_S * CLOCK_SECOND_US;
        time_t date = value[0] >= 'A' && value[0] <= 'Z' ? curl_getdate(value, NULL) : -1;
        if (date < 0)
                return -1;
        if ((int64_t)date > now_us / CLOCK_SECOND_US + RETRY_MOST_S)
                return RETRY_MOST_S * CLOCK_SECOND_US;
        int64_t wait_us = (int64_t)date * CLOCK_SECOND_US - now_us;
        return wait_us > 0 ? wait_us : 0;
}
