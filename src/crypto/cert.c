/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading X.509 certificates (RFC 5280). OpenSSL parses and checks signatures; the parts that other
 * rooms compare byte for byte (names, key, serial) are cut from our own copy of the DER, so that no
 * re-encoding stands between what was signed and what is compared.
 *
 *     Certificate = SEQ { TBS = SEQ { [0] version, serial, SEQ algorithm, SEQ issuer,
 *                                     SEQ validity, SEQ subject, SEQ spki, ... }, algorithm, bits }
 *
 * Whether a certificate is trusted is decided by the caller, from these facts and its own anchor:
 * nothing here builds chains, and there is no store.
 */
#include "crypto_internal.h"

#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define CERT_MAX       (64u << 10)
#define EXTENSIONS_MAX 64
#define CHAIN_TEXT_MAX (1u << 20)
#define CERT_LABEL     "CERTIFICATE"

/* Signatures that are accepted on certificates and CRLs: ours and Intel's (ECDSA, Ed25519), AMD's
 * (RSA-PSS). SHA-1, MD5 and PKCS#1 v1.5 are not. */
static const int signature_nids[] = {NID_ecdsa_with_SHA256, NID_ecdsa_with_SHA384, NID_ED25519,
                                     NID_rsassaPss};

clo_status clo_signature_allowed(int signature_nid)
{
    for (size_t i = 0; i < sizeof signature_nids / sizeof *signature_nids; i++) {
        if (signature_nids[i] == signature_nid) {
            return CLO_STATUS_OK;
        }
    }
    const char *name = OBJ_nid2sn(signature_nid);
    CLO_FAIL(CLO_CRYPTO, "signature algorithm '%s' is not accepted", name != NULL ? name : "?");
}

clo_status clo_asn1_time(const ASN1_TIME *time, const char *what, int64_t *out_unix_seconds)
{
    struct tm parts = {0};
    CLO_TRY(CLO_OPENSSL(time != NULL && ASN1_TIME_to_tm(time, &parts) == 1, CLO_FORMAT,
                        "%s is not a time", what));
    *out_unix_seconds = (int64_t)timegm(&parts);
    return CLO_STATUS_OK;
}

clo_span clo_asn1_magnitude(const ASN1_INTEGER *integer)
{
    if (integer == NULL || ASN1_STRING_type(integer) == V_ASN1_NEG_INTEGER) {
        return CLO_SPAN_EMPTY;
    }
    return CLO_SPAN(ASN1_STRING_get0_data(integer), (size_t)ASN1_STRING_length(integer));
}

void clo_cert_free(clo_cert *cert)
{
    if (cert != NULL) {
        X509_free(cert->x509);
        clo_free(cert->der);
        clo_free(cert->uri);
        clo_free(cert);
    }
}

/* The elements of TBSCertificate up to the key, in order. */
static clo_status cut_parts(clo_cert *cert)
{
    clo_der whole, tbs, skipped, issuer, subject, spki;
    clo_reader reader = clo_reader_of(clo_cert_der(cert));
    CLO_TRY(clo_der_expect(&reader, 0x30, "certificate", &whole));
    CLO_TRY(clo_reader_finish(&reader, "certificate"));
    reader = clo_reader_of(whole.value);
    CLO_TRY(clo_der_expect(&reader, 0x30, "certificate body", &tbs));
    reader = clo_reader_of(tbs.value);
    CLO_TRY(clo_der_expect(&reader, 0xa0, "certificate version", &skipped));
    CLO_TRY(clo_der_expect(&reader, 0x02, "certificate serial", &skipped));
    CLO_TRY(clo_der_expect(&reader, 0x30, "certificate algorithm", &skipped));
    CLO_TRY(clo_der_expect(&reader, 0x30, "certificate issuer", &issuer));
    CLO_TRY(clo_der_expect(&reader, 0x30, "certificate validity", &skipped));
    CLO_TRY(clo_der_expect(&reader, 0x30, "certificate subject", &subject));
    CLO_TRY(clo_der_expect(&reader, 0x30, "certificate key", &spki));
    cert->issuer = issuer.whole;
    cert->subject = subject.whole;
    cert->spki = spki.whole;
    return CLO_STATUS_OK;
}

