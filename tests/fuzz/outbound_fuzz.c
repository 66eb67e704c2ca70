/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as an endpoint's URL and as its Retry-After. A URL that is taken is https (or, with the flag, http), names no user,
 * and no address of ours; what is taken without the flag is taken with it.
 */
#include "common/outbound/address.h"
#include "common/outbound/outbound.h"

#include <curl/curl.h>
#include <stdlib.h>

#define YEAR_US INT64_C(31536000000000)

static void check_taken(const char *url, bool allow_loopback)
{
        CURLU *u = curl_url();
        char *scheme = NULL, *host = NULL, *user = NULL;
        enum address_kind kind = ADDRESS_PUBLIC;
        if (!u || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK || curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
            curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK || curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
                abort();
        if (strcmp(scheme, "https") != 0 && !(allow_loopback && strcmp(scheme, "http") == 0))
                abort();
        if (address_kind_of_text(str_of(host), &kind) && kind != ADDRESS_PUBLIC && !(kind == ADDRESS_LOOPBACK && allow_loopback))
                abort();
        curl_free(scheme);
        curl_free(host);
        curl_url_cleanup(u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = mem_strndup((const char *)data, size);
        bool taken = !outbound_url_refusal(text, false), taken_with = !outbound_url_refusal(text, true);
        int64_t wait = outbound_retry_after_us(text, 0);
        if (taken)
                check_taken(text, false);
        if (taken_with)
                check_taken(text, true);
        if ((taken && !taken_with) || wait < -1 || wait > YEAR_US)
                abort();
        free(text);
        return 0;
}
