/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of a graph: adding values and checked nodes, questions about readers, pruning, binding
 * symbolic dimensions, and the text form.
 */
#include "graph.h"

#include <stdio.h>
#include <string.h>

#include "op.h"

enum { GRAPH_LIMIT = 1 << 16, NAME_LIMIT = 256 };

/* Room for one more item; NULL when out of memory, and `array` is then still valid. */
static void *grown(void *array, size_t count, size_t *capacity, size_t item)
{
    if (count < *capacity) {
        return array;
    }
    size_t wider = *capacity == 0 ? 32 : *capacity * 2;
    void *memory = clo_realloc_array(array, *capacity, wider, item);
    if (memory != NULL) {
        *capacity = wider;
    }
    return memory;
}

static clo_status copy_text(clo_graph *graph, const char *text, const char **out_copy)
{
    clo_span span = clo_span_of_str(text);
    CLO_CHECK(span.size <= NAME_LIMIT, CLO_LIMIT, "name of %zu bytes, at most %d", span.size,
              NAME_LIMIT);
    const char *copy = clo_arena_str(&graph->arena, span);
    CLO_CHECK(copy != NULL, CLO_NOMEM, "out of memory for a name");
    *out_copy = copy;
    return CLO_STATUS_OK;
}

clo_status clo_graph_add_value(clo_graph *graph, const clo_value_info *info, clo_value *out_value)
{
    CLO_CHECK(graph->value_count < GRAPH_LIMIT, CLO_LIMIT, "more than %d values", GRAPH_LIMIT);
    CLO_CHECK(info->shape.rank >= 0 && info->shape.rank <= CLO_MAX_DIMS, CLO_INVALID,
              "'%s' has %d dimensions, at most %d", info->name, info->shape.rank, CLO_MAX_DIMS);
    clo_value_info copy = *info;
    CLO_TRY(copy_text(graph, info->name, &copy.name));
    clo_value_info *values =
        grown(graph->values, graph->value_count, &graph->value_capacity, sizeof *values);
    CLO_CHECK(values != NULL, CLO_NOMEM, "out of memory for a value");
    graph->values = values;
    values[graph->value_count] = copy;
    *out_value = (clo_value)graph->value_count++;
    return CLO_STATUS_OK;
}

static clo_status check_attrs(const clo_op *op, const clo_attr *attrs, int count)
{
    CLO_CHECK(count >= 0 && count <= CLO_NODE_ATTRS, CLO_LIMIT, "%d attributes, at most %d", count,
              CLO_NODE_ATTRS);
    for (int i = 0; i < count; i++) {
        CLO_CHECK(attrs[i].count >= 0 && attrs[i].count <= 8, CLO_INVALID,
                  "attribute '%s' has %d integers, at most 8", attrs[i].name, attrs[i].count);
        bool known = false;
        for (const char *const *name = op->attrs; *name != NULL; name++) {
            known = known || strcmp(*name, attrs[i].name) == 0;
        }
        CLO_CHECK(known, CLO_UNSUPPORTED, "attribute '%s' is not supported", attrs[i].name);
    }
    return CLO_STATUS_OK;
}

static clo_status copy_attrs(clo_graph *graph, const clo_attr *attrs, int count,
                             const clo_attr **out_attrs)
{
    clo_attr *copy = clo_arena_array(&graph->arena, (size_t)count, sizeof *copy);
    CLO_CHECK(copy != NULL, CLO_NOMEM, "out of memory for attributes");
    for (int i = 0; i < count; i++) {
        copy[i] = attrs[i];
        CLO_TRY(copy_text(graph, attrs[i].name, &copy[i].name));
        if (attrs[i].text != NULL) {
            CLO_TRY(copy_text(graph, attrs[i].text, &copy[i].text));
        }
    }
    *out_attrs = copy;
    return CLO_STATUS_OK;
}

static clo_status check_inputs(const clo_graph *graph, const clo_op *op, const clo_value *in,
                               int count)
{
    CLO_CHECK(count >= op->min_inputs && count <= op->max_inputs, CLO_INVALID,
              "%d inputs, expected %d to %d", count, op->min_inputs, op->max_inputs);
    for (int i = 0; i < count; i++) {
        bool absent = in[i] == CLO_NO_VALUE && i >= op->min_inputs;
        bool known = in[i] >= 0 && (size_t)in[i] < graph->value_count;
        CLO_CHECK(absent || known, CLO_INVALID, "input %d is no value of this graph", i);
    }
    return CLO_STATUS_OK;
}

