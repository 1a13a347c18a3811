/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_ATTEST_PCK_CERT_H
#define CLO_ATTEST_PCK_CERT_H

/*
 * The chain of the PCK certificate (the platform's provisioning certification key), and what that
 * certificate says of the platform in the vendor's own extension.
 *
 *     leaf "SGX PCK Certificate" <- CA "SGX PCK Platform CA" | "... Processor CA" <- root
 *
 * Invariant: a chain that parsed has exactly one certificate in each place, ordered by issuer names
 * and never by position (old quotes carry leaf, root, CA). Nothing about signatures, times or trust
 * has been checked then.
 *
 * Ownership: the chain owns its three certificates.
 */
#include "cloister/attest.h"

#define CLO_SGX_EXTENSION_OID "1.2.840.113741.1.13.1"

typedef struct {
    clo_cert *leaf, *ca, *root;
} clo_pck_chain;

#define CLO_PCK_CHAIN_INIT ((clo_pck_chain){NULL, NULL, NULL})

/* CLO_FORMAT unless there are three certificates that name each other as issuers. */
clo_status clo_pck_chain_parse(clo_span pem, clo_pck_chain *out_chain);
void clo_pck_chain_cleanup(clo_pck_chain *chain);

/* CLO_FORMAT unless the names are those of a PCK chain, and exactly CA and root may sign others. */
clo_status clo_pck_chain_check(const clo_pck_chain *chain);

/* True when `needle` occurs in a name. */
bool clo_name_has(clo_span name, const char *needle);

typedef struct {
    uint8_t ppid[16];
    uint8_t components[16]; /* the SVNs that levels are matched with */
    uint16_t pce_svn;
    uint8_t cpu_svn[16];
    uint8_t pce_id[2];
    uint8_t fmspc[6];
    uint8_t sgx_type; /* 0 standard, 1 scalable, 2 scalable with integrity */
    bool has_platform_instance;
    uint8_t platform_instance[16];
    bool smt_enabled;
} clo_pck_extensions;

/* Reads the extension's value. CLO_FORMAT when a part is missing, doubled or not of its form. */
clo_status clo_pck_extensions_parse(clo_span value, clo_pck_extensions *out_extensions);

#endif
