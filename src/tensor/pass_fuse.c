/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fusion: each rule looks at one node and, where its pattern stands, rewrites the graph so that
 * fewer numbers travel through memory. Bias needs no rule: Conv and Gemm carry it as an input.
 *
 *     relu           Conv -> Relu                      =>  Conv+Relu           (Gemm alike)
 *     loss           Loss, LossGrad(constant, ...)     =>  LossBoth
 *     relu_grad      ReluGrad(MaxPoolGrad(dy), y)      =>  MaxPoolGrad(ReluGrad(dy, MaxPool(y)))
 *
 * The last is exact: the element that won the pool is positive exactly when the pooled value is. It
 * works on the pooled gradient, a quarter of the numbers for a 2x2 window, and y need not be kept.
 */
#include <string.h>

#include "program.h"

/* Folds the ReLU at `index` into the node that makes its input, if that is its only reader. */
static clo_status fuse_relu(clo_graph *graph, size_t index, bool *out_changed)
{
    clo_node relu = graph->nodes[index];
    size_t producer = clo_graph_producer(graph, relu.in[0]);
    if (!clo_node_is(&relu, "Relu") || producer == SIZE_MAX ||
        clo_graph_readers(graph, relu.in[0]) != 1) {
        return CLO_STATUS_OK;
    }
    clo_node *node = &graph->nodes[producer];
    if (!node->op->can_do_relu || node->fused.relu) {
        return CLO_STATUS_OK;
    }
    node->fused.relu = true;
    node->out[0] = relu.out[0];
    clo_graph_remove_node(graph, index);
    *out_changed = true;
    return CLO_STATUS_OK;
}

static bool is_grad_of(const clo_graph *graph, const clo_node *grad, const clo_node *loss)
{
    return clo_node_is(grad, "SoftmaxCrossEntropyLossGrad") && grad->in[1] == loss->in[0] &&
           grad->in[2] == loss->in[1] && graph->values[grad->in[0]].kind == CLO_VALUE_CONSTANT;
}

static clo_status join_loss(clo_graph *graph, size_t loss_index, size_t grad_index)
{
    clo_node loss = graph->nodes[loss_index];
    clo_node grad = graph->nodes[grad_index];
    clo_value made[CLO_NODE_OUTPUTS];
    clo_attr dloss = {.name = "dloss", .number = graph->values[grad.in[0]].number};
    CLO_TRY(clo_graph_add_node(graph, "SoftmaxCrossEntropyLossBoth", loss.in, 2, &dloss, 1, made));
    clo_node both = graph->nodes[graph->node_count - 1];
    both.out[0] = loss.out[0];
    both.out[1] = grad.out[0];
    graph->node_count--;
    graph->nodes[loss_index] = both;
    clo_graph_remove_node(graph, grad_index);
    return CLO_STATUS_OK;
}

static clo_status fuse_loss(clo_graph *graph, size_t index, bool *out_changed)
{
    if (!clo_node_is(&graph->nodes[index], "SoftmaxCrossEntropyLoss")) {
        return CLO_STATUS_OK;
    }
    for (size_t i = index + 1; i < graph->node_count; i++) {
        if (is_grad_of(graph, &graph->nodes[i], &graph->nodes[index])) {
            *out_changed = true;
            return join_loss(graph, index, i);
        }
    }
    return CLO_STATUS_OK;
}

/* The MaxPool that read `y` and wrote `workspace`. */
static const clo_node *find_pool(const clo_graph *graph, clo_value y, clo_value workspace)
{
    size_t index = clo_graph_producer(graph, workspace);
    if (index == SIZE_MAX || !clo_node_is(&graph->nodes[index], "MaxPool") ||
        graph->nodes[index].in[0] != y) {
        return NULL;
    }
    return &graph->nodes[index];
}

static clo_status fuse_relu_grad(clo_graph *graph, size_t index, bool *out_changed)
{
    clo_node relu = graph->nodes[index];
    size_t at = clo_node_is(&relu, "ReluGrad") ? clo_graph_producer(graph, relu.in[0]) : SIZE_MAX;
    if (at == SIZE_MAX || !clo_node_is(&graph->nodes[at], "MaxPoolGrad") ||
        clo_graph_readers(graph, relu.in[0]) != 1) {
        return CLO_STATUS_OK;
    }
    clo_node pool_grad = graph->nodes[at];
    const clo_node *pool = find_pool(graph, relu.in[1], pool_grad.in[1]);
    if (pool == NULL) {
        return CLO_STATUS_OK;
    }
    /* The two nodes change places; the value between them takes the pooled shape. */
    clo_value between = relu.in[0], result = relu.out[0];
    graph->values[between].shape = graph->values[pool_grad.in[0]].shape;
    relu.in[0] = pool_grad.in[0];
    relu.in[1] = pool->out[0];
    relu.out[0] = between;
    pool_grad.in[0] = between;
    pool_grad.out[0] = result;
    graph->nodes[at] = relu;
    graph->nodes[index] = pool_grad;
    *out_changed = true;
    return CLO_STATUS_OK;
}

typedef clo_status (*rule)(clo_graph *graph, size_t index, bool *out_changed);

static const rule rules[] = {fuse_relu, fuse_loss, fuse_relu_grad};

clo_status clo_pass_fuse(clo_program *program)
{
    clo_graph *graph = program->graph;
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
        for (size_t i = 0; i < graph->node_count;) {
            bool changed = false;
            CLO_TRY(rules[r](graph, i, &changed));
            i += changed ? 0 : 1; /* look at the same place again: another node may stand there */
        }
    }
    clo_graph_prune(graph);
    return CLO_STATUS_OK;
}
