/* SPDX-License-Identifier: Apache-2.0
 *
 * Events as agencies get them. The JSON is the CloudEvents JSON Event Format with the data's own JSON (the proto3 mapping)
 * inside; the protobuf is CloudEvents' Protobuf Event Format with the data as an Any.
 */
#include "render.h"

#include "common/base/clock.h"
#include "common/contract/field.h"
#include "common/json/transcode.h"
#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "io/cloudevents/v1/cloudevents.pb-c.h"

#include <inttypes.h>
#include <stdio.h>

#define SOURCE "urn:nuanxin:"
#define SCHEMA "urn:nuanxin:schema:"
#define ANY    "type.googleapis.com/"

/* Orders as text, as the extension asks. */
#define SEQUENCE_SIZE 20
static void sequence_write(char out[SEQUENCE_SIZE], int64_t seq)
{
        snprintf(out, SEQUENCE_SIZE, "%019" PRId64, seq);
}

static Google__Protobuf__Timestamp timestamp_of(int64_t us)
{
        Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        int64_t rest = us % CLOCK_SECOND_US;
        t.seconds = us / CLOCK_SECOND_US - (rest < 0);
        t.nanos = (int32_t)((rest < 0 ? rest + CLOCK_SECOND_US : rest) * 1000);
        return t;
}

/* The subject is a field's value, and shown with it. */
static bool subject_shown(const struct shape *shape, const StoredEvent *event)
{
        const struct contract_message *type = shape->type;
        const struct contract_field *subject = type->subject ? message_field(type, str_of(type->subject)) : NULL;
        const struct contract_field *person = type->person ? message_field(type, str_of(type->person)) : NULL;
        if (!event->subject[0] || !subject || !shape->shown[subject - type->fields])
                return false;
        return !person || shape->shown[person - type->fields] || strcmp(event->subject, event->person) != 0;
}

/* --- JSON ------------------------------------------------------------------------------------------------------------- */

static void value_write(struct buf *out, const struct shape *shape, const void *message);

/* Only what is shown: what is hidden is not even there as an empty value. */
static bool field_write(struct buf *out, const struct shape *shape, unsigned i, const void *message)
{
        const ProtobufCFieldDescriptor *pb = &shape->type->pb->fields[i];
        const struct shape *inner = shape->inner[i];
        if (!inner || inner->whole)
                return transcode_field_to_json(out, shape->type, i, message);
        if (!field_repeated(pb)) {
                const void *value = field_chosen(message, pb) ? *(void *const *)field_value(message, pb) : NULL;
                if (value)
                        value_write(out, inner, value);
                return value;
        }
        void *const *items = *(void **const *)field_value(message, pb);
        buf_add_char(out, '[');
        for (size_t k = 0; k < *field_count(message, pb); k++) {
                if (k)
                        buf_add_char(out, ',');
                value_write(out, inner, items[k]);
        }
        buf_add_char(out, ']');
        return true;
}

static void value_write(struct buf *out, const struct shape *shape, const void *message)
{
        char before = '{';
        if (shape->whole) {
                transcode_to_json(out, shape->type, message);
                return;
        }
        for (unsigned i = 0; i < shape->type->n_fields; i++) {
                size_t back = out->n;
                if (!shape->shown[i])
                        continue;
                buf_add_char(out, before);
                buf_add_str(out, shape->type->fields[i].json_key);
                if (field_write(out, shape, i, message))
                        before = ',';
                else
                        out->n = back;
        }
        buf_add_z(out, before == '{' ? "{}" : "}");
}

static void text_write(struct buf *out, const char *name, const char *prefix, const char *text)
{
        buf_add_z(out, name);
        buf_add_char(out, '"');
        buf_add_z(out, prefix);
        struct buf quoted = {0};
        transcode_json_string(&quoted, str_of(text));
        buf_add(out, quoted.p + 1, quoted.n - 1);
        buf_done(&quoted);
}

static int json_write(struct buf *out, struct arena *arena, const struct shape *shape, const StoredEvent *event, struct str data)
{
        const struct contract_message *time_type = contract_message_by_name(STR("google.protobuf.Timestamp"));
        const Google__Protobuf__Timestamp time = timestamp_of(event->time_us);
        char sequence[SEQUENCE_SIZE];
        ProtobufCMessage *message;
        int r = message_unpack(arena, shape->type, data.p, data.n, &message);
        if (r != 0)
                return r;
        sequence_write(sequence, event->seq);
        text_write(out, "{\"specversion\":\"1.0\",\"id\":", "", event->id);
        text_write(out, ",\"source\":", SOURCE, event->source);
        text_write(out, ",\"type\":", "", shape->type->name);
        if (subject_shown(shape, event))
                text_write(out, ",\"subject\":", "", event->subject);
        buf_add_z(out, ",\"time\":");
        transcode_to_json(out, time_type, &time);
        text_write(out, ",\"dataschema\":", SCHEMA, shape->type->name);
        text_write(out, ",\"datacontenttype\":\"application/json\",\"sequence\":", "", sequence);
        buf_add_z(out, ",\"data\":");
        value_write(out, shape, message);
        buf_add_char(out, '}');
        return 0;
}

