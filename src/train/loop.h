/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_TRAIN_LOOP_H
#define CLOISTER_TRAIN_LOOP_H

/*
 * Inside of the loop, shared by its four files:
 *
 *     loop.c           makes it, runs epochs, decides when to save
 *     loop_boundary.c  between two steps: upkeep, stop, renewal of connections
 *     loop_step.c      one step: forward and backward, agreement on the gradient, SGD, checks
 *     loop_eval.c      accuracy and loss over a dataset
 *
 * Invariant: everything a rank decides from what only it knows goes through clo_loop_ask, so that
 * all ranks decide the same at the same step.
 *
 * Ownership: the loop owns graph, store, programs and results; it borrows the rest of its options.
 */
#include "cloister/train.h"
#include "step_program.h"

struct clo_train_loop {
    clo_train_loop_options options;
    clo_train_hooks hooks; /* all NULL when none were given */
    clo_graph *graph;
    clo_step_programs programs;
    clo_train_state state;     /* owns store and results */
    clo_sampler sampler;       /* of the training set */
    uint64_t epoch_batches;    /* of one rank */
    uint64_t steps;            /* of the whole job */
    uint64_t saved_step;       /* of the newest checkpoint; UINT64_MAX: none */
    clo_step_program *running; /* while a step runs: for its hook */
    bool finite;               /* this rank's gradient in this step, before the sum */
    double step_seconds;       /* running mean; 0 before the first step */
    double loss;               /* of the last batch */
    double trained_seconds;    /* of steps in this process, and the samples of all ranks in them */
    double trained_samples;
};

/* Calls the strategy: every rank learns what each says, a few bits (below 2^32); out_said has an
 * entry a rank. A collective. */
clo_status clo_loop_ask(clo_train_loop *loop, uint32_t mine, uint32_t out_said[CLO_WORLD_MAX]);
/* How many ranks said one of `bits`; writes "rank 2" or "ranks 0, 2" into `out_names` (may be
 * NULL). */
uint32_t clo_loop_name_ranks(const clo_train_loop *loop, const uint32_t *said, uint32_t bits,
                             char *out_names, size_t size);
/* Both for a yes or no: every rank learns which ranks say `mine`. Writes "rank 2" or "ranks 0, 2"
 * into `out_names` (may be NULL) and the number of them. A collective. */
clo_status clo_loop_agree(clo_train_loop *loop, bool mine, char *out_names, size_t size,
                          uint32_t *out_count);

/* Before each step. CLO_CANCELED on all ranks when one was told to stop. */
clo_status clo_loop_boundary(clo_train_loop *loop);

/* One step over a batch; the state is changed only when all of it succeeded. */
clo_status clo_loop_step(clo_train_loop *loop, const clo_batch *batch);

/* Copies a batch into a program's inputs. */
void clo_loop_feed(const clo_step_program *program, const clo_batch *batch);

/* The sampler of one rank's part of an evaluation. */
clo_sampler clo_loop_eval_sampler(const clo_train_loop *loop, const clo_dataset *dataset);

#endif
