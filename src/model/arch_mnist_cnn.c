/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seeds' network for MNIST-like images (PyTorch's basic MNIST example of 2018):
 *
 *     [N, 1, 28, 28] -conv 20 5x5-> [24, 24] -pool-> [12, 12] -conv 50 5x5-> [8, 8] -pool-> [4, 4]
 *     -flatten-> 800 -linear-> 500 -linear-> 10 logits
 *
 * ReLU after both convolutions and the first linear layer; cross-entropy of softmax, which is the
 * example's log_softmax and nll_loss.
 */
#include "architecture.h"

static clo_value conv_block(clo_graph *graph, clo_value x, const char *const names[2], int64_t in,
                            int64_t out)
{
    clo_init init = CLO_INIT_UNIFORM(in * 25);
    clo_value weight = clo_graph_param(graph, names[0], CLO_SHAPE(out, in, 5, 5), init);
    clo_value bias = clo_graph_param(graph, names[1], CLO_SHAPE(out), init);
    clo_value y = clo_graph_relu(graph, clo_graph_conv2d(graph, x, weight, bias, 1, 0));
    return clo_graph_max_pool2d(graph, y, 2, 2);
}

static clo_value linear(clo_graph *graph, clo_value x, const char *const names[2], int64_t in,
                        int64_t out)
{
    clo_init init = CLO_INIT_UNIFORM(in);
    clo_value weight = clo_graph_param(graph, names[0], CLO_SHAPE(out, in), init);
    clo_value bias = clo_graph_param(graph, names[1], CLO_SHAPE(out), init);
    return clo_graph_gemm(graph, x, weight, bias);
}

clo_status clo_build_mnist_cnn(clo_graph *graph)
{
    static const char *const names[4][2] = {{"conv1.weight", "conv1.bias"},
                                            {"conv2.weight", "conv2.bias"},
                                            {"fc1.weight", "fc1.bias"},
                                            {"fc2.weight", "fc2.bias"}};
    clo_value images =
        clo_graph_input(graph, CLO_IO_IMAGES, CLO_F32, CLO_SHAPE(CLO_DIM_BATCH, 1, 28, 28));
    clo_value labels = clo_graph_input(graph, CLO_IO_LABELS, CLO_I32, CLO_SHAPE(CLO_DIM_BATCH));
    clo_value x = conv_block(graph, images, names[0], 1, 20);
    x = clo_graph_flatten(graph, conv_block(graph, x, names[1], 20, 50));
    x = clo_graph_relu(graph, linear(graph, x, names[2], 800, 500));
    clo_value logits = linear(graph, x, names[3], 500, 10);
    clo_graph_output(graph, CLO_IO_LOGITS, logits);
    clo_graph_output(graph, CLO_IO_LOSS, clo_graph_cross_entropy(graph, logits, labels));
    return clo_graph_check(graph);
}
