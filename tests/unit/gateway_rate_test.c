/* SPDX-License-Identifier: Apache-2.0
 *
 * GCRA's arithmetic and the sizes of leases.
 */
// uses: services/gateway/rate.c
#include "services/gateway/rate.h"
#include "tests/support/check.h"

#define READ  NUANXIN__RATE_CLASS__RATE_READ
#define LOGIN NUANXIN__RATE_CLASS__RATE_LOGIN

static const struct rate_figure ten_a_second = {.burst = 20, .interval_us = 100000};

static void a_full_burst_then_one_each_interval(void)
{
        CHECK_INT(rate_tokens(ten_a_second, 0), 20);
        CHECK_INT(rate_tokens(ten_a_second, -5), 20);
        CHECK_INT(rate_tokens(ten_a_second, 100000), 19);
        CHECK_INT(rate_tokens(ten_a_second, 1950000), 0);
        CHECK_INT(rate_tokens(ten_a_second, 2000000), 0);
        CHECK_INT(rate_tokens(ten_a_second, 9000000), 0);
        CHECK_INT(rate_wait_us(ten_a_second, 0), 0);
        CHECK_INT(rate_wait_us(ten_a_second, 1900000), 0);
        CHECK_INT(rate_wait_us(ten_a_second, 1950000), 50000);
        CHECK_INT(rate_wait_us(ten_a_second, 2000000), 100000);
}

static void the_wait_is_exact(void)
{
        for (int64_t ahead = 0; ahead <= 2200000; ahead += 7) {
                int64_t wait = rate_wait_us(ten_a_second, ahead);
                CHECK((wait == 0) == (rate_tokens(ten_a_second, ahead) > 0));
                CHECK(rate_tokens(ten_a_second, ahead - wait) >= 1);
                if (wait > 0)
                        CHECK_INT(rate_tokens(ten_a_second, ahead - wait + 1), 0);
        }
}

static void leases_are_small_and_grow_with_use(void)
{
        const struct rate_figure f = {.burst = 200, .interval_us = 20000};
        CHECK_INT(rate_lease_size(f, READ, 2, 0), 1);
        CHECK_INT(rate_lease_size(f, READ, 2, 1), 3);
        CHECK_INT(rate_lease_size(f, READ, 2, 5), 11);
        CHECK_INT(rate_lease_size(f, READ, 2, 1000), 20);
}

static void sign_ins_and_small_bursts_never_lease(void)
{
        const struct rate_figure small = {.burst = 19, .interval_us = 1000000}, large = {.burst = 100000, .interval_us = 1};
        CHECK_INT(rate_lease_size(small, READ, 2, 100), 1);
        CHECK_INT(rate_lease_size(large, LOGIN, 1, 100), 1);
        CHECK_INT(rate_lease_size(large, READ, 10001, 100), 1);
        CHECK_INT(rate_lease_size(large, READ, 1, 100), 201);
}

static void the_local_limiter_gives_a_share(void)
{
        int64_t state = 0, now = 1000000;
        int given = 0;
        while (rate_take_local(ten_a_second, 4, now, &state) == 0)
                given++;
        CHECK_INT(given, 5);
        CHECK_INT(rate_take_local(ten_a_second, 4, now, &state), 400000);
        CHECK_INT(rate_take_local(ten_a_second, 4, now + 400000, &state), 0);
        CHECK(rate_take_local(ten_a_second, 4, now + 400001, &state) > 0);
        state = 0;
        CHECK_INT(rate_take_local(ten_a_second, 1000, now, &state), 0); /* at least one */
}

static void scale_multiplies_and_none_is_unlimited(void)
{
        struct rate_figure one = rate_figure_of(RATE_PERSON, READ, 1), ten = rate_figure_of(RATE_PERSON, READ, 10);
        CHECK_INT(ten.burst, 10 * one.burst);
        CHECK_INT(ten.interval_us, one.interval_us / 10);
        CHECK_INT(rate_figure_of(RATE_CLIENT, READ, 1000000).interval_us, 1);
        CHECK_INT(rate_figure_of(RATE_PERSON, NUANXIN__RATE_CLASS__RATE_NONE, 1).interval_us, 0);
        CHECK_INT(rate_figure_of(RATE_PERSON, (Nuanxin__RateClass)77, 1).interval_us, 0);
        CHECK_TEXT(rate_class_name(LOGIN), "login");
}

int main(void)
{
        static const struct check_case cases[] = {
                {"a full burst, then one token each interval", a_full_burst_then_one_each_interval},
                {"the wait that is told is exact", the_wait_is_exact},
                {"leases grow with use up to a tenth of the burst", leases_are_small_and_grow_with_use},
                {"sign-ins and small bursts never lease", sign_ins_and_small_bursts_never_lease},
                {"without Redis a thread gives its share", the_local_limiter_gives_a_share},
                {"a scale multiplies the figures", scale_multiplies_and_none_is_unlimited},
        };
        return CHECK_MAIN(cases);
}
