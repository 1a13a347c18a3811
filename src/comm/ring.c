/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step of a collective on the ring, and what happens when it fails.
 *
 *     lead (and payload) --> next          prev --> lead (and payload)     a short message each
 *     body --------------------> next      prev -----------------> body    both at once
 *
 * Small payloads travel in the lead: one message, one TLS record. The lead is sent before the
 * other one is awaited; it fits what a socket buffers, so that a ring of ranks that all send first
 * cannot stand still.
 *
 * Failure. The rank that sees it first tells both neighbours, who tell theirs; so an ABORT must be
 * able to pass where data was due. It takes the place of a lead, never of a body: a rank that has
 * announced a body sends it before the ABORT, and a body is a single frame, which the channel ends
 * by itself once it is begun.
 *
 *     0    1    2 x  3    4         2 dies: 1 and 3 see it and tell 0 and 4
 *     <----'         '---->
 *
 * When a rank stands still instead, every other one sooner or later waits in vain for its prev and
 * accuses it, and only its next one is right. Accusations go forward only, and whoever hears one
 * takes it instead of its own: the last one to arrive comes from farthest back, from right behind
 * the rank that stands still. That takes time, of which `margin` is a share of the deadline:
 *
 *     deadline             waiting for a lead ends here; the channel stays sound
 *     deadline +   margin  waiting for a body ends here, and the channel with it
 *     deadline + 2 margin  so long a rank listens for a better accusation than its own
 *
 * A body is waited for longer because who owes it may be waiting for its own prev, and says so at
 * the deadline; an accusation is waited for longer because it may come from who waited for a body.
 */
#include "group.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
    TELL_MS = 500,   /* a neighbour that takes no abort by then learns of it by our closing */
    SETTLE_MS = 500, /* for a better reason than that a neighbour is gone */
    SLICE_MS = 200,  /* an abort of this rank is noticed so soon */
    MARGIN_MIN_MS = 500,
    MARGIN_MAX_MS = 4000
};

static int64_t margin_ms(const clo_group *group)
{
    int64_t share = group->step_timeout_ms / 4;
    return share < MARGIN_MIN_MS ? MARGIN_MIN_MS : share > MARGIN_MAX_MS ? MARGIN_MAX_MS : share;
}

/* ---- failures of one channel */

static uint32_t rank_of(const clo_group *group, const clo_channel *channel)
{
    uint32_t step = channel == group->prev ? group->world - 1 : 1;
    return (group->rank + step) % group->world;
}

static clo_status as_closed(clo_status status)
{
    clo_saved_status saved;
    clo_status_save(status, &saved);
    saved.code = CLO_CLOSED;
    return clo_status_restore(&saved);
}

clo_status clo_ring_name_failure(clo_group *group, const clo_channel *channel, clo_status status)
{
    char phase[sizeof group->phase];
    clo_mutex_lock(group->lock);
    memcpy(phase, group->phase, sizeof phase);
    clo_mutex_unlock(group->lock);
    if (status.code == CLO_EOF) {
        status = as_closed(status);
    }
    return clo_status_wrap(status, __FILE__, __LINE__, __func__, "rank %u at %s, during %s%s%s",
                           rank_of(group, channel), clo_channel_peer(channel)->address.text,
                           group->doing, phase[0] == '\0' ? "" : " ", phase);
}

/* The failure of a call on channels of which one is broken now. */
static clo_status name_broken(clo_group *group, clo_channel *likely, clo_status status)
{
    clo_channel *other = likely == group->prev ? group->next : group->prev;
    bool is_other = !clo_channel_is_broken(likely) && clo_channel_is_broken(other);
    return clo_ring_name_failure(group, is_other ? other : likely, status);
}

/* ---- hearing of others' failures */

/* Reads the message that waits on a channel, into group->in. */
static clo_status receive(clo_group *group, clo_channel *from, clo_deadline deadline)
{
    clo_buf_clear(&group->in);
    clo_status status = clo_channel_recv(from, &group->in, deadline);
    return clo_ok(status) ? status : clo_ring_name_failure(group, from, status);
}

/* Keeps the abort in group->in as the reason. */
static clo_status take_abort(clo_group *group, const clo_channel *from)
{
    clo_comm_abort abort;
    clo_status status = clo_comm_abort_parse(clo_buf_span(&group->in), &abort);
    if (!clo_ok(status)) {
        return clo_ring_name_failure(group, from, status);
    }
    group->abort = abort;
    group->heard = true;
    return clo_comm_abort_status(&abort);
}

/* Nothing but an abort ever comes back from next; looking also answers its control frames. That
 * it closed in order, or that we are too slow for it, is no failure as long as we have nothing to
 * send to it: whom we wait for is the reason then. */
