/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listener on loopback: honest peers get in beside stalling ones, half-open connections are
 * limited in all and by address, and peers that speak something else are told apart from failures.
 */
#include "channel_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    rig_pair pair;
    clo_listener *listener;
    clo_address address;
    clo_thread *thread;
    clo_channel *accepted;
    int64_t wait_ms;
    unsigned refused;
    clo_saved_status last;
} hall;

static void on_refused(void *arg, const clo_address *peer, clo_status reason)
{
    hall *h = arg;
    (void)peer;
    clo_status_save(reason, &h->last);
    h->refused++;
}

static clo_status run_accept(void *arg)
{
    hall *h = arg;
    clo_listener_hooks hooks = {on_refused, h};
    return clo_listener_accept(h->listener, &hooks, clo_deadline_in(h->wait_ms), &h->accepted);
}

static void hall_open(hall *h, int64_t wait_ms)
{
    *h = (hall){.wait_ms = wait_ms};
    rig_pair_init(&h->pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    rig_end *server = &h->pair.ends[CLO_TLS_SERVER];
    rig_must(clo_listener_open("127.0.0.1:0", &server->self, &server->rules, &h->listener), "open");
    clo_listener_address(h->listener, &h->address);
    rig_must(clo_thread_start(run_accept, h, "accept", &h->thread), "thread");
}

static clo_status hall_join(hall *h)
{
    return clo_thread_join(CLO_TAKE(h->thread));
}

static void hall_cleanup(hall *h)
{
    (void)hall_join(h);
    clo_channel_close(h->accepted);
    clo_listener_close(h->listener);
    rig_pair_clear(&h->pair);
    rig_reset_limits();
}

static clo_status connect_to(hall *h, clo_channel **out)
{
    rig_end *client = &h->pair.ends[CLO_TLS_CLIENT];
    return clo_channel_connect(h->address.text, NULL, &client->self, &client->rules,
                               clo_deadline_in(5000), out);
}

/* A plain socket from a chosen loopback address. */
static int raw_connect(const hall *h, const char *from)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in local = {.sin_family = AF_INET};
    struct sockaddr_in remote = {.sin_family = AF_INET};
    inet_pton(AF_INET, from, &local.sin_addr);
    inet_pton(AF_INET, "127.0.0.1", &remote.sin_addr);
    remote.sin_port = htons((uint16_t)atoi(strrchr(h->address.text, ':') + 1));
    if (bind(fd, (struct sockaddr *)&local, sizeof local) != 0 ||
        connect(fd, (struct sockaddr *)&remote, sizeof remote) != 0) {
        abort();
    }
    return fd;
}

