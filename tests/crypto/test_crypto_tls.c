/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS over a socket pair, both ends in one thread. Hostile peers are OpenSSL used directly, with
 * settings that our own context would never have.
 */
#include "fixture.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALPN  "cloister/1"
#define STEPS 40

/* Two ends and the wire between them. Unused ends are NULL. */
typedef struct {
    int client_fd, server_fd;
    clo_key *key;
    clo_cert *cert;
    clo_tls *client, *server;
    SSL_CTX *foreign_context;
    SSL *foreign;
} wire;

static void close_fd(int *fd)
{
    clo_net_close(*fd);
    *fd = -1;
}

static void wire_cleanup(wire *w)
{
    clo_tls_free(w->client);
    clo_tls_free(w->server);
    SSL_free(w->foreign);
    SSL_CTX_free(w->foreign_context);
    clo_cert_free(w->cert);
    clo_key_free(w->key);
    close_fd(&w->client_fd);
    close_fd(&w->server_fd);
}

static wire make_wire(clo_key_kind kind)
{
    wire w = {.client_fd = -1, .server_fd = -1};
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
        fixture_must(clo_status_make(CLO_IO, __FILE__, __LINE__, __func__, "x"), "socketpair");
    }
    w.client_fd = fds[0];
    w.server_fd = fds[1];
    w.key = fixture_key(kind);
    w.cert = fixture_cert(w.key);
    return w;
}

static void add_client(wire *w, const char *alpn)
{
    fixture_must(clo_tls_new(CLO_TLS_CLIENT, w->client_fd, w->key, w->cert, alpn, &w->client),
                 "client");
}

static void add_server(wire *w, const char *alpn)
{
    fixture_must(clo_tls_new(CLO_TLS_SERVER, w->server_fd, w->key, w->cert, alpn, &w->server),
                 "server");
}

/* Runs both handshakes until each is done or has failed; statuses of the two ends. */
static void shake(wire *w, clo_status *out_client, clo_status *out_server)
{
    clo_tls_want client = CLO_TLS_WANT_READ, server = CLO_TLS_WANT_READ;
    *out_client = *out_server = CLO_STATUS_OK;
    for (int i = 0; i < STEPS; i++) {
        if (clo_ok(*out_client) && client != CLO_TLS_DONE) {
            *out_client = clo_tls_handshake(w->client, &client);
        }
        if (clo_ok(*out_server) && server != CLO_TLS_DONE) {
            *out_server = clo_tls_handshake(w->server, &server);
        }
    }
}

static wire connected_as(clo_key_kind kind)
{
    wire w = make_wire(kind);
    clo_status client, server;
    add_client(&w, ALPN);
    add_server(&w, ALPN);
    shake(&w, &client, &server);
    fixture_must(client, "client handshake");
    fixture_must(server, "server handshake");
    return w;
}

static wire connected(void)
{
    return connected_as(CLO_KEY_P256);
}

/* One write that must go out whole, and one read. */
static clo_status put(clo_tls *tls, const char *text)
{
    size_t count;
    clo_tls_want want;
    CLO_TRY(clo_tls_write(tls, clo_span_of_str(text), &count, &want));
    CLO_CHECK(count == strlen(text), CLO_BUG, "short write");
    return CLO_STATUS_OK;
}

