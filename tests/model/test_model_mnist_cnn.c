/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network as a whole against PyTorch: from the same weights and batches, made by a formula that
 * tests/golden/record_mnist_cnn.py repeats, the first 100 losses must agree within 1e-4.
 */
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloister/model.h"

enum { BATCH = 64, STEPS = 100, PIXELS = 28 * 28, TRAIN = 60000, IDX3 = 16, IDX1 = 8 };

#define FOLDER "/usr/share/datasets/fashion-mnist/"

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

static void formula_params(clo_store *store)
{
    static const struct {
        const char *name;
        int fan_in;
    } params[] = {{"conv1.weight", 25}, {"conv1.bias", 25},  {"conv2.weight", 500},
                  {"conv2.bias", 500},  {"fc1.weight", 800}, {"fc1.bias", 800},
                  {"fc2.weight", 500},  {"fc2.bias", 500}};

    for (uint32_t p = 0; p < 8; p++) {
        const clo_param *param = clo_store_find(store, params[p].name);
        float *values = clo_store_values(store) + param->offset;
        for (uint32_t i = 0; i < param->count; i++) {
            double unit = (double)(mix(p * 0x01000000u + i) >> 8) / 16777216.0;
            values[i] = (float)((2.0 * unit - 1.0) * (1.0 / sqrt((double)params[p].fan_in)));
        }
    }
}

static clo_status unpack(const char *path, size_t expected, clo_buf *out)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    CLO_TRY(clo_file_read(path, 64 << 20, &file));
    CLO_TRY(clo_gunzip(clo_buf_span(&file), out));
    CLO_CHECK(out->size == expected, CLO_FORMAT, "'%s' has %zu bytes", path, out->size);
    return CLO_STATUS_OK;
}

static void load_batch(clo_program *program, const clo_buf *images, const clo_buf *labels,
                       uint32_t step)
{
    float *x = clo_program_input(program, CLO_IO_IMAGES).data;
    int32_t *y = clo_program_input(program, CLO_IO_LABELS).data;
    for (uint32_t i = 0; i < BATCH; i++) {
        uint32_t sample = mix(0xb0000000u + step * BATCH + i) % TRAIN;
        const uint8_t *pixels = images->data + IDX3 + (size_t)sample * PIXELS;
        for (size_t j = 0; j < PIXELS; j++) {
            x[i * PIXELS + j] = (float)pixels[j] / 255.0f;
        }
        y[i] = labels->data[IDX1 + sample];
    }
}

static int recorded_losses(double *out)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    clo_test_read(clo_test_source("tests/golden/mnist_cnn_losses.txt"), &text);
    int count = 0;
    clo_put_u8(&text, 0);
    for (char *line = strtok((char *)text.data, "\n"); line != NULL && count < STEPS;
         line = strtok(NULL, "\n")) {
        if (line[0] != '#') {
            out[count++] = strtod(line, NULL);
        }
    }
    return count;
}

static clo_status make_graph(clo_graph **out_graph)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    CLO_TRY(clo_graph_new(&graph));
    CLO_TRY(clo_architecture_find("mnist-cnn")->build(graph));
    CLO_TRY(clo_graph_differentiate(graph, clo_graph_find_output(graph, CLO_IO_LOSS)));
    *out_graph = CLO_TAKE(graph);
    return CLO_STATUS_OK;
}

static clo_status make(clo_store **out_store, clo_program **out_program)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    CLO_AUTO_PTR(clo_store) store = NULL;
    clo_program_options options = {.batch = BATCH, .threads = 1, .training = true};
    CLO_TRY(make_graph(&graph));
    CLO_TRY(clo_store_new(graph, &store));
    CLO_TRY(clo_program_compile(graph, store, &options, out_program));
    *out_store = CLO_TAKE(store);
    return CLO_STATUS_OK;
}

static clo_status train_step(clo_program *program, clo_store *store, double *out_loss)
{
    CLO_TRY(clo_program_run(program, NULL));
    *out_loss = (double)*(const float *)clo_program_output(program, CLO_IO_LOSS).data;
    clo_sgd_step(clo_store_values(store), clo_store_momentum(store), clo_store_gradients(store),
                 clo_store_size(store), 0.01f, 0.5f);
    return CLO_STATUS_OK;
}

static void first_100_losses_agree_with_pytorch(void)
{
    if (!clo_file_exists(FOLDER "train-images-idx3-ubyte.gz")) {
        T_SKIP("package dataset-fashion-mnist is not installed");
    }
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_store) store = NULL;
    CLO_AUTO_PTR(clo_program) program = NULL;
    double expected[STEPS];
    double worst = 0.0;
    T_INT(recorded_losses(expected), STEPS);
    T_OK(unpack(FOLDER "train-images-idx3-ubyte.gz", IDX3 + TRAIN * PIXELS, &images));
    T_OK(unpack(FOLDER "train-labels-idx1-ubyte.gz", IDX1 + TRAIN, &labels));
    T_OK(make(&store, &program));
    formula_params(store);
    for (uint32_t step = 0; step < STEPS; step++) {
        double loss;
        load_batch(program, &images, &labels, step);
        T_OK(train_step(program, store, &loss));
        worst = fmax(worst, fabs(loss - expected[step]));
        T_NEAR(loss, expected[step], 1e-4);
    }
    printf("# largest difference to the recorded losses: %.2g\n", worst);
}

