/* SPDX-License-Identifier: Apache-2.0
 *
 * A table of agencies by their id.
 */
#include "services/edge/agencies.h"

#include <stdio.h>
#include <stdlib.h>

enum { BUCKETS = 256 };

struct agencies {
        struct agency *buckets[BUCKETS];
};

static struct agency **find(struct agencies *agencies, struct str id)
{
        struct agency **at = &agencies->buckets[str_hash(id) % BUCKETS];
        while (*at && !str_is(id, (*at)->id))
                at = &(*at)->next;
        return at;
}

struct agency *agencies_get(struct agencies *agencies, struct str id)
{
        struct agency **at = find(agencies, id);
        if (!*at) {
                *at = mem_zalloc(sizeof(**at));
                snprintf((*at)->id, sizeof((*at)->id), "%.*s", (int)id.n, id.p);
        }
        return *at;
}

void agencies_settle(struct agencies *agencies, struct agency *agency)
{
        struct agency **at = find(agencies, str_of(agency->id));
        if (agency->in_flight || agency->n_connections)
                return;
        *at = agency->next;
        free(agency);
}

bool agency_joined_by(struct agency *agency, uint64_t connection)
{
        for (size_t i = 0; i < agency->n_connections; i++)
                if (agency->connections[i] == connection)
                        return true;
        if (agency->n_connections == AGENCY_CONNECTIONS_MAX)
                return false;
        agency->connections[agency->n_connections++] = connection;
        return true;
}

static bool left_by(struct agency *agency, uint64_t connection)
{
        for (size_t i = 0; i < agency->n_connections; i++)
                if (agency->connections[i] == connection) {
                        agency->connections[i] = agency->connections[--agency->n_connections];
                        return true;
                }
        return false;
}

void agencies_left_by(struct agencies *agencies, uint64_t connection)
{
        for (size_t i = 0; i < BUCKETS; i++)
                for (struct agency *agency = agencies->buckets[i]; agency; agency = agency->next)
                        if (left_by(agency, connection)) {
                                agencies_settle(agencies, agency);
                                return;
                        }
}

size_t agency_busy(const struct agency *agency, struct bus_door *door)
{
        uint64_t bytes = 0;
        for (size_t i = 0; i < agency->n_connections; i++)
                bytes += bus_door_unsent(door, agency->connections[i]);
        return agency->in_flight + bytes / AGENCY_ANSWER_BYTES;
}

struct agencies *agencies_new(void)
{
        return mem_zalloc(sizeof(struct agencies));
}

struct agencies *agencies_free(struct agencies *agencies)
{
        for (size_t i = 0; agencies && i < BUCKETS; i++)
                for (struct agency *agency; (agency = agencies->buckets[i]);) {
                        agencies->buckets[i] = agency->next;
                        free(agency);
                }
        free(agencies);
        return NULL;
}
