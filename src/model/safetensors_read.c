/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading safetensors from outside. The format's own abuse list, each refused here:
 *
 *     header longer than the file, or than 100 MiB        header that does not begin with '{'
 *     duplicate names (the JSON reader)                   unknown members, types, dimensions
 *     a shape whose bytes are not the offsets' difference
 *     data that overlaps, leaves holes, or does not cover the rest of the file exactly
 *
 * The last is one rule: sorted by begin, each entry begins where the one before ended.
 */
#include "cloister/model.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRY_LIMIT = 1 << 16, NUMBER_DIGITS = 20 };

static const uint64_t header_limit = (uint64_t)100 << 20;

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    {"F32", 4},     {"F64", 8}, {"F16", 2}, {"BF16", 2}, {"F8_E4M3", 1},
    {"F8_E5M2", 1}, {"I64", 8}, {"I32", 4}, {"I16", 2},  {"I8", 1},
    {"U64", 8},     {"U32", 4}, {"U16", 2}, {"U8", 1},   {"BOOL", 1},
};

static const char *const entry_members[] = {"dtype", "shape", "data_offsets", NULL};

static clo_status read_dtype(const clo_json *entry, clo_safetensor *out, size_t *out_size)
{
    clo_span text;
    CLO_TRY(clo_json_str(entry, "dtype", &text));
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (clo_span_equals_str(text, dtypes[i].name)) {
            memcpy(out->dtype, dtypes[i].name, strlen(dtypes[i].name) + 1);
            *out_size = dtypes[i].size;
            return CLO_STATUS_OK;
        }
    }
    CLO_FAIL(CLO_FORMAT, "'dtype' is not a known type");
}

/* A whole number that stands in an array. */
static clo_status read_number(const clo_json *value, uint64_t max, uint64_t *out_number)
{
    char text[NUMBER_DIGITS + 1];
    CLO_CHECK(value->type == CLO_JSON_NUMBER && value->string.size <= NUMBER_DIGITS, CLO_FORMAT,
              "an element is no whole number");
    memcpy(text, value->string.data, value->string.size);
    text[value->string.size] = '\0';
    clo_status status = clo_parse_u64(text, max, out_number);
    CLO_CHECK(clo_ok(status), CLO_FORMAT, "an element is no whole number, or too large");
    return CLO_STATUS_OK;
}

static clo_status read_shape(const clo_json *entry, clo_shape *out_shape)
{
    const clo_json *array;
    CLO_TRY(clo_json_member(entry, "shape", CLO_JSON_ARRAY, &array));
    CLO_CHECK(array->count <= CLO_MAX_DIMS, CLO_LIMIT, "'shape' has %u dimensions, at most %d",
              array->count, CLO_MAX_DIMS);
    clo_shape shape = CLO_SHAPE_SCALAR;
    for (const clo_json *dim = array->child; dim != NULL; dim = dim->next) {
        uint64_t number;
        CLO_TRY_CTX(read_number(dim, INT64_MAX, &number), "'shape'");
        shape.dim[shape.rank++] = (int64_t)number;
    }
    *out_shape = shape;
    return CLO_STATUS_OK;
}

static clo_status read_offsets(const clo_json *entry, clo_span data, clo_span *out_part)
{
    const clo_json *array;
    uint64_t begin, end;
    CLO_TRY(clo_json_member(entry, "data_offsets", CLO_JSON_ARRAY, &array));
    CLO_CHECK(array->count == 2, CLO_FORMAT, "'data_offsets' has %u elements, expected 2",
              array->count);
    CLO_TRY_CTX(read_number(array->child, data.size, &begin), "'data_offsets'");
    CLO_TRY_CTX(read_number(array->child->next, data.size, &end), "'data_offsets'");
    CLO_CHECK(begin <= end, CLO_FORMAT, "'data_offsets' ends before it begins");
    *out_part = CLO_SPAN(data.data + begin, (size_t)(end - begin));
    return CLO_STATUS_OK;
}

static clo_status read_entry(const clo_json *entry, clo_span data, clo_safetensor *out)
{
    size_t size, count;
    CLO_CHECK(entry->type == CLO_JSON_OBJECT, CLO_FORMAT, "the entry is no object");
    CLO_TRY(clo_json_only(entry, entry_members));
    CLO_TRY(read_dtype(entry, out, &size));
    CLO_TRY(read_shape(entry, &out->shape));
    CLO_TRY(read_offsets(entry, data, &out->data));
    out->name = entry->name;
    bool fits = clo_shape_count(&out->shape, &count) && clo_size_mul(count, size, &size);
    CLO_CHECK(fits && size == out->data.size, CLO_FORMAT,
              "the shape needs other than the %zu bytes of 'data_offsets'", out->data.size);
    return CLO_STATUS_OK;
}

static clo_status check_metadata(const clo_json *metadata)
{
    CLO_CHECK(metadata->type == CLO_JSON_OBJECT, CLO_FORMAT, "'__metadata__' is no object");
    for (const clo_json *pair = metadata->child; pair != NULL; pair = pair->next) {
        CLO_CHECK(pair->type == CLO_JSON_STRING, CLO_FORMAT,
                  "'__metadata__' has a value that is no text");
    }
    return CLO_STATUS_OK;
}

static int by_begin(const void *left, const void *right)
{
    const clo_safetensor *a = left, *b = right;
    if (a->data.data != b->data.data) {
        return a->data.data < b->data.data ? -1 : 1;
    }
    return (a->data.size > b->data.size) - (a->data.size < b->data.size); /* empty ones first */
}

