/* SPDX-License-Identifier: Apache-2.0
 *
 * For whom a connection may speak: by the role whose CURVE key it has proved, whatever its requests say. Real sockets.
 */
#include "tests/support/rpc_world.h"

#include "common/bus/curve.h"

#define GREETED_US (10 * CLOCK_SECOND_US)
#define COUNTER    "\nnuanxin_rpc_out_of_role_total "

typedef Nuanxin__Internal__V1__Envelope Envelope;

static const char *const roles[] = {"gateway", "copy", "operator", "edge"};
enum { GATEWAY, COPY, OPERATOR, EDGE, ROLES };
#define KIND(name) NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__##name

/* A service, and a caller of each role; or one without roles. */
struct stage {
        struct world *w;
        struct bus *bus, *buses[ROLES];
        struct bus_server *server;
        struct bus_link *links[ROLES];
        struct arena *arena;
        char endpoint[128];
        struct got got;
};

/* --- keys ---------------------------------------------------------------------------------------------------------- */

static void write_key(const struct stage *s, const char *path, const char *key, int mode)
{
        char *whole = arena_printf(s->w->arena, "%s/%s", s->w->root, path);
        int fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC, mode);
        CHECK(fd >= 0 && dprintf(fd, "%s\n", key) == CURVE_KEY_SIZE);
        close(fd);
}

static const char *role_make(const struct stage *s, const char *role, char public[CURVE_KEY_SIZE])
{
        static const char *const below[] = {"", "/callers", "/services"};
        char secret[CURVE_KEY_SIZE];
        for (size_t i = 0; i < ARRAY_LEN(below); i++)
                CHECK_INT(mkdir(arena_printf(s->w->arena, "%s/%s%s", s->w->root, role, below[i]), 0700), 0);
        CHECK_INT(curve_key_new(secret, public), 0);
        write_key(s, arena_printf(s->w->arena, "%s/self.key", role), secret, 0600);
        return arena_printf(s->w->arena, "%s/%s", s->w->root, role);
}

static struct bus *bus_of(const char *folder)
{
        struct bus *bus = NULL;
        const char *error = "";
        world_must(bus_new(&(struct bus_options){.curve_folder = folder}, &bus, &error), "bus", error);
        return bus;
}

/* --- sockets ------------------------------------------------------------------------------------------------------- */

static void on_request(void *arg, const struct bus_peer *from, struct str bytes, struct bus_frame *payload)
{
        struct stage *s = arg;
        Envelope *envelope;
        arena_reset(s->arena);
        CHECK_INT(envelope_unpack(s->arena, bytes, &envelope), 0);
        rpc_server_submit(s->w->server, from, envelope, &s->arena, payload);
}

static void on_reply(void *arg, const struct bus_peer *to, struct str envelope, struct str payload)
{
        struct stage *s = arg;
        CHECK_INT(bus_server_send(s->server, to, envelope, payload), 0);
}

static void on_change(void *arg)
{
        struct stage *s = arg;
        loop_stop(s->w->loop);
}

static void on_pair(void *arg, struct str bytes, struct str payload)
{
        struct stage *s = arg;
        Envelope *e = nuanxin__internal__v1__envelope__unpack(NULL, bytes.n, (const uint8_t *)bytes.p);
        (void)payload;
        CHECK(e && e->kind_case == NUANXIN__INTERNAL__V1__ENVELOPE__KIND_REPLY);
        s->got = (struct got){.there = true, .reply = *e->reply};
        nuanxin__internal__v1__envelope__free_unpacked(e, NULL);
        loop_stop(s->w->loop);
}

static const struct bus_link_ops link_ops = {.on_up = on_change, .on_down = on_change, .on_pair = on_pair};

