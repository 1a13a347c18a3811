/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops that read many numbers and give few. Sums run in a fixed order, so that they do not depend
 * on the number of threads.
 */
#include "cloister/tensor.h"

#include <string.h>

#include "kernel.h"
#include "vector.h"

clo_status clo_kernel_sum_rows(const clo_kernel *kernel)
{
    float *out = kernel->out[0];
    const float *in = kernel->in[0];
    memcpy(out, in, kernel->columns * sizeof *out);
    for (size_t r = 1; r < kernel->rows; r++) {
        const float *row = in + r * kernel->columns;
        CLO_SIMD
        for (size_t c = 0; c < kernel->columns; c++) {
            out[c] += row[c];
        }
    }
    return CLO_STATUS_OK;
}

/* Exponent bits all ones: NaN or infinite. */
static bool is_finite(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return (bits & 0x7f800000u) != 0x7f800000u;
}

bool clo_tensor_all_finite(const float *data, size_t count, size_t *out_index)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_finite(data[i])) {
            if (out_index != NULL) {
                *out_index = i;
            }
            return false;
        }
    }
    return true;
}

void clo_argmax_rows(const float *values, size_t rows, size_t columns, int32_t *out_index)
{
    for (size_t r = 0; r < rows; r++) {
        const float *row = values + r * columns;
        size_t best = 0;
        for (size_t c = 1; c < columns; c++) {
            best = row[c] > row[best] ? c : best;
        }
        out_index[r] = (int32_t)best;
    }
}
