/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision: a case that is allowed, and for each condition one change that this condition, and
 * it alone, refuses. With the condition switched off the changed case is allowed, so no condition
 * is idle and none hides behind another.
 */
#include "broker_rig.h"

static clo_condition switched_off = CLO_CONDITION_COUNT;

bool clo_condition_is_on(clo_condition condition)
{
    return condition != switched_off;
}

/* A case and everything it points to. */
typedef struct {
    clo_case c;
    clo_public_key identity;
    clo_manifest manifest;
    clo_policy policy, header_policy;
    clo_approval approval;
    clo_verdict verdict;
    clo_seal_header header;
} fixture;

static const uint8_t key_id[16] = {9, 9};

static void make_documents(fixture *f)
{
    f->identity = rig_public(rig_keys.identity);
    f->manifest = rig_manifest(key_id);
    f->manifest.digest[0] = 0xd0;
    f->policy = rig_policy(key_id);
    f->header_policy = f->policy;
    f->approval = rig_approval(&f->manifest, key_id);
    memcpy(f->header.key_id, key_id, sizeof key_id);
}

static void make_verdict(fixture *f)
{
    clo_claims *claims = &f->verdict.claims;
    f->verdict.accepted = true;
    f->verdict.failed = CLO_RULE_COUNT;
    f->verdict.has_claims = true;
    claims->tee = CLO_TEE_SIMULATOR;
    claims->tcb = CLO_TCB_UP_TO_DATE;
    claims->platform_tcb = CLO_TCB_UP_TO_DATE;
    claims->qe_tcb = CLO_TCB_UP_TO_DATE;
    claims->attribute_flags = 0x05; /* initialised, 64-bit */
    claims->earliest_issue = f->c.now - 60;
    claims->earliest_expiry = f->c.now + 86400;
    memcpy(claims->measurement, rig_program, 32);
    memcpy(claims->root_id, rig_anchor.spki_sha256, 32);
}

static void make_fixture(fixture *f)
{
    memset(f, 0, sizeof *f);
    f->c.now = clo_clock_utc();
    make_documents(f);
    make_verdict(f);
    f->c.identity = &f->identity;
    f->c.broker_flags = 7;
    f->c.simulator_built = true;
    f->c.manifest = &f->manifest;
    f->c.role = CLO_ROLE_TRAINER;
    f->c.slot = 1;
    f->c.build = CLO_BUILD_RELEASE;
    f->c.verdict = &f->verdict;
    f->c.key_found = true;
    memcpy(f->c.key_id, key_id, sizeof key_id);
    rig_must(clo_public_key_id(&f->policy.owner, f->c.key_owner), "owner's id");
    f->c.policy = &f->policy;
    f->c.approval = &f->approval;
    f->c.header = &f->header;
    f->c.header_policy = &f->header_policy;
    f->c.header_stored = true;
}

/* ---- one change a condition */

static void break_data_listed(fixture *f)
{
    f->manifest.data_count = 0;
}

static void break_key_owner(fixture *f)
{
    f->c.key_owner[0] ^= 1;
}

static void break_key_revoked(fixture *f)
{
    f->c.key_revoked = true;
}

static void break_policy_missing(fixture *f)
{
    f->c.policy = NULL;
    f->c.header_policy = NULL;
    f->c.header = NULL;
}

static void break_manifest_broker(fixture *f)
{
    f->manifest.broker.identity = rig_public(rig_keys.stranger);
}

static void break_manifest_weakness(fixture *f)
{
    f->manifest.broker.insecure_accepted &= ~CLO_INSECURE_NO_ANCHOR;
}

static void break_policy_broker(fixture *f)
{
    f->policy.broker.identity = rig_public(rig_keys.stranger);
}

static void break_policy_weakness(fixture *f)
{
    f->policy.broker.insecure_accepted &= ~CLO_INSECURE_ROOT_OPERATOR;
}

static void break_manifest_signer(fixture *f)
{
    f->policy.signers[0] = rig_public(rig_keys.stranger);
}

static void break_approval_missing(fixture *f)
{
    f->c.approval = NULL;
}

static void break_approval_version(fixture *f)
{
    f->approval.policy_version = 2;
}

static void break_approval_expired(fixture *f)
{
    f->approval.expires = f->c.now - 1;
}

