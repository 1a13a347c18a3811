/* SPDX-License-Identifier: Apache-2.0 */
/* The transcript and the sealed model: see job_record.h; the members are in
 * docs/design/training.md. */
#include "job_record.h"

#include <stdio.h>
#include <string.h>

enum { TRANSCRIPT_LIMIT = 16 << 20 };

clo_status clo_job_certificates(const clo_slot_session *session, clo_buf *out_pem)
{
    CLO_TRY(clo_cert_write_pem(clo_slot_cert(session), out_pem));
    CLO_TRY(clo_cert_write_pem(clo_slot_ca(session), out_pem));
    return clo_buf_check(out_pem);
}

static void put_roster(clo_json_writer *w, const clo_roster *roster)
{
    clo_json_begin_object(w, "roster");
    clo_json_put_u64(w, "epoch", roster->epoch);
    clo_json_put_time(w, "issued", roster->issued);
    clo_json_begin_array(w, "rows");
    for (uint32_t i = 0; i < roster->row_count; i++) {
        const clo_roster_row *row = &roster->rows[i];
        clo_json_begin_object(w, NULL);
        clo_json_put_str(w, "role", clo_role_name(row->role));
        clo_json_put_u64(w, "slot", row->slot);
        clo_json_put_u64(w, "incarnation", row->incarnation);
        clo_json_put_hex(w, "key", CLO_SPAN_OF(row->key_id));
        clo_json_put_hex(w, "platform", CLO_SPAN_OF(row->platform_id));
        clo_json_put_hex(w, "measurement", CLO_SPAN_OF(row->measurement));
        clo_json_end_object(w);
    }
    clo_json_end_array(w);
    clo_json_end_object(w);
}

/* A summary: the whole list of checks is what `attest explain` is for. */
static void put_verdict(clo_json_writer *w, const clo_verdict *verdict)
{
    clo_json_begin_object(w, "verdict");
    clo_json_put_bool(w, "accepted", verdict->accepted);
    clo_json_put_u64(w, "checks", verdict->check_count);
    clo_json_put_str(w, "tee", clo_tee_name(verdict->claims.tee));
    clo_json_put_str(w, "tcb", clo_tcb_name(verdict->claims.tcb));
    clo_json_put_hex(w, "measurement", CLO_SPAN_OF(verdict->claims.measurement));
    clo_json_put_hex(w, "root", CLO_SPAN_OF(verdict->claims.root_id));
    clo_json_end_object(w);
}

static void put_peer(clo_json_writer *w, const clo_peer *peer)
{
    clo_json_begin_object(w, NULL);
    clo_json_put_str(w, "role", clo_role_name(peer->hello.role));
    if (peer->hello.slot != CLO_SLOT_NONE) {
        clo_json_put_u64(w, "slot", peer->hello.slot);
        clo_json_put_u64(w, "incarnation", peer->hello.incarnation);
    }
    clo_json_put_hex(w, "key", CLO_SPAN_OF(peer->key_id));
    clo_json_put_hex(w, "evidence", CLO_SPAN_OF(peer->evidence_digest));
    clo_json_put_u64(w, "round", peer->round);
    clo_json_put_u64(w, "insecure_flags", peer->hello.insecure_flags);
    put_verdict(w, &peer->verdict);
    clo_json_end_object(w);
}

static void put_peers(clo_json_writer *w, const clo_job_record *record)
{
    clo_json_begin_array(w, "verified");
    put_peer(w, clo_slot_broker(record->session));
    for (size_t i = 0; i < clo_group_peer_count(record->group); i++) {
        put_peer(w, clo_group_peer(record->group, i));
    }
    clo_json_end_array(w);
}

static void put_data(clo_json_writer *w, const clo_manifest *manifest)
{
    clo_json_begin_array(w, "data");
    for (uint32_t i = 0; i < manifest->data_count; i++) {
        const clo_manifest_data *data = &manifest->data[i];
        clo_json_begin_object(w, NULL);
        clo_json_put_str(w, "use", data->use);
        clo_json_put_str(w, "split", data->split);
        clo_json_put_hex(w, "index", CLO_SPAN_OF(data->index));
        clo_json_put_hex(w, "key", CLO_SPAN_OF(data->key_id));
        clo_json_end_object(w);
    }
    clo_json_end_array(w);
}

/* As they were run: a manifest may let the host choose some. */
static void put_settings(clo_json_writer *w, const clo_train_settings *settings)
{
    clo_json_begin_object(w, "settings");
    clo_json_put_u64(w, "epochs", settings->epochs);
    clo_json_put_u64(w, "batch_size", settings->batch_size);
    clo_json_put_u64(w, "test_batch_size", settings->test_batch_size);
    clo_json_put_u64(w, "seed", settings->seed);
    clo_json_put_double(w, "lr", settings->lr);
    clo_json_put_double(w, "momentum", settings->momentum);
    clo_json_put_u64(w, "max_steps", settings->max_steps);
    clo_json_put_bool(w, "check_parameters", settings->check_parameters);
    clo_json_end_object(w);
}

