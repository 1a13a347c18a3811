/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conditions of a release, one function each, in the order of conditions.inc.
 */
#include "conditions.h"

#include <stdio.h>
#include <string.h>

#define SAY(q, ...) snprintf((q)->detail, (q)->detail_size, __VA_ARGS__)

/* ---- which data */

static bool key_is_listed(const clo_manifest *manifest, const uint8_t key_id[16])
{
    for (uint32_t i = 0; i < manifest->data_count; i++) {
        if (memcmp(manifest->data[i].key_id, key_id, 16) == 0) {
            return true;
        }
    }
    return false;
}

static bool holds_data_listed(const clo_question *q)
{
    return key_is_listed(q->c->manifest, q->c->key_id);
}

/* Every entry with this key must name the key's owner. */
static bool holds_key_owner(const clo_question *q)
{
    const clo_manifest *manifest = q->c->manifest;
    for (uint32_t i = 0; q->c->key_found && i < manifest->data_count; i++) {
        uint8_t owner[32];
        if (memcmp(manifest->data[i].key_id, q->c->key_id, 16) != 0) {
            continue;
        }
        if (!clo_ok(clo_public_key_id(&manifest->data[i].owner, owner)) ||
            memcmp(owner, q->c->key_owner, sizeof owner) != 0) {
            return false;
        }
    }
    return q->c->key_found;
}

static bool holds_key_revoked(const clo_question *q)
{
    return !q->c->key_revoked;
}

static bool holds_policy_missing(const clo_question *q)
{
    return q->c->policy != NULL;
}

/* ---- who says so */

static bool holds_manifest_broker(const clo_question *q)
{
    return clo_public_key_equal(&q->c->manifest->broker.identity, q->c->identity);
}

static bool accepts_weaknesses(const clo_question *q, uint32_t accepted)
{
    SAY(q, "expected 0x%x within 0x%x", q->c->broker_flags, accepted);
    return (q->c->broker_flags & ~accepted) == 0;
}

static bool holds_manifest_weakness(const clo_question *q)
{
    return accepts_weaknesses(q, q->c->manifest->broker.insecure_accepted);
}

static bool holds_policy_broker(const clo_question *q)
{
    return clo_public_key_equal(&q->policy->broker.identity, q->c->identity);
}

static bool holds_policy_weakness(const clo_question *q)
{
    return accepts_weaknesses(q, q->policy->broker.insecure_accepted);
}

static bool holds_manifest_signer(const clo_question *q)
{
    for (uint32_t i = 0; i < q->policy->signer_count; i++) {
        if (clo_public_key_equal(&q->policy->signers[i], &q->c->manifest->signer)) {
            return true;
        }
    }
    return false;
}

static bool holds_approval_missing(const clo_question *q)
{
    const clo_approval *approval = q->c->approval;
    if (!q->policy->need_approval) {
        return true;
    }
    return approval != NULL &&
           memcmp(approval->manifest, q->c->manifest->digest, sizeof approval->manifest) == 0 &&
           memcmp(approval->key_id, q->c->key_id, sizeof approval->key_id) == 0;
}

static bool holds_approval_version(const clo_question *q)
{
    const clo_case *c = q->c;
    if (c->approval == NULL || c->policy == NULL) {
        return true;
    }
    SAY(q, "expected %llu, found %llu", (unsigned long long)c->policy->version,
        (unsigned long long)c->approval->policy_version);
    return c->approval->policy_version == c->policy->version;
}

static bool holds_approval_expired(const clo_question *q)
{
    return q->c->approval == NULL || q->c->now <= q->c->approval->expires;
}

/* ---- what it is for */

static bool holds_role(const clo_question *q)
{
    SAY(q, "found '%s'", clo_role_name(q->c->role));
    for (uint32_t i = 0; i < q->policy->role_count; i++) {
        if (q->policy->roles[i] == q->c->role) {
            return true;
        }
    }
    return false;
}

static bool holds_model(const clo_question *q)
{
    SAY(q, "found '%s'", q->c->manifest->model);
    for (uint32_t i = 0; i < q->policy->model_count; i++) {
        if (strcmp(q->policy->models[i], q->c->manifest->model) == 0) {
            return true;
        }
    }
    return false;
}

