/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of TLS (trust.md 3), set once for the process: version 1.3 (RFC 8446) alone, mutual
 * authentication, no ticket, no cache, no early data. One SSL_CTX serves both sides, because
 * making one costs more than a handshake; key, certificate and ALPN are set per session in tls.c.
 */
#include "tls.h"

/* A read takes many records in one system call; 8 records are past the point of gain. */
#define READ_BUFFER   (128u << 10)
#define PEER_CERT_MAX (16u << 10)

/* OpenSSL's macros cast their text to char *, hence the arrays. */
static bool set_version_and_suites(SSL_CTX *context)
{
    char groups[] = "X25519:P-256";
    char signatures[] = "ecdsa_secp256r1_sha256:ed25519";
    const char *suites = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
    return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(context, suites) == 1 &&
           SSL_CTX_set1_groups_list(context, groups) == 1 &&
           SSL_CTX_set1_sigalgs_list(context, signatures) == 1;
}

static bool set_no_resumption(SSL_CTX *context)
{
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    return SSL_CTX_set_num_tickets(context, 0) == 1 &&
           SSL_CTX_set_max_early_data(context, 0) == 1 &&
           SSL_CTX_set_recv_max_early_data(context, 0) == 1;
}

/* Partial writes say how far they came; a moving buffer lets the caller grow what it still sends.
 * RELEASE_BUFFERS stays off: it would allocate the read buffer anew for every batch of records. */
static void set_transfer(SSL_CTX *context)
{
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, READ_BUFFER);
    SSL_CTX_set_max_cert_list(context, PEER_CERT_MAX);
    SSL_CTX_set_quiet_shutdown(context, 0);
}

clo_status clo_tls_context_new(OSSL_LIB_CTX *lib, SSL_CTX **out_context)
{
    CLO_AUTO_PTR(SSL_CTX) context = SSL_CTX_new_ex(lib, NULL, TLS_method());
    CLO_TRY(CLO_OPENSSL(context != NULL, CLO_NOMEM, "no memory for tls"));
    SSL_CTX_set_security_level(context, 2);
    CLO_TRY(CLO_OPENSSL(set_version_and_suites(context) && set_no_resumption(context), CLO_CRYPTO,
                        "setting the rules of tls"));
    set_transfer(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(context, clo_tls_check_peer, NULL);
    SSL_CTX_set_alpn_select_cb(context, clo_tls_select_alpn, NULL);
    *out_context = CLO_TAKE(context);
    return CLO_STATUS_OK;
}
