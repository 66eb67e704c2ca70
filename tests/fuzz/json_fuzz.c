/* SPDX-License-Identifier: Apache-2.0
 *
 * The first two bytes choose a message of the contract, the third the way: JSON text in, which must come back the same
 * once it was taken; URL values; or bytes, which must stay the message that they are and always make JSON.
 */
#include "common/json/transcode.h"

#include <stdlib.h>

#define MUST(condition)                                                                                      \
        do {                                                                                                 \
                if (!(condition))                                                                            \
                        abort();                                                                             \
        } while (0)

static struct str json_of(struct arena *arena, const struct contract_message *type, const void *message)
{
        struct buf out = {0};
        transcode_to_json(&out, type, message);
        struct str json = arena_str(arena, buf_str(&out));
        buf_done(&out);
        MUST(str_is_utf8(json));
        return json;
}

static void try_json(struct arena *arena, const struct contract_message *type, struct str json)
{
        struct violations v = {0};
        ProtobufCMessage *message, *again, *unpacked;
        int r = transcode_from_json(arena, type, json, &v, &message);
        MUST(r >= 0 && (r == 0) == (v.n == 0));
        if (r != 0)
                return;
        message_validate(arena, type, message, &v);
        struct str text = json_of(arena, type, message), bytes = message_pack(arena, message);
        MUST(transcode_from_json(arena, type, text, &v, &again) == 0);
        MUST(str_eq(message_pack(arena, again), bytes));
        MUST(str_eq(json_of(arena, type, again), text));
        if (message_unpack(arena, type, bytes.p, bytes.n, &unpacked) == 0) /* else a list is longer than allowed */
                MUST(str_eq(json_of(arena, type, unpacked), text));
        message_mask(arena, type, message, NUANXIN__PRIVACY__PUBLIC);
        json_of(arena, type, message);
}

static void try_bytes(struct arena *arena, const struct contract_message *type, struct str bytes)
{
        struct violations v = {0};
        ProtobufCMessage *message, *again;
        if (message_unpack(arena, type, bytes.p, bytes.n, &message) != 0)
                return;
        struct str packed = message_pack(arena, message);
        MUST(message_unpack(arena, type, packed.p, packed.n, &again) == 0);
        MUST(str_eq(message_pack(arena, again), packed));
        struct str text = json_of(arena, type, message);
        MUST(transcode_from_json(arena, type, text, &v, &again) != TRANSCODE_E_SYNTAX);
        message_validate(arena, type, message, &v);
        message_mask(arena, type, message, NUANXIN__PRIVACY__PUBLIC);
        json_of(arena, type, message);
}

static void try_url(struct arena *arena, const struct contract_message *type, struct str pairs)
{
        struct violations v = {0};
        void *message = message_new(arena, type);
        while (pairs.n) {
                struct str value = str_cut(&pairs, '&'), path = str_cut(&value, '=');
                int r = transcode_set_text(arena, type, message, path, value, &v);
                MUST(r == 0 || r == TRANSCODE_E_VIOLATIONS);
        }
        json_of(arena, type, message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 3 || size > 16384)
                return 0;
        const struct contract_message *type = contract_messages[(data[0] << 8 | data[1]) % contract_n_messages];
        struct str rest = str_bytes(data + 3, size - 3);
        _cleanup_(arena_freep) struct arena *arena = arena_new(65536);
        if (data[2] % 3 == 0)
                try_json(arena, type, rest);
        else if (data[2] % 3 == 1)
                try_bytes(arena, type, rest);
        else
                try_url(arena, type, rest);
        return 0;
}
