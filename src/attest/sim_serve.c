/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quoting process: one thread, one poll loop, one request a connection (sim_wire.h).
 *
 *     accepted --request complete--> measured, quoted, answered, closed
 *         \--deadline, end of stream, too many clients--> closed
 *
 * Who called is the process that connected (SO_PEERCRED). Its number may have been given away
 * since: the measurement holds that process by a pidfd, and afterwards the connection must still be
 * open at the caller's end, so the process that opened it had not ended when it was looked at.
 *
 * Invariant: nothing here waits for a client. An answer fits into an empty socket buffer; a client
 * whose buffer does not take it is dropped.
 */
#include "sim_folder.h"
#include "sim_measure.h"
#include "sim_wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CLIENTS = 64, TICK_MS = 100, REFRESH_MS = 60000 };

typedef struct {
    int fd; /* -1: free */
    clo_deadline deadline;
    uint8_t request[CLO_SIM_REQUEST_SIZE];
    size_t got;
} client;

typedef struct {
    clo_sim_home home;
    clo_sim_cache cache;
    int listener;
    char socket_path[128];
    client clients[MAX_CLIENTS];
} server;

static void server_cleanup(server *s)
{
    for (size_t i = 0; i < MAX_CLIENTS; i++) {
        clo_net_close(s->clients[i].fd);
    }
    if (s->listener >= 0) {
        clo_net_close(s->listener);
        unlink(s->socket_path);
    }
    clo_sim_cache_cleanup(&s->cache);
    clo_sim_home_cleanup(&s->home);
}

static clo_status parse_request(const client *c, uint8_t out_report_data[64])
{
    clo_reader r = clo_reader_of(CLO_SPAN_OF(c->request));
    uint32_t magic = clo_read_u32be(&r);
    uint32_t version = clo_read_u32be(&r);
    clo_read_copy(&r, out_report_data, CLO_REPORT_DATA_SIZE);
    CLO_TRY(clo_reader_finish(&r, "the request"));
    CLO_CHECK(magic == CLO_SIM_MAGIC, CLO_FORMAT, "this is no request for a quote");
    CLO_CHECK(version == CLO_SIM_WIRE_VERSION, CLO_UNSUPPORTED, "version %u, expected %d", version,
              CLO_SIM_WIRE_VERSION);
    return CLO_STATUS_OK;
}

static clo_status measure_caller(server *s, int fd, uint8_t out_measurement[32])
{
    struct ucred caller;
    socklen_t size = sizeof caller;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &caller, &size) != 0) {
        return CLO_ERRNO("ask who called");
    }
    CLO_CHECK(caller.uid == geteuid(), CLO_DENIED, "user %u asks, only user %u may", caller.uid,
              geteuid());
    CLO_TRY_CTX(clo_sim_process_measure(&s->cache, caller.pid, out_measurement),
                "measuring process %d", (int)caller.pid);
    struct pollfd end = {.fd = fd, .events = POLLRDHUP};
    CLO_CHECK(poll(&end, 1, 0) == 0, CLO_CLOSED, "process %d closed its end", (int)caller.pid);
    clo_log(CLO_LOG_DEBUG, "sim", "quoting pid=%d", (int)caller.pid);
    return CLO_STATUS_OK;
}

static clo_status quote_caller(server *s, const client *c, clo_buf *out_quote)
{
    clo_sim_quote_spec spec = s->home.spec.quote;
    CLO_TRY(parse_request(c, spec.body.report_data));
    CLO_TRY(measure_caller(s, c->fd, spec.body.measurement));
    return clo_sim_quote_make(&s->home.vendor, &spec, out_quote);
}

