/* SPDX-License-Identifier: Apache-2.0
 *
 * programme, calendar: the care service's programmes as files, a version a file, and the official working days.
 */
#include "contract/care_v1.h"
#include "services/cli/cli.h"

#include <stdio.h>

#define MOST_BYTES (1u << 20)

/* services/care/programmes/hospital-care.json → hospital-care; NULL after a line. */
static const char *name_of(struct cli *cli, const char *path)
{
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
        if (dot && dot > name && strcmp(dot, ".json") == 0)
                return arena_strndup(cli->arena, name, (size_t)(dot - name));
        fprintf(stderr, "%s: the file's name is the programme's id and .json\n", path);
        return NULL;
}

static int read_json(struct cli *cli, const char *path, const struct contract_message *type, ProtobufCMessage **ret)
{
        struct violations violations = {0};
        struct str json;
        int r = cli_read_file(cli, path, MOST_BYTES, &json);
        if (r)
                return r;
        if (transcode_from_json(cli->arena, type, json, &violations, ret) == 0)
                return 0;
        fprintf(stderr, "%s does not fit:\n", path);
        for (size_t i = 0; i < violations.n; i++)
                fprintf(stderr, "  %s: %s\n", violations.items[i].pointer, violations.items[i].detail);
        return 1;
}

/* What a file says gives way to --set document.organization=44; so it must not be there. */
static void make_room(struct cli *cli, ProgrammeDocument *document, struct str path)
{
        const struct contract_message *type = &care_v1_programme_document_msg;
        const ProgrammeDocument *fresh = message_new(cli->arena, type);
        struct str name = path, first = str_cut(&name, '.');
        const struct contract_field *field = str_is(first, "document") ? message_field(type, name) : NULL;
        const ProtobufCFieldDescriptor *pb = field ? &type->pb->fields[field - type->fields] : NULL;
        if (pb && pb->label != PROTOBUF_C_LABEL_REPEATED)
                memcpy((char *)document + pb->offset, (const char *)fresh + pb->offset,
                       pb->type == PROTOBUF_C_TYPE_STRING ? sizeof(char *) : sizeof(int32_t));
}

static int set_given(struct cli *cli, CreateProgrammeVersionRequest *request)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < cli->sets.n; i++) {
                struct str value = str_of(cli->sets.items[i]), path = str_cut(&value, '=');
                make_room(cli, request->document, path);
                r = cli_set_field(cli, "CreateProgrammeVersion", request, path, value);
        }
        return r;
}

static void put_programme(const struct cli *cli, const Programme *p, bool first)
{
        if (cli->json) {
                printf("%s", first ? "" : ",\n");
                show_json(&care_v1_programme_msg, p);
        } else {
                printf("%s %d  %s  %s\n", p->id, p->version, p->current ? "holds" : p->activate_time ? "held" : "draft", p->document->title_zh);
        }
}

static int put_one(struct cli *cli, const char *path, bool first)
{
        CreateProgrammeVersionRequest *q = message_new(cli->arena, &care_v1_create_programme_version_request_msg);
        ProtobufCMessage *document = NULL;
        void *response;
        q->programme = (char *)name_of(cli, path);
        int r = q->programme ? read_json(cli, path, &care_v1_programme_document_msg, &document) : 2;
        q->document = (ProgrammeDocument *)document;
        if (r == 0)
                r = set_given(cli, q);
        if (r == 0)
                r = cli_call(cli, "CreateProgrammeVersion", NULL, q, &response);
        if (r) {
                fprintf(stderr, "%s was not taken\n", path);
                return r;
        }
        put_programme(cli, response, first);
        return 0;
}

static int run_put(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        int r = 0;
        (void)command;
        if (cli->json)
                putchar('[');
        for (size_t i = 0; r == 0 && i < n; i++)
                r = put_one(cli, operands[i], i == 0);
        if (cli->json)
                printf("]\n");
        return r;
}

static void print_programme(void *arg, const void *row)
{
        const Programme *p = row;
        char version[16];
        snprintf(version, sizeof(version), "%d", p->version);
        table_row(arg, (const char *[]){p->id, version, p->document->organization, p->document->title_zh, p->document->title});
}

static int run_list(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        static const char *const headings[] = {"id", "version", "organization", "titleZh", "title"};
        void *q = cli_request(cli, "ListProgrammes");
        (void)command, (void)operands, (void)n;
        if (!q)
                return 2;
        _cleanup_(table_freep) struct table *t = table_new(headings, ARRAY_LEN(headings));
        int r = cli_list(cli, "ListProgrammes", q, NULL, print_programme, t);
        if (r == 0 && !cli->json)
                table_print(t);
        return r;
}

/* The document as a file has it: what `programme put` takes. */
static int run_show(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        void *response, *q = cli_request(cli, command->method);
        int r = q ? 0 : 2;
        for (size_t i = 0; r == 0 && i < n; i++)
                r = cli_set_field(cli, command->method, q, str_of(command->fields[i]), str_of(operands[i]));
        if (r == 0)
                r = cli_call(cli, command->method, NULL, q, &response);
        if (r)
                return r;
        const Programme *p = response;
        if (cli->json)
                show_json(&care_v1_programme_msg, p);
        else
                show_json(&care_v1_programme_document_msg, p->document);
        putchar('\n');
        return 0;
}

