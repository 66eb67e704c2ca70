/* SPDX-License-Identifier: Apache-2.0
 *
 * Options from the command line and the environment; counters as Prometheus text.
 */
#include "common/base/config.h"
#include "common/base/metric.h"
#include "tests/support/check.h"

#include <fcntl.h>
#include <unistd.h>

static struct {
        const char *text;
        int64_t number;
        bool flag;
        struct config_list list;
} got;

static const struct config_option own[] = {
        {"http-address", "ADDRESS", "where to listen (default none)", CONFIG_TEXT, &got.text, 0, 0},
        {"threads", "N", "threads (default 2)", CONFIG_INT, &got.number, 1, 64},
        {0},
};
static const struct config_option shared[] = {
        {"verbose", NULL, "say more", CONFIG_FLAG, &got.flag, 0, 0},
        {"peer", "URL", "a peer", CONFIG_LIST, &got.list, 0, 0},
        {0},
};

/* What went to the descriptor meanwhile is in printed. */
static char printed[8192];

static int parse(int watched, struct config_list *operands, ...)
{
        const struct config_option *const tables[] = {own, shared};
        char *argv[16] = {(char *)"test"};
        int argc = 1, keep = dup(watched);
        char path[] = "/tmp/nuanxin-config-XXXXXX";
        int fd = mkstemp(path);
        __builtin_va_list args;

        __builtin_va_start(args, operands);
        while ((argv[argc] = __builtin_va_arg(args, char *)))
                argc++;
        __builtin_va_end(args);
        memset(&got, 0, sizeof(got));
        got.number = 2;
        fflush(stdout);
        dup2(fd, watched);
        int r = config_parse("test [options]", "A test.", tables, ARRAY_LEN(tables), argc, argv, operands);
        fflush(stdout);
        dup2(keep, watched);
        close(keep);
        ssize_t n = pread(fd, printed, sizeof(printed) - 1, 0);
        printed[n > 0 ? n : 0] = '\0';
        close(fd);
        unlink(path);
        return r;
}

static int count_lines(void)
{
        int n = 0;
        for (const char *p = printed; *p; p++)
                n += *p == '\n';
        return n;
}

static void test_options(void)
{
        CHECK_INT(parse(2, NULL, "--http-address", "1.2.3.4:80", "--threads=8", "--verbose", "--peer", "a", "--peer=b",
                        NULL), 0);
        CHECK_TEXT(got.text, "1.2.3.4:80");
        CHECK_INT(got.number, 8);
        CHECK(got.flag);
        CHECK_INT(got.list.n, 2);
        CHECK_TEXT(got.list.items[0], "a");
        CHECK_TEXT(got.list.items[1], "b");
        CHECK_INT(parse(2, NULL, NULL), 0);
        CHECK(!got.text && got.number == 2 && !got.flag);
        CHECK_INT(parse(2, NULL, "--http-address=", NULL), 0);
        CHECK_TEXT(got.text, "");
}

static void test_environment(void)
{
        setenv("NUANXIN_HTTP_ADDRESS", "from-environment", 1);
        setenv("NUANXIN_THREADS", "5", 1);
        setenv("NUANXIN_VERBOSE", "1", 1);
        setenv("NUANXIN_PEER", "x,y,z", 1);
        CHECK_INT(parse(2, NULL, "--threads", "6", NULL), 0);
        CHECK_TEXT(got.text, "from-environment");
        CHECK_INT(got.number, 6); /* the command line wins */
        CHECK(got.flag);
        CHECK_INT(got.list.n, 3);
        CHECK_TEXT(got.list.items[2], "z");
        for (size_t i = 0; i < got.list.n; i++)
                free((void *)(uintptr_t)got.list.items[i]); /* elsewhere they live as long as the process */
        setenv("NUANXIN_THREADS", "65", 1);
        CHECK_INT(parse(2, NULL, NULL), -EINVAL);
        CHECK(strstr(printed, "NUANXIN_THREADS") && strstr(printed, "from 1 to 64"));
        unsetenv("NUANXIN_HTTP_ADDRESS");
        unsetenv("NUANXIN_THREADS");
        unsetenv("NUANXIN_VERBOSE");
        unsetenv("NUANXIN_PEER");
}

static void test_mistakes_are_one_line(void)
{
        static const struct {
                const char *arg, *value, *said;
        } table[] = {
                {"--threads", "0", "--threads"},       {"--threads", "eight", "from 1 to 64"},
                {"--threads", NULL, "needs a value"},  {"--thread", "1", "--thread'"},
                {"stray", NULL, "stray"},              {"--", NULL, "'--'"},
                {"-h", NULL, "'-h'"},                  {"--http", "x", "--http'"},
        };
        for (size_t i = 0; i < ARRAY_LEN(table); i++) {
                CHECK_INT(parse(2, NULL, table[i].arg, table[i].value, NULL), -EINVAL);
                if (!strstr(printed, table[i].said) || count_lines() != 1)
                        printf("# %s said: %s\n", table[i].arg, printed);
                CHECK(strstr(printed, table[i].said) != NULL);
                CHECK_INT(count_lines(), 1);
        }
}

