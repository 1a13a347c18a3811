/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_SEAL_SINK_H
#define CLO_SEAL_SINK_H

/*
 * Plain bytes in, header, commitment and chunks out to a file: the writing half of chunk.h, used by
 * sealed files and by outputs.
 *
 *     begin (header, commitment) -> write ... -> finish (the last chunk)
 *
 * A full chunk waits until more comes, because only then is it known not to be the last. An error
 * is kept: after one, nothing more is written and finish fails.
 *
 * Ownership: the sink has the key and its buffers until cleanup, and borrows the descriptor.
 */
#include "chunk.h"

typedef struct {
    int fd;
    clo_aead *aead;
    clo_hash *tags; /* of header || tags so far */
    clo_buf plain;  /* the chunk being filled */
    clo_buf sealed;
    size_t chunk;
    uint64_t index;
    bool failed, finished;
} clo_seal_sink;

#define CLO_SEAL_SINK_INIT ((clo_seal_sink){.fd = -1})
void clo_seal_sink_cleanup(clo_seal_sink *sink);

/* Writes header and commitment to `fd`. */
clo_status clo_seal_sink_begin(clo_seal_sink *sink, int fd, clo_span header, uint8_t log2_chunk,
                               const clo_secret *file_key);
clo_status clo_seal_sink_write(clo_seal_sink *sink, clo_span plain);
/* `out_digest` may be NULL: SHA-256(header || all tags). */
clo_status clo_seal_sink_finish(clo_seal_sink *sink, uint8_t out_digest[32]);

#endif
