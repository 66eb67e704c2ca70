/* SPDX-License-Identifier: Apache-2.0
 *
 * Agencies' keys: of each kind two at once, so that one may take the other's place; and who may come with them.
 */
#include "services/stream/handle_agency.h"

#include "common/base/clock.h"
#include "common/bus/curve.h"
#include "nuanxin/type/role.pb-c.h"

#include <stdio.h>

#define PROBLEM(name)  NUANXIN__PROBLEM__PROBLEM_##name
#define KIND(name)     NUANXIN__STREAM__V1__AGENCY_KEY__KIND__##name
#define OF_A_KIND_MOST 2

AgencyKey *agency_key_message(struct rpc_call *call, const struct agency_key *key)
{
        AgencyKey *out = message_new(rpc_arena(call), &stream_v1_agency_key_msg);
        out->id = (char *)key->id;
        out->kind = (AgencyKey__Kind)key->kind;
        out->public_key = (char *)(key->kind == KIND(CURVE) ? key->value : "");
        out->create_time = rpc_timestamp(call, key->created_us);
        return out;
}

/* --- making and ending them ------------------------------------------------------------------------------------------------ */

static int check_number(struct rpc_call *call, const struct agency_key *like)
{
        struct agency_key *keys;
        size_t n = 0, same = 0;
        int r = agency_keys_load(rpc_db(call), rpc_arena(call), like->agency, &keys, &n);
        for (size_t i = 0; r == 0 && i < n; i++)
                same += keys[i].kind == like->kind;
        return r == 0 && same >= OF_A_KIND_MOST ? rpc_refuse(call, PROBLEM(AGENCY_KEY_LIMIT)) : r;
}

static int insert(struct rpc_call *call, const struct agency_key *key)
{
        int r = check_number(call, key);
        if (r == 0)
                r = agency_key_insert(rpc_db(call), key);
        return r == STORE_E_CONSTRAINT ? rpc_about(call, "/publicKey", rpc_refuse(call, PROBLEM(AGENCY_KEY_TAKEN))) : r;
}

static char *new_api_key(struct rpc_call *call, const char **ret_hash)
{
        char token[TOKEN_TEXT_SIZE], hash[65];
        token_new(token);
        char *key = arena_printf(rpc_arena(call), "nxa_%s", token);
        sha256_hex(hash, str_of(key));
        *ret_hash = arena_strdup(rpc_arena(call), hash);
        return key;
}

int handle_create_agency_key(struct rpc_call *call, const CreateAgencyKeyRequest *request, CreateAgencyKeyResponse *response)
{
        struct agency a;
        struct agency_key key = {
                .id = rpc_new_id(call),
                .agency = request->agency,
                .kind = KIND(CURVE),
                .value = request->public_key,
                .created_us = rpc_now(call),
        };
        int r = find_agency(call, request->agency, &a);
        if (r != 0)
                return r;
        if (!request->public_key[0]) {
                key.kind = KIND(API);
                response->api_key = new_api_key(call, &key.value);
        } else if (!curve_key_is_valid(str_of(request->public_key))) {
                return rpc_about(call, "/publicKey", rpc_refuse(call, PROBLEM(AGENCY_KEY_INVALID)));
        }
        r = insert(call, &key);
        if (r == 0)
                response->key = agency_key_message(call, &key);
        return r == 0 ? agency_changed(call, &a, NULL) : r;
}

int handle_revoke_agency_key(struct rpc_call *call, const RevokeAgencyKeyRequest *request, Agency *response)
{
        struct agency a;
        int r = find_agency(call, request->agency, &a);
        if (r == 0)
                r = agency_key_revoke(rpc_db(call), a.id, request->key, rpc_now(call));
        if (r == STREAM_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        return r == 0 ? agency_changed(call, &a, response) : r;
}

/* --- who comes with them ----------------------------------------------------------------------------------------------------- */

/* Whether it may see anything is asked at each fetch. */
int handle_authenticate_agency(struct rpc_call *call, const AuthenticateAgencyRequest *request, Principal *response)
{
        struct agency_key key;
        int64_t revision = 0;
        int r = agency_key_find(rpc_db(call), rpc_arena(call), KIND(API), request->key_hash, &key);
        if (r == STREAM_E_ABSENT)
                return rpc_refuse(call, PROBLEM(UNAUTHENTICATED));
        if (r == 0)
                r = agency_revision(rpc_db(call), key.agency, &revision);
        if (r != 0)
                return r;
        response->kind = NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__AGENCY;
        response->id = (char *)key.agency;
        response->session = (char *)key.id;
        response->generation = (uint64_t)revision;
        return 0;
}

/* Its revision: the position of our own outbox, where every change of an agency leaves an event. */
int handle_list_edge_keys(struct rpc_call *call, const ListEdgeKeysRequest *request, ListEdgeKeysResponse *response)
{
        struct agency_key *keys;
        size_t n;
        rpc_wait_at_most(call, request->wait_ms * (CLOCK_SECOND_US / 1000));
        int r = rpc_outbox_head(call, &response->revision);
        if (r != 0)
                return r;
        if (response->revision == request->known_revision && request->wait_ms && !rpc_deadline_near(call))
                return rpc_later(call, response->revision);
        r = agency_keys_of_kind(rpc_db(call), rpc_arena(call), KIND(CURVE), &keys, &n);
        if (r != 0)
                return r;
        response->keys = ARENA_ARRAY(rpc_arena(call), EdgeKey *, n + 1);
        for (size_t i = 0; i < n; i++) {
                EdgeKey *out = message_new(rpc_arena(call), &stream_v1_edge_key_msg);
                out->agency = (char *)keys[i].agency;
                out->key = (char *)keys[i].id;
                out->public_key = (char *)keys[i].value;
                response->keys[response->n_keys++] = out;
        }
        return 0;
}
