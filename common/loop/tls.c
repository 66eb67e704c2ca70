/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate and its settings: TLS 1.2 and 1.3 with forward secrecy, http/1.1 by ALPN. A reload puts a
 * new context beside the old one; connections keep the one they began with.
 */
#include "common/loop/stream_internal.h"

#include <openssl/ssl.h>

#include <pthread.h>
#include <stdlib.h>

struct stream_tls {
        char *certificate, *key; /* file names */
        pthread_mutex_t lock;    /* of ctx: listeners on several threads, reload from any */
        SSL_CTX *ctx;
};

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
                           unsigned in_n, void *arg)
{
        static const unsigned char ours[] = "\x08http/1.1";
        (void)ssl;
        (void)arg;
        unsigned char *chosen;
        if (SSL_select_next_proto(&chosen, out_n, ours, sizeof(ours) - 1, in, in_n) != OPENSSL_NPN_NEGOTIATED)
                return SSL_TLSEXT_ERR_ALERT_FATAL;
        *out = chosen;
        return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *context_new(const char *certificate, const char *key, const char **ret_error)
{
        static const unsigned char id[] = "nuanxin";
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
        if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
            !SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") ||
            !SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1))
                *ret_error = "the TLS library refuses its settings";
        else if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
                *ret_error = "the certificate file cannot be read as PEM";
        else if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
                *ret_error = "the key file cannot be read as PEM, or it does not belong to the certificate";
        else {
                SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
                SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); /* an idle connection keeps 34 KiB less */
                SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
                return ctx;
        }
        SSL_CTX_free(ctx);
        return NULL;
}

int stream_tls_new(const char *certificate, const char *key, struct stream_tls **ret_tls,
                   const char **ret_error)
{
        SSL_CTX *ctx = context_new(certificate, key, ret_error);
        if (!ctx)
                return -EINVAL;
        struct stream_tls *tls = mem_zalloc(sizeof(*tls));
        tls->certificate = mem_strdup(certificate);
        tls->key = mem_strdup(key);
        pthread_mutex_init(&tls->lock, NULL);
        tls->ctx = ctx;
        *ret_tls = tls;
        return 0;
}

int stream_tls_reload(struct stream_tls *tls, const char **ret_error)
{
        SSL_CTX *ctx = context_new(tls->certificate, tls->key, ret_error);
        if (!ctx)
                return -EINVAL;
        pthread_mutex_lock(&tls->lock);
        SSL_CTX *old = tls->ctx;
        tls->ctx = ctx;
        pthread_mutex_unlock(&tls->lock);
        SSL_CTX_free(old);
        return 0;
}

struct stream_tls *stream_tls_free(struct stream_tls *tls)
{
        if (!tls)
                return NULL;
        SSL_CTX_free(tls->ctx);
        pthread_mutex_destroy(&tls->lock);
        free(tls->certificate);
        free(tls->key);
        free(tls);
        return NULL;
}

struct ssl_st *stream_tls_session(struct stream_tls *tls)
{
        pthread_mutex_lock(&tls->lock);
        SSL *ssl = SSL_new(tls->ctx);
        pthread_mutex_unlock(&tls->lock);
        return ssl;
}
