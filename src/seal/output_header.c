/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes and JSON of an output's header; drawn in output_header.h. */
#include "output_header.h"

#include <string.h>

#include "chunk.h"
#include "name.h"

enum { MAGIC = 8 };

static const uint8_t magic[MAGIC] = {0x89, 'C', 'L', 'O', 'O', 'U', 'T', 'P'};

static const char *const payload_names[] = {"what",       "format",     "manifest",
                                            "transcript", "inputs",     "certificates",
                                            "mac",        "recipients", NULL};
static const char *const recipient_names[] = {"key", "enc", "sealed", NULL};

#define MAX_INPUTS                                                                                 \
    (sizeof((clo_output_header *)0)->inputs / sizeof((clo_output_header *)0)->inputs[0])

static bool word_ok(const char *word, size_t size)
{
    return clo_seal_name_ok(CLO_SPAN(word, strnlen(word, size)), size, 1);
}

static clo_status check_header(const clo_output_header *header)
{
    CLO_CHECK(word_ok(header->what, sizeof header->what), CLO_INVALID, "'what' is no name");
    CLO_CHECK(word_ok(header->format, sizeof header->format), CLO_INVALID, "'format' is no name");
    CLO_CHECK(header->input_count <= MAX_INPUTS, CLO_INVALID, "%zu inputs, at most %zu",
              header->input_count, MAX_INPUTS);
    CLO_CHECK(header->certificates.size <= CLO_OUTPUT_CERTIFICATES_MAX, CLO_INVALID,
              "certificates of %zu bytes, at most %d", header->certificates.size,
              CLO_OUTPUT_CERTIFICATES_MAX);
    return CLO_STATUS_OK;
}

static void put_recipients(clo_json_writer *w, const clo_output_payload *payload)
{
    clo_json_begin_array(w, "recipients");
    for (size_t i = 0; i < payload->recipient_count; i++) {
        const clo_output_recipient *recipient = &payload->recipients[i];
        clo_json_begin_object(w, NULL);
        clo_json_put_hex(w, "key", CLO_SPAN_OF(recipient->key));
        clo_json_put_hex(w, "enc", CLO_SPAN_OF(recipient->enc));
        clo_json_put_hex(w, "sealed", CLO_SPAN_OF(recipient->sealed));
        clo_json_end_object(w);
    }
    clo_json_end_array(w);
}

clo_status clo_output_payload_write(const clo_output_payload *payload, clo_buf *out)
{
    const clo_output_header *header = &payload->header;
    CLO_TRY(check_header(header));
    clo_json_writer w = clo_json_writer_of(out);
    clo_json_begin_object(&w, NULL);
    clo_json_put_str(&w, "what", header->what);
    clo_json_put_str(&w, "format", header->format);
    clo_json_put_hex(&w, "manifest", CLO_SPAN_OF(header->manifest));
    clo_json_put_hex(&w, "transcript", CLO_SPAN_OF(header->transcript));
    clo_json_begin_array(&w, "inputs");
    for (size_t i = 0; i < header->input_count; i++) {
        clo_json_put_hex(&w, NULL, CLO_SPAN_OF(header->inputs[i]));
    }
    clo_json_end_array(&w);
    clo_json_put_text(&w, "certificates", header->certificates);
    clo_json_put_hex(&w, "mac", CLO_SPAN_OF(payload->mac));
    put_recipients(&w, payload);
    clo_json_end_object(&w);
    return clo_buf_check(out);
}

static clo_status parse_inputs(const clo_json *root, clo_output_header *header)
{
    const clo_json *list;
    CLO_TRY(clo_json_member(root, "inputs", CLO_JSON_ARRAY, &list));
    CLO_CHECK(list->count <= MAX_INPUTS, CLO_LIMIT, "%u inputs, at most %zu", list->count,
              MAX_INPUTS);
    for (const clo_json *item = list->child; item != NULL; item = item->next) {
        CLO_CHECK(item->type == CLO_JSON_STRING, CLO_FORMAT, "an input is no string");
        CLO_TRY(clo_hex_decode(item->string, header->inputs[header->input_count++], 32));
    }
    return CLO_STATUS_OK;
}

static clo_status parse_recipient(const clo_json *object, clo_output_recipient *out)
{
    CLO_CHECK(object->type == CLO_JSON_OBJECT, CLO_FORMAT, "a recipient is no object");
    CLO_TRY(clo_json_only(object, recipient_names));
    CLO_TRY(clo_json_hex(object, "key", out->key, sizeof out->key));
    CLO_TRY(clo_json_hex(object, "enc", out->enc, sizeof out->enc));
    return clo_json_hex(object, "sealed", out->sealed, sizeof out->sealed);
}

