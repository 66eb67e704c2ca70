/* SPDX-License-Identifier: Apache-2.0
 *
 * A header field. Apart from http.h, because the parser cannot see that: llhttp.h has an HTTP_GET of its
 * own.
 */
#pragma once

#include "common/base/str.h"

struct http_field {
        struct str name, value; /* value without surrounding blanks */
};
