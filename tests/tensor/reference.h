/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TEST_REFERENCE_H
#define CLO_TEST_REFERENCE_H

/*
 * A second engine that cannot share the first one's mistakes: every operator in double, as the
 * formula in its definition, one nested loop each, no layout, no fusion, no shared memory. It walks
 * the same graph, so it also checks what differentiation made of it.
 */
#include <math.h>
#include <string.h>

#include "cloister/tensor.h"
#include "graph.h"
#include "op.h"

typedef struct {
    const clo_graph *graph;
    double **values; /* one array a value */
} reference;

static size_t count_of(const reference *r, clo_value value)
{
    size_t count = 0;
    (void)clo_shape_count(&r->graph->values[value].shape, &count);
    return count;
}

static int64_t attr_int(const clo_node *node, const char *name, int index, int64_t fallback)
{
    int64_t value = fallback;
    (void)clo_node_int(node, name, index, fallback, &value);
    return value;
}

/* Index into [n, c, h, w]; -1 outside the image. */
static int64_t at4(const clo_shape *s, int64_t n, int64_t c, int64_t h, int64_t w)
{
    bool inside = h >= 0 && h < s->dim[2] && w >= 0 && w < s->dim[3];
    return inside ? ((n * s->dim[1] + c) * s->dim[2] + h) * s->dim[3] + w : -1;
}

/* What the three convolution operators share: every (output, input, weight) triple is visited, and
 * each operator adds to its own result. */
typedef struct {
    clo_shape x, w, y;
    int64_t stride[2], pad[2];
    const double *in_x, *in_w, *in_y;
    double *out_x, *out_w, *out_y;
} triples;

static void visit_pixel(const triples *t, int64_t n, int64_t m, int64_t h, int64_t w)
{
    int64_t y = at4(&t->y, n, m, h, w);
    for (int64_t c = 0; c < t->w.dim[1]; c++) {
        for (int64_t i = 0; i < t->w.dim[2] * t->w.dim[3]; i++) {
            int64_t kh = i / t->w.dim[3], kw = i % t->w.dim[3];
            int64_t x = at4(&t->x, n, c, h * t->stride[0] - t->pad[0] + kh,
                            w * t->stride[1] - t->pad[1] + kw);
            int64_t k = at4(&t->w, m, c, kh, kw);
            if (x < 0) {
                continue;
            }
            if (t->out_y != NULL) {
                t->out_y[y] += t->in_x[x] * t->in_w[k];
            } else if (t->out_x != NULL) {
                t->out_x[x] += t->in_y[y] * t->in_w[k];
            } else {
                t->out_w[k] += t->in_y[y] * t->in_x[x];
            }
        }
    }
}

static void visit(triples *t, const clo_node *node)
{
    for (int i = 0; i < 2; i++) {
        t->stride[i] = attr_int(node, "strides", i, 1);
        t->pad[i] = attr_int(node, "pads", i, 0);
    }
    for (int64_t n = 0; n < t->y.dim[0]; n++) {
        for (int64_t m = 0; m < t->y.dim[1]; m++) {
            for (int64_t i = 0; i < t->y.dim[2] * t->y.dim[3]; i++) {
                visit_pixel(t, n, m, i / t->y.dim[3], i % t->y.dim[3]);
            }
        }
    }
}

static void ref_conv(reference *r, const clo_node *node)
{
    const clo_value_info *v = r->graph->values;
    triples t = {.x = v[node->in[0]].shape,
                 .w = v[node->in[1]].shape,
                 .y = v[node->out[0]].shape,
                 .in_x = r->values[node->in[0]],
                 .in_w = r->values[node->in[1]],
                 .out_y = r->values[node->out[0]]};
    int64_t plane = t.y.dim[2] * t.y.dim[3];
    for (size_t i = 0; i < count_of(r, node->out[0]); i++) {
        bool bias = node->in[2] != CLO_NO_VALUE;
        t.out_y[i] = bias ? r->values[node->in[2]][(int64_t)i / plane % t.y.dim[1]] : 0.0;
    }
    visit(&t, node);
}

static void ref_conv_grad_input(reference *r, const clo_node *node)
{
    const clo_value_info *v = r->graph->values;
    triples t = {.x = v[node->out[0]].shape,
                 .w = v[node->in[1]].shape,
                 .y = v[node->in[0]].shape,
                 .in_y = r->values[node->in[0]],
                 .in_w = r->values[node->in[1]],
                 .out_x = r->values[node->out[0]]};
    memset(t.out_x, 0, count_of(r, node->out[0]) * sizeof(double));
    visit(&t, node);
}

