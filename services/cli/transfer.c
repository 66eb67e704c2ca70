/* SPDX-License-Identifier: Apache-2.0
 *
 * backup, restore, store move: whole stores (common/transfer), with what is said about them.
 */
#include "common/base/clock.h"
#include "common/rpc/client.h"
#include "common/transfer/transfer.h"
#include "services/cli/cli.h"
#include "nuanxin/internal/v1/peer.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_INSTANCES 64
#define PART_US       (300 * 1000ll) /* of the pause */

typedef Nuanxin__Internal__V1__MoveStoreRequest MoveStoreRequest;
typedef Nuanxin__Internal__V1__MoveStoreResponse MoveStoreResponse;

/* --- how far it is ---------------------------------------------------------------------------------------------------- */

/* A line for each part of the work; on a terminal it goes on with rate and time left. */
struct telling {
        struct progress progress;
        const char *what;
        bool quiet; /* nothing but the terminal's own line */
};

static void tell(void *arg, const char *what, int64_t done, int64_t total)
{
        struct telling *t = arg;
        if (what != t->what) {
                progress_end(&t->progress);
                t->progress = (struct progress){.what = what};
                t->what = what;
                fprintf(stderr, "%s\n", what);
        }
        if (total > 0)
                progress_show(&t->progress, done, total);
}

static int load_keyring(struct cli *cli, struct keyring **ret)
{
        const char *error = NULL;
        int r = keyring_load(cli->keys, ret, &error);
        if (r)
                fprintf(stderr, "the keyring in %s can't be used: %s. Give --keys the folder of the stack's keyring, or of its backup\n", cli->keys,
                        error ? error : strerror(r < 0 ? -r : EIO));
        return r ? 1 : 0;
}

/* --- reports ----------------------------------------------------------------------------------------------------------- */

static void put_json_text(const char *name, const char *value, const char *after)
{
        struct buf out = {0};
        transcode_json_string(&out, str_of(value));
        printf("\"%s\":%s%s", name, buf_z(&out), after);
        buf_done(&out);
}

static void report_json(const struct transfer_report *r, const char *file)
{
        char time[40];
        clock_format_rfc3339(time, r->time_us);
        printf("{");
        put_json_text("service", r->service, ",");
        put_json_text("engine", r->engine, ",");
        put_json_text("epoch", r->epoch, ",");
        put_json_text("time", time, ",");
        if (file)
                put_json_text("file", file, ",");
        printf("\"position\":%" PRId64 ",\"rows\":%" PRId64 ",\"bytes\":%" PRId64 ",\"seconds\":%.3f,\"pauseMs\":%.1f,\"rounds\":%" PRId64
               ",\"changes\":%" PRId64 ",\"finishedOnly\":%s,\n \"migrations\":[",
               r->position, r->rows, r->bytes, (double)r->took_us / 1e6, (double)r->pause_us / 1e3, r->rounds, r->changes,
               r->finished_only ? "true" : "false");
        for (size_t i = 0; i < r->n_migrations; i++)
                printf("%s\"%s\"", i ? "," : "", r->migrations[i]);
        printf("],\n \"tables\":[");
        for (size_t i = 0; i < r->n_tables; i++)
                printf("%s\n  {\"name\":\"%s\",\"rows\":%" PRId64 ",\"sum\":\"%s\"}", i ? "," : "", r->tables[i].name, r->tables[i].rows,
                       r->tables[i].sum);
        printf("]}\n");
}

static void report_text(struct cli *cli, const struct transfer_report *r)
{
        static const char *const headings[] = {"TABLE", "ROWS", "SUM"};
        _cleanup_(table_freep) struct table *t = table_new(headings, ARRAY_LEN(headings));
        for (size_t i = 0; i < r->n_tables; i++)
                table_row(t, (const char *[]){r->tables[i].name, arena_printf(cli->arena, "%" PRId64, r->tables[i].rows), r->tables[i].sum});
        table_print(t);
}

static void report_head(const struct transfer_report *r)
{
        char time[40];
        clock_format_rfc3339(time, r->time_us / CLOCK_SECOND_US * CLOCK_SECOND_US);
        printf("%s, of %s as it was at %s, outbox %s:%" PRId64 ", %zu migrations\n", r->service, r->engine, time, r->epoch, r->position,
               r->n_migrations);
}

