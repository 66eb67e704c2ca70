/* SPDX-License-Identifier: Apache-2.0
 *
 * Moving a store from SQLite to PostgreSQL while its service goes on:
 *
 *   follow   the writer notes the key of every row that changes
 *   copy     all tables, page by page, each page from a short snapshot of its own (a long one would stand in the way of
 *            checkpoints and of a standby that takes over); what changes meanwhile has been noted
 *   compare  both sides, page by page: in one snapshot first what was noted is carried over, then the page must be equal;
 *            from there on the sums of what was compared follow every change, on both sides
 *   switch   once instances wait on the target: the writer is held, the last notes are carried over, the sums of all
 *            tables must be equal, the target is marked as filled, the source as moved - that is the point of no return -
 *            and the target as in use
 *
 * Broken off before that point, the source's service goes on as before (by itself, when it hears nothing more), and the
 * target stays marked as being filled: a second run clears it. Broken off behind it, a second run finishes.
 */
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/transfer/follow.h"

#include <stdio.h>
#include <time.h>

#define ROUND_NOTES   5000                   /* of a round while the copy is still rough */
#define COMPARE_ROWS  256
#define CLOSE_NOTES   1000                   /* so few are left: a round takes a moment */
#define RENEW_US      (15 * CLOCK_SECOND_US) /* the writer gives up following after 60 s */
#define KNOWN_US      (2 * CLOCK_SECOND_US)  /* so long after its start every caller has heard of an instance */
#define LOOK_US       (20 * 1000ll)          /* while instances are waited for */
#define PAUSE_MOST_US (1200 * 1000ll)        /* then writes go on, and the switch is tried again */
#define SWITCH_TRIES  10

struct move {
        const struct move_options *o;
        struct arena *arena;
        struct end source, target;
        struct store_writer *source_writer; /* nobody else has it: the service does not run */
        struct follow follow;
        struct transfer_report *report;
        const struct store_migration *migrations;
        const char *service;
        char id[ID_TEXT_SIZE];
        struct page page, other_page;
        int64_t renewed_us;
        int64_t done, total; /* rows */
        bool followed;       /* the service has been asked to note changes */
};

/* --- what the source's service is asked ------------------------------------------------------------------------------------- */

static int own_step(struct move *m, enum move_step step, const char **ret_error)
{
        struct store_conn *conn = store_writer_conn(m->source_writer);
        struct store_use use = {.state = STORE_MOVED};
        if (step != MOVE_LEAVE)
                return 0;
        snprintf(use.id, sizeof(use.id), "%s", m->id);
        store_address(use.other, m->o->target);
        int r = store_begin(conn);
        if (r == 0)
                r = store_follow_end(conn); /* what a run before this may have left */
        if (r == 0)
                r = store_use_write(conn, &use);
        if (r == 0)
                r = store_commit(conn);
        store_rollback(conn);
        return r == 0 ? 0 : transfer_fail(ret_error, r, "can't write to %s: %s", m->source.address, store_last_error(conn));
}

static int ask(struct move *m, enum move_step step, const char **ret_error)
{
        if (m->source_writer)
                return own_step(m, step, ret_error);
        m->renewed_us = clock_monotonic_us();
        return m->o->peer->step(m->o->peer->arg, m->service, step, m->id, m->target.address, ret_error);
}

/* The service notes changes; or nobody runs, and the writer's lock is ours for so long. */
static int begin_following(struct move *m, const char **ret_error)
{
        const char *error = NULL;
        int r = store_writer_acquire(m->source.store, "nuanxin", false, &m->source_writer, &error);
        if (r == 0)
                return 0;
        if (r != STORE_E_LOCKED)
                return transfer_fail(ret_error, r, "can't open %s: %s", m->source.address, error ? error : strerror(r < 0 ? -r : EIO));
        m->followed = true;
        return ask(m, MOVE_FOLLOW, ret_error);
}

static int renew(struct move *m, const char **ret_error)
{
        return clock_monotonic_us() - m->renewed_us < RENEW_US ? 0 : ask(m, MOVE_FOLLOW, ret_error);
}

