/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics as JSON lines: see job_metrics.h. */
#include "job_metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { LINE_LIMIT = 4096, METRICS_PATH = 1100 };

clo_status clo_job_metrics_open(const char *folder, uint64_t log_interval,
                                clo_job_metrics *out_metrics)
{
    char path[METRICS_PATH];
    CLO_TRY(clo_path_join(path, sizeof path, folder, CLO_JOB_METRICS));
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return CLO_ERRNO("open '%s'", path);
    }
    *out_metrics = (clo_job_metrics){.fd = fd, .log_interval = log_interval};
    return CLO_STATUS_OK;
}

void clo_job_metrics_cleanup(clo_job_metrics *metrics)
{
    if (metrics->fd >= 0) {
        close(metrics->fd);
    }
    metrics->fd = -1;
}

static clo_json_writer begin_line(clo_buf *line, const char *event)
{
    clo_json_writer w = clo_json_writer_of(line);
    clo_json_begin_object(&w, NULL);
    clo_json_put_str(&w, "event", event);
    clo_json_put_time(&w, "time", clo_clock_utc());
    return w;
}

static void end_line(clo_job_metrics *metrics, clo_json_writer *w, clo_buf *line)
{
    clo_json_end_object(w);
    clo_put_u8(line, '\n');
    clo_status status = clo_buf_check(line);
    if (clo_ok(status)) {
        status = clo_fd_write_all(metrics->fd, clo_buf_span(line));
    }
    if (!clo_ok(status) && !metrics->failed) {
        char text[256];
        clo_status_text(status, text, sizeof text);
        clo_log(CLO_LOG_WARN, "train", "metrics are incomplete: %s", text);
        metrics->failed = true;
    }
}

void clo_job_metrics_start(clo_job_metrics *metrics, const clo_manifest *manifest,
                           uint64_t resumed_step)
{
    if (metrics->fd < 0) {
        return;
    }
    CLO_AUTO(clo_buf) line = CLO_BUF_LIMIT(LINE_LIMIT);
    clo_json_writer w = begin_line(&line, "start");
    clo_json_put_str(&w, "job", manifest->job);
    clo_json_put_str(&w, "model", manifest->model);
    clo_json_put_hex(&w, "manifest", CLO_SPAN_OF(manifest->digest));
    clo_json_put_u64(&w, "world_size", manifest->world_size);
    clo_json_put_u64(&w, "resumed_step", resumed_step);
    end_line(metrics, &w, &line);
}

/* The samples log the batches 0, 10, 20 ... of an epoch; `batch` here is the number of those done.
 */
void clo_job_metrics_step(clo_job_metrics *metrics, const clo_train_progress *progress)
{
    bool due = metrics->log_interval > 0 && (progress->batch - 1) % metrics->log_interval == 0;
    if (metrics->fd < 0 || !due) {
        return;
    }
    CLO_AUTO(clo_buf) line = CLO_BUF_LIMIT(LINE_LIMIT);
    clo_json_writer w = begin_line(&line, "step");
    clo_json_put_u64(&w, "epoch", progress->epoch);
    clo_json_put_u64(&w, "batch", progress->batch);
    clo_json_put_u64(&w, "batches", progress->batches);
    clo_json_put_u64(&w, "step", progress->step);
    clo_json_put_double(&w, "loss", progress->loss);
    clo_json_put_double(&w, "samples_per_second", progress->samples_per_second);
    end_line(metrics, &w, &line);
}

void clo_job_metrics_epoch(clo_job_metrics *metrics, const clo_epoch_result *result)
{
    if (metrics->fd < 0) {
        return;
    }
    CLO_AUTO(clo_buf) line = CLO_BUF_LIMIT(LINE_LIMIT);
    clo_json_writer w = begin_line(&line, "epoch");
    clo_json_put_u64(&w, "epoch", result->epoch);
    clo_json_put_double(&w, "test_accuracy", result->test_accuracy);
    clo_json_put_double(&w, "test_loss", result->test_loss);
    clo_json_put_double(&w, "seconds", result->seconds);
    clo_json_put_double(&w, "samples_per_second", result->samples_per_second);
    end_line(metrics, &w, &line);
}
