/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_TRAIN_STEP_PROGRAM_H
#define CLOISTER_TRAIN_STEP_PROGRAM_H

/*
 * The compiled programs of one graph, one a batch size and purpose, made when first asked for and
 * kept. An epoch of 20000 samples in batches of 64 ends with one of 32: it needs two training
 * programs, and evaluation as many of its own. The loop asks for all of them before its first step,
 * so that no step compiles.
 *
 * Ownership: the cache owns its programs and borrows graph and store, which must outlive it.
 * Threads: one.
 */
#include "cloister/model.h"

#define CLO_STEP_PROGRAM_MAX 16

/* A program with the values a step touches looked up once. */
typedef struct {
    size_t batch;
    bool training;
    clo_program *program;
    clo_tensor images, labels, logits, loss;
} clo_step_program;

typedef struct {
    const clo_graph *graph;
    clo_store *store;
    int threads;
    size_t count;
    clo_step_program programs[CLO_STEP_PROGRAM_MAX];
} clo_step_programs;

/* CLO_LIMIT for more batch sizes than the cache holds. The program is valid until clear. */
clo_status clo_step_programs_get(clo_step_programs *programs, size_t batch, bool training,
                                 clo_step_program **out_program);
/* Compiles what an epoch over `share` samples needs: the batch and the tail. */
clo_status clo_step_programs_prepare(clo_step_programs *programs, size_t share, size_t batch,
                                     bool training);
void clo_step_programs_clear(clo_step_programs *programs);

#endif
