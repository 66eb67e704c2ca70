/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread that sends. A call belongs to the loop, is the thread's from outbound_send until it is handed back, and is the
 * loop's again for its end. What both look at stands under the lock.
 */
#include "common/outbound/outbound.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/outbound/address.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define POLL_MS       1000
#define ANSWER_MOST   65536 /* bytes that are read of an answer's body, and of its head */
#define CONNECT_MS    10000
#define IDLE_MOST     256   /* connections that are kept for the next request */
#define IDLE_S        60

struct call_queue {
        struct outbound_call *first, *last;
};

struct outbound {
        struct outbound_options options;
        char *agent;
        int authorities; /* a file in memory: the system's certificates and ours; -1: the system's are all */
        char authorities_path[40];
        CURLM *multi;
        pthread_t thread;
        pthread_mutex_t lock;
        struct call_queue come, ended; /* under the lock, as are the next two */
        bool posted, stopping;
        struct outbound_call *under_way; /* the thread's: a list */
};

struct outbound_call {
        struct outbound *outbound;
        struct outbound_call *next, *previous;
        outbound_done_fn done;
        void *arg;
        bool cancelled; /* under the lock */
        bool plain, refused, too_long;
        CURL *easy;
        struct curl_slist *head;
        char *method, *url;
        struct buf body;
        char *wanted[OUTBOUND_FIELDS];
        int64_t timeout_us, began_us;
        size_t n_read;
        struct outbound_result result;
};

/* --- lists ------------------------------------------------------------------------------------------------------ */

static void queue_add(struct call_queue *queue, struct outbound_call *call)
{
        call->next = NULL;
        if (queue->last)
                queue->last->next = call;
        else
                queue->first = call;
        queue->last = call;
}

static struct outbound_call *queue_take(struct call_queue *queue)
{
        struct outbound_call *call = queue->first;
        if (call)
                queue->first = call->next;
        if (!queue->first)
                queue->last = NULL;
        return call;
}

static void under_way_add(struct outbound *o, struct outbound_call *call)
{
        call->previous = NULL;
        call->next = o->under_way;
        if (call->next)
                call->next->previous = call;
        o->under_way = call;
}

static void under_way_remove(struct outbound *o, struct outbound_call *call)
{
        if (call->previous)
                call->previous->next = call->next;
        else
                o->under_way = call->next;
        if (call->next)
                call->next->previous = call->previous;
}

static void call_free(struct outbound_call *call)
{
        curl_easy_cleanup(call->easy);
        curl_slist_free_all(call->head);
        free(call->method);
        free(call->url);
        buf_done(&call->body);
        for (size_t i = 0; i < OUTBOUND_FIELDS; i++)
                free(call->wanted[i]);
        free(call);
}

/* --- what the library asks on the thread -------------------------------------------------------------------------- */

/* The one place where a connection is made: to this very address, of all that the name stood for. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
        struct outbound_call *call = arg;
        enum address_kind kind = address_kind(&address->addr, address->addrlen);
        bool local = kind == ADDRESS_LOOPBACK && call->outbound->options.allow_loopback;
        if (purpose != CURLSOCKTYPE_IPCXN || !(local || (kind == ADDRESS_PUBLIC && !call->plain))) {
                call->refused = true;
                return CURL_SOCKET_BAD;
        }
        return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void keep_field(struct outbound_call *call, struct str line)
{
        struct str value = line, name = str_cut(&value, ':');
        value = str_trim(value);
        while (value.n && (value.p[value.n - 1] == '\r' || value.p[value.n - 1] == '\n'))
                value = str_trim((struct str){value.p, value.n - 1});
        for (size_t i = 0; i < OUTBOUND_FIELDS && call->wanted[i]; i++) {
                bool fits = value.n < OUTBOUND_FIELD_SIZE && !memchr(value.p ? value.p : "", '\0', value.n);
                if (!str_case_eq(name, str_of(call->wanted[i])))
                        continue;
                memcpy(call->result.fields[i], fits ? value.p : "", fits ? value.n : 0);
                call->result.fields[i][fits ? value.n : 0] = '\0';
        }
}

/* Less than what came ends the request. */
static size_t on_read(struct outbound_call *call, size_t n)
{
        call->n_read += n;
        call->too_long = call->n_read > ANSWER_MOST;
        return call->too_long ? 0 : n;
}

static size_t on_head(char *p, size_t size, size_t n, void *arg)
{
        struct outbound_call *call = arg;
        if (n * size > 5 && memcmp(p, "HTTP/", 5) == 0) /* an interim answer's fields are not the answer's */
                memset(call->result.fields, 0, sizeof(call->result.fields));
        keep_field(call, (struct str){p, n * size});
        return on_read(call, n * size);
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
        (void)p;
        return on_read(arg, n * size);
}