/* Two extensions with one identifier would let two readers see two certificates. */
static clo_status check_extensions_once(const X509 *x509)
{
    int count = X509_get_ext_count(x509);
    CLO_CHECK(count <= EXTENSIONS_MAX, CLO_LIMIT, "certificate has %d extensions, at most %d",
              count, EXTENSIONS_MAX);
    for (int i = 0; i < count; i++) {
        const ASN1_OBJECT *id = X509_EXTENSION_get_object(X509_get_ext(x509, i));
        CLO_CHECK(X509_get_ext_by_OBJ(x509, id, i) < 0, CLO_FORMAT,
                  "certificate has an extension twice");
    }
    return CLO_STATUS_OK;
}

static clo_span first_common_name(const X509_NAME *name)
{
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0) {
        return CLO_SPAN_EMPTY;
    }
    const ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    return CLO_SPAN(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
}

/* The only URI of the names, NULL when there is none or several. */
static const ASN1_IA5STRING *only_uri(const GENERAL_NAMES *names)
{
    const ASN1_IA5STRING *found = NULL;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_URI && found != NULL) {
            return NULL;
        }
        if (name->type == GEN_URI) {
            found = name->d.uniformResourceIdentifier;
        }
    }
    return found;
}

/* A URI with a NUL inside would read differently as text, so it is none. */
static clo_status copy_uri(const ASN1_IA5STRING *uri, char **out_text)
{
    size_t size = (size_t)ASN1_STRING_length(uri);
    const uint8_t *data = ASN1_STRING_get0_data(uri);
    CLO_CHECK(memchr(data, 0, size) == NULL, CLO_FORMAT, "certificate URI holds a NUL");
    char *text = clo_alloc(size + 1);
    CLO_CHECK(text != NULL, CLO_NOMEM, "no memory for a URI");
    memcpy(text, data, size);
    *out_text = text;
    return CLO_STATUS_OK;
}

static clo_status read_uri(clo_cert *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert->x509, NID_subject_alt_name, NULL, NULL);
    clo_openssl_forget();
    const ASN1_IA5STRING *uri = names != NULL ? only_uri(names) : NULL;
    clo_status status = uri != NULL ? copy_uri(uri, &cert->uri) : CLO_STATUS_OK;
    GENERAL_NAMES_free(names);
    return status;
}

/* OpenSSL gives all usages for an extension that is absent. */
static bool allows_tls(X509 *x509, uint32_t flags)
{
    const uint32_t both = XKU_SSL_SERVER | XKU_SSL_CLIENT;
    return (flags & EXFLAG_XKUSAGE) != 0 && (X509_get_extended_key_usage(x509) & both) == both &&
           (flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(x509) & KU_DIGITAL_SIGNATURE) != 0;
}

static clo_status read_facts(clo_cert *cert)
{
    X509 *x509 = cert->x509;
    CLO_TRY(check_extensions_once(x509));
    cert->serial = clo_asn1_magnitude(X509_get0_serialNumber(x509));
    CLO_CHECK(cert->serial.size != 0, CLO_FORMAT, "certificate serial is negative");
    CLO_TRY(clo_asn1_time(X509_get0_notBefore(x509), "certificate notBefore", &cert->not_before));
    CLO_TRY(clo_asn1_time(X509_get0_notAfter(x509), "certificate notAfter", &cert->not_after));
    cert->subject_cn = first_common_name(X509_get_subject_name(x509));
    cert->issuer_cn = first_common_name(X509_get_issuer_name(x509));
    /* Decodes and caches all known extensions, so that later reads from any thread only read. */
    uint32_t flags = X509_get_extension_flags(x509);
    clo_openssl_forget();
    CLO_CHECK((flags & EXFLAG_INVALID) == 0, CLO_FORMAT, "certificate has a malformed extension");
    cert->is_ca = (flags & EXFLAG_CA) != 0 && (flags & EXFLAG_BCONS) != 0 &&
                  (flags & EXFLAG_KUSAGE) != 0 &&
                  (X509_get_key_usage(x509) & KU_KEY_CERT_SIGN) != 0;
    cert->tls_usages = allows_tls(x509, flags);
    return read_uri(cert);
}

