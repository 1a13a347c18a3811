/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream sockets from textual addresses.
 *
 *     "unix:" path          "[" IPv6 "]" ":" port          IPv4-or-name ":" port
 *
 * Every socket is non-blocking and close-on-exec from its first moment, and every wait goes through
 * clo_fd_wait.
 */
#include "cloister/base.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net_resolve.h"

enum {
    HOST = 128,
    PORT = 8,
    BACKLOG = 128,
    RESOLVE_FOR_LISTEN_MS = 5000,
    RETRY_MS = 10,
    NUMERIC_HOST = 64
};

/* A socket address with room for every family used here. */
typedef struct {
    struct sockaddr_storage storage;
    socklen_t size;
} endpoint;

typedef struct {
    char host[HOST];
    char port[PORT];
} host_port;

static const char unix_prefix[] = "unix:";

static const struct sockaddr *endpoint_addr(const endpoint *e)
{
    return (const struct sockaddr *)&e->storage;
}

static bool is_unix(const char *address)
{
    return strncmp(address, unix_prefix, sizeof unix_prefix - 1) == 0;
}

static clo_status split_address(const char *address, host_port *out)
{
    bool bracketed = address[0] == '[';
    const char *host = address + (bracketed ? 1 : 0);
    const char *end = bracketed ? strstr(host, "]:") : strchr(host, ':');
    CLO_CHECK(end != NULL, CLO_INVALID, "address '%.128s': expected HOST:PORT or unix:PATH",
              address);
    const char *port = end + (bracketed ? 2 : 1);
    CLO_CHECK(end > host && (size_t)(end - host) < sizeof out->host, CLO_INVALID,
              "address '%.128s': a host of 1 to %d characters is expected", address, HOST - 1);
    uint64_t number;
    CLO_CHECK(strlen(port) < sizeof out->port && clo_ok(clo_parse_u64(port, 65535, &number)),
              CLO_INVALID, "address '%.128s': '%.32s' is no port (IPv6 needs brackets)", address,
              port);
    snprintf(out->host, sizeof out->host, "%.*s", (int)(end - host), host);
    snprintf(out->port, sizeof out->port, "%s", port);
    return CLO_STATUS_OK;
}

static clo_status unix_endpoint(const char *address, endpoint *out)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *path = address + sizeof unix_prefix - 1;
    size_t length = strlen(path);
    CLO_CHECK(length > 0 && length < sizeof name.sun_path, CLO_INVALID,
              "address '%.128s': a path of 1 to %zu bytes is expected", address,
              sizeof name.sun_path - 1);
    memcpy(name.sun_path, path, length + 1);
    memset(out, 0, sizeof *out);
    memcpy(&out->storage, &name, sizeof name);
    out->size = sizeof name;
    return CLO_STATUS_OK;
}

static clo_status socket_new(int family, int *out_fd)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return CLO_ERRNO("make a socket");
    }
    *out_fd = fd;
    return CLO_STATUS_OK;
}

