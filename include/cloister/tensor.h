/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_TENSOR_H
#define CLOISTER_TENSOR_H

/*
 * tensor: the engine. A graph of operators is built once, differentiated into a larger graph,
 * compiled for one set of sizes into a program, and run many times; a run allocates nothing.
 *
 *   builder        clo_graph_differentiate     clo_program_compile     clo_program_run
 *   clo_graph ---------> clo_graph + gradients ---------> clo_program ---------> numbers
 *                                                passes: fuse, layout, in-place,
 *                                                memory plan, buckets
 *
 * Vocabulary. A *value* is one tensor in the graph: an input, a parameter, a constant, or a node's
 * output. A *node* has ONNX operator semantics (opset 17), so that import and export are
 * translations. A *symbolic dimension* (batch) is named in the graph and bound at compile; several
 * programs of one graph, at different batch sizes, share one *parameter store*. A *bucket* is a
 * contiguous range of the gradient span that is complete at a known point of the backward pass.
 *
 * Invariants:
 *   - Parameters, gradients and optimizer state are one allocation each, row-major float32, cut by
 *     the store's layout table in the order in which backward finishes the gradients.
 *     Each parameter starts on a 64-byte boundary; the gaps are zero and stay so.
 *   - After compile nothing about a step is decided at run time: the program is a flat array of
 *     bound calls.
 *   - For the same thread count and the same CPU, a run is bit-reproducible.
 *   - NaN and infinity are not hidden: clo_tensor_all_finite tells.
 *
 * Threads: a graph, a store or a program belongs to one thread at a time; different programs may
 * run in different threads if they do not share a store that one of them writes. Work inside a run
 * is shared among the calling thread's OpenMP pool (libgomp, which oneDNN uses as well), of the
 * size the program's options say. Whether its threads spin or sleep between loops, and where they
 * run, is libgomp's to know before it starts: the program's start sets that, not this room.
 *
 * Usage sketch (a linear classifier; examples/ has more):
 *
 *     clo_graph_new(&g);
 *     clo_value x = clo_graph_input(g, "x", CLO_F32, CLO_SHAPE(CLO_DIM_BATCH, 784));
 *     clo_value y = clo_graph_input(g, "labels", CLO_I32, CLO_SHAPE(CLO_DIM_BATCH));
 *     clo_value w = clo_graph_param(g, "fc.weight", CLO_SHAPE(10, 784), CLO_INIT_UNIFORM(784));
 *     clo_value b = clo_graph_param(g, "fc.bias", CLO_SHAPE(10), CLO_INIT_UNIFORM(784));
 *     clo_value logits = clo_graph_gemm(g, x, w, b);
 *     clo_value loss = clo_graph_cross_entropy(g, logits, y);
 *     clo_graph_output(g, "loss", loss);
 *     CLO_TRY(clo_graph_differentiate(g, loss));
 *     CLO_TRY(clo_store_new(g, &store));
 *     clo_store_initialize(store, seed);
 *     CLO_TRY(clo_program_compile(g, store, &options, &program));
 *     memcpy(clo_program_input(program, "x").data, ...);
 *     CLO_TRY(clo_program_run(program, NULL));
 *     clo_sgd_step(...);
 */
#include "cloister/base.h"

/* ---------------------------------------------------------------- tensors and shapes ---------- */

typedef enum { CLO_F32, CLO_I32, CLO_I64, CLO_U8, CLO_DTYPE_COUNT } clo_dtype;

size_t clo_dtype_size(clo_dtype dtype);      /* bytes an element */
const char *clo_dtype_name(clo_dtype dtype); /* "float32" ... */

#define CLO_MAX_DIMS 6

/* A dimension >= 0 is a size; the negative ones are symbolic, bound at compile. */
#define CLO_DIM_BATCH (-1)

typedef struct {
    int64_t dim[CLO_MAX_DIMS];
    int rank;
} clo_shape;

#define CLO_SHAPE(...)                                                                             \
    ((clo_shape){{__VA_ARGS__}, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))})
#define CLO_SHAPE_SCALAR ((clo_shape){{0}, 0})

/* Elements of a shape without symbolic dimensions; false on overflow or a symbolic dimension. */
bool clo_shape_count(const clo_shape *shape, size_t *out_count);
bool clo_shape_equal(const clo_shape *a, const clo_shape *b);
/* "[64, 1, 28, 28]" */
void clo_shape_text(const clo_shape *shape, char *out_text, size_t size);

