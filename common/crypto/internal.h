/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this module share; nobody else includes it.
 */
#pragma once

#include "common/crypto/crypto.h"

#define MASTER_KEY_SIZE  32
#define MASTER_KEYS_MAX  64
#define CARD_PUBLIC_SIZE 32
#define CARD_SECRET_SIZE 64

struct master_key {
        uint32_t id;
        unsigned char bytes[MASTER_KEY_SIZE];
};

struct keyring {
        struct master_key masters[MASTER_KEYS_MAX]; /* by rising id */
        uint32_t active;                            /* which of them seals */
        size_t n_masters;
        unsigned char index_key[32]; /* from which each field's blind index key is derived */
        unsigned char card_public[CARD_PUBLIC_SIZE];
        unsigned char card_secret[CARD_SECRET_SIZE];
};

/* base64url without padding into out of that size. -EINVAL: not strictly that, or too long. */
int base64url_bytes(unsigned char *out, size_t size, struct str text, size_t *ret_n) MUST_USE;

/* NULL: not in this keyring. */
const struct master_key *keyring_find(const struct keyring *keyring, uint32_t id);

/* The keyring's text, both ways (keyring_text.c). parse: -EBADMSG. */
void keyring_write_text(const struct keyring *keyring, struct buf *out);
int keyring_parse_text(struct str text, struct keyring *ret_keyring) MUST_USE;

/* What a ciphertext is bound to: BLAKE2b-256 over the parts, each with its length in front, so that no two lists
 * of parts are the same. */
#define CONTEXT_SIZE 32
void context_hash(unsigned char out[CONTEXT_SIZE], const struct str parts[], size_t n);

/* XChaCha20-Poly1305 of plain into out: nonce (24), ciphertext, tag (16). key: 32 bytes. */
#define BOX_OVERHEAD (24 + 16)
void box_seal(unsigned char *out, const unsigned char *key, const unsigned char context[CONTEXT_SIZE],
              struct str plain);
/* out: box.n - BOX_OVERHEAD bytes. -EKEYREJECTED. */
int box_open(unsigned char *out, const unsigned char *key, const unsigned char context[CONTEXT_SIZE],
             struct str box) MUST_USE;
