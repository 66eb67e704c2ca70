/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything that a message holds, at every depth, each thing once: what a document must speak of.
 */
#pragma once

#include "model.h"

struct reached {
        void (*on_message)(void *arg, const struct message *message); /* before what it holds; or NULL */
        void (*on_enum)(void *arg, const struct enumeration *enumeration); /* or NULL */
        void *arg;
        const char **names;
        size_t n, room;
};

/* The message, and what it holds; well-known types and internal fields aside. */
void reach_message(struct reached *reached, const struct message *message);
void reach_field(struct reached *reached, const struct field *field);
bool reached_has(const struct reached *reached, const char *name); /* as the model has it */
void reached_done(struct reached *reached);
