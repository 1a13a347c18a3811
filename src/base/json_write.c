/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON writer. It only ever appends; failure is the buffer's. What it writes the reader takes:
 * no invalid UTF-8, no NUL, no NaN.
 */
#include "cloister/base.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chars.h"

enum { DEPTH_MAX = 32, DOUBLE_TEXT = 32 };

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* The two-character escapes; other control characters become \u00XX. */
static const struct {
    char byte;
    const char *escape;
} short_escapes[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'\b', "\\b"}, {'\f', "\\f"},
                     {'\n', "\\n"}, {'\r', "\\r"},  {'\t', "\\t"}};

static void put_ascii(clo_buf *out, char byte)
{
    for (size_t i = 0; i < sizeof short_escapes / sizeof *short_escapes; i++) {
        if (short_escapes[i].byte == byte) {
            clo_put_str(out, short_escapes[i].escape);
            return;
        }
    }
    if (byte < 0x20) {
        clo_put_format(out, "\\u%04x", (unsigned)byte);
    } else {
        clo_put_u8(out, (uint8_t)byte);
    }
}

static void put_quoted(clo_buf *out, clo_span text)
{
    clo_put_str(out, "\"");
    for (size_t at = 0; at < text.size;) {
        size_t size = clo_utf8_sequence(text, at);
        if (size == 0 || text.data[at] == 0) {
            clo_put_str(out, replacement);
            size = 1;
        } else if (size == 1) {
            put_ascii(out, (char)text.data[at]);
        } else {
            clo_put_bytes(out, text.data + at, size);
        }
        at += size;
    }
    clo_put_str(out, "\"");
}

/* What stands before a value: the comma behind an earlier one, and its name. */
static void before_value(clo_json_writer *w, const char *name)
{
    CLO_ASSERT((name != NULL) == w->in_object[w->depth]);
    CLO_ASSERT(w->depth > 0 || w->first[0]);
    if (!w->first[w->depth]) {
        clo_put_str(w->out, ",");
    }
    w->first[w->depth] = false;
    if (name != NULL) {
        put_quoted(w->out, clo_span_of_str(name));
        clo_put_str(w->out, ":");
    }
}

static void begin(clo_json_writer *w, const char *name, bool object)
{
    before_value(w, name);
    CLO_ASSERT(w->depth < DEPTH_MAX);
    clo_put_str(w->out, object ? "{" : "[");
    w->depth++;
    w->first[w->depth] = true;
    w->in_object[w->depth] = object;
}

static void end(clo_json_writer *w, bool object)
{
    CLO_ASSERT(w->depth > 0 && w->in_object[w->depth] == object);
    clo_put_str(w->out, object ? "}" : "]");
    w->depth--;
}

clo_json_writer clo_json_writer_of(clo_buf *out)
{
    clo_json_writer w = {.out = out};
    w.first[0] = true;
    return w;
}

void clo_json_begin_object(clo_json_writer *w, const char *name)
{
    begin(w, name, true);
}

void clo_json_end_object(clo_json_writer *w)
{
    end(w, true);
}

void clo_json_begin_array(clo_json_writer *w, const char *name)
{
    begin(w, name, false);
}

void clo_json_end_array(clo_json_writer *w)
{
    end(w, false);
}

void clo_json_put_str(clo_json_writer *w, const char *name, const char *text)
{
    clo_json_put_text(w, name, clo_span_of_str(text));
}

void clo_json_put_text(clo_json_writer *w, const char *name, clo_span text)
{
    before_value(w, name);
    put_quoted(w->out, text);
}

void clo_json_put_hex(clo_json_writer *w, const char *name, clo_span bytes)
{
    before_value(w, name);
    clo_put_str(w->out, "\"");
    clo_put_hex(w->out, bytes);
    clo_put_str(w->out, "\"");
}

void clo_json_put_base64(clo_json_writer *w, const char *name, clo_span bytes)
{
    before_value(w, name);
    clo_put_str(w->out, "\"");
    clo_put_base64(w->out, bytes);
    clo_put_str(w->out, "\"");
}

void clo_json_put_u64(clo_json_writer *w, const char *name, uint64_t value)
{
    before_value(w, name);
    clo_put_format(w->out, "%llu", (unsigned long long)value);
}

void clo_json_put_double(clo_json_writer *w, const char *name, double value)
{
    if (!isfinite(value)) {
        clo_json_put_null(w, name);
        return;
    }
    before_value(w, name);
    char text[DOUBLE_TEXT];
    int digits = 15; /* always exact enough for people; 17 always round-trips */
    do {
        snprintf(text, sizeof text, "%.*g", digits, value);
    } while (digits++ < 17 && strtod(text, NULL) != value);
    clo_put_str(w->out, text);
}

void clo_json_put_bool(clo_json_writer *w, const char *name, bool value)
{
    before_value(w, name);
    clo_put_str(w->out, value ? "true" : "false");
}

void clo_json_put_time(clo_json_writer *w, const char *name, int64_t unix_seconds)
{
    char text[21];
    clo_time_format(unix_seconds, text);
    clo_json_put_str(w, name, text);
}

void clo_json_put_null(clo_json_writer *w, const char *name)
{
    before_value(w, name);
    clo_put_str(w->out, "null");
}

void clo_json_put_raw(clo_json_writer *w, const char *name, clo_span json)
{
    before_value(w, name);
    clo_put_span(w->out, json);
}
