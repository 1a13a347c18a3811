/* SPDX-License-Identifier: Apache-2.0 */
/* Several ranks: what they compute, what they agree on, and how they end together. */
#include "test.h"

#include <math.h>
#include <string.h>

#include "thread_ranks.h"
#include "tiny.h"

enum { WORLD = 3, SAMPLES = 151, TEST_SAMPLES = 37, STEPS_MAX = 256, NOBODY = 99 };

/* What is to happen, and what one rank saw. */
typedef struct {
    uint32_t rank;
    clo_train_settings settings;
    uint32_t poisoned, stopped, skewed, failing, odd; /* the rank that ..., or NOBODY */
    uint64_t at_step;
    volatile bool stop;
    clo_train_loop *loop;
    size_t steps, checkpoints;
    uint64_t last_step, saved_step;
    double losses[STEPS_MAX];
    double accuracy, test_loss;
    bool identical;
    uint8_t values[32], chain[32];
} rank_case;

static void on_progress(void *arg, const clo_train_progress *progress)
{
    rank_case *c = arg;
    c->losses[c->steps++ % STEPS_MAX] = progress->loss;
    c->last_step = progress->step;
    c->stop = c->stop || (c->stopped == c->rank && progress->step == c->at_step);
}

static clo_status on_checkpoint(void *arg, clo_train_state *state)
{
    rank_case *c = arg;
    c->checkpoints++;
    c->saved_step = state->step;
    return CLO_STATUS_OK;
}

static clo_status on_between(void *arg, bool *out_peers_changed)
{
    (void)out_peers_changed;
    rank_case *c = arg;
    clo_train_state *state = clo_train_loop_state(c->loop);
    float *values = clo_store_values(state->store);
    if (state->step != c->at_step) {
        return CLO_STATUS_OK;
    }
    if (c->rank == c->poisoned) {
        values[clo_store_find(state->store, "fc2.bias")->offset] = NAN;
    }
    if (c->rank == c->skewed) {
        values[0] = nextafterf(values[0], 1.0f);
    }
    CLO_CHECK(c->rank != c->failing, CLO_IO, "rank %u has a fault of its own", c->rank);
    return CLO_STATUS_OK;
}

static clo_status run_loop(clo_strategy *strategy, rank_case *c, const clo_dataset *train,
                           const clo_dataset *test)
{
    clo_train_hooks hooks = {.progress = on_progress,
                             .checkpoint = on_checkpoint,
                             .between = on_between,
                             .stop = &c->stop,
                             .arg = c};
    clo_train_loop_options options = {.architecture = &tiny,
                                      .settings = &c->settings,
                                      .train = train,
                                      .test = test,
                                      .strategy = strategy,
                                      .threads = 1,
                                      .hooks = &hooks};
    CLO_AUTO_PTR(clo_train_loop) loop = NULL;
    CLO_TRY(clo_train_loop_new(&options, &loop));
    c->loop = loop;
    c->rank = strategy->rank;
    CLO_TRY(clo_train_loop_run(loop));
    const clo_train_state *state = clo_train_loop_state(loop);
    CLO_TRY(clo_train_loop_evaluate(loop, test, &c->accuracy, &c->test_loss));
    CLO_TRY(clo_train_loop_compare(loop));
    c->identical = state->parameters_identical;
    memcpy(c->chain, state->parameter_chain, sizeof c->chain);
    return clo_sha256(
        CLO_SPAN(clo_store_values(state->store), clo_store_size(state->store) * sizeof(float)),
        c->values);
}

static clo_status body(clo_strategy *strategy, void *arg)
{
    rank_case *self = arg;
    self->settings.momentum += self->odd == strategy->rank ? 0.1 : 0.0;
    CLO_AUTO_PTR(clo_dataset) train = make_tiny(SAMPLES, 1);
    CLO_AUTO_PTR(clo_dataset) test = make_tiny(TEST_SAMPLES, 2);
    CLO_CHECK(train != NULL && test != NULL, CLO_NOMEM, "no data");
    return run_loop(strategy, arg, train, test);
}

static rank_case make_case(uint64_t batch_size)
{
    rank_case c = {.settings = CLO_TRAIN_SETTINGS_INIT,
                   .odd = NOBODY,
                   .poisoned = NOBODY,
                   .stopped = NOBODY,
                   .skewed = NOBODY,
                   .failing = NOBODY,
                   .at_step = 11};
    c.settings.epochs = 4;
    c.settings.batch_size = batch_size;
    c.settings.test_batch_size = 5;
    c.settings.lr = 0.1;
    c.settings.check_parameters = true;
    return c;
}

typedef struct {
    rank_case ranks[WORLD];
    clo_saved_status results[WORLD];
} outcome;

static clo_status run_three(const rank_case *like, outcome *out)
{
    void *args[WORLD];
    for (uint32_t rank = 0; rank < WORLD; rank++) {
        out->ranks[rank] = *like;
        args[rank] = &out->ranks[rank];
    }
    return run_ranks(WORLD, body, args, out->results);
}

static void three_ranks_train_like_one_with_the_same_global_batch(void)
{
    static outcome three;
    rank_case like = make_case(8);
    rank_case one = make_case(24);
    clo_strategy solo = clo_strategy_solo();
    T_OK(body(&solo, &one));
    T_OK(run_three(&like, &three));
    for (uint32_t rank = 0; rank < WORLD; rank++) {
        T_STR(three.results[rank].text, "ok");
        T_INT(three.ranks[rank].steps, one.steps);
    }
    /* The last batch of an epoch differs by the sample that three ranks see twice. */
    for (size_t i = 0; i < 6; i++) {
        double mean =
            (three.ranks[0].losses[i] + three.ranks[1].losses[i] + three.ranks[2].losses[i]) /
            WORLD;
        T_NEAR(mean, one.losses[i], 1e-5);
    }
    T_NEAR(three.ranks[0].accuracy, one.accuracy, 0.03);
}

