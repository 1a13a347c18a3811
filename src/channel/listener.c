/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many connections on their way through the gate at once, driven by the one thread that waits in
 * accept. A peer that stalls costs a slot of the table until its deadline and nothing else; a peer
 * beyond the limits costs one accept and one close.
 *
 * The address a peer counts for is its host: what stands in front of the last colon.
 */
#include "cloister/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* How long to look for a connection that poll has seen, and that may be gone again. */
enum { ACCEPT_MS = 5 };

typedef struct {
    clo_channel *channel; /* NULL: free */
    clo_address peer;
} half_open;

struct clo_listener {
    int fd;
    clo_address address;
    clo_channel_self self;
    clo_channel_rules rules;
    half_open waiting[CLO_LISTENER_HALF_OPEN];
};

static void report(const clo_listener_hooks *hooks, const clo_address *peer, clo_status reason)
{
    if (hooks != NULL && hooks->refused != NULL) {
        hooks->refused(hooks->arg, peer, reason);
    }
}

/* ---- limits */

static size_t host_length(const clo_address *address)
{
    const char *colon = strrchr(address->text, ':');
    return colon == NULL ? strlen(address->text) : (size_t)(colon - address->text);
}

static bool is_same_host(const clo_address *a, const clo_address *b)
{
    size_t length = host_length(a);
    return length == host_length(b) && memcmp(a->text, b->text, length) == 0;
}

/* A free place for this peer, or a status that names the limit. */
static clo_status find_place(clo_listener *listener, const clo_address *peer, half_open **out_place)
{
    half_open *place = NULL;
    unsigned of_host = 0;
    for (size_t i = 0; i < CLO_LISTENER_HALF_OPEN; i++) {
        half_open *each = &listener->waiting[i];
        if (each->channel == NULL) {
            place = each;
        } else if (is_same_host(&each->peer, peer)) {
            of_host++;
        }
    }
    CLO_CHECK(of_host < CLO_LISTENER_HALF_OPEN_ADDRESS, CLO_LIMIT,
              "'%s' has %u half-open connections, expected at most %d", peer->text, of_host,
              CLO_LISTENER_HALF_OPEN_ADDRESS);
    CLO_CHECK(place != NULL, CLO_LIMIT, "%d connections are half open", CLO_LISTENER_HALF_OPEN);
    *out_place = place;
    return CLO_STATUS_OK;
}

static clo_status take_in(clo_listener *listener, int fd, const clo_address *peer)
{
    half_open *place = NULL;
    clo_status status = find_place(listener, peer, &place);
    if (!clo_ok(status)) {
        clo_net_close(fd);
        return status;
    }
    CLO_TRY(clo_channel_begin(CLO_TLS_SERVER, fd, peer, &listener->self, &listener->rules,
                              &place->channel));
    place->peer = *peer;
    return CLO_STATUS_OK;
}

/* ---- the loop */

static clo_status accept_one(clo_listener *listener, const clo_listener_hooks *hooks)
{
    int fd = -1;
    clo_address peer;
    clo_status accepted = clo_net_accept(listener->fd, clo_deadline_in(ACCEPT_MS), &fd, &peer);
    if (accepted.code == CLO_TIMEOUT) {
        return CLO_STATUS_OK; /* it was gone again */
    }
    CLO_TRY(accepted);
    clo_status status = take_in(listener, fd, &peer);
    if (!clo_ok(status)) {
        report(hooks, &peer, status);
    }
    return CLO_STATUS_OK;
}

/* Steps one half-open connection; sets *out_channel when it is through. */
static void drive(half_open *place, const clo_listener_hooks *hooks, clo_channel **out_channel)
{
    bool done = false;
    clo_status status = clo_channel_step(place->channel, &done);
    if (!clo_ok(status)) {
        report(hooks, &place->peer, status);
        clo_channel_close(CLO_TAKE(place->channel));
        return;
    }
    if (done) {
        *out_channel = CLO_TAKE(place->channel);
    }
}

typedef struct {
    struct pollfd fds[1 + CLO_LISTENER_HALF_OPEN];
    half_open *places[1 + CLO_LISTENER_HALF_OPEN];
    nfds_t count;
    clo_deadline until;
} watch;

static watch watch_of(clo_listener *listener, clo_deadline deadline)
{
    watch w = {.until = deadline, .count = 1};
    w.fds[0] = (struct pollfd){.fd = listener->fd, .events = POLLIN};
    for (size_t i = 0; i < CLO_LISTENER_HALF_OPEN; i++) {
        half_open *place = &listener->waiting[i];
        if (place->channel == NULL) {
            continue;
        }
        w.until = clo_deadline_sooner(w.until, clo_channel_deadline(place->channel));
        w.fds[w.count] = (struct pollfd){.fd = clo_channel_fd(place->channel),
                                         .events = clo_channel_events(place->channel)};
        w.places[w.count++] = place;
    }
    return w;
}

static bool is_ready(const watch *w, nfds_t at)
{
    return w->fds[at].revents != 0 ||
           clo_deadline_passed(clo_channel_deadline(w->places[at]->channel));
}

static clo_status turn(clo_listener *listener, const clo_listener_hooks *hooks,
                       clo_deadline deadline, clo_channel **out_channel)
{
    watch w = watch_of(listener, deadline);
    if (poll(w.fds, w.count, clo_deadline_left_ms(w.until)) < 0) {
        return errno == EINTR ? CLO_STATUS_OK : CLO_ERRNO("poll");
    }
    for (nfds_t i = 1; i < w.count && *out_channel == NULL; i++) {
        if (is_ready(&w, i)) {
            drive(w.places[i], hooks, out_channel);
        }
    }
    if (w.fds[0].revents != 0 && *out_channel == NULL) {
        CLO_TRY(accept_one(listener, hooks));
    }
    return CLO_STATUS_OK;
}

clo_status clo_listener_accept(clo_listener *listener, const clo_listener_hooks *hooks,
                               clo_deadline deadline, clo_channel **out_channel)
{
    clo_channel *channel = NULL;
    while (channel == NULL) {
        CLO_TRY(turn(listener, hooks, deadline, &channel));
        CLO_CHECK(channel != NULL || !clo_deadline_passed(deadline), CLO_TIMEOUT,
                  "no peer passed the gate in time");
    }
    *out_channel = channel;
    return CLO_STATUS_OK;
}

clo_status clo_listener_open(const char *address, const clo_channel_self *self,
                             const clo_channel_rules *rules, clo_listener **out_listener)
{
    CLO_AUTO_PTR(clo_listener) listener = clo_alloc(sizeof *listener);
    CLO_CHECK(listener != NULL, CLO_NOMEM, "a listener of %zu bytes", sizeof *listener);
    listener->fd = -1;
    listener->self = *self;
    listener->rules = *rules;
    CLO_TRY(clo_net_listen(address, &listener->fd));
    CLO_TRY(clo_net_local(listener->fd, &listener->address));
    *out_listener = CLO_TAKE(listener);
    return CLO_STATUS_OK;
}

void clo_listener_close(clo_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    for (size_t i = 0; i < CLO_LISTENER_HALF_OPEN; i++) {
        clo_channel_close(listener->waiting[i].channel);
    }
    clo_net_close(listener->fd);
    clo_free(listener);
}

void clo_listener_address(const clo_listener *listener, clo_address *out_address)
{
    *out_address = listener->address;
}
