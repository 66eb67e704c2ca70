/* SPDX-License-Identifier: Apache-2.0
 *
 * The divisions' file, and people made from a number.
 */
#include "deploy/demo/people.h"

#include <stdio.h>
#include <stdlib.h>

static int level_of(struct str word)
{
        static const char *const words[] = {"province", "city", "county", "township", "village"};
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
                if (str_is(word, words[i]))
                        return (int)i + 1;
        return 0;
}

static int compare_codes(const void *a, const void *b)
{
        return strcmp(((const struct division *)a)->code, ((const struct division *)b)->code);
}

static void keep(char *to, size_t room, struct str text)
{
        snprintf(to, room, "%.*s", (int)text.n, text.p);
}

int divisions_find(const struct divisions *d, const char *code)
{
        struct division wanted;
        snprintf(wanted.code, sizeof(wanted.code), "%s", code);
        const struct division *found = bsearch(&wanted, d->all, d->n, sizeof(*d->all), compare_codes);
        return found ? (int)(found - d->all) : -1;
}

static void index_divisions(struct divisions *d)
{
        qsort(d->all, d->n, sizeof(*d->all), compare_codes);
        d->villages = mem_zalloc(d->n * sizeof(*d->villages));
        for (size_t i = 0; i < d->n; i++) {
                d->all[i].parent_index = d->all[i].parent[0] ? divisions_find(d, d->all[i].parent) : -1;
                if (d->all[i].level == 5)
                        d->villages[d->n_villages++] = i;
        }
}

int divisions_load(const char *path, struct divisions *ret)
{
        struct divisions d = {0};
        char line[512];
        size_t cap = 0, number = 0;
        FILE *f = fopen(path, "re");

        if (!f) {
                int r = -errno;
                fprintf(stderr, "can't read %s: %s; give --data\n", path, strerror(-r));
                return r;
        }
        while (fgets(line, sizeof(line), f)) {
                struct str rest = str_of(line);
                if (rest.n && rest.p[rest.n - 1] == '\n')
                        rest.n--;
                struct str code = str_cut(&rest, ','), parent = str_cut(&rest, ','), level = str_cut(&rest, ',');
                if (number++ == 0)
                        continue;
                if (d.n == cap) {
                        cap = cap ? 2 * cap : 4096;
                        d.all = mem_realloc(d.all, cap * sizeof(*d.all));
                }
                struct division *v = &d.all[d.n++];
                *v = (struct division){.level = level_of(level)};
                keep(v->code, sizeof(v->code), code);
                keep(v->parent, sizeof(v->parent), parent);
                keep(v->name, sizeof(v->name), rest);
        }
        fclose(f);
        index_divisions(&d);
        if (!d.n_villages) {
                fprintf(stderr, "%s has no villages: it must have the columns code,parent_code,level,name\n", path);
                divisions_done(&d);
                return -EBADMSG;
        }
        *ret = d;
        return 0;
}

void divisions_done(struct divisions *d)
{
        free(d->all);
        free(d->villages);
        *d = (struct divisions){0};
}

/* splitmix64: a number's own stream of randomness. */
static uint64_t next(uint64_t *state)
{
        uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
}

void person_make(const struct divisions *d, unsigned number, struct person *p)
{
        static const char *const surnames[] = {"王", "李", "张", "刘", "陈", "杨", "黄", "赵", "周", "吴", "徐", "孙", "胡", "朱",
                                               "高", "林", "何", "郭", "马", "罗", "向", "彭", "田", "石", "龙", "覃", "谭", "欧阳"};
        static const char *const given[] = {"伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛",
                                            "明", "超", "秀英", "霞", "平", "刚", "桂英", "建华", "志强", "玉兰", "春梅", "海燕",
                                            "红梅", "晓东", "文静", "子涵", "雨桐", "𬀩", "䶮"};
        static const char *const dotted[] = {"阿依·古丽", "阿力木·买买提", "迪丽·努尔"};
        static const int weights[] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
        static const char check[] = "10X98765432";
        uint64_t state = 0x6e75616e78696eull + number;
        int sum = 0;

        p->village = d->villages[next(&state) % d->n_villages];
        if (next(&state) % 200 == 0)
                snprintf(p->name, sizeof(p->name), "%s", dotted[next(&state) % ARRAY_LEN(dotted)]);
        else
                snprintf(p->name, sizeof(p->name), "%s%s", surnames[next(&state) % ARRAY_LEN(surnames)],
                         given[next(&state) % ARRAY_LEN(given)]);
        /* County, birthday, and a sequence that is the number's own, so that no two people share an ID number. */
        unsigned day = 1 + number / 1000 % 28, month = 1 + number / 28000 % 12, year = 1950 + number / 336000 % 50;
        snprintf(p->id_number, sizeof(p->id_number), "%.6s%04u%02u%02u%03u", "430102", year, month, day, number % 1000);
        for (size_t i = 0; i < 17; i++)
                sum += (p->id_number[i] - '0') * weights[i];
        p->id_number[17] = check[sum % 11];
        p->id_number[18] = '\0';
        snprintf(p->phone, sizeof(p->phone), "13%09llu", (unsigned long long)(next(&state) % 1000000000ull));
}
