/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop over the real ring: attested channels between three ranks on this machine. What the loop
 * itself does with several ranks is tested in test_train_ranks; here it is that the strategy keeps
 * its promises, and that a rank that ends takes nobody's time.
 */
#include "test.h"

#include <math.h>
#include <string.h>

#include "../comm/comm_rig.h"
#include "tiny.h"

enum { WORLD = 3, SAMPLES = 150, TEST_SAMPLES = 37, STEPS_MAX = 256, NOBODY = 99 };

typedef struct {
    clo_train_settings settings;
    uint32_t rank, poisoned, leaving;
    uint32_t old, held; /* whose connections are old from at_step on; who cannot renew */
    uint64_t at_step;
    bool peers_changed; /* at at_step, everywhere */
    const clo_group_options *group_options;
    clo_group *group;
    unsigned renewals, renewed_at;
    uint32_t round; /* of the first peer's evidence, at the end */
    clo_train_loop *loop;
    size_t steps;
    double losses[STEPS_MAX];
    double accuracy;
    bool identical;
    uint8_t values[32];
} ring_case;

static void on_progress(void *arg, const clo_train_progress *progress)
{
    ring_case *c = arg;
    c->losses[c->steps++ % STEPS_MAX] = progress->loss;
}

static clo_status on_between(void *arg, bool *out_peers_changed)
{
    ring_case *c = arg;
    clo_train_state *state = clo_train_loop_state(c->loop);
    if (state->step != c->at_step) {
        return CLO_STATUS_OK;
    }
    *out_peers_changed = c->peers_changed;
    if (c->rank == c->poisoned) {
        clo_store_values(state->store)[clo_store_find(state->store, "fc2.bias")->offset] = NAN;
    }
    CLO_CHECK(c->rank != c->leaving, CLO_IO, "a disk of rank %u is full", c->rank);
    return CLO_STATUS_OK;
}

static clo_renewal on_renewal(void *arg)
{
    const ring_case *c = arg;
    bool due = c->renewals == 0 && clo_train_loop_state(c->loop)->step >= c->at_step;
    return c->rank == c->held         ? CLO_RENEWAL_HELD
           : c->rank == c->old && due ? CLO_RENEWAL_DUE
                                      : CLO_RENEWAL_NONE;
}

static clo_status on_renew(void *arg)
{
    ring_case *c = arg;
    c->renewals++;
    c->renewed_at = (unsigned)clo_train_loop_state(c->loop)->step;
    return clo_group_renew(c->group, c->group_options);
}

