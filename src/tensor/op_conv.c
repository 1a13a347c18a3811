/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolution (ONNX Conv, two spatial dimensions) and its two gradients:
 *
 *     Conv              x, w, bias -> y
 *     ConvGradInput     dy, w      -> dx          attribute "shape": of x
 *     ConvGradWeight    dy, x      -> dw, dbias   attribute "shape": of w
 *
 * Groups and dilations are refused by name; the one network so far needs neither.
 */
#include "backend.h"
#include "op.h"
#include "program.h"

static const char *const conv_attrs[] = {"auto_pad", "dilations", "group", "kernel_shape",
                                         "pads",     "strides",   NULL};
static const char *const grad_attrs[] = {"auto_pad", "dilations", "group",   "kernel_shape",
                                         "pads",     "shape",     "strides", NULL};

/* Fills `out_conv` from x's and w's shapes and the node's window. */
static clo_status describe(const clo_node *node, const clo_shape *x, const clo_shape *w,
                           clo_conv *out_conv)
{
    CLO_TRY(clo_node_require_int(node, "group", 1));
    clo_conv conv = {.x = *x, .w = *w};
    CLO_TRY(clo_window_read(node, w->dim[2], w->dim[3], &conv.window));
    conv.y = (clo_shape){{x->dim[0], w->dim[0]}, 4};
    for (int i = 0; i < 2; i++) {
        CLO_TRY(clo_window_size(node, &conv.window, i, x->dim[2 + i], &conv.y.dim[2 + i]));
    }
    *out_conv = conv;
    return CLO_STATUS_OK;
}

static clo_status check_weight(const clo_node *node, const clo_shape *x, const clo_shape *w)
{
    CLO_CHECK(x->dim[1] == w->dim[1], CLO_INVALID,
              "input has %lld channels, the weight expects %lld", (long long)x->dim[1],
              (long long)w->dim[1]);
    for (int i = 0; i < 2; i++) {
        int64_t kernel;
        CLO_TRY(clo_node_int(node, "kernel_shape", i, w->dim[2 + i], &kernel));
        CLO_CHECK(kernel == w->dim[2 + i], CLO_INVALID,
                  "'kernel_shape' says %lld, the weight has %lld", (long long)kernel,
                  (long long)w->dim[2 + i]);
    }
    return CLO_STATUS_OK;
}

static clo_status conv_infer(const clo_node *node, const clo_value_info *const *in,
                             clo_signature *out)
{
    CLO_TRY(clo_check_rank(node, in[0], 4, CLO_F32));
    CLO_TRY(clo_check_rank(node, in[1], 4, CLO_F32));
    CLO_TRY(check_weight(node, &in[0]->shape, &in[1]->shape));
    if (in[2] != NULL) {
        CLO_TRY(clo_check_rank(node, in[2], 1, CLO_F32));
        CLO_CHECK(in[2]->shape.dim[0] == in[1]->shape.dim[0], CLO_INVALID,
                  "bias has %lld elements, expected %lld", (long long)in[2]->shape.dim[0],
                  (long long)in[1]->shape.dim[0]);
    }
    clo_conv conv;
    CLO_TRY(describe(node, &in[0]->shape, &in[1]->shape, &conv));
    *out = (clo_signature){.dtype = {CLO_F32}, .shape = {conv.y}, .count = 1};
    return CLO_STATUS_OK;
}

