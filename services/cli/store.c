/* SPDX-License-Identifier: Apache-2.0
 *
 * What verifications read without a service: its store, and the key that signed its checkpoints.
 */
#include "services/cli/cli.h"

#include <stdio.h>
#include <unistd.h>

int cli_signing_key(struct cli *cli, const char *purpose, unsigned char ret_public[SIGNING_PUBLIC_SIZE])
{
        _cleanup_(keyring_freep) struct keyring *keyring = NULL;
        const char *error = NULL;
        struct signing_key key;
        if (cli->key) {
                if (hex_decode(ret_public, SIGNING_PUBLIC_SIZE, str_of(cli->key)) == 0)
                        return 0;
                fprintf(stderr, "--key: give 64 hexadecimal digits, as `nuanxin keys show` does\n");
                return 2;
        }
        if (keyring_load(cli->keys, &keyring, &error) != 0) {
                fprintf(stderr, "%s; give --keys the keyring, or --key the public key\n", error);
                return 1;
        }
        signing_key_derive(keyring, purpose, &key);
        memcpy(ret_public, key.public, SIGNING_PUBLIC_SIZE);
        signing_key_done(&key);
        return 0;
}

int cli_open_store(struct cli *cli, const char *service, struct store **ret_store, struct store_conn **ret_conn)
{
        const char *error = NULL;
        if (!cli->store)
                cli->store = arena_printf(cli->arena, "sqlite:%s/store/%s.db", cli->var, service);
        if (strncmp(cli->store, "sqlite:", 7) == 0 && access(cli->store + 7, F_OK) != 0) {
                fprintf(stderr, "%s is not there; give --store the %s service's\n", cli->store, service);
                return 1;
        }
        int r = store_open(cli->store, NULL, ret_store, &error);
        if (r == 0)
                r = store_reader_open(*ret_store, ret_conn);
        if (r != 0)
                fprintf(stderr, "can't open %s: %s\n", cli->store, error ? error : store_reader_error());
        return r ? 1 : 0;
}
