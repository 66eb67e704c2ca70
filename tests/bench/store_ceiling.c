/* SPDX-License-Identifier: Apache-2.0
 *
 * What SQLite itself takes: the rows of a durable check-in, of an imported organisation, of an imported member, of an event
 * in the stream's log, of a transfer, written into the services' own schemas by one thread in groups, FULL, with nothing around
 * it: no savepoints, no look-ups, no sealing, no sums. The figures `checkin_vs_store`, `org_import_vs_store`,
 * `member_import_vs_store`, `log_in_vs_store`, `ledger_vs_store` and `ledger_hot_vs_store` stand over these.
 *
 *   store_ceiling checkin|member|organization|log|ledger|ledger_hot SECONDS FOLDER [GROUP]     one line of JSON
 *
 * A check-in is its attendance, stored answer, audit row and event, and per group what the counts come to: a row for
 * each activity and for each organisation up the tree, and the cursor. A member is its row, its sealed row and its
 * event. An event of the log is its row, and per group the log's end and the cursor. A transfer, by turns a reservation and a
 * posting, is its row, its two accounts' (one of 100 budgets, or always the same, to what was spent of it), stored answer, audit
 * row, event and row in the chain, and per group the chain's end and the cursor.
 * Organisations come all in one transaction, 31,691 of them in a fresh store each time, with their events.
 */
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/rpc/schema.h"
#include "common/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

STORE_SCHEMA(activity_schema, "services/activity/schema/001_core.sql");
STORE_SCHEMA(membership_schema, "services/membership/schema/001_core.sql");
STORE_SCHEMA(stream_schema, "services/stream/schema/001_log.sql");
STORE_SCHEMA(ledger_schema, "services/care/schema/003_ledger.sql");

#define ACTIVITIES    500
#define MEMBERS       20000
#define VILLAGES      29654
#define TOWNS         1900
#define COUNTIES      122
#define CITIES        14
#define CODE_SIZE     24
#define COMMITS_MAX   200000
#define EVENT_SIZE    190 /* of a CheckinRecorded */
#define ANSWER_SIZE   290 /* of a sealed Checkin */
#define ORG_EVENT     110
#define MEMBER_EVENT  70
#define LOGGED_RANDOM 80  /* a person's hash, salt, leaf, head */
#define STORED_EVENT  339 /* of a MemberStateChanged, in the log */
#define BUDGETS       100
#define LEDGER_EVENT  250 /* of a TransferRecorded */
#define PENDING_MOST  1000000

struct bench {
        struct store *store;
        struct store_writer *writer;
        struct store_conn *db;
        int64_t seq; /* of audit and outbox */
        char campaign[ID_TEXT_SIZE];
        char activities[ACTIVITIES][ID_TEXT_SIZE];
        char members[MEMBERS][ID_TEXT_SIZE];
        int64_t *commits; /* how long each took, us */
        size_t n_commits;
};

static unsigned char filler[512];

static void die(const struct bench *b, const char *what, int r)
{
        fprintf(stderr, "%s: %d %s\n", what, r, b->db ? store_last_error(b->db) : "");
        exit(1);
}

static void must(const struct bench *b, const char *what, int r)
{
        if (r != 0)
                die(b, what, r);
}

static uint64_t draw(uint64_t below)
{
        uint64_t v;
        id_random(&v, sizeof(v));
        return v % below;
}

/* Codes as the country's: 2 digits of the province, 4 city, 6 county, 9 town, 12 village; the shorter ones filled up. */
static void village_code(char out[CODE_SIZE], uint64_t village)
{
        uint64_t town = village % TOWNS, county = town % COUNTIES, city = county % CITIES;
        snprintf(out, CODE_SIZE, "43%02u%02u%03u%03u", (unsigned)city + 1, (unsigned)(county / CITIES) + 1,
                 (unsigned)(town / COUNTIES) + 1, (unsigned)(village / TOWNS) + 1);
}

/* --- a store of its own ---------------------------------------------------------------------------------------- */

