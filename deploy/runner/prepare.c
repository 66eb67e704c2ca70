/* SPDX-License-Identifier: Apache-2.0
 *
 * The checks before a start, each with its line for whoever typed `make run`.
 */
#include "deploy/runner/prepare.h"
#include "common/base/clock.h"
#include "common/crypto/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define LEAST_FREE_MIB 200
#define BACKLOG        1024
#define ORPHANS_END_US (30 * CLOCK_SECOND_US) /* a drain takes 20 s at most */
/* A unix socket's path has 107 characters; the longest here is FOLDER/bus/notification-99.sock. */
#define LONGEST_PATH 70

#define SAY(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr))

/* --- the folder -------------------------------------------------------------------------------------------------- */

static const char *folder_hint(int error)
{
        switch (error) {
        case ENOENT:
                return "make the folder above it, or choose another with VAR=";
        case EACCES:
        case EPERM:
                return "you may not write there: become its owner, or choose another with VAR=";
        default:
                return "choose another with VAR=";
        }
}

static int make_folder(const char *path)
{
        struct stat st;
        int r = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
        if (r == 0 && stat(path, &st) < 0)
                r = -errno;
        if (r == 0 && !S_ISDIR(st.st_mode))
                r = -ENOTDIR;
        if (r == 0 && access(path, R_OK | W_OK | X_OK) < 0)
                r = -errno;
        if (r < 0)
                SAY("can't use the folder %s: %s; %s", path, strerror(-r), folder_hint(-r));
        return r;
}

static int check_space(const char *path)
{
        struct statvfs fs;
        if (statvfs(path, &fs) < 0)
                return 0;
        unsigned long long free_mib = (unsigned long long)fs.f_bavail * fs.f_frsize >> 20;
        if (free_mib >= LEAST_FREE_MIB)
                return 0;
        SAY("the disk of %s is full: %llu MiB are free, %d are needed; free some, or choose another folder with VAR=", path, free_mib,
            LEAST_FREE_MIB);
        return -ENOSPC;
}

int prepare_folder(const char *var, char ret_path[PATH_MAX])
{
        static const char *const folders[] = {"bus", "store", "log", "redis", "checkpoints", "ledger", "edge"};
        char path[PATH_MAX];
        bool is_new = access(var, F_OK) < 0;
        int r = make_folder(var);

        if (r < 0)
                return r;
        if (!realpath(var, ret_path)) {
                r = -errno;
                SAY("can't use the folder %s: %s; %s", var, strerror(-r), folder_hint(-r));
                return r;
        }
        if (strlen(ret_path) > LONGEST_PATH) {
                SAY("%s is too long a path for unix sockets (%zu characters, at most %d): choose a shorter one with VAR=", ret_path,
                    strlen(ret_path), LONGEST_PATH);
                if (is_new)
                        (void)rmdir(ret_path);
                return -ENAMETOOLONG;
        }
        if ((r = check_space(ret_path)) < 0)
                return r;
        for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
                snprintf(path, sizeof(path), "%.*s/%s", LONGEST_PATH, ret_path, folders[i]);
                if ((r = make_folder(path)) < 0)
                        return r;
                if (chmod(path, 0700) < 0) {
                        r = -errno;
                        SAY("can't close the folder %s to others: %s; %s", path, strerror(-r), folder_hint(-r));
                        return r;
                }
        }
        return 0;
}

/* Held by a runner, or by the processes of one that was killed: they end by themselves and are waited for. */
static int wait_for_lock(int fd, const char *var)
{
        char text[160] = "";
        int64_t until = clock_monotonic_us() + ORPHANS_END_US, pid;
        bool said = false;

        while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                ssize_t got = pread(fd, text, sizeof(text) - 1, 0);
                struct str rest = {text, got > 0 ? (size_t)got : 0};
                (void)str_cut(&rest, ' ');
                bool orphans = str_to_i64(str_cut(&rest, ' '), 1, INT32_MAX, &pid) == 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
                if (!orphans || clock_monotonic_us() > until) {
                        SAY("a stack already runs in %s (%.*s): stop it with Ctrl-C, or use another folder and port: make run VAR=var2 HTTP=127.0.0.1:8081",
                            var, (int)(got > 0 ? got : 0), text);
                        return -EBUSY;
                }
                if (!said)
                        SAY("the runner in %s was killed: waiting for its processes to end", var);
                said = true;
                nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
        }
        return 0;
}

