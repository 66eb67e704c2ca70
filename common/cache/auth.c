/* SPDX-License-Identifier: Apache-2.0
 *
 * Redis's user and password from a file, so that they stand in no command line.
 */
#include "common/base/private.h"
#include "common/cache/cache.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MOST = 4096 };

static int take_line(struct cache_auth *auth, struct str line)
{
        struct str name = str_cut(&line, ' ');
        struct {
                const char *name;
                char **target;
        } entries[] = {
                {"user", &auth->user}, {"password", &auth->password},
                {"sentinel-user", &auth->sentinel_user}, {"sentinel-password", &auth->sentinel_password},
        };
        for (size_t i = 0; i < ARRAY_LEN(entries); i++)
                if (str_is(name, entries[i].name) && line.n && !*entries[i].target) {
                        *entries[i].target = mem_strndup(line.p, line.n);
                        return 0;
                }
        return -EINVAL;
}

int cache_auth_read(const char *path, struct cache_auth *ret_auth, const char **ret_error)
{
        char text[FILE_MOST + 1];
        struct stat st;
        struct cache_auth auth = {0};
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        *ret_error = "it can't be read";
        if (fd < 0)
                return -errno;
        ssize_t n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, text, sizeof(text)) : -1;
        bool sealed = file_is_sealed(fd);
        close(fd);
        if (n < 0)
                return -EINVAL;
        *ret_error = "it must be for its owner only: chmod go= it";
        if (!file_is_private(&st, sealed))
                return -EPERM;
        *ret_error = "its lines are: password TEXT; and where needed user NAME, sentinel-user NAME, sentinel-password TEXT";
        int r = n > FILE_MOST ? -EINVAL : 0;
        for (struct str rest = {text, r ? 0 : (size_t)n}; r == 0 && rest.n;)
                r = take_line(&auth, str_cut(&rest, '\n'));
        if (r == 0 && ((auth.user && !auth.password) || (auth.sentinel_user && !auth.sentinel_password)))
                r = -EINVAL;
        explicit_bzero(text, sizeof(text));
        if (r < 0)
                cache_auth_done(&auth);
        else
                *ret_auth = auth;
        return r;
}

void cache_auth_done(struct cache_auth *auth)
{
        char *all[] = {auth->user, auth->password, auth->sentinel_user, auth->sentinel_password};
        for (size_t i = 0; i < ARRAY_LEN(all); i++) {
                if (all[i])
                        explicit_bzero(all[i], strlen(all[i]));
                free(all[i]);
        }
        *auth = (struct cache_auth){0};
}
