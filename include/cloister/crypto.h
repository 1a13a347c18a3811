/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_CRYPTO_H
#define CLOISTER_CRYPTO_H

/*
 * crypto: the only room that includes OpenSSL. It offers the few constructions the project is built
 * from, each with one fixed algorithm, so that nothing outside can choose a weak one.
 *
 * Invariants:
 *   - OpenSSL is initialised without its configuration file, in a library context of our own with
 *     the default provider and no system trust store (clo_crypto_init, first action of a program).
 *   - Private keys and derived keys live in clo_secret or inside clo_key; no function prints them.
 *   - Tags, commitments and MACs are compared with clo_equal_ct.
 *   - OpenSSL's error queue is drained into one clo_status by one function; it is empty on return.
 *
 * Threads: a clo_key, clo_cert, clo_crl is immutable after it is made and may be shared for
 * reading; a clo_hash, clo_aead or clo_tls belongs to one thread at a time.
 *
 * Ownership: _new/_parse/_generate give objects that the caller frees; spans returned are borrowed
 * from the object.
 */
#include "cloister/base.h"

/* First action of every program: any other function of this room aborts before it. Makes the
 * library context; a second call does nothing. CLO_CRYPTO when the known-answer self-test of the
 * AEAD, hash and signature fails. */
clo_status clo_crypto_init(void);

/* ---------------------------------------------------------------- random ---------------------- */

clo_status clo_random_bytes(void *out, size_t size); /* RAND_priv_bytes */
/* Mixes fresh entropy into the generator: before each file, handshake and key, because a restored
 * VM snapshot repeats its state. */
clo_status clo_random_reseed(void);
/* SHA-256(RAND_priv_bytes || getrandom || RDRAND where present || a process counter). */
clo_status clo_random_salt(uint8_t out_salt[32]);

/* ---------------------------------------------------------------- hashes and KDF -------------- */

#define CLO_SHA256_SIZE 32
#define CLO_SHA384_SIZE 48
#define CLO_SHA512_SIZE 64

clo_status clo_sha256(clo_span bytes, uint8_t out_digest[32]);
clo_status clo_sha384(clo_span bytes, uint8_t out_digest[48]);
clo_status clo_sha512(clo_span bytes, uint8_t out_digest[64]);

typedef struct clo_hash clo_hash; /* incremental SHA-256 */
clo_status clo_hash_new(clo_hash **out_hash);
clo_status clo_hash_update(clo_hash *hash, clo_span bytes);
clo_status clo_hash_final(clo_hash *hash, uint8_t out_digest[32]); /* then usable anew */
void clo_hash_free(clo_hash *hash);
CLO_DEFINE_AUTO_PTR(clo_hash, clo_hash_free);

/* RFC 5869. info may be empty. `size` at most 255 hash lengths. */
clo_status clo_hkdf_sha256(clo_span key, clo_span salt, clo_span info, uint8_t *out, size_t size);
clo_status clo_hkdf_expand_sha512(clo_span key, clo_span info, uint8_t *out, size_t size);
clo_status clo_hmac_sha256(clo_span key, clo_span bytes, uint8_t out_mac[32]);
/* For root keys from a passphrase: scrypt (RFC 7914) N = 2^15, r = 8, p = 1. */
clo_status clo_scrypt(clo_span passphrase, clo_span salt, uint8_t out_key[32]);

/* ---------------------------------------------------------------- AEAD ------------------------ */

#define CLO_AEAD_KEY   32
#define CLO_AEAD_NONCE 12
#define CLO_AEAD_TAG   16

/* AES-256-GCM with the key schedule kept, for many chunks under one key. */
typedef struct clo_aead clo_aead;
clo_status clo_aead_new(const clo_secret *key, clo_aead **out_aead);
void clo_aead_free(clo_aead *aead);
CLO_DEFINE_AUTO_PTR(clo_aead, clo_aead_free);
/* `out` takes plain.size bytes and may be the plain text itself; the tag is apart. */
clo_status clo_aead_seal(clo_aead *aead, const uint8_t nonce[12], clo_span associated,
                         clo_span plain, uint8_t *out, uint8_t out_tag[16]);
/* CLO_CRYPTO when the tag does not hold; `out` is wiped then. */
clo_status clo_aead_open(clo_aead *aead, const uint8_t nonce[12], clo_span associated,
                         clo_span cipher, const uint8_t tag[16], uint8_t *out);

