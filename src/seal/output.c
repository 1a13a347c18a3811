/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outputs: what an attested job gives to people, sealed to their keys and signed by its own
 * (format in output_header.h).
 *
 * Invariant: opening checks the signature before it uses the recipient's private key, and gives
 * nothing out before every tag and the signed MAC of the contents have held.
 */
#include <string.h>

#include "cloister/seal.h"
#include "output_header.h"
#include "sink.h"

static const char key_label[] = "cloister output key v1";

enum { MODE = 0600, ASSOCIATED = 96 };

static void make_associated(const clo_key *signer, const clo_output_header *header,
                            uint8_t out[ASSOCIATED])
{
    clo_key_id(signer, out);
    memcpy(out + 32, header->manifest, 32);
    memcpy(out + 64, header->transcript, 32);
}

static clo_status wrap_key(const clo_key *recipient, const clo_secret *file_key,
                           clo_span associated, clo_output_recipient *out)
{
    CLO_AUTO(clo_buf) sealed = CLO_BUF_INIT;
    clo_key_id(recipient, out->key);
    CLO_TRY(clo_hpke_seal(recipient, clo_span_of_str(key_label), associated,
                          clo_secret_span(file_key), out->enc, &sealed));
    CLO_ASSERT(sealed.size == sizeof out->sealed);
    memcpy(out->sealed, sealed.data, sealed.size);
    return CLO_STATUS_OK;
}

/* Everything before the commitment, and the key that follows from nothing else. */
static clo_status make_head(const clo_output_header *header, const clo_key *signer,
                            const clo_key *const *recipients, size_t recipient_count,
                            clo_span plain, clo_secret *out_key, clo_buf *out_head)
{
    CLO_AUTO(clo_buf) json = CLO_BUF_LIMIT(CLO_OUTPUT_ENVELOPE_MAX);
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_OUTPUT_ENVELOPE_MAX);
    clo_output_payload payload = {.header = *header, .recipient_count = recipient_count};
    uint8_t associated[ASSOCIATED];
    CLO_TRY(clo_random_reseed());
    CLO_TRY(clo_secret_alloc(out_key, CLO_AEAD_KEY));
    CLO_TRY(clo_random_salt(out_key->data));
    CLO_TRY(clo_hmac_sha256(clo_secret_span(out_key), plain, payload.mac));
    make_associated(signer, header, associated);
    for (size_t i = 0; i < recipient_count; i++) {
        CLO_TRY_CTX(
            wrap_key(recipients[i], out_key, CLO_SPAN_OF(associated), &payload.recipients[i]),
            "recipient %zu", i);
    }
    CLO_TRY(clo_output_payload_write(&payload, &json));
    CLO_TRY(clo_dsse_sign(signer, CLO_OUTPUT_TYPE, clo_buf_span(&json), &envelope));
    clo_output_head_write(clo_buf_span(&envelope), out_head);
    return clo_buf_check(out_head);
}

static clo_status write_file(const char *path, clo_span head, const clo_secret *key, clo_span plain)
{
    CLO_AUTO(clo_atomic_file) file = CLO_ATOMIC_FILE_INIT;
    CLO_AUTO(clo_seal_sink) sink = CLO_SEAL_SINK_INIT;
    CLO_TRY(clo_atomic_begin(path, MODE, &file));
    CLO_TRY(clo_seal_sink_begin(&sink, file.fd, head, CLO_SEAL_LOG2_CHUNK, key));
    CLO_TRY(clo_seal_sink_write(&sink, plain));
    CLO_TRY(clo_seal_sink_finish(&sink, NULL));
    return clo_atomic_commit(&file);
}

clo_status clo_output_seal(const char *path, const clo_output_header *header, const clo_key *signer,
                           const clo_key *const *recipients, size_t recipient_count, clo_span plain)
{
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_AUTO(clo_buf) head = CLO_BUF_INIT;
    CLO_CHECK(recipient_count >= 1 && recipient_count <= CLO_OUTPUT_RECIPIENT_MAX, CLO_INVALID,
              "%zu recipients, expected 1 to %d", recipient_count, CLO_OUTPUT_RECIPIENT_MAX);
    CLO_TRY_CTX(make_head(header, signer, recipients, recipient_count, plain, &key, &head),
                "output '%s'", path);
    CLO_TRY_CTX(write_file(path, clo_buf_span(&head), &key, plain), "output '%s'", path);
    return CLO_STATUS_OK;
}

