/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows for who may see what. See standing.h.
 */
#include "services/stream/standing.h"

#include "contract/membership_v1.h"
#include "services/stream/store_agency.h"

#define AT_ONCE 500

/* --- where a person was told of ---------------------------------------------------------------------------------------- */

static bool has_line(struct str lines, const char *line)
{
        while (lines.n)
                if (str_is(str_cut(&lines, '\n'), line))
                        return true;
        return false;
}

static void places_add(struct buf *places, const char *path)
{
        if (!path[0] || has_line(buf_str(places), path))
                return;
        if (places->n)
                buf_add_char(places, '\n');
        buf_add_z(places, path);
}

static int add_rows(struct rpc_call *call, const char *person, const struct log_raw *rows, size_t n, struct buf *places)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < n; i++) {
                ProtobufCMessage *message;
                r = message_unpack(rpc_arena(call), &stream_v1_stored_event_msg, rows[i].event.p, rows[i].event.n, &message);
                if (r == 0 && strcmp(((const StoredEvent *)message)->person, person) == 0)
                        places_add(places, ((const StoredEvent *)message)->path);
        }
        return r;
}

static int add_all(struct rpc_call *call, const char *person, read_person_fn *read, struct buf *places)
{
        struct log_raw *rows;
        size_t n = AT_ONCE;
        int64_t after = 0;
        int r = 0;
        while (r == 0 && n == AT_ONCE) {
                r = read(rpc_db(call), rpc_arena(call), log_person_hash(str_of(person)), after, INT64_MAX, AT_ONCE, &rows, &n);
                if (r == 0)
                        r = add_rows(call, person, rows, n, places);
                after = r == 0 && n ? rows[n - 1].seq : after;
        }
        return r;
}

/* --- what follows ------------------------------------------------------------------------------------------------------ */

static int notify(struct rpc_call *call, const struct contract_message *type, const char *person, const char *purpose, int64_t seq)
{
        struct buf places = {0};
        int r = add_all(call, person, log_read_person, &places);
        if (r == 0)
                r = add_all(call, person, state_read_person, &places);
        const struct notice notice = {seq, type->name, purpose, arena_str(rpc_arena(call), buf_str(&places))};
        buf_done(&places);
        return r == 0 ? notice_insert(rpc_db(call), &notice) : r;
}

static int note_change(struct rpc_call *call, const char *person, bool erased, int64_t seq)
{
        const struct standing_change change = {seq, person, erased};
        return standing_change_add(rpc_db(call), &change);
}

static int on_given(struct rpc_call *call, const ConsentGiven *event, int64_t seq)
{
        if (!event->purpose[0])
                return 0; /* names none; and '' would say that the person has been erased */
        int r = standing_set(rpc_db(call), event->member, event->purpose, seq);
        return r == 0 ? note_change(call, event->member, false, seq) : r;
}

static int on_withdrawn(struct rpc_call *call, const struct contract_message *type, const ConsentWithdrawn *event, int64_t seq)
{
        if (!event->purpose[0])
                return 0; /* names none; and '' would clear all */
        int r = standing_clear(rpc_db(call), event->member, event->purpose);
        if (r == 0)
                r = note_change(call, event->member, false, seq);
        return r == 0 ? notify(call, type, event->member, event->purpose, seq) : r;
}

/* person: a member, or a recipient of care's who stands under an id of their own. */
static int on_erased(struct rpc_call *call, const struct contract_message *type, const ProtobufCMessage *event, int64_t seq)
{
        struct str whom = message_text_at(type, event, type->person);
        if (!whom.n)
                return 0;
        const char *person = arena_strndup(rpc_arena(call), whom.p, whom.n);
        int r = standing_clear(rpc_db(call), person, "");
        if (r == 0)
                r = standing_set(rpc_db(call), person, "", seq);
        if (r == 0)
                r = note_change(call, person, true, seq);
        return r == 0 ? notify(call, type, person, "", seq) : r;
}

int standing_note(struct rpc_call *call, const struct contract_message *type, const ProtobufCMessage *message, int64_t seq)
{
        if (type == &membership_v1_organization_changed_msg)
                return agencies_touch(rpc_db(call), ((const OrganizationChanged *)message)->code);
        if (type == &membership_v1_consent_given_msg)
                return on_given(call, (const ConsentGiven *)message, seq);
        if (type == &membership_v1_consent_withdrawn_msg)
                return on_withdrawn(call, type, (const ConsentWithdrawn *)message, seq);
        if (contract_is_erasure(type))
                return on_erased(call, type, message, seq);
        return 0;
}

int standing_reset(struct rpc_call *call, int64_t seq)
{
        int r = standing_clear_all(rpc_db(call));
        return r == 0 ? note_change(call, "", false, seq) : r;
}
