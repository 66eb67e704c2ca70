/* SPDX-License-Identifier: Apache-2.0
 *
 * Entity tags (RFC 9110, 8.8.3) and the lists in If-Match and If-None-Match (13.1). Pure.
 *
 * An answer compressed here has another tag than the plain one: the same with ETAG_GZIP at its end. A tag that comes
 * in with it means the same state, so it is cut off.
 */
#pragma once

#include "common/base/str.h"

#define ETAG_GZIP      "-gzip"
#define ETAG_LIST_MAX  16

struct etag {
        struct str value; /* between the quotes, without ETAG_GZIP */
        bool weak;
};

struct etag_list {
        bool any; /* "*" */
        struct etag tags[ETAG_LIST_MAX];
        size_t n;
};

/* -EINVAL: neither "*" nor a list of one or more tags; -E2BIG: more than ETAG_LIST_MAX. */
int etag_list_parse(struct str text, struct etag_list *ret_list) MUST_USE;
bool etag_list_has(const struct etag_list *list, struct str value, bool weak_too);

/* May this text stand between the quotes? */
bool etag_is_value(struct str value);
