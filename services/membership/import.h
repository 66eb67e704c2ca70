/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two imports share: an upload's way into the store and out again row by row, its header, its
 * report.
 */
#pragma once

#include "common/csv/csv.h"
#include "services/membership/handle.h"

#define IMPORT_MAX_REPORT 10000 /* refused rows that are kept; all are counted */

enum row_fault {
        ROW_OK,
        ROW_TOO_LONG,
        ROW_TOO_MANY_FIELDS,
        ROW_QUOTE,
        ROW_ENCODING,
        ROW_COLUMN_MISSING,
        ROW_CODE,
        ROW_NAME,
        ROW_KIND,
        ROW_PARENT_UNKNOWN,
        ROW_LEVEL,
        ROW_DUPLICATE,
        ROW_DIFFERS,
        ROW_OUT_OF_SCOPE,
        ROW_ORGANIZATION_UNKNOWN,
        ROW_ID_NUMBER,
        ROW_PHONE,
        ROW_DATE,
        ROW_MEMBER_EXISTS,
        ROW_EMPTY_FILE,
        ROW_ORGANIZATION_NOT_VALID,
        ROW_PERSON_TWICE,
        ROW_N_FAULTS,
};

/* The columns of one kind of file. */
struct import_column {
        const char *name, *name_zh;
        bool optional;
};
#define IMPORT_MAX_COLUMNS 8
struct import_header {
        int at[IMPORT_MAX_COLUMNS]; /* the field of each column, or -1 */
};
/* ROW_OK or ROW_COLUMN_MISSING with the column's number in *ret_missing. */
enum row_fault import_header_parse(const struct import_column *columns, size_t n, const struct csv_row *row,
                                   struct import_header *ret, size_t *ret_missing);
struct str import_field(const struct csv_row *row, const struct import_header *header,
                        size_t column); /* trimmed */
enum row_fault import_fault_of(enum csv_fault fault);

/* Takes one chunk: `last` of an upload is in *ret_import->state RUNNING then, once; an upload that ended
 * before, or a chunk that was taken before, changes nothing. */
struct import_chunk {
        enum import_kind kind;
        const char *upload, *organization;
        int64_t offset, limit;
        struct str data;
        bool last, validate_only;
};
int import_receive(struct rpc_call *call, const struct import_chunk *chunk, struct import *ret_import,
                   bool *ret_complete) MUST_USE;

/* Gives rows from next_row, next_offset on, until on_row stops it (its value is returned) or the file ends. */
int import_read(struct rpc_call *call, const struct import *import, csv_row_fn on_row, void *arg) MUST_USE;

int import_refuse(struct rpc_call *call, struct import *import, int64_t row, enum row_fault fault,
                  const char *column) MUST_USE;
/* The end: its pieces go. */
int import_finish(struct rpc_call *call, struct import *import, Operation__State state) MUST_USE;
int import_fill(struct rpc_call *call, const struct import *import, Operation *response) MUST_USE;

/* Due work: an import is forgotten a week after it began. */
int import_expire(struct rpc_call *call, const char *id, struct str payload);
/* Due work: takes the next rows of a member import. */
int import_members_step(struct rpc_call *call, const char *id, struct str payload);
/* Due work: forgets some of the persons whom a checked file has named. */
int import_members_forget(struct rpc_call *call, const char *id, struct str payload);
