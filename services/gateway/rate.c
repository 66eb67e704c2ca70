/* SPDX-License-Identifier: Apache-2.0
 *
 * The figures, in one table, and GCRA's arithmetic.
 */
#include "services/gateway/rate.h"

#define PER_SECOND(n) (1000000ll / (n))
#define EVERY(s)      ((s) * 1000000ll)

/* burst, interval. An app backend stands for many people, so its figures are theirs many times over; an address may
 * be a whole office's. */
static const struct rate_figure figures[RATE_KINDS][RATE_CLASSES] = {
        [RATE_PERSON] = {
                [NUANXIN__RATE_CLASS__RATE_READ] = {200, PER_SECOND(50)},
                [NUANXIN__RATE_CLASS__RATE_WRITE] = {100, PER_SECOND(20)},
                [NUANXIN__RATE_CLASS__RATE_BULK] = {20, EVERY(1)},
                [NUANXIN__RATE_CLASS__RATE_LOGIN] = {20, EVERY(1)},
        },
        [RATE_CLIENT] = {
                [NUANXIN__RATE_CLASS__RATE_READ] = {40000, PER_SECOND(20000)},
                [NUANXIN__RATE_CLASS__RATE_WRITE] = {40000, PER_SECOND(20000)},
                [NUANXIN__RATE_CLASS__RATE_BULK] = {100, PER_SECOND(10)},
                [NUANXIN__RATE_CLASS__RATE_LOGIN] = {20000, PER_SECOND(5000)},
        },
        [RATE_AGENCY] = {
                [NUANXIN__RATE_CLASS__RATE_READ] = {2000, PER_SECOND(500)},
                [NUANXIN__RATE_CLASS__RATE_WRITE] = {50, PER_SECOND(5)},
                [NUANXIN__RATE_CLASS__RATE_BULK] = {10, EVERY(1)},
                [NUANXIN__RATE_CLASS__RATE_LOGIN] = {50, EVERY(1)},
        },
        [RATE_ADDRESS] = {
                [NUANXIN__RATE_CLASS__RATE_READ] = {200, PER_SECOND(50)},
                [NUANXIN__RATE_CLASS__RATE_WRITE] = {50, PER_SECOND(5)},
                [NUANXIN__RATE_CLASS__RATE_BULK] = {10, EVERY(1)},
                [NUANXIN__RATE_CLASS__RATE_LOGIN] = {50, EVERY(1)},
        },
        [RATE_ACCOUNT] = {
                [NUANXIN__RATE_CLASS__RATE_LOGIN] = {20, EVERY(6)},
        },
};

struct rate_figure rate_figure_of(enum rate_kind kind, Nuanxin__RateClass class, int64_t scale)
{
        struct rate_figure f = (unsigned)class < RATE_CLASSES ? figures[kind][class] : (struct rate_figure){0};
        f.burst *= scale;
        if (f.interval_us)
                f.interval_us = f.interval_us > scale ? f.interval_us / scale : 1;
        return f;
}

const char *rate_class_name(Nuanxin__RateClass class)
{
        static const char *const names[RATE_CLASSES] = {
                [NUANXIN__RATE_CLASS__RATE_READ] = "read",   [NUANXIN__RATE_CLASS__RATE_WRITE] = "write",
                [NUANXIN__RATE_CLASS__RATE_BULK] = "bulk",   [NUANXIN__RATE_CLASS__RATE_LOGIN] = "login",
                [NUANXIN__RATE_CLASS__RATE_NONE] = "none",
        };
        return (unsigned)class < RATE_CLASSES && names[class] ? names[class] : "none";
}

int64_t rate_tokens(struct rate_figure f, int64_t ahead_us)
{
        int64_t room = f.burst * f.interval_us - (ahead_us > 0 ? ahead_us : 0);
        return room > 0 ? room / f.interval_us : 0;
}

int64_t rate_wait_us(struct rate_figure f, int64_t ahead_us)
{
        int64_t over = ahead_us + f.interval_us - f.burst * f.interval_us;
        return over > 0 ? over : 0;
}

int64_t rate_lease_size(struct rate_figure f, Nuanxin__RateClass class, int threads, int64_t used)
{
        int64_t most = f.burst / RATE_LEASE_SHARE;
        if (class == NUANXIN__RATE_CLASS__RATE_LOGIN || f.burst < (int64_t)RATE_LEASE_SHARE * threads || most < 1)
                return 1;
        int64_t wanted = 2 * used + 1;
        return wanted < most ? wanted : most;
}

int64_t rate_take_local(struct rate_figure f, int share, int64_t now_us, int64_t *theoretical_us)
{
        f.interval_us *= share;
        f.burst = f.burst / share ? f.burst / share : 1;
        int64_t ahead = *theoretical_us > now_us ? *theoretical_us - now_us : 0;
        int64_t wait = rate_wait_us(f, ahead);
        if (wait == 0)
                *theoretical_us = now_us + ahead + f.interval_us;
        return wait;
}
