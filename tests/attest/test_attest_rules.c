/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every rule is needed. A table of broken evidence and policies names the rule that must refuse
 * each row; then every rule is switched off in turn, and some row of its own must come out
 * differently: accepted, or refused by another rule. A rule that no row misses would be a rule
 * without a test.
 *
 * This program has its own clo_rule_is_on; see src/attest/rule_gate.c.
 */
#include "scene.h"

#include <stdio.h>

static clo_rule switched_off = CLO_RULE_COUNT;

bool clo_rule_is_on(clo_rule rule)
{
    return rule != switched_off;
}

/* ---------------------------------------------------------------- breaks: the quote ----------- */

/* One byte more inside the declared size than the fields take. */
static void surplus_byte(scene *s)
{
    uint8_t *size = s->evidence.quote.data + 432;
    uint32_t value = (uint32_t)size[0] | (uint32_t)size[1] << 8;
    value++;
    size[0] = (uint8_t)value;
    size[1] = (uint8_t)(value >> 8);
    clo_put_u8(&s->evidence.quote, 0);
}

static void short_header(scene *s)
{
    s->evidence.quote.size = 40;
}

static void short_quote(scene *s)
{
    s->evidence.quote.size -= 1;
}

static void cert_type_6(scene *s)
{
    s->spec.quote.cert_type = 6;
}

static void version_4(scene *s)
{
    s->spec.quote.version = 4;
}

static void key_type_3(scene *s)
{
    s->spec.quote.key_type = 3;
}

static void tee_type_tdx(scene *s)
{
    s->spec.quote.tee_type = 0x81;
}

static void other_vendor(scene *s)
{
    s->spec.quote.vendor[15] ^= 1;
}

static void cert_type_1(scene *s)
{
    s->spec.quote.cert_type = 1;
}

static void cert_type_4(scene *s)
{
    s->spec.quote.cert_type = 4;
}

static void no_collateral(scene *s)
{
    clo_buf_clear(&s->evidence.collateral);
}

static void collateral_not_json(scene *s)
{
    s->evidence.collateral.size -= 1;
}

static void collateral_member_misspelt(scene *s)
{
    uint8_t *found =
        memmem(s->evidence.collateral.data, s->evidence.collateral.size, "root_ca_crl", 11);
    found[0] = 'R';
}

/* ---------------------------------------------------------------- breaks: certificates -------- */

static void leaf_misnamed(scene *s)
{
    s->spec.cert[CLO_SIM_PCK].cn = "SIMULATOR SGX Certificate";
}

static void ca_misnamed(scene *s)
{
    s->spec.cert[CLO_SIM_PLATFORM_CA].cn = "SIMULATOR SGX PCK Platform";
}

static void leaf_is_ca(scene *s)
{
    s->spec.cert[CLO_SIM_PCK].ca = true;
}

static void ca_is_no_ca(scene *s)
{
    s->spec.cert[CLO_SIM_PLATFORM_CA].ca = false;
}

static void root_is_no_ca(scene *s)
{
    s->spec.cert[CLO_SIM_ROOT_CA].ca = false;
}

static void leaf_issuer_misnamed(scene *s)
{
    s->spec.cert[CLO_SIM_PCK].issuer_cn = "SIMULATOR stranger";
}

static void chain_of_two_leaves(scene *s)
{
    s->spec.quote.order[2] = CLO_SIM_PCK;
}

static void chain_without_root(scene *s)
{
    const clo_sim_party two[] = {CLO_SIM_PCK, CLO_SIM_PLATFORM_CA};
    T_OK(clo_sim_chain_make(&s->vendor, two, 2, &s->scratch));
    s->spec.quote.chain = clo_buf_span(&s->scratch);
}

static void chain_is_no_pem(scene *s)
{
    s->spec.quote.chain = clo_span_of_str("no certificate");
}

static void other_anchor(scene *s)
{
    s->request.anchors[0].spki_sha256[0] ^= 1;
}

static void no_anchor(scene *s)
{
    s->request.anchor_count = 0;
}

static void anchor_of_no_kind(scene *s)
{
    s->request.anchors[0].tee = CLO_TEE_NONE;
}

static void leaf_signed_by_stranger(scene *s)
{
    s->spec.cert[CLO_SIM_PCK].foreign_key = true;
}

static void ca_signed_by_stranger(scene *s)
{
    s->spec.cert[CLO_SIM_PLATFORM_CA].foreign_key = true;
}

