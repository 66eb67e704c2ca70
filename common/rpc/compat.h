/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the calling half: which methods of this build an instance, maybe of another build, can be asked. Knows
 * nothing of connections.
 */
#pragma once

#include "common/contract/contract.h"
#include "common/rpc/envelope.h"

/* A method can be asked if the instance understands our input (it is its own, or one it has had), and we can read its
 * output (ours is its own or one it has had, or its own is one that ours has had). */
struct compat {
        uint64_t *methods; /* sorted ids */
        size_t n;
        bool everything; /* it did not say */
};
void compat_read(struct compat *compat, const Nuanxin__Internal__V1__Hello *hello);
bool compat_has(const struct compat *compat, uint64_t method);
void compat_done(struct compat *compat);
