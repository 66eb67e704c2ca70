/* SPDX-License-Identifier: Apache-2.0
 *
 * CURVE for tcp://: whom this process lets in and whom it calls, by the keys of its folder, which a thread reads
 * again each second; and the ZAP handler (RFC 27) on that thread, which lets in those callers and nobody else.
 *
 * A handshake is the only time at which libzmq asks. So that a key that was taken out counts for connections that
 * stand already, the handler names each caller by its key (User-Id), and the server asks about it again whenever
 * the keys have changed.
 */
#include "common/base/clock.h"
#include "common/bus/bus_internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_TEXT = CURVE_KEY_SIZE - 1, REFRESH_MS = 1000, NOTICES = 64 };
#define NOTICE_EVERY_US (10 * CLOCK_MINUTE_US) /* the same one */

struct notice {
        uint64_t hash;
        int64_t said_us;
};

struct security {
        char *folder;
        pthread_mutex_t lock; /* of keys and notices */
        struct curve_keys *keys;
        struct notice notices[NOTICES];
        _Atomic(unsigned) generation; /* of the keys */
        bus_notice_fn on_notice;
        void *notice_arg;
        int64_t read_us;
        void *zap;
        pthread_t thread;
        bool running;
};

/* --- what the log should know ---------------------------------------------------------------------------- */

void security_notice(struct security *security, const char *what, const char *detail)
{
        if (!security->on_notice)
                return;
        int64_t now = clock_monotonic_us();
        uint64_t hash = str_hash(str_of(what)) * 31 + str_hash(str_of(detail));
        pthread_mutex_lock(&security->lock);
        struct notice *oldest = security->notices;
        bool said = false;
        for (size_t i = 0; i < NOTICES; i++) {
                struct notice *n = &security->notices[i];
                said |= n->said_us && n->hash == hash && now - n->said_us < NOTICE_EVERY_US;
                if (n->said_us < oldest->said_us)
                        oldest = n;
        }
        if (!said)
                *oldest = (struct notice){.hash = hash, .said_us = now};
        pthread_mutex_unlock(&security->lock);
        if (!said)
                security->on_notice(security->notice_arg, what, detail);
}

/* --- keys ----------------------------------------------------------------------------------------------- */

/* Reads them again; what cannot be read leaves those that we have. */
static void refresh(struct security *security)
{
        struct curve_keys *fresh, *old = NULL;
        const char *error = "";
        int64_t now = clock_monotonic_us();
        if (now - security->read_us < REFRESH_MS * 1000)
                return;
        security->read_us = now;
        if (curve_keys_read(security->folder, &fresh, &error) < 0) {
                security_notice(security, "the CURVE keys cannot be read again: the old ones count", error);
                return;
        }
        pthread_mutex_lock(&security->lock);
        if (curve_keys_differ(fresh, security->keys)) {
                old = security->keys;
                security->keys = fresh;
                fresh = NULL;
                atomic_fetch_add(&security->generation, 1);
        }
        pthread_mutex_unlock(&security->lock);
        if (old && security->on_notice)
                security->on_notice(security->notice_arg, "the CURVE keys were read again", security->folder);
        curve_keys_free(fresh);
        curve_keys_free(old);
}

static int apply_server(const struct curve_keys *keys, void *socket)
{
        int one = 1;
        return zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &one, sizeof(one)) |
               zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->secret, KEY_TEXT + 1) |
               zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "nuanxin", strlen("nuanxin"));
}

/* The service's keys in turn, one an attempt. */
static int apply_client(const struct curve_keys *keys, void *socket, const char *service, unsigned attempt)
{
        const char *known[CURVE_KEYS_EACH];
        unsigned n = 0;
        for (size_t i = 0; i < keys->services.n && n < CURVE_KEYS_EACH; i++)
                if (strcmp(keys->services.items[i].name, service) == 0)
                        known[n++] = keys->services.items[i].key;
        if (!n)
                return -ENOKEY;
        return zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, known[attempt % n], KEY_TEXT + 1) |
               zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys->public, KEY_TEXT + 1) |
               zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->secret, KEY_TEXT + 1);
}

int security_apply(struct security *security, void *socket, const char *service, unsigned attempt)
{
        pthread_mutex_lock(&security->lock);
        int r = service ? apply_client(security->keys, socket, service, attempt) : apply_server(security->keys, socket);
        pthread_mutex_unlock(&security->lock);
        return r == -ENOKEY || r == 0 ? r : -EINVAL;
}

unsigned security_generation(const struct security *security)
{
        return atomic_load_explicit(&security->generation, memory_order_acquire);
}

bool security_lets_in(struct security *security, struct str key, char ret_role[BUS_ROLE_SIZE])
{
        const struct curve_peer *found = NULL;
        pthread_mutex_lock(&security->lock);
        for (size_t i = 0; i < security->keys->callers.n && !found; i++)
                if (str_is(key, security->keys->callers.items[i].key))
                        found = &security->keys->callers.items[i];
        if (found)
                memcpy(ret_role, found->name, BUS_ROLE_SIZE);
        pthread_mutex_unlock(&security->lock);
        return found;
}

/* --- the ZAP handler ------------------------------------------------------------------------------------ */

static void zap_serve(struct security *security, const struct zap_request *request)
{
        char key[CURVE_KEY_SIZE], detail[ZAP_TEXT_MAX], role[BUS_ROLE_SIZE];
        bool allowed = zap_key(request, key) && security_lets_in(security, str_of(key), role);
        zap_answer(security->zap, ZMQ_REP, request, allowed ? ZAP_LET_IN : ZAP_REFUSED, key);
        if (allowed)
                return;
        struct str address = zap_address(request);
        snprintf(detail, sizeof(detail), "%.*s with the key %s", (int)(address.n < 100 ? address.n : 100), address.p,
                 key[0] ? key : "(none)");
        security_notice(security, "a caller was refused: its CURVE key is not among callers/*.pub", detail);
}

static void *run_zap(void *arg)
{
        struct security *security = arg;
        struct zap_request request;
        zmq_pollitem_t item = {.socket = security->zap, .events = ZMQ_POLLIN};
        for (;;) {
                int n = zmq_poll(&item, 1, REFRESH_MS);
                if (n < 0 && zmq_errno() != EINTR)
                        break;
                refresh(security);
                if (n <= 0)
                        continue;
                if (zap_receive(security->zap, ZMQ_REP, 0, &request) < 0)
                        break;
                zap_serve(security, &request);
        }
        zmq_close(security->zap);
        return NULL;
}

/* --- life ------------------------------------------------------------------------------------------------ */

static int zap_start(struct security *security, void *context)
{
        int r = zap_open(context, ZMQ_REP, &security->zap);
        if (r < 0)
                return r;
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = -pthread_create(&security->thread, NULL, run_zap, security);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        security->running = r == 0;
        return r;
}

int security_new(void *context, const struct bus_options *options, struct security **ret_security,
                 const char **ret_error)
{
        struct security *security = mem_zalloc(sizeof(*security));
        security->folder = mem_strdup(options->curve_folder);
        security->on_notice = options->on_notice;
        security->notice_arg = options->notice_arg;
        pthread_mutex_init(&security->lock, NULL);
        int r = curve_keys_read(security->folder, &security->keys, ret_error);
        security->read_us = clock_monotonic_us();
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
        curve_keys_free(security->keys);
        pthread_mutex_destroy(&security->lock);
        free(security->folder);
        free(security);
        return NULL;
}
