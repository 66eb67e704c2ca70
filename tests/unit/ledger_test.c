/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger's rules: every kind of transfer against everything that can be wrong with it, between every two kinds of account; and
 * that what is entered, however it comes, keeps what the ledger promises.
 */
#include "common/ledger/check.h"

#include "tests/support/check.h"

#define NOW   INT64_C(1000000)
#define KINDS 5

static const int kinds[KINDS] = {LEDGER_TRANSFER, LEDGER_PENDING, LEDGER_POST, LEDGER_VOID, LEDGER_REVERSAL};

static bool names_accounts(int kind)
{
        return kind == LEDGER_TRANSFER || kind == LEDGER_PENDING;
}

static struct ledger_row ask(int kind)
{
        bool named = names_accounts(kind);
        return (struct ledger_row){.id = "t", .kind = kind, .debit = named ? "from" : "", .credit = named ? "to" : "", .amount = named ? 70 : 0,
                                   .of = named ? "" : "o", .reason = kind == LEDGER_REVERSAL ? "twice" : "", .case_id = "", .actor = ""};
}

static struct ledger_account account(const char *id, int kind, const char *purpose)
{
        return (struct ledger_account){.id = id, .kind = kind, .fund = "f", .purpose = purpose, .organization = "43", .path = "/43/",
                                       .programme = "", .unit = "CNY", .totals = {.credits_posted = 1000, .debits_posted = 100}};
}

/* --- what a request must say ---------------------------------------------------------------------------------------- */

static const char *complaint(const struct ledger_row *row)
{
        const struct ledger_complaint *c = ledger_shape(row, NOW);
        return c ? c->field : "";
}

static void a_request_of_each_kind_says_what_it_needs(void)
{
        for (size_t i = 0; i < KINDS; i++) {
                struct ledger_row row = ask(kinds[i]);
                CHECK_TEXT(complaint(&row), "");
                row.kind = 0;
                CHECK_TEXT(complaint(&row), "kind");
        }
}

static void a_request_of_each_kind_says_no_more(void)
{
        for (size_t i = 0; i < KINDS; i++) {
                bool named = names_accounts(kinds[i]);
                struct ledger_row row = ask(kinds[i]);
                row.debit = named ? "" : "from";
                CHECK_TEXT(complaint(&row), "debit");
                row = ask(kinds[i]);
                row.credit = named ? "" : "to";
                CHECK_TEXT(complaint(&row), "credit");
                row = ask(kinds[i]);
                row.of = named ? "o" : "";
                CHECK_TEXT(complaint(&row), "of");
                row = ask(kinds[i]);
                row.amount = named ? 0 : 5;
                CHECK_TEXT(complaint(&row), kinds[i] == LEDGER_POST ? "" : "amount");
                row = ask(kinds[i]);
                row.amount = -1;
                CHECK_TEXT(complaint(&row), "amount");
                row = ask(kinds[i]);
                row.expire_us = NOW + 1;
                CHECK_TEXT(complaint(&row), kinds[i] == LEDGER_PENDING ? "" : "expireTime");
                row.expire_us = NOW;
                CHECK_TEXT(complaint(&row), "expireTime");
                row = ask(kinds[i]);
                row.reason = "";
                CHECK_TEXT(complaint(&row), kinds[i] == LEDGER_REVERSAL ? "reason" : "");
        }
}

/* --- what it may be of ------------------------------------------------------------------------------------------------ */

static bool may_be_of(int kind, int of)
{
        if (kind == LEDGER_REVERSAL)
                return of == LEDGER_TRANSFER || of == LEDGER_POST;
        return of == LEDGER_PENDING;
}

static void each_kind_is_of_its_own_kinds(void)
{
        for (size_t i = 0; i < KINDS; i++)
                for (size_t k = 0; k < KINDS; k++) {
                        const struct ledger_row before = {.id = "o", .kind = kinds[k], .debit = "from", .credit = "to", .amount = 70, .case_id = "c"};
                        struct ledger_row row = ask(kinds[i]);
                        struct ledger_of of = {.row = &before};
                        enum ledger_fault want = may_be_of(kinds[i], kinds[k]) ? LEDGER_FITS : LEDGER_OF_UNKNOWN;
                        if (names_accounts(kinds[i]))
                                continue;
                        CHECK_INT(ledger_derive(&row, &of), want);
                        row = ask(kinds[i]);
                        of.settled = true;
                        CHECK_INT(ledger_derive(&row, &of), want == LEDGER_FITS ? LEDGER_OF_SETTLED : LEDGER_OF_UNKNOWN);
                        row = ask(kinds[i]);
                        CHECK_INT(ledger_derive(&row, &(struct ledger_of){0}), LEDGER_OF_UNKNOWN);
                }
}

