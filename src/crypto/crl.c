/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificate revocation lists (RFC 5280 section 5): complete, direct lists only. Delta and
 * partitioned lists mark themselves with critical extensions; as a serial that is missing from such
 * a list may still be revoked, every critical extension is refused.
 *
 * Vendors hand lists out as DER, PEM or hex of DER; the first byte tells: DER begins with 0x30,
 * which is the digit '0', but hex of it begins with the digit '3'.
 */
#include "crypto_internal.h"

#include <openssl/x509v3.h>
#include <string.h>

#define CRL_MAX   (4u << 20)
#define CRL_LABEL "X509 CRL"

struct clo_crl {
    X509_CRL *crl;
    clo_span issuer; /* inside der */
    uint8_t *der;
    size_t der_size;
    int64_t this_update, next_update;
    uint64_t number;
};

void clo_crl_free(clo_crl *crl)
{
    if (crl != NULL) {
        X509_CRL_free(crl->crl);
        clo_free(crl->der);
        clo_free(crl);
    }
}

/* CertificateList = SEQ { TBS = SEQ { version, SEQ algorithm, SEQ issuer, ... }, ... } */
static clo_status cut_issuer(clo_crl *crl)
{
    clo_der whole, tbs, skipped, issuer;
    clo_reader reader = clo_reader_of(CLO_SPAN(crl->der, crl->der_size));
    CLO_TRY(clo_der_expect(&reader, 0x30, "crl", &whole));
    CLO_TRY(clo_reader_finish(&reader, "crl"));
    reader = clo_reader_of(whole.value);
    CLO_TRY(clo_der_expect(&reader, 0x30, "crl body", &tbs));
    reader = clo_reader_of(tbs.value);
    CLO_TRY(clo_der_expect(&reader, 0x02, "crl version", &skipped));
    CLO_TRY(clo_der_expect(&reader, 0x30, "crl algorithm", &skipped));
    CLO_TRY(clo_der_expect(&reader, 0x30, "crl issuer", &issuer));
    crl->issuer = issuer.whole;
    return CLO_STATUS_OK;
}

static clo_status check_extensions(const X509_CRL *crl)
{
    for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
        X509_EXTENSION *extension = X509_CRL_get_ext(crl, i);
        CLO_CHECK(X509_EXTENSION_get_critical(extension) == 0, CLO_UNSUPPORTED,
                  "crl has a critical extension: it is not a complete list");
    }
    return CLO_STATUS_OK;
}

static clo_status read_number(const X509_CRL *crl, uint64_t *out_number)
{
    int critical = -1;
    CLO_AUTO_PTR(ASN1_INTEGER)
    number = X509_CRL_get_ext_d2i(crl, NID_crl_number, &critical, NULL);
    clo_openssl_forget();
    *out_number = 0;
    CLO_CHECK(number != NULL || critical == -1, CLO_FORMAT, "crl number is malformed or twice");
    if (number == NULL) {
        return CLO_STATUS_OK;
    }
    return CLO_OPENSSL(ASN1_INTEGER_get_uint64(out_number, number) == 1, CLO_FORMAT,
                       "crl number is above 64 bits");
}

static clo_status read_facts(clo_crl *crl)
{
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl->crl);
    CLO_TRY(check_extensions(crl->crl));
    CLO_TRY(clo_asn1_time(X509_CRL_get0_lastUpdate(crl->crl), "crl thisUpdate", &crl->this_update));
    if (next != NULL) {
        CLO_TRY(clo_asn1_time(next, "crl nextUpdate", &crl->next_update));
    }
    return read_number(crl->crl, &crl->number);
}

static clo_status parse_der(clo_span der, clo_crl **out_crl)
{
    CLO_AUTO_PTR(clo_crl) crl = clo_alloc(sizeof *crl);
    CLO_CHECK(crl != NULL, CLO_NOMEM, "no memory for a crl");
    crl->der = clo_alloc(der.size);
    CLO_CHECK(crl->der != NULL, CLO_NOMEM, "no memory for a crl");
    memcpy(crl->der, der.data, der.size);
    crl->der_size = der.size;
    CLO_TRY(cut_issuer(crl));
    const uint8_t *at = crl->der;
    crl->crl = X509_CRL_new_ex(clo_crypto()->lib, NULL);
    CLO_TRY(CLO_OPENSSL(crl->crl != NULL, CLO_NOMEM, "no memory for a crl"));
    CLO_TRY(CLO_OPENSSL(d2i_X509_CRL(&crl->crl, &at, (long)der.size) != NULL, CLO_FORMAT,
                        "reading a crl"));
    CLO_TRY(read_facts(crl));
    *out_crl = CLO_TAKE(crl);
    return CLO_STATUS_OK;
}

static clo_status parse_pem(clo_span pem, clo_crl **out_crl)
{
    CLO_AUTO(clo_buf) der = CLO_BUF_LIMIT(CRL_MAX);
    clo_reader reader = clo_reader_of(clo_text_trim(pem));
    CLO_TRY(clo_pem_read(&reader, CRL_LABEL, CRL_MAX, &der));
    CLO_TRY(clo_reader_finish(&reader, "crl"));
    return parse_der(clo_buf_span(&der), out_crl);
}

static clo_status parse_hex(clo_span hex, clo_crl **out_crl)
{
    CLO_AUTO(clo_buf) der = CLO_BUF_LIMIT(CRL_MAX);
    CLO_TRY_CTX(clo_hex_append(clo_text_trim(hex), CRL_MAX, &der), "crl");
    CLO_TRY(clo_buf_check(&der));
    return parse_der(clo_buf_span(&der), out_crl);
}

