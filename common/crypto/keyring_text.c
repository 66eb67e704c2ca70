/* SPDX-License-Identifier: Apache-2.0
 *
 * The keyring as text: one line an entry, so that a person can copy it to paper and a tool can compare it.
 *
 *   keyring 1                    the format's version, first
 *   master ID HEX64              wraps persons' keys
 *   active ID                    which of them seals; without this line the one with the highest id
 *   index HEX64                  blind indexes derive from it
 *   card HEX64                   ed25519 seed that signs member cards
 *   check HEX64                  SHA-256 of all lines above, last: a slip of the pen is found
 */
#include "common/crypto/internal.h"

#include <inttypes.h>
#include <sodium.h>

static void add_line(struct buf *out, const char *name, const unsigned char key[32])
{
        char hex[65];
        hex_encode(hex, key, 32);
        buf_printf(out, "%s %s\n", name, hex);
        sodium_memzero(hex, sizeof(hex));
}

void keyring_write_text(const struct keyring *k, struct buf *out)
{
        unsigned char seed[crypto_sign_SEEDBYTES], sum[32];
        buf_reserve(out, 8192); /* at once: growing would leave copies of keys behind */
        buf_add_z(out, "keyring 1\n");
        for (size_t i = 0; i < k->n_masters; i++) {
                char name[32];
                snprintf(name, sizeof(name), "master %" PRIu32, k->masters[i].id);
                add_line(out, name, k->masters[i].bytes);
        }
        if (k->active != k->masters[k->n_masters - 1].id)
                buf_printf(out, "active %" PRIu32 "\n", k->active);
        add_line(out, "index", k->index_key);
        crypto_sign_ed25519_sk_to_seed(seed, k->card_secret);
        add_line(out, "card", seed);
        sodium_memzero(seed, sizeof(seed));
        sha256(sum, buf_str(out));
        add_line(out, "check", sum);
}

/* Ids rise, so none is there twice; the last one seals unless a line says otherwise. */
static int take_master(struct keyring *k, struct str rest)
{
        struct str id_text = str_cut(&rest, ' ');
        int64_t id, least = k->n_masters ? (int64_t)k->masters[k->n_masters - 1].id + 1 : 1;
        if (k->n_masters == MASTER_KEYS_MAX || str_to_i64(id_text, least, UINT32_MAX, &id) < 0)
                return -EBADMSG;
        struct master_key *m = &k->masters[k->n_masters++];
        m->id = k->active = (uint32_t)id;
        return hex_decode(m->bytes, sizeof(m->bytes), rest) < 0 ? -EBADMSG : 0;
}

static int take_active(struct keyring *k, struct str text)
{
        int64_t id;
        if (str_to_i64(text, 1, UINT32_MAX, &id) < 0 || !keyring_find(k, (uint32_t)id))
                return -EBADMSG;
        k->active = (uint32_t)id;
        return 0;
}

static int take_card(struct keyring *k, struct str hex)
{
        unsigned char seed[crypto_sign_SEEDBYTES];
        int r = hex_decode(seed, sizeof(seed), hex) < 0 ? -EBADMSG : 0;
        if (r == 0)
                crypto_sign_ed25519_seed_keypair(k->card_public, k->card_secret, seed);
        sodium_memzero(seed, sizeof(seed));
        return r;
}

static int take_check(struct str above, struct str hex)
{
        unsigned char sum[32], written[32];
        sha256(sum, above);
        return hex_decode(written, 32, hex) < 0 || memcmp(sum, written, 32) != 0 ? -EBADMSG : 0;
}

int keyring_parse_text(struct str text, struct keyring *k)
{
        struct str rest = text;
        bool index = false, card = false, active = false;
        *k = (struct keyring){0};
        if (!str_is(str_cut(&rest, '\n'), "keyring 1"))
                return -EBADMSG;
        while (rest.n) {
                struct str above = {text.p, (size_t)(rest.p - text.p)};
                struct str line = str_cut(&rest, '\n'), word = str_cut(&line, ' ');
                int r = -EBADMSG;
                if (str_is(word, "master") && !active) {
                        r = take_master(k, line);
                } else if (str_is(word, "active") && !active) {
                        active = true;
                        r = take_active(k, line);
                } else if (str_is(word, "index") && !index) {
                        index = true;
                        r = hex_decode(k->index_key, sizeof(k->index_key), line) < 0 ? -EBADMSG : 0;
                } else if (str_is(word, "card") && !card) {
                        card = true;
                        r = take_card(k, line);
                } else if (str_is(word, "check")) {
                        r = take_check(above, line);
                        return r == 0 && !rest.n && k->n_masters && index && card ? 0 : -EBADMSG;
                }
                if (r < 0)
                        return r;
        }
        return -EBADMSG; /* cut off before its check */
}
