/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_DATA_IDX_H
#define CLOISTER_DATA_IDX_H

/*
 * The header of an IDX file (yann.lecun.com/exdb/mnist), the part of it that MNIST's family uses:
 * unsigned bytes in one or three dimensions, big-endian.
 *
 *     images   u32 0x00000803 | u32 count | u32 height | u32 width | count * height * width bytes
 *     labels   u32 0x00000801 | u32 count | count bytes
 *
 * Invariant: a header that was accepted describes exactly the bytes that are there.
 *
 * Threads: pure.
 */
#include "cloister/base.h"

typedef enum { CLO_IDX_IMAGES, CLO_IDX_LABELS } clo_idx_kind;

#define CLO_IDX_HEADER_MAX 16

typedef struct {
    size_t header_size;   /* where the records begin */
    size_t count;         /* records */
    size_t height, width; /* 1 x 1 for labels */
} clo_idx_header;

/* "images" or "labels", for messages. */
const char *clo_idx_kind_name(clo_idx_kind kind);

/* Parses the header at the start of `head` (the first CLO_IDX_HEADER_MAX bytes of the file, or
 * fewer when it is shorter) of a file of `file_size` bytes. CLO_FORMAT with kind, expected and
 * found; CLO_LIMIT above the caps of data.h. */
clo_status clo_idx_header_parse(clo_idx_kind kind, clo_span head, uint64_t file_size,
                                clo_idx_header *out_header);

#endif
