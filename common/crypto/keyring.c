/* SPDX-License-Identifier: Apache-2.0
 *
 * The keyring's file: made once, replaced whole, never readable by others.
 */
#include "common/base/private.h"
#include "common/crypto/internal.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYRING_FILE     "keyring"
#define KEYRING_FILE_MAX 65536

static int fail(const char **ret_error, int r, const char *format, ...) PRINTF(3, 4);
static int fail(const char **ret_error, int r, const char *format, ...)
{
        static _Thread_local char text[320];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        *ret_error = text;
        return r;
}

static void wipe_buf(struct buf *b)
{
        if (b->p)
                sodium_memzero(b->p, b->cap);
        buf_done(b);
}

struct keyring *keyring_free(struct keyring *k)
{
        if (k) {
                sodium_memzero(k, sizeof(*k));
                sodium_munlock(k, sizeof(*k));
                free(k);
        }
        return NULL;
}

/* Kept out of swap if the system lets us. */
static struct keyring *keyring_alloc(void)
{
        struct keyring *k = mem_zalloc(sizeof(*k));
        int locked = sodium_mlock(k, sizeof(*k));
        (void)locked;
        return k;
}

static int sync_folder(const char *folder)
{
        int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        int r = fsync(fd) < 0 ? -errno : 0;
        close(fd);
        return r;
}

static int write_all(int fd, struct str s)
{
        while (s.n) {
                ssize_t n = write(fd, s.p, s.n);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                s.p += n;
                s.n -= (size_t)n;
        }
        return fsync(fd) < 0 ? -errno : 0;
}

/* Writes a new file beside the old one and puts it in its place, all or nothing. first: fails if there is one. */
static int keyring_save(const char *folder, const struct keyring *k, bool first)
{
        char path[4096], fresh[4096];
        struct buf text = {0};
        if (snprintf(path, sizeof(path), "%s/" KEYRING_FILE, folder) >= (int)sizeof(path) ||
            snprintf(fresh, sizeof(fresh), "%s/" KEYRING_FILE ".new", folder) >= (int)sizeof(fresh))
                return -ENAMETOOLONG;
        if (unlink(fresh) < 0 && errno != ENOENT)
                return -errno;
        int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        keyring_write_text(k, &text);
        int r = write_all(fd, buf_str(&text));
        wipe_buf(&text);
        close(fd);
        if (r == 0 && first && link(fresh, path) < 0)
                r = errno == EEXIST ? KEYRING_E_EXISTS : -errno;
        if (r == 0 && !first && rename(fresh, path) < 0)
                r = -errno;
        if (r != 0 || first)
                unlink(fresh);
        return r == 0 ? sync_folder(folder) : r;
}

static int add_master(struct keyring *k)
{
        uint32_t id = k->n_masters ? k->masters[k->n_masters - 1].id + 1 : 1;
        if (k->n_masters == MASTER_KEYS_MAX || id == 0)
                return -ENOSPC;
        struct master_key *m = &k->masters[k->n_masters++];
        m->id = id;
        randombytes_buf(m->bytes, sizeof(m->bytes));
        return 0;
}

int keyring_create(const char *folder)
{
        struct stat st;
        if (mkdir(folder, 0700) < 0 && errno != EEXIST)
                return -errno;
        if (stat(folder, &st) < 0)
                return -errno;
        if (!file_is_private(&st, false)) /* it would be made, and never read */
                return -EPERM;
        _cleanup_(keyring_freep) struct keyring *k = keyring_alloc();
        int r = add_master(k);
        if (r < 0)
                return r;
        k->active = k->masters[0].id;
        randombytes_buf(k->index_key, sizeof(k->index_key));
        crypto_sign_ed25519_keypair(k->card_public, k->card_secret);
        return keyring_save(folder, k, true);
}

int keyring_prepare(const char *folder)
{
        _cleanup_(keyring_freep) struct keyring *k = NULL;
        const char *error;
        int r = keyring_load(folder, &k, &error);
        if (r == 0 && k->active != k->masters[k->n_masters - 1].id)
                return KEYRING_E_EXISTS;
        if (r == 0)
                r = add_master(k);
        return r == 0 ? keyring_save(folder, k, false) : r;
}

