/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix products in row-major layout; a transposed operand is the same memory with its strides
 * exchanged.
 */
#include "dnnl_private.h"

/* The [rows, columns] matrix that lies as given, or as its transpose. */
static clo_status matrix(int64_t rows, int64_t columns, bool transposed,
                         dnnl_memory_desc_t *out_desc)
{
    dnnl_dims_t dims = {rows, columns};
    dnnl_dims_t strides = {transposed ? 1 : columns, transposed ? rows : 1};
    CLO_DNNL("matrix", dnnl_memory_desc_init_by_strides(out_desc, 2, dims, dnnl_f32, strides));
    return CLO_STATUS_OK;
}

clo_status clo_backend_matmul(clo_backend *backend, const clo_matmul *matmul, clo_kernel *kernel)
{
    static const clo_dnnl_arg args[] = {{DNNL_ARG_SRC, CLO_SLOT_IN, 0, true},
                                        {DNNL_ARG_WEIGHTS, CLO_SLOT_IN, 1, true},
                                        {DNNL_ARG_DST, CLO_SLOT_OUT, 0, true},
                                        {DNNL_ARG_BIAS, CLO_SLOT_IN, 2, true}};
    dnnl_memory_desc_t a, b, bias, y;
    dnnl_matmul_desc_t desc;
    CLO_TRY(matrix(matmul->rows, matmul->inner, matmul->transpose_a, &a));
    CLO_TRY(matrix(matmul->inner, matmul->columns, matmul->transpose_b, &b));
    CLO_TRY(matrix(1, matmul->columns, false, &bias));
    CLO_TRY(matrix(matmul->rows, matmul->columns, false, &y));
    CLO_DNNL("matrix product",
             dnnl_matmul_desc_init(&desc, &a, &b, matmul->bias ? &bias : NULL, &y));
    clo_dnnl_recipe recipe = {&desc, NULL, matmul->relu};
    return clo_dnnl_adopt(backend, &recipe, args, matmul->bias ? 4 : 3, kernel);
}
