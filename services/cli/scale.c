/* SPDX-License-Identifier: Apache-2.0
 *
 * scale: how many instances the local runner keeps, and changing that. The conversation is written down in
 * deploy/runner/control.h. Elsewhere the service manager scales, not this.
 */
#include "services/cli/cli.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_NAMES    16
#define PATIENCE_S   70 /* the runner answers within 60 */

struct row {
        struct str name, wanted, ready, most;
};

static int fail(const char *what, const char *why)
{
        fprintf(stderr, "%s%s\n", what, why);
        return 1;
}

static int connect_runner(struct cli *cli, int *ret_fd)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        const struct timeval patience = {.tv_sec = PATIENCE_S};
        int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/runner.sock", cli->var);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (n < (int)sizeof(address.sun_path) && fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
            connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
                *ret_fd = fd;
                return 0;
        }
        int error = n < (int)sizeof(address.sun_path) ? errno : ENAMETOOLONG;
        if (fd >= 0)
                close(fd);
        if (error == ENOENT || error == ECONNREFUSED)
                fprintf(stderr, "no runner is in %s: start the stack with `make run`, or say with --var where it is. Under systemd: "
                                "systemctl start nuanxin-membership@2\n", cli->var);
        else
                fprintf(stderr, "can't reach the runner in %s: %s\n", cli->var, strerror(error));
        return 1;
}

/* The question leaves, the answer is everything until the runner closes. */
static int converse(int fd, struct buf *question, struct buf *answer)
{
        ssize_t n = send(fd, question->p, question->n, MSG_NOSIGNAL);
        if (n != (ssize_t)question->n)
                return n < 0 ? -errno : -EPIPE;
        do {
                buf_reserve(answer, 4096);
                n = recv(fd, answer->p + answer->n, 4096, 0);
                answer->n += n > 0 ? (size_t)n : 0;
        } while (n > 0);
        return n < 0 ? (errno == EAGAIN ? -ETIMEDOUT : -errno) : answer->n ? 0 : -ECONNRESET;
}

static void show(struct cli *cli, const struct row *rows, size_t n)
{
        static const char *const headings[] = {"NAME", "INSTANCES", "READY", "MOST"};
        _cleanup_(table_freep) struct table *t = table_new(headings, ARRAY_LEN(headings));
        if (cli->json)
                printf("{\"scale\":[");
        for (size_t i = 0; i < n; i++) {
                const struct str *cells[] = {&rows[i].name, &rows[i].wanted, &rows[i].ready, &rows[i].most};
                const char *z[ARRAY_LEN(cells)];
                for (size_t k = 0; k < ARRAY_LEN(cells); k++)
                        z[k] = arena_str(cli->arena, *cells[k]).p;
                table_row(t, z);
                if (cli->json)
                        printf("%s{\"name\":\"%s\",\"instances\":%s,\"ready\":%s,\"most\":%s}", i ? "," : "", z[0], z[1], z[2], z[3]);
        }
        if (cli->json)
                printf("]}\n");
        else
                table_print(t);
}

int cli_ask_runner(struct cli *cli, const char *question, struct str *ret_lines)
{
        _cleanup_(buf_done) struct buf asked = {0}, answer = {0};
        int fd;

        buf_printf(&asked, "%s\n", question);
        int r = connect_runner(cli, &fd);
        if (r)
                return r;
        r = converse(fd, &asked, &answer);
        close(fd);
        if (r < 0)
                return fail("the runner does not answer: ", strerror(-r));
        struct str lines = arena_str(cli->arena, buf_str(&answer)), rest = lines;
        while (rest.n) {
                struct str line = str_cut(&rest, '\n'), word = str_cut(&line, ' ');
                if (str_is(word, "refused") || str_is(word, "failed"))
                        return fail("", arena_str(cli->arena, line).p);
                if (str_is(word, "ok")) {
                        *ret_lines = lines;
                        return 0;
                }
        }
        return fail("the runner left in the middle of its answer: is it of the same version?", "");
}

static void show_answer(struct cli *cli, struct str answer)
{
        struct row rows[MAX_NAMES];
        size_t n = 0;
        while (answer.n) {
                struct str line = str_cut(&answer, '\n'), word = str_cut(&line, ' ');
                if (str_is(word, "scale") && n < MAX_NAMES) {
                        struct row *row = &rows[n++];
                        row->name = str_cut(&line, ' ');
                        row->wanted = str_cut(&line, ' ');
                        row->ready = str_cut(&line, ' ');
                        row->most = line;
                }
        }
        show(cli, rows, n);
}

static int run_scale(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        _cleanup_(buf_done) struct buf question = {0};
        struct str answer;
        (void)command;

        buf_add_z(&question, "scale");
        for (size_t i = 0; i < n; i++) {
                if (strpbrk(operands[i], " \n"))
                        return fail("give names and numbers: nuanxin scale membership=3", "");
                buf_printf(&question, " %s", operands[i]);
        }
        int r = cli_ask_runner(cli, buf_z(&question), &answer);
        if (r == 0)
                show_answer(cli, answer);
        return r;
}

const struct command commands_scale[] = {
        {"scale", "[NAME=N…]", "how many instances the local runner keeps; NAME=N changes it and waits: membership=3", NULL, {0}, NULL, run_scale},
        {0},
};
