/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Job certificates: a leaf of the right job, slot and incarnation, under the pinned broker, in
 * time, and nothing else.
 */
#include "kms_rig.h"

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
        T(refuses_a_certificate_without_the_extension),
    };
    rig_keys_make();
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    rig_keys_free();
    return code;
}
