/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots as leases.
 *
 *     free --enrol--> held (incarnation + 1, epoch + 1) --leave, eviction--> free (epoch + 1)
 *                      |  ^
 *       any request of |  | the same key on a new connection: same incarnation, same epoch,
 *       the holder     '--' the older connection is fenced
 *                      |
 *       lease over, and another key enrols: held by it (incarnation + 1, epoch + 1)
 *
 * Silence alone never reassigns a slot within its lease, and a lease that is over without anyone
 * asking for the slot leaves its row in the roster.
 *
 * Collateral floors. A host may hand in collateral that is old but has not expired, and so hide
 * what its vendor found out since. The job remembers the newest that any of its slots showed, and
 * the roster demands that of all, less what honest hosts may differ by.
 */
#include "broker_state.h"

#include <string.h>

/* Hosts fetch collateral each for itself, and once a day. */
#define ISSUE_SLACK_S (24 * 3600)

static bool is_same_holder(const clo_slot_record *slot, const clo_peer *peer)
{
    return memcmp(slot->row.key_id, peer->key_id, 32) == 0 &&
           memcmp(slot->row.platform_id, peer->platform_id, 32) == 0 &&
           memcmp(slot->row.measurement, peer->verdict.claims.measurement, 32) == 0;
}

static clo_status give_to_caller(clo_caller *caller, clo_slot_record *slot)
{
    memcpy(slot->session, caller->session, sizeof slot->session);
    memcpy(slot->evidence, caller->peer->evidence_digest, sizeof slot->evidence);
    slot->lease_until = clo_clock_utc() + caller->lease_s;
    return clo_slot_record_put(caller->broker->store, slot);
}

static void set_holder(const clo_peer *peer, clo_slot_record *slot)
{
    slot->held = true;
    slot->row.incarnation++;
    memcpy(slot->row.key_id, peer->key_id, 32);
    memcpy(slot->row.platform_id, peer->platform_id, 32);
    memcpy(slot->row.measurement, peer->verdict.claims.measurement, 32);
}

/* ---- collateral floors */

static void raise_floors(const clo_claims *claims, clo_collateral_floors *seen)
{
    uint32_t evaluation = claims->tcb_evaluation < claims->qe_evaluation ? claims->tcb_evaluation
                                                                         : claims->qe_evaluation;
    /* One floor serves both lists, which are numbered apart. */
    uint64_t number = claims->root_crl_number < claims->pck_crl_number ? claims->root_crl_number
                                                                       : claims->pck_crl_number;
    if (evaluation > seen->min_evaluation) {
        seen->min_evaluation = evaluation;
    }
    if (number > seen->min_crl_number) {
        seen->min_crl_number = number;
    }
    if (claims->earliest_issue > seen->min_issue) {
        seen->min_issue = claims->earliest_issue;
    }
}

/* True when the record changed. Numbers of two vendors cannot be compared: then there are none. */
static bool note_claims(const clo_claims *claims, clo_job_record *job)
{
    static const uint8_t none[32];
    clo_collateral_floors before = job->seen;
    if (job->seen_others) {
        return false;
    }
    if (memcmp(job->seen_root, none, sizeof none) == 0) {
        memcpy(job->seen_root, claims->root_id, sizeof job->seen_root);
    }
    if (memcmp(job->seen_root, claims->root_id, sizeof job->seen_root) != 0) {
        job->seen_others = true;
        job->seen = (clo_collateral_floors){.min_issue = 0};
        return true;
    }
    raise_floors(claims, &job->seen);
    return job->seen.min_evaluation != before.min_evaluation ||
           job->seen.min_crl_number != before.min_crl_number ||
           job->seen.min_issue != before.min_issue;
}

clo_status clo_lease_note_evidence(clo_caller *caller, clo_job_record *job)
{
    const clo_verdict *verdict = &caller->peer->verdict;
    if (!verdict->accepted || !verdict->has_claims || !note_claims(&verdict->claims, job)) {
        return CLO_STATUS_OK;
    }
    return clo_job_record_put(caller->broker->store, job);
}

