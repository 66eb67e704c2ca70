/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of common/loop share and nobody else may see: the libevent base under a loop.
 */
#pragma once

#include "common/loop/loop.h"

#include <sys/queue.h>

struct event_base;
struct sockaddr_storage;

/* Lock-free: only the loop's thread may touch it. Hooks of loop_at_turn_end run between two passes over
 * it. */
struct event_base *loop_base(struct loop *loop);

/* What the loop's streams have queued, which their peers do not take. */
struct stream;
struct loop_unsent {
        size_t bytes, most; /* most 0: no bound */
        TAILQ_HEAD(loop_streams, stream) streams; /* that have any */
        struct loop_turn turn; /* set up by whoever sets the bound */
};
struct loop_unsent *loop_unsent(struct loop *loop);

/* "127.0.0.1:8080", "[::1]:0": -EINVAL for anything else, names too. */
int loop_address_parse(const char *text, struct sockaddr_storage *ret_address, int *ret_size) MUST_USE;
int loop_address_port(int fd) MUST_USE; /* that the socket is bound to, or -errno */
