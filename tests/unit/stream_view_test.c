/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may see what of an event: every combination of what decides, against the rule said once more in other words; types,
 * places and fields.
 */
// uses: services/stream/view.c
#include "services/stream/view.h"
#include "tests/support/check.h"

#include "contract/activity_v1.h"
#include "contract/membership_v1.h"

#define NOW 1000

static struct view_list list(const char *const *items)
{
        struct view_list l = {items, 0};
        while (items[l.n])
                l.n++;
        return l;
}
#define LIST(...) list((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* --- an event, whole ---------------------------------------------------------------------------------------------------- */

/* The rule as a list of what is shown; everything else is hidden. */
static bool should_show(const struct view_facts *f)
{
        bool may = f->known && f->allowed && f->in_scope;
        bool consent_event = f->names_purpose;
        bool notice_of_erasure = f->notice && !consent_event;
        if (may && !consent_event && !f->about_person)
                return true; /* about nobody */
        if (may && notice_of_erasure && f->about_person)
                return true; /* to delete */
        if (may && consent_event && f->holds_purpose && !f->about_person)
                return true;
        if (may && !f->erased && f->about_person && (!consent_event || f->holds_purpose))
                return f->notice || f->statutory || f->consented;
        return false;
}

static void every_combination(void)
{
        int shown = 0;
        for (unsigned bits = 0; bits < 1u << 10; bits++) {
                const struct view_facts f = {
                        .known = bits & 1,
                        .allowed = bits & 2,
                        .in_scope = bits & 4,
                        .about_person = bits & 8,
                        .erased = bits & 16,
                        .consented = bits & 32,
                        .statutory = bits & 64,
                        .notice = bits & 128,
                        .names_purpose = bits & 256,
                        .holds_purpose = bits & 512,
                };
                bool got = view_shows(&f);
                shown += got;
                if (got != should_show(&f)) {
                        printf("# of facts %#x it says %d\n", bits, got);
                        check_failed = true;
                }
                /* Whatever else: nothing unknown, not allowed, elsewhere, or about an erased person but its notice. */
                CHECK(!got || (f.known && f.allowed && f.in_scope));
                CHECK(!got || !f.about_person || !f.erased || (f.notice && !f.names_purpose));
                CHECK(!got || !f.names_purpose || f.holds_purpose);
                CHECK(!got || !f.about_person || f.notice || f.statutory || f.consented);
        }
        CHECK(shown > 0 && shown < 128);
}

static void standing_follows_state_and_agreement(void)
{
        struct view_profile p = {.agreement_expire_us = NOW + 1};
        CHECK_INT(view_standing(&p, NOW), VIEW_STANDS);
        CHECK_INT(view_standing(&p, NOW + 1), VIEW_EXPIRED);
        p.suspended = true;
        CHECK_INT(view_standing(&p, NOW), VIEW_SUSPENDED);
        CHECK_INT(view_standing(&p, NOW + 1), VIEW_SUSPENDED);
        CHECK_INT(view_standing(&(struct view_profile){.agreement_expire_us = 0}, NOW), VIEW_EXPIRED);
        CHECK_INT(view_standing(&(struct view_profile){.everything = true}, NOW), VIEW_STANDS);
}

/* --- types ----------------------------------------------------------------------------------------------------------------- */

static void types_are_named_or_below_a_prefix(void)
{
        static const char *const type = "nuanxin.activity.v1.CheckinRecorded";
        CHECK(view_pattern_has(str_of(type), type));
        CHECK(view_pattern_has(STR("nuanxin.activity.v1.*"), type));
        CHECK(view_pattern_has(STR("nuanxin.*"), type));
        CHECK(!view_pattern_has(STR("nuanxin.activity.v1"), type));
        CHECK(!view_pattern_has(STR("nuanxin.activity.v1."), type));
        CHECK(!view_pattern_has(STR("nuanxin.activity.v1.Checkin*"), type));
        CHECK(!view_pattern_has(STR("nuanxin.activity.v1.CheckinRecorded.*"), type));
        CHECK(!view_pattern_has(STR("nuanxin.activity.v10.*"), type));
        CHECK(!view_pattern_has(STR("*"), type));
        CHECK(!view_pattern_has(STR(""), type));
        CHECK(view_pattern_is_known(STR("nuanxin.membership.v1.MemberErased")));
        CHECK(view_pattern_is_known(STR("nuanxin.stream.v1.*")));
        CHECK(!view_pattern_is_known(STR("nuanxin.membership.v1.AccountRightsChanged"))); /* of the machinery */
        CHECK(!view_pattern_is_known(STR("nuanxin.membership.v1.Member")));               /* no event */
        CHECK(!view_pattern_is_known(STR("nuanxin.housing.v1.*")));
        CHECK(!view_pattern_is_known(STR("")));
}

