/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages: what is unpacked and what is not, every field rule, masks, look-ups in the tables.
 */
#include "common/contract/message.h"

#include "contract/internal_v1.h"
#include "contract/test_v1.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "tests/support/check.h"

static struct arena *arena;

static char *word(const char *text)
{
        return arena_strdup(arena, text);
}

static int unpack(const struct contract_message *type, struct str bytes, void *ret)
{
        ProtobufCMessage *m = NULL;
        int r = message_unpack(arena, type, bytes.p, bytes.n, &m);
        *(void **)ret = m;
        return r;
}

/* "pointer rule; pointer rule" of all violations. */
static const char *validate(const struct contract_message *type, void *message)
{
        struct violations v = {0};
        struct buf text = {0};
        message_validate(arena, type, message, &v);
        for (size_t i = 0; i < v.n; i++)
                buf_printf(&text, "%s%s %s", i ? "; " : "", v.items[i].pointer, v.items[i].rule);
        const char *z = arena_strndup(arena, text.p ? text.p : "", text.n);
        buf_done(&text);
        return z;
}

static Ruled *ruled(void)
{
        Ruled *m = message_new(arena, &test_v1_ruled_msg);
        m->needed = word("here");
        m->colour = NUANXIN__TEST__V1__COLOUR__RED;
        return m;
}

static void packs_and_unpacks(void)
{
        Everything *m = message_new(arena, &test_v1_everything_msg), *back;
        Leaf *leaf = message_new(arena, &test_v1_leaf_msg);
        leaf->name = word("叶子");
        m->leaf = leaf;
        m->an_int64 = INT64_MIN;
        m->choice_case = NUANXIN__TEST__V1__EVERYTHING__CHOICE_CHOICE_NUMBER;
        m->choice_number = 0;
        CHECK_INT(unpack(&test_v1_everything_msg, message_pack(arena, m), &back), 0);
        CHECK_TEXT(back->leaf->name, "叶子");
        CHECK(back->an_int64 == INT64_MIN);
        CHECK_INT(back->choice_case, NUANXIN__TEST__V1__EVERYTHING__CHOICE_CHOICE_NUMBER);
        struct buf out = {0};
        buf_add_z(&out, "x");
        message_pack_buf(&out, m);
        CHECK_INT(out.n, message_pack(arena, m).n + 1);
        buf_done(&out);
        CHECK_INT(unpack(&test_v1_everything_msg, STR(""), &back), 0);
        CHECK_TEXT(back->a_string, "");
}

