/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collectives of honest ranks: sums, bits, roots, and sizes around every border of the ring's
 * pieces.
 */
#include "comm_message.h"
#include "comm_rig.h"
#include "group.h"

/* ---------------------------------------------------------------- sums ------------------------ */

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
        T_RESULT_OK(rig.members[rank]);
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
    check_floats(4, 1200001);
}

/* ---------------------------------------------------------------- borders --------------------- */

/* Exact sums, so that every element of every rank can be checked where it is. */
static clo_status check_count(clo_group *group, size_t count)
{
    uint32_t world = clo_group_world(group);
    uint64_t *data = clo_alloc_array(count + 1, sizeof *data);
    CLO_CHECK(data != NULL, CLO_NOMEM, "data");
    for (size_t i = 0; i < count; i++) {
        data[i] = i * 3 + clo_group_rank(group);
    }
    data[count] = 0xfeed;
    clo_status status = clo_group_all_reduce(group, data, count, sizeof *data, rig_add_u64);
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        wrong += data[i] != i * 3 * world + world * (world - 1) / 2;
    }
    wrong += data[count] != 0xfeed;
    clo_free(data);
    CLO_TRY(status);
    CLO_CHECK(wrong == 0, CLO_BUG, "%zu of %zu elements are wrong", wrong, count);
    return CLO_STATUS_OK;
}

static clo_status reduce_borders(rig_member *member, clo_group *group)
{
    const size_t world = clo_group_world(group);
    const size_t lead = CLO_LEAD_INLINE / sizeof(uint64_t);
    const size_t body = CLO_BODY_MAX / sizeof(uint64_t);
    const size_t counts[] = {0,
                             1,
                             2,
                             3,
                             4,
                             5,
                             lead,
                             lead * world,
                             lead * world - 1,
                             lead * world + 1,
                             body * world - 1,
                             body * world,
                             body * world + 1,
                             2 * body * world + 3};
    (void)member;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        CLO_TRY_CTX(check_count(group, counts[i]), "%zu elements", counts[i]);
    }
    return CLO_STATUS_OK;
}

static void run_all(uint32_t world, rig_body body)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, world, body, NULL);
    rig_run(&rig);
    for (uint32_t rank = 0; rank < world; rank++) {
        T_RESULT_OK(rig.members[rank]);
    }
}

static void counts_at_every_border_are_summed_right(void)
{
    for (uint32_t world = 2; world <= RIG_RANKS; world++) {
        run_all(world, reduce_borders);
    }
}

typedef struct {
    uint8_t bytes[7];
} odd;

static void add_odd(void *out, const void *in, size_t count)
{
    odd *sums = out;
    const odd *values = in;
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < sizeof sums->bytes; at++) {
            sums[i].bytes[at] = (uint8_t)(sums[i].bytes[at] + values[i].bytes[at]);
        }
    }
}

static clo_status reduce_odd(rig_member *member, clo_group *group)
{
    enum { COUNT = 400001 };

    (void)member;
    odd *data = clo_alloc_array(COUNT, sizeof *data);
    CLO_CHECK(data != NULL, CLO_NOMEM, "data");
    memset(data, (int)clo_group_rank(group) + 1, COUNT * sizeof *data);
    clo_status status = clo_group_all_reduce(group, data, COUNT, sizeof *data, add_odd);
    bool right = true;
    for (size_t i = 0; i < COUNT; i++) {
        right = right && data[i].bytes[0] == 6 && data[i].bytes[6] == 6;
    }
    clo_free(data);
    CLO_TRY(status);
    CLO_CHECK(right, CLO_BUG, "a sum is wrong");
    return CLO_STATUS_OK;
}

static void elements_of_an_odd_size_are_never_torn(void)
{
    run_all(3, reduce_odd);
}

static clo_status refuse_sizes(rig_member *member, clo_group *group)
{
    uint64_t value = 1;
    (void)member;
    CLO_CHECK(clo_group_all_reduce(group, &value, 1, 0, rig_add_u64).code == CLO_INVALID, CLO_BUG,
              "size 0 was taken");
    CLO_CHECK(clo_group_all_reduce(group, &value, 1, CLO_ELEMENT_MAX + 1, rig_add_u64).code ==
                  CLO_INVALID,
              CLO_BUG, "a huge element was taken");
    CLO_CHECK(clo_group_all_reduce(group, &value, SIZE_MAX / 4, 8, rig_add_u64).code == CLO_INVALID,
              CLO_BUG, "an overflow was taken");
    CLO_CHECK(clo_group_broadcast(group, 2, &value, 8).code == CLO_INVALID, CLO_BUG,
              "root 2 of 2 was taken");
    return clo_group_barrier(group); /* none of them broke the group */
}

