/* SPDX-License-Identifier: Apache-2.0
 *
 * What services give each other: events pulled over the bus by a consumer with a store of its own, snapshots when the
 * source has another history; and what an instance tells the operator.
 */
#include "tests/support/rpc_world.h"

#include "common/rpc/client.h"
#include "common/rpc/envelope.h"

#define THINGS "SELECT COUNT(*) FROM thing"

typedef Nuanxin__Internal__V1__PullEventsRequest PullEventsRequest;
typedef Nuanxin__Internal__V1__PullEventsResponse PullEventsResponse;
typedef Nuanxin__Internal__V1__ListAuditRequest ListAuditRequest;
typedef Nuanxin__Internal__V1__ListAuditResponse ListAuditResponse;
typedef Nuanxin__Internal__V1__GetStatusRequest GetStatusRequest;
typedef Nuanxin__Internal__V1__Status Status;

/* --- a service that copies the names of another's things ---------------------------------------------------------- */

static int copy(struct rpc_call *call, const struct rpc_event *events, size_t n)
{
        static const char sql[] = "INSERT INTO thing (name, n) VALUES ($1, $2) "
                                  "ON CONFLICT (name) DO UPDATE SET n = excluded.n";
        int r = 0;
        for (size_t i = 0; i < n && r == 0; i++)
                if (events[i].contract)
                        r = store_exec(rpc_db(call), sql, NULL, TEXTZ(events[i].subject), I64(events[i].seq));
        return r;
}

static int forget(struct rpc_call *call)
{
        static const char sql[] = "DELETE FROM thing";
        struct world *w = rpc_state(call);
        w->runs++;
        return store_exec(rpc_db(call), sql, NULL);
}

static const char *const copy_topics[] = {"thing", NULL};
static const struct rpc_consumer copy_consumers[] = {
        {.source = "test", .name = "copy.things", .apply = copy, .reset = forget, .topics = copy_topics},
        {0},
};
static const struct rpc_service copy_service = {.name = "copy", .consumers = copy_consumers};

/* --- the source behind a bus -------------------------------------------------------------------------------------- */

struct pair {
        struct world *source, *copy;
        struct bus *bus;
        struct bus_server *bus_server;
        struct arena *arena;
};

static void send_hello(struct pair *p, const struct bus_peer *to)
{
        Nuanxin__Internal__V1__Hello hello = NUANXIN__INTERNAL__V1__HELLO__INIT;
        Nuanxin__Internal__V1__Accepts accepts[16], *pointers[16];
        Envelope envelope = NUANXIN__INTERNAL__V1__ENVELOPE__INIT;
        struct buf out = {0};
        hello.service = (char *)"test";
        hello.instance = (char *)"one";
        hello.may_write = true;
        hello.n_accepts = rpc_server_accepts(p->source->server, accepts, 16);
        hello.accepts = pointers;
        for (size_t i = 0; i < hello.n_accepts; i++)
                pointers[i] = &accepts[i];
        envelope.kind_case = NUANXIN__INTERNAL__V1__ENVELOPE__KIND_HELLO;
        envelope.hello = &hello;
        envelope_pack(&out, &envelope);
        CHECK_INT(bus_server_send(p->bus_server, to, buf_str(&out), (struct str){0}), 0);
        buf_done(&out);
}

static void on_request(void *arg, const struct bus_peer *from, struct str bytes, struct bus_frame *payload)
{
        struct pair *p = arg;
        Envelope *envelope;
        arena_reset(p->arena);
        CHECK_INT(envelope_unpack(p->arena, bytes, &envelope), 0);
        if (envelope->kind_case == NUANXIN__INTERNAL__V1__ENVELOPE__KIND_HELLO)
                send_hello(p, from);
        else if (p->source->server)
                rpc_server_submit(p->source->server, from, envelope, &p->arena, payload);
}

/* Replies to the other process go over the bus, those to the test's own questions to the world. */
static void on_reply(void *arg, const struct bus_peer *to, struct str envelope, struct str payload)
{
        struct pair *p = arg;
        if (to->n == 3 && memcmp(to->id, "abc", 3) == 0)
                world_on_reply(p->source, to, envelope, payload);
        else
                CHECK_INT(bus_server_send(p->bus_server, to, envelope, payload), 0);
}

/* Returns the peer that a client is given. */
static const char *pair_bind(struct pair *p)
{
        char path[128], bound[128];
        snprintf(path, sizeof(path), "ipc://%s/test.sock", p->source->root);
        world_must(bus_server_new(p->bus, p->source->loop, path, on_request, p, &p->bus_server, bound), "bind", NULL);
        return arena_printf(p->source->arena, "test=%s", bound);
}

