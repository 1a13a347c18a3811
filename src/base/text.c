/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text forms of bytes and numbers. Decoders are strict: one text for one value, so that two texts
 * that look alike cannot name different things, and nothing is skipped.
 */
#include "cloister/base.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NEAREST_WORD = 63, NEAREST_DISTANCE = 3, DOUBLE_TEXT = 127 };

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void hex_write(clo_span bytes, char *out)
{
    for (size_t i = 0; i < bytes.size; i++) {
        out[2 * i] = hex_digits[bytes.data[i] >> 4];
        out[2 * i + 1] = hex_digits[bytes.data[i] & 15];
    }
}

static int hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    uint8_t lower = digit | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Where the first non-digit stands; text.size when there is none. */
static size_t hex_read(clo_span text, uint8_t *out)
{
    for (size_t i = 0; i < text.size; i++) {
        int value = hex_value(text.data[i]);
        if (value < 0) {
            return i;
        }
        out[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : out[i / 2] | value);
    }
    return text.size;
}

static int base64_value(uint8_t digit)
{
    if (digit >= 'A' && digit <= 'Z') {
        return digit - 'A';
    }
    if (digit >= 'a' && digit <= 'z') {
        return digit - 'a' + 26;
    }
    if (digit >= '0' && digit <= '9') {
        return digit - '0' + 52;
    }
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

static size_t base64_padding(clo_span text)
{
    if (text.size < 4 || text.data[text.size - 1] != '=') {
        return 0;
    }
    return text.data[text.size - 2] == '=' ? 2 : 1;
}

/* Reads the digits without padding; false at a strange digit or at spare bits that are not zero. */
static bool base64_read(clo_span digits, uint8_t *out)
{
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < digits.size; i++) {
        int value = base64_value(digits.data[i]);
        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *out++ = (uint8_t)(bits >> held);
            bits &= (1U << held) - 1;
        }
    }
    return bits == 0;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance with one row: row[j] is the distance of a's prefix to b's first j. Both
 * are at most NEAREST_WORD long. */
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned row[NEAREST_WORD + 1];
    size_t length = strlen(b);
    for (size_t j = 0; j <= length; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 1; j <= length; j++) {
            unsigned replaced = diagonal + (a[i] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = least(replaced, 1 + least(row[j], row[j - 1]));
        }
    }
    return row[length];
}

void clo_hex_encode(clo_span bytes, char *out_text)
{
    hex_write(bytes, out_text);
    out_text[2 * bytes.size] = '\0';
}

void clo_put_hex(clo_buf *buf, clo_span bytes)
{
    size_t size;
    uint8_t *at = clo_size_mul(bytes.size, 2, &size) ? clo_buf_grow(buf, size) : NULL;
    if (at != NULL) {
        hex_write(bytes, (char *)at);
    }
}

clo_status clo_hex_decode(clo_span text, uint8_t *out_bytes, size_t size)
{
    CLO_CHECK(text.size % 2 == 0 && text.size / 2 == size, CLO_FORMAT,
              "%zu characters, expected %zu bytes as hex digits", text.size, size);
    /* Two passes, so that `out_bytes` stays untouched when a digit is wrong. */
    for (size_t i = 0; i < text.size; i++) {
        CLO_CHECK(hex_value(text.data[i]) >= 0, CLO_FORMAT, "character %zu is no hex digit", i + 1);
    }
    hex_read(text, out_bytes);
    return CLO_STATUS_OK;
}

clo_status clo_hex_append(clo_span text, size_t limit, clo_buf *out)
{
    CLO_CHECK(text.size % 2 == 0, CLO_FORMAT, "an odd number of hex digits (%zu)", text.size);
    CLO_CHECK(text.size / 2 <= limit, CLO_LIMIT, "%zu bytes as hex digits, expected at most %zu",
              text.size / 2, limit);
    size_t before = out->size;
    uint8_t *at = clo_buf_grow(out, text.size / 2);
    CLO_TRY(clo_buf_check(out));
    size_t bad = hex_read(text, at);
    if (bad < text.size) {
        out->size = before;
        CLO_FAIL(CLO_FORMAT, "character %zu is no hex digit", bad + 1);
    }
    return CLO_STATUS_OK;
}

