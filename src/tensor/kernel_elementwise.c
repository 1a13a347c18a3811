/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Element-by-element loops, all of one form: out[i] = f(a[i], b[i], number). Work is cut into
 * blocks that the calling thread's OpenMP pool shares; the cut does not depend on the pool, and
 * neither do the results.
 */
#include "cloister/tensor.h"

#include <string.h>

#include "kernel.h"
#include "vector.h"

enum { BLOCK = 1 << 14 };

typedef void (*loop)(float *out, const float *a, const float *b, float number, size_t count);

/* The three variants of one loop. */
#define LOOP(name, expression)                                                                     \
    CLO_INLINE void name##_body(float *out, const float *a, const float *b, float number,          \
                                size_t count)                                                      \
    {                                                                                              \
        (void)b;                                                                                   \
        (void)number;                                                                              \
        CLO_SIMD                                                                                   \
        for (size_t i = 0; i < count; i++) {                                                       \
            out[i] = (expression);                                                                 \
        }                                                                                          \
    }                                                                                              \
    CLO_AVX512 static void name##_avx512(float *out, const float *a, const float *b, float number, \
                                         size_t count)                                             \
    {                                                                                              \
        name##_body(out, a, b, number, count);                                                     \
    }                                                                                              \
    CLO_AVX2 static void name##_avx2(float *out, const float *a, const float *b, float number,     \
                                     size_t count)                                                 \
    {                                                                                              \
        name##_body(out, a, b, number, count);                                                     \
    }                                                                                              \
    static void name##_plain(float *out, const float *a, const float *b, float number,             \
                             size_t count)                                                         \
    {                                                                                              \
        name##_body(out, a, b, number, count);                                                     \
    }                                                                                              \
    static const loop name[] = {name##_avx512, name##_avx2, name##_plain}

/* Written so that a NaN stays a NaN. */
LOOP(relu, a[i] < 0.0f ? 0.0f : a[i]);
LOOP(relu_grad, b[i] > 0.0f ? a[i] : 0.0f);
LOOP(add, a[i] + b[i]);
LOOP(scale, a[i] * number);

static loop best(const loop *variants)
{
    if (__builtin_cpu_supports("avx512f")) {
        return variants[0];
    }
    return __builtin_cpu_supports("avx2") ? variants[1] : variants[2];
}

static void share(const loop *variants, float *out, const float *a, const float *b, float number,
                  size_t count)
{
    loop run = best(variants);
    size_t blocks = (count + BLOCK - 1) / BLOCK;
#pragma omp parallel for if (blocks > 1)
    for (size_t i = 0; i < blocks; i++) {
        size_t at = i * BLOCK;
        size_t size = count - at < BLOCK ? count - at : BLOCK;
        run(out + at, a + at, b + at, number, size);
    }
}

clo_status clo_kernel_relu(const clo_kernel *kernel)
{
    share(relu, kernel->out[0], kernel->in[0], kernel->in[0], 0.0f, kernel->count);
    return CLO_STATUS_OK;
}

clo_status clo_kernel_relu_grad(const clo_kernel *kernel)
{
    share(relu_grad, kernel->out[0], kernel->in[0], kernel->in[1], 0.0f, kernel->count);
    return CLO_STATUS_OK;
}

clo_status clo_kernel_add(const clo_kernel *kernel)
{
    share(add, kernel->out[0], kernel->in[0], kernel->in[1], 0.0f, kernel->count);
    return CLO_STATUS_OK;
}

clo_status clo_kernel_copy(const clo_kernel *kernel)
{
    memcpy(kernel->out[0], kernel->in[0], kernel->count);
    return CLO_STATUS_OK;
}

void clo_add_f32(float *out, const float *in, size_t count)
{
    share(add, out, out, in, 0.0f, count);
}

void clo_scale_f32(float *values, float factor, size_t count)
{
    share(scale, values, values, values, factor, count);
}