static int failed(struct telling *t, int r, const char *error)
{
        progress_end(&t->progress);
        fprintf(stderr, "%s\n", error ? error : strerror(r < 0 ? -r : EIO));
        return 1;
}

/* --- backups ----------------------------------------------------------------------------------------------------------- */

static int run_backup(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        struct telling telling = {0};
        const struct transfer_progress progress = {tell, &telling};
        struct transfer_report report;
        const char *error = NULL;
        _cleanup_(keyring_freep) struct keyring *keyring = NULL;
        (void)command, (void)n;

        if (load_keyring(cli, &keyring))
                return 1;
        int r = backup_make(operands[0], operands[1], keyring, &progress, cli->arena, &report, &error);
        if (r != 0)
                return failed(&telling, r, error);
        progress_end(&telling.progress);
        if (cli->json) {
                report_json(&report, operands[1]);
                return 0;
        }
        report_head(&report);
        report_text(cli, &report);
        printf("%s: %" PRId64 " rows in %" PRId64 " bytes, %.1f s, read back. It opens only with the keyring: back that up apart from it,\n"
               "nuanxin keys backup FOLDER. Redis needs no backup.\n",
               operands[1], report.rows, report.bytes, (double)report.took_us / 1e6);
        return 0;
}

static int look(struct cli *cli, const char *file, bool verify)
{
        struct telling telling = {0};
        const struct transfer_progress progress = {tell, &telling};
        struct transfer_report report;
        const char *error = NULL;
        _cleanup_(keyring_freep) struct keyring *keyring = NULL;

        if (load_keyring(cli, &keyring))
                return 1;
        int r = backup_look(file, keyring, verify, &progress, cli->arena, &report, &error);
        if (r != 0)
                return failed(&telling, r, error);
        progress_end(&telling.progress);
        if (cli->json) {
                report_json(&report, file);
                return 0;
        }
        report_head(&report);
        report_text(cli, &report);
        printf("%s: %" PRId64 " rows in %" PRId64 " bytes%s\n", file, report.rows, report.bytes,
               verify ? ", whole: every row was read and added up" : "; nuanxin backup verify adds up every row");
        return 0;
}

static int run_verify(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        (void)command, (void)n;
        return look(cli, operands[0], true);
}

static int run_show(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        (void)command, (void)n;
        return look(cli, operands[0], false);
}

static int run_restore(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        struct telling telling = {0};
        const struct transfer_progress progress = {tell, &telling};
        struct transfer_report report;
        const char *error = NULL;
        _cleanup_(keyring_freep) struct keyring *keyring = NULL;
        (void)command, (void)n;

        if (load_keyring(cli, &keyring))
                return 1;
        int r = backup_restore(operands[0], operands[1], keyring, &progress, cli->arena, &report, &error);
        if (r != 0)
                return failed(&telling, r, error);
        progress_end(&telling.progress);
        if (cli->json) {
                report_json(&report, operands[0]);
                return 0;
        }
        report_head(&report);
        report_text(cli, &report);
        printf("%" PRId64 " rows, %.1f s, read back and equal. The outbox begins a new epoch: whoever follows %s begins with a snapshot, and\n"
               "nothing that came after the backup is in it.\n",
               report.rows, (double)report.took_us / 1e6, report.service);
        return 0;
}

/* --- moving ------------------------------------------------------------------------------------------------------------- */

struct peer {
        struct cli *cli;
        char writer[64]; /* the instance that writes the source; "" unknown */
};

static int find_writer(struct peer *p, const char *service)
{
        struct rpc_instance found[MAX_INSTANCES];
        size_t n = operator_instances(p->cli->op, found, MAX_INSTANCES);
        p->writer[0] = '\0';
        for (size_t i = 0; i < n; i++)
                if (found[i].up && found[i].may_write && strcmp(found[i].service, service) == 0)
                        snprintf(p->writer, sizeof(p->writer), "%s", found[i].instance);
        return p->writer[0] ? 0 : -EHOSTUNREACH;
}

