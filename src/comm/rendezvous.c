/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ranks above 0 join: see rendezvous.h.
 *
 * Rank 0 may start later, or hold a roster older than ours: so we try again. Odd ranks connect to
 * their next first and accept their previous then, even ones the other way round, so that all pairs
 * come about in two turns.
 */
#include "rendezvous.h"

#include <stdio.h>
#include <string.h>

enum {
    REFRESH_MS = 250,       /* between two calls of options->refresh while we wait */
    RETRY_MS = 50,          /* rank 0 does not listen yet */
    RETRY_REFUSED_MS = 500, /* it does, and refuses us */
    RING_MS = 30 * 1000     /* from the table to the ring: all are known to run */
};

/* ---- waiting for others */

static clo_status refresh(const clo_group_options *options)
{
    if (options->refresh == NULL) {
        return CLO_STATUS_OK;
    }
    CLO_TRY_CTX(options->refresh(options->refresh_arg), "waiting for the other ranks");
    return CLO_STATUS_OK;
}

static void log_refused(void *arg, const clo_address *peer, clo_status reason)
{
    char text[768];
    (void)arg;
    clo_status_text(reason, text, sizeof text);
    clo_log(CLO_LOG_WARN, "comm", "refused %s: %s", peer->text, text);
}

void clo_rendezvous_refuse(clo_channel *channel, clo_status reason)
{
    log_refused(NULL, &clo_channel_peer(channel)->address, reason);
    clo_channel_close(channel);
}

clo_status clo_rendezvous_accept(clo_listener *listener, const clo_group_options *options,
                                 clo_deadline deadline, clo_channel **out_channel)
{
    static const clo_listener_hooks hooks = {.refused = log_refused};
    for (;;) {
        clo_deadline slice = clo_deadline_sooner(deadline, clo_deadline_in(REFRESH_MS));
        clo_status status = clo_listener_accept(listener, &hooks, slice, out_channel);
        if (status.code != CLO_TIMEOUT || clo_deadline_passed(deadline)) {
            return status;
        }
        CLO_TRY(refresh(options));
    }
}

/* Waits for a message while the caller's upkeep goes on, and appends it to `out`. */
static clo_status await_message(const clo_group_options *options, clo_channel *channel,
                                clo_deadline deadline, clo_buf *out)
{
    while (!clo_channel_has_input(channel)) {
        clo_deadline slice = clo_deadline_sooner(deadline, clo_deadline_in(REFRESH_MS));
        clo_status status =
            clo_fd_wait(clo_channel_fd(channel), clo_channel_events(channel), slice);
        if (status.code != CLO_TIMEOUT || clo_deadline_passed(deadline)) {
            CLO_TRY(status);
        }
        CLO_TRY(refresh(options));
    }
    return clo_channel_recv(channel, out, deadline);
}

/* ---- reaching rank 0 */

/* What another try may mend: rank 0 does not run yet, or is too busy to answer; its roster or ours
 * is older than one of us. */
static bool is_passing(const clo_group_options *options, clo_status status)
{
    bool is_refusal = status.code == CLO_DENIED || status.code == CLO_POLICY;
    return status.code == CLO_CLOSED || status.code == CLO_NOTFOUND || status.code == CLO_TIMEOUT ||
           (is_refusal && options->refresh != NULL);
}

/* Tries until the deadline; the reason of the last try that was not cut short by it is kept. */
static clo_status try_rank_0(const clo_group_options *options, clo_deadline deadline,
                             clo_channel **out_channel)
{
    clo_saved_status last = {0};
    for (;;) {
        clo_status status =
            clo_channel_connect(options->master_address, options->local_interface, &options->self,
                                &options->rules, deadline, out_channel);
        if (clo_ok(status) || !is_passing(options, status)) {
            return status;
        }
        if (!clo_deadline_passed(deadline) || last.code == CLO_OK) {
            clo_status_save(status, &last);
        }
        bool early = status.code == CLO_CLOSED || status.code == CLO_NOTFOUND;
        CLO_TRY(refresh(options));
        clo_sleep_ms(early ? RETRY_MS : RETRY_REFUSED_MS);
        if (clo_deadline_passed(deadline)) {
            return clo_status_restore(&last);
        }
    }
}

