/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TENSOR_STORE_H
#define CLO_TENSOR_STORE_H

/*
 * The parameter store's inside: the three spans, the table that cuts them, and how each part
 * starts. The table never changes after clo_store_new, so programs may keep addresses into the
 * spans for as long as the store lives.
 */
#include "graph.h"

typedef struct {
    clo_init init;
    uint64_t stream; /* of the generator; from the parameter's number as declared */
} clo_store_init;

struct clo_store {
    clo_arena arena;
    clo_param *params;
    clo_store_init *inits;
    size_t count;
    size_t size;
    float *values, *gradients, *momentum;
};

#endif
