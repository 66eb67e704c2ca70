/* SPDX-License-Identifier: Apache-2.0
 *
 * CSV (RFC 4180) as people really send it: bytes are pushed in pieces of any size, rows come out as UTF-8
 * fields. CRLF or LF ends a row, a byte order mark is skipped, GB18030 is converted, and what is wrong with
 * one row is told with that row while the rest goes on. It knows nothing of headers or meanings.
 */
#pragma once

#include "common/base/str.h"

enum csv_encoding { CSV_UTF8, CSV_GB18030 };

#define CSV_MAX_ROW    16384 /* bytes of a row, quotes not counted */
#define CSV_MAX_FIELDS 64

enum csv_fault {
        CSV_OK,
        CSV_TOO_LONG,        /* a row past CSV_MAX_ROW: skipped to the next line's end */
        CSV_TOO_MANY_FIELDS, /* past CSV_MAX_FIELDS: likewise */
        CSV_QUOTE,           /* a quote where none may stand, or one that is not closed at the end */
        CSV_ENCODING,        /* not valid in the file's encoding, or a NUL */
};

struct csv_row {
        int64_t number; /* the first row is 1; empty lines count, and are not given */
        int64_t end;    /* the file's offset just after the row */
        enum csv_fault fault;
        const struct str *fields; /* lent for the call; none if there is a fault */
        size_t n;
};
/* Anything but 0 stops: csv_push or csv_end returns it, and takes nothing more. */
typedef int (*csv_row_fn)(void *arg, const struct csv_row *row);

struct csv;
/* row, offset: where reading starts: 0, 0, or the number and end of the row before. */
struct csv *csv_new(enum csv_encoding encoding, int64_t row, int64_t offset, csv_row_fn on_row, void *arg);
struct csv *csv_free(struct csv *csv);
DEFINE_CLEANUP(struct csv *, csv_free)

int csv_push(struct csv *csv, struct str piece) MUST_USE;
int csv_end(struct csv *csv) MUST_USE; /* gives the last row if no line's end followed it */

/* Is a file UTF-8, piece by piece? Start with 0, give each result to the next piece; 0 at the end means yes. */
uint32_t csv_utf8_scan(uint32_t state, struct str piece);