static void answer(server *s, const client *c)
{
    CLO_AUTO(clo_buf) body = CLO_BUF_LIMIT(CLO_EVIDENCE_MAX);
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_status status = quote_caller(s, c, &body);
    if (!clo_ok(status)) {
        char reason[CLO_SIM_REASON_MAX];
        clo_status_text(status, reason, sizeof reason);
        clo_log(CLO_LOG_WARN, "sim", "refused: %s", reason);
        clo_buf_release(&body);
        clo_put_str(&body, reason);
    }
    clo_put_u32be(&message, CLO_SIM_MAGIC);
    clo_put_u32be(&message, clo_ok(status) ? CLO_SIM_QUOTED : CLO_SIM_REFUSED);
    clo_put_var(&message, clo_buf_span(&body));
    if (!message.failed && !body.failed) {
        (void)send(c->fd, message.data, message.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void drop(client *c)
{
    clo_net_close(c->fd);
    c->fd = -1;
}

/* Takes what has come; answers and closes when the request is whole. */
static void receive(server *s, client *c)
{
    ssize_t count = recv(c->fd, c->request + c->got, sizeof c->request - c->got, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (count <= 0) {
        drop(c);
        return;
    }
    c->got += (size_t)count;
    if (c->got == sizeof c->request) {
        answer(s, c);
        drop(c);
    }
}

static client *free_client(server *s)
{
    for (size_t i = 0; i < MAX_CLIENTS; i++) {
        if (s->clients[i].fd < 0) {
            return &s->clients[i];
        }
    }
    return NULL;
}

/* Called only while there is a free place: others wait in the listener's queue. */
static void take_client(server *s)
{
    client *c = free_client(s);
    int fd;
    if (c != NULL && clo_ok(clo_net_accept(s->listener, clo_deadline_in(TICK_MS), &fd, NULL))) {
        *c = (client){.fd = fd, .deadline = clo_deadline_in(CLO_SIM_REQUEST_MS)};
    }
}

static clo_status poll_once(server *s)
{
    struct pollfd watched[MAX_CLIENTS + 1];
    for (size_t i = 0; i < MAX_CLIENTS; i++) {
        watched[i] = (struct pollfd){.fd = s->clients[i].fd, .events = POLLIN};
    }
    watched[MAX_CLIENTS] =
        (struct pollfd){.fd = free_client(s) == NULL ? -1 : s->listener, .events = POLLIN};
    if (poll(watched, MAX_CLIENTS + 1, TICK_MS) < 0 && errno != EINTR) {
        return CLO_ERRNO("wait for callers");
    }
    for (size_t i = 0; i < MAX_CLIENTS; i++) {
        client *c = &s->clients[i];
        if (c->fd >= 0 && watched[i].revents != 0) {
            receive(s, c);
        }
        if (c->fd >= 0 && clo_deadline_passed(c->deadline)) {
            drop(c);
        }
    }
    if (watched[MAX_CLIENTS].revents != 0) {
        take_client(s);
    }
    return CLO_STATUS_OK;
}

static clo_status open_socket(const char *folder, server *s)
{
    clo_sim_path path;
    char address[sizeof s->socket_path + 8];
    CLO_TRY(clo_sim_path_make(folder, CLO_SIM_SOCKET, &path));
    CLO_CHECK(strlen(path.text) < sizeof s->socket_path, CLO_LIMIT, "'%s' is too long for a socket",
              path.text);
    memcpy(s->socket_path, path.text, strlen(path.text) + 1);
    snprintf(address, sizeof address, "unix:%s", s->socket_path);
    return clo_net_listen(address, &s->listener);
}

static clo_status serve(const char *folder, server *s, const volatile bool *stop)
{
    CLO_TRY(clo_sim_home_load(folder, &s->home));
    CLO_TRY(clo_sim_home_refresh(folder, &s->home));
    CLO_TRY(open_socket(folder, s));
    clo_log(CLO_LOG_WARN, "sim",
            "insecure_simulator: quoting at '%s'; it proves nothing against who "
            "can run programs here",
            s->socket_path);
    clo_deadline refresh = clo_deadline_in(REFRESH_MS);
    while (!*stop) {
        CLO_TRY(poll_once(s));
        if (clo_deadline_passed(refresh)) {
            CLO_TRY(clo_sim_home_refresh(folder, &s->home));
            refresh = clo_deadline_in(REFRESH_MS);
        }
    }
    return CLO_STATUS_OK;
}

clo_status clo_sim_serve(const char *folder, const volatile bool *stop)
{
    CLO_AUTO(server) s = {.home = CLO_SIM_HOME_INIT, .cache = CLO_SIM_CACHE_INIT, .listener = -1};
    for (size_t i = 0; i < MAX_CLIENTS; i++) {
        s.clients[i].fd = -1;
    }
    CLO_TRY_CTX(serve(folder, &s, stop), "simulator in '%s'", folder);
    return CLO_STATUS_OK;
}
