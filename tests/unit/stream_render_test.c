/* SPDX-License-Identifier: Apache-2.0
 *
 * Events as agencies get them: CloudEvents in both forms, and that nothing hidden is in them, at any depth, known or not.
 */
// uses: services/stream/view.c services/stream/projection.c services/stream/render.c
#include "services/stream/render.h"
#include "tests/support/check.h"

#include "contract/activity_v1.h"
#include "contract/membership_v1.h"
#include "google/protobuf/any.pb-c.h"
#include "io/cloudevents/v1/cloudevents.pb-c.h"

#define JSON     NUANXIN__STREAM__V1__EVENT_FORMAT__JSON
#define PROTOBUF NUANXIN__STREAM__V1__EVENT_FORMAT__PROTOBUF
#define PUBLIC   NUANXIN__PRIVACY__PUBLIC
#define PERSONAL NUANXIN__PRIVACY__PERSONAL

#define MEMBER   "01920000-0000-7000-8000-000000000001"
#define CHECKIN  "01920000-0000-7000-8000-000000000002"
#define ACTIVITY "01920000-0000-7000-8000-000000000003"
#define CAMPAIGN "01920000-0000-7000-8000-000000000004"
#define EVENT    "01920000-0000-7000-8000-000000000005"

static struct arena *arena;

static StoredEvent stored(const struct contract_message *type, const void *message, const char *subject, const char *person)
{
        StoredEvent e = NUANXIN__STREAM__V1__STORED_EVENT__INIT;
        struct str data = message_pack(arena, message);
        e.seq = 42;
        e.source = (char *)"activity";
        e.id = (char *)EVENT;
        e.type = (char *)type->name;
        e.subject = (char *)subject;
        e.person = (char *)person;
        e.time_us = 1780000000123456;
        e.data = (ProtobufCBinaryData){.len = data.n, .data = (uint8_t *)(uintptr_t)data.p};
        return e;
}

static StoredEvent checkin(void)
{
        CheckinRecorded *m = message_new(arena, &activity_v1_checkin_recorded_msg);
        m->checkin = (char *)CHECKIN;
        m->activity = (char *)ACTIVITY;
        m->campaign = (char *)CAMPAIGN;
        m->member = (char *)MEMBER;
        m->organization = (char *)"430102";
        m->way = NUANXIN__ACTIVITY__V1__CHECKIN__WAY__ONLINE;
        return stored(&activity_v1_checkin_recorded_msg, m, CHECKIN, MEMBER);
}

static const char *render(Nuanxin__Privacy most, const char *withheld, EventFormat format, const StoredEvent *event,
                          const struct contract_message *type)
{
        const char *const items[] = {withheld};
        struct projection *p = projection_new(most, (struct view_list){items, withheld ? 1 : 0});
        struct buf out = {0};
        CHECK_INT(render_event(&out, arena, p, format, event, type), 0);
        const char *text = arena_strndup(arena, out.p, out.n);
        if (format == PROTOBUF) { /* its length first */
                struct str *bytes = ARENA_NEW(arena, struct str);
                *bytes = arena_str(arena, buf_str(&out));
                text = (const char *)bytes;
        }
        buf_done(&out);
        projection_free(p);
        return text;
}

/* --- JSON -------------------------------------------------------------------------------------------------------------------- */

static void json_is_a_cloud_event(void)
{
        StoredEvent e = checkin();
        CHECK_TEXT(render(PERSONAL, NULL, JSON, &e, &activity_v1_checkin_recorded_msg),
                   "{\"specversion\":\"1.0\",\"id\":\"" EVENT "\",\"source\":\"urn:nuanxin:activity\","
                   "\"type\":\"nuanxin.activity.v1.CheckinRecorded\",\"subject\":\"" CHECKIN "\","
                   "\"time\":\"2026-05-28T20:26:40.123456Z\",\"dataschema\":\"urn:nuanxin:schema:nuanxin.activity.v1.CheckinRecorded\","
                   "\"datacontenttype\":\"application/json\",\"sequence\":\"0000000000000000042\","
                   "\"data\":{\"checkin\":\"" CHECKIN "\",\"activity\":\"" ACTIVITY "\",\"campaign\":\"" CAMPAIGN "\",\"member\":\"" MEMBER
                   "\",\"organization\":\"430102\",\"way\":\"ONLINE\"}}");
}

