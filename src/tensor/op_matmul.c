/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix products:
 *
 *     Gemm       a, b, bias -> op(a) op(b) + bias     op transposes or not (ONNX, alpha = beta = 1)
 *     SumRows    dy [N, M] -> [M]                     gradient of a bias
 *
 * Gemm's gradients are Gemms, so all four forms of transposition are carried out:
 *
 *     y = a b      da = dy b'     db = a' dy
 *     y = a' b     da = b dy'     db = a dy
 *     y = a b'     da = dy b      db = dy' a
 *     y = a' b'    da = b' dy'    db = dy' a'
 */
#include "backend.h"
#include "op.h"
#include "program.h"

static const char *const gemm_attrs[] = {"alpha", "beta", "transA", "transB", NULL};
static const char *const no_attrs[] = {NULL};

static clo_status describe(const clo_node *node, const clo_shape *a, const clo_shape *b,
                           clo_matmul *out)
{
    int64_t transpose_a, transpose_b;
    CLO_TRY(clo_node_int(node, "transA", 0, 0, &transpose_a));
    CLO_TRY(clo_node_int(node, "transB", 0, 0, &transpose_b));
    *out = (clo_matmul){.rows = a->dim[transpose_a != 0],
                        .inner = a->dim[transpose_a == 0],
                        .columns = b->dim[transpose_b == 0],
                        .transpose_a = transpose_a != 0,
                        .transpose_b = transpose_b != 0};
    int64_t inner = b->dim[transpose_b != 0];
    CLO_CHECK(inner == out->inner, CLO_INVALID, "inner dimensions are %lld and %lld",
              (long long)out->inner, (long long)inner);
    return CLO_STATUS_OK;
}

static clo_status gemm_infer(const clo_node *node, const clo_value_info *const *in,
                             clo_signature *out)
{
    CLO_TRY(clo_check_rank(node, in[0], 2, CLO_F32));
    CLO_TRY(clo_check_rank(node, in[1], 2, CLO_F32));
    CLO_CHECK(clo_node_number(node, "alpha", 1.0f) == 1.0f &&
                  clo_node_number(node, "beta", 1.0f) == 1.0f,
              CLO_UNSUPPORTED, "'alpha' and 'beta' other than 1 are not supported");
    clo_matmul matmul;
    CLO_TRY(describe(node, &in[0]->shape, &in[1]->shape, &matmul));
    if (in[2] != NULL) {
        CLO_CHECK(in[2]->shape.rank == 1 && in[2]->dtype == CLO_F32 &&
                      in[2]->shape.dim[0] == matmul.columns,
                  CLO_UNSUPPORTED, "the bias must be float32 [%lld]", (long long)matmul.columns);
    }
    *out = (clo_signature){
        .dtype = {CLO_F32}, .shape = {CLO_SHAPE(matmul.rows, matmul.columns)}, .count = 1};
    return CLO_STATUS_OK;
}

static clo_status add_gemm(clo_graph *graph, clo_value a, clo_value b, bool transpose_a,
                           bool transpose_b, clo_value *out)
{
    clo_attr attrs[] = {{.name = "transA", .ints = {transpose_a}, .count = 1},
                        {.name = "transB", .ints = {transpose_b}, .count = 1}};
    return clo_graph_add_node(graph, "Gemm", (clo_value[]){a, b}, 2, attrs, 2, out);
}

static clo_status gemm_gradient(clo_gradient *state)
{
    const clo_node *node = &state->node;
    clo_value a = node->in[0], b = node->in[1], dy = state->dy[0];
    int64_t ta, tb;
    CLO_TRY(clo_node_int(node, "transA", 0, 0, &ta));
    CLO_TRY(clo_node_int(node, "transB", 0, 0, &tb));
    if (state->wanted[1]) {
        CLO_TRY(tb ? add_gemm(state->graph, dy, a, true, ta, &state->dx[1])
                   : add_gemm(state->graph, a, dy, !ta, false, &state->dx[1]));
    }
    if (node->in[2] != CLO_NO_VALUE && state->wanted[2]) {
        CLO_TRY(clo_graph_add_node(state->graph, "SumRows", &dy, 1, NULL, 0, &state->dx[2]));
    }
    if (state->wanted[0]) {
        CLO_TRY(ta ? add_gemm(state->graph, b, dy, tb, true, &state->dx[0])
                   : add_gemm(state->graph, dy, b, false, !tb, &state->dx[0]));
    }
    return CLO_STATUS_OK;
}

static clo_status gemm_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    clo_matmul matmul;
    CLO_TRY(describe(node, &clo_program_value(program, node->in[0])->shape,
                     &clo_program_value(program, node->in[1])->shape, &matmul));
    matmul.bias = node->in[2] != CLO_NO_VALUE;
    matmul.relu = node->fused.relu;
    for (int i = 0; i < node->in_count; i++) {
        if (node->in[i] != CLO_NO_VALUE) {
            CLO_TRY(clo_program_plain(program, node->in[i], &kernel->in_layout[i]));
        }
    }
    CLO_TRY(clo_program_plain(program, node->out[0], &kernel->out_layout[0]));
    return clo_backend_matmul(program->backend, &matmul, kernel);
}

static clo_status sum_infer(const clo_node *node, const clo_value_info *const *in,
                            clo_signature *out)
{
    CLO_TRY(clo_check_rank(node, in[0], 2, CLO_F32));
    *out =
        (clo_signature){.dtype = {CLO_F32}, .shape = {CLO_SHAPE(in[0]->shape.dim[1])}, .count = 1};
    return CLO_STATUS_OK;
}

static clo_status sum_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    const clo_shape *shape = &clo_program_value(program, node->in[0])->shape;
    kernel->run = clo_kernel_sum_rows;
    kernel->rows = (size_t)shape->dim[0];
    kernel->columns = (size_t)shape->dim[1];
    CLO_TRY(clo_program_plain(program, node->in[0], &kernel->in_layout[0]));
    return clo_program_plain(program, node->out[0], &kernel->out_layout[0]);
}

const clo_op clo_ops_matmul[] = {
    {.name = "Gemm",
     .since_opset = 13,
     .min_inputs = 2,
     .max_inputs = 3,
     .attrs = gemm_attrs,
     .infer = gemm_infer,
     .gradient = gemm_gradient,
     .lower = gemm_lower,
     .overwrites = -1,
     .can_do_relu = true},
    {.name = "SumRows",
     .min_inputs = 1,
     .max_inputs = 1,
     .attrs = no_attrs,
     .infer = sum_infer,
     .lower = sum_lower,
     .overwrites = -1},
    {.name = NULL},
};