static void accounts_amount_and_case_follow_from_what_it_is_of(void)
{
        const struct ledger_row pending = {.id = "o", .kind = LEDGER_PENDING, .debit = "from", .credit = "to", .amount = 70, .case_id = "c"};
        const struct ledger_row posted = {.id = "o", .kind = LEDGER_POST, .debit = "from", .credit = "to", .amount = 70, .case_id = "c"};
        struct ledger_row row = ask(LEDGER_POST);
        CHECK_INT(ledger_derive(&row, &(struct ledger_of){.row = &pending}), LEDGER_FITS);
        CHECK_TEXT(row.debit, "from");
        CHECK_TEXT(row.credit, "to");
        CHECK_TEXT(row.case_id, "c");
        CHECK_INT(row.amount, 70);
        row = ask(LEDGER_POST);
        row.amount = 69;
        CHECK_INT(ledger_derive(&row, &(struct ledger_of){.row = &pending}), LEDGER_FITS);
        CHECK_INT(row.amount, 69);
        row = ask(LEDGER_POST);
        row.amount = 71;
        CHECK_INT(ledger_derive(&row, &(struct ledger_of){.row = &pending}), LEDGER_OVERDRAWN);
        row = ask(LEDGER_REVERSAL);
        CHECK_INT(ledger_derive(&row, &(struct ledger_of){.row = &posted}), LEDGER_FITS);
        CHECK_TEXT(row.debit, "to");
        CHECK_TEXT(row.credit, "from");
        CHECK_INT(row.amount, 70);
}

/* --- which accounts fit -------------------------------------------------------------------------------------------------- */

static bool may_go(int kind, int from, int to, bool same_purpose)
{
        if (kind == LEDGER_REVERSAL) /* whose original could have been: to → from */
                return from != LEDGER_SOURCE && to != LEDGER_SPENT;
        if (from == LEDGER_SOURCE)
                return to == LEDGER_BUDGET;
        return from == LEDGER_BUDGET && (to == LEDGER_BUDGET || (to == LEDGER_SPENT && same_purpose));
}

static enum ledger_fault enter(int kind, struct ledger_account *from, struct ledger_account *to, int64_t amount, struct ledger_row *ret)
{
        static struct ledger_row before;
        before = (struct ledger_row){.id = "o", .kind = kind == LEDGER_REVERSAL ? LEDGER_TRANSFER : LEDGER_PENDING, .debit = "", .credit = "", .amount = amount};
        struct ledger_of of = {.row = names_accounts(kind) ? NULL : &before};
        *ret = ask(kind);
        ret->amount = amount;
        return ledger_enter(ret, &of, from, to, NOW);
}

static void each_kind_moves_between_accounts_that_fit(void)
{
        static const int sorts[] = {LEDGER_SOURCE, LEDGER_BUDGET, LEDGER_SPENT};
        for (size_t i = 0; i < KINDS; i++)
                for (size_t n = 0; n < 18; n++) {
                        bool same = n % 2;
                        struct ledger_account from = account("from", sorts[n / 2 % 3], "aid"), to = account("to", sorts[n / 6], same ? "aid" : "school");
                        struct ledger_account from_before, to_before;
                        struct ledger_row row;
                        from.totals.debits_pending = to.totals.credits_pending = 70;
                        from_before = from;
                        to_before = to;
                        bool fits = may_go(kinds[i], from.kind, to.kind, same);
                        CHECK_INT(enter(kinds[i], &from, &to, 70, &row), fits ? LEDGER_FITS : LEDGER_MISFIT);
                        CHECK_INT(from.version + to.version, fits ? 2 : 0);
                        CHECK(fits || (memcmp(&from, &from_before, sizeof(from)) == 0 && memcmp(&to, &to_before, sizeof(to)) == 0));
                }
}

