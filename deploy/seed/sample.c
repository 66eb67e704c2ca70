/* SPDX-License-Identifier: Apache-2.0
 *
 * Care to look at and to try, made up: two funds whose money is on its way down to a county, a couple who lost their only child, a
 * mother, a student, and what each of them asks for. Cases stand at their first stage: whoever opened one may not decide it, so the
 * rest is for the accounts in credentials.json.
 */
#include "contract/care_v1.h"
#include "deploy/seed/seed.h"

#include <stdio.h>
#include <time.h>

#define CITY    "4301"         /* 长沙市 */
#define COUNTY  "430102"       /* 芙蓉区 */
#define VILLAGE "430102001001" /* its first village */
#define YUAN    100ll

static const struct sample_person {
        const char *name, *id_number, *phone, *bank_account;
        bool special;
} people[] = {
        {"王秀兰", "430102195512039023", "13800138001", "6222020009012345675", true},
        {"李建国", "430102195308179176", "13800138002", "6222020009012345683", true}, /* her husband */
        {"陈思雨", "430102199205119240", "13800138003", "6222020009012345691", false},
        {"张晓明", "430102200802269162", "13800138004", "6222020009012345709", false},
};
enum { WIFE, HUSBAND, MOTHER, STUDENT, N_PEOPLE, NOBODY };

/* A fact's value that is "-30" is the day so many days ago. */
static const struct sample_case {
        const char *programme;
        int person;
        const char *facts[8][2];
} cases[] = {
        {"nuanxin-care", WIFE, {{"ground", "bereaved"}, {"alone", "false"}, {"wishes", "希望有人陪同就医"}}},
        {"hospital-care", HUSBAND, {{"hospital", "长沙市第一医院"}, {"hospital_level", "3"}, {"public_hospital", "true"}, {"admitted", "-30"},
                                    {"discharged", "-18"}, {"days", "12"}}},
        {"maternity-support", MOTHER, {{"ground", "low-income"}, {"born", "-40"}, {"child", "second"}}},
        {"education-aid", STUDENT, {{"ground", "low-income"}, {"school", "high-school"}, {"school_name", "长沙市第一中学"}}},
        {"requests", NOBODY, {{"way", "hotline"}, {"matter", "advice"}, {"text", "来电咨询住院护理补贴的申请条件。"}}},
};

/* --- money --------------------------------------------------------------------------------------------------------- */

static int make_fund(struct seed *s, int kind, const char *title, const char *donor, const char *purpose, const char **ret_id)
{
        CreateFundRequest q = NUANXIN__CARE__V1__CREATE_FUND_REQUEST__INIT;
        Fund fund = NUANXIN__CARE__V1__FUND__INIT;
        char *purposes[] = {(char *)purpose};
        void *response;
        fund.kind = (Fund__Kind)kind;
        fund.title = (char *)title;
        fund.organization = (char *)PROVINCE;
        fund.donor = (char *)donor;
        fund.n_purposes = purpose ? 1 : 0;
        fund.purposes = purposes;
        q.fund = &fund;
        int r = seed_call_once_known(s, "CreateFund", &q, &response);
        if (r == 0)
                *ret_id = ((Fund *)response)->id;
        return r;
}

static int open_account(struct seed *s, const char *fund, const char *purpose, const char *organization, char **ret_id)
{
        OpenLedgerAccountRequest q = NUANXIN__CARE__V1__OPEN_LEDGER_ACCOUNT_REQUEST__INIT;
        LedgerAccount account = NUANXIN__CARE__V1__LEDGER_ACCOUNT__INIT;
        void *response;
        account.kind = purpose ? NUANXIN__CARE__V1__LEDGER_ACCOUNT__KIND__BUDGET : NUANXIN__CARE__V1__LEDGER_ACCOUNT__KIND__SOURCE;
        account.fund = (char *)fund;
        account.purpose = (char *)(purpose ? purpose : "");
        account.organization = (char *)organization;
        q.account = &account;
        int r = seed_call(s, "OpenLedgerAccount", &q, NULL, &response);
        if (r == 0)
                *ret_id = ((LedgerAccount *)response)->id;
        return r;
}

/* From the fund's source to the province, to the city, to the county: all of it or nothing. */
static int pass_down(struct seed *s, const char *fund, const char *purpose, long long yuan)
{
        static const char *const organizations[] = {PROVINCE, PROVINCE, CITY, COUNTY};
        CreateTransfersRequest q = NUANXIN__CARE__V1__CREATE_TRANSFERS_REQUEST__INIT;
        LedgerTransfer transfers[3], *each[3];
        char *accounts[4];
        void *response;
        for (size_t i = 0; i < ARRAY_LEN(accounts); i++) {
                int r = open_account(s, fund, i ? purpose : NULL, organizations[i], &accounts[i]);
                if (r != 0)
                        return r;
        }
        for (size_t i = 0; i < ARRAY_LEN(transfers); i++) {
                transfers[i] = (LedgerTransfer)NUANXIN__CARE__V1__LEDGER_TRANSFER__INIT;
                transfers[i].kind = NUANXIN__CARE__V1__LEDGER_TRANSFER__KIND__TRANSFER;
                transfers[i].debit = accounts[i];
                transfers[i].credit = accounts[i + 1];
                transfers[i].amount = yuan * YUAN >> (2 * i); /* each level keeps something back for others */
                each[i] = &transfers[i];
        }
        q.n_transfers = ARRAY_LEN(each);
        q.transfers = each;
        return seed_call(s, "CreateTransfers", &q, NULL, &response);
}

