/* SPDX-License-Identifier: Apache-2.0
 *
 * Programmes' documents for unit tests: read from JSON as the gateway would, with the contract's own rules asked first; and facts.
 */
#pragma once

#include "services/care/rules_programme.h"

#include "common/json/transcode.h"
#include "tests/support/check.h"

#include <glob.h>

static struct arena *documents_memory;

static inline struct arena *memory(void)
{
        if (!documents_memory)
                documents_memory = arena_new(1 << 20);
        return documents_memory;
}

/* NULL after a line: not JSON of a document, or against the contract's rules. */
static inline ProgrammeDocument *document_of(struct str json)
{
        struct violations violations = {0};
        ProtobufCMessage *message = NULL;
        int r = transcode_from_json(memory(), &care_v1_programme_document_msg, json, &violations, &message);
        if (r == 0)
                message_validate(memory(), &care_v1_programme_document_msg, message, &violations);
        for (size_t i = 0; i < violations.n; i++)
                printf("# %s: %s\n", violations.items[i].pointer, violations.items[i].detail);
        CHECK(r == 0 && !violations.n);
        return r == 0 && !violations.n ? (ProgrammeDocument *)message : NULL;
}

static inline struct str file_text(const char *path)
{
        static char text[1 << 17];
        FILE *f = fopen(path, "r");
        size_t n = f ? fread(text, 1, sizeof(text), f) : 0;
        if (f)
                fclose(f);
        CHECK(n > 0);
        return arena_str(memory(), (struct str){text, n});
}

/* One of those that are shipped. */
static inline ProgrammeDocument *shipped_document(const char *name)
{
        return document_of(file_text(arena_printf(memory(), "services/care/programmes/%s.json", name)));
}

static inline void check_no_faults(const char *what, const struct faults *faults)
{
        for (size_t i = 0; i < faults->n; i++)
                printf("# %s: %s: %s\n", what, faults->items[i].place, faults->items[i].detail);
        CHECK_INT(faults->n, 0);
}

/* Facts: "days=12 admitted=2026-05-01" (values without blanks). */
struct facts {
        Fact *items[32];
        size_t n;
};

static inline struct facts facts_of(const char *text)
{
        struct facts facts = {.n = 0};
        struct str rest = str_of(text);
        while (rest.n && facts.n < 32) {
                struct str value = str_cut(&rest, ' '), name = str_cut(&value, '=');
                Fact *fact = ARENA_NEW(memory(), Fact);
                nuanxin__care__v1__fact__init(fact);
                fact->name = arena_strndup(memory(), name.p, name.n);
                fact->value = arena_strndup(memory(), value.p ? value.p : "", value.n);
                facts.items[facts.n++] = fact;
        }
        return facts;
}
