/* SPDX-License-Identifier: Apache-2.0
 *
 * The consumer of membership's own outbox. A batch's changes are added up in memory and written once each: a
 * thousand new members of one village change five rows. An organisation that moves takes what it has itself
 * from the old chain to the new one; all below it come with events of their own and do the same.
 */
#include "services/membership/count.h"

#include "services/membership/store.h"

#define STATE(name) NUANXIN__MEMBERSHIP__V1__MEMBER__STATE__##name

struct change {
        struct str organization; /* p NULL: a free slot */
        int what;
        bool own; /* of the organisation itself; else of its subtree */
        int64_t n;
};

struct batch {
        struct store_conn *db;
        struct arena *arena;
        size_t mask, used;
        struct change *slots;
};

static void batch_init(struct batch *b, struct store_conn *db, struct arena *arena, size_t slots)
{
        *b = (struct batch){.db = db, .arena = arena, .mask = slots - 1};
        b->slots = ARENA_ARRAY(arena, struct change, slots);
}

/* Lays the changes of one kind side by side; their number. */
static size_t batch_list(const struct batch *b, bool own, struct store_value *out)
{
        size_t n = 0;
        for (size_t i = 0; i <= b->mask; i++) {
                const struct change *c = &b->slots[i];
                if (!c->organization.p || !c->n || c->own != own)
                        continue;
                out[3 * n] = TEXT(c->organization);
                out[3 * n + 1] = I64(c->what);
                out[3 * n + 2] = I64(c->n);
                n++;
        }
        return n;
}

static int batch_write(struct batch *b)
{
        if (!b->used)
                return 0;
        struct store_value *counts = arena_alloc(b->arena, 3 * b->used * sizeof(*counts));
        int r = count_own_add(b->db, counts, batch_list(b, true, counts));
        if (r == 0)
                r = count_subtree_add(b->db, counts, batch_list(b, false, counts));
        memset(b->slots, 0, (b->mask + 1) * sizeof(*b->slots));
        b->used = 0;
        return r;
}

static int batch_add(struct batch *b, struct str organization, int what, bool own, int64_t n)
{
        if (b->used * 2 > b->mask) {
                int r = batch_write(b);
                if (r != 0)
                        return r;
        }
        size_t i = (str_hash(organization) + (size_t)what * 2 + own) & b->mask;
        while (b->slots[i].organization.p && !(str_eq(b->slots[i].organization, organization) &&
                                               b->slots[i].what == what && b->slots[i].own == own))
                i = (i + 1) & b->mask;
        if (!b->slots[i].organization.p) {
                b->slots[i] = (struct change){
                    .organization = arena_str(b->arena, organization), .what = what, .own = own};
                b->used++;
        }
        b->slots[i].n += n;
        return 0;
}

/* n more for every organisation along the path. */
static int add_along(struct batch *b, const char *path, int what, int64_t n)
{
        struct str rest = str_of(path + 1);
        int r = 0;
        while (r == 0 && rest.n)
                r = batch_add(b, str_cut(&rest, '/'), what, false, n);
        return r;
}

static int add(struct batch *b, const char *organization, const char *path, int what, int64_t n)
{
        int r = batch_add(b, str_of(organization), what, true, n);
        return r == 0 ? add_along(b, path, what, n) : r;
}

static int move_own(struct batch *b, const char *organization, const char *from, const char *to)
{
        struct count own[COUNT_MAX];
        size_t n = 0;
        int r = batch_write(b);
        if (r == 0)
                r = count_own_list(b->db, organization, own, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                r = add_along(b, from, own[i].what, -own[i].n);
                if (r == 0)
                        r = add_along(b, to, own[i].what, own[i].n);
        }
        return r;
}

static int on_organization(struct batch *b, const OrganizationChanged *event)
{
        char *before = NULL;
        int r = count_node_get(b->db, b->arena, event->code, &before);
        if (r == -ENOENT)
                r = add(b, event->code, event->path, COUNT_KIND_BASE + (int)event->kind, 1);
        else if (r == 0 && strcmp(before, event->path) != 0)
                r = move_own(b, event->code, before, event->path);
        else
                return r;
        return r == 0 ? count_node_set(b->db, event->code, event->path) : r;
}

static int on_member(struct batch *b, const MemberStateChanged *event)
{
        char *path = NULL;
        int r = count_node_get(b->db, b->arena, event->organization, &path);
        if (r == 0 && event->previous != STATE(STATE_UNSPECIFIED))
                r = add(b, event->organization, path, (int)event->previous, -1);
        return r == 0 ? add(b, event->organization, path, (int)event->state, 1) : r;
}

static int on_event(struct batch *b, const struct rpc_event *event)
{
        ProtobufCMessage *message = NULL;
        bool organization = event->contract == &membership_v1_organization_changed_msg;
        if (!organization && event->contract != &membership_v1_member_state_changed_msg)
                return 0;
        int r = message_unpack(b->arena, event->contract, event->data.p, event->data.n, &message);
        if (r != 0)
                return r;
        return organization ? on_organization(b, (const OrganizationChanged *)message)
                            : on_member(b, (const MemberStateChanged *)message);
}

int count_apply(struct rpc_call *call, const struct rpc_event *events, size_t n)
{
        struct batch batch;
        size_t slots = 256;
        while (slots < n * 8)
                slots *= 2;
        batch_init(&batch, rpc_db(call), rpc_arena(call), slots);
        int r = 0;
        for (size_t i = 0; i < n && r == 0; i++)
                r = on_event(&batch, &events[i]);
        return r == 0 ? batch_write(&batch) : r;
}

/* The service's own outbox is read in this same transaction: what is counted now and what comes after meet. */
int count_reset(struct rpc_call *call)
{
        return count_rebuild(rpc_db(call));
}
