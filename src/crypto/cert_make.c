/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making X.509 v3 certificates: channel certificates, job certificates of the broker, and the
 * simulator's vendor. Extensions are few and mostly constant, so they are written as DER constants:
 * what stands in a certificate can be read here byte for byte.
 */
#include "crypto_internal.h"

#include <string.h>

#define SERIAL_SIZE 16
#define URI_MAX     120

static const uint8_t is_ca[] = {0x30, 0x03, 0x01, 0x01, 0xff};
static const uint8_t is_leaf[] = {0x30, 0x00};
static const uint8_t use_ca[] = {0x03, 0x02, 0x01, 0x06};   /* keyCertSign, cRLSign */
static const uint8_t use_leaf[] = {0x03, 0x02, 0x07, 0x80}; /* digitalSignature */
static const uint8_t use_tls[] = {0x30, 0x14, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03,
                                  0x01, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02};

ASN1_TIME *clo_asn1_time_new(int64_t unix_seconds)
{
    return ASN1_TIME_adj(NULL, (time_t)unix_seconds, 0, 0);
}

ASN1_INTEGER *clo_asn1_integer_new(clo_span magnitude)
{
    CLO_AUTO_PTR(BIGNUM) number = BN_bin2bn(magnitude.data, (int)magnitude.size, NULL);
    return number != NULL ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
}

const EVP_MD *clo_sign_digest(const clo_key *key)
{
    return key->kind == CLO_KEY_ED25519 ? NULL : clo_crypto()->sha256;
}

static clo_status add_extension(X509 *x509, const char *oid, bool critical, clo_span value)
{
    CLO_AUTO_PTR(ASN1_OBJECT) id = OBJ_txt2obj(oid, 1);
    CLO_TRY(CLO_OPENSSL(id != NULL, CLO_INVALID, "'%s' is no object identifier", oid));
    CLO_AUTO_PTR(ASN1_OCTET_STRING) octets = ASN1_OCTET_STRING_new();
    bool copied = octets != NULL && ASN1_OCTET_STRING_set(octets, value.data, (int)value.size) == 1;
    CLO_AUTO_PTR(X509_EXTENSION)
    extension = copied ? X509_EXTENSION_create_by_OBJ(NULL, id, critical, octets) : NULL;
    return CLO_OPENSSL(extension != NULL && X509_add_ext(x509, extension, -1) == 1, CLO_NOMEM,
                       "adding extension %s", oid);
}

/* GeneralNames with one uniformResourceIdentifier; short lengths, as the cap allows. */
static clo_status add_uri(X509 *x509, const char *uri)
{
    clo_span text = clo_span_of_str(uri);
    CLO_CHECK(text.size <= URI_MAX, CLO_LIMIT, "URI has %zu bytes, at most %d", text.size, URI_MAX);
    CLO_AUTO(clo_buf) names = CLO_BUF_INIT;
    clo_put_u8(&names, 0x30);
    clo_put_u8(&names, (uint8_t)(text.size + 2));
    clo_put_u8(&names, 0x86);
    clo_put_u8(&names, (uint8_t)text.size);
    clo_put_span(&names, text);
    CLO_TRY(clo_buf_check(&names));
    return add_extension(x509, "2.5.29.17", false, clo_buf_span(&names));
}

static clo_status add_extensions(X509 *x509, const clo_cert_request *request)
{
    clo_span basic = request->ca ? CLO_SPAN_OF(is_ca) : CLO_SPAN_OF(is_leaf);
    clo_span usage = request->ca ? CLO_SPAN_OF(use_ca) : CLO_SPAN_OF(use_leaf);
    CLO_TRY(add_extension(x509, "2.5.29.19", true, basic));
    CLO_TRY(add_extension(x509, "2.5.29.15", true, usage));
    if (request->tls_usages) {
        CLO_TRY(add_extension(x509, "2.5.29.37", false, CLO_SPAN_OF(use_tls)));
    }
    if (request->uri != NULL) {
        CLO_TRY(add_uri(x509, request->uri));
    }
    if (request->extension_oid != NULL) {
        CLO_TRY(add_extension(x509, request->extension_oid, request->extension_critical,
                              request->extension_value));
    }
    return CLO_STATUS_OK;
}

static bool put_name(X509_NAME *name, int nid, const char *text)
{
    return text == NULL || X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8,
                                                      (const unsigned char *)text, -1, -1, 0) == 1;
}

