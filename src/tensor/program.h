/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TENSOR_PROGRAM_H
#define CLO_TENSOR_PROGRAM_H

/*
 * A program, also while it is being made. Each pass is one function in one file and fills in one
 * more part:
 *
 *     bind              graph      a copy with every size known
 *     pass_fuse         graph      fewer nodes
 *     pass_layout       calls      one kernel a node, reorders where layouts disagree
 *     pass_inplace      buffers    which values share memory
 *     pass_memory       offsets    buffers placed in one arena by lifetime
 *     pass_buckets      buckets    which gradients are complete after which call
 *
 * Invariants: `calls` is in execution order; a value's buffer holds it from the call that makes it
 * to the last call that reads it; buffers that are alive together never overlap. Kept values
 * (inputs, outputs, parameters, gradients) have a buffer for the whole run.
 *
 * Ownership: the program owns all of it; parameters and gradients are the store's memory.
 */
#include "backend.h"
#include "graph.h"
#include "kernel.h"
#include "op.h"

enum { CLO_NO_BUFFER = -1 };

typedef struct {
    const clo_layout *layout;
    int buffer;
    bool kept; /* must be row-major and readable from outside when the run ends */
} clo_place;

typedef struct {
    clo_node node;
    clo_kernel kernel;
    int scratch; /* buffer */
} clo_call;

typedef struct {
    void *fixed; /* the store's memory; NULL: in the arena at `offset` */
    size_t bytes;
    size_t offset;
    size_t first, last; /* calls between which the contents matter, both inclusive */
    bool kept;
    bool used;
} clo_buffer;

typedef struct {
    clo_bucket range;
    size_t ready; /* number of calls after which it is complete */
} clo_ready_bucket;

struct clo_program {
    clo_graph *graph; /* bound */
    clo_store *store;
    clo_program_options options;
    clo_backend *backend;
    clo_place *places; /* one a value of `graph`; room for what pass_layout adds */
    size_t place_capacity;
    clo_call *calls;
    size_t call_count, call_capacity;
    clo_buffer *buffers;
    size_t buffer_count, buffer_capacity;
    clo_ready_bucket *buckets;
    size_t bucket_count;
    uint8_t *arena;
    size_t arena_bytes;
};

/* The passes, in order (program.c has the table). */
clo_status clo_pass_fuse(clo_program *program);
clo_status clo_pass_layout(clo_program *program);
clo_status clo_pass_inplace(clo_program *program);
clo_status clo_pass_memory(clo_program *program);
clo_status clo_pass_buckets(clo_program *program);

/* For lower functions. */
const clo_layout *clo_program_layout(const clo_program *program, clo_value value);
const clo_value_info *clo_program_value(const clo_program *program, clo_value value);
/* Row-major layout of `value`. */
clo_status clo_program_plain(clo_program *program, clo_value value, const clo_layout **out_layout);
/* The call already lowered that makes `value`; NULL when there is none. */
const clo_call *clo_program_maker(const clo_program *program, clo_value value);

/* Where a value lies, after pass_memory and the arena's allocation. */
void *clo_program_address(const clo_program *program, int buffer);

#endif
