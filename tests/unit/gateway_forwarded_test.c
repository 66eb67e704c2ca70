/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose request it is behind proxies.
 */
// uses: services/gateway/forwarded.c
#include "services/gateway/forwarded.h"
#include "tests/support/check.h"

static struct arena *arena;

static const char *client(const char *peer, const char *header)
{
        struct forwarded_proxies proxies = {0};
        CHECK_INT(forwarded_proxies_add(&proxies, "10.0.0.0/8"), 0);
        CHECK_INT(forwarded_proxies_add(&proxies, "2001:db8:1::/48"), 0);
        CHECK_INT(forwarded_proxies_add(&proxies, "192.0.2.7"), 0);
        return forwarded_client(arena, &proxies, peer, str_of(header));
}

static void strangers_are_not_believed(void)
{
        CHECK_TEXT(client("198.51.100.1", "for=203.0.113.9"), "198.51.100.1");
        CHECK_TEXT(client("192.0.2.8", "for=203.0.113.9"), "192.0.2.8");
        CHECK_TEXT(client("10.1.2.3", NULL), "10.1.2.3");
}

static void the_nearest_stranger_is_the_client(void)
{
        CHECK_TEXT(client("10.1.2.3", "for=203.0.113.9"), "203.0.113.9");
        CHECK_TEXT(client("::ffff:10.1.2.3", "for=203.0.113.9"), "203.0.113.9");
        CHECK_TEXT(client("10.1.2.3", "for=1.1.1.1, for=203.0.113.9, for=10.9.9.9"), "203.0.113.9");
        CHECK_TEXT(client("192.0.2.7", "for=\"[2001:db8:1::5]:4711\";proto=https"), "2001:db8:1::5");
        CHECK_TEXT(client("10.1.2.3", "proto=https;For=203.0.113.9:80;by=10.0.0.1"), "203.0.113.9");
        CHECK_TEXT(client("10.1.2.3", "for=\"[2001:db8:2::5]\""), "2001:db8:2::5");
        CHECK_TEXT(client("10.1.2.3", "for=10.0.0.2,for=10.0.0.3"), "10.0.0.2");
}

static void what_is_hidden_or_garbled_ends_the_search(void)
{
        const char *const headers[] = {"for=unknown", "for=_hidden", "for=", "for", "", ",", "for=1.2.3", "for=1.2.3.4.5",
                                       "for=1.1.1.1;for=2.2.2.2", "for=\"[::1\"", "for=[::1]x", "for=1.1.1.1:99999",
                                       "for=2001:db8::1", "by=1.1.1.1", "for=\"1.1.1.1", "for=1.1.1.1\"", "for=\"\\\""};
        for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++)
                CHECK_TEXT(client("10.1.2.3", headers[i]), "10.1.2.3");
        CHECK_TEXT(client("10.1.2.3", "for=8.8.8.8, for=unknown, for=10.0.0.9"), "10.0.0.9");
}

static void blocks_are_checked(void)
{
        struct forwarded_proxies p = {0};
        const char *const bad[] = {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0/8", "host", "10.0.0.0/-1", "1.1.1.1/8/8"};
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
                CHECK_INT(forwarded_proxies_add(&p, bad[i]), -EINVAL);
        CHECK_INT(forwarded_proxies_add(&p, "172.16.0.0/12"), 0);
        CHECK(forwarded_is_trusted(&p, "172.31.255.255"));
        CHECK(!forwarded_is_trusted(&p, "172.32.0.0"));
        CHECK(!forwarded_is_trusted(&p, "not an address"));
        CHECK_INT(forwarded_proxies_add(&p, "0.0.0.0/0"), 0);
        CHECK(forwarded_is_trusted(&p, "8.8.8.8"));
        CHECK(!forwarded_is_trusted(&p, "2001:db8::1"));
}

static void rates_count_ipv6_by_subscriber(void)
{
        char a[48], b[48];
        forwarded_rate_key(a, "2001:db8:1:2:3:4:5:6");
        forwarded_rate_key(b, "2001:db8:1:2:ffff::1");
        CHECK_TEXT(a, b);
        forwarded_rate_key(a, "192.0.2.1");
        CHECK_TEXT(a, "192.0.2.1");
        forwarded_rate_key(a, "::ffff:192.0.2.1");
        CHECK_TEXT(a, "::ffff:192.0.2.1");
}

int main(void)
{
        static const struct check_case cases[] = {
                {"a stranger's Forwarded is not believed", strangers_are_not_believed},
                {"the nearest address that is no proxy is the client", the_nearest_stranger_is_the_client},
                {"a hidden or garbled element ends the search", what_is_hidden_or_garbled_ends_the_search},
                {"address blocks are checked", blocks_are_checked},
                {"rates count an IPv6 subscriber, not an address", rates_count_ipv6_by_subscriber},
        };
        arena = arena_new(4096);
        int failed = CHECK_MAIN(cases);
        arena_free(arena);
        return failed;
}
