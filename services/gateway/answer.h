/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers on their way out: what every one of them carries, JSON from a message, problems, gzip, entity tags.
 */
#pragma once

#include "services/gateway/request.h"

#define ANSWER_GZIP_FROM 1400 /* bytes: below, it fits one packet anyway */

/* Header fields in the making; values in the request's arena or static. */
struct head {
        struct http_field fields[28];
        size_t n;
        const char *vary[4];
        size_t n_vary;
};
void head_add(struct head *head, const char *name, struct str value);
void head_vary(struct head *head, const char *name);
/* What every answer carries: request id, timing, rate, CORS, Vary, nosniff. Call it last. */
void head_common(struct head *head, struct request *request);

const char *answer_allow(struct request *request); /* what may be done with the request's path */
/* The method's output, packed. */
void answer_output(struct request *request, struct str packed);
void answer_message(struct request *request, const ProtobufCMessage *message);
void answer_problem(struct request *request, const struct problem *problem, uint32_t retry_after_ms);
/* A problem with up to one argument. */
void answer_refusal(struct request *request, Nuanxin__Problem value, const char *arg);
/* 204 to OPTIONS. */
void answer_options(struct request *request);
/* For what the HTTP layer refused. */
void answer_refused(struct worker *worker, const struct http_request *http, int status, struct buf *body,
                    const char **ret_content_type);
