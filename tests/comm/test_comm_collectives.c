/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collectives of honest ranks: sums, bits, roots, sizes around every border of the ring's pieces.
 */
#include "comm_message.h"
#include "comm_rig.h"
#include "group.h"

/* ---------------------------------------------------------------- all-reduce ------------------ */

typedef struct {
    size_t count;
    float *results[RIG_RANKS]; /* each rank's vector afterwards */
} float_case;

/* Sums whose rounding depends on the order of additions. */
static float float_of(uint32_t rank, size_t i)
{
    return (float)(rank + 1) * 0.1f + (float)(i % 977) * 1e-5f;
}

static clo_status reduce_floats(rig_member *member, clo_group *group)
{
    float_case *c = member->arg;
    uint32_t rank = clo_group_rank(group);
    float *data = clo_alloc_array(c->count + 1, sizeof *data);
    CLO_CHECK(data != NULL, CLO_NOMEM, "data");
    for (size_t i = 0; i < c->count; i++) {
        data[i] = float_of(rank, i);
    }
    c->results[rank] = data;
    return clo_group_all_reduce(group, data, c->count, sizeof *data, rig_add_floats);
}

static void float_case_cleanup(float_case *c)
{
    for (int rank = 0; rank < RIG_RANKS; rank++) {
        clo_free(c->results[rank]);
    }
}

static void check_floats(uint32_t world, size_t count)
{
    CLO_AUTO(float_case) c = {.count = count};
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, world, reduce_floats, &c);
    rig_run(&rig);
    for (uint32_t rank = 0; rank < world; rank++) {
        T_OK(clo_status_restore(&rig.members[rank].result));
        T_INT(memcmp(c.results[rank], c.results[0], count * sizeof(float)), 0);
    }
    for (size_t i = 0; i < count; i++) {
        double sum = 0.0;
        for (uint32_t rank = 0; rank < world; rank++) {
            sum += (double)float_of(rank, i);
        }
        T_NEAR(c.results[0][i], sum, 1e-5);
    }
}

static void two_ranks_sum_and_end_with_the_same_bits(void)
{
    check_floats(2, 1001);
}

static void three_ranks_sum_and_end_with_the_same_bits(void)
{
    check_floats(3, 100003);
}

static void four_ranks_sum_and_end_with_the_same_bits(void)
{
    check_floats(4, 700001);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(two_ranks_sum_and_end_with_the_same_bits),
        T(three_ranks_sum_and_end_with_the_same_bits),
        T(four_ranks_sum_and_end_with_the_same_bits),
    };
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
