/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may read a file with a secret, by its mode, its owner and its file system.
 */
#include "common/base/private.h"

#include <sys/statvfs.h>
#include <unistd.h>

bool file_is_sealed(int fd)
{
        struct statvfs fs;
        return fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_RDONLY);
}

bool file_is_private(const struct stat *st, bool sealed)
{
        bool ours = st->st_uid == geteuid() || geteuid() == 0;
        return (ours && (st->st_mode & 077) == 0) || (sealed && st->st_uid == 0 && (st->st_mode & 027) == 0);
}
