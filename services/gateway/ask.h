/* SPDX-License-Identifier: Apache-2.0
 *
 * What the callers of one loop turn need of Redis, as one call of one script: sessions looked up and tokens taken.
 */
#pragma once

#include "services/gateway/callers.h"

/* Both put one question into this turn's batch and note its serial number in the caller or lease. */
void ask_identity(struct callers *callers, struct caller *caller);
void ask_tokens(struct callers *callers, struct caller *caller, struct lease *lease, int64_t wanted);
/* Another request waits for the same lease: while its question has not left, it may grow. */
void ask_more(struct callers *callers, struct lease *lease);

void ask_free(struct callers *callers);

/* A lease's answers, for callers.c's arithmetic. */
void lease_granted(struct callers *callers, struct caller *caller, struct lease *lease, int64_t wanted, int64_t got,
                   int64_t ahead_us);

/* The name of a session's or key's hash in Redis; out has 80 bytes. */
#define ASK_KEY_SIZE 96
size_t ask_identity_key(char out[ASK_KEY_SIZE], const struct caller *caller);
