/* SPDX-License-Identifier: Apache-2.0
 *
 * nuanxin-edge: where other agencies fetch events over ZeroMQ. Its manual is `about`.
 */
#include "common/base/log.h"
#include "services/edge/process.h"

#include <stdio.h>
#include <unistd.h>

static const char about[] =
        "Answers fetches of registered agencies over ZeroMQ with CURVE, as proto/nuanxin/stream/v1/edge.proto says: an agency's\n"
        "DEALER or REQ sends FETCH and gets a BATCH of CloudEvents, or is REFUSED by name. Each fetch is asked of the stream\n"
        "service, which alone decides what the agency may see. Complete subscribers: deploy/subscribers.\n"
        "\n"
        "This process alone is reached by strangers. It has no store and no keyring: one secret key, by which agencies know it\n"
        "(made at the first start; back it up), and a limit of memory. Several may run side by side with the same key; an agency\n"
        "connects to all of them. Instances of the stream on this host are found in --bus (best the stream's --edge-bus), others\n"
        "are given by --peer: it has nothing to do with Redis, where sessions are.\n"
        "\n"
        "Only keys that `nuanxin agency` has registered get past the handshake; the list is the stream's, followed at once.\n"
        "Limits for an agency: 8 fetches in flight, 16 connections, 64 KiB a fetch. Cut is who sends a frame or an unfinished\n"
        "message beyond 1 MiB, takes nothing for 30 s, or says nothing in his first 30 s; 512 such at most.\n"
        "\n"
        "SIGTERM drains: nobody new comes in, who waits is told to come again at once, answers leave (at most 5 s).\n";

int main(int argc, char **argv)
{
        struct edge edge, *e = &edge;
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        *e = (struct edge){.listen = "tcp://127.0.0.1:9080", .key = "var/edge.key", .admin = "127.0.0.1:0",
                           .instance = "edge-1", .log_level = "info", .io_threads = cpus < 8 ? 1 : 2, .memory_mib = 256};
        const struct config_option options[] = {
                {"listen", "ENDPOINT", "where agencies connect (default: tcp://127.0.0.1:9080)", CONFIG_TEXT, &e->listen, 0, 0},
                {"key", "PATH", "the edge's CURVE secret key, mode 0600; made if it is not there (default: var/edge.key)", CONFIG_TEXT, &e->key, 0, 0},
                {"bus", "FOLDER", "the sockets of this host: every stream instance there is asked", CONFIG_TEXT, &e->bus_folder, 0, 0},
                {"peer", "stream=ENDPOINT", "a stream instance on another host; may be repeated", CONFIG_LIST, &e->peers, 0, 0},
                {"curve", "FOLDER", "CURVE keys for those: FOLDER/edge is this process's (default: none)", CONFIG_TEXT, &e->curve, 0, 0},
                {"admin", "ADDRESS", "loopback port of /metrics, /livez, /readyz (default: 127.0.0.1:0)", CONFIG_TEXT, &e->admin, 0, 0},
                {"admin-open", NULL, "--admin may be off loopback: only where a network policy says who reaches it", CONFIG_FLAG, &e->admin_open, 0, 0},
                {"instance", "ID", "this edge's name (default: edge-1)", CONFIG_TEXT, &e->instance, 0, 0},
                {"io-threads", "N", "threads that encrypt and decrypt (default: 1; 2 from 8 CPUs on)", CONFIG_INT, &e->io_threads, 1, 16},
                {"memory-mib", "N", "the limit of its memory; a quarter may wait for slow agencies (default: 256)", CONFIG_INT, &e->memory_mib, 64, 65536},
                {"log-level", "LEVEL", "debug, info, warning or error (default: info)", CONFIG_TEXT, &e->log_level, 0, 0},
                {0},
        };
        const struct config_option *const tables[] = {options};
        enum log_level level;
        int r = config_parse("nuanxin-edge [options]", about, tables, 1, argc, argv, NULL);
        if (r)
                return r == CONFIG_E_HELP ? 0 : 2;
        if (!log_level_parse(e->log_level, &level)) {
                fprintf(stderr, "--log-level=%s: give debug, info, warning or error\n", e->log_level);
                return 2;
        }
        log_init("edge", level);
        return edge_run(e);
}
