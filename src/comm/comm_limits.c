/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of production (trust.md section 3). Alone in this file: see comm_limits.h.
 */
#include "comm_limits.h"

static const clo_comm_limits production = {
    .renew_ms = CLO_RENEW_INTERVAL_MS,
};

const clo_comm_limits *clo_comm_get_limits(void)
{
    return &production;
}
