/* SPDX-License-Identifier: Apache-2.0
 *
 * keys curve: who may call whom between hosts. One folder holds a folder for each role (gateway, edge, operator, and
 * each service); a role's folder is what is copied to the hosts that run it, and holds its secret key and the public keys
 * of those that it lets in and that it calls. Nothing else, and nothing in Redis, says who is who.
 */
#include "common/bus/curve.h"
#include "services/cli/cli.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROLES_MAX 32
#define KEYS_MAX  2 /* of a role: the one in use, and the one that takes its place */

struct keys {
        char key[KEYS_MAX][CURVE_KEY_SIZE];
        size_t n;
};

static const char *folder_of(struct cli *cli)
{
        return cli->curve ? cli->curve : arena_printf(cli->arena, "%s/curve", cli->var);
}

static const char *path_of(struct cli *cli, const char *role, const char *file)
{
        return arena_printf(cli->arena, "%s/%s/%s", folder_of(cli), role, file);
}

static int failed(const char *what, const char *path, int r)
{
        fprintf(stderr, "can't %s %s: %s\n", what, path, strerror(-r));
        return 1;
}

/* --- files --------------------------------------------------------------------------------------------------------- */

static int folder_make(const char *path)
{
        return mkdir(path, 0700) < 0 && errno != EEXIST ? failed("make the folder", path, -errno) : 0;
}

/* All or nothing: beside it, then in its place. */
static int file_write(struct cli *cli, const char *path, const char *text, mode_t mode)
{
        const char *fresh = arena_printf(cli->arena, "%s.new", path);
        if (unlink(fresh) < 0 && errno != ENOENT)
                return failed("replace", fresh, -errno);
        int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd < 0)
                return failed("write", fresh, -errno);
        size_t n = strlen(text);
        int r = write(fd, text, n) == (ssize_t)n && fsync(fd) == 0 ? 0 : -(errno ? errno : EIO);
        close(fd);
        if (r == 0 && rename(fresh, path) < 0)
                r = -errno;
        return r < 0 ? failed("write", path, r) : 0;
}

static int key_write(struct cli *cli, const char *path, char ret_public[CURVE_KEY_SIZE])
{
        char secret[CURVE_KEY_SIZE], line[CURVE_KEY_SIZE + 1];
        int r = curve_key_new(secret, ret_public);
        if (r < 0)
                return failed("make a key for", path, r);
        snprintf(line, sizeof(line), "%s\n", secret);
        r = file_write(cli, path, line, 0600);
        explicit_bzero(secret, sizeof(secret));
        explicit_bzero(line, sizeof(line));
        return r;
}

static int public_read(struct cli *cli, const char *path, char ret_public[CURVE_KEY_SIZE])
{
        struct str text;
        int r = cli_read_file(cli, path, 4096, &text);
        if (r)
                return r;
        struct str line = str_cut(&text, '\n');
        if (text.n || !curve_key_is_valid(line) || curve_key_public(arena_str(cli->arena, line).p, ret_public) < 0) {
                fprintf(stderr, "%s is no CURVE secret key; put its backup back\n", path);
                return 1;
        }
        return 0;
}

/* The public keys by which others know a role: of the key in use, then of the one that will be. */
static int keys_of(struct cli *cli, const char *role, struct keys *ret)
{
        const char *next = path_of(cli, role, "next.key");
        int r = public_read(cli, path_of(cli, role, "self.key"), ret->key[0]);
        ret->n = 1;
        if (r == 0 && access(next, F_OK) == 0) {
                r = public_read(cli, next, ret->key[1]);
                ret->n = 2;
        }
        return r;
}

/* list: "callers" or "services" of `role`; what stands there for `name`. */
static int entry_write(struct cli *cli, const char *role, const char *list, const char *name, const struct keys *keys)
{
        struct buf text = {0};
        for (size_t i = 0; i < keys->n; i++)
                buf_printf(&text, "%s\n", keys->key[i]);
        int r = file_write(cli, arena_printf(cli->arena, "%s/%s.pub", path_of(cli, role, list), name), buf_z(&text), 0644);
        buf_done(&text);
        return r;
}

static bool entry_is_there(struct cli *cli, const char *role, const char *list, const char *name)
{
        return access(arena_printf(cli->arena, "%s/%s.pub", path_of(cli, role, list), name), F_OK) == 0;
}

