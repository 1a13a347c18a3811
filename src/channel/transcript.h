/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CHANNEL_TRANSCRIPT_H
#define CLO_CHANNEL_TRANSCRIPT_H

/*
 * transcript: what evidence is bound to.
 *
 *     T = label[32] | direction u8 | round u32 | exporter[32] | SHA-256(client certificate)
 *         | SHA-256(server certificate) | SHA-256(client hello frame) | SHA-256(server hello frame)
 *
 * The label is that of CLO_PURPOSE_CHANNEL and is put in front by clo_report_data; the rest is the
 * layout made here. The exporter is final before the client certificate is checked, so the
 * certificate digests are essential (trust.md section 3). The hello digests cover the whole frames,
 * header included, exactly as they were sent.
 *
 * Threads and ownership: a value; belongs to its channel.
 */
#include "cloister/channel.h"

#define CLO_TRANSCRIPT_SIZE (1 + 4 + 5 * 32)

/* Indexed by clo_tls_side: what the client sent, what the server sent. */
typedef struct {
    uint8_t exporter[32];
    uint8_t session_id[32];
    uint8_t certificate[2][32];
    uint8_t hello[2][32];
    uint8_t nonce[2][32];
} clo_transcript;

/* Digests one hello frame (header and payload) and keeps its nonce. */
clo_status clo_transcript_add_hello(clo_transcript *transcript, clo_tls_side sender,
                                    const clo_hello *hello, clo_span payload);
/* Once both hellos and both certificates are there: draws the exporter. */
clo_status clo_transcript_bind(clo_transcript *transcript, clo_tls *tls);

/* The layout that evidence of `attester` in `round` must carry. */
clo_status clo_transcript_layout(const clo_transcript *transcript, clo_tls_side attester,
                                 uint32_t round, clo_buf *out);

#endif
