/* SPDX-License-Identifier: Apache-2.0
 *
 * contract.c: the constant tables that common/contract/contract.h declares.
 */
#include "emit.h"

#include "name.h"
#include "shape.h"
#include "source.h"

#include <ctype.h>
#include <stdlib.h>

void emit_c_string(struct buf *out, const char *text)
{
        if (!text) {
                buf_add_z(out, "NULL");
                return;
        }
        buf_add_char(out, '"');
        for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
                if (*p == '"' || *p == '\\')
                        buf_printf(out, "\\%c", *p);
                else if (*p < 0x20 || *p == 0x7f)
                        buf_printf(out, "\\%03o", *p);
                else
                        buf_add_char(out, (char)*p);
        }
        buf_add_char(out, '"');
}

void emit_bytes(struct buf *out, const char *name, struct str bytes)
{
        buf_printf(out,
                   "/* SPDX-License-Identifier: Apache-2.0\n *\n * Made by the contract compiler: do not edit.\n */\n"
                   "#include \"common/contract/contract.h\"\n\nconst char %s[] =\n        \"",
                   name);
        for (size_t i = 0; i < bytes.n; i++) {
                unsigned char c = (unsigned char)bytes.p[i];
                if (c == '\n')
                        buf_add_z(out, "\\n\"\n        \"");
                else if (c == '"' || c == '\\')
                        buf_printf(out, "\\%c", c);
                else if (c < 0x20 || c == 0x7f)
                        buf_printf(out, "\\%03o", c);
                else
                        buf_add_char(out, (char)c);
        }
        buf_printf(out, "\";\nconst size_t %s_size = sizeof(%s) - 1;\n", name, name);
}

const char *problem_type(struct arena *arena, const char *value_name)
{
        const char *rest = str_starts(str_of(value_name), STR("PROBLEM_")) ? value_name + 8 : value_name;
        char *out = arena_printf(arena, "urn:nuanxin:problem:%s", rest);
        for (char *p = out; *p; p++)
                *p = *p == '_' ? '-' : (char)tolower((unsigned char)*p);
        return out;
}

/* --- messages --------------------------------------------------------------------------------------------- */

static const char *constant_of(const struct model *m, const struct message *x)
{
        return name_message_constant(m->arena, x->place.file->package, x->name);
}

static void emit_in_lists(struct buf *out, const struct model *m, const struct message *x)
{
        for (size_t i = 0; i < x->n_fields; i++) {
                const struct field *f = &x->fields[i];
                if (f->rule->n_in == 0)
                        continue;
                buf_printf(out, "static const char *const %s_%s_in[] = {", constant_of(m, x), f->name);
                for (size_t v = 0; v < f->rule->n_in; v++) {
                        emit_c_string(out, f->rule->in[v]);
                        buf_add_z(out, ", ");
                }
                buf_add_z(out, "NULL};\n");
        }
}

static void emit_flag(struct buf *out, const char *name, bool set)
{
        if (set)
                buf_printf(out, ", .%s = true", name);
}

static void emit_number(struct buf *out, const char *name, uint32_t value)
{
        if (value)
                buf_printf(out, ", .%s = %u", name, value);
}

static void emit_field(struct buf *out, const struct model *m, const struct message *x, const struct field *f,
                       unsigned *pattern)
{
        const Nuanxin__FieldRule *r = f->rule;
        buf_printf(out, "        {.name = \"%s\", .json_name = \"%s\", .json_key = {\"\\\"%s\\\":\", %zu}", f->name, f->json,
                   f->json, strlen(f->json) + 3);
        if (f->message)
                buf_printf(out, ", .message = &%s", constant_of(m, f->message));
        if (r->privacy)
                buf_printf(out, ", .privacy = %d", (int)r->privacy);
        emit_flag(out, "required", r->required);
        emit_flag(out, "uuid", r->uuid);
        emit_flag(out, "unique", r->unique);
        emit_flag(out, "output_only", r->output_only);
        emit_flag(out, "internal", r->internal);
        emit_flag(out, "is_map", f->map);
        emit_flag(out, "raw_json", r->raw_json);
        emit_number(out, "min_length", r->min_length);
        emit_number(out, "max_length", r->max_length);
        emit_number(out, "max_items", r->max_items);
        if (r->range)
                buf_printf(out, ", .has_range = true, .range_min = %lldll, .range_max = %lldll",
                           (long long)r->range->min, (long long)r->range->max);
        if (r->pattern[0]) {
                buf_add_z(out, ", .pattern = ");
                emit_c_string(out, arena_printf(m->arena, "^(%s)$", r->pattern));
                buf_printf(out, ", .pattern_id = %u", (*pattern)++);
        }
        if (r->n_in)
                buf_printf(out, ", .in = %s_%s_in", constant_of(m, x), f->name);
        buf_add_z(out, "},\n");
}