static void break_role(fixture *f)
{
    f->policy.roles[0] = CLO_ROLE_EVALUATOR;
}

static void break_model(fixture *f)
{
    strcpy(f->policy.models[0], "other");
}

static void break_slot_range(fixture *f)
{
    f->c.slot = f->manifest.world_size;
}

static void break_tee_built(fixture *f)
{
    f->c.simulator_built = false;
}

static void break_manifest_anchor(fixture *f)
{
    f->manifest.anchor_count = 0;
}

static void break_manifest_appraisal(fixture *f)
{
    f->manifest.appraisal.measurements[0][0] ^= 1;
}

static void break_policy_anchor(fixture *f)
{
    f->policy.anchors[0].spki_sha256[0] ^= 1;
}

static void break_policy_appraisal(fixture *f)
{
    f->policy.appraisal.tcb_status_count = 0;
}

static void list_sgx(clo_appraisal *appraisal)
{
    appraisal->tees[appraisal->tee_count++] = CLO_TEE_SGX;
}

/* Genuine evidence, and a policy without a simulator. */
static void make_genuine(fixture *f)
{
    f->verdict.claims.tee = CLO_TEE_SGX;
    memcpy(f->verdict.claims.root_id, CLO_ANCHOR_INTEL_SGX.spki_sha256, 32);
    list_sgx(&f->manifest.appraisal);
    list_sgx(&f->policy.appraisal);
    list_sgx(&f->header_policy.appraisal);
    f->policy.anchor_count = 0;
}

static void break_policy_build(fixture *f)
{
    make_genuine(f);
    f->c.build = CLO_BUILD_DEVELOPMENT;
}

static void break_header_policy(fixture *f)
{
    f->c.header_policy = NULL;
}

static void break_header_key(fixture *f)
{
    f->header_policy.key_id[0] ^= 1;
}

static void break_header_version(fixture *f)
{
    f->c.header_stored = false;
}

static void break_output_model(fixture *f)
{
    f->policy.outputs[0].recipient.size = 0;
}

static void break_output_metrics(fixture *f)
{
    f->policy.output_count = 1;
}

static void break_epochs(fixture *f)
{
    f->policy.max_epochs = f->manifest.train.epochs - 1;
}

static void break_epochs_approved(fixture *f)
{
    f->approval.max_epochs = f->manifest.train.epochs - 1;
}

static void break_releases(fixture *f)
{
    f->c.key_releases = f->policy.max_releases;
}

static void break_releases_approved(fixture *f)
{
    f->c.job_releases = f->approval.max_releases;
}

static void break_until(fixture *f)
{
    f->policy.until = f->c.now - 1;
}

static void (*const breaks[CLO_CONDITION_COUNT])(fixture *f) = {
    [CLO_CONDITION_DATA_LISTED] = break_data_listed,
    [CLO_CONDITION_KEY_OWNER] = break_key_owner,
    [CLO_CONDITION_KEY_REVOKED] = break_key_revoked,
    [CLO_CONDITION_POLICY_MISSING] = break_policy_missing,
    [CLO_CONDITION_MANIFEST_BROKER] = break_manifest_broker,
    [CLO_CONDITION_MANIFEST_WEAKNESS] = break_manifest_weakness,
    [CLO_CONDITION_POLICY_BROKER] = break_policy_broker,
    [CLO_CONDITION_POLICY_WEAKNESS] = break_policy_weakness,
    [CLO_CONDITION_MANIFEST_SIGNER] = break_manifest_signer,
    [CLO_CONDITION_APPROVAL_MISSING] = break_approval_missing,
    [CLO_CONDITION_APPROVAL_VERSION] = break_approval_version,
    [CLO_CONDITION_APPROVAL_EXPIRED] = break_approval_expired,
    [CLO_CONDITION_ROLE] = break_role,
    [CLO_CONDITION_MODEL] = break_model,
    [CLO_CONDITION_SLOT_RANGE] = break_slot_range,
    [CLO_CONDITION_TEE_BUILT] = break_tee_built,
    [CLO_CONDITION_MANIFEST_ANCHOR] = break_manifest_anchor,
    [CLO_CONDITION_MANIFEST_APPRAISAL] = break_manifest_appraisal,
    [CLO_CONDITION_POLICY_ANCHOR] = break_policy_anchor,
    [CLO_CONDITION_POLICY_APPRAISAL] = break_policy_appraisal,
    [CLO_CONDITION_POLICY_BUILD] = break_policy_build,
    [CLO_CONDITION_HEADER_POLICY] = break_header_policy,
    [CLO_CONDITION_HEADER_KEY] = break_header_key,
    [CLO_CONDITION_HEADER_VERSION] = break_header_version,
    [CLO_CONDITION_OUTPUT_MODEL] = break_output_model,
    [CLO_CONDITION_OUTPUT_METRICS] = break_output_metrics,
    [CLO_CONDITION_EPOCHS] = break_epochs,
    [CLO_CONDITION_EPOCHS_APPROVED] = break_epochs_approved,
    [CLO_CONDITION_RELEASES] = break_releases,
    [CLO_CONDITION_RELEASES_APPROVED] = break_releases_approved,
    [CLO_CONDITION_UNTIL] = break_until,
};

