/* SPDX-License-Identifier: Apache-2.0
 *
 * Flags: what must be known to whoever comes to a person, as long as it holds. What holds no more is kept by nobody.
 */
#include "handle_recipient.h"

#include "handle.h"
#include "store_recipient.h"

#define TABLE "recipient_flag"

static void fill(struct rpc_call *call, const struct flag *flag, const char *text, Flag *out)
{
        out->id = (char *)flag->id;
        out->text = (char *)text;
        out->until_date = (char *)flag->until_date;
        out->create_time = rpc_timestamp(call, flag->created_us);
}

static int take_until(struct rpc_call *call, const char *text, const char **ret)
{
        char *date = arena_zalloc(rpc_arena(call), DATE_SIZE);
        if (text[0] && date_parse(str_of(text), date) != 0)
                return rpc_invalid(call, "/untilDate", "date", "is no day of the calendar", "日期不存在。");
        if (!holds_until(date, today(call)))
                return rpc_invalid(call, "/untilDate", "date", "is over", "日期已过。");
        *ret = date;
        return 0;
}

static int has_room(struct rpc_call *call, const char *recipient)
{
        struct flag flags[FLAGS_MAX];
        size_t n = 0;
        int r = flags_expire(rpc_db(call), recipient, today(call));
        if (r == 0)
                r = flags_load(rpc_db(call), rpc_arena(call), recipient, flags, &n);
        return r == 0 && n == FLAGS_MAX
                       ? rpc_invalid(call, "", "maxItems", "is one more than 100: lift those that hold no more",
                                     "提示已满 100 条，请先解除不再适用的提示。")
                       : r;
}

/* The text is not in the answer: it is for those who state a purpose. */
int handle_add_flag(struct rpc_call *call, const AddFlagRequest *request, Flag *response)
{
        struct flag flag = {.id = rpc_new_id(call), .created_us = rpc_now(call)};
        struct person_key key;
        struct recipient r;
        int x = find_recipient_kept(call, request->recipient, &r);
        if (x == 0)
                x = take_until(call, request->flag->until_date, &flag.until_date);
        if (x == 0)
                x = has_room(call, r.id);
        if (x == 0)
                x = recipient_key(call, r.id, &key);
        if (x != 0)
                return x;
        flag.sealed = recipient_seal(call, &key, TABLE, "sealed", flag.id, request->flag->text);
        x = flag_insert(rpc_db(call), r.id, &flag);
        if (x == 0)
                fill(call, &flag, "", response);
        return x;
}

int handle_lift_flag(struct rpc_call *call, const LiftFlagRequest *request, Flag *response)
{
        struct recipient r;
        struct flag flag;
        int x = find_recipient(call, request->recipient, &r);
        if (x == 0)
                x = flag_load(rpc_db(call), rpc_arena(call), r.id, request->flag, &flag);
        if (x == CARE_E_ABSENT)
                return rpc_refuse(call, PROBLEM(NOT_FOUND));
        if (x == 0)
                x = flag_delete(rpc_db(call), flag.id);
        if (x == 0)
                fill(call, &flag, "", response);
        return x;
}

int handle_list_flags(struct rpc_call *call, const ListFlagsRequest *request, ListFlagsResponse *response)
{
        struct flag *flags = ARENA_ARRAY(rpc_arena(call), struct flag, FLAGS_MAX);
        struct person_key key;
        struct recipient r;
        size_t n = 0;
        rpc_audit_purpose(call, request->purpose);
        int x = find_recipient_kept(call, request->recipient, &r);
        if (x == 0)
                x = recipient_key(call, r.id, &key);
        if (x == 0)
                x = flags_load(rpc_db(call), rpc_arena(call), r.id, flags, &n);
        response->flags = ARENA_ARRAY(rpc_arena(call), Flag *, n);
        for (size_t i = 0; x == 0 && i < n; i++) {
                const char *text;
                if (!holds_until(flags[i].until_date, today(call)))
                        continue;
                x = recipient_open(call, &key, TABLE, "sealed", flags[i].id, flags[i].sealed, &text);
                if (x != 0)
                        break;
                response->flags[response->n_flags] = message_new(rpc_arena(call), &care_v1_flag_msg);
                fill(call, &flags[i], text, response->flags[response->n_flags++]);
        }
        return x;
}
