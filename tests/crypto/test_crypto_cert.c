/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and revocation lists: what we make is what we read; hostile forms are refused; and
 * the vendors' real ones (Intel, AMD, RA-TLS samples) are read as OpenSSL reads them.
 */
#include "fixture.h"

#include <openssl/x509v3.h>

#define OID "1.3.6.1.4.1.99999.1.7"

typedef struct {
    clo_key *ca_key, *leaf_key;
    clo_cert *ca, *leaf;
} pair;

static void pair_cleanup(pair *p)
{
    clo_cert_free(p->ca);
    clo_cert_free(p->leaf);
    clo_key_free(p->ca_key);
    clo_key_free(p->leaf_key);
}

static pair make_pair(void)
{
    pair p = {.ca_key = fixture_key(CLO_KEY_P256), .leaf_key = fixture_key(CLO_KEY_ED25519)};
    clo_cert_request ca = fixture_request(p.ca_key);
    ca.subject_cn = "Test CA";
    ca.subject_o = "Cloister";
    ca.ca = true;
    ca.tls_usages = false;
    fixture_must(clo_cert_make(&ca, &p.ca), "ca");
    clo_cert_request leaf = fixture_request(p.leaf_key);
    leaf.subject_cn = "rank 0";
    leaf.issuer_key = p.ca_key;
    leaf.issuer_cert = p.ca;
    leaf.uri = "cloister:job/rank/0/1";
    leaf.extension_oid = OID;
    leaf.extension_value = CLO_SPAN("\x04\x02hi", 4);
    leaf.extension_critical = true;
    fixture_must(clo_cert_make(&leaf, &p.leaf), "leaf");
    return p;
}

static void a_certificate_says_what_was_asked(void)
{
    CLO_AUTO(pair) p = make_pair();
    clo_span value;
    CLO_AUTO_PTR(clo_key) key = NULL;
    T_CHECK(clo_span_equals_str(clo_cert_subject_cn(p.leaf), "rank 0"));
    T_CHECK(clo_span_equals_str(clo_cert_issuer_cn(p.leaf), "Test CA"));
    T_CHECK(clo_span_equal(clo_cert_issuer_der(p.leaf), clo_cert_subject_der(p.ca)));
    T_CHECK(!clo_span_equal(clo_cert_subject_der(p.leaf), clo_cert_subject_der(p.ca)));
    T_CHECK(clo_span_equals_str(clo_cert_uri(p.leaf), "cloister:job/rank/0/1"));
    T_INT(clo_cert_uri(p.ca).size, 0);
    T_INT(clo_cert_not_before(p.leaf), FIXTURE_NOW - 3600);
    T_INT(clo_cert_not_after(p.leaf), FIXTURE_NOW + 3600);
    T_CHECK(clo_cert_is_ca(p.ca) && !clo_cert_is_ca(p.leaf));
    T_INT(clo_cert_serial(p.leaf).size, 16);
    T_CHECK(!clo_span_equal(clo_cert_serial(p.leaf), clo_cert_serial(p.ca)));
    T_OK(clo_cert_extension(p.leaf, OID, &value));
    T_CHECK(clo_span_equal(value, CLO_SPAN("\x04\x02hi", 4)));
    T_CODE(clo_cert_extension(p.ca, OID, &value), CLO_NOTFOUND);
    T_CODE(clo_cert_extension(p.ca, "no oid", &value), CLO_INVALID);
    T_CHECK(clo_cert_extension_is_critical(p.leaf, OID));
    T_CHECK(!clo_cert_extension_is_critical(p.ca, OID));
    T_CHECK(!clo_cert_extension_is_critical(p.leaf, "no oid"));
    T_CHECK(!clo_cert_extension_is_critical(p.leaf, "2.5.29.17")); /* there, but not marked */
    T_CHECK(clo_cert_has_tls_usages(p.leaf) && !clo_cert_has_tls_usages(p.ca));
    T_OK(clo_cert_public_key(p.leaf, &key));
    T_CHECK(clo_key_same_public(key, p.leaf_key) && !clo_key_has_private(key));
    T_CHECK(clo_span_equal(clo_cert_spki(p.leaf), clo_key_spki(p.leaf_key)));
}