static clo_condition decide(const fixture *f)
{
    clo_decision decision;
    clo_decide(&f->c, &decision);
    return decision.failed;
}

static void allows_the_case_that_all_conditions_hold_for(void)
{
    fixture f;
    make_fixture(&f);
    T_STR(clo_condition_name(decide(&f)), "ALLOWED");
    f.c.header = NULL;
    f.c.header_policy = NULL;
    T_STR(clo_condition_name(decide(&f)), "ALLOWED");
}

static void refuses_by_each_condition_and_by_it_alone(void)
{
    int killed = 0;
    for (int i = 0; i < CLO_CONDITION_COUNT; i++) {
        fixture f;
        make_fixture(&f);
        T_CHECK(breaks[i] != NULL);
        breaks[i](&f);
        T_STR(clo_condition_name(decide(&f)), clo_condition_name((clo_condition)i));
        switched_off = (clo_condition)i;
        clo_condition without = decide(&f);
        switched_off = CLO_CONDITION_COUNT;
        T_STR(clo_condition_name(without), "ALLOWED");
        killed++;
    }
    printf("# %d of %d conditions killed\n", killed, (int)CLO_CONDITION_COUNT);
    T_INT(killed, CLO_CONDITION_COUNT);
}

/* What the stored policy allows, the header's may still forbid. */
static void asks_the_policy_in_the_header_as_well(void)
{
    static const clo_condition asked[] = {
        CLO_CONDITION_POLICY_BROKER,
        CLO_CONDITION_POLICY_WEAKNESS,
        CLO_CONDITION_MANIFEST_SIGNER,
        CLO_CONDITION_ROLE,
        CLO_CONDITION_MODEL,
        CLO_CONDITION_POLICY_ANCHOR,
        CLO_CONDITION_POLICY_APPRAISAL,
        CLO_CONDITION_OUTPUT_MODEL,
        CLO_CONDITION_OUTPUT_METRICS,
        CLO_CONDITION_EPOCHS,
        CLO_CONDITION_UNTIL,
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        fixture f;
        clo_decision decision;
        make_fixture(&f);
        breaks[asked[i]](&f);
        f.header_policy = f.policy;
        f.policy = rig_policy(key_id);
        clo_decide(&f.c, &decision);
        T_STR(clo_condition_name(decision.failed), clo_condition_name(asked[i]));
        T_CHECK(decision.in_header);
        f.c.header_superseded = true; /* the owner said so in a later version */
        T_STR(clo_condition_name(decide(&f)), "ALLOWED");
    }
}

static void needs_no_approval_in_mode_signer(void)
{
    fixture f;
    make_fixture(&f);
    f.c.approval = NULL;
    f.policy.need_approval = false;
    T_STR(clo_condition_name(decide(&f)), "APPROVAL_MISSING"); /* the header's still asks */
    f.header_policy.need_approval = false;
    T_STR(clo_condition_name(decide(&f)), "ALLOWED");
}

static void refuses_an_approval_of_another_manifest_or_key(void)
{
    fixture f;
    make_fixture(&f);
    f.approval.manifest[0] ^= 1;
    T_STR(clo_condition_name(decide(&f)), "APPROVAL_MISSING");
    make_fixture(&f);
    f.approval.key_id[0] ^= 1;
    T_STR(clo_condition_name(decide(&f)), "APPROVAL_MISSING");
}

