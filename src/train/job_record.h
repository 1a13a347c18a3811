/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_TRAIN_JOB_RECORD_H
#define CLOISTER_TRAIN_JOB_RECORD_H

/*
 * What rank 0 leaves behind when a job is done: the transcript, signed, and the model, sealed.
 *
 *     parameters --safetensors--> digest --> transcript (payload digest) --> model's signed header
 *
 * So the model's header names the transcript and the transcript names the model. Both are signed by
 * the slot's attested key and carry its certificates, so that an owner checks them offline, long
 * after the slot is gone.
 *
 * Threads: one.
 */
#include "cloister/train.h"

typedef struct {
    clo_slot_session *session;
    const clo_manifest *manifest;
    const clo_group *group; /* whose peers were verified here */
    clo_train_state *state;
    uint64_t resumed_step;    /* 0: started fresh */
    uint8_t resumed_from[32]; /* digest of the checkpoint; zero when started fresh */
} clo_job_record;

/* Leaf and CA of the slot as PEM, appended. */
clo_status clo_job_certificates(const clo_slot_session *session, clo_buf *out_pem);

/* Writes the transcript's payload (JSON) into `out`. `model` is the digest of the model's
 * safetensors bytes; NULL when none is saved. */
clo_status clo_transcript_write(const clo_job_record *record, const uint8_t *model, clo_buf *out);

/* Signs the transcript and writes it to `path`; `out_digest` is SHA-256 of its payload. */
clo_status clo_job_sign_transcript(const clo_job_record *record, const uint8_t *model,
                                   const char *path, uint8_t out_digest[32]);

/* Seals `model` (safetensors) to the recipients. */
clo_status clo_job_seal_model(const clo_job_record *record, clo_span model,
                              const uint8_t transcript[32], const clo_key *const *recipients,
                              size_t recipient_count, const char *path);

#endif
