/* SPDX-License-Identifier: Apache-2.0
 *
 * Any frames as an agency's message: what is read keeps the rules of the contract, what is not is refused by name, and both
 * are answered in a form that can be read. A part is two bytes of length, then as many bytes.
 */
// uses: services/edge/grammar.c
#include "common/json/transcode.h"
#include "services/edge/grammar.h"

#include <stdlib.h>

enum { PARTS_MAX = 8 };

static size_t cut(const uint8_t *data, size_t size, struct str parts[PARTS_MAX])
{
        size_t n = 0;
        while (n < PARTS_MAX && size >= 2) {
                size_t length = (size_t)(data[0] | data[1] << 8);
                data += 2;
                size -= 2;
                if (length > size)
                        length = size;
                parts[n++] = str_bytes(data, length);
                data += length;
                size -= length;
        }
        return n;
}

static void check_readable(struct arena *arena, struct grammar_form form, const struct contract_message *type, struct str answer)
{
        struct violations violations = {0};
        ProtobufCMessage *message;
        if (form.json ? transcode_from_json(arena, type, answer, &violations, &message) :
                        message_unpack(arena, type, answer.p, answer.n, &message))
                abort();
}

static void check_fetch(const struct grammar_fetch *fetch)
{
        const Fetch *f = fetch->fetch;
        if (f->max < 0 || f->max > 1000 || f->wait < 0 || f->wait > 30 || f->n_types > 64 || str_code_points(str_of(f->id)) > 64)
                abort();
        if (fetch->snapshot && !str_starts(str_of(f->cursor), STR(GRAMMAR_SNAPSHOT)))
                abort();
}

static void answer_batch(struct arena *arena, const struct grammar_fetch *fetch, struct buf *out)
{
        Batch batch = NUANXIN__STREAM__V1__BATCH__INIT;
        batch.id = fetch->fetch->id;
        batch.cursor = fetch->fetch->cursor;
        batch.through = 7;
        /* An array of no events is a message without any: as JSON reads `events`, that is not; so it is checked packed. */
        grammar_write_batch(out, fetch->form, &batch, fetch->form.json ? STR("[]") : STR(""));
        if (!fetch->form.json)
                check_readable(arena, fetch->form, &stream_v1_batch_msg, buf_str(out));
}

/* The same bytes as an answer of the stream's. */
static void check_cut(struct str packed)
{
        struct buf rest = {0};
        struct str events;
        if (grammar_cut_events(packed, 1, &rest, &events) == 0 &&
            (rest.n + events.n > packed.n || (events.n && (events.p < packed.p || events.p + events.n > packed.p + packed.n))))
                abort();
        buf_done(&rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
        struct str parts[PARTS_MAX];
        struct grammar_fetch fetch;
        struct grammar_refusal refusal = {0};
        struct buf out = {0};
        size_t n = cut(data, size, parts);
        for (size_t i = 0; i < n; i++)
                check_cut(parts[i]);
        int r = grammar_read(arena, parts, n, &fetch, &refusal);
        if (!fetch.fetch || (r != 0 && (r != -EBADMSG || refusal.problem == NUANXIN__PROBLEM__PROBLEM_NONE)))
                abort();
        if (r == 0) {
                check_fetch(&fetch);
                answer_batch(arena, &fetch, &out);
        } else {
                grammar_write_refusal(&out, &fetch, &refusal);
                check_readable(arena, fetch.form, &stream_v1_refused_msg, buf_str(&out));
        }
        buf_done(&out);
        return 0;
}
