/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TEST_CRYPTO_FIXTURE_H
#define CLO_TEST_CRYPTO_FIXTURE_H

/*
 * What the tests of this room share: vectors as hex text, keys from their raw private bytes, and a
 * certificate with nothing unusual in it. A broken fixture ends the program: no test could mean
 * anything after it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloister/crypto.h"
#include "crypto_internal.h"
#include "test.h"

#define FIXTURE_NOW 1700000000

static inline void fixture_must(clo_status status, const char *what)
{
    if (!clo_ok(status)) {
        char text[512];
        clo_status_text(status, text, sizeof text);
        printf("Bail out! fixture '%s': %s\n", what, text);
        exit(1);
    }
}

/* A buf of the bytes a hex text stands for. */
static inline clo_buf fixture_hex(const char *hex)
{
    clo_buf bytes = CLO_BUF_INIT;
    fixture_must(clo_hex_append(clo_span_of_str(hex), 1 << 20, &bytes), hex);
    fixture_must(clo_buf_check(&bytes), hex);
    return bytes;
}

/* True when `size` bytes are those of the hex text, and no more are in it. */
static inline bool fixture_is(const void *bytes, size_t size, const char *hex)
{
    CLO_AUTO(clo_buf) expected = fixture_hex(hex);
    return clo_span_equal(CLO_SPAN(bytes, size), clo_buf_span(&expected));
}

static inline clo_key *fixture_key(clo_key_kind kind)
{
    clo_key *key = NULL;
    fixture_must(clo_key_generate(kind, &key), "generating a key");
    return key;
}

/* PKCS#8 of a raw private key, the way a person would hand it over. */
static inline clo_key *fixture_private(clo_key_kind kind, const char *raw_hex)
{
    CLO_AUTO(clo_buf) raw = fixture_hex(raw_hex);
    CLO_AUTO(clo_buf) der = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) pem = CLO_BUF_INIT;
    clo_key *key = NULL;
    clo_put_span(&der, clo_key_row_of(kind)->pkcs8_prefix);
    clo_put_span(&der, clo_buf_span(&raw));
    clo_pem_put(&pem, "PRIVATE KEY", clo_buf_span(&der));
    fixture_must(clo_key_parse_private_pem(clo_buf_span(&pem), &key), "private key");
    return key;
}

static inline clo_cert_request fixture_request(const clo_key *key)
{
    return (clo_cert_request){
        .subject_cn = "test",
        .subject_key = key,
        .issuer_key = key,
        .not_before = FIXTURE_NOW - 3600,
        .not_after = FIXTURE_NOW + 3600,
        .tls_usages = true,
    };
}

static inline clo_cert *fixture_cert(const clo_key *key)
{
    clo_cert *cert = NULL;
    clo_cert_request request = fixture_request(key);
    fixture_must(clo_cert_make(&request, &cert), "certificate");
    return cert;
}

#endif
