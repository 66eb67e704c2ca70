/* SPDX-License-Identifier: Apache-2.0
 *
 * An organisation stands elsewhere in the tree. What stands at it follows at once, as to who may see it; what is slower follows in
 * slices: open tasks go from the lists of those that were above it to the lists of those that are, and contacts who may not look
 * after its cases any more are contacts no more.
 */
#include "case.h"

#include <inttypes.h>

#define TASKS_AT_ONCE 100
#define CASES_AT_ONCE 50

/* "t DUE ID": tasks behind this one; "c ID": cases. */
static int go_on(struct rpc_call *call, const char *code, const char *progress)
{
        return rpc_due_add(call, DUE_MOVED, code, rpc_now(call) + 1, str_of(progress));
}

int organization_moved(struct rpc_call *call, const struct organization *was, const struct organization *now)
{
        if (strcmp(was->path, now->path) == 0)
                return 0;
        /* What is below another comes along with that one. */
        bool itself = strcmp(was->parent, now->parent) != 0;
        return go_on(call, now->code, itself ? "t" : "c");
}

/* --- tasks ----------------------------------------------------------------------------------------------------------- */

/* The task's place where its part below the moved one hangs now; NULL: as it was. */
static const char *new_place(struct rpc_call *call, const struct care_task *t, const struct organization *o)
{
        const char *below = strstr(t->place_path, arena_printf(rpc_arena(call), "/%s/", o->code));
        if (!below || str_starts(str_of(t->place_path), str_of(o->path)))
                return NULL;
        return arena_printf(rpc_arena(call), "%s%s", o->path, below + strlen(o->code) + 2);
}

static int move_task(struct rpc_call *call, struct care_task *t, const struct organization *o)
{
        const char *place = new_place(call, t, o);
        return place ? task_take_to(call, t, place) : 0;
}

static int move_tasks(struct rpc_call *call, const struct organization *o, struct str after)
{
        struct care_task *tasks = ARENA_ARRAY(rpc_arena(call), struct care_task, TASKS_AT_ONCE);
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int64_t due = INT64_MIN;
        size_t n = 0;
        int r = after.n ? str_to_i64(str_cut(&after, ' '), INT64_MIN, INT64_MAX, &due) : 0;
        if (r == 0)
                r = tasks_at_query(rpc_db(call), o->code, due, arena_strndup(rpc_arena(call), after.p, after.n), TASKS_AT_ONCE, &rows);
        while (r == 0 && n < TASKS_AT_ONCE && (r = store_next(rows)) == 1) {
                task_read(rows, rpc_arena(call), &tasks[n++]);
                r = 0;
        }
        for (size_t i = 0; r == 0 && i < n; i++)
                r = move_task(call, &tasks[i], o);
        if (r != 0)
                return r;
        const struct care_task *last = n == TASKS_AT_ONCE ? &tasks[n - 1] : NULL;
        return go_on(call, o->code, last ? arena_printf(rpc_arena(call), "t %" PRId64 " %s", task_order(last), last->id) : "c");
}

/* --- contacts -------------------------------------------------------------------------------------------------------- */

static int check_cases(struct rpc_call *call, const struct organization *o, struct str after)
{
        const char *id = arena_strndup(rpc_arena(call), after.p, after.n);
        struct care_case c;
        struct scene s;
        int r = 0;
        for (int i = 0; r == 0 && i < CASES_AT_ONCE; i++) {
                r = case_next_open_at(rpc_db(call), rpc_arena(call), o->path, id, &c);
                if (r == 0)
                        r = scene_start(call, &c, &s);
                if (r == 0)
                        r = contacts_check_case(&s);
                if (r != 0)
                        return r == CARE_E_ABSENT ? 0 : r;
                id = c.id;
        }
        return r == 0 ? go_on(call, o->code, arena_printf(rpc_arena(call), "c %s", id)) : r;
}

int due_moved(struct rpc_call *call, const char *key, struct str payload)
{
        struct organization o;
        struct str rest = payload, phase = str_cut(&rest, ' ');
        int r = organization_load(rpc_db(call), rpc_arena(call), str_of(key), &o);
        if (r != 0)
                return r == CARE_E_ABSENT ? 0 : r;
        return str_is(phase, "t") ? move_tasks(call, &o, rest) : check_cases(call, &o, rest);
}
