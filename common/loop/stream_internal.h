/* SPDX-License-Identifier: Apache-2.0
 *
 * What stream.c, listener.c and tls.c share: how a listener makes a stream, and how a stream that is
 * finishing is kept by its listener until it ends.
 */
#pragma once

#include "common/loop/stream.h"

struct ssl_st;

struct stream_list {
        struct stream *first;
        size_t n;
};

/* Takes fd (and ssl, NULL for plain). The list takes the stream when it finishes and outlives it. */
struct stream *stream_new(struct loop *loop, int fd, struct ssl_st *ssl, struct stream_list *finishing);

/* A new server side, or NULL without memory. Any thread. */
struct ssl_st *stream_tls_session(struct stream_tls *tls);
