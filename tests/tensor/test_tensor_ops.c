/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every operator against the double reference and against finite differences. A case builds a small
 * network whose every tensor is a parameter, so that every gradient is looked at; then
 *
 *     engine's loss and gradients  =  reference's loss and gradients  =  (L(p+h) - L(p-h)) / 2h
 */
#include "test.h"

#include <stdio.h>

#include "reference.h"

enum { ROWS = 4 };

typedef struct {
    const char *name;
    clo_value (*build)(clo_graph *graph); /* -> [ROWS, ...] */
} op_case;

typedef struct {
    clo_graph *graph; /* as built, differentiated */
    clo_graph *bound;
    clo_store *store;
    clo_program *program;
    reference reference;
    int32_t labels[ROWS];
} bench;

static clo_value param(clo_graph *graph, const char *name, clo_shape shape)
{
    return clo_graph_param(graph, name, shape, CLO_INIT_UNIFORM(4));
}

static clo_value image(clo_graph *graph)
{
    return param(graph, "x", CLO_SHAPE(ROWS, 3, 9, 8));
}

static clo_value conv(clo_graph *graph, clo_value x, int64_t channels, bool bias, clo_attr *attrs)
{
    clo_value in[3] = {x, param(graph, "w", CLO_SHAPE(5, channels, 3, 2)), CLO_NO_VALUE};
    in[2] = bias ? param(graph, "b", CLO_SHAPE(5)) : CLO_NO_VALUE;
    return clo_graph_node(graph, "Conv", in, bias ? 3 : 2, attrs, attrs == NULL ? 0 : 2);
}

static clo_value build_conv(clo_graph *graph)
{
    return conv(graph, image(graph), 3, true, NULL);
}

static clo_value build_conv_strided(clo_graph *graph)
{
    clo_attr attrs[] = {{.name = "strides", .ints = {2, 3}, .count = 2},
                        {.name = "pads", .ints = {1, 0, 2, 1}, .count = 4}};
    return conv(graph, image(graph), 3, false, attrs);
}

static clo_value build_conv_relu(clo_graph *graph)
{
    return clo_graph_relu(graph, conv(graph, image(graph), 3, true, NULL));
}

static clo_value build_pool(clo_graph *graph)
{
    return clo_graph_max_pool2d(graph, image(graph), 2, 2);
}

static clo_value build_pool_overlapping(clo_graph *graph)
{
    clo_attr attrs[] = {{.name = "kernel_shape", .ints = {3, 2}, .count = 2},
                        {.name = "strides", .ints = {2, 1}, .count = 2},
                        {.name = "pads", .ints = {1, 1, 1, 0}, .count = 4}};
    clo_value x = image(graph);
    return clo_graph_node(graph, "MaxPool", &x, 1, attrs, 3);
}

static clo_value build_conv_relu_pool(clo_graph *graph)
{
    return clo_graph_max_pool2d(graph, build_conv_relu(graph), 2, 2);
}

static clo_value gemm(clo_graph *graph, bool ta, bool tb, bool bias)
{
    clo_value in[3] = {param(graph, "a", ta ? CLO_SHAPE(7, ROWS) : CLO_SHAPE(ROWS, 7)),
                       param(graph, "b", tb ? CLO_SHAPE(6, 7) : CLO_SHAPE(7, 6)), CLO_NO_VALUE};
    in[2] = bias ? param(graph, "c", CLO_SHAPE(6)) : CLO_NO_VALUE;
    clo_attr attrs[] = {{.name = "transA", .ints = {ta}, .count = 1},
                        {.name = "transB", .ints = {tb}, .count = 1}};
    return clo_graph_node(graph, "Gemm", in, bias ? 3 : 2, attrs, 2);
}

static clo_value build_gemm_nn(clo_graph *graph)
{
    return gemm(graph, false, false, false);
}

static clo_value build_gemm_tn(clo_graph *graph)
{
    return gemm(graph, true, false, false);
}

static clo_value build_gemm_nt(clo_graph *graph)
{
    return clo_graph_relu(graph, gemm(graph, false, true, true));
}

static clo_value build_gemm_tt(clo_graph *graph)
{
    return gemm(graph, true, true, true);
}