int keyring_activate(const char *folder)
{
        _cleanup_(keyring_freep) struct keyring *k = NULL;
        const char *error;
        int r = keyring_load(folder, &k, &error);
        if (r == 0)
                k->active = k->masters[k->n_masters - 1].id;
        return r == 0 ? keyring_save(folder, k, false) : r;
}

int keyring_rotate(const char *folder)
{
        int r = keyring_prepare(folder);
        return r == 0 || r == KEYRING_E_EXISTS ? keyring_activate(folder) : r;
}

static int check_private(const char *path, const struct stat *st, bool sealed, const char **ret_error)
{
        if (file_is_private(st, sealed))
                return 0;
        if (st->st_mode & 077)
                return fail(ret_error, -EPERM, "%s must be for its owner only: chmod go= %s", path, path);
        return fail(ret_error, -EPERM, "%s belongs to another user", path);
}

/* On a sealed file system the folder's modes and symbolic links are the system's. */
static int open_private(const char *folder, const char *path, bool *ret_sealed, int *ret_fd, const char **ret_error)
{
        struct stat st;
        int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        if (at < 0 || fstat(at, &st) < 0)
                r = fail(ret_error, -errno, "no keyring at %s: %m", folder);
        bool sealed = r == 0 && file_is_sealed(at);
        if (r == 0 && !sealed)
                r = check_private(folder, &st, false, ret_error);
        int fd = r < 0 ? -1 : openat(at, KEYRING_FILE, O_RDONLY | O_CLOEXEC | (sealed ? 0 : O_NOFOLLOW));
        if (r == 0 && fd < 0)
                r = fail(ret_error, -errno, "cannot open the keyring %s: %m", path);
        if (at >= 0)
                close(at);
        if (r == 0) {
                *ret_sealed = sealed;
                *ret_fd = fd;
        }
        return r;
}

static int read_file(const char *path, int fd, struct buf *out, const char **ret_error)
{
        buf_reserve(out, KEYRING_FILE_MAX);
        while (out->n < KEYRING_FILE_MAX) {
                ssize_t n = read(fd, out->p + out->n, KEYRING_FILE_MAX - out->n);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return fail(ret_error, -errno, "cannot read %s: %m", path);
                if (n == 0)
                        return 0;
                out->n += (size_t)n;
        }
        return fail(ret_error, -EBADMSG, "%s is too large for a keyring", path);
}

int keyring_load(const char *folder, struct keyring **ret_keyring, const char **ret_error)
{
        char path[4096];
        struct stat st;
        struct buf text = {0};

        bool sealed = false;
        int fd = -1;
        if (snprintf(path, sizeof(path), "%s/" KEYRING_FILE, folder) >= (int)sizeof(path))
                return fail(ret_error, -ENAMETOOLONG, "the keyring's path is too long");
        int r = open_private(folder, path, &sealed, &fd, ret_error);
        if (r < 0)
                return r;
        r = fstat(fd, &st) < 0 ? fail(ret_error, -errno, "cannot read %s: %m", path)
                               : check_private(path, &st, sealed, ret_error);
        if (r == 0)
                r = read_file(path, fd, &text, ret_error);
        close(fd);
        if (r == 0) {
                _cleanup_(keyring_freep) struct keyring *k = keyring_alloc();
                r = keyring_parse_text(buf_str(&text), k);
                if (r < 0)
                        r = fail(ret_error, r, "%s is damaged: restore it from its backup", path);
                else
                        *ret_keyring = TAKE(k);
        }
        wipe_buf(&text);
        return r;
}

uint32_t keyring_active_id(const struct keyring *k)
{
        return k->active;
}

uint32_t keyring_newest_id(const struct keyring *k)
{
        return k->masters[k->n_masters - 1].id;
}

size_t keyring_count(const struct keyring *k)
{
        return k->n_masters;
}

const struct master_key *keyring_find(const struct keyring *k, uint32_t id)
{
        for (size_t i = 0; i < k->n_masters; i++)
                if (k->masters[i].id == id)
                        return &k->masters[i];
        return NULL;
}
