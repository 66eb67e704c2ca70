/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures with keys that follow from the keyring: ed25519, one pair a purpose, the same on every host that has the
 * keyring and after every rotation of its master keys.
 */
#include "common/crypto/internal.h"

#include <sodium.h>

_Static_assert(SIGNATURE_SIZE == crypto_sign_BYTES, "a signature's size");
_Static_assert(SIGNING_PUBLIC_SIZE == crypto_sign_PUBLICKEYBYTES, "a public key's size");
_Static_assert(sizeof(((struct signing_key *)NULL)->secret) == crypto_sign_SECRETKEYBYTES, "a secret key's size");

void signing_key_derive(const struct keyring *keyring, const char *purpose, struct signing_key *ret_key)
{
        unsigned char seed[crypto_sign_SEEDBYTES];
        _Static_assert(sizeof(seed) == BLIND_INDEX_SIZE, "a blind index is as long as a seed");
        crypto_blind_index(keyring, purpose, STR("nuanxin signing key 1"), seed);
        crypto_sign_ed25519_seed_keypair(ret_key->public, ret_key->secret, seed);
        sodium_memzero(seed, sizeof(seed));
}

void signing_key_done(struct signing_key *key)
{
        sodium_memzero(key, sizeof(*key));
}

void signing_key_sign(const struct signing_key *key, struct str text, unsigned char out[SIGNATURE_SIZE])
{
        crypto_sign_ed25519_detached(out, NULL, (const unsigned char *)text.p, text.n, key->secret);
}

bool signature_fits(const unsigned char public[SIGNING_PUBLIC_SIZE], struct str text,
                    const unsigned char signature[SIGNATURE_SIZE])
{
        return crypto_sign_ed25519_verify_detached(signature, (const unsigned char *)text.p, text.n, public) == 0;
}
