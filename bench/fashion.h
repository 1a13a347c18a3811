/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_BENCH_FASHION_H
#define CLO_BENCH_FASHION_H

/*
 * Fashion-MNIST in memory, and the network ready to train on it: what the benchmark and the long
 * accuracy run share. Plain files of the Debian package; nothing sealed, because here the engine
 * alone is measured.
 */
#include "cloister/model.h"

enum { CLO_FASHION_PIXELS = 28 * 28 };

typedef struct {
    float *pixels; /* [count, 784], 0..1 */
    int32_t *labels;
    size_t count;
} clo_fashion;

typedef struct {
    clo_graph *graph;
    clo_store *store;
} clo_fashion_net;

/* `part` is "train" or "t10k". */
clo_status clo_fashion_load(const char *part, clo_fashion *out_data);
void clo_fashion_free(clo_fashion *data);

clo_status clo_fashion_net_new(clo_fashion_net *out_net);
void clo_fashion_net_free(clo_fashion_net *net);
clo_status clo_fashion_compile(const clo_fashion_net *net, size_t batch, int threads, bool training,
                               clo_program **out_program);

/* Copies the samples order[at .. at + batch) into the program's inputs. */
void clo_fashion_feed(clo_program *program, const clo_fashion *data, const uint32_t *order,
                      size_t at, size_t batch);
/* 0 .. count-1 shuffled (Fisher-Yates) by our generator; `order` takes data->count numbers. */
void clo_fashion_shuffle(uint64_t seed, uint64_t epoch, size_t count, uint32_t *order);

/* Runs one training step at lr 0.01, momentum 0.5. */
clo_status clo_fashion_step(clo_fashion_net *net, clo_program *program);

/* Prints a failed status and gives the exit code. */
int clo_fashion_exit(clo_status status);

#endif
