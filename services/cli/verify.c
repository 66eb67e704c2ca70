/* SPDX-License-Identifier: Apache-2.0
 *
 * stream verify: reads the log's store itself, with nothing running or beside a service at work, and says whether it is
 * what was taken in and signed.
 */
#include "common/base/clock.h"
#include "common/chain/verify.h"
#include "common/json/transcode.h"
#include "common/store/store.h"
#include "contract/stream_v1.h"
#include "services/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>

#define AT_ONCE   2000
#define SAID_MOST 100 /* findings that are listed */

struct verify {
        struct cli *cli;
        struct store *store;
        struct store_conn *db;
        struct arena *arena; /* of a slice */
        struct arena *points_arena;
        struct chain_check *check;
        struct chain_store end;
        char epoch[40];
        struct checkpoint *points;
        size_t n_points;
        int64_t cut, next;
        int64_t newest; /* that was signed when it began */
        int64_t said, started_us;
        struct buf findings; /* as JSON */
        unsigned char public[SIGNING_PUBLIC_SIZE];
        struct progress progress;
        struct clock clock;
};

/* --- what the store says --------------------------------------------------------------------------------------------- */

static void read_sum(const struct store_rows *rows, int column, unsigned char out[CHAIN_SIZE])
{
        struct str sum = store_bytes(rows, column);
        memset(out, 0, CHAIN_SIZE);
        if (sum.n == CHAIN_SIZE)
                memcpy(out, sum.p, CHAIN_SIZE);
}

/* 1: it is there. */
static int read_end(struct verify *v)
{
        static const char sql[] =
                "SELECT r.epoch, e.epoch, e.begun, e.seq, e.head, m.cut FROM rpc_epoch r "
                "LEFT JOIN log_end e ON e.id = 1 LEFT JOIN log_mark m ON m.id = 1 WHERE r.id = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(v->db, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        snprintf(v->epoch, sizeof(v->epoch), "%s", store_text(rows, 0).p);
        bool entered = str_eq(store_text(rows, 0), store_text(rows, 1));
        v->end = (struct chain_store){
                .epoch = v->epoch,
                .begun = entered ? store_i64(rows, 2) : store_i64(rows, 3),
                .latest = store_i64(rows, 3),
        };
        read_sum(rows, 4, v->end.head);
        v->end.folder = v->cli->checkpoints;
        v->end.restored = v->cli->restored;
        v->end.now_us = clock_now_us(&v->clock);
        v->cut = store_i64(rows, 5);
        return 1;
}

static int read_cut(struct verify *v, int64_t *ret)
{
        static const char sql[] = "SELECT cut FROM log_mark WHERE id = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(v->db, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        *ret = r == 1 ? store_i64(rows, 0) : 0;
        return r == 1 ? 0 : r;
}

/* --- rows ------------------------------------------------------------------------------------------------------------ */

static const StoredEvent *unpack(struct verify *v, struct str packed)
{
        ProtobufCMessage *message;
        int r = packed.p ? message_unpack(v->arena, &stream_v1_stored_event_msg, packed.p, packed.n, &message) : -ENODATA;
        return r == 0 ? (const StoredEvent *)message : NULL;
}

static bool is_notice(const StoredEvent *event)
{
        return contract_is_erasure(contract_message_by_name(str_of(event->type)));
}

static void check_row(struct verify *v, const struct store_rows *rows)
{
        struct chain_row row = {
                .seq = store_i64(rows, 0),
                .leaf = store_bytes(rows, 4),
                .head = store_bytes(rows, 5),
                .salt = store_bytes(rows, 3),
                .erased_by = store_i64(rows, 6),
                .taken_us = store_i64(rows, 7),
        };
        if (!store_is_null(rows, 2)) {
                row.event = store_bytes(rows, 2);
                row.event.p = row.event.p ? row.event.p : "";
                row.event_seq = -1;
        }
        const StoredEvent *event = unpack(v, row.event), *notice = unpack(v, store_bytes(rows, 8));
        if (event) {
                int64_t person = event->person[0] ? (int64_t)str_hash(str_of(event->person)) : 0;
                row.event_seq = event->seq;
                row.misfiled = store_i64(rows, 1) != person;
                row.misdated = row.taken_us != event->taken_us;
                row.is_notice = is_notice(event);
                row.person = str_of(row.is_notice ? "" : event->person);
        } else if (!row.event.p && notice && is_notice(notice)) {
                row.person = str_of(notice->person);
        }
        chain_check_row(v->check, &row);
        v->next = row.seq + 1;
}

static int read_slice(struct verify *v, int64_t *ret_n)
{
        static const char sql[] = "SELECT seq, person, event, salt, leaf, head, erased_by, taken_us, CASE WHEN erased_by > 0 THEN "
                                  "(SELECT n.event FROM log n WHERE n.seq = log.erased_by) END FROM log "
                                  "WHERE seq >= $1 AND seq <= $2 ORDER BY seq LIMIT $3";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(v->db, sql, &rows, I64(v->next), I64(v->end.latest), I64(AT_ONCE));
        *ret_n = 0;
        while (r == 0 && (r = store_next(rows)) == 1) {
                check_row(v, rows);
                ++*ret_n;
                r = 0;
        }
        arena_reset(v->arena);
        return r;
}

/* --- what was signed ------------------------------------------------------------------------------------------------- */

static int read_points(struct verify *v)
{
        const char *error = NULL;
        arena_reset(v->points_arena);
        int r = checkpoints_read(v->cli->checkpoints, v->points_arena, &v->points, &v->n_points, &error);
        if (r != 0)
                fprintf(stderr, "%s; give --checkpoints the folder that the stream service writes\n", error);
        return r;
}

