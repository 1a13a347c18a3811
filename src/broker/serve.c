/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners, connections, threads.
 *
 *     slot listener  --thread--\
 *                                > a thread for each open connection --> dispatch (one lock)
 *     owner listener --thread--/
 *
 * A thread for each connection, because the channel's messages block, and a slow peer must wait
 * alone. No wait is without an end: accepting wakes every ACCEPT_MS, a connection every POLL_MS, a
 * message has MESSAGE_MS from its first byte, and a connection that is silent for too long is
 * closed (its lease is another matter: leases.c).
 */
#include "broker_state.h"

#include <string.h>

#define ACCEPT_MS        200
#define POLL_MS          200
#define MESSAGE_MS       10000
#define OWNER_SILENCE_MS (10 * 60 * 1000)
#define SLOT_SILENCE_MS  (60 * 1000) /* besides its lease */
/* As many slots as a job can have, and some owners. */
#define CONNECTIONS_MAX (CLO_WORLD_MAX + 64)

typedef struct server server;

typedef struct {
    server *server;
    clo_thread *thread; /* NULL: free */
    clo_channel *channel;
    bool done; /* under the server's lock */
} connection;

typedef struct {
    server *server;
    const char *name;
    clo_listener *listener;
    clo_thread *thread;
} acceptor;

struct server {
    clo_broker *broker;
    const volatile bool *stop;
    bool failed; /* an acceptor ended: all end */
    clo_mutex *lock;
    acceptor acceptors[2];
    connection connections[CONNECTIONS_MAX];
};

static bool is_stopping(server *s)
{
    clo_mutex_lock(s->lock);
    bool failed = s->failed;
    clo_mutex_unlock(s->lock);
    return failed || *s->stop;
}

/* ---- a connection */

static int64_t silence_of(const clo_caller *caller)
{
    if (caller->peer->as == CLO_PEER_KEYED) {
        return OWNER_SILENCE_MS;
    }
    return SLOT_SILENCE_MS + caller->lease_s * 1000LL;
}

static clo_status serve_request(clo_channel *channel, clo_caller *caller)
{
    CLO_AUTO(clo_buf) message = CLO_BUF_LIMIT(CLO_MESSAGE_MAX);
    clo_span answer;
    CLO_TRY(clo_channel_recv(channel, &message, clo_deadline_in(MESSAGE_MS)));
    CLO_TRY(clo_dispatch(caller, clo_buf_span(&message), &answer));
    CLO_TRY(clo_channel_send(channel, answer, clo_deadline_in(MESSAGE_MS)));
    /* Asked for now, answered while the peer waits for its next answer. */
    return clo_channel_upkeep(channel, false);
}

static clo_status serve_requests(connection *conn, clo_caller *caller)
{
    int64_t heard_ms = clo_clock_ms();
    while (!is_stopping(conn->server)) {
        if (clo_channel_has_input(conn->channel)) {
            CLO_TRY(serve_request(conn->channel, caller));
            heard_ms = clo_clock_ms();
            continue;
        }
        CLO_CHECK(clo_clock_ms() - heard_ms < silence_of(caller), CLO_TIMEOUT,
                  "peer was silent for too long");
        clo_status status =
            clo_fd_wait(clo_channel_fd(conn->channel), clo_channel_events(conn->channel),
                        clo_deadline_in(POLL_MS));
        if (status.code != CLO_TIMEOUT) {
            CLO_TRY(status);
        }
    }
    return CLO_STATUS_OK;
}

static clo_status run_connection(void *arg)
{
    connection *conn = arg;
    clo_caller caller;
    uint8_t session[32];
    char text[512];
    clo_channel_session_id(conn->channel, session);
    clo_caller_init(conn->server->broker, clo_channel_peer(conn->channel), session, &caller);
    clo_status status = serve_requests(conn, &caller);
    if (!clo_ok(status) && status.code != CLO_EOF) {
        clo_status_text(status, text, sizeof text);
        clo_log(CLO_LOG_INFO, "broker", "connection of %s at %s ended: %s",
                clo_role_name(caller.peer->hello.role), caller.peer->address.text, text);
    }
    clo_caller_cleanup(&caller);
    clo_channel_close(conn->channel);
    clo_mutex_lock(conn->server->lock);
    conn->done = true;
    clo_mutex_unlock(conn->server->lock);
    return CLO_STATUS_OK;
}

/* ---- accepting */

/* Both acceptors use the table: under the lock. */
static void reap(connection *conn)
{
    if (conn->thread != NULL && conn->done) {
        (void)clo_thread_join(conn->thread);
        conn->thread = NULL;
    }
}

static clo_status start_connection(server *s, clo_channel *channel)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        connection *conn = &s->connections[i];
        reap(conn);
        if (conn->thread != NULL) {
            continue;
        }
        *conn = (connection){.server = s, .channel = channel};
        return clo_thread_start(run_connection, conn, "broker-conn", &conn->thread);
    }
    CLO_FAIL(CLO_LIMIT, "%d connections are open already", CONNECTIONS_MAX);
}