static const char *wkt_of(const struct message *x)
{
        static const struct {
                const char *name, *constant;
        } known[] = {{"google.protobuf.Timestamp", "CONTRACT_WKT_TIMESTAMP"},
                     {"google.protobuf.Duration", "CONTRACT_WKT_DURATION"},
                     {"google.protobuf.FieldMask", "CONTRACT_WKT_FIELD_MASK"},
                     {"google.protobuf.Empty", "CONTRACT_WKT_EMPTY"}};
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
                if (strcmp(x->name, known[i].name) == 0)
                        return known[i].constant;
        return "CONTRACT_WKT_NONE";
}

static void emit_text(struct buf *out, const char *name, const char *text)
{
        buf_printf(out, "        .%s = ", name);
        emit_c_string(out, text);
        buf_add_z(out, ",\n");
}

static void emit_message(struct buf *out, const struct model *m, struct message *x, unsigned *pattern)
{
        const char *constant = constant_of(m, x);
        emit_in_lists(out, m, x);
        if (x->n_fields) {
                buf_printf(out, "static const struct contract_field %s_fields[] = {\n", constant);
                for (size_t i = 0; i < x->n_fields; i++)
                        emit_field(out, m, x, &x->fields[i], pattern);
                buf_add_z(out, "};\n");
        }
        buf_printf(out, "const struct contract_message %s = {\n        .name = \"%s\",\n        .pb = &%s__descriptor,\n",
                   constant, x->name, name_c_lower(m->arena, x->name));
        if (x->n_fields)
                buf_printf(out, "        .fields = %s_fields,\n        .n_fields = %zu,\n", constant, x->n_fields);
        buf_printf(out, "        .wkt = %s,\n        .hash = 0x%016llxull,\n", wkt_of(x),
                   (unsigned long long)shape_hash(m->arena, x));
        if (x->event) {
                buf_add_z(out, "        .topic = ");
                emit_c_string(out, x->event->topic);
                buf_add_z(out, ",\n        .subject = ");
                emit_c_string(out, x->event->subject);
                buf_add_z(out, ",\n");
                emit_text(out, "person", x->event->person[0] ? x->event->person : NULL);
                emit_text(out, "part", x->event->part[0] ? x->event->part : NULL);
                buf_printf(out, "        .event_internal = %d,\n        .notice = %d,\n", x->event->internal, x->event->notice);
        }
        buf_add_z(out, "};\n\n");
}

static void emit_messages(struct buf *out, const struct model *m)
{
        unsigned n = 0, patterns = 0;
        for (size_t i = 0; i < m->n_messages; i++)
                if (m->messages[i]->emitted)
                        buf_printf(out, "extern const struct contract_message %s;\n", constant_of(m, m->messages[i]));
        buf_add_char(out, '\n');
        for (size_t i = 0; i < m->n_messages; i++)
                if (m->messages[i]->emitted)
                        emit_message(out, m, m->messages[i], &patterns);
        buf_add_z(out, "const struct contract_message *const contract_messages[] = {\n");
        for (size_t i = 0; i < m->n_messages; i++)
                if (m->messages[i]->emitted) {
                        buf_printf(out, "        &%s,\n", constant_of(m, m->messages[i]));
                        n++;
                }
        buf_printf(out, "        NULL,\n};\nconst unsigned contract_n_messages = %u;\nconst unsigned contract_n_patterns = %u;\n\n",
                   n, patterns);
}

/* --- methods ---------------------------------------------------------------------------------------------- */

static int permission_index(const struct model *m, const char *name)
{
        for (size_t i = 0; i < m->n_permissions; i++)
                if (strcmp(m->permissions[i], name) == 0)
                        return (int)i;
        return -1;
}

