/* SPDX-License-Identifier: Apache-2.0
 *
 * What an answer does to the caller's session before the client gets it (the contract's SessionEffect): Redis keeps the
 * new session, or forgets the old one, first.
 */
#pragma once

#include "services/gateway/request.h"

void finish_session(struct request *request, struct str packed_output);
void finish_forget(struct request *request); /* the client has gone */
