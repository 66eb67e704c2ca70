/* SPDX-License-Identifier: Apache-2.0
 *
 * The proof: the live counts at province, city, county, township and village equal a recount of what was
 * acknowledged. First it waits for the province's count (live within a second), then asks for every level.
 */
#include "common/base/clock.h"
#include "deploy/demo/demo.h"
#include "nuanxin/activity/v1/campaign.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define COUNTS_TYPE "nuanxin.activity.v1.CampaignCounts"
#define LIVE_US     (10 * CLOCK_SECOND_US)

typedef Nuanxin__Activity__V1__CampaignCounts CampaignCounts;
typedef Nuanxin__Activity__V1__OrganizationCount OrganizationCount;

static int get_counts(struct demo *d, struct web *web, struct arena *arena, const char *organization, CampaignCounts **ret)
{
        char path[256];
        snprintf(path, sizeof(path), "/v1/campaigns/%s/counts?organization=%s&pageSize=1000", d->campaign, organization);
        return web_message(web, "GET", path, NULL, arena, contract_message_by_name(STR(COUNTS_TYPE)), ret);
}

/* What was acknowledged, carried up the tree. Parents sort before their children, so one pass from the end does it. */
static void recount(struct demo *d)
{
        for (size_t i = 0; i < d->divisions.n; i++)
                d->divisions.all[i].attended = atomic_load(&d->attended[i]);
        for (int level = 5; level > 1; level--)
                for (size_t i = 0; i < d->divisions.n; i++) {
                        struct division *v = &d->divisions.all[i];
                        if (v->level == level && v->parent_index >= 0)
                                d->divisions.all[v->parent_index].attended += v->attended;
                }
}

static int wait_until_live(struct demo *d, struct web *web, const struct division *top)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(65536);
        for (;;) {
                CampaignCounts *counts;
                arena_reset(arena);
                int r = get_counts(d, web, arena, top->code, &counts);
                int64_t late = clock_monotonic_us() - d->last_ack_us;
                if (r < 0)
                        return r;
                if (counts->total && counts->total->attended == top->attended) {
                        printf("the province's count was complete %.2f s after the last answer\n", (double)late / 1e6);
                        return 0;
                }
                if (late > LIVE_US) {
                        fprintf(stderr, "the province's count is %" PRId64 ", acknowledged were %" PRId64 "\n",
                                counts->total ? (int64_t)counts->total->attended : 0, top->attended);
                        return -EBADMSG;
                }
                nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
        }
}

static int64_t compare(const struct division *v, const OrganizationCount *c)
{
        if (c && c->attended == v->attended)
                return 0;
        fprintf(stderr, "%s %s: counted %" PRId64 ", acknowledged %" PRId64 "\n", v->code, v->name, c ? (int64_t)c->attended : 0, v->attended);
        return 1;
}

/* Asks for every organisation that has children: it answers itself and them. */
static int compare_all(struct demo *d, struct web *web, int64_t *ret_wrong, int64_t compared[6])
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(1 << 20);
        int64_t started = clock_monotonic_us(), asked = 0, wrong = 0, parents = (int64_t)(d->divisions.n - d->divisions.n_villages);

        for (size_t i = 0; i < d->divisions.n; i++) {
                const struct division *v = &d->divisions.all[i];
                CampaignCounts *counts;
                if (v->level == 5)
                        continue;
                arena_reset(arena);
                int r = get_counts(d, web, arena, v->code, &counts);
                if (r < 0)
                        return r;
                if (v->level == 1) {
                        wrong += compare(v, counts->total);
                        compared[1]++;
                }
                for (size_t k = 0; k < counts->n_children; k++) {
                        int at = divisions_find(&d->divisions, counts->children[k]->organization);
                        if (at < 0)
                                continue; /* made by others since */
                        wrong += compare(&d->divisions.all[at], counts->children[k]);
                        compared[d->divisions.all[at].level]++;
                }
                show_progress("comparing", ++asked, parents, started);
        }
        show_done("organisations with children asked", parents, started);
        *ret_wrong = wrong;
        return 0;
}

static void print_cities(const struct demo *d)
{
        printf("\n  %-10s %10s   %s\n", "code", "attended", "city");
        for (size_t i = 0; i < d->divisions.n; i++) {
                const struct division *v = &d->divisions.all[i];
                if (v->level <= 2)
                        printf("  %-10s %10" PRId64 "   %s\n", v->code, v->attended, v->name);
        }
        putchar('\n');
}

int proof_run(struct demo *d)
{
        _cleanup_(web_freep) struct web *web = web_new(d->http, d->api_key);
        int64_t wrong, compared[6] = {0};
        size_t top = 0;

        recount(d);
        while (d->divisions.all[top].level != 1)
                top++;
        int r = wait_until_live(d, web, &d->divisions.all[top]);
        if (r == 0)
                r = compare_all(d, web, &wrong, compared);
        if (r < 0)
                return r;
        print_cities(d);
        printf("registered %" PRId64 ", waiting %" PRId64 ", attended %" PRId64 ", repeated %" PRId64 ", refused %" PRId64 "\n",
               atomic_load(&d->registered), atomic_load(&d->waiting), d->divisions.all[top].attended, atomic_load(&d->repeated),
               atomic_load(&d->refused));
        for (int level = 1; level <= 5; level++) {
                size_t expected = 0;
                for (size_t i = 0; i < d->divisions.n; i++)
                        expected += d->divisions.all[i].level == level;
                if (compared[level] != (int64_t)expected) {
                        fprintf(stderr, "level %d: %" PRId64 " of %zu organisations were answered\n", level, compared[level], expected);
                        wrong++;
                }
        }
        printf("%s: counts at province, %" PRId64 " cities, %" PRId64 " counties, %" PRId64 " townships and %" PRId64 " villages "
               "%s what was acknowledged\n", wrong ? "WRONG" : "proved", compared[2], compared[3], compared[4], compared[5],
               wrong ? "differ from" : "equal");
        return wrong ? -EBADMSG : 0;
}
