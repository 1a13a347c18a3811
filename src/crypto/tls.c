/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One TLS session, non-blocking. The states of OpenSSL are folded into three answers: done, wait
 * for reading, wait for writing; everything else is a status.
 *
 * Invariants:
 *   - The first failure is kept and given again by every later call: a session never recovers.
 *   - Bytes that arrived before a failure are given out before it.
 *   - An end of the stream without close_notify is CLO_CLOSED, never an end of file: truncation is
 *     an attack.
 */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#define ALPN_MAX 64

struct clo_tls {
    SSL *ssl;
    clo_tls_side side;
    uint8_t alpn[1 + ALPN_MAX]; /* as on the wire: length, name */
    clo_cert *peer;             /* set by clo_tls_check_peer */
    bool open;                  /* the handshake is done and was checked */
    bool drained;               /* the last read ended for want of bytes from the socket */
    bool writing;               /* OpenSSL holds a record that must go out before anything else */
    bool update_wanted;
    bool failed;
    clo_saved_status failure;
};

/* ---------------------------------------------------------------- callbacks ------------------- */

static clo_status accept_peer(X509 *x509, clo_cert **out_cert)
{
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    CLO_TRY(clo_cert_from_x509(x509, &cert));
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_TRY(clo_cert_public_key(cert, &key));
    CLO_CHECK(clo_key_get_kind(key) != CLO_KEY_X25519, CLO_UNSUPPORTED,
              "the peer's certificate has an x25519 key");
    *out_cert = CLO_TAKE(cert);
    return CLO_STATUS_OK;
}