/* Those of what came after we began are not of interest. */
static void forget_newer(struct verify *v)
{
        size_t n = 0;
        for (size_t i = 0; i < v->n_points; i++)
                if (v->points[i].seq <= v->newest || v->points[i].seq <= v->end.latest)
                        v->points[n++] = v->points[i];
        v->n_points = n;
}

/* The service cut the log while it was read: what went is passed over. */
static int pass_over(struct verify *v, int64_t cut)
{
        int r = read_points(v);
        if (r != 0)
                return r;
        forget_newer(v);
        v->cut = cut;
        v->next = cut + 1;
        chain_check_start(v->check, cut, v->points, v->n_points);
        return 0;
}

/* --- all of it ------------------------------------------------------------------------------------------------------- */

/* In a snapshot of its own, so that no service waits. */
static int slice(struct verify *v, int64_t *ret_n)
{
        int64_t cut = 0;
        int r = store_begin(v->db);
        if (r == 0)
                r = read_cut(v, &cut);
        if (r == 0 && cut >= v->next)
                r = pass_over(v, cut);
        if (r == 0)
                r = read_slice(v, ret_n);
        store_rollback(v->db);
        progress_show(&v->progress, v->next - v->cut, v->end.latest - v->cut);
        return r;
}

static void on_found(void *arg, const struct chain_finding *finding)
{
        struct verify *v = arg;
        char text[CHAIN_FINDING_MAX];
        chain_finding_text(finding, "event", text);
        if (v->said++ >= SAID_MOST)
                return;
        if (!v->cli->json) {
                printf("%s\n", text);
                return;
        }
        if (v->findings.n)
                buf_add_char(&v->findings, ',');
        transcode_json_string(&v->findings, str_of(text)); /* it may name a folder */
}

/* What was signed is read before the end: the end is never older. */
static int check_all(struct verify *v)
{
        int64_t n = 0;
        int r = read_points(v);
        if (r == 0)
                r = store_begin(v->db);
        if (r == 0)
                r = read_end(v);
        store_rollback(v->db);
        if (r != 1) {
                if (r == 0)
                        fprintf(stderr, "this store has no log\n");
                return r == 0 ? -ENODATA : r;
        }
        for (size_t i = 0; i < v->n_points; i++)
                v->newest = v->points[i].seq > v->newest ? v->points[i].seq : v->newest;
        v->check = chain_check_new(&v->end, v->public, on_found, v);
        v->next = v->cut + 1;
        chain_check_start(v->check, v->cut, v->points, v->n_points);
        do
                r = slice(v, &n);
        while (r == 0 && n == AT_ONCE);
        progress_end(&v->progress);
        if (r == 0)
                chain_check_end(v->check);
        return r;
}

static void report(struct verify *v)
{
        const struct chain_counts *counts = chain_check_counts(v->check);
        int64_t took = clock_monotonic_us() - v->started_us;
        int64_t rate = took > 0 ? counts->rows * CLOCK_SECOND_US / took : 0;
        if (v->cli->json) {
                printf("{\"from\":%" PRId64 ",\"through\":%" PRId64 ",\"events\":%" PRId64 ",\"erased\":%" PRId64
                       ",\"checkpoints\":%" PRId64 ",\"voidCheckpoints\":%" PRId64 ",\"perSecond\":%" PRId64 ",\"faults\":%" PRId64
                       ",\"findings\":[%s]}\n",
                       v->cut + 1, v->end.latest, counts->rows, counts->erased, counts->checkpoints, counts->void_points, rate,
                       counts->findings, buf_z(&v->findings));
                return;
        }
        if (v->said > SAID_MOST)
                printf("and %" PRId64 " more\n", v->said - SAID_MOST);
        if (counts->void_points && v->cli->restored)
                printf("%" PRId64 " checkpoints of older epochs are void: a restore took away the events that they had signed\n",
                       counts->void_points);
        printf("%" PRId64 " events (%" PRId64 " to %" PRId64 ", %" PRId64 " erased), %" PRId64 " checkpoints, %" PRId64 "/s: %s\n", counts->rows,
               v->cut + 1, v->end.latest, counts->erased, counts->checkpoints, rate,
               counts->findings ? "NOT what was taken in and signed" : "as they were taken in and signed");
}

/* --- the command ----------------------------------------------------------------------------------------------------- */

static int run_verify(struct cli *cli, const struct command *command, const char *const *operands, size_t n_operands)
{
        struct verify v = {.cli = cli, .progress = {.what = "checked"}, .started_us = clock_monotonic_us()};
        (void)command, (void)operands, (void)n_operands;
        if (!cli->checkpoints)
                cli->checkpoints = arena_printf(cli->arena, "%s/checkpoints", cli->var);
        int r = clock_init(&v.clock, NULL) < 0 ? 1 : cli_signing_key(cli, CHAIN_KEY_PURPOSE, v.public);
        if (r == 0)
                r = cli_open_store(cli, "stream", &v.store, &v.db);
        if (r == 0) {
                v.arena = arena_new(1 << 16);
                v.points_arena = arena_new(1 << 16);
                r = check_all(&v);
                if (r == 0)
                        report(&v);
                else if (r > 0 || *store_last_error(v.db))
                        fprintf(stderr, "can't read %s: %s\n", cli->store, store_last_error(v.db));
                r = r != 0 || chain_check_counts(v.check)->findings ? 1 : 0;
        }
        chain_check_free(v.check);
        arena_free(v.arena);
        arena_free(v.points_arena);
        buf_done(&v.findings);
        store_conn_close(v.db);
        store_close(v.store);
        return r;
}

const struct command commands_verify[] = {
        {"stream verify", "", "reads the log and says whether it is what was taken in and signed; --store, --checkpoints, --key, --restored", NULL, {0}, NULL, run_verify},
        {0},
};