static void bench_open(struct bench *b, const char *folder, const char *name, const char *schema)
{
        const struct store_migration own = {name, schema};
        const char *error = "";
        char url[4200];
        snprintf(url, sizeof(url), "sqlite:%s/ceiling.db", folder);
        int r = store_open(url, NULL, &b->store, &error);
        if (r == 0)
                r = store_writer_acquire(b->store, "ceiling", false, &b->writer, &error);
        if (r == 0)
                r = store_migrate(store_writer_conn(b->writer), rpc_migrations, rpc_n_migrations, &error);
        if (r == 0)
                r = store_migrate(store_writer_conn(b->writer), &own, 1, &error);
        if (r != 0)
                die(b, error, r);
        b->db = store_writer_conn(b->writer);
        b->seq = 0;
}

static void bench_close(struct bench *b, const char *folder)
{
        static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
        b->db = NULL;
        b->writer = store_writer_release(b->writer);
        b->store = store_close(b->store);
        for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
                char path[4200];
                snprintf(path, sizeof(path), "%s/ceiling.db%s", folder, suffixes[i]);
                unlink(path);
        }
}

static void begin(struct bench *b)
{
        must(b, "begin", store_begin(b->db));
}

static void commit(struct bench *b)
{
        int64_t before = clock_monotonic_us();
        must(b, "commit", store_commit(b->db));
        if (b->n_commits < COMMITS_MAX)
                b->commits[b->n_commits++] = clock_monotonic_us() - before;
}

/* --- rows that every write leaves ---------------------------------------------------------------------------- */

static void add_event(struct bench *b, const char *type, const char *subject, const char *organization, int64_t now,
                      size_t size)
{
        static const char sql[] = "INSERT INTO rpc_outbox (seq, id, type, subject, organization, time_us, data) "
                                  "VALUES ($1, $2, $3, $4, $5, $6, $7)";
        char id[ID_TEXT_SIZE];
        id_new(id, now);
        must(b, "event", store_exec(b->db, sql, NULL, I64(++b->seq), TEXTZ(id), TEXTZ(type), TEXTZ(subject),
                                    TEXTZ(organization), I64(now), BYTES(filler, size)));
}

static void add_answer(struct bench *b, int64_t now)
{
        static const char sql[] =
                "INSERT INTO rpc_answer (key, principal, method, request, problem, payload, expires_us) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (key, principal, method) DO NOTHING";
        char key[ID_TEXT_SIZE];
        id_new(key, now);
        must(b, "answer", store_exec(b->db, sql, NULL, TEXTZ(key), TEXTZ("account:0197b0a0-0000-7000-8000-000000000001"),
                                     I64(0x1234567890abcdef), I64((int64_t)draw(INT64_MAX)), I64(0),
                                     BYTES(filler, ANSWER_SIZE), I64(now + 600 * CLOCK_SECOND_US)));
}

static void add_audit(struct bench *b, const char *subject, const char *organization, int64_t now)
{
        static const char sql[] = "INSERT INTO rpc_audit (seq, time_us, principal, client, method, subject, "
                                  "organization, outcome, purpose, trace) "
                                  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        must(b, "audit",
             store_exec(b->db, sql, NULL, I64(b->seq + 1), I64(now), TEXTZ("account:0197b0a0-0000-7000-8000-000000000001"),
                        TEXTZ(""), TEXTZ("nuanxin.activity.v1.Activities.CreateCheckin"), TEXTZ(subject),
                        TEXTZ(organization), TEXTZ("ok"), TEXTZ(""), TEXTZ("0af7651916cd43dd8448eb211c80319c")));
}

/* --- check-ins -------------------------------------------------------------------------------------------------- */

