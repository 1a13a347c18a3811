/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: all of them, in order, whole when read, from any first one; early ends; sealed files. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "cloister/data.h"

enum { COUNT = 23, SIDE = 2, BATCH = 5, BATCHES = 5, CLASSES = 256 };

static int fail_at = -1;

bool clo_mem_should_fail(void)
{
    return fail_at >= 0 && fail_at-- == 0;
}

/* Sample i is filled with the byte i and labelled i. */
static void put_pair(clo_buf *images, clo_buf *labels)
{
    clo_put_u32be(images, 0x803);
    clo_put_u32be(images, COUNT);
    clo_put_u32be(images, SIDE);
    clo_put_u32be(images, SIDE);
    clo_put_u32be(labels, 0x801);
    clo_put_u32be(labels, COUNT);
    for (uint8_t i = 0; i < COUNT; i++) {
        clo_put_bytes(images, (uint8_t[]){i, i, i, i}, SIDE * SIDE);
        clo_put_u8(labels, i);
    }
}

static clo_dataset *make_dataset(void)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    put_pair(&images, &labels);
    clo_dataset *dataset = NULL;
    clo_status status =
        clo_dataset_parse_idx(clo_buf_span(&images), clo_buf_span(&labels), CLASSES, &dataset);
    return clo_ok(status) ? dataset : NULL;
}

static bool batch_is(const clo_batch *batch, const uint32_t *order)
{
    for (size_t i = 0; i < batch->count; i++) {
        float expected = (float)order[i] / 255.0f;
        for (size_t k = 0; k < SIDE * SIDE; k++) {
            if (batch->images[i * SIDE * SIDE + k] != expected) {
                return false;
            }
        }
        if (batch->labels[i] != (int32_t)order[i]) {
            return false;
        }
    }
    return true;
}

static void gives_every_batch_in_the_samplers_order(void)
{
    CLO_AUTO_PTR(clo_dataset) dataset = make_dataset();
    clo_sampler sampler = {.count = COUNT, .seed = 3, .world = 1, .shuffle = true};
    uint32_t order[COUNT];
    T_OK(clo_sampler_order(&sampler, 2, order));
    CLO_AUTO_PTR(clo_loader) loader = NULL;
    T_OK(clo_loader_new(dataset, &sampler, 2, BATCH, 0, &loader));
    T_INT(clo_loader_batches(loader), BATCHES);
    for (size_t i = 0; i < BATCHES; i++) {
        clo_batch batch;
        T_OK(clo_loader_next(loader, &batch));
        T_INT(batch.index, i);
        T_INT(batch.count, i < BATCHES - 1 ? BATCH : COUNT % BATCH);
        clo_sleep_ms(5); /* the thread has time to overwrite what it must not */
        T_CHECK(batch_is(&batch, order + i * BATCH));
    }
    clo_batch batch;
    T_CODE(clo_loader_next(loader, &batch), CLO_EOF);
    T_CODE(clo_loader_next(loader, &batch), CLO_EOF);
}

static void goes_on_from_any_batch(void)
{
    CLO_AUTO_PTR(clo_dataset) dataset = make_dataset();
    clo_sampler sampler = {.count = COUNT, .seed = 3, .world = 1, .shuffle = true};
    uint32_t order[COUNT];
    T_OK(clo_sampler_order(&sampler, 1, order));
    for (size_t first = 0; first <= BATCHES; first++) {
        CLO_AUTO_PTR(clo_loader) loader = NULL;
        T_OK(clo_loader_new(dataset, &sampler, 1, BATCH, first, &loader));
        clo_batch batch;
        for (size_t i = first; i < BATCHES; i++) {
            T_OK(clo_loader_next(loader, &batch));
            T_INT(batch.index, i);
            T_CHECK(batch_is(&batch, order + i * BATCH));
        }
        T_CODE(clo_loader_next(loader, &batch), CLO_EOF);
    }
    clo_loader *loader = NULL;
    T_CODE(clo_loader_new(dataset, &sampler, 1, BATCH, BATCHES + 1, &loader), CLO_INVALID);
}

static void ends_early_without_waiting(void)
{
    CLO_AUTO_PTR(clo_dataset) dataset = make_dataset();
    clo_sampler sampler = {.count = COUNT, .world = 1};
    int64_t start = clo_clock_ms();
    for (int i = 0; i < 20; i++) {
        CLO_AUTO_PTR(clo_loader) loader = NULL;
        T_OK(clo_loader_new(dataset, &sampler, 1, 1, 0, &loader));
        clo_batch batch;
        T_OK(clo_loader_next(loader, &batch));
    }
    T_CHECK(clo_clock_ms() - start < 5000);
}