static clo_status take(clo_tls *tls, char *out_text, size_t size, clo_tls_want *out_want)
{
    size_t count;
    CLO_TRY(clo_tls_read(tls, out_text, size - 1, &count, out_want));
    out_text[count] = '\0';
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- good ------------------------ */

static void both_kinds_of_key_connect_and_describe_it(void)
{
    static const clo_key_kind kinds[] = {CLO_KEY_P256, CLO_KEY_ED25519};
    for (size_t i = 0; i < 2; i++) {
        CLO_AUTO(wire) w = connected_as(kinds[i]);
        char text[128];
        clo_tls_describe(w.client, text, sizeof text);
        T_STR(text, "TLSv1.3 TLS_AES_256_GCM_SHA384 X25519");
        T_CHECK(clo_span_equal(clo_tls_peer_cert_der(w.client), clo_cert_der(w.cert)));
        T_CHECK(clo_span_equal(clo_tls_peer_cert_der(w.server), clo_cert_der(w.cert)));
        T_CHECK(!clo_tls_was_resumed(w.client) && !clo_tls_was_resumed(w.server));
    }
}

static void text_goes_both_ways_and_an_empty_wire_says_wait(void)
{
    CLO_AUTO(wire) w = connected();
    char text[64];
    clo_tls_want want;
    T_OK(put(w.client, "to server"));
    T_OK(take(w.server, text, sizeof text, &want));
    T_STR(text, "to server");
    T_OK(put(w.server, "to client"));
    T_OK(take(w.client, text, sizeof text, &want));
    T_STR(text, "to client");
    T_INT(want, CLO_TLS_DONE);
    T_OK(take(w.client, text, sizeof text, &want));
    T_STR(text, "");
    T_INT(want, CLO_TLS_WANT_READ);
}

static void nothing_moves_before_the_handshake(void)
{
    CLO_AUTO(wire) w = make_wire(CLO_KEY_P256);
    uint8_t secret[32];
    char text[8];
    clo_tls_want want;
    add_client(&w, ALPN);
    T_CODE(put(w.client, "early"), CLO_INVALID);
    T_CODE(take(w.client, text, sizeof text, &want), CLO_INVALID);
    T_CODE(clo_tls_exporter(w.client, "label", CLO_SPAN_EMPTY, secret), CLO_INVALID);
    T_CODE(clo_tls_key_update(w.client), CLO_INVALID);
    T_INT(clo_tls_peer_cert_der(w.client).size, 0);
}

static void exporters_agree_and_depend_on_label_context_and_session(void)
{
    CLO_AUTO(wire) w = connected();
    CLO_AUTO(wire) other = connected();
    uint8_t a[32], b[32], c[32];
    clo_span context = clo_span_of_str("nonces");
    T_OK(clo_tls_exporter(w.client, "EXPORTER-x", context, a));
    T_OK(clo_tls_exporter(w.server, "EXPORTER-x", context, b));
    T_CHECK(memcmp(a, b, 32) == 0);
    T_OK(clo_tls_exporter(w.server, "EXPORTER-y", context, c));
    T_CHECK(memcmp(a, c, 32) != 0);
    T_OK(clo_tls_exporter(w.server, "EXPORTER-x", CLO_SPAN_EMPTY, c));
    T_CHECK(memcmp(a, c, 32) != 0);
    T_OK(clo_tls_exporter(other.client, "EXPORTER-x", context, c));
    T_CHECK(memcmp(a, c, 32) != 0);
}

static void eight_megabytes_arrive_whole_through_small_buffers(void)
{
    enum { SIZE = 8 << 20 };

    CLO_AUTO(wire) w = connected();
    int small = 20000;
    setsockopt(w.client_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    uint8_t *out = clo_alloc(SIZE), *in = clo_alloc(SIZE);
    size_t sent = 0, got = 0;
    clo_status status = clo_random_bytes(out, SIZE);
    while (clo_ok(status) && got < SIZE) {
        size_t count = 0;
        clo_tls_want want = CLO_TLS_DONE;
        if (sent < SIZE) {
            status = clo_tls_write(w.client, CLO_SPAN(out + sent, SIZE - sent), &count, &want);
            sent += count;
        }
        if (clo_ok(status)) {
            status = clo_tls_read(w.server, in + got, SIZE - got, &count, &want);
            got += clo_ok(status) ? count : 0;
        }
    }
    bool same = memcmp(in, out, SIZE) == 0;
    clo_free(out);
    clo_free(in);
    T_OK(status);
    T_INT(sent, SIZE);
    T_CHECK(same);
}

static void pending_tells_of_whole_records_only(void)
{
    CLO_AUTO(wire) w = connected();
    char text[64];
    clo_tls_want want;
    T_CHECK(!clo_tls_has_pending(w.server));
    T_OK(put(w.client, "first"));
    T_OK(put(w.client, "second"));
    T_OK(take(w.server, text, 2, &want));
    T_CHECK(clo_tls_has_pending(w.server));
    T_OK(take(w.server, text, sizeof text, &want));
    T_STR(text, "irstsecond");
    T_CHECK(!clo_tls_has_pending(w.server));
}

static void shutdown_is_an_end_of_file_for_the_other_side(void)
{
    CLO_AUTO(wire) w = connected();
    char text[64];
    clo_tls_want want;
    T_OK(put(w.client, "last"));
    T_OK(clo_tls_shutdown(w.client, &want));
    T_INT(want, CLO_TLS_DONE);
    T_OK(take(w.server, text, sizeof text, &want));
    T_STR(text, "last");
    T_CODE(take(w.server, text, sizeof text, &want), CLO_EOF);
    T_CODE(take(w.server, text, sizeof text, &want), CLO_EOF);
    T_OK(clo_tls_shutdown(w.server, &want));
    T_CODE(take(w.client, text, sizeof text, &want), CLO_EOF);
}

/* ---------------------------------------------------------------- cut and changed ------------- */

static void an_end_without_close_notify_is_closed_never_eof(void)
{
    CLO_AUTO(wire) w = connected();
    char text[64];
    clo_tls_want want;
    T_OK(put(w.client, "cut"));
    close_fd(&w.client_fd);
    T_OK(take(w.server, text, sizeof text, &want));
    T_STR(text, "cut");
    T_CODE(take(w.server, text, sizeof text, &want), CLO_CLOSED);
    T_CODE(take(w.server, text, sizeof text, &want), CLO_CLOSED);
}

static void writing_to_a_peer_that_left_does_not_kill_the_process(void)
{
    CLO_AUTO(wire) w = connected();
    close_fd(&w.server_fd);
    T_CODE(put(w.client, "anyone?"), CLO_CLOSED);
    T_CODE(put(w.client, "anyone?"), CLO_CLOSED);
}

static void leaving_in_the_handshake_is_closed(void)
{
    CLO_AUTO(wire) w = make_wire(CLO_KEY_P256);
    clo_tls_want want;
    add_client(&w, ALPN);
    T_OK(clo_tls_handshake(w.client, &want));
    T_INT(want, CLO_TLS_WANT_READ);
    close_fd(&w.server_fd);
    T_CODE(clo_tls_handshake(w.client, &want), CLO_CLOSED);
}

static void bytes_that_are_not_tls_are_refused(void)
{
    CLO_AUTO(wire) w = make_wire(CLO_KEY_P256);
    clo_tls_want want;
    add_server(&w, ALPN);
    const char *text = "GET / HTTP/1.1\r\nHost: rank-0\r\n\r\n";
    T_INT(write(w.client_fd, text, strlen(text)), strlen(text));
    T_CODE(clo_tls_handshake(w.server, &want), CLO_CRYPTO);
    T_CODE(clo_tls_handshake(w.server, &want), CLO_CRYPTO);
}

/* The client's next record, taken off the wire before the server sees it. */
static size_t intercept(wire *w, uint8_t *out, size_t size)
{
    ssize_t count = read(w->server_fd, out, size);
    return count > 0 ? (size_t)count : 0;
}

static void a_changed_record_is_refused_for_good(void)
{
    CLO_AUTO(wire) w = connected();
    uint8_t record[256];
    char text[64];
    clo_tls_want want;
    T_OK(put(w.client, "gradient"));
    size_t size = intercept(&w, record, sizeof record);
    T_CHECK(size > 20);
    record[10] ^= 1;
    T_INT(write(w.client_fd, record, size), (ssize_t)size);
    T_CODE(take(w.server, text, sizeof text, &want), CLO_CRYPTO);
    T_CODE(take(w.server, text, sizeof text, &want), CLO_CRYPTO);
    T_CODE(put(w.server, "x"), CLO_CRYPTO);
}

static void a_replayed_record_is_refused(void)
{
    CLO_AUTO(wire) w = connected();
    uint8_t record[256];
    char text[64];
    clo_tls_want want;
    T_OK(put(w.client, "once"));
    size_t size = intercept(&w, record, sizeof record);
    T_INT(write(w.client_fd, record, size), (ssize_t)size);
    T_OK(take(w.server, text, sizeof text, &want));
    T_STR(text, "once");
    T_INT(write(w.client_fd, record, size), (ssize_t)size);
    T_CODE(take(w.server, text, sizeof text, &want), CLO_CRYPTO);
}

static void half_a_record_is_waited_for_and_not_pending(void)
{
    CLO_AUTO(wire) w = connected();
    uint8_t record[256];
    char text[64];
    clo_tls_want want;
    T_OK(put(w.client, "in two parts"));
    size_t size = intercept(&w, record, sizeof record);
    T_INT(write(w.client_fd, record, size - 7), (ssize_t)size - 7);
    T_OK(take(w.server, text, sizeof text, &want));
    T_INT(want, CLO_TLS_WANT_READ);
    T_CHECK(!clo_tls_has_pending(w.server));
    T_INT(write(w.client_fd, record + size - 7, 7), 7);
    T_OK(take(w.server, text, sizeof text, &want));
    T_STR(text, "in two parts");
}

/* ---------------------------------------------------------------- wrong identity -------------- */

static void another_alpn_is_refused_by_both_ends(void)
{
    CLO_AUTO(wire) w = make_wire(CLO_KEY_P256);
    clo_status client, server;
    add_client(&w, ALPN);
    add_server(&w, "cloister/2");
    shake(&w, &client, &server);
    T_CODE(server, CLO_CRYPTO);
    T_CODE(client, CLO_CRYPTO);
}

static void a_session_needs_a_signing_key_its_certificate_and_a_protocol(void)
{
    CLO_AUTO(wire) w = make_wire(CLO_KEY_P256);
    CLO_AUTO_PTR(clo_key) other = fixture_key(CLO_KEY_P256);
    CLO_AUTO_PTR(clo_key) agreement = fixture_key(CLO_KEY_X25519);
    CLO_AUTO_PTR(clo_key) public_key = NULL;
    clo_tls *tls = NULL;
    T_OK(clo_key_parse_spki(clo_key_spki(w.key), &public_key));
    T_CODE(clo_tls_new(CLO_TLS_CLIENT, 0, other, w.cert, ALPN, &tls), CLO_INVALID);
    T_CODE(clo_tls_new(CLO_TLS_CLIENT, 0, agreement, w.cert, ALPN, &tls), CLO_INVALID);
    T_CODE(clo_tls_new(CLO_TLS_CLIENT, 0, public_key, w.cert, ALPN, &tls), CLO_INVALID);
    T_CODE(clo_tls_new(CLO_TLS_CLIENT, 0, w.key, w.cert, "", &tls), CLO_INVALID);
    T_CHECK(tls == NULL);
}

/* ---------------------------------------------------------------- foreign peers --------------- */

/* How a foreign client differs from ours. */
typedef struct {
    int version; /* its highest; 0: TLS 1.3 */
    bool no_certificate;
    bool no_alpn;
    const char *certificate; /* key type of a certificate of its own: "RSA", "P-384" */
    bool chain;              /* sends a second certificate */
    const char *groups;
    const char *suites;
} foreign_options;

static EVP_PKEY *foreign_key(const char *type)
{
    return strcmp(type, "RSA") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)
                                    : EVP_PKEY_Q_keygen(NULL, NULL, "EC", type);
}

static void use_foreign_certificate(SSL_CTX *context, const char *type)
{
    CLO_AUTO_PTR(EVP_PKEY) key = foreign_key(type);
    CLO_AUTO_PTR(X509) x509 = X509_new();
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key);
    X509_sign(x509, key, EVP_sha256());
    SSL_CTX_use_certificate(context, x509);
    SSL_CTX_use_PrivateKey(context, key);
}

