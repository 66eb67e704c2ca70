/* SPDX-License-Identifier: Apache-2.0
 *
 * What this service keeps of membership's tree: each organisation's path.
 */
#include "services/stream/store.h"

int organization_save(struct store_conn *db, const char *code, const char *path)
{
        static const char sql[] = "INSERT INTO organization (code, path) VALUES ($1, $2) "
                                  "ON CONFLICT (code) DO UPDATE SET path = excluded.path";
        return store_exec(db, sql, NULL, TEXTZ(code), TEXTZ(path));
}

int organization_path_load(struct store_conn *db, struct arena *arena, struct str code, const char **ret_path)
{
        static const char sql[] = "SELECT path FROM organization WHERE code = $1";
        _cleanup_(store_rows_closep) struct store_rows *rows = NULL;
        int r = first_row(store_query(db, sql, &rows, TEXT(code)), rows);
        if (r == 0)
                *ret_path = store_text_dup(rows, 0, arena);
        return r;
}
