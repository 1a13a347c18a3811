/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a slot lets in: the slots of its own job and role, by the manifest (what they run), the
 * roster (who they are) and the job certificate (which enrolment they come from). The roster is
 * what answers diversion and cloned TEEs: a genuine quote of the right program from elsewhere has
 * the wrong key or platform.
 *
 *     round 0      the roster is believed still, the certificate is valid now, the row stands
 *     later ones   the row stands: slot, incarnation, key, platform, measurement
 *
 * A certificate lives for an hour and is shown once, when the connection begins; so its times say
 * something about that moment only. A connection that stands goes on through an outage of the
 * broker, for as long as the manifest's grace allows (slot_upkeep.c); nobody new comes in then.
 */
#include "slot.h"

#include <string.h>

static clo_status find_row(const clo_slot_session *session, const clo_hello *hello,
                           const clo_roster_row **out_row)
{
    const clo_roster_row *row = clo_roster_find(&session->roster, hello->role, hello->slot);
    CLO_CHECK(hello->role == session->row.role, CLO_POLICY, "peer is a %s, expected a %s",
              clo_role_name(hello->role), clo_role_name(session->row.role));
    CLO_CHECK(row != NULL, CLO_POLICY, "the roster of epoch %llu has no %s %u",
              (unsigned long long)session->roster.epoch, clo_role_name(hello->role), hello->slot);
    CLO_CHECK(row->incarnation == hello->incarnation, CLO_POLICY,
              "%s %u is incarnation %llu, expected %llu", clo_role_name(hello->role), hello->slot,
              (unsigned long long)hello->incarnation, (unsigned long long)row->incarnation);
    *out_row = row;
    return CLO_STATUS_OK;
}

static clo_status expect_locked(const clo_slot_session *session, const clo_hello *hello,
                                clo_expectation *out_expectation)
{
    const clo_manifest *manifest = session->options.manifest;
    const clo_roster_row *row;
    CLO_TRY(find_row(session, hello, &row));
    *out_expectation = (clo_expectation){
        .role = row->role,
        .slot = row->slot,
        .check_manifest = true,
        .appraisal = manifest->appraisal,
        .floors = session->roster.floors,
    };
    memcpy(out_expectation->manifest, manifest->digest, sizeof manifest->digest);
    clo_expect_anchors(manifest->anchors, manifest->anchor_count, out_expectation);
    return CLO_STATUS_OK;
}

static clo_status expect_slot(void *arg, const clo_hello *hello, clo_expectation *out_expectation)
{
    clo_slot_session *session = arg;
    clo_mutex_lock(session->lock);
    clo_status status = expect_locked(session, hello, out_expectation);
    clo_mutex_unlock(session->lock);
    return status;
}

static clo_status check_beginning(const clo_slot_session *session, const clo_roster_row *row,
                                  const clo_cert *cert)
{
    const clo_manifest *manifest = session->options.manifest;
    int64_t now = clo_clock_utc();
    CLO_CHECK(now - session->roster.issued <= CLO_ROSTER_LIFETIME_S, CLO_POLICY,
              "the roster of epoch %llu has expired: it lets nobody new in",
              (unsigned long long)session->roster.epoch);
    return clo_job_leaf_check(cert, session->ca, &manifest->broker.identity, manifest, row, now);
}

static clo_status admit_locked(const clo_slot_session *session, const clo_peer *peer,
                               const clo_cert *cert)
{
    const clo_roster_row *row;
    CLO_TRY(find_row(session, &peer->hello, &row));
    if (peer->round == 0) {
        CLO_TRY(check_beginning(session, row, cert));
    }
    CLO_CHECK(memcmp(row->key_id, peer->key_id, 32) == 0, CLO_POLICY,
              "%s %u has another key than its roster row", clo_role_name(row->role), row->slot);
    CLO_CHECK(memcmp(row->platform_id, peer->platform_id, 32) == 0, CLO_POLICY,
              "%s %u is on another platform than its roster row", clo_role_name(row->role),
              row->slot);
    CLO_CHECK(memcmp(row->measurement, peer->verdict.claims.measurement, 32) == 0, CLO_POLICY,
              "%s %u is another program than its roster row", clo_role_name(row->role), row->slot);
    return CLO_STATUS_OK;
}

static clo_status admit_slot(void *arg, const clo_peer *peer, const clo_cert *cert)
{
    clo_slot_session *session = arg;
    clo_mutex_lock(session->lock);
    clo_status status = admit_locked(session, peer, cert);
    clo_mutex_unlock(session->lock);
    return status;
}

clo_channel_rules clo_slot_peer_rules(clo_slot_session *session)
{
    return (clo_channel_rules){
        .peer_class = CLO_PEER_ATTESTED,
        .expect = expect_slot,
        .admit = admit_slot,
        .arg = session,
    };
}

clo_channel_self clo_slot_self(clo_slot_session *session)
{
    clo_channel_self self = {
        .as = CLO_PEER_ATTESTED,
        .role = session->row.role,
        .slot = session->row.slot,
        .incarnation = session->row.incarnation,
        .insecure_flags = session->options.insecure_flags,
        .key = session->key,
        .cert = session->leaves->cert,
        .maker = session->options.maker,
        .maker_lock = session->options.maker_lock,
    };
    memcpy(self.manifest, session->options.manifest->digest, sizeof self.manifest);
    return self;
}
