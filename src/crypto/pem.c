/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PEM, the strict form of RFC 7468: labelled base64 of one DER structure. Written here because
 * private keys pass through and OpenSSL's reader leaves copies in its heap, and because a chain
 * from outside must be cut by the bounds-checked cursor.
 *
 * The digits stand in memory of the kind that the caller's buffer has: secret for private keys.
 *
 *     -----BEGIN label-----   base64 in lines, any line length, LF or CR LF   -----END label-----
 */
#include "crypto_internal.h"

#include <string.h>

#define LINE 64

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

clo_span clo_text_trim(clo_span text)
{
    while (text.size > 0 && (text.data[text.size - 1] == 0 || is_space(text.data[text.size - 1]))) {
        text.size--;
    }
    return text;
}

static void skip_space(clo_reader *reader)
{
    while (reader->at < reader->in.size && is_space(reader->in.data[reader->at])) {
        clo_read_u8(reader);
    }
}

/* Reads exactly "-----WORD label-----". */
static bool take_boundary(clo_reader *reader, const char *word, const char *label)
{
    const char *const parts[] = {"-----", word, " ", label, "-----"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!clo_span_equals_str(clo_read_span(reader, strlen(parts[i])), parts[i])) {
            return false;
        }
    }
    return true;
}

/* Base64 digits up to the next '-', white space left out. */
static void collect_body(clo_reader *reader, clo_buf *out)
{
    while (reader->at < reader->in.size && reader->in.data[reader->at] != '-') {
        uint8_t byte = clo_read_u8(reader);
        if (!is_space(byte)) {
            clo_put_u8(out, byte);
        }
    }
}

clo_status clo_pem_read(clo_reader *reader, const char *label, size_t limit, clo_buf *out_der)
{
    skip_space(reader);
    CLO_CHECK(clo_reader_left(reader) > 0, CLO_EOF, "no more PEM blocks");
    CLO_CHECK(take_boundary(reader, "BEGIN", label), CLO_FORMAT,
              "expected a PEM block '%s' at offset %zu", label, reader->at);
    CLO_AUTO(clo_buf) body = CLO_BUF_LIMIT(limit / 3 * 4 + 4);
    body.secret = out_der->secret;
    collect_body(reader, &body);
    CLO_TRY_CTX(clo_buf_check(&body), "PEM block '%s'", label);
    CLO_CHECK(take_boundary(reader, "END", label), CLO_FORMAT, "PEM block '%s' has no end", label);
    CLO_TRY_CTX(clo_base64_append(clo_buf_span(&body), limit, out_der), "PEM block '%s'", label);
    return clo_buf_check(out_der);
}

void clo_pem_put(clo_buf *out, const char *label, clo_span der)
{
    CLO_AUTO(clo_buf) body = CLO_BUF_INIT;
    body.secret = out->secret;
    clo_put_base64(&body, der);
    out->failed = out->failed || body.failed;
    clo_put_format(out, "-----BEGIN %s-----\n", label);
    for (size_t at = 0; at < body.size; at += LINE) {
        size_t count = body.size - at < LINE ? body.size - at : LINE;
        clo_put_bytes(out, body.data + at, count);
        clo_put_u8(out, '\n');
    }
    clo_put_format(out, "-----END %s-----\n", label);
}
