/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading and writing a backup's file.
 */
#include "common/transfer/file.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define CONTEXT "backup"
#define MAGIC_SIZE (sizeof(BACKUP_MAGIC) - 1)

int transfer_fail(const char **ret_error, int r, const char *format, ...)
{
        static _Thread_local char text[600];
        char new_text[600]; /* an argument may be the last text */
        va_list args;
        va_start(args, format);
        vsnprintf(new_text, sizeof(new_text), format, args);
        va_end(args);
        memcpy(text, new_text, sizeof(text));
        *ret_error = text;
        return r;
}

static void put_u32(unsigned char out[4], size_t v)
{
        for (int i = 0; i < 4; i++)
                out[i] = (unsigned char)(v >> (8 * i));
}

static size_t get_u32(const char *p)
{
        size_t v = 0;
        for (int i = 3; i >= 0; i--)
                v = v << 8 | (unsigned char)p[i];
        return v;
}

/* --- blocks ------------------------------------------------------------------------------------------------------------ */

void block_deflate(struct buf *out, struct str plain)
{
        uLongf n = compressBound(plain.n);
        buf_reserve(out, 4 + n);
        put_u32((unsigned char *)out->p + out->n, plain.n);
        if (compress2((Bytef *)out->p + out->n + 4, &n, (const Bytef *)plain.p, plain.n, 3) != Z_OK)
                abort(); /* there is room */
        out->n += 4 + n;
}

int block_inflate(struct buf *out, struct str packed)
{
        if (packed.n < 4)
                return -EBADMSG;
        size_t size = get_u32(packed.p);
        uLongf n = size;
        if (size > BACKUP_BLOCK_MOST)
                return -EBADMSG;
        out->n = 0;
        buf_reserve(out, size + 1);
        if (uncompress((Bytef *)out->p, &n, (const Bytef *)packed.p + 4, packed.n - 4) != Z_OK || n != size)
                return -EBADMSG;
        out->n = size;
        return 0;
}

/* --- writing ----------------------------------------------------------------------------------------------------------- */

struct backup_writer {
        char *path, *part;
        int fd;
        struct seal_stream *stream;
        struct buf records, packed, sealed;
        int64_t bytes;
};

static int write_all(struct backup_writer *w, const void *data, size_t n, const char **ret_error)
{
        const char *p = data;
        while (n) {
                ssize_t written = write(w->fd, p, n);
                if (written < 0 && errno != EINTR)
                        return transfer_fail(ret_error, -errno, "can't write %s: %s", w->part, strerror(errno));
                if (written > 0) {
                        p += written;
                        n -= (size_t)written;
                        w->bytes += written;
                }
        }
        return 0;
}

