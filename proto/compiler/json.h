/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes JSON piece by piece: commas and quotes come by themselves. Broken into lines at the upper levels, so that
 * a difference of two documents can be read.
 */
#pragma once

#include "common/base/str.h"

#define JSON_DEPTH_MAX 128 /* messages nest 32 deep, each perhaps in a list */

struct json {
        struct buf *out;
        unsigned depth;
        bool more[JSON_DEPTH_MAX]; /* something stands at this level already */
        bool after_key;
        unsigned lines; /* levels that are broken into lines */
        bool indent;    /* for people */
};

void json_open(struct json *j, char bracket);                   /* { or [ */
void json_close(struct json *j, char bracket);                  /* } or ] */
void json_key(struct json *j, const char *key);
void json_text(struct json *j, const char *text);
void json_integer(struct json *j, int64_t n);
void json_bool(struct json *j, bool b);

/* A key and its value. */
void json_member(struct json *j, const char *key, const char *text);
void json_member_integer(struct json *j, const char *key, int64_t n);
void json_member_bool(struct json *j, const char *key, bool b);
void json_open_member(struct json *j, const char *key, char bracket);
