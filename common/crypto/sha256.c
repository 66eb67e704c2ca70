/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256, by OpenSSL: it uses what the processor has for it, which libsodium does not; a chain takes a sum and another of each row.
 * Its oldest interface, since the newer ones look the algorithm up, or make something, for each sum.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "common/crypto/crypto.h"

#include <openssl/sha.h>

void sha256(unsigned char out[32], struct str s)
{
        sha256_pair(out, s, (struct str){0});
}

void sha256_pair(unsigned char out[32], struct str a, struct str b)
{
        SHA256_CTX state;
        SHA256_Init(&state);
        SHA256_Update(&state, a.p, a.n);
        SHA256_Update(&state, b.p, b.n);
        SHA256_Final(out, &state);
}
