/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An IDX pair from one input: u16 big-endian size of the images' file, that file, then the labels'.
 * What is accepted is gathered once, so that reads beyond a record would be seen.
 */
#include "cloister/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void gather_all(const clo_dataset *dataset)
{
    clo_shape shape = clo_dataset_shape(dataset);
    size_t each = 0;
    CLO_ASSERT(clo_shape_count(&shape, &each));
    float *image = clo_alloc_array(each, sizeof *image);
    int32_t label = 0;
    for (uint32_t i = 0; image != NULL && i < clo_dataset_count(dataset); i++) {
        clo_dataset_gather(dataset, &i, 1, image, &label);
        CLO_ASSERT(label < 10);
    }
    clo_free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_reader r = clo_reader_of(CLO_SPAN(data, size));
    clo_span images = clo_read_span(&r, clo_read_u16be(&r));
    clo_span labels = CLO_SPAN(data + r.at, size - r.at);
    CLO_AUTO_PTR(clo_dataset) dataset = NULL;
    if (clo_ok(clo_dataset_parse_idx(images, labels, 10, &dataset))) {
        gather_all(dataset);
    }
    return 0;
}
