/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DER (X.690 section 10): definite lengths in their shortest form, one-byte tags. Only what is
 * needed to find the parts of a structure; values stay spans of the input.
 *
 *     tag u8 | length: u8 below 0x80, or 0x80+n and n bytes (n 1..4, shortest) | value
 */
#include "crypto_internal.h"

#define OID_MAX 64

/* The length octets; zero and a failed reader when they are not DER. */
static size_t read_length(clo_reader *reader)
{
    uint8_t first = clo_read_u8(reader);
    if (first < 0x80) {
        return first;
    }
    size_t count = first & 0x7f, length = 0;
    if (count == 0 || count > 4) {
        reader->failed = true;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        length = length << 8 | clo_read_u8(reader);
    }
    if (length < 0x80 || length >> (8 * (count - 1)) == 0) {
        reader->failed = true;
    }
    return length;
}

clo_status clo_der_read(clo_reader *reader, clo_der *out_element)
{
    size_t start = reader->at;
    uint8_t tag = clo_read_u8(reader);
    reader->failed = reader->failed || (tag & 0x1f) == 0x1f;
    size_t length = read_length(reader);
    clo_span value = clo_read_span(reader, length);
    CLO_CHECK(!reader->failed, CLO_FORMAT, "der: bad tag or length at offset %zu", start);
    *out_element = (clo_der){tag, value, CLO_SPAN(reader->in.data + start, reader->at - start)};
    return CLO_STATUS_OK;
}

clo_status clo_der_expect(clo_reader *reader, uint8_t tag, const char *what, clo_der *out_element)
{
    clo_der element;
    CLO_TRY_CTX(clo_der_read(reader, &element), "%s", what);
    CLO_CHECK(element.tag == tag, CLO_FORMAT, "%s: expected tag 0x%02x, found 0x%02x", what, tag,
              element.tag);
    *out_element = element;
    return CLO_STATUS_OK;
}

/* One number of a dotted text; moves the cursor behind it and its dot. False for anything else. */
static bool next_arc(const char **cursor, uint32_t *out_arc)
{
    const char *at = *cursor;
    uint64_t arc = 0;
    while (*at >= '0' && *at <= '9' && arc <= UINT32_MAX) {
        arc = arc * 10 + (uint64_t)(*at++ - '0');
    }
    if (at == *cursor || arc > UINT32_MAX || (*at != '.' && *at != '\0')) {
        return false;
    }
    *cursor = *at == '.' ? at + 1 : at;
    *out_arc = (uint32_t)arc;
    return true;
}

static size_t put_arc(uint8_t *out, uint64_t arc)
{
    size_t count = 1;
    while (count < 6 && arc >> (7 * count) != 0) {
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t more = i + 1 < count ? 0x80 : 0;
        out[i] = (uint8_t)((arc >> (7 * (count - 1 - i)) & 0x7f) | more);
    }
    return count;
}

bool clo_der_is_oid(const clo_der *element, const char *dotted)
{
    uint8_t expected[OID_MAX];
    uint32_t first, second, arc;
    if (element->tag != 0x06 || !next_arc(&dotted, &first) || !next_arc(&dotted, &second)) {
        return false;
    }
    size_t size = put_arc(expected, (uint64_t)first * 40 + second);
    while (*dotted != '\0') {
        if (size + 6 > sizeof expected || !next_arc(&dotted, &arc)) {
            return false;
        }
        size += put_arc(expected + size, arc);
    }
    return clo_span_equal(element->value, CLO_SPAN(expected, size));
}
