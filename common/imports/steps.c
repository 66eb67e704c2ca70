/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows, by steps of due work: the header, which is kept between steps, and some of the rows each time.
 */
#include "common/imports/internal.h"

#include "common/crypto/crypto.h"

#include <stdlib.h>

#define ROWS_A_STEP  1000
#define STEP_IS_FULL 4096 /* what on_row stops with: nothing else says so */
#define SAYS_SIZE    16   /* bytes of the hash of a row: enough to tell rows apart */

/* --- fields ----------------------------------------------------------------------------------------------------- */

enum import_fault import_fault_of(enum csv_fault fault)
{
        static const enum import_fault of[] = {[CSV_OK] = IMPORT_ROW_OK,
                                            [CSV_TOO_LONG] = IMPORT_TOO_LONG,
                                            [CSV_TOO_MANY_FIELDS] = IMPORT_TOO_MANY_FIELDS,
                                            [CSV_QUOTE] = IMPORT_QUOTE,
                                            [CSV_ENCODING] = IMPORT_ENCODING};
        return of[fault];
}

enum import_fault import_header_parse(const struct import_kind *kind, const struct csv_row *row,
                                      struct import_header *ret, size_t *ret_missing)
{
        for (size_t c = 0; c < kind->n_columns; c++) {
                ret->at[c] = -1;
                for (size_t f = 0; f < row->n && ret->at[c] < 0; f++) {
                        struct str title = str_trim(row->fields[f]);
                        if (str_case_eq(title, str_of(kind->columns[c].name)) || str_is(title, kind->columns[c].name_zh))
                                ret->at[c] = (int)f;
                }
                if (ret->at[c] < 0 && !kind->columns[c].optional) {
                        *ret_missing = c;
                        return IMPORT_COLUMN_MISSING;
                }
        }
        return IMPORT_ROW_OK;
}

struct str import_field(const struct csv_row *row, const struct import_header *header, size_t column)
{
        int at = header->at[column];
        return at < 0 || (size_t)at >= row->n ? (struct str){0} : str_trim(row->fields[at]);
}

/* --- the header, kept between steps: "0,2,-1" -------------------------------------------------------------------- */

static int take_header(struct import_step *s, const struct csv_row *row)
{
        struct buf text = {0};
        size_t missing = s->kind->n_columns;
        enum import_fault fault = import_header_parse(s->kind, row, &s->header, &missing);
        s->unreadable = fault != IMPORT_ROW_OK;
        if (fault)
                return import_refuse_row(s, row, fault, missing) ?: STEP_IS_FULL;
        for (size_t i = 0; i < s->kind->n_columns; i++)
                buf_printf(&text, i ? ",%d" : "%d", s->header.at[i]);
        s->import->header = arena_strdup(rpc_arena(s->call), buf_z(&text));
        buf_done(&text);
        return 0;
}

static void load_header(struct import_step *s)
{
        char *text = s->import->header;
        for (size_t i = 0; i < s->kind->n_columns; i++) {
                s->header.at[i] = *text ? (int)strtol(text, &text, 10) : -1;
                text += *text == ',';
        }
}

static int on_row(void *arg, const struct csv_row *row)
{
        struct import_step *s = arg;
        int r;
        s->import->next_row = row->number;
        s->import->next_offset = row->end;
        if (row->fault)
                r = import_refuse_row(s, row, import_fault_of(row->fault), s->kind->n_columns);
        else if (!s->import->header[0])
                r = take_header(s, row);
        else
                r = s->kind->take(s, row);
        return r == 0 && ++s->rows == ROWS_A_STEP ? STEP_IS_FULL : r;
}

/* --- steps ------------------------------------------------------------------------------------------------------ */

static int next_step(struct rpc_call *call, const struct import_kind *kind, const struct import *import)
{
        return rpc_due_add(call, kind->due, import->id, rpc_now(call), (struct str){0});
}

static int end(struct import_step *s)
{
        bool read = s->import->header[0];
        int r = read || s->unreadable ? 0 : import_refuse(s->call, s->import, s->kind, 1, IMPORT_EMPTY_FILE, s->kind->n_columns);
        if (r == 0 && s->import->validate_only)
                r = rpc_due_add(s->call, IMPORT_DUE_FORGET, s->import->id, rpc_now(s->call), (struct str){0});
        return r == 0 ? import_finish(s->call, s->import, read ? STATE(SUCCEEDED) : STATE(FAILED)) : r;
}

static const struct import_kind *kind_of(const struct imports *imports, int number)
{
        const struct import_kind *kind = imports->kinds;
        while (kind->number && kind->number != number)
                kind++;
        return kind->number ? kind : NULL;
}

int imports_step(struct rpc_call *call, const struct imports *imports, const char *id)
{
        struct import import;
        struct import_step step = {.call = call, .import = &import};
        int r = import_get(rpc_db(call), rpc_arena(call), id, &import);
        if (r == -ENOENT || (r == 0 && import.state != STATE(RUNNING)))
                return 0;
        if (r != 0)
                return r;
        step.kind = kind_of(imports, import.kind);
        if (!step.kind || !step.kind->take)
                return -EUCLEAN;
        load_header(&step);
        r = step.kind->prepare(&step);
        if (r == 0)
                r = import_read(call, &import, on_row, &step);
        if (r != 0 && r != STEP_IS_FULL)
                return r;
        if (r == 0 || step.unreadable)
                return end(&step);
        r = import_update(rpc_db(call), &import);
        if (r == 0)
                r = import_pieces_drop(rpc_db(call), import.id, import.next_offset);
        return r == 0 ? next_step(call, step.kind, &import) : r;
}

int import_upload(struct rpc_call *call, const struct imports *imports, const struct import_chunk *chunk, Operation *response)
{
        struct import import;
        bool complete;
        rpc_audit_subject(call, chunk->upload, chunk->organization);
        int r = import_receive(call, chunk, &import, &complete);
        if (r == 0 && complete)
                r = next_step(call, chunk->kind, &import);
        return r == 0 ? import_fill(call, imports, &import, response) : r;
}

/* --- files that are only checked -------------------------------------------------------------------------------- */

int import_check_before(struct import_step *step, struct str person, const char *says, enum import_seen *ret)
{
        unsigned char hash[BLIND_INDEX_SIZE];
        crypto_blind_index(rpc_keyring(step->call), "import.row", str_of(says), hash);
        return import_see(rpc_db(step->call), step->import->id, person, str_bytes(hash, SAYS_SIZE), ret);
}

int import_forget(struct rpc_call *call, const char *id, struct str payload)
{
        int64_t dropped = 0;
        (void)payload;
        int r = import_seen_drop(rpc_db(call), id, ROWS_A_STEP, &dropped);
        return r == 0 && dropped ? rpc_due_add(call, IMPORT_DUE_FORGET, id, rpc_now(call), (struct str){0}) : r;
}
