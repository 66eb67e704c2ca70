/* SPDX-License-Identifier: Apache-2.0
 *
 * Schema files that take something away (store.h): what there is of them, and running them at the operator's word, as
 * one request of the write lane. Whether all instances can do without is asked by `nuanxin store contract`.
 */
#include "common/rpc/peer.h"

#include "common/base/log.h"
#include "common/rpc/schema.h"

#define CONTRACTIONS_MAX 256

/* The next of both lists, from *at = 0 on; NULL: that was all. */
static const struct store_migration *next_migration(const struct rpc_call *call, size_t *at)
{
        const struct store_migration *own = call->server->service->migrations;
        size_t i = (*at)++;
        if (i < rpc_n_migrations)
                return &rpc_migrations[i];
        return own && own[i - rpc_n_migrations].name ? &own[i - rpc_n_migrations] : NULL;
}

int contractions_tell(struct rpc_call *call, Nuanxin__Internal__V1__Status *status)
{
        const struct store_migration *m;
        status->contractions = ARENA_ARRAY(call->arena, char *, CONTRACTIONS_MAX);
        status->contractions_pending = ARENA_ARRAY(call->arena, char *, CONTRACTIONS_MAX);
        for (size_t at = 0; (m = next_migration(call, &at)) && status->n_contractions < CONTRACTIONS_MAX;) {
                if (!store_is_contraction(m))
                        continue;
                int pending = store_contract_pending(call->db, m);
                if (pending < 0)
                        return pending;
                status->contractions[status->n_contractions++] = (char *)m->name;
                if (pending)
                        status->contractions_pending[status->n_contractions_pending++] = (char *)m->name;
        }
        return 0;
}

static bool is_asked(const Nuanxin__Internal__V1__ContractStoreRequest *request, const char *name)
{
        for (size_t i = 0; i < request->n_contractions; i++)
                if (strcmp(request->contractions[i], name) == 0)
                        return true;
        return false;
}

int handle_contract_store(struct rpc_call *call, const Nuanxin__Internal__V1__ContractStoreRequest *request,
                          Nuanxin__Internal__V1__ContractStoreResponse *response)
{
        const struct store_migration *m;
        const char *error = NULL;
        if (call->principal->kind != NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__OPERATOR)
                return rpc_refuse(call, NUANXIN__PROBLEM__PROBLEM_PERMISSION_DENIED);
        response->done = ARENA_ARRAY(call->arena, char *, CONTRACTIONS_MAX);
        for (size_t at = 0; (m = next_migration(call, &at));) {
                bool ran = false;
                int r = is_asked(request, m->name) ? store_contract(call->db, m, &ran, &error) : 0;
                if (r != 0) {
                        log_error("a contraction did not run", "error=\"%s\"", error ? error : "");
                        return r;
                }
                if (ran && response->n_done < CONTRACTIONS_MAX)
                        response->done[response->n_done++] = (char *)m->name;
        }
        rpc_audit_subject(call, response->n_done ? response->done[0] : "", "");
        return 0;
}