static void set_identity(wire *w, SSL_CTX *context, const foreign_options *options)
{
    if (options->certificate != NULL) {
        use_foreign_certificate(context, options->certificate);
    } else if (!options->no_certificate) {
        SSL_CTX_use_certificate(context, w->cert->x509);
        SSL_CTX_use_PrivateKey(context, w->key->pkey);
    }
    if (options->chain) {
        SSL_CTX_add1_chain_cert(context, w->cert->x509);
    }
}

static int first_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                      const unsigned char *in, unsigned in_size, void *unused)
{
    (void)ssl;
    (void)in_size;
    (void)unused;
    *out = in + 1;
    *out_size = in[0];
    return SSL_TLSEXT_ERR_OK;
}

static void add_foreign(wire *w, const SSL_METHOD *method, int fd, const foreign_options *options)
{
    static const unsigned char alpn[] = "\x0a" ALPN;
    SSL_CTX *context = SSL_CTX_new(method);
    SSL_CTX_set_max_proto_version(context,
                                  options->version != 0 ? options->version : TLS1_3_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    set_identity(w, context, options);
    if (options->groups != NULL) {
        char groups[64];
        snprintf(groups, sizeof groups, "%s", options->groups);
        SSL_CTX_set1_groups_list(context, groups);
    }
    if (options->suites != NULL) {
        SSL_CTX_set_ciphersuites(context, options->suites);
    }
    if (!options->no_alpn) {
        SSL_CTX_set_alpn_protos(context, alpn, sizeof alpn - 1);
        SSL_CTX_set_alpn_select_cb(context, first_alpn, NULL);
    }
    /* Without an internal cache, which would spoil its tickets when the context is freed. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_BOTH | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"x", 1);
    w->foreign_context = context;
    w->foreign = SSL_new(context);
    SSL_set_fd(w->foreign, fd);
}

static wire foreign_client(const foreign_options *options)
{
    wire w = make_wire(CLO_KEY_P256);
    add_server(&w, ALPN);
    add_foreign(&w, TLS_client_method(), w.client_fd, options);
    SSL_set_connect_state(w.foreign);
    return w;
}

static wire foreign_server(const foreign_options *options)
{
    wire w = make_wire(CLO_KEY_P256);
    add_client(&w, ALPN);
    add_foreign(&w, TLS_server_method(), w.server_fd, options);
    SSL_set_accept_state(w.foreign);
    return w;
}

/* Our end's status after both have had all the turns they want. */
static clo_status shake_foreign(wire *w)
{
    clo_tls *ours = w->client != NULL ? w->client : w->server;
    clo_tls_want want = CLO_TLS_WANT_READ;
    clo_status status = CLO_STATUS_OK;
    for (int i = 0; i < STEPS; i++) {
        SSL_do_handshake(w->foreign);
        ERR_clear_error();
        if (clo_ok(status) && want != CLO_TLS_DONE) {
            status = clo_tls_handshake(ours, &want);
        }
    }
    return status;
}

static void an_ordinary_foreign_peer_is_accepted_on_either_side(void)
{
    static const foreign_options plain;
    CLO_AUTO(wire) as_client = foreign_client(&plain);
    CLO_AUTO(wire) as_server = foreign_server(&plain);
    T_OK(shake_foreign(&as_client));
    T_OK(shake_foreign(&as_server));
    static const foreign_options second_choices = {.groups = "P-256",
                                                   .suites = "TLS_CHACHA20_POLY1305_SHA256"};
    CLO_AUTO(wire) second = foreign_client(&second_choices);
    char text[128];
    T_OK(shake_foreign(&second));
    clo_tls_describe(second.server, text, sizeof text);
    T_STR(text, "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256 P-256");
}

/* Every row is refused by our server; those that make sense for a server also by our client. */
static const struct {
    const char *name;
    foreign_options options;
    bool also_server;
} refused[] = {
    {"TLS 1.2", {.version = TLS1_2_VERSION}, true},
    {"no certificate", {.no_certificate = true}, false},
    {"no alpn", {.no_alpn = true}, true},
    {"an RSA certificate", {.certificate = "RSA"}, true},
    {"a P-384 certificate", {.certificate = "P-384"}, true},
    {"a chain of two", {.chain = true}, true},
    {"group P-384 alone", {.groups = "P-384"}, true},
    {"AES-128 alone", {.suites = "TLS_AES_128_GCM_SHA256"}, true},
};

static void every_foreign_weakness_is_refused(void)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CLO_AUTO(wire) as_client = foreign_client(&refused[i].options);
        clo_status status = shake_foreign(&as_client);
        if (status.code != CLO_CRYPTO) {
            clo_test_fail(__FILE__, __LINE__, "client with %s: found %s", refused[i].name,
                          clo_code_name(status.code));
            return;
        }
        if (!refused[i].also_server) {
            continue;
        }
        CLO_AUTO(wire) as_server = foreign_server(&refused[i].options);
        status = shake_foreign(&as_server);
        if (status.code != CLO_CRYPTO) {
            clo_test_fail(__FILE__, __LINE__, "server with %s: found %s", refused[i].name,
                          clo_code_name(status.code));
            return;
        }
    }
}