static void root_signed_by_stranger(scene *s)
{
    s->spec.cert[CLO_SIM_ROOT_CA].foreign_key = true;
}

static void leaf_too_young(scene *s)
{
    s->spec.cert[CLO_SIM_PCK].not_before = SCENE_NOW + 1;
}

static void ca_too_young(scene *s)
{
    s->spec.cert[CLO_SIM_PLATFORM_CA].not_before = SCENE_NOW + 1;
}

static void root_too_young(scene *s)
{
    s->spec.cert[CLO_SIM_ROOT_CA].not_before = SCENE_NOW + 1;
}

static void signer_too_young(scene *s)
{
    s->spec.cert[CLO_SIM_SIGNER].not_before = SCENE_NOW + 1;
}

static void leaf_expired(scene *s)
{
    s->spec.cert[CLO_SIM_PCK].not_after = SCENE_NOW - 1;
}

static void ca_expired(scene *s)
{
    s->spec.cert[CLO_SIM_PLATFORM_CA].not_after = SCENE_NOW - 1;
}

static void root_expired(scene *s)
{
    s->spec.cert[CLO_SIM_ROOT_CA].not_after = SCENE_NOW - 1;
}

static void signer_expired(scene *s)
{
    s->spec.cert[CLO_SIM_SIGNER].not_after = SCENE_NOW - 1;
}

static void no_extension(scene *s)
{
    s->spec.platform.no_extension = true;
}

static void extension_garbled(scene *s)
{
    s->spec.platform.extension = clo_span_of_str("\x30\x03\x02\x01\x05");
}

static void sgx_type_3(scene *s)
{
    s->spec.platform.sgx_type = 3;
}

/* ---------------------------------------------------------------- breaks: revocation ---------- */

static void put_der(clo_buf *out, uint8_t tag, clo_span value)
{
    clo_put_u8(out, tag);
    clo_put_u8(out, 0x82);
    clo_put_u16be(out, (uint16_t)value.size);
    clo_put_span(out, value);
}

/* As put_der, in the shortest form that DER demands. */
static void put_short_der(clo_buf *out, uint8_t tag, clo_span value)
{
    if (value.size >= 256) {
        put_der(out, tag, value);
        return;
    }
    clo_put_u8(out, tag);
    if (value.size >= 128) {
        clo_put_u8(out, 0x81);
    }
    clo_put_u8(out, (uint8_t)value.size);
    clo_put_span(out, value);
}

/* Copies the signed part of a list without its second time, and signs that anew. */
static void root_crl_without_end(scene *s)
{
    enum { UTC_TIME = 0x17, GENERALIZED_TIME = 0x18, SEQUENCE = 0x30, BIT_STRING = 0x03 };

    CLO_AUTO(clo_buf) list = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) inner = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) whole = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) signature = CLO_BUF_INIT;
    clo_der outer, tbs, item, algorithm;
    int times = 0;
    T_OK(clo_sim_root_crl_make(&s->vendor, &s->spec, &list));
    clo_reader r = clo_reader_of(clo_buf_span(&list));
    T_OK(clo_der_read(&r, &outer));
    r = clo_reader_of(outer.value);
    T_OK(clo_der_read(&r, &tbs));
    T_OK(clo_der_read(&r, &algorithm));
    r = clo_reader_of(tbs.value);
    while (clo_reader_left(&r) > 0) {
        T_OK(clo_der_read(&r, &item));
        times += item.tag == UTC_TIME || item.tag == GENERALIZED_TIME;
        if (times != 2 || item.tag == 0xa0) {
            clo_put_span(&inner, item.whole);
        }
        times += times == 2;
    }
    put_short_der(&whole, SEQUENCE, clo_buf_span(&inner));
    clo_put_u8(&signature, 0); /* unused bits */
    T_OK(clo_key_sign(s->vendor.key[CLO_SIM_ROOT_CA], clo_buf_span(&whole), &signature));
    clo_put_span(&whole, algorithm.whole);
    put_short_der(&whole, BIT_STRING, clo_buf_span(&signature));
    put_short_der(&s->scratch, SEQUENCE, clo_buf_span(&whole));
    s->spec.root_crl.bytes = clo_buf_span(&s->scratch);
}

static void root_crl_garbled(scene *s)
{
    s->spec.root_crl.bytes = clo_span_of_str("0no list");
}

static void pck_crl_garbled(scene *s)
{
    s->spec.pck_crl.bytes = clo_span_of_str("0no list");
}

