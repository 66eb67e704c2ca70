/* SPDX-License-Identifier: Apache-2.0
 *
 * From a FileDescriptorSet to the model. Two passes: name everything, then resolve what refers to names.
 */
#include "model.h"

#include "name.h"

#include <stdlib.h>

/* Numbers of fields inside descriptor.proto, as they appear in source paths. */
enum { FILE_MESSAGE = 4, FILE_ENUM = 5, FILE_SERVICE = 6, MESSAGE_FIELD = 2, MESSAGE_NESTED = 3, MESSAGE_ENUM = 4,
       ENUM_VALUE = 2, SERVICE_METHOD = 2 };

/* Our options and google.api.http. */
enum { OPTION_METHOD = 52901, OPTION_RULE, OPTION_EVENT, OPTION_ROLE, OPTION_PROBLEM, OPTION_HTTP = 72295728 };

struct place place_in(struct place p, int32_t field_number, int32_t index)
{
        if (p.n + 2 > PLACE_MAX)
                return p; /* nested deeper than anybody writes: name the parent */
        p.path[p.n++] = field_number;
        p.path[p.n++] = index;
        return p;
}

static void *from_arena(void *arena, size_t size)
{
        return arena_alloc(arena, size);
}

static void no_free(void *arena, void *p)
{
        (void)arena;
        (void)p;
}

static ProtobufCAllocator arena_allocator(struct arena *arena)
{
        return (ProtobufCAllocator){.alloc = from_arena, .free = no_free, .allocator_data = arena};
}

/* A custom option arrives as unknown fields whose data has its length varint in front; several of one number
 * are merged by joining them. NULL if the option is absent or unreadable. */
