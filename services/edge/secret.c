/* SPDX-License-Identifier: Apache-2.0
 *
 * The edge's CURVE secret key in its file, made at the first start.
 */
#include "services/edge/edge.h"

#include "common/base/log.h"
#include "common/base/private.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* A line of its own in a file of its owner's alone. */
static int read_secret(const char *path, char ret_secret[CURVE_KEY_SIZE])
{
        char text[CURVE_KEY_SIZE + 2];
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        ssize_t n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, text, sizeof(text)) : -1;
        bool private = n >= 0 && file_is_private(&st, file_is_sealed(fd));
        close(fd);
        struct str rest = str_bytes(text, n < 0 ? 0 : (size_t)n), line = str_cut(&rest, '\n');
        bool valid = private && !rest.n && curve_key_is_valid(line);
        if (valid)
                snprintf(ret_secret, CURVE_KEY_SIZE, "%.*s", (int)line.n, line.p);
        explicit_bzero(text, sizeof(text));
        return valid ? 0 : -EINVAL;
}

/* Written beside it, then put in its place, unless another edge was faster: its key is as good. */
static int make_secret(const char *path)
{
        char secret[CURVE_KEY_SIZE], public[CURVE_KEY_SIZE], fresh[4096];
        if (snprintf(fresh, sizeof(fresh), "%s.%d", path, getpid()) >= (int)sizeof(fresh))
                return -ENAMETOOLONG;
        int r = curve_key_new(secret, public);
        int fd = r < 0 ? -1 : open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return r < 0 ? r : -errno;
        secret[CURVE_KEY_SIZE - 1] = '\n';
        r = write(fd, secret, sizeof(secret)) == sizeof(secret) && fsync(fd) == 0 ? 0 : -EIO;
        explicit_bzero(secret, sizeof(secret));
        close(fd);
        if (r == 0 && link(fresh, path) < 0 && errno != EEXIST)
                r = -errno;
        unlink(fresh);
        if (r == 0)
                log_info("a key was made, by which agencies know this edge: back it up", "path=%s", path);
        return r;
}

int secret_open(const char *path, char ret_secret[CURVE_KEY_SIZE])
{
        int r = read_secret(path, ret_secret);
        if (r == -ENOENT && (r = make_secret(path)) == 0)
                r = read_secret(path, ret_secret);
        return r;
}
