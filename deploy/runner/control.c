/* SPDX-License-Identifier: Apache-2.0
 *
 * The runner's side of the conversation in control.h.
 */
#include "deploy/runner/control.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "deploy/runner/stack_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_CLIENTS 8
#define LONGEST_US  (60 * CLOCK_SECOND_US)

/* One connection: its line is read, then its answer is waited for. */
struct client {
        struct control *control;
        int fd; /* -1: the place is free */
        struct loop_fd *watch;
        struct loop_timer *timer;
        char line[256];
        size_t n;
        bool asked;
        pid_t old; /* restart: the process that is to go; 0: scale */
};

struct control {
        struct stack *stack;
        const char *path;
        int fd;
        struct loop_fd *watch;
        struct client clients[MAX_CLIENTS];
};

static void client_close(struct client *c)
{
        if (c->fd < 0)
                return;
        c->watch = loop_fd_free(c->watch);
        c->timer = loop_timer_free(c->timer);
        close(c->fd);
        c->fd = -1;
}

/* An answer is short: the socket's buffer takes it whole. */
static void client_answer(struct client *c, struct buf *text)
{
        if (send(c->fd, text->p, text->n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)text->n)
                log_warn("an operator's answer was not taken", NULL);
        buf_done(text);
        client_close(c);
}

static void refuse(struct client *c, const char *format, const char *what, int most)
{
        struct buf text = {0};
        buf_add_z(&text, "refused ");
        buf_printf(&text, format, what, most);
        buf_add_char(&text, '\n');
        client_answer(c, &text);
}

/* The first that is not as it should be, for a person. */
static void add_missing(struct buf *text, struct stack *s)
{
        for STACK_EACH(p, s) {
                if (p->leaving)
                        buf_printf(text, "%s has not ended yet", child_name(p->child));
                else if (child_failures(p->child) >= GIVE_UP_AFTER)
                        buf_printf(text, "%s does not start: %s (log: %s/log/%s.log); it is tried again and again",
                                   child_name(p->child), child_last_words(p->child), s->var, child_name(p->child));
                else if (child_state(p->child) != CHILD_READY)
                        buf_printf(text, "%s is not ready yet (log: %s/log/%s.log)", child_name(p->child), s->var, child_name(p->child));
                else
                        continue;
                return;
        }
        buf_add_z(text, "not all have been started yet");
}

static void fail(struct client *c)
{
        struct buf text = {0};
        buf_add_z(&text, "failed ");
        add_missing(&text, c->control->stack);
        buf_add_char(&text, '\n');
        client_answer(c, &text);
}

static void tell(struct client *c)
{
        struct stack *s = c->control->stack;
        struct buf text = {0};
        for (int i = 0; i < N_SCALED && !c->old; i++)
                buf_printf(&text, "scale %s %d %d %d\n", scaled_names[i], s->wanted[i], parts_ready(s, i), MAX_INSTANCES);
        buf_add_z(&text, "ok\n");
        client_answer(c, &text);
}

static bool has_gone(struct stack *s, pid_t pid)
{
        for STACK_EACH(p, s)
                if (child_pid(p->child) == pid)
                        return false;
        return true;
}

void control_look(struct control *control)
{
        bool hopeless = false;
        if (!control)
                return;
        for STACK_EACH(p, control->stack)
                hopeless = hopeless || (!p->leaving && child_failures(p->child) >= GIVE_UP_AFTER);
        for (size_t i = 0; i < MAX_CLIENTS; i++) {
                struct client *c = &control->clients[i];
                if (c->fd < 0 || !c->asked)
                        continue;
                if (parts_settled(control->stack) && (!c->old || has_gone(control->stack, c->old)))
                        tell(c);
                else if (hopeless)
                        fail(c);
        }
}

static bool is_running(struct client *c)
{
        const struct stack *s = c->control->stack;
        if (s->state == STACK_RUNNING)
                return true;
        refuse(c, "the stack is %s", s->state == STACK_STOPPING ? "stopping" : "still starting: try again when it says `ready`", 0);
        return false;
}

