/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases: opened, and acted upon.
 */
#include "handle_case.h"

#include "handle_programme.h"
#include "payment.h"

#include "nuanxin/internal/v1/bus.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>

#define NUMBER_TRIES 8

/* --- finding --------------------------------------------------------------------------------------------------------- */

static bool is_member(const struct rpc_call *call)
{
        return rpc_principal(call)->kind == NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__MEMBER;
}

int find_scene(struct rpc_call *call, const char *case_id, struct scene *ret)
{
        int r = scene_load(call, case_id, ret);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = rpc_require_member(call, ret->has_person && ret->r.member[0] ? ret->r.member : "-", str_of(ret->c.path));
        rpc_audit_subject(call, case_id, r == 0 ? ret->c.organization : "");
        return r;
}

int refuse_second(struct scene *s, const char *other)
{
        return rpc_refuse(s->call, PROBLEM(CASE_EXISTS), s->c.programme, other, arena_printf(rpc_arena(s->call), "%d", s->c.version));
}

int find_kept_scene(struct rpc_call *call, const char *case_id, struct scene *ret)
{
        int r = find_scene(call, case_id, ret);
        return r == 0 && is_member(call) ? rpc_require(call, str_of(ret->c.path)) : r;
}

/* --- answering ------------------------------------------------------------------------------------------------------- */

void case_fill_row(struct rpc_call *call, const struct care_case *c, Case *out)
{
        out->id = (char *)c->id;
        out->number = (char *)c->number;
        out->programme = (char *)c->programme;
        out->version = c->version;
        out->recipient = (char *)c->recipient;
        out->organization = (char *)c->organization;
        out->state = (Case__State)c->state;
        out->stage = (char *)c->stage;
        out->stage_time = rpc_timestamp(call, c->stage_us);
        out->due_time = rpc_timestamp(call, c->due_us);
        out->opened_by = (char *)c->opened_by;
        out->granted = c->granted;
        out->reserved = c->reserved;
        out->paid = c->paid;
        out->unit = (char *)c->unit;
        out->rating = c->rating;
        out->consent = c->consent;
        out->transfer_to = (char *)c->transfer_to;
        out->previous = (char *)c->previous;
        out->create_time = rpc_timestamp(call, c->created_us);
        out->close_time = rpc_timestamp(call, c->closed_us);
        out->etag = etag_of(call, c->revision);
        if (!is_member(call) && !rpc_allows(call, "case.reveal", str_of(c->path)))
                message_mask(rpc_arena(call), &care_v1_case_msg, out, NUANXIN__PRIVACY__PUBLIC);
}

int case_fill(struct scene *s, Case *out)
{
        struct arena *arena = rpc_arena(s->call);
        out->contacts = ARENA_ARRAY(arena, Contact *, s->n_contacts + 1);
        for (size_t i = 0; i < s->n_contacts; i++) {
                Contact *one = message_new(arena, &care_v1_contact_msg);
                one->role = (char *)s->contacts[i].role;
                one->account = (char *)s->contacts[i].account;
                one->name = (char *)s->contacts[i].name;
                one->phone = (char *)s->contacts[i].phone;
                one->since = rpc_timestamp(s->call, s->contacts[i].since_us);
                out->contacts[out->n_contacts++] = one;
        }
        case_fill_row(s->call, &s->c, out);
        return 0;
}

/* --- facts and documents --------------------------------------------------------------------------------------------- */

static bool is_among(const char *const *names, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(names[i], name) == 0)
                        return true;
        return false;
}

static void fault_add(struct faults *faults, const char *place, const char *rule, const char *detail, const char *detail_zh)
{
        if (faults->n < ARRAY_LEN(faults->items))
                faults->items[faults->n++] = (struct fault){place, rule, detail, detail_zh};
}

