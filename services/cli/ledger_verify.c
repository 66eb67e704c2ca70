/* SPDX-License-Identifier: Apache-2.0
 *
 * ledger verify: reads the care service's store itself, with nothing running or beside a service at work, and says whether its ledger
 * is what was entered, chained and signed, whether every balance is what the transfers come to, and whether that is what was decided,
 * paid and used of caps.
 */
#include "common/base/clock.h"
#include "common/chain/verify.h"
#include "common/ledger/check.h"
#include "services/cli/ledger.h"

#include <inttypes.h>
#include <stdio.h>

#define AT_ONCE   1000
#define SAID_MOST 100 /* findings that are listed */

struct verify {
        struct cli *cli;
        struct store *store;
        struct store_conn *db;
        struct arena *arena; /* of a slice */
        struct chain_check *chain;
        struct ledger_check check;
        struct chain_store end;
        char epoch[40], account[40]; /* the last that was checked */
        const char *thing;           /* that the chain's row in hand is of */
        int64_t next, said, started_us, decisions;
        struct buf findings; /* as JSON */
        unsigned char public[SIGNING_PUBLIC_SIZE];
        struct clock clock;
        struct progress progress;
        bool told; /* why it could not be done */
};

static void say(void *arg, const char *text)
{
        struct verify *v = arg;
        if (v->said++ >= SAID_MOST)
                return;
        if (!v->cli->json) {
                printf("%s\n", text);
                return;
        }
        if (v->findings.n)
                buf_add_char(&v->findings, ',');
        transcode_json_string(&v->findings, str_of(text));
}

/* --- the chain --------------------------------------------------------------------------------------------------------- */

static void on_chain(void *arg, const struct chain_finding *finding)
{
        struct verify *v = arg;
        char text[CHAIN_FINDING_MAX], whole[CHAIN_FINDING_MAX + 80];
        chain_finding_text(finding, "row", text);
        bool this = v->thing && finding->seq == v->next;
        snprintf(whole, sizeof(whole), "chain: %s%s%s%s", text, this ? " (" : "", this ? v->thing : "", this ? ")" : "");
        v->check.findings++;
        say(v, whole);
}

static int read_end(struct verify *v)
{
        static const char sql[] = "SELECT r.epoch, e.epoch, e.begun, e.seq, e.head FROM rpc_epoch r LEFT JOIN ledger_end e ON e.id = 1 WHERE r.id = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(v->db, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r == 0 ? -ENODATA : r;
        bool entered = str_eq(store_text(rows, 0), store_text(rows, 1));
        struct str head = store_bytes(rows, 4);
        snprintf(v->epoch, sizeof(v->epoch), "%s", store_text(rows, 0).p);
        v->end = (struct chain_store){
                .epoch = v->epoch,
                .begun = entered ? store_i64(rows, 2) : store_i64(rows, 3),
                .latest = store_i64(rows, 3),
                .folder = v->cli->checkpoints,
                .now_us = clock_now_us(&v->clock),
                .restored = v->cli->restored,
        };
        if (head.n == CHAIN_SIZE)
                memcpy(v->end.head, head.p, CHAIN_SIZE);
        return 0;
}

struct link {
        int64_t seq;
        int thing;
        const char *id;
        struct str leaf, head;
};

static int read_links(struct verify *v, struct link *links, size_t *ret_n)
{
        static const char sql[] = "SELECT seq, thing, id, leaf, head FROM ledger_chain WHERE seq >= $1 AND seq <= $2 ORDER BY seq LIMIT $3";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(v->db, sql, &rows, I64(v->next), I64(v->end.latest), I64(AT_ONCE));
        *ret_n = 0;
        while (r == 0 && (r = store_next(rows)) == 1) {
                links[(*ret_n)++] = (struct link){store_i64(rows, 0), (int)store_i64(rows, 1), store_text_dup(rows, 2, v->arena),
                                                  arena_str(v->arena, store_bytes(rows, 3)), arena_str(v->arena, store_bytes(rows, 4))};
                r = 0;
        }
        return r;
}

