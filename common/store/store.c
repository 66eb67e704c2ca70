/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a store by its URL: the file, its folder, and refusing places where it could not be kept safe.
 */
#include "common/store/internal.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

/* Not in linux/magic.h. */
#define LUSTRE_MAGIC 0x0BD00BD0u
#define GFS2_MAGIC_  0x01161970u
#define GPFS_MAGIC   0x47504653u

int store_fail(const char **ret_error, int r, const char *format, ...)
{
        static _Thread_local char text[320];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        if (ret_error)
                *ret_error = text;
        return r;
}

bool store_is_network_fs(uint64_t type)
{
        /* FUSE is among them: what is behind it cannot be known. */
        static const uint32_t refused[] = {
                NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC,   CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC, CODA_SUPER_MAGIC,
                AFS_SUPER_MAGIC,  AFS_FS_MAGIC,      V9FS_MAGIC,       CEPH_SUPER_MAGIC, FUSE_SUPER_MAGIC,
                OCFS2_SUPER_MAGIC, LUSTRE_MAGIC,     GFS2_MAGIC_,      GPFS_MAGIC,
        };
        for (size_t i = 0; i < ARRAY_LEN(refused); i++)
                if ((uint32_t)type == refused[i])
                        return true;
        return false;
}

int store_sync_folder(const char *path, const char **ret_error)
{
        const char *slash = strrchr(path, '/');
        _cleanup_(mem_freep) char *folder = mem_strdup(slash ? path : ".");
        if (slash)
                folder[slash - path + 1] = '\0';
        int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return store_fail(ret_error, -errno, "cannot open the folder %s: %m", folder);
        int r = fsync(fd) < 0 ? store_fail(ret_error, -errno, "cannot sync the folder %s: %m", folder) : 0;
        close(fd);
        return r;
}

/* Makes the file if there is none, and its name durable. An existing file is not opened here: closing any
 * descriptor of it would drop the locks that SQLite holds on it in this process (fcntl(2)). */
static int make_file(const char *path, const char **ret_error)
{
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return errno == EEXIST ? 0 : store_fail(ret_error, -errno, "cannot make %s: %m", path);
        int r = fsync(fd) < 0 ? store_fail(ret_error, -errno, "cannot sync %s: %m", path) : 0;
        close(fd);
        return r == 0 ? store_sync_folder(path, ret_error) : r;
}

int store_open(const char *url, const struct store_options *options, struct store **ret_store,
               const char **ret_error)
{
        static const struct store_options defaults = {0};
        struct str rest = str_of(url), scheme = str_cut(&rest, ':');
        struct statfs fs;
        struct stat st;

        if (!str_is(scheme, "sqlite") || !rest.n)
                return store_fail(ret_error, -EINVAL, "the store's address must be sqlite:PATH: '%s'", url);
        if (!options)
                options = &defaults;
        int r = make_file(rest.p, ret_error);
        if (r < 0)
                return r;
        if (stat(rest.p, &st) < 0)
                return store_fail(ret_error, -errno, "cannot read %s: %m", rest.p);
        if (!S_ISREG(st.st_mode))
                return store_fail(ret_error, -EINVAL, "%s is not a regular file", rest.p);
        if (statfs(rest.p, &fs) < 0)
                return store_fail(ret_error, -errno, "cannot read the file system of %s: %m", rest.p);
        if (store_is_network_fs((uint64_t)fs.f_type))
                return store_fail(ret_error, -ENOTSUP,
                                  "%s is on a network file system (type 0x%x): put it on a local disk",
                                  rest.p, (unsigned)fs.f_type);
        char *path = realpath(rest.p, NULL);
        if (!path)
                return store_fail(ret_error, -errno, "cannot resolve %s: %m", rest.p);

        struct store *store = mem_zalloc(sizeof(*store));
        store->path = path;
        if (asprintf(&store->lock_path, "%s.lock", path) < 0)
                abort();
        store->vfs = options->vfs ? mem_strdup(options->vfs) : NULL;
        store->cache_kib = options->cache_kib > 0 ? options->cache_kib : 4096;
        store->no_sync = options->unsafe_no_sync;
        *ret_store = store;
        return 0;
}

bool store_is_shared(const struct store *store)
{
        (void)store;
        return false;
}

struct store *store_close(struct store *store)
{
        if (store) {
                free(store->path);
                free(store->lock_path);
                free(store->vfs);
                free(store);
        }
        return NULL;
}