/* --- roles ----------------------------------------------------------------------------------------------------------- */

/* They call services, and nobody calls them. */
static const char *const callers_only[] = {"gateway", "edge", "operator"};

static size_t services_of_contract(const char *names[ROLES_MAX])
{
        size_t n = 0;
        for (unsigned i = 0; i < contract_n_methods; i++) {
                const struct contract_method *m = contract_methods[i];
                size_t k = 0;
                while (m->path && k < n && strcmp(names[k], m->service) != 0)
                        k++;
                if (m->path && k == n && n < ROLES_MAX - ARRAY_LEN(callers_only))
                        names[n++] = m->service;
        }
        return n;
}

static bool is_service(const char *role)
{
        for (size_t i = 0; i < ARRAY_LEN(callers_only); i++)
                if (strcmp(role, callers_only[i]) == 0)
                        return false;
        return true;
}

/* As is usual: the gateway and the operator call every service, services those whose events they follow, and the edge
 * where these are fetched. The stream is followed by nobody, and care, where the money is, only by the stream; care needs
 * membership alone. */
static bool usually_calls(const char *caller, const char *service)
{
        bool is_stream = strcmp(service, "stream") == 0;
        if (!is_service(service) || strcmp(caller, service) == 0)
                return false;
        if (strcmp(caller, "edge") == 0)
                return is_stream;
        if (!is_service(caller))
                return true;
        if (strcmp(service, "care") == 0)
                return strcmp(caller, "stream") == 0;
        return strcmp(caller, "care") == 0 ? strcmp(service, "membership") == 0 : !is_stream;
}

static size_t all_roles(const char *names[ROLES_MAX])
{
        size_t n = services_of_contract(names);
        for (size_t i = 0; i < ARRAY_LEN(callers_only); i++)
                names[n++] = callers_only[i];
        return n;
}

static bool role_is_there(struct cli *cli, const char *role)
{
        return access(path_of(cli, role, "self.key"), F_OK) == 0;
}

static int role_check(struct cli *cli, const char *role)
{
        if (role_is_there(cli, role))
                return 0;
        fprintf(stderr, "%s has no role %s; see nuanxin keys curve list, or make what is missing: nuanxin keys curve make\n",
                folder_of(cli), role);
        return 1;
}

static int let_in(struct cli *cli, const char *caller, const char *service)
{
        struct keys of_caller, of_service;
        int r = keys_of(cli, caller, &of_caller);
        if (r == 0)
                r = keys_of(cli, service, &of_service);
        if (r == 0)
                r = entry_write(cli, service, "callers", caller, &of_caller);
        return r ? r : entry_write(cli, caller, "services", service, &of_service);
}

static void say_copy(struct cli *cli, const char *role)
{
        if (!cli->json)
                printf("copy %s/%s to each host that %s\n", folder_of(cli), role,
                       strcmp(role, "operator") == 0 ? "an operator works on" :
                                                       arena_printf(cli->arena, "runs nuanxin-%s", role));
}

/* --- commands ---------------------------------------------------------------------------------------------------------- */

static int role_make(struct cli *cli, const char *role)
{
        char public[CURVE_KEY_SIZE];
        int r = folder_make(arena_printf(cli->arena, "%s/%s", folder_of(cli), role));
        if (r == 0)
                r = folder_make(path_of(cli, role, "callers"));
        if (r == 0)
                r = folder_make(path_of(cli, role, "services"));
        return r ? r : key_write(cli, path_of(cli, role, "self.key"), public);
}

/* The roles that are missing; each new one may call and be called as is usual. */
static int run_make(struct cli *cli, const struct command *command, const char *const *operands, size_t n_operands)
{
        const char *roles[ROLES_MAX];
        bool fresh[ROLES_MAX] = {false}, changed[ROLES_MAX] = {false};
        size_t n = all_roles(roles), made = 0;
        (void)command, (void)operands, (void)n_operands;
        int r = folder_make(folder_of(cli));
        for (size_t i = 0; i < n && r == 0; i++)
                if (!role_is_there(cli, roles[i])) {
                        fresh[i] = true;
                        made++;
                        r = role_make(cli, roles[i]);
                }
        for (size_t i = 0; i < n && r == 0; i++)
                for (size_t k = 0; k < n && r == 0; k++)
                        if (usually_calls(roles[i], roles[k]) && (fresh[i] || fresh[k])) {
                                changed[i] = changed[k] = true;
                                r = let_in(cli, roles[i], roles[k]);
                        }
        if (r)
                return r;
        if (cli->json)
                printf("{\"folder\":\"%s\",\"made\":%zu}\n", folder_of(cli), made);
        else
                printf("%s: %zu roles made, %zu were there\n", folder_of(cli), made, n - made);
        for (size_t i = 0; i < n; i++)
                if (changed[i])
                        say_copy(cli, roles[i]);
        return 0;
}