static void two_accounts_of_one_fund_are_needed(void)
{
        struct ledger_account from = account("a", LEDGER_BUDGET, "aid"), to = account("b", LEDGER_BUDGET, "aid");
        struct ledger_row row;
        to.fund = "g";
        CHECK_INT(enter(LEDGER_TRANSFER, &from, &to, 70, &row), LEDGER_MISFIT);
        to = account("a", LEDGER_BUDGET, "aid");
        CHECK_INT(enter(LEDGER_TRANSFER, &from, &to, 70, &row), LEDGER_MISFIT);
}

static void what_has_expired_is_void_even_before_it_is_written_down(void)
{
        static const struct {
                int kind;
                int64_t expire_us;
                enum ledger_fault want;
        } cases[] = {{LEDGER_POST, 0, LEDGER_FITS},          {LEDGER_POST, NOW + 1, LEDGER_FITS}, {LEDGER_POST, NOW, LEDGER_OF_SETTLED},
                     {LEDGER_POST, 1, LEDGER_OF_SETTLED}, {LEDGER_VOID, NOW, LEDGER_FITS}};
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                struct ledger_account from = account("from", LEDGER_BUDGET, "aid"), to = account("to", LEDGER_BUDGET, "aid");
                const struct ledger_row before = {.id = "o", .kind = LEDGER_PENDING, .debit = "", .credit = "", .amount = 70, .expire_us = cases[i].expire_us};
                struct ledger_row row = ask(cases[i].kind);
                row.amount = 70;
                from.totals.debits_pending = to.totals.credits_pending = 70;
                CHECK_INT(ledger_enter(&row, &(struct ledger_of){.row = &before}, &from, &to, NOW), cases[i].want);
                CHECK_INT(from.version, cases[i].want == LEDGER_FITS);
        }
}

/* --- what it changes ------------------------------------------------------------------------------------------------------ */

static void check_totals(const struct ledger_totals *got, int64_t credits_posted, int64_t credits_pending, int64_t debits_posted,
                         int64_t debits_pending)
{
        CHECK_INT(got->credits_posted, credits_posted);
        CHECK_INT(got->credits_pending, credits_pending);
        CHECK_INT(got->debits_posted, debits_posted);
        CHECK_INT(got->debits_pending, debits_pending);
}

static void each_kind_moves_its_totals(void)
{
        static const struct {
                int kind;
                int64_t posted, pending;
        } changes[KINDS] = {
                {LEDGER_TRANSFER, 70, 0}, {LEDGER_PENDING, 0, 70}, {LEDGER_POST, 70, -70}, {LEDGER_VOID, 0, -70}, {LEDGER_REVERSAL, 70, 0}};
        for (size_t i = 0; i < KINDS; i++) {
                struct ledger_account from = account("from", LEDGER_BUDGET, "aid"), to = account("to", LEDGER_BUDGET, "aid");
                struct ledger_row row;
                from.totals.debits_pending = to.totals.credits_pending = 80;
                from.version = 7;
                from.changed_us = NOW - 5;
                to.changed_us = NOW + 5;
                CHECK_INT(enter(changes[i].kind, &from, &to, 70, &row), LEDGER_FITS);
                check_totals(&from.totals, 1000, 0, 100 + changes[i].posted, 80 + changes[i].pending);
                check_totals(&to.totals, 1000 + changes[i].posted, 80 + changes[i].pending, 100, 0);
                CHECK_INT(row.debit_side.number, 8);
                CHECK_INT(row.credit_side.number, 1);
                CHECK(memcmp(&row.debit_side.after, &from.totals, sizeof(from.totals)) == 0);
                CHECK(memcmp(&row.credit_side.after, &to.totals, sizeof(to.totals)) == 0);
                CHECK_INT(row.created_us, NOW + 5); /* no earlier than what either account has seen */
                CHECK_INT(from.changed_us, NOW + 5);
        }
}

static void a_part_that_is_posted_voids_the_rest(void)
{
        struct ledger_account from = account("from", LEDGER_BUDGET, "aid"), to = account("to", LEDGER_SPENT, "aid");
        const struct ledger_row pending = {.id = "o", .kind = LEDGER_PENDING, .debit = "from", .credit = "to", .amount = 70, .case_id = ""};
        struct ledger_row row = ask(LEDGER_POST);
        from.totals.debits_pending = to.totals.credits_pending = 70;
        row.amount = 50;
        CHECK_INT(ledger_derive(&row, &(struct ledger_of){.row = &pending}), LEDGER_FITS);
        CHECK_INT(ledger_enter(&row, &(struct ledger_of){.row = &pending}, &from, &to, NOW), LEDGER_FITS);
        check_totals(&from.totals, 1000, 0, 150, 0);
        check_totals(&to.totals, 1050, 0, 100, 0);
}

