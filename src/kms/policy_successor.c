/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a newer version of a policy may be: the next number, naming the digest of the one before,
 * and no looser in any condition unless it says `supersede`. The conditions are the rows of a
 * table, one a member that grants something; whoever adds such a member to the policy adds its row
 * here.
 *
 * "Tighter" for a list that grants is: a subset. For a list that restricts (platforms) an empty
 * list restricts nothing, so only a non-empty subset of a non-empty list is tighter.
 */
#include <string.h>

#include "cloister/kms.h"

typedef struct {
    const void *items;
    uint32_t count;
    size_t size;
} list;

#define LIST(array, number) ((list){(array), (number), sizeof((array)[0])})

static bool list_has(list where, const void *item)
{
    for (uint32_t i = 0; i < where.count; i++) {
        if (memcmp((const uint8_t *)where.items + i * where.size, item, where.size) == 0) {
            return true;
        }
    }
    return false;
}

/* Elements are compared as bytes: documents are read into zeroed memory, so padding is equal. */
static bool is_subset(list part, list whole)
{
    for (uint32_t i = 0; i < part.count; i++) {
        if (!list_has(whole, (const uint8_t *)part.items + i * part.size)) {
            return false;
        }
    }
    return true;
}

static bool signers_tighten(const clo_appraisal *older, const clo_appraisal *newer)
{
    for (uint32_t i = 0; i < newer->signer_count; i++) {
        const clo_signer_rule *rule = &newer->signers[i];
        bool covered = false;
        for (uint32_t k = 0; k < older->signer_count && !covered; k++) {
            const clo_signer_rule *old = &older->signers[k];
            covered = memcmp(rule->signer, old->signer, sizeof rule->signer) == 0 &&
                      rule->product == old->product && rule->min_svn >= old->min_svn;
        }
        if (!covered) {
            return false;
        }
    }
    return true;
}

static bool platforms_tighten(const clo_appraisal *older, const clo_appraisal *newer)
{
    if (older->platform_count == 0) {
        return true;
    }
    return newer->platform_count > 0 && is_subset(LIST(newer->platforms, newer->platform_count),
                                                  LIST(older->platforms, older->platform_count));
}

static bool age_tightens(const clo_appraisal *older, const clo_appraisal *newer)
{
    return older->max_collateral_age_s == 0 ||
           (newer->max_collateral_age_s != 0 &&
            newer->max_collateral_age_s <= older->max_collateral_age_s);
}

static bool appraisal_tightens(const clo_appraisal *older, const clo_appraisal *newer)
{
    return is_subset(LIST(newer->tees, newer->tee_count), LIST(older->tees, older->tee_count)) &&
           is_subset(LIST(newer->measurements, newer->measurement_count),
                     LIST(older->measurements, older->measurement_count)) &&
           signers_tighten(older, newer) &&
           is_subset(LIST(newer->tcb_statuses, newer->tcb_status_count),
                     LIST(older->tcb_statuses, older->tcb_status_count)) &&
           is_subset(LIST(newer->advisories, newer->advisory_count),
                     LIST(older->advisories, older->advisory_count)) &&
           platforms_tighten(older, newer) && newer->min_evaluation >= older->min_evaluation &&
           age_tightens(older, newer) &&
           (older->insecure_allow_debug || !newer->insecure_allow_debug);
}

static bool broker_tightens(const clo_policy *older, const clo_policy *newer)
{
    const clo_broker_trust *a = &older->broker;
    const clo_broker_trust *b = &newer->broker;
    return clo_public_key_equal(&a->identity, &b->identity) &&
           appraisal_tightens(&a->appraisal, &b->appraisal) &&
           is_subset(LIST(b->anchors, b->anchor_count), LIST(a->anchors, a->anchor_count)) &&
           (b->insecure_accepted & ~a->insecure_accepted) == 0;
}

static bool approval_tightens(const clo_policy *older, const clo_policy *newer)
{
    return newer->need_approval || !older->need_approval;
}