void clo_put_base64(clo_buf *buf, clo_span bytes)
{
    size_t groups = bytes.size / 3 + (bytes.size % 3 != 0);
    size_t size;
    uint8_t *at = clo_size_mul(groups, 4, &size) ? clo_buf_grow(buf, size) : NULL;
    if (at == NULL) {
        return;
    }
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t count = bytes.size - i < 3 ? bytes.size - i : 3;
        uint32_t bits = (uint32_t)bytes.data[i] << 16;
        bits |= count > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        bits |= count > 2 ? bytes.data[i + 2] : 0;
        *at++ = (uint8_t)base64_digits[bits >> 18];
        *at++ = (uint8_t)base64_digits[bits >> 12 & 63];
        *at++ = (uint8_t)(count > 1 ? base64_digits[bits >> 6 & 63] : '=');
        *at++ = (uint8_t)(count > 2 ? base64_digits[bits & 63] : '=');
    }
}

clo_status clo_base64_append(clo_span text, size_t limit, clo_buf *out)
{
    CLO_CHECK(text.size % 4 == 0, CLO_FORMAT, "%zu base64 characters, expected a multiple of 4",
              text.size);
    size_t padding = base64_padding(text);
    size_t size = text.size / 4 * 3 - padding;
    CLO_CHECK(size <= limit, CLO_LIMIT, "%zu bytes as base64, expected at most %zu", size, limit);
    size_t before = out->size;
    uint8_t *at = clo_buf_grow(out, size);
    CLO_TRY(clo_buf_check(out));
    if (!base64_read(CLO_SPAN(text.data, text.size - padding), at)) {
        out->size = before;
        CLO_FAIL(CLO_FORMAT, "not strict base64");
    }
    return CLO_STATUS_OK;
}

clo_status clo_parse_u64(const char *text, uint64_t max, uint64_t *out_value)
{
    CLO_CHECK(text[0] != '\0', CLO_FORMAT, "an empty text, expected a number");
    uint64_t value = 0;
    for (const char *c = text; *c != '\0'; c++) {
        CLO_CHECK(*c >= '0' && *c <= '9', CLO_FORMAT, "'%.32s' is no whole number", text);
        unsigned digit = (unsigned)(*c - '0');
        CLO_CHECK(!__builtin_mul_overflow(value, 10U, &value) &&
                      !__builtin_add_overflow(value, digit, &value),
                  CLO_LIMIT, "'%.32s', expected at most %llu", text, (unsigned long long)max);
    }
    CLO_CHECK(value <= max, CLO_LIMIT, "'%.32s', expected at most %llu", text,
              (unsigned long long)max);
    *out_value = value;
    return CLO_STATUS_OK;
}

clo_status clo_parse_double(const char *text, double *out_value)
{
    /* strtod also takes white space, hexadecimal, "nan" and "inf": the alphabet keeps them out. */
    size_t length = strspn(text, "0123456789+-.eE");
    CLO_CHECK(length > 0 && length <= DOUBLE_TEXT && text[length] == '\0', CLO_FORMAT,
              "'%.32s' is no number", text);
    char *end;
    double value = strtod(text, &end);
    CLO_CHECK(*end == '\0' && end != text, CLO_FORMAT, "'%.32s' is no number", text);
    CLO_CHECK(isfinite(value), CLO_FORMAT, "'%.32s' is too large", text);
    *out_value = value;
    return CLO_STATUS_OK;
}

const char *clo_nearest(const char *word, const char *const *names)
{
    size_t length = strlen(word);
    if (length > NEAREST_WORD) {
        return NULL;
    }
    /* A short word has everything within three edits: it must share at least one letter. */
    unsigned best = length <= NEAREST_DISTANCE ? (unsigned)length : NEAREST_DISTANCE + 1;
    const char *nearest = NULL;
    for (; *names != NULL; names++) {
        unsigned distance = strlen(*names) > NEAREST_WORD ? best : edit_distance(word, *names);
        if (distance < best) {
            best = distance;
            nearest = *names;
        }
    }
    return nearest;
}
