/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Job certificates: a leaf of the right job, slot and incarnation, under the pinned broker, in
 * time, and nothing else. And the certificate of the broker's connections.
 */
#include "kms_rig.h"
#include "link.h"

static const uint8_t evidence[32] = {0xee};

/* A job with its CA and one leaf. */
typedef struct {
    clo_manifest manifest;
    clo_public_key identity;
    clo_roster_row row;
    clo_key *ca_key, *key;
    clo_cert *ca, *leaf;
    int64_t now;
} job;

static job make_job(void)
{
    static const uint8_t key_id[16] = {1};
    job j = {.manifest = rig_manifest(key_id), .now = clo_clock_utc()};
    j.manifest.digest[0] = 0xd1;
    j.identity = rig_public(rig_keys.identity);
    j.row = (clo_roster_row){.role = CLO_ROLE_TRAINER, .slot = 1, .incarnation = 3};
    j.ca_key = rig_key(CLO_KEY_P256);
    j.key = rig_key(CLO_KEY_P256);
    rig_must(clo_job_ca_make(rig_keys.identity, j.ca_key, j.manifest.job, j.now, &j.ca), "CA");
    clo_job_leaf_request leaf = {j.ca_key,          j.ca,    j.key, j.manifest.job, &j.row,
                                 j.manifest.digest, evidence};
    rig_must(clo_job_leaf_make(&leaf, j.now, &j.leaf), "leaf");
    return j;
}

static void free_job(job *j)
{
    clo_cert_free(j->leaf);
    clo_cert_free(j->ca);
    clo_key_free(j->key);
    clo_key_free(j->ca_key);
}

static clo_status check(const job *j)
{
    return clo_job_leaf_check(j->leaf, j->ca, &j->identity, &j->manifest, &j->row, j->now);
}

static void accepts_the_leaf_of_its_slot(void)
{
    job j = make_job();
    T_OK(check(&j));
    T_OK(clo_job_leaf_check(j.leaf, j.ca, &j.identity, &j.manifest, NULL, j.now + 999999999));
    T_CHECK(clo_span_equals_str(clo_cert_uri(j.leaf), "cloister:fashion-1/trainer/1/3"));
    T_CHECK(!clo_cert_is_ca(j.leaf) && clo_cert_is_ca(j.ca));
    free_job(&j);
}

static void refuses_another_slot_incarnation_and_role(void)
{
    job j = make_job();
    job other = j;
    other.row.slot = 0;
    T_CODE(check(&other), CLO_POLICY);
    other = j;
    other.row.incarnation = 2;
    T_CODE(check(&other), CLO_POLICY);
    other = j;
    other.row.role = CLO_ROLE_EVALUATOR;
    T_CODE(check(&other), CLO_POLICY);
    T_OK(check(&j));
    free_job(&j);
}

static void refuses_another_job_manifest_and_broker(void)
{
    job j = make_job();
    job other = j;
    strcpy(other.manifest.job, "fashion-2");
    T_CODE(check(&other), CLO_POLICY);
    T_CODE(clo_job_leaf_check(j.leaf, j.ca, &j.identity, &other.manifest, NULL, j.now), CLO_POLICY);
    other = j;
    other.manifest.digest[0] ^= 1;
    T_CODE(check(&other), CLO_POLICY);
    other = j;
    other.identity = rig_public(rig_keys.stranger);
    T_CODE(check(&other), CLO_CRYPTO);
    T_OK(check(&j));
    free_job(&j);
}

static void refuses_before_and_after_its_hour(void)
{
    job j = make_job();
    j.now += CLO_JOB_CERT_LIFETIME_S;
    T_OK(check(&j));
    j.now += 1;
    T_CODE(check(&j), CLO_POLICY);
    j.now -= CLO_JOB_CERT_LIFETIME_S + 3600;
    T_CODE(check(&j), CLO_POLICY);
    free_job(&j);
}

static void refuses_a_leaf_of_another_ca(void)
{
    job j = make_job();
    job other = make_job();
    clo_cert *swapped = j.leaf;
    j.leaf = other.leaf;
    T_CODE(check(&j), CLO_CRYPTO);
    j.leaf = swapped;
    free_job(&other);
    free_job(&j);
}

/* The job CA as a slot's certificate, and a slot's certificate as a CA. */
static void refuses_to_mix_leaf_and_ca(void)
{
    job j = make_job();
    clo_cert *leaf = j.leaf;
    j.leaf = j.ca;
    T_CHECK(!clo_ok(check(&j)));
    j.leaf = leaf;
    clo_cert *below = NULL;
    clo_job_leaf_request request = {
        j.key, j.leaf, rig_keys.stranger, j.manifest.job, &j.row, j.manifest.digest, evidence};
    T_OK(clo_job_leaf_make(&request, j.now, &below));
    T_CHECK(!clo_ok(clo_job_leaf_check(below, j.leaf, &j.identity, &j.manifest, &j.row, j.now)));
    clo_cert_free(below);
    free_job(&j);
}

/* A model is signed by a trainer: an evaluator has a leaf of the same job, and reads only. */
static void accepts_a_trainers_leaf_only_for_an_output(void)
{
    job j = make_job();
    T_OK(clo_job_leaf_check(j.leaf, j.ca, &j.identity, &j.manifest, NULL, j.now));
    clo_cert_free(j.leaf);
    j.row.role = CLO_ROLE_EVALUATOR;
    clo_job_leaf_request request = {j.ca_key,          j.ca,    j.key, j.manifest.job, &j.row,
                                    j.manifest.digest, evidence};
    T_OK(clo_job_leaf_make(&request, j.now, &j.leaf));
    T_OK(check(&j)); /* the control: it is a good one for its slot */
    T_CODE(clo_job_leaf_check(j.leaf, j.ca, &j.identity, &j.manifest, NULL, j.now), CLO_POLICY);
    free_job(&j);
}

