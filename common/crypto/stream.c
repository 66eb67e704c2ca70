/* SPDX-License-Identifier: Apache-2.0
 *
 * Long texts under the keyring (backups): a key of their own, wrapped by the active master key, and libsodium's
 * secretstream over their blocks.
 */
#include "common/crypto/internal.h"

#include <sodium.h>
#include <stdlib.h>

#define KEY   crypto_secretstream_xchacha20poly1305_KEYBYTES
#define START crypto_secretstream_xchacha20poly1305_HEADERBYTES
#define LAST  crypto_secretstream_xchacha20poly1305_TAG_FINAL

_Static_assert(SEAL_STREAM_HEAD == 5 + BOX_OVERHEAD + KEY + START, "the head's layout");
_Static_assert(SEAL_STREAM_OVERHEAD == crypto_secretstream_xchacha20poly1305_ABYTES, "a block's layout");

struct seal_stream {
        crypto_secretstream_xchacha20poly1305_state state;
        bool ended;
};

struct seal_stream *seal_stream_new(const struct keyring *keyring, const char *context, unsigned char head[SEAL_STREAM_HEAD])
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(256);
        struct seal_stream *stream = mem_zalloc(sizeof(*stream));
        unsigned char key[KEY];

        crypto_secretstream_xchacha20poly1305_keygen(key);
        struct str wrapped = keyring_seal(arena, keyring, context, str_bytes(key, KEY));
        memcpy(head, wrapped.p, wrapped.n);
        crypto_secretstream_xchacha20poly1305_init_push(&stream->state, head + wrapped.n, key);
        sodium_memzero(key, sizeof(key));
        return stream;
}

int seal_stream_open(const struct keyring *keyring, const char *context, const unsigned char head[SEAL_STREAM_HEAD],
                     struct seal_stream **ret_stream)
{
        _cleanup_(arena_freep) struct arena *arena = arena_new(256);
        _cleanup_(seal_stream_freep) struct seal_stream *stream = mem_zalloc(sizeof(*stream));
        struct str key;

        int r = keyring_open(arena, keyring, context, str_bytes(head, SEAL_STREAM_HEAD - START), &key);
        if (r != 0)
                return r;
        r = crypto_secretstream_xchacha20poly1305_init_pull(&stream->state, head + SEAL_STREAM_HEAD - START,
                                                            (const unsigned char *)key.p);
        sodium_memzero((void *)key.p, key.n);
        if (r != 0)
                return -EKEYREJECTED;
        *ret_stream = TAKE(stream);
        return 0;
}

struct seal_stream *seal_stream_free(struct seal_stream *stream)
{
        if (stream) {
                sodium_memzero(stream, sizeof(*stream));
                free(stream);
        }
        return NULL;
}

void seal_stream_push(struct seal_stream *stream, struct str plain, bool last, unsigned char *out)
{
        crypto_secretstream_xchacha20poly1305_push(&stream->state, out, NULL, (const unsigned char *)plain.p, plain.n, NULL, 0,
                                                   last ? LAST : 0);
}

int seal_stream_pull(struct seal_stream *stream, struct str sealed, unsigned char *out, bool *ret_last)
{
        unsigned char tag;
        if (stream->ended)
                return -ENODATA;
        if (sealed.n < SEAL_STREAM_OVERHEAD ||
            crypto_secretstream_xchacha20poly1305_pull(&stream->state, out, NULL, &tag, (const unsigned char *)sealed.p,
                                                       sealed.n, NULL, 0) != 0)
                return -EKEYREJECTED;
        *ret_last = stream->ended = tag == LAST;
        return 0;
}

void keyed_sum128(unsigned char out[16], const unsigned char key[16], struct str s)
{
        crypto_shorthash_siphashx24(out, (const unsigned char *)s.p, s.n, key);
}
