/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots as leases: one holder within a lease, fencing of the one before, epochs and incarnations
 * that only grow, eviction.
 */
#include "broker_rig.h"

/* A broker without a network, and holders that never had a connection. */
typedef struct {
    clo_broker broker;
    clo_manifest manifest;
    clo_buf envelope;
    clo_job_record job;
} world;

typedef struct {
    clo_peer peer;
    clo_caller caller;
} holder;

static const uint8_t key_id[16] = {6};

static void make_world(world *w)
{
    char folder[600];
    memset(w, 0, sizeof *w);
    w->broker.store = rig_store(folder);
    w->broker.identity = rig_keys.identity;
    w->broker.identity_public = rig_public(rig_keys.identity);
    clo_manifest manifest = rig_manifest(key_id);
    rig_must(clo_manifest_sign(&manifest, rig_keys.signer, &w->envelope), "manifest");
    rig_must(clo_manifest_open(clo_buf_span(&w->envelope), &w->manifest), "manifest");
    rig_must(clo_ca_job(&w->broker, &w->manifest, clo_buf_span(&w->envelope), &w->job), "job");
}

static void free_world(world *w)
{
    clo_buf_release(&w->envelope);
    clo_job_record_cleanup(&w->job);
    clo_store_close(w->broker.store);
}

/* The holder with this key, on a connection of this number. */
static void make_holder(world *w, holder *h, uint8_t key, uint8_t connection)
{
    uint8_t session[32] = {connection};
    memset(h, 0, sizeof *h);
    h->peer.hello.role = CLO_ROLE_TRAINER;
    memcpy(h->peer.hello.manifest, w->manifest.digest, 32);
    h->peer.key_id[0] = key;
    clo_caller_init(&w->broker, &h->peer, session, &h->caller);
}

/* As a request would find it: to be read from the store. */
static clo_job_record *renewed(clo_job_record *job)
{
    clo_job_record_cleanup(job);
    *job = CLO_JOB_RECORD_INIT;
    return job;
}

static clo_status take(world *w, holder *h, uint32_t slot, clo_slot_record *out_slot)
{
    CLO_TRY(clo_job_record_get(w->broker.store, w->manifest.digest, renewed(&w->job)));
    CLO_TRY(clo_lease_take(&h->caller, &w->manifest, slot, &w->job, out_slot));
    h->caller.slot = slot;
    h->caller.enrolled = true;
    return CLO_STATUS_OK;
}

static uint64_t epoch_of(world *w)
{
    clo_job_record job = CLO_JOB_RECORD_INIT;
    rig_must(clo_job_record_get(w->broker.store, w->manifest.digest, &job), "job");
    uint64_t epoch = job.epoch;
    clo_job_record_cleanup(&job);
    return epoch;
}

static void expire(world *w, uint32_t number)
{
    clo_slot_record slot;
    rig_must(
        clo_slot_record_get(w->broker.store, w->manifest.digest, CLO_ROLE_TRAINER, number, &slot),
        "slot");
    slot.lease_until = clo_clock_utc() - 1;
    rig_must(clo_slot_record_put(w->broker.store, &slot), "slot");
}

static void refuses_a_second_holder_within_the_lease(void)
{
    world w;
    holder a;
    holder b;
    clo_slot_record slot;
    make_world(&w);
    make_holder(&w, &a, 1, 1);
    make_holder(&w, &b, 2, 2);
    T_OK(take(&w, &a, 0, &slot));
    T_INT(slot.row.incarnation, 1);
    T_CODE(take(&w, &b, 0, &slot), CLO_EXISTS);
    T_INT(epoch_of(&w), 1);
    T_OK(take(&w, &b, 1, &slot)); /* another slot is free */
    T_INT(epoch_of(&w), 2);
    free_world(&w);
}

static void gives_a_new_incarnation_and_epoch_after_expiry(void)
{
    world w;
    holder a;
    holder b;
    clo_slot_record slot;
    make_world(&w);
    make_holder(&w, &a, 1, 1);
    make_holder(&w, &b, 2, 2);
    T_OK(take(&w, &a, 0, &slot));
    expire(&w, 0);
    T_OK(clo_lease_renew(&a.caller, &slot)); /* nobody asked for it meanwhile */
    T_CODE(take(&w, &b, 0, &slot), CLO_EXISTS);
    expire(&w, 0);
    T_OK(take(&w, &b, 0, &slot));
    T_INT(slot.row.incarnation, 2);
    T_INT(epoch_of(&w), 2);
    T_CODE(clo_lease_renew(&a.caller, &slot), CLO_DENIED); /* fenced */
    T_CODE(clo_lease_leave(&a.caller), CLO_DENIED);
    T_OK(clo_lease_renew(&b.caller, &slot));
    free_world(&w);
}

