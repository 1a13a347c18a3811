/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Element types and shapes: the few pure functions everything else counts with.
 */
#include "cloister/tensor.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} dtypes[CLO_DTYPE_COUNT] = {
    [CLO_F32] = {"float32", 4},
    [CLO_I32] = {"int32", 4},
    [CLO_I64] = {"int64", 8},
    [CLO_U8] = {"uint8", 1},
};

size_t clo_dtype_size(clo_dtype dtype)
{
    return (unsigned)dtype < CLO_DTYPE_COUNT ? dtypes[dtype].size : 0;
}

const char *clo_dtype_name(clo_dtype dtype)
{
    return (unsigned)dtype < CLO_DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

bool clo_shape_count(const clo_shape *shape, size_t *out_count)
{
    size_t count = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 0 || !clo_size_mul(count, (size_t)shape->dim[i], &count)) {
            return false;
        }
    }
    *out_count = count;
    return true;
}

bool clo_shape_equal(const clo_shape *a, const clo_shape *b)
{
    return a->rank == b->rank && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) == 0;
}

void clo_shape_text(const clo_shape *shape, char *out_text, size_t size)
{
    size_t at = 0;
    for (int i = 0; i < shape->rank && at < size; i++) {
        const char *before = i == 0 ? "[" : ", ";
        int n = shape->dim[i] == CLO_DIM_BATCH ? snprintf(out_text + at, size - at, "%sN", before)
                                               : snprintf(out_text + at, size - at, "%s%lld",
                                                          before, (long long)shape->dim[i]);
        at += (size_t)n;
    }
    if (at < size) {
        snprintf(out_text + at, size - at, shape->rank == 0 ? "[]" : "]");
    }
}
