/* SPDX-License-Identifier: Apache-2.0
 *
 * What must be right before anything starts: the folder, its lock, the port, the keyring. Each failure is one line on
 * standard error that says what to do, and a negative errno.
 */
#pragma once

#include "common/base/arena.h"

#include <limits.h>

/* Makes the folder and what stands in it (bus, store, log, redis, checkpoints, edge), all mode 0700. ret_path: its real path. */
int prepare_folder(const char *var, char ret_path[PATH_MAX]) MUST_USE;

/* One stack a folder: a lock until *ret_fd is closed, here and by the processes that inherit it (waited for, up to 30 s,
 * if their runner was killed); who holds it stands in the file. var: the real path. */
int prepare_lock(const char *var, const char *http, int *ret_fd) MUST_USE;

/* Listens there; the socket is for all gateways (or edges), so that what waits there survives each of them. address:
 * "127.0.0.1:8080", "[::1]:8080"; variable: by which `make run` is told another, "HTTP". */
int prepare_port(const char *variable, const char *address, int *ret_fd) MUST_USE;

/* A keyring in var/keys: made if there is none and no store that was sealed with one. store_elsewhere: not in var, so
 * that nobody can tell. */
int prepare_keys(const char *var, bool store_elsewhere) MUST_USE;

/* Credentials of a store that is gone would be shown and work nowhere: they are set aside, and the seed makes new ones. */
int prepare_credentials(const char *var, const char *const *services, size_t n) MUST_USE;
