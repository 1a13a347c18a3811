/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Element by element:
 *
 *     Relu        x -> max(x, 0)
 *     ReluGrad    dy, y -> dy where y > 0, else 0
 *     Add         a, b -> a + b            equal shapes; broadcasting is refused
 *
 * ReluGrad reads ReLU's output and not its input, so that the ReLU can be fused into the kernel
 * before it. These kernels run on any layout, as long as all of a call's tensors share it.
 */
#include "backend.h"
#include "op.h"
#include "program.h"

static const char *const no_attrs[] = {NULL};

static clo_status same_infer(const clo_node *node, const clo_value_info *const *in,
                             clo_signature *out)
{
    for (int i = 0; i < node->in_count; i++) {
        CLO_CHECK(in[i]->dtype == CLO_F32, CLO_UNSUPPORTED, "'%s' takes float32, found %s",
                  node->op->name, clo_dtype_name(in[i]->dtype));
        CLO_CHECK(clo_shape_equal(&in[i]->shape, &in[0]->shape), CLO_UNSUPPORTED,
                  "'%s' takes equal shapes; broadcasting is not supported", node->op->name);
    }
    *out = (clo_signature){.dtype = {CLO_F32}, .shape = {in[0]->shape}, .count = 1};
    return CLO_STATUS_OK;
}

static clo_status relu_gradient(clo_gradient *state)
{
    return clo_graph_add_node(state->graph, "ReluGrad",
                              (clo_value[]){state->dy[0], state->node.out[0]}, 2, NULL, 0,
                              state->dx);
}

static clo_status add_gradient(clo_gradient *state)
{
    for (int i = 0; i < 2; i++) {
        state->dx[i] = state->wanted[i] ? state->dy[0] : CLO_NO_VALUE;
    }
    return CLO_STATUS_OK;
}

/* All tensors take the layout that `leader` has. */
static void follow(const clo_program *program, const clo_node *node, int leader, clo_kernel *kernel)
{
    const clo_layout *layout = clo_program_layout(program, node->in[leader]);
    for (int i = 0; i < node->in_count; i++) {
        kernel->in_layout[i] = layout;
    }
    kernel->out_layout[0] = layout;
    kernel->count = clo_layout_bytes(layout) / sizeof(float);
}

static clo_status relu_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    follow(program, node, 0, kernel);
    kernel->run = clo_kernel_relu;
    return CLO_STATUS_OK;
}

/* The layout of y leads: it comes from the forward pass, where the neighbours chose it. */
static clo_status relu_grad_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    follow(program, node, 1, kernel);
    kernel->run = clo_kernel_relu_grad;
    return CLO_STATUS_OK;
}

static clo_status add_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    follow(program, node, 0, kernel);
    kernel->run = clo_kernel_add;
    return CLO_STATUS_OK;
}

const clo_op clo_ops_elementwise[] = {
    {.name = "Relu",
     .since_opset = 14,
     .min_inputs = 1,
     .max_inputs = 1,
     .attrs = no_attrs,
     .infer = same_infer,
     .gradient = relu_gradient,
     .lower = relu_lower,
     .overwrites = 0},
    {.name = "ReluGrad",
     .min_inputs = 2,
     .max_inputs = 2,
     .attrs = no_attrs,
     .infer = same_infer,
     .lower = relu_grad_lower,
     .overwrites = 0},
    {.name = "Add",
     .since_opset = 14,
     .min_inputs = 2,
     .max_inputs = 2,
     .attrs = no_attrs,
     .infer = same_infer,
     .gradient = add_gradient,
     .lower = add_lower,
     .overwrites = 0},
    {.name = NULL},
};
