/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TENSOR_OP_H
#define CLO_TENSOR_OP_H

/*
 * The operator table. One row an operator, one file a family (op_conv.c, op_pool.c ...), gathered
 * in op.c. A row says everything that is known of an operator:
 *
 *     infer      inputs' shapes -> outputs' shapes           (when a node is built)
 *     gradient   output gradients -> nodes for input gradients   (when a graph is differentiated)
 *     lower      bound shapes and layouts -> one kernel      (when a program is compiled)
 *
 * An attribute that a row does not list, or a value of one that the row does not carry out, is
 * refused where the node is built: a graph that was accepted means what ONNX says it means.
 *
 * Threads: the rows are constant.
 */
#include "graph.h"
#include "kernel.h"

/* What a node makes. */
typedef struct {
    clo_dtype dtype[CLO_NODE_OUTPUTS];
    clo_shape shape[CLO_NODE_OUTPUTS];
    int count;
} clo_signature;

/* The state of one node's differentiation: `dy[i]` is the gradient that reaches output i
 * (CLO_NO_VALUE: none), `wanted[j]` says whether input j leads to a parameter; the operator adds
 * nodes to `graph` and names their results in `dx`. `node` is a copy, because the table may move.
 */
typedef struct {
    clo_graph *graph;
    clo_node node;
    clo_value dy[CLO_NODE_OUTPUTS];
    bool wanted[CLO_NODE_INPUTS];
    clo_value dx[CLO_NODE_INPUTS];
} clo_gradient;

struct clo_op {
    const char *name; /* ONNX's, or "<Name>Grad..." for ours */
    int since_opset;  /* 0: ours */
    int min_inputs, max_inputs;
    const char *const *attrs; /* names it knows, ended by NULL */
    clo_status (*infer)(const clo_node *node, const clo_value_info *const *in,
                        clo_signature *out_signature);
    clo_status (*gradient)(clo_gradient *state); /* NULL: not differentiable */
    clo_status (*lower)(clo_program *program, const clo_node *node, clo_kernel *kernel);
    int overwrites;   /* the input whose memory output 0 may take over; -1: none */
    bool alias;       /* output 0 is input 0's memory under another shape */
    bool can_do_relu; /* the kernel can apply ReLU to its output */
};

/* The families, each ended by a row without a name. */
extern const clo_op clo_ops_conv[];
extern const clo_op clo_ops_pool[];
extern const clo_op clo_ops_matmul[];
extern const clo_op clo_ops_elementwise[];
extern const clo_op clo_ops_shape[];
extern const clo_op clo_ops_loss[];

const clo_op *clo_op_by_name(const char *name); /* NULL when unknown */
bool clo_node_is(const clo_node *node, const char *op);

/* Reading attributes. */
const clo_attr *clo_node_attr(const clo_node *node, const char *name);
/* Element `index` of an integer attribute; `fallback` when the attribute is absent. CLO_INVALID
 * when it is present and shorter. */
clo_status clo_node_int(const clo_node *node, const char *name, int index, int64_t fallback,
                        int64_t *out_value);
float clo_node_number(const clo_node *node, const char *name, float fallback);
/* CLO_UNSUPPORTED unless the attribute is absent or its integers all equal `value`. */
clo_status clo_node_require_int(const clo_node *node, const char *name, int64_t value);
clo_status clo_node_require_text(const clo_node *node, const char *name, const char *value);

/* A shape as an attribute, for gradient operators that make a tensor like one they do not read. */
clo_attr clo_attr_shape(const char *name, const clo_shape *shape);
clo_status clo_node_shape(const clo_node *node, const char *name, clo_shape *out_shape);
/* The node's attributes followed by `extra`: what most gradient nodes carry. */
int clo_attrs_with(const clo_node *node, const clo_attr *extra, clo_attr *out_attrs);

/* Shape checks with the operator's name in the message. */
clo_status clo_check_rank(const clo_node *node, const clo_value_info *in, int rank,
                          clo_dtype dtype);

/* The sliding window of convolution and pooling, over the two last dimensions. */
typedef struct {
    int64_t kernel[2], stride[2], begin[2], end[2];
} clo_window;

/* Reads strides and pads; refuses dilations and automatic padding. */
clo_status clo_window_read(const clo_node *node, int64_t height, int64_t width,
                           clo_window *out_window);
/* Output size along one axis; CLO_INVALID when the window does not fit once. */
clo_status clo_window_size(const clo_node *node, const clo_window *window, int axis, int64_t size,
                           int64_t *out_size);

#endif
