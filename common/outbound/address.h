/* SPDX-License-Identifier: Apache-2.0
 *
 * Which network addresses a stranger may make us send to: public ones, and nothing of ours.
 */
#pragma once

#include "common/base/str.h"

#include <sys/socket.h>

enum address_kind {
        ADDRESS_PUBLIC,   /* anybody's on the Internet */
        ADDRESS_LOOPBACK, /* this host itself: 127.0.0.0/8, ::1 */
        ADDRESS_OTHER,    /* private, link-local, multicast, reserved, of a cloud's own services, or of no IP family */
};

/* By the registries of special-purpose addresses (IANA, RFC 6890). IPv6: only global unicast, without what stands for another
 * address (mapped, 6to4, Teredo); of NAT64's well-known prefix it is the IPv4 address inside that counts. */
enum address_kind address_kind(const struct sockaddr *address, socklen_t n);

/* A text such as "192.0.2.1" or "[2001:db8::1]" or "2001:db8::1". False: it is no address. */
bool address_kind_of_text(struct str text, enum address_kind *ret_kind);
