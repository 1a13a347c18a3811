/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches ahead of time: one thread fills a ring of three slots, of which the consumer holds one.
 *
 *     made   batches the thread has filled            made - taken <= 2: those that wait
 *     taken  batches given to the consumer            slot of batch k: k % 3
 *
 * A slot is refilled only when the consumer asks for the batch after it, which is why three slots
 * serve two batches ahead. The lock covers the two counters; the memory of a slot belongs to the
 * side that the counters say.
 */
#include "cloister/data.h"

enum {
    SLOTS = 3,
    AHEAD = 2,
    /* The consumer may think as long as it likes: the thread only looks up now and then. */
    IDLE_MS = 1000,
    /* Filling is a copy in memory; longer than this means that the machine stands. */
    FILL_MS = 60 * 1000
};

struct clo_loader {
    const clo_dataset *dataset;
    uint32_t *order;
    size_t share, batch_size, batches, first;
    float *images[SLOTS];
    int32_t *labels[SLOTS];
    size_t image_size; /* floats a sample */
    clo_mutex *lock;
    clo_cond *changed;
    clo_thread *thread;
    size_t made, taken; /* absolute batch numbers; under the lock */
    bool stop;          /* under the lock */
};

static size_t size_of_batch(const clo_loader *loader, size_t index)
{
    size_t left = loader->share - index * loader->batch_size;
    return left < loader->batch_size ? left : loader->batch_size;
}

static void fill(clo_loader *loader, size_t index)
{
    size_t slot = index % SLOTS;
    clo_dataset_gather(loader->dataset, loader->order + index * loader->batch_size,
                       size_of_batch(loader, index), loader->images[slot], loader->labels[slot]);
}

/* True when a slot is free; false when the loader ends. */
static bool wait_for_room(clo_loader *loader)
{
    clo_mutex_lock(loader->lock);
    while (!loader->stop && loader->made - loader->taken >= AHEAD) {
        (void)clo_cond_wait(loader->changed, loader->lock, clo_deadline_in(IDLE_MS));
    }
    bool stop = loader->stop;
    clo_mutex_unlock(loader->lock);
    return !stop;
}

static clo_status run(void *arg)
{
    clo_loader *loader = arg;
    for (size_t index = loader->first; index < loader->batches && wait_for_room(loader); index++) {
        fill(loader, index);
        clo_mutex_lock(loader->lock);
        loader->made = index + 1;
        clo_cond_wake_all(loader->changed);
        clo_mutex_unlock(loader->lock);
    }
    return CLO_STATUS_OK;
}

static clo_status allocate(clo_loader *loader)
{
    size_t image_count = 0;
    clo_shape shape = clo_dataset_shape(loader->dataset);
    bool fits = clo_shape_count(&shape, &loader->image_size) &&
                clo_size_mul(loader->image_size, loader->batch_size, &image_count);
    CLO_CHECK(fits, CLO_LIMIT, "a batch of %zu samples is too large", loader->batch_size);
    for (int i = 0; i < SLOTS; i++) {
        loader->images[i] = clo_alloc_array(image_count, sizeof(float));
        loader->labels[i] = clo_alloc_array(loader->batch_size, sizeof(int32_t));
        CLO_CHECK(loader->images[i] != NULL && loader->labels[i] != NULL, CLO_NOMEM,
                  "out of memory for batches of %zu samples", loader->batch_size);
    }
    CLO_TRY(clo_mutex_new(&loader->lock));
    return clo_cond_new(&loader->changed);
}

