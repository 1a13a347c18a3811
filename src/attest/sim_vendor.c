/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vendor's description with its healthy values, its keys and certificates, and the SGX
 * extensions of the PCK certificate (reference/attestation.md 1.6):
 *
 *     SEQUENCE {
 *       SEQUENCE { .1 PPID,   OCTET(16) }
 *       SEQUENCE { .2 TCB,    SEQUENCE { {.2.1 .. .2.16 INTEGER} {.2.17 PCESVN} {.2.18 OCTET(16)} }
 * } SEQUENCE { .3 PCEID,  OCTET(2) }     SEQUENCE { .4 FMSPC, OCTET(6) } SEQUENCE { .5 type,
 * ENUMERATED }   SEQUENCE { .6 platform instance, OCTET(16) } SEQUENCE { .7 configuration, SEQUENCE
 * { {.7.1 dynamic} {.7.2 cached keys} {.7.3 SMT} } } }                                      every
 * dot under 1.2.840.113741.1.13.1
 *
 * Invariant: nothing here is checked; the verifier is what checks.
 */
#include "sim_vendor.h"

#include <string.h>

#define SGX_OID "1.2.840.113741.1.13.1"

enum { DAY = 86400, CERT_DAYS = 3650, COLLATERAL_DAYS = 30 };

enum { DER_BOOLEAN = 1, DER_INTEGER = 2, DER_OCTETS = 4, DER_OID = 6, DER_ENUM = 10, DER_SEQ = 48 };

static const uint8_t intel_qe_vendor[16] = {0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
                                            0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};

/* 1.2.840.113741.1.13.1, without what follows. */
static const uint8_t sgx_oid[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};

/* Who has which name, who signs whom, and who is an authority. */
static const struct {
    const char *cn;
    clo_sim_party issuer;
    bool ca;
} parties[CLO_SIM_PARTY_COUNT] = {
    [CLO_SIM_ROOT_CA] = {"SIMULATOR SGX Root CA", CLO_SIM_ROOT_CA, true},
    [CLO_SIM_PLATFORM_CA] = {"SIMULATOR SGX PCK Platform CA", CLO_SIM_ROOT_CA, true},
    [CLO_SIM_PCK] = {"SIMULATOR SGX PCK Certificate", CLO_SIM_PLATFORM_CA, false},
    [CLO_SIM_SIGNER] = {"SIMULATOR SGX TCB Signing", CLO_SIM_ROOT_CA, false},
};

enum {
    SVN_NOW = 7,
    SVN_OLD = 3,
    PCE_SVN_NOW = 13,
    PCE_SVN_OLD = 5,
    QE_SVN_NOW = 8,
    QE_SVN_OLD = 4
};

enum { FLAG_INIT = 1, FLAG_MODE64 = 4, XFRM = 0xe7, EVALUATION = 17 };

static void init_platform(clo_sim_platform_spec *platform)
{
    static const uint8_t fmspc[6] = {0x51, 0x4d, 0x00, 0x00, 0x00, 0x01};
    memset(platform->ppid, 0x51, sizeof platform->ppid);
    memset(platform->components, SVN_NOW, sizeof platform->components);
    memset(platform->cpu_svn, SVN_NOW, sizeof platform->cpu_svn);
    memset(platform->instance, 0x1d, sizeof platform->instance);
    memcpy(platform->fmspc, fmspc, sizeof fmspc);
    platform->pce_svn = PCE_SVN_NOW;
    platform->sgx_type = 1;
    platform->smt = true;
}

static void init_document(clo_sim_document_spec *document, const char *id, uint32_t version,
                          uint16_t svn_now, uint16_t svn_old)
{
    *document = (clo_sim_document_spec){
        .id = id, .version = version, .evaluation = EVALUATION, .level_count = 2};
    document->levels[0] = (clo_sim_level){.svn = svn_now, .status = "UpToDate"};
    document->levels[1] = (clo_sim_level){.svn = svn_old, .status = "OutOfDate"};
    memset(document->levels[0].components, SVN_NOW, 16);
    memset(document->levels[1].components, SVN_OLD, 16);
}