static const char *method_constant(const struct model *m, const struct method *x)
{
        return arena_printf(m->arena, "%s_%s", name_package(m->arena, x->package), name_snake(m->arena, x->rpc));
}

static void emit_method(struct buf *out, const struct model *m, const struct method *x)
{
        const Nuanxin__MethodRule *r = x->rule;
        const char *constant = method_constant(m, x);
        if (r->n_problems) {
                buf_printf(out, "static const Nuanxin__Problem %s_problems[] = {", constant);
                for (size_t i = 0; i < r->n_problems; i++)
                        buf_printf(out, "%s%d", i ? ", " : "", (int)r->problems[i]);
                buf_add_z(out, "};\n");
        }
        buf_printf(out, "const struct contract_method %s = {\n", constant);
        buf_printf(out, "        .id = 0x%016llxull,\n", (unsigned long long)str_hash(str_of(x->name)));
        buf_printf(out, "        .input_hash = 0x%016llxull,\n", (unsigned long long)shape_hash(m->arena, x->input));
        buf_printf(out, "        .output_hash = 0x%016llxull,\n", (unsigned long long)shape_hash(m->arena, x->output));
        emit_text(out, "name", x->name);
        emit_text(out, "service", x->service);
        buf_printf(out, "        .input = &%s,\n        .output = &%s,\n", constant_of(m, x->input),
                   constant_of(m, x->output));
        emit_text(out, "permission", r->permission);
        buf_printf(out, "        .permission_id = %d,\n", permission_index(m, r->permission));
        emit_text(out, "at", r->at[0] ? r->at : NULL);
        buf_printf(out, "        .rate = %d,\n        .lane = %d,\n        .session = %d,\n", (int)r->rate, (int)r->lane,
                   (int)r->session);
        buf_printf(out, "        .secret_answer = %d,\n        .upload = %d,\n        .export = %d,\n        .event_stream = %d,\n",
                   r->secret_answer, r->upload, r->export, r->event_stream);
        if (r->n_problems)
                buf_printf(out, "        .problems = %s_problems,\n        .n_problems = %zu,\n", constant, r->n_problems);
        if (x->http) {
                buf_printf(out, "        .http = CONTRACT_%s,\n", x->http);
                emit_text(out, "path", x->path);
                emit_text(out, "body", x->body);
        }
        emit_text(out, "summary", source_comment(m->arena, x->place));
        buf_add_z(out, "};\n\n");
}

static int by_id(const void *a, const void *b)
{
        uint64_t x = str_hash(str_of((*(const struct method *const *)a)->name));
        uint64_t y = str_hash(str_of((*(const struct method *const *)b)->name));
        return (x > y) - (x < y);
}

static void emit_methods(struct buf *out, const struct model *m)
{
        const struct method **sorted = ARENA_ARRAY(m->arena, const struct method *, m->n_methods + 1);
        for (size_t i = 0; i < m->n_methods; i++) {
                emit_method(out, m, &m->methods[i]);
                sorted[i] = &m->methods[i];
        }
        if (m->n_methods)
                qsort(sorted, m->n_methods, sizeof(*sorted), by_id);
        buf_add_z(out, "const struct contract_method *const contract_methods[] = {\n");
        for (size_t i = 0; i < m->n_methods; i++)
                buf_printf(out, "        &%s,\n", method_constant(m, sorted[i]));
        buf_printf(out, "        NULL,\n};\nconst unsigned contract_n_methods = %zu;\n\n", m->n_methods);
}

/* --- the rest ---------------------------------------------------------------------------------------------- */

static bool grants(const char *pattern, const char *permission)
{
        size_t n = strlen(pattern);
        if (n > 0 && pattern[n - 1] == '*')
                return strncmp(pattern, permission, n - 1) == 0;
        return strcmp(pattern, permission) == 0;
}