static void test_operands_and_help(void)
{
        struct config_list operands = {0};
        CHECK_INT(parse(2, &operands, "import", "--verbose", "file.csv", NULL), 0);
        CHECK_INT(operands.n, 2);
        CHECK_TEXT(operands.items[1], "file.csv");
        CHECK_INT(parse(1, NULL, "--help", NULL), CONFIG_E_HELP);
        CHECK(strncmp(printed, "usage: test [options]\n", 22) == 0);
        CHECK(strstr(printed, "A test.") && strstr(printed, "--threads N") && strstr(printed, "--verbose "));
}

static void test_metrics_text(void)
{
        static const struct metric_family requests = {"nuanxin_requests_total", "Requests.", METRIC_COUNTER};
        static const struct metric_family depth = {"nuanxin_queue_depth", "Waiting.", METRIC_GAUGE};
        static const struct metric_family wait = {"nuanxin_wait_seconds", "Wait.", METRIC_HISTOGRAM};
        static const struct metric_family batch = {"nuanxin_batch_size", "Batch.", METRIC_HISTOGRAM};
        _cleanup_(metric_registry_freep) struct metric_registry *r = metric_registry_new();
        struct buf out = {0};

        struct metric *get = metric_new(r, &requests, "method=\"%s\"", "Get");
        metric_set(metric_new(r, &depth, "%s", ""), -3);
        struct metric *list = metric_new(r, &requests, "method=\"%s\"", "List"); /* later, yet beside its family */
        CHECK(metric_new(r, &requests, "method=\"%s\"", "Get") == get);
        metric_add(get, 2);
        metric_add(list, 5);
        struct metric *w = metric_new(r, &wait, "lane=\"read\"");
        metric_observe(w, 50);
        metric_observe(w, 51);
        metric_observe(w, 20000000);
        metric_observe(w, -1);
        struct metric *b = metric_new_plain(r, &batch);
        metric_observe(b, 64);
        metric_write(r, &out);
        const char *text = buf_z(&out);

        CHECK(str_starts(buf_str(&out), STR("# HELP nuanxin_requests_total Requests.\n"
                                            "# TYPE nuanxin_requests_total counter\n"
                                            "nuanxin_requests_total{method=\"Get\"} 2\n"
                                            "nuanxin_requests_total{method=\"List\"} 5\n"
                                            "# HELP nuanxin_queue_depth Waiting.\n"
                                            "# TYPE nuanxin_queue_depth gauge\n"
                                            "nuanxin_queue_depth -3\n"
                                            "# HELP nuanxin_wait_seconds Wait.\n"
                                            "# TYPE nuanxin_wait_seconds histogram\n"
                                            "nuanxin_wait_seconds_bucket{lane=\"read\",le=\"5e-05\"} 2\n")));
        CHECK(strstr(text, "nuanxin_wait_seconds_bucket{lane=\"read\",le=\"0.0001\"} 3\n"));
        CHECK(strstr(text, "nuanxin_wait_seconds_bucket{lane=\"read\",le=\"10\"} 3\n"));
        CHECK(strstr(text, "nuanxin_wait_seconds_bucket{lane=\"read\",le=\"+Inf\"} 4\n"));
        CHECK(strstr(text, "nuanxin_wait_seconds_sum{lane=\"read\"} 20.0001\n"));
        CHECK(strstr(text, "nuanxin_wait_seconds_count{lane=\"read\"} 4\n"));
        CHECK(strstr(text, "nuanxin_batch_size_bucket{le=\"64\"} 1\n"));
        CHECK(strstr(text, "nuanxin_batch_size_bucket{le=\"48\"} 0\n"));
        CHECK(strstr(text, "nuanxin_batch_size_sum 64\nnuanxin_batch_size_count 1\n"));
        CHECK_INT(metric_quantile(w, 0.5), 50);
        CHECK_INT(metric_quantile(w, 0.75), 100);
        CHECK_INT(metric_quantile(w, 1), 10000000);
        CHECK_INT(metric_quantile(metric_new(r, &wait, "lane=\"slow\""), 0.5), 0);
        buf_done(&out);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"options come from the command line", test_options},
                {"options come from the environment, the command line wins", test_environment},
                {"a mistake is one line that says what to mend", test_mistakes_are_one_line},
                {"operands are taken when asked for, and help is printed", test_operands_and_help},
                {"metrics are Prometheus text", test_metrics_text},
        };
        return CHECK_MAIN(cases);
}
