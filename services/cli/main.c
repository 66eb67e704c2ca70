/* SPDX-License-Identifier: Apache-2.0
 *
 * nuanxin, the operator's command: looks at a running stack and works with its data over the local bus. Whoever may
 * open the stack's bus folder may use it; what it does is audited under the user's name.
 */
#include "common/base/log.h"
#include "common/crypto/crypto.h"
#include "services/cli/cli.h"

#include <stdio.h>

static const struct command *const groups[] = {
        commands_peer, commands_scale, commands_restart, commands_ready, commands_data, commands_people,
        commands_programme, commands_care, commands_agency, commands_keys, commands_curve, commands_contract, commands_transfer,
        commands_stream, commands_webhook, commands_verify, commands_ledger, commands_policy, commands_visit, commands_call,
};

static const char about_head[] = "Looks at a running stack and works with its data, as the operator of this machine.\n\ncommands:\n";

#define WORDS_WIDTH 17
#define LEFT_WIDTH  48

/* Its help begins in a column that is the same for all, on a line of its own where the operands reach that far. */
static void put_line(struct buf *out, const struct command *c)
{
        int words = text_width(c->words), width = (words < WORDS_WIDTH ? WORDS_WIDTH : words) + 1 + text_width(c->operands);
        buf_printf(out, "  %-*s %s", WORDS_WIDTH, c->words, c->operands);
        if (width > LEFT_WIDTH)
                buf_printf(out, "\n%*s", LEFT_WIDTH + 2, "");
        buf_printf(out, "%*s %s\n", width > LEFT_WIDTH ? 0 : LEFT_WIDTH - width, "", c->help);
}

static char *about_text(struct arena *arena)
{
        struct buf out = {0};
        buf_add_z(&out, about_head);
        for (size_t g = 0; g < ARRAY_LEN(groups); g++)
                for (const struct command *c = groups[g]; c->words; c++)
                        put_line(&out, c);
        buf_add_z(&out, "\nACCOUNT is an id or a login. Roles:");
        for (unsigned i = 0; i < contract_n_roles; i++)
                put_role(&out, i ? ", " : " ", contract_roles[i].name);
        buf_add_z(&out, "\n\nexamples:\n"
                        "  nuanxin status\n"
                        "  nuanxin scale membership=3\n"
                        "  nuanxin org tree 4301\n"
                        "  nuanxin member import members.csv 430102 --set validateOnly=true\n"
                        "  nuanxin account create zhang staff@430102 张三\n"
                        "  nuanxin case list 430102 --set state=OPEN\n"
                        "  nuanxin ledger trace 01a2… --set forward=true\n"
                        "  nuanxin call GetMember '{\"member\":\"0192…\"}'");
        char *text = arena_strndup(arena, out.p, out.n);
        buf_done(&out);
        return text;
}

/* How many operands stand for the command's words: 1 or 2; 0: another command. */
static size_t matches(const struct command *c, const struct config_list *given)
{
        struct str rest = str_of(c->words);
        size_t n = 0;
        while (rest.n) {
                struct str word = str_cut(&rest, ' ');
                if (n >= given->n || !str_is(word, given->items[n]))
                        return 0;
                n++;
        }
        return n;
}

static bool begins(const struct command *c, const struct config_list *given)
{
        struct str rest = str_of(c->words);
        for (size_t n = 0; n < given->n; n++)
                if (!str_is(str_cut(&rest, ' '), given->items[n]))
                        return false;
        return given->n > 0;
}

/* Required operands come first; "[X]" may be left out, "…" takes any number. */
static bool count_fits(const struct command *c, size_t n)
{
        size_t least = 0, most = 0;
        struct str rest = str_of(c->operands);
        while (rest.n) {
                struct str word = str_cut(&rest, ' ');
                most++;
                least += word.p[0] != '[';
        }
        return n >= least && (n <= most || strstr(c->operands, "…"));
}

/* No command fits: those that begin so, or the way to all. */
static void explain(const struct config_list *given)
{
        bool any = false;
        for (size_t g = 0; g < ARRAY_LEN(groups) && given->n; g++)
                for (const struct command *c = groups[g]; c->words; c++) {
                        struct str rest = str_of(c->words);
                        if (!str_is(str_cut(&rest, ' '), given->items[0]))
                                continue;
                        fprintf(stderr, "%s nuanxin %s %s\n", any ? "      " : "usage:", c->words, c->operands);
                        any = true;
                }
        if (!any && given->n)
                fprintf(stderr, "no command is called %s; see nuanxin --help\n", given->items[0]);
        else if (!any)
                fprintf(stderr, "which command? see nuanxin --help\n");
}

static int run_command(struct cli *cli, const struct config_list *given)
{
        for (size_t g = 0; g < ARRAY_LEN(groups); g++)
                for (const struct command *c = groups[g]; c->words; c++) {
                        size_t words = matches(c, given);
                        if (!words)
                                continue;
                        if (!count_fits(c, given->n - words)) {
                                fprintf(stderr, "usage: nuanxin %s %s\n", c->words, c->operands);
                                return 2;
                        }
                        if (c->run)
                                return c->run(cli, c, given->items + words, given->n - words);
                        return cli_run_method(cli, c, given->items + words, given->n - words);
                }
        explain(given);
        return 2;
}