static void nothing_but_a_source_goes_below_zero(void)
{
        static const int takes[] = {LEDGER_TRANSFER, LEDGER_PENDING, LEDGER_REVERSAL};
        for (size_t i = 0; i < 3; i++) {
                struct ledger_account from = account("from", LEDGER_BUDGET, "aid"), to = account("to", LEDGER_BUDGET, "aid");
                struct ledger_row row;
                from.totals.debits_pending = 300; /* 600 are available */
                CHECK_INT(enter(takes[i], &from, &to, 601, &row), LEDGER_OVERDRAWN);
                CHECK_INT(from.version, 0);
                CHECK_INT(enter(takes[i], &from, &to, 600, &row), LEDGER_FITS);
                CHECK_INT(ledger_available(&from.totals), 0);
                from = account("from", LEDGER_SOURCE, "");
                CHECK_INT(enter(takes[i], &from, &to, 5000, &row), takes[i] == LEDGER_REVERSAL ? LEDGER_MISFIT : LEDGER_FITS);
        }
}

static void what_cannot_be_counted_is_refused(void)
{
        struct ledger_account from = account("from", LEDGER_SOURCE, ""), to = account("to", LEDGER_BUDGET, "aid");
        struct ledger_row row;
        from.totals.debits_posted = INT64_MAX / 4;
        CHECK_INT(enter(LEDGER_TRANSFER, &from, &to, 1, &row), LEDGER_TOO_MUCH);
        from.totals.debits_posted = 0;
        to.totals.credits_posted = INT64_MAX / 4;
        CHECK_INT(enter(LEDGER_TRANSFER, &from, &to, 1, &row), LEDGER_TOO_MUCH);
        /* Less is set aside than would be given back: no rule lets it come to that. */
        to = account("to", LEDGER_BUDGET, "aid");
        from = account("from", LEDGER_BUDGET, "aid");
        CHECK_INT(enter(LEDGER_VOID, &from, &to, 1, &row), LEDGER_TOO_MUCH);
}

/* --- purposes ------------------------------------------------------------------------------------------------------------- */

static void a_fund_is_for_its_purposes_and_those_consented_to(void)
{
        CHECK(ledger_allows("", "", "aid"));
        CHECK(ledger_allows("school\naid\n", "", "aid"));
        CHECK(ledger_allows("school\n", "aid\n", "aid"));
        CHECK(!ledger_allows("school\n", "", "aid"));
        CHECK(!ledger_allows("school\n", "care\n", "aid"));
        CHECK(!ledger_allows("aids\nfirst-aid\n", "", "aid"));
}

static const char *terms(int kind, const char *purpose, const char *programme, const char *organization)
{
        const struct ledger_account a = {.kind = kind, .purpose = purpose, .programme = programme, .organization = organization};
        const struct ledger_complaint *c = ledger_account_shape(&a, "43");
        return c ? c->field : "";
}

static void accounts_say_what_their_kind_needs(void)
{
        CHECK_TEXT(terms(LEDGER_SOURCE, "", "", "43"), "");
        CHECK_TEXT(terms(LEDGER_BUDGET, "aid", "", "4301"), "");
        CHECK_TEXT(terms(LEDGER_SPENT, "aid", "p", "4301"), "");
        CHECK_TEXT(terms(0, "aid", "", "43"), "account/kind");
        CHECK_TEXT(terms(LEDGER_SOURCE, "aid", "", "43"), "account/purpose");
        CHECK_TEXT(terms(LEDGER_SOURCE, "", "", "4301"), "account/organization");
        CHECK_TEXT(terms(LEDGER_SOURCE, "", "p", "43"), "account/programme");
        CHECK_TEXT(terms(LEDGER_BUDGET, "", "", "43"), "account/purpose");
        CHECK_TEXT(terms(LEDGER_BUDGET, "aid", "p", "43"), "account/programme");
        CHECK_TEXT(terms(LEDGER_SPENT, "", "p", "43"), "account/purpose");
        CHECK_TEXT(terms(LEDGER_SPENT, "aid", "", "43"), "account/programme");
}

