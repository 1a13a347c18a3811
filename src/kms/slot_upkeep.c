/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upkeep of a slot's session: newer rosters, the lease (every request renews it), the job
 * certificate at half-life, and outages of the broker.
 *
 * An outage is that the broker cannot be reached; that it refuses is none. During an outage the
 * session goes on until the roster's expiry and the grace that the manifest allows, and connects
 * again when it can, with the same key, so that it keeps its incarnation.
 */
#include "slot.h"

/* How often a slot asks at most, when its lease does not call for more. */
#define INTERVAL_MS 2000
#define POLL_MS     100
/* A request in flight is not cut short by a caller who only waits for others: that would end the
 * connection. */
#define REQUEST_MS       10000
#define LEAF_HALF_LIFE_S (CLO_JOB_CERT_LIFETIME_S / 2)
/* One try to reach a broker that is away must not stall a step for long. */
#define RECONNECT_MS 3000

static clo_status ask_roster(clo_slot_session *session, clo_deadline deadline, bool *out_changed)
{
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_span body;
    clo_span envelope;
    CLO_TRY(clo_link_call(&session->link, CLO_OP_SLOT_ROSTER, CLO_SPAN_EMPTY, deadline, &message,
                          &body));
    CLO_TRY(clo_body_var(body, CLO_KMS_ROSTER_MAX, "the roster", &envelope));
    return clo_slot_take_roster(session, envelope, out_changed);
}

static clo_status ask_renewal(clo_slot_session *session, clo_deadline deadline, bool *out_changed)
{
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_span body;
    clo_renew_answer answer;
    CLO_TRY(clo_link_call(&session->link, CLO_OP_SLOT_RENEW, CLO_SPAN_EMPTY, deadline, &message,
                          &body));
    CLO_TRY(clo_renew_answer_parse(body, &answer));
    CLO_TRY(clo_slot_take_roster(session, answer.roster, out_changed));
    return clo_slot_take_leaf(session, answer.leaf);
}

static bool has_world(const clo_slot_session *session)
{
    for (uint32_t slot = 0; slot < session->options.manifest->world_size; slot++) {
        if (clo_roster_find(&session->roster, session->row.role, slot) == NULL) {
            return false;
        }
    }
    return true;
}

clo_status clo_slot_wait_roster(clo_slot_session *session, clo_deadline deadline)
{
    bool changed;
    while (!has_world(session)) {
        CLO_CHECK(!clo_deadline_passed(deadline), CLO_TIMEOUT, "%u of %u slots have enrolled as %s",
                  session->roster.row_count, session->options.manifest->world_size,
                  clo_role_name(session->row.role));
        clo_sleep_ms(POLL_MS);
        CLO_TRY(ask_roster(session, clo_deadline_in(REQUEST_MS), &changed));
        session->contact_ms = clo_clock_ms();
    }
    return CLO_STATUS_OK;
}

/* By either clock: the monotonic one stands still while a machine is suspended, and only the other
 * one moves up with signed times. */
static bool is_leaf_old(const clo_slot_session *session)
{
    int64_t end = clo_cert_not_after(session->leaves->cert);
    return clo_clock_ms() - session->leaf_ms >= LEAF_HALF_LIFE_S * 1000LL ||
           end - clo_clock_utc() <= LEAF_HALF_LIFE_S;
}

static clo_status reach(clo_slot_session *session, clo_deadline deadline, bool *out_changed)
{
    *out_changed = false;
    if (session->link.channel == NULL) {
        uint64_t epoch = session->roster.epoch;
        CLO_TRY(clo_slot_link_open(session, deadline));
        CLO_TRY(clo_slot_link_enrol(session, deadline));
        *out_changed = session->roster.epoch != epoch;
        return CLO_STATUS_OK;
    }
    CLO_TRY(clo_channel_upkeep(session->link.channel, false));
    if (is_leaf_old(session)) {
        return ask_renewal(session, deadline, out_changed);
    }
    return ask_roster(session, deadline, out_changed);
}

/* Only what the connection itself says: what a broker answers, or what is wrong with its answer, is
 * no outage, whatever the code. A channel that is whole has carried an answer. */
static bool is_outage(const clo_slot_session *session, clo_status status)
{
    const clo_channel *channel = session->link.channel;
    if (channel != NULL && !clo_channel_is_broken(channel)) {
        return false;
    }
    return status.code == CLO_CLOSED || status.code == CLO_EOF || status.code == CLO_TIMEOUT ||
           status.code == CLO_IO || status.code == CLO_NOTFOUND;
}

/* The broker is away: on to the roster's end and the grace. */
static clo_status bear_outage(clo_slot_session *session, clo_status reason)
{
    char text[256];
    int64_t end =
        session->roster.issued + CLO_ROSTER_LIFETIME_S + session->options.manifest->grace_s;
    clo_channel_close(session->link.channel);
    session->link = (clo_link){.channel = NULL};
    if (clo_clock_utc() > end) {
        return clo_status_wrap(reason, __FILE__, __LINE__, __func__,
                               "roster and grace have ended while the key broker is away");
    }
    clo_status_text(reason, text, sizeof text);
    clo_log(CLO_LOG_WARN, "kms", "the key broker is away: %s", text);
    return CLO_STATUS_OK;
}

clo_status clo_slot_upkeep(clo_slot_session *session, clo_deadline deadline, bool *out_changed)
{
    int64_t half_lease = session->options.manifest->lease_s * 500LL;
    int64_t interval = half_lease < INTERVAL_MS ? half_lease : INTERVAL_MS;
    bool changed = false;
    if (clo_clock_ms() - session->contact_ms < interval) {
        *out_changed = false;
        return CLO_STATUS_OK;
    }
    clo_deadline soon = clo_deadline_sooner(deadline, clo_deadline_in(RECONNECT_MS));
    clo_status status = reach(session, soon, &changed);
    session->contact_ms = clo_clock_ms();
    if (is_outage(session, status)) {
        status = bear_outage(session, status);
    }
    CLO_TRY(status);
    *out_changed = changed;
    return CLO_STATUS_OK;
}
