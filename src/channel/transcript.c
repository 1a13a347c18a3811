/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transcript of a connection: see transcript.h for the layout and trust.md section 3 for the
 * reasons of each field.
 */
#include "transcript.h"

#include <string.h>

#include "frame.h"

#define ATTEST_LABEL  "EXPORTER-cloister-attest-v1"
#define SESSION_LABEL "EXPORTER-cloister-session-v1"

/* On the wire's terms, not the enum's: 1 when the client attests, 2 when the server does. */
static const uint8_t directions[2] = {[CLO_TLS_CLIENT] = 1, [CLO_TLS_SERVER] = 2};

clo_status clo_transcript_add_hello(clo_transcript *transcript, clo_tls_side sender,
                                    const clo_hello *hello, clo_span payload)
{
    CLO_AUTO(clo_buf) frame = CLO_BUF_INIT;
    clo_frame_put_head(&frame, CLO_FRAME_HELLO, payload.size);
    clo_put_span(&frame, payload);
    CLO_TRY(clo_buf_check(&frame));
    memcpy(transcript->nonce[sender], hello->nonce, sizeof hello->nonce);
    return clo_sha256(clo_buf_span(&frame), transcript->hello[sender]);
}

clo_status clo_transcript_bind(clo_transcript *transcript, clo_tls *tls)
{
    uint8_t context[64];
    memcpy(context, transcript->nonce[CLO_TLS_CLIENT], 32);
    memcpy(context + 32, transcript->nonce[CLO_TLS_SERVER], 32);
    clo_span nonces = CLO_SPAN_OF(context);
    CLO_TRY(clo_tls_exporter(tls, ATTEST_LABEL, nonces, transcript->exporter));
    return clo_tls_exporter(tls, SESSION_LABEL, nonces, transcript->session_id);
}

clo_status clo_transcript_layout(const clo_transcript *transcript, clo_tls_side attester,
                                 uint32_t round, clo_buf *out)
{
    clo_put_u8(out, directions[attester]);
    clo_put_u32be(out, round);
    clo_put_bytes(out, transcript->exporter, 32);
    clo_put_bytes(out, transcript->certificate[CLO_TLS_CLIENT], 32);
    clo_put_bytes(out, transcript->certificate[CLO_TLS_SERVER], 32);
    clo_put_bytes(out, transcript->hello[CLO_TLS_CLIENT], 32);
    clo_put_bytes(out, transcript->hello[CLO_TLS_SERVER], 32);
    return clo_buf_check(out);
}