static clo_status infer(const clo_graph *graph, const clo_node *node, clo_signature *out_signature)
{
    const clo_value_info *in[CLO_NODE_INPUTS] = {NULL};
    for (int i = 0; i < node->in_count; i++) {
        in[i] = node->in[i] == CLO_NO_VALUE ? NULL : &graph->values[node->in[i]];
    }
    return node->op->infer(node, in, out_signature);
}

static clo_status add_results(clo_graph *graph, const clo_signature *signature, clo_node *node)
{
    for (int i = 0; i < signature->count; i++) {
        clo_value_info info = {.name = "",
                               .kind = CLO_VALUE_OF_NODE,
                               .dtype = signature->dtype[i],
                               .shape = signature->shape[i],
                               .gradient = CLO_NO_VALUE};
        CLO_TRY(clo_graph_add_value(graph, &info, &node->out[i]));
    }
    node->out_count = signature->count;
    return CLO_STATUS_OK;
}

static clo_status add_checked_node(clo_graph *graph, clo_node *node, const clo_attr *attrs)
{
    CLO_TRY(check_inputs(graph, node->op, node->in, node->in_count));
    CLO_TRY(check_attrs(node->op, attrs, node->attr_count));
    CLO_TRY(copy_attrs(graph, attrs, node->attr_count, &node->attrs));
    clo_signature signature = {.count = 0};
    CLO_TRY(infer(graph, node, &signature));
    CLO_TRY(add_results(graph, &signature, node));
    clo_node *nodes = grown(graph->nodes, graph->node_count, &graph->node_capacity, sizeof *nodes);
    CLO_CHECK(nodes != NULL, CLO_NOMEM, "out of memory for a node");
    graph->nodes = nodes;
    nodes[graph->node_count++] = *node;
    return CLO_STATUS_OK;
}

clo_status clo_graph_add_node(clo_graph *graph, const char *op, const clo_value *in, int in_count,
                              const clo_attr *attrs, int attr_count, clo_value *out_values)
{
    clo_node node = {.op = clo_op_by_name(op),
                     .in_count = in_count,
                     .attr_count = attr_count,
                     .backward = graph->differentiating};
    CLO_CHECK(node.op != NULL, CLO_UNSUPPORTED, "operator '%s' is not in the table", op);
    CLO_CHECK(in_count >= 0 && in_count <= CLO_NODE_INPUTS, CLO_INVALID,
              "'%s' has %d inputs, at most %d", op, in_count, CLO_NODE_INPUTS);
    for (int i = 0; i < CLO_NODE_INPUTS; i++) {
        node.in[i] = i < in_count ? in[i] : CLO_NO_VALUE;
    }
    for (int i = 0; i < CLO_NODE_OUTPUTS; i++) {
        node.out[i] = CLO_NO_VALUE;
    }
    CLO_TRY_CTX(add_checked_node(graph, &node, attrs), "node %zu '%s'", graph->node_count, op);
    for (int i = 0; i < node.out_count; i++) {
        out_values[i] = node.out[i];
    }
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- questions ------------------- */

bool clo_graph_is_kept(const clo_graph *graph, clo_value value)
{
    for (size_t i = 0; i < graph->output_count; i++) {
        if (graph->outputs[i].value == value) {
            return true;
        }
    }
    for (size_t i = 0; i < graph->value_count; i++) {
        if (graph->values[i].kind == CLO_VALUE_PARAM && graph->values[i].gradient == value) {
            return true;
        }
    }
    return false;
}

static bool node_reads(const clo_node *node, clo_value value)
{
    for (int i = 0; i < node->in_count; i++) {
        if (node->in[i] == value) {
            return true;
        }
    }
    return false;
}

size_t clo_graph_readers(const clo_graph *graph, clo_value value)
{
    size_t readers = clo_graph_is_kept(graph, value) ? 1 : 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        readers += node_reads(&graph->nodes[i], value) ? 1 : 0;
    }
    return readers;
}

size_t clo_graph_producer(const clo_graph *graph, clo_value value)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        for (int j = 0; j < graph->nodes[i].out_count; j++) {
            if (graph->nodes[i].out[j] == value) {
                return i;
            }
        }
    }
    return SIZE_MAX;
}

/* ---------------------------------------------------------------- changes --------------------- */

void clo_graph_remove_node(clo_graph *graph, size_t index)
{
    size_t after = graph->node_count - index - 1;
    memmove(&graph->nodes[index], &graph->nodes[index + 1], after * sizeof *graph->nodes);
    graph->node_count--;
}

static bool node_is_read(const clo_graph *graph, const clo_node *node)
{
    for (int i = 0; i < node->out_count; i++) {
        if (clo_graph_readers(graph, node->out[i]) > 0) {
            return true;
        }
    }
    return false;
}

