/* SPDX-License-Identifier: Apache-2.0
 *
 * Problem details and the language they come in.
 */
// uses: services/gateway/problem.c
#include "services/gateway/problem.h"
#include "tests/support/check.h"

static const char *language(const char *accept)
{
        return language_of(str_of(accept)) == LANGUAGE_ZH ? "zh" : "en";
}

static void the_language_is_chosen(void)
{
        static const struct {
                const char *accept, *want;
        } cases[] = {
                {NULL, "en"}, {"", "en"}, {"zh", "zh"}, {"zh-CN", "zh"}, {"ZH-Hant-HK", "zh"}, {"en", "en"},
                {"zh-CN,zh;q=0.9,en;q=0.8", "zh"}, {"en-GB,zh;q=0.9", "en"}, {"zh;q=0.5,en;q=0.5", "zh"},
                {"en;q=0.5,zh;q=0.5", "en"}, {"fr, zh;q=0.1", "zh"}, {"fr", "en"}, {"*", "en"}, {"zh;q=0", "en"},
                {"zh;q=0,*", "en"}, {"en;q=0.2,*;q=0.9", "zh"}, {"zhx", "en"}, {"zh;q=2", "en"}, {"zh;q=x", "en"},
                {"zh ; q=0.3 , en;q=0.2", "zh"}, {";;;,,,", "en"}, {"en;q=0,zh;q=0.001", "zh"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                CHECK_TEXT(language(cases[i].accept), cases[i].want);
}

static void a_problem_is_written(void)
{
        const struct violation violations[] = {{"/name", "maxLength", "at most 100", "最多 100 个字"},
                                               {"", "required", "say \"why\"", ""}};
        struct problem p = {.value = NUANXIN__PROBLEM__PROBLEM_INVALID_ARGUMENT, .violations = violations, .n_violations = 2};
        struct buf out = {0};
        CHECK_INT(problem_write(&out, &p, LANGUAGE_ZH, STR("0123456789abcdef0123456789abcdef")), 400);
        CHECK_TEXT(buf_z(&out),
                   "{\"type\":\"urn:nuanxin:problem:invalid-argument\",\"title\":\"请求有误\",\"status\":400,"
                   "\"detail\":\"请更正 violations 所列字段后重新提交。\",\"traceId\":\"0123456789abcdef0123456789abcdef\","
                   "\"violations\":[{\"pointer\":\"/name\",\"rule\":\"maxLength\",\"detail\":\"最多 100 个字\"},"
                   "{\"pointer\":\"\",\"rule\":\"required\",\"detail\":\"say \\\"why\\\"\"}]}");
        buf_done(&out);
}

static void arguments_are_filled_in(void)
{
        struct problem p = {.value = NUANXIN__PROBLEM__PROBLEM_HEADER_TOO_LARGE, .args = {"16\"384", "100"}};
        struct buf out = {0};
        CHECK_INT(problem_write(&out, &p, LANGUAGE_EN, (struct str){NULL, 0}), 431);
        CHECK(strstr(buf_z(&out), "at most 16\\\"384 bytes and 100 fields") != NULL);
        CHECK(strstr(buf_z(&out), "traceId") == NULL);
        out.n = 0;
        p.args[0] = NULL;
        problem_write(&out, &p, LANGUAGE_EN, (struct str){NULL, 0});
        CHECK(strstr(buf_z(&out), "at most  bytes") != NULL);
        buf_done(&out);
}

static void the_way_to_the_snapshot_is_a_member(void)
{
        struct problem p = {.value = NUANXIN__PROBLEM__PROBLEM_CURSOR_GONE, .args = {"/v1/events:snapshot"},
                            .snapshot = "/v1/events:snapshot"};
        struct buf out = {0};
        CHECK_INT(problem_write(&out, &p, LANGUAGE_EN, (struct str){NULL, 0}), 410);
        CHECK(strstr(buf_z(&out), ",\"snapshot\":\"/v1/events:snapshot\"}") != NULL);
        CHECK(strstr(buf_z(&out), "read /v1/events:snapshot, then") != NULL);
        buf_done(&out);
}

static void statuses_have_their_problem(void)
{
        const int statuses[] = {400, 408, 413, 414, 417, 431, 501, 505};
        for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++)
                CHECK_INT(contract_problem_of(problem_of_status(statuses[i]))->status, statuses[i]);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"the language follows Accept-Language", the_language_is_chosen},
                {"a problem has type, title, status, detail, trace and violations", a_problem_is_written},
                {"arguments are filled in, escaped", arguments_are_filled_in},
                {"a cursor that is gone says where the snapshot is", the_way_to_the_snapshot_is_a_member},
                {"each status of the HTTP layer has its problem", statuses_have_their_problem},
        };
        return CHECK_MAIN(cases);
}
