/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence, shown and judged. The checks on the peer's come in order of cost: does the quote name
 * this session (a comparison), is it genuine (signatures), does the policy want it, does what it
 * says agree with the hello, does the owner of the connection admit it.
 */
#include "channel_state.h"

#include <string.h>

/* Whoever runs the peer has so long to renew its collateral before it is refused. */
static const int64_t WARN_BEFORE_S = 24 * 3600;

static clo_status wanted_report_data(const clo_channel *channel, clo_tls_side attester,
                                     uint32_t round, uint8_t out_report_data[64])
{
    CLO_AUTO(clo_buf) layout = CLO_BUF_LIMIT(CLO_TRANSCRIPT_SIZE);
    CLO_TRY(clo_transcript_layout(&channel->transcript, attester, round, &layout));
    return clo_report_data(CLO_PURPOSE_CHANNEL, clo_buf_span(&layout), out_report_data);
}

/* ---- ours */

static clo_status quote_locked(clo_channel *channel, clo_span layout, clo_evidence *out_evidence)
{
    clo_mutex *lock = channel->self.maker_lock;
    if (lock != NULL) {
        clo_mutex_lock(lock);
    }
    clo_deadline deadline = clo_deadline_in(clo_channel_get_limits()->gate_ms);
    if (channel->state != CLO_GATE_OPEN) {
        deadline = channel->deadline;
    }
    clo_status status =
        clo_maker_quote(channel->self.maker, CLO_PURPOSE_CHANNEL, layout, deadline, out_evidence);
    if (lock != NULL) {
        clo_mutex_unlock(lock);
    }
    return status;
}

clo_status clo_judge_show(clo_channel *channel, uint32_t round)
{
    CLO_AUTO(clo_buf) layout = CLO_BUF_LIMIT(CLO_TRANSCRIPT_SIZE);
    CLO_TRY(clo_transcript_layout(&channel->transcript, channel->side, round, &layout));
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    CLO_TRY_CTX(quote_locked(channel, clo_buf_span(&layout), &evidence), "making our evidence");
    CLO_AUTO(clo_buf) prefix = CLO_BUF_INIT;
    clo_put_u32be(&prefix, round);
    CLO_TRY(clo_buf_check(&prefix));
    clo_span number = clo_buf_span(&prefix);
    CLO_TRY(clo_wire_queue(channel, CLO_FRAME_EVIDENCE, number, clo_buf_span(&evidence.quote)));
    CLO_TRY(
        clo_wire_queue(channel, CLO_FRAME_COLLATERAL, number, clo_buf_span(&evidence.collateral)));
    channel->stats.attestations_made++;
    return CLO_STATUS_OK;
}

/* ---- the peer's */

static clo_status check_round(uint32_t found, uint32_t expected)
{
    CLO_CHECK(found == expected, CLO_ATTEST, "peer's evidence is for round %u, expected %u", found,
              expected);
    return CLO_STATUS_OK;
}

static clo_status check_binding(const clo_channel *channel, uint32_t round,
                                const uint8_t found[CLO_REPORT_DATA_SIZE])
{
    uint8_t wanted[CLO_REPORT_DATA_SIZE];
    CLO_TRY(wanted_report_data(channel, clo_channel_other_side(channel), round, wanted));
    CLO_CHECK(memcmp(wanted, found, sizeof wanted) == 0, CLO_ATTEST,
              "peer's evidence is not for this connection: report_data begins %02x%02x%02x%02x, "
              "expected %02x%02x%02x%02x",
              found[0], found[1], found[2], found[3], wanted[0], wanted[1], wanted[2], wanted[3]);
    return CLO_STATUS_OK;
}

clo_status clo_judge_take_quote(clo_channel *channel, uint32_t round, clo_span payload)
{
    uint32_t found;
    clo_span quote;
    CLO_TRY(clo_frame_parse_round(payload, &found, &quote));
    CLO_TRY(check_round(found, round));
    uint8_t report_data[CLO_REPORT_DATA_SIZE];
    CLO_TRY_CTX(clo_quote_peek_report_data(quote, report_data), "peer's quote");
    CLO_TRY(check_binding(channel, round, report_data));
    clo_buf_clear(&channel->quote);
    clo_put_span(&channel->quote, quote);
    return clo_buf_check(&channel->quote);
}

/* What the evidence says must agree with what the hello said. */
static clo_status check_claims(const clo_channel *channel, const clo_claims *claims)
{
    const clo_hello *hello = &channel->peer.hello;
    CLO_CHECK((hello->evidence_kinds >> claims->tee & 1) != 0, CLO_ATTEST,
              "peer's evidence is of kind '%s', which its hello did not offer",
              clo_tee_name(claims->tee));
    bool admitted = (hello->insecure_flags & CLO_INSECURE_SIMULATOR) != 0;
    CLO_CHECK((claims->tee == CLO_TEE_SIMULATOR) == admitted, CLO_ATTEST,
              "peer's evidence is of kind '%s', but its hello says it is %s",
              clo_tee_name(claims->tee), admitted ? "a simulator" : "no simulator");
    return CLO_STATUS_OK;
}

