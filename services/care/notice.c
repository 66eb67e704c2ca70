/* SPDX-License-Identifier: Apache-2.0
 *
 * Public notices: put up with a masked name for so many days, stopped by objections, taken down.
 */
#include "handle_case.h"

#include "handle_programme.h"

#define OBJECTIONS_OPEN 20 /* to one notice, at once */

/* --- putting up ------------------------------------------------------------------------------------------------------ */

/* "李*": the first character. */
static const char *mask_name(struct arena *arena, const char *name)
{
        size_t n = name[0] ? 1 : 0;
        while (n && ((unsigned char)name[n] & 0xC0) == 0x80)
                n++;
        return arena_printf(arena, "%.*s*", (int)n, name);
}

/* An organisation's name is no secret. */
static int notice_name(struct scene *s, const char **ret)
{
        struct organization o;
        *ret = "*";
        if (s->has_person) {
                *ret = mask_name(rpc_arena(s->call), s->r.name);
                return 0;
        }
        if (!s->document->for_organization)
                return 0;
        int r = organization_load(rpc_db(s->call), rpc_arena(s->call), str_of(s->c.organization), &o);
        if (r == 0)
                *ret = o.name;
        return r == CARE_E_ABSENT ? 0 : r;
}

int notice_days_known(struct scene *s, int missing_year)
{
        const char *year = arena_printf(rpc_arena(s->call), "%d", missing_year);
        return missing_year ? rpc_refuse(s->call, PROBLEM(CALENDAR_MISSING), year, s->c.programme) : 0;
}

int notice_put_up(struct scene *s, const Stage *stage)
{
        struct str place = path_at_level(str_of(s->c.path), (int)stage->level), code = path_code(place);
        struct arena *arena = rpc_arena(s->call);
        struct notice n = {
                .id = rpc_new_id(s->call),
                .case_id = s->c.id,
                .programme = s->c.programme,
                .title = s->document->title,
                .title_zh = s->document->title_zh,
                .organization = arena_strndup(arena, code.p, code.n),
                .path = arena_strndup(arena, place.p, place.n),
                .amount = s->c.granted,
                .unit = s->c.unit,
                .start_us = rpc_now(s->call),
                .end_us = s->c.due_us ? s->c.due_us : rpc_now(s->call),
                .stands = true,
        };
        int r = notice_name(s, &n.name_masked);
        return r == 0 ? notice_insert(rpc_db(s->call), &n) : r;
}

int notice_take_down(struct scene *s)
{
        struct notice n;
        int r = notice_of_case(rpc_db(s->call), rpc_arena(s->call), s->c.id, &n);
        if (r == CARE_E_ABSENT || (r == 0 && !n.stands))
                return 0;
        n.stands = false;
        return r == 0 ? notice_save(rpc_db(s->call), &n) : r;
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

static Notice *fill_notice(struct rpc_call *call, const struct notice *n)
{
        Notice *out = message_new(rpc_arena(call), &care_v1_notice_msg);
        out->id = (char *)n->id;
        out->programme = (char *)n->programme;
        out->title = (char *)n->title;
        out->title_zh = (char *)n->title_zh;
        out->organization = (char *)n->organization;
        out->name_masked = (char *)n->name_masked;
        out->amount = n->amount;
        out->unit = (char *)n->unit;
        out->start_time = rpc_timestamp(call, n->start_us);
        out->end_time = rpc_timestamp(call, n->end_us);
        return out;
}

int handle_list_notices(struct rpc_call *call, const ListNoticesRequest *request, ListNoticesResponse *response)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        struct subtree_page page;
        struct notice n = {0};
        int r = subtree_page_start(call, request->organization, "", request->page_size, request->page_token, &page);
        if (r == 0)
                r = notices_query(rpc_db(call), rpc_arena(call), page.path, page.after_path, page.after_id, page.size + 1, &rows);
        if (r != 0)
                return r;
        response->notices = ARENA_ARRAY(rpc_arena(call), Notice *, (size_t)page.size);
        while ((r = store_next(rows)) == 1) {
                if ((int64_t)response->n_notices == page.size) {
                        response->next_page_token = subtree_page_next(call, &page, n.path, n.id);
                        return 0;
                }
                notice_read(rows, rpc_arena(call), &n);
                response->notices[response->n_notices++] = fill_notice(call, &n);
        }
        return r;
}

