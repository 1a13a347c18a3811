/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_DATA_H
#define CLOISTER_DATA_H

/*
 * data: from sealed files to batches.
 *
 *     sealed reader --> dataset (decoded once, in memory) --> sampler (order) --> loader (batches)
 *
 * A dataset is labelled images kept as bytes; a sampler is the order in which one rank sees it in
 * one epoch; a loader fills batch tensors a few ahead in a thread of its own. Plaintext lives only
 * in this process's memory.
 *
 * Invariants: counts declared by a file equal the records that are there, or it is refused; the
 * ranks of one epoch see every sample, and each its own share; in training all shares are equal, so
 * that the mean over ranks of their batches' means is the mean over the global batch.
 *
 * Threads: a dataset and a sampler are immutable once made and may be shared; a loader belongs to
 * the thread that takes batches.
 */
#include "cloister/seal.h"
#include "cloister/tensor.h"

/* ---------------------------------------------------------------- dataset --------------------- */

typedef struct clo_dataset clo_dataset;

#define CLO_DATASET_BYTES_MAX   ((size_t)4 << 30) /* pixels held in memory */
#define CLO_DATASET_SIDE_MAX    4096              /* height and width */
#define CLO_DATASET_CLASSES_MAX 256               /* IDX labels are bytes */

/* Reads an IDX pair (yann.lecun.com: big-endian magic 0x00000803 images, 0x00000801 labels) from
 * two unlocked sealed readers. `classes`: labels must be below it. CLO_FORMAT names file, expected
 * and found; CLO_LIMIT above the caps. The plaintext is wiped by free. */
clo_status clo_dataset_read_idx(clo_seal_reader *images, clo_seal_reader *labels, int classes,
                                clo_dataset **out_dataset);
/* The same from plain bytes, for owners' tools and tests. */
clo_status clo_dataset_parse_idx(clo_span images, clo_span labels, int classes,
                                 clo_dataset **out_dataset);
void clo_dataset_free(clo_dataset *dataset);
CLO_DEFINE_AUTO_PTR(clo_dataset, clo_dataset_free);

size_t clo_dataset_count(const clo_dataset *dataset);
/* [channels, height, width] of one sample. */
clo_shape clo_dataset_shape(const clo_dataset *dataset);
/* The samples at `indices` as float32 [count, C, H, W] in 0..1 (torchvision's ToTensor) and int32
 * labels [count]. */
void clo_dataset_gather(const clo_dataset *dataset, const uint32_t *indices, size_t count,
                        float *out_images, int32_t *out_labels);

/* ---------------------------------------------------------------- sampler --------------------- */

/*
 * The order of one epoch for one rank, as torch's DistributedSampler (shuffle, drop_last false): a
 * permutation made from seed and epoch, padded from its start to a multiple of the world size, of
 * which rank r takes r, r + W, r + 2W ... The permutation is Fisher-Yates over clo_random_u32, so
 * it is the same on every machine. With one rank nothing is padded.
 *
 *     count 7, world 3, padded   p0 p1 p2 p3 p4 p5 p6 p0 p1     rank 1: p1 p4 p0
 *                       exact    p0 p1 p2 p3 p4 p5 p6           rank 1: p1 p4
 *
 * `exact` leaves the padding out, so that every sample counts once: evaluation needs it for a true
 * accuracy; training must not have it, because all ranks must take the same number of steps.
 */
typedef struct {
    size_t count; /* samples of the dataset, below 2^32 */
    uint64_t seed;
    uint32_t rank, world;
    bool shuffle;
    bool exact;
} clo_sampler;

size_t clo_sampler_share(const clo_sampler *sampler); /* indices this rank gets an epoch */
/* Writes the share's indices. CLO_INVALID for a rank outside the world. */
clo_status clo_sampler_order(const clo_sampler *sampler, uint64_t epoch, uint32_t *out_indices);

/* ---------------------------------------------------------------- loader ---------------------- */

typedef struct clo_loader clo_loader;

typedef struct {
    const float *images; /* [count, C, H, W], valid until the next call */
    const int32_t *labels;
    size_t count; /* batch size, less in the last batch */
    size_t index; /* of the batch in the epoch */
} clo_batch;

/* Starts a thread that keeps up to two batches ready, beginning at batch `first` (resume), which
 * may be the number of batches: then there is nothing left. Borrows the dataset. */
clo_status clo_loader_new(const clo_dataset *dataset, const clo_sampler *sampler, uint64_t epoch,
                          size_t batch_size, size_t first, clo_loader **out_loader);
/* CLO_EOF after the last batch. */
clo_status clo_loader_next(clo_loader *loader, clo_batch *out_batch);
size_t clo_loader_batches(const clo_loader *loader); /* of the whole epoch */
void clo_loader_free(clo_loader *loader);            /* stops the thread */
CLO_DEFINE_AUTO_PTR(clo_loader, clo_loader_free);

#endif
