/* SPDX-License-Identifier: Apache-2.0
 *
 * Promises as pairs of a key and a value, so that removed, changed and added are plain comparisons.
 */
#include "lock.h"

#include "name.h"
#include "shape.h"

#include <stdlib.h>

struct promise {
        const char *key, *value;
        struct place place; /* of today's */
        int line;           /* of the lock's */
        bool required, new_in_input;
};

/* --- order -------------------------------------------------------------------------------------------------- */

/* Keys by their words; a last word that is a number by its value. */
static int key_compare(const char *a, const char *b)
{
        const char *x = strrchr(a, ' '), *y = strrchr(b, ' ');
        size_t n = (size_t)(x - a), m = (size_t)(y - b);
        int c = strncmp(a, b, n < m ? n : m);
        if (c || n != m)
                return c ? c : (n > m) - (n < m);
        char *end_x, *end_y;
        long long i = strtoll(x + 1, &end_x, 10), k = strtoll(y + 1, &end_y, 10);
        if (*end_x == 0 && *end_y == 0 && x[1] && y[1])
                return (i > k) - (i < k);
        return strcmp(x, y);
}

static int promise_compare(const void *a, const void *b)
{
        return key_compare(((const struct promise *)a)->key, ((const struct promise *)b)->key);
}

static struct promise *promise_find(struct promise *list, size_t n, const char *key)
{
        struct promise wanted = {.key = key};
        return n ? bsearch(&wanted, list, n, sizeof(*list), promise_compare) : NULL;
}

/* --- today ---------------------------------------------------------------------------------------------------- */

struct today {
        struct arena *arena;
        struct promise *items;
        size_t n, cap;
};

static struct promise *promise_add(struct today *t, struct place place, const char *key, const char *value)
{
        if (t->n == t->cap) {
                size_t cap = t->cap ? 2 * t->cap : 1024;
                struct promise *items = ARENA_ARRAY(t->arena, struct promise, cap);
                if (t->n)
                        memcpy(items, t->items, t->n * sizeof(*items));
                t->items = items;
                t->cap = cap;
        }
        t->items[t->n] = (struct promise){.key = key, .value = value, .place = place};
        return &t->items[t->n++];
}

static void promise_message(struct today *t, struct message *x)
{
        struct arena *a = t->arena;
        promise_add(t, x->place, arena_printf(a, "message %s", x->name),
                    arena_printf(a, "%016llx", (unsigned long long)shape_hash(a, x)));
        if (x->event)
                promise_add(t, x->place, arena_printf(a, "event %s", x->name),
                            arena_printf(a, "%s %s", x->event->topic, x->event->subject));
        if (x->event && x->event->person[0])
                promise_add(t, x->place, arena_printf(a, "person %s", x->name), x->event->person);
        for (size_t i = 0; i < x->n_fields; i++) {
                const struct field *f = &x->fields[i];
                const char *value = arena_printf(a, "%s %s %s %s%s%s", f->repeated ? "repeated" : "singular",
                                                 field_type_name(f), f->name, f->json, f->oneof ? " oneof=" : "",
                                                 f->oneof ? f->oneof : "");
                struct promise *p =
                        promise_add(t, f->place, arena_printf(a, "field %s %d", x->name, (int)f->number), value);
                p->required = f->rule->required;
                p->new_in_input = x->in_input;
        }
}

static void promise_all(struct today *t, const struct model *m)
{
        struct arena *a = t->arena;
        for (size_t i = 0; i < m->n_messages; i++)
                if (package_is_ours(m->messages[i]->place.file->package))
                        promise_message(t, m->messages[i]);
        for (size_t i = 0; i < m->n_enums; i++) {
                const struct enumeration *e = m->enums[i];
                bool ours = package_is_ours(e->place.file->package) || strcmp(e->name, "nuanxin.Problem") == 0;
                for (size_t v = 0; ours && v < e->n_values; v++)
                        promise_add(t, e->values[v].place,
                                    arena_printf(a, "value %s %d", e->name, (int)e->values[v].number),
                                    e->values[v].name);
        }
        for (size_t i = 0; i < m->n_methods; i++) {
                const struct method *x = &m->methods[i];
                const char *http = x->http ? arena_printf(a, " %s %s", x->http, x->path) : "";
                promise_add(t, x->place, arena_printf(a, "method %s", x->name),
                            arena_printf(a, "%s %s%s%s%s", x->input->name, x->output->name, http, x->body ? " " : "",
                                         x->body ? x->body : ""));
        }
        if (t->n)
                qsort(t->items, t->n, sizeof(*t->items), promise_compare);
}

/* --- the file --------------------------------------------------------------------------------------------------- */

/* "singular bool asked asked required": the word after label, type and both names, which may be "required" themselves. */
static void take_required(struct arena *a, struct promise *p)
{
        static const struct str word = STR(" required");
        size_t n = strlen(p->value), spaces = 0;
        if (n <= word.n || strcmp(p->value + n - word.n, word.p) != 0)
                return;
        for (size_t i = 0; i < n - word.n; i++)
                spaces += p->value[i] == ' ';
        p->required = spaces >= 3;
        if (p->required)
                p->value = arena_strndup(a, p->value, n - word.n);
}

