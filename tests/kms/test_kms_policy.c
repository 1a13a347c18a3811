/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy versions: what a newer one may be. Each member that grants something is loosened alone and
 * refused by name without supersede; tightened alone it is accepted.
 */
#include "kms_rig.h"

static const uint8_t key_id[16] = {5};

static clo_policy older(void)
{
    clo_policy policy = rig_policy(key_id);
    policy.digest[0] = 0xaa;
    policy.appraisal.platform_count = 1;
    policy.appraisal.max_collateral_age_s = 1000;
    policy.appraisal.min_evaluation = 17;
    policy.appraisal.signer_count = 1;
    policy.appraisal.signers[0] = (clo_signer_rule){{1}, 2, 3};
    policy.outputs[1].every = CLO_METRICS_EPOCH;
    policy.role_count = 2;
    policy.roles[1] = CLO_ROLE_EVALUATOR;
    return policy;
}

static clo_policy next_of(const clo_policy *policy)
{
    clo_policy newer = *policy;
    newer.version++;
    memcpy(newer.previous, policy->digest, sizeof newer.previous);
    return newer;
}

static void loosen_broker(clo_policy *p)
{
    p->broker.identity = rig_public(rig_keys.stranger);
}

static void loosen_broker_program(clo_policy *p)
{
    p->broker.appraisal.measurement_count = 2;
}

static void loosen_approval(clo_policy *p)
{
    p->need_approval = false;
}

static void loosen_signers(clo_policy *p)
{
    p->signers[p->signer_count++] = rig_public(rig_keys.stranger);
}

static void loosen_tee(clo_policy *p)
{
    p->appraisal.tees[p->appraisal.tee_count++] = CLO_TEE_SGX;
}

static void loosen_measurement(clo_policy *p)
{
    p->appraisal.measurements[p->appraisal.measurement_count++][0] = 0xee;
}

static void loosen_svn(clo_policy *p)
{
    p->appraisal.signers[0].min_svn--;
}

static void loosen_tcb(clo_policy *p)
{
    p->appraisal.tcb_statuses[p->appraisal.tcb_status_count++] = CLO_TCB_OUT_OF_DATE;
}

static void loosen_advisory(clo_policy *p)
{
    memcpy(p->appraisal.advisories[p->appraisal.advisory_count++], "INTEL-SA-00615", 15);
}

static void loosen_platforms(clo_policy *p)
{
    p->appraisal.platform_count = 0;
}

static void loosen_evaluation(clo_policy *p)
{
    p->appraisal.min_evaluation--;
}

static void loosen_age(clo_policy *p)
{
    p->appraisal.max_collateral_age_s = 0;
}

static void loosen_debug(clo_policy *p)
{
    p->appraisal.insecure_allow_debug = true;
}

static void loosen_anchor(clo_policy *p)
{
    p->anchors[p->anchor_count] = rig_anchor;
    p->anchors[p->anchor_count++].spki_sha256[31] = 1;
}

static void loosen_roles(clo_policy *p)
{
    p->roles[p->role_count++] = CLO_ROLE_BROKER;
}

static void loosen_models(clo_policy *p)
{
    strcpy(p->models[p->model_count++], "other");
}

static void loosen_outputs(clo_policy *p)
{
    p->outputs[0].recipient = rig_public(rig_keys.other_recipient);
}

static void loosen_metrics(clo_policy *p)
{
    p->outputs[1].every = CLO_METRICS_STEP;
}

static void loosen_epochs(clo_policy *p)
{
    p->max_epochs++;
}

static void loosen_releases(clo_policy *p)
{
    p->max_releases++;
}

static void loosen_until(clo_policy *p)
{
    p->until++;
}

static void loosen_accepted(clo_policy *p)
{
    p->broker.insecure_accepted |= 8;
}

