/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and signatures. Each kind has one row that fixes its encodings and its signature scheme, so
 * a public key has exactly one SubjectPublicKeyInfo (RFC 5480 with named curve and uncompressed
 * point, RFC 8410) and one id, and no message can choose an algorithm.
 */
#include "crypto_internal.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <string.h>

#define PRIVATE_SIZE  32
#define SIGNATURE_MAX 80

static const uint8_t spki_ed25519[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                       0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
static const uint8_t spki_x25519[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                      0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00};
static const uint8_t spki_p256[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
static const uint8_t pkcs8_ed25519[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                        0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
static const uint8_t pkcs8_x25519[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                       0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20};
static const uint8_t pkcs8_p256[] = {0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06,
                                     0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                     0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
                                     0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20};
static const uint8_t pkcs8_p256_public[] = {0xa1, 0x44, 0x03, 0x42, 0x00};

#define BYTES(array)                                                                               \
    {                                                                                              \
        (array), sizeof(array)                                                                     \
    }

static const clo_key_row rows[] = {
    {CLO_KEY_ED25519, "ED25519", NULL, BYTES(spki_ed25519), 32, BYTES(pkcs8_ed25519), {NULL, 0}},
    {CLO_KEY_X25519, "X25519", NULL, BYTES(spki_x25519), 32, BYTES(pkcs8_x25519), {NULL, 0}},
    {CLO_KEY_P256, "EC", "SHA256", BYTES(spki_p256), 65, BYTES(pkcs8_p256),
     BYTES(pkcs8_p256_public)},
};

#define ROW_COUNT (sizeof rows / sizeof *rows)

const clo_key_row *clo_key_row_of(clo_key_kind kind)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].kind == kind) {
            return &rows[i];
        }
    }
    CLO_ASSERT(!"a key kind without a row");
}

void clo_key_free(clo_key *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->pkey);
        clo_free(key);
    }
}

clo_key_kind clo_key_get_kind(const clo_key *key)
{
    return key->kind;
}

bool clo_key_has_private(const clo_key *key)
{
    return key->has_private;
}

clo_span clo_key_spki(const clo_key *key)
{
    return CLO_SPAN(key->spki, key->spki_size);
}

clo_span clo_key_raw_public(const clo_key *key)
{
    return CLO_SPAN(key->spki + key->raw_at, key->spki_size - key->raw_at);
}

void clo_key_id(const clo_key *key, uint8_t out_id[32])
{
    memcpy(out_id, key->id, 32);
}

bool clo_key_same_public(const clo_key *a, const clo_key *b)
{
    return clo_span_equal(clo_key_spki(a), clo_key_spki(b));
}

static const clo_key_row *row_of_pkey(const EVP_PKEY *pkey)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (EVP_PKEY_is_a(pkey, rows[i].name)) {
            return &rows[i];
        }
    }
    return NULL;
}

/* 04 || X || Y from the coordinates, because OpenSSL's own encoding may be compressed. */
static bool p256_public(const EVP_PKEY *pkey, uint8_t out[65])
{
    char group[32];
    CLO_AUTO_PTR(BIGNUM) x = NULL;
    CLO_AUTO_PTR(BIGNUM) y = NULL;
    out[0] = 4;
    return EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                          NULL) == 1 &&
           strcmp(group, "prime256v1") == 0 &&
           EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 &&
           EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1 &&
           BN_bn2binpad(x, out + 1, 32) == 32 && BN_bn2binpad(y, out + 33, 32) == 32;
}

static bool raw_public_of(const clo_key_row *row, const EVP_PKEY *pkey, uint8_t *out)
{
    if (row->kind == CLO_KEY_P256) {
        return p256_public(pkey, out);
    }
    size_t size = row->raw_size;
    return EVP_PKEY_get_raw_public_key(pkey, out, &size) == 1 && size == row->raw_size;
}

clo_status clo_key_from_pkey(EVP_PKEY *pkey, bool has_private, clo_key **out_key)
{
    CLO_AUTO_PTR(EVP_PKEY) owned = pkey;
    uint8_t raw[CLO_RAW_PUBLIC_MAX];
    const clo_key_row *row = row_of_pkey(owned);
    CLO_TRY(CLO_OPENSSL(row != NULL && raw_public_of(row, owned, raw), CLO_UNSUPPORTED,
                        "key is not ed25519, x25519 or ecdsa p-256"));
    CLO_AUTO_PTR(clo_key) key = clo_alloc(sizeof *key);
    CLO_CHECK(key != NULL, CLO_NOMEM, "no memory for a key");
    key->pkey = CLO_TAKE(owned);
    key->kind = row->kind;
    key->has_private = has_private;
    key->raw_at = row->spki_prefix.size;
    key->spki_size = row->spki_prefix.size + row->raw_size;
    memcpy(key->spki, row->spki_prefix.data, row->spki_prefix.size);
    memcpy(key->spki + key->raw_at, raw, row->raw_size);
    CLO_TRY(clo_sha256(clo_key_spki(key), key->id));
    *out_key = CLO_TAKE(key);
    return CLO_STATUS_OK;
}

