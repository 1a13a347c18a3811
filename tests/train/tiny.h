/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TEST_TINY_H
#define CLO_TEST_TINY_H

/*
 * A model and a dataset small enough to train in milliseconds: 4 x 4 images of three classes, each
 * class bright in one row, and two linear layers.
 */
#include "cloister/train.h"

enum { TINY_SIDE = 4, TINY_CLASSES = 3 };

static inline clo_status build_tiny(clo_graph *graph)
{
    clo_value x = clo_graph_input(graph, CLO_IO_IMAGES, CLO_F32,
                                  CLO_SHAPE(CLO_DIM_BATCH, 1, TINY_SIDE, TINY_SIDE));
    clo_value labels = clo_graph_input(graph, CLO_IO_LABELS, CLO_I32, CLO_SHAPE(CLO_DIM_BATCH));
    clo_init init = CLO_INIT_UNIFORM(16);
    clo_value w1 = clo_graph_param(graph, "fc1.weight", CLO_SHAPE(8, 16), init);
    clo_value b1 = clo_graph_param(graph, "fc1.bias", CLO_SHAPE(8), init);
    clo_value w2 = clo_graph_param(graph, "fc2.weight", CLO_SHAPE(3, 8), init);
    clo_value b2 = clo_graph_param(graph, "fc2.bias", CLO_SHAPE(3), init);
    x = clo_graph_relu(graph, clo_graph_gemm(graph, clo_graph_flatten(graph, x), w1, b1));
    clo_value logits = clo_graph_gemm(graph, x, w2, b2);
    clo_graph_output(graph, CLO_IO_LOGITS, logits);
    clo_graph_output(graph, CLO_IO_LOSS, clo_graph_cross_entropy(graph, logits, labels));
    return clo_graph_check(graph);
}

static const clo_architecture tiny = {.name = "tiny",
                                      .summary = "two linear layers",
                                      .channels = 1,
                                      .height = TINY_SIDE,
                                      .width = TINY_SIDE,
                                      .classes = TINY_CLASSES,
                                      .build = build_tiny};

/* Row `label` is bright, the rest noise. */
static inline uint8_t tiny_pixel(uint64_t seed, uint32_t sample, uint32_t at)
{
    uint32_t noise = clo_random_u32(seed, sample, at) >> 24;
    bool bright = at / TINY_SIDE == sample % TINY_CLASSES;
    return (uint8_t)(bright ? 128 + noise / 2 : noise / 2);
}

/* NULL when out of memory. The caller frees it. */
static inline clo_dataset *make_tiny(uint32_t count, uint64_t seed)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    clo_put_u32be(&images, 0x803);
    clo_put_u32be(&images, count);
    clo_put_u32be(&images, TINY_SIDE);
    clo_put_u32be(&images, TINY_SIDE);
    clo_put_u32be(&labels, 0x801);
    clo_put_u32be(&labels, count);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < TINY_SIDE * TINY_SIDE; k++) {
            clo_put_u8(&images, tiny_pixel(seed, i, k));
        }
        clo_put_u8(&labels, (uint8_t)(i % TINY_CLASSES));
    }
    clo_dataset *dataset = NULL;
    clo_status status =
        clo_dataset_parse_idx(clo_buf_span(&images), clo_buf_span(&labels), TINY_CLASSES, &dataset);
    return clo_ok(status) ? dataset : NULL;
}

#endif
