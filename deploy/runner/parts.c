/* SPDX-License-Identifier: Apache-2.0
 *
 * The processes of the stack: their command lines, and having as many of each as are wanted.
 */
#include "deploy/runner/stack_internal.h"
#include "common/base/clock.h"

#include <signal.h>
#include <stdio.h>

#define WATCHDOG_US (5 * CLOCK_SECOND_US)

const char *const scaled_names[N_SCALED] = {"membership", "activity", "care", "stream", "gateway", "edge"};

int parts_read(struct str item, int *ret_n)
{
        struct str name = str_cut(&item, '=');
        int64_t n;
        for (int i = 0; i < N_SCALED; i++)
                if (str_is(name, scaled_names[i])) {
                        if (str_to_i64(item, least_of(i), MAX_INSTANCES, &n) < 0)
                                return -2;
                        *ret_n = (int)n;
                        return i;
                }
        return -1;
}

/* --- command lines ----------------------------------------------------------------------------------------------- */

static void arg(struct part *p, const char *text)
{
        if (p->n_args + 1 < MAX_ARGS)
                p->argv[p->n_args++] = text;
}

static int lent_socket(const struct stack *s, int scaled)
{
        return scaled == STACK_GATEWAY ? s->http_fd : scaled == STACK_EDGE ? s->edge_fd : -1;
}

/* There is always room: MAX_PARTS is more than all of them. */
static struct part *add_part(struct stack *s, enum rank rank, int scaled, int number, const char *program)
{
        struct part *p = s->parts;
        while (p->child)
                p++;
        *p = (struct part){.rank = rank, .scaled = scaled, .number = number, .arena = arena_new(4096)};
        const char *name = scaled < 0 ? "redis" : arena_printf(p->arena, "%s-%d", scaled_names[scaled], number);
        arg(p, scaled < 0 ? program : arena_printf(p->arena, "%s/nuanxin-%s", s->bin, program));
        p->child = child_new(&(struct child_options){
                .loop = s->loop, .name = name, .argv = p->argv, .log_folder = arena_printf(p->arena, "%s/log", s->var),
                .notify_socket = s->notify, .listen_fd = lent_socket(s, scaled),
                .watchdog_us = scaled < 0 ? 0 : WATCHDOG_US, .on_change = stack_part_changed, .arg = s});
        return p;
}

void parts_add_redis(struct stack *s)
{
        struct part *p = add_part(s, RANK_REDIS, -1, 1, "redis-server");
        const char *const args[] = {"--port", "0", "--unixsocket", s->redis_socket, "--unixsocketperm", "700", "--dir",
                                    arena_printf(p->arena, "%s/redis", s->var), "--appendonly", "yes", "--appendfsync",
                                    "everysec", "--save", "", "--supervised", "systemd", "--daemonize", "no",
                                    "--maxmemory-policy", "noeviction"};
        for (size_t i = 0; i < ARRAY_LEN(args); i++)
                arg(p, args[i]);
}

static void add_list(struct part *p, const struct config_list *options)
{
        for (size_t i = 0; i < options->n; i++)
                arg(p, options->items[i]);
}

static void add_common(struct stack *s, struct part *p)
{
        const char *bus = p->scaled == STACK_EDGE ? s->edge_folder : s->bus;
        const char *const args[] = {"--instance", child_name(p->child), "--bus", bus};
        for (size_t i = 0; i < ARRAY_LEN(args); i++)
                arg(p, args[i]);
        if (p->scaled == STACK_EDGE)
                return; /* it has nothing to do with Redis, nor with time */
        arg(p, "--redis");
        arg(p, s->redis);
        if (s->o->clock_file) {
                arg(p, "--clock-file");
                arg(p, s->o->clock_file);
        }
}

/* Only gateways call the stream, and they and the stream care: no service needs these. Care needs membership only. (The edge
 * looks for its sockets itself.) */
static bool calls(int caller, int service)
{
        if (caller == STACK_GATEWAY)
                return true;
        if (service == STACK_CARE)
                return caller == STACK_STREAM;
        return caller == STACK_CARE ? service == STACK_MEMBERSHIP : caller != service && service != STACK_STREAM;
}

/* The first instances are known to each other without asking the registry, so a start does not wait for it. */
static void add_peers(struct stack *s, struct part *p)
{
        for (int i = 0; i < STACK_GATEWAY; i++) {
                if (!calls(p->scaled, i) || !s->wanted[i])
                        continue;
                arg(p, "--peer");
                arg(p, arena_printf(p->arena, "%s=ipc://%s/%s-1.sock", scaled_names[i], s->bus, scaled_names[i]));
        }
}

/* Of each service its own: the word SERVICE in the option becomes its name. */
static const char *store_of(const struct stack *s, struct arena *arena, const char *service)
{
        static const char word[] = "SERVICE";
        struct buf url = {0};
        if (!s->o->store)
                return arena_printf(arena, "sqlite:%s/store/%s.db", s->var, service);
        for (const char *at = s->o->store; *at;) {
                const char *found = strstr(at, word);
                buf_add(&url, at, found ? (size_t)(found - at) : strlen(at));
                buf_add_z(&url, found ? service : "");
                at = found ? found + strlen(word) : at + strlen(at);
        }
        const char *text = arena_strndup(arena, url.p, url.n);
        buf_done(&url);
        return text;
}