/* A later round must show the launch that the first one showed. */
static clo_status check_same_launch(const clo_channel *channel, const clo_claims *before,
                                    const uint8_t platform_id[32])
{
    const clo_claims *now = &channel->peer.verdict.claims;
    CLO_CHECK(memcmp(before->measurement, now->measurement, sizeof now->measurement) == 0,
              CLO_ATTEST, "peer's measurement changed between rounds");
    CLO_CHECK(memcmp(platform_id, channel->peer.platform_id, 32) == 0, CLO_ATTEST,
              "peer's platform changed between rounds");
    return CLO_STATUS_OK;
}

static clo_status verify(clo_channel *channel, clo_span collateral)
{
    const clo_expectation *wanted = &channel->expectation;
    clo_verify_request request = {
        .quote = clo_buf_span(&channel->quote),
        .collateral = collateral,
        .at = clo_clock_utc(),
        .anchor_count = wanted->anchor_count,
        .floors = wanted->floors,
    };
    CLO_CHECK(wanted->anchor_count <= CLO_MAX_ANCHORS, CLO_BUG, "%u anchors, expected at most %d",
              wanted->anchor_count, CLO_MAX_ANCHORS);
    memcpy(request.anchors, wanted->anchors, sizeof request.anchors);
    clo_verdict *verdict = &channel->peer.verdict;
    CLO_TRY(clo_evidence_verify(&request, verdict));
    if (verdict->accepted) {
        clo_appraise(&wanted->appraisal, request.at, verdict);
    }
    CLO_TRY_CTX(clo_verdict_status(verdict), "peer's evidence");
    CLO_CHECK(verdict->has_claims, CLO_BUG, "an accepted verdict has no claims");
    return CLO_STATUS_OK;
}

/* Once for each end of collateral: re-attestation looks at the same one again and again. */
static void warn_of_expiry(clo_channel *channel)
{
    char end[21];
    int64_t expiry = channel->peer.verdict.claims.earliest_expiry;
    if (expiry - clo_clock_utc() >= WARN_BEFORE_S || expiry == channel->reattest.warned_expiry) {
        return;
    }
    channel->reattest.warned_expiry = expiry;
    clo_time_format(expiry, end);
    clo_log(CLO_LOG_WARN, "channel", "collateral of '%s' expires at %s: it is refused after that",
            channel->peer.address.text, end);
}

/* It cannot be earlier than a vendor signed what we believe. The one place of it, since every
 * process believes evidence here; never beyond now, so that nobody's evidence moves the clock. */
static void keep_floor(const clo_claims *claims)
{
    int64_t now = clo_clock_utc();
    clo_clock_raise_floor(claims->earliest_issue < now ? claims->earliest_issue : now);
}

clo_status clo_judge_decide(clo_channel *channel, uint32_t round, clo_span payload)
{
    uint32_t found;
    clo_span collateral;
    CLO_TRY(clo_frame_parse_round(payload, &found, &collateral));
    CLO_TRY(check_round(found, round));
    clo_peer *peer = &channel->peer;
    clo_claims before = peer->verdict.claims;
    uint8_t platform_before[32];
    memcpy(platform_before, peer->platform_id, sizeof platform_before);
    CLO_TRY(verify(channel, collateral));
    const clo_claims *claims = &peer->verdict.claims;
    CLO_TRY(check_binding(channel, round, claims->report_data));
    CLO_TRY(check_claims(channel, claims));
    clo_claims_platform_id(claims, peer->platform_id);
    if (round > 0) {
        CLO_TRY(check_same_launch(channel, &before, platform_before));
    }
    CLO_TRY(clo_sha256(clo_buf_span(&channel->quote), peer->evidence_digest));
    peer->round = round;
    channel->stats.attestations_verified++;
    clo_buf_release(&channel->quote);
    channel->quote = CLO_BUF_LIMIT(CLO_EVIDENCE_MAX);
    CLO_TRY(clo_judge_admit(channel));
    keep_floor(claims);
    warn_of_expiry(channel);
    return CLO_STATUS_OK;
}

clo_status clo_judge_admit(clo_channel *channel)
{
    if (channel->rules.admit != NULL) {
        CLO_TRY_CTX(channel->rules.admit(channel->rules.arg, &channel->peer, channel->peer_cert),
                    "admission");
    }
    return CLO_STATUS_OK;
}
