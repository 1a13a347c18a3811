/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON parser: RFC 8259, every choice the RFC leaves open taken the strict way.
 *
 *     value  = null | true | false | number | string | "[" value, ... "]" | "{" string ":" value,
 * ... "}" number = [ "-" ] ( "0" | 1-9 digits ) [ "." digits ] [ ( "e" | "E" ) [ "+" | "-" ] digits
 * ]
 *
 * Refused beyond the RFC: duplicate names, U+0000 in strings, more than 32 levels, more than 65536
 * values. Recursion is bounded by the levels. Text without escapes is borrowed from the input; the
 * rest is unescaped into the arena. Duplicates are found by sorting, so no input costs more than
 * n log n.
 */
#include "cloister/base.h"

#include <stdlib.h>
#include <string.h>

#include "chars.h"

enum { DEPTH_MAX = 32, VALUES_MAX = 65536 };

typedef struct {
    clo_span text;
    size_t at;
    clo_arena *arena;
    uint32_t depth;
    uint32_t values;
} parser;

static const struct {
    const char *word;
    clo_json_type type;
    bool boolean;
} words[] = {
    {"null", CLO_JSON_NULL, false}, {"true", CLO_JSON_BOOL, true}, {"false", CLO_JSON_BOOL, false}};

static const struct {
    char letter;
    char meaning;
} escapes[] = {{'"', '"'},  {'\\', '\\'}, {'/', '/'},  {'b', '\b'},
               {'f', '\f'}, {'n', '\n'},  {'r', '\r'}, {'t', '\t'}};

/* Line and column are counted only when there is an error to tell; columns are characters. */
static clo_status fail_at(const parser *p, size_t at, clo_code code, const char *what)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < at && i < p->text.size; i++) {
        uint8_t byte = p->text.data[i];
        if (byte == '\n') {
            line++;
            column = 1;
        } else if ((byte & 0xc0) != 0x80) {
            column++;
        }
    }
    CLO_FAIL(code, "line %zu column %zu: %s", line, column, what);
}

/* The next byte, -1 at the end. */
static int peek(const parser *p)
{
    return p->at < p->text.size ? p->text.data[p->at] : -1;
}

static bool accept_byte(parser *p, int byte)
{
    if (peek(p) != byte) {
        return false;
    }
    p->at++;
    return true;
}

static void skip_space(parser *p)
{
    while (peek(p) == ' ' || peek(p) == '\t' || peek(p) == '\n' || peek(p) == '\r') {
        p->at++;
    }
}

static bool is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

static bool accept_digits(parser *p)
{
    size_t start = p->at;
    while (is_digit(peek(p))) {
        p->at++;
    }
    return p->at > start;
}

static clo_status parse_number(parser *p, clo_json *node)
{
    size_t start = p->at;
    accept_byte(p, '-');
    bool good = accept_byte(p, '0') || accept_digits(p);
    if (good && is_digit(peek(p))) {
        return fail_at(p, p->at, CLO_FORMAT, "a number with a leading zero");
    }
    if (good && accept_byte(p, '.')) {
        good = accept_digits(p);
    }
    if (good && (accept_byte(p, 'e') || accept_byte(p, 'E'))) {
        if (!accept_byte(p, '+')) {
            accept_byte(p, '-');
        }
        good = accept_digits(p);
    }
    if (!good) {
        return fail_at(p, p->at, CLO_FORMAT, "expected a digit");
    }
    node->type = CLO_JSON_NUMBER;
    node->string = CLO_SPAN(p->text.data + start, p->at - start);
    return CLO_STATUS_OK;
}

static clo_status parse_word(parser *p, clo_json *node)
{
    clo_span rest = CLO_SPAN(p->text.data + p->at, p->text.size - p->at);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        clo_span word = clo_span_of_str(words[i].word);
        if (clo_span_starts_with(rest, word)) {
            node->type = words[i].type;
            node->boolean = words[i].boolean;
            p->at += word.size;
            return CLO_STATUS_OK;
        }
    }
    return fail_at(p, p->at, CLO_FORMAT, "expected a value");
}

/* Four hex digits of \uXXXX, where p->at stands behind the 'u'. */
static clo_status parse_hex4(parser *p, uint32_t *out_unit)
{
    uint8_t bytes[2];
    size_t left = p->text.size - p->at;
    clo_span digits = CLO_SPAN(p->text.data + p->at, left < 4 ? left : 4);
    if (!clo_ok(clo_hex_decode(digits, bytes, sizeof bytes))) {
        return fail_at(p, p->at, CLO_FORMAT, "expected four hex digits after \\u");
    }
    p->at += 4;
    *out_unit = (uint32_t)bytes[0] << 8 | bytes[1];
    return CLO_STATUS_OK;
}

