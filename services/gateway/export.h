/* SPDX-License-Identifier: Apache-2.0
 *
 * List methods as one long answer over all pages: text/csv (RFC 4180, a header row of JSON names, the scalar fields of
 * the listed message) or application/x-ndjson (a line of JSON each). A page is asked for when the one before has left.
 */
#pragma once

#include "services/gateway/request.h"

bool export_wanted(struct request *request); /* by Accept; notes which */
void export_start(struct request *request);
struct export *export_free(struct export *export);

/* Appends one CSV cell, quoted where it must be; what a spreadsheet would take for a formula gets a ' before. Pure. */
void export_cell(struct buf *out, struct str text);