/* Whether it was new: the same member may be drawn twice for an activity. */
static bool add_checkin(struct bench *b, const char *activity, const char *organization, int64_t now)
{
        static const char sql[] =
                "INSERT INTO attendance (activity, member, id, organization, way, device, nonce, occurred_us, created_us, "
                "previous_organization, previous_way, amended) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', 0, 0) "
                "ON CONFLICT (activity, member) DO NOTHING";
        char id[ID_TEXT_SIZE];
        int64_t added;
        id_new(id, now);
        must(b, "attendance", store_exec(b->db, sql, &added, TEXTZ(activity), TEXTZ(b->members[draw(MEMBERS)]), TEXTZ(id),
                                         TEXTZ(organization), I64(1), TEXTZ("device-17"), TEXTZ(id), I64(now), I64(now)));
        if (!added)
                return false;
        add_answer(b, now);
        add_audit(b, id, organization, now);
        add_event(b, "nuanxin.activity.v1.CheckinRecorded", id, organization, now, EVENT_SIZE);
        return true;
}

static int compare_codes(const void *a, const void *b)
{
        return strcmp(a, b);
}

/* What a group's events come to: sorted and merged, as the follower of the outbox does it. */
static void add_counts(struct bench *b, char (*codes)[CODE_SIZE], size_t n, const bool touched[ACTIVITIES])
{
        static const char per_activity[] =
                "INSERT INTO activity_count (activity, registered, waiting, on_site, online) VALUES ($1, 0, 0, $2, 0) "
                "ON CONFLICT (activity) DO UPDATE SET on_site = activity_count.on_site + excluded.on_site";
        static const char per_organization[] =
                "INSERT INTO campaign_count (campaign, organization, on_site, online) VALUES ($1, $2, $3, 0) "
                "ON CONFLICT (campaign, organization) DO UPDATE SET on_site = campaign_count.on_site + excluded.on_site";
        static const char cursor[] = "INSERT INTO rpc_cursor (name, epoch, position, topic, key) VALUES ('counts', $1, $2, -1, '') "
                                     "ON CONFLICT (name) DO UPDATE SET position = excluded.position";
        static const int digits[] = {12, 9, 6, 4, 2};
        for (size_t i = 0; i < ACTIVITIES; i++)
                if (touched[i])
                        must(b, "count", store_exec(b->db, per_activity, NULL, TEXTZ(b->activities[i]), I64(1)));
        qsort(codes, n, sizeof(codes[0]), compare_codes);
        for (size_t level = 0; level < ARRAY_LEN(digits); level++)
                for (size_t i = 0, same = 1; i < n; i++, same++) {
                        size_t length = (size_t)digits[level];
                        if (i + 1 < n && memcmp(codes[i], codes[i + 1], length) == 0)
                                continue;
                        must(b, "count", store_exec(b->db, per_organization, NULL, TEXTZ(b->campaign),
                                                    TEXT(str_bytes(codes[i], length)), I64((int64_t)same)));
                        same = 0;
                }
        must(b, "cursor", store_exec(b->db, cursor, NULL, TEXTZ(b->campaign), I64(b->seq)));
}

static int64_t checkins(struct bench *b, int64_t until, size_t group, struct clock *clock)
{
        char(*codes)[CODE_SIZE] = mem_zalloc(group * sizeof(*codes));
        int64_t done = 0;
        while (clock_monotonic_us() < until) {
                bool touched[ACTIVITIES] = {false};
                size_t n = 0;
                begin(b);
                while (n < group) {
                        size_t activity = draw(ACTIVITIES);
                        village_code(codes[n], draw(VILLAGES));
                        if (!add_checkin(b, b->activities[activity], codes[n], clock_now_us(clock)))
                                continue;
                        touched[activity] = true;
                        n++;
                }
                add_counts(b, codes, n, touched);
                commit(b);
                done += (int64_t)n;
        }
        free(codes);
        return done;
}

/* --- imports ---------------------------------------------------------------------------------------------------- */

static void add_organization(struct bench *b, const char *code, const char *parent, const char *path, int kind,
                             int64_t now)
{
        static const char sql[] = "INSERT INTO organization (code, parent, kind, name, path, valid_from, valid_to, version)"
                                  " VALUES ($1, $2, $3, $4, $5, NULL, NULL, 1) ON CONFLICT DO NOTHING";
        must(b, "organization", store_exec(b->db, sql, NULL, TEXTZ(code), TEXT_OR_NULL(str_of(parent)), I64(kind),
                                           TEXTZ("桃花源村村民委员会"), TEXTZ(path)));
        add_event(b, "nuanxin.membership.v1.OrganizationChanged", code, code, now, ORG_EVENT);
}

