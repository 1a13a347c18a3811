/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strategy of one process: there is nobody to agree with. Its gradient is the mean already.
 */
#include "cloister/train.h"

static clo_status solo_share(void *state, void *data, size_t size)
{
    (void)state;
    (void)data;
    (void)size;
    return CLO_STATUS_OK;
}

static clo_status solo_finish(void *state, float *gradients, size_t count)
{
    (void)state;
    (void)gradients;
    (void)count;
    return CLO_STATUS_OK;
}

static clo_status solo_sum(void *state, double *values, size_t count)
{
    (void)state;
    (void)values;
    (void)count;
    return CLO_STATUS_OK;
}

static clo_status solo_between(void *state, const char *phase, bool peers_changed)
{
    (void)state;
    (void)phase;
    (void)peers_changed;
    return CLO_STATUS_OK;
}

static void solo_close(void *state)
{
    (void)state;
}

static const clo_strategy_ops solo_ops = {
    .name = "solo",
    .share = solo_share,
    .bucket_ready = NULL,
    .finish = solo_finish,
    .sum = solo_sum,
    .between = solo_between,
    .close = solo_close,
};

clo_strategy clo_strategy_solo(void)
{
    return (clo_strategy){.ops = &solo_ops, .state = NULL, .rank = 0, .world = 1};
}

void clo_strategy_clear(clo_strategy *strategy)
{
    if (strategy->ops != NULL) {
        strategy->ops->close(strategy->state);
    }
    *strategy = CLO_STRATEGY_INIT;
}
