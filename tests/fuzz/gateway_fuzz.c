/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the header fields that the gateway reads itself (entity tags, Forwarded, Accept-Language), as a path,
 * as a whole request to decode (path, query and body, cut at line feeds), and as a service's events. What is taken must hold
 * what it promises.
 */
// uses: services/gateway/etag.c services/gateway/forwarded.c services/gateway/problem.c services/gateway/route.c services/gateway/decode.c
// uses: services/gateway/event_text.c
#include "services/gateway/decode.h"
#include "services/gateway/etag.h"
#include "services/gateway/event_text.h"
#include "services/gateway/forwarded.h"
#include "services/gateway/problem.h"

#include <stdlib.h>

static struct arena *arena;
static struct route_table *table;
static struct forwarded_proxies proxies;

static void check(bool holds)
{
        if (!holds)
                abort();
}

static void fuzz_tags(struct str text)
{
        struct etag_list list;
        if (etag_list_parse(text, &list) < 0)
                return;
        check(list.any != (list.n > 0) && list.n <= ETAG_LIST_MAX);
        for (size_t i = 0; i < list.n; i++) {
                check(list.tags[i].value.n == 0 || etag_is_value(list.tags[i].value));
                check(etag_list_has(&list, list.tags[i].value, true));
        }
}

static void fuzz_forwarded(struct str text)
{
        char key[48];
        const char *client = forwarded_client(arena, &proxies, "10.0.0.1", text);
        check(client && strlen(client) < 46);
        forwarded_rate_key(key, client);
        struct forwarded_proxies one = {0};
        if (forwarded_proxies_add(&one, arena_strndup(arena, text.p, text.n)) == 0)
                check(one.n == 1 && one.blocks[0].bits <= 128);
}

/* What the HTTP parser lets through in a target. */
static bool is_target(struct str text)
{
        for (size_t i = 0; i < text.n; i++)
                if (text.p[i] < 0x21 || text.p[i] > 0x7e)
                        return false;
        return true;
}

static void fuzz_path(struct str path)
{
        struct route_match match;
        if (!is_target(path) || !route_find(table, arena, path, &match))
                return;
        check(match.n_values <= ROUTE_VARIABLES_MAX && route_allow(arena, &match));
        for (size_t i = 0; i < match.n_values; i++)
                check(str_is_utf8(match.values[i]) && !memchr(match.values[i].p, '\0', match.values[i].n));
}

static void fuzz_request(struct str text)
{
        struct http_request request = {.arena = arena};
        struct violations violations = {0};
        struct route_match match;
        ProtobufCMessage *message;
        struct str path = str_cut(&text, '\n');
        request.query = str_cut(&text, '\n');
        request.body = text;
        if (!is_target(path) || !is_target(request.query) || !route_find(table, arena, path, &match))
                return;
        for (int i = 0; i < ROUTE_HTTP_METHODS; i++) {
                if (!match.routes[i] || match.routes[i]->method->upload)
                        continue;
                violations.n = 0;
                int r = decode_request(&request, match.routes[i], &match, &violations, &message);
                check(r == 0 || r == DECODE_E_VIOLATIONS || r == DECODE_E_MALFORMED);
                check((r == DECODE_E_VIOLATIONS) == (violations.n > 0) || r == DECODE_E_MALFORMED);
                for (size_t k = 0; k < violations.n; k++)
                        check(str_is_utf8(str_of(violations.items[k].pointer)));
        }
}

/* Whatever the service says: each message is whole, and has only the fields that we give it. */
static void fuzz_events(struct str events)
{
        struct buf out = {0};
        struct str cursor = str_cut(&events, '\n');
        if (event_text(&out, events, cursor) == 0) {
                struct str text = buf_str(&out);
                check(text.n == 0 || (text.n > 2 && memcmp(text.p + text.n - 2, "\n\n", 2) == 0));
                while (text.n) {
                        struct str line = str_cut(&text, '\n');
                        check(line.n == 0 || str_starts(line, STR("id: ")) || str_starts(line, STR("data: {")));
                        check(line.n == 0 || !memchr(line.p, '\r', line.n));
                }
        }
        buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1)
                return 0;
        if (!arena) {
                arena = arena_new(65536);
                table = route_table_new(contract_methods, contract_n_methods);
                check(forwarded_proxies_add(&proxies, "10.0.0.0/8") == 0);
        }
        struct str text = str_bytes(data + 1, size - 1);
        switch (data[0] % 6) {
        case 0:
                fuzz_tags(text);
                break;
        case 1:
                fuzz_forwarded(text);
                break;
        case 2:
                language_of(text);
                break;
        case 3:
                fuzz_path(text);
                break;
        case 5:
                fuzz_events(text);
                break;
        default:
                fuzz_request(text);
                break;
        }
        arena_reset(arena);
        return 0;
}
