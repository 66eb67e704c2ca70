/* SPDX-License-Identifier: Apache-2.0
 *
 * Programmes: adding versions, activating, reading and trying them; and the official calendars.
 */
#include "handle_programme.h"

#include "state.h"
#include "store_programme.h"

#include <inttypes.h>

/* --- for cases ---------------------------------------------------------------------------------------------------- */

static int unpack_document(struct rpc_call *call, struct str packed, ProgrammeDocument **ret)
{
        ProtobufCMessage *message = NULL;
        int r = message_unpack(rpc_arena(call), &care_v1_programme_document_msg, packed.p, packed.n, &message);
        if (r == 0)
                *ret = (ProgrammeDocument *)message;
        return r;
}

/* Of each act one is asked for, and there are few: they are kept unpacked, by what they say. */
static int load_document(struct rpc_call *call, const char *programme, int64_t version, const char *hash, const ProgrammeDocument **ret)
{
        struct care_state *state = rpc_state(call);
        struct programme p;
        ProgrammeDocument *document;
        *ret = care_document_find(state, hash);
        if (*ret)
                return 0;
        int r = programme_load(rpc_db(call), rpc_arena(call), programme, version, &p);
        if (r == 0)
                r = care_document_keep(state, hash, p.document, ret);
        if (r != 0 || *ret)
                return r;
        r = unpack_document(call, p.document, &document);
        if (r == 0)
                *ret = document;
        return r;
}

int find_programme(struct rpc_call *call, const char *programme, int64_t version, const ProgrammeDocument **ret_document,
                   int64_t *ret_version)
{
        const char *hash;
        int r = programme_find(rpc_db(call), rpc_arena(call), programme, version, ret_version, &hash);
        if (r == CARE_E_ABSENT && version)
                return rpc_refuse(call, PROBLEM(PROGRAMME_VERSION_UNKNOWN), programme, arena_printf(rpc_arena(call), "%" PRId64, version));
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(PROGRAMME_UNKNOWN), programme);
        return r == 0 ? load_document(call, programme, *ret_version, hash, ret_document) : r;
}

static int unpack_calendar(struct rpc_call *call, struct str packed, WorkCalendar **ret)
{
        ProtobufCMessage *message = NULL;
        int r = message_unpack(rpc_arena(call), &care_v1_work_calendar_msg, packed.p, packed.n, &message);
        if (r == 0)
                *ret = (WorkCalendar *)message;
        return r;
}

#define CALENDARS_MOST 16

int find_calendars(struct rpc_call *call, day_t from, struct calendars *ret)
{
        const WorkCalendar **found = ARENA_ARRAY(rpc_arena(call), const WorkCalendar *, CALENDARS_MOST);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int year, month, day;
        size_t n = 0;
        day_split(from, &year, &month, &day);
        int r = calendars_query(rpc_db(call), year, &rows);
        while (r == 0 && n < CALENDARS_MOST && (r = store_next(rows)) == 1) {
                WorkCalendar *calendar;
                r = unpack_calendar(call, store_bytes(rows, 0), &calendar);
                if (r == 0)
                        found[n++] = calendar;
        }
        if (r == 0)
                *ret = (struct calendars){found, n};
        return r;
}

int refuse_faults(struct rpc_call *call, Nuanxin__Problem problem, const struct faults *faults)
{
        for (size_t i = 0; i < faults->n; i++)
                (void)rpc_invalid(call, faults->items[i].place, faults->items[i].rule, faults->items[i].detail, faults->items[i].detail_zh);
        return rpc_refuse(call, problem, faults->items[0].place);
}

