/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax cross-entropy, row by row, with the usual shift by the row's maximum:
 *
 *     loss = mean over rows of  log(sum_c exp(x_c - max)) - (x_label - max)
 *     dx_c = dloss (exp(x_c - max) / sum - [c = label]) / rows
 *
 * The mean is accumulated in double in row order. A row is small (ten classes here), so the rows
 * are not shared among threads.
 */
#include <math.h>

#include "kernel.h"

static clo_status check_label(int32_t label, size_t row, size_t columns)
{
    CLO_CHECK(label >= 0 && (size_t)label < columns, CLO_INVALID,
              "label %d of sample %zu, expected 0 to %zu", label, row, columns - 1);
    return CLO_STATUS_OK;
}

/* Writes exp(x - max) to `out` when it is not NULL; returns the sum and the maximum. */
static float exponentials(const float *x, size_t columns, float *out, float *out_max)
{
    float max = x[0];
    for (size_t c = 1; c < columns; c++) {
        max = x[c] > max ? x[c] : max;
    }
    float sum = 0.0f;
    for (size_t c = 0; c < columns; c++) {
        float e = expf(x[c] - max);
        sum += e;
        if (out != NULL) {
            out[c] = e;
        }
    }
    *out_max = max;
    return sum;
}

/* One pass for all three kernels: `loss` or `dx` may be NULL. */
static clo_status rows_run(const clo_kernel *kernel, const float *x, const int32_t *labels,
                           float *loss, float *dx, float dloss)
{
    size_t columns = kernel->columns;
    float factor = dloss / (float)kernel->rows;
    double total = 0.0;
    for (size_t r = 0; r < kernel->rows; r++, x += columns) {
        CLO_TRY(check_label(labels[r], r, columns));
        float max;
        float sum = exponentials(x, columns, dx, &max);
        total += (double)logf(sum) - (double)(x[labels[r]] - max);
        if (dx == NULL) {
            continue;
        }
        for (size_t c = 0; c < columns; c++) {
            dx[c] *= factor / sum;
        }
        dx[labels[r]] -= factor;
        dx += columns;
    }
    if (loss != NULL) {
        *loss = (float)(total / (double)kernel->rows);
    }
    return CLO_STATUS_OK;
}

clo_status clo_kernel_loss(const clo_kernel *kernel)
{
    return rows_run(kernel, kernel->in[0], kernel->in[1], kernel->out[0], NULL, 0.0f);
}

clo_status clo_kernel_loss_grad(const clo_kernel *kernel)
{
    const float *dloss = kernel->in[0];
    return rows_run(kernel, kernel->in[1], kernel->in[2], NULL, kernel->out[0], *dloss);
}

clo_status clo_kernel_loss_both(const clo_kernel *kernel)
{
    return rows_run(kernel, kernel->in[0], kernel->in[1], kernel->out[0], kernel->out[1],
                    kernel->number);
}
