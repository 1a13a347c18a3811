/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CRYPTO_INTERNAL_H
#define CLO_CRYPTO_INTERNAL_H

/*
 * What the files of this room share and no other room sees: the library context with the
 * algorithms fetched from it, the converter for OpenSSL's errors, and the shapes of key and
 * certificate.
 *
 * Invariants:
 *   - clo_crypto() is made once by clo_crypto_init and never changes afterwards; any thread reads.
 *   - Algorithms come from our own library context only, never from OpenSSL's default one.
 *   - The room calls OpenSSL's decoders on bytes whose outer DER it has measured itself.
 *
 * Ownership: the state owns all it points to until the process ends.
 */
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "cloister/crypto.h"

/* ---------------------------------------------------------------- state ----------------------- */

typedef struct {
    OSSL_LIB_CTX *lib;
    EVP_MD *sha256;
    EVP_MD *sha384;
    EVP_MD *sha512;
    EVP_CIPHER *aes_gcm;
    EVP_KDF *hkdf;
    EVP_KDF *scrypt;
    SSL_CTX *tls;
    BIO_METHOD *tls_transport;
} clo_crypto_state;

/* The state; aborts when clo_crypto_init has not succeeded, because going on would silently use
 * OpenSSL's default context and its configuration file. */
const clo_crypto_state *clo_crypto(void);

/* The one SSL_CTX of the process, with every rule of the TLS chapter in it (tls_context.c). */
clo_status clo_tls_context_new(OSSL_LIB_CTX *lib, SSL_CTX **out_context);

/* ---------------------------------------------------------------- errors ---------------------- */

/* Drains OpenSSL's queue of this thread into a new chain. `code` says what a failure here means;
 * an allocation failure inside OpenSSL is CLO_NOMEM whatever `code` is. Use CLO_OPENSSL. */
clo_status clo_status_from_openssl(clo_code code, const char *file, int line, const char *function,
                                   const char *format, ...) CLO_PRINTF(5, 6);

/* The status of an OpenSSL call, for CLO_TRY: CLO_TRY(CLO_OPENSSL(f(x) == 1, CLO_CRYPTO, "f")). */
#define CLO_OPENSSL(succeeded, code, ...)                                                          \
    ((succeeded) ? CLO_STATUS_OK                                                                   \
                 : clo_status_from_openssl((code), __FILE__, __LINE__, __func__, __VA_ARGS__))

/* For functions that answer with a value: what OpenSSL complained about is not of interest. */
void clo_openssl_forget(void);

/* Scope cleanup for OpenSSL's own types. */
CLO_DEFINE_AUTO_PTR(EVP_MD_CTX, EVP_MD_CTX_free);
CLO_DEFINE_AUTO_PTR(EVP_PKEY, EVP_PKEY_free);
CLO_DEFINE_AUTO_PTR(EVP_PKEY_CTX, EVP_PKEY_CTX_free);
CLO_DEFINE_AUTO_PTR(EVP_KDF_CTX, EVP_KDF_CTX_free);
CLO_DEFINE_AUTO_PTR(X509, X509_free);
CLO_DEFINE_AUTO_PTR(X509_CRL, X509_CRL_free);
CLO_DEFINE_AUTO_PTR(X509_NAME, X509_NAME_free);
CLO_DEFINE_AUTO_PTR(X509_EXTENSION, X509_EXTENSION_free);
CLO_DEFINE_AUTO_PTR(X509_REVOKED, X509_REVOKED_free);
CLO_DEFINE_AUTO_PTR(ASN1_OBJECT, ASN1_OBJECT_free);
CLO_DEFINE_AUTO_PTR(ASN1_OCTET_STRING, ASN1_OCTET_STRING_free);
CLO_DEFINE_AUTO_PTR(ASN1_INTEGER, ASN1_INTEGER_free);
CLO_DEFINE_AUTO_PTR(ASN1_TIME, ASN1_TIME_free);
CLO_DEFINE_AUTO_PTR(BIGNUM, BN_clear_free);
CLO_DEFINE_AUTO_PTR(ECDSA_SIG, ECDSA_SIG_free);
CLO_DEFINE_AUTO_PTR(SSL_CTX, SSL_CTX_free);

/* ---------------------------------------------------------------- derivation ------------------ */

typedef enum { CLO_HKDF_BOTH, CLO_HKDF_EXTRACT, CLO_HKDF_EXPAND } clo_hkdf_mode;

/* One run of RFC 5869 with any of our digests; `salt` counts in extracting, `info` in expanding. */
clo_status clo_hkdf_run(clo_hkdf_mode mode, const EVP_MD *digest, clo_span key, clo_span salt,
                        clo_span info, uint8_t *out, size_t size);

typedef struct {
    uint64_t n;
    uint32_t r, p;
} clo_scrypt_cost;

