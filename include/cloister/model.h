/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_MODEL_H
#define CLOISTER_MODEL_H

/*
 * model: architectures, and the files that hold weights.
 *
 * An architecture is one row of a const table: its name, its input, and a function that builds its
 * graph through the public builder of tensor.h - nothing here is known to the engine. Weight names
 * are those of the ecosystem the architecture comes from, so that published checkpoints load.
 *
 * Weights are kept as safetensors (an 8-byte little-endian header length, a JSON header, then the
 * tensors back to back). The reader refuses everything on the format's own abuse list: a header
 * larger than the file or 100 MiB, duplicate names, offsets that overlap, leave holes or do not
 * cover the buffer, a shape whose bytes are not the offsets' difference.
 *
 * Threads: everything here is pure or works on the caller's objects.
 *
 *     const clo_architecture *a = clo_architecture_find("mnist-cnn");
 *     CLO_TRY(a->build(graph));
 */
#include "cloister/tensor.h"

/* Names of the values a caller feeds and reads; all are clo_program_input / _output names. */
#define CLO_IO_IMAGES "images" /* float32 [N, C, H, W], 0..1 */
#define CLO_IO_LABELS "labels" /* int32 [N] */
#define CLO_IO_LOGITS "logits" /* float32 [N, classes] */
#define CLO_IO_LOSS   "loss"   /* float32 scalar, mean over the batch */

typedef struct {
    const char *name;
    const char *summary;
    int channels, height, width, classes;
    /* Adds inputs, parameters, logits and loss to `graph`. Not differentiated. */
    clo_status (*build)(clo_graph *graph);
} clo_architecture;

size_t clo_architecture_count(void);
const clo_architecture *clo_architecture_get(size_t index);
const clo_architecture *clo_architecture_find(const char *name); /* NULL when unknown */

/* Appends the store's parameters as safetensors. `metadata` pairs (name, text, ..., NULL) go into
 * "__metadata__"; NULL for none. */
clo_status clo_safetensors_write(clo_store *store, const char *const *metadata, clo_buf *out);

/* Fills the store from safetensors bytes. CLO_FORMAT when the file is malformed, or when its set of
 * names, shapes or types is not exactly the store's (the message names the first difference); the
 * store is then unchanged. */
clo_status clo_safetensors_read(clo_span file, clo_store *store);

/* One entry of a file, for tools and other readers; borrowed from `file`. */
typedef struct {
    clo_span name;
    char dtype[8];
    clo_shape shape;
    clo_span data;
} clo_safetensor;

/* All entries in file order, in `arena`. */
clo_status clo_safetensors_list(clo_span file, clo_arena *arena, clo_safetensor **out_tensors,
                                size_t *out_count);

/* gzip (RFC 1952) to plain bytes, appended; at most out->limit bytes in all. The package's datasets
 * come compressed; owners unpack them before sealing. */
clo_status clo_gunzip(clo_span file, clo_buf *out);

#endif
