/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP requests to addresses that strangers have named (libcurl), in a thread of its own: names are looked up, connections
 * made and answers read there, and nothing of it holds up the loop, or one request another.
 *
 * What it keeps: https with a certificate that is trusted; no redirect is followed, no proxy asked, no cookie kept; a
 * connection is made to a public address only, checked as it is made, so that what a name means cannot change in between;
 * of the answer only the status and a few fields count, and no more than 64 KiB are read.
 */
#pragma once

#include "common/loop/loop.h"

struct outbound;
struct outbound_call;

struct outbound_options {
        struct loop *loop;
        bool allow_loopback;     /* for tests: this host's own addresses, and plain http to them */
        const char *authorities; /* a PEM file with certificates to trust beside the system's, or NULL */
        const char *agent;       /* User-Agent */
};
int outbound_new(const struct outbound_options *options, struct outbound **ret_outbound) MUST_USE;
struct outbound *outbound_free(struct outbound *outbound); /* what is under way ends; done does not run; takes NULL */

#define OUTBOUND_FIELDS     4
#define OUTBOUND_FIELD_SIZE 256

/* All is copied. */
struct outbound_request {
        const char *method; /* "POST" */
        const char *url;
        const char *const *fields; /* "Name: value", NULL-terminated */
        struct str body;
        int64_t timeout_us;        /* of all: the look-up, the connection, the answer */
        const char *wanted[OUTBOUND_FIELDS]; /* names of the answer's fields that shall be told; NULL: no more */
};

struct outbound_result {
        unsigned status;   /* of the answer; 0: none came */
        const char *error; /* a phrase without data if no answer came, or none to its end; else "" */
        int64_t took_us;
        char fields[OUTBOUND_FIELDS][OUTBOUND_FIELD_SIZE]; /* as wanted; "": it is not there, or too long */
};
typedef void (*outbound_done_fn)(void *arg, const struct outbound_result *result); /* lent; on the loop */

/* done runs once, never before this returns. */
struct outbound_call *outbound_send(struct outbound *outbound, const struct outbound_request *request, outbound_done_fn done,
                                    void *arg);
void outbound_cancel(struct outbound_call *call); /* done will not run */

/* May this URL be asked at all? NULL, or a phrase that says why not. What its name stands for is known only when it is asked. */
const char *outbound_url_refusal(const char *url, bool allow_loopback);

/* A Retry-After (RFC 9110, 10.2.3): how long from now; -1: it is none. */
int64_t outbound_retry_after_us(const char *value, int64_t now_us);
