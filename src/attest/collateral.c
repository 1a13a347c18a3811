/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collateral container. Every member is text: chains in PEM, lists as hex of DER, documents as
 * the exact text that was signed, signatures as hex of r||s.
 *
 * The issuer chain of the PCK list must be there, because producers of this container always write
 * it, but is not used: the authority that signed the PCK certificate must have signed the list, and
 * that authority's certificate is in the PCK chain already.
 */
#include "collateral.h"

static const char *const members[] = {
    "pck_certificate_chain", /* optional */
    "pck_crl_issuer_chain",
    "root_ca_crl",
    "pck_crl",
    "tcb_info_issuer_chain",
    "tcb_info",
    "tcb_info_signature",
    "qe_identity_issuer_chain",
    "qe_identity",
    "qe_identity_signature",
    NULL,
};

static clo_status get_text(const clo_json *object, const char *name, clo_span *out_text)
{
    CLO_TRY(clo_json_str(object, name, out_text));
    CLO_CHECK(out_text->size > 0, CLO_FORMAT, "collateral's '%s' is empty", name);
    return CLO_STATUS_OK;
}

static clo_status get_texts(const clo_json *root, clo_collateral *out)
{
    if (clo_json_find(root, "pck_certificate_chain") != NULL) {
        CLO_TRY(get_text(root, "pck_certificate_chain", &out->pck_chain));
    }
    CLO_TRY(get_text(root, "pck_crl_issuer_chain", &out->pck_crl_issuer_chain));
    CLO_TRY(get_text(root, "root_ca_crl", &out->root_crl));
    CLO_TRY(get_text(root, "pck_crl", &out->pck_crl));
    CLO_TRY(get_text(root, "tcb_info_issuer_chain", &out->tcb_info.chain));
    CLO_TRY(get_text(root, "tcb_info", &out->tcb_info.text));
    CLO_TRY(get_text(root, "qe_identity_issuer_chain", &out->qe_identity.chain));
    return get_text(root, "qe_identity", &out->qe_identity.text);
}

clo_status clo_collateral_parse(clo_span json, clo_arena *arena, clo_collateral *out_collateral)
{
    CLO_CHECK(json.size > 0, CLO_FORMAT, "no collateral is given");
    CLO_CHECK(json.size <= CLO_COLLATERAL_MAX, CLO_LIMIT,
              "collateral has %zu bytes, at most %d allowed", json.size, CLO_COLLATERAL_MAX);
    const clo_json *root = NULL;
    clo_collateral parsed = {0};
    CLO_TRY(clo_json_parse(json, arena, &root));
    CLO_CHECK(root->type == CLO_JSON_OBJECT, CLO_FORMAT, "collateral is not a JSON object");
    CLO_TRY(clo_json_only(root, members));
    CLO_TRY(get_texts(root, &parsed));
    CLO_TRY(clo_json_hex(root, "tcb_info_signature", parsed.tcb_info.signature, 64));
    CLO_TRY(clo_json_hex(root, "qe_identity_signature", parsed.qe_identity.signature, 64));
    *out_collateral = parsed;
    return CLO_STATUS_OK;
}
