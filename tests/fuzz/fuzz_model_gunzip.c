/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gzip reader on any bytes: it stays within the buffer's limit.
 */
#include "cloister/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLO_AUTO(clo_buf) out = CLO_BUF_LIMIT(1 << 16);
    (void)clo_gunzip(CLO_SPAN(data, size), &out);
    CLO_ASSERT(out.size <= 1 << 16);
    return 0;
}