static void *option_of(struct arena *arena, const ProtobufCMessage *options, uint32_t number,
                       const ProtobufCMessageDescriptor *type)
{
        if (!options)
                return NULL;
        struct buf joined = {0};
        bool found = false;
        for (unsigned i = 0; i < options->n_unknown_fields; i++) {
                const ProtobufCMessageUnknownField *u = &options->unknown_fields[i];
                if (u->tag != number || u->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
                        continue;
                size_t skip = 0;
                while (skip < u->len && (u->data[skip] & 0x80))
                        skip++;
                skip++;
                found = true;
                if (skip < u->len)
                        buf_add(&joined, u->data + skip, u->len - skip);
        }
        ProtobufCAllocator allocator = arena_allocator(arena);
        const uint8_t *bytes = joined.n ? (const uint8_t *)joined.p : (const uint8_t *)"";
        void *message = found ? protobuf_c_message_unpack(type, &allocator, joined.n, bytes) : NULL;
        buf_done(&joined);
        return message;
}

static void *message_zero(struct arena *arena, const ProtobufCMessageDescriptor *type)
{
        ProtobufCMessage *m = arena_zalloc(arena, type->sizeof_message);
        protobuf_c_message_init(type, m);
        return m;
}

bool package_is_ours(const char *package)
{
        return str_starts(str_of(package), STR("nuanxin."));
}

bool message_is_wkt(const struct message *message)
{
        return str_starts(str_of(message->name), STR("google.protobuf."));
}

/* --- counting and naming --------------------------------------------------------------------------------- */

static void count_nested(const MessageProto *pb, size_t *messages, size_t *enums)
{
        *messages += 1;
        *enums += pb->n_enum_type;
        for (size_t i = 0; i < pb->n_nested_type; i++)
                count_nested(pb->nested_type[i], messages, enums);
}

static void add_enum(struct model *m, const EnumProto *pb, const char *scope, struct place place)
{
        struct enumeration *e = ARENA_NEW(m->arena, struct enumeration);
        e->name = arena_printf(m->arena, "%s.%s", scope, pb->name);
        e->pb = pb;
        e->place = place;
        e->n_values = pb->n_value;
        e->values = ARENA_ARRAY(m->arena, struct enum_value, pb->n_value);
        for (size_t i = 0; i < pb->n_value; i++) {
                const ProtobufCMessage *options = (const ProtobufCMessage *)pb->value[i]->options;
                e->values[i] = (struct enum_value){
                        .name = pb->value[i]->name,
                        .number = pb->value[i]->number,
                        .place = place_in(place, ENUM_VALUE, (int32_t)i),
                        .role = option_of(m->arena, options, OPTION_ROLE, &nuanxin__role_rule__descriptor),
                        .problem = option_of(m->arena, options, OPTION_PROBLEM, &nuanxin__problem_rule__descriptor),
                };
        }
        m->enums[m->n_enums++] = e;
}

static void add_message(struct model *m, const MessageProto *pb, const char *scope, struct place place)
{
        struct message *x = ARENA_NEW(m->arena, struct message);
        x->name = arena_printf(m->arena, "%s.%s", scope, pb->name);
        x->pb = pb;
        x->place = place;
        x->map_entry = pb->options && pb->options->map_entry;
        x->event = option_of(m->arena, (const ProtobufCMessage *)pb->options, OPTION_EVENT,
                             &nuanxin__event_rule__descriptor);
        m->messages[m->n_messages++] = x;
        for (size_t i = 0; i < pb->n_enum_type; i++)
                add_enum(m, pb->enum_type[i], x->name, place_in(place, MESSAGE_ENUM, (int32_t)i));
        for (size_t i = 0; i < pb->n_nested_type; i++)
                add_message(m, pb->nested_type[i], x->name, place_in(place, MESSAGE_NESTED, (int32_t)i));
}

static int by_name(const void *a, const void *b) /* of pointers to what begins with its name */
{
        return strcmp(**(const char *const *const *)a, **(const char *const *const *)b);
}

static void name_all(struct model *m)
{
        size_t messages = 0, enums = 0;
        for (size_t f = 0; f < m->set->n_file; f++) {
                enums += m->set->file[f]->n_enum_type;
                for (size_t i = 0; i < m->set->file[f]->n_message_type; i++)
                        count_nested(m->set->file[f]->message_type[i], &messages, &enums);
        }
        m->messages = ARENA_ARRAY(m->arena, struct message *, messages + 1);
        m->enums = ARENA_ARRAY(m->arena, struct enumeration *, enums + 1);
        for (size_t f = 0; f < m->set->n_file; f++) {
                const FileProto *file = m->set->file[f];
                struct place place = {.file = file};
                for (size_t i = 0; i < file->n_enum_type; i++)
                        add_enum(m, file->enum_type[i], file->package, place_in(place, FILE_ENUM, (int32_t)i));
                for (size_t i = 0; i < file->n_message_type; i++)
                        add_message(m, file->message_type[i], file->package, place_in(place, FILE_MESSAGE, (int32_t)i));
        }
        qsort(m->messages, m->n_messages, sizeof(*m->messages), by_name);
        qsort(m->enums, m->n_enums, sizeof(*m->enums), by_name);
}

struct message *model_message(const struct model *m, const char *name)
{
        const char *const *key = &name;
        struct message **found = bsearch(&key, m->messages, m->n_messages, sizeof(*m->messages), by_name);
        return found ? *found : NULL;
}

struct enumeration *model_enum(const struct model *m, const char *name)
{
        const char *const *key = &name;
        struct enumeration **found = bsearch(&key, m->enums, m->n_enums, sizeof(*m->enums), by_name);
        return found ? *found : NULL;
}

/* --- resolving -------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
        const struct field *x = a, *y = b;
        return (x->number > y->number) - (x->number < y->number);
}

static void resolve_field(struct model *m, const struct message *x, size_t index, struct field *f)
{
        const FieldProto *pb = x->pb->field[index];
        f->name = pb->name;
        f->json = pb->json_name ? pb->json_name : pb->name;
        f->number = pb->number;
        f->pb = pb;
        f->place = place_in(x->place, MESSAGE_FIELD, (int32_t)index);
        f->rule = option_of(m->arena, (const ProtobufCMessage *)pb->options, OPTION_RULE,
                            &nuanxin__field_rule__descriptor);
        if (!f->rule)
                f->rule = message_zero(m->arena, &nuanxin__field_rule__descriptor);
        f->repeated = pb->label == LABEL(REPEATED);
        if (pb->has_oneof_index && !pb->proto3_optional)
                f->oneof = x->pb->oneof_decl[pb->oneof_index]->name;
        if (pb->type == TYPE(MESSAGE)) {
                f->message = model_message(m, pb->type_name + 1);
                f->map = f->message && f->message->map_entry;
        } else if (pb->type == TYPE(ENUM)) {
                f->enumeration = model_enum(m, pb->type_name + 1);
        }
}

static void resolve_message(struct model *m, struct message *x)
{
        x->n_fields = x->pb->n_field;
        x->fields = ARENA_ARRAY(m->arena, struct field, x->n_fields + 1);
        for (size_t i = 0; i < x->n_fields; i++)
                resolve_field(m, x, i, &x->fields[i]);
        if (x->n_fields)
                qsort(x->fields, x->n_fields, sizeof(*x->fields), by_number);
}

static void resolve_http(struct model *m, struct method *x)
{
        const Google__Api__HttpRule *h = option_of(m->arena, (const ProtobufCMessage *)x->pb->options, OPTION_HTTP,
                                                   &google__api__http_rule__descriptor);
        static const char *const verbs[] = {[2] = "GET", [3] = "PUT", [4] = "POST", [5] = "DELETE", [6] = "PATCH"};
        if (!h || h->pattern_case == GOOGLE__API__HTTP_RULE__PATTERN__NOT_SET)
                return;
        x->http = verbs[h->pattern_case];
        x->path = h->get; /* a union of texts */
        x->body = h->body[0] ? h->body : NULL;
}

