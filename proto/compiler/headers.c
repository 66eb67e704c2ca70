/* SPDX-License-Identifier: Apache-2.0
 *
 * One header a package: contract/membership_v1.h and its like, what a service's C code includes.
 */
#include "emit.h"

#include "name.h"
#include "source.h"

static void emit_about(struct buf *out, const struct package *p)
{
        buf_printf(out,
                   "/* SPDX-License-Identifier: Apache-2.0\n *\n"
                   " * Package %s for C. Made by the contract compiler from proto/: do not edit.\n *\n"
                   " * Types     GetMemberRequest is the message of that name, Outer__Inner one nested in it; enums alike\n"
                   " *           (none in nuanxin.internal).\n"
                   " * Messages  %s_<message>_msg is the struct contract_message of <Message>.\n"
                   " * Methods   %s_<method> is the struct contract_method of <Method>, and a macro of that name in\n"
                   " *           capitals makes its entry in a service's request table (struct rpc_method), checking the\n"
                   " *           handler's type. _PREPARED, for lane SLOW_WRITE, takes the slow half first.\n"
                   " * Values    keep protoc-c's long names.\n */\n#pragma once\n\n",
                   p->name, p->short_name, p->short_name);
}

static void emit_includes(struct buf *out, const struct model *m, const struct package *p)
{
        buf_add_z(out, "#include \"common/contract/contract.h\"\n\n");
        for (size_t f = 0; f < m->set->n_file; f++) {
                const FileProto *file = m->set->file[f];
                if (strcmp(file->package, p->name) == 0)
                        buf_printf(out, "#include \"%.*s.pb-c.h\"\n", (int)(strlen(file->name) - strlen(".proto")),
                                   file->name);
        }
        buf_add_z(out, "\nstruct rpc_call;\n\n");
}

static void emit_types(struct buf *out, const struct model *m, const struct package *p)
{
        /* Every process includes what is internal, beside a service's own: its plain names would clash. */
        bool short_names = !str_starts(str_of(p->name), STR("nuanxin.internal."));
        for (size_t i = 0; i < m->n_enums && short_names; i++) {
                const struct enumeration *e = m->enums[i];
                if (strcmp(e->place.file->package, p->name) == 0)
                        buf_printf(out, "typedef %s %s;\n", name_c_type(m->arena, e->name),
                                   name_in_package(m->arena, p->name, e->name));
        }
        for (size_t i = 0; i < m->n_messages && short_names; i++) {
                const struct message *x = m->messages[i];
                if (strcmp(x->place.file->package, p->name) == 0)
                        buf_printf(out, "typedef %s %s;\n", name_c_type(m->arena, x->name),
                                   name_in_package(m->arena, p->name, x->name));
        }
        buf_add_char(out, '\n');
        for (size_t i = 0; i < m->n_messages; i++) {
                const struct message *x = m->messages[i];
                if (strcmp(x->place.file->package, p->name) == 0)
                        buf_printf(out, "extern const struct contract_message %s;\n",
                                   name_message_constant(m->arena, p->name, x->name));
        }
}

static void emit_entry(struct buf *out, const struct model *m, const struct method *x, const char *constant)
{
        const char *macro = name_upper(m->arena, constant);
        const char *input = name_c_type(m->arena, x->input->name), *output = name_c_type(m->arena, x->output->name);
        const char *handle = arena_printf(m->arena,
                                          ".handle = (rpc_handle)(1 ? (handler) : (int (*)(struct rpc_call *, "
                                          "const %s *, %s *))0)",
                                          input, output);
        if (x->rule->lane == NUANXIN__LANE__SLOW_WRITE)
                buf_printf(out,
                           "#define %s_PREPARED(preparer, handler) \\\n        { .contract = &%s, \\\n          .prepare = "
                           "(rpc_prepare)(1 ? (preparer) : (int (*)(struct rpc_call *, const %s *))0), \\\n          %s }\n",
                           macro, constant, input, handle);
        else
                buf_printf(out, "#define %s(handler) \\\n        { .contract = &%s, \\\n          %s }\n", macro, constant,
                           handle);
}

static void emit_methods(struct buf *out, const struct model *m, const struct package *p)
{
        for (size_t i = 0; i < m->n_methods; i++) {
                const struct method *x = &m->methods[i];
                if (strcmp(x->package, p->name) != 0)
                        continue;
                const char *constant = arena_printf(m->arena, "%s_%s", p->short_name, name_snake(m->arena, x->rpc));
                const char *comment = source_comment(m->arena, x->place);
                buf_printf(out, "\n/* %s */\nextern const struct contract_method %s;\n", comment[0] ? comment : x->rpc,
                           constant);
                emit_entry(out, m, x, constant);
        }
}

void emit_header(struct buf *out, const struct model *m, const struct package *p)
{
        emit_about(out, p);
        emit_includes(out, m, p);
        emit_types(out, m, p);
        emit_methods(out, m, p);
}