/* What is given takes the place of what was; each given is one that is asked here. Both together must fit. */
static int take_facts(struct scene *s, Fact **given, size_t n_given, const char *const *asked, size_t n_asked)
{
        struct arena *arena = rpc_arena(s->call);
        Case *content = s->content;
        Fact **all = ARENA_ARRAY(arena, Fact *, n_given + content->n_facts + 1);
        struct faults faults = {.n = 0};
        size_t n = 0;
        for (size_t i = 0; i < n_given; i++) {
                if (!is_among(asked, n_asked, given[i]->name))
                        fault_add(&faults, arena_printf(arena, "/facts/%zu/name", i), "unknown", "is not asked for at this stage; the programme's version says which action takes it", "本环节不填报该项");
                all[n++] = given[i];
        }
        for (size_t i = 0; i < content->n_facts; i++)
                if (!fact_value(given, n_given, content->facts[i]->name))
                        all[n++] = content->facts[i];
        facts_check(arena, s->document->fields, s->document->n_fields, asked, n_asked, all, n, &faults);
        if (faults.n)
                return refuse_faults(s->call, PROBLEM(FACT_INVALID), &faults);
        s->content_changed |= n_given > 0;
        content->facts = all;
        content->n_facts = n;
        return 0;
}

static bool is_document_known(const ProgrammeDocument *document, const char *kind)
{
        for (size_t i = 0; i < document->n_documents; i++)
                if (strcmp(document->documents[i]->kind, kind) == 0)
                        return true;
        return false;
}

#define DOCUMENTS_MAX 20

/* Added to those that are there; one of the same kind and text is there already. */
static int take_documents(struct scene *s, CaseDocument **given, size_t n_given)
{
        struct arena *arena = rpc_arena(s->call);
        Case *content = s->content;
        CaseDocument **all = ARENA_ARRAY(arena, CaseDocument *, n_given + content->n_documents + 1);
        size_t n = 0;
        for (; n < content->n_documents; n++)
                all[n] = content->documents[n];
        for (size_t i = 0; i < n_given; i++) {
                const char *place = arena_printf(arena, "/documents/%zu/kind", i);
                if (!is_document_known(s->document, given[i]->kind))
                        return rpc_invalid(s->call, place, "in", "is no document that the programme asks for", "不是该项目要求的材料类型");
                if (n >= DOCUMENTS_MAX)
                        return rpc_invalid(s->call, "/documents", "maxItems", "a case has at most 20 documents", "每个个案最多20份材料");
                all[n++] = given[i];
        }
        s->content_changed |= n_given > 0;
        content->documents = all;
        content->n_documents = n;
        return 0;
}

/* --- opening --------------------------------------------------------------------------------------------------------- */

static int check_place(struct scene *s, const struct organization *o)
{
        struct organization of;
        int r = organization_load(rpc_db(s->call), rpc_arena(s->call), str_of(s->document->organization), &of);
        if (r == CARE_E_ABSENT || (r == 0 && !str_starts(str_of(o->path), str_of(of.path))))
                return rpc_refuse(s->call, PROBLEM(PROGRAMME_UNKNOWN), s->c.programme);
        return r;
}

static int take_person(struct scene *s, const Case *asked)
{
        s->has_person = asked->recipient[0];
        if (s->document->for_organization && s->has_person)
                return rpc_invalid(s->call, "/recipient", "empty", "a case of this programme is about an organisation", "该项目的个案以组织为对象");
        if (!s->has_person && !s->document->for_organization && !s->document->person_optional)
                return rpc_invalid(s->call, "/recipient", "required", "is required", "必填");
        if (!s->has_person) {
                s->c.subject = s->document->for_organization ? s->c.organization : "";
                return 0;
        }
        int r = recipient_load(rpc_db(s->call), rpc_arena(s->call), asked->recipient, &s->r);
        if (r == CARE_E_ABSENT || (r == 0 && !rpc_allows(s->call, "case.write", str_of(s->r.path))))
                return rpc_about(s->call, "/recipient", rpc_refuse(s->call, PROBLEM(RECIPIENT_UNKNOWN)));
        if (r == 0 && (s->r.state != RECIPIENT_ACTIVE || s->r.erased_us))
                return rpc_about(s->call, "/recipient", rpc_refuse(s->call, PROBLEM(RECIPIENT_NOT_ACTIVE)));
        s->person = r == 0 ? recipient_person(&s->r) : "";
        s->c.recipient = s->c.subject = asked->recipient;
        return r;
}

