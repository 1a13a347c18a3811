/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_TRAIN_JOB_METRICS_H
#define CLOISTER_TRAIN_JOB_METRICS_H

/*
 * Metrics as JSON lines, at rank 0, in the clear: the job's signer is trusted with them, as often
 * as the owners' policies let them out; the job writes no step lines where one says "epoch".
 *
 *     {"event":"start","time":"...","job":"...","world_size":3,"resumed_step":0}
 *     {"event":"step","epoch":1,"batch":1,"batches":313,"step":1,"loss":2.30,...}
 *     {"event":"epoch","epoch":1,"test_accuracy":0.74,...}
 *
 * Each line is one write to the end of the file, so that a reader may follow it and a resumed run
 * goes on in the same file.
 *
 * Threads: one.
 */
#include "cloister/train.h"

typedef struct {
    int fd;                /* -1: this rank writes none */
    uint64_t log_interval; /* batches; 0: only epochs */
    bool failed;           /* said once */
} clo_job_metrics;

#define CLO_JOB_METRICS_INIT ((clo_job_metrics){.fd = -1})

/* Opens <folder>/metrics.jsonl for appending (0600). */
clo_status clo_job_metrics_open(const char *folder, uint64_t log_interval,
                                clo_job_metrics *out_metrics);
void clo_job_metrics_cleanup(clo_job_metrics *metrics);

/* A failed write is said in the log once; it does not end a run. */
void clo_job_metrics_start(clo_job_metrics *metrics, const clo_manifest *manifest,
                           uint64_t resumed_step);
void clo_job_metrics_step(clo_job_metrics *metrics, const clo_train_progress *progress);
void clo_job_metrics_epoch(clo_job_metrics *metrics, const clo_epoch_result *result);

#endif