static int64_t organizations(struct bench *b, struct clock *clock)
{
        static const int digits[] = {2, 4, 6, 9, 12};
        static const int counts[] = {1, CITIES, COUNTIES, TOWNS, VILLAGES};
        int64_t done = 0;
        begin(b);
        for (size_t level = 0; level < ARRAY_LEN(digits); level++)
                for (int i = 0; i < counts[level]; i++) {
                        char code[CODE_SIZE], parent[CODE_SIZE] = "", path[64] = "/";
                        size_t n = 1;
                        village_code(code, (uint64_t)i);
                        for (size_t above = 0; above <= level; above++)
                                n += (size_t)snprintf(path + n, sizeof(path) - n, "%.*s/", digits[above], code);
                        if (level)
                                snprintf(parent, sizeof(parent), "%.*s", digits[level - 1], code);
                        code[digits[level]] = '\0';
                        add_organization(b, code, parent, path, (int)level + 1, clock_now_us(clock));
                        done++;
                }
        commit(b);
        return done;
}

static void add_member(struct bench *b, int64_t now)
{
        static const char member[] = "INSERT INTO member (id, organization, state, name, number, id_number_masked,"
                                     " phone_masked, join_date, created, updated, version, generation)"
                                     " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (number) DO NOTHING";
        static const char secret[] = "INSERT INTO member_secret (member, wrapped_key, id_number, phone, id_number_index,"
                                     " phone_index, live) VALUES ($1, $2, $3, $4, $5, $6, 1)";
        char id[ID_TEXT_SIZE], number[24], organization[CODE_SIZE];
        unsigned char indexes[64];
        id_new(id, now);
        id_random(indexes, sizeof(indexes));
        village_code(organization, draw(VILLAGES));
        snprintf(number, sizeof(number), "%s%08" PRIu64, "4301", draw(1000000000000));
        must(b, "member", store_exec(b->db, member, NULL, TEXTZ(id), TEXTZ(organization), I64(2), TEXTZ("买买提·吐尔逊"),
                                     TEXTZ(number), TEXTZ("430***********1234"), TEXTZ("138****0000"),
                                     TEXTZ("2019-05-29"), I64(now), I64(now), I64(1), I64(0)));
        must(b, "secret", store_exec(b->db, secret, NULL, TEXTZ(id), BYTES(filler, 77), BYTES(filler, 59),
                                     BYTES(filler, 52), BYTES(indexes, 32), BYTES(indexes + 32, 32)));
        add_event(b, "nuanxin.membership.v1.MemberStateChanged", id, organization, now, MEMBER_EVENT);
}

static int64_t members(struct bench *b, int64_t until, size_t group, struct clock *clock)
{
        int64_t done = 0;
        while (clock_monotonic_us() < until) {
                begin(b);
                for (size_t i = 0; i < group; i++)
                        add_member(b, clock_now_us(clock));
                commit(b);
                done += (int64_t)group;
        }
        return done;
}

/* --- the log ---------------------------------------------------------------------------------------------------- */

static void add_logged(struct bench *b, const unsigned char *random, int64_t now)
{
        static const char sql[] = "INSERT INTO log (seq, person, taken_us, event, salt, leaf, head, erased_by)"
                                  " VALUES ($1, $2, $3, $4, $5, $6, $7, 0)";
        int64_t person;
        memcpy(&person, random, sizeof(person));
        must(b, "log", store_exec(b->db, sql, NULL, I64(++b->seq), I64(person), I64(now), BYTES(filler, STORED_EVENT), BYTES(random, 16),
                                  BYTES(random + 16, 32), BYTES(random + 48, 32)));
}