static void signatures_hold_for_the_issuer_only(void)
{
    CLO_AUTO(pair) p = make_pair();
    T_OK(clo_cert_verify_signature(p.leaf, p.ca));
    T_OK(clo_cert_verify_signature(p.ca, p.ca));
    T_OK(clo_cert_verify_signature_key(p.leaf, p.ca_key));
    T_CODE(clo_cert_verify_signature(p.leaf, p.leaf), CLO_CRYPTO);
    T_CODE(clo_cert_verify_signature(p.ca, p.leaf), CLO_CRYPTO);
    T_CODE(clo_cert_verify_signature_key(p.leaf, p.leaf_key), CLO_CRYPTO);
}

static void no_flipped_bit_survives_parsing_and_verification(void)
{
    CLO_AUTO(pair) p = make_pair();
    uint8_t der[1024];
    clo_span whole = clo_cert_der(p.leaf);
    T_CHECK(whole.size < sizeof der);
    memcpy(der, whole.data, whole.size);
    for (size_t bit = 0; bit < whole.size * 8; bit++) {
        CLO_AUTO_PTR(clo_cert) cert = NULL;
        der[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool accepted = clo_ok(clo_cert_parse_der(CLO_SPAN(der, whole.size), &cert)) &&
                        clo_ok(clo_cert_verify_signature(cert, p.ca));
        der[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (accepted) {
            clo_test_fail(__FILE__, __LINE__, "bit %zu flipped and accepted", bit);
            return;
        }
    }
}

static void truncated_and_extended_certificates_are_refused(void)
{
    CLO_AUTO(pair) p = make_pair();
    CLO_AUTO(clo_buf) der = CLO_BUF_INIT;
    clo_cert *cert = NULL;
    clo_put_span(&der, clo_cert_der(p.ca));
    T_CODE(clo_cert_parse_der(CLO_SPAN_EMPTY, &cert), CLO_LIMIT);
    for (size_t size = 1; size < der.size; size++) {
        T_CODE(clo_cert_parse_der(CLO_SPAN(der.data, size), &cert), CLO_FORMAT);
    }
    clo_put_u8(&der, 0);
    T_CODE(clo_cert_parse_der(clo_buf_span(&der), &cert), CLO_FORMAT);
    uint8_t *big = clo_buf_grow(&der, 70000);
    T_CHECK(big != NULL);
    T_CODE(clo_cert_parse_der(clo_buf_span(&der), &cert), CLO_LIMIT);
    T_CHECK(cert == NULL);
}

static void an_issuer_of_a_bare_key_has_the_name_given(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    CLO_AUTO_PTR(clo_key) issuer = fixture_key(CLO_KEY_P256);
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    clo_cert_request request = fixture_request(key);
    request.issuer_key = issuer;
    request.issuer_cn = "job CA";
    T_OK(clo_cert_make(&request, &cert));
    T_CHECK(clo_span_equals_str(clo_cert_issuer_cn(cert), "job CA"));
    T_OK(clo_cert_verify_signature_key(cert, issuer));
    CLO_AUTO_PTR(clo_key) bare = NULL;
    T_OK(clo_key_parse_spki(clo_key_spki(issuer), &bare));
    request.issuer_key = bare;
    clo_cert *none = NULL;
    T_CODE(clo_cert_make(&request, &none), CLO_INVALID);
}

static void an_extension_that_occurs_twice_is_refused(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    CLO_AUTO_PTR(clo_cert) once = NULL;
    clo_cert *twice = NULL;
    clo_cert_request request = fixture_request(key);
    request.extension_oid = OID;
    request.extension_value = CLO_SPAN("\x05\x00", 2);
    T_OK(clo_cert_make(&request, &once));
    request.extension_oid = "2.5.29.19"; /* basicConstraints, which is there already */
    request.extension_value = CLO_SPAN("\x30\x03\x01\x01\xff", 5);
    T_CODE(clo_cert_make(&request, &twice), CLO_FORMAT);
    T_CHECK(twice == NULL);
}

/* A certificate that OpenSSL makes and we would not: the hostile hand. */
static clo_status parse_x509(X509 *x509, const clo_key *key, const EVP_MD *digest,
                             clo_cert **out_cert)
{
    uint8_t *der = NULL;
    if (X509_sign(x509, key->pkey, digest) <= 0) {
        CLO_FAIL(CLO_BUG, "signing");
    }
    int size = i2d_X509(x509, &der);
    clo_status status = clo_cert_parse_der(CLO_SPAN(der, (size_t)size), out_cert);
    OPENSSL_free(der);
    return status;
}

static X509 *raw_x509(const clo_key *key, long serial)
{
    X509 *x509 = X509_new();
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), serial);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                               (const unsigned char *)"hostile", -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key->pkey);
    return x509;
}

