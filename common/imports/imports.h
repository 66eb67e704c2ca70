/* SPDX-License-Identifier: Apache-2.0
 *
 * Imports by list, for a service that takes them: an upload arrives in chunks, is kept sealed, and is read row by row. A kind
 * whose rows are taken one by one goes on in steps of due work, each a write of its own that leaves behind how far it came: so
 * it goes on by itself after a restart, and what a step took is never taken twice. The report says of each refused row why.
 * A service says what kinds it takes in one table (struct imports), lists IMPORTS_MIGRATIONS and IMPORTS_DUE in its own tables,
 * and has due work for the steps of each kind that calls imports_step.
 */
#pragma once

#include "common/csv/csv.h"
#include "common/imports/store.h"
#include "common/rpc/rpc.h"
#include "common/rpc/server.h"
#include "nuanxin/membership/v1/operation.pb-c.h"

/* In a service's table of migrations: IMPORTS_MIGRATIONS("care"). */
extern const char imports_schema_001[], imports_schema_002[];
#define IMPORTS_MIGRATIONS(service)                                                                          \
        {service "/imports_001", imports_schema_001}, {service "/imports_002", imports_schema_002}

/* In a service's table of due work: an import is forgotten a week after it began, whom a checked file has named at once. */
int import_expire(struct rpc_call *call, const char *id, struct str payload);
int import_forget(struct rpc_call *call, const char *id, struct str payload);
#define IMPORTS_DUE {.kind = "import-expire", .run = import_expire}, {.kind = "import-forget", .run = import_forget}

/* --- what is wrong with a row ------------------------------------------------------------------------------------ */

/* Numbers stand in stores. A service's own are those between, and any above. */
enum import_fault {
        IMPORT_ROW_OK = 0,
        IMPORT_TOO_LONG = 1,
        IMPORT_TOO_MANY_FIELDS = 2,
        IMPORT_QUOTE = 3,
        IMPORT_ENCODING = 4,
        IMPORT_COLUMN_MISSING = 5,
        IMPORT_NAME = 7,
        IMPORT_OUT_OF_SCOPE = 13,
        IMPORT_ORGANIZATION_UNKNOWN = 14,
        IMPORT_ID_NUMBER = 15,
        IMPORT_PHONE = 16,
        IMPORT_DATE = 17,
        IMPORT_EMPTY_FILE = 19,
        IMPORT_ORGANIZATION_NOT_VALID = 20,
        IMPORT_PERSON_TWICE = 21,
        IMPORT_N_FAULTS,
};
struct import_fault_text {
        const char *code; /* a name that does not change */
        const char *text, *text_zh;
};

/* --- kinds ------------------------------------------------------------------------------------------------------- */

struct import_column {
        const char *name, *name_zh;
        bool optional;
};
#define IMPORT_MAX_COLUMNS 8
struct import_header {
        int at[IMPORT_MAX_COLUMNS]; /* the field of each column, or -1 */
};

/* One step: some of the rows, in one transaction. */
struct import_step {
        struct rpc_call *call;
        struct import *import;
        const struct import_kind *kind;
        struct import_header header;
        void *state; /* prepare's */
        int rows;
        bool unreadable; /* the header lacks a column */
};

struct import_kind {
        int number; /* stands in stores */
        int64_t most_bytes;
        const struct import_column *columns;
        size_t n_columns;
        /* Row by row; a kind without is read by its handler (import_read) with the upload's last chunk. */
        const char *due;                        /* the steps' kind of due work */
        int (*prepare)(struct import_step *step); /* before the first row of a step; what it needs lives in the arena */
        /* Counts the row as accepted or unchanged, or refuses it (import_refuse_row); once more if the step is run again. In a
         * file that is only checked it takes nothing. */
        int (*take)(struct import_step *step, const struct csv_row *row);
};

struct imports {
        const struct import_kind *kinds;        /* ends with a zeroed entry */
        const struct import_fault_text *faults; /* the service's own, by number */
        int n_faults;
        /* May the caller see this import of somebody else's? */
        int (*may_see)(struct rpc_call *call, const struct import *import, bool *ret);
};

/* --- an upload --------------------------------------------------------------------------------------------------- */

struct import_chunk {
        const struct import_kind *kind;
        const char *upload, *organization;
        const char *about; /* what the kind needs beside; NULL: nothing */
        int64_t offset;
        struct str data;
        bool last, validate_only;
};
/* Takes one chunk. *ret_complete: with it the upload has ended, once: state is RUNNING then. An upload that ended before, or a
 * chunk that was taken before, changes nothing. Refused: IMPORT_GAP, IMPORT_TOO_LARGE, and NOT_FOUND if it is another's. */
int import_receive(struct rpc_call *call, const struct import_chunk *chunk, struct import *ret_import,
                   bool *ret_complete) MUST_USE;
/* Likewise, of a kind that is taken row by row: with the last chunk its steps begin. */
int import_upload(struct rpc_call *call, const struct imports *imports, const struct import_chunk *chunk,
                  Nuanxin__Membership__V1__Operation *response) MUST_USE;
/* Due work: the next rows. */
int imports_step(struct rpc_call *call, const struct imports *imports, const char *id) MUST_USE;

/* --- for kinds --------------------------------------------------------------------------------------------------- */

/* IMPORT_ROW_OK, or IMPORT_COLUMN_MISSING with the column's number in *ret_missing. */
enum import_fault import_header_parse(const struct import_kind *kind, const struct csv_row *row,
                                      struct import_header *ret, size_t *ret_missing);
/* Trimmed; empty if the row or the file lacks it. */
struct str import_field(const struct csv_row *row, const struct import_header *header, size_t column);
enum import_fault import_fault_of(enum csv_fault fault);

/* Gives rows from next_row, next_offset on, until on_row stops it (its value is returned) or the file ends. */
int import_read(struct rpc_call *call, const struct import *import, csv_row_fn on_row, void *arg) MUST_USE;
/* Counts the row as refused; the report keeps the first of them. column: past the kind's last for the whole row. */
int import_refuse(struct rpc_call *call, struct import *import, const struct import_kind *kind, int64_t row, int fault,
                  size_t column) MUST_USE;
int import_refuse_row(struct import_step *step, const struct csv_row *row, int fault, size_t column) MUST_USE;
/* In a file that is only checked: what the rows before have said of the person whose blind index this is. */
int import_check_before(struct import_step *step, struct str person, const char *says, enum import_seen *ret) MUST_USE;
/* The end: its pieces go. */
int import_finish(struct rpc_call *call, struct import *import, Nuanxin__Membership__V1__Operation__State state) MUST_USE;

/* --- answers ----------------------------------------------------------------------------------------------------- */

int import_fill(struct rpc_call *call, const struct imports *imports, const struct import *import,
                Nuanxin__Membership__V1__Operation *response) MUST_USE;
/* The methods of an operation: whoever started it sees it, the operator, and whom may_see lets. */
int imports_get_operation(struct rpc_call *call, const struct imports *imports,
                          const Nuanxin__Membership__V1__GetOperationRequest *request,
                          Nuanxin__Membership__V1__Operation *response) MUST_USE;
int imports_list_errors(struct rpc_call *call, const struct imports *imports,
                        const Nuanxin__Membership__V1__ListOperationErrorsRequest *request,
                        Nuanxin__Membership__V1__ListOperationErrorsResponse *response) MUST_USE;
