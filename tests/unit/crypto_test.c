/* SPDX-License-Identifier: Apache-2.0
 *
 * What protects people's data: standard vectors where a standard has one, and that everything tampered with,
 * misplaced or under another key is refused.
 */
#include "common/crypto/internal.h"
#include "tests/support/check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], keyring_path[96];

static struct keyring *fresh_keyring(void)
{
        struct keyring *k = NULL;
        const char *error = "";
        snprintf(folder, sizeof(folder), "/tmp/nuanxin-keyring-XXXXXX");
        if (!mkdtemp(folder) || keyring_create(folder) != 0 || keyring_load(folder, &k, &error) != 0) {
                printf("Bail out! %s\n", error);
                exit(1);
        }
        snprintf(keyring_path, sizeof(keyring_path), "%s/keyring", folder);
        return k;
}

static void drop_keyring(struct keyring *k)
{
        keyring_free(k);
        unlink(keyring_path);
        CHECK_INT(rmdir(folder), 0);
}

static struct keyring *load_again(struct keyring *old)
{
        struct keyring *k = NULL;
        const char *error;
        keyring_free(old);
        CHECK_INT(keyring_load(folder, &k, &error), 0);
        return k;
}

static void test_sha256(void)
{
        char hex[65];
        /* FIPS 180-2, appendix B. */
        sha256_hex(hex, STR("abc"));
        CHECK_TEXT(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        sha256_hex(hex, STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"));
        CHECK_TEXT(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
        sha256_hex(hex, (struct str){0});
        CHECK_TEXT(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_boxes(void)
{
        unsigned char key[32] = {1}, context[CONTEXT_SIZE] = {2}, box[BOX_OVERHEAD + 5], plain[5];
        box_seal(box, key, context, STR("hello"));
        CHECK_INT(box_open(plain, key, context, str_bytes(box, sizeof(box))), 0);
        CHECK(memcmp(plain, "hello", 5) == 0);
        CHECK_INT(box_open(plain, key, context, str_bytes(box, sizeof(box) - 1)), -EKEYREJECTED);
        CHECK_INT(box_open(plain, key, context, str_bytes(box, BOX_OVERHEAD - 1)), -EKEYREJECTED);
        key[31] ^= 1;
        CHECK_INT(box_open(plain, key, context, str_bytes(box, sizeof(box))), -EKEYREJECTED);
}

static void test_base64url(void)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(4096);
        /* RFC 4648, section 10, without padding; and the two characters that differ from plain base64. */
        static const char *const pairs[][2] = {{"", ""},           {"f", "Zg"},         {"fo", "Zm8"},
                                               {"foo", "Zm9v"},    {"foob", "Zm9vYg"},  {"fooba", "Zm9vYmE"},
                                               {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
        struct str got;
        for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
                CHECK(str_is(base64url_encode(a, str_of(pairs[i][0])), pairs[i][1]));
                CHECK_INT(base64url_decode(a, str_of(pairs[i][1]), &got), 0);
                CHECK(str_is(got, pairs[i][0]));
        }
        static const char *const bad[] = {"Zg==", "Z", "Zh", "Zm9", "+/8", "Zm 8",
                                          "Zm8\n", "Zm9v.", "Zm9vYg=", "Zm9vYh", "Zm\xc3\xbf"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                CHECK_INT(base64url_decode(a, str_of(bad[i]), &got), -EINVAL);
}

static void test_tokens(void)
{
        char a[TOKEN_TEXT_SIZE], b[TOKEN_TEXT_SIZE];
        token_new(a);
        token_new(b);
        CHECK_INT(strlen(a), 43);
        CHECK(strcmp(a, b) != 0);
        CHECK(secret_equal(str_of(a), str_of(a)));
        CHECK(!secret_equal(str_of(a), str_of(b)));
        CHECK(!secret_equal(str_of(a), (struct str){a, 42}));
        CHECK(secret_equal((struct str){0}, STR("")));
}

static void test_passwords(void)
{
        char hash[PASSWORD_HASH_SIZE], again[PASSWORD_HASH_SIZE];
        CHECK_INT(password_hash(hash, STR("暖心 529")), 0);
        CHECK(strncmp(hash, "$argon2id$v=19$m=65536,t=3,p=1$", 31) == 0);
        CHECK(password_matches(hash, STR("暖心 529")));
        CHECK(!password_matches(hash, STR("暖心 528")));
        CHECK(!password_matches(hash, (struct str){0}));
        CHECK(!password_matches("", STR("暖心 529")));
        CHECK(!password_matches("$argon2id$v=19$m=65536", STR("x")));
        CHECK_INT(password_hash(again, STR("暖心 529")), 0);
        CHECK(strcmp(hash, again) != 0); /* salted */
        password_pretend(STR("x"));
        /* From the reference implementation's own tests (phc-winner-argon2, src/test.c). */
        CHECK(password_matches("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$"
                               "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
                               STR("password")));
}

static void test_sealed_values(void)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(65536);
        struct person_key key, other;
        struct str opened = {0};
        person_key_new(&key);
        person_key_new(&other);
        struct str plain = STR("430102199001011234");
        struct str sealed = crypto_seal(a, &key, "member", "id_number", "m-1", plain);
        CHECK_INT(sealed.n, SEAL_OVERHEAD + plain.n);
        CHECK_INT(crypto_open(a, &key, "member", "id_number", "m-1", sealed, &opened), 0);
        CHECK(str_eq(opened, plain));
        CHECK_INT(opened.p[opened.n], 0);
        CHECK(!str_eq(sealed, crypto_seal(a, &key, "member", "id_number", "m-1", plain))); /* a nonce each */

        CHECK_INT(crypto_open(a, &other, "member", "id_number", "m-1", sealed, &opened), -EKEYREJECTED);
        CHECK_INT(crypto_open(a, &key, "account", "id_number", "m-1", sealed, &opened), -EKEYREJECTED);
        CHECK_INT(crypto_open(a, &key, "member", "phone", "m-1", sealed, &opened), -EKEYREJECTED);
        CHECK_INT(crypto_open(a, &key, "member", "id_number", "m-2", sealed, &opened), -EKEYREJECTED);
        /* What stands where cannot be shifted between the parts of a place. */
        CHECK_INT(crypto_open(a, &key, "memberi", "d_number", "m-1", sealed, &opened), -EKEYREJECTED);
        for (size_t i = 0; i < sealed.n; i++) {
                struct str bad = arena_str(a, sealed);
                ((char *)bad.p)[i] ^= 1;
                CHECK_INT(crypto_open(a, &key, "member", "id_number", "m-1", bad, &opened), -EKEYREJECTED);
                bad = (struct str){sealed.p, i};
                CHECK_INT(crypto_open(a, &key, "member", "id_number", "m-1", bad, &opened), -EKEYREJECTED);
        }
        sealed = crypto_seal(a, &key, "t", "c", "r", (struct str){0});
        CHECK_INT(crypto_open(a, &key, "t", "c", "r", sealed, &opened), 0);
        CHECK_INT(opened.n, 0);
}

static void test_wrapped_keys(void)
{
        struct keyring *k = fresh_keyring();
        unsigned char wrapped[WRAPPED_KEY_SIZE];
        struct person_key key, got;
        person_key_new(&key);
        person_key_wrap(k, &key, "m-1", wrapped);
        struct str w = str_bytes(wrapped, sizeof(wrapped));
        CHECK_INT(person_key_unwrap(k, w, "m-1", &got), 0);
        CHECK(memcmp(&key, &got, sizeof(key)) == 0);
        CHECK_INT(person_key_unwrap(k, w, "m-2", &got), -EKEYREJECTED);
        CHECK_INT(person_key_unwrap(k, w, "m-1 ", &got), -EKEYREJECTED);
        CHECK_INT(person_key_unwrap(k, (struct str){w.p, w.n - 1}, "m-1", &got), -EKEYREJECTED);
        for (size_t i = 0; i < sizeof(wrapped); i++) {
                wrapped[i] ^= 0x80; /* bytes 1 to 4 name the master key */
                CHECK_INT(person_key_unwrap(k, w, "m-1", &got), i >= 1 && i < 5 ? -ENOKEY : -EKEYREJECTED);
                wrapped[i] ^= 0x80;
        }
        drop_keyring(k);
        k = fresh_keyring();
        CHECK_INT(person_key_unwrap(k, w, "m-1", &got), -EKEYREJECTED); /* another keyring */
        drop_keyring(k);
}

static void test_rotation(void)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(4096);
        struct keyring *k = fresh_keyring();
        unsigned char old_wrapped[WRAPPED_KEY_SIZE], new_wrapped[WRAPPED_KEY_SIZE], before[32], after[32];
        struct person_key key, got;
        struct str opened;
        const struct card card = {"m", "o", "n", 1, 100};
        struct card read;
        person_key_new(&key);
        person_key_wrap(k, &key, "m-1", old_wrapped);
        crypto_blind_index(k, "member.phone", STR("13800000000"), before);
        struct str old_sealed = keyring_seal(a, k, "answer", STR("old"));
        struct str old_card = card_sign(a, k, &card);
        CHECK_INT(keyring_active_id(k), 1);

        CHECK_INT(keyring_rotate(folder), 0);
        CHECK_INT(keyring_count(k), 1); /* what was loaded stays as it was */
        k = load_again(k);
        CHECK_INT(keyring_active_id(k), 2);
        CHECK_INT(keyring_count(k), 2);
        person_key_wrap(k, &key, "m-1", new_wrapped);
        CHECK_INT(new_wrapped[4], 2);
        CHECK_INT(person_key_unwrap(k, str_bytes(old_wrapped, WRAPPED_KEY_SIZE), "m-1", &got), 0);
        CHECK(memcmp(&key, &got, sizeof(key)) == 0);
        CHECK_INT(person_key_unwrap(k, str_bytes(new_wrapped, WRAPPED_KEY_SIZE), "m-1", &got), 0);
        CHECK_INT(keyring_open(a, k, "answer", old_sealed, &opened), 0);
        CHECK(str_is(opened, "old"));
        crypto_blind_index(k, "member.phone", STR("13800000000"), after);
        CHECK(memcmp(before, after, 32) == 0); /* look-up and cards outlive a rotation of master keys */
        CHECK_INT(card_verify(k, old_card, 50, &read), 0);
        drop_keyring(k);
}

static void test_rotation_in_two_steps(void)
{
        struct keyring *k = fresh_keyring(), *behind;
        unsigned char wrapped[WRAPPED_KEY_SIZE];
        struct person_key key, got;
        const char *error;
        person_key_new(&key);
        CHECK_INT(keyring_load(folder, &behind, &error), 0); /* of a host that has no copy yet */

        CHECK_INT(keyring_prepare(folder), 0);
        CHECK_INT(keyring_prepare(folder), KEYRING_E_EXISTS);
        k = load_again(k);
        CHECK_INT(keyring_count(k), 2);
        CHECK_INT(keyring_active_id(k), 1);
        CHECK_INT(keyring_newest_id(k), 2);
        person_key_wrap(k, &key, "m-1", wrapped);
        CHECK_INT(wrapped[4], 1);
        CHECK_INT(person_key_unwrap(behind, str_bytes(wrapped, WRAPPED_KEY_SIZE), "m-1", &got), 0);

        struct keyring *prepared;
        CHECK_INT(keyring_load(folder, &prepared, &error), 0);
        CHECK_INT(keyring_activate(folder), 0);
        k = load_again(k);
        CHECK_INT(keyring_active_id(k), 2);
        person_key_wrap(k, &key, "m-1", wrapped);
        CHECK_INT(wrapped[4], 2);
        CHECK_INT(person_key_unwrap(prepared, str_bytes(wrapped, WRAPPED_KEY_SIZE), "m-1", &got), 0);
        CHECK_INT(person_key_unwrap(behind, str_bytes(wrapped, WRAPPED_KEY_SIZE), "m-1", &got), -ENOKEY);
        keyring_free(prepared);
        keyring_free(behind);
        drop_keyring(k);
}

static void test_values_under_the_keyring(void)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(4096);
        struct keyring *k = fresh_keyring();
        struct str opened, sealed = keyring_seal(a, k, "answer", STR("{}"));
        CHECK_INT(keyring_open(a, k, "answer", sealed, &opened), 0);
        CHECK(str_is(opened, "{}"));
        CHECK_INT(keyring_open(a, k, "other", sealed, &opened), -EKEYREJECTED);
        for (size_t i = 0; i < sealed.n; i++) {
                struct str bad = arena_str(a, sealed);
                ((char *)bad.p)[i] ^= 1;
                CHECK_INT(keyring_open(a, k, "answer", bad, &opened), i >= 1 && i < 5 ? -ENOKEY : -EKEYREJECTED);
                CHECK_INT(keyring_open(a, k, "answer", (struct str){sealed.p, i}, &opened), -EKEYREJECTED);
        }
        drop_keyring(k);
}

static void test_blind_index(void)
{
        struct keyring *k = fresh_keyring();
        unsigned char a[32], b[32];
        crypto_blind_index(k, "member.phone", STR("13800000000"), a);
        crypto_blind_index(k, "member.phone", STR("13800000000"), b);
        CHECK(memcmp(a, b, 32) == 0);
        crypto_blind_index(k, "member.phone", STR("13800000001"), b);
        CHECK(memcmp(a, b, 32) != 0);
        crypto_blind_index(k, "member.id_number", STR("13800000000"), b);
        CHECK(memcmp(a, b, 32) != 0);
        drop_keyring(k);
        k = fresh_keyring();
        crypto_blind_index(k, "member.phone", STR("13800000000"), b);
        CHECK(memcmp(a, b, 32) != 0);
        drop_keyring(k);
}

static void test_cards(void)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(65536);
        struct keyring *k = fresh_keyring();
        const struct card card = {"0197b0a0-0000-7000-8000-000000000001", "430102001001", "A-000123", 1000,
                                  2000};
        struct card read = {0};
        struct str token = card_sign(a, k, &card);
        CHECK(str_starts(token, STR("NX1.")));
        CHECK(token.n < 250); /* a QR code of version 10 takes 271 bytes at level L */
        CHECK_INT(card_verify(k, token, 1999, &read), 0);
        CHECK_TEXT(read.member, card.member);
        CHECK_TEXT(read.organization, card.organization);
        CHECK_TEXT(read.number, card.number);
        CHECK_INT(read.issued_us, 1000);
        CHECK_INT(read.expires_us, 2000);
        read = (struct card){0};
        CHECK_INT(card_verify(k, token, 2000, &read), CARD_E_EXPIRED);
        CHECK_TEXT(read.member, card.member);

        for (size_t i = 0; i < token.n; i++) {
                struct str bad = arena_str(a, token);
                for (int flip = 1; flip < 256; flip <<= 1) {
                        ((char *)bad.p)[i] = (char)(token.p[i] ^ flip);
                        CHECK_INT(card_verify(k, bad, 1500, &read), -EBADMSG);
                }
                CHECK_INT(card_verify(k, (struct str){token.p, i}, 1500, &read), -EBADMSG);
        }
        CHECK_INT(card_verify(k, str_of(arena_printf(a, "%s.", token.p)), 1500, &read), -EBADMSG);
        CHECK_INT(card_verify(k, str_of(arena_printf(a, "%s=", token.p)), 1500, &read), -EBADMSG);
        CHECK_INT(card_verify(k, STR(""), 1500, &read), -EBADMSG);
        CHECK_INT(card_verify(k, STR("NX1.."), 1500, &read), -EBADMSG);
        drop_keyring(k);
        k = fresh_keyring();
        CHECK_INT(card_verify(k, token, 1500, &read), -EBADMSG); /* forged: another association's key */
        drop_keyring(k);
}

/* Written once by an earlier version. The blind index was checked against Python's hashlib.blake2b. */
static void test_what_was_written_stays_readable(void)
{
        static const char text[] =
                "keyring 1\n"
                "master 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
                "master 7 404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f\n"
                "index 808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f\n"
                "card c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf\n"
                "check 55c77903c6188bb49d4c47fc7de42d55c81118b9006163840d10e481f5e5620f\n";
        static const char wrapped_hex[] =
                "0100000001bd7d2a68af07b7167afadd76fa61a3e413923b94bed8d5bc2dc80b21d1c81bd5cf6f917e10d74d"
                "ed4856cff707490f58e214a246034da35522ab5dd1197f48da2514600c770424d7";
        static const char sealed_hex[] =
                "019a5b979bd20be85f93fd905c9da41ade66d2bf41c0f745e85175562287e3a20a2625327801bc0a1ce84b5e"
                "6ddbc0168f5ce944";
        static const char answer_hex[] =
                "01000000076d01c37e8a0f9a3529cfd52552b57335603bd93ec784d332fd802403a42945e82be07ace2e4fdf"
                "9ee574";
        static const char token[] =
                "NX1.AAAAAAAAA-gAAAAAAAAH0ANtLTEMNDMwMDAwMDAwMDAwA0EtMQ.4jycyYRDaHlnLGsqVcgUOlnKVmRFHn1oJ"
                "A3rKR3mnxavdogQQ0dATe95zgfo9UTI9ycDvwMK7u3Kc-acMUD_Dg";
        _cleanup_(arena_freep) struct arena *a = arena_new(4096);
        unsigned char wrapped[WRAPPED_KEY_SIZE], sealed[SEAL_OVERHEAD + 11], answer[5 + BOX_OVERHEAD + 2];
        unsigned char blind[32];
        struct keyring k;
        struct person_key key;
        struct str opened;
        struct card card;
        char hex[65];

        CHECK_INT(keyring_parse_text(STR(text), &k), 0);
        CHECK_INT(keyring_active_id(&k), 7);
        CHECK_INT(hex_decode(wrapped, sizeof(wrapped), STR(wrapped_hex)), 0);
        CHECK_INT(person_key_unwrap(&k, str_bytes(wrapped, sizeof(wrapped)), "m-1", &key), 0);
        CHECK_INT(hex_decode(sealed, sizeof(sealed), STR(sealed_hex)), 0);
        CHECK_INT(crypto_open(a, &key, "member", "phone", "m-1", str_bytes(sealed, sizeof(sealed)), &opened), 0);
        CHECK(str_is(opened, "13800000000"));
        CHECK_INT(hex_decode(answer, sizeof(answer), STR(answer_hex)), 0);
        CHECK_INT(keyring_open(a, &k, "answer", str_bytes(answer, sizeof(answer)), &opened), 0);
        CHECK(str_is(opened, "{}"));
        crypto_blind_index(&k, "member.phone", STR("13800000000"), blind);
        hex_encode(hex, blind, sizeof(blind));
        CHECK_TEXT(hex, "357f3bab96d048dd71671920c676c89267f56ea6cfcde72e7def68700f0fd418");
        CHECK_INT(card_verify(&k, STR(token), 1500, &card), 0);
        CHECK_TEXT(card.organization, "430000000000");
        CHECK(str_is(card_sign(a, &k, &card), token)); /* ed25519 is deterministic */
}

static void test_the_keyring_is_private(void)
{
        struct keyring *k = fresh_keyring(), *again = NULL;
        const char *error = NULL;
        struct stat st;
        CHECK_INT(keyring_create(folder), KEYRING_E_EXISTS);
        CHECK_INT(stat(keyring_path, &st), 0);
        CHECK_INT(st.st_mode & 0777, 0600);
        CHECK_INT(chmod(keyring_path, 0640), 0);
        CHECK_INT(keyring_load(folder, &again, &error), -EPERM);
        CHECK(strstr(error, "chmod") != NULL);
        CHECK_INT(chmod(keyring_path, 0600), 0);
        CHECK_INT(chmod(folder, 0755), 0);
        CHECK_INT(keyring_load(folder, &again, &error), -EPERM);
        CHECK_INT(chmod(folder, 0700), 0);
        CHECK_INT(keyring_load("/nowhere", &again, &error), -ENOENT);
        CHECK(strstr(error, "/nowhere") != NULL);
        CHECK_INT(unlink(keyring_path), 0);
        CHECK_INT(keyring_load(folder, &again, &error), -ENOENT);
        CHECK_INT(keyring_rotate(folder), -ENOENT);
        drop_keyring(k);
}

static void test_a_damaged_keyring_is_refused(void)
{
        struct keyring *k = fresh_keyring();
        struct keyring parsed;
        struct buf text = {0};
        CHECK_INT(keyring_rotate(folder), 0);
        k = load_again(k);
        keyring_write_text(k, &text);
        CHECK_INT(keyring_parse_text(buf_str(&text), &parsed), 0);
        CHECK_INT(parsed.n_masters, 2);
        CHECK(memcmp(parsed.card_secret, k->card_secret, sizeof(parsed.card_secret)) == 0);
        CHECK(memcmp(parsed.index_key, k->index_key, sizeof(parsed.index_key)) == 0);
        for (size_t i = 0; i + 1 < text.n; i++) { /* without its last newline it is still whole */
                text.p[i] ^= 1;
                CHECK_INT(keyring_parse_text(buf_str(&text), &parsed), -EBADMSG);
                text.p[i] ^= 1;
                CHECK_INT(keyring_parse_text((struct str){text.p, i}, &parsed), -EBADMSG);
        }
        buf_add_z(&text, "card 00\n");
        CHECK_INT(keyring_parse_text(buf_str(&text), &parsed), -EBADMSG);
        buf_done(&text);

        int fd = open(keyring_path, O_WRONLY | O_TRUNC | O_CLOEXEC);
        CHECK_INT(write(fd, "keyring 1\n", 10), 10);
        close(fd);
        struct keyring *none = NULL;
        const char *error = NULL;
        CHECK_INT(keyring_load(folder, &none, &error), -EBADMSG);
        CHECK(strstr(error, "backup") != NULL);
        CHECK(none == NULL);
        drop_keyring(k);
}

/* The examples that the specification's own libraries are tested with. */
static void test_webhook_signatures(void)
{
        static const char id[] = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        static const unsigned char key[] = {0x31, 0xf2, 0x90, 0xf6, 0xbf, 0x06, 0x29, 0x8a, 0xab, 0x4f, 0x08, 0xd4,
                                            0x3c, 0x3f, 0x08, 0x2c, 0xf6, 0x48, 0xa3, 0x62, 0xda, 0x2d, 0xa4, 0xb0};
        static const unsigned char seed[WEBHOOK_SEED_SIZE] = {
                0xe9, 0x76, 0xff, 0x74, 0x27, 0x07, 0xa4, 0xf7, 0x9a, 0xdb, 0x53, 0xd2, 0xd4, 0xdf, 0x55, 0x63,
                0xf3, 0x59, 0x5b, 0xbd, 0xb7, 0x08, 0x47, 0x3b, 0xec, 0xde, 0x2b, 0x24, 0x2b, 0x9b, 0x31, 0xb7};
        struct buf out = {0};
        webhook_sign_key(&out, str_bytes(key, sizeof(key)), id, 1614265330, STR("{\"test\": 2432232314}"));
        CHECK_TEXT(buf_z(&out), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        webhook_sign_seed(&out, seed, id, 1614265330, STR("{\"test\": 2432232314}"));
        CHECK_TEXT(buf_z(&out), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= "
                                "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==");
        buf_done(&out);
}

static void test_webhook_secret_texts(void)
{
        static const struct webhook_secret secret = {
                .key = "0123456789abcdef0123456789abcdef",
                .seed = {0xe9, 0x76, 0xff, 0x74, 0x27, 0x07, 0xa4, 0xf7, 0x9a, 0xdb, 0x53, 0xd2, 0xd4, 0xdf, 0x55, 0x63,
                         0xf3, 0x59, 0x5b, 0xbd, 0xb7, 0x08, 0x47, 0x3b, 0xec, 0xde, 0x2b, 0x24, 0x2b, 0x9b, 0x31, 0xb7}};
        _cleanup_(arena_freep) struct arena *arena = arena_new(4096);
        struct webhook_secret a, b;
        CHECK_TEXT(webhook_secret_text(arena, &secret), "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
        CHECK_TEXT(webhook_public_text(arena, &secret), "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=");
        webhook_secret_new(&a);
        webhook_secret_new(&b);
        CHECK(memcmp(&a, &b, sizeof(a)) != 0);
        CHECK(memcmp(a.key, a.seed, sizeof(a.key)) != 0);
}

int main(void)
{
        static const struct check_case cases[] = {
                {"SHA-256 agrees with the standard", test_sha256},
                {"a box opens whole, under its key only", test_boxes},
                {"base64url agrees with the RFC and is strict", test_base64url},
                {"tokens are long, different, compared in constant time", test_tokens},
                {"passwords match their argon2id hashes only", test_passwords},
                {"a sealed value opens in its place only, unchanged", test_sealed_values},
                {"a wrapped key unwraps for its person only, unchanged", test_wrapped_keys},
                {"rotation keeps old values readable", test_rotation},
                {"a prepared key opens first and seals later", test_rotation_in_two_steps},
                {"values under the keyring open in their context only", test_values_under_the_keyring},
                {"blind indexes differ by field, value and keyring", test_blind_index},
                {"cards verify, expire, and cannot be forged or changed", test_cards},
                {"what was written once stays readable", test_what_was_written_stays_readable},
                {"the keyring is for its owner only", test_the_keyring_is_private},
                {"a damaged keyring is refused", test_a_damaged_keyring_is_refused},
                {"webhooks are signed as in the specification's examples", test_webhook_signatures},
                {"a webhook's secret is shown as the specification has it", test_webhook_secret_texts},
        };
        if (crypto_init() < 0)
                return 1;
        return CHECK_MAIN(cases);
}
