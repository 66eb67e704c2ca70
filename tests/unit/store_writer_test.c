/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may write a store: one process, until it ends or is deposed; and what its successor finds.
 */
#include "tests/support/store_world.h"
#include "common/store/sqlite.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static void test_one_writer(void)
{
        struct world w = world_new();
        struct store *again = NULL;
        struct store_writer *second = NULL;
        const char *error = NULL;
        char linked_url[160];

        CHECK_INT(store_writer_epoch(w.writer), 1);
        CHECK_INT(store_writer_acquire(w.store, "two", false, &second, &error), STORE_E_LOCKED);
        CHECK(strstr(error, world_path) != NULL);
        /* Another name of the same file is the same store. */
        CHECK_INT(symlink(world_path, world_file(".link")), 0);
        snprintf(linked_url, sizeof(linked_url), "sqlite:%s", world_file(".link"));
        CHECK_INT(store_open(linked_url, NULL, &again, &error), 0);
        CHECK_INT(store_writer_acquire(again, "two", false, &second, &error), STORE_E_LOCKED);
        store_close(again);

        w.writer = store_writer_release(w.writer);
        CHECK_INT(store_writer_acquire(w.store, "two", false, &second, &error), 0);
        CHECK_INT(store_writer_epoch(second), 2);
        store_writer_release(second);
        world_done(&w);
}

static void test_the_holder_can_be_observed(void)
{
        struct world w = world_new();
        int pid = -1;
        int64_t before, after;
        CHECK_INT(store_writer_observe(w.store, &pid, &before), 0);
        CHECK_INT(pid, getpid());
        int64_t from = clock_monotonic_us();
        while (clock_monotonic_us() < from + 20000)
                usleep(1000);
        CHECK_INT(store_writer_observe(w.store, &pid, &before), 0);
        CHECK(before >= 20000);
        CHECK_INT(store_writer_heartbeat(w.writer), 0);
        int64_t beat = clock_monotonic_us();
        CHECK_INT(store_writer_observe(w.store, &pid, &after), 0);
        CHECK(after <= clock_monotonic_us() - beat + 1000);
        w.writer = store_writer_release(w.writer);
        CHECK_INT(store_writer_observe(w.store, &pid, &after), 0);
        CHECK_INT(pid, 0);
        CHECK_INT(after, 0);
        world_unlink(".lock");
        CHECK_INT(store_writer_observe(w.store, &pid, &after), 0);
        CHECK_INT(pid, 0);
        world_done(&w);
}

static void test_a_raised_epoch_deposes(void)
{
        static const char raise_sql[] = "UPDATE writer_epoch SET epoch = epoch + 1";
        struct world w = world_new();
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(store_exec(w.db, raise_sql, NULL), 0);
        CHECK_INT(store_commit(w.db), 0);
        CHECK_INT(store_begin(w.db), STORE_E_DEPOSED);
        CHECK(!store_in_transaction(w.db));
        CHECK_INT(store_checkpoint(w.db), STORE_E_DEPOSED);
        CHECK_INT(store_begin(w.db), STORE_E_DEPOSED);
        world_done(&w);
}

static void test_a_replaced_lock_file_deposes(void)
{
        struct world w = world_new();
        struct store *other = NULL;
        struct store_writer *second = NULL;
        const char *error = NULL;
        CHECK_INT(store_open(world_url, NULL, &other, &error), 0);
        CHECK_INT(store_writer_heartbeat(w.writer), 0);
        world_unlink(".lock");
        CHECK_INT(store_writer_acquire(other, "two", false, &second, &error), STORE_E_LOCKED); /* never two at once */
        CHECK_INT(store_writer_heartbeat(w.writer), STORE_E_DEPOSED);
        CHECK_INT(store_begin(w.db), STORE_E_DEPOSED);
        w.writer = store_writer_release(w.writer);
        CHECK_INT(store_writer_acquire(other, "two", false, &second, &error), 0);
        CHECK_INT(store_writer_epoch(second), 2);
        CHECK_INT(store_begin(store_writer_conn(second)), 0);
        CHECK_INT(add_person(store_writer_conn(second), "a", 1), 0);
        CHECK_INT(store_commit(store_writer_conn(second)), 0);
        store_writer_release(second);
        store_close(other);
        world_done(&w);
}

static void test_a_file_of_two_names_is_refused(void)
{
        struct world w = world_new();
        struct store *other = NULL;
        const char *error = NULL;
        CHECK_INT(link(world_path, world_file(".also")), 0);
        CHECK_INT(store_open(world_url, NULL, &other, &error), -EMLINK);
        CHECK(strstr(error, "hard link") != NULL);
        world_unlink(".also");
        CHECK_INT(store_open(world_url, NULL, &other, &error), 0);
        store_close(other);
        world_done(&w);
}

static void test_a_long_statement_moves(void)
{
        static const char sql[] = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) "
                                  "INSERT INTO person (id, age) SELECT 'x' || i, i FROM n WHERE i = -1";
        struct world w = world_new();
        int pid;
        int64_t still = 0, took = 0;
        CHECK_INT(store_begin(w.db), 0);
        for (int64_t n = 5000000; took < CLOCK_SECOND_US; n *= 2) {
                int64_t from = clock_monotonic_us();
                CHECK_INT(store_exec(w.db, sql, NULL, I64(n)), 0);
                CHECK_INT(store_writer_observe(w.store, &pid, &still), 0);
                took = clock_monotonic_us() - from;
        }
        CHECK(still < took / 2 + CLOCK_SECOND_US / 4);
        CHECK_INT(store_commit(w.db), 0);
        world_done(&w);
}

