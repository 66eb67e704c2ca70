/* SPDX-License-Identifier: Apache-2.0
 *
 * CURVE for tcp://: the keys of a folder, and the ZAP handler (RFC 27), a thread that lets in the callers
 * whose public keys stand there and nobody else. Keys are read once, at the start.
 */
#include "common/bus/bus_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_SIZE = 32, KEY_TEXT = 40, PEERS_MAX = 1024 };

struct security {
        char server_secret[KEY_TEXT + 1], server_public[KEY_TEXT + 1]; /* of what we bind; empty: none */
        char client_secret[KEY_TEXT + 1], client_public[KEY_TEXT + 1]; /* of what we connect; empty: none */
        char servers_public[KEY_TEXT + 1];                             /* of those we connect to */
        uint8_t (*peers)[KEY_SIZE];
        size_t n_peers;
        void *zap;
        pthread_t thread;
        bool running;
};

/* --- keys ----------------------------------------------------------------------------------------------- */

static int key_read(int folder, const char *name, bool secret, char ret_key[KEY_TEXT + 1])
{
        int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        char text[KEY_TEXT + 3];
        struct stat st;
        ssize_t n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, text, sizeof(text)) : -1;
        close(fd);
        while (n > KEY_TEXT && (text[n - 1] == '\n' || text[n - 1] == '\r'))
                n--;
        if (n != KEY_TEXT || (secret && (st.st_mode & 077)))
                return -EINVAL;
        text[n] = 0;
        uint8_t binary[KEY_SIZE];
        if (!zmq_z85_decode(binary, text))
                return -EINVAL;
        memcpy(ret_key, text, KEY_TEXT + 1);
        return 0;
}

/* A secret key and its public one; both stay empty without the file. */
static int pair_read(int folder, const char *name, char secret[KEY_TEXT + 1], char public[KEY_TEXT + 1])
{
        int r = key_read(folder, name, true, secret);
        if (r == 0 && zmq_curve_public(public, secret) < 0)
                return -EINVAL;
        return r == -ENOENT ? 0 : r;
}

static int peers_read(struct security *security, int folder)
{
        int fd = openat(folder, "peers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        DIR *dir = fdopendir(fd);
        if (!dir)
                abort();
        security->peers = mem_zalloc(PEERS_MAX * sizeof(*security->peers));
        int r = 0;
        for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
                size_t n = strlen(entry->d_name);
                char key[KEY_TEXT + 1];
                if (n < 5 || strcmp(entry->d_name + n - 4, ".pub") != 0)
                        continue;
                r = security->n_peers == PEERS_MAX ? -E2BIG : key_read(dirfd(dir), entry->d_name, false, key);
                if (r == 0)
                        zmq_z85_decode(security->peers[security->n_peers++], key);
        }
        closedir(dir);
        return r;
}

static int keys_read(struct security *security, const char *path, const char **ret_error)
{
        int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0) {
                *ret_error = "the folder of CURVE keys cannot be opened";
                return -errno;
        }
        *ret_error = "server.key must be a CURVE secret key: 40 characters of Z85, mode 0600";
        int r = pair_read(folder, "server.key", security->server_secret, security->server_public);
        if (r == 0) {
                *ret_error = "client.key must be a CURVE secret key: 40 characters of Z85, mode 0600";
                r = pair_read(folder, "client.key", security->client_secret, security->client_public);
        }
        if (r == 0) {
                *ret_error = "server.pub must be a CURVE public key: 40 characters of Z85";
                r = key_read(folder, "server.pub", false, security->servers_public);
                r = r == -ENOENT ? 0 : r;
        }
        if (r == 0) {
                *ret_error =
                    "peers/*.pub must be CURVE public keys: 40 characters of Z85 each, at most 1,024 files";
                r = peers_read(security, folder);
        }
        close(folder);
        return r;
}

int security_apply(const struct security *security, void *socket, bool server)
{
        int one = 1, r;
        if (server ? !*security->server_secret : !*security->client_secret || !*security->servers_public)
                return -ENOKEY;
        if (server)
                r = zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &one, sizeof(one)) |
                    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, security->server_secret, KEY_TEXT + 1) |
                    zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "nuanxin", strlen("nuanxin"));
        else
                r = zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, security->servers_public, KEY_TEXT + 1) |
                    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, security->client_public, KEY_TEXT + 1) |
                    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, security->client_secret, KEY_TEXT + 1);
        return r < 0 ? -EINVAL : 0;
}