static void refuses_bad_bytes(void)
{
        static const struct {
                const char *why;
                struct str bytes;
        } bad[] = {
                {"a tag cut short", STR("\x80")},
                {"field number 0", STR("\x00\x00")},
                {"a length beyond the end", STR("\x72\x05" "abc")},
                {"a length near 2^64", STR("\x72\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "abc")},
                {"invalid UTF-8", STR("\x72\x02\xc3\x28")},
                {"a surrogate", STR("\x72\x03\xed\xa0\x80")},
                {"a NUL in a string", STR("\x72\x03" "a\0b")},
                {"a string sent as a number", STR("\x70\x01")},
                {"a number sent as a string", STR("\x1a\x01" "1")},
                {"a group", STR("\x0b\x0c")},
                {"an unknown group", STR("\xfb\x3e\xfc\x3e")},
                {"a varint without end", STR("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
                {"a singular field twice", STR("\x18\x01\x18\x02")},
                {"a singular message twice", STR("\x8a\x01\x00\x8a\x01\x00")},
                {"bad UTF-8 below", STR("\x8a\x01\x04\x0a\x02\xc3\x28")},
                {"packed fixed64 of odd length", STR("\xca\x02\x03" "abc")},
        };
        Everything *m;
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                int r = unpack(&test_v1_everything_msg, bad[i].bytes, &m);
                if (r != -EBADMSG)
                        printf("# taken: %s\n", bad[i].why);
                CHECK_INT(r, -EBADMSG);
        }
        CHECK_INT(unpack(&test_v1_everything_msg, STR("\xf8\x3e\x05"), &m), 0); /* unknown fields are let by */
}

static void bounds_repetition(void)
{
        struct buf bytes = {0};
        Everything *m;
        for (int i = 0; i < 100; i++)
                buf_add(&bytes, "\xba\x02\x00", 3); /* leaves = 39 */
        CHECK_INT(unpack(&test_v1_everything_msg, buf_str(&bytes), &m), 0);
        CHECK_INT(m->n_leaves, 100);
        buf_add(&bytes, "\xba\x02\x00", 3);
        CHECK_INT(unpack(&test_v1_everything_msg, buf_str(&bytes), &m), -EBADMSG);
        bytes.n = 0;
        buf_add(&bytes, "\xfa\x01\x65", 3); /* int32s = 31, packed, 101 of them */
        for (int i = 0; i < 101; i++)
                buf_add_char(&bytes, 1);
        CHECK_INT(unpack(&test_v1_everything_msg, buf_str(&bytes), &m), -EBADMSG);
        buf_done(&bytes);
}

static void asks_what_is_required(void)
{
        CHECK_TEXT(validate(&test_v1_ruled_msg, message_new(arena, &test_v1_ruled_msg)),
                   "/needed required; /colour required");
        CHECK_TEXT(validate(&test_v1_ruled_msg, ruled()), "");
        Ruled *m = ruled();
        m->inner = message_new(arena, &test_v1_ruled__inner_msg);
        CHECK_TEXT(validate(&test_v1_ruled_msg, m), "/inner/must required; /inner/other required");
}

static void checks_lengths_in_characters(void)
{
        Ruled *m = ruled();
        m->between = word("暖");
        CHECK_TEXT(validate(&test_v1_ruled_msg, m), "/between minLength");
        m->between = word("暖心行动");
        CHECK_TEXT(validate(&test_v1_ruled_msg, m), "");
        m->between = word("暖心行动𠮷");
        CHECK_TEXT(validate(&test_v1_ruled_msg, m), "/between maxLength");
        m = ruled();
        m->data = (ProtobufCBinaryData){1, (uint8_t *)word("a")};
        CHECK_TEXT(validate(&test_v1_ruled_msg, m), "/data minLength");
        m->data = (ProtobufCBinaryData){5, (uint8_t *)word("abcde")};
        CHECK_TEXT(validate(&test_v1_ruled_msg, m), "/data maxLength");
}

static void checks_ranges(void)
{
        static const struct {
                int32_t ranged;
                uint64_t wide;
                const char *want;
        } cases[] = {{-5, 10, ""}, {5, 1000, ""}, {-6, 0, "/ranged range"}, {6, 9, "/ranged range; /wide range"},
                     {0, UINT64_MAX, "/wide range"}};
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                Ruled *m = ruled();
                m->ranged = cases[i].ranged;
                m->wide = cases[i].wide;
                CHECK_TEXT(validate(&test_v1_ruled_msg, m), cases[i].want);
        }
}

static void checks_forms(void)
{
        static const struct {
                const char *matched, *listed, *id, *want;
        } cases[] = {
                {"abc", "one", "01976a5e-7c00-7000-8000-0123456789ab", ""},
                {"123", "two", "", ""},
                {"1234", "three", "01976A5E-7C00-7000-8000-0123456789AB", "/matched pattern; /listed in; /id uuid"},
                {"abc1", "", "x", "/matched pattern; /id uuid"},
                {"abc\n", "", "", "/matched pattern"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                Ruled *m = ruled();
                m->matched = word(cases[i].matched);
                m->listed = word(cases[i].listed);
                m->id = word(cases[i].id);
                CHECK_TEXT(validate(&test_v1_ruled_msg, m), cases[i].want);
        }
}

static void checks_lists(void)
{
        char *texts[] = {word("a"), word("b"), word("a"), word("c"), word("d")};
        int32_t numbers[] = {1, 2, 30, 1};
        Ruled *m = ruled();
        m->unique_texts = texts;
        m->n_unique_texts = 5;
        CHECK_TEXT(validate(&test_v1_ruled_msg, m), "/uniqueTexts maxItems");
        m->n_unique_texts = 3;
        m->unique_numbers = numbers;
        m->n_unique_numbers = 4;
        CHECK_TEXT(validate(&test_v1_ruled_msg, m), "/uniqueTexts unique; /uniqueNumbers/2 range; /uniqueNumbers unique");
        m->n_unique_texts = 2;
        m->n_unique_numbers = 2;
        CHECK_TEXT(validate(&test_v1_ruled_msg, m), "");
        Ruled__Inner *inners[2] = {message_new(arena, &test_v1_ruled__inner_msg), message_new(arena, &test_v1_ruled__inner_msg)};
        inners[0]->must = inners[0]->other = inners[1]->other = word("x");
        m->inners = inners;
        m->n_inners = 2;
        CHECK_TEXT(validate(&test_v1_ruled_msg, m), "/inners/1/must required");
}

static void checks_maps(void)
{
        Ruled *m = ruled();
        Ruled__LabelsEntry *entry = message_new(arena, &test_v1_ruled__labels_entry_msg);
        entry->key = word("a/~b");
        entry->value = word("long");
        m->labels = &entry;
        m->n_labels = 1;
        CHECK_TEXT(validate(&test_v1_ruled_msg, m), "/labels/a~1~0b maxLength; /labels/a~1~0b maxLength");
        Everything *e = message_new(arena, &test_v1_everything_msg);
        Everything__TextsEntry *text = message_new(arena, &test_v1_everything__texts_entry_msg);
        struct buf longer = {0};
        for (int i = 0; i < 1001; i++)
                buf_add_char(&longer, 'a');
        text->key = -7;
        text->value = word(buf_z(&longer));
        e->texts = &text;
        e->n_texts = 1;
        CHECK_TEXT(validate(&test_v1_everything_msg, e), "/texts/-7 maxLength");
        buf_done(&longer);
}

static void clears_what_callers_may_not_set(void)
{
        Ruled *m = ruled();
        m->made = word("mine");
        m->inside = word("a peer's");
        CHECK_TEXT(validate(&test_v1_ruled_msg, m), "");
        CHECK_TEXT(m->made, "");
        CHECK_TEXT(m->inside, "a peer's");
}

static void asks_only_masked_fields(void)
{
        UpdateRequest *m = message_new(arena, &test_v1_update_request_msg);
        Google__Protobuf__FieldMask *mask = message_new(arena, contract_message_by_name(STR("google.protobuf.FieldMask")));
        char *paths[] = {word("ranged"), word("inner.must")};
        m->update_mask = mask;
        mask->paths = paths;
        mask->n_paths = 2;
        CHECK_TEXT(validate(&test_v1_update_request_msg, m), "/thing required; /changes required");
        m->thing = word("1");
        m->changes = message_new(arena, &test_v1_ruled_msg);
        CHECK_TEXT(validate(&test_v1_update_request_msg, m), "");
        m->changes->inner = message_new(arena, &test_v1_ruled__inner_msg);
        CHECK_TEXT(validate(&test_v1_update_request_msg, m), "/changes/inner/must required");
        paths[0] = word("needed");
        paths[1] = word("inner");
        CHECK_TEXT(validate(&test_v1_update_request_msg, m),
                   "/changes/needed required; /changes/inner/must required; /changes/inner/other required");
        paths[1] = word("nothing");
        m->changes->inner = NULL;
        CHECK_TEXT(validate(&test_v1_update_request_msg, m), "/updateMask unknownField; /changes/needed required");
        mask->n_paths = 0;
        CHECK_TEXT(validate(&test_v1_update_request_msg, m), "/changes/needed required; /changes/colour required");
}

static void keeps_the_first_32_violations(void)
{
        struct violations v = {0};
        for (int i = 0; i < 40; i++)
                violation_add(&v, "", "required", "", "");
        CHECK_INT(v.n, 32);
}

static Secret *secret(void)
{
        Secret *m = message_new(arena, &test_v1_secret_msg);
        Secret__Secret2 *other = message_new(arena, &test_v1_secret__secret2_msg);
        m->open = word("公开");
        m->name = word("王小明");
        m->number = word("43010219900307721X");
        m->age = 40;
        m->phones = ARENA_ARRAY(arena, char *, 1);
        m->phones[0] = word("13800138000");
        m->n_phones = 1;
        other->name = word("李");
        m->others = ARENA_ARRAY(arena, Secret__Secret2 *, 1);
        m->others[0] = other;
        m->n_others = 1;
        m->hidden = other;
        m->choice_case = NUANXIN__TEST__V1__SECRET__CHOICE_CODE;
        m->code = 7;
        return m;
}

static void masks_by_privacy(void)
{
        Secret *m = secret();
        message_mask(arena, &test_v1_secret_msg, m, NUANXIN__PRIVACY__SENSITIVE);
        CHECK_TEXT(m->number, "43010219900307721X");
        message_mask(arena, &test_v1_secret_msg, m, NUANXIN__PRIVACY__PERSONAL);
        CHECK_TEXT(m->name, "王小明");
        CHECK_TEXT(m->number, "4＊＊＊＊＊＊＊＊＊＊＊＊＊＊＊");
        CHECK_TEXT(m->phones[0], "1＊＊＊＊＊＊＊＊＊＊");
        CHECK(m->hidden == NULL);
        CHECK_INT(m->age, 40);
        message_mask(arena, &test_v1_secret_msg, m, NUANXIN__PRIVACY__PUBLIC);
        CHECK_TEXT(m->open, "公开");
        CHECK_TEXT(m->name, "王＊＊");
        CHECK_TEXT(m->others[0]->name, "李");
        CHECK_INT(m->age, 0);
        CHECK_INT(m->choice_case, 0);
        m = secret();
        m->choice_case = NUANXIN__TEST__V1__SECRET__CHOICE_NICK;
        m->nick = word("ab");
        message_mask(arena, &test_v1_secret_msg, m, NUANXIN__PRIVACY__PUBLIC);
        CHECK_TEXT(m->nick, "a＊");
}

static void reads_text_at_a_path(void)
{
        UpdateRequest *m = message_new(arena, &test_v1_update_request_msg);
        CHECK(message_text_at(&test_v1_update_request_msg, m, "changes.needed").p == NULL);
        m->changes = ruled();
        CHECK(str_is(message_text_at(&test_v1_update_request_msg, m, "changes.needed"), "here"));
        CHECK(message_text_at(&test_v1_update_request_msg, m, "changes.ranged").p == NULL);
        CHECK(message_text_at(&test_v1_update_request_msg, m, "changes.needed.more").p == NULL);
        CHECK(message_text_at(&test_v1_update_request_msg, m, "changes.labels").p == NULL);
        CHECK(message_text_at(&test_v1_update_request_msg, m, "nothing").p == NULL);
}

static void finds_methods_and_messages(void)
{
        for (unsigned i = 0; i < contract_n_methods; i++)
                CHECK(contract_method_by_id(contract_methods[i]->id) == contract_methods[i]);
        CHECK(contract_method_by_id(0) == NULL && contract_method_by_id(UINT64_MAX) == NULL);
        for (unsigned i = 0; i < contract_n_messages; i++)
                CHECK(contract_message_by_name(str_of(contract_messages[i]->name)) == contract_messages[i]);
        CHECK(contract_message_by_name(STR("nuanxin.membership.v1")) == NULL);
        CHECK(contract_message_by_name(STR("")) == NULL);
        CHECK(internal_v1_pull_events.service == NULL);
        CHECK_TEXT(internal_v1_pull_events.name, "nuanxin.internal.v1.Peer.PullEvents");
        CHECK(strlen(contract_hash) == 64);
}

static void fields_stand_beside_their_descriptors(void)
{
        for (unsigned i = 0; i < contract_n_messages; i++) {
                const struct contract_message *m = contract_messages[i];
                CHECK_TEXT(m->pb->name, m->name);
                CHECK_INT(m->pb->n_fields, m->n_fields);
                for (unsigned f = 0; f < m->n_fields; f++) {
                        CHECK_TEXT(m->pb->fields[f].name, m->fields[f].name);
                        CHECK((m->pb->fields[f].type == PROTOBUF_C_TYPE_MESSAGE) == (m->fields[f].message != NULL));
                }
        }
}

static int permission(const char *name)
{
        for (unsigned i = 0; i < contract_n_permissions; i++)
                if (strcmp(contract_permissions[i], name) == 0)
                        return (int)i;
        return -1;
}

static void roles_grant_their_permissions(void)
{
        enum { ADMINISTRATOR = 1, VOLUNTEER = 3, VIEWER = 6 };
        CHECK(contract_role_has(ADMINISTRATOR, permission("member.reveal")));
        CHECK(contract_role_has(VOLUNTEER, permission("activity.read")));
        CHECK(!contract_role_has(VIEWER, permission("member.read")));
        CHECK(!contract_role_has(ADMINISTRATOR, -1));
        CHECK(!contract_role_has(ADMINISTRATOR, 1000));
        CHECK(!contract_role_has(99, permission("activity.read")));
}

static void problems_are_found(void)
{
        CHECK_TEXT(contract_problem_of(NUANXIN__PROBLEM__PROBLEM_ACTIVITY_FULL)->type, "urn:nuanxin:problem:activity-full");
        CHECK_INT(contract_problem_of((Nuanxin__Problem)54321)->value, NUANXIN__PROBLEM__PROBLEM_INTERNAL);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"a message packs and unpacks", packs_and_unpacks},
                {"bytes that are no such message are refused", refuses_bad_bytes},
                {"repetition beyond max_items is refused before memory is spent", bounds_repetition},
                {"required fields are asked for, at every depth", asks_what_is_required},
                {"lengths count characters, and bytes of bytes", checks_lengths_in_characters},
                {"numbers keep their range", checks_ranges},
                {"patterns, lists of values and UUIDs", checks_forms},
                {"lists: how many, which, all different", checks_lists},
                {"maps: keys and values, escaped in pointers", checks_maps},
                {"output-only fields are cleared, internal ones are between processes", clears_what_callers_may_not_set},
                {"a partial update is asked only for what it changes", asks_only_masked_fields},
                {"the first 32 violations are kept", keeps_the_first_32_violations},
                {"masks follow the privacy class", masks_by_privacy},
                {"text at a path", reads_text_at_a_path},
                {"methods and messages are found", finds_methods_and_messages},
                {"fields stand beside their descriptors", fields_stand_beside_their_descriptors},
                {"roles grant what the contract says", roles_grant_their_permissions},
                {"problems are found, unknown ones read as internal", problems_are_found},
        };
        contract_init();
        arena = arena_new(65536);
        int r = CHECK_MAIN(cases);
        arena_free(arena);
        return r;
}
