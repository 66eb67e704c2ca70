/* SPDX-License-Identifier: Apache-2.0
 *
 * What protects people's data and proves who somebody is (libsodium): the keyring outside the store, a wrapped
 * key per person, sealed values, blind indexes, passwords, tokens, member cards.
 */
#pragma once

#include "common/base/arena.h"

int crypto_init(void) MUST_USE; /* once a process */

/* --- keyring ------------------------------------------------------------------------------------------------ */

/* A folder (0700) with the file `keyring` (0600), text of one line an entry: master keys with ids (one of them
 * wraps, all unwrap), the key of the blind indexes, the ed25519 key that signs member cards. */
struct keyring;
#define KEYRING_E_EXISTS 1
int keyring_create(const char *folder) MUST_USE; /* KEYRING_E_EXISTS if one is there */
/* A refusal (missing, readable by others, damaged) comes with a line for a person. */
int keyring_load(const char *folder, struct keyring **ret_keyring, const char **ret_error) MUST_USE;
struct keyring *keyring_free(struct keyring *keyring); /* wipes */
DEFINE_CLEANUP(struct keyring *, keyring_free)
/* A new master key in two steps, as several hosts need it: every copy opens with it before any copy seals with it.
 * KEYRING_E_EXISTS: one is prepared already. */
int keyring_prepare(const char *folder) MUST_USE;
int keyring_activate(const char *folder) MUST_USE; /* the newest seals */
int keyring_rotate(const char *folder) MUST_USE;   /* both at once; older keys stay */
uint32_t keyring_newest_id(const struct keyring *keyring);
uint32_t keyring_active_id(const struct keyring *keyring);
size_t keyring_count(const struct keyring *keyring);

/* --- values ------------------------------------------------------------------------------------------------- */

/* A person's own key, wrapped by the active master key: store it in that person's row; erase it to erase them. */
#define PERSON_KEY_SIZE 32
struct person_key {
        unsigned char bytes[PERSON_KEY_SIZE];
};
#define WRAPPED_KEY_SIZE (1 + 4 + 24 + PERSON_KEY_SIZE + 16) /* suite, master key id, nonce, key, tag */
void person_key_new(struct person_key *key);
void person_key_wrap(const struct keyring *keyring, const struct person_key *key, const char *person,
                     unsigned char out[WRAPPED_KEY_SIZE]);
int person_key_unwrap(const struct keyring *keyring, struct str wrapped, const char *person,
                      struct person_key *ret_key) MUST_USE; /* -EKEYREJECTED: damaged, other person; -ENOKEY: sealed
                                                               under a master key that this keyring has not */

/* XChaCha20-Poly1305 with a random nonce; bound to where it stands: "table", "column", "row id". */
#define SEAL_OVERHEAD (1 + 24 + 16)
struct str crypto_seal(struct arena *arena, const struct person_key *key, const char *table, const char *column,
                       const char *row, struct str plain);
int crypto_open(struct arena *arena, const struct person_key *key, const char *table, const char *column,
                const char *row, struct str sealed, struct str *ret_plain) MUST_USE;
/* The same under the keyring itself, for what belongs to no person (stored answers). -ENOKEY as above. */
struct str keyring_seal(struct arena *arena, const struct keyring *keyring, const char *context, struct str plain);
int keyring_open(struct arena *arena, const struct keyring *keyring, const char *context, struct str sealed,
                 struct str *ret_plain) MUST_USE;

/* A long text under the keyring, block by block (XChaCha20-Poly1305 as libsodium's secretstream): a block that is changed,
 * missing, doubled, or of another text does not open, and the last one is marked, so that an end is one. */
struct seal_stream;
#define SEAL_STREAM_HEAD     (1 + 4 + 24 + 32 + 16 + 24) /* goes in front of the blocks: the text's own key, sealed; the start */
#define SEAL_STREAM_OVERHEAD 17                          /* a block is so much longer than what is in it */
struct seal_stream *seal_stream_new(const struct keyring *keyring, const char *context, unsigned char head[SEAL_STREAM_HEAD]);
int seal_stream_open(const struct keyring *keyring, const char *context, const unsigned char head[SEAL_STREAM_HEAD],
                     struct seal_stream **ret_stream) MUST_USE; /* -EKEYREJECTED: damaged, or a key that is not in this keyring */
struct seal_stream *seal_stream_free(struct seal_stream *stream); /* wipes */
DEFINE_CLEANUP(struct seal_stream *, seal_stream_free)
void seal_stream_push(struct seal_stream *stream, struct str plain, bool last, unsigned char *out);
/* out: sealed.n - SEAL_STREAM_OVERHEAD bytes. -EKEYREJECTED; -ENODATA after the last. */
int seal_stream_pull(struct seal_stream *stream, struct str sealed, unsigned char *out, bool *ret_last) MUST_USE;