/* Whether the other side closes within the time. */
static bool is_closed_within(int fd, int ms)
{
    uint8_t byte;
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    return poll(&poller, 1, ms) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

static void a_peer_connects_passes_the_gate_and_talks(void)
{
    CLO_AUTO(hall) h;
    hall_open(&h, 3000);
    CLO_AUTO_PTR(clo_channel) channel = NULL;
    T_OK(connect_to(&h, &channel));
    T_OK(hall_join(&h));
    T_OK(clo_channel_send(channel, clo_span_of_str("hello"), clo_deadline_in(1000)));
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    T_OK(clo_channel_recv(h.accepted, &got, clo_deadline_in(1000)));
    T_STR(clo_channel_peer(channel)->address.text, h.address.text);
    T_CHECK(strncmp(clo_channel_peer(h.accepted)->address.text, "127.0.0.1:", 10) == 0);
    T_INT(h.refused, 0);
}

static void accept_ends_at_its_deadline(void)
{
    CLO_AUTO(hall) h;
    hall_open(&h, 100);
    T_CODE(hall_join(&h), CLO_TIMEOUT);
}

static void a_refused_peer_does_not_end_the_wait_of_the_next(void)
{
    CLO_AUTO(hall) h;
    hall_open(&h, 3000);
    CLO_AUTO_PTR(clo_channel) channel = NULL;
    h.pair.ends[CLO_TLS_CLIENT].self.slot = 7;
    T_CODE(connect_to(&h, &channel), CLO_DENIED);
    h.pair.ends[CLO_TLS_CLIENT].self.slot = 1;
    T_OK(connect_to(&h, &channel));
    T_OK(hall_join(&h));
    T_INT(h.refused, 1);
    T_RESULT(h.last, CLO_POLICY);
}

static void a_ninth_half_open_connection_of_one_address_is_closed_at_once(void)
{
    CLO_AUTO(hall) h;
    hall_open(&h, 4000);
    int fds[9];
    for (int i = 0; i < 9; i++) {
        fds[i] = raw_connect(&h, "127.0.0.1");
    }
    T_CHECK(is_closed_within(fds[8], 1000));
    T_CHECK(!is_closed_within(fds[7], 50));
    T_RESULT(h.last, CLO_LIMIT);
    int other = raw_connect(&h, "127.0.0.2");
    T_CHECK(!is_closed_within(other, 50));
    for (int i = 0; i < 9; i++) {
        close(fds[i]);
    }
    close(other);
    CLO_AUTO_PTR(clo_channel) channel = NULL;
    T_OK(connect_to(&h, &channel));
    T_OK(hall_join(&h));
}

static void half_open_connections_are_limited_in_all_and_dropped_at_their_deadline(void)
{
    CLO_AUTO(hall) h;
    rig_limits.tls_ms = 600;
    hall_open(&h, 6000);
    int fds[CLO_LISTENER_HALF_OPEN];
    for (int i = 0; i < CLO_LISTENER_HALF_OPEN; i++) {
        char from[32];
        snprintf(from, sizeof from, "127.0.1.%d", 1 + i / CLO_LISTENER_HALF_OPEN_ADDRESS);
        fds[i] = raw_connect(&h, from);
    }
    int beyond = raw_connect(&h, "127.0.2.1");
    T_CHECK(is_closed_within(beyond, 400));
    close(beyond);
    for (int i = 0; i < CLO_LISTENER_HALF_OPEN; i++) {
        T_CHECK(is_closed_within(fds[i], 3000));
        close(fds[i]);
    }
    CLO_AUTO_PTR(clo_channel) channel = NULL;
    T_OK(connect_to(&h, &channel));
    T_OK(hall_join(&h));
    T_INT(h.refused, CLO_LISTENER_HALF_OPEN + 1);
}

static void an_honest_peer_gets_in_beside_stalling_ones(void)
{
    CLO_AUTO(hall) h;
    hall_open(&h, 4000);
    int fds[6];
    for (int i = 0; i < 6; i++) {
        fds[i] = raw_connect(&h, "127.0.0.1");
    }
    CLO_AUTO_PTR(clo_channel) channel = NULL;
    int64_t before = clo_clock_ms();
    T_OK(connect_to(&h, &channel));
    T_OK(hall_join(&h));
    T_CHECK(clo_clock_ms() - before < 2000);
    for (int i = 0; i < 6; i++) {
        close(fds[i]);
    }
}

/* ---- peers that speak something else (M6) */

typedef struct {
    const char *name;
    const char *bytes;
    size_t size;
} greeting;

#define BYTES(text) text, sizeof(text) - 1

static const greeting greetings[] = {
    {"http", BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
    {"zeros", BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
    {"our own frames without tls", BYTES("\0\0\0\x59\1\0\1\1")},
    /* A TLS 1.2 ClientHello: version 3.3, no supported_versions extension. */
    {"tls 1.2", BYTES("\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03"
                      "0123456789abcdef0123456789abcdef"
                      "\x00\x00\x04\xc0\x2b\xc0\x2f\x01\x00")},
    {"ssl 2", BYTES("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10")},
};

static void peers_that_do_not_speak_tls_1_3_are_refused_in_the_handshake(void)
{
    for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++) {
        CLO_AUTO(hall) h;
        hall_open(&h, 1000);
        int fd = raw_connect(&h, "127.0.0.1");
        T_INT(write(fd, greetings[i].bytes, greetings[i].size), (long long)greetings[i].size);
        shutdown(fd, SHUT_WR);
        uint8_t waste[512];
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        while (poll(&poller, 1, 2000) == 1 && read(fd, waste, sizeof waste) > 0) {
        }
        close(fd);
        CLO_AUTO_PTR(clo_channel) channel = NULL;
        T_OK(connect_to(&h, &channel));
        T_OK(hall_join(&h));
        T_INT(h.refused, 1);
        T_CHECK(h.last.code == CLO_CRYPTO || h.last.code == CLO_CLOSED);
    }
}

/* `openssl s_client` as a peer we did not write; its standard streams are /dev/null. */
static int run_s_client(const hall *h, const char *version, const char *alpn)
{
    pid_t child = fork();
    if (child == 0) {
        if (freopen("/dev/null", "r", stdin) == NULL || freopen("/dev/null", "w", stdout) == NULL ||
            freopen("/dev/null", "w", stderr) == NULL) {
            _exit(126);
        }
        execlp("openssl", "openssl", "s_client", "-connect", h->address.text, version, "-alpn",
               alpn, "-quiet", (char *)NULL);
        _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void plain_tls_peers_without_certificate_version_or_protocol_are_refused(void)
{
    static const char *const peers[][2] = {
        {"-tls1_2", CLO_CHANNEL_ALPN}, /* too old */
        {"-tls1_3", "h2"},             /* another protocol */
        {"-tls1_3", CLO_CHANNEL_ALPN}, /* no certificate */
    };
    for (size_t i = 0; i < 3; i++) {
        CLO_AUTO(hall) h;
        hall_open(&h, 1500);
        if (run_s_client(&h, peers[i][0], peers[i][1]) == 127) {
            T_SKIP("the program openssl is not here");
        }
        CLO_AUTO_PTR(clo_channel) channel = NULL;
        T_OK(connect_to(&h, &channel));
        T_OK(hall_join(&h));
        T_INT(h.refused, 1);
        T_CHECK(h.last.code == CLO_CRYPTO);
    }
}

static void a_connector_refuses_a_server_that_is_not_ours(void)
{
    CLO_AUTO(rig_pair) pair;
    rig_pair_init(&pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    int fds[2];
    rig_socketpair(fds);
    T_OK(rig_begin(&pair.ends[0], CLO_TLS_CLIENT, fds[0], &pair.channels[0]));
    T_INT(write(fds[1], "HTTP/1.1 400 Bad Request\r\n\r\n", 28), 28);
    for (int i = 0; i < 10 && pair.results[0].code == CLO_OK; i++) {
        (void)rig_step(pair.channels[0], &pair.results[0]);
    }
    T_RESULT(pair.results[0], CLO_CRYPTO);
    clo_net_close(fds[1]);
}

static void nobody_there_is_not_a_gate_failure(void)
{
    CLO_AUTO(hall) h;
    hall_open(&h, 10);
    (void)hall_join(&h);
    clo_listener_close(CLO_TAKE(h.listener));
    CLO_AUTO_PTR(clo_channel) channel = NULL;
    clo_status status = connect_to(&h, &channel);
    T_CHECK(status.code == CLO_IO || status.code == CLO_CLOSED);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(a_peer_connects_passes_the_gate_and_talks),
        T(accept_ends_at_its_deadline),
        T(a_refused_peer_does_not_end_the_wait_of_the_next),
        T(a_ninth_half_open_connection_of_one_address_is_closed_at_once),
        T(half_open_connections_are_limited_in_all_and_dropped_at_their_deadline),
        T(an_honest_peer_gets_in_beside_stalling_ones),
        T(peers_that_do_not_speak_tls_1_3_are_refused_in_the_handshake),
        T(plain_tls_peers_without_certificate_version_or_protocol_are_refused),
        T(a_connector_refuses_a_server_that_is_not_ours),
        T(nobody_there_is_not_a_gate_failure),
    };
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