static void put_results(clo_json_writer *w, const clo_train_state *state)
{
    clo_json_begin_array(w, "results");
    for (uint64_t i = 0; i + 1 < state->epoch; i++) {
        const clo_epoch_result *result = &state->results[i];
        clo_json_begin_object(w, NULL);
        clo_json_put_u64(w, "epoch", result->epoch);
        clo_json_put_double(w, "test_accuracy", result->test_accuracy);
        clo_json_put_double(w, "test_loss", result->test_loss);
        clo_json_put_double(w, "seconds", result->seconds);
        clo_json_put_double(w, "samples_per_second", result->samples_per_second);
        clo_json_end_object(w);
    }
    clo_json_end_array(w);
}

static void put_run(clo_json_writer *w, const clo_job_record *record)
{
    const clo_train_state *state = record->state;
    clo_json_put_u64(w, "steps", state->step);
    clo_json_put_bool(w, "parameters_identical", state->parameters_identical);
    clo_json_put_hex(w, "parameter_chain", CLO_SPAN_OF(state->parameter_chain));
    clo_json_put_u64(w, "checkpoints", state->generation);
    if (record->resumed_step > 0) {
        clo_json_begin_object(w, "resumed");
        clo_json_put_u64(w, "step", record->resumed_step);
        clo_json_put_hex(w, "checkpoint", CLO_SPAN_OF(record->resumed_from));
        clo_json_end_object(w);
    }
    put_results(w, state);
}

clo_status clo_transcript_write(const clo_job_record *record, const uint8_t *model, clo_buf *out)
{
    const clo_manifest *manifest = record->manifest;
    CLO_AUTO(clo_buf) certificates = CLO_BUF_INIT;
    CLO_TRY(clo_job_certificates(record->session, &certificates));
    clo_json_writer w = clo_json_writer_of(out);
    clo_json_begin_object(&w, NULL);
    clo_json_put_u64(&w, "version", 1);
    clo_json_put_str(&w, "job", manifest->job);
    clo_json_put_str(&w, "model", manifest->model);
    clo_json_put_hex(&w, "manifest", CLO_SPAN_OF(manifest->digest));
    clo_json_put_time(&w, "written", clo_clock_utc());
    clo_json_put_u64(&w, "world_size", manifest->world_size);
    put_roster(&w, clo_slot_roster(record->session));
    put_peers(&w, record);
    put_data(&w, manifest);
    put_settings(&w, &manifest->train);
    put_run(&w, record);
    if (model != NULL) {
        clo_json_put_hex(&w, "model_digest", CLO_SPAN(model, 32));
    }
    clo_json_put_text(&w, "certificates", clo_buf_span(&certificates));
    clo_json_end_object(&w);
    return clo_buf_check(out);
}

clo_status clo_job_sign_transcript(const clo_job_record *record, const uint8_t *model,
                                   const char *path, uint8_t out_digest[32])
{
    CLO_AUTO(clo_buf) payload = CLO_BUF_LIMIT(TRANSCRIPT_LIMIT);
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(2 * TRANSCRIPT_LIMIT);
    uint8_t digest[32];
    CLO_TRY(clo_transcript_write(record, model, &payload));
    CLO_TRY(clo_sha256(clo_buf_span(&payload), digest));
    CLO_TRY(clo_dsse_sign(clo_slot_key(record->session), CLO_TRANSCRIPT_TYPE,
                          clo_buf_span(&payload), &envelope));
    CLO_TRY(clo_file_write(path, 0644, clo_buf_span(&envelope)));
    memcpy(out_digest, digest, sizeof digest);
    return CLO_STATUS_OK;
}

clo_status clo_job_seal_model(const clo_job_record *record, clo_span model,
                              const uint8_t transcript[32], const clo_key *const *recipients,
                              size_t recipient_count, const char *path)
{
    const clo_manifest *manifest = record->manifest;
    CLO_AUTO(clo_buf) certificates = CLO_BUF_INIT;
    CLO_TRY(clo_job_certificates(record->session, &certificates));
    clo_output_header header = {.what = "model",
                                .format = "safetensors",
                                .input_count = manifest->data_count,
                                .certificates = clo_buf_span(&certificates)};
    memcpy(header.manifest, manifest->digest, sizeof header.manifest);
    memcpy(header.transcript, transcript, sizeof header.transcript);
    for (uint32_t i = 0; i < manifest->data_count; i++) {
        memcpy(header.inputs[i], manifest->data[i].index, sizeof header.inputs[i]);
    }
    return clo_output_seal(path, &header, clo_slot_key(record->session), recipients,
                           recipient_count, model);
}
