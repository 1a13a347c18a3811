/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every rule is needed. A table of broken evidence and policies names the rule that must refuse
 * each row; then every rule is switched off in turn, and some row of its own must come out
 * differently: accepted, or refused by another rule. A rule that no row misses would be a rule
 * without a test.
 *
 * This program has its own clo_rule_is_on; see src/attest/rule_gate.c.
 */
#include "breaks.h"

#include <stdio.h>

static clo_rule switched_off = CLO_RULE_COUNT;

bool clo_rule_is_on(clo_rule rule)
{
    return rule != switched_off;
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

/* The vendor renews its root certificate under the same key: documents may come with the new one
 * while quotes carry the old one. */
static void renew_root(scene *s)
{
    CLO_AUTO_PTR(clo_cert) renewed = NULL;
    clo_cert_request request = {.subject_cn = s->spec.cert[CLO_SIM_ROOT_CA].cn,
                                .issuer_cn = s->spec.cert[CLO_SIM_ROOT_CA].cn,
                                .subject_key = s->vendor.key[CLO_SIM_ROOT_CA],
                                .issuer_key = s->vendor.key[CLO_SIM_ROOT_CA],
                                .not_before = SCENE_NOW,
                                .not_after = SCENE_NOW + SCENE_DAY,
                                .ca = true};
    T_OK(clo_cert_make(&request, &renewed));
    T_OK(clo_cert_write_pem(s->vendor.cert[CLO_SIM_SIGNER], &s->scratch));
    T_OK(clo_cert_write_pem(renewed, &s->scratch));
    s->spec.tcb_info.document.chain = clo_buf_span(&s->scratch);
}

static void a_renewed_root_of_the_same_key_is_the_same_root(void)
{
    scene_init(&stage);
    T_OK(scene_mint(&stage, renew_root, NULL));
    T_OK(scene_judge(&stage));
    T_OK(clo_verdict_status(&stage.verdict));
    scene_cleanup(&stage);
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
        T(a_renewed_root_of_the_same_key_is_the_same_root),
        T(every_break_is_refused_by_its_rule),
        T(every_rule_that_is_switched_off_is_missed),
        T(rules_have_names_and_summaries),
    };
    if (!clo_ok(clo_crypto_init())) {
        return 1;
    }
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