static struct stage *stage_new(bool with_roles)
{
        struct stage *s = mem_zalloc(sizeof(*s));
        char own[CURVE_KEY_SIZE], key[CURVE_KEY_SIZE];
        s->arena = arena_new(4096);
        s->w = world_new();
        s->w->reply = on_reply;
        s->w->reply_arg = s;
        world_restart(s->w);
        const char *folder = with_roles ? role_make(s, "test", own) : NULL;
        for (size_t i = 0; with_roles && i < ROLES; i++) {
                const char *caller = role_make(s, roles[i], key);
                write_key(s, arena_printf(s->w->arena, "test/callers/%s.pub", roles[i]), key, 0644);
                write_key(s, arena_printf(s->w->arena, "%s/services/test.pub", roles[i]), own, 0644);
                s->buses[i] = bus_of(caller);
        }
        s->bus = bus_of(folder);
        const char *endpoint = with_roles ? "tcp://127.0.0.1:*" : arena_printf(s->w->arena, "ipc://%s/test.sock", s->w->root);
        world_must(bus_server_new(s->bus, s->w->loop, endpoint, on_request, s, &s->server, s->endpoint), "bind", NULL);
        for (size_t i = 0; i < ROLES; i++)
                world_must(bus_link_new(with_roles ? s->buses[i] : s->bus, s->w->loop, "test", s->endpoint, &link_ops, s,
                                        &s->links[i]),
                           "link", NULL);
        return s;
}

static void stage_free(struct stage *s)
{
        for (size_t i = 0; i < ROLES; i++) {
                bus_link_free(s->links[i]);
                bus_free(s->buses[i]);
        }
        bus_server_free(s->server);
        bus_free(s->bus);
        world_done(s->w);
        arena_free(s->arena);
        free(s);
}

static void wait_for(struct stage *s, const struct bus_link *link)
{
        s->w->late = false;
        loop_timer_set(s->w->timer, GREETED_US);
        while (!s->w->late && !(link ? bus_link_is_up(link) : s->got.there))
                loop_run(s->w->loop);
        loop_timer_clear(s->w->timer);
        CHECK(!s->w->late);
}

/* As what the caller says to be; returns the problem. */
static int ask(struct stage *s, int role, Nuanxin__Internal__V1__Principal__Kind kind, const struct contract_method *method)
{
        Envelope envelope = NUANXIN__INTERNAL__V1__ENVELOPE__INIT;
        Nuanxin__Internal__V1__Request request = NUANXIN__INTERNAL__V1__REQUEST__INIT;
        Nuanxin__Internal__V1__PullEventsRequest pull = NUANXIN__INTERNAL__V1__PULL_EVENTS_REQUEST__INIT;
        Nuanxin__Internal__V1__MoveStoreRequest none = NUANXIN__INTERNAL__V1__MOVE_STORE_REQUEST__INIT;
        struct buf wire = {0}, payload = {0};
        pull.consumer = (char *)"me";
        pull.limit = 1;
        message_pack_buf(&payload, method == &internal_v1_pull_events ? (const void *)&pull : &none);
        request.method = method->id;
        request.input_hash = method->input_hash;
        request.time_left_ms = 10000;
        request.principal = world_who(kind, "whoever");
        request.idempotency_key = (char *)"once";
        envelope.kind_case = NUANXIN__INTERNAL__V1__ENVELOPE__KIND_REQUEST;
        envelope.request = &request;
        envelope_pack(&wire, &envelope);
        wait_for(s, s->links[role]);
        s->got = (struct got){0};
        CHECK_INT(bus_link_send(s->links[role], buf_str(&wire), buf_str(&payload)), 0);
        wait_for(s, NULL);
        buf_done(&wire);
        buf_done(&payload);
        return (int)s->got.reply.problem;
}

/* How many were refused for their role. */
static int refused(const struct stage *s)
{
        struct buf text = {0};
        metric_write(s->w->metrics, &text);
        const char *at = strstr(buf_z(&text), COUNTER);
        int n = at ? atoi(at + strlen(COUNTER)) : -1;
        buf_done(&text);
        return n;
}

/* --- cases --------------------------------------------------------------------------------------------------------- */

