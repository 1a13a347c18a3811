/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stochastic gradient descent with momentum, PyTorch's form (no dampening, no Nesterov):
 *
 *     v = momentum v + g        p = p - lr v
 *
 * in one pass over the three spans, so each number is read and written once (20 bytes a parameter).
 * All variants round in the same places, so ranks on different CPUs keep identical parameters.
 */
#include "cloister/tensor.h"

#include "kernel.h"
#include "vector.h"

enum { BLOCK = 1 << 14 };

CLO_INLINE void sgd_body(float *values, float *buffer, const float *gradients, size_t count,
                         float lr, float momentum)
{
    CLO_SIMD
    for (size_t i = 0; i < count; i++) {
        float v = momentum * buffer[i] + gradients[i];
        buffer[i] = v;
        values[i] -= lr * v;
    }
}

CLO_AVX512 static void sgd_avx512(float *values, float *buffer, const float *gradients,
                                  size_t count, float lr, float momentum)
{
    sgd_body(values, buffer, gradients, count, lr, momentum);
}

CLO_AVX2 static void sgd_avx2(float *values, float *buffer, const float *gradients, size_t count,
                              float lr, float momentum)
{
    sgd_body(values, buffer, gradients, count, lr, momentum);
}

static void sgd_plain(float *values, float *buffer, const float *gradients, size_t count, float lr,
                      float momentum)
{
    sgd_body(values, buffer, gradients, count, lr, momentum);
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") != 0;
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

static bool always(void)
{
    return true;
}

const clo_sgd_variant clo_sgd_variants[] = {
    {"avx512", has_avx512, sgd_avx512},
    {"avx2", has_avx2, sgd_avx2},
    {"plain", always, sgd_plain},
};

const size_t clo_sgd_variant_count = sizeof clo_sgd_variants / sizeof *clo_sgd_variants;

void clo_sgd_step(float *values, float *momentum_buffer, const float *gradients, size_t count,
                  float lr, float momentum)
{
    const clo_sgd_variant *variant = clo_sgd_variants;
    while (!variant->usable()) {
        variant++;
    }
    size_t blocks = (count + BLOCK - 1) / BLOCK;
#pragma omp parallel for if (blocks > 1)
    for (size_t i = 0; i < blocks; i++) {
        size_t at = i * BLOCK;
        size_t size = count - at < BLOCK ? count - at : BLOCK;
        variant->run(values + at, momentum_buffer + at, gradients + at, size, lr, momentum);
    }
}
