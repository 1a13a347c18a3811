/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_ATTEST_H
#define CLOISTER_ATTEST_H

/*
 * attest: what evidence is, who makes it, how it is verified, and what is then believed.
 *
 *     maker ---evidence + collateral---> verifier ---claims + verdict---> appraisal ---verdict
 *     (in the TEE)                       (pure: bytes, time, anchors)     (a policy over claims)
 *
 * Vocabulary (RFC 9334). *Evidence* is a quote signed by the platform. *Collateral* is what the
 * vendor signed about that platform: certificates, revocation lists, TCB levels. *Claims* are what
 * a verified quote says. *Appraisal* compares claims with a policy. A *verdict* is the typed result
 * of both, with every check made, expected and actual. An *anchor* is a root key that the verifier
 * was told to trust, and the kind of TEE that it stands for.
 *
 * Invariants:
 *   - report_data is never chosen by a caller: clo_report_data makes it from a purpose and a fixed
 *     layout. A person can only get the purpose user-data.
 *   - Verification is pure: no network, no clock, no environment. Time, anchors and floors are
 *     inputs.
 *   - What kind of TEE it was comes from the anchor, never from the quote: evidence under the
 *     simulator's root is CLO_TEE_SIMULATOR whatever it looks like.
 *   - Every rule is one row of the rule table; a check that is not in the table does not exist.
 *   - Empty lists in a policy deny.
 *
 * Threads: everything is pure except makers; a maker belongs to one thread at a time.
 */
#include "cloister/crypto.h"

/* ---------------------------------------------------------------- kinds and purposes ---------- */

typedef enum { CLO_TEE_NONE = 0, CLO_TEE_SIMULATOR, CLO_TEE_SGX, CLO_TEE_COUNT } clo_tee_kind;

const char *clo_tee_name(clo_tee_kind kind); /* "simulator", "sgx" ... */
clo_status clo_tee_parse(clo_span name, clo_tee_kind *out_kind);

typedef enum {
    CLO_PURPOSE_CHANNEL = 1,
    CLO_PURPOSE_BROKER_IDENTITY,
    CLO_PURPOSE_USER_DATA,
    CLO_PURPOSE_COUNT
} clo_purpose;

#define CLO_REPORT_DATA_SIZE 64

/* SHA-512(32-byte purpose label || layout): the only way to a report_data. trust.md section 2. */
clo_status clo_report_data(clo_purpose purpose, clo_span layout, uint8_t out_report_data[64]);

/* ---------------------------------------------------------------- evidence -------------------- */

#define CLO_EVIDENCE_MAX   (64 * 1024)
#define CLO_COLLATERAL_MAX (256 * 1024)

/* What travels: the quote as the platform gave it, and the collateral as JSON with the members
 * pck_crl_issuer_chain, root_ca_crl, pck_crl, tcb_info_issuer_chain, tcb_info, tcb_info_signature,
 * qe_identity_issuer_chain, qe_identity, qe_identity_signature (chains PEM, CRLs hex DER, documents
 * as the exact signed text, signatures hex r||s), and pck_certificate_chain for quotes that do not
 * carry it themselves. */
typedef struct {
    clo_buf quote;
    clo_buf collateral;
} clo_evidence;

#define CLO_EVIDENCE_INIT                                                                          \
    ((clo_evidence){CLO_BUF_LIMIT(CLO_EVIDENCE_MAX), CLO_BUF_LIMIT(CLO_COLLATERAL_MAX)})
void clo_evidence_cleanup(clo_evidence *evidence);

/* As a file: a RATS conceptual message wrapper collection in JSON,
 * {"__cmwc_t":"tag:cloister,2026:evidence","quote":[media type, base64url],"collateral":[...]}; raw
 * quotes are read too (without collateral). Appends to `out`. */
clo_status clo_evidence_write(const clo_evidence *evidence, clo_buf *out);
clo_status clo_evidence_parse(clo_span file, clo_evidence *out_evidence);

/* ---------------------------------------------------------------- makers ---------------------- */

typedef struct clo_maker clo_maker;

/* A backend introduces itself; the table that joins them is const and belongs to the program
 * (cli/). `insecure` makers are logged at start and exist only in builds that allow them. */
typedef struct {
    const char *name; /* "sim" */
    const char *summary;
    const char *config_help; /* what stands behind the colon */
    const char *insecure;    /* NULL, or the insecure_ option this is: "insecure_simulator" */
    clo_status (*open)(const char *config, void **out_state);
    /* A quote over exactly `report_data`, and its collateral. */
    clo_status (*quote)(void *state, const uint8_t report_data[64], clo_deadline deadline,
                        clo_evidence *out_evidence);
    void (*close)(void *state);
} clo_maker_ops;