/* Left out, not emptied. */
static void what_is_hidden_is_not_even_there(void)
{
        StoredEvent e = checkin();
        const char *text = render(PUBLIC, "nuanxin.activity.v1.CheckinRecorded.way", JSON, &e, &activity_v1_checkin_recorded_msg);
        CHECK(strstr(text, "\"data\":{\"checkin\":\"" CHECKIN "\",\"activity\":\"" ACTIVITY "\",\"campaign\":\"" CAMPAIGN
                           "\",\"organization\":\"430102\"}}"));
        CHECK(!strstr(text, MEMBER) && !strstr(text, "member\"") && !strstr(text, "way"));
}

static void a_subject_goes_with_its_field(void)
{
        MemberErased *m = message_new(arena, &membership_v1_member_erased_msg);
        m->member = (char *)MEMBER;
        StoredEvent e = stored(&membership_v1_member_erased_msg, m, MEMBER, MEMBER);
        CHECK(strstr(render(PERSONAL, NULL, JSON, &e, &membership_v1_member_erased_msg), "\"subject\":\"" MEMBER "\""));
        CHECK(!strstr(render(PUBLIC, NULL, JSON, &e, &membership_v1_member_erased_msg), MEMBER));
        CHECK(!strstr(render(PERSONAL, "nuanxin.membership.v1.MemberErased.member", JSON, &e, &membership_v1_member_erased_msg), MEMBER));
        StoredEvent c = checkin();
        c.subject = c.person; /* whatever the source says its subject is */
        CHECK(!strstr(render(PUBLIC, NULL, JSON, &c, &activity_v1_checkin_recorded_msg), MEMBER));
        StoredEvent d = checkin();
        CHECK(!strstr(render(PERSONAL, "nuanxin.activity.v1.CheckinRecorded.checkin", JSON, &d, &activity_v1_checkin_recorded_msg), CHECKIN));
}

static CampaignCreated *campaign(void)
{
        CampaignCreated *m = message_new(arena, &activity_v1_campaign_created_msg);
        m->campaign = (char *)CAMPAIGN;
        m->organization = (char *)"43";
        m->value = message_new(arena, &activity_v1_campaign_msg);
        m->value->id = (char *)CAMPAIGN;
        m->value->title = (char *)"暖心 \"5·29\"\n";
        m->value->description = (char *)"not for all";
        return m;
}

static void fields_are_hidden_at_depth(void)
{
        StoredEvent e = stored(&activity_v1_campaign_created_msg, campaign(), CAMPAIGN, "");
        const char *all = render(PUBLIC, NULL, JSON, &e, &activity_v1_campaign_created_msg);
        CHECK(strstr(all, "\"description\":\"not for all\"") && strstr(all, "\"title\":\"暖心 \\\"5·29\\\"\\n\""));
        const char *some = render(PUBLIC, "nuanxin.activity.v1.Campaign.description", JSON, &e, &activity_v1_campaign_created_msg);
        CHECK(strstr(some, "\"title\":\"暖心 \\\"5·29\\\"\\n\"") && strstr(some, "\"value\":{\"id\":\"" CAMPAIGN "\""));
        CHECK(!strstr(some, "description") && !strstr(some, "not for all"));
        const struct str *packed = (const struct str *)render(PUBLIC, "nuanxin.activity.v1.Campaign.description", PROTOBUF, &e,
                                                              &activity_v1_campaign_created_msg);
        CHECK(memmem(packed->p, packed->n, "5·29", 5) && !memmem(packed->p, packed->n, "not for all", 11));
        const char *none = render(PUBLIC, "nuanxin.activity.v1.CampaignCreated.value", JSON, &e, &activity_v1_campaign_created_msg);
        CHECK(!strstr(none, "value") && !strstr(none, "5·29"));
}

