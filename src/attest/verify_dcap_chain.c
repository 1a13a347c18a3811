/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCK chain and the two revocation lists.
 *
 *     root CRL  <--signs-- root --signs--> CA --signs--> PCK leaf
 *     PCK CRL   <--signs---------------- CA
 *
 * Trust starts at the digest of the root's key. The root's own signature is checked as well,
 * because a stranger could put that key into a certificate with other names and dates.
 */
#include "verify_dcap.h"

#include <string.h>

/* The anchor that the root's key is, or NULL. A kind that this build does not have is no anchor. */
static const clo_anchor *find_anchor(const clo_verify_request *request, const uint8_t id[32])
{
    for (uint32_t i = 0; i < request->anchor_count; i++) {
        const clo_anchor *anchor = &request->anchors[i];
        if (memcmp(anchor->spki_sha256, id, 32) == 0 &&
            strcmp(clo_tee_name(anchor->tee), "none") != 0) {
            return anchor;
        }
    }
    return NULL;
}

static clo_status check_root(clo_dcap *d)
{
    clo_claims *c = &d->verdict->claims;
    CLO_TRY(clo_sha256(clo_cert_spki(d->chain.root), c->root_id));
    const clo_anchor *anchor = find_anchor(d->request, c->root_id);
    c->tee = anchor != NULL ? anchor->tee : CLO_TEE_NONE;
    return clo_verdict_check(d->verdict, CLO_RULE_UNTRUSTED_ROOT, anchor != NULL,
                             "pck certificate chain",
                             clo_check_format("one of %u anchors", d->request->anchor_count).text,
                             clo_check_hex(CLO_SPAN_OF(c->root_id)).text);
}

static clo_status check_signatures(clo_dcap *d)
{
    const clo_pck_chain *chain = &d->chain;
    const clo_cert *links[][2] = {
        {chain->root, chain->root}, {chain->ca, chain->root}, {chain->leaf, chain->ca}};
    static const char *const expected[] = {"the root, signed by itself", "the CA, by the root",
                                           "the PCK certificate, by the CA"};
    for (size_t i = 0; i < 3; i++) {
        CLO_TRY(clo_verdict_judge(d->verdict, CLO_RULE_CHAIN_SIGNATURE,
                                  clo_cert_verify_signature(links[i][0], links[i][1]),
                                  "pck certificate chain", expected[i]));
    }
    return CLO_STATUS_OK;
}

/* All three at once: the latest notBefore and the earliest notAfter. */
static clo_status check_times(clo_dcap *d)
{
    const clo_cert *certs[] = {d->chain.leaf, d->chain.ca, d->chain.root};
    int64_t validity[2] = {INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        int64_t from = clo_cert_not_before(certs[i]), to = clo_cert_not_after(certs[i]);
        validity[0] = from > validity[0] ? from : validity[0];
        validity[1] = to < validity[1] ? to : validity[1];
    }
    clo_dcap_saw_expiry(d, validity[1]);
    return clo_dcap_check_time(d, CLO_RULE_CERT_NOT_YET_VALID, CLO_RULE_CERT_EXPIRED,
                               "pck certificate chain", validity);
}

static clo_status read_extensions(clo_dcap *d)
{
    clo_span value = CLO_SPAN_EMPTY;
    clo_status status = clo_cert_extension(d->chain.leaf, CLO_SGX_EXTENSION_OID, &value);
    if (clo_ok(status)) {
        status = clo_pck_extensions_parse(value, &d->pck);
    }
    return clo_verdict_judge(d->verdict, CLO_RULE_PCK_EXTENSIONS, status, "pck certificate",
                             "PPID, TCB, PCEID, FMSPC and type");
}