clo_status clo_output_peek(clo_span file, clo_arena *arena, clo_output_header *out_header)
{
    CLO_AUTO(clo_buf) json = CLO_BUF_LIMIT(CLO_OUTPUT_ENVELOPE_MAX);
    clo_output_parts parts;
    clo_output_payload payload;
    CLO_TRY(clo_output_parts_parse(file, &parts));
    CLO_TRY_CTX(clo_dsse_peek(parts.envelope, CLO_OUTPUT_TYPE, &json), "output");
    CLO_TRY_CTX(clo_output_payload_parse(clo_buf_span(&json), arena, &payload), "output");
    *out_header = payload.header;
    return CLO_STATUS_OK;
}

static clo_status unwrap_key(const clo_output_payload *payload, const clo_key *signer,
                             const clo_key *recipient, clo_secret *out_key)
{
    uint8_t id[32], associated[ASSOCIATED];
    clo_key_id(recipient, id);
    make_associated(signer, &payload->header, associated);
    for (size_t i = 0; i < payload->recipient_count; i++) {
        const clo_output_recipient *row = &payload->recipients[i];
        if (memcmp(row->key, id, sizeof id) == 0) {
            return clo_hpke_open(recipient, row->enc, clo_span_of_str(key_label),
                                 CLO_SPAN_OF(associated), CLO_SPAN_OF(row->sealed), out_key);
        }
    }
    CLO_FAIL(CLO_DENIED, "the output is not sealed to this key");
}

/* Last chunk first: the length is proved before anything else is decrypted. */
static clo_status open_chunks(clo_aead *aead, const clo_seal_shape *shape, clo_span body,
                              uint8_t *out)
{
    for (uint64_t i = shape->chunks; i-- > 0;) {
        bool last = i + 1 == shape->chunks;
        size_t at = (size_t)i * shape->chunk;
        size_t size = last ? shape->last : shape->chunk;
        clo_span sealed = CLO_SPAN(body.data + at + (size_t)i * CLO_SEAL_TAG, size + CLO_SEAL_TAG);
        CLO_TRY(clo_seal_chunk_open(aead, i, last, sealed, out + at));
    }
    return CLO_STATUS_OK;
}

static clo_status open_body(const clo_output_parts *parts, const clo_secret *key,
                            const uint8_t mac[32], clo_buf *out_plain)
{
    CLO_AUTO_PTR(clo_aead) aead = NULL;
    clo_seal_shape shape;
    uint8_t actual[32];
    CLO_TRY(clo_seal_keys_check(key, parts->head, parts->commit.data, &aead));
    CLO_TRY(clo_seal_shape_of(parts->body.size, CLO_SEAL_LOG2_CHUNK, &shape));
    CLO_AUTO(clo_buf) plain = CLO_BUF_LIMIT(parts->body.size);
    uint8_t *out = clo_buf_grow(&plain, (size_t)shape.size);
    CLO_TRY(clo_buf_check(&plain));
    CLO_TRY(open_chunks(aead, &shape, parts->body, out));
    CLO_TRY(clo_hmac_sha256(clo_secret_span(key), clo_buf_span(&plain), actual));
    CLO_CHECK(clo_equal_ct(actual, mac, sizeof actual), CLO_CRYPTO,
              "the contents are not those that were signed");
    clo_put_span(out_plain, clo_buf_span(&plain));
    return clo_buf_check(out_plain);
}

static clo_status open_output(clo_span file, const clo_key *signer, const clo_key *recipient,
                              clo_buf *out_plain)
{
    CLO_AUTO(clo_buf) json = CLO_BUF_LIMIT(CLO_OUTPUT_ENVELOPE_MAX);
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    clo_output_parts parts;
    clo_output_payload payload;
    CLO_TRY(clo_output_parts_parse(file, &parts));
    CLO_TRY(clo_dsse_open(parts.envelope, CLO_OUTPUT_TYPE, signer, &json));
    CLO_TRY(clo_output_payload_parse(clo_buf_span(&json), &arena, &payload));
    CLO_TRY(unwrap_key(&payload, signer, recipient, &key));
    return open_body(&parts, &key, payload.mac, out_plain);
}

clo_status clo_output_open(clo_span file, const clo_key *signer, const clo_key *recipient,
                           clo_buf *out_plain)
{
    CLO_TRY_CTX(open_output(file, signer, recipient, out_plain), "output");
    return CLO_STATUS_OK;
}