/* A certificate with its bytes and their parts, still without what OpenSSL says of it. */
static clo_status new_from_bytes(clo_span der, clo_cert **out_cert)
{
    CLO_CHECK(der.size > 0 && der.size <= CERT_MAX, CLO_LIMIT,
              "certificate has %zu bytes, expected 1 to %u", der.size, CERT_MAX);
    CLO_AUTO_PTR(clo_cert) cert = clo_alloc(sizeof *cert);
    CLO_CHECK(cert != NULL, CLO_NOMEM, "no memory for a certificate");
    cert->der = clo_alloc(der.size);
    CLO_CHECK(cert->der != NULL, CLO_NOMEM, "no memory for a certificate");
    memcpy(cert->der, der.data, der.size);
    cert->der_size = der.size;
    CLO_TRY(cut_parts(cert));
    *out_cert = CLO_TAKE(cert);
    return CLO_STATUS_OK;
}

clo_status clo_cert_parse_der(clo_span der, clo_cert **out_cert)
{
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    CLO_TRY(new_from_bytes(der, &cert));
    const uint8_t *at = cert->der;
    cert->x509 = X509_new_ex(clo_crypto()->lib, NULL);
    CLO_TRY(CLO_OPENSSL(cert->x509 != NULL, CLO_NOMEM, "no memory for a certificate"));
    CLO_TRY(CLO_OPENSSL(d2i_X509(&cert->x509, &at, (long)der.size) != NULL, CLO_FORMAT,
                        "reading a certificate"));
    CLO_TRY(read_facts(cert));
    *out_cert = CLO_TAKE(cert);
    return CLO_STATUS_OK;
}

static clo_status share_x509(clo_span der, X509 *x509, clo_cert **out_cert)
{
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    CLO_TRY(new_from_bytes(der, &cert));
    CLO_TRY(CLO_OPENSSL(X509_up_ref(x509) == 1, CLO_BUG, "sharing a certificate"));
    cert->x509 = x509;
    CLO_TRY(read_facts(cert));
    *out_cert = CLO_TAKE(cert);
    return CLO_STATUS_OK;
}

clo_status clo_cert_from_x509(X509 *x509, clo_cert **out_cert)
{
    uint8_t *der = NULL;
    int size = i2d_X509(x509, &der);
    CLO_TRY(CLO_OPENSSL(size > 0, CLO_FORMAT, "reading the peer's certificate"));
    clo_status status = share_x509(CLO_SPAN(der, (size_t)size), x509, out_cert);
    OPENSSL_free(der);
    return status;
}

static clo_status parse_next_pem(clo_reader *reader, clo_cert **out_cert)
{
    CLO_AUTO(clo_buf) der = CLO_BUF_LIMIT(CERT_MAX);
    CLO_TRY(clo_pem_read(reader, CERT_LABEL, CERT_MAX, &der));
    return clo_cert_parse_der(clo_buf_span(&der), out_cert);
}

static void free_all(clo_cert **certs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        clo_cert_free(certs[i]);
        certs[i] = NULL;
    }
}

/* Fills `certs` until the text ends; what was filled is counted also when it fails. */
static clo_status parse_chain(clo_span pem, size_t max, clo_cert **certs, size_t *count)
{
    clo_reader reader = clo_reader_of(clo_text_trim(pem));
    while (clo_reader_left(&reader) > 0) {
        CLO_CHECK(*count < max, CLO_LIMIT, "chain has more than %zu certificates", max);
        CLO_TRY_CTX(parse_next_pem(&reader, &certs[*count]), "certificate %zu of the chain",
                    *count);
        (*count)++;
    }
    CLO_CHECK(*count > 0, CLO_FORMAT, "chain has no certificate");
    return CLO_STATUS_OK;
}

