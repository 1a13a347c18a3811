/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evaluation: each rank takes its exact share, without padding, and the counts are summed: the
 * accuracy is that of the whole dataset, each sample counted once, whatever the number of ranks.
 */
#include "loop.h"

/* What is summed over ranks, as the strategies sum doubles; counts are exact below 2^53. */
typedef struct {
    double samples, correct, loss;
} tally;

clo_sampler clo_loop_eval_sampler(const clo_train_loop *loop, const clo_dataset *dataset)
{
    return (clo_sampler){.count = clo_dataset_count(dataset),
                         .rank = loop->options.strategy->rank,
                         .world = loop->options.strategy->world,
                         .exact = true};
}

static clo_status count_batch(const clo_step_program *program, const clo_batch *batch,
                              int32_t *guesses, tally *total)
{
    clo_loop_feed(program, batch);
    CLO_TRY(clo_program_run(program->program, NULL));
    clo_argmax_rows(program->logits.data, batch->count, (size_t)program->logits.shape.dim[1],
                    guesses);
    for (size_t i = 0; i < batch->count; i++) {
        total->correct += guesses[i] == batch->labels[i] ? 1.0 : 0.0;
    }
    total->samples += (double)batch->count;
    total->loss += (double)*(const float *)program->loss.data * (double)batch->count;
    return CLO_STATUS_OK;
}

static clo_status count_share(clo_train_loop *loop, clo_loader *loader, int32_t *guesses,
                              tally *total)
{
    for (size_t i = 0; i < clo_loader_batches(loader); i++) {
        clo_batch batch;
        clo_step_program *program;
        CLO_TRY(clo_loader_next(loader, &batch));
        CLO_TRY(clo_step_programs_get(&loop->programs, batch.count, false, &program));
        CLO_TRY(count_batch(program, &batch, guesses, total));
    }
    return CLO_STATUS_OK;
}

clo_status clo_train_loop_evaluate(clo_train_loop *loop, const clo_dataset *dataset,
                                   double *out_accuracy, double *out_loss)
{
    const clo_strategy *strategy = loop->options.strategy;
    size_t batch_size = loop->options.settings->test_batch_size;
    clo_sampler sampler = clo_loop_eval_sampler(loop, dataset);
    CLO_AUTO_PTR(clo_loader) loader = NULL;
    CLO_TRY(clo_loader_new(dataset, &sampler, 0, batch_size, 0, &loader));
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    int32_t *guesses = clo_arena_array(&arena, batch_size, sizeof *guesses);
    CLO_CHECK(guesses != NULL, CLO_NOMEM, "out of memory for %zu predictions", batch_size);
    tally total = {0};
    CLO_TRY_CTX(count_share(loop, loader, guesses, &total), "evaluating");
    double sums[] = {total.samples, total.correct, total.loss};
    CLO_TRY_CTX(strategy->ops->sum(strategy->state, sums, 3), "evaluating");
    *out_accuracy = sums[1] / sums[0];
    *out_loss = sums[2] / sums[0];
    return CLO_STATUS_OK;
}
