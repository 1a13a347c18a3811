/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of production (trust.md section 3). Alone in this file: see channel_limits.h.
 */
#include "channel_limits.h"

enum { TLS_MS = 5 * 1000, GATE_MS = 10 * 1000 };

static const clo_channel_limits production = {
    .tls_ms = TLS_MS,
    .gate_ms = GATE_MS,
    .answer_ms = CLO_REATTEST_ANSWER_MS,
    .interval_ms = CLO_REATTEST_INTERVAL_MS,
    .key_update_records = CLO_KEY_UPDATE_RECORDS,
};

const clo_channel_limits *clo_channel_get_limits(void)
{
    return &production;
}
