/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a channel: begin, step through TLS and the gate, fail or close.
 *
 * Whatever goes wrong, the order is the same: the reason is kept here, the peer gets one coarse
 * code if it still listens, and every later call gets the reason again.
 */
#include "channel_state.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "hello.h"
#include "role.h"

enum { LINGER_BYTES = 64 * 1024, LINGER_STEP = 4096 };

/* ---- failing */

/* Whether the peer may still be there to read why, and the reason is not its own refusal. */
static bool is_worth_telling(const clo_channel *channel, int32_t code)
{
    bool gone = code == CLO_CLOSED || code == CLO_EOF || code == CLO_IO;
    return channel->secure && !channel->peer_refused && !gone && channel->wire.body.size == 0;
}

static void tell(clo_channel *channel, int32_t code)
{
    uint8_t refusal = (uint8_t)clo_refusal_of(code);
    bool idle;
    clo_status status =
        clo_wire_queue(channel, CLO_FRAME_REFUSE, CLO_SPAN(&refusal, 1), CLO_SPAN_EMPTY);
    if (clo_ok(status)) {
        channel->told = clo_ok(clo_wire_flush(channel, &idle));
    }
}

clo_status clo_channel_check(const clo_channel *channel)
{
    bool closed = channel->state == CLO_GATE_CLOSED;
    return closed ? clo_status_restore(&channel->failure) : CLO_STATUS_OK;
}

clo_status clo_channel_fail(clo_channel *channel, clo_status reason)
{
    if (channel->state == CLO_GATE_CLOSED) {
        return clo_channel_check(channel);
    }
    clo_status_save(reason, &channel->failure);
    bool worth = is_worth_telling(channel, reason.code);
    channel->state = CLO_GATE_CLOSED;
    if (worth) {
        tell(channel, reason.code);
    }
    return clo_status_restore(&channel->failure);
}

/* ---- beginning */

static clo_status check_arguments(clo_tls_side side, const clo_channel_self *self,
                                  const clo_channel_rules *rules)
{
    CLO_CHECK(self->key != NULL && self->cert != NULL, CLO_INVALID,
              "a channel needs a key and a certificate");
    CLO_CHECK(self->as != 0 && clo_role_class(self->role) == self->as, CLO_INVALID,
              "role '%s' cannot show itself so", clo_role_name(self->role));
    CLO_CHECK((self->as == CLO_PEER_ATTESTED) == (self->maker != NULL), CLO_INVALID,
              "role '%s': an attested end needs a maker, a keyed one has none",
              clo_role_name(self->role));
    CLO_CHECK(rules->expect != NULL, CLO_INVALID, "a channel needs an expectation");
    bool keyed_peer = rules->peer_class == CLO_PEER_KEYED;
    CLO_CHECK(keyed_peer || rules->peer_class == CLO_PEER_ATTESTED, CLO_INVALID,
              "unknown peer class %u", (unsigned)rules->peer_class);
    CLO_CHECK(!keyed_peer || rules->admit != NULL, CLO_INVALID,
              "keyed peers need a rule that admits their keys");
    CLO_CHECK(!keyed_peer || side == CLO_TLS_SERVER, CLO_INVALID,
              "a keyed peer connects and is never connected to");
    CLO_CHECK(self->as == CLO_PEER_ATTESTED || side == CLO_TLS_CLIENT, CLO_INVALID,
              "a keyed end connects and never listens");
    return CLO_STATUS_OK;
}

static clo_status begin(clo_channel *channel)
{
    CLO_TRY(check_arguments(channel->side, &channel->self, &channel->rules));
    CLO_TRY(clo_random_reseed());
    CLO_TRY(clo_hello_make(&channel->self, &channel->own_hello));
    return clo_tls_new(channel->side, channel->fd, channel->self.key, channel->self.cert,
                       CLO_CHANNEL_ALPN, &channel->tls);
}

clo_status clo_channel_begin(clo_tls_side side, int fd, const clo_address *peer,
                             const clo_channel_self *self, const clo_channel_rules *rules,
                             clo_channel **out_channel)
{
    CLO_AUTO_PTR(clo_channel) channel = clo_alloc(sizeof *channel);
    if (channel == NULL) {
        clo_net_close(fd);
        CLO_FAIL(CLO_NOMEM, "a channel of %zu bytes", sizeof *channel);
    }
    channel->side = side;
    channel->fd = fd;
    channel->self = *self;
    channel->rules = *rules;
    channel->script = clo_gate_script_of(side, self, rules);
    channel->state = CLO_GATE_TLS;
    channel->deadline = clo_deadline_in(clo_channel_get_limits()->tls_ms);
    channel->peer.as = rules->peer_class;
    channel->quote = CLO_BUF_LIMIT(CLO_EVIDENCE_MAX);
    clo_wire_init(&channel->wire);
    if (peer != NULL) {
        channel->peer.address = *peer;
    }
    CLO_TRY(begin(channel));
    *out_channel = CLO_TAKE(channel);
    return CLO_STATUS_OK;
}

/* ---- stepping */

static clo_status step_tls(clo_channel *channel)
{
    CLO_TRY(clo_tls_handshake(channel->tls, &channel->handshake_want));
    if (channel->handshake_want != CLO_TLS_DONE) {
        return CLO_STATUS_OK;
    }
    channel->secure = true;
    return clo_gate_begin(channel);
}

/* Reads first: a refusal that lies there says more than the broken pipe of our own write. */
static clo_status step_gate(clo_channel *channel, bool *out_idle)
{
    CLO_TRY(clo_wire_fill(channel));
    return clo_wire_flush(channel, out_idle);
}

