/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder of one role's CURVE keys: its own secret, whom it lets in and whom it calls. Reads; judges nothing.
 */
#include "common/base/private.h"
#include "common/bus/bus_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_TEXT = CURVE_KEY_SIZE - 1, FILE_MOST = 4 * (KEY_TEXT + 2), PEERS_MAX = 1024 };

int curve_key_new(char ret_secret[CURVE_KEY_SIZE], char ret_public[CURVE_KEY_SIZE])
{
        return zmq_curve_keypair(ret_public, ret_secret) < 0 ? -zmq_errno() : 0;
}

bool curve_key_is_valid(struct str text)
{
        char key[CURVE_KEY_SIZE];
        uint8_t binary[32];
        if (text.n != KEY_TEXT || memchr(text.p, '\0', text.n))
                return false;
        memcpy(key, text.p, KEY_TEXT);
        key[KEY_TEXT] = 0;
        return zmq_z85_decode(binary, key) != NULL;
}

int curve_key_public(const char *secret, char ret_public[CURVE_KEY_SIZE])
{
        return curve_key_is_valid(str_of(secret)) && zmq_curve_public(ret_public, secret) == 0 ? 0 : -EINVAL;
}

/* The whole of a small file. -EINVAL: too large, no file, or a secret that others may read. */
static int file_read(int folder, const char *name, bool secret, char text[FILE_MOST + 1], struct str *ret_text)
{
        struct stat st;
        int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        ssize_t n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, text, FILE_MOST + 1) : -1;
        bool sealed = file_is_sealed(fd);
        close(fd);
        if (n < 0 || n > FILE_MOST || (secret && !file_is_private(&st, sealed)))
                return -EINVAL;
        *ret_text = str_bytes(text, (size_t)n);
        return 0;
}

static struct str line_cut(struct str *text)
{
        struct str line = str_cut(text, '\n');
        if (line.n && line.p[line.n - 1] == '\r')
                line.n--;
        return line;
}

static int self_read(struct curve_keys *keys, int folder)
{
        char text[FILE_MOST + 1];
        struct str rest;
        int r = file_read(folder, "self.key", true, text, &rest);
        if (r < 0)
                return r;
        struct str line = line_cut(&rest);
        if (curve_key_is_valid(line) && !rest.n) {
                memcpy(keys->secret, line.p, line.n);
                r = curve_key_public(keys->secret, keys->public);
        } else {
                r = -EINVAL;
        }
        explicit_bzero(text, sizeof(text));
        return r;
}

/* NAME.pub: a key a line, the newest first; up to CURVE_KEYS_EACH, so that one can take another's place. */
static int peer_read(struct curve_list *list, int folder, const char *file, size_t name_n)
{
        char text[FILE_MOST + 1];
        struct str rest;
        int r = file_read(folder, file, false, text, &rest), n = 0;
        while (r == 0 && rest.n) {
                struct str line = line_cut(&rest);
                if (!curve_key_is_valid(line) || ++n > CURVE_KEYS_EACH || name_n >= CURVE_NAME_SIZE)
                        return -EINVAL;
                if (list->n == PEERS_MAX)
                        return -E2BIG;
                struct curve_peer *peer = &list->items[list->n++];
                memcpy(peer->name, file, name_n);
                memcpy(peer->key, line.p, line.n);
        }
        return r == 0 && !n ? -EINVAL : r;
}

/* A caller's key says which role it is: so it may not stand under two names. */
static bool names_are_clear(const struct curve_list *list)
{
        for (size_t i = 0; i < list->n; i++)
                for (size_t k = 0; k < i; k++)
                        if (strcmp(list->items[i].key, list->items[k].key) == 0 &&
                            strcmp(list->items[i].name, list->items[k].name) != 0)
                                return false;
        return true;
}

static int list_read(struct curve_list *list, int folder, const char *name)
{
        int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        DIR *dir = fdopendir(fd);
        if (!dir)
                abort();
        list->items = mem_zalloc(PEERS_MAX * sizeof(*list->items));
        int r = 0;
        for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
                size_t n = strlen(entry->d_name);
                if (n >= 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 4, ".pub") == 0)
                        r = peer_read(list, fd, entry->d_name, n - 4);
        }
        closedir(dir);
        list->items = mem_realloc(list->items, (list->n + 1) * sizeof(*list->items));
        return r;
}

int curve_keys_read(const char *path, struct curve_keys **ret_keys, const char **ret_error)
{
        int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0) {
                *ret_error = "there is no such folder of CURVE keys; copy the role's folder here (nuanxin keys curve)";
                return -errno;
        }
        struct curve_keys *keys = mem_zalloc(sizeof(*keys));
        *ret_error = "self.key must be one CURVE secret key: 40 characters of Z85, mode 0600";
        int r = self_read(keys, folder);
        if (r == 0) {
                *ret_error = "callers/*.pub must be CURVE public keys, one a line and at most 4; 1,024 keys in all";
                r = list_read(&keys->callers, folder, "callers");
        }
        if (r == 0 && !names_are_clear(&keys->callers)) {
                *ret_error = "callers/*.pub has the same key under two names: which role it is must be clear";
                r = -EINVAL;
        }
        if (r == 0) {
                *ret_error = "services/*.pub must be CURVE public keys, one a line and at most 4; 1,024 keys in all";
                r = list_read(&keys->services, folder, "services");
        }
        close(folder);
        if (r < 0)
                keys = curve_keys_free(keys);
        *ret_keys = keys;
        return r;
}

struct curve_keys *curve_keys_free(struct curve_keys *keys)
{
        if (!keys)
                return NULL;
        explicit_bzero(keys->secret, sizeof(keys->secret));
        free(keys->callers.items);
        free(keys->services.items);
        free(keys);
        return NULL;
}

static bool lists_differ(const struct curve_list *a, const struct curve_list *b)
{
        return a->n != b->n || (a->n && memcmp(a->items, b->items, a->n * sizeof(*a->items)) != 0);
}

bool curve_keys_differ(const struct curve_keys *a, const struct curve_keys *b)
{
        return strcmp(a->secret, b->secret) != 0 || lists_differ(&a->callers, &b->callers) ||
               lists_differ(&a->services, &b->services);
}