/* ---------------------------------------------------------------- resumption ------------------ */

static SSL_SESSION *kept_session;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(kept_session);
    kept_session = session;
    return 1;
}

/* A ticket as a foreign server gives them, taken by a foreign client: what we never hand out. */
static SSL_SESSION *foreign_ticket(void)
{
    static const foreign_options plain;
    CLO_AUTO(wire) w = make_wire(CLO_KEY_P256);
    CLO_AUTO(wire) server = make_wire(CLO_KEY_P256);
    char byte;
    add_foreign(&w, TLS_client_method(), w.client_fd, &plain);
    add_foreign(&server, TLS_server_method(), w.server_fd, &plain);
    SSL_CTX_sess_set_new_cb(w.foreign_context, keep_session);
    SSL_set_connect_state(w.foreign);
    SSL_set_accept_state(server.foreign);
    for (int i = 0; i < STEPS; i++) {
        SSL_do_handshake(w.foreign);
        SSL_do_handshake(server.foreign);
    }
    SSL_read(w.foreign, &byte, 1);
    SSL_shutdown(w.foreign); /* else OpenSSL thinks the session bad and spoils the ticket */
    ERR_clear_error();
    SSL_SESSION *session = kept_session;
    kept_session = NULL;
    return session;
}

static void a_ticket_offered_never_resumes(void)
{
    static const foreign_options plain;
    SSL_SESSION *session = foreign_ticket();
    T_CHECK(session != NULL && SSL_SESSION_is_resumable(session) == 1);
    CLO_AUTO(wire) w = foreign_client(&plain);
    T_CHECK(SSL_SESSION_get_protocol_version(session) == TLS1_3_VERSION);
    T_CHECK(SSL_set_session(w.foreign, session) == 1);
    clo_status status = shake_foreign(&w);
    SSL_SESSION_free(session);
    T_OK(status);
    T_INT(SSL_session_reused(w.foreign), 0);
    T_CHECK(!clo_tls_was_resumed(w.server));
}

