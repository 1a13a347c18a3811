/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hex, base64 (vectors of RFC 4648 section 10), numbers, near names, UTF-8.
 */
#include <math.h>
#include <string.h>

#include "chars.h"
#include "test.h"

static void hex_round_trips_every_byte(void)
{
    uint8_t bytes[256];
    uint8_t back[256];
    char text[513];
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
    }
    clo_hex_encode(CLO_SPAN_OF(bytes), text);
    T_CHECK(strncmp(text, "000102", 6) == 0 && strcmp(text + 508, "feff") == 0);
    T_OK(clo_hex_decode(clo_span_of_str(text), back, sizeof back));
    T_CHECK(memcmp(bytes, back, sizeof bytes) == 0);
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    clo_put_hex(&buf, CLO_SPAN_OF(bytes));
    T_STR(clo_buf_str(&buf), text);
}

static void hex_takes_both_cases(void)
{
    uint8_t out[3];
    T_OK(clo_hex_decode(clo_span_of_str("aAfF09"), out, 3));
    T_CHECK(out[0] == 0xaa && out[1] == 0xff && out[2] == 0x09);
}

static void hex_refuses_strange_digits_and_sizes_and_writes_nothing(void)
{
    static const char *const wrong[] = {"",     "0",    "000",  "00000", "0g00",
                                        "00 0", "0x00", "000:", "/000"};
    uint8_t out[2] = {7, 7};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_CODE(clo_hex_decode(clo_span_of_str(wrong[i]), out, 2), CLO_FORMAT);
        T_CHECK(out[0] == 7 && out[1] == 7);
    }
    T_CODE(clo_hex_decode(CLO_SPAN("00\0 ", 4), out, 2), CLO_FORMAT);
}

static void hex_append_keeps_the_limit(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    T_OK(clo_hex_append(clo_span_of_str("0102"), 2, &buf));
    T_CODE(clo_hex_append(clo_span_of_str("010203"), 2, &buf), CLO_LIMIT);
    T_CODE(clo_hex_append(clo_span_of_str("010"), 2, &buf), CLO_FORMAT);
    T_CODE(clo_hex_append(clo_span_of_str("01zz"), 2, &buf), CLO_FORMAT);
    T_OK(clo_hex_append(CLO_SPAN_EMPTY, 2, &buf));
    T_INT(buf.size, 2);
}

static const struct {
    const char *plain;
    const char *coded;
} base64_vectors[] = {{"", ""},
                      {"f", "Zg=="},
                      {"fo", "Zm8="},
                      {"foo", "Zm9v"},
                      {"foob", "Zm9vYg=="},
                      {"fooba", "Zm9vYmE="},
                      {"foobar", "Zm9vYmFy"},
                      {"\xfb\xff\xfe", "+//+"}};

static void base64_vectors_hold_both_ways(void)
{
    for (size_t i = 0; i < sizeof base64_vectors / sizeof *base64_vectors; i++) {
        CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
        clo_put_base64(&buf, clo_span_of_str(base64_vectors[i].plain));
        T_STR(clo_buf_str(&buf), base64_vectors[i].coded);
        clo_buf_clear(&buf);
        T_OK(clo_base64_append(clo_span_of_str(base64_vectors[i].coded), 6, &buf));
        T_STR(clo_buf_str(&buf), base64_vectors[i].plain);
    }
}

static void base64_refuses_what_is_not_canonical(void)
{
    static const char *const wrong[] = {
        "Z",    "Zg",       "Zg=",        "Zh==",  "Zm9=", "Zm8",  "====",     "=Zg=",
        "Z===", "Zg==Zg==", "Zm9v\nZm9v", " Zm8=", "Zm-v", "Zm_v", "Zm9v====", "Zg=A"};
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_CODE(clo_base64_append(clo_span_of_str(wrong[i]), 100, &buf), CLO_FORMAT);
        T_INT(buf.size, 0);
    }
    T_CODE(clo_base64_append(clo_span_of_str("Zm9v"), 2, &buf), CLO_LIMIT);
    T_OK(clo_base64_append(clo_span_of_str("Zm9v"), 3, &buf));
}