static int check_previous(struct scene *s, const char *previous)
{
        struct care_case was;
        int r = previous[0] ? case_load(rpc_db(s->call), rpc_arena(s->call), previous, &was) : 0;
        if (r == CARE_E_ABSENT || (r == 0 && previous[0] && strcmp(was.subject, s->c.subject) != 0))
                return rpc_invalid(s->call, "/previous", "unknown", "is no case of the same person", "不是同一对象的个案");
        s->c.previous = previous;
        return r;
}

/* "HC" of hospital-care. */
static const char *initials(struct arena *arena, const char *programme)
{
        char out[8];
        size_t n = 0;
        for (size_t i = 0; programme[i] && n < 5; i++)
                if (i == 0 || programme[i - 1] == '-')
                        out[n++] = (char)(programme[i] >= 'a' && programme[i] <= 'z' ? programme[i] - 'a' + 'A' : programme[i]);
        return arena_strndup(arena, out, n);
}

/* Numbers are random, so that nobody waits for the next one; two may be equal: then another. */
static int insert(struct scene *s)
{
        struct arena *arena = rpc_arena(s->call);
        const char *other;
        for (int i = 0; i < NUMBER_TRIES; i++) {
                uint64_t random = strtoull(rpc_new_id(s->call) + 24, NULL, 16); /* the last part of a new id is random */
                s->c.number = arena_printf(arena, "%s-%.4s-%010" PRIu64, initials(arena, s->c.programme), today(s->call),
                                           random % UINT64_C(10000000000));
                int r = case_insert(rpc_db(s->call), &s->c);
                if (r != CARE_E_ABSENT)
                        return r;
                r = case_open_of(rpc_db(s->call), arena, s->c.programme, s->c.subject, &other);
                if (r == 0)
                        return refuse_second(s, other);
                if (r != CARE_E_ABSENT)
                        return r;
        }
        return STORE_E_RETRY;
}

static int tell_opened(struct scene *s)
{
        CaseOpened event = NUANXIN__CARE__V1__CASE_OPENED__INIT;
        event.case_id = (char *)s->c.id;
        event.programme = (char *)s->c.programme;
        event.version = s->c.version;
        event.organization = (char *)s->c.organization;
        event.person = (char *)s->person;
        return rpc_emit(s->call, &care_v1_case_opened_msg, &event, s->c.id, s->c.organization);
}

static int check_opening(struct scene *s, const Case *asked, const struct organization *o)
{
        size_t n_asked;
        const char *const *names = fields_at_opening(rpc_arena(s->call), s->document, &n_asked);
        int r = check_place(s, o);
        if (r == 0)
                r = take_person(s, asked);
        if (r == 0 && s->document->consent && !asked->consent)
                return rpc_about(s->call, "/consent",
                                 rpc_refuse(s->call, PROBLEM(CONSENT_MISSING), s->c.programme, arena_printf(rpc_arena(s->call), "%d", s->c.version)));
        if (r == 0)
                r = check_previous(s, asked->previous);
        s->content = message_new(rpc_arena(s->call), &care_v1_case_msg);
        if (r == 0)
                r = take_facts(s, asked->facts, asked->n_facts, names, n_asked);
        return r == 0 ? take_documents(s, asked->documents, asked->n_documents) : r;
}