static int64_t logged(struct bench *b, int64_t until, size_t group, struct clock *clock)
{
        static const char log_end[] = "INSERT INTO log_end (id, seq, head, bytes, epoch, begun) VALUES (1, $1, $2, $3, '', 1)"
                                      " ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, head = excluded.head, bytes = excluded.bytes";
        static const char cursor[] = "INSERT INTO rpc_cursor (name, epoch, position, topic, key) VALUES ('log', '', $1, -1, '')"
                                     " ON CONFLICT (name) DO UPDATE SET position = excluded.position";
        unsigned char *random = mem_zalloc(group * LOGGED_RANDOM);
        int64_t done = 0;
        while (clock_monotonic_us() < until) {
                int64_t now = clock_now_us(clock);
                id_random(random, group * LOGGED_RANDOM);
                begin(b);
                for (size_t i = 0; i < group; i++)
                        add_logged(b, random + i * LOGGED_RANDOM, now);
                must(b, "end", store_exec(b->db, log_end, NULL, I64(b->seq), BYTES(random, 32), I64(b->seq * STORED_EVENT)));
                must(b, "cursor", store_exec(b->db, cursor, NULL, I64(b->seq)));
                commit(b);
                done += (int64_t)group;
        }
        free(random);
        return done;
}

/* --- transfers ---------------------------------------------------------------------------------------------------- */

struct side {
        char id[ID_TEXT_SIZE];
        int64_t posted, pending, version;
};

struct reservation {
        char id[ID_TEXT_SIZE];
        size_t budget;
};

struct books {
        struct side budgets[BUDGETS], spent[BUDGETS];
        size_t n_budgets, n_pending, next;
        struct reservation *pending;
};

static const char fund_id[] = "0197b0a0-0000-7000-8000-00000000f00d";

static void open_account(struct bench *b, struct side *side, const char *kind, size_t number, int64_t now)
{
        static const char sql[] =
                "INSERT INTO ledger_account (id, kind, fund, purpose, organization, path, programme, unit, created_us, credits_posted, "
                "credits_pending, debits_posted, debits_pending, version, changed_us) "
                "VALUES ($1, 1, $2, $3, $4, '/43/4301/430102/', '', 'CNY', 0, 0, 0, 0, 0, 0, 0)";
        char organization[16];
        id_new(side->id, now);
        snprintf(organization, sizeof(organization), "4301%02zu", number);
        must(b, "account", store_exec(b->db, sql, NULL, TEXTZ(side->id), TEXTZ(fund_id), TEXTZ(kind), TEXTZ(organization)));
}

static struct books *books_new(struct bench *b, size_t n_budgets, int64_t now)
{
        static const char fund[] = "INSERT INTO fund (id, kind, title, organization, donor, purposes, unit, created_us) "
                                   "VALUES ($1, 1, '', '43', '', '', 'CNY', 0)";
        struct books *books = mem_zalloc(sizeof(*books));
        books->n_budgets = n_budgets;
        books->pending = mem_zalloc(PENDING_MOST * sizeof(books->pending[0]));
        begin(b);
        must(b, "fund", store_exec(b->db, fund, NULL, TEXTZ(fund_id)));
        for (size_t i = 0; i < n_budgets; i++) {
                open_account(b, &books->budgets[i], "hospital-care", i, now);
                open_account(b, &books->spent[i], "spent", i, now);
        }
        commit(b);
        b->n_commits = 0;
        return books;
}

static void save_account(struct bench *b, const struct side *side, bool debit, int64_t now)
{
        static const char sql[] = "UPDATE ledger_account SET credits_posted = $2, credits_pending = $3, debits_posted = $4, "
                                  "debits_pending = $5, version = $6, changed_us = $7 WHERE id = $1";
        must(b, "account", store_exec(b->db, sql, NULL, TEXTZ(side->id), I64(debit ? 0 : side->posted), I64(debit ? 0 : side->pending),
                                      I64(debit ? side->posted : 0), I64(debit ? side->pending : 0), I64(side->version), I64(now)));
}