static void gives_a_new_incarnation_and_epoch_after_leaving(void)
{
    world w;
    holder a;
    holder b;
    clo_slot_record slot;
    make_world(&w);
    make_holder(&w, &a, 1, 1);
    make_holder(&w, &b, 2, 2);
    T_OK(take(&w, &a, 0, &slot));
    T_OK(clo_lease_leave(&a.caller));
    T_INT(epoch_of(&w), 2);
    T_CODE(clo_lease_renew(&a.caller, &slot), CLO_DENIED);
    T_OK(take(&w, &b, 0, &slot));
    T_INT(slot.row.incarnation, 2);
    T_INT(epoch_of(&w), 3);
    free_world(&w);
}

static void lets_the_same_key_resume_and_fences_its_older_connection(void)
{
    world w;
    holder before;
    holder after;
    clo_slot_record slot;
    make_world(&w);
    make_holder(&w, &before, 1, 1);
    make_holder(&w, &after, 1, 2);
    T_OK(take(&w, &before, 0, &slot));
    T_OK(take(&w, &after, 0, &slot));
    T_INT(slot.row.incarnation, 1);
    T_INT(epoch_of(&w), 1);
    T_CODE(clo_lease_renew(&before.caller, &slot), CLO_DENIED);
    T_OK(clo_lease_renew(&after.caller, &slot));
    free_world(&w);
}

/* The same key elsewhere is a clone, not the holder. */
static void refuses_the_same_key_on_another_platform_or_program(void)
{
    world w;
    holder a;
    holder clone;
    clo_slot_record slot;
    make_world(&w);
    make_holder(&w, &a, 1, 1);
    make_holder(&w, &clone, 1, 2);
    clone.peer.platform_id[0] = 1;
    T_OK(take(&w, &a, 0, &slot));
    T_CODE(take(&w, &clone, 0, &slot), CLO_EXISTS);
    clone.peer.platform_id[0] = 0;
    clone.peer.verdict.claims.measurement[0] = 1;
    T_CODE(take(&w, &clone, 0, &slot), CLO_EXISTS);
    free_world(&w);
}

static void evicts_the_slots_that_use_a_key(void)
{
    static const uint8_t other_key[16] = {7};
    world w;
    holder a;
    clo_slot_record slot;
    make_world(&w);
    make_holder(&w, &a, 1, 1);
    T_OK(take(&w, &a, 0, &slot));
    T_OK(clo_lease_evict_key(&w.broker, other_key));
    T_OK(clo_lease_renew(&a.caller, &slot));
    T_INT(epoch_of(&w), 1);
    T_OK(clo_lease_evict_key(&w.broker, key_id));
    T_INT(epoch_of(&w), 2);
    T_CODE(clo_lease_renew(&a.caller, &slot), CLO_DENIED);
    free_world(&w);
}

static void signs_a_roster_of_those_who_hold(void)
{
    world w;
    holder a;
    holder b;
    clo_slot_record slot;
    clo_roster roster;
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    make_world(&w);
    make_holder(&w, &a, 1, 1);
    make_holder(&w, &b, 2, 2);
    T_OK(take(&w, &a, 0, &slot));
    T_OK(take(&w, &b, 1, &slot));
    T_OK(clo_lease_leave(&a.caller));
    T_OK(clo_job_record_get(w.broker.store, w.manifest.digest, renewed(&w.job)));
    T_OK(clo_lease_roster(&w.broker, &w.manifest, &w.job, &envelope));
    T_OK(clo_roster_open(clo_buf_span(&envelope), &w.broker.identity_public, w.manifest.digest,
                         clo_clock_utc(), &roster));
    T_INT(roster.epoch, 3);
    T_INT(roster.row_count, 1);
    T_INT(roster.rows[0].slot, 1);
    free_world(&w);
}

/* ---- collateral floors */

#define DAY_S 86400

/* Accepted evidence with collateral of these numbers, issued then. */
static void show(holder *h, uint32_t evaluation, uint64_t root_crl, uint64_t pck_crl, int64_t issue)
{
    clo_claims *claims = &h->peer.verdict.claims;
    h->peer.verdict.accepted = true;
    h->peer.verdict.has_claims = true;
    claims->root_id[0] = 1;
    claims->tcb_evaluation = evaluation;
    claims->qe_evaluation = evaluation + 1;
    claims->root_crl_number = root_crl;
    claims->pck_crl_number = pck_crl;
    claims->earliest_issue = issue;
}

/* Of the roster as the broker signs it now, from the stored record. */
static clo_collateral_floors floors_now(world *w)
{
    clo_roster roster;
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    rig_must(clo_job_record_get(w->broker.store, w->manifest.digest, renewed(&w->job)), "job");
    rig_must(clo_lease_roster(&w->broker, &w->manifest, &w->job, &envelope), "roster");
    rig_must(clo_roster_open(clo_buf_span(&envelope), &w->broker.identity_public,
                             w->manifest.digest, clo_clock_utc(), &roster),
             "roster");
    return roster.floors;
}