static const struct {
    const char *name;
    void (*loosen)(clo_policy *policy);
} loosenings[] = {
    {"broker", loosen_broker},         {"broker", loosen_broker_program},
    {"broker", loosen_accepted},       {"need_approval", loosen_approval},
    {"signers", loosen_signers},       {"appraisal", loosen_tee},
    {"appraisal", loosen_measurement}, {"appraisal", loosen_svn},
    {"appraisal", loosen_tcb},         {"appraisal", loosen_advisory},
    {"appraisal", loosen_platforms},   {"appraisal", loosen_evaluation},
    {"appraisal", loosen_age},         {"appraisal", loosen_debug},
    {"anchors", loosen_anchor},        {"roles", loosen_roles},
    {"models", loosen_models},         {"outputs", loosen_outputs},
    {"outputs", loosen_metrics},       {"max_epochs", loosen_epochs},
    {"max_releases", loosen_releases}, {"until", loosen_until},
};

static void names_each_condition_that_is_loosened(void)
{
    clo_policy before = older();
    for (size_t i = 0; i < sizeof loosenings / sizeof *loosenings; i++) {
        char text[512];
        char wanted[64];
        clo_policy newer = next_of(&before);
        loosenings[i].loosen(&newer);
        clo_status status = clo_policy_check_successor(&before, &newer);
        T_INT(status.code, CLO_POLICY);
        clo_status_text(status, text, sizeof text);
        snprintf(wanted, sizeof wanted, "'%s'", loosenings[i].name);
        if (strstr(text, wanted) == NULL) {
            clo_test_fail(__FILE__, __LINE__, "row %zu: expected %s in '%s'", i, wanted, text);
            return;
        }
        newer.supersede = true;
        T_OK(clo_policy_check_successor(&before, &newer));
    }
}

static void accepts_the_same_conditions_and_tighter_ones(void)
{
    clo_policy before = older();
    clo_policy newer = next_of(&before);
    T_OK(clo_policy_check_successor(&before, &newer));
    newer.role_count = 1;
    newer.max_epochs--;
    newer.max_releases = 0;
    newer.until--;
    newer.output_count = 1;
    newer.appraisal.min_evaluation++;
    newer.appraisal.max_collateral_age_s = 1;
    newer.appraisal.signers[0].min_svn++;
    newer.model_count = 0;
    newer.anchor_count = 0;
    newer.broker.insecure_accepted = 0;
    T_OK(clo_policy_check_successor(&before, &newer));
    before.appraisal.platform_count = 0; /* any platform; one is tighter */
    T_OK(clo_policy_check_successor(&before, &newer));
}

static void metrics_may_leave_less_often_than_before(void)
{
    clo_policy before = older();
    before.outputs[1].every = CLO_METRICS_STEP;
    clo_policy newer = next_of(&before);
    T_OK(clo_policy_check_successor(&before, &newer));
    newer.outputs[1].every = CLO_METRICS_EPOCH;
    T_OK(clo_policy_check_successor(&before, &newer));
    newer.output_count = 1;
    T_OK(clo_policy_check_successor(&before, &newer));
}

static void refuses_a_gap_another_chain_and_another_record(void)
{
    clo_policy before = older();
    clo_policy newer = next_of(&before);
    newer.supersede = true; /* excuses loosening, nothing else */
    newer.version++;
    T_CODE(clo_policy_check_successor(&before, &newer), CLO_POLICY);
    newer.version = before.version;
    T_CODE(clo_policy_check_successor(&before, &newer), CLO_POLICY);
    newer = next_of(&before);
    newer.previous[31] ^= 1;
    T_CODE(clo_policy_check_successor(&before, &newer), CLO_POLICY);
    newer = next_of(&before);
    newer.owner = rig_public(rig_keys.stranger);
    T_CODE(clo_policy_check_successor(&before, &newer), CLO_POLICY);
    newer = next_of(&before);
    newer.key_id[0]++;
    T_CODE(clo_policy_check_successor(&before, &newer), CLO_POLICY);
    newer = next_of(&before);
    newer.data_set[0] = 'x';
    T_CODE(clo_policy_check_successor(&before, &newer), CLO_POLICY);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(names_each_condition_that_is_loosened),
        T(accepts_the_same_conditions_and_tighter_ones),
        T(metrics_may_leave_less_often_than_before),
        T(refuses_a_gap_another_chain_and_another_record),
    };
    rig_keys_make();
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    rig_keys_free();
    return code;
}
