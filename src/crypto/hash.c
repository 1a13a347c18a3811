/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes, HMAC (RFC 2104), HKDF (RFC 5869) and scrypt (RFC 7914), each a thin wrapper of OpenSSL's
 * with its parameters fixed here.
 */
#include "crypto_internal.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

/* 2^15 * 8 * 128 bytes are 32 MiB, above OpenSSL's own default limit by a little. */
#define SCRYPT_MEMORY (64u << 20)

struct clo_hash {
    EVP_MD_CTX *context;
};

static clo_status digest_once(const EVP_MD *digest, clo_span bytes, uint8_t *out)
{
    return CLO_OPENSSL(EVP_Digest(bytes.data, bytes.size, out, NULL, digest, NULL) == 1, CLO_CRYPTO,
                       "hashing %zu bytes", bytes.size);
}

clo_status clo_sha256(clo_span bytes, uint8_t out_digest[32])
{
    return digest_once(clo_crypto()->sha256, bytes, out_digest);
}

clo_status clo_sha384(clo_span bytes, uint8_t out_digest[48])
{
    return digest_once(clo_crypto()->sha384, bytes, out_digest);
}

clo_status clo_sha512(clo_span bytes, uint8_t out_digest[64])
{
    return digest_once(clo_crypto()->sha512, bytes, out_digest);
}

static clo_status hash_begin(clo_hash *hash)
{
    return CLO_OPENSSL(EVP_DigestInit_ex2(hash->context, clo_crypto()->sha256, NULL) == 1,
                       CLO_CRYPTO, "starting a hash");
}

clo_status clo_hash_new(clo_hash **out_hash)
{
    CLO_AUTO_PTR(clo_hash) hash = clo_alloc(sizeof *hash);
    CLO_CHECK(hash != NULL, CLO_NOMEM, "no memory for a hash");
    hash->context = EVP_MD_CTX_new();
    CLO_TRY(CLO_OPENSSL(hash->context != NULL, CLO_NOMEM, "no memory for a hash"));
    CLO_TRY(hash_begin(hash));
    *out_hash = CLO_TAKE(hash);
    return CLO_STATUS_OK;
}

clo_status clo_hash_update(clo_hash *hash, clo_span bytes)
{
    return CLO_OPENSSL(EVP_DigestUpdate(hash->context, bytes.data, bytes.size) == 1, CLO_CRYPTO,
                       "hashing %zu bytes", bytes.size);
}

clo_status clo_hash_final(clo_hash *hash, uint8_t out_digest[32])
{
    CLO_TRY(CLO_OPENSSL(EVP_DigestFinal_ex(hash->context, out_digest, NULL) == 1, CLO_CRYPTO,
                        "finishing a hash"));
    return hash_begin(hash);
}

void clo_hash_free(clo_hash *hash)
{
    if (hash != NULL) {
        EVP_MD_CTX_free(hash->context);
        clo_free(hash);
    }
}

/* OpenSSL takes void * for constant input; and an empty span's NULL would mean "not given". */
static OSSL_PARAM octets(const char *name, clo_span span)
{
    static uint8_t nothing;

    union {
        const uint8_t *in;
        uint8_t *out;
    } data = {.in = span.size != 0 ? span.data : &nothing};

    return OSSL_PARAM_construct_octet_string(name, data.out, span.size);
}

static OSSL_PARAM text(const char *name, const char *value)
{
    union {
        const char *in;
        char *out;
    } data = {.in = value};

    return OSSL_PARAM_construct_utf8_string(name, data.out, 0);
}

clo_status clo_hkdf_run(clo_hkdf_mode mode, const EVP_MD *digest, clo_span key, clo_span salt,
                        clo_span info, uint8_t *out, size_t size)
{
    static const char *const modes[] = {"EXTRACT_AND_EXPAND", "EXTRACT_ONLY", "EXPAND_ONLY"};
    CLO_AUTO_PTR(EVP_KDF_CTX) context = EVP_KDF_CTX_new(clo_crypto()->hkdf);
    CLO_TRY(CLO_OPENSSL(context != NULL, CLO_NOMEM, "no memory for a key derivation"));
    const OSSL_PARAM params[] = {
        text(OSSL_KDF_PARAM_MODE, modes[mode]),
        text(OSSL_KDF_PARAM_DIGEST, EVP_MD_get0_name(digest)),
        octets(OSSL_KDF_PARAM_KEY, key),
        octets(OSSL_KDF_PARAM_SALT, salt),
        octets(OSSL_KDF_PARAM_INFO, info),
        OSSL_PARAM_construct_end(),
    };
    return CLO_OPENSSL(EVP_KDF_derive(context, out, size, params) == 1, CLO_CRYPTO,
                       "deriving %zu bytes with hkdf", size);
}

clo_status clo_hkdf_sha256(clo_span key, clo_span salt, clo_span info, uint8_t *out, size_t size)
{
    return clo_hkdf_run(CLO_HKDF_BOTH, clo_crypto()->sha256, key, salt, info, out, size);
}

clo_status clo_hkdf_expand_sha512(clo_span key, clo_span info, uint8_t *out, size_t size)
{
    return clo_hkdf_run(CLO_HKDF_EXPAND, clo_crypto()->sha512, key, CLO_SPAN_EMPTY, info, out,
                        size);
}

clo_status clo_hmac_sha256(clo_span key, clo_span bytes, uint8_t out_mac[32])
{
    const void *start = key.size != 0 ? key.data : (const void *)"";
    size_t size = 0;
    bool done = EVP_Q_mac(clo_crypto()->lib, "HMAC", NULL, "SHA256", NULL, start, key.size,
                          bytes.data, bytes.size, out_mac, 32, &size) != NULL;
    return CLO_OPENSSL(done && size == 32, CLO_CRYPTO, "computing hmac of %zu bytes", bytes.size);
}

clo_status clo_scrypt_run(clo_span passphrase, clo_span salt, clo_scrypt_cost cost, uint8_t *out,
                          size_t size)
{
    CLO_AUTO_PTR(EVP_KDF_CTX) context = EVP_KDF_CTX_new(clo_crypto()->scrypt);
    CLO_TRY(CLO_OPENSSL(context != NULL, CLO_NOMEM, "no memory for scrypt"));
    uint64_t memory = SCRYPT_MEMORY;
    const OSSL_PARAM params[] = {
        octets(OSSL_KDF_PARAM_PASSWORD, passphrase),
        octets(OSSL_KDF_PARAM_SALT, salt),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &cost.n),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &cost.r),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &cost.p),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
        OSSL_PARAM_construct_end(),
    };
    return CLO_OPENSSL(EVP_KDF_derive(context, out, size, params) == 1, CLO_CRYPTO,
                       "deriving a key from a passphrase");
}

clo_status clo_scrypt(clo_span passphrase, clo_span salt, uint8_t out_key[32])
{
    const clo_scrypt_cost cost = {.n = 1u << 15, .r = 8, .p = 1};
    return clo_scrypt_run(passphrase, salt, cost, out_key, 32);
}