/* --- protobuf ----------------------------------------------------------------------------------------------------------- */

typedef Io__Cloudevents__V1__CloudEvent CloudEvent;
typedef Io__Cloudevents__V1__CloudEvent__CloudEventAttributeValue Value;
typedef Io__Cloudevents__V1__CloudEvent__AttributesEntry Entry;
#define CASE(name) IO__CLOUDEVENTS__V1__CLOUD_EVENT__CLOUD_EVENT_ATTRIBUTE_VALUE__ATTR_CE_##name

#define ATTRIBUTES_MAX 5
struct attributes {
        Value values[ATTRIBUTES_MAX];
        Entry entries[ATTRIBUTES_MAX];
        Entry *list[ATTRIBUTES_MAX];
        size_t n;
};

static Value *attribute_add(struct attributes *a, const char *name)
{
        size_t i = a->n++;
        io__cloudevents__v1__cloud_event__cloud_event_attribute_value__init(&a->values[i]);
        io__cloudevents__v1__cloud_event__attributes_entry__init(&a->entries[i]);
        a->entries[i].key = (char *)name;
        a->entries[i].value = &a->values[i];
        a->list[i] = &a->entries[i];
        return &a->values[i];
}

static void text_attribute(struct attributes *a, const char *name, const char *text)
{
        Value *value = attribute_add(a, name);
        value->attr_case = CASE(STRING);
        value->ce_string = (char *)text;
}

static void protobuf_write(struct buf *out, struct arena *arena, const struct shape *shape, const StoredEvent *event,
                           struct str data)
{
        CloudEvent e;
        Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
        Google__Protobuf__Timestamp time = timestamp_of(event->time_us);
        struct attributes attributes = {.n = 0};
        char sequence[SEQUENCE_SIZE];
        io__cloudevents__v1__cloud_event__init(&e);
        sequence_write(sequence, event->seq);
        if (subject_shown(shape, event))
                text_attribute(&attributes, "subject", event->subject);
        Value *value = attribute_add(&attributes, "time");
        value->attr_case = CASE(TIMESTAMP);
        value->ce_timestamp = &time;
        value = attribute_add(&attributes, "dataschema");
        value->attr_case = CASE(URI);
        value->ce_uri = arena_printf(arena, SCHEMA "%s", shape->type->name);
        text_attribute(&attributes, "datacontenttype", "application/protobuf");
        text_attribute(&attributes, "sequence", sequence);
        any.type_url = arena_printf(arena, ANY "%s", shape->type->name);
        any.value = (ProtobufCBinaryData){.len = data.n, .data = (uint8_t *)(uintptr_t)data.p};
        e.id = event->id;
        e.source = arena_printf(arena, SOURCE "%s", event->source);
        e.spec_version = (char *)"1.0";
        e.type = (char *)shape->type->name;
        e.attributes = attributes.list;
        e.n_attributes = attributes.n;
        e.data_case = IO__CLOUDEVENTS__V1__CLOUD_EVENT__DATA_PROTO_DATA;
        e.proto_data = &any;

        uint64_t n = protobuf_c_message_get_packed_size(&e.base);
        buf_add_char(out, 1 << 3 | 2); /* CloudEventBatch.events */
        for (; n >= 0x80; n >>= 7)
                buf_add_char(out, (char)(n | 0x80));
        buf_add_char(out, (char)n);
        message_pack_buf(out, &e);
}

/* --- both ----------------------------------------------------------------------------------------------------------------- */

int render_event(struct buf *out, struct arena *arena, const struct projection *projection, EventFormat format,
                 const StoredEvent *event, const struct contract_message *type)
{
        struct str data = str_bytes(event->data.data, event->data.len), shown;
        const struct shape *shape = projection_shape(projection, type);
        int r = projection_apply(projection, arena, type, data, &shown);
        if (r != 0)
                return r;
        if (format == NUANXIN__STREAM__V1__EVENT_FORMAT__JSON)
                return json_write(out, arena, shape, event, shown);
        protobuf_write(out, arena, shape, event, shown);
        return 0;
}

struct render_frame render_frame(EventFormat format)
{
        if (format == NUANXIN__STREAM__V1__EVENT_FORMAT__JSON)
                return (struct render_frame){STR("["), STR(","), STR("]")};
        return (struct render_frame){{0}, {0}, {0}};
}
