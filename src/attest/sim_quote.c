/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of an SGX quote of version 3 (reference/attestation.md 1.1, 1.2, 1.5), little-endian:
 *
 *     header 48 | report body 384 | u32 size | signature 64 | attestation key 64
 *         | QE report 384 | its signature 64 | u16 n | auth n | u16 type | u32 size | certificates
 *
 * The attestation key signs the first 432 bytes; the PCK key signs the QE report, whose report_data
 * is SHA-256(attestation key || auth) || 32 zero bytes.
 */
#include "sim_vendor.h"

#include <string.h>

enum { REPORT = 384, SIGNED = 48 + REPORT, KEY = 64, SIGNATURE = 64 };

static const uint8_t qe_auth[CLO_SIM_AUTH_SIZE] = "SIMULATOR quoting enclave";
static const uint8_t zeros[64];

static void put_report(clo_buf *out, const clo_sim_report_spec *report, const uint8_t *signer)
{
    bool own = memcmp(report->signer, zeros, sizeof report->signer) == 0;
    clo_put_span(out, CLO_SPAN_OF(report->cpu_svn));
    clo_put_span(out, CLO_SPAN_OF(report->misc_select));
    clo_put_bytes(out, zeros, 28);
    clo_put_u64le(out, report->flags);
    clo_put_u64le(out, report->xfrm);
    clo_put_span(out, CLO_SPAN_OF(report->measurement));
    clo_put_bytes(out, zeros, 32);
    clo_put_bytes(out, own ? signer : report->signer, sizeof report->signer);
    clo_put_bytes(out, zeros, 32);
    clo_put_span(out, CLO_SPAN_OF(report->config_id));
    clo_put_u16le(out, report->product);
    clo_put_u16le(out, report->svn);
    clo_put_bytes(out, zeros, 60); /* configsvn, reserved, isvfamilyid */
    clo_put_span(out, CLO_SPAN_OF(report->report_data));
}

static void put_header(clo_buf *out, const clo_sim_quote_spec *spec)
{
    clo_put_u16le(out, spec->version);
    clo_put_u16le(out, spec->key_type);
    clo_put_u32le(out, spec->tee_type);
    clo_put_u16le(out, spec->qe_svn);
    clo_put_u16le(out, spec->pce_svn);
    clo_put_span(out, CLO_SPAN_OF(spec->vendor));
    clo_put_bytes(out, zeros, 20);
}

/* Signs with `key`, or with one that belongs to nobody. */
static clo_status put_signature(const clo_key *key, bool foreign, clo_span message, clo_buf *out)
{
    CLO_AUTO_PTR(clo_key) nobody = NULL;
    if (foreign) {
        CLO_TRY(clo_key_generate(CLO_KEY_P256, &nobody));
        key = nobody;
    }
    uint8_t signature[SIGNATURE];
    CLO_TRY(clo_key_sign_raw(key, message, signature));
    clo_put_span(out, CLO_SPAN_OF(signature));
    return clo_buf_check(out);
}

static clo_status bind_key(const uint8_t key[KEY], const uint8_t flip[64], uint8_t out_data[64])
{
    uint8_t input[KEY + CLO_SIM_AUTH_SIZE];
    memcpy(input, key, KEY);
    memcpy(input + KEY, qe_auth, sizeof qe_auth);
    memset(out_data, 0, 64);
    CLO_TRY(clo_sha256(CLO_SPAN_OF(input), out_data));
    for (size_t i = 0; i < 64; i++) {
        out_data[i] ^= flip[i];
    }
    return CLO_STATUS_OK;
}

static clo_status put_qe(const clo_sim_vendor *vendor, const clo_sim_quote_spec *spec,
                         const uint8_t key[KEY], clo_buf *out)
{
    CLO_AUTO(clo_buf) report = CLO_BUF_INIT;
    clo_sim_report_spec qe = spec->qe;
    CLO_TRY(bind_key(key, spec->qe_data_xor, qe.report_data));
    put_report(&report, &qe, vendor->qe_signer);
    CLO_TRY(clo_buf_check(&report));
    clo_put_span(out, clo_buf_span(&report));
    CLO_TRY(
        put_signature(vendor->key[CLO_SIM_PCK], spec->qe_foreign_key, clo_buf_span(&report), out));
    clo_put_u16le(out, sizeof qe_auth);
    clo_put_span(out, CLO_SPAN_OF(qe_auth));
    return CLO_STATUS_OK;
}

static clo_status put_certificates(const clo_sim_vendor *vendor, const clo_sim_quote_spec *spec,
                                   clo_buf *out)
{
    CLO_AUTO(clo_buf) pem = CLO_BUF_INIT;
    clo_span chain = spec->chain;
    if (chain.size == 0) {
        CLO_TRY(clo_sim_chain_make(vendor, spec->order, 3, &pem));
        clo_put_u8(&pem, 0); /* real quotes end their PEM with a NUL */
        CLO_TRY(clo_buf_check(&pem));
        chain = clo_buf_span(&pem);
    }
    clo_put_u16le(out, spec->cert_type);
    clo_put_u32le(out, (uint32_t)chain.size);
    clo_put_span(out, chain);
    return CLO_STATUS_OK;
}

clo_status clo_sim_quote_make(const clo_sim_vendor *vendor, const clo_sim_quote_spec *spec,
                              clo_buf *out_quote)
{
    CLO_AUTO(clo_buf) head = CLO_BUF_INIT;
    put_header(&head, spec);
    put_report(&head, &spec->body, vendor->signer);
    CLO_TRY(clo_buf_check(&head));
    CLO_ASSERT(head.size == SIGNED);

    CLO_AUTO(clo_buf) auth = CLO_BUF_INIT;
    uint8_t key[KEY];
    CLO_TRY(clo_key_get_p256_raw(vendor->attest_key, key));
    CLO_TRY(put_signature(vendor->attest_key, spec->foreign_key, clo_buf_span(&head), &auth));
    clo_put_span(&auth, CLO_SPAN_OF(key));
    CLO_TRY(put_qe(vendor, spec, key, &auth));
    CLO_TRY(put_certificates(vendor, spec, &auth));
    CLO_TRY(clo_buf_check(&auth));

    clo_put_span(out_quote, clo_buf_span(&head));
    clo_put_u32le(out_quote, (uint32_t)auth.size);
    clo_put_span(out_quote, clo_buf_span(&auth));
    for (uint32_t i = 0; i < spec->padding; i++) {
        clo_put_u8(out_quote, 0);
    }
    return clo_buf_check(out_quote);
}

clo_status clo_sim_evidence_make(const clo_sim_vendor *vendor, const clo_sim_spec *spec,
                                 clo_evidence *out_evidence)
{
    CLO_TRY(clo_sim_quote_make(vendor, &spec->quote, &out_evidence->quote));
    return clo_sim_collateral_make(vendor, spec, &out_evidence->collateral);
}
