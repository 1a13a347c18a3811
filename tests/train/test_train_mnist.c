/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seeds' CNN on Fashion-MNIST: three ranks with batches of 64, over attested channels, against
 * one process with 192, for one epoch. They must agree: the first 100 losses within 1e-4, and the
 * accuracy at the end within a point.
 */
#include "test.h"

#include <string.h>

#include "../comm/comm_rig.h"
#include "cloister/train.h"

#define FOLDER "/usr/share/datasets/fashion-mnist/"

enum {
    WORLD = 3,
    STEPS = 313, /* 60000 samples in batches of 192 */
    CLOSE_STEPS = 100,
    TEST_SAMPLES = 2000,
    PIXELS = 784,
    FILE_LIMIT = 64 << 20
};

static clo_dataset *train_set;
static clo_dataset *test_set;

typedef struct {
    clo_train_settings settings;
    size_t steps;
    double losses[STEPS];
    double accuracy;
    bool identical;
} run_case;

static clo_status unpack(const char *path, clo_buf *out)
{
    CLO_AUTO(clo_buf) packed = CLO_BUF_LIMIT(FILE_LIMIT);
    CLO_TRY(clo_file_read(path, FILE_LIMIT, &packed));
    *out = CLO_BUF_LIMIT(FILE_LIMIT);
    return clo_gunzip(clo_buf_span(&packed), out);
}

/* At most `count` samples: with their headers changed to say so. */
static clo_status load(const char *images_path, const char *labels_path, uint32_t count,
                       clo_dataset **out_dataset)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    CLO_TRY(unpack(images_path, &images));
    CLO_TRY(unpack(labels_path, &labels));
    for (int i = 0; i < 4; i++) {
        images.data[4 + i] = labels.data[4 + i] = (uint8_t)(count >> (24 - 8 * i));
    }
    return clo_dataset_parse_idx(CLO_SPAN(images.data, 16 + (size_t)count * PIXELS),
                                 CLO_SPAN(labels.data, 8 + (size_t)count), 10, out_dataset);
}

static bool have_data(void)
{
    if (train_set == NULL && clo_file_exists(FOLDER "train-images-idx3-ubyte.gz")) {
        clo_status status = load(FOLDER "train-images-idx3-ubyte.gz",
                                 FOLDER "train-labels-idx1-ubyte.gz", 60000, &train_set);
        if (clo_ok(status)) {
            status = load(FOLDER "t10k-images-idx3-ubyte.gz", FOLDER "t10k-labels-idx1-ubyte.gz",
                          TEST_SAMPLES, &test_set);
        }
        return clo_ok(status);
    }
    return test_set != NULL;
}

static void on_progress(void *arg, const clo_train_progress *progress)
{
    run_case *c = arg;
    c->losses[progress->step - 1] = progress->loss;
    c->steps++;
}

static clo_status body(clo_strategy *strategy, void *arg)
{
    run_case *c = arg;
    clo_train_hooks hooks = {.progress = on_progress, .arg = c};
    clo_train_loop_options options = {.architecture = clo_architecture_find("mnist-cnn"),
                                      .settings = &c->settings,
                                      .train = train_set,
                                      .test = test_set,
                                      .strategy = strategy,
                                      .threads = 1,
                                      .hooks = &hooks};
    CLO_AUTO_PTR(clo_train_loop) loop = NULL;
    CLO_TRY(clo_train_loop_new(&options, &loop));
    CLO_TRY(clo_train_loop_run(loop));
    double loss;
    CLO_TRY(clo_train_loop_evaluate(loop, test_set, &c->accuracy, &loss));
    CLO_TRY(clo_train_loop_compare(loop));
    c->identical = clo_train_loop_state(loop)->parameters_identical;
    return CLO_STATUS_OK;
}

static clo_status ring_body(rig_member *member, clo_group *group)
{
    CLO_AUTO(clo_strategy) strategy = CLO_STRATEGY_INIT;
    CLO_TRY(clo_strategy_all_reduce(group, &strategy));
    return body(&strategy, member->arg);
}

static run_case make_case(uint64_t batch_size)
{
    run_case c = {.settings = CLO_TRAIN_SETTINGS_INIT};
    c.settings.batch_size = batch_size;
    c.settings.test_batch_size = 250;
    c.settings.seed = 42;
    c.settings.max_steps = STEPS;
    return c;
}

static void three_ranks_equal_one_process_for_an_epoch(void)
{
    if (!have_data()) {
        T_SKIP("needs the package dataset-fashion-mnist");
    }
    static run_case ranks[WORLD];
    static run_case one;
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, WORLD, ring_body, NULL);
    for (int i = 0; i < WORLD; i++) {
        ranks[i] = make_case(64);
        rig.members[i].arg = &ranks[i];
    }
    one = make_case(3 * 64);
    rig_run(&rig);
    clo_strategy solo = clo_strategy_solo();
    T_OK(body(&solo, &one));
    for (int i = 0; i < WORLD; i++) {
        T_STR(rig.members[i].result.text, "ok");
        T_INT(ranks[i].steps, STEPS);
        T_CHECK(ranks[i].identical);
    }
    for (int i = 0; i < CLOSE_STEPS; i++) {
        double mean = (ranks[0].losses[i] + ranks[1].losses[i] + ranks[2].losses[i]) / WORLD;
        T_NEAR(mean, one.losses[i], 1e-4);
    }
    T_NEAR(ranks[0].accuracy, one.accuracy, 0.01);
    T_CHECK(one.accuracy > 0.5 && one.losses[STEPS - 1] < one.losses[0] - 0.5);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {T(three_ranks_equal_one_process_for_an_epoch)};
    rig_start();
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    clo_dataset_free(train_set);
    clo_dataset_free(test_set);
    return code;
}
