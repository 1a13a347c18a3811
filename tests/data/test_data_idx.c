/* SPDX-License-Identifier: Apache-2.0 */
/* IDX pairs from bytes: what is read, and every way in which a file can lie. */
#include "test.h"

#include <string.h>

#include "cloister/data.h"

enum { SIDE = 3, COUNT = 4, CLASSES = 10 };

static int fail_at = -1; /* the n-th allocation from now fails; -1: none */

bool clo_mem_should_fail(void)
{
    return fail_at >= 0 && fail_at-- == 0;
}

static void put_images(clo_buf *out, uint32_t magic, uint32_t count, uint32_t height,
                       uint32_t width, size_t bytes)
{
    clo_put_u32be(out, magic);
    clo_put_u32be(out, count);
    clo_put_u32be(out, height);
    clo_put_u32be(out, width);
    for (size_t i = 0; i < bytes; i++) {
        clo_put_u8(out, (uint8_t)(i * 7));
    }
}

static void put_labels(clo_buf *out, uint32_t magic, uint32_t count, size_t bytes)
{
    clo_put_u32be(out, magic);
    clo_put_u32be(out, count);
    for (size_t i = 0; i < bytes; i++) {
        clo_put_u8(out, (uint8_t)i);
    }
}

static void put_pair(clo_buf *images, clo_buf *labels)
{
    put_images(images, 0x803, COUNT, SIDE, SIDE, COUNT * SIDE * SIDE);
    put_labels(labels, 0x801, COUNT, COUNT);
}

static clo_status parse(const clo_buf *images, const clo_buf *labels, int classes)
{
    CLO_AUTO_PTR(clo_dataset) dataset = NULL;
    return clo_dataset_parse_idx(clo_buf_span(images), clo_buf_span(labels), classes, &dataset);
}

static void reads_a_pair_and_gathers_floats(void)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    put_pair(&images, &labels);
    CLO_AUTO_PTR(clo_dataset) dataset = NULL;
    T_OK(clo_dataset_parse_idx(clo_buf_span(&images), clo_buf_span(&labels), CLASSES, &dataset));
    T_INT(clo_dataset_count(dataset), COUNT);
    clo_shape shape = clo_dataset_shape(dataset);
    T_INT(shape.rank, 3);
    T_INT(shape.dim[0], 1);
    T_INT(shape.dim[1], SIDE);
    T_INT(shape.dim[2], SIDE);
    const uint32_t indices[] = {2, 0};
    float out[2 * SIDE * SIDE];
    int32_t out_labels[2];
    clo_dataset_gather(dataset, indices, 2, out, out_labels);
    for (size_t i = 0; i < SIDE * SIDE; i++) {
        uint8_t expected = (uint8_t)((2 * SIDE * SIDE + i) * 7);
        T_CHECK(out[i] == (float)expected / 255.0f);
        T_CHECK(out[SIDE * SIDE + i] == (float)(uint8_t)(i * 7) / 255.0f);
    }
    T_INT(out_labels[0], 2);
    T_INT(out_labels[1], 0);
}

static void refuses_files_cut_at_every_length(void)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    put_pair(&images, &labels);
    for (size_t size = 0; size < images.size; size++) {
        clo_buf cut = images;
        cut.size = size;
        T_CODE(parse(&cut, &labels, CLASSES), CLO_FORMAT);
    }
    for (size_t size = 0; size < labels.size; size++) {
        clo_buf cut = labels;
        cut.size = size;
        T_CODE(parse(&images, &cut, CLASSES), CLO_FORMAT);
    }
    T_OK(parse(&images, &labels, CLASSES));
}

static void refuses_bytes_behind_the_records(void)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    put_pair(&images, &labels);
    clo_put_u8(&labels, 0);
    T_CODE(parse(&images, &labels, CLASSES), CLO_FORMAT);
    labels.size--;
    clo_put_u8(&images, 0);
    T_CODE(parse(&images, &labels, CLASSES), CLO_FORMAT);
}

static void refuses_swapped_files_and_other_types(void)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    put_pair(&images, &labels);
    T_CODE(parse(&labels, &images, CLASSES), CLO_FORMAT);
    for (int bit = 0; bit < 32; bit++) {
        images.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        T_CODE(parse(&images, &labels, CLASSES), CLO_FORMAT);
        images.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void refuses_a_header_larger_than_any_cap_without_allocating(void)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    put_images(&images, 0x803, UINT32_MAX, CLO_DATASET_SIDE_MAX, CLO_DATASET_SIDE_MAX, 9);
    put_labels(&labels, 0x801, UINT32_MAX, 4);
    T_CODE(parse(&images, &labels, CLASSES), CLO_FORMAT);
    clo_buf_clear(&images);
    put_images(&images, 0x803, 1, CLO_DATASET_SIDE_MAX + 1, 1, CLO_DATASET_SIDE_MAX + 1);
    T_CODE(parse(&images, &labels, CLASSES), CLO_LIMIT);
    clo_buf_clear(&images);
    put_images(&images, 0x803, 4, 0, SIDE, 0);
    T_CODE(parse(&images, &labels, CLASSES), CLO_FORMAT);
}

static void refuses_other_counts_and_an_empty_pair(void)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    put_images(&images, 0x803, COUNT, SIDE, SIDE, COUNT * SIDE * SIDE);
    put_labels(&labels, 0x801, COUNT - 1, COUNT - 1);
    T_CODE(parse(&images, &labels, CLASSES), CLO_FORMAT);
    clo_buf_clear(&images);
    clo_buf_clear(&labels);
    put_images(&images, 0x803, 0, SIDE, SIDE, 0);
    put_labels(&labels, 0x801, 0, 0);
    T_CODE(parse(&images, &labels, CLASSES), CLO_FORMAT);
}

static void refuses_a_label_outside_the_classes(void)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    put_pair(&images, &labels);
    T_OK(parse(&images, &labels, COUNT));
    T_CODE(parse(&images, &labels, COUNT - 1), CLO_FORMAT);
    T_CODE(parse(&images, &labels, 0), CLO_INVALID);
    T_CODE(parse(&images, &labels, CLO_DATASET_CLASSES_MAX + 1), CLO_INVALID);
}

static void names_kind_expected_and_found(void)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    put_pair(&images, &labels);
    char text[512];
    clo_status_text(parse(&labels, &labels, CLASSES), text, sizeof text);
    T_CHECK(strstr(text, "idx images") != NULL);
    T_CHECK(strstr(text, "0x00000801") != NULL && strstr(text, "0x00000803") != NULL);
}

static void survives_any_failing_allocation(void)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    put_pair(&images, &labels);
    int failures = 0;
    for (int n = 0; n < 100; n++) {
        fail_at = n;
        clo_status status = parse(&images, &labels, CLASSES);
        fail_at = -1;
        if (clo_ok(status)) {
            break;
        }
        T_INT(status.code, CLO_NOMEM);
        failures++;
    }
    T_INT(failures, 3); /* the dataset, its pixels, its labels */
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(reads_a_pair_and_gathers_floats),
        T(refuses_files_cut_at_every_length),
        T(refuses_bytes_behind_the_records),
        T(refuses_swapped_files_and_other_types),
        T(refuses_a_header_larger_than_any_cap_without_allocating),
        T(refuses_other_counts_and_an_empty_pair),
        T(refuses_a_label_outside_the_classes),
        T(names_kind_expected_and_found),
        T(survives_any_failing_allocation),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