static bool holds_slot_range(const clo_question *q)
{
    SAY(q, "slot %u, world size %u", q->c->slot, q->c->manifest->world_size);
    return q->c->slot < q->c->manifest->world_size;
}

/* ---- where it runs */

static bool holds_tee_built(const clo_question *q)
{
    return q->c->verdict->claims.tee != CLO_TEE_SIMULATOR || q->c->simulator_built;
}

static bool is_anchor(const clo_anchor *anchor, const clo_claims *claims)
{
    return anchor->tee == claims->tee &&
           memcmp(anchor->spki_sha256, claims->root_id, sizeof claims->root_id) == 0;
}

/* Intel's SGX root is built in and needs no name; whether SGX will do is the appraisal's `tees`. */
static bool has_anchor(const clo_question *q, const clo_anchor *anchors, uint32_t count)
{
    const clo_claims *claims = &q->c->verdict->claims;
    SAY(q, "found a root of kind '%s'", clo_tee_name(claims->tee));
    for (uint32_t i = 0; i < count && i < CLO_MAX_ANCHORS; i++) {
        if (is_anchor(&anchors[i], claims)) {
            return true;
        }
    }
    return is_anchor(&CLO_ANCHOR_INTEL_SGX, claims);
}

/* The appraisal's own checks, on claims that the channel has verified. */
static bool satisfies(const clo_question *q, const clo_appraisal *appraisal)
{
    clo_verdict verdict = {
        .accepted = true,
        .failed = CLO_RULE_COUNT,
        .claims = q->c->verdict->claims,
        .has_claims = q->c->verdict->has_claims,
    };
    if (!q->c->verdict->accepted || !verdict.has_claims) {
        SAY(q, "the evidence was not accepted");
        return false;
    }
    clo_appraise(appraisal, q->c->now, &verdict);
    for (uint32_t i = 0; !verdict.accepted && i < verdict.check_count; i++) {
        const clo_check *check = &verdict.checks[i];
        if (check->outcome == CLO_CHECK_FAILED) {
            SAY(q, "%s: expected %s, found %s", clo_rule_name(check->rule), check->expected,
                check->actual);
        }
    }
    return verdict.accepted;
}

static bool holds_manifest_anchor(const clo_question *q)
{
    return has_anchor(q, q->c->manifest->anchors, q->c->manifest->anchor_count);
}

static bool holds_manifest_appraisal(const clo_question *q)
{
    return satisfies(q, &q->c->manifest->appraisal);
}

static bool holds_policy_anchor(const clo_question *q)
{
    return has_anchor(q, q->policy->anchors, q->policy->anchor_count);
}

static bool holds_policy_appraisal(const clo_question *q)
{
    return satisfies(q, &q->policy->appraisal);
}

/* A development build can simulate. Its measurement tells as well, to an owner who keeps such lists
 * apart; the hello, which is in the evidence, tells to all. */
static bool holds_policy_build(const clo_question *q)
{
    return q->c->build == CLO_BUILD_RELEASE || q->policy->anchor_count > 0;
}

/* ---- the file's header */

static bool holds_header_policy(const clo_question *q)
{
    return q->c->header_policy != NULL;
}

static bool holds_header_key(const clo_question *q)
{
    const clo_case *c = q->c;
    return c->header_policy == NULL ||
           memcmp(c->header_policy->key_id, c->header->key_id, sizeof c->header->key_id) == 0;
}

static bool holds_header_version(const clo_question *q)
{
    const clo_case *c = q->c;
    if (c->header_policy == NULL) {
        return true;
    }
    SAY(q, "header has version %llu, newest is %llu", (unsigned long long)c->header_policy->version,
        (unsigned long long)(c->policy == NULL ? 0 : c->policy->version));
    return c->header_stored;
}

/* ---- how much */

static bool lets_model_out(const clo_policy *policy)
{
    for (uint32_t i = 0; i < policy->output_count; i++) {
        const clo_policy_output *output = &policy->outputs[i];
        if (strcmp(output->what, "model") == 0 && output->recipient.size > 0) {
            return true;
        }
    }
    return false;
}