static void report_open(clo_channel *channel)
{
    char session[128];
    clo_tls_describe(channel->tls, session, sizeof session);
    clo_log(CLO_LOG_DEBUG, "channel", "open with '%s' role=%s slot=%d tls='%s'",
            channel->peer.address.text, clo_role_name(channel->peer.hello.role),
            (int)channel->peer.hello.slot, session);
    channel->reported = true;
}

static clo_status step(clo_channel *channel, bool *out_done)
{
    bool idle = false;
    CLO_CHECK(channel->state == CLO_GATE_OPEN || !clo_deadline_passed(channel->deadline),
              CLO_TIMEOUT, "the gate's deadline passed while we waited for '%s'",
              clo_gate_name(channel->state));
    if (channel->state == CLO_GATE_TLS) {
        CLO_TRY(step_tls(channel));
    }
    if (channel->state != CLO_GATE_TLS) {
        CLO_TRY(step_gate(channel, &idle));
    }
    *out_done = channel->state == CLO_GATE_OPEN && idle;
    if (*out_done && !channel->reported) {
        report_open(channel);
    }
    return CLO_STATUS_OK;
}

clo_status clo_channel_step(clo_channel *channel, bool *out_done)
{
    CLO_TRY(clo_channel_check(channel));
    clo_status status = step(channel, out_done);
    if (clo_ok(status)) {
        return status;
    }
    if (status.code == CLO_EOF) {
        status = clo_status_make(CLO_CLOSED, __FILE__, __LINE__, __func__, "peer closed");
    }
    return clo_channel_fail(channel, clo_status_wrap(status, __FILE__, __LINE__, __func__,
                                                     "gate with '%s'", channel->peer.address.text));
}

/* ---- blocking forms */

static clo_status wait_and_step(clo_channel *channel, clo_deadline deadline)
{
    bool done = false;
    for (;;) {
        CLO_TRY(clo_channel_step(channel, &done));
        if (done) {
            return CLO_STATUS_OK;
        }
        clo_deadline until = clo_deadline_sooner(deadline, channel->deadline);
        clo_status ready = clo_fd_wait(channel->fd, clo_channel_events(channel), until);
        if (ready.code == CLO_TIMEOUT && clo_deadline_passed(channel->deadline)) {
            continue; /* the step says so, and tells the peer */
        }
        if (!clo_ok(ready)) {
            return clo_channel_fail(channel, ready);
        }
    }
}

clo_status clo_channel_open(clo_tls_side side, int fd, const clo_address *peer,
                            const clo_channel_self *self, const clo_channel_rules *rules,
                            clo_deadline deadline, clo_channel **out_channel)
{
    clo_channel *channel = NULL;
    CLO_TRY(clo_channel_begin(side, fd, peer, self, rules, &channel));
    clo_status status = wait_and_step(channel, deadline);
    if (clo_ok(status)) {
        *out_channel = channel;
        return status;
    }
    /* A peer that is gone lets close_notify fail, which begins a chain of its own. */
    clo_saved_status cause;
    clo_status_save(status, &cause);
    clo_channel_close(channel);
    return clo_status_restore(&cause);
}

clo_status clo_channel_connect(const char *address, const char *local_interface,
                               const clo_channel_self *self, const clo_channel_rules *rules,
                               clo_deadline deadline, clo_channel **out_channel)
{
    int fd;
    CLO_TRY(clo_net_connect(address, local_interface, deadline, &fd));
    clo_address peer = {{0}};
    snprintf(peer.text, sizeof peer.text, "%s", address);
    return clo_channel_open(CLO_TLS_CLIENT, fd, &peer, self, rules, deadline, out_channel);
}

/* ---- closing */

/* A socket closed with unread bytes resets the connection, which can take our last frame from the
 * peer: so what lies there is read away, without waiting. */
static void linger(int fd)
{
    uint8_t waste[LINGER_STEP];
    ssize_t count = 1;
    (void)shutdown(fd, SHUT_WR);
    for (size_t read = 0; count > 0 && read < LINGER_BYTES; read += (size_t)count) {
        count = recv(fd, waste, sizeof waste, MSG_DONTWAIT);
    }
}

void clo_channel_close(clo_channel *channel)
{
    if (channel == NULL) {
        return;
    }
    /* Not where the session is broken: a status made here would take the place of the one that the
     * caller is just returning. */
    if (channel->state == CLO_GATE_OPEN || channel->told) {
        clo_tls_want want;
        (void)clo_tls_shutdown(channel->tls, &want);
        linger(channel->fd);
    }
    clo_tls_free(channel->tls);
    clo_net_close(channel->fd);
    clo_cert_free(channel->peer_cert);
    clo_buf_release(&channel->quote);
    clo_wire_release(&channel->wire);
    clo_wipe(channel, sizeof *channel);
    clo_free(channel);
}

/* ---- looking */

const clo_peer *clo_channel_peer(const clo_channel *channel)
{
    return &channel->peer;
}

int clo_channel_fd(const clo_channel *channel)
{
    return channel->fd;
}

short clo_channel_events(const clo_channel *channel)
{
    if (channel->state == CLO_GATE_TLS) {
        return channel->handshake_want == CLO_TLS_WANT_WRITE ? POLLOUT : POLLIN;
    }
    return clo_wire_events(channel);
}

clo_deadline clo_channel_deadline(const clo_channel *channel)
{
    return channel->deadline;
}

bool clo_channel_is_broken(const clo_channel *channel)
{
    return channel->state == CLO_GATE_CLOSED;
}

void clo_channel_session_id(const clo_channel *channel, uint8_t out_id[32])
{
    memcpy(out_id, channel->transcript.session_id, sizeof channel->transcript.session_id);
}

clo_channel_stats clo_channel_get_stats(const clo_channel *channel)
{
    return channel->stats;
}
