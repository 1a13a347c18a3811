/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators that only rename or move memory:
 *
 *     Flatten        x [N, ...] -> [N, K]             ONNX, axis = 1
 *     FlattenGrad    dy -> dx                         attribute "shape": of x
 *     Identity       x -> x                           also what pass_layout uses to reorder
 */
#include "backend.h"
#include "op.h"
#include "program.h"

static const char *const flatten_attrs[] = {"axis", NULL};
static const char *const flatten_grad_attrs[] = {"axis", "shape", NULL};
static const char *const no_attrs[] = {NULL};

static clo_status flatten_infer(const clo_node *node, const clo_value_info *const *in,
                                clo_signature *out)
{
    CLO_TRY(clo_node_require_int(node, "axis", 1));
    const clo_shape *x = &in[0]->shape;
    CLO_CHECK(x->rank >= 1, CLO_INVALID, "'Flatten' of a scalar");
    clo_shape rest = {.rank = x->rank - 1};
    for (int i = 1; i < x->rank; i++) {
        rest.dim[i - 1] = x->dim[i];
    }
    size_t columns;
    CLO_CHECK(clo_shape_count(&rest, &columns) && columns <= INT64_MAX, CLO_INVALID,
              "'Flatten' needs known sizes after the first dimension");
    *out = (clo_signature){
        .dtype = {in[0]->dtype}, .shape = {CLO_SHAPE(x->dim[0], (int64_t)columns)}, .count = 1};
    return CLO_STATUS_OK;
}

static clo_status flatten_gradient(clo_gradient *state)
{
    clo_attr attrs[CLO_NODE_ATTRS];
    clo_attr shape = clo_attr_shape("shape", &state->graph->values[state->node.in[0]].shape);
    int count = clo_attrs_with(&state->node, &shape, attrs);
    return clo_graph_add_node(state->graph, "FlattenGrad", &state->dy[0], 1, attrs, count,
                              state->dx);
}

static clo_status flatten_grad_infer(const clo_node *node, const clo_value_info *const *in,
                                     clo_signature *out)
{
    clo_shape shape;
    CLO_TRY(clo_node_shape(node, "shape", &shape));
    *out = (clo_signature){.dtype = {in[0]->dtype}, .shape = {shape}, .count = 1};
    return CLO_STATUS_OK;
}

static clo_status flatten_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    CLO_TRY(clo_program_plain(program, node->in[0], &kernel->in_layout[0]));
    CLO_TRY(clo_program_plain(program, node->out[0], &kernel->out_layout[0]));
    kernel->count = clo_layout_bytes(kernel->in_layout[0]);
    CLO_CHECK(kernel->count == clo_layout_bytes(kernel->out_layout[0]), CLO_INVALID,
              "'%s' changes the number of elements", node->op->name);
    kernel->run = clo_kernel_copy;
    return CLO_STATUS_OK;
}

static clo_status identity_infer(const clo_node *node, const clo_value_info *const *in,
                                 clo_signature *out)
{
    (void)node;
    *out = (clo_signature){.dtype = {in[0]->dtype}, .shape = {in[0]->shape}, .count = 1};
    return CLO_STATUS_OK;
}

static clo_status identity_gradient(clo_gradient *state)
{
    state->dx[0] = state->dy[0];
    return CLO_STATUS_OK;
}

static clo_status identity_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    const clo_layout *layout = clo_program_layout(program, node->in[0]);
    kernel->in_layout[0] = layout;
    kernel->out_layout[0] = layout;
    kernel->count = clo_layout_bytes(layout);
    kernel->run = clo_kernel_copy;
    return CLO_STATUS_OK;
}

const clo_op clo_ops_shape[] = {
    {.name = "Flatten",
     .since_opset = 13,
     .min_inputs = 1,
     .max_inputs = 1,
     .attrs = flatten_attrs,
     .infer = flatten_infer,
     .gradient = flatten_gradient,
     .lower = flatten_lower,
     .overwrites = -1,
     .alias = true},
    {.name = "FlattenGrad",
     .min_inputs = 1,
     .max_inputs = 1,
     .attrs = flatten_grad_attrs,
     .infer = flatten_grad_infer,
     .lower = flatten_lower,
     .overwrites = -1,
     .alias = true},
    {.name = "Identity",
     .since_opset = 16,
     .min_inputs = 1,
     .max_inputs = 1,
     .attrs = no_attrs,
     .infer = identity_infer,
     .gradient = identity_gradient,
     .lower = identity_lower,
     .overwrites = -1},
    {.name = NULL},
};