static void pck_crl_by_root(scene *s)
{
    s->spec.pck_crl.issuer = CLO_SIM_ROOT_CA;
}

static void root_crl_by_ca(scene *s)
{
    s->spec.root_crl.issuer = CLO_SIM_PLATFORM_CA;
}

static void pck_crl_signed_by_stranger(scene *s)
{
    s->spec.pck_crl.foreign_key = true;
}

static void root_crl_signed_by_stranger(scene *s)
{
    s->spec.root_crl.foreign_key = true;
}

static void root_crl_too_young(scene *s)
{
    s->spec.root_crl.this_update = SCENE_NOW + 1;
}

static void pck_crl_too_young(scene *s)
{
    s->spec.pck_crl.this_update = SCENE_NOW + 1;
}

static void root_crl_expired(scene *s)
{
    s->spec.root_crl.next_update = SCENE_NOW - 1;
}

static void pck_crl_expired(scene *s)
{
    s->spec.pck_crl.next_update = SCENE_NOW - 1;
}

static void crl_under_floor(scene *s)
{
    s->request.floors.min_crl_number = (uint64_t)SCENE_NOW;
}

static void ca_revoked(scene *s)
{
    s->spec.cert[CLO_SIM_PLATFORM_CA].revoked = true;
}

static void pck_revoked(scene *s)
{
    s->spec.cert[CLO_SIM_PCK].revoked = true;
}

static void signer_revoked(scene *s)
{
    s->spec.cert[CLO_SIM_SIGNER].revoked = true;
}

/* ---------------------------------------------------------------- breaks: documents ----------- */

/* Another certificate for the signer's key, and the chain of it; `root` NULL: the vendor's. */
static void put_signer_chain(scene *s, const char *cn, bool ca, const clo_key *issuer)
{
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    clo_cert_request request = {.subject_cn = cn,
                                .subject_key = s->vendor.key[CLO_SIM_SIGNER],
                                .issuer_key = issuer,
                                .issuer_cert = s->vendor.cert[CLO_SIM_ROOT_CA],
                                .not_before = SCENE_NOW - SCENE_DAY,
                                .not_after = SCENE_NOW + SCENE_DAY,
                                .ca = ca};
    const clo_sim_party root[] = {CLO_SIM_ROOT_CA};
    T_OK(clo_cert_make(&request, &cert));
    T_OK(clo_cert_write_pem(cert, &s->scratch));
    T_OK(clo_sim_chain_make(&s->vendor, root, 1, &s->scratch));
}

static void tcb_signer_misnamed(scene *s)
{
    put_signer_chain(s, "SIMULATOR stranger", false, s->vendor.key[CLO_SIM_ROOT_CA]);
    s->spec.tcb_info.document.chain = clo_buf_span(&s->scratch);
}

static void qe_signer_misnamed(scene *s)
{
    put_signer_chain(s, "SIMULATOR stranger", false, s->vendor.key[CLO_SIM_ROOT_CA]);
    s->spec.identity.document.chain = clo_buf_span(&s->scratch);
}

static void tcb_signer_is_ca(scene *s)
{
    put_signer_chain(s, "SIMULATOR SGX TCB Signing", true, s->vendor.key[CLO_SIM_ROOT_CA]);
    s->spec.tcb_info.document.chain = clo_buf_span(&s->scratch);
}

static void tcb_signer_by_stranger(scene *s)
{
    put_signer_chain(s, "SIMULATOR SGX TCB Signing", false, s->vendor.key[CLO_SIM_PCK]);
    s->spec.tcb_info.document.chain = clo_buf_span(&s->scratch);
}

static void tcb_signer_chain_without_root(scene *s)
{
    const clo_sim_party parties[] = {CLO_SIM_SIGNER, CLO_SIM_PLATFORM_CA};
    T_OK(clo_sim_chain_make(&s->vendor, parties, 2, &s->scratch));
    s->spec.tcb_info.document.chain = clo_buf_span(&s->scratch);
}

static void tcb_info_by_pck_chain(scene *s)
{
    const clo_sim_party parties[] = {CLO_SIM_PCK, CLO_SIM_ROOT_CA};
    T_OK(clo_sim_chain_make(&s->vendor, parties, 2, &s->scratch));
    s->spec.tcb_info.document.chain = clo_buf_span(&s->scratch);
}

static void tcb_info_signed_by_stranger(scene *s)
{
    s->spec.tcb_info.document.foreign_key = true;
}

