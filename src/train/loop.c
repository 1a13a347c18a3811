/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop over epochs and batches: see train.h for what it promises, loop.h for its other files.
 *
 *     state.epoch e, state.batch b   the next step is batch b of epoch e
 *
 * The state says where the run is, and nothing else does: a run that goes on from a checkpoint is
 * the run that wrote it. b may equal the number of batches: then only the end of the epoch is left.
 */
#include "loop.h"

#include <stdio.h>
#include <string.h>

static const uint64_t BATCH_MAX = 65536;
static const uint64_t NEVER_SAVED = UINT64_MAX;
/* Weight of the newest step in the running mean: about the last hundred steps. */
static const double NEWEST = 0.02;
static const uint64_t STEPS_BEFORE_ESTIMATE = 5;

/* ---------------------------------------------------------------- making ---------------------- */

static clo_status check_settings(const clo_train_settings *settings)
{
    CLO_CHECK(settings->epochs > 0 && settings->epochs <= CLO_EPOCHS_MAX, CLO_INVALID,
              "epochs is %llu, expected 1 to %d", (unsigned long long)settings->epochs,
              CLO_EPOCHS_MAX);
    CLO_CHECK(settings->batch_size > 0 && settings->batch_size <= BATCH_MAX, CLO_INVALID,
              "batch size is %llu, expected 1 to %llu", (unsigned long long)settings->batch_size,
              (unsigned long long)BATCH_MAX);
    CLO_CHECK(settings->test_batch_size > 0 && settings->test_batch_size <= BATCH_MAX, CLO_INVALID,
              "test batch size is %llu, expected 1 to %llu",
              (unsigned long long)settings->test_batch_size, (unsigned long long)BATCH_MAX);
    CLO_CHECK(settings->lr > 0.0 && settings->lr <= 1e6, CLO_INVALID,
              "learning rate is %g, expected above 0", settings->lr);
    CLO_CHECK(settings->momentum >= 0.0 && settings->momentum < 1.0, CLO_INVALID,
              "momentum is %g, expected 0 to below 1", settings->momentum);
    return CLO_STATUS_OK;
}

static clo_status check_shape(const clo_architecture *architecture, const clo_dataset *dataset,
                              const char *use)
{
    clo_shape needed = CLO_SHAPE(architecture->channels, architecture->height, architecture->width);
    clo_shape found = clo_dataset_shape(dataset);
    char needed_text[64];
    char found_text[64];
    clo_shape_text(&needed, needed_text, sizeof needed_text);
    clo_shape_text(&found, found_text, sizeof found_text);
    CLO_CHECK(clo_shape_equal(&needed, &found), CLO_INVALID,
              "model '%s' takes samples of %s, the %s data has %s", architecture->name, needed_text,
              use, found_text);
    return CLO_STATUS_OK;
}

static clo_status check_options(const clo_train_loop_options *options)
{
    CLO_TRY(check_settings(options->settings));
    if (options->train != NULL) {
        CLO_TRY(check_shape(options->architecture, options->train, "train"));
    }
    if (options->test != NULL) {
        CLO_TRY(check_shape(options->architecture, options->test, "test"));
    }
    CLO_CHECK(options->strategy->world <= CLO_WORLD_MAX, CLO_INVALID,
              "world size is %u, expected at most %d", options->strategy->world, CLO_WORLD_MAX);
    return CLO_STATUS_OK;
}

