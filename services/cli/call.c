/* SPDX-License-Identifier: Apache-2.0
 *
 * From a command's words to a method's answer; and `call`, which reaches every method there is.
 */
#include "services/cli/cli.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int cli_open(struct cli *cli)
{
        const char *error = NULL;
        if (cli->op)
                return 0;
        if (cli->redis_auth_file && cache_auth_read(cli->redis_auth_file, &cli->redis_auth, &error) < 0) {
                fprintf(stderr, "--redis-auth %s: %s\n", cli->redis_auth_file, error);
                return 1;
        }
        const char *curve = arena_printf(cli->arena, "%s/curve", cli->var);
        if (!cli->curve && access(arena_printf(cli->arena, "%s/operator/self.key", curve), F_OK) == 0)
                cli->curve = curve;
        const struct operator_options options = {.bus = cli->bus, .redis = cli->redis, .redis_auth = &cli->redis_auth, .curve = cli->curve};
        if (operator_open(&options, &cli->op, &error) < 0) {
                fprintf(stderr, "can't reach the services: %s; give --var the stack's folder\n", error);
                return 1;
        }
        return 0;
}

int cli_refused(int error, const struct operator_refusal *refusal)
{
        if (error == -EHOSTUNREACH) {
                fprintf(stderr, "no instance of this service answers: is the stack running (make run), and is --var its folder? nuanxin status shows what runs\n");
                return 1;
        }
        if (!refusal->title) {
                fprintf(stderr, "no answer: %s\n", strerror(-error));
                return 1;
        }
        fprintf(stderr, "%s. %s (%s)\n", refusal->title, refusal->detail, refusal->type);
        for (size_t i = 0; i < refusal->n_violations; i++)
                fprintf(stderr, "  %s: %s\n", refusal->violations[i].pointer, refusal->violations[i].detail);
        return 1;
}

int cli_call(struct cli *cli, const char *method, const struct operator_target *target, const void *request,
             void **ret_response)
{
        struct operator_refusal refusal = {0};
        int r = cli_open(cli);
        if (r)
                return r;
        r = operator_call(cli->op, operator_method(method), target, cli->arena, request, ret_response, &refusal);
        return r ? cli_refused(r, &refusal) : 0;
}

/* What is no part of JSON, but for processes to say to each other, the operator may say too. */
static bool set_internal(struct cli *cli, const struct contract_message *type, void *request, struct str path, struct str value)
{
        const struct contract_field *field = message_field(type, path);
        if (!field || !field->internal || type->pb->fields[field - type->fields].type != PROTOBUF_C_TYPE_STRING)
                return false;
        *(const char **)cli_field(type, request, field->name) = arena_strndup(cli->arena, value.p, value.n);
        return true;
}

int cli_set_field(struct cli *cli, const char *name, void *request, struct str path, struct str value)
{
        const struct contract_method *method = operator_method(name);
        struct violations violations = {0};
        if (set_internal(cli, method->input, request, path, value))
                return 0;
        if (transcode_set_text(cli->arena, method->input, request, path, value, &violations) == 0)
                return 0;
        fprintf(stderr, "%.*s=%.*s: %s\n", (int)path.n, path.p, (int)value.n, value.p,
                violations.n ? violations.items[0].detail : "no such field");
        return 2;
}

void *cli_request(struct cli *cli, const char *name)
{
        const struct contract_method *method = operator_method(name);
        void *request = message_new(cli->arena, method->input);
        for (size_t i = 0; i < cli->sets.n; i++) {
                struct str value = str_of(cli->sets.items[i]);
                struct str path = str_cut(&value, '=');
                if (cli_set_field(cli, name, request, path, value))
                        return NULL;
        }
        return request;
}

static bool is_set(const struct cli *cli, const char *name)
{
        for (size_t i = 0; i < cli->sets.n; i++)
                if (str_starts(str_of(cli->sets.items[i]), str_of(name)))
                        return true;
        return false;
}

int cli_list(struct cli *cli, const char *name, void *request, const char *columns,
             void (*print_row)(void *arg, const void *row), void *arg)
{
        const struct contract_method *method = operator_method(name);
        int32_t *size = cli_field(method->input, request, "page_size");
        char **token = cli_field(method->input, request, "page_token");
        bool one_page = is_set(cli, "page"), more;
        struct arena *whole = cli->arena;
        struct list *list = NULL;
        int r;

        if (!one_page)
                *size = 1000;
        do { /* each page in an arena of its own: a list may be longer than memory */
                void *page = NULL;
                cli->arena = arena_new(1 << 16);
                r = cli_call(cli, name, NULL, request, &page);
                const char *next = r ? "" : *(char **)cli_field(method->output, page, "next_page_token");
                more = *next && !one_page;
                if (*next)
                        *token = arena_strdup(whole, next);
                if (r == 0 && !list) {
                        struct arena *of_page = cli->arena;
                        cli->arena = whole;
                        list = list_new(cli, method, columns);
                        cli->arena = of_page;
                }
                if (r == 0)
                        list_page(list, page, print_row, arg);
                if (*next && one_page)
                        fprintf(stderr, "more: --set pageToken=%s\n", next);
                arena_free(cli->arena);
        } while (more);
        cli->arena = whole;
        if (list)
                list_end(list);
        return r;
}