/* --- snapshots of the source ------------------------------------------------------------------------------------------------- */

static int begin_snapshot(struct move *m, const char **ret_error)
{
        int r = store_begin(m->source.conn);
        return r == 0 ? 0 : end_fail(&m->source, r, "read from", ret_error);
}

/* most: as follow_round's. */
static int carry_over(struct move *m, int64_t most, int64_t *ret_n, const char **ret_error)
{
        *ret_n = 0;
        return m->source_writer ? 0 : follow_round(&m->follow, most, ret_n, ret_error);
}

static int round_alone(struct move *m, int64_t most, int64_t *ret_n, const char **ret_error)
{
        int r = begin_snapshot(m, ret_error);
        if (r == 0)
                r = carry_over(m, most, ret_n, ret_error);
        store_rollback(m->source.conn);
        return r == 0 ? renew(m, ret_error) : r;
}

static int how_far_behind(struct move *m, int64_t *ret_n, const char **ret_error)
{
        int64_t head = 0;
        int r = m->source_writer ? 0 : store_notes_head(m->source.conn, &head);
        if (r != 0)
                return end_fail(&m->source, r, "read the changes of", ret_error);
        *ret_n = head > m->follow.position ? head - m->follow.position : 0;
        return 0;
}

/* --- copying ----------------------------------------------------------------------------------------------------------------- */

static int copy_page(struct move *m, size_t t, struct place *place, const char **ret_error)
{
        int r = begin_snapshot(m, ret_error);
        if (r != 0)
                return r;
        r = page_read(&m->page, m->source.conn, &m->source.tables.items[t], place);
        store_rollback(m->source.conn);
        if (r != 0)
                return end_fail(&m->source, r, "read from", ret_error);
        r = store_begin(m->target.conn);
        if (r != 0)
                return end_fail(&m->target, r, "write to", ret_error);
        r = end_put(&m->target, &m->page, ret_error);
        if (r == 0 && (r = store_commit(m->target.conn)) != 0)
                r = end_fail(&m->target, r, "write to", ret_error);
        store_rollback(m->target.conn);
        m->done += (int64_t)m->page.n;
        progress_say(m->o->progress, "copying", m->done, m->total);
        return r == 0 ? renew(m, ret_error) : r;
}

static int copy_all(struct move *m, const char **ret_error)
{
        int r = 0;
        m->done = 0;
        for (size_t t = 0; r == 0 && t < m->source.tables.n; t++)
                for (struct place place = {0}; r == 0 && !place.ended;)
                        r = copy_page(m, t, &place, ret_error);
        return r;
}

static int catch_up(struct move *m, const char **ret_error)
{
        int64_t behind, n;
        int r = how_far_behind(m, &behind, ret_error);
        while (r == 0 && behind > CLOSE_NOTES) {
                progress_say(m->o->progress, "catching up with changes: left", behind, 0);
                r = round_alone(m, ROUND_NOTES, &n, ret_error);
                if (r == 0)
                        r = how_far_behind(m, &behind, ret_error);
        }
        return r;
}

/* --- comparing --------------------------------------------------------------------------------------------------------------- */

static int differ(const struct move *m, const struct store_table *table, const char **ret_error)
{
        return transfer_fail(ret_error, -EBADMSG, "table %s of %s is not equal to that of %s", table->name, m->target.address,
                             m->source.address);
}

/* The two pages must be equal, row by row; then they count. */
static int compare_rows(struct move *m, size_t t, const char **ret_error)
{
        struct buf a = {0}, b = {0};
        const struct store_table *table = m->page.table;
        bool equal = m->page.n == m->other_page.n;
        for (size_t i = 0; equal && i < m->page.n; i++) {
                a.n = b.n = 0;
                row_encode(&a, page_row(&m->page, i), table->n_columns);
                row_encode(&b, page_row(&m->other_page, i), table->n_columns);
                equal = str_eq(buf_str(&a), buf_str(&b));
        }
        buf_done(&a);
        buf_done(&b);
        if (!equal)
                return differ(m, table, ret_error);
        page_sum(&m->page, m->follow.sum_key, &m->follow.source_sums[t]);
        page_sum(&m->other_page, m->follow.sum_key, &m->follow.target_sums[t]);
        return 0;
}