/* --- objections ------------------------------------------------------------------------------------------------------ */

/* The days that it will still have to stand: that of the objection counts among them. */
static int days_left(const struct scene *s, const struct calendars *calendars, const Stage *stage, const struct notice *n)
{
        day_t now = day_at(rpc_now(s->call)), last = day_at(n->end_us - 1);
        int left = 0;
        for (day_t day = now; day <= last; day++)
                left += !stage->working_days || is_working_day(calendars, day);
        return left < stage->days ? left : stage->days;
}

static int stop(struct scene *s, struct notice *n)
{
        const Stage *stage = document_stage(s->document, s->c.stage);
        struct calendars calendars = {0};
        if (n->stopped_us)
                return 0;
        int r = find_calendars(s->call, day_at(rpc_now(s->call)), &calendars);
        if (r != 0)
                return r;
        n->left_days = days_left(s, &calendars, stage, n);
        n->stopped_us = rpc_now(s->call);
        r = notice_save(rpc_db(s->call), n);
        s->c.due_us = 0;
        if (r == 0)
                r = scene_set_due(s);
        return r == 0 ? case_save(rpc_db(s->call), &s->c) : r;
}

static int go_on(struct scene *s, struct notice *n)
{
        const Stage *stage = document_stage(s->document, s->c.stage);
        int missing = 0;
        struct calendars calendars = {0};
        int64_t now = rpc_now(s->call);
        int r = find_calendars(s->call, day_at(now), &calendars);
        if (r != 0)
                return r;
        n->end_us = s->c.due_us = deadline_us(&calendars, now, (int)n->left_days, stage->working_days, &missing);
        r = notice_days_known(s, missing);
        if (r != 0)
                return r;
        n->stopped_us = n->left_days = 0;
        r = notice_save(rpc_db(s->call), n);
        if (r == 0)
                r = scene_set_due(s);
        return r == 0 ? case_save(rpc_db(s->call), &s->c) : r;
}

static char *objection_context(struct rpc_call *call, const char *id, const char *column)
{
        return arena_printf(rpc_arena(call), "care_objection.%s.%s", column, id);
}

static struct str seal_objection(struct rpc_call *call, const char *id, const Objection *asked)
{
        Objection said = NUANXIN__CARE__V1__OBJECTION__INIT;
        said.text = asked->text;
        said.contact = asked->contact;
        return keyring_seal(rpc_arena(call), rpc_keyring(call), objection_context(call, id, "sealed"), message_pack(rpc_arena(call), &said));
}

int objection_fill(struct rpc_call *call, const struct objection *o, bool revealed, Objection *out)
{
        Objection *said;
        struct str plain;
        out->id = (char *)o->id;
        out->notice = (char *)o->notice;
        out->upheld = o->upheld;
        out->create_time = rpc_timestamp(call, o->created_us);
        out->settle_time = rpc_timestamp(call, o->settled_us);
        if (!revealed || !o->sealed.n) /* none: of an erased person's case */
                return 0;
        int r = keyring_open(rpc_arena(call), rpc_keyring(call), objection_context(call, o->id, "sealed"), o->sealed, &plain);
        if (r == 0)
                r = message_unpack(rpc_arena(call), &care_v1_objection_msg, plain.p, plain.n, (ProtobufCMessage **)&said);
        if (r != 0)
                return r;
        out->text = said->text;
        out->contact = said->contact;
        return 0;
}

static int open_objection_task(struct scene *s, const char *objection, const struct notice *n)
{
        struct care_task task = {
                .kind = TASK_OBJECTION,
                .case_id = s->c.id,
                .programme = s->c.programme,
                .stage = objection,
                .place_path = n->path,
                .person = s->person,
                .assignee = "",
                .due_us = rpc_now(s->call) + OBJECTION_DAYS * CLOCK_DAY_US,
        };
        return task_open(s->call, &task);
}

/* Whoever settles them must be able to read them; while one is open the notice stands still anyway. How often a stranger may object
 * is the gateway's to say, by network address. */