/* --- protobuf ------------------------------------------------------------------------------------------------------------------ */

typedef Io__Cloudevents__V1__CloudEvent CloudEvent;
typedef Io__Cloudevents__V1__CloudEventBatch CloudEventBatch;

static const Io__Cloudevents__V1__CloudEvent__CloudEventAttributeValue *attribute(const CloudEvent *e, const char *name)
{
        for (size_t i = 0; i < e->n_attributes; i++)
                if (strcmp(e->attributes[i]->key, name) == 0)
                        return e->attributes[i]->value;
        return NULL;
}

/* Rendered events, one behind the other, are a batch. */
static void protobuf_is_a_batch_of_cloud_events(void)
{
        StoredEvent e = checkin();
        struct projection *p = projection_new(PUBLIC, (struct view_list){NULL, 0});
        struct buf out = {0};
        for (int i = 0; i < 3; i++)
                CHECK_INT(render_event(&out, arena, p, PROTOBUF, &e, &activity_v1_checkin_recorded_msg), 0);
        CHECK_INT(render_frame(PROTOBUF).between.n, 0);
        CloudEventBatch *batch = io__cloudevents__v1__cloud_event_batch__unpack(NULL, out.n, (const uint8_t *)out.p);
        CHECK(batch && batch->n_events == 3);
        const CloudEvent *first = batch->events[0];
        CHECK_TEXT(first->id, EVENT);
        CHECK_TEXT(first->source, "urn:nuanxin:activity");
        CHECK_TEXT(first->spec_version, "1.0");
        CHECK_TEXT(first->type, "nuanxin.activity.v1.CheckinRecorded");
        CHECK_TEXT(attribute(first, "subject")->ce_string, CHECKIN);
        CHECK_TEXT(attribute(first, "sequence")->ce_string, "0000000000000000042");
        CHECK_TEXT(attribute(first, "datacontenttype")->ce_string, "application/protobuf");
        CHECK_TEXT(attribute(first, "dataschema")->ce_uri, "urn:nuanxin:schema:nuanxin.activity.v1.CheckinRecorded");
        CHECK_INT(attribute(first, "time")->ce_timestamp->seconds, 1780000000);
        CHECK_INT(attribute(first, "time")->ce_timestamp->nanos, 123456000);
        CHECK_TEXT(first->proto_data->type_url, "type.googleapis.com/nuanxin.activity.v1.CheckinRecorded");
        ProtobufCMessage *data;
        CHECK_INT(message_unpack(arena, &activity_v1_checkin_recorded_msg, first->proto_data->value.data,
                                 first->proto_data->value.len, &data), 0);
        CHECK_TEXT(((CheckinRecorded *)data)->checkin, CHECKIN);
        CHECK_TEXT(((CheckinRecorded *)data)->member, "");
        CHECK(!memmem(out.p, out.n, MEMBER, strlen(MEMBER)));
        io__cloudevents__v1__cloud_event_batch__free_unpacked(batch, NULL);
        buf_done(&out);
        projection_free(p);
}

/* --- what is not known ------------------------------------------------------------------------------------------------------------ */

static int apply(struct str data, struct str *ret)
{
        struct projection *p = projection_new(PERSONAL, (struct view_list){NULL, 0});
        int r = projection_apply(p, arena, &activity_v1_campaign_created_msg, data, ret);
        projection_free(p);
        return r;
}