/* Where the keys begin is lent from the source's page, which is read last. */
static int read_both(struct move *m, size_t t, struct place *place, const char **ret_error)
{
        int64_t n;
        int r = carry_over(m, 0, &n, ret_error);
        if (r != 0)
                return r;
        r = page_read_some(&m->other_page, m->target.conn, m->follow.target_tables[t], place->begun ? place->after : NULL, place->limit);
        if (r != 0)
                return end_fail(&m->target, r, "read from", ret_error);
        r = page_read(&m->page, m->source.conn, &m->source.tables.items[t], place);
        return r == 0 ? 0 : end_fail(&m->source, r, "read from", ret_error);
}

static int compare_page(struct move *m, size_t t, struct place *place, const char **ret_error)
{
        int r = begin_snapshot(m, ret_error);
        if (r != 0)
                return r;
        r = read_both(m, t, place, ret_error);
        store_rollback(m->source.conn);
        if (r == 0)
                r = compare_rows(m, t, ret_error);
        if (r != 0)
                return r;
        m->follow.begun = place->begun;
        memcpy(m->follow.upto, place->after, sizeof(place->after));
        m->done += (int64_t)m->page.n;
        progress_say(m->o->progress, "comparing", m->done, m->total);
        return renew(m, ret_error);
}

static int compare_all(struct move *m, const char **ret_error)
{
        int r = 0;
        m->done = 0;
        for (size_t t = 0; r == 0 && t < m->source.tables.n; t++) {
                for (struct place place = {.limit = COMPARE_ROWS}; r == 0 && !place.ended;)
                        r = compare_page(m, t, &place, ret_error);
                m->follow.compared = t + 1;
                m->follow.begun = false;
        }
        return r;
}

/* --- the switch -------------------------------------------------------------------------------------------------------------- */

static int wait_for_instances(struct move *m, const char **ret_error)
{
        const struct timespec pause = {.tv_nsec = LOOK_US * 1000};
        int64_t wanted = m->o->instances >= 0 ? m->o->instances : m->source_writer ? 0 : 1, there = 0, since = 0, n;
        for (;;) {
                int r = round_alone(m, 0, &n, ret_error);
                if (r == 0 && (r = store_waiting(m->target.conn, &there)) != 0)
                        r = end_fail(&m->target, r, "look into", ret_error);
                int64_t now = clock_monotonic_us();
                if (r == 0 && there < wanted)
                        since = 0;
                else if (r == 0 && !since)
                        since = now;
                if (r != 0 || (there >= wanted && now - since >= (wanted ? KNOWN_US : 0)))
                        return r;
                progress_say(m->o->progress, "all is copied and equal; waiting for instances that were started with --store=TARGET", there, wanted);
                nanosleep(&pause, NULL);
        }
}

static int check_schema(struct move *m, const char **ret_error)
{
        struct store_migration *now;
        size_t n = 0;
        int r = store_migrations_read(m->source.conn, m->arena, &now, &n);
        if (r != 0)
                return end_fail(&m->source, r, "read from", ret_error);
        return n == m->report->n_migrations ? 0
                                            : transfer_fail(ret_error, -ESTALE, "the schema of %s changed while it was being moved: begin again",
                                                            m->source.address);
}

/* Nobody writes the source now. */
static int carry_the_rest(struct move *m, const char **ret_error)
{
        int64_t n;
        int r = begin_snapshot(m, ret_error);
        if (r != 0)
                return r;
        r = carry_over(m, 0, &n, ret_error);
        if (r == 0)
                r = check_schema(m, ret_error);
        if (r == 0)
                r = end_describe(&m->source, m->arena, m->report, &m->migrations, ret_error);
        store_rollback(m->source.conn);
        for (size_t t = 0; r == 0 && t < m->source.tables.n; t++)
                if (!row_sum_equal(&m->follow.source_sums[t], &m->follow.target_sums[t]))
                        r = differ(m, &m->source.tables.items[t], ret_error);
        if (r == 0 && (r = store_fill_end(m->target.conn)) != 0)
                r = end_fail(&m->target, r, "finish", ret_error);
        return r == 0 ? end_note(&m->target, STORE_FILLED, m->id, m->o->source, ret_error) : r;
}