clo_status clo_cert_parse_pem_chain(clo_span pem, size_t max, clo_cert **out_certs,
                                    size_t *out_count)
{
    CLO_CHECK(pem.size <= CHAIN_TEXT_MAX, CLO_LIMIT, "chain has %zu bytes, at most %u", pem.size,
              CHAIN_TEXT_MAX);
    size_t count = 0;
    clo_status status = parse_chain(pem, max, out_certs, &count);
    if (!clo_ok(status)) {
        free_all(out_certs, count);
        return status;
    }
    *out_count = count;
    return CLO_STATUS_OK;
}

clo_span clo_cert_der(const clo_cert *cert)
{
    return CLO_SPAN(cert->der, cert->der_size);
}

clo_status clo_cert_write_pem(const clo_cert *cert, clo_buf *out)
{
    clo_pem_put(out, CERT_LABEL, clo_cert_der(cert));
    return clo_buf_check(out);
}

clo_span clo_cert_subject_der(const clo_cert *cert)
{
    return cert->subject;
}

clo_span clo_cert_issuer_der(const clo_cert *cert)
{
    return cert->issuer;
}

clo_span clo_cert_subject_cn(const clo_cert *cert)
{
    return cert->subject_cn;
}

clo_span clo_cert_issuer_cn(const clo_cert *cert)
{
    return cert->issuer_cn;
}

clo_span clo_cert_serial(const clo_cert *cert)
{
    return cert->serial;
}

clo_span clo_cert_spki(const clo_cert *cert)
{
    return cert->spki;
}

int64_t clo_cert_not_before(const clo_cert *cert)
{
    return cert->not_before;
}

int64_t clo_cert_not_after(const clo_cert *cert)
{
    return cert->not_after;
}

bool clo_cert_is_ca(const clo_cert *cert)
{
    return cert->is_ca;
}

clo_span clo_cert_uri(const clo_cert *cert)
{
    return cert->uri != NULL ? clo_span_of_str(cert->uri) : CLO_SPAN_EMPTY;
}

/* -1 when there is none. */
static clo_status find_extension(const clo_cert *cert, const char *oid, int *out_at)
{
    CLO_AUTO_PTR(ASN1_OBJECT) id = OBJ_txt2obj(oid, 1);
    CLO_TRY(CLO_OPENSSL(id != NULL, CLO_INVALID, "'%s' is no object identifier", oid));
    *out_at = X509_get_ext_by_OBJ(cert->x509, id, -1);
    return CLO_STATUS_OK;
}

clo_status clo_cert_extension(const clo_cert *cert, const char *oid, clo_span *out_value)
{
    int at;
    CLO_TRY(find_extension(cert, oid, &at));
    CLO_CHECK(at >= 0, CLO_NOTFOUND, "certificate has no extension %s", oid);
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(cert->x509, at));
    *out_value = CLO_SPAN(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    return CLO_STATUS_OK;
}

bool clo_cert_extension_is_critical(const clo_cert *cert, const char *oid)
{
    int at;
    return clo_ok(find_extension(cert, oid, &at)) && at >= 0 &&
           X509_EXTENSION_get_critical(X509_get_ext(cert->x509, at)) == 1;
}

bool clo_cert_has_tls_usages(const clo_cert *cert)
{
    return cert->tls_usages;
}

clo_status clo_cert_public_key(const clo_cert *cert, clo_key **out_key)
{
    return clo_key_parse_spki(cert->spki, out_key);
}

/* X509_verify also compares the algorithm inside the signed part with the one outside. */
static clo_status verify_with(const clo_cert *cert, EVP_PKEY *issuer)
{
    CLO_TRY(clo_signature_allowed(X509_get_signature_nid(cert->x509)));
    bool done = issuer != NULL && X509_verify(cert->x509, issuer) == 1;
    return CLO_OPENSSL(done, CLO_CRYPTO, "certificate signature does not match");
}

clo_status clo_cert_verify_signature(const clo_cert *cert, const clo_cert *issuer)
{
    return verify_with(cert, X509_get0_pubkey(issuer->x509));
}

clo_status clo_cert_verify_signature_key(const clo_cert *cert, const clo_key *issuer)
{
    return verify_with(cert, issuer->pkey);
}
