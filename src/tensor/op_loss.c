/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classification loss, mean over the batch of -log softmax(logits)[label]:
 *
 *     SoftmaxCrossEntropyLoss        logits [N, C], labels int32 [N] -> loss []
 *     SoftmaxCrossEntropyLossGrad    dloss, logits, labels -> dlogits = dloss (softmax - one hot)/N
 *     SoftmaxCrossEntropyLossBoth    logits, labels -> loss, dlogits      attribute "dloss"
 *
 * pass_fuse joins the first two into the third when dloss is a constant: one softmax, not two.
 */
#include "backend.h"
#include "op.h"
#include "program.h"

static const char *const loss_attrs[] = {"reduction", NULL};
static const char *const both_attrs[] = {"reduction", "dloss", NULL};

static clo_status check(const clo_node *node, const clo_value_info *logits,
                        const clo_value_info *labels)
{
    CLO_TRY(clo_node_require_text(node, "reduction", "mean"));
    CLO_TRY(clo_check_rank(node, logits, 2, CLO_F32));
    CLO_TRY(clo_check_rank(node, labels, 1, CLO_I32));
    CLO_CHECK(logits->shape.dim[0] == labels->shape.dim[0], CLO_INVALID,
              "%lld rows of logits, %lld labels", (long long)logits->shape.dim[0],
              (long long)labels->shape.dim[0]);
    return CLO_STATUS_OK;
}

static clo_status loss_infer(const clo_node *node, const clo_value_info *const *in,
                             clo_signature *out)
{
    CLO_TRY(check(node, in[0], in[1]));
    *out = (clo_signature){.dtype = {CLO_F32}, .shape = {CLO_SHAPE_SCALAR}, .count = 1};
    return CLO_STATUS_OK;
}

static clo_status grad_infer(const clo_node *node, const clo_value_info *const *in,
                             clo_signature *out)
{
    CLO_TRY(clo_check_rank(node, in[0], 0, CLO_F32));
    CLO_TRY(check(node, in[1], in[2]));
    *out = (clo_signature){.dtype = {CLO_F32}, .shape = {in[1]->shape}, .count = 1};
    return CLO_STATUS_OK;
}

static clo_status both_infer(const clo_node *node, const clo_value_info *const *in,
                             clo_signature *out)
{
    CLO_TRY(check(node, in[0], in[1]));
    *out = (clo_signature){
        .dtype = {CLO_F32, CLO_F32}, .shape = {CLO_SHAPE_SCALAR, in[0]->shape}, .count = 2};
    return CLO_STATUS_OK;
}

static clo_status loss_gradient(clo_gradient *state)
{
    const clo_node *node = &state->node;
    CLO_CHECK(!state->wanted[1], CLO_UNSUPPORTED, "labels have no gradient");
    return clo_graph_add_node(state->graph, "SoftmaxCrossEntropyLossGrad",
                              (clo_value[]){state->dy[0], node->in[0], node->in[1]}, 3, node->attrs,
                              node->attr_count, state->dx);
}

/* Sizes from the logits, input `logits`; every tensor row-major. */
static clo_status lower(clo_program *program, const clo_node *node, int logits, clo_kernel *kernel)
{
    const clo_shape *shape = &clo_program_value(program, node->in[logits])->shape;
    kernel->rows = (size_t)shape->dim[0];
    kernel->columns = (size_t)shape->dim[1];
    for (int i = 0; i < node->in_count; i++) {
        CLO_TRY(clo_program_plain(program, node->in[i], &kernel->in_layout[i]));
    }
    for (int i = 0; i < node->out_count; i++) {
        CLO_TRY(clo_program_plain(program, node->out[i], &kernel->out_layout[i]));
    }
    return CLO_STATUS_OK;
}

static clo_status loss_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    kernel->run = clo_kernel_loss;
    return lower(program, node, 0, kernel);
}

static clo_status grad_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    kernel->run = clo_kernel_loss_grad;
    return lower(program, node, 1, kernel);
}

static clo_status both_lower(clo_program *program, const clo_node *node, clo_kernel *kernel)
{
    kernel->run = clo_kernel_loss_both;
    kernel->number = clo_node_number(node, "dloss", 1.0f);
    return lower(program, node, 0, kernel);
}

const clo_op clo_ops_loss[] = {
    {.name = "SoftmaxCrossEntropyLoss",
     .since_opset = 13,
     .min_inputs = 2,
     .max_inputs = 2,
     .attrs = loss_attrs,
     .infer = loss_infer,
     .gradient = loss_gradient,
     .lower = loss_lower,
     .overwrites = -1},
    {.name = "SoftmaxCrossEntropyLossGrad",
     .min_inputs = 3,
     .max_inputs = 3,
     .attrs = loss_attrs,
     .infer = grad_infer,
     .lower = grad_lower,
     .overwrites = -1},
    {.name = "SoftmaxCrossEntropyLossBoth",
     .min_inputs = 2,
     .max_inputs = 2,
     .attrs = both_attrs,
     .infer = both_infer,
     .lower = both_lower,
     .overwrites = -1},
    {.name = NULL},
};
