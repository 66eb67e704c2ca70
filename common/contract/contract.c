/* SPDX-License-Identifier: Apache-2.0
 *
 * Look-ups in the contract's tables.
 */
#include "common/contract/contract.h"

const struct contract_method *contract_method_by_id(uint64_t id)
{
        size_t low = 0, high = contract_n_methods;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                if (contract_methods[mid]->id < id)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low < contract_n_methods && contract_methods[low]->id == id ? contract_methods[low] : NULL;
}

/* strcmp of a slice that may not be terminated with a text that is. */
static int name_compare(struct str name, const char *z)
{
        size_t n = strlen(z);
        int c = memcmp(name.p ? name.p : "", z, name.n < n ? name.n : n);
        return c ? c : (name.n > n) - (name.n < n);
}

const struct contract_message *contract_message_by_name(struct str name)
{
        size_t low = 0, high = contract_n_messages;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = name_compare(name, contract_messages[mid]->name);
                if (c == 0)
                        return contract_messages[mid];
                if (c > 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return NULL;
}

bool contract_is_erasure(const struct contract_message *type)
{
        return type && type->notice && !type->part;
}

bool contract_role_has(int role, int permission_id)
{
        if (permission_id < 0 || (unsigned)permission_id >= contract_n_permissions)
                return false;
        for (unsigned i = 0; i < contract_n_roles; i++)
                if (contract_roles[i].value == role)
                        return contract_roles[i].permissions[permission_id / 64] >> (permission_id % 64) & 1;
        return false;
}

const struct contract_problem *contract_problem_of(Nuanxin__Problem value)
{
        const struct contract_problem *internal = &contract_problems[0];
        for (unsigned i = 0; i < contract_n_problems; i++) {
                if (contract_problems[i].value == value)
                        return &contract_problems[i];
                if (contract_problems[i].value == NUANXIN__PROBLEM__PROBLEM_INTERNAL)
                        internal = &contract_problems[i];
        }
        return internal;
}

void contract_problem_fill(struct buf *out, const char *detail, const char *const args[8])
{
        for (const char *p = detail; *p; p++) {
                unsigned i = (unsigned)(p[1] - '0');
                if (p[0] != '{' || i > 7 || p[2] != '}') {
                        buf_add_char(out, *p);
                        continue;
                }
                for (unsigned k = 0; k <= i && args[k]; k++)
                        if (k == i)
                                buf_add_z(out, args[k]);
                p += 2;
        }
}