static void add_transfer(struct bench *b, struct books *books, char id[ID_TEXT_SIZE], int64_t now)
{
        static const char sql[] =
                "INSERT INTO ledger_transfer (id, kind, debit, credit, amount, of_id, reason, case_id, actor, expire_us, created_us, "
                "debit_number, debit_credits_posted, debit_credits_pending, debit_debits_posted, debit_debits_pending, credit_number, "
                "credit_credits_posted, credit_credits_pending, credit_debits_posted, credit_debits_pending) VALUES ($1, $2, $3, $4, "
                "120000, $5, '', '', $6, 0, $7, $8, 0, 0, $9, $10, $11, $9, $10, 0, 0)";
        bool post = books->next + 500 < books->n_pending && b->seq % 2; /* what was reserved a while ago */
        const struct reservation *of = post ? &books->pending[books->next++] : NULL;
        size_t i = of ? of->budget : draw(books->n_budgets);
        struct side *from = &books->budgets[i], *to = &books->spent[i];
        id_new(id, now);
        from->pending += post ? -120000 : 120000;
        from->posted += post ? 120000 : 0;
        to->pending = from->pending;
        to->posted = from->posted;
        from->version++;
        to->version++;
        must(b, "transfer", store_exec(b->db, sql, NULL, TEXTZ(id), I64(post ? 3 : 2), TEXTZ(from->id), TEXTZ(to->id), of ? TEXTZ(of->id) : SQLNULL(),
                                       TEXTZ("0197b0a0-0000-7000-8000-000000000001"), I64(now), I64(from->version), I64(from->posted),
                                       I64(from->pending), I64(to->version)));
        save_account(b, from, true, now);
        save_account(b, to, false, now);
        add_answer(b, now);
        add_audit(b, id, "430102", now);
        add_event(b, "nuanxin.care.v1.TransferRecorded", id, "430102", now, LEDGER_EVENT);
        if (!post && books->n_pending < PENDING_MOST) {
                books->pending[books->n_pending].budget = i;
                memcpy(books->pending[books->n_pending++].id, id, ID_TEXT_SIZE);
        }
}

static void chain_transfers(struct bench *b, char (*ids)[ID_TEXT_SIZE], size_t n, int64_t *seq)
{
        static const char row[] = "INSERT INTO ledger_chain (seq, thing, id, leaf, head) VALUES ($1, 1, $2, $3, $4)";
        static const char end[] = "INSERT INTO ledger_end (id, seq, head, epoch, begun) VALUES (1, $1, $2, '', 0) "
                                  "ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, head = excluded.head";
        static const char cursor[] = "INSERT INTO rpc_cursor (name, epoch, position, topic, key) VALUES ('care.ledger', '', $1, -1, '') "
                                     "ON CONFLICT (name) DO UPDATE SET position = excluded.position";
        unsigned char random[64];
        for (size_t i = 0; i < n; i++) {
                id_random(random, sizeof(random));
                must(b, "chain", store_exec(b->db, row, NULL, I64(++*seq), TEXTZ(ids[i]), BYTES(random, 32), BYTES(random + 32, 32)));
        }
        must(b, "end", store_exec(b->db, end, NULL, I64(*seq), BYTES(random, 32)));
        must(b, "cursor", store_exec(b->db, cursor, NULL, I64(b->seq)));
}

static int64_t transfers(struct bench *b, size_t n_budgets, int64_t until, size_t group, struct clock *clock)
{
        struct books *books = books_new(b, n_budgets, clock_now_us(clock));
        char(*ids)[ID_TEXT_SIZE] = mem_zalloc(group * sizeof(*ids));
        int64_t done = 0, seq = 0;
        while (clock_monotonic_us() < until) {
                begin(b);
                for (size_t i = 0; i < group; i++)
                        add_transfer(b, books, ids[i], clock_now_us(clock));
                chain_transfers(b, ids, group, &seq);
                commit(b);
                done += (int64_t)group;
        }
        free(books->pending);
        free(books);
        free(ids);
        return done;
}

/* --- the run ---------------------------------------------------------------------------------------------------- */

static int compare_times(const void *a, const void *b)
{
        const int64_t *x = a, *y = b;
        return (*x > *y) - (*x < *y);
}