static void tcb_info_altered(scene *s)
{
    s->spec.tcb_info.document.altered = true;
}

static void tcb_info_version_4(scene *s)
{
    s->spec.tcb_info.document.version = 4;
}

static void tcb_info_is_text(scene *s)
{
    s->spec.tcb_info.document.text = clo_span_of_str("[]");
}

static void tcb_advisory_too_long(scene *s)
{
    s->spec.tcb_info.document.levels[1].advisory = "INTEL-SA-00000000020";
}

static void tcb_info_too_young(scene *s)
{
    s->spec.tcb_info.document.issue = SCENE_NOW + 1;
}

static void tcb_info_expired(scene *s)
{
    s->spec.tcb_info.document.next_update = SCENE_NOW - 1;
}

static void tcb_info_other_fmspc(scene *s)
{
    s->spec.tcb_info.fmspc[5] ^= 1;
}

static void tcb_info_other_pce(scene *s)
{
    s->spec.tcb_info.pce_id[0] ^= 1;
}

static void tcb_info_for_tdx(scene *s)
{
    s->spec.tcb_info.document.id = "TDX";
}

static void tcb_info_under_floor(scene *s)
{
    s->spec.tcb_info.document.evaluation = 16;
    s->request.floors.min_evaluation = 17;
}

static void tcb_info_older_than_floor(scene *s)
{
    s->spec.tcb_info.document.issue = SCENE_NOW - 2 * SCENE_DAY;
    s->request.floors.min_issue = SCENE_NOW - SCENE_DAY;
}

static void qe_identity_signed_by_stranger(scene *s)
{
    s->spec.identity.document.foreign_key = true;
}

static void qe_identity_altered(scene *s)
{
    s->spec.identity.document.altered = true;
}

static void qe_identity_version_3(scene *s)
{
    s->spec.identity.document.version = 3;
}

static void qe_identity_too_young(scene *s)
{
    s->spec.identity.document.issue = SCENE_NOW + 1;
}

static void qe_identity_expired(scene *s)
{
    s->spec.identity.document.next_update = SCENE_NOW - 1;
}

static void qe_identity_under_floor(scene *s)
{
    s->spec.identity.document.evaluation = 16;
    s->request.floors.min_evaluation = 17;
}

static void qe_identity_older_than_floor(scene *s)
{
    s->spec.identity.document.issue = SCENE_NOW - 2 * SCENE_DAY;
    s->request.floors.min_issue = SCENE_NOW - SCENE_DAY;
}

/* ---------------------------------------------------------------- breaks: signing ------------- */

static void qe_report_signed_by_stranger(scene *s)
{
    s->spec.quote.qe_foreign_key = true;
}

static void qe_report_of_other_key(scene *s)
{
    s->spec.quote.qe_data_xor[0] = 1;
}

static void qe_report_not_zero_behind(scene *s)
{
    s->spec.quote.qe_data_xor[63] = 1;
}

static void qe_of_other_product(scene *s)
{
    s->spec.identity.product = 2;
}

static void qe_of_other_signer(scene *s)
{
    s->spec.quote.qe.signer[0] = 1;
}

static void qe_in_debug(scene *s)
{
    s->spec.quote.qe.flags |= 2;
}

static void qe_of_other_misc(scene *s)
{
    s->spec.quote.qe.misc_select[0] = 1;
}

static void identity_of_td_qe(scene *s)
{
    s->spec.identity.document.id = "TD_QE";
}

static void quote_signed_by_stranger(scene *s)
{
    s->spec.quote.foreign_key = true;
}

static void body_altered(scene *s)
{
    s->evidence.quote.data[48 + 64] ^= 1;
}

static void qe_svn_under_every_level(scene *s)
{
    s->spec.quote.qe.svn = 1;
}

static void component_under_every_level(scene *s)
{
    s->spec.platform.components[15] = 0;
}

static void pce_svn_under_every_level(scene *s)
{
    s->spec.platform.pce_svn = 1;
}

static void status_unheard_of(scene *s)
{
    s->spec.tcb_info.document.levels[0].status = "Splendid";
}

static void qe_status_unheard_of(scene *s)
{
    s->spec.identity.document.levels[0].status = "Splendid";
}

static void qe_status_of_platforms(scene *s)
{
    s->spec.identity.document.levels[0].status = "SWHardeningNeeded";
}

static void platform_level_revoked(scene *s)
{
    s->spec.tcb_info.document.levels[0].status = "Revoked";
}

