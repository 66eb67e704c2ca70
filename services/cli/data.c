/* SPDX-License-Identifier: Apache-2.0
 *
 * org, member: organisations and members in bulk, and the tree.
 */
#include "common/base/clock.h"
#include "services/cli/cli.h"
#include "nuanxin/membership/v1/member.pb-c.h"
#include "nuanxin/membership/v1/operation.pb-c.h"
#include "nuanxin/membership/v1/organization.pb-c.h"

#include <stdio.h>
#include <time.h>

#define MOST_BYTES (1u << 30)

typedef Nuanxin__Membership__V1__Operation Operation;

static void on_upload(void *arg, size_t done, size_t total)
{
        progress_show(arg, (int64_t)done, (int64_t)total);
}

static void show_report(struct cli *cli, const struct cli_import *import, const Operation *o)
{
        static const char *const headings[] = {"ROW", "COLUMN", "CODE", "WHAT TO DO"};
        if (cli->json) {
                show_message(cli, operator_method(import->get)->output, o);
                return;
        }
        printf("%s: %d rows, %d new or changed, %d already there, %d refused   (operation %s)\n",
               o->state == NUANXIN__MEMBERSHIP__V1__OPERATION__STATE__SUCCEEDED ? (o->validate_only ? "checked" : "done") : "nothing was taken",
               o->rows_total, o->rows_accepted, o->rows_unchanged, o->rows_refused, o->id);
        if (!o->n_errors)
                return;
        _cleanup_(table_freep) struct table *t = table_new(headings, 4);
        for (size_t i = 0; i < o->n_errors; i++) {
                const Nuanxin__Membership__V1__OperationError *e = o->errors[i];
                table_row(t, (const char *[]){arena_printf(cli->arena, "%d", e->row), e->column, e->code, e->detail});
        }
        table_print(t);
        if (o->rows_refused > (int)o->n_errors)
                printf("… all of them: nuanxin call %s '{\"operation\":\"%s\"}'\n", import->errors, o->id);
}

/* Follows an operation until it ends; it goes on by itself if this command is ended. */
static int follow(struct cli *cli, const struct cli_import *import, Operation *o)
{
        struct progress progress = {.what = "rows"};
        while (o->state == NUANXIN__MEMBERSHIP__V1__OPERATION__STATE__RUNNING) {
                Nuanxin__Membership__V1__GetOperationRequest q = NUANXIN__MEMBERSHIP__V1__GET_OPERATION_REQUEST__INIT;
                void *response;
                q.operation = o->id;
                nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
                int r = cli_call(cli, import->get, NULL, &q, &response);
                if (r)
                        return r;
                o = response;
                progress_show(&progress, o->rows_done, o->rows_total);
        }
        progress_end(&progress);
        show_report(cli, import, o);
        return o->state == NUANXIN__MEMBERSHIP__V1__OPERATION__STATE__SUCCEEDED && !o->rows_refused ? 0 : 1;
}

int cli_import(struct cli *cli, const struct cli_import *import, const char *path, void *request)
{
        struct operator_refusal refusal = {0};
        struct progress progress = {.what = "upload"};
        struct str content;
        void *response;

        int r = request ? cli_read_file(cli, path, MOST_BYTES, &content) : 2;
        if (r == 0)
                r = cli_open(cli);
        if (r)
                return r;
        r = operator_upload(cli->op, operator_method(import->method), cli->arena, request, content, on_upload, &progress, &response,
                            &refusal);
        progress_end(&progress);
        return r ? cli_refused(r, &refusal) : follow(cli, import, response);
}

static int run_org_import(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        static const struct cli_import import = {"ImportOrganizations", "GetOperation", "ListOperationErrors"};
        (void)command, (void)n;
        return cli_import(cli, &import, operands[0], cli_request(cli, import.method));
}

static int run_member_import(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        static const struct cli_import import = {"ImportMembers", "GetOperation", "ListOperationErrors"};
        Nuanxin__Membership__V1__ImportMembersRequest *q = cli_request(cli, import.method);
        (void)command, (void)n;
        if (q)
                q->organization = (char *)operands[1];
        return cli_import(cli, &import, operands[0], q);
}

static int depth_of(const char *path)
{
        int slashes = 0;
        for (; *path; path++)
                slashes += *path == '/';
        return slashes;
}

/* Rows come in the order of their paths, so a tree is the list, indented. */
static void print_branch(void *arg, const void *row)
{
        const Nuanxin__Membership__V1__Organization *o = row;
        int *top = arg, depth = depth_of(o->path);
        if (!*top)
                *top = depth;
        printf("%*s%s %s\n", 2 * (depth - *top), "", o->code, o->name);
}

static int run_org_tree(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        Nuanxin__Membership__V1__ListOrganizationsRequest *q = cli_request(cli, "ListOrganizations");
        int top = 0;
        (void)command, (void)n;

        if (!q)
                return 2;
        q->ancestor = (char *)operands[0];
        return cli_list(cli, "ListOrganizations", q, NULL, print_branch, &top);
}

const struct command commands_data[] = {
        {"org import", "CSV", "code,parent_code,level,name; all rows or none; - reads standard input", NULL, {0}, NULL, run_org_import},
        {"org show", "CODE", "one organisation", "GetOrganization", {"organization"}, NULL, NULL},
        {"org list", "PARENT", "what stands right below it", "ListOrganizations", {"parent"}, "code kind name", NULL},
        {"org find", "TEXT", "by part of a name or the beginning of a code", "ListOrganizations", {"q"}, "code kind name path", NULL},
        {"org tree", "CODE", "it and all below it, indented", NULL, {0}, NULL, run_org_tree},
        {"org move", "CODE PARENT", "puts it, with all below it, under another parent", "MoveOrganization", {"organization", "parent"}, NULL, NULL},
        {"org counts", "CODE", "members by state, organisations by level", "GetOrganizationCounts", {"organization"}, NULL, NULL},
        {"member import", "CSV ORGANIZATION", "members by row, with a report; goes on by itself once uploaded", NULL, {0}, NULL, run_member_import},
        {"member list", "ORGANIZATION", "members there and below, masked", "ListMembers", {"organization"}, "id name state organization", NULL},
        {"member show", "MEMBER", "one member, masked", "GetMember", {"member"}, NULL, NULL},
        {"member reveal", "MEMBER PURPOSE", "one member's numbers in full; the audit keeps who looked and why", "RevealMember", {"member", "purpose"}, NULL, NULL},
        {"member data", "MEMBER PURPOSE", "all that is held about a person, for that person", "ExportMemberData", {"member", "purpose"}, NULL, NULL},
        {"member erase", "MEMBER PURPOSE", "erases a person's particulars for good; the id and the counts stay", "EraseMember", {"member", "purpose"}, NULL, NULL},
        {0},
};
