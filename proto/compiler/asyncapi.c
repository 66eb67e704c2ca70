/* SPDX-License-Identifier: Apache-2.0
 *
 * asyncapi.json: the AsyncAPI 3.0 document of the events that agencies can read: a channel for each type, its message as
 * CloudEvents in JSON, and the four ways in which it comes. Events of the machinery are not in it.
 */
#include "emit.h"

#include "http.h"
#include "reached.h"
#include "schema.h"
#include "source.h"

struct document {
        struct json j;
        struct arena *arena;
        const struct model *m;
        struct message **events;
        size_t n_events;
};

static const char *short_name(const struct message *x)
{
        return strrchr(x->name, '.') + 1;
}

/* nuanxin.activity.v1.CheckinRecorded → urn:nuanxin:activity */
static const char *source_of(struct arena *arena, const struct message *x)
{
        struct str rest = str_of(x->name);
        str_cut(&rest, '.');
        struct str service = str_cut(&rest, '.');
        return arena_printf(arena, "urn:nuanxin:%.*s", (int)service.n, service.p);
}

static const char *dataschema_of(struct arena *arena, const struct message *x)
{
        return arena_printf(arena, "urn:nuanxin:schema:%s", x->name);
}

static const struct field *field_of(const struct message *x, const char *name)
{
        return message_find_field(x, str_of(name));
}

static void reference(struct document *d, const char *where)
{
        json_open(&d->j, '{');
        json_member(&d->j, "$ref", where);
        json_close(&d->j, '}');
}

/* --- servers --------------------------------------------------------------------------------------------------- */

struct server {
        const char *name, *host, *pathname, *protocol, *version, *title, *security, *about;
        const char *variables[4][2]; /* of the host, and what they stand for */
};

static const struct server servers_of_all[] = {
        {"poll", "{gateway}", "/v1/events", "https", "1.1", "HTTP poll", "apiKey",
         "GET with the cursor of the answer before, which acknowledges what came with it; waits up to 30 s for news with `wait`. "
         "Begin with /v1/events:snapshot, whose last page has the first cursor. The answers are in /openapi.json.",
         {{"gateway", "The gateway's host and port."}}},
        {"sse", "{gateway}", "/v1/events:stream", "https", "1.1", "Server-sent events", "apiKey",
         "GET with Accept: text/event-stream. Each event's `id` is the cursor behind it, which Last-Event-ID gives back; a comment "
         "line comes every 15 s. Who reads too slowly is cut off, and goes on where it was.",
         {{"gateway", "The gateway's host and port."}}},
        {"zeromq", "{edge}:{port}", NULL, "zeromq", "3.1", "ZeroMQ with CURVE", "curve",
         "A DEALER or REQ sends FETCH with a cursor and gets a batch, in JSON or in protobuf, as it asked: the grammar stands in "
         "proto/nuanxin/stream/v1/edge.proto. Begin with the cursor `snapshot`.",
         {{"edge", "The edge's host."}, {"port", "The edge's port."}}},
        {"webhook", "{endpoint}", NULL, "https", "1.1", "Webhooks", NULL,
         "One POST an event, in order, to an address that the agency gave to the association; CloudEvents' OPTIONS handshake comes "
         "first, and the first event at once after it. Signed after the Standard Webhooks specification: webhook-signature has "
         "v1 (HMAC-SHA-256) and v1a (ed25519) of \"webhook-id.webhook-timestamp.body\". 2xx within 20 s acknowledges it; else it is "
         "sent again over three days, with the same webhook-id. /docs#webhooks says all of it.",
         {{"endpoint", "The agency's own host and path."}}},
};

static void server(struct document *d, const struct server *s)
{
        json_open_member(&d->j, s->name, '{');
        json_member(&d->j, "host", s->host);
        if (s->pathname)
                json_member(&d->j, "pathname", s->pathname);
        json_member(&d->j, "protocol", s->protocol);
        json_member(&d->j, "protocolVersion", s->version);
        json_member(&d->j, "title", s->title);
        json_member(&d->j, "description", s->about);
        json_open_member(&d->j, "variables", '{');
        for (size_t i = 0; s->variables[i][0]; i++) {
                json_open_member(&d->j, s->variables[i][0], '{');
                json_member(&d->j, "description", s->variables[i][1]);
                json_close(&d->j, '}');
        }
        json_close(&d->j, '}');
        if (s->security) {
                json_open_member(&d->j, "security", '[');
                reference(d, arena_printf(d->arena, "#/components/securitySchemes/%s", s->security));
                json_close(&d->j, ']');
        }
        json_close(&d->j, '}');
}