static void qe_level_revoked(scene *s)
{
    s->spec.identity.document.levels[0].status = "Revoked";
}

/* ---------------------------------------------------------------- breaks: appraisal ----------- */

static void other_tee(scene *s)
{
    s->appraisal.tees[0] = CLO_TEE_SGX;
}

static void no_tee(scene *s)
{
    s->appraisal.tee_count = 0;
}

static void program_in_debug(scene *s)
{
    s->spec.quote.body.flags |= 2;
}

static void program_not_initialised(scene *s)
{
    s->spec.quote.body.flags = 4;
}

static void program_of_32_bits(scene *s)
{
    s->spec.quote.body.flags = 1;
}

static void program_with_provision_key(scene *s)
{
    s->spec.quote.body.flags |= 0x10;
}

static void program_with_launch_key(scene *s)
{
    s->spec.quote.body.flags |= 0x20;
}

static void other_measurement(scene *s)
{
    s->appraisal.measurements[0][31] ^= 1;
}

static void no_measurement(scene *s)
{
    s->appraisal.measurement_count = 0;
}

static void signer_rule(scene *s, uint16_t product, uint16_t min_svn)
{
    s->appraisal.measurement_count = 0;
    s->appraisal.signer_count = 1;
    s->appraisal.signers[0].product = product;
    s->appraisal.signers[0].min_svn = min_svn;
    memcpy(s->appraisal.signers[0].signer, s->vendor.signer, 32);
}

static void signer_of_other_product(scene *s)
{
    signer_rule(s, 2, 1);
}

static void signer_of_higher_svn(scene *s)
{
    signer_rule(s, 1, 2);
}

static void other_signer(scene *s)
{
    signer_rule(s, 1, 1);
    s->appraisal.signers[0].signer[0] ^= 1;
}

static void status_not_allowed(scene *s)
{
    s->appraisal.tcb_statuses[0] = CLO_TCB_SW_HARDENING_NEEDED;
    s->appraisal.tcb_status_count = 1;
}

static void no_status(scene *s)
{
    s->appraisal.tcb_status_count = 0;
}

static void advisory_not_tolerated(scene *s)
{
    s->spec.tcb_info.document.levels[0].advisory = "INTEL-SA-00615";
    memcpy(s->appraisal.advisories[0], "INTEL-SA-00614", 15);
    s->appraisal.advisory_count = 1;
}

static void qe_advisory_not_tolerated(scene *s)
{
    s->spec.identity.document.levels[0].advisory = "INTEL-SA-00615";
}

static void tcb_evaluation_too_low(scene *s)
{
    s->spec.tcb_info.document.evaluation = 16;
    s->appraisal.min_evaluation = 17;
}

static void qe_evaluation_too_low(scene *s)
{
    s->spec.identity.document.evaluation = 16;
    s->appraisal.min_evaluation = 17;
}

static void collateral_too_old(scene *s)
{
    s->appraisal.max_collateral_age_s = SCENE_DAY - 1;
}

static void platform_not_listed(scene *s)
{
    s->appraisal.platform_count = 2;
}

/* ---------------------------------------------------------------- the table ------------------- */

#define ROW(rule, moment, what)                                                                    \
    {                                                                                              \
        CLO_RULE_##rule, #what, .moment = what                                                     \
    }

typedef struct {
    clo_rule rule;
    const char *name;
    scene_break spec, vendor, evidence;
} row;

