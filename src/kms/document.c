/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader and writer behind every document (document.h). Each kind of field is one row of
 * `field_ops`: how a value is read and how it is written. Lists and optional members are handled
 * once, around the rows. DSSE (secure-systems-lab/dsse) carries the payload.
 */
#include "document.h"

#include <string.h>

#define FIELDS_MAX 40

/* A value on its way in: `object` and `value` for a member, only `value` for a list's element. */
typedef struct {
    const clo_field *field;
    const clo_json *object;
    const clo_json *value;
} source;

typedef struct {
    clo_status (*read)(const source *from, void *out);
    void (*write)(const clo_field *field, const void *from, clo_json_writer *w, const char *name);
    clo_json_type type;
} field_row;

static bool text_char_ok(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '/';
}

static clo_status copy_text(const source *from, bool (*allowed)(uint8_t), const char *others,
                            void *out)
{
    clo_span text = from->value->string;
    CLO_CHECK(text.size > 0 && text.size < from->field->size, CLO_FORMAT,
              "'%s' has %zu characters, expected 1 to %u", from->field->name, text.size,
              from->field->size - 1);
    for (size_t i = 0; i < text.size; i++) {
        CLO_CHECK(allowed(text.data[i]), CLO_FORMAT, "'%s' has %s", from->field->name, others);
    }
    memcpy(out, text.data, text.size);
    return CLO_STATUS_OK;
}

static clo_status read_text(const source *from, void *out)
{
    return copy_text(from, text_char_ok, "a character other than letters, digits and ._/-", out);
}

static bool path_char_ok(uint8_t c)
{
    return c >= 0x20 && c != 0x7f;
}

static clo_status read_path(const source *from, void *out)
{
    return copy_text(from, path_char_ok, "a control character", out);
}

static void write_text(const clo_field *field, const void *from, clo_json_writer *w,
                       const char *name)
{
    clo_json_put_text(w, name, CLO_SPAN(from, strnlen(from, field->size)));
}

static clo_status read_u64(const source *from, void *out)
{
    return clo_json_u64(from->object, from->field->name, UINT64_MAX, out);
}

static void write_u64(const clo_field *field, const void *from, clo_json_writer *w,
                      const char *name)
{
    (void)field;
    clo_json_put_u64(w, name, *(const uint64_t *)from);
}

static clo_status read_u32(const source *from, void *out)
{
    uint64_t value = 0;
    CLO_TRY(clo_json_u64(from->object, from->field->name, UINT32_MAX, &value));
    *(uint32_t *)out = (uint32_t)value;
    return CLO_STATUS_OK;
}

static void write_u32(const clo_field *field, const void *from, clo_json_writer *w,
                      const char *name)
{
    (void)field;
    clo_json_put_u64(w, name, *(const uint32_t *)from);
}

static clo_status read_bool(const source *from, void *out)
{
    return clo_json_bool(from->object, from->field->name, out);
}

static void write_bool(const clo_field *field, const void *from, clo_json_writer *w,
                       const char *name)
{
    (void)field;
    clo_json_put_bool(w, name, *(const bool *)from);
}

static clo_status read_time(const source *from, void *out)
{
    return clo_json_time(from->object, from->field->name, out);
}

static void write_time(const clo_field *field, const void *from, clo_json_writer *w,
                       const char *name)
{
    (void)field;
    clo_json_put_time(w, name, *(const int64_t *)from);
}

static clo_status read_double(const source *from, void *out)
{
    return clo_json_double(from->object, from->field->name, out);
}

static void write_double(const clo_field *field, const void *from, clo_json_writer *w,
                         const char *name)
{
    (void)field;
    clo_json_put_double(w, name, *(const double *)from);
}

static clo_status read_hex(const source *from, void *out)
{
    CLO_TRY_CTX(clo_hex_decode(from->value->string, out, from->field->size), "'%s'",
                from->field->name);
    return CLO_STATUS_OK;
}

static void write_hex(const clo_field *field, const void *from, clo_json_writer *w,
                      const char *name)
{
    clo_json_put_hex(w, name, CLO_SPAN(from, field->size));
}

