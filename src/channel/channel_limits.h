/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CHANNEL_LIMITS_H
#define CLO_CHANNEL_LIMITS_H

/*
 * channel_limits: the times and counts of a channel, as values.
 *
 * Production's answer is const and stands alone in its object file, so that a test program can
 * define the function itself and see a deadline pass in a tenth of a second or a key update after
 * ten records. Nothing at run time can change it.
 */
#include "cloister/channel.h"

typedef struct {
    int64_t tls_ms;              /* TLS handshake */
    int64_t gate_ms;             /* from the end of the handshake to both ACCEPTs */
    int64_t answer_ms;           /* from a re-attestation request to accepted evidence */
    int64_t interval_ms;         /* between re-attestations */
    uint64_t key_update_records; /* records under one traffic key */
} clo_channel_limits;

const clo_channel_limits *clo_channel_get_limits(void);

#endif