void clo_graph_prune(clo_graph *graph)
{
    /* Backwards, so that a node whose only reader has just gone goes too. */
    for (size_t i = graph->node_count; i-- > 0;) {
        if (!node_is_read(graph, &graph->nodes[i])) {
            clo_graph_remove_node(graph, i);
        }
    }
}

static void bind_shape(clo_shape *shape, int64_t batch)
{
    for (int i = 0; i < shape->rank; i++) {
        shape->dim[i] = shape->dim[i] == CLO_DIM_BATCH ? batch : shape->dim[i];
    }
}

static clo_status bind_values(const clo_graph *graph, int64_t batch, bool training,
                              clo_graph *bound)
{
    for (size_t i = 0; i < graph->value_count; i++) {
        clo_value_info info = graph->values[i];
        bind_shape(&info.shape, batch);
        info.gradient = training ? info.gradient : CLO_NO_VALUE;
        size_t count;
        CLO_CHECK(clo_shape_count(&info.shape, &count) && count <= (size_t)1 << 40, CLO_INVALID,
                  "value %zu '%s' has a dimension that is not bound, or too many elements", i,
                  info.name);
        clo_value unused;
        CLO_TRY(clo_graph_add_value(bound, &info, &unused));
    }
    return CLO_STATUS_OK;
}

static clo_status bind_nodes(const clo_graph *graph, bool training, clo_graph *bound)
{
    size_t size = graph->node_count + 1;
    bound->nodes = clo_alloc_array(size, sizeof *bound->nodes);
    CLO_CHECK(bound->nodes != NULL, CLO_NOMEM, "out of memory for %zu nodes", size);
    bound->node_capacity = size;
    for (size_t i = 0; i < graph->node_count; i++) {
        clo_node node = graph->nodes[i];
        if (node.backward && !training) {
            continue;
        }
        CLO_TRY(copy_attrs(bound, node.attrs, node.attr_count, &node.attrs));
        bound->nodes[bound->node_count++] = node;
    }
    return CLO_STATUS_OK;
}

clo_status clo_graph_bind(const clo_graph *graph, int64_t batch, bool training,
                          clo_graph **out_graph)
{
    CLO_AUTO_PTR(clo_graph) bound = NULL;
    CLO_TRY(clo_graph_new(&bound));
    CLO_TRY(bind_values(graph, batch, training, bound));
    CLO_TRY(bind_nodes(graph, training, bound));
    for (size_t i = 0; i < graph->output_count; i++) {
        clo_graph_output(bound, graph->outputs[i].name, graph->outputs[i].value);
    }
    CLO_TRY(clo_graph_check(bound));
    bound->differentiated = graph->differentiated && training;
    clo_graph_prune(bound);
    *out_graph = CLO_TAKE(bound);
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- text ------------------------ */

void clo_node_title(const clo_node *node, char *out_text, size_t size)
{
    snprintf(out_text, size, "%s%s", node->op->name, node->fused.relu ? "+Relu" : "");
}

static void put_value(const clo_graph *graph, clo_value value, clo_buf *out)
{
    if (value == CLO_NO_VALUE) {
        clo_put_str(out, "-");
        return;
    }
    const clo_value_info *info = &graph->values[value];
    clo_put_format(out, "%%%d%s%s", value, info->name[0] == '\0' ? "" : ":", info->name);
    if (info->kind == CLO_VALUE_CONSTANT) {
        clo_put_format(out, ":%g", (double)info->number);
    }
}

static void put_node(const clo_graph *graph, const clo_node *node, clo_buf *out)
{
    char title[64];
    clo_node_title(node, title, sizeof title);
    for (int i = 0; i < node->out_count; i++) {
        clo_put_str(out, i == 0 ? "" : ", ");
        put_value(graph, node->out[i], out);
    }
    clo_put_format(out, " = %s(", title);
    for (int i = 0; i < node->in_count; i++) {
        clo_put_str(out, i == 0 ? "" : ", ");
        put_value(graph, node->in[i], out);
    }
    char shape[96];
    clo_shape_text(&graph->values[node->out[0]].shape, shape, sizeof shape);
    clo_put_format(out, ") %s\n", shape);
}

clo_status clo_graph_describe(const clo_graph *graph, clo_buf *out)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        put_node(graph, &graph->nodes[i], out);
    }
    for (size_t i = 0; i < graph->output_count; i++) {
        clo_put_format(out, "output %s = %%%d\n", graph->outputs[i].name, graph->outputs[i].value);
    }
    return clo_buf_check(out);
}
