/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two signed documents, TCB info and QE identity. Both go the same way: the signer's
 * certificate under the same root as the platform's, the signature over the exact bytes, and only
 * then are those bytes parsed; validity and floors follow. A table row says which rules are whose.
 */
#include "verify_dcap.h"

#include <string.h>

enum { SIGNER_CHAIN = 2 };

typedef struct {
    const char *name, *signer_name;
    clo_rule chain, signature, early, late, floor;
} document_kind;

static const document_kind tcb_info_kind = {
    "tcb info",
    "tcb info signer",
    CLO_RULE_TCB_SIGNER_CHAIN,
    CLO_RULE_TCB_INFO_SIGNATURE,
    CLO_RULE_TCB_INFO_NOT_YET_VALID,
    CLO_RULE_TCB_INFO_EXPIRED,
    CLO_RULE_TCB_INFO_FLOOR,
};

static const document_kind qe_identity_kind = {
    "qe identity",
    "qe identity signer",
    CLO_RULE_QE_SIGNER_CHAIN,
    CLO_RULE_QE_IDENTITY_SIGNATURE,
    CLO_RULE_QE_IDENTITY_NOT_YET_VALID,
    CLO_RULE_QE_IDENTITY_EXPIRED,
    CLO_RULE_QE_IDENTITY_FLOOR,
};

/* The signer out of {signer, root} in either order. The root in it must be the PCK chain's by key;
 * nothing else of that certificate is used. */
static clo_status parse_signer(clo_span pem, const clo_cert *root, clo_cert **out_signer)
{
    clo_cert *certs[SIGNER_CHAIN] = {NULL};
    size_t count = 0;
    CLO_TRY(clo_cert_parse_pem_chain(pem, SIGNER_CHAIN, certs, &count));
    CLO_AUTO_PTR(clo_cert) first = certs[0];
    CLO_AUTO_PTR(clo_cert) second = certs[1];
    CLO_CHECK(count == SIGNER_CHAIN, CLO_FORMAT, "chain has %zu certificates, expected 2", count);
    bool swapped = clo_span_equal(clo_cert_spki(first), clo_cert_spki(root));
    const clo_cert *top = swapped ? first : second;
    CLO_CHECK(clo_span_equal(clo_cert_spki(top), clo_cert_spki(root)), CLO_FORMAT,
              "chain has another root than the PCK chain");
    *out_signer = swapped ? CLO_TAKE(second) : CLO_TAKE(first);
    return CLO_STATUS_OK;
}

/* The vendor has one signer for both documents: an equal chain is not parsed again, which is a
 * tenth of a verification's time. What it must be is asked for each document all the same. */
static clo_status read_signer(clo_dcap *d, const clo_signed_document *document)
{
    if (d->signer != NULL && clo_span_equal(document->chain, d->collateral.tcb_info.chain)) {
        return CLO_STATUS_OK;
    }
    clo_cert_free(CLO_TAKE(d->signer));
    return parse_signer(document->chain, d->chain.root, &d->signer);
}

static clo_status check_signer(const clo_cert *signer, const clo_cert *root)
{
    CLO_CHECK(clo_span_equal(clo_cert_issuer_der(signer), clo_cert_subject_der(root)), CLO_FORMAT,
              "signer is not issued in the root's name");
    CLO_CHECK(clo_name_has(clo_cert_subject_cn(signer), "SGX TCB Signing"), CLO_FORMAT,
              "signer is not named a TCB signer");
    CLO_CHECK(!clo_cert_is_ca(signer), CLO_FORMAT, "signer is allowed to sign certificates");
    return clo_cert_verify_signature(signer, root);
}

static clo_status verify_bytes(const clo_cert *signer, const clo_signed_document *document)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_TRY(clo_cert_public_key(signer, &key));
    CLO_CHECK(clo_key_get_kind(key) == CLO_KEY_P256, CLO_CRYPTO, "signer's key is not P-256");
    return clo_key_verify_raw(key, document->text, document->signature);
}

