/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_SEAL_OUTPUT_HEADER_H
#define CLO_SEAL_OUTPUT_HEADER_H

/*
 * The signed header of an output, and the file around it:
 *
 *     magic[8] 89 'C' 'L' 'O' 'O' 'U' 'T' 'P' | u16 version 1 | u32 size | DSSE envelope
 *         | commitment and chunks of 64 KiB (chunk.h), whose header is everything before them
 *
 *     payload: {"what", "format": names, "manifest", "transcript": hex, "inputs": [hex, ...],
 *               "certificates": PEM, "mac": hex,
 *               "recipients": [{"key": id, "enc": hex, "sealed": hex}, ...]}
 *
 * A recipient's row is the file key under HPKE (RFC 9180 base mode, see crypto.h) with
 *     info = "cloister output key v1", associated = signer's key id || manifest || transcript,
 * so that a row moved into somebody else's header does not open. mac = HMAC-SHA256(file key,
 * plain): the signature thereby covers the contents too, against another recipient, who has the
 * file key as well and could seal other contents; to those without the key it tells nothing.
 */
#include "cloister/seal.h"

enum {
    CLO_OUTPUT_VERSION = 1,
    CLO_OUTPUT_ENVELOPE_MAX = 256 << 10,
    CLO_OUTPUT_CERTIFICATES_MAX = 64 << 10,
    CLO_OUTPUT_WRAPPED = CLO_AEAD_KEY + CLO_AEAD_TAG
};

typedef struct {
    uint8_t key[32]; /* the recipient's key id */
    uint8_t enc[CLO_HPKE_ENC];
    uint8_t sealed[CLO_OUTPUT_WRAPPED];
} clo_output_recipient;

typedef struct {
    clo_output_header header; /* certificates borrow from the arena given to parse */
    uint8_t mac[32];
    clo_output_recipient recipients[CLO_OUTPUT_RECIPIENT_MAX];
    size_t recipient_count;
} clo_output_payload;

/* CLO_INVALID when a field has not its form. */
clo_status clo_output_payload_write(const clo_output_payload *payload, clo_buf *out);
clo_status clo_output_payload_parse(clo_span json, clo_arena *arena,
                                    clo_output_payload *out_payload);

/* An output cut into its parts, all borrowed. */
typedef struct {
    clo_span head; /* everything before the commitment */
    clo_span envelope;
    clo_span commit;
    clo_span body;
} clo_output_parts;

void clo_output_head_write(clo_span envelope, clo_buf *out);
clo_status clo_output_parts_parse(clo_span file, clo_output_parts *out_parts);

#endif
