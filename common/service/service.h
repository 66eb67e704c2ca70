/* SPDX-License-Identifier: Apache-2.0
 *
 * A service process's life: options, store and keyring, becoming reader or writer (standby takeover), the bus
 * socket, the registry, the admin port (/metrics, /livez, /readyz), sd_notify (READY, STOPPING, WATCHDOG), SIGTERM's
 * drain. A service's main.c is its manual, its tables and one call of service_main().
 */
#pragma once

#include "common/base/config.h"
#include "common/rpc/server.h"

struct service_spec {
        const struct rpc_service *rpc;
        const char *about; /* the manual: what it serves, what it needs, its limits */
        const struct config_option *options; /* its own beyond the shared ones; or NULL */
        /* Makes what handlers read by rpc_state(); once, before the first request. A line for a person on failure. */
        int (*start)(void **ret_state, const char **ret_error);
        void (*stop)(void *state);
        /* FOLDER of a further socket, INSTANCE.sock, on which nothing is taken but what the role "edge" may ask: for that
         * process on this host, which has no business in --bus. It, and what it points to, may be NULL. */
        const char *const *edge_bus;
};

/* Shared options: --instance ID, --store URL, --redis ADDRESS, --redis-auth PATH, --bus ENDPOINT or FOLDER, --advertise ENDPOINT,
 * --curve FOLDER, --keys FOLDER, --admin ADDRESS, --peer SERVICE=ENDPOINT, --read-threads N, --slow-threads N,
 * --write-threads N, --write-batch N, --clock-file PATH, --log-level LEVEL. Returns the process's exit status. */
int service_main(const struct service_spec *spec, int argc, char **argv);

/* sd_notify(3)'s protocol: one datagram to $NOTIFY_SOCKET, if it is set. state: "READY=1". */
void service_notify(const char *state);
/* sd_listen_fds(3)'s: "fd:3" if the service manager lends this process the one socket it listens on, else address. */
const char *service_listen_address(const char *address);