static void lock_parse(struct lock *lock, struct arena *a, struct str text, struct refusals *r)
{
        size_t lines = 1;
        for (size_t i = 0; i < text.n; i++)
                lines += text.p[i] == '\n';
        lock->old = ARENA_ARRAY(a, struct promise, lines);
        for (int line = 1; text.n; line++) {
                struct str row = str_cut(&text, '\n');
                if (row.n == 0 || row.p[0] == '#')
                        continue;
                const char *z = arena_strndup(a, row.p, row.n), *equal = strstr(z, " = ");
                if (!equal || !strchr(z, ' ') || strchr(z, ' ') >= equal) {
                        refuse_line(r, lock->path, line, "not a line of a lock file: %s", z);
                        continue;
                }
                struct promise p = {.key = arena_strndup(a, z, (size_t)(equal - z)), .value = equal + 3, .line = line};
                if (str_starts(str_of(p.key), STR("field ")))
                        take_required(a, &p);
                lock->old[lock->n_old++] = p;
        }
        if (lock->n_old)
                qsort(lock->old, lock->n_old, sizeof(*lock->old), promise_compare);
}

static bool is_history(const struct promise *p)
{
        return str_starts(str_of(p->key), STR("message "));
}

/* The newest of a line of shapes. */
static const char *last_word(const char *words)
{
        const char *space = strrchr(words, ' ');
        return space ? space + 1 : words;
}

static void compare_old(struct lock *lock, struct refusals *r)
{
        for (size_t i = 0; i < lock->n_old; i++) {
                const struct promise *old = &lock->old[i];
                const struct promise *now = promise_find(lock->now, lock->n_now, old->key);
                if (!now)
                        refuse_line(r, lock->path, old->line, "breaking change: %s was removed (%s)", old->key, old->value);
                else if (is_history(old))
                        lock->additions += strcmp(last_word(old->value), now->value) != 0;
                else if (strcmp(old->value, now->value) != 0)
                        refuse(r, now->place, "breaking change: %s was \"%s\" (%s:%d), is \"%s\"", old->key, old->value,
                               lock->path, old->line, now->value);
                else if (now->required && !old->required)
                        refuse(r, now->place, "breaking change: %s is required now (%s:%d)", old->key, lock->path, old->line);
        }
}

/* "field nuanxin.membership.v1.Member 3" → "message nuanxin.membership.v1.Member" */
static const char *message_key(struct arena *a, const char *field_key)
{
        const char *from = strchr(field_key, ' ') + 1, *to = strrchr(field_key, ' ');
        return arena_printf(a, "message %.*s", (int)(to - from), from);
}

static void compare_now(struct lock *lock, struct arena *a, struct refusals *r)
{
        for (size_t i = 0; i < lock->n_now; i++) {
                const struct promise *now = &lock->now[i];
                if (promise_find(lock->old, lock->n_old, now->key))
                        continue;
                lock->additions++;
                if (now->required && now->new_in_input && str_starts(str_of(now->key), STR("field ")) &&
                    promise_find(lock->old, lock->n_old, message_key(a, now->key)))
                        refuse(r, now->place, "breaking change: new %s is required: older callers do not send it", now->key);
        }
}

void lock_check(struct lock *ret_lock, const struct model *m, const char *path, struct str text,
                struct refusals *refusals)
{
        struct lock lock = {.path = path};
        struct today today = {.arena = m->arena};
        promise_all(&today, m);
        lock.now = today.items;
        lock.n_now = today.n;
        lock_parse(&lock, m->arena, text, refusals);
        compare_old(&lock, refusals);
        compare_now(&lock, m->arena, refusals);
        *ret_lock = lock;
}

void lock_write(struct buf *out, const struct lock *lock)
{
        buf_add_z(out, "# SPDX-License-Identifier: Apache-2.0\n#\n"
                       "# What the contract has promised: nothing of it may change within a version. `make lock` adds what\n"
                       "# is new; the build refuses what breaks a line. The format: proto/compiler/lock.h.\n");
        for (size_t i = 0; i < lock->n_now; i++) {
                const struct promise *now = &lock->now[i];
                const struct promise *old = promise_find(lock->old, lock->n_old, now->key);
                buf_printf(out, "%s = ", now->key);
                if (is_history(now) && old && strcmp(last_word(old->value), now->value) == 0)
                        buf_printf(out, "%.*s", (int)(last_word(old->value) - old->value), old->value);
                else if (is_history(now) && old)
                        buf_printf(out, "%s ", old->value);
                buf_printf(out, "%s%s\n", now->value, now->required ? " required" : "");
        }
}

struct pasts lock_pasts(const struct model *m, const struct lock *lock, bool outputs)
{
        size_t n = 0, most = 0;
        for (size_t i = 0; i < lock->n_old; i++)
                most += is_history(&lock->old[i]) ? strlen(lock->old[i].value) / 17 + 1 : 0;
        /* One message may belong to several methods; each has a list of its own. */
        struct past *list = ARENA_ARRAY(m->arena, struct past, most * (m->n_methods + 1) + 1);
        for (size_t i = 0; i < m->n_methods; i++) {
                const struct method *x = &m->methods[i];
                struct message *message = outputs ? x->output : x->input;
                const struct promise *old =
                        promise_find(lock->old, lock->n_old, arena_printf(m->arena, "message %s", message->name));
                struct str rest = str_of(old ? old->value : "");
                while (rest.n) {
                        struct str word = str_cut(&rest, ' ');
                        uint64_t hash = strtoull(arena_strndup(m->arena, word.p, word.n), NULL, 16);
                        if (hash && hash != shape_hash(m->arena, message))
                                list[n++] = (struct past){str_hash(str_of(x->name)), hash};
                }
        }
        return (struct pasts){list, n};
}