clo_status clo_crl_parse(clo_span der_or_pem_or_hex, clo_crl **out_crl)
{
    clo_span in = der_or_pem_or_hex;
    CLO_CHECK(in.size > 0 && in.size <= 2 * CRL_MAX, CLO_LIMIT,
              "crl has %zu bytes, expected 1 to %u", in.size, 2 * CRL_MAX);
    switch (in.data[0]) {
    case 0x30:
        return parse_der(in, out_crl);
    case '3':
        return parse_hex(in, out_crl);
    default:
        return parse_pem(in, out_crl);
    }
}

clo_span clo_crl_issuer_der(const clo_crl *crl)
{
    return crl->issuer;
}

int64_t clo_crl_this_update(const clo_crl *crl)
{
    return crl->this_update;
}

int64_t clo_crl_next_update(const clo_crl *crl)
{
    return crl->next_update;
}

uint64_t clo_crl_number(const clo_crl *crl)
{
    return crl->number;
}

static clo_span without_zeros(clo_span number)
{
    while (number.size > 0 && number.data[0] == 0) {
        number.data++;
        number.size--;
    }
    return number;
}

/* Our own walk, not OpenSSL's lookup, which sorts the list of a shared object at its first use. */
bool clo_crl_has(const clo_crl *crl, clo_span serial)
{
    STACK_OF(X509_REVOKED) *list = X509_CRL_get_REVOKED(crl->crl);
    clo_span wanted = without_zeros(serial);
    for (int i = 0; i < sk_X509_REVOKED_num(list); i++) {
        const X509_REVOKED *entry = sk_X509_REVOKED_value(list, i);
        const ASN1_INTEGER *number = X509_REVOKED_get0_serialNumber(entry);
        if (clo_span_equal(without_zeros(clo_asn1_magnitude(number)), wanted)) {
            return true;
        }
    }
    return false;
}

clo_status clo_crl_verify_signature(const clo_crl *crl, const clo_cert *issuer)
{
    CLO_TRY(clo_signature_allowed(X509_CRL_get_signature_nid(crl->crl)));
    EVP_PKEY *key = X509_get0_pubkey(issuer->x509);
    return CLO_OPENSSL(key != NULL && X509_CRL_verify(crl->crl, key) == 1, CLO_CRYPTO,
                       "crl signature does not match");
}

static clo_status add_revoked(X509_CRL *crl, clo_span serial, const ASN1_TIME *when)
{
    CLO_AUTO_PTR(X509_REVOKED) entry = X509_REVOKED_new();
    CLO_AUTO_PTR(ASN1_INTEGER) number = clo_asn1_integer_new(serial);

    union {
        const ASN1_TIME *in;
        ASN1_TIME *out;
    } time = {.in = when};

    bool done = entry != NULL && number != NULL &&
                X509_REVOKED_set_serialNumber(entry, number) == 1 &&
                X509_REVOKED_set_revocationDate(entry, time.out) == 1 &&
                X509_CRL_add0_revoked(crl, entry) == 1;
    if (done) {
        entry = NULL;
    }
    return CLO_OPENSSL(done, CLO_NOMEM, "adding a serial to a crl");
}

/* The number is the time of issue, which grows from list to list as a number must. */
static clo_status set_head(X509_CRL *crl, const clo_cert *issuer, const ASN1_TIME *this_update,
                           const ASN1_TIME *next_update, int64_t number)
{
    CLO_AUTO_PTR(ASN1_INTEGER) value = ASN1_INTEGER_new();
    bool done = this_update != NULL && next_update != NULL && value != NULL &&
                ASN1_INTEGER_set_int64(value, number) == 1 && X509_CRL_set_version(crl, 1) == 1 &&
                X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509)) == 1 &&
                X509_CRL_set1_lastUpdate(crl, this_update) == 1 &&
                X509_CRL_set1_nextUpdate(crl, next_update) == 1 &&
                X509_CRL_add1_ext_i2d(crl, NID_crl_number, value, 0, 0) == 1;
    return CLO_OPENSSL(done, CLO_NOMEM, "making a crl");
}

static clo_status sign_crl(X509_CRL *crl, const clo_key *key, clo_buf *out_der)
{
    CLO_TRY(CLO_OPENSSL(X509_CRL_sort(crl) == 1 &&
                            X509_CRL_sign(crl, key->pkey, clo_sign_digest(key)) > 0,
                        CLO_CRYPTO, "signing a crl"));
    uint8_t *der = NULL;
    int size = i2d_X509_CRL(crl, &der);
    CLO_TRY(CLO_OPENSSL(size > 0, CLO_NOMEM, "writing a crl"));
    clo_put_bytes(out_der, der, (size_t)size);
    OPENSSL_free(der);
    return clo_buf_check(out_der);
}

clo_status clo_crl_make(const clo_key *issuer_key, const clo_cert *issuer_cert, int64_t this_update,
                        int64_t next_update, const clo_span *serials, size_t count,
                        clo_buf *out_der)
{
    CLO_CHECK(issuer_key->has_private, CLO_INVALID, "a public key does not sign");
    CLO_AUTO_PTR(X509_CRL) crl = X509_CRL_new_ex(clo_crypto()->lib, NULL);
    CLO_AUTO_PTR(ASN1_TIME) from = clo_asn1_time_new(this_update);
    CLO_AUTO_PTR(ASN1_TIME) to = clo_asn1_time_new(next_update);
    CLO_TRY(CLO_OPENSSL(crl != NULL, CLO_NOMEM, "no memory for a crl"));
    CLO_TRY(set_head(crl, issuer_cert, from, to, this_update));
    for (size_t i = 0; i < count; i++) {
        CLO_TRY(add_revoked(crl, serials[i], from));
    }
    return sign_crl(crl, issuer_key, out_der);
}
