/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract compiler: proto/ as a descriptor set in, C tables, headers, openapi.json, asyncapi.json and the page of
 * /docs out.
 *
 *     contract-compiler --descriptors FILE --lock FILE --page FOLDER --release TEXT --out FOLDER
 *     contract-compiler --descriptors FILE --lock FILE --update-lock
 *
 * Everything that is wrong with the contract is printed as "file:line: what", and nothing is written. Otherwise
 * FOLDER has contract.c (tables), openapi.c, asyncapi.c and docs.c (the documents as bytes), one header a package, and the
 * documents themselves. With --update-lock the lock file takes in what is new, and that is all.
 */
#include "check.h"
#include "emit.h"
#include "lock.h"
#include "shape.h"

#include "common/base/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int file_read(const char *path, struct buf *out)
{
        FILE *f = fopen(path, "rbe");
        if (!f)
                return -errno;
        size_t n;
        do {
                buf_reserve(out, 65536);
                n = fread(out->p + out->n, 1, 65536, f);
                out->n += n;
        } while (n > 0);
        int r = ferror(f) ? -EIO : 0;
        fclose(f);
        return r;
}

/* A file that already has this text is left alone, so that nothing is compiled again for nothing. */
static int file_write(const char *folder, const char *name, struct str text)
{
        char path[4096];
        snprintf(path, sizeof(path), "%s%s%s", folder, folder[0] ? "/" : "", name);
        struct buf old = {0};
        bool same = file_read(path, &old) == 0 && str_eq(buf_str(&old), text);
        buf_done(&old);
        if (same)
                return 0;
        FILE *f = fopen(path, "wbe");
        bool good = f && fwrite(text.p, 1, text.n, f) == text.n;
        if (f && fclose(f) != 0)
                good = false;
        if (!good)
                fprintf(stderr, "contract-compiler: cannot write %s\n", path);
        return good ? 0 : -EIO;
}

static int page_read(const char *folder, const char *name, struct buf *out)
{
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", folder, name);
        int r = file_read(path, out);
        if (r)
                fprintf(stderr, "contract-compiler: cannot read %s: %s\n", path, strerror(-r));
        return r;
}

/* NAME.json as it is, and NAME.c with its bytes. */
static int write_document(const char *out, const char *name, const char *suffix, struct str text)
{
        struct buf c = {0};
        char file[64], symbol[64];
        snprintf(file, sizeof(file), "%s.%s", name, suffix);
        snprintf(symbol, sizeof(symbol), "contract_%s_%s", name, suffix);
        int r = file_write(out, file, text);
        emit_bytes(&c, symbol, text);
        snprintf(file, sizeof(file), "%s.c", name);
        r = r ? r : file_write(out, file, buf_str(&c));
        buf_done(&c);
        return r;
}

static int write_documents(const struct model *m, const char *page, const char *out, const char *hash)
{
        struct buf text = {0}, style = {0}, guide = {0};
        int r = page ? page_read(page, "style.css", &style) : 0;
        r = r || !page ? r : page_read(page, "guide.html", &guide);
        emit_openapi(&text, m, hash);
        r = r ? r : write_document(out, "openapi", "json", buf_str(&text));
        text.n = 0;
        emit_asyncapi(&text, m, hash);
        r = r ? r : write_document(out, "asyncapi", "json", buf_str(&text));
        text.n = 0;
        emit_docs(&text, m, hash, buf_str(&style), buf_str(&guide));
        r = r ? r : write_document(out, "docs", "html", buf_str(&text));
        buf_done(&text);
        buf_done(&style);
        buf_done(&guide);
        return r;
}

static int write_all(const struct model *m, const struct lock *lock, const char *version, const char *page,
                     const char *out)
{
        struct buf text = {0};
        char hash[65];
        const struct pasts inputs = lock_pasts(m, lock, false), outputs = lock_pasts(m, lock, true);
        emit_tables(&text, m, &inputs, &outputs, "", "");
        digest_hex(hash, buf_str(&text));
        text.n = 0;
        emit_tables(&text, m, &inputs, &outputs, version, hash);
        int r = file_write(out, "contract.c", buf_str(&text));
        for (size_t i = 0; i < m->n_packages && r == 0; i++) {
                char name[256];
                snprintf(name, sizeof(name), "%s.h", m->packages[i].short_name);
                text.n = 0;
                emit_header(&text, m, &m->packages[i]);
                r = file_write(out, name, buf_str(&text));
        }
        buf_done(&text);
        return r ? r : write_documents(m, page, out, hash);
}