static void init_identity(clo_sim_identity_spec *identity)
{
    init_document(&identity->document, "QE", 2, QE_SVN_NOW, QE_SVN_OLD);
    memset(identity->misc_mask, 0xff, sizeof identity->misc_mask);
    memset(identity->attributes_mask, 0xff, sizeof identity->attributes_mask);
    identity->attributes[0] = FLAG_INIT | FLAG_MODE64;
    identity->attributes[8] = XFRM;
    identity->product = 1;
}

static void init_report(clo_sim_report_spec *report, uint16_t svn)
{
    memset(report->cpu_svn, SVN_NOW, sizeof report->cpu_svn);
    report->flags = FLAG_INIT | FLAG_MODE64;
    report->xfrm = XFRM;
    report->product = 1;
    report->svn = svn;
}

static void init_quote(clo_sim_quote_spec *quote)
{
    *quote = (clo_sim_quote_spec){.version = 3,
                                  .key_type = 2,
                                  .qe_svn = QE_SVN_NOW,
                                  .pce_svn = PCE_SVN_NOW,
                                  .cert_type = 5,
                                  .order = {CLO_SIM_PCK, CLO_SIM_PLATFORM_CA, CLO_SIM_ROOT_CA}};
    memcpy(quote->vendor, intel_qe_vendor, sizeof quote->vendor);
    init_report(&quote->body, 1);
    init_report(&quote->qe, QE_SVN_NOW);
}

void clo_sim_spec_set_collateral_time(clo_sim_spec *spec, int64_t issue, int64_t next_update)
{
    spec->root_crl.this_update = spec->pck_crl.this_update = issue;
    spec->root_crl.next_update = spec->pck_crl.next_update = next_update;
    clo_sim_document_spec *documents[] = {&spec->tcb_info.document, &spec->identity.document};
    for (size_t i = 0; i < 2; i++) {
        documents[i]->issue = issue;
        documents[i]->next_update = next_update;
        for (size_t k = 0; k < CLO_SIM_LEVELS; k++) {
            documents[i]->levels[k].date = issue;
        }
    }
}

void clo_sim_spec_init(clo_sim_spec *out_spec, int64_t now)
{
    memset(out_spec, 0, sizeof *out_spec);
    for (int i = 0; i < CLO_SIM_PARTY_COUNT; i++) {
        out_spec->cert[i] = (clo_sim_cert_spec){.cn = parties[i].cn,
                                                .not_before = now - DAY,
                                                .not_after = now + (int64_t)CERT_DAYS * DAY,
                                                .ca = parties[i].ca};
    }
    init_platform(&out_spec->platform);
    out_spec->root_crl.issuer = CLO_SIM_ROOT_CA;
    out_spec->pck_crl.issuer = CLO_SIM_PLATFORM_CA;
    init_document(&out_spec->tcb_info.document, "SGX", 3, PCE_SVN_NOW, PCE_SVN_OLD);
    memcpy(out_spec->tcb_info.fmspc, out_spec->platform.fmspc, sizeof out_spec->tcb_info.fmspc);
    init_identity(&out_spec->identity);
    init_quote(&out_spec->quote);
    clo_sim_spec_set_collateral_time(out_spec, now - DAY, now + (int64_t)COLLATERAL_DAYS * DAY);
}

static void put_tlv(clo_buf *out, uint8_t tag, clo_span value)
{
    clo_put_u8(out, tag);
    if (value.size < 0x80) {
        clo_put_u8(out, (uint8_t)value.size);
    } else {
        clo_put_u8(out, 0x82);
        clo_put_u16be(out, (uint16_t)value.size);
    }
    clo_put_span(out, value);
}