/* ---------------------------------------------------------------- keys ------------------------ */

typedef enum { CLO_KEY_ED25519 = 1, CLO_KEY_X25519, CLO_KEY_P256 } clo_key_kind;

typedef struct clo_key clo_key; /* a key pair, or a public key alone */

clo_status clo_key_generate(clo_key_kind kind, clo_key **out_key);
void clo_key_free(clo_key *key);
CLO_DEFINE_AUTO_PTR(clo_key, clo_key_free);
clo_key_kind clo_key_get_kind(const clo_key *key);
bool clo_key_has_private(const clo_key *key);
/* SubjectPublicKeyInfo DER, borrowed from the key; its SHA-256 is the key's id everywhere. */
clo_span clo_key_spki(const clo_key *key);
void clo_key_id(const clo_key *key, uint8_t out_id[32]);
bool clo_key_same_public(const clo_key *a, const clo_key *b);
/* PKCS#8 and SPKI, PEM; the private form goes into a clo_secret. Other kinds: CLO_UNSUPPORTED. */
clo_status clo_key_parse_spki(clo_span der, clo_key **out_key);
clo_status clo_key_parse_public_pem(clo_span pem, clo_key **out_key);
clo_status clo_key_parse_private_pem(clo_span pem, clo_key **out_key);
clo_status clo_key_write_public_pem(const clo_key *key, clo_buf *out);
clo_status clo_key_write_private_pem(const clo_key *key, clo_secret *out_pem);
/* Files: private ones are written 0600, and refused when group or others can read them. */
clo_status clo_key_read_private_file(const char *path, clo_key **out_key);
clo_status clo_key_read_public_file(const char *path, clo_key **out_key);
clo_status clo_key_write_files(const clo_key *key, const char *private_path,
                               const char *public_path /* may be NULL */);

/* Ed25519 (RFC 8032, 64 bytes) or ECDSA P-256 with SHA-256 (DER), by the key's kind; the algorithm
 * is never read from the message. Verification: CLO_CRYPTO when it does not hold. */
clo_status clo_key_sign(const clo_key *key, clo_span message, clo_buf *out_signature);
clo_status clo_key_verify(const clo_key *key, clo_span message, clo_span signature);

/* ECDSA P-256/SHA-256 with raw r||s (64 bytes) as Intel's structures have it. The raw public key is
 * X||Y; points off the curve are CLO_CRYPTO. */
clo_status clo_key_from_p256_raw(const uint8_t xy[64], clo_key **out_key);
clo_status clo_key_get_p256_raw(const clo_key *key, uint8_t out_xy[64]);
clo_status clo_key_sign_raw(const clo_key *key, clo_span message, uint8_t out_rs[64]);
clo_status clo_key_verify_raw(const clo_key *key, clo_span message, const uint8_t rs[64]);

/* ---------------------------------------------------------------- HPKE ------------------------ */

/* RFC 9180 base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; single shot, for 1 byte
 * to 16 MiB, because what is opened is a secret. */
#define CLO_HPKE_ENC 32
clo_status clo_hpke_seal(const clo_key *recipient, clo_span info, clo_span associated,
                         clo_span plain, uint8_t out_enc[32], clo_buf *out_cipher);
clo_status clo_hpke_open(const clo_key *recipient, const uint8_t enc[32], clo_span info,
                         clo_span associated, clo_span cipher, clo_secret *out_plain);

/* ---------------------------------------------------------------- DSSE ------------------------ */

/*
 * Dead Simple Signing Envelope v1 (secure-systems-lab/dsse): everything signed in this project.
 * The signature covers PAE(payloadType, payload). keyid is a hint; the algorithm is the key's.
 */
/* One envelope with one signature, as JSON text. */
clo_status clo_dsse_sign(const clo_key *key, const char *payload_type, clo_span payload,
                         clo_buf *out_envelope);
/* Checks that the envelope has exactly this payload type and a signature by `key`, and gives the
 * payload. CLO_FORMAT, or CLO_CRYPTO when no signature of the key holds. */
clo_status clo_dsse_open(clo_span envelope, const char *payload_type, const clo_key *key,
                         clo_buf *out_payload);