clo_status clo_dcap_pck_chain(clo_dcap *d)
{
    clo_verdict *v = d->verdict;
    bool inside = d->quote.cert_type == CLO_CERT_TYPE_CHAIN;
    clo_span pem = inside ? d->quote.cert : d->collateral.pck_chain;
    CLO_TRY(clo_verdict_need(v, CLO_RULE_CHAIN_FORMAT, clo_pck_chain_parse(pem, &d->chain),
                             inside ? "quote" : "collateral", "leaf, CA and root"));
    CLO_TRY(clo_verdict_judge(v, CLO_RULE_CHAIN_FORMAT, clo_pck_chain_check(&d->chain),
                              "pck certificate chain", "the names and usages of a PCK chain"));
    CLO_TRY(check_root(d));
    CLO_TRY(check_signatures(d));
    CLO_TRY(check_times(d));
    return read_extensions(d);
}

/* ---------------------------------------------------------------- revocation ------------------ */

typedef struct {
    const clo_crl *crl;
    const clo_cert *issuer;
    const char *source;
} list;

static clo_status check_list_time(clo_dcap *d, const list *l)
{
    int64_t validity[2] = {clo_crl_this_update(l->crl), clo_crl_next_update(l->crl)};
    clo_dcap_saw_expiry(d, validity[1]);
    return clo_dcap_check_time(d, CLO_RULE_CRL_NOT_YET_VALID, CLO_RULE_CRL_EXPIRED, l->source,
                               validity);
}

static clo_status check_list(clo_dcap *d, const list *l)
{
    clo_verdict *v = d->verdict;
    uint64_t floor = d->request->floors.min_crl_number, number = clo_crl_number(l->crl);
    CLO_TRY(clo_verdict_check(v, CLO_RULE_CRL_FORMAT, clo_crl_next_update(l->crl) != 0, l->source,
                              "a nextUpdate", clo_crl_next_update(l->crl) ? "one" : "none"));
    CLO_TRY(clo_verdict_check(
        v, CLO_RULE_CRL_ISSUER,
        clo_span_equal(clo_crl_issuer_der(l->crl), clo_cert_subject_der(l->issuer)), l->source,
        "issued in the name of the authority of the pck chain", "the issuer's name"));
    CLO_TRY(clo_verdict_judge(v, CLO_RULE_CRL_SIGNATURE,
                              clo_crl_verify_signature(l->crl, l->issuer), l->source,
                              "signed by that authority"));
    CLO_TRY(check_list_time(d, l));
    return clo_verdict_check(
        v, CLO_RULE_CRL_FLOOR, number >= floor, l->source,
        clo_check_format("number %llu or more", (unsigned long long)floor).text,
        clo_check_format("%llu", (unsigned long long)number).text);
}

static clo_status check_listed(clo_dcap *d, clo_rule rule, const clo_crl *crl, const clo_cert *cert,
                               const char *source)
{
    clo_span serial = clo_cert_serial(cert);
    return clo_verdict_check(d->verdict, rule, !clo_crl_has(crl, serial), source,
                             "a serial that is not revoked", clo_check_hex(serial).text);
}

clo_status clo_dcap_revocation(clo_dcap *d)
{
    clo_verdict *v = d->verdict;
    CLO_TRY(clo_verdict_need(v, CLO_RULE_CRL_FORMAT,
                             clo_crl_parse(d->collateral.root_crl, &d->root_crl), "root crl",
                             "a revocation list"));
    CLO_TRY(clo_verdict_need(v, CLO_RULE_CRL_FORMAT,
                             clo_crl_parse(d->collateral.pck_crl, &d->pck_crl), "pck crl",
                             "a revocation list"));
    CLO_TRY(check_list(d, &(list){d->root_crl, d->chain.root, "root crl"}));
    CLO_TRY(check_list(d, &(list){d->pck_crl, d->chain.ca, "pck crl"}));
    clo_dcap_saw_issue(d, clo_crl_this_update(d->pck_crl));
    v->claims.root_crl_number = clo_crl_number(d->root_crl);
    v->claims.pck_crl_number = clo_crl_number(d->pck_crl);
    CLO_TRY(check_listed(d, CLO_RULE_CA_REVOKED, d->root_crl, d->chain.ca, "root crl"));
    return check_listed(d, CLO_RULE_PCK_REVOKED, d->pck_crl, d->chain.leaf, "pck crl");
}