int prepare_lock(const char *var, const char *http, int *ret_fd)
{
        char path[PATH_MAX + 16], text[160];
        int r, fd;

        snprintf(path, sizeof(path), "%s/runner.lock", var);
        int low = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        fd = low < 0 ? -1 : fcntl(low, F_DUPFD, 10); /* not close-on-exec: see above; away from what is lent as 3 */
        if (low >= 0)
                close(low);
        if (fd < 0) {
                r = -errno;
                SAY("can't open %s: %s; %s", path, strerror(-r), folder_hint(-r));
                return r;
        }
        r = wait_for_lock(fd, var);
        if (r == 0) {
                int n = snprintf(text, sizeof(text), "pid %d at http://%s", (int)getpid(), http);
                if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n) {
                        r = -EIO;
                        SAY("can't write %s: is the disk full?", path);
                }
        }
        if (r < 0)
                close(fd);
        else
                *ret_fd = fd;
        return r;
}

/* --- the port ---------------------------------------------------------------------------------------------------- */

/* What to do, up to the "=" of the variable and what its value may be. */
static const char *port_hint(int error, const char **ret_value)
{
        *ret_value = "127.0.0.1:8080";
        switch (error) {
        case EADDRINUSE:
                *ret_value = "127.0.0.1:8081";
                return "stop what listens there, or choose another port: make run";
        case EACCES:
                return "a port below 1024 is for root; choose another: make run";
        case EADDRNOTAVAIL:
                *ret_value = "0.0.0.0:8080";
                return "this machine has no such address; for all that it has: make run";
        default:
                return "choose another: make run";
        }
}

static int listen_at(const char *variable, const char *address, const struct addrinfo *a, int *ret_fd)
{
        const char *value, *hint;
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, r = 0;
        if (fd >= 0)
                setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (fd < 0 || bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
                r = -errno;
                hint = port_hint(-r, &value);
                SAY("can't listen at %s: %s; %s %s=%s", address, strerror(-r), hint, variable, value);
                if (fd >= 0)
                        close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

int prepare_port(const char *variable, const char *address, int *ret_fd)
{
        const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
        struct addrinfo *found = NULL;
        struct str host = str_of(address);
        char host_text[64];
        int64_t port;
        const char *colon = strrchr(address, ':');

        host.n = colon ? (size_t)(colon - address) : 0;
        if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
                host = (struct str){host.p + 1, host.n - 2};
        snprintf(host_text, sizeof(host_text), "%.*s", (int)host.n, host.p);
        if (!host.n || str_to_i64(str_of(colon + 1), 1, 65535, &port) < 0 || getaddrinfo(host_text, colon + 1, &hints, &found) != 0) {
                SAY("%s=%s is no address and port; give e.g. %s=127.0.0.1:8080", variable, address, variable);
                return -EINVAL;
        }
        int r = listen_at(variable, address, found, ret_fd);
        freeaddrinfo(found);
        return r;
}

/* --- the keyring ------------------------------------------------------------------------------------------------- */

/* A new keyring beside an old store would seal what is new and leave what was sealed unreadable, silently. */
static bool store_needs_keys(const char *var)
{
        char path[PATH_MAX + 32];
        snprintf(path, sizeof(path), "%s/keys/keyring", var);
        if (access(path, F_OK) == 0)
                return false;
        snprintf(path, sizeof(path), "%s/store/membership.db", var);
        return access(path, F_OK) == 0;
}

int prepare_keys(const char *var, bool store_elsewhere)
{
        char folder[PATH_MAX + 8];
        int r = crypto_init();

        snprintf(folder, sizeof(folder), "%s/keys", var);
        if (r == 0 && !store_elsewhere && store_needs_keys(var)) {
                SAY("%s has no keyring, but %s/store was sealed with one: put its backup back (or move the folder away to begin anew)", folder, var);
                return -ENOKEY;
        }
        if (r == 0)
                r = keyring_create(folder);
        if (r < 0)
                SAY("can't make the keyring in %s: %s", folder, strerror(-r));
        else if (r == 0 && store_elsewhere)
                SAY("made a new keyring in %s; if the databases have been used before, stop now and put theirs there", folder);
        return r < 0 ? r : 0; /* there is one already */
}

/* --- the credentials --------------------------------------------------------------------------------------------- */

int prepare_credentials(const char *var, const char *const *services, size_t n)
{
        char path[PATH_MAX + 32], aside[PATH_MAX + 32];
        bool complete = true;
        for (size_t i = 0; i < n; i++) {
                snprintf(path, sizeof(path), "%s/store/%s.db", var, services[i]);
                complete = complete && access(path, F_OK) == 0;
        }
        snprintf(path, sizeof(path), "%s/credentials.json", var);
        snprintf(aside, sizeof(aside), "%s/credentials.old.json", var);
        if (complete || access(path, F_OK) < 0)
                return 0;
        if (rename(path, aside) < 0) {
                int r = -errno;
                SAY("can't set %s aside, which belongs to a store that is gone: %s", path, strerror(-r));
                return r;
        }
        SAY("%s/store is not complete: what is missing is made anew, with new credentials", var);
        return 0;
}