static clo_status look_at_next(clo_group *group, clo_deadline deadline)
{
    if (group->next == group->prev || group->next_left || !clo_channel_has_input(group->next)) {
        return CLO_STATUS_OK;
    }
    clo_buf_clear(&group->in);
    clo_status status = clo_channel_recv(group->next, &group->in, deadline);
    if (status.code == CLO_EOF || status.code == CLO_DENIED) {
        group->next_left = true;
        return CLO_STATUS_OK;
    }
    return clo_ok(status) ? take_abort(group, group->next)
                          : clo_ring_name_failure(group, group->next, status);
}

static clo_status look_at(clo_group *group, clo_channel *channel)
{
    if (!clo_channel_has_input(channel)) {
        return CLO_STATUS_OK;
    }
    CLO_TRY(receive(group, channel, clo_deadline_in(TELL_MS)));
    return take_abort(group, channel);
}

clo_status clo_ring_look(clo_group *group)
{
    CLO_TRY(look_at(group, group->prev));
    return group->next == group->prev ? CLO_STATUS_OK : look_at(group, group->next);
}

/* ---- waiting */

static struct pollfd poll_of(const clo_channel *channel)
{
    return (struct pollfd){.fd = clo_channel_fd(channel), .events = clo_channel_events(channel)};
}

static void sleep_until_input(const clo_group *group, clo_deadline deadline)
{
    struct pollfd fds[2] = {poll_of(group->prev)};
    nfds_t count = 1;
    if (group->next != group->prev && !group->next_left) {
        fds[count++] = poll_of(group->next);
    }
    clo_deadline slice = clo_deadline_sooner(deadline, clo_deadline_in(SLICE_MS));
    (void)poll(fds, count, clo_deadline_left_ms(slice)); /* a failure of poll: the caller looks */
}

/* Until a message (or the end) of prev is there; the channel stays sound at the deadline, so that
 * an abort that comes too late is still heard. */
static clo_status await_prev(clo_group *group, clo_deadline deadline)
{
    while (!clo_channel_has_input(group->prev)) {
        CLO_TRY(look_at_next(group, deadline));
        CLO_TRY(clo_group_check_stop(group));
        if (clo_deadline_passed(deadline)) {
            clo_status late = clo_status_make(CLO_TIMEOUT, __FILE__, __LINE__, __func__,
                                              "nothing came within the deadline");
            return clo_ring_name_failure(group, group->prev, late);
        }
        sleep_until_input(group, deadline);
    }
    return CLO_STATUS_OK;
}

/* ---- a step */

static clo_status send_lead(clo_group *group, const clo_comm_lead *lead, const clo_ring_step *step,
                            clo_deadline deadline)
{
    bool in_lead = step->out.size <= CLO_LEAD_INLINE;
    clo_comm_lead mine = *lead;
    mine.sequence = group->sequence;
    mine.step = step->send_step;
    CLO_TRY(look_at_next(group, deadline));
    clo_buf_clear(&group->out);
    clo_comm_lead_write(&mine, in_lead ? step->out : CLO_SPAN_EMPTY, &group->out);
    CLO_TRY(clo_buf_check(&group->out));
    clo_status status = clo_channel_send(group->next, clo_buf_span(&group->out), deadline);
    if (!clo_ok(status)) {
        return clo_ring_name_failure(group, group->next, status);
    }
    group->owed = in_lead ? CLO_SPAN_EMPTY : step->out;
    return CLO_STATUS_OK;
}

static clo_status check_lead(const clo_group *group, const clo_comm_lead *lead,
                             const clo_ring_step *step, clo_span *out_payload)
{
    clo_comm_lead expected = *lead;
    clo_comm_lead found;
    clo_span payload;
    expected.sequence = group->sequence;
    expected.step = step->receive_step;
    CLO_TRY(clo_comm_lead_parse(clo_buf_span(&group->in), &found, &payload));
    CLO_TRY(clo_comm_lead_check(&found, &expected));
    size_t due = step->in_size <= CLO_LEAD_INLINE ? step->in_size : 0;
    CLO_CHECK(payload.size == due, CLO_FORMAT, "its payload is %zu bytes, expected %zu",
              payload.size, due);
    *out_payload = payload;
    return CLO_STATUS_OK;
}

static clo_status receive_lead(clo_group *group, const clo_comm_lead *lead,
                               const clo_ring_step *step, clo_deadline deadline)
{
    clo_span payload = CLO_SPAN_EMPTY;
    CLO_TRY(await_prev(group, deadline));
    CLO_TRY(receive(group, group->prev, deadline));
    if (clo_comm_kind_of(clo_buf_span(&group->in)) == CLO_COMM_ABORT) {
        return take_abort(group, group->prev);
    }
    clo_status status = check_lead(group, lead, step, &payload);
    if (!clo_ok(status)) {
        return clo_ring_name_failure(group, group->prev, status);
    }
    if (payload.size > 0) {
        memcpy(step->in, payload.data, payload.size);
    }
    return CLO_STATUS_OK;
}

