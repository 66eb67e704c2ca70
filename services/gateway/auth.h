/* SPDX-License-Identifier: Apache-2.0
 *
 * Credentials: Authorization: Bearer, with a session's token or an API key ("nxk_…"), and asking membership whose API
 * key it is.
 */
#pragma once

#include "services/gateway/request.h"

enum auth_kind { AUTH_NONE, AUTH_SESSION, AUTH_KEY, AUTH_BAD };
/* Pure. ret_credential: of AUTH_SESSION and AUTH_KEY. */
enum auth_kind auth_credential(struct str authorization, struct str *ret_credential);

/* Membership has not refused this key just now. */
bool auth_may_fetch(const struct worker *worker, const struct caller *key);
/* done: 0 the key is good and the caller ALIVE; 1 it is nobody's; -errno membership can't be asked. */
void auth_fetch(struct request *request, void (*done)(void *request, int outcome));