static clo_status set_subject(X509 *x509, const clo_cert_request *request)
{
    CLO_AUTO_PTR(X509_NAME) name = X509_NAME_new();
    bool done = name != NULL && put_name(name, NID_organizationName, request->subject_o) &&
                put_name(name, NID_commonName, request->subject_cn) &&
                X509_set_subject_name(x509, name) == 1;
    return CLO_OPENSSL(done, CLO_INVALID, "subject name '%s'", request->subject_cn);
}

/* The issuer certificate's subject; or the bare key's name; or our own when self-signed. */
static clo_status set_issuer(X509 *x509, const clo_cert_request *request)
{
    if (request->issuer_cert == NULL && request->issuer_cn != NULL) {
        CLO_AUTO_PTR(X509_NAME) name = X509_NAME_new();
        bool done = name != NULL && put_name(name, NID_commonName, request->issuer_cn) &&
                    X509_set_issuer_name(x509, name) == 1;
        return CLO_OPENSSL(done, CLO_INVALID, "issuer name '%s'", request->issuer_cn);
    }
    const X509 *from = request->issuer_cert != NULL ? request->issuer_cert->x509 : x509;
    return CLO_OPENSSL(X509_set_issuer_name(x509, X509_get_subject_name(from)) == 1, CLO_NOMEM,
                       "setting the issuer's name");
}

/* Random and positive, with a fixed length: the top bits are 01. */
static clo_status set_serial(X509 *x509)
{
    uint8_t serial[SERIAL_SIZE];
    CLO_TRY(clo_random_bytes(serial, sizeof serial));
    serial[0] = (uint8_t)((serial[0] & 0x3f) | 0x40);
    CLO_AUTO_PTR(ASN1_INTEGER) number = clo_asn1_integer_new(CLO_SPAN_OF(serial));
    return CLO_OPENSSL(number != NULL && X509_set_serialNumber(x509, number) == 1, CLO_NOMEM,
                       "setting the serial");
}

static clo_status set_times(X509 *x509, const clo_cert_request *request)
{
    CLO_AUTO_PTR(ASN1_TIME) begin = clo_asn1_time_new(request->not_before);
    CLO_AUTO_PTR(ASN1_TIME) end = clo_asn1_time_new(request->not_after);
    bool done = begin != NULL && end != NULL && X509_set1_notBefore(x509, begin) == 1 &&
                X509_set1_notAfter(x509, end) == 1;
    return CLO_OPENSSL(done, CLO_INVALID, "setting the validity");
}

static clo_status parse_made(X509 *x509, clo_cert **out_cert)
{
    uint8_t *der = NULL;
    int size = i2d_X509(x509, &der);
    CLO_TRY(CLO_OPENSSL(size > 0, CLO_NOMEM, "writing a certificate"));
    clo_status status = clo_cert_parse_der(CLO_SPAN(der, (size_t)size), out_cert);
    OPENSSL_free(der);
    return status;
}

clo_status clo_cert_make(const clo_cert_request *request, clo_cert **out_cert)
{
    CLO_CHECK(request->subject_cn != NULL && request->subject_key != NULL &&
                  request->issuer_key != NULL && request->issuer_key->has_private,
              CLO_INVALID, "a certificate needs a name, a key and a private key that signs");
    CLO_AUTO_PTR(X509) x509 = X509_new_ex(clo_crypto()->lib, NULL);
    CLO_TRY(CLO_OPENSSL(x509 != NULL && X509_set_version(x509, X509_VERSION_3) == 1, CLO_NOMEM,
                        "no memory for a certificate"));
    CLO_TRY(set_serial(x509));
    CLO_TRY(set_subject(x509, request));
    CLO_TRY(set_issuer(x509, request));
    CLO_TRY(set_times(x509, request));
    CLO_TRY(CLO_OPENSSL(X509_set_pubkey(x509, request->subject_key->pkey) == 1, CLO_CRYPTO,
                        "setting the key"));
    CLO_TRY(add_extensions(x509, request));
    const clo_key *signer = request->issuer_key;
    CLO_TRY(CLO_OPENSSL(X509_sign(x509, signer->pkey, clo_sign_digest(signer)) > 0, CLO_CRYPTO,
                        "signing a certificate"));
    return parse_made(x509, out_cert);
}