static int check_room(struct rpc_call *call, const struct notice *n)
{
        int64_t open;
        int r = objections_count(rpc_db(call), n->id, &open);
        if (r == 0 && open >= OBJECTIONS_OPEN)
                return rpc_refuse(call, PROBLEM(OBJECTIONS_FULL), arena_printf(rpc_arena(call), "%d", OBJECTIONS_OPEN));
        return r;
}

int handle_raise_objection(struct rpc_call *call, const RaiseObjectionRequest *request, Objection *response)
{
        struct notice n;
        struct scene s;
        struct objection o = {.id = rpc_new_id(call), .settled_by = "", .created_us = rpc_now(call)};
        int r = notice_load(rpc_db(call), rpc_arena(call), request->objection->notice, &n);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0 && (!n.stands || (!n.stopped_us && rpc_now(call) >= n.end_us)))
                return rpc_refuse(call, PROBLEM(NOTICE_OVER));
        if (r == 0)
                r = check_room(call, &n);
        if (r == 0)
                r = scene_load(call, n.case_id, &s);
        if (r != 0)
                return r;
        bool first = !n.stopped_us;
        o.notice = n.id;
        o.case_id = n.case_id;
        o.sealed = seal_objection(call, o.id, request->objection);
        r = objection_insert(rpc_db(call), &o);
        if (r == 0)
                r = stop(&s, &n);
        if (r == 0 && first) /* one task for them all: whoever settles one sees the others */
                r = open_objection_task(&s, o.id, &n);
        rpc_audit_subject(call, o.id, n.organization);
        return r == 0 ? objection_fill(call, &o, false, response) : r;
}

/* --- settling -------------------------------------------------------------------------------------------------------- */

static int settled(struct scene *s, const struct objection *o, struct notice *n, const char *reason)
{
        const char *other;
        int r = objection_open(rpc_db(s->call), rpc_arena(s->call), n->id, &other);
        if (r == 0 && !o->upheld)
                return 0; /* there is another */
        if (r != 0 && r != CARE_E_ABSENT)
                return r;
        if (s->c.state != CASE_OPEN || !n->stands)
                return 0; /* it has ended otherwise */
        if (o->upheld)
                return scene_end(s, CASE_REFUSED, "objection-upheld", reason);
        r = tasks_close(s->call, s->c.id, TASK_OBJECTION, NULL);
        return r == 0 ? go_on(s, n) : r;
}

static bool is_own_case(const struct scene *s)
{
        const Principal *p = rpc_principal(s->call);
        return strcmp(s->c.opened_by, p->id) == 0 || (s->has_person && p->member[0] && strcmp(p->member, s->r.member) == 0);
}

int handle_settle_objection(struct rpc_call *call, const SettleObjectionRequest *request, Objection *response)
{
        struct objection o;
        struct notice n;
        struct scene s;
        int r = objection_load(rpc_db(call), rpc_arena(call), request->objection, &o);
        if (r == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (r == 0)
                r = notice_load(rpc_db(call), rpc_arena(call), o.notice, &n);
        if (r == 0)
                r = rpc_require(call, str_of(n.path));
        if (r == 0)
                r = scene_load(call, o.case_id, &s);
        if (r != 0)
                return r;
        rpc_audit_subject(call, o.id, n.organization);
        if (o.settled_us)
                return rpc_refuse(call, PROBLEM(OBJECTION_SETTLED));
        if (is_own_case(&s))
                return rpc_refuse(call, PROBLEM(OWN_CASE), arena_printf(rpc_arena(call), "%s %d: %s", s.c.programme, s.c.version, s.c.stage));
        o.upheld = request->upheld;
        o.settled_us = rpc_now(call);
        o.settled_by = rpc_principal(call)->id;
        o.reason = keyring_seal(rpc_arena(call), rpc_keyring(call), objection_context(call, o.id, "reason"), str_of(request->reason));
        r = objection_settle(rpc_db(call), &o);
        if (r == 0)
                r = settled(&s, &o, &n, request->reason);
        return r == 0 ? objection_fill(call, &o, false, response) : r;
}