static struct pair *pair_new(void)
{
        struct pair *p = mem_zalloc(sizeof(*p));
        const char *error = "";
        p->arena = arena_new(4096);
        p->source = world_new();
        p->source->reply = on_reply;
        p->source->reply_arg = p;
        world_restart(p->source);
        p->copy = world_make(p->source->loop, &copy_service);
        world_must(bus_new(&(struct bus_options){0}, &p->bus, &error), "bus", error);
        const char *const peers[] = {pair_bind(p), NULL};
        const struct rpc_client_options options = {.loop = p->source->loop,
                                                   .bus = p->bus,
                                                   .peers = peers,
                                                   .self_service = "copy",
                                                   .self_instance = "one",
                                                   .metrics = p->copy->metrics};
        world_must(rpc_client_new(&options, &p->copy->client), "client", NULL);
        world_write(p->copy);
        return p;
}

static void pair_free(struct pair *p)
{
        rpc_client_free(p->copy->client);
        world_done(p->copy);
        bus_server_free(p->bus_server);
        bus_free(p->bus);
        world_done(p->source);
        arena_free(p->arena);
        free(p);
}

static void put_things(struct world *w, const char *prefix, int n)
{
        char name[32];
        for (int i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "%s%04d", prefix, i);
                world_send(w, &(struct question){.method = PUT, .topic = name});
                if (i % 100 == 99) /* more at once would be shed by a service that is slow */
                        world_wait(w);
        }
        world_wait(w);
        world_number(w, "SELECT MAX(seq) FROM rpc_outbox"); /* by now all have their positions */
}

/* The source goes, and comes back with its store as if put back from a backup: another history. */
static void restore(struct pair *p)
{
        static const char forget_epoch[] = "DELETE FROM rpc_epoch";
        struct world *w = p->source;
        struct store_writer *writer;
        p->bus_server = bus_server_free(p->bus_server);
        rpc_server_free(w->server);
        w->server = NULL;
        world_must(store_writer_acquire(w->store, "one", false, &writer, NULL), "writer", NULL);
        CHECK_INT(store_begin(store_writer_conn(writer)), 0);
        CHECK_INT(store_exec(store_writer_conn(writer), forget_epoch, NULL), 0);
        CHECK_INT(store_commit(store_writer_conn(writer)), 0);
        store_writer_release(writer);
        world_start(w);
        world_write(w);
        pair_bind(p);
}

static void test_follows(void)
{
        struct pair *p = pair_new();
        put_things(p->source, "a", 1200);
        CHECK(world_until(p->copy, THINGS, 1200));
        CHECK_INT(world_number(p->copy, "SELECT COUNT(*) FROM rpc_cursor WHERE position = 1200 AND topic = -1"), 1);
        world_restart(p->copy);
        put_things(p->source, "b", 3);
        CHECK(world_until(p->copy, THINGS, 1203));
        CHECK_INT(world_number(p->copy, "SELECT MAX(n) FROM thing WHERE name LIKE 'b%'"), 1203);
        CHECK_INT(p->copy->runs, 0);
        pair_free(p);
}

static void test_starts_over(void)
{
        struct pair *p = pair_new();
        put_things(p->source, "a", 1200);
        CHECK(world_until(p->copy, THINGS, 1200));
        restore(p);
        put_things(p->source, "b", 3);
        CHECK(world_until(p->copy, "SELECT position FROM rpc_cursor WHERE topic = -1", 1203));
        CHECK_INT(world_number(p->copy, THINGS), 1203);
        CHECK_INT(p->copy->runs, 1);
        pair_free(p);
}

/* --- asked directly ----------------------------------------------------------------------------------------------- */

static void *peer_ask(struct world *w, const struct contract_method *method, const void *input)
{
        ProtobufCMessage *output = NULL;
        const Who *who = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__SERVICE, "copy");
        struct got *got = world_ask(w, &(struct question){.contract = method, .input = input, .who = who});
        CHECK_INT(got->reply.problem, 0);
        world_must(message_unpack(w->arena, method->output, got->payload.p, got->payload.n, &output), "answer", NULL);
        return output;
}