static void list_names(struct cli *cli, const char *role, const char *list, struct buf *out)
{
        const char *names[ROLES_MAX];
        size_t n = all_roles(names);
        bool any = false;
        for (size_t i = 0; i < n; i++)
                if (entry_is_there(cli, role, list, names[i])) {
                        buf_printf(out, "%s%s", any ? " " : "", names[i]);
                        any = true;
                }
        if (!any && !cli->json)
                buf_add_z(out, "-");
}

static int run_list(struct cli *cli, const struct command *command, const char *const *operands, size_t n_operands)
{
        static const char *const headings[] = {"ROLE", "LETS IN", "CALLS", "KEY"};
        _cleanup_(table_freep) struct table *table = table_new(headings, ARRAY_LEN(headings));
        const char *roles[ROLES_MAX];
        size_t n = all_roles(roles), shown = 0;
        (void)command, (void)operands, (void)n_operands;
        for (size_t i = 0; i < n; i++) {
                struct buf callers = {0}, services = {0}, keys = {0};
                struct keys own;
                if (!role_is_there(cli, roles[i]))
                        continue;
                int r = keys_of(cli, roles[i], &own);
                if (r)
                        return r;
                for (size_t k = 0; k < own.n; k++)
                        buf_printf(&keys, "%s%s", k ? " next: " : "", own.key[k]);
                list_names(cli, roles[i], "callers", &callers);
                list_names(cli, roles[i], "services", &services);
                if (cli->json)
                        printf("%s{\"role\":\"%s\",\"key\":\"%s\",\"next\":\"%s\",\"letsIn\":\"%s\",\"calls\":\"%s\"}", shown ? ",\n" : "[",
                               roles[i], own.key[0], own.n > 1 ? own.key[1] : "", buf_z(&callers), buf_z(&services));
                else
                        table_row(table, (const char *const[]){roles[i], buf_z(&callers), buf_z(&services), buf_z(&keys)});
                buf_done(&callers);
                buf_done(&services);
                buf_done(&keys);
                shown++;
        }
        if (!shown)
                return role_check(cli, "gateway");
        if (cli->json)
                printf("]\n");
        else
                table_print(table);
        return 0;
}

static int check_pair(struct cli *cli, const char *caller, const char *service)
{
        int r = role_check(cli, caller);
        if (r == 0)
                r = role_check(cli, service);
        if (r == 0 && (!is_service(service) || strcmp(caller, service) == 0)) {
                fprintf(stderr, "nobody calls %s%s\n", is_service(service) ? "itself: " : "the ", service);
                r = 2;
        }
        return r;
}

static int run_allow(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        int r = check_pair(cli, operands[0], operands[1]);
        (void)command, (void)n;
        if (r == 0)
                r = let_in(cli, operands[0], operands[1]);
        if (r == 0) {
                say_copy(cli, operands[0]);
                say_copy(cli, operands[1]);
        }
        return r;
}

static int run_deny(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        const char *caller = operands[0], *service = operands[1];
        int r = check_pair(cli, caller, service);
        (void)command, (void)n;
        if (r)
                return r;
        const char *const paths[] = {arena_printf(cli->arena, "%s/%s.pub", path_of(cli, service, "callers"), caller),
                                     arena_printf(cli->arena, "%s/%s.pub", path_of(cli, caller, "services"), service)};
        for (size_t i = 0; i < ARRAY_LEN(paths); i++)
                if (unlink(paths[i]) < 0 && errno != ENOENT)
                        return failed("remove", paths[i], -errno);
        if (!cli->json)
                printf("remove callers/%s.pub on each host that runs nuanxin-%s: it counts within a second, for connections that "
                       "stand too\n",
                       caller, service);
        return 0;
}