int refuse_evaluation(struct rpc_call *call, const char *programme, int64_t version, const struct evaluation *e)
{
        struct arena *arena = rpc_arena(call);
        const struct failure *first = &e->failures[0];
        const char *number = arena_printf(arena, "%" PRId64, version);
        for (size_t i = 0; i < e->n_failures; i++)
                (void)rpc_invalid(call, "", e->failures[i].code, e->failures[i].title, e->failures[i].title_zh);
        if (!first->cap)
                return rpc_refuse(call, PROBLEM(NOT_ELIGIBLE), programme, number, first->code, first->wanted);
        return rpc_refuse(call, PROBLEM(CAP_REACHED), programme, number, first->code, arena_printf(arena, "%" PRId64, first->used),
                          arena_printf(arena, "%" PRId64, first->most), arena_printf(arena, "%" PRId64, first->asked));
}

/* --- versions ------------------------------------------------------------------------------------------------------ */

static void programme_fill(struct rpc_call *call, Programme *out, const struct programme *p, const ProgrammeDocument *document)
{
        out->id = (char *)p->id;
        out->version = (int32_t)p->version;
        out->current = p->version == p->current_version;
        out->document = (ProgrammeDocument *)document;
        out->create_time = rpc_timestamp(call, p->created_us);
        out->activate_time = rpc_timestamp(call, p->activated_us);
}

/* Whoever may write at one organisation must not add versions to another's programme. */
static int check_owner(struct rpc_call *call, const CreateProgrammeVersionRequest *request)
{
        struct faults faults = {.n = 0};
        struct organization o;
        const char *owner;
        int r = programme_organization(rpc_db(call), rpc_arena(call), request->programme, &owner);
        if (r == CARE_E_ABSENT)
                return find_valid_organization(call, request->document->organization, &o);
        if (r != 0 || strcmp(owner, request->document->organization) == 0)
                return r;
        faults.items[faults.n++] = (struct fault){"/organization", "immutable", "the programme belongs to another organisation; choose another id",
                                                  "该项目属于其他组织，请使用其他项目标识"};
        return refuse_faults(call, PROBLEM(PROGRAMME_INVALID), &faults);
}

static int check_earlier(struct rpc_call *call, const CreateProgrammeVersionRequest *request, struct faults *faults)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = programme_versions_query(rpc_db(call), request->programme, &rows);
        while (r == 0 && !faults->n && (r = store_next(rows)) == 1) {
                ProgrammeDocument *earlier;
                struct programme p;
                programme_read(rows, rpc_arena(call), &p);
                r = unpack_document(call, p.document, &earlier);
                if (r == 0)
                        document_check_caps(rpc_arena(call), request->document, earlier, faults);
        }
        return r;
}

int handle_create_programme_version(struct rpc_call *call, const CreateProgrammeVersionRequest *request, Programme *response)
{
        struct arena *arena = rpc_arena(call);
        const ProgrammeDocument *document = request->document;
        struct faults faults = {.n = 0};
        struct programme p;
        char hash[65];

        int r = check_owner(call, request);
        if (r != 0)
                return r;
        document_check(arena, document, &faults);
        r = check_earlier(call, request, &faults);
        if (r != 0)
                return r;
        if (faults.n)
                return refuse_faults(call, PROBLEM(PROGRAMME_INVALID), &faults);
        struct str packed = message_pack(arena, document);
        sha256_hex(hash, packed);
        r = programme_load_hash(rpc_db(call), arena, request->programme, hash, &p);
        if (r == CARE_E_ABSENT) {
                p = (struct programme){.id = request->programme, .organization = document->organization, .document = packed};
                p.created_us = rpc_now(call);
                r = programme_add(rpc_db(call), &p, hash);
        }
        if (r != 0)
                return r;
        programme_fill(call, response, &p, document);
        rpc_audit_subject(call, p.id, p.organization);
        return 0;
}