static struct part *add_service(struct stack *s, int scaled, int number)
{
        struct part *p = add_part(s, RANK_SERVICE, scaled, number, scaled_names[scaled]);
        add_common(s, p);
        add_peers(s, p);
        arg(p, "--store");
        arg(p, store_of(s, p->arena, scaled_names[scaled]));
        arg(p, "--keys");
        arg(p, s->keys);
        if (scaled == STACK_CARE) {
                arg(p, "--checkpoints");
                arg(p, arena_printf(p->arena, "%s/ledger", s->var));
        }
        if (scaled == STACK_STREAM) {
                arg(p, "--checkpoints");
                arg(p, arena_printf(p->arena, "%s/checkpoints", s->var));
                arg(p, "--edge-bus");
                arg(p, s->edge_folder);
                add_list(p, &s->o->stream_options);
        }
        return p;
}

/* Also when numbers have changed: the next start is with these. */
static void add_gateway_args(struct stack *s, struct part *p)
{
        memset(&p->argv[1], 0, sizeof(p->argv) - sizeof(p->argv[0]));
        p->n_args = 1; /* the program */
        add_common(s, p);
        for (int i = 0; i < STACK_GATEWAY; i++)
                if (!s->wanted[i]) {
                        arg(p, "--without");
                        arg(p, scaled_names[i]);
                }
        add_peers(s, p);
        arg(p, "--http");
        arg(p, s->o->http);
        arg(p, "--gateways");
        arg(p, arena_printf(p->arena, "%d", s->wanted[STACK_GATEWAY]));
        add_list(p, &s->o->gateway_options);
}

static struct part *add_gateway(struct stack *s, int number)
{
        struct part *p = add_part(s, RANK_DOOR, STACK_GATEWAY, number, "gateway");
        add_gateway_args(s, p);
        return p;
}

static struct part *add_edge(struct stack *s, int number)
{
        struct part *p = add_part(s, RANK_DOOR, STACK_EDGE, number, "edge");
        add_common(s, p);
        arg(p, "--listen");
        arg(p, arena_printf(p->arena, "tcp://%s", s->edge));
        arg(p, "--key");
        arg(p, arena_printf(p->arena, "%s/edge.key", s->edge_folder));
        add_list(p, &s->o->edge_options);
        return p;
}

static struct part *add_scaled(struct stack *s, int scaled, int number)
{
        switch (scaled) {
        case STACK_GATEWAY:
                return add_gateway(s, number);
        case STACK_EDGE:
                return add_edge(s, number);
        default:
                return add_service(s, scaled, number);
        }
}

/* --- as many as are wanted --------------------------------------------------------------------------------------- */

static struct part *find(struct stack *s, int scaled, int number)
{
        for STACK_EACH(p, s)
                if (p->scaled == scaled && p->number == number)
                        return p;
        return NULL;
}

static int add_missing(struct stack *s, int scaled)
{
        for (int number = 1; number <= s->wanted[scaled]; number++) {
                if (find(s, scaled, number))
                        continue;
                struct part *p = add_scaled(s, scaled, number);
                int r = child_start(p->child);
                if (r < 0) {
                        SAY("can't start %s: %s", child_name(p->child), strerror(-r));
                        return r;
                }
        }
        return 0;
}

/* The highest numbers leave: the first instance is the one that all know. All are marked before the first is told, since
 * each one's change is looked at. */
int parts_adjust(struct stack *s)
{
        for STACK_EACH(p, s)
                p->leaving = p->leaving || (p->scaled >= 0 && p->number > s->wanted[p->scaled]);
        for STACK_EACH(p, s) {
                if (p->scaled == STACK_GATEWAY)
                        add_gateway_args(s, p);
                if (!p->leaving || child_is_ending(p->child))
                        continue;
                child_stop(p->child, SIGTERM);
                if (!child_pid(p->child))
                        stack_part_changed(s, p->child); /* it was down: nobody else tells */
        }
        int r = 0;
        for (int scaled = 0; scaled < N_SCALED && r == 0; scaled++)
                r = add_missing(s, scaled);
        return r;
}

void parts_reap(struct stack *s)
{
        for STACK_EACH(p, s)
                if (p->leaving && !child_pid(p->child)) {
                        p->child = child_free(p->child);
                        p->arena = arena_free(p->arena);
                }
}

bool parts_settled(const struct stack *s)
{
        int n = 0, wanted = 0;
        for STACK_EACH(p, (struct stack *)s) {
                if (p->leaving || child_state(p->child) != CHILD_READY)
                        return false;
                n += p->scaled >= 0;
        }
        for (int i = 0; i < N_SCALED; i++)
                wanted += s->wanted[i];
        return n == wanted;
}

int parts_ready(const struct stack *s, int scaled)
{
        int n = 0;
        for STACK_EACH(p, (struct stack *)s)
                n += p->scaled == scaled && !p->leaving && child_state(p->child) == CHILD_READY;
        return n;
}