static void ref_conv_grad_weight(reference *r, const clo_node *node)
{
    const clo_value_info *v = r->graph->values;
    triples t = {.x = v[node->in[1]].shape,
                 .w = v[node->out[0]].shape,
                 .y = v[node->in[0]].shape,
                 .in_y = r->values[node->in[0]],
                 .in_x = r->values[node->in[1]],
                 .out_w = r->values[node->out[0]]};
    memset(t.out_w, 0, count_of(r, node->out[0]) * sizeof(double));
    visit(&t, node);
    double *bias = r->values[node->out[1]];
    int64_t plane = t.y.dim[2] * t.y.dim[3];
    memset(bias, 0, count_of(r, node->out[1]) * sizeof(double));
    for (size_t i = 0; i < count_of(r, node->in[0]); i++) {
        bias[(int64_t)i / plane % t.y.dim[1]] += t.in_y[i];
    }
}

/* Writes the winner's index into the workspace value. */
static void ref_max_pool(reference *r, const clo_node *node)
{
    const clo_shape *x = &r->graph->values[node->in[0]].shape;
    const clo_shape *y = &r->graph->values[node->out[0]].shape;
    const double *in = r->values[node->in[0]];
    for (size_t i = 0; i < count_of(r, node->out[0]); i++) {
        int64_t plane = (int64_t)i / (y->dim[2] * y->dim[3]);
        int64_t h = (int64_t)i / y->dim[3] % y->dim[2], w = (int64_t)i % y->dim[3];
        int64_t best = -1;
        int64_t kh = attr_int(node, "kernel_shape", 0, 0),
                kw = attr_int(node, "kernel_shape", 1, 0);
        for (int64_t k = 0; k < kh * kw; k++) {
            int64_t from =
                at4(x, plane / y->dim[1], plane % y->dim[1],
                    h * attr_int(node, "strides", 0, 1) - attr_int(node, "pads", 0, 0) + k / kw,
                    w * attr_int(node, "strides", 1, 1) - attr_int(node, "pads", 1, 0) + k % kw);
            best = from >= 0 && (best < 0 || in[from] > in[best]) ? from : best;
        }
        r->values[node->out[0]][i] = in[best];
        r->values[node->out[1]][i] = (double)best;
    }
}

static void ref_max_pool_grad(reference *r, const clo_node *node)
{
    double *dx = r->values[node->out[0]];
    memset(dx, 0, count_of(r, node->out[0]) * sizeof(double));
    for (size_t i = 0; i < count_of(r, node->in[0]); i++) {
        dx[(size_t)r->values[node->in[1]][i]] += r->values[node->in[0]][i];
    }
}

static void ref_gemm(reference *r, const clo_node *node)
{
    const clo_shape *a = &r->graph->values[node->in[0]].shape;
    const clo_shape *b = &r->graph->values[node->in[1]].shape;
    const clo_shape *y = &r->graph->values[node->out[0]].shape;
    bool ta = attr_int(node, "transA", 0, 0) != 0, tb = attr_int(node, "transB", 0, 0) != 0;
    int64_t inner = a->dim[ta ? 0 : 1];
    for (int64_t i = 0; i < y->dim[0]; i++) {
        for (int64_t j = 0; j < y->dim[1]; j++) {
            double sum = node->in[2] == CLO_NO_VALUE ? 0.0 : r->values[node->in[2]][j];
            for (int64_t k = 0; k < inner; k++) {
                sum += r->values[node->in[0]][ta ? k * a->dim[1] + i : i * a->dim[1] + k] *
                       r->values[node->in[1]][tb ? j * b->dim[1] + k : k * b->dim[1] + j];
            }
            r->values[node->out[0]][i * y->dim[1] + j] = sum;
        }
    }
}

static void ref_sum_rows(reference *r, const clo_node *node)
{
    size_t columns = count_of(r, node->out[0]);
    memset(r->values[node->out[0]], 0, columns * sizeof(double));
    for (size_t i = 0; i < count_of(r, node->in[0]); i++) {
        r->values[node->out[0]][i % columns] += r->values[node->in[0]][i];
    }
}

static void ref_relu(reference *r, const clo_node *node)
{
    for (size_t i = 0; i < count_of(r, node->out[0]); i++) {
        double x = r->values[node->in[0]][i];
        r->values[node->out[0]][i] = x > 0.0 ? x : 0.0;
    }
}

