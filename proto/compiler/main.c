/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract compiler: proto/ as a descriptor set in, C tables, headers, openapi.json and the page of /docs out.
 *
 *     contract-compiler --descriptors FILE --lock FILE --out FOLDER
 *
 * Everything that is wrong with the contract is printed as "file:line: what", and nothing is written. Otherwise
 * FOLDER has contract.c (tables), openapi.c and docs.c (the documents as bytes), one header a package, and the two
 * documents themselves.
 */
#include "emit.h"
#include "shape.h"
#include "source.h"

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
        snprintf(path, sizeof(path), "%s/%s", folder, name);
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

static int write_documents(const struct model *m, const char *out, const char *hash)
{
        struct buf json = {0}, html = {0}, c = {0};
        emit_openapi(&json, m, hash);
        emit_docs(&html, m, hash);
        int r = file_write(out, "openapi.json", buf_str(&json));
        r = r ? r : file_write(out, "docs.html", buf_str(&html));
        emit_bytes(&c, "contract_openapi_json", buf_str(&json));
        r = r ? r : file_write(out, "openapi.c", buf_str(&c));
        c.n = 0;
        emit_bytes(&c, "contract_docs_html", buf_str(&html));
        r = r ? r : file_write(out, "docs.c", buf_str(&c));
        buf_done(&json);
        buf_done(&html);
        buf_done(&c);
        return r;
}

static int write_all(const struct model *m, const char *out)
{
        struct buf text = {0};
        char hash[65];
        emit_tables(&text, m, NULL, 0, "");
        digest_hex(hash, buf_str(&text));
        text.n = 0;
        emit_tables(&text, m, NULL, 0, hash);
        int r = file_write(out, "contract.c", buf_str(&text));
        for (size_t i = 0; i < m->n_packages && r == 0; i++) {
                char name[256];
                snprintf(name, sizeof(name), "%s.h", m->packages[i].short_name);
                text.n = 0;
                emit_header(&text, m, &m->packages[i]);
                r = file_write(out, name, buf_str(&text));
        }
        buf_done(&text);
        return r ? r : write_documents(m, out, hash);
}

int main(int argc, char **argv)
{
        const char *descriptors = NULL, *lock = NULL, *out = NULL;
        const struct config_option options[] = {
                {"descriptors", "FILE", "the descriptor set that protoc wrote", CONFIG_TEXT, &descriptors, 0, 0},
                {"lock", "FILE", "the committed lock file; may be missing", CONFIG_TEXT, &lock, 0, 0},
                {"out", "FOLDER", "where the made files go", CONFIG_TEXT, &out, 0, 0},
                {0},
        };
        const struct config_option *const tables[] = {options};
        int r = config_parse("contract-compiler --descriptors FILE --lock FILE --out FOLDER",
                             "Makes C tables and documents from proto/.", tables, 1, argc, argv, NULL);
        if (r)
                return r == CONFIG_E_HELP ? 0 : 2;
        if (!descriptors || !lock || !out) {
                fprintf(stderr, "contract-compiler: --descriptors, --lock and --out are needed\n");
                return 2;
        }
        _cleanup_(arena_freep) struct arena *arena = arena_new(1 << 20);
        struct buf bytes = {0};
        struct model model;
        r = file_read(descriptors, &bytes);
        r = r ? r : model_load(arena, buf_str(&bytes), &model);
        buf_done(&bytes);
        if (r) {
                fprintf(stderr, "contract-compiler: cannot read %s: %s\n", descriptors, strerror(-r));
                return 1;
        }
        mkdir(out, 0777);
        return write_all(&model, out) ? 1 : 0;
}
