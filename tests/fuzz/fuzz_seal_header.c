/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a sealed file and the cut that follows from its size, on any bytes. A header that
 * parses is written back to the same bytes; a cut adds up to the size it was made of.
 */
#include "chunk.h"
#include "cloister/seal.h"

static void check_header(clo_span bytes)
{
    CLO_AUTO(clo_buf) again = CLO_BUF_INIT;
    clo_seal_header header;
    size_t size;
    if (!clo_ok(clo_seal_header_parse(bytes, &header, &size))) {
        return;
    }
    CLO_ASSERT(size <= bytes.size && size <= CLO_SEAL_HEADER_MAX);
    CLO_ASSERT(clo_ok(clo_seal_header_write(&header, &again)));
    CLO_ASSERT(clo_span_equal(clo_buf_span(&again), CLO_SPAN(bytes.data, size)));
}

static void check_shape(clo_span bytes)
{
    clo_reader r = clo_reader_of(bytes);
    uint8_t log2_chunk = (uint8_t)(12 + clo_read_u8(&r) % 13);
    uint64_t body = clo_read_u64be(&r);
    clo_seal_shape shape;
    if (!clo_ok(clo_seal_shape_of(body, log2_chunk, &shape))) {
        return;
    }
    CLO_ASSERT(shape.chunks >= 1 && shape.chunks <= (uint64_t)1 << 32);
    CLO_ASSERT(shape.size + shape.chunks * CLO_SEAL_TAG == body);
    CLO_ASSERT(shape.last <= shape.chunk && (shape.last > 0 || shape.chunks == 1));
    CLO_ASSERT((shape.chunks - 1) * shape.chunk + shape.last == shape.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_header(CLO_SPAN(data, size));
    check_shape(CLO_SPAN(data, size));
    return 0;
}
