/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs and their certificates. A job begins with the first slot that is allowed to enrol: then it
 * gets a CA key (P-256), certified by the broker's identity, and a data key for its checkpoints,
 * whose id is the start of the manifest's digest. Both lie sealed in the store.
 */
#include "broker_state.h"

#include <string.h>

#define DATA_KEY_SIZE 32

static clo_status store_secret_key(clo_store *store, const clo_key *key, const uint8_t manifest[32])
{
    CLO_AUTO(clo_secret) pem = CLO_SECRET_INIT;
    CLO_TRY(clo_key_write_private_pem(key, &pem));
    return clo_store_put(store, CLO_RECORD_JOB_CA, CLO_SPAN(manifest, 32), CLO_SPAN_EMPTY,
                         clo_secret_span(&pem));
}

static clo_status make_ca(clo_broker *broker, const clo_manifest *manifest, clo_job_record *job)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    CLO_TRY(clo_random_reseed());
    CLO_TRY(clo_key_generate(CLO_KEY_P256, &key));
    CLO_TRY(clo_job_ca_make(broker->identity, key, manifest->job, clo_clock_utc(), &cert));
    clo_put_span(&job->ca, clo_cert_der(cert));
    CLO_TRY(clo_buf_check(&job->ca));
    return store_secret_key(broker->store, key, manifest->digest);
}

static clo_status make_data_key(clo_broker *broker, const clo_manifest *manifest)
{
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    uint8_t key_id[16];
    clo_job_key_id(manifest->digest, key_id);
    CLO_TRY(clo_secret_alloc(&key, DATA_KEY_SIZE));
    CLO_TRY(clo_random_bytes(key.data, key.size));
    return clo_store_put(broker->store, CLO_RECORD_DATA_KEY, CLO_SPAN_OF(key_id), CLO_SPAN_EMPTY,
                         clo_secret_span(&key));
}

clo_status clo_ca_job(clo_broker *broker, const clo_manifest *manifest, clo_span envelope,
                      clo_job_record *out_job)
{
    clo_status status = clo_job_record_get(broker->store, manifest->digest, out_job);
    if (status.code != CLO_NOTFOUND) {
        return status;
    }
    memcpy(out_job->manifest, manifest->digest, sizeof out_job->manifest);
    clo_put_span(&out_job->envelope, envelope);
    CLO_TRY(clo_buf_check(&out_job->envelope));
    CLO_TRY(make_ca(broker, manifest, out_job));
    CLO_TRY(make_data_key(broker, manifest));
    return clo_job_record_put(broker->store, out_job);
}

static clo_status load_ca_key(clo_store *store, const uint8_t manifest[32], clo_key **out_key)
{
    CLO_AUTO(clo_secret) pem = CLO_SECRET_INIT;
    CLO_TRY(clo_store_get_secret(store, CLO_RECORD_JOB_CA, CLO_SPAN(manifest, 32), &pem));
    return clo_key_parse_private_pem(clo_secret_span(&pem), out_key);
}

clo_status clo_ca_leaf(clo_caller *caller, const clo_manifest *manifest, const clo_job_record *job,
                       const clo_slot_record *slot, clo_buf *out_der)
{
    CLO_AUTO_PTR(clo_key) ca_key = NULL;
    CLO_AUTO_PTR(clo_key) subject = NULL;
    CLO_AUTO_PTR(clo_cert) ca = NULL;
    CLO_AUTO_PTR(clo_cert) leaf = NULL;
    CLO_TRY(load_ca_key(caller->broker->store, manifest->digest, &ca_key));
    CLO_TRY(clo_cert_parse_der(clo_buf_span(&job->ca), &ca));
    CLO_TRY(clo_public_key_load(&caller->peer_key, &subject));
    clo_job_leaf_request request = {
        .ca_key = ca_key,
        .ca = ca,
        .subject = subject,
        .job = manifest->job,
        .row = &slot->row,
        .manifest = manifest->digest,
        .evidence = slot->evidence,
    };
    CLO_TRY(clo_job_leaf_make(&request, clo_clock_utc(), &leaf));
    clo_put_span(out_der, clo_cert_der(leaf));
    return clo_buf_check(out_der);
}