/* Opens "name:config" from a table ended by a NULL. CLO_NOTFOUND lists the names there are. */
clo_status clo_maker_open(const clo_maker_ops *const *table, const char *name_and_config,
                          clo_maker **out_maker);
void clo_maker_close(clo_maker *maker);
CLO_DEFINE_AUTO_PTR(clo_maker, clo_maker_close);
const clo_maker_ops *clo_maker_get_ops(const clo_maker *maker);
/* Makes evidence for a purpose and its layout, and checks that the quote carries the report_data
 * that was asked for (a maker that returns a stale quote is CLO_ATTEST). */
clo_status clo_maker_quote(clo_maker *maker, clo_purpose purpose, clo_span layout,
                           clo_deadline deadline, clo_evidence *out_evidence);

/* ---------------------------------------------------------------- rules and verdicts ---------- */

/* The rules of DCAP verification and of appraisal, in the order they are applied. Names are those
 * printed and tested ("PCK_REVOKED"). A rule may be asked of several things (a time of each
 * certificate chain); QUOTE_FORMAT is asked of the header first and of the rest once its version is
 * known. */
typedef enum {

#define CLO_RULE(id, summary) CLO_RULE_##id,
#include "cloister/attest_rules.inc"
#undef CLO_RULE
    CLO_RULE_COUNT
} clo_rule;

const char *clo_rule_name(clo_rule rule);
const char *clo_rule_summary(clo_rule rule);
/* Production's answer is true. A test program defines this symbol itself to switch one rule off and
 * see that some test then fails; it stands alone in its object file for that. */
bool clo_rule_is_on(clo_rule rule);

typedef enum { CLO_CHECK_PASSED, CLO_CHECK_FAILED, CLO_CHECK_NOT_APPLICABLE } clo_check_outcome;

typedef struct {
    clo_rule rule;
    clo_check_outcome outcome;
    char expected[96];
    char actual[96];
    char source[48]; /* where the actual value came from: "quote", "pck certificate" ... */
} clo_check;

typedef enum {
    CLO_TCB_UNKNOWN = 0,
    CLO_TCB_UP_TO_DATE,
    CLO_TCB_SW_HARDENING_NEEDED,
    CLO_TCB_CONFIGURATION_NEEDED,
    CLO_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED,
    CLO_TCB_OUT_OF_DATE,
    CLO_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED,
    CLO_TCB_REVOKED,
    CLO_TCB_COUNT
} clo_tcb_status;

const char *clo_tcb_name(clo_tcb_status status); /* "SWHardeningNeeded": Intel's spelling */
clo_status clo_tcb_parse(clo_span name, clo_tcb_status *out_status);

#define CLO_MAX_ADVISORIES 64

/* What verified evidence says. Arrays are as in the quote (memory order). */
typedef struct {
    clo_tee_kind tee;    /* from the anchor */
    uint8_t root_id[32]; /* SHA-256 of the anchor's SPKI */
    bool debug;
    uint8_t measurement[32]; /* MRENCLAVE */
    uint8_t signer[32];      /* MRSIGNER */
    uint16_t product, svn;
    uint8_t config_id[64];
    uint8_t cpu_svn[16];
    uint64_t attribute_flags, xfrm;
    uint8_t report_data[64];
    clo_tcb_status tcb; /* converged: platform level and QE */
    clo_tcb_status platform_tcb, qe_tcb;
    int64_t tcb_date;
    uint32_t tcb_evaluation, qe_evaluation;
    uint64_t root_crl_number, pck_crl_number;
    char advisory[CLO_MAX_ADVISORIES][20]; /* platform level's, then QE's; no duplicates */
    uint32_t advisory_count;
    uint8_t fmspc[6], pce_id[2], ppid[16];
    bool has_platform_instance, smt_enabled;
    uint8_t platform_instance[16];
    uint8_t platform_id[32]; /* see clo_claims_platform_id */
    uint8_t pck_serial[20];
    uint8_t pck_serial_size;
    int64_t earliest_issue;  /* of what is issued monthly: PCK CRL, TCB info, QE identity */
    int64_t earliest_expiry; /* of all collateral and certificates */
    size_t quote_size;       /* padding behind it is not part of the quote */
} clo_claims;

/* SHA-256("cloister platform" || PPID || FMSPC || platform instance): stable for one machine. A
 * copy of what verification computed. */
void clo_claims_platform_id(const clo_claims *claims, uint8_t out_id[32]);

#define CLO_MAX_CHECKS 96

