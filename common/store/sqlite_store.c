/* SPDX-License-Identifier: Apache-2.0
 *
 * A store that is an SQLite file: the file, its folder, and refusing places where it could not be kept safe.
 */
#include "common/store/sqlite.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

/* Not in linux/magic.h. */
#define LUSTRE_MAGIC 0x0BD00BD0u
#define GFS2_MAGIC_  0x01161970u
#define GPFS_MAGIC   0x47504653u

bool sqlite_is_network_fs(uint64_t type)
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

int sqlite_sync_folder(const char *path, const char **ret_error)
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

int sqlite_make(const char *path)
{
        struct stat st;
        const char *slash = strrchr(path, '/');
        _cleanup_(mem_freep) char *folder = mem_strdup(slash ? path : ".");
        if (slash)
                folder[slash - path + 1] = '\0';
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0 && geteuid() == 0 && stat(folder, &st) == 0 && st.st_uid != 0 && fchown(fd, st.st_uid, st.st_gid) < 0) {
                int r = errno;
                close(fd);
                unlink(path);
                errno = r;
                return -1;
        }
        return fd;
}

/* Makes the file if there is none, and its name durable. An existing file is not opened here: closing any
 * descriptor of it would drop the locks that SQLite holds on it in this process (fcntl(2)). */
static int make_file(const char *path, const char **ret_error)
{
        int fd = sqlite_make(path);
        if (fd < 0)
                return errno == EEXIST ? 0 : store_fail(ret_error, -errno, "cannot make %s: %m", path);
        int r = fsync(fd) < 0 ? store_fail(ret_error, -errno, "cannot sync %s: %m", path) : 0;
        close(fd);
        return r == 0 ? sqlite_sync_folder(path, ret_error) : r;
}

/* Whoever opens the file by one name must find the log of whoever opens it by another: both stand in its folder. */
static int check_one_name(const char *real, const struct stat *st, const char **ret_error)
{
        struct statx file, folder;
        _cleanup_(mem_freep) char *above = mem_strdup(real);
        above[strrchr(real, '/') - real + 1] = '\0';
        if (st->st_nlink > 1)
                return store_fail(ret_error, -EMLINK,
                                  "%s has another name (a hard link), by which it would have another log: remove one", real);
        if (statx(AT_FDCWD, real, 0, STATX_MNT_ID, &file) == 0 && statx(AT_FDCWD, above, 0, STATX_MNT_ID, &folder) == 0 &&
            (file.stx_mask & folder.stx_mask & STATX_MNT_ID) && file.stx_mnt_id != folder.stx_mnt_id)
                return store_fail(ret_error, -EXDEV,
                                  "%s is a mount of its own, so its log would stand elsewhere: mount its folder", real);
        return 0;
}

int sqlite_open(struct str path, const struct store_options *options, struct store **ret_store,
                const char **ret_error)
{
        struct statfs fs;
        struct stat st;
        int r = make_file(path.p, ret_error);
        if (r < 0)
                return r;
        if (stat(path.p, &st) < 0)
                return store_fail(ret_error, -errno, "cannot read %s: %m", path.p);
        if (!S_ISREG(st.st_mode))
                return store_fail(ret_error, -EINVAL, "%s is not a regular file", path.p);
        if (statfs(path.p, &fs) < 0)
                return store_fail(ret_error, -errno, "cannot read the file system of %s: %m", path.p);
        if (sqlite_is_network_fs((uint64_t)fs.f_type))
                return store_fail(ret_error, -ENOTSUP,
                                  "%s is on a network file system (type 0x%x): put it on a local disk",
                                  path.p, (unsigned)fs.f_type);
        char *real = realpath(path.p, NULL);
        if (!real)
                return store_fail(ret_error, -errno, "cannot resolve %s: %m", path.p);

        int file = -1;
        r = check_one_name(real, &st, ret_error);
        if (r == 0 && (file = open(real, O_RDWR | O_CLOEXEC)) < 0)
                r = store_fail(ret_error, -errno, "cannot open %s: %m", real);
        if (r < 0) {
                free(real);
                return r;
        }
        struct sqlite_store *store = mem_zalloc(sizeof(*store));
        store->file = file;
        store->base.engine = &sqlite_engine;
        store->path = real;
        if (asprintf(&store->lock_path, "%s.lock", real) < 0)
                abort();
        store->vfs = options->vfs ? mem_strdup(options->vfs) : NULL;
        store->cache_kib = options->cache_kib > 0 ? options->cache_kib : 4096;
        store->writer_cache_kib = options->cache_kib > 0 ? options->cache_kib : 16384;
        store->no_sync = options->unsafe_no_sync;
        *ret_store = &store->base;
        return 0;
}

static struct store *close_store(struct store *base)
{
        struct sqlite_store *store = (struct sqlite_store *)base;
        close(store->file);
        free(store->path);
        free(store->lock_path);
        free(store->vfs);
        free(store);
        return NULL;
}

/* --- the engine -------------------------------------------------------------------------------------------- */

static void set_isolation(struct store_conn *conn, enum store_isolation isolation)
{
        (void)conn;
        (void)isolation; /* one writer: always serial */
}

static int listen_to(struct store_conn *conn, const char *channel)
{
        (void)channel;
        return conn_misuse(conn, "news need a shared store") ? -ENOTSUP : 0;
}

static int wait_for(struct store_conn *conn, int64_t timeout_us, char ret_text[64])
{
        (void)timeout_us;
        (void)ret_text;
        return conn_misuse(conn, "news need a shared store") ? -ENOTSUP : 0;
}

static int gather(struct store_conn *conn, bool on)
{
        (void)conn;
        (void)on;
        return 0;
}

static int writer_extra(struct store_writer *writer, struct store_conn **ret_conn)
{
        (void)writer;
        (void)ret_conn;
        return -ENOTSUP;
}

static const char *const marks[N_MARKS] = {"INTEGER", "BLOB", "TEXT", "STRICT", "STRICT, WITHOUT ROWID"};

const struct store_engine sqlite_engine = {
        .close = close_store,
        .writer_acquire = sqlite_writer_acquire,
        .writer_release = sqlite_writer_release,
        .writer_extra = writer_extra,
        .writer_epoch = sqlite_writer_epoch,
        .writer_heartbeat = sqlite_writer_heartbeat,
        .writer_observe = sqlite_writer_observe,
        .reader_open = sqlite_reader_open,
        .conn_close = sqlite_conn_close,
        .begin = sqlite_begin,
        .commit = sqlite_commit,
        .rollback = sqlite_rollback,
        .in_transaction = sqlite_in_transaction,
        .set_isolation = set_isolation,
        .listen = listen_to,
        .wait = wait_for,
        .gather = gather,
        .savepoint = sqlite_savepoint,
        .savepoint_release = sqlite_savepoint_release,
        .savepoint_leave = sqlite_savepoint_release,
        .savepoint_rollback = sqlite_savepoint_rollback,
        .written = sqlite_written,
        .checkpoint = sqlite_checkpoint_some,
        .settle = sqlite_settle,
        .rest = sqlite_rest,
        .exec = sqlite_exec_values,
        .query = sqlite_query_values,
        .next = sqlite_next,
        .rows_close = sqlite_rows_close,
        .rows_free = sqlite_rows_free,
        .i64 = sqlite_i64,
        .text = sqlite_text,
        .bytes = sqlite_bytes,
        .is_null = sqlite_is_null,
        .marks = marks,
        .script = sqlite_script,
};
