/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The builder and differentiation: what they accept, what they refuse and how they say it.
 */
#include "test.h"

#include <string.h>

#include "cloister/tensor.h"

static clo_value small_net(clo_graph *graph)
{
    clo_value x = clo_graph_input(graph, "x", CLO_F32, CLO_SHAPE(CLO_DIM_BATCH, 3));
    clo_value y = clo_graph_input(graph, "y", CLO_I32, CLO_SHAPE(CLO_DIM_BATCH));
    clo_value w = clo_graph_param(graph, "w", CLO_SHAPE(2, 3), CLO_INIT_UNIFORM(3));
    clo_value b = clo_graph_param(graph, "b", CLO_SHAPE(2), CLO_INIT_ZERO);
    clo_value loss = clo_graph_cross_entropy(graph, clo_graph_gemm(graph, x, w, b), y);
    clo_graph_output(graph, "loss", loss);
    return loss;
}

static void describes_itself(void)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    T_OK(clo_graph_new(&graph));
    clo_value loss = small_net(graph);
    T_OK(clo_graph_describe(graph, &text));
    T_STR(clo_buf_str(&text), "%4 = Gemm(%0:x, %2:w, %3:b) [N, 2]\n"
                              "%5 = SoftmaxCrossEntropyLoss(%4, %1:y) []\n"
                              "output loss = %5\n");
    T_INT(clo_graph_find_output(graph, "loss"), loss);
    T_INT(clo_graph_find_output(graph, "los"), CLO_NO_VALUE);
}

static void differentiates_into_the_same_table(void)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    T_OK(clo_graph_new(&graph));
    T_OK(clo_graph_differentiate(graph, small_net(graph)));
    T_OK(clo_graph_describe(graph, &text));
    T_STR(clo_buf_str(&text), "%4 = Gemm(%0:x, %2:w, %3:b) [N, 2]\n"
                              "%5 = SoftmaxCrossEntropyLoss(%4, %1:y) []\n"
                              "%7 = SoftmaxCrossEntropyLossGrad(%6:1, %4, %1:y) [N, 2]\n"
                              "%8 = Gemm(%7, %0:x) [2, 3]\n"
                              "%9 = SumRows(%7) [2]\n"
                              "output loss = %5\n");
}

/* One wrong call each; the message must name what was wrong. */
typedef struct {
    void (*build)(clo_graph *graph);
    clo_code code;
    const char *says;
} mistake;

static clo_value x4(clo_graph *graph)
{
    return clo_graph_input(graph, "x", CLO_F32, CLO_SHAPE(CLO_DIM_BATCH, 3, 8, 8));
}

static void same_name(clo_graph *graph)
{
    x4(graph);
    x4(graph);
}

static void unknown_op(clo_graph *graph)
{
    clo_value x = x4(graph);
    clo_graph_node(graph, "Softplus", &x, 1, NULL, 0);
}

static void too_few_inputs(clo_graph *graph)
{
    clo_value x = x4(graph);
    clo_graph_node(graph, "Conv", &x, 1, NULL, 0);
}

static void missing_value(clo_graph *graph)
{
    clo_graph_relu(graph, 7);
}

static void wrong_channels(clo_graph *graph)
{
    clo_value w = clo_graph_param(graph, "w", CLO_SHAPE(4, 2, 3, 3), CLO_INIT_ZERO);
    clo_graph_conv2d(graph, x4(graph), w, CLO_NO_VALUE, 1, 0);
}

static void kernel_too_large(clo_graph *graph)
{
    clo_graph_max_pool2d(graph, x4(graph), 9, 1);
}

static void pool_without_kernel(clo_graph *graph)
{
    clo_value x = x4(graph);
    clo_graph_node(graph, "MaxPool", &x, 1, NULL, 0);
}

static void huge_stride(clo_graph *graph)
{
    clo_attr attrs[] = {{.name = "kernel_shape", .ints = {2, 2}, .count = 2},
                        {.name = "strides", .ints = {INT64_MAX, 1}, .count = 2}};
    clo_value x = x4(graph);
    clo_graph_node(graph, "MaxPool", &x, 1, attrs, 2);
}

static void short_attribute(clo_graph *graph)
{
    clo_attr attrs[] = {{.name = "kernel_shape", .ints = {2}, .count = 1}};
    clo_value x = x4(graph);
    clo_graph_node(graph, "MaxPool", &x, 1, attrs, 1);
}

static void unknown_attribute(clo_graph *graph)
{
    clo_attr attr = {.name = "negative_slope", .number = 0.1f};
    clo_value x = x4(graph);
    clo_graph_node(graph, "Relu", &x, 1, &attr, 1);
}