/* The payload before any check, to find out whose key to look for. Never act on it alone. */
clo_status clo_dsse_peek(clo_span envelope, const char *payload_type, clo_buf *out_payload);

/* ---------------------------------------------------------------- X.509 ----------------------- */

typedef struct clo_cert clo_cert;
typedef struct clo_crl clo_crl;

/* At most 64 KiB, no trailing bytes. CLO_FORMAT also for an extension that occurs twice, a
 * malformed known extension, and a negative serial. */
clo_status clo_cert_parse_der(clo_span der, clo_cert **out_cert);
/* All certificates of a PEM text (at most `max`), in order; trailing NUL and white space allowed.
 */
clo_status clo_cert_parse_pem_chain(clo_span pem, size_t max, clo_cert **out_certs,
                                    size_t *out_count);
void clo_cert_free(clo_cert *cert);
CLO_DEFINE_AUTO_PTR(clo_cert, clo_cert_free);

clo_span clo_cert_der(const clo_cert *cert);
clo_status clo_cert_write_pem(const clo_cert *cert, clo_buf *out);
clo_span clo_cert_subject_der(const clo_cert *cert);
clo_span clo_cert_issuer_der(const clo_cert *cert);
/* The first common name; empty when absent. */
clo_span clo_cert_subject_cn(const clo_cert *cert);
clo_span clo_cert_issuer_cn(const clo_cert *cert);
clo_span clo_cert_serial(const clo_cert *cert); /* big-endian magnitude */
clo_span clo_cert_spki(const clo_cert *cert);
int64_t clo_cert_not_before(const clo_cert *cert); /* Unix seconds */
int64_t clo_cert_not_after(const clo_cert *cert);
bool clo_cert_is_ca(const clo_cert *cert); /* basicConstraints CA and keyCertSign */
/* The URI subject alternative name if there is exactly one; empty otherwise. */
clo_span clo_cert_uri(const clo_cert *cert);
/* The value (inside the OCTET STRING) of the extension with dotted `oid`. CLO_NOTFOUND when absent.
 */
clo_status clo_cert_extension(const clo_cert *cert, const char *oid, clo_span *out_value);
/* Whether that extension is there and marked critical. */
bool clo_cert_extension_is_critical(const clo_cert *cert, const char *oid);
/* Whether it says that its key may sign, as server and as client of TLS: silence is a no. */
bool clo_cert_has_tls_usages(const clo_cert *cert);
/* The public key, for the three kinds we use; others CLO_UNSUPPORTED. */
clo_status clo_cert_public_key(const clo_cert *cert, clo_key **out_key);
/* CLO_OK when `issuer`'s key signed `cert`; names are not compared. CLO_CRYPTO when it did not, or
 * with an algorithm other than ECDSA with SHA-256 or SHA-384, Ed25519, RSA-PSS. */
clo_status clo_cert_verify_signature(const clo_cert *cert, const clo_cert *issuer);
clo_status clo_cert_verify_signature_key(const clo_cert *cert, const clo_key *issuer);

/* At most 4 MiB. Complete lists only: CLO_UNSUPPORTED for one with a critical extension (delta and
 * partial lists have one), in which an absent serial would prove nothing. */
clo_status clo_crl_parse(clo_span der_or_pem_or_hex, clo_crl **out_crl);
void clo_crl_free(clo_crl *crl);
CLO_DEFINE_AUTO_PTR(clo_crl, clo_crl_free);
clo_span clo_crl_issuer_der(const clo_crl *crl);
int64_t clo_crl_this_update(const clo_crl *crl);
int64_t clo_crl_next_update(const clo_crl *crl);       /* 0 when absent */
uint64_t clo_crl_number(const clo_crl *crl);           /* 0 when absent */
bool clo_crl_has(const clo_crl *crl, clo_span serial); /* leading zeros do not count */
clo_status clo_crl_verify_signature(const clo_crl *crl, const clo_cert *issuer);

/* What a certificate of ours says. Names and texts are borrowed during the call. */
typedef struct {
    const char *subject_cn;
    const char *subject_o; /* NULL: none */
    const char *issuer_cn; /* used when issuer_cert is NULL and the issuer is another key */
    const clo_key *subject_key;
    const clo_key *issuer_key;   /* signs */
    const clo_cert *issuer_cert; /* NULL: self-signed or issued by a bare key */
    int64_t not_before, not_after;
    bool ca;
    const char *uri;           /* NULL: none */
    bool tls_usages;           /* both serverAuth and clientAuth */
    const char *extension_oid; /* NULL: none; one private extension */
    clo_span extension_value;
    bool extension_critical;
} clo_cert_request;