static clo_status conv_gradient(clo_gradient *state)
{
    const clo_node *node = &state->node;
    clo_attr attrs[CLO_NODE_ATTRS];
    clo_value made[CLO_NODE_OUTPUTS];
    bool weight = state->wanted[1];
    bool bias = node->in[2] != CLO_NO_VALUE && state->wanted[2];
    if (weight || bias) {
        clo_attr shape = clo_attr_shape("shape", &state->graph->values[node->in[1]].shape);
        int count = clo_attrs_with(node, &shape, attrs);
        CLO_TRY(clo_graph_add_node(state->graph, "ConvGradWeight",
                                   (clo_value[]){state->dy[0], node->in[0]}, 2, attrs, count,
                                   made));
        state->dx[1] = weight ? made[0] : CLO_NO_VALUE;
        state->dx[2] = bias ? made[1] : CLO_NO_VALUE;
    }
    if (state->wanted[0]) {
        clo_attr shape = clo_attr_shape("shape", &state->graph->values[node->in[0]].shape);
        int count = clo_attrs_with(node, &shape, attrs);
        CLO_TRY(clo_graph_add_node(state->graph, "ConvGradInput",
                                   (clo_value[]){state->dy[0], node->in[1]}, 2, attrs, count,
                                   made));
        state->dx[0] = made[0];
    }
    return CLO_STATUS_OK;
}

static clo_status grad_infer(const clo_node *node, const clo_value_info *const *in,
                             clo_signature *out)
{
    clo_shape shape;
    CLO_TRY(clo_check_rank(node, in[0], 4, CLO_F32));
    CLO_TRY(clo_check_rank(node, in[1], 4, CLO_F32));
    CLO_TRY(clo_node_shape(node, "shape", &shape));
    CLO_CHECK(shape.rank == 4, CLO_INVALID, "'shape' has %d dimensions, expected 4", shape.rank);
    bool weight = clo_node_is(node, "ConvGradWeight");
    const clo_shape *x = weight ? &in[1]->shape : &shape;
    const clo_shape *w = weight ? &shape : &in[1]->shape;
    clo_conv conv;
    CLO_TRY(check_weight(node, x, w));
    CLO_TRY(describe(node, x, w, &conv));
    CLO_CHECK(clo_shape_equal(&conv.y, &in[0]->shape), CLO_INVALID,
              "'%s' of a gradient that is not shaped as the output", node->op->name);
    clo_shape bias = CLO_SHAPE(shape.dim[0]);
    *out = (clo_signature){
        .dtype = {CLO_F32, CLO_F32}, .shape = {shape, bias}, .count = weight ? 2 : 1};
    return CLO_STATUS_OK;
}

static clo_status conv_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    clo_conv conv;
    CLO_TRY(describe(node, &clo_program_value(program, node->in[0])->shape,
                     &clo_program_value(program, node->in[1])->shape, &conv));
    conv.bias = node->in[2] != CLO_NO_VALUE;
    conv.relu = node->fused.relu;
    return clo_backend_conv(program->backend, &conv, kernel);
}

static clo_status grad_input_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    clo_conv conv;
    CLO_TRY(describe(node, &clo_program_value(program, node->out[0])->shape,
                     &clo_program_value(program, node->in[1])->shape, &conv));
    return clo_backend_conv_grad_input(program->backend, &conv, kernel);
}

static clo_status grad_weight_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    clo_conv conv;
    CLO_TRY(describe(node, &clo_program_value(program, node->in[1])->shape,
                     &clo_program_value(program, node->out[0])->shape, &conv));
    conv.bias = clo_graph_readers(program->graph, node->out[1]) > 0;
    return clo_backend_conv_grad_weight(program->backend, &conv, kernel);
}

const clo_op clo_ops_conv[] = {
    {.name = "Conv",
     .since_opset = 11,
     .min_inputs = 2,
     .max_inputs = 3,
     .attrs = conv_attrs,
     .infer = conv_infer,
     .gradient = conv_gradient,
     .lower = conv_lower,
     .overwrites = -1,
     .can_do_relu = true},
    {.name = "ConvGradInput",
     .min_inputs = 2,
     .max_inputs = 2,
     .attrs = grad_attrs,
     .infer = grad_infer,
     .lower = grad_input_lower,
     .overwrites = -1},
    {.name = "ConvGradWeight",
     .min_inputs = 2,
     .max_inputs = 2,
     .attrs = grad_attrs,
     .infer = grad_infer,
     .lower = grad_weight_lower,
     .overwrites = -1},
    {.name = NULL},
};