static void dilation(clo_graph *graph)
{
    clo_attr attr = {.name = "dilations", .ints = {2, 2}, .count = 2};
    clo_value w = clo_graph_param(graph, "w", CLO_SHAPE(4, 3, 3, 3), CLO_INIT_ZERO);
    clo_graph_node(graph, "Conv", (clo_value[]){x4(graph), w}, 2, &attr, 1);
}

static void automatic_padding(clo_graph *graph)
{
    clo_attr attr = {.name = "auto_pad", .text = "SAME_UPPER"};
    clo_value w = clo_graph_param(graph, "w", CLO_SHAPE(4, 3, 3, 3), CLO_INIT_ZERO);
    clo_graph_node(graph, "Conv", (clo_value[]){x4(graph), w}, 2, &attr, 1);
}

static void broadcast(clo_graph *graph)
{
    clo_value x = x4(graph);
    clo_value b = clo_graph_param(graph, "b", CLO_SHAPE(3, 8, 8), CLO_INIT_ZERO);
    clo_graph_node(graph, "Add", (clo_value[]){x, b}, 2, NULL, 0);
}

static void inner_mismatch(clo_graph *graph)
{
    clo_value x = clo_graph_input(graph, "x", CLO_F32, CLO_SHAPE(CLO_DIM_BATCH, 3));
    clo_value w = clo_graph_param(graph, "w", CLO_SHAPE(2, 4), CLO_INIT_ZERO);
    clo_graph_gemm(graph, x, w, CLO_NO_VALUE);
}

static void scaled_gemm(clo_graph *graph)
{
    clo_attr attr = {.name = "alpha", .number = 0.5f};
    clo_value x = clo_graph_input(graph, "x", CLO_F32, CLO_SHAPE(CLO_DIM_BATCH, 3));
    clo_value w = clo_graph_param(graph, "w", CLO_SHAPE(3, 4), CLO_INIT_ZERO);
    clo_graph_node(graph, "Gemm", (clo_value[]){x, w}, 2, &attr, 1);
}

static void float_labels(clo_graph *graph)
{
    clo_value x = clo_graph_input(graph, "x", CLO_F32, CLO_SHAPE(CLO_DIM_BATCH, 3));
    clo_value y = clo_graph_input(graph, "y", CLO_F32, CLO_SHAPE(CLO_DIM_BATCH));
    clo_graph_cross_entropy(graph, x, y);
}

static void symbolic_parameter(clo_graph *graph)
{
    clo_graph_param(graph, "w", CLO_SHAPE(CLO_DIM_BATCH, 2), CLO_INIT_ZERO);
}

static void zero_dimension(clo_graph *graph)
{
    clo_graph_input(graph, "x", CLO_F32, CLO_SHAPE(4, 0));
}

static void no_fan_in(clo_graph *graph)
{
    clo_graph_param(graph, "w", CLO_SHAPE(2), CLO_INIT_UNIFORM(0));
}

static void output_of_nothing(clo_graph *graph)
{
    clo_graph_output(graph, "loss", CLO_NO_VALUE);
}

static void output_twice(clo_graph *graph)
{
    clo_value x = x4(graph);
    clo_graph_output(graph, "o", x);
    clo_graph_output(graph, "o", x);
}

static void long_name(clo_graph *graph)
{
    char name[400];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    clo_graph_input(graph, name, CLO_F32, CLO_SHAPE(1));
}

static const mistake mistakes[] = {
    {same_name, CLO_EXISTS, "'x'"},
    {unknown_op, CLO_UNSUPPORTED, "'Softplus'"},
    {too_few_inputs, CLO_INVALID, "1 inputs, expected 2 to 3"},
    {missing_value, CLO_INVALID, "input 0"},
    {wrong_channels, CLO_INVALID, "3 channels, the weight expects 2"},
    {kernel_too_large, CLO_INVALID, "kernel of 9 does not fit axis of 8"},
    {pool_without_kernel, CLO_INVALID, "kernel 0"},
    {huge_stride, CLO_INVALID, "stride 9223372036854775807"},
    {short_attribute, CLO_INVALID, "'kernel_shape' has 1 integers"},
    {unknown_attribute, CLO_UNSUPPORTED, "'negative_slope'"},
    {dilation, CLO_UNSUPPORTED, "'dilations' is 2"},
    {automatic_padding, CLO_UNSUPPORTED, "'auto_pad'"},
    {broadcast, CLO_UNSUPPORTED, "broadcasting"},
    {inner_mismatch, CLO_INVALID, "3 and 4"},
    {scaled_gemm, CLO_UNSUPPORTED, "'alpha'"},
    {float_labels, CLO_INVALID, "int32"},
    {symbolic_parameter, CLO_INVALID, "'w' has dimension 0"},
    {zero_dimension, CLO_INVALID, "'x' has dimension 1 of 0"},
    {no_fan_in, CLO_INVALID, "fan-in"},
    {output_of_nothing, CLO_INVALID, "'loss'"},
    {output_twice, CLO_EXISTS, "'o'"},
    {long_name, CLO_LIMIT, "399 bytes"},
};

