/* SPDX-License-Identifier: Apache-2.0 */
/* The loop in one process: that it learns, tells, stops, and refuses what it cannot run. */
#include "test.h"

#include <math.h>
#include <string.h>

#include "tiny.h"

enum { SAMPLES = 101, TEST_SAMPLES = 37, STEPS_MAX = 256 };

static int fail_at = -1;

bool clo_mem_should_fail(void)
{
    return fail_at >= 0 && fail_at-- == 0;
}

/* Everything that the hooks saw. */
typedef struct {
    size_t steps, epochs, checkpoints, between;
    double losses[STEPS_MAX];
    clo_train_progress last;
    clo_epoch_result last_epoch;
    uint64_t generation, saved_step;
    clo_train_loop *loop;
    uint64_t poison_step; /* before which a parameter becomes NaN; 0: never */
    uint64_t fail_step;   /* before which upkeep fails; 0: never */
    volatile bool stop;
    uint64_t stop_step;
} witness;

static void on_progress(void *arg, const clo_train_progress *progress)
{
    witness *w = arg;
    w->losses[w->steps++ % STEPS_MAX] = progress->loss;
    w->last = *progress;
    w->stop = w->stop || progress->step == w->stop_step;
}

static void on_epoch_end(void *arg, const clo_epoch_result *result)
{
    ((witness *)arg)->epochs++;
    ((witness *)arg)->last_epoch = *result;
}

static clo_status on_checkpoint(void *arg, clo_train_state *state)
{
    witness *w = arg;
    w->checkpoints++;
    w->generation = state->generation;
    w->saved_step = state->step;
    return CLO_STATUS_OK;
}

static clo_status on_between(void *arg, bool *out_peers_changed)
{
    (void)out_peers_changed;
    witness *w = arg;
    w->between++;
    clo_train_state *state = clo_train_loop_state(w->loop);
    if (w->poison_step > 0 && state->step == w->poison_step) {
        clo_store_values(state->store)[clo_store_find(state->store, "fc2.bias")->offset] = NAN;
    }
    CLO_CHECK(w->fail_step == 0 || state->step != w->fail_step, CLO_CLOSED, "upkeep failed");
    return CLO_STATUS_OK;
}

typedef struct {
    clo_dataset *train, *test;
    clo_train_settings settings;
    clo_strategy strategy;
    witness seen;
    clo_train_hooks hooks;
    clo_train_loop *loop;
} fixture;

static void fixture_cleanup(fixture *f)
{
    clo_train_loop_free(f->loop);
    clo_dataset_free(f->train);
    clo_dataset_free(f->test);
}

static fixture make_fixture(void)
{
    fixture f = {.train = make_tiny(SAMPLES, 1),
                 .test = make_tiny(TEST_SAMPLES, 2),
                 .settings = CLO_TRAIN_SETTINGS_INIT,
                 .strategy = clo_strategy_solo()};
    f.settings.epochs = 3;
    f.settings.batch_size = 10;
    f.settings.test_batch_size = 16;
    f.settings.lr = 0.1;
    return f;
}

/* The hooks point into the fixture: only once it lies where it stays. */
static clo_status start(fixture *f)
{
    f->hooks = (clo_train_hooks){.progress = on_progress,
                                 .epoch_end = on_epoch_end,
                                 .checkpoint = on_checkpoint,
                                 .between = on_between,
                                 .stop = &f->seen.stop,
                                 .arg = &f->seen};
    clo_train_loop_options options = {.architecture = &tiny,
                                      .settings = &f->settings,
                                      .train = f->train,
                                      .test = f->test,
                                      .strategy = &f->strategy,
                                      .threads = 1,
                                      .hooks = &f->hooks};
    CLO_TRY(clo_train_loop_new(&options, &f->loop));
    f->seen.loop = f->loop;
    return CLO_STATUS_OK;
}

static clo_status start_and_run(fixture *f)
{
    CLO_TRY(start(f));
    return clo_train_loop_run(f->loop);
}

static void learns_a_separable_set(void)
{
    CLO_AUTO(fixture) f = make_fixture();
    f.settings.epochs = 10;
    T_OK(start_and_run(&f));
    T_CHECK(f.seen.last_epoch.test_accuracy > 0.95);
    T_CHECK(f.seen.losses[0] > 0.8 && f.seen.last.loss < 0.3);
    double accuracy = 0.0;
    double loss = 0.0;
    T_OK(clo_train_loop_evaluate(f.loop, f.test, &accuracy, &loss));
    T_NEAR(accuracy, f.seen.last_epoch.test_accuracy, 0.0);
    T_NEAR(loss, f.seen.last_epoch.test_loss, 0.0);
    T_OK(clo_train_loop_evaluate(f.loop, f.train, &accuracy, &loss)); /* other batch sizes */
    T_CHECK(accuracy > 0.95 && loss < 0.5);
}