/* One parameter read twice: its gradients are added. */
static clo_value build_add(clo_graph *graph)
{
    clo_value x = param(graph, "x", CLO_SHAPE(ROWS, 6));
    clo_value y = clo_graph_relu(graph, x);
    return clo_graph_node(graph, "Add", (clo_value[]){x, y}, 2, NULL, 0);
}

/* Two parameters with one gradient: it is copied. */
static clo_value build_add_two(clo_graph *graph)
{
    clo_value in[] = {param(graph, "p", CLO_SHAPE(ROWS, 6)), param(graph, "q", CLO_SHAPE(ROWS, 6))};
    return clo_graph_node(graph, "Add", in, 2, NULL, 0);
}

static clo_value build_identity(clo_graph *graph)
{
    clo_value x = param(graph, "x", CLO_SHAPE(ROWS, 6));
    return clo_graph_node(graph, "Identity", &x, 1, NULL, 0);
}

/* Blocked layouts meet row-major ones in an Add. */
static clo_value build_residual(clo_graph *graph)
{
    clo_value x = param(graph, "x", CLO_SHAPE(ROWS, 5, 6, 6));
    clo_attr attrs[] = {{.name = "strides", .ints = {1, 1}, .count = 2},
                        {.name = "pads", .ints = {1, 0, 1, 1}, .count = 4}};
    clo_value y = clo_graph_relu(graph, conv(graph, x, 5, true, attrs));
    return clo_graph_node(graph, "Add", (clo_value[]){y, x}, 2, NULL, 0);
}

static const op_case cases[] = {
    {"conv", build_conv},
    {"conv, strides and padding, no bias", build_conv_strided},
    {"conv and relu", build_conv_relu},
    {"max pool", build_pool},
    {"max pool, overlapping and padded", build_pool_overlapping},
    {"conv, relu, max pool", build_conv_relu_pool},
    {"a b", build_gemm_nn},
    {"a' b", build_gemm_tn},
    {"a b' + c, relu", build_gemm_nt},
    {"a' b' + c", build_gemm_tt},
    {"add", build_add},
    {"add of two parameters", build_add_two},
    {"identity", build_identity},
    {"residual", build_residual},
};

enum { CASES = sizeof cases / sizeof *cases };

static void bench_cleanup(bench *b)
{
    clo_program_free(b->program);
    clo_store_free(b->store);
    reference_free(&b->reference);
    clo_graph_free(b->bound);
    clo_graph_free(b->graph);
}

static clo_status build(const op_case *c, clo_graph **out_graph)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    CLO_TRY(clo_graph_new(&graph));
    clo_value labels = clo_graph_input(graph, "labels", CLO_I32, CLO_SHAPE(ROWS));
    clo_value y = clo_graph_flatten(graph, c->build(graph));
    clo_value loss = clo_graph_cross_entropy(graph, y, labels);
    clo_graph_output(graph, "loss", loss);
    CLO_TRY(clo_graph_differentiate(graph, loss));
    *out_graph = CLO_TAKE(graph);
    return CLO_STATUS_OK;
}

static clo_status bench_new(const op_case *c, bench *b)
{
    clo_program_options options = {.batch = 1, .threads = 1, .training = true};
    CLO_TRY(build(c, &b->graph));
    CLO_TRY(clo_graph_bind(b->graph, 1, true, &b->bound));
    CLO_CHECK(reference_new(b->bound, &b->reference), CLO_NOMEM, "reference");
    CLO_TRY(clo_store_new(b->graph, &b->store));
    clo_store_initialize(b->store, 3);
    CLO_TRY(clo_program_compile(b->graph, b->store, &options, &b->program));
    int32_t *labels = clo_program_input(b->program, "labels").data;
    for (int i = 0; i < ROWS; i++) {
        labels[i] = i;
    }
    return clo_program_run(b->program, NULL);
}

static clo_value find_value(const bench *b, const char *name)
{
    for (size_t i = 0; i < b->bound->value_count; i++) {
        if (strcmp(b->bound->values[i].name, name) == 0) {
            return (clo_value)i;
        }
    }
    return CLO_NO_VALUE;
}

/* Parameters and labels into the reference, then its loss. */
static bool reference_loss(bench *b, double *out_loss)
{
    for (int i = 0; i < ROWS; i++) {
        b->reference.values[find_value(b, "labels")][i] = i;
    }
    bool known = reference_run(&b->reference);
    *out_loss = b->reference.values[clo_graph_find_output(b->bound, "loss")][0];
    return known;
}

