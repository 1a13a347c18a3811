/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of every public function made to fail, one at a time: the answer is out of
 * memory and nothing else, nothing leaks (the sanitizer build says), and the same call succeeds
 * afterwards. OpenSSL's own allocations are not among them.
 */
#include "fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS_MAX 400

static long fail_at = -1;
static long allocations;

bool clo_mem_should_fail(void)
{
    return fail_at >= 0 && ++allocations == fail_at;
}

/* Objects the operations work on, made once while memory lasts. */
static struct {
    clo_key *p256, *ed25519, *x25519;
    clo_cert *cert;
    clo_buf public_pem, envelope, cipher, crl, chain;
    clo_secret private_pem, aead_key;
    uint8_t enc[32];
    char path[512];
} given;

static void make_given(void)
{
    clo_span serial = CLO_SPAN("\x05", 1);
    given.p256 = fixture_key(CLO_KEY_P256);
    given.ed25519 = fixture_key(CLO_KEY_ED25519);
    given.x25519 = fixture_key(CLO_KEY_X25519);
    given.cert = fixture_cert(given.p256);
    fixture_must(clo_key_write_public_pem(given.p256, &given.public_pem), "pem");
    fixture_must(clo_key_write_private_pem(given.p256, &given.private_pem), "pem");
    fixture_must(clo_dsse_sign(given.p256, "t", serial, &given.envelope), "envelope");
    fixture_must(clo_hpke_seal(given.x25519, serial, serial, serial, given.enc, &given.cipher),
                 "hpke");
    fixture_must(
        clo_crl_make(given.p256, given.cert, FIXTURE_NOW, FIXTURE_NOW + 1, &serial, 1, &given.crl),
        "crl");
    fixture_must(clo_cert_write_pem(given.cert, &given.chain), "chain");
    fixture_must(clo_cert_write_pem(given.cert, &given.chain), "chain");
    fixture_must(clo_secret_alloc(&given.aead_key, 32), "key");
    fixture_must(clo_path_join(given.path, sizeof given.path, clo_test_folder(), "key"), "path");
    fixture_must(clo_key_write_files(given.p256, given.path, NULL), "file");
}

static void free_given(void)
{
    clo_key_free(given.p256);
    clo_key_free(given.ed25519);
    clo_key_free(given.x25519);
    clo_cert_free(given.cert);
    clo_buf_release(&given.public_pem);
    clo_buf_release(&given.envelope);
    clo_buf_release(&given.cipher);
    clo_buf_release(&given.crl);
    clo_buf_release(&given.chain);
    clo_secret_clear(&given.private_pem);
    clo_secret_clear(&given.aead_key);
}

static clo_status run_hash(void)
{
    CLO_AUTO_PTR(clo_hash) hash = NULL;
    return clo_hash_new(&hash);
}

static clo_status run_aead(void)
{
    CLO_AUTO_PTR(clo_aead) aead = NULL;
    return clo_aead_new(&given.aead_key, &aead);
}

static clo_status run_generate(void)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    return clo_key_generate(CLO_KEY_X25519, &key);
}

static clo_status run_parse_public(void)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    return clo_key_parse_public_pem(clo_buf_span(&given.public_pem), &key);
}

static clo_status run_parse_private(void)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    return clo_key_parse_private_pem(clo_secret_span(&given.private_pem), &key);
}

static clo_status run_write_pem(void)
{
    CLO_AUTO(clo_buf) pem = CLO_BUF_INIT;
    CLO_AUTO(clo_secret) secret = CLO_SECRET_INIT;
    CLO_TRY(clo_key_write_public_pem(given.p256, &pem));
    return clo_key_write_private_pem(given.p256, &secret);
}

static clo_status run_read_file(void)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    return clo_key_read_private_file(given.path, &key);
}

static clo_status run_sign(void)
{
    CLO_AUTO(clo_buf) signature = CLO_BUF_INIT;
    uint8_t rs[64];
    CLO_TRY(clo_key_sign(given.ed25519, CLO_SPAN("x", 1), &signature));
    CLO_TRY(clo_key_sign_raw(given.p256, CLO_SPAN("x", 1), rs));
    return clo_key_verify_raw(given.p256, CLO_SPAN("x", 1), rs);
}

static clo_status run_hpke_seal(void)
{
    CLO_AUTO(clo_buf) cipher = CLO_BUF_INIT;
    uint8_t enc[32];
    return clo_hpke_seal(given.x25519, CLO_SPAN_EMPTY, CLO_SPAN_EMPTY, CLO_SPAN("x", 1), enc,
                         &cipher);
}

static clo_status run_hpke_open(void)
{
    CLO_AUTO(clo_secret) plain = CLO_SECRET_INIT;
    clo_span label = CLO_SPAN("\x05", 1);
    return clo_hpke_open(given.x25519, given.enc, label, label, clo_buf_span(&given.cipher),
                         &plain);
}

