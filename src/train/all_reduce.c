/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strategy of a group of equals: every bucket of the gradient is summed over the ring while
 * backward goes on, and the whole is divided by the number of ranks at the end.
 *
 *     backward   [bucket 0][bucket 1][bucket 2]
 *     reducer              [ring 0   ][ring 1   ][ring 2   ]   finish: wait, scale
 *
 * All ranks have batches of equal size (data.h), so the mean of their means is the mean over the
 * global batch. Scaling happens after the sum, in the same order of additions on every rank: the
 * result has the same bits everywhere.
 */
#include "cloister/train.h"

typedef struct {
    clo_group *group;
    clo_reducer *reducer;
} ring;

static void add_floats(void *out, const void *in, size_t count)
{
    clo_add_f32(out, in, count);
}

static void add_doubles(void *out, const void *in, size_t count)
{
    double *sums = out;
    const double *values = in;
    for (size_t i = 0; i < count; i++) {
        sums[i] += values[i];
    }
}

static clo_status ring_share(void *state, void *data, size_t size)
{
    return clo_group_broadcast(((ring *)state)->group, 0, data, size);
}

static void ring_bucket_ready(void *state, float *gradients, clo_bucket bucket)
{
    clo_reducer_submit(((ring *)state)->reducer, gradients + bucket.offset, bucket.count);
}

static clo_status ring_finish(void *state, float *gradients, size_t count)
{
    ring *self = state;
    CLO_TRY(clo_reducer_finish(self->reducer));
    clo_scale_f32(gradients, 1.0f / (float)clo_group_world(self->group), count);
    return CLO_STATUS_OK;
}

static clo_status ring_sum(void *state, double *values, size_t count)
{
    return clo_group_all_reduce(((ring *)state)->group, values, count, sizeof *values, add_doubles);
}

static clo_status ring_between(void *state, const char *phase, bool peers_changed)
{
    ring *self = state;
    clo_group_set_phase(self->group, phase);
    return clo_group_upkeep(self->group, peers_changed);
}

static void ring_close(void *state)
{
    ring *self = state;
    clo_reducer_free(self->reducer);
    clo_free(self);
}

static const clo_strategy_ops ring_ops = {
    .name = "all-reduce",
    .share = ring_share,
    .bucket_ready = ring_bucket_ready,
    .finish = ring_finish,
    .sum = ring_sum,
    .between = ring_between,
    .close = ring_close,
};

clo_status clo_strategy_all_reduce(clo_group *group, clo_strategy *out_strategy)
{
    ring *self = clo_alloc(sizeof *self);
    CLO_CHECK(self != NULL, CLO_NOMEM, "out of memory for a strategy");
    clo_strategy strategy = {.ops = &ring_ops,
                             .state = self,
                             .rank = clo_group_rank(group),
                             .world = clo_group_world(group)};
    self->group = group;
    clo_status status = clo_reducer_new(group, add_floats, sizeof(float), &self->reducer);
    if (!clo_ok(status)) {
        clo_free(self);
        return status;
    }
    *out_strategy = strategy;
    return CLO_STATUS_OK;
}
