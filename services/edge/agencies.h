/* SPDX-License-Identifier: Apache-2.0
 *
 * What each agency has here now, over all its connections: for its credits.
 */
#pragma once

#include "common/bus/door.h"

#define AGENCY_FETCHES_MAX     8  /* in flight: without an answer, or with one of these many bytes on its way to its host */
#define AGENCY_ANSWER_BYTES    (1 << 20)
#define AGENCY_CONNECTIONS_MAX 16

struct agency {
        char id[64];
        unsigned in_flight; /* fetches without an answer yet */
        uint64_t connections[AGENCY_CONNECTIONS_MAX];
        size_t n_connections;
        int64_t said_us; /* when the log last heard of a refusal to it */
        struct agency *next; /* in its bucket */
};

struct agencies;
struct agencies *agencies_new(void);
struct agencies *agencies_free(struct agencies *agencies);

/* Found or made. It lives as long as it has a connection or something in flight: until agencies_settle. */
struct agency *agencies_get(struct agencies *agencies, struct str id);
/* Is the connection one of its? Not if it has too many others. */
bool agency_joined_by(struct agency *agency, uint64_t connection);
void agencies_left_by(struct agencies *agencies, uint64_t connection);
/* Forgets it if it has nothing here. */
void agencies_settle(struct agencies *agencies, struct agency *agency);

/* How many of its fetches are in flight. */
size_t agency_busy(const struct agency *agency, struct bus_door *door);
