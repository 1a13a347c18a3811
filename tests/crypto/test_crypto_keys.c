/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys: encodings, files, raw P-256, and what must be refused. Keys made by another program are
 * played by OpenSSL's own encoder.
 */
#include "fixture.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

static const clo_key_kind kinds[] = {CLO_KEY_ED25519, CLO_KEY_X25519, CLO_KEY_P256};

#define KIND_COUNT (sizeof kinds / sizeof *kinds)

static void every_kind_round_trips_through_pem(void)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        CLO_AUTO_PTR(clo_key) key = fixture_key(kinds[i]);
        CLO_AUTO_PTR(clo_key) public_key = NULL;
        CLO_AUTO_PTR(clo_key) private_key = NULL;
        CLO_AUTO(clo_buf) pem = CLO_BUF_INIT;
        CLO_AUTO(clo_secret) secret = CLO_SECRET_INIT;
        T_OK(clo_key_write_public_pem(key, &pem));
        T_OK(clo_key_write_private_pem(key, &secret));
        T_OK(clo_key_parse_public_pem(clo_buf_span(&pem), &public_key));
        T_OK(clo_key_parse_private_pem(clo_secret_span(&secret), &private_key));
        T_CHECK(clo_key_same_public(key, public_key) && clo_key_same_public(key, private_key));
        T_CHECK(!clo_key_has_private(public_key) && clo_key_has_private(private_key));
        T_INT(clo_key_get_kind(private_key), kinds[i]);
        uint8_t a[32], b[32];
        clo_key_id(key, a);
        T_OK(clo_sha256(clo_key_spki(public_key), b));
        T_CHECK(memcmp(a, b, 32) == 0);
    }
}

static void our_pem_is_what_openssl_writes(void)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        CLO_AUTO_PTR(clo_key) key = fixture_key(kinds[i]);
        CLO_AUTO(clo_buf) pem = CLO_BUF_INIT;
        CLO_AUTO(clo_secret) secret = CLO_SECRET_INIT;
        BIO *bio = BIO_new(BIO_s_mem());
        char *text;
        T_OK(clo_key_write_private_pem(key, &secret));
        T_CHECK(PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) == 1);
        size_t size = (size_t)BIO_get_mem_data(bio, &text);
        T_CHECK(clo_span_equal(CLO_SPAN(text, size), clo_secret_span(&secret)));
        BIO_reset(bio);
        T_OK(clo_key_write_public_pem(key, &pem));
        T_CHECK(PEM_write_bio_PUBKEY(bio, key->pkey) == 1);
        size = (size_t)BIO_get_mem_data(bio, &text);
        T_CHECK(clo_span_equal(CLO_SPAN(text, size), clo_buf_span(&pem)));
        BIO_free(bio);
    }
}

static void a_key_on_another_curve_or_of_another_kind_is_unsupported(void)
{
    EVP_PKEY *foreign[] = {EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"),
                           EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        clo_key *key = NULL;
        uint8_t *der = NULL;
        int size = i2d_PUBKEY(foreign[i], &der);
        T_CODE(clo_key_parse_spki(CLO_SPAN(der, (size_t)size), &key), CLO_UNSUPPORTED);
        OPENSSL_free(der);
        BIO *bio = BIO_new(BIO_s_mem());
        char *text;
        PEM_write_bio_PKCS8PrivateKey(bio, foreign[i], NULL, NULL, 0, NULL, NULL);
        clo_span pem = CLO_SPAN(NULL, (size_t)BIO_get_mem_data(bio, &text));
        pem.data = (const uint8_t *)text;
        T_CODE(clo_key_parse_private_pem(pem, &key), CLO_UNSUPPORTED);
        BIO_free(bio);
        EVP_PKEY_free(foreign[i]);
    }
}

static void every_truncation_and_extension_of_a_public_key_is_refused(void)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        CLO_AUTO_PTR(clo_key) key = fixture_key(kinds[i]);
        clo_span der = clo_key_spki(key);
        uint8_t bytes[CLO_SPKI_MAX + 1] = {0};
        memcpy(bytes, der.data, der.size);
        for (size_t size = 0; size <= der.size + 1; size++) {
            clo_key *parsed = NULL;
            clo_status status = clo_key_parse_spki(CLO_SPAN(bytes, size), &parsed);
            T_INT(clo_ok(status), size == der.size);
            clo_key_free(parsed);
        }
    }
}

static void a_compressed_point_is_refused_but_a_private_key_with_one_is_normalised(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    EVP_PKEY *copy = EVP_PKEY_dup(key->pkey);
    T_CHECK(EVP_PKEY_set_utf8_string_param(copy, "point-format", "compressed") == 1);
    uint8_t *der = NULL;
    int size = i2d_PUBKEY(copy, &der);
    clo_key *parsed = NULL;
    T_INT(size, 59);
    T_CODE(clo_key_parse_spki(CLO_SPAN(der, (size_t)size), &parsed), CLO_UNSUPPORTED);
    OPENSSL_free(der);
    T_OK(clo_key_from_pkey(copy, true, &parsed));
    T_CHECK(clo_key_same_public(key, parsed));
    clo_key_free(parsed);
}

