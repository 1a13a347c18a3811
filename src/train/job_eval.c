/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a job has learned so far, measured by a slot of its own: the newest checkpoint on the sealed
 * test set. No other rank takes part, and nothing leaves but two numbers.
 */
#include "checkpoint_store.h"
#include "cloister/train.h"

static clo_status open_store(const clo_train_job_options *options, clo_checkpoint_store *store,
                             clo_buf *out_checkpoint)
{
    CLO_TRY(
        clo_checkpoint_store_open(options->session, options->manifest, options->out_folder, store));
    CLO_TRY(clo_checkpoint_store_load(store, out_checkpoint));
    CLO_CHECK(out_checkpoint->size > 0, CLO_NOTFOUND, "no checkpoint of job '%s' in '%s'",
              options->manifest->job, options->out_folder);
    return CLO_STATUS_OK;
}

static clo_status evaluate(const clo_train_job_options *options,
                           const clo_architecture *architecture, clo_span checkpoint,
                           clo_epoch_result *out_result)
{
    CLO_AUTO_PTR(clo_dataset) test = NULL;
    CLO_AUTO_PTR(clo_train_loop) loop = NULL;
    clo_strategy solo = clo_strategy_solo();
    clo_epoch_result result = {0};
    int64_t started = clo_clock_ms();
    CLO_TRY(clo_train_open_data(options->session, options->manifest, "test", options->test_index,
                                architecture->classes, &test));
    clo_train_loop_options loop_options = {.architecture = architecture,
                                           .settings = &options->manifest->train,
                                           .train = NULL,
                                           .test = test,
                                           .strategy = &solo,
                                           .threads = options->threads};
    CLO_TRY(clo_train_loop_new(&loop_options, &loop));
    CLO_TRY(clo_train_loop_restore(loop, checkpoint, options->manifest->digest));
    CLO_TRY(clo_train_loop_evaluate(loop, test, &result.test_accuracy, &result.test_loss));
    result.epoch = clo_train_loop_state(loop)->epoch - 1;
    result.seconds = (double)(clo_clock_ms() - started) * 1e-3;
    *out_result = result;
    return CLO_STATUS_OK;
}

clo_status clo_train_job_evaluate(const clo_train_job_options *options,
                                  clo_epoch_result *out_result)
{
    CLO_AUTO(clo_checkpoint_store) store = CLO_CHECKPOINT_STORE_INIT;
    CLO_AUTO(clo_buf) checkpoint = CLO_BUF_LIMIT(CLO_CHECKPOINT_MAX);
    const clo_architecture *architecture = clo_architecture_find(options->manifest->model);
    CLO_CHECK(architecture, CLO_NOTFOUND, "manifest's model '%s' is not known",
              options->manifest->model);
    CLO_TRY(open_store(options, &store, &checkpoint));
    return evaluate(options, architecture, clo_buf_span(&checkpoint), out_result);
}
