/* SPDX-License-Identifier: Apache-2.0
 *
 * What a parsed header must fulfil beyond its grammar, and what it means: the target's form, Host, how the
 * body is framed, whether the connection stays, what is expected. Two readers of one request must never
 * disagree about where it ends: whatever could be read in two ways is refused.
 */
#include "common/http/parser.h"

/* One element of a comma-separated list, trimmed. */
static struct str list_next(struct str *list)
{
        return str_trim(str_cut(list, ','));
}

static bool is_alnum(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_hex(char c)
{
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* host [ ":" port ] of RFC 3986, 3.2, without user information and not empty. */
static bool is_authority(struct str s)
{
        size_t i = 0;
        if (s.n > 0 && s.p[0] == '[') {
                for (i = 1; i < s.n && (is_hex(s.p[i]) || s.p[i] == ':' || s.p[i] == '.'); i++)
                        ;
                if (i < 3 || i == s.n || s.p[i] != ']')
                        return false;
                i++;
        } else {
                for (; i < s.n && s.p[i] != ':'; i++) {
                        if (s.p[i] == '%') {
                                if (s.n - i < 3 || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
                                        return false;
                                i += 2;
                        } else if (!is_alnum(s.p[i]) && !memchr("-._~!$&'()*+,;=", s.p[i], 15)) {
                                return false;
                        }
                }
                if (i == 0)
                        return false;
        }
        if (i == s.n)
                return true;
        int64_t port;
        struct str digits = {s.p + i + 1, s.n - i - 1};
        return s.p[i] == ':' && (digits.n == 0 || str_to_i64(digits, 0, 65535, &port) == 0);
}

static bool cut_scheme(struct str *s)
{
        struct str http = {s->p, s->n < 7 ? s->n : 7}, https = {s->p, s->n < 8 ? s->n : 8};
        size_t n = str_case_eq(http, STR("http://")) ? 7 : str_case_eq(https, STR("https://")) ? 8 : 0;
        s->p += n;
        s->n -= n;
        return n;
}

/* origin-form, absolute-form (whose authority replaces Host: RFC 9112, 3.2.2), and * for OPTIONS. */
static int target_judge(struct http_head *head)
{
        struct str rest = head->target;
        if (memchr(rest.p, '#', rest.n))
                return 400;
        if (str_is(rest, "*")) {
                head->path = rest;
                return str_is(head->method, "OPTIONS") ? 0 : 400;
        }
        if (rest.p[0] != '/') {
                if (!cut_scheme(&rest))
                        return 400;
                size_t n = 0;
                while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
                        n++;
                head->host = (struct str){rest.p, n};
                if (!is_authority(head->host))
                        return 400;
                rest.p += n;
                rest.n -= n;
        }
        head->path = str_cut(&rest, '?');
        head->query = rest;
        if (head->path.n == 0)
                head->path = STR("/");
        return 0;
}

/* Transfer-Encoding must be chunked and nothing else. A last coding other than chunked leaves the end
 * unknown (400); codings before it are legal and not known here (501). */
static int coding_judge(struct http_head *head, struct str value)
{
        bool others = false;
        do {
                struct str coding = list_next(&value);
                if (head->chunked || coding.n == 0)
                        return 400;
                if (str_case_eq(coding, STR("chunked")))
                        head->chunked = true;
                else
                        others = true;
        } while (value.n > 0);
        if (!head->chunked || head->version_minor == 0)
                return 400;
        return others ? 501 : 0;
}

static int length_judge(struct http_head *head, struct str value)
{
        int64_t length;
        if (head->sized || str_to_i64(value, 0, INT64_MAX, &length) < 0 ||
            (uint64_t)length != head->content_length)
                return 400;
        head->sized = true;
        return 0;
}

static int expect_judge(struct http_head *head, struct str value)
{
        if (head->version_minor == 0)
                return 0;
        if (!str_case_eq(value, STR("100-continue")))
                return 417;
        head->expects_continue = true;
        return 0;
}

struct seen {
        struct str host;
        bool has_host, close, keep_alive;
};

static void connection_note(struct seen *seen, struct str value)
{
        while (value.n > 0) {
                struct str option = list_next(&value);
                seen->close |= str_case_eq(option, STR("close"));
                seen->keep_alive |= str_case_eq(option, STR("keep-alive"));
        }
}

static int field_judge(struct http_head *head, const struct http_field *field, struct seen *seen)
{
        switch (field->name.n) {
        case 4:
                if (!str_case_eq(field->name, STR("host")))
                        return 0;
                if (seen->has_host || !is_authority(field->value))
                        return 400;
                seen->has_host = true;
                seen->host = field->value;
                return 0;
        case 6:
                return str_case_eq(field->name, STR("expect")) ? expect_judge(head, field->value) : 0;
        case 10:
                if (str_case_eq(field->name, STR("connection")))
                        connection_note(seen, field->value);
                return 0;
        case 14:
                return str_case_eq(field->name, STR("content-length")) ? length_judge(head, field->value) : 0;
        case 17:
                return str_case_eq(field->name, STR("transfer-encoding")) ? coding_judge(head, field->value)
                                                                          : 0;
        default:
                return 0;
        }
}

int http_head_judge(struct http_head *head)
{
        struct seen seen = {0};
        if (str_is(head->method, "CONNECT"))
                return 501;
        int status = target_judge(head);
        for (size_t i = 0; i < head->n_fields && (!status || status == 417); i++) {
                int s = field_judge(head, &head->fields[i], &seen);
                status = s ? s : status;
        }
        if (status && status != 417)
                return status;
        if ((!seen.has_host && head->version_minor == 1) || (head->sized && head->chunked))
                return 400;
        if (head->host.n == 0)
                head->host = seen.host;
        head->keep_alive = !seen.close && (head->version_minor == 1 || seen.keep_alive);
        return status;
}
