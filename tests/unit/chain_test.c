/* SPDX-License-Identifier: Apache-2.0
 *
 * What the chain is made of, as others have to compute it: leaves, what signatures cover; and checkpoints in a folder.
 */
#include "common/chain/chain.h"

#include "common/base/clock.h"
#include "tests/support/check.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

struct signed_points {
        struct checkpoint points[5];
        size_t n_points;
        struct signing_key key;
};

static struct signed_points points_new(void)
{
        struct signed_points m = {0};
        char folder[] = "/tmp/nuanxin-chain-XXXXXX", file[64];
        struct keyring *keyring = NULL;
        const char *error = "";
        if (!mkdtemp(folder) || keyring_create(folder) != 0 || keyring_load(folder, &keyring, &error) != 0) {
                printf("Bail out! %s\n", error);
                exit(1);
        }
        signing_key_derive(keyring, CHAIN_KEY_PURPOSE, &m.key);
        keyring_free(keyring);
        snprintf(file, sizeof(file), "%s/keyring", folder);
        unlink(file);
        rmdir(folder);
        for (; m.n_points < ARRAY_LEN(m.points); m.n_points++) {
                struct checkpoint *c = &m.points[m.n_points];
                int64_t seq = (int64_t)m.n_points * 10;
                *c = (struct checkpoint){.kind = seq ? CHECKPOINT_HEAD : CHECKPOINT_BEGIN, .seq = seq};
                c->time_us = 1790000000 * CLOCK_SECOND_US + seq;
                snprintf(c->epoch, sizeof(c->epoch), "01900000-0000-7000-8000-00000000aaaa");
                memset(c->head, (int)seq, CHAIN_SIZE);
                checkpoint_sign(c, &m.key);
        }
        return m;
}

/* --- the folder --------------------------------------------------------------------------------------------------------- */

static char folder[64];

static void folder_path(char out[320])
{
        DIR *dir = opendir(folder);
        for (struct dirent *e; dir && (e = readdir(dir));)
                if (e->d_name[0] != '.')
                        snprintf(out, 320, "%s/%s", folder, e->d_name);
        closedir(dir);
}

static void write_all(const struct signed_points *m)
{
        struct buf lines = {0};
        for (size_t i = m->n_points; i > 0; i--)
                checkpoint_write(&lines, &m->points[i - 1]);
        CHECK_INT(checkpoints_append(folder, buf_str(&lines)), 0);
        buf_done(&lines);
}

static void add_text(const char *text)
{
        char path[320];
        folder_path(path);
        FILE *f = fopen(path, "a");
        fputs(text, f);
        fclose(f);
}

static void test_folder(void)
{
        struct signed_points m = points_new();
        struct arena *arena = arena_new(4096);
        struct checkpoint *read;
        const char *error = "";
        char path[320];
        size_t n;
        struct stat st;
        snprintf(folder, sizeof(folder), "/tmp/nuanxin-points-XXXXXX");
        CHECK(mkdtemp(folder) && rmdir(folder) == 0);
        CHECK(checkpoints_read(folder, arena, &read, &n, &error) < 0); /* a folder that is not there is told */
        write_all(&m);
        folder_path(path);
        CHECK(stat(folder, &st) == 0 && (st.st_mode & 0777) == 0700);
        CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
        CHECK_INT(checkpoints_read(folder, arena, &read, &n, &error), 0);
        CHECK_INT(n, m.n_points);
        for (size_t i = 0; i < n; i++) {
                CHECK_INT(read[i].seq, m.points[i].seq);
                CHECK_INT(read[i].kind, m.points[i].kind);
                CHECK_INT(read[i].time_us, m.points[i].time_us);
                CHECK(memcmp(read[i].head, m.points[i].head, CHAIN_SIZE) == 0);
                CHECK(checkpoint_is_genuine(&read[i], m.key.public));
        }
        add_text("{\"kind\":\"HEAD\",\"epo"); /* the machine went down */
        CHECK_INT(checkpoints_read(folder, arena, &read, &n, &error), 0);
        CHECK_INT(n, m.n_points);
        write_all(&m); /* the next line stands on its own */
        CHECK_INT(checkpoints_read(folder, arena, &read, &n, &error), 0);
        CHECK_INT(n, 2 * m.n_points);
        add_text("something else\n");
        CHECK_INT(checkpoints_read(folder, arena, &read, &n, &error), -EBADMSG);
        CHECK(strstr(error, "line 11"));
        unlink(path);
        CHECK_INT(rmdir(folder), 0);
        arena_free(arena);
}

/* Every part of a checkpoint is signed. */
static void test_signed_parts(void)
{
        struct signed_points m = points_new();
        const struct checkpoint good = m.points[1];
        struct checkpoint bad[5] = {good, good, good, good, good};
        CHECK(checkpoint_is_genuine(&good, m.key.public));
        bad[0].kind = CHECKPOINT_CUT;
        bad[1].epoch[0] = '1';
        bad[2].seq++;
        bad[3].head[31] ^= 1;
        bad[4].time_us++;
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                CHECK(!checkpoint_is_genuine(&bad[i], m.key.public));
}

/* As chain.h and log.proto have it: SHA-256(SHA-256(person ‖ seq) ‖ SHA-256(salt ‖ event)). */
static void test_leaf(void)
{
        unsigned char what[CHAIN_SIZE], leaf[CHAIN_SIZE];
        char hex[2 * CHAIN_SIZE + 1];
        chain_what(what, STR("0123456789abcdef"), STR("event"));
        chain_leaf(leaf, STR("li"), 258, what);
        hex_encode(hex, leaf, CHAIN_SIZE);
        CHECK_TEXT(hex, "e9a4406fb3b1bf92dbf7bcd3f866dd0e4bb6506569fd2973eee0c7997ee16413");
}

/* What the README tells agencies to check a batch's signature with. */
static void test_batch_text(void)
{
        unsigned char head[CHAIN_SIZE] = {0xab, 0xcd};
        char text[CHAIN_BATCH_TEXT_MAX];
        struct str s = chain_batch_text(text, "1f2e3d4c:42", head);
        CHECK(str_is(s, "nuanxin batch 1\n1f2e3d4c:42\nabcd000000000000000000000000000000000000000000000000000000000000\n"));
}

int main(void)
{
        static const struct check_case cases[] = {
                {"checkpoints are kept in a folder, and come back ordered, also after a crash", test_folder},
                {"a checkpoint's signature covers all of it", test_signed_parts},
                {"what a leaf is made of", test_leaf},
                {"the text under a batch's signature", test_batch_text},
        };
        return crypto_init() == 0 ? CHECK_MAIN(cases) : 1;
}