static clo_status check_origin(clo_dcap *d, const document_kind *kind,
                               const clo_signed_document *document)
{
    clo_verdict *v = d->verdict;
    CLO_TRY(clo_verdict_need(v, kind->chain, read_signer(d, document), kind->signer_name,
                             "a signer and the PCK chain's root"));
    CLO_TRY(clo_verdict_judge(v, kind->chain, check_signer(d->signer, d->chain.root),
                              kind->signer_name, "a TCB signer, signed by the root"));
    clo_span serial = clo_cert_serial(d->signer);
    CLO_TRY(clo_verdict_check(v, CLO_RULE_SIGNER_REVOKED, !clo_crl_has(d->root_crl, serial),
                              kind->signer_name, "a serial that is not revoked",
                              clo_check_hex(serial).text));
    int64_t validity[2] = {clo_cert_not_before(d->signer), clo_cert_not_after(d->signer)};
    clo_dcap_saw_expiry(d, validity[1]);
    CLO_TRY(clo_dcap_check_time(d, CLO_RULE_CERT_NOT_YET_VALID, CLO_RULE_CERT_EXPIRED,
                                kind->signer_name, validity));
    return clo_verdict_judge(v, kind->signature, verify_bytes(d->signer, document), kind->name,
                             "signed by its signer, every byte");
}

static clo_status check_age(clo_dcap *d, const document_kind *kind, const int64_t validity[2],
                            uint32_t evaluation)
{
    const clo_collateral_floors *floors = &d->request->floors;
    clo_dcap_saw_issue(d, validity[0]);
    clo_dcap_saw_expiry(d, validity[1]);
    CLO_TRY(clo_dcap_check_time(d, kind->early, kind->late, kind->name, validity));
    return clo_verdict_check(
        d->verdict, kind->floor,
        evaluation >= floors->min_evaluation && validity[0] >= floors->min_issue, kind->name,
        clo_check_format("number %u, issued %s, or later", floors->min_evaluation,
                         clo_check_time(floors->min_issue).text)
            .text,
        clo_check_format("number %u, issued %s", evaluation, clo_check_time(validity[0]).text)
            .text);
}

static clo_status check_fit(clo_dcap *d)
{
    const clo_tcb_info *info = &d->tcb_info;
    bool fits = info->for_sgx && info->has_pce_id && memcmp(info->fmspc, d->pck.fmspc, 6) == 0 &&
                memcmp(info->pce_id, d->pck.pce_id, 2) == 0;
    return clo_verdict_check(
        d->verdict, CLO_RULE_TCB_INFO_MISMATCH, fits, "tcb info",
        clo_check_format("SGX, fmspc %s, pce %s", clo_check_hex(CLO_SPAN_OF(d->pck.fmspc)).text,
                         clo_check_hex(CLO_SPAN_OF(d->pck.pce_id)).text)
            .text,
        clo_check_format("%s, fmspc %s, pce %s", info->for_sgx ? "SGX" : "another",
                         clo_check_hex(CLO_SPAN_OF(info->fmspc)).text,
                         info->has_pce_id ? clo_check_hex(CLO_SPAN_OF(info->pce_id)).text : "none")
            .text);
}

static clo_status check_tcb_info(clo_dcap *d)
{
    const clo_signed_document *document = &d->collateral.tcb_info;
    CLO_TRY(check_origin(d, &tcb_info_kind, document));
    CLO_TRY(clo_verdict_judge(d->verdict, CLO_RULE_TCB_INFO_FORMAT,
                              clo_tcb_info_parse(document->text, &d->arena, &d->tcb_info),
                              "tcb info", "version 2 or 3 with its members"));
    const int64_t validity[2] = {d->tcb_info.issue, d->tcb_info.next_update};
    CLO_TRY(check_age(d, &tcb_info_kind, validity, d->tcb_info.evaluation));
    return check_fit(d);
}

static clo_status check_qe_identity(clo_dcap *d)
{
    const clo_signed_document *document = &d->collateral.qe_identity;
    CLO_TRY(check_origin(d, &qe_identity_kind, document));
    CLO_TRY(clo_verdict_judge(d->verdict, CLO_RULE_QE_IDENTITY_FORMAT,
                              clo_qe_identity_parse(document->text, &d->arena, &d->qe_identity),
                              "qe identity", "version 2 with its members"));
    const int64_t validity[2] = {d->qe_identity.issue, d->qe_identity.next_update};
    return check_age(d, &qe_identity_kind, validity, d->qe_identity.evaluation);
}

clo_status clo_dcap_documents(clo_dcap *d)
{
    CLO_TRY(check_tcb_info(d));
    return check_qe_identity(d);
}