static void impossible_sizes_are_refused_and_break_nothing(void)
{
    run_all(2, refuse_sizes);
}

/* ---------------------------------------------------------------- broadcast, barrier ---------- */

static clo_status check_broadcast(clo_group *group, uint32_t root, size_t size)
{
    uint8_t *data = clo_alloc(size + 1);
    CLO_CHECK(data != NULL, CLO_NOMEM, "data");
    bool is_root = clo_group_rank(group) == root;
    for (size_t i = 0; i < size; i++) {
        data[i] = is_root ? (uint8_t)(i * 7 + root) : 0xee;
    }
    clo_status status = clo_group_broadcast(group, root, data, size);
    size_t wrong = 0;
    for (size_t i = 0; i < size; i++) {
        wrong += data[i] != (uint8_t)(i * 7 + root);
    }
    clo_free(data);
    CLO_TRY(status);
    CLO_CHECK(wrong == 0, CLO_BUG, "%zu bytes from root %u are wrong", wrong, root);
    return CLO_STATUS_OK;
}

static clo_status broadcast_all(rig_member *member, clo_group *group)
{
    static const size_t sizes[] = {0,
                                   1,
                                   CLO_LEAD_INLINE,
                                   CLO_LEAD_INLINE + 1,
                                   CLO_BODY_MAX,
                                   CLO_BODY_MAX + 1,
                                   3 * CLO_BODY_MAX + CLO_LEAD_INLINE};
    (void)member;
    for (uint32_t root = 0; root < clo_group_world(group); root++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            CLO_TRY_CTX(check_broadcast(group, root, sizes[i]), "%zu bytes", sizes[i]);
        }
    }
    return CLO_STATUS_OK;
}

static void broadcast_reaches_all_from_every_root(void)
{
    for (uint32_t world = 2; world <= RIG_RANKS; world++) {
        run_all(world, broadcast_all);
    }
}

static int64_t entered[RIG_RANKS];

static clo_status meet_late(rig_member *member, clo_group *group)
{
    uint32_t rank = clo_group_rank(group);
    (void)member;
    clo_sleep_ms(rank == 2 ? 200 : 0);
    entered[rank] = clo_clock_ns();
    CLO_TRY(clo_group_barrier(group));
    int64_t left = clo_clock_ns();
    CLO_TRY(clo_group_barrier(group)); /* makes the others' times visible */
    for (uint32_t other = 0; other < clo_group_world(group); other++) {
        CLO_CHECK(entered[other] <= left, CLO_BUG, "rank %u left before rank %u came", rank, other);
    }
    return CLO_STATUS_OK;
}

static void nobody_leaves_a_barrier_before_the_last_comes(void)
{
    run_all(4, meet_late);
}

/* ---------------------------------------------------------------- worlds ---------------------- */

static clo_status reduce_everything(rig_member *member, clo_group *group)
{
    CLO_TRY(reduce_borders(member, group));
    CLO_TRY(broadcast_all(member, group));
    return clo_group_upkeep(group, true);
}

static void processes_do_the_same_as_threads(void)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, 3, reduce_everything, NULL);
    rig_spawn(&rig);
    rig_reap(&rig);
    for (uint32_t rank = 0; rank < 3; rank++) {
        T_RESULT_OK(rig.members[rank]);
        T_CHECK(rig.members[rank].ended_ms > 0);
    }
}

static void a_world_of_one_needs_nobody(void)
{
    clo_group_options options = {.rank = 0, .world = 1, .master_address = "256.0.0.1:0"};
    CLO_AUTO_PTR(clo_group) group = NULL;
    float value = 2.5f;
    T_OK(clo_group_join(&options, &group));
    clo_group_set_phase(group, "epoch 1");
    T_OK(clo_group_all_reduce(group, &value, 1, sizeof value, rig_add_floats));
    T_OK(clo_group_broadcast(group, 0, &value, sizeof value));
    T_OK(clo_group_barrier(group));
    T_OK(clo_group_upkeep(group, true));
    T_NEAR(value, 2.5, 0);
    T_INT(clo_group_world(group), 1);
    T_INT(clo_group_rank(group), 0);
    T_INT(clo_group_peer_count(group), 0);
    clo_group_abort(group, clo_status_make(CLO_NUMERIC, "f", 1, "f", "alone"));
}