/* Small messages must not wait for more; a Unix socket has no such delay and refuses the option. */
static void set_nodelay(int fd, int family)
{
    int on = 1;
    if (family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
}

static clo_status bind_and_listen(int fd, const endpoint *where)
{
    int on = 1;
    int family = where->storage.ss_family;
    if (family == AF_UNIX) {
        (void)fchmod(fd, 0600); /* before bind: it becomes the mode of the file */
    } else {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    if (family == AF_INET6) { /* else one port could be two listeners of different meaning */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (bind(fd, endpoint_addr(where), where->size) != 0) {
        return CLO_ERRNO("bind");
    }
    if (listen(fd, BACKLOG) != 0) {
        return CLO_ERRNO("listen");
    }
    return CLO_STATUS_OK;
}

static clo_status listen_at(const endpoint *where, int *out_fd)
{
    int fd;
    CLO_TRY(socket_new(where->storage.ss_family, &fd));
    set_nodelay(fd, where->storage.ss_family); /* accepted sockets inherit it */
    clo_status status = bind_and_listen(fd, where);
    if (!clo_ok(status)) {
        close(fd);
        return status;
    }
    *out_fd = fd;
    return CLO_STATUS_OK;
}

/* Removes the file of a Unix socket whose listener has died. A living one answers and stays; so
 * does a file that is no socket, because connecting to it is refused in another way. */
static void unlink_if_dead(const endpoint *where, const char *address)
{
    const char *path = address + sizeof unix_prefix - 1;
    struct stat info;
    int fd;
    if (stat(path, &info) != 0 || !S_ISSOCK(info.st_mode) || !clo_ok(socket_new(AF_UNIX, &fd))) {
        return;
    }
    if (connect(fd, endpoint_addr(where), where->size) != 0 && errno == ECONNREFUSED) {
        unlink(path);
    }
    close(fd);
}

/* The address of a network interface in one family, with port 0. */
static clo_status interface_endpoint(const char *name, int family, endpoint *out)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0) {
        return CLO_ERRNO("list the network interfaces");
    }
    socklen_t size = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    bool found = false;
    for (const struct ifaddrs *i = all; i != NULL && !found; i = i->ifa_next) {
        if (i->ifa_addr != NULL && i->ifa_addr->sa_family == family &&
            strcmp(i->ifa_name, name) == 0) {
            memset(out, 0, sizeof *out);
            memcpy(&out->storage, i->ifa_addr, size);
            out->size = size;
            found = true;
        }
    }
    freeifaddrs(all);
    CLO_CHECK(found, CLO_NOTFOUND, "network interface '%s' has no address of this family", name);
    return CLO_STATUS_OK;
}

static clo_status bind_interface(int fd, int family, const char *name)
{
    endpoint local;
    CLO_TRY(interface_endpoint(name, family, &local));
    if (bind(fd, endpoint_addr(&local), local.size) != 0) {
        return CLO_ERRNO("bind to interface '%s'", name);
    }
    return CLO_STATUS_OK;
}

/* Waits for a connection under way and takes its result. */
static clo_status connect_finish(int fd, clo_deadline deadline)
{
    CLO_TRY_CTX(clo_fd_wait(fd, POLLOUT, deadline), "no answer");
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        return CLO_ERRNO("connect");
    }
    if (error != 0) {
        errno = error;
        return CLO_ERRNO("connect");
    }
    return CLO_STATUS_OK;
}

static clo_status connect_start(int fd, const endpoint *where, clo_deadline deadline)
{
    while (connect(fd, endpoint_addr(where), where->size) != 0) {
        if (errno == EINPROGRESS || errno == EINTR) { /* goes on by itself in both cases */
            return connect_finish(fd, deadline);
        }
        if (errno != EAGAIN) {
            return CLO_ERRNO("connect");
        }
        /* A Unix listener with a full queue: there is nothing to poll for. */
        CLO_CHECK(!clo_deadline_passed(deadline), CLO_TIMEOUT, "connect: the deadline passed");
        clo_sleep_ms(RETRY_MS);
    }
    return CLO_STATUS_OK;
}

static clo_status connect_to(const endpoint *where, const char *local_interface,
                             clo_deadline deadline, int *out_fd)
{
    int fd;
    int family = where->storage.ss_family;
    CLO_TRY(socket_new(family, &fd));
    set_nodelay(fd, family);
    clo_status status = CLO_STATUS_OK;
    if (local_interface != NULL && family != AF_UNIX) {
        status = bind_interface(fd, family, local_interface);
    }
    if (clo_ok(status)) {
        status = connect_start(fd, where, deadline);
    }
    if (!clo_ok(status)) {
        close(fd);
        return status;
    }
    *out_fd = fd;
    return CLO_STATUS_OK;
}

static endpoint endpoint_of(const struct addrinfo *info)
{
    endpoint e;
    memset(&e, 0, sizeof e);
    memcpy(&e.storage, info->ai_addr, info->ai_addrlen);
    e.size = info->ai_addrlen;
    return e;
}

static int list_length(const struct addrinfo *list)
{
    int count = 0;
    for (; list != NULL; list = list->ai_next) {
        count++;
    }
    return count;
}

/* Each address gets its share of the time left, so that one that never answers does not keep the
 * next from being tried. */
static clo_status connect_any(const struct addrinfo *list, const char *local_interface,
                              clo_deadline deadline, int *out_fd)
{
    clo_status status = CLO_STATUS_OK;
    for (const struct addrinfo *info = list; info != NULL; info = info->ai_next) {
        int share = clo_deadline_left_ms(deadline) / list_length(info);
        endpoint where = endpoint_of(info);
        status = connect_to(&where, local_interface, clo_deadline_in(share), out_fd);
        if (clo_ok(status) || clo_deadline_passed(deadline)) {
            break;
        }
    }
    return status;
}

static clo_status listen_any(const struct addrinfo *list, int *out_fd)
{
    clo_status status = CLO_STATUS_OK;
    for (const struct addrinfo *info = list; info != NULL; info = info->ai_next) {
        endpoint where = endpoint_of(info);
        status = listen_at(&where, out_fd);
        if (clo_ok(status)) {
            break;
        }
    }
    return status;
}