static void takes_a_batch_larger_than_the_share(void)
{
    CLO_AUTO_PTR(clo_dataset) dataset = make_dataset();
    clo_sampler sampler = {.count = COUNT, .world = 1};
    CLO_AUTO_PTR(clo_loader) loader = NULL;
    T_OK(clo_loader_new(dataset, &sampler, 1, (size_t)1 << 60, 0, &loader));
    clo_batch batch;
    T_OK(clo_loader_next(loader, &batch));
    T_INT(batch.count, COUNT);
    T_CODE(clo_loader_next(loader, &batch), CLO_EOF);
}

static void has_no_batch_for_an_empty_share(void)
{
    CLO_AUTO_PTR(clo_dataset) dataset = make_dataset();
    clo_sampler sampler = {.count = COUNT, .rank = 30, .world = 31, .exact = true};
    CLO_AUTO_PTR(clo_loader) loader = NULL;
    T_OK(clo_loader_new(dataset, &sampler, 1, BATCH, 0, &loader));
    T_INT(clo_loader_batches(loader), 0);
    clo_batch batch;
    T_CODE(clo_loader_next(loader, &batch), CLO_EOF);
}

static void refuses_a_sampler_of_another_dataset(void)
{
    CLO_AUTO_PTR(clo_dataset) dataset = make_dataset();
    clo_sampler sampler = {.count = COUNT + 1, .world = 1};
    clo_loader *loader = NULL;
    T_CODE(clo_loader_new(dataset, &sampler, 1, BATCH, 0, &loader), CLO_INVALID);
    sampler = (clo_sampler){.count = COUNT, .rank = 1, .world = 1};
    T_CODE(clo_loader_new(dataset, &sampler, 1, BATCH, 0, &loader), CLO_INVALID);
    sampler.rank = 0;
    T_CODE(clo_loader_new(dataset, &sampler, 1, 0, 0, &loader), CLO_INVALID);
}

static void survives_any_failing_allocation(void)
{
    CLO_AUTO_PTR(clo_dataset) dataset = make_dataset();
    clo_sampler sampler = {.count = COUNT, .world = 1};
    int failures = 0;
    for (int n = 0; n < 100; n++) {
        CLO_AUTO_PTR(clo_loader) loader = NULL;
        fail_at = n;
        clo_status status = clo_loader_new(dataset, &sampler, 1, BATCH, 0, &loader);
        fail_at = -1;
        if (clo_ok(status)) {
            break;
        }
        T_INT(status.code, CLO_NOMEM);
        failures++;
    }
    T_CHECK(failures >= 10);
}

static void seal_file(const char *path, clo_span plain, const clo_secret *key)
{
    clo_seal_header header;
    T_OK(clo_seal_header_init(&header));
    header.parts = 1;
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    T_OK(clo_seal_header_write(&header, &bytes));
    CLO_AUTO_PTR(clo_seal_writer) writer = NULL;
    T_OK(clo_seal_writer_new(path, clo_buf_span(&bytes), key, &writer));
    T_OK(clo_seal_writer_write(writer, plain));
    T_OK(clo_seal_writer_finish(writer, NULL));
}

static void reads_the_same_from_sealed_files(void)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    put_pair(&images, &labels);
    const clo_span plain[2] = {clo_buf_span(&images), clo_buf_span(&labels)};
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    T_OK(clo_secret_alloc(&key, 32));
    char path[2][1100];
    clo_seal_reader *readers[2] = {NULL, NULL};
    const char *folder = clo_test_folder();
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s/%d.sealed", folder, i);
        seal_file(path[i], plain[i], &key);
        T_OK(clo_seal_reader_open(path[i], &readers[i]));
        T_OK(clo_seal_reader_unlock(readers[i], &key));
    }
    CLO_AUTO_PTR(clo_dataset) dataset = NULL;
    T_OK(clo_dataset_read_idx(readers[0], readers[1], CLASSES, &dataset));
    CLO_AUTO_PTR(clo_dataset) same = make_dataset();
    uint32_t all[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        all[i] = i;
    }
    float a[COUNT * SIDE * SIDE];
    float b[COUNT * SIDE * SIDE];
    int32_t numbers[COUNT];
    clo_dataset_gather(dataset, all, COUNT, a, numbers);
    clo_dataset_gather(same, all, COUNT, b, numbers);
    T_CHECK(memcmp(a, b, sizeof a) == 0);
    clo_dataset *swapped = NULL;
    T_CODE(clo_dataset_read_idx(readers[1], readers[0], CLASSES, &swapped), CLO_FORMAT);
    clo_seal_reader_free(readers[0]);
    clo_seal_reader_free(readers[1]);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(gives_every_batch_in_the_samplers_order),
        T(goes_on_from_any_batch),
        T(ends_early_without_waiting),
        T(takes_a_batch_larger_than_the_share),
        T(has_no_batch_for_an_empty_share),
        T(refuses_a_sampler_of_another_dataset),
        T(survives_any_failing_allocation),
        T(reads_the_same_from_sealed_files),
    };
    if (!clo_ok(clo_crypto_init())) {
        return 2;
    }
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