int backup_writer_new(const char *path, const struct keyring *keyring, struct backup_writer **ret_writer, const char **ret_error)
{
        _cleanup_(backup_writer_freep) struct backup_writer *w = mem_zalloc(sizeof(*w));
        unsigned char head[SEAL_STREAM_HEAD];
        struct stat st;

        w->fd = -1;
        if (lstat(path, &st) == 0)
                return transfer_fail(ret_error, -EEXIST, "%s is there already; give each backup a name of its own", path);
        w->path = mem_strdup(path);
        if (asprintf(&w->part, "%s.part-%d", path, getpid()) < 0)
                abort();
        w->fd = open(w->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (w->fd < 0)
                return transfer_fail(ret_error, -errno, "can't make %s: %s", w->part, strerror(errno));
        w->stream = seal_stream_new(keyring, CONTEXT, head);
        int r = write_all(w, BACKUP_MAGIC, MAGIC_SIZE, ret_error);
        if (r == 0)
                r = write_all(w, head, sizeof(head), ret_error);
        if (r == 0)
                *ret_writer = TAKE(w);
        return r;
}

struct buf *backup_writer_buf(struct backup_writer *w)
{
        return &w->records;
}

static int write_block(struct backup_writer *w, bool last, const char **ret_error)
{
        w->packed.n = 0;
        block_deflate(&w->packed, buf_str(&w->records));
        w->records.n = w->sealed.n = 0;
        size_t n = w->packed.n + SEAL_STREAM_OVERHEAD;
        buf_reserve(&w->sealed, 4 + n);
        put_u32((unsigned char *)w->sealed.p, n);
        seal_stream_push(w->stream, buf_str(&w->packed), last, (unsigned char *)w->sealed.p + 4);
        return write_all(w, w->sealed.p, 4 + n, ret_error);
}

int backup_writer_flush(struct backup_writer *w, const char **ret_error)
{
        return w->records.n < BACKUP_BLOCK ? 0 : write_block(w, false, ret_error);
}

static int sync_folder(const char *path, const char **ret_error)
{
        const char *slash = strrchr(path, '/');
        _cleanup_(mem_freep) char *folder = mem_strdup(slash ? path : ".");
        if (slash)
                folder[slash - path + 1] = '\0';
        int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = fd < 0 || fsync(fd) < 0 ? transfer_fail(ret_error, -errno, "can't sync the folder %s: %s", folder, strerror(errno)) : 0;
        if (fd >= 0)
                close(fd);
        return r;
}

/* What came there meanwhile stays, where the file system can do that. */
static int put_there(const struct backup_writer *w)
{
        int r = renameat2(AT_FDCWD, w->part, AT_FDCWD, w->path, RENAME_NOREPLACE);
        return r < 0 && errno == EINVAL ? rename(w->part, w->path) : r;
}

int backup_writer_end(struct backup_writer *w, int64_t *ret_bytes, const char **ret_error)
{
        int r = write_block(w, true, ret_error);
        if (r == 0 && fsync(w->fd) < 0)
                r = transfer_fail(ret_error, -errno, "can't sync %s: %s", w->part, strerror(errno));
        if (r == 0 && put_there(w) < 0)
                r = transfer_fail(ret_error, -errno, "can't put the backup at %s: %s", w->path, strerror(errno));
        if (r == 0) {
                close(w->fd);
                w->fd = -1;
                r = sync_folder(w->path, ret_error);
        }
        if (r == 0)
                *ret_bytes = w->bytes;
        return r;
}

struct backup_writer *backup_writer_free(struct backup_writer *w)
{
        if (w) {
                if (w->fd >= 0) {
                        close(w->fd);
                        unlink(w->part);
                }
                seal_stream_free(w->stream);
                buf_done(&w->records);
                buf_done(&w->packed);
                buf_done(&w->sealed);
                free(w->path);
                free(w->part);
                free(w);
        }
        return NULL;
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

struct backup_reader {
        char *path;
        FILE *file;
        struct seal_stream *stream;
        struct buf sealed, packed, block;
        int64_t done, size;
        bool ended;
};

static int damaged(const struct backup_reader *r, const char **ret_error)
{
        return transfer_fail(ret_error, -EBADMSG, "%s is damaged or was cut short, from byte %lld on", r->path, (long long)r->done);
}

int backup_reader_new(const char *path, const struct keyring *keyring, struct backup_reader **ret_reader, const char **ret_error)
{
        _cleanup_(backup_reader_freep) struct backup_reader *b = mem_zalloc(sizeof(*b));
        char magic[MAGIC_SIZE];
        unsigned char head[SEAL_STREAM_HEAD];
        struct stat st;

        b->path = mem_strdup(path);
        b->file = fopen(path, "re");
        if (!b->file || fstat(fileno(b->file), &st) < 0)
                return transfer_fail(ret_error, -errno, "can't read %s: %s", path, strerror(errno));
        b->size = st.st_size;
        if (fread(magic, sizeof(magic), 1, b->file) != 1 || memcmp(magic, BACKUP_MAGIC, MAGIC_SIZE) != 0)
                return transfer_fail(ret_error, -EBADMSG, "%s is not a backup of this format", path);
        if (fread(head, sizeof(head), 1, b->file) != 1)
                return damaged(b, ret_error);
        b->done = (int64_t)(sizeof(magic) + sizeof(head));
        if (seal_stream_open(keyring, CONTEXT, head, &b->stream) != 0)
                return transfer_fail(ret_error, -EKEYREJECTED, "%s does not open with this keyring: give --keys the one (or a backup "
                                     "of it) of the stack that it was made of", path);
        *ret_reader = TAKE(b);
        return 0;
}

int backup_reader_next(struct backup_reader *b, struct str *ret_block, const char **ret_error)
{
        char length[4];
        if (b->ended)
                return fgetc(b->file) == EOF ? 0 : damaged(b, ret_error);
        if (fread(length, sizeof(length), 1, b->file) != 1)
                return damaged(b, ret_error);
        size_t n = get_u32(length);
        if (n < SEAL_STREAM_OVERHEAD || n > BACKUP_BLOCK_MOST + SEAL_STREAM_OVERHEAD + 4096 || (int64_t)n > b->size - b->done)
                return damaged(b, ret_error);
        b->sealed.n = b->packed.n = 0;
        buf_reserve(&b->sealed, n);
        buf_reserve(&b->packed, n);
        if (fread(b->sealed.p, n, 1, b->file) != 1 ||
            seal_stream_pull(b->stream, (struct str){b->sealed.p, n}, (unsigned char *)b->packed.p, &b->ended) != 0 ||
            block_inflate(&b->block, (struct str){b->packed.p, n - SEAL_STREAM_OVERHEAD}) < 0)
                return damaged(b, ret_error);
        b->done += (int64_t)(sizeof(length) + n);
        *ret_block = buf_str(&b->block);
        return 1;
}

int64_t backup_reader_done(const struct backup_reader *b, int64_t *ret_size)
{
        *ret_size = b->size;
        return b->done;
}

struct backup_reader *backup_reader_free(struct backup_reader *b)
{
        if (b) {
                if (b->file)
                        fclose(b->file);
                seal_stream_free(b->stream);
                buf_done(&b->sealed);
                buf_done(&b->packed);
                buf_done(&b->block);
                free(b->path);
                free(b);
        }
        return NULL;
}
