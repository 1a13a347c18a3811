/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_TRAIN_LOOP_H
#define CLOISTER_TRAIN_LOOP_H

/*
 * Inside of the loop, shared by its three files:
 *
 *     loop.c        makes it, runs epochs, decides when to save and when to stop
 *     loop_step.c   one step: forward and backward, agreement on the gradient, SGD, checks
 *     loop_eval.c   accuracy and loss over a dataset
 *
 * Invariant: everything a rank decides from what only it knows goes through clo_loop_agree, so that
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

/* Calls the strategy: every rank learns which ranks say `mine`. Writes "rank 2" or "ranks 0, 2"
 * into `out_names` (may be NULL) and the number of them. A collective. */
clo_status clo_loop_agree(clo_train_loop *loop, bool mine, char *out_names, size_t size,
                          uint32_t *out_count);

/* One step over a batch; the state is changed only when all of it succeeded. */
clo_status clo_loop_step(clo_train_loop *loop, const clo_batch *batch);

/* Copies a batch into a program's inputs. */
void clo_loop_feed(const clo_step_program *program, const clo_batch *batch);

/* The sampler of one rank's part of an evaluation. */
clo_sampler clo_loop_eval_sampler(const clo_train_loop *loop, const clo_dataset *dataset);

#endif
