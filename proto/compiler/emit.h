/* SPDX-License-Identifier: Apache-2.0
 *
 * What the compiler writes. Each function appends one file's text.
 */
#pragma once

#include "model.h"

/* Earlier shapes of a method's input or output. */
struct past {
        uint64_t method, hash;
};
struct pasts {
        struct past *items;
        size_t n;
};

/* contract.c: all tables of common/contract/contract.h but the documents. */
void emit_tables(struct buf *out, const struct model *model, const struct pasts *inputs, const struct pasts *outputs,
                 const char *version, const char *hash);

/* One package's header: short names, constants and the typed entries of request tables. */
void emit_header(struct buf *out, const struct model *model, const struct package *package);

/* The OpenAPI 3.1 document. */
void emit_openapi(struct buf *out, const struct model *model, const char *hash);

/* The AsyncAPI 3.0 document. */
void emit_asyncapi(struct buf *out, const struct model *model, const char *hash);

/* The page at /docs, with its style sheet and the guide that it opens with. */
void emit_docs(struct buf *out, const struct model *model, const char *hash, struct str style, struct str guide);

/* A C file that defines `name[]` and `name_size` with these bytes. */
void emit_bytes(struct buf *out, const char *name, struct str bytes);

/* Appends a C string literal (NULL: the word NULL). */
void emit_c_string(struct buf *out, const char *text);

/* --- shared by the documents ---------------------------------------------------------------------------- */

/* urn:nuanxin:problem: in front of the kebab-case name of PROBLEM_… */
const char *problem_type(struct arena *arena, const char *value_name);
