/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Job certificates (X.509, RFC 5280). One job, one CA; a leaf says which slot's key this is.
 *
 *     broker identity (Ed25519, pinned)
 *       '- "cloister job <job>"  CA, P-256, URI cloister:<job>
 *            '- "cloister <role> <slot>"  URI cloister:<job>/<role>/<slot>/<incarnation>
 *                 critical extension: OCTET STRING { manifest digest[32] || evidence digest[32] }
 *
 * A certificate alone opens no connection: the channel's gate asks for evidence as well, and the
 * roster names the key. It joins the key to the enrolment for those who look later (outputs).
 */
#include <stdio.h>
#include <string.h>

#include "cloister/kms.h"

#define CA_LIFETIME_S (366 * 24 * 3600)
/* Hosts' clocks differ: certificates begin a little before now. */
#define BACKDATE_S     300
#define EXTENSION_SIZE 64
#define DER_OCTETS     0x04

static void ca_uri(const char *job, char *out, size_t size)
{
    snprintf(out, size, "cloister:%s", job);
}

static void leaf_uri(const char *job, const clo_roster_row *row, char *out, size_t size)
{
    snprintf(out, size, "cloister:%s/%s/%u/%llu", job, clo_role_name(row->role), row->slot,
             (unsigned long long)row->incarnation);
}

clo_status clo_job_ca_make(const clo_key *identity, const clo_key *ca_key, const char *job,
                           int64_t now, clo_cert **out_cert)
{
    char cn[CLO_NAME_MAX + 32];
    char uri[CLO_NAME_MAX + 32];
    snprintf(cn, sizeof cn, "cloister job %.40s", job);
    ca_uri(job, uri, sizeof uri);
    clo_cert_request request = {
        .subject_cn = cn,
        .issuer_cn = "cloister broker",
        .subject_key = ca_key,
        .issuer_key = identity,
        .not_before = now - BACKDATE_S,
        .not_after = now + CA_LIFETIME_S,
        .ca = true,
        .uri = uri,
    };
    return clo_cert_make(&request, out_cert);
}

clo_status clo_job_leaf_make(const clo_job_leaf_request *request, int64_t now, clo_cert **out_cert)
{
    char cn[64];
    char uri[CLO_NAME_MAX + 64];
    uint8_t extension[2 + EXTENSION_SIZE] = {DER_OCTETS, EXTENSION_SIZE};
    const clo_roster_row *row = request->row;
    snprintf(cn, sizeof cn, "cloister %s %u", clo_role_name(row->role), row->slot);
    leaf_uri(request->job, row, uri, sizeof uri);
    memcpy(extension + 2, request->manifest, 32);
    memcpy(extension + 2 + 32, request->evidence, 32);
    clo_cert_request cert = {
        .subject_cn = cn,
        .subject_key = request->subject,
        .issuer_key = request->ca_key,
        .issuer_cert = request->ca,
        .not_before = now - BACKDATE_S,
        .not_after = now + CLO_JOB_CERT_LIFETIME_S,
        .uri = uri,
        .tls_usages = true,
        .extension_oid = CLO_JOB_EXTENSION_OID,
        .extension_value = CLO_SPAN_OF(extension),
        .extension_critical = true,
    };
    return clo_cert_make(&cert, out_cert);
}

static clo_status check_chain(const clo_cert *leaf, const clo_cert *ca,
                              const clo_public_key *identity)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_TRY(clo_public_key_load(identity, &key));
    CLO_TRY_CTX(clo_cert_verify_signature_key(ca, key), "job CA against the broker's identity");
    CLO_TRY_CTX(clo_cert_verify_signature(leaf, ca), "job certificate against the job CA");
    CLO_CHECK(clo_cert_is_ca(ca), CLO_POLICY, "job CA certificate is not one of a CA");
    CLO_CHECK(!clo_cert_is_ca(leaf), CLO_POLICY, "job certificate is one of a CA");
    CLO_CHECK(clo_cert_has_tls_usages(leaf), CLO_POLICY,
              "job certificate is not for both ends of TLS");
    return CLO_STATUS_OK;
}

static clo_status check_times(const clo_cert *cert, const char *what, int64_t now)
{
    CLO_CHECK(clo_cert_not_before(cert) <= now, CLO_POLICY, "%s is not yet valid", what);
    CLO_CHECK(now <= clo_cert_not_after(cert), CLO_POLICY, "%s has expired", what);
    return CLO_STATUS_OK;
}

static clo_status check_extension(const clo_cert *leaf, const uint8_t manifest[32])
{
    clo_span value;
    clo_der octets;
    CLO_TRY_CTX(clo_cert_extension(leaf, CLO_JOB_EXTENSION_OID, &value), "job certificate");
    CLO_CHECK(clo_cert_extension_is_critical(leaf, CLO_JOB_EXTENSION_OID), CLO_POLICY,
              "job certificate's extension is not marked critical");
    clo_reader r = clo_reader_of(value);
    CLO_TRY_CTX(clo_der_read(&r, &octets), "job extension");
    CLO_TRY(clo_reader_finish(&r, "the job extension"));
    CLO_CHECK(octets.tag == DER_OCTETS && octets.value.size == EXTENSION_SIZE, CLO_FORMAT,
              "job extension has %zu bytes, expected %d", octets.value.size, EXTENSION_SIZE);
    CLO_CHECK(memcmp(octets.value.data, manifest, 32) == 0, CLO_POLICY,
              "job certificate is of another manifest");
    return CLO_STATUS_OK;
}

static clo_status check_uri(const clo_cert *cert, const char *expected)
{
    clo_span found = clo_cert_uri(cert);
    CLO_CHECK(clo_span_equals_str(found, expected), CLO_POLICY,
              "job certificate is for '%.*s', expected '%s'", (int)found.size,
              (const char *)found.data, expected);
    return CLO_STATUS_OK;
}

/* Outputs are opened long after: any slot and any time, but only a trainer's leaf signs a model. */
static clo_status check_signer(const clo_cert *leaf, const char *job)
{
    char prefix[CLO_NAME_MAX + 64];
    clo_span found = clo_cert_uri(leaf);
    snprintf(prefix, sizeof prefix, "cloister:%s/%s/", job, clo_role_name(CLO_ROLE_TRAINER));
    CLO_CHECK(clo_span_starts_with(found, clo_span_of_str(prefix)), CLO_POLICY,
              "job certificate is for '%.*s', expected one that begins with '%s'", (int)found.size,
              (const char *)found.data, prefix);
    return CLO_STATUS_OK;
}

clo_status clo_job_leaf_check(const clo_cert *leaf, const clo_cert *ca,
                              const clo_public_key *identity, const clo_manifest *manifest,
                              const clo_roster_row *row, int64_t now)
{
    char uri[CLO_NAME_MAX + 64];
    CLO_TRY(check_chain(leaf, ca, identity));
    ca_uri(manifest->job, uri, sizeof uri);
    CLO_TRY_CTX(check_uri(ca, uri), "job CA");
    CLO_TRY(check_extension(leaf, manifest->digest));
    if (row == NULL) {
        return check_signer(leaf, manifest->job);
    }
    leaf_uri(manifest->job, row, uri, sizeof uri);
    CLO_TRY(check_uri(leaf, uri));
    CLO_TRY(check_times(ca, "job CA", now));
    return check_times(leaf, "job certificate", now);
}