static void add_text(X509 *x509, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
}

static void add_names(X509 *x509, const char *value)
{
    add_text(x509, NID_subject_alt_name, value);
}

static void a_sha1_signature_is_not_accepted_though_it_holds(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    CLO_AUTO_PTR(X509) x509 = raw_x509(key, 7);
    CLO_AUTO_PTR(clo_cert) weak = NULL;
    CLO_AUTO_PTR(clo_cert) strong = NULL;
    T_OK(parse_x509(x509, key, EVP_sha1(), &weak));
    T_CODE(clo_cert_verify_signature(weak, weak), CLO_CRYPTO);
    T_OK(parse_x509(x509, key, EVP_sha256(), &strong));
    T_OK(clo_cert_verify_signature(strong, strong));
}

static void a_negative_serial_is_refused(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    CLO_AUTO_PTR(X509) x509 = raw_x509(key, -7);
    clo_cert *cert = NULL;
    T_CODE(parse_x509(x509, key, EVP_sha256(), &cert), CLO_FORMAT);
}

static void two_uris_are_none_and_other_names_do_not_count(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    CLO_AUTO_PTR(X509) one = raw_x509(key, 1);
    CLO_AUTO_PTR(X509) two = raw_x509(key, 2);
    CLO_AUTO_PTR(clo_cert) cert_one = NULL;
    CLO_AUTO_PTR(clo_cert) cert_two = NULL;
    add_names(one, "DNS:a.example,URI:cloister:a,IP:127.0.0.1");
    add_names(two, "URI:cloister:a,URI:cloister:b");
    T_OK(parse_x509(one, key, EVP_sha256(), &cert_one));
    T_CHECK(clo_span_equals_str(clo_cert_uri(cert_one), "cloister:a"));
    T_OK(parse_x509(two, key, EVP_sha256(), &cert_two));
    T_INT(clo_cert_uri(cert_two).size, 0);
}

static void ca_needs_both_the_constraint_and_the_usage(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    CLO_AUTO_PTR(X509) x509 = raw_x509(key, 1);
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    add_text(x509, NID_basic_constraints, "CA:TRUE");
    T_OK(parse_x509(x509, key, EVP_sha256(), &cert));
    T_CHECK(!clo_cert_is_ca(cert));
}

static void tls_usages_are_both_ends_and_signing(void)
{
    static const struct {
        const char *extended, *key;
        bool allowed;
    } cases[] = {
        {"serverAuth,clientAuth", "digitalSignature", true},
        {"serverAuth", "digitalSignature", false},
        {"clientAuth", "digitalSignature", false},
        {"serverAuth,clientAuth", "keyCertSign", false},
        {"serverAuth,clientAuth", NULL, false},
        {NULL, "digitalSignature", false},
    };

    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLO_AUTO_PTR(X509) x509 = raw_x509(key, 1);
        CLO_AUTO_PTR(clo_cert) cert = NULL;
        if (cases[i].extended != NULL) {
            add_text(x509, NID_ext_key_usage, cases[i].extended);
        }
        if (cases[i].key != NULL) {
            add_text(x509, NID_key_usage, cases[i].key);
        }
        T_OK(parse_x509(x509, key, EVP_sha256(), &cert));
        T_INT(clo_cert_has_tls_usages(cert), cases[i].allowed);
    }
}