static void servers(struct document *d)
{
        json_open_member(&d->j, "servers", '{');
        for (size_t i = 0; i < ARRAY_LEN(servers_of_all); i++)
                server(d, &servers_of_all[i]);
        json_close(&d->j, '}');
}

/* --- channels and operations ------------------------------------------------------------------------------------ */

static void tags(struct document *d, const struct message *x)
{
        json_open_member(&d->j, "tags", '[');
        json_open(&d->j, '{');
        json_member(&d->j, "name", x->event->topic);
        json_close(&d->j, '}');
        json_close(&d->j, ']');
}

/* All on every server, so none is named. The address is what a fetch asks for as `types`. */
static void channels(struct document *d)
{
        json_open_member(&d->j, "channels", '{');
        for (size_t i = 0; i < d->n_events; i++) {
                const struct message *x = d->events[i];
                json_open_member(&d->j, x->name, '{');
                json_member(&d->j, "address", x->name);
                json_member(&d->j, "title", short_name(x));
                json_open_member(&d->j, "messages", '{');
                json_key(&d->j, short_name(x));
                reference(d, arena_printf(d->arena, "#/components/messages/%s", x->name));
                json_close(&d->j, '}');
                tags(d, x);
                json_close(&d->j, '}');
        }
        json_close(&d->j, '}');
}

static void operations(struct document *d)
{
        json_open_member(&d->j, "operations", '{');
        for (size_t i = 0; i < d->n_events; i++) {
                const struct message *x = d->events[i];
                const char *channel = arena_printf(d->arena, "#/channels/%s", x->name);
                json_open_member(&d->j, x->name, '{');
                json_member(&d->j, "action", "send");
                json_key(&d->j, "channel");
                reference(d, channel);
                json_open_member(&d->j, "messages", '[');
                reference(d, arena_printf(d->arena, "%s/messages/%s", channel, short_name(x)));
                json_close(&d->j, ']');
                json_close(&d->j, '}');
        }
        json_close(&d->j, '}');
}

/* --- messages ---------------------------------------------------------------------------------------------------- */

static void is_always(struct document *d, const char *attribute, const char *value)
{
        json_open_member(&d->j, attribute, '{');
        json_member(&d->j, "const", value);
        json_close(&d->j, '}');
}

static bool subject_is_person(const struct message *x)
{
        return x->event->person[0] && strcmp(x->event->person, x->event->subject) == 0;
}

static void payload(struct document *d, const struct message *x)
{
        json_open_member(&d->j, "payload", '{');
        json_open_member(&d->j, "allOf", '[');
        schema_ref(&d->j, d->arena, SCHEMA_CLOUD_EVENT);
        json_open(&d->j, '{');
        json_open_member(&d->j, "properties", '{');
        is_always(d, "type", x->name);
        is_always(d, "source", source_of(d->arena, x));
        is_always(d, "dataschema", dataschema_of(d->arena, x));
        if (subject_is_person(x)) {
                json_open_member(&d->j, "subject", '{');
                json_member(&d->j, "x-nuanxin-privacy", "PERSONAL");
                json_close(&d->j, '}');
        }
        json_key(&d->j, "data");
        schema_ref(&d->j, d->arena, x->name);
        json_close(&d->j, '}');
        json_close(&d->j, '}');
        json_close(&d->j, ']');
        json_close(&d->j, '}');
}

static void example(struct document *d, const struct message *x)
{
        const struct field *subject = field_of(x, x->event->subject);
        json_open_member(&d->j, "examples", '[');
        json_open(&d->j, '{');
        json_member(&d->j, "name", short_name(x));
        json_key(&d->j, "payload");
        example_event(&d->j, d->arena, x->name, example_text(d->arena, subject), x);
        json_close(&d->j, '}');
        json_close(&d->j, ']');
}

