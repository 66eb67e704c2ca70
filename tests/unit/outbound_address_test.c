/* SPDX-License-Identifier: Apache-2.0
 *
 * Which addresses and URLs a stranger may make us send to, and when to come again.
 */
#include "common/outbound/address.h"
#include "common/outbound/outbound.h"

#include "common/base/clock.h"
#include "tests/support/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* --- addresses ---------------------------------------------------------------------------------------------------- */

static enum address_kind kind_of(const char *text)
{
        struct sockaddr_in in = {.sin_family = AF_INET};
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        enum address_kind of_text = ADDRESS_OTHER, of_socket;
        CHECK(address_kind_of_text(str_of(text), &of_text));
        if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
                of_socket = address_kind((const struct sockaddr *)&in, sizeof(in));
        } else {
                CHECK_INT(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
                of_socket = address_kind((const struct sockaddr *)&in6, sizeof(in6));
        }
        CHECK_INT(of_socket, of_text);
        return of_socket;
}

/* Each block's first and last address, and its neighbours. */
static void addresses_that_are_not_public(void)
{
        static const struct {
                const char *before, *first, *last, *after; /* before, after: public, or NULL where another block joins */
        } blocks[] = {
                {NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0"},
                {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
                {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
                {"168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"},
                {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
                {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
                {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
                {"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"},
                {"192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0"},
                {"192.52.192.255", "192.52.193.0", "192.52.193.255", "192.52.194.0"},
                {"192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"},
                {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
                {"192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0"},
                {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
                {"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"},
                {"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"},
                {"223.255.255.255", "224.0.0.0", "239.255.255.255", NULL},
                {NULL, "240.0.0.0", "255.255.255.255", NULL},
                {NULL, "::", "::", NULL},
                {NULL, "::2", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"},
                {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"},
                {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
                {"2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"},
                {"2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "2620:4f:8001::"},
                {"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"},
                {"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
        };
        for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
                printf("# %s\n", blocks[i].first);
                if (blocks[i].before)
                        CHECK_INT(kind_of(blocks[i].before), ADDRESS_PUBLIC);
                CHECK_INT(kind_of(blocks[i].first), ADDRESS_OTHER);
                CHECK_INT(kind_of(blocks[i].last), ADDRESS_OTHER);
                if (blocks[i].after)
                        CHECK_INT(kind_of(blocks[i].after), ADDRESS_PUBLIC);
        }
}

static void addresses_within_other_addresses(void)
{
        static const char *const other[] = {
                "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1",
                "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::8.8.8.8", "64:ff9b:0:0:0:1:808:808", "2002:7f00:1::",
                "2001::7f00:1", "fe80::1", "febf::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1", "5f00::1",
                /* metadata */
                "169.254.169.254", "169.254.0.23", "100.100.100.200", "192.0.0.192",
        };
        static const char *const loopback[] = {"127.0.0.1", "127.0.0.0", "127.255.255.255", "127.8.8.8", "::1"};
        static const char *const public[] = {"8.8.8.8", "64:ff9b::8.8.8.8", "2606:4700:4700::1111", "240e::1", "126.255.255.255", "128.0.0.0"};
        for (size_t i = 0; i < ARRAY_LEN(other); i++)
                CHECK_INT(kind_of(other[i]), ADDRESS_OTHER);
        for (size_t i = 0; i < ARRAY_LEN(loopback); i++)
                CHECK_INT(kind_of(loopback[i]), ADDRESS_LOOPBACK);
        for (size_t i = 0; i < ARRAY_LEN(public); i++)
                CHECK_INT(kind_of(public[i]), ADDRESS_PUBLIC);
}

/* What is no block of the list above is public, all over IPv4. */
static void every_block_of_ipv4(void)
{
        size_t n_public = 0, n_loopback = 0;
        for (uint32_t i = 0; i < 1u << 24; i++) { /* by /24; the one address that is refused alone stands above */
                struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(i << 8)};
                enum address_kind kind = address_kind((const struct sockaddr *)&in, sizeof(in));
                n_public += kind == ADDRESS_PUBLIC;
                n_loopback += kind == ADDRESS_LOOPBACK;
        }
        CHECK_INT(n_loopback, 1 << 16);
        /* 0/8, 10/8, 100.64/10, 127/8, 169.254/16, 172.16/12, eight /24, 192.168/16, 198.18/15, 224/3 */
        CHECK_INT(n_public, (1 << 24) - (3 << 16) - (1 << 14) - (1 << 8) - (1 << 12) - 8 - (1 << 8) - (1 << 9) - (1 << 21));
}

static void addresses_of_no_ip_family(void)
{
        struct sockaddr any = {.sa_family = AF_UNIX};
        struct sockaddr_in short_one = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x08080808)};
        enum address_kind kind;
        CHECK_INT(address_kind(&any, sizeof(any)), ADDRESS_OTHER);
        CHECK_INT(address_kind((const struct sockaddr *)&short_one, 4), ADDRESS_OTHER);
        CHECK(!address_kind_of_text(STR("example.org"), &kind));
        CHECK(!address_kind_of_text(STR("127.1"), &kind));
        CHECK(!address_kind_of_text(STR(""), &kind));
        CHECK(!address_kind_of_text(STR("1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"), &kind));
}

/* --- URLs and fields ------------------------------------------------------------------------------------------------- */

static void urls_that_are_not_asked(void)
{
        static const struct {
                const char *url, *why, *why_with_loopback;
        } urls[] = {
                {"https://example.org/hook?token=1", NULL, NULL},
                {"https://example.org:8443", NULL, NULL},
                {"HTTPS://EXAMPLE.org", NULL, NULL},
                {"https://8.8.8.8/", NULL, NULL},
                {"https://[2606:4700::1]/", NULL, NULL},
                {"http://example.org/", "it is not https", NULL}, /* only to where the name leads to this host */
                {"http://8.8.8.8/", "it is not https", "it is not https"},
                {"ftp://example.org/", "it is not https", "it is not https"},
                {"file:///etc/passwd", "it is no URL", "it is no URL"},
                {"gopher://example.org/", "it is not https", "it is not https"},
                {"https://me:secret@example.org/", "it names a user", "it names a user"},
                {"https://me@example.org/", "it names a user", "it names a user"},
                {"https://example.org/#part", "it has a fragment", "it has a fragment"},
                {"https://127.0.0.1/", "it is this host itself", NULL},
                {"https://127.1/", "it is this host itself", NULL},
                {"https://0x7f.1/", "it is this host itself", NULL},
                {"https://2130706433/", "it is this host itself", NULL},
                {"https://017700000001/", "it is this host itself", NULL},
                {"https://[::1]/", "it is this host itself", NULL},
                {"https://localhost/", "it is this host itself", NULL},
                {"https://LOCALHOST./", "it is this host itself", NULL},
                {"https://a.localhost/", "it is this host itself", NULL},
                {"https://10.1.2.3/", "it is no public address", "it is no public address"},
                {"https://169.254.169.254/latest/meta-data", "it is no public address", "it is no public address"},
                {"https://[::ffff:127.0.0.1]/", "it is no public address", "it is no public address"},
                {"https://[fd00:ec2::254]/", "it is no public address", "it is no public address"},
                {"https://[fe80::1%25eth0]/", "it is no public address", "it is no public address"},
                {"https://?x", "it is no URL", "it is no URL"},
                {"https://", "it is no URL", "it is no URL"},
                {"example.org", "it is no URL", "it is no URL"},
                {"", "it is no URL", "it is no URL"},
                {"https://example.org/a b", "it has characters that a URL cannot have", "it has characters that a URL cannot have"},
                {"https://example.org/\r\nHost: x", "it has characters that a URL cannot have", "it has characters that a URL cannot have"},
                {"https://例子.org/", "it has characters that a URL cannot have", "it has characters that a URL cannot have"},
        };
        for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
                const char *why = outbound_url_refusal(urls[i].url, false), *with = outbound_url_refusal(urls[i].url, true);
                printf("# %s\n", urls[i].url);
                CHECK_TEXT(why ? why : "", urls[i].why ? urls[i].why : "");
                CHECK_TEXT(with ? with : "", urls[i].why_with_loopback ? urls[i].why_with_loopback : "");
        }
}

static void retry_after_in_both_forms(void)
{
        int64_t now_us, year_us = 365 * CLOCK_DAY_US;
        CHECK_INT(clock_parse_rfc3339(STR("2026-11-22T10:00:00Z"), &now_us), 0);
        CHECK_INT(outbound_retry_after_us("0", now_us), 0);
        CHECK_INT(outbound_retry_after_us("120", now_us), 120 * CLOCK_SECOND_US);
        CHECK_INT(outbound_retry_after_us("99999999999", now_us), year_us);
        CHECK_INT(outbound_retry_after_us("99999999999999999999999999", now_us), year_us);
        CHECK_INT(outbound_retry_after_us("Sun, 22 Nov 2026 10:05:00 GMT", now_us), 5 * CLOCK_MINUTE_US);
        CHECK_INT(outbound_retry_after_us("Sun, 22 Nov 2026 09:00:00 GMT", now_us), 0);
        CHECK_INT(outbound_retry_after_us("Sun, 22 Nov 2099 09:00:00 GMT", now_us), year_us);
        CHECK_INT(outbound_retry_after_us("Sun, 22 Nov 3333333 05:22:00 GMT", now_us), year_us); /* found by fuzzing: beyond 64 bits of µs */
        static const char *const none[] = {"", "-1", "-99999999999999999999999", "soon", "1.5", "0x10", " 1", "2026-11-22T10:05:00Z"};
        for (size_t i = 0; i < ARRAY_LEN(none); i++)
                CHECK_INT(outbound_retry_after_us(none[i], now_us), -1);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"blocks that are not public end where they end", addresses_that_are_not_public},
                {"an address inside another one is seen", addresses_within_other_addresses},
                {"all of IPv4 is public but what is not", every_block_of_ipv4},
                {"what is no address of IP is not public", addresses_of_no_ip_family},
                {"URLs that lead inside, or are not plainly https, are refused", urls_that_are_not_asked},
                {"Retry-After counts as seconds and as a date", retry_after_in_both_forms},
        };
        return CHECK_MAIN(cases);
}
