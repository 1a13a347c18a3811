/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CLI_TERMINAL_H
#define CLO_CLI_TERMINAL_H

/*
 * What people see: a progress line on a terminal, the samples' log lines elsewhere, small pictures.
 */
#include "cloister/base.h"

/* True if `fd` is a terminal that is no "dumb" one. */
bool cli_is_terminal(int fd);

typedef struct {
    uint64_t epoch, epochs;
    uint64_t batch, batches;
    bool has_loss; /* false where the policies let metrics out at epoch ends only */
    double loss, samples_per_second, seconds_left;
} cli_progress;

/* One line drawn over itself on standard error; cleared by cli_progress_clear. */
void cli_progress_show(const cli_progress *progress);
void cli_progress_clear(void);

/* The samples' lines (seed-systems form 2), on standard output:
 *   2026-11-20T09:55:12Z INFO     Train Epoch: 1 [10/313 (3%)]\tloss=2.2931
 *   2026-11-20T09:55:12Z INFO     {metricName: accuracy, metricValue: 0.7712};{metricName: loss,
 * ...}
 * Without a loss the first ends before its tab. */
void cli_log_step(const cli_progress *progress);
void cli_log_test(double accuracy, double loss);

/* Appends a greyscale picture of height x width bytes as rows of half blocks, `indent` spaces in
 * front; without `color` as characters of growing darkness. */
void cli_picture(const uint8_t *pixels, int height, int width, bool color, clo_buf *out);

#endif
