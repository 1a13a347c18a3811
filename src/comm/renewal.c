/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fresh connections for a group that stands: other sessions, other keys, the gate anew with the job
 * certificate of now (trust.md section 3).
 *
 *     old ring    ====================================x        closed when the new one is whole
 *     new ring         rendezvous --> same ranks? --> barrier -->
 *
 * The new ring is made beside the old one, in a group of its own that lends its memory, and the two
 * trade places. So nobody loses what is still under way on the old ring, and a rank that fails
 * meanwhile is heard there: who waits in the rendezvous looks at the old ring as well.
 *
 * The ranks must be the processes that they were: another incarnation or key is another process,
 * which has none of the parameters. The sequence number goes on too, so that a process which only
 * begins cannot be taken for one of ours even where we did not verify it ourselves.
 */
#include <string.h>

#include "comm_limits.h"
#include "rendezvous.h"

typedef struct {
    clo_group *group; /* with the old ring */
    const clo_group_options *options;
} renewal;

/* Called while other ranks are awaited. */
static clo_status look_around(void *arg)
{
    renewal *self = arg;
    CLO_TRY(clo_group_check_stop(self->group));
    CLO_TRY(clo_ring_look(self->group));
    return self->options->refresh == NULL ? CLO_STATUS_OK
                                          : self->options->refresh(self->options->refresh_arg);
}

static clo_status check_same(const clo_peer *before, const clo_peer *now)
{
    CLO_CHECK(before->hello.incarnation == now->hello.incarnation, CLO_INVALID,
              "rank %u at %s was started anew: incarnation is %llu, was %llu", now->hello.slot,
              now->address.text, (unsigned long long)now->hello.incarnation,
              (unsigned long long)before->hello.incarnation);
    CLO_CHECK(memcmp(before->key_id, now->key_id, sizeof now->key_id) == 0, CLO_INVALID,
              "rank %u at %s has another key than before", now->hello.slot, now->address.text);
    return CLO_STATUS_OK;
}

/* Both lists hold the same ranks: it is their places in the group that decide who meets whom. */
static clo_status check_ranks(const clo_group *before, const clo_group *now)
{
    for (size_t i = 0; i < clo_group_peer_count(now); i++) {
        const clo_peer *peer = clo_group_peer(now, i);
        for (size_t k = 0; k < clo_group_peer_count(before); k++) {
            const clo_peer *known = clo_group_peer(before, k);
            if (known->hello.slot == peer->hello.slot) {
                CLO_TRY(check_same(known, peer));
            }
        }
    }
    return CLO_STATUS_OK;
}

/* The collective's deadline is enough: all ranks are known to run. */
static clo_deadline deadline_of(const clo_group *group, const clo_group_options *options)
{
    return clo_deadline_sooner(clo_deadline_in(group->step_timeout_ms),
                               clo_deadline_in(options->connect_timeout_ms));
}

/* `fresh` is the caller's to free, with the new ring or the old one. */
static clo_status replace_ring(clo_group *group, const clo_group_options *options,
                               clo_group **fresh)
{
    renewal self = {.group = group, .options = options};
    clo_group_options watching = *options;
    clo_deadline deadline = deadline_of(group, options);
    watching.refresh = look_around;
    watching.refresh_arg = &self;
    CLO_TRY(clo_group_new(&watching, fresh));
    CLO_TRY(clo_rendezvous_connect(&watching, *fresh, deadline));
    CLO_TRY(check_ranks(group, *fresh));
    clo_group_trade_rings(group, *fresh);
    return clo_collective_barrier(group, deadline);
}

static clo_status renew(clo_group *group, const clo_group_options *options)
{
    clo_group *fresh = NULL;
    clo_saved_status cause;
    clo_status_save(replace_ring(group, options, &fresh), &cause);
    clo_group_leave(fresh);
    return clo_status_restore(&cause);
}

bool clo_group_is_old(const clo_group *group)
{
    return group->world > 1 && clo_clock_ms() - group->joined_ms >= clo_comm_get_limits()->renew_ms;
}

clo_status clo_group_renew(clo_group *group, const clo_group_options *options)
{
    CLO_CHECK(options->rank == group->rank && options->world == group->world, CLO_INVALID,
              "renewal as rank %u of %u, but the group knows rank %u of %u", options->rank,
              options->world, group->rank, group->world);
    if (group->world == 1) {
        return CLO_STATUS_OK;
    }
    CLO_TRY(clo_group_begin(group, "renewal"));
    CLO_TRY(clo_group_end(group, renew(group, options)));
    clo_log(CLO_LOG_INFO, "comm", "connections of rank %u were replaced", group->rank);
    return CLO_STATUS_OK;
}