/* Which year's calendar a public notice of it, put up now, would need and not find; 0: none. */
static int find_missing(struct rpc_call *call, const ProgrammeDocument *document, int32_t *ret_year)
{
        struct calendars calendars = {0};
        int missing = 0;
        int r = find_calendars(call, day_at(rpc_now(call)), &calendars);
        for (size_t i = 0; r == 0 && !missing && i < document->n_stages; i++) {
                const Stage *stage = document->stages[i];
                if (stage->kind == NUANXIN__CARE__V1__STAGE__KIND__NOTICE)
                        deadline_us(&calendars, rpc_now(call), stage->days, stage->working_days, &missing);
        }
        *ret_year = missing;
        return r;
}

static int emit_activated(struct rpc_call *call, const struct programme *p)
{
        ProgrammeActivated *event = message_new(rpc_arena(call), &care_v1_programme_activated_msg);
        event->programme = (char *)p->id;
        event->version = (int32_t)p->version;
        event->organization = (char *)p->organization;
        return rpc_emit(call, &care_v1_programme_activated_msg, event, p->id, p->organization);
}

int handle_activate_programme_version(struct rpc_call *call, const ActivateProgrammeVersionRequest *request, Programme *response)
{
        struct arena *arena = rpc_arena(call);
        ProgrammeDocument *document;
        struct programme p;
        struct str path;
        const char *owner;

        int r = programme_organization(rpc_db(call), arena, request->programme, &owner);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = organization_path(call, str_of(owner), &path);
        if (r == 0)
                r = rpc_require(call, path);
        if (r == 0 && !request->version)
                return rpc_invalid(call, "/version", "required", "is required", "必填");
        if (r == 0)
                r = programme_load(rpc_db(call), arena, request->programme, request->version, &p);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(PROGRAMME_VERSION_UNKNOWN), request->programme, arena_printf(arena, "%d", request->version));
        if (r == 0)
                r = unpack_document(call, p.document, &document);
        if (r != 0)
                return r;
        bool news = p.current_version != p.version;
        if (news) {
                p.current_version = p.version;
                p.activated_us = rpc_now(call);
                r = programme_activate(rpc_db(call), p.id, p.version, p.activated_us);
        }
        if (r == 0 && news)
                r = emit_activated(call, &p);
        programme_fill(call, response, &p, document);
        rpc_audit_subject(call, p.id, p.organization);
        return r == 0 ? find_missing(call, document, &response->missing_calendar) : r;
}

/* Everybody who works with programmes may read what holds or has held; drafts are for who may write them. */
static int find_readable(struct rpc_call *call, const char *programme, int64_t version, struct programme *ret,
                         ProgrammeDocument **ret_document)
{
        struct str path;
        int r = rpc_require_somewhere(call);
        if (r == 0)
                r = programme_load(rpc_db(call), rpc_arena(call), programme, version, ret);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0 && !ret->activated_us)
                r = organization_path(call, str_of(ret->organization), &path);
        if (r == 0 && !ret->activated_us && !rpc_allows(call, "programme.write", path))
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        return r == 0 ? unpack_document(call, ret->document, ret_document) : r;
}

int handle_get_programme(struct rpc_call *call, const GetProgrammeRequest *request, Programme *response)
{
        ProgrammeDocument *document;
        struct programme p;
        int r = find_readable(call, request->programme, request->version, &p, &document);
        if (r != 0)
                return r;
        programme_fill(call, response, &p, document);
        return find_missing(call, document, &response->missing_calendar);
}

int handle_list_programmes(struct rpc_call *call, const ListProgrammesRequest *request, ListProgrammesResponse *response)
{
        struct arena *arena = rpc_arena(call);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        size_t size = (size_t)rpc_page_size(request->page_size), bytes = 0;
        struct str key;
        int r = rpc_require_somewhere(call);
        if (r == 0)
                r = rpc_page_start(call, request->page_token, STR(""), &key);
        if (r == 0)
                r = programmes_query(rpc_db(call), arena_strndup(arena, key.p, key.n), (int64_t)size + 1, &rows);
        response->programmes = ARENA_ARRAY(arena, Programme *, size);
        while (r == 0 && (r = store_next(rows)) == 1) {
                ProgrammeDocument *document;
                struct programme p;
                if (response->n_programmes == size || bytes >= RPC_PAGE_BYTES) {
                        const Programme *last = response->programmes[response->n_programmes - 1];
                        response->next_page_token = rpc_page_token(call, STR(""), str_of(last->id));
                        return 0;
                }
                programme_read(rows, arena, &p);
                r = unpack_document(call, p.document, &document);
                if (r != 0)
                        return r;
                Programme *out = message_new(arena, &care_v1_programme_msg);
                programme_fill(call, out, &p, document);
                response->programmes[response->n_programmes++] = out;
                bytes += p.document.n;
        }
        return r;
}

