/* SPDX-License-Identifier: Apache-2.0
 *
 * What every process has to do with other hosts, opened alike: the bus with its role's CURVE keys, and the address
 * under which others find a socket.
 */
#pragma once

#include "common/bus/bus.h"

/* curve: the folder with a folder for each role, or NULL: only this host. What becomes of keys goes to the log. */
int outside_bus(const char *curve, const char *role, struct bus **ret_bus, const char **ret_error) MUST_USE;

/* Where callers find what is bound to `bound`: the advertised endpoint (host and port of others' view, the bound port
 * for "*"), or itself. -EINVAL with a line: it is bound to every address, and none is advertised. */
int outside_endpoint(const char *bound, const char *advertise, char ret_endpoint[128], const char **ret_error) MUST_USE;

/* Why an endpoint cannot be bound or called, for a person; NULL: the error says it all. */
const char *outside_refusal(const char *endpoint, int error);
