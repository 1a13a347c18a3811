/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training speed of mnist-cnn, data in memory:
 *
 *     bench_mnist_cnn [BATCH [THREADS [SECONDS]]]      default 64 1 5
 *
 * Prints samples a second as the median over rounds of 50 steps (feeding included), the arena's
 * size, and the time from start to the end of the first step without loading the data.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fashion.h"

enum { ROUND = 50, ROUNDS_MAX = 10000 };

typedef struct {
    uint64_t batch, threads, seconds;
} settings;

static clo_status parse(int argc, char **argv, settings *out)
{
    *out = (settings){64, 1, 5};
    uint64_t *const fields[] = {&out->batch, &out->threads, &out->seconds};
    for (int i = 1; i < argc && i <= 3; i++) {
        CLO_TRY_CTX(clo_parse_u64(argv[i], 60000, fields[i - 1]), "argument %d", i);
    }
    return CLO_STATUS_OK;
}

static int by_value(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static clo_status measure(const settings *s, const clo_fashion *data, clo_fashion_net *net,
                          clo_program *program)
{
    static double rates[ROUNDS_MAX];
    static uint32_t order[60000];
    size_t rounds = 0, at = 0;
    clo_fashion_shuffle(1, 0, data->count, order);
    int64_t end = clo_clock_ns() + (int64_t)s->seconds * 1000000000;
    while (rounds < ROUNDS_MAX && clo_clock_ns() < end) {
        int64_t start = clo_clock_ns();
        for (int i = 0; i < ROUND; i++) {
            at = at + s->batch > data->count ? 0 : at;
            clo_fashion_feed(program, data, order, at, s->batch);
            CLO_TRY(clo_fashion_step(net, program));
            at += s->batch;
        }
        double seconds = (double)(clo_clock_ns() - start) * 1e-9;
        rates[rounds++] = (double)(ROUND * s->batch) / seconds;
    }
    CLO_CHECK(rounds > 0, CLO_INVALID, "no time to measure in");
    qsort(rates, rounds, sizeof *rates, by_value);
    printf("batch %llu threads %llu: %.0f samples/s (best %.0f, %zu rounds), arena %.1f MB\n",
           (unsigned long long)s->batch, (unsigned long long)s->threads, rates[rounds / 2],
           rates[rounds - 1], rounds, (double)clo_program_memory(program) / 1e6);
    return CLO_STATUS_OK;
}

static clo_status run(int argc, char **argv)
{
    settings s;
    clo_fashion data;
    clo_fashion_net net;
    CLO_AUTO_PTR(clo_program) program = NULL;
    CLO_TRY(parse(argc, argv, &s));
    CLO_TRY(clo_fashion_load("train", &data));
    int64_t start = clo_clock_ns();
    CLO_TRY(clo_fashion_net_new(&net));
    clo_store_initialize(net.store, 1);
    CLO_TRY(clo_fashion_compile(&net, s.batch, (int)s.threads, true, &program));
    CLO_TRY(clo_fashion_step(&net, program));
    printf("ready after the first step: %.1f ms\n", (double)(clo_clock_ns() - start) * 1e-6);
    CLO_TRY(measure(&s, &data, &net, program));
    clo_fashion_net_free(&net);
    clo_fashion_free(&data);
    return CLO_STATUS_OK;
}

int main(int argc, char **argv)
{
    return clo_fashion_exit(run(argc, argv));
}