static void ranks_hold_the_same_bits_after_every_step(void)
{
    static outcome three;
    rank_case like = make_case(8);
    T_OK(run_three(&like, &three));
    for (uint32_t rank = 0; rank < WORLD; rank++) {
        T_STR(three.results[rank].text, "ok");
        T_CHECK(three.ranks[rank].identical);
        T_CHECK(memcmp(three.ranks[rank].values, three.ranks[0].values, 32) == 0);
        T_CHECK(memcmp(three.ranks[rank].chain, three.ranks[0].chain, 32) == 0);
        T_NEAR(three.ranks[rank].accuracy, three.ranks[0].accuracy, 0.0);
    }
    T_INT(three.ranks[0].checkpoints, 4);
    T_INT(three.ranks[1].checkpoints + three.ranks[2].checkpoints, 0);
}

static void a_parameter_off_by_one_bit_stops_the_run_and_names_the_rank(void)
{
    static outcome three;
    rank_case like = make_case(8);
    like.skewed = 1;
    T_OK(run_three(&like, &three));
    for (uint32_t rank = 0; rank < WORLD; rank++) {
        T_INT(three.results[rank].code, CLO_BUG);
        T_CHECK(strstr(three.results[rank].text, "step 12 of rank 1 differ") != NULL);
        T_INT(three.ranks[rank].steps, 11);
    }
    like.settings.check_parameters = false;
    T_OK(run_three(&like, &three));
    T_INT(three.results[2].code, CLO_BUG); /* the comparison at the end */
}

static void a_rank_with_other_settings_is_named_before_the_first_step(void)
{
    static outcome three;
    rank_case like = make_case(8);
    like.odd = 1;
    T_OK(run_three(&like, &three));
    for (uint32_t rank = 0; rank < WORLD; rank++) {
        T_INT(three.results[rank].code, CLO_INVALID);
        T_CHECK(strstr(three.results[rank].text, "data of rank 1 are not those") != NULL);
        T_INT(three.ranks[rank].steps, 0);
    }
}

static void a_nan_at_one_rank_stops_all_at_the_same_step_and_names_it(void)
{
    static outcome three;
    rank_case like = make_case(8);
    like.poisoned = 2;
    T_OK(run_three(&like, &three));
    for (uint32_t rank = 0; rank < WORLD; rank++) {
        T_INT(three.results[rank].code, CLO_NUMERIC);
        T_CHECK(strstr(three.results[rank].text, "(step 11), from rank 2") != NULL);
        T_INT(three.ranks[rank].steps, 11);
    }
}

static void a_stop_at_one_rank_stops_all_at_the_same_step(void)
{
    static outcome three;
    rank_case like = make_case(8);
    like.stopped = 1;
    T_OK(run_three(&like, &three));
    for (uint32_t rank = 0; rank < WORLD; rank++) {
        T_INT(three.results[rank].code, CLO_CANCELED);
        T_CHECK(strstr(three.results[rank].text, "as rank 1 was told") != NULL);
        T_INT(three.ranks[rank].last_step, 2 * CLO_STOP_STRIDE); /* the next after 11 */
    }
    T_INT(three.ranks[0].saved_step, 2 * CLO_STOP_STRIDE);
}

static void a_rank_that_fails_alone_leaves_rank_0_with_a_whole_checkpoint(void)
{
    static outcome three;
    rank_case like = make_case(8);
    like.failing = 2;
    T_OK(run_three(&like, &three));
    T_INT(three.results[2].code, CLO_IO);
    T_INT(three.results[0].code, CLO_CLOSED);
    T_INT(three.results[1].code, CLO_CLOSED);
    T_INT(three.ranks[0].saved_step, 11);
    T_INT(three.ranks[1].checkpoints, 0);
}

static void evaluation_counts_each_sample_once(void)
{
    static outcome three;
    rank_case like = make_case(8);
    rank_case one = make_case(8);
    like.settings.max_steps = one.settings.max_steps = 1;
    like.settings.lr = one.settings.lr = 1e-30; /* the parameters stay those of the seed */
    clo_strategy solo = clo_strategy_solo();
    T_OK(body(&solo, &one));
    T_OK(run_three(&like, &three));
    T_STR(three.results[0].text, "ok");
    T_NEAR(three.ranks[0].accuracy, one.accuracy, 1e-12);
    T_NEAR(three.ranks[0].test_loss, one.test_loss, 1e-6);
    T_NEAR(one.accuracy * TEST_SAMPLES, round(one.accuracy * TEST_SAMPLES), 1e-9);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(three_ranks_train_like_one_with_the_same_global_batch),
        T(ranks_hold_the_same_bits_after_every_step),
        T(a_parameter_off_by_one_bit_stops_the_run_and_names_the_rank),
        T(a_rank_with_other_settings_is_named_before_the_first_step),
        T(a_nan_at_one_rank_stops_all_at_the_same_step_and_names_it),
        T(a_stop_at_one_rank_stops_all_at_the_same_step),
        T(a_rank_that_fails_alone_leaves_rank_0_with_a_whole_checkpoint),
        T(evaluation_counts_each_sample_once),
    };
    if (!clo_ok(clo_crypto_init())) {
        return 2;
    }
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
