/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of UTF-8 forms is RFC 3629 section 4 (and Unicode table 3-7) row by row: which first
 * bytes there are, how many bytes follow, and the range of the second byte, where overlong forms,
 * surrogates and values above U+10FFFF are told apart. Every later byte is 80..BF.
 */
#include "chars.h"

static const struct {
    uint8_t first_low, first_high;
    uint8_t size;
    uint8_t second_low, second_high;
} forms[] = {
    {0x00, 0x7f, 1, 0x00, 0x00}, {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
    {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

static bool within(uint8_t byte, uint8_t low, uint8_t high)
{
    return byte >= low && byte <= high;
}

size_t clo_utf8_sequence(clo_span text, size_t at)
{
    const uint8_t *bytes = text.data + at;
    size_t left = text.size - at;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (!within(bytes[0], forms[i].first_low, forms[i].first_high)) {
            continue;
        }
        size_t size = forms[i].size;
        if (size > left ||
            (size > 1 && !within(bytes[1], forms[i].second_low, forms[i].second_high)) ||
            (size > 2 && !within(bytes[2], 0x80, 0xbf)) ||
            (size > 3 && !within(bytes[3], 0x80, 0xbf))) {
            return 0;
        }
        return size;
    }
    return 0;
}

size_t clo_utf8_encode(uint32_t code_point, uint8_t out_bytes[4])
{
    if (code_point < 0x80) {
        out_bytes[0] = (uint8_t)code_point;
        return 1;
    }
    size_t size = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    static const uint8_t lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size - 1; i > 0; i--) {
        out_bytes[i] = (uint8_t)(0x80 | (code_point & 0x3f));
        code_point >>= 6;
    }
    out_bytes[0] = (uint8_t)(lead[size] | code_point);
    return size;
}

void clo_chars_blank_controls(char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f) {
            *text = '?';
        }
    }
}
