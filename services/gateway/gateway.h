/* SPDX-License-Identifier: Apache-2.0
 *
 * What all threads of a gateway share: its options, and what is made once. Constant after the start.
 */
#pragma once

#include "common/base/clock.h"
#include "common/base/config.h"
#include "common/base/metric.h"
#include "common/bus/bus.h"
#include "common/cache/cache.h"
#include "common/http/http.h"
#include "services/gateway/forwarded.h"

struct pages; /* pages.h */

struct gateway {
        /* options */
        const char *http, *tls_certificate, *tls_key, *redis, *redis_auth_file, *bus_folder, *curve, *admin, *instance, *clock_file,
                *log_level;
        bool admin_open;
        struct config_list peers, without, cors_origins, proxy_blocks;
        int64_t threads, gateways, max_connections, max_streams, rate_scale, header_timeout_ms, body_timeout_ms, keep_alive_ms,
                write_timeout_ms;

        const char *listen; /* http, or a socket that is lent */
        struct http_limits limits;
        struct forwarded_proxies proxies;
        struct cache_auth redis_auth;
        struct clock clock;
        struct metric_registry *metrics;
        struct bus *bus;
        struct stream_tls *tls;
        struct pages *pages;
};
