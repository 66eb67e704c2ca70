/* SPDX-License-Identifier: Apache-2.0
 *
 * The signatures of the Standard Webhooks specification (standardwebhooks.com), version 1.0.0.
 */
#include "common/crypto/internal.h"

#include <sodium.h>

_Static_assert(WEBHOOK_SEED_SIZE == crypto_sign_SEEDBYTES, "a pair's seed");

void webhook_secret_new(struct webhook_secret *secret)
{
        randombytes_buf(secret, sizeof(*secret));
}

void webhook_secret_wipe(struct webhook_secret *secret)
{
        sodium_memzero(secret, sizeof(*secret));
}

static void add_base64(struct buf *out, const void *p, size_t n)
{
        size_t size = sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL); /* with the NUL */
        buf_reserve(out, size);
        sodium_bin2base64(out->p + out->n, size, p, n, sodium_base64_VARIANT_ORIGINAL);
        out->n += size - 1;
}

static char *prefixed(struct arena *arena, const char *prefix, const void *p, size_t n)
{
        struct buf out = {0};
        buf_add_z(&out, prefix);
        add_base64(&out, p, n);
        char *text = arena_strndup(arena, out.p, out.n);
        sodium_memzero(out.p, out.cap);
        buf_done(&out);
        return text;
}

char *webhook_secret_text(struct arena *arena, const struct webhook_secret *secret)
{
        return prefixed(arena, "whsec_", secret->key, sizeof(secret->key));
}

char *webhook_public_text(struct arena *arena, const struct webhook_secret *secret)
{
        unsigned char public[crypto_sign_PUBLICKEYBYTES], private[crypto_sign_SECRETKEYBYTES];
        crypto_sign_seed_keypair(public, private, secret->seed);
        sodium_memzero(private, sizeof(private));
        return prefixed(arena, "whpk_", public, sizeof(public));
}

static void signed_text(struct buf *out, const char *id, int64_t timestamp_s, struct str body)
{
        buf_printf(out, "%s.%lld.", id, (long long)timestamp_s);
        buf_add_str(out, body);
}

static void add_signature(struct buf *out, const char *version, const unsigned char *signature, size_t n)
{
        buf_add_z(out, out->n ? " " : "");
        buf_add_z(out, version);
        add_base64(out, signature, n);
}

void webhook_sign_key(struct buf *out, struct str key, const char *id, int64_t timestamp_s, struct str body)
{
        unsigned char sum[crypto_auth_hmacsha256_BYTES];
        crypto_auth_hmacsha256_state state;
        struct buf text = {0};
        signed_text(&text, id, timestamp_s, body);
        crypto_auth_hmacsha256_init(&state, (const unsigned char *)key.p, key.n);
        crypto_auth_hmacsha256_update(&state, (const unsigned char *)text.p, text.n);
        crypto_auth_hmacsha256_final(&state, sum);
        add_signature(out, "v1,", sum, sizeof(sum));
        sodium_memzero(&state, sizeof(state));
        buf_done(&text);
}

void webhook_sign_seed(struct buf *out, const unsigned char seed[WEBHOOK_SEED_SIZE], const char *id, int64_t timestamp_s,
                       struct str body)
{
        unsigned char public[crypto_sign_PUBLICKEYBYTES], private[crypto_sign_SECRETKEYBYTES], signature[crypto_sign_BYTES];
        struct buf text = {0};
        signed_text(&text, id, timestamp_s, body);
        crypto_sign_seed_keypair(public, private, seed);
        crypto_sign_detached(signature, NULL, (const unsigned char *)text.p, text.n, private);
        add_signature(out, "v1a,", signature, sizeof(signature));
        sodium_memzero(private, sizeof(private));
        buf_done(&text);
}