/* --- the ZAP handler ------------------------------------------------------------------------------------ */

enum {
        ZAP_VERSION,
        ZAP_REQUEST_ID,
        ZAP_DOMAIN,
        ZAP_ADDRESS,
        ZAP_ROUTING_ID,
        ZAP_MECHANISM,
        ZAP_KEY,
        ZAP_FRAMES
};

struct zap_request {
        char frames[ZAP_FRAMES][256];
        int sizes[ZAP_FRAMES];
        int n; /* frames that came, which may be more than are kept */
};

/* False at the context's end. */
static bool zap_receive(void *zap, struct zap_request *request)
{
        request->n = 0;
        for (int more = 1; more;) {
                char rest[256];
                bool kept = request->n < ZAP_FRAMES;
                int n = zmq_recv(zap, kept ? request->frames[request->n] : rest, sizeof(rest), 0);
                if (n < 0 && zmq_errno() == EINTR)
                        continue;
                if (n < 0)
                        return false;
                if (kept)
                        request->sizes[request->n] = n;
                request->n++;
                size_t size = sizeof(more);
                if (zmq_getsockopt(zap, ZMQ_RCVMORE, &more, &size) < 0)
                        return false;
        }
        return true;
}

static bool frame_is(const struct zap_request *request, int i, const char *text)
{
        return str_is(str_bytes(request->frames[i], (size_t)request->sizes[i]), text);
}

static bool zap_allows(const struct security *security, const struct zap_request *request)
{
        if (request->n != ZAP_FRAMES || !frame_is(request, ZAP_VERSION, "1.0") ||
            !frame_is(request, ZAP_MECHANISM, "CURVE") || request->sizes[ZAP_KEY] != KEY_SIZE)
                return false;
        for (size_t i = 0; i < security->n_peers; i++)
                if (memcmp(security->peers[i], request->frames[ZAP_KEY], KEY_SIZE) == 0)
                        return true;
        return false;
}

static void zap_answer(void *zap, const struct zap_request *request, bool allowed)
{
        struct str id = {0};
        if (request->n > ZAP_REQUEST_ID && request->sizes[ZAP_REQUEST_ID] <= 256)
                id = str_bytes(request->frames[ZAP_REQUEST_ID], (size_t)request->sizes[ZAP_REQUEST_ID]);
        struct str frames[] = {STR("1.0"), id, str_of(allowed ? "200" : "400"), STR(""), STR(""), STR("")};
        for (size_t i = 0; i < ARRAY_LEN(frames); i++)
                if (zmq_send(zap, frames[i].p, frames[i].n, i + 1 < ARRAY_LEN(frames) ? ZMQ_SNDMORE : 0) < 0)
                        return;
}

static void *run_zap(void *arg)
{
        struct security *security = arg;
        struct zap_request request;
        while (zap_receive(security->zap, &request))
                zap_answer(security->zap, &request, zap_allows(security, &request));
        zmq_close(security->zap);
        return NULL;
}

static int zap_start(struct security *security, void *context)
{
        security->zap = zmq_socket(context, ZMQ_REP);
        if (!security->zap || zmq_bind(security->zap, "inproc://zeromq.zap.01") < 0)
                return -zmq_errno();
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        int r = -pthread_create(&security->thread, NULL, run_zap, security);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        security->running = r == 0;
        return r;
}

int security_new(void *context, const char *folder, struct security **ret_security, const char **ret_error)
{
        struct security *security = mem_zalloc(sizeof(*security));
        int r = keys_read(security, folder, ret_error);
        if (r == 0) {
                *ret_error = "the ZAP handler cannot start";
                r = zap_start(security, context);
        }
        if (r < 0) {
                if (security->zap)
                        zmq_close(security->zap);
                security_free(security);
                return r;
        }
        *ret_security = security;
        return 0;
}

void security_stop(struct security *security)
{
        if (security->running)
                pthread_join(security->thread, NULL);
        security->running = false;
}

struct security *security_free(struct security *security)
{
        if (!security)
                return NULL;
        explicit_bzero(security->server_secret, sizeof(security->server_secret));
        explicit_bzero(security->client_secret, sizeof(security->client_secret));
        free(security->peers);
        free(security);
        return NULL;
}