static clo_status read_key(const source *from, void *out)
{
    clo_public_key *key = out;
    CLO_AUTO(clo_buf) spki = CLO_BUF_LIMIT(CLO_SPKI_MAX);
    CLO_TRY_CTX(clo_base64_append(from->value->string, CLO_SPKI_MAX, &spki), "'%s'",
                from->field->name);
    CLO_TRY(clo_buf_check(&spki));
    CLO_CHECK(spki.size > 0, CLO_FORMAT, "'%s' is an empty key", from->field->name);
    memcpy(key->spki, spki.data, spki.size);
    key->size = spki.size;
    CLO_AUTO_PTR(clo_key) loaded = NULL;
    CLO_TRY_CTX(clo_public_key_load(key, &loaded), "'%s'", from->field->name);
    return CLO_STATUS_OK;
}

static void write_key(const clo_field *field, const void *from, clo_json_writer *w,
                      const char *name)
{
    (void)field;
    const clo_public_key *key = from;
    clo_json_put_base64(w, name, CLO_SPAN(key->spki, key->size));
}

static clo_status read_role(const source *from, void *out)
{
    CLO_TRY_CTX(clo_role_parse(from->value->string, out), "'%s'", from->field->name);
    return CLO_STATUS_OK;
}

static void write_role(const clo_field *field, const void *from, clo_json_writer *w,
                       const char *name)
{
    (void)field;
    clo_json_put_str(w, name, clo_role_name(*(const clo_role *)from));
}

/* What has no name here is not written, and not read. */
static const char *const metrics_names[] = {
    [CLO_METRICS_NEVER] = "", [CLO_METRICS_EPOCH] = "epoch", [CLO_METRICS_STEP] = "step"};

static clo_status read_metrics(const source *from, void *out)
{
    for (unsigned i = CLO_METRICS_EPOCH; i <= CLO_METRICS_STEP; i++) {
        if (clo_span_equals_str(from->value->string, metrics_names[i])) {
            *(clo_metrics_every *)out = (clo_metrics_every)i;
            return CLO_STATUS_OK;
        }
    }
    CLO_FAIL(CLO_FORMAT, "'%s' is neither 'epoch' nor 'step'", from->field->name);
}

static void write_metrics(const clo_field *field, const void *from, clo_json_writer *w,
                          const char *name)
{
    unsigned every = *(const clo_metrics_every *)from;
    (void)field;
    clo_json_put_str(w, name, every <= CLO_METRICS_STEP ? metrics_names[every] : "");
}

static clo_status read_object(const source *from, void *out)
{
    CLO_TRY_CTX(clo_fields_read(from->field->fields, from->value, out), "'%s'", from->field->name);
    return CLO_STATUS_OK;
}

static void write_object(const clo_field *field, const void *from, clo_json_writer *w,
                         const char *name)
{
    clo_fields_write(field->fields, from, w, name);
}

static clo_status read_appraisal(const source *from, void *out)
{
    CLO_TRY_CTX(clo_appraisal_parse(from->value, out), "'%s'", from->field->name);
    return CLO_STATUS_OK;
}

static void write_appraisal(const clo_field *field, const void *from, clo_json_writer *w,
                            const char *name)
{
    (void)field;
    clo_appraisal_json(from, w, name);
}

/* `out` is the list; its count stands behind it at a distance that the row knows. */
static uint32_t *count_behind(const clo_field *field, void *member)
{
    uint8_t *base = (uint8_t *)member - field->offset;
    return (uint32_t *)(void *)(base + field->count_offset);
}

static uint32_t count_of(const clo_field *field, const void *member)
{
    const uint8_t *base = (const uint8_t *)member - field->offset;
    return *(const uint32_t *)(const void *)(base + field->count_offset);
}

