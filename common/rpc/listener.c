/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread that waits for the database's notifications: "HEAD", "HEAD vacant", "0 arrived", "POSITION news" or "0 work".
 * What was said while the connection was lost is read from the outbox itself, and the worker is woken.
 */
#include "common/rpc/listener.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/rpc/leader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WAIT_US  (CLOCK_SECOND_US / 5) /* the longest that an end waits for the thread */
#define AGAIN_US (CLOCK_SECOND_US / 5) /* after the connection was lost */
#define LOOK_EVERY 10 /* waits without news */

struct listener {
        struct write_lanes *lanes;
        struct rpc_server *server;
        struct store_conn *db;
        char channel[80];
        pthread_t thread;
};

static void channel_of(const struct rpc_server *server, char out[80])
{
        snprintf(out, 80, "nuanxin_%s", server->service->name);
}

static const char *const words[] = {[LISTENER_HEAD] = "", [LISTENER_VACANT] = " vacant", [LISTENER_ARRIVED] = " arrived",
                                    [LISTENER_NEWS] = " news", [LISTENER_WORK] = " work"};

int listener_tell(struct write_lane *lane, int64_t head, enum listener_news news)
{
        static const char sql[] = "SELECT CAST(pg_notify($1, $2) AS TEXT)";
        char channel[80], text[64];
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        channel_of(lane->server, channel);
        snprintf(text, sizeof(text), "%" PRId64 "%s", head, words[news]);
        int r = store_query(lane->db, sql, &rows, TEXTZ(channel), TEXTZ(text));
        if (r == 0)
                r = store_next(rows);
        return r == 1 ? 0 : r;
}

int listener_read_head(struct store_conn *db, int64_t *ret_head)
{
        static const char sql[] = "SELECT COALESCE(MAX(seq), 0) FROM rpc_outbox";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = store_query(db, sql, &rows);
        if (r == 0)
                r = store_next(rows);
        if (r != 1)
                return r;
        *ret_head = store_i64(rows, 0);
        return 0;
}

static int look(struct listener *l)
{
        int64_t head = 0;
        int r = store_begin(l->db);
        if (r == 0)
                r = listener_read_head(l->db, &head);
        if (r == 0)
                r = server_read_own_news(l->server, l->db);
        store_rollback(l->db);
        if (r == 0)
                server_news(l->server, head);
        return r;
}

/* Connects, listens, and reads what was missed. */
static int begin(struct listener *l)
{
        int r = l->db ? 0 : store_reader_open(l->server->options.store, &l->db);
        if (r == 0)
                r = store_listen(l->db, l->channel);
        if (r == 0)
                server_wake(l->server);
        return r == 0 ? look(l) : r;
}

/* What is told is a hint, and the outbox itself says what is there: other schemas of the database have the same channel, and
 * who may connect may say anything. */
static int hear(struct listener *l, const char *text)
{
        struct str rest = str_of(text), number = str_cut(&rest, ' ');
        int64_t head = 0;
        bool told = str_to_i64(number, 1, INT64_MAX, &head) == 0;
        const _Atomic int64_t *known = str_is(rest, words[LISTENER_NEWS] + 1) ? &l->server->news : &l->server->outbox_head;
        int r = told && head > atomic_load(known) ? look(l) : 0;
        if (str_is(rest, "vacant"))
                leader_vacant(l->lanes->leader);
        else if (str_is(rest, "arrived") && leader_leads(l->lanes->leader))
                leader_wake(l->lanes->leader);
        else if (str_is(rest, "work"))
                server_wake(l->server);
        return r;
}

/* A connection that was cut off is as silent as one without news: so it is asked now and then. */
static int listen_on(struct listener *l)
{
        char text[64];
        int r = 0, silent = 0;
        while (r == 0 && lane_pause(&l->server->write, 0)) {
                r = store_wait(l->db, WAIT_US, text);
                if (r == 1)
                        r = hear(l, text);
                else if (r == 0 && ++silent % LOOK_EVERY == 0)
                        r = look(l);
        }
        return r;
}

static void *listener_main(void *arg)
{
        struct listener *l = arg;
        pthread_setname_np(pthread_self(), "listener");
        do {
                int r = begin(l);
                if (r == 0) {
                        atomic_store(&l->server->hears_news, true);
                        r = listen_on(l);
                        atomic_store(&l->server->hears_news, false);
                }
                if (r != 0 && r != STORE_E_UNAVAILABLE)
                        log_error("cannot listen to the other instances", "error=%d store=\"%s\"", r,
                                  l->db ? store_last_error(l->db) : store_reader_error());
                l->db = store_conn_close(l->db);
        } while (lane_pause(&l->server->write, AGAIN_US));
        return NULL;
}

struct listener *listener_new(struct write_lanes *lanes)
{
        struct listener *l = mem_zalloc(sizeof(*l));
        l->lanes = lanes;
        l->server = lanes->server;
        channel_of(l->server, l->channel);
        if (pthread_create(&l->thread, NULL, listener_main, l) != 0)
                abort();
        return l;
}

struct listener *listener_free(struct listener *l)
{
        if (l)
                pthread_join(l->thread, NULL);
        free(l);
        return NULL;
}
