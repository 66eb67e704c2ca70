/* SPDX-License-Identifier: Apache-2.0
 *
 * Member cards. The payload is small, since it must fit a QR code that old phones read:
 * issued (8, microseconds, big endian), expires (8), then member, organization and number, each with its
 * length (1) in front. Signed is the text as it stands, from "NX1." to the payload's end.
 */
#include "common/crypto/internal.h"

#include <assert.h>
#include <sodium.h>

#define CARD_PREFIX   STR("NX1.")
#define CARD_TEXT_MAX 512
#define PAYLOAD_MAX   (16 + 3 + sizeof(((struct card *)0)->member) + sizeof(((struct card *)0)->organization) + \
                       sizeof(((struct card *)0)->number))

static void put_i64(unsigned char **at, int64_t v)
{
        for (int shift = 56; shift >= 0; shift -= 8)
                *(*at)++ = (unsigned char)((uint64_t)v >> shift);
}

static void put_text(unsigned char **at, const char *text, size_t size)
{
        size_t n = strnlen(text, size);
        assert(n < size && n <= UINT8_MAX);
        *(*at)++ = (unsigned char)n;
        memcpy(*at, text, n);
        *at += n;
}

static bool take_i64(struct str *s, int64_t *ret)
{
        uint64_t v = 0;
        if (s->n < 8)
                return false;
        for (int i = 0; i < 8; i++)
                v = v << 8 | (unsigned char)s->p[i];
        s->p += 8;
        s->n -= 8;
        *ret = (int64_t)v;
        return true;
}

static bool take_text(struct str *s, char *out, size_t size)
{
        size_t n = s->n ? (unsigned char)s->p[0] : SIZE_MAX;
        if (n >= size || s->n < 1 + n || memchr(s->p + 1, 0, n))
                return false;
        memcpy(out, s->p + 1, n);
        out[n] = '\0';
        s->p += 1 + n;
        s->n -= 1 + n;
        return true;
}

struct str card_sign(struct arena *arena, const struct keyring *keyring, const struct card *card)
{
        unsigned char payload[PAYLOAD_MAX], signature[crypto_sign_BYTES], *at = payload;
        put_i64(&at, card->issued_us);
        put_i64(&at, card->expires_us);
        put_text(&at, card->member, sizeof(card->member));
        put_text(&at, card->organization, sizeof(card->organization));
        put_text(&at, card->number, sizeof(card->number));

        struct str body = base64url_encode(arena, str_bytes(payload, (size_t)(at - payload)));
        struct str signed_text = str_of(arena_printf(arena, "%s%s", CARD_PREFIX.p, body.p));
        crypto_sign_detached(signature, NULL, (const unsigned char *)signed_text.p, signed_text.n,
                             keyring->card_secret);
        struct str tail = base64url_encode(arena, str_bytes(signature, sizeof(signature)));
        return str_of(arena_printf(arena, "%s.%s", signed_text.p, tail.p));
}

int card_verify(const struct keyring *keyring, struct str token, int64_t now_us, struct card *ret_card)
{
        unsigned char payload[PAYLOAD_MAX], signature[crypto_sign_BYTES];
        struct card card = {0};
        size_t n;

        if (token.n > CARD_TEXT_MAX || !str_starts(token, CARD_PREFIX))
                return -EBADMSG;
        struct str rest = {token.p + CARD_PREFIX.n, token.n - CARD_PREFIX.n};
        struct str body = str_cut(&rest, '.');
        struct str signed_text = {token.p, CARD_PREFIX.n + body.n};
        if (base64url_bytes(signature, sizeof(signature), rest, &n) < 0 || n != sizeof(signature) ||
            crypto_sign_verify_detached(signature, (const unsigned char *)signed_text.p, signed_text.n,
                                        keyring->card_public) < 0 ||
            base64url_bytes(payload, sizeof(payload), body, &n) < 0)
                return -EBADMSG;

        struct str left = str_bytes(payload, n);
        if (!take_i64(&left, &card.issued_us) || !take_i64(&left, &card.expires_us) ||
            !take_text(&left, card.member, sizeof(card.member)) ||
            !take_text(&left, card.organization, sizeof(card.organization)) ||
            !take_text(&left, card.number, sizeof(card.number)) || left.n)
                return -EBADMSG;
        *ret_card = card;
        return now_us >= card.expires_us ? CARD_E_EXPIRED : 0;
}
