/* SPDX-License-Identifier: Apache-2.0
 *
 * Levels of the association.
 */
#include "rules_place.h"

int path_depth(struct str path)
{
        int n = 0;
        for (size_t i = 1; i < path.n; i++)
                n += path.p[i] == '/';
        return n;
}

bool path_level(struct str path, int level, struct str *ret_code, struct str *ret_path)
{
        struct str rest = path, code;
        if (level < 1 || path_depth(path) < level)
                return false;
        code = str_cut(&rest, '/'); /* nothing stands before the first '/' */
        for (int i = 0; i < level; i++)
                code = str_cut(&rest, '/');
        *ret_code = code;
        *ret_path = (struct str){path.p, (size_t)(code.p + code.n + 1 - path.p)};
        return true;
}