static void no_type_of_the_machinery_is_allowed(void)
{
        struct arena *arena = arena_new(4096);
        struct view_types all = view_types_of(arena, LIST("nuanxin.*")), none = view_types_of(arena, LIST());
        struct view_types one = view_types_of(arena, LIST("nuanxin.activity.v1.CheckinRecorded"));
        unsigned events = 0;
        for (unsigned i = 0; i < contract_n_messages; i++) {
                const struct contract_message *type = contract_messages[i];
                CHECK_INT(view_type_index(type), i);
                CHECK_INT(view_types_have(all, i), type->topic && !type->event_internal);
                CHECK(!view_types_have(none, i));
                CHECK_INT(view_types_have(one, i), type == &activity_v1_checkin_recorded_msg);
                events += view_types_have(all, i);
        }
        CHECK(events > 10);
        arena_free(arena);
}

static void consents_name_their_purpose(void)
{
        CHECK(view_names_purpose(&membership_v1_consent_given_msg));
        CHECK(view_names_purpose(&membership_v1_consent_withdrawn_msg));
        CHECK(!view_names_purpose(&membership_v1_member_erased_msg));
        CHECK(!view_names_purpose(&activity_v1_checkin_recorded_msg));
}

/* --- places ------------------------------------------------------------------------------------------------------------------ */

static void scope_is_a_segment_of_a_path(void)
{
        struct view_profile p = {.organizations = LIST("4301")};
        CHECK(view_in_scope(&p, STR("/43/4301/")));
        CHECK(view_in_scope(&p, STR("/43/4301/430102/")));
        CHECK(!view_in_scope(&p, STR("/43/")));
        CHECK(!view_in_scope(&p, STR("/43/43012/")));
        CHECK(!view_in_scope(&p, STR("/43/14301/")));
        CHECK(!view_in_scope(&p, STR("/43/4302/430201/")));
        CHECK(!view_in_scope(&p, STR("")));
        CHECK(view_in_scope(&p, STR("/43/4302/\n/43/4301/")));
        CHECK(!view_in_scope(&p, STR("/43/4302/\n/43/4303/")));
        p.organizations = LIST("4303", "430102");
        CHECK(view_in_scope(&p, STR("/43/4301/430102/430102001/")));
        CHECK(!view_in_scope(&p, STR("/43/4301/430103/")));
        p.organizations = LIST();
        CHECK(!view_in_scope(&p, STR("/43/")));
        p.organizations = LIST("");
        CHECK(!view_in_scope(&p, STR("/43/")));
        CHECK(!view_in_scope(&p, STR("")));
}

static void nowhere_is_seen_from_the_top_alone(void)
{
        struct view_profile p = {.organizations = LIST("43"), .top = true};
        CHECK(view_in_scope(&p, STR("")));
        CHECK(view_in_scope(&p, STR("/43/4301/")));
        CHECK(!view_in_scope(&p, STR("/44/4401/"))); /* another tree */
        p.top = false;
        CHECK(!view_in_scope(&p, STR("")));
        CHECK(view_in_scope(&(struct view_profile){.everything = true}, STR("")));
}

static void purposes_are_held_of_both_kinds(void)
{
        const struct view_profile p = {.purposes = LIST("care", "insurance"), .statutory = LIST("inspection")};
        CHECK(view_holds(&p, "care") && view_holds(&p, "insurance") && view_holds(&p, "inspection"));
        CHECK(!view_holds(&p, "") && !view_holds(&p, "car") && !view_holds(&p, "marketing"));
        CHECK(view_holds(&(struct view_profile){.everything = true}, "marketing"));
}

