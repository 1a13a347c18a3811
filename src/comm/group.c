/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a group, and the gate every collective goes through: see group.h. */
#include "group.h"

#include <stdio.h>
#include <string.h>

/* How long an abort waits for the collective that another thread runs. */
enum { STOP_MS = 2000 };

/* ---- begin and end */

clo_status clo_group_begin(clo_group *group, clo_comm_kind doing)
{
    clo_status status = CLO_STATUS_OK;
    clo_mutex_lock(group->lock);
    if (group->broken || group->stopping) {
        status = clo_status_restore(&group->cause);
    } else {
        CLO_ASSERT(!group->busy);
        group->busy = true;
        group->doing = doing;
        group->sequence++;
    }
    clo_mutex_unlock(group->lock);
    return status;
}

clo_status clo_group_end(clo_group *group, clo_status status)
{
    clo_saved_status cause = {0};
    if (!clo_ok(status)) {
        clo_status_save(clo_ring_settle(group, status), &cause);
    }
    clo_mutex_lock(group->lock);
    group->busy = false;
    if (!clo_ok(status)) {
        group->broken = true;
        group->cause = cause;
    }
    clo_cond_wake_all(group->idle);
    clo_mutex_unlock(group->lock);
    return clo_status_restore(&cause);
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
    if (clo_ok(cause)) {
        return;
    }
    clo_mutex_lock(group->lock);
    if (!group->broken && !group->stopping) {
        ours = stop_collective(group, cause);
    }
    clo_mutex_unlock(group->lock);
    if (!ours) {
        return;
    }
    if (group->world > 1) {
        group->abort = (clo_comm_abort){.author = group->rank, .code = group->cause.code};
        (void)snprintf(group->abort.text, sizeof group->abort.text, "%.*s",
                       (int)sizeof group->abort.text - 1, group->cause.text);
        clo_ring_tell(group, &group->abort);
    }
    clo_mutex_lock(group->lock);
    group->busy = false;
    group->broken = true;
    clo_mutex_unlock(group->lock);
}

/* ---- upkeep */

static clo_status upkeep(clo_group *group)
{
    clo_channel *channels[] = {group->prev, group->next};
    size_t count = group->prev == group->next ? 1 : 2;
    for (size_t i = 0; i < count; i++) {
        clo_status status = clo_channel_upkeep(channels[i], false);
        if (!clo_ok(status)) {
            return clo_ring_name_failure(group, channels[i], status);
        }
    }
    return CLO_STATUS_OK;
}

clo_status clo_group_upkeep(clo_group *group)
{
    if (group->world == 1) {
        return CLO_STATUS_OK;
    }
    CLO_TRY(clo_group_begin(group, CLO_COMM_NONE));
    return clo_group_end(group, upkeep(group));
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

clo_status clo_group_join(const clo_group_options *options, clo_group **out_group)
{
    CLO_AUTO_PTR(clo_group) group = clo_alloc(sizeof *group);
    CLO_CHECK(group != NULL, CLO_NOMEM, "out of memory for a group");
    CLO_TRY(check_options(options));
    CLO_TRY(allocate(options, group));
    if (group->world > 1) {
        CLO_TRY(clo_rendezvous(options, group));
    }
    *out_group = CLO_TAKE(group);
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