static clo_collateral_floors floors_of(const clo_manifest *manifest, const clo_job_record *job)
{
    clo_collateral_floors floors = job->seen;
    if (manifest->appraisal.min_evaluation > floors.min_evaluation) {
        floors.min_evaluation = manifest->appraisal.min_evaluation;
    }
    floors.min_issue = floors.min_issue > ISSUE_SLACK_S ? floors.min_issue - ISSUE_SLACK_S : 0;
    return floors;
}

/* ---- taking, renewing, leaving */

static clo_status load_slot(clo_store *store, const clo_manifest *manifest, clo_role role,
                            uint32_t number, clo_slot_record *out_slot)
{
    clo_status status = clo_slot_record_get(store, manifest->digest, role, number, out_slot);
    if (status.code != CLO_NOTFOUND) {
        return status;
    }
    *out_slot = (clo_slot_record){.row = {.role = role, .slot = number}};
    memcpy(out_slot->manifest, manifest->digest, sizeof out_slot->manifest);
    return CLO_STATUS_OK;
}

clo_status clo_lease_take(clo_caller *caller, const clo_manifest *manifest, uint32_t slot,
                          clo_job_record *job, clo_slot_record *out_slot)
{
    clo_store *store = caller->broker->store;
    const clo_peer *peer = caller->peer;
    clo_slot_record record;
    int64_t now = clo_clock_utc();
    CLO_TRY(load_slot(store, manifest, peer->hello.role, slot, &record));
    caller->lease_s = manifest->lease_s;
    bool resumed = record.held && is_same_holder(&record, peer);
    CLO_CHECK(resumed || !record.held || now > record.lease_until, CLO_EXISTS,
              "%s %u has a holder, whose lease ends in %lld s", clo_role_name(peer->hello.role),
              slot, (long long)(record.lease_until - now));
    if (!resumed) {
        set_holder(peer, &record);
        job->epoch++;
        CLO_TRY(clo_job_record_put(store, job));
    }
    CLO_TRY(clo_lease_note_evidence(caller, job));
    CLO_TRY(give_to_caller(caller, &record));
    *out_slot = record;
    return CLO_STATUS_OK;
}

static clo_status find_own(clo_caller *caller, clo_slot_record *out_slot)
{
    const clo_hello *hello = &caller->peer->hello;
    CLO_CHECK(caller->enrolled, CLO_DENIED, "NOT_ENROLLED: this connection has no slot");
    CLO_TRY(clo_slot_record_get(caller->broker->store, hello->manifest, hello->role, caller->slot,
                                out_slot));
    CLO_CHECK(out_slot->held, CLO_DENIED, "EVICTED: %s %u was evicted", clo_role_name(hello->role),
              caller->slot);
    CLO_CHECK(memcmp(out_slot->session, caller->session, sizeof out_slot->session) == 0, CLO_DENIED,
              "FENCED: %s %u has another holder now", clo_role_name(hello->role), caller->slot);
    return CLO_STATUS_OK;
}

clo_status clo_lease_renew(clo_caller *caller, clo_slot_record *out_slot)
{
    CLO_TRY(find_own(caller, out_slot));
    return give_to_caller(caller, out_slot);
}

static clo_status release_slot(clo_store *store, clo_slot_record *slot)
{
    slot->held = false;
    slot->lease_until = 0;
    memset(slot->session, 0, sizeof slot->session);
    return clo_slot_record_put(store, slot);
}

static clo_status next_epoch(clo_store *store, const uint8_t manifest[32])
{
    CLO_AUTO(clo_job_record) job = CLO_JOB_RECORD_INIT;
    CLO_TRY(clo_job_record_get(store, manifest, &job));
    job.epoch++;
    return clo_job_record_put(store, &job);
}

clo_status clo_lease_leave(clo_caller *caller)
{
    clo_slot_record slot;
    CLO_TRY(find_own(caller, &slot));
    CLO_TRY(release_slot(caller->broker->store, &slot));
    caller->enrolled = false;
    return next_epoch(caller->broker->store, slot.manifest);
}

/* ---- eviction */

static clo_status list_slots(clo_store *store, const uint8_t manifest[32], clo_buf *out)
{
    clo_span parent = CLO_SPAN(manifest, 32);
    return clo_store_list(store, CLO_RECORD_SLOT, &parent, out);
}

