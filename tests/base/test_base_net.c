/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets on loopback: addresses, deadlines, interfaces.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

static clo_deadline soon(void)
{
    return clo_deadline_in(5000);
}

static bool is_set_up(int fd, bool tcp)
{
    int nodelay = 0;
    socklen_t size = sizeof nodelay;
    bool good = (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
    if (tcp) {
        good = good && getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size) == 0 && nodelay;
    }
    return good;
}

/* Connects to the listener, moves a few bytes each way. */
static void talk(int listener, const char *address, bool tcp)
{
    int client = -1;
    int server = -1;
    clo_address peer;
    char byte = 0;
    T_OK(clo_net_connect(address, NULL, soon(), &client));
    T_OK(clo_net_accept(listener, soon(), &server, &peer));
    T_CHECK(is_set_up(client, tcp) && is_set_up(server, tcp));
    T_OK(clo_fd_write_all(client, clo_span_of_str("x")));
    T_OK(clo_fd_wait(server, POLLIN, soon()));
    T_CHECK(read(server, &byte, 1) == 1 && byte == 'x');
    T_OK(clo_fd_write_all(server, clo_span_of_str("y")));
    T_OK(clo_fd_wait(client, POLLIN, soon()));
    T_CHECK(read(client, &byte, 1) == 1 && byte == 'y');
    if (tcp) {
        clo_address mine;
        T_OK(clo_net_local(client, &mine));
        T_STR(peer.text, mine.text);
    }
    clo_net_close(client);
    clo_net_close(server);
}

static void tcp_over_ipv4_connects_both_ways(void)
{
    int listener;
    clo_address address;
    T_OK(clo_net_listen("127.0.0.1:0", &listener));
    T_OK(clo_net_local(listener, &address));
    T_CHECK(strncmp(address.text, "127.0.0.1:", 10) == 0 && strcmp(address.text + 10, "0") != 0);
    talk(listener, address.text, true);
    clo_net_close(listener);
}

static void tcp_over_ipv6_connects_both_ways(void)
{
    int listener;
    clo_address address;
    if (!clo_ok(clo_net_listen("[::1]:0", &listener))) {
        T_SKIP("no IPv6 on this machine");
    }
    T_OK(clo_net_local(listener, &address));
    T_CHECK(strncmp(address.text, "[::1]:", 6) == 0);
    talk(listener, address.text, true);
    clo_net_close(listener);
}

static void host_name_is_resolved(void)
{
    int listener;
    int client;
    clo_address address;
    char name[64];
    T_OK(clo_net_listen("127.0.0.1:0", &listener));
    T_OK(clo_net_local(listener, &address));
    snprintf(name, sizeof name, "localhost:%s", strrchr(address.text, ':') + 1);
    clo_status status = clo_net_connect(name, NULL, soon(), &client);
    if (!clo_ok(status)) {
        clo_net_close(listener);
        T_SKIP("localhost is not known here");
    }
    clo_net_close(client);
    clo_net_close(listener);
}

static void unknown_host_is_told_in_time(void)
{
    int fd = -7;
    int64_t before = clo_clock_ms();
    T_CHECK(!clo_ok(clo_net_connect("no-such-host.invalid:1", NULL, clo_deadline_in(1000), &fd)));
    T_CHECK(clo_clock_ms() - before < 4000);
    T_INT(fd, -7);
}

static void unix_socket_connects_and_is_private(void)
{
    int listener;
    clo_address address;
    clo_address bound;
    struct stat info;
    snprintf(address.text, sizeof address.text, "unix:%s/s", clo_test_folder());
    T_OK(clo_net_listen(address.text, &listener));
    T_OK(clo_net_local(listener, &bound));
    T_STR(bound.text, address.text);
    T_CHECK(stat(address.text + 5, &info) == 0 && (info.st_mode & 0777) == 0600);
    talk(listener, address.text, false);
    clo_net_close(listener);
}

static void dead_unix_socket_is_replaced_and_a_living_one_is_not(void)
{
    int first;
    int second;
    char address[128];
    snprintf(address, sizeof address, "unix:%s/s", clo_test_folder());
    T_OK(clo_net_listen(address, &first));
    T_CHECK(!clo_ok(clo_net_listen(address, &second)));
    clo_net_close(first);
    T_OK(clo_net_listen(address, &second));
    talk(second, address, false);
    clo_net_close(second);
}

static void file_in_the_place_of_a_unix_socket_stays(void)
{
    int fd;
    char address[128];
    snprintf(address, sizeof address, "unix:%s/file", clo_test_folder());
    T_OK(clo_file_write(address + 5, 0600, clo_span_of_str("kept")));
    T_CHECK(!clo_ok(clo_net_listen(address, &fd)));
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    T_OK(clo_file_read(address + 5, 10, &buf));
    T_STR(clo_buf_str(&buf), "kept");
}

