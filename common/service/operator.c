/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the loop until the one call in hand is answered.
 */
#include "common/service/operator.h"
#include "common/base/id.h"
#include "common/rpc/client.h"
#include "common/rpc/envelope.h"
#include "common/service/outside.h"

#include <dirent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define UPLOAD_CHUNK       (256 * 1024)
#define DEFAULT_TIMEOUT_US (30 * CLOCK_SECOND_US)
#define GREETINGS_US       (2 * CLOCK_SECOND_US)
#define REGISTRY_US        (300 * 1000ll) /* until it has told whom it knows */
#define LOOK_EVERY_US      (5 * 1000ll)
#define MAX_INSTANCES      64

struct operator {
        struct loop *loop;
        struct bus *bus;
        struct cache *cache;
        struct metric_registry *metrics;
        struct rpc_client *client;
        int64_t deadline_us;
        char name[65];
        /* the call in hand */
        struct arena *arena;
        int error;
        Nuanxin__Problem problem;
        struct str payload; /* in the arena */
};

/* Every socket in the folder is an instance: SERVICE-N.sock. */
static void add_sockets(struct operator *op, const char *folder)
{
        DIR *dir = opendir(folder);
        struct dirent *entry;
        while (dir && (entry = readdir(dir))) {
                char service[64], endpoint[512];
                struct str name = str_of(entry->d_name);
                if (name.n < 7 || name.n >= sizeof(service) || !str_eq((struct str){name.p + name.n - 5, 5}, STR(".sock")))
                        continue;
                size_t dash = name.n - 5;
                while (dash && name.p[dash] != '-')
                        dash--;
                if (!dash)
                        continue;
                snprintf(service, sizeof(service), "%.*s", (int)dash, name.p);
                snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s", folder, entry->d_name);
                if (rpc_client_add_peer(op->client, service, endpoint) < 0)
                        fprintf(stderr, "left out %s: not a usable socket name\n", endpoint);
        }
        if (dir)
                closedir(dir);
}

int operator_open(const struct operator_options *o, struct operator **ret_operator, const char **ret_error)
{
        _cleanup_(operator_closep) struct operator *op = mem_zalloc(sizeof(*op));
        const struct passwd *user = getpwuid(getuid());
        int r;

        snprintf(op->name, sizeof(op->name), "%s", user ? user->pw_name : "operator");
        op->deadline_us = o->deadline_us ? o->deadline_us : DEFAULT_TIMEOUT_US;
        op->loop = loop_new();
        op->metrics = metric_registry_new();
        if ((r = outside_bus(o->curve, "operator", &op->bus, ret_error)) < 0)
                return r;
        if (o->redis && (r = cache_new(op->loop, &(struct cache_options){.address = o->redis, .auth = o->redis_auth}, &op->cache)) < 0) {
                *ret_error = "the address of --redis can't be used";
                return r;
        }
        r = rpc_client_new(&(struct rpc_client_options){.loop = op->loop, .bus = op->bus, .cache = op->cache, .peers = o->peers,
                                                        .self_service = "operator", .self_instance = op->name,
                                                        .metrics = op->metrics},
                           &op->client);
        if (r < 0) {
                *ret_error = "a --peer can't be used; give SERVICE=ENDPOINT";
                return r;
        }
        if (o->bus)
                add_sockets(op, o->bus);
        *ret_operator = TAKE(op);
        return 0;
}

struct operator *operator_close(struct operator *op)
{
        if (op) {
                cache_free(op->cache);
                rpc_client_free(op->client);
                bus_free(op->bus);
                metric_registry_free(op->metrics);
                loop_free(op->loop);
                free(op);
        }
        return NULL;
}

static void on_done(void *arg, const struct rpc_result *result)
{
        struct operator *op = arg;
        op->error = result->error;
        op->problem = result->problem;
        op->payload = arena_str(op->arena, result->payload);
        loop_stop(op->loop);
}

/* {0} and {1} of a detail, filled. */
static const char *fill(struct arena *arena, const char *text, char *const *args, size_t n_args)
{
        struct buf out = {0};
        for (const char *p = text; *p; p++) {
                if (p[0] == '{' && p[1] >= '0' && p[1] <= '9' && p[2] == '}') {
                        size_t k = (size_t)(p[1] - '0');
                        buf_add_z(&out, k < n_args ? args[k] : "");
                        p += 2;
                } else {
                        buf_add_char(&out, *p);
                }
        }
        const char *filled = arena_strndup(arena, out.p, out.n);
        buf_done(&out);
        return filled;
}