int cli_run_method(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        const struct contract_method *method = operator_method(command->method);
        void *request = cli_request(cli, command->method), *response;
        int r = request ? 0 : 2;

        for (size_t i = 0; i < n && r == 0; i++) {
                const char *value = operands[i];
                if (strcmp(command->fields[i], "account") == 0)
                        r = cli_account_id(cli, value, &value);
                if (r == 0)
                        r = cli_set_field(cli, command->method, request, str_of(command->fields[i]), str_of(value));
        }
        if (r == 0 && command->columns)
                return cli_list(cli, command->method, request, command->columns, NULL, NULL);
        if (r == 0)
                r = cli_call(cli, command->method, NULL, request, &response);
        if (r == 0)
                show_message(cli, method->output, response);
        return r;
}

int cli_read_file(struct cli *cli, const char *path, size_t most, struct str *ret_content)
{
        int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
        struct buf content = {0};
        ssize_t n = fd < 0 ? -1 : 0;

        while (fd >= 0 && content.n <= most) {
                buf_reserve(&content, 1 << 16);
                n = read(fd, content.p + content.n, 1 << 16);
                if (n <= 0)
                        break;
                content.n += (size_t)n;
        }
        if (n < 0)
                fprintf(stderr, "can't read %s: %s\n", path, strerror(errno));
        else if (content.n > most)
                fprintf(stderr, "%s is larger than %zu bytes: cut it into several files\n", path, most);
        else
                *ret_content = arena_str(cli->arena, buf_str(&content));
        int r = n < 0 || content.n > most;
        buf_done(&content);
        if (fd > STDIN_FILENO)
                close(fd);
        return r;
}

static int run_call(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        struct operator_refusal refusal = {0};
        struct str json = n > 1 ? str_of(operands[1]) : STR("{}"), answer;
        int r = cli_open(cli);
        (void)command;

        if (r == 0 && str_is(json, "-"))
                r = cli_read_file(cli, "-", 1 << 20, &json);
        if (r)
                return r;
        r = operator_call_json(cli->op, operands[0], json, cli->arena, &answer, &refusal);
        if (r == -ENOENT) {
                fprintf(stderr, "no method is called %s; `nuanxin methods` lists them\n", operands[0]);
                return 2;
        }
        if (r)
                return cli_refused(r, &refusal);
        printf("%.*s\n", (int)answer.n, answer.p);
        return 0;
}

static void show_method_json(const struct contract_method *m, struct str summary)
{
        struct buf out = {0};
        buf_add_z(&out, "{\"method\":");
        transcode_json_string(&out, str_of(m->name));
        buf_add_z(&out, ",\"permission\":");
        transcode_json_string(&out, str_of(m->permission));
        buf_add_z(&out, ",\"summary\":");
        transcode_json_string(&out, summary);
        printf("%s}", buf_z(&out));
        buf_done(&out);
}

static int by_name(const void *a, const void *b)
{
        return strcmp((*(const struct contract_method *const *)a)->name, (*(const struct contract_method *const *)b)->name);
}

static int run_methods(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        static const char *const headings[] = {"METHOD", "PERMISSION", "WHAT IT DOES"};
        _cleanup_(table_freep) struct table *t = table_new(headings, 3);
        (void)command, (void)operands, (void)n;
        const struct contract_method **sorted = ARENA_ARRAY(cli->arena, const struct contract_method *, contract_n_methods);
        memcpy(sorted, contract_methods, contract_n_methods * sizeof(*sorted));
        qsort(sorted, contract_n_methods, sizeof(*sorted), by_name);
        for (unsigned i = 0; i < contract_n_methods; i++) {
                const struct contract_method *m = sorted[i];
                struct str rest = str_of(m->summary ? m->summary : ""), summary = str_cut(&rest, '\n');
                if (cli->json)
                        printf(i ? ",\n" : "[");
                if (cli->json)
                        show_method_json(m, summary);
                else
                        table_row(t, (const char *[]){cli_short_name(m->name), m->permission, arena_str(cli->arena, summary).p});
        }
        if (cli->json)
                printf("]\n");
        else
                table_print(t);
        return 0;
}

/* "nuanxin.membership.v1.Membership.GetMember" → "GetMember"; operator_method() knows it by that. */
const char *cli_short_name(const char *method)
{
        const char *last = strrchr(method, '.');
        return last && operator_method(last + 1) ? last + 1 : method;
}

const struct command commands_call[] = {
        {"call", "METHOD [JSON]", "any method of the contract, request and answer as JSON (- reads it from standard input)", NULL, {0}, NULL, run_call},
        {"methods", "", "all methods of the contract", NULL, {0}, NULL, run_methods},
        {0},
};