static bool holds_output_model(const clo_question *q)
{
    return !q->c->manifest->train.save_model || lets_model_out(q->policy);
}

/* Accuracy leaves the TEE in clear, in every run. */
static bool holds_output_metrics(const clo_question *q)
{
    return clo_policy_metrics(q->policy) != CLO_METRICS_NEVER;
}

static bool within(const clo_question *q, uint64_t wanted, uint64_t allowed)
{
    SAY(q, "expected at most %llu, found %llu", (unsigned long long)allowed,
        (unsigned long long)wanted);
    return wanted <= allowed;
}

static bool holds_epochs(const clo_question *q)
{
    return within(q, q->c->manifest->train.epochs, q->policy->max_epochs);
}

static bool holds_epochs_approved(const clo_question *q)
{
    return q->c->approval == NULL ||
           within(q, q->c->manifest->train.epochs, q->c->approval->max_epochs);
}

/* Counts the release that is asked for; an enrolment is none. */
static bool one_more(const clo_question *q, uint64_t before, uint64_t allowed)
{
    return q->c->header == NULL || (before < UINT64_MAX && within(q, before + 1, allowed));
}

static bool holds_releases(const clo_question *q)
{
    return one_more(q, q->c->key_releases, q->policy->max_releases);
}

static bool holds_releases_approved(const clo_question *q)
{
    return q->c->approval == NULL || one_more(q, q->c->job_releases, q->c->approval->max_releases);
}

static bool holds_until(const clo_question *q)
{
    return q->c->now <= q->policy->until;
}

const clo_condition_fn clo_condition_functions[CLO_CONDITION_COUNT] = {
    [CLO_CONDITION_DATA_LISTED] = holds_data_listed,
    [CLO_CONDITION_KEY_OWNER] = holds_key_owner,
    [CLO_CONDITION_KEY_REVOKED] = holds_key_revoked,
    [CLO_CONDITION_POLICY_MISSING] = holds_policy_missing,
    [CLO_CONDITION_MANIFEST_BROKER] = holds_manifest_broker,
    [CLO_CONDITION_MANIFEST_WEAKNESS] = holds_manifest_weakness,
    [CLO_CONDITION_POLICY_BROKER] = holds_policy_broker,
    [CLO_CONDITION_POLICY_WEAKNESS] = holds_policy_weakness,
    [CLO_CONDITION_MANIFEST_SIGNER] = holds_manifest_signer,
    [CLO_CONDITION_APPROVAL_MISSING] = holds_approval_missing,
    [CLO_CONDITION_APPROVAL_VERSION] = holds_approval_version,
    [CLO_CONDITION_APPROVAL_EXPIRED] = holds_approval_expired,
    [CLO_CONDITION_ROLE] = holds_role,
    [CLO_CONDITION_MODEL] = holds_model,
    [CLO_CONDITION_SLOT_RANGE] = holds_slot_range,
    [CLO_CONDITION_TEE_BUILT] = holds_tee_built,
    [CLO_CONDITION_MANIFEST_ANCHOR] = holds_manifest_anchor,
    [CLO_CONDITION_MANIFEST_APPRAISAL] = holds_manifest_appraisal,
    [CLO_CONDITION_POLICY_ANCHOR] = holds_policy_anchor,
    [CLO_CONDITION_POLICY_APPRAISAL] = holds_policy_appraisal,
    [CLO_CONDITION_POLICY_BUILD] = holds_policy_build,
    [CLO_CONDITION_HEADER_POLICY] = holds_header_policy,
    [CLO_CONDITION_HEADER_KEY] = holds_header_key,
    [CLO_CONDITION_HEADER_VERSION] = holds_header_version,
    [CLO_CONDITION_OUTPUT_MODEL] = holds_output_model,
    [CLO_CONDITION_OUTPUT_METRICS] = holds_output_metrics,
    [CLO_CONDITION_EPOCHS] = holds_epochs,
    [CLO_CONDITION_EPOCHS_APPROVED] = holds_epochs_approved,
    [CLO_CONDITION_RELEASES] = holds_releases,
    [CLO_CONDITION_RELEASES_APPROVED] = holds_releases_approved,
    [CLO_CONDITION_UNTIL] = holds_until,
};