int clo_tls_check_peer(X509_STORE_CTX *store, void *unused)
{
    (void)unused;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    clo_tls *tls = SSL_get_app_data(ssl);
    X509 *leaf = X509_STORE_CTX_get0_cert(store);
    bool alone = sk_X509_num(X509_STORE_CTX_get0_untrusted(store)) == 1;
    clo_cert_free(tls->peer);
    tls->peer = NULL;
    bool accepted = alone && leaf != NULL && clo_ok(accept_peer(leaf, &tls->peer));
    X509_STORE_CTX_set_error(store, accepted ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
    return accepted;
}

int clo_tls_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                        const unsigned char *in, unsigned in_size, void *unused)
{
    (void)unused;
    const clo_tls *tls = SSL_get_app_data(ssl);
    clo_reader reader = clo_reader_of(CLO_SPAN(in, in_size));
    while (clo_reader_left(&reader) > 0) {
        clo_span name = clo_read_span(&reader, clo_read_u8(&reader));
        if (reader.failed) {
            break;
        }
        if (clo_span_equal(name, CLO_SPAN(tls->alpn + 1, tls->alpn[0]))) {
            *out = name.data;
            *out_size = (unsigned char)name.size;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---------------------------------------------------------------- life ------------------------ */

void clo_tls_free(clo_tls *tls)
{
    if (tls != NULL) {
        SSL_free(tls->ssl);
        clo_cert_free(tls->peer);
        clo_free(tls);
    }
}

static clo_status set_alpn(clo_tls *tls, const char *alpn)
{
    size_t size = strlen(alpn);
    CLO_CHECK(size > 0 && size <= ALPN_MAX, CLO_INVALID, "alpn '%s' has %zu bytes, at most %d",
              alpn, size, ALPN_MAX);
    tls->alpn[0] = (uint8_t)size;
    memcpy(tls->alpn + 1, alpn, size);
    if (tls->side == CLO_TLS_SERVER) {
        return CLO_STATUS_OK;
    }
    /* Zero means success here, unlike anywhere else in OpenSSL. */
    return CLO_OPENSSL(SSL_set_alpn_protos(tls->ssl, tls->alpn, (unsigned)size + 1) == 0, CLO_NOMEM,
                       "setting alpn");
}

static clo_status set_identity(clo_tls *tls, const clo_key *key, const clo_cert *cert)
{
    bool done = SSL_use_certificate(tls->ssl, cert->x509) == 1 &&
                SSL_use_PrivateKey(tls->ssl, key->pkey) == 1 &&
                SSL_check_private_key(tls->ssl) == 1;
    return CLO_OPENSSL(done, CLO_INVALID, "the certificate is not for this key");
}

static clo_status set_transport(clo_tls *tls, int fd)
{
    BIO *bio = clo_tls_bio_new(clo_crypto()->tls_transport, fd);
    CLO_TRY(CLO_OPENSSL(bio != NULL, CLO_NOMEM, "no memory for a tls session"));
    SSL_set_bio(tls->ssl, bio, bio);
    return CLO_STATUS_OK;
}

clo_status clo_tls_new(clo_tls_side side, int fd, const clo_key *key, const clo_cert *cert,
                       const char *alpn, clo_tls **out_tls)
{
    CLO_CHECK(key->has_private && key->kind != CLO_KEY_X25519, CLO_INVALID,
              "tls needs a private key that signs");
    CLO_TRY(clo_random_reseed());
    CLO_AUTO_PTR(clo_tls) tls = clo_alloc(sizeof *tls);
    CLO_CHECK(tls != NULL, CLO_NOMEM, "no memory for a tls session");
    tls->side = side;
    tls->ssl = SSL_new(clo_crypto()->tls);
    CLO_TRY(CLO_OPENSSL(tls->ssl != NULL && SSL_set_app_data(tls->ssl, tls) == 1, CLO_NOMEM,
                        "no memory for a tls session"));
    CLO_TRY(set_transport(tls, fd));
    CLO_TRY(set_alpn(tls, alpn));
    CLO_TRY(set_identity(tls, key, cert));
    if (side == CLO_TLS_SERVER) {
        SSL_set_accept_state(tls->ssl);
    } else {
        SSL_set_connect_state(tls->ssl);
    }
    *out_tls = CLO_TAKE(tls);
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- failures -------------------- */

static clo_status fail_session(clo_tls *tls, clo_status status)
{
    tls->failed = true;
    clo_status_save(status, &tls->failure);
    return status;
}

static clo_status check_alive(const clo_tls *tls)
{
    return tls->failed ? clo_status_restore(&tls->failure) : CLO_STATUS_OK;
}

static clo_status socket_failure(int error, const char *doing)
{
    clo_openssl_forget();
    if (error == 0 || error == ECONNRESET || error == EPIPE) {
        CLO_FAIL(CLO_CLOSED, "%s: the peer closed the connection", doing);
    }
    errno = error;
    return CLO_ERRNO("%s", doing);
}

/* What a call of OpenSSL that did not succeed means: a wait, or the end of the session. */
static clo_status explain(clo_tls *tls, int result, const char *doing, clo_tls_want *out_want)
{
    int error = errno;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        *out_want = CLO_TLS_WANT_READ;
        return CLO_STATUS_OK;
    case SSL_ERROR_WANT_WRITE:
        *out_want = CLO_TLS_WANT_WRITE;
        return CLO_STATUS_OK;
    case SSL_ERROR_ZERO_RETURN:
        clo_openssl_forget();
        return fail_session(tls, clo_status_make(CLO_EOF, __FILE__, __LINE__, __func__,
                                                 "%s: the peer ended the session", doing));
    case SSL_ERROR_SYSCALL:
        return fail_session(tls, socket_failure(error, doing));
    default:
        break;
    }
    bool cut = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    return fail_session(tls, CLO_OPENSSL(false, cut ? CLO_CLOSED : CLO_CRYPTO, "%s", doing));
}

/* Every call of OpenSSL that moves bytes starts with a clean slate for explain. */
static void begin_call(void)
{
    clo_openssl_forget();
    errno = 0;
}

/* ---------------------------------------------------------------- handshake ------------------- */

/* What OpenSSL was told to demand is looked at once more: a handshake that resumed, skipped a
 * certificate or agreed on another protocol must not be used whatever let it happen. */
static clo_status check_agreed(const clo_tls *tls)
{
    const unsigned char *name;
    unsigned size;
    SSL_get0_alpn_selected(tls->ssl, &name, &size);
    CLO_CHECK(SSL_version(tls->ssl) == TLS1_3_VERSION, CLO_CRYPTO, "the peer agreed on %s",
              SSL_get_version(tls->ssl));
    CLO_CHECK(!clo_tls_was_resumed(tls), CLO_CRYPTO, "the peer resumed a session");
    CLO_CHECK(clo_span_equal(CLO_SPAN(name, size), CLO_SPAN(tls->alpn + 1, tls->alpn[0])),
              CLO_CRYPTO, "the peer did not agree on alpn '%.*s'", tls->alpn[0],
              (const char *)tls->alpn + 1);
    CLO_CHECK(tls->peer != NULL, CLO_CRYPTO, "the peer sent no certificate");
    return CLO_STATUS_OK;
}

clo_status clo_tls_handshake(clo_tls *tls, clo_tls_want *out_want)
{
    CLO_TRY(check_alive(tls));
    begin_call();
    int result = SSL_do_handshake(tls->ssl);
    if (result != 1) {
        clo_status status = explain(tls, result, "tls handshake", out_want);
        CLO_CHECK(status.code != CLO_EOF, CLO_CLOSED, "the peer left in the tls handshake");
        return status;
    }
    clo_status agreed = check_agreed(tls);
    if (!clo_ok(agreed)) {
        return fail_session(tls, agreed);
    }
    tls->open = true;
    *out_want = CLO_TLS_DONE;
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- transfer -------------------- */

static clo_status check_open(const clo_tls *tls)
{
    CLO_TRY(check_alive(tls));
    CLO_CHECK(tls->open, CLO_INVALID, "the tls handshake is not done");
    return CLO_STATUS_OK;
}

/* Records are taken until `out` is full or the socket has no more: a call a record would cost the
 * caller more than the decryption does. */
clo_status clo_tls_read(clo_tls *tls, void *out, size_t size, size_t *out_count,
                        clo_tls_want *out_want)
{
    CLO_TRY(check_open(tls));
    clo_tls_want want = CLO_TLS_DONE;
    size_t at = 0;
    tls->drained = false;
    while (at < size && want == CLO_TLS_DONE) {
        size_t count = 0;
        begin_call();
        int result = SSL_read_ex(tls->ssl, (uint8_t *)out + at, size - at, &count);
        clo_status status = result == 1 ? CLO_STATUS_OK : explain(tls, result, "tls read", &want);
        at += count;
        if (!clo_ok(status) && at > 0) {
            break;
        }
        CLO_TRY(status);
    }
    tls->drained = want == CLO_TLS_WANT_READ;
    *out_count = at;
    *out_want = at > 0 ? CLO_TLS_DONE : want;
    return CLO_STATUS_OK;
}

/* A key update cannot start while a record waits to be sent again. */
static clo_status start_update(clo_tls *tls)
{
    if (!tls->update_wanted || tls->writing) {
        return CLO_STATUS_OK;
    }
    begin_call();
    bool done = SSL_key_update(tls->ssl, SSL_KEY_UPDATE_REQUESTED) == 1;
    CLO_TRY(CLO_OPENSSL(done, CLO_CRYPTO, "tls key update"));
    tls->update_wanted = false;
    return CLO_STATUS_OK;
}

clo_status clo_tls_write(clo_tls *tls, clo_span bytes, size_t *out_count, clo_tls_want *out_want)
{
    CLO_TRY(check_open(tls));
    CLO_TRY(start_update(tls));
    clo_tls_want want = CLO_TLS_DONE;
    size_t at = 0;
    while (at < bytes.size && want == CLO_TLS_DONE) {
        size_t count = 0;
        begin_call();
        int result = SSL_write_ex(tls->ssl, bytes.data + at, bytes.size - at, &count);
        if (result != 1) {
            CLO_TRY(explain(tls, result, "tls write", &want));
        }
        tls->writing = result != 1;
        at += count;
    }
    *out_count = at;
    *out_want = at > 0 ? CLO_TLS_DONE : want;
    return CLO_STATUS_OK;
}

/* Bytes read ahead may be less than a record; those wait for the socket, not for the caller. */
bool clo_tls_has_pending(const clo_tls *tls)
{
    return SSL_pending(tls->ssl) > 0 || (!tls->drained && SSL_has_pending(tls->ssl) == 1);
}

clo_status clo_tls_shutdown(clo_tls *tls, clo_tls_want *out_want)
{
    bool ended = tls->failed && tls->failure.code == CLO_EOF;
    if (!ended) {
        CLO_TRY(check_open(tls));
    }
    CLO_CHECK(!tls->writing, CLO_INVALID, "tls shutdown: a write is not finished");
    begin_call();
    int result = SSL_shutdown(tls->ssl);
    *out_want = CLO_TLS_DONE;
    return result >= 0 ? CLO_STATUS_OK : explain(tls, result, "tls shutdown", out_want);
}

clo_status clo_tls_key_update(clo_tls *tls)
{
    CLO_TRY(check_open(tls));
    tls->update_wanted = true;
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- facts ----------------------- */

clo_span clo_tls_peer_cert_der(const clo_tls *tls)
{
    return tls->peer != NULL ? clo_cert_der(tls->peer) : CLO_SPAN_EMPTY;
}

clo_status clo_tls_exporter(clo_tls *tls, const char *label, clo_span context, uint8_t out[32])
{
    CLO_TRY(check_open(tls));
    return CLO_OPENSSL(SSL_export_keying_material(tls->ssl, out, 32, label, strlen(label),
                                                  context.data, context.size, 1) == 1,
                       CLO_CRYPTO, "tls exporter");
}

bool clo_tls_was_resumed(const clo_tls *tls)
{
    return SSL_session_reused(tls->ssl) != 0;
}

void clo_tls_describe(const clo_tls *tls, char *out_text, size_t size)
{
    int group = (int)SSL_get_negotiated_group(tls->ssl);
    snprintf(out_text, size, "%s %s %s", SSL_get_version(tls->ssl), SSL_get_cipher_name(tls->ssl),
             group == NID_X25519 ? "X25519" : "P-256");
}