static clo_status parse_unicode_escape(parser *p, uint32_t *out_code_point)
{
    size_t start = p->at;
    uint32_t unit;
    CLO_TRY(parse_hex4(p, &unit));
    if (unit == 0) {
        return fail_at(p, start, CLO_FORMAT, "U+0000 in a string");
    }
    if (unit < 0xd800 || unit > 0xdfff) {
        *out_code_point = unit;
        return CLO_STATUS_OK;
    }
    uint32_t low = 0;
    if (unit <= 0xdbff && accept_byte(p, '\\') && accept_byte(p, 'u')) {
        CLO_TRY(parse_hex4(p, &low));
    }
    if (low < 0xdc00 || low > 0xdfff) {
        return fail_at(p, start, CLO_FORMAT, "half of a surrogate pair");
    }
    *out_code_point = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    return CLO_STATUS_OK;
}

/* One escape, where p->at stands behind the backslash. */
static clo_status parse_escape(parser *p, uint8_t out_bytes[4], size_t *out_size)
{
    if (accept_byte(p, 'u')) {
        uint32_t code_point;
        CLO_TRY(parse_unicode_escape(p, &code_point));
        *out_size = clo_utf8_encode(code_point, out_bytes);
        return CLO_STATUS_OK;
    }
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        if (accept_byte(p, escapes[i].letter)) {
            out_bytes[0] = (uint8_t)escapes[i].meaning;
            *out_size = 1;
            return CLO_STATUS_OK;
        }
    }
    return fail_at(p, p->at, CLO_FORMAT, "an unknown escape");
}

/* Advances over one character of a string that is no escape. */
static clo_status parse_plain(parser *p)
{
    if (peek(p) < 0x20) { /* -1, the end, too */
        return fail_at(p, p->at, CLO_FORMAT,
                       peek(p) < 0 ? "a string without end" : "a control character in a string");
    }
    size_t size = clo_utf8_sequence(p->text, p->at);
    if (size == 0) {
        return fail_at(p, p->at, CLO_FORMAT, "bytes that are no UTF-8");
    }
    p->at += size;
    return CLO_STATUS_OK;
}

/* Finds the closing quote, so that the space for unescaping is known. Checks nothing else. */
static size_t string_room(const parser *p)
{
    size_t at = p->at;
    while (at < p->text.size && p->text.data[at] != '"') {
        at += p->text.data[at] == '\\' ? 2 : 1;
    }
    return (at < p->text.size ? at : p->text.size) - p->at;
}

/* The rest of a string from its first escape on; `start` is where its text began. An unescaped
 * character is never longer than its escape. */
static clo_status parse_escaped(parser *p, size_t start, clo_span *out_text)
{
    size_t size = p->at - start;
    uint8_t *text = clo_arena_alloc(p->arena, size + string_room(p));
    if (text == NULL) {
        return fail_at(p, p->at, CLO_NOMEM, "out of memory for a string");
    }
    memcpy(text, p->text.data + start, size);
    while (!accept_byte(p, '"')) {
        size_t before = p->at;
        if (accept_byte(p, '\\')) {
            uint8_t bytes[4];
            size_t count;
            CLO_TRY(parse_escape(p, bytes, &count));
            memcpy(text + size, bytes, count);
            size += count;
        } else {
            CLO_TRY(parse_plain(p));
            memcpy(text + size, p->text.data + before, p->at - before);
            size += p->at - before;
        }
    }
    *out_text = CLO_SPAN(text, size);
    return CLO_STATUS_OK;
}

static clo_status parse_string(parser *p, clo_span *out_text)
{
    if (!accept_byte(p, '"')) {
        return fail_at(p, p->at, CLO_FORMAT, "expected a string");
    }
    size_t start = p->at;
    while (peek(p) != '"') {
        if (peek(p) == '\\') {
            return parse_escaped(p, start, out_text);
        }
        CLO_TRY(parse_plain(p));
    }
    *out_text = CLO_SPAN(p->text.data + start, p->at - start);
    p->at++;
    return CLO_STATUS_OK;
}

static clo_status parse_value(parser *p, clo_json **out_value);

static clo_status parse_member(parser *p, clo_json **out_member)
{
    clo_span name;
    CLO_TRY(parse_string(p, &name));
    skip_space(p);
    if (!accept_byte(p, ':')) {
        return fail_at(p, p->at, CLO_FORMAT, "expected ':'");
    }
    skip_space(p);
    CLO_TRY(parse_value(p, out_member));
    (*out_member)->name = name;
    return CLO_STATUS_OK;
}

