/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a group, and the gate every collective goes through: see group.h. */
#include "group.h"

#include <stdio.h>
#include <string.h>

/* How long an abort waits for the collective that another thread runs to notice it. */
enum { STOP_MS = 2000 };

/* ---- begin and end */

clo_status clo_group_begin(clo_group *group, const char *doing)
{
    clo_status status = CLO_STATUS_OK;
    clo_mutex_lock(group->lock);
    if (group->broken || group->stopping) {
        status = clo_status_restore(&group->cause);
    } else {
        CLO_ASSERT(!group->busy);
        group->busy = true;
        group->doing = doing;
    }
    clo_mutex_unlock(group->lock);
    return status;
}

/* The busy thread's last act. */
static void become_broken(clo_group *group, const clo_saved_status *cause)
{
    clo_channel *next = CLO_TAKE(group->next);
    clo_channel *prev = CLO_TAKE(group->prev);
    clo_group_drop_channel(group, next);
    clo_group_drop_channel(group, prev == next ? NULL : prev);
    clo_mutex_lock(group->lock);
    group->busy = false;
    group->broken = true;
    group->cause = *cause;
    clo_cond_wake_all(group->idle);
    clo_mutex_unlock(group->lock);
}

clo_status clo_group_end(clo_group *group, clo_status status)
{
    clo_saved_status cause;
    if (!clo_ok(status)) {
        clo_status_save(clo_ring_settle(group, status), &cause);
        become_broken(group, &cause);
        return clo_status_restore(&cause);
    }
    clo_mutex_lock(group->lock);
    group->busy = false;
    clo_cond_wake_all(group->idle);
    clo_mutex_unlock(group->lock);
    return CLO_STATUS_OK;
}

clo_status clo_group_check_stop(clo_group *group)
{
    clo_mutex_lock(group->lock);
    clo_status status = group->stopping ? clo_status_restore(&group->cause) : CLO_STATUS_OK;
    clo_mutex_unlock(group->lock);
    return status;
}

/* ---- abort */

/* With the lock: sets the cause, and waits for a collective under way to notice it. True when
 * nobody has told the others yet and nobody is about to. */
static bool stop_collective(clo_group *group, clo_status cause)
{
    clo_deadline deadline = clo_deadline_in(STOP_MS);
    bool in_time = true;
    clo_status_save(cause, &group->cause);
    group->stopping = true;
    while (group->busy && in_time) {
        in_time = clo_cond_wait(group->idle, group->lock, deadline);
    }
    bool ours = !group->busy && !group->broken;
    group->busy = group->busy || ours;
    return ours;
}

void clo_group_abort(clo_group *group, clo_status cause)
{
    bool ours = false;
    clo_mutex_lock(group->lock);
    if (!clo_ok(cause) && !group->broken && !group->stopping) {
        ours = stop_collective(group, cause);
    }
    clo_saved_status saved = group->cause;
    clo_mutex_unlock(group->lock);
    if (!ours) {
        return;
    }
    if (group->world > 1) {
        group->abort = (clo_comm_abort){.author = group->rank, .code = saved.code};
        (void)snprintf(group->abort.text, sizeof group->abort.text, "%.*s",
                       (int)sizeof group->abort.text - 1, saved.text);
        clo_ring_tell(group, &group->abort);
    }
    become_broken(group, &saved);
}

/* ---- upkeep */

/* That a neighbour has left in order is no failure before something is expected of it. */
static clo_status upkeep(clo_group *group, bool again)
{
    clo_channel *channels[] = {group->prev, group->next};
    size_t count = group->prev == group->next ? 1 : 2;
    for (size_t i = 0; i < count; i++) {
        clo_status status = clo_channel_upkeep(channels[i], again);
        if (!clo_ok(status) && status.code != CLO_EOF) {
            return clo_ring_name_failure(group, channels[i], status);
        }
    }
    return CLO_STATUS_OK;
}

clo_status clo_group_upkeep(clo_group *group, bool roster_changed)
{
    if (group->world == 1) {
        return CLO_STATUS_OK;
    }
    CLO_TRY(clo_group_begin(group, "upkeep"));
    return clo_group_end(group, upkeep(group, roster_changed));
}

/* ---- peers */

clo_status clo_group_add_peer(clo_group *group, const clo_channel *channel)
{
    clo_peer *copy = clo_alloc(sizeof *copy);
    CLO_CHECK(copy != NULL, CLO_NOMEM, "out of memory for a peer");
    *copy = *clo_channel_peer(channel);
    group->peers[group->peer_count++] = (clo_verified_peer){channel, copy};
    return CLO_STATUS_OK;
}

void clo_group_drop_channel(clo_group *group, clo_channel *channel)
{
    for (size_t i = 0; i < group->peer_count && channel != NULL; i++) {
        clo_verified_peer *peer = &group->peers[i];
        if (peer->channel == channel) {
            *peer->copy = *clo_channel_peer(channel);
            peer->channel = NULL;
        }
    }
    clo_channel_close(channel);
}

