/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TENSOR_BACKEND_H
#define CLO_TENSOR_BACKEND_H

/*
 * All that the room knows of oneDNN (2.6, C API; only the dnnl_* files know it). Two ideas cross
 * this line: a *layout*, an immutable description of how a tensor lies in memory, and functions
 * that lower one operator to one kernel with the layouts that run fastest.
 *
 * Invariants: primitives are created once, at compile; scratchpads are the user's (from the
 * program's arena), so a run needs no memory of the library's. fp32 matrix products stay in plain
 * layout: at training batch sizes the reorder of a weight that changes each step costs what a
 * blocked product gains. NHWC is never chosen: in 2.6 it falls to reference kernels.
 *
 * Ownership: layouts live in the backend; kernels' primitives are released by clo_backend_release.
 *
 * Threads: a backend belongs to its program's thread. oneDNN and our own loops share libgomp's
 * pool.
 */
#include "kernel.h"
#include "op.h"

typedef struct clo_backend clo_backend;

clo_status clo_backend_new(clo_backend **out_backend);
void clo_backend_free(clo_backend *backend);
CLO_DEFINE_AUTO_PTR(clo_backend, clo_backend_free);

/* Size of the calling thread's OpenMP pool. Primitives are tuned to it when they are created. */
void clo_backend_set_threads(int threads);

/* Row-major. */
clo_status clo_layout_plain(clo_backend *backend, clo_dtype dtype, const clo_shape *shape,
                            const clo_layout **out_layout);
bool clo_layout_equal(const clo_layout *a, const clo_layout *b);
size_t clo_layout_bytes(const clo_layout *layout);
/* oneDNN's notation: "abcd" is row-major, "aBcd16b" has channels in blocks of 16. */
void clo_layout_text(const clo_layout *layout, char *out_text, size_t size);

/* What a convolution is: x [N, C, H, W], w [M, C, kH, kW], y [N, M, H', W']. */
typedef struct {
    clo_shape x, w, y;
    clo_window window;
    bool bias;
    bool relu;
} clo_conv;

/* in: x, w, bias; out: y. */
clo_status clo_backend_conv(clo_backend *backend, const clo_conv *conv, clo_kernel *kernel);
/* in: dy, w; out: dx. */
clo_status clo_backend_conv_grad_input(clo_backend *backend, const clo_conv *conv,
                                       clo_kernel *kernel);
/* in: dy, x; out: dw, dbias. */
clo_status clo_backend_conv_grad_weight(clo_backend *backend, const clo_conv *conv,
                                        clo_kernel *kernel);

/* `x_layout` is taken as it comes; the output follows it. in: x; out: y, workspace when `training`
 * (which element won; opaque). */
typedef struct {
    clo_shape x, y;
    clo_window window;
    bool training;
} clo_pool;

clo_status clo_backend_max_pool(clo_backend *backend, const clo_pool *pool,
                                const clo_layout *x_layout, clo_kernel *kernel);
/* `forward` is the kernel that made the workspace. in: dy, workspace; out: dx. */
clo_status clo_backend_max_pool_grad(clo_backend *backend, const clo_pool *pool,
                                     const clo_kernel *forward, clo_kernel *kernel);

/* y [rows, columns] = op(a) op(b) (+ bias [columns]) (relu); all row-major.
 * in: a, b, bias; out: y. */
typedef struct {
    int64_t rows, inner, columns;
    bool transpose_a, transpose_b;
    bool bias;
    bool relu;
} clo_matmul;

clo_status clo_backend_matmul(clo_backend *backend, const clo_matmul *matmul, clo_kernel *kernel);

/* A copy that changes the layout. in: x; out: y. */
clo_status clo_backend_reorder(clo_backend *backend, const clo_layout *from, const clo_layout *to,
                               clo_kernel *kernel);

/* Gives the primitive the kernel's addresses; nothing to do for our own kernels. */
clo_status clo_backend_bind(clo_backend *backend, clo_kernel *kernel);
void clo_backend_release(clo_kernel *kernel);

#endif
