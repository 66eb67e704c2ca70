/* SPDX-License-Identifier: Apache-2.0
 *
 * policy: group insurance.
 */
#include "services/cli/cli.h"
#include "nuanxin/care/v1/policy.pb-c.h"

static int run_policy_import(struct cli *cli, const struct command *command, const char *const *operands, size_t n)
{
        static const struct cli_import import = {"ImportPolicies", "GetCareOperation", "ListCareOperationErrors"};
        Nuanxin__Care__V1__ImportPoliciesRequest *q = cli_request(cli, import.method);
        (void)command, (void)n;
        if (q) {
                q->group = (char *)operands[1];
                q->organization = (char *)operands[2];
        }
        return cli_import(cli, &import, operands[0], q);
}

const struct command commands_policy[] = {
        {"policy import", "CSV GROUP ORGANIZATION", "insures persons by a list (id_number,name and maybe organization), with a report; goes on by itself",
         NULL, {0}, NULL, run_policy_import},
        {"policy list", "ORGANIZATION", "group policies concluded there and below", "ListPolicyGroups", {"organization"}, "id organization title startDate endDate", NULL},
        {"policy show", "GROUP", "one group policy", "GetPolicyGroup", {"group"}, NULL, NULL},
        {"policy figures", "GROUP", "insured, premiums, claims, payouts and the loss ratio", "GetPolicyFigures", {"group"}, NULL, NULL},
        {0},
};
