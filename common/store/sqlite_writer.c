/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may write: two OFD locks, held for life, and the epoch in the database that each takeover raises. One lock is on the
 * database file itself, on a byte that nobody else uses: it holds whatever becomes of names. The other is on PATH.lock,
 * which builds before this one know alone; its text is for those who wait:
 * "PID MONOTONIC-MICROSECONDS PID-NAMESPACE INSTANCE". A writer whose PATH.lock was taken away gives up within a second.
 */
#include "common/store/sqlite.h"
#include "common/base/clock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct sqlite_writer {
        struct store_writer base;
        char *instance;
        int lock;
        dev_t device; /* of the lock file that was locked */
        ino_t inode;
        int64_t epoch;
        int64_t beat_us;
        bool file_locked, deposed;
};

#define BEAT_LEAST_US (CLOCK_SECOND_US / 2) /* of the heartbeats that a long statement gives */

static const char *lock_path_of(const struct sqlite_writer *w)
{
        return ((const struct sqlite_store *)w->base.store)->lock_path;
}

static const struct flock whole_file = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

/* A byte that no file reaches. The descriptor is the store's, since closing any would drop the locks that SQLite holds
 * on the file in this process. */
static struct flock the_byte(short type)
{
        return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = INT64_C(1) << 62, .l_len = 1};
}

static int lock_database(struct sqlite_writer *w, bool wait)
{
        struct flock lock = the_byte(F_WRLCK);
        int file = ((const struct sqlite_store *)w->base.store)->file;
        if (fcntl(file, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock) < 0)
                return errno == EAGAIN || errno == EACCES ? STORE_E_LOCKED : -errno;
        w->file_locked = true;
        return 0;
}

/* Opens and locks. STORE_E_LOCKED; -EINTR if a signal came while it waited; -ESTALE if the file was replaced
 * meanwhile, so that what is locked now is nobody's. */
static int lock_once(struct sqlite_writer *w, bool wait)
{
        struct flock lock = whole_file;
        struct stat ours, named;
        int fd = sqlite_make(lock_path_of(w));
        if (fd < 0 && errno == EEXIST && (fd = open(lock_path_of(w), O_RDWR | O_CLOEXEC)) < 0 && errno == ENOENT)
                return -ESTALE; /* removed between both */
        if (fd < 0)
                return -errno;
        int r = 0;
        if (fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock) < 0)
                r = errno == EAGAIN || errno == EACCES ? STORE_E_LOCKED : -errno;
        else if (fstat(fd, &ours) < 0)
                r = -errno;
        else if (stat(lock_path_of(w), &named) < 0)
                r = errno == ENOENT ? -ESTALE : -errno;
        else if (ours.st_ino != named.st_ino || ours.st_dev != named.st_dev)
                r = -ESTALE;
        if (r != 0) {
                close(fd);
                return r;
        }
        w->lock = fd;
        w->device = ours.st_dev;
        w->inode = ours.st_ino;
        return 0;
}

static int lock_file(struct sqlite_writer *w, bool wait, const char **ret_error)
{
        int r = lock_database(w, wait);
        if (r == 0) {
                do
                        r = lock_once(w, wait);
                while (r == -ESTALE);
        }
        if (r == STORE_E_LOCKED)
                return store_fail(ret_error, r, "another process writes %s", ((struct sqlite_store *)w->base.store)->path);
        if (r < 0)
                return store_fail(ret_error, r, "cannot lock %s: %s", lock_path_of(w), strerror(-r));
        return 0;
}

/* From here on whoever wrote before, and may only be frozen, is refused at its next transaction. */
static int raise_epoch(struct sqlite_writer *w)
{
        static const char begin[] = "BEGIN IMMEDIATE", commit[] = "COMMIT";
        static const char create[] =
                "CREATE TABLE IF NOT EXISTS writer_epoch ("
                "id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, instance TEXT NOT NULL)";
        static const char raise_sql[] =
                "INSERT INTO writer_epoch (id, epoch, instance) VALUES (1, 1, $1) ON CONFLICT (id) DO UPDATE "
                "SET epoch = writer_epoch.epoch + 1, instance = excluded.instance RETURNING epoch";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int64_t epoch = 0;

        int r = sqlite_control(w->base.conn, begin);
        if (r == 0)
                r = store_exec(w->base.conn, create, NULL);
        if (r == 0)
                r = store_query(w->base.conn, raise_sql, &rows, TEXTZ(w->instance));
        if (r == 0 && (r = store_next(rows)) == 1) {
                epoch = store_i64(rows, 0);
                r = 0;
        }
        rows = store_rows_close(rows);
        if (r == 0)
                r = sqlite_control(w->base.conn, commit);
        if (r == 0)
                w->epoch = epoch;
        else
                sqlite_rollback(w->base.conn);
        return r == STORE_E_RETRY ? -EBUSY : r;
}

/* Numbers of processes mean something within their namespace. 0: unknown. */
static int64_t pid_namespace(void)
{
        struct stat st;
        return stat("/proc/self/ns/pid", &st) == 0 ? (int64_t)st.st_ino : 0;
}

