/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-256-GCM (NIST SP 800-38D) with a 12-byte nonce and the whole 16-byte tag. The context keeps
 * the key schedule, so a chunk costs no set-up; each call gives a new nonce, and never reusing one
 * is the caller's duty (seal's nonces are counters under a key per file).
 */
#include "crypto_internal.h"

#include <limits.h>
#include <string.h>

struct clo_aead {
    EVP_CIPHER_CTX *context;
};

void clo_aead_free(clo_aead *aead)
{
    if (aead != NULL) {
        EVP_CIPHER_CTX_free(aead->context);
        clo_free(aead);
    }
}

clo_status clo_aead_new(const clo_secret *key, clo_aead **out_aead)
{
    CLO_CHECK(key->size == CLO_AEAD_KEY, CLO_INVALID, "an aead key has 32 bytes, not %zu",
              key->size);
    CLO_AUTO_PTR(clo_aead) aead = clo_alloc(sizeof *aead);
    CLO_CHECK(aead != NULL, CLO_NOMEM, "no memory for an aead");
    aead->context = EVP_CIPHER_CTX_new();
    CLO_TRY(CLO_OPENSSL(aead->context != NULL, CLO_NOMEM, "no memory for an aead"));
    CLO_TRY(CLO_OPENSSL(
        EVP_EncryptInit_ex2(aead->context, clo_crypto()->aes_gcm, key->data, NULL, NULL) == 1,
        CLO_CRYPTO, "setting an aead key"));
    *out_aead = CLO_TAKE(aead);
    return CLO_STATUS_OK;
}

/* Counts are int inside OpenSSL. */
static clo_status check_sizes(clo_span associated, clo_span bytes)
{
    CLO_CHECK(associated.size <= INT_MAX && bytes.size <= INT_MAX, CLO_LIMIT,
              "%zu bytes in one aead call, at most %d", bytes.size, INT_MAX);
    return CLO_STATUS_OK;
}

/* OpenSSL reads an update of NULL and 0 as something else; empty parts are left out. */
static bool update(EVP_CIPHER_CTX *context, uint8_t *out, clo_span bytes)
{
    int count;
    return bytes.size == 0 ||
           EVP_CipherUpdate(context, out, &count, bytes.data, (int)bytes.size) == 1;
}

clo_status clo_aead_seal(clo_aead *aead, const uint8_t nonce[12], clo_span associated,
                         clo_span plain, uint8_t *out, uint8_t out_tag[16])
{
    CLO_TRY(check_sizes(associated, plain));
    EVP_CIPHER_CTX *context = aead->context;
    uint8_t rest[16];
    int count;
    bool done = EVP_EncryptInit_ex2(context, NULL, NULL, nonce, NULL) == 1 &&
                update(context, NULL, associated) && update(context, out, plain) &&
                EVP_EncryptFinal_ex(context, rest, &count) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, CLO_AEAD_TAG, out_tag) == 1;
    return CLO_OPENSSL(done, CLO_CRYPTO, "encrypting %zu bytes", plain.size);
}

clo_status clo_aead_open(clo_aead *aead, const uint8_t nonce[12], clo_span associated,
                         clo_span cipher, const uint8_t tag[16], uint8_t *out)
{
    CLO_TRY(check_sizes(associated, cipher));
    EVP_CIPHER_CTX *context = aead->context;
    uint8_t expected[CLO_AEAD_TAG], rest[16];
    memcpy(expected, tag, sizeof expected);
    int count;
    bool done = EVP_DecryptInit_ex2(context, NULL, NULL, nonce, NULL) == 1 &&
                update(context, NULL, associated) && update(context, out, cipher) &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, CLO_AEAD_TAG, expected) == 1 &&
                EVP_DecryptFinal_ex(context, rest, &count) == 1;
    if (!done && cipher.size != 0) {
        clo_wipe(out, cipher.size);
    }
    return CLO_OPENSSL(done, CLO_CRYPTO, "authentication tag does not match");
}
