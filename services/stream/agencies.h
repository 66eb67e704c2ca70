/* SPDX-License-Identifier: Apache-2.0
 *
 * What this process keeps in memory of agencies: their profiles, what is rendered for them, how far they have come. All of
 * it is a copy of what the store has, and checked against it at each use. Any thread.
 */
#pragma once

#include "common/rpc/server.h"
#include "services/stream/segment.h"
#include "services/stream/store_agency.h"

struct agencies;
struct agencies *agencies_new(size_t segment_bytes);
struct agencies *agencies_free(struct agencies *agencies); /* takes NULL */
struct agencies *agencies_of(const struct rpc_call *call); /* state.c */
struct agencies *agencies_in(void *state);                 /* rpc_state's; likewise */
struct segments *agencies_segments(struct agencies *agencies);

/* A buffer to make an answer in: it has grown already, in the answers before. Give it back. */
struct buf agencies_buf_take(struct agencies *agencies);
void agencies_buf_give(struct agencies *agencies, struct buf *buf); /* empties it */

/* --- profiles (profile.c) ----------------------------------------------------------------------------------------------- */

/* An agency as it was at some revision; never changes. */
struct profile {
        const char *id, *agreement;
        struct view_profile view;
        struct view_types allowed;
        const struct projection *projection;
        const struct agency_key *keys;
        size_t n_keys;
        int64_t revision;
};
bool profile_has_key(const struct profile *profile, const char *key);

/* As the transaction sees it, or STREAM_E_ABSENT. id "": everything, for the operator. Give it back. */
int profile_hold(struct agencies *agencies, struct store_conn *db, const char *id, const struct profile **ret) MUST_USE;
void profile_release(struct agencies *agencies, const struct profile *profile); /* takes NULL */

/* --- positions (position.c) ------------------------------------------------------------------------------------------------ */

/* It has come to there; and has it acknowledged what stands up to there? Stored within a second or so. */
void position_note(struct agencies *agencies, const char *agency, const char *transport, int64_t position, bool acknowledges,
                   int64_t now_us);
/* rpc_service's tick: stores what was noted, and the receipts that follow from it; brings the figures up to date. */
int position_tick(struct rpc_call *call, bool *ret_wrote);
/* rpc_service's notes: the same from an instance that only reads. */
extern const struct rpc_notes position_notes;
/* Who reads, into GetLog's answer. */
int position_fill(struct rpc_call *call, int64_t latest, Log *response) MUST_USE;

/* --- what every answer has (agencies.c) ------------------------------------------------------------------------------------- */

/* log_sign, which takes its time: those who wait together are given the same. */
void agencies_sign(struct rpc_call *call, const char epoch[LOG_EPOCH_SIZE], int64_t through, const unsigned char head[CHAIN_SIZE],
                   unsigned char out[SIGNATURE_SIZE]);

/* --- figures ----------------------------------------------------------------------------------------------------------------- */

/* Events sent, and refusals by their names. */
void agencies_count_sent(struct agencies *agencies, struct metric_registry *metrics, const char *transport, size_t n);
void agencies_count_refused(struct metric_registry *metrics, Nuanxin__Problem problem);
