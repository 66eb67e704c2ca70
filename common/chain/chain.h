/* SPDX-License-Identifier: Apache-2.0
 *
 * A chain over rows in their order (the log's events, the ledger's transfers): leaves, heads, what is signed of them, and
 * checkpoints in a folder outside the store. The service writes it, `nuanxin stream verify` and `ledger verify` read it. The log's:
 *
 *   whom(n) = SHA-256(person(n) ‖ n)            person: whose erasure empties it; "" for nobody, and for the notice of an
 *                                               erasure, which stays; n: 8 bytes, the greatest first
 *   what(n) = SHA-256(salt(n) ‖ event(n))       event: a nuanxin.stream.v1.StoredEvent, packed; salt: 16 random bytes
 *   leaf(n) = SHA-256(whom(n) ‖ what(n))
 *   head(n) = SHA-256(head(n - 1) ‖ leaf(n))    head(0): 32 zero bytes
 *
 * So an event can be erased, with its salt, and the chain still holds: what(n) stays, and tells nothing; but only because of
 * a notice about its own person, for no other fits the leaf.
 */
#pragma once

#include "common/base/arena.h"
#include "common/crypto/crypto.h"

#define CHAIN_SIZE      32
#define CHAIN_SALT_SIZE 16

void chain_what(unsigned char out[CHAIN_SIZE], struct str salt, struct str event);
void chain_leaf(unsigned char out[CHAIN_SIZE], struct str person, int64_t seq, const unsigned char what[CHAIN_SIZE]);
void chain_next(unsigned char head[CHAIN_SIZE], const unsigned char leaf[CHAIN_SIZE]); /* in place */

/* The pair that signs checkpoints and batches. */
#define CHAIN_KEY_PURPOSE "stream.log"

/* What the signature under a batch covers, as text, so that whoever knows the cursor and the head can check it:
 * "nuanxin batch 1\n1f2e3d4c:42\n<head, hexadecimal>\n". */
#define CHAIN_BATCH_TEXT_MAX 160
struct str chain_batch_text(char out[CHAIN_BATCH_TEXT_MAX], const char *cursor, const unsigned char head[CHAIN_SIZE]);

/* --- checkpoints ---------------------------------------------------------------------------------------------------- */

enum checkpoint_kind {
        CHECKPOINT_HEAD,  /* so the chain stood here */
        CHECKPOINT_CUT,   /* and what stands up to here is no longer kept */
        CHECKPOINT_BEGIN, /* and from here a new epoch goes on: a restore; what older ones say of later rows is void */
};

struct checkpoint {
        enum checkpoint_kind kind;
        char epoch[40]; /* of the store (a UUIDv7); older ones stand before newer ones as texts */
        int64_t seq;
        unsigned char head[CHAIN_SIZE];
        int64_t time_us;
        unsigned char signature[SIGNATURE_SIZE];
};
void checkpoint_sign(struct checkpoint *checkpoint, const struct signing_key *key);
bool checkpoint_is_genuine(const struct checkpoint *checkpoint, const unsigned char public[SIGNING_PUBLIC_SIZE]);

/* How far a chain goes, as its store says, and what of it was signed last. */
struct chain_tail {
        const char *epoch; /* of the store */
        int64_t begun;     /* after which row that began */
        int64_t seq;       /* the last */
};
struct chain_mark {
        char epoch[40];
        int64_t checkpoint, checkpoint_us; /* time: 0: nothing yet */
};
typedef int (*chain_head_fn)(void *arg, int64_t seq, unsigned char ret_head[CHAIN_SIZE]); /* 0, or what checkpoints_continue returns */

/* Adds the lines that are missing: where the epoch began, each thousandth row, the last. *mark becomes what is then signed.
 * After some hundreds of lines *ret_more says that it has not come to the end. */
int checkpoints_continue(struct buf *lines, const struct chain_tail *tail, struct chain_mark *mark, const struct signing_key *key,
                         int64_t now_us, chain_head_fn head_at, void *arg, bool *ret_more) MUST_USE;
/* Adds one, signed. */
void checkpoint_add(struct buf *lines, enum checkpoint_kind kind, const char *epoch, int64_t seq, const unsigned char head[CHAIN_SIZE],
                    const struct signing_key *key, int64_t now_us);

/* One line of JSON (nuanxin.stream.v1.Checkpoint), with its end. */
void checkpoint_write(struct buf *out, const struct checkpoint *checkpoint);
int checkpoint_read(struct arena *arena, struct str line, struct checkpoint *ret) MUST_USE; /* -EBADMSG */

/* Appends lines to FOLDER/HOST.jsonl, durably when it returns 0; makes the folder (0700) and the file. One host's processes
 * may share it. */
int checkpoints_append(const char *folder, struct str lines) MUST_USE;

/* All of a folder (every *.jsonl of it), ordered by epoch and sequence, in the arena. -EBADMSG: a line that is none; but for
 * a last one that was not written to its end. A line for a person with every failure. */
int checkpoints_read(const char *folder, struct arena *arena, struct checkpoint **ret, size_t *ret_n,
                     const char **ret_error) MUST_USE;
