/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TEST_ATTEST_BREAKS_H
#define CLO_TEST_ATTEST_BREAKS_H

/*
 * The ways to break a healthy scene, each one thing and named after it; test_attest_rules.c has the
 * table that says at which moment each is done and which rule must refuse it. They stand in the
 * order of the rules.
 */
#include "scene.h"

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

#endif
