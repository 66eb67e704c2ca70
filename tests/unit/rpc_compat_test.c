/* SPDX-License-Identifier: Apache-2.0
 *
 * Which methods an instance of another build can be asked.
 */
#include "common/rpc/compat.h"
#include "tests/support/check.h"

#include "contract/internal_v1.h"

#define METHOD    (&internal_v1_get_status)
#define STRANGE   0x5741e7ull /* a shape that nobody ever had */
#define ROWS(...) ((const uint64_t[][2]){__VA_ARGS__}), sizeof((const uint64_t[][2]){__VA_ARGS__}) / sizeof(uint64_t[2])

/* Rows of input and output about METHOD. */
static bool can_be_asked(const uint64_t (*rows)[2], size_t n)
{
        Nuanxin__Internal__V1__Accepts items[4], *pointers[4];
        Nuanxin__Internal__V1__Hello hello = NUANXIN__INTERNAL__V1__HELLO__INIT;
        struct compat compat = {0};
        for (size_t i = 0; i < n; i++) {
                nuanxin__internal__v1__accepts__init(&items[i]);
                items[i].method = METHOD->id;
                items[i].input_hash = rows[i][0];
                items[i].output_hash = rows[i][1];
                pointers[i] = &items[i];
        }
        hello.n_accepts = n;
        hello.accepts = pointers;
        compat_read(&compat, &hello);
        bool can = compat_has(&compat, METHOD->id);
        CHECK(!n || !compat_has(&compat, internal_v1_list_audit.id));
        compat_done(&compat);
        return can;
}

/* An output that METHOD's answer once had. */
static uint64_t earlier_output(void)
{
        for (unsigned i = 0; i < contract_n_past_outputs; i++)
                if (contract_past_outputs[i].method == METHOD->id)
                        return contract_past_outputs[i].hash;
        return 0;
}

static void the_same_build(void)
{
        CHECK(can_be_asked(ROWS({METHOD->input_hash, METHOD->output_hash})));
        CHECK(can_be_asked(NULL, 0)); /* it tells nothing of itself */
}

static void a_newer_instance_that_knows_our_shapes(void)
{
        CHECK(can_be_asked(ROWS({STRANGE, STRANGE}, {METHOD->input_hash, 0}, {0, METHOD->output_hash})));
        CHECK(!can_be_asked(ROWS({STRANGE, STRANGE}, {METHOD->input_hash, 0}))); /* our output was broken */
        CHECK(!can_be_asked(ROWS({STRANGE, STRANGE}, {0, METHOD->output_hash}))); /* our input was */
        CHECK(!can_be_asked(ROWS({STRANGE, METHOD->output_hash})));
}

static void an_older_instance(void)
{
        CHECK(earlier_output() != 0);
        CHECK(can_be_asked(ROWS({METHOD->input_hash, earlier_output()})));
        CHECK(!can_be_asked(ROWS({STRANGE, earlier_output()}))); /* it would overlook what we send */
        CHECK(!can_be_asked(ROWS({METHOD->input_hash, STRANGE}, {0, earlier_output()}))); /* of another line */
        CHECK(can_be_asked(ROWS({METHOD->input_hash, 0}))); /* it did not say what it gives yet */
}

static const struct check_case cases[] = {
        {"an instance of the same build can be asked", the_same_build},
        {"a newer one, if it has kept what we send and read", a_newer_instance_that_knows_our_shapes},
        {"an older one, if it understands all that we send", an_older_instance},
};

int main(void)
{
        return CHECK_MAIN(cases);
}