/* Rewrites what others have of a role. */
static int publish(struct cli *cli, const char *role, const struct keys *keys)
{
        static const char *const lists[] = {"callers", "services"};
        const char *roles[ROLES_MAX];
        size_t n = all_roles(roles);
        int r = 0;
        for (size_t i = 0; i < n && r == 0; i++) {
                bool touched = false;
                for (size_t k = 0; k < ARRAY_LEN(lists) && r == 0; k++)
                        if (entry_is_there(cli, roles[i], lists[k], role)) {
                                r = entry_write(cli, roles[i], lists[k], role, keys);
                                touched = true;
                        }
                if (touched && r == 0)
                        say_copy(cli, roles[i]);
        }
        return r;
}

static int run_rotate(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        const char *role = operands[0];
        struct keys keys;
        int r = role_check(cli, role);
        (void)command, (void)n;
        if (r == 0 && access(path_of(cli, role, "next.key"), F_OK) == 0) {
                fprintf(stderr, "%s has a next key already: nuanxin keys curve switch %s\n", role, role);
                return 1;
        }
        if (r == 0)
                r = key_write(cli, path_of(cli, role, "next.key"), keys.key[1]);
        if (r == 0)
                r = keys_of(cli, role, &keys);
        if (r == 0)
                r = publish(cli, role, &keys);
        if (r == 0 && !cli->json)
                printf("these know both keys within a second of the copy; then: nuanxin keys curve switch %s\n", role);
        return r;
}

static int run_switch(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        const char *role = operands[0], *next = path_of(cli, role, "next.key");
        int r = role_check(cli, role);
        (void)command, (void)n;
        if (r == 0 && access(next, F_OK) < 0) {
                fprintf(stderr, "%s has no next key: nuanxin keys curve rotate %s\n", role, role);
                return 1;
        }
        if (r == 0 && rename(next, path_of(cli, role, "self.key")) < 0)
                r = failed("rename", next, -errno);
        if (r)
                return r;
        say_copy(cli, role);
        if (!cli->json)
                printf("restart it there, one instance after the other; then: nuanxin keys curve retire %s\n", role);
        return 0;
}

static int run_retire(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        const char *role = operands[0];
        struct keys keys;
        int r = role_check(cli, role);
        (void)command, (void)n;
        if (r == 0)
                r = keys_of(cli, role, &keys);
        if (r == 0 && keys.n > 1) {
                fprintf(stderr, "%s still uses its old key: nuanxin keys curve switch %s\n", role, role);
                return 1;
        }
        return r ? r : publish(cli, role, &keys);
}

/* Of the edge, towards agencies: the same on all its hosts. */
static int run_edge(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        const char *folder = arena_printf(cli->arena, "%s/edge", cli->var), *path = arena_printf(cli->arena, "%s/edge.key", folder);
        char public[CURVE_KEY_SIZE];
        bool is_there = access(path, F_OK) == 0;
        int r = is_there ? public_read(cli, path, public) : folder_make(folder);
        (void)command, (void)operands, (void)n;
        if (r == 0 && !is_there)
                r = key_write(cli, path, public);
        if (r)
                return r;
        if (cli->json)
                printf("{\"path\":\"%s\",\"publicKey\":\"%s\"}\n", path, public);
        else
                printf("%s%s\nagencies know the edge by %s\n", path, is_there ? "" : " was made: back it up", public);
        return 0;
}

const struct command commands_curve[] = {
        {"keys curve make", "", "keys for several hosts: a folder a role in --curve; those that are missing", NULL, {0}, NULL, run_make},
        {"keys curve list", "", "roles, their keys, whom each lets in and calls", NULL, {0}, NULL, run_list},
        {"keys curve allow", "CALLER SERVICE", "lets a role call a service", NULL, {0}, NULL, run_allow},
        {"keys curve deny", "CALLER SERVICE", "ends that", NULL, {0}, NULL, run_deny},
        {"keys curve rotate", "ROLE", "first step of a new key: others learn it beside the old one", NULL, {0}, NULL, run_rotate},
        {"keys curve switch", "ROLE", "second step: the role uses it", NULL, {0}, NULL, run_switch},
        {"keys curve retire", "ROLE", "last step: others forget the old one", NULL, {0}, NULL, run_retire},
        {"keys edge", "", "the key by which agencies know the edge, VAR/edge/edge.key: makes it if there is none, shows the public half", NULL, {0}, NULL, run_edge},
        {0},
};