static void a_pem_chain_keeps_its_order_and_its_cap(void)
{
    CLO_AUTO(pair) p = make_pair();
    CLO_AUTO(clo_buf) pem = CLO_BUF_INIT;
    clo_cert *chain[3] = {NULL, NULL, NULL};
    size_t count = 0;
    T_OK(clo_cert_write_pem(p.leaf, &pem));
    T_OK(clo_cert_write_pem(p.ca, &pem));
    clo_put_bytes(&pem, "\r\n \0", 4);
    T_OK(clo_cert_parse_pem_chain(clo_buf_span(&pem), 3, chain, &count));
    T_INT(count, 2);
    T_CHECK(clo_span_equal(clo_cert_der(chain[0]), clo_cert_der(p.leaf)));
    T_CHECK(clo_span_equal(clo_cert_der(chain[1]), clo_cert_der(p.ca)));
    for (size_t i = 0; i < count; i++) {
        clo_cert_free(chain[i]);
        chain[i] = NULL;
    }
    T_CODE(clo_cert_parse_pem_chain(clo_buf_span(&pem), 1, chain, &count), CLO_LIMIT);
    T_CODE(clo_cert_parse_pem_chain(CLO_SPAN_EMPTY, 3, chain, &count), CLO_FORMAT);
    clo_put_str(&pem, "junk");
    T_CODE(clo_cert_parse_pem_chain(clo_buf_span(&pem), 3, chain, &count), CLO_FORMAT);
    T_CHECK(chain[0] == NULL && chain[1] == NULL);
}

/* ---------------------------------------------------------------- CRL ------------------------- */

static void make_crl(const pair *p, clo_span *serials, size_t count, clo_buf *out)
{
    fixture_must(
        clo_crl_make(p->ca_key, p->ca, FIXTURE_NOW, FIXTURE_NOW + 86400, serials, count, out),
        "crl");
}

static void a_crl_reads_the_same_as_der_pem_and_hex(void)
{
    CLO_AUTO(pair) p = make_pair();
    CLO_AUTO(clo_buf) der = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) pem = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) hex = CLO_BUF_INIT;
    clo_span revoked[] = {clo_cert_serial(p.leaf), CLO_SPAN("\x01", 1)};
    make_crl(&p, revoked, 2, &der);
    clo_pem_put(&pem, "X509 CRL", clo_buf_span(&der));
    clo_put_hex(&hex, clo_buf_span(&der));
    clo_put_bytes(&hex, "\n\0", 2);
    clo_span forms[] = {clo_buf_span(&der), clo_buf_span(&pem), clo_buf_span(&hex)};
    for (size_t i = 0; i < 3; i++) {
        CLO_AUTO_PTR(clo_crl) crl = NULL;
        T_OK(clo_crl_parse(forms[i], &crl));
        T_CHECK(clo_span_equal(clo_crl_issuer_der(crl), clo_cert_subject_der(p.ca)));
        T_INT(clo_crl_this_update(crl), FIXTURE_NOW);
        T_INT(clo_crl_next_update(crl), FIXTURE_NOW + 86400);
        T_INT(clo_crl_number(crl), FIXTURE_NOW);
        T_CHECK(clo_crl_has(crl, clo_cert_serial(p.leaf)) && clo_crl_has(crl, revoked[1]));
        T_CHECK(!clo_crl_has(crl, clo_cert_serial(p.ca)));
        T_OK(clo_crl_verify_signature(crl, p.ca));
        T_CODE(clo_crl_verify_signature(crl, p.leaf), CLO_CRYPTO);
    }
}

static void serials_match_as_numbers(void)
{
    CLO_AUTO(pair) p = make_pair();
    CLO_AUTO(clo_buf) der = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_crl) crl = NULL;
    clo_span revoked[] = {CLO_SPAN("\x00\x80\x01", 3)};
    make_crl(&p, revoked, 1, &der);
    T_OK(clo_crl_parse(clo_buf_span(&der), &crl));
    T_CHECK(clo_crl_has(crl, CLO_SPAN("\x80\x01", 2)));
    T_CHECK(clo_crl_has(crl, CLO_SPAN("\x00\x00\x80\x01", 4)));
    T_CHECK(!clo_crl_has(crl, CLO_SPAN("\x80", 1)));
    T_CHECK(!clo_crl_has(crl, CLO_SPAN_EMPTY));
}

static void no_flipped_bit_of_a_crl_survives(void)
{
    CLO_AUTO(pair) p = make_pair();
    CLO_AUTO(clo_buf) der = CLO_BUF_INIT;
    make_crl(&p, NULL, 0, &der);
    for (size_t bit = 0; bit < der.size * 8; bit++) {
        CLO_AUTO_PTR(clo_crl) crl = NULL;
        der.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool accepted = clo_ok(clo_crl_parse(clo_buf_span(&der), &crl)) &&
                        clo_ok(clo_crl_verify_signature(crl, p.ca));
        der.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        T_CHECK(!accepted);
    }
}