/* scrypt with any cost, for the RFC's vectors; out_key as long as they are. */
clo_status clo_scrypt_run(clo_span passphrase, clo_span salt, clo_scrypt_cost cost, uint8_t *out,
                          size_t size);

/* ---------------------------------------------------------------- keys ------------------------ */

#define CLO_SPKI_MAX       96
#define CLO_RAW_PUBLIC_MAX 65

struct clo_key {
    EVP_PKEY *pkey;
    clo_key_kind kind;
    bool has_private;
    uint8_t id[32];             /* SHA-256 of spki */
    uint8_t spki[CLO_SPKI_MAX]; /* a fixed prefix of the kind, then the raw public key */
    size_t spki_size;
    size_t raw_at; /* where the raw public key begins in spki */
};

/* A row a kind. SubjectPublicKeyInfo of each kind is `spki_prefix` and `raw_size` bytes, nothing
 * else is accepted, so one public key has one encoding and one id. */
typedef struct {
    clo_key_kind kind;
    const char *name;   /* for people and for OpenSSL's key management */
    const char *digest; /* of signatures; NULL where the scheme has its own or none */
    clo_span spki_prefix;
    size_t raw_size;
    clo_span pkcs8_prefix; /* then the 32 private bytes */
    clo_span pkcs8_suffix; /* then, when not empty, the raw public key */
} clo_key_row;

const clo_key_row *clo_key_row_of(clo_key_kind kind);
/* The raw public key: 32 bytes, or 04 || X || Y. */
clo_span clo_key_raw_public(const clo_key *key);
/* Takes over `pkey` in every case. CLO_UNSUPPORTED for kinds that are not ours. */
clo_status clo_key_from_pkey(EVP_PKEY *pkey, bool has_private, clo_key **out_key);
/* A public key from its raw bytes; CLO_CRYPTO when it is no point of the curve. */
clo_status clo_key_from_raw_public(clo_key_kind kind, clo_span raw, clo_key **out_key);

/* RFC 9180 with the ephemeral key given: only vectors may choose it, everyone else takes
 * clo_hpke_seal, which makes a fresh one. */
clo_status clo_hpke_seal_with(const clo_key *ephemeral, const clo_key *recipient, clo_span info,
                              clo_span associated, clo_span plain, clo_buf *out_cipher);

/* DSSE's pre-authentication encoding, appended. */
void clo_dsse_put_pae(clo_buf *out, const char *payload_type, clo_span payload);

/* ---------------------------------------------------------------- PEM ------------------------- */

/* The next block labelled `label` of a text that holds only such blocks and white space; its DER is
 * appended to `out_der`. CLO_EOF when no block is left, CLO_FORMAT for anything else, CLO_LIMIT
 * above `limit` bytes of DER. Private keys pass through here: only wiping memory is used. */
clo_status clo_pem_read(clo_reader *reader, const char *label, size_t limit, clo_buf *out_der);
void clo_pem_put(clo_buf *out, const char *label, clo_span der);
/* `text` without NUL and white space at its end. */
clo_span clo_text_trim(clo_span text);

/* ---------------------------------------------------------------- certificates ---------------- */

struct clo_cert {
    X509 *x509;
    uint8_t *der; /* our own copy; the spans below point into it */
    size_t der_size;
    clo_span subject, issuer, spki, serial;
    clo_span subject_cn, issuer_cn; /* inside x509 */
    int64_t not_before, not_after;
    bool is_ca;
    bool tls_usages;
    char *uri; /* NULL when there is not exactly one */
};

/* The certificate of an object that OpenSSL has parsed with our library context, which is shared:
 * decoding it again would cost a handshake a tenth of its time. */
clo_status clo_cert_from_x509(X509 *x509, clo_cert **out_cert);
/* Next element with this tag, or CLO_FORMAT naming `what`. */
clo_status clo_der_expect(clo_reader *reader, uint8_t tag, const char *what, clo_der *out_element);
/* Unix seconds of an ASN.1 time. */
clo_status clo_asn1_time(const ASN1_TIME *time, const char *what, int64_t *out_unix_seconds);
/* An ASN.1 time of Unix seconds; NULL when out of memory. */
ASN1_TIME *clo_asn1_time_new(int64_t unix_seconds);
/* CLO_CRYPTO unless a signature algorithm is one we accept (see cert.c's table). */
clo_status clo_signature_allowed(int signature_nid);
/* The digest object that X509_sign wants for a key: NULL for Ed25519. */
const EVP_MD *clo_sign_digest(const clo_key *key);
/* A positive INTEGER from a big-endian magnitude; NULL when out of memory. */
ASN1_INTEGER *clo_asn1_integer_new(clo_span magnitude);
/* Magnitude of an INTEGER; empty when it is negative, which no serial may be. */
clo_span clo_asn1_magnitude(const ASN1_INTEGER *integer);

#endif
