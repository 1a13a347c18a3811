/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See fashion.h. The files are IDX: a header of 16 or 8 bytes, then one byte a pixel or label.
 */
#include "fashion.h"

#include <stdio.h>
#include <string.h>

enum { FILE_LIMIT = 64 << 20, IDX3 = 16, IDX1 = 8 };

static const char folder[] = "/usr/share/datasets/fashion-mnist";

static clo_status read_part(const char *part, const char *kind, clo_buf *out)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    char path[256];
    snprintf(path, sizeof path, "%s/%s-%s-ubyte.gz", folder, part, kind);
    CLO_TRY(clo_file_read(path, FILE_LIMIT, &file));
    CLO_TRY_CTX(clo_gunzip(clo_buf_span(&file), out), "unpacking '%s'", path);
    return CLO_STATUS_OK;
}

clo_status clo_fashion_load(const char *part, clo_fashion *out_data)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    CLO_TRY(read_part(part, "images-idx3", &images));
    CLO_TRY(read_part(part, "labels-idx1", &labels));
    CLO_CHECK(labels.size > IDX1, CLO_FORMAT, "labels of '%s' are empty", part);
    size_t count = labels.size - IDX1;
    CLO_CHECK(images.size == IDX3 + count * CLO_FASHION_PIXELS, CLO_FORMAT,
              "%zu labels for %zu bytes of images", count, images.size);
    clo_fashion data = {.pixels = clo_alloc_array(count * CLO_FASHION_PIXELS, sizeof(float)),
                        .labels = clo_alloc_array(count, sizeof(int32_t)),
                        .count = count};
    if (data.pixels == NULL || data.labels == NULL) {
        clo_fashion_free(&data);
        CLO_FAIL(CLO_NOMEM, "out of memory for %zu images", count);
    }
    for (size_t i = 0; i < count * CLO_FASHION_PIXELS; i++) {
        data.pixels[i] = (float)images.data[IDX3 + i] / 255.0f;
    }
    for (size_t i = 0; i < count; i++) {
        data.labels[i] = labels.data[IDX1 + i];
    }
    *out_data = data;
    return CLO_STATUS_OK;
}

void clo_fashion_free(clo_fashion *data)
{
    clo_free(data->pixels);
    clo_free(data->labels);
}

clo_status clo_fashion_net_new(clo_fashion_net *out_net)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    clo_store *store;
    CLO_TRY(clo_graph_new(&graph));
    CLO_TRY(clo_architecture_find("mnist-cnn")->build(graph));
    CLO_TRY(clo_graph_differentiate(graph, clo_graph_find_output(graph, CLO_IO_LOSS)));
    CLO_TRY(clo_store_new(graph, &store));
    *out_net = (clo_fashion_net){CLO_TAKE(graph), store};
    return CLO_STATUS_OK;
}

void clo_fashion_net_free(clo_fashion_net *net)
{
    clo_store_free(net->store);
    clo_graph_free(net->graph);
}

clo_status clo_fashion_compile(const clo_fashion_net *net, size_t batch, int threads, bool training,
                               clo_program **out_program)
{
    clo_program_options options = CLO_PROGRAM_OPTIONS_INIT;
    options.batch = (int64_t)batch;
    options.threads = threads;
    options.training = training;
    return clo_program_compile(net->graph, net->store, &options, out_program);
}

void clo_fashion_feed(clo_program *program, const clo_fashion *data, const uint32_t *order,
                      size_t at, size_t batch)
{
    float *pixels = clo_program_input(program, CLO_IO_IMAGES).data;
    int32_t *labels = clo_program_input(program, CLO_IO_LABELS).data;
    for (size_t i = 0; i < batch; i++) {
        size_t sample = order[at + i];
        memcpy(pixels + i * CLO_FASHION_PIXELS, data->pixels + sample * CLO_FASHION_PIXELS,
               CLO_FASHION_PIXELS * sizeof *pixels);
        labels[i] = data->labels[sample];
    }
}

void clo_fashion_shuffle(uint64_t seed, uint64_t epoch, size_t count, uint32_t *order)
{
    for (size_t i = 0; i < count; i++) {
        order[i] = (uint32_t)i;
    }
    for (size_t i = count; i > 1; i--) {
        size_t j = clo_random_u32(seed, epoch, i) % i;
        uint32_t swapped = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swapped;
    }
}

clo_status clo_fashion_step(clo_fashion_net *net, clo_program *program)
{
    CLO_TRY(clo_program_run(program, NULL));
    clo_sgd_step(clo_store_values(net->store), clo_store_momentum(net->store),
                 clo_store_gradients(net->store), clo_store_size(net->store), 0.01f, 0.5f);
    return CLO_STATUS_OK;
}

int clo_fashion_exit(clo_status status)
{
    char text[1024];
    if (clo_ok(status)) {
        return 0;
    }
    clo_status_text(status, text, sizeof text);
    fprintf(stderr, "%s\n", text);
    return 1;
}