static void malformed_crls_are_refused(void)
{
    CLO_AUTO(pair) p = make_pair();
    CLO_AUTO(clo_buf) der = CLO_BUF_INIT;
    clo_crl *crl = NULL;
    make_crl(&p, NULL, 0, &der);
    for (size_t size = 1; size < der.size; size++) {
        T_CODE(clo_crl_parse(CLO_SPAN(der.data, size), &crl), CLO_FORMAT);
    }
    clo_put_u8(&der, 0);
    T_CODE(clo_crl_parse(clo_buf_span(&der), &crl), CLO_FORMAT);
    T_CODE(clo_crl_parse(CLO_SPAN_EMPTY, &crl), CLO_LIMIT);
    T_CODE(clo_crl_parse(clo_span_of_str("30820"), &crl), CLO_FORMAT);
    T_CODE(clo_crl_parse(clo_span_of_str("hello"), &crl), CLO_FORMAT);
    T_CODE(clo_crl_parse(clo_cert_der(p.ca), &crl), CLO_FORMAT);
    T_CHECK(crl == NULL);
}

static void a_delta_crl_is_refused(void)
{
    CLO_AUTO(pair) p = make_pair();
    CLO_AUTO(clo_buf) der = CLO_BUF_INIT;
    make_crl(&p, NULL, 0, &der);
    const uint8_t *at = der.data;
    CLO_AUTO_PTR(X509_CRL) list = d2i_X509_CRL(NULL, &at, (long)der.size);
    CLO_AUTO_PTR(ASN1_INTEGER) base = ASN1_INTEGER_new();
    T_CHECK(X509_CRL_add1_ext_i2d(list, NID_delta_crl, base, 1, 0) == 1);
    T_CHECK(X509_CRL_sign(list, p.ca_key->pkey, EVP_sha256()) > 0);
    uint8_t *bytes = NULL;
    int size = i2d_X509_CRL(list, &bytes);
    clo_crl *crl = NULL;
    clo_status status = clo_crl_parse(CLO_SPAN(bytes, (size_t)size), &crl);
    OPENSSL_free(bytes);
    T_CODE(status, CLO_UNSUPPORTED);
}

/* ---------------------------------------------------------------- the vendors' ---------------- */

static clo_cert *first_of(const clo_json *root, const char *name)
{
    clo_cert *chain[4] = {NULL};
    size_t count = 0;
    clo_span text;
    fixture_must(clo_json_str(root, name, &text), name);
    fixture_must(clo_cert_parse_pem_chain(text, 4, chain, &count), name);
    fixture_must(clo_cert_verify_signature(chain[0], chain[count - 1]), name);
    for (size_t i = 1; i < count; i++) {
        clo_cert_free(chain[i]);
    }
    return chain[0];
}

static void intels_chains_and_lists_hold(void)
{
    const char *path = clo_test_shared("vectors/sgx/v3-00906ed50000-outofdate-0b5bc7/"
                                       "collateral.json");
    if (path == NULL) {
        T_SKIP("../shared is absent");
    }
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root;
    clo_span text;
    clo_test_read(path, &file);
    T_OK(clo_json_parse(clo_buf_span(&file), &arena, &root));
    CLO_AUTO_PTR(clo_cert) pck_ca = first_of(root, "pck_crl_issuer_chain");
    CLO_AUTO_PTR(clo_cert) signer = first_of(root, "tcb_info_issuer_chain");
    CLO_AUTO_PTR(clo_crl) pck_crl = NULL;
    T_CHECK(clo_cert_is_ca(pck_ca) && !clo_cert_is_ca(signer));
    T_CHECK(clo_span_equals_str(clo_cert_issuer_cn(signer), "Intel SGX Root CA"));
    T_OK(clo_json_str(root, "pck_crl", &text));
    T_OK(clo_crl_parse(text, &pck_crl));
    T_OK(clo_crl_verify_signature(pck_crl, pck_ca));
    T_CODE(clo_crl_verify_signature(pck_crl, signer), CLO_CRYPTO);
    T_CHECK(clo_crl_number(pck_crl) > 0 && clo_crl_next_update(pck_crl) > 0);
}

