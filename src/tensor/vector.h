/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TENSOR_VECTOR_H
#define CLO_TENSOR_VECTOR_H

/*
 * One loop, three instruction sets. The body is written once, inlined into three functions that
 * differ in their target attribute, and vectorised by the compiler in each; which one runs is asked
 * of the CPU at run time (`-march=native` would tie a measured binary to one machine).
 *
 *     CLO_INLINE void relu_body(float *out, const float *a, ...) { ... }
 *     CLO_AVX512 static void relu_avx512(...) { relu_body(...); }
 *     ...
 *
 * CLO_SIMD goes before a loop whose iterations do not depend on each other; an output that is one
 * of the inputs, element for element, is such a loop. The room is built without contraction of
 * a * b + c, so all variants give the same bits.
 */
#define CLO_INLINE static inline __attribute__((always_inline))
#define CLO_AVX512 __attribute__((target("avx512f")))
#define CLO_AVX2   __attribute__((target("avx2")))
#define CLO_SIMD   _Pragma("omp simd")

#endif
