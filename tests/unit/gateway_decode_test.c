/* SPDX-License-Identifier: Apache-2.0
 *
 * From path, query and body to a checked message, over the real contract.
 */
// uses: services/gateway/decode.c services/gateway/route.c
#include "nuanxin/activity/v1/activities.pb-c.h"
#include "nuanxin/membership/v1/membership.pb-c.h"
#include "services/gateway/decode.h"
#include "tests/support/check.h"

static struct arena *arena;
static struct route_table *table;
static struct violations violations;
static ProtobufCMessage *message;

static int decode(enum contract_http http, const char *path, const char *query, struct str body)
{
        struct http_request request = {.arena = arena, .query = str_of(query), .body = body};
        struct route_match match;
        violations.n = 0;
        message = NULL;
        if (!route_find(table, arena, str_of(path), &match) || !match.routes[http])
                return -ENOENT;
        return decode_request(&request, match.routes[http], &match, &violations, &message);
}

static bool violates(const char *pointer, const char *rule)
{
        for (size_t i = 0; i < violations.n; i++)
                if (strcmp(violations.items[i].pointer, pointer) == 0 && strcmp(violations.items[i].rule, rule) == 0)
                        return true;
        return false;
}

static void path_query_and_body_fill_the_message(void)
{
        CHECK_INT(decode(CONTRACT_GET, "/v1/members", "organization=43&page_size=7&pageToken=a%2Bb+c&state=ACTIVE", STR("")), 0);
        const Nuanxin__Membership__V1__ListMembersRequest *list = (const void *)message;
        CHECK_TEXT(list->organization, "43");
        CHECK_INT(list->page_size, 7);
        CHECK_TEXT(list->page_token, "a+b c");
        CHECK_INT(list->state, NUANXIN__MEMBERSHIP__V1__MEMBER__STATE__ACTIVE);

        CHECK_INT(decode(CONTRACT_PATCH, "/v1/organizations/4301", "updateMask=name&", STR("{\"name\":\"长沙\"}")), 0);
        const Nuanxin__Membership__V1__UpdateOrganizationRequest *update = (const void *)message;
        CHECK_TEXT(update->organization, "4301");
        CHECK_TEXT(update->changes->name, "长沙");
        CHECK_INT(update->update_mask->n_paths, 1);
}

static void a_partial_update_changes_what_its_body_has(void)
{
        CHECK_INT(decode(CONTRACT_PATCH, "/v1/activities/01976a5e-7c00-7000-8000-0123456789ab", NULL,
                         STR("{\"noWaitingList\":false,\"description\":null,\"capacity\":0}")), 0);
        const Nuanxin__Activity__V1__UpdateActivityRequest *update = (const void *)message;
        CHECK_INT(update->update_mask->n_paths, 3);
        CHECK_TEXT(update->update_mask->paths[0], "description");
        CHECK_TEXT(update->update_mask->paths[1], "capacity");
        CHECK_TEXT(update->update_mask->paths[2], "no_waiting_list");
        CHECK_INT(decode(CONTRACT_PATCH, "/v1/activities/01976a5e-7c00-7000-8000-0123456789ab", "updateMask=place",
                         STR("{\"capacity\":0}")), 0);
        update = (const void *)message;
        CHECK_INT(update->update_mask->n_paths, 1);
        CHECK_INT(decode(CONTRACT_PATCH, "/v1/organizations/4301", NULL, STR("{\"parent\":\"43\"}")), DECODE_E_VIOLATIONS);
        CHECK(violates("/parent", "unknownField"));
}

static void an_empty_body_is_an_empty_message(void)
{
        CHECK_INT(decode(CONTRACT_POST, "/v1/members/01976a5e-7c00-7000-8000-0123456789ab:approve", NULL, STR("")), 0);
        CHECK_INT(decode(CONTRACT_POST, "/v1/members", NULL, STR("")), DECODE_E_VIOLATIONS);
        CHECK(violates("/organization", "required"));
}

static void violations_point_into_what_was_sent(void)
{
        CHECK_INT(decode(CONTRACT_POST, "/v1/clients", NULL, STR("{\"organization\":\"43\",\"grants\":[{\"role\":1}]}")), DECODE_E_VIOLATIONS);
        CHECK(violates("/name", "required"));
        CHECK(violates("/grants/0/organization", "required"));
        CHECK_INT(decode(CONTRACT_POST, "/v1/accounts", NULL, STR("{\"account\":{},\"password\":\"x\"}")), DECODE_E_VIOLATIONS);
        CHECK(violates("/account/login", "required"));
        CHECK_INT(decode(CONTRACT_GET, "/v1/members/x", NULL, STR("")), DECODE_E_VIOLATIONS);
        CHECK(violates("/member", "uuid"));
}