/* ---- life */

static clo_status check_options(const clo_group_options *options)
{
    CLO_CHECK(options->world >= 1 && options->world <= CLO_WORLD_MAX, CLO_INVALID,
              "world size is %u, expected 1 to %d", options->world, CLO_WORLD_MAX);
    CLO_CHECK(options->rank < options->world, CLO_INVALID, "rank is %u, expected less than %u",
              options->rank, options->world);
    CLO_CHECK(options->world == 1 || options->self.slot == options->rank, CLO_INVALID,
              "rank is %u, but this process holds slot %u", options->rank, options->self.slot);
    return CLO_STATUS_OK;
}

static clo_status allocate(const clo_group_options *options, clo_group *group)
{
    int64_t timeout = options->step_timeout_ms;
    group->rank = options->rank;
    group->world = options->world;
    group->step_timeout_ms = timeout > 0 ? timeout : CLO_STEP_TIMEOUT_MS;
    group->out = CLO_BUF_LIMIT(CLO_LEAD_SIZE + CLO_LEAD_INLINE);
    group->in = CLO_BUF_LIMIT(CLO_BODY_MAX);
    CLO_TRY(clo_mutex_new(&group->lock));
    CLO_TRY(clo_cond_new(&group->idle));
    if (group->world == 1) {
        return CLO_STATUS_OK;
    }
    group->scratch = clo_alloc_aligned(CLO_BODY_MAX);
    group->peers = clo_alloc_array(group->world, sizeof *group->peers);
    CLO_CHECK(group->scratch != NULL && group->peers != NULL, CLO_NOMEM,
              "out of memory for a group of %u ranks", group->world);
    CLO_TRY(clo_buf_reserve(&group->out, CLO_LEAD_SIZE + CLO_LEAD_INLINE));
    return clo_buf_reserve(&group->in, CLO_LEAD_SIZE + CLO_LEAD_INLINE);
}

clo_status clo_group_new(const clo_group_options *options, clo_group **out_group)
{
    CLO_TRY(check_options(options));
    CLO_AUTO_PTR(clo_group) group = clo_alloc(sizeof *group);
    CLO_CHECK(group != NULL, CLO_NOMEM, "out of memory for a group");
    CLO_TRY(allocate(options, group));
    *out_group = CLO_TAKE(group);
    return CLO_STATUS_OK;
}

static void take_ring(clo_group *group, const clo_group *from)
{
    group->next = from->next;
    group->prev = from->prev;
    group->next_left = from->next_left;
    group->peers = from->peers;
    group->peer_count = from->peer_count;
    group->joined_ms = from->joined_ms;
}

void clo_group_trade_rings(clo_group *group, clo_group *other)
{
    const clo_group before = *group;
    take_ring(group, other);
    take_ring(other, &before);
}

clo_status clo_group_join(const clo_group_options *options, clo_group **out_group)
{
    clo_group *group = NULL;
    CLO_TRY(clo_group_new(options, &group));
    clo_status status = group->world > 1 ? clo_rendezvous(options, group) : CLO_STATUS_OK;
    if (!clo_ok(status)) {
        clo_saved_status cause;
        clo_status_save(status, &cause);
        clo_group_leave(group);
        return clo_status_restore(&cause);
    }
    *out_group = group;
    return CLO_STATUS_OK;
}

void clo_group_leave(clo_group *group)
{
    if (group == NULL) {
        return;
    }
    clo_channel_close(group->next);
    if (group->prev != group->next) {
        clo_channel_close(group->prev);
    }
    for (size_t i = 0; i < group->peer_count; i++) {
        clo_free(group->peers[i].copy);
    }
    clo_free(group->peers);
    clo_buf_release(&group->out);
    clo_buf_release(&group->in);
    if (group->scratch != NULL) {
        clo_wipe(group->scratch, CLO_BODY_MAX);
    }
    clo_free(group->scratch);
    clo_cond_free(group->idle);
    clo_mutex_free(group->lock);
    clo_free(group);
}

/* ---- looking */

uint32_t clo_group_rank(const clo_group *group)
{
    return group->rank;
}

uint32_t clo_group_world(const clo_group *group)
{
    return group->world;
}

size_t clo_group_peer_count(const clo_group *group)
{
    return group->peer_count;
}

const clo_peer *clo_group_peer(const clo_group *group, size_t index)
{
    CLO_ASSERT(index < group->peer_count);
    const clo_verified_peer *peer = &group->peers[index];
    return peer->channel != NULL ? clo_channel_peer(peer->channel) : peer->copy;
}

void clo_group_set_phase(clo_group *group, const char *phase)
{
    clo_mutex_lock(group->lock);
    (void)snprintf(group->phase, sizeof group->phase, "%s", phase);
    clo_mutex_unlock(group->lock);
}
