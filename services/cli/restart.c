/* SPDX-License-Identifier: Apache-2.0
 *
 * restart: one instance of the local runner after the other ends and comes back, as of the programs that stand there now,
 * in an order in which nobody who calls notices. Elsewhere the service manager does it.
 */
#include "common/rpc/client.h"
#include "services/cli/cli.h"

#include <stdio.h>

#define MAX_INSTANCES 64

struct names {
        const char *items[MAX_INSTANCES];
        size_t n;
};

static void add(struct names *names, const char *name)
{
        if (names->n < MAX_INSTANCES)
                names->items[names->n++] = name;
}

/* Whoever follows another goes before it, so that it knows what the other will tell; and on SQLite whoever stands by before
 * who writes, so that a renewed one takes over. */
static void add_services(struct cli *cli, struct names *names)
{
        static const char *const order[] = {"stream", "activity", "care", "membership"};
        struct rpc_instance found[MAX_INSTANCES];
        size_t n = operator_instances(cli->op, found, MAX_INSTANCES);
        for (size_t s = 0; s < ARRAY_LEN(order); s++)
                for (int writes = 0; writes < 2; writes++)
                        for (size_t i = 0; i < n; i++)
                                if (found[i].up && found[i].may_write == !!writes && strcmp(found[i].service, order[s]) == 0)
                                        add(names, arena_strdup(cli->arena, found[i].instance));
}

/* Who calls the services, and is called by nobody. */
static int add_doors(struct cli *cli, struct names *names)
{
        static const char *const doors[] = {"gateway", "edge"};
        struct str lines;
        int64_t wanted;
        int r = cli_ask_runner(cli, "scale", &lines);
        while (r == 0 && lines.n) {
                struct str line = str_cut(&lines, '\n'), word = str_cut(&line, ' '), name = str_cut(&line, ' ');
                for (size_t d = 0; d < ARRAY_LEN(doors) && str_is(word, "scale"); d++)
                        if (str_is(name, doors[d]) && str_to_i64(str_cut(&line, ' '), 0, MAX_INSTANCES, &wanted) == 0)
                                for (int k = 1; k <= wanted; k++)
                                        add(names, arena_printf(cli->arena, "%s-%d", doors[d], k));
        }
        return r;
}

static int run_restart(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        struct names names = {0};
        struct str ignored;
        int r = n ? 0 : cli_open(cli);
        (void)command;

        for (size_t i = 0; i < n; i++) {
                if (strpbrk(operands[i], " \n")) {
                        fprintf(stderr, "give instances: nuanxin restart membership-2 membership-1\n");
                        return 2;
                }
                add(&names, operands[i]);
        }
        if (r == 0 && !n) {
                add_services(cli, &names);
                r = add_doors(cli, &names);
        }
        for (size_t i = 0; i < names.n && r == 0; i++) {
                r = cli_ask_runner(cli, arena_printf(cli->arena, "restart %s", names.items[i]), &ignored);
                if (r == 0)
                        printf("%s is back\n", names.items[i]);
                fflush(stdout);
        }
        return r;
}

const struct command commands_restart[] = {
        {"restart", "[INSTANCE…]", "of the local runner: one after the other ends and comes back; all, in the right order, or these", NULL, {0}, NULL, run_restart},
        {0},
};
