/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON writer: its commas, its escapes, and that the reader takes whatever it writes.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "test.h"

static void commas_and_colons_are_placed(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    clo_json_writer w = clo_json_writer_of(&buf);
    clo_json_begin_object(&w, NULL);
    clo_json_put_str(&w, "s", "x");
    clo_json_begin_array(&w, "a");
    clo_json_put_u64(&w, NULL, 1);
    clo_json_put_u64(&w, NULL, UINT64_MAX);
    clo_json_begin_object(&w, NULL);
    clo_json_end_object(&w);
    clo_json_begin_array(&w, NULL);
    clo_json_end_array(&w);
    clo_json_end_array(&w);
    clo_json_put_bool(&w, "t", true);
    clo_json_put_bool(&w, "f", false);
    clo_json_put_null(&w, "n");
    clo_json_put_time(&w, "at", 1795168512);
    clo_json_put_hex(&w, "h", clo_span_of_str("\xff\x01"));
    clo_json_put_base64(&w, "b", clo_span_of_str("foo"));
    clo_json_put_raw(&w, "r", clo_span_of_str("{\"k\": 1}"));
    clo_json_end_object(&w);
    T_STR(clo_buf_str(&buf),
          "{\"s\":\"x\",\"a\":[1,18446744073709551615,{},[]],\"t\":true,\"f\":false,\"n\":null,"
          "\"at\":\"2026-11-20T09:55:12Z\",\"h\":\"ff01\",\"b\":\"Zm9v\",\"r\":{\"k\": 1}}");
}

static void text_is_escaped_and_bad_utf8_replaced(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    clo_json_writer w = clo_json_writer_of(&buf);
    clo_json_begin_object(&w, NULL);
    clo_json_put_str(&w, "a\"b", "\"\\/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9");
    clo_json_put_text(&w, "bad", CLO_SPAN("a\0b\xff\xed\xa0\x80", 7));
    clo_json_end_object(&w);
    T_STR(clo_buf_str(&buf), "{\"a\\\"b\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\","
                             "\"bad\":\"a\xef\xbf\xbd"
                             "b\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}");
}

static void any_bytes_as_text_are_read_back(void)
{
    uint32_t state = 3;
    for (int round = 0; round < 300; round++) {
        uint8_t bytes[64];
        for (size_t i = 0; i < sizeof bytes; i++) {
            state = state * 1664525 + 1013904223;
            bytes[i] = (uint8_t)(state >> 24);
        }
        CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
        CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
        const clo_json *root;
        clo_json_writer w = clo_json_writer_of(&buf);
        clo_json_put_text(&w, NULL, CLO_SPAN_OF(bytes));
        T_OK(clo_json_parse(clo_buf_span(&buf), &arena, &root));
        T_INT(root->type, CLO_JSON_STRING);
    }
}

static bool double_round_trips(double value)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root;
    double back;
    clo_json_writer w = clo_json_writer_of(&buf);
    clo_json_begin_object(&w, NULL);
    clo_json_put_double(&w, "d", value);
    clo_json_end_object(&w);
    return clo_ok(clo_json_parse(clo_buf_span(&buf), &arena, &root)) &&
           clo_ok(clo_json_double(root, "d", &back)) && memcmp(&back, &value, sizeof back) == 0;
}

static void doubles_round_trip_bit_for_bit(void)
{
    static const double values[] = {0.0,    -0.0,    0.1,           1.0 / 3,
                                    1e300,  -1e-300, DBL_MAX,       DBL_MIN,
                                    5e-324, 1e21,    123456789.125, 0.30000000000000004};
    uint64_t state = 88172645463325252U;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        T_CHECK(double_round_trips(values[i]));
    }
    for (int i = 0; i < 2000; i++) {
        double value;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(&value, &state, sizeof value);
        T_CHECK(!isfinite(value) || double_round_trips(value));
    }
}

static void doubles_are_short_and_never_nan(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    clo_json_writer w = clo_json_writer_of(&buf);
    clo_json_begin_array(&w, NULL);
    clo_json_put_double(&w, NULL, 0.1);
    clo_json_put_double(&w, NULL, 5);
    clo_json_put_double(&w, NULL, (double)NAN);
    clo_json_put_double(&w, NULL, (double)-INFINITY);
    clo_json_end_array(&w);
    T_STR(clo_buf_str(&buf), "[0.1,5,null,null]");
}

static void deepest_writing_is_read_back(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root;
    clo_json_writer w = clo_json_writer_of(&buf);
    for (int i = 0; i < 32; i++) {
        clo_json_begin_array(&w, NULL);
    }
    clo_json_put_null(&w, NULL);
    for (int i = 0; i < 32; i++) {
        clo_json_end_array(&w);
    }
    T_OK(clo_json_parse(clo_buf_span(&buf), &arena, &root));
}

static void full_buffer_is_told_by_its_check(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_LIMIT(10);
    clo_json_writer w = clo_json_writer_of(&buf);
    clo_json_put_str(&w, NULL, "longer than ten bytes");
    T_CODE(clo_buf_check(&buf), CLO_LIMIT);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(commas_and_colons_are_placed),     T(text_is_escaped_and_bad_utf8_replaced),
        T(any_bytes_as_text_are_read_back),  T(doubles_round_trip_bit_for_bit),
        T(doubles_are_short_and_never_nan),  T(deepest_writing_is_read_back),
        T(full_buffer_is_told_by_its_check),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
