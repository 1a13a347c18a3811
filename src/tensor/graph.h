/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TENSOR_GRAPH_H
#define CLO_TENSOR_GRAPH_H

/*
 * The graph as the room sees it: two growing tables.
 *
 *     values   %0 images   %1 conv1.weight   %2 conv1.bias   %3 (of node 0)   ...
 *     nodes    0: %3 = Conv(%0, %1, %2)     1: %4 = Relu(%3)    ...
 *
 * Invariants: a value's number never changes; a node uses only values made before it, so the order
 * of the table is a topological order, and differentiation and the passes keep it so. Names and
 * attributes live in the graph's arena.
 *
 * Ownership: the tables and the arena belong to the graph. Pointers into the tables are valid until
 * the next value or node is added.
 */
#include "cloister/tensor.h"

enum { CLO_NODE_INPUTS = 4, CLO_NODE_OUTPUTS = 2, CLO_NODE_ATTRS = 12 };

typedef struct clo_op clo_op;

typedef enum {
    CLO_VALUE_INPUT,
    CLO_VALUE_PARAM,
    CLO_VALUE_CONSTANT, /* every element is `number` */
    CLO_VALUE_OF_NODE
} clo_value_kind;

typedef struct {
    const char *name; /* "" for values of nodes */
    clo_value_kind kind;
    clo_dtype dtype;
    clo_shape shape;
    clo_init init;      /* of a parameter */
    float number;       /* of a constant */
    clo_value gradient; /* of a parameter, after differentiation */
} clo_value_info;

/* What pass_fuse folded into a node; zero as built. */
typedef struct {
    bool relu; /* output = max(output, 0), applied by the kernel itself */
} clo_fused;

typedef struct {
    const clo_op *op;
    clo_value in[CLO_NODE_INPUTS]; /* CLO_NO_VALUE where an optional input is absent */
    clo_value out[CLO_NODE_OUTPUTS];
    int in_count;
    int out_count;
    const clo_attr *attrs;
    int attr_count;
    bool backward; /* made by differentiation: dropped from programs that only infer */
    clo_fused fused;
} clo_node;

typedef struct {
    const char *name;
    clo_value value;
} clo_output;

struct clo_graph {
    clo_arena arena;
    clo_value_info *values;
    size_t value_count, value_capacity;
    clo_node *nodes;
    size_t node_count, node_capacity;
    clo_output *outputs;
    size_t output_count, output_capacity;
    bool differentiating; /* nodes added now are backward nodes */
    bool differentiated;
    clo_saved_status error; /* the builder's first mistake; CLO_OK while there is none */
};

/* Adds a value; its name is copied. CLO_LIMIT beyond 65,536 values. */
clo_status clo_graph_add_value(clo_graph *graph, const clo_value_info *info, clo_value *out_value);

/* Adds a checked node: known operator and attributes, number of inputs, shapes. */
clo_status clo_graph_add_node(clo_graph *graph, const char *op, const clo_value *in, int in_count,
                              const clo_attr *attrs, int attr_count, clo_value *out_values);

/* Nodes that read `value`, counting outputs and gradients of parameters as one reader each. */
size_t clo_graph_readers(const clo_graph *graph, clo_value value);
/* True when a run must leave `value` where it can be read: an output, or a parameter's gradient. */
bool clo_graph_is_kept(const clo_graph *graph, clo_value value);
/* Index of the node that makes `value`; SIZE_MAX for inputs, parameters and constants. */
size_t clo_graph_producer(const clo_graph *graph, clo_value value);

void clo_graph_remove_node(clo_graph *graph, size_t index);
/* Drops every node whose results nobody reads. */
void clo_graph_prune(clo_graph *graph);

/* A copy with every symbolic dimension bound; without the backward nodes unless `training`. */
clo_status clo_graph_bind(const clo_graph *graph, int64_t batch, bool training,
                          clo_graph **out_graph);

/* "Conv+Relu": the operator with what was fused into it. */
void clo_node_title(const clo_node *node, char *out_text, size_t size);

#endif