static clo_status build(clo_train_loop *loop)
{
    CLO_TRY(clo_graph_new(&loop->graph));
    CLO_TRY(loop->options.architecture->build(loop->graph));
    CLO_TRY(clo_graph_check(loop->graph));
    clo_value loss = clo_graph_find_output(loop->graph, CLO_IO_LOSS);
    CLO_TRY(clo_graph_differentiate(loop->graph, loss));
    return clo_store_new(loop->graph, &loop->state.store);
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t count_of(const clo_dataset *dataset)
{
    return dataset != NULL ? clo_dataset_count(dataset) : 0;
}

/* A manifest may let the host choose settings, and each rank has another host: a rank that takes
 * other steps than the rest would leave them waiting. */
static clo_status check_equal(clo_train_loop *loop)
{
    const clo_train_settings *settings = loop->options.settings;
    const clo_strategy *strategy = loop->options.strategy;
    const uint64_t mine[] = {settings->epochs,
                             settings->batch_size,
                             settings->seed,
                             bits_of(settings->lr),
                             bits_of(settings->momentum),
                             settings->check_parameters ? 1 : 0,
                             settings->checkpoint_steps,
                             settings->max_steps,
                             count_of(loop->options.train),
                             count_of(loop->options.test),
                             clo_store_size(loop->state.store)};
    uint64_t first[sizeof mine / sizeof *mine];
    memcpy(first, mine, sizeof first);
    CLO_TRY(strategy->ops->share(strategy->state, first, sizeof first));
    char names[128];
    uint32_t count = 0;
    bool differs = memcmp(mine, first, sizeof first) != 0;
    CLO_TRY(clo_loop_agree(loop, differs, names, sizeof names, &count));
    CLO_CHECK(count == 0, CLO_INVALID, "settings or data of %s are not those of rank 0", names);
    return CLO_STATUS_OK;
}

static clo_status start_parameters(clo_train_loop *loop)
{
    const clo_strategy *strategy = loop->options.strategy;
    clo_store *store = loop->state.store;
    clo_store_initialize(store, loop->options.settings->seed);
    /* Every rank computes the same: sharing makes it true also on another build or machine. */
    return strategy->ops->share(strategy->state, clo_store_values(store),
                                clo_store_size(store) * sizeof(float));
}

static clo_status prepare_programs(clo_train_loop *loop)
{
    const clo_train_settings *settings = loop->options.settings;
    loop->programs = (clo_step_programs){
        .graph = loop->graph, .store = loop->state.store, .threads = loop->options.threads};
    if (loop->options.train != NULL) {
        CLO_TRY(clo_step_programs_prepare(&loop->programs, clo_sampler_share(&loop->sampler),
                                          settings->batch_size, true));
    }
    if (loop->options.test == NULL) {
        return CLO_STATUS_OK;
    }
    clo_sampler test = clo_loop_eval_sampler(loop, loop->options.test);
    return clo_step_programs_prepare(&loop->programs, clo_sampler_share(&test),
                                     settings->test_batch_size, false);
}

static void plan_steps(clo_train_loop *loop)
{
    const clo_train_settings *settings = loop->options.settings;
    const clo_strategy *strategy = loop->options.strategy;
    loop->sampler = (clo_sampler){.count = clo_dataset_count(loop->options.train),
                                  .seed = settings->seed,
                                  .rank = strategy->rank,
                                  .world = strategy->world,
                                  .shuffle = true};
    size_t share = clo_sampler_share(&loop->sampler);
    loop->epoch_batches = (share - 1) / settings->batch_size + 1; /* no dataset is empty */
    loop->steps = loop->epoch_batches * settings->epochs;
    if (settings->max_steps > 0 && settings->max_steps < loop->steps) {
        loop->steps = settings->max_steps;
    }
}

static void plan(clo_train_loop *loop)
{
    if (loop->options.train != NULL) {
        plan_steps(loop);
    }
    loop->saved_step = NEVER_SAVED;
    loop->state.epoch = 1;
    loop->state.batch_size = loop->options.settings->batch_size;
    loop->state.seed = loop->options.settings->seed;
    loop->state.result_capacity = loop->options.settings->epochs;
}

clo_status clo_train_loop_new(const clo_train_loop_options *options, clo_train_loop **out_loop)
{
    CLO_TRY(check_options(options));
    CLO_AUTO_PTR(clo_train_loop) loop = clo_alloc(sizeof *loop);
    CLO_CHECK(loop != NULL, CLO_NOMEM, "out of memory for a training loop");
    loop->options = *options;
    if (options->hooks != NULL) {
        loop->hooks = *options->hooks;
    }
    plan(loop);
    loop->state.results = clo_alloc_array(options->settings->epochs, sizeof *loop->state.results);
    CLO_CHECK(loop->state.results != NULL, CLO_NOMEM, "out of memory for the epochs' results");
    CLO_TRY_CTX(build(loop), "building '%s'", options->architecture->name);
    CLO_TRY_CTX(prepare_programs(loop), "building '%s'", options->architecture->name);
    CLO_TRY(check_equal(loop));
    CLO_TRY_CTX(start_parameters(loop), "sharing the first parameters");
    *out_loop = CLO_TAKE(loop);
    return CLO_STATUS_OK;
}

void clo_train_loop_free(clo_train_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    clo_step_programs_clear(&loop->programs);
    clo_store_free(loop->state.store);
    clo_graph_free(loop->graph);
    clo_free(loop->state.results);
    clo_free(loop);
}

clo_train_state *clo_train_loop_state(clo_train_loop *loop)
{
    return &loop->state;
}

static clo_status share_bytes(const clo_strategy *strategy, clo_buf *bytes)
{
    uint64_t size = bytes->size;
    CLO_TRY(strategy->ops->share(strategy->state, &size, sizeof size));
    CLO_CHECK(size <= CLO_CHECKPOINT_MAX, CLO_LIMIT,
              "rank 0 shares a checkpoint of %llu bytes, expected at most %zu",
              (unsigned long long)size, CLO_CHECKPOINT_MAX);
    if (strategy->rank > 0) {
        (void)clo_buf_grow(bytes, (size_t)size);
    }
    CLO_TRY(clo_buf_check(bytes));
    return size == 0 ? CLO_STATUS_OK
                     : strategy->ops->share(strategy->state, bytes->data, bytes->size);
}

clo_status clo_train_loop_restore(clo_train_loop *loop, clo_span bytes, const uint8_t manifest[32])
{
    const clo_strategy *strategy = loop->options.strategy;
    CLO_AUTO(clo_buf) shared = CLO_BUF_LIMIT(CLO_CHECKPOINT_MAX);
    if (strategy->rank == 0) {
        clo_put_span(&shared, bytes);
    }
    CLO_TRY_CTX(share_bytes(strategy, &shared), "sharing a checkpoint");
    if (shared.size == 0) {
        return CLO_STATUS_OK;
    }
    CLO_TRY(clo_checkpoint_read(clo_buf_span(&shared), manifest, &loop->state));
    loop->saved_step = loop->state.step;
    bool fits = loop->options.train == NULL || loop->state.batch <= loop->epoch_batches;
    CLO_CHECK(fits, CLO_INVALID, "checkpoint is at batch %llu of an epoch of %llu",
              (unsigned long long)loop->state.batch, (unsigned long long)loop->epoch_batches);
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- saving ---------------------- */

/* Generations are counted on every rank, so that any of them can be resumed as rank 0. */
static clo_status save(clo_train_loop *loop)
{
    loop->state.generation++;
    loop->saved_step = loop->state.step;
    if (loop->options.strategy->rank > 0 || loop->hooks.checkpoint == NULL) {
        return CLO_STATUS_OK;
    }
    CLO_TRY_CTX(loop->hooks.checkpoint(loop->hooks.arg, &loop->state),
                "writing checkpoint %llu at step %llu", (unsigned long long)loop->state.generation,
                (unsigned long long)loop->state.step);
    return CLO_STATUS_OK;
}

/* After a failure that is not ours the parameters are those of the last whole step: worth keeping.
 * A NaN would come again, and a broken promise says that the state is not to be trusted. */
static void save_after(clo_train_loop *loop, clo_status failure)
{
    bool whole = failure.code != CLO_NUMERIC && failure.code != CLO_BUG;
    bool news = loop->saved_step == NEVER_SAVED ? loop->state.step > 0
                                                : loop->saved_step != loop->state.step;
    if (!whole || !news) {
        return;
    }
    clo_status status = save(loop);
    if (!clo_ok(status)) {
        char text[512];
        clo_status_text(status, text, sizeof text);
        clo_log(CLO_LOG_WARN, "train", "%s", text);
    }
}

/* ---------------------------------------------------------------- running --------------------- */

static bool is_done(const clo_train_loop *loop)
{
    return loop->state.step >= loop->steps;
}

/* Of all ranks: their batches are of equal size. */
static double samples_of_step(const clo_train_loop *loop)
{
    return (double)loop->running->batch * loop->options.strategy->world;
}

static void tell_progress(clo_train_loop *loop)
{
    if (loop->hooks.progress == NULL) {
        return;
    }
    const clo_train_state *state = &loop->state;
    bool known = state->step >= STEPS_BEFORE_ESTIMATE;
    clo_train_progress progress = {
        .epoch = state->epoch,
        .batch = (size_t)state->batch,
        .batches = (size_t)loop->epoch_batches,
        .step = state->step,
        .loss_told = true,
        .loss = loop->loss,
        .samples_per_second = samples_of_step(loop) / loop->step_seconds,
        .seconds_left = known ? loop->step_seconds * (double)(loop->steps - state->step) : -1.0,
    };
    loop->hooks.progress(loop->hooks.arg, &progress);
}

static void note_time(clo_train_loop *loop, int64_t started_ns)
{
    double seconds = (double)(clo_clock_ns() - started_ns + 1) * 1e-9;
    bool first = loop->step_seconds <= 0.0;
    loop->step_seconds += (first ? 1.0 : NEWEST) * (seconds - loop->step_seconds);
}

static clo_status next_step(clo_train_loop *loop, clo_loader *loader)
{
    uint64_t every = loop->options.settings->checkpoint_steps;
    int64_t started = clo_clock_ns();
    clo_batch batch;
    CLO_TRY(clo_loop_boundary(loop));
    CLO_TRY(clo_loader_next(loader, &batch));
    CLO_TRY(clo_loop_step(loop, &batch));
    note_time(loop, started);
    tell_progress(loop);
    return every > 0 && loop->state.step % every == 0 ? save(loop) : CLO_STATUS_OK;
}

/* The rest of the epoch's batches, as far as the job goes. */
static clo_status train_epoch(clo_train_loop *loop, clo_epoch_result *result)
{
    const clo_train_settings *settings = loop->options.settings;
    CLO_AUTO_PTR(clo_loader) loader = NULL;
    CLO_TRY(clo_loader_new(loop->options.train, &loop->sampler, loop->state.epoch,
                           settings->batch_size, (size_t)loop->state.batch, &loader));
    int64_t started = clo_clock_ns();
    double samples_before = loop->trained_samples;
    while (loop->state.batch < loop->epoch_batches && !is_done(loop)) {
        CLO_TRY(next_step(loop, loader));
        loop->trained_samples += samples_of_step(loop);
    }
    result->seconds = (double)(clo_clock_ns() - started + 1) * 1e-9;
    result->samples_per_second = (loop->trained_samples - samples_before) / result->seconds;
    loop->trained_seconds += result->seconds;
    return CLO_STATUS_OK;
}

static clo_status end_epoch(clo_train_loop *loop, clo_epoch_result *result)
{
    result->epoch = loop->state.epoch;
    if (loop->options.test != NULL) {
        CLO_TRY(clo_train_loop_evaluate(loop, loop->options.test, &result->test_accuracy,
                                        &result->test_loss));
    }
    loop->state.results[loop->state.epoch - 1] = *result;
    loop->state.epoch++;
    loop->state.batch = 0;
    if (loop->hooks.epoch_end != NULL) {
        loop->hooks.epoch_end(loop->hooks.arg, result);
    }
    return save(loop);
}

static clo_status run_epochs(clo_train_loop *loop)
{
    const clo_train_settings *settings = loop->options.settings;
    while (loop->state.epoch <= settings->epochs) {
        clo_epoch_result result = {0};
        CLO_TRY(train_epoch(loop, &result));
        if (loop->state.batch < loop->epoch_batches) {
            return save(loop); /* max_steps, within an epoch */
        }
        CLO_TRY(end_epoch(loop, &result));
        if (is_done(loop)) {
            break;
        }
    }
    return CLO_STATUS_OK;
}

clo_status clo_train_loop_run(clo_train_loop *loop)
{
    CLO_CHECK(loop->options.train != NULL, CLO_INVALID, "there is no data to train on");
    clo_status status = run_epochs(loop);
    if (clo_ok(status)) {
        return status;
    }
    /* Saving may fail too and begin a chain of its own: the cause is kept over it. */
    clo_saved_status cause;
    clo_status_save(status, &cause);
    save_after(loop, status);
    return clo_status_restore(&cause);
}