int handle_evaluate_programme(struct rpc_call *call, const EvaluateProgrammeRequest *request, Outcome *response)
{
        struct faults faults = {.n = 0};
        struct evaluation evaluation;
        ProgrammeDocument *document;
        struct programme p;
        int r = find_readable(call, request->programme, request->version, &p, &document);
        if (r != 0)
                return r;
        facts_check_all(rpc_arena(call), document, request->facts, request->n_facts, &faults);
        if (faults.n)
                return refuse_faults(call, PROBLEM(FACT_INVALID), &faults);
        evaluate(rpc_arena(call), document, request->facts, request->n_facts, NULL, 0, day_at(rpc_now(call)), &evaluation);
        *response = *evaluation.outcome;
        return 0;
}

/* --- calendars ------------------------------------------------------------------------------------------------------ */

/* It holds for all organisations, so whoever sets it must be allowed to at the top of the tree. */
static int require_top(struct rpc_call *call)
{
        const char *codes[64];
        size_t n = rpc_scope(call, codes);
        int r = rpc_require_somewhere(call);
        for (size_t i = 0; r == 0 && i < n; i++) {
                struct organization o;
                if (strcmp(codes[i], "*") == 0)
                        return 0;
                r = organization_load(rpc_db(call), rpc_arena(call), str_of(codes[i]), &o);
                if (r == 0 && !o.parent[0])
                        return rpc_require(call, str_of(o.path));
                r = r == CARE_E_ABSENT ? 0 : r;
        }
        return r == 0 ? rpc_refuse(call, PROBLEM(PERMISSION_DENIED), "programme.write") : r;
}

int handle_set_work_calendar(struct rpc_call *call, const SetWorkCalendarRequest *request, WorkCalendar *response)
{
        const WorkCalendar *calendar = request->calendar;
        bool in_open = false;
        size_t item = 0;
        int r = require_top(call);
        if (r == 0 && !calendar->year)
                return rpc_invalid(call, "/year", "required", "is required", "必填");
        if (r == 0 && calendar_check(calendar, &in_open, &item) < 0)
                return rpc_invalid(call, arena_printf(rpc_arena(call), "/%s/%zu", in_open ? "open" : "closed", item), "range",
                                   in_open ? "must be a Saturday or Sunday of that year, in order" : "must be a weekday of that year, in order",
                                   in_open ? "应为该年的周末日期，按先后排列" : "应为该年的周一至周五日期，按先后排列");
        if (r == 0)
                r = calendar_save(rpc_db(call), calendar->year, message_pack(rpc_arena(call), calendar), rpc_now(call));
        if (r != 0)
                return r;
        *response = *calendar;
        rpc_audit_subject(call, arena_printf(rpc_arena(call), "work-calendar-%d", calendar->year), "");
        return 0;
}

int handle_get_work_calendar(struct rpc_call *call, const GetWorkCalendarRequest *request, WorkCalendar *response)
{
        WorkCalendar *calendar;
        struct str packed;
        int r = rpc_require_somewhere(call);
        if (r == 0)
                r = calendar_load(rpc_db(call), rpc_arena(call), request->year, &packed);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = unpack_calendar(call, packed, &calendar);
        if (r == 0)
                *response = *calendar;
        return r;
}
