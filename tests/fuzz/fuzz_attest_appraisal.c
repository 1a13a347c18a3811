/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An appraisal as it stands in a policy. What parses is written and read again to the same bytes.
 */
#include "cloister/attest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool parse(clo_span text, clo_appraisal *out)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root = NULL;
    return clo_ok(clo_json_parse(text, &arena, &root)) && clo_ok(clo_appraisal_parse(root, out));
}

static void put(const clo_appraisal *appraisal, clo_buf *out)
{
    clo_json_writer writer = clo_json_writer_of(out);
    clo_appraisal_json(appraisal, &writer, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static clo_appraisal first, second;
    CLO_AUTO(clo_buf) once = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) twice = CLO_BUF_INIT;
    if (parse(CLO_SPAN(data, size), &first)) {
        put(&first, &once);
        CLO_ASSERT(parse(clo_buf_span(&once), &second));
        put(&second, &twice);
        CLO_ASSERT(clo_span_equal(clo_buf_span(&once), clo_buf_span(&twice)));
    }
    return 0;
}