static clo_status read_anchors(const source *from, void *out)
{
    static const char *const members[] = {"roots", NULL};
    clo_anchor *anchors = out;
    const clo_json *roots = NULL;
    uint32_t count = 0;
    CLO_TRY_CTX(clo_json_only(from->value, members), "'%s'", from->field->name);
    CLO_TRY(clo_json_member(from->value, "roots", CLO_JSON_ARRAY, &roots));
    CLO_CHECK(roots->count > 0 && roots->count < CLO_MAX_ANCHORS, CLO_FORMAT,
              "'%s' has %u roots, expected 1 to %d", from->field->name, roots->count,
              CLO_MAX_ANCHORS - 1); /* one place is the built-in root's */
    for (const clo_json *root = roots->child; root != NULL; root = root->next) {
        CLO_CHECK(root->type == CLO_JSON_STRING, CLO_FORMAT, "a root is not text");
        anchors[count].tee = CLO_TEE_SIMULATOR;
        CLO_TRY_CTX(clo_hex_decode(root->string, anchors[count].spki_sha256, 32), "'%s'",
                    from->field->name);
        count++;
    }
    *count_behind(from->field, out) = count;
    return CLO_STATUS_OK;
}

static void write_anchors(const clo_field *field, const void *from, clo_json_writer *w,
                          const char *name)
{
    const clo_anchor *anchors = from;
    clo_json_begin_object(w, name);
    clo_json_begin_array(w, "roots");
    for (uint32_t i = 0; i < count_of(field, from) && i < CLO_MAX_ANCHORS; i++) {
        if (anchors[i].tee == CLO_TEE_SIMULATOR) {
            clo_json_put_hex(w, NULL, CLO_SPAN_OF(anchors[i].spki_sha256));
        } else {
            clo_json_put_null(w, NULL); /* no document names other roots: refused when read back */
        }
    }
    clo_json_end_array(w);
    clo_json_end_object(w);
}

static clo_status read_insecure(const source *from, void *out)
{
    uint32_t bits = 0;
    for (const clo_json *name = from->value->child; name != NULL; name = name->next) {
        const clo_insecure_row *row = clo_insecure_rows;
        CLO_CHECK(name->type == CLO_JSON_STRING, CLO_FORMAT, "'%s' has a value that is not text",
                  from->field->name);
        while (row->bit != 0 && !clo_span_equals_str(name->string, row->name)) {
            row++;
        }
        CLO_CHECK(row->bit != 0, CLO_FORMAT, "'%s' has a name this build does not know",
                  from->field->name);
        CLO_CHECK((bits & row->bit) == 0, CLO_FORMAT, "'%s' names '%s' twice", from->field->name,
                  row->name);
        bits |= row->bit;
    }
    *(uint32_t *)out = bits;
    return CLO_STATUS_OK;
}

static void write_insecure(const clo_field *field, const void *from, clo_json_writer *w,
                           const char *name)
{
    (void)field;
    clo_json_begin_array(w, name);
    for (const clo_insecure_row *row = clo_insecure_rows; row->bit != 0; row++) {
        if (*(const uint32_t *)from & row->bit) {
            clo_json_put_str(w, NULL, row->name);
        }
    }
    clo_json_end_array(w);
}

static const field_row field_ops[CLO_FIELD_KIND_COUNT] = {
    [CLO_FIELD_TEXT] = {read_text, write_text, CLO_JSON_STRING},
    [CLO_FIELD_PATH] = {read_path, write_text, CLO_JSON_STRING},
    [CLO_FIELD_U64] = {read_u64, write_u64, CLO_JSON_NUMBER},
    [CLO_FIELD_U32] = {read_u32, write_u32, CLO_JSON_NUMBER},
    [CLO_FIELD_BOOL] = {read_bool, write_bool, CLO_JSON_BOOL},
    [CLO_FIELD_TIME] = {read_time, write_time, CLO_JSON_STRING},
    [CLO_FIELD_DOUBLE] = {read_double, write_double, CLO_JSON_NUMBER},
    [CLO_FIELD_HEX] = {read_hex, write_hex, CLO_JSON_STRING},
    [CLO_FIELD_KEY] = {read_key, write_key, CLO_JSON_STRING},
    [CLO_FIELD_ROLE] = {read_role, write_role, CLO_JSON_STRING},
    [CLO_FIELD_METRICS] = {read_metrics, write_metrics, CLO_JSON_STRING},
    [CLO_FIELD_OBJECT] = {read_object, write_object, CLO_JSON_OBJECT},
    [CLO_FIELD_APPRAISAL] = {read_appraisal, write_appraisal, CLO_JSON_OBJECT},
    [CLO_FIELD_ANCHORS] = {read_anchors, write_anchors, CLO_JSON_OBJECT},
    [CLO_FIELD_INSECURE] = {read_insecure, write_insecure, CLO_JSON_ARRAY},
};