/* --- a request, on the thread ---------------------------------------------------------------------------------------- */

static const char *phrase(const struct outbound_call *call, CURLcode code)
{
        if (call->refused && code == CURLE_COULDNT_CONNECT)
                return "the address is not one that may be sent to";
        switch (code) {
        case CURLE_OPERATION_TIMEDOUT:
                return "timed out";
        case CURLE_COULDNT_RESOLVE_HOST:
                return "the name is not known";
        case CURLE_COULDNT_CONNECT:
                return "no connection";
        case CURLE_PEER_FAILED_VERIFICATION:
                return "the certificate is not trusted";
        case CURLE_SSL_CONNECT_ERROR:
                return "TLS failed";
        case CURLE_GOT_NOTHING:
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
                return "the connection was lost";
        case CURLE_PARTIAL_FILE:
                return "the answer was cut off";
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_WEIRD_SERVER_REPLY:
                return "that was no answer of HTTP";
        default:
                return call->too_long ? "the answer is too long" : curl_easy_strerror(code);
        }
}

static void end_call(struct outbound *o, struct outbound_call *call, CURLcode code);

static void set_up(const struct outbound *o, struct outbound_call *call)
{
        CURL *easy = call->easy;
        curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
        curl_easy_setopt(easy, CURLOPT_URL, call->url);
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, o->options.allow_loopback ? "https,http" : "https");
        curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
        curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* nor what the environment says */
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* nobody waits for a look-up that hangs */
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(call->timeout_us / 1000));
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
        curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_S);
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->head);
        curl_easy_setopt(easy, CURLOPT_USERAGENT, o->agent);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* only what comes from one file is read once for all connections */
        if (o->authorities >= 0)
                curl_easy_setopt(easy, CURLOPT_CAINFO, o->authorities_path);
        if (call->body.n) {
                curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)call->body.n);
                curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body.p);
        }
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

static void begin_call(struct outbound *o, struct outbound_call *call)
{
        call->began_us = clock_monotonic_us();
        call->plain = strncasecmp(call->url, "https:", 6) != 0;
        call->easy = curl_easy_init();
        if (!call->easy)
                abort();
        set_up(o, call);
        under_way_add(o, call);
        CURLMcode r = curl_multi_add_handle(o->multi, call->easy);
        if (r != CURLM_OK)
                end_call(o, call, CURLE_FAILED_INIT);
}

static void on_ended(void *arg);

/* Back to the loop. */
static void end_call(struct outbound *o, struct outbound_call *call, CURLcode code)
{
        long status = 0;
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(o->multi, call->easy);
        under_way_remove(o, call);
        call->result.status = status >= 200 && status < 600 ? (unsigned)status : 0;
        call->result.error = code == CURLE_OK ? (call->result.status ? "" : "that was no answer of HTTP") : phrase(call, code);
        call->result.took_us = clock_monotonic_us() - call->began_us;
        pthread_mutex_lock(&o->lock);
        queue_add(&o->ended, call);
        if (!o->posted)
                loop_post(o->options.loop, on_ended, o);
        o->posted = true;
        pthread_mutex_unlock(&o->lock);
}

/* --- the thread ---------------------------------------------------------------------------------------------------------- */

static void end_cancelled(struct outbound *o)
{
        struct outbound_call *next;
        for (struct outbound_call *call = o->under_way; call; call = next) {
                next = call->next;
                pthread_mutex_lock(&o->lock);
                bool cancelled = call->cancelled;
                pthread_mutex_unlock(&o->lock);
                if (cancelled)
                        end_call(o, call, CURLE_ABORTED_BY_CALLBACK);
        }
}

static bool take_what_came(struct outbound *o)
{
        struct outbound_call *call;
        pthread_mutex_lock(&o->lock);
        struct call_queue come = o->come;
        o->come = (struct call_queue){0};
        bool goes_on = !o->stopping;
        pthread_mutex_unlock(&o->lock);
        while ((call = queue_take(&come)))
                begin_call(o, call);
        return goes_on;
}

static void take_what_ended(struct outbound *o)
{
        CURLMsg *message;
        struct outbound_call *call;
        int left;
        while ((message = curl_multi_info_read(o->multi, &left))) {
                CURLcode code = message->data.result; /* the message goes with the handle */
                if (message->msg != CURLMSG_DONE)
                        continue;
                curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
                end_call(o, call, code);
        }
}

