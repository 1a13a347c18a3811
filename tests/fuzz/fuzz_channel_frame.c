/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames and hellos as a peer may send them: the first byte chooses the state of the gate, the rest
 * is the stream. What a header allows must be what the table says, and a hello that parses must
 * come back as the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void try_hello(clo_span payload)
{
    clo_hello hello;
    if (!clo_ok(clo_hello_parse(payload, &hello))) {
        return;
    }
    CLO_AUTO(clo_buf) again = CLO_BUF_INIT;
    clo_hello_write(&hello, &again);
    check(clo_span_equal(payload, clo_buf_span(&again)));
    clo_expectation expectation = {.role = CLO_ROLE_TRAINER, .slot = 1, .check_manifest = true};
    (void)clo_hello_check_class(&hello, CLO_PEER_ATTESTED);
    (void)clo_hello_check_self(&hello, &hello);
    (void)clo_hello_check_expected(&hello, &expectation);
}

static void try_payload(clo_frame_type type, clo_span payload)
{
    uint32_t round;
    clo_span rest;
    if (type == CLO_FRAME_HELLO) {
        try_hello(payload);
    }
    if (clo_ok(clo_frame_parse_round(payload, &round, &rest))) {
        check(rest.size + 4 == payload.size);
        uint8_t report_data[CLO_REPORT_DATA_SIZE];
        (void)clo_quote_peek_report_data(rest, report_data);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_reader reader = clo_reader_of(CLO_SPAN(data, size));
    clo_gate_state state = (clo_gate_state)(clo_read_u8(&reader) % CLO_GATE_COUNT);
    while (clo_reader_left(&reader) >= CLO_FRAME_HEAD) {
        clo_span bytes = clo_read_span(&reader, CLO_FRAME_HEAD);
        clo_frame_head head;
        if (!clo_ok(clo_frame_parse_head(bytes.data, state, &head))) {
            break;
        }
        check(head.size <= CLO_FRAME_DATA_LIMIT);
        check(!clo_frame_is_data(head.type) || state == CLO_GATE_OPEN);
        size_t have = clo_reader_left(&reader) < head.size ? clo_reader_left(&reader) : head.size;
        try_payload(head.type, clo_read_span(&reader, have));
    }
    return 0;
}