/* A borrowed view of row-major numbers. */
typedef struct {
    clo_dtype dtype;
    clo_shape shape;
    void *data;
} clo_tensor;

/* True if no element is NaN or infinite; *out_index is the first that is (may be NULL). */
bool clo_tensor_all_finite(const float *data, size_t count, size_t *out_index);

/* ---------------------------------------------------------------- graph ----------------------- */

typedef struct clo_graph clo_graph;
typedef int32_t clo_value;
#define CLO_NO_VALUE ((clo_value)-1)

/* The builder's error is sticky: after the first wrong call all return CLO_NO_VALUE and
 * clo_graph_check tells what was wrong, naming operator and node. The caller frees the graph; names
 * are copied. */
clo_status clo_graph_new(clo_graph **out_graph);
void clo_graph_free(clo_graph *graph);
clo_status clo_graph_check(const clo_graph *graph);
CLO_DEFINE_AUTO_PTR(clo_graph, clo_graph_free);

/* How a parameter starts. Uniform has PyTorch's default for convolution and linear layers:
 * U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weight and bias alike (torch.nn.init.kaiming_uniform_,
 * a = sqrt 5). */
typedef enum { CLO_INIT_ZERO_KIND, CLO_INIT_UNIFORM_KIND } clo_init_kind;

typedef struct {
    clo_init_kind kind;
    int64_t fan_in;
} clo_init;

#define CLO_INIT_ZERO            ((clo_init){CLO_INIT_ZERO_KIND, 0})
#define CLO_INIT_UNIFORM(fan_in) ((clo_init){CLO_INIT_UNIFORM_KIND, (fan_in)})

clo_value clo_graph_input(clo_graph *graph, const char *name, clo_dtype dtype, clo_shape shape);
clo_value clo_graph_param(clo_graph *graph, const char *name, clo_shape shape, clo_init init);
/* Names a value that a run must leave readable. */
void clo_graph_output(clo_graph *graph, const char *name, clo_value value);
/* The value an output names; CLO_NO_VALUE when there is none. */
clo_value clo_graph_find_output(const clo_graph *graph, const char *name);

/* An attribute of a node, as in ONNX: an integer list, a float or a text. */
typedef struct {
    const char *name;
    int64_t ints[8];
    int count;
    float number;
    const char *text;
} clo_attr;

/* Any operator of the table by its ONNX name ("Conv", "Relu", "MaxPool" ...). Returns the first
 * output. `attrs` may be NULL. */
clo_value clo_graph_node(clo_graph *graph, const char *op, const clo_value *inputs, int input_count,
                         const clo_attr *attrs, int attr_count);

/* Shorthands for the usual; x is [N, C, H, W], weights as in PyTorch and ONNX. */
clo_value clo_graph_conv2d(clo_graph *graph, clo_value x, clo_value weight /* [M, C, kH, kW] */,
                           clo_value bias /* [M] */, int stride, int padding);
clo_value clo_graph_relu(clo_graph *graph, clo_value x);
clo_value clo_graph_max_pool2d(clo_graph *graph, clo_value x, int kernel, int stride);
clo_value clo_graph_flatten(clo_graph *graph, clo_value x); /* [N, ...] -> [N, K] */
/* x [N, K], weight [M, K] (transposed, as torch.nn.Linear), bias [M] -> [N, M] */
clo_value clo_graph_gemm(clo_graph *graph, clo_value x, clo_value weight, clo_value bias);
/* Mean over the batch of -log softmax(logits)[label]; logits [N, C], labels int32 [N] -> scalar.
 * ONNX: SoftmaxCrossEntropyLoss, reduction mean. */
clo_value clo_graph_cross_entropy(clo_graph *graph, clo_value logits, clo_value labels);

/* Extends the graph with the gradient of `loss` (a scalar) for every parameter it depends on.
 * CLO_UNSUPPORTED names an operator on the way that has no gradient. Once a graph. */
clo_status clo_graph_differentiate(clo_graph *graph, clo_value loss);

/* The graph as text, one node a line: name, operator, inputs, output shape. */
clo_status clo_graph_describe(const clo_graph *graph, clo_buf *out);

/* ---------------------------------------------------------------- operator table -------------- */

