/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reverse-mode differentiation, graph to graph. Every node on a way from a parameter to the loss is
 * visited once, last first; its row of the operator table adds the nodes that carry the gradient of
 * its outputs to its inputs. Where several ways meet, the gradients are added by Add nodes.
 *
 *     depends[v]   v is a parameter, or computed from one
 *     gradient[v]  d loss / d v, as far as it has been added up
 */
#include "graph.h"
#include "op.h"

typedef struct {
    clo_graph *graph;
    bool *depends;
    clo_value *gradient;
    size_t count; /* values before differentiation: the arrays' length */
} tape;

static void tape_cleanup(tape *t)
{
    clo_free(t->depends);
    clo_free(t->gradient);
}

static clo_status tape_init(clo_graph *graph, tape *out)
{
    size_t count = graph->value_count;
    *out = (tape){.graph = graph, .count = count};
    out->depends = clo_alloc_array(count, sizeof *out->depends);
    out->gradient = clo_alloc_array(count, sizeof *out->gradient);
    CLO_CHECK(out->depends != NULL && out->gradient != NULL, CLO_NOMEM,
              "out of memory for differentiating %zu values", count);
    for (size_t i = 0; i < count; i++) {
        out->gradient[i] = CLO_NO_VALUE;
        out->depends[i] = graph->values[i].kind == CLO_VALUE_PARAM;
    }
    return CLO_STATUS_OK;
}

static void mark_dependent(tape *t)
{
    for (size_t i = 0; i < t->graph->node_count; i++) {
        const clo_node *node = &t->graph->nodes[i];
        bool depends = false;
        for (int j = 0; j < node->in_count; j++) {
            depends = depends || (node->in[j] != CLO_NO_VALUE && t->depends[node->in[j]]);
        }
        for (int j = 0; j < node->out_count; j++) {
            t->depends[node->out[j]] = depends;
        }
    }
}

static clo_status accumulate(tape *t, clo_value value, clo_value gradient)
{
    if (t->gradient[value] == CLO_NO_VALUE) {
        t->gradient[value] = gradient;
        return CLO_STATUS_OK;
    }
    return clo_graph_add_node(t->graph, "Add", (clo_value[]){t->gradient[value], gradient}, 2, NULL,
                              0, &t->gradient[value]);
}

static clo_status step_back(tape *t, const clo_node *node)
{
    clo_gradient state = {.graph = t->graph, .node = *node};
    bool reached = false;
    for (int i = 0; i < node->out_count; i++) {
        state.dy[i] = t->gradient[node->out[i]];
        reached = reached || state.dy[i] != CLO_NO_VALUE;
    }
    if (!reached || !t->depends[node->out[0]]) {
        return CLO_STATUS_OK;
    }
    CLO_CHECK(node->op->gradient != NULL && state.dy[0] != CLO_NO_VALUE, CLO_UNSUPPORTED,
              "operator '%s' has no gradient", node->op->name);
    for (int i = 0; i < CLO_NODE_INPUTS; i++) {
        state.wanted[i] = node->in[i] != CLO_NO_VALUE && t->depends[node->in[i]];
        state.dx[i] = CLO_NO_VALUE;
    }
    CLO_TRY(node->op->gradient(&state));
    for (int i = 0; i < node->in_count; i++) {
        if (state.wanted[i] && state.dx[i] != CLO_NO_VALUE) {
            CLO_TRY(accumulate(t, state.node.in[i], state.dx[i]));
        }
    }
    return CLO_STATUS_OK;
}

/* A parameter's gradient has a place of its own in the gradient span; a value that is already one,
 * or that no backward node makes, is copied. */
static clo_status name_gradient(tape *t, clo_value parameter)
{
    clo_value gradient = t->gradient[parameter];
    if (gradient == CLO_NO_VALUE) {
        return CLO_STATUS_OK;
    }
    size_t producer = clo_graph_producer(t->graph, gradient);
    bool own = producer != SIZE_MAX && t->graph->nodes[producer].backward &&
               !clo_graph_is_kept(t->graph, gradient);
    if (!own) {
        CLO_TRY(clo_graph_add_node(t->graph, "Identity", &gradient, 1, NULL, 0, &gradient));
    }
    t->graph->values[parameter].gradient = gradient;
    return CLO_STATUS_OK;
}

static clo_status run(tape *t, clo_value loss)
{
    clo_value_info one = {.name = "",
                          .kind = CLO_VALUE_CONSTANT,
                          .dtype = CLO_F32,
                          .shape = CLO_SHAPE_SCALAR,
                          .number = 1.0f,
                          .gradient = CLO_NO_VALUE};
    size_t forward = t->graph->node_count;
    mark_dependent(t);
    CLO_TRY(clo_graph_add_value(t->graph, &one, &t->gradient[loss]));
    for (size_t i = forward; i-- > 0;) {
        clo_node node = t->graph->nodes[i]; /* a copy: the table grows */
        CLO_TRY_CTX(step_back(t, &node), "differentiating node %zu '%s'", i, node.op->name);
    }
    for (size_t i = 0; i < t->count; i++) {
        if (t->graph->values[i].kind == CLO_VALUE_PARAM) {
            CLO_TRY(name_gradient(t, (clo_value)i));
        }
    }
    return CLO_STATUS_OK;
}

clo_status clo_graph_differentiate(clo_graph *graph, clo_value loss)
{
    CLO_TRY(clo_graph_check(graph));
    CLO_CHECK(!graph->differentiated, CLO_INVALID, "the graph is already differentiated");
    CLO_CHECK(loss >= 0 && (size_t)loss < graph->value_count, CLO_INVALID,
              "the loss is no value of this graph");
    CLO_CHECK(graph->values[loss].shape.rank == 0, CLO_INVALID, "the loss is not a scalar");
    CLO_AUTO(tape) t = {.graph = NULL};
    CLO_TRY(tape_init(graph, &t));
    graph->differentiating = true;
    clo_status status = run(&t, loss);
    graph->differentiating = false;
    graph->differentiated = true;
    if (!clo_ok(status)) { /* half a backward graph is no graph */
        clo_status_save(status, &graph->error);
    }
    return status;
}