static void beat(struct sqlite_writer *w)
{
        char text[160];
        w->beat_us = clock_monotonic_us();
        int n = snprintf(text, sizeof(text), "%d %" PRId64 " %" PRId64 " %.100s\n", getpid(), w->beat_us, pid_namespace(),
                         w->instance);
        ssize_t written = pwrite(w->lock, text, (size_t)n, 0);
        (void)written; /* within the file's first block, so even a full disk takes it after the first time */
}

int sqlite_writer_acquire(struct store *store, const char *instance, bool wait, struct store_writer **ret_writer,
                          const char **ret_error)
{
        const char *path = ((struct sqlite_store *)store)->path;
        struct sqlite_writer *w = mem_zalloc(sizeof(*w));
        _cleanup_(store_writer_releasep) struct store_writer *writer = &w->base;
        writer->engine = &sqlite_engine;
        writer->store = store;
        w->instance = mem_strdup(instance);
        w->lock = -1;

        int r = lock_file(w, wait, ret_error);
        if (r != 0)
                return r;
        beat(w);
        r = sqlite_conn_open(store, writer, &w->base.conn, ret_error);
        if (r != 0)
                return r;
        /* The log may end with a commit that its writer never saw on disk, and an fsync that failed there may
         * not fail here: only what has been copied into the file and synced is sure. */
        r = raise_epoch(w);
        if (r == 0)
                r = sqlite_checkpoint_all(w->base.conn);
        if (r != 0)
                return store_fail(ret_error, r, "cannot take over %s: %s", path,
                                  store_last_error(w->base.conn));
        /* The log stands in the folder by now; SQLite itself overlooks a failure to make its name durable. */
        r = sqlite_sync_folder(path, ret_error);
        if (r != 0)
                return r;
        *ret_writer = TAKE(writer);
        return 0;
}

struct store_writer *sqlite_writer_release(struct store_writer *writer)
{
        struct sqlite_writer *w = (struct sqlite_writer *)writer;
        if (w->base.conn) {
                sqlite_rollback(w->base.conn);
                int r = w->epoch ? sqlite_checkpoint_some(w->base.conn) : 0;
                (void)r; /* what stays in the log, the next writer settles */
                w->base.conn = store_conn_close(w->base.conn);
        }
        if (w->lock >= 0) {
                int r = ftruncate(w->lock, 0);
                (void)r; /* if the text stays: without the lock it says nothing */
                close(w->lock);
        }
        if (w->file_locked) {
                struct flock lock = the_byte(F_UNLCK);
                int r = fcntl(((const struct sqlite_store *)w->base.store)->file, F_OFD_SETLK, &lock);
                (void)r; /* it goes with the store's descriptor, at the latest */
        }
        free(w->instance);
        free(w);
        return NULL;
}

int64_t sqlite_writer_epoch(const struct store_writer *writer)
{
        return ((const struct sqlite_writer *)writer)->epoch;
}

int sqlite_writer_heartbeat(struct store_writer *writer)
{
        beat((struct sqlite_writer *)writer);
        return sqlite_writer_check_lock(writer);
}

void sqlite_writer_moves(struct store_writer *writer)
{
        struct sqlite_writer *w = (struct sqlite_writer *)writer;
        if (clock_monotonic_us() - w->beat_us >= BEAT_LEAST_US)
                beat(w);
}

int sqlite_writer_observe(struct store *store, int *ret_pid, int64_t *ret_still_us)
{
        struct flock lock = whole_file;
        char text[160];
        int64_t pid = 0, last = 0, namespace = 0, own = pid_namespace();
        int fd = open(((struct sqlite_store *)store)->lock_path, O_RDWR | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT)
                return -errno;
        ssize_t n = fd < 0 ? 0 : pread(fd, text, sizeof(text), 0);
        bool held = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
        if (fd >= 0)
                close(fd);

        struct str rest = {text, n > 0 ? (size_t)n : 0};
        struct str first = str_cut(&rest, ' '), second = str_cut(&rest, ' '), third = str_cut(&rest, ' ');
        if (!held || str_to_i64(first, 1, INT32_MAX, &pid) < 0 ||
            str_to_i64(second, 0, INT64_MAX, &last) < 0) {
                *ret_pid = 0;
                *ret_still_us = 0;
                return 0;
        }
        int64_t still = clock_monotonic_us() - last;
        bool elsewhere = str_to_i64(third, 1, INT64_MAX, &namespace) == 0 && own && namespace != own;
        *ret_pid = elsewhere ? 0 : (int)pid;
        *ret_still_us = still > 0 ? still : 0;
        return 0;
}

int sqlite_writer_check_lock(struct store_writer *writer)
{
        struct sqlite_writer *w = (struct sqlite_writer *)writer;
        struct stat named;
        if (!w->deposed && (stat(lock_path_of(w), &named) < 0 || named.st_ino != w->inode ||
                            named.st_dev != w->device))
                w->deposed = true;
        return w->deposed ? STORE_E_DEPOSED : 0;
}

int sqlite_writer_check_epoch(struct store_writer *writer)
{
        struct sqlite_writer *w = (struct sqlite_writer *)writer;
        static const char select[] = "SELECT epoch FROM writer_epoch WHERE id = 1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(w->base.conn, select, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 0 && r != 1)
                return r;
        if (r == 0 || store_i64(rows, 0) != w->epoch)
                w->deposed = true;
        return w->deposed ? STORE_E_DEPOSED : 0;
}