static void emit_roles(struct buf *out, const struct model *m)
{
        unsigned n = 0;
        buf_add_z(out, "const char *const contract_permissions[] = {\n");
        for (size_t i = 0; i < m->n_permissions; i++)
                buf_printf(out, "        \"%s\",\n", m->permissions[i]);
        buf_printf(out, "        NULL,\n};\nconst unsigned contract_n_permissions = %zu;\n\n", m->n_permissions);
        buf_add_z(out, "const struct contract_role contract_roles[] = {\n");
        for (size_t i = 0; i < m->n_enums; i++)
                for (size_t v = 0; v < m->enums[i]->n_values; v++) {
                        const struct enum_value *value = &m->enums[i]->values[v];
                        uint64_t mask[2] = {0};
                        if (!value->role)
                                continue;
                        for (size_t p = 0; p < m->n_permissions && p < 128; p++)
                                for (size_t g = 0; g < value->role->n_permissions; g++)
                                        if (grants(value->role->permissions[g], m->permissions[p]))
                                                mask[p / 64] |= 1ull << (p % 64);
                        buf_printf(out, "        {\"%s\", %d, {0x%llxull, 0x%llxull}},\n", value->name,
                                   (int)value->number, (unsigned long long)mask[0], (unsigned long long)mask[1]);
                        n++;
                }
        buf_printf(out, "        {0},\n};\nconst unsigned contract_n_roles = %u;\n\n", n);
}

static int by_value(const void *a, const void *b)
{
        const struct enum_value *x = a, *y = b;
        return (x->number > y->number) - (x->number < y->number);
}

static void emit_problems(struct buf *out, const struct model *m)
{
        const struct enumeration *e = model_enum(m, "nuanxin.Problem");
        unsigned n = 0;
        struct enum_value *sorted = ARENA_ARRAY(m->arena, struct enum_value, e->n_values + 1);
        memcpy(sorted, e->values, e->n_values * sizeof(*sorted));
        qsort(sorted, e->n_values, sizeof(*sorted), by_value);
        buf_add_z(out, "const struct contract_problem contract_problems[] = {\n");
        for (size_t i = 0; i < e->n_values; i++) {
                const Nuanxin__ProblemRule *r = sorted[i].problem;
                if (!r)
                        continue;
                buf_printf(out, "        {.value = %d, .status = %u, .type = \"%s\",\n         .title = ",
                           (int)sorted[i].number, r->status, problem_type(m->arena, sorted[i].name));
                emit_c_string(out, r->title);
                buf_add_z(out, ", .title_zh = ");
                emit_c_string(out, r->title_zh);
                buf_add_z(out, ",\n         .detail = ");
                emit_c_string(out, r->detail);
                buf_add_z(out, ", .detail_zh = ");
                emit_c_string(out, r->detail_zh);
                buf_add_z(out, "},\n");
                n++;
        }
        buf_printf(out, "        {0},\n};\nconst unsigned contract_n_problems = %u;\n\n", n);
}

static void emit_pasts(struct buf *out, const char *name, const struct pasts *pasts)
{
        buf_printf(out, "const struct contract_past contract_past_%s[] = {\n", name);
        for (size_t i = 0; i < pasts->n; i++)
                buf_printf(out, "        {0x%016llxull, 0x%016llxull},\n", (unsigned long long)pasts->items[i].method,
                           (unsigned long long)pasts->items[i].hash);
        buf_printf(out, "        {0, 0},\n};\nconst unsigned contract_n_past_%s = %zu;\n\n", name, pasts->n);
}

void emit_tables(struct buf *out, const struct model *m, const struct pasts *inputs, const struct pasts *outputs,
                 const char *version, const char *hash)
{
        buf_add_z(out, "/* SPDX-License-Identifier: Apache-2.0\n *\n"
                       " * The tables of the contract (common/contract/contract.h). Made by the contract compiler from\n"
                       " * proto/: do not edit.\n */\n#include \"common/contract/contract.h\"\n\n");
        for (size_t f = 0; f < m->set->n_file; f++) {
                const char *name = m->set->file[f]->name;
                buf_printf(out, "#include \"%.*s.pb-c.h\"\n", (int)(strlen(name) - strlen(".proto")), name);
        }
        buf_add_char(out, '\n');
        emit_messages(out, m);
        emit_methods(out, m);
        emit_roles(out, m);
        emit_problems(out, m);
        emit_pasts(out, "inputs", inputs);
        emit_pasts(out, "outputs", outputs);
        buf_printf(out, "const char contract_hash[65] = \"%s\";\n", hash);
        buf_printf(out, "const char contract_build[] = \"%s+%.8s\";\n", version, hash);
}
