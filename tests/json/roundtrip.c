/* SPDX-License-Identifier: Apache-2.0
 *
 * The helper of compare.py: for each line "TO NAME HEX" writes the message as JSON, for each "FROM NAME JSON" writes
 * its bytes in hexadecimal; "ERROR why" when it cannot.
 */
#include "common/json/transcode.h"

#include <stdio.h>
#include <stdlib.h>

static void to_json(struct arena *arena, const struct contract_message *type, struct str hex, struct buf *out)
{
        ProtobufCMessage *message;
        size_t n = hex.n / 2;
        uint8_t *bytes = arena_alloc(arena, n + 1);
        if (hex_decode(bytes, n, hex) != 0 || message_unpack(arena, type, bytes, n, &message) != 0)
                buf_add_z(out, "ERROR unpack");
        else
                transcode_to_json(out, type, message);
}

static void from_json(struct arena *arena, const struct contract_message *type, struct str json, struct buf *out)
{
        ProtobufCMessage *message;
        struct violations v = {0};
        if (transcode_from_json(arena, type, json, &v, &message) != 0) {
                buf_printf(out, "ERROR %s %s %s", v.items[0].pointer, v.items[0].rule, v.items[0].detail);
                return;
        }
        struct str bytes = message_pack(arena, message);
        char *hex = arena_alloc(arena, 2 * bytes.n + 1);
        hex_encode(hex, bytes.p, bytes.n);
        buf_add_z(out, hex);
}

int main(void)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(1 << 20);
        struct buf out = {0};
        char *line = NULL;
        size_t cap = 0;
        ssize_t n;
        while ((n = getline(&line, &cap, stdin)) > 0) {
                struct str rest = str_bytes(line, (size_t)n - (line[n - 1] == '\n'));
                struct str verb = str_cut(&rest, ' ');
                const struct contract_message *type = contract_message_by_name(str_cut(&rest, ' '));
                arena_reset(arena);
                out.n = 0;
                if (!type)
                        buf_add_z(&out, "ERROR no such message");
                else if (str_is(verb, "TO"))
                        to_json(arena, type, rest, &out);
                else
                        from_json(arena, type, rest, &out);
                puts(buf_z(&out));
                fflush(stdout);
        }
        buf_done(&out);
        free(line);
        return 0;
}