/* One row an operator, gathered from the op_*.c files. For listings and documentation. */
typedef struct {
    const char *name; /* ONNX name, or "<Name>Grad" for our gradient operators */
    int since_opset;  /* 0 for operators that are ours */
    bool has_gradient;
} clo_op_info;

size_t clo_op_count(void);
clo_op_info clo_op_get(size_t index);

/* ---------------------------------------------------------------- parameter store ------------- */

typedef struct clo_store clo_store;

/* One parameter of the layout table. Offsets and counts are in elements of the spans below. */
typedef struct {
    const char *name;
    clo_shape shape;
    size_t offset;
    size_t count;
} clo_param;

/* The parameters, gradients and one optimizer state (momentum) of a graph, zeroed. Keeps no pointer
 * to the graph. The caller frees it after the programs that use it. */
clo_status clo_store_new(const clo_graph *graph, clo_store **out_store);
void clo_store_free(clo_store *store);
CLO_DEFINE_AUTO_PTR(clo_store, clo_store_free);

size_t clo_store_param_count(const clo_store *store);
const clo_param *clo_store_param(const clo_store *store, size_t index);
const clo_param *clo_store_find(const clo_store *store, const char *name);
size_t clo_store_size(const clo_store *store); /* elements of each span */
float *clo_store_values(clo_store *store);
float *clo_store_gradients(clo_store *store);
float *clo_store_momentum(clo_store *store);

/* Starting values from our counter-based generator (Philox4x32-10, Salmon et al., SC 2011), keyed
 * by seed and the parameter's index: the same on every machine and for any order of layers. */
void clo_store_initialize(clo_store *store, uint64_t seed);

/* 32 bits of the generator: key = seed, counter = (stream, index). Pure. */
uint32_t clo_random_u32(uint64_t seed, uint64_t stream, uint64_t index);

/* ---------------------------------------------------------------- program --------------------- */

typedef struct clo_program clo_program;

typedef struct {
    int64_t batch;       /* binds CLO_DIM_BATCH */
    int threads;         /* of the calling thread's pool; at least 1 */
    bool training;       /* false: gradient nodes are dropped */
    size_t bucket_bytes; /* a bucket closes when it reaches this; 0: 1 MiB */
} clo_program_options;

#define CLO_PROGRAM_OPTIONS_INIT ((clo_program_options){0, 1, false, 0})

clo_status clo_program_compile(const clo_graph *graph, clo_store *store,
                               const clo_program_options *options, clo_program **out_program);
void clo_program_free(clo_program *program);
CLO_DEFINE_AUTO_PTR(clo_program, clo_program_free);

/* Where a run reads an input and leaves an output: row-major, owned by the program, at the same
 * address for its life. `data` is NULL for an unknown name. */
clo_tensor clo_program_input(clo_program *program, const char *name);
clo_tensor clo_program_output(clo_program *program, const char *name);

/* A range of the gradient span, complete together. Bucket 0 is complete first. */
typedef struct {
    size_t offset;
    size_t count;
} clo_bucket;

size_t clo_program_bucket_count(const clo_program *program);
clo_bucket clo_program_bucket(const clo_program *program, size_t index);

/* Called in the running thread as soon as bucket `index` holds its gradients; it must not block. */
typedef struct {
    void (*bucket_ready)(void *arg, size_t index);
    void *arg;
} clo_run_hooks;

/* One forward (and, when training, backward) pass. `hooks` may be NULL. Gradients are written, not
 * accumulated. */
clo_status clo_program_run(clo_program *program, const clo_run_hooks *hooks);

size_t clo_program_memory(const clo_program *program); /* bytes of its arena */
/* One call a line after all passes: kernel, fused operators, shapes, arena offsets. */
clo_status clo_program_describe(const clo_program *program, clo_buf *out);

/* ---------------------------------------------------------------- optimizers and kernels ------ */

/* PyTorch's SGD: v = momentum v + g; p -= lr v. One fused pass over [0, count). */
void clo_sgd_step(float *values, float *momentum_buffer, const float *gradients, size_t count,
                  float lr, float momentum);

/* out[i] += in[i]: the reduction that collectives are given. */
void clo_add_f32(float *out, const float *in, size_t count);
void clo_scale_f32(float *values, float factor, size_t count);

/* Index of the largest of each row of [rows, columns]. */
void clo_argmax_rows(const float *values, size_t rows, size_t columns, int32_t *out_index);

#endif