static void tells_each_step_and_epoch(void)
{
    CLO_AUTO(fixture) f = make_fixture();
    T_OK(start_and_run(&f));
    T_INT(f.seen.steps, 33); /* 3 epochs of 10 batches of 10 and one of 1 */
    T_INT(f.seen.between, 33);
    T_INT(f.seen.epochs, 3);
    T_INT(f.seen.last.epoch, 3);
    T_INT(f.seen.last.batch, 11);
    T_INT(f.seen.last.batches, 11);
    T_INT(f.seen.last.step, 33);
    T_CHECK(f.seen.last.samples_per_second > 0.0);
    T_NEAR(f.seen.last.seconds_left, 0.0, 0.0);
    T_INT(f.seen.last_epoch.epoch, 3);
    T_CHECK(f.seen.last_epoch.seconds > 0.0 && f.seen.last_epoch.samples_per_second > 0.0);
    T_INT(f.seen.checkpoints, 3);
    T_INT(f.seen.generation, 3);
    const clo_train_state *state = clo_train_loop_state(f.loop);
    T_INT(state->epoch, 4);
    T_INT(state->batch, 0);
    T_INT(state->results[1].epoch, 2);
}

static void gives_the_same_bits_twice(void)
{
    CLO_AUTO(fixture) a = make_fixture();
    CLO_AUTO(fixture) b = make_fixture();
    CLO_AUTO(fixture) other = make_fixture();
    other.settings.seed = 2;
    T_OK(start_and_run(&a));
    T_OK(start_and_run(&b));
    T_OK(start_and_run(&other));
    size_t size = clo_store_size(clo_train_loop_state(a.loop)->store) * sizeof(float);
    const float *values = clo_store_values(clo_train_loop_state(a.loop)->store);
    T_CHECK(memcmp(values, clo_store_values(clo_train_loop_state(b.loop)->store), size) == 0);
    T_CHECK(memcmp(values, clo_store_values(clo_train_loop_state(other.loop)->store), size) != 0);
}

static void saves_between_epochs_when_asked(void)
{
    CLO_AUTO(fixture) f = make_fixture();
    f.settings.checkpoint_steps = 5;
    T_OK(start_and_run(&f));
    T_INT(f.seen.checkpoints, 6 + 3);
    T_INT(f.seen.saved_step, 33);
}

static void ends_at_max_steps_with_a_checkpoint(void)
{
    CLO_AUTO(fixture) f = make_fixture();
    f.settings.max_steps = 15;
    T_OK(start_and_run(&f));
    T_INT(f.seen.steps, 15);
    T_INT(f.seen.epochs, 1);
    T_INT(f.seen.saved_step, 15);
    T_INT(clo_train_loop_state(f.loop)->batch, 4);
    T_OK(clo_train_loop_run(f.loop)); /* nothing is left */
    T_INT(f.seen.steps, 15);
}

static void ends_at_max_steps_that_end_an_epoch(void)
{
    CLO_AUTO(fixture) f = make_fixture();
    f.settings.max_steps = 22;
    T_OK(start_and_run(&f));
    T_INT(f.seen.steps, 22);
    T_INT(f.seen.epochs, 2);
    T_INT(f.seen.checkpoints, 2);
}

static void saves_and_ends_when_told_to_stop(void)
{
    CLO_AUTO(fixture) f = make_fixture();
    f.seen.stop_step = 14;
    T_CODE(start_and_run(&f), CLO_CANCELED);
    T_INT(f.seen.steps, 14);
    T_INT(f.seen.saved_step, 14);
    f.seen.stop = false;
    T_OK(clo_train_loop_run(f.loop));
    T_INT(f.seen.steps, 33);
}

static void saves_the_last_whole_step_when_upkeep_fails(void)
{
    CLO_AUTO(fixture) f = make_fixture();
    f.seen.fail_step = 7;
    T_CODE(start_and_run(&f), CLO_CLOSED);
    T_INT(f.seen.checkpoints, 1);
    T_INT(f.seen.saved_step, 7);
}

static void names_step_and_rank_of_a_nan_and_keeps_the_parameters(void)
{
    CLO_AUTO(fixture) f = make_fixture();
    f.seen.poison_step = 12;
    clo_status status = start_and_run(&f);
    char text[512];
    clo_status_text(status, text, sizeof text);
    T_INT(status.code, CLO_NUMERIC);
    T_CHECK(strstr(text, "epoch 2, batch 1 (step 12), from rank 0") != NULL);
    T_INT(f.seen.steps, 12);
    T_INT(f.seen.checkpoints, 1); /* of epoch 1: a NaN is not saved */
    T_CHECK(strstr(text, "'fc") != NULL);
}

