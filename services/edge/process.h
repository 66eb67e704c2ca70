/* SPDX-License-Identifier: Apache-2.0
 *
 * The edge's process, from its options to its end.
 */
#pragma once

#include "services/edge/edge.h"

/* options: the first part of `edge`. Returns the exit status, after a line for a person on failure. */
int edge_run(struct edge *edge);