static int check_link(struct verify *v, const struct link *link)
{
        static const char *const names[] = {"", "transfer", "account", "fund", "consent"};
        struct ledger_stands stands = {.packed = STR("")};
        const char *name = link->thing > 0 && (size_t)link->thing < ARRAY_LEN(names) ? names[link->thing] : "thing";
        int r = ledger_read_thing(v->db, v->arena, link->thing, link->id, &stands);
        if (r != 0 && r != -ENODATA)
                return r;
        const struct chain_row row = {.seq = link->seq, .event_seq = link->seq, .leaf = link->leaf, .head = link->head,
                                      .event = stands.packed, .taken_us = stands.created_us, .bare = true};
        v->thing = arena_printf(v->arena, "%s %s%s", name, link->id, r == -ENODATA ? ", which is gone" : "");
        v->next = link->seq;
        chain_check_row(v->chain, &row);
        v->thing = NULL;
        v->next = link->seq + 1;
        return 0;
}

/* In a snapshot of its own, so that no service waits. */
static int chain_slice(struct verify *v, size_t *ret_n)
{
        struct link *links = ARENA_ARRAY(v->arena, struct link, AT_ONCE);
        int r = store_begin(v->db);
        if (r == 0)
                r = read_links(v, links, ret_n);
        for (size_t i = 0; r == 0 && i < *ret_n; i++)
                r = check_link(v, &links[i]);
        store_rollback(v->db);
        arena_reset(v->arena);
        progress_show(&v->progress, v->next, v->end.latest);
        return r;
}

/* What was signed is read before the end: the end is never older. */
static int check_chain(struct verify *v)
{
        _cleanup_(arena_freep) struct arena *points_arena = arena_new(1 << 16);
        struct checkpoint *points = NULL;
        size_t n_points = 0, n = AT_ONCE;
        const char *error = NULL;
        int r = checkpoints_read(v->cli->checkpoints, points_arena, &points, &n_points, &error);
        if (r != 0) {
                fprintf(stderr, "%s; give --checkpoints the folder that the care service writes\n", error);
                v->told = true;
                return r;
        }
        r = store_begin(v->db);
        if (r == 0)
                r = read_end(v);
        store_rollback(v->db);
        if (r != 0)
                return r;
        v->chain = chain_check_new(&v->end, v->public, on_chain, v);
        chain_check_start(v->chain, 0, points, n_points);
        v->next = 1;
        while (r == 0 && n == AT_ONCE)
                r = chain_slice(v, &n);
        if (r == 0)
                chain_check_end(v->chain);
        return r;
}

/* --- the accounts ------------------------------------------------------------------------------------------------------ */

static int check_entries(struct verify *v, const struct ledger_account *account)
{
        int r = 0;
        for (size_t n = AT_ONCE; r == 0 && n == AT_ONCE;) {
                struct arena *slice = arena_new(1 << 16);
                struct ledger_entry *entries = ARENA_ARRAY(slice, struct ledger_entry, AT_ONCE);
                r = ledger_read_entries(v->db, slice, account->id, v->check.number, entries, AT_ONCE, &n);
                for (size_t i = 0; r == 0 && i < n; i++)
                        ledger_check_entry(&v->check, &entries[i]);
                arena_free(slice);
        }
        return r;
}

static int check_account(struct verify *v, bool *ret_any)
{
        struct ledger_account account;
        bool allowed;
        int r = store_begin(v->db);
        if (r == 0)
                r = ledger_read_account_after(v->db, v->arena, v->account, &account, &allowed);
        *ret_any = r == 0;
        if (r == 0) {
                ledger_check_begin(&v->check, &account);
                if (!allowed)
                        ledger_check_tell(&v->check, "account %s is for %s, which its fund does not allow", account.id, account.purpose);
                r = check_entries(v, &account);
        }
        if (r == 0)
                ledger_check_end(&v->check);
        store_rollback(v->db);
        if (*ret_any)
                snprintf(v->account, sizeof(v->account), "%s", account.id);
        arena_reset(v->arena);
        return r == -ENODATA ? 0 : r;
}

static int check_accounts(struct verify *v)
{
        bool any = true;
        int r = 0;
        while (r == 0 && any)
                r = check_account(v, &any);
        return r;
}

/* --- decisions and payments ----------------------------------------------------------------------------------------------- */

static int check_decisions(struct verify *v)
{
        char last[40] = "";
        size_t n = AT_ONCE;
        int r = 0;
        while (r == 0 && n == AT_ONCE) {
                const char *after = last;
                r = store_begin(v->db);
                if (r == 0)
                        r = ledger_check_decisions(v->db, v->arena, &v->check, &after, AT_ONCE, &n);
                store_rollback(v->db);
                if (after != last)
                        snprintf(last, sizeof(last), "%s", after);
                arena_reset(v->arena);
                v->decisions += (int64_t)n;
        }
        return r;
}

/* --- the whole --------------------------------------------------------------------------------------------------------- */

