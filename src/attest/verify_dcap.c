/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification of DCAP quotes of version 3, by the algorithm of Intel's quote verification library,
 * with the differences that are stricter there or missing: notBefore is checked too, the unused
 * half of the QE's report data must be zero, collateral floors apply.
 *
 * The steps are one table, in order; verify_dcap.h says what each establishes. The answer is in the
 * verdict: the status that leaves this file only says whether the question could be asked.
 */
#include "verify_dcap.h"

#include <string.h>

/* "Intel SGX Root CA". The key is pinned and not the certificate: an older certificate of the same
 * key is inside old quotes. */
const clo_anchor CLO_ANCHOR_INTEL_SGX = {
    .tee = CLO_TEE_SGX,
    .spki_sha256 = {0xa0, 0xaf, 0x03, 0x12, 0x89, 0xf5, 0xd5, 0xd4, 0x13, 0x2f, 0x91,
                    0x86, 0x06, 0x8a, 0x7f, 0xc1, 0x36, 0x28, 0x63, 0x3b, 0xa2, 0x35,
                    0x77, 0x74, 0x72, 0xe2, 0x9b, 0x6b, 0x6c, 0x67, 0xa4, 0x9e},
};

enum { KEY_TYPE_ECDSA_P256 = 2, TEE_TYPE_SGX = 0, CERT_TYPE_LAST = 5 };

static const uint8_t intel_qe[16] = {0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
                                     0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};

void clo_dcap_saw_issue(clo_dcap *d, int64_t issue)
{
    clo_claims *c = &d->verdict->claims;
    c->earliest_issue = issue < c->earliest_issue ? issue : c->earliest_issue;
}

void clo_dcap_saw_expiry(clo_dcap *d, int64_t expiry)
{
    clo_claims *c = &d->verdict->claims;
    c->earliest_expiry = expiry < c->earliest_expiry ? expiry : c->earliest_expiry;
}

clo_status clo_dcap_check_time(clo_dcap *d, clo_rule early_rule, clo_rule late_rule,
                               const char *source, const int64_t validity[2])
{
    int64_t at = d->request->at;
    const clo_check_text now = clo_check_time(at);
    CLO_TRY(clo_verdict_check(
        d->verdict, early_rule, validity[0] <= at, source,
        clo_check_format("not before %s", clo_check_time(validity[0]).text).text, now.text));
    return clo_verdict_check(
        d->verdict, late_rule, at <= validity[1], source,
        clo_check_format("not after %s", clo_check_time(validity[1]).text).text, now.text);
}

static clo_status check_header(clo_dcap *d)
{
    clo_verdict *v = d->verdict;
    clo_quote_header h = {0};
    CLO_TRY(clo_verdict_judge(v, CLO_RULE_QUOTE_FORMAT,
                              clo_quote_header_parse(d->request->quote, &h), "quote",
                              "a header of 48 bytes"));
    CLO_TRY(clo_verdict_check(v, CLO_RULE_QUOTE_VERSION, h.version == 3, "quote", "3",
                              clo_check_format("%u", h.version).text));
    CLO_TRY(clo_verdict_check(v, CLO_RULE_ATT_KEY_TYPE, h.key_type == KEY_TYPE_ECDSA_P256, "quote",
                              "2 (ECDSA P-256)", clo_check_format("%u", h.key_type).text));
    CLO_TRY(clo_verdict_check(v, CLO_RULE_TEE_TYPE, h.tee_type == TEE_TYPE_SGX, "quote",
                              "0 (SGX) in version 3", clo_check_format("%u", h.tee_type).text));
    return clo_verdict_check(v, CLO_RULE_QE_VENDOR, memcmp(h.vendor, intel_qe, 16) == 0, "quote",
                             clo_check_hex(CLO_SPAN_OF(intel_qe)).text,
                             clo_check_hex(CLO_SPAN_OF(h.vendor)).text);
}

static clo_status check_layout(clo_dcap *d)
{
    clo_verdict *v = d->verdict;
    clo_quote_v3 *q = &d->quote;
    CLO_TRY(clo_verdict_judge(v, CLO_RULE_QUOTE_FORMAT, clo_quote_v3_parse(d->request->quote, q),
                              "quote", "every field within the declared sizes"));
    CLO_TRY(clo_verdict_check(v, CLO_RULE_QUOTE_FORMAT, q->surplus == 0, "quote",
                              "no byte between the fields and the declared size",
                              clo_check_format("%zu bytes", q->surplus).text));
    return clo_verdict_check(
        v, CLO_RULE_QUOTE_FORMAT, q->cert_type >= 1 && q->cert_type <= CERT_TYPE_LAST, "quote",
        "certification data of type 1 to 5", clo_check_format("type %u", q->cert_type).text);
}

/* The container is read before the question whether the quote needs it for its certificate. */
static clo_status structure(clo_dcap *d)
{
    CLO_TRY(check_header(d));
    CLO_TRY(check_layout(d));
    clo_status read = clo_collateral_parse(d->request->collateral, &d->arena, &d->collateral);
    bool has_chain = d->quote.cert_type == CLO_CERT_TYPE_CHAIN || d->collateral.pck_chain.size > 0;
    CLO_TRY(clo_verdict_check(d->verdict, CLO_RULE_PCK_CERT_REQUIRED,
                              has_chain || read.code == CLO_NOMEM, "quote",
                              "certification data of type 5, or a chain in the collateral",
                              clo_check_format("type %u", d->quote.cert_type).text));
    return clo_verdict_judge(d->verdict, CLO_RULE_COLLATERAL_MISSING, read, "collateral",
                             "the nine members");
}

static clo_status finish(clo_dcap *d)
{
    clo_claims *c = &d->verdict->claims;
    d->verdict->has_claims = true;
    CLO_TRY(clo_verdict_check(d->verdict, CLO_RULE_TCB_REVOKED, c->tcb != CLO_TCB_REVOKED,
                              "tcb levels", "not Revoked", clo_tcb_name(c->tcb)));
    clo_verdict_accept(d->verdict);
    return CLO_STATUS_OK;
}

typedef clo_status (*step)(clo_dcap *d);

static const step steps[] = {
    structure,
    clo_dcap_pck_chain,
    clo_dcap_revocation,
    clo_dcap_documents,
    clo_dcap_quoting,
    clo_dcap_levels,
    finish,
};

static void clo_dcap_cleanup(clo_dcap *d)
{
    clo_pck_chain_cleanup(&d->chain);
    clo_crl_free(d->root_crl);
    clo_crl_free(d->pck_crl);
    clo_cert_free(d->signer);
    clo_arena_release(&d->arena);
}

clo_status clo_evidence_verify(const clo_verify_request *request, clo_verdict *out_verdict)
{
    clo_verdict_start(out_verdict);
    CLO_CHECK(request->anchor_count <= CLO_MAX_ANCHORS, CLO_INVALID,
              "request has %u anchors, at most %d allowed", request->anchor_count, CLO_MAX_ANCHORS);
    CLO_AUTO(clo_dcap) d = {.request = request, .verdict = out_verdict, .arena = CLO_ARENA_INIT};
    out_verdict->claims.earliest_issue = INT64_MAX;
    out_verdict->claims.earliest_expiry = INT64_MAX;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        clo_status status = steps[i](&d);
        if (clo_ok(status)) {
            continue;
        }
        bool is_answer = status.code == CLO_ATTEST && out_verdict->failed != CLO_RULE_COUNT;
        return is_answer ? CLO_STATUS_OK : status;
    }
    return CLO_STATUS_OK;
}