static bool floors_are(world *w, uint32_t evaluation, uint64_t crl, int64_t issue)
{
    clo_collateral_floors floors = floors_now(w);
    return floors.min_evaluation == evaluation && floors.min_crl_number == crl &&
           floors.min_issue == issue;
}

static void raises_the_rosters_floors_by_the_newest_evidence(void)
{
    world w;
    holder a;
    holder b;
    clo_slot_record slot;
    const int64_t monday = 1700000000;
    make_world(&w);
    make_holder(&w, &a, 1, 1);
    make_holder(&w, &b, 2, 2);
    T_OK(take(&w, &a, 0, &slot)); /* nothing is known of its evidence */
    T_CHECK(floors_are(&w, 0, 0, 0));
    show(&b, 17, 9, 4, monday);
    T_OK(take(&w, &b, 1, &slot));
    T_CHECK(floors_are(&w, 17, 4, monday - DAY_S));
    show(&a, 16, 3, 9, monday - DAY_S); /* older everywhere */
    T_OK(clo_lease_note_evidence(&a.caller, &w.job));
    T_CHECK(floors_are(&w, 17, 4, monday - DAY_S));
    uint64_t epoch = epoch_of(&w);
    show(&a, 18, 9, 5, monday + DAY_S); /* newer, at a re-attestation */
    T_OK(clo_lease_note_evidence(&a.caller, &w.job));
    T_CHECK(floors_are(&w, 18, 5, monday));
    T_INT(epoch_of(&w), epoch);
    w.manifest.appraisal.min_evaluation = 20;
    T_CHECK(floors_are(&w, 20, 5, monday));
    free_world(&w);
}

/* Whoever shows the collateral that made the floors passes them. */
static void keeps_floors_below_the_evidence_that_raised_them(void)
{
    world w;
    holder a;
    clo_slot_record slot;
    make_world(&w);
    make_holder(&w, &a, 1, 1);
    show(&a, 17, 2, 7, 1700000000);
    T_OK(take(&w, &a, 0, &slot));
    clo_collateral_floors floors = floors_now(&w);
    const clo_claims *claims = &a.peer.verdict.claims;
    T_CHECK(floors.min_evaluation <= claims->tcb_evaluation);
    T_CHECK(floors.min_evaluation <= claims->qe_evaluation);
    T_CHECK(floors.min_crl_number <= claims->root_crl_number);
    T_CHECK(floors.min_crl_number <= claims->pck_crl_number);
    T_CHECK(floors.min_issue <= claims->earliest_issue);
    free_world(&w);
}

static void takes_no_floors_from_evidence_that_was_not_accepted(void)
{
    world w;
    holder a;
    clo_slot_record slot;
    make_world(&w);
    make_holder(&w, &a, 1, 1);
    show(&a, 17, 2, 7, 1700000000);
    a.peer.verdict.accepted = false;
    T_OK(take(&w, &a, 0, &slot));
    T_CHECK(floors_are(&w, 0, 0, 0));
    free_world(&w);
}

/* Two vendors count apart: no number of one may shut out the other's. */
static void drops_floors_when_two_vendors_meet(void)
{
    world w;
    holder a;
    holder b;
    clo_slot_record slot;
    make_world(&w);
    make_holder(&w, &a, 1, 1);
    make_holder(&w, &b, 2, 2);
    show(&a, 17, 9, 9, 1700000000);
    show(&b, 3, 1, 1, 1600000000);
    b.peer.verdict.claims.root_id[0] = 2;
    T_OK(take(&w, &a, 0, &slot));
    T_OK(take(&w, &b, 1, &slot));
    T_CHECK(floors_are(&w, 0, 0, 0));
    T_OK(clo_lease_note_evidence(&a.caller, &w.job));
    T_CHECK(floors_are(&w, 0, 0, 0));
    free_world(&w);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(refuses_a_second_holder_within_the_lease),
        T(gives_a_new_incarnation_and_epoch_after_expiry),
        T(gives_a_new_incarnation_and_epoch_after_leaving),
        T(lets_the_same_key_resume_and_fences_its_older_connection),
        T(refuses_the_same_key_on_another_platform_or_program),
        T(evicts_the_slots_that_use_a_key),
        T(signs_a_roster_of_those_who_hold),
        T(raises_the_rosters_floors_by_the_newest_evidence),
        T(keeps_floors_below_the_evidence_that_raised_them),
        T(takes_no_floors_from_evidence_that_was_not_accepted),
        T(drops_floors_when_two_vendors_meet),
    };
    rig_keys_make();
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    rig_keys_free();
    return code;
}
