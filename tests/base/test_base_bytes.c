/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans, the growing buffer and the bounds-checked cursor.
 */
#include <string.h>

#include "test.h"

static void spans_compare_by_content(void)
{
    T_CHECK(clo_span_equal(clo_span_of_str("abc"), CLO_SPAN("abcd", 3)));
    T_CHECK(!clo_span_equal(clo_span_of_str("abc"), clo_span_of_str("abd")));
    T_CHECK(!clo_span_equal(clo_span_of_str("abc"), clo_span_of_str("ab")));
    T_CHECK(clo_span_equal(CLO_SPAN_EMPTY, clo_span_of_str("")));
    T_CHECK(clo_span_equals_str(CLO_SPAN("abc", 2), "ab"));
    T_CHECK(!clo_span_equals_str(CLO_SPAN("a\0b", 3), "a"));
    T_CHECK(clo_span_starts_with(clo_span_of_str("abc"), clo_span_of_str("ab")));
    T_CHECK(clo_span_starts_with(CLO_SPAN_EMPTY, CLO_SPAN_EMPTY));
    T_CHECK(!clo_span_starts_with(clo_span_of_str("ab"), clo_span_of_str("abc")));
    T_CHECK(!clo_span_starts_with(clo_span_of_str("abc"), clo_span_of_str("b")));
}

static void every_integer_is_written_in_its_order(void)
{
    static const uint8_t expected[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,
                                       0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x03, 0x02, 0x07, 0x06, 0x05,
                                       0x04, 0x0f, 0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08};
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    clo_put_u8(&buf, 0x01);
    clo_put_u16be(&buf, 0x0203);
    clo_put_u32be(&buf, 0x04050607);
    clo_put_u64be(&buf, 0x08090a0b0c0d0e0f);
    clo_put_u16le(&buf, 0x0203);
    clo_put_u32le(&buf, 0x04050607);
    clo_put_u64le(&buf, 0x08090a0b0c0d0e0f);
    T_OK(clo_buf_check(&buf));
    T_CHECK(clo_span_equal(clo_buf_span(&buf), CLO_SPAN_OF(expected)));

    clo_reader r = clo_reader_of(clo_buf_span(&buf));
    T_CHECK(clo_read_u8(&r) == 0x01 && clo_read_u16be(&r) == 0x0203);
    T_CHECK(clo_read_u32be(&r) == 0x04050607 && clo_read_u64be(&r) == 0x08090a0b0c0d0e0f);
    T_CHECK(clo_read_u16le(&r) == 0x0203 && clo_read_u32le(&r) == 0x04050607);
    T_CHECK(clo_read_u64le(&r) == 0x08090a0b0c0d0e0f);
    T_OK(clo_reader_finish(&r, "integers"));
}

static void buffer_grows_over_many_appends(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    for (int i = 0; i < 10000; i++) {
        clo_put_u32be(&buf, (uint32_t)i);
    }
    T_OK(clo_buf_check(&buf));
    T_INT(buf.size, 40000);
    clo_reader r = clo_reader_of(clo_buf_span(&buf));
    for (uint32_t i = 0; i < 10000; i++) {
        T_INT(clo_read_u32be(&r), i);
    }
}

static void buffer_takes_its_limit_and_not_one_byte_more(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_LIMIT(5);
    clo_put_str(&buf, "abcde");
    T_OK(clo_buf_check(&buf));
    T_STR(clo_buf_str(&buf), "abcde");
    clo_put_u8(&buf, 'f');
    T_CODE(clo_buf_check(&buf), CLO_LIMIT);
    T_INT(buf.size, 5);
    T_CHECK(clo_buf_str(&buf) == NULL);
}

static void failed_buffer_takes_nothing_until_cleared(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_LIMIT(4);
    clo_put_str(&buf, "abcde");
    clo_put_u8(&buf, 1);
    T_INT(buf.size, 0);
    T_CHECK(clo_buf_grow(&buf, 1) == NULL);
    T_CODE(clo_buf_reserve(&buf, 1), CLO_LIMIT);
    clo_buf_clear(&buf);
    clo_put_str(&buf, "abcd");
    T_OK(clo_buf_check(&buf));
    T_INT(buf.size, 4);
}

static void huge_wishes_do_not_overflow(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_LIMIT(SIZE_MAX);
    clo_put_str(&buf, "ab");
    T_CODE(clo_buf_reserve(&buf, SIZE_MAX - 1), CLO_LIMIT);
    CLO_AUTO(clo_buf) usual = CLO_BUF_INIT;
    T_CODE(clo_buf_reserve(&usual, CLO_BUF_DEFAULT_LIMIT + 1), CLO_LIMIT);
}

static void reserve_counts_nothing_and_release_resets(void)
{
    clo_buf buf = CLO_BUF_LIMIT(1000);
    T_OK(clo_buf_reserve(&buf, 500));
    T_CHECK(buf.size == 0 && buf.capacity >= 500);
    clo_put_str(&buf, "abc");
    clo_buf_release(&buf);
    T_CHECK(buf.data == NULL && buf.size == 0 && buf.capacity == 0 && buf.limit == 1000);
    clo_buf_release(&buf);
}

static void empty_appends_are_fine(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    clo_put_bytes(&buf, NULL, 0);
    clo_put_span(&buf, CLO_SPAN_EMPTY);
    T_CHECK(clo_buf_grow(&buf, 0) != NULL);
    T_OK(clo_buf_check(&buf));
    T_STR(clo_buf_str(&buf), "");
}