static void denies_by_every_empty_list(void)
{
    fixture f;
    make_fixture(&f);
    f.policy.signer_count = 0;
    T_STR(clo_condition_name(decide(&f)), "MANIFEST_SIGNER");
    make_fixture(&f);
    f.policy.role_count = 0;
    T_STR(clo_condition_name(decide(&f)), "ROLE");
    make_fixture(&f);
    f.policy.model_count = 0;
    T_STR(clo_condition_name(decide(&f)), "MODEL");
    make_fixture(&f);
    f.policy.anchor_count = 0;
    T_STR(clo_condition_name(decide(&f)), "POLICY_ANCHOR");
    make_fixture(&f);
    f.policy.appraisal.measurement_count = 0;
    T_STR(clo_condition_name(decide(&f)), "POLICY_APPRAISAL");
    make_fixture(&f);
    f.policy.output_count = 0;
    T_STR(clo_condition_name(decide(&f)), "OUTPUT_MODEL");
}

/* SGX's root needs no name, and no name helps where `tees` does not list sgx. */
static void takes_the_built_in_root_where_tees_list_sgx(void)
{
    fixture f;
    make_fixture(&f);
    f.verdict.claims.tee = CLO_TEE_SGX;
    memcpy(f.verdict.claims.root_id, CLO_ANCHOR_INTEL_SGX.spki_sha256, 32);
    T_STR(clo_condition_name(decide(&f)), "MANIFEST_APPRAISAL");
    list_sgx(&f.manifest.appraisal);
    f.manifest.anchor_count = 0;
    T_STR(clo_condition_name(decide(&f)), "POLICY_APPRAISAL");
    list_sgx(&f.policy.appraisal);
    list_sgx(&f.header_policy.appraisal);
    f.policy.anchor_count = 0;
    T_STR(clo_condition_name(decide(&f)), "ALLOWED");
    f.verdict.claims.root_id[0] ^= 1; /* another root of that kind, which nobody named */
    T_STR(clo_condition_name(decide(&f)), "MANIFEST_ANCHOR");
}

static void takes_a_development_build_where_the_policy_names_a_simulator(void)
{
    fixture f;
    make_fixture(&f);
    f.c.build = CLO_BUILD_DEVELOPMENT;
    T_STR(clo_condition_name(decide(&f)), "ALLOWED");
    make_genuine(&f);
    T_STR(clo_condition_name(decide(&f)), "POLICY_BUILD");
    f.c.build = CLO_BUILD_RELEASE;
    T_STR(clo_condition_name(decide(&f)), "ALLOWED");
    f.c.build = (clo_build_class)0; /* what was not said is not trusted */
    T_STR(clo_condition_name(decide(&f)), "POLICY_BUILD");
}

static void refuses_evidence_that_was_not_accepted(void)
{
    fixture f;
    make_fixture(&f);
    f.verdict.accepted = false;
    T_STR(clo_condition_name(decide(&f)), "MANIFEST_APPRAISAL");
}

static void tells_the_reason_with_expected_and_found(void)
{
    fixture f;
    clo_decision decision;
    char text[512];
    make_fixture(&f);
    f.policy.max_epochs = 3;
    clo_decide(&f.c, &decision);
    clo_status status = clo_decision_status(&decision);
    T_INT(status.code, CLO_DENIED);
    clo_status_text(status, text, sizeof text);
    T_CHECK(strstr(text, "EPOCHS") != NULL && strstr(text, "at most 3, found 10") != NULL);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(allows_the_case_that_all_conditions_hold_for),
        T(refuses_by_each_condition_and_by_it_alone),
        T(asks_the_policy_in_the_header_as_well),
        T(needs_no_approval_in_mode_signer),
        T(refuses_an_approval_of_another_manifest_or_key),
        T(denies_by_every_empty_list),
        T(takes_the_built_in_root_where_tees_list_sgx),
        T(takes_a_development_build_where_the_policy_names_a_simulator),
        T(refuses_evidence_that_was_not_accepted),
        T(tells_the_reason_with_expected_and_found),
    };
    rig_keys_make();
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    rig_keys_free();
    return code;
}