static clo_status exchange_bodies(clo_group *group, const clo_ring_step *step,
                                  clo_deadline deadline)
{
    bool receives = step->receives && step->in_size > CLO_LEAD_INLINE;
    clo_deadline later = {deadline.at_ms + margin_ms(group)};
    clo_span out = group->owed;
    group->owed = CLO_SPAN_EMPTY;
    clo_status status = clo_channel_exchange(group->next, out, receives ? group->prev : NULL,
                                             step->in, receives ? step->in_size : 0, later);
    return clo_ok(status) ? status : name_broken(group, group->prev, status);
}

clo_status clo_ring_pass(clo_group *group, const clo_comm_lead *lead, const clo_ring_step *step,
                         clo_deadline deadline)
{
    CLO_ASSERT(step->out.size <= CLO_BODY_MAX && step->in_size <= CLO_BODY_MAX);
    if (step->sends) {
        CLO_TRY(send_lead(group, lead, step, deadline));
    }
    if (step->receives) {
        CLO_TRY(receive_lead(group, lead, step, deadline));
    }
    return exchange_bodies(group, step, deadline);
}

/* ---- telling */

static void tell(clo_channel *channel, clo_span message)
{
    if (!clo_channel_is_broken(channel)) {
        (void)clo_channel_send(channel, message, clo_deadline_in(TELL_MS));
    }
}

/* Ends what is begun, so that the next message is taken for a lead. */
static void pay_owed(clo_group *group)
{
    if (group->owed.size > 0) {
        tell(group->next, group->owed);
        group->owed = CLO_SPAN_EMPTY;
    }
}

static void tell_forward(clo_group *group, const clo_comm_abort *abort)
{
    pay_owed(group);
    clo_buf_clear(&group->out);
    clo_comm_abort_write(abort, &group->out);
    if (clo_ok(clo_buf_check(&group->out))) {
        tell(group->next, clo_buf_span(&group->out));
    }
}

void clo_ring_tell(clo_group *group, const clo_comm_abort *abort)
{
    tell_forward(group, abort);
    if (group->prev != group->next && clo_ok(clo_buf_check(&group->out))) {
        tell(group->prev, clo_buf_span(&group->out));
    }
}

static void spread(clo_group *group, const clo_comm_abort *abort)
{
    if (abort->code == CLO_TIMEOUT) {
        tell_forward(group, abort);
    } else {
        clo_ring_tell(group, abort);
    }
}

/* Waits without harm to the channel: one that fails at a deadline tells its peer that it is slow.
 */
static bool wait_for_prev(const clo_group *group, clo_deadline deadline)
{
    while (!clo_channel_has_input(group->prev)) {
        if (!clo_ok(clo_fd_wait(clo_channel_fd(group->prev), clo_channel_events(group->prev),
                                deadline))) {
            return false;
        }
    }
    return !clo_channel_is_broken(group->prev);
}

/* Reads what still comes from prev until it is an abort of somebody else. */
static bool hear_abort(clo_group *group, clo_deadline deadline)
{
    clo_comm_abort abort;
    while (wait_for_prev(group, deadline)) {
        clo_buf_clear(&group->in);
        if (!clo_ok(clo_channel_recv(group->prev, &group->in, clo_deadline_in(TELL_MS)))) {
            return false;
        }
        if (clo_ok(clo_comm_abort_parse(clo_buf_span(&group->in), &abort)) &&
            abort.author != group->rank) {
            group->abort = abort;
            return true;
        }
    }
    return false;
}

/* That next is gone or refuses us may have a reason that is on its way round the ring: our own is
 * told only if none comes. */
static bool hear_before_telling(clo_group *group)
{
    int32_t code = group->abort.code;
    bool vague = code == CLO_CLOSED || code == CLO_DENIED;
    return vague && hear_abort(group, clo_deadline_in(SETTLE_MS));
}

clo_status clo_ring_settle(clo_group *group, clo_status status)
{
    clo_saved_status mine;
    clo_status_save(status, &mine);
    bool own = !group->heard;
    if (own) {
        group->abort = (clo_comm_abort){.author = group->rank, .code = status.code};
        (void)snprintf(group->abort.text, sizeof group->abort.text, "%.*s",
                       (int)sizeof group->abort.text - 1, mine.text);
        own = !hear_before_telling(group);
    }
    spread(group, &group->abort);
    clo_deadline deadline = clo_deadline_in(2 * margin_ms(group));
    while (group->abort.code == CLO_TIMEOUT && hear_abort(group, deadline)) {
        own = false;
        spread(group, &group->abort);
    }
    return own ? clo_status_restore(&mine) : clo_comm_abort_status(&group->abort);
}
