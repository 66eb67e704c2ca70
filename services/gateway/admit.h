/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose request it is, and whether that caller may have one more: before anything of the request is decoded.
 */
#pragma once

#include "services/gateway/request.h"

/* True: it may go on. False: it waits (request_go comes) or has been answered. */
bool admit(struct request *request);
/* A sign-in also counts against the account that it names. */
bool admit_account(struct request *request, struct str login);
