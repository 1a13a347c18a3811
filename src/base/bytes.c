/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The buffer that grows and the cursor that reads. Both have sticky errors, so that the code which
 * writes or reads a format is a plain list of its fields, checked once at the end.
 *
 * Invariants: buf->size <= limit; capacity may be one more than the limit, for the NUL of
 * clo_buf_str; a secret buffer's memory is one clo_secret of `capacity` bytes; reader->at <=
 * in.size; a failed reader stays where it failed.
 */
#include "cloister/base.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

static size_t limit_of(const clo_buf *buf)
{
    return buf->limit == 0 ? CLO_BUF_DEFAULT_LIMIT : buf->limit;
}

static bool buf_fail(clo_buf *buf, bool over_limit)
{
    buf->failed = true;
    buf->over_limit = over_limit;
    return false;
}

/* The contents in `capacity` bytes; NULL leaves them where they are. */
static uint8_t *move_to(clo_buf *buf, size_t capacity)
{
    if (!buf->secret) {
        return clo_realloc_array(buf->data, buf->capacity, capacity, 1);
    }
    clo_secret old = {buf->data, buf->capacity};
    clo_secret moved = CLO_SECRET_INIT;
    if (!clo_ok(clo_secret_alloc(&moved, capacity))) {
        return NULL;
    }
    if (buf->size > 0) {
        memcpy(moved.data, buf->data, buf->size);
    }
    clo_secret_clear(&old);
    return moved.data;
}

