/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing problem details, and choosing between the two languages they come in.
 */
#include "services/gateway/problem.h"

#include "common/json/transcode.h"

/* --- language --------------------------------------------------------------------------------------------------- */

/* A weight "0.8" in thousandths; anything malformed is 0. */
static int weight_of(struct str text)
{
        int weight = 0, scale = 100;
        if (text.n == 0 || text.n > 5 || (text.p[0] != '0' && text.p[0] != '1') || (text.n > 1 && text.p[1] != '.'))
                return 0;
        weight = (text.p[0] - '0') * 1000;
        for (size_t i = 2; i < text.n; i++, scale /= 10) {
                if (text.p[i] < '0' || text.p[i] > '9')
                        return 0;
                weight += (text.p[i] - '0') * scale;
        }
        return weight <= 1000 ? weight : 0;
}

static bool is_range_of(struct str range, struct str primary)
{
        return range.n >= primary.n && str_case_eq((struct str){range.p, primary.n}, primary) &&
               (range.n == primary.n || range.p[primary.n] == '-');
}

enum language language_of(struct str accept)
{
        int best[2] = {-1, -1}, order[2] = {0, 0}, other = -1, other_order = 0;
        for (int i = 0; accept.n; i++) {
                struct str parameters = str_trim(str_cut(&accept, ','));
                struct str range = str_trim(str_cut(&parameters, ';'));
                struct str q = str_trim(parameters);
                int weight = q.n == 0 ? 1000
                             : str_case_eq((struct str){q.p, q.n < 2 ? q.n : 2}, STR("q="))
                                     ? weight_of((struct str){q.p + 2, q.n - 2})
                                     : 0;
                int which = is_range_of(range, STR("zh")) ? LANGUAGE_ZH : is_range_of(range, STR("en")) ? LANGUAGE_EN : -1;
                if (which >= 0 && weight > best[which]) {
                        best[which] = weight;
                        order[which] = i;
                } else if (str_eq(range, STR("*"))) {
                        other = weight;
                        other_order = i;
                }
        }
        for (int l = 0; l < 2; l++)
                if (best[l] < 0 && other >= 0) {
                        best[l] = other;
                        order[l] = other_order + 1000; /* named ones go first */
                }
        if (best[LANGUAGE_ZH] <= 0)
                return LANGUAGE_EN;
        if (best[LANGUAGE_ZH] != best[LANGUAGE_EN])
                return best[LANGUAGE_ZH] > best[LANGUAGE_EN] ? LANGUAGE_ZH : LANGUAGE_EN;
        return order[LANGUAGE_ZH] < order[LANGUAGE_EN] ? LANGUAGE_ZH : LANGUAGE_EN;
}

const char *language_tag(enum language language)
{
        return language == LANGUAGE_ZH ? "zh-CN" : "en";
}

/* --- details ------------------------------------------------------------------------------------------------------ */

Nuanxin__Problem problem_of_status(int status)
{
        switch (status) {
        case 408:
                return NUANXIN__PROBLEM__PROBLEM_REQUEST_TIMEOUT;
        case 413:
                return NUANXIN__PROBLEM__PROBLEM_PAYLOAD_TOO_LARGE;
        case 414:
                return NUANXIN__PROBLEM__PROBLEM_URI_TOO_LONG;
        case 417:
                return NUANXIN__PROBLEM__PROBLEM_EXPECTATION_FAILED;
        case 431:
                return NUANXIN__PROBLEM__PROBLEM_HEADER_TOO_LARGE;
        case 501:
                return NUANXIN__PROBLEM__PROBLEM_NOT_IMPLEMENTED;
        case 503:
                return NUANXIN__PROBLEM__PROBLEM_UNAVAILABLE;
        case 505:
                return NUANXIN__PROBLEM__PROBLEM_HTTP_VERSION_NOT_SUPPORTED;
        default:
                return NUANXIN__PROBLEM__PROBLEM_MALFORMED_REQUEST;
        }
}

/* Appends text as a JSON string with its {0} … filled in. */
static void write_filled(struct buf *out, const char *text, const char *const args[8])
{
        struct buf filled = {0};
        contract_problem_fill(&filled, text, args);
        transcode_json_string(out, buf_str(&filled));
        buf_done(&filled);
}

static void write_member(struct buf *out, const char *name, const char *text)
{
        buf_printf(out, ",\"%s\":", name);
        transcode_json_string(out, str_of(text ? text : ""));
}

static void write_violations(struct buf *out, const struct problem *problem, bool zh)
{
        buf_add_z(out, ",\"violations\":[");
        for (size_t i = 0; i < problem->n_violations; i++) {
                const struct violation *v = &problem->violations[i];
                buf_add_z(out, i ? ",{\"pointer\":" : "{\"pointer\":");
                transcode_json_string(out, str_of(v->pointer ? v->pointer : ""));
                write_member(out, "rule", v->rule);
                write_member(out, "detail", zh && v->detail_zh && v->detail_zh[0] ? v->detail_zh : v->detail);
                buf_add_char(out, '}');
        }
        buf_add_char(out, ']');
}

unsigned problem_write(struct buf *out, const struct problem *problem, enum language language, struct str trace_id)
{
        const struct contract_problem *p = contract_problem_of(problem->value);
        bool zh = language == LANGUAGE_ZH;
        buf_add_z(out, "{\"type\":");
        transcode_json_string(out, str_of(p->type));
        write_member(out, "title", zh ? p->title_zh : p->title);
        buf_printf(out, ",\"status\":%u,\"detail\":", p->status);
        write_filled(out, zh ? p->detail_zh : p->detail, problem->args);
        if (trace_id.n)
                buf_printf(out, ",\"traceId\":\"%.*s\"", (int)trace_id.n, trace_id.p);
        if (problem->n_violations)
                write_violations(out, problem, zh);
        if (problem->snapshot)
                write_member(out, "snapshot", problem->snapshot);
        buf_add_char(out, '}');
        return p->status;
}
