/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start of the room: OpenSSL without its configuration file, a library context of our own, the
 * algorithms fetched once, and a known-answer test before anything relies on them.
 *
 * OPENSSL_CONF and the file it names belong to the host, which chooses nothing (trust.md 1): the
 * no-config flag must therefore reach OpenSSL before any other call of it does, and once it has,
 * later implicit initialisation cannot load the file any more.
 *
 * Vectors: FIPS 180-2 B.1 (SHA-256), the GCM specification's test case 14, RFC 8032 7.1 test 1.
 */
#include "crypto_internal.h"
#include "tls.h"

#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <string.h>

static clo_crypto_state state;
static bool ready;
static clo_saved_status outcome;
static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

const clo_crypto_state *clo_crypto(void)
{
    CLO_ASSERT(ready);
    return &state;
}

static clo_status fetch_algorithms(clo_crypto_state *s)
{
    s->sha256 = EVP_MD_fetch(s->lib, "SHA256", NULL);
    s->sha384 = EVP_MD_fetch(s->lib, "SHA384", NULL);
    s->sha512 = EVP_MD_fetch(s->lib, "SHA512", NULL);
    s->aes_gcm = EVP_CIPHER_fetch(s->lib, "AES-256-GCM", NULL);
    s->hkdf = EVP_KDF_fetch(s->lib, "HKDF", NULL);
    s->scrypt = EVP_KDF_fetch(s->lib, "SCRYPT", NULL);
    bool all = s->sha256 != NULL && s->sha384 != NULL && s->sha512 != NULL && s->aes_gcm != NULL &&
               s->hkdf != NULL && s->scrypt != NULL;
    return CLO_OPENSSL(all, CLO_UNSUPPORTED, "fetching an algorithm from openssl");
}

static clo_status make_state(clo_crypto_state *s)
{
    uint64_t options = OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT;
    CLO_TRY(CLO_OPENSSL(OPENSSL_init_ssl(options, NULL) == 1, CLO_CRYPTO, "initialising openssl"));
    s->lib = OSSL_LIB_CTX_new();
    CLO_TRY(CLO_OPENSSL(s->lib != NULL, CLO_NOMEM, "making the library context"));
    CLO_TRY(CLO_OPENSSL(OSSL_PROVIDER_load(s->lib, "default") != NULL, CLO_CRYPTO,
                        "loading openssl's default provider"));
    CLO_TRY(fetch_algorithms(s));
    CLO_TRY(clo_tls_bio_method_new(&s->tls_transport));
    return clo_tls_context_new(s->lib, &s->tls);
}

static clo_status test_hash(void)
{
    static const uint8_t expected[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                         0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                         0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
                                         0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    uint8_t digest[32];
    CLO_TRY(clo_sha256(CLO_SPAN("abc", 3), digest));
    CLO_CHECK(memcmp(digest, expected, 32) == 0, CLO_CRYPTO, "self-test of SHA-256 failed");
    return CLO_STATUS_OK;
}

static clo_status test_aead(void)
{
    static const uint8_t cipher[16] = {0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e,
                                       0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18};
    static const uint8_t tag[16] = {0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0,
                                    0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19};
    static const uint8_t zeros[32];
    uint8_t out[16], out_tag[16];
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_AUTO_PTR(clo_aead) aead = NULL;
    CLO_TRY(clo_secret_copy(CLO_SPAN_OF(zeros), &key));
    CLO_TRY(clo_aead_new(&key, &aead));
    CLO_TRY(clo_aead_seal(aead, zeros, CLO_SPAN_EMPTY, CLO_SPAN(zeros, 16), out, out_tag));
    CLO_CHECK(memcmp(out, cipher, 16) == 0 && memcmp(out_tag, tag, 16) == 0, CLO_CRYPTO,
              "self-test of AES-256-GCM failed");
    out_tag[15] ^= 1;
    clo_status forged =
        clo_aead_open(aead, zeros, CLO_SPAN_EMPTY, CLO_SPAN(cipher, 16), out_tag, out);
    CLO_CHECK(forged.code == CLO_CRYPTO, CLO_CRYPTO, "self-test: AES-256-GCM took a wrong tag");
    return CLO_STATUS_OK;
}

static clo_status test_signature(void)
{
    static const uint8_t raw[32] = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7,
                                    0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
                                    0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25,
                                    0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};
    static const uint8_t signature[64] = {
        0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72, 0x90, 0x86, 0xe2, 0xcc, 0x80,
        0x6e, 0x82, 0x8a, 0x84, 0x87, 0x7f, 0x1e, 0xb8, 0xe5, 0xd9, 0x74, 0xd8, 0x73,
        0xe0, 0x65, 0x22, 0x49, 0x01, 0x55, 0x5f, 0xb8, 0x82, 0x15, 0x90, 0xa3, 0x3b,
        0xac, 0xc6, 0x1e, 0x39, 0x70, 0x1c, 0xf9, 0xb4, 0x6b, 0xd2, 0x5b, 0xf5, 0xf0,
        0x59, 0x5b, 0xbe, 0x24, 0x65, 0x51, 0x41, 0x43, 0x8e, 0x7a, 0x10, 0x0b};
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_TRY(clo_key_from_raw_public(CLO_KEY_ED25519, CLO_SPAN_OF(raw), &key));
    CLO_TRY_CTX(clo_key_verify(key, CLO_SPAN_EMPTY, CLO_SPAN_OF(signature)),
                "self-test of ed25519");
    clo_status forged = clo_key_verify(key, CLO_SPAN("x", 1), CLO_SPAN_OF(signature));
    CLO_CHECK(forged.code == CLO_CRYPTO, CLO_CRYPTO, "self-test: ed25519 took a forged message");
    return CLO_STATUS_OK;
}

static clo_status self_test(void)
{
    CLO_TRY(test_hash());
    CLO_TRY(test_aead());
    return test_signature();
}

static void initialise(void)
{
    clo_status made = make_state(&state);
    ready = clo_ok(made);
    if (ready) {
        made = self_test();
        ready = clo_ok(made);
    }
    clo_status_save(made, &outcome);
}

clo_status clo_crypto_init(void)
{
    CLO_CHECK(CRYPTO_THREAD_run_once(&once, initialise) == 1, CLO_BUG, "running once failed");
    return outcome.code == CLO_OK ? CLO_STATUS_OK : clo_status_restore(&outcome);
}
