/* SPDX-License-Identifier: Apache-2.0
 *
 * What the compiler refuses. Each function looks at the whole model and adds what it finds.
 */
#pragma once

#include "source.h"

/* Recursion first: while there is any, nothing else may walk the messages. */
void check_recursion(const struct model *model, struct refusals *refusals);
void check_messages(const struct model *model, struct refusals *refusals); /* fields, bounds, patterns, events */
void check_methods(const struct model *model, struct refusals *refusals);  /* rules, routes, bodies */
void check_enums(const struct model *model, struct refusals *refusals);    /* roles, problems */
