/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_SEAL_CHUNK_H
#define CLO_SEAL_CHUNK_H

/*
 * What follows a header, the same in sealed files and outputs:
 *
 *     commit[32] | cipher 0, tag[16] | cipher 1, tag[16] | ... | cipher n-1, tag[16]
 *
 *     enc || commit = HKDF-Expand-SHA512(file key, "cloister seal v1" || SHA-256(header), 64)
 *     nonce i       = 7 zero bytes || u32 i || u8 (i is the last)         AES-256-GCM, no
 * associated
 *
 * Every chunk but the last is full; the last has at least one byte unless the whole is empty. So
 * the size of the body alone says how many chunks there are, and decrypting the last one with the
 * last byte of its nonce set says that this size is right. This follows STREAM (Hoang,
 * Reyhanitabar, Rogaway, Vizár 2015).
 *
 * Invariant: a key encrypts one header's body once, so nonces never repeat.
 */
#include "cloister/seal.h"

enum { CLO_SEAL_COMMIT = 32, CLO_SEAL_TAG = CLO_AEAD_TAG };

/* The AEAD of a header's body and its commitment. */
clo_status clo_seal_keys_derive(const clo_secret *file_key, clo_span header, clo_aead **out_aead,
                                uint8_t out_commit[CLO_SEAL_COMMIT]);
/* The same, and compares the commitment. CLO_CRYPTO, the same for every wrong key and commitment.
 */
clo_status clo_seal_keys_check(const clo_secret *file_key, clo_span header,
                               const uint8_t commit[CLO_SEAL_COMMIT], clo_aead **out_aead);

/* `out` takes plain.size + CLO_SEAL_TAG bytes. */
clo_status clo_seal_chunk_seal(clo_aead *aead, uint64_t index, bool last, clo_span plain,
                               uint8_t *out);
/* `sealed` ends with its tag; `out` takes sealed.size - CLO_SEAL_TAG bytes and is wiped when the
 * tag does not hold: CLO_CRYPTO naming the chunk. */
clo_status clo_seal_chunk_open(clo_aead *aead, uint64_t index, bool last, clo_span sealed,
                               uint8_t *out);

/* How a body of some size is cut. */
typedef struct {
    uint64_t chunks; /* 1 .. 2^32 */
    uint64_t size;   /* plain bytes */
    size_t chunk;    /* plain bytes of a full chunk */
    size_t last;     /* plain bytes of the last one */
} clo_seal_shape;

/* CLO_FORMAT when no body has `body` bytes (commitment not counted). */
clo_status clo_seal_shape_of(uint64_t body, uint8_t log2_chunk, clo_seal_shape *out_shape);

#endif
