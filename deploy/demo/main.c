/* SPDX-License-Identifier: Apache-2.0
 *
 * `make demo`: a 5·29 rush against a running stack (or one that it starts), then a proof that the live counts are
 * what was acknowledged. Ends non-zero if they differ.
 */
#include "common/base/clock.h"
#include "common/base/config.h"
#include "common/base/log.h"
#include "common/contract/message.h"
#include "common/crypto/crypto.h"
#include "deploy/demo/demo.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char about[] = "Drives a 5·29 rush against the stack in --var (starting one if none runs): members over all villages,\n"
                            "activities of every kind, registrations, check-ins by card, code, staff and online; then proves that\n"
                            "the live counts at every level equal what was acknowledged.";

void show_progress(const char *what, int64_t done, int64_t total, int64_t started_us)
{
        static int64_t shown_us;
        int64_t now = clock_monotonic_us();
        if (!isatty(STDERR_FILENO) || now - shown_us < CLOCK_SECOND_US / 10 || !done || !total)
                return;
        shown_us = now;
        char bar[31] = "";
        for (int i = 0; i < 30; i++)
                bar[i] = i < 30 * done / total ? '#' : '.';
        double rate = (double)done / ((double)(now - started_us) / 1e6);
        fprintf(stderr, "\r%s [%s] %" PRId64 "/%" PRId64 "  %.0f/s  %.0f s left\033[K", what, bar, done, total, rate,
                rate > 0 ? (double)(total - done) / rate : 0);
}

void show_done(const char *what, int64_t total, int64_t started_us)
{
        double seconds = (double)(clock_monotonic_us() - started_us) / 1e6;
        if (isatty(STDERR_FILENO))
                fprintf(stderr, "\r\033[K");
        printf("%" PRId64 " %s in %.1f s (%.0f/s)\n", total, what, seconds, seconds > 0 ? (double)total / seconds : 0);
        fflush(stdout);
}

/* Does a runner hold the folder's lock? Then its address is in it. */
static bool stack_runs(const struct demo *d, char address[128])
{
        char path[PATH_MAX], text[160] = "";
        snprintf(path, sizeof(path), "%s/runner.lock", d->var);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return false;
        bool held = flock(fd, LOCK_EX | LOCK_NB) < 0;
        ssize_t n = read(fd, text, sizeof(text) - 1);
        close(fd);
        char *at = n > 0 ? strstr(text, "http://") : NULL;
        if (held && at)
                snprintf(address, 128, "%s", at + strlen("http://"));
        return held && at;
}

/* Starts the runner and reads its output until it is ready. Returns its pid, or -1. */
static pid_t start_stack(const struct demo *d)
{
        char program[PATH_MAX], line[512];
        int out[2];
        ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 32);
        if (n < 0 || pipe2(out, O_CLOEXEC) < 0)
                return -1;
        program[n] = '\0';
        strrchr(program, '/')[1] = '\0';
        memcpy(program + strlen(program), "nuanxin-runner", sizeof("nuanxin-runner"));
        printf("no stack runs in %s: starting one\n", d->var);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGTERM); /* it was started for this demo */
                dup2(out[1], STDOUT_FILENO);
                execl(program, program, "--http", d->http, "--var", d->var, "--data", d->data, (char *)NULL);
                _exit(127);
        }
        close(out[1]);
        FILE *f = fdopen(out[0], "re");
        bool ready = false;
        while (pid > 0 && f && !ready && fgets(line, sizeof(line), f))
                ready = strncmp(line, "ready ", 6) == 0;
        /* The pipe stays open: the runner writes nothing more, and must not be ended by writing. */
        if (!ready && pid > 0) {
                waitpid(pid, NULL, 0);
                pid = -1;
        }
        return pid;
}

static int run(struct demo *d)
{
        int r = divisions_load(d->data, &d->divisions);
        if (r < 0)
                return r;
        d->attended = mem_zalloc(d->divisions.n * sizeof(*d->attended));
        if ((r = setup_credentials(d)) == 0 && (r = setup_members(d)) == 0 && (r = setup_activities(d)) == 0 &&
            (r = rush_run(d)) == 0)
                r = proof_run(d);
        divisions_done(&d->divisions);
        free(d->attended);
        free(d->members);
        free(d->activities);
        return r;
}

int main(int argc, char **argv)
{
        char address[128];
        struct demo d = {.http = "127.0.0.1:8080", .var = "var", .data = "deploy/data/hunan-divisions.csv", .members_wanted = 20000,
                         .activities_wanted = 500, .connections = 48};
        const struct config_option options[] = {
                {"http", "ADDRESS", "of a stack that is to be started (default: 127.0.0.1:8080)", CONFIG_TEXT, &d.http, 0, 0},
                {"var", "FOLDER", "the stack's folder (default: var)", CONFIG_TEXT, &d.var, 0, 0},
                {"data", "CSV", "the organisations (default: deploy/data/hunan-divisions.csv)", CONFIG_TEXT, &d.data, 0, 0},
                {"members", "N", "how many members (default: 20000)", CONFIG_INT, &d.members_wanted, 1, 10000000},
                {"activities", "N", "how many activities (default: 500)", CONFIG_INT, &d.activities_wanted, 1, 100000},
                {"connections", "N", "HTTP connections at once (default: 48)", CONFIG_INT, &d.connections, 1, 256},
                {0},
        };
        const struct config_option *const tables[] = {options};
        pid_t runner = 0;

        int r = config_parse("nuanxin-demo [options]", about, tables, 1, argc, argv, NULL);
        if (r)
                return r == CONFIG_E_HELP ? 0 : 2;
        log_init("demo", LOG_LEVEL_WARNING);
        if (crypto_init() < 0 || curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
                return 1;
        if (stack_runs(&d, address)) {
                d.http = address;
        } else if ((runner = start_stack(&d)) < 0) {
                fprintf(stderr, "the stack does not start\n");
                return 1;
        }
        r = run(&d);
        if (runner) {
                kill(runner, SIGTERM);
                waitpid(runner, NULL, 0);
        }
        return r < 0 ? 1 : 0;
}