static int run_activate(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        void *response, *q = cli_request(cli, command->method);
        int r = q ? 0 : 2;
        for (size_t i = 0; r == 0 && i < n; i++)
                r = cli_set_field(cli, command->method, q, str_of(command->fields[i]), str_of(operands[i]));
        if (r == 0)
                r = cli_call(cli, command->method, NULL, q, &response);
        if (r == 0)
                put_programme(cli, response, true);
        if (r == 0 && cli->json)
                putchar('\n');
        const Programme *p = r == 0 ? response : NULL;
        if (p && p->missing_calendar)
                fprintf(stderr,
                        "The official working days of %d are not here: public notices that reach into it are refused until they are (nuanxin calendar put).\n",
                        p->missing_calendar);
        return r;
}

static int calendar_put_one(struct cli *cli, const char *path, bool first)
{
        SetWorkCalendarRequest *q = message_new(cli->arena, &care_v1_set_work_calendar_request_msg);
        ProtobufCMessage *calendar = NULL;
        void *response;
        int r = read_json(cli, path, &care_v1_work_calendar_msg, &calendar);
        q->calendar = (WorkCalendar *)calendar;
        if (r == 0)
                r = cli_call(cli, "SetWorkCalendar", NULL, q, &response);
        if (r) {
                fprintf(stderr, "%s was not taken\n", path);
                return r;
        }
        if (cli->json) {
                printf("%s", first ? "" : ",\n");
                show_json(&care_v1_work_calendar_msg, response);
        } else {
                printf("%d  %s\n", q->calendar->year, q->calendar->source);
        }
        return 0;
}

static int run_calendar_put(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        int r = 0;
        (void)command;
        if (cli->json)
                putchar('[');
        for (size_t i = 0; r == 0 && i < n; i++)
                r = calendar_put_one(cli, operands[i], i == 0);
        if (cli->json)
                printf("]\n");
        return r;
}

/* --- replay ------------------------------------------------------------------------------------------------------------ */

#define REPLAY_AT_ONCE 500

static void add_page(ReplayDecisionsResponse *all, const ReplayDecisionsResponse *page, struct buf *ids)
{
        all->replayed += page->replayed;
        all->erased += page->erased;
        all->n_different += page->n_different;
        for (size_t i = 0; i < page->n_different; i++) {
                buf_add(ids, page->different[i], strlen(page->different[i]));
                buf_add_char(ids, '\n');
        }
}

/* Each that differs on a line of its own, then how many there were. */
static void print_replay(const struct cli *cli, const ReplayDecisionsResponse *all, struct str ids)
{
        if (!cli->json) {
                while (ids.n) {
                        struct str id = str_cut(&ids, '\n');
                        printf("decision %.*s does not come to what it says\n", (int)id.n, id.p);
                }
                printf("%d decisions done again, %zu differ, %d of erased persons left out\n", all->replayed, all->n_different, all->erased);
                return;
        }
        printf("{\"replayed\":%d,\"erased\":%d,\"different\":[", all->replayed, all->erased);
        for (const char *comma = ""; ids.n; comma = ",") {
                struct str id = str_cut(&ids, '\n');
                printf("%s\"%.*s\"", comma, (int)id.n, id.p);
        }
        printf("]}\n");
}

/* Page by page, so that no request is long; a page after the next is asked for by the last decision's id. */
static int run_replay(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        ReplayDecisionsRequest *q = message_new(cli->arena, &care_v1_replay_decisions_request_msg);
        ReplayDecisionsResponse all = NUANXIN__CARE__V1__REPLAY_DECISIONS_RESPONSE__INIT;
        struct progress progress = {.what = "decisions"};
        _cleanup_(buf_done) struct buf ids = {0};
        void *response;
        int r;
        (void)operands, (void)n;
        q->limit = REPLAY_AT_ONCE;
        do {
                r = cli_call(cli, command->method, NULL, q, &response);
                if (r)
                        break;
                const ReplayDecisionsResponse *page = response;
                add_page(&all, page, &ids);
                q->after = page->last;
                progress_show(&progress, all.replayed + all.erased, 0);
        } while (q->after[0]);
        progress_end(&progress);
        if (r == 0)
                print_replay(cli, &all, str_bytes(ids.p, ids.n));
        return r ? r : all.n_different != 0;
}

const struct command commands_programme[] = {
        {"programme put", "FILE [FILE…]", "a draft of each PROGRAMME.json, until it is activated; what is there already is not added again", NULL, {0}, NULL, run_put},
        {"programme list", "", "those that new cases may be opened of", NULL, {0}, NULL, run_list},
        {"programme show", "PROGRAMME [VERSION]", "a version's document as JSON, for `programme put`; without a number the one that holds", "GetProgramme", {"programme", "version"}, NULL, run_show},
        {"programme activate", "PROGRAMME VERSION", "new cases are opened with this version from now on; running ones stay on theirs", "ActivateProgrammeVersion", {"programme", "version"}, NULL, run_activate},
        {"programme figures", "PROGRAMME ORGANIZATION YEAR", "cases and money of a year, there and right below; what is less than five is not said", "GetCareFigures", {"programme", "organization", "year"}, NULL, NULL},
        {"programme replay", "", "does every decision again with its version and its facts, and names those that differ; 1 if there are any", "ReplayDecisions", {0}, NULL, run_replay},
        {"calendar put", "FILE [FILE…]", "the official working days of a year, as the State Council gave them out", NULL, {0}, NULL, run_calendar_put},
        {"calendar show", "YEAR", "the days off and the weekend days at work of a year", "GetWorkCalendar", {"year"}, NULL, NULL},
        {0},
};
