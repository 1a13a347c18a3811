/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dead Simple Signing Envelope v1 (github.com/secure-systems-lab/dsse, envelope.md, protocol.md).
 *
 *     { "payloadType": type, "payload": base64(payload),
 *       "signatures": [ { "keyid": hint, "sig": base64(signature of PAE) } ] }
 *     PAE = "DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload       LEN: decimal bytes
 *
 * The signature covers the type, so an envelope of one kind never passes for another. keyid is not
 * signed and therefore not used: every signature is tried with the key that the caller trusts.
 * Unknown members are ignored, as the specification wants; base64 is the standard alphabet.
 */
#include "crypto_internal.h"

#define ENVELOPE_MAX   (16u << 20)
#define SIGNATURES_MAX 16
#define SIGNATURE_MAX  256

void clo_dsse_put_pae(clo_buf *out, const char *payload_type, clo_span payload)
{
    clo_span type = clo_span_of_str(payload_type);
    clo_put_format(out, "DSSEv1 %zu ", type.size);
    clo_put_span(out, type);
    clo_put_format(out, " %zu ", payload.size);
    clo_put_span(out, payload);
}

static clo_status write_envelope(const clo_key *key, const char *payload_type, clo_span payload,
                                 clo_span signature, clo_buf *out)
{
    uint8_t id[32];
    clo_key_id(key, id);
    clo_json_writer writer = clo_json_writer_of(out);
    clo_json_begin_object(&writer, NULL);
    clo_json_put_str(&writer, "payloadType", payload_type);
    clo_json_put_base64(&writer, "payload", payload);
    clo_json_begin_array(&writer, "signatures");
    clo_json_begin_object(&writer, NULL);
    clo_json_put_hex(&writer, "keyid", CLO_SPAN_OF(id));
    clo_json_put_base64(&writer, "sig", signature);
    clo_json_end_object(&writer);
    clo_json_end_array(&writer);
    clo_json_end_object(&writer);
    return clo_buf_check(out);
}

clo_status clo_dsse_sign(const clo_key *key, const char *payload_type, clo_span payload,
                         clo_buf *out_envelope)
{
    CLO_AUTO(clo_buf) pae = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) signature = CLO_BUF_INIT;
    clo_dsse_put_pae(&pae, payload_type, payload);
    CLO_TRY(clo_buf_check(&pae));
    CLO_TRY_CTX(clo_key_sign(key, clo_buf_span(&pae), &signature), "signing '%s'", payload_type);
    return write_envelope(key, payload_type, payload, clo_buf_span(&signature), out_envelope);
}

/* Parses the envelope, checks its type and decodes the payload; `out_signatures` is the array. */
static clo_status read_envelope(clo_span envelope, const char *payload_type, clo_arena *arena,
                                clo_buf *out_payload, const clo_json **out_signatures)
{
    CLO_CHECK(envelope.size <= ENVELOPE_MAX, CLO_LIMIT, "envelope has %zu bytes, at most %u",
              envelope.size, ENVELOPE_MAX);
    const clo_json *root;
    clo_span type;
    CLO_TRY_CTX(clo_json_parse(envelope, arena, &root), "envelope");
    CLO_CHECK(root->type == CLO_JSON_OBJECT, CLO_FORMAT, "envelope is not an object");
    CLO_TRY(clo_json_str(root, "payloadType", &type));
    CLO_CHECK(clo_span_equals_str(type, payload_type), CLO_FORMAT,
              "envelope has another payload type, expected '%s'", payload_type);
    CLO_TRY(clo_json_member(root, "signatures", CLO_JSON_ARRAY, out_signatures));
    CLO_CHECK((*out_signatures)->count <= SIGNATURES_MAX, CLO_LIMIT,
              "envelope has %u signatures, at most %d", (*out_signatures)->count, SIGNATURES_MAX);
    return clo_json_base64(root, "payload", ENVELOPE_MAX, out_payload);
}

static clo_status check_signature(const clo_json *entry, const clo_key *key, clo_span pae)
{
    CLO_AUTO(clo_buf) signature = CLO_BUF_INIT;
    CLO_CHECK(entry->type == CLO_JSON_OBJECT, CLO_FORMAT, "a signature is not an object");
    CLO_TRY(clo_json_base64(entry, "sig", SIGNATURE_MAX, &signature));
    return clo_key_verify(key, pae, clo_buf_span(&signature));
}

/* One good signature is enough; a malformed one spoils the envelope, other keys' do not. */
static clo_status check_any_signature(const clo_json *signatures, const clo_key *key, clo_span pae)
{
    for (const clo_json *entry = signatures->child; entry != NULL; entry = entry->next) {
        clo_status status = check_signature(entry, key, pae);
        if (status.code != CLO_CRYPTO) {
            return status;
        }
    }
    CLO_FAIL(CLO_CRYPTO, "no signature of the envelope is by the expected key");
}

clo_status clo_dsse_open(clo_span envelope, const char *payload_type, const clo_key *key,
                         clo_buf *out_payload)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) pae = CLO_BUF_INIT;
    const clo_json *signatures;
    CLO_TRY(read_envelope(envelope, payload_type, &arena, &payload, &signatures));
    clo_dsse_put_pae(&pae, payload_type, clo_buf_span(&payload));
    CLO_TRY(clo_buf_check(&pae));
    CLO_TRY_CTX(check_any_signature(signatures, key, clo_buf_span(&pae)), "envelope '%s'",
                payload_type);
    clo_put_span(out_payload, clo_buf_span(&payload));
    return clo_buf_check(out_payload);
}

clo_status clo_dsse_peek(clo_span envelope, const char *payload_type, clo_buf *out_payload)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *signatures;
    return read_envelope(envelope, payload_type, &arena, out_payload, &signatures);
}
