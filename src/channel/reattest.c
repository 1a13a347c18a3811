/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence again, inside the open channel: ATTEST(round) is answered by EVIDENCE and COLLATERAL of
 * that round, and the expectation is asked for anew, so that a new roster or policy counts.
 *
 *     verifier                         attester
 *        ATTEST(n)  --------------------->        n = the last round + 1, one outstanding
 *        <---------------------  EVIDENCE(n), COLLATERAL(n)      within 30 s
 *
 * It is asked for when the interval has passed, when the owner of the connection says so (a new
 * roster), and when the collateral that the last verdict stood on has expired: whoever can show no
 * newer one is refused then.
 *
 * It shows that the session still ends in a TEE of the same launch measurement. It does not detect
 * that a running program was taken over.
 */
#include "channel_state.h"

#include "hello.h"

static clo_status on_attest(clo_channel *channel, clo_span payload)
{
    clo_reattest *reattest = &channel->reattest;
    uint32_t round;
    clo_span rest;
    CLO_TRY(clo_frame_parse_round(payload, &round, &rest));
    CLO_CHECK(channel->self.as == CLO_PEER_ATTESTED, CLO_FORMAT,
              "peer asks for evidence, but this end shows a key");
    CLO_CHECK(round == reattest->answered + 1, CLO_FORMAT, "peer asks for round %u, expected %u",
              round, reattest->answered + 1);
    CLO_CHECK(!reattest->answering, CLO_FORMAT,
              "peer asks for round %u before it took the last answer", round);
    CLO_TRY(clo_judge_show(channel, round));
    reattest->answered = round;
    reattest->answering = true;
    return CLO_STATUS_OK;
}

static clo_status on_quote(clo_channel *channel, clo_span payload)
{
    CLO_TRY(clo_judge_take_quote(channel, channel->reattest.asked, payload));
    channel->reattest.awaited = CLO_FRAME_COLLATERAL;
    return CLO_STATUS_OK;
}

static clo_status on_collateral(clo_channel *channel, clo_span payload)
{
    clo_expectation fresh = {0};
    CLO_TRY(channel->rules.expect(channel->rules.arg, &channel->peer.hello, &fresh));
    channel->expectation = fresh;
    CLO_TRY(clo_hello_check_expected(&channel->peer.hello, &channel->expectation));
    CLO_TRY(clo_judge_decide(channel, channel->reattest.asked, payload));
    channel->reattest.awaited = CLO_FRAME_NONE;
    channel->reattest.verified_ms = clo_clock_ms();
    return CLO_STATUS_OK;
}

clo_status clo_reattest_on_frame(clo_channel *channel, clo_frame_type type, clo_span payload)
{
    if (type == CLO_FRAME_ATTEST) {
        CLO_TRY_CTX(on_attest(channel, payload), "re-attestation");
        return CLO_STATUS_OK;
    }
    CLO_CHECK(type == channel->reattest.awaited, CLO_FORMAT,
              "frame '%s' that nobody asked for in the open channel", clo_frame_name(type));
    bool quote = type == CLO_FRAME_EVIDENCE;
    CLO_TRY_CTX(quote ? on_quote(channel, payload) : on_collateral(channel, payload),
                "re-attestation round %u", channel->reattest.asked);
    return CLO_STATUS_OK;
}

clo_status clo_reattest_check_due(const clo_channel *channel)
{
    const clo_reattest *reattest = &channel->reattest;
    CLO_CHECK(reattest->awaited == CLO_FRAME_NONE || !clo_deadline_passed(reattest->due),
              CLO_TIMEOUT, "re-attestation round %u was not answered within %lld ms",
              reattest->asked, (long long)clo_channel_get_limits()->answer_ms);
    return CLO_STATUS_OK;
}

clo_deadline clo_reattest_bound(const clo_channel *channel, clo_deadline deadline)
{
    if (channel->reattest.awaited == CLO_FRAME_NONE) {
        return deadline;
    }
    return clo_deadline_sooner(deadline, channel->reattest.due);
}

/* The last verdict's collateral is valid to the second named, inclusive. */
static bool has_expired(const clo_channel *channel)
{
    return clo_clock_utc() > channel->peer.verdict.claims.earliest_expiry;
}

static bool is_due(const clo_channel *channel, bool now)
{
    const clo_reattest *reattest = &channel->reattest;
    if (channel->peer.as != CLO_PEER_ATTESTED || reattest->awaited != CLO_FRAME_NONE) {
        return false;
    }
    /* New keys want a frame to go with: an end that only receives makes one so. */
    return now || clo_wire_keys_are_old(channel) || has_expired(channel) ||
           clo_clock_ms() - reattest->verified_ms >= clo_channel_get_limits()->interval_ms;
}

static clo_status ask(clo_channel *channel)
{
    clo_reattest *reattest = &channel->reattest;
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    clo_put_u32be(&payload, reattest->asked + 1);
    CLO_TRY(clo_buf_check(&payload));
    CLO_TRY(clo_wire_queue(channel, CLO_FRAME_ATTEST, clo_buf_span(&payload), CLO_SPAN_EMPTY));
    reattest->asked++;
    reattest->awaited = CLO_FRAME_EVIDENCE;
    reattest->due = clo_deadline_in(clo_channel_get_limits()->answer_ms);
    return CLO_STATUS_OK;
}

static clo_status upkeep(clo_channel *channel, bool now)
{
    CLO_CHECK(channel->state == CLO_GATE_OPEN, CLO_INVALID, "the channel is not open yet");
    CLO_TRY(clo_wire_fill(channel));
    CLO_TRY(clo_reattest_check_due(channel));
    if (is_due(channel, now)) {
        CLO_TRY(ask(channel));
    }
    bool idle;
    return clo_wire_flush(channel, &idle);
}

clo_status clo_channel_upkeep(clo_channel *channel, bool now)
{
    CLO_TRY(clo_channel_check(channel));
    clo_status status = upkeep(channel, now);
    return clo_ok(status) ? status : clo_channel_fail(channel, status);
}