/* nuanxin.membership.v1 → membership; nuanxin.internal.v1 → NULL */
static const char *service_of(struct arena *arena, const char *package)
{
        struct str rest = str_of(package);
        str_cut(&rest, '.');
        struct str name = str_cut(&rest, '.');
        return str_is(name, "internal") ? NULL : arena_strndup(arena, name.p, name.n);
}

static void add_method(struct model *m, const FileProto *file, size_t service, size_t index)
{
        const Google__Protobuf__ServiceDescriptorProto *s = file->service[service];
        struct method *x = &m->methods[m->n_methods++];
        x->pb = s->method[index];
        x->rpc = x->pb->name;
        x->name = arena_printf(m->arena, "%s.%s.%s", file->package, s->name, x->rpc);
        x->package = file->package;
        x->service = service_of(m->arena, file->package);
        x->place = place_in(place_in((struct place){.file = file}, FILE_SERVICE, (int32_t)service), SERVICE_METHOD,
                            (int32_t)index);
        x->rule = option_of(m->arena, (const ProtobufCMessage *)x->pb->options, OPTION_METHOD,
                            &nuanxin__method_rule__descriptor);
        x->has_rule = x->rule != NULL;
        if (!x->rule)
                x->rule = message_zero(m->arena, &nuanxin__method_rule__descriptor);
        x->input = model_message(m, x->pb->input_type + 1);
        x->output = model_message(m, x->pb->output_type + 1);
        resolve_http(m, x);
}

static int methods_by_name(const void *a, const void *b)
{
        return strcmp(((const struct method *)a)->name, ((const struct method *)b)->name);
}

static void resolve_methods(struct model *m)
{
        size_t n = 0;
        for (size_t f = 0; f < m->set->n_file; f++)
                for (size_t s = 0; s < m->set->file[f]->n_service; s++)
                        n += m->set->file[f]->service[s]->n_method;
        m->methods = ARENA_ARRAY(m->arena, struct method, n + 1);
        for (size_t f = 0; f < m->set->n_file; f++) {
                const FileProto *file = m->set->file[f];
                for (size_t s = 0; s < file->n_service && package_is_ours(file->package); s++)
                        for (size_t i = 0; i < file->service[s]->n_method; i++)
                                add_method(m, file, s, i);
        }
        if (m->n_methods)
                qsort(m->methods, m->n_methods, sizeof(*m->methods), methods_by_name);
}

static int packages_by_name(const void *a, const void *b)
{
        return strcmp(((const struct package *)a)->name, ((const struct package *)b)->name);
}

