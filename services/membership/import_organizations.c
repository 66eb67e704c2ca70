/* SPDX-License-Identifier: Apache-2.0
 *
 * The import of organisations: the whole file is read, put into a tree together with what is there already,
 * and taken all or not at all, in the transaction of its last chunk.
 */
#include "services/membership/import.h"

#define STATE(name) NUANXIN__MEMBERSHIP__V1__OPERATION__STATE__##name
#define ROW_LEAST_BYTES 10
#define MAX_KIND    NUANXIN__MEMBERSHIP__V1__ORGANIZATION__KIND__VILLAGE
#define KIND        (&membership_imports.kinds[IMPORT_ORGANIZATIONS])

/* One organisation of the file or of the store. */
struct node {
        struct organization o;
        int64_t row; /* of the file; 0: only the store has it */
        bool is_new, renamed;
};

struct tree {
        struct rpc_call *call;
        struct arena *arena;
        struct import *import;
        struct import_header header;
        bool has_header, readable; /* readable: the header has all it needs */
        struct node **slots;       /* by code */
        size_t mask;
        struct node **rows; /* of the file, in its order */
        size_t n_rows, room;
};

/* --- by code -------------------------------------------------------------------------------------------- */

static struct node **slot_of(const struct tree *t, struct str code)
{
        size_t i = str_hash(code) & t->mask;
        while (t->slots[i] && !str_is(code, t->slots[i]->o.code))
                i = (i + 1) & t->mask;
        return &t->slots[i];
}

static struct node *find(const struct tree *t, const char *code)
{
        return *slot_of(t, str_of(code));
}

static int tree_load(struct tree *t)
{
        struct organization_list list = {0};
        int r = organization_subtree(rpc_db(t->call), t->arena, "/", &list);
        size_t slots = 1024;
        /* No more than there are lines, nor than bytes allow: a good row has its commas, its end, a code, a level, a name. */
        size_t lines = (size_t)t->import->total + 1, rows = (size_t)t->import->size / ROW_LEAST_BYTES + 1;
        while (slots < 2 * (list.n + (lines < rows ? lines : rows)))
                slots *= 2;
        t->mask = slots - 1;
        t->slots = ARENA_ARRAY(t->arena, struct node *, slots);
        struct node *nodes = ARENA_ARRAY(t->arena, struct node, list.n);
        for (size_t i = 0; i < list.n; i++) {
                nodes[i] = (struct node){.o = list.items[i]};
                *slot_of(t, str_of(list.items[i].code)) = &nodes[i];
        }
        return r;
}

/* --- reading -------------------------------------------------------------------------------------------- */

static int refuse(struct tree *t, int64_t row, int fault, size_t column)
{
        return import_refuse(t->call, t->import, KIND, row, fault, column);
}

static void tree_append(struct tree *t, struct node *node)
{
        if (t->n_rows == t->room) {
                size_t room = t->room ? t->room * 2 : 1024;
                struct node **rows = ARENA_ARRAY(t->arena, struct node *, room);
                if (t->n_rows)
                        memcpy(rows, t->rows, t->n_rows * sizeof(*rows));
                t->rows = rows;
                t->room = room;
        }
        t->rows[t->n_rows++] = node;
}

/* The row beside what the store, or an earlier row, says of the same code. */
static int merge(struct tree *t, struct node *there, const struct node *row)
{
        bool same_place = strcmp(there->o.parent, row->o.parent) == 0 && there->o.kind == row->o.kind;
        bool same_name = strcmp(there->o.name, row->o.name) == 0;
        if (there->row)
                return same_place && same_name ? (t->import->unchanged++, 0)
                                               : refuse(t, row->row, ROW_DUPLICATE, ORGANIZATION_CODE);
        if (!same_place)
                return refuse(t, row->row, ROW_DIFFERS, ORGANIZATION_PARENT);
        there->row = row->row;
        there->renamed = !same_name;
        there->o.name = row->o.name;
        tree_append(t, there);
        return 0;
}

static int on_row(void *arg, const struct csv_row *row)
{
        struct tree *t = arg;
        size_t missing = ORGANIZATION_N_COLUMNS;
        if (row->fault)
                return refuse(t, row->number, import_fault_of(row->fault), ORGANIZATION_N_COLUMNS);
        if (!t->has_header) {
                int fault = (int)import_header_parse(KIND, row, &t->header, &missing);
                t->has_header = true;
                t->readable = fault == IMPORT_ROW_OK;
                return fault ? refuse(t, row->number, fault, missing) : 0;
        }
        if (!t->readable)
                return 0;
        struct str code = import_field(row, &t->header, ORGANIZATION_CODE), name;
        struct str parent = import_field(row, &t->header, ORGANIZATION_PARENT);
        Organization__Kind kind = organization_kind_parse(import_field(row, &t->header, ORGANIZATION_KIND));
        if (!organization_code_valid(code))
                return refuse(t, row->number, ROW_CODE, ORGANIZATION_CODE);
        if (parent.n && !organization_code_valid(parent))
                return refuse(t, row->number, ROW_CODE, ORGANIZATION_PARENT);
        if (kind == 0)
                return refuse(t, row->number, ROW_KIND, ORGANIZATION_KIND);
        if (name_parse(import_field(row, &t->header, ORGANIZATION_NAME), &name) != 0)
                return refuse(t, row->number, IMPORT_NAME, ORGANIZATION_NAME);
        struct node node = {
                .o = {.code = arena_strndup(t->arena, code.p, code.n),
                  .name = arena_strndup(t->arena, name.p, name.n),
                  .parent = arena_strndup(t->arena, parent.p, parent.n),
                  .kind = kind,
                  .version = 1},
                .row = row->number,
                .is_new = true,
        };
        struct node **slot = slot_of(t, code);
        if (*slot)
                return merge(t, *slot, &node);
        *slot = ARENA_NEW(t->arena, struct node);
        **slot = node;
        tree_append(t, *slot);
        return 0;
}