static void *outbound_main(void *arg)
{
        struct outbound *o = arg;
        int running;
        pthread_setname_np(pthread_self(), "outbound");
        while (take_what_came(o)) {
                end_cancelled(o);
                CURLMcode r = curl_multi_perform(o->multi, &running);
                take_what_ended(o);
                if (r == CURLM_OK)
                        r = curl_multi_poll(o->multi, NULL, 0, POLL_MS, NULL);
                if (r != CURLM_OK) {
                        log_error("cannot send", "error=\"%s\"", curl_multi_strerror(r));
                        usleep(POLL_MS * 1000);
                }
        }
        while (o->under_way)
                end_call(o, o->under_way, CURLE_ABORTED_BY_CALLBACK);
        return NULL;
}

/* --- on the loop -------------------------------------------------------------------------------------------------------- */

static void on_ended(void *arg)
{
        struct outbound *o = arg;
        struct outbound_call *call;
        pthread_mutex_lock(&o->lock);
        struct call_queue ended = o->ended;
        o->ended = (struct call_queue){0};
        o->posted = false;
        pthread_mutex_unlock(&o->lock);
        while ((call = queue_take(&ended))) {
                if (!call->cancelled)
                        call->done(call->arg, &call->result);
                call_free(call);
        }
}

struct outbound_call *outbound_send(struct outbound *o, const struct outbound_request *request, outbound_done_fn done,
                                    void *arg)
{
        struct outbound_call *call = mem_zalloc(sizeof(*call));
        call->outbound = o;
        call->done = done;
        call->arg = arg;
        call->method = mem_strdup(request->method);
        call->url = mem_strdup(request->url);
        call->timeout_us = request->timeout_us;
        buf_add_str(&call->body, request->body);
        for (const char *const *field = request->fields; field && *field; field++)
                call->head = curl_slist_append(call->head, *field);
        call->head = curl_slist_append(call->head, "Expect:");
        call->head = curl_slist_append(call->head, "Accept:");
        for (size_t i = 0; i < OUTBOUND_FIELDS && request->wanted[i]; i++)
                call->wanted[i] = mem_strdup(request->wanted[i]);
        pthread_mutex_lock(&o->lock);
        queue_add(&o->come, call);
        pthread_mutex_unlock(&o->lock);
        curl_multi_wakeup(o->multi);
        return call;
}

void outbound_cancel(struct outbound_call *call)
{
        struct outbound *o = call->outbound;
        pthread_mutex_lock(&o->lock);
        call->cancelled = true;
        pthread_mutex_unlock(&o->lock);
        curl_multi_wakeup(o->multi);
}

/* Appends a file to another; the one that is not there adds nothing. */
static int append_file(int to, const char *path)
{
        char block[16384];
        ssize_t n = 1;
        int from = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (from < 0)
                return path ? -errno : 0;
        while (n > 0) {
                n = read(from, block, sizeof(block));
                if (n > 0 && write(to, block, (size_t)n) != n)
                        n = -1;
        }
        int r = n < 0 ? -errno : 0;
        close(from);
        return r;
}

static int gather_authorities(struct outbound *o, const char *path)
{
        o->authorities = memfd_create("authorities", MFD_CLOEXEC);
        if (o->authorities < 0)
                return -errno;
        snprintf(o->authorities_path, sizeof(o->authorities_path), "/proc/self/fd/%d", o->authorities);
        int r = append_file(o->authorities, curl_version_info(CURLVERSION_NOW)->cainfo);
        return r == 0 || r == -ENOENT ? append_file(o->authorities, path) : r;
}

int outbound_new(const struct outbound_options *options, struct outbound **ret_outbound)
{
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return -EIO;
        struct outbound *o = mem_zalloc(sizeof(*o));
        o->options = *options;
        o->authorities = -1;
        int r = options->authorities ? gather_authorities(o, options->authorities) : 0;
        if (r != 0) {
                close(o->authorities);
                free(o);
                return r;
        }
        o->agent = mem_strdup(options->agent);
        o->multi = curl_multi_init();
        if (!o->multi)
                abort();
        curl_multi_setopt(o->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_MOST);
        curl_multi_setopt(o->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
        pthread_mutex_init(&o->lock, NULL);
        if (pthread_create(&o->thread, NULL, outbound_main, o) != 0)
                abort();
        *ret_outbound = o;
        return 0;
}

struct outbound *outbound_free(struct outbound *o)
{
        struct outbound_call *call;
        if (!o)
                return NULL;
        pthread_mutex_lock(&o->lock);
        o->stopping = true;
        pthread_mutex_unlock(&o->lock);
        curl_multi_wakeup(o->multi);
        pthread_join(o->thread, NULL);
        loop_post_cancel(o->options.loop, o);
        while ((call = queue_take(&o->come)))
                call_free(call);
        while ((call = queue_take(&o->ended)))
                call_free(call);
        curl_multi_cleanup(o->multi);
        pthread_mutex_destroy(&o->lock);
        free(o->agent);
        if (o->authorities >= 0)
                close(o->authorities);
        free(o);
        return NULL;
}