static clo_status reach_rank_0(const clo_group_options *options, clo_deadline deadline,
                               clo_channel **out_channel)
{
    CLO_TRY_CTX(try_rank_0(options, deadline, out_channel), "reaching rank 0 at %s",
                options->master_address);
    uint32_t slot = clo_channel_peer(*out_channel)->hello.slot;
    CLO_CHECK(slot == 0, CLO_INVALID, "at %s is rank %u, expected rank 0", options->master_address,
              slot);
    return CLO_STATUS_OK;
}

/* A listener on any port of the address that rank 0 was reached from. */
static clo_status listen_beside(const clo_group_options *options, const clo_channel *channel,
                                clo_listener **out_listener)
{
    clo_address local;
    CLO_TRY(clo_net_local(clo_channel_fd(channel), &local));
    char *colon = strrchr(local.text, ':');
    CLO_CHECK(colon != NULL && strncmp(local.text, "unix:", 5) != 0, CLO_UNSUPPORTED,
              "rank 0 was reached from '%s', expected an address with a port", local.text);
    (void)snprintf(colon, sizeof local.text - (size_t)(colon - local.text), ":0");
    return clo_listener_open(local.text, &options->self, &options->rules, out_listener);
}

static clo_status send_join(const clo_group_options *options, const clo_listener *listener,
                            clo_channel *channel, clo_deadline deadline)
{
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_comm_join join = {
        .version = CLO_COMM_VERSION, .rank = options->rank, .world = options->world};
    memcpy(join.manifest, options->self.manifest, sizeof join.manifest);
    if (listener != NULL) {
        clo_listener_address(listener, &join.listens);
    }
    clo_comm_join_write(&join, &message);
    CLO_TRY(clo_buf_check(&message));
    return clo_channel_send(channel, clo_buf_span(&message), deadline);
}

static clo_status read_table(const clo_group_options *options, clo_channel *channel,
                             clo_deadline deadline, clo_address *out_addresses)
{
    CLO_AUTO(clo_buf) message = CLO_BUF_LIMIT(CLO_RENDEZVOUS_MAX);
    clo_comm_abort abort;
    clo_status status = await_message(options, channel, deadline, &message);
    CLO_CHECK(status.code != CLO_EOF, CLO_CLOSED, "it left before all ranks had joined");
    CLO_TRY(status);
    if (clo_comm_kind_of(clo_buf_span(&message)) != CLO_COMM_ABORT) {
        return clo_comm_table_parse(clo_buf_span(&message), options->world, out_addresses);
    }
    CLO_TRY(clo_comm_abort_parse(clo_buf_span(&message), &abort));
    return clo_comm_abort_status(&abort);
}

/* ---- the ring */

/* What rank r > 0 has in hand between the table and the ring. */
typedef struct {
    const clo_group_options *options;
    clo_group *group;
    clo_channel *master;    /* to rank 0 */
    clo_listener *listener; /* ranks above 1 */
    clo_address addresses[CLO_WORLD_MAX];
} attendance;

static clo_status connect_next(attendance *a, clo_deadline deadline)
{
    const clo_group_options *options = a->options;
    uint32_t next = options->rank + 1;
    const char *address = a->addresses[next].text;
    CLO_TRY_CTX(clo_channel_connect(address, options->local_interface, &options->self,
                                    &options->rules, deadline, &a->group->next),
                "reaching rank %u at %s", next, address);
    uint32_t slot = clo_channel_peer(a->group->next)->hello.slot;
    CLO_CHECK(slot == next, CLO_INVALID, "at %s is rank %u, expected rank %u", address, slot, next);
    return CLO_STATUS_OK;
}