static void report(struct bench *b, const char *what, int64_t done, int64_t took_us, int64_t group)
{
        qsort(b->commits, b->n_commits, sizeof(b->commits[0]), compare_times);
        printf("{\"name\":\"store_ceiling_%s\",\"per_s\":%.0f,\"done\":%" PRId64 ",\"seconds\":%.3f,\"group\":%" PRId64
               ",\"commits\":%zu,\"commit_p50_us\":%" PRId64 ",\"commit_p99_us\":%" PRId64 ",\"commit_max_us\":%" PRId64
               "}\n",
               what, (double)done * 1e6 / (double)took_us, done, (double)took_us / 1e6, group, b->n_commits,
               b->commits[b->n_commits / 2], b->commits[b->n_commits * 99 / 100], b->commits[b->n_commits - 1]);
}

static void make_people(struct bench *b, struct clock *clock)
{
        id_new(b->campaign, clock_now_us(clock));
        for (size_t i = 0; i < ACTIVITIES; i++)
                id_new(b->activities[i], clock_now_us(clock) - (int64_t)draw(CLOCK_DAY_US));
        for (size_t i = 0; i < MEMBERS; i++)
                id_new(b->members[i], clock_now_us(clock) - (int64_t)draw(30 * CLOCK_DAY_US));
}

int main(int argc, char **argv)
{
        struct clock clock = {0};
        int64_t seconds, group = 256, done = 0, took = 0;
        if (argc < 4 || str_to_i64(str_of(argv[2]), 1, 600, &seconds) < 0 ||
            (argc > 4 && str_to_i64(str_of(argv[4]), 1, 65536, &group) < 0)) {
                fprintf(stderr, "usage: store_ceiling checkin|member|organization|log|ledger|ledger_hot SECONDS FOLDER [GROUP]\n");
                return 2;
        }
        const char *what = argv[1], *folder = argv[3];
        struct bench *b = mem_zalloc(sizeof(*b));
        b->commits = mem_zalloc(COMMITS_MAX * sizeof(*b->commits));
        id_random(filler, sizeof(filler));
        make_people(b, &clock);
        if (strcmp(what, "checkin") == 0) {
                bench_open(b, folder, "activity/001_core", activity_schema);
                int64_t from = clock_monotonic_us();
                done = checkins(b, from + seconds * CLOCK_SECOND_US, (size_t)group, &clock);
                took = clock_monotonic_us() - from;
        } else if (strcmp(what, "log") == 0) {
                bench_open(b, folder, "stream/001_log", stream_schema);
                int64_t from = clock_monotonic_us();
                done = logged(b, from + seconds * CLOCK_SECOND_US, (size_t)group, &clock);
                took = clock_monotonic_us() - from;
        } else if (strncmp(what, "ledger", 6) == 0) {
                bench_open(b, folder, "care/003_ledger", ledger_schema);
                int64_t from = clock_monotonic_us();
                done = transfers(b, what[6] ? 1 : BUDGETS, from + seconds * CLOCK_SECOND_US, (size_t)group, &clock);
                took = clock_monotonic_us() - from;
        } else {
                bool all = strcmp(what, "organization") == 0;
                while (all && took < seconds * CLOCK_SECOND_US) {
                        if (b->db)
                                bench_close(b, folder);
                        bench_open(b, folder, "membership/001_core", membership_schema);
                        int64_t from = clock_monotonic_us();
                        done += organizations(b, &clock);
                        took += clock_monotonic_us() - from;
                        group = VILLAGES + TOWNS + COUNTIES + CITIES + 1;
                }
                if (!all) {
                        bench_open(b, folder, "membership/001_core", membership_schema);
                        organizations(b, &clock); /* members belong to one */
                        b->n_commits = 0;
                        int64_t from = clock_monotonic_us();
                        done = members(b, from + seconds * CLOCK_SECOND_US, (size_t)group, &clock);
                        took = clock_monotonic_us() - from;
                }
        }
        report(b, what, done, took, group);
        bench_close(b, folder);
        free(b->commits);
        free(b);
        return 0;
}
