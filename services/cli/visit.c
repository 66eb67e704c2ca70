/* SPDX-License-Identifier: Apache-2.0
 *
 * visit: those planned by a list, and what came of them.
 */
#include "services/cli/cli.h"
#include "nuanxin/care/v1/work.pb-c.h"

static int run_visit_import(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        static const struct cli_import import = {"ImportVisits", "GetCareOperation", "ListCareOperationErrors"};
        Nuanxin__Care__V1__ImportVisitsRequest *q = cli_request(cli, import.method);
        (void)command, (void)n;
        if (q) {
                q->organization = (char *)operands[1];
                q->occasion = (char *)operands[2];
        }
        return cli_import(cli, &import, operands[0], q);
}

const struct command commands_visit[] = {
        {"visit import", "CSV ORGANIZATION OCCASION", "plans visits by a list (id_number,name,due_date), with a report; goes on by itself",
         NULL, {0}, NULL, run_visit_import},
        {"visit list", "RECIPIENT", "visits to a person that are of no case, planned and made; those of a case: case visits", "ListVisits", {"recipient"},
         "id occasion dueTime way outcome occurredTime by", NULL},
        {0},
};