static void say_refused(void *arg, const clo_address *peer, clo_status reason)
{
    const acceptor *a = arg;
    char text[768];
    clo_status_text(reason, text, sizeof text);
    clo_log(CLO_LOG_WARN, "broker", "refused %s at %s at the gate: %s", a->name, peer->text, text);
    clo_refusal_at_gate(a->server->broker, a->name, peer, text);
}

static clo_status accept_one(acceptor *a)
{
    clo_channel *channel = NULL;
    const clo_listener_hooks hooks = {say_refused, a};
    clo_status status =
        clo_listener_accept(a->listener, &hooks, clo_deadline_in(ACCEPT_MS), &channel);
    if (status.code == CLO_TIMEOUT) {
        return CLO_STATUS_OK;
    }
    CLO_TRY(status);
    clo_mutex_lock(a->server->lock);
    status = start_connection(a->server, channel);
    clo_mutex_unlock(a->server->lock);
    if (!clo_ok(status)) {
        char text[256];
        clo_status_text(status, text, sizeof text);
        clo_log(CLO_LOG_WARN, "broker", "turned a peer away: %s", text);
        clo_channel_close(channel);
    }
    return CLO_STATUS_OK;
}

static clo_status run_acceptor(void *arg)
{
    acceptor *a = arg;
    clo_status status = CLO_STATUS_OK;
    while (clo_ok(status) && !is_stopping(a->server)) {
        status = accept_one(a);
    }
    if (!clo_ok(status)) {
        clo_mutex_lock(a->server->lock);
        a->server->failed = true;
        clo_mutex_unlock(a->server->lock);
    }
    return status;
}

/* ---- the whole */

static clo_status open_listener(server *s, acceptor *a, const char *name, const char *address,
                                clo_channel_rules rules)
{
    clo_broker *broker = s->broker;
    clo_channel_self self = {
        .as = CLO_PEER_ATTESTED,
        .role = CLO_ROLE_BROKER,
        .slot = CLO_SLOT_NONE,
        .insecure_flags = broker->insecure_flags,
        .key = broker->tls_key,
        .cert = broker->tls_cert,
        .maker = broker->maker,
        .maker_lock = broker->maker_lock,
    };
    *a = (acceptor){.server = s, .name = name};
    CLO_TRY_CTX(clo_listener_open(address, &self, &rules, &a->listener), "listening for %ss", name);
    return CLO_STATUS_OK;
}

static void tell_ready(const server *s, const clo_broker_options *options)
{
    clo_address slots;
    clo_address owners;
    clo_listener_address(s->acceptors[0].listener, &slots);
    clo_listener_address(s->acceptors[1].listener, &owners);
    if (options->ready != NULL) {
        options->ready(options->arg, slots.text, owners.text, &s->broker->identity_public);
    }
}

static clo_status run_all(server *s, const clo_broker_options *options)
{
    clo_broker *broker = s->broker;
    CLO_TRY(open_listener(s, &s->acceptors[0], "slot", options->slot_address,
                          clo_admission_slots(broker)));
    CLO_TRY(open_listener(s, &s->acceptors[1], "owner", options->owner_address,
                          clo_admission_owners(broker)));
    for (size_t i = 0; i < 2; i++) {
        CLO_TRY(clo_thread_start(run_acceptor, &s->acceptors[i], "broker-accept",
                                 &s->acceptors[i].thread));
    }
    tell_ready(s, options);
    while (!is_stopping(s)) {
        clo_refusal_report(broker, false);
        clo_sleep_ms(POLL_MS / 4);
    }
    return CLO_STATUS_OK;
}

/* Acceptors first: they start connections. The first failure is the one that counts. */
static clo_status stop_all(server *s)
{
    clo_status status = CLO_STATUS_OK;
    clo_mutex_lock(s->lock);
    s->failed = true;
    clo_mutex_unlock(s->lock);
    for (size_t i = 0; i < 2; i++) {
        clo_status joined = clo_thread_join(s->acceptors[i].thread);
        status = clo_ok(status) ? joined : status;
        clo_listener_close(s->acceptors[i].listener);
    }
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        (void)clo_thread_join(s->connections[i].thread);
    }
    return status;
}

clo_status clo_serve(clo_broker *broker, const clo_broker_options *options)
{
    server *s = clo_alloc(sizeof *s);
    CLO_CHECK(s != NULL, CLO_NOMEM, "no memory for the broker's connections");
    s->broker = broker;
    s->stop = options->stop;
    clo_status status = clo_mutex_new(&s->lock);
    if (clo_ok(status)) {
        status = run_all(s, options);
        clo_status stopped = stop_all(s);
        status = clo_ok(status) ? stopped : status;
        clo_refusal_report(broker, true);
    }
    clo_mutex_free(s->lock);
    clo_free(s);
    return status;
}
