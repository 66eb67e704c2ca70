/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed values: XChaCha20-Poly1305 with random nonces, every ciphertext bound to where it stands. The first
 * byte of each is its suite, so another one can come beside it.
 */
#include "common/crypto/internal.h"

#include <sodium.h>

#define SUITE_XCHACHA20_POLY1305 1
#define NONCE                    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define HEAD                     5 /* of what is under a master key: suite and key id */
#define TAG                      crypto_aead_xchacha20poly1305_ietf_ABYTES

_Static_assert(NONCE + TAG == BOX_OVERHEAD, "the box's layout");
_Static_assert(SEAL_OVERHEAD == 1 + BOX_OVERHEAD, "a sealed value's layout");
_Static_assert(WRAPPED_KEY_SIZE == HEAD + BOX_OVERHEAD + PERSON_KEY_SIZE, "a wrapped key's layout");

static void put_u32(unsigned char out[4], uint32_t v)
{
        for (int i = 0; i < 4; i++)
                out[i] = (unsigned char)(v >> (24 - 8 * i));
}

static uint32_t get_u32(const unsigned char p[4])
{
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void context_hash(unsigned char out[CONTEXT_SIZE], const struct str parts[], size_t n)
{
        crypto_generichash_state state;
        crypto_generichash_init(&state, NULL, 0, CONTEXT_SIZE);
        for (size_t i = 0; i < n; i++) {
                unsigned char length[4];
                put_u32(length, (uint32_t)parts[i].n);
                crypto_generichash_update(&state, length, sizeof(length));
                crypto_generichash_update(&state, (const unsigned char *)parts[i].p, parts[i].n);
        }
        crypto_generichash_final(&state, out, CONTEXT_SIZE);
}

void box_seal(unsigned char *out, const unsigned char *key, const unsigned char context[CONTEXT_SIZE],
              struct str plain)
{
        randombytes_buf(out, NONCE);
        crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE, NULL, (const unsigned char *)plain.p, plain.n,
                                                   context, CONTEXT_SIZE, NULL, out, key);
}

int box_open(unsigned char *out, const unsigned char *key, const unsigned char context[CONTEXT_SIZE],
             struct str box)
{
        const unsigned char *p = (const unsigned char *)box.p;
        if (box.n < BOX_OVERHEAD)
                return -EKEYREJECTED;
        int failed = crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, p + NONCE, box.n - NONCE, context,
                                                                CONTEXT_SIZE, p, key);
        return failed ? -EKEYREJECTED : 0;
}

/* --- under a person's key --------------------------------------------------------------------------------- */

static void value_context(unsigned char out[CONTEXT_SIZE], const char *table, const char *column, const char *row)
{
        const struct str parts[] = {STR("nuanxin value 1"), str_of(table), str_of(column), str_of(row)};
        context_hash(out, parts, ARRAY_LEN(parts));
}

struct str crypto_seal(struct arena *arena, const struct person_key *key, const char *table, const char *column,
                       const char *row, struct str plain)
{
        unsigned char context[CONTEXT_SIZE];
        unsigned char *out = arena_alloc(arena, SEAL_OVERHEAD + plain.n);
        value_context(context, table, column, row);
        out[0] = SUITE_XCHACHA20_POLY1305;
        box_seal(out + 1, key->bytes, context, plain);
        return str_bytes(out, SEAL_OVERHEAD + plain.n);
}

int crypto_open(struct arena *arena, const struct person_key *key, const char *table, const char *column,
                const char *row, struct str sealed, struct str *ret_plain)
{
        unsigned char context[CONTEXT_SIZE];
        if (sealed.n < SEAL_OVERHEAD || sealed.p[0] != SUITE_XCHACHA20_POLY1305)
                return -EKEYREJECTED;
        size_t n = sealed.n - SEAL_OVERHEAD;
        unsigned char *out = arena_zalloc(arena, n + 1); /* text ends with a NUL */
        value_context(context, table, column, row);
        int r = box_open(out, key->bytes, context, (struct str){sealed.p + 1, sealed.n - 1});
        if (r == 0)
                *ret_plain = str_bytes(out, n);
        return r;
}

/* --- under the keyring: suite (1), master key id (4), box ----------------------------------------------------- */

/* The bytes before the box are bound as well. */
static void head_context(unsigned char out[CONTEXT_SIZE], struct str label, const unsigned char head[5],
                         const char *what)
{
        const struct str parts[] = {label, str_bytes(head, 5), str_of(what)};
        context_hash(out, parts, ARRAY_LEN(parts));
}

static void master_seal(unsigned char *out, const struct keyring *keyring, struct str label, const char *what,
                        struct str plain)
{
        const struct master_key *master = keyring_find(keyring, keyring_active_id(keyring));
        unsigned char context[CONTEXT_SIZE];
        out[0] = SUITE_XCHACHA20_POLY1305;
        put_u32(out + 1, master->id);
        head_context(context, label, out, what);
        box_seal(out + HEAD, master->bytes, context, plain);
}

static int master_open(unsigned char *out, const struct keyring *keyring, struct str label, const char *what,
                       struct str sealed)
{
        const unsigned char *p = (const unsigned char *)sealed.p;
        unsigned char context[CONTEXT_SIZE];
        if (sealed.n < HEAD || p[0] != SUITE_XCHACHA20_POLY1305)
                return -EKEYREJECTED;
        const struct master_key *master = keyring_find(keyring, get_u32(p + 1));
        if (!master)
                return -ENOKEY;
        head_context(context, label, p, what);
        return box_open(out, master->bytes, context, (struct str){sealed.p + HEAD, sealed.n - HEAD});
}

void person_key_new(struct person_key *key)
{
        randombytes_buf(key->bytes, sizeof(key->bytes));
}

void person_key_wrap(const struct keyring *keyring, const struct person_key *key, const char *person,
                     unsigned char out[WRAPPED_KEY_SIZE])
{
        master_seal(out, keyring, STR("nuanxin person key 1"), person, str_bytes(key->bytes, sizeof(key->bytes)));
}

int person_key_unwrap(const struct keyring *keyring, struct str wrapped, const char *person,
                      struct person_key *ret_key)
{
        struct person_key key;
        if (wrapped.n != WRAPPED_KEY_SIZE)
                return -EKEYREJECTED;
        int r = master_open(key.bytes, keyring, STR("nuanxin person key 1"), person, wrapped);
        if (r == 0)
                *ret_key = key;
        sodium_memzero(&key, sizeof(key));
        return r;
}

struct str keyring_seal(struct arena *arena, const struct keyring *keyring, const char *context, struct str plain)
{
        size_t size = HEAD + BOX_OVERHEAD + plain.n;
        unsigned char *out = arena_alloc(arena, size);
        master_seal(out, keyring, STR("nuanxin keyring value 1"), context, plain);
        return str_bytes(out, size);
}

int keyring_open(struct arena *arena, const struct keyring *keyring, const char *context, struct str sealed,
                 struct str *ret_plain)
{
        if (sealed.n < HEAD + BOX_OVERHEAD)
                return -EKEYREJECTED;
        size_t n = sealed.n - HEAD - BOX_OVERHEAD;
        unsigned char *out = arena_zalloc(arena, n + 1);
        int r = master_open(out, keyring, STR("nuanxin keyring value 1"), context, sealed);
        if (r == 0)
                *ret_plain = str_bytes(out, n);
        return r;
}
