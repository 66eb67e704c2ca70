/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients: app backends and their API keys. A key is shown once; afterwards only its hash is known.
 */
#include "services/membership/handle.h"

#include "contract/internal_v1.h"

#define LISTED_MAX 1000

static int fill_client(struct rpc_call *call, const struct client *c, Client *out)
{
        out->id = c->id;
        out->name = c->name;
        out->organization = c->organization;
        out->disabled = c->disabled;
        out->generation = c->generation;
        out->create_time = rpc_timestamp(call, c->created);
        return grants_fill(call, c->id, &out->grants, &out->n_grants);
}

static int find_client(struct rpc_call *call, const char *id, struct client *ret)
{
        struct organization o;
        int r = client_get(rpc_db(call), rpc_arena(call), id, ret);
        if (r == -ENOENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = find_organization(call, ret->organization, &o);
        if (r == 0)
                r = rpc_require(call, str_of(o.path));
        rpc_audit_subject(call, id, r == 0 ? ret->organization : "");
        return r == 0 ? grants_within(call, "client.write", id) : r;
}

static char *new_key(struct rpc_call *call, char **ret_hash)
{
        char token[TOKEN_TEXT_SIZE];
        token_new(token);
        char *key = arena_printf(rpc_arena(call), "nxk_%s", token);
        *ret_hash = arena_alloc(rpc_arena(call), 65);
        sha256_hex(*ret_hash, str_of(key));
        return key;
}

static int save_client(struct rpc_call *call, struct client *c)
{
        ClientRightsChanged event = NUANXIN__MEMBERSHIP__V1__CLIENT_RIGHTS_CHANGED__INIT;
        c->generation++;
        int r = client_update(rpc_db(call), c);
        event.client = c->id;
        event.generation = (uint64_t)c->generation;
        return r == 0
                   ? rpc_emit(call, &membership_v1_client_rights_changed_msg, &event, c->id, c->organization)
                   : r;
}

static int answer_key(struct rpc_call *call, const struct client *c, char *key, ClientKey *response)
{
        response->api_key = key;
        response->client = message_new(rpc_arena(call), &membership_v1_client_msg);
        return fill_client(call, c, response->client);
}

int handle_create_client(struct rpc_call *call, const CreateClientRequest *request, ClientKey *response)
{
        struct role_grant grants[ROLE_GRANT_MAX];
        struct organization o;
        const Client *asked = request->client;
        struct client c = {
                .id = rpc_new_id(call),
                .name = asked->name,
                .organization = asked->organization,
                .generation = 1,
                .created = rpc_now(call),
        };
        char *key = new_key(call, &c.key_hash);
        int r = find_valid_organization(call, c.organization, &o);
        if (r == 0)
                r = grants_take(call, "client.write", asked->grants, asked->n_grants, grants);
        if (r == 0)
                r = client_insert(rpc_db(call), &c);
        if (r == 0)
                r = role_grants_set(rpc_db(call), c.id, grants, asked->n_grants);
        rpc_audit_subject(call, c.id, c.organization);
        return r == 0 ? answer_key(call, &c, key, response) : r;
}

int handle_list_clients(struct rpc_call *call, const ListClientsRequest *request,
                        ListClientsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct client *clients = ARENA_ARRAY(arena, struct client, LISTED_MAX + 1);
        char **paths = ARENA_ARRAY(arena, char *, LISTED_MAX + 1);
        struct subtree_page page;
        size_t n = 0;
        int r = subtree_page_start(call, request->organization, "", request->page_size, request->page_token,
                                   &page);
        if (r == 0)
                r = client_list(rpc_db(call), arena, page.path, page.after_path, page.after_id, page.size + 1,
                                clients, paths, &n);
        if (r == 0 && (int64_t)n > page.size) {
                n = (size_t)page.size;
                response->next_page_token = subtree_page_next(call, &page, paths[n - 1], clients[n - 1].id);
        }
        response->clients = ARENA_ARRAY(arena, Client *, n);
        response->n_clients = n;
        for (size_t i = 0; i < n; i++)
                response->clients[i] = message_new(arena, &membership_v1_client_msg);
        for (size_t i = 0; i < n && r == 0; i++)
                r = fill_client(call, &clients[i], response->clients[i]);
        return r;
}

int handle_rotate_client_key(struct rpc_call *call, const RotateClientKeyRequest *request,
                             ClientKey *response)
{
        struct client c;
        int r = find_client(call, request->client, &c);
        if (r != 0)
                return r;
        if (c.disabled)
                return rpc_refuse(call, PROBLEM(CLIENT_DISABLED));
        char *key = new_key(call, &c.key_hash);
        r = save_client(call, &c);
        return r == 0 ? answer_key(call, &c, key, response) : r;
}

static int set_disabled(struct rpc_call *call, const char *id, bool disabled, Client *response)
{
        struct client c;
        int r = find_client(call, id, &c);
        if (r == 0 && c.disabled != disabled) {
                c.disabled = disabled;
                r = save_client(call, &c);
        }
        return r == 0 ? fill_client(call, &c, response) : r;
}

int handle_disable_client(struct rpc_call *call, const DisableClientRequest *request, Client *response)
{
        return set_disabled(call, request->client, true, response);
}

int handle_enable_client(struct rpc_call *call, const EnableClientRequest *request, Client *response)
{
        return set_disabled(call, request->client, false, response);
}

int handle_authenticate_client(struct rpc_call *call, const AuthenticateClientRequest *request,
                               Principal *response)
{
        struct client c;
        int r = client_by_key(rpc_db(call), rpc_arena(call), request->key_hash, &c);
        if (r == -ENOENT || (r == 0 && c.disabled))
                return rpc_refuse(call, PROBLEM(UNAUTHENTICATED));
        if (r != 0)
                return r;
        response->kind = NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__CLIENT;
        response->id = c.id;
        response->generation = (uint64_t)c.generation;
        return grants_principal(call, c.id, &response->grants, &response->n_grants);
}
