/* SPDX-License-Identifier: Apache-2.0
 *
 * Levels of the association: pure. An organisation's path ("/43/4301/430102/") names it and all above it, from the province
 * (level 1) down to the village (5).
 */
#pragma once

#include "common/base/str.h"

#define LEVELS 5

/* The organisation of a level on this path: its code, and its own path, both parts of `path`. false: the path does not go so
 * far down, or there is no such level. */
bool path_level(struct str path, int level, struct str *ret_code, struct str *ret_path);
/* How far down it goes: 0 for "/". */
int path_depth(struct str path);
