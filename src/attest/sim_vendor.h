/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_ATTEST_SIM_VENDOR_H
#define CLO_ATTEST_SIM_VENDOR_H

/*
 * The simulated vendor, part by part: everything that Intel, a platform and its quoting enclave
 * sign for one SGX quote of version 3, made here from a description.
 *
 *     root ----signs----> platform CA ----signs----> PCK certificate (SGX extensions)
 *       |  \                  |                          | key signs
 *       |   root CRL      PCK CRL                    QE report --binds--> attestation key
 *       |                                                                    | signs
 *       +--signs--> TCB signer --signs--> TCB info, QE identity      header || report body
 *
 * A clo_sim_spec describes all of it. clo_sim_spec_init fills it with values under which evidence
 * is accepted and UpToDate; whoever wants one rule broken changes one field. So the simulator
 * itself (clo_sim_* in sim.h) and the tests that break single rules run the same code. A break that
 * no field describes is made with the `text`, `bytes` or `chain` fields, which replace a part
 * whole, or on the finished bytes.
 *
 * Invariants: the makers check nothing: they make what they are told, and sign it. Every name says
 * SIMULATOR. All of it is pure apart from the random numbers in keys, serials and signatures.
 *
 * Ownership: a vendor owns its keys and certificates until clo_sim_vendor_cleanup. Spans and texts
 * in a spec are borrowed while a function uses the spec.
 *
 * Usage sketch, a test of PCK_REVOKED:
 *
 *     clo_sim_spec spec;
 *     CLO_AUTO(clo_sim_vendor) vendor = CLO_SIM_VENDOR_INIT;
 *     CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
 *     clo_sim_spec_init(&spec, now);
 *     spec.cert[CLO_SIM_PCK].revoked = true;
 *     T_OK(clo_sim_vendor_make(&spec, &vendor));
 *     T_OK(clo_sim_evidence_make(&vendor, &spec, &evidence));
 *     request.anchors[0] = clo_sim_vendor_anchor(&vendor);
 */
#include "cloister/attest.h"

/* ---------------------------------------------------------------- the description ------------- */

typedef enum {
    CLO_SIM_ROOT_CA,
    CLO_SIM_PLATFORM_CA,
    CLO_SIM_PCK,
    CLO_SIM_SIGNER,
    CLO_SIM_PARTY_COUNT
} clo_sim_party;

typedef struct {
    const char *cn;
    const char *issuer_cn; /* NULL: the subject of the issuer's certificate */
    int64_t not_before, not_after;
    bool ca;          /* basicConstraints CA and keyCertSign */
    bool foreign_key; /* signed by a key that belongs to nobody */
    bool revoked;     /* its serial is in its issuer's list; not for the root */
} clo_sim_cert_spec;

/* What the PCK certificate says of the platform. */
typedef struct {
    uint8_t ppid[16];
    uint8_t components[16];
    uint16_t pce_svn;
    uint8_t cpu_svn[16];
    uint8_t pce_id[2];
    uint8_t fmspc[6];
    uint8_t sgx_type;
    uint8_t instance[16];
    bool dynamic_platform, cached_keys, smt;
    bool no_extension;  /* the certificate has no SGX extensions at all */
    clo_span extension; /* not empty: this DER instead */
} clo_sim_platform_spec;

typedef struct {
    clo_sim_party issuer; /* whose name it bears and whose key signs it */
    int64_t this_update, next_update;
    bool foreign_key;
    clo_span bytes; /* not empty: these instead of a DER list */
} clo_sim_crl_spec;

#define CLO_SIM_LEVELS 4

/* One TCB level; of the QE identity only `svn` (ISVSVN) and what follows count. */
typedef struct {
    uint8_t components[16];
    uint16_t svn;         /* PCESVN or ISVSVN */
    const char *status;   /* as the vendor spells it */
    const char *advisory; /* NULL: none */
    int64_t date;
} clo_sim_level;

/* What TCB info and QE identity have in common: a signed JSON document. */
typedef struct {
    const char *id; /* "SGX", "QE" */
    uint32_t version;
    int64_t issue, next_update;
    uint32_t evaluation;
    clo_sim_level levels[CLO_SIM_LEVELS];
    uint32_t level_count;
    bool foreign_key; /* signed by a key that belongs to nobody */
    bool altered;     /* the evaluation number changes after signing */
    clo_span text;    /* not empty: this text instead, signed as it is */
    clo_span chain;   /* not empty: this PEM instead of signer || root */
} clo_sim_document_spec;

typedef struct {
    clo_sim_document_spec document;
    uint8_t fmspc[6], pce_id[2];
} clo_sim_tcb_info_spec;

typedef struct {
    clo_sim_document_spec document;
    uint8_t misc_select[4], misc_mask[4];
    uint8_t attributes[16], attributes_mask[16];
    uint8_t signer[32]; /* all zero: the vendor's QE signer */
    uint16_t product;
} clo_sim_identity_spec;

