/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON reader on any bytes. What it takes must hold its own promises: every value's bytes lie
 * inside the input and parse again to the same value, and counts agree with the lists.
 */
#include "cloister/base.h"

static bool lies_inside(clo_span part, clo_span whole)
{
    return part.data >= whole.data && part.size <= whole.size &&
           (size_t)(part.data - whole.data) <= whole.size - part.size;
}

static void check_value(const clo_json *value, clo_span text)
{
    uint32_t count = 0;
    CLO_ASSERT(value->raw.size > 0 && lies_inside(value->raw, text));
    for (const clo_json *child = value->child; child != NULL; child = child->next) {
        check_value(child, value->raw);
        count++;
    }
    CLO_ASSERT(count == value->count);
}

static void check_getters(const clo_json *value)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    uint64_t number;
    double real;
    int64_t moment;
    uint8_t bytes[4];
    (void)clo_json_u64(value, "n", UINT64_MAX, &number);
    (void)clo_json_double(value, "d", &real);
    (void)clo_json_time(value, "t", &moment);
    (void)clo_json_hex(value, "h", bytes, sizeof bytes);
    (void)clo_json_base64(value, "b", 64, &buf);
}

/* Strings written again must read as the same string. */
static void check_rewriting(const clo_json *value)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *again;
    if (value->type != CLO_JSON_STRING) {
        return;
    }
    clo_json_writer w = clo_json_writer_of(&buf);
    clo_json_put_text(&w, NULL, value->string);
    CLO_ASSERT(clo_ok(clo_json_parse(clo_buf_span(&buf), &arena, &again)));
    CLO_ASSERT(clo_span_equal(again->string, value->string));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root;
    const clo_json *again;
    if (!clo_ok(clo_json_parse(CLO_SPAN(data, size), &arena, &root))) {
        return 0;
    }
    check_value(root, CLO_SPAN(data, size));
    check_getters(root);
    check_rewriting(root);
    CLO_ASSERT(clo_ok(clo_json_parse(root->raw, &arena, &again)));
    CLO_ASSERT(again->type == root->type && again->count == root->count);
    return 0;
}
