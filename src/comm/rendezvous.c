/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From addresses to a ring.
 *
 *     rank r > 0                                   rank 0
 *        through the gate, again and again  --->     listens at the master address
 *        JOIN                               --->     compares world, job, rank
 *             <---  TABLE (or ABORT)                 once all are there (or one does not fit)
 *     then  1 --> 2 --> ... --> W-1                  each to the address its next rank gave
 *     then  a barrier over the ring: when it ends, every rank has both its channels
 *
 * Rank 0 keeps the channels of ranks 1 and W-1, which are its neighbours. Odd ranks connect first
 * and accept then, even ones the other way round, so that all pairs come about in two turns.
 *
 * Who a peer is, the gate has settled: its slot is its rank. A peer that fails the gate, or says
 * nothing sensible after it, is refused and does not disturb the others. A rank that disagrees is
 * another matter: the job is set up wrong, and everybody is told.
 */
#include "group.h"

#include <stdio.h>
#include <string.h>

enum {
    REFRESH_MS = 1000, /* between two calls of options->refresh while we wait */
    JOIN_MS = 2000,    /* for a rank that passed the gate to say JOIN */
    TELL_MS = 500,     /* for one rank to take an abort */
    GRACE_MS = 1000,   /* in which late ranks are still told that the job is set up wrong */
    RETRY_MS = 50,     /* rank 0 does not listen yet */
    RETRY_REFUSED_MS = 500,
    RING_MS = 30 * 1000, /* from the table to the ring: all are known to run */
    TABLE_MAX = 64 * 1024
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

static void refuse(clo_channel *channel, clo_status reason)
{
    log_refused(NULL, &clo_channel_peer(channel)->address, reason);
    clo_channel_close(channel);
}

static clo_status accept_next(clo_listener *listener, const clo_group_options *options,
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

/* ---- peers */

static void add_peer(clo_group *group, const clo_channel *channel, clo_peer *copy)
{
    group->peers[group->peer_count++] = (clo_verified_peer){channel, copy};
}

/* Keeps what was verified of a peer whose channel is closed here. */
static clo_status add_closed_peer(clo_group *group, clo_channel *channel)
{
    clo_peer *copy = clo_alloc(sizeof *copy);
    CLO_CHECK(copy != NULL, CLO_NOMEM, "out of memory for a peer");
    *copy = *clo_channel_peer(channel);
    add_peer(group, NULL, copy);
    clo_channel_close(channel);
    return CLO_STATUS_OK;
}

/* ---- rank 0 */

/* Channels and addresses by rank; entry 0 is empty. */
typedef struct {
    clo_channel *channels[CLO_WORLD_MAX];
    clo_address addresses[CLO_WORLD_MAX];
    uint32_t joined;
} gathering;

static void gathering_cleanup(gathering *g)
{
    for (size_t i = 0; i < CLO_WORLD_MAX; i++) {
        clo_channel_close(g->channels[i]);
    }
}

static clo_status check_manifest(const clo_group_options *options, const clo_comm_join *join)
{
    char ours[65];
    char theirs[65];
    if (memcmp(join->manifest, options->self.manifest, sizeof join->manifest) == 0) {
        return CLO_STATUS_OK;
    }
    clo_hex_encode(CLO_SPAN_OF(options->self.manifest), ours);
    clo_hex_encode(CLO_SPAN_OF(join->manifest), theirs);
    CLO_FAIL(CLO_INVALID, "its manifest is %.16s, expected %.16s", theirs, ours);
}

static clo_status check_join(const clo_group_options *options, const gathering *g,
                             const clo_peer *peer, const clo_comm_join *join)
{
    CLO_CHECK(join->version == CLO_COMM_VERSION, CLO_INVALID,
              "its protocol version is %u, expected %d", join->version, CLO_COMM_VERSION);
    CLO_CHECK(join->world == options->world, CLO_INVALID, "its world size is %u, expected %u",
              join->world, options->world);
    CLO_CHECK(join->rank > 0 && join->rank < options->world, CLO_INVALID,
              "its rank is %u, expected 1 to %u", join->rank, options->world - 1);
    CLO_CHECK(join->rank == peer->hello.slot, CLO_INVALID, "its rank is %u, but it holds slot %u",
              join->rank, peer->hello.slot);
    CLO_TRY(check_manifest(options, join));
    const clo_channel *other = g->channels[join->rank];
    bool newer =
        other != NULL && peer->hello.incarnation > clo_channel_peer(other)->hello.incarnation;
    CLO_CHECK(other == NULL || newer, CLO_INVALID, "it joins as rank %u, and so does %s",
              join->rank, clo_channel_peer(other)->address.text);
    return CLO_STATUS_OK;
}

/* A rank that was started anew before the group was complete takes its old place. */
static void take_place(gathering *g, const clo_comm_join *join, clo_channel *channel)
{
    bool anew = g->channels[join->rank] != NULL;
    clo_channel_close(g->channels[join->rank]);
    g->channels[join->rank] = channel;
    g->addresses[join->rank] = join->listens;
    g->joined += anew ? 0 : 1;
}

static clo_status read_join(clo_channel *channel, clo_deadline deadline, clo_comm_join *out_join)
{
    CLO_AUTO(clo_buf) message = CLO_BUF_LIMIT(TABLE_MAX);
    clo_deadline soon = clo_deadline_sooner(deadline, clo_deadline_in(JOIN_MS));
    CLO_TRY(clo_channel_recv(channel, &message, soon));
    return clo_comm_join_parse(clo_buf_span(&message), out_join);
}

/* Takes in one channel; fails only where a rank disagrees. The channel is g's or closed then. */
static clo_status take_in(const clo_group_options *options, gathering *g, clo_channel *channel,
                          clo_deadline deadline)
{
    clo_comm_join join;
    clo_status status = read_join(channel, deadline, &join);
    if (!clo_ok(status)) {
        refuse(channel, status);
        return CLO_STATUS_OK;
    }
    status = check_join(options, g, clo_channel_peer(channel), &join);
    if (clo_ok(status)) {
        take_place(g, &join, channel);
        return status;
    }
    status = clo_status_wrap(status, __FILE__, __LINE__, __func__, "rank %u at %s",
                             clo_channel_peer(channel)->hello.slot,
                             clo_channel_peer(channel)->address.text);
    g->channels[0] = channel; /* to be told as well */
    return status;
}

static clo_status gather(const clo_group_options *options, clo_listener *listener, gathering *g,
                         clo_deadline deadline)
{
    while (g->joined + 1 < options->world) {
        clo_channel *channel = NULL;
        CLO_TRY_CTX(accept_next(listener, options, deadline, &channel),
                    "%u of %u ranks joined at %s", g->joined + 1, options->world,
                    options->master_address);
        CLO_TRY(take_in(options, g, channel, deadline));
    }
    return CLO_STATUS_OK;
}

static clo_status send_table(const clo_group_options *options, const gathering *g,
                             clo_deadline deadline)
{
    CLO_AUTO(clo_buf) message = CLO_BUF_LIMIT(TABLE_MAX);
    clo_comm_table_write(g->addresses, options->world, &message);
    CLO_TRY(clo_buf_check(&message));
    for (uint32_t rank = 1; rank < options->world; rank++) {
        clo_channel *channel = g->channels[rank];
        CLO_TRY_CTX(clo_channel_send(channel, clo_buf_span(&message), deadline),
                    "rank %u at %s, during joining", rank, clo_channel_peer(channel)->address.text);
    }
    return CLO_STATUS_OK;
}

/* Tells the ranks that joined, and for a moment those that still come, why there is no group. */
static void turn_away(clo_listener *listener, gathering *g, uint32_t world, clo_status reason)
{
    clo_comm_abort abort = {.author = 0, .code = reason.code};
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_deadline deadline = clo_deadline_in(GRACE_MS);
    clo_channel *late = NULL;
    uint32_t told = 0;
    clo_status_text(reason, abort.text, sizeof abort.text);
    clo_comm_abort_write(&abort, &message);
    for (size_t i = 0; i < CLO_WORLD_MAX; i++) {
        if (g->channels[i] != NULL) {
            (void)clo_channel_send(g->channels[i], clo_buf_span(&message),
                                   clo_deadline_in(TELL_MS));
            told++;
        }
    }
    while (told + 1 < world && clo_ok(clo_listener_accept(listener, NULL, deadline, &late))) {
        (void)clo_channel_send(late, clo_buf_span(&message), clo_deadline_in(TELL_MS));
        clo_channel_close(CLO_TAKE(late));
        told++;
    }
}

static clo_status keep_neighbours(gathering *g, clo_group *group)
{
    for (uint32_t rank = 1; rank < group->world; rank++) {
        clo_channel *channel = CLO_TAKE(g->channels[rank]);
        if (rank == 1) {
            group->next = channel;
        }
        if (rank == group->world - 1) {
            group->prev = channel;
        }
        if (channel == group->next || channel == group->prev) {
            add_peer(group, channel, NULL);
        } else {
            CLO_TRY(add_closed_peer(group, channel));
        }
    }
    return CLO_STATUS_OK;
}

static clo_status lead(const clo_group_options *options, clo_group *group, clo_deadline deadline)
{
    CLO_AUTO_PTR(clo_listener) listener = NULL;
    CLO_AUTO(gathering) g = {.joined = 0};
    CLO_TRY(clo_listener_open(options->master_address, &options->self, &options->rules, &listener));
    clo_status status = gather(options, listener, &g, deadline);
    if (clo_ok(status)) {
        status = send_table(options, &g, deadline);
    }
    if (!clo_ok(status)) {
        clo_saved_status cause;
        clo_status_save(status, &cause);
        turn_away(listener, &g, options->world, status);
        return clo_status_restore(&cause);
    }
    return keep_neighbours(&g, group);
}

/* ---- the other ranks */

/* What another try may mend: rank 0 does not run yet, or is too busy to answer; its roster or ours
 * is older than one of us. */
static bool is_passing(const clo_group_options *options, clo_status status)
{
    bool is_refusal = status.code == CLO_DENIED || status.code == CLO_POLICY;
    return status.code == CLO_CLOSED || status.code == CLO_NOTFOUND || status.code == CLO_TIMEOUT ||
           (is_refusal && options->refresh != NULL);
}

static clo_status reach_rank_0(const clo_group_options *options, clo_deadline deadline,
                               clo_channel **out_channel)
{
    for (;;) {
        clo_status status =
            clo_channel_connect(options->master_address, options->local_interface, &options->self,
                                &options->rules, deadline, out_channel);
        if (clo_ok(status) || !is_passing(options, status) || clo_deadline_passed(deadline)) {
            CLO_TRY_CTX(status, "reaching rank 0 at %s", options->master_address);
            break;
        }
        bool early = status.code == CLO_CLOSED || status.code == CLO_NOTFOUND;
        CLO_TRY(refresh(options));
        clo_sleep_ms(early ? RETRY_MS : RETRY_REFUSED_MS);
    }
    const clo_peer *peer = clo_channel_peer(*out_channel);
    if (peer->hello.slot != 0) {
        uint32_t slot = peer->hello.slot;
        clo_channel_close(CLO_TAKE(*out_channel));
        CLO_FAIL(CLO_INVALID, "at %s is rank %u, expected rank 0", options->master_address, slot);
    }
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
    CLO_AUTO(clo_buf) message = CLO_BUF_LIMIT(TABLE_MAX);
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

/* What rank r > 0 has in hand between the table and the ring. */
typedef struct {
    const clo_group_options *options;
    clo_group *group;
    clo_channel *master;    /* to rank 0 */
    clo_listener *listener; /* ranks above 1 */
    clo_address addresses[CLO_WORLD_MAX];
} attendance;

static void attendance_cleanup(attendance *a)
{
    clo_channel_close(a->master);
    clo_listener_close(a->listener);
}

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
        CLO_TRY_CTX(accept_next(a->listener, a->options, deadline, &channel), "waiting for rank %u",
                    prev);
        uint32_t slot = clo_channel_peer(channel)->hello.slot;
        if (slot == prev) {
            a->group->prev = channel;
        } else {
            refuse(channel, clo_status_make(CLO_INVALID, __FILE__, __LINE__, __func__,
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
    if (group->prev != master && group->next != master) {
        return add_closed_peer(group, master);
    }
    return CLO_STATUS_OK;
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
        }
        if (!connects && group->prev == NULL) {
            CLO_TRY(accept_prev(a, deadline));
        }
    }
    add_peer(group, group->prev, NULL);
    if (group->next != group->prev) {
        add_peer(group, group->next, NULL);
    }
    return CLO_STATUS_OK;
}

static clo_status attend(const clo_group_options *options, clo_group *group, clo_deadline deadline)
{
    CLO_AUTO(attendance) a = {.options = options, .group = group};
    CLO_TRY(reach_rank_0(options, deadline, &a.master));
    if (options->rank > 1) {
        CLO_TRY(listen_beside(options, a.master, &a.listener));
    }
    CLO_TRY_CTX(send_join(options, a.listener, a.master, deadline), "rank 0 at %s",
                options->master_address);
    CLO_TRY_CTX(read_table(options, a.master, deadline, a.addresses), "rank 0 at %s",
                options->master_address);
    return connect_ring(&a, clo_deadline_sooner(deadline, clo_deadline_in(RING_MS)));
}

clo_status clo_rendezvous(const clo_group_options *options, clo_group *group)
{
    clo_deadline deadline = clo_deadline_in(options->connect_timeout_ms);
    CLO_TRY(group->rank == 0 ? lead(options, group, deadline) : attend(options, group, deadline));
    CLO_TRY(clo_group_begin(group, CLO_COMM_NONE));
    deadline = clo_deadline_sooner(deadline, clo_deadline_in(RING_MS));
    return clo_group_end(group, clo_collective_barrier(group, deadline));
}
