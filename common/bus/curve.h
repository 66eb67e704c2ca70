/* SPDX-License-Identifier: Apache-2.0
 *
 * CURVE keys as text, for whoever makes and shows them: Z85, 40 characters a key.
 */
#pragma once

#include "common/base/str.h"

#define CURVE_KEY_SIZE 41 /* with its NUL */

int curve_key_new(char ret_secret[CURVE_KEY_SIZE], char ret_public[CURVE_KEY_SIZE]) MUST_USE;
int curve_key_public(const char *secret, char ret_public[CURVE_KEY_SIZE]) MUST_USE; /* -EINVAL: no secret key */
bool curve_key_is_valid(struct str text);