/* Writes without end, one row a commit, and tells of each by a byte. */
static void write_for_ever(int out)
{
        struct store *store = NULL;
        struct store_writer *writer = NULL;
        const char *error;
        if (store_open(world_url, NULL, &store, &error) != 0 ||
            store_writer_acquire(store, "child", false, &writer, &error) != 0)
                _exit(1);
        struct store_conn *db = store_writer_conn(writer);
        for (int i = 0;; i++) {
                char id[24];
                snprintf(id, sizeof(id), "child-%d", i);
                if (store_begin(db) != 0 || add_person(db, id, i) != 0 || store_commit(db) != 0 ||
                    write(out, "+", 1) != 1)
                        _exit(1);
        }
}

static void *wait_for_lock(void *userdata)
{
        struct store_writer *writer = NULL;
        const char *error;
        int r = store_writer_acquire(userdata, "successor", true, &writer, &error);
        return r == 0 ? writer : NULL;
}

static int read_acknowledgements(int from, int least)
{
        char one;
        int n = 0;
        while ((least < 0 || n < least) && read(from, &one, 1) == 1)
                n++;
        return n;
}

static void test_the_successor_of_a_killed_writer(void)
{
        struct world w = world_new();
        int to_us[2];
        pthread_t thread;
        void *successor = NULL;

        w.reader = store_conn_close(w.reader);
        w.writer = store_writer_release(w.writer);
        CHECK_INT(pipe2(to_us, O_CLOEXEC), 0);
        pid_t pid = fork();
        if (pid == 0)
                write_for_ever(to_us[1]);
        close(to_us[1]);
        int n = read_acknowledgements(to_us[0], 200);
        CHECK_INT(n, 200);
        CHECK_INT(pthread_create(&thread, NULL, wait_for_lock, w.store), 0);
        n += read_acknowledgements(to_us[0], 100);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        n += read_acknowledgements(to_us[0], -1);
        pthread_join(thread, &successor);
        close(to_us[0]);
        CHECK(successor != NULL);
        if (successor) {
                w.writer = successor;
                CHECK_INT(world_size("-wal"), 0); /* all of the log is in the file */
                CHECK_INT(store_writer_epoch(w.writer), 3);
                int64_t there = count_people(store_writer_conn(w.writer));
                CHECK(there == n || there == n + 1); /* the last answer may have been cut off */
        }
        world_done(&w);
}

static void test_a_takeover_settles_the_log_or_fails(void)
{
        struct world w = world_new();
        struct store_writer *second = NULL;
        const char *error = NULL;
        CHECK_INT(store_begin(w.reader), 0);
        CHECK_INT(count_people(w.reader), 0); /* a snapshot, held */
        CHECK_INT(store_begin(w.db), 0);
        CHECK_INT(add_person(w.db, "a", 1), 0);
        CHECK_INT(store_commit(w.db), 0);
        w.writer = store_writer_release(w.writer);
        CHECK_INT(store_writer_acquire(w.store, "two", false, &second, &error), -EBUSY);
        CHECK(error && strstr(error, "snapshot"));
        CHECK_INT(store_commit(w.reader), 0);
        CHECK_INT(store_writer_acquire(w.store, "two", false, &second, &error), 0);
        store_writer_release(second);
        world_done(&w);
}

static void test_network_file_systems(void)
{
        CHECK(sqlite_is_network_fs(NFS_SUPER_MAGIC));
        CHECK(sqlite_is_network_fs((uint64_t)(int64_t)(int32_t)CIFS_SUPER_MAGIC)); /* however it was widened */
        CHECK(sqlite_is_network_fs(FUSE_SUPER_MAGIC));
        CHECK(!sqlite_is_network_fs(EXT4_SUPER_MAGIC));
        CHECK(!sqlite_is_network_fs(XFS_SUPER_MAGIC));
        CHECK(!sqlite_is_network_fs(BTRFS_SUPER_MAGIC));
        CHECK(!sqlite_is_network_fs(TMPFS_MAGIC));
        CHECK(!sqlite_is_network_fs(OVERLAYFS_SUPER_MAGIC));
}

int main(void)
{
        static const struct check_case cases[] = {
                {"one process writes, by whatever name it opens the file", test_one_writer},
                {"others can tell who writes and whether it moves", test_the_holder_can_be_observed},
                {"a raised epoch deposes the writer, for ever", test_a_raised_epoch_deposes},
                {"a replaced lock file deposes the writer", test_a_replaced_lock_file_deposes},
                {"a file of two names is refused", test_a_file_of_two_names_is_refused},
                {"a long statement moves", test_a_long_statement_moves},
                {"a successor finds all that a killed writer acknowledged", test_the_successor_of_a_killed_writer},
                {"a takeover settles the whole log or fails", test_a_takeover_settles_the_log_or_fails},
                {"network file systems are refused", test_network_file_systems},
        };
        return CHECK_MAIN(cases);
}