static clo_status check_cover(const clo_safetensor *tensors, size_t count, clo_span data)
{
    const uint8_t *at = data.data;
    for (size_t i = 0; i < count; i++) {
        CLO_CHECK(tensors[i].data.data == at, CLO_FORMAT,
                  "tensor data overlaps or leaves a hole at byte %zu", (size_t)(at - data.data));
        at += tensors[i].data.size;
    }
    CLO_CHECK(at == data.data + data.size, CLO_FORMAT, "tensors cover %zu bytes, the file has %zu",
              (size_t)(at - data.data), data.size);
    return CLO_STATUS_OK;
}

/* Splits the file; the header is only JSON text from here on. */
static clo_status split(clo_span file, clo_span *out_header, clo_span *out_data)
{
    clo_reader r = clo_reader_of(file);
    uint64_t size = clo_read_u64le(&r);
    CLO_TRY(clo_reader_check(&r, "the header length"));
    CLO_CHECK(size <= header_limit, CLO_LIMIT, "header of %llu bytes, at most %llu",
              (unsigned long long)size, (unsigned long long)header_limit);
    clo_span header = clo_read_span(&r, (size_t)size);
    CLO_TRY(clo_reader_check(&r, "the header"));
    CLO_CHECK(header.size > 0 && header.data[0] == '{', CLO_FORMAT,
              "the header does not begin with '{'");
    *out_header = header;
    /* Never NULL, also when it is empty: offsets are added to it. */
    *out_data = CLO_SPAN(header.data + header.size, clo_reader_left(&r));
    return CLO_STATUS_OK;
}

clo_status clo_safetensors_list(clo_span file, clo_arena *arena, clo_safetensor **out_tensors,
                                size_t *out_count)
{
    clo_span header = CLO_SPAN_EMPTY;
    clo_span data = CLO_SPAN_EMPTY;
    const clo_json *root;
    CLO_TRY(split(file, &header, &data));
    CLO_TRY_CTX(clo_json_parse(header, arena, &root), "the header");
    CLO_CHECK(root->type == CLO_JSON_OBJECT && root->count <= ENTRY_LIMIT, CLO_LIMIT,
              "%u entries, at most %d", root->count, ENTRY_LIMIT);
    clo_safetensor *tensors = clo_arena_array(arena, (size_t)root->count + 1, sizeof *tensors);
    CLO_CHECK(tensors != NULL, CLO_NOMEM, "out of memory for %u entries", root->count);
    size_t count = 0;
    for (const clo_json *entry = root->child; entry != NULL; entry = entry->next) {
        if (clo_span_equals_str(entry->name, "__metadata__")) {
            CLO_TRY(check_metadata(entry));
            continue;
        }
        CLO_TRY_CTX(read_entry(entry, data, &tensors[count]), "entry %zu", count);
        count++;
    }
    qsort(tensors, count, sizeof *tensors, by_begin);
    CLO_TRY(check_cover(tensors, count, data));
    *out_tensors = tensors;
    *out_count = count;
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- into a store ---------------- */

static const clo_safetensor *find(const clo_safetensor *tensors, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (clo_span_equals_str(tensors[i].name, name)) {
            return &tensors[i];
        }
    }
    return NULL;
}

static clo_status check_tensor(const clo_param *param, const clo_safetensor *tensor)
{
    CLO_CHECK(tensor != NULL, CLO_FORMAT, "parameter '%s' is missing", param->name);
    CLO_CHECK(strcmp(tensor->dtype, "F32") == 0, CLO_FORMAT, "parameter '%s' is %s, expected F32",
              param->name, tensor->dtype);
    char expected[96], found[96];
    clo_shape_text(&param->shape, expected, sizeof expected);
    clo_shape_text(&tensor->shape, found, sizeof found);
    CLO_CHECK(clo_shape_equal(&param->shape, &tensor->shape), CLO_FORMAT,
              "parameter '%s' has shape %s, expected %s", param->name, found, expected);
    return CLO_STATUS_OK;
}

/* Names are unique in both, so equal counts and all of the store's found means equal sets. */
static clo_status check_set(const clo_store *store, const clo_safetensor *tensors, size_t count)
{
    for (size_t i = 0; i < clo_store_param_count(store); i++) {
        const clo_param *param = clo_store_param(store, i);
        CLO_TRY(check_tensor(param, find(tensors, count, param->name)));
    }
    for (size_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t j = 0; j < clo_store_param_count(store); j++) {
            known = known || clo_span_equals_str(tensors[i].name, clo_store_param(store, j)->name);
        }
        CLO_CHECK(known, CLO_FORMAT, "the model has no parameter '%.*s'",
                  (int)(tensors[i].name.size < 64 ? tensors[i].name.size : 64),
                  (const char *)tensors[i].name.data);
    }
    return CLO_STATUS_OK;
}

clo_status clo_safetensors_read(clo_span file, clo_store *store)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_safetensor *tensors;
    size_t count;
    CLO_TRY_CTX(clo_safetensors_list(file, &arena, &tensors, &count), "reading safetensors");
    CLO_TRY_CTX(check_set(store, tensors, count), "reading safetensors");
    for (size_t i = 0; i < clo_store_param_count(store); i++) {
        const clo_param *param = clo_store_param(store, i);
        memcpy(clo_store_values(store) + param->offset,
               find(tensors, count, param->name)->data.data, param->count * sizeof(float));
    }
    return CLO_STATUS_OK;
}
