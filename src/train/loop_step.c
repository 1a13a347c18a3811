/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step.
 *
 *     feed -> forward, backward (each bucket: finite? -> strategy) -> strategy.finish
 *          -> mean finite? -> SGD -> parameters compared, when the job asks
 *
 * The sum over ranks of a NaN is a NaN on every rank, so all ranks see it at the same step without
 * a message of its own; only then do they ask each other who had it.
 */
#include "loop.h"

#include <stdio.h>
#include <string.h>

void clo_loop_feed(const clo_step_program *program, const clo_batch *batch)
{
    size_t floats = 0;
    CLO_ASSERT(clo_shape_count(&program->images.shape, &floats));
    memcpy(program->images.data, batch->images, floats * sizeof(float));
    memcpy(program->labels.data, batch->labels, batch->count * sizeof(int32_t));
}

clo_status clo_loop_ask(clo_train_loop *loop, uint32_t mine, uint32_t out_said[CLO_WORLD_MAX])
{
    const clo_strategy *strategy = loop->options.strategy;
    double said[CLO_WORLD_MAX] = {0};
    said[strategy->rank] = (double)mine;
    CLO_TRY(strategy->ops->sum(strategy->state, said, strategy->world));
    for (uint32_t rank = 0; rank < strategy->world; rank++) {
        out_said[rank] = (uint32_t)said[rank];
    }
    return CLO_STATUS_OK;
}

static void write_names(const uint32_t *said, uint32_t world, uint32_t bits, const char *noun,
                        char *out_names, size_t size)
{
    size_t at = (size_t)snprintf(out_names, size, "%s", noun);
    const char *between = " ";
    for (uint32_t rank = 0; rank < world && at < size; rank++) {
        if ((said[rank] & bits) != 0) {
            at += (size_t)snprintf(out_names + at, size - at, "%s%u", between, rank);
            between = ", ";
        }
    }
}

uint32_t clo_loop_name_ranks(const clo_train_loop *loop, const uint32_t *said, uint32_t bits,
                             char *out_names, size_t size)
{
    uint32_t world = loop->options.strategy->world;
    uint32_t count = 0;
    for (uint32_t rank = 0; rank < world; rank++) {
        count += (said[rank] & bits) != 0 ? 1 : 0;
    }
    if (out_names != NULL) {
        write_names(said, world, bits, count == 1 ? "rank" : "ranks", out_names, size);
    }
    return count;
}

clo_status clo_loop_agree(clo_train_loop *loop, bool mine, char *out_names, size_t size,
                          uint32_t *out_count)
{
    uint32_t said[CLO_WORLD_MAX];
    CLO_TRY(clo_loop_ask(loop, mine ? 1 : 0, said));
    *out_count = clo_loop_name_ranks(loop, said, 1, out_names, size);
    return CLO_STATUS_OK;
}

static void on_bucket(void *arg, size_t index)
{
    clo_train_loop *loop = arg;
    const clo_strategy *strategy = loop->options.strategy;
    clo_bucket bucket = clo_program_bucket(loop->running->program, index);
    float *gradients = clo_store_gradients(loop->state.store);
    /* The strategy overwrites the bucket with the sum: this rank's own part is seen only here. */
    loop->finite =
        clo_tensor_all_finite(gradients + bucket.offset, bucket.count, NULL) && loop->finite;
    if (strategy->ops->bucket_ready != NULL) {
        strategy->ops->bucket_ready(strategy->state, gradients, bucket);
    }
}

static const char *name_of_element(const clo_store *store, size_t element)
{
    for (size_t i = 0; i < clo_store_param_count(store); i++) {
        const clo_param *param = clo_store_param(store, i);
        if (element >= param->offset && element - param->offset < param->count) {
            return param->name;
        }
    }
    return "?";
}

static clo_status check_finite(clo_train_loop *loop)
{
    clo_store *store = loop->state.store;
    size_t element = 0;
    if (clo_tensor_all_finite(clo_store_gradients(store), clo_store_size(store), &element)) {
        return CLO_STATUS_OK;
    }
    char names[128];
    uint32_t count = 0;
    CLO_TRY(clo_loop_agree(loop, !loop->finite, names, sizeof names, &count));
    CLO_FAIL(CLO_NUMERIC,
             "gradient of '%s' is not finite in epoch %llu, batch %llu (step %llu), from %s",
             name_of_element(store, element), (unsigned long long)loop->state.epoch,
             (unsigned long long)loop->state.batch, (unsigned long long)loop->state.step,
             count > 0 ? names : "the sum over ranks");
}

/* Gradients of this batch, averaged over ranks and finite. */
static clo_status compute(clo_train_loop *loop, const clo_batch *batch)
{
    const clo_strategy *strategy = loop->options.strategy;
    clo_store *store = loop->state.store;
    CLO_TRY(clo_step_programs_get(&loop->programs, batch->count, true, &loop->running));
    clo_loop_feed(loop->running, batch);
    loop->finite = true;
    clo_run_hooks hooks = {.bucket_ready = on_bucket, .arg = loop};
    CLO_TRY(clo_program_run(loop->running->program, &hooks));
    loop->loss = (double)*(const float *)loop->running->loss.data;
    CLO_TRY(
        strategy->ops->finish(strategy->state, clo_store_gradients(store), clo_store_size(store)));
    return check_finite(loop);
}

clo_status clo_loop_step(clo_train_loop *loop, const clo_batch *batch)
{
    const clo_train_settings *settings = loop->options.settings;
    clo_store *store = loop->state.store;
    CLO_TRY(compute(loop, batch));
    clo_sgd_step(clo_store_values(store), clo_store_momentum(store), clo_store_gradients(store),
                 clo_store_size(store), (float)settings->lr, (float)settings->momentum);
    loop->state.step++;
    loop->state.batch++;
    return settings->check_parameters ? clo_train_loop_compare(loop) : CLO_STATUS_OK;
}

/* chain = SHA-256(chain || digest) */
static clo_status extend_chain(uint8_t chain[32], const uint8_t digest[32])
{
    uint8_t both[64];
    memcpy(both, chain, 32);
    memcpy(both + 32, digest, 32);
    return clo_sha256(CLO_SPAN_OF(both), chain);
}

clo_status clo_train_loop_compare(clo_train_loop *loop)
{
    const clo_strategy *strategy = loop->options.strategy;
    clo_train_state *state = &loop->state;
    uint8_t mine[32];
    uint8_t first[32];
    CLO_TRY(clo_sha256(
        CLO_SPAN(clo_store_values(state->store), clo_store_size(state->store) * sizeof(float)),
        mine));
    memcpy(first, mine, sizeof first);
    CLO_TRY(strategy->ops->share(strategy->state, first, sizeof first));
    char names[128];
    uint32_t count = 0;
    bool differs = memcmp(mine, first, sizeof mine) != 0;
    CLO_TRY(clo_loop_agree(loop, differs, names, sizeof names, &count));
    state->parameters_identical = count == 0;
    CLO_CHECK(count == 0, CLO_BUG, "parameters after step %llu of %s differ from rank 0's",
              (unsigned long long)state->step, names);
    return extend_chain(state->parameter_chain, first);
}