static clo_status parse_recipients(const clo_json *root, clo_output_payload *payload)
{
    const clo_json *list;
    CLO_TRY(clo_json_member(root, "recipients", CLO_JSON_ARRAY, &list));
    CLO_CHECK(list->count >= 1 && list->count <= CLO_OUTPUT_RECIPIENT_MAX, CLO_LIMIT,
              "%u recipients, expected 1 to %d", list->count, CLO_OUTPUT_RECIPIENT_MAX);
    for (const clo_json *item = list->child; item != NULL; item = item->next) {
        CLO_TRY(parse_recipient(item, &payload->recipients[payload->recipient_count++]));
    }
    return CLO_STATUS_OK;
}

static clo_status parse_certificates(const clo_json *root, clo_arena *arena, clo_span *out)
{
    clo_span text;
    CLO_TRY(clo_json_str(root, "certificates", &text));
    CLO_CHECK(text.size <= CLO_OUTPUT_CERTIFICATES_MAX, CLO_LIMIT,
              "certificates of %zu bytes, at most %d", text.size, CLO_OUTPUT_CERTIFICATES_MAX);
    const char *copy = clo_arena_str(arena, text);
    CLO_CHECK(copy != NULL, CLO_NOMEM, "no memory for certificates");
    *out = CLO_SPAN(copy, text.size);
    return CLO_STATUS_OK;
}

static clo_status parse_words(const clo_json *root, clo_output_header *header)
{
    clo_span what, format;
    CLO_TRY(clo_json_str(root, "what", &what));
    CLO_TRY(clo_json_str(root, "format", &format));
    CLO_TRY(clo_seal_name_take(what, "'what'", sizeof header->what, 1, header->what));
    return clo_seal_name_take(format, "'format'", sizeof header->format, 1, header->format);
}

clo_status clo_output_payload_parse(clo_span json, clo_arena *arena,
                                    clo_output_payload *out_payload)
{
    CLO_AUTO(clo_arena) tree = CLO_ARENA_INIT;
    const clo_json *root;
    clo_output_payload payload = {.recipient_count = 0};
    clo_output_header *header = &payload.header;
    CLO_TRY(clo_json_parse(json, &tree, &root));
    CLO_TRY(clo_json_only(root, payload_names));
    CLO_TRY(parse_words(root, header));
    CLO_TRY(clo_json_hex(root, "manifest", header->manifest, sizeof header->manifest));
    CLO_TRY(clo_json_hex(root, "transcript", header->transcript, sizeof header->transcript));
    CLO_TRY(parse_inputs(root, header));
    CLO_TRY(clo_json_hex(root, "mac", payload.mac, sizeof payload.mac));
    CLO_TRY(parse_recipients(root, &payload));
    CLO_TRY(parse_certificates(root, arena, &header->certificates));
    *out_payload = payload;
    return CLO_STATUS_OK;
}

void clo_output_head_write(clo_span envelope, clo_buf *out)
{
    clo_put_span(out, CLO_SPAN_OF(magic));
    clo_put_u16be(out, CLO_OUTPUT_VERSION);
    clo_put_var(out, envelope);
}

clo_status clo_output_parts_parse(clo_span file, clo_output_parts *out_parts)
{
    clo_reader r = clo_reader_of(file);
    clo_span start = clo_read_span(&r, MAGIC);
    uint16_t version = clo_read_u16be(&r);
    CLO_TRY(clo_reader_check(&r, "the output's header"));
    CLO_CHECK(clo_span_equal(start, CLO_SPAN_OF(magic)), CLO_FORMAT, "this is no output");
    CLO_CHECK(version == CLO_OUTPUT_VERSION, CLO_UNSUPPORTED, "output version %u, expected %d",
              version, CLO_OUTPUT_VERSION);
    out_parts->envelope = clo_read_var(&r, CLO_OUTPUT_ENVELOPE_MAX);
    out_parts->head = CLO_SPAN(file.data, r.at);
    out_parts->commit = clo_read_span(&r, CLO_SEAL_COMMIT);
    out_parts->body = clo_read_span(&r, clo_reader_left(&r));
    return clo_reader_check(&r, "the output's header");
}
