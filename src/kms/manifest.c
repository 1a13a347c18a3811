/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job manifest: what is run, on which data, by which program. The host hands it to the process,
 * so it is a claim; it starts to count when the broker that it names has matched it with the
 * owners' policies. Its digest is the job's identity.
 */
#include "document.h"

#include <string.h>

#define LEASE_MIN_S 10
#define LEASE_MAX_S 3600
#define GRACE_MAX_S 86400

static const clo_field train_fields[] = {
    CLO_ROW(clo_train_settings, epochs, U64),
    CLO_ROW(clo_train_settings, batch_size, U64),
    CLO_ROW(clo_train_settings, test_batch_size, U64),
    CLO_ROW(clo_train_settings, seed, U64),
    CLO_ROW(clo_train_settings, log_interval, U64),
    CLO_ROW(clo_train_settings, lr, DOUBLE),
    CLO_ROW(clo_train_settings, momentum, DOUBLE),
    CLO_ROW(clo_train_settings, save_model, BOOL),
    CLO_ROW(clo_train_settings, check_parameters, BOOL),
    CLO_ROW(clo_train_settings, checkpoint_steps, U64),
    CLO_ROW(clo_train_settings, max_steps, U64),
    CLO_ROW_END,
};

static const clo_field data_fields[] = {
    CLO_ROW(clo_manifest_data, use, TEXT),
    CLO_ROW(clo_manifest_data, owner, KEY),
    CLO_ROW(clo_manifest_data, key_id, HEX),
    CLO_ROW(clo_manifest_data, index, HEX),
    CLO_ROW(clo_manifest_data, split, TEXT),
    CLO_ROW_OPTIONAL(clo_manifest_data, location, PATH),
    CLO_ROW_END,
};

static const clo_field manifest_fields[] = {
    CLO_ROW(clo_manifest, job, TEXT),
    CLO_ROW(clo_manifest, model, TEXT),
    CLO_ROW(clo_manifest, world_size, U32),
    CLO_ROW(clo_manifest, lease_s, U32),
    CLO_ROW(clo_manifest, grace_s, U32),
    CLO_ROW_OBJECT(clo_manifest, broker, clo_broker_trust_fields),
    CLO_ROW(clo_manifest, appraisal, APPRAISAL),
    CLO_ROW_ANCHORS(clo_manifest),
    CLO_ROW_LIST(clo_manifest, data, data_count, OBJECT, data_fields),
    CLO_ROW_OBJECT(clo_manifest, train, train_fields),
    CLO_ROW_LIST(clo_manifest, host_may_set, host_may_set_count, TEXT, NULL),
    CLO_ROW(clo_manifest, signer, KEY),
    CLO_ROW_END,
};

/* Settings that no policy and no approval judges, by the names of the command line's flags. All
 * that an owner bounds (epochs, what is saved, which data) holds only while the signed value is the
 * value that runs; and what changes the training itself is the signer's to say. */
static const char *const host_settings[] = {
    "log-interval",
    "test-batch-size",
};

/* The job's name goes into certificates' URIs, where a slash would end it. */
static clo_status check_job_name(const char *job)
{
    CLO_CHECK(strpbrk(job, "/._") == NULL, CLO_FORMAT, "'job' may have letters, digits and - only");
    return CLO_STATUS_OK;
}

static clo_status check_data(const clo_manifest *manifest)
{
    for (uint32_t i = 0; i < manifest->data_count; i++) {
        const char *use = manifest->data[i].use;
        CLO_CHECK(clo_manifest_find_data(manifest, use) == &manifest->data[i], CLO_FORMAT,
                  "'data' names the use '%s' twice", use);
    }
    return CLO_STATUS_OK;
}

static bool is_host_setting(const char *name)
{
    for (size_t i = 0; i < sizeof host_settings / sizeof *host_settings; i++) {
        if (strcmp(host_settings[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static clo_status check_host_settings(const clo_manifest *manifest)
{
    for (uint32_t i = 0; i < manifest->host_may_set_count; i++) {
        CLO_CHECK(is_host_setting(manifest->host_may_set[i]), CLO_POLICY,
                  "'host_may_set' names '%s', expected '%s' or '%s' only",
                  manifest->host_may_set[i], host_settings[0], host_settings[1]);
    }
    return CLO_STATUS_OK;
}

static clo_status check_manifest(const void *document)
{
    const clo_manifest *manifest = document;
    CLO_TRY(check_job_name(manifest->job));
    CLO_CHECK(manifest->world_size >= 1 && manifest->world_size <= CLO_WORLD_MAX, CLO_FORMAT,
              "'world_size' is %u, expected 1 to %d", manifest->world_size, CLO_WORLD_MAX);
    CLO_CHECK(manifest->lease_s >= LEASE_MIN_S && manifest->lease_s <= LEASE_MAX_S, CLO_FORMAT,
              "'lease_s' is %u, expected %d to %d", manifest->lease_s, LEASE_MIN_S, LEASE_MAX_S);
    CLO_CHECK(manifest->grace_s <= GRACE_MAX_S, CLO_FORMAT, "'grace_s' is %u, expected at most %d",
              manifest->grace_s, GRACE_MAX_S);
    CLO_CHECK(manifest->train.batch_size > 0 && manifest->train.test_batch_size > 0, CLO_FORMAT,
              "a batch size is 0");
    CLO_TRY(check_host_settings(manifest));
    return check_data(manifest);
}

const clo_document clo_manifest_document = {
    .what = "manifest",
    .type = CLO_MANIFEST_TYPE,
    .fields = manifest_fields,
    .size = sizeof(clo_manifest),
    .limit = CLO_DOCUMENT_MAX,
    .signer = offsetof(clo_manifest, signer),
    .has_signer = true,
    .check = check_manifest,
};

clo_status clo_manifest_sign(const clo_manifest *manifest, const clo_key *signer,
                             clo_buf *out_envelope)
{
    return clo_document_sign(&clo_manifest_document, manifest, signer, out_envelope);
}

clo_status clo_manifest_open(clo_span envelope, clo_manifest *out_manifest)
{
    return clo_document_open(&clo_manifest_document, envelope, NULL, out_manifest,
                             out_manifest->digest);
}

const clo_manifest_data *clo_manifest_find_data(const clo_manifest *manifest, const char *use)
{
    for (uint32_t i = 0; i < manifest->data_count; i++) {
        if (strcmp(manifest->data[i].use, use) == 0) {
            return &manifest->data[i];
        }
    }
    return NULL;
}