static const row rows[] = {
    ROW(QUOTE_FORMAT, evidence, surplus_byte),
    ROW(QUOTE_FORMAT, evidence, short_header),
    ROW(QUOTE_FORMAT, evidence, short_quote),
    ROW(QUOTE_FORMAT, spec, cert_type_6),
    ROW(QUOTE_VERSION, spec, version_4),
    ROW(ATT_KEY_TYPE, spec, key_type_3),
    ROW(TEE_TYPE, spec, tee_type_tdx),
    ROW(QE_VENDOR, spec, other_vendor),
    ROW(PCK_CERT_REQUIRED, spec, cert_type_1),
    ROW(PCK_CERT_REQUIRED, spec, cert_type_4),
    ROW(COLLATERAL_MISSING, evidence, no_collateral),
    ROW(COLLATERAL_MISSING, evidence, collateral_not_json),
    ROW(COLLATERAL_MISSING, evidence, collateral_member_misspelt),
    ROW(CHAIN_FORMAT, spec, leaf_misnamed),
    ROW(CHAIN_FORMAT, spec, ca_misnamed),
    ROW(CHAIN_FORMAT, spec, leaf_is_ca),
    ROW(CHAIN_FORMAT, spec, ca_is_no_ca),
    ROW(CHAIN_FORMAT, spec, root_is_no_ca),
    ROW(CHAIN_FORMAT, spec, leaf_issuer_misnamed),
    ROW(CHAIN_FORMAT, spec, chain_of_two_leaves),
    ROW(CHAIN_FORMAT, vendor, chain_without_root),
    ROW(CHAIN_FORMAT, spec, chain_is_no_pem),
    ROW(UNTRUSTED_ROOT, evidence, other_anchor),
    ROW(UNTRUSTED_ROOT, evidence, no_anchor),
    ROW(UNTRUSTED_ROOT, evidence, anchor_of_no_kind),
    ROW(CHAIN_SIGNATURE, spec, leaf_signed_by_stranger),
    ROW(CHAIN_SIGNATURE, spec, ca_signed_by_stranger),
    ROW(CHAIN_SIGNATURE, spec, root_signed_by_stranger),
    ROW(CERT_NOT_YET_VALID, spec, leaf_too_young),
    ROW(CERT_NOT_YET_VALID, spec, ca_too_young),
    ROW(CERT_NOT_YET_VALID, spec, root_too_young),
    ROW(CERT_NOT_YET_VALID, spec, signer_too_young),
    ROW(CERT_EXPIRED, spec, leaf_expired),
    ROW(CERT_EXPIRED, spec, ca_expired),
    ROW(CERT_EXPIRED, spec, root_expired),
    ROW(CERT_EXPIRED, spec, signer_expired),
    ROW(PCK_EXTENSIONS, spec, no_extension),
    ROW(PCK_EXTENSIONS, spec, extension_garbled),
    ROW(PCK_EXTENSIONS, spec, sgx_type_3),
    ROW(CRL_FORMAT, vendor, root_crl_without_end),
    ROW(CRL_FORMAT, spec, root_crl_garbled),
    ROW(CRL_FORMAT, spec, pck_crl_garbled),
    ROW(CRL_ISSUER, spec, pck_crl_by_root),
    ROW(CRL_ISSUER, spec, root_crl_by_ca),
    ROW(CRL_SIGNATURE, spec, pck_crl_signed_by_stranger),
    ROW(CRL_SIGNATURE, spec, root_crl_signed_by_stranger),
    ROW(CRL_NOT_YET_VALID, spec, root_crl_too_young),
    ROW(CRL_NOT_YET_VALID, spec, pck_crl_too_young),
    ROW(CRL_EXPIRED, spec, root_crl_expired),
    ROW(CRL_EXPIRED, spec, pck_crl_expired),
    ROW(CRL_FLOOR, evidence, crl_under_floor),
    ROW(CA_REVOKED, spec, ca_revoked),
    ROW(PCK_REVOKED, spec, pck_revoked),
    ROW(TCB_SIGNER_CHAIN, vendor, tcb_signer_misnamed),
    ROW(TCB_SIGNER_CHAIN, vendor, tcb_signer_is_ca),
    ROW(TCB_SIGNER_CHAIN, vendor, tcb_signer_by_stranger),
    ROW(TCB_SIGNER_CHAIN, vendor, tcb_signer_chain_without_root),
    ROW(TCB_SIGNER_CHAIN, vendor, tcb_info_by_pck_chain),
    ROW(SIGNER_REVOKED, spec, signer_revoked),
    ROW(TCB_INFO_SIGNATURE, spec, tcb_info_signed_by_stranger),
    ROW(TCB_INFO_SIGNATURE, spec, tcb_info_altered),
    ROW(TCB_INFO_FORMAT, spec, tcb_info_version_4),
    ROW(TCB_INFO_FORMAT, spec, tcb_info_is_text),
    ROW(TCB_INFO_FORMAT, spec, tcb_advisory_too_long),
    ROW(TCB_INFO_NOT_YET_VALID, spec, tcb_info_too_young),
    ROW(TCB_INFO_EXPIRED, spec, tcb_info_expired),
    ROW(TCB_INFO_MISMATCH, spec, tcb_info_other_fmspc),
    ROW(TCB_INFO_MISMATCH, spec, tcb_info_other_pce),
    ROW(TCB_INFO_MISMATCH, spec, tcb_info_for_tdx),
    ROW(TCB_INFO_FLOOR, spec, tcb_info_under_floor),
    ROW(TCB_INFO_FLOOR, spec, tcb_info_older_than_floor),
    ROW(QE_SIGNER_CHAIN, vendor, qe_signer_misnamed),
    ROW(QE_IDENTITY_SIGNATURE, spec, qe_identity_signed_by_stranger),
    ROW(QE_IDENTITY_SIGNATURE, spec, qe_identity_altered),
    ROW(QE_IDENTITY_FORMAT, spec, qe_identity_version_3),
    ROW(QE_IDENTITY_NOT_YET_VALID, spec, qe_identity_too_young),
    ROW(QE_IDENTITY_EXPIRED, spec, qe_identity_expired),
    ROW(QE_IDENTITY_FLOOR, spec, qe_identity_under_floor),
    ROW(QE_IDENTITY_FLOOR, spec, qe_identity_older_than_floor),
    ROW(QE_REPORT_SIGNATURE, spec, qe_report_signed_by_stranger),
    ROW(QE_REPORT_DATA, spec, qe_report_of_other_key),
    ROW(QE_REPORT_DATA, spec, qe_report_not_zero_behind),
    ROW(QE_IDENTITY_MISMATCH, spec, qe_of_other_product),
    ROW(QE_IDENTITY_MISMATCH, spec, qe_of_other_signer),
    ROW(QE_IDENTITY_MISMATCH, spec, qe_in_debug),
    ROW(QE_IDENTITY_MISMATCH, spec, qe_of_other_misc),
    ROW(QE_IDENTITY_MISMATCH, spec, identity_of_td_qe),
    ROW(QUOTE_SIGNATURE, spec, quote_signed_by_stranger),
    ROW(QUOTE_SIGNATURE, evidence, body_altered),
    ROW(QE_TCB_NOT_SUPPORTED, spec, qe_svn_under_every_level),
    ROW(TCB_NOT_SUPPORTED, spec, component_under_every_level),
    ROW(TCB_NOT_SUPPORTED, spec, pce_svn_under_every_level),
    ROW(TCB_STATUS_UNKNOWN, spec, status_unheard_of),
    ROW(TCB_STATUS_UNKNOWN, spec, qe_status_unheard_of),
    ROW(TCB_STATUS_UNKNOWN, spec, qe_status_of_platforms),
    ROW(TCB_REVOKED, spec, platform_level_revoked),
    ROW(TCB_REVOKED, spec, qe_level_revoked),
    ROW(POLICY_TEE, spec, other_tee),
    ROW(POLICY_TEE, spec, no_tee),
    ROW(POLICY_DEBUG, spec, program_in_debug),
    ROW(POLICY_ATTRIBUTES, spec, program_not_initialised),
    ROW(POLICY_ATTRIBUTES, spec, program_of_32_bits),
    ROW(POLICY_ATTRIBUTES, spec, program_with_provision_key),
    ROW(POLICY_ATTRIBUTES, spec, program_with_launch_key),
    ROW(POLICY_MEASUREMENT, spec, other_measurement),
    ROW(POLICY_MEASUREMENT, spec, no_measurement),
    ROW(POLICY_MEASUREMENT, evidence, signer_of_other_product),
    ROW(POLICY_MEASUREMENT, evidence, signer_of_higher_svn),
    ROW(POLICY_MEASUREMENT, evidence, other_signer),
    ROW(POLICY_TCB_STATUS, spec, status_not_allowed),
    ROW(POLICY_TCB_STATUS, spec, no_status),
    ROW(POLICY_ADVISORIES, spec, advisory_not_tolerated),
    ROW(POLICY_ADVISORIES, spec, qe_advisory_not_tolerated),
    ROW(POLICY_EVALUATION, spec, tcb_evaluation_too_low),
    ROW(POLICY_EVALUATION, spec, qe_evaluation_too_low),
    ROW(POLICY_COLLATERAL_AGE, spec, collateral_too_old),
    ROW(POLICY_PLATFORM, spec, platform_not_listed),
};