/* SEQUENCE { OID under sgx_oid, value }; `second` 0: the OID has one more number, not two. */
static void put_entry(clo_buf *out, uint8_t first, uint8_t second, uint8_t tag, clo_span value)
{
    CLO_AUTO(clo_buf) oid = CLO_BUF_INIT;
    clo_put_span(&oid, CLO_SPAN_OF(sgx_oid));
    clo_put_u8(&oid, first);
    if (second != 0) {
        clo_put_u8(&oid, second);
    }
    CLO_AUTO(clo_buf) entry = CLO_BUF_INIT;
    put_tlv(&entry, DER_OID, clo_buf_span(&oid));
    put_tlv(&entry, tag, value);
    out->failed = out->failed || oid.failed || entry.failed;
    put_tlv(out, DER_SEQ, clo_buf_span(&entry));
}

/* A non-negative INTEGER of at most 16 bits, minimal. */
static void put_number(clo_buf *out, uint8_t second, uint16_t value)
{
    uint8_t bytes[3] = {0, (uint8_t)(value >> 8), (uint8_t)value};
    size_t skip = 0;
    while (skip < 2 && bytes[skip] == 0 && bytes[skip + 1] < 0x80) {
        skip++;
    }
    put_entry(out, 2, second, DER_INTEGER, CLO_SPAN(bytes + skip, 3 - skip));
}

static void put_tcb(clo_buf *out, const clo_sim_platform_spec *platform)
{
    CLO_AUTO(clo_buf) list = CLO_BUF_INIT;
    for (uint8_t i = 0; i < 16; i++) {
        put_number(&list, (uint8_t)(i + 1), platform->components[i]);
    }
    put_number(&list, 17, platform->pce_svn);
    put_entry(&list, 2, 18, DER_OCTETS, CLO_SPAN_OF(platform->cpu_svn));
    out->failed = out->failed || list.failed;
    put_entry(out, 2, 0, DER_SEQ, clo_buf_span(&list));
}

static void put_configuration(clo_buf *out, const clo_sim_platform_spec *platform)
{
    const bool flags[] = {platform->dynamic_platform, platform->cached_keys, platform->smt};
    CLO_AUTO(clo_buf) list = CLO_BUF_INIT;
    for (uint8_t i = 0; i < 3; i++) {
        uint8_t value = flags[i] ? 0xff : 0;
        put_entry(&list, 7, (uint8_t)(i + 1), DER_BOOLEAN, CLO_SPAN(&value, 1));
    }
    out->failed = out->failed || list.failed;
    put_entry(out, 7, 0, DER_SEQ, clo_buf_span(&list));
}

static clo_status make_cert(const clo_sim_spec *spec, clo_sim_party party, clo_sim_vendor *vendor)
{
    const clo_sim_cert_spec *about = &spec->cert[party];
    const clo_sim_party issuer = parties[party].issuer;
    CLO_AUTO_PTR(clo_key) nobody = NULL;
    CLO_AUTO(clo_buf) extension = CLO_BUF_INIT;
    clo_cert_request request = {.subject_cn = about->cn,
                                .issuer_cn = about->issuer_cn,
                                .subject_key = vendor->key[party],
                                .issuer_key = vendor->key[issuer],
                                .issuer_cert = vendor->cert[issuer],
                                .not_before = about->not_before,
                                .not_after = about->not_after,
                                .ca = about->ca};
    if (about->issuer_cn != NULL) {
        request.issuer_cert = NULL;
    } else if (issuer == party) {
        request.issuer_cn = about->cn;
    }
    if (about->foreign_key) {
        CLO_TRY(clo_key_generate(CLO_KEY_P256, &nobody));
        request.issuer_key = nobody;
    }
    if (party == CLO_SIM_PCK && !spec->platform.no_extension) {
        CLO_TRY(clo_sim_extension_make(&spec->platform, &extension));
        request.extension_oid = SGX_OID;
        request.extension_value = clo_buf_span(&extension);
    }
    return clo_cert_make(&request, &vendor->cert[party]);
}

