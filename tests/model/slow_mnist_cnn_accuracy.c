/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Five seeds, three epochs each, batch 64, lr 0.01, momentum 0.5, one process: after each epoch the
 * median test accuracy and the worst seed must reach what PyTorch reaches (eight seeds of it:
 * 0.733-0.755, 0.768-0.805, 0.813-0.827). A few minutes; target accuracy_mnist_cnn.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fashion.h"

enum { SEEDS = 5, EPOCHS = 3, BATCH = 64, TEST_BATCH = 1000, TRAIN_MAX = 60000 };

static const double median_floor[EPOCHS] = {0.73, 0.78, 0.815};
static const double worst_floor[EPOCHS] = {0.70, 0.74, 0.79};

typedef struct {
    clo_fashion train, test;
    uint32_t order[TRAIN_MAX];
    double accuracy[EPOCHS][SEEDS];
} measurement;

static clo_status epoch_run(measurement *m, clo_fashion_net *net, clo_program *full,
                            clo_program *rest, uint64_t seed, int epoch)
{
    clo_fashion_shuffle(seed, (uint64_t)epoch, m->train.count, m->order);
    for (size_t at = 0; at < m->train.count; at += BATCH) {
        size_t left = m->train.count - at;
        clo_program *program = left >= BATCH ? full : rest;
        clo_fashion_feed(program, &m->train, m->order, at, left >= BATCH ? BATCH : left);
        CLO_TRY(clo_fashion_step(net, program));
    }
    return CLO_STATUS_OK;
}

static clo_status evaluate(measurement *m, clo_program *program, double *out_accuracy)
{
    static uint32_t in_order[TRAIN_MAX];
    size_t right = 0;
    for (size_t i = 0; i < m->test.count; i++) {
        in_order[i] = (uint32_t)i;
    }
    for (size_t at = 0; at < m->test.count; at += TEST_BATCH) {
        int32_t found[TEST_BATCH];
        clo_fashion_feed(program, &m->test, in_order, at, TEST_BATCH);
        CLO_TRY(clo_program_run(program, NULL));
        clo_argmax_rows(clo_program_output(program, CLO_IO_LOGITS).data, TEST_BATCH, 10, found);
        for (size_t i = 0; i < TEST_BATCH; i++) {
            right += found[i] == m->test.labels[at + i] ? 1 : 0;
        }
    }
    *out_accuracy = (double)right / (double)m->test.count;
    return CLO_STATUS_OK;
}

static clo_status seed_run(measurement *m, int seed)
{
    clo_fashion_net net;
    CLO_AUTO_PTR(clo_program) full = NULL;
    CLO_AUTO_PTR(clo_program) rest = NULL;
    CLO_AUTO_PTR(clo_program) eval = NULL;
    CLO_TRY(clo_fashion_net_new(&net));
    clo_store_initialize(net.store, (uint64_t)seed);
    CLO_TRY(clo_fashion_compile(&net, BATCH, 1, true, &full));
    CLO_TRY(clo_fashion_compile(&net, m->train.count % BATCH, 1, true, &rest));
    CLO_TRY(clo_fashion_compile(&net, TEST_BATCH, 1, false, &eval));
    printf("seed %d:", seed);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        double *accuracy = &m->accuracy[epoch][seed - 1];
        CLO_TRY(epoch_run(m, &net, full, rest, (uint64_t)seed, epoch));
        CLO_TRY(evaluate(m, eval, accuracy));
        printf(" %.4f", *accuracy);
        fflush(stdout);
    }
    printf("\n");
    clo_fashion_net_free(&net);
    return CLO_STATUS_OK;
}

static int by_value(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static clo_status judge(measurement *m)
{
    bool good = true;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        double *a = m->accuracy[epoch];
        qsort(a, SEEDS, sizeof *a, by_value);
        bool holds = a[SEEDS / 2] >= median_floor[epoch] && a[0] >= worst_floor[epoch];
        printf("epoch %d: median %.4f (at least %.3f), worst %.4f (at least %.2f)%s\n", epoch + 1,
               a[SEEDS / 2], median_floor[epoch], a[0], worst_floor[epoch],
               holds ? "" : "  NOT REACHED");
        good = good && holds;
    }
    CLO_CHECK(good, CLO_NUMERIC, "accuracy is below PyTorch's");
    return CLO_STATUS_OK;
}

static clo_status run(void)
{
    static measurement m;
    CLO_TRY(clo_fashion_load("train", &m.train));
    CLO_TRY(clo_fashion_load("t10k", &m.test));
    CLO_CHECK(m.train.count == TRAIN_MAX && m.test.count % TEST_BATCH == 0 &&
                  m.test.count <= TRAIN_MAX,
              CLO_FORMAT, "the dataset has other sizes than expected");
    for (int seed = 1; seed <= SEEDS; seed++) {
        CLO_TRY(seed_run(&m, seed));
    }
    clo_fashion_free(&m.train);
    clo_fashion_free(&m.test);
    return judge(&m);
}

int main(void)
{
    return clo_fashion_exit(run());
}
