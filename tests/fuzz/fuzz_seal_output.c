/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An output's parts and payload on any bytes: as a whole file looked at before any check, and as
 * the payload alone, which written again parses to the same.
 */
#include <string.h>

#include "cloister/seal.h"
#include "output_header.h"

static void check_file(clo_span file)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_output_parts parts;
    clo_output_header header;
    if (clo_ok(clo_output_parts_parse(file, &parts))) {
        CLO_ASSERT(parts.head.size + parts.commit.size + parts.body.size == file.size);
        CLO_ASSERT(parts.envelope.size <= CLO_OUTPUT_ENVELOPE_MAX);
    }
    if (clo_ok(clo_output_peek(file, &arena, &header))) {
        CLO_ASSERT(header.input_count <= 16);
        CLO_ASSERT(strnlen(header.what, sizeof header.what) < sizeof header.what);
    }
}

static void check_payload(clo_span json)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    clo_output_payload payload, again;
    if (!clo_ok(clo_output_payload_parse(json, &arena, &payload))) {
        return;
    }
    CLO_ASSERT(clo_ok(clo_output_payload_write(&payload, &text)));
    CLO_ASSERT(clo_ok(clo_output_payload_parse(clo_buf_span(&text), &arena, &again)));
    CLO_ASSERT(clo_span_equal(payload.header.certificates, again.header.certificates));
    CLO_ASSERT(payload.recipient_count == again.recipient_count);
    CLO_ASSERT(memcmp(payload.recipients, again.recipients, sizeof again.recipients) == 0);
    CLO_ASSERT(memcmp(payload.mac, again.mac, sizeof again.mac) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_file(CLO_SPAN(data, size));
    check_payload(CLO_SPAN(data, size));
    return 0;
}