static void hashes_parameters_when_asked(void)
{
    static const uint8_t zero[32];
    CLO_AUTO(fixture) plain = make_fixture();
    CLO_AUTO(fixture) checked = make_fixture();
    checked.settings.check_parameters = true;
    T_OK(start_and_run(&plain));
    T_OK(start_and_run(&checked));
    const clo_train_state *state = clo_train_loop_state(checked.loop);
    T_CHECK(state->parameters_identical);
    T_CHECK(memcmp(state->parameter_chain, zero, 32) != 0);
    T_CHECK(memcmp(clo_train_loop_state(plain.loop)->parameter_chain, zero, 32) == 0);
    T_CHECK(!clo_train_loop_state(plain.loop)->parameters_identical); /* nobody looked */
}

static void trains_without_a_test_set_or_hooks(void)
{
    CLO_AUTO(fixture) f = make_fixture();
    clo_train_loop_options options = {.architecture = &tiny,
                                      .settings = &f.settings,
                                      .train = f.train,
                                      .strategy = &f.strategy,
                                      .threads = 1};
    T_OK(clo_train_loop_new(&options, &f.loop));
    T_OK(clo_train_loop_run(f.loop));
    T_INT(clo_train_loop_state(f.loop)->step, 33);
}

static void evaluates_without_data_to_train_on(void)
{
    CLO_AUTO(fixture) f = make_fixture();
    clo_train_loop_options options = {.architecture = &tiny,
                                      .settings = &f.settings,
                                      .test = f.test,
                                      .strategy = &f.strategy,
                                      .threads = 1};
    T_OK(clo_train_loop_new(&options, &f.loop));
    double accuracy;
    double loss;
    T_OK(clo_train_loop_evaluate(f.loop, f.test, &accuracy, &loss));
    T_CHECK(loss > 0.5 && loss < 2.0);
    T_CODE(clo_train_loop_run(f.loop), CLO_INVALID);
}

static void refuses_settings_out_of_range(void)
{
    const clo_train_settings good = CLO_TRAIN_SETTINGS_INIT;
    clo_train_settings bad[] = {good, good, good, good, good, good, good, good, good};
    bad[0].epochs = 0;
    bad[1].epochs = CLO_EPOCHS_MAX + 1;
    bad[2].batch_size = 0;
    bad[3].batch_size = 65537;
    bad[4].test_batch_size = 0;
    bad[5].lr = 0.0;
    bad[6].lr = (double)NAN;
    bad[7].momentum = 1.0;
    bad[8].momentum = -0.1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CLO_AUTO(fixture) f = make_fixture();
        f.settings = bad[i];
        T_CODE(start(&f), CLO_INVALID);
    }
}

static void refuses_data_of_another_shape(void)
{
    CLO_AUTO(fixture) f = make_fixture();
    clo_architecture larger = tiny;
    larger.height = 5;
    clo_train_loop_options options = {.architecture = &larger,
                                      .settings = &f.settings,
                                      .train = f.train,
                                      .strategy = &f.strategy,
                                      .threads = 1};
    clo_status status = clo_train_loop_new(&options, &f.loop);
    char text[512];
    clo_status_text(status, text, sizeof text);
    T_INT(status.code, CLO_INVALID);
    T_CHECK(strstr(text, "[1, 5, 4]") != NULL && strstr(text, "[1, 4, 4]") != NULL);
}

static void survives_any_failing_allocation(void)
{
    int failures = 0;
    for (int n = 0; n < 2000; n++) {
        CLO_AUTO(fixture) f = make_fixture();
        f.settings.epochs = 1;
        fail_at = n;
        clo_status status = start_and_run(&f);
        fail_at = -1;
        if (clo_ok(status)) {
            break;
        }
        T_INT(status.code, CLO_NOMEM);
        failures++;
    }
    T_CHECK(failures > 20 && failures < 2000);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(learns_a_separable_set),
        T(tells_each_step_and_epoch),
        T(gives_the_same_bits_twice),
        T(saves_between_epochs_when_asked),
        T(ends_at_max_steps_with_a_checkpoint),
        T(ends_at_max_steps_that_end_an_epoch),
        T(saves_and_ends_when_told_to_stop),
        T(saves_the_last_whole_step_when_upkeep_fails),
        T(names_step_and_rank_of_a_nan_and_keeps_the_parameters),
        T(hashes_parameters_when_asked),
        T(trains_without_a_test_set_or_hooks),
        T(evaluates_without_data_to_train_on),
        T(refuses_settings_out_of_range),
        T(refuses_data_of_another_shape),
        T(survives_any_failing_allocation),
    };
    if (!clo_ok(clo_crypto_init())) {
        return 2;
    }
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
