/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the calling half: reads from Redis which instances there are and tells the fleet. Often at first, then
 * once a second. announcer.c writes what is read here.
 */
#pragma once

#include "common/cache/cache.h"
#include "common/rpc/fleet.h"

struct registry;
struct registry *registry_new(struct loop *loop, struct cache *cache, struct fleet *fleet);
struct registry *registry_free(struct registry *registry); /* the cache first; takes NULL */