static void amounts_read_as_people_write_them(void)
{
        struct arena *arena = arena_new(256);
        CHECK_TEXT(ledger_amount_text(arena, 5750000000, "CNY"), "57500000.00 CNY");
        CHECK_TEXT(ledger_amount_text(arena, 5, "CNY"), "0.05 CNY");
        CHECK_TEXT(ledger_amount_text(arena, -120, "CNY"), "-1.20 CNY");
        CHECK_TEXT(ledger_amount_text(arena, 12, "quilt"), "12 quilt");
        arena_free(arena);
}

/* --- whatever comes --------------------------------------------------------------------------------------------------------- */

#define ACCOUNTS 5
#define ROWS     4000

static uint64_t seed = 88172645463325252u;
static unsigned pick(unsigned n) /* xorshift64: the same in every run */
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (unsigned)(seed % n);
}

static int place_of(const char *id)
{
        return id[0] - 'a';
}

static void check_ledger(const struct ledger_account *accounts)
{
        int64_t posted = 0, pending = 0;
        for (size_t i = 0; i < ACCOUNTS; i++) {
                const struct ledger_totals *t = &accounts[i].totals;
                posted += t->credits_posted - t->debits_posted;
                pending += t->credits_pending - t->debits_pending;
                CHECK(accounts[i].kind == LEDGER_SOURCE || ledger_available(t) >= 0);
                CHECK(t->credits_pending >= 0 && t->debits_pending >= 0);
        }
        CHECK_INT(posted, 0);
        CHECK_INT(pending, 0);
}

static const char *const names[ACCOUNTS] = {"a", "b", "c", "d", "e"};
static struct ledger_row rows[ROWS];
static struct ledger_account accounts[ACCOUNTS];
static size_t of_place[ROWS];

static void make_books(size_t by_kind[LEDGER_REVERSAL + 1], size_t *ret_tried)
{
        static const int sorts[ACCOUNTS] = {LEDGER_SOURCE, LEDGER_BUDGET, LEDGER_BUDGET, LEDGER_BUDGET, LEDGER_SPENT};
        static char ids[ROWS][8];
        static bool settled[ROWS];
        size_t n = 0, tried = 0;
        memset(settled, 0, sizeof(settled));
        memset(by_kind, 0, (LEDGER_REVERSAL + 1) * sizeof(by_kind[0]));
        for (size_t i = 0; i < ACCOUNTS; i++)
                accounts[i] = (struct ledger_account){.id = names[i], .kind = sorts[i], .fund = "f", .purpose = i ? "aid" : "", .unit = "CNY"};
        while (n < ROWS) {
                int kind = kinds[pick(KINDS)];
                size_t k = n ? pick((unsigned)n) : 0;
                struct ledger_row row = ask(kind);
                struct ledger_of of = {.row = n && !names_accounts(kind) ? &rows[k] : NULL, .settled = settled[k]};
                tried++;
                if (names_accounts(kind)) {
                        row.debit = names[pick(ACCOUNTS)];
                        row.credit = names[pick(ACCOUNTS)];
                        row.amount = 1 + pick(1000);
                }
                if (ledger_derive(&row, &of) != LEDGER_FITS ||
                    ledger_enter(&row, &of, &accounts[place_of(row.debit)], &accounts[place_of(row.credit)], (int64_t)tried) != LEDGER_FITS)
                        continue;
                if (of.row)
                        settled[k] = true;
                snprintf(ids[n], sizeof(ids[n]), "t%zu", n);
                row.id = ids[n];
                row.of = of.row ? of.row->id : "";
                of_place[n] = k;
                by_kind[kind]++;
                rows[n++] = row;
                check_ledger(accounts);
        }
        *ret_tried = tried;
}

static void whatever_comes_debits_and_credits_are_equal_and_nothing_is_overdrawn(void)
{
        size_t by_kind[LEDGER_REVERSAL + 1], tried;
        make_books(by_kind, &tried);
        for (size_t i = 0; i < KINDS; i++)
                CHECK(by_kind[kinds[i]] > 50);
        CHECK(tried > 2 * ROWS); /* much of it was refused */
}

/* --- the check of what stands ------------------------------------------------------------------------------------------------ */

