/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public builder: thin, sticky-error calls over the checked tables of graph.c, so that a
 * network reads as a list of its layers and is checked once at the end.
 */
#include <string.h>

#include "graph.h"
#include "op.h"

clo_status clo_graph_new(clo_graph **out_graph)
{
    clo_graph *graph = clo_alloc(sizeof *graph);
    CLO_CHECK(graph != NULL, CLO_NOMEM, "out of memory for a graph");
    graph->arena = CLO_ARENA_INIT;
    *out_graph = graph;
    return CLO_STATUS_OK;
}

void clo_graph_free(clo_graph *graph)
{
    if (graph == NULL) {
        return;
    }
    clo_free(graph->values);
    clo_free(graph->nodes);
    clo_free(graph->outputs);
    clo_arena_release(&graph->arena);
    clo_free(graph);
}

clo_status clo_graph_check(const clo_graph *graph)
{
    return graph->error.code == CLO_OK ? CLO_STATUS_OK : clo_status_restore(&graph->error);
}

/* Keeps the first error; true when `status` is one. */
static bool broken_by(clo_graph *graph, clo_status status)
{
    if (!clo_ok(status) && graph->error.code == CLO_OK) {
        clo_status_save(status, &graph->error);
    }
    return !clo_ok(status);
}

static clo_status check_new_name(const clo_graph *graph, const char *name)
{
    CLO_CHECK(name != NULL && name[0] != '\0', CLO_INVALID, "a value has no name");
    for (size_t i = 0; i < graph->value_count; i++) {
        CLO_CHECK(strcmp(graph->values[i].name, name) != 0, CLO_EXISTS, "two values are named '%s'",
                  name);
    }
    return CLO_STATUS_OK;
}

static clo_status add_named(clo_graph *graph, const clo_value_info *info, clo_value *out_value)
{
    CLO_TRY(check_new_name(graph, info->name));
    CLO_CHECK(clo_dtype_size(info->dtype) > 0, CLO_INVALID, "'%s' has no known type", info->name);
    CLO_CHECK(info->init.kind != CLO_INIT_UNIFORM_KIND || info->init.fan_in > 0, CLO_INVALID,
              "'%s' has a fan-in of %lld", info->name, (long long)info->init.fan_in);
    for (int i = 0; i < info->shape.rank && i < CLO_MAX_DIMS; i++) {
        int64_t dim = info->shape.dim[i];
        bool symbolic = dim == CLO_DIM_BATCH && info->kind == CLO_VALUE_INPUT;
        CLO_CHECK(dim > 0 || symbolic, CLO_INVALID, "'%s' has dimension %d of %lld", info->name, i,
                  (long long)dim);
    }
    return clo_graph_add_value(graph, info, out_value);
}

static clo_value named(clo_graph *graph, const clo_value_info *info)
{
    clo_value value = CLO_NO_VALUE;
    if (graph->error.code != CLO_OK || broken_by(graph, add_named(graph, info, &value))) {
        return CLO_NO_VALUE;
    }
    return value;
}

clo_value clo_graph_input(clo_graph *graph, const char *name, clo_dtype dtype, clo_shape shape)
{
    clo_value_info info = {.name = name,
                           .kind = CLO_VALUE_INPUT,
                           .dtype = dtype,
                           .shape = shape,
                           .gradient = CLO_NO_VALUE};
    return named(graph, &info);
}

clo_value clo_graph_param(clo_graph *graph, const char *name, clo_shape shape, clo_init init)
{
    clo_value_info info = {.name = name,
                           .kind = CLO_VALUE_PARAM,
                           .dtype = CLO_F32,
                           .shape = shape,
                           .init = init,
                           .gradient = CLO_NO_VALUE};
    return named(graph, &info);
}

static clo_status add_output(clo_graph *graph, const char *name, clo_value value)
{
    CLO_CHECK(value >= 0 && (size_t)value < graph->value_count, CLO_INVALID,
              "output '%s' is no value of this graph", name);
    for (size_t i = 0; i < graph->output_count; i++) {
        CLO_CHECK(strcmp(graph->outputs[i].name, name) != 0, CLO_EXISTS,
                  "two outputs are named '%s'", name);
    }
    if (graph->output_count == graph->output_capacity) {
        size_t wider = graph->output_capacity + 8;
        clo_output *outputs =
            clo_realloc_array(graph->outputs, graph->output_capacity, wider, sizeof *outputs);
        CLO_CHECK(outputs != NULL, CLO_NOMEM, "out of memory for output '%s'", name);
        graph->outputs = outputs;
        graph->output_capacity = wider;
    }
    const char *copy = clo_arena_str(&graph->arena, clo_span_of_str(name));
    CLO_CHECK(copy != NULL, CLO_NOMEM, "out of memory for output '%s'", name);
    graph->outputs[graph->output_count++] = (clo_output){copy, value};
    return CLO_STATUS_OK;
}

void clo_graph_output(clo_graph *graph, const char *name, clo_value value)
{
    if (graph->error.code == CLO_OK) {
        (void)broken_by(graph, add_output(graph, name, value));
    }
}

clo_value clo_graph_find_output(const clo_graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->output_count; i++) {
        if (strcmp(graph->outputs[i].name, name) == 0) {
            return graph->outputs[i].value;
        }
    }
    return CLO_NO_VALUE;
}

clo_value clo_graph_node(clo_graph *graph, const char *op, const clo_value *inputs, int input_count,
                         const clo_attr *attrs, int attr_count)
{
    clo_value out[CLO_NODE_OUTPUTS] = {CLO_NO_VALUE, CLO_NO_VALUE};
    if (graph->error.code != CLO_OK ||
        broken_by(graph, clo_graph_add_node(graph, op, inputs, input_count, attrs,
                                            attrs == NULL ? 0 : attr_count, out))) {
        return CLO_NO_VALUE;
    }
    return out[0];
}

clo_value clo_graph_conv2d(clo_graph *graph, clo_value x, clo_value weight, clo_value bias,
                           int stride, int padding)
{
    clo_attr attrs[] = {
        {.name = "strides", .ints = {stride, stride}, .count = 2},
        {.name = "pads", .ints = {padding, padding, padding, padding}, .count = 4},
    };
    return clo_graph_node(graph, "Conv", (clo_value[]){x, weight, bias}, 3, attrs, 2);
}

clo_value clo_graph_relu(clo_graph *graph, clo_value x)
{
    return clo_graph_node(graph, "Relu", &x, 1, NULL, 0);
}

clo_value clo_graph_max_pool2d(clo_graph *graph, clo_value x, int kernel, int stride)
{
    clo_attr attrs[] = {
        {.name = "kernel_shape", .ints = {kernel, kernel}, .count = 2},
        {.name = "strides", .ints = {stride, stride}, .count = 2},
    };
    return clo_graph_node(graph, "MaxPool", &x, 1, attrs, 2);
}

clo_value clo_graph_flatten(clo_graph *graph, clo_value x)
{
    return clo_graph_node(graph, "Flatten", &x, 1, NULL, 0);
}

clo_value clo_graph_gemm(clo_graph *graph, clo_value x, clo_value weight, clo_value bias)
{
    clo_attr transposed = {.name = "transB", .ints = {1}, .count = 1};
    return clo_graph_node(graph, "Gemm", (clo_value[]){x, weight, bias}, 3, &transposed, 1);
}

clo_value clo_graph_cross_entropy(clo_graph *graph, clo_value logits, clo_value labels)
{
    return clo_graph_node(graph, "SoftmaxCrossEntropyLoss", (clo_value[]){logits, labels}, 2, NULL,
                          0);
}