static void our_server_hands_out_no_ticket(void)
{
    static const foreign_options plain;
    CLO_AUTO(wire) w = foreign_client(&plain);
    char byte;
    SSL_CTX_sess_set_new_cb(w.foreign_context, keep_session);
    T_OK(shake_foreign(&w));
    T_OK(put(w.server, "x"));
    T_INT(SSL_read(w.foreign, &byte, 1), 1);
    T_CHECK(kept_session == NULL);
}

static void our_client_reads_past_a_foreign_servers_tickets(void)
{
    static const foreign_options plain;
    CLO_AUTO(wire) w = foreign_server(&plain);
    char text[16];
    clo_tls_want want;
    T_OK(shake_foreign(&w));
    T_INT(SSL_write(w.foreign, "hello", 5), 5);
    T_OK(take(w.client, text, sizeof text, &want));
    T_STR(text, "hello");
    T_CHECK(!clo_tls_was_resumed(w.client));
}

/* ---------------------------------------------------------------- key update ------------------ */

typedef struct {
    int in, out;
} update_count;

static void count_updates(int outgoing, int version, int type, const void *bytes, size_t size,
                          SSL *ssl, void *arg)
{
    (void)version;
    (void)ssl;
    update_count *count = arg;
    if (type == SSL3_RT_HANDSHAKE && size > 0 && *(const uint8_t *)bytes == SSL3_MT_KEY_UPDATE) {
        count->in += !outgoing;
        count->out += outgoing;
    }
}