enum { ROWS = sizeof rows / sizeof *rows };

static scene stage; /* too large for a stack of frames */

/* Plays a row on the stage; false when it could not be set. */
static bool set_stage(const row *r)
{
    scene_init(&stage);
    if (r->spec != NULL) {
        r->spec(&stage);
    }
    return clo_ok(scene_mint(&stage, r->vendor, r->evidence));
}

static void healthy_evidence_is_accepted(void)
{
    const row none = {CLO_RULE_COUNT, "none", NULL, NULL, NULL};
    T_CHECK(set_stage(&none));
    T_OK(scene_judge(&stage));
    T_OK(clo_verdict_status(&stage.verdict));
    T_CHECK(stage.verdict.accepted && stage.verdict.has_claims);
    T_INT(stage.verdict.claims.tee, CLO_TEE_SIMULATOR);
    T_INT(stage.verdict.claims.tcb, CLO_TCB_UP_TO_DATE);
    scene_cleanup(&stage);
}

static void certificates_are_ordered_by_issuer_not_by_position(void)
{
    static const clo_sim_party orders[][3] = {
        {CLO_SIM_PCK, CLO_SIM_ROOT_CA, CLO_SIM_PLATFORM_CA},
        {CLO_SIM_ROOT_CA, CLO_SIM_PLATFORM_CA, CLO_SIM_PCK},
        {CLO_SIM_PLATFORM_CA, CLO_SIM_PCK, CLO_SIM_ROOT_CA},
    };
    for (size_t i = 0; i < 3; i++) {
        scene_init(&stage);
        memcpy(stage.spec.quote.order, orders[i], sizeof orders[i]);
        T_OK(scene_mint(&stage, NULL, NULL));
        T_OK(scene_judge(&stage));
        T_OK(clo_verdict_status(&stage.verdict));
        scene_cleanup(&stage);
    }
}

