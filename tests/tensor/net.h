/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TEST_NET_H
#define CLO_TEST_NET_H

/*
 * A small network with one of everything (conv, relu, pool, flatten, linear, loss), for tests of
 * passes and programs. 16 channels, so that layouts are blocked where the CPU blocks.
 */
#include "cloister/tensor.h"

static clo_status net_new(clo_graph **out_graph)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    CLO_TRY(clo_graph_new(&graph));
    clo_value x = clo_graph_input(graph, "x", CLO_F32, CLO_SHAPE(CLO_DIM_BATCH, 1, 8, 8));
    clo_value y = clo_graph_input(graph, "y", CLO_I32, CLO_SHAPE(CLO_DIM_BATCH));
    clo_value cw =
        clo_graph_param(graph, "conv.weight", CLO_SHAPE(16, 1, 3, 3), CLO_INIT_UNIFORM(9));
    clo_value cb = clo_graph_param(graph, "conv.bias", CLO_SHAPE(16), CLO_INIT_UNIFORM(9));
    clo_value fw = clo_graph_param(graph, "fc.weight", CLO_SHAPE(4, 144), CLO_INIT_UNIFORM(144));
    clo_value fb = clo_graph_param(graph, "fc.bias", CLO_SHAPE(4), CLO_INIT_UNIFORM(144));
    clo_value h = clo_graph_relu(graph, clo_graph_conv2d(graph, x, cw, cb, 1, 0));
    h = clo_graph_flatten(graph, clo_graph_max_pool2d(graph, h, 2, 2));
    clo_value logits = clo_graph_gemm(graph, h, fw, fb);
    clo_graph_output(graph, "logits", logits);
    clo_graph_output(graph, "loss", clo_graph_cross_entropy(graph, logits, y));
    CLO_TRY(clo_graph_check(graph));
    CLO_TRY(clo_graph_differentiate(graph, clo_graph_find_output(graph, "loss")));
    *out_graph = CLO_TAKE(graph);
    return CLO_STATUS_OK;
}

static inline clo_status net_compile(const clo_graph *graph, clo_store *store, int64_t batch,
                                     bool training, clo_program **out_program)
{
    clo_program_options options = CLO_PROGRAM_OPTIONS_INIT;
    options.batch = batch;
    options.training = training;
    options.bucket_bytes = 1024;
    return clo_program_compile(graph, store, &options, out_program);
}

static inline void net_feed(clo_program *program, int64_t batch)
{
    float *x = clo_program_input(program, "x").data;
    int32_t *y = clo_program_input(program, "y").data;
    for (int64_t i = 0; i < batch * 64; i++) {
        x[i] = (float)(clo_random_u32(5, 5, (uint64_t)i) >> 8) * 0x1p-24f;
    }
    for (int64_t i = 0; i < batch; i++) {
        y[i] = (int32_t)(i % 4);
    }
}

#endif