int handle_open_case(struct rpc_call *call, const OpenCaseRequest *request, Case *response)
{
        const Case *asked = request->value;
        struct scene s = {.call = call, .person = "", .actor = rpc_principal(call)->id};
        struct organization o;
        int64_t version;
        int r = find_organization(call, asked->organization, &o);
        if (r == 0)
                r = rpc_require(call, str_of(o.path));
        if (r == 0)
                r = find_valid_organization(call, asked->organization, &o);
        if (r == 0)
                r = find_programme(call, asked->programme, 0, &s.document, &version);
        if (r != 0)
                return r;
        s.c = (struct care_case){
                .id = rpc_new_id(call), .programme = asked->programme, .version = (int)version, .recipient = "", .subject = "",
                .organization = o.code, .path = o.path, .state = CASE_OPEN, .stage = s.document->stages[0]->code, .stage_us = rpc_now(call),
                .task = "", .opened_by = s.actor, .single = !s.document->several_open, .consent = asked->consent,
                .unit = s.document->unit[0] ? s.document->unit : "CNY", .transfer_to = "", .previous = "", .deciders = "", .created_us = rpc_now(call),
                .revision = 1,
        };
        r = check_opening(&s, asked, &o);
        if (r == 0)
                r = insert(&s);
        if (r == 0)
                r = tell_opened(&s);
        if (r != 0)
                return r;
        s.content_changed = true;
        rpc_audit_subject(call, s.c.id, s.c.organization);
        const struct case_move move = {.state = CASE_OPEN, .stage = s.document->stages[0]};
        s.c.stage = "";
        r = scene_move(&s, &move, "open", "", 0);
        return r == 0 ? case_fill(&s, response) : r;
}

/* --- acting ---------------------------------------------------------------------------------------------------------- */

static void learn_actor(struct scene *s, struct case_actor *a)
{
        const Principal *p = rpc_principal(s->call);
        struct str path = str_of(s->c.path);
        *a = (struct case_actor){
                .owner = rpc_allows(s->call, "case.write", path),
                .opened = strcmp(s->c.opened_by, p->id) == 0,
                .recipient = s->has_person && s->r.member[0] && strcmp(p->member, s->r.member) == 0,
                .decided_elsewhere = has_decided_elsewhere(s->c.deciders, p->id, s->c.stage),
        };
        for (int level = 0; level <= LEVELS; level++)
                a->decides[level] = rpc_allows(s->call, "case.decide", path_at_level(path, level));
        for (size_t i = 0; i < s->n_contacts; i++)
                a->contact |= strcmp(s->contacts[i].account, p->id) == 0;
}

static int learn_notice(struct scene *s, struct case_facts *f)
{
        struct notice n;
        int r = notice_of_case(rpc_db(s->call), rpc_arena(s->call), s->c.id, &n);
        if (r == 0)
                r = objection_open(rpc_db(s->call), rpc_arena(s->call), n.id, &f->objection);
        f->noticed = true;
        f->notice_end_us = n.end_us;
        return r == CARE_E_ABSENT ? 0 : r;
}

static int learn_payments(struct scene *s, struct case_facts *f)
{
        int64_t left, with_bank = 0;
        int r = payments_left(s->call, s->c.id, &left, &with_bank);
        f->paid = with_bank > 0;
        return r;
}

static void learn_documents(struct scene *s, const ActOnCaseRequest *request, struct case_facts *f)
{
        const char **kinds = ARENA_ARRAY(rpc_arena(s->call), const char *, s->content->n_documents + request->n_documents + 1);
        for (size_t i = 0; i < s->content->n_documents; i++)
                kinds[f->n_documents++] = s->content->documents[i]->kind;
        for (size_t i = 0; i < request->n_documents; i++)
                kinds[f->n_documents++] = request->documents[i]->kind;
        f->documents = kinds;
}

/* What is sealed is opened only where it is asked for. */
static bool needs_content(const struct scene *s, const ActOnCaseRequest *request, const Action *action)
{
        return request->n_facts || request->n_documents || (action && (action->n_fields || action_has(action, EFFECT_DECIDE))) ||
               (s->c.state == CASE_RETURNED && strcmp(request->action, "resubmit") == 0);
}