static void a_key_update_goes_out_with_the_next_write_and_comes_back(void)
{
    static const foreign_options plain;
    CLO_AUTO(wire) w = foreign_server(&plain);
    update_count count = {0, 0};
    char text[16] = "";
    clo_tls_want want;
    T_OK(shake_foreign(&w));
    SSL_set_msg_callback(w.foreign, count_updates);
    SSL_set_msg_callback_arg(w.foreign, &count);
    T_OK(put(w.client, "one"));
    T_INT(SSL_read(w.foreign, text, sizeof text), 3);
    T_INT(count.in, 0);
    T_OK(clo_tls_key_update(w.client));
    T_OK(put(w.client, "two"));
    T_INT(SSL_read(w.foreign, text, sizeof text), 3);
    T_INT(count.in, 1);
    T_INT(SSL_write(w.foreign, "three", 5), 5);
    T_INT(count.out, 1);
    T_OK(take(w.client, text, sizeof text, &want));
    T_STR(text, "three");
}

static void updates_from_both_ends_keep_the_session_going(void)
{
    CLO_AUTO(wire) w = connected();
    char text[16];
    clo_tls_want want;
    for (int i = 0; i < 20; i++) {
        T_OK(clo_tls_key_update(w.client));
        T_OK(clo_tls_key_update(w.server));
        T_OK(put(w.client, "ping"));
        T_OK(put(w.server, "pong"));
        T_OK(take(w.server, text, sizeof text, &want));
        T_STR(text, "ping");
        T_OK(take(w.client, text, sizeof text, &want));
        T_STR(text, "pong");
    }
}