static void full_buffer_refuses_every_kind_of_append(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_LIMIT(1);
    clo_put_u16le(&buf, 1);
    T_CODE(clo_buf_check(&buf), CLO_LIMIT);
    clo_buf_clear(&buf);
    clo_put_u16be(&buf, 1);
    T_CODE(clo_buf_check(&buf), CLO_LIMIT);
    clo_buf_clear(&buf);
    clo_put_hex(&buf, clo_span_of_str("x"));
    T_CODE(clo_buf_check(&buf), CLO_LIMIT);
    clo_buf_clear(&buf);
    clo_put_base64(&buf, clo_span_of_str("x"));
    T_CODE(clo_buf_check(&buf), CLO_LIMIT);
    clo_buf_clear(&buf);
    clo_put_var(&buf,
                CLO_SPAN("x", (size_t)UINT32_MAX + 1)); /* never read: its length has no form */
    T_CODE(clo_buf_check(&buf), CLO_LIMIT);
    T_INT(buf.size, 0);
}

static void formatted_text_is_appended_exactly(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_LIMIT(10);
    clo_put_format(&buf, "%s-%d", "abc", 12345);
    T_STR(clo_buf_str(&buf), "abc-12345");
    clo_put_format(&buf, "%s", "xy");
    T_CODE(clo_buf_check(&buf), CLO_LIMIT);
    T_INT(buf.size, 9);
}

static void variable_fields_round_trip(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    clo_put_var(&buf, clo_span_of_str("hello"));
    clo_put_var(&buf, CLO_SPAN_EMPTY);
    clo_reader r = clo_reader_of(clo_buf_span(&buf));
    T_CHECK(clo_span_equals_str(clo_read_var(&r, 5), "hello"));
    T_INT(clo_read_var(&r, 5).size, 0);
    T_OK(clo_reader_finish(&r, "fields"));
}

static void variable_field_above_its_limit_moves_nothing(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    clo_put_var(&buf, clo_span_of_str("hello"));
    clo_reader r = clo_reader_of(clo_buf_span(&buf));
    T_INT(clo_read_var(&r, 4).size, 0);
    T_INT(r.at, 0);
    T_CODE(clo_reader_check(&r, "field"), CLO_FORMAT);
}

static void variable_field_that_is_cut_fails_at_every_length(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    clo_put_var(&buf, clo_span_of_str("hello"));
    for (size_t size = 0; size < buf.size; size++) {
        clo_reader r = clo_reader_of(CLO_SPAN(buf.data, size));
        T_INT(clo_read_var(&r, 100).size, 0);
        T_CHECK(r.failed && r.at == 0);
    }
}

static void reader_fails_once_and_stays_failed(void)
{
    static const uint8_t bytes[] = {1, 2, 3};
    clo_reader r = clo_reader_of(CLO_SPAN_OF(bytes));
    T_INT(clo_read_u8(&r), 1);
    T_INT(clo_read_u32be(&r), 0);
    T_INT(clo_read_u8(&r), 0); /* would fit, but the error is sticky */
    T_INT(clo_reader_left(&r), 2);
    T_INT(r.failed_at, 1);
    T_CODE(clo_reader_check(&r, "the header"), CLO_FORMAT);
    char text[256];
    clo_status_text(clo_reader_finish(&r, "the header"), text, sizeof text);
    T_STR(text, "the header: a field at byte 1 does not fit into 3 bytes");
}

static void reader_refuses_bytes_left_over(void)
{
    static const uint8_t bytes[] = {1, 2, 3};
    clo_reader r = clo_reader_of(CLO_SPAN_OF(bytes));
    T_INT(clo_read_u16be(&r), 0x0102);
    T_OK(clo_reader_check(&r, "x"));
    T_CODE(clo_reader_finish(&r, "x"), CLO_FORMAT);
    T_INT(clo_read_u8(&r), 3);
    T_OK(clo_reader_finish(&r, "x"));
}

static void failed_copy_zeroes_its_target(void)
{
    static const uint8_t bytes[] = {1, 2, 3};
    uint8_t out[4] = {9, 9, 9, 9};
    clo_reader r = clo_reader_of(CLO_SPAN_OF(bytes));
    clo_read_copy(&r, out, 3);
    T_CHECK(out[0] == 1 && out[2] == 3 && out[3] == 9);
    clo_read_copy(&r, out, 4);
    T_CHECK(out[0] == 0 && out[3] == 0 && r.failed);
}

static void reader_of_nothing_is_empty(void)
{
    clo_reader r = clo_reader_of(CLO_SPAN_EMPTY);
    T_INT(clo_read_span(&r, 0).size, 0);
    T_OK(clo_reader_finish(&r, "nothing"));
    T_INT(clo_read_span(&r, SIZE_MAX).size, 0);
    T_CODE(clo_reader_finish(&r, "nothing"), CLO_FORMAT);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(spans_compare_by_content),
        T(every_integer_is_written_in_its_order),
        T(buffer_grows_over_many_appends),
        T(buffer_takes_its_limit_and_not_one_byte_more),
        T(failed_buffer_takes_nothing_until_cleared),
        T(huge_wishes_do_not_overflow),
        T(reserve_counts_nothing_and_release_resets),
        T(empty_appends_are_fine),
        T(full_buffer_refuses_every_kind_of_append),
        T(formatted_text_is_appended_exactly),
        T(variable_fields_round_trip),
        T(variable_field_above_its_limit_moves_nothing),
        T(variable_field_that_is_cut_fails_at_every_length),
        T(reader_fails_once_and_stays_failed),
        T(reader_refuses_bytes_left_over),
        T(failed_copy_zeroes_its_target),
        T(reader_of_nothing_is_empty),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