static void garbage_in_pem_is_refused(void)
{
    static const char *const texts[] = {
        "",
        "   \n",
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAA*A\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nMAAw\n",
        "-----BEGIN EC PRIVATE KEY-----\nMAAw\n-----END EC PRIVATE KEY-----\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAAw\n-----END ENCRYPTED PRIVATE KEY-----\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        clo_key *key = NULL;
        T_CODE(clo_key_parse_private_pem(clo_span_of_str(texts[i]), &key), CLO_FORMAT);
        T_CODE(clo_key_parse_public_pem(clo_span_of_str(texts[i]), &key), CLO_FORMAT);
        T_CHECK(key == NULL);
    }
}

static void a_private_key_with_anothers_public_key_is_refused(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    CLO_AUTO_PTR(clo_key) other = fixture_key(CLO_KEY_P256);
    CLO_AUTO(clo_secret) pem = CLO_SECRET_INIT;
    CLO_AUTO(clo_buf) der = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) forged = CLO_BUF_INIT;
    T_OK(clo_key_write_private_pem(key, &pem));
    clo_reader reader = clo_reader_of(clo_secret_span(&pem));
    T_OK(clo_pem_read(&reader, "PRIVATE KEY", 1000, &der));
    T_INT(der.size, 138);
    memcpy(der.data + der.size - 65, clo_key_raw_public(other).data, 65);
    clo_pem_put(&forged, "PRIVATE KEY", clo_buf_span(&der));
    clo_key *parsed = NULL;
    T_CODE(clo_key_parse_private_pem(clo_buf_span(&forged), &parsed), CLO_CRYPTO);
    T_CHECK(parsed == NULL);
}

static void a_second_block_or_text_after_a_key_is_refused(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_ED25519);
    CLO_AUTO(clo_buf) pem = CLO_BUF_INIT;
    clo_key *parsed = NULL;
    T_OK(clo_key_write_public_pem(key, &pem));
    size_t one = pem.size;
    T_OK(clo_key_write_public_pem(key, &pem));
    T_CODE(clo_key_parse_public_pem(clo_buf_span(&pem), &parsed), CLO_FORMAT);
    pem.size = one;
    clo_put_str(&pem, "x");
    T_CODE(clo_key_parse_public_pem(clo_buf_span(&pem), &parsed), CLO_FORMAT);
    pem.data[one] = '\n';
    T_OK(clo_key_parse_public_pem(clo_buf_span(&pem), &parsed));
    clo_key_free(parsed);
}

static void private_files_are_0600_and_refused_when_open_to_others(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    char private_path[512], public_path[512];
    struct stat info;
    clo_key *read = NULL;
    T_OK(clo_path_join(private_path, sizeof private_path, clo_test_folder(), "k.key"));
    T_OK(clo_path_join(public_path, sizeof public_path, clo_test_folder(), "k.pub"));
    T_OK(clo_key_write_files(key, private_path, public_path));
    T_INT(stat(private_path, &info), 0);
    T_INT(info.st_mode & 0777, 0600);
    T_OK(clo_key_read_private_file(private_path, &read));
    T_CHECK(clo_key_same_public(key, read) && clo_key_has_private(read));
    clo_key_free(CLO_TAKE(read));
    T_OK(clo_key_read_public_file(public_path, &read));
    T_CHECK(clo_key_same_public(key, read));
    clo_key_free(CLO_TAKE(read));
    T_INT(chmod(private_path, 0640), 0);
    T_CODE(clo_key_read_private_file(private_path, &read), CLO_INVALID);
    T_INT(chmod(private_path, 0604), 0);
    T_CODE(clo_key_read_private_file(private_path, &read), CLO_INVALID);
    T_CODE(clo_key_read_private_file(clo_test_folder(), &read), CLO_INVALID);
    T_CODE(clo_key_read_private_file("/nonexistent/key", &read), CLO_NOTFOUND);
    T_CODE(clo_key_read_public_file(private_path, &read), CLO_FORMAT);
    T_CHECK(read == NULL);
}

