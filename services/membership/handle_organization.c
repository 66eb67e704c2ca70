/* SPDX-License-Identifier: Apache-2.0
 *
 * Organisations: the tree that everything else hangs on.
 */
#include "services/membership/handle.h"

#include "common/rpc/server.h"

#include <stdlib.h>

static void fill_organization(struct rpc_call *call, const struct organization *o, Organization *out)
{
        char etag[ETAG_SIZE];
        etag_of(o->version, etag);
        out->code = o->code;
        out->parent = o->parent;
        out->kind = o->kind;
        out->name = o->name;
        out->path = o->path;
        out->valid_from = rpc_timestamp(call, o->valid_from);
        out->valid_to = rpc_timestamp(call, o->valid_to);
        out->etag = arena_strdup(rpc_arena(call), etag);
}

static void fill_event(struct rpc_call *call, const struct organization *o, OrganizationChanged *event)
{
        nuanxin__membership__v1__organization_changed__init(event);
        event->code = o->code;
        event->parent = o->parent;
        event->path = o->path;
        event->kind = o->kind;
        event->name = o->name;
        event->valid_from = rpc_timestamp(call, o->valid_from);
        event->valid_to = rpc_timestamp(call, o->valid_to);
}

int emit_organization(struct rpc_call *call, const struct organization *o)
{
        OrganizationChanged event;
        fill_event(call, o, &event);
        return rpc_emit(call, &membership_v1_organization_changed_msg, &event, o->code, o->code);
}

/* The key of a page is the path of its last organisation: parents come first. */
int snapshot_organizations(struct rpc_call *call, const char *key, unsigned limit)
{
        struct organization_list list = {0};
        struct organization_filter filter = {.after = key[0] ? key : "/", .end = "0", .parent = "", .q = ""};
        int r = organization_list(rpc_db(call), rpc_arena(call), &filter, limit, &list);
        for (size_t i = 0; i < list.n && r == 0; i++) {
                OrganizationChanged event;
                fill_event(call, &list.items[i], &event);
                r = rpc_snapshot_add(call, &membership_v1_organization_changed_msg, &event,
                                     list.items[i].code, list.items[i].code, list.items[i].path);
        }
        return r;
}

int handle_get_organization(struct rpc_call *call, const GetOrganizationRequest *request,
                            Organization *response)
{
        struct organization o;
        int r = find_organization(call, request->organization, &o);
        if (r == 0)
                fill_organization(call, &o, response);
        return r;
}

/* --- lists ---------------------------------------------------------------------------------------------- */

/* Subtrees, none within another, in the order of their paths. */
struct ranges {
        char *paths[64];
        size_t n;
};