static void message(struct document *d, const struct message *x)
{
        const char *comment = source_comment(d->arena, x->place);
        json_open_member(&d->j, x->name, '{');
        json_member(&d->j, "name", x->name);
        json_member(&d->j, "title", short_name(x));
        if (comment[0]) {
                json_member(&d->j, "summary", http_first_sentence(d->arena, comment));
                json_member(&d->j, "description", comment);
        }
        json_member(&d->j, "contentType", "application/cloudevents+json");
        tags(d, x);
        json_member(&d->j, "x-nuanxin-subject", field_of(x, x->event->subject)->json);
        if (x->event->person[0])
                json_member(&d->j, "x-nuanxin-person", field_of(x, x->event->person)->json);
        if (x->event->notice)
                json_member_bool(&d->j, "x-nuanxin-notice", true);
        json_member(&d->j, "x-nuanxin-protobuf", arena_printf(d->arena, "type.googleapis.com/%s", x->name));
        payload(d, x);
        example(d, x);
        json_close(&d->j, '}');
}

/* --- components --------------------------------------------------------------------------------------------------- */

static void on_message(void *arg, const struct message *x)
{
        struct document *d = arg;
        json_key(&d->j, schema_name(x->name));
        schema_event_data(&d->j, d->arena, x);
}

static void on_enum(void *arg, const struct enumeration *e)
{
        struct document *d = arg;
        json_key(&d->j, schema_name(e->name));
        schema_enum(&d->j, d->arena, e);
}

static void schemas(struct document *d)
{
        struct reached r = {.on_message = on_message, .on_enum = on_enum, .arg = d};
        json_open_member(&d->j, "schemas", '{');
        json_key(&d->j, SCHEMA_CLOUD_EVENT);
        schema_cloud_event(&d->j);
        for (size_t i = 0; i < d->n_events; i++)
                reach_message(&r, d->events[i]);
        json_close(&d->j, '}');
        reached_done(&r);
}

static void security(struct document *d, const char *name, const char *type, const char *scheme, const char *about)
{
        json_open_member(&d->j, name, '{');
        json_member(&d->j, "type", type);
        if (scheme)
                json_member(&d->j, "scheme", scheme);
        json_member(&d->j, "description", about);
        json_close(&d->j, '}');
}

static void components(struct document *d)
{
        json_open_member(&d->j, "components", '{');
        json_open_member(&d->j, "securitySchemes", '{');
        security(d, "apiKey", "http", "bearer", "The agency's API key (nxa_…).");
        security(d, "curve", "asymmetricEncryption", NULL,
                 "CURVE (RFC 26 of ZeroMQ): the edge's public key as the server's, the agency's registered pair as its own.");
        json_close(&d->j, '}');
        json_open_member(&d->j, "messages", '{');
        for (size_t i = 0; i < d->n_events; i++)
                message(d, d->events[i]);
        json_close(&d->j, '}');
        schemas(d);
        json_close(&d->j, '}');
}

static void info(struct document *d, const char *hash)
{
        json_open_member(&d->j, "info", '{');
        json_member(&d->j, "title", "Nuanxin 暖心: events");
        json_member(&d->j, "version", "1");
        json_member(&d->j, "description",
                    "What happens in the association, for agencies under an agreement. The promise: at least once, in one total "
                    "order per log, without gaps, and acknowledged means fsynced. The cursor, EPOCH:SEQ, is the same on every "
                    "transport; one that is older than what the log keeps is answered 410 with the way to a snapshot of the "
                    "present state.\n\nAn agency is told of what its agreement names: types, organisations with all below them, a "
                    "highest privacy class. x-nuanxin-person is the field with the id of whom a message is about: it comes only "
                    "while that person consents to one of the agency's purposes, or if the law gives the agency one of its own. "
                    "x-nuanxin-notice: it asks to delete what is held of that person, and no lack of consent holds it back. "
                    "x-nuanxin-privacy: only for agencies of at least that class; a field that has none is public.");
        json_member(&d->j, "x-nuanxin-contract", hash);
        json_close(&d->j, '}');
}

void emit_asyncapi(struct buf *out, const struct model *m, const char *hash)
{
        struct document d = {.j = {.out = out, .lines = 3}, .arena = m->arena, .m = m};
        d.events = ARENA_ARRAY(m->arena, struct message *, m->n_messages + 1);
        for (size_t i = 0; i < m->n_messages; i++)
                if (m->messages[i]->event && !m->messages[i]->event->internal)
                        d.events[d.n_events++] = m->messages[i];
        json_open(&d.j, '{');
        json_member(&d.j, "asyncapi", "3.0.0");
        json_member(&d.j, "id", "urn:nuanxin:events");
        info(&d, hash);
        json_member(&d.j, "defaultContentType", "application/cloudevents+json");
        servers(&d);
        channels(&d);
        operations(&d);
        components(&d);
        json_close(&d.j, '}');
        buf_add_char(out, '\n');
}