/* Whether the word to leave was taken, the source itself tells. */
static int leave(struct move *m, const char **ret_error)
{
        const struct timespec pause = {.tv_nsec = LOOK_US * 1000};
        struct store_use use;
        int r = ask(m, MOVE_LEAVE, ret_error);
        if (r == 0)
                return 0;
        do {
                nanosleep(&pause, NULL);
                int looked = store_use_read(m->source.conn, &use);
                if (looked == 0 && use.state == STORE_MOVED && strcmp(use.id, m->id) == 0)
                        return 0;
                if (looked != 0)
                        return r;
        } while (use.state == STORE_HELD);
        return r;
}

/* -EAGAIN: it would take too long, so writes have gone on. */
static int switch_over(struct move *m, int64_t *ret_held_us, const char **ret_error)
{
        int64_t held = clock_monotonic_us();
        int r = ask(m, MOVE_HOLD, ret_error);
        if (r == 0)
                r = carry_the_rest(m, ret_error);
        if (r == 0 && clock_monotonic_us() - held > PAUSE_MOST_US && !m->source_writer) {
                r = ask(m, MOVE_RESUME, ret_error);
                if (r == 0 && ((r = store_fill_begin(m->target.conn)) != 0))
                        return end_fail(&m->target, r, "write to", ret_error);
                if (r == 0)
                        r = end_note(&m->target, STORE_FILLING, m->id, m->o->source, ret_error);
                return r == 0 ? transfer_fail(ret_error, -EAGAIN, "the last changes took too long to copy, several times: try when there is less load") : r;
        }
        if (r == 0)
                r = leave(m, ret_error);
        *ret_held_us = held;
        return r;
}

/* The source is out of use: from here on only forward. */
static int arrive(struct move *m, int64_t held_us, const char **ret_error)
{
        if (!m->source_writer && m->o->peer)
                m->o->peer->part(m->o->peer->arg, m->service);
        int r = end_note(&m->target, STORE_IN_USE, "", "", ret_error);
        if (r != 0)
                return r;
        m->report->pause_us = held_us ? clock_monotonic_us() - held_us : 0;
        progress_say(m->o->progress, "switched; checking references", 0, 0);
        r = store_fill_check(m->target.conn);
        if (r == 0)
                return transfer_fail(ret_error, -EBADMSG, "the move is done, but rows of %s refer to others that are not there", m->target.address);
        return r == 1 ? 0 : end_fail(&m->target, r, "check the references of", ret_error);
}

/* --- the whole of it --------------------------------------------------------------------------------------------------------- */

static int prepare(struct move *m, const char **ret_error)
{
        int r = end_describe(&m->source, m->arena, m->report, &m->migrations, ret_error);
        m->service = m->report->service;
        if (r == 0)
                r = end_claim(&m->target, m->id, m->o->source, ret_error);
        if (r == 0)
                r = begin_following(m, ret_error);
        if (r == 0)
                r = begin_snapshot(m, ret_error);
        if (r == 0)
                r = store_tables_read(m->source.conn, m->arena, true, &m->source.tables, ret_error);
        store_rollback(m->source.conn);
        if (r == 0)
                r = end_prepare(&m->target, m->arena, m->migrations, m->report->n_migrations, ret_error);
        if (r != 0)
                return r;
        follow_init(&m->follow, &m->source, &m->target, m->arena);
        id_random(m->follow.sum_key, sizeof(m->follow.sum_key));
        for (size_t t = 0; t < m->source.tables.n; t++) {
                const struct store_table *table = &m->source.tables.items[t];
                m->follow.target_tables[t] = store_tables_find(&m->target.tables, str_of(table->name));
                if (!m->follow.target_tables[t] || !tables_match(table, m->follow.target_tables[t]))
                        return transfer_fail(ret_error, -ENOTSUP, "table %s of %s has no equal in %s", table->name, m->source.address, m->target.address);
                m->total += table->rows;
        }
        return 0;
}