static void ref_relu_grad(reference *r, const clo_node *node)
{
    for (size_t i = 0; i < count_of(r, node->out[0]); i++) {
        bool open = r->values[node->in[1]][i] > 0.0;
        r->values[node->out[0]][i] = open ? r->values[node->in[0]][i] : 0.0;
    }
}

static void ref_add(reference *r, const clo_node *node)
{
    for (size_t i = 0; i < count_of(r, node->out[0]); i++) {
        r->values[node->out[0]][i] = r->values[node->in[0]][i] + r->values[node->in[1]][i];
    }
}

static void ref_copy(reference *r, const clo_node *node)
{
    memcpy(r->values[node->out[0]], r->values[node->in[0]],
           count_of(r, node->out[0]) * sizeof(double));
}

static double log_sum(const double *row, size_t columns)
{
    double max = row[0], sum = 0.0;
    for (size_t c = 1; c < columns; c++) {
        max = fmax(max, row[c]);
    }
    for (size_t c = 0; c < columns; c++) {
        sum += exp(row[c] - max);
    }
    return max + log(sum);
}

static void ref_loss(reference *r, const clo_node *node)
{
    size_t rows = count_of(r, node->in[1]), columns = count_of(r, node->in[0]) / rows;
    double total = 0.0;
    for (size_t i = 0; i < rows; i++) {
        const double *row = r->values[node->in[0]] + i * columns;
        total += log_sum(row, columns) - row[(size_t)r->values[node->in[1]][i]];
    }
    r->values[node->out[0]][0] = total / (double)rows;
}

static void ref_loss_grad(reference *r, const clo_node *node)
{
    size_t rows = count_of(r, node->in[2]), columns = count_of(r, node->in[1]) / rows;
    double dloss = r->values[node->in[0]][0];
    for (size_t i = 0; i < rows * columns; i++) {
        const double *row = r->values[node->in[1]] + i / columns * columns;
        double softmax = exp(row[i % columns] - log_sum(row, columns));
        bool hit = i % columns == (size_t)r->values[node->in[2]][i / columns];
        r->values[node->out[0]][i] = dloss * (softmax - (hit ? 1.0 : 0.0)) / (double)rows;
    }
}

static const struct {
    const char *op;
    void (*run)(reference *r, const clo_node *node);
} reference_ops[] = {
    {"Conv", ref_conv},
    {"ConvGradInput", ref_conv_grad_input},
    {"ConvGradWeight", ref_conv_grad_weight},
    {"MaxPool", ref_max_pool},
    {"MaxPoolGrad", ref_max_pool_grad},
    {"Gemm", ref_gemm},
    {"SumRows", ref_sum_rows},
    {"Relu", ref_relu},
    {"ReluGrad", ref_relu_grad},
    {"Add", ref_add},
    {"Flatten", ref_copy},
    {"FlattenGrad", ref_copy},
    {"Identity", ref_copy},
    {"SoftmaxCrossEntropyLoss", ref_loss},
    {"SoftmaxCrossEntropyLossGrad", ref_loss_grad},
};

enum { REFERENCE_OPS = sizeof reference_ops / sizeof *reference_ops };

/* Runs every node; false when the reference lacks an operator. */
static bool reference_run(reference *r)
{
    for (size_t i = 0; i < r->graph->node_count; i++) {
        const clo_node *node = &r->graph->nodes[i];
        size_t k = 0;
        while (k < REFERENCE_OPS && strcmp(reference_ops[k].op, node->op->name) != 0) {
            k++;
        }
        if (k == REFERENCE_OPS) {
            return false;
        }
        reference_ops[k].run(r, node);
    }
    return true;
}

static void reference_free(reference *r)
{
    for (size_t i = 0; r->values != NULL && i < r->graph->value_count; i++) {
        clo_free(r->values[i]);
    }
    clo_free(r->values);
}

/* Arrays for every value of a bound graph; constants filled. */
static bool reference_new(const clo_graph *graph, reference *out)
{
    *out = (reference){graph, clo_alloc_array(graph->value_count, sizeof(double *))};
    for (size_t i = 0; out->values != NULL && i < graph->value_count; i++) {
        size_t count = count_of(out, (clo_value)i);
        out->values[i] = clo_alloc_array(count, sizeof(double));
        if (out->values[i] == NULL) {
            return false;
        }
        for (size_t j = 0; j < count; j++) {
            out->values[i][j] = (double)graph->values[i].number;
        }
    }
    return out->values != NULL;
}

#endif
