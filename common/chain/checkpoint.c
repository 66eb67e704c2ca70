/* SPDX-License-Identifier: Apache-2.0
 *
 * A checkpoint as a line of text, and what its signature covers.
 */
#include "common/chain/chain.h"

#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/json/transcode.h"
#include "contract/stream_v1.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const kind_names[] = {
        [CHECKPOINT_HEAD] = "HEAD", [CHECKPOINT_CUT] = "CUT", [CHECKPOINT_BEGIN] = "BEGIN"};

#define TEXT_MAX 256

static struct str signed_text(const struct checkpoint *c, char out[TEXT_MAX])
{
        char hex[2 * CHAIN_SIZE + 1];
        hex_encode(hex, c->head, CHAIN_SIZE);
        int n = snprintf(out, TEXT_MAX, "nuanxin checkpoint 1\n%s\n%s\n%" PRId64 "\n%s\n%" PRId64 "\n", kind_names[c->kind], c->epoch,
                         c->seq, hex, c->time_us);
        return (struct str){out, (size_t)n};
}

void checkpoint_sign(struct checkpoint *checkpoint, const struct signing_key *key)
{
        char text[TEXT_MAX];
        signing_key_sign(key, signed_text(checkpoint, text), checkpoint->signature);
}

bool checkpoint_is_genuine(const struct checkpoint *checkpoint, const unsigned char public[SIGNING_PUBLIC_SIZE])
{
        char text[TEXT_MAX];
        return signature_fits(public, signed_text(checkpoint, text), checkpoint->signature);
}

/* --- as a line ------------------------------------------------------------------------------------------------------ */

void checkpoint_write(struct buf *out, const struct checkpoint *c)
{
        Checkpoint line = NUANXIN__STREAM__V1__CHECKPOINT__INIT;
        Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        time.seconds = c->time_us / CLOCK_SECOND_US;
        time.nanos = (int32_t)(c->time_us % CLOCK_SECOND_US * 1000);
        line.kind = (Checkpoint__Kind)c->kind;
        line.epoch = (char *)c->epoch;
        line.seq = c->seq;
        line.head = (ProtobufCBinaryData){.len = CHAIN_SIZE, .data = (uint8_t *)(uintptr_t)c->head};
        line.time = &time;
        line.signature = (ProtobufCBinaryData){.len = SIGNATURE_SIZE, .data = (uint8_t *)(uintptr_t)c->signature};
        transcode_to_json(out, &stream_v1_checkpoint_msg, &line);
        buf_add_char(out, '\n');
}

static bool is_whole(const Checkpoint *line)
{
        return line->kind >= 0 && (size_t)line->kind < ARRAY_LEN(kind_names) && id_is_uuid(str_of(line->epoch)) && line->seq >= 0 &&
               line->head.len == CHAIN_SIZE && line->time && line->time->seconds >= 0 && line->signature.len == SIGNATURE_SIZE;
}

int checkpoint_read(struct arena *arena, struct str text, struct checkpoint *ret)
{
        struct violations violations = {0};
        ProtobufCMessage *message = NULL;
        if (transcode_from_json(arena, &stream_v1_checkpoint_msg, text, &violations, &message) != 0)
                return -EBADMSG;
        const Checkpoint *line = (const Checkpoint *)message;
        if (!is_whole(line))
                return -EBADMSG;
        *ret = (struct checkpoint){
                .kind = (enum checkpoint_kind)line->kind,
                .seq = line->seq,
                .time_us = line->time->seconds * CLOCK_SECOND_US + line->time->nanos / 1000,
        };
        snprintf(ret->epoch, sizeof(ret->epoch), "%s", line->epoch);
        memcpy(ret->head, line->head.data, CHAIN_SIZE);
        memcpy(ret->signature, line->signature.data, SIGNATURE_SIZE);
        return 0;
}
