/* SPDX-License-Identifier: Apache-2.0
 *
 * store contract: lets a service's store lose what no build that is left needs. There is no way back, so every instance
 * is asked first.
 */
#include "common/rpc/client.h"
#include "services/cli/cli.h"
#include "nuanxin/internal/v1/peer.pb-c.h"

#include <stdio.h>

#define MAX_INSTANCES 64
#define MAX_PENDING   256

typedef Nuanxin__Internal__V1__Status Status;

static bool has(char *const *texts, size_t n, const char *text)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(texts[i], text) == 0)
                        return true;
        return false;
}

/* What every instance of the service says of itself; 1 after a line for each that does not answer. */
static int ask_all(struct cli *cli, const char *service, Status *all[MAX_INSTANCES], size_t *ret_n)
{
        struct rpc_instance found[MAX_INSTANCES];
        size_t n_found = operator_instances(cli->op, found, MAX_INSTANCES), n = 0;
        int r = 0;
        for (size_t i = 0; i < n_found; i++) { /* they are lent until the next call */
                found[i].service = arena_strdup(cli->arena, found[i].service);
                found[i].instance = arena_strdup(cli->arena, found[i].instance);
                found[i].endpoint = arena_strdup(cli->arena, found[i].endpoint);
        }
        for (size_t i = 0; i < n_found; i++) {
                void *response, *request = message_new(cli->arena, operator_method("GetStatus")->input);
                const struct operator_target target = {.service = service, .instance = found[i].instance};
                if (strcmp(found[i].service, service) != 0)
                        continue;
                if (found[i].up && cli_call(cli, "GetStatus", &target, request, &response) == 0) {
                        all[n++] = response;
                        continue;
                }
                fprintf(stderr, "%s does not answer at %s: end it, or wait for it\n", service, found[i].endpoint);
                r = 1;
        }
        if (!n)
                fprintf(stderr, "no instance of %s answers: the writer must run, to do it\n", service);
        *ret_n = n;
        return n ? r : 1;
}

/* Of all instances that are there, which know a contraction that has not run, and which are too old for it? */
static int check_all(Status *const *all, size_t n, char *pending[MAX_PENDING], size_t *ret_n)
{
        size_t n_pending = 0;
        int r = 0;
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < all[i]->n_contractions_pending; k++) {
                        char *name = all[i]->contractions_pending[k];
                        if (n_pending < MAX_PENDING && !has(pending, n_pending, name))
                                pending[n_pending++] = name;
                }
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < n_pending; k++)
                        if (!has(all[i]->contractions, all[i]->n_contractions, pending[k])) {
                                fprintf(stderr, "%s is of a build (%s) that may need what %s takes away: upgrade it first\n",
                                        all[i]->instance, all[i]->build[0] ? all[i]->build : "unknown", pending[k]);
                                r = 1;
                        }
        *ret_n = n_pending;
        return r;
}

static int run_contract(struct cli *cli, const struct command *command, const char *const *operands, size_t n_operands)
{
        Status *all[MAX_INSTANCES];
        char *pending[MAX_PENDING];
        size_t n = 0, n_pending = 0;
        void *response;
        (void)command, (void)n_operands;

        int r = cli_open(cli);
        if (r == 0)
                r = ask_all(cli, operands[0], all, &n);
        if (r == 0)
                r = check_all(all, n, pending, &n_pending);
        if (r)
                return r;
        if (!n_pending) {
                printf("%s has nothing to take away\n", operands[0]);
                return 0;
        }
        Nuanxin__Internal__V1__ContractStoreRequest *request = message_new(cli->arena, operator_method("ContractStore")->input);
        request->contractions = pending;
        request->n_contractions = n_pending;
        r = cli_call(cli, "ContractStore", &(struct operator_target){.service = operands[0]}, request, &response);
        const Nuanxin__Internal__V1__ContractStoreResponse *done = response;
        for (size_t i = 0; r == 0 && i < done->n_done; i++)
                printf("%s has run: builds before it are refused from now on\n", done->done[i]);
        return r;
}

const struct command commands_contract[] = {
        {"store contract", "SERVICE", "takes away what no build that is left needs; there is no way back", NULL, {0}, NULL, run_contract},
        {0},
};
