/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures are counted from this service's own events, so that no request touches a row that others count in as well.
 */
#pragma once

#include "common/rpc/server.h"
#include "contract/care_v1.h"

int figures_apply(struct rpc_call *call, const struct rpc_event *events, size_t n);
int figures_reset(struct rpc_call *call);

int handle_get_care_figures(struct rpc_call *call, const GetCareFiguresRequest *request, CareFigures *response);