static void signatures_hold_for_their_key_and_message_only(void)
{
    static const clo_key_kind signing[] = {CLO_KEY_ED25519, CLO_KEY_P256};
    for (size_t i = 0; i < 2; i++) {
        CLO_AUTO_PTR(clo_key) key = fixture_key(signing[i]);
        CLO_AUTO_PTR(clo_key) other = fixture_key(signing[i]);
        CLO_AUTO_PTR(clo_key) foreign = fixture_key(signing[1 - i]);
        CLO_AUTO(clo_buf) signature = CLO_BUF_INIT;
        clo_span message = clo_span_of_str("message");
        T_OK(clo_key_sign(key, message, &signature));
        T_OK(clo_key_verify(key, message, clo_buf_span(&signature)));
        T_CODE(clo_key_verify(key, clo_span_of_str("massage"), clo_buf_span(&signature)),
               CLO_CRYPTO);
        T_CODE(clo_key_verify(other, message, clo_buf_span(&signature)), CLO_CRYPTO);
        T_CODE(clo_key_verify(foreign, message, clo_buf_span(&signature)), CLO_CRYPTO);
        T_CODE(clo_key_verify(key, message, CLO_SPAN_EMPTY), CLO_CRYPTO);
        T_CODE(clo_key_verify(key, message, CLO_SPAN(signature.data, signature.size - 1)),
               CLO_CRYPTO);
        clo_put_u8(&signature, 0);
        T_CODE(clo_key_verify(key, message, clo_buf_span(&signature)), CLO_CRYPTO);
    }
}

static void a_public_key_and_an_x25519_key_do_not_sign(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    CLO_AUTO_PTR(clo_key) agreement = fixture_key(CLO_KEY_X25519);
    CLO_AUTO_PTR(clo_key) public_key = NULL;
    CLO_AUTO(clo_buf) signature = CLO_BUF_INIT;
    CLO_AUTO(clo_secret) pem = CLO_SECRET_INIT;
    T_OK(clo_key_parse_spki(clo_key_spki(key), &public_key));
    T_CODE(clo_key_sign(public_key, CLO_SPAN_EMPTY, &signature), CLO_INVALID);
    T_CODE(clo_key_sign(agreement, CLO_SPAN_EMPTY, &signature), CLO_INVALID);
    T_CODE(clo_key_verify(agreement, CLO_SPAN_EMPTY, CLO_SPAN_EMPTY), CLO_INVALID);
    T_CODE(clo_key_write_private_pem(public_key, &pem), CLO_INVALID);
}

static void raw_signatures_equal_der_ones(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    CLO_AUTO_PTR(clo_key) ed25519 = fixture_key(CLO_KEY_ED25519);
    CLO_AUTO_PTR(clo_key) again = NULL;
    uint8_t xy[64], rs[64];
    clo_span message = clo_span_of_str("quote");
    T_OK(clo_key_get_p256_raw(key, xy));
    T_OK(clo_key_from_p256_raw(xy, &again));
    T_CHECK(clo_key_same_public(key, again));
    for (int i = 0; i < 50; i++) {
        T_OK(clo_key_sign_raw(key, message, rs));
        T_OK(clo_key_verify_raw(again, message, rs));
    }
    T_CODE(clo_key_sign_raw(ed25519, message, rs), CLO_INVALID);
    T_CODE(clo_key_verify_raw(ed25519, message, rs), CLO_INVALID);
    T_CODE(clo_key_get_p256_raw(ed25519, xy), CLO_INVALID);
}

static void points_off_the_curve_and_zero_signatures_are_refused(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    uint8_t xy[64], zero[64] = {0};
    clo_key *parsed = NULL;
    T_OK(clo_key_get_p256_raw(key, xy));
    xy[63] ^= 1;
    T_CODE(clo_key_from_p256_raw(xy, &parsed), CLO_CRYPTO);
    T_CODE(clo_key_from_p256_raw(zero, &parsed), CLO_CRYPTO);
    T_CHECK(parsed == NULL);
    T_CODE(clo_key_verify_raw(key, clo_span_of_str("x"), zero), CLO_CRYPTO);
}

static void a_failure_leaves_openssls_queue_empty(void)
{
    clo_key *parsed = NULL;
    uint8_t zero[64] = {0};
    T_CODE(clo_key_from_p256_raw(zero, &parsed), CLO_CRYPTO);
    T_CHECK(ERR_peek_error() == 0);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(every_kind_round_trips_through_pem),
        T(our_pem_is_what_openssl_writes),
        T(a_key_on_another_curve_or_of_another_kind_is_unsupported),
        T(every_truncation_and_extension_of_a_public_key_is_refused),
        T(a_compressed_point_is_refused_but_a_private_key_with_one_is_normalised),
        T(garbage_in_pem_is_refused),
        T(a_private_key_with_anothers_public_key_is_refused),
        T(a_second_block_or_text_after_a_key_is_refused),
        T(private_files_are_0600_and_refused_when_open_to_others),
        T(signatures_hold_for_their_key_and_message_only),
        T(a_public_key_and_an_x25519_key_do_not_sign),
        T(raw_signatures_equal_der_ones),
        T(points_off_the_curve_and_zero_signatures_are_refused),
        T(a_failure_leaves_openssls_queue_empty),
    };
    fixture_must(clo_crypto_init(), "clo_crypto_init");
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
