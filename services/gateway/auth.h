/* SPDX-License-Identifier: Apache-2.0
 *
 * Credentials: Authorization: Bearer, with a session's token or an API key: an app backend's ("nxk_…"), whose it is
 * membership knows, or an agency's ("nxa_…"), which the stream service knows.
 */
#pragma once

#include "services/gateway/request.h"

enum auth_kind { AUTH_NONE, AUTH_SESSION, AUTH_KEY, AUTH_BAD };
/* Pure. ret_credential: of AUTH_SESSION and AUTH_KEY. */
enum auth_kind auth_credential(struct str authorization, struct str *ret_credential);

/* Asks its service whose key request->who is: once for all requests that wait for it. done, from a later turn: 0 the key
 * is good and its caller ALIVE; 1 it is nobody's; -errno the service can't be asked. */
void auth_fetch(struct request *request);
void auth_fetch_forget(struct request *request); /* it no longer waits */
/* What somebody is told whose credential is nobody's. */
Nuanxin__Problem auth_problem(const struct request *request);
/* A service does not take the agency's key any more (it was revoked, or has expired): no copy of it is believed. */
void auth_refuse(struct request *request);
void auth_fetch_done(struct request *request, int outcome); /* admit.c's */
/* Membership refused this key a moment ago. */
bool auth_refused(const struct worker *worker, const struct caller *key);
