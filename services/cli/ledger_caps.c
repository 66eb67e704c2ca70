/* SPDX-License-Identifier: Apache-2.0
 *
 * ledger verify: whether what is used of caps is what the decisions use, and no more than the programmes' versions allow.
 */
#include "contract/care_v1.h"
#include "nuanxin/care/v1/programme.pb-c.h"
#include "services/cli/ledger.h"

#include <inttypes.h>
#include <string.h>

typedef Nuanxin__Care__V1__ProgrammeDocument ProgrammeDocument;

/* --- against the decisions ------------------------------------------------------------------------------------------------ */

/* Lists of uses (holder, cap, period, how much) are cut into lines and words by what each engine calls the place of a text in
 * another, on any text; what is no number counts as one that nothing is. What decisions use less what is used is nothing. */
#define BEFORE(place, text, by) "substr(" text ", 1, " place "(" text ", " by ") - 1)"
#define BEHIND(place, text, by) "substr(" text ", " place "(" text ", " by ") + 1)"
#define CAPS(place)                                                                                          \
        "WITH RECURSIVE used_line(programme, rest, one) AS (SELECT programme, uses || '\n', substr(uses, 1, 0) FROM care_decision " \
        "WHERE state <> 3 AND uses <> '' UNION ALL SELECT programme, " BEHIND(place, "rest", "'\n'") ", "    \
        BEFORE(place, "rest", "'\n'") " FROM used_line WHERE rest <> ''), "                                  \
        "whole AS (SELECT programme, one || '   ' AS rest FROM used_line WHERE one <> ''), "                 \
        "of_holder AS (SELECT programme, " BEFORE(place, "rest", "' '") " AS holder, "                       \
        BEHIND(place, "rest", "' '") " AS rest FROM whole), "                                                \
        "of_cap AS (SELECT programme, holder, " BEFORE(place, "rest", "' '") " AS cap, "                     \
        BEHIND(place, "rest", "' '") " AS rest FROM of_holder), "                                            \
        "of_period AS (SELECT programme, holder, cap, " BEFORE(place, "rest", "' '") " AS period, "          \
        "rtrim(" BEHIND(place, "rest", "' '") ") AS n FROM of_cap) "                                         \
        "SELECT cap || ' of ' || programme || ' for ' || holder || CASE WHEN period = '' THEN '' ELSE ' from ' || period || ' on' END " \
        "FROM (SELECT programme, holder, cap, period, CASE WHEN n <> '' AND LENGTH(n) < 16 AND ltrim(n, '0123456789') = '' " \
        "THEN CAST(n AS BIGINT) ELSE -1000000000000000 END AS used FROM of_period "                          \
        "UNION ALL SELECT programme, holder, cap, period, -used FROM care_cap_use) AS u "                    \
        "GROUP BY programme, holder, cap, period HAVING SUM(used) <> 0"

const char *ledger_sql_caps(bool shared)
{
        static const char alone[] = CAPS("instr"), with_others[] = CAPS("strpos");
        return shared ? with_others : alone;
}

/* --- against the programmes ------------------------------------------------------------------------------------------------ */

/* A cap, at its highest in any version that was in force: cases stay on theirs. */
struct bound {
        const char *programme, *cap;
        int64_t most;
        struct bound *next;
};

static void bound_raise(struct arena *arena, struct bound **all, const char *programme, const Nuanxin__Care__V1__Cap *cap)
{
        for (struct bound *b = *all; b; b = b->next)
                if (strcmp(b->programme, programme) == 0 && strcmp(b->cap, cap->code) == 0) {
                        b->most = cap->most > b->most ? cap->most : b->most;
                        return;
                }
        struct bound *fresh = ARENA_NEW(arena, struct bound);
        *fresh = (struct bound){programme, cap->code, cap->most, *all};
        *all = fresh;
}

static int read_bounds(struct store_conn *db, struct arena *arena, struct ledger_check *check, struct bound **ret)
{
        static const char sql[] = "SELECT programme, document, version FROM programme_version WHERE activated_us > 0 ORDER BY programme, version";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows);
        *ret = NULL;
        while (r == 0 && (r = store_next(rows)) == 1) {
                const char *programme = store_text_dup(rows, 0, arena);
                struct str packed = store_bytes(rows, 1);
                ProtobufCMessage *message = NULL;
                r = message_unpack(arena, &care_v1_programme_document_msg, packed.p, packed.n, &message);
                const ProgrammeDocument *document = r == 0 ? (ProgrammeDocument *)message : NULL;
                if (r != 0)
                        ledger_check_tell(check, "programme %s, version %" PRId64 ": cannot be read", programme, store_i64(rows, 2));
                for (size_t i = 0; document && i < document->n_caps; i++)
                        bound_raise(arena, ret, programme, document->caps[i]);
                r = 0;
        }
        return r;
}

static int check_bound(struct store_conn *db, struct ledger_check *check, const struct bound *b)
{
        static const char sql[] = "SELECT holder, used FROM care_cap_use WHERE programme = $1 AND cap = $2 AND used > $3";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows, TEXTZ(b->programme), TEXTZ(b->cap), I64(b->most));
        while (r == 0 && (r = store_next(rows)) == 1) {
                ledger_check_tell(check, "cap %s of %s for %s: %" PRId64 " is used, and %" PRId64 " is the most", b->cap, b->programme,
                                  store_text(rows, 0).p, store_i64(rows, 1), b->most);
                r = 0;
        }
        return r;
}

int ledger_check_bounds(struct store_conn *db, struct arena *arena, struct ledger_check *check)
{
        struct bound *all;
        int r = read_bounds(db, arena, check, &all);
        for (const struct bound *b = all; r == 0 && b; b = b->next)
                r = check_bound(db, check, b);
        return r;
}