static clo_status plan(clo_loader *loader, const clo_sampler *sampler, uint64_t epoch)
{
    CLO_CHECK(sampler->world > 0 && sampler->count == clo_dataset_count(loader->dataset),
              CLO_INVALID, "sampler over %zu samples, dataset of %zu", sampler->count,
              clo_dataset_count(loader->dataset));
    CLO_CHECK(loader->batch_size > 0, CLO_INVALID, "batch size is zero");
    loader->share = clo_sampler_share(sampler);
    /* No more room than the share needs, and some for a share of nothing. */
    size_t most = loader->share > 0 ? loader->share : 1;
    loader->batch_size = loader->batch_size < most ? loader->batch_size : most;
    loader->order = clo_alloc_array(most, sizeof *loader->order);
    CLO_CHECK(loader->order != NULL, CLO_NOMEM, "out of memory for an epoch's order");
    CLO_TRY(clo_sampler_order(sampler, epoch, loader->order));
    if (loader->share > 0) {
        loader->batches = (loader->share - 1) / loader->batch_size + 1;
    }
    CLO_CHECK(loader->first <= loader->batches, CLO_INVALID,
              "first batch is %zu of an epoch of %zu", loader->first, loader->batches);
    loader->made = loader->taken = loader->first;
    return CLO_STATUS_OK;
}

clo_status clo_loader_new(const clo_dataset *dataset, const clo_sampler *sampler, uint64_t epoch,
                          size_t batch_size, size_t first, clo_loader **out_loader)
{
    CLO_AUTO_PTR(clo_loader) loader = clo_alloc(sizeof *loader);
    CLO_CHECK(loader != NULL, CLO_NOMEM, "out of memory for a loader");
    loader->dataset = dataset;
    loader->batch_size = batch_size;
    loader->first = first;
    CLO_TRY(plan(loader, sampler, epoch));
    CLO_TRY(allocate(loader));
    CLO_TRY(clo_thread_start(run, loader, "clo-loader", &loader->thread));
    *out_loader = CLO_TAKE(loader);
    return CLO_STATUS_OK;
}

clo_status clo_loader_next(clo_loader *loader, clo_batch *out_batch)
{
    clo_deadline deadline = clo_deadline_in(FILL_MS);
    bool in_time = true;
    clo_mutex_lock(loader->lock);
    size_t index = loader->taken;
    bool ended = index >= loader->batches;
    while (!ended && in_time && loader->made == index) {
        in_time = clo_cond_wait(loader->changed, loader->lock, deadline);
    }
    bool ready = !ended && loader->made > index;
    loader->taken += ready ? 1 : 0;
    clo_cond_wake_all(loader->changed);
    clo_mutex_unlock(loader->lock);
    CLO_CHECK(!ended, CLO_EOF, "the epoch's %zu batches are done", loader->batches);
    CLO_CHECK(ready, CLO_TIMEOUT, "batch %zu was not ready after %d s", index, FILL_MS / 1000);
    *out_batch = (clo_batch){.images = loader->images[index % SLOTS],
                             .labels = loader->labels[index % SLOTS],
                             .count = size_of_batch(loader, index),
                             .index = index};
    return CLO_STATUS_OK;
}

size_t clo_loader_batches(const clo_loader *loader)
{
    return loader->batches;
}

static void stop(clo_loader *loader)
{
    clo_mutex_lock(loader->lock);
    loader->stop = true;
    clo_cond_wake_all(loader->changed);
    clo_mutex_unlock(loader->lock);
    (void)clo_thread_join(loader->thread); /* run cannot fail */
}

/* The slots hold plaintext. */
static void wipe_slots(clo_loader *loader)
{
    for (int i = 0; i < SLOTS; i++) {
        if (loader->images[i] != NULL) {
            clo_wipe(loader->images[i], loader->batch_size * loader->image_size * sizeof(float));
        }
        clo_free(loader->images[i]);
        clo_free(loader->labels[i]);
    }
}

void clo_loader_free(clo_loader *loader)
{
    if (loader == NULL) {
        return;
    }
    if (loader->thread != NULL) {
        stop(loader);
    }
    wipe_slots(loader);
    clo_cond_free(loader->changed);
    clo_mutex_free(loader->lock);
    clo_free(loader->order);
    clo_free(loader);
}
