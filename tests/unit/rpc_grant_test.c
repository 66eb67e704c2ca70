/* SPDX-License-Identifier: Apache-2.0
 *
 * What a grant allows that is known from an event only: as for whoever calls with it.
 */
#include "common/rpc/rpc.h"
#include "nuanxin/type/role.pb-c.h"
#include "tests/support/check.h"

#define ROLE(name) NUANXIN__TYPE__ROLE__ROLE_##name
#define COUNTY     STR("/43/4301/430102/")

static void test_place(void)
{
        CHECK(rpc_grant_allows(ROLE(STAFF), "430102", "visit.write", COUNTY));
        CHECK(rpc_grant_allows(ROLE(STAFF), "43", "visit.write", COUNTY));
        CHECK(rpc_grant_allows(ROLE(STAFF), "*", "visit.write", COUNTY));
        CHECK(!rpc_grant_allows(ROLE(STAFF), "430103", "visit.write", COUNTY));
        CHECK(!rpc_grant_allows(ROLE(STAFF), "430102001", "visit.write", COUNTY)); /* below it */
        CHECK(!rpc_grant_allows(ROLE(STAFF), "4301", "visit.write", STR("/43/43011/")));
        CHECK(!rpc_grant_allows(ROLE(STAFF), "", "visit.write", COUNTY));
}

static void test_role(void)
{
        CHECK(rpc_grant_allows(ROLE(VOLUNTEER), "43", "visit.write", COUNTY));
        CHECK(!rpc_grant_allows(ROLE(VIEWER), "43", "visit.write", COUNTY));
        CHECK(rpc_grant_allows(ROLE(APPROVER), "43", "case.decide", COUNTY));
        CHECK(!rpc_grant_allows(ROLE(STAFF), "43", "case.decide", COUNTY));
        CHECK(rpc_grant_allows(ROLE(ADMINISTRATOR), "43", "case.decide", COUNTY));
        CHECK(!rpc_grant_allows(ROLE(ADMINISTRATOR), "43", "no.permission", COUNTY));
        CHECK(!rpc_grant_allows(99, "43", "visit.write", COUNTY)); /* a role that this build does not know */
}

static const struct check_case cases[] = {
        {"a grant holds at its organisation and below", test_place},
        {"a grant holds for what its role may", test_role},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