typedef struct {
    bool accepted;     /* every rule applied passed */
    clo_rule failed;   /* the first that did not; CLO_RULE_COUNT when accepted */
    clo_claims claims; /* valid when `has_claims` */
    bool has_claims;
    clo_check checks[CLO_MAX_CHECKS];
    uint32_t check_count;
} clo_verdict;

/* CLO_OK when accepted; otherwise CLO_ATTEST (evidence) or CLO_POLICY (appraisal) with the failed
 * rule's name, expected and actual in the message. */
clo_status clo_verdict_status(const clo_verdict *verdict);
/* A table for people, and the same as a JSON object. */
clo_status clo_verdict_explain(const clo_verdict *verdict, clo_buf *out);
void clo_verdict_json(const clo_verdict *verdict, clo_json_writer *writer, const char *name);

/* ---------------------------------------------------------------- verification ---------------- */

typedef struct {
    clo_tee_kind tee;
    uint8_t spki_sha256[32];
} clo_anchor;

#define CLO_MAX_ANCHORS 8

/* Intel's SGX root, pinned by the SHA-256 of its public key; the only built-in anchor. */
extern const clo_anchor CLO_ANCHOR_INTEL_SGX;

/* Collateral below these is refused: old but unexpired collateral downgrades verdicts. */
typedef struct {
    uint32_t min_evaluation; /* of TCB info and QE identity */
    uint64_t min_crl_number; /* of both lists */
    int64_t min_issue;       /* of TCB info and QE identity */
} clo_collateral_floors;

typedef struct {
    clo_span quote;
    clo_span collateral; /* empty: COLLATERAL_MISSING */
    int64_t at;          /* Unix seconds */
    clo_anchor anchors[CLO_MAX_ANCHORS];
    uint32_t anchor_count;
    clo_collateral_floors floors;
} clo_verify_request;

/* DCAP quotes version 3 (SGX) by the algorithm of Intel's quote verification library: structure,
 * PCK chain, CRLs, TCB info, QE identity, QE report, quote signature, TCB levels. Stops at the
 * first failed rule. The status says only that verification could be done (CLO_NOMEM, CLO_BUG
 * otherwise); the answer is in the verdict. */
clo_status clo_evidence_verify(const clo_verify_request *request, clo_verdict *out_verdict);

/* Quote fields without verification, for `explain` and for makers' own check. CLO_FORMAT. */
clo_status clo_quote_peek_report_data(clo_span quote, uint8_t out_report_data[64]);
clo_status clo_quote_peek_measurement(clo_span quote, uint8_t out_measurement[32]);

/* ---------------------------------------------------------------- appraisal ------------------- */

#define CLO_MAX_LIST 32

/* Which program may run, by code identity or by signer. */
typedef struct {
    uint8_t signer[32];
    uint16_t product, min_svn;
} clo_signer_rule;

/* Conditions over claims; every list denies when empty (either of measurements or signers may be
 * empty if the other is not). Built from JSON by clo_appraisal_parse. */
typedef struct {
    clo_tee_kind tees[CLO_TEE_COUNT];
    uint32_t tee_count;
    uint8_t measurements[CLO_MAX_LIST][32];
    uint32_t measurement_count;
    clo_signer_rule signers[CLO_MAX_LIST];
    uint32_t signer_count;
    clo_tcb_status tcb_statuses[CLO_TCB_COUNT];
    uint32_t tcb_status_count;
    char advisories[CLO_MAX_LIST][20]; /* tolerated ones; any other is refused */
    uint32_t advisory_count;
    uint8_t platforms[CLO_MAX_LIST][32]; /* platform ids; none listed: any platform */
    uint32_t platform_count;
    uint32_t min_evaluation;
    uint64_t max_collateral_age_s; /* 0: until it expires */
    bool insecure_allow_debug;
} clo_appraisal;

/* Reads
 * {"tees":[..],"measurements":[hex..],"signers":[{signer,product,min_svn}],"tcb_statuses":[..],
 * "advisories":[..],"platforms":[hex..],"min_evaluation":n,"max_collateral_age_s":n,
 * "insecure_allow_debug":bool}; absent lists are empty. Unknown members are refused. */
clo_status clo_appraisal_parse(const clo_json *object, clo_appraisal *out_appraisal);
void clo_appraisal_json(const clo_appraisal *appraisal, clo_json_writer *writer, const char *name);

/* Adds all appraisal checks to a verdict that verification accepted, and may turn it; a verdict
 * that refuses already is left as it is. `at` as in the request. */
void clo_appraise(const clo_appraisal *appraisal, int64_t at, clo_verdict *verdict);

#endif
