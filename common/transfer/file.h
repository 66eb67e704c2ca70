/* SPDX-License-Identifier: Apache-2.0
 *
 * A backup's file: a line that says what it is, the head of a sealed stream, then blocks, each 4 bytes of length and a
 * sealed block of that many. In a block: 4 bytes of size, and so much text under zlib. The last block is marked under
 * the seal, so a file that was cut short does not pass.
 */
#pragma once

#include "common/crypto/crypto.h"

#define BACKUP_MAGIC      "nuanxin backup 1\n"
#define BACKUP_BLOCK      (512 * 1024)       /* a block ends with the record that brings it here */
#define BACKUP_BLOCK_MOST (16 * 1024 * 1024) /* no record is near that */

/* Written beside its place under another name, 0600, and put there when all is synced. */
struct backup_writer;
int backup_writer_new(const char *path, const struct keyring *keyring, struct backup_writer **ret_writer,
                      const char **ret_error) MUST_USE; /* -EEXIST: something is there */
struct buf *backup_writer_buf(struct backup_writer *writer); /* append whole records here, then: */
int backup_writer_flush(struct backup_writer *writer, const char **ret_error) MUST_USE; /* writes a block if it is full */
int backup_writer_end(struct backup_writer *writer, int64_t *ret_bytes, const char **ret_error) MUST_USE;
struct backup_writer *backup_writer_free(struct backup_writer *writer); /* without the end: leaves nothing behind */
DEFINE_CLEANUP(struct backup_writer *, backup_writer_free)

struct backup_reader;
int backup_reader_new(const char *path, const struct keyring *keyring, struct backup_reader **ret_reader,
                      const char **ret_error) MUST_USE;
/* The next block, lent until the next call: 1; 0: that was all, and nothing is missing; or an error. */
int backup_reader_next(struct backup_reader *reader, struct str *ret_block, const char **ret_error) MUST_USE;
int64_t backup_reader_done(const struct backup_reader *reader, int64_t *ret_size); /* bytes read, and of the file */
struct backup_reader *backup_reader_free(struct backup_reader *reader);
DEFINE_CLEANUP(struct backup_reader *, backup_reader_free)

/* zlib around a block. inflate: -EBADMSG. */
void block_deflate(struct buf *out, struct str plain); /* appends size and text */
int block_inflate(struct buf *out, struct str packed) MUST_USE;

/* A line for a person, in this thread's text; returns r. */
int transfer_fail(const char **ret_error, int r, const char *format, ...) PRINTF(3, 4);