static void note_finding(void *arg, const char *text)
{
        snprintf(arg, 400, "%s", text);
}

/* What the check finds in all accounts; last: of it. */
static int64_t findings(char last[400])
{
        struct ledger_check check = {.found = note_finding, .arg = last};
        last[0] = 0;
        for (size_t i = 0; i < ACCOUNTS; i++) {
                ledger_check_begin(&check, &accounts[i]);
                for (size_t k = 0; k < ROWS; k++) {
                        bool debit = strcmp(rows[k].debit, names[i]) == 0, credit = strcmp(rows[k].credit, names[i]) == 0;
                        const char *other = debit ? rows[k].credit : rows[k].debit;
                        const struct ledger_entry entry = {&rows[k], rows[k].of[0] ? &rows[of_place[k]] : NULL, &accounts[place_of(other)]};
                        if (debit || credit)
                                ledger_check_entry(&check, &entry);
                }
                ledger_check_end(&check);
        }
        return check.findings;
}

static void books_that_were_kept_by_the_rules_are_found_sound(void)
{
        size_t by_kind[LEDGER_REVERSAL + 1], tried;
        char last[400];
        make_books(by_kind, &tried);
        CHECK_INT(findings(last), 0);
        CHECK_TEXT(last, "");
}

static void whatever_is_altered_in_sound_books_is_found(void)
{
        size_t by_kind[LEDGER_REVERSAL + 1], tried;
        char last[400];
        make_books(by_kind, &tried);
        for (size_t i = 0; i < 300; i++) {
                size_t k = pick(ROWS);
                const struct ledger_row row = rows[k];
                switch (i % 7) {
                case 0: rows[k].amount++; break;
                case 1: rows[k].debit_side.after.debits_posted++; break;
                case 2: rows[k].credit_side.after.credits_pending++; break;
                case 3: rows[k].debit_side.number++; break;
                case 4: rows[k].created_us = 0; break;
                case 5: rows[k].kind = row.kind == LEDGER_TRANSFER ? LEDGER_PENDING : LEDGER_TRANSFER; break;
                default: rows[k].kind = 9; break;
                }
                bool first = i % 7 == 4 && row.debit_side.number == 1 && row.credit_side.number == 1;
                CHECK(first || findings(last) > 0);
                rows[k] = row;
        }
        for (size_t i = 0; i < ACCOUNTS; i++) {
                const struct ledger_account account = accounts[i];
                accounts[i].totals.credits_posted += 5;
                CHECK_INT(findings(last), 1);
                CHECK(strstr(last, "its transfers come to"));
                accounts[i] = account;
                accounts[i].version--;
                CHECK_INT(findings(last), 1);
                accounts[i] = account;
        }
        CHECK_INT(findings(last), 0);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"a request of each kind says what it needs", a_request_of_each_kind_says_what_it_needs},
                {"a request of each kind says no more", a_request_of_each_kind_says_no_more},
                {"each kind is of its own kinds", each_kind_is_of_its_own_kinds},
                {"accounts amount and case follow from what it is of", accounts_amount_and_case_follow_from_what_it_is_of},
                {"each kind moves between accounts that fit", each_kind_moves_between_accounts_that_fit},
                {"two accounts of one fund are needed", two_accounts_of_one_fund_are_needed},
                {"what has expired is void even before it is written down", what_has_expired_is_void_even_before_it_is_written_down},
                {"each kind moves its totals", each_kind_moves_its_totals},
                {"a part that is posted voids the rest", a_part_that_is_posted_voids_the_rest},
                {"nothing but a source goes below zero", nothing_but_a_source_goes_below_zero},
                {"what cannot be counted is refused", what_cannot_be_counted_is_refused},
                {"a fund is for its purposes and those consented to", a_fund_is_for_its_purposes_and_those_consented_to},
                {"accounts say what their kind needs", accounts_say_what_their_kind_needs},
                {"amounts read as people write them", amounts_read_as_people_write_them},
                {"whatever comes, debits and credits are equal and nothing is overdrawn",
                 whatever_comes_debits_and_credits_are_equal_and_nothing_is_overdrawn},
                {"books that were kept by the rules are found sound", books_that_were_kept_by_the_rules_are_found_sound},
                {"whatever is altered in sound books is found", whatever_is_altered_in_sound_books_is_found},
        };
        return CHECK_MAIN(cases);
}