/* --- placing and writing -------------------------------------------------------------------------------- */

/* Parents have a higher level, so level by level each finds its parent placed. */
static int place(struct tree *t, struct node *node)
{
        struct node *parent = node->o.parent[0] ? find(t, node->o.parent) : NULL;
        if (node->o.parent[0] && !parent)
                return ROW_PARENT_UNKNOWN;
        if (!organization_kind_fits(parent ? parent->o.kind : 0, node->o.kind))
                return ROW_LEVEL;
        if (parent && !parent->o.path)
                return ROW_PARENT_UNKNOWN; /* refused itself */
        if (parent && !is_valid_at(parent->o.valid_from, parent->o.valid_to, rpc_now(t->call)))
                return IMPORT_ORGANIZATION_NOT_VALID;
        const char *above = parent ? parent->o.path : "/";
        /* Who may write somewhere may write below it: only where the file joins the store it is asked. */
        if ((!parent || !parent->is_new) && !rpc_allows(t->call, "organization.write", str_of(above)))
                return IMPORT_OUT_OF_SCOPE;
        node->o.path = arena_printf(t->arena, "%s%s/", above, node->o.code);
        return IMPORT_ROW_OK;
}

static int check(struct tree *t, struct node *node)
{
        if (node->is_new)
                return place(t, node);
        if (node->renamed && !rpc_allows(t->call, "organization.write", str_of(node->o.path)))
                return IMPORT_OUT_OF_SCOPE;
        return IMPORT_ROW_OK;
}

static int check_all(struct tree *t)
{
        int r = 0;
        for (int kind = 1; kind <= MAX_KIND; kind++)
                for (size_t i = 0; i < t->n_rows && r == 0; i++) {
                        struct node *node = t->rows[i];
                        if ((int)node->o.kind != kind)
                                continue;
                        int fault = check(t, node);
                        if (fault)
                                r = refuse(t, node->row, fault,
                                           fault == IMPORT_OUT_OF_SCOPE ? ORGANIZATION_CODE : ORGANIZATION_PARENT);
                        else if (node->is_new || node->renamed)
                                t->import->accepted++;
                        else
                                t->import->unchanged++;
                }
        return r;
}

static int write_node(struct tree *t, struct node *node)
{
        if (!node->is_new && !node->renamed)
                return 0;
        int r = node->is_new ? organization_insert(rpc_db(t->call), &node->o)
                             : organization_update(rpc_db(t->call), &node->o);
        return r == 0 ? emit_organization(t->call, &node->o) : r;
}

static int write_all(struct tree *t)
{
        int r = 0;
        for (int kind = 1; kind <= MAX_KIND; kind++)
                for (size_t i = 0; i < t->n_rows && r == 0; i++)
                        if ((int)t->rows[i]->o.kind == kind)
                                r = write_node(t, t->rows[i]);
        return r;
}

static int run(struct rpc_call *call, struct import *import)
{
        struct tree tree = {.call = call, .arena = rpc_arena(call), .import = import};
        int r = tree_load(&tree);
        if (r == 0)
                r = import_read(call, import, on_row, &tree);
        if (r == 0 && !tree.has_header)
                r = refuse(&tree, 1, IMPORT_EMPTY_FILE, ORGANIZATION_N_COLUMNS);
        if (r == 0 && tree.has_header && tree.readable)
                r = check_all(&tree);
        if (r != 0)
                return r;
        if (!import->refused && !import->validate_only)
                r = write_all(&tree);
        return r == 0 ? import_finish(call, import, import->refused ? STATE(FAILED) : STATE(SUCCEEDED)) : r;
}

int handle_import_organizations(struct rpc_call *call, const ImportOrganizationsRequest *request,
                                Operation *response)
{
        struct import import;
        bool complete;
        const struct import_chunk chunk = {
                .kind = KIND,
                .upload = request->upload,
                .organization = "",
                .offset = request->offset,
                .data = str_bytes(request->data.data, request->data.len),
                .last = request->last,
                .validate_only = request->validate_only,
        };
        rpc_audit_subject(call, request->upload, "");
        int r = rpc_require_somewhere(call); /* and row by row */
        if (r == 0)
                r = import_receive(call, &chunk, &import, &complete);
        if (r == 0 && complete)
                r = run(call, &import);
        return r == 0 ? import_fill(call, &membership_imports, &import, response) : r;
}
