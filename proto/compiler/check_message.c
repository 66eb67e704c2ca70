/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages: no recursion, nothing unbounded, no rule that cannot be, nothing SENSITIVE in an event.
 */
#include "check.h"

#include "name.h"

#include <regex.h>

static bool is_ours(const struct message *x)
{
        return package_is_ours(x->place.file->package);
}

/* The part of a full name behind its package. */
static const char *short_of(const struct message *x)
{
        return x->name + strlen(x->place.file->package) + 1;
}

/* --- recursion -------------------------------------------------------------------------------------------- */

static bool reaches(struct message *from, const struct message *target)
{
        if (from == target)
                return true;
        if (from->checking)
                return false;
        from->checking = true;
        bool found = false;
        for (size_t i = 0; i < from->n_fields && !found; i++)
                found = from->fields[i].message && reaches(from->fields[i].message, target);
        return found;
}

void check_recursion(const struct model *m, struct refusals *r)
{
        for (size_t i = 0; i < m->n_messages; i++) {
                struct message *x = m->messages[i];
                for (size_t f = 0; x->emitted && f < x->n_fields; f++) {
                        for (size_t k = 0; k < m->n_messages; k++)
                                m->messages[k]->checking = false;
                        if (x->fields[f].message && reaches(x->fields[f].message, x))
                                refuse(r, x->fields[f].place, "%s.%s: recursive message: %s contains itself",
                                       short_of(x), x->fields[f].name, short_of(x));
                }
        }
}

/* --- fields ----------------------------------------------------------------------------------------------- */

enum kind { KIND_TEXT, KIND_BYTES, KIND_INTEGER, KIND_MESSAGE, KIND_OTHER };

static enum kind kind_of(const struct field *f)
{
        switch (f->pb->type) {
        case TYPE(STRING):
                return KIND_TEXT;
        case TYPE(BYTES):
                return KIND_BYTES;
        case TYPE(MESSAGE):
                return KIND_MESSAGE;
        case TYPE(DOUBLE):
        case TYPE(FLOAT):
        case TYPE(BOOL):
        case TYPE(ENUM):
        case TYPE(GROUP):
                return KIND_OTHER;
        default:
                return KIND_INTEGER;
        }
}

static void check_bounds(const struct message *x, const struct field *f, struct refusals *r)
{
        const Nuanxin__FieldRule *rule = f->rule;
        const struct field *value = f->map ? &f->message->fields[1] : f;
        bool text = kind_of(value) == KIND_TEXT || (f->map && kind_of(&f->message->fields[0]) == KIND_TEXT);
        if (text && !rule->max_length && !(rule->n_in && !f->map) && !(rule->uuid && !f->map))
                refuse(r, f->place, "%s.%s: unbounded string: give it max_length, in or uuid", short_of(x), f->name);
        if (kind_of(value) == KIND_BYTES && !text && !rule->max_length)
                refuse(r, f->place, "%s.%s: unbounded bytes: give it max_length", short_of(x), f->name);
        if (f->repeated && !rule->max_items)
                refuse(r, f->place, "%s.%s: unbounded list: give it max_items", short_of(x), f->name);
}

static void check_pattern(const struct message *x, const struct field *f, struct refusals *r)
{
        const char *pattern = f->rule->pattern;
        regex_t compiled;
        char why[128];
        for (const char *p = pattern; *p; p++)
                if (*p < 0x20 || *p > 0x7e) {
                        refuse(r, f->place, "%s.%s: pattern must be plain ASCII: it is matched byte by byte", short_of(x),
                               f->name);
                        return;
                }
        int code = regcomp(&compiled, arena_printf(r->arena, "^(%s)$", pattern), REG_EXTENDED | REG_NOSUB);
        if (code == 0) {
                regfree(&compiled);
                return;
        }
        regerror(code, NULL, why, sizeof(why));
        refuse(r, f->place, "%s.%s: invalid pattern \"%s\": %s", short_of(x), f->name, pattern, why);
}

static void misfit(const struct message *x, const struct field *f, struct refusals *r, bool wrong, const char *rule,
                   const char *of)
{
        if (wrong)
                refuse(r, f->place, "%s.%s: %s is a rule of %s", short_of(x), f->name, rule, of);
}

static void check_rule(const struct message *x, const struct field *f, struct refusals *r)
{
        const Nuanxin__FieldRule *rule = f->rule;
        enum kind kind = kind_of(f->map ? &f->message->fields[1] : f);
        bool text = kind == KIND_TEXT, long_one = text || kind == KIND_BYTES;
        misfit(x, f, r, rule->pattern[0] && !text, "pattern", "strings");
        misfit(x, f, r, rule->uuid && !text, "uuid", "strings");
        misfit(x, f, r, rule->n_in && !text, "in", "strings");
        misfit(x, f, r, rule->raw_json && f->pb->type != TYPE(BYTES), "raw_json", "bytes");
        misfit(x, f, r, rule->min_length && !long_one, "min_length", "strings and bytes");
        misfit(x, f, r, rule->max_length && !long_one && !f->map, "max_length", "strings and bytes");
        misfit(x, f, r, rule->range && kind != KIND_INTEGER, "range", "integers");
        misfit(x, f, r, rule->max_items && !f->repeated, "max_items", "repeated fields");
        misfit(x, f, r, rule->unique && (!f->repeated || kind == KIND_MESSAGE), "unique", "repeated scalars");
        if (rule->max_length && rule->min_length > rule->max_length)
                refuse(r, f->place, "%s.%s: min_length is above max_length", short_of(x), f->name);
        if (rule->range && rule->range->min > rule->range->max)
                refuse(r, f->place, "%s.%s: range has its min above its max", short_of(x), f->name);
        if (rule->pattern[0] && text)
                check_pattern(x, f, r);
}