static void on_restart(struct client *c, struct str instance)
{
        struct stack *s = c->control->stack;
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)instance.n, instance.p);
        if (!is_running(c))
                return;
        for STACK_EACH(p, s) {
                if (strcmp(child_name(p->child), name) != 0)
                        continue;
                if (child_state(p->child) != CHILD_READY || p->leaving) {
                        refuse(c, "%s is not ready: wait for it first", name, 0);
                        return;
                }
                c->old = child_pid(p->child);
                c->asked = true;
                loop_timer_set(c->timer, LONGEST_US);
                kill(c->old, SIGTERM); /* not child_stop: whoever ends by itself is started again */
                return;
        }
        refuse(c, "%s: no such instance runs here", name, 0);
}

/* All of it is right, or nothing is changed. */
static void on_scale(struct client *c, struct str line)
{
        struct stack *s = c->control->stack;
        int wanted[N_SCALED], n;
        bool change = false;

        memcpy(wanted, s->wanted, sizeof(wanted));
        while (line.n) {
                struct str item = str_cut(&line, ' ');
                int i = parts_read(item, &n);
                char name[64];
                snprintf(name, sizeof(name), "%.*s", (int)item.n, item.p);
                if (i < 0) {
                        refuse(c, i == -1 ? "%s: " SCALED_WORDS : "%s: give a number from 1 to %d; none only of care, stream and edge", name,
                               MAX_INSTANCES);
                        return;
                }
                wanted[i] = n;
                change = true;
        }
        if (!change) {
                tell(c);
                return;
        }
        if (!is_running(c))
                return;
        memcpy(s->wanted, wanted, sizeof(wanted));
        c->asked = true;
        loop_timer_set(c->timer, LONGEST_US);
        if (parts_adjust(s) < 0)
                fail(c);
        else
                control_look(c->control);
}

static void on_line(struct client *c, struct str line)
{
        struct str word = str_cut(&line, ' ');
        if (str_is(word, "scale"))
                on_scale(c, line);
        else if (str_is(word, "restart"))
                on_restart(c, line);
        else
                refuse(c, "say `scale` or `restart`%s", "", 0);
}

static void on_client(void *arg, int events)
{
        struct client *c = arg;
        (void)events;
        ssize_t n = recv(c->fd, c->line + c->n, sizeof(c->line) - c->n, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                client_close(c);
                return;
        }
        c->n += (size_t)n;
        struct str rest = {c->line, c->n};
        const char *end = memchr(c->line, '\n', c->n);
        if (c->asked || (!end && c->n == sizeof(c->line)))
                client_close(c); /* it says too much */
        else if (end)
                on_line(c, str_cut(&rest, '\n'));
}

static void on_too_long(void *arg)
{
        struct client *c = arg;
        if (c->asked)
                fail(c);
        else
                client_close(c);
}

static void on_connection(void *arg, int events)
{
        struct control *control = arg;
        struct client *c = control->clients;
        (void)events;
        int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
                return;
        while (c < control->clients + MAX_CLIENTS && c->fd >= 0)
                c++;
        if (c == control->clients + MAX_CLIENTS) {
                close(fd);
                return;
        }
        *c = (struct client){.control = control, .fd = fd};
        c->watch = loop_fd_new(control->stack->loop, fd, on_client, c);
        c->timer = loop_timer_new(control->stack->loop, on_too_long, c);
        loop_fd_want(c->watch, LOOP_READ);
        loop_timer_set(c->timer, LONGEST_US);
}

int control_new(struct stack *s, struct control **ret_control)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        const char *path = arena_printf(s->arena, "%s/runner.sock", s->var);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        unlink(path); /* of a runner that was killed: the folder's lock is ours */
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        if (fd < 0 || fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            chmod(path, 0600) < 0 || listen(fd, MAX_CLIENTS) < 0) {
                int r = -errno;
                SAY("can't open %s: %s", path, strerror(-r));
                if (fd >= 0)
                        close(fd);
                return r;
        }
        struct control *control = mem_zalloc(sizeof(*control));
        control->stack = s;
        control->path = path;
        control->fd = fd;
        for (size_t i = 0; i < MAX_CLIENTS; i++)
                control->clients[i].fd = -1;
        control->watch = loop_fd_new(s->loop, fd, on_connection, control);
        loop_fd_want(control->watch, LOOP_READ);
        *ret_control = control;
        return 0;
}

struct control *control_free(struct control *control)
{
        if (!control)
                return NULL;
        for (size_t i = 0; i < MAX_CLIENTS; i++)
                client_close(&control->clients[i]);
        loop_fd_free(control->watch);
        close(control->fd);
        unlink(control->path);
        free(control);
        return NULL;
}