clo_status clo_key_generate(clo_key_kind kind, clo_key **out_key)
{
    CLO_TRY(clo_random_reseed());
    OSSL_LIB_CTX *lib = clo_crypto()->lib;
    EVP_PKEY *pkey = kind == CLO_KEY_P256
                         ? EVP_PKEY_Q_keygen(lib, NULL, "EC", "P-256")
                         : EVP_PKEY_Q_keygen(lib, NULL, clo_key_row_of(kind)->name);
    CLO_TRY(CLO_OPENSSL(pkey != NULL, CLO_CRYPTO, "generating a key"));
    return clo_key_from_pkey(pkey, true, out_key);
}

/* The decoder of a point checks that it is on the curve. */
static EVP_PKEY *p256_from_point(clo_span raw)
{
    char group[] = "prime256v1";
    uint8_t point[65];
    memcpy(point, raw.data, sizeof point);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *pkey = NULL;
    CLO_AUTO_PTR(EVP_PKEY_CTX) context = EVP_PKEY_CTX_new_from_name(clo_crypto()->lib, "EC", NULL);
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        return NULL;
    }
    return pkey;
}

clo_status clo_key_from_raw_public(clo_key_kind kind, clo_span raw, clo_key **out_key)
{
    const clo_key_row *row = clo_key_row_of(kind);
    CLO_CHECK(raw.size == row->raw_size, CLO_FORMAT, "public key has %zu bytes, expected %zu",
              raw.size, row->raw_size);
    CLO_CHECK(kind != CLO_KEY_P256 || raw.data[0] == 4, CLO_FORMAT,
              "public key is not an uncompressed point");
    EVP_PKEY *pkey = kind == CLO_KEY_P256
                         ? p256_from_point(raw)
                         : EVP_PKEY_new_raw_public_key_ex(clo_crypto()->lib, row->name, NULL,
                                                          raw.data, raw.size);
    CLO_TRY(CLO_OPENSSL(pkey != NULL, CLO_CRYPTO, "public key is no point of its curve"));
    return clo_key_from_pkey(pkey, false, out_key);
}

/* Tells "not a key at all" from "a key of a kind that is not ours". */
static clo_status check_spki_form(clo_span der)
{
    clo_der whole, algorithm, bits;
    clo_reader reader = clo_reader_of(der);
    CLO_TRY(clo_der_expect(&reader, 0x30, "public key", &whole));
    CLO_TRY(clo_reader_finish(&reader, "public key"));
    reader = clo_reader_of(whole.value);
    CLO_TRY(clo_der_expect(&reader, 0x30, "public key algorithm", &algorithm));
    CLO_TRY(clo_der_expect(&reader, 0x03, "public key bits", &bits));
    return clo_reader_finish(&reader, "public key");
}

clo_status clo_key_parse_spki(clo_span der, clo_key **out_key)
{
    CLO_TRY(check_spki_form(der));
    for (size_t i = 0; i < ROW_COUNT; i++) {
        clo_span prefix = rows[i].spki_prefix;
        if (der.size == prefix.size + rows[i].raw_size && clo_span_starts_with(der, prefix)) {
            clo_span raw = CLO_SPAN(der.data + prefix.size, rows[i].raw_size);
            return clo_key_from_raw_public(rows[i].kind, raw, out_key);
        }
    }
    CLO_FAIL(CLO_UNSUPPORTED, "public key is not ed25519, x25519 or uncompressed p-256");
}

/* X25519 is for agreement; a signature with it is a mistake of the caller. */
static clo_status check_signs(const clo_key *key)
{
    CLO_CHECK(key->kind != CLO_KEY_X25519, CLO_INVALID, "an x25519 key does not sign");
    return CLO_STATUS_OK;
}

clo_status clo_key_sign(const clo_key *key, clo_span message, clo_buf *out_signature)
{
    CLO_TRY(check_signs(key));
    CLO_CHECK(key->has_private, CLO_INVALID, "a public key does not sign");
    CLO_AUTO_PTR(EVP_MD_CTX) context = EVP_MD_CTX_new();
    uint8_t signature[SIGNATURE_MAX];
    size_t size = sizeof signature;
    bool done = context != NULL &&
                EVP_DigestSignInit_ex(context, NULL, clo_key_row_of(key->kind)->digest,
                                      clo_crypto()->lib, NULL, key->pkey, NULL) == 1 &&
                EVP_DigestSign(context, signature, &size, message.data, message.size) == 1;
    CLO_TRY(CLO_OPENSSL(done, CLO_CRYPTO, "signing %zu bytes", message.size));
    clo_put_bytes(out_signature, signature, size);
    return clo_buf_check(out_signature);
}

clo_status clo_key_verify(const clo_key *key, clo_span message, clo_span signature)
{
    CLO_TRY(check_signs(key));
    CLO_AUTO_PTR(EVP_MD_CTX) context = EVP_MD_CTX_new();
    bool done =
        context != NULL &&
        EVP_DigestVerifyInit_ex(context, NULL, clo_key_row_of(key->kind)->digest, clo_crypto()->lib,
                                NULL, key->pkey, NULL) == 1 &&
        EVP_DigestVerify(context, signature.data, signature.size, message.data, message.size) == 1;
    return CLO_OPENSSL(done, CLO_CRYPTO, "signature does not match");
}