/* Made as the broker makes one, but for what a test takes away. */
static void make_leaf(job *j, bool tls_usages, bool critical)
{
    uint8_t extension[66] = {0x04, 64};
    memcpy(extension + 2, j->manifest.digest, 32);
    clo_cert_request request = {
        .subject_cn = "cloister trainer 1",
        .subject_key = j->key,
        .issuer_key = j->ca_key,
        .issuer_cert = j->ca,
        .not_before = j->now - 10,
        .not_after = j->now + 10,
        .uri = "cloister:fashion-1/trainer/1/3",
        .tls_usages = tls_usages,
        .extension_oid = CLO_JOB_EXTENSION_OID,
        .extension_value = CLO_SPAN_OF(extension),
        .extension_critical = critical,
    };
    clo_cert_free(j->leaf);
    rig_must(clo_cert_make(&request, &j->leaf), "leaf");
}

static void refuses_a_leaf_without_usages_or_mark(void)
{
    job j = make_job();
    make_leaf(&j, false, true);
    T_CODE(check(&j), CLO_POLICY);
    make_leaf(&j, true, false);
    T_CODE(check(&j), CLO_POLICY);
    make_leaf(&j, true, true);
    T_OK(check(&j)); /* the control */
    free_job(&j);
}

/* ---- the broker's connections */

static clo_cert_request broker_request(const clo_key *key, int64_t now)
{
    return (clo_cert_request){
        .subject_cn = CLO_BROKER_TLS_CN,
        .issuer_cn = "cloister broker",
        .subject_key = key,
        .issuer_key = rig_keys.identity,
        .not_before = now - 10,
        .not_after = now + 10,
        .tls_usages = true,
    };
}

static clo_status check_broker(const clo_cert_request *request, int64_t now)
{
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    clo_public_key identity = rig_public(rig_keys.identity);
    CLO_TRY(clo_cert_make(request, &cert));
    return clo_broker_check_cert(clo_cert_der(cert), &identity, now);
}

static void believes_the_brokers_own_certificate_while_it_is_valid(void)
{
    CLO_AUTO_PTR(clo_key) key = rig_key(CLO_KEY_P256);
    int64_t now = clo_clock_utc();
    clo_cert_request request = broker_request(key, now);
    T_OK(check_broker(&request, now));
    T_OK(check_broker(&request, now - 10));
    T_OK(check_broker(&request, now + 10));
    T_CODE(check_broker(&request, now - 11), CLO_POLICY);
    T_CODE(check_broker(&request, now + 11), CLO_POLICY);
    request.issuer_key = rig_keys.stranger;
    T_CODE(check_broker(&request, now), CLO_CRYPTO);
}

static void refuses_other_certificates_that_the_identity_issued(void)
{
    CLO_AUTO_PTR(clo_key) key = rig_key(CLO_KEY_P256);
    CLO_AUTO_PTR(clo_cert) ca = NULL;
    clo_public_key identity = rig_public(rig_keys.identity);
    int64_t now = clo_clock_utc();
    T_OK(clo_job_ca_make(rig_keys.identity, key, "fashion-1", now, &ca));
    T_CODE(clo_broker_check_cert(clo_cert_der(ca), &identity, now), CLO_POLICY);
    clo_cert_request request = broker_request(key, now);
    request.ca = true;
    T_CODE(check_broker(&request, now), CLO_POLICY);
    request = broker_request(key, now);
    request.tls_usages = false;
    T_CODE(check_broker(&request, now), CLO_POLICY);
    request = broker_request(key, now);
    request.subject_cn = "cloister job fashion-1";
    T_CODE(check_broker(&request, now), CLO_POLICY);
    request = broker_request(key, now); /* the control */
    T_OK(check_broker(&request, now));
}

static void refuses_a_certificate_without_the_extension(void)
{
    job j = make_job();
    clo_cert_free(j.leaf);
    clo_cert_request request = {
        .subject_cn = "cloister trainer 1",
        .subject_key = j.key,
        .issuer_key = j.ca_key,
        .issuer_cert = j.ca,
        .not_before = j.now - 10,
        .not_after = j.now + 10,
        .uri = "cloister:fashion-1/trainer/1/3",
        .tls_usages = true,
    };
    T_OK(clo_cert_make(&request, &j.leaf));
    T_CODE(check(&j), CLO_NOTFOUND);
    free_job(&j);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(accepts_the_leaf_of_its_slot),
        T(refuses_another_slot_incarnation_and_role),
        T(refuses_another_job_manifest_and_broker),
        T(refuses_before_and_after_its_hour),
        T(refuses_a_leaf_of_another_ca),
        T(refuses_to_mix_leaf_and_ca),
        T(accepts_a_trainers_leaf_only_for_an_output),
        T(refuses_a_leaf_without_usages_or_mark),
        T(believes_the_brokers_own_certificate_while_it_is_valid),
        T(refuses_other_certificates_that_the_identity_issued),
        T(refuses_a_certificate_without_the_extension),
    };
    rig_keys_make();
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    rig_keys_free();
    return code;
}