/* "label || the root's SPKI": a signer's measurement that no other installation has. */
static clo_status make_signer(const clo_sim_vendor *vendor, const char *label, uint8_t out[32])
{
    CLO_AUTO(clo_buf) input = CLO_BUF_INIT;
    clo_put_str(&input, label);
    clo_put_span(&input, clo_cert_spki(vendor->cert[CLO_SIM_ROOT_CA]));
    CLO_TRY(clo_buf_check(&input));
    return clo_sha256(clo_buf_span(&input), out);
}

clo_status clo_sim_vendor_complete(clo_sim_vendor *vendor)
{
    CLO_TRY(make_signer(vendor, "SIMULATOR signer", vendor->signer));
    CLO_TRY(make_signer(vendor, "SIMULATOR QE signer", vendor->qe_signer));
    return clo_key_generate(CLO_KEY_P256, &vendor->attest_key);
}

static clo_status fill_vendor(const clo_sim_spec *spec, clo_sim_vendor *vendor)
{
    for (int i = 0; i < CLO_SIM_PARTY_COUNT; i++) {
        CLO_TRY(clo_key_generate(CLO_KEY_P256, &vendor->key[i]));
        CLO_TRY_CTX(make_cert(spec, (clo_sim_party)i, vendor), "making '%s'", spec->cert[i].cn);
    }
    return clo_sim_vendor_complete(vendor);
}

clo_status clo_sim_vendor_make(const clo_sim_spec *spec, clo_sim_vendor *out_vendor)
{
    CLO_AUTO(clo_sim_vendor) vendor = CLO_SIM_VENDOR_INIT;
    CLO_TRY(fill_vendor(spec, &vendor));
    *out_vendor = vendor;
    vendor = CLO_SIM_VENDOR_INIT;
    return CLO_STATUS_OK;
}

void clo_sim_vendor_cleanup(clo_sim_vendor *vendor)
{
    for (int i = 0; i < CLO_SIM_PARTY_COUNT; i++) {
        clo_key_free(vendor->key[i]);
        clo_cert_free(vendor->cert[i]);
    }
    clo_key_free(vendor->attest_key);
    *vendor = CLO_SIM_VENDOR_INIT;
}

clo_anchor clo_sim_vendor_anchor(const clo_sim_vendor *vendor)
{
    clo_anchor anchor = {.tee = CLO_TEE_SIMULATOR};
    clo_key_id(vendor->key[CLO_SIM_ROOT_CA], anchor.spki_sha256);
    return anchor;
}

clo_status clo_sim_extension_make(const clo_sim_platform_spec *platform, clo_buf *out_der)
{
    if (platform->extension.size > 0) {
        clo_put_span(out_der, platform->extension);
        return clo_buf_check(out_der);
    }
    CLO_AUTO(clo_buf) list = CLO_BUF_INIT;
    put_entry(&list, 1, 0, DER_OCTETS, CLO_SPAN_OF(platform->ppid));
    put_tcb(&list, platform);
    put_entry(&list, 3, 0, DER_OCTETS, CLO_SPAN_OF(platform->pce_id));
    put_entry(&list, 4, 0, DER_OCTETS, CLO_SPAN_OF(platform->fmspc));
    put_entry(&list, 5, 0, DER_ENUM, CLO_SPAN(&platform->sgx_type, 1));
    put_entry(&list, 6, 0, DER_OCTETS, CLO_SPAN_OF(platform->instance));
    put_configuration(&list, platform);
    CLO_TRY(clo_buf_check(&list));
    put_tlv(out_der, DER_SEQ, clo_buf_span(&list));
    return clo_buf_check(out_der);
}

clo_status clo_sim_chain_make(const clo_sim_vendor *vendor, const clo_sim_party *chain,
                              size_t count, clo_buf *out_pem)
{
    for (size_t i = 0; i < count; i++) {
        CLO_TRY(clo_cert_write_pem(vendor->cert[chain[i]], out_pem));
    }
    return clo_buf_check(out_pem);
}
