/* SPDX-License-Identifier: Apache-2.0 */
/* The order of an epoch: complete, shared out, repeatable, and the same for 1 and 3 ranks. */
#include "test.h"

#include <string.h>

#include "cloister/data.h"

enum { COUNT = 1000, WORLD = 3, SHARE_MAX = 1024 };

static void marks_every_sample(const clo_sampler *like, uint32_t *seen)
{
    for (uint32_t rank = 0; rank < like->world; rank++) {
        clo_sampler sampler = *like;
        sampler.rank = rank;
        uint32_t order[SHARE_MAX];
        T_OK(clo_sampler_order(&sampler, 1, order));
        for (size_t i = 0; i < clo_sampler_share(&sampler); i++) {
            T_CHECK(order[i] < like->count);
            seen[order[i]]++;
        }
    }
}

static size_t count_of(const uint32_t *seen, size_t size, uint32_t times)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        count += seen[i] == times ? 1 : 0;
    }
    return count;
}

static void gives_equal_shares_by_padding_from_the_start(void)
{
    clo_sampler sampler = {.count = COUNT, .seed = 42, .world = WORLD, .shuffle = true};
    for (sampler.rank = 0; sampler.rank < WORLD; sampler.rank++) {
        T_INT(clo_sampler_share(&sampler), 334);
    }
    uint32_t seen[COUNT] = {0};
    sampler.rank = 0;
    marks_every_sample(&sampler, seen);
    T_INT(count_of(seen, COUNT, 1), COUNT - 2);
    T_INT(count_of(seen, COUNT, 2), 2); /* 3 * 334 - 1000 */
}

static void counts_each_sample_once_when_exact(void)
{
    clo_sampler sampler = {.count = COUNT, .world = WORLD, .exact = true};
    T_INT(clo_sampler_share(&sampler), 334);
    sampler.rank = 1;
    T_INT(clo_sampler_share(&sampler), 333);
    uint32_t seen[COUNT] = {0};
    marks_every_sample(&sampler, seen);
    T_INT(count_of(seen, COUNT, 1), COUNT);
}

static void interleaves_the_order_of_one_rank(void)
{
    clo_sampler one = {.count = COUNT, .seed = 7, .world = 1, .shuffle = true};
    uint32_t whole[SHARE_MAX];
    uint32_t part[SHARE_MAX];
    T_OK(clo_sampler_order(&one, 3, whole));
    T_INT(clo_sampler_share(&one), COUNT);
    for (uint32_t rank = 0; rank < WORLD; rank++) {
        clo_sampler mine = {
            .count = COUNT, .seed = 7, .rank = rank, .world = WORLD, .shuffle = true};
        T_OK(clo_sampler_order(&mine, 3, part));
        for (size_t i = 0; i < 333; i++) {
            T_INT(part[i], whole[rank + i * WORLD]);
        }
    }
}

static void differs_by_seed_and_epoch_and_repeats_for_both(void)
{
    clo_sampler sampler = {.count = COUNT, .seed = 1, .world = 1, .shuffle = true};
    uint32_t first[SHARE_MAX];
    uint32_t other[SHARE_MAX];
    T_OK(clo_sampler_order(&sampler, 1, first));
    T_OK(clo_sampler_order(&sampler, 1, other));
    T_CHECK(memcmp(first, other, COUNT * sizeof *first) == 0);
    T_OK(clo_sampler_order(&sampler, 2, other));
    T_CHECK(memcmp(first, other, COUNT * sizeof *first) != 0);
    sampler.seed = 2;
    T_OK(clo_sampler_order(&sampler, 1, other));
    T_CHECK(memcmp(first, other, COUNT * sizeof *first) != 0);
}

static void keeps_the_file_order_without_shuffle(void)
{
    clo_sampler sampler = {.count = 5, .world = 1};
    uint32_t order[5];
    T_OK(clo_sampler_order(&sampler, 9, order));
    for (uint32_t i = 0; i < 5; i++) {
        T_INT(order[i], i);
    }
}

/* Each place is reached by each sample about equally often: a swapped loop bound would show. */
static void shuffles_evenly(void)
{
    enum { SMALL = 4, ROUNDS = 4000 };

    uint32_t hits[SMALL][SMALL] = {{0}};
    clo_sampler sampler = {.count = SMALL, .seed = 5, .world = 1, .shuffle = true};
    for (uint64_t epoch = 1; epoch <= ROUNDS; epoch++) {
        uint32_t order[SMALL];
        T_OK(clo_sampler_order(&sampler, epoch, order));
        for (size_t place = 0; place < SMALL; place++) {
            hits[place][order[place]]++;
        }
    }
    for (size_t i = 0; i < (size_t)SMALL * SMALL; i++) {
        T_NEAR(hits[i / SMALL][i % SMALL], ROUNDS / SMALL, 140); /* five sigma */
    }
}

static void pads_a_dataset_smaller_than_the_world(void)
{
    clo_sampler sampler = {.count = 2, .rank = 4, .world = 5};
    T_INT(clo_sampler_share(&sampler), 1);
    uint32_t order[1];
    T_OK(clo_sampler_order(&sampler, 1, order));
    T_INT(order[0], 0); /* 0 1 | 0 1 0 */
    sampler.exact = true;
    T_INT(clo_sampler_share(&sampler), 0);
}

static void refuses_a_rank_outside_the_world(void)
{
    uint32_t order[4];
    clo_sampler sampler = {.count = 4, .rank = 3, .world = 3};
    T_CODE(clo_sampler_order(&sampler, 1, order), CLO_INVALID);
    sampler.rank = 2;
    T_OK(clo_sampler_order(&sampler, 1, order));
    sampler.world = 0;
    T_CODE(clo_sampler_order(&sampler, 1, order), CLO_INVALID);
    sampler = (clo_sampler){.count = 0, .world = 1};
    T_CODE(clo_sampler_order(&sampler, 1, order), CLO_INVALID);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(gives_equal_shares_by_padding_from_the_start),
        T(counts_each_sample_once_when_exact),
        T(interleaves_the_order_of_one_rank),
        T(differs_by_seed_and_epoch_and_repeats_for_both),
        T(keeps_the_file_order_without_shuffle),
        T(shuffles_evenly),
        T(pads_a_dataset_smaller_than_the_world),
        T(refuses_a_rank_outside_the_world),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