/* Blind index: keyed BLAKE2b-256 of a normalised value, a key per field name ("member.id_number"). */
#define BLIND_INDEX_SIZE 32
void crypto_blind_index(const struct keyring *keyring, const char *field, struct str value,
                        unsigned char out[BLIND_INDEX_SIZE]);
/* Tells keyrings apart, and nothing about them; rotating master keys changes nothing in it. */
void keyring_mark(const struct keyring *keyring, unsigned char out[BLIND_INDEX_SIZE]);

/* --- passwords, tokens, hashes -------------------------------------------------------------------------------- */

#define PASSWORD_HASH_SIZE 128
/* argon2id, 64 MiB, 3 passes (RFC 9106's second recommendation): about 0.1 s; slow lane only. */
int password_hash(char out[PASSWORD_HASH_SIZE], struct str password) MUST_USE;
bool password_matches(const char *hash, struct str password);
/* The same work on a fixed hash, so that an unknown login takes as long as a known one. */
void password_pretend(struct str password);

#define TOKEN_TEXT_SIZE 44 /* 256 random bits as 43 characters of base64url, and the NUL */
void token_new(char out[TOKEN_TEXT_SIZE]);
void sha256_hex(char out[65], struct str s);
void sha256(unsigned char out[32], struct str s);
void sha256_pair(unsigned char out[32], struct str a, struct str b); /* of both, one after the other */
/* SipHash-2-4 with 128 bits: a short keyed sum of a row, for comparing what was copied. */
void keyed_sum128(unsigned char out[16], const unsigned char key[16], struct str s);
bool secret_equal(struct str a, struct str b); /* constant time for equal lengths */
/* base64url without padding (RFC 4648, section 5). */
struct str base64url_encode(struct arena *arena, struct str s);
int base64url_decode(struct arena *arena, struct str text, struct str *ret) MUST_USE;

/* --- signatures ------------------------------------------------------------------------------------------------- */

/* An ed25519 pair that follows from the keyring and the purpose ("stream.log"): rotating master keys changes nothing in it.
 * The pair of another purpose tells nothing about it. */
#define SIGNING_PUBLIC_SIZE 32
#define SIGNATURE_SIZE      64
struct signing_key {
        unsigned char public[SIGNING_PUBLIC_SIZE], secret[64];
};
void signing_key_derive(const struct keyring *keyring, const char *purpose, struct signing_key *ret_key);
void signing_key_done(struct signing_key *key); /* wipes */
void signing_key_sign(const struct signing_key *key, struct str text, unsigned char out[SIGNATURE_SIZE]);
bool signature_fits(const unsigned char public[SIGNING_PUBLIC_SIZE], struct str text,
                    const unsigned char signature[SIGNATURE_SIZE]);

/* --- member card ------------------------------------------------------------------------------------------------ */

/* What a card's QR says; any service with the public key verifies it without a call. Text form:
 * "NX1." base64url(payload) "." base64url(signature). */
struct card {
        char member[40];       /* member id */
        char organization[32]; /* at the time of issue */
        char number[24];       /* the card's printed number */
        int64_t issued_us, expires_us;
};
#define CARD_E_EXPIRED 1
struct str card_sign(struct arena *arena, const struct keyring *keyring, const struct card *card);
/* 0; CARD_E_EXPIRED (ret_card is filled); -EBADMSG (malformed or forged). */
int card_verify(const struct keyring *keyring, struct str token, int64_t now_us, struct card *ret_card) MUST_USE;

/* --- webhooks --------------------------------------------------------------------------------------------------- */

/* What an endpoint's deliveries are signed with, after the Standard Webhooks specification: a key that the receiver has too
 * (HMAC-SHA-256), and an ed25519 pair of which it has the public half. */
#define WEBHOOK_KEY_SIZE  32
#define WEBHOOK_SEED_SIZE 32
struct webhook_secret {
        unsigned char key[WEBHOOK_KEY_SIZE], seed[WEBHOOK_SEED_SIZE];
};
void webhook_secret_new(struct webhook_secret *secret);
void webhook_secret_wipe(struct webhook_secret *secret);
char *webhook_secret_text(struct arena *arena, const struct webhook_secret *secret); /* "whsec_…" */
char *webhook_public_text(struct arena *arena, const struct webhook_secret *secret); /* "whpk_…" */

/* Both cover "id.timestamp.body". Appends "v1,…" and "v1a,…", with a blank in front of each that is not the first in `out`. */
void webhook_sign_key(struct buf *out, struct str key, const char *id, int64_t timestamp_s, struct str body);
void webhook_sign_seed(struct buf *out, const unsigned char seed[WEBHOOK_SEED_SIZE], const char *id, int64_t timestamp_s,
                       struct str body);