static clo_status accept_prev(attendance *a, clo_deadline deadline)
{
    uint32_t prev = a->options->rank - 1;
    while (a->group->prev == NULL) {
        clo_channel *channel = NULL;
        CLO_TRY_CTX(clo_rendezvous_accept(a->listener, a->options, deadline, &channel),
                    "waiting for rank %u", prev);
        uint32_t slot = clo_channel_peer(channel)->hello.slot;
        if (slot == prev) {
            a->group->prev = channel;
        } else {
            clo_rendezvous_refuse(channel,
                                  clo_status_make(CLO_INVALID, __FILE__, __LINE__, __func__,
                                                  "it is rank %u, expected rank %u", slot, prev));
        }
    }
    return CLO_STATUS_OK;
}

/* Rank 0's channel becomes that of a neighbour, or is not needed any more. */
static clo_status place_master(attendance *a)
{
    clo_group *group = a->group;
    clo_channel *master = CLO_TAKE(a->master);
    if (group->rank == 1) {
        group->prev = master;
    }
    if (group->rank == group->world - 1) {
        group->next = master;
    }
    clo_status status = clo_group_add_peer(group, master);
    if (group->prev != master && group->next != master) {
        clo_group_drop_channel(group, master);
    }
    return status;
}

static clo_status connect_ring(attendance *a, clo_deadline deadline)
{
    clo_group *group = a->group;
    bool connects_first = group->rank % 2 == 1;
    CLO_TRY(place_master(a));
    for (int turn = 0; turn < 2; turn++) {
        bool connects = (turn == 0) == connects_first;
        if (connects && group->next == NULL) {
            CLO_TRY(connect_next(a, deadline));
            CLO_TRY(clo_group_add_peer(group, group->next));
        }
        if (!connects && group->prev == NULL) {
            CLO_TRY(accept_prev(a, deadline));
            CLO_TRY(clo_group_add_peer(group, group->prev));
        }
    }
    return CLO_STATUS_OK;
}

static clo_status attend_with(attendance *a, clo_deadline deadline)
{
    const clo_group_options *options = a->options;
    CLO_TRY(reach_rank_0(options, deadline, &a->master));
    if (options->rank > 1) {
        CLO_TRY(listen_beside(options, a->master, &a->listener));
    }
    CLO_TRY_CTX(send_join(options, a->listener, a->master, deadline), "rank 0 at %s",
                options->master_address);
    CLO_TRY_CTX(read_table(options, a->master, deadline, a->addresses), "rank 0 at %s",
                options->master_address);
    return connect_ring(a, clo_deadline_sooner(deadline, clo_deadline_in(RING_MS)));
}

static clo_status attend(const clo_group_options *options, clo_group *group, clo_deadline deadline)
{
    attendance a = {.options = options, .group = group};
    clo_saved_status cause;
    clo_status_save(attend_with(&a, deadline), &cause);
    clo_channel_close(a.master);
    clo_listener_close(a.listener);
    return clo_status_restore(&cause);
}

clo_status clo_rendezvous_connect(const clo_group_options *options, clo_group *group,
                                  clo_deadline deadline)
{
    CLO_TRY(group->rank == 0 ? clo_rendezvous_lead(options, group, deadline)
                             : attend(options, group, deadline));
    group->joined_ms = clo_clock_ms();
    return CLO_STATUS_OK;
}

clo_status clo_rendezvous(const clo_group_options *options, clo_group *group)
{
    clo_deadline deadline = clo_deadline_in(options->connect_timeout_ms);
    CLO_TRY(clo_rendezvous_connect(options, group, deadline));
    CLO_TRY(clo_group_begin(group, "joining"));
    deadline = clo_deadline_sooner(deadline, clo_deadline_in(RING_MS));
    return clo_group_end(group, clo_collective_barrier(group, deadline));
}
