/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of ranks: every reader on the same bytes. What parses is written back to the same bytes,
 * but for the text of an abort, which is cleaned.
 */
#include <stdlib.h>

#include "comm_message.h"

enum { WORLD = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_equal(clo_buf *again, clo_span message)
{
    if (!clo_ok(clo_buf_check(again)) || !clo_span_equal(clo_buf_span(again), message)) {
        abort();
    }
    clo_buf_clear(again);
}

static void check_joining(clo_span message, clo_buf *again)
{
    clo_comm_join join;
    clo_address addresses[WORLD];
    if (clo_ok(clo_comm_join_parse(message, &join)) && join.version == CLO_COMM_VERSION) {
        clo_comm_join_write(&join, again);
        must_equal(again, message);
    }
    if (clo_ok(clo_comm_table_parse(message, WORLD, addresses))) {
        clo_comm_table_write(addresses, WORLD, again);
        must_equal(again, message);
    }
}

static void check_lead(clo_span message, clo_buf *again)
{
    clo_comm_lead lead;
    clo_span payload;
    if (clo_ok(clo_comm_lead_parse(message, &lead, &payload))) {
        clo_comm_lead_write(&lead, payload, again);
        must_equal(again, message);
    }
}

static void check_abort(clo_span message, clo_buf *again)
{
    clo_comm_abort first;
    clo_comm_abort second;
    if (!clo_ok(clo_comm_abort_parse(message, &first))) {
        return;
    }
    clo_comm_abort_write(&first, again);
    if (clo_ok(clo_comm_abort_status(&first)) ||
        !clo_ok(clo_comm_abort_parse(clo_buf_span(again), &second))) {
        abort();
    }
    clo_buf_clear(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLO_AUTO(clo_buf) again = CLO_BUF_INIT;
    clo_span message = CLO_SPAN(data, size);
    check_joining(message, &again);
    check_lead(message, &again);
    check_abort(message, &again);
    return 0;
}
