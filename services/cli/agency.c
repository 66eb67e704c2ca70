/* SPDX-License-Identifier: Apache-2.0
 *
 * agency: who outside the association reads of its events, under which terms, and with which keys.
 */
#include "contract/stream_v1.h"
#include "services/cli/cli.h"

#include <stdio.h>

/* What a person types, and the field that it is. */
static const struct term {
        const char *word, *field; /* of the request */
        const char *mask;         /* of an update */
} terms[] = {
        {"name", "agency.name", "name"},
        {"agreement", "agency.agreement", "agreement"},
        {"until", "agency.agreementExpireTime", "agreement_expire_time"},
        {"purposes", "agency.purposes", "purposes"},
        {"statutory", "agency.statutoryPurposes", "statutory_purposes"},
        {"types", "agency.types", "types"},
        {"orgs", "agency.organizations", "organizations"},
        {"privacy", "agency.privacy", "privacy"},
        {"withheld", "agency.withheldFields", "withheld_fields"},
};

static const struct term *find_term(struct str word)
{
        for (size_t i = 0; i < ARRAY_LEN(terms); i++)
                if (str_is(word, terms[i].word))
                        return &terms[i];
        fprintf(stderr, "%.*s: no such term; there are", (int)word.n, word.p);
        for (size_t i = 0; i < ARRAY_LEN(terms); i++)
                fprintf(stderr, "%s %s", i ? "," : "", terms[i].word);
        fprintf(stderr, "\n");
        return NULL;
}

static bool is_list(const struct term *term)
{
        const struct contract_field *field = message_field(&stream_v1_agency_msg, str_of(term->mask));
        return stream_v1_agency_msg.pb->fields[field - stream_v1_agency_msg.fields].label == PROTOBUF_C_LABEL_REPEATED;
}

/* A day alone is meant to its end, in China. */
static struct str whole_time(struct cli *cli, struct str value)
{
        return value.n == strlen("2027-12-31") ? str_of(arena_printf(cli->arena, "%.*sT23:59:59+08:00", (int)value.n, value.p)) : value;
}

static int set_term(struct cli *cli, const char *method, void *request, const struct term *term, struct str value)
{
        int r = 0;
        if (strcmp(term->word, "until") == 0) {
                value = whole_time(cli, value);
                if (!memchr(value.p, 'T', value.n)) {
                        fprintf(stderr, "until %.*s: give a day as 2027-12-31, or a time as 2027-12-31T18:00:00+08:00\n", (int)value.n, value.p);
                        return 2;
                }
        }
        if (!is_list(term))
                return cli_set_field(cli, method, request, str_of(term->field), value);
        while (r == 0 && value.n)
                r = cli_set_field(cli, method, request, str_of(term->field), str_cut(&value, ','));
        return r;
}

static int run_add(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        static const char *const first[] = {"agency.id", "agency.name", "agency.agreement"};
        const char *method = command->method;
        void *response, *request = cli_request(cli, method);
        int r = request ? 0 : 2;
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(first); i++)
                r = cli_set_field(cli, method, request, str_of(first[i]), str_of(operands[i]));
        if (r == 0)
                r = set_term(cli, method, request, find_term(STR("until")), str_of(operands[3]));
        for (size_t i = 4; r == 0 && i < n; i++) {
                struct str value = str_of(operands[i]), word = str_cut(&value, '=');
                const struct term *term = find_term(word);
                r = term ? set_term(cli, method, request, term, value) : 2;
        }
        if (r == 0)
                r = cli_call(cli, method, NULL, request, &response);
        if (r == 0)
                show_message(cli, operator_method(method)->output, response);
        return r;
}

static int run_update(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        const char *method = command->method;
        void *response;
        UpdateAgencyRequest *request = cli_request(cli, method);
        int r = request ? cli_set_field(cli, method, request, STR("agency.id"), str_of(operands[0])) : 2;
        if (r)
                return r;
        Google__Protobuf__FieldMask *mask = message_new(cli->arena, contract_message_by_name(STR("google.protobuf.FieldMask")));
        mask->paths = ARENA_ARRAY(cli->arena, char *, n);
        request->update_mask = mask;
        for (size_t i = 1; r == 0 && i < n; i++) {
                struct str value = str_of(operands[i]), word = str_cut(&value, '=');
                const struct term *term = find_term(word);
                r = term ? set_term(cli, method, request, term, value) : 2;
                if (r == 0)
                        mask->paths[mask->n_paths++] = (char *)term->mask;
        }
        if (r == 0)
                r = cli_call(cli, method, NULL, request, &response);
        if (r == 0)
                show_message(cli, operator_method(method)->output, response);
        return r;
}

#define TERMS "[TERM=VALUE…]"

const struct command commands_agency[] = {
        {"agency add", "AGENCY NAME AGREEMENT UNTIL " TERMS, "who outside may read of the events, until that day: purposes= statutory= types= orgs= privacy= withheld=", "CreateAgency", {0}, NULL, run_add},
        {"agency list", "", "all of them", "ListAgencies", {0}, "id name suspended agreementExpireTime types organizations", NULL},
        {"agency show", "AGENCY", "one, with its terms and its keys", "GetAgency", {"agency"}, NULL, NULL},
        {"agency update", "AGENCY TERM=VALUE " TERMS, "changes its terms, also name= agreement= until=; from its next fetch on", "UpdateAgency", {0}, NULL, run_update},
        {"agency suspend", "AGENCY", "it sees nothing, from its next fetch on", "SuspendAgency", {"agency"}, NULL, NULL},
        {"agency resume", "AGENCY", "it goes on where it stood", "ResumeAgency", {"agency"}, NULL, NULL},
        {"agency key add", "AGENCY [PUBLIC]", "its CURVE key's public half (Z85), or an API key, which is shown once; two of a kind hold", "CreateAgencyKey", {"agency", "publicKey"}, NULL, NULL},
        {"agency key revoke", "AGENCY KEY", "ends a key, from the next fetch on", "RevokeAgencyKey", {"agency", "key"}, NULL, NULL},
        {0},
};
