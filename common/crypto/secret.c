/* SPDX-License-Identifier: Apache-2.0
 *
 * Passwords, tokens, hashes, blind indexes, and base64url.
 */
#include "common/crypto/internal.h"

#include <sodium.h>

#define ARGON2_PASSES 3
#define ARGON2_MEMORY (64u << 20)

_Static_assert(PASSWORD_HASH_SIZE == crypto_pwhash_argon2id_STRBYTES, "room for the hash's text");

int crypto_init(void)
{
        return sodium_init() < 0 ? -EIO : 0;
}

int password_hash(char out[PASSWORD_HASH_SIZE], struct str password)
{
        return crypto_pwhash_argon2id_str(out, password.p ? password.p : "", password.n, ARGON2_PASSES,
                                          ARGON2_MEMORY) < 0
                       ? -ENOMEM
                       : 0;
}

bool password_matches(const char *hash, struct str password)
{
        char text[PASSWORD_HASH_SIZE] = {0}; /* the library may look at all of it */
        size_t n = strlen(hash);
        if (n >= sizeof(text))
                return false;
        memcpy(text, hash, n);
        return crypto_pwhash_argon2id_str_verify(text, password.p ? password.p : "", password.n) == 0;
}

void password_pretend(struct str password)
{
        /* Of 32 random bytes that nobody kept, with the parameters above. */
        static const char nobody[] = "$argon2id$v=19$m=65536,t=3,p=1$WNE66aA63nntfMeJ1oeotQ$"
                                     "my2p50QGLNx4ZPgcThr4AettHSwyXkh4bjxY4ZTOi40";
        (void)password_matches(nobody, password);
}

void token_new(char out[TOKEN_TEXT_SIZE])
{
        unsigned char bits[32];
        randombytes_buf(bits, sizeof(bits));
        sodium_bin2base64(out, TOKEN_TEXT_SIZE, bits, sizeof(bits), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        sodium_memzero(bits, sizeof(bits));
}

void sha256_hex(char out[65], struct str s)
{
        unsigned char sum[32];
        sha256(sum, s);
        hex_encode(out, sum, sizeof(sum));
}

bool secret_equal(struct str a, struct str b)
{
        return a.n == b.n && (a.n == 0 || sodium_memcmp(a.p, b.p, a.n) == 0);
}

void crypto_blind_index(const struct keyring *keyring, const char *field, struct str value,
                        unsigned char out[BLIND_INDEX_SIZE])
{
        unsigned char context[CONTEXT_SIZE], key[crypto_generichash_KEYBYTES];
        const struct str parts[] = {STR("nuanxin blind index 1"), str_of(field)};
        context_hash(context, parts, ARRAY_LEN(parts));
        crypto_generichash(key, sizeof(key), context, sizeof(context), keyring->index_key,
                           sizeof(keyring->index_key));
        crypto_generichash(out, BLIND_INDEX_SIZE, (const unsigned char *)value.p, value.n, key, sizeof(key));
        sodium_memzero(key, sizeof(key));
}

void keyring_mark(const struct keyring *keyring, unsigned char out[BLIND_INDEX_SIZE])
{
        crypto_blind_index(keyring, "keyring.mark", STR("nuanxin"), out);
}

struct str base64url_encode(struct arena *arena, struct str s)
{
        size_t size = sodium_base64_encoded_len(s.n, sodium_base64_VARIANT_URLSAFE_NO_PADDING); /* with the NUL */
        char *out = arena_alloc(arena, size);
        sodium_bin2base64(out, size, (const unsigned char *)s.p, s.n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        return (struct str){out, size - 1};
}

static int sextet(unsigned char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Not the library's: 1.0.18 takes any byte from 0x80 on for a character of the URL-safe alphabet. */
int base64url_bytes(unsigned char *out, size_t size, struct str text, size_t *ret_n)
{
        uint32_t bits = 0;
        int n_bits = 0;
        size_t n = 0;
        for (size_t i = 0; i < text.n; i++) {
                int v = sextet((unsigned char)text.p[i]);
                if (v < 0)
                        return -EINVAL;
                bits = bits << 6 | (uint32_t)v;
                n_bits += 6;
                if (n_bits < 8)
                        continue;
                n_bits -= 8;
                if (n == size)
                        return -EINVAL;
                out[n++] = (unsigned char)(bits >> n_bits);
        }
        /* Each value has one text: no lone character, no bits left over. */
        if (n_bits == 6 || (bits & ((1u << n_bits) - 1)))
                return -EINVAL;
        *ret_n = n;
        return 0;
}

int base64url_decode(struct arena *arena, struct str text, struct str *ret)
{
        size_t n, size = text.n / 4 * 3 + 3;
        unsigned char *out = arena_zalloc(arena, size + 1);
        int r = base64url_bytes(out, size, text, &n);
        if (r == 0)
                *ret = str_bytes(out, n);
        return r;
}