static clo_status listen_unix(const char *address, int *out_fd)
{
    endpoint where;
    CLO_TRY(unix_endpoint(address, &where));
    unlink_if_dead(&where, address);
    return listen_at(&where, out_fd);
}

static clo_status listen_inet(const char *address, int *out_fd)
{
    host_port name;
    struct addrinfo *list;
    CLO_TRY(split_address(address, &name));
    CLO_TRY(clo_net_resolve(name.host, name.port, clo_deadline_in(RESOLVE_FOR_LISTEN_MS), &list));
    clo_status status = listen_any(list, out_fd);
    freeaddrinfo(list);
    return status;
}

static clo_status connect_inet(const char *address, const char *local_interface,
                               clo_deadline deadline, int *out_fd)
{
    host_port name;
    struct addrinfo *list;
    CLO_TRY(split_address(address, &name));
    CLO_TRY(clo_net_resolve(name.host, name.port, deadline, &list));
    clo_status status = connect_any(list, local_interface, deadline, out_fd);
    freeaddrinfo(list);
    return status;
}

static clo_status connect_unix(const char *address, clo_deadline deadline, int *out_fd)
{
    endpoint where;
    CLO_TRY(unix_endpoint(address, &where));
    return connect_to(&where, NULL, deadline, out_fd);
}

static clo_status unix_text(const endpoint *e, clo_address *out_address)
{
    struct sockaddr_un name;
    memset(&name, 0, sizeof name);
    memcpy(&name, &e->storage, e->size < sizeof name ? e->size : sizeof name);
    snprintf(out_address->text, sizeof out_address->text, "unix:%.*s", (int)sizeof name.sun_path,
             name.sun_path);
    return CLO_STATUS_OK;
}

static clo_status endpoint_text(const endpoint *e, clo_address *out_address)
{
    if (e->storage.ss_family == AF_UNIX) {
        return unix_text(e, out_address);
    }
    char host[NUMERIC_HOST];
    char port[PORT];
    int error = getnameinfo(endpoint_addr(e), e->size, host, sizeof host, port, sizeof port,
                            NI_NUMERICHOST | NI_NUMERICSERV);
    CLO_CHECK(error == 0, CLO_IO, "the address of a socket: %s", gai_strerror(error));
    bool v6 = e->storage.ss_family == AF_INET6;
    snprintf(out_address->text, sizeof out_address->text, v6 ? "[%s]:%s" : "%s:%s", host, port);
    return CLO_STATUS_OK;
}

/* What accept says when a connection is not there after all; the next one may be. */
static bool is_passing(int error)
{
    return error == EAGAIN || error == EINTR || error == ECONNABORTED || error == EPROTO;
}

clo_status clo_net_listen(const char *address, int *out_fd)
{
    clo_status status =
        is_unix(address) ? listen_unix(address, out_fd) : listen_inet(address, out_fd);
    CLO_TRY_CTX(status, "listening at '%.128s'", address);
    return CLO_STATUS_OK;
}

clo_status clo_net_local(int fd, clo_address *out_address)
{
    endpoint e;
    memset(&e, 0, sizeof e);
    e.size = sizeof e.storage;
    if (getsockname(fd, (struct sockaddr *)&e.storage, &e.size) != 0) {
        return CLO_ERRNO("the address of a socket");
    }
    return endpoint_text(&e, out_address);
}

clo_status clo_net_accept(int listener, clo_deadline deadline, int *out_fd, clo_address *out_peer)
{
    endpoint peer;
    int fd;
    do {
        CLO_TRY_CTX(clo_fd_wait(listener, POLLIN, deadline), "accepting");
        memset(&peer, 0, sizeof peer);
        peer.size = sizeof peer.storage;
        fd = accept4(listener, (struct sockaddr *)&peer.storage, &peer.size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && is_passing(errno));
    if (fd < 0) {
        return CLO_ERRNO("accept");
    }
    clo_status status = out_peer == NULL ? CLO_STATUS_OK : endpoint_text(&peer, out_peer);
    if (!clo_ok(status)) {
        close(fd);
        return status;
    }
    set_nodelay(fd, peer.storage.ss_family);
    *out_fd = fd;
    return CLO_STATUS_OK;
}

clo_status clo_net_connect(const char *address, const char *local_interface, clo_deadline deadline,
                           int *out_fd)
{
    clo_status status = is_unix(address) ? connect_unix(address, deadline, out_fd)
                                         : connect_inet(address, local_interface, deadline, out_fd);
    CLO_TRY_CTX(status, "connecting to '%.128s'", address);
    return CLO_STATUS_OK;
}

void clo_net_close(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}