/* What --help says of a command alone, or of those that begin so; NULL: all shall be listed. */
static const char *about_asked(struct arena *arena, int argc, char **argv, const char **ret_usage)
{
        struct config_list given = {0};
        struct buf out = {0};
        bool help = false;
        for (int i = 1; i < argc; i++) {
                bool flag = strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "--json") == 0 ||
                            strcmp(argv[i], "--restored") == 0;
                help = help || strcmp(argv[i], "--help") == 0;
                if (strncmp(argv[i], "--", 2) == 0)
                        i += !flag && !strchr(argv[i], '='); /* its value */
                else if (given.n < 3) /* no command has more words */
                        given.items[given.n++] = argv[i];
        }
        for (size_t g = 0; g < ARRAY_LEN(groups) && help; g++)
                for (const struct command *c = groups[g]; c->words; c++) {
                        if (matches(c, &given)) {
                                *ret_usage = arena_printf(arena, "nuanxin %s%s%s [options]", c->words, *c->operands ? " " : "", c->operands);
                                buf_done(&out);
                                return transfer_about(c) ? transfer_about(c) : arena_printf(arena, "%s: %s\n", c->words, c->help);
                        }
                        if (begins(c, &given))
                                put_line(&out, c);
                }
        const char *text = out.n ? arena_strndup(arena, out.p, out.n) : NULL;
        buf_done(&out);
        return text;
}

int main(int argc, char **argv)
{
        struct cli cli = {.var = "var", .instances = -1};
        struct config_list given = {0};
        const struct config_option options[] = {
                {"var", "FOLDER", "the stack's folder: FOLDER/bus, FOLDER/keys (default: var)", CONFIG_TEXT, &cli.var, 0, 0},
                {"bus", "FOLDER", "the services' sockets (default: VAR/bus)", CONFIG_TEXT, &cli.bus, 0, 0},
                {"redis", "ADDRESS", "the registry, to find instances on other hosts", CONFIG_TEXT, &cli.redis, 0, 0},
                {"redis-auth", "PATH", "file of mode 0600 with lines password TEXT, user NAME, sentinel-password TEXT", CONFIG_TEXT, &cli.redis_auth_file, 0, 0},
                {"curve", "FOLDER", "CURVE keys for instances on other hosts (default: VAR/curve, if the operator's are there)", CONFIG_TEXT, &cli.curve, 0, 0},
                {"keys", "FOLDER", "the keyring (default: VAR/keys)", CONFIG_TEXT, &cli.keys, 0, 0},
                {"set", "FIELD=VALUE", "any field of the request, e.g. --set pageSize=200; may be repeated", CONFIG_LIST, &cli.sets, 0, 0},
                {"instances", "N", "store move: so many must wait on the target before the switch (default: 1)", CONFIG_INT, &cli.instances, 0, 1000},
                {"store", "URL", "stream, ledger verify: the store (default: sqlite:VAR/store/stream.db, care.db)", CONFIG_TEXT, &cli.store, 0, 0},
                {"checkpoints", "FOLDER", "stream, ledger verify: what was signed of it (default: VAR/checkpoints, VAR/ledger)", CONFIG_TEXT, &cli.checkpoints, 0, 0},
                {"key", "HEX", "stream, ledger verify: the key that signed it, as `keys show` gives it (default: the keyring's)", CONFIG_TEXT, &cli.key, 0, 0},
                {"restored", NULL, "stream, ledger verify: the store was restored from a backup; what that took away is no fault", CONFIG_FLAG, &cli.restored, 0, 0},
                {"json", NULL, "answers as JSON, for programs", CONFIG_FLAG, &cli.json, 0, 0},
                {0},
        };
        const struct config_option *const tables[] = {options};

        log_init("nuanxin", LOG_LEVEL_ERROR);
        cli.arena = arena_new(1 << 16);
        const char *usage = "nuanxin COMMAND [operands] [options]", *about = about_asked(cli.arena, argc, argv, &usage);
        int r = config_parse(usage, about ? about : about_text(cli.arena), tables, 1, argc, argv, &given);
        if (r == 0) {
                if (!cli.bus)
                        cli.bus = arena_printf(cli.arena, "%s/bus", cli.var);
                if (!cli.keys)
                        cli.keys = arena_printf(cli.arena, "%s/keys", cli.var);
                r = crypto_init() < 0 ? 1 : run_command(&cli, &given);
        } else {
                r = r == CONFIG_E_HELP ? 0 : 2;
        }
        if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "can't write the answer: %s\n", strerror(errno));
                r = 1;
        }
        operator_close(cli.op);
        cache_auth_done(&cli.redis_auth);
        arena_free(cli.arena);
        return r;
}