/* A newer source may say more than this build can judge. */
static void unknown_fields_are_left_out_at_any_depth(void)
{
        static const char more[] = "\xfa\x07\x06secret"    /* 127: "secret" */
                                   "\xf8\x07\x2a"          /* 127: 42 */
                                   "\xfd\x07\x01\x02\x03\x04"; /* 127: four bytes */
        CampaignCreated *m = campaign();
        struct str whole = message_pack(arena, m), inner = message_pack(arena, m->value), cut;
        struct buf out = {0};
        m->value = NULL;
        struct str outer = message_pack(arena, m);
        buf_add_str(&out, outer);
        buf_add(&out, more, sizeof(more) - 1);
        buf_add(&out, "\x1a", 1); /* 3: the value, with more behind it */
        buf_add_char(&out, (char)(inner.n + sizeof(more) - 1));
        buf_add_str(&out, inner);
        buf_add(&out, more, sizeof(more) - 1);
        CHECK(inner.n + sizeof(more) - 1 < 128);
        CHECK_INT(apply(buf_str(&out), &cut), 0);
        CHECK(str_eq(cut, whole));
        buf_done(&out);
}

static void what_is_no_message_is_refused(void)
{
        static const struct str wrong[] = {
                STR("\x0a"),                 /* a length is missing */
                STR("\x0a\x05" "abc"),       /* shorter than it says */
                STR("\x0b"),                 /* a group */
                STR("\x18\x01"),             /* a number where a message should be */
                STR("\x1a\x02\x0a\x05"),     /* wrong inside */
                STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
                STR("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "abc"),
                STR("\x09\x01\x02\x03"),
        };
        struct str cut;
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
                CHECK_INT(apply(wrong[i], &cut), -EBADMSG);
        CHECK_INT(apply((struct str){NULL, 0}, &cut), 0);
        CHECK_INT(cut.n, 0);
}

/* Every byte of a real event turned in every way: nothing but a refusal, or a message. */
static void damaged_messages_do_no_harm(void)
{
        struct str whole = message_pack(arena, campaign());
        struct arena *kept = arena;
        for (size_t i = 0; i < whole.n; i++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        arena = arena_new(8192);
                        struct str damaged = arena_str(arena, whole), cut;
                        ((char *)(uintptr_t)damaged.p)[i] ^= (char)(1 << bit);
                        if (apply(damaged, &cut) == 0)
                                CHECK(cut.n <= whole.n);
                        arena_free(arena);
                        arena = kept;
                }
}

static void a_projection_is_named_by_what_it_hides(void)
{
        const char *const ab[] = {"t.T.a", "t.T.b"}, *const ba[] = {"t.T.b", "t.T.a", "t.T.a"};
        struct str one = projection_name_of(arena, PUBLIC, (struct view_list){ab, 2});
        CHECK(str_eq(one, projection_name_of(arena, PUBLIC, (struct view_list){ba, 3})));
        CHECK(!str_eq(one, projection_name_of(arena, PERSONAL, (struct view_list){ab, 2})));
        CHECK(!str_eq(one, projection_name_of(arena, PUBLIC, (struct view_list){ab, 1})));
}

int main(void)
{
        static const struct check_case cases[] = {
                {"in JSON it is a CloudEvent with the data's own JSON", json_is_a_cloud_event},
                {"what is hidden is not there, not even empty", what_is_hidden_is_not_even_there},
                {"a subject is shown with the field that it is", a_subject_goes_with_its_field},
                {"fields are hidden inside messages, too", fields_are_hidden_at_depth},
                {"in protobuf rendered events make a batch", protobuf_is_a_batch_of_cloud_events},
                {"what this build does not know is left out, at any depth", unknown_fields_are_left_out_at_any_depth},
                {"what is no message is refused", what_is_no_message_is_refused},
                {"damaged messages do no harm", damaged_messages_do_no_harm},
                {"a projection is named by what it hides", a_projection_is_named_by_what_it_hides},
        };
        arena = arena_new(65536);
        int r = CHECK_MAIN(cases);
        arena_free(arena);
        return r;
}