static void mistakes_are_refused_by_name(void)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        CLO_AUTO_PTR(clo_graph) graph = NULL;
        char text[768];
        T_OK(clo_graph_new(&graph));
        mistakes[i].build(graph);
        clo_status status = clo_graph_check(graph);
        clo_status_text(status, text, sizeof text);
        T_CODE(status, mistakes[i].code);
        if (strstr(text, mistakes[i].says) == NULL) {
            T_STR(text, mistakes[i].says);
        }
    }
}

static void the_first_error_sticks(void)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    clo_value loss;
    clo_store *store;
    T_OK(clo_graph_new(&graph));
    clo_graph_relu(graph, 3);
    loss = small_net(graph);
    T_INT(loss, CLO_NO_VALUE);
    T_CODE(clo_graph_check(graph), CLO_INVALID);
    T_CODE(clo_graph_differentiate(graph, 0), CLO_INVALID);
    T_CODE(clo_store_new(graph, &store), CLO_INVALID);
}

static void differentiates_once_and_only_scalars(void)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    T_OK(clo_graph_new(&graph));
    clo_value loss = small_net(graph);
    T_CODE(clo_graph_differentiate(graph, 0), CLO_INVALID);
    T_CODE(clo_graph_differentiate(graph, 99), CLO_INVALID);
    T_OK(clo_graph_differentiate(graph, loss));
    T_CODE(clo_graph_differentiate(graph, loss), CLO_INVALID);
}

static void an_operator_without_gradient_is_named(void)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    char text[768];
    T_OK(clo_graph_new(&graph));
    clo_value w = clo_graph_param(graph, "w", CLO_SHAPE(4, 4), CLO_INIT_ZERO);
    clo_value s = clo_graph_node(graph, "SumRows", &w, 1, NULL, 0);
    clo_value t = clo_graph_node(graph, "Gemm", (clo_value[]){w, w, s}, 3, NULL, 0);
    clo_value y = clo_graph_input(graph, "y", CLO_I32, CLO_SHAPE(4));
    clo_value loss = clo_graph_cross_entropy(graph, t, y);
    clo_status status = clo_graph_differentiate(graph, loss);
    clo_status_text(status, text, sizeof text);
    T_CODE(status, CLO_UNSUPPORTED);
    T_CHECK(strstr(text, "'SumRows' has no gradient") != NULL);
    T_CODE(clo_graph_check(graph), CLO_UNSUPPORTED);
}

static void shapes_count_and_print(void)
{
    clo_shape shape = CLO_SHAPE(CLO_DIM_BATCH, 3, 28);
    clo_shape huge = CLO_SHAPE(INT64_MAX, INT64_MAX);
    clo_shape scalar = CLO_SHAPE_SCALAR;
    size_t count;
    char text[32], tiny[4];
    clo_shape_text(&shape, text, sizeof text);
    T_STR(text, "[N, 3, 28]");
    clo_shape_text(&scalar, text, sizeof text);
    T_STR(text, "[]");
    clo_shape_text(&shape, tiny, sizeof tiny);
    T_STR(tiny, "[N,");
    T_CHECK(!clo_shape_count(&shape, &count) && !clo_shape_count(&huge, &count));
    T_CHECK(clo_shape_count(&scalar, &count) && count == 1);
    shape.dim[0] = 2;
    T_CHECK(clo_shape_count(&shape, &count) && count == 168);
    T_CHECK(!clo_shape_equal(&shape, &scalar) && clo_shape_equal(&shape, &shape));
    T_STR(clo_dtype_name(CLO_U8), "uint8");
    T_INT(clo_dtype_size(CLO_I64), 8);
    T_INT(clo_dtype_size((clo_dtype)99), 0);
}

static void the_operator_table_is_listed(void)
{
    size_t count = clo_op_count();
    T_CHECK(count > 10);
    for (size_t i = 0; i < count; i++) {
        T_CHECK(clo_op_get(i).name[0] != '\0');
    }
    T_STR(clo_op_get(0).name, "Conv");
    T_CHECK(clo_op_get(0).has_gradient && clo_op_get(0).since_opset == 11);
    T_STR(clo_op_get(count).name, "");
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(describes_itself),
        T(differentiates_into_the_same_table),
        T(mistakes_are_refused_by_name),
        T(the_first_error_sticks),
        T(differentiates_once_and_only_scalars),
        T(an_operator_without_gradient_is_named),
        T(shapes_count_and_print),
        T(the_operator_table_is_listed),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