static int ask_writer(struct peer *p, const char *service, const MoveStoreRequest *request, MoveStoreResponse **ret, struct arena *arena,
                      struct operator_refusal *refusal)
{
        void *response = NULL;
        const struct operator_target target = {.service = service, .instance = p->writer};
        int r = operator_call(p->cli->op, operator_method("MoveStore"), &target, arena, request, &response, refusal);
        if (r == 0)
                *ret = response;
        return r;
}

static int step(void *arg, const char *service, enum move_step step_, const char *id, const char *other, const char **ret_error)
{
        static char text[300];
        struct peer *p = arg;
        struct operator_refusal refusal = {0};
        MoveStoreResponse *response = NULL;
        _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
        MoveStoreRequest *request = message_new(arena, operator_method("MoveStore")->input);

        request->step = (Nuanxin__Internal__V1__MoveStoreRequest__Step)step_;
        request->move = (char *)id;
        request->target = (char *)other;
        int r = p->writer[0] ? 0 : find_writer(p, service);
        if (r == 0)
                r = ask_writer(p, service, request, &response, arena, &refusal);
        if (r < 0 && step_ == MOVE_FOLLOW && find_writer(p, service) == 0) /* another took over */
                r = ask_writer(p, service, request, &response, arena, &refusal);
        if (r == 0 && !response->refusal[0])
                return 0;
        *ret_error = text;
        if (r == 0)
                snprintf(text, sizeof(text), "%s: %s", p->writer, response->refusal);
        else if (r == OPERATOR_E_REFUSED)
                snprintf(text, sizeof(text), "%s: %s %s", p->writer, refusal.title, refusal.detail);
        else
                snprintf(text, sizeof(text), "the instance of %s that writes the store can't be asked (%s): is it in %s? Give --bus or --var", service,
                         strerror(-r), p->cli->bus);
        return r < 0 ? r : -ECANCELED;
}

static void part(void *arg, const char *service)
{
        struct peer *p = arg;
        struct rpc_instance found[MAX_INSTANCES];
        size_t n = operator_known(p->cli->op, found, MAX_INSTANCES);
        for (size_t i = 0; i < n; i++) { /* they are lent until the next call */
                found[i].service = arena_strdup(p->cli->arena, found[i].service);
                found[i].instance = arena_strdup(p->cli->arena, found[i].instance);
        }
        for (size_t i = 0; i < n; i++) {
                struct operator_refusal refusal;
                void *response, *request = message_new(p->cli->arena, operator_method("LeaveStore")->input);
                const struct operator_target target = {.service = service, .instance = found[i].instance, .deadline_us = PART_US};
                bool ours = strcmp(found[i].service, service) == 0 && strcmp(found[i].instance, p->writer) != 0;
                if (!ours || !found[i].up || found[i].draining)
                        continue;
                int r = operator_call(p->cli->op, operator_method("LeaveStore"), &target, p->cli->arena, request, &response, &refusal);
                if (r < 0) /* one that can't read the store any more says so */
                        fprintf(stderr, "%s does not answer: within a second it notices by itself that its store is out of use\n", found[i].instance);
        }
}

static int run_move(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        struct telling telling = {0};
        const struct transfer_progress progress = {tell, &telling};
        struct peer p = {.cli = cli};
        const struct move_peer peer = {step, part, &p};
        const struct move_options options = {.source = operands[0], .target = operands[1], .instances = cli->instances, .peer = &peer,
                                             .progress = &progress};
        struct transfer_report report;
        const char *error = NULL;
        (void)command, (void)n;

        int r = cli_open(cli);
        if (r)
                return r;
        r = store_move(&options, cli->arena, &report, &error);
        if (r != 0)
                return failed(&telling, r, error);
        progress_end(&telling.progress);
        if (cli->json) {
                report_json(&report, NULL);
                return 0;
        }
        if (report.finished_only) {
                printf("%s: an earlier move had been broken off behind the switch; it is finished now\n", report.service);
                return 0;
        }
        report_text(cli, &report);
        printf("%s: %" PRId64 " rows in %.1f s, all tables equal on both sides; %" PRId64 " changes came meanwhile. Writes paused for %.0f ms.\n"
               "The source is marked as moved: no service uses it any more. Keep it until a backup of the new store is made.\n",
               report.service, report.rows, (double)report.took_us / 1e6, report.changes, (double)report.pause_us / 1e3);
        return 0;
}