static clo_status count_peers(rig_member *member, clo_group *group)
{
    uint32_t slots = 0;
    (void)member;
    for (size_t i = 0; i < clo_group_peer_count(group); i++) {
        const clo_peer *peer = clo_group_peer(group, i);
        CLO_CHECK(peer->verdict.accepted, CLO_BUG, "a peer without a verdict");
        slots |= 1u << peer->hello.slot;
    }
    /* Rank 0 accepts all; the others verify their neighbours and rank 0. */
    static const uint32_t expected[] = {0xe, 0x5, 0xb, 0x5};
    CLO_CHECK(slots == expected[clo_group_rank(group)], CLO_BUG, "rank %u verified 0x%x",
              clo_group_rank(group), slots);
    return clo_group_barrier(group);
}

static void each_rank_knows_whom_it_verified(void)
{
    run_all(4, count_peers);
}

/* ---------------------------------------------------------------- reducer --------------------- */

enum { BUCKETS = 40, BUCKET_COUNT = 5003 };

static clo_status overlap(rig_member *member, clo_group *group)
{
    static float gradients[RIG_RANKS][BUCKETS * BUCKET_COUNT];
    uint32_t rank = clo_group_rank(group);
    float *mine = gradients[rank];
    CLO_AUTO_PTR(clo_reducer) reducer = NULL;
    (void)member;
    CLO_TRY(clo_reducer_new(group, rig_add_floats, sizeof(float), &reducer));
    for (int step = 0; step < 3; step++) {
        for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
            for (size_t i = 0; i < BUCKET_COUNT; i++) { /* "backward" of this bucket */
                mine[bucket * BUCKET_COUNT + i] = (float)(rank + bucket);
            }
            clo_reducer_submit(reducer, mine + bucket * BUCKET_COUNT, BUCKET_COUNT);
        }
        CLO_TRY(clo_reducer_finish(reducer));
        uint32_t world = clo_group_world(group);
        for (size_t i = 0; i < BUCKETS * BUCKET_COUNT; i++) {
            double sum = (double)(world * (i / BUCKET_COUNT)) + world * (world - 1) / 2;
            CLO_CHECK((double)mine[i] >= sum && (double)mine[i] <= sum, CLO_BUG,
                      "element %zu is %g, expected %g", i, (double)mine[i], sum);
        }
        CLO_TRY(clo_group_barrier(group)); /* the group is the caller's again */
    }
    return CLO_STATUS_OK;
}

static void the_reducer_sums_buckets_while_the_caller_goes_on(void)
{
    run_all(3, overlap);
}

static clo_status submit_too_many(rig_member *member, clo_group *group)
{
    static uint64_t value;
    CLO_AUTO_PTR(clo_reducer) reducer = NULL;
    (void)member;
    if (clo_group_rank(group) == 1) { /* so that rank 0's first bucket cannot be reduced yet */
        clo_sleep_ms(300);
        return CLO_STATUS_OK;
    }
    CLO_TRY(clo_reducer_new(group, rig_add_u64, sizeof value, &reducer));
    for (int i = 0; i < CLO_REDUCER_BUCKETS + 1; i++) {
        clo_reducer_submit(reducer, &value, 1);
    }
    return clo_reducer_finish(reducer);
}

static void a_full_queue_is_told_by_finish(void)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, 2, submit_too_many, NULL);
    rig_run(&rig);
    T_RESULT(rig.members[0], CLO_LIMIT);
    T_RESULT_OK(rig.members[1]);
}

static void an_idle_reducer_finishes_and_ends(void)
{
    clo_group_options options = {.rank = 0, .world = 1};
    CLO_AUTO_PTR(clo_group) group = NULL;
    CLO_AUTO_PTR(clo_reducer) reducer = NULL;
    T_OK(clo_group_join(&options, &group));
    T_OK(clo_reducer_new(group, rig_add_u64, 8, &reducer));
    T_OK(clo_reducer_finish(reducer));
    clo_reducer_free(CLO_TAKE(reducer));
    clo_reducer_free(NULL);
    clo_group_leave(NULL);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(two_ranks_sum_and_end_with_the_same_bits),
        T(three_ranks_sum_and_end_with_the_same_bits),
        T(four_ranks_sum_and_end_with_the_same_bits),
        T(counts_at_every_border_are_summed_right),
        T(elements_of_an_odd_size_are_never_torn),
        T(impossible_sizes_are_refused_and_break_nothing),
        T(broadcast_reaches_all_from_every_root),
        T(nobody_leaves_a_barrier_before_the_last_comes),
        T(processes_do_the_same_as_threads),
        T(a_world_of_one_needs_nobody),
        T(each_rank_knows_whom_it_verified),
        T(the_reducer_sums_buckets_while_the_caller_goes_on),
        T(a_full_queue_is_told_by_finish),
        T(an_idle_reducer_finishes_and_ends),
    };
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
