/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows made ready to be shown. See fetch_rows.h.
 */
#include "services/stream/fetch_rows.h"

#include "common/base/log.h"
#include "services/stream/render.h"

#define LOAD_BYTES   (1024 * 1024)
#define NOTICES_AT_ONCE 500

/* --- what holds of their persons ------------------------------------------------------------------------------------------ */

int fetch_standing_load(struct store_conn *db, struct arena *arena, enum standing_of of, int64_t after, int64_t through,
                        struct fetch_standing *ret)
{
        struct standing *all = NULL;
        size_t n = 0;
        int r = standing_load(db, arena, of, after, through, &all, &n);
        if (r != 0)
                return r;
        struct segment_consent *consents = ARENA_ARRAY(arena, struct segment_consent, n + 1);
        *ret = (struct fetch_standing){.consents.items = consents, .erased = ARENA_ARRAY(arena, const char *, n + 1)};
        for (size_t i = 0; i < n; i++) {
                if (all[i].purpose[0])
                        consents[ret->consents.n++] = (struct segment_consent){all[i].person, all[i].purpose};
                else
                        ret->erased[ret->n_erased++] = all[i].person;
        }
        return 0;
}

bool fetch_standing_consents(const struct fetch_standing *standing, const char *person, struct view_list purposes)
{
        for (size_t i = 0; i < standing->consents.n; i++) {
                const struct segment_consent *c = &standing->consents.items[i];
                if (strcmp(c->person, person) == 0 && view_list_has(purposes, c->purpose))
                        return true;
        }
        return false;
}

static bool is_erased(const struct fetch_standing *standing, const char *person)
{
        for (size_t i = 0; i < standing->n_erased; i++)
                if (strcmp(standing->erased[i], person) == 0)
                        return true;
        return false;
}

/* --- reading ------------------------------------------------------------------------------------------------------------------ */

int fetch_rows_read(struct fetch_rows *rows, int64_t after, int64_t through)
{
        rows->arena = arena_new(256 * 1024);
        int r = log_read(rows->db, rows->arena, after, through, (size_t)(through - after), LOAD_BYTES, &rows->log, &rows->n);
        if (r == 0 && (!rows->n || rows->log[0].seq != after + 1)) {
                log_error("the log has a gap", "after=%lld", (long long)after);
                return -ENODATA;
        }
        return r;
}

int fetch_rows_read_state(struct fetch_rows *rows, int64_t after, size_t limit)
{
        rows->arena = arena_new(256 * 1024);
        return log_state_read(rows->db, rows->arena, after, limit, LOAD_BYTES, &rows->log, &rows->n);
}

void fetch_rows_done(struct fetch_rows *rows)
{
        rows->arena = arena_free(rows->arena);
        buf_done(&rows->bytes);
}

/* --- rendering ------------------------------------------------------------------------------------------------------------------ */

/* What nobody may see: what has been erased, or is about to be; what this build does not know, or about whom. */
static bool is_hidden(const struct log_row *row, const struct segment_row *made)
{
        const struct contract_message *type = row->contract;
        if (row->erased_by || !row->event || !type || !view_is_public(type) || (type->person && !row->event->person[0]))
                return true;
        return made->erased && !contract_is_erasure(type);
}

static int read_purpose(struct fetch_rows *rows, const struct log_row *row, struct segment_row *made)
{
        ProtobufCMessage *message;
        if (!view_names_purpose(row->contract))
                return 0;
        int r = message_unpack(rows->arena, row->contract, row->event->data.data, row->event->data.len, &message);
        struct str purpose = r == 0 ? message_text_at(row->contract, message, "purpose") : (struct str){0};
        made->purpose = arena_strndup(rows->arena, purpose.p ? purpose.p : "", purpose.n);
        return r;
}

/* An event that cannot be read is a fault of ours: it is logged, and does not hold up the others. */
static void render_one(struct fetch_rows *rows, const struct log_row *row, struct segment_row *made)
{
        size_t at = rows->bytes.n;
        *made = (struct segment_row){.id = "", .person = "", .purpose = ""};
        if (row->event)
                made->erased = row->event->person[0] && is_erased(rows->standing, row->event->person);
        if (is_hidden(row, made))
                return;
        int r = read_purpose(rows, row, made);
        if (r == 0)
                r = render_event(&rows->bytes, rows->arena, rows->projection, rows->format, row->event, row->contract);
        if (r != 0) {
                log_error("an event of the log cannot be shown", "seq=%lld type=%s error=%d", (long long)row->seq, row->contract->name, r);
                return;
        }
        made->bytes.n = rows->bytes.n - at;
        made->type = view_type_index(row->contract);
        made->id = row->event->id;
        made->person = row->event->person;
        made->places = str_of(row->event->path);
}

static bool has_notices(const struct fetch_rows *rows)
{
        for (size_t i = 0; i < rows->n; i++)
                if (rows->rendered[i].bytes.n && contract_messages[rows->rendered[i].type]->notice)
                        return true;
        return false;
}

/* From row *i on, as far as these notices reach. */
static void place_some(struct fetch_rows *rows, size_t *i, const struct notice *notices, size_t n)
{
        for (size_t k = 0; k < n && *i < rows->n; k++) {
                while (*i < rows->n && rows->log[*i].seq < notices[k].seq)
                        (*i)++;
                if (*i < rows->n && rows->log[*i].seq == notices[k].seq)
                        rows->rendered[*i].places = notices[k].places;
        }
}

/* A notice counts wherever its person was told of. */
static int place_notices(struct fetch_rows *rows)
{
        struct notice *notices;
        size_t i = 0, n = NOTICES_AT_ONCE;
        int64_t after = rows->log[0].seq - 1;
        int r = 0;
        while (r == 0 && n == NOTICES_AT_ONCE) {
                r = notices_load(rows->db, rows->arena, after, rows->log[rows->n - 1].seq, NOTICES_AT_ONCE, &notices, &n);
                if (r == 0)
                        place_some(rows, &i, notices, n);
                after = r == 0 && n ? notices[n - 1].seq : after;
        }
        return r;
}

int fetch_rows_render(struct fetch_rows *rows)
{
        size_t at = 0;
        rows->rendered = ARENA_ARRAY(rows->arena, struct segment_row, rows->n);
        for (size_t i = 0; i < rows->n; i++)
                render_one(rows, &rows->log[i], &rows->rendered[i]);
        for (size_t i = 0; i < rows->n; i++) { /* only now the bytes stay where they are */
                rows->rendered[i].bytes.p = rows->bytes.p + at;
                at += rows->rendered[i].bytes.n;
        }
        return has_notices(rows) ? place_notices(rows) : 0;
}
