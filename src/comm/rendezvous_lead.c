/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rank 0 gathers the others: see rendezvous.h.
 *
 * It keeps the channels of ranks 1 and W-1, which are its neighbours, and closes the others once
 * the table is out; what it verified of them stays on the group's list.
 */
#include <string.h>

#include "rendezvous.h"

enum {
    JOIN_MS = 2000, /* for a rank that passed the gate to say JOIN */
    TELL_MS = 500,  /* for one rank to take an abort */
    GRACE_MS = 1000 /* in which late ranks are still told why there is no group */
};

/* Channels and addresses by rank; entry 0 is empty. */
typedef struct {
    clo_channel *channels[CLO_WORLD_MAX];
    clo_address addresses[CLO_WORLD_MAX];
    uint32_t joined;
} gathering;

static void gathering_clear(gathering *g)
{
    for (size_t i = 0; i < CLO_WORLD_MAX; i++) {
        clo_channel_close(CLO_TAKE(g->channels[i]));
    }
}

static void gathering_cleanup(gathering *g)
{
    gathering_clear(g);
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
    CLO_AUTO(clo_buf) message = CLO_BUF_LIMIT(CLO_RENDEZVOUS_MAX);
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
        clo_rendezvous_refuse(channel, status);
        return CLO_STATUS_OK;
    }
    status = check_join(options, g, clo_channel_peer(channel), &join);
    if (clo_ok(status)) {
        take_place(g, &join, channel);
        return status;
    }
    g->channels[0] = channel; /* to be told as well */
    return clo_status_wrap(status, __FILE__, __LINE__, __func__, "rank %u at %s",
                           clo_channel_peer(channel)->hello.slot,
                           clo_channel_peer(channel)->address.text);
}

static clo_status gather(const clo_group_options *options, clo_listener *listener, gathering *g,
                         clo_deadline deadline)
{
    while (g->joined + 1 < options->world) {
        clo_channel *channel = NULL;
        CLO_TRY_CTX(clo_rendezvous_accept(listener, options, deadline, &channel),
                    "%u of %u ranks joined at %s", g->joined + 1, options->world,
                    options->master_address);
        CLO_TRY(take_in(options, g, channel, deadline));
    }
    return CLO_STATUS_OK;
}

static clo_status send_table(const clo_group_options *options, const gathering *g,
                             clo_deadline deadline)
{
    CLO_AUTO(clo_buf) message = CLO_BUF_LIMIT(CLO_RENDEZVOUS_MAX);
    clo_comm_table_write(g->addresses, options->world, &message);
    CLO_TRY(clo_buf_check(&message));
    for (uint32_t rank = 1; rank < options->world; rank++) {
        clo_channel *channel = g->channels[rank];
        CLO_TRY_CTX(clo_channel_send(channel, clo_buf_span(&message), deadline),
                    "rank %u at %s, during joining", rank, clo_channel_peer(channel)->address.text);
    }
    return CLO_STATUS_OK;
}

/* How many ranks are in hand, the one that does not fit (at entry 0) among them. */
static uint32_t count_present(const gathering *g)
{
    const clo_channel *odd_one = g->channels[0];
    if (odd_one == NULL) {
        return g->joined;
    }
    uint32_t slot = clo_channel_peer(odd_one)->hello.slot;
    bool is_another = slot >= CLO_WORLD_MAX || g->channels[slot] == NULL;
    return g->joined + (is_another ? 1 : 0);
}

/* Tells the ranks that joined, and for a moment those that still come, why there is no group. */
static void turn_away(clo_listener *listener, gathering *g, uint32_t world, clo_status reason)
{
    clo_comm_abort abort = {.author = 0, .code = reason.code};
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_deadline deadline = clo_deadline_in(GRACE_MS);
    clo_channel *late = NULL;
    clo_status_text(reason, abort.text, sizeof abort.text);
    clo_comm_abort_write(&abort, &message);
    for (size_t i = 0; i < CLO_WORLD_MAX; i++) {
        if (g->channels[i] != NULL) {
            (void)clo_channel_send(g->channels[i], clo_buf_span(&message),
                                   clo_deadline_in(TELL_MS));
        }
    }
    for (uint32_t present = count_present(g); present + 1 < world; present++) {
        if (!clo_ok(clo_listener_accept(listener, NULL, deadline, &late))) {
            return;
        }
        (void)clo_channel_send(late, clo_buf_span(&message), clo_deadline_in(TELL_MS));
        clo_channel_close(CLO_TAKE(late));
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
        clo_status status = clo_group_add_peer(group, channel);
        if (channel != group->next && channel != group->prev) {
            clo_group_drop_channel(group, channel);
        }
        CLO_TRY(status);
    }
    return CLO_STATUS_OK;
}

static clo_status gather_and_tell(const clo_group_options *options, clo_listener *listener,
                                  gathering *g, clo_deadline deadline)
{
    clo_saved_status cause;
    clo_status status = gather(options, listener, g, deadline);
    if (clo_ok(status)) {
        status = send_table(options, g, deadline);
    }
    if (clo_ok(status)) {
        return status;
    }
    clo_status_save(status, &cause);
    turn_away(listener, g, options->world, status);
    gathering_clear(g);
    return clo_status_restore(&cause);
}

clo_status clo_rendezvous_lead(const clo_group_options *options, clo_group *group,
                               clo_deadline deadline)
{
    CLO_AUTO_PTR(clo_listener) listener = NULL;
    CLO_AUTO(gathering) g = {.joined = 0};
    CLO_TRY(clo_listener_open(options->master_address, &options->self, &options->rules, &listener));
    CLO_TRY(gather_and_tell(options, listener, &g, deadline));
    return keep_neighbours(&g, group);
}
