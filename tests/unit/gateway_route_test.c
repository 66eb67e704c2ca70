/* SPDX-License-Identifier: Apache-2.0
 *
 * The route trie over the real contract, and over a few made-up methods.
 */
// uses: services/gateway/route.c
#include "services/gateway/route.h"
#include "tests/support/check.h"

#include <stdlib.h>

static struct arena *arena;
static struct route_table *table;

static const char *label(const char *path, enum contract_http http)
{
        struct route_match match;
        if (!route_find(table, arena, str_of(path), &match))
                return "none";
        return match.routes[http] ? match.routes[http]->label : "no method";
}

static void finds_methods_by_path_and_verb(void)
{
        CHECK_TEXT(label("/v1/members/x", CONTRACT_GET), "Membership.GetMember");
        CHECK_TEXT(label("/v1/members", CONTRACT_POST), "Membership.ApplyMember");
        CHECK_TEXT(label("/v1/members", CONTRACT_GET), "Membership.ListMembers");
        CHECK_TEXT(label("/v1/members/x:approve", CONTRACT_POST), "Membership.ApproveMember");
        CHECK_TEXT(label("/v1/members:import", CONTRACT_POST), "Membership.ImportMembers");
        CHECK_TEXT(label("/v1/sessions/current", CONTRACT_DELETE), "Membership.DeleteSession");
        CHECK_TEXT(label("/v1/members/x/card", CONTRACT_GET), "Membership.GetMemberCard");
        CHECK_TEXT(label("/v1/members/x/card", CONTRACT_POST), "no method");
}

static void refuses_paths_of_nobody(void)
{
        const char *const paths[] = {"",      "/",      "v1/members", "/v1",           "/v1/members/",      "/v1//members",
                                     "/v1/members/x:", "/v1/members/x:fly", "/v1/members/x/card/y", "/v2/members", "*",
                                     "/v1/members/%zz", "/v1/members/%00", "/v1/members/%ff", "/V1/members",
                                     "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t"};
        for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
                CHECK_TEXT(label(paths[i], CONTRACT_GET), "none");
}

static void decodes_variables(void)
{
        struct route_match match;
        CHECK(route_find(table, arena, STR("/v1/members/a%2Fb%3Aapprove"), &match));
        CHECK_INT(match.n_values, 1);
        CHECK(str_is(match.values[0], "a/b:approve"));
        CHECK_TEXT(match.routes[CONTRACT_GET]->label, "Membership.GetMember");
        CHECK(route_find(table, arena, STR("/v1/%6dembers/x"), &match));
        CHECK(route_find(table, arena, STR("/v1/activities/a1/registrations/r1:cancel"), &match));
        CHECK_INT(match.n_values, 2);
        CHECK(str_is(match.values[0], "a1"));
        CHECK(str_is(match.values[1], "r1"));
}

static void says_what_is_allowed(void)
{
        struct route_match match;
        CHECK(route_find(table, arena, STR("/v1/members"), &match));
        CHECK_TEXT(route_allow(arena, &match), "GET, HEAD, POST, OPTIONS");
        CHECK(route_find(table, arena, STR("/v1/members/x:approve"), &match));
        CHECK_TEXT(route_allow(arena, &match), "POST, OPTIONS");
}

static void works_out_what_a_method_needs(void)
{
        struct route_match match;
        CHECK(route_find(table, arena, STR("/v1/members/x"), &match));
        const struct route *get = match.routes[CONTRACT_GET], *patch = match.routes[CONTRACT_PATCH];
        CHECK(get->answer_tag && !get->request_tag && !get->has_body);
        CHECK(patch->answer_tag && patch->request_tag && patch->request_tag_max == 64);
        CHECK(!patch->body_whole && patch->body && strcmp(patch->body->name, "changes") == 0);
        CHECK(!get->always_check);
        CHECK(route_find(table, arena, STR("/v1/members/x:approve"), &match));
        CHECK(match.routes[CONTRACT_POST]->body_whole);
        CHECK(route_find(table, arena, STR("/v1/members/x:reveal"), &match));
        CHECK(match.routes[CONTRACT_POST]->always_check);
        CHECK(route_find(table, arena, STR("/v1/clients"), &match));
        const struct route *create = match.routes[CONTRACT_POST];
        CHECK(create->has_body && !create->body_whole && create->body && strcmp(create->body->name, "client") == 0);
        CHECK(!create->request_tag);
        CHECK(!get->wait && !get->cursor);
        CHECK(route_find(table, arena, STR("/v1/events"), &match));
        CHECK(match.routes[CONTRACT_GET]->wait && !match.routes[CONTRACT_GET]->cursor);
        CHECK(route_find(table, arena, STR("/v1/events:stream"), &match));
        CHECK(match.routes[CONTRACT_GET]->wait && match.routes[CONTRACT_GET]->cursor);
}

static void goes_back_from_a_literal_to_a_variable(void)
{
        static const struct contract_method a = {.name = "n.v1.S.A", .permission = "public", .http = CONTRACT_GET,
                                                 .path = "/v1/things/special/parts"},
                                            b = {.name = "n.v1.S.B", .permission = "public", .http = CONTRACT_GET,
                                                 .path = "/v1/things/{thing}/owner"};
        static const struct contract_message empty = {.name = "e"};
        struct contract_method methods[] = {a, b};
        const struct contract_method *list[] = {&methods[0], &methods[1]};
        methods[0].input = methods[0].output = methods[1].input = methods[1].output = &empty;
        struct route_table *own = route_table_new(list, 2);
        struct route_match match;
        CHECK(route_find(own, arena, STR("/v1/things/special/owner"), &match));
        CHECK_TEXT(match.routes[CONTRACT_GET]->label, "S.B");
        CHECK(route_find(own, arena, STR("/v1/things/special/parts"), &match));
        CHECK_TEXT(match.routes[CONTRACT_GET]->label, "S.A");
        route_table_free(own);
}

static void every_method_with_a_path_is_reachable(void)
{
        for (size_t i = 0; route_at(table, i); i++) {
                const struct route *r = route_at(table, i);
                struct buf path = {0};
                for (const char *p = r->method->path; *p; p++)
                        if (*p == '{') {
                                buf_add_char(&path, 'v');
                                p = strchr(p, '}');
                        } else {
                                buf_add_char(&path, *p);
                        }
                CHECK_TEXT(label(buf_z(&path), r->method->http), r->label);
                buf_done(&path);
        }
}

int main(void)
{
        static const struct check_case cases[] = {
                {"methods are found by path and verb", finds_methods_by_path_and_verb},
                {"paths of nobody are refused", refuses_paths_of_nobody},
                {"variables are decoded, after the verb is cut", decodes_variables},
                {"Allow lists what stands at the path", says_what_is_allowed},
                {"tags, bodies and reveals are worked out", works_out_what_a_method_needs},
                {"a literal without a match falls back to the variable", goes_back_from_a_literal_to_a_variable},
                {"every method with a path is reachable", every_method_with_a_path_is_reachable},
        };
        arena = arena_new(4096);
        table = route_table_new(contract_methods, contract_n_methods);
        int failed = CHECK_MAIN(cases);
        route_table_free(table);
        arena_free(arena);
        return failed;
}
