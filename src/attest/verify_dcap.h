/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_ATTEST_VERIFY_DCAP_H
#define CLO_ATTEST_VERIFY_DCAP_H

/*
 * One verification under way: what is read and believed so far, handed from step to step.
 *
 *     step           believes afterwards
 *     structure      the quote's layout                        verify_dcap.c
 *     pck_chain      the platform's certificate, its TCB       verify_dcap_chain.c
 *     revocation     that nobody in the chain was revoked      verify_dcap_chain.c
 *     documents      TCB info and QE identity                  verify_dcap_document.c
 *     quoting        the quoting enclave, then the quote       verify_dcap_levels.c
 *     levels         what the TCB levels say                   verify_dcap_levels.c
 *
 * Invariants: a step uses only what an earlier step has established; every question it asks is a
 * line of the verdict; CLO_ATTEST from a step means that the verdict says why.
 */
#include "collateral.h"
#include "pck_cert.h"
#include "qe_identity.h"
#include "quote_v3.h"
#include "tcb_info.h"
#include "verdict.h"

typedef struct {
    const clo_verify_request *request;
    clo_verdict *verdict;
    clo_arena arena;
    clo_quote_v3 quote;
    clo_collateral collateral;
    clo_pck_chain chain;
    clo_pck_extensions pck;
    clo_crl *root_crl, *pck_crl;
    clo_cert *signer; /* of the document being looked at */
    clo_tcb_info tcb_info;
    clo_qe_identity qe_identity;
} clo_dcap;

clo_status clo_dcap_pck_chain(clo_dcap *d);
clo_status clo_dcap_revocation(clo_dcap *d);
clo_status clo_dcap_documents(clo_dcap *d);
clo_status clo_dcap_quoting(clo_dcap *d);
clo_status clo_dcap_levels(clo_dcap *d);

/* The verdict's claims are gathered as they become believed; these two narrow the ages. */
void clo_dcap_saw_issue(clo_dcap *d, int64_t issue);
void clo_dcap_saw_expiry(clo_dcap *d, int64_t expiry);

/* A span of validity against the request's time, as two rules. */
clo_status clo_dcap_check_time(clo_dcap *d, clo_rule early_rule, clo_rule late_rule,
                               const char *source, const int64_t validity[2]);

/* The quote's two own signatures, also used without collateral by tests on recorded quotes. */
clo_status clo_quote_check_signature(const clo_quote_v3 *quote);
clo_status clo_quote_check_binding(const clo_quote_v3 *quote);

#endif