clo_status clo_cert_make(const clo_cert_request *request, clo_cert **out_cert);
/* A CRL of `issuer` listing `count` serials, numbered by `this_update`. For the simulator's vendor.
 */
clo_status clo_crl_make(const clo_key *issuer_key, const clo_cert *issuer_cert, int64_t this_update,
                        int64_t next_update, const clo_span *serials, size_t count,
                        clo_buf *out_der);

/* DER, for the few structures that are not certificates (the PCK's SGX extensions): one TLV at the
 * cursor. CLO_FORMAT for indefinite, non-minimal or overlong lengths. */
typedef struct {
    uint8_t tag;
    clo_span value;
    clo_span whole;
} clo_der;

clo_status clo_der_read(clo_reader *reader, clo_der *out_element);
bool clo_der_is_oid(const clo_der *element, const char *dotted);

/* ---------------------------------------------------------------- TLS ------------------------- */

/*
 * TLS 1.3 only, mutual, one certificate each, made in the process; no tickets, no session cache, no
 * resumption, no early data, no renegotiation; groups X25519 and P-256; TLS_AES_256_GCM_SHA384
 * first. The certificate is accepted here for any key of ours: who the peer is, is decided by the
 * channel's gate. Non-blocking: every call says what it waits for.
 */
typedef enum { CLO_TLS_CLIENT, CLO_TLS_SERVER } clo_tls_side;

typedef enum { CLO_TLS_DONE, CLO_TLS_WANT_READ, CLO_TLS_WANT_WRITE } clo_tls_want;

typedef struct clo_tls clo_tls;

/* Does not own `fd`. `alpn` must be agreed by both ends, else the handshake fails. The key and the
 * certificate must outlive the session. */
clo_status clo_tls_new(clo_tls_side side, int fd, const clo_key *key, const clo_cert *cert,
                       const char *alpn, clo_tls **out_tls);
void clo_tls_free(clo_tls *tls);
CLO_DEFINE_AUTO_PTR(clo_tls, clo_tls_free);

/* Each may be called again after waiting for what `out_want` says. CLO_CRYPTO for TLS failures
 * (wrong version, no certificate, no common ALPN, bad record), CLO_CLOSED when the peer left in the
 * handshake or without close_notify. The first failure is final: every later call gives it again.
 * A client's handshake is done before the server has looked at its certificate: a refusal shows in
 * the client's next read. No call blocks or raises SIGPIPE, whatever the descriptor's flags. */
clo_status clo_tls_handshake(clo_tls *tls, clo_tls_want *out_want);
/* `out_count` may be less than asked; CLO_EOF after close_notify, CLO_CLOSED without it. `out_want`
 * is CLO_TLS_DONE when anything was read. */
clo_status clo_tls_read(clo_tls *tls, void *out, size_t size, size_t *out_count,
                        clo_tls_want *out_want);
/* Counts the bytes that are on their way. What was not counted must come first in the next write:
 * its first record may be encrypted already. `out_want` is CLO_TLS_DONE when anything was counted.
 */
clo_status clo_tls_write(clo_tls *tls, clo_span bytes, size_t *out_count, clo_tls_want *out_want);
/* Whole records wait inside: read again before waiting for the descriptor. */
bool clo_tls_has_pending(const clo_tls *tls);
/* Sends close_notify; to be called again when it wants to wait. CLO_INVALID while a write is not
 * finished. */
clo_status clo_tls_shutdown(clo_tls *tls, clo_tls_want *out_want);
clo_status clo_tls_key_update(clo_tls *tls); /* sent with the next write; asks the peer too */

/* Valid after the handshake. */
clo_span clo_tls_peer_cert_der(const clo_tls *tls);
clo_status clo_tls_exporter(clo_tls *tls, const char *label, clo_span context, uint8_t out[32]);
bool clo_tls_was_resumed(const clo_tls *tls);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384 X25519"; for logs. */
void clo_tls_describe(const clo_tls *tls, char *out_text, size_t size);

#endif
