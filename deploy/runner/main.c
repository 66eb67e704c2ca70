/* SPDX-License-Identifier: Apache-2.0
 *
 * The local runner: `make run` on one machine. Starts a private Redis, the services and the gateway, each watched
 * and started again if it dies; seeds the first run; stops all of it on Ctrl-C. Speaks sd_notify's protocol to its
 * children, so they need nothing that systemd would not give them.
 */
#include "common/base/clock.h"
#include "common/base/config.h"
#include "common/base/log.h"
#include "deploy/runner/stack.h"

#include <stdio.h>
#include <stdlib.h>

static const char about[] =
        "Runs the whole stack on this machine: a private Redis, membership, activity, care, the stream of events, the gateway,\n"
        "and the edge where agencies connect.\n"
        "The first run makes a keyring, imports the organisations and writes credentials.json into --var;\n"
        "later runs keep the data. The last line before it waits is `ready http://ADDRESS`. Ctrl-C stops it.\n"
        "\n"
        "`nuanxin scale membership=3` changes the number of instances while it runs; the next start begins with --instances\n"
        "again. All gateways accept from one socket, which is the runner's: none of them is missed when it goes.";

int main(int argc, char **argv)
{
        struct stack_options o = {.http = "127.0.0.1:8080", .var = "var", .data = "deploy/data/hunan-divisions.csv", .care = "services/care"};
        const struct config_option options[] = {
                {"http", "ADDRESS", "where the gateway listens (default: 127.0.0.1:8080)", CONFIG_TEXT, &o.http, 0, 0},
                {"var", "FOLDER", "data, sockets, logs, credentials (default: var)", CONFIG_TEXT, &o.var, 0, 0},
                {"data", "CSV", "organisations of the first run (default: deploy/data/hunan-divisions.csv)", CONFIG_TEXT, &o.data, 0, 0},
                {"care", "FOLDER", "care programmes and calendars of the first run (default: services/care)", CONFIG_TEXT, &o.care, 0, 0},
                {"edge", "ADDRESS", "where agencies connect by ZeroMQ (default: 1000 ports above --http)", CONFIG_TEXT, &o.edge, 0, 0},
                {"instances", "NAME=N", "instances of membership, activity, care, stream, gateway or edge (default: one each); may be repeated", CONFIG_LIST, &o.instances, 0, 0},
                {"store", "URL", "where the services store, e.g. 'postgresql:///nuanxin_SERVICE?host=/run/postgresql': SERVICE becomes each one's name (default: sqlite:VAR/store/SERVICE.db)", CONFIG_TEXT, &o.store, 0, 0},
                {"redis", "ADDRESS", "use this Redis instead of a private one: unix:PATH or HOST:PORT", CONFIG_TEXT, &o.redis, 0, 0},
                {"gateway-option", "OPTION", "passed on to the gateway, e.g. --gateway-option=--threads=1", CONFIG_LIST, &o.gateway_options, 0, 0},
                {"stream-option", "OPTION", "likewise to the stream service", CONFIG_LIST, &o.stream_options, 0, 0},
                {"edge-option", "OPTION", "likewise to the edge", CONFIG_LIST, &o.edge_options, 0, 0},
                {"clock-file", "PATH", "for tests: handed to every process", CONFIG_TEXT, &o.clock_file, 0, 0},
                {"samples", NULL, "the first run also makes care to try: money, people and cases, made up; `make run` says so", CONFIG_FLAG, &o.samples, 0, 0},
                {"no-seed", NULL, "leave the store empty: no organisations, accounts or keys", CONFIG_FLAG, &o.no_seed, 0, 0},
                {0},
        };
        const struct config_option *const tables[] = {options};

        int r = config_parse("nuanxin-runner [options]", about, tables, 1, argc, argv, NULL);
        if (r)
                return r == CONFIG_E_HELP ? 0 : 2;
        log_init("runner", LOG_LEVEL_WARNING);
        return stack_run(&o) < 0 ? 1 : 0;
}