static void list_packages(struct model *m)
{
        m->packages = ARENA_ARRAY(m->arena, struct package, m->set->n_file + 1);
        for (size_t f = 0; f < m->set->n_file; f++) {
                const FileProto *file = m->set->file[f];
                bool known = !package_is_ours(file->package);
                for (size_t i = 0; i < m->n_packages; i++)
                        known |= strcmp(m->packages[i].name, file->package) == 0;
                if (!known)
                        m->packages[m->n_packages++] =
                                (struct package){file->package, name_package(m->arena, file->package), file};
        }
        if (m->n_packages)
                qsort(m->packages, m->n_packages, sizeof(*m->packages), packages_by_name);
}

static void mark(struct message *x, bool input)
{
        if (!x || (x->emitted && (x->in_input || !input)))
                return;
        x->emitted = true;
        x->in_input |= input;
        for (size_t i = 0; i < x->n_fields; i++)
                mark(x->fields[i].message, input);
}

/* Emitted is what lies in one of our packages, and what that needs. */
static void mark_all(struct model *m)
{
        for (size_t i = 0; i < m->n_messages; i++)
                if (package_is_ours(m->messages[i]->place.file->package))
                        mark(m->messages[i], false);
        for (size_t i = 0; i < m->n_methods; i++) {
                mark(m->methods[i].input, true);
                mark(m->methods[i].output, false);
        }
}

static int texts(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_permission(struct model *m, const char *name)
{
        if (!strchr(name, '.') || strchr(name, '*'))
                return; /* public, signedIn, service; a wildcard */
        for (size_t i = 0; i < m->n_permissions; i++)
                if (strcmp(m->permissions[i], name) == 0)
                        return;
        m->permissions[m->n_permissions++] = name;
}

static void list_permissions(struct model *m)
{
        size_t n = m->n_methods;
        for (size_t i = 0; i < m->n_enums; i++)
                for (size_t v = 0; v < m->enums[i]->n_values; v++)
                        n += m->enums[i]->values[v].role ? m->enums[i]->values[v].role->n_permissions : 0;
        m->permissions = ARENA_ARRAY(m->arena, const char *, n + 1);
        for (size_t i = 0; i < m->n_methods; i++)
                add_permission(m, m->methods[i].rule->permission);
        for (size_t i = 0; i < m->n_enums; i++)
                for (size_t v = 0; v < m->enums[i]->n_values; v++) {
                        const Nuanxin__RoleRule *role = m->enums[i]->values[v].role;
                        for (size_t p = 0; role && p < role->n_permissions; p++)
                                add_permission(m, role->permissions[p]);
                }
        if (m->n_permissions)
                qsort(m->permissions, m->n_permissions, sizeof(*m->permissions), texts);
}

int model_load(struct arena *arena, struct str descriptors, struct model *ret_model)
{
        ProtobufCAllocator allocator = arena_allocator(arena);
        struct model m = {.arena = arena};
        m.set = (const FileSet *)protobuf_c_message_unpack(&google__protobuf__file_descriptor_set__descriptor,
                                                           &allocator, descriptors.n,
                                                           (const uint8_t *)descriptors.p);
        if (!m.set)
                return -EBADMSG;
        for (size_t f = 0; f < m.set->n_file; f++)
                if (!m.set->file[f]->package)
                        m.set->file[f]->package = arena_strdup(arena, "");
        name_all(&m);
        for (size_t i = 0; i < m.n_messages; i++)
                resolve_message(&m, m.messages[i]);
        resolve_methods(&m);
        list_packages(&m);
        mark_all(&m);
        list_permissions(&m);
        *ret_model = m;
        return 0;
}

struct field *message_find_field(const struct message *message, struct str name)
{
        for (size_t i = 0; i < message->n_fields; i++)
                if (str_is(name, message->fields[i].name))
                        return &message->fields[i];
        return NULL;
}

struct field *message_find_path(const struct message *message, const char *path)
{
        struct str rest = str_of(path);
        while (message) {
                struct field *f = message_find_field(message, str_cut(&rest, '.'));
                if (!f || rest.n == 0)
                        return f;
                message = f->repeated ? NULL : f->message;
        }
        return NULL;
}