/* --- fields -------------------------------------------------------------------------------------------------------------------- */

static bool shows(const struct contract_message *type, const char *field, Nuanxin__Privacy most, struct view_list withheld)
{
        return view_shows_field(most, withheld, type, (unsigned)(message_field(type, str_of(field)) - type->fields));
}

#define PUBLIC    NUANXIN__PRIVACY__PUBLIC
#define PERSONAL  NUANXIN__PRIVACY__PERSONAL
#define SENSITIVE NUANXIN__PRIVACY__SENSITIVE

static void fields_follow_their_class(void)
{
        static const struct contract_field fields[] = {
                {.name = "open", .privacy = PUBLIC},
                {.name = "own", .privacy = PERSONAL},
                {.name = "secret", .privacy = SENSITIVE},
                {.name = "machine", .privacy = PUBLIC, .internal = true},
                {.name = "who", .privacy = PUBLIC},
        };
        static const struct contract_message type = {.name = "t.T", .fields = fields, .n_fields = 5, .person = "who"};
        const struct view_list none = LIST();
        for (Nuanxin__Privacy most = PUBLIC; most <= SENSITIVE; most++) {
                CHECK(view_shows_field(most, none, &type, 0));
                CHECK_INT(view_shows_field(most, none, &type, 1), most >= PERSONAL);
                CHECK(!view_shows_field(most, none, &type, 2)); /* never, whatever an agreement says */
                CHECK(!view_shows_field(most, none, &type, 3));
                CHECK_INT(view_shows_field(most, none, &type, 4), most >= PERSONAL);
        }
}

static void withheld_fields_are_named_with_their_type(void)
{
        const struct contract_message *checkin = &activity_v1_checkin_recorded_msg;
        const struct view_list withheld = LIST("nuanxin.activity.v1.CheckinRecorded.way", "nuanxin.activity.v1.Campaign.title");
        CHECK(!shows(checkin, "way", PERSONAL, withheld));
        CHECK(shows(checkin, "activity", PERSONAL, withheld));
        CHECK(shows(&activity_v1_checkin_amended_msg, "way", PERSONAL, withheld));
        CHECK(!shows(&activity_v1_campaign_msg, "title", PERSONAL, withheld));
        CHECK(shows(&activity_v1_activity_msg, "title", PERSONAL, withheld));
        CHECK(!shows(checkin, "member", PUBLIC, LIST()));
        CHECK(shows(checkin, "member", PERSONAL, LIST()));
}

static void a_misspelt_field_is_not_known(void)
{
        CHECK(view_field_is_known(STR("nuanxin.activity.v1.CheckinRecorded.way")));
        CHECK(view_field_is_known(STR("nuanxin.activity.v1.Campaign.title"))); /* inside an event */
        CHECK(!view_field_is_known(STR("nuanxin.activity.v1.CheckinRecorded.wy")));
        CHECK(!view_field_is_known(STR("nuanxin.activity.v1.CheckinRecorded")));
        CHECK(!view_field_is_known(STR("nuanxin.activity.v1.CheckinRecorded.")));
        CHECK(!view_field_is_known(STR("way")));
        CHECK(!view_field_is_known(STR("nuanxin.membership.v1.AccountRightsChanged.account")));
}

int main(void)
{
        static const struct check_case cases[] = {
                {"every combination of what decides is decided as the rule says", every_combination},
                {"an agency stands while it is not suspended and its agreement runs", standing_follows_state_and_agreement},
                {"types are named, or stand below a prefix", types_are_named_or_below_a_prefix},
                {"no pattern allows a type of the machinery", no_type_of_the_machinery_is_allowed},
                {"a consent names its purpose", consents_name_their_purpose},
                {"an organisation in the path is in scope, not one that begins alike", scope_is_a_segment_of_a_path},
                {"what is nowhere is seen from the top of the tree alone", nowhere_is_seen_from_the_top_alone},
                {"purposes are held of both kinds", purposes_are_held_of_both_kinds},
                {"fields follow their class, and a person's id is personal", fields_follow_their_class},
                {"withheld fields are named with their type", withheld_fields_are_named_with_their_type},
                {"a misspelt field is not known", a_misspelt_field_is_not_known},
        };
        return CHECK_MAIN(cases);
}
