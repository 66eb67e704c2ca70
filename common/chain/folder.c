/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints in a folder: a file a host, to which lines are only ever added.
 */
#include "common/chain/chain.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX   ".jsonl"
#define LINE_MAX_BYTES 1024

static _Thread_local char said[512];

static int fail(const char **ret_error, int r, const char *format, ...) PRINTF(3, 4);
static int fail(const char **ret_error, int r, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        vsnprintf(said, sizeof(said), format, args);
        va_end(args);
        *ret_error = said;
        return r;
}

/* --- writing --------------------------------------------------------------------------------------------------------- */

static int sync_folder(const char *folder)
{
        int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;
        if (fd >= 0)
                close(fd);
        return r;
}

static int open_file(const char *folder, int *ret_fd)
{
        char host[65] = "", path[4096];
        struct stat st;
        gethostname(host, sizeof(host) - 1);
        for (char *c = host; *c; c++)
                if (*c == '/')
                        *c = '_';
        if (mkdir(folder, 0700) < 0 && errno != EEXIST)
                return -errno;
        if (snprintf(path, sizeof(path), "%s/%s" SUFFIX, folder, host[0] ? host : "log") >= (int)sizeof(path))
                return -ENAMETOOLONG;
        int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        int r = fstat(fd, &st) < 0 ? -errno : st.st_size == 0 ? sync_folder(folder) : 0;
        if (r < 0)
                close(fd);
        else
                *ret_fd = fd;
        return r;
}

/* What a line that was not written to its end left behind goes: nobody counts on it. */
static int end_line(int fd)
{
        char end[LINE_MAX_BYTES];
        struct stat st;
        if (fstat(fd, &st) < 0)
                return -errno;
        off_t from = st.st_size > (off_t)sizeof(end) ? st.st_size - (off_t)sizeof(end) : 0;
        ssize_t n = pread(fd, end, sizeof(end), from);
        if (n < 0)
                return -errno;
        const char *last = n ? memrchr(end, '\n', (size_t)n) : NULL;
        off_t whole = last ? from + (last - end) + 1 : from;
        return whole < st.st_size && ftruncate(fd, whole) < 0 ? -errno : 0;
}

int checkpoints_append(const char *folder, struct str lines)
{
        int fd = -1, r = open_file(folder, &fd);
        if (r < 0)
                return r;
        r = end_line(fd);
        ssize_t n = r == 0 ? write(fd, lines.p, lines.n) : 0;
        if (r == 0)
                r = n < 0 ? -errno : (size_t)n < lines.n ? -ENOSPC : fdatasync(fd) < 0 ? -errno : 0;
        close(fd);
        return r;
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

struct list {
        struct checkpoint *items;
        size_t n, room;
};

static void add(struct arena *arena, struct list *list, const struct checkpoint *checkpoint)
{
        if (list->n == list->room) {
                size_t room = list->room ? 2 * list->room : 256;
                struct checkpoint *items = ARENA_ARRAY(arena, struct checkpoint, room);
                if (list->n)
                        memcpy(items, list->items, list->n * sizeof(*items));
                list->items = items;
                list->room = room;
        }
        list->items[list->n++] = *checkpoint;
}

static int read_lines(FILE *file, const char *path, struct arena *arena, struct list *list, const char **ret_error)
{
        _cleanup_(arena_freep) struct arena *line_arena = arena_new(4096);
        char line[LINE_MAX_BYTES];
        for (size_t number = 1; fgets(line, sizeof(line), file); number++) {
                struct checkpoint checkpoint;
                struct str text = str_of(line);
                bool whole = text.n && text.p[text.n - 1] == '\n';
                text.n -= whole;
                arena_reset(line_arena);
                if (whole && checkpoint_read(line_arena, text, &checkpoint) == 0) {
                        add(arena, list, &checkpoint);
                        continue;
                }
                if (feof(file)) /* it was cut off while it was written */
                        return 0;
                return fail(ret_error, -EBADMSG, "line %zu of %s is no checkpoint", number, path);
        }
        return ferror(file) ? fail(ret_error, -EIO, "cannot read %s", path) : 0;
}

static int read_file(const char *path, struct arena *arena, struct list *list, const char **ret_error)
{
        FILE *file = fopen(path, "re");
        if (!file)
                return fail(ret_error, -errno, "cannot read %s: %m", path);
        int r = read_lines(file, path, arena, list, ret_error);
        fclose(file);
        return r;
}

static int by_place(const void *a, const void *b)
{
        const struct checkpoint *x = a, *y = b;
        int c = strcmp(x->epoch, y->epoch);
        return c ? c : x->seq != y->seq ? (x->seq > y->seq) - (x->seq < y->seq) : (x->kind > y->kind) - (x->kind < y->kind);
}

static bool is_ours(const char *name)
{
        size_t n = strlen(name), suffix = sizeof(SUFFIX) - 1;
        return n > suffix && strcmp(name + n - suffix, SUFFIX) == 0;
}

int checkpoints_read(const char *folder, struct arena *arena, struct checkpoint **ret, size_t *ret_n, const char **ret_error)
{
        struct list list = {0};
        struct dirent *entry;
        DIR *dir = opendir(folder);
        int r = 0;
        if (!dir)
                return fail(ret_error, -errno, "cannot read the folder %s: %m", folder);
        while (r == 0 && (entry = readdir(dir)))
                if (is_ours(entry->d_name))
                        r = read_file(arena_printf(arena, "%s/%s", folder, entry->d_name), arena, &list, ret_error);
        closedir(dir);
        if (r != 0)
                return r;
        if (list.n)
                qsort(list.items, list.n, sizeof(list.items[0]), by_place);
        *ret = list.items;
        *ret_n = list.n;
        return 0;
}