/* Whether an optional member has its zero value, which is written by leaving it out. */
static bool is_unset(const clo_field *field, const uint8_t *member)
{
    if (field->kind == CLO_FIELD_ANCHORS) {
        return count_of(field, member) == 0;
    }
    for (uint32_t i = 0; i < field->size; i++) {
        if (member[i] != 0) {
            return false;
        }
    }
    return true;
}

static void write_list(const clo_field *field, const uint8_t *member, clo_json_writer *w)
{
    uint32_t count = count_of(field, member);
    clo_json_begin_array(w, field->name);
    for (uint32_t i = 0; i < count && i < field->max; i++) {
        field_ops[field->kind].write(field, member + (size_t)i * field->size, w, NULL);
    }
    clo_json_end_array(w);
}

void clo_fields_write(const clo_field *fields, const void *from, clo_json_writer *writer,
                      const char *name)
{
    clo_json_begin_object(writer, name);
    for (const clo_field *field = fields; field->name != NULL; field++) {
        const uint8_t *member = (const uint8_t *)from + field->offset;
        if (field->name[0] == '\0' || (field->optional && is_unset(field, member))) {
            continue;
        }
        if (field->max > 0) {
            write_list(field, member, writer);
        } else {
            field_ops[field->kind].write(field, member, writer, field->name);
        }
    }
    clo_json_end_object(writer);
}

static clo_status read_list(const clo_field *field, const clo_json *list, uint8_t *member)
{
    const field_row *ops = &field_ops[field->kind];
    uint32_t count = 0;
    CLO_CHECK(list->count <= field->max, CLO_LIMIT, "'%s' has %u entries, expected at most %u",
              field->name, list->count, field->max);
    for (const clo_json *value = list->child; value != NULL; value = value->next) {
        source from = {field, NULL, value};
        CLO_CHECK(value->type == ops->type, CLO_FORMAT, "'%s' entry %u has the wrong type",
                  field->name, count);
        CLO_TRY(ops->read(&from, member + (size_t)count * field->size));
        count++;
    }
    *count_behind(field, member) = count;
    return CLO_STATUS_OK;
}

static clo_status read_field(const clo_field *field, const clo_json *object, uint8_t *member)
{
    const field_row *ops = &field_ops[field->kind];
    source from = {field, object, NULL};
    if (field->optional && clo_json_find(object, field->name) == NULL) {
        return CLO_STATUS_OK;
    }
    clo_json_type type = field->max > 0 ? CLO_JSON_ARRAY : ops->type;
    CLO_TRY(clo_json_member(object, field->name, type, &from.value));
    if (field->max > 0) {
        return read_list(field, from.value, member);
    }
    return ops->read(&from, member);
}

clo_status clo_fields_read(const clo_field *fields, const clo_json *object, void *out)
{
    const char *names[FIELDS_MAX + 1] = {NULL};
    size_t count = 0;
    for (const clo_field *field = fields; field->name != NULL; field++) {
        CLO_ASSERT(count < FIELDS_MAX);
        if (field->name[0] != '\0') {
            names[count++] = field->name;
        }
    }
    CLO_TRY(clo_json_only(object, names));
    for (const clo_field *field = fields; field->name != NULL; field++) {
        if (field->name[0] != '\0') {
            CLO_TRY(read_field(field, object, (uint8_t *)out + field->offset));
        }
    }
    return CLO_STATUS_OK;
}

clo_status clo_document_parse(const clo_document *kind, clo_span text, void *out_document)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root = NULL;
    CLO_CHECK(text.size <= kind->limit, CLO_LIMIT, "%s has %zu bytes, expected at most %zu",
              kind->what, text.size, kind->limit);
    CLO_TRY_CTX(clo_json_parse(text, &arena, &root), "%s", kind->what);
    CLO_CHECK(root->type == CLO_JSON_OBJECT, CLO_FORMAT, "%s is not an object", kind->what);
    memset(out_document, 0, kind->size);
    CLO_TRY_CTX(clo_fields_read(kind->fields, root, out_document), "%s", kind->what);
    if (kind->check != NULL) {
        CLO_TRY_CTX(kind->check(out_document), "%s", kind->what);
    }
    return CLO_STATUS_OK;
}