static void intels_roots_sign_themselves(void)
{
    static const char *const names[] = {"vectors/trust/intel-sgx-root-ca.der",
                                        "vectors/trust/intel-sgx-root-ca-2033-old.der"};
    for (size_t i = 0; i < 2; i++) {
        const char *path = clo_test_shared(names[i]);
        if (path == NULL) {
            T_SKIP("../shared is absent");
        }
        CLO_AUTO(clo_buf) der = CLO_BUF_INIT;
        CLO_AUTO_PTR(clo_cert) root = NULL;
        CLO_AUTO_PTR(clo_key) key = NULL;
        clo_test_read(path, &der);
        T_OK(clo_cert_parse_der(clo_buf_span(&der), &root));
        T_CHECK(clo_cert_is_ca(root));
        T_OK(clo_cert_verify_signature(root, root));
        T_OK(clo_cert_public_key(root, &key));
        T_INT(clo_key_get_kind(key), CLO_KEY_P256);
    }
}

static clo_cert *read_amd(const char *name)
{
    const char *path = clo_test_shared(name);
    if (path == NULL) {
        return NULL;
    }
    CLO_AUTO(clo_buf) pem = CLO_BUF_INIT;
    clo_cert *chain[1] = {NULL};
    size_t count;
    clo_test_read(path, &pem);
    fixture_must(clo_cert_parse_pem_chain(clo_buf_span(&pem), 1, chain, &count), name);
    return chain[0];
}

static void amds_rsa_pss_chain_and_list_hold(void)
{
    CLO_AUTO_PTR(clo_cert) ark = read_amd("vectors/trust/amd-milan-ark.pem");
    CLO_AUTO_PTR(clo_cert) ask = read_amd("vectors/trust/amd-milan-ask.pem");
    CLO_AUTO_PTR(clo_cert) genoa = read_amd("vectors/trust/amd-genoa-ark.pem");
    if (ark == NULL || ask == NULL || genoa == NULL) {
        T_SKIP("../shared is absent");
    }
    CLO_AUTO(clo_buf) der = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_crl) crl = NULL;
    clo_key *key = NULL;
    T_OK(clo_cert_verify_signature(ark, ark));
    T_OK(clo_cert_verify_signature(ask, ark));
    T_CODE(clo_cert_verify_signature(ask, genoa), CLO_CRYPTO);
    T_CODE(clo_cert_public_key(ark, &key), CLO_UNSUPPORTED);
    clo_test_read(clo_test_shared("vectors/trust/amd-ark-milan-crl.der"), &der);
    T_OK(clo_crl_parse(clo_buf_span(&der), &crl));
    T_INT(clo_crl_number(crl), 3);
    T_OK(clo_crl_verify_signature(crl, ark));
    T_CODE(clo_crl_verify_signature(crl, genoa), CLO_CRYPTO);
}

static void a_revoked_amd_key_is_in_its_list(void)
{
    CLO_AUTO_PTR(clo_cert) ask = read_amd("vectors/trust/amd-genoa-ask-revoked-020001.pem");
    CLO_AUTO_PTR(clo_cert) good = read_amd("vectors/trust/amd-genoa-ask.pem");
    if (ask == NULL || good == NULL) {
        T_SKIP("../shared is absent");
    }
    CLO_AUTO(clo_buf) der = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_crl) crl = NULL;
    clo_test_read(clo_test_shared("vectors/trust/amd-ark-genoa-crl.der"), &der);
    T_OK(clo_crl_parse(clo_buf_span(&der), &crl));
    T_CHECK(clo_crl_has(crl, clo_cert_serial(ask)));
    T_CHECK(!clo_crl_has(crl, clo_cert_serial(good)));
}

static void ra_tls_samples_are_read(void)
{
    static const char *const names[] = {"gramine-interop-and-legacy", "intel-legacy-ppid-quote",
                                        "openenclave-legacy-ec", "rats-tls-interop-occlum",
                                        "rats-tls-legacy-rsa"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char relative[128];
        snprintf(relative, sizeof relative, "vectors/ratls/%s/cert.der", names[i]);
        const char *path = clo_test_shared(relative);
        if (path == NULL) {
            T_SKIP("../shared is absent");
        }
        CLO_AUTO(clo_buf) der = CLO_BUF_INIT;
        CLO_AUTO_PTR(clo_cert) cert = NULL;
        clo_test_read(path, &der);
        T_OK(clo_cert_parse_der(clo_buf_span(&der), &cert));
    }
}