static clo_status run_dsse_sign(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    return clo_dsse_sign(given.ed25519, "t", CLO_SPAN("x", 1), &envelope);
}

static clo_status run_dsse_open(void)
{
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    return clo_dsse_open(clo_buf_span(&given.envelope), "t", given.p256, &payload);
}

static clo_status run_cert_make(void)
{
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    clo_cert_request request = fixture_request(given.ed25519);
    request.uri = "cloister:job";
    return clo_cert_make(&request, &cert);
}

static clo_status run_chain(void)
{
    clo_cert *chain[2] = {NULL, NULL};
    size_t count = 0;
    clo_status status = clo_cert_parse_pem_chain(clo_buf_span(&given.chain), 2, chain, &count);
    clo_cert_free(chain[0]);
    clo_cert_free(chain[1]);
    return status;
}

static clo_status run_public_key(void)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    return clo_cert_public_key(given.cert, &key);
}

static clo_status run_crl(void)
{
    CLO_AUTO_PTR(clo_crl) crl = NULL;
    CLO_AUTO(clo_buf) der = CLO_BUF_INIT;
    CLO_TRY(clo_crl_parse(clo_buf_span(&given.crl), &crl));
    return clo_crl_make(given.p256, given.cert, 1, 2, NULL, 0, &der);
}

static clo_status run_tls_new(void)
{
    CLO_AUTO_PTR(clo_tls) tls = NULL;
    return clo_tls_new(CLO_TLS_CLIENT, 0, given.p256, given.cert, "x", &tls);
}

static const struct {
    const char *name;
    clo_status (*run)(void);
} operations[] = {
    {"hash_new", run_hash},
    {"aead_new", run_aead},
    {"key_generate", run_generate},
    {"parse_public_pem", run_parse_public},
    {"parse_private", run_parse_private},
    {"write_pem", run_write_pem},
    {"read_private_file", run_read_file},
    {"sign", run_sign},
    {"hpke_seal", run_hpke_seal},
    {"hpke_open", run_hpke_open},
    {"dsse_sign", run_dsse_sign},
    {"dsse_open", run_dsse_open},
    {"cert_make", run_cert_make},
    {"parse_pem_chain", run_chain},
    {"cert_public_key", run_public_key},
    {"crl", run_crl},
    {"tls_new", run_tls_new},
};

/* Fails allocation `number` of one run. */
static clo_status run_failing(clo_status (*run)(void), long number)
{
    allocations = 0;
    fail_at = number;
    clo_status status = run();
    fail_at = -1;
    return status;
}

static void every_failed_allocation_is_told_and_survived(void)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        long number = 0;
        clo_status status;
        do {
            status = run_failing(operations[i].run, ++number);
            if (!clo_ok(status) && status.code != CLO_NOMEM) {
                clo_test_fail(__FILE__, __LINE__, "%s, allocation %ld: found %s",
                              operations[i].name, number, clo_code_name(status.code));
                return;
            }
        } while (!clo_ok(status) && number < ROUNDS_MAX);
        T_OK(status);
        T_CHECK(number > 1);
    }
}

/* Inside a handshake the reason is lost in OpenSSL's callback; it must fail all the same. */
static clo_status handshake_failing(long number)
{
    int fds[2];
    CLO_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0, CLO_BUG, "socketpair");
    CLO_AUTO_PTR(clo_tls) client = NULL;
    CLO_AUTO_PTR(clo_tls) server = NULL;
    clo_status status = clo_tls_new(CLO_TLS_CLIENT, fds[0], given.p256, given.cert, "x", &client);
    clo_tls_want a = CLO_TLS_WANT_READ, b = CLO_TLS_WANT_READ;
    CLO_TRY(status);
    CLO_TRY(clo_tls_new(CLO_TLS_SERVER, fds[1], given.p256, given.cert, "x", &server));
    allocations = 0;
    fail_at = number;
    for (int i = 0; i < 10 && clo_ok(status) && (a != CLO_TLS_DONE || b != CLO_TLS_DONE); i++) {
        status = clo_tls_handshake(client, &a);
        if (clo_ok(status)) {
            status = clo_tls_handshake(server, &b);
        }
    }
    fail_at = -1;
    close(fds[0]);
    close(fds[1]);
    return status;
}

static void a_handshake_without_memory_fails(void)
{
    long number = 0;
    clo_status status;
    do {
        status = handshake_failing(++number);
    } while (!clo_ok(status) && number < ROUNDS_MAX);
    T_OK(status);
    T_CHECK(number > 3);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(every_failed_allocation_is_told_and_survived),
        T(a_handshake_without_memory_fails),
    };
    fixture_must(clo_crypto_init(), "clo_crypto_init");
    make_given();
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    free_given();
    return code;
}
