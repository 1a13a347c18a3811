/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_ATTEST_QUOTE_V3_H
#define CLO_ATTEST_QUOTE_V3_H

/*
 * An SGX DCAP quote of version 3, cut into its fields. All integers are little-endian.
 *
 *     0    header[48]   version u16 | key type u16 | TEE type u32 | QE SVN u16 | PCE SVN u16 |
 *                       QE vendor[16] | user data[20]
 *     48   body[384]    the report of the program                  0..432 is what is signed
 *     432  size u32     of what follows; bytes behind it are padding and no part of the quote
 *     436  signature[64] | attestation key[64] | QE report[384] | its signature[64] |
 *          n u16 | QE auth[n] | certification type u16 | size u32 | certification data
 *
 * Invariant: parsing checks the layout and the declared sizes, and nothing else; what the fields
 * may hold is the verifier's business. Spans are borrowed from the quote's bytes.
 */
#include "cloister/attest.h"

#define CLO_QUOTE_HEADER_SIZE 48
#define CLO_REPORT_BODY_SIZE  384
#define CLO_CERT_TYPE_CHAIN   5 /* PEM chain; 1..3 name the platform only, 4 is the leaf alone */

/* Attribute flags. */
#define CLO_SGX_INIT           0x01u
#define CLO_SGX_DEBUG          0x02u
#define CLO_SGX_MODE64         0x04u
#define CLO_SGX_PROVISION_KEY  0x10u
#define CLO_SGX_EINITTOKEN_KEY 0x20u

typedef struct {
    uint8_t cpu_svn[16];
    uint8_t misc_select[4];
    uint8_t attributes[16]; /* flags u64, xfrm u64 */
    uint8_t measurement[32];
    uint8_t signer[32];
    uint8_t config_id[64];
    uint16_t product, svn;
    uint8_t report_data[64];
} clo_report_body;

typedef struct {
    uint16_t version, key_type;
    uint32_t tee_type;
    uint8_t vendor[16];
} clo_quote_header;

typedef struct {
    clo_quote_header header;
    clo_report_body body;
    clo_span signed_part;
    uint8_t signature[64];
    uint8_t attest_key[64];
    clo_span qe_report;
    clo_report_body qe_body;
    uint8_t qe_signature[64];
    clo_span qe_auth;
    uint16_t cert_type;
    clo_span cert;
    size_t surplus; /* bytes inside the declared size that belong to no field: must be 0 */
    size_t size;    /* of the quote without padding */
} clo_quote_v3;

/* Both: CLO_FORMAT naming the part that is too short. */
clo_status clo_quote_header_parse(clo_span quote, clo_quote_header *out_header);
clo_status clo_quote_v3_parse(clo_span quote, clo_quote_v3 *out_quote);

#endif