/* ---------------------------------------------------------------- DER ------------------------- */

typedef struct {
    const char *hex;
    bool good;
} der_case;

static const der_case der_cases[] = {
    {"0500", true},
    {"0203010203", true},
    {"0481800000", false},
    {"04", false},
    {"", false},
    {"0401", false},
    {"0480", false},
    {"048101ff", false},
    {"04820001ff", false},
    {"0485000000000100", false},
    {"04ff", false},
    {"1f0100", false},
    {"0484ffffffff00", false},
    {"30023000", true},
};

static void der_lengths_are_minimal_and_fit(void)
{
    for (size_t i = 0; i < sizeof der_cases / sizeof *der_cases; i++) {
        CLO_AUTO(clo_buf) bytes = fixture_hex(der_cases[i].hex);
        clo_reader reader = clo_reader_of(clo_buf_span(&bytes));
        clo_der element;
        clo_status status = clo_der_read(&reader, &element);
        T_CODE(status, der_cases[i].good ? CLO_OK : CLO_FORMAT);
        if (der_cases[i].good) {
            T_INT(element.whole.size, bytes.size);
            T_INT(element.value.size, bytes.size - 2);
        }
    }
}

static void long_der_lengths_are_read(void)
{
    static uint8_t bytes[4 + 300] = {0x04, 0x82, 0x01, 0x2c};
    clo_reader reader = clo_reader_of(CLO_SPAN_OF(bytes));
    clo_der element;
    T_OK(clo_der_read(&reader, &element));
    T_INT(element.value.size, 300);
    T_OK(clo_reader_finish(&reader, "element"));
}

static void oids_compare_with_their_dotted_form(void)
{
    static const uint8_t sgx[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};
    clo_reader reader = clo_reader_of(CLO_SPAN_OF(sgx));
    clo_der element;
    T_OK(clo_der_read(&reader, &element));
    T_CHECK(clo_der_is_oid(&element, "1.2.840.113741.1.13.1"));
    T_CHECK(!clo_der_is_oid(&element, "1.2.840.113741.1.13"));
    T_CHECK(!clo_der_is_oid(&element, "1.2.840.113741.1.13.1.1"));
    T_CHECK(!clo_der_is_oid(&element, "1.2.840.113741.1.13.x"));
    T_CHECK(!clo_der_is_oid(&element, ""));
    element.tag = 0x04;
    T_CHECK(!clo_der_is_oid(&element, "1.2.840.113741.1.13.1"));
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(a_certificate_says_what_was_asked),
        T(signatures_hold_for_the_issuer_only),
        T(no_flipped_bit_survives_parsing_and_verification),
        T(truncated_and_extended_certificates_are_refused),
        T(an_issuer_of_a_bare_key_has_the_name_given),
        T(an_extension_that_occurs_twice_is_refused),
        T(a_sha1_signature_is_not_accepted_though_it_holds),
        T(a_negative_serial_is_refused),
        T(two_uris_are_none_and_other_names_do_not_count),
        T(ca_needs_both_the_constraint_and_the_usage),
        T(tls_usages_are_both_ends_and_signing),
        T(a_pem_chain_keeps_its_order_and_its_cap),
        T(a_crl_reads_the_same_as_der_pem_and_hex),
        T(serials_match_as_numbers),
        T(no_flipped_bit_of_a_crl_survives),
        T(malformed_crls_are_refused),
        T(a_delta_crl_is_refused),
        T(intels_chains_and_lists_hold),
        T(intels_roots_sign_themselves),
        T(amds_rsa_pss_chain_and_list_hold),
        T(a_revoked_amd_key_is_in_its_list),
        T(ra_tls_samples_are_read),
        T(der_lengths_are_minimal_and_fit),
        T(long_der_lengths_are_read),
        T(oids_compare_with_their_dotted_form),
    };
    fixture_must(clo_crypto_init(), "clo_crypto_init");
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