static void load_params(bench *b)
{
    for (size_t p = 0; p < clo_store_param_count(b->store); p++) {
        const clo_param *param_row = clo_store_param(b->store, p);
        double *to = b->reference.values[find_value(b, param_row->name)];
        for (size_t i = 0; i < param_row->count; i++) {
            to[i] = (double)clo_store_values(b->store)[param_row->offset + i];
        }
    }
}

static void engine_agrees_with_the_reference(void)
{
    for (size_t c = 0; c < CASES; c++) {
        CLO_AUTO(bench) b = {.graph = NULL};
        double loss;
        T_OK(bench_new(&cases[c], &b));
        load_params(&b);
        T_CHECK(reference_loss(&b, &loss));
        T_NEAR(*(float *)clo_program_output(b.program, "loss").data, loss, 1e-5);
        for (size_t p = 0; p < clo_store_param_count(b.store); p++) {
            const clo_param *row = clo_store_param(b.store, p);
            clo_value gradient = b.bound->values[find_value(&b, row->name)].gradient;
            T_CHECK(gradient != CLO_NO_VALUE);
            for (size_t i = 0; i < row->count; i++) {
                double expected = b.reference.values[gradient][i];
                double found = (double)clo_store_gradients(b.store)[row->offset + i];
                T_NEAR(found, expected, 2e-6 + 2e-5 * fabs(expected));
            }
        }
        printf("# %s: agrees\n", cases[c].name);
    }
}

static void reference_agrees_with_finite_differences(void)
{
    const double h = 1e-6;
    for (size_t c = 0; c < CASES; c++) {
        CLO_AUTO(bench) b = {.graph = NULL};
        double loss, above, below;
        T_OK(bench_new(&cases[c], &b));
        load_params(&b);
        for (size_t p = 0; p < clo_store_param_count(b.store); p++) {
            const clo_param *row = clo_store_param(b.store, p);
            clo_value value = find_value(&b, row->name);
            double *x = b.reference.values[value];
            for (size_t i = 0; i < row->count; i += 1 + row->count / 12) {
                double kept = x[i];
                x[i] = kept + h;
                T_CHECK(reference_loss(&b, &above));
                x[i] = kept - h;
                T_CHECK(reference_loss(&b, &below));
                x[i] = kept;
                T_CHECK(reference_loss(&b, &loss));
                double found = b.reference.values[b.bound->values[value].gradient][i];
                T_NEAR(found, (above - below) / (2 * h), 1e-8);
            }
        }
    }
}

/* A wrong gradient must be seen: the comparison is tried on a spoilt one. */
static void a_spoilt_gradient_is_seen(void)
{
    CLO_AUTO(bench) b = {.graph = NULL};
    double loss;
    T_OK(bench_new(&cases[0], &b));
    load_params(&b);
    T_CHECK(reference_loss(&b, &loss));
    const clo_param *row = clo_store_find(b.store, "w");
    clo_value gradient = b.bound->values[find_value(&b, "w")].gradient;
    double worst = 0.0;
    for (size_t i = 0; i < row->count; i++) {
        double spoilt = 1.01 * (double)clo_store_gradients(b.store)[row->offset + i];
        double expected = b.reference.values[gradient][i];
        worst = fmax(worst, fabs(spoilt - expected) - 2e-6 - 2e-5 * fabs(expected));
    }
    T_CHECK(worst > 0.0);
}

static void every_differentiable_operator_has_a_case(void)
{
    for (size_t i = 0; i < clo_op_count(); i++) {
        bool met = !clo_op_get(i).has_gradient;
        for (size_t c = 0; c < CASES && !met; c++) {
            CLO_AUTO_PTR(clo_graph) graph = NULL;
            T_OK(build(&cases[c], &graph));
            for (size_t n = 0; n < graph->node_count; n++) {
                met = met || strcmp(graph->nodes[n].op->name, clo_op_get(i).name) == 0;
            }
        }
        if (!met) {
            printf("# no case has '%s'\n", clo_op_get(i).name);
        }
        T_CHECK(met);
    }
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(engine_agrees_with_the_reference),
        T(reference_agrees_with_finite_differences),
        T(a_spoilt_gradient_is_seen),
        T(every_differentiable_operator_has_a_case),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