static void all_that_is_wrong_is_said_at_once(void)
{
        CHECK_INT(decode(CONTRACT_POST, "/v1/accounts", NULL,
                         STR("{\"nope\":1,\"account\":{\"login\":5,\"organization\":\"43\",\"grants\":[{\"role\":\"BOSS\"}]}}")),
                  DECODE_E_VIOLATIONS);
        CHECK_INT(violations.n, 4);
        CHECK(violates("/nope", "unknownField"));
        CHECK(violates("/account/login", "type"));
        CHECK(violates("/account/grants/0/role", "in"));
        CHECK(strstr(violations.items[2].detail, "must be one of ROLE_ADMINISTRATOR, ") != NULL);
        CHECK(violates("/password", "required"));
        CHECK_INT(decode(CONTRACT_POST, "/v1/accounts", NULL, STR("[]")), DECODE_E_VIOLATIONS);
        CHECK_INT(violations.n, 1);
        CHECK(violates("", "type"));
}

static void a_query_sets_only_what_is_its_own(void)
{
        CHECK_INT(decode(CONTRACT_GET, "/v1/members", "organization=43&nope=1", STR("")), DECODE_E_VIOLATIONS);
        CHECK(violates("/nope", "unknownField"));
        CHECK_INT(decode(CONTRACT_GET, "/v1/members", "organization=43&organization=44", STR("")), DECODE_E_VIOLATIONS);
        CHECK(violates("/organization", "duplicateKey"));
        CHECK_INT(decode(CONTRACT_GET, "/v1/members/01976a5e-7c00-7000-8000-0123456789ab", "member=x", STR("")), DECODE_E_VIOLATIONS);
        CHECK(violates("/member", "unknownField"));
        CHECK_INT(decode(CONTRACT_POST, "/v1/clients", "client.name=x", STR("{\"name\":\"a\",\"organization\":\"43\"}")), DECODE_E_VIOLATIONS);
        CHECK(violates("/client.name", "unknownField"));
        CHECK_INT(decode(CONTRACT_POST, "/v1/accounts", "password=x", STR("{}")), DECODE_E_VIOLATIONS);
        CHECK(violates("/password", "unknownField"));
}

static void a_query_that_is_no_form_is_malformed(void)
{
        const char *const bad[] = {"organization=%", "organization=%g0", "organization=%ff", "%00=1", "organization=%00"};
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
                CHECK_INT(decode(CONTRACT_GET, "/v1/members", bad[i], STR("")), DECODE_E_MALFORMED);
        struct buf many = {0};
        for (int i = 0; i < 100; i++)
                buf_printf(&many, "pageSize=%d&", i);
        CHECK(decode(CONTRACT_GET, "/v1/members", buf_z(&many), STR("")) > 0);
        buf_done(&many);
}

static void what_is_no_utf8_is_not_repeated_in_a_violation(void)
{
        CHECK_INT(decode(CONTRACT_POST, "/v1/clients", NULL, STR("{\"\\\xd1\x8b""9\xd0\xd6\xd1")), DECODE_E_VIOLATIONS);
        CHECK_INT(violations.n, 1);
        CHECK(str_is_utf8(str_of(violations.items[0].pointer)) && str_is_utf8(str_of(violations.items[0].detail)));
}

int main(void)
{
        static const struct check_case cases[] = {
                {"path, query and body fill the message", path_query_and_body_fill_the_message},
                {"a partial update changes what its body has, and nothing else can be in it", a_partial_update_changes_what_its_body_has},
                {"an empty body is an empty message", an_empty_body_is_an_empty_message},
                {"violations point into what was sent", violations_point_into_what_was_sent},
                {"all that is wrong with a body is said at once, each place once", all_that_is_wrong_is_said_at_once},
                {"a query sets only what is its own", a_query_sets_only_what_is_its_own},
                {"a query that is no form encoding is malformed", a_query_that_is_no_form_is_malformed},
                {"what is no UTF-8 is not repeated in a violation", what_is_no_utf8_is_not_repeated_in_a_violation},
        };
        contract_init();
        arena = arena_new(65536);
        table = route_table_new(contract_methods, contract_n_methods);
        int failed = CHECK_MAIN(cases);
        route_table_free(table);
        arena_free(arena);
        return failed;
}