static void every_break_is_refused_by_its_rule(void)
{
    for (size_t i = 0; i < ROWS; i++) {
        T_CHECK(set_stage(&rows[i]));
        T_OK(scene_judge(&stage));
        if (stage.verdict.accepted || stage.verdict.failed != rows[i].rule) {
            clo_test_fail(__FILE__, __LINE__, "%s: expected %s, found %s", rows[i].name,
                          clo_rule_name(rows[i].rule), clo_rule_name(stage.verdict.failed));
        }
        clo_code expected = rows[i].rule >= CLO_RULE_POLICY_TEE ? CLO_POLICY : CLO_ATTEST;
        T_CODE(clo_verdict_status(&stage.verdict), expected);
        scene_cleanup(&stage);
    }
    printf("# %d broken evidences and policies\n", ROWS);
}

typedef enum { SURVIVED, REFUSED_ELSEWHERE, ACCEPTED } fate;

/* What becomes of rule's rows when it is off: the most telling of their outcomes. */
static fate fate_without(clo_rule rule)
{
    fate worst = SURVIVED;
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].rule != rule || !set_stage(&rows[i])) {
            continue;
        }
        switched_off = rule;
        bool judged = clo_ok(scene_judge(&stage));
        switched_off = CLO_RULE_COUNT;
        fate now = stage.verdict.failed != rule ? REFUSED_ELSEWHERE : SURVIVED;
        now = stage.verdict.accepted ? ACCEPTED : now;
        worst = judged && now > worst ? now : worst;
        scene_cleanup(&stage);
    }
    return worst;
}

static void every_rule_that_is_switched_off_is_missed(void)
{
    int killed = 0, accepted = 0;
    for (int k = 0; k < CLO_RULE_COUNT; k++) {
        fate found = fate_without((clo_rule)k);
        killed += found != SURVIVED;
        accepted += found == ACCEPTED;
        if (found == SURVIVED) {
            clo_test_fail(__FILE__, __LINE__, "no test misses rule %s", clo_rule_name(k));
        }
    }
    printf("# %d of %d rules killed (%d: bad evidence accepted, %d: refused by another rule)\n",
           killed, CLO_RULE_COUNT, accepted, killed - accepted);
    T_INT(killed, CLO_RULE_COUNT);
}

static void rules_have_names_and_summaries(void)
{
    for (int k = 0; k < CLO_RULE_COUNT; k++) {
        T_CHECK(clo_rule_name(k)[0] != '\0' && clo_rule_summary(k)[0] != '\0');
    }
    T_STR(clo_rule_name(CLO_RULE_PCK_REVOKED), "PCK_REVOKED");
    T_STR(clo_rule_name(CLO_RULE_COUNT), "none");
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(healthy_evidence_is_accepted),
        T(certificates_are_ordered_by_issuer_not_by_position),
        T(every_break_is_refused_by_its_rule),
        T(every_rule_that_is_switched_off_is_missed),
        T(rules_have_names_and_summaries),
    };
    if (!clo_ok(clo_crypto_init())) {
        return 1;
    }
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
