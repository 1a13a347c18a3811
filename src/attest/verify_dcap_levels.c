/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quoting enclave, the quote it signed, and what the vendor's TCB levels say of both.
 *
 *     PCK key --signs--> QE report --binds by digest--> attestation key --signs--> header || body
 *
 * The claims become complete here: nothing below this line of trust is taken from the quote.
 */
#include "verify_dcap.h"

#include <string.h>

clo_status clo_quote_check_signature(const clo_quote_v3 *quote)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_TRY(clo_key_from_p256_raw(quote->attest_key, &key));
    return clo_key_verify_raw(key, quote->signed_part, quote->signature);
}

/* report_data of the QE = SHA-256(attestation key || QE auth) || 32 zero bytes. */
clo_status clo_quote_check_binding(const clo_quote_v3 *quote)
{
    uint8_t expected[64] = {0};
    CLO_AUTO_PTR(clo_hash) hash = NULL;
    CLO_TRY(clo_hash_new(&hash));
    CLO_TRY(clo_hash_update(hash, CLO_SPAN_OF(quote->attest_key)));
    CLO_TRY(clo_hash_update(hash, quote->qe_auth));
    CLO_TRY(clo_hash_final(hash, expected));
    CLO_CHECK(memcmp(expected, quote->qe_body.report_data, sizeof expected) == 0, CLO_ATTEST,
              "QE's report data is not the key's digest and zeros");
    return CLO_STATUS_OK;
}

static clo_status verify_qe_report(clo_dcap *d)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_TRY(clo_cert_public_key(d->chain.leaf, &key));
    CLO_CHECK(clo_key_get_kind(key) == CLO_KEY_P256, CLO_CRYPTO, "PCK key is not P-256");
    return clo_key_verify_raw(key, d->quote.qe_report, d->quote.qe_signature);
}

clo_status clo_dcap_quoting(clo_dcap *d)
{
    clo_verdict *v = d->verdict;
    CLO_TRY(clo_verdict_judge(v, CLO_RULE_QE_REPORT_SIGNATURE, verify_qe_report(d), "qe report",
                              "signed by the PCK key"));
    CLO_TRY(clo_verdict_judge(v, CLO_RULE_QE_REPORT_DATA, clo_quote_check_binding(&d->quote),
                              "qe report", "the attestation key's digest"));
    CLO_TRY(clo_verdict_judge(v, CLO_RULE_QE_IDENTITY_MISMATCH,
                              clo_qe_identity_check(&d->qe_identity, &d->quote.qe_body),
                              "qe report", "the identity's signer, product and attributes"));
    return clo_verdict_judge(v, CLO_RULE_QUOTE_SIGNATURE, clo_quote_check_signature(&d->quote),
                             "quote", "signed by the attestation key");
}

/* ---------------------------------------------------------------- levels ---------------------- */

static bool has_advisory(const clo_claims *c, clo_span id)
{
    for (uint32_t i = 0; i < c->advisory_count; i++) {
        if (clo_span_equals_str(id, c->advisory[i])) {
            return true;
        }
    }
    return false;
}

/* Adds those not there yet; false when they do not fit. */
static bool add_advisories(clo_claims *c, const clo_json *list)
{
    for (const clo_json *id = list != NULL ? list->child : NULL; id != NULL; id = id->next) {
        if (has_advisory(c, id->string)) {
            continue;
        }
        if (c->advisory_count == CLO_MAX_ADVISORIES || id->string.size >= sizeof c->advisory[0]) {
            return false;
        }
        memcpy(c->advisory[c->advisory_count++], id->string.data, id->string.size);
    }
    return true;
}

static clo_status check_status(clo_dcap *d, const clo_tcb_say *say, bool known, const char *source)
{
    char spelled[48] = "";
    size_t size = say->status_text.size;
    memcpy(spelled, size > 0 ? say->status_text.data : (const uint8_t *)"",
           size < sizeof spelled ? size : sizeof spelled - 1);
    return clo_verdict_check(d->verdict, CLO_RULE_TCB_STATUS_UNKNOWN, known, source,
                             "a known status", spelled);
}

