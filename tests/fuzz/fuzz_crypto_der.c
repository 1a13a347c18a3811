/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates, revocation lists and keys from outside, in every form that is accepted. What parses
 * must also answer all its questions, and be found again inside the bytes it came from.
 */
#include <stdlib.h>

#include "cloister/crypto.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (!clo_ok(clo_crypto_init())) {
        abort();
    }
    return 0;
}

/* Walks the elements of one level, and of one level inside each. */
static void walk_der(clo_span in, int depth)
{
    clo_reader reader = clo_reader_of(in);
    clo_der element;
    while (clo_reader_left(&reader) > 0 && clo_ok(clo_der_read(&reader, &element))) {
        if (element.whole.data < in.data || element.whole.size > in.size) {
            abort();
        }
        (void)clo_der_is_oid(&element, "1.2.840.113741.1.13.1");
        if (depth > 0) {
            walk_der(element.value, depth - 1);
        }
    }
}

static void ask_cert(const clo_cert *cert)
{
    clo_key *key = NULL;
    clo_span value;
    (void)clo_cert_extension(cert, "2.5.29.17", &value);
    (void)clo_cert_verify_signature(cert, cert);
    if (clo_ok(clo_cert_public_key(cert, &key)) &&
        !clo_span_equal(clo_key_spki(key), clo_cert_spki(cert))) {
        abort();
    }
    clo_key_free(key);
}

static void try_cert(clo_span in)
{
    clo_cert *cert = NULL;
    if (clo_ok(clo_cert_parse_der(in, &cert))) {
        if (!clo_span_equal(in, clo_cert_der(cert))) {
            abort();
        }
        ask_cert(cert);
        clo_cert_free(cert);
    }
}

static void try_chain(clo_span in)
{
    clo_cert *chain[4] = {NULL};
    size_t count = 0;
    if (clo_ok(clo_cert_parse_pem_chain(in, 4, chain, &count))) {
        for (size_t i = 0; i < count; i++) {
            ask_cert(chain[i]);
            clo_cert_free(chain[i]);
        }
    }
}

static void try_crl(clo_span in)
{
    clo_crl *crl = NULL;
    if (clo_ok(clo_crl_parse(in, &crl))) {
        (void)clo_crl_has(crl, CLO_SPAN("\x01", 1));
        (void)clo_crl_number(crl);
        clo_crl_free(crl);
    }
}

static void try_keys(clo_span in)
{
    clo_key *key = NULL;
    if (clo_ok(clo_key_parse_spki(in, &key))) {
        clo_key_free(key);
    }
    if (clo_ok(clo_key_parse_public_pem(in, &key))) {
        clo_key_free(key);
    }
    if (clo_ok(clo_key_parse_private_pem(in, &key))) {
        clo_key_free(key);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_span in = CLO_SPAN(data, size);
    walk_der(in, 3);
    try_cert(in);
    try_chain(in);
    try_crl(in);
    try_keys(in);
    return 0;
}