static int make_money(struct seed *s)
{
        ListLedgerAccountsRequest list = NUANXIN__CARE__V1__LIST_LEDGER_ACCOUNTS_REQUEST__INIT;
        const char *grant, *donation;
        void *response;
        list.organization = (char *)COUNTY;
        int r = seed_call_once_known(s, "ListLedgerAccounts", &list, &response);
        if (r != 0 || ((ListLedgerAccountsResponse *)response)->n_accounts == 3)
                return r;
        r = make_fund(s, NUANXIN__CARE__V1__FUND__KIND__GRANT, "省级财政专项资金（示范）", "", NULL, &grant);
        if (r == 0)
                r = make_fund(s, NUANXIN__CARE__V1__FUND__KIND__DONATION, "金秋助学捐款（示范）", "示范企业", "education-aid", &donation);
        if (r == 0)
                r = pass_down(s, grant, "maternity", 8000000);
        if (r == 0)
                r = pass_down(s, grant, "hospital-care", 18160000);
        return r == 0 ? pass_down(s, donation, "education-aid", 2000000) : r;
}

/* --- people and cases ------------------------------------------------------------------------------------------------- */

static int find_recipient(struct seed *s, const struct sample_person *p, const Recipient **ret)
{
        ListRecipientsRequest q = NUANXIN__CARE__V1__LIST_RECIPIENTS_REQUEST__INIT;
        void *response;
        q.organization = (char *)VILLAGE;
        q.page_size = 1000;
        int r = seed_call(s, "ListRecipients", &q, NULL, &response);
        const ListRecipientsResponse *list = response;
        for (size_t i = 0; r == 0 && i < list->n_recipients; i++)
                if (strcmp(list->recipients[i]->name, p->name) == 0)
                        *ret = list->recipients[i];
        if (r == 0 && !*ret)
                fprintf(stderr, "the ID number of %s, who is made up, is somebody else's\n", p->name);
        return r == 0 && !*ret ? -EEXIST : r;
}

static int make_recipient(struct seed *s, const struct sample_person *p, const char *household, const Recipient **ret)
{
        CreateRecipientRequest q = NUANXIN__CARE__V1__CREATE_RECIPIENT_REQUEST__INIT;
        void *response;
        q.organization = (char *)VILLAGE;
        q.name = (char *)p->name;
        q.id_number = (char *)p->id_number;
        q.phone = (char *)p->phone;
        q.bank_account = (char *)p->bank_account;
        q.household = (char *)household;
        q.special = p->special;
        int r = seed_call(s, "CreateRecipient", &q, "urn:nuanxin:problem:recipient-exists", &response);
        if (r == 0)
                *ret = response;
        return r == 1 ? find_recipient(s, p, ret) : r;
}

static char *fact_value(struct seed *s, const char *value)
{
        int64_t days;
        if (value[0] != '-' || str_to_i64(str_of(value + 1), 1, 366, &days) < 0)
                return (char *)value;
        time_t then = clock_now_us(&s->clock) / CLOCK_SECOND_US - days * 86400;
        struct tm day;
        gmtime_r(&then, &day);
        return arena_printf(s->arena, "%04d-%02d-%02d", day.tm_year + 1900, day.tm_mon + 1, day.tm_mday);
}

/* Some programmes would take it twice. */
static int has_case(struct seed *s, const char *programme, bool *ret)
{
        ListCasesRequest q = NUANXIN__CARE__V1__LIST_CASES_REQUEST__INIT;
        void *response;
        q.organization = (char *)VILLAGE;
        q.programme = (char *)programme;
        int r = seed_call(s, "ListCases", &q, NULL, &response);
        *ret = r == 0 && ((ListCasesResponse *)response)->n_cases;
        return r;
}

static int open_case(struct seed *s, const struct sample_case *c, const char *recipient)
{
        OpenCaseRequest q = NUANXIN__CARE__V1__OPEN_CASE_REQUEST__INIT;
        Case value = NUANXIN__CARE__V1__CASE__INIT;
        Fact facts[ARRAY_LEN(c->facts)], *each[ARRAY_LEN(c->facts)];
        void *response;
        bool there;
        int r = has_case(s, c->programme, &there);
        if (r != 0 || there)
                return r;
        for (; value.n_facts < ARRAY_LEN(facts) && c->facts[value.n_facts][0]; value.n_facts++) {
                size_t i = value.n_facts;
                facts[i] = (Fact)NUANXIN__CARE__V1__FACT__INIT;
                facts[i].name = (char *)c->facts[i][0];
                facts[i].value = fact_value(s, c->facts[i][1]);
                each[i] = &facts[i];
        }
        value.facts = each;
        value.programme = (char *)c->programme;
        value.organization = (char *)VILLAGE;
        value.recipient = (char *)recipient;
        q.value = &value;
        return seed_call(s, "OpenCase", &q, NULL, &response);
}

int sample_make(struct seed *s)
{
        const Recipient *made[N_PEOPLE] = {0};
        int r = make_money(s);
        for (size_t i = 0; i < N_PEOPLE && r == 0; i++)
                r = make_recipient(s, &people[i], i == HUSBAND ? made[WIFE]->household : "", &made[i]);
        for (size_t i = 0; i < ARRAY_LEN(cases) && r == 0; i++)
                r = open_case(s, &cases[i], cases[i].person == NOBODY ? "" : made[cases[i].person]->id);
        return r;
}
