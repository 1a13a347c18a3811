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

static clo_status take(world *w, holder *h, uint32_t slot, clo_slot_record *out_slot)
{
    clo_job_record_cleanup(&w->job); /* as a request would: from the store */
    w->job = CLO_JOB_RECORD_INIT;
    CLO_TRY(clo_job_record_get(w->broker.store, w->manifest.digest, &w->job));
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
    T_OK(clo_lease_roster(&w.broker, &w.manifest, epoch_of(&w), &envelope));
    T_OK(clo_roster_open(clo_buf_span(&envelope), &w.broker.identity_public, w.manifest.digest,
                         clo_clock_utc(), &roster));
    T_INT(roster.epoch, 3);
    T_INT(roster.row_count, 1);
    T_INT(roster.rows[0].slot, 1);
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
    };
    rig_keys_make();
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    rig_keys_free();
    return code;
}