/* Asked for while a record waits for room, an update starts after that record. */
static void an_update_waits_for_a_record_that_is_stuck(void)
{
    CLO_AUTO(wire) w = connected();
    static uint8_t out[1 << 20], in[1 << 20];
    size_t sent = 0, got = 0, count;
    clo_tls_want want = CLO_TLS_DONE;
    memset(out, 7, sizeof out);
    while (want != CLO_TLS_WANT_WRITE) {
        T_OK(clo_tls_write(w.client, CLO_SPAN(out + sent, sizeof out - sent), &count, &want));
        sent += count;
    }
    T_OK(clo_tls_key_update(w.client));
    for (int i = 0; i < 10000 && got < sizeof in; i++) {
        T_OK(clo_tls_read(w.server, in + got, sizeof in - got, &count, &want));
        got += count;
        if (sent < sizeof out) {
            T_OK(clo_tls_write(w.client, CLO_SPAN(out + sent, sizeof out - sent), &count, &want));
            sent += count;
        }
    }
    T_INT(got, sizeof in);
    T_CHECK(memcmp(in, out, sizeof in) == 0);
}

/* ---------------------------------------------------------------- the host's configuration ---- */

static char host_config[512];

static void write_host_config(void)
{
    static const char text[] = "openssl_conf = init\n[init]\nalg_section = alg\n[alg]\n"
                               "default_properties = fips=yes\n";
    fixture_must(clo_path_join(host_config, sizeof host_config, clo_test_folder(), "openssl.cnf"),
                 "path");
    fixture_must(clo_file_write(host_config, 0600, clo_span_of_str(text)), "config");
    setenv("OPENSSL_CONF", host_config, 1);
}

static void the_hosts_openssl_conf_has_no_effect(void)
{
    OSSL_LIB_CTX *control = OSSL_LIB_CTX_new();
    T_CHECK(OSSL_LIB_CTX_load_config(control, host_config) == 1);
    T_INT(EVP_default_properties_is_fips_enabled(control), 1);
    OSSL_LIB_CTX_free(control);
    T_INT(EVP_default_properties_is_fips_enabled(NULL), 0);
    T_INT(EVP_default_properties_is_fips_enabled(clo_crypto()->lib), 0);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(both_kinds_of_key_connect_and_describe_it),
        T(text_goes_both_ways_and_an_empty_wire_says_wait),
        T(nothing_moves_before_the_handshake),
        T(exporters_agree_and_depend_on_label_context_and_session),
        T(eight_megabytes_arrive_whole_through_small_buffers),
        T(pending_tells_of_whole_records_only),
        T(shutdown_is_an_end_of_file_for_the_other_side),
        T(an_end_without_close_notify_is_closed_never_eof),
        T(writing_to_a_peer_that_left_does_not_kill_the_process),
        T(leaving_in_the_handshake_is_closed),
        T(bytes_that_are_not_tls_are_refused),
        T(a_changed_record_is_refused_for_good),
        T(a_replayed_record_is_refused),
        T(half_a_record_is_waited_for_and_not_pending),
        T(another_alpn_is_refused_by_both_ends),
        T(a_session_needs_a_signing_key_its_certificate_and_a_protocol),
        T(an_ordinary_foreign_peer_is_accepted_on_either_side),
        T(every_foreign_weakness_is_refused),
        T(a_ticket_offered_never_resumes),
        T(our_server_hands_out_no_ticket),
        T(our_client_reads_past_a_foreign_servers_tickets),
        T(a_key_update_goes_out_with_the_next_write_and_comes_back),
        T(updates_from_both_ends_keep_the_session_going),
        T(an_update_waits_for_a_record_that_is_stuck),
        T(the_hosts_openssl_conf_has_no_effect),
    };
    write_host_config();
    fixture_must(clo_crypto_init(), "clo_crypto_init");
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