static const char backup_about[] =
        "Copies one service's store, as of one moment, into FILE, while the service goes on or while it is stopped. FILE is\n"
        "compressed, sealed under the keyring, of mode 0600, and there only when it is whole, synced and was read back.\n"
        "\n"
        "STORE is what the service has as --store: sqlite:var/store/membership.db, or postgresql://USER@HOST/DATABASE (a\n"
        "password better comes from ~/.pgpass or PGPASSWORD than from the command line, which others can see).\n"
        "Back up each service's store, and the keyring apart from them (nuanxin keys backup FOLDER): neither is of use\n"
        "without the other. Redis needs no backup.\n"
        "\n"
        "Each run has a key of its own for the sums that it prints: they are equal within a run, and between a backup and what is\n"
        "restored of it; those of two backups say nothing about each other.\n"
        "\n"
        "  nuanxin backup sqlite:var/store/membership.db /backup/membership-2026-05-29\n"
        "  nuanxin backup verify /backup/membership-2026-05-29\n"
        "  nuanxin restore /backup/membership-2026-05-29 sqlite:var/store/membership.db\n";

static const char restore_about[] =
        "Makes a store of a backup: sqlite:PATH (where no file is) or an empty PostgreSQL database, of whichever engine the\n"
        "backup was made. The service must not run on it. All of the file is verified first, and all rows are read back and\n"
        "compared after. The store's outbox begins a new epoch: whoever follows it begins again with a snapshot.\n"
        "Broken off, it leaves a store that services refuse; the same command clears it and begins again.\n"
        "\n"
        "  createdb nuanxin_membership && nuanxin restore /backup/membership-2026-05-29 postgresql:///nuanxin_membership\n";

static const char move_about[] =
        "Moves a service's store from SQLite to an empty PostgreSQL database while the service goes on. In short:\n"
        "\n"
        "  1. createdb nuanxin_membership; nuanxin store move sqlite:var/store/membership.db postgresql:///nuanxin_membership\n"
        "     copies all rows, follows what changes, and compares all tables; then it waits for instances of the target.\n"
        "  2. Start those, with the same --keys, --bus and --redis and with --store=postgresql:///nuanxin_membership. They wait\n"
        "     until the database is filled.\n"
        "  3. As soon as --instances of them wait, writes are held (requests wait, none fails), the last changes are copied, the\n"
        "     sums of all tables are compared, and the new instances begin to write: a pause of less than 2 s, which is printed.\n"
        "     The old instances serve nothing any more, and say so: end them, and change their --store.\n"
        "\n"
        "Stored answers (idempotency), the outbox with its epoch and positions, cursors, audit and due work all come along, so that\n"
        "nobody notices. If anything fails, or this command is ended, before the switch, the service goes on as before and the\n"
        "target stays marked as incomplete: run the command again. If it is ended just behind the switch: run it again, at once.\n"
        "Without a running service it moves the store as well; then it waits for no instances.\n"
        "The other way round: nuanxin backup and restore, with the service stopped.\n";

const struct command commands_transfer[] = {
        {"backup verify", "FILE", "reads all of a backup and adds up every row", NULL, {0}, NULL, run_verify},
        {"backup show", "FILE", "what is in a backup", NULL, {0}, NULL, run_show},
        {"backup", "STORE FILE", "one service's store, as of one moment, online; sealed, verified", NULL, {0}, NULL, run_backup},
        {"restore", "FILE STORE", "a backup becomes a store of either engine again", NULL, {0}, NULL, run_restore},
        {"store move", "SQLITE POSTGRESQL", "moves a service's store to PostgreSQL, online; see nuanxin store move --help", NULL, {0}, NULL,
         run_move},
        {0},
};

const char *transfer_about(const struct command *c)
{
        return c->run == run_move ? move_about : c->run == run_restore ? restore_about
               : c->run == run_backup || c->run == run_verify || c->run == run_show ? backup_about : NULL;
}