static bool name_is_plain(const char *name)
{
        return name[0] >= 'a' && name[0] <= 'z' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

static void check_field(const struct message *x, const struct field *f, struct refusals *r)
{
        if (f->pb->proto3_optional) {
                refuse(r, f->place, "%s.%s: proto3 optional: use a FieldMask, or a message for what may be absent",
                       short_of(x), f->name);
                return;
        }
        if (f->pb->type == TYPE(GROUP) || f->pb->label == LABEL(REQUIRED)) {
                refuse(r, f->place, "%s.%s: proto2: groups and required fields are refused", short_of(x), f->name);
                return;
        }
        if (!name_is_plain(f->name))
                refuse(r, f->place, "%s.%s: field names are lower_snake_case", short_of(x), f->name);
        if (x->n_fields > 0 && f->message && message_is_wkt(f->message) &&
            strcmp(f->message->name, "google.protobuf.Timestamp") != 0 &&
            strcmp(f->message->name, "google.protobuf.Duration") != 0 &&
            strcmp(f->message->name, "google.protobuf.FieldMask") != 0 &&
            strcmp(f->message->name, "google.protobuf.Empty") != 0)
                refuse(r, f->place, "%s.%s: %s is not supported: Timestamp, Duration, FieldMask and Empty are",
                       short_of(x), f->name, f->message->name);
        check_bounds(x, f, r);
        check_rule(x, f, r);
}

/* --- events ----------------------------------------------------------------------------------------------- */

/* The path of a field of that class in or below f; NULL if there is none. */
static const char *privacy_in(struct arena *arena, const struct field *f, Nuanxin__Privacy privacy)
{
        if (f->rule->privacy == privacy)
                return f->name;
        for (size_t i = 0; f->message && i < f->message->n_fields; i++) {
                const char *below = privacy_in(arena, &f->message->fields[i], privacy);
                if (below)
                        return arena_printf(arena, "%s.%s", f->name, below);
        }
        return NULL;
}

static void check_event(const struct message *x, struct refusals *r)
{
        const struct field *subject = message_find_field(x, str_of(x->event->subject));
        if (!x->event->topic[0])
                refuse(r, x->place, "%s: event without topic", short_of(x));
        if (!subject || subject->pb->type != TYPE(STRING) || subject->repeated)
                refuse(r, x->place, "%s: event subject \"%s\" is no string field of it", short_of(x), x->event->subject);
        const struct field *person = message_find_field(x, str_of(x->event->person));
        if (x->event->person[0] && (!person || person->pb->type != TYPE(STRING) || person->repeated))
                refuse(r, x->place, "%s: event person \"%s\" is no string field of it", short_of(x), x->event->person);
        const struct field *part = message_find_field(x, str_of(x->event->part));
        if (x->event->part[0] && (!part || part->pb->type != TYPE(STRING) || part->repeated))
                refuse(r, x->place, "%s: event part \"%s\" is no string field of it", short_of(x), x->event->part);
        if (x->event->notice && !x->event->person[0])
                refuse(r, x->place, "%s: a notice without person", short_of(x));
        if (x->event->notice && x->event->internal)
                refuse(r, x->place, "%s: a notice that is internal reaches nobody", short_of(x));
        for (size_t i = 0; i < x->n_fields; i++) {
                const char *path = privacy_in(r->arena, &x->fields[i], NUANXIN__PRIVACY__SENSITIVE);
                if (path)
                        refuse(r, x->fields[i].place, "event %s: field %s is SENSITIVE", short_of(x), path);
                path = privacy_in(r->arena, &x->fields[i], NUANXIN__PRIVACY__PERSONAL);
                if (path && !x->event->person[0])
                        refuse(r, x->fields[i].place, "event %s: field %s is PERSONAL, but it says of nobody whom it is about",
                               short_of(x), path);
        }
}

#define DEPTH_MAX 32 /* of what is decoded: common/contract/message.h */

static unsigned depth_of(const struct message *x)
{
        unsigned most = 0;
        for (size_t i = 0; i < x->n_fields; i++) {
                unsigned below = x->fields[i].message ? depth_of(x->fields[i].message) : 0;
                most = below > most ? below : most;
        }
        return most + 1;
}

void check_messages(const struct model *m, struct refusals *r)
{
        for (size_t i = 0; i < m->n_messages; i++) {
                const struct message *x = m->messages[i];
                if (!is_ours(x) || x->map_entry)
                        continue;
                for (size_t f = 0; f < x->n_fields; f++)
                        check_field(x, &x->fields[f], r);
                if (x->event)
                        check_event(x, r);
                if (depth_of(x) > DEPTH_MAX)
                        refuse(r, x->place, "%s: nested deeper than %d: nobody could read it", short_of(x), DEPTH_MAX);
        }
}