static void addresses_of_a_wrong_form_are_refused(void)
{
    static const char *const wrong[] = {"",
                                        "127.0.0.1",
                                        ":80",
                                        "127.0.0.1:",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:-1",
                                        "127.0.0.1:http",
                                        "127.0.0.1: 80",
                                        "::1:80",
                                        "[::1]",
                                        "[::1]80",
                                        "[]:80",
                                        "unix:",
                                        "127.0.0.1:000000080"};
    int fd = -7;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_CODE(clo_net_listen(wrong[i], &fd), CLO_INVALID);
        T_CODE(clo_net_connect(wrong[i], NULL, soon(), &fd), CLO_INVALID);
    }
    char large[400];
    memset(large, 'a', sizeof large);
    memcpy(large + sizeof large - 4, ":80", 4);
    T_CODE(clo_net_connect(large, NULL, soon(), &fd), CLO_INVALID);
    memcpy(large, "unix:", 5);
    T_CODE(clo_net_connect(large, NULL, soon(), &fd), CLO_INVALID);
    T_INT(fd, -7);
}

static void nobody_listening_is_told_at_once(void)
{
    int listener;
    int fd = -7;
    clo_address address;
    T_OK(clo_net_listen("127.0.0.1:0", &listener));
    T_OK(clo_net_local(listener, &address));
    clo_net_close(listener);
    int64_t before = clo_clock_ms();
    T_CODE(clo_net_connect(address.text, NULL, soon(), &fd), CLO_CLOSED);
    T_CHECK(clo_clock_ms() - before < 3000);
    T_CODE(clo_net_connect("unix:/nonexistent/s", NULL, soon(), &fd), CLO_NOTFOUND);
    T_INT(fd, -7);
}

/* A listener whose queue is full takes no more connections, and says nothing. */
static void silent_listener_times_out(void)
{
    enum { MOST = 400 };

    static int clients[MOST];
    int used = 0;
    int listener;
    char address[128];
    snprintf(address, sizeof address, "unix:%s/s", clo_test_folder());
    T_OK(clo_net_listen(address, &listener));
    clo_status status = CLO_STATUS_OK;
    while (clo_ok(status) && used < MOST) {
        status = clo_net_connect(address, NULL, clo_deadline_in(50), &clients[used]);
        used += clo_ok(status);
    }
    for (int i = 0; i < used; i++) {
        clo_net_close(clients[i]);
    }
    clo_net_close(listener);
    T_INT(status.code, CLO_TIMEOUT);
}

static void accepting_ends_at_the_deadline(void)
{
    int listener;
    int fd = -7;
    T_OK(clo_net_listen("127.0.0.1:0", &listener));
    T_CODE(clo_net_accept(listener, clo_deadline_in(20), &fd, NULL), CLO_TIMEOUT);
    T_INT(fd, -7);
    clo_net_close(listener);
}

static void connecting_from_an_interface_uses_its_address(void)
{
    int listener;
    int client;
    clo_address address;
    clo_address mine;
    T_OK(clo_net_listen("127.0.0.1:0", &listener));
    T_OK(clo_net_local(listener, &address));
    clo_status status = clo_net_connect(address.text, "lo", soon(), &client);
    if (status.code == CLO_NOTFOUND) {
        clo_net_close(listener);
        T_SKIP("no interface 'lo'");
    }
    T_OK(status);
    T_OK(clo_net_local(client, &mine));
    T_CHECK(strncmp(mine.text, "127.0.0.1:", 10) == 0);
    clo_net_close(client);
    T_CODE(clo_net_connect(address.text, "nosuch0", soon(), &client), CLO_NOTFOUND);
    clo_net_close(listener);
    clo_net_close(-1);
}

static void port_in_use_is_refused(void)
{
    int first;
    int second = -7;
    clo_address address;
    T_OK(clo_net_listen("127.0.0.1:0", &first));
    T_OK(clo_net_local(first, &address));
    T_CODE(clo_net_listen(address.text, &second), CLO_IO);
    T_INT(second, -7);
    clo_net_close(first);
}

static void descriptor_that_is_no_socket_has_no_address(void)
{
    clo_address address;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    T_CODE(clo_net_local(fd, &address), CLO_IO);
    T_CHECK(!clo_ok(clo_net_accept(fd, soon(), &fd, NULL)));
    clo_net_close(fd);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(tcp_over_ipv4_connects_both_ways),
        T(tcp_over_ipv6_connects_both_ways),
        T(host_name_is_resolved),
        T(unknown_host_is_told_in_time),
        T(unix_socket_connects_and_is_private),
        T(dead_unix_socket_is_replaced_and_a_living_one_is_not),
        T(file_in_the_place_of_a_unix_socket_stays),
        T(addresses_of_a_wrong_form_are_refused),
        T(nobody_listening_is_told_at_once),
        T(silent_listener_times_out),
        T(accepting_ends_at_the_deadline),
        T(connecting_from_an_interface_uses_its_address),
        T(port_in_use_is_refused),
        T(descriptor_that_is_no_socket_has_no_address),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
