/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscribing to Nuanxin's events over ZeroMQ, for programs of other agencies: fetches batches of CloudEvents after a
 * cursor, connects again when an edge is silent, and reads the present state when the log keeps nothing that old any more.
 *
 * This file and its .c need nothing of Nuanxin but the messages of proto/: link with libnuanxin-subscriber.a, libzmq and
 * libprotobuf-c (`make install` puts them in place, and proto/, which says what an event's data are). A subscriber belongs
 * to one thread at a time. deploy/subscribers/subscriber.c is a complete program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nuanxin_subscriber;

/* endpoints: of the edges, with commas between them: "tcp://edge.example.org:9080". edge_key: their public key, 40 characters
 * of Z85. key_file: the agency's own secret key in its last line. types: which events of those that the agency may see, full
 * names or all below a prefix with ".*", NULL-terminated; none, or NULL: all. 0; -EINVAL: a key or endpoint that is none; or
 * why the file cannot be read. */
int nuanxin_subscriber_new(const char *endpoints, const char *edge_key, const char *key_file, const char *const *types,
                           struct nuanxin_subscriber **ret_subscriber) __attribute__((warn_unused_result));
struct nuanxin_subscriber *nuanxin_subscriber_free(struct nuanxin_subscriber *subscriber); /* takes NULL; returns NULL */
/* How many events a batch may have, at most 1,000 (500), and how many seconds to wait for news, at most 30 (10). */
void nuanxin_subscriber_pace(struct nuanxin_subscriber *subscriber, int max_events, int wait_s);
/* Goes on after this batch, by its cursor; "snapshot": begins with the present state, as whoever has no cursor yet should, and then
 * follows the log; "": with the oldest event that is kept, as without. */
void nuanxin_subscriber_resume(struct nuanxin_subscriber *subscriber, const char *cursor);

/* A CloudEvent. Texts are never NULL. */
struct nuanxin_event {
        const char *id, *source, *type, *subject;
        int64_t sequence; /* in the log's order */
        int64_t time_us;  /* since 1970, UTC */
        const void *data; /* the message named by `type`, packed */
        size_t data_size;
};

struct nuanxin_batch {
        const char *cursor; /* by which to resume after this batch: keep it together with what the events did */
        size_t n_events;    /* may be 0: no news within the wait */
        const struct nuanxin_event *events;
        bool snapshot; /* these give the present state: what is known already may be among them, with the same id */
        /* Looked at was what came after `from`, up to `through`, of which the log has signed the head (ed25519). */
        int64_t from, through, latest;
        const uint8_t *head, *signature;
        size_t head_size, signature_size;
};

struct nuanxin_refusal {
        const char *type; /* "urn:nuanxin:problem:agreement-expired" */
        const char *title, *detail;
        int status; /* as HTTP has it */
};

/* No edge answered: try again; the next attempt is a new connection. A wrong key looks alike: the edge's, or ours is not registered. */
#define NUANXIN_E_SILENT  1
#define NUANXIN_E_REFUSED 2 /* nuanxin_refused() says why; trying again helps only once that is mended */

/* The next batch, which acknowledges the one before: waits for news. What passes by itself (503, 429) is tried again, and who
 * comes too late for the log (410) gets the present state first. 0; NUANXIN_E_…; -EINTR: a signal came. Anything but 0 leaves
 * the subscriber where it was. The batch lives until the next call. */
int nuanxin_next(struct nuanxin_subscriber *subscriber, struct nuanxin_batch *ret_batch) __attribute__((warn_unused_result));
const struct nuanxin_refusal *nuanxin_refused(const struct nuanxin_subscriber *subscriber);
