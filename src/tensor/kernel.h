/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TENSOR_KERNEL_H
#define CLO_TENSOR_KERNEL_H

/*
 * A kernel is one bound call: a function and everything it needs. Lowering an operator fills one
 * in two steps. First `lower` sets `run`, the layouts it wants for its inputs and makes for its
 * outputs, its scratch size and its own sizes; pass_layout then places reorders where producer and
 * reader disagree. When memory is planned, the addresses are set, once, for the program's life.
 *
 * Our own kernels read the addresses and sizes here; oneDNN's hold a primitive with the same
 * addresses in its own form (backend.h).
 *
 * Invariant: `run` allocates nothing and decides nothing about configuration.
 */
#include "graph.h"

typedef struct clo_layout clo_layout;       /* backend.h */
typedef struct clo_primitive clo_primitive; /* dnnl_private.h */
typedef struct clo_kernel clo_kernel;

struct clo_kernel {
    clo_status (*run)(const clo_kernel *kernel);
    const clo_layout *in_layout[CLO_NODE_INPUTS];   /* NULL: not read */
    const clo_layout *out_layout[CLO_NODE_OUTPUTS]; /* NULL: not made */
    size_t scratch_bytes;

    void *in[CLO_NODE_INPUTS];
    void *out[CLO_NODE_OUTPUTS];
    void *scratch;

    size_t rows, columns, count; /* sizes of our own kernels, each says which it uses */
    float number;
    clo_primitive *primitive; /* NULL for our own kernels */
    char detail[40];          /* which implementation, for people */
};

/* Own kernels over `count` float32. Layout does not matter to them: where a blocked layout pads,
 * the padding is zero, and each of these maps zeros to zero. */
clo_status clo_kernel_relu(const clo_kernel *kernel);
clo_status clo_kernel_relu_grad(const clo_kernel *kernel); /* in: dy, y */
clo_status clo_kernel_add(const clo_kernel *kernel);
/* Copies `count` bytes. */
clo_status clo_kernel_copy(const clo_kernel *kernel);
/* out[c] = sum over `rows` of in[r, c], `columns` of them. */
clo_status clo_kernel_sum_rows(const clo_kernel *kernel);

/* Softmax cross-entropy over logits [rows, columns] and labels [rows]; a label outside the classes
 * is CLO_INVALID, because labels come from outside. */
clo_status clo_kernel_loss(const clo_kernel *kernel);      /* out: loss */
clo_status clo_kernel_loss_grad(const clo_kernel *kernel); /* in: dloss, logits, labels */
clo_status clo_kernel_loss_both(const clo_kernel *kernel); /* out: loss, dlogits * number */

/* The variants of the fused SGD pass, best first, for the test that compares them bit by bit. Each
 * multiplies and adds with separate roundings, so ranks on different CPUs stay identical. */
typedef struct {
    const char *name;
    bool (*usable)(void);
    void (*run)(float *values, float *momentum_buffer, const float *gradients, size_t count,
                float lr, float momentum);
} clo_sgd_variant;

extern const clo_sgd_variant clo_sgd_variants[];
extern const size_t clo_sgd_variant_count;

/* Philox4x32-10 as published: four words out of a counter of four and a key of two. */
void clo_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
