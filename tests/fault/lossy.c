/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that can fail, under any program: a shared object for LD_PRELOAD. It writes down every change of the
 * regular files in one folder, and every sync, so that tests/support/lossy.py can later make of that folder what a
 * power cut could have left; and it makes writes, syncs or the whole process fail when told to.
 *
 *   LOSSY_FOLDER   the folder (absolute); files ending in -shm or .lock are not watched: no promise lies in them
 *   LOSSY_JOURNAL  the record, outside the folder
 *   LOSSY_FAULTS   a file of three int64, read as they are now, each -1 for never: bytes that still fit on the
 *                  disk, syncs (of files) until one fails with EIO, operations until the process is killed
 *
 * A change is recorded before it is made, and a sync when it began and after it returned: whatever the moment of
 * death, the record promises no more than the disk would. Many processes may share one record.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct faults {
        _Atomic int64_t room;       /* bytes */
        _Atomic int64_t syncs;      /* until one fails */
        _Atomic int64_t operations; /* until the end */
};

/* As tests/support/lossy.py reads it: "<cxHIqq", then the name, then the data. */
struct record {
        char kind; /* W write, T truncate, B sync begins, S it is done, U unlink */
        char pad;
        uint16_t name_length;
        uint32_t data_length;
        int64_t at; /* offset, size, or which sync */
        int64_t pid;
} __attribute__((packed));

static char folder[PATH_MAX];
static size_t folder_length;
static int journal = -1;
static struct faults never = {-1, -1, -1}, *faults = &never;
static _Atomic int64_t sync_number;

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);

__attribute__((constructor)) static void start(void)
{
        const char *where = getenv("LOSSY_FOLDER"), *record = getenv("LOSSY_JOURNAL"), *how = getenv("LOSSY_FAULTS");
        *(void **)&real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
        *(void **)&real_write = dlsym(RTLD_NEXT, "write");
        *(void **)&real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
        *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
        *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
        *(void **)&real_unlink = dlsym(RTLD_NEXT, "unlink");
        if (!where || !record)
                return;
        folder_length = (size_t)snprintf(folder, sizeof(folder), "%s", where);
        journal = open(record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        int fd = how ? open(how, O_RDWR | O_CLOEXEC) : -1;
        void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED)
                faults = map;
        if (fd >= 0)
                close(fd);
        if (journal < 0 || (how && map == MAP_FAILED)) {
                fprintf(stderr, "lossy: cannot open its files\n");
                _exit(127);
        }
}

/* The name within the folder, "." for the folder itself; NULL: not watched. */
static const char *name_in_folder(const char *path)
{
        if (journal < 0 || strncmp(path, folder, folder_length) != 0)
                return NULL;
        if (!path[folder_length])
                return ".";
        const char *name = path + folder_length + 1;
        size_t n = strlen(name);
        if (path[folder_length] != '/' || strchr(name, '/') || !n)
                return NULL;
        if ((n > 4 && strcmp(name + n - 4, "-shm") == 0) || (n > 5 && strcmp(name + n - 5, ".lock") == 0))
                return NULL;
        return name;
}

static const char *name_of(int fd, char path[PATH_MAX])
{
        char link[40];
        int saved = errno;
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t n = journal < 0 ? -1 : readlink(link, path, PATH_MAX - 1);
        errno = saved;
        if (n < 0)
                return NULL;
        path[n] = '\0';
        return name_in_folder(path);
}

static bool count_down(_Atomic int64_t *left)
{
        return atomic_load(left) >= 0 && atomic_fetch_sub(left, 1) == 0;
}

/* Each watched operation passes here before anything else of it happens. */
static void step(void)
{
        if (count_down(&faults->operations))
                syscall(SYS_kill, getpid(), SIGKILL);
}

static void note(char kind, const char *name, int64_t at, const void *data, size_t n)
{
        struct record r = {kind, 0, (uint16_t)strlen(name), (uint32_t)n, at, getpid()};
        struct iovec parts[] = {{&r, sizeof(r)}, {(void *)(uintptr_t)name, r.name_length}, {(void *)(uintptr_t)data, n}};
        size_t total = sizeof(r) + r.name_length + n;
        if (syscall(SYS_writev, journal, parts, 3) != (long)total)
                abort(); /* without its record the test says nothing */
}

/* How much of a write fits: what lies within the file's size has its place already. */
static size_t fitting(int fd, size_t n, off_t at)
{
        struct stat st;
        if (atomic_load(&faults->room) < 0 || fstat(fd, &st) < 0 || at + (off_t)n <= st.st_size)
                return n;
        size_t inside = at < st.st_size ? (size_t)(st.st_size - at) : 0, more = n - inside;
        int64_t room = atomic_load(&faults->room);
        if ((int64_t)more > room)
                more = (size_t)room;
        atomic_fetch_sub(&faults->room, (int64_t)more);
        return inside + more;
}

static ssize_t watched_write(int fd, const char *name, const void *p, size_t n, off_t at)
{
        step();
        size_t fits = fitting(fd, n, at);
        if (n && !fits) {
                errno = ENOSPC;
                return -1;
        }
        note('W', name, at, p, fits);
        return real_pwrite(fd, p, fits, at);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
        char path[PATH_MAX];
        const char *name = name_of(fd, path);
        return name ? watched_write(fd, name, p, n, at) : real_pwrite(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
        return pwrite(fd, p, n, at);
}

ssize_t write(int fd, const void *p, size_t n)
{
        char path[PATH_MAX];
        const char *name = name_of(fd, path);
        if (!name)
                return real_write(fd, p, n);
        off_t at = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
        ssize_t written = watched_write(fd, name, p, n, at);
        if (written > 0)
                lseek(fd, at + written, SEEK_SET);
        return written;
}

int ftruncate(int fd, off_t size)
{
        char path[PATH_MAX];
        const char *name = name_of(fd, path);
        if (name) {
                step();
                note('T', name, size, NULL, 0);
        }
        return real_ftruncate(fd, size);
}

int ftruncate64(int fd, off_t size)
{
        return ftruncate(fd, size);
}

static int watched_sync(int fd, int (*real)(int))
{
        char path[PATH_MAX];
        const char *name = name_of(fd, path);
        if (!name)
                return real(fd);
        int64_t which = (int64_t)getpid() << 32 | atomic_fetch_add(&sync_number, 1);
        step();
        note('B', name, which, NULL, 0);
        if (strcmp(name, ".") != 0 && count_down(&faults->syncs)) {
                errno = EIO; /* and as on Linux the next one may well succeed, with the data gone */
                return -1;
        }
        int r = real(fd);
        step();
        if (r == 0)
                note('S', name, which, NULL, 0);
        return r;
}

int fsync(int fd)
{
        return watched_sync(fd, real_fsync);
}

int fdatasync(int fd)
{
        return watched_sync(fd, real_fdatasync);
}

int unlink(const char *path)
{
        char whole[PATH_MAX];
        const char *name = journal >= 0 && realpath(path, whole) ? name_in_folder(whole) : NULL;
        if (name) {
                step();
                note('U', name, 0, NULL, 0);
        }
        return real_unlink(path);
}
