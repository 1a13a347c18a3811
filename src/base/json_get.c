/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed access to a parsed tree. Each getter is: find the member, check its type, convert, and name
 * the member in every error.
 */
#include "cloister/base.h"

#include <stdio.h>
#include <string.h>

enum { NUMBER_TEXT = 128 };

static const char *const type_names[] = {
    [CLO_JSON_NULL] = "null",       [CLO_JSON_BOOL] = "true or false",
    [CLO_JSON_NUMBER] = "a number", [CLO_JSON_STRING] = "a string",
    [CLO_JSON_ARRAY] = "an array",  [CLO_JSON_OBJECT] = "an object",
};

/* The text of a number or string as a C string, for the converters of text.c. A string of the
 * reader holds no NUL. */
static clo_status number_text(const clo_json *object, const char *name, char out[NUMBER_TEXT])
{
    const clo_json *value;
    CLO_TRY(clo_json_member(object, name, CLO_JSON_NUMBER, &value));
    CLO_CHECK(value->string.size < NUMBER_TEXT, CLO_FORMAT, "member '%s' is a number of %zu digits",
              name, value->string.size);
    memcpy(out, value->string.data, value->string.size);
    out[value->string.size] = '\0';
    return CLO_STATUS_OK;
}

static bool is_known(clo_span name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (clo_span_equals_str(name, *names)) {
            return true;
        }
    }
    return false;
}

const clo_json *clo_json_find(const clo_json *object, const char *name)
{
    if (object == NULL || object->type != CLO_JSON_OBJECT) {
        return NULL;
    }
    const clo_json *m = object->child;
    while (m != NULL && !clo_span_equals_str(m->name, name)) {
        m = m->next;
    }
    return m;
}

clo_status clo_json_member(const clo_json *object, const char *name, clo_json_type type,
                           const clo_json **out_value)
{
    const clo_json *value = clo_json_find(object, name);
    CLO_CHECK(value != NULL, CLO_FORMAT, "member '%s' is missing", name);
    CLO_CHECK(value->type == type, CLO_FORMAT, "member '%s' is %s, expected %s", name,
              type_names[value->type], type_names[type]);
    *out_value = value;
    return CLO_STATUS_OK;
}

clo_status clo_json_str(const clo_json *object, const char *name, clo_span *out_text)
{
    const clo_json *value;
    CLO_TRY(clo_json_member(object, name, CLO_JSON_STRING, &value));
    *out_text = value->string;
    return CLO_STATUS_OK;
}

clo_status clo_json_u64(const clo_json *object, const char *name, uint64_t max, uint64_t *out_value)
{
    char text[NUMBER_TEXT];
    CLO_TRY(number_text(object, name, text));
    CLO_TRY_CTX(clo_parse_u64(text, max, out_value), "member '%s'", name);
    return CLO_STATUS_OK;
}

clo_status clo_json_double(const clo_json *object, const char *name, double *out_value)
{
    char text[NUMBER_TEXT];
    CLO_TRY(number_text(object, name, text));
    CLO_TRY_CTX(clo_parse_double(text, out_value), "member '%s'", name);
    return CLO_STATUS_OK;
}

clo_status clo_json_bool(const clo_json *object, const char *name, bool *out_value)
{
    const clo_json *value;
    CLO_TRY(clo_json_member(object, name, CLO_JSON_BOOL, &value));
    *out_value = value->boolean;
    return CLO_STATUS_OK;
}

clo_status clo_json_time(const clo_json *object, const char *name, int64_t *out_unix_seconds)
{
    clo_span text;
    CLO_TRY(clo_json_str(object, name, &text));
    CLO_TRY_CTX(clo_time_parse(text, out_unix_seconds), "member '%s'", name);
    return CLO_STATUS_OK;
}

clo_status clo_json_hex(const clo_json *object, const char *name, uint8_t *out, size_t size)
{
    clo_span text;
    CLO_TRY(clo_json_str(object, name, &text));
    CLO_TRY_CTX(clo_hex_decode(text, out, size), "member '%s'", name);
    return CLO_STATUS_OK;
}

clo_status clo_json_base64(const clo_json *object, const char *name, size_t limit, clo_buf *out)
{
    clo_span text;
    CLO_TRY(clo_json_str(object, name, &text));
    CLO_TRY_CTX(clo_base64_append(text, limit, out), "member '%s'", name);
    return CLO_STATUS_OK;
}

clo_status clo_json_only(const clo_json *object, const char *const *names)
{
    CLO_CHECK(object != NULL && object->type == CLO_JSON_OBJECT, CLO_FORMAT, "expected an object");
    for (const clo_json *m = object->child; m != NULL; m = m->next) {
        if (is_known(m->name, names)) {
            continue;
        }
        char name[NUMBER_TEXT];
        snprintf(name, sizeof name, "%.*s", (int)(m->name.size < 64 ? m->name.size : 64),
                 (const char *)m->name.data);
        const char *nearest = clo_nearest(name, names);
        CLO_CHECK(nearest == NULL, CLO_FORMAT, "unknown member '%s', did you mean '%s'", name,
                  nearest);
        CLO_FAIL(CLO_FORMAT, "unknown member '%s'", name);
    }
    return CLO_STATUS_OK;
}
