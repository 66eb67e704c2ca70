/* SPDX-License-Identifier: Apache-2.0
 *
 * Any JSON as a programme's document, and any text as facts: what document_check lets by can be evaluated, always to the same,
 * never past a cap, and every stage of it ends.
 */
// uses: services/care/rules_document.c services/care/rules_programme.c services/care/rules_calendar.c
#include "services/care/rules_programme.h"

#include "common/json/transcode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lines "name=value", a number of which says what was used of the cap of that name before. */
struct given {
        Fact *facts[64];
        CapUse *uses[64];
        size_t n;
};

static void read_given(struct arena *arena, struct str text, struct given *ret)
{
        for (ret->n = 0; text.n && ret->n < 64; ret->n++) {
                struct str value = str_cut(&text, '\n'), name = str_cut(&value, '=');
                Fact *fact = ret->facts[ret->n] = ARENA_NEW(arena, Fact);
                CapUse *use = ret->uses[ret->n] = ARENA_NEW(arena, CapUse);
                nuanxin__care__v1__fact__init(fact);
                nuanxin__care__v1__cap_use__init(use);
                fact->name = use->cap = arena_strndup(arena, name.p, name.n);
                fact->value = arena_strndup(arena, value.p ? value.p : "", value.n);
                (void)!str_to_i64(value, INT64_MIN, INT64_MAX, &use->before);
        }
}

static void check_outcome(const ProgrammeDocument *d, const struct evaluation *e)
{
        const Outcome *o = e->outcome;
        if (o->eligible != !e->n_failures || o->n_uses != d->n_caps)
                abort();
        if (o->amount < 0 || o->amount > AMOUNT_MOST || (!o->eligible && o->amount))
                abort();
        for (size_t i = 0; i < d->n_caps && o->eligible; i++) {
                int64_t before = o->uses[i]->before > 0 ? o->uses[i]->before : 0;
                if (o->uses[i]->used < 0 || (o->uses[i]->used && o->uses[i]->used > d->caps[i]->most - before))
                        abort();
        }
}

static void try(struct arena *arena, const ProgrammeDocument *d, struct str text)
{
        struct evaluation once, again;
        struct faults of_facts = {.n = 0};
        struct given given;
        size_t n;
        read_given(arena, text, &given);
        facts_check_all(arena, d, given.facts, given.n, &of_facts);
        const char *const *asked = fields_at_opening(arena, d, &n);
        facts_check(arena, d->fields, d->n_fields, asked, n, given.facts, given.n, &of_facts);
        evaluate(arena, d, given.facts, given.n, given.uses, given.n, 20600, &once);
        check_outcome(d, &once);
        evaluate(arena, d, given.facts, given.n, once.outcome->uses, once.outcome->n_uses, 20600, &again);
        if (!outcome_equal(once.outcome, again.outcome))
                abort();
        for (size_t a = 0; a < d->n_assessments; a++) {
                const AssessmentForm *form = d->assessments[a];
                for (size_t m = 0; m < form->n_monitors; m++)
                        (void)condition_holds(form->monitors[m], form->fields, form->n_fields, given.facts, given.n);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(1 << 16);
        const struct contract_message *type = &care_v1_programme_document_msg;
        struct violations violations = {0};
        ProtobufCMessage *message = NULL;
        struct faults faults = {.n = 0};
        struct str rest = str_bytes(data, size), json = str_cut(&rest, '\0');
        if (transcode_from_json(arena, type, json, &violations, &message) != 0)
                return 0;
        message_validate(arena, type, message, &violations);
        if (violations.n)
                return 0; /* no handler sees it */
        document_check(arena, (ProgrammeDocument *)message, &faults);
        try(arena, (ProgrammeDocument *)message, rest); /* also what does not hold together: nothing may break */
        return 0;
}
