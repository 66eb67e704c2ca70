/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies that stream to a service: cut into chunks of at most 256 KiB, each one call that is awaited before more is
 * read. Only the answer to the last chunk, or the first refusal, reaches the client.
 *
 * The upload's id is the gateway's, or comes from the client's Idempotency-Key: the same file sent again under the same
 * key is the same upload, chunk by chunk.
 */
#pragma once

#include "services/gateway/request.h"

void upload_start(struct request *request); /* it is admitted */
void upload_piece(struct request *request, struct str piece, bool last); /* may come before that */
struct upload *upload_free(struct upload *upload);