/* Everything that is wrong with the contract, or breaks a promise of the lock. */
static bool is_sound(const struct model *m, const char *lock_path, struct lock *ret_lock)
{
        struct refusals r = {.arena = m->arena};
        struct buf text = {0};
        check_recursion(m, &r);
        if (r.n == 0) {
                check_messages(m, &r);
                check_methods(m, &r);
                check_enums(m, &r);
                int e = file_read(lock_path, &text);
                if (e && e != -ENOENT)
                        refuse_line(&r, lock_path, 1, "cannot be read: %s", strerror(-e));
                lock_check(ret_lock, m, lock_path, buf_str(&text), &r);
                buf_done(&text);
        }
        return refusals_print(&r) == 0;
}

static int update_lock(const struct lock *lock)
{
        struct buf text = {0};
        lock_write(&text, lock);
        int r = file_write("", lock->path, buf_str(&text));
        buf_done(&text);
        return r;
}

struct arguments {
        const char *descriptors, *lock, *version, *page, *out;
        bool update_lock;
};

static int arguments_read(int argc, char **argv, struct arguments *a)
{
        const struct config_option options[] = {
                {"descriptors", "FILE", "the descriptor set that protoc wrote", CONFIG_TEXT, &a->descriptors, 0, 0},
                {"lock", "FILE", "the committed lock file; may be missing", CONFIG_TEXT, &a->lock, 0, 0},
                {"release", "TEXT", "the release that the build names itself after (default: 0)", CONFIG_TEXT, &a->version, 0, 0},
                {"page", "FOLDER", "style.css and guide.html of the page of /docs; without it, it has neither", CONFIG_TEXT,
                 &a->page, 0, 0},
                {"out", "FOLDER", "where the made files go", CONFIG_TEXT, &a->out, 0, 0},
                {"update-lock", NULL, "take into the lock file what is new, make nothing else", CONFIG_FLAG,
                 &a->update_lock, 0, 0},
                {0},
        };
        const struct config_option *const tables[] = {options};
        int r = config_parse("contract-compiler --descriptors FILE --lock FILE (--out FOLDER | --update-lock)",
                             "Makes C tables and documents from proto/.", tables, 1, argc, argv, NULL);
        if (r)
                return r;
        if (!a->descriptors || !a->lock || (!a->out && !a->update_lock)) {
                fprintf(stderr, "contract-compiler: --descriptors, --lock and --out (or --update-lock) are needed\n");
                return -EINVAL;
        }
        return 0;
}

int main(int argc, char **argv)
{
        struct arguments a = {.version = "0"};
        int r = arguments_read(argc, argv, &a);
        if (r)
                return r == CONFIG_E_HELP ? 0 : 2;
        _cleanup_(arena_freep) struct arena *arena = arena_new(1 << 20);
        struct buf bytes = {0};
        struct model model;
        struct lock lock = {0};
        r = file_read(a.descriptors, &bytes);
        r = r ? r : model_load(arena, buf_str(&bytes), &model);
        buf_done(&bytes);
        if (r) {
                fprintf(stderr, "contract-compiler: cannot read %s: %s\n", a.descriptors, strerror(-r));
                return 1;
        }
        if (!is_sound(&model, a.lock, &lock))
                return 1;
        if (a.update_lock)
                return update_lock(&lock) ? 1 : 0;
        if (lock.additions && lock.n_old > 0)
                fprintf(stderr, "%s: %zu additions are not locked yet: run `make lock`\n", a.lock, lock.additions);
        mkdir(a.out, 0777);
        return write_all(&model, &lock, a.version, a.page, a.out) ? 1 : 0;
}