static clo_status run_loop(clo_strategy *strategy, ring_case *c)
{
    CLO_AUTO_PTR(clo_dataset) train = make_tiny(SAMPLES, 1);
    CLO_AUTO_PTR(clo_dataset) test = make_tiny(TEST_SAMPLES, 2);
    clo_train_hooks hooks = {.progress = on_progress,
                             .between = on_between,
                             .renewal = on_renewal,
                             .renew = on_renew,
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
    c->accuracy = state->results[state->epoch - 2].test_accuracy;
    c->identical = state->parameters_identical;
    return clo_sha256(
        CLO_SPAN(clo_store_values(state->store), clo_store_size(state->store) * sizeof(float)),
        c->values);
}

/* As the job does: a rank that fails tells the others why. */
static clo_status ring_body(rig_member *member, clo_group *group)
{
    CLO_AUTO(clo_strategy) strategy = CLO_STRATEGY_INIT;
    CLO_TRY(clo_strategy_all_reduce(group, &strategy));
    ring_case *c = member->arg;
    c->group = group;
    c->group_options = &member->options;
    clo_status status = run_loop(&strategy, c);
    c->round = clo_group_peer(group, 0)->round;
    if (!clo_ok(status)) {
        clo_saved_status cause;
        clo_status_save(status, &cause);
        clo_group_abort(group, status);
        return clo_status_restore(&cause);
    }
    return status;
}

static ring_case make_case(uint64_t batch_size)
{
    ring_case c = {.settings = CLO_TRAIN_SETTINGS_INIT,
                   .poisoned = NOBODY,
                   .leaving = NOBODY,
                   .old = NOBODY,
                   .held = NOBODY,
                   .at_step = 11};
    c.settings.epochs = 4;
    c.settings.batch_size = batch_size;
    c.settings.test_batch_size = 5;
    c.settings.lr = 0.1;
    c.settings.check_parameters = true;
    return c;
}

static void run_three(comm_rig *rig, ring_case *ranks, const ring_case *like)
{
    rig_init(rig, WORLD, ring_body, NULL);
    for (int i = 0; i < WORLD; i++) {
        ranks[i] = *like;
        rig->members[i].arg = &ranks[i];
    }
    rig_run(rig);
}

static void three_ranks_over_the_ring_equal_one_process(void)
{
    static ring_case ranks[WORLD];
    ring_case like = make_case(8);
    ring_case one = make_case(24);
    CLO_AUTO(comm_rig) rig;
    clo_strategy solo = clo_strategy_solo();
    T_OK(run_loop(&solo, &one));
    run_three(&rig, ranks, &like);
    for (int i = 0; i < WORLD; i++) {
        T_STR(rig.members[i].result.text, "ok");
        T_INT(ranks[i].steps, one.steps);
        T_CHECK(ranks[i].identical);
        T_CHECK(memcmp(ranks[i].values, ranks[0].values, 32) == 0);
        T_NEAR(ranks[i].accuracy, one.accuracy, 0.03);
    }
    /* Shares are equal, so every batch of the run is the same on both sides. */
    for (size_t i = 0; i < one.steps; i++) {
        double mean = (ranks[0].losses[i] + ranks[1].losses[i] + ranks[2].losses[i]) / WORLD;
        T_NEAR(mean, one.losses[i], 1e-4);
    }
}

static void a_nan_at_one_rank_stops_all_and_names_it(void)
{
    static ring_case ranks[WORLD];
    ring_case like = make_case(8);
    CLO_AUTO(comm_rig) rig;
    like.poisoned = 1;
    run_three(&rig, ranks, &like);
    for (int i = 0; i < WORLD; i++) {
        T_INT(rig.members[i].result.code, CLO_NUMERIC);
        T_CHECK(strstr(rig.members[i].result.text, "(step 11), from rank 1") != NULL);
        T_INT(ranks[i].steps, 11);
    }
}

static void a_rank_that_fails_is_named_by_the_others_at_once(void)
{
    static ring_case ranks[WORLD];
    ring_case like = make_case(8);
    CLO_AUTO(comm_rig) rig;
    like.leaving = 2;
    run_three(&rig, ranks, &like);
    T_INT(rig.members[2].result.code, CLO_IO);
    for (int i = 0; i < 2; i++) {
        T_CHECK(rig.members[i].result.code != CLO_OK);
        T_CHECK(strstr(rig.members[i].result.text, "rank 2") != NULL);
        T_CHECK(rig.members[i].ended_ms - rig.members[2].ended_ms < 2000);
    }
}

static void training_goes_on_to_the_same_bits_over_fresh_connections(void)
{
    static ring_case ranks[WORLD];
    ring_case like = make_case(8);
    uint8_t expected[32];
    CLO_AUTO(comm_rig) rig;
    CLO_AUTO(comm_rig) renewing;
    run_three(&rig, ranks, &like);
    T_STR(rig.members[0].result.text, "ok");
    T_INT(ranks[0].renewals, 0);
    memcpy(expected, ranks[0].values, sizeof expected);
    like.old = 1;
    run_three(&renewing, ranks, &like);
    for (int i = 0; i < WORLD; i++) {
        T_STR(renewing.members[i].result.text, "ok");
        T_INT(ranks[i].renewals, 1);
        T_INT(ranks[i].renewed_at, 16); /* the next step after 11 that the stride divides */
        T_CHECK(ranks[i].identical);
        T_CHECK(memcmp(ranks[i].values, expected, sizeof expected) == 0);
    }
}

static void one_rank_that_cannot_connect_anew_keeps_all_on_the_old_ring(void)
{
    static ring_case ranks[WORLD];
    ring_case like = make_case(8);
    CLO_AUTO(comm_rig) rig;
    like.old = 1;
    like.held = 2;
    run_three(&rig, ranks, &like);
    for (int i = 0; i < WORLD; i++) {
        T_STR(rig.members[i].result.text, "ok");
        T_INT(ranks[i].renewals, 0);
    }
}

static void a_changed_roster_has_peers_show_their_evidence_again(void)
{
    static ring_case ranks[WORLD];
    ring_case like = make_case(8);
    CLO_AUTO(comm_rig) rig;
    CLO_AUTO(comm_rig) changing;
    run_three(&rig, ranks, &like);
    for (int i = 0; i < WORLD; i++) {
        T_STR(rig.members[i].result.text, "ok");
        T_INT(ranks[i].round, 0);
    }
    like.peers_changed = true;
    run_three(&changing, ranks, &like);
    for (int i = 0; i < WORLD; i++) {
        T_STR(changing.members[i].result.text, "ok");
        T_INT(ranks[i].round, 1);
    }
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(three_ranks_over_the_ring_equal_one_process),
        T(a_nan_at_one_rank_stops_all_and_names_it),
        T(a_rank_that_fails_is_named_by_the_others_at_once),
        T(training_goes_on_to_the_same_bits_over_fresh_connections),
        T(one_rank_that_cannot_connect_anew_keeps_all_on_the_old_ring),
        T(a_changed_roster_has_peers_show_their_evidence_again),
    };
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