static void test_pull(void)
{
        struct world *w = world_new();
        PullEventsRequest ask = NUANXIN__INTERNAL__V1__PULL_EVENTS_REQUEST__INIT;
        world_write(w);
        put_things(w, "a", 5);
        ask.consumer = (char *)"me";
        ask.limit = 2;
        PullEventsResponse *told = peer_ask(w, &internal_v1_pull_events, &ask);
        CHECK_INT(told->n_events, 2);
        CHECK_INT(told->head, 5);
        CHECK(!told->reset);
        CHECK_INT(told->events[1]->seq, 2);
        CHECK(strncmp(told->events[1]->subject, "a000", 4) == 0); /* several wrote at once, where several may */
        CHECK_TEXT(told->events[1]->type, "nuanxin.membership.v1.OrganizationChanged");
        ask.epoch = told->epoch;
        ask.after = 5;
        ask.wait_ms = 50; /* no news: an empty answer after that */
        told = peer_ask(w, &internal_v1_pull_events, &ask);
        CHECK_INT(told->n_events, 0);
        CHECK(!told->reset);
        ask.after = 6; /* a position that was never given */
        told = peer_ask(w, &internal_v1_pull_events, &ask);
        CHECK(told->reset);
        ask.after = 1;
        ask.epoch = (char *)"00000000-0000-7000-8000-000000000000";
        told = peer_ask(w, &internal_v1_pull_events, &ask);
        CHECK(told->reset && told->n_events == 0);
        struct got *got = world_ask(w, &(struct question){.contract = &internal_v1_pull_events, .input = &ask});
        CHECK_INT(got->reply.problem, NUANXIN__PROBLEM__PROBLEM_PERMISSION_DENIED); /* a person */
        world_done(w);
}

static void test_trims(void)
{
        struct world *w = world_new();
        PullEventsRequest ask = NUANXIN__INTERNAL__V1__PULL_EVENTS_REQUEST__INIT;
        world_write(w);
        put_things(w, "a", 10);
        ask.consumer = (char *)"me";
        ask.limit = 1;
        ask.after = 6;
        CHECK_INT(((PullEventsResponse *)peer_ask(w, &internal_v1_pull_events, &ask))->n_events, 1);
        world_shift(w, 2 * CLOCK_HOUR_US);
        put_things(w, "b", 1);
        CHECK(world_until(w, "SELECT MIN(seq) FROM rpc_outbox", 7)); /* what it still needs stays */
        world_shift(w, 8 * CLOCK_DAY_US);
        put_things(w, "c", 1);
        CHECK(world_until(w, "SELECT MIN(seq) FROM rpc_outbox", 12)); /* within a limit */
        CHECK(((PullEventsResponse *)peer_ask(w, &internal_v1_pull_events, &ask))->reset);
        world_restart(w);
        put_things(w, "d", 1);
        CHECK_INT(world_number(w, "SELECT MAX(seq) FROM rpc_outbox"), 13);
        world_done(w);
}

static void test_audit_and_status(void)
{
        struct world *w = world_new();
        ListAuditRequest ask = NUANXIN__INTERNAL__V1__LIST_AUDIT_REQUEST__INIT;
        GetStatusRequest nothing = NUANXIN__INTERNAL__V1__GET_STATUS_REQUEST__INIT;
        world_write(w);
        put_things(w, "a", 3);
        ASK(w, .method = PUT, .key = "refuse",
            .who = world_who(NUANXIN__INTERNAL__V1__PRINCIPAL__KIND__OPERATOR, "root"));
        ListAuditResponse *told = peer_ask(w, &internal_v1_list_audit, &ask);
        CHECK_INT(told->n_entries, 4);
        CHECK_INT(told->next_before, 0);
        CHECK_TEXT(told->entries[0]->principal, "operator:root");
        CHECK_TEXT(told->entries[0]->outcome, "precondition-failed");
        ask.principal = (char *)"anna";
        ask.limit = 2;
        told = peer_ask(w, &internal_v1_list_audit, &ask);
        CHECK_INT(told->n_entries, 2);
        CHECK(strncmp(told->entries[0]->subject, "a000", 4) == 0); /* likewise */
        CHECK(told->next_before >= 2 && (told->next_before == 2 || store_is_shared(w->store))); /* there with gaps */
        ask.before = told->next_before;
        told = peer_ask(w, &internal_v1_list_audit, &ask);
        CHECK_INT(told->n_entries, 1);
        CHECK_INT(told->next_before, 0);

        Status *status = peer_ask(w, &internal_v1_get_status, &nothing);
        CHECK_TEXT(status->service, "test");
        CHECK(status->may_write && status->leads && !status->draining);
        CHECK_INT(status->n_lanes, 3);
        CHECK_INT(status->outbox_head, 3);
        CHECK(status->commits >= 2);
        CHECK_INT(status->n_consumers, 1);
        world_done(w);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"a consumer follows another service's outbox across restarts", test_follows},
                {"after a restore of its source a consumer starts over with the snapshot", test_starts_over},
                {"events are pulled in order; a strange position is told to start over", test_pull},
                {"the outbox is trimmed behind its readers, and within a limit", test_trims},
                {"the operator sees who did what, and what the instance does", test_audit_and_status},
        };
        return CHECK_MAIN(cases);
}
