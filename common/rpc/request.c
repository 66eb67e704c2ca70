/* SPDX-License-Identifier: Apache-2.0
 *
 * A request's envelope but for what differs by attempt (envelope_pack_attempt adds that).
 */
#include "common/rpc/request.h"
#include "common/base/id.h"
#include "common/rpc/envelope.h"

#include <assert.h>

/* Appends a request's field 5, the principal, as it came packed. */
static void add_principal(struct buf *out, struct str packed)
{
        size_t left = packed.n;
        buf_add_char(out, 5 << 3 | 2);
        for (; left >= 0x80; left >>= 7)
                buf_add_char(out, (char)(left | 0x80));
        buf_add_char(out, (char)left);
        buf_add_str(out, packed);
}

void request_pack(struct buf *out, const struct rpc_request *r, bool write)
{
        Nuanxin__Internal__V1__Request q = NUANXIN__INTERNAL__V1__REQUEST__INIT;
        Nuanxin__Internal__V1__Principal nobody = NUANXIN__INTERNAL__V1__PRINCIPAL__INIT;
        char traceparent[ID_TRACEPARENT_SIZE], key[129], own_key[ID_TEXT_SIZE], address[65];

        q.method = r->method->id;
        q.input_hash = r->method->input_hash;
        if (id_is_traceparent(r->traceparent)) {
                memcpy(traceparent, r->traceparent.p, 55);
                traceparent[55] = '\0';
        } else {
                id_new_traceparent(traceparent);
        }
        q.traceparent = traceparent;
        if (!r->principal_packed.p)
                q.principal = r->principal ? (Nuanxin__Internal__V1__Principal *)r->principal : &nobody;
        if (write && !r->idempotency_key.n) {
                /* Keys that grow with time are kept side by side in the service's store. */
                const struct clock system = {0};
                id_new(own_key, clock_now_us(&system));
                q.idempotency_key = own_key;
        } else if (r->idempotency_key.n) {
                assert(r->idempotency_key.n < sizeof(key));
                memcpy(key, r->idempotency_key.p, r->idempotency_key.n);
                key[r->idempotency_key.n] = '\0';
                q.idempotency_key = key;
        }
        q.client_key = r->client_key;
        if (r->address.n && r->address.n < sizeof(address)) {
                memcpy(address, r->address.p, r->address.n);
                address[r->address.n] = '\0';
                q.address = address;
        }
        buf_reserve(out, nuanxin__internal__v1__request__get_packed_size(&q));
        out->n += nuanxin__internal__v1__request__pack(&q, (uint8_t *)out->p + out->n);
        if (r->principal_packed.p)
                add_principal(out, r->principal_packed);
}
