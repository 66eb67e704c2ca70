/* SPDX-License-Identifier: Apache-2.0
 *
 * keys: the keyring outside the store. Without it nothing sealed can be read again, so `backup` says so.
 */
#include "common/chain/chain.h"
#include "common/ledger/ledger.h"
#include "services/cli/cli.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int load(struct cli *cli, struct keyring **ret)
{
        const char *error = NULL;
        int r = keyring_load(cli->keys, ret, &error);
        if (r)
                fprintf(stderr, "%s; give --var the stack's folder, or --keys\n", error ? error : strerror(r < 0 ? -r : EIO));
        return r ? 1 : 0;
}

#define PUBLIC_TEXT (2 * SIGNING_PUBLIC_SIZE + 1)
static void public_text(const struct keyring *keyring, const char *purpose, char out[PUBLIC_TEXT])
{
        struct signing_key key;
        signing_key_derive(keyring, purpose, &key);
        hex_encode(out, key.public, SIGNING_PUBLIC_SIZE);
        signing_key_done(&key);
}

/* What there is in the folder, and for a person what to know about it. */
static int show(struct cli *cli, const char *folder, const char *advice)
{
        _cleanup_(keyring_freep) struct keyring *keyring = NULL;
        _cleanup_(buf_done) struct buf name = {0};
        int r = load(cli, &keyring);
        if (r)
                return r;
        char log[PUBLIC_TEXT], ledger[PUBLIC_TEXT];
        public_text(keyring, CHAIN_KEY_PURPOSE, log);
        public_text(keyring, LEDGER_KEY_PURPOSE, ledger);
        transcode_json_string(&name, str_of(folder));
        if (cli->json)
                printf("{\"folder\":%s,\"keys\":%zu,\"active\":%u,\"newest\":%u,\"log\":\"%s\",\"ledger\":\"%s\"}\n",
                       buf_z(&name), keyring_count(keyring), keyring_active_id(keyring), keyring_newest_id(keyring), log, ledger);
        else
                printf("%s: %zu master keys, number %u seals\nThe log is signed with the private half of %s\n"
                       "and the ledger with that of %s\n%s", folder, keyring_count(keyring), keyring_active_id(keyring), log, ledger, advice);
        return 0;
}

static int run_create(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        (void)command, (void)operands, (void)n;
        int r = keyring_create(cli->keys);
        if (r == KEYRING_E_EXISTS)
                fprintf(stderr, "%s has a keyring already; `nuanxin keys rotate` adds a key\n", cli->keys);
        else if (r == -EPERM)
                fprintf(stderr, "%s must be yours, and for its owner only: chmod go= %s\n", cli->keys, cli->keys);
        else if (r < 0)
                fprintf(stderr, "can't make a keyring in %s: %s\n", cli->keys, strerror(-r));
        return r ? 1 : show(cli, cli->keys, "Back it up now: nuanxin keys backup FOLDER\n");
}

static int run_show(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        (void)command, (void)operands, (void)n;
        return show(cli, cli->keys, "");
}

static int run_rotate(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        (void)command, (void)operands, (void)n;
        int r = keyring_rotate(cli->keys);
        if (r) {
                fprintf(stderr, "can't add a key to %s: %s\n", cli->keys, strerror(r < 0 ? -r : EIO));
                return 1;
        }
        return show(cli, cli->keys, "It does so from the next start of each service on; older keys stay for what they sealed. On several hosts use\n"
                                    "prepare and activate instead. Back it up:\n"
                                    "nuanxin keys backup FOLDER\n");
}

/* On several hosts: first every copy of the keyring opens with the new key, then it seals. */
static int run_prepare(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        (void)command, (void)operands, (void)n;
        int r = keyring_prepare(cli->keys);
        if (r == KEYRING_E_EXISTS)
                fprintf(stderr, "%s has a prepared key already; next: nuanxin keys activate\n", cli->keys);
        else if (r)
                fprintf(stderr, "can't add a key to %s: %s\n", cli->keys, strerror(-r));
        return r ? 1 : show(cli, cli->keys, "The new one only opens. Copy the folder to every host that runs a service, restart each instance there;\n"
                                    "only when all have it: nuanxin keys activate\n");
}

static int run_activate(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        (void)command, (void)operands, (void)n;
        int r = keyring_activate(cli->keys);
        if (r)
                fprintf(stderr, "can't change %s: %s\n", cli->keys, strerror(-r));
        return r ? 1 : show(cli, cli->keys, "Copy the folder to every host once more and restart each instance there, in any order. Back it up:\n"
                                    "nuanxin keys backup FOLDER\n");
}

static int copy_file(const char *from, const char *to)
{
        char block[65536];
        ssize_t n = -1;
        int in = open(from, O_RDONLY | O_CLOEXEC), out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        if (out >= 0) {
                while ((n = read(in, block, sizeof(block))) > 0)
                        if (write(out, block, (size_t)n) != n) {
                                n = -1;
                                break;
                        }
                if (n == 0 && fsync(out) < 0)
                        n = -1;
        }
        int r = n < 0 ? -errno : 0;
        if (in >= 0)
                close(in);
        if (out >= 0)
                close(out);
        return r;
}

static int run_backup(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        _cleanup_(keyring_freep) struct keyring *copy = NULL, *keyring = NULL;
        const char *to = operands[0], *error = NULL;
        DIR *dir = opendir(cli->keys);
        int r = dir ? 0 : -errno;
        (void)command, (void)n;

        if (r == 0 && mkdir(to, 0700) < 0 && errno != EEXIST)
                r = -errno;
        for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
                if (entry->d_type == DT_REG)
                        r = copy_file(arena_printf(cli->arena, "%s/%s", cli->keys, entry->d_name),
                                      arena_printf(cli->arena, "%s/%s", to, entry->d_name));
        }
        if (dir)
                closedir(dir);
        if (r < 0) {
                fprintf(stderr, "can't copy %s to %s: %s%s\n", cli->keys, to, strerror(-r),
                        r == -EEXIST ? "; give each backup a new folder" : "");
                return 1;
        }
        /* A backup is one only if it can be read. */
        if ((r = load(cli, &keyring)))
                return r;
        if (keyring_load(to, &copy, &error) || keyring_active_id(copy) != keyring_active_id(keyring)) {
                fprintf(stderr, "the copy in %s can't be read back: %s\n", to, error ? error : "it differs");
                return 1;
        }
        return show(cli, to, "A copy, read back. Keep it apart from the store: who has both can read everything, and without it\n"
                             "nothing sealed can be read again.\n");
}

const struct command commands_keys[] = {
        {"keys show", "", "which keys there are", NULL, {0}, NULL, run_show},
        {"keys create", "", "a new keyring in --keys (make run makes one by itself)", NULL, {0}, NULL, run_create},
        {"keys rotate", "", "a new master key for what is written from now on", NULL, {0}, NULL, run_rotate},
        {"keys prepare", "", "the same for several hosts, first step: it only opens, until every host has a copy", NULL, {0}, NULL, run_prepare},
        {"keys activate", "", "second step: it seals", NULL, {0}, NULL, run_activate},
        {"keys backup", "FOLDER", "copies the keyring and reads the copy back", NULL, {0}, NULL, run_backup},
        {0},
};
