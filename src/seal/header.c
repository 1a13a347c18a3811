/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a sealed file, version 1. Big-endian, all fixed fields first:
 *
 *     0   magic[8]          89 'C' 'L' 'O' 'S' 'E' 'A' 'L'
 *     8   u16 version       1; it fixes every algorithm
 *     10  file id[16]
 *     26  data set id[16]
 *     42  u32 part, u32 parts
 *     50  key id[16], u32 key version
 *     70  u8 log2 of the chunk size, 12..24
 *     71  salt[32]
 *     103 u32 policy size, at most 64 KiB
 *     107 policy
 *
 * Invariant: a header that parses is written back to the same bytes, so its digest names it.
 */
#include "cloister/seal.h"

#include <string.h>

enum { MAGIC = 8, FIXED = 107 };

static const uint8_t magic[MAGIC] = {0x89, 'C', 'L', 'O', 'S', 'E', 'A', 'L'};

static const char file_key_label[] = "cloister file key v1";

static clo_status check_fields(const clo_seal_header *header, clo_code code)
{
    CLO_CHECK(header->log2_chunk >= CLO_SEAL_LOG2_CHUNK_MIN &&
                  header->log2_chunk <= CLO_SEAL_LOG2_CHUNK_MAX,
              code, "chunks of 2^%u bytes, expected 2^%d to 2^%d", header->log2_chunk,
              CLO_SEAL_LOG2_CHUNK_MIN, CLO_SEAL_LOG2_CHUNK_MAX);
    CLO_CHECK(header->part < header->parts, code, "part %u of %u", header->part, header->parts);
    return CLO_STATUS_OK;
}

clo_status clo_seal_header_init(clo_seal_header *out_header)
{
    clo_seal_header header = {.parts = 1, .log2_chunk = CLO_SEAL_LOG2_CHUNK};
    CLO_TRY(clo_random_reseed());
    CLO_TRY(clo_random_bytes(header.file_id, sizeof header.file_id));
    CLO_TRY(clo_random_salt(header.salt));
    *out_header = header;
    return CLO_STATUS_OK;
}

clo_status clo_seal_header_write(const clo_seal_header *header, clo_buf *out)
{
    CLO_TRY(check_fields(header, CLO_INVALID));
    CLO_CHECK(header->policy.size <= CLO_SEAL_POLICY_MAX, CLO_INVALID,
              "the policy has %zu bytes, at most %d", header->policy.size, CLO_SEAL_POLICY_MAX);
    clo_put_span(out, CLO_SPAN_OF(magic));
    clo_put_u16be(out, CLO_SEAL_VERSION);
    clo_put_span(out, CLO_SPAN_OF(header->file_id));
    clo_put_span(out, CLO_SPAN_OF(header->data_set_id));
    clo_put_u32be(out, header->part);
    clo_put_u32be(out, header->parts);
    clo_put_span(out, CLO_SPAN_OF(header->key_id));
    clo_put_u32be(out, header->key_version);
    clo_put_u8(out, header->log2_chunk);
    clo_put_span(out, CLO_SPAN_OF(header->salt));
    clo_put_var(out, header->policy);
    return clo_buf_check(out);
}

static clo_status read_start(clo_reader *r)
{
    clo_span start = clo_read_span(r, MAGIC);
    uint16_t version = clo_read_u16be(r);
    CLO_TRY(clo_reader_check(r, "the sealed file's header"));
    CLO_CHECK(clo_span_equal(start, CLO_SPAN_OF(magic)), CLO_FORMAT, "this is no sealed file");
    CLO_CHECK(version == CLO_SEAL_VERSION, CLO_UNSUPPORTED, "sealed file version %u, expected %d",
              version, CLO_SEAL_VERSION);
    return CLO_STATUS_OK;
}

clo_status clo_seal_header_parse(clo_span bytes, clo_seal_header *out_header, size_t *out_size)
{
    clo_seal_header header;
    clo_reader r = clo_reader_of(bytes);
    CLO_TRY(read_start(&r));
    clo_read_copy(&r, header.file_id, sizeof header.file_id);
    clo_read_copy(&r, header.data_set_id, sizeof header.data_set_id);
    header.part = clo_read_u32be(&r);
    header.parts = clo_read_u32be(&r);
    clo_read_copy(&r, header.key_id, sizeof header.key_id);
    header.key_version = clo_read_u32be(&r);
    header.log2_chunk = clo_read_u8(&r);
    clo_read_copy(&r, header.salt, sizeof header.salt);
    header.policy = clo_read_var(&r, CLO_SEAL_POLICY_MAX);
    CLO_TRY(clo_reader_check(&r, "the sealed file's header"));
    CLO_TRY(check_fields(&header, CLO_FORMAT));
    *out_header = header;
    *out_size = r.at;
    return CLO_STATUS_OK;
}

clo_status clo_seal_file_key(const clo_secret *data_key, clo_span header, clo_secret *out_file_key)
{
    clo_seal_header fields;
    size_t size;
    CLO_TRY(clo_seal_header_parse(header, &fields, &size));
    CLO_CHECK(size == header.size, CLO_FORMAT, "%zu bytes left over after the header",
              header.size - size);
    uint8_t info[sizeof file_key_label - 1 + CLO_SHA256_SIZE];
    memcpy(info, file_key_label, sizeof file_key_label - 1);
    CLO_TRY(clo_sha256(header, info + sizeof file_key_label - 1));
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_TRY(clo_secret_alloc(&key, CLO_AEAD_KEY));
    CLO_TRY(clo_hkdf_sha256(clo_secret_span(data_key), CLO_SPAN_OF(fields.salt), CLO_SPAN_OF(info),
                            key.data, key.size));
    *out_file_key = key;
    key = CLO_SECRET_INIT;
    return CLO_STATUS_OK;
}