static clo_status evict_job(clo_store *store, const uint8_t manifest[32])
{
    CLO_AUTO(clo_buf) entries = CLO_BUF_INIT;
    bool any = false;
    CLO_TRY(list_slots(store, manifest, &entries));
    clo_reader r = clo_reader_of(clo_buf_span(&entries));
    while (clo_reader_left(&r) > 0) {
        clo_slot_record slot;
        (void)clo_read_var(&r, UINT32_MAX);
        clo_span value = clo_read_var(&r, UINT32_MAX);
        CLO_TRY(clo_reader_check(&r, "the slots of a job"));
        CLO_TRY(clo_slot_record_parse(value, &slot));
        if (slot.held) {
            CLO_TRY(release_slot(store, &slot));
            any = true;
        }
    }
    return any ? next_epoch(store, manifest) : CLO_STATUS_OK;
}

static clo_status evict_if_used(clo_broker *broker, const uint8_t manifest_digest[32],
                                const uint8_t key_id[16])
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_job_record) job = CLO_JOB_RECORD_INIT;
    clo_manifest *manifest = clo_arena_alloc(&arena, sizeof *manifest);
    CLO_CHECK(manifest != NULL, CLO_NOMEM, "no memory for a manifest");
    CLO_TRY(clo_job_record_get(broker->store, manifest_digest, &job));
    CLO_TRY(clo_manifest_open(clo_buf_span(&job.envelope), manifest));
    for (uint32_t i = 0; i < manifest->data_count; i++) {
        if (memcmp(manifest->data[i].key_id, key_id, 16) == 0) {
            return evict_job(broker->store, manifest_digest);
        }
    }
    return CLO_STATUS_OK;
}

clo_status clo_lease_evict_key(clo_broker *broker, const uint8_t key_id[16])
{
    CLO_AUTO(clo_buf) entries = CLO_BUF_INIT;
    CLO_TRY(clo_store_list(broker->store, CLO_RECORD_JOB, NULL, &entries));
    clo_reader r = clo_reader_of(clo_buf_span(&entries));
    while (clo_reader_left(&r) > 0) {
        clo_span id = clo_read_var(&r, 32);
        (void)clo_read_var(&r, UINT32_MAX);
        CLO_TRY(clo_reader_check(&r, "the jobs"));
        CLO_CHECK(id.size == 32, CLO_FORMAT, "job record's id has %zu bytes", id.size);
        CLO_TRY(evict_if_used(broker, id.data, key_id));
    }
    return CLO_STATUS_OK;
}

/* ---- roster */

static clo_status fill_rows(clo_store *store, clo_roster *roster)
{
    CLO_AUTO(clo_buf) entries = CLO_BUF_INIT;
    CLO_TRY(list_slots(store, roster->manifest, &entries));
    clo_reader r = clo_reader_of(clo_buf_span(&entries));
    while (clo_reader_left(&r) > 0) {
        clo_slot_record slot;
        (void)clo_read_var(&r, UINT32_MAX);
        clo_span value = clo_read_var(&r, UINT32_MAX);
        CLO_TRY(clo_reader_check(&r, "the slots of a job"));
        CLO_TRY(clo_slot_record_parse(value, &slot));
        if (slot.held) {
            CLO_CHECK(roster->row_count < CLO_WORLD_MAX, CLO_LIMIT, "job has more than %d slots",
                      CLO_WORLD_MAX);
            roster->rows[roster->row_count++] = slot.row;
        }
    }
    return CLO_STATUS_OK;
}

clo_status clo_lease_roster(clo_broker *broker, const clo_manifest *manifest,
                            const clo_job_record *job, clo_buf *out_envelope)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_roster *roster = clo_arena_alloc(&arena, sizeof *roster);
    CLO_CHECK(roster != NULL, CLO_NOMEM, "no memory for a roster");
    memcpy(roster->manifest, manifest->digest, sizeof roster->manifest);
    roster->epoch = job->epoch;
    roster->issued = clo_clock_utc();
    roster->floors = floors_of(manifest, job);
    CLO_TRY(fill_rows(broker->store, roster));
    return clo_roster_sign(roster, broker->identity, out_envelope);
}