static void another_learning_rate_does_not_agree(void)
{
    if (!clo_file_exists(FOLDER "train-images-idx3-ubyte.gz")) {
        T_SKIP("package dataset-fashion-mnist is not installed");
    }
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_store) store = NULL;
    CLO_AUTO_PTR(clo_program) program = NULL;
    double expected[STEPS], loss = 0.0, worst = 0.0;
    T_INT(recorded_losses(expected), STEPS);
    T_OK(unpack(FOLDER "train-images-idx3-ubyte.gz", IDX3 + TRAIN * PIXELS, &images));
    T_OK(unpack(FOLDER "train-labels-idx1-ubyte.gz", IDX1 + TRAIN, &labels));
    T_OK(make(&store, &program));
    formula_params(store);
    for (uint32_t step = 0; step < STEPS / 2; step++) {
        load_batch(program, &images, &labels, step);
        T_OK(train_step(program, store, &loss));
        clo_sgd_step(clo_store_values(store), clo_store_momentum(store), clo_store_gradients(store),
                     clo_store_size(store), 0.001f, 0.5f);
        worst = fmax(worst, fabs(loss - expected[step]));
    }
    T_CHECK(worst > 1e-3);
}

/* A blob per class, so that learning is possible without any file. */
static void synthetic_batch(clo_program *program, uint32_t step)
{
    float *x = clo_program_input(program, CLO_IO_IMAGES).data;
    int32_t *y = clo_program_input(program, CLO_IO_LABELS).data;
    for (uint32_t i = 0; i < BATCH; i++) {
        uint32_t label = mix(step * BATCH + i) % 10;
        y[i] = (int32_t)label;
        for (uint32_t j = 0; j < PIXELS; j++) {
            bool bright = j / (PIXELS / 10 + 1) == label;
            x[i * PIXELS + j] = bright ? 1.0f : (float)(mix(i * 1000 + j) % 100) / 400.0f;
        }
    }
}

static clo_status run_steps(int steps, clo_store **out_store, double *out_loss)
{
    CLO_AUTO_PTR(clo_program) program = NULL;
    CLO_TRY(make(out_store, &program));
    clo_store_initialize(*out_store, 7);
    for (int step = 0; step < steps; step++) {
        synthetic_batch(program, (uint32_t)step);
        CLO_TRY(train_step(program, *out_store, out_loss));
    }
    return CLO_STATUS_OK;
}

static void learns_a_synthetic_task(void)
{
    CLO_AUTO_PTR(clo_store) store = NULL;
    double loss;
    T_OK(run_steps(100, &store, &loss));
    printf("# loss %.3f, from 2.3\n", loss);
    T_CHECK(loss < 1.5);
}

static void two_runs_give_the_same_bits(void)
{
    CLO_AUTO_PTR(clo_store) a = NULL;
    CLO_AUTO_PTR(clo_store) b = NULL;
    double loss;
    T_OK(run_steps(3, &a, &loss));
    T_OK(run_steps(3, &b, &loss));
    size_t bytes = clo_store_size(a) * sizeof(float);
    T_INT(memcmp(clo_store_values(a), clo_store_values(b), bytes), 0);
}

static void inference_gives_the_logits_of_training(void)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    CLO_AUTO_PTR(clo_store) store = NULL;
    CLO_AUTO_PTR(clo_program) train = NULL;
    CLO_AUTO_PTR(clo_program) infer = NULL;
    clo_program_options options = {.batch = BATCH, .threads = 1, .training = true};
    T_OK(make_graph(&graph));
    T_OK(clo_store_new(graph, &store));
    clo_store_initialize(store, 1);
    T_OK(clo_program_compile(graph, store, &options, &train));
    options.training = false;
    T_OK(clo_program_compile(graph, store, &options, &infer));
    synthetic_batch(train, 0);
    synthetic_batch(infer, 0);
    T_OK(clo_program_run(train, NULL));
    T_OK(clo_program_run(infer, NULL));
    const float *a = clo_program_output(train, CLO_IO_LOGITS).data;
    const float *b = clo_program_output(infer, CLO_IO_LOGITS).data;
    for (size_t i = 0; i < BATCH * 10; i++) {
        T_NEAR(a[i], b[i], 1e-5);
    }
    T_CHECK(clo_program_memory(infer) < clo_program_memory(train));
    T_INT(clo_program_bucket_count(infer), 0);
}

static void the_table_has_the_seeds_network(void)
{
    const clo_architecture *a = clo_architecture_find("mnist-cnn");
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    CLO_AUTO_PTR(clo_store) store = NULL;
    T_CHECK(a != NULL && clo_architecture_get(0) == a && clo_architecture_count() == 1);
    T_CHECK(clo_architecture_get(1) == NULL && clo_architecture_find("mnist") == NULL);
    T_INT(a->classes, 10);
    T_OK(clo_graph_new(&graph));
    T_OK(a->build(graph));
    T_OK(clo_store_new(graph, &store));
    size_t total = 0;
    for (size_t i = 0; i < clo_store_param_count(store); i++) {
        total += clo_store_param(store, i)->count;
    }
    T_INT(total, 431080);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(the_table_has_the_seeds_network),      T(first_100_losses_agree_with_pytorch),
        T(another_learning_rate_does_not_agree), T(learns_a_synthetic_task),
        T(two_runs_give_the_same_bits),          T(inference_gives_the_logits_of_training),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
