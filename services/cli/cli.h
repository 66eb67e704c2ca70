/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operator's subcommands share: their table, the way to the services, and how answers are shown.
 */
#pragma once

#include "common/base/config.h"
#include "common/crypto/crypto.h"
#include "common/service/operator.h"
#include "common/store/store.h"

struct cli {
        const char *var, *bus, *redis, *redis_auth_file, *curve, *keys;
        const char *store, *checkpoints, *key; /* stream verify, ledger verify */
        bool json, restored;     /* restored: those two */
        int64_t instances;       /* store move */
        struct config_list sets; /* --set field=value, for any request field */
        struct cache_auth redis_auth;
        struct operator *op;     /* opened at the first call */
        struct arena *arena;     /* of the whole command */
};

/* One subcommand. Most are a method, its operands and the columns of its table. */
struct command {
        const char *words;    /* "account list" */
        const char *operands; /* "ORGANIZATION"; what stands in [] may be left out */
        const char *help;
        const char *method;      /* "ListAccounts", or NULL with `run` */
        const char *fields[4];   /* the request field that each operand fills */
        const char *columns;     /* "id login organization": of the answer's rows; NULL: every field, a line each */
        int (*run)(struct cli *cli, const struct command *command, const char *const *operands, size_t n_operands);
};

/* Tables of the command groups; each ends with a zeroed entry. */
extern const struct command commands_peer[];   /* status, audit */
extern const struct command commands_data[];   /* org, member */
extern const struct command commands_people[]; /* account, client, session */
extern const struct command commands_programme[]; /* programme, calendar */
extern const struct command commands_webhook[]; /* stream webhook, stream redrive */
extern const struct command commands_keys[];
extern const struct command commands_curve[];  /* keys curve */
extern const struct command commands_call[];
extern const struct command commands_scale[];
extern const struct command commands_ready[];
extern const struct command commands_restart[];
extern const struct command commands_contract[]; /* store contract */
extern const struct command commands_agency[];
extern const struct command commands_stream[];   /* stream lag, tail */
extern const struct command commands_verify[];   /* stream verify */
extern const struct command commands_ledger[];
extern const struct command commands_care[];   /* recipient, case, task, payment */
extern const struct command commands_policy[];
extern const struct command commands_visit[];
extern const struct command commands_transfer[]; /* backup, restore, store move */
const char *transfer_about(const struct command *command); /* what its own --help says; NULL: not of these */

/* All return 0 or, after a line on standard error, the exit status (1 failed, 2 wrong use). */
int cli_open(struct cli *cli) MUST_USE;
int cli_call(struct cli *cli, const char *method, const struct operator_target *target, const void *request,
             void **ret_response) MUST_USE;
int cli_refused(int error, const struct operator_refusal *refusal) MUST_USE;
int cli_run_method(struct cli *cli, const struct command *command, const char *const *operands, size_t n) MUST_USE;
/* Where a field of a message stands; NULL: it has none of that name. */
void *cli_field(const struct contract_message *type, const void *message, const char *name);
/* All pages of a list, or the one that --set pageSize or pageToken asks for. */
int cli_list(struct cli *cli, const char *method, void *request, const char *columns,
             void (*print_row)(void *arg, const void *row), void *arg) MUST_USE;
int cli_account_id(struct cli *cli, const char *account, const char **ret_id) MUST_USE; /* by its id or its login */
void *cli_request(struct cli *cli, const char *method); /* with --set's fields; NULL after a line on standard error */
/* One field of a method's request, by its path in JSON ("agency.types"; lists item by item), from text. */
int cli_set_field(struct cli *cli, const char *method, void *request, struct str path, struct str value) MUST_USE;
const char *cli_short_name(const char *method); /* its last part, if no other ends so */
/* A line for the local runner (deploy/runner/control.h); its answer's lines, in the arena, if that ends with "ok". */
int cli_ask_runner(struct cli *cli, const char *question, struct str *ret_lines) MUST_USE;
/* For verifications, which ask no service: its store (--store, or the stack's), opened to read; the public half of the key that
 * signs for this purpose (--key, or the keyring's). */
int cli_open_store(struct cli *cli, const char *service, struct store **ret_store, struct store_conn **ret_conn) MUST_USE;
int cli_signing_key(struct cli *cli, const char *purpose, unsigned char ret_public[SIGNING_PUBLIC_SIZE]) MUST_USE;
/* Uploads a list (data.c), follows it to its end and shows the report. request: what cli_request gave, NULL included. */
struct cli_import {
        const char *method, *get, *errors; /* the methods that take it, tell how far it is, list what it refused */
};
int cli_import(struct cli *cli, const struct cli_import *import, const char *path, void *request) MUST_USE;
int cli_read_file(struct cli *cli, const char *path, size_t most, struct str *ret_content) MUST_USE; /* "-": stdin */

/* --- showing --------------------------------------------------------------------------------------------------------- */

/* Every field on a line of its own, or with --json one object. */
void show_message(struct cli *cli, const struct contract_message *type, const void *message);
void show_json(const struct contract_message *type, const void *message); /* without a line's end */
void put_role(struct buf *out, const char *before, const char *role); /* ROLE_APP_BACKEND as a person types it */
int text_width(const char *text); /* in columns of a terminal */

/* A list whose pages become one table, or with --json one object of its rows. columns as in struct command; NULL if
 * list_page gets print_row. */
struct list;
struct list *list_new(struct cli *cli, const struct contract_method *method, const char *columns);
void list_page(struct list *list, const void *page, void (*print_row)(void *arg, const void *row), void *arg);
struct list *list_end(struct list *list);

/* A table of text: columns as wide as their cells, East Asian characters counting two. */
struct table;
struct table *table_new(const char *const *headings, size_t n);
void table_row(struct table *table, const char *const *cells); /* copied */
void table_print(struct table *table); /* and empties it, keeping its widths */
struct table *table_free(struct table *table);
DEFINE_CLEANUP(struct table *, table_free)

/* A line that is rewritten while work goes on: done of total (0: not known), rate, remaining. Only on a terminal, only after 2 s. */
struct progress {
        const char *what;
        int64_t started_us, shown_us;
};
void progress_show(struct progress *progress, int64_t done, int64_t total);
void progress_end(struct progress *progress);
