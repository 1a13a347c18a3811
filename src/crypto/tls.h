/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CRYPTO_TLS_H
#define CLO_CRYPTO_TLS_H

/*
 * Between tls_context.c, which sets the process's rules, tls.c, which runs a session, and
 * tls_bio.c, which moves its bytes: the callbacks by which OpenSSL asks a session what it accepts.
 *
 * Invariant: the session of an SSL is its application data, set before the first byte moves.
 * Threads: a callback runs in the thread that runs the session.
 */
#include "crypto_internal.h"

/* Accepts exactly one certificate of a key of ours and remembers its DER; trust is not decided. */
int clo_tls_check_peer(X509_STORE_CTX *store, void *unused);

/* Takes the session's protocol from the client's list, or ends the handshake with an alert. */
int clo_tls_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                        const unsigned char *in, unsigned in_size, void *unused);

/* A BIO over a socket that never blocks and never raises SIGPIPE, whatever the descriptor's flags
 * are. It does not own `fd`. The method is made once and given back by the process's end. */
clo_status clo_tls_bio_method_new(BIO_METHOD **out_method);
BIO *clo_tls_bio_new(const BIO_METHOD *method, int fd);

#endif
