/* SPDX-License-Identifier: Apache-2.0
 *
 * Places in .proto files: their lines, their comments, and the refusals that name them.
 */
#pragma once

#include "model.h"

/* 1-based line of a place; 1 if protoc gave none. */
int source_line(struct place place);
/* The comment at a place (leading, else trailing), one line, without decoration; "" if there is none. */
const char *source_comment(struct arena *arena, struct place place);

/* What the compiler found wrong: printed together, in the order of files and lines. */
struct refusals {
        struct arena *arena;
        struct refusal {
                const char *file;
                int line;
                const char *text;
        } *items;
        size_t n, cap;
};
void refuse(struct refusals *refusals, struct place place, const char *format, ...) PRINTF(3, 4);
/* The same for a line of a file that is no .proto. */
void refuse_line(struct refusals *refusals, const char *file, int line, const char *format, ...) PRINTF(4, 5);
/* Writes "file:line: text" lines on standard error and returns how many there were. */
size_t refusals_print(struct refusals *refusals);