static int compare_names(const void *a, const void *b)
{
    clo_span x = (*(const clo_json *const *)a)->name;
    clo_span y = (*(const clo_json *const *)b)->name;
    size_t size = x.size < y.size ? x.size : y.size;
    int order = size == 0 ? 0 : memcmp(x.data, y.data, size);
    return order != 0 ? order : (x.size > y.size) - (x.size < y.size);
}

static clo_status check_duplicates(const parser *p, const clo_json *object)
{
    if (object->count < 2) {
        return CLO_STATUS_OK;
    }
    const clo_json **members = clo_arena_array(p->arena, object->count, sizeof *members);
    if (members == NULL) {
        return fail_at(p, p->at, CLO_NOMEM, "out of memory for an object");
    }
    size_t count = 0;
    for (const clo_json *m = object->child; m != NULL; m = m->next) {
        members[count++] = m;
    }
    qsort(members, count, sizeof *members, compare_names);
    for (size_t i = 1; i < count; i++) {
        if (compare_names(&members[i - 1], &members[i]) == 0) {
            const uint8_t *a = members[i - 1]->raw.data;
            const uint8_t *b = members[i]->raw.data;
            return fail_at(p, (size_t)((a > b ? a : b) - p->text.data), CLO_FORMAT,
                           "a second member of the same name");
        }
    }
    return CLO_STATUS_OK;
}

/* Elements or members up to the closing bracket; p->at stands behind the opening one. */
static clo_status parse_children(parser *p, clo_json *node, int closing)
{
    clo_json *last = NULL;
    skip_space(p);
    if (accept_byte(p, closing)) {
        return CLO_STATUS_OK;
    }
    do {
        clo_json *child;
        skip_space(p);
        CLO_TRY(closing == '}' ? parse_member(p, &child) : parse_value(p, &child));
        if (last == NULL) {
            node->child = child;
        } else {
            last->next = child;
        }
        last = child;
        node->count++;
        skip_space(p);
    } while (accept_byte(p, ','));
    if (!accept_byte(p, closing)) {
        return fail_at(p, p->at, CLO_FORMAT,
                       closing == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
    }
    return CLO_STATUS_OK;
}

static clo_status parse_container(parser *p, clo_json *node)
{
    bool object = peek(p) == '{';
    if (p->depth == DEPTH_MAX) {
        return fail_at(p, p->at, CLO_LIMIT, "more than 32 levels");
    }
    p->at++;
    p->depth++;
    node->type = object ? CLO_JSON_OBJECT : CLO_JSON_ARRAY;
    CLO_TRY(parse_children(p, node, object ? '}' : ']'));
    p->depth--;
    return object ? check_duplicates(p, node) : CLO_STATUS_OK;
}

static clo_status parse_by_first_byte(parser *p, clo_json *node)
{
    switch (peek(p)) {
    case '{':
    case '[':
        return parse_container(p, node);
    case '"':
        node->type = CLO_JSON_STRING;
        return parse_string(p, &node->string);
    case 't':
    case 'f':
    case 'n':
        return parse_word(p, node);
    default:
        if (peek(p) == '-' || is_digit(peek(p))) {
            return parse_number(p, node);
        }
        return fail_at(p, p->at, CLO_FORMAT, "expected a value");
    }
}

static clo_status parse_value(parser *p, clo_json **out_value)
{
    if (p->values == VALUES_MAX) {
        return fail_at(p, p->at, CLO_LIMIT, "more than 65536 values");
    }
    p->values++;
    clo_json *node = clo_arena_alloc(p->arena, sizeof *node);
    if (node == NULL) {
        return fail_at(p, p->at, CLO_NOMEM, "out of memory for a value");
    }
    size_t start = p->at;
    CLO_TRY(parse_by_first_byte(p, node));
    node->raw = CLO_SPAN(p->text.data + start, p->at - start);
    *out_value = node;
    return CLO_STATUS_OK;
}

clo_status clo_json_parse(clo_span text, clo_arena *arena, const clo_json **out_root)
{
    parser p = {.text = text, .arena = arena};
    clo_json *root;
    skip_space(&p);
    CLO_TRY(parse_value(&p, &root));
    skip_space(&p);
    if (p.at < text.size) {
        return fail_at(&p, p.at, CLO_FORMAT, "bytes after the end");
    }
    *out_root = root;
    return CLO_STATUS_OK;
}
