/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy: an owner's word on one data key. Its members are the rows below; the conditions they
 * set are decided by the broker (src/broker/decision.c).
 */
#include "document.h"

#include <string.h>

static const clo_field output_fields[] = {
    CLO_ROW(clo_policy_output, what, TEXT),
    {.name = "recipient",
     .kind = CLO_FIELD_KEY,
     .offset = offsetof(clo_policy_output, recipient),
     .size = sizeof(clo_public_key),
     .optional = true},
    CLO_ROW_OPTIONAL(clo_policy_output, every, METRICS),
    CLO_ROW_END,
};

static const clo_field policy_fields[] = {
    CLO_ROW(clo_policy, owner, KEY),
    CLO_ROW(clo_policy, data_set, TEXT),
    CLO_ROW(clo_policy, key_id, HEX),
    CLO_ROW(clo_policy, version, U64),
    CLO_ROW(clo_policy, previous, HEX),
    CLO_ROW(clo_policy, supersede, BOOL),
    CLO_ROW_OBJECT(clo_policy, broker, clo_broker_trust_fields),
    CLO_ROW(clo_policy, need_approval, BOOL),
    CLO_ROW_LIST(clo_policy, signers, signer_count, KEY, NULL),
    CLO_ROW(clo_policy, appraisal, APPRAISAL),
    CLO_ROW_ANCHORS(clo_policy),
    CLO_ROW_LIST(clo_policy, roles, role_count, ROLE, NULL),
    CLO_ROW_LIST(clo_policy, models, model_count, TEXT, NULL),
    CLO_ROW_LIST(clo_policy, outputs, output_count, OBJECT, output_fields),
    CLO_ROW(clo_policy, max_epochs, U64),
    CLO_ROW(clo_policy, max_releases, U64),
    CLO_ROW(clo_policy, until, TIME),
    CLO_ROW_END,
};

static bool recipient_is_x25519(const clo_public_key *recipient)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    return clo_ok(clo_public_key_load(recipient, &key)) && clo_key_get_kind(key) == CLO_KEY_X25519;
}

static bool is_metrics(const clo_policy_output *output)
{
    return strcmp(output->what, "metrics") == 0;
}

static clo_status check_output(const clo_policy_output *output)
{
    CLO_CHECK(output->recipient.size == 0 || recipient_is_x25519(&output->recipient), CLO_FORMAT,
              "recipient of output '%s' is not an X25519 key", output->what);
    CLO_CHECK(!is_metrics(output) || output->every != CLO_METRICS_NEVER, CLO_FORMAT,
              "output 'metrics' has no 'every', expected 'epoch' or 'step'");
    CLO_CHECK(is_metrics(output) || output->every == CLO_METRICS_NEVER, CLO_FORMAT,
              "output '%s' has 'every', which is for 'metrics' alone", output->what);
    return CLO_STATUS_OK;
}

static clo_status check_outputs(const clo_policy *policy)
{
    uint32_t metrics = 0;
    for (uint32_t i = 0; i < policy->output_count; i++) {
        CLO_TRY(check_output(&policy->outputs[i]));
        metrics += is_metrics(&policy->outputs[i]);
    }
    CLO_CHECK(metrics <= 1, CLO_FORMAT, "%u outputs are 'metrics', expected at most 1", metrics);
    return CLO_STATUS_OK;
}

static clo_status check_policy(const void *document)
{
    static const uint8_t zero[32];
    const clo_policy *policy = document;
    CLO_CHECK(policy->version > 0, CLO_FORMAT, "version is 0, expected 1 or more");
    bool first = clo_span_equal(CLO_SPAN_OF(policy->previous), CLO_SPAN_OF(zero));
    CLO_CHECK(first == (policy->version == 1), CLO_FORMAT,
              "version %llu does not fit 'previous', which is zero for version 1 only",
              (unsigned long long)policy->version);
    return check_outputs(policy);
}

const clo_document clo_policy_document = {
    .what = "policy",
    .type = CLO_POLICY_TYPE,
    .fields = policy_fields,
    .size = sizeof(clo_policy),
    .limit = CLO_DOCUMENT_MAX,
    .signer = offsetof(clo_policy, owner),
    .has_signer = true,
    .check = check_policy,
};

clo_status clo_policy_sign(const clo_policy *policy, const clo_key *owner, clo_buf *out_envelope)
{
    return clo_document_sign(&clo_policy_document, policy, owner, out_envelope);
}

clo_status clo_policy_open(clo_span envelope, const clo_public_key *owner, clo_policy *out_policy)
{
    return clo_document_open(&clo_policy_document, envelope, owner, out_policy, out_policy->digest);
}

clo_metrics_every clo_policy_metrics(const clo_policy *policy)
{
    for (uint32_t i = 0; i < policy->output_count; i++) {
        if (is_metrics(&policy->outputs[i])) {
            return policy->outputs[i].every;
        }
    }
    return CLO_METRICS_NEVER;
}
