/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, nonces and cuts of a sealed body; drawn in chunk.h. */
#include "chunk.h"

#include <string.h>

static const char label[] = "cloister seal v1";

enum { ENC = CLO_AEAD_KEY, NONCE_INDEX = 7, NONCE_LAST = 11 };

static const uint64_t max_chunks = (uint64_t)1 << 32;

clo_status clo_seal_keys_derive(const clo_secret *file_key, clo_span header, clo_aead **out_aead,
                                uint8_t out_commit[CLO_SEAL_COMMIT])
{
    uint8_t info[sizeof label - 1 + CLO_SHA256_SIZE];
    memcpy(info, label, sizeof label - 1);
    CLO_TRY(clo_sha256(header, info + sizeof label - 1));
    CLO_AUTO(clo_secret) both = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) enc = CLO_SECRET_INIT;
    CLO_TRY(clo_secret_alloc(&both, ENC + CLO_SEAL_COMMIT));
    CLO_TRY(
        clo_hkdf_expand_sha512(clo_secret_span(file_key), CLO_SPAN_OF(info), both.data, both.size));
    CLO_TRY(clo_secret_copy(CLO_SPAN(both.data, ENC), &enc));
    CLO_TRY(clo_aead_new(&enc, out_aead));
    memcpy(out_commit, both.data + ENC, CLO_SEAL_COMMIT);
    return CLO_STATUS_OK;
}

clo_status clo_seal_keys_check(const clo_secret *file_key, clo_span header,
                               const uint8_t commit[CLO_SEAL_COMMIT], clo_aead **out_aead)
{
    CLO_AUTO_PTR(clo_aead) aead = NULL;
    uint8_t expected[CLO_SEAL_COMMIT];
    CLO_CHECK(file_key->size == CLO_AEAD_KEY, CLO_CRYPTO, "the key does not open this file");
    CLO_TRY(clo_seal_keys_derive(file_key, header, &aead, expected));
    CLO_CHECK(clo_equal_ct(commit, expected, sizeof expected), CLO_CRYPTO,
              "the key does not open this file");
    *out_aead = CLO_TAKE(aead);
    return CLO_STATUS_OK;
}

static void make_nonce(uint64_t index, bool last, uint8_t out_nonce[CLO_AEAD_NONCE])
{
    CLO_ASSERT(index < max_chunks);
    memset(out_nonce, 0, CLO_AEAD_NONCE);
    for (int i = 0; i < 4; i++) {
        out_nonce[NONCE_INDEX + i] = (uint8_t)(index >> (24 - 8 * i));
    }
    out_nonce[NONCE_LAST] = last;
}

clo_status clo_seal_chunk_seal(clo_aead *aead, uint64_t index, bool last, clo_span plain,
                               uint8_t *out)
{
    uint8_t nonce[CLO_AEAD_NONCE];
    CLO_CHECK(index < max_chunks, CLO_LIMIT, "a sealed file has at most 2^32 chunks");
    make_nonce(index, last, nonce);
    return clo_aead_seal(aead, nonce, CLO_SPAN_EMPTY, plain, out, out + plain.size);
}

clo_status clo_seal_chunk_open(clo_aead *aead, uint64_t index, bool last, clo_span sealed,
                               uint8_t *out)
{
    uint8_t nonce[CLO_AEAD_NONCE];
    CLO_ASSERT(sealed.size >= CLO_SEAL_TAG);
    size_t size = sealed.size - CLO_SEAL_TAG;
    make_nonce(index, last, nonce);
    CLO_TRY_CTX(clo_aead_open(aead, nonce, CLO_SPAN_EMPTY, CLO_SPAN(sealed.data, size),
                              sealed.data + size, out),
                "chunk %llu", (unsigned long long)index);
    return CLO_STATUS_OK;
}

clo_status clo_seal_shape_of(uint64_t body, uint8_t log2_chunk, clo_seal_shape *out_shape)
{
    uint64_t plain = (uint64_t)1 << log2_chunk;
    uint64_t step = plain + CLO_SEAL_TAG;
    uint64_t chunks = body / step + (body % step != 0);
    uint64_t rest = body - (chunks == 0 ? 0 : chunks - 1) * step;
    CLO_CHECK(chunks >= 1 && chunks <= max_chunks && rest >= CLO_SEAL_TAG, CLO_FORMAT,
              "a body of %llu bytes is cut off or too long", (unsigned long long)body);
    CLO_CHECK(chunks == 1 || rest > CLO_SEAL_TAG, CLO_FORMAT, "the last of %llu chunks is empty",
              (unsigned long long)chunks);
    *out_shape = (clo_seal_shape){.chunks = chunks,
                                  .size = (chunks - 1) * plain + rest - CLO_SEAL_TAG,
                                  .chunk = (size_t)plain,
                                  .last = (size_t)(rest - CLO_SEAL_TAG)};
    return CLO_STATUS_OK;
}