static int compare_paths(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What a list without a given organisation runs over: the caller's own subtrees. */
static int ranges_of_scope(struct rpc_call *call, struct ranges *ranges)
{
        const char *codes[64];
        size_t n = rpc_scope(call, codes), kept = 0;
        for (size_t i = 0; i < n; i++) {
                struct organization o;
                if (strcmp(codes[i], "*") == 0) {
                        *ranges = (struct ranges){.paths = {arena_strdup(rpc_arena(call), "/")}, .n = 1};
                        return 0;
                }
                int r = organization_get(rpc_db(call), rpc_arena(call), str_of(codes[i]), &o);
                if (r == 0)
                        ranges->paths[ranges->n++] = o.path;
                else if (r != -ENOENT)
                        return r;
        }
        qsort(ranges->paths, ranges->n, sizeof(char *), compare_paths);
        for (size_t i = 0; i < ranges->n; i++)
                if (kept == 0 || !path_is_within(str_of(ranges->paths[i]), str_of(ranges->paths[kept - 1])))
                        ranges->paths[kept++] = ranges->paths[i];
        ranges->n = kept;
        return 0;
}

/* The subtree of the filter that asks for the least, or the caller's own. */
static int find_ranges(struct rpc_call *call, const ListOrganizationsRequest *request, struct ranges *ranges)
{
        const char *const given[] = {request->ancestor, request->parent};
        *ranges = (struct ranges){0};
        for (size_t i = 0; i < ARRAY_LEN(given); i++) {
                struct organization o;
                if (!given[i][0])
                        continue;
                int r = find_organization(call, given[i], &o);
                if (r == 0)
                        r = rpc_require(call, str_of(o.path));
                if (r != 0)
                        return r;
                if (ranges->n == 0 || path_is_within(str_of(o.path), str_of(ranges->paths[0])))
                        *ranges = (struct ranges){.paths = {o.path}, .n = 1};
                else if (!path_is_within(str_of(ranges->paths[0]), str_of(o.path)))
                        return rpc_invalid(call, "/parent", "within", "is not below the ancestor",
                                           "不在 ancestor 之下。");
        }
        if (ranges->n)
                return 0;
        int r = rpc_require_somewhere(call);
        return r == 0 ? ranges_of_scope(call, ranges) : r;
}

static int read_ranges(struct rpc_call *call, const ListOrganizationsRequest *request,
                       const struct ranges *ranges, struct str key, int64_t limit,
                       struct organization_list *list)
{
        struct arena *arena = rpc_arena(call);
        const char *from = key.n ? arena_strndup(arena, key.p, key.n) : "";
        int r = 0;
        for (size_t i = 0; i < ranges->n && r == 0 && (int64_t)list->n < limit; i++) {
                /* A subtree begins with its own path, so reading starts just before it. */
                char *before = path_before(arena, str_of(ranges->paths[i]));
                struct organization_filter filter = {
                    .after = strcmp(from, before) > 0 ? from : before,
                    .end = path_end(arena, str_of(ranges->paths[i])),
                    .parent = request->parent,
                    .kind = request->kind,
                    .q = request->q,
                    .valid_at = request->valid_only ? rpc_now(call) : 0,
                };
                r = organization_list(rpc_db(call), arena, &filter, limit - (int64_t)list->n, list);
        }
        return r;
}

int handle_list_organizations(struct rpc_call *call, const ListOrganizationsRequest *request,
                              ListOrganizationsResponse *response)
{
        struct arena *arena = rpc_arena(call);
        struct organization_list list = {0};
        struct ranges ranges;
        struct str key, what = str_of(arena_printf(arena, "%s\n%s\n%d\n%d\n%s", request->parent,
                                                   request->ancestor, (int)request->kind,
                                                   request->valid_only, request->q));
        int64_t size = rpc_page_size(request->page_size);
        int r = rpc_page_start(call, request->page_token, what, &key);
        if (r == 0)
                r = find_ranges(call, request, &ranges);
        if (r == 0)
                r = read_ranges(call, request, &ranges, key, size + 1, &list);
        if (r != 0)
                return r;
        if ((int64_t)list.n > size) {
                list.n = (size_t)size;
                response->next_page_token = rpc_page_token(call, what, str_of(list.items[list.n - 1].path));
        }
        response->n_organizations = list.n;
        response->organizations = ARENA_ARRAY(arena, Organization *, list.n);
        for (size_t i = 0; i < list.n; i++) {
                response->organizations[i] = message_new(arena, &membership_v1_organization_msg);
                fill_organization(call, &list.items[i], response->organizations[i]);
        }
        return 0;
}

/* --- changes -------------------------------------------------------------------------------------------- */

static int check_validity(struct rpc_call *call, const struct organization *o)
{
        if (o->valid_from && o->valid_to && o->valid_to <= o->valid_from)
                return rpc_invalid(call, "/validTo", "after", "must be after validFrom",
                                   "须晚于 validFrom。");
        return 0;
}

/* The path below the parent; the parent's kind must be above. */
static int place_below(struct rpc_call *call, const char *parent, struct organization *o)
{
        struct organization above = {.path = arena_strdup(rpc_arena(call), "/")};
        int r = parent[0] ? find_valid_organization(call, parent, &above) : 0;
        if (r != 0)
                return r;
        if (!organization_kind_fits(above.kind, o->kind))
                return rpc_refuse(call, PROBLEM(ORGANIZATION_LEVEL));
        o->parent = arena_strdup(rpc_arena(call), parent);
        o->path = arena_printf(rpc_arena(call), "%s%s/", above.path, o->code);
        return 0;
}

int handle_create_organization(struct rpc_call *call, const CreateOrganizationRequest *request,
                               Organization *response)
{
        const Organization *asked = request->organization;
        struct str name;
        if (name_parse(str_of(asked->name), &name) != 0)
                return rpc_invalid(call, "/name", "name", "has characters that no name has",
                                   "名称含有无效字符。");
        struct organization o = {
                .code = asked->code,
                .name = arena_strndup(rpc_arena(call), name.p, name.n),
                .kind = asked->kind,
                .valid_from = rpc_timestamp_us(asked->valid_from),
                .valid_to = rpc_timestamp_us(asked->valid_to),
                .version = 1,
        };
        int r = check_validity(call, &o);
        if (r == 0)
                r = place_below(call, asked->parent, &o);
        if (r == 0)
                r = organization_insert(rpc_db(call), &o);
        if (r == STORE_E_CONSTRAINT)
                return rpc_refuse(call, PROBLEM(ORGANIZATION_EXISTS), o.code);
        if (r == 0)
                r = emit_organization(call, &o);
        if (r == 0)
                fill_organization(call, &o, response);
        rpc_audit_subject(call, o.code, o.code);
        return r;
}

static int save_organization(struct rpc_call *call, struct organization *o)
{
        int r = organization_update(rpc_db(call), o);
        o->version++;
        rpc_audit_subject(call, o->code, o->code);
        return r == 0 ? emit_organization(call, o) : r;
}

int handle_update_organization(struct rpc_call *call, const UpdateOrganizationRequest *request,
                               Organization *response)
{
        const OrganizationChanges *asked = request->changes;
        struct organization o;
        struct str name;
        int r = find_organization(call, request->organization, &o);
        if (r == 0)
                r = etag_check(call, request->etag, o.version);
        if (r != 0)
                return r;
        if (mask_has(request->update_mask, "name", asked->name[0])) {
                if (name_parse(str_of(asked->name), &name) != 0)
                        return rpc_invalid(call, "/name", "name", "has characters that no name has",
                                           "名称含有无效字符。");
                o.name = arena_strndup(rpc_arena(call), name.p, name.n);
        }
        if (mask_has(request->update_mask, "valid_from", asked->valid_from))
                o.valid_from = rpc_timestamp_us(asked->valid_from);
        if (mask_has(request->update_mask, "valid_to", asked->valid_to))
                o.valid_to = rpc_timestamp_us(asked->valid_to);
        r = check_validity(call, &o);
        if (r == 0)
                r = save_organization(call, &o);
        if (r == 0)
                fill_organization(call, &o, response);
        return r;
}

/* All below it come along: what stood before the moved one's path is replaced. */
static int move_subtree(struct rpc_call *call, const char *from, const struct organization *moved)
{
        struct organization_list list = {0};
        size_t head = strlen(from);
        int r = organization_subtree(rpc_db(call), rpc_arena(call), from, &list);
        for (size_t i = 0; i < list.n && r == 0; i++) {
                struct organization *o = &list.items[i];
                o->path = arena_printf(rpc_arena(call), "%s%s", moved->path, o->path + head);
                if (strcmp(o->code, moved->code) == 0)
                        o->parent = moved->parent;
                r = save_organization(call, o);
        }
        return r;
}

int handle_move_organization(struct rpc_call *call, const MoveOrganizationRequest *request,
                             Organization *response)
{
        struct organization o, to;
        int r = find_organization(call, request->organization, &o);
        if (r == 0)
                r = find_organization(call, request->parent, &to);
        if (r == 0)
                r = rpc_require(call, str_of(to.path));
        if (r == 0)
                r = etag_check(call, request->etag, o.version);
        if (r != 0)
                return r;
        if (path_is_within(str_of(to.path), str_of(o.path)))
                return rpc_refuse(call, PROBLEM(ORGANIZATION_CYCLE), to.code, o.code);
        const char *from = o.path;
        r = place_below(call, to.code, &o);
        if (r == 0 && strcmp(from, o.path) != 0) {
                r = move_subtree(call, from, &o);
                o.version++;
        }
        rpc_audit_subject(call, o.code, o.code);
        if (r == 0)
                fill_organization(call, &o, response);
        return r;
}

/* --- counts --------------------------------------------------------------------------------------------- */

int handle_get_organization_counts(struct rpc_call *call, const GetOrganizationCountsRequest *request,
                                   OrganizationCounts *response)
{
        struct count counts[COUNT_MAX];
        size_t n = 0;
        int r = count_subtree_list(rpc_db(call), request->organization, counts, &n);
        if (r != 0)
                return r;
        int32_t *const members[] = {NULL,
                                    &response->members_applied,
                                    &response->members_active,
                                    &response->members_suspended,
                                    &response->members_ended,
                                    &response->members_deceased};
        int32_t *const kinds[] = {NULL,
                                  &response->provinces,
                                  &response->cities,
                                  &response->counties,
                                  &response->townships,
                                  &response->villages};
        response->organization = request->organization;
        for (size_t i = 0; i < n; i++) {
                size_t what = (size_t)counts[i].what, kind = what - COUNT_KIND_BASE;
                if (what >= 1 && what < ARRAY_LEN(members))
                        *members[what] = (int32_t)counts[i].n;
                else if (kind >= 1 && kind < ARRAY_LEN(kinds))
                        *kinds[kind] = (int32_t)counts[i].n;
        }
        return 0;
}
