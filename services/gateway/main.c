/* SPDX-License-Identifier: Apache-2.0
 *
 * nuanxin-gateway: the one HTTP/JSON door to all services. Its manual is `about`.
 */
#include "common/base/log.h"
#include "services/gateway/process.h"

#include <stdio.h>
#include <unistd.h>

static const char about[] =
        "Serves the contract's methods (see /docs and /openapi.json) over HTTP/1.1. Each request is checked, counted\n"
        "against its caller's rate, and goes to one service over the bus.\n"
        "\n"
        "Needs Redis for sessions and rates. While it is gone, callers known within the last 60 s go on, within a local\n"
        "share of their rates; others get 503. Services are found through Redis, or given by --peer; it is ready when each has\n"
        "come, or for 10 s one has not. Where one is left out, say so: --without=care.\n"
        "\n"
        "Event streams (text/event-stream) and polls that wait stay open, as many as half of the connections. A client that\n"
        "does not read is cut with 256 KiB unread; it goes on where it was.\n"
        "\n"
        "Limits: header 16 KiB and 100 fields, target 8 KiB, body 1 MiB (imports stream), 10 s for a whole header,\n"
        "bodies at 1 KiB/s at least, 16 requests pipelined, 75 s keep-alive. Sessions: 30 min idle, 12 h at most.\n"
        "\n"
        "Language of problem texts: Accept-Language, zh or en (default en). If-Match takes one strong entity tag; a\n"
        "method without one answers 412. RateLimit fields follow draft-ietf-httpapi-ratelimit-headers-10.\n"
        "\n"
        "SIGTERM drains: no new connections, what is in hand is finished (at most 20 s). SIGHUP reloads --tls-*.\n";

int main(int argc, char **argv)
{
        struct gateway gateway, *g = &gateway;
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        *g = (struct gateway){.http = "127.0.0.1:8080", .redis = "127.0.0.1:6379", .admin = "127.0.0.1:0",
                              .instance = "gateway-1", .log_level = "info", .threads = cpus < 8 ? 1 : 2, .gateways = 1,
                              .max_connections = 10000, .max_streams = 1024, .rate_scale = 1, .header_timeout_ms = 10000,
                              .body_timeout_ms = 10000, .keep_alive_ms = 75000, .write_timeout_ms = 30000};
        const struct config_option options[] = {
                {"http", "ADDRESS", "where to serve (default: 127.0.0.1:8080)", CONFIG_TEXT, &g->http, 0, 0},
                {"tls-certificate", "PATH", "PEM chain: serve HTTPS", CONFIG_TEXT, &g->tls_certificate, 0, 0},
                {"tls-key", "PATH", "its PEM key", CONFIG_TEXT, &g->tls_key, 0, 0},
                {"redis", "ADDRESS", "unix:PATH, HOST:PORT or sentinel://HOST:PORT,…/NAME (default: 127.0.0.1:6379)", CONFIG_TEXT, &g->redis, 0, 0},
                {"redis-auth", "PATH", "file of mode 0600 with lines password TEXT, user NAME, sentinel-password TEXT", CONFIG_TEXT, &g->redis_auth_file, 0, 0},
                {"bus", "FOLDER", "the services' sockets on this host: the first instance of each is known without Redis", CONFIG_TEXT, &g->bus_folder, 0, 0},
                {"curve", "FOLDER", "CURVE keys for services on other hosts: FOLDER/gateway is this process's (default: none)", CONFIG_TEXT, &g->curve, 0, 0},
                {"peer", "SERVICE=ENDPOINT", "a service known without the registry; may be repeated", CONFIG_LIST, &g->peers, 0, 0},
                {"without", "SERVICE", "a service that is not run here: nobody waits for it, but if it comes it is served; may be repeated", CONFIG_LIST, &g->without, 0, 0},
                {"admin", "ADDRESS", "loopback port of /metrics, /livez, /readyz (default: 127.0.0.1:0)", CONFIG_TEXT, &g->admin, 0, 0},
                {"admin-open", NULL, "--admin may be off loopback: only where a network policy says who reaches it", CONFIG_FLAG, &g->admin_open, 0, 0},
                {"instance", "ID", "this gateway's name (default: gateway-1)", CONFIG_TEXT, &g->instance, 0, 0},
                {"threads", "N", "threads that serve (default: 1; 2 from 8 CPUs on)", CONFIG_INT, &g->threads, 1, GATEWAY_THREADS_MAX},
                {"gateways", "N", "gateways that share the load: their share of rates while Redis is gone (default: 1)", CONFIG_INT, &g->gateways, 1, 1000},
                {"cors-origin", "ORIGIN", "a web origin that may call, such as https://app.example.org; may be repeated", CONFIG_LIST, &g->cors_origins, 0, 0},
                {"trusted-proxy", "BLOCK", "whose Forwarded is believed, such as 10.0.0.0/8; may be repeated", CONFIG_LIST, &g->proxy_blocks, 0, 0},
                {"max-connections", "N", "open client connections (default: 10000)", CONFIG_INT, &g->max_connections, 1, 1000000},
                {"max-streams", "N", "open event streams and waiting polls of one agency, a thread (default: 1024)", CONFIG_INT, &g->max_streams, 1, 1000000},
                {"rate-scale", "N", "multiplies every rate limit, for benches and demonstrations (default: 1)", CONFIG_INT, &g->rate_scale, 1, 1000000},
                {"header-timeout-ms", "N", "for a whole header (default: 10000)", CONFIG_INT, &g->header_timeout_ms, 1, 600000},
                {"body-timeout-ms", "N", "window in which a body must come at 1 KiB/s (default: 10000)", CONFIG_INT, &g->body_timeout_ms, 1, 600000},
                {"keep-alive-ms", "N", "for an idle connection (default: 75000)", CONFIG_INT, &g->keep_alive_ms, 1, 3600000},
                {"write-timeout-ms", "N", "for a client that takes nothing (default: 30000)", CONFIG_INT, &g->write_timeout_ms, 1, 600000},
                {"clock-file", "PATH", "for tests: 8 bytes, an int64 of microseconds added to the time", CONFIG_TEXT, &g->clock_file, 0, 0},
                {"log-level", "LEVEL", "debug, info, warning or error (default: info)", CONFIG_TEXT, &g->log_level, 0, 0},
                {NULL, NULL, NULL, CONFIG_TEXT, NULL, 0, 0},
        };
        const struct config_option *const tables[] = {options};
        enum log_level level;
        int r = config_parse("nuanxin-gateway [options]", about, tables, 1, argc, argv, NULL);
        if (r)
                return r == CONFIG_E_HELP ? 0 : 2;
        if (!log_level_parse(g->log_level, &level)) {
                fprintf(stderr, "--log-level=%s: give debug, info, warning or error\n", g->log_level);
                return 2;
        }
        log_init("gateway", level);
        return gateway_run(g);
}
