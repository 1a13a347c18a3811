/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An evidence file. What parses is written and read again to the same evidence.
 */
#include "cloister/attest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLO_AUTO(clo_evidence) first = CLO_EVIDENCE_INIT;
    CLO_AUTO(clo_evidence) second = CLO_EVIDENCE_INIT;
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    if (!clo_ok(clo_evidence_parse(CLO_SPAN(data, size), &first))) {
        return 0;
    }
    CLO_ASSERT(clo_ok(clo_evidence_write(&first, &file)));
    CLO_ASSERT(clo_ok(clo_evidence_parse(clo_buf_span(&file), &second)));
    CLO_ASSERT(clo_span_equal(clo_buf_span(&first.quote), clo_buf_span(&second.quote)));
    CLO_ASSERT(clo_span_equal(clo_buf_span(&first.collateral), clo_buf_span(&second.collateral)));
    return 0;
}