/* An SGX report body. */
typedef struct {
    uint8_t cpu_svn[16];
    uint8_t misc_select[4];
    uint64_t flags, xfrm;
    uint8_t measurement[32];
    uint8_t signer[32]; /* all zero: the vendor's */
    uint8_t config_id[64];
    uint16_t product, svn;
    uint8_t report_data[64];
} clo_sim_report_spec;

#define CLO_SIM_AUTH_SIZE 32

typedef struct {
    uint16_t version, key_type;
    uint32_t tee_type;
    uint16_t qe_svn, pce_svn;
    uint8_t vendor[16];
    clo_sim_report_spec body;
    clo_sim_report_spec qe;  /* its report_data is computed, then `qe_data_xor` is applied */
    uint8_t qe_data_xor[64]; /* not zero: the QE report does not bind the attestation key */
    bool qe_foreign_key;     /* the QE report is not signed by the PCK key */
    bool foreign_key;        /* the quote is not signed by the attestation key */
    uint16_t cert_type;
    clo_sim_party order[3]; /* of the PEM chain */
    clo_span chain;         /* not empty: this certification data instead */
    uint32_t padding;       /* zero bytes behind the quote */
} clo_sim_quote_spec;

typedef struct {
    clo_sim_cert_spec cert[CLO_SIM_PARTY_COUNT];
    clo_sim_platform_spec platform;
    clo_sim_crl_spec root_crl, pck_crl;
    clo_span crl_chain; /* not empty: this PEM instead of platform CA || root */
    clo_sim_tcb_info_spec tcb_info;
    clo_sim_identity_spec identity;
    clo_sim_quote_spec quote;
} clo_sim_spec;

/* Everything as a healthy platform has it at `now`: certificates from a day before for ten years,
 * collateral from a day before for 30 days. */
void clo_sim_spec_init(clo_sim_spec *out_spec, int64_t now);
/* The time span of the two lists and two documents, all at once. */
void clo_sim_spec_set_collateral_time(clo_sim_spec *spec, int64_t issue, int64_t next_update);

/* ---------------------------------------------------------------- the vendor ------------------ */

typedef struct {
    clo_key *key[CLO_SIM_PARTY_COUNT];
    clo_cert *cert[CLO_SIM_PARTY_COUNT];
    clo_key *attest_key;   /* one for each start of a quoting process */
    uint8_t signer[32];    /* MRSIGNER of the programs it quotes */
    uint8_t qe_signer[32]; /* MRSIGNER of its quoting enclave */
} clo_sim_vendor;

#define CLO_SIM_VENDOR_INIT ((clo_sim_vendor){{NULL}, {NULL}, NULL, {0}, {0}})

/* New keys, and certificates as described. */
clo_status clo_sim_vendor_make(const clo_sim_spec *spec, clo_sim_vendor *out_vendor);
/* For a vendor whose keys and certificates were read from files: makes the rest. */
clo_status clo_sim_vendor_complete(clo_sim_vendor *vendor);
void clo_sim_vendor_cleanup(clo_sim_vendor *vendor);
/* The simulator's anchor: kind CLO_TEE_SIMULATOR, the root's key. */
clo_anchor clo_sim_vendor_anchor(const clo_sim_vendor *vendor);

/* ---------------------------------------------------------------- its parts ------------------- */

/* The value of OID 1.2.840.113741.1.13.1. */
clo_status clo_sim_extension_make(const clo_sim_platform_spec *platform, clo_buf *out_der);
/* PEM of these parties' certificates, in this order. */
clo_status clo_sim_chain_make(const clo_sim_vendor *vendor, const clo_sim_party *parties,
                              size_t count, clo_buf *out_pem);
/* The two lists, DER. */
clo_status clo_sim_root_crl_make(const clo_sim_vendor *vendor, const clo_sim_spec *spec,
                                 clo_buf *out_der);
clo_status clo_sim_pck_crl_make(const clo_sim_vendor *vendor, const clo_sim_spec *spec,
                                clo_buf *out_der);
/* The exact texts that are signed. */
clo_status clo_sim_tcb_info_make(const clo_sim_tcb_info_spec *spec, clo_buf *out_text);
clo_status clo_sim_identity_make(const clo_sim_vendor *vendor, const clo_sim_identity_spec *spec,
                                 clo_buf *out_text);
/* The whole container, as clo_evidence has it. */
clo_status clo_sim_collateral_make(const clo_sim_vendor *vendor, const clo_sim_spec *spec,
                                   clo_buf *out_json);
/* Quote v3: header || body || size || signature, key, QE report ... */
clo_status clo_sim_quote_make(const clo_sim_vendor *vendor, const clo_sim_quote_spec *spec,
                              clo_buf *out_quote);
/* Quote and collateral. */
clo_status clo_sim_evidence_make(const clo_sim_vendor *vendor, const clo_sim_spec *spec,
                                 clo_evidence *out_evidence);

#endif
