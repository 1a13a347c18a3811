/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pooling over two spatial dimensions:
 *
 *     MaxPool        x -> y, workspace
 *     MaxPoolGrad    dy, workspace -> dx      attribute "shape": of x
 *
 * The second output is which element won, in the kernel's own form, and not ONNX's Indices; it is
 * made only when the backward pass reads it.
 */
#include "backend.h"
#include "op.h"
#include "program.h"

static const char *const pool_attrs[] = {"auto_pad", "ceil_mode",     "dilations", "kernel_shape",
                                         "pads",     "storage_order", "strides",   NULL};
static const char *const grad_attrs[] = {"auto_pad",      "ceil_mode", "dilations",
                                         "kernel_shape",  "pads",      "shape",
                                         "storage_order", "strides",   NULL};

static clo_status describe(const clo_node *node, const clo_shape *x, clo_pool *out_pool)
{
    CLO_TRY(clo_node_require_int(node, "ceil_mode", 0));
    CLO_TRY(clo_node_require_int(node, "storage_order", 0));
    int64_t kernel[2];
    clo_pool pool = {.x = *x, .y = {{x->dim[0], x->dim[1]}, 4}};
    for (int i = 0; i < 2; i++) {
        CLO_TRY(clo_node_int(node, "kernel_shape", i, 0, &kernel[i]));
    }
    CLO_TRY(clo_window_read(node, kernel[0], kernel[1], &pool.window));
    for (int i = 0; i < 2; i++) {
        CLO_TRY(clo_window_size(node, &pool.window, i, x->dim[2 + i], &pool.y.dim[2 + i]));
    }
    *out_pool = pool;
    return CLO_STATUS_OK;
}

static clo_status pool_infer(const clo_node *node, const clo_value_info *const *in,
                             clo_signature *out)
{
    clo_pool pool;
    CLO_TRY(clo_check_rank(node, in[0], 4, CLO_F32));
    CLO_TRY(describe(node, &in[0]->shape, &pool));
    *out = (clo_signature){.dtype = {CLO_F32, CLO_U8}, .shape = {pool.y, pool.y}, .count = 2};
    return CLO_STATUS_OK;
}

static clo_status pool_gradient(clo_gradient *state)
{
    const clo_node *node = &state->node;
    clo_attr attrs[CLO_NODE_ATTRS];
    clo_attr shape = clo_attr_shape("shape", &state->graph->values[node->in[0]].shape);
    int count = clo_attrs_with(node, &shape, attrs);
    return clo_graph_add_node(state->graph, "MaxPoolGrad",
                              (clo_value[]){state->dy[0], node->out[1]}, 2, attrs, count,
                              state->dx);
}

static clo_status grad_infer(const clo_node *node, const clo_value_info *const *in,
                             clo_signature *out)
{
    clo_shape shape;
    CLO_TRY(clo_check_rank(node, in[0], 4, CLO_F32));
    CLO_TRY(clo_check_rank(node, in[1], 4, CLO_U8));
    CLO_TRY(clo_node_shape(node, "shape", &shape));
    CLO_CHECK(shape.rank == 4, CLO_INVALID, "'shape' has %d dimensions, expected 4", shape.rank);
    clo_pool pool;
    CLO_TRY(describe(node, &shape, &pool));
    CLO_CHECK(clo_shape_equal(&pool.y, &in[0]->shape), CLO_INVALID,
              "'MaxPoolGrad' of a gradient that is not shaped as the output");
    *out = (clo_signature){.dtype = {CLO_F32}, .shape = {shape}, .count = 1};
    return CLO_STATUS_OK;
}

static clo_status pool_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    clo_pool pool;
    CLO_TRY(describe(node, &clo_program_value(program, node->in[0])->shape, &pool));
    pool.training = clo_graph_readers(program->graph, node->out[1]) > 0;
    return clo_backend_max_pool(program->backend, &pool, clo_program_layout(program, node->in[0]),
                                kernel);
}

static clo_status grad_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    const clo_call *maker = clo_program_maker(program, node->in[1]);
    CLO_CHECK(maker != NULL && clo_node_is(&maker->node, "MaxPool"), CLO_INVALID,
              "the second input of 'MaxPoolGrad' is not the workspace of a 'MaxPool'");
    const clo_shape *x = &clo_program_value(program, node->out[0])->shape;
    CLO_CHECK(clo_shape_equal(x, &clo_program_value(program, maker->node.in[0])->shape),
              CLO_INVALID, "'MaxPoolGrad' of another shape than its 'MaxPool'");
    clo_pool pool;
    CLO_TRY(describe(node, x, &pool));
    return clo_backend_max_pool_grad(program->backend, &pool, &maker->kernel, kernel);
}

const clo_op clo_ops_pool[] = {
    {.name = "MaxPool",
     .since_opset = 12,
     .min_inputs = 1,
     .max_inputs = 1,
     .attrs = pool_attrs,
     .infer = pool_infer,
     .gradient = pool_gradient,
     .lower = pool_lower,
     .overwrites = -1},
    {.name = "MaxPoolGrad",
     .min_inputs = 2,
     .max_inputs = 2,
     .attrs = grad_attrs,
     .infer = grad_infer,
     .lower = grad_lower,
     .overwrites = -1},
    {.name = NULL},
};
