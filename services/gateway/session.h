/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions and API keys as Redis keeps them (ask.c says in which shape): opening, closing, keeping what membership said
 * of an API key, and revoking by generation. Every change that ends something is told on the channel "session".
 */
#pragma once

#include "services/gateway/callers.h"

#define SESSION_IDLE_US     (30 * CLOCK_MINUTE_US)
#define SESSION_ABSOLUTE_US (12 * CLOCK_HOUR_US)
#define SESSION_KEY_US      (60 * CLOCK_SECOND_US) /* how long an API key is believed without asking membership */
#define SESSION_CHANNEL     "session"
#define SESSION_ALL         "*" /* told: all sessions ended */

/* Opens a session of `principal` under `token`. client_generation: of the app backend that opens it, or 0. done is
 * called as by cache_command. */
void session_open(struct callers *callers, struct str token, const Nuanxin__Internal__V1__Principal *principal,
                  uint64_t client_generation, int64_t until_us, cache_reply_fn done, void *arg);

/* Forgets the caller's session everywhere. */
void session_close(struct callers *callers, struct caller *caller, cache_reply_fn done, void *arg);

/* Redis is there again, and may have lost its last moments (another one took over, or it fell): what this gateway
 * closed in the last minute is closed there once more. Revocations need no such thing: membership's events say them
 * again from a cursor that Redis lost with them. */
void session_close_again(struct callers *callers);

/* An API key that membership vouched for. */
void session_keep_key(struct callers *callers, const struct caller *caller);

/* Whatever `id` (account, member, client) was given before this generation ends. */
void session_revoke(struct callers *callers, struct str id, uint64_t generation, cache_reply_fn done, void *arg);

/* All sessions and keys that Redis has been given up to now end: what revoked some of them can't be known. */
void session_end_all(struct callers *callers, cache_reply_fn done, void *arg);
