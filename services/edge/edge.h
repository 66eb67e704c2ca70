/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the edge share: the process's parts, and its counters. Everything runs on one loop's thread.
 */
#pragma once

#include "common/base/config.h"
#include "common/base/metric.h"
#include "common/bus/door.h"
#include "common/rpc/client.h"
#include "services/edge/agencies.h"
#include "services/edge/grammar.h"

struct fetches;
struct edge_keys;

struct edge {
        /* options */
        const char *listen, *key, *bus_folder, *curve, *admin, *instance, *log_level;
        bool admin_open;
        struct config_list peers;
        int64_t io_threads, memory_mib;

        struct loop *loop;
        struct metric_registry *metrics;
        struct bus *inside, *outside; /* to the stream; to the agencies: contexts of their own, as each has its own ZAP handler */
        struct bus_door *door;
        struct rpc_client *rpc;
        struct agencies *agencies;
        struct fetches *fetches;
        struct edge_keys *keys;
        bool draining;
        struct {
                struct metric *fetches, *batches, *event_bytes, *asked_again, *undelivered, *strangers, *cuts[BUS_DOOR_CUTS], **refusals;
                struct metric *connections, *unspoken, *unsent_bytes, *in_flight, *keys;
        } count;
};

/* --- fetches (fetch.c) --------------------------------------------------------------------------------------------- */

struct fetches *fetches_new(void);
struct fetches *fetches_free(struct fetches *fetches); /* without answering */
/* As bus_door_ops. */
void fetches_message(struct edge *edge, uint64_t connection, const char *name, const struct str *parts, size_t n);
void fetches_gone(struct edge *edge, uint64_t connection);
void fetches_drain(struct edge *edge); /* all that wait are told to come again */
size_t fetches_in_flight(const struct edge *edge);

/* --- keys (keys.c) ------------------------------------------------------------------------------------------------- */

/* Follows the stream's list of keys, and lets those in at the door. */
struct edge_keys *edge_keys_new(struct edge *edge);
struct edge_keys *edge_keys_free(struct edge_keys *keys);
bool edge_keys_known(const struct edge_keys *keys); /* a list has come */

/* --- the edge's key (secret.c) --------------------------------------------------------------------------------------- */

/* Makes it if there is none. -EINVAL: no key, or one that others may read. */
int secret_open(const char *path, char ret_secret[CURVE_KEY_SIZE]) MUST_USE;

/* --- counters (count.c) ---------------------------------------------------------------------------------------------- */

void count_init(struct edge *edge);
void count_look(struct edge *edge); /* at what changes without being told */
void count_refusal(struct edge *edge, Nuanxin__Problem problem);
