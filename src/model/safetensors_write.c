/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing safetensors (huggingface/safetensors, format of README.md, 2023):
 *
 *     u64 little-endian   n, the header's length
 *     n bytes             {"__metadata__": {...}, "name": {"dtype": "F32", "shape": [...],
 *                          "data_offsets": [begin, end]}, ...}, padded with spaces to 8 bytes
 *     the rest            the tensors, back to back, little-endian, in the header's order
 */
#include "cloister/model.h"

#include <string.h>

enum { HEADER_LIMIT = 1 << 20, ALIGN = 8 };

/* A bare number, as an array element. */
static void put_number(clo_json_writer *w, uint64_t value)
{
    clo_json_put_u64(w, NULL, value);
}

static void put_entry(clo_json_writer *w, const clo_param *param, size_t begin)
{
    clo_json_begin_object(w, param->name);
    clo_json_put_str(w, "dtype", "F32");
    clo_json_begin_array(w, "shape");
    for (int i = 0; i < param->shape.rank; i++) {
        put_number(w, (uint64_t)param->shape.dim[i]);
    }
    clo_json_end_array(w);
    clo_json_begin_array(w, "data_offsets");
    put_number(w, begin);
    put_number(w, begin + param->count * sizeof(float));
    clo_json_end_array(w);
    clo_json_end_object(w);
}

static void put_metadata(clo_json_writer *w, const char *const *metadata)
{
    if (metadata == NULL) {
        return;
    }
    clo_json_begin_object(w, "__metadata__");
    for (; metadata[0] != NULL; metadata += 2) {
        clo_json_put_str(w, metadata[0], metadata[1]);
    }
    clo_json_end_object(w);
}

static clo_status put_header(const clo_store *store, const char *const *metadata, clo_buf *out)
{
    CLO_AUTO(clo_buf) header = CLO_BUF_LIMIT(HEADER_LIMIT);
    clo_json_writer w = clo_json_writer_of(&header);
    size_t at = 0;
    clo_json_begin_object(&w, NULL);
    put_metadata(&w, metadata);
    for (size_t i = 0; i < clo_store_param_count(store); i++) {
        const clo_param *param = clo_store_param(store, i);
        put_entry(&w, param, at);
        at += param->count * sizeof(float);
    }
    clo_json_end_object(&w);
    while (header.size % ALIGN != 0 && !header.failed) {
        clo_put_u8(&header, ' ');
    }
    CLO_TRY_CTX(clo_buf_check(&header), "writing a safetensors header");
    clo_put_u64le(out, header.size);
    clo_put_span(out, clo_buf_span(&header));
    return CLO_STATUS_OK;
}

clo_status clo_safetensors_write(clo_store *store, const char *const *metadata, clo_buf *out)
{
    CLO_TRY(put_header(store, metadata, out));
    for (size_t i = 0; i < clo_store_param_count(store); i++) {
        const clo_param *param = clo_store_param(store, i);
        clo_put_bytes(out, clo_store_values(store) + param->offset, param->count * sizeof(float));
    }
    return clo_buf_check(out);
}