static const clo_public_key *signer_of(const clo_document *kind, const void *document)
{
    const uint8_t *base = document;
    return kind->has_signer ? (const clo_public_key *)(const void *)(base + kind->signer) : NULL;
}

/* Reads back what was written: a value that the reader would refuse must not be signed. */
static clo_status check_written(const clo_document *kind, clo_span text, const clo_key *signer)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    void *copy = clo_arena_alloc(&arena, kind->size);
    clo_public_key public_key;
    CLO_CHECK(copy != NULL, CLO_NOMEM, "no memory for a %s", kind->what);
    CLO_TRY(clo_document_parse(kind, text, copy));
    CLO_TRY(clo_public_key_of(signer, &public_key));
    CLO_CHECK(!kind->has_signer || clo_public_key_equal(signer_of(kind, copy), &public_key),
              CLO_INVALID, "%s names another key than the one that is to sign it", kind->what);
    return CLO_STATUS_OK;
}

clo_status clo_document_sign(const clo_document *kind, const void *document, const clo_key *signer,
                             clo_buf *out_envelope)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_LIMIT(kind->limit);
    clo_json_writer writer = clo_json_writer_of(&text);
    clo_fields_write(kind->fields, document, &writer, NULL);
    CLO_TRY_CTX(clo_buf_check(&text), "writing a %s", kind->what);
    CLO_TRY_CTX(check_written(kind, clo_buf_span(&text), signer), "signing a %s", kind->what);
    size_t before = out_envelope->size;
    CLO_TRY(clo_dsse_sign(signer, kind->type, clo_buf_span(&text), out_envelope));
    CLO_TRY(clo_buf_check(out_envelope));
    CLO_CHECK(out_envelope->size - before <= kind->limit, CLO_LIMIT,
              "signed %s has %zu bytes, expected at most %zu", kind->what,
              out_envelope->size - before, kind->limit);
    return CLO_STATUS_OK;
}

clo_status clo_document_open(const clo_document *kind, clo_span envelope,
                             const clo_public_key *signer, void *out_document,
                             uint8_t out_digest[32])
{
    CLO_AUTO(clo_buf) peeked = CLO_BUF_LIMIT(kind->limit);
    CLO_AUTO(clo_buf) payload = CLO_BUF_LIMIT(kind->limit);
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_CHECK(envelope.size <= kind->limit, CLO_LIMIT, "%s has %zu bytes, expected at most %zu",
              kind->what, envelope.size, kind->limit);
    void *document = clo_arena_alloc(&arena, kind->size);
    CLO_CHECK(document != NULL, CLO_NOMEM, "no memory for a %s", kind->what);
    CLO_TRY_CTX(clo_dsse_peek(envelope, kind->type, &peeked), "%s", kind->what);
    CLO_TRY(clo_document_parse(kind, clo_buf_span(&peeked), document));
    const clo_public_key *named = signer_of(kind, document);
    CLO_CHECK(signer != NULL || named != NULL, CLO_INVALID, "no key to check the %s with",
              kind->what);
    CLO_CHECK(signer == NULL || named == NULL || clo_public_key_equal(signer, named), CLO_POLICY,
              "%s names another signer than expected", kind->what);
    CLO_TRY(clo_public_key_load(named != NULL ? named : signer, &key));
    CLO_TRY_CTX(clo_dsse_open(envelope, kind->type, key, &payload), "%s", kind->what);
    CLO_CHECK(clo_span_equal(clo_buf_span(&peeked), clo_buf_span(&payload)), CLO_CRYPTO,
              "%s has two payloads", kind->what);
    uint8_t digest[32];
    CLO_TRY(clo_sha256(clo_buf_span(&payload), digest));
    memcpy(out_document, document, kind->size);
    if (out_digest != NULL) {
        memcpy(out_digest, digest, sizeof digest); /* may lie inside the document */
    }
    return CLO_STATUS_OK;
}