static void whole_numbers_are_exact_up_to_the_maximum(void)
{
    uint64_t value = 0;
    T_OK(clo_parse_u64("0", 0, &value));
    T_OK(clo_parse_u64("18446744073709551615", UINT64_MAX, &value));
    T_CHECK(value == UINT64_MAX);
    T_OK(clo_parse_u64("65535", 65535, &value));
    T_INT(value, 65535);
    T_CODE(clo_parse_u64("65536", 65535, &value), CLO_LIMIT);
    T_CODE(clo_parse_u64("18446744073709551616", UINT64_MAX, &value), CLO_LIMIT);
    T_CODE(clo_parse_u64("99999999999999999999999", UINT64_MAX, &value), CLO_LIMIT);
    T_INT(value, 65535);
}

static void whole_numbers_have_digits_only(void)
{
    static const char *const wrong[] = {"", "-1", "+1", " 1", "1 ", "0x1", "1e3", "1.0", "a"};
    uint64_t value = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_CODE(clo_parse_u64(wrong[i], UINT64_MAX, &value), CLO_FORMAT);
    }
    T_INT(value, 7);
}

static void doubles_are_finite_and_plain(void)
{
    static const char *const wrong[] = {"",      "nan",    "inf", "-inf", "0x1p3", " 1",  "1 ",
                                        "1e999", "-1e999", "1e",  "-",    "1.2.3", "1,5", "e5"};
    double value = 7;
    T_OK(clo_parse_double("-1.5e3", &value));
    T_NEAR(value, -1500, 0);
    T_OK(clo_parse_double("0.01", &value));
    T_NEAR(value, 0.01, 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_CODE(clo_parse_double(wrong[i], &value), CLO_FORMAT);
    }
    T_NEAR(value, 0.01, 0);
}

static void near_names_are_offered_and_far_ones_not(void)
{
    static const char *const names[] = {"train", "serve", "verify", "kms", NULL};
    T_STR(clo_nearest("trian", names), "train");
    T_STR(clo_nearest("server", names), "serve");
    T_STR(clo_nearest("verfy", names), "verify");
    T_STR(clo_nearest("kmz", names), "kms");
    T_STR(clo_nearest("kms", names), "kms");
    T_CHECK(clo_nearest("elephant", names) == NULL);
    T_CHECK(clo_nearest("xyz", names) == NULL);
    T_CHECK(clo_nearest("", names) == NULL);
    static const char *const none[] = {NULL};
    T_CHECK(clo_nearest("train", none) == NULL);
}

static void very_long_names_are_not_compared(void)
{
    char word[200];
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    const char *const names[] = {word, "aaaa", NULL};
    T_CHECK(clo_nearest(word, names) == NULL);
    T_STR(clo_nearest("aaaab", names), "aaaa");
}

static void every_code_point_survives_utf8(void)
{
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        if (c >= 0xd800 && c <= 0xdfff) {
            continue;
        }
        uint8_t bytes[4];
        size_t size = clo_utf8_encode(c, bytes);
        T_INT(clo_utf8_sequence(CLO_SPAN(bytes, size), 0), size);
        T_INT(clo_utf8_sequence(CLO_SPAN(bytes, size - 1 == 0 ? 1 : size - 1), 0),
              size == 1 ? 1 : 0);
    }
}

static void malformed_utf8_is_seen(void)
{
    static const char *const wrong[] = {"\x80",
                                        "\xbf",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xc2\x20",
                                        "\xe0\x9f\xbf",
                                        "\xed\xa0\x80",
                                        "\xed\xbf\xbf",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80",
                                        "\xf5\x80\x80\x80",
                                        "\xff",
                                        "\xe2\x82",
                                        "\xe2\x28\xa1",
                                        "\xf0\x9f\x92\x20"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_INT(clo_utf8_sequence(clo_span_of_str(wrong[i]), 0), 0);
    }
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(hex_round_trips_every_byte),
        T(hex_takes_both_cases),
        T(hex_refuses_strange_digits_and_sizes_and_writes_nothing),
        T(hex_append_keeps_the_limit),
        T(base64_vectors_hold_both_ways),
        T(base64_refuses_what_is_not_canonical),
        T(whole_numbers_are_exact_up_to_the_maximum),
        T(whole_numbers_have_digits_only),
        T(doubles_are_finite_and_plain),
        T(near_names_are_offered_and_far_ones_not),
        T(very_long_names_are_not_compared),
        T(every_code_point_survives_utf8),
        T(malformed_utf8_is_seen),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