/* Each line that a query gives is a fault. columns: that are shown. */
static int check_none(struct verify *v, const char *sql, const char *format)
{
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(v->db, sql, &rows);
        while (r == 0 && (r = store_next(rows)) == 1) {
                ledger_check_tell(&v->check, format, store_text_dup(rows, 0, v->arena));
                r = 0;
        }
        return r;
}

static int check_whole(struct verify *v)
{
        int r = store_begin(v->db);
        if (r == 0)
                r = check_none(v, ledger_sql_unchained(store_is_shared(v->store)), "%s stands in the ledger, and not in its chain");
        if (r == 0)
                r = check_none(v, ledger_sql_twice, "%s stands in the chain more than once");
        if (r == 0)
                r = check_none(v, ledger_sql_orphans, "transfer %s debits an account that is not there");
        if (r == 0)
                r = check_none(v, ledger_sql_unequal, "fund %s: debits and credits are not equal");
        if (r == 0)
                r = check_none(v, ledger_sql_cases, "case %s: what it says was granted and paid is not what the ledger has of it");
        if (r == 0)
                r = check_none(v, ledger_sql_caps(store_is_shared(v->store)), "cap %s: what is used is not what the decisions use");
        if (r == 0)
                r = ledger_check_bounds(v->db, v->arena, &v->check);
        for (const struct ledger_rule *rule = ledger_rules; r == 0 && rule->sql; rule++)
                r = check_none(v, rule->sql, rule->format);
        store_rollback(v->db);
        arena_reset(v->arena);
        return r;
}

static void report(struct verify *v)
{
        const struct chain_counts *chain = chain_check_counts(v->chain);
        int64_t took = clock_monotonic_us() - v->started_us;
        if (v->cli->json) {
                printf("{\"rows\":%" PRId64 ",\"checkpoints\":%" PRId64 ",\"accounts\":%" PRId64 ",\"transfers\":%" PRId64 ",\"decisions\":%" PRId64 ",\"ms\":%" PRId64
                       ",\"faults\":%" PRId64 ",\"findings\":[%s]}\n",
                       chain->rows, chain->checkpoints, v->check.accounts, v->check.rows, v->decisions, took / 1000, v->check.findings,
                       buf_z(&v->findings));
                return;
        }
        if (v->said > SAID_MOST)
                printf("and %" PRId64 " more\n", v->said - SAID_MOST);
        if (chain->void_points)
                printf("a restore took away rows that %" PRId64 " checkpoints of an older epoch had signed\n", chain->void_points);
        printf("%" PRId64 " rows in the chain, %" PRId64 " checkpoints, %" PRId64 " accounts, %" PRId64 " transfers, %" PRId64 " decisions: %s\n", chain->rows,
               chain->checkpoints, v->check.accounts, v->check.rows, v->decisions,
               v->check.findings ? "NOT what was entered and signed" : "as they were entered and signed; every balance is what its transfers come to, and what was decided and paid is in it");
}

int run_ledger_verify(struct cli *cli, const struct command *command, const char *const *operands, size_t n_operands)
{
        struct verify v = {.cli = cli, .progress = {.what = "checked"}, .started_us = clock_monotonic_us()};
        (void)command, (void)operands, (void)n_operands;
        if (!cli->checkpoints)
                cli->checkpoints = arena_printf(cli->arena, "%s/ledger", cli->var);
        int r = clock_init(&v.clock, NULL) < 0 ? 1 : cli_signing_key(cli, LEDGER_KEY_PURPOSE, v.public);
        if (r == 0)
                r = cli_open_store(cli, "care", &v.store, &v.db);
        if (r == 0) {
                v.arena = arena_new(1 << 16);
                v.check = (struct ledger_check){.found = say, .arg = &v};
                r = check_chain(&v);
                if (r == 0)
                        r = check_accounts(&v);
                if (r == 0)
                        r = check_decisions(&v);
                if (r == 0)
                        r = check_whole(&v);
                progress_end(&v.progress);
                if (r == 0)
                        report(&v);
                else if (!v.told)
                        fprintf(stderr, "can't read %s: %s\n", cli->store,
                                *store_last_error(v.db) ? store_last_error(v.db) : strerror(r < 0 ? -r : EIO));
                r = r != 0 || v.check.findings ? 1 : 0;
        }
        chain_check_free(v.chain);
        arena_free(v.arena);
        buf_done(&v.findings);
        store_conn_close(v.db);
        store_close(v.store);
        return r;
}