/* The vendor's documents of one platform, joined: status, date and advisories. */
static clo_status say(clo_dcap *d, const clo_tcb_say *platform, const clo_tcb_say *qe)
{
    clo_claims *c = &d->verdict->claims;
    c->platform_tcb = platform->status;
    c->qe_tcb = qe->status;
    c->tcb_date = platform->date;
    c->tcb = clo_tcb_converge(platform->status, qe->status);
    bool fit = add_advisories(c, platform->advisories) && add_advisories(c, qe->advisories);
    CLO_TRY(clo_verdict_check(d->verdict, CLO_RULE_TCB_INFO_FORMAT, fit, "tcb levels",
                              "at most 64 advisories of both levels",
                              clo_check_format("%u that fit", c->advisory_count).text));
    CLO_TRY(check_status(d, platform, platform->status != CLO_TCB_UNKNOWN, "tcb info"));
    return check_status(d, qe, clo_tcb_converge(CLO_TCB_UP_TO_DATE, qe->status) != CLO_TCB_UNKNOWN,
                        "qe identity");
}

static uint64_t le64(const uint8_t *bytes)
{
    clo_reader r = clo_reader_of(CLO_SPAN(bytes, 8));
    return clo_read_u64le(&r);
}

static void claim_report(clo_dcap *d)
{
    clo_claims *c = &d->verdict->claims;
    const clo_report_body *b = &d->quote.body;
    c->attribute_flags = le64(b->attributes);
    c->xfrm = le64(b->attributes + 8);
    c->debug = (c->attribute_flags & CLO_SGX_DEBUG) != 0;
    memcpy(c->measurement, b->measurement, sizeof c->measurement);
    memcpy(c->signer, b->signer, sizeof c->signer);
    memcpy(c->config_id, b->config_id, sizeof c->config_id);
    memcpy(c->cpu_svn, b->cpu_svn, sizeof c->cpu_svn);
    memcpy(c->report_data, b->report_data, sizeof c->report_data);
    c->product = b->product;
    c->svn = b->svn;
    c->quote_size = d->quote.size;
}

static clo_status claim_platform(clo_dcap *d)
{
    clo_claims *c = &d->verdict->claims;
    const clo_pck_extensions *p = &d->pck;
    clo_span serial = clo_cert_serial(d->chain.leaf);
    memcpy(c->fmspc, p->fmspc, sizeof c->fmspc);
    memcpy(c->pce_id, p->pce_id, sizeof c->pce_id);
    memcpy(c->ppid, p->ppid, sizeof c->ppid);
    c->has_platform_instance = p->has_platform_instance;
    memcpy(c->platform_instance, p->platform_instance, sizeof c->platform_instance);
    c->smt_enabled = p->smt_enabled;
    c->pck_serial_size =
        (uint8_t)(serial.size < sizeof c->pck_serial ? serial.size : sizeof c->pck_serial);
    memcpy(c->pck_serial, serial.data, c->pck_serial_size);
    c->tcb_evaluation = d->tcb_info.evaluation;
    c->qe_evaluation = d->qe_identity.evaluation;
    CLO_AUTO(clo_buf) id = CLO_BUF_LIMIT(256);
    clo_put_str(&id, "cloister platform");
    clo_put_bytes(&id, c->ppid, sizeof c->ppid);
    clo_put_bytes(&id, c->fmspc, sizeof c->fmspc);
    clo_put_bytes(&id, c->platform_instance, sizeof c->platform_instance);
    CLO_TRY(clo_buf_check(&id));
    return clo_sha256(clo_buf_span(&id), c->platform_id);
}

clo_status clo_dcap_levels(clo_dcap *d)
{
    static const clo_tcb_say nothing = {0};
    clo_verdict *v = d->verdict;
    const clo_qe_level *qe = clo_qe_identity_match(&d->qe_identity, d->quote.qe_body.svn);
    CLO_TRY(clo_verdict_check(v, CLO_RULE_QE_TCB_NOT_SUPPORTED, qe != NULL, "qe identity",
                              "a level that the QE reaches",
                              clo_check_format("ISVSVN %u", d->quote.qe_body.svn).text));
    const clo_tcb_level *level =
        clo_tcb_info_match(&d->tcb_info, d->pck.components, d->pck.pce_svn);
    CLO_TRY(clo_verdict_check(v, CLO_RULE_TCB_NOT_SUPPORTED, level != NULL, "tcb info",
                              "a level that the platform reaches",
                              clo_check_format("components %s, PCESVN %u",
                                               clo_check_hex(CLO_SPAN_OF(d->pck.components)).text,
                                               d->pck.pce_svn)
                                  .text));
    claim_report(d);
    CLO_TRY(claim_platform(d));
    return say(d, level != NULL ? &level->say : &nothing, qe != NULL ? &qe->say : &nothing);
}