static void read_refusal(struct operator *op, struct operator_refusal *ret)
{
        const struct contract_problem *problem = contract_problem_of(op->problem);
        ProtobufCAllocator allocator = envelope_allocator(op->arena);
        const Nuanxin__Internal__V1__Refusal *refusal =
                nuanxin__internal__v1__refusal__unpack(&allocator, op->payload.n, (const uint8_t *)op->payload.p);

        *ret = (struct operator_refusal){.type = problem->type, .title = problem->title};
        ret->detail = fill(op->arena, problem->detail, refusal ? refusal->args : NULL, refusal ? refusal->n_args : 0);
        if (!refusal)
                return;
        struct violation *violations = ARENA_ARRAY(op->arena, struct violation, refusal->n_violations);
        for (size_t i = 0; i < refusal->n_violations; i++)
                violations[i] = (struct violation){refusal->violations[i]->pointer, refusal->violations[i]->rule,
                                                   refusal->violations[i]->detail, refusal->violations[i]->detail_zh};
        ret->violations = violations;
        ret->n_violations = refusal->n_violations;
}

static bool is_there(const struct operator *op, const char *service)
{
        struct rpc_instance all[MAX_INSTANCES];
        size_t n = rpc_client_instances(op->client, all, MAX_INSTANCES);
        for (size_t i = 0; i < n; i++)
                if (all[i].up && (!service || strcmp(all[i].service, service) == 0))
                        return true;
        return false;
}

static void on_look(void *arg)
{
        loop_stop(arg);
}

/* The call itself waits for a writer, up to its deadline. That nothing runs at all is said sooner. */
static int wait_until_there(struct operator *op, const char *service)
{
        int64_t deadline = clock_monotonic_us() + GREETINGS_US;
        struct loop_timer *timer = loop_timer_new(op->loop, on_look, op->loop);
        while (!is_there(op, service) && clock_monotonic_us() < deadline) {
                loop_timer_set(timer, LOOK_EVERY_US);
                loop_run(op->loop);
        }
        loop_timer_free(timer);
        return is_there(op, service) ? 0 : -EHOSTUNREACH;
}

int operator_call(struct operator *op, const struct contract_method *method, const struct operator_target *target,
                  struct arena *arena, const void *request, void **ret_response, struct operator_refusal *ret_refusal)
{
        Nuanxin__Internal__V1__Principal principal = NUANXIN__INTERNAL__V1__PRINCIPAL__INIT;
        ProtobufCMessage *response;

        principal.kind = NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__OPERATOR;
        principal.id = op->name;
        const struct rpc_request call = {.method = method, .service = target ? target->service : NULL,
                                         .instance = target ? target->instance : NULL, .principal = &principal,
                                         .payload = message_pack(arena, request),
                                         .deadline_us = target && target->deadline_us ? target->deadline_us : op->deadline_us};
        int r = wait_until_there(op, call.service ? call.service : method->service);
        if (r < 0)
                return r;
        op->arena = arena;
        (void)rpc_client_call(op->client, &call, on_done, op);
        loop_run(op->loop);
        if (op->error)
                return op->error;
        if (op->problem != NUANXIN__PROBLEM__PROBLEM_NONE) {
                read_refusal(op, ret_refusal);
                return OPERATOR_E_REFUSED;
        }
        r = message_unpack(arena, method->output, op->payload.p, op->payload.n, &response);
        if (r < 0)
                return r;
        *ret_response = response;
        return 0;
}

const struct contract_method *operator_method(const char *name)
{
        const struct contract_method *found = NULL;
        for (unsigned i = 0; i < contract_n_methods; i++) {
                const char *full = contract_methods[i]->name, *last = strrchr(full, '.');
                if (strcmp(full, name) == 0)
                        return contract_methods[i];
                if (last && strcmp(last + 1, name) == 0) {
                        if (found)
                                return NULL;
                        found = contract_methods[i];
                }
        }
        return found;
}

int operator_call_json(struct operator *op, const char *name, struct str json, struct arena *arena, struct str *ret_json,
                       struct operator_refusal *ret_refusal)
{
        const struct contract_method *method = operator_method(name);
        struct violations violations = {0};
        ProtobufCMessage *request;
        void *response;