static bool policy_signers_tighten(const clo_policy *older, const clo_policy *newer)
{
    return is_subset(LIST(newer->signers, newer->signer_count),
                     LIST(older->signers, older->signer_count));
}

static bool policy_appraisal_tightens(const clo_policy *older, const clo_policy *newer)
{
    return appraisal_tightens(&older->appraisal, &newer->appraisal);
}

static bool anchors_tighten(const clo_policy *older, const clo_policy *newer)
{
    return is_subset(LIST(newer->anchors, newer->anchor_count),
                     LIST(older->anchors, older->anchor_count));
}

static bool roles_tighten(const clo_policy *older, const clo_policy *newer)
{
    return is_subset(LIST(newer->roles, newer->role_count), LIST(older->roles, older->role_count));
}

static bool models_tighten(const clo_policy *older, const clo_policy *newer)
{
    return is_subset(LIST(newer->models, newer->model_count),
                     LIST(older->models, older->model_count));
}

static bool output_is_within(const clo_policy_output *output, const clo_policy *older)
{
    for (uint32_t i = 0; i < older->output_count; i++) {
        const clo_policy_output *old = &older->outputs[i];
        if (strcmp(output->what, old->what) == 0 && output->every <= old->every &&
            memcmp(&output->recipient, &old->recipient, sizeof output->recipient) == 0) {
            return true;
        }
    }
    return false;
}

static bool outputs_tighten(const clo_policy *older, const clo_policy *newer)
{
    for (uint32_t i = 0; i < newer->output_count; i++) {
        if (!output_is_within(&newer->outputs[i], older)) {
            return false;
        }
    }
    return true;
}

static bool epochs_tighten(const clo_policy *older, const clo_policy *newer)
{
    return newer->max_epochs <= older->max_epochs;
}

static bool releases_tighten(const clo_policy *older, const clo_policy *newer)
{
    return newer->max_releases <= older->max_releases;
}

static bool until_tightens(const clo_policy *older, const clo_policy *newer)
{
    return newer->until <= older->until;
}

static const struct {
    const char *name;
    bool (*tightens)(const clo_policy *older, const clo_policy *newer);
} conditions[] = {
    {"broker", broker_tightens},         {"need_approval", approval_tightens},
    {"signers", policy_signers_tighten}, {"appraisal", policy_appraisal_tightens},
    {"anchors", anchors_tighten},        {"roles", roles_tighten},
    {"models", models_tighten},          {"outputs", outputs_tighten},
    {"max_epochs", epochs_tighten},      {"max_releases", releases_tighten},
    {"until", until_tightens},
};

clo_status clo_policy_check_successor(const clo_policy *older, const clo_policy *newer)
{
    CLO_CHECK(clo_public_key_equal(&older->owner, &newer->owner), CLO_POLICY,
              "the newer policy has another owner");
    CLO_CHECK(memcmp(older->key_id, newer->key_id, sizeof older->key_id) == 0, CLO_POLICY,
              "the newer policy is for another key");
    CLO_CHECK(strcmp(older->data_set, newer->data_set) == 0, CLO_POLICY,
              "the newer policy is for another data set");
    CLO_CHECK(newer->version == older->version + 1, CLO_POLICY,
              "policy version is %llu, expected %llu", (unsigned long long)newer->version,
              (unsigned long long)older->version + 1);
    CLO_CHECK(memcmp(newer->previous, older->digest, sizeof older->digest) == 0, CLO_POLICY,
              "policy version %llu does not name the digest of the one before",
              (unsigned long long)newer->version);
    for (size_t i = 0; !newer->supersede && i < sizeof conditions / sizeof *conditions; i++) {
        CLO_CHECK(conditions[i].tightens(older, newer), CLO_POLICY,
                  "policy version %llu loosens '%s' without supersede",
                  (unsigned long long)newer->version, conditions[i].name);
    }
    return CLO_STATUS_OK;
}