static int learn_case(struct scene *s, const ActOnCaseRequest *request, const Stage *stage, struct case_facts *f)
{
        const Action *action = stage ? stage_action(stage, request->action) : NULL;
        const char **roles = ARENA_ARRAY(rpc_arena(s->call), const char *, CONTACTS_MAX);
        int r = 0;
        for (size_t i = 0; i < s->n_contacts; i++)
                roles[i] = s->contacts[i].role;
        *f = (struct case_facts){
                .document = s->document, .programme = s->c.programme, .version = s->c.version, .state = s->c.state, .stage = s->c.stage,
                .closed_us = s->c.closed_us, .decided_level = s->c.decided_level, .paid = s->c.paid > 0, .has_person = s->has_person,
                .person_active = !s->has_person || (s->r.state == RECIPIENT_ACTIVE && !s->r.erased_us), .contacts = roles,
                .n_contacts = s->n_contacts, .decided = s->c.granted > 0 || s->c.paid > 0,
        };
        if (stage && stage->kind == STAGE_NOTICE)
                r = learn_notice(s, f);
        if (r == 0 && stage && stage->kind == STAGE_PAYMENT && !f->paid)
                r = learn_payments(s, f);
        if (r == 0 && f->person_active && needs_content(s, request, action)) {
                r = scene_content(s);
                if (r == 0)
                        learn_documents(s, request, f);
        }
        return r;
}

/* The facts that this action asks for; "resubmit" asks for the first ones again. */
static int take_given(struct scene *s, const ActOnCaseRequest *request, const struct case_move *m)
{
        const char *const *asked = NULL;
        size_t n_asked = 0;
        if (!s->content)
                return 0;
        if (m->action) {
                asked = (const char *const *)m->action->fields;
                n_asked = m->action->n_fields;
        } else if (strcmp(request->action, "resubmit") == 0) {
                asked = fields_at_opening(rpc_arena(s->call), s->document, &n_asked);
        }
        int r = request->n_facts || n_asked ? take_facts(s, request->facts, request->n_facts, asked, n_asked) : 0;
        return r == 0 ? take_documents(s, request->documents, request->n_documents) : r;
}

static int check_reopening(struct scene *s)
{
        const char *other;
        int r = s->c.single ? case_open_of(rpc_db(s->call), rpc_arena(s->call), s->c.programme, s->c.subject, &other) : CARE_E_ABSENT;
        if (r == 0)
                return refuse_second(s, other);
        return r == CARE_E_ABSENT ? 0 : r;
}

int handle_act_on_case(struct rpc_call *call, const ActOnCaseRequest *request, Case *response)
{
        struct case_verdict verdict;
        struct case_actor actor;
        struct case_facts facts;
        struct scene s;
        int r = find_scene(call, request->case_id, &s);
        if (r == 0)
                r = check_etag(call, request->etag, s.c.revision);
        if (r == 0) {
                learn_actor(&s, &actor);
                r = learn_case(&s, request, s.c.state == CASE_OPEN ? document_stage(s.document, s.c.stage) : NULL, &facts);
        }
        if (r != 0)
                return r == CARE_E_ABSENT ? rpc_refuse(call, PROBLEM(RECIPIENT_NOT_ACTIVE)) : r;
        case_decide(rpc_arena(call), &facts, &actor, request->action, request->reason[0], rpc_now(call), &verdict);
        if (verdict.problem != PROBLEM(NONE))
                return rpc_refuse_args(call, verdict.problem, RPC_REFUSED, verdict.args);
        if (move_has(&verdict.move, EFFECT_RATE) && !request->rating)
                return rpc_invalid(call, "/rating", "required", "is required: 1 to 5", "必填：1至5分");
        r = s.c.closed_us ? check_reopening(&s) : 0;
        if (r == 0)
                r = take_given(&s, request, &verdict.move);
        if (r == 0)
                r = scene_move(&s, &verdict.move, request->action, request->reason, request->rating);
        return r == 0 ? case_fill(&s, response) : r;
}
