/* SPDX-License-Identifier: Apache-2.0
 *
 * The process's ZeroMQ context: its threads, its security, its counters, its end.
 */
#include "common/bus/bus_internal.h"

#include <stdlib.h>

int bus_new(const struct bus_options *options, struct bus **ret_bus, const char **ret_error)
{
        _cleanup_(bus_freep) struct bus *bus = mem_zalloc(sizeof(*bus));
        bus->context = zmq_ctx_new();
        if (!bus->context) {
                *ret_error = "no ZeroMQ context to be had";
                return -zmq_errno();
        }
        zmq_ctx_set(bus->context, ZMQ_IO_THREADS, options->io_threads > 0 ? options->io_threads : 1);
        /* A link is three: its DEALER and both ends of its monitor. */
        zmq_ctx_set(bus->context, ZMQ_MAX_SOCKETS, 4096);
        if (options->curve_folder) {
                /* The ZAP handler stands before any server socket: without one libzmq lets everybody in. */
                int r = security_new(bus->context, options, &bus->security, ret_error);
                if (r < 0)
                        return r;
        }
        *ret_bus = TAKE(bus);
        return 0;
}

struct bus *bus_free(struct bus *bus)
{
        if (!bus)
                return NULL;
        if (bus->context)
                zmq_ctx_shutdown(bus->context);
        if (bus->security)
                security_stop(bus->security);
        /* Waits for what bus_server_free left to be sent, at most its linger time. */
        while (bus->context && zmq_ctx_term(bus->context) < 0 && zmq_errno() == EINTR)
                ;
        security_free(bus->security);
        free(bus);
        return NULL;
}

int64_t bus_malformed_total(const struct bus *bus)
{
        return atomic_load_explicit(&bus->malformed, memory_order_relaxed);
}

int64_t bus_dropped_total(const struct bus *bus)
{
        return atomic_load_explicit(&bus->dropped, memory_order_relaxed);
}