/* Makes room for `more` counted bytes and `spare` uncounted ones behind them. */
static bool ensure(clo_buf *buf, size_t more, size_t spare)
{
    if (buf->failed) {
        return false;
    }
    size_t needed;
    if (more > limit_of(buf) - buf->size || !clo_size_add(buf->size + more, spare, &needed)) {
        return buf_fail(buf, true);
    }
    if (needed <= buf->capacity && buf->data != NULL) {
        return true;
    }
    size_t capacity = buf->capacity < FIRST_CAPACITY / 2 ? FIRST_CAPACITY : buf->capacity * 2;
    if (capacity > limit_of(buf) || capacity < buf->capacity) {
        capacity = limit_of(buf);
    }
    if (capacity < needed) {
        capacity = needed;
    }
    uint8_t *data = move_to(buf, capacity);
    if (data == NULL) {
        return buf_fail(buf, false);
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

static void put_be(clo_buf *buf, uint64_t value, size_t size)
{
    uint8_t *at = clo_buf_grow(buf, size);
    if (at == NULL) {
        return;
    }
    for (size_t i = 0; i < size; i++) {
        at[size - 1 - i] = (uint8_t)(value >> (8 * i));
    }
}

static void put_le(clo_buf *buf, uint64_t value, size_t size)
{
    uint8_t *at = clo_buf_grow(buf, size);
    if (at == NULL) {
        return;
    }
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static void reader_fail(clo_reader *r, size_t at)
{
    if (!r->failed) {
        r->failed = true;
        r->failed_at = at;
    }
}

static uint64_t read_be(clo_reader *r, size_t size)
{
    clo_span field = clo_read_span(r, size);
    uint64_t value = 0;
    for (size_t i = 0; i < field.size; i++) {
        value = value << 8 | field.data[i];
    }
    return value;
}

static uint64_t read_le(clo_reader *r, size_t size)
{
    clo_span field = clo_read_span(r, size);
    uint64_t value = 0;
    for (size_t i = field.size; i-- > 0;) {
        value = value << 8 | field.data[i];
    }
    return value;
}

clo_span clo_span_of_str(const char *text)
{
    return CLO_SPAN(text, strlen(text));
}

bool clo_span_equal(clo_span a, clo_span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool clo_span_equals_str(clo_span a, const char *text)
{
    return clo_span_equal(a, clo_span_of_str(text));
}

bool clo_span_starts_with(clo_span a, clo_span prefix)
{
    return a.size >= prefix.size && clo_span_equal(CLO_SPAN(a.data, prefix.size), prefix);
}

void clo_buf_release(clo_buf *buf)
{
    if (buf->secret) {
        clo_secret memory = {buf->data, buf->capacity};
        clo_secret_clear(&memory);
        *buf = CLO_BUF_SECRET(buf->limit);
        return;
    }
    if (buf->data != NULL) {
        clo_wipe(buf->data, buf->capacity);
        clo_free(buf->data);
    }
    *buf = CLO_BUF_LIMIT(buf->limit);
}

void clo_buf_clear(clo_buf *buf)
{
    buf->size = 0;
    buf->failed = false;
    buf->over_limit = false;
}

clo_status clo_buf_check(const clo_buf *buf)
{
    CLO_CHECK(!buf->failed || !buf->over_limit, CLO_LIMIT, "more than %zu bytes", limit_of(buf));
    CLO_CHECK(!buf->failed, CLO_NOMEM, "out of memory after %zu bytes", buf->size);
    return CLO_STATUS_OK;
}

clo_status clo_buf_reserve(clo_buf *buf, size_t more)
{
    ensure(buf, more, 0);
    return clo_buf_check(buf);
}

uint8_t *clo_buf_grow(clo_buf *buf, size_t size)
{
    if (!ensure(buf, size, 0)) {
        return NULL;
    }
    uint8_t *at = buf->data + buf->size;
    buf->size += size;
    return at;
}

void clo_put_u8(clo_buf *buf, uint8_t value)
{
    put_be(buf, value, 1);
}

void clo_put_u16be(clo_buf *buf, uint16_t value)
{
    put_be(buf, value, 2);
}

void clo_put_u32be(clo_buf *buf, uint32_t value)
{
    put_be(buf, value, 4);
}

void clo_put_u64be(clo_buf *buf, uint64_t value)
{
    put_be(buf, value, 8);
}

void clo_put_u16le(clo_buf *buf, uint16_t value)
{
    put_le(buf, value, 2);
}

void clo_put_u32le(clo_buf *buf, uint32_t value)
{
    put_le(buf, value, 4);
}

void clo_put_u64le(clo_buf *buf, uint64_t value)
{
    put_le(buf, value, 8);
}

void clo_put_bytes(clo_buf *buf, const void *bytes, size_t size)
{
    if (size == 0) {
        return;
    }
    uint8_t *at = clo_buf_grow(buf, size);
    if (at != NULL) {
        memcpy(at, bytes, size);
    }
}

void clo_put_span(clo_buf *buf, clo_span span)
{
    clo_put_bytes(buf, span.data, span.size);
}

void clo_put_var(clo_buf *buf, clo_span span)
{
    if (span.size > UINT32_MAX) {
        buf_fail(buf, true);
        return;
    }
    clo_put_u32be(buf, (uint32_t)span.size);
    clo_put_span(buf, span);
}

void clo_put_str(clo_buf *buf, const char *text)
{
    clo_put_span(buf, clo_span_of_str(text));
}

void clo_put_format(clo_buf *buf, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length >= 0 && ensure(buf, (size_t)length, 1)) {
        vsnprintf((char *)buf->data + buf->size, (size_t)length + 1, format, again);
        buf->size += (size_t)length;
    } else if (length < 0) {
        buf_fail(buf, true);
    }
    va_end(again);
}

const char *clo_buf_str(clo_buf *buf)
{
    if (!ensure(buf, 0, 1)) {
        return NULL;
    }
    buf->data[buf->size] = '\0';
    return (const char *)buf->data;
}

clo_reader clo_reader_of(clo_span span)
{
    return (clo_reader){.in = span};
}

uint8_t clo_read_u8(clo_reader *r)
{
    return (uint8_t)read_be(r, 1);
}

uint16_t clo_read_u16be(clo_reader *r)
{
    return (uint16_t)read_be(r, 2);
}

uint32_t clo_read_u32be(clo_reader *r)
{
    return (uint32_t)read_be(r, 4);
}

uint64_t clo_read_u64be(clo_reader *r)
{
    return read_be(r, 8);
}

uint16_t clo_read_u16le(clo_reader *r)
{
    return (uint16_t)read_le(r, 2);
}

uint32_t clo_read_u32le(clo_reader *r)
{
    return (uint32_t)read_le(r, 4);
}

uint64_t clo_read_u64le(clo_reader *r)
{
    return read_le(r, 8);
}

clo_span clo_read_span(clo_reader *r, size_t size)
{
    if (r->failed || size > r->in.size - r->at) {
        reader_fail(r, r->at);
        return CLO_SPAN_EMPTY;
    }
    if (size == 0) { /* the input itself may be {NULL, 0}, and NULL takes no arithmetic */
        return CLO_SPAN_EMPTY;
    }
    clo_span field = CLO_SPAN(r->in.data + r->at, size);
    r->at += size;
    return field;
}

void clo_read_copy(clo_reader *r, void *out, size_t size)
{
    clo_span field = clo_read_span(r, size);
    if (field.size > 0) {
        memcpy(out, field.data, size);
    } else if (size > 0) {
        memset(out, 0, size);
    }
}

clo_span clo_read_var(clo_reader *r, size_t limit)
{
    size_t start = r->at;
    uint32_t size = clo_read_u32be(r);
    if (size > limit) {
        reader_fail(r, start);
    }
    clo_span field = clo_read_span(r, size);
    if (r->failed) {
        r->at = start;
    }
    return field;
}

size_t clo_reader_left(const clo_reader *r)
{
    return r->in.size - r->at;
}

clo_status clo_reader_check(const clo_reader *r, const char *what)
{
    CLO_CHECK(!r->failed, CLO_FORMAT, "%s: a field at byte %zu does not fit into %zu bytes", what,
              r->failed_at, r->in.size);
    return CLO_STATUS_OK;
}

clo_status clo_reader_finish(const clo_reader *r, const char *what)
{
    CLO_TRY(clo_reader_check(r, what));
    CLO_CHECK(clo_reader_left(r) == 0, CLO_FORMAT, "%s: %zu bytes left over after byte %zu", what,
              clo_reader_left(r), r->at);
    return CLO_STATUS_OK;
}
