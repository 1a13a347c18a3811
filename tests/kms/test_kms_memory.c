/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of the room fails once: the call says CLO_NOMEM and nothing leaks (ASan), and
 * the next call without a failure succeeds.
 */
#include "cloister/kms_protocol.h"
#include "kms_rig.h"

static long fail_at = -1;
static long seen;

bool clo_mem_should_fail(void)
{
    return fail_at >= 0 && seen++ == fail_at;
}

static const uint8_t key_id[16] = {3};

static clo_status walk_policy(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_policy policy = rig_policy(key_id);
    CLO_TRY(clo_policy_sign(&policy, rig_keys.owner, &envelope));
    return clo_policy_open(clo_buf_span(&envelope), NULL, &policy);
}

static clo_status walk_manifest(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_manifest manifest = rig_manifest(key_id);
    CLO_TRY(clo_manifest_sign(&manifest, rig_keys.signer, &envelope));
    return clo_manifest_open(clo_buf_span(&envelope), &manifest);
}

static clo_status walk_roster(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    const uint8_t job[32] = {1};
    clo_public_key identity = rig_public(rig_keys.identity);
    clo_roster roster = rig_roster(job);
    CLO_TRY(clo_roster_sign(&roster, rig_keys.identity, &envelope));
    return clo_roster_open(clo_buf_span(&envelope), &identity, job, roster.issued, &roster);
}

static clo_status walk_certificates(void)
{
    CLO_AUTO_PTR(clo_key) ca_key = NULL;
    CLO_AUTO_PTR(clo_cert) ca = NULL;
    CLO_AUTO_PTR(clo_cert) leaf = NULL;
    const uint8_t evidence[32] = {1};
    clo_manifest manifest = rig_manifest(key_id);
    clo_public_key identity = rig_public(rig_keys.identity);
    clo_roster_row row = {.role = CLO_ROLE_TRAINER, .incarnation = 1};
    int64_t now = clo_clock_utc();
    CLO_TRY(clo_key_generate(CLO_KEY_P256, &ca_key));
    CLO_TRY(clo_job_ca_make(rig_keys.identity, ca_key, manifest.job, now, &ca));
    clo_job_leaf_request request = {ca_key,          ca,      ca_key, manifest.job, &row,
                                    manifest.digest, evidence};
    CLO_TRY(clo_job_leaf_make(&request, now, &leaf));
    return clo_job_leaf_check(leaf, ca, &identity, &manifest, &row, now);
}

static clo_status walk_trust_file(void)
{
    char path[512];
    clo_broker_trust trust = rig_trust();
    snprintf(path, sizeof path, "%s/trust.json", clo_test_folder());
    CLO_TRY(clo_broker_trust_write(path, &trust));
    return clo_broker_trust_read(path, &trust);
}

static void sweep(clo_status (*walk)(void))
{
    fail_at = -1;
    T_OK(walk());
    for (long at = 0; at < 5000; at++) {
        seen = 0;
        fail_at = at;
        clo_status status = walk();
        bool reached = seen > at;
        fail_at = -1;
        if (!reached) {
            T_OK(status);
            T_CHECK(at > 3);
            return;
        }
        T_CHECK(!clo_ok(status));
    }
    clo_test_fail(__FILE__, __LINE__, "the sweep did not end");
}

static void survives_every_failed_allocation_of_a_policy(void)
{
    sweep(walk_policy);
}

static void survives_every_failed_allocation_of_a_manifest(void)
{
    sweep(walk_manifest);
}

static void survives_every_failed_allocation_of_a_roster(void)
{
    sweep(walk_roster);
}

static void survives_every_failed_allocation_of_certificates(void)
{
    sweep(walk_certificates);
}

static void survives_every_failed_allocation_of_the_trust_file(void)
{
    sweep(walk_trust_file);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(survives_every_failed_allocation_of_a_policy),
        T(survives_every_failed_allocation_of_a_manifest),
        T(survives_every_failed_allocation_of_a_roster),
        T(survives_every_failed_allocation_of_certificates),
        T(survives_every_failed_allocation_of_the_trust_file),
    };
    rig_keys_make();
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    rig_keys_free();
    return code;
}
