/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of an epoch: a permutation every rank can compute, and each rank's stride through it.
 *
 * Fisher-Yates takes its j from 32 random bits by multiplication (Lemire), whose bias is at most
 * count / 2^32 for one place: no rejection loop is needed for an order.
 */
#include "cloister/data.h"

/* Streams of the generator: parameters are numbered from 0, epochs must not meet them. */
static const uint64_t EPOCH_STREAM = (uint64_t)0x65706f63 << 32; /* "epoc" */

static size_t padding(const clo_sampler *sampler)
{
    size_t over = sampler->count % sampler->world;
    return sampler->exact || over == 0 ? 0 : sampler->world - over;
}

size_t clo_sampler_share(const clo_sampler *sampler)
{
    size_t total = sampler->count + padding(sampler);
    return total / sampler->world + (sampler->rank < total % sampler->world ? 1 : 0);
}

static void shuffle(uint32_t *order, size_t count, uint64_t seed, uint64_t epoch)
{
    for (size_t i = count - 1; i > 0; i--) {
        uint64_t random = clo_random_u32(seed, EPOCH_STREAM + epoch, i);
        size_t j = (size_t)((random * (i + 1)) >> 32);
        uint32_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

static clo_status check(const clo_sampler *sampler)
{
    CLO_CHECK(sampler->world > 0 && sampler->rank < sampler->world, CLO_INVALID,
              "sampler of rank %u in a world of %u", sampler->rank, sampler->world);
    CLO_CHECK(sampler->count > 0 && sampler->count <= UINT32_MAX, CLO_INVALID,
              "sampler over %zu samples, expected 1 to 2^32 - 1", sampler->count);
    return CLO_STATUS_OK;
}

clo_status clo_sampler_order(const clo_sampler *sampler, uint64_t epoch, uint32_t *out_indices)
{
    CLO_TRY(check(sampler));
    uint32_t *order = clo_alloc_array(sampler->count, sizeof *order);
    CLO_CHECK(order != NULL, CLO_NOMEM, "out of memory for the order of %zu samples",
              sampler->count);
    for (size_t i = 0; i < sampler->count; i++) {
        order[i] = (uint32_t)i;
    }
    if (sampler->shuffle) {
        shuffle(order, sampler->count, sampler->seed, epoch);
    }
    size_t share = clo_sampler_share(sampler);
    for (size_t i = 0; i < share; i++) {
        /* The padding repeats the order from its start, more than once for a tiny dataset. */
        out_indices[i] = order[(sampler->rank + i * sampler->world) % sampler->count];
    }
    clo_free(order);
    return CLO_STATUS_OK;
}
