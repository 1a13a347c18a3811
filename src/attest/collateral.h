/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_ATTEST_COLLATERAL_H
#define CLO_ATTEST_COLLATERAL_H

/*
 * Collateral: what the vendor signed about a platform, as one JSON object (attest.h names the
 * members; the form is dcap-qvl's). Parsing finds the members and decodes the two signatures;
 * nothing in it is believed before the verifier has followed its signatures.
 *
 * Ownership: spans are borrowed from the JSON text and from the arena.
 */
#include "cloister/attest.h"

/* A JSON document, the signature over its exact bytes, and the signer's certificates. */
typedef struct {
    clo_span chain; /* PEM, signer and root */
    clo_span text;
    uint8_t signature[64];
} clo_signed_document;

typedef struct {
    clo_span pck_chain; /* PEM; only for quotes that do not carry it, else empty */
    clo_span pck_crl_issuer_chain;
    clo_span root_crl, pck_crl;
    clo_signed_document tcb_info, qe_identity;
} clo_collateral;

/* CLO_FORMAT when a member is missing, unknown, empty or not of its form. */
clo_status clo_collateral_parse(clo_span json, clo_arena *arena, clo_collateral *out_collateral);

#endif