static int move_on(struct move *m, const char **ret_error)
{
        int64_t held_us = 0;
        int r = prepare(m, ret_error);
        if (r == 0)
                r = copy_all(m, ret_error);
        if (r == 0)
                r = catch_up(m, ret_error);
        if (r == 0 && (r = store_fill_settle(m->target.conn)) != 0)
                r = end_fail(&m->target, r, "analyse", ret_error);
        if (r == 0)
                r = catch_up(m, ret_error);
        if (r == 0)
                r = compare_all(m, ret_error);
        for (int i = 0; r == 0 || (r == -EAGAIN && i < SWITCH_TRIES); i++) {
                r = wait_for_instances(m, ret_error);
                if (r == 0)
                        r = switch_over(m, &held_us, ret_error);
                if (r == 0)
                        break;
        }
        if (r != 0)
                return r;
        report_tables(m->report, m->arena, &m->source.tables, m->follow.source_sums);
        m->report->changes = m->follow.changes;
        m->report->rounds = m->follow.rounds;
        return arrive(m, held_us, ret_error);
}

/* A run before this one came as far as the source's leaving. */
static int finish_only(struct move *m, const struct store_use *source_use, const char **ret_error)
{
        struct store_use use;
        int r = store_use_read(m->target.conn, &use);
        if (r != 0)
                return end_fail(&m->target, r, "look into", ret_error);
        if (strcmp(source_use->other, m->target.address) != 0 || use.state != STORE_FILLED || strcmp(use.id, source_use->id) != 0)
                return transfer_fail(ret_error, STORE_E_MOVED, "%s was moved already, to %s: give the services --store=%s", m->source.address,
                                     source_use->other, source_use->other);
        r = end_describe(&m->target, m->arena, m->report, &m->migrations, ret_error);
        m->service = m->report->service;
        m->report->finished_only = true;
        return r == 0 ? arrive(m, 0, ret_error) : r;
}

static int open_both(struct move *m, const char **ret_error)
{
        struct store_use use;
        if (strncmp(m->o->source, "sqlite:", 7) != 0 || strncmp(m->o->target, "postgresql:", 11) != 0)
                return transfer_fail(ret_error, -ENOTSUP, "moving goes from sqlite:PATH to postgresql://…; any other way by nuanxin backup and restore");
        int r = end_open_source(&m->source, m->o->source, ret_error);
        if (r == 0)
                r = end_open_target(&m->target, m->o->target, ret_error);
        if (r != 0)
                return r;
        r = store_use_read(m->source.conn, &use);
        if (r != 0)
                return end_fail(&m->source, r, "look into", ret_error);
        if (use.state == STORE_MOVED)
                return finish_only(m, &use, ret_error);
        r = store_use_check(&use, ret_error);
        return r == 0 ? move_on(m, ret_error) : r;
}

int store_move(const struct move_options *options, struct arena *arena, struct transfer_report *ret_report, const char **ret_error)
{
        struct move m = {.o = options, .arena = arena, .report = ret_report, .service = ""};
        struct clock clock = {0};
        int64_t began = clock_monotonic_us();
        const char *ignored;

        *ret_report = (struct transfer_report){.time_us = clock_now_us(&clock)};
        id_new(m.id, ret_report->time_us);
        page_init(&m.page);
        page_init(&m.other_page);
        int r = open_both(&m, ret_error);
        if (r != 0 && m.followed) { /* the service would give up by itself, but later; behind the switch it does not listen */
                int undone = ask(&m, MOVE_END, &ignored);
                (void)undone;
        }
        ret_report->took_us = clock_monotonic_us() - began;
        store_writer_release(m.source_writer);
        follow_done(&m.follow);
        page_done(&m.page);
        page_done(&m.other_page);
        end_close(&m.source);
        end_close(&m.target);
        return r;
}
