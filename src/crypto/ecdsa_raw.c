/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ECDSA P-256 in the form of Intel's quotes and collateral: keys X || Y, signatures r || s, all
 * big-endian 32-byte numbers. The bytes are put into DER and go the one way through key.c.
 */
#include "crypto_internal.h"

#include <string.h>

#define DER_SIGNATURE_MAX 80

clo_status clo_key_from_p256_raw(const uint8_t xy[64], clo_key **out_key)
{
    uint8_t point[65] = {4};
    memcpy(point + 1, xy, 64);
    return clo_key_from_raw_public(CLO_KEY_P256, CLO_SPAN_OF(point), out_key);
}

static clo_status check_p256(const clo_key *key)
{
    CLO_CHECK(key->kind == CLO_KEY_P256, CLO_INVALID, "raw signatures need a p-256 key");
    return CLO_STATUS_OK;
}

clo_status clo_key_get_p256_raw(const clo_key *key, uint8_t out_xy[64])
{
    CLO_TRY(check_p256(key));
    memcpy(out_xy, clo_key_raw_public(key).data + 1, 64);
    return CLO_STATUS_OK;
}

clo_status clo_key_sign_raw(const clo_key *key, clo_span message, uint8_t out_rs[64])
{
    CLO_TRY(check_p256(key));
    CLO_AUTO(clo_buf) der = CLO_BUF_LIMIT(DER_SIGNATURE_MAX);
    CLO_TRY(clo_key_sign(key, message, &der));
    const uint8_t *at = der.data;
    CLO_AUTO_PTR(ECDSA_SIG) signature = d2i_ECDSA_SIG(NULL, &at, (long)der.size);
    bool done = signature != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(signature), out_rs, 32) == 32 &&
                BN_bn2binpad(ECDSA_SIG_get0_s(signature), out_rs + 32, 32) == 32;
    return CLO_OPENSSL(done, CLO_CRYPTO, "taking r and s out of a signature");
}

static ECDSA_SIG *signature_of(const uint8_t rs[64])
{
    CLO_AUTO_PTR(ECDSA_SIG) signature = ECDSA_SIG_new();
    CLO_AUTO_PTR(BIGNUM) r = BN_bin2bn(rs, 32, NULL);
    CLO_AUTO_PTR(BIGNUM) s = BN_bin2bn(rs + 32, 32, NULL);
    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
        return NULL;
    }
    r = NULL;
    s = NULL;
    return CLO_TAKE(signature);
}

clo_status clo_key_verify_raw(const clo_key *key, clo_span message, const uint8_t rs[64])
{
    CLO_TRY(check_p256(key));
    CLO_AUTO_PTR(ECDSA_SIG) signature = signature_of(rs);
    CLO_TRY(CLO_OPENSSL(signature != NULL, CLO_NOMEM, "no memory for a signature"));
    uint8_t der[DER_SIGNATURE_MAX];
    uint8_t *at = der;
    int size = i2d_ECDSA_SIG(signature, &at);
    CLO_TRY(CLO_OPENSSL(size > 0, CLO_CRYPTO, "writing a signature as der"));
    return clo_key_verify(key, message, CLO_SPAN(der, (size_t)size));
}
