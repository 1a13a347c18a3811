/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The approval: an owner joins one manifest with one version of one key's policy, with budgets. It
 * is the only document that names a manifest's digest.
 */
#include "document.h"

static const clo_field approval_fields[] = {
    CLO_ROW(clo_approval, owner, KEY),      CLO_ROW(clo_approval, manifest, HEX),
    CLO_ROW(clo_approval, key_id, HEX),     CLO_ROW(clo_approval, policy_version, U64),
    CLO_ROW(clo_approval, max_epochs, U64), CLO_ROW(clo_approval, max_releases, U64),
    CLO_ROW(clo_approval, expires, TIME),   CLO_ROW_END,
};

const clo_document clo_approval_document = {
    .what = "approval",
    .type = CLO_APPROVAL_TYPE,
    .fields = approval_fields,
    .size = sizeof(clo_approval),
    .limit = CLO_DOCUMENT_MAX,
    .signer = offsetof(clo_approval, owner),
    .has_signer = true,
};

clo_status clo_approval_sign(const clo_approval *approval, const clo_key *owner,
                             clo_buf *out_envelope)
{
    return clo_document_sign(&clo_approval_document, approval, owner, out_envelope);
}

clo_status clo_approval_open(clo_span envelope, const clo_public_key *owner,
                             clo_approval *out_approval)
{
    return clo_document_open(&clo_approval_document, envelope, owner, out_approval, NULL);
}
