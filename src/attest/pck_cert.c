/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCK chain. Three certificates, one of each kind; which is which is decided by who names whom.
 */
#include "pck_cert.h"

#include <string.h>

enum { CHAIN = 3 };

static bool is_issued_by(const clo_cert *cert, const clo_cert *issuer)
{
    return clo_span_equal(clo_cert_issuer_der(cert), clo_cert_subject_der(issuer));
}

/* The only certificate that `issuer` (or, when NULL, itself) is named by as issuer, other than
 * `issuer` itself; CHAIN when there is none or more than one. */
static size_t find_child(clo_cert *const *certs, const clo_cert *issuer)
{
    size_t found = CHAIN;
    for (size_t i = 0; i < CHAIN; i++) {
        const clo_cert *named = issuer != NULL ? issuer : certs[i];
        if (certs[i] == issuer || !is_issued_by(certs[i], named)) {
            continue;
        }
        if (found != CHAIN) {
            return CHAIN;
        }
        found = i;
    }
    return found;
}

static clo_status order(clo_cert *const *certs, clo_pck_chain *out)
{
    size_t root = find_child(certs, NULL);
    CLO_CHECK(root < CHAIN, CLO_FORMAT, "chain has no single self-issued root");
    size_t ca = find_child(certs, certs[root]);
    CLO_CHECK(ca < CHAIN, CLO_FORMAT, "chain has no single authority under its root");
    size_t leaf = find_child(certs, certs[ca]);
    CLO_CHECK(leaf < CHAIN, CLO_FORMAT, "chain has no single certificate under its authority");
    *out = (clo_pck_chain){.leaf = certs[leaf], .ca = certs[ca], .root = certs[root]};
    return CLO_STATUS_OK;
}

clo_status clo_pck_chain_parse(clo_span pem, clo_pck_chain *out_chain)
{
    clo_cert *certs[CHAIN] = {NULL};
    size_t count = 0;
    CLO_TRY(clo_cert_parse_pem_chain(pem, CHAIN, certs, &count));
    clo_status status = CLO_STATUS_OK;
    if (count != CHAIN) {
        status = clo_status_make(CLO_FORMAT, __FILE__, __LINE__, __func__,
                                 "chain has %zu certificates, expected 3", count);
    } else {
        status = order(certs, out_chain);
    }
    if (!clo_ok(status)) {
        for (size_t i = 0; i < CHAIN; i++) {
            clo_cert_free(certs[i]);
        }
    }
    return status;
}

void clo_pck_chain_cleanup(clo_pck_chain *chain)
{
    clo_cert_free(chain->leaf);
    clo_cert_free(chain->ca);
    clo_cert_free(chain->root);
    *chain = CLO_PCK_CHAIN_INIT;
}

bool clo_name_has(clo_span name, const char *needle)
{
    return name.size > 0 && memmem(name.data, name.size, needle, strlen(needle)) != NULL;
}

clo_status clo_pck_chain_check(const clo_pck_chain *chain)
{
    CLO_CHECK(clo_name_has(clo_cert_subject_cn(chain->leaf), "SGX PCK Certificate"), CLO_FORMAT,
              "leaf is not named a PCK certificate");
    CLO_CHECK(clo_name_has(clo_cert_subject_cn(chain->ca), "CA"), CLO_FORMAT,
              "authority is not named a CA");
    CLO_CHECK(!clo_cert_is_ca(chain->leaf), CLO_FORMAT, "leaf is allowed to sign certificates");
    CLO_CHECK(clo_cert_is_ca(chain->ca), CLO_FORMAT,
              "authority is not allowed to sign certificates");
    CLO_CHECK(clo_cert_is_ca(chain->root), CLO_FORMAT, "root is not allowed to sign certificates");
    return CLO_STATUS_OK;
}