        if (!method)
                return -ENOENT;
        int r = transcode_from_json(arena, method->input, json, &violations, &request);
        if (r == 0)
                message_validate(arena, method->input, request, &violations);
        if (r || violations.n) {
                const struct contract_problem *problem = contract_problem_of(NUANXIN__PROBLEM__PROBLEM_INVALID_ARGUMENT);
                struct violation *copies = ARENA_ARRAY(arena, struct violation, violations.n);
                memcpy(copies, violations.items, violations.n * sizeof(*copies));
                *ret_refusal = (struct operator_refusal){problem->type, problem->title, problem->detail, copies, violations.n};
                return -EINVAL;
        }
        r = operator_call(op, method, NULL, arena, request, &response, ret_refusal);
        if (r)
                return r;
        struct buf out = {0};
        transcode_to_json(&out, method->output, response);
        *ret_json = arena_str(arena, buf_str(&out));
        buf_done(&out);
        return 0;
}

static void copy_refusal(struct arena *arena, struct operator_refusal *refusal)
{
        struct violation *copies = ARENA_ARRAY(arena, struct violation, refusal->n_violations);
        refusal->detail = arena_strdup(arena, refusal->detail); /* type and title are the contract's own */
        for (size_t i = 0; i < refusal->n_violations; i++) {
                const struct violation *v = &refusal->violations[i];
                copies[i] = (struct violation){arena_strdup(arena, v->pointer), arena_strdup(arena, v->rule),
                                               arena_strdup(arena, v->detail), arena_strdup(arena, v->detail_zh)};
        }
        refusal->violations = copies;
}

static void *member_at(void *message, const struct contract_message *type, const char *name)
{
        const struct contract_field *field = message_field(type, str_of(name));
        return field ? (char *)message + type->pb->fields[field - type->fields].offset : NULL;
}

int operator_upload(struct operator *op, const struct contract_method *method, struct arena *arena, void *request,
                    struct str content, void (*on_progress)(void *arg, size_t done, size_t total), void *arg,
                    void **ret_response, struct operator_refusal *ret_refusal)
{
        char id[ID_TEXT_SIZE];
        struct clock clock = {0};
        char **upload = member_at(request, method->input, "upload");
        int64_t *offset = member_at(request, method->input, "offset");
        ProtobufCBinaryData *data = member_at(request, method->input, "data");
        protobuf_c_boolean *last = member_at(request, method->input, "last");

        if (!upload || !offset || !data || !last)
                return -ENOTSUP;
        id_new(id, clock_now_us(&clock));
        *upload = id;
        for (size_t done = 0;;) {
                size_t n = content.n - done < UPLOAD_CHUNK ? content.n - done : UPLOAD_CHUNK;
                *offset = (int64_t)done;
                *data = (ProtobufCBinaryData){n, (uint8_t *)content.p + done};
                *last = done + n == content.n;
                /* Only what the caller keeps goes into its arena: the last answer, or a refusal. */
                _cleanup_(arena_freep) struct arena *chunk = *last ? NULL : arena_new(UPLOAD_CHUNK * 2);
                int r = operator_call(op, method, NULL, chunk ? chunk : arena, request, ret_response, ret_refusal);
                if (r == OPERATOR_E_REFUSED && chunk)
                        copy_refusal(arena, ret_refusal);
                if (r)
                        return r;
                done += n;
                if (on_progress)
                        on_progress(arg, done, content.n);
                if (*last)
                        return 0;
        }
}

size_t operator_instances(struct operator *op, struct rpc_instance *out, size_t room)
{
        struct loop_timer *timer = loop_timer_new(op->loop, on_look, op->loop);
        int64_t started = clock_monotonic_us(), waited = 0, least = op->cache ? REGISTRY_US : 0;
        size_t n, up = 0;
        do {
                loop_timer_set(timer, LOOK_EVERY_US);
                loop_run(op->loop);
                waited = clock_monotonic_us() - started;
                n = rpc_client_instances(op->client, out, room);
                for (size_t i = up = 0; i < n; i++)
                        up += out[i].up;
        } while (waited < least || (up < n && waited < GREETINGS_US));
        loop_timer_free(timer);
        return n;
}

size_t operator_known(struct operator *op, struct rpc_instance *out, size_t room)
{
        return rpc_client_instances(op->client, out, room);
}