enum { DENIED = NUANXIN__PROBLEM__PROBLEM_PERMISSION_DENIED };

static void test_gateway(void)
{
        struct stage *s = stage_new(true);
        CHECK_INT(ask(s, GATEWAY, KIND(OPERATOR), &internal_v1_get_status), DENIED);
        CHECK_INT(ask(s, GATEWAY, KIND(OPERATOR), &internal_v1_move_store), DENIED);
        CHECK_INT(ask(s, GATEWAY, KIND(SERVICE), &internal_v1_list_audit), DENIED);
        CHECK_INT(ask(s, GATEWAY, KIND(SERVICE), &internal_v1_pull_snapshot), DENIED);
        CHECK_INT(ask(s, GATEWAY, 77, &internal_v1_get_status), DENIED);
        CHECK_INT(refused(s), 5);
        /* What it is there for: people, and events of revoked rights in its own name. */
        CHECK_INT(ask(s, GATEWAY, KIND(SERVICE), &internal_v1_pull_events), 0);
        for (int kind = KIND(ANONYMOUS); kind <= KIND(CLIENT); kind++)
                CHECK_INT(ask(s, GATEWAY, kind, &internal_v1_pull_events), DENIED); /* by who they are */
        CHECK_INT(refused(s), 5);
        stage_free(s);
}

/* It is what strangers reach: whoever has broken into it may fetch as agencies do, and see who may connect. */
static void test_edge(void)
{
        static const int others[] = {KIND(OPERATOR), KIND(SERVICE), KIND(ANONYMOUS), KIND(ACCOUNT), KIND(MEMBER), KIND(CLIENT)};
        struct stage *s = stage_new(true);
        for (size_t i = 0; i < ARRAY_LEN(others); i++) {
                CHECK_INT(ask(s, EDGE, others[i], &internal_v1_pull_events), DENIED);
                CHECK_INT(ask(s, EDGE, others[i], &internal_v1_get_status), DENIED);
        }
        CHECK_INT(refused(s), 12);
        CHECK_INT(ask(s, EDGE, KIND(AGENCY), &internal_v1_pull_events), DENIED); /* by who it is */
        CHECK_INT(refused(s), 12);
        stage_free(s);
}

static void test_others(void)
{
        struct stage *s = stage_new(true);
        CHECK_INT(ask(s, COPY, KIND(SERVICE), &internal_v1_list_audit), 0);
        CHECK_INT(ask(s, COPY, KIND(OPERATOR), &internal_v1_get_status), DENIED);
        CHECK_INT(ask(s, COPY, KIND(ACCOUNT), &internal_v1_get_status), DENIED);
        CHECK_INT(ask(s, COPY, KIND(AGENCY), &internal_v1_get_status), DENIED);
        CHECK_INT(refused(s), 3);
        CHECK_INT(ask(s, OPERATOR, KIND(OPERATOR), &internal_v1_get_status), 0);
        CHECK_INT(ask(s, OPERATOR, KIND(SERVICE), &internal_v1_get_status), DENIED);
        CHECK_INT(refused(s), 4);
        CHECK_INT(ask(s, COPY, KIND(SERVICE), &internal_v1_pull_events), 0);
        stage_free(s);
}

static void test_without_roles(void)
{
        struct stage *s = stage_new(false);
        CHECK_INT(ask(s, 0, KIND(OPERATOR), &internal_v1_get_status), 0);
        CHECK_INT(ask(s, 0, KIND(SERVICE), &internal_v1_list_audit), 0);
        CHECK_INT(refused(s), 0);
        stage_free(s);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"a gateway speaks for people, and as a service only where it must; never as an operator", test_gateway},
                {"the edge speaks for agencies, and for nobody else", test_edge},
                {"a service speaks as a service, the operator as an operator", test_others},
                {"in a folder of their own there are no roles", test_without_roles},
        };
        return CHECK_MAIN(cases);
}
